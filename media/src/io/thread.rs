//! The media thread as the core sees it: its configuration, its start, and the handle to speak to it (`driver` is what it
//! does).
//!
//! Commands and reports cross by two rings with one producer and one consumer each, and no locks. Their bounds:
//!
//! - the command ring holds [`COMMANDS`]; when it is full the handle gives the command back ([`QueueFull`]) and counts it;
//! - the report ring holds [`REPORTS`]; while it is full the thread obeys no further commands, whose answers could be
//!   lost, and counts the wakes on which that happened. Packets are relayed all the while.
//!
//! The core wakes the thread once after a batch of commands; that costs a system call only when the thread sleeps or
//! pauses (`pace`). Legs are mostly opened on ports that the core holds already (`stock`), without waiting or waking; and
//! the thread tells which of its reports are worth waking the core for ([`Urgency`]).

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Token, Waker};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use thiserror::Error;
use tracing::debug;

use super::alarm::{self, Alarm};
use super::driver::{Driver, Link, Polls};
use super::pace::Pace;
use super::ports::Ports;
use super::sockets::Sockets;
use super::stock::{self, LeasedLegs, Lessee};
use crate::shard::{Command, Report, Shard, ShardConfig};

/// Commands the ring holds.
const COMMANDS: usize = 1024;
/// Reports the ring holds.
const REPORTS: usize = 4096;

pub(super) const WAKER: Token = Token(usize::MAX);
pub(super) const ALARM: Token = Token(usize::MAX - 1);

/// What the media thread is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The UDP ports to use, for RTP on the even and RTCP on the odd ones.
    pub ports: RangeInclusive<u16>,
    /// After how long without RTP a leg is reported as silent.
    pub silence: Duration,
    /// How long the thread may let packets gather when they come fast: the most that it adds to their delay. It halves
    /// the processor time of a busy relay. Zero wakes for each packet.
    pub gathering: Duration,
}

impl MediaConfig {
    /// A configuration with the usual 30 s of silence and 1 ms of gathering.
    #[must_use]
    pub const fn new(ports: RangeInclusive<u16>) -> Self {
        Self { ports, silence: Duration::from_secs(30), gathering: Duration::from_millis(1) }
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
}

/// Whether reports can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// They can, for as long as the owner of the calls likes: news of the sources of legs, and what closed legs counted.
    Later,
    /// Calls wait for them (opened or refused legs), or the ring is more than half full.
    Now,
}

/// What crosses to the thread.
pub(super) enum Order {
    Command(Command),
    /// [`Command::Open`], on ports that were leased and with an answer that was given.
    Adopt(LeasedLegs),
}

/// The thread runs and will look at the command ring before it waits.
pub(super) const AWAKE: u8 = 0;
/// The thread waits in the poll.
pub(super) const POLLING: u8 = 1;
/// The thread pauses.
pub(super) const PAUSED: u8 = 2;

/// What both sides see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// [`AWAKE`], [`POLLING`] or [`PAUSED`].
    pub(super) waiting: AtomicU8,
    pub(super) stop: AtomicBool,
    pub(super) reports_blocked: AtomicU64,
    pub(super) reports_deferred: AtomicU64,
    pub(super) commands_ignored: AtomicU64,
}

/// The core's end: commands in, reports out. Dropping it stops the thread and closes all ports.
pub struct MediaHandle {
    orders: HeapProd<Order>,
    reports: HeapCons<Report>,
    lessee: Lessee,
    commands_refused: u64,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Starts the media thread, named `media-0`.
///
/// `seed` feeds the shard's generator of SSRCs and first numbers. `on_report` is called on the media thread after reports
/// were put into the ring, once per wake: it should wake the core if that is worth it, and return.
///
/// # Errors
/// What the system says when it gives no poll, no waker or no thread.
pub fn start(
    config: MediaConfig,
    seed: [u8; 32],
    on_report: impl Fn(Urgency) + Send + 'static,
) -> io::Result<MediaHandle> {
    let (arrivals, ticks) = (Poll::new()?, Poll::new()?);
    let waker = Waker::new(arrivals.registry(), WAKER)?;
    let alarm = Alarm::new(arrivals.registry(), ALARM)?;
    let registries = (arrivals.registry().try_clone()?, ticks.registry().try_clone()?);
    let sockets = Sockets::new(registries.0, registries.1, Ports::new(&config.ports));
    let polls = Polls { arrivals, ticks, alarm };
    let (orders, order_ends) = HeapRb::new(COMMANDS).split();
    let (lessor, lessee) = stock::ring();
    let (report_starts, reports) = HeapRb::new(REPORTS).split();
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    let run = move || {
        let shard = Shard::new(ShardConfig { silence: config.silence }, seed);
        let link = Link::new(order_ends, report_starts, lessor, theirs);
        alarm::make_punctual();
        let driver = Driver::new(polls, shard, sockets, Pace::new(config.gathering), link);
        driver.run(on_report);
    };
    let thread = std::thread::Builder::new().name("media-0".to_owned()).spawn(run)?;
    Ok(MediaHandle { orders, reports, lessee, commands_refused: 0, shared, waker, thread: Some(thread) })
}

impl MediaHandle {
    /// Puts a command into the ring. Call [`Self::wake`] after the last one of a batch, unless it was answered.
    ///
    /// Returns the answer to a [`Command::Open`] that ports were at hand for; it needs no wake. A command that names a leg
    /// twice, or one that is open, must not be sent: legs it opens so are lost.
    ///
    /// # Errors
    /// [`QueueFull`] gives the command back.
    pub fn send(&mut self, command: Command) -> Result<Option<Report>, QueueFull> {
        if self.orders.is_full() {
            self.commands_refused += 1;
            return Err(QueueFull(Box::new(command)));
        }
        let leased = match &command {
            Command::Open { legs } => self.lessee.take(legs),
            Command::Configure { .. }
            | Command::Relay { .. }
            | Command::Pass { .. }
            | Command::Part { .. }
            | Command::Echo { .. }
            | Command::OpenRoom { .. }
            | Command::Join { .. }
            | Command::Play { .. }
            | Command::Assign { .. }
            | Command::Amplify { .. }
            | Command::Leave { .. }
            | Command::CloseRoom { .. }
            | Command::Dial { .. }
            | Command::Close { .. } => None,
        };
        let answer = leased.as_ref().map(|legs| Report::Opened { legs: stock::ports(legs) });
        let order = leased.map_or(Order::Command(command), Order::Adopt);
        assert!(self.orders.try_push(order).is_ok(), "there is room, and nobody else produces");
        Ok(answer)
    }

    /// Lets the thread see the commands sent so far. A system call only when it sleeps.
    pub fn wake(&mut self) {
        fence(Ordering::SeqCst);
        let waiting = self.shared.waiting.swap(AWAKE, Ordering::SeqCst);
        if waiting == POLLING {
            self.end_poll();
        } else if waiting == PAUSED {
            self.end_pause();
        }
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.try_pop()
    }

    /// How often bounds were met so far.
    #[must_use]
    pub fn overflows(&self) -> Overflows {
        Overflows {
            commands_refused: self.commands_refused,
            reports_blocked: self.shared.reports_blocked.load(Ordering::Relaxed),
            reports_deferred: self.shared.reports_deferred.load(Ordering::Relaxed),
            commands_ignored: self.shared.commands_ignored.load(Ordering::Relaxed),
        }
    }

    /// Whether the thread is alive. It ends by [`Self::stop`] alone, unless it panicked.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the thread, closes all ports and waits for both. Legs that are open are not reported.
    pub fn stop(self) {
        drop(self);
    }

    fn end_pause(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn end_poll(&self) {
        // It can fail only when the poll is gone, and then there is nobody to wake.
        if let Err(error) = self.waker.wake() {
            debug!(%error, "media thread not woken");
        }
    }
}

impl Drop for MediaHandle {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.end_poll();
        self.end_pause();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            debug!("media thread had panicked");
        }
    }
}
