//! The filters of the resampler: Kaiser-windowed low-pass filters, cut into phases.
//!
//! One design for every ratio. With `f` the lower of the two Nyquist frequencies: flat within 0.05 dB up to 0.9 `f`, −6 dB at `f`,
//! at least 70 dB down from 1.1 `f` on. What lies between 0.9 and 1.1 `f` folds onto that range alone, so nothing below 0.9 `f` (3.6 kHz
//! of a telephone call) hears an image or an alias above −70 dB. The price of sharper edges would be delay: this one is 24 samples of the lower rate, 3 ms at 8 kHz, 1.5 ms at 16 kHz.
//!
//! Taps are 32-bit floating point: 16-bit integers would be no faster here, and their rounding alone is heard at −70 dB. Nothing is
//! left to the machine in the order of the sums, so every one gets the same samples.

use std::f64::consts::PI;
use std::sync::OnceLock;

use super::SampleRate;

/// Length of every filter, in samples of the lower rate.
const LENGTH: usize = 48;
/// Shape of the window: 73 dB.
const KAISER: f64 = 7.2;
/// Taps of a phase come in multiples of so many, for the vector unit.
const MULTIPLE: usize = LANES;
/// Products summed side by side.
const LANES: usize = 8;

/// A low-pass filter between two rates.
pub(super) struct Filter {
    /// Samples out for [`Filter::down`] samples in.
    pub(super) up: usize,
    /// Samples in for [`Filter::up`] samples out.
    pub(super) down: usize,
    /// Taps of a phase.
    pub(super) length: usize,
    /// `up` phases of `length` taps, each in the order of the samples it is multiplied with, the oldest first.
    pub(super) taps: Vec<f32>,
}

/// The filters that have been asked for, by the index of the rates. One exists per pair however many legs use it, so that it
/// stays in the processor's cache.
static FILTERS: [[OnceLock<Filter>; RATES]; RATES] = [const { [const { OnceLock::new() }; RATES] }; RATES];
const RATES: usize = SampleRate::ALL.len();

impl Filter {
    /// The filter from one rate to another, designed when it is first asked for (up to some milliseconds with 44.1 kHz).
    pub(super) fn between(from: SampleRate, to: SampleRate) -> &'static Filter {
        // The variants number the rates in order, as the table does.
        FILTERS[from as usize][to as usize].get_or_init(|| Filter::design(from.hertz(), to.hertz()))
    }

    /// How many phases of how many taps the filter between two rates has; `None` when one of them is zero.
    pub(super) fn size(from: u32, to: u32) -> Option<(usize, usize)> {
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = ((to.checked_div(divisor)?) as usize, (from.checked_div(divisor)?) as usize);
        let length = (LENGTH * down.max(up)).checked_div(up)?.max(LENGTH);
        (down > 0).then_some((up, length))
    }

    /// The filter between two rates in a ratio, `from` to `to`.
    pub(super) fn design(from: u32, to: u32) -> Filter {
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        let length = (LENGTH * down.max(up)).div_ceil(up).next_multiple_of(MULTIPLE);
        let mut taps = vec![0.0; up * length];
        for (phase, taps) in taps.chunks_exact_mut(length).enumerate() {
            for (newest, tap) in taps.iter_mut().rev().enumerate() {
                *tap = (prototype(phase + newest * up, up * length, up.max(down)) * up as f64) as f32;
            }
        }
        Filter { up, down, length, taps }
    }
}

/// Tap `at` of a low-pass filter with so many taps and unity gain, whose cut-off is Nyquist over `divisor`.
fn prototype(at: usize, taps: usize, divisor: usize) -> f64 {
    let middle = (taps - 1) as f64 / 2.0;
    let offset = at as f64 - middle;
    let angle = PI * offset / divisor as f64;
    let sinc = if offset == 0.0 { 1.0 } else { angle.sin() / angle };
    let reach = 2.0 * offset / taps as f64;
    sinc / divisor as f64 * bessel(KAISER * (1.0 - reach * reach).sqrt()) / bessel(KAISER)
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The sum of products, in eight lanes that are added in the end: the order is the same on every machine, and one that a
/// vector unit has.
#[inline]
pub(super) fn dot(samples: &[f32], taps: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (samples, taps) in samples.as_chunks::<LANES>().0.iter().zip(taps.as_chunks::<LANES>().0) {
        for ((lane, sample), tap) in lanes.iter_mut().zip(samples).zip(taps) {
            *lane += sample * tap;
        }
    }
    total(&lanes)
}

/// The sum of the lanes. Not inlined: the compiler would halve the width of the loop to suit these few additions.
#[inline(never)]
fn total(lanes: &[f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The nearest 16-bit value, saturated. Truncation of a positive number is all it takes.
#[inline]
pub(super) fn rounded(value: f32) -> i16 {
    ((value + 32768.5) as i32 - 32768).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static Filter> {
        let pairs = SampleRate::ALL.into_iter().flat_map(|from| SampleRate::ALL.map(|to| (from, to)));
        pairs.filter(|(from, to)| from != to).map(|(from, to)| Filter::between(from, to))
    }

    /// Gain in dB at a frequency, in units of the lower Nyquist frequency.
    fn gain(filter: &Filter, frequency: f64) -> f64 {
        let step = PI * frequency / filter.up.max(filter.down) as f64;
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (phase, taps) in filter.taps.chunks_exact(filter.length).enumerate() {
            for (newest, tap) in taps.iter().rev().enumerate() {
                let angle = step * (phase + newest * filter.up) as f64;
                real += f64::from(*tap) * angle.cos();
                imaginary += f64::from(*tap) * angle.sin();
            }
        }
        20.0 * (real.hypot(imaginary) / filter.up as f64).log10()
    }

    #[test]
    fn every_filter_is_flat_to_nine_tenths_and_70_db_down_from_eleven_tenths() {
        for filter in all() {
            for tenth in 0..=18 {
                let level = gain(filter, f64::from(tenth) / 20.0);
                assert!(level.abs() < 0.05, "{}:{} {level:.3} dB", filter.up, filter.down);
            }
            let widest = filter.up.max(filter.down).min(12) as f64;
            for step in 0..150 {
                let frequency = 1.1 + (widest - 1.1) * f64::from(step * step) / 22_500.0;
                let level = gain(filter, frequency);
                assert!(level < -70.0, "{}:{} {level:.1} dB at {frequency:.2}", filter.up, filter.down);
            }
        }
    }
}
