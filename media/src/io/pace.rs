//! When the media thread lets packets gather instead of waking for each, and for how long.
//!
//! Waking a thread costs more than moving a packet. Once packets come fast, the thread pauses after each round for a time
//! that no ear can tell, and then finds many at once, as network cards do with their interrupts. While they come slowly a
//! pause would only be one more wake, so there is none.
//!
//! A short pause costs processor time, a long one delay. What a wake costs differs by five times, depending on who else uses
//! the core and its caches; so the thread measures it. Rounds of many packets and of few, each with the time it took, tell
//! what a packet costs; what the thread has used of its core besides, it has used for waking. The pause is the shortest with
//! which waking takes no more than its allowance: it grows while the thread wakes more often than that allows, and shrinks while
//! it wakes less often. So packets that come in groups, which a wake finds together anyway, hardly wait.

use std::time::Duration;

use crate::time::Time;

/// How long packets are counted before the rate is judged.
const WINDOW: Duration = Duration::from_millis(20);
/// How many such windows go into one measurement of what a wake costs.
const WINDOWS: u32 = 10;

/// Packets that the longest pause must be expected to gather for any to be worth while.
const WORTHWHILE: u128 = 2;

/// No pause is shorter: with less delay than that, nobody gains anything.
const SHORTEST: Duration = Duration::from_micros(100);

/// What a pause is changed by at most after one measurement.
const STEP: f64 = 1.5;

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
    /// What the windows come to together.
    measured: Duration,
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
            measured: Duration::ZERO,
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
        let gathered = self.packets as u128 * self.longest.as_nanos();
        self.fast = gathered >= WORTHWHILE * elapsed.as_nanos();
        self.measured += elapsed;
        self.windows += 1;
        if self.windows >= WINDOWS {
            let before = std::mem::replace(&mut self.used, used());
            let used = self.used.zip(before).map(|(now, before)| now.saturating_sub(before));
            if let Some(most) = self.costs.most_wakes(self.measured, used) {
                let change = (self.costs.wakes / most).clamp(STEP.recip(), STEP);
                self.pause = self.pause.mul_f64(change).clamp(SHORTEST.min(self.longest), self.longest);
            }
            (self.windows, self.measured, self.costs) = (0, Duration::ZERO, Costs::NONE);
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

    /// How often the thread may have woken in the time of the measurement, in which it has used so much. `None`: the rounds were
    /// too few, or too much alike.
    fn most_wakes(&self, measured: Duration, used: Option<Duration>) -> Option<f64> {
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
        let allowance =
            (SHARE_OF_PACKETS * packet * self.moved).max(SHARE_OF_CORE * measured.as_nanos() as f64);
        Some(allowance / wake.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(1);

    /// What became of a thread.
    struct Lived {
        /// The pause that it has come to.
        pause: Option<Duration>,
        /// In the last second.
        wakes: u32,
    }

    /// Eight seconds of a thread to which a packet comes at each of these times, in nanoseconds. A packet costs 4 µs, and a wake
    /// so much besides, of which half is not seen.
    fn lived(packets: impl Iterator<Item = u64>, wake_us: u64, longest: Duration) -> Lived {
        let mut packets = packets.peekable();
        let mut pace = Pace::new(longest);
        let (mut now, mut used) = (0, Duration::ZERO);
        let mut lived = Lived { pause: None, wakes: 0 };
        while let Some(first) = packets.peek().copied().filter(|first| *first < 8_000_000_000) {
            now = now.max(first);
            let mut count = 0;
            while packets.next_if(|packet| *packet <= now).is_some() {
                count += 1;
            }
            used += Duration::from_micros(wake_us + 4 * count);
            let took = Duration::from_micros(wake_us / 2 + 4 * count);
            let round = Round { packets: count as usize, took, ticked: false };
            lived.pause = pace.handle_round(Time(now), round, || Some(used));
            lived.wakes += u32::from(now >= 7_000_000_000);
            now += (took + lived.pause.unwrap_or_default()).as_nanos() as u64;
        }
        lived
    }

    /// Packets spread evenly, so many a second; every third comes a little late, as no two rounds are alike.
    fn even(per_second: u64) -> impl Iterator<Item = u64> {
        let apart = 1_000_000_000 / per_second;
        (0..).map(move |number| number * apart + if number % 3 == 0 { apart / 2 } else { 0 })
    }

    /// A group of packets each millisecond, sent one after the other.
    fn grouped(group: u64) -> impl Iterator<Item = u64> {
        (0..).map(move |number| number / group * 1_000_000 + number % group * 3_000)
    }

    fn alike(packets: usize) -> Round {
        Round { packets, took: Duration::from_micros(400), ticked: false }
    }

    #[test]
    fn few_packets_are_moved_as_they_come_and_many_gather() {
        assert_eq!(lived(even(1_000), 10, PAUSE).pause, None);
        assert!(lived(even(20_000), 10, PAUSE).pause.is_some());
        assert_eq!(lived(even(20_000), 10, Duration::ZERO).pause, None);
    }

    #[test]
    fn the_dearer_a_wake_the_less_often_the_thread_wakes_within_the_bounds_of_a_pause() {
        // 32 ms a second, a wake of 20 or 40 µs.
        for (wake_us, most) in [(20, 1_600), (40, 1_000)] {
            let lived = lived(even(20_000), wake_us, PAUSE);
            assert!(lived.wakes.abs_diff(most) < most / 8, "{wake_us} us: {} {:?}", lived.wakes, lived.pause);
        }
        assert_eq!(lived(even(20_000), 200, PAUSE).pause, Some(PAUSE));
        let short = Duration::from_micros(100);
        assert_eq!(lived(even(20_000), 100, short).pause, Some(short));
    }

    #[test]
    fn packets_that_come_in_groups_hardly_wait() {
        let lived = lived(grouped(20), 10, PAUSE);
        assert_eq!(lived.pause, Some(SHORTEST));
        assert!(lived.wakes <= 2_100, "{}", lived.wakes);
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
        let most = costs.most_wakes(Duration::from_secs(1), Some(used)).unwrap();
        assert!((most - 3_000.0).abs() < 50.0, "{most}");
    }
}
