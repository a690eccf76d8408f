//! How busy a thread is, and how late its ticks are: measured on the thread, read by the core.
//!
//! A thread is busy for as long as it has a processor; where the system does not tell that, from when it wakes until it waits
//! again, which counts what others take from it, too. What counts is the share of the last second, because a room that
//! is to tick every 20 ms needs it every 20 ms. From [`FULL`] on nothing new is placed on the thread: the rest is for what its
//! legs may still do (join rooms, begin to speak), and for ticks that fall together.
//!
//! Left out on purpose: the cost of each codec, as a forecast of what a leg will cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::shard::{Lateness, Shard};
use crate::time::Time;

/// A thread that is busy for this share of its time, in thousandths, has no time for more.
pub(super) const FULL: u64 = 800;

/// How long the load is measured for.
const WINDOW: Duration = Duration::from_secs(1);

/// What the core may read of a thread at any time. Each figure is true on its own.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    load: AtomicU64,
    tick_ns: AtomicU64,
    ticks: AtomicU64,
    ticks_left_out: AtomicU64,
    lost_frames: AtomicU64,
    lateness: [AtomicU64; 20],
}

/// How a media thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadLoad {
    /// The share of the last second in which it was busy, in thousandths.
    pub load: u64,
    /// Times that it mixed rooms; rooms that tick together count once, and what else a thread wakes for does not.
    pub ticks: u64,
    /// How long that took in all, from reading the sockets to the last packet sent.
    pub tick_time: Duration,
    /// How late the ticks of rooms were.
    pub lateness: Lateness,
    /// Ticks of rooms that were left out because they were too late.
    pub ticks_left_out: u64,
    /// Frames that did not come in time from a segment of a conference on another thread.
    pub lost_frames: u64,
}

impl Gauges {
    /// Whether the thread has time for more.
    pub(super) fn has_time(&self) -> bool {
        self.load.load(Ordering::Relaxed) < FULL
    }

    pub(super) fn read(&self) -> ThreadLoad {
        ThreadLoad {
            load: self.load.load(Ordering::Relaxed),
            ticks: self.ticks.load(Ordering::Relaxed),
            tick_time: Duration::from_nanos(self.tick_ns.load(Ordering::Relaxed)),
            lateness: Lateness::from_counts(
                self.lateness.each_ref().map(|count| count.load(Ordering::Relaxed)),
            ),
            ticks_left_out: self.ticks_left_out.load(Ordering::Relaxed),
            lost_frames: self.lost_frames.load(Ordering::Relaxed),
        }
    }

    /// A tick of rooms took so long. Only the thread itself calls this.
    pub(super) fn handle_tick(&self, took: Duration, shard: &Shard) {
        self.tick_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        self.ticks.fetch_add(1, Ordering::Relaxed);
        self.ticks_left_out.store(shard.ticks_left_out(), Ordering::Relaxed);
        self.lost_frames.store(shard.lost_frames(), Ordering::Relaxed);
        for (gauge, count) in self.lateness.iter().zip(shard.lateness().counts()) {
            gauge.store(*count, Ordering::Relaxed);
        }
    }
}

/// Adds up how long a thread is busy.
#[derive(Debug, Default)]
pub(super) struct Meter {
    window: Time,
    busy: Duration,
    /// The processor time it had had when the window began.
    used: Option<Duration>,
}

impl Meter {
    /// The thread was busy from `from` to `to`; its load when a window is over. `used` is the processor time it has had.
    pub(super) fn handle_round(
        &mut self,
        from: Time,
        to: Time,
        used: impl FnOnce() -> Option<Duration>,
    ) -> Option<u64> {
        self.busy += to.since(from);
        let elapsed = to.since(self.window);
        if elapsed < WINDOW {
            return None;
        }
        let used = used();
        let had = used.zip(self.used).map(|(now, before)| now.saturating_sub(before));
        let load = had.unwrap_or(self.busy).as_nanos() * 1_000 / elapsed.as_nanos().max(1);
        (self.window, self.busy, self.used) = (to, Duration::ZERO, used);
        Some(u64::try_from(load).unwrap_or(u64::MAX).min(1_000))
    }
}

impl Meter {
    /// Adds a round up and shows the load.
    pub(super) fn show(
        &mut self,
        from: Time,
        to: Time,
        used: impl FnOnce() -> Option<Duration>,
        gauges: &Gauges,
    ) {
        if let Some(load) = self.handle_round(from, to, used) {
            gauges.load.store(load, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_the_share_of_a_second_in_which_the_thread_was_busy() {
        let mut meter = Meter::default();
        let mut loads = Vec::new();
        for tick in 0..200u64 {
            let from = Time(5_000_000_000 + tick * 20_000_000);
            let busy = if tick < 100 { 4 } else { 16 };
            loads.extend(meter.handle_round(from, from + Duration::from_millis(busy), || None));
        }
        // The first window began at the origin of the clock.
        assert_eq!(loads.len(), 4);
        assert!(loads[1..].windows(2).all(|pair| pair[0] <= pair[1]), "{loads:?}");
        assert!(loads[1].abs_diff(200) < 10 && loads[3].abs_diff(800) < 10, "{loads:?}");
    }

    #[test]
    fn a_thread_that_others_keep_from_running_is_not_busy() {
        let mut meter = Meter::default();
        meter.handle_round(Time(0), Time(0) + WINDOW, || Some(Duration::from_millis(70)));
        let load =
            meter.handle_round(Time(0) + WINDOW, Time(0) + 2 * WINDOW, || Some(Duration::from_millis(270)));
        assert_eq!(load, Some(200));
    }

    #[test]
    fn a_thread_that_is_full_has_no_time() {
        let (gauges, mut meter) = (Gauges::default(), Meter::default());
        assert!(gauges.has_time());
        meter.show(Time(0), Time(0) + WINDOW, || None, &gauges);
        assert!(!gauges.has_time());
        meter.show(Time(0) + 2 * WINDOW, Time(0) + 2 * WINDOW, || None, &gauges);
        assert!(gauges.has_time());
    }
}
