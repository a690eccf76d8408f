//! From 16, 32 or 48 kHz down to the 8 kHz of the detector: a cascade of three integrators and three combs.
//!
//! The tones of Q.23 lose at most 2 dB, the high group most, and what would be mirrored onto them loses 28 dB at least. All
//! is whole numbers, so nothing drifts.
//!
//! Left out on purpose: sound that is to be listened to. The filter is flat enough for tones alone.

use serde::{Deserialize, Serialize};

/// Turns a whole number of samples into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decimator {
    factor: u8,
    phase: u8,
    /// The cascade multiplies by the cube of the factor; this is its reciprocal, times 2^32.
    reciprocal: i64,
    /// Sums modulo 2^32: they wrap, and the differences of the combs undo it.
    integrators: [i32; 3],
    combs: [i32; 3],
}

impl Decimator {
    /// `factor` is 1 to 6.
    pub(super) const fn new(factor: u8) -> Self {
        let gain = (factor as i64).pow(3);
        let reciprocal = ((1 << 32) + gain / 2) / gain;
        Self { factor, phase: 0, reciprocal, integrators: [0; 3], combs: [0; 3] }
    }

    /// Whether every sample comes out as it goes in.
    pub(super) const fn passes_all(&self) -> bool {
        self.factor == 1
    }

    /// Takes a sample and gives one of every `factor`.
    #[inline]
    pub(super) fn push(&mut self, sample: i16) -> Option<i16> {
        if self.factor == 1 {
            return Some(sample);
        }
        let mut sum = i32::from(sample);
        for integrator in &mut self.integrators {
            *integrator = integrator.wrapping_add(sum);
            sum = *integrator;
        }
        self.phase += 1;
        if self.phase < self.factor {
            return None;
        }
        self.phase = 0;
        for comb in &mut self.combs {
            let before = core::mem::replace(comb, sum);
            sum = sum.wrapping_sub(before);
        }
        // The cube is 216 at most, so nothing was lost, and the rounded quotient fits.
        Some(((i64::from(sum) * self.reciprocal + (1 << 31)) >> 32) as i16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Oscillator;

    /// The peak that comes out for a sine of peak 10 000.
    fn response(factor: u8, hertz: f32) -> f32 {
        let (mut decimator, mut tone) =
            (Decimator::new(factor), Oscillator::new(hertz, 8000 * u32::from(factor)));
        let out: Vec<f32> = (0..40_000)
            .filter_map(|_| decimator.push((10_000.0 * tone.sample()) as i16))
            .skip(100)
            .map(f32::from)
            .collect();
        let power = out.iter().map(|sample| sample * sample).sum::<f32>() / out.len() as f32;
        20.0 * ((2.0 * power).sqrt() / 10_000.0).log10()
    }

    #[test]
    fn tones_pass_and_their_mirrors_do_not() {
        for factor in [2, 4, 6] {
            for hertz in [697.0, 1209.0, 1633.0] {
                assert!((-2.1..0.1).contains(&response(factor, hertz)), "{factor} {hertz}");
                assert!(response(factor, 8000.0 - hertz) < -28.0, "{factor} {hertz}");
            }
        }
    }

    #[test]
    fn full_scale_comes_out_as_it_went_in() {
        for factor in [1, 2, 4, 6] {
            for level in [i16::MIN, i16::MAX] {
                let mut decimator = Decimator::new(factor);
                let last = (0..1000).filter_map(|_| decimator.push(level)).last();
                assert_eq!(last, Some(level), "{factor}");
            }
        }
    }
}
