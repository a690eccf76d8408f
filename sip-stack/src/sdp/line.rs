//! The lines of a session description (RFC 8866 §5): one letter, `=`, and a value.
//!
//! Lines end in CRLF or LF; bytes above 127 are kept as they are, whatever their character set. Blank lines are skipped.

use memchr::{memchr, memchr2};
use thiserror::Error;

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The letter before `=`.
    pub kind: u8,
    /// Everything after `=`.
    pub value: &'a [u8],
}

/// How much of a description is read before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole description.
    pub bytes: usize,
    /// Lines, blank ones included.
    pub lines: u32,
    /// `m=` lines.
    pub media: usize,
}

impl Default for Limits {
    /// 64 KiB, 2,000 lines, 64 media: several times what a browser with video and all its candidates sends.
    fn default() -> Limits {
        Limits { bytes: 65_536, lines: 2_000, media: 64 }
    }
}

/// A description that cannot be used, and the line where that showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {kind}")]
pub struct SdpError {
    /// Counted from 1, as an editor shows them.
    pub line: u32,
    /// What is wrong.
    pub kind: SdpErrorKind,
}

/// What is wrong with a description. All but the last two say that it is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SdpErrorKind {
    /// The first line is not `v=`.
    #[error("a description begins with v=")]
    NoVersion,
    /// Not a letter followed by `=`.
    #[error("not of the form letter=value")]
    NotALine,
    /// NUL, or CR within a line: neither can stand in a value, and a CR could be taken for the end of the line.
    #[error("a control character in the value")]
    ControlCharacter,
    /// `o=` with fewer than six fields.
    #[error("an origin needs six fields")]
    Origin,
    /// `c=` without network type, address type and address.
    #[error("a connection needs three fields")]
    Connection,
    /// `m=` without a token, a port up to 65535, a protocol and a format.
    #[error("a media line needs media, port, protocol and a format")]
    Media,
    /// Unsupported: a version other than 0.
    #[error("unknown version")]
    Version,
    /// Beyond one of the [`Limits`].
    #[error("too large")]
    TooLarge,
}

/// Steps through the lines of a text; `next_line` tells malformed ones from the end.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    pub(super) rest: &'a [u8],
    pub(super) number: u32,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Lines<'a> {
        Lines { rest: text, number: 0 }
    }

    /// The next line that is not blank.
    pub(super) fn next_line(&mut self) -> Option<Result<Line<'a>, SdpError>> {
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            self.number = self.number.saturating_add(1);
            let line = strip_returns(line);
            if !line.is_empty() {
                let number = self.number;
                return Some(Line::read(line).map_err(|kind| SdpError { line: number, kind }));
            }
        }
        None
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    /// The next well-formed line.
    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            if let Ok(line) = self.next_line()? {
                return Some(line);
            }
        }
    }
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Result<Line<'a>, SdpErrorKind> {
        let (kind, value) = match line {
            [kind, b'=', value @ ..] if kind.is_ascii_alphabetic() => (*kind, value),
            _ => return Err(SdpErrorKind::NotALine),
        };
        if memchr2(0, b'\r', value).is_some() {
            return Err(SdpErrorKind::ControlCharacter);
        }
        Ok(Line { kind, value })
    }
}

fn strip_returns(mut line: &[u8]) -> &[u8] {
    while let [inside @ .., b'\r'] = line {
        line = inside;
    }
    line
}
