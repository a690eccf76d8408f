//! What the thread of the stream sockets does: one wait for events, then a bounded piece of everything there is to do.
//!
//! Order within a turn: writes that became possible, commands, deadlines, accepting, reading, handshakes, writing.
//! Established connections go before handshakes, of which a turn does [`HANDSHAKES`]: a signature takes as long as a
//! hundred messages. While the owner does not take the reports, only writing goes on.

use super::listener::{Accepted, Listener};
use super::outbox::Outbox;
use super::peer::{Context, Peer, Rules};
use super::pool::{PeerId, Pool};
use super::socket::Socket;
use super::streams::{Command, Report, StreamsConfig};
use super::thread::{Shared, WAKER};
use super::tls::Tls;
use crate::Time;
use crate::random::Random;
use crate::transport::{Flow, Transport};
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ringbuf::traits::Observer;
use ringbuf::{HeapCons, HeapProd};
use rustls::ServerConnection;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use tracing::{error, warn};

/// Events of one wait.
const EVENTS: usize = 1_024;
/// Connections that one listener accepts in one turn.
const ACCEPTS: usize = 64;
/// Reads of connections in a handshake in one turn.
const HANDSHAKES: usize = 4;
/// Octets of one read.
const READ: usize = 65_536;

/// Everything that the thread owns.
pub(super) struct Driver {
    poll: Poll,
    listeners: Vec<Listener>,
    pub(super) tls: Option<Tls>,
    pub(super) pool: Pool,
    next_id: PeerId,
    deadlines: BTreeSet<(Time, PeerId)>,
    readable: VecDeque<PeerId>,
    handshaking: VecDeque<PeerId>,
    pub(super) dirty: Vec<PeerId>,
    pub(super) commands: HeapCons<Command>,
    pub(super) outbox: Outbox,
    pub(super) rules: Rules,
    random: Random,
    buffer: Vec<u8>,
    pub(super) shared: Arc<Shared>,
    now: Time,
}

impl Driver {
    pub(super) fn new(
        poll: Poll,
        mut listeners: Vec<Listener>,
        config: StreamsConfig,
        seed: [u8; 32],
        (commands, reports): (HeapCons<Command>, HeapProd<Report>),
        shared: Arc<Shared>,
    ) -> io::Result<Driver> {
        for (index, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(&mut listener.socket, Token(index), Interest::READABLE)?;
        }
        Ok(Driver {
            poll,
            next_id: listeners.len(),
            listeners,
            tls: config.tls,
            pool: Pool::default(),
            deadlines: BTreeSet::new(),
            readable: VecDeque::new(),
            handshaking: VecDeque::new(),
            dirty: Vec::new(),
            commands,
            outbox: Outbox::new(reports),
            rules: Rules { origins: config.origins, limits: config.limits, bounds: config.bounds },
            random: Random::new(seed),
            buffer: vec![0; READ],
            shared,
            now: Time(0),
        })
    }

    /// Turns until it is told to stop.
    pub(super) fn run(mut self, clock: &dyn Fn() -> Time, on_report: &dyn Fn()) {
        let mut events = Events::with_capacity(EVENTS);
        self.now = clock();
        loop {
            let blocked = self.is_blocked(on_report);
            match self.wait(&mut events, blocked) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    error!(%error, "the poll of the stream sockets failed");
                    return;
                }
            }
            self.now = clock();
            if self.shared.stop.load(Ordering::SeqCst) {
                let (pool, mut cx) = self.split();
                return pool.close_all(&mut cx);
            }
            events.iter().for_each(|event| self.on_event(event));
            if !blocked {
                self.turn();
            }
            if self.outbox.flush() {
                on_report();
            }
        }
    }

    /// Whether the owner has to take reports before anything more is read.
    fn is_blocked(&mut self, on_report: &dyn Fn()) -> bool {
        if !self.outbox.is_blocked() {
            return false;
        }
        self.shared.blocked.store(true, Ordering::SeqCst);
        // Against the owner, who empties the ring and then looks whether we are blocked.
        fence(Ordering::SeqCst);
        if self.outbox.flush() {
            on_report();
        }
        let blocked = self.outbox.is_blocked();
        if blocked {
            self.shared.counts.reports_blocked.add();
        } else {
            self.shared.blocked.store(false, Ordering::SeqCst);
        }
        blocked
    }

    fn wait(&mut self, events: &mut Events, blocked: bool) -> io::Result<()> {
        let timeout = if blocked {
            None
        } else if self.has_work() {
            Some(Duration::ZERO)
        } else {
            self.next_deadline().map(|deadline| deadline.since(self.now))
        };
        self.shared.polling.store(true, Ordering::SeqCst);
        // Against the owner, who puts a command into the ring and then looks whether we wait.
        fence(Ordering::SeqCst);
        let timeout = if blocked || self.commands.is_empty() { timeout } else { Some(Duration::ZERO) };
        let result = self.poll.poll(events, timeout);
        self.shared.polling.store(false, Ordering::SeqCst);
        result
    }

    fn has_work(&self) -> bool {
        let accepts = self.listeners.iter().any(|listener| listener.ready && listener.paused.is_none());
        accepts || !self.readable.is_empty() || !self.handshaking.is_empty()
    }

    fn next_deadline(&self) -> Option<Time> {
        let paused = self.listeners.iter().filter_map(|listener| listener.paused);
        paused.chain(self.deadlines.first().map(|(deadline, _)| *deadline)).min()
    }

    fn on_event(&mut self, event: &Event) {
        if event.token() == WAKER {
            return;
        }
        let Token(id) = event.token();
        if let Some(listener) = self.listeners.get_mut(id) {
            listener.ready = true;
            return;
        }
        let failed = event.is_error();
        if event.is_writable() || failed {
            self.touch(id, Peer::on_writable);
        }
        let ends = event.is_read_closed() || failed;
        if event.is_readable() || ends {
            if let Some(peer) = self.pool.get_mut(id) {
                peer.socket.end_is_near |= ends;
            }
            self.enqueue(id);
        }
    }

    /// A bounded piece of everything.
    fn turn(&mut self) {
        self.obey();
        self.expire();
        for index in 0..self.listeners.len() {
            self.accept(index);
        }
        for _ in 0..self.readable.len() {
            if self.outbox.is_full() {
                break;
            }
            let next = self.readable.pop_front();
            self.read(next);
        }
        for _ in 0..self.handshaking.len().min(HANDSHAKES) {
            let next = self.handshaking.pop_front();
            self.read(next);
        }
        for id in core::mem::take(&mut self.dirty) {
            self.touch(id, |peer, cx| {
                peer.dirty = false;
                peer.pump(cx);
            });
        }
    }

    fn expire(&mut self) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= self.now
        {
            self.deadlines.pop_first();
            self.touch(id, |peer, cx| {
                peer.armed = None;
                peer.on_timeout(cx);
            });
        }
    }

    /// Puts a connection into the queue for reading, unless it is there.
    fn enqueue(&mut self, id: PeerId) {
        let Some(peer) = self.pool.get_mut(id) else { return };
        if !core::mem::replace(&mut peer.queued, true) {
            let queue = if peer.is_handshaking() { &mut self.handshaking } else { &mut self.readable };
            queue.push_back(id);
        }
    }

    fn read(&mut self, id: Option<PeerId>) {
        let Some(id) = id else { return };
        let more = self.touch(id, |peer, cx| {
            peer.queued = false;
            peer.on_readable(cx)
        });
        if more == Some(true) {
            self.enqueue(id);
        }
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get_mut(index) else { return };
            if listener.paused.is_some_and(|until| until <= self.now) {
                listener.paused = None;
            }
            if !listener.ready || listener.paused.is_some() || self.outbox.is_full() {
                return;
            }
            match listener.accept(self.now) {
                Accepted::Connection(tcp, flow) => self.on_accepted(tcp, flow),
                Accepted::Lost => {}
                Accepted::Drained => return,
                Accepted::Paused(error) => {
                    self.shared.counts.accept_pauses.add();
                    warn!(%error, "no connection can be accepted for now");
                    return;
                }
            }
        }
    }

    fn on_accepted(&mut self, tcp: TcpStream, flow: Flow) {
        let tls = match flow.transport {
            Transport::Tls | Transport::Wss => {
                let config = self.tls.as_ref().and_then(|tls| tls.server.clone());
                match config.map(ServerConnection::new) {
                    Some(Ok(connection)) => Some(connection.into()),
                    Some(Err(_)) | None => return self.shared.counts.refused.add(),
                }
            }
            Transport::Udp | Transport::Tcp | Transport::Ws => None,
        };
        if !self.pool.admits(flow.peer, &self.rules.bounds) {
            return self.shared.counts.refused.add();
        }
        let socket = Socket::new(tcp, tls);
        if self.adopt(socket, |cx, socket| Peer::accepted(cx, flow, socket)).is_err() {
            self.shared.counts.refused.add();
        }
    }

    /// Takes a socket into the poll and the connection that `make` makes of it into the pool.
    pub(super) fn adopt(
        &mut self,
        mut socket: Socket,
        make: impl FnOnce(&mut Context<'_>, Socket) -> Peer,
    ) -> io::Result<PeerId> {
        // Messages are written whole: waiting for more only delays them.
        if let Err(error) = socket.tcp.set_nodelay(true) {
            tracing::debug!(%error, "small segments are delayed");
        }
        let id = self.next_id;
        self.poll.registry().register(&mut socket.tcp, Token(id), Interest::READABLE | Interest::WRITABLE)?;
        self.next_id += 1;
        let (pool, mut cx) = self.split();
        let peer = make(&mut cx, socket);
        pool.insert(id, peer);
        self.settle(id);
        Ok(id)
    }

    /// Lets something happen to a connection, unless it is gone, and draws the conclusions.
    pub(super) fn touch<R>(
        &mut self,
        id: PeerId,
        act: impl FnOnce(&mut Peer, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let (pool, mut cx) = self.split();
        let result = act(pool.get_mut(id)?, &mut cx);
        self.settle(id);
        Some(result)
    }

    pub(super) fn split(&mut self) -> (&mut Pool, Context<'_>) {
        let Driver { pool, buffer, random, outbox, rules, shared, now, .. } = self;
        (pool, Context { now: *now, buffer, random, outbox, rules, counts: &shared.counts })
    }

    /// After something happened to a connection: its deadline, and whether it can be found or is gone.
    fn settle(&mut self, id: PeerId) {
        let Some(peer) = self.pool.get_mut(id) else { return };
        if peer.is_gone() {
            if let Some(armed) = peer.armed {
                self.deadlines.remove(&(armed, id));
            }
            // The descriptor goes with the socket, and so does what the poll knows of it.
            let _ = self.poll.registry().deregister(&mut peer.socket.tcp);
            self.pool.remove(id);
            return;
        }
        // A deadline that moved on is left where it is: when it comes, the next one is set.
        if let Some(deadline) = peer.deadline()
            && peer.armed.is_none_or(|armed| deadline < armed)
        {
            if let Some(armed) = peer.armed.replace(deadline) {
                self.deadlines.remove(&(armed, id));
            }
            self.deadlines.insert((deadline, id));
        }
        if !peer.is_usable() {
            self.pool.hide(id);
        }
    }
}
