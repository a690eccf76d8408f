//! Receiving several datagrams in one call, where the system can.
//!
//! On Linux `recvmmsg` takes what is queued, up to [`BATCH`]; fewer than asked means that the socket is drained, so an
//! edge-triggered poll needs no call that finds nothing. Elsewhere datagrams are received one by one until none is left.
//!
//! Sockets that are read long after their packets came are [stamped](stamp): the kernel then tells when each arrived.

use std::net::{Ipv4Addr, SocketAddr};

use mio::net::UdpSocket;

pub(super) use system::stamp;

/// Datagrams received in one call.
pub(super) const BATCH: usize = 16;

/// Octets a datagram may have; more than any Ethernet frame short of jumbo carries.
const DATAGRAM: usize = 2048;

/// Buffers for one batch, and what the last call put into them.
pub(super) struct Batch {
    buffers: Box<[[u8; DATAGRAM]; BATCH]>,
    received: [Envelope; BATCH],
    system: system::Receiver,
}

/// What is known about a datagram besides its octets.
#[derive(Clone, Copy)]
struct Envelope {
    source: SocketAddr,
    length: usize,
    truncated: bool,
    arrived: Option<TimeOfDay>,
}

/// Nanoseconds since 1970: when the kernel says that a datagram arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimeOfDay(pub(super) i64);

/// What a socket is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    pub(super) ipv6: bool,
    /// The kernel stamps what it receives ([`stamp`]).
    pub(super) stamped: bool,
}

impl Envelope {
    const EMPTY: Self = Self {
        source: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        length: 0,
        truncated: false,
        arrived: None,
    };
}

/// One received datagram.
pub(super) struct Datagram<'a> {
    pub(super) source: SocketAddr,
    pub(super) octets: &'a mut [u8],
    /// It was larger than its buffer.
    pub(super) truncated: bool,
    /// When it came, if the socket is stamped.
    pub(super) arrived: Option<TimeOfDay>,
}

/// What one call brought.
#[derive(Clone, Copy)]
pub(super) struct Received {
    pub(super) count: usize,
    /// Nothing is left in the socket.
    pub(super) drained: bool,
}

impl Batch {
    pub(super) fn new() -> Self {
        let buffers: Box<[[u8; DATAGRAM]]> = vec![[0; DATAGRAM]; BATCH].into_boxed_slice();
        let buffers = buffers.try_into().expect("the slice was made with that length");
        Self { buffers, received: [Envelope::EMPTY; BATCH], system: system::Receiver::new() }
    }

    /// Receives what is queued, up to a batch. Errors of the socket count as drained: the next datagram wakes again.
    pub(super) fn receive(&mut self, socket: &UdpSocket, kind: Kind) -> Received {
        self.system.receive(socket, kind, &mut self.buffers, &mut self.received)
    }

    /// The datagrams of the last call.
    pub(super) fn datagrams(&mut self, received: Received) -> impl Iterator<Item = Datagram<'_>> {
        let envelopes = self.received.iter().take(received.count);
        self.buffers.iter_mut().zip(envelopes).map(|(buffer, envelope)| Datagram {
            source: envelope.source,
            octets: &mut buffer[..envelope.length.min(DATAGRAM)],
            truncated: envelope.truncated,
            arrived: envelope.arrived,
        })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::IoSliceMut;
    use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;

    use mio::net::UdpSocket;
    use nix::errno::Errno;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrLike,
        recvmmsg, setsockopt, sockopt,
    };
    use nix::sys::time::TimeSpec;
    use tracing::debug;

    use super::{BATCH, DATAGRAM, Envelope, Kind, Received, TimeOfDay};

    /// Has the kernel say when datagrams arrive (SO_TIMESTAMPNS, socket(7)); whether it will.
    pub(in super::super) fn stamp(socket: &UdpSocket) -> bool {
        let stamped = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
        if let Err(error) = stamped {
            debug!(%error, "media socket without arrival times");
        }
        stamped.is_ok()
    }

    /// Headers for each family and kind: the kernel cuts an address to the size of the last one that stood in its place,
    /// and control messages to the length of the last ones.
    pub(super) struct Receiver {
        ipv4: MultiHeaders<SockaddrIn>,
        ipv6: MultiHeaders<SockaddrIn6>,
        ipv4_stamped: MultiHeaders<SockaddrIn>,
        ipv6_stamped: MultiHeaders<SockaddrIn6>,
    }

    impl Receiver {
        pub(super) fn new() -> Self {
            Self {
                ipv4: MultiHeaders::preallocate(BATCH, None),
                ipv6: MultiHeaders::preallocate(BATCH, None),
                ipv4_stamped: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec))),
                ipv6_stamped: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec))),
            }
        }

        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            Kind { ipv6, stamped }: Kind,
            buffers: &mut [[u8; DATAGRAM]; BATCH],
            received: &mut [Envelope; BATCH],
        ) -> Received {
            if ipv6 {
                let to_source = |source: SockaddrIn6| SocketAddr::V6(SocketAddrV6::from(source));
                let headers = if stamped { &mut self.ipv6_stamped } else { &mut self.ipv6 };
                receive(headers, socket, buffers, received, to_source)
            } else {
                let to_source = |source: SockaddrIn| SocketAddr::V4(SocketAddrV4::from(source));
                let headers = if stamped { &mut self.ipv4_stamped } else { &mut self.ipv4 };
                receive(headers, socket, buffers, received, to_source)
            }
        }
    }

    fn receive<S: SockaddrLike + Copy>(
        headers: &mut MultiHeaders<S>,
        socket: &UdpSocket,
        buffers: &mut [[u8; DATAGRAM]; BATCH],
        received: &mut [Envelope; BATCH],
        to_source: impl Fn(S) -> SocketAddr,
    ) -> Received {
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let messages = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        let messages = match messages {
            Ok(messages) => messages,
            Err(error) => return Received { count: 0, drained: error != Errno::EINTR },
        };
        let mut count = 0;
        for message in messages {
            let (Some(source), Some(envelope)) = (message.address, received.get_mut(count)) else { continue };
            *envelope = Envelope {
                source: to_source(source),
                length: message.bytes,
                truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
                arrived: arrived(&message),
            };
            count += 1;
        }
        Received { count, drained: count < BATCH }
    }

    fn arrived<S>(message: &RecvMsg<'_, '_, S>) -> Option<TimeOfDay> {
        message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => {
                Some(TimeOfDay(at.tv_sec() * 1_000_000_000 + at.tv_nsec()))
            }
            _ => None,
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io::ErrorKind;

    use mio::net::UdpSocket;

    use super::{BATCH, DATAGRAM, Envelope, Kind, Received};

    /// Nobody says when datagrams arrive.
    pub(in super::super) const fn stamp(_socket: &UdpSocket) -> bool {
        false
    }

    pub(super) struct Receiver;

    impl Receiver {
        pub(super) const fn new() -> Self {
            Self
        }

        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            _kind: Kind,
            buffers: &mut [[u8; DATAGRAM]; BATCH],
            received: &mut [Envelope; BATCH],
        ) -> Received {
            let mut count = 0;
            for (buffer, envelope) in buffers.iter_mut().zip(received) {
                match socket.recv_from(buffer) {
                    // Octets that did not fit are gone without a word, so a full buffer counts as too small.
                    Ok((length, source)) => {
                        *envelope = Envelope { source, length, truncated: length == DATAGRAM, arrived: None };
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return Received { count, drained: true };
                    }
                    // An error belongs to one datagram; the socket reports again only after it said it is empty.
                    Err(_) => break,
                }
                count += 1;
            }
            Received { count, drained: false }
        }
    }
}
