//! A decoded sound, which everybody shares who plays it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dsp::SampleRate;

/// Samples of a whole file: mono, at the rate of the rooms that play it. Never empty.
///
/// Whoever decodes it keeps it as long as anybody plays it, so that its memory, which may be much, is not given back in a
/// tick.
pub struct Sound {
    rate: SampleRate,
    samples: Box<[i16]>,
}

impl Sound {
    /// A sound of these samples; `None` when there are none.
    #[must_use]
    pub fn new(rate: SampleRate, samples: Vec<i16>) -> Option<Sound> {
        (!samples.is_empty()).then(|| Sound { rate, samples: samples.into() })
    }

    /// Samples per second.
    #[must_use]
    pub const fn rate(&self) -> SampleRate {
        self.rate
    }

    /// The samples, mono.
    #[must_use]
    pub const fn samples(&self) -> &[i16] {
        &self.samples
    }
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sound").field("rate", &self.rate).field("samples", &self.samples.len()).finish()
    }
}

/// Why a file cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoundFault {
    /// There is no such file.
    NotFound,
    /// The system does not let it be read.
    Unreadable {
        /// Its error number; zero when it gave none.
        errno: i32,
    },
    /// It is no WAV and no Ogg file with Opus, or of a kind that is not read here.
    Unsupported,
    /// It says what it is, and is not.
    Malformed,
    /// There is no sound in it.
    Empty,
    /// It is longer than a sound may be.
    TooLong,
    /// The sounds that are being played take up all the memory that sounds may have.
    NoMemory,
    /// Too many sounds are asked for at once.
    Busy,
}
