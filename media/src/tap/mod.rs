//! Taps: what a room sounds like, handed to whoever writes it down.
//!
//! [`Tapped`] says what is taken, [`Tap`] and [`TapReader`] are the two ends of the ring by which it leaves the shard. The
//! shard's end never waits: what finds no room is counted, and its time is kept ([`ring()`]).
//!
//! Left out on purpose: files (`io`), and who may record whom, which the owner of the calls decides.

mod recording;
mod ring;

pub use recording::{Container, RecordingFault, RecordingFigures, RecordingFormat, RecordingId, Tapped};
pub use ring::{Heard, Tap, TapReader, ring};
