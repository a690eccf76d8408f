//! How large the jitter buffer of a codec is: the one place for legs of a room and for phones.

use super::JitterConfig;
use crate::codec::Codec;

/// The longest delay of G.722 and L16, whose payloads take much room for the time they last: beyond it nobody can talk.
const WIDE_DELAY_MS: u32 = 240;

impl JitterConfig {
    /// For packets of this codec, handed out at the codec's own rate.
    #[must_use]
    pub const fn of(codec: Codec) -> Self {
        let narrow = Self::narrow(codec.sample_rate().hertz(), codec.clock_rate());
        let (max_delay_ms, payload_octets) = match codec {
            // Of speech; at its highest rate, 100 ms.
            Codec::Opus { .. } => (narrow.max_delay_ms, 16_384),
            Codec::Pcmu | Codec::Pcma => (narrow.max_delay_ms, 20 * codec.max_payload(20)),
            Codec::G722 | Codec::L16 { .. } => (WIDE_DELAY_MS, codec.max_payload(WIDE_DELAY_MS)),
        };
        Self { max_delay_ms, payload_octets, ..narrow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Channels;
    use crate::dsp::SampleRate;

    #[test]
    fn every_codec_has_room_for_its_longest_delay() {
        let l16 = Codec::L16 { rate: SampleRate::Hz48000, channels: Channels::Mono };
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, l16] {
            let config = JitterConfig::of(codec);
            assert!(config.payload_octets >= codec.max_payload(20) * config.max_delay_ms as usize / 20);
        }
    }
}
