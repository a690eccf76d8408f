//! A compound packet as a row of views (RFC 3550 §6.1, §6.4 to §6.7, §A.2; RFC 5506 for those that hold no report).
//!
//! The whole datagram is checked before the first packet is seen, so that nothing is believed of one that is broken further
//! on. §A.2 wants a report to come first; reduced-size packets have none, so that rule is told
//! ([`Compound::is_reduced_size`]) and not enforced.
//!
//! Left out on purpose: the content of application packets and of types that are not known.

use thiserror::Error;

use super::feedback::{Feedback, FeedbackKind};
use super::packet_type;
use super::report::{ReceiverReport, SenderReport};
use super::sdes::SourceDescription;
use super::xr::ExtendedReport;
use crate::rtp::Ssrc;

/// Octets of the common header.
pub(super) const HEADER: usize = 4;
const VERSION: u8 = 2;
const PADDING: u8 = 0x20;

/// Why a datagram is not RTCP. The sender is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Nothing at all, or octets at the end that make no header.
    #[error("{0} octets where a header needs four")]
    TooShort(usize),
    /// The version of a packet is not 2.
    #[error("version {0}")]
    Version(u8),
    /// A packet type outside those that RTP and RTCP on one port leave to RTCP (RFC 5761 §4).
    #[error("packet type {0}")]
    PacketType(u8),
    /// A packet announces more octets than are left.
    #[error("a packet of {announced} octets in {left}")]
    Length {
        /// Octets by the length field, header included.
        announced: usize,
        /// Octets in the datagram from its header on.
        left: usize,
    },
    /// Padding that is not in the last packet, or does not fit it.
    #[error("padding that cannot be")]
    Padding,
    /// A packet does not hold what its count or its type announces.
    #[error("packet type {packet_type} is too short for its content")]
    Content {
        /// The packet type.
        packet_type: u8,
    },
}

/// A checked compound packet. Copies nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks a whole datagram.
    ///
    /// # Errors
    /// [`ParseError`] says which check failed first.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = datagram;
        loop {
            rest = split_packet(rest)?.1;
            if rest.is_empty() {
                return Ok(Self { bytes: datagram });
            }
        }
    }

    /// Whether it does not begin with a report (RFC 5506 §4.1): only a peer that agreed to such packets sends them.
    #[must_use]
    pub fn is_reduced_size(&self) -> bool {
        !matches!(self.bytes.get(1), Some(&packet_type::SENDER_REPORT | &packet_type::RECEIVER_REPORT))
    }

    /// Who sends it, by the first packet that says so.
    #[must_use]
    pub fn sender(&self) -> Option<Ssrc> {
        self.packets().find_map(|packet| match packet {
            Packet::SenderReport(report) => Some(report.ssrc()),
            Packet::ReceiverReport(report) => Some(report.ssrc()),
            Packet::Feedback(feedback) => Some(feedback.sender()),
            Packet::ExtendedReport(report) => Some(report.ssrc()),
            Packet::SourceDescription(description) => description.chunks().next().map(|chunk| chunk.ssrc()),
            Packet::Goodbye(goodbye) => goodbye.sources().next(),
            Packet::Application(_) | Packet::Unknown(_) => None,
        })
    }

    /// Octets of all of it.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Its packets in order.
    #[must_use]
    pub const fn packets(&self) -> Packets<'a> {
        Packets { rest: self.bytes }
    }
}

/// The packets of a compound packet.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        // The row was checked, so the only error left is its end.
        let (packet, rest) = split_packet(self.rest).ok()?;
        self.rest = rest;
        Some(packet)
    }
}

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// SR.
    SenderReport(SenderReport<'a>),
    /// RR.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES.
    SourceDescription(SourceDescription<'a>),
    /// BYE.
    Goodbye(Goodbye<'a>),
    /// RTPFB or PSFB (RFC 4585 §6).
    Feedback(Feedback<'a>),
    /// XR (RFC 3611).
    ExtendedReport(ExtendedReport<'a>),
    /// APP: the whole packet.
    Application(&'a [u8]),
    /// A type that is not known: the whole packet, to be ignored (RFC 3550 §6.1).
    Unknown(&'a [u8]),
}

/// Takes the first packet off a row.
fn split_packet(row: &[u8]) -> Result<(Packet<'_>, &[u8]), ParseError> {
    let &[first, packet_type, high, low] = row.first_chunk().ok_or(ParseError::TooShort(row.len()))?;
    if first >> 6 != VERSION {
        return Err(ParseError::Version(first >> 6));
    }
    if !matches!(packet_type, 192..=223) {
        return Err(ParseError::PacketType(packet_type));
    }
    let announced = HEADER + 4 * usize::from(u16::from_be_bytes([high, low]));
    let length = ParseError::Length { announced, left: row.len() };
    let (packet, rest) = row.split_at_checked(announced).ok_or(length)?;
    let body = packet.get(HEADER..).unwrap_or_default();
    let body = if first & PADDING == 0 { body } else { without_padding(body, rest)? };
    let parsed = parse_body(packet_type, first & 0x1f, packet, body);
    Ok((parsed.ok_or(ParseError::Content { packet_type })?, rest))
}

/// The body of the last packet without its padding, whose last octet counts it (RFC 3550 §6.4.1).
///
/// Deviation: the count may be other than whole words, as stacks that grew out of pion pad a BYE.
fn without_padding<'a>(body: &'a [u8], rest: &[u8]) -> Result<&'a [u8], ParseError> {
    let count = body.last().map_or(0, |count| usize::from(*count));
    let possible = rest.is_empty() && count != 0;
    let end = body.len().checked_sub(count).filter(|_| possible).ok_or(ParseError::Padding)?;
    body.get(..end).ok_or(ParseError::Padding)
}

fn parse_body<'a>(packet_type: u8, count: u8, packet: &'a [u8], body: &'a [u8]) -> Option<Packet<'a>> {
    match packet_type {
        packet_type::SENDER_REPORT => SenderReport::parse(count, body).map(Packet::SenderReport),
        packet_type::RECEIVER_REPORT => ReceiverReport::parse(count, body).map(Packet::ReceiverReport),
        packet_type::SOURCE_DESCRIPTION => {
            SourceDescription::parse(count, body).map(Packet::SourceDescription)
        }
        packet_type::GOODBYE => Goodbye::parse(count, body).map(Packet::Goodbye),
        packet_type::APPLICATION => Some(Packet::Application(packet)),
        packet_type::TRANSPORT_FEEDBACK => {
            Feedback::parse(FeedbackKind::transport(count), packet, body).map(Packet::Feedback)
        }
        packet_type::PAYLOAD_FEEDBACK => {
            Feedback::parse(FeedbackKind::payload(count, body), packet, body).map(Packet::Feedback)
        }
        packet_type::EXTENDED_REPORT => ExtendedReport::parse(body).map(Packet::ExtendedReport),
        _ => Some(Packet::Unknown(packet)),
    }
}

/// A view of a BYE packet (RFC 3550 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye<'a> {
    sources: &'a [[u8; 4]],
    reason: &'a [u8],
}

impl<'a> Goodbye<'a> {
    fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (sources, _) = body.as_chunks::<4>();
        let sources = sources.get(..usize::from(count))?;
        let reason = match body.get(4 * sources.len()..)?.split_first() {
            Some((length, text)) => text.get(..usize::from(*length))?,
            None => &[],
        };
        Some(Self { sources, reason })
    }

    /// The sources that leave, at most 31.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        self.sources.iter().map(|source| Ssrc(u32::from_be_bytes(*source)))
    }

    /// Why, meant to be UTF-8; empty when it is not said.
    #[must_use]
    pub const fn reason(&self) -> &'a [u8] {
        self.reason
    }
}
