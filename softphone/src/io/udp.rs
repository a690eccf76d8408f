//! UDP sockets towards a server: one that is tied to it, and one that hears others too.

use bytes::Bytes;
use sip_stack::message::MAX_MESSAGE;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// A socket, and the flow between it and the server.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    flow: Flow,
    buffer: Vec<u8>,
}

/// Why no socket could be had.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// The name of the server leads to no address.
    #[error("{host} cannot be found: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The name has no address of its own.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The system refused.
    #[error("no socket towards {peer}: {source}")]
    Socket {
        /// The server.
        peer: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Udp {
    /// Finds `host` and opens a socket towards it. Waits for the system's resolver.
    ///
    /// # Errors
    /// [`UdpError`]
    pub fn towards(host: &str, port: u16) -> Result<Udp, UdpError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let resolved = (bare, port).to_socket_addrs();
        let mut addresses = resolved.map_err(|source| UdpError::Resolve { host: host.to_owned(), source })?;
        let peer = addresses.next().ok_or_else(|| UdpError::NoAddress(host.to_owned()))?;
        open(peer).map_err(|source| UdpError::Socket { peer, source })
    }

    /// Our address and the server's.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Sends a message to the server, whomever it names.
    ///
    /// # Errors
    /// What the system said.
    pub fn send(&self, transmit: &Transmit) -> io::Result<()> {
        self.socket.send(&transmit.bytes).map(|_| ())
    }

    /// The next datagram with its flow, waiting up to `patience`; `None` when none came.
    ///
    /// # Errors
    /// What the system said; also that nobody listens where we sent to.
    pub fn receive(&mut self, patience: Duration) -> io::Result<Option<(Flow, Bytes)>> {
        // A time-out of zero would mean none at all.
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => {
                let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                Ok(Some((self.flow, bytes)))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }
}

/// Finds `host` and opens a socket for everything that goes to it and comes from it: with the address of ours that faces it,
/// and not tied to it, because a server may answer from, and calls may lead to, other addresses. Waits for the system's resolver.
///
/// # Errors
/// [`UdpError`]
pub(super) fn listen(
    host: &str,
    port: u16,
    listener: ListenerId,
) -> Result<(mio::net::UdpSocket, Flow), UdpError> {
    let flow = Udp::towards(host, port)?.flow();
    let bound = mio::net::UdpSocket::bind(SocketAddr::new(flow.local.ip(), 0))
        .and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (local, socket) = bound.map_err(|source| UdpError::Socket { peer: flow.peer, source })?;
    Ok((socket, Flow { listener, local, ..flow }))
}

#[expect(clippy::disallowed_methods, reason = "the edge of the phone: its socket")]
fn open(peer: SocketAddr) -> io::Result<Udp> {
    let any = match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    // Connecting sends nothing; it tells which of our addresses faces the server, lets nobody else in, and has the
    // system report a port that nobody listens on.
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer)?;
    let local = socket.local_addr()?;
    let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, local, peer };
    Ok(Udp { socket, flow, buffer: vec![0; MAX_MESSAGE] })
}
