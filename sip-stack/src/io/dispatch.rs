//! What commands do: a message finds its connection, or one is opened for it (RFC 3261 §18.1.1, RFC 5923 §8.1).

use super::driver::Driver;
use super::peer::{Outgoing, Peer, unsent};
use super::pool::PeerId;
use super::socket::Socket;
use super::streams::{Command, Ended, Reach, Report};
use crate::transport::{Flow, Transport};
use core::net::SocketAddr;
use mio::net::TcpStream;
use ringbuf::traits::Consumer;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::sync::Arc;
use tracing::debug;

/// Commands of one turn.
const COMMANDS: usize = 1_024;

impl Driver {
    /// Obeys the commands that wait.
    pub(super) fn obey(&mut self) {
        for _ in 0..COMMANDS {
            if self.outbox.is_full() {
                return;
            }
            match self.commands.try_pop() {
                Some(Command::Send { flow, bytes, transaction, reach }) => {
                    self.send(flow, Outgoing { bytes, transaction }, &reach);
                }
                Some(Command::Open { flow, name }) => self.open(flow, name),
                Some(Command::Close(flow)) => {
                    if let Some(id) = self.pool.of_flow(&flow) {
                        self.touch(id, Peer::close);
                    }
                }
                Some(Command::KeepAlive(flow, interval)) => {
                    if let Some(id) = self.pool.of_flow(&flow) {
                        self.touch(id, |peer, cx| peer.keep_alive(cx, interval));
                    }
                }
                Some(Command::UseTls(tls)) => self.tls = Some(tls),
                None => return,
            }
        }
    }

    fn send(&mut self, flow: Flow, message: Outgoing, reach: &Reach) {
        let found = match (self.pool.find(&flow, reach), reach) {
            (Some(id), _) => Ok(id),
            (None, Reach::Flow) => return self.unsent(message.transaction),
            (None, Reach::Peer { name }) => self.connect(flow, name.clone()),
        };
        match found {
            Ok(id) => {
                let newly_dirty = self.touch(id, |peer, cx| {
                    peer.send(cx, message);
                    !core::mem::replace(&mut peer.dirty, true)
                });
                if newly_dirty == Some(true) {
                    self.dirty.push(id);
                }
            }
            Err(reason) => {
                self.unsent(message.transaction);
                self.unreachable(flow, reason);
            }
        }
    }

    fn open(&mut self, flow: Flow, name: Option<Box<str>>) {
        if self.pool.find(&flow, &Reach::Peer { name: name.clone() }).is_none()
            && let Err(reason) = self.connect(flow, name)
        {
            self.unreachable(flow, reason);
        }
    }

    fn unreachable(&mut self, flow: Flow, reason: Ended) {
        debug!(%flow, %reason, "no connection");
        self.shared.counts.unreachable.add();
        self.outbox.push(Report::Closed { flow, reason });
    }

    fn unsent(&mut self, transaction: Option<u64>) {
        let (_, mut cx) = self.split();
        unsent(&mut cx, transaction);
    }

    /// Begins to open a connection; what is sent meanwhile waits.
    fn connect(&mut self, flow: Flow, name: Option<Box<str>>) -> Result<PeerId, Ended> {
        let tls = match flow.transport {
            Transport::Tcp => None,
            Transport::Tls => Some(self.client(flow.peer, name.as_deref())?),
            Transport::Udp | Transport::Ws | Transport::Wss => {
                return Err(Ended::Unreachable(io::ErrorKind::Unsupported));
            }
        };
        if !self.pool.has_room(&self.rules.bounds) {
            return Err(Ended::TooMany);
        }
        let unreachable = |error: io::Error| Ended::Unreachable(error.kind());
        let tcp = open(&flow).map_err(unreachable)?;
        let local = tcp.local_addr().unwrap_or(flow.local);
        let flow = Flow { local, ..flow };
        let socket = Socket::new(tcp, tls);
        self.adopt(socket, |cx, socket| Peer::connecting(cx, flow, name, socket)).map_err(unreachable)
    }

    fn client(&self, peer: SocketAddr, name: Option<&str>) -> Result<Connection, Ended> {
        let config = self.tls.as_ref().map(|tls| Arc::clone(&tls.client)).ok_or(Ended::NoTls)?;
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| Ended::NoTls)?,
            None => ServerName::from(peer.ip()),
        };
        ClientConnection::new(config, name).map(Connection::from).map_err(Ended::Tls)
    }
}

/// A socket on its way to the peer, from our address of the flow and a port that the system chooses.
fn open(flow: &Flow) -> io::Result<TcpStream> {
    let domain = Domain::for_address(flow.peer);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if !flow.local.ip().is_unspecified() {
        socket.bind(&SocketAddr::new(flow.local.ip(), 0).into())?;
    }
    match socket.connect(&flow.peer.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Whether connecting goes on in the background.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}
