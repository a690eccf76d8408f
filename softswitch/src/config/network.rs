//! IP networks in prefix notation (RFC 4632, RFC 4291 §2.3) and the ones that are private by allotment.

use core::fmt;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `prefix` leading bits of `address`; `None` when the family has fewer bits.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Network> {
        (prefix <= width(address)).then_some(Network { address, prefix })
    }

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    pub fn parse(text: &str) -> Option<Network> {
        match text.split_once('/') {
            Some((address, prefix)) => Network::new(address.parse().ok()?, prefix.parse().ok()?),
            None => text.parse().ok().and_then(|address| Network::new(address, width(address))),
        }
    }

    /// Whether `peer` lies within. An IPv4 address in IPv6 form (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, canonical(peer)) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                let differing = own.to_bits() ^ peer.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                let differing = own.to_bits() ^ peer.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Loopback, link-local and private networks (RFC 1122 §3.2.1.3, RFC 3927, RFC 1918, RFC 4291, RFC 4193).
    pub fn private() -> Vec<Network> {
        let v4 = |a, b, c, d, prefix| Network { address: Ipv4Addr::new(a, b, c, d).into(), prefix };
        let v6 = |first, last, prefix| Network {
            address: Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last).into(),
            prefix,
        };
        vec![
            v4(127, 0, 0, 0, 8),
            v4(10, 0, 0, 0, 8),
            v4(172, 16, 0, 0, 12),
            v4(192, 168, 0, 0, 16),
            v4(169, 254, 0, 0, 16),
            v6(0, 1, 128),
            v6(0xfe80, 0, 10),
            v6(0xfc00, 0, 7),
        ]
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl From<Network> for media::Network {
    fn from(network: Network) -> media::Network {
        media::Network::new(network.address, network.prefix).expect("the prefix was checked at construction")
    }
}

/// IPv4 for an IPv4 address in IPv6 form, else the address itself.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_of_zero_contains_its_whole_family_and_nothing_else() {
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.contains(ip("203.0.113.9")));
        assert!(!all.contains(ip("2001:db8::1")));
    }

    #[test]
    fn the_first_bit_after_the_prefix_does_not_count_and_the_last_within_does() {
        let net = Network::parse("172.16.0.0/12").unwrap();
        assert!(net.contains(ip("172.31.255.255")));
        assert!(!net.contains(ip("172.32.0.0")));
        let net = Network::parse("2001:db8::/33").unwrap();
        assert!(net.contains(ip("2001:db8:7fff::1")));
        assert!(!net.contains(ip("2001:db8:8000::1")));
    }

    #[test]
    fn an_ipv4_peer_in_ipv6_form_is_an_ipv4_peer() {
        assert!(Network::parse("10.0.0.0/8").unwrap().contains(ip("::ffff:10.1.2.3")));
    }

    #[test]
    fn a_single_address_is_a_network_of_itself_alone() {
        let net = Network::parse("192.0.2.1").unwrap();
        assert!(net.contains(ip("192.0.2.1")));
        assert!(!net.contains(ip("192.0.2.2")));
    }

    #[test]
    fn prefixes_longer_than_the_address_are_refused() {
        for text in ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "/8", ""] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
