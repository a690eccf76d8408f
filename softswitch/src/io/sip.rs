//! The UDP sockets of SIP (RFC 3261 §18), one per listener of the configuration.
//!
//! A socket bound to all addresses answers from the address that was asked (RFC 3581 §4): the flow of a message carries
//! it. The core loop owns the sockets: what is received is handled and answered on the same thread.

use crate::core::Interfaces;
use mio::net::UdpSocket;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tracing::{debug, warn};

/// What is asked for as the receive buffer: about a third of a second of a storm of registrations.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One socket.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) socket: UdpSocket,
    pub(super) bound: SocketAddr,
    id: ListenerId,
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub(super) struct ListenError {
    pub(super) address: SocketAddr,
    pub(super) source: io::Error,
}

impl Listening {
    /// Whether it is bound to all addresses.
    pub(super) fn is_wildcard(&self) -> bool {
        self.bound.ip().is_unspecified()
    }

    /// The flow of a datagram from `peer` that was sent to `local`.
    pub(super) fn flow(
        &self,
        peer: SocketAddr,
        local: Option<IpAddr>,
        interfaces: &Interfaces,
    ) -> Option<Flow> {
        let ip = match local {
            Some(ip) => ip,
            None if self.is_wildcard() => interfaces.facing(peer.ip())?,
            None => self.bound.ip(),
        };
        let local = SocketAddr::new(ip, self.bound.port());
        Some(Flow { listener: self.id, transport: Transport::Udp, local, peer })
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct SipSockets {
    listening: Vec<Listening>,
    /// Messages that found the send buffer full; they are repeated by their transactions like any that is lost.
    crowded_out: u64,
}

impl SipSockets {
    /// Binds the address of every listener.
    pub(super) fn bind(
        listeners: impl IntoIterator<Item = (ListenerId, SocketAddr)>,
    ) -> Result<SipSockets, ListenError> {
        let bind = |(id, address): (ListenerId, SocketAddr)| {
            let socket = open(address).map_err(|source| ListenError { address, source })?;
            let bound = socket.local_addr().map_err(|source| ListenError { address, source })?;
            Ok(Listening { socket: UdpSocket::from_std(socket), bound, id })
        };
        let listening = listeners.into_iter().map(bind).collect::<Result<_, _>>()?;
        Ok(SipSockets { listening, crowded_out: 0 })
    }

    /// One of them.
    pub(super) fn get(&self, index: usize) -> Option<&Listening> {
        self.listening.get(index)
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Listening> {
        self.listening.iter_mut()
    }

    /// The addresses that are listened on, in the order of the configuration.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listening.iter().map(|listening| listening.bound).collect()
    }

    /// Sends a message from the local address of its flow; `false` when the system refused for a reason that will last.
    pub(super) fn send(&mut self, transmit: &Transmit) -> bool {
        let of_flow = |listening: &&Listening| listening.id == transmit.flow.listener;
        let Some(listening) = self.listening.iter().find(of_flow) else { return false };
        match send_from(listening, transmit) {
            Ok(()) => true,
            Err(error) if is_crowded(&error) => {
                self.crowded_out += 1;
                if self.crowded_out.is_power_of_two() {
                    warn!(lost = self.crowded_out, "SIP messages lost: the send buffer is full");
                }
                true
            }
            Err(error) => {
                debug!(%error, flow = %transmit.flow, octets = transmit.bytes.len(), "message not sent");
                false
            }
        }
    }
}

fn open(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `[::]` can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    let got = enlarge(&socket);
    if got < RECEIVE_BUFFER {
        debug!(%address, octets = got, wanted = RECEIVE_BUFFER, "small receive buffer: raise net.core.rmem_max");
    }
    tell_destinations(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Asks for a large receive buffer and returns what there is now.
fn enlarge(socket: &Socket) -> usize {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
        // Beyond the limit of the system, if we may.
        if setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER).is_ok() {
            return RECEIVE_BUFFER;
        }
    }
    let reference = SockRef::from(socket);
    if let Err(error) = reference.set_recv_buffer_size(RECEIVE_BUFFER) {
        debug!(%error, "receive buffer left as it is");
    }
    reference.recv_buffer_size().unwrap_or_default()
}

/// Has the kernel tell the destination address of every datagram where it is not the bound one.
#[cfg(target_os = "linux")]
fn tell_destinations(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    use nix::sys::socket::{
        setsockopt,
        sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo},
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => setsockopt(socket, Ipv4PacketInfo, &true)?,
        IpAddr::V6(ip) if ip.is_unspecified() => setsockopt(socket, Ipv6RecvPacketInfo, &true)?,
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn tell_destinations(_socket: &Socket, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Whether the system has no room at the moment: the message is lost as on the way, and sent again in time.
fn is_crowded(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::libc::ENOBUFS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(target_os = "linux")]
fn send_from(listening: &Listening, transmit: &Transmit) -> io::Result<()> {
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    use std::os::fd::AsRawFd;
    if !listening.is_wildcard() {
        return listening.socket.send_to(&transmit.bytes, transmit.flow.peer).map(|_| ());
    }
    let (ipv4, ipv6);
    let source = match transmit.flow.local.ip() {
        IpAddr::V4(ip) => {
            let from = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            ipv4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: in_addr { s_addr: 0 } };
            ControlMessage::Ipv4PacketInfo(&ipv4)
        }
        IpAddr::V6(ip) => {
            ipv6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            ControlMessage::Ipv6PacketInfo(&ipv6)
        }
    };
    let octets = [io::IoSlice::new(&transmit.bytes)];
    let peer = SockaddrStorage::from(transmit.flow.peer);
    sendmsg(listening.socket.as_raw_fd(), &octets, &[source], MsgFlags::MSG_DONTWAIT, Some(&peer))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn send_from(listening: &Listening, transmit: &Transmit) -> io::Result<()> {
    listening.socket.send_to(&transmit.bytes, transmit.flow.peer).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batch;
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn listening(address: &str) -> SipSockets {
        SipSockets::bind([(ListenerId(0), address.parse().unwrap())]).unwrap()
    }

    fn peer(address: &str) -> std::net::UdpSocket {
        #[expect(clippy::disallowed_methods, reason = "the peer of a loopback test")]
        let socket = std::net::UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// Loopback delivers before `send_to` returns; the poll is for systems where it does not.
    fn wait(sockets: &mut SipSockets) {
        let mut poll = mio::Poll::new().unwrap();
        let socket = &mut sockets.listening[0].socket;
        poll.registry().register(socket, mio::Token(0), mio::Interest::READABLE).unwrap();
        poll.poll(&mut mio::Events::with_capacity(1), Some(Duration::from_secs(10))).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        let mut sockets = listening("0.0.0.0:0");
        let port = sockets.addresses()[0].port();
        let phone = peer("127.0.0.1:0");
        phone.send_to(b"asked", ("127.0.0.7", port)).unwrap();
        wait(&mut sockets);
        let mut batch = Batch::new();
        assert!(batch.receive(sockets.get(0).unwrap()), "drained");
        let datagram = batch.datagrams().next().unwrap();
        assert_eq!(datagram.octets, b"asked");
        let flow =
            sockets.get(0).unwrap().flow(datagram.peer, datagram.local, &Interfaces::default()).unwrap();
        assert_eq!(flow.local, SocketAddr::new("127.0.0.7".parse().unwrap(), port));
        assert_eq!(flow.peer, phone.local_addr().unwrap());
        let answer = Transmit { flow, bytes: Bytes::from_static(b"answered"), transaction: None };
        assert!(sockets.send(&answer));
        let mut buffer = [0; 100];
        let (length, source) = phone.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], source), (&b"answered"[..], flow.local));
    }

    #[test]
    fn a_batch_brings_every_datagram_whole_however_large() {
        let mut sockets = listening("127.0.0.1:0");
        let phone = peer("127.0.0.1:0");
        let sizes = [0, 1, 1_500, 60_000];
        for size in sizes {
            phone.send_to(&vec![b'x'; size], sockets.addresses()[0]).unwrap();
        }
        wait(&mut sockets);
        let mut batch = Batch::new();
        batch.receive(sockets.get(0).unwrap());
        let received: Vec<usize> = batch.datagrams().map(|datagram| datagram.octets.len()).collect();
        assert_eq!(received, sizes);
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        let taken = peer("127.0.0.1:0");
        let address = taken.local_addr().unwrap();
        let error = SipSockets::bind([(ListenerId(0), address)]).unwrap_err();
        assert_eq!((error.address, error.source.kind()), (address, io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_message_that_the_system_refuses_is_told() {
        let mut sockets = listening("127.0.0.1:0");
        let local = sockets.addresses()[0];
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local,
            peer: "127.0.0.1:9".parse().unwrap(),
        };
        let too_large = Bytes::from(vec![0; 70_000]);
        assert!(!sockets.send(&Transmit { flow, bytes: too_large, transaction: None }));
    }
}
