//! What we send on a leg, as a sender report tells it, and the round-trip times that come back (RFC 3550 §6.4.1).
//!
//! A round trip is measured from the moment a report left, which is looked up by its timestamp, so a step of the wall clock
//! does not spoil it.
//!
//! Left out on purpose: several streams on one leg.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ntp::{WallClock, from_dlsr};
use super::reception::TickRate;
use super::report::{ReportBlock, SenderInfo};
use crate::time::Time;

/// How many of our reports are remembered; a peer answers the last one, seldom the one before.
const REMEMBERED: usize = 4;

/// Our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sending {
    clock: TickRate,
    pub(super) packets: u64,
    pub(super) octets: u64,
    /// Packets and octets that went out under an earlier SSRC.
    earlier: (u64, u64),
    /// The last timestamp and when it went out first: the packets of an event share one.
    timestamp: u32,
    stamped: Time,
    /// When the last packet went out.
    pub(super) sent: Option<Time>,
    /// Our last reports: the middle of the timestamp, and when it left. Zero is no report.
    reports: [(u32, Time); REMEMBERED],
}

impl Sending {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self {
            clock: TickRate::new(clock_rate),
            packets: 0,
            octets: 0,
            earlier: (0, 0),
            timestamp: 0,
            stamped: Time::ZERO,
            sent: None,
            reports: [(0, Time::ZERO); REMEMBERED],
        }
    }

    /// Counts a packet. A few additions.
    #[inline]
    pub(super) fn handle_rtp(&mut self, now: Time, timestamp: u32, octets: u32) {
        self.packets += 1;
        self.octets += u64::from(octets);
        if timestamp != self.timestamp || self.sent.is_none() {
            self.timestamp = timestamp;
            self.stamped = now;
        }
        self.sent = Some(now);
    }

    /// Timestamps advance at another rate from now on.
    pub(super) fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock = TickRate::new(clock_rate);
    }

    /// Packets sent under the present SSRC.
    pub(super) const fn packets_of_ssrc(&self) -> u64 {
        self.packets - self.earlier.0
    }

    /// Another SSRC from now on: its counts begin at zero, and nobody can answer its reports yet.
    pub(super) fn restart(&mut self) {
        self.earlier = (self.packets, self.octets);
        self.sent = None;
        self.reports = [(0, Time::ZERO); REMEMBERED];
    }

    /// The sender information of a report that leaves now.
    pub(super) fn report(&mut self, now: Time, clock: Option<WallClock>) -> SenderInfo {
        // §6.4.1 lets a sender without a wall clock use its running time.
        let ntp = clock.unwrap_or(WallClock { at: Time::ZERO, unix_nanos: 0 }).ntp(now);
        self.reports.rotate_right(1);
        self.reports[0] = (ntp.middle(), now);
        SenderInfo {
            ntp,
            rtp_timestamp: self.timestamp_at(now),
            packets: self.packets_of_ssrc() as u32,
            octets: (self.octets - self.earlier.1) as u32,
        }
    }

    /// The round trip that a block about our stream shows; `None` when it answers no report that we remember.
    pub(super) fn round_trip(&self, now: Time, block: &ReportBlock) -> Option<Duration> {
        let asked = block.last_sender_report;
        let (_, sent) = self.reports.iter().find(|(middle, _)| *middle == asked && asked != 0)?;
        // A peer that counts its delay too long is at least not farther away than nothing.
        Some(now.since(*sent).saturating_sub(from_dlsr(block.delay)))
    }

    /// The timestamp of this moment: the last one, advanced at the clock rate.
    fn timestamp_at(&self, now: Time) -> u32 {
        let passed = self.clock.ticks(now).wrapping_sub(self.clock.ticks(self.stamped));
        self.timestamp.wrapping_add(passed)
    }
}
