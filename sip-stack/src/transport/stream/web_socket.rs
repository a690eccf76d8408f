//! SIP in WebSocket messages (RFC 7118): the handshake, then frames.
//!
//! A WebSocket message is a SIP message; its own Content-Length is not needed to find its end (RFC 7118 §5).

use super::frame::{Frames, Opcode, Received, frame};
use super::framing;
use super::handshake::{self, HandshakeError, Refusal};
use super::head::{Head, Progress};
use super::limits::Limits;
use super::output::{CloseReason, Violation};
use super::protocol::Event;
use crate::random::Random;
use bytes::Bytes;

/// The code of an orderly end (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;

/// One end of a WebSocket.
#[derive(Debug)]
pub(super) struct WebSocket {
    state: State,
    /// Where our masks come from; a server has none (RFC 6455 §5.1).
    masks: Option<Random>,
}

#[derive(Debug)]
enum State {
    /// Waiting for the client's request.
    Expecting(Head),
    /// The owner decides about it; `accept` grants it.
    Deciding { accept: String },
    /// Waiting for the server's answer, which has to have this `accept`.
    Asking { head: Head, accept: String },
    /// Messages travel.
    Open(Frames),
    /// Nothing more is read.
    Failed,
}

impl WebSocket {
    /// The server's end.
    pub(super) fn accepted() -> WebSocket {
        WebSocket { state: State::Expecting(Head::default()), masks: None }
    }

    /// The client's end, and its request.
    pub(super) fn opened(host: &str, random: &mut Random) -> (WebSocket, Bytes) {
        let key = handshake::key(random.key());
        let (low, high) = (random.key(), random.key());
        let mut seed = [0; 32];
        seed.iter_mut().zip(low.into_iter().chain(high)).for_each(|(to, from)| *to = from);
        let accept = handshake::accept(key.as_bytes());
        let state = State::Asking { head: Head::default(), accept };
        let masks = Some(Random::new(seed));
        (WebSocket { state, masks }, handshake::request(host, &key))
    }

    /// Takes from `input` what belongs to the next event; `None` when more bytes are needed.
    pub(super) fn receive(&mut self, input: &mut &[u8], limits: &Limits) -> Option<Event> {
        match &mut self.state {
            State::Expecting(head) => {
                let read = match head.collect(input, limits.headers) {
                    Progress::More => return None,
                    Progress::Whole => handshake::read_request(head.as_bytes()),
                    Progress::TooLong => Err(HandshakeError::TooLong),
                };
                Some(match read {
                    Ok((upgrade, accept)) => {
                        self.state = State::Deciding { accept };
                        Event::Upgrade(upgrade)
                    }
                    Err(error) => self.fail(error),
                })
            }
            State::Deciding { .. } => (!input.is_empty()).then(|| self.fail(HandshakeError::Early)),
            State::Asking { head, accept } => {
                let read = match head.collect(input, limits.headers) {
                    Progress::More => return None,
                    Progress::Whole => handshake::read_response(head.as_bytes(), accept),
                    Progress::TooLong => Err(HandshakeError::TooLong),
                };
                Some(match read {
                    Ok(()) => {
                        self.state = State::Open(Frames::new(false));
                        Event::Established
                    }
                    Err(error) => {
                        self.state = State::Failed;
                        Event::Over(Bytes::new(), CloseReason::Handshake(error))
                    }
                })
            }
            State::Open(frames) => match frames.receive(input, limits) {
                Ok(None) => None,
                Ok(Some(received)) => Some(self.on_received(received)),
                Err(violation) => Some(self.on_violation(violation)),
            },
            State::Failed => None,
        }
    }

    /// Whether something has begun and not ended.
    pub(super) fn is_amid(&self) -> bool {
        match &self.state {
            State::Expecting(head) | State::Asking { head, .. } => !head.is_empty(),
            State::Open(frames) => frames.is_amid(),
            State::Deciding { .. } | State::Failed => false,
        }
    }

    /// Grants the request: the answer to it. `None` when there is nothing to decide.
    pub(super) fn accept(&mut self) -> Option<Bytes> {
        let State::Deciding { accept } = &self.state else { return None };
        let response = handshake::response(accept);
        self.state = State::Open(Frames::new(true));
        Some(response)
    }

    /// Refuses the request: the answer to it. `None` when there is nothing to decide.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Option<(Bytes, CloseReason)> {
        let State::Deciding { .. } = &self.state else { return None };
        let error = HandshakeError::from(refusal);
        self.state = State::Failed;
        Some((error.response(), CloseReason::Handshake(error)))
    }

    /// A message in a frame: binary if any of its bytes are not UTF-8 (RFC 7118 §4.2).
    pub(super) fn message(&mut self, message: &[u8]) -> Bytes {
        let text = core::str::from_utf8(message).is_ok();
        self.frame(if text { Opcode::Text } else { Opcode::Binary }, message)
    }

    /// A Ping frame.
    pub(super) fn ping(&mut self) -> Bytes {
        self.frame(Opcode::Ping, b"")
    }

    /// A Close frame that ends an open WebSocket.
    pub(super) fn farewell(&mut self) -> Option<Bytes> {
        match self.state {
            State::Open(_) => Some(self.frame(Opcode::Close, &NORMAL.to_be_bytes())),
            State::Expecting(_) | State::Deciding { .. } | State::Asking { .. } | State::Failed => None,
        }
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Bytes {
        frame(opcode, payload, self.masks.as_mut().map(|masks| masks.next_u32().to_be_bytes()))
    }

    fn fail(&mut self, error: HandshakeError) -> Event {
        self.state = State::Failed;
        Event::Over(error.response(), CloseReason::Handshake(error))
    }

    fn on_received(&mut self, received: Received) -> Event {
        match received {
            Received::Message(message) => self.on_message(message),
            Received::Ping(payload) => Event::Ping(self.frame(Opcode::Pong, &payload)),
            Received::Pong => Event::Pong,
            // §5.5.1: the Close is answered with its own code.
            Received::Close(code) => {
                self.state = State::Failed;
                let code = code.map(u16::to_be_bytes);
                let farewell = self.frame(Opcode::Close, code.as_ref().map_or(&[], |code| code.as_slice()));
                Event::Over(farewell, CloseReason::PeerClosed)
            }
        }
    }

    /// RFC 7118 §6: the keep-alives of RFC 5626 may travel in messages of their own. Nothing but line ends is no SIP.
    fn on_message(&mut self, message: Bytes) -> Event {
        match &*message {
            framing::PING => Event::Ping(self.frame(Opcode::Text, framing::PONG)),
            line_ends if line_ends.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => Event::Pong,
            _ => Event::Message(message),
        }
    }

    fn on_violation(&mut self, violation: Violation) -> Event {
        self.state = State::Failed;
        let farewell = self.frame(Opcode::Close, &violation.code().to_be_bytes());
        Event::Over(farewell, CloseReason::Violation(violation))
    }
}
