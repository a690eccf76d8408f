//! The two sockets of a call: RTP on an even port, RTCP on the one above (RFC 3550 §11).

use mio::net::UdpSocket;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// Pairs of ports, tried in turn so that one just closed is not used again at once.
#[derive(Clone, Debug)]
pub(super) struct RtpPorts {
    range: RangeInclusive<u16>,
    next: u16,
}

impl RtpPorts {
    /// The pairs of a range, beginning somewhere in it.
    pub(super) fn new(range: RangeInclusive<u16>, draw: u64) -> RtpPorts {
        let pairs = u64::from((range.end() - range.start()) / 2).max(1);
        let next = range.start() + 2 * ((draw % pairs) as u16);
        RtpPorts { range, next: next & !1 }
    }

    /// Binds a pair.
    ///
    /// # Errors
    /// What the system said to the last pair, when none is free.
    pub(super) fn bind(&mut self, ip: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
        let pairs = (self.range.end() - self.range.start()) / 2 + 1;
        let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..pairs {
            let port = self.next;
            self.next = match port.checked_add(3) {
                Some(last) if last <= *self.range.end() => port + 2,
                _ => self.range.start().next_multiple_of(2),
            };
            match (bind(ip, port), bind(ip, port.saturating_add(1))) {
                (Ok(rtp), Ok(rtcp)) => return Ok((rtp, rtcp)),
                (Err(error), _) | (_, Err(error)) => failure = error,
            }
        }
        Err(failure)
    }
}

fn bind(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::new(ip, port))
}
