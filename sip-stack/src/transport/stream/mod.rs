//! One stream connection that carries SIP (RFC 3261 §18.3), as it is or in WebSocket frames (RFC 6455, RFC 7118).
//!
//! A [`Connection`] is fed with what a socket gave, after TLS if there is any, and polled for whole messages and for
//! what the socket is to take. It finds where a message ends, answers and sends keep-alives (RFC 5626 §4.4.1), does
//! the WebSocket handshake, and ends connections that are slow, silent or greedy. Sockets, TLS, and the question
//! which connection a message takes live elsewhere. It lives where the sockets live and is no part of a snapshot.
//!
//! Left out on purpose: WebSocket extensions (compression), HTTP authentication and cookies in the handshake.

mod connection;
mod frame;
mod framing;
mod handshake;
mod head;
mod keep_alive;
mod limits;
mod output;
mod protocol;
mod timers;
mod unsent;
mod web_socket;

pub use connection::Connection;
pub use handshake::{HandshakeError, Refusal, Upgrade};
pub use keep_alive::Interval;
pub use limits::{Limits, Side};
pub use output::{CloseReason, Deadline, Defect, Defective, Output, SendError, Violation};
