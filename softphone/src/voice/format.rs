//! From what signalling agreed on to what the codecs are told.

use crate::phone;
use media::codec::Codec;
use media::dsp::SampleRate;

/// The codec at its own rate of sound; Opus at `rate`, or at 48 kHz where it does not have that rate.
pub const fn media_codec(codec: phone::Codec, rate: SampleRate) -> Codec {
    match codec {
        phone::Codec::Pcmu => Codec::Pcmu,
        phone::Codec::Pcma => Codec::Pcma,
        phone::Codec::G722 => Codec::G722,
        phone::Codec::Opus => Codec::Opus {
            rate: match rate {
                SampleRate::Hz8000 | SampleRate::Hz12000 | SampleRate::Hz16000 | SampleRate::Hz24000 => rate,
                SampleRate::Hz32000 | SampleRate::Hz44100 | SampleRate::Hz48000 => SampleRate::Hz48000,
            },
        },
    }
}

/// The same moment in the time of the media library: both count nanoseconds of the same clock.
pub const fn media_time(time: sip_stack::Time) -> media::Time {
    media::Time(time.0)
}
