//! One connection from its first packet to its last: connecting, TLS, open, ending.
//!
//! What is sent and received while it is open is the business of [`Connection`]; this moves its bytes and tells the
//! owner. An ending connection is read until the peer ends its side too: closing a socket in which bytes wait would
//! reset it, and the peer might never read our last answer.

use super::counters::Counts;
use super::identity::Identity;
use super::outbox::Outbox;
use super::socket::{Left, Socket, Took};
use super::streams::{Bounds, Ended, Report};
use crate::Time;
use crate::random::Random;
use crate::transport::stream::{CloseReason, Connection, Limits, Output, Refusal, Side, Upgrade};
use crate::transport::{Flow, Transport};
use bytes::Bytes;
use core::time::Duration;
use std::collections::VecDeque;
use tracing::{debug, trace};

/// How long a peer may take to end its side after we have ended ours.
const LINGER: Duration = Duration::from_secs(2);
/// Transactions remembered until what was sent for them is written. The oldest are long written: so many messages are
/// more than [`Limits::unsent`] bytes.
const REMEMBERED: usize = 4_096;

/// What a connection works with while it is looked at.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) buffer: &'a mut [u8],
    pub(super) random: &'a mut Random,
    pub(super) outbox: &'a mut Outbox,
    pub(super) rules: &'a Rules,
    pub(super) counts: &'a Counts,
}

/// What holds for all connections.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) origins: Option<Box<[Box<str>]>>,
    pub(super) limits: Limits,
    pub(super) bounds: Bounds,
}

/// Who opened it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// The peer.
    Peer,
    /// We, for this domain; without one, for the address.
    Us {
        /// The domain.
        name: Option<Box<str>>,
    },
}

/// A message, and who hears when it is not sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Bytes,
    pub(super) transaction: Option<u64>,
}

#[derive(Debug)]
enum Stage {
    /// The network is asked.
    Connecting { until: Time, waiting: Vec<Outgoing> },
    /// TLS is being agreed.
    Handshaking { until: Time, waiting: Vec<Outgoing> },
    /// The connection decides.
    Open(Box<Connection>),
    /// What waits is written; then the peer's end is awaited.
    Ending { until: Time, finished: bool },
    /// Nothing more.
    Gone,
}

/// A connection with its socket.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) flow: Flow,
    pub(super) opener: Opener,
    pub(super) socket: Socket,
    identity: Identity,
    stage: Stage,
    /// Whether the owner knows of it.
    told: bool,
    /// The socket's turn: what it has not taken yet.
    pieces: VecDeque<Bytes>,
    /// Whether the socket takes nothing.
    blocked: bool,
    /// Transactions whose messages may not be written yet.
    unsent: VecDeque<u64>,
    keep_alive: Option<Duration>,
    /// In one of the driver's queues for reading.
    pub(super) queued: bool,
    /// In the driver's list of those to be pumped.
    pub(super) dirty: bool,
    /// The driver's timer.
    pub(super) armed: Option<Time>,
}

impl Peer {
    /// One that was accepted. Without TLS it is open at once.
    pub(super) fn accepted(cx: &mut Context<'_>, flow: Flow, socket: Socket) -> Peer {
        let until = cx.now + cx.rules.bounds.handshake;
        let mut peer = Peer::new(flow, Opener::Peer, socket, Stage::Gone);
        if peer.socket.is_handshaking() {
            peer.stage = Stage::Handshaking { until, waiting: Vec::new() };
        } else {
            peer.open(cx, Vec::new());
        }
        peer
    }

    /// One that is being connected.
    pub(super) fn connecting(cx: &Context<'_>, flow: Flow, name: Option<Box<str>>, socket: Socket) -> Peer {
        let until = cx.now + cx.rules.bounds.connect;
        Peer::new(flow, Opener::Us { name }, socket, Stage::Connecting { until, waiting: Vec::new() })
    }

    fn new(flow: Flow, opener: Opener, socket: Socket, stage: Stage) -> Peer {
        Peer {
            flow,
            told: opener != Opener::Peer,
            opener,
            socket,
            identity: Identity::default(),
            stage,
            pieces: VecDeque::new(),
            blocked: false,
            unsent: VecDeque::new(),
            keep_alive: None,
            queued: false,
            dirty: false,
            armed: None,
        }
    }

    /// Whether messages can be given to it.
    pub(super) fn is_usable(&self) -> bool {
        match self.stage {
            Stage::Connecting { .. } | Stage::Handshaking { .. } | Stage::Open(_) => true,
            Stage::Ending { .. } | Stage::Gone => false,
        }
    }

    /// Whether its socket can be closed.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// Whether reading may cost a signature.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Handshaking { .. })
    }

    /// Whether a message for the domain, or for the address itself, may take this connection (RFC 5923 §8.1, §9.3).
    pub(super) fn serves(&self, name: Option<&str>) -> bool {
        if !self.flow.transport.is_secure() {
            return true;
        }
        let verified = match &self.opener {
            Opener::Peer => false,
            Opener::Us { name: ours } => match (ours, name) {
                (Some(ours), Some(name)) => ours.eq_ignore_ascii_case(name),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            },
        };
        verified || name.is_some_and(|name| self.identity.includes(name))
    }

    /// When [`Peer::on_timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.stage {
            Stage::Connecting { until, .. }
            | Stage::Handshaking { until, .. }
            | Stage::Ending { until, .. } => Some(*until),
            Stage::Open(connection) => connection.poll_timeout(),
            Stage::Gone => None,
        }
    }
}

/// What the owner wants.
impl Peer {
    /// Takes a message; [`Peer::pump`] writes it.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, message: Outgoing) {
        match &mut self.stage {
            Stage::Connecting { waiting, .. } | Stage::Handshaking { waiting, .. } => {
                if waiting.len() < cx.rules.bounds.waiting {
                    waiting.push(message);
                } else {
                    unsent(cx, message.transaction);
                }
            }
            Stage::Open(connection) => {
                if connection.send(cx.now, message.bytes.clone()).is_ok() {
                    return self.remember(message.transaction);
                }
                // Perhaps what waits has only not been written in this turn.
                self.pump(cx);
                let sent = match &mut self.stage {
                    Stage::Open(connection) => connection.send(cx.now, message.bytes).is_ok(),
                    Stage::Connecting { .. }
                    | Stage::Handshaking { .. }
                    | Stage::Ending { .. }
                    | Stage::Gone => false,
                };
                if sent {
                    self.remember(message.transaction);
                } else {
                    unsent(cx, message.transaction);
                }
            }
            Stage::Ending { .. } | Stage::Gone => unsent(cx, message.transaction),
        }
    }

    /// Ends it in order.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        match &mut self.stage {
            Stage::Connecting { .. } | Stage::Handshaking { .. } => {
                self.end(cx, Ended::Protocol(CloseReason::Requested));
            }
            Stage::Open(connection) => {
                connection.close(cx.now);
                self.pump(cx);
            }
            Stage::Ending { .. } | Stage::Gone => {}
        }
    }

    /// Sends keep-alives from now on, or no more.
    pub(super) fn keep_alive(&mut self, cx: &mut Context<'_>, interval: Option<Duration>) {
        self.keep_alive = interval;
        let interval = interval.map(|longest| jittered(longest, cx.random));
        if let Stage::Open(connection) = &mut self.stage {
            connection.set_keep_alive(cx.now, interval);
        }
    }

    fn remember(&mut self, transaction: Option<u64>) {
        if let Some(transaction) = transaction {
            if self.unsent.len() >= REMEMBERED {
                self.unsent.pop_front();
            }
            self.unsent.push_back(transaction);
        }
    }
}

/// What happens.
impl Peer {
    /// The socket takes bytes, or connecting is decided.
    pub(super) fn on_writable(&mut self, cx: &mut Context<'_>) {
        match &mut self.stage {
            Stage::Connecting { .. } => self.on_connected(cx),
            Stage::Handshaking { .. } | Stage::Ending { .. } => self.write(cx),
            Stage::Open(connection) => {
                if self.blocked {
                    self.blocked = false;
                    connection.set_writable(cx.now, true);
                    self.pump(cx);
                }
            }
            Stage::Gone => {}
        }
    }

    /// Reads once; whether there may be more.
    pub(super) fn on_readable(&mut self, cx: &mut Context<'_>) -> bool {
        let left = match &mut self.stage {
            Stage::Connecting { .. } | Stage::Gone => return false,
            Stage::Ending { finished, .. } => {
                let left = self.socket.discard(cx.buffer);
                if self.socket.at_end && *finished {
                    self.stage = Stage::Gone;
                }
                return left == Left::More;
            }
            Stage::Handshaking { .. } => self.read_handshake(cx),
            Stage::Open(connection) => {
                let now = cx.now;
                let left = self.socket.read(cx.buffer, |bytes| connection.handle_bytes(now, bytes));
                if left == Ok(Left::End) {
                    connection.handle_end(cx.now);
                }
                // What was whole before a failure counts.
                self.pump(cx);
                left
            }
        };
        match left {
            Ok(left) => left == Left::More,
            Err(reason) => {
                self.end(cx, reason);
                false
            }
        }
    }

    /// The deadline has come.
    pub(super) fn on_timeout(&mut self, cx: &mut Context<'_>) {
        match &mut self.stage {
            Stage::Connecting { until, .. } if *until <= cx.now => self.end(cx, Ended::ConnectTimeout),
            Stage::Handshaking { until, .. } if *until <= cx.now => self.end(cx, Ended::HandshakeTimeout),
            Stage::Ending { until, .. } if *until <= cx.now => self.leave(cx),
            Stage::Open(connection) => {
                connection.handle_timeout(cx.now);
                self.pump(cx);
            }
            Stage::Connecting { .. } | Stage::Handshaking { .. } | Stage::Ending { .. } | Stage::Gone => {}
        }
    }

    /// Does what the connection wants done, and writes.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) {
        loop {
            let Stage::Open(connection) = &mut self.stage else { return };
            match connection.poll_output() {
                Some(Output::Message(bytes)) => cx.outbox.push(Report::Received { flow: self.flow, bytes }),
                Some(Output::Defective(defective)) => {
                    debug!(flow = %self.flow, defect = %defective.defect, "message without end");
                    if let Some(answer) = defective.answer(&cx.random.tag(), self.flow.peer) {
                        // Where no room is left, the peer goes without an answer.
                        let _ = connection.send(cx.now, answer);
                    }
                }
                Some(Output::Upgrade(upgrade)) => match refusal(&upgrade, cx.rules) {
                    None => connection.accept_upgrade(),
                    Some(refusal) => connection.refuse_upgrade(cx.now, refusal),
                },
                Some(Output::Established) => self.opened(cx),
                Some(Output::Pong) => {
                    let interval = self.keep_alive.map(|longest| jittered(longest, cx.random));
                    connection.set_keep_alive(cx.now, interval);
                }
                Some(Output::Write(bytes)) => self.pieces.push_back(bytes),
                Some(Output::Close(reason)) => return self.end(cx, Ended::Protocol(reason)),
                None if self.pieces.is_empty() || self.blocked => return,
                None => self.write(cx),
            }
        }
    }
}

impl Peer {
    fn on_connected(&mut self, cx: &mut Context<'_>) {
        match (self.socket.tcp.take_error(), self.socket.tcp.peer_addr()) {
            (Ok(None), Ok(_)) => {}
            (Ok(None), Err(error)) if error.kind() == std::io::ErrorKind::NotConnected => return,
            (Ok(Some(error)) | Err(error), _) | (Ok(None), Err(error)) => {
                return self.end(cx, Ended::Unreachable(error.kind()));
            }
        }
        let Stage::Connecting { waiting, .. } = core::mem::replace(&mut self.stage, Stage::Gone) else {
            return;
        };
        if self.socket.is_handshaking() {
            self.stage = Stage::Handshaking { until: cx.now + cx.rules.bounds.handshake, waiting };
            self.write(cx);
        } else {
            self.open(cx, waiting);
        }
    }

    /// Reads once; what the peer sent right behind its handshake goes to the new connection.
    fn read_handshake(&mut self, cx: &mut Context<'_>) -> Result<Left, Ended> {
        let mut early = Vec::new();
        let left = self.socket.read(cx.buffer, |bytes| early.extend_from_slice(bytes))?;
        if self.socket.is_handshaking() {
            if left == Left::End {
                return Err(Ended::Socket(std::io::ErrorKind::UnexpectedEof));
            }
            self.write(cx);
            return Ok(left);
        }
        if let Stage::Handshaking { waiting, .. } = core::mem::replace(&mut self.stage, Stage::Gone) {
            self.identity = self.socket.identity();
            self.open(cx, waiting);
        }
        if let Stage::Open(connection) = &mut self.stage {
            connection.handle_bytes(cx.now, &early);
            if left == Left::End {
                connection.handle_end(cx.now);
            }
            self.pump(cx);
        }
        // TLS has words of its own after the handshake, with or without a message.
        self.write(cx);
        Ok(left)
    }

    fn open(&mut self, cx: &mut Context<'_>, waiting: Vec<Outgoing>) {
        let side = match &self.opener {
            Opener::Peer => Side::Accepted,
            Opener::Us { name } => Side::Opened { host: name.clone().unwrap_or_default() },
        };
        let limits = cx.rules.limits;
        let connection = match self.flow.transport {
            Transport::Ws | Transport::Wss => Connection::web_socket(cx.now, side, limits, cx.random),
            Transport::Udp | Transport::Tcp | Transport::Tls => {
                self.opened(cx);
                Connection::sip(cx.now, side, limits)
            }
        };
        self.stage = Stage::Open(Box::new(connection));
        if self.keep_alive.is_some() {
            self.keep_alive(cx, self.keep_alive);
        }
        for message in waiting {
            self.send(cx, message);
        }
        self.pump(cx);
    }

    fn opened(&mut self, cx: &mut Context<'_>) {
        match self.opener {
            Opener::Peer => cx.counts.accepted.add(),
            Opener::Us { .. } => cx.counts.opened.add(),
        }
        trace!(flow = %self.flow, "connection open");
        self.told = true;
        cx.outbox.push(Report::Opened { flow: self.flow, identity: self.identity.clone() });
    }

    /// Writes what waits, and draws the conclusions.
    fn write(&mut self, cx: &mut Context<'_>) {
        let took = match self.socket.write(&mut self.pieces) {
            Ok(took) => took,
            Err(reason) => return self.end(cx, reason),
        };
        self.blocked = took != Took::All;
        match (&mut self.stage, took) {
            (Stage::Open(_), Took::All) => self.unsent.clear(),
            (Stage::Open(connection), Took::Some | Took::None) => {
                if took == Took::Some {
                    connection.set_writable(cx.now, true);
                }
                connection.set_writable(cx.now, false);
            }
            (Stage::Ending { finished, .. }, Took::All) => {
                self.unsent.clear();
                if !*finished {
                    *finished = true;
                    self.socket.finish();
                }
                if self.socket.at_end {
                    self.stage = Stage::Gone;
                }
            }
            (Stage::Ending { .. }, Took::Some | Took::None)
            | (
                Stage::Connecting { .. } | Stage::Handshaking { .. } | Stage::Gone,
                Took::All | Took::Some | Took::None,
            ) => {}
        }
    }

    /// It is over: tells the owner, and lets the socket go now or when the peer has heard it.
    fn end(&mut self, cx: &mut Context<'_>, reason: Ended) {
        debug!(flow = %self.flow, %reason, "connection ends");
        let stage = core::mem::replace(&mut self.stage, Stage::Gone);
        match (&stage, &reason) {
            (Stage::Ending { .. } | Stage::Gone, _) => return self.leave(cx),
            (Stage::Connecting { .. }, _) => cx.counts.unreachable.add(),
            (Stage::Handshaking { .. }, _) => cx.counts.handshake_failures.add(),
            (Stage::Open(_), _) => {}
        }
        if let Stage::Connecting { waiting, .. } | Stage::Handshaking { waiting, .. } = stage {
            waiting.iter().for_each(|message| unsent(cx, message.transaction));
        }
        if core::mem::take(&mut self.told) {
            cx.outbox.push(Report::Closed { flow: self.flow, reason: reason.clone() });
        }
        match reason {
            Ended::Protocol(CloseReason::TimedOut(_)) | Ended::HandshakeTimeout => {
                self.socket.finish();
                self.leave(cx);
            }
            Ended::Protocol(
                CloseReason::Requested
                | CloseReason::Defective(_)
                | CloseReason::Handshake(_)
                | CloseReason::Violation(_)
                | CloseReason::PeerClosed
                | CloseReason::Truncated,
            ) => self.linger(cx),
            Ended::Tls(_) => {
                // Of what waits nothing can be sent any more, but for the alert.
                self.pieces.clear();
                self.leave(cx);
                self.linger(cx);
            }
            Ended::Unreachable(_)
            | Ended::ConnectTimeout
            | Ended::Socket(_)
            | Ended::TooMany
            | Ended::NoTls => self.leave(cx),
        }
    }

    fn linger(&mut self, cx: &mut Context<'_>) {
        self.stage = Stage::Ending { until: cx.now + LINGER, finished: false };
        self.write(cx);
    }

    /// The socket can be closed; what it has not taken is lost.
    fn leave(&mut self, cx: &mut Context<'_>) {
        self.stage = Stage::Gone;
        self.unsent.drain(..).for_each(|transaction| unsent(cx, Some(transaction)));
    }
}

/// Counts a message that is not sent, and tells its transaction.
pub(super) fn unsent(cx: &mut Context<'_>, transaction: Option<u64>) {
    cx.counts.unsent.add();
    if let Some(transaction) = transaction {
        cx.outbox.push(Report::Unsent { transaction });
    }
}

/// Why a WebSocket is refused, if it is (RFC 6455 §4.2.2, §10.2).
fn refusal(upgrade: &Upgrade, rules: &Rules) -> Option<Refusal> {
    let (Some(allowed), Some(origin)) = (&rules.origins, &upgrade.origin) else { return None };
    let is_allowed = allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin));
    (!is_allowed).then_some(Refusal::Forbidden)
}

/// Between 80 % and all of `longest` (RFC 5626 §4.4.1).
fn jittered(longest: Duration, random: &mut Random) -> Duration {
    let parts = 800 + random.next_u32() % 201;
    longest / 1_000 * parts
}
