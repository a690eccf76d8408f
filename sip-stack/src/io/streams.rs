//! What goes to the thread of the stream sockets and what comes from it.
//!
//! A connection is reused for every message to the same peer (RFC 5923 §8). Over TLS that holds for the domains that
//! its certificate names alone (RFC 5923 §8.1, §9.3), so that one address may have several connections.
//!
//! Left out on purpose: the alias table of RFC 5923 §5. Who has it, the owner, sends over an accepted connection with
//! [`Reach::Flow`], and knows from [`Report::Opened`] for which domains that is allowed (§9.2).

use super::identity::Identity;
use super::tls::Tls;
use crate::transport::stream::{CloseReason, Limits};
use crate::transport::{Flow, ListenerId, Transport};
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;

/// What the thread is set to.
#[derive(Clone, Debug)]
pub struct StreamsConfig {
    /// Where to listen.
    pub listeners: Vec<Listening>,
    /// Certificates; without, nothing listens or connects with TLS.
    pub tls: Option<Tls>,
    /// The values of `Origin` from which a browser may open a WebSocket (RFC 6455 §10.2); `None` allows all. A client
    /// that sends none is no browser and passes.
    pub origins: Option<Box<[Box<str>]>>,
    /// The bounds of one connection.
    pub limits: Limits,
    /// The bounds of all.
    pub bounds: Bounds,
}

/// One address to listen on. A wildcard of IPv6 does not cover IPv4: both can stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The listener in the flows of its connections.
    pub id: ListenerId,
    /// TCP, TLS, WS or WSS.
    pub transport: Transport,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// The bounds of all connections together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections, accepted and opened ones. More are closed when accepted and not opened.
    pub connections: usize,
    /// Connections accepted from one IPv4 address, or one IPv6 network of 64 bits.
    pub per_source: usize,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// Messages that wait for one connection to open.
    pub waiting: usize,
    /// Commands that wait for the thread.
    pub commands: usize,
    /// Reports that wait for the owner. When there are more, nothing is read from the sockets.
    pub reports: usize,
}

impl Default for Bounds {
    /// 16,384 connections, 1,024 of one source (an office behind one address); 4 s to connect, 5 s for a handshake;
    /// 64 messages waiting; 4,096 commands and reports.
    fn default() -> Bounds {
        Bounds {
            connections: 16_384,
            per_source: 1_024,
            connect: Duration::from_secs(4),
            handshake: Duration::from_secs(5),
            waiting: 64,
            commands: 4_096,
            reports: 4_096,
        }
    }
}

/// What the thread is to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Send a message.
    Send {
        /// From where to where.
        flow: Flow,
        /// The message.
        bytes: Bytes,
        /// The transaction that hears [`Report::Unsent`] when it cannot be sent.
        transaction: Option<u64>,
        /// Which connection will do.
        reach: Reach,
    },
    /// Open a connection before there is anything to send, so that its own address is known ([`Report::Opened`]). One that is
    /// there already is left as it is.
    Open {
        /// From where to where; the port of our end is the system's choice.
        flow: Flow,
        /// As in [`Reach::Peer`].
        name: Option<Box<str>>,
    },
    /// End a connection in order: what waits is written first.
    Close(Flow),
    /// Send keep-alives at intervals between 80 % of this and this, and end the connection when one is not answered
    /// (RFC 5626 §4.4.1); `None` sends no more.
    KeepAlive(Flow, Option<Duration>),
    /// Use other certificates for connections that come; those that are open stay.
    UseTls(Tls),
}

/// Which connection a message may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The connection of this flow and no other: a response (RFC 3261 §18.2.2), a request to a registered contact
    /// (RFC 5626 §5.3).
    Flow,
    /// A connection of the listener to the peer, and a new one when there is none. No WebSocket is opened: browsers
    /// cannot be connected to (RFC 7118 §5).
    Peer {
        /// The domain that was looked up: the peer's certificate has to name it (RFC 5922 §7.3). `None` when the
        /// address itself was given: the certificate has to name that. Without TLS it has no meaning.
        name: Option<Box<str>>,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A connection carries messages from now on: connected, with TLS and WebSocket done.
    Opened {
        /// The connection.
        flow: Flow,
        /// The peer as its certificate names it; of an accepted connection, only if it was asked for one.
        identity: Identity,
    },
    /// A message arrived.
    Received {
        /// The connection.
        flow: Flow,
        /// The message, alone in its memory.
        bytes: Bytes,
    },
    /// A message was not, or perhaps not wholly, sent.
    Unsent {
        /// The transaction that it named.
        transaction: u64,
    },
    /// A connection has ended, or could not be opened. Nothing follows on this flow. Strangers whose handshake failed
    /// are counted and not reported.
    Closed {
        /// The connection.
        flow: Flow,
        /// Why.
        reason: Ended,
    },
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Ended {
    /// As the protocol has it.
    #[error(transparent)]
    Protocol(CloseReason),
    /// It could not be opened.
    #[error("not connected: {0}")]
    Unreachable(std::io::ErrorKind),
    /// It was not open within [`Bounds::connect`].
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The TLS handshake was not done within [`Bounds::handshake`].
    #[error("the TLS handshake took too long")]
    HandshakeTimeout,
    /// TLS failed: a certificate, a breach of its rules.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(std::io::ErrorKind),
    /// There are [`Bounds::connections`] already.
    #[error("too many connections")]
    TooMany,
    /// There is no TLS configuration, or the name is none that TLS could verify.
    #[error("TLS is not possible here")]
    NoTls,
}
