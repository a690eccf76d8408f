//! ICE candidates (RFC 8839 §5.1, §5.2; RFC 6544 §4.5 for TCP).
//!
//! Left out on purpose: candidates with a host name, such as a browser's `.local` names, and those of an unknown
//! transport or type. §5.1 wants such lines ignored, and so they are.

use super::codec::SdpText;
use super::fields::{number, words};
use super::writer::SdpWriter;
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// A transport address to be checked for connectivity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceCandidate {
    /// The same for candidates of one type, base and server: 1 to 32 characters.
    pub foundation: SdpText,
    /// 1 for RTP, 2 for RTCP; up to 256.
    pub component: u16,
    /// What the address is an address of.
    pub transport: CandidateTransport,
    /// From 1; the higher, the sooner it is tried (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Where checks are sent.
    pub address: SocketAddr,
    /// How the writer came by the address.
    pub kind: CandidateKind,
    /// The base of a reflexive candidate, or the mapped address of a relayed one. For diagnostics alone.
    pub related: Option<SocketAddr>,
    /// Name and value pairs that follow, as text: `tcptype active generation 0 …`.
    pub extensions: SdpText,
}

/// The transport of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CandidateTransport {
    /// `UDP`
    Udp,
    /// `TCP` (RFC 6544)
    Tcp,
}

/// The type of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CandidateKind {
    /// `host`: an address of the writer's own.
    Host,
    /// `srflx`: as a STUN server sees it.
    ServerReflexive,
    /// `prflx`: as the peer sees it.
    PeerReflexive,
    /// `relay`: at a TURN server.
    Relayed,
}

/// The candidate of the other side that a controlling agent chose for one component (RFC 8839 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCandidate {
    /// 1 for RTP, 2 for RTCP.
    pub component: u16,
    /// Its transport address.
    pub address: SocketAddr,
}

impl CandidateKind {
    const ALL: [CandidateKind; 4] = [
        CandidateKind::Host,
        CandidateKind::ServerReflexive,
        CandidateKind::PeerReflexive,
        CandidateKind::Relayed,
    ];

    /// As it stands after `typ`.
    pub const fn name(self) -> &'static str {
        match self {
            CandidateKind::Host => "host",
            CandidateKind::ServerReflexive => "srflx",
            CandidateKind::PeerReflexive => "prflx",
            CandidateKind::Relayed => "relay",
        }
    }

    fn from_name(name: &[u8]) -> Option<CandidateKind> {
        CandidateKind::ALL.into_iter().find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl CandidateTransport {
    const fn name(self) -> &'static str {
        match self {
            CandidateTransport::Udp => "UDP",
            CandidateTransport::Tcp => "TCP",
        }
    }

    fn from_name(name: &[u8]) -> Option<CandidateTransport> {
        [CandidateTransport::Udp, CandidateTransport::Tcp]
            .into_iter()
            .find(|transport| transport.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl IceCandidate {
    /// Reads the value of `a=candidate`. `None` for what is malformed and what §5.1 wants ignored.
    pub fn read(value: &[u8]) -> Option<IceCandidate> {
        let mut words = words(value).peekable();
        let foundation = words.next().filter(|text| is_ice_text(text, 1, 32))?;
        let component = component(words.next()?)?;
        let transport = CandidateTransport::from_name(words.next()?)?;
        let priority = number(words.next()?).filter(|priority| *priority != 0)?;
        let address = SocketAddr::new(ip(words.next()?)?, number(words.next()?)?);
        words.next().filter(|word| word.eq_ignore_ascii_case(b"typ"))?;
        let kind = CandidateKind::from_name(words.next()?)?;
        let (mut related_ip, mut related_port) = (None, 0);
        if words.next_if(|word| word.eq_ignore_ascii_case(b"raddr")).is_some() {
            related_ip = ip(words.next()?);
        }
        if words.next_if(|word| word.eq_ignore_ascii_case(b"rport")).is_some() {
            related_port = number(words.next()?)?;
        }
        // Out of its place it would be read as the related address by the next one that we pass the line to.
        if words.peek().is_some_and(|word| is_related(word)) {
            return None;
        }
        let extensions: Vec<&[u8]> = words.collect();
        Some(IceCandidate {
            foundation: foundation.into(),
            component,
            transport,
            priority,
            address,
            kind,
            related: related_ip.map(|ip| SocketAddr::new(ip, related_port)),
            extensions: SdpText::from(extensions.join(&b' ').as_slice()),
        })
    }

    /// Writes `a=candidate`.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        writer.start_attribute("candidate");
        writer.text(self.foundation.as_bytes());
        let (address, transport) = (self.address, self.transport.name());
        let place = format_args!("{} {}", address.ip(), address.port());
        writer.display(format_args!(" {} {transport} {} {place}", self.component, self.priority));
        writer.display(format_args!(" typ {}", self.kind.name()));
        if let Some(related) = self.related {
            writer.display(format_args!(" raddr {} rport {}", related.ip(), related.port()));
        }
        if !self.extensions.as_bytes().is_empty() {
            writer.display(" ");
            writer.text(self.extensions.as_bytes());
        }
        writer.end();
    }
}

impl RemoteCandidate {
    /// Reads the value of `a=remote-candidates`; what is malformed is left out.
    pub fn read_list(value: &[u8]) -> impl Iterator<Item = RemoteCandidate> {
        let mut words = words(value);
        std::iter::from_fn(move || Some([words.next()?, words.next()?, words.next()?])).filter_map(
            |[number_text, ip_text, port]| {
                let address = SocketAddr::new(ip(ip_text)?, number(port)?);
                Some(RemoteCandidate { component: component(number_text)?, address })
            },
        )
    }
}

/// Whether a text has only letters, digits, `+` and `/`, and a length from `least` to `most`.
pub(super) fn is_ice_text(text: &[u8], least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn is_related(word: &[u8]) -> bool {
    [&b"raddr"[..], b"rport"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn component(text: &[u8]) -> Option<u16> {
    number(text).filter(|component| (1..=256).contains(component))
}

fn ip(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(candidate: &IceCandidate) -> String {
        let mut out = Vec::new();
        let mut writer = SdpWriter::new(&mut out);
        candidate.write(&mut writer);
        String::from_utf8(out).unwrap().trim_start_matches("v=0\r\n").trim_end().to_owned()
    }

    #[test]
    fn a_candidate_of_each_type_is_read_and_written_back() {
        for line in [
            "a=candidate:1 1 UDP 2130706431 2001:db8::1 8998 typ host",
            "a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "a=candidate:aB+/ 2 UDP 1 192.0.2.3 4 typ prflx raddr 0.0.0.0 rport 9",
            "a=candidate:3 1 UDP 41885439 198.51.100.1 50000 typ relay raddr 192.0.2.3 rport 45664 generation 0",
            "a=candidate:4 1 TCP 1518280447 192.0.2.3 9 typ host tcptype active",
        ] {
            let value = line.strip_prefix("a=candidate:").unwrap();
            assert_eq!(written(&IceCandidate::read(value.as_bytes()).unwrap()), line);
        }
    }

    #[test]
    fn names_unknown_transports_and_unknown_types_are_ignored() {
        for value in [
            "1 1 udp 2113937151 f5a1d0c6-0d6c-4d2a-9e0b-0242ac110002.local 54400 typ host",
            "1 1 SCTP 2113937151 192.0.2.1 54400 typ host",
            "1 1 UDP 2113937151 192.0.2.1 54400 typ token",
            "1 0 UDP 2113937151 192.0.2.1 54400 typ host",
            "1 257 UDP 2113937151 192.0.2.1 54400 typ host",
            "1 1 UDP 0 192.0.2.1 54400 typ host",
            "1 1 UDP 4294967296 192.0.2.1 54400 typ host",
            "1 1 UDP 1 192.0.2.1 65536 typ host",
            "1 1 UDP 1 192.0.2.1 1 host",
            "1 1 UDP 1 192.0.2.1 1 typ srflx raddr",
            "x_y 1 UDP 1 192.0.2.1 1 typ host",
            "",
        ] {
            assert_eq!(IceCandidate::read(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_related_address_out_of_its_place_is_no_extension() {
        for value in
            ["raddr x.local raddr 192.0.2.3", "rport 9 raddr 192.0.2.3", "raddr x.local RPORT 9 rport 8"]
        {
            let value = format!("1 1 UDP 1 192.0.2.1 1 typ srflx {value}");
            assert_eq!(IceCandidate::read(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_related_name_is_left_off() {
        let value = b"1 1 udp 1 192.0.2.1 5 typ srflx raddr x.local rport 9 network-id 1";
        let candidate = IceCandidate::read(value).unwrap();
        assert_eq!((candidate.related, candidate.extensions.as_bytes()), (None, &b"network-id 1"[..]));
    }

    #[test]
    fn remote_candidates_come_in_threes() {
        let list: Vec<_> =
            RemoteCandidate::read_list(b"1 192.0.2.3 45664 2 192.0.2.3 45665 x y z 1 192.0.2.9").collect();
        let at = |component, port| RemoteCandidate { component, address: ([192, 0, 2, 3], port).into() };
        assert_eq!(list, [at(1, 45_664), at(2, 45_665)]);
    }
}
