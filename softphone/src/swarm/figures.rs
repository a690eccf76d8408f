//! What a swarm counts: durations in buckets, packets, calls, ears; and adding up what several threads counted.

use std::collections::BTreeMap;
use std::time::Duration;

/// Buckets of a factor of two: values are known to 1.6 %.
const FINE: u32 = 64;
/// Factors of two above [`FINE`]: up to 19 hours in microseconds.
const OCTAVES: u32 = 30;
/// Reasons that are kept apart; further ones are counted as one.
const REASONS: usize = 32;
/// Ears that heard something wrong, of which it is told what.
const EXAMPLES: usize = 20;

/// How a duration is spread: counts in buckets of 1.6 %, of a size that does not grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Spread {
    fn default() -> Spread {
        Spread { buckets: vec![0; (FINE * (OCTAVES + 1)) as usize], count: 0, max_us: 0 }
    }
}

impl Spread {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        self.add_us(duration.as_micros().try_into().unwrap_or(u64::MAX));
    }

    /// One more, in microseconds.
    pub fn add_us(&mut self, us: u64) {
        let last = self.buckets.len() - 1;
        if let Some(bucket) = self.buckets.get_mut(place(us).min(last)) {
            *bucket += 1;
        }
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in microseconds.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// What so many of a hundred do not exceed, in microseconds; 0 when there are none.
    pub fn percentile_us(&self, percent: f64) -> u64 {
        let wanted = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= wanted
        });
        found.map_or(0, |place| above(place).min(self.max_us))
    }

    fn merge(&mut self, other: &Spread) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, bucket)| *sum += bucket);
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }
}

fn place(us: u64) -> usize {
    let octave = us.max(1).ilog2().saturating_sub(FINE.ilog2());
    let fine = us >> octave;
    // Below the first factor of two a bucket is a microsecond.
    (u64::from(octave * FINE) + fine) as usize
}

/// The largest value of a bucket.
fn above(place: usize) -> u64 {
    let place = place as u64;
    let fine = u64::from(FINE);
    let octave = (place / fine).saturating_sub(1);
    ((place - octave * fine + 1) << octave) - 1
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Phones of the plan.
    pub phones: u64,
    /// Those that were registered.
    pub registered: u64,
    /// Why others were not.
    pub not_registered: BTreeMap<Box<str>, u64>,
    /// Calls of two that began.
    pub calls: u64,
    /// Those that were connected.
    pub connected: u64,
    /// Those that ended as planned.
    pub completed: u64,
    /// Phones that were to join a room.
    pub joins: u64,
    /// Those that did.
    pub joined: u64,
    /// Those that left it as planned.
    pub left: u64,
    /// What went wrong with calls, into rooms or of two.
    pub failures: BTreeMap<Box<str>, u64>,
    /// Ears that were judged, and those that heard whom they should and nobody else.
    pub ears: u64,
    /// Of these.
    pub ears_right: u64,
    /// What some of the others heard.
    pub ear_faults: Vec<Box<str>>,
    /// Lamps that were looked at during calls, and those that showed them.
    pub lamps: u64,
    /// Of these.
    pub lamps_right: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets that came.
    pub received: u64,
    /// Packets that did not come, by the numbers of those that did: of the sender where they are stamped, else of RTP.
    pub lost: u64,
    /// Packets that came as they were sent, stamp and all.
    pub stamped: u64,
    /// Packets of calls of two that a stranger to the call had sent.
    pub strange: u64,
    /// From dialling to the answer.
    pub setup: Spread,
    /// From sending a packet to its arrival.
    pub one_way: Spread,
    /// From a tone's beginning at the mouth to its beginning at the ear.
    pub mouth_to_ear: Spread,
    /// From the answer to the lamp of somebody else.
    pub lamp: Spread,
    /// How much later than planned packets were sent: the fault of the swarm, not of the server.
    pub late: Spread,
}

impl Tally {
    pub(super) fn fail(&mut self, why: &str) {
        count(&mut self.failures, why);
    }

    pub(super) fn not_registered(&mut self, why: &str) {
        count(&mut self.not_registered, why);
    }

    pub(super) fn judge(&mut self, fault: Option<String>) {
        self.ears += 1;
        match fault {
            None => self.ears_right += 1,
            Some(fault) if self.ear_faults.len() < EXAMPLES => self.ear_faults.push(fault.into()),
            Some(_) => {}
        }
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Tally) {
        for (mine, theirs) in [
            (&mut self.phones, other.phones),
            (&mut self.registered, other.registered),
            (&mut self.calls, other.calls),
            (&mut self.connected, other.connected),
            (&mut self.completed, other.completed),
            (&mut self.joins, other.joins),
            (&mut self.joined, other.joined),
            (&mut self.left, other.left),
            (&mut self.ears, other.ears),
            (&mut self.ears_right, other.ears_right),
            (&mut self.lamps, other.lamps),
            (&mut self.lamps_right, other.lamps_right),
            (&mut self.sent, other.sent),
            (&mut self.received, other.received),
            (&mut self.lost, other.lost),
            (&mut self.stamped, other.stamped),
            (&mut self.strange, other.strange),
        ] {
            *mine += theirs;
        }
        for (mine, theirs) in
            [(&mut self.failures, &other.failures), (&mut self.not_registered, &other.not_registered)]
        {
            theirs.iter().for_each(|(why, times)| *mine.entry(why.clone()).or_default() += times);
        }
        let room = EXAMPLES.saturating_sub(self.ear_faults.len());
        self.ear_faults.extend(other.ear_faults.iter().take(room).cloned());
        self.setup.merge(&other.setup);
        self.one_way.merge(&other.one_way);
        self.mouth_to_ear.merge(&other.mouth_to_ear);
        self.late.merge(&other.late);
    }
}

fn count(reasons: &mut BTreeMap<Box<str>, u64>, why: &str) {
    let why = if reasons.len() < REASONS || reasons.contains_key(why) { why } else { "something else" };
    *reasons.entry(why.into()).or_default() += 1;
}

/// What is shown while it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Phones that are registered.
    pub registered: u64,
    /// Phones in a call.
    pub talking: u64,
    /// Calls and joins that began.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// RTP packets that came.
    pub received: u64,
    /// Those that are known to be lost.
    pub lost: u64,
}

impl Progress {
    /// Both together.
    pub fn plus(self, other: Progress) -> Progress {
        Progress {
            registered: self.registered + other.registered,
            talking: self.talking + other.talking,
            calls: self.calls + other.calls,
            failed: self.failed + other.failed,
            received: self.received + other.received,
            lost: self.lost + other.lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_know_a_value_to_within_a_sixtieth() {
        for us in (0..200).chain([1_000, 12_345, 999_999, 20_000_000, 3_600_000_000]) {
            let top = above(place(us));
            assert!(top >= us && top - us <= us / 60, "{us} in a bucket up to {top}");
            assert!(us == 0 || place(us - 1) <= place(us));
        }
    }

    #[test]
    fn percentiles_are_those_of_all_threads_together() {
        let (mut one, mut other) = (Spread::default(), Spread::default());
        (1..=50).for_each(|us| one.add_us(us));
        (51..=100).for_each(|us| other.add_us(us));
        one.merge(&other);
        assert_eq!((one.count(), one.percentile_us(50.0), one.percentile_us(95.0)), (100, 50, 95));
        assert_eq!((one.max_us(), one.percentile_us(100.0)), (100, 100));
        assert_eq!(Spread::default().percentile_us(95.0), 0);
        one.add_us(u64::MAX);
        assert_eq!(one.max_us(), u64::MAX);
    }

    #[test]
    fn reasons_that_the_other_side_makes_up_are_not_kept_without_bound() {
        let mut tally = Tally::default();
        (0..1_000).for_each(|number| tally.fail(&number.to_string()));
        assert_eq!(tally.failures.len(), REASONS + 1);
        assert_eq!(tally.failures.values().sum::<u64>(), 1_000);
    }
}
