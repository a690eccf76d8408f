//! Extended reports: their blocks, and the VoIP metrics block read and written (RFC 3611 §2, §3, §4.7).
//!
//! Left out on purpose: the other block types, which are read over; round-trip times for peers that only receive (§4.4,
//! §4.5), as every leg here reports as a sender.

use super::word;
use crate::rtp::Ssrc;

/// Octets of a block header.
const BLOCK_HEADER: usize = 4;
/// The block type of VoIP metrics.
const VOIP_METRICS: u8 = 7;
/// Octets of a VoIP metrics block, header included.
pub(super) const VOIP_BLOCK: usize = 36;
/// The value of a field that is not known (§4.7.4, §4.7.5).
const UNAVAILABLE: u8 = 127;

/// A view of an extended report packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    ssrc: Ssrc,
    blocks: &'a [u8],
}

impl<'a> ExtendedReport<'a> {
    /// The body after the common header; `None` when its blocks do not fill it exactly.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let packet = Self { ssrc: Ssrc(word(body)?), blocks: body.get(4..)? };
        let length: usize = packet.blocks().map(<[u8]>::len).sum();
        (length == packet.blocks.len()).then_some(packet)
    }

    /// Who reports.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Its blocks in order, each whole, its type in the first octet.
    pub fn blocks(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.blocks;
        core::iter::from_fn(move || {
            let length = BLOCK_HEADER + 4 * usize::from(word(rest)? as u16);
            let (block, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(block)
        })
    }

    /// Its VoIP metrics blocks.
    pub fn voip_metrics(&self) -> impl Iterator<Item = VoipMetrics> + use<'a> {
        self.blocks().filter_map(VoipMetrics::read)
    }
}

/// A VoIP metrics block (RFC 3611 §4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The source that is reported on.
    pub ssrc: Ssrc,
    /// Packets lost since the beginning, in 256ths of those expected.
    pub loss_rate: u8,
    /// Packets that came too late or too early to be played, in 256ths of those expected.
    pub discard_rate: u8,
    /// Loss within bursts, in 256ths.
    pub burst_density: u8,
    /// Loss between bursts, in 256ths.
    pub gap_density: u8,
    /// The mean length of a burst in milliseconds.
    pub burst_ms: u16,
    /// The mean length of a gap in milliseconds.
    pub gap_ms: u16,
    /// The last round-trip time in milliseconds; zero when not known.
    pub round_trip_ms: u16,
    /// The delay of the end system in milliseconds; zero when not known.
    pub end_system_ms: u16,
    /// The level of speech in dBm0.
    pub signal_level: Option<i8>,
    /// The level of the background noise in dBm0.
    pub noise_level: Option<i8>,
    /// The residual echo return loss in dB.
    pub echo_return_loss: Option<u8>,
    /// How many packets in a row end a burst; 16 is recommended, zero must not be sent.
    pub gmin: u8,
    /// The R factor of this session, 0 to 100.
    pub r_factor: Option<u8>,
    /// The R factor of a network beyond it, 0 to 100.
    pub external_r_factor: Option<u8>,
    /// The estimated listening quality in tenths of the mean opinion score, 10 to 50.
    pub mos_listening: Option<u8>,
    /// The estimated conversational quality in tenths of the mean opinion score, 10 to 50.
    pub mos_conversational: Option<u8>,
    /// The receiver configuration octet (§4.7.6).
    pub receiver: u8,
    /// The nominal delay of the jitter buffer in milliseconds.
    pub jitter_buffer_ms: u16,
    /// Its greatest delay under the conditions so far, in milliseconds.
    pub jitter_buffer_max_ms: u16,
    /// The greatest delay it can ever have, in milliseconds.
    pub jitter_buffer_limit_ms: u16,
}

impl VoipMetrics {
    /// Reads a block; `None` when it is of another type or size. Values outside their ranges count as unavailable.
    #[must_use]
    pub fn read(block: &[u8]) -> Option<Self> {
        let block = block.first_chunk::<VOIP_BLOCK>().filter(|_| block.len() == VOIP_BLOCK)?;
        if block[0] != VOIP_METRICS {
            return None;
        }
        let pair = |at: usize| word(block.get(at..)?).map(|word| ((word >> 16) as u16, word as u16));
        let ((burst_ms, gap_ms), (round_trip_ms, end_system_ms)) = (pair(12)?, pair(16)?);
        let ((_, jitter_buffer_ms), (jitter_buffer_max_ms, jitter_buffer_limit_ms)) = (pair(28)?, pair(32)?);
        let known = |at: usize| block.get(at).copied().filter(|value| *value != UNAVAILABLE);
        let within = |at, low: u8, high: u8| known(at).filter(|value| (low..=high).contains(value));
        Some(Self {
            ssrc: Ssrc(word(block.get(4..)?)?),
            loss_rate: block[8],
            discard_rate: block[9],
            burst_density: block[10],
            gap_density: block[11],
            burst_ms,
            gap_ms,
            round_trip_ms,
            end_system_ms,
            signal_level: known(20).map(u8::cast_signed),
            noise_level: known(21).map(u8::cast_signed),
            echo_return_loss: known(22),
            gmin: block[23],
            r_factor: within(24, 0, 100),
            external_r_factor: within(25, 0, 100),
            mos_listening: within(26, 10, 50),
            mos_conversational: within(27, 10, 50),
            receiver: block[28],
            jitter_buffer_ms,
            jitter_buffer_max_ms,
            jitter_buffer_limit_ms,
        })
    }

    pub(super) fn to_bytes(self) -> [u8; VOIP_BLOCK] {
        let octet = |value: Option<u8>| value.unwrap_or(UNAVAILABLE);
        let level = |value: Option<i8>| value.map_or(UNAVAILABLE, i8::cast_unsigned);
        let pair = |high: u16, low: u16| (u32::from(high) << 16 | u32::from(low)).to_be_bytes();
        let words = [
            [VOIP_METRICS, 0, 0, ((VOIP_BLOCK - BLOCK_HEADER) / 4) as u8],
            self.ssrc.0.to_be_bytes(),
            [self.loss_rate, self.discard_rate, self.burst_density, self.gap_density],
            pair(self.burst_ms, self.gap_ms),
            pair(self.round_trip_ms, self.end_system_ms),
            [level(self.signal_level), level(self.noise_level), octet(self.echo_return_loss), self.gmin],
            [
                octet(self.r_factor),
                octet(self.external_r_factor),
                octet(self.mos_listening),
                octet(self.mos_conversational),
            ],
            pair(u16::from(self.receiver) << 8, self.jitter_buffer_ms),
            pair(self.jitter_buffer_max_ms, self.jitter_buffer_limit_ms),
        ];
        let mut bytes = [0; VOIP_BLOCK];
        let (places, _) = bytes.as_chunks_mut::<4>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word;
        }
        bytes
    }
}
