//! What a one-shot command says and writes: files, a tone, or the sound card.

use super::start;
use crate::audio::{Audio, FileAudio, Recording, Tone, read_sound};
use crate::config::Config;
use crate::phone::{Codec, Settings};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use media::dsp::SampleRate;
use sip_stack::Time;
use std::path::PathBuf;

/// What is said and written.
#[derive(Debug, Args)]
pub(super) struct Sound {
    /// Say this file (WAV, or Opus in Ogg) once the call is answered.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tone", "device"])]
    play: Option<PathBuf>,
    /// Say the file again and again.
    #[arg(long, requires = "play")]
    repeat: bool,
    /// Say a tone of so many hertz, at -10 dBm0.
    #[arg(long, value_name = "HERTZ", conflicts_with = "device")]
    tone: Option<f32>,
    /// Talk through the sound card, as the configuration says.
    #[arg(long)]
    device: bool,
    /// Write what is heard to this WAV file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write what is heard before the call is answered, too.
    #[arg(long, requires = "record")]
    record_early: bool,
    /// The rate at which sound is said and written.
    #[arg(long, value_name = "HERTZ", default_value_t = 48_000)]
    rate: u32,
    /// Hang up so many seconds after the call was answered; otherwise when the file is at its end, or the other side hangs up.
    #[arg(long, value_name = "SECONDS")]
    pub(super) duration: Option<u64>,
    /// Offer and take these codecs alone, in this order: opus, g722, pcmu, pcma.
    #[arg(long, value_delimiter = ',')]
    codecs: Vec<String>,
    /// Say nothing of what happens.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// What the engine's sound is, kept apart to complete its file.
enum Mouth {
    File(FileAudio),
    Other(Box<dyn Audio>, Option<Recording>),
}

/// Shares the sound with the engine, which gives it back at the end by being dropped.
struct Shared {
    mouth: Option<Mouth>,
    talking: bool,
    done: std::rc::Rc<std::cell::RefCell<Option<Result<(), hound::Error>>>>,
}

impl Audio for Shared {
    fn rate(&self) -> SampleRate {
        match &self.mouth {
            Some(Mouth::File(file)) => file.rate(),
            Some(Mouth::Other(audio, _)) => audio.rate(),
            None => SampleRate::Hz8000,
        }
    }

    fn record(&mut self, now: Time, frame: &mut [i16]) {
        match &mut self.mouth {
            Some(Mouth::File(file)) => file.record(now, frame),
            Some(Mouth::Other(audio, _)) => audio.record(now, frame),
            None => frame.fill(0),
        }
    }

    fn play(&mut self, now: Time, frame: &[i16]) {
        match &mut self.mouth {
            Some(Mouth::File(file)) => file.play(now, frame),
            Some(Mouth::Other(audio, recording)) => {
                audio.play(now, frame);
                if let Some(recording) = recording {
                    recording.hear(frame, self.talking);
                }
            }
            None => {}
        }
    }

    fn ring(&mut self, now: Time, frame: &[i16]) {
        if let Some(Mouth::Other(audio, _)) = &mut self.mouth {
            audio.ring(now, frame);
        }
    }

    fn rest(&mut self) {
        if let Some(Mouth::Other(audio, _)) = &mut self.mouth {
            audio.rest();
        }
    }

    fn set_talking(&mut self, talking: bool) {
        self.talking = talking;
        match &mut self.mouth {
            Some(Mouth::File(file)) => file.set_talking(talking),
            Some(Mouth::Other(audio, _)) => audio.set_talking(talking),
            None => {}
        }
    }

    fn is_finished(&self) -> bool {
        matches!(&self.mouth, Some(Mouth::File(file)) if file.is_finished())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let finished = match self.mouth.take() {
            Some(Mouth::File(file)) => file.finish(),
            Some(Mouth::Other(_, Some(recording))) => recording.finish(),
            Some(Mouth::Other(_, None)) | None => Ok(()),
        };
        *self.done.borrow_mut() = Some(finished);
    }
}

/// How the written file was completed, once the engine is gone.
pub(super) type Finished = std::rc::Rc<std::cell::RefCell<Option<Result<(), hound::Error>>>>;

impl Sound {
    pub(super) fn audio(&self, config: &Config) -> Result<(Box<dyn Audio>, Finished)> {
        let device = self.device.then(|| start::audio(config));
        let wanted = SampleRate::from_hertz(self.rate)
            .with_context(|| format!("--rate {}: give 8000, 16000, 32000, 44100 or 48000", self.rate))?;
        let rate = device.as_ref().map_or(wanted, |device| device.rate());
        let recording = match &self.record {
            None => None,
            Some(path) => {
                let recording = Recording::create(path, rate)
                    .map_err(|error| anyhow!("{} cannot be written: {error}", path.display()))?;
                Some(recording.with_early(self.record_early))
            }
        };
        let mouth = match (device, &self.play, self.tone) {
            (Some(device), _, _) => Mouth::Other(device, recording),
            (None, Some(path), _) => {
                let said =
                    read_sound(path, rate).with_context(|| format!("{} cannot be played", path.display()))?;
                Mouth::File(FileAudio::new(rate, said, self.repeat, recording))
            }
            (None, None, Some(hertz)) => Mouth::Other(Box::new(Tone::new(rate, hertz, -10.0)), recording),
            (None, None, None) => Mouth::File(FileAudio::new(rate, vec![0], true, recording)),
        };
        let done: Finished = std::rc::Rc::default();
        let shared = Shared { mouth: Some(mouth), talking: false, done: std::rc::Rc::clone(&done) };
        Ok((Box::new(shared), done))
    }

    pub(super) fn settings(&self, config: &Config) -> Result<Settings> {
        let mut settings = config.settings();
        if !self.codecs.is_empty() {
            let known = |name: &String| {
                Codec::from_name(name).with_context(|| {
                    format!("--codecs: there is no {name}; known are opus, g722, pcmu, pcma")
                })
            };
            settings.codecs = self.codecs.iter().map(known).collect::<Result<_>>()?;
        }
        Ok(settings)
    }
}
