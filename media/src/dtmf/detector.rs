//! Digits in sound (ITU-T Q.24; tones of Q.23).
//!
//! Sound is looked at in windows of 102 samples at 8 kHz (12.75 ms, raised cosine), one every 51 samples (6.375 ms). Filters
//! give amplitude and phase at the eight frequencies. Windows overlap so that their weights sum to one: the sum of
//! the amplitudes, divided by the greatest, is the duration of a tone, however it lies to the windows. The turn of the
//! phase from one window to the next is the frequency, to about a hertz.
//!
//! | rule | value | Q.24 and its national tables |
//! |---|---|---|
//! | deviation of each frequency | up to 2.5 % is a digit | 1.5 % must be, 3.5 % must not |
//! | level of each tone | −42 dBm0 and above | −25 to −40 by country |
//! | high over low, low over high | 8 dB, 12 dB | 4 dB, 8 dB |
//! | duration | 32 ms and more is a digit | 40 ms must be, 20 to 24 must not |
//! | interruption that is bridged | about 15 ms | 10 ms |
//! | pause that parts two digits | about 25 ms | 40 ms must |
//! | talk-off | both tones hold four fifths of the energy, keep their frequency, and have no overtone within 10 dB | – |
//!
//! A digit is told about 40 ms after its beginning, its end 30 ms after it. Sound at 16, 32 and 48 kHz is brought down to
//! 8 kHz first.
//!
//! Left out on purpose: removing the tone from the sound that goes on; the hook flash, which has no tone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::decimator::Decimator;
use super::event::EventCode;
use super::tone::{COLUMNS, ROWS};
use super::{Digit, Heard};
use crate::source::sine;

/// Samples per second inside.
const RATE: u32 = 8000;
/// Samples from one window to the next: half a window.
const HOP: usize = 51;
const WINDOW: usize = 2 * HOP;
/// How many samples are brought down to 8 kHz at a time.
const BATCH: usize = 128;
/// How long a hop lasts.
const HOP_TIME: Duration = Duration::from_micros(6375);

/// How much a tone may deviate from its frequency.
const DEVIATION: f32 = 0.025;
/// The least mean square of each tone: −42 dBm0, which is 63 dB below a full-scale sine and some more.
const LEAST_POWER: f32 = 16_000.0;
/// How much stronger, in power, the high tone may be than the low one: 8 dB; and the low than the high: 12 dB.
const HIGH_TWIST: f32 = 6.31;
const LOW_TWIST: f32 = 15.85;
/// The share of the power that both tones have in a window that fits, and on the mean of a digit.
const WINDOW_SHARE: f32 = 0.5;
const DIGIT_SHARE: f32 = 0.8;
/// How much of the turns of the phase must go the same way: a voice glides.
const STEADINESS: f32 = 0.97;
/// How strong, in power, an overtone may be beside its tone: −10 dB.
const OVERTONE: f32 = 0.1;
/// A tone that fell to this part of its amplitude is gone.
const GONE: f32 = 0.5;
/// Duration of a digit in hops: 32 ms.
const LEAST_HOPS: f32 = 5.0;
/// Windows that fit a digit must have, so that neither clicks nor one window decide.
const LEAST_WINDOWS: u32 = 3;
/// Hops without the tone after which the key is up.
const RELEASE: u32 = 4;

/// Not 8000, 16 000, 32 000 or 48 000 samples per second: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("digits are not detected at {0} samples per second")]
pub struct UnsupportedRate(pub u32);

/// Listens for digits in one stream of sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    decimator: Decimator,
    /// The hop before, and the one that is being filled; in parts, because longer arrays do not serialise.
    previous: [[i16; 17]; 3],
    filling: [[i16; 17]; 3],
    filled: usize,
    /// The filters' results of the window before.
    last: Spectrum,
    key: Option<Press>,
}

/// Amplitude and phase at the eight frequencies, low group first, as complex numbers whose square is the mean square of a
/// tone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spectrum {
    re: [f32; 8],
    im: [f32; 8],
}

/// A tone pair that is being heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Press {
    row: usize,
    column: usize,
    /// The digit was told.
    told: bool,
    /// Sum and greatest of the amplitudes; their quotient is the duration in hops.
    sum: f32,
    greatest: f32,
    /// Windows that fitted, and the sum of the shares of their power.
    windows: u32,
    share: f32,
    /// The turn of both phases from window to window.
    turns: [Turns; 2],
    /// Windows in a row without the tone.
    missing: u32,
}

impl Detector {
    /// A detector for sound of `rate` samples per second: 8000, 16 000, 32 000 or 48 000.
    ///
    /// # Errors
    /// [`UnsupportedRate`] for any other.
    pub fn new(rate: u32) -> Result<Self, UnsupportedRate> {
        let factor = match rate {
            8000 => 1,
            16_000 => 2,
            32_000 => 4,
            48_000 => 6,
            _ => return Err(UnsupportedRate(rate)),
        };
        Ok(Self {
            decimator: Decimator::new(factor),
            previous: [[0; 17]; 3],
            filling: [[0; 17]; 3],
            filled: 0,
            last: Spectrum::default(),
            key: None,
        })
    }

    /// Listens to the next samples, mono, any number. Calls `hear` for every digit that begins or ends. Allocates nothing;
    /// silence costs next to nothing, 20 ms of speech at 8 kHz about a microsecond.
    pub fn handle(&mut self, samples: &[i16], mut hear: impl FnMut(Heard)) {
        if self.decimator.passes_all() {
            return self.listen(samples, &mut hear);
        }
        // In a copy of its own the compiler keeps it in registers.
        let mut decimator = self.decimator;
        let mut few = [0; BATCH];
        for batch in samples.chunks(BATCH) {
            let mut places = few.iter_mut();
            for sample in batch.iter().filter_map(|sample| decimator.push(*sample)) {
                if let Some(place) = places.next() {
                    *place = sample;
                }
            }
            let count = BATCH - places.len();
            self.listen(few.get(..count).unwrap_or_default(), &mut hear);
        }
        self.decimator = decimator;
    }

    /// Listens at 8 kHz.
    fn listen(&mut self, samples: &[i16], hear: &mut impl FnMut(Heard)) {
        let mut rest = samples;
        while !rest.is_empty() {
            rest = self.fill(rest);
            if self.filled >= HOP {
                self.handle_window(hear);
                self.previous = self.filling;
                self.filled = 0;
            }
        }
    }

    /// Takes samples at 8 kHz into the hop that is being filled; gives those for which there is no room.
    #[inline]
    fn fill<'s>(&mut self, samples: &'s [i16]) -> &'s [i16] {
        let room = self.filling.as_flattened_mut().get_mut(self.filled..).unwrap_or_default();
        let (taken, rest) = samples.split_at(room.len().min(samples.len()));
        room.iter_mut().zip(taken).for_each(|(place, sample)| *place = *sample);
        self.filled += taken.len();
        rest
    }

    /// The sound was interrupted, by hold or another source: a key that is down goes up.
    pub fn reset(&mut self, mut hear: impl FnMut(Heard)) {
        if let Some(press) = self.key.take().filter(|press| press.told) {
            hear(Heard::Ended(press.digit()));
        }
        (self.previous, self.filled, self.last) = ([[0; 17]; 3], 0, Spectrum::default());
    }

    fn handle_window(&mut self, hear: &mut impl FnMut(Heard)) {
        let window = Window::new(self.previous.as_flattened(), self.filling.as_flattened());
        if self.key.is_none() && window.power < 2.0 * LEAST_POWER {
            // Silence needs no filters. What they would have shown of the beginning of a tone is below all thresholds.
            self.last = Spectrum::default();
            return;
        }
        let spectrum = window.spectrum();
        let fit = window.fit(&spectrum);
        match &mut self.key {
            Some(press) => {
                let same = fit.filter(|fit| (fit.row, fit.column) == (press.row, press.column));
                press.handle_window(&spectrum, &self.last, same);
                if press.is_over() {
                    if press.told {
                        hear(Heard::Ended(press.digit()));
                    }
                    self.key = None;
                } else if !press.told && press.is_digit() {
                    press.told = true;
                    hear(Heard::Started(press.code()));
                } else if let (false, None, Some(fit)) = (press.told, same, fit) {
                    *press = Press::new(fit, &spectrum, &self.last);
                }
            }
            None => self.key = fit.map(|fit| Press::new(fit, &spectrum, &self.last)),
        }
        self.last = spectrum;
    }
}

/// A window whose two strongest tones make a key.
#[derive(Clone, Copy, Debug)]
struct Fit {
    row: usize,
    column: usize,
    /// The part of the power that the two have.
    share: f32,
}

/// The weighted samples of a window.
struct Window {
    samples: [f32; WINDOW],
    /// Their mean square, referred to sound without weights.
    power: f32,
}

impl Window {
    fn new(first: &[i16], second: &[i16]) -> Self {
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

    /// The eight filters side by side, real and imaginary parts, for the compiler to do them at once.
    fn spectrum(&self) -> Spectrum {
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
    fn fit(&self, spectrum: &Spectrum) -> Option<Fit> {
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
    fn amplitude(&self, row: usize, column: usize) -> f32 {
        (self.power(row) * self.power(4 + column)).sqrt().sqrt()
    }

    /// By how much the phase at a frequency turned since `before`, beyond what the frequency itself would turn it.
    fn turn(&self, before: &Self, index: usize) -> (f32, f32) {
        let ((re, im), (old_re, old_im)) = (self.at(index), before.at(index));
        let (turned_re, turned_im) = (re * old_re + im * old_im, im * old_re - re * old_im);
        let (hop_re, hop_im) = (FILTERS.hop_cosine[index & 7], FILTERS.hop_sine[index & 7]);
        (turned_re * hop_re + turned_im * hop_im, turned_im * hop_re - turned_re * hop_im)
    }
}

impl Press {
    fn new(fit: Fit, spectrum: &Spectrum, last: &Spectrum) -> Self {
        let Fit { row, column, .. } = fit;
        let mut press = Self {
            row,
            column,
            told: false,
            // The window before had the beginning of the tone in it.
            sum: last.amplitude(row, column),
            greatest: 0.0,
            windows: 0,
            share: 0.0,
            turns: [Turns::default(); 2],
            missing: 0,
        };
        press.handle_window(spectrum, last, Some(fit));
        press
    }

    fn handle_window(&mut self, spectrum: &Spectrum, last: &Spectrum, fit: Option<Fit>) {
        let amplitude = spectrum.amplitude(self.row, self.column);
        let fit = fit.filter(|_| amplitude >= self.greatest * GONE);
        // The end of the tone reaches into two windows after the last that fits; what comes then is something else.
        if fit.is_some() || self.missing < 2 {
            self.sum += amplitude;
        }
        let Some(fit) = fit else {
            self.missing += 1;
            return;
        };
        self.missing = 0;
        self.greatest = self.greatest.max(amplitude);
        self.windows += 1;
        self.share += fit.share;
        for (sum, index) in self.turns.iter_mut().zip([self.row, 4 + self.column]) {
            sum.add(spectrum.turn(last, index));
        }
    }

    fn is_over(&self) -> bool {
        self.missing >= RELEASE
    }

    /// Whether this is a digit and not speech or a click.
    fn is_digit(&self) -> bool {
        let [low, high] = self.turns;
        self.missing == 0
            && self.windows >= LEAST_WINDOWS
            && self.hops() >= LEAST_HOPS
            && self.share >= DIGIT_SHARE * self.windows as f32
            && low.are_steady_within(ROWS[self.row & 3])
            && high.are_steady_within(COLUMNS[self.column & 3])
    }

    /// The duration in hops.
    fn hops(&self) -> f32 {
        self.sum / self.greatest.max(1.0)
    }

    const fn code(&self) -> EventCode {
        EventCode::at(self.row, self.column)
    }

    fn digit(&self) -> Digit {
        Digit { code: self.code(), duration: HOP_TIME.mul_f32(self.hops().clamp(0.0, 1e7)) }
    }
}

/// Turns of a phase, each as long as the tone was strong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Turns {
    re: f32,
    im: f32,
    length: f32,
}

impl Turns {
    fn add(&mut self, (re, im): (f32, f32)) {
        self.re += re;
        self.im += im;
        self.length += (re * re + im * im).sqrt();
    }

    /// Whether they all go much the same way, and that is a tone within [`DEVIATION`] of `hertz`.
    fn are_steady_within(&self, hertz: f32) -> bool {
        let length = (self.re * self.re + self.im * self.im).sqrt();
        let turns = self.im.atan2(self.re) / std::f32::consts::TAU;
        length >= self.length * STEADINESS && (turns * RATE as f32 / HOP as f32).abs() <= hertz * DEVIATION
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
