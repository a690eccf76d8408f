//! Sound in memory: mono samples of full scale ±1 and their rate, read from WAV files.

use std::path::Path;

/// One channel of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples per second.
    pub rate: u32,
    /// Samples between -1 and 1.
    pub samples: Vec<f32>,
}

impl Audio {
    /// Reads the first channel of a 16-bit WAV file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not 16-bit PCM (`hound::Error`).
    pub fn read(path: &Path) -> Result<Self, hound::Error> {
        let mut reader = hound::WavReader::open(path)?;
        let (rate, channels) = (reader.spec().sample_rate, usize::from(reader.spec().channels));
        let samples = reader
            .samples::<i16>()
            .step_by(channels.max(1))
            .map(|sample| sample.map(|value| f32::from(value) / 32768.0))
            .collect::<Result<_, _>>()?;
        Ok(Self { rate, samples })
    }

    /// The length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// How many samples make `ms` milliseconds.
    #[must_use]
    pub fn samples_in(&self, ms: usize) -> usize {
        self.rate as usize * ms / 1000
    }
}
