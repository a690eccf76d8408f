//! How often a flow is kept alive (RFC 5626 §4.4).

use crate::random::Random;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The bounds between which each interval to the next keep-alive is drawn, so that clients do not fall into step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    least: Duration,
    most: Duration,
}

impl Interval {
    /// 95 to 120 s, for streams (§4.4.1).
    pub const STREAM: Interval = Interval { least: Duration::from_secs(95), most: Duration::from_secs(120) };

    /// 24 to 29 s, for UDP (§4.4.2).
    pub const DATAGRAM: Interval = Interval { least: Duration::from_secs(24), most: Duration::from_secs(29) };

    /// 80 to 100 % of the Flow-Timer of a registrar (§4.4), which is a second at least.
    pub fn flow_timer(seconds: u32) -> Interval {
        let most = Duration::from_secs(seconds.max(1).into());
        Interval { least: most * 4 / 5, most }
    }

    /// The time to the next keep-alive.
    pub fn draw(self, random: &mut Random) -> Duration {
        // Multiplying by a fraction of 2³² keeps all values of the range equally likely.
        let span = self.most.saturating_sub(self.least).as_nanos();
        let part = (span * u128::from(random.next_u32())) >> 32;
        self.least + Duration::from_nanos(u64::try_from(part).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_differ_and_stay_within_their_bounds() {
        let mut random = Random::new([5; 32]);
        for interval in
            [Interval::STREAM, Interval::DATAGRAM, Interval::flow_timer(600), Interval::flow_timer(0)]
        {
            let drawn: Vec<_> = (0..100).map(|_| interval.draw(&mut random)).collect();
            assert!(drawn.iter().all(|time| (interval.least..=interval.most).contains(time)));
            let (first, last) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
            assert!(*last - *first > (interval.most - interval.least) * 9 / 10, "they spread");
        }
        assert_eq!(Interval::flow_timer(120).least, Duration::from_secs(96));
    }
}
