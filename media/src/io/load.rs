//! How busy a thread is, and how late its ticks are: measured on the thread, read by the core.
//!
//! A thread is busy for as long as it has a processor; where the system does not tell that, from when it wakes until it waits
//! again, which counts what others take from it, too. What counts is the share of the last second, because a room that
//! is to tick every 20 ms needs it every 20 ms.
//!
//! Left out on purpose: what follows from it (`budget`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::shard::{Average, CodecKind, Costs, Lateness, Shard};
use crate::time::Time;

/// How long the load is measured for.
const WINDOW: Duration = Duration::from_secs(1);

/// Averages of a thread: of packets, of the mix, and two for each codec.
const AVERAGES: usize = 4 + 2 * CodecKind::ALL.len();

/// What the core may read of a thread at any time. Each figure is true on its own.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    load: AtomicU64,
    tick_ns: AtomicU64,
    ticks: AtomicU64,
    ticks_left_out: AtomicU64,
    lost_frames: AtomicU64,
    /// Of [`ThreadLoad`]: received, sent, packet, then those of the costs.
    averages: [AtomicU32; AVERAGES],
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
    /// What members of rooms cost it.
    pub costs: Costs,
    /// What it takes to receive a packet for a room.
    pub received: Average,
    /// What it takes to send a packet that a tick made.
    pub sent: Average,
    /// What a relayed packet takes, with its share of the wake.
    pub packet: Average,
}

/// What the thread measures of packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PacketCosts {
    pub(super) received: Average,
    pub(super) sent: Average,
    pub(super) packet: Average,
}

impl Gauges {
    pub(super) fn read(&self) -> ThreadLoad {
        let mut averages = self.averages.iter().map(|gauge| Average::from_ns(gauge.load(Ordering::Relaxed)));
        let mut next = || averages.next().unwrap_or_default();
        let (received, sent, packet, mix) = (next(), next(), next(), next());
        let [say, hear] = [(); 2].map(|()| CodecKind::ALL.map(|_| next()));
        ThreadLoad {
            costs: Costs { say, hear, mix },
            received,
            sent,
            packet,
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

    /// Shows what was measured. Only the thread itself calls this.
    pub(super) fn show(&self, packets: &PacketCosts, costs: &Costs) {
        let PacketCosts { received, sent, packet } = packets;
        let of_packets = [*received, *sent, *packet, costs.mix];
        let averages = of_packets.into_iter().chain(costs.say).chain(costs.hear);
        for (gauge, average) in self.averages.iter().zip(averages) {
            gauge.store(average.ns(), Ordering::Relaxed);
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
    /// Adds a round up and shows the load; whether there is a new one.
    pub(super) fn show(
        &mut self,
        from: Time,
        to: Time,
        used: impl FnOnce() -> Option<Duration>,
        gauges: &Gauges,
    ) -> bool {
        let load = self.handle_round(from, to, used);
        if let Some(load) = load {
            gauges.load.store(load, Ordering::Relaxed);
        }
        load.is_some()
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
    fn what_is_shown_is_read() {
        let gauges = Gauges::default();
        let mut numbers = 1..;
        let mut next = || Average::from_ns(numbers.next().unwrap());
        let packets = PacketCosts { received: next(), sent: next(), packet: next() };
        let mix = next();
        let costs = Costs { say: CodecKind::ALL.map(|_| next()), hear: CodecKind::ALL.map(|_| next()), mix };
        gauges.show(&packets, &costs);
        let load = gauges.read();
        assert_eq!((load.costs, load.received, load.sent), (costs, packets.received, packets.sent));
        assert_eq!(load.packet, packets.packet);
    }
}
