//! The addresses of this machine, to know which of them faces a peer.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One address and the network behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Our address.
    pub address: IpAddr,
    /// Leading bits that its network has in common.
    pub prefix: u8,
}

impl Interface {
    fn reaches(&self, peer: IpAddr) -> bool {
        match (self.address, peer) {
            (IpAddr::V4(ours), IpAddr::V4(peer)) => {
                let differ = u32::from(ours) ^ u32::from(peer);
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(peer)) => {
                let differ = u128::from(ours) ^ u128::from(peer);
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// All addresses, and those that face the rest of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    /// Every address of the machine.
    pub interfaces: Vec<Interface>,
    /// The source addresses of the default routes, IPv4 and IPv6.
    pub default: Vec<IpAddr>,
}

impl Interfaces {
    /// The address of ours that `peer` sees: on the network they share, narrowest first, else the one of the default
    /// route.
    pub fn facing(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if self.interfaces.iter().any(|interface| interface.address == peer) {
            return Some(peer);
        }
        let shared = self.interfaces.iter().filter(|interface| interface.reaches(peer));
        let nearest = shared.max_by_key(|interface| interface.prefix).map(|interface| interface.address);
        nearest.or_else(|| self.default.iter().copied().find(|address| address.is_ipv4() == peer.is_ipv4()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_shared_network_faces_a_peer_and_the_default_route_the_rest() {
        let interface = |address: &str, prefix| Interface { address: address.parse().unwrap(), prefix };
        let ours = Interfaces {
            interfaces: vec![
                interface("127.0.0.1", 8),
                interface("10.0.0.1", 8),
                interface("10.1.0.1", 16),
                interface("192.0.2.9", 24),
                interface("fd00::1", 64),
            ],
            default: vec!["192.0.2.9".parse().unwrap()],
        };
        for (peer, expected) in [
            ("127.0.0.9", Some("127.0.0.1")),
            ("10.9.9.9", Some("10.0.0.1")),
            ("10.1.9.9", Some("10.1.0.1")),
            ("198.51.100.1", Some("192.0.2.9")),
            ("10.1.0.1", Some("10.1.0.1")),
            ("fd00::9", Some("fd00::1")),
            ("2001:db8::1", None),
        ] {
            let expected: Option<IpAddr> = expected.map(|address| address.parse().unwrap());
            assert_eq!(ours.facing(peer.parse().unwrap()), expected, "{peer}");
        }
    }
}
