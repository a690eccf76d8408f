//! When to report (RFC 3550 §6.2, §6.3, §A.7).
//!
//! The interval grows with the members and the size of packets so that RTCP keeps to its bandwidth, is never below a
//! minimum, half of it for the first packet, and is drawn between half and one and a half times its value. An expired timer
//! is considered again with the members of that moment (§6.3.6).
//!
//! Left out on purpose: reverse reconsideration (§6.3.4) and the back-off of BYE (§6.3.7), which only groups of more than 50
//! need: two parties share a leg, and a member who leaves leaves nobody to hurry for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The minimum that RFC 3550 §6.2 recommends.
pub(super) const MINIMUM: Duration = Duration::from_secs(5);
/// Octets of IP and UDP headers, which count (RFC 3550 §6.2).
const LOWER_LAYERS: u32 = 28;
/// What a first packet is expected to have, lower layers included: SR with one block, a random name, VoIP metrics.
const FIRST_SIZE: u32 = 150;
/// What corrects for reconsideration, e − 3/2, in 1/65536.
const COMPENSATION: u128 = 79_842;

/// Who takes part in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// All, ourselves included.
    pub members: u32,
    /// Those who sent RTP lately, ourselves included.
    pub senders: u32,
    /// Whether we are one of them.
    pub we_sent: bool,
}

/// The timer of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    minimum: Duration,
    /// Octets per second for all members together; zero for no reports at all (RFC 3556 §2).
    bandwidth: u32,
    /// The average size of packets of all members, in 16ths of an octet.
    average: u32,
    initial: bool,
    previous: Time,
    next: Time,
    random: u64,
}

impl Interval {
    /// A timer that begins now. `bandwidth` in bits per second is RTCP's share of the session, usually a twentieth
    /// (RFC 3550 §6.2), and zero for none; `seed` decides the draws.
    #[must_use]
    pub fn new(now: Time, minimum: Duration, bandwidth: u32, seed: u64) -> Self {
        let mut timer = Self {
            minimum,
            bandwidth: bandwidth.div_ceil(8),
            average: FIRST_SIZE << 4,
            initial: true,
            previous: now,
            next: now,
            random: seed,
        };
        let alone = Population { members: 1, senders: 0, we_sent: false };
        timer.next = now + timer.draw(alone);
        timer
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` when there is no bandwidth.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Time> {
        if self.bandwidth == 0 { None } else { Some(self.next) }
    }

    /// Whether a report is due. When it is not, the timer may have been set anew.
    pub fn handle_timeout(&mut self, now: Time, population: Population) -> bool {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return false;
        }
        let considered = self.previous + self.draw(population);
        if considered > now {
            self.next = considered;
            return false;
        }
        true
    }

    /// A report of `size` octets leaves; the next interval begins.
    pub fn handle_sent(&mut self, now: Time, population: Population, size: usize) {
        self.average_in(size);
        self.initial = false;
        self.previous = now;
        self.next = now + self.draw(population);
    }

    /// A compound packet of `size` octets arrived.
    pub fn handle_received(&mut self, size: usize) {
        self.average_in(size);
    }

    /// The interval without chance (RFC 3550 §6.3.1 steps 1 to 3), which also measures who timed out (§6.3.5).
    #[must_use]
    pub fn deterministic(&self, population: Population) -> Duration {
        let Population { members, senders, we_sent } = population;
        // A quarter of the bandwidth is for senders while they are a quarter of the members at most.
        let (sharing, share) = match (4 * u64::from(senders) <= u64::from(members), we_sent) {
            (true, true) => (senders, 1),
            (true, false) => (members.saturating_sub(senders), 3),
            (false, true | false) => (members, 4),
        };
        let octets = u128::from(self.average) * u128::from(sharing) / 16;
        let bandwidth = u128::from(self.bandwidth.max(1)) * share;
        let nanos = octets * 4_000_000_000 / bandwidth;
        let minimum = if self.initial { self.minimum / 2 } else { self.minimum };
        minimum.max(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// The interval with chance (RFC 3550 §6.3.1 steps 4 and 5).
    fn draw(&mut self, population: Population) -> Duration {
        // Half to one and a half, in 1/65536.
        let factor = (1 << 15) + u128::from(next_random(&mut self.random) >> 48);
        let nanos = self.deterministic(population).as_nanos() * factor / COMPENSATION;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// §6.3.3: a gain of one sixteenth.
    fn average_in(&mut self, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX).saturating_add(LOWER_LAYERS).min(1 << 16);
        self.average = self.average - self.average / 16 + size;
    }
}

/// The SplitMix64 sequence: chance enough to keep two parties from reporting in step, in eight octets of state.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Population = Population { members: 2, senders: 2, we_sent: true };

    /// RTCP's twentieth of a G.711 call.
    fn timer(seed: u64) -> Interval {
        Interval::new(Time::ZERO, MINIMUM, 4000, seed)
    }

    /// The times of `count` reports.
    fn reports(mut timer: Interval, population: Population, count: usize) -> Vec<Time> {
        let mut sent = Vec::new();
        while sent.len() < count {
            let now = timer.poll_timeout().unwrap();
            if timer.handle_timeout(now, population) {
                timer.handle_sent(now, population, 120);
                sent.push(now);
            }
        }
        sent
    }

    #[test]
    fn the_first_report_comes_after_half_the_minimum_and_the_rest_after_the_whole_by_chance() {
        let (low, high) = (0.5 / 1.2183, 1.5 / 1.2182);
        for seed in 0..200 {
            let sent = reports(timer(seed), TWO, 5);
            let first = sent[0].since(Time::ZERO).as_secs_f64();
            assert!((2.5 * low..2.5 * high).contains(&first), "{first}");
            for pair in sent.windows(2) {
                let interval = pair[1].since(pair[0]).as_secs_f64();
                assert!((5.0 * low..5.0 * high).contains(&interval), "{interval}");
            }
        }
    }

    #[test]
    fn the_mean_interval_is_near_the_minimum_in_spite_of_reconsideration() {
        let count = 2000;
        let sent = reports(timer(3), TWO, count);
        let mean = sent[count - 1].since(sent[0]).as_secs_f64() / (count - 1) as f64;
        assert!((4.6..5.4).contains(&mean), "{mean}");
    }

    #[test]
    fn the_interval_keeps_many_members_to_the_bandwidth() {
        let timer = timer(1);
        let many = Population { members: 100, senders: 2, we_sent: false };
        // 98 receivers share three quarters of 500 octets a second in packets of 150.
        assert_eq!(timer.deterministic(many), Duration::from_millis(39_200));
        let sender = Population { we_sent: true, ..many };
        assert_eq!(timer.deterministic(sender), MINIMUM / 2);
        let all = Population { members: 100, senders: 26, we_sent: true };
        assert_eq!(timer.deterministic(all), Duration::from_secs(30));
    }

    #[test]
    fn without_bandwidth_nothing_is_ever_due() {
        let mut timer = Interval::new(Time::ZERO, MINIMUM, 0, 1);
        assert_eq!(timer.poll_timeout(), None);
        assert!(!timer.handle_timeout(Time(u64::MAX), TWO));
    }

    #[test]
    fn the_average_size_follows_what_is_seen() {
        let mut timer = timer(1);
        (0..200).for_each(|_| timer.handle_received(72));
        assert!((99..=101).contains(&(timer.average >> 4)), "{}", timer.average >> 4);
    }

    #[test]
    fn one_seed_draws_one_sequence() {
        assert_eq!(reports(timer(9), TWO, 20), reports(timer(9), TWO, 20));
        assert_ne!(reports(timer(9), TWO, 20), reports(timer(8), TWO, 20));
    }
}
