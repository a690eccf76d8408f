//! Audio of files: a sound file is said, once or again and again, and what is heard is written to a WAV file.
//!
//! WAV and Opus in Ogg are read, as the media library reads them; they are read whole, so a file that is played costs no disk
//! in the middle of a call. The head of the file that is written is right after every second.

use super::Audio;
use hound::{SampleFormat, WavSpec, WavWriter};
use media::dsp::SampleRate;
use media::source::SoundFault;
use sip_stack::Time;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A WAV file that is being written: 16 bits, mono.
pub struct Recording {
    writer: Option<WavWriter<BufWriter<File>>>,
    rate: SampleRate,
    early: bool,
    unflushed: usize,
    failure: Option<hound::Error>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Recording {
    /// Creates the file, or empties the one that is there.
    ///
    /// # Errors
    /// What the system said.
    pub fn create(path: &Path, rate: SampleRate) -> Result<Recording, hound::Error> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: rate.hertz(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let writer = Some(WavWriter::create(path, spec)?);
        Ok(Recording { writer, rate, early: false, unflushed: 0, failure: None })
    }

    /// Whether what is heard before a call is answered is written, too: announcements, and the ringing.
    #[must_use]
    pub fn with_early(self, early: bool) -> Recording {
        Recording { early, ..self }
    }

    /// Appends what was heard, unless the call is not answered and that is not wanted. After a failure nothing more is written.
    pub fn hear(&mut self, samples: &[i16], talking: bool) {
        if talking || self.early {
            self.write(samples);
        }
    }

    /// Appends samples. After a failure nothing more is written.
    pub fn write(&mut self, samples: &[i16]) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = write_all(writer, samples, &mut self.unflushed, self.rate)
        {
            self.failure = Some(error);
            self.writer = None;
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// What the system said, now or before.
    pub fn finish(mut self) -> Result<(), hound::Error> {
        match (self.failure.take(), self.writer.take()) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finalize(),
            (None, None) => Ok(()),
        }
    }
}

fn write_all(
    writer: &mut WavWriter<BufWriter<File>>,
    samples: &[i16],
    unflushed: &mut usize,
    rate: SampleRate,
) -> Result<(), hound::Error> {
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    *unflushed += samples.len();
    if *unflushed >= rate.samples(1_000) {
        *unflushed = 0;
        writer.flush()?;
    }
    Ok(())
}

/// Why a sound file cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The system does not open it.
    #[error("{0}")]
    Open(#[from] std::io::Error),
    /// It is no WAV and no Ogg file with Opus, or damaged, empty, or longer than ten minutes.
    #[error("{}", in_words(.0))]
    Fault(SoundFault),
}

fn in_words(fault: &SoundFault) -> &'static str {
    match fault {
        SoundFault::NotFound => "there is no such file",
        SoundFault::Unreadable { .. } => "the system does not let it be read",
        SoundFault::Unsupported => {
            "it is neither a WAV file nor Opus in Ogg, or of a kind that is not read here"
        }
        SoundFault::Malformed => "it is damaged",
        SoundFault::Empty => "there is no sound in it",
        SoundFault::TooLong => "it is longer than ten minutes",
        SoundFault::NoMemory | SoundFault::Busy => "there is no room for it",
    }
}

/// Reads a sound file of at most ten minutes at a rate. Waits for the disk.
///
/// # Errors
/// [`SoundError`]
pub fn read_sound(path: &Path, rate: SampleRate) -> Result<Vec<i16>, SoundError> {
    let sound = media::io::decode(File::open(path)?, rate, media::io::LONGEST).map_err(SoundError::Fault)?;
    Ok(sound.samples().to_vec())
}

/// A file is said, another one is written.
#[derive(Debug)]
pub struct FileAudio {
    rate: SampleRate,
    said: Vec<i16>,
    at: usize,
    repeat: bool,
    talking: bool,
    recording: Option<Recording>,
}

impl FileAudio {
    /// Says `said`, samples at `rate`, and then silence, or the same again; what is heard while talking goes to `recording`.
    pub fn new(rate: SampleRate, said: Vec<i16>, repeat: bool, recording: Option<Recording>) -> FileAudio {
        FileAudio { rate, said, at: 0, repeat, talking: false, recording }
    }

    /// Completes the file that was written.
    ///
    /// # Errors
    /// As [`Recording::finish`].
    pub fn finish(self) -> Result<(), hound::Error> {
        self.recording.map_or(Ok(()), Recording::finish)
    }
}

impl Audio for FileAudio {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn record(&mut self, _now: Time, frame: &mut [i16]) {
        for sample in frame {
            if self.repeat && self.at >= self.said.len() {
                self.at = 0;
            }
            *sample = self.said.get(self.at).copied().unwrap_or(0);
            self.at = self.at.saturating_add(1);
        }
    }

    fn play(&mut self, _now: Time, frame: &[i16]) {
        if let Some(recording) = &mut self.recording {
            recording.hear(frame, self.talking);
        }
    }

    fn set_talking(&mut self, talking: bool) {
        self.talking = talking;
    }

    fn is_finished(&self) -> bool {
        !self.repeat && self.at >= self.said.len()
    }
}
