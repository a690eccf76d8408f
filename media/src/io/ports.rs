//! RTP and RTCP ports: an even port and the next one up (RFC 3550 §11), from a configured range.
//!
//! Pairs are given out in rotating order, so that a port just closed is not used again at once. A port that another program
//! holds is skipped, and so is one of ours from before the range was changed. Who was heard on a pair is remembered for those who have it later. All threads share the range, each beginning at another place of it; a pair is taken by setting its flag.
//!
//! Left out on purpose: both protocols on one port (RFC 5761), which is negotiated.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use crate::leg::{Ghosts, MARKS};
use crate::shard::RefusalReason;

/// How many ports of other programs one search skips before it gives up; each costs system calls during which no packet
/// is relayed. The next search goes on where this one ended.
const MAX_SKIPPED: u32 = 256;

/// What a socket may queue, in octets; Linux doubles it for its bookkeeping. Some four seconds of 20 ms packets: more would
/// only be played too late.
const RECEIVE_BUFFER: usize = 128 * 1024;

/// The two sockets of a pair.
#[derive(Debug)]
pub(super) struct PortPair {
    /// The RTP port; RTCP is the next one.
    pub(super) port: u16,
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
}

/// The pairs of a range, as one thread takes them.
#[derive(Debug)]
pub(super) struct Ports {
    first: u16,
    held: Arc<[AtomicBool]>,
    /// Who was heard on the pairs before, as marks.
    ghosts: Arc<[[AtomicU64; MARKS]]>,
    next: usize,
    threads: usize,
}

impl Ports {
    /// The pairs that lie wholly in the range, for so many threads.
    pub(super) fn new(range: &RangeInclusive<u16>, threads: usize) -> Vec<Self> {
        let first = u32::from(*range.start()).next_multiple_of(2);
        let pairs = (u32::from(*range.end()) + 1).saturating_sub(first) / 2;
        // A range that begins at 65535 has no pair, so its first port is never looked at.
        let first = u16::try_from(first).unwrap_or(u16::MAX);
        let held: Arc<[AtomicBool]> = (0..pairs).map(|_| AtomicBool::new(false)).collect();
        let ghosts: Arc<[[AtomicU64; MARKS]]> = (0..pairs).map(|_| Default::default()).collect();
        let begin = |thread| held.len() * thread / threads;
        let part = |thread| {
            let (held, ghosts) = (Arc::clone(&held), Arc::clone(&ghosts));
            Self { first, held, ghosts, next: begin(thread), threads }
        };
        (0..threads).map(part).collect()
    }

    /// How many pairs there are for each thread.
    pub(super) fn share(&self) -> usize {
        self.held.len() / self.threads
    }

    /// Whether other threads take pairs, too.
    pub(super) const fn is_shared(&self) -> bool {
        self.threads > 1
    }

    /// Binds the next free pair on `local`.
    pub(super) fn bind(&mut self, local: IpAddr) -> Result<PortPair, RefusalReason> {
        let mut skipped = 0;
        for _ in 0..self.held.len() {
            let pair = self.next;
            self.next = (pair + 1) % self.held.len();
            if !self.take(pair) {
                continue;
            }
            let bound = bind_pair(local, self.port(pair));
            if bound.is_err() {
                self.give_back(pair);
            }
            match bound {
                Ok(bound) => return Ok(bound),
                Err(error) => match error.kind() {
                    // Windows answers with PermissionDenied for a port that is held exclusively.
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied if skipped < MAX_SKIPPED => {
                        skipped += 1
                    }
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => break,
                    io::ErrorKind::AddrNotAvailable => return Err(RefusalReason::AddressNotLocal),
                    _ => return Err(RefusalReason::Os { errno: error.raw_os_error().unwrap_or(0) }),
                },
            }
        }
        Err(RefusalReason::NoFreePort)
    }

    /// Whether a pair is in the range.
    pub(super) fn has(&self, port: u16) -> bool {
        self.pair(port).is_some()
    }

    /// A pair was bound by another range, and is not to be looked for as long as it is.
    pub(super) fn hold(&self, port: u16) {
        if let Some(pair) = self.pair(port) {
            self.take(pair);
        }
    }

    /// Gives a pair back whose sockets are closed, whoever bound it.
    pub(super) fn release(&self, port: u16) {
        if let Some(pair) = self.pair(port) {
            self.give_back(pair);
        }
    }

    /// Who was heard on a pair before.
    pub(super) fn ghosts(&self, port: u16) -> Ghosts {
        let marks = self.pair(port).and_then(|pair| self.ghosts.get(pair));
        Ghosts::of(std::array::from_fn(|place| {
            marks.and_then(|marks| marks.get(place)).map_or(0, |mark| mark.load(Ordering::Relaxed))
        }))
    }

    /// These were heard on a pair, which is held.
    pub(super) fn remember(&self, port: u16, ghosts: Ghosts) {
        let places = self.pair(port).and_then(|pair| self.ghosts.get(pair)).into_iter().flatten();
        places.zip(ghosts.marks()).for_each(|(place, mark)| place.store(mark, Ordering::Relaxed));
    }

    /// `None`: it is of another range.
    fn pair(&self, port: u16) -> Option<usize> {
        let pair = usize::from(port.checked_sub(self.first)?) / 2;
        (pair < self.held.len()).then_some(pair)
    }

    fn port(&self, pair: usize) -> u16 {
        self.first + 2 * pair as u16
    }

    /// Whether the pair was free and is ours now.
    fn take(&self, pair: usize) -> bool {
        self.held.get(pair).is_some_and(|held| !held.swap(true, Ordering::Relaxed))
    }

    fn give_back(&self, pair: usize) {
        if let Some(held) = self.held.get(pair) {
            held.store(false, Ordering::Relaxed);
        }
    }
}

fn bind_pair(local: IpAddr, port: u16) -> io::Result<PortPair> {
    let rtp = bind_socket(SocketAddr::new(local, port))?;
    let rtcp = bind_socket(SocketAddr::new(local, port + 1))?;
    Ok(PortPair { port, rtp, rtcp })
}

fn bind_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open_socket(Domain::for_address(address))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Linux makes it non-blocking on the way: two system calls less for each socket.
#[cfg(target_os = "linux")]
fn open_socket(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))
}

#[cfg(not(target_os = "linux"))]
fn open_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
