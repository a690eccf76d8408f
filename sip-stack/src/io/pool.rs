//! All connections: by number, by the ends of their flow, and how many there are of each source.

use super::peer::{Context, Opener, Peer};
use super::streams::{Bounds, Reach};
use crate::transport::{Flow, ListenerId, Transport};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

/// The number of a connection: never used again, so that a late event finds nothing.
pub(super) type PeerId = usize;

/// A flow in the order in which it is searched: all connections of a listener to one peer stand side by side.
type Key = (ListenerId, Transport, SocketAddr, SocketAddr);

fn key(flow: &Flow) -> Key {
    (flow.listener, flow.transport, flow.peer, flow.local)
}

/// Connections and their index.
#[derive(Debug, Default)]
pub(super) struct Pool {
    peers: BTreeMap<PeerId, Peer>,
    usable: BTreeMap<Key, PeerId>,
    sources: BTreeMap<IpAddr, usize>,
}

impl Pool {
    /// Whether one more may be accepted from `peer`.
    pub(super) fn admits(&self, peer: SocketAddr, bounds: &Bounds) -> bool {
        let of_source = self.sources.get(&source(peer.ip())).copied().unwrap_or(0);
        self.has_room(bounds) && of_source < bounds.per_source
    }

    /// Whether there may be one more.
    pub(super) fn has_room(&self, bounds: &Bounds) -> bool {
        self.peers.len() < bounds.connections
    }

    pub(super) fn insert(&mut self, id: PeerId, peer: Peer) {
        if peer.opener == Opener::Peer {
            *self.sources.entry(source(peer.flow.peer.ip())).or_default() += 1;
        }
        if peer.is_usable() {
            self.usable.insert(key(&peer.flow), id);
        }
        self.peers.insert(id, peer);
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(&id)
    }

    /// No message is to find it any more.
    pub(super) fn hide(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get(&id)
            && self.usable.get(&key(&peer.flow)) == Some(&id)
        {
            self.usable.remove(&key(&peer.flow));
        }
    }

    /// Takes it out; dropping it closes the socket.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Peer> {
        self.hide(id);
        let peer = self.peers.remove(&id)?;
        if peer.opener == Opener::Peer {
            let source = source(peer.flow.peer.ip());
            if let Some(count) = self.sources.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.sources.remove(&source);
                }
            }
        }
        Some(peer)
    }

    /// The connection of exactly this flow.
    pub(super) fn of_flow(&self, flow: &Flow) -> Option<PeerId> {
        self.usable.get(&key(flow)).copied()
    }

    /// The connection that a message may take.
    pub(super) fn find(&self, flow: &Flow, reach: &Reach) -> Option<PeerId> {
        let name = match reach {
            Reach::Flow => return self.of_flow(flow),
            Reach::Peer { name } => name.as_deref(),
        };
        let serves = |id: &PeerId| self.peers.get(id).is_some_and(|peer| peer.serves(name));
        if let Some(id) = self.of_flow(flow).filter(serves) {
            return Some(id);
        }
        let first = (flow.listener, flow.transport, flow.peer, LOWEST);
        let to_peer = self
            .usable
            .range(first..)
            .take_while(|(key, _)| key.2 == flow.peer && key.1 == flow.transport && key.0 == flow.listener);
        to_peer.map(|(_, id)| *id).find(serves)
    }

    /// Ends all, as the thread ends.
    pub(super) fn close_all(&mut self, cx: &mut Context<'_>) {
        for peer in self.peers.values_mut() {
            peer.close(cx);
        }
    }
}

/// No address comes before it.
const LOWEST: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0);

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, of which a host can have any address.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_of_ipv4_or_a_network_of_ipv6() {
        let source = |ip: &str| source(ip.parse().unwrap()).to_string();
        assert_eq!(source("192.0.2.7"), "192.0.2.7");
        assert_eq!(source("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
