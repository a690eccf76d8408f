//! The scenario log: everything that entered the switch and everything that left it, so that another process can do it
//! again and compare.
//!
//! A log is a row of segments. Each opens with a snapshot of the whole [`Switch`](crate::core::Switch), so that it
//! replays alone; the snapshot is written in slices between the records of what happens meanwhile. A segment is a row
//! of [`record`]s. What holds keys (the configuration, the generator) is sealed ([`seal`]).
//!
//! Here is what the log means; the thread and the files that it is written with are in [`crate::io`]. Left out: times
//! of the kernel, what the media relays, and a redacted export.

pub mod reader;
pub mod record;
mod replay;
pub mod seal;
pub mod writer;

pub(crate) use replay::Lines;
pub use replay::{Difference, Ending, ReplayError, Replayed, replay, replay_from};
pub use seal::{Key, Sealer};
pub use writer::{Abandoned, Bounds, Job, Recorder, Sink};
