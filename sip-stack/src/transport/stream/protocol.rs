//! What the bytes of a connection mean: SIP itself, or SIP in WebSocket frames.

use super::framing::Framing;
use super::limits::Limits;
use super::output::{CloseReason, Defective};
use super::web_socket::WebSocket;
use super::{Upgrade, framing};
use bytes::Bytes;

/// What was found in received bytes.
pub(super) enum Event {
    /// A whole message.
    Message(Bytes),
    /// A message whose end cannot be found.
    Defective(Defective),
    /// A keep-alive, and the bytes that answer it.
    Ping(Bytes),
    /// What answers a keep-alive, if one was sent.
    Pong,
    /// A client asks for WebSocket.
    Upgrade(Upgrade),
    /// A server granted WebSocket.
    Established,
    /// The connection is over once these bytes are written.
    Over(Bytes, CloseReason),
}

/// One of the two ways to put messages into a stream.
#[derive(Debug)]
pub(super) enum Protocol {
    Sip(Framing),
    WebSocket(Box<WebSocket>),
}

impl Protocol {
    /// Takes from `input` what belongs to the next event; `None` when more bytes are needed.
    pub(super) fn receive(&mut self, input: &mut &[u8], limits: &Limits) -> Option<Event> {
        match self {
            Protocol::Sip(framing) => framing.receive(input, limits),
            Protocol::WebSocket(web_socket) => web_socket.receive(input, limits),
        }
    }

    /// Whether a message or a frame has begun and not ended.
    pub(super) fn is_amid(&self) -> bool {
        match self {
            Protocol::Sip(framing) => framing.is_amid(),
            Protocol::WebSocket(web_socket) => web_socket.is_amid(),
        }
    }

    /// A message as it goes to the socket.
    pub(super) fn message(&mut self, message: Bytes) -> Bytes {
        match self {
            Protocol::Sip(_) => message,
            Protocol::WebSocket(web_socket) => web_socket.message(&message),
        }
    }

    /// A keep-alive as it goes to the socket.
    pub(super) fn ping(&mut self) -> Bytes {
        match self {
            Protocol::Sip(_) => Bytes::from_static(framing::PING),
            Protocol::WebSocket(web_socket) => web_socket.ping(),
        }
    }

    /// A line end was taken for the answer to a keep-alive: it is not half of a keep-alive of the peer.
    pub(super) fn pong_taken(&mut self) {
        match self {
            Protocol::Sip(framing) => framing.pong_taken(),
            Protocol::WebSocket(_) => {}
        }
    }

    /// What is written before an orderly end, and whether the peer answers it.
    pub(super) fn farewell(&mut self) -> Option<Bytes> {
        match self {
            Protocol::Sip(_) => None,
            Protocol::WebSocket(web_socket) => web_socket.farewell(),
        }
    }
}
