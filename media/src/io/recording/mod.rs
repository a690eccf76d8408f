//! Recordings on their way from the rings of the shard to files.
//!
//! `files` is the edge, where a test puts another disk; `wav` and `opus` are the forms of a file; `recorder` moves samples from
//! rings to files; `scribe` is the thread that does it.

mod files;
mod opus;
mod recorder;
mod scribe;
mod wav;

pub use files::{Disk, Files};
pub use recorder::Recorder;
pub(super) use scribe::Scribe;
