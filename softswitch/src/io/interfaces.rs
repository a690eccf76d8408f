//! The addresses of this machine, as the core wants to know them.

use crate::core::{Interface, Interfaces};
use if_addrs::IfAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use tracing::debug;

/// Reads all addresses and the sources of the default routes.
pub(super) fn read() -> Interfaces {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        debug!(%error, "interfaces not read");
        Vec::new()
    });
    let mut interfaces: Vec<Interface> = found
        .into_iter()
        .map(|interface| match interface.addr {
            IfAddr::V4(v4) => Interface { address: IpAddr::V4(v4.ip), prefix: v4.prefixlen },
            IfAddr::V6(v6) => Interface { address: IpAddr::V6(v6.ip), prefix: v6.prefixlen },
        })
        .collect();
    // The order of the system may change without meaning.
    interfaces.sort_by_key(|interface| (interface.address, interface.prefix));
    let default = [FAR_IPV4, FAR_IPV6].into_iter().filter_map(source_towards).collect();
    Interfaces { interfaces, default }
}

/// An address that only the default route reaches (RFC 5737 §3, RFC 3849 §2: reserved for documentation).
const FAR_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const FAR_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// The source address the system would take. Connecting a datagram socket looks up the route and sends nothing.
fn source_towards(far: IpAddr) -> Option<IpAddr> {
    let unspecified = match far {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    #[expect(clippy::disallowed_methods, reason = "the edge asks the system for a route")]
    let socket = UdpSocket::bind(SocketAddr::new(unspecified, 0)).ok()?;
    socket.connect(SocketAddr::new(far, 9)).ok()?;
    let source = socket.local_addr().ok()?.ip();
    (!source.is_unspecified()).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_is_among_those_of_this_machine() {
        let interfaces = read();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(interfaces.interfaces.iter().any(|interface| interface.address == loopback));
        assert_eq!(interfaces.facing("127.0.0.1".parse().unwrap()), Some(loopback));
    }
}
