//! The arithmetic of mixing: sums of 32 bits, saturated once, when they leave (ITU-T P.340 asks for no less in spirit;
//! exact to the sample against a mixer of floating-point numbers).
//!
//! Plain loops over slices of equal length, which the compiler turns into vector code on every target; each stops at
//! the shorter slice.

use serde::{Deserialize, Serialize};

/// Bits behind the point of a [`Gain`].
const POINT: u32 = 12;

/// An amplification, 0 to 8 (+18 dB), in steps of 1/4096.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Gain(u16);

impl Gain {
    /// As it is.
    pub const UNITY: Gain = Gain(1 << POINT);
    /// The largest, 8.
    pub const MAX: Gain = Gain((8 << POINT) - 1);

    /// The gain nearest to `factor`; below zero, and not a number, is zero, above the largest the largest.
    #[must_use]
    pub fn new(factor: f32) -> Gain {
        Gain((factor * f32::from(Self::UNITY.0)).round().clamp(0.0, f32::from(Self::MAX.0)) as u16)
    }

    /// The gain of so many decibels.
    #[must_use]
    pub fn decibels(decibels: f32) -> Gain {
        Gain::new(10_f32.powf(decibels / 20.0))
    }

    /// One sample amplified, rounded to the nearest, not saturated.
    #[inline]
    #[must_use]
    pub const fn apply(self, sample: i16) -> i32 {
        // The largest product is 2^15 * 2^15.
        (sample as i32 * self.0 as i32 + (1 << (POINT - 1))) >> POINT
    }
}

impl Default for Gain {
    fn default() -> Self {
        Gain::UNITY
    }
}

/// Adds a frame to a sum.
pub(super) fn add(sum: &mut [i32], frame: &[i16], gain: Gain) {
    if gain == Gain::UNITY {
        for (sum, sample) in sum.iter_mut().zip(frame) {
            *sum += i32::from(*sample);
        }
    } else {
        for (sum, sample) in sum.iter_mut().zip(frame) {
            *sum += gain.apply(*sample);
        }
    }
}

/// Writes a sum, saturated.
pub(super) fn saturate(sum: &[i32], out: &mut [i16]) {
    for (out, sum) in out.iter_mut().zip(sum) {
        *out = clamp(*sum);
    }
}

/// Writes a sum without the part of it that `own` is, saturated.
pub(super) fn saturate_without(sum: &[i32], own: &[i16], gain: Gain, out: &mut [i16]) {
    if gain == Gain::UNITY {
        for ((out, sum), own) in out.iter_mut().zip(sum).zip(own) {
            *out = clamp(*sum - i32::from(*own));
        }
    } else {
        for ((out, sum), own) in out.iter_mut().zip(sum).zip(own) {
            *out = clamp(*sum - gain.apply(*own));
        }
    }
}

#[inline]
fn clamp(sum: i32) -> i16 {
    sum.clamp(i16::MIN as i32, i16::MAX as i32) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gains_are_near_what_was_asked_for() {
        assert_eq!(Gain::decibels(0.0), Gain::UNITY);
        assert_eq!(Gain::new(-1.0), Gain::new(0.0));
        assert_eq!(Gain::new(f32::NAN), Gain::new(0.0));
        assert_eq!(Gain::new(100.0), Gain::MAX);
        assert_eq!(Gain::decibels(6.0).apply(1000), 1995);
        assert_eq!(Gain::decibels(-6.0).apply(-1000), -501);
        assert_eq!(Gain::MAX.apply(i16::MIN), -262_136);
    }

    proptest! {
        #[test]
        fn a_mix_is_the_one_of_exact_numbers_rounded_and_saturated_once(
            frames in proptest::collection::vec((proptest::collection::vec(any::<i16>(), 40), 0_u16..32_768), 1..9),
            own in 0_usize..8,
        ) {
            let own = own % frames.len();
            let mut sum = [0; 40];
            for (frame, gain) in &frames {
                add(&mut sum, frame, Gain(*gain));
            }
            let (mut all, mut others) = ([0; 40], [0; 40]);
            saturate(&sum, &mut all);
            saturate_without(&sum, &frames[own].0, Gain(frames[own].1), &mut others);
            for at in 0..40 {
                let part = |member: &(Vec<i16>, u16)| {
                    (f64::from(member.0[at]) * f64::from(member.1) / 4096.0 + 0.5).floor()
                };
                let exact: f64 = frames.iter().map(part).sum();
                prop_assert_eq!(f64::from(all[at]), exact.clamp(-32768.0, 32767.0));
                let without = exact - part(&frames[own]);
                prop_assert_eq!(f64::from(others[at]), without.clamp(-32768.0, 32767.0));
            }
        }
    }
}
