//! `[[listener]]` and `[media]`: where packets come in, and which address peers are told.

use super::error::{Fault, Quoted};
use super::model::{Advertise, Listener, Media, PortRange, Transport, parse_ip_literal};
use super::network::Network;
use super::table::{Faults, Key, Located, Section};
use sip_stack::resolve::Host;
use std::net::{IpAddr, SocketAddr};

const ADDRESS: Key = Key {
    name: "address",
    expected: "an IP address with a port (names are not looked up)",
    example: "\"0.0.0.0:5060\"",
};
const TRANSPORT: Key =
    Key { name: "transport", expected: "a transport (udp, tcp, tls, ws or wss)", example: "\"udp\"" };
const ADVERTISE: Key = Key {
    name: "advertise",
    expected: "a host name or IP address, with or without a port",
    example: "\"203.0.113.7\"",
};
const MEDIA_ADVERTISE: Key =
    Key { name: "advertise", expected: "an IP address without a port", example: "\"203.0.113.7\"" };
const LOCAL_NETWORKS: Key =
    Key { name: "local_networks", expected: "an IP network", example: "[\"10.0.0.0/8\"]" };
const PORTS: Key = Key {
    name: "ports",
    expected: "a range of at least four ports with the lower one first",
    example: "\"40000-59999\"",
};
const TRANSCODE: Key = Key { name: "transcode", expected: "true or false", example: "true" };
const SILENCE: Key = Key { name: "silence_s", expected: "a whole number, 0 for never", example: "30" };
/// How long both sides of a call may be silent when the file does not say.
const SILENCE_S: u32 = 30;
const THREADS: Key = Key { name: "threads", expected: "a whole number", example: "2" };

/// The default of `[media] ports`.
const DEFAULT_PORTS: PortRange = PortRange { first: 40_000, last: 59_999 };

pub(super) fn resolve_listeners(root: &mut Section<'_>, faults: &Faults) -> Vec<Located<Listener>> {
    let sections = root.tables("listener", "[[listener]]");
    if sections.is_empty() {
        faults.note_absence(Fault::NoListener);
    }
    let mut listeners: Vec<Located<Listener>> = Vec::new();
    for section in sections {
        let Some(listener) = resolve_listener(section) else { continue };
        let Listener { address, transport, .. } = listener.value;
        let is_datagram = transport == Transport::Udp;
        let same_socket = |known: &&Located<Listener>| {
            known.value.address == address && (known.value.transport == Transport::Udp) == is_datagram
        };
        match listeners.iter().find(same_socket) {
            Some(Located { line: first, .. }) => {
                faults.note(listener.line, Fault::DuplicateListener { address, first: *first });
            }
            None => listeners.push(listener),
        }
    }
    listeners
}

fn resolve_listener(mut section: Section<'_>) -> Option<Located<Listener>> {
    let address = section.required(ADDRESS, parse_address);
    let transport = resolve_given_transport(&mut section).unwrap_or(Transport::Udp);
    let advertise = section.parsed(ADVERTISE, parse_advertise).map(|advertise| advertise.value);
    let local_networks = resolve_networks(&mut section)
        .unwrap_or_else(|| if advertise.is_some() { Network::private() } else { Vec::new() });
    section.finish();
    let Located { value: address, line } = address?;
    Some(Located { value: Listener { address, transport, advertise, local_networks }, line })
}

/// `transport` of a listener or peer.
pub(super) fn resolve_given_transport(section: &mut Section<'_>) -> Option<Transport> {
    section.parsed(TRANSPORT, parse_transport).map(|transport| transport.value)
}

fn parse_transport(text: &str) -> Option<Transport> {
    let all = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
    all.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(text))
}

fn resolve_networks(section: &mut Section<'_>) -> Option<Vec<Network>> {
    let networks = section.list(LOCAL_NETWORKS, Network::parse)?;
    Some(networks.value.into_iter().map(|network| network.value).collect())
}

pub(super) fn resolve_media(
    root: &mut Section<'_>,
    listeners: &[Located<Listener>],
    faults: &Faults,
) -> Media {
    let mut media = Media {
        ports: DEFAULT_PORTS,
        advertise_ipv4: None,
        advertise_ipv6: None,
        local_networks: Vec::new(),
        silence_s: Some(SILENCE_S),
        transcode: true,
        threads: None,
    };
    let Some(mut section) = root.table("media", "[media]") else {
        inherit_advertise(&mut media, listeners, faults);
        return media;
    };
    if let Some(ports) = section.parsed(PORTS, parse_ports) {
        media.ports = ports.value;
    }
    match section.filled_list(MEDIA_ADVERTISE, parse_usable_ip) {
        Some(addresses) => {
            if !advertise(&mut media, addresses.value.iter().map(|address| address.value)) {
                faults.note(addresses.line, Fault::MediaAdvertisesTwice);
            }
            media.local_networks = Network::private();
        }
        None => inherit_advertise(&mut media, listeners, faults),
    }
    if let Some(networks) = resolve_networks(&mut section) {
        media.local_networks = networks;
    }
    media.transcode = section.flag(TRANSCODE).is_none_or(|transcode| transcode.value);
    if let Some(silence) = section.number(SILENCE, 0, 86_400) {
        media.silence_s = Some(silence.value).filter(|silence| *silence > 0);
    }
    media.threads = section.number(THREADS, 1, 256).map(|threads| threads.value);
    section.finish();
    media
}

/// Takes over the address of each family; false when there are two of one.
fn advertise(media: &mut Media, addresses: impl Iterator<Item = IpAddr>) -> bool {
    let mut unique = true;
    for address in addresses {
        unique &= match address {
            IpAddr::V4(address) => media.advertise_ipv4.replace(address).is_none(),
            IpAddr::V6(address) => media.advertise_ipv6.replace(address).is_none(),
        };
    }
    unique
}

/// Per family what the first listener advertises that has an address of it, and that listener's local networks.
fn inherit_advertise(media: &mut Media, listeners: &[Located<Listener>], faults: &Faults) {
    for listener in listeners {
        let Some(advertised) = &listener.value.advertise else { continue };
        let taken = match advertised.ip() {
            Some(IpAddr::V4(_)) => media.advertise_ipv4.is_some(),
            Some(IpAddr::V6(_)) => media.advertise_ipv6.is_some(),
            None => {
                let host = Quoted::new(&advertised.host);
                faults.note(listener.line, Fault::MediaAdvertisesName { host });
                continue;
            }
        };
        if !taken {
            advertise(media, advertised.ip().into_iter());
            media.local_networks.extend(&listener.value.local_networks);
        }
    }
    media.local_networks.sort_unstable();
    media.local_networks.dedup();
}

/// An IP address with a port that is not 0.
pub(super) fn parse_address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}

/// Where a peer is: an IP address or a host name, each with or without a port.
pub(super) fn parse_peer(text: &str) -> Option<(Host, Option<u16>)> {
    if let Some(address) = parse_address(text) {
        return Some((Host::Ip(address.ip()), Some(address.port())));
    }
    if let Some(ip) = parse_usable_ip(text) {
        return Some((Host::Ip(ip), None));
    }
    let Advertise { host, port } = parse_advertise(text)?;
    Some((Host::new(host.as_bytes())?, port))
}

/// A server of the DNS: an IP address, and a port if it is not 53 (RFC 1035 §4.2).
pub(super) fn parse_name_server(text: &str) -> Option<SocketAddr> {
    let address = parse_address(text).filter(|address| !address.ip().is_unspecified());
    address.or_else(|| Some(SocketAddr::new(parse_usable_ip(text)?, 53)))
}

/// An IP address peers can send to.
fn parse_usable_ip(text: &str) -> Option<IpAddr> {
    parse_ip_literal(text).filter(|address| !address.is_unspecified())
}

fn parse_advertise(text: &str) -> Option<Advertise> {
    if let Some(address) = parse_usable_ip(text) {
        return Some(Advertise { host: address.to_string().into(), port: None });
    }
    if parse_ip_literal(text).is_some() {
        return None;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port: &u16| *port != 0)?)),
        None => (text, None),
    };
    let host = match parse_ip_literal(host) {
        Some(address) => (!address.is_unspecified()).then(|| address.to_string())?,
        None => is_host_name(host).then(|| host.to_owned())?,
    };
    Some(Advertise { host: host.into(), port })
}

/// A host name (RFC 3261 §25.1 `hostname`, and the underscore that is found in the field).
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let top = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !top.bytes().all(|byte| byte.is_ascii_digit())
}

/// `first-last`, narrowed to pairs of an even port for RTP and the odd one above it for RTCP (RFC 3550 §11).
fn parse_ports(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-')?;
    let first: u16 = first.trim().parse().ok().filter(|port| *port > 0)?;
    let last: u16 = last.trim().parse().ok()?;
    let ports = PortRange {
        first: first.checked_add(first % 2)?,
        last: if last.is_multiple_of(2) { last.checked_sub(1)? } else { last },
    };
    // Two legs, each with RTP and RTCP.
    (ports.last.checked_sub(ports.first)? >= 3).then_some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_is_a_host_with_or_without_a_port() {
        let read = |text| parse_advertise(text).map(|found| (found.host.into_string(), found.port));
        let some = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read("203.0.113.7"), some("203.0.113.7", None));
        assert_eq!(read("203.0.113.7:5070"), some("203.0.113.7", Some(5070)));
        assert_eq!(read("2001:DB8::1"), some("2001:db8::1", None));
        assert_eq!(read("[2001:db8::1]:5070"), some("2001:db8::1", Some(5070)));
        assert_eq!(read("sip.example.com"), some("sip.example.com", None));
        assert_eq!(read("sip.example.com:5070"), some("sip.example.com", Some(5070)));
        for text in
            ["", "0.0.0.0", "::", "0.0.0.0:5060", "a b", "host:", "host:0", "host:65536", "1.2.3", ":5060"]
        {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_server_is_an_address_and_listens_at_53_unless_told_otherwise() {
        let read = |text| parse_name_server(text).map(|address| address.to_string());
        assert_eq!(read("192.0.2.53").as_deref(), Some("192.0.2.53:53"));
        assert_eq!(read("127.0.0.1:5353").as_deref(), Some("127.0.0.1:5353"));
        assert_eq!(read("2001:db8::53").as_deref(), Some("[2001:db8::53]:53"));
        assert_eq!(read("[::1]:5353").as_deref(), Some("[::1]:5353"));
        for text in ["", "0.0.0.0", "0.0.0.0:53", "[::]:53", "192.0.2.53:0", "dns.example.com", "192.0.2.53:"]
        {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn media_ports_are_narrowed_to_whole_pairs() {
        let read = |text| parse_ports(text).map(|ports| (ports.first, ports.last));
        assert_eq!(read("40000-59999"), Some((40_000, 59_999)));
        assert_eq!(read("10001 - 20000"), Some((10_002, 19_999)));
        assert_eq!(read("65532-65535"), Some((65_532, 65_535)));
        for text in ["", "-", "40000", "5-4", "40000-40002", "0-100", "1-65536", "65535-65535", "a-b"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
