//! Playing a little faster or slower: one pitch period is left out or heard twice, where that is not noticed.
//!
//! A stretch of sound is blended into the one that follows (or precedes) it at the distance where the two are most alike, so
//! that both ends fit. Where it is quiet, anything fits.
//!
//! Left out on purpose: changing the speed evenly; the delay follows its target in steps of a period.

use serde::{Deserialize, Serialize};

use super::pitch;
use super::samples::Samples;

/// Below this mean power (full scale is 2^30) nothing is heard: -60 dB.
const INAUDIBLE: f32 = 1024.0;
/// What is this much weaker than the voice is background.
const BACKGROUND: f32 = 1.0 / 500.0;
/// How alike two stretches must be at first, and how much less after each tick in vain.
const ALIKE: f32 = 0.9;
const PATIENCE: f32 = 0.01;
const LEAST_ALIKE: f32 = 0.3;

/// Stretches are compared over this many microseconds at least.
const LEAST_WINDOW_US: usize = 5000;

/// Finds moments for leaving out and repeating.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stretch {
    rate: u32,
    /// Mean power of the voice, slowly falling from its peaks.
    loudness: f32,
    /// How alike two stretches must be.
    demand: f32,
}

impl Stretch {
    pub(super) const fn new(rate: u32) -> Self {
        Self { rate, loudness: 0.0, demand: ALIKE }
    }

    /// Watches the loudness of what is played.
    pub(super) fn watch(&mut self, sound: &[i16]) {
        self.loudness = power(sound).max(self.loudness * 0.998);
    }

    /// Removes up to `wanted` samples from what waits, of which at least `keep` stay; how many it was.
    pub(super) fn shrink(&mut self, samples: &mut Samples, wanted: usize, keep: usize) -> usize {
        let waiting = samples.waiting();
        let longest = wanted.min(waiting.len().saturating_sub(keep)).min(waiting.len() / 2);
        let least = self.samples_in(LEAST_WINDOW_US);
        let Some(lag) = self.choose(longest, waiting.get(..2 * longest).unwrap_or(&[]), |lag| {
            let window = lag.max(least);
            pitch::likeness(waiting.get(..lag + window)?, window, lag)
        }) else {
            return 0;
        };
        // What would have come first turns into what comes one period later.
        if let Some((first, later)) = samples.waiting_mut().split_at_mut_checked(lag) {
            blend(first, later);
        }
        samples.remove(lag);
        lag
    }

    /// Inserts about `wanted` samples before what waits; how many it was.
    pub(super) fn grow(&mut self, samples: &mut Samples, wanted: usize) -> usize {
        let (past, all) = (samples.history().len(), samples.all());
        // A little too much is better than never enough, for want of a period that short.
        let wanted = wanted.max(2 * self.samples_in(pitch::SHORTEST_US));
        let longest = wanted.min(samples.len()).min(samples.room()).min(past);
        let least = self.samples_in(LEAST_WINDOW_US);
        let around = all.get(past - longest..past + longest).unwrap_or(&[]);
        let Some(lag) = self.choose(longest, around, |lag| {
            let window = lag.max(least);
            pitch::likeness(all.get(..past + window)?, window, lag)
        }) else {
            return 0;
        };
        // What waits is heard, turning into what was heard before it; then it is heard again.
        let Some((past, waiting)) = samples.open(lag) else { return 0 };
        if let Some((gap, again)) = waiting.split_at_mut_checked(lag) {
            gap.copy_from_slice(past.get(past.len() - lag..).unwrap_or(&[]));
            blend(again, gap);
        }
        lag
    }

    /// The distance, up to `longest`, to leave out or repeat, if this is a moment for it. `around` is the sound concerned.
    fn choose(
        &mut self,
        longest: usize,
        around: &[i16],
        likeness: impl Fn(usize) -> Option<f32>,
    ) -> Option<usize> {
        let shortest = self.samples_in(pitch::SHORTEST_US);
        if longest < shortest {
            return None;
        }
        if power(around) < INAUDIBLE.max(self.loudness * BACKGROUND) {
            self.demand = ALIKE;
            return Some(longest);
        }
        let longest = longest.min(self.samples_in(pitch::LONGEST_US));
        match pitch::search(shortest..=longest, self.rate, likeness) {
            Some(found) if found.likeness >= self.demand => {
                self.demand = ALIKE;
                Some(found.lag)
            }
            Some(_) | None => {
                self.demand = (self.demand - PATIENCE).max(LEAST_ALIKE);
                None
            }
        }
    }

    const fn samples_in(&self, us: usize) -> usize {
        us * self.rate as usize / 1_000_000
    }
}

/// Turns `from` into `into`, sample by sample over the length of `from`.
fn blend(from: &[i16], into: &mut [i16]) {
    let whole = from.len() as i32 + 1;
    for ((from, into), share) in from.iter().zip(into).zip(1..) {
        let (old, new) = (i32::from(*from), i32::from(*into));
        *into = (old + (new - old) * share / whole) as i16;
    }
}

/// The mean power of a stretch of sound.
fn power(sound: &[i16]) -> f32 {
    let sum: i64 = sound.iter().map(|sample| i64::from(i32::from(*sample) * i32::from(*sample))).sum();
    sum as f32 / sound.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(range: std::ops::Range<usize>) -> Vec<i16> {
        let wave = |index: usize| (std::f64::consts::TAU * index as f64 / 60.0).sin();
        range.map(|index| (wave(index) * 10_000.0) as i16).collect()
    }

    /// A history of a tone with a period of 60 samples, and 400 samples of it that wait.
    fn samples() -> Samples {
        let mut samples = Samples::new(8000, 60);
        samples.append(400).copy_from_slice(&tone(0..400));
        samples.play(&mut [0; 400]);
        samples.append(400).copy_from_slice(&tone(400..800));
        samples
    }

    fn smooth(samples: &Samples) -> bool {
        samples.all().windows(2).all(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs() < 1200)
    }

    #[test]
    fn a_period_is_left_out_and_nothing_is_heard_of_it() {
        let mut samples = samples();
        let removed = Stretch::new(8000).shrink(&mut samples, 100, 160);
        assert_eq!((removed, samples.len()), (60, 340));
        assert!(smooth(&samples));
        assert_eq!(samples.waiting()[60..], tone(520..800));
    }

    #[test]
    fn a_period_is_heard_twice_and_nothing_is_heard_of_it() {
        let mut samples = samples();
        let inserted = Stretch::new(8000).grow(&mut samples, 100);
        assert_eq!((inserted, samples.len()), (60, 460));
        assert!(smooth(&samples));
        assert_eq!(samples.waiting()[60..], tone(400..800));
    }

    #[test]
    fn silence_is_shortened_by_as_much_as_is_wanted() {
        let mut samples = Samples::new(8000, 60);
        samples.append(400);
        assert_eq!(Stretch::new(8000).shrink(&mut samples, 151, 160), 151);
        assert_eq!(Stretch::new(8000).shrink(&mut samples, 151, 240), 0);
    }

    #[test]
    fn what_is_like_nothing_is_left_alone_until_patience_ends() {
        let mut samples = Samples::new(8000, 60);
        let mut state = 1u32;
        for sample in samples.append(400) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (state >> 16) as i16 / 4;
        }
        let (mut stretch, mut ticks) = (Stretch::new(8000), 0);
        while stretch.shrink(&mut samples, 100, 160) == 0 {
            ticks += 1;
            assert!(ticks < 100);
        }
        assert!(ticks > 20, "{ticks}");
    }
}
