//! What the user hears of the phone itself: ring back, ringing, waiting calls, busy (ITU-T E.180, E.182).

use media::dsp::SampleRate;
use media::source::{CallTone, Country, Oscillator, TonePlayer, amplitude, edge_gain};

/// How loud tones are, in dBm0.
const LEVEL: f32 = -16.0;
/// How long a tone that tells a failure is heard.
const FAILURE_MS: u32 = 2_000;
/// The two notes of the bell, how often they change, and how long it rings in a second of four.
const BELL: (f32, f32) = (660.0, 880.0);
const BELL_CHANGE_MS: u32 = 50;
const BELL_RINGS_MS: u32 = 1_500;
const BELL_PERIOD_MS: u32 = 4_000;
/// The tone of a call that waits: 200 ms in ten seconds.
const WAITING: (f32, u32, u32) = (425.0, 200, 10_000);

/// What is to be heard beside the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signals {
    /// Somebody we call is being rung.
    pub(super) ring_back: bool,
    /// Somebody calls, and nobody is being talked to.
    pub(super) bell: bool,
    /// Somebody calls while we talk.
    pub(super) waiting: bool,
}

/// Plays what is to be heard.
pub(super) struct Tones {
    country: &'static Country,
    rate: SampleRate,
    signals: Signals,
    ring_back: TonePlayer,
    failure: Option<(TonePlayer, u32)>,
    bell: (Oscillator, Oscillator),
    waiting: Oscillator,
    /// Samples since the signals changed.
    at: u64,
}

impl Tones {
    pub(super) fn new(country: &'static Country, rate: SampleRate) -> Tones {
        let oscillator = |hertz| Oscillator::new(hertz, rate.hertz());
        Tones {
            country,
            rate,
            signals: Signals::default(),
            ring_back: TonePlayer::new(country, CallTone::RingBack, rate.hertz(), LEVEL),
            failure: None,
            bell: (oscillator(BELL.0), oscillator(BELL.1)),
            waiting: oscillator(WAITING.0),
            at: 0,
        }
    }

    /// From now on this is to be heard.
    pub(super) fn set(&mut self, signals: Signals) {
        if self.signals != signals {
            if signals.ring_back && !self.signals.ring_back {
                let rate = self.rate.hertz();
                self.ring_back = TonePlayer::new(self.country, CallTone::RingBack, rate, LEVEL);
            }
            (self.signals, self.at) = (signals, 0);
        }
    }

    /// A call of ours did not come about.
    pub(super) fn fail(&mut self, tone: CallTone) {
        let player = TonePlayer::new(self.country, tone, self.rate.hertz(), LEVEL);
        self.failure = Some((player, FAILURE_MS));
    }

    /// Whether anything is heard.
    pub(super) fn are_heard(&self) -> bool {
        self.signals != Signals::default() || self.failure.is_some()
    }

    /// Adds the tones of the ear to what is heard, and fills what the bell rings.
    pub(super) fn play(&mut self, heard: &mut [i16], bell: &mut [i16], frame_ms: u32) {
        if self.signals.ring_back {
            self.ring_back.fill(heard);
        } else if let Some((player, left)) = &mut self.failure {
            player.fill(heard);
            *left = left.saturating_sub(frame_ms);
            if *left == 0 {
                self.failure = None;
            }
        }
        let ms = |at: u64| (at * 1_000 / u64::from(self.rate.hertz())) as u32;
        let samples = |ms: u32| self.rate.samples(ms) as u64;
        let peak = amplitude(LEVEL);
        if self.signals.waiting {
            let (_, length, period) = WAITING;
            for (at, sample) in (self.at..).zip(heard.iter_mut()) {
                let at = at % samples(period);
                if ms(at) < length {
                    let gain = edge_gain(at, samples(length), self.rate.hertz());
                    *sample = sample.saturating_add((self.waiting.sample() * peak * gain) as i16);
                }
            }
        }
        bell.fill(0);
        if self.signals.bell {
            for (at, sample) in (self.at..).zip(bell.iter_mut()) {
                let at = at % samples(BELL_PERIOD_MS);
                if ms(at) < BELL_RINGS_MS {
                    let gain = edge_gain(at, samples(BELL_RINGS_MS), self.rate.hertz());
                    let first = (ms(at) / BELL_CHANGE_MS).is_multiple_of(2);
                    let note = if first { self.bell.0.sample() } else { self.bell.1.sample() };
                    *sample = (note * amplitude(-10.0) * gain) as i16;
                }
            }
        }
        self.at += heard.len() as u64;
    }
}
