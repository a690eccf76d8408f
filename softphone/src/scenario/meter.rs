//! What a phone hears, as tones: who talks says a tone of its own, and who listens looks for each of them.
//!
//! Frames of 20 ms at 8 kHz. The tones of [`TONES`] are multiples of 50 Hz: over a frame they do not leak into each other
//! (Goertzel's filter is then exact). They keep away from those of keys, and from each other's harmonics.

use core::fmt;
use media::source::amplitude;
use sip_stack::Time;
use std::collections::VecDeque;
use std::f32::consts::TAU;
use std::time::Duration;

/// The tones of phones that name none, in their order, in hertz.
pub(crate) const TONES: [u32; 12] =
    [450, 800, 1_400, 550, 1_750, 1_150, 2_050, 1_850, 2_250, 2_550, 2_850, 2_350];
/// How loud a phone talks, in dBm0.
pub(crate) const TALK_DBM0: f32 = -16.0;
/// Samples per second of every frame here.
pub(crate) const RATE: u32 = 8_000;
/// Samples of a frame.
pub(crate) const FRAME: usize = 160;
/// A tone is there from this level on.
const LOUD_DBM0: f32 = -30.0;
/// Below it all of a frame is silence.
const SILENT_DBM0: f32 = -50.0;
/// What is looked back at: ten frames.
const MEMORY: Duration = Duration::from_millis(200);
/// In so many of them a tone is heard; in at most one it is not. Between the two it is neither.
const HEARD: usize = 5;
const STRAY: usize = 1;

/// A frame is a tone alone when all but so much of its power is that of the tone.
const PURE_DB: f32 = 1.0;

/// The last frames that a phone heard.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    tones: Vec<u32>,
    frames: VecDeque<Frame>,
}

#[derive(Clone, Debug)]
struct Frame {
    at: Time,
    /// Of each tone, in dBm0.
    levels: Vec<f32>,
    silent: bool,
    /// It is one of the tones and nothing else.
    pure: bool,
}

impl Meter {
    /// A meter for these tones, in hertz.
    pub(super) fn new(tones: Vec<u32>) -> Meter {
        Meter { tones, frames: VecDeque::new() }
    }

    /// Takes a frame of [`FRAME`] samples.
    pub(super) fn handle_frame(&mut self, now: Time, frame: &[i16]) {
        self.forget(now);
        let samples: Vec<f32> = frame.iter().map(|sample| f32::from(*sample)).collect();
        let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
        let levels: Vec<f32> = self.tones.iter().map(|hertz| dbm0(power_at(&samples, *hertz))).collect();
        let power = dbm0(power);
        let pure = levels.iter().any(|level| *level > power - PURE_DB);
        self.frames.push_back(Frame { at: now, levels, silent: power < SILENT_DBM0, pure });
    }

    /// What was heard too long ago counts no more; without a call there are no frames.
    pub(super) fn forget(&mut self, now: Time) {
        while self.frames.front().is_some_and(|frame| frame.at + MEMORY <= now) {
            self.frames.pop_front();
        }
    }

    /// Whether the tone is there.
    pub(super) fn hears(&self, hertz: u32) -> bool {
        self.loud(hertz) >= HEARD
    }

    /// Whether the tone is certainly not there.
    pub(super) fn misses(&self, hertz: u32) -> bool {
        self.loud(hertz) <= STRAY
    }

    /// Whether these tones are there and no other.
    pub(super) fn hears_only(&self, wanted: &[u32]) -> bool {
        self.tones
            .iter()
            .all(|hertz| if wanted.contains(hertz) { self.hears(*hertz) } else { self.misses(*hertz) })
    }

    /// Whether nothing at all is there.
    pub(super) fn is_silent(&self) -> bool {
        self.frames.iter().filter(|frame| !frame.silent).count() <= STRAY
    }

    /// Whether something is there for half of the time at least that is no phone's tone alone: notes of music have others beside them.
    pub(super) fn hears_music(&self) -> bool {
        let sounds = self.frames.iter().filter(|frame| !frame.silent);
        let (sounds, mixed) = (sounds.clone().count(), sounds.filter(|frame| !frame.pure).count());
        sounds >= HEARD && mixed > STRAY
    }

    fn loud(&self, hertz: u32) -> usize {
        let Some(place) = self.tones.iter().position(|tone| *tone == hertz) else { return 0 };
        let level = |frame: &&Frame| frame.levels.get(place).is_some_and(|level| *level >= LOUD_DBM0);
        self.frames.iter().filter(level).count()
    }
}

impl fmt::Display for Meter {
    /// The tones that are there, each with how much of the last 200 ms it was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loud = self.tones.iter().map(|hertz| (hertz, self.loud(*hertz))).filter(|(_, loud)| *loud > 0);
        let mut separator = "";
        for (hertz, loud) in loud {
            write!(f, "{separator}{hertz} Hz for {} of the last 200 ms", 20 * loud)?;
            separator = ", ";
        }
        if !separator.is_empty() {
            return Ok(());
        }
        f.write_str(if self.is_silent() { "nothing" } else { "no tone" })
    }
}

/// The mean square of a frequency by Goertzel's recursion.
fn power_at(samples: &[f32], hertz: u32) -> f32 {
    let filter = 2.0 * (TAU * hertz as f32 / RATE as f32).cos();
    let (mut one, mut two) = (0f32, 0f32);
    for sample in samples {
        let next = sample + filter * one - two;
        two = core::mem::replace(&mut one, next);
    }
    let count = samples.len().max(1) as f32;
    2.0 * (one * one + two * two - filter * one * two) / (count * count)
}

/// A mean square as a level.
fn dbm0(power: f32) -> f32 {
    let reference = amplitude(0.0).powi(2) / 2.0;
    10.0 * (power.max(1e-6) / reference).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::source::Oscillator;

    fn hear(meter: &mut Meter, frames: u64, tones: &[u32]) {
        let mut oscillators: Vec<Oscillator> =
            tones.iter().map(|hertz| Oscillator::new(*hertz as f32, RATE)).collect();
        for at in 0..frames {
            let frame: Vec<i16> = (0..FRAME)
                .map(|_| {
                    let sum: f32 = oscillators.iter_mut().map(Oscillator::sample).sum();
                    (sum * amplitude(TALK_DBM0)) as i16
                })
                .collect();
            meter.handle_frame(Time::from_millis(20 * at), &frame);
        }
    }

    #[test]
    fn every_tone_is_told_from_every_other_one_however_many_talk() {
        for (place, tone) in TONES.iter().enumerate() {
            let others: Vec<u32> = TONES.iter().copied().filter(|other| other != tone).collect();
            let mut meter = Meter::new(TONES.to_vec());
            hear(&mut meter, 10, &[*tone]);
            assert!(meter.hears_only(&[*tone]), "{meter}");
            let mut meter = Meter::new(TONES.to_vec());
            hear(&mut meter, 10, others.get(..4).unwrap());
            assert!(meter.misses(*tone), "{place}: {meter}");
        }
    }

    #[test]
    fn what_is_over_for_200_ms_is_not_heard() {
        let mut meter = Meter::new(vec![450]);
        hear(&mut meter, 10, &[450]);
        meter.forget(Time::from_millis(379));
        assert!(!meter.misses(450) || meter.hears(450) || meter.frames.len() < 2);
        meter.forget(Time::from_millis(380));
        assert!(meter.misses(450) && meter.is_silent() && meter.frames.is_empty());
    }

    #[test]
    fn the_tones_of_phones_are_none_of_a_keypad_and_no_harmonics_of_each_other() {
        let keys = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0f32];
        for (place, tone) in TONES.iter().enumerate() {
            assert_eq!(tone % 50, 0);
            assert!(keys.iter().all(|key| (key - *tone as f32).abs() > 0.025 * key), "{tone}");
            assert!(TONES.iter().take(place).all(|other| other != tone));
            assert!(TONES.iter().all(|other| [2, 3].iter().all(|times| times * other != *tone)), "{tone}");
        }
    }
}
