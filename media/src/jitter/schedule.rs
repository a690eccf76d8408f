//! When what is to be played: the arithmetic of delay, slack and target. All in samples.
//!
//! At a tick everything that is to be handed out must be there. So what saves a packet from coming too late is the time from
//! its arrival, had nothing held it up, to the tick that first needs it: its **slack**. When packets last as long as ticks,
//! or a multiple, their place within the ticks does not change the slack, and the best place is the beginning, as it delays
//! least. In general the places repeat with the greatest common divisor of the two, the **grain**: slack is gained and lost
//! in steps of a grain, and what a packet lies behind its grain is delay for nothing.

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The time of the tick.
    pub(super) now_us: i64,
    /// Samples per second.
    pub(super) rate: u32,
    /// Samples the tick asks for, at least one.
    pub(super) tick: usize,
}

/// Where playout of a packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// From the arrival of a packet that nothing held up to its first sample being handed out.
    pub(super) delay: i64,
    /// Slack beyond the target; negative when there is too little.
    pub(super) excess: i64,
    /// Delay that gives no slack.
    pub(super) idle: usize,
    pub(super) grain: usize,
}

impl Moment {
    /// For a packet of `packet` samples that is expected at `expected_us` and will be played after `waiting` others.
    pub(super) fn standing(
        &self,
        waiting: usize,
        packet: usize,
        expected_us: i64,
        target_us: i64,
    ) -> Standing {
        let grain = greatest_common_divisor(packet, self.tick).max(1);
        let idle = waiting % grain;
        let delay = self.samples(self.now_us.saturating_sub(expected_us)).saturating_add(waiting as i64);
        // The packet of the grain that lies last in its tick has the least slack.
        let needed = self.samples(target_us) + (self.tick - grain.min(self.tick)) as i64;
        Standing { delay, excess: delay - idle as i64 - needed, idle, grain }
    }

    /// Microseconds in samples.
    pub(super) fn samples(&self, us: i64) -> i64 {
        us.saturating_mul(i64::from(self.rate)) / 1_000_000
    }

    /// Samples in microseconds.
    pub(super) fn us(&self, samples: i64) -> i64 {
        samples.saturating_mul(1_000_000) / i64::from(self.rate)
    }
}

fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick of 20 ms at 8 kHz, `ms` after the packet is expected, with a target of 4 ms.
    fn standing(ms: i64, waiting: usize, packet: usize) -> Standing {
        Moment { now_us: ms * 1000, rate: 8000, tick: 160 }.standing(waiting, packet, 0, 4000)
    }

    #[test]
    fn a_packet_as_long_as_a_tick_gains_no_slack_from_its_place_within() {
        assert_eq!(standing(9, 0, 160), Standing { delay: 72, excess: 40, idle: 0, grain: 160 });
        assert_eq!(standing(9, 50, 160), Standing { delay: 122, excess: 40, idle: 50, grain: 160 });
        assert_eq!(standing(3, 0, 160).excess, -8);
        assert_eq!(standing(-11, 160, 160).excess, 40, "behind a whole tick it is needed at the next one");
    }

    #[test]
    fn packets_of_30_ms_need_slack_for_the_one_that_lies_last_in_its_tick() {
        let standing = standing(20, 0, 240);
        assert_eq!((standing.grain, standing.excess), (80, 160 - 32 - 80));
    }
}
