//! The edge of the crate: sockets, ports, the clock and the thread that drives a shard.
//!
//! Everything outside this folder is pure.

mod alarm;
mod batch;
mod clock;
mod driver;
mod pace;
mod ports;
mod sockets;
mod stock;
mod thread;

pub use thread::{MediaConfig, MediaHandle, Overflows, QueueFull, Urgency, start};
