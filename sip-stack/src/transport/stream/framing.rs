//! Where a message on a stream ends (RFC 3261 §18.3, §20.14), and the keep-alives between messages (RFC 5626 §4.4.1).

use super::head::{self, Head, Progress};
use super::limits::Limits;
use super::output::{Defect, Defective};
use super::protocol::Event;
use crate::header::HeaderName;
use crate::message::grammar;
use bytes::Bytes;

/// `double-CRLF`, the keep-alive of RFC 5626 §4.4.1.
pub(super) const PING: &[u8] = b"\r\n\r\n";

/// `CRLF`, its answer.
pub(super) const PONG: &[u8] = b"\r\n";

/// Splits a stream into messages; each byte is copied once, into memory that the message has to itself.
#[derive(Debug)]
pub(super) enum Framing {
    /// Between messages, after this much of a [`PING`].
    Between { line_ends: LineEnds },
    /// In the header section.
    Head(Head),
    /// In a message of `length` bytes, of which these are here.
    Body { message: Vec<u8>, length: usize },
}

/// How much of a keep-alive was received.
#[derive(Clone, Copy, Debug)]
pub(super) enum LineEnds {
    None,
    Cr,
    CrLf,
    CrLfCr,
}

impl Default for Framing {
    fn default() -> Framing {
        Framing::Between { line_ends: LineEnds::None }
    }
}

impl Framing {
    /// Takes from `input` what belongs to the next event; `None` when more bytes are needed.
    pub(super) fn receive(&mut self, input: &mut &[u8], limits: &Limits) -> Option<Event> {
        loop {
            match self {
                Framing::Between { line_ends } => {
                    if let Some(keep_alive) = line_ends.take_from(input) {
                        return Some(keep_alive);
                    }
                    if input.is_empty() {
                        return None;
                    }
                    *self = Framing::Head(Head::default());
                }
                Framing::Head(head) => match head.collect(input, limits.headers) {
                    Progress::More => return None,
                    Progress::Whole => match length(head.as_bytes(), limits) {
                        Ok(length) => *self = Framing::Body { message: head.take(), length },
                        Err(defect) => return Some(defective(head.take(), defect)),
                    },
                    Progress::TooLong => return Some(defective(head.take(), Defect::HeadersTooLong)),
                },
                Framing::Body { message, length } => {
                    let missing = length.saturating_sub(message.len());
                    let (taken, rest) = input.split_at(missing.min(input.len()));
                    message.extend_from_slice(taken);
                    *input = rest;
                    if taken.len() < missing {
                        return None;
                    }
                    let message = Bytes::from(core::mem::take(message));
                    *self = Framing::default();
                    return Some(Event::Message(message));
                }
            }
        }
    }

    /// Whether a message has begun.
    pub(super) fn is_amid(&self) -> bool {
        match self {
            Framing::Between { .. } => false,
            Framing::Head(_) | Framing::Body { .. } => true,
        }
    }

    /// The last line end was the answer to a keep-alive of ours.
    pub(super) fn pong_taken(&mut self) {
        if let Framing::Between { line_ends } = self {
            *line_ends = LineEnds::None;
        }
    }
}

impl LineEnds {
    /// Takes line ends from `input` to the next keep-alive or answer to one; others mean nothing (RFC 3261 §7.5).
    fn take_from(&mut self, input: &mut &[u8]) -> Option<Event> {
        while let [byte @ (b'\r' | b'\n'), rest @ ..] = *input {
            *input = rest;
            let (next, event) = match (*self, byte) {
                (LineEnds::None | LineEnds::Cr | LineEnds::CrLfCr, b'\r') => (LineEnds::Cr, None),
                (LineEnds::CrLf, b'\r') => (LineEnds::CrLfCr, None),
                (LineEnds::Cr, _) => (LineEnds::CrLf, Some(Event::Pong)),
                (LineEnds::CrLfCr, _) => (LineEnds::None, Some(Event::Ping(Bytes::from_static(PONG)))),
                (LineEnds::None | LineEnds::CrLf, _) => (LineEnds::None, None),
            };
            *self = next;
            if event.is_some() {
                return event;
            }
        }
        None
    }
}

/// The length of the message that has this header section.
fn length(section: &[u8], limits: &Limits) -> Result<usize, Defect> {
    let body = usize::try_from(content_length(section)?).map_err(|_| Defect::MessageTooLong)?;
    match section.len().checked_add(body) {
        Some(length) if length <= limits.message => Ok(length),
        Some(_) | None => Err(Defect::MessageTooLong),
    }
}

/// What all Content-Length fields agree on, long or compact (§7.3.3). Fields that differ would let two readers see
/// two different messages.
fn content_length(section: &[u8]) -> Result<u64, Defect> {
    let mut announced = None;
    for (name, value) in head::fields(section) {
        if HeaderName::lookup(name) != Some(HeaderName::ContentLength) {
            continue;
        }
        let length = grammar::digits(value).ok_or(Defect::MalformedContentLength)?;
        if announced.is_some_and(|earlier| earlier != length) {
            return Err(Defect::ConflictingContentLength);
        }
        announced = Some(length);
    }
    announced.ok_or(Defect::NoContentLength)
}

/// What can be answered: the lines that are whole.
fn defective(mut section: Vec<u8>, defect: Defect) -> Event {
    section.truncate(memchr::memrchr(b'\n', &section).map_or(0, |feed| feed + 1));
    Event::Defective(Defective { head: Bytes::from(section), defect })
}
