//! What a connection tells its owner, and why it ends.

use super::handshake::{HandshakeError, Upgrade};
use crate::message::{Message, Method, Status, response};
use bytes::Bytes;
use core::net::SocketAddr;

/// What the owner has to do or to know next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A whole message, for [`Message::parse`]; it has its memory to itself.
    Message(Bytes),
    /// A message whose end cannot be found. The connection takes no other from here on: `send` the
    /// [`Defective::answer`], if there is one. It ends when the peer closes, after [`super::Limits::message_gap`], or
    /// with `close`, which may cost the peer the answer if it is still sending.
    Defective(Defective),
    /// A client asks for WebSocket: decide with [`super::Connection::accept_upgrade`] or
    /// [`super::Connection::refuse_upgrade`].
    Upgrade(Upgrade),
    /// The WebSocket handshake is done, messages travel. A connection without WebSocket is established from the start
    /// and does not say so.
    Established,
    /// The peer answered our keep-alive (RFC 5626 §4.4.1); the moment to draw the next interval.
    Pong,
    /// Bytes for the socket, in this order.
    Write(Bytes),
    /// The end: write what was handed out before, then close the socket. Nothing follows.
    Close(CloseReason),
}

/// A message that cannot be delimited, as far as its header section was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defective {
    /// Start line and header fields; only whole lines.
    pub head: Bytes,
    /// What is wrong.
    pub defect: Defect,
}

impl Defective {
    /// The response that tells the client: 400 or 513 (RFC 3261 §21.4.1, §21.5.7), with `tag` in To.
    ///
    /// `None` when there is nobody to answer: a response, an ACK (§17), or no Via.
    pub fn answer(&self, tag: &[u8], source: SocketAddr) -> Option<Bytes> {
        let message = Message::parse(self.head.clone()).ok()?;
        if !message.is_request() || message.method() == Some(Method::Ack) {
            return None;
        }
        let (status, reason) = self.defect.status();
        Some(response(&message, status, Some(reason), Some(tag), source).finish())
    }
}

/// Why the end of a message on a stream cannot be found, or is not waited for (RFC 3261 §18.3, §20.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// No Content-Length.
    #[error("no Content-Length")]
    NoContentLength,
    /// A Content-Length that is no number.
    #[error("malformed Content-Length")]
    MalformedContentLength,
    /// Several Content-Lengths that differ.
    #[error("conflicting Content-Lengths")]
    ConflictingContentLength,
    /// The header section is beyond [`super::Limits::headers`].
    #[error("header section too long")]
    HeadersTooLong,
    /// Header section and announced body are beyond [`super::Limits::message`].
    #[error("message too long")]
    MessageTooLong,
}

impl Defect {
    /// The status that answers it, with a reason phrase that says more.
    pub const fn status(self) -> (Status, &'static str) {
        match self {
            Defect::NoContentLength => (Status::BAD_REQUEST, "Missing Content-Length"),
            Defect::MalformedContentLength => (Status::BAD_REQUEST, "Malformed Content-Length"),
            Defect::ConflictingContentLength => (Status::BAD_REQUEST, "Conflicting Content-Length"),
            Defect::HeadersTooLong => (Status::MESSAGE_TOO_LARGE, "Header Section Too Large"),
            Defect::MessageTooLong => (Status::MESSAGE_TOO_LARGE, "Message Too Large"),
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The owner closed it.
    #[error("closed by us")]
    Requested,
    /// The peer closed it between two messages.
    #[error("closed by the peer")]
    PeerClosed,
    /// The peer closed it in the middle of a message.
    #[error("closed by the peer within a message")]
    Truncated,
    /// The peer was too slow.
    #[error("{0}")]
    TimedOut(Deadline),
    /// The peer sent a message that cannot be delimited.
    #[error("{0}")]
    Defective(Defect),
    /// The WebSocket handshake failed.
    #[error("WebSocket handshake: {0}")]
    Handshake(HandshakeError),
    /// The peer broke the WebSocket protocol and was told so.
    #[error("WebSocket: {0}")]
    Violation(Violation),
}

/// What did not happen in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deadline {
    /// The first message, or the handshake ([`super::Limits::first_message`]).
    #[error("no first message in time")]
    FirstMessage,
    /// The rest of a message ([`super::Limits::message_gap`]).
    #[error("a message took too long")]
    Message,
    /// Anything at all ([`super::Limits::idle`]).
    #[error("idle")]
    Idle,
    /// The answer to our keep-alive (RFC 5626 §4.4.1).
    #[error("no answer to a keep-alive")]
    Pong,
    /// The socket taking bytes ([`super::Limits::message_gap`]).
    #[error("the peer takes no bytes")]
    Write,
}

/// How a peer broke the WebSocket protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame that does not follow the rules (RFC 6455 §5).
    #[error("protocol error")]
    Protocol,
    /// A text that is not UTF-8 (§8.1).
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A message beyond [`super::Limits::message`] (§10.4).
    #[error("message too long")]
    TooLong,
}

impl Violation {
    /// The code in our Close frame (RFC 6455 §7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Violation::Protocol => 1002,
            Violation::NotUtf8 => 1007,
            Violation::TooLong => 1009,
        }
    }
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// More than [`super::Limits::unsent`] bytes would wait.
    #[error("too many bytes wait to be written")]
    Full,
    /// The connection ends or has ended.
    #[error("the connection is closed")]
    Closed,
}
