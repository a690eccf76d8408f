//! One window of the detector of digits: the amplitude and phase of the eight frequencies of ITU-T Q.23, and whether they
//! make a key.
//!
//! Left out on purpose: what a row of windows means, which `detector` decides.

use serde::{Deserialize, Serialize};

use super::tone::{COLUMNS, ROWS};
use crate::source::sine;

/// Samples per second.
pub(super) const RATE: u32 = 8000;
/// Samples from one window to the next: half a window.
pub(super) const HOP: usize = 51;
const WINDOW: usize = 2 * HOP;

/// The least mean square of each tone: −42 dBm0.
const LEAST_POWER: f32 = 16_000.0;
/// How much stronger, in power, the high tone may be than the low one: 8 dB; and the low than the high: 12 dB.
const HIGH_TWIST: f32 = 6.31;
const LOW_TWIST: f32 = 15.85;
/// The share of the power that both tones have in a window that fits.
const WINDOW_SHARE: f32 = 0.5;
/// How strong, in power, an overtone may be beside its tone: −10 dB.
const OVERTONE: f32 = 0.1;

/// Amplitude and phase at the eight frequencies, low group first, as complex numbers whose square is the mean square of a
/// tone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spectrum {
    re: [f32; 8],
    im: [f32; 8],
}

/// A window whose two strongest tones make a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    pub(super) row: usize,
    pub(super) column: usize,
    /// The part of the power that the two have.
    pub(super) share: f32,
}

/// The weighted samples of a window.
pub(super) struct Window {
    samples: [f32; WINDOW],
    /// Their mean square, referred to sound without weights.
    power: f32,
}

impl Window {
    pub(super) fn new(first: &[i16], second: &[i16]) -> Self {
        let mut samples = [0.0; WINDOW];
        let (early, late) = samples.split_at_mut(HOP);
        let (rising, falling) = WEIGHTS.split_at(HOP);
        for (places, sound, weights) in [(early, first, rising), (late, second, falling)] {
            for ((place, sample), weight) in places.iter_mut().zip(sound).zip(weights) {
                *place = f32::from(*sample) * weight;
            }
        }
        // Seventeen sums side by side: one alone would wait for each addition.
        let mut sums = [0f32; 17];
        for part in samples.as_chunks::<17>().0 {
            for (sum, sample) in sums.iter_mut().zip(part) {
                *sum += sample * sample;
            }
        }
        // The mean square of these weights is 3/8.
        Self { samples, power: sums.iter().sum::<f32>() / (WINDOW as f32 * 0.375) }
    }

    /// Whether no key can be in it.
    pub(super) fn is_silent(&self) -> bool {
        self.power < 2.0 * LEAST_POWER
    }

    /// The eight filters side by side, real and imaginary parts, for the compiler to do them at once.
    pub(super) fn spectrum(&self) -> Spectrum {
        let (mut re, mut im) = ([0f32; 8], [0f32; 8]);
        for (sample, (cosines, sines)) in self.samples.iter().zip(&WAVES) {
            for lane in 0..8 {
                re[lane] += sample * cosines[lane];
                im[lane] -= sample * sines[lane];
            }
        }
        Spectrum { re: re.map(|part| part * SCALE), im: im.map(|part| part * SCALE) }
    }

    /// The powers at two frequencies by Goertzel's recursion; the phase matters not.
    fn powers_at(&self, double_cosines: [f32; 2]) -> [f32; 2] {
        let (mut one, mut two) = ([0f32; 2], [0f32; 2]);
        for sample in &self.samples {
            for lane in 0..2 {
                let next = double_cosines[lane] * one[lane] + (sample - two[lane]);
                two[lane] = core::mem::replace(&mut one[lane], next);
            }
        }
        let power = |one: f32, two: f32, filter: f32| one * one + two * two - filter * one * two;
        [0, 1].map(|lane| power(one[lane], two[lane], double_cosines[lane]) * SCALE * SCALE)
    }

    /// The key of this window, if levels, twist, share and overtones allow one.
    pub(super) fn fit(&self, spectrum: &Spectrum) -> Option<Fit> {
        let (row, low) = spectrum.strongest(0);
        let (column, high) = spectrum.strongest(4);
        let audible = low >= LEAST_POWER && high >= LEAST_POWER;
        let balanced = high <= low * HIGH_TWIST && low <= high * LOW_TWIST;
        let share = (low + high) / self.power.max(1.0);
        if !audible || !balanced || share < WINDOW_SHARE {
            return None;
        }
        // The second overtone of a low tone falls among the high group, so its third is looked at.
        let third = FILTERS.third_of_row.get(row).copied()?;
        let second = FILTERS.second_of_column.get(column).copied()?;
        let [third, second] = self.powers_at([third, second]);
        let pure = third < low * OVERTONE && second < high * OVERTONE;
        pure.then_some(Fit { row, column, share: share.min(1.0) })
    }
}

impl Spectrum {
    fn power(&self, index: usize) -> f32 {
        let (re, im) = self.at(index);
        re * re + im * im
    }

    fn at(&self, index: usize) -> (f32, f32) {
        (self.re[index & 7], self.im[index & 7])
    }

    /// The strongest of the four frequencies from `first` on: its place among them and its power.
    fn strongest(&self, first: usize) -> (usize, f32) {
        let mut best = (0, 0.0);
        for place in 0..4 {
            let power = self.power(first + place);
            if power > best.1 {
                best = (place, power);
            }
        }
        best
    }

    /// The amplitude of a pair: the geometric mean of both.
    pub(super) fn amplitude(&self, row: usize, column: usize) -> f32 {
        (self.power(row) * self.power(4 + column)).sqrt().sqrt()
    }

    /// By how much the phase at a frequency turned since `before`, beyond what the frequency itself would turn it.
    pub(super) fn turn(&self, before: &Self, index: usize) -> (f32, f32) {
        let ((re, im), (old_re, old_im)) = (self.at(index), before.at(index));
        let (turned_re, turned_im) = (re * old_re + im * old_im, im * old_re - re * old_im);
        let (hop_re, hop_im) = (FILTERS.hop_cosine[index & 7], FILTERS.hop_sine[index & 7]);
        (turned_re * hop_re + turned_im * hop_im, turned_im * hop_re - turned_re * hop_im)
    }
}

/// What makes the square of a filter's result the mean square of a tone: two over the square of the sum of the weights.
const SCALE: f32 = std::f32::consts::SQRT_2 / HOP as f32;

/// Half a cosine up and down; two of them, half a window apart, sum to one.
static WEIGHTS: [f32; WINDOW] = {
    let mut weights = [0.0; WINDOW];
    let mut at = 0;
    while at < WINDOW {
        // The middle of each sample, so that the window is symmetric.
        let turn = ((2 * at as u64 + 1) << 31) / WINDOW as u64;
        weights[at] = 0.5 - 0.5 * cosine(turn as u32);
        at += 1;
    }
    weights
};

/// Cosine and sine of the eight frequencies at each sample of a window.
static WAVES: [([f32; 8], [f32; 8]); WINDOW] = {
    let mut waves = [([0.0; 8], [0.0; 8]); WINDOW];
    let mut at = 0;
    while at < WINDOW {
        let mut index = 0;
        while index < 8 {
            let phase = step(hertz(index)).wrapping_mul(at as u32);
            waves[at].0[index] = cosine(phase);
            waves[at].1[index] = sine(phase);
            index += 1;
        }
        at += 1;
    }
    waves
};

/// The constants of the frequencies.
struct Filters {
    /// How far the phase of the frequency itself turns in a hop.
    hop_cosine: [f32; 8],
    hop_sine: [f32; 8],
    /// Twice the cosines of overtones.
    third_of_row: [f32; 4],
    second_of_column: [f32; 4],
}

static FILTERS: Filters = {
    let mut filters = Filters {
        hop_cosine: [0.0; 8],
        hop_sine: [0.0; 8],
        third_of_row: [0.0; 4],
        second_of_column: [0.0; 4],
    };
    let mut index = 0;
    while index < 8 {
        let step = step(hertz(index));
        filters.hop_cosine[index] = cosine(step.wrapping_mul(HOP as u32));
        filters.hop_sine[index] = sine(step.wrapping_mul(HOP as u32));
        if index < 4 {
            filters.third_of_row[index] = 2.0 * cosine(step.wrapping_mul(3));
        } else {
            filters.second_of_column[index - 4] = 2.0 * cosine(step.wrapping_mul(2));
        }
        index += 1;
    }
    filters
};

/// The frequencies, low group first.
const fn hertz(index: usize) -> f32 {
    if index < 4 { ROWS[index] } else { COLUMNS[index - 4] }
}

/// The phase that a frequency turns in a sample.
const fn step(hertz: f32) -> u32 {
    (hertz as f64 / RATE as f64 * 4_294_967_296.0) as u32
}

const fn cosine(phase: u32) -> f32 {
    sine(phase.wrapping_add(1 << 30))
}
