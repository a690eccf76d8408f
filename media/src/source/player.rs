//! What plays into a room beside its callers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chime::{Chime, ChimePlayer};
use super::countries::Country;
use super::playlist::Playlist;
use super::sound::Sound;
use super::tones::{CallTone, TonePlayer};
use crate::dsp::SampleRate;
use crate::dtmf::{Digit, ToneGenerator, ToneLevels};

/// The level of call progress tones, in dBm0 (E.180 §4: −10 ± 5).
const LEVEL: f32 = -10.0;

/// Says what is to be played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The test tone of telephony: 1004 Hz at 0 dBm0. Without end.
    Milliwatt,
    /// A tone of the network. Without end.
    Tone {
        /// The country, as [`Country::of`] knows it; another one has no tones.
        country: Box<str>,
        /// Which tone.
        tone: CallTone,
    },
    /// Digits as they sound in the band, once; what is beyond [`QUEUE`](crate::dtmf::QUEUE) is left out.
    Digits(Vec<Digit>),
    /// A signal that somebody comes or goes, once.
    Chime(Chime),
    /// Files, WAV or Ogg with Opus, one after the other.
    Files {
        /// Their paths. Nothing in them comes from callers.
        files: Vec<Arc<str>>,
        /// Whether the first follows the last one.
        loops: bool,
    },
}

/// Plays it, at one rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Player {
    /// A tone without end.
    Tone(TonePlayer),
    /// Digits.
    Digits(Box<ToneGenerator>),
    /// A signal that somebody comes or goes.
    Chime(ChimePlayer),
    /// Files.
    Files(Playlist),
    /// Nothing: a country without tones.
    Nothing,
}

impl Player {
    /// Begins to play at a rate. Allocates.
    #[must_use]
    pub fn new(source: &Source, rate: SampleRate) -> Player {
        match source {
            Source::Milliwatt => Player::Tone(TonePlayer::milliwatt(rate.hertz())),
            Source::Tone { country, tone } => Country::of(country).map_or(Player::Nothing, |country| {
                Player::Tone(TonePlayer::new(country, *tone, rate.hertz(), LEVEL))
            }),
            Source::Digits(digits) => {
                let mut generator = ToneGenerator::new(rate.hertz(), ToneLevels::default());
                // The first that finds no room is followed by others that find none.
                let _ = digits.iter().try_for_each(|digit| generator.push(*digit));
                Player::Digits(Box::new(generator))
            }
            Source::Chime(chime) => Player::Chime(ChimePlayer::new(*chime, rate)),
            Source::Files { files, loops } => Player::Files(Playlist::new(files.clone(), *loops, rate)),
        }
    }

    /// Goes on at another rate: files where they are, a key that sounds, a signal and a cadence from their beginning. May
    /// allocate.
    pub fn retune(&mut self, source: &Source, rate: SampleRate) {
        match self {
            Player::Chime(chime) if chime.is_ended() => {}
            Player::Tone(_) | Player::Chime(_) | Player::Nothing => *self = Player::new(source, rate),
            Player::Digits(generator) => generator.retune(rate.hertz()),
            Player::Files(playlist) => playlist.retune(rate),
        }
    }

    /// Whether it will never sound again.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        match self {
            Player::Tone(_) => false,
            Player::Digits(generator) => generator.is_idle(),
            Player::Chime(chime) => chime.is_ended(),
            Player::Files(playlist) => playlist.is_ended(),
            Player::Nothing => true,
        }
    }

    /// The files it plays, if it plays files.
    pub(crate) const fn playlist(&mut self) -> Option<&mut Playlist> {
        match self {
            Player::Files(playlist) => Some(playlist),
            Player::Tone(_) | Player::Digits(_) | Player::Chime(_) | Player::Nothing => None,
        }
    }

    /// Takes a sound that was asked for, or word that it cannot be had.
    pub fn supply(&mut self, file: &str, rate: SampleRate, sound: Option<&Arc<Sound>>) {
        if let Some(playlist) = self.playlist() {
            playlist.supply(file, rate, sound);
        }
    }

    /// Fills a frame with what comes next; whether there is any sound in it. Allocates nothing.
    pub fn fill(&mut self, frame: &mut [i16]) -> bool {
        match self {
            Player::Tone(tone) => {
                tone.fill(frame);
                true
            }
            Player::Digits(generator) => {
                frame.fill(0);
                generator.fill(frame)
            }
            Player::Chime(chime) => chime.fill(frame),
            Player::Files(playlist) => playlist.fill(frame),
            Player::Nothing => false,
        }
    }
}
