//! Echo cancellation, noise suppression and gain control, each of which can be switched (the crate `sonora`, a port of
//! WebRTC's audio processing).
//!
//! Works on frames of 10 ms at 8 to 48 kHz, between the call and a device. Frames at other rates pass as they are. Noise is
//! suppressed by a processor of its own, behind the other one, because one that is switched would forget the echo; it is there
//! only while there is noise.

use super::Audio;
use super::noise_floor::NoiseFloor;
use media::dsp::SampleRate;
use sip_stack::Time;
use sonora::config::{AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, NoiseSuppression};
use sonora::{AudioProcessing, Config, StreamConfig};

/// What is done to the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processing {
    /// What the speaker plays is taken out of it.
    pub echo: bool,
    /// Steady noise is made softer, where there is some.
    pub noise: bool,
    /// Speech is brought to one level.
    pub gain: bool,
}

impl Processing {
    /// Nothing.
    pub const OFF: Processing = Processing { echo: false, noise: false, gain: false };
    /// Everything.
    pub const ON: Processing = Processing { echo: true, noise: true, gain: true };

    /// Echo and gain.
    fn config(self) -> Config {
        let adaptive = || GainController2 {
            adaptive_digital: Some(AdaptiveDigital::default()),
            ..GainController2::default()
        };
        Config {
            // Its high-pass filter takes away what is below 100 Hz, which costs wideband speech 0.3 of PESQ; the echo is as soft without
            // (docs/measurements/2026-11-30-phone-quality.txt).
            echo_canceller: self
                .echo
                .then(|| EchoCanceller { enforce_high_pass_filtering: false, ..EchoCanceller::default() }),
            // Without its adaptive part it limits, and does nothing else.
            gain_controller2: self.gain.then(adaptive),
            ..Config::default()
        }
    }

    /// Noise.
    fn suppression() -> Config {
        Config {
            high_pass_filter: Some(HighPassFilter::default()),
            noise_suppression: Some(NoiseSuppression::default()),
            ..Config::default()
        }
    }
}

/// Audio whose microphone is processed.
pub struct Processed<A> {
    inner: A,
    wanted: Processing,
    processor: Option<Box<AudioProcessing>>,
    floor: NoiseFloor,
    suppressor: Option<Box<AudioProcessing>>,
    scratch: Vec<i16>,
}

impl<A: std::fmt::Debug> std::fmt::Debug for Processed<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processed")
            .field("inner", &self.inner)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl<A: Audio> Processed<A> {
    /// Processes the microphone of `inner`. Allocates.
    pub fn new(inner: A, wanted: Processing) -> Processed<A> {
        let mut processed = Processed {
            inner,
            wanted: Processing::OFF,
            processor: None,
            floor: NoiseFloor::new(),
            suppressor: None,
            scratch: Vec::new(),
        };
        processed.set(wanted);
        processed
    }

    /// The audio within.
    pub fn into_inner(self) -> A {
        self.inner
    }

    /// Switches; what was learnt of room and noise is kept where it still counts.
    pub fn set(&mut self, wanted: Processing) {
        self.wanted = if has_rate(self.inner.rate()) { wanted } else { Processing::OFF };
        let wanted = self.wanted;
        if !wanted.noise {
            self.suppressor = None;
        }
        if !wanted.echo && !wanted.gain {
            self.processor = None;
            return;
        }
        match &mut self.processor {
            Some(processor) => processor.apply_config(wanted.config()),
            None => self.processor = Some(made(wanted.config(), self.inner.rate())),
        }
    }

    /// Suppresses noise from now on where there is some, or no longer. Allocates when that changes.
    fn listen_for_noise(&mut self, frame: &[i16]) {
        let noisy = self.floor.handle_frame(frame) && self.wanted.noise;
        if noisy != self.suppressor.is_some() {
            self.suppressor = noisy.then(|| made(Processing::suppression(), self.inner.rate()));
        }
    }
}

const fn has_rate(rate: SampleRate) -> bool {
    match rate {
        SampleRate::Hz8000 | SampleRate::Hz16000 | SampleRate::Hz32000 | SampleRate::Hz48000 => true,
        SampleRate::Hz12000 | SampleRate::Hz24000 | SampleRate::Hz44100 => false,
    }
}

fn made(config: Config, rate: SampleRate) -> Box<AudioProcessing> {
    let stream = StreamConfig::new(rate.hertz(), 1);
    Box::new(AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build())
}

impl<A: Audio> Audio for Processed<A> {
    fn rate(&self) -> SampleRate {
        self.inner.rate()
    }

    fn record(&mut self, now: Time, frame: &mut [i16]) {
        self.inner.record(now, frame);
        self.listen_for_noise(frame);
        for processor in [&mut self.processor, &mut self.suppressor].into_iter().flatten() {
            self.scratch.clear();
            self.scratch.extend_from_slice(frame);
            if processor.process_capture_i16(&self.scratch, frame).is_err() {
                // A frame that it does not take is heard as it was.
                frame.copy_from_slice(&self.scratch);
            }
        }
    }

    fn play(&mut self, now: Time, frame: &[i16]) {
        if let Some(processor) = &mut self.processor {
            self.scratch.resize(frame.len(), 0);
            // It only listens here: what is played stays as it is.
            let _listened = processor.process_render_i16(frame, &mut self.scratch);
        }
        self.inner.play(now, frame);
    }

    fn ring(&mut self, now: Time, frame: &[i16]) {
        self.inner.ring(now, frame);
    }

    fn set_talking(&mut self, talking: bool) {
        self.inner.set_talking(talking);
    }

    fn rest(&mut self) {
        self.inner.rest();
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}
