//! A flow as text that only we can write: what our Record-Route and Via say of where the next message has to go, so that
//! nothing needs to be kept for it (RFC 3261 §16.6 step 4, §16.11; RFC 5626 §5.2 calls it a flow token).
//!
//! It is bound to what it is written into, so that it opens nothing else: in a Record-Route to Call-ID, the caller's tag and the side
//! that it leads to, with a stamp of whoever forwarded it. Left out on purpose: an end (whether the call lives is the user's to know, see [`super::Passing`]), keeping it
//! from being read (both ends know each other's addresses from SDP), and the zone of a link-local address.

use crate::transaction::KeyHasher;
use crate::transport::{Flow, ListenerId, Transport};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use smallvec::SmallVec;

/// A flow in octets: listener, kind, two addresses with their ports, the stamp if there is one, eight octets of authentication.
type Octets = SmallVec<[u8; 48]>;

const TAG: usize = 8;
const LOCAL_IS_IPV6: u8 = 0x10;
const PEER_IS_IPV6: u8 = 0x20;
const HAS_STAMP: u8 = 0x40;

/// What a token is written into. One kind does not open as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Our Via in what passes: the way of the response.
    Via,
    /// Our Record-Route: the way to who called.
    ToCaller,
    /// Our Record-Route: the way to who was called.
    ToCallee,
}

impl Place {
    const fn label(self) -> &'static [u8] {
        match self {
            Place::Via => b"flow token in via",
            Place::ToCaller => b"flow token to caller",
            Place::ToCallee => b"flow token to callee",
        }
    }
}

/// `flow` for a place that is known by `bound_to`.
pub(super) fn seal(
    hasher: &KeyHasher,
    place: Place,
    bound_to: [&[u8]; 2],
    (flow, stamp): (&Flow, Option<u32>),
) -> String {
    let mut octets = Octets::from_slice(&flow.listener.0.to_be_bytes());
    let ipv6 = |address: SocketAddr, bit| if address.is_ipv6() { bit } else { 0 };
    let transport = match flow.transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    };
    let stamped = if stamp.is_some() { HAS_STAMP } else { 0 };
    octets.push(transport | ipv6(flow.local, LOCAL_IS_IPV6) | ipv6(flow.peer, PEER_IS_IPV6) | stamped);
    for address in [flow.local, flow.peer] {
        match address.ip() {
            IpAddr::V4(ip) => octets.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => octets.extend_from_slice(&ip.octets()),
        }
        octets.extend_from_slice(&address.port().to_be_bytes());
    }
    octets.extend(stamp.into_iter().flat_map(u32::to_be_bytes));
    let tag = tag(hasher, place, bound_to, &octets);
    octets.extend_from_slice(&tag);
    URL_SAFE_NO_PAD.encode(&octets)
}

/// The flow that [`seal`] wrote for the same place, with its stamp; `None` for anything else.
pub(super) fn open(
    hasher: &KeyHasher,
    place: Place,
    bound_to: [&[u8]; 2],
    text: &[u8],
) -> Option<(Flow, Option<u32>)> {
    // Two IPv6 addresses are the longest.
    let mut octets = [0; 60];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut octets).ok()?;
    let (octets, sent) = octets.get(..length)?.split_at_checked(length.checked_sub(TAG)?)?;
    if tag(hasher, place, bound_to, octets) != *sent {
        return None;
    }
    let (listener, rest) = octets.split_first_chunk::<2>()?;
    let (kind, rest) = rest.split_first()?;
    let transport = match kind & 0x0f {
        0 => Transport::Udp,
        1 => Transport::Tcp,
        2 => Transport::Tls,
        3 => Transport::Ws,
        4 => Transport::Wss,
        _ => return None,
    };
    let (local, rest) = address(rest, kind & LOCAL_IS_IPV6 != 0)?;
    let (peer, rest) = address(rest, kind & PEER_IS_IPV6 != 0)?;
    let stamp = rest.first_chunk().filter(|_| kind & HAS_STAMP != 0).map(|stamp| u32::from_be_bytes(*stamp));
    Some((Flow { listener: ListenerId(u16::from_be_bytes(*listener)), transport, local, peer }, stamp))
}

fn address(octets: &[u8], is_ipv6: bool) -> Option<(SocketAddr, &[u8])> {
    let (ip, rest) = if is_ipv6 {
        let (ip, rest) = octets.split_first_chunk::<16>()?;
        (IpAddr::from(Ipv6Addr::from(*ip)), rest)
    } else {
        let (ip, rest) = octets.split_first_chunk::<4>()?;
        (IpAddr::from(Ipv4Addr::from(*ip)), rest)
    };
    let (port, rest) = rest.split_first_chunk()?;
    Some((SocketAddr::new(ip, u16::from_be_bytes(*port)), rest))
}

fn tag(hasher: &KeyHasher, place: Place, [first, second]: [&[u8]; 2], octets: &[u8]) -> [u8; TAG] {
    ((hasher.hash(&[place.label(), first, second, octets]) >> 64) as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: [&[u8]; 2] = [b"call", b"tag"];

    fn flow(local: &str, peer: &str, transport: Transport) -> Flow {
        Flow {
            listener: ListenerId(259),
            transport,
            local: local.parse().unwrap(),
            peer: peer.parse().unwrap(),
        }
    }

    #[test]
    fn a_flow_comes_back_from_its_text_whatever_its_transport_and_family() {
        let hasher = KeyHasher::new([7; 16]);
        for (local, peer, transport) in [
            ("192.0.2.1:5060", "198.51.100.7:40000", Transport::Udp),
            ("[2001:db8::1]:5061", "[2001:db8::ffff]:65535", Transport::Tls),
            ("0.0.0.0:80", "[::1]:1", Transport::Ws),
            ("10.0.0.1:443", "10.0.0.2:2", Transport::Wss),
            ("10.0.0.1:5060", "10.0.0.2:2", Transport::Tcp),
        ] {
            let flow = flow(local, peer, transport);
            for stamp in [None, Some(0), Some(1_800_000_000)] {
                let text = seal(&hasher, Place::Via, CALL, (&flow, stamp));
                assert!(crate::message::is_token(text.as_bytes()), "{text}");
                assert_eq!(open(&hasher, Place::Via, CALL, text.as_bytes()), Some((flow, stamp)));
            }
        }
    }

    #[test]
    fn a_text_of_others_or_for_another_place_opens_nothing() {
        let hasher = KeyHasher::new([7; 16]);
        let flow = flow("192.0.2.1:5060", "192.0.2.2:5060", Transport::Udp);
        let text = seal(&hasher, Place::Via, CALL, (&flow, Some(7)));
        assert_eq!(open(&hasher, Place::Via, [b"call", b"other"], text.as_bytes()), None);
        assert_eq!(open(&KeyHasher::new([8; 16]), Place::Via, CALL, text.as_bytes()), None);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open(&hasher, Place::Via, CALL, &forged), None, "{at}");
        }
        for junk in [&b""[..], b"A", b"\xff", &[b'A'; 200]] {
            assert_eq!(open(&hasher, Place::Via, CALL, junk), None);
        }
    }

    #[test]
    fn a_token_of_one_place_opens_in_no_other() {
        let hasher = KeyHasher::new([7; 16]);
        let flow = flow("192.0.2.1:5060", "192.0.2.2:5060", Transport::Udp);
        let places = [Place::Via, Place::ToCaller, Place::ToCallee];
        for written in places {
            let text = seal(&hasher, written, CALL, (&flow, None));
            for read in places {
                let opened = open(&hasher, read, CALL, text.as_bytes());
                assert_eq!(opened.is_some(), written == read, "{written:?} {read:?}");
            }
        }
    }
}
