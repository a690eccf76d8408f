//! What plays into a room beside its callers.

use serde::{Deserialize, Serialize};

use super::tones::TonePlayer;

/// Says what is to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The test tone of telephony: 1004 Hz at 0 dBm0.
    Milliwatt,
}

/// Plays it, at one rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Player {
    /// A tone without end.
    Tone(TonePlayer),
}

impl Player {
    /// Begins to play at `rate` samples per second.
    #[must_use]
    pub fn new(source: Source, rate: u32) -> Player {
        match source {
            Source::Milliwatt => Player::Tone(TonePlayer::milliwatt(rate)),
        }
    }

    /// Fills a frame with what comes next; whether there is any sound in it. Allocates nothing.
    pub fn fill(&mut self, frame: &mut [i16]) -> bool {
        match self {
            Player::Tone(tone) => tone.fill(frame),
        }
        true
    }
}
