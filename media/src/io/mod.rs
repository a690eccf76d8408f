//! The edge of the crate: sockets, ports, the clock and the threads that each drive a shard.
//!
//! Everything outside this folder is pure.

mod alarm;
mod batch;
mod budget;
mod clock;
mod driver;
mod exchange;
mod lane;
mod load;
mod moved;
mod pace;
mod ports;
mod recording;
mod relief;
mod routes;
mod sockets;
mod sounds;
mod spread;
mod stock;
mod tally;
mod thread;
mod waiting;

pub use load::ThreadLoad;
pub use recording::{Disk, Files, Recorder};
pub use sounds::{BuiltIn, LONGEST, MEMORY, Sounds, decode};
pub use thread::{MediaConfig, MediaHandle, Overflows, QueueFull, TuneRefused, Urgency, start};
