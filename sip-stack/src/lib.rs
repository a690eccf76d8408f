//! SIP as pure state machines: text, transactions (RFC 3261 §17, RFC 6026), dialogs (§12), digest (RFC 7616),
//! registration as a client (§10.2, RFC 5626), events (RFC 6665, RFC 3903), SDP offer/answer (RFC 3264), overload control
//! (RFC 7339), a proxy's part (§16).
//!
//! Nothing in this crate owns a socket, a clock, a thread or a source of randomness: time is handed in as [`Time`],
//! the network as datagrams, randomness as a seed. The same seed and the same inputs give the same bytes.

pub mod auth;
pub mod decimal;
pub mod dialog;
pub mod endpoint;
pub mod event;
pub mod header;
#[cfg(feature = "io")]
pub mod io;
pub mod message;
pub mod overload;
pub mod proxy;
pub mod random;
pub mod registration;
pub mod resolve;
pub mod sdp;
pub mod session;
pub mod table;
pub mod time;
pub mod transaction;
pub mod transport;

pub use endpoint::Endpoint;
pub use message::Message;
pub use time::Time;
