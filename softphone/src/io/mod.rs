//! The edge of the phone: the clock, sockets, the registration check, [`Engine`], the phone at work, and [`play_live`], scenarios.
//!
//! Left out so far: TCP and TLS.

mod call_media;
mod check;
mod clock;
mod engine;
mod lines;
mod rtp_ports;
mod sound;
mod stage;
mod udp;

pub use check::{CheckError, Outcome, check_registration};
pub use clock::now;
pub use engine::{Engine, EngineConfig, EngineError, Server};
pub use stage::{LiveConfig, LiveError, play_live};
pub use udp::{Udp, UdpError};
