//! Sender and receiver reports: views of those that arrive, and the values of those that are written (RFC 3550 §6.4).
//!
//! Left out on purpose: profile-specific extensions after the report blocks, which are read over.

use serde::{Deserialize, Serialize};

use super::ntp::NtpTime;
use super::word;
use crate::rtp::Ssrc;

/// Octets of a report block.
pub(super) const BLOCK: usize = 24;
/// Octets of the sender information.
pub(super) const SENDER_INFO: usize = 20;
/// The limits of the cumulative loss, which has 24 bits with a sign.
const LOST: std::ops::RangeInclusive<i32> = -0x80_0000..=0x7f_ffff;

/// What a sender says about its own stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderInfo {
    /// The moment of the report by the sender's wall clock.
    pub ntp: NtpTime,
    /// The same moment in ticks of its RTP timestamps.
    pub rtp_timestamp: u32,
    /// Packets sent so far, modulo 2^32.
    pub packets: u32,
    /// Their payload octets, without header and padding, modulo 2^32.
    pub octets: u32,
}

impl SenderInfo {
    pub(super) fn read(bytes: &[u8; SENDER_INFO]) -> Self {
        let word = |at: usize| bytes.get(at..).and_then(word).unwrap_or(0);
        Self {
            ntp: NtpTime(u64::from(word(0)) << 32 | u64::from(word(4))),
            rtp_timestamp: word(8),
            packets: word(12),
            octets: word(16),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; SENDER_INFO] {
        let mut bytes = [0; SENDER_INFO];
        bytes[..8].copy_from_slice(&self.ntp.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.rtp_timestamp.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.packets.to_be_bytes());
        bytes[16..].copy_from_slice(&self.octets.to_be_bytes());
        bytes
    }
}

/// What a receiver says about one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 256ths of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, −8388608 to 8388607; negative when duplicates outnumber them.
    pub lost: i32,
    /// The highest sequence number received, its cycles in the high half.
    pub highest_sequence: u32,
    /// The interarrival jitter in ticks of the RTP timestamp.
    pub jitter: u32,
    /// The middle of the NTP timestamp of the last sender report; zero when there was none.
    pub last_sender_report: u32,
    /// The time since that report arrived, in 1/65536 s; zero when there was none.
    pub delay: u32,
}

impl ReportBlock {
    pub(super) fn read(bytes: &[u8; BLOCK]) -> Self {
        let word = |at: usize| bytes.get(at..).and_then(word).unwrap_or(0);
        let loss = word(4);
        Self {
            ssrc: Ssrc(word(0)),
            fraction_lost: (loss >> 24) as u8,
            // The shift up and back spreads the sign of the 24 bits.
            lost: (loss << 8).cast_signed() >> 8,
            highest_sequence: word(8),
            jitter: word(12),
            last_sender_report: word(16),
            delay: word(20),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; BLOCK] {
        let lost = self.lost.clamp(*LOST.start(), *LOST.end()).cast_unsigned() & 0x00ff_ffff;
        let words = [
            self.ssrc.0,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sender_report,
            self.delay,
        ];
        let mut bytes = [0; BLOCK];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        bytes
    }
}

/// A view of a sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    ssrc: Ssrc,
    info: &'a [u8; SENDER_INFO],
    blocks: &'a [[u8; BLOCK]],
}

impl<'a> SenderReport<'a> {
    /// The body after the common header; `None` when it does not hold `count` blocks.
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = body.split_first_chunk()?;
        let (info, rest) = rest.split_first_chunk()?;
        Some(Self { ssrc: Ssrc(u32::from_be_bytes(*ssrc)), info, blocks: blocks(count, rest)? })
    }

    /// Who reports.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// What it says about its own stream.
    #[must_use]
    pub fn info(&self) -> SenderInfo {
        SenderInfo::read(self.info)
    }

    /// What it says about what it hears, a block per source, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + 'a {
        self.blocks.iter().map(ReportBlock::read)
    }
}

/// A view of a receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    ssrc: Ssrc,
    blocks: &'a [[u8; BLOCK]],
}

impl<'a> ReceiverReport<'a> {
    /// The body after the common header; `None` when it does not hold `count` blocks.
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = body.split_first_chunk()?;
        Some(Self { ssrc: Ssrc(u32::from_be_bytes(*ssrc)), blocks: blocks(count, rest)? })
    }

    /// Who reports.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// What it says about what it hears, a block per source, at most 31.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + 'a {
        self.blocks.iter().map(ReportBlock::read)
    }
}

fn blocks(count: u8, rest: &[u8]) -> Option<&[[u8; BLOCK]]> {
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    blocks.get(..usize::from(count))
}
