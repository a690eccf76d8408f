//! Where RTCP goes: `rtcp` (RFC 3605), `rtcp-mux` (RFC 5761 §5.1.1, RFC 8035), `rtcp-mux-only` (RFC 8858), and
//! `rtcp-rsize` (RFC 5506).
//!
//! Left out on purpose: the lines `rtcp-fb` and `rtcp-xr`, which are kept as lines and mean nothing here.

use super::attribute::Attribute;
use super::codec::SdpText;
use super::description::MediaDescription;
use super::fields::{Connection, number, words};
use super::offer::MediaAddress;
use super::writer::SdpWriter;
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What one side says about RTCP for one media. The default says nothing: the port above that of RTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtcpAttributes {
    /// Whether the writer can have RTP and RTCP on one port.
    pub mux: bool,
    /// Whether the writer cannot have them on two: a side that cannot multiplex rejects the stream.
    pub mux_only: bool,
    /// Whether the writer takes RTCP of reduced size.
    pub reduced_size: bool,
    /// Another port than the one above that of RTP.
    pub port: Option<u16>,
    /// Another address than that of RTP.
    pub address: Option<MediaAddress>,
}

impl RtcpAttributes {
    /// Reads the lines of a media; an `a=rtcp` that is malformed says nothing.
    pub fn of(media: &MediaDescription<'_>) -> RtcpAttributes {
        let mut lines = RtcpLines::default();
        media.section.attributes().for_each(|attribute| lines.take(&attribute));
        lines.read()
    }

    /// Whether RTCP shares the port of RTP: only when both say so (RFC 5761 §5.1.1).
    pub const fn is_mux_with(&self, other: &RtcpAttributes) -> bool {
        self.mux && other.mux
    }

    /// Where the writer receives RTCP when it receives RTP at `rtp`. `None`: a name to be resolved, or no port above.
    pub fn destination(&self, rtp: SocketAddr, is_mux: bool) -> Option<SocketAddr> {
        if is_mux {
            return Some(rtp);
        }
        let ip = match &self.address {
            None => rtp.ip(),
            Some(MediaAddress::Ip(ip)) => *ip,
            Some(MediaAddress::Name(_)) => return None,
        };
        Some(SocketAddr::new(ip, self.port.or_else(|| rtp.port().checked_add(1))?))
    }

    /// Writes the lines of one media.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        if let Some(port) = self.port {
            writer.start_attribute("rtcp");
            writer.decimal(port.into());
            match &self.address {
                Some(MediaAddress::Ip(ip)) => {
                    writer.display(" ");
                    writer.address(*ip);
                }
                Some(MediaAddress::Name(name)) => {
                    writer.display(" IN IP4 ");
                    writer.text(name.as_bytes());
                }
                None => {}
            }
            writer.end();
        }
        for (is_set, line) in [
            (self.mux, &b"rtcp-mux"[..]),
            (self.mux_only, b"rtcp-mux-only"),
            (self.reduced_size, b"rtcp-rsize"),
        ] {
            if is_set {
                writer.line(b'a', line);
            }
        }
    }
}

/// The lines about RTCP among those of a media.
#[derive(Default)]
pub(super) struct RtcpLines<'a> {
    mux: bool,
    mux_only: bool,
    reduced_size: bool,
    /// Of the first `a=rtcp` that has a value.
    port: Option<&'a [u8]>,
}

impl<'a> RtcpLines<'a> {
    /// Takes note of a line, whatever it is about.
    pub(super) fn take(&mut self, attribute: &Attribute<'a>) {
        let Attribute { name, value } = *attribute;
        if !name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"rtcp")) {
            return;
        }
        self.mux |= name.eq_ignore_ascii_case(b"rtcp-mux");
        self.mux_only |= name.eq_ignore_ascii_case(b"rtcp-mux-only");
        self.reduced_size |= name.eq_ignore_ascii_case(b"rtcp-rsize");
        if name.len() == 4 {
            self.port = self.port.or(value);
        }
    }

    pub(super) fn read(self) -> RtcpAttributes {
        let (port, address) = self.port.and_then(read_rtcp).unwrap_or_default();
        let RtcpLines { mux, mux_only, reduced_size, .. } = self;
        RtcpAttributes { mux: mux || mux_only, mux_only, reduced_size, port, address }
    }
}

/// `port [nettype addrtype address]` (RFC 3605 §2.1).
fn read_rtcp(value: &[u8]) -> Option<(Option<u16>, Option<MediaAddress>)> {
    let port = number(words(value).next()?).filter(|port| *port != 0)?;
    let rest = value.iter().position(u8::is_ascii_whitespace).and_then(|space| value.get(space..));
    let connection = rest.and_then(Connection::read);
    let address = connection.map(|connection| match connection.ip() {
        Some(ip) => MediaAddress::Ip(ip),
        None => MediaAddress::Name(SdpText::from(connection.address)),
    });
    Some((Some(port), address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::SessionDescription;

    fn rtcp(lines: &str) -> RtcpAttributes {
        let text = format!("v=0\nm=audio 4000 RTP/AVP 0\n{lines}");
        RtcpAttributes::of(&SessionDescription::parse(text.as_bytes()).unwrap().media[0])
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn rtcp_goes_to_the_port_above_unless_a_line_names_another() {
        let rtp = at("192.0.2.1:4000");
        for (lines, destination) in [
            ("", Some("192.0.2.1:4001")),
            ("a=rtcp:53020\n", Some("192.0.2.1:53020")),
            ("a=rtcp:53020 IN IP4 192.0.2.9\n", Some("192.0.2.9:53020")),
            ("a=rtcp:53020 IN IP6 2001:db8::9\n", Some("[2001:db8::9]:53020")),
            ("a=rtcp:53020 IN IP4 media.example.com\n", None),
            ("a=rtcp:x\n", Some("192.0.2.1:4001")),
            ("a=rtcp:0\n", Some("192.0.2.1:4001")),
        ] {
            assert_eq!(rtcp(lines).destination(rtp, false), destination.map(at), "{lines}");
        }
        assert_eq!(rtcp("").destination(at("192.0.2.1:65535"), false), None);
    }

    #[test]
    fn one_port_serves_both_only_when_both_sides_say_so() {
        let (mux, only, plain) = (rtcp("a=rtcp-mux\n"), rtcp("a=rtcp-mux-only\n"), rtcp(""));
        assert!(mux.is_mux_with(&mux) && mux.is_mux_with(&only));
        assert!(!mux.is_mux_with(&plain) && !plain.is_mux_with(&mux));
        assert_eq!(mux.destination(at("192.0.2.1:4000"), true), Some(at("192.0.2.1:4000")));
        assert!(only.mux_only && !mux.mux_only);
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for lines in [
            "a=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
            "a=rtcp:53020\r\n",
            "a=rtcp:5 IN IP4 media.example.com\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n",
            "",
        ] {
            let mut out = Vec::new();
            rtcp(lines).write(&mut SdpWriter::new(&mut out));
            assert_eq!(String::from_utf8(out).unwrap(), format!("v=0\r\n{lines}"));
        }
    }
}
