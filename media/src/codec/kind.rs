//! The codecs that are decoded and encoded here, and their numbers: names and clock rates of RFC 3551 §4.5 and RFC 7587,
//! lengths of payloads.
//!
//! What is no [`Codec`] is passed through undecoded: G.729, AMR, video, anything unknown.

use serde::{Deserialize, Serialize};

use super::{l16, opus_packet};
use crate::dsp::SampleRate;

/// Channels of an L16 stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channels {
    /// One.
    Mono,
    /// Two, interleaved, the left one first.
    Stereo,
}

impl Channels {
    /// 1 or 2.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Channels::Mono => 1,
            Channels::Stereo => 2,
        }
    }
}

/// A codec with what is agreed about it. Audio is mono on our side of every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus, decoded to and encoded from an audio rate of our choice: 8, 12, 16, 24 or 48 kHz. The stream does not depend on it.
    Opus {
        /// Rate of the samples on our side.
        rate: SampleRate,
    },
    /// Linear samples.
    L16 {
        /// Rate of the stream.
        rate: SampleRate,
        /// Channels of the stream.
        channels: Channels,
    },
}

/// Largest payload that leaves unfragmented: an MTU of 1500 without the headers of IPv6, UDP, RTP and SRTP's tag, and with
/// some room for tunnels.
const UNFRAGMENTED: usize = 1400;

impl Codec {
    /// The codec an `rtpmap` names (RFC 8866 §6.6): its encoding name, in any case, clock rate and channels, 1 where the line
    /// says nothing. Opus comes at 48 kHz. None: it is passed through.
    #[must_use]
    pub fn from_rtpmap(name: &str, clock_rate: u32, channels: u8) -> Option<Codec> {
        let channels = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            _ => return None,
        };
        let rate = SampleRate::from_hertz(clock_rate)?;
        let l16 = Codec::L16 { rate, channels };
        let known = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus { rate: SampleRate::Hz48000 }, l16];
        let fits = |codec: &Codec| {
            codec.encoding_name().eq_ignore_ascii_case(name)
                && codec.clock_rate() == clock_rate
                && codec.rtpmap_channels() == channels
        };
        known.into_iter().find(fits)
    }

    /// The encoding name in SDP.
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus { .. } => "opus",
            Codec::L16 { .. } => "L16",
        }
    }

    /// Rate of the samples on our side.
    #[must_use]
    pub const fn sample_rate(self) -> SampleRate {
        match self {
            Codec::Pcmu | Codec::Pcma => SampleRate::Hz8000,
            Codec::G722 => SampleRate::Hz16000,
            Codec::Opus { rate } | Codec::L16 { rate, .. } => rate,
        }
    }

    /// Rate of the RTP timestamp, in hertz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8000,
            // RFC 3551 §4.5.2: an error of RFC 1890 that became the rule; the audio is at 16 kHz.
            Codec::G722 => 8000,
            // RFC 7587 §4.1: whatever the audio is.
            Codec::Opus { .. } => 48_000,
            Codec::L16 { rate, .. } => rate.hertz(),
        }
    }

    /// Channels an `rtpmap` names. Opus always says two, and either side sends what it likes (RFC 7587 §7).
    #[must_use]
    pub const fn rtpmap_channels(self) -> Channels {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Channels::Mono,
            Codec::Opus { .. } => Channels::Stereo,
            Codec::L16 { channels, .. } => channels,
        }
    }

    /// RTP clock ticks in `samples` samples of our side.
    #[must_use]
    pub const fn clock_ticks(self, samples: usize) -> u32 {
        (samples as u64 * self.clock_rate() as u64 / self.sample_rate().hertz() as u64) as u32
    }

    /// Samples of our side in a payload; none if it is malformed. Reads the length alone, of Opus at most two octets.
    #[must_use]
    pub fn samples_in(self, payload: &[u8]) -> Option<usize> {
        match self {
            Codec::Pcmu | Codec::Pcma => Some(payload.len()),
            Codec::G722 => Some(2 * payload.len()),
            Codec::Opus { rate } => opus_packet::Toc::parse(payload).map(|toc| toc.samples(rate)),
            Codec::L16 { channels, .. } => l16::samples_in(payload.len(), channels),
        }
    }

    /// Octets that hold any payload of `ptime_ms` milliseconds. An Opus encoder keeps within what it is given, so for it this
    /// is what a packet may have and stay whole.
    #[must_use]
    pub const fn max_payload(self, ptime_ms: u32) -> usize {
        let samples = self.sample_rate().samples(ptime_ms);
        match self {
            Codec::Pcmu | Codec::Pcma => samples,
            Codec::G722 => samples / 2,
            Codec::Opus { .. } => opus_packet::MAX_FRAME,
            Codec::L16 { channels, .. } => 2 * channels.count() * samples,
        }
    }

    /// The packet duration to send when the peer would like `wanted_ms`: 10 to 60 ms in steps of 10, and not longer than
    /// wanted but for the shortest. Opus has no frames of 30 and 50 ms; L16 stays below the length at which IP fragments,
    /// unless 10 ms are beyond it already.
    #[must_use]
    pub fn ptime_ms(self, wanted_ms: u32) -> u32 {
        let allowed = |ms: &u32| {
            *ms <= wanted_ms
                && match self {
                    Codec::Pcmu | Codec::Pcma | Codec::G722 => true,
                    Codec::Opus { .. } => ![30, 50].contains(ms),
                    Codec::L16 { .. } => self.max_payload(*ms) <= UNFRAGMENTED,
                }
        };
        [60, 50, 40, 30, 20].into_iter().find(allowed).unwrap_or(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: Codec = Codec::Opus { rate: SampleRate::Hz48000 };

    #[test]
    fn codecs_are_found_by_name_clock_and_channels() {
        assert_eq!(Codec::from_rtpmap("pcmu", 8000, 1), Some(Codec::Pcmu));
        assert_eq!(Codec::from_rtpmap("PCMA", 8000, 1), Some(Codec::Pcma));
        assert_eq!(Codec::from_rtpmap("G722", 8000, 1), Some(Codec::G722));
        assert_eq!(Codec::from_rtpmap("OPUS", 48_000, 2), Some(OPUS));
        let l16 = Codec::L16 { rate: SampleRate::Hz44100, channels: Channels::Stereo };
        assert_eq!(Codec::from_rtpmap("L16", 44_100, 2), Some(l16));
    }

    #[test]
    fn what_is_not_decoded_is_passed_through() {
        for (name, clock, channels) in [
            ("G729", 8000, 1),
            ("AMR", 8000, 1),
            ("AMR-WB", 16_000, 1),
            ("VP8", 90_000, 1),
            ("G722", 16_000, 1),
            ("PCMU", 16_000, 1),
            ("opus", 48_000, 1),
            ("L16", 11_025, 1),
            ("L16", 48_000, 6),
        ] {
            assert_eq!(Codec::from_rtpmap(name, clock, channels), None, "{name}");
        }
    }

    #[test]
    fn the_clock_of_g722_runs_at_half_its_audio_and_that_of_opus_at_48_khz() {
        assert_eq!((Codec::G722.sample_rate().samples(20), Codec::G722.clock_ticks(320)), (320, 160));
        assert_eq!(Codec::Opus { rate: SampleRate::Hz8000 }.clock_ticks(160), 960);
        assert_eq!(Codec::Pcma.clock_ticks(480), 480);
    }

    #[test]
    fn payloads_hold_the_samples_their_length_says() {
        assert_eq!(Codec::Pcmu.samples_in(&[0; 160]), Some(160));
        assert_eq!(Codec::G722.samples_in(&[0; 160]), Some(320));
        let stereo = Codec::L16 { rate: SampleRate::Hz48000, channels: Channels::Stereo };
        assert_eq!((stereo.samples_in(&[0; 8]), stereo.samples_in(&[0; 6])), (Some(2), None));
        // A SILK frame of 60 ms, a CELT frame of 2.5 ms.
        assert_eq!((OPUS.samples_in(&[3 << 3]), OPUS.samples_in(&[16 << 3])), (Some(2880), Some(120)));
        assert_eq!(OPUS.samples_in(&[]), None);
    }

    #[test]
    fn the_duration_of_a_packet_is_what_the_peer_wants_where_the_codec_has_it() {
        for wanted in 1..=120 {
            assert_eq!(Codec::Pcmu.ptime_ms(wanted), (wanted / 10 * 10).clamp(10, 60));
        }
        assert_eq!([10, 20, 30, 40, 50, 60, 100].map(|ms| OPUS.ptime_ms(ms)), [10, 20, 20, 40, 40, 60, 60]);
        let l16 = |rate| Codec::L16 { rate, channels: Channels::Mono };
        assert_eq!(l16(SampleRate::Hz16000).ptime_ms(60), 40);
        assert_eq!(l16(SampleRate::Hz48000).ptime_ms(20), 10);
        assert_eq!(Codec::G722.max_payload(60), 480);
    }
}
