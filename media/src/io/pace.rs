//! When the media thread lets packets gather instead of waking for each.
//!
//! Waking a thread costs more than moving a packet. Once packets come fast, the thread pauses after each round for a time
//! that no ear can tell, and then finds many at once, as network cards do with their interrupts. While they come slowly a
//! pause would only be one more wake, so there is none.

use std::time::Duration;

use crate::time::Time;

/// How long packets are counted before the rate is judged.
const WINDOW: Duration = Duration::from_millis(20);

/// Packets a pause must be expected to gather for it to be worth while.
const WORTHWHILE: u128 = 2;

/// Judges the rate of packets.
#[derive(Debug)]
pub(super) struct Pace {
    pause: Duration,
    window: Time,
    packets: usize,
    fast: bool,
}

impl Pace {
    /// A thread that pauses for `pause` when packets come fast; zero never pauses.
    pub(super) const fn new(pause: Duration) -> Self {
        Self { pause, window: Time::ZERO, packets: 0, fast: false }
    }

    /// Counts the packets of one round; how long to pause after it.
    pub(super) fn handle_round(&mut self, now: Time, packets: usize) -> Option<Duration> {
        self.packets += packets;
        let elapsed = now.since(self.window);
        if elapsed >= WINDOW {
            let gathered = self.packets as u128 * self.pause.as_nanos();
            self.fast = gathered >= WORTHWHILE * elapsed.as_nanos();
            self.packets = 0;
            self.window = now;
        }
        (self.fast && packets > 0 && !self.pause.is_zero()).then_some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(1);

    /// Whether a second of packets at this rate, one each round, ends in pausing.
    fn pauses_at(per_second: u64, pause: Duration) -> bool {
        let mut pace = Pace::new(pause);
        let rounds = (0..per_second).map(|round| Time(round * 1_000_000_000 / per_second));
        rounds.fold(false, |_, now| pace.handle_round(now, 1).is_some())
    }

    #[test]
    fn few_packets_are_moved_as_they_come_and_many_gather() {
        assert!(!pauses_at(1_000, PAUSE));
        assert!(pauses_at(20_000, PAUSE));
        assert!(!pauses_at(20_000, Duration::ZERO));
    }

    #[test]
    fn a_round_without_packets_never_pauses() {
        let mut pace = Pace::new(PAUSE);
        for round in 1..1000 {
            pace.handle_round(Time(round * 1_000_000), 100);
        }
        assert_eq!(pace.handle_round(Time(1_000_000_000), 100), Some(PAUSE));
        assert_eq!(pace.handle_round(Time(1_000_100_000), 0), None);
    }
}
