//! Two short signals, for somebody who comes into a conference and for somebody who goes: two tones a fifth apart, rising or
//! falling. They are quiet, since people talk meanwhile.
//!
//! Left out on purpose: melodies.

use serde::{Deserialize, Serialize};

use super::oscillator::{Oscillator, amplitude, edge_gain};
use crate::dsp::SampleRate;

/// The lower and the higher tone, in hertz.
const TONES: [f32; 2] = [520.0, 780.0];
/// How long each lasts, in milliseconds.
const TONE_MS: u32 = 120;
/// Their level in dBm0.
const LEVEL: f32 = -18.0;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chime {
    /// Somebody comes.
    Rising,
    /// Somebody goes.
    Falling,
}

/// Plays one of them, once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChimePlayer {
    rate: SampleRate,
    tones: [Oscillator; 2],
    /// Samples so far.
    at: usize,
}

impl ChimePlayer {
    /// From its beginning at a rate.
    #[must_use]
    pub fn new(chime: Chime, rate: SampleRate) -> ChimePlayer {
        let [low, high] = TONES.map(|hertz| Oscillator::new(hertz, rate.hertz()));
        let tones = match chime {
            Chime::Rising => [low, high],
            Chime::Falling => [high, low],
        };
        ChimePlayer { rate, tones, at: 0 }
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.at >= self.tones.len() * self.rate.samples(TONE_MS)
    }

    /// Writes what comes next, mono; whether there is any sound in it. Allocates nothing.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        let sounds = !self.is_ended();
        let (length, peak) = (self.rate.samples(TONE_MS), amplitude(LEVEL));
        for sample in samples {
            let tone = self.tones.get_mut(self.at / length);
            let gain = peak * edge_gain((self.at % length) as u64, length as u64, self.rate.hertz());
            *sample = tone.map_or(0, |tone| (tone.sample() * gain).round() as i16);
            self.at += 1;
        }
        sounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(chime: Chime, rate: SampleRate) -> Vec<i16> {
        let mut player = ChimePlayer::new(chime, rate);
        let mut all = Vec::new();
        while !player.is_ended() {
            let mut frame = vec![-1; rate.samples(20)];
            assert!(player.fill(&mut frame));
            all.extend(frame);
        }
        assert!(!player.fill(&mut [-1; 4]));
        all
    }

    #[test]
    fn a_chime_is_a_quarter_of_a_second_at_every_rate_and_begins_and_ends_softly() {
        for rate in [SampleRate::Hz8000, SampleRate::Hz16000, SampleRate::Hz48000] {
            for chime in [Chime::Rising, Chime::Falling] {
                let samples = played(chime, rate);
                assert_eq!(samples.len(), rate.samples(240));
                assert!(samples[0].abs() < 50 && samples.last().is_some_and(|last| last.abs() < 50));
                let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
                assert!(loudest.is_some_and(|loudest| (2_700..3_000).contains(&loudest)), "{loudest:?}");
            }
        }
    }

    #[test]
    fn the_rising_one_ends_higher_than_it_begins_and_the_falling_one_lower() {
        let crossings =
            |samples: &[i16]| samples.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        let halves = |chime| {
            let samples = played(chime, SampleRate::Hz16000);
            let (first, second) = samples.split_at(samples.len() / 2);
            (crossings(first), crossings(second))
        };
        let (low, high) = halves(Chime::Rising);
        assert!(low < high);
        let (first, second) = halves(Chime::Falling);
        assert!(first > second);
    }

    #[test]
    fn playing_allocates_nothing() {
        let mut player = ChimePlayer::new(Chime::Rising, SampleRate::Hz8000);
        let counted = allocation_counter::measure(|| {
            (0..20).for_each(|_| _ = player.fill(&mut [0; 160]));
        });
        assert_eq!(counted.count_total, 0);
    }
}
