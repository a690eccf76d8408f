//! A flow: the pair of addresses between which messages travel (RFC 5626 §2), and the listener that owns our end.

use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};

/// One of the configured listening addresses, in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListenerId(pub u16);

/// The transport of a flow (RFC 3261 §18; RFC 7118 for WebSocket).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams; the transactions retransmit.
    Udp,
    /// A stream; the transactions do not retransmit.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket; only the browser's side opens a connection.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself delivers, so that Timers A, E and G stay off (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => true,
        }
    }

    /// Whether it is encrypted and its server authenticated (RFC 3261 §26.2.1, RFC 7118 §9).
    pub const fn is_secure(self) -> bool {
        match self {
            Transport::Udp | Transport::Tcp | Transport::Ws => false,
            Transport::Tls | Transport::Wss => true,
        }
    }

    /// The name in a Via header field (RFC 3261 §20.42, RFC 7118 §5.2).
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The port where none is given (RFC 3261 §19.1.2, RFC 7118 §5.3).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

/// Our end and the peer's end of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The listener that received or is to send.
    pub listener: ListenerId,
    /// Its transport.
    pub transport: Transport,
    /// Our address as the peer faces it: never a wildcard.
    pub local: SocketAddr,
    /// The peer's address.
    pub peer: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} <-> {}", self.transport.name(), self.local, self.peer)
    }
}

/// A message that has to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transmit {
    /// From where to where.
    pub flow: Flow,
    /// The message.
    pub bytes: Bytes,
    /// The transaction that is to hear when it cannot be sent, as [`crate::table::Id::as_u64`].
    pub transaction: Option<u64>,
}
