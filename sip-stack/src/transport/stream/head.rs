//! The part of a message before the first empty line: start line and header fields (RFC 3261 §7, RFC 9112 §2.1).
//!
//! SIP and the handshake of WebSocket share it. A line feed alone ends a line, as in [`crate::Message::parse`].

use crate::message::grammar::{self, TOKEN};

/// How far a [`Head`] has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input is used up.
    More,
    /// The empty line was read.
    Whole,
    /// More bytes than allowed, and still no empty line.
    TooLong,
}

/// Collects lines up to the empty one; each byte is looked at once.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

/// The room a head begins with: that of most messages, so that it grows once or not at all.
const ROOM: usize = 1024;

impl Head {
    /// Takes from `input` to the empty line, and never more than `limit` bytes in all.
    pub(super) fn collect(&mut self, input: &mut &[u8], limit: usize) -> Progress {
        while !input.is_empty() {
            let line = memchr::memchr(b'\n', input).map_or(input.len(), |feed| feed + 1);
            let (taken, rest) = input.split_at(line.min(limit.saturating_sub(self.0.len())));
            if self.0.capacity() == 0 {
                self.0.reserve(ROOM);
            }
            self.0.extend_from_slice(taken);
            *input = rest;
            if self.0.ends_with(b"\n\r\n") || self.0.ends_with(b"\n\n") {
                return Progress::Whole;
            }
            if self.0.len() >= limit {
                return Progress::TooLong;
            }
        }
        Progress::More
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was collected; the next head begins.
    pub(super) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }
}

/// The first line, without its end.
pub(super) fn start_line(head: &[u8]) -> &[u8] {
    grammar::trim_end(head.split(|&byte| byte == b'\n').next().unwrap_or_default())
}

/// The header fields in order, name and value; a value is without white space at its ends and may contain folding
/// (RFC 3261 §7.3.1). Lines that are no field are passed over.
pub(super) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = split_line(head).1;
    core::iter::from_fn(move || {
        while !rest.is_empty() {
            let (line, after) = split_field(rest);
            rest = after;
            if let Some(field) = name_and_value(line) {
                return Some(field);
            }
        }
        None
    })
}

fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b'\n', text).map_or(text.len(), |feed| feed + 1))
}

/// The first line and those that continue it.
fn split_field(text: &[u8]) -> (&[u8], &[u8]) {
    let mut end = split_line(text).0.len();
    while let Some(rest @ [b' ' | b'\t', ..]) = text.get(end..) {
        end += split_line(rest).0.len();
    }
    text.split_at(end)
}

fn name_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = grammar::run(line, TOKEN);
    let blanks = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let (b':', value) = rest.get(blanks..)?.split_first()? else { return None };
    (!name.is_empty()).then(|| (name, grammar::trim(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia : x\r\nno field\r\nl:\r\n 7\r\nSubject: a\n b\r\n\r\n";

    #[test]
    fn fields_are_unfolded_at_their_ends_and_stray_lines_passed_over() {
        let fields: Vec<_> = fields(HEAD).collect();
        assert_eq!(fields, [(&b"Via"[..], &b"x"[..]), (b"l", b"7"), (b"Subject", b"a\n b")]);
        assert_eq!(start_line(HEAD), b"OPTIONS sip:a SIP/2.0");
    }

    #[test]
    fn a_head_ends_at_the_empty_line_however_it_arrives() {
        for ends in [&b"a\r\n\r\nrest"[..], b"a\n\nrest", b"a\n\r\nrest"] {
            let mut head = Head::default();
            let mut progress = Progress::More;
            let mut at = 0;
            while progress == Progress::More {
                progress = head.collect(&mut &ends[at..=at], 100);
                at += 1;
            }
            assert_eq!((progress, &ends[at..]), (Progress::Whole, &b"rest"[..]));
            assert_eq!(head.take(), ends[..at]);
        }
    }

    #[test]
    fn a_head_never_takes_more_than_its_limit() {
        let mut head = Head::default();
        let mut input: &[u8] = &[b'a'; 100];
        assert_eq!(head.collect(&mut input, 60), Progress::TooLong);
        assert_eq!((head.as_bytes().len(), input.len()), (60, 40));
    }
}
