//! What may be done to a voice before it is mixed: automatic gain, so that all speakers are alike, and a noise gate, so that
//! nobody's room is heard while they are silent.
//!
//! Both go by the level of each frame of 20 ms and by a floor, which follows the softest frames down at once and rises slowly:
//! what is some decibels above it is speech. The gain follows the level of speech alone and stands still in pauses, so noise is
//! never pumped up. It changes in a straight line within a frame. The gate hears a frame before it passes, so it opens for the
//! first sound of a word; it closes over [`CLOSING`] frames. Neither makes a step that could click.
//!
//! Left out on purpose: telling speech from other sounds that rise above the floor; echo cancelling, which belongs to the phone.

use serde::{Deserialize, Serialize};

/// What is done to the voice of a member. Nothing, unless it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditioning {
    /// Its speech is brought to [`TARGET_DBOV`].
    pub gain_control: bool,
    /// It is silent while it does not speak.
    pub noise_gate: bool,
}

/// Where speech is brought to, in decibels relative to full scale: a usual level of telephony (ITU-T P.56, −26 dBov active).
pub const TARGET_DBOV: f32 = -24.0;
/// How far it may be raised or lowered, in decibels.
const MOST_DB: f32 = 18.0;
/// How fast, in decibels for a frame of speech: 6 dB and 20 dB a second.
const UP_DB: f32 = 0.12;
const DOWN_DB: f32 = 0.4;
/// What is within so many decibels of the target is left alone.
const NEAR_DB: f32 = 2.0;

/// Speech is so many decibels above the floor, and ceases to be where it is less than that.
const OPENS_DB: f32 = 12.0;
const CLOSES_DB: f32 = 7.0;
/// What is softer than this is no speech, whatever the floor.
const SOFTEST_DBOV: f32 = -60.0;
/// What is louder than this is speech, whatever the floor.
const LOUD_DBOV: f32 = -30.0;
/// How fast the floor rises, in decibels for a frame: 2 dB a second.
const FLOOR_DB: f32 = 0.04;
/// Digital silence, and the highest floor there is.
const LOWEST_DBOV: f32 = -90.0;
const HIGHEST_DBOV: f32 = -35.0;
/// Frames without speech before the gate closes: a pause between words.
const HOLD: u8 = 15;
/// Frames over which it closes.
const CLOSING: f32 = 6.0;
/// The part of a frame in which it opens: 2.5 ms.
const OPENING: usize = 8;
/// No sample is raised beyond this.
const PEAK: f32 = 29_000.0;

/// The state for one voice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conditioner {
    conditioning: Conditioning,
    /// The level of what is no speech, in dBov.
    floor: f32,
    /// The level of speech, in dBov; `None` before any was heard.
    speech: Option<f32>,
    speaking: bool,
    /// Frames since speech was heard.
    quiet: u8,
    /// Gain of the automatic control, in decibels.
    gain_db: f32,
    /// How far the gate is open, 0 to 1.
    open: f32,
    /// The factor at the end of the frame before.
    factor: f32,
}

impl Conditioner {
    /// `None` when nothing is asked for.
    #[must_use]
    pub fn new(conditioning: Conditioning) -> Option<Self> {
        (conditioning != Conditioning::default()).then_some(Self {
            conditioning,
            floor: HIGHEST_DBOV,
            speech: None,
            speaking: false,
            quiet: HOLD,
            gain_db: 0.0,
            open: if conditioning.noise_gate { 0.0 } else { 1.0 },
            factor: if conditioning.noise_gate { 0.0 } else { 1.0 },
        })
    }

    /// Works on 20 ms of sound in place; whether anything of it is left. Allocates nothing.
    pub fn process(&mut self, frame: &mut [i16]) -> bool {
        let level = level_dbov(frame);
        self.judge(level);
        if self.speaking {
            self.follow(level);
        }
        let opened = self.swing();
        let peak = frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        let gain = 10_f32.powf(self.gain_db / 20.0).min((PEAK / f32::from(peak.max(1))).max(1.0));
        let factor = gain * self.open;
        self.apply(frame, factor, opened);
        self.factor = factor;
        factor > 0.0 || opened
    }

    /// A frame passes in which there is no sound.
    pub fn pass_silence(&mut self) {
        self.judge(LOWEST_DBOV);
        self.swing();
        self.factor = self.open * 10_f32.powf(self.gain_db / 20.0);
    }

    /// Whether this is speech.
    fn judge(&mut self, level: f32) {
        // Digital silence is a pause in which nothing is sent, and says nothing about the room.
        if level > LOWEST_DBOV {
            self.floor = if level < self.floor { level } else { self.floor + FLOOR_DB };
            self.floor = self.floor.min(HIGHEST_DBOV);
        }
        let above = if self.speaking { CLOSES_DB } else { OPENS_DB };
        let speech = level > SOFTEST_DBOV && (level > self.floor + above || level > LOUD_DBOV);
        (self.speaking, self.quiet) = if speech { (true, 0) } else { (false, self.quiet.saturating_add(1)) };
    }

    /// The gain follows the speech.
    fn follow(&mut self, level: f32) {
        if !self.conditioning.gain_control {
            return;
        }
        let before = self.speech.unwrap_or(level);
        // Words rise and fall; their loud parts make the level.
        let weight = if level > before { 0.1 } else { 0.01 };
        let speech = before + (level - before) * weight;
        self.speech = Some(speech);
        let wanted = (TARGET_DBOV - speech).clamp(-MOST_DB, MOST_DB);
        let off = wanted - self.gain_db;
        if off.abs() > NEAR_DB {
            self.gain_db += off.clamp(-DOWN_DB, UP_DB);
        }
    }

    /// Moves the gate; whether it opens in this frame.
    fn swing(&mut self) -> bool {
        if !self.conditioning.noise_gate {
            return false;
        }
        if self.quiet == 0 {
            let opens = self.open < 1.0;
            self.open = 1.0;
            opens
        } else {
            if self.quiet >= HOLD {
                self.open = (self.open - 1.0 / CLOSING).max(0.0);
            }
            false
        }
    }

    /// From the factor before to the one now: in a straight line over the frame, or at its beginning when the gate opens.
    fn apply(&self, frame: &mut [i16], factor: f32, opened: bool) {
        let before = self.factor;
        if before == 1.0 && factor == 1.0 {
            return;
        }
        let ramp =
            if opened || factor < before && self.open >= 1.0 { frame.len() / OPENING } else { frame.len() };
        let step = (factor - before) / ramp.max(1) as f32;
        let (changing, steady) = frame.split_at_mut(ramp.min(frame.len()));
        for (sample, at) in changing.iter_mut().zip(1..) {
            *sample = scaled(*sample, before + step * at as f32);
        }
        for sample in steady {
            *sample = scaled(*sample, factor);
        }
    }
}

#[inline]
fn scaled(sample: i16, factor: f32) -> i16 {
    // Saturates: a cast never wraps.
    (f32::from(sample) * factor).round() as i16
}

/// The level of a frame in dBov, at least that of digital silence.
fn level_dbov(frame: &[i16]) -> f32 {
    let sum: f32 = frame.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
    let mean = sum / frame.len().max(1) as f32;
    (10.0 * (mean / (32_768.0 * 32_768.0)).max(1e-10).log10()).max(LOWEST_DBOV)
}

#[cfg(test)]
mod tests;
