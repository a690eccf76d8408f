//! How loud it is where nobody speaks: the least level of any 50 ms in the last six seconds, where it is nearly as low in three of
//! those seconds. Whoever speaks for seconds without a pause is no noise: its least levels differ.
//!
//! Suppressing noise where there is none costs clean speech more than anything else does
//! (`docs/measurements/2026-11-30-phone-quality.txt`), so it is done only where there is some. Frames of nothing but
//! zeros say nothing of the room: the microphone is muted or has not begun.

use media::source::amplitude;

/// Samples are gathered for so many frames of 10 ms.
const BLOCK_FRAMES: u32 = 5;
/// The windows of which the least is taken, and the blocks of a window: 1 s.
const WINDOWS: usize = 6;
const WINDOW_BLOCKS: u32 = 20;
/// Windows that have to be about as quiet as the quietest of them before noise is believed in, and how much their powers may differ: 3 dB.
const STEADY: usize = 3;
const SPREAD: f32 = 2.0;
/// In dBm0, whose 0 is 3.14 dB below full scale: noise begins above the first, and ends below the second.
const NOISY: f32 = -58.0;
const QUIET: f32 = -63.0;

/// What is known of the noise of a microphone.
#[derive(Debug)]
pub(super) struct NoiseFloor {
    power: f32,
    frames: u32,
    blocks: u32,
    least: f32,
    /// The least power of each of the last windows, in a ring.
    windows: [f32; WINDOWS],
    seen: u32,
    noisy: bool,
}

impl NoiseFloor {
    /// Nothing is known: no noise.
    pub(super) fn new() -> NoiseFloor {
        NoiseFloor {
            power: 0.0,
            frames: 0,
            blocks: 0,
            least: f32::INFINITY,
            windows: [f32::INFINITY; WINDOWS],
            seen: 0,
            noisy: false,
        }
    }

    /// Takes 10 ms of the microphone; whether there is noise.
    pub(super) fn handle_frame(&mut self, frame: &[i16]) -> bool {
        let sum: f32 = frame.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        if sum == 0.0 || frame.is_empty() {
            return self.noisy;
        }
        self.power += sum / frame.len() as f32;
        self.frames += 1;
        if self.frames == BLOCK_FRAMES {
            self.least = self.least.min(self.power / BLOCK_FRAMES as f32);
            (self.power, self.frames) = (0.0, 0);
            self.blocks += 1;
            if self.blocks == WINDOW_BLOCKS {
                self.end_window();
            }
        }
        self.noisy
    }

    fn end_window(&mut self) {
        self.windows[self.seen as usize % WINDOWS] = self.least;
        (self.least, self.blocks) = (f32::INFINITY, 0);
        self.seen = self.seen.wrapping_add(1);
        let floor = self.windows.iter().copied().fold(f32::INFINITY, f32::min);
        let steady = self.windows.iter().filter(|least| **least <= floor * SPREAD).count();
        if steady >= STEADY && floor > power_of(NOISY) {
            self.noisy = true;
        } else if floor < power_of(QUIET) {
            self.noisy = false;
        }
    }
}

/// The mean square of a level.
fn power_of(dbm0: f32) -> f32 {
    amplitude(dbm0).powi(2) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, Tone};
    use media::dsp::SampleRate;
    use sip_stack::Time;

    fn hear(floor: &mut NoiseFloor, tone: &mut Tone, ms: usize) -> bool {
        let mut frame = [0; 160];
        (0..ms / 10).fold(false, |_, _| {
            tone.record(Time(0), &mut frame);
            floor.handle_frame(&frame)
        })
    }

    #[test]
    fn what_goes_on_without_a_pause_is_noise_after_three_seconds_until_it_is_quiet_again() {
        let (mut floor, rate) = (NoiseFloor::new(), SampleRate::Hz16000);
        let (mut loud, mut soft) = (Tone::new(rate, 300.0, -45.0), Tone::new(rate, 300.0, -70.0));
        assert!(!hear(&mut floor, &mut loud, 2_990));
        assert!(hear(&mut floor, &mut loud, 4_010));
        assert!(!hear(&mut floor, &mut soft, 1_000));
    }

    #[test]
    fn what_is_louder_and_softer_without_a_pause_is_no_noise() {
        let (mut floor, rate) = (NoiseFloor::new(), SampleRate::Hz16000);
        let mut tones = [-32.0, -39.0, -46.0, -53.0].map(|level| Tone::new(rate, 300.0, level));
        for second in 0..20 {
            assert!(!hear(&mut floor, &mut tones[second % 4], 1_000));
        }
    }

    #[test]
    fn speech_with_pauses_is_no_noise_and_a_muted_microphone_changes_nothing() {
        let (mut floor, rate) = (NoiseFloor::new(), SampleRate::Hz16000);
        let (mut loud, mut soft) = (Tone::new(rate, 300.0, -20.0), Tone::new(rate, 300.0, -70.0));
        for _ in 0..5 {
            assert!(!hear(&mut floor, &mut soft, 100));
            assert!(!hear(&mut floor, &mut loud, 5_500));
        }
        assert!(hear(&mut floor, &mut loud, 8_000));
        assert!((0..1_000).all(|_| floor.handle_frame(&[0; 160])));
    }
}
