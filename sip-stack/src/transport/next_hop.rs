//! Where a request goes when its next hop is known by a flow we have used (RFC 3261 §8.1.2, §12.2.1.1).
//!
//! Left out on purpose: names. Location of servers (RFC 3263) asks the resolver before a flow exists.

use super::Flow;
use crate::message::Uri;
use core::net::{IpAddr, SocketAddr};

/// The flow towards `uri`, the first route or the remote target, of a peer last heard on `flow`.
///
/// A stream stays the stream that it is (RFC 5923 §4). Of datagrams the port of the URI counts when its host is the
/// address the peer really has. Any other host is behind a translator or a name: then the address that was heard is the
/// one that works.
///
/// A GRUU (RFC 5627 §4.4) names the registrar that gave it, which may be us: the phone behind is reached where it was heard.
///
/// Deviation: RFC 3261 §12.2.1.1 sends to the URI whatever the source was; phones behind NAT put addresses into
/// Contact that nobody else can reach.
pub fn next_hop(flow: Flow, uri: &Uri<'_>) -> Flow {
    match uri.ip().filter(|_| !uri.params.contains(b"gr")) {
        Some(ip) if !flow.transport.is_reliable() && same_host(ip, flow.peer.ip()) => {
            Flow { peer: SocketAddr::new(flow.peer.ip(), uri.port.unwrap_or(5060)), ..flow }
        }
        Some(_) | None => flow,
    }
}

fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ListenerId, Transport};

    #[test]
    fn the_port_in_a_contact_counts_unless_it_is_a_gruu() {
        let local = SocketAddr::from(([192, 0, 2, 1], 5060));
        let peer = ([192, 0, 2, 9], 40_000).into();
        let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, local, peer };
        let to = |uri: &str| next_hop(flow, &Uri::parse(uri.as_bytes()).unwrap()).peer.port();
        assert_eq!(to("sip:1001@192.0.2.9:5070"), 5070);
        assert_eq!(to("sip:1001@192.0.2.9"), 5060);
        assert_eq!(to("sip:1001@10.1.1.1:5070"), 40_000);
        assert_eq!(to("sip:1001@192.0.2.9:5070;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), 40_000);
    }
}
