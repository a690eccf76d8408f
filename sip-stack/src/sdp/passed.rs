//! A stream that a B2BUA passes from one session to another: its lines stay, its carriage is the B2BUA's own.
//!
//! Video goes through so, and whatever else is not read here. Kept in their order: formats, `rtpmap`, `fmtp`, `rtcp-fb`
//! (RFC 4585), `ssrc` (RFC 5576), `msid` (RFC 8830), `extmap`, `b=`, `i=`, unknown attributes and unknown lines. Left
//! out: what holds between neighbours alone, see `transport.rs`, and `k=`, which RFC 8866 §5.12 forbids.

use super::attribute::{Attribute, Direction};
use super::description::{MediaDescription, Section};
use super::line::Line;
use super::transport::TransportAttributes;
use super::writer::SdpWriter;
use bytes::BufMut;
use std::net::IpAddr;

/// A stream of the other session, under an address of ours.
#[derive(Clone, Copy, Debug)]
pub struct PassedMedia<'a> {
    /// The stream as the party behind us described it. One with port 0 is rejected here too.
    pub media: &'a MediaDescription<'a>,
    /// Where we receive.
    pub address: IpAddr,
    /// Where we receive.
    pub port: u16,
    /// The protocol to offer, such as `RTP/AVPF`; an answer keeps that of the offer.
    pub protocol: &'a [u8],
    /// As we see it; `None` for a stream that has no directions, such as T.38.
    pub direction: Option<Direction>,
    /// How we carry it.
    pub attributes: Option<&'a TransportAttributes>,
}

/// Writes the lines of the session that do not belong to a neighbour: of kind `b` or `a`.
pub(super) fn write_session_lines<B: BufMut>(writer: &mut SdpWriter<'_, B>, section: &Section<'_>, kind: u8) {
    for line in section.lines().filter(|line| line.kind == kind && is_kept(line)) {
        writer.line(line.kind, line.value);
    }
}

impl PassedMedia<'_> {
    /// Writes `i=`, which RFC 8866 §5 puts before `c=`.
    pub(super) fn write_information<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        for line in self.media.section.lines().filter(|line| line.kind == b'i') {
            writer.line(line.kind, line.value);
        }
    }

    /// Writes the other lines that are kept, and then the direction.
    pub(super) fn write_lines<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        for line in self.media.section.lines().filter(|line| line.kind != b'i' && is_kept(line)) {
            writer.line(line.kind, line.value);
        }
        if let Some(direction) = self.direction {
            writer.direction(direction);
        }
    }
}

fn is_kept(line: &Line<'_>) -> bool {
    match line.kind {
        b'c' | b'k' => false,
        b'a' => {
            let name = Attribute::read(line.value).name;
            !TransportAttributes::is_one(name) && Direction::from_name(name).is_none()
        }
        _ => true,
    }
}
