//! The life of one connection: what is received, sent, kept alive and timed out.
//!
//! Half-closing is left out on purpose: a peer that ends its side ends the connection, once what waits for it is
//! written.

use super::framing::Framing;
use super::handshake::Refusal;
use super::limits::{Limits, Side};
use super::output::{CloseReason, Deadline, Defect, Output, SendError};
use super::protocol::{Event, Protocol};
use super::timers::{Timer, Timers};
use super::unsent::Unsent;
use super::web_socket::WebSocket;
use crate::Time;
use crate::random::Random;
use bytes::Bytes;
use core::time::Duration;
use std::collections::VecDeque;

/// How long the answer to a keep-alive may take (RFC 5626 §4.4.1).
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How long the peer may take to answer our Close frame (RFC 6455 §7.1.1 leaves it open).
const PART_WITHIN: Duration = Duration::from_secs(5);

/// One stream connection that carries SIP, after TLS if there is any.
///
/// After every call that takes `&mut self`, drain [`Connection::poll_output`] to `None`; call
/// [`Connection::handle_timeout`] when [`Connection::poll_timeout`] has come.
#[derive(Debug)]
pub struct Connection {
    protocol: Protocol,
    phase: Phase,
    limits: Limits,
    timers: Timers,
    keep_alive: Option<Duration>,
    writable: bool,
    outputs: VecDeque<Output>,
    unsent: Unsent,
    /// The answer to the peer's latest keep-alive. There is never more than one, so that keep-alives cannot pile up; a
    /// WebSocket may answer the latest alone (RFC 6455 §5.5.3), and a client of RFC 5626 waits for each.
    pong: Option<Bytes>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Messages travel, or will after the handshake.
    Open,
    /// A message without end was met: input is ignored, the answer may be sent.
    Refusing(Defect),
    /// Our Close frame is sent, the peer's is awaited.
    Parting,
    /// What waits is written, then it is over.
    Ending(CloseReason),
    /// The owner was told.
    Closed,
}

/// Construction.
impl Connection {
    /// A connection whose messages end where their Content-Length says (RFC 3261 §18.3).
    pub fn sip(now: Time, side: Side, limits: Limits) -> Connection {
        let mut connection =
            Connection::new(now, Protocol::Sip(Framing::default()), Unsent::default(), limits);
        match side {
            Side::Accepted => connection.timers.start(Timer::FirstMessage, now + limits.first_message),
            Side::Opened { .. } => {}
        }
        connection
    }

    /// A connection that carries each message in a WebSocket message (RFC 6455, RFC 7118). `random` gives the key of
    /// the handshake and the masks of the frames; both are unpredictable to the peer only if its seed was.
    pub fn web_socket(now: Time, side: Side, limits: Limits, random: &mut Random) -> Connection {
        let (web_socket, request) = match side {
            Side::Accepted => (WebSocket::accepted(), None),
            Side::Opened { host } => {
                let (web_socket, request) = WebSocket::opened(&host, random);
                (web_socket, Some(request))
            }
        };
        let protocol = Protocol::WebSocket(Box::new(web_socket));
        let mut connection = Connection::new(now, protocol, Unsent::holding(), limits);
        connection.timers.start(Timer::FirstMessage, now + limits.first_message);
        if let Some(request) = request {
            connection.unsent.push_now(request);
        }
        connection
    }

    fn new(now: Time, protocol: Protocol, unsent: Unsent, limits: Limits) -> Connection {
        let mut timers = Timers::default();
        timers.start(Timer::Idle, now + limits.idle);
        Connection {
            protocol,
            phase: Phase::Open,
            limits,
            timers,
            keep_alive: None,
            writable: true,
            outputs: VecDeque::new(),
            unsent,
            pong: None,
        }
    }
}

/// What the owner wants.
impl Connection {
    /// Sends a message; one that is sent before the WebSocket handshake is done waits for it.
    ///
    /// # Errors
    /// When too much waits already, and when the connection ends.
    pub fn send(&mut self, now: Time, message: Bytes) -> Result<(), SendError> {
        match self.phase {
            Phase::Open | Phase::Refusing(_) => {}
            Phase::Parting | Phase::Ending(_) | Phase::Closed => return Err(SendError::Closed),
        }
        if self.unsent.bytes().saturating_add(message.len()) > self.limits.unsent {
            return Err(SendError::Full);
        }
        let bytes = self.protocol.message(message);
        self.unsent.push(bytes);
        self.timers.start(Timer::Idle, now + self.limits.idle);
        Ok(())
    }

    /// Ends the connection in order: what waits is written; a WebSocket says Close and waits 5 s for the peer's
    /// (RFC 6455 §7.1.2).
    pub fn close(&mut self, now: Time) {
        match self.phase {
            Phase::Open => match self.protocol.farewell() {
                Some(farewell) => {
                    self.unsent.push(farewell);
                    self.pong = None;
                    self.phase = Phase::Parting;
                    self.timers.stop_all_but(Timer::Write);
                    self.timers.start(Timer::Part, now + PART_WITHIN);
                }
                None => self.end(now, CloseReason::Requested),
            },
            Phase::Refusing(_) => self.end(now, CloseReason::Requested),
            Phase::Parting | Phase::Ending(_) | Phase::Closed => {}
        }
    }

    /// Sends a keep-alive every `interval`, of 10 s at least, the first one `interval` from now, and ends the connection
    /// when one is not answered in 10 s; `None` sends no more. CRLF CRLF (RFC 5626 §4.4.1), on a WebSocket a Ping
    /// frame (RFC 7118 §6).
    ///
    /// §4.4.1 wants each interval drawn anew: call it again with another [`super::Interval::draw`] at
    /// [`Output::Pong`].
    pub fn set_keep_alive(&mut self, now: Time, interval: Option<Duration>) {
        match self.phase {
            Phase::Open => {}
            Phase::Refusing(_) | Phase::Parting | Phase::Ending(_) | Phase::Closed => return,
        }
        self.keep_alive = interval;
        match interval {
            Some(interval) => self.timers.start(Timer::Ping, now + interval),
            None => {
                self.timers.stop(Timer::Ping);
            }
        }
    }

    /// Grants the WebSocket that [`Output::Upgrade`] asked for; without effect at any other time.
    pub fn accept_upgrade(&mut self) {
        if let (Phase::Open, Protocol::WebSocket(web_socket)) = (self.phase, &mut self.protocol)
            && let Some(response) = web_socket.accept()
        {
            self.unsent.push_now(response);
            self.establish();
        }
    }

    /// Refuses the WebSocket that [`Output::Upgrade`] asked for; without effect at any other time.
    pub fn refuse_upgrade(&mut self, now: Time, refusal: Refusal) {
        if let (Phase::Open, Protocol::WebSocket(web_socket)) = (self.phase, &mut self.protocol)
            && let Some((response, reason)) = web_socket.refuse(refusal)
        {
            self.unsent.push_now(response);
            self.end(now, reason);
        }
    }
}

/// What happens to it.
impl Connection {
    /// Takes what the socket gave.
    pub fn handle_bytes(&mut self, now: Time, bytes: &[u8]) {
        let mut input = bytes;
        while let Phase::Open | Phase::Parting = self.phase {
            let Some(event) = self.protocol.receive(&mut input, &self.limits) else { break };
            self.on_event(now, event);
        }
        match self.phase {
            Phase::Open => {}
            Phase::Refusing(_) | Phase::Parting | Phase::Ending(_) | Phase::Closed => return,
        }
        self.timers.start(Timer::Idle, now + self.limits.idle);
        if self.protocol.is_amid() {
            self.timers.start_once(Timer::Message, now + self.limits.message_gap);
        } else {
            self.timers.stop(Timer::Message);
        }
    }

    /// The peer has closed its side.
    pub fn handle_end(&mut self, now: Time) {
        match self.phase {
            Phase::Open if self.protocol.is_amid() => self.end(now, CloseReason::Truncated),
            Phase::Open => self.end(now, CloseReason::PeerClosed),
            Phase::Refusing(defect) => self.end(now, CloseReason::Defective(defect)),
            Phase::Parting => self.end(now, CloseReason::Requested),
            Phase::Ending(_) | Phase::Closed => {}
        }
    }

    /// Whether the socket takes bytes: while it does not, [`Output::Write`] is withheld, all that waits counts
    /// towards [`Limits::unsent`], and the peer has [`Limits::message_gap`] to take some. Messages are handed out
    /// all the same.
    pub fn set_writable(&mut self, now: Time, writable: bool) {
        self.writable = writable;
        match (self.phase, writable) {
            (Phase::Closed, _) => {}
            (_, true) => {
                self.timers.stop(Timer::Write);
            }
            (_, false) => self.timers.start_once(Timer::Write, now + self.limits.message_gap),
        }
    }

    /// Acts on the timers that have run out by `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::FirstMessage => self.abort(CloseReason::TimedOut(Deadline::FirstMessage)),
                Timer::Message => self.on_message_timeout(),
                Timer::Idle => self.abort(CloseReason::TimedOut(Deadline::Idle)),
                Timer::Ping => self.on_ping_due(now),
                Timer::Pong => self.on_pong_missing(),
                Timer::Write => self.abort(CloseReason::TimedOut(Deadline::Write)),
                Timer::Part => self.abort(CloseReason::Requested),
            }
        }
    }

    /// The next thing to do or to know.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.writable
            && let Some(bytes) = self.unsent.pop().or_else(|| self.pong.take())
        {
            return Some(Output::Write(bytes));
        }
        match self.phase {
            Phase::Ending(reason) if self.unsent.is_drained() => {
                self.phase = Phase::Closed;
                self.timers = Timers::default();
                Some(Output::Close(reason))
            }
            Phase::Ending(_) | Phase::Open | Phase::Refusing(_) | Phase::Parting | Phase::Closed => None,
        }
    }

    /// When [`Connection::handle_timeout`] is due; `None` once it is closed.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }
}

impl Connection {
    fn on_event(&mut self, now: Time, event: Event) {
        match (self.phase, event) {
            (_, Event::Over(farewell, reason)) => self.on_over(now, farewell, reason),
            (Phase::Open, Event::Message(message)) => {
                self.timers.stop(Timer::FirstMessage);
                self.timers.stop(Timer::Message);
                self.outputs.push_back(Output::Message(message));
            }
            (Phase::Open, Event::Defective(defective)) => {
                self.phase = Phase::Refusing(defective.defect);
                self.timers.stop_all_but(Timer::Write);
                self.timers.start(Timer::Message, now + self.limits.message_gap);
                self.outputs.push_back(Output::Defective(defective));
            }
            (Phase::Open, Event::Ping(answer)) => self.pong = Some(answer),
            (Phase::Open, Event::Pong) => {
                if self.timers.stop(Timer::Pong) {
                    self.protocol.pong_taken();
                    self.outputs.push_back(Output::Pong);
                }
            }
            (Phase::Open, Event::Upgrade(upgrade)) => self.outputs.push_back(Output::Upgrade(upgrade)),
            (Phase::Open, Event::Established) => {
                // The server has nothing to say first.
                self.timers.stop(Timer::FirstMessage);
                self.establish();
            }
            // What arrives after we have closed is of no interest.
            (
                Phase::Refusing(_) | Phase::Parting | Phase::Ending(_) | Phase::Closed,
                Event::Message(_)
                | Event::Defective(_)
                | Event::Ping(_)
                | Event::Pong
                | Event::Upgrade(_)
                | Event::Established,
            ) => {}
        }
    }

    /// A Close frame of the peer, or a breach of the rules.
    fn on_over(&mut self, now: Time, farewell: Bytes, reason: CloseReason) {
        match self.phase {
            Phase::Open => {
                self.unsent.push_now(farewell);
                self.end(now, reason);
            }
            // Ours is sent already, and there is but one (RFC 6455 §5.5.1).
            Phase::Parting => self.end(now, CloseReason::Requested),
            Phase::Refusing(_) | Phase::Ending(_) | Phase::Closed => {}
        }
    }

    fn establish(&mut self) {
        self.unsent.release();
        self.outputs.push_back(Output::Established);
    }

    fn on_message_timeout(&mut self) {
        match self.phase {
            Phase::Refusing(defect) => self.abort(CloseReason::Defective(defect)),
            Phase::Open | Phase::Parting | Phase::Ending(_) | Phase::Closed => {
                self.abort(CloseReason::TimedOut(Deadline::Message));
            }
        }
    }

    fn on_ping_due(&mut self, now: Time) {
        let Some(interval) = self.keep_alive else { return };
        let ping = self.protocol.ping();
        self.unsent.push(ping);
        self.timers.start_once(Timer::Pong, now + PONG_WITHIN);
        self.timers.start(Timer::Ping, now + interval.max(PONG_WITHIN));
    }

    /// RFC 5626 §4.4.1: a message that is being received may end first; it has its own deadline.
    fn on_pong_missing(&mut self) {
        match self.timers.at(Timer::Message) {
            Some(deadline) => self.timers.start(Timer::Pong, deadline),
            None => self.abort(CloseReason::TimedOut(Deadline::Pong)),
        }
    }

    /// Ends once all that waits is written, for which the peer has so much time.
    fn end(&mut self, now: Time, reason: CloseReason) {
        self.unsent.drop_held();
        self.pong = None;
        self.timers.stop_all_but(Timer::Write);
        self.timers.start_once(Timer::Write, now + self.limits.message_gap);
        self.phase = Phase::Ending(reason);
    }

    /// Ends at once; what waits is dropped, so there is nothing to time.
    fn abort(&mut self, reason: CloseReason) {
        self.unsent = Unsent::default();
        self.pong = None;
        self.timers = Timers::default();
        self.phase = Phase::Ending(reason);
    }
}
