//! One media thread as the core sees it: the ends of its rings, and the way to wake and to end it.

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};

use mio::{Registry, Waker};
use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};
use tracing::debug;

use super::load::Gauges;
use super::stock::{self, Lessee};
use super::thread::{Order, Tuning, WAKER};
use super::waiting::{Wait, Waiting};
use crate::shard::{Command, Report};

/// What a thread and those who have something for it see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) waiting: Waiting<AtomicU8>,
    pub(super) stop: AtomicBool,
    pub(super) reports_blocked: AtomicU64,
    pub(super) reports_deferred: AtomicU64,
    pub(super) commands_ignored: AtomicU64,
    pub(super) gauges: Gauges,
    waker: Waker,
    /// Known once it runs.
    thread: OnceLock<Thread>,
}

impl Shared {
    /// For a thread that waits in the poll of `registry`.
    ///
    /// # Errors
    /// What the system says when it gives no waker.
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self {
            waiting: Waiting::default(),
            stop: AtomicBool::new(false),
            reports_blocked: AtomicU64::new(0),
            reports_deferred: AtomicU64::new(0),
            commands_ignored: AtomicU64::new(0),
            gauges: Gauges::default(),
            waker: Waker::new(registry, WAKER)?,
            thread: OnceLock::new(),
        })
    }

    /// The calling thread is the one that this is about.
    pub(super) fn introduce(&self) {
        self.thread.get_or_init(std::thread::current);
    }

    /// Lets the thread see what was left for it. A system call only when it waits.
    pub(super) fn wake(&self) {
        match self.waiting.wake() {
            Some(Wait::Poll) => self.end_poll(),
            Some(Wait::Pause) => self.end_pause(),
            None => {}
        }
    }

    fn end_pause(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn end_poll(&self) {
        // It can fail only when the poll is gone, and then there is nobody to wake.
        if let Err(error) = self.waker.wake() {
            debug!(%error, "media thread not woken");
        }
    }
}

/// The core's end of one thread. Dropping it stops the thread and closes its ports.
pub(super) struct Lane {
    orders: HeapProd<Order>,
    reports: HeapCons<Report>,
    lessee: Lessee,
    pub(super) shared: Arc<Shared>,
    /// Orders were left since it was woken last.
    unannounced: bool,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub(super) const fn new(
        orders: HeapProd<Order>,
        reports: HeapCons<Report>,
        lessee: Lessee,
        shared: Arc<Shared>,
        thread: JoinHandle<()>,
    ) -> Self {
        Self { orders, reports, lessee, shared, unannounced: false, thread: Some(thread) }
    }

    /// Whether so many more orders fit the ring.
    pub(super) fn has_room(&self, orders: usize) -> bool {
        self.orders.vacant_len() >= orders
    }

    /// Puts a command into the ring, which has room; the answer to one that opens legs, if ports are at hand.
    pub(super) fn send(&mut self, command: Command) -> Option<Report> {
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
            | Command::Enqueue { .. }
            | Command::Record { .. }
            | Command::PauseRecording { .. }
            | Command::StopRecording { .. }
            | Command::Assign { .. }
            | Command::Amplify { .. }
            | Command::Condition { .. }
            | Command::Leave { .. }
            | Command::CloseRoom { .. }
            | Command::Dial { .. }
            | Command::Close { .. } => None,
        };
        let stale = self.lessee.take_stale();
        if !stale.is_empty() {
            self.order(Order::Return(stale));
        }
        let answer = leased.as_ref().map(|legs| Report::Opened { legs: stock::ports(legs) });
        self.order(leased.map_or(Order::Command(command), Order::Adopt));
        answer
    }

    /// Has the thread work with another range and another silence from now on. The ring has room for two orders.
    pub(super) fn tune(&mut self, tuning: Tuning, range: &RangeInclusive<u16>) {
        self.order(Order::Tune(Box::new(tuning)));
        self.lessee.change_range(range.clone());
        let stale = self.lessee.take_stale();
        if !stale.is_empty() {
            self.order(Order::Return(stale));
        }
    }

    /// Puts an order into the ring, which has room.
    pub(super) fn order(&mut self, order: Order) {
        assert!(self.orders.try_push(order).is_ok(), "there is room, and nobody else produces");
        self.unannounced = true;
    }

    /// Lets the thread see the orders given so far.
    pub(super) fn wake(&mut self) {
        if std::mem::take(&mut self.unannounced) {
            self.shared.wake();
        }
    }

    pub(super) fn poll_report(&mut self) -> Option<Report> {
        self.reports.try_pop()
    }

    pub(super) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Tells the thread to end, without waiting for it.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.end_poll();
        self.shared.end_pause();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            debug!("media thread had panicked");
        }
    }
}
