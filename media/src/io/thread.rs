//! The media threads as the core sees them: their configuration, their start, and the handle to speak to them (`driver` is
//! what one does, `routes` says which of them).
//!
//! Commands and reports cross to and from each thread by two rings with one producer and one consumer each, and no locks.
//! Their bounds:
//!
//! - the command ring holds [`COMMANDS`]; when it is full the handle gives the command back ([`QueueFull`]) and counts it;
//! - the report ring holds [`REPORTS`]; while it is full the thread obeys no further commands, whose answers could be
//!   lost, and counts the wakes on which that happened. Packets are relayed all the while.
//!
//! The core wakes the threads once after a batch of commands; that costs a system call only when one sleeps or
//! pauses (`pace`). Legs are mostly opened on ports that the core holds already (`stock`), without waiting or waking; and
//! a thread tells which of its reports are worth waking the core for ([`Urgency`]).

use std::io;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Poll, Token};
use ringbuf::HeapRb;
use ringbuf::traits::Split;
use thiserror::Error;
use tracing::debug;

use super::alarm::{self, Alarm};
use super::driver::{Driver, Link, Polls};
use super::exchange::{self, Exchange};
use super::lane::{Lane, Shared};
use super::load::ThreadLoad;
use super::pace::Pace;
use super::ports::Ports;
use super::recording::Scribe;
use super::relief;
use super::routes::{LaneId, ORDERS_AT_MOST, Orders, Routes};
use super::sockets::Sockets;
use super::sounds::{BuiltIn, Loader};
use super::stock::{self, Lease, LeasedLegs};
use crate::shard::{Command, Party, RefusalReason, Report, RoomId, Shard, ShardConfig, Web};
use crate::tap::{RecordingFault, RecordingId};

/// Commands the ring holds.
pub(super) const COMMANDS: usize = 1024;
/// Reports the ring holds.
const REPORTS: usize = 4096;

pub(super) const WAKER: Token = Token(usize::MAX);
pub(super) const ALARM: Token = Token(usize::MAX - 1);

/// What the media threads are set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The UDP ports to use, for RTP on the even and RTCP on the odd ones.
    pub ports: RangeInclusive<u16>,
    /// After how long without RTP a leg is reported as silent.
    pub silence: Duration,
    /// How long a thread may let packets gather when they come fast: the most that it adds to their delay. It takes less
    /// where waking is cheap. Zero wakes for each packet.
    pub gathering: Duration,
    /// How many threads there are, each with legs and rooms of its own.
    pub threads: NonZeroUsize,
    /// A room of fewer members stays on one thread while that has time for it: on several, what is said is heard a tick later.
    pub whole_rooms: usize,
    /// The sounds that are in the program.
    pub built_in: BuiltIn,
}

impl MediaConfig {
    /// A configuration of one thread with the usual 30 s of silence and 1 ms of gathering; rooms of less than 256 stay whole.
    #[must_use]
    pub const fn new(ports: RangeInclusive<u16>) -> Self {
        let (silence, gathering) = (Duration::from_secs(30), Duration::from_millis(1));
        let (threads, built_in) = (NonZeroUsize::MIN, BuiltIn(|_| None));
        Self { ports, silence, gathering, threads, whole_rooms: 256, built_in }
    }
}

/// The command ring is full. The command comes back: one that closes a leg must be sent again, or its ports stay taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the command queue of the media thread is full")]
pub struct QueueFull(pub Box<Command>);

/// How often a bound was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflows {
    /// Commands that the ring had no room for.
    pub commands_refused: u64,
    /// Wakes on which commands had to wait because the report ring was full.
    pub reports_blocked: u64,
    /// News of legs that had to wait because the shard's outbox was full.
    pub reports_deferred: u64,
    /// Commands that named a leg which is not open.
    pub commands_ignored: u64,
    /// Legs that no thread had time for.
    pub legs_refused: u64,
}

/// Whether reports can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// They can, for as long as the owner of the calls likes: news of the sources of legs, and what closed legs counted.
    Later,
    /// Calls wait for them (opened or refused legs), or the ring is more than half full.
    Now,
}

/// What crosses to a thread.
#[derive(Debug)]
pub(super) enum Order {
    Command(Command),
    /// [`Command::Open`], on ports that were leased and with an answer that was given.
    Adopt(LeasedLegs),
    /// Let legs go to another thread.
    Depart {
        party: Party,
        to: LaneId,
    },
    /// Take in what another thread was told to let go; what follows waits for it.
    Arrive {
        from: LaneId,
    },
    /// Work with other ports and another silence.
    Tune(Box<Tuning>),
    /// Leases that the core does not use go back.
    Return(Vec<Lease>),
    /// Join a room with its other segments.
    Connect {
        room: RoomId,
        web: Box<Web>,
    },
}

/// What a thread is set to while it runs.
#[derive(Debug)]
pub(super) struct Tuning {
    pub(super) silence: Duration,
    /// Its share of the range.
    pub(super) ports: Ports,
}

/// The command ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the command queue of a media thread is full")]
pub struct TuneRefused;

/// The core's end: commands in, reports out. Dropping it stops the threads and closes all ports.
pub struct MediaHandle {
    lanes: Vec<Lane>,
    routes: Routes,
    commands_refused: u64,
    legs_refused: u64,
    /// The thread whose report is read next.
    next: LaneId,
}

/// Starts the media threads, named `media-0` and so on.
///
/// `seed` feeds the shards' generators of SSRCs and first numbers. `on_report` is called on a media thread after reports
/// were put into its ring, once per wake: it should wake the core if that is worth it, and return.
///
/// # Errors
/// What the system says when it gives no poll, no waker or no thread.
pub fn start(
    config: MediaConfig,
    seed: [u8; 32],
    on_report: impl Fn(Urgency) + Clone + Send + 'static,
) -> io::Result<MediaHandle> {
    let threads = config.threads.get();
    let arrivals = (0..threads).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
    let shared = arrivals.iter().map(|poll| Shared::new(poll.registry()).map(Arc::new));
    let shared = shared.collect::<io::Result<Vec<_>>>()?;
    let exchanges = exchange::exchanges(&shared);
    let ports = Ports::new(&config.ports, threads);
    let mut lanes = Vec::with_capacity(threads);
    let loaders = Loader::start(config.built_in, shared.iter().cloned().map(waking).collect())?;
    let parts = arrivals.into_iter().zip(shared).zip(exchanges).zip(ports).zip(loaders);
    for ((((poll, shared), exchange), ports), loader) in parts {
        let shard = Shard::new(ShardConfig { silence: config.silence }, own_seed(seed, lanes.len()));
        let files = (loader, Scribe::start(waking(Arc::clone(&shared)))?);
        let pace = Pace::new(config.gathering);
        let birth = Birth { poll, shared, exchange, ports, shard, files, pace };
        lanes.push(birth.start(lanes.len(), on_report.clone())?);
    }
    let routes = Routes::new(lanes.len(), config.whole_rooms);
    Ok(MediaHandle { lanes, routes, commands_refused: 0, legs_refused: 0, next: 0 })
}

/// Shards that drew the same SSRCs would meet in a room.
fn own_seed(mut seed: [u8; 32], thread: usize) -> [u8; 32] {
    for (octet, own) in seed.iter_mut().zip(thread.to_le_bytes()) {
        *octet ^= own;
    }
    seed
}

/// What another thread calls that has something for a media thread.
fn waking(shared: Arc<Shared>) -> impl Fn() + Send + 'static {
    move || shared.wake()
}

/// What one thread is made of.
struct Birth {
    poll: Poll,
    shared: Arc<Shared>,
    exchange: Exchange,
    ports: Ports,
    shard: Shard,
    files: (Loader, Scribe),
    pace: Pace,
}

impl Birth {
    fn start(self, number: usize, on_report: impl Fn(Urgency) + Send + 'static) -> io::Result<Lane> {
        let Self { poll: arrivals, shared, exchange, ports, shard, files, pace } = self;
        let ticks = Poll::new()?;
        let alarm = Alarm::new(arrivals.registry(), ALARM)?;
        let (to_arrivals, to_ticks) = (arrivals.registry().try_clone()?, ticks.registry().try_clone()?);
        let sockets = Sockets::new(to_arrivals, to_ticks, ports);
        let (orders, order_ends) = HeapRb::new(COMMANDS).split();
        let (lessor, lessee) = stock::ring();
        let (report_starts, reports) = HeapRb::new(REPORTS).split();
        let theirs = Arc::clone(&shared);
        let run = move || {
            theirs.introduce();
            alarm::make_punctual();
            let link = Link::new(order_ends, report_starts, lessor, exchange, theirs);
            Driver::new(Polls { arrivals, ticks, alarm }, shard, files, sockets, pace, link).run(on_report);
        };
        let thread = std::thread::Builder::new().name(format!("media-{number}")).spawn(run)?;
        Ok(Lane::new(orders, reports, lessee, shared, thread))
    }
}

impl MediaHandle {
    /// Puts a command into the ring of the thread that is to obey it. Call [`Self::wake`] after the last one of a batch,
    /// unless it was answered.
    ///
    /// Returns the answer to a [`Command::Open`] that ports were at hand for, or that no thread has time for; it needs no
    /// wake. A command that names a leg twice, or one that is open, must not be sent: legs it opens so are lost.
    ///
    /// # Errors
    /// [`QueueFull`] gives the command back.
    pub fn send(&mut self, command: Command) -> Result<Option<Report>, QueueFull> {
        let idlest = self.routes.budget.idlest();
        if let (Command::Open { legs }, None) = (&command, idlest) {
            self.legs_refused += legs.len() as u64;
            let legs = legs.iter().map(|(leg, _)| *leg).collect();
            return Ok(Some(Report::Refused { legs, reason: RefusalReason::Overloaded }));
        }
        if !self.lanes.iter().all(|lane| lane.has_room(ORDERS_AT_MOST)) {
            self.commands_refused += 1;
            return Err(QueueFull(Box::new(command)));
        }
        // A room that is played into alone costs next to nothing.
        let new = idlest.unwrap_or(0);
        let orders = self.routes.handle(command, new);
        Ok(self.give(orders))
    }

    /// Takes other ports for legs that open from now on, and tells of silence after another time. Legs that are open keep their ports.
    ///
    /// # Errors
    /// The threads do not keep up; nothing has changed, and it may be tried again.
    pub fn tune(&mut self, ports: &RangeInclusive<u16>, silence: Duration) -> Result<(), TuneRefused> {
        if !self.lanes.iter().all(|lane| lane.has_room(ORDERS_AT_MOST)) {
            return Err(TuneRefused);
        }
        let shares = Ports::new(ports, self.lanes.len());
        for (lane, ports_of_lane) in self.lanes.iter_mut().zip(shares) {
            lane.tune(Tuning { silence, ports: ports_of_lane }, ports);
            lane.wake();
        }
        Ok(())
    }

    /// Puts orders into the rings, which have room; the answer to one of them, if there is one.
    fn give(&mut self, orders: Orders) -> Option<Report> {
        let mut answer = None;
        for (lane, order) in orders {
            let Some(lane) = self.lanes.get_mut(lane) else { continue };
            match order {
                Order::Command(command) => answer = answer.or(lane.send(command)),
                other => lane.order(other),
            }
        }
        answer
    }

    /// Looks at what the threads have measured, for the forecast by which legs are placed, and evens out threads that have been far
    /// apart for some seconds. To be called about once a second. Returns whether anything moves.
    pub fn balance(&mut self) -> bool {
        let loads: Vec<ThreadLoad> = self.loads().collect();
        self.routes.budget.learn(&loads);
        let Some(uneven) = self.routes.budget.uneven() else { return false };
        if !self.lanes.iter().all(|lane| lane.has_room(relief::ORDERS_AT_MOST)) {
            return false;
        }
        let orders = self.routes.relieve(uneven);
        let moves = !orders.is_empty();
        if moves {
            debug!(uneven.from, uneven.to, uneven.most, "media threads are evened out");
            self.routes.budget.rest();
        }
        self.give(orders);
        self.wake();
        moves
    }

    /// Lets the threads see the commands sent so far. A system call for each that sleeps and has any.
    pub fn wake(&mut self) {
        self.lanes.iter_mut().for_each(Lane::wake);
    }

    /// The next report. Those of one thread come in its order.
    pub fn poll_report(&mut self) -> Option<Report> {
        for _ in 0..self.lanes.len() {
            while let Some(report) = self.lanes.get_mut(self.next).and_then(Lane::poll_report) {
                if !self.routes.is_outdated(self.next, &report) {
                    self.note(self.next, &report);
                    return Some(report);
                }
            }
            self.next = (self.next + 1) % self.lanes.len();
        }
        None
    }

    /// Legs that were not opened are nowhere, and what has ended is nothing to be reckoned with.
    fn note(&mut self, lane: LaneId, report: &Report) {
        match report {
            Report::NotJoined { room, leg } => self.routes.handle_not_joined(*room, *leg),
            // The one of this number goes on.
            Report::RecordingFailed { fault: RecordingFault::AlreadyRunning, .. } => {}
            Report::RecordingFailed { recording, .. } => self.handle_recording_failed(lane, *recording),
            Report::RecordingEnded { recording, .. } => self.routes.end_recording(*recording),
            Report::Refused { legs, reason } => match reason {
                // It is where it was.
                RefusalReason::AlreadyOpen => {}
                RefusalReason::NoFreePort
                | RefusalReason::AddressNotLocal
                | RefusalReason::Overloaded
                | RefusalReason::Os { .. } => legs.iter().for_each(|leg| self.routes.forget(*leg)),
            },
            Report::Opened { .. }
            | Report::Latched { .. }
            | Report::Silent { .. }
            | Report::Heard { .. }
            | Report::Talk { .. }
            | Report::Speaker { .. }
            | Report::Unexpected { .. }
            | Report::Digit { .. }
            | Report::NotDialled { .. }
            | Report::Played { .. }
            | Report::NotPlayed { .. }
            | Report::RecordingBegan { .. }
            | Report::RecordingLost { .. }
            | Report::Closed { .. } => {}
        }
    }

    /// The writer of a recording has given up. Where the room has gone to another thread that has no room for one more order, its shard
    /// goes on for nobody until the room is closed.
    fn handle_recording_failed(&mut self, lane: LaneId, recording: RecordingId) {
        let mut orders = self.routes.handle_recording_failed(lane, recording);
        orders.retain(|(lane, _)| self.lanes.get(*lane).is_some_and(|lane| lane.has_room(1)));
        self.give(orders);
        self.wake();
    }

    /// How often bounds were met so far, on all threads.
    #[must_use]
    pub fn overflows(&self) -> Overflows {
        let none = Overflows { commands_refused: self.commands_refused, ..Overflows::default() };
        let none = Overflows { legs_refused: self.legs_refused, ..none };
        self.lanes.iter().fold(none, |sum, lane| Overflows {
            reports_blocked: sum.reports_blocked + lane.shared.reports_blocked.load(Ordering::Relaxed),
            reports_deferred: sum.reports_deferred + lane.shared.reports_deferred.load(Ordering::Relaxed),
            commands_ignored: sum.commands_ignored + lane.shared.commands_ignored.load(Ordering::Relaxed),
            ..sum
        })
    }

    /// How each thread does.
    pub fn loads(&self) -> impl Iterator<Item = ThreadLoad> + '_ {
        self.lanes.iter().map(|lane| lane.shared.gauges.read())
    }

    /// Whether all threads are alive. They end by [`Self::stop`] alone, unless one panicked.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.lanes.iter().all(Lane::is_running)
    }

    /// Stops the threads, closes all ports and waits for both. Legs that are open are not reported.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for MediaHandle {
    fn drop(&mut self) {
        // All are told before the first one is waited for.
        self.lanes.iter().for_each(Lane::stop);
    }
}

#[cfg(test)]
mod tests;
