//! The edge of the phone: the clock, sockets, the registration check, [`Engine`], the phone at work, [`play_live`],
//! scenarios, and [`run_swarm`], load; scenarios and swarms use UDP alone.

mod call_media;
mod check;
mod clock;
mod engine;
mod lines;
mod rtp_ports;
mod servers;
mod sound;
mod stage;
mod swarm;
mod udp;

pub use check::{Outcome, check_registration};
pub use clock::now;
pub use engine::{Engine, EngineConfig, EngineError, Server};
pub use stage::{LiveConfig, LiveError, play_live};
pub use swarm::{SwarmError, SwarmTarget, run_swarm};
pub use udp::UdpError;
