//! Receiving up to [`BATCH`] datagrams in one call, each with our address as its sender faces it.
//!
//! On Linux that is `recvmmsg` with the destination address of the kernel (`IP_PKTINFO`, RFC 3542 §6.1) on sockets
//! bound to all addresses. Elsewhere datagrams come one by one and the address is the one the interfaces tell.
//!
//! Not `quinn-udp`: it forbids fragmentation on its sockets and offers no way back, and SIP over UDP lives on fragments
//! (RFC 3261 §18.1.1 sets the bound at 65,535 bytes, not at the MTU); it also asks for 2 MB per batch for coalesced
//! datagrams, which phones do not send.

use super::sip::Listening;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Datagrams received in one call.
pub(super) const BATCH: usize = 64;

/// The largest datagram.
const DATAGRAM: usize = 65_535;

/// Distance of two buffers: not a power of two, or all of them would share the same few sets of the cache.
const STRIDE: usize = 65_536 + 832;

/// Buffers for one batch, and what the last call put into them.
pub(super) struct Batch {
    octets: Box<[u8]>,
    envelopes: [Envelope; BATCH],
    count: usize,
    system: system::Receiver,
}

/// What is known about a datagram besides its octets.
#[derive(Clone, Copy)]
struct Envelope {
    peer: SocketAddr,
    local: Option<IpAddr>,
    length: usize,
}

/// One received datagram.
pub(super) struct Datagram<'a> {
    pub(super) peer: SocketAddr,
    /// Our address that it was sent to; `None` on a socket bound to one address.
    pub(super) local: Option<IpAddr>,
    pub(super) octets: &'a [u8],
}

impl Batch {
    pub(super) fn new() -> Batch {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Batch {
            octets: vec![0; STRIDE * BATCH].into_boxed_slice(),
            envelopes: [Envelope { peer: nobody, local: None, length: 0 }; BATCH],
            count: 0,
            system: system::Receiver::new(),
        }
    }

    /// Receives what is queued, up to a batch; tells whether nothing is left. An error of the socket counts as that:
    /// the next datagram wakes again.
    pub(super) fn receive(&mut self, listening: &Listening) -> bool {
        let (count, drained) = self.system.receive(listening, &mut self.octets, &mut self.envelopes);
        self.count = count;
        drained
    }

    /// The datagrams of the last call.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let received = self.envelopes.iter().take(self.count);
        self.octets.chunks(STRIDE).zip(received).map(|(octets, envelope)| Datagram {
            peer: envelope.peer,
            local: envelope.local,
            octets: octets.get(..envelope.length).unwrap_or_default(),
        })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::{BATCH, DATAGRAM, Envelope, STRIDE};
    use crate::io::sip::Listening;
    use nix::errno::Errno;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
    };
    use std::io::IoSliceMut;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;

    /// Datagrams asked for while few come.
    const NARROW: usize = 4;

    /// Headers for each kind of socket: the kernel cuts the room for addresses and control messages to what it used,
    /// and that is the same for every datagram of one kind.
    pub(super) struct Receiver {
        ipv4: MultiHeaders<SockaddrIn>,
        ipv4_any: MultiHeaders<SockaddrIn>,
        ipv6: MultiHeaders<SockaddrIn6>,
        ipv6_any: MultiHeaders<SockaddrIn6>,
        /// Datagrams to ask for: preparing a whole batch costs more than the one datagram that mostly comes.
        width: usize,
    }

    impl Receiver {
        pub(super) fn new() -> Receiver {
            let ipv4_room = nix::cmsg_space!(nix::libc::in_pktinfo);
            let ipv6_room = nix::cmsg_space!(nix::libc::in6_pktinfo);
            Receiver {
                ipv4: MultiHeaders::preallocate(BATCH, None),
                ipv4_any: MultiHeaders::preallocate(BATCH, Some(ipv4_room)),
                ipv6: MultiHeaders::preallocate(BATCH, None),
                ipv6_any: MultiHeaders::preallocate(BATCH, Some(ipv6_room)),
                width: NARROW,
            }
        }

        pub(super) fn receive(
            &mut self,
            listening: &Listening,
            octets: &mut [u8],
            envelopes: &mut [Envelope; BATCH],
        ) -> (usize, bool) {
            let v4 = |peer: SockaddrIn| SocketAddr::V4(SocketAddrV4::from(peer));
            let v6 = |peer: SockaddrIn6| SocketAddr::V6(SocketAddrV6::from(peer));
            let envelopes = &mut envelopes[..self.width];
            let (count, drained) = match (listening.bound.ip(), listening.is_wildcard()) {
                (IpAddr::V4(_), false) => batch(&mut self.ipv4, listening, octets, envelopes, v4),
                (IpAddr::V4(_), true) => batch(&mut self.ipv4_any, listening, octets, envelopes, v4),
                (IpAddr::V6(_), false) => batch(&mut self.ipv6, listening, octets, envelopes, v6),
                (IpAddr::V6(_), true) => batch(&mut self.ipv6_any, listening, octets, envelopes, v6),
            };
            self.width = if count == self.width {
                BATCH
            } else if count < NARROW {
                NARROW
            } else {
                self.width
            };
            (count, drained)
        }
    }

    fn batch<S: SockaddrLike + Copy>(
        headers: &mut MultiHeaders<S>,
        listening: &Listening,
        octets: &mut [u8],
        envelopes: &mut [Envelope],
        peer_of: impl Fn(S) -> SocketAddr,
    ) -> (usize, bool) {
        let width = envelopes.len();
        let mut buffers = octets.chunks_mut(STRIDE);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = core::array::from_fn(|_| {
            let buffer = buffers.next().and_then(|buffer| buffer.get_mut(..DATAGRAM));
            [IoSliceMut::new(buffer.unwrap_or_default())]
        });
        let asked = slices.iter_mut().take(width);
        let fd = listening.socket.as_raw_fd();
        let messages = match recvmmsg(fd, headers, asked, MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => messages,
            Err(error) => return (0, error != Errno::EINTR),
        };
        let mut count = 0;
        for (message, envelope) in messages.zip(envelopes) {
            let Some(peer) = message.address else { break };
            let local = if listening.is_wildcard() { destination(&message) } else { None };
            *envelope = Envelope { peer: peer_of(peer), local, length: message.bytes };
            count += 1;
        }
        (count, count < width)
    }

    /// Where a datagram was sent to.
    fn destination<S>(message: &RecvMsg<'_, '_, S>) -> Option<IpAddr> {
        message.cmsgs().ok()?.find_map(|control| match control {
            // `ipi_spec_dst` and not `ipi_addr`, which may be a broadcast address.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)))
            }
            _ => None,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{BATCH, DATAGRAM, Envelope, STRIDE};
    use crate::io::sip::Listening;

    pub(super) struct Receiver;

    impl Receiver {
        pub(super) fn new() -> Receiver {
            Receiver
        }

        pub(super) fn receive(
            &mut self,
            listening: &Listening,
            octets: &mut [u8],
            envelopes: &mut [Envelope; BATCH],
        ) -> (usize, bool) {
            let mut count = 0;
            for (chunk, envelope) in octets.chunks_mut(STRIDE).zip(envelopes) {
                let Some(buffer) = chunk.get_mut(..DATAGRAM) else { break };
                let Ok((length, peer)) = listening.socket.recv_from(buffer) else { return (count, true) };
                *envelope = Envelope { peer, local: None, length };
                count += 1;
            }
            (count, false)
        }
    }
}
