//! Between the callbacks of a device and the call: one ring for each direction, which neither side ever waits for.
//!
//! The callback ([`MicrophoneSide`], [`SpeakerSide`]) copies samples and stores when that was; it allocates nothing, takes no
//! lock and knows no codec (`test:softphone::audio_callback::a_callback_allocates_nothing`). The call's side ([`LinkedAudio`])
//! resamples so that each ring stays as full as it has to be.
//!
//! How full a ring is says little: a device takes a whole period at once, and the beat of its periods with our frames would
//! look like a drift. So what the device has used of its present period is reckoned by the clock.
//!
//! Bounds: a ring holds [`RING_MS`]. Samples of a microphone that find it full are lost and counted; a speaker that finds it
//! empty plays silence, which is counted, and is kept somewhat fuller from then on, until there has been no gap for a while.

use super::pace::Pace;
use super::{Audio, FRAME_MS};
use media::dsp::{DriftCorrector, SampleRate};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use sip_stack::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Milliseconds that a ring holds.
const RING_MS: u32 = 250;
/// What is kept in reserve against threads that wake late; each gap adds [`GAP_MS`], up to [`LARGEST_RESERVE_MS`].
const RESERVE_MS: f32 = 5.0;
const GAP_MS: f32 = 2.5;
const LARGEST_RESERVE_MS: f32 = 60.0;
/// Frames without a gap after which the reserve that gaps added is given back: ten seconds at first, twice as many each time that
/// this led to a gap, ten minutes at most.
const CALM: u32 = 1_000;
const LONGEST_CALM: u32 = 60_000;
/// What is given back with each frame: a tenth of a millisecond a second, a change of rate that nobody hears.
const RETURNED_MS: f32 = 0.001;
/// What is this much beyond the target is thrown away at once, because following it would take too long.
const TOO_MUCH_MS: f32 = 60.0;

/// What the callback tells: when it last came, and the most samples it ever took.
#[derive(Debug, Default)]
struct Pulse {
    at: AtomicU64,
    period: AtomicU32,
    /// Samples that found no room, or that there were none of.
    missed: AtomicU64,
}

impl Pulse {
    fn beat(&self, now: Time, samples: usize, missed: usize) {
        self.period.fetch_max(samples as u32, Ordering::Relaxed);
        if missed > 0 {
            self.missed.fetch_add(missed as u64, Ordering::Relaxed);
        }
        self.at.store(now.0, Ordering::Release);
    }

    /// Samples of the present period that have passed by the clock.
    fn passed(&self, now: Time, rate: SampleRate) -> f32 {
        let since = now.since(Time(self.at.load(Ordering::Acquire))).as_secs_f32() * rate.hertz() as f32;
        since.min(self.period() as f32)
    }

    fn period(&self) -> u32 {
        self.period.load(Ordering::Relaxed)
    }
}

/// The microphone's callback.
pub struct MicrophoneSide {
    ring: HeapProd<i16>,
    pulse: Arc<Pulse>,
}

impl MicrophoneSide {
    /// Takes what was heard in a period that ends `now`.
    pub fn capture(&mut self, now: Time, samples: &[i16]) {
        let taken = self.ring.push_slice(samples);
        self.pulse.beat(now, samples.len(), samples.len() - taken);
    }
}

/// The speaker's callback.
pub struct SpeakerSide {
    ring: HeapCons<i16>,
    pulse: Arc<Pulse>,
}

impl SpeakerSide {
    /// Fills a period that is wanted `now`.
    pub fn render(&mut self, now: Time, samples: &mut [i16]) {
        let there = self.ring.pop_slice(samples);
        samples.iter_mut().skip(there).for_each(|sample| *sample = 0);
        self.pulse.beat(now, samples.len(), samples.len() - there);
    }
}

/// What a link has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// Samples that the speaker was missing.
    pub underrun: u64,
    /// Samples of the microphone that were lost for want of room, or thrown away to catch up.
    pub overrun: u64,
    /// Samples that the microphone was missing.
    pub starved: u64,
    /// How much faster than our clock the device takes samples, in parts per million, negative: slower.
    pub speaker_drift_ppm: i32,
    /// How much faster it gives them.
    pub microphone_drift_ppm: i32,
}

/// One direction, as the call's side sees it.
struct Way {
    pulse: Arc<Pulse>,
    pace: Pace,
    corrector: DriftCorrector,
    reserve_ms: f32,
    /// Frames since the last gap, and how many it takes until the reserve shrinks.
    calm: u32,
    patience: u32,
    missed: u64,
    running: bool,
}

impl Way {
    /// A way on which so many samples were missing so far.
    fn new(missed: u64) -> Way {
        Way {
            pulse: Arc::new(Pulse { missed: missed.into(), ..Pulse::default() }),
            pace: Pace::default(),
            corrector: DriftCorrector::new(),
            reserve_ms: RESERVE_MS,
            calm: 0,
            patience: CALM,
            missed,
            running: false,
        }
    }

    /// The way of another device, which has a pace of its own.
    fn renew(&mut self) {
        *self = Way::new(self.pulse.missed.load(Ordering::Relaxed));
    }

    /// Whether samples were missing since last time; then more is kept in reserve.
    fn learn_from_gaps(&mut self) -> bool {
        let missed = self.pulse.missed.load(Ordering::Relaxed);
        let gap = missed != self.missed;
        self.missed = missed;
        if gap && self.running {
            self.widen();
        }
        gap
    }

    /// A frame without a gap.
    fn settle(&mut self) {
        self.calm = self.calm.saturating_add(1);
        if self.calm > self.patience {
            self.reserve_ms = (self.reserve_ms - RETURNED_MS).max(RESERVE_MS);
        }
    }

    fn widen(&mut self) {
        if self.calm > self.patience {
            self.patience = (2 * self.patience).min(LONGEST_CALM);
        }
        self.calm = 0;
        self.reserve_ms = (self.reserve_ms + GAP_MS).min(LARGEST_RESERVE_MS);
        self.pace.restart();
    }
}

/// The call's side of a device.
pub struct LinkedAudio {
    rate: SampleRate,
    microphone: HeapCons<i16>,
    speaker: HeapProd<i16>,
    hearing: Way,
    speaking: Way,
    /// Samples of the microphone at our pace that make no frame yet.
    pending: Vec<i16>,
    scratch: Vec<i16>,
    corrected: Vec<i16>,
    starved: u64,
    discarded: u64,
}

impl std::fmt::Debug for LinkedAudio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkedAudio").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

fn ring(rate: SampleRate) -> (HeapProd<i16>, HeapCons<i16>) {
    HeapRb::new(rate.samples(RING_MS)).split()
}

/// The two callbacks of a device of one rate, and the call's side. Allocates everything that is ever needed.
pub fn link(rate: SampleRate) -> (MicrophoneSide, SpeakerSide, LinkedAudio) {
    let ((heard, microphone), (speaker, played)) = (ring(rate), ring(rate));
    let (hearing, speaking) = (Way::new(0), Way::new(0));
    let sides = (
        MicrophoneSide { ring: heard, pulse: Arc::clone(&hearing.pulse) },
        SpeakerSide { ring: played, pulse: Arc::clone(&speaking.pulse) },
    );
    let frame = rate.samples(FRAME_MS);
    let audio = LinkedAudio {
        rate,
        microphone,
        speaker,
        hearing,
        speaking,
        pending: Vec::with_capacity(4 * frame),
        scratch: vec![0; frame],
        // A thousandth more than a frame, at most.
        corrected: vec![0; frame + frame / 100 + 2],
        starved: 0,
        discarded: 0,
    };
    (sides.0, sides.1, audio)
}

impl LinkedAudio {
    /// The callback of another microphone. The one before is no longer heard; the speaker plays on. Allocates.
    pub fn replace_microphone(&mut self) -> MicrophoneSide {
        let (heard, microphone) = ring(self.rate);
        self.microphone = microphone;
        self.hearing.renew();
        self.pending.clear();
        MicrophoneSide { ring: heard, pulse: Arc::clone(&self.hearing.pulse) }
    }

    /// The callback of another speaker. The one before is given nothing any more; the microphone is heard on. Allocates.
    pub fn replace_speaker(&mut self) -> SpeakerSide {
        let (speaker, played) = ring(self.rate);
        self.speaker = speaker;
        self.speaking.renew();
        SpeakerSide { ring: played, pulse: Arc::clone(&self.speaking.pulse) }
    }

    /// What was counted.
    pub fn figures(&self) -> LinkFigures {
        LinkFigures {
            underrun: self.speaking.pulse.missed.load(Ordering::Relaxed),
            overrun: self.hearing.pulse.missed.load(Ordering::Relaxed) + self.discarded,
            starved: self.starved,
            speaker_drift_ppm: -self.speaking.pace.drift_ppm(),
            microphone_drift_ppm: self.hearing.pace.drift_ppm(),
        }
    }

    /// What there has to be in the ring of the microphone, in samples, the present period included.
    fn microphone_target(&self) -> f32 {
        let frame = self.rate.samples(FRAME_MS) as f32;
        frame + self.hearing.pulse.period() as f32 + self.ms(self.hearing.reserve_ms)
    }

    fn ms(&self, ms: f32) -> f32 {
        ms * self.rate.hertz() as f32 / 1_000.0
    }

    fn in_ms(&self, samples: f32) -> f32 {
        samples * 1_000.0 / self.rate.hertz() as f32
    }

    /// Pops and corrects until there is a frame; whether there was enough.
    fn gather(&mut self, length: usize) -> bool {
        while self.pending.len() < length {
            let wanted = (length - self.pending.len()).min(self.scratch.len());
            let there = self.microphone.pop_slice(&mut self.scratch[..wanted]);
            if there == 0 {
                return false;
            }
            let made = self.hearing.corrector.correct(&self.scratch[..there], &mut self.corrected);
            self.pending.extend_from_slice(&self.corrected[..made.min(self.corrected.len())]);
        }
        true
    }
}

impl Audio for LinkedAudio {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn record(&mut self, now: Time, frame: &mut [i16]) {
        let target = self.microphone_target();
        let filled = self.microphone.occupied_len() as f32 + self.hearing.pulse.passed(now, self.rate);
        if !self.hearing.running {
            // The first frame waits for the reserve.
            self.hearing.running = self.hearing.pulse.period() > 0 && filled >= target;
            if !self.hearing.running {
                return frame.fill(0);
            }
        }
        let mut excess = filled - target;
        if self.in_ms(excess) > TOO_MUCH_MS {
            self.discarded += self.microphone.skip(excess as usize) as u64;
            self.hearing.pace.restart();
            excess = 0.0;
        }
        if !self.hearing.learn_from_gaps() {
            self.hearing.settle();
        }
        let ppm = self.hearing.pace.handle_excess(self.in_ms(excess));
        self.hearing.corrector.set_ppm(ppm);
        if !self.gather(frame.len()) {
            self.starved += (frame.len() - self.pending.len()) as u64;
            self.hearing.running = false;
            self.hearing.widen();
            self.pending.resize(frame.len(), 0);
        }
        frame.copy_from_slice(&self.pending[..frame.len()]);
        self.pending.drain(..frame.len());
    }

    fn play(&mut self, now: Time, frame: &[i16]) {
        let reserve = self.ms(self.speaking.reserve_ms);
        if !self.speaking.running {
            self.speaking.running = self.speaking.pulse.period() > 0;
            if !self.speaking.running {
                return;
            }
            self.speaking.learn_from_gaps();
        }
        let filled = self.speaker.occupied_len() as f32 - self.speaking.pulse.passed(now, self.rate);
        // What the device takes at once has to be there when it comes.
        let target = reserve;
        let gap = self.speaking.learn_from_gaps();
        let period = self.speaking.pulse.period() as f32;
        if gap || self.speaker.is_empty() {
            // The reserve is made of silence, at the beginning and after a gap.
            let silence = (target + period - self.speaker.occupied_len() as f32).max(0.0) as usize;
            self.speaker.push_iter(std::iter::repeat_n(0, silence));
            self.speaking.pace.restart();
        } else {
            let excess = self.in_ms(filled - target);
            if excess > TOO_MUCH_MS {
                return;
            }
            self.speaking.settle();
            let ppm = self.speaking.pace.handle_excess(excess);
            self.speaking.corrector.set_ppm(ppm);
        }
        let made = self.speaking.corrector.correct(frame, &mut self.corrected);
        self.speaker.push_slice(&self.corrected[..made.min(self.corrected.len())]);
    }
}
