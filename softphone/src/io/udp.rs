//! UDP sockets towards a server: one that is tied to it, and one that hears others too.

use sip_stack::transport::{Flow, ListenerId, Transport};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

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

/// Finds `host` and opens a socket for everything that goes to it and comes from it. Waits for the system's resolver, which knows no
/// SRV records.
///
/// # Errors
/// [`UdpError`]
pub(super) fn listen(
    host: &str,
    port: u16,
    listener: ListenerId,
) -> Result<(mio::net::UdpSocket, Flow), UdpError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let resolved = (bare, port).to_socket_addrs();
    let mut addresses = resolved.map_err(|source| UdpError::Resolve { host: host.to_owned(), source })?;
    let peer = addresses.next().ok_or_else(|| UdpError::NoAddress(host.to_owned()))?;
    let opened = pair(peer, listener).map_err(|source| UdpError::Socket { peer, source });
    opened.map(|(socket, _, flow)| (socket, flow))
}

/// Our address that faces a peer, as the system routes. Sends nothing.
pub(super) fn facing(peer: SocketAddr) -> io::Result<IpAddr> {
    Ok(tied(peer)?.local_addr()?.ip())
}

/// A socket for everything that goes to a server and comes from it: with the address of ours that faces it, and not tied to it,
/// because a server may answer from, and calls may lead to, other addresses. And one that is tied to it. The flow is the first one's.
pub(super) fn pair(
    peer: SocketAddr,
    listener: ListenerId,
) -> io::Result<(mio::net::UdpSocket, mio::net::UdpSocket, Flow)> {
    let tied = tied(peer)?;
    tied.set_nonblocking(true)?;
    let socket = mio::net::UdpSocket::bind(SocketAddr::new(tied.local_addr()?.ip(), 0))?;
    let flow = Flow { listener, transport: Transport::Udp, local: socket.local_addr()?, peer };
    Ok((socket, mio::net::UdpSocket::from_std(tied), flow))
}

/// Connecting sends nothing; it tells which of our addresses faces the server, lets nobody else in, and has the system report a
/// port that nobody listens on.
#[expect(clippy::disallowed_methods, reason = "the edge of the phone: its socket")]
fn tied(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any = match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer)?;
    Ok(socket)
}
