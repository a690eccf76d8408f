//! What the media thread does: it waits, obeys commands, moves packets, ticks, and tells what happened.
//!
//! The poll is edge-triggered, so a socket is read until it is drained; one that never is gets a turn per round, so that a
//! flood on one leg does not starve the others.
//!
//! Left out on purpose: relaying RTCP, which is read and counted; and sending in batches, which gains nothing for packets to
//! different destinations.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};
use smallvec::SmallVec;
use tracing::debug;

use super::batch::{Batch, Received};
use super::clock;
use super::pace::Pace;
use super::ports::{PortPair, Ports};
use super::thread::{AWAKE, PAUSED, POLLING, Shared, WAKER};
use crate::shard::{Command, LegAddresses, LegKey, LegPorts, Output, RefusalReason, Report, Shard};
use crate::time::Time;

/// Commands obeyed per wake; opening a leg costs some ten system calls.
const COMMANDS_PER_WAKE: usize = 32;
/// Batches taken from one socket before the others have their turn.
const BATCHES_PER_TURN: usize = 4;
/// Events taken from one poll.
const EVENTS: usize = 512;
/// How long to wait for room in the report ring.
const RETRY: Duration = Duration::from_millis(5);

/// The thread's ends of the rings.
pub(super) struct Link {
    commands: HeapCons<Command>,
    reports: HeapProd<Report>,
    shared: Arc<Shared>,
    /// Reports were put into the ring and the core has not been woken yet.
    unannounced: bool,
}

impl Link {
    pub(super) const fn new(
        commands: HeapCons<Command>,
        reports: HeapProd<Report>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { commands, reports, shared, unannounced: false }
    }
}

/// The sockets of a leg and what is needed to use them.
struct LegSockets {
    key: LegKey,
    ipv6: bool,
    pair: PortPair,
}

/// Which of a leg's sockets an event is for. Packed into a token: slot × 2, plus one for RTCP.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readable {
    Rtp(usize),
    Rtcp(usize),
}

impl Readable {
    const fn from_token(token: Token) -> Self {
        if token.0.is_multiple_of(2) { Self::Rtp(token.0 / 2) } else { Self::Rtcp(token.0 / 2) }
    }

    const fn token(self) -> Token {
        match self {
            Self::Rtp(slot) => Token(slot * 2),
            Self::Rtcp(slot) => Token(slot * 2 + 1),
        }
    }
}

/// A shard with its sockets.
pub(super) struct Driver {
    poll: Poll,
    shard: Shard,
    ports: Ports,
    /// By the slot of the leg's key.
    sockets: Vec<Option<LegSockets>>,
    batch: Batch,
    /// Sockets that had more than their turn allowed.
    undrained: VecDeque<Readable>,
    pace: Pace,
    /// Datagrams received since the last wait.
    round: usize,
    link: Link,
}

impl Driver {
    pub(super) fn new(poll: Poll, shard: Shard, ports: Ports, pace: Pace, link: Link) -> Self {
        Self {
            poll,
            shard,
            ports,
            sockets: Vec::new(),
            batch: Batch::new(),
            undrained: VecDeque::new(),
            pace,
            round: 0,
            link,
        }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self, on_report: impl Fn()) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.wait(&mut events);
            if self.link.shared.stop.load(Ordering::SeqCst) {
                return;
            }
            let now = clock::now();
            // Commands first: what they open and relay is ready for the packets of this wake.
            self.handle_commands(now);
            for _ in 0..self.undrained.len() {
                if let Some(readable) = self.undrained.pop_front() {
                    self.handle_readable(now, readable);
                }
            }
            for event in events.iter().filter(|event| event.token() != WAKER) {
                self.handle_readable(now, Readable::from_token(event.token()));
            }
            self.shard.tick(now);
            self.handle_news(now);
            if std::mem::take(&mut self.link.unannounced) {
                on_report();
            }
            let packets = std::mem::take(&mut self.round);
            if let Some(pause) = self.pace.handle_round(now, packets) {
                self.pause(pause);
            }
        }
    }

    /// Sleeps until a datagram, a command, a deadline or the end.
    fn wait(&mut self, events: &mut Events) {
        // The core pushes, then looks at the flag; here the flag is set, then the ring is looked at. One of the two sees the
        // other.
        self.link.shared.waiting.store(POLLING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let timeout = self.timeout();
        if let Err(error) = self.poll.poll(events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            debug!(%error, "media poll failed");
        }
        self.link.shared.waiting.store(AWAKE, Ordering::SeqCst);
    }

    /// Lets packets gather, unless there is something to do. A command ends it.
    fn pause(&mut self, pause: Duration) {
        let shared = &self.link.shared;
        shared.waiting.store(PAUSED, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let idle = self.undrained.is_empty() && self.link.commands.is_empty();
        if idle && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(pause);
        }
        shared.waiting.store(AWAKE, Ordering::SeqCst);
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.undrained.is_empty() {
            Some(Duration::ZERO)
        } else if self.link.reports.is_full() {
            Some(RETRY)
        } else if !self.link.commands.is_empty() {
            Some(Duration::ZERO)
        } else {
            self.shard.poll_timeout().map(|due| due.since(clock::now()))
        }
    }

    fn handle_readable(&mut self, now: Time, readable: Readable) {
        let mut turns = 0;
        loop {
            let received = self.receive(now, readable);
            self.round += received.count;
            if received.drained {
                return;
            }
            turns += 1;
            if turns == BATCHES_PER_TURN {
                if !self.undrained.contains(&readable) {
                    self.undrained.push_back(readable);
                }
                return;
            }
        }
    }

    /// Takes one batch from a socket and relays it.
    fn receive(&mut self, now: Time, readable: Readable) -> Received {
        let gone = Received { count: 0, drained: true };
        match readable {
            Readable::Rtp(slot) => {
                let Some(Some(leg)) = self.sockets.get(slot) else { return gone };
                let received = self.batch.receive(&leg.pair.rtp, leg.ipv6);
                for datagram in self.batch.datagrams(received) {
                    if datagram.truncated {
                        self.shard.handle_oversized(leg.key);
                        continue;
                    }
                    let Some(forward) = self.shard.receive(now, leg.key, datagram.source, datagram.octets)
                    else {
                        continue;
                    };
                    let Some(Some(partner)) = self.sockets.get(forward.leg.index()) else { continue };
                    if partner.pair.rtp.send_to(datagram.octets, forward.destination).is_err() {
                        self.shard.handle_unsent(forward.leg);
                    }
                }
                received
            }
            Readable::Rtcp(slot) => {
                let Some(Some(leg)) = self.sockets.get(slot) else { return gone };
                let received = self.batch.receive(&leg.pair.rtcp, leg.ipv6);
                for _ in 0..received.count {
                    self.shard.receive_rtcp(leg.key);
                }
                received
            }
        }
    }

    /// Obeys some commands, as long as their answers find room.
    fn handle_commands(&mut self, now: Time) {
        let mut flowing = self.handle_outputs(now);
        for _ in 0..COMMANDS_PER_WAKE {
            if !flowing {
                break;
            }
            let Some(command) = self.link.commands.try_pop() else { break };
            self.shard.handle_command(now, command);
            flowing = self.handle_outputs(now);
        }
        if !flowing {
            self.link.shared.reports_blocked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Passes on what packets and the tick gave rise to.
    fn handle_news(&mut self, now: Time) {
        self.handle_outputs(now);
        let shared = &self.link.shared;
        shared.reports_deferred.store(self.shard.deferred_reports(), Ordering::Relaxed);
        shared.commands_ignored.store(self.shard.ignored_commands(), Ordering::Relaxed);
    }

    /// Does what the shard wants until it wants nothing; false when the report ring is full before that.
    fn handle_outputs(&mut self, now: Time) -> bool {
        while !self.link.reports.is_full() {
            match self.shard.poll_output() {
                None => return true,
                Some(Output::Bind { legs }) => self.bind(now, &legs),
                Some(Output::Release { key, leg }) => {
                    debug!(%leg, "media leg closed");
                    self.release(key);
                }
                Some(Output::Report(report)) => {
                    // There is room, and nobody else produces.
                    self.link.unannounced |= self.link.reports.try_push(report).is_ok();
                }
            }
        }
        false
    }

    /// Binds a pair for each leg, or none at all.
    fn bind(&mut self, now: Time, legs: &LegAddresses) {
        let mut pairs: SmallVec<[PortPair; 2]> = SmallVec::new();
        for (_, local) in legs {
            match self.ports.bind(*local) {
                Ok(pair) => pairs.push(pair),
                Err(reason) => {
                    self.give_up(legs, &pairs, reason);
                    return;
                }
            }
        }
        let ports: LegPorts = legs.iter().zip(&pairs).map(|((leg, _), pair)| (*leg, pair.port)).collect();
        self.shard.handle_bound(now, ports);
        for ((leg, local), pair) in legs.iter().zip(pairs) {
            debug!(%leg, %local, port = pair.port, "media leg opened");
            if let Some(key) = self.shard.key(*leg) {
                self.listen(key, *local, pair);
            }
        }
    }

    fn give_up(&mut self, legs: &LegAddresses, bound: &[PortPair], reason: RefusalReason) {
        for pair in bound {
            self.ports.release(pair.port);
        }
        debug!(?reason, "media legs refused");
        self.shard.handle_refused(legs, reason);
    }
}

impl Driver {
    /// Has the poll watch a leg's sockets.
    fn listen(&mut self, key: LegKey, local: IpAddr, mut pair: PortPair) {
        let slot = key.index();
        let registry = self.poll.registry();
        for (socket, readable) in
            [(&mut pair.rtp, Readable::Rtp(slot)), (&mut pair.rtcp, Readable::Rtcp(slot))]
        {
            if let Err(error) = registry.register(socket, readable.token(), Interest::READABLE) {
                debug!(%error, port = pair.port, "media socket not watched");
            }
        }
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        if let Some(entry) = self.sockets.get_mut(slot) {
            *entry = Some(LegSockets { key, ipv6: local.is_ipv6(), pair });
        }
    }

    /// Closes a leg's sockets.
    fn release(&mut self, key: LegKey) {
        let Some(leg) = self.sockets.get_mut(key.index()).and_then(Option::take) else { return };
        self.ports.release(leg.pair.port);
        // The poll forgets what is closed (epoll(7), kqueue(2)); Windows wants it told.
        #[cfg(windows)]
        for mut socket in [leg.pair.rtp, leg.pair.rtcp] {
            if let Err(error) = self.poll.registry().deregister(&mut socket) {
                debug!(%error, "media socket still watched");
            }
        }
    }
}
