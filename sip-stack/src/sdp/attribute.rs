//! Attributes (RFC 8866 §6): `a=name` and `a=name:value`, the directions and the payload map.

use super::fields::number;
use memchr::memchr;
use serde::{Deserialize, Serialize};

/// One `a=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The name before the colon.
    pub name: &'a [u8],
    /// The text after the colon, without white space at its ends; `None` for a property attribute.
    pub value: Option<&'a [u8]>,
}

impl<'a> Attribute<'a> {
    pub(super) fn read(line: &'a [u8]) -> Attribute<'a> {
        match memchr(b':', line) {
            Some(colon) => Attribute {
                name: line.get(..colon).unwrap_or_default().trim_ascii(),
                value: line.get(colon + 1..).map(<[u8]>::trim_ascii),
            },
            None => Attribute { name: line.trim_ascii(), value: None },
        }
    }
}

/// Which way media flow, as seen by the side that wrote it (RFC 8866 §6.7, RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Both ways; the default where nothing is said.
    #[default]
    SendRecv,
    /// The writer sends and does not want to receive.
    SendOnly,
    /// The writer receives and will not send.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    const ALL: [Direction; 4] =
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

    /// The attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The direction of this name.
    pub fn from_name(name: &[u8]) -> Option<Direction> {
        // All four have eight letters, and most other attributes have not.
        if name.len() != 8 {
            return None;
        }
        Direction::ALL.into_iter().find(|direction| direction.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the writer wants to receive.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// Whether the other side is on hold: it hears nothing, or nothing that its own words could answer (RFC 3264 §8.4).
    pub const fn is_hold(self) -> bool {
        !self.receives()
    }

    /// The same flow as the other side sees it.
    pub const fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }

    /// What an answerer that would like `wanted` may answer to this offer (RFC 3264 §6.1): it sends only what the
    /// offerer receives, and receives only what the offerer sends.
    pub const fn answer(self, wanted: Direction) -> Direction {
        Direction::of(wanted.sends() && self.receives(), wanted.receives() && self.sends())
    }

    /// This direction without what a receiver at 0.0.0.0 cannot hear: the hold of RFC 2543 (RFC 3264 §8.4).
    pub(super) const fn without_receiving(self) -> Direction {
        Direction::of(self.sends(), false)
    }

    const fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }
}

/// The value of `a=rtpmap` (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// 0 to 127.
    pub payload_type: u8,
    /// The encoding's name, to be compared without regard to case.
    pub encoding: &'a [u8],
    /// In Hz.
    pub clock_rate: u32,
    /// 1 where nothing is said.
    pub channels: u8,
}

impl<'a> RtpMap<'a> {
    pub(super) fn read(value: &'a [u8]) -> Option<RtpMap<'a>> {
        let (payload_type, encoding) = split_format(value)?;
        let mut parts = encoding.split(|byte| *byte == b'/').map(<[u8]>::trim_ascii);
        let encoding = parts.next().filter(|name| !name.is_empty())?;
        let clock_rate = number(parts.next()?).filter(|rate| *rate != 0)?;
        let channels = match parts.next() {
            None | Some([]) => 1,
            Some(channels) => number(channels).filter(|channels| *channels != 0)?,
        };
        Some(RtpMap { payload_type, encoding, clock_rate, channels })
    }
}

/// Splits the payload type off the value of `rtpmap` or `fmtp`.
pub(super) fn split_format(value: &[u8]) -> Option<(u8, &[u8])> {
    let space = value.iter().position(u8::is_ascii_whitespace)?;
    Some((payload_type(value.get(..space)?)?, value.get(space..)?.trim_ascii()))
}

/// A payload type: 0 to 127.
pub(super) fn payload_type(format: &[u8]) -> Option<u8> {
    number(format).filter(|number| *number < 128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};

    #[test]
    fn an_answer_sends_what_the_offer_receives_and_receives_what_it_sends() {
        // RFC 3264 §6.1: rows are offers, columns what the answerer would like.
        let wanted = [SendRecv, SendOnly, RecvOnly, Inactive];
        for (offer, answers) in [
            (SendRecv, [SendRecv, SendOnly, RecvOnly, Inactive]),
            (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
            (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
            (Inactive, [Inactive; 4]),
        ] {
            assert_eq!(wanted.map(|wanted| offer.answer(wanted)), answers, "{offer:?}");
            assert_eq!(offer.reversed().reversed(), offer);
            assert_eq!(offer.answer(SendRecv), offer.reversed());
        }
    }

    #[test]
    fn sendonly_and_inactive_are_hold() {
        assert_eq!(
            [SendRecv, SendOnly, RecvOnly, Inactive].map(Direction::is_hold),
            [false, true, false, true]
        );
    }

    #[test]
    fn attributes_have_a_value_only_after_a_colon() {
        assert_eq!(Attribute::read(b"sendrecv "), Attribute { name: b"sendrecv", value: None });
        assert_eq!(Attribute::read(b"ptime: 20"), Attribute { name: b"ptime", value: Some(b"20") });
        assert_eq!(Attribute::read(b"x:"), Attribute { name: b"x", value: Some(b"") });
        assert_eq!(Attribute::read(b"a:b:c").value, Some(&b"b:c"[..]));
    }

    #[test]
    fn a_payload_map_needs_a_name_and_a_rate() {
        let opus = RtpMap { payload_type: 111, encoding: b"opus", clock_rate: 48_000, channels: 2 };
        assert_eq!(RtpMap::read(b"111 opus/48000/2"), Some(opus));
        assert_eq!(RtpMap::read(b"0  PCMU/8000/").unwrap().channels, 1);
        for wrong in
            [&b"0"[..], b"0 PCMU", b"128 X/8000", b"0 /8000", b"0 PCMU/x", b"0 PCMU/0", b"0 PCMU/8000/0"]
        {
            assert_eq!(RtpMap::read(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
