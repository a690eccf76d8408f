//! Splits a datagram into start line, header fields and body (RFC 3261 §7, §18.3).
//!
//! One pass, no copy, no allocation up to 32 header fields. What is malformed is remembered rather than refused, so
//! that a 400 can still be built from the headers. A line feed alone ends a line as CRLF does.

use super::error::{ParseError, StartLineError};
use super::grammar::{self, TOKEN};
use super::names::Names;
use super::{Message, Status};
use crate::header::HeaderName;
use bytes::Bytes;
use smallvec::SmallVec;

/// The largest message, in bytes: what one UDP datagram can carry.
pub const MAX_MESSAGE: usize = 65_535;

/// The most header fields a message may have; one more makes it 513 Message Too Large.
pub const MAX_HEADERS: usize = 128;

/// A range of the message's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: u16,
    pub(super) end: u16,
}

impl Span {
    /// Offsets beyond [`MAX_MESSAGE`] do not occur: the message was measured first.
    pub(super) fn new(start: usize, end: usize) -> Span {
        let offset = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Span { start: offset(start), end: offset(end) }
    }

    #[inline]
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

/// One header field: eight bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderSpan {
    /// Where the line begins, and with it the name.
    pub(super) line: u16,
    /// The value without white space at its ends.
    pub(super) value: Span,
    /// `None` for a name that is not in the table.
    pub(super) name: Option<HeaderName>,
}

const _: () = assert!(size_of::<HeaderSpan>() == 8);

/// The start line, as far as it could be read.
#[derive(Clone, Copy, Debug)]
pub(super) enum StartLine {
    Request { method: Span, uri: Span },
    Response { status: Status, reason: Span },
    MalformedRequest { method: Span, uri: Span, error: StartLineError },
    MalformedResponse { error: StartLineError },
}

/// What the header section as a whole suffers from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defects {
    /// A line that is neither a header field nor a continuation.
    pub(super) stray_line: bool,
    /// More than [`MAX_HEADERS`].
    pub(super) too_many_headers: bool,
    /// The names that stand more than once, which some may.
    pub(super) repeated: Names,
}

impl Message {
    /// Splits a datagram; typed values are parsed later, on demand.
    ///
    /// Line ends before the start line are skipped (§7.5). The body ends where Content-Length says, and what follows in
    /// the datagram is ignored (§18.3); with no usable Content-Length it is the rest.
    ///
    /// # Errors
    /// When there is no message to answer: nothing but line ends, too large, or no Via.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(ParseError::TooLarge(bytes.len()));
        }
        let data: &[u8] = &bytes;
        let first =
            data.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).ok_or(ParseError::KeepAlive)?;
        let (line_end, next) = line(data, first);
        let start = start_line(data, first, line_end);
        let mut section = Section { data, ..Section::default() };
        let body = section.read(next);
        if !section.present.contains(HeaderName::Via) {
            return Err(ParseError::NoVia);
        }
        let body_end = match section.content_length {
            Some(length) if length <= data.len() - body => body + length,
            Some(_) | None => data.len(),
        };
        let Section { headers, present, defects, .. } = section;
        Ok(Message { start, headers, present, defects, body: Span::new(body, body_end), bytes })
    }
}

/// The header section while it is being read.
#[derive(Default)]
struct Section<'a> {
    data: &'a [u8],
    headers: SmallVec<[HeaderSpan; 32]>,
    present: Names,
    defects: Defects,
    content_length: Option<usize>,
}

impl Section<'_> {
    /// Reads header fields from `at` to the empty line; returns where the body begins.
    fn read(&mut self, mut at: usize) -> usize {
        loop {
            match self.data.get(at..) {
                None | Some([]) => return self.data.len(),
                Some([b'\r', b'\n', ..]) => return at + 2,
                Some([b'\n', ..]) => return at + 1,
                Some(_) => {}
            }
            if self.headers.len() == MAX_HEADERS {
                self.defects.too_many_headers = true;
                return self.data.len();
            }
            at = self.field(at);
        }
    }

    /// Reads the field that begins at `begin`; returns where the next line begins.
    #[inline]
    fn field(&mut self, begin: usize) -> usize {
        let (mut end, mut next) = line(self.data, begin);
        while let Some(b' ' | b'\t') = self.data.get(next) {
            (end, next) = line(self.data, next);
        }
        let text = self.data.get(begin..end).unwrap_or_default();
        let Some((name, value)) = split_field(text) else {
            self.defects.stray_line = true;
            return next;
        };
        let value = grammar::skip_lws(value);
        let start = end - value.len();
        self.push(begin, HeaderName::lookup(name), start, grammar::trim_end(value));
        next
    }

    fn push(&mut self, line: usize, name: Option<HeaderName>, start: usize, value: &[u8]) {
        if let Some(name) = name
            && self.present.insert(name)
        {
            self.defects.repeated.insert(name);
        }
        if name == Some(HeaderName::ContentLength) {
            let length = grammar::digits(value).and_then(|length| usize::try_from(length).ok());
            self.content_length = self.content_length.or(length);
        }
        let value = Span::new(start, start + value.len());
        self.headers.push(HeaderSpan { line: Span::new(line, line).start, value, name });
    }
}

/// `header-name HCOLON header-value`; blanks may precede the colon, a line end may not.
#[inline]
pub(super) fn split_field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = grammar::run(text, TOKEN);
    let blanks = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let (b':', value) = rest.get(blanks..)?.split_first()? else { return None };
    (!name.is_empty()).then_some((name, value))
}

/// The end of the line that begins at `begin`, without and with its line end.
#[inline]
fn line(data: &[u8], begin: usize) -> (usize, usize) {
    let rest = data.get(begin..).unwrap_or_default();
    let Some(feed) = memchr::memchr(b'\n', rest) else { return (data.len(), data.len()) };
    let end = begin + feed;
    let carriage_return = feed > 0 && data.get(end - 1) == Some(&b'\r');
    (end - usize::from(carriage_return), end + 1)
}

/// Reads a start line: a response begins with `SIP/`, anything else is a request.
fn start_line(data: &[u8], begin: usize, end: usize) -> StartLine {
    let text = data.get(begin..end).unwrap_or_default();
    match text.split_at_checked(4) {
        Some((protocol, _)) if protocol.eq_ignore_ascii_case(b"SIP/") => status_line(text, begin),
        Some(_) | None => request_line(text, begin),
    }
}

/// `Method SP Request-URI SP SIP-Version` (§7.1): exactly two spaces, none of them inside the URI.
fn request_line(text: &[u8], begin: usize) -> StartLine {
    let malformed =
        |error| StartLine::MalformedRequest { method: Span::default(), uri: Span::default(), error };
    let method_end = grammar::run(text, TOKEN).0.len();
    if method_end == 0 || text.get(method_end) != Some(&b' ') {
        return malformed(StartLineError::Method);
    }
    let method = Span::new(begin, begin + method_end);
    let uri_end = memchr::memrchr(b' ', text).unwrap_or(method_end);
    let uri_text = text.get(method_end + 1..uri_end).unwrap_or_default();
    let version = text.get(uri_end + 1..).unwrap_or_default();
    if uri_text.is_empty() || uri_text.iter().any(|&byte| grammar::is(byte, grammar::LWS)) {
        return StartLine::MalformedRequest {
            method,
            uri: Span::default(),
            error: StartLineError::RequestLine,
        };
    }
    let uri = Span::new(begin + method_end + 1, begin + uri_end);
    match is_version(version) {
        Some(true) => StartLine::Request { method, uri },
        Some(false) => StartLine::MalformedRequest { method, uri, error: StartLineError::Version },
        None => StartLine::MalformedRequest { method, uri, error: StartLineError::RequestLine },
    }
}

/// `SIP-Version SP Status-Code SP Reason-Phrase` (§7.2); the space before an empty reason may be missing.
fn status_line(text: &[u8], begin: usize) -> StartLine {
    let malformed = |error| StartLine::MalformedResponse { error };
    let version_end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let (version, rest) = text.split_at(version_end);
    match is_version(version) {
        Some(true) => {}
        Some(false) => return malformed(StartLineError::Version),
        None => return malformed(StartLineError::StatusLine),
    }
    let rest = rest.get(1..).unwrap_or_default();
    let code_end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let (code, reason) = rest.split_at(code_end);
    let status = grammar::digits(code).and_then(|code| u16::try_from(code).ok()).and_then(Status::new);
    let end = begin + text.len();
    match status {
        Some(status) if code.len() == 3 => {
            StartLine::Response { status, reason: Span::new(end - reason.len().saturating_sub(1), end) }
        }
        Some(_) | None => malformed(StartLineError::StatusLine),
    }
}

/// Whether `text` is `SIP/2.0`; `None` when it is no `SIP-Version` at all.
fn is_version(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Some(true);
    }
    let (protocol, version) = text.split_at_checked(4)?;
    let dot = memchr::memchr(b'.', version)?;
    let (major, minor) = version.split_at(dot);
    let well_formed = protocol.eq_ignore_ascii_case(b"SIP/")
        && grammar::digits(major).is_some()
        && grammar::digits(minor.get(1..)?).is_some();
    well_formed.then_some(false)
}
