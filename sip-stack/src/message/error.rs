//! What can be wrong with a message, and the status that answers it (RFC 3261 §21.4, §21.5).

use super::{Escaped, Status};
use crate::header::HeaderName;
use core::fmt;

/// Why a datagram is no SIP message at all: it is discarded without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line ends: a keep-alive (RFC 5626 §4.4.1).
    #[error("no message, a keep-alive")]
    KeepAlive,
    /// More than [`super::MAX_MESSAGE`] bytes.
    #[error("{0} bytes are more than a message may have")]
    TooLarge(usize),
    /// No Via among the headers: there is nobody to answer.
    #[error("no Via header field")]
    NoVia,
}

/// What is wrong with a start line (RFC 3261 §7.1, §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartLineError {
    /// A SIP version other than 2.0.
    #[error("SIP version is not 2.0")]
    Version,
    /// The method is no token.
    #[error("malformed method")]
    Method,
    /// Not three parts with one space between each.
    #[error("malformed request line")]
    RequestLine,
    /// A status code outside 100–699, or none.
    #[error("malformed status line")]
    StatusLine,
}

/// What is wrong with a header field or the Request-URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// A mandatory field is not there.
    #[error("missing")]
    Missing,
    /// A field that may stand once stands more often.
    #[error("repeated")]
    Repeated,
    /// The value does not follow the grammar.
    #[error("malformed")]
    Malformed,
    /// The URI in it does not follow the grammar.
    #[error("malformed URI")]
    Uri,
    /// The parameters do not follow the grammar.
    #[error("malformed parameters")]
    Parameters,
    /// A quoted string without its end.
    #[error("unterminated quoted string")]
    UnterminatedQuote,
    /// A URI with `?` or `,` outside angle brackets (§20).
    #[error("URI needs angle brackets")]
    NeedsAngleBrackets,
    /// A number beyond its range.
    #[error("number out of range")]
    OutOfRange,
    /// The method in CSeq is not the request's (§8.1.1.5).
    #[error("does not match the method")]
    MethodMismatch,
    /// Several fields contradict each other.
    #[error("conflicting values")]
    Conflict,
    /// Content-Length announces more than the datagram holds (§18.3).
    #[error("larger than the body")]
    BodyTooShort,
    /// `Contact: *` beside another contact (§10.2.2).
    #[error("`*` beside other contacts")]
    StarAmongOthers,
    /// A URI in this place must not carry headers (§19.1.1, table 1).
    #[error("URI with headers")]
    UriHeaders,
    /// A line that is neither header nor continuation.
    #[error("line without a header name")]
    HeaderLine,
    /// More than [`super::MAX_HEADERS`] header fields.
    #[error("too many header fields")]
    TooManyHeaders,
    /// The start line.
    #[error(transparent)]
    StartLine(#[from] StartLineError),
}

/// An [`Offence`] and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct HeaderError {
    /// The header field; `None` is the start line or the header section as a whole.
    pub header: Option<HeaderName>,
    /// What is wrong with it.
    pub offence: Offence,
}

impl HeaderError {
    /// `offence` in the field `header`.
    pub const fn new(header: HeaderName, offence: Offence) -> HeaderError {
        HeaderError { header: Some(header), offence }
    }

    /// `offence` in the start line or in the header section as a whole.
    pub const fn general(offence: Offence) -> HeaderError {
        HeaderError { header: None, offence }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.header {
            Some(header) => write!(out, "{}: {}", Escaped(header.as_bytes()), self.offence),
            None => write!(out, "{}", self.offence),
        }
    }
}

impl fmt::Debug for HeaderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why a message is unusable and how a request of that kind is answered; a response of that kind is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}: {offence}", status.code())]
pub struct Rejection {
    /// The status it deserves: 400, 501, 505 or 513.
    pub status: Status,
    /// A reason phrase that names the offending field.
    pub reason: &'static str,
    /// What was found.
    pub offence: HeaderError,
}
