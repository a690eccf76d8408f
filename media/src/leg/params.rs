//! What is negotiated for a leg: where the peer is, from where it may send, and in which direction media flows
//! (RFC 3264 §5.1, §6.1; RFC 4566 §5.14 for the address).
//!
//! Left out on purpose: SDP text. The owner of the call translates an answer into these values.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digits::DigitParams;

/// Names a leg. The owner of the call chooses it; it is unique for the life of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LegId(pub u64);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The negotiated parameters of one leg.
///
/// `send` and `receive` are the peer's: a peer that is `sendonly` has `send` alone, one that is `recvonly` has `receive`
/// alone, an `inactive` one neither (RFC 3264 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamParams {
    /// The RTP address from the peer's SDP; `None` while there is none. A port of zero counts as none.
    pub remote: Option<SocketAddr>,
    /// The source address of the peer's signalling, a candidate for media from behind a NAT.
    pub signalling: IpAddr,
    /// Which sources are accepted.
    pub latching: Latching,
    /// Ticks of the RTP timestamp per second: 8000 for G.711 and, by its historic error, G.722 (RFC 3551 §4.5.2).
    pub clock_rate: u32,
    /// Whether the peer may send. Packets from one that may not are dropped and counted.
    pub send: bool,
    /// Whether the peer may receive. One that may not is sent no RTP.
    pub receive: bool,
    /// Where the peer receives RTCP, which flows in all directions of media (RFC 3264 §5.1).
    pub rtcp: RtcpPort,
    /// How digits travel.
    pub digits: DigitParams,
}

/// Where RTCP of a peer comes in and goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RtcpPort {
    /// The port above that of RTP (RFC 3550 §11).
    #[default]
    Above,
    /// The address of an `a=rtcp` line (RFC 3605).
    At(SocketAddr),
    /// The port of RTP: both sides have agreed to one for both (RFC 5761 §5.1.1).
    Muxed,
}

/// What is known of where a peer sends from and receives, before it was heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whereabouts<'a> {
    /// The address in its SDP.
    pub(crate) sdp: Option<&'a SocketAddr>,
    pub(crate) signalling: IpAddr,
    pub(crate) latching: &'a Latching,
}

impl<'a> Whereabouts<'a> {
    /// The SDP address to which something can be sent.
    #[inline]
    pub(crate) fn sdp_address(&self) -> Option<&'a SocketAddr> {
        self.sdp.filter(|remote| remote.port() != 0 && !remote.ip().is_unspecified())
    }
}

impl StreamParams {
    /// Where the peer's RTP is.
    #[inline]
    pub(crate) const fn whereabouts(&self) -> Whereabouts<'_> {
        Whereabouts { sdp: self.remote.as_ref(), signalling: self.signalling, latching: &self.latching }
    }

    /// Where the peer's RTCP is, by its SDP.
    pub(crate) fn rtcp_address(&self) -> Option<SocketAddr> {
        match self.rtcp {
            RtcpPort::Above => {
                let rtp = self.remote?;
                Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).filter(|_| rtp.port() != 0)?))
            }
            RtcpPort::At(address) => Some(address),
            RtcpPort::Muxed => self.remote,
        }
    }

    /// Whether `next` tells something new about where the peer is, so that it must be learnt again.
    pub(crate) fn moves_to(&self, next: &Self) -> bool {
        self.remote != next.remote || self.signalling != next.signalling || self.latching != next.latching
    }
}

/// Which sources may send to a leg, and where its media goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Latching {
    /// Symmetric RTP (RFC 4961): the SDP address and the host the signalling comes from are candidates; one source is
    /// chosen among them, and media goes where it comes from.
    #[default]
    Symmetric,
    /// Media is accepted from the SDP address alone and sent there.
    SdpOnly,
    /// Media is accepted from these networks, or from the SDP address, and sent to the SDP address: carriers that send
    /// from elsewhere than they receive.
    AnyOf(Arc<[Network]>),
}

/// An IP network: an address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A prefix longer than the address: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("prefix /{prefix} is longer than the {width} bits of the address")]
pub struct PrefixTooLong {
    /// What was asked for, in bits.
    pub prefix: u8,
    /// The width of the address in bits: 32 or 128.
    pub width: u8,
}

impl Network {
    /// The network of `address` with `prefix` leading bits.
    ///
    /// # Errors
    /// [`PrefixTooLong`] above 32 bits for IPv4 and 128 for IPv6.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, PrefixTooLong> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix > width { Err(PrefixTooLong { prefix, width }) } else { Ok(Self { address, prefix }) }
    }

    /// Whether `host` lies in the network. IPv4 and IPv6 never match each other.
    #[must_use]
    pub fn contains(&self, host: IpAddr) -> bool {
        match (self.address, host) {
            (IpAddr::V4(network), IpAddr::V4(host)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                (u32::from(network) ^ u32::from(host)) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(host)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
                (u128::from(network) ^ u128::from(host)) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_the_hosts_that_share_its_prefix() {
        let net = Network::new(ip("198.51.100.64"), 26).unwrap();
        assert!(net.contains(ip("198.51.100.127")));
        assert!(!net.contains(ip("198.51.100.128")));
        assert!(!net.contains(ip("2001:db8::1")));
        let six = Network::new(ip("2001:db8::"), 32).unwrap();
        assert!(six.contains(ip("2001:db8:1::1")));
        assert!(!six.contains(ip("2001:db9::1")));
    }

    #[test]
    fn a_prefix_of_zero_holds_every_host_of_its_family() {
        assert!(Network::new(ip("0.0.0.0"), 0).unwrap().contains(ip("203.0.113.9")));
        assert!(Network::new(ip("::"), 0).unwrap().contains(ip("2001:db8::1")));
    }

    #[test]
    fn a_prefix_longer_than_the_address_is_refused() {
        assert_eq!(Network::new(ip("192.0.2.1"), 33), Err(PrefixTooLong { prefix: 33, width: 32 }));
        assert!(Network::new(ip("2001:db8::"), 129).is_err());
    }
}
