//! Where sound comes from and goes to: files, tones, sound cards, and a device of virtual time; behind one trait, [`Audio`].
//!
//! The owner of a call asks for a frame of the microphone and gives one to the speaker every [`FRAME_MS`]. A sound card runs
//! by a clock of its own, in callbacks that must never wait: between the two are rings (`link`) and a resampler that follows
//! the drift of the clocks (`pace`). `half` tries a device again that failed. `processing` takes echo and noise away, the
//! latter where `noise_floor` finds some.
//!
//! Pure but for `files`, which writes, and `card`, which is there with the feature `sound-card`.

#[cfg(feature = "sound-card")]
mod card;
mod files;
#[cfg(any(feature = "sound-card", test))]
mod half;
mod link;
#[cfg(feature = "processing")]
mod noise_floor;
mod pace;
#[cfg(feature = "processing")]
mod processing;
mod quiet;
mod virtual_device;

#[cfg(test)]
mod tests;

#[cfg(feature = "sound-card")]
pub use card::{Card, CardError, Devices, device_names};
pub use files::{FileAudio, Recording, SoundError, read_sound};
pub use link::{LinkFigures, LinkedAudio, MicrophoneSide, SpeakerSide, link};
pub use pace::Pace;
#[cfg(feature = "processing")]
pub use processing::{Processed, Processing};
pub use quiet::{Silence, Tone};
pub use virtual_device::VirtualDevice;

use media::dsp::SampleRate;

/// Milliseconds of a frame.
pub const FRAME_MS: u32 = 10;

/// A microphone and a speaker. Frames are mono, [`FRAME_MS`] at [`Audio::rate`].
pub trait Audio {
    /// The rate of both.
    fn rate(&self) -> SampleRate;

    /// Fills a frame with what the microphone hears.
    fn record(&mut self, now: sip_stack::Time, frame: &mut [i16]);

    /// Plays a frame.
    fn play(&mut self, now: sip_stack::Time, frame: &[i16]);

    /// Plays a frame where it rings; where there is no device for that, nowhere.
    fn ring(&mut self, now: sip_stack::Time, frame: &[i16]) {
        let _ = (now, frame);
    }

    /// A call begins to be talked in, or none is any more: a microphone listens only in between.
    fn set_talking(&mut self, talking: bool) {
        let _ = talking;
    }

    /// Nothing is to be heard or said for now: devices may be closed.
    fn rest(&mut self) {}

    /// Whether there is nothing more to be said: a file is at its end.
    fn is_finished(&self) -> bool {
        false
    }
}
