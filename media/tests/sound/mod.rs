//! Sound for tests: tones of any frequency and level, noise, and something like speech; all from seeds.

use std::f32::consts::TAU;

use media::dtmf::{Detector, Digit, EventCode, Heard};
use media::source::amplitude;

/// The keypad of Q.23.
pub(crate) const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
pub(crate) const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// A small generator: enough for noise.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// 0 to 1.
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / 16_777_216.0
    }

    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.next()
    }

    /// Near enough a normal distribution of variance one.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.next()).sum::<f32>() - 6.0
    }
}

/// One key press as sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tone {
    pub(crate) code: EventCode,
    pub(crate) ms: f32,
    /// Levels in dBm0.
    pub(crate) low: f32,
    pub(crate) high: f32,
    /// Factors of the frequencies.
    pub(crate) low_shift: f32,
    pub(crate) high_shift: f32,
}

impl Tone {
    pub(crate) fn plain(code: u8) -> Self {
        let code = EventCode(code);
        Self { code, ms: 60.0, low: -10.0, high: -10.0, low_shift: 1.0, high_shift: 1.0 }
    }
}

/// Sound that grows.
pub(crate) struct Track {
    pub(crate) rate: u32,
    pub(crate) samples: Vec<f32>,
}

impl Track {
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate, samples: Vec::new() }
    }

    pub(crate) fn silence(&mut self, ms: f32) -> &mut Self {
        let count = (ms * self.rate as f32 / 1000.0) as usize;
        self.samples.extend(std::iter::repeat_n(0.0, count));
        self
    }

    pub(crate) fn tone(&mut self, tone: &Tone) -> &mut Self {
        let (row, column) = tone.code.key().expect("tests dial keys");
        let (low, high) = (ROWS[row] * tone.low_shift, COLUMNS[column] * tone.high_shift);
        let (low_peak, high_peak) = (amplitude(tone.low), amplitude(tone.high));
        for at in 0..(tone.ms * self.rate as f32 / 1000.0) as usize {
            let time = at as f32 / self.rate as f32;
            self.samples.push(
                low_peak * (TAU * low * time + 0.4).sin() + high_peak * (TAU * high * time + 1.1).sin(),
            );
        }
        self
    }

    /// Adds noise of this level in dBm0.
    pub(crate) fn noise(&mut self, dbm0: f32, seed: u64) -> &mut Self {
        let (mut chance, deviation) = (Chance(seed), amplitude(dbm0) / std::f32::consts::SQRT_2);
        self.samples.iter_mut().for_each(|sample| *sample += deviation * chance.normal());
        self
    }

    pub(crate) fn samples(&self) -> Vec<i16> {
        self.samples.iter().map(|sample| sample.round() as i16).collect()
    }

    /// The digits a detector hears in frames of 20 ms.
    pub(crate) fn digits(&self) -> Vec<Digit> {
        digits(self.rate, &self.samples())
    }
}

/// The digits a detector hears in frames of 20 ms; checks that each begins before it ends.
pub(crate) fn digits(rate: u32, samples: &[i16]) -> Vec<Digit> {
    let mut detector = Detector::new(rate).expect("tests know the rates");
    let (mut down, mut digits) = (None, Vec::new());
    let mut hear = |heard| match heard {
        Heard::Started(code) => assert_eq!(down.replace(code), None, "two keys at once"),
        Heard::Ended(digit) => {
            assert_eq!(down.take(), Some(digit.code), "an end without its beginning");
            digits.push(digit);
        }
    };
    samples.chunks(rate as usize / 50).for_each(|frame| detector.handle(frame, &mut hear));
    detector.reset(&mut hear);
    digits
}

/// Something like speech: pulses of a gliding pitch through three resonators that change every syllable, and hissing.
pub(crate) fn babble(seconds: u32, seed: u64) -> Vec<i16> {
    const RATE: f32 = 8000.0;
    let mut chance = Chance(seed);
    let mut samples = Vec::with_capacity(8000 * seconds as usize);
    let (mut state, mut phase) = ([[0f32; 2]; 3], 0f32);
    while samples.len() < 8000 * seconds as usize {
        let syllable = chance.between(0.05, 0.3) * RATE;
        let (mut pitch, glide) = (chance.between(80.0, 320.0), chance.between(0.99985, 1.00015));
        let voiced = chance.next() < 0.75;
        let formants = [(250.0, 900.0), (800.0, 2400.0), (2000.0, 3400.0)].map(|(low, high)| {
            let (hertz, width) = (chance.between(low, high), chance.between(40.0, 160.0));
            let radius = (-std::f32::consts::PI * width / RATE).exp();
            (2.0 * radius * (TAU * hertz / RATE).cos(), -radius * radius)
        });
        let loud = chance.between(300.0, 4000.0);
        for at in 0..syllable as usize {
            pitch *= glide;
            phase += pitch / RATE;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase %= 1.0;
            let source = if voiced { pulse + 0.02 * chance.normal() } else { 0.15 * chance.normal() };
            let swell = (std::f32::consts::PI * at as f32 / syllable).sin();
            let mut sum = 0.0;
            for (state, (a, b)) in state.iter_mut().zip(&formants) {
                let next = source + a * state[0] + b * state[1];
                *state = [next.clamp(-1e6, 1e6), state[0]];
                sum += next;
            }
            samples.push((loud * swell * sum / 3.0).clamp(-30_000.0, 30_000.0) as i16);
        }
    }
    samples
}
