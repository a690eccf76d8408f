//! A sine oscillator, the rounded edges of a tone, and what levels in dBm0 are in 16-bit samples (ITU-T G.711 tables 1 and 2, G.100.1 for dBm0).
//!
//! The phase is an integer, so a tone neither drifts nor grows over hours and is the same on every machine.
//!
//! Left out on purpose: wave forms other than the sine.

use serde::{Deserialize, Serialize};

/// The peak of a sine of 0 dBm0. By G.711 the overload points, 32768 and 32636 in 16 bits, are 3.14 dBm0 for A-law and 3.17
/// dBm0 for µ-law; this value lies between the two, less than 0.04 dB from either.
const PEAK_0DBM0: f32 = 22_742.0;

/// The peak in 16-bit samples of a sine with this level in dBm0.
#[must_use]
pub fn amplitude(dbm0: f32) -> f32 {
    PEAK_0DBM0 * 10f32.powf(dbm0 / 20.0)
}

/// A sine of constant frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oscillator {
    /// A full turn is 2^32.
    phase: u32,
    step: u32,
}

impl Oscillator {
    /// A sine that begins at zero; `hertz` up to half of `rate`, in samples per second.
    #[must_use]
    pub fn new(hertz: f32, rate: u32) -> Self {
        let turns = f64::from(hertz) / f64::from(rate.max(1));
        Self { phase: 0, step: (turns * 4_294_967_296.0).round() as u32 }
    }

    /// The next sample, −1 to 1.
    #[inline]
    pub fn sample(&mut self) -> f32 {
        let sample = sine(self.phase);
        self.phase = self.phase.wrapping_add(self.step);
        sample
    }
}

/// The sine of a phase of which 2^32 is a full turn; exact to 4 in a million.
#[inline]
#[must_use]
pub const fn sine(phase: u32) -> f32 {
    // The signed phase in quarter turns, −2 to 2, folded into −1 to 1.
    let quarters = phase.cast_signed() as f32 / 1_073_741_824.0;
    let x = if quarters > 1.0 {
        2.0 - quarters
    } else if quarters < -1.0 {
        -2.0 - quarters
    } else {
        quarters
    };
    // The series of sin(πx/2).
    let square = x * x;
    let series = 1.604_411_8e-4;
    let series = series * square - 4.681_754e-3;
    let series = series * square + 7.969_262_6e-2;
    let series = series * square - 6.459_641e-1;
    x * (series * square + std::f32::consts::FRAC_PI_2)
}

/// A quarter of the turn of [`sine`].
const QUARTER: u32 = 1 << 30;

/// Samples of an edge: 5 ms.
#[inline]
#[must_use]
pub const fn edge_samples(rate: u32) -> u32 {
    if rate < 200 { 1 } else { rate / 200 }
}

/// How loud a tone of `length` samples is at one of them, 0 to 1: half a cosine of 5 ms up, and half a cosine down.
#[inline]
#[must_use]
pub fn edge_gain(at: u64, length: u64, rate: u32) -> f32 {
    let edge = u64::from(edge_samples(rate));
    let inside = at.min(length.saturating_sub(1).saturating_sub(at));
    if inside >= edge {
        return 1.0;
    }
    // −1 to 1 over half a turn, beginning a quarter before zero.
    let turned = (inside * 2 * u64::from(QUARTER) / edge) as u32;
    0.5 + 0.5 * sine(turned.wrapping_sub(QUARTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::g711;

    #[test]
    fn the_sine_is_exact_to_four_in_a_million() {
        for turn in 0..10_000u32 {
            let phase = turn * 429_496;
            let exact = (f64::from(phase) / 4_294_967_296.0 * std::f64::consts::TAU).sin();
            assert!((f64::from(sine(phase)) - exact).abs() < 4e-6, "{phase}");
        }
    }

    #[test]
    fn zero_dbm0_is_the_digital_milliwatt_of_both_laws() {
        // Tables 5 and 6 of G.711: the periodic sequences of 1 kHz at 0 dBm0.
        let ulaw = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e].map(g711::decode_ulaw);
        let alaw = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4].map(g711::decode_alaw);
        for sequence in [ulaw, alaw] {
            let power: f32 = sequence.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / 8.0;
            let level = 20.0 * ((2.0 * power).sqrt() / amplitude(0.0)).log10();
            assert!(level.abs() < 0.06, "{level}");
        }
    }

    #[test]
    fn edges_rise_and_fall_alike_and_the_middle_is_whole() {
        assert!(edge_gain(0, 800, 8000) < 1e-5 && edge_gain(799, 800, 8000) < 1e-5);
        assert!((edge_gain(20, 800, 8000) - 0.5).abs() < 1e-5);
        assert!((edge_gain(40, 800, 8000) - 1.0).abs() < 1e-5);
        assert!((0..800).all(|at| edge_gain(at, 800, 8000) == edge_gain(799 - at, 800, 8000)));
        assert!(edge_gain(u64::MAX, 3, 8000) < 1e-5);
    }

    #[test]
    fn a_tone_does_not_drift() {
        let mut tone = Oscillator::new(1000.0, 8000);
        let first: Vec<f32> = (0..8).map(|_| tone.sample()).collect();
        for _ in 0..1_000_000 {
            tone.sample();
        }
        assert_eq!((0..8).map(|_| tone.sample()).collect::<Vec<_>>(), first);
    }
}
