//! The control protocol: lines of JSON by which programs give commands and follow events (`docs/control.md`). What lines mean, what
//! is kept of events, and one client, all pure; the socket is in `io/control_socket.rs`.
//!
//! Bounds: lines of a client ([`LINE`]), its commands without an answer ([`COMMANDS`]), what it has not read ([`UNREAD`]), the
//! events that are kept for all ([`EVENTS`]). A client beyond any of them is cut off, but for its commands, which are refused.

mod client;
mod line;
mod stream;

pub use client::{Client, Wish};
pub use line::{Fault, Line, RefusedLine, Request};
pub use stream::{Portion, Stream};

/// Octets of a line at most.
pub const LINE: usize = 16 * 1_024;
/// Commands of one client that have no answer yet.
pub const COMMANDS: usize = 16;
/// Octets that a client may leave unread.
pub const UNREAD: usize = 4 << 20;
/// Events that are kept.
pub const EVENTS: usize = 8_192;
