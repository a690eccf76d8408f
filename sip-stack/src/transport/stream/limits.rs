//! How much and how long one connection may take, and which end of it we are.

use core::time::Duration;

/// Who opened the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// The peer did: it is the one that has to say something first.
    Accepted,
    /// We did.
    Opened {
        /// The value of `Host` in a WebSocket handshake, with the port unless it is the default one (RFC 6455 §4.1);
        /// bytes that cannot stand there are left out. A connection without WebSocket does not use it.
        host: Box<str>,
    },
}

/// The bounds of one connection. RFC 3261 sets none; these keep a peer from holding memory or a socket for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, in bytes, header section included.
    pub message: usize,
    /// The largest header section, in bytes, the empty line included; also that of a WebSocket handshake.
    pub headers: usize,
    /// The bytes that may wait to be written.
    pub unsent: usize,
    /// From accepting to the end of the first message; for a WebSocket that we open, to the end of the handshake.
    pub first_message: Duration,
    /// From the first byte of a message to its last, and how long a peer may take none of the bytes that wait for it.
    pub message_gap: Duration,
    /// Without a byte in either direction.
    pub idle: Duration,
}

impl Default for Limits {
    /// Messages of 65,535 bytes, of which 32,768 in the header section; 262,140 bytes unsent; 10 s for the first
    /// message, 10 s for any other, 15 minutes idle: longer than the longest keep-alive of RFC 5626 §4.4.1.
    fn default() -> Limits {
        Limits {
            message: 65_535,
            headers: 32_768,
            unsent: 4 * 65_535,
            first_message: Duration::from_secs(10),
            message_gap: Duration::from_secs(10),
            idle: Duration::from_secs(900),
        }
    }
}
