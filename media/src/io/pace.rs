//! When the media thread lets packets gather instead of waking for each, and for how long.
//!
//! Waking a thread costs more than moving a packet. Once packets come fast, the thread pauses after each round for a time
//! that no ear can tell, and then finds many at once, as network cards do with their interrupts. While they come slowly a
//! pause would only be one more wake, so there is none.
//!
//! A short pause costs processor time, a long one delay. What a wake costs differs by five times, depending on who else uses
//! the core and its caches; so the thread measures it. Rounds of many packets and of few, each with the time it took, tell
//! what a packet costs; what the thread has used of its core besides, it has used for waking. The pause is the shortest with
//! which waking takes no more than its allowance.

use std::time::Duration;

use crate::time::Time;

/// How long packets are counted before the rate is judged.
const WINDOW: Duration = Duration::from_millis(20);
/// How many such windows go into one measurement of what a wake costs.
const WINDOWS: u32 = 10;

/// Packets a pause must be expected to gather for it to be worth while.
const WORTHWHILE: u128 = 2;

/// No pause is shorter: with less delay than that, nobody gains anything.
const SHORTEST: Duration = Duration::from_micros(250);

/// What waking may take beside what the packets themselves take, or of a core, whichever is more.
const SHARE_OF_PACKETS: f64 = 0.4;
const SHARE_OF_CORE: f64 = 0.03;

/// Where the system does not tell what the thread has used: the way into and out of the kernel for one wake.
const UNSEEN_NS: f64 = 8_000.0;

/// A round that took longer was interrupted and tells nothing.
const INTERRUPTED: Duration = Duration::from_micros(500);

/// Rounds that it takes to tell packets and wakes apart.
const TELLING: f64 = 32.0;

/// Judges the rate of packets.
#[derive(Debug)]
pub(super) struct Pace {
    longest: Duration,
    pause: Duration,
    window: Time,
    packets: usize,
    fast: bool,
    windows: u32,
    costs: Costs,
    /// What the thread had used when the measurement began.
    used: Option<Duration>,
}

impl Pace {
    /// A thread that pauses for at most `longest` when packets come fast; zero never pauses.
    pub(super) const fn new(longest: Duration) -> Self {
        Self {
            longest,
            pause: longest,
            window: Time::ZERO,
            packets: 0,
            fast: false,
            windows: 0,
            costs: Costs::NONE,
            used: None,
        }
    }

    /// Counts the packets of one round; how long to pause after it. `used` is asked now and then.
    pub(super) fn handle_round(
        &mut self,
        now: Time,
        round: Round,
        used: impl FnOnce() -> Option<Duration>,
    ) -> Option<Duration> {
        self.packets += round.packets;
        self.costs.handle_round(&round);
        let elapsed = now.since(self.window);
        if elapsed >= WINDOW {
            self.handle_window(elapsed, used);
            self.window = now;
        }
        (self.fast && round.packets > 0 && !self.pause.is_zero()).then_some(self.pause)
    }

    fn handle_window(&mut self, elapsed: Duration, used: impl FnOnce() -> Option<Duration>) {
        let gathered = self.packets as u128 * self.pause.as_nanos();
        self.fast = gathered >= WORTHWHILE * elapsed.as_nanos();
        self.windows += 1;
        if self.windows >= WINDOWS {
            let rate = self.packets as f64 / elapsed.as_secs_f64();
            let before = std::mem::replace(&mut self.used, used());
            let used = self.used.zip(before).map(|(now, before)| now.saturating_sub(before));
            if let Some(pause) = self.costs.pause(rate, used) {
                let wanted = (3 * self.pause + pause.min(self.longest)) / 4;
                self.pause = wanted.clamp(SHORTEST.min(self.longest), self.longest);
            }
            (self.windows, self.costs) = (0, Costs::NONE);
        }
        self.packets = 0;
    }
}

/// One round of the thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) packets: usize,
    pub(super) took: Duration,
    /// Rooms were mixed in it or alarms went off, so what it took says nothing about packets.
    pub(super) ticked: bool,
}

/// Sums over rounds, for a straight line through what they took (least squares).
#[derive(Clone, Copy, Debug)]
struct Costs {
    rounds: f64,
    packets: f64,
    took: f64,
    packets_squared: f64,
    packets_took: f64,
    /// All rounds with packets, and theirs.
    wakes: f64,
    moved: f64,
    /// What mixing took.
    mixing: Duration,
}

impl Costs {
    const NONE: Self = Self {
        rounds: 0.0,
        packets: 0.0,
        took: 0.0,
        packets_squared: 0.0,
        packets_took: 0.0,
        wakes: 0.0,
        moved: 0.0,
        mixing: Duration::ZERO,
    };

    fn handle_round(&mut self, round: &Round) {
        if round.ticked {
            self.mixing += round.took;
            return;
        }
        if round.packets == 0 {
            return;
        }
        let packets = round.packets as f64;
        self.wakes += 1.0;
        self.moved += packets;
        if round.took < INTERRUPTED {
            let took = round.took.as_nanos() as f64;
            self.rounds += 1.0;
            self.packets += packets;
            self.took += took;
            self.packets_squared += packets * packets;
            self.packets_took += packets * took;
        }
    }

    /// The shortest pause within the allowance when so many packets come in a second and the thread has used so much. `None`:
    /// the rounds were too few, or too much alike.
    fn pause(&self, rate: f64, used: Option<Duration>) -> Option<Duration> {
        let spread = self.rounds * self.packets_squared - self.packets * self.packets;
        if self.rounds < TELLING || spread < self.rounds {
            return None;
        }
        let packet = (self.rounds * self.packets_took - self.packets * self.took) / spread;
        let packet = packet.clamp(0.0, self.took / self.packets);
        let seen = (self.took - packet * self.packets) / self.rounds;
        let wake = match used {
            Some(used) => {
                let moving = used.saturating_sub(self.mixing).as_nanos() as f64;
                ((moving - packet * self.moved) / self.wakes).max(seen)
            }
            None => seen + UNSEEN_NS,
        };
        let allowance = (SHARE_OF_PACKETS * packet * rate / 1e9).max(SHARE_OF_CORE);
        Some(Duration::from_nanos((wake / allowance) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(1);

    /// The pause after some seconds of so many packets a second, one to three each round. A packet costs 4 µs, and a wake so
    /// much besides, of which half is not seen.
    fn pause_at(per_second: u64, wake_us: u64, longest: Duration) -> Option<Duration> {
        let mut pace = Pace::new(longest);
        let (mut sent, mut last, mut used) = (0, None, Duration::ZERO);
        for round in 0.. {
            let packets = round % 3 + 1;
            let now = Time(sent * 1_000_000_000 / per_second);
            if now.0 > 8_000_000_000 {
                break;
            }
            used += Duration::from_micros(wake_us + 4 * packets);
            let took = Duration::from_micros(wake_us / 2 + 4 * packets);
            let round = Round { packets: packets as usize, took, ticked: false };
            last = pace.handle_round(now, round, || Some(used));
            sent += packets;
        }
        last
    }

    fn alike(packets: usize) -> Round {
        Round { packets, took: Duration::from_micros(400), ticked: false }
    }

    #[test]
    fn few_packets_are_moved_as_they_come_and_many_gather() {
        assert_eq!(pause_at(1_000, 10, PAUSE), None);
        assert!(pause_at(20_000, 10, PAUSE).is_some());
        assert_eq!(pause_at(20_000, 10, Duration::ZERO), None);
    }

    #[test]
    fn the_dearer_a_wake_the_longer_the_pause_within_its_bounds() {
        let near = |pause: Option<Duration>, us: u64| {
            pause.is_some_and(|pause| pause.as_micros().abs_diff(u128::from(us)) < 25)
        };
        // 10 µs of 32 ms a second.
        assert!(near(pause_at(20_000, 10, PAUSE), 312), "{:?}", pause_at(20_000, 10, PAUSE));
        assert!(near(pause_at(20_000, 20, PAUSE), 625), "{:?}", pause_at(20_000, 20, PAUSE));
        assert!(near(pause_at(20_000, 100, PAUSE), 1_000));
        assert!(near(pause_at(200_000, 10, PAUSE), 250));
        assert_eq!(pause_at(20_000, 100, Duration::from_micros(100)), Some(Duration::from_micros(100)));
    }

    #[test]
    fn rounds_that_are_all_alike_change_nothing() {
        let mut pace = Pace::new(PAUSE);
        for round in 1..1_000 {
            pace.handle_round(Time(round * 1_000_000), alike(100), || None);
        }
        assert_eq!(pace.handle_round(Time(1_000_000_000), alike(100), || None), Some(PAUSE));
    }

    #[test]
    fn a_round_without_packets_never_pauses() {
        let mut pace = Pace::new(PAUSE);
        for round in 1..1000 {
            pace.handle_round(Time(round * 1_000_000), alike(100), || None);
        }
        assert_eq!(pace.handle_round(Time(1_000_000_000), alike(100), || None), Some(PAUSE));
        assert_eq!(pace.handle_round(Time(1_000_100_000), alike(0), || None), None);
    }

    #[test]
    fn what_mixing_takes_is_not_taken_for_waking() {
        let mut costs = Costs::NONE;
        for round in 0..99 {
            let packets = round % 3 + 1;
            let took = Duration::from_micros(10 + 4 * packets as u64);
            costs.handle_round(&Round { packets, took, ticked: false });
            costs.handle_round(&Round { packets, took: Duration::from_millis(3), ticked: true });
        }
        let used = Duration::from_micros(99 * (10 + 8 + 3_000));
        let pause = costs.pause(20_000.0, Some(used)).unwrap();
        assert!(pause.as_micros().abs_diff(312) < 5, "{pause:?}");
    }
}
