//! Audio without a device: silence, and a tone. What is played goes nowhere.

use super::Audio;
use media::dsp::SampleRate;
use media::source::{Oscillator, amplitude};
use sip_stack::Time;

/// Nothing is said.
#[derive(Clone, Copy, Debug)]
pub struct Silence(pub SampleRate);

impl Audio for Silence {
    fn rate(&self) -> SampleRate {
        self.0
    }

    fn record(&mut self, _now: Time, frame: &mut [i16]) {
        frame.fill(0);
    }

    fn play(&mut self, _now: Time, _frame: &[i16]) {}
}

/// A sine is said.
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    rate: SampleRate,
    oscillator: Oscillator,
    peak: f32,
}

impl Tone {
    /// A sine of `hertz` at `dbm0`.
    pub fn new(rate: SampleRate, hertz: f32, dbm0: f32) -> Tone {
        Tone { rate, oscillator: Oscillator::new(hertz, rate.hertz()), peak: amplitude(dbm0.min(0.0)) }
    }
}

impl Audio for Tone {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn record(&mut self, _now: Time, frame: &mut [i16]) {
        for sample in frame {
            *sample = (self.oscillator.sample() * self.peak) as i16;
        }
    }

    fn play(&mut self, _now: Time, _frame: &[i16]) {}
}
