//! What the media thread does: it waits, obeys commands, moves packets, ticks, and tells what happened.
//!
//! The polls are edge-triggered, so a socket is read until it is drained; one that never is gets a turn per round, so that
//! a flood on one leg does not starve the others.
//!
//! Packets of legs in rooms wake nobody: their sockets are read right before the tick of their room ([`Watch`]), and the kernel
//! tells when each packet came. All others are moved when they arrive (`pace` says how many at a time).
//!
//! Left out on purpose: sending in batches, which gains nothing for packets to different destinations.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Events, Poll};
use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};
use smallvec::SmallVec;
use tracing::debug;

use super::alarm::Alarm;
use super::batch::{Batch, Received};
use super::clock::{self, Stamps};
use super::exchange::{Exchange, Moving};
use super::lane::Shared;
use super::load::{Meter, PacketCosts};
use super::pace::{Pace, Round};
use super::recording::Scribe;
use super::routes::LaneId;
use super::sockets::{PairId, Readable, Role, Sockets};
use super::sounds::Loader;
use super::stock::{LeasedLegs, Lessor};
use super::thread::{ALARM, Order, Tuning, Urgency, WAKER};
use super::waiting::Wait;
use crate::shard::{
    Forward, LegAddresses, LegKey, LegPorts, Output, Party, Port, Recorded, RefusalReason, Report, Shard,
    Stopwatch, Watch,
};
use crate::source::SoundFault;
use crate::tap::RecordingFigures;
use crate::time::Time;

/// Orders obeyed per wake; opening a leg may cost a dozen system calls.
const ORDERS_PER_WAKE: usize = 32;
/// Batches taken from one socket before the others have their turn.
const BATCHES_PER_TURN: usize = 4;
/// Events taken from one poll.
const EVENTS: usize = 512;
/// How long to wait for room in the report ring.
const RETRY: Duration = Duration::from_millis(5);

/// The thread's ends of the rings.
pub(super) struct Link {
    orders: HeapCons<Order>,
    reports: HeapProd<Report>,
    lessor: Lessor,
    exchange: Exchange,
    shared: Arc<Shared>,
    /// Reports were put into the ring and the core has not been told yet.
    unannounced: Option<Urgency>,
}

impl Link {
    pub(super) const fn new(
        orders: HeapCons<Order>,
        reports: HeapProd<Report>,
        lessor: Lessor,
        exchange: Exchange,
        shared: Arc<Shared>,
    ) -> Self {
        Self { orders, reports, lessor, exchange, shared, unannounced: None }
    }

    /// Whether the next order can be obeyed: there is one, and if it is to take a leg in, that leg is there.
    fn has_order(&self) -> bool {
        match self.orders.try_peek() {
            Some(Order::Arrive { from }) => self.exchange.has_come(*from),
            Some(
                Order::Command(_)
                | Order::Adopt(_)
                | Order::Depart { .. }
                | Order::Connect { .. }
                | Order::Tune(_)
                | Order::Return(_),
            ) => true,
            None => false,
        }
    }

    /// Puts a report into the ring, which has room: nobody else produces.
    fn report(&mut self, report: Report) {
        let urgency = match report {
            Report::Opened { .. }
            | Report::Refused { .. }
            | Report::NotJoined { .. }
            | Report::Unexpected { .. }
            | Report::NotDialled { .. }
            // It may be on its way to the other party as INFO.
            | Report::Digit { .. }
            | Report::Played { .. } => Urgency::Now,
            Report::Latched { .. }
            | Report::Silent { .. }
            | Report::Heard { .. }
            | Report::Closed { .. }
            | Report::Talk { .. }
            | Report::Speaker { .. }
            | Report::NotPlayed { .. }
            | Report::RecordingBegan { .. }
            | Report::RecordingLost { .. }
            | Report::RecordingFailed { .. }
            | Report::RecordingEnded { .. } => Urgency::Later,
        };
        if self.reports.try_push(report).is_ok() {
            let crowded = self.reports.occupied_len() * 2 > self.reports.capacity().get();
            let urgency = if crowded { Urgency::Now } else { urgency };
            self.unannounced = self.unannounced.max(Some(urgency));
        }
    }
}

/// What the thread waits for, and what it asks before a tick.
pub(super) struct Polls {
    pub(super) arrivals: Poll,
    pub(super) ticks: Poll,
    pub(super) alarm: Alarm,
}

/// A shard with its sockets.
pub(super) struct Driver {
    polls: Polls,
    shard: Shard,
    /// After the shard: whose sounds are not the last shares of them, and whose rings end when it is dropped.
    loader: Loader,
    scribe: Scribe,
    sockets: Sockets,
    batch: Batch,
    stamps: Stamps,
    /// Sockets that had more than their turn allowed.
    undrained: VecDeque<Readable>,
    /// Legs whose sockets are read before a tick; empty otherwise.
    due: Vec<LegKey>,
    pace: Pace,
    /// Datagrams received since the last wait, of those that are moved when they arrive.
    round: usize,
    meter: Meter,
    packets: PacketCosts,
    link: Link,
}

/// The clock as a tick reads it.
struct Clock;

impl Stopwatch for Clock {
    fn read(&mut self) -> Time {
        clock::now()
    }
}

impl Driver {
    pub(super) fn new(
        polls: Polls,
        shard: Shard,
        (loader, scribe): (Loader, Scribe),
        sockets: Sockets,
        pace: Pace,
        link: Link,
    ) -> Self {
        Self {
            polls,
            shard,
            loader,
            scribe,
            sockets,
            batch: Batch::new(),
            stamps: Stamps::default(),
            undrained: VecDeque::new(),
            due: Vec::new(),
            pace,
            round: 0,
            meter: Meter::default(),
            packets: PacketCosts::default(),
            link,
        }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self, on_report: impl Fn(Urgency)) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.wait(&mut events);
            if self.link.shared.stop.load(Ordering::SeqCst) {
                return;
            }
            let now = clock::now();
            // Commands first: what they open and relay is ready for the packets of this wake.
            self.handle_orders(now);
            for _ in 0..self.undrained.len() {
                if let Some(readable) = self.undrained.pop_front() {
                    self.handle_readable(now, readable);
                }
            }
            for event in events.iter().filter(|event| ![WAKER, ALARM].contains(&event.token())) {
                self.handle_readable(now, Readable::from_token(event.token()));
            }
            // What packets gave rise to, such as feedback for the other side.
            self.send();
            let ticked = self.tick(now, &mut events);
            self.handle_news(now);
            if let Some(urgency) = self.link.unannounced.take() {
                on_report(urgency);
            }
            self.end_round(now, ticked);
        }
    }

    /// Mixes the rooms whose time has come, and does what else is due; whether there was anything.
    fn tick(&mut self, now: Time, events: &mut Events) -> bool {
        if self.shard.poll_timeout().is_none_or(|due| due > now) {
            return false;
        }
        let begun = clock::now();
        let received = self.gather(begun, events);
        self.packets.received.note(begun, clock::now(), received);
        let ticks = self.shard.ticks();
        // As of then: a room whose time has come meanwhile has not been read for.
        self.shard.tick_watched(begun, &mut Clock);
        let made = clock::now();
        let sent = self.send();
        self.packets.sent.note(made, clock::now(), sent);
        if self.shard.ticks() != ticks {
            self.link.shared.gauges.handle_tick(clock::now().since(now), &self.shard);
        }
        true
    }

    /// Measures the round, and pauses if that is worth while.
    fn end_round(&mut self, begun: Time, ticked: bool) {
        let ended = clock::now();
        if self.round > 0 && !ticked {
            self.packets.packet.note(begun, ended, self.round);
        }
        let gauges = &self.link.shared.gauges;
        if self.meter.show(begun, ended, clock::used, gauges) {
            gauges.show(&self.packets, self.shard.costs());
        }
        let round = Round { packets: std::mem::take(&mut self.round), took: ended.since(begun), ticked };
        if let Some(pause) = self.pace.handle_round(begun, round, clock::used) {
            self.pause(pause);
        }
    }

    /// Sleeps until a datagram, a command, a deadline or the end.
    fn wait(&mut self, events: &mut Events) {
        self.link.shared.waiting.begin(Wait::Poll);
        let timeout = self.timeout();
        if let Err(error) = self.polls.arrivals.poll(events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            debug!(%error, "media poll failed");
        }
        self.link.shared.waiting.end();
    }

    /// Lets packets gather, unless there is something to do. A command ends it.
    fn pause(&mut self, pause: Duration) {
        let due = self.shard.poll_timeout().map_or(pause, |due| due.since(clock::now()));
        let shared = &self.link.shared;
        shared.waiting.begin(Wait::Pause);
        let idle = self.undrained.is_empty() && !self.link.has_order();
        if idle && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(pause.min(due));
        }
        shared.waiting.end();
    }

    fn timeout(&mut self) -> Option<Duration> {
        if !self.undrained.is_empty() {
            Some(Duration::ZERO)
        } else if self.link.reports.is_full() {
            Some(RETRY)
        } else if self.link.has_order() {
            Some(Duration::ZERO)
        } else {
            self.polls.alarm.set(self.shard.poll_timeout())
        }
    }

    fn handle_readable(&mut self, now: Time, readable: Readable) {
        let (received, drained) = self.take_turn(now, readable, Watch::Arrival);
        self.round += received;
        if !drained && !self.undrained.contains(&readable) {
            self.undrained.push_back(readable);
        }
    }

    /// Reads what has come for the legs whose rooms are mixed at `now`, and of those that the poll tells of; how many packets.
    fn gather(&mut self, now: Time, events: &mut Events) -> usize {
        let read = self.stamps.read();
        let mut received = 0;
        let mut due = std::mem::take(&mut self.due);
        due.extend(self.shard.due_legs(now));
        for leg in due.drain(..) {
            if let Some(pair) = self.sockets.untold(leg) {
                received += self.gather_from(read, pair);
            }
        }
        self.due = due;
        loop {
            if let Err(error) = self.polls.ticks.poll(events, Some(Duration::ZERO)) {
                debug!(%error, "media poll failed");
                return received;
            }
            for event in events.iter() {
                let (Readable::Rtp(pair) | Readable::Rtcp(pair)) = Readable::from_token(event.token());
                received += self.gather_from(read, pair);
            }
            if events.iter().count() < EVENTS {
                return received;
            }
        }
    }

    /// Reads the RTP socket of a leg in a room. What is left in it is read before the next tick.
    fn gather_from(&mut self, now: Time, pair: PairId) -> usize {
        let (received, _) = self.take_turn(now, Readable::Rtp(pair), Watch::Tick);
        self.sockets.handle_turn(pair, received);
        received
    }

    /// Reads a socket until it is drained or its turn is over; how many datagrams came, and whether it is drained.
    fn take_turn(&mut self, now: Time, readable: Readable, watch: Watch) -> (usize, bool) {
        let mut count = 0;
        for _ in 0..BATCHES_PER_TURN {
            let received = self.receive(now, readable, watch);
            count += received.count;
            if received.drained {
                return (count, true);
            }
        }
        (count, false)
    }

    /// Sends what the tick has made; how many packets.
    fn send(&mut self) -> usize {
        let mut count = 0;
        while let Some((Forward { leg, port, destination }, octets)) = self.shard.poll_transmit() {
            let sent = self.sockets.of_leg(leg).is_some_and(|bound| {
                let socket = match port {
                    Port::Rtp => &bound.pair.rtp,
                    Port::Rtcp => &bound.pair.rtcp,
                };
                socket.send_to(octets, destination).is_ok()
            });
            if !sent {
                self.shard.handle_unsent(leg);
            }
            count += 1;
        }
        count
    }

    /// Takes one batch from a socket and has the shard judge it.
    fn receive(&mut self, now: Time, readable: Readable, watch: Watch) -> Received {
        let gone = Received { count: 0, drained: true };
        let (Readable::Rtp(id) | Readable::Rtcp(id)) = readable;
        let Some(bound) = self.sockets.get(id) else { return gone };
        let (rtp_kind, rtcp_kind) = (bound.rtp_kind(), bound.rtcp_kind());
        match (readable, bound.role) {
            (Readable::Rtp(_), Role::Leg(leg)) => {
                let received = self.batch.receive(&bound.pair.rtp, rtp_kind);
                for datagram in self.batch.datagrams(received) {
                    if datagram.truncated {
                        self.shard.handle_oversized(leg);
                        continue;
                    }
                    let arrived = match watch {
                        Watch::Arrival => now,
                        Watch::Tick => self.stamps.arrival(datagram.arrived),
                    };
                    let forward = self.shard.receive(arrived, leg, datagram.source, datagram.octets);
                    let Some(forward) = forward else {
                        continue;
                    };
                    let Some(partner) = self.sockets.of_leg(forward.leg) else { continue };
                    if partner.pair.rtp.send_to(datagram.octets, forward.destination).is_err() {
                        self.shard.handle_unsent(forward.leg);
                    }
                }
                received
            }
            (Readable::Rtcp(_), Role::Leg(leg)) => {
                let received = self.batch.receive(&bound.pair.rtcp, rtcp_kind);
                for datagram in self.batch.datagrams(received) {
                    if datagram.truncated {
                        self.shard.handle_oversized(leg);
                        continue;
                    }
                    self.shard.receive_rtcp(now, leg, datagram.source, datagram.octets);
                }
                received
            }
            // What comes before the leg is there is nobody's.
            (Readable::Rtp(_), Role::Promised) => self.batch.receive(&bound.pair.rtp, rtp_kind),
            (Readable::Rtcp(_), Role::Promised) => self.batch.receive(&bound.pair.rtcp, rtcp_kind),
            (_, Role::Resting(_)) => {
                debug!(port = bound.pair.port, "media pair closed: packets still come");
                self.sockets.close(id);
                gone
            }
        }
    }

    /// Obeys some orders, as long as their answers find room.
    fn handle_orders(&mut self, now: Time) {
        let mut flowing = self.handle_outputs(now);
        let mut obeyed = 0;
        while flowing && obeyed < ORDERS_PER_WAKE && self.link.has_order() {
            let Some(order) = self.link.orders.try_pop() else { break };
            match order {
                Order::Command(command) => self.shard.handle_command(now, command),
                Order::Adopt(legs) => self.adopt(now, legs),
                Order::Depart { party, to } => self.depart(party, to),
                Order::Arrive { from } => self.arrive(now, from),
                Order::Tune(tuning) => {
                    let Tuning { silence, ports } = *tuning;
                    self.shard.set_silence(silence);
                    self.sockets.change_ports(ports);
                }
                Order::Return(leases) => {
                    for lease in leases {
                        self.link.lessor.take_back(&lease);
                        self.sockets.rest(now, lease.pair);
                    }
                }
                Order::Connect { room, web } => self.shard.connect(room, *web),
            }
            flowing = self.handle_outputs(now);
            obeyed += 1;
        }
        if !flowing {
            self.link.shared.reports_blocked.fetch_add(1, Ordering::Relaxed);
        }
        if obeyed > 0 {
            self.link.lessor.lease(now, &mut self.sockets);
        }
    }

    /// Passes on what packets, the tick and other threads gave rise to.
    fn handle_news(&mut self, now: Time) {
        while self.handle_outputs(now)
            && let Some((wanted, sound)) = self.loader.poll_answer()
        {
            self.shard.handle_sound(&wanted, sound);
        }
        while !self.link.reports.is_full()
            && let Some(report) = self.scribe.poll_report()
        {
            if let Report::RecordingFailed { recording, .. } = &report {
                self.shard.handle_unrecorded(*recording);
            }
            self.link.report(report);
        }
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
                Some(Output::Load(wanted)) => {
                    if let Err(wanted) = self.loader.load(wanted) {
                        self.shard.handle_sound(&wanted, Err(SoundFault::Busy));
                    }
                }
                Some(Output::Record(recorded)) => self.record(recorded),
                Some(Output::Release { key, leg, ghosts }) => {
                    // Its farewell.
                    self.send();
                    debug!(%leg, "media leg closed");
                    self.sockets.take_back(now, key, ghosts);
                }
                Some(Output::Report(report)) => self.link.report(report),
                Some(Output::Watch { key, watch }) => self.sockets.watch_leg(key, watch),
            }
        }
        false
    }

    /// Has a recording written.
    fn record(&mut self, recorded: Recorded) {
        let recording = recorded.recording;
        match self.scribe.record(recorded) {
            Ok(tap) => self.shard.attach(recording, tap),
            Err(fault) => {
                self.shard.handle_unrecorded(recording);
                let figures = RecordingFigures::default();
                self.link.report(Report::RecordingFailed { recording, fault, figures });
            }
        }
    }

    /// Finds a pair for each leg, or none at all.
    fn bind(&mut self, now: Time, legs: &LegAddresses) {
        let mut pairs: SmallVec<[(PairId, u16); 2]> = SmallVec::new();
        for (_, local) in legs {
            match self.sockets.promise(now, *local) {
                Ok(pair) => {
                    self.link.lessor.note(*local);
                    pairs.push(pair);
                }
                Err(reason) => {
                    self.give_up(now, legs, &pairs, reason);
                    return;
                }
            }
        }
        let ports: LegPorts = legs.iter().zip(&pairs).map(|((leg, _), (_, port))| (*leg, *port)).collect();
        self.shard.handle_bound(now, ports);
        for ((leg, local), (pair, port)) in legs.iter().zip(pairs) {
            debug!(%leg, %local, port, "media leg opened");
            match self.shard.key(*leg) {
                Some(key) => self.give(pair, key),
                None => self.sockets.rest(now, pair),
            }
        }
    }

    fn give_up(&mut self, now: Time, legs: &LegAddresses, bound: &[(PairId, u16)], reason: RefusalReason) {
        for (pair, _) in bound {
            self.sockets.rest(now, *pair);
        }
        debug!(?reason, "media legs refused");
        self.shard.handle_refused(legs, reason);
    }

    /// Opens legs on pairs that were leased to the core.
    fn adopt(&mut self, now: Time, legs: LeasedLegs) {
        for (leg, lease) in legs {
            self.link.lessor.take_back(&lease);
            match self.shard.adopt(now, leg) {
                Some(key) => {
                    debug!(%leg, port = lease.port, "media leg opened");
                    self.give(lease.pair, key);
                }
                None => self.sockets.rest(now, lease.pair),
            }
        }
    }

    /// Gives a leg its pair of ports, and tells it who was heard there before.
    fn give(&mut self, pair: PairId, leg: LegKey) {
        self.shard.beware(leg, self.sockets.ghosts(pair));
        self.sockets.give(pair, leg);
    }

    /// Lets a party go with its sockets.
    fn depart(&mut self, party: Party, to: LaneId) {
        // What it has still to send leaves from here.
        self.send();
        let departed = self.shard.depart(party);
        debug!(?party, to, "media moves");
        let sockets = departed.keys().map(|key| self.sockets.detach(key)).collect();
        self.link.exchange.send(to, Box::new(Moving { departed, sockets }));
    }

    /// Takes a party in that has come.
    fn arrive(&mut self, now: Time, from: LaneId) {
        let Some(moving) = self.link.exchange.receive(from) else { return };
        let Moving { departed, sockets } = *moving;
        for (key, detached) in self.shard.arrive(now, departed).into_iter().zip(sockets) {
            match (key, detached) {
                (Some(key), Some(detached)) => self.sockets.attach(detached, key),
                (None, Some(detached)) => self.sockets.discard(detached),
                (_, None) => {}
            }
        }
    }
}
