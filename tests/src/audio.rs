//! Sound in memory: mono samples of full scale ±1 and their rate, read from WAV files.

use std::path::Path;

use media::dsp::{Resampler, SampleRate};

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

    /// The same sound as a telephone of 8 kHz has it.
    ///
    /// # Panics
    /// When the rate is none of those a codec has.
    #[must_use]
    pub fn at_8_khz(self) -> Self {
        let rate = SampleRate::from_hertz(self.rate).expect("a rate of a codec");
        if rate == SampleRate::Hz8000 {
            return self;
        }
        let mut resampler = Resampler::new(rate, SampleRate::Hz8000);
        let (frame, mut out) = (rate.samples(20), [0; 160]);
        let mut samples = Vec::with_capacity(self.samples.len() * 8_000 / self.rate as usize);
        for frame in self.samples.chunks_exact(frame) {
            let frame: Vec<i16> = frame.iter().map(|sample| (sample * 32_767.0) as i16).collect();
            let count = resampler.resample(&frame, &mut out);
            samples.extend(out.iter().take(count).map(|sample| f32::from(*sample) / 32_768.0));
        }
        Self { rate: 8_000, samples }
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
