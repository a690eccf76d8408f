//! What is measured of the source that is heard: loss, jitter, and when its last report came (RFC 3550 §6.4.1, §A.1, §A.3,
//! §A.8; RFC 4733 §2.5.1.2 for events, whose packets count like any other).
//!
//! Left out on purpose: probation (§A.1) and several sources at once. Who is heard is decided by latching; a new SSRC takes
//! the place of the old one, whose packets stay in the totals.

use serde::{Deserialize, Serialize};

use super::bursts::{BurstFigures, Bursts};
use super::ntp::to_dlsr;
use super::report::ReportBlock;
use crate::rtp::{SequenceTracker, Sequenced, Ssrc};
use crate::time::Time;

/// Figures of one source. Times are of arrival, as exact as the caller has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reception {
    ssrc: Ssrc,
    clock: TickRate,
    tracker: SequenceTracker,
    /// The extended number of the first packet.
    base: u64,
    received: u64,
    /// Arrival minus timestamp of the last packet, in ticks; `None` after the clock rate changed.
    transit: Option<u32>,
    /// The jitter in 16ths of a tick.
    jitter: u32,
    /// The last packet's timestamp, and the ticks between two that followed each other.
    timestamp: u32,
    spacing: u32,
    bursts: Bursts,
    /// What stood in the last report: expected and received.
    reported: (u64, u64),
    /// Expected and received of sequences that ended.
    earlier: (u64, u64),
}

impl Reception {
    /// A source whose first packet arrived just now.
    #[must_use]
    pub fn new(now: Time, ssrc: Ssrc, sequence: u16, timestamp: u32, clock_rate: u32) -> Self {
        let tracker = SequenceTracker::new(sequence);
        let clock = TickRate::new(clock_rate);
        Self {
            ssrc,
            clock,
            tracker,
            base: tracker.highest(),
            received: 1,
            transit: Some(clock.ticks(now).wrapping_sub(timestamp)),
            jitter: 0,
            timestamp,
            spacing: 0,
            bursts: Bursts::default(),
            reported: (0, 0),
            earlier: (0, 0),
        }
    }

    /// The same leg, heard under another SSRC or in a new sequence from this packet on; totals go on.
    #[must_use]
    pub fn restarted(&self, now: Time, ssrc: Ssrc, sequence: u16, timestamp: u32, clock_rate: u32) -> Self {
        let earlier = (self.total_expected(), self.total_received());
        Self { earlier, ..Self::new(now, ssrc, sequence, timestamp, clock_rate) }
    }

    /// Timestamps count at another rate from the next packet on; the jitter is kept as a time.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        let jitter = u64::from(self.jitter) * u64::from(clock_rate) / u64::from(self.clock.rate.max(1));
        self.jitter = u32::try_from(jitter).unwrap_or(u32::MAX);
        (self.clock, self.transit) = (TickRate::new(clock_rate), None);
    }

    /// The source.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Counts one more packet of this source. No division, no branch beyond those of the sequence numbers.
    #[inline]
    pub fn handle_rtp(&mut self, now: Time, sequence: u16, timestamp: u32) {
        let followed = self.tracker;
        let before = followed.highest();
        match self.tracker.update(sequence) {
            Sequenced::Valid(extended) => {
                if extended > before + 1 {
                    self.bursts.handle_loss(before + 1, extended - 1);
                } else if extended > before {
                    self.spacing = timestamp.wrapping_sub(self.timestamp);
                }
                self.received += 1;
                self.timestamp = timestamp;
                let transit = self.clock.ticks(now).wrapping_sub(timestamp);
                let before = self.transit.replace(transit).unwrap_or(transit);
                let deviation = transit.wrapping_sub(before).cast_signed().unsigned_abs();
                // §A.8, kept times 16 so that the gain of 1/16 loses nothing.
                self.jitter = self.jitter.wrapping_add(deviation).wrapping_sub((self.jitter + 8) >> 4);
            }
            Sequenced::Restarted(_) => {
                self.tracker = followed;
                let spacing = self.spacing;
                *self = self.restarted(now, self.ssrc, sequence, timestamp, self.clock.rate);
                self.spacing = spacing;
            }
            Sequenced::Invalid => {}
        }
    }

    /// The block about this source for a report that is sent now, and the beginning of the next interval. `last_report` is
    /// the middle of its last sender report's NTP timestamp and when that arrived.
    pub fn report(&mut self, now: Time, last_report: Option<(u32, Time)>) -> ReportBlock {
        let (expected, received) = (self.expected(), self.received);
        let expected_interval = expected - self.reported.0;
        let lost_interval = expected_interval.saturating_sub(received - self.reported.1);
        self.reported = (expected, received);
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: super::bursts::density(lost_interval, expected_interval),
            lost: clamped_difference(expected, received),
            highest_sequence: (self.tracker.highest() - self.first_cycle()) as u32,
            jitter: self.jitter(),
            last_sender_report: last_report.map_or(0, |(middle, _)| middle),
            delay: last_report.map_or(0, |(_, arrived)| to_dlsr(now.since(arrived))),
        }
    }

    /// The interarrival jitter in ticks of the timestamp.
    #[must_use]
    pub const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The same in microseconds.
    #[must_use]
    pub fn jitter_us(&self) -> u32 {
        let us = u64::from(self.jitter()) * 1_000_000 / u64::from(self.clock.rate.max(1));
        u32::try_from(us).unwrap_or(u32::MAX)
    }

    /// Packets that should have come under this SSRC so far.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        self.tracker.highest() - self.base + 1
    }

    /// Loss under this SSRC so far in 256ths of those expected.
    #[must_use]
    pub fn loss_rate(&self) -> u8 {
        let expected = self.expected();
        super::bursts::density(expected.saturating_sub(self.received), expected)
    }

    /// Packets that should have come on this leg so far, under any SSRC.
    #[must_use]
    pub const fn total_expected(&self) -> u64 {
        self.earlier.0 + self.expected()
    }

    /// Packets that did come, duplicates included.
    #[must_use]
    pub const fn total_received(&self) -> u64 {
        self.earlier.1 + self.received
    }

    /// Loss in bursts and gaps.
    #[must_use]
    pub fn bursts(&self) -> BurstFigures {
        self.bursts.figures(self.expected())
    }

    /// A number of packets, given in 16ths, as milliseconds by the spacing of the last two; saturates.
    #[must_use]
    pub fn packets_to_ms(&self, sixteenths: u64) -> u16 {
        let ticks = u128::from(sixteenths) * u128::from(self.spacing) / 16;
        u16::try_from(ticks * 1000 / u128::from(self.clock.rate.max(1))).unwrap_or(u16::MAX)
    }

    /// Extended numbers start one cycle up; the report counts cycles from zero.
    const fn first_cycle(&self) -> u64 {
        self.base & !0xffff
    }
}

/// `a − b` within the 24 bits of a report.
fn clamped_difference(a: u64, b: u64) -> i32 {
    let difference = i128::from(a) - i128::from(b);
    difference.clamp(-0x80_0000, 0x7f_ffff) as i32
}

/// Turns time into ticks of a clock by one multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TickRate {
    rate: u32,
    /// Ticks per nanosecond, times 2^64.
    factor: u64,
}

impl TickRate {
    pub(super) fn new(rate: u32) -> Self {
        let factor = (u128::from(rate) << 64) / 1_000_000_000;
        Self { rate, factor: u64::try_from(factor).unwrap_or(u64::MAX) }
    }

    /// Ticks from the origin of time to `now`, modulo 2^32. They drift by less than a tick in thirty years.
    #[inline]
    pub(super) const fn ticks(self, now: Time) -> u32 {
        ((now.0 as u128 * self.factor as u128) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SOURCE: Ssrc = Ssrc(7);
    const PTIME: Duration = Duration::from_millis(20);

    /// A source of 20 ms packets at 8 kHz; the numbers in `arrive` come in that order, each exactly in its time.
    fn heard(first: u16, arrive: impl IntoIterator<Item = u16>) -> Reception {
        let mut reception = Reception::new(Time::ZERO, SOURCE, first, 0, 8000);
        for sequence in arrive {
            let index = sequence.wrapping_sub(first);
            reception.handle_rtp(Time::ZERO + PTIME * u32::from(index), sequence, 160 * u32::from(index));
        }
        reception
    }

    #[test]
    fn loss_is_what_was_expected_and_did_not_come() {
        let mut reception = heard(10, (11..=19).filter(|n| !matches!(n, 12 | 15)));
        let block = reception.report(Time::ZERO, None);
        // 2 of 10, in 256ths.
        assert_eq!((block.lost, block.fraction_lost, block.highest_sequence), (2, 51, 19));
    }

    #[test]
    fn the_fraction_is_of_the_interval_and_the_loss_of_all_time() {
        let mut reception = heard(0, [1, 3]);
        assert_eq!(reception.report(Time::ZERO, None).fraction_lost, 64);
        for sequence in 4..8 {
            reception.handle_rtp(Time::ZERO, sequence, 0);
        }
        let block = reception.report(Time::ZERO, None);
        assert_eq!((block.fraction_lost, block.lost), (0, 1));
    }

    #[test]
    fn duplicates_make_the_loss_negative_and_the_fraction_zero() {
        let block = heard(0, [0, 0, 0, 1]).report(Time::ZERO, None);
        assert_eq!((block.lost, block.fraction_lost), (-3, 0));
    }

    #[test]
    fn cycles_are_counted_from_zero() {
        let block = heard(65_534, [65_535, 0, 1]).report(Time::ZERO, None);
        assert_eq!((block.highest_sequence, block.lost), (0x1_0001, 0));
    }

    #[test]
    fn packets_in_their_time_have_no_jitter() {
        assert_eq!(heard(0, 1..200).jitter(), 0);
    }

    #[test]
    fn jitter_follows_section_a_8() {
        let mut reception = Reception::new(Time::ZERO, SOURCE, 0, 0, 8000);
        let (mut jitter, mut transit) = (0.0_f64, 0.0_f64);
        for index in 1..2000u32 {
            let late = Duration::from_micros(u64::from(index * 7919 % 10_000));
            reception.handle_rtp(Time::ZERO + PTIME * index + late, index as u16, 160 * index);
            let now = late.as_secs_f64() * 8000.0;
            jitter += ((now - transit).abs() - jitter) / 16.0;
            transit = now;
        }
        assert!((f64::from(reception.jitter()) - jitter).abs() < 1.5, "{} {jitter}", reception.jitter());
    }

    #[test]
    fn a_restarted_sequence_is_no_loss_and_keeps_the_totals() {
        let mut reception = heard(0, 1..10);
        for sequence in 30_000..30_010 {
            reception.handle_rtp(Time::ZERO, sequence, 0);
        }
        assert_eq!(reception.report(Time::ZERO, None).lost, 0);
        // The first packet of the new sequence was only its announcement.
        assert_eq!((reception.total_expected(), reception.total_received()), (19, 19));
    }

    #[test]
    fn the_delay_since_the_last_report_is_in_65536ths() {
        let mut reception = heard(0, 1..3);
        let block = reception.report(Time(1_500_000_000), Some((0x1234_5678, Time(1_000_000_000))));
        assert_eq!((block.last_sender_report, block.delay), (0x1234_5678, 0x8000));
    }

    #[test]
    fn ticks_stay_exact_for_years() {
        let year = Time(365 * 86_400 * 1_000_000_000);
        assert_eq!(TickRate::new(8000).ticks(year), ((365u64 * 86_400 * 8000) as u32).wrapping_sub(1));
        assert_eq!(TickRate::new(48_000).ticks(Time(1_000_000_000)), 47_999);
    }

    #[test]
    fn lengths_are_told_in_milliseconds_by_the_spacing_of_packets() {
        assert_eq!(heard(0, 1..5).packets_to_ms(16 * 12), 240);
    }
}
