//! The edge of the phone: the clock, one UDP socket, and the registration check that runs over them.
//!
//! Left out so far: audio, TCP and TLS, and a run loop for calls.

mod check;
mod clock;
mod udp;

pub use check::{CheckError, Outcome, Server, check_registration};
pub use clock::now;
pub use udp::{Udp, UdpError};
