//! What arrivals tell: how long packets must wait so that hardly any comes too late (RFC 3550 §6.4.1 and §A.8 for the
//! interarrival jitter).
//!
//! The **transit** of a packet is its arrival less its timestamp: a number without meaning of its own, as the clocks have
//! nothing in common, but its changes are changes of the network and of the clocks. The smallest transit of the last ten
//! seconds is the **base**: it stands for a packet that nothing held up. As it forgets, it follows the drift of the clocks.
//! What a packet's transit exceeds the base by is its lateness; a histogram of it gives the target.
//!
//! Left out on purpose: what is done about it, which `playout` decides.

use serde::{Deserialize, Serialize};

use super::histogram::{BIN_US, Histogram};
use crate::time::Time;

/// The window of the base is this many seconds.
const BASE_SECONDS: u64 = 10;
/// A transit this far from the base is no delay: the timestamps jumped.
const JUMP_US: i64 = 1_000_000;
/// A packet this much faster than all before it shows another path, or timestamps that jumped a little.
const FASTER_PATH_US: i64 = 60_000;
/// No target is below this: a tick may come a little early.
const LEAST_TARGET_US: i64 = 4000;
/// The target is not below this before [`LEARNT`] packets have come.
const FIRST_TARGET_US: i64 = 6000;
const LEARNT: u16 = 25;

/// The arrivals of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrivals {
    clock_rate: u32,
    last: Option<Last>,
    base: Base,
    /// The transit from which the histogram counts; at most one bin below the base.
    origin_us: i64,
    histogram: Histogram,
    /// Sixteen times the interarrival jitter, in microseconds (RFC 3550 §A.8).
    jitter_16_us: u64,
}

/// The packet that came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    timestamp: u32,
    /// The timestamp counted on beyond 32 bits, from the first packet on.
    media: i64,
    transit_us: i64,
}

impl Arrivals {
    /// `clock_rate` in timestamp units per second, at least one.
    pub(super) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            last: None,
            base: Base::default(),
            origin_us: 0,
            histogram: Histogram::new(),
            jitter_16_us: 0,
        }
    }

    /// Another stream follows, likely over the same path: what is known of lateness stays.
    pub(super) fn restart(&mut self) {
        self.last = None;
    }

    /// Learns from one packet. `true`: its timestamp has nothing to do with those before.
    pub(super) fn handle_arrival(&mut self, now: Time, timestamp: u32) -> bool {
        let now_us = micros(now);
        let media = self.last.map_or(0, |last| last.extend(timestamp));
        let transit_us = now_us - self.media_us(media);
        let lateness = transit_us - self.base.least_us;
        let jumped = self.last.is_some() && lateness.abs() > JUMP_US;
        match self.last {
            Some(last) if !jumped => {
                let change = (transit_us - last.transit_us).unsigned_abs();
                self.jitter_16_us += change;
                self.jitter_16_us -= (self.jitter_16_us - change + 8) >> 4;
            }
            Some(_) | None => {
                self.base = Base::starting(now_us, transit_us);
                self.origin_us = transit_us;
            }
        }
        self.last = Some(Last { timestamp, media, transit_us });
        self.base.update(now_us, transit_us);
        if !jumped && lateness < -FASTER_PATH_US && self.histogram.len() > 0 {
            self.histogram.clear();
            self.origin_us = self.base.least_us;
        }
        self.follow_base();
        self.histogram.push(transit_us - self.origin_us);
        jumped
    }

    /// When a packet with this timestamp comes if nothing holds it up, in microseconds of our clock. `None`: nothing has
    /// come.
    pub(super) fn expected_us(&self, timestamp: u32) -> Option<i64> {
        self.last.map(|last| self.media_us(last.extend(timestamp)) + self.base.least_us)
    }

    /// How late a packet may come and still be played, in microseconds.
    pub(super) fn target_us(&self) -> i64 {
        let bound = self.histogram.bound_us() + self.origin_us - self.base.least_us;
        let least = if self.histogram.len() < LEARNT { FIRST_TARGET_US } else { LEAST_TARGET_US };
        bound.max(least)
    }

    /// Interarrival jitter, in microseconds.
    pub(super) fn jitter_us(&self) -> u32 {
        u32::try_from(self.jitter_16_us >> 4).unwrap_or(u32::MAX)
    }

    /// How much faster the sender's clock runs than ours, in parts per million.
    pub(super) fn drift_ppm(&self) -> i32 {
        self.base.drift_16_ppm / 16
    }

    fn follow_base(&mut self) {
        let bins = (self.base.least_us - self.origin_us).div_euclid(BIN_US);
        if bins != 0 {
            self.histogram.shift(bins);
            self.origin_us += bins * BIN_US;
        }
    }

    fn media_us(&self, media: i64) -> i64 {
        media.saturating_mul(1_000_000) / i64::from(self.clock_rate)
    }
}

impl Last {
    /// The timestamp counted on beyond 32 bits: within half their range of the last one, before or after.
    fn extend(&self, timestamp: u32) -> i64 {
        self.media + i64::from(timestamp.wrapping_sub(self.timestamp) as i32)
    }
}

/// The smallest transit of the last ten seconds, kept per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    least_us: i64,
    second: u64,
    /// The smallest transit of each second, by `second % 10`; of a second without packets that of the one before.
    seconds: [i64; BASE_SECONDS as usize],
    /// Seconds that have passed since the first, up to ten.
    known: u64,
    /// Sixteen times the drift, smoothed.
    drift_16_ppm: i32,
}

impl Base {
    fn starting(now_us: i64, transit_us: i64) -> Self {
        let seconds = [transit_us; BASE_SECONDS as usize];
        Self { least_us: transit_us, second: second(now_us), seconds, known: 0, drift_16_ppm: 0 }
    }

    fn update(&mut self, now_us: i64, transit_us: i64) {
        let now = second(now_us);
        let passed = now.saturating_sub(self.second);
        if passed > 0 {
            self.turn(passed.min(BASE_SECONDS), transit_us);
            self.second = now;
        }
        if let Some(least) = self.seconds.get_mut((self.second % BASE_SECONDS) as usize) {
            *least = transit_us.min(*least);
        }
        self.least_us = self.seconds.iter().copied().min().unwrap_or(transit_us);
    }

    /// Opens `passed` new seconds, of which each forgets the one ten before.
    fn turn(&mut self, passed: u64, transit_us: i64) {
        let old = self.second.wrapping_add(1) % BASE_SECONDS;
        let oldest = self.seconds.get(old as usize).copied().unwrap_or(transit_us);
        let newest = self.seconds.get((self.second % BASE_SECONDS) as usize).copied().unwrap_or(transit_us);
        self.known = (self.known + passed).min(2 * BASE_SECONDS);
        if passed == 1 && self.known >= BASE_SECONDS {
            // Microseconds per second are parts per million. Each second tells a little.
            let drift = (oldest - newest) / (BASE_SECONDS as i64 - 1);
            self.drift_16_ppm += (drift.clamp(-2000, 2000) as i32) - self.drift_16_ppm / 16;
        }
        for step in 1..=passed {
            if let Some(least) = self.seconds.get_mut(((self.second + step) % BASE_SECONDS) as usize) {
                *least = transit_us;
            }
        }
    }
}

/// Microseconds of our clock.
pub(super) fn micros(now: Time) -> i64 {
    i64::try_from(now.0 / 1000).unwrap_or(i64::MAX)
}

fn second(now_us: i64) -> u64 {
    u64::try_from(now_us / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: i64) -> Time {
        Time(us as u64 * 1000)
    }

    #[test]
    fn interarrival_jitter_is_the_one_of_rfc_3550() {
        let mut arrivals = Arrivals::new(8000);
        let mut expected = 0.0;
        let lateness = |index: i64| index * 7919 % 11 * 1000;
        for index in 0..200 {
            arrivals.handle_arrival(at(1_000_000 + index * 20_000 + lateness(index)), index as u32 * 160);
            if index > 0 {
                let change = (lateness(index) - lateness(index - 1)).abs() as f64;
                expected += (change - expected) / 16.0;
            }
        }
        assert!((f64::from(arrivals.jitter_us()) - expected).abs() < 10.0, "{}", arrivals.jitter_us());
    }

    #[test]
    fn the_base_is_the_fastest_packet_of_ten_seconds() {
        let mut arrivals = Arrivals::new(8000);
        for index in 0..1000i64 {
            let late = if index == 300 { 0 } else { 7000 };
            arrivals.handle_arrival(at(index * 20_000 + late), index as u32 * 160);
            let expected = arrivals.expected_us(index as u32 * 160).unwrap() - index * 20_000;
            assert_eq!(expected, if (300..800).contains(&index) { 0 } else { 7000 }, "{index}");
        }
    }

    #[test]
    fn timestamps_go_on_over_the_wrap_and_a_jump_is_told() {
        let mut arrivals = Arrivals::new(8000);
        let mut timestamp = u32::MAX - 500;
        for index in 0..10 {
            assert!(!arrivals.handle_arrival(at(index * 20_000), timestamp));
            assert_eq!(arrivals.expected_us(timestamp), Some(index * 20_000));
            timestamp = timestamp.wrapping_add(160);
        }
        assert!(arrivals.handle_arrival(at(200_000), timestamp.wrapping_add(80_000)));
        assert_eq!(arrivals.expected_us(timestamp.wrapping_add(80_000)), Some(200_000));
    }
}
