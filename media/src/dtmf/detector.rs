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
use super::window::{Fit, HOP, RATE, Spectrum, Window};
use super::{Digit, Heard};

/// How many samples are brought down to 8 kHz at a time.
const BATCH: usize = 128;
/// How long a hop lasts.
const HOP_TIME: Duration = Duration::from_micros(6375);

/// How much a tone may deviate from its frequency.
const DEVIATION: f32 = 0.025;
/// The share of the power that both tones have on the mean of a digit.
const DIGIT_SHARE: f32 = 0.8;
/// How much of the turns of the phase must go the same way: a voice glides.
const STEADINESS: f32 = 0.97;
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
        if self.key.is_none() && window.is_silent() {
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
