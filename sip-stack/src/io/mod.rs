//! The sockets of SIP: what moves bytes between the network and the pure machines of this crate.
//!
//! Feature `io`, off by default. One thread owns all stream sockets ([`start`]); the owner of an
//! [`Endpoint`](crate::Endpoint) speaks to it in bounded batches of [`Command`] and [`Report`]. Framing, WebSocket and
//! time-outs are [`crate::transport::stream`]'s; here are listening, connecting, TLS and which connection a message
//! takes (RFC 3261 §18, RFC 5922, RFC 5923).
//!
//! Left out on purpose: datagrams, which the owner of the endpoint receives itself; a clock, which is handed in.

mod counters;
mod dispatch;
#[cfg(feature = "dns")]
pub mod dns;
mod driver;
mod identity;
mod listener;
mod outbox;
mod peer;
mod pool;
mod socket;
mod streams;
mod thread;
mod tls;

pub use counters::Counters;
pub use identity::Identity;
pub use listener::ListenError;
pub use streams::{Bounds, Command, Ended, Listening, Reach, Report, StreamsConfig};
pub use thread::{QueueFull, StartError, Streams, start};
pub use tls::{ClientAuth, Credentials, Tls, TlsConfig, TlsError, Trust};
