//! Sample rates the engine works at.

use serde::{Deserialize, Serialize};

/// The rate of a mono signal. Names of whole ranges say "audio rate", to tell it from the clock rate of RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SampleRate {
    /// 8 kHz, narrow band: the telephone network.
    Hz8000,
    /// 12 kHz, medium band.
    Hz12000,
    /// 16 kHz, wide band.
    Hz16000,
    /// 24 kHz, super-wide band.
    Hz24000,
    /// 32 kHz.
    Hz32000,
    /// 44.1 kHz: files.
    Hz44100,
    /// 48 kHz, full band.
    Hz48000,
}

impl SampleRate {
    /// Every rate, ascending.
    pub const ALL: [SampleRate; 7] = [
        SampleRate::Hz8000,
        SampleRate::Hz12000,
        SampleRate::Hz16000,
        SampleRate::Hz24000,
        SampleRate::Hz32000,
        SampleRate::Hz44100,
        SampleRate::Hz48000,
    ];

    /// Samples a second.
    #[must_use]
    pub const fn hertz(self) -> u32 {
        match self {
            SampleRate::Hz8000 => 8000,
            SampleRate::Hz12000 => 12_000,
            SampleRate::Hz16000 => 16_000,
            SampleRate::Hz24000 => 24_000,
            SampleRate::Hz32000 => 32_000,
            SampleRate::Hz44100 => 44_100,
            SampleRate::Hz48000 => 48_000,
        }
    }

    /// The rate of so many samples a second, if it is one of ours.
    #[must_use]
    pub fn from_hertz(hertz: u32) -> Option<SampleRate> {
        SampleRate::ALL.into_iter().find(|rate| rate.hertz() == hertz)
    }

    /// Samples in `ms` milliseconds. At 44.1 kHz it is a whole number for multiples of 10 ms and rounded down for others.
    #[must_use]
    pub const fn samples(self, ms: u32) -> usize {
        (self.hertz() as usize * ms as usize) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_found_by_their_number_and_others_are_not_ours() {
        for rate in SampleRate::ALL {
            assert_eq!(SampleRate::from_hertz(rate.hertz()), Some(rate));
        }
        assert_eq!(SampleRate::from_hertz(11_025), None);
    }

    #[test]
    fn a_tick_of_10_ms_is_a_whole_number_of_samples_at_every_rate() {
        for rate in SampleRate::ALL {
            assert_eq!(rate.samples(10) * 100, rate.hertz() as usize);
        }
    }
}
