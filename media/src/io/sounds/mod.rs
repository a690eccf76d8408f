//! Sounds on their way from files to the players of a shard.
//!
//! `decode` turns a file into samples; `cache` keeps what was decoded, within bounds, and as long as it is played;
//! `loader` is the thread that does both.

mod cache;
mod decode;
mod loader;

pub use cache::{BuiltIn, LONGEST, MEMORY, Sounds};
pub use decode::decode;
pub(super) use loader::Loader;
