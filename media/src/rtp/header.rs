//! The RTP fixed header: a checked view, and its rewriting in place (RFC 3550 §5.1, §5.3.1, §A.1; RFC 5761 §4 for
//! telling RTP from RTCP).
//!
//! Left out on purpose: the content of header extensions and contributing sources, which pass through unread.

use std::ops::Range;

use thiserror::Error;

use super::Ssrc;

/// Octets of the header without contributing sources and extension.
pub(crate) const FIXED_HEADER: usize = 12;
const FIXED: usize = FIXED_HEADER;
/// Octets of a header extension before its words.
const EXTENSION: usize = 4;
const VERSION: u8 = 2;
const MARKER: u8 = 0x80;

/// What a datagram on a media port is, by its first two octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// RTP, as far as two octets can tell.
    Rtp,
    /// RTCP: packet types 192 to 223, whose place no payload type with a marker bit may take (RFC 5761 §4).
    Rtcp,
    /// Neither: a version other than 2 (STUN, DTLS, noise), or fewer than two octets.
    Other,
}

impl PacketKind {
    /// Classifies a datagram.
    #[must_use]
    pub const fn of(datagram: &[u8]) -> Self {
        match datagram {
            [first, second, ..] if *first >> 6 == VERSION => match *second {
                192..=223 => Self::Rtcp,
                0..=191 | 224..=255 => Self::Rtp,
            },
            [] | [_, ..] => Self::Other,
        }
    }
}

/// Why a datagram is not a valid RTP packet. The sender is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Shorter than the fixed header, the contributing sources or the extension it announces.
    #[error("{length} octets, but the header needs {needed}")]
    TooShort {
        /// Octets in the datagram.
        length: usize,
        /// Octets the header would take.
        needed: usize,
    },
    /// The version is not 2.
    #[error("version {0}")]
    Version(u8),
    /// The padding count is zero or more than the header leaves.
    #[error("{count} octets of padding in {room}")]
    Padding {
        /// What the last octet says.
        count: usize,
        /// Octets after the header.
        room: usize,
    },
}

/// A view of one valid RTP packet. Copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    fixed: &'a [u8; FIXED],
    payload_start: usize,
    payload_end: usize,
}

impl<'a> Header<'a> {
    /// Checks a datagram as RFC 3550 §A.1 asks: version, contributing sources, extension and padding fit its length.
    ///
    /// Deviation: padding may fill all that the header leaves, where §A.1 wants it to be less. Browsers probe the path with
    /// packets of padding alone, and dropping them would look like loss.
    ///
    /// # Errors
    /// [`HeaderError`] says which check failed. Whether the payload type is known is not checked here.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, HeaderError> {
        let length = datagram.len();
        let fixed = datagram.first_chunk::<FIXED>().ok_or(HeaderError::TooShort { length, needed: FIXED })?;
        let version = fixed[0] >> 6;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let mut payload_start = FIXED + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            payload_start = extension_end(datagram, payload_start)?;
        }
        if payload_start > length {
            return Err(HeaderError::TooShort { length, needed: payload_start });
        }
        let payload_end = if fixed[0] & 0x20 != 0 { padding_start(datagram, payload_start)? } else { length };
        Ok(Self { fixed, payload_start, payload_end })
    }

    /// The marker bit: the first packet of a talkspurt or of an event (RFC 3551 §4.1, RFC 4733 §2.2.2).
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.fixed[1] & MARKER != 0
    }

    /// The payload type, 0 to 127.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        self.fixed[1] & !MARKER
    }

    /// The sequence number.
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The timestamp, in ticks of the format's clock rate.
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The synchronisation source.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        Ssrc(u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]]))
    }

    /// Where the payload lies in the datagram, without padding. Never beyond its end.
    #[must_use]
    pub const fn payload(&self) -> Range<usize> {
        self.payload_start..self.payload_end
    }
}

/// The end of the header extension that begins at `start` (RFC 3550 §5.3.1).
fn extension_end(datagram: &[u8], start: usize) -> Result<usize, HeaderError> {
    let too_short = HeaderError::TooShort { length: datagram.len(), needed: start + EXTENSION };
    let words = datagram.get(start + 2..start + EXTENSION).ok_or(too_short)?;
    Ok(start + EXTENSION + 4 * usize::from(u16::from_be_bytes([words[0], words[1]])))
}

/// The end of the payload of a padded packet: the last octet counts the padding, itself included (RFC 3550 §5.1).
fn padding_start(datagram: &[u8], payload_start: usize) -> Result<usize, HeaderError> {
    let room = datagram.len().saturating_sub(payload_start);
    let count = datagram.last().map_or(0, |count| usize::from(*count));
    if count == 0 || count > room {
        return Err(HeaderError::Padding { count, room });
    }
    Ok(datagram.len() - count)
}

/// New values for the fields of a header that change between two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; only its low seven bits are used.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: Ssrc,
}

impl Rewrite {
    /// A header of these fields alone: no padding, extension or contributing sources.
    #[inline]
    #[must_use]
    pub fn header(&self) -> [u8; FIXED] {
        let mut header = [0; FIXED];
        header[0] = VERSION << 6;
        // It has the length that is asked for.
        let _written = self.apply(&mut header);
        header
    }

    /// Writes the fields over those of `packet`; version, padding, extension and contributing sources stay as they are.
    ///
    /// # Errors
    /// [`HeaderError::TooShort`] for fewer than 12 octets; nothing is written then.
    #[inline]
    pub fn apply(&self, packet: &mut [u8]) -> Result<(), HeaderError> {
        let length = packet.len();
        let fixed =
            packet.first_chunk_mut::<FIXED>().ok_or(HeaderError::TooShort { length, needed: FIXED })?;
        fixed[1] = (self.payload_type & !MARKER) | if self.marker { MARKER } else { 0 };
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0x88, 0x12, 0x34, 1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd, 0x55, 0x55];

    #[test]
    fn the_view_reads_the_fields_of_section_5_1() {
        let header = Header::parse(&PLAIN).unwrap();
        assert!(header.marker());
        assert_eq!(header.payload_type(), 8);
        assert_eq!(header.sequence(), 0x1234);
        assert_eq!(header.timestamp(), 0x0102_0304);
        assert_eq!(header.ssrc(), Ssrc(0xaabb_ccdd));
        assert_eq!(header.payload(), 12..14);
    }

    #[test]
    fn a_version_other_than_two_is_refused() {
        let mut packet = PLAIN;
        packet[0] = 0x40;
        assert_eq!(Header::parse(&packet).unwrap_err(), HeaderError::Version(1));
    }

    #[test]
    fn contributing_sources_must_fit() {
        let mut packet = [0u8; 20];
        packet[0] = 0x82;
        assert_eq!(Header::parse(&packet).unwrap().payload(), 20..20);
        packet[0] = 0x83;
        assert_eq!(Header::parse(&packet).unwrap_err(), HeaderError::TooShort { length: 20, needed: 24 });
    }

    #[test]
    fn the_extension_must_fit() {
        let mut packet = [0u8; 20];
        packet[0] = 0x90;
        packet[15] = 1;
        assert_eq!(Header::parse(&packet).unwrap().payload(), 20..20);
        packet[15] = 2;
        assert_eq!(Header::parse(&packet).unwrap_err(), HeaderError::TooShort { length: 20, needed: 24 });
        assert_eq!(
            Header::parse(&packet[..14]).unwrap_err(),
            HeaderError::TooShort { length: 14, needed: 16 }
        );
    }

    #[test]
    fn padding_is_taken_off_the_payload_and_must_fit() {
        let mut packet = PLAIN;
        packet[0] = 0xa0;
        packet[13] = 1;
        assert_eq!(Header::parse(&packet).unwrap().payload(), 12..13);
        packet[13] = 2;
        assert_eq!(Header::parse(&packet).unwrap().payload(), 12..12);
        packet[13] = 3;
        assert_eq!(Header::parse(&packet).unwrap_err(), HeaderError::Padding { count: 3, room: 2 });
        packet[13] = 0;
        assert_eq!(Header::parse(&packet).unwrap_err(), HeaderError::Padding { count: 0, room: 2 });
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_packet_type() {
        assert_eq!(PacketKind::of(&[0x80, 200]), PacketKind::Rtcp);
        assert_eq!(PacketKind::of(&[0x81, 201]), PacketKind::Rtcp);
        assert_eq!(PacketKind::of(&[0x80, 207]), PacketKind::Rtcp);
        assert_eq!(PacketKind::of(&[0x80, 72]), PacketKind::Rtp);
        assert_eq!(PacketKind::of(&[0x80, 0x80 | 8]), PacketKind::Rtp);
        assert_eq!(PacketKind::of(&[0x80, 0x80 | 101]), PacketKind::Rtp);
    }

    #[test]
    fn stun_dtls_and_runts_are_neither_rtp_nor_rtcp() {
        assert_eq!(PacketKind::of(&[0, 1, 0, 0]), PacketKind::Other);
        assert_eq!(PacketKind::of(&[22, 254, 253]), PacketKind::Other);
        assert_eq!(PacketKind::of(&[0x80]), PacketKind::Other);
        assert_eq!(PacketKind::of(&[]), PacketKind::Other);
    }

    #[test]
    fn a_rewrite_changes_its_fields_alone() {
        let mut packet = PLAIN;
        let new =
            Rewrite { marker: false, payload_type: 0, sequence: 7, timestamp: 160, ssrc: Ssrc(0x0102_0304) };
        new.apply(&mut packet).unwrap();
        assert_eq!(packet, [0x80, 0, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4, 0x55, 0x55]);
        assert!(new.apply(&mut packet[..11]).is_err());
    }
}
