//! Listening sockets: bound to one address, drained in bursts, paused when the system is out of descriptors.

use super::streams::Listening;
use crate::Time;
use crate::transport::{Flow, Transport};
use core::net::SocketAddr;
use core::time::Duration;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use thiserror::Error;

/// Connections that the system keeps for us until we accept them.
const BACKLOG: i32 = 1_024;
/// How long accepting pauses when the system has nothing left to accept with.
const PAUSE: Duration = Duration::from_secs(1);

/// An address that cannot be listened on.
#[derive(Debug, Error)]
#[error("{} {}: {source}", listening.transport.name(), listening.address)]
pub struct ListenError {
    /// Which.
    pub listening: Listening,
    /// What the system says.
    pub source: io::Error,
}

/// One of the listening sockets.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) listening: Listening,
    /// Until when nothing is accepted.
    pub(super) paused: Option<Time>,
    /// Whether connections may be waiting that no event will tell of again.
    pub(super) ready: bool,
}

/// What accepting gave.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A connection.
    Connection(TcpStream, Flow),
    /// One that was gone before we took it.
    Lost,
    /// Nothing more waits.
    Drained,
    /// Nothing more before [`Listener::paused`].
    Paused(io::Error),
}

impl Listener {
    /// Binds; [`Listening::address`] of the result has the port that the system chose.
    pub(super) fn bind(listening: Listening) -> Result<Listener, ListenError> {
        let bound = open(&listening).map_err(|source| ListenError { listening, source })?;
        let address = bound.local_addr().map_err(|source| ListenError { listening, source })?;
        let listening = Listening { address, ..listening };
        Ok(Listener { socket: TcpListener::from_std(bound), listening, paused: None, ready: false })
    }

    /// Takes the next connection that waits.
    pub(super) fn accept(&mut self, now: Time) -> Accepted {
        let (stream, peer) = match self.socket.accept() {
            Ok(accepted) => accepted,
            Err(error) => return self.on_error(now, error),
        };
        match stream.local_addr() {
            Ok(local) => Accepted::Connection(stream, self.flow(local, peer)),
            Err(_) => Accepted::Lost,
        }
    }

    fn flow(&self, local: SocketAddr, peer: SocketAddr) -> Flow {
        Flow { listener: self.listening.id, transport: self.listening.transport, local, peer }
    }

    fn on_error(&mut self, now: Time, error: io::Error) -> Accepted {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.ready = false;
                Accepted::Drained
            }
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted => Accepted::Lost,
            // Out of descriptors or memory: the connections stay in the backlog, and trying again at once would spin.
            _ => {
                self.paused = Some(now + PAUSE);
                Accepted::Paused(error)
            }
        }
    }
}

fn open(listening: &Listening) -> io::Result<std::net::TcpListener> {
    match listening.transport {
        Transport::Udp => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {}
    }
    let address = listening.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `[::]` can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    // So that a restart need not wait for connections of before to be forgotten. On Windows it means something else:
    // there, others could take the port from us.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
