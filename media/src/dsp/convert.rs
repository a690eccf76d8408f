//! Conversion of whole sounds between any two rates, by the filters of the resampler; nothing is delayed.

use super::filter::{Filter, dot, rounded};

/// Taps that a filter may have: rates without a common divisor would need millions.
const TAPS: usize = 1 << 20;

/// The samples at another rate, mono; `None` when the rates are too strange (their ratio is no fraction of small numbers,
/// or one of them is zero). Takes some milliseconds for a filter, and some for a second of sound.
#[must_use]
pub fn convert(samples: &[i16], from: u32, to: u32) -> Option<Vec<i16>> {
    if from == to {
        return Some(samples.to_vec());
    }
    let (up, length) = Filter::size(from, to)?;
    if up.checked_mul(length)? > TAPS {
        return None;
    }
    let filter = Filter::design(from, to);
    let middle = (filter.up * filter.length - 1) / 2;
    let count = (samples.len() * filter.up).div_ceil(filter.down);
    let mut window = vec![0.0; filter.length];
    let convert = |index: usize| {
        let time = middle + index * filter.down;
        let (newest, phase) = (time / filter.up, time % filter.up);
        for (back, place) in window.iter_mut().rev().enumerate() {
            let sample = newest.checked_sub(back).and_then(|at| samples.get(at));
            *place = sample.map_or(0.0, |sample| f32::from(*sample));
        }
        let taps = filter.taps.get(phase * filter.length..(phase + 1) * filter.length).unwrap_or_default();
        rounded(dot(&window, taps))
    };
    Some((0..count).map(convert).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A second of a tone that began `late` seconds late.
    fn tone(rate: u32, late: f64) -> Vec<i16> {
        let at = |sample: u32| ((f64::from(sample) / f64::from(rate) - late) * 440.0 * TAU).sin();
        (0..rate).map(|sample| (8_000.0 * at(sample)).round() as i16).collect()
    }

    #[test]
    fn a_tone_stays_the_same_tone_at_the_same_time_at_any_rate() {
        for from in [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000] {
            for to in [8_000, 16_000, 44_100, 48_000] {
                let converted = convert(&tone(from, 0.0), from, to).unwrap();
                // The middle of a filter with an even number of taps lies between two steps of the higher rate.
                let (up, _) = Filter::size(from, to).unwrap();
                let late = if from == to { 0.0 } else { 0.5 / f64::from(from) / up as f64 };
                let expected = tone(to, late);
                assert!(converted.len().abs_diff(expected.len()) <= 1);
                let middle = expected.len() / 4..expected.len() * 3 / 4;
                for at in middle {
                    let error = i32::from(converted[at]) - i32::from(expected[at]);
                    assert!(error.abs() < 70, "{from} to {to} at {at}: {error}");
                }
            }
        }
    }

    #[test]
    fn rates_that_would_need_a_monstrous_filter_are_refused() {
        assert_eq!(convert(&[0; 10], 191_999, 8_000), None);
        assert_eq!(convert(&[0; 10], 0, 8_000), None);
        assert_eq!(convert(&[], 44_100, 8_000), Some(Vec::new()));
    }
}
