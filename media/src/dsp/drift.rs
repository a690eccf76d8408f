//! A slightly variable sample rate: what two clocks that drift apart need, so that a buffer between them neither runs dry nor
//! grows.
//!
//! The signal is interpolated 64 times by the filter of `filter.rs`, and linearly between two of those values, which adds an
//! error of −72 dB at most, at the upper end of the band. Left out on purpose: measuring the drift, which is for the owner of the
//! buffer.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::filter::{Filter, dot, rounded};

/// Interpolated values for each sample.
const PHASES: u32 = 64;
/// Taps of a phase.
const LENGTH: usize = 48;
/// The samples a value in between depends on, but for the newest.
const HISTORY: usize = LENGTH;
/// Samples in, converted in one go.
const BLOCK: usize = 480;
/// One sample in units of time.
const SAMPLE: u64 = 1 << 32;

/// A corrector with the end of the signal so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct DriftCorrector {
    /// Room for a block after the history.
    line: Vec<f32>,
    /// Time of the next sample out after the next one in.
    next: u64,
    /// Time between samples out.
    step: u64,
}

/// What of a [`DriftCorrector`] is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    history: Vec<f32>,
    next: u64,
    step: u64,
}

impl DriftCorrector {
    /// Largest correction either way, in parts per million.
    pub const LARGEST_PPM: i32 = 1000;

    /// A corrector after silence that corrects nothing yet. Allocates.
    #[must_use]
    pub fn new() -> DriftCorrector {
        // Designed here, so that the first frame finds it.
        interpolator();
        DriftCorrector { line: vec![0.0; HISTORY + BLOCK], next: 0, step: SAMPLE }
    }

    /// Corrects from now on for samples that come `ppm` parts per million too fast (or, below zero, too slow), at most
    /// [`Self::LARGEST_PPM`]. The signal goes on without a step.
    pub fn set_ppm(&mut self, ppm: i32) {
        let ppm = i64::from(ppm.clamp(-Self::LARGEST_PPM, Self::LARGEST_PPM));
        self.step = SAMPLE.saturating_add_signed((ppm << 32) / 1_000_000);
    }

    /// Samples that the next `samples` samples in will give: as many, one more or less per thousand.
    #[must_use]
    pub fn output_len(&self, samples: usize) -> usize {
        ((samples as u64) << 32).saturating_sub(self.next).div_ceil(self.step) as usize
    }

    /// Converts `samples` and returns how many samples are in `out`: [`Self::output_len`] of them. What has no room in `out`
    /// is lost. Delay is 25 samples. Does not allocate. Costs about 15 ns a sample.
    pub fn correct(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        let filter = interpolator();
        let mut done = 0;
        for block in samples.chunks(BLOCK) {
            for (place, sample) in self.line[HISTORY..].iter_mut().zip(block) {
                *place = f32::from(*sample);
            }
            let end = (block.len() as u64) << 32;
            while self.next < end {
                if let Some(sample) = out.get_mut(done) {
                    *sample = rounded(value_at(filter, &self.line, self.next));
                    done += 1;
                }
                self.next += self.step;
            }
            self.next -= end;
            self.line.copy_within(block.len()..block.len() + HISTORY, 0);
        }
        done
    }
}

impl Default for DriftCorrector {
    fn default() -> DriftCorrector {
        DriftCorrector::new()
    }
}

impl From<DriftCorrector> for Stored {
    fn from(corrector: DriftCorrector) -> Stored {
        let DriftCorrector { line: mut history, next, step } = corrector;
        history.truncate(HISTORY);
        Stored { history, next, step }
    }
}

impl From<Stored> for DriftCorrector {
    fn from(stored: Stored) -> DriftCorrector {
        let mut corrector = DriftCorrector::new();
        for (sample, stored) in corrector.line.iter_mut().zip(stored.history) {
            *sample = stored;
        }
        // Whatever was stored, time goes on, and not further than one step.
        corrector.step = stored.step.clamp(SAMPLE / 2, 2 * SAMPLE);
        corrector.next = stored.next.min(corrector.step);
        corrector
    }
}

/// The filter all correctors share.
fn interpolator() -> &'static Filter {
    static FILTER: OnceLock<Filter> = OnceLock::new();
    FILTER.get_or_init(|| Filter::design(1, PHASES))
}

/// The signal at a time after the first sample behind the history, between two interpolated values.
fn value_at(filter: &Filter, line: &[f32], time: u64) -> f32 {
    let place = time * u64::from(PHASES);
    let fraction = (place & (SAMPLE - 1)) as f32 / SAMPLE as f32;
    let place = (place >> 32) as usize;
    let before = interpolated(filter, line, place);
    before + (interpolated(filter, line, place + 1) - before) * fraction
}

/// Interpolated value number `place` after the first sample behind the history.
fn interpolated(filter: &Filter, line: &[f32], place: usize) -> f32 {
    let (at, phase) = (place / filter.up, place % filter.up);
    let taps = filter.taps.get(phase * LENGTH..(phase + 1) * LENGTH);
    match (line.get(at..at + LENGTH), taps) {
        (Some(window), Some(taps)) => dot(window, taps),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn corrected(samples: &[i16], ppm: i32, frame: usize) -> Vec<i16> {
        let mut corrector = DriftCorrector::new();
        corrector.set_ppm(ppm);
        let mut heard = Vec::new();
        for samples in samples.chunks(frame) {
            let mut out = vec![0; corrector.output_len(samples.len())];
            assert_eq!(corrector.correct(samples, &mut out), out.len());
            heard.extend(out);
        }
        heard
    }

    #[test]
    fn ten_seconds_of_drift_are_made_up_for_to_the_sample() {
        for ppm in [-500, -37, 0, 37, 500] {
            let out = corrected(&vec![0; 80_000], ppm, 160);
            let expected = 80_000.0 / (1.0 + f64::from(ppm) / 1e6);
            assert!((out.len() as f64 - expected).abs() <= 1.0, "{ppm}: {}", out.len());
        }
    }

    #[test]
    fn a_tone_is_shifted_by_the_drift_and_nothing_is_added_above_minus_68_db() {
        for (ppm, frequency) in [(500, 0.03), (-500, 0.2), (211, 0.44), (0, 0.44)] {
            let tone = |step: f64| move |n: f64| (TAU * step * n).sin() * 10_000.0;
            let samples: Vec<i16> = (0..8000).map(|n| tone(frequency)(f64::from(n)) as i16).collect();
            let out = corrected(&samples, ppm, 160);
            // Output n lies at the input's time n (1 + ppm / 10^6), less the delay of the filter.
            let delay = 25.0 - 0.5 / f64::from(PHASES);
            let error: f64 = (200..7900)
                .map(|n| {
                    let time = n as f64 * (1.0 + f64::from(ppm) / 1e6) - delay;
                    (tone(frequency)(time) - f64::from(out[n])).powi(2)
                })
                .sum();
            let level = 10.0 * (error / 7700.0 / 5e7).log10();
            assert!(level < -68.0, "{ppm} ppm at {frequency}: {level:.1} dB");
        }
    }

    #[test]
    fn frames_and_a_restore_change_no_sample() {
        let samples: Vec<i16> = (0..4000).map(|n| (n * 7919 % 20_011) as i16).collect();
        let whole = corrected(&samples, 333, 4000);
        assert_eq!(corrected(&samples, 333, 80), whole);
        let mut corrector = DriftCorrector::new();
        corrector.set_ppm(333);
        let mut out = vec![0; 4000];
        let done = corrector.correct(&samples[..1000], &mut out);
        let stored = postcard::to_allocvec(&corrector).unwrap();
        let mut restored: DriftCorrector = postcard::from_bytes(&stored).unwrap();
        let rest = restored.correct(&samples[1000..], &mut out[done..]);
        assert_eq!(out[..done + rest], whole);
    }
}
