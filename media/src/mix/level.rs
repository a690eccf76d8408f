//! How loud a member is, and whether it talks.
//!
//! The level of a frame is the mean square of its samples. A member talks once it has been loud for two frames, and goes on
//! until it has been quiet for the hangover.
//!
//! Left out on purpose: telling speech from noise by its spectrum. A cough counts as talking.

use serde::{Deserialize, Serialize};

/// Frames that a talker may be quiet before it counts as silent: 300 ms of 20 ms frames.
const HANGOVER: u8 = 15;
/// Frames above the threshold that make a talker.
const ATTACK: u8 = 2;
/// Mean square above which a frame is loud: -45 dBov.
const LOUD: u32 = 33_953;

/// The loudness of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loudness {
    /// The mean square of the samples, 0 to 2^30.
    mean_square: u32,
}

impl Loudness {
    /// Measures a frame of up to 4,096 samples; `None` when every sample is zero. Samples of less than 16 count as zero.
    #[must_use]
    pub fn of(frame: &[i16]) -> Option<Loudness> {
        let (mut any, mut sum) = (0, 0_u64);
        // The sum of a chunk fits 32 bits, which is what vectors are quick at.
        for chunk in frame.chunks(512) {
            let mut part = 0_u32;
            for sample in chunk {
                any |= *sample;
                let sample = i32::from(*sample);
                part += ((sample * sample) >> 8).cast_unsigned();
            }
            sum += u64::from(part);
        }
        let mean_square = (sum << 8).checked_div(frame.len() as u64).unwrap_or(0) as u32;
        (any != 0).then_some(Loudness { mean_square })
    }

    /// The mean square of the samples, 0 to 2^30.
    #[must_use]
    pub const fn power(self) -> f32 {
        self.mean_square as f32
    }

    /// In decibels relative to full scale (dBov), -127 to 0; see RFC 6464 §3.
    #[must_use]
    pub fn dbov(self) -> i8 {
        let power = f64::from(self.mean_square) / f64::from(1_u32 << 30);
        if power <= 0.0 { -127 } else { (10.0 * power.log10()).round().clamp(-127.0, 0.0) as i8 }
    }
}

/// Whether a member talks, from frame to frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    loud: u8,
    quiet: u8,
    talking: bool,
    smoothed: u32,
}

/// A change that a frame brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Talk {
    /// The member has begun to talk.
    Started,
    /// It has been quiet for the hangover.
    Stopped,
}

impl Voice {
    /// Takes the loudness of one frame of 20 ms; `None` stands for no sound at all.
    pub fn handle_frame(&mut self, loudness: Option<Loudness>) -> Option<Talk> {
        let mean_square = loudness.unwrap_or_default().mean_square;
        self.smoothed = self.smoothed - self.smoothed / 8 + mean_square / 8;
        if mean_square > LOUD {
            (self.loud, self.quiet) = (self.loud.saturating_add(1), 0);
        } else {
            (self.loud, self.quiet) = (0, self.quiet.saturating_add(1));
        }
        match self.talking {
            false if self.loud >= ATTACK => {
                self.talking = true;
                Some(Talk::Started)
            }
            true if self.quiet >= HANGOVER => {
                self.talking = false;
                Some(Talk::Stopped)
            }
            true | false => None,
        }
    }

    /// Whether the member talks.
    #[must_use]
    pub const fn is_talking(self) -> bool {
        self.talking
    }

    /// The loudness of the last 160 ms or so.
    #[must_use]
    pub const fn loudness(self) -> Loudness {
        Loudness { mean_square: self.smoothed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square wave of this amplitude.
    fn frame(amplitude: i16) -> [i16; 160] {
        std::array::from_fn(|at| if at % 2 == 0 { amplitude } else { -amplitude })
    }

    #[test]
    fn loudness_is_relative_to_full_scale() {
        assert_eq!(Loudness::of(&frame(i16::MAX)).unwrap().dbov(), 0);
        assert_eq!(Loudness::of(&frame(3277)).unwrap().dbov(), -20);
        assert_eq!(Loudness::of(&frame(1)).unwrap().dbov(), -127);
        assert_eq!(Loudness::of(&[0; 160]), None);
        assert_eq!(Loudness::of(&[]), None);
        assert_eq!(Loudness::of(&[i16::MIN; 4096]).unwrap().dbov(), 0);
    }

    #[test]
    fn a_click_is_no_talk_and_a_pause_between_words_does_not_end_it() {
        let (loud, soft) = (Loudness::of(&frame(3000)), Loudness::of(&frame(50)));
        let mut voice = Voice::default();
        assert_eq!(voice.handle_frame(loud), None);
        assert_eq!(voice.handle_frame(soft), None);
        assert_eq!(voice.handle_frame(loud), None);
        assert_eq!(voice.handle_frame(loud), Some(Talk::Started));
        for _ in 1..HANGOVER {
            assert_eq!(voice.handle_frame(None), None);
        }
        assert!(voice.is_talking());
        assert_eq!(voice.handle_frame(soft), Some(Talk::Stopped));
        assert!(!voice.is_talking());
    }
}
