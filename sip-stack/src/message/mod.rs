//! SIP messages: bytes in, spans and typed values out, and back (RFC 3261 §7, §25).
//!
//! A [`Message`] is the datagram and an index into it. Nothing is copied; a header is given its type when it is asked
//! for. What peers send stays bytes: Latin-1 or UTF-8 in names, phrases and values is kept as it is, and
//! [`Escaped`] makes it fit for a log. Left out on purpose: stream framing (a datagram is one message) and the
//! structure of multipart bodies.

pub(crate) mod equivalence;
pub mod error;
mod escape;
mod fields;
pub(crate) mod grammar;
pub(crate) mod list;
pub mod method;
mod names;
pub(crate) mod onward;
pub mod params;
mod parser;
mod response;
pub mod status;
pub mod uri;
mod validate;
pub mod writer;

pub use error::{HeaderError, Offence, ParseError, Rejection, StartLineError};
pub use escape::Escaped;
pub use method::Method;
pub use params::{Param, Params};
pub use parser::{MAX_HEADERS, MAX_MESSAGE};
pub use response::response;
pub(crate) use response::response_of;
pub use status::Status;
pub use uri::{Scheme, Uri};
pub use validate::Mandatory;
pub use writer::{Field, Writer, quoted};

use crate::header::HeaderName;
use bytes::Bytes;
use core::fmt;
use list::Elements;
use names::Names;
use parser::{Defects, HeaderSpan, Span, StartLine};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

/// Whether `text` is a `token` (§25.1).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && grammar::all(text, grammar::TOKEN)
}

/// One SIP message: the datagram and spans into it. A clone shares the datagram.
///
/// Serialised as its bytes and parsed again.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    start: StartLine,
    headers: SmallVec<[HeaderSpan; 32]>,
    present: Names,
    defects: Defects,
    body: Span,
}

impl Message {
    /// The datagram.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A part of this message as a shared slice of the datagram; anything else is copied.
    pub fn share(&self, part: &[u8]) -> Bytes {
        let begin = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        let end = begin.saturating_add(part.len());
        if end <= self.bytes.len() { self.bytes.slice(begin..end) } else { Bytes::copy_from_slice(part) }
    }

    /// Whether it is a request; a start line that does not begin with `SIP/` is a request's.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. } | StartLine::MalformedRequest { .. })
    }

    /// The method of a request, also where the rest of its line is malformed; `None` for a response, and where there
    /// is no method to be read.
    #[inline]
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start {
            StartLine::Request { method, .. } | StartLine::MalformedRequest { method, .. } => {
                let name = method.of(&self.bytes);
                (!name.is_empty()).then(|| Method::new(name))
            }
            StartLine::Response { .. } | StartLine::MalformedResponse { .. } => None,
        }
    }

    /// The Request-URI as it stands; empty for a response or a malformed request line.
    pub fn request_uri(&self) -> &[u8] {
        match self.start {
            StartLine::Request { uri, .. } | StartLine::MalformedRequest { uri, .. } => uri.of(&self.bytes),
            StartLine::Response { .. } | StartLine::MalformedResponse { .. } => &[],
        }
    }

    /// The Request-URI, taken apart.
    ///
    /// # Errors
    /// [`Offence::Uri`]; also for a response, which has none.
    pub fn uri(&self) -> Result<Uri<'_>, HeaderError> {
        Uri::parse(self.request_uri()).map_err(HeaderError::general)
    }

    /// The status of a response; `None` for a request or a malformed status line.
    #[inline]
    pub fn status(&self) -> Option<Status> {
        match self.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. }
            | StartLine::MalformedRequest { .. }
            | StartLine::MalformedResponse { .. } => None,
        }
    }

    /// The reason phrase of a response; empty otherwise.
    pub fn reason(&self) -> &[u8] {
        match self.start {
            StartLine::Response { reason, .. } => reason.of(&self.bytes),
            StartLine::Request { .. }
            | StartLine::MalformedRequest { .. }
            | StartLine::MalformedResponse { .. } => &[],
        }
    }

    /// What is wrong with the start line, if anything.
    pub fn start_line_error(&self) -> Option<StartLineError> {
        match self.start {
            StartLine::MalformedRequest { error, .. } | StartLine::MalformedResponse { error } => Some(error),
            StartLine::Request { .. } | StartLine::Response { .. } => None,
        }
    }

    /// The first value of that header, without white space at its ends; it may contain folding.
    #[inline]
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.headers(name).next()
    }

    /// The values of all fields of that header in order, whichever form their names have.
    #[inline]
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        let spans = if self.present.contains(name) { self.headers.as_slice() } else { &[] };
        spans.iter().filter(move |span| span.name == Some(name)).map(|span| span.value.of(&self.bytes))
    }

    /// The values of all fields whose name is not in the table and equals `name` without regard to case.
    pub fn extension(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.fields().filter_map(move |(header, spelt, value)| {
            (header.is_none() && spelt.eq_ignore_ascii_case(name)).then_some(value)
        })
    }

    /// Every header field in order: its entry in the table, its name as it stands, its value.
    pub fn fields(&self) -> impl Iterator<Item = (Option<HeaderName>, &[u8], &[u8])> {
        self.headers.iter().map(|span| (span.name, self.name_of(span), span.value.of(&self.bytes)))
    }

    fn name_of(&self, span: &HeaderSpan) -> &[u8] {
        let line = Span { start: span.line, end: span.value.start };
        parser::split_field(line.of(&self.bytes)).map(|(name, _)| name).unwrap_or_default()
    }

    /// The comma-separated elements of that header over all its fields (§7.3.1); empty ones are left out.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.elements(name).filter(|element| !element.is_empty())
    }

    /// As [`Message::list`], but empty elements are seen: where the grammar has none they are an offence.
    #[inline]
    fn elements(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers(name).flat_map(Elements::new)
    }

    /// The body: as many bytes as Content-Length says, or the rest of the datagram.
    pub fn body(&self) -> &[u8] {
        self.body.of(&self.bytes)
    }

    /// The body as a shared slice of the datagram.
    pub fn body_bytes(&self) -> Bytes {
        self.share(self.body())
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Escaped(&self.bytes), out)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        Message::parse(Bytes::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
