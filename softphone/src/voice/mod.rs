//! The sound of one call as a pure machine: what the microphone hears becomes RTP, RTP becomes what is heard (RFC 3550, RFC
//! 3551, RFC 4733).
//!
//! [`Voice`] is told what was agreed ([`crate::phone::Stream`]), takes datagrams and frames with the time they come at, and
//! hands what is to be sent to its caller at once; it has no queue of packets. `speaker` is the sending half, `ear` the
//! receiving one, `source` says from whom sound is taken. Frames are mono, 10 or 20 ms, at one rate that the owner chooses,
//! whatever the codec.
//!
//! One thread can drive thousands: a voice allocates when it is made or agreed upon anew, and never for a frame or a packet.
//! Left out on purpose: SRTP; comfort noise (RFC 3389), which we do not offer; sound cards, which are in [`crate::audio`].

mod ear;
mod figures;
mod format;
mod source;
mod speaker;
#[expect(clippy::module_inception, reason = "the file is named for the type it defines")]
mod voice;

#[cfg(test)]
mod tests;

pub use figures::VoiceFigures;
pub use format::{media_codec, media_time};
pub use voice::{Port, Voice, VoiceConfig};
