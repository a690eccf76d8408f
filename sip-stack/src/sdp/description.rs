//! The session description (RFC 8866 §5) as a view of its text: typed where audio needs it, every other line in place.
//!
//! Tolerant where phones and gateways are: `o=`, `s=` and `t=` may be missing, an origin may be a host name, lines may
//! come in another order than the RFC's within a section, and the first of two lines that should stand once counts.

use super::attribute::{Attribute, Direction, RtpMap, payload_type, split_format};
use super::fields::{Connection, Origin, number, words};
use super::line::{Limits, Line, Lines, SdpError, SdpErrorKind};

/// A session description, borrowed from the body it was read from.
#[derive(Clone, Debug)]
pub struct SessionDescription<'a> {
    /// `o=`
    pub origin: Option<Origin<'a>>,
    /// `s=`
    pub name: Option<&'a [u8]>,
    /// The first `t=`, as text: an answer repeats it (RFC 3264 §6).
    pub time: Option<&'a [u8]>,
    /// `c=` for every media that has none of its own.
    pub connection: Option<Connection<'a>>,
    /// The direction for every media that has none of its own.
    pub direction: Option<Direction>,
    /// All lines before the first `m=`.
    pub section: Section<'a>,
    /// The media in their order, which is their identity in offer and answer (RFC 3264 §5).
    pub media: Vec<MediaDescription<'a>>,
}

/// One `m=` line (RFC 8866 §5.14) and what follows it.
#[derive(Clone, Debug)]
pub struct MediaDescription<'a> {
    /// `audio`, `video`, `application`, …
    pub media: &'a [u8],
    /// 0 for a stream that is rejected or closed (RFC 3264 §6, §8.2).
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: &'a [u8],
    /// The formats as they stand, at least one.
    pub formats_text: &'a [u8],
    /// `c=` of this media alone; see [`SessionDescription::connection_of`].
    pub connection: Option<Connection<'a>>,
    /// The direction of this media alone; see [`SessionDescription::direction_of`].
    pub direction: Option<Direction>,
    /// All lines after this `m=` and before the next.
    pub section: Section<'a>,
}

/// A run of lines: those of the session, or those of one media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    text: &'a [u8],
}

impl<'a> Section<'a> {
    /// All lines in their order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> + Clone + use<'a> {
        Lines::new(self.text)
    }

    /// The `a=` lines in their order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + Clone + use<'a> {
        self.lines().filter(|line| line.kind == b'a').map(|line| Attribute::read(line.value))
    }

    /// The first attribute of this name.
    pub fn attribute(&self, name: &[u8]) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first attribute of this name that has one.
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The values of all attributes of this name, in their order.
    pub fn values<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        let named = self.attributes().filter(move |attribute| attribute.name.eq_ignore_ascii_case(name));
        named.filter_map(|attribute| attribute.value)
    }
}

impl<'a> SessionDescription<'a> {
    /// Reads a description within the usual [`Limits`]. Allocates for the list of media alone.
    ///
    /// # Errors
    /// [`SdpError`] with the number of the first line that cannot be used.
    pub fn parse(text: &'a [u8]) -> Result<SessionDescription<'a>, SdpError> {
        SessionDescription::parse_within(text, &Limits::default())
    }

    /// Reads a description within the given limits.
    ///
    /// # Errors
    /// As [`SessionDescription::parse`].
    pub fn parse_within(text: &'a [u8], limits: &Limits) -> Result<SessionDescription<'a>, SdpError> {
        if text.len() > limits.bytes {
            return Err(SdpError { line: 1, kind: SdpErrorKind::TooLarge });
        }
        let mut lines = Lines::new(text);
        read_version(&mut lines)?;
        let mut session = SessionDescription {
            origin: None,
            name: None,
            time: None,
            connection: None,
            direction: None,
            section: Section { text: lines.rest },
            media: Vec::new(),
        };
        loop {
            let before = lines.rest;
            let Some(line) = lines.next_line() else { break };
            let at = |kind| SdpError { line: lines.number, kind };
            if lines.number > limits.lines {
                return Err(at(SdpErrorKind::TooLarge));
            }
            let line = line?;
            if line.kind == b'm' {
                if session.media.len() >= limits.media {
                    return Err(at(SdpErrorKind::TooLarge));
                }
                session.last_section().end_before(before);
                let media = MediaDescription::read(line.value, lines.rest).ok_or(at(SdpErrorKind::Media))?;
                session.media.push(media);
            } else {
                session.take(line).map_err(at)?;
            }
        }
        Ok(session)
    }

    /// How many `m=` lines a text has, whether or not it can be read.
    pub fn media_lines(text: &[u8]) -> usize {
        memchr::memmem::find_iter(text, b"\nm=").count() + usize::from(text.starts_with(b"m="))
    }

    /// The connection that holds for `media`: its own, or the session's.
    pub fn connection_of(&self, media: &MediaDescription<'a>) -> Option<Connection<'a>> {
        media.connection.or(self.connection)
    }

    /// The direction that holds for `media`: its own, or the session's, or [`Direction::SendRecv`] (RFC 3264 §5.1).
    pub fn direction_of(&self, media: &MediaDescription<'a>) -> Direction {
        media.direction.or(self.direction).unwrap_or_default()
    }

    fn last_section(&mut self) -> &mut Section<'a> {
        match self.media.last_mut() {
            Some(media) => &mut media.section,
            None => &mut self.section,
        }
    }

    /// Takes note of a line that holds for the section under way.
    fn take(&mut self, line: Line<'a>) -> Result<(), SdpErrorKind> {
        let (connection, direction) = match self.media.last_mut() {
            Some(media) => (&mut media.connection, &mut media.direction),
            None => (&mut self.connection, &mut self.direction),
        };
        match line.kind {
            b'c' if connection.is_none() => {
                *connection = Some(Connection::read(line.value).ok_or(SdpErrorKind::Connection)?);
            }
            b'a' if direction.is_none() => {
                *direction = Direction::from_name(Attribute::read(line.value).name)
            }
            b'o' if self.media.is_empty() && self.origin.is_none() => {
                self.origin = Some(Origin::read(line.value).ok_or(SdpErrorKind::Origin)?);
            }
            b's' if self.media.is_empty() && self.name.is_none() => self.name = Some(line.value),
            b't' if self.media.is_empty() && self.time.is_none() => self.time = Some(line.value),
            _ => {}
        }
        Ok(())
    }
}

fn read_version(lines: &mut Lines<'_>) -> Result<(), SdpError> {
    match lines.next_line() {
        Some(Ok(Line { kind: b'v', value })) if value.trim_ascii() == b"0" => Ok(()),
        Some(Ok(Line { kind: b'v', .. })) => {
            Err(SdpError { line: lines.number, kind: SdpErrorKind::Version })
        }
        Some(Ok(_)) | None => Err(SdpError { line: lines.number.max(1), kind: SdpErrorKind::NoVersion }),
        Some(Err(error)) => Err(error),
    }
}

impl<'a> Section<'a> {
    /// Cuts this section, which runs to the end of the text, where `rest` begins.
    fn end_before(&mut self, rest: &[u8]) {
        self.text = self.text.get(..self.text.len().saturating_sub(rest.len())).unwrap_or_default();
    }
}

impl<'a> MediaDescription<'a> {
    fn read(value: &'a [u8], rest: &'a [u8]) -> Option<MediaDescription<'a>> {
        if value.iter().any(u8::is_ascii_control) {
            return None;
        }
        let (media, value) = split_first_word(value)?;
        let (port, value) = split_first_word(value)?;
        let (protocol, formats) = split_first_word(value)?;
        // A second number is a count of ports (RFC 8866 §5.14), of no use with one unicast stream.
        let port = number(port.split(|byte| *byte == b'/').next()?)?;
        let formats_text = formats.trim_ascii();
        if formats_text.is_empty() {
            return None;
        }
        let section = Section { text: rest };
        Some(MediaDescription {
            media,
            port,
            protocol,
            formats_text,
            connection: None,
            direction: None,
            section,
        })
    }

    /// The formats in their order of preference.
    pub fn formats(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        words(self.formats_text)
    }

    /// The formats that are payload types, in their order of preference.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        self.formats().filter_map(payload_type)
    }

    /// The `a=rtpmap` of a payload type.
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap<'a>> {
        self.section.values(b"rtpmap").filter_map(RtpMap::read).find(|map| map.payload_type == payload_type)
    }

    /// The parameters of the `a=fmtp` of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<&'a [u8]> {
        let of_format = |(number, parameters)| (number == payload_type).then_some(parameters);
        self.section.values(b"fmtp").filter_map(split_format).find_map(of_format)
    }

    /// `a=ptime`: milliseconds of media in a packet that the writer would like to receive.
    pub fn ptime_ms(&self) -> Option<u16> {
        self.milliseconds(b"ptime")
    }

    /// `a=maxptime`: the longest packet in milliseconds that the writer can receive.
    pub fn maxptime_ms(&self) -> Option<u16> {
        self.milliseconds(b"maxptime")
    }

    fn milliseconds(&self, name: &[u8]) -> Option<u16> {
        self.section.value(name).and_then(milliseconds)
    }
}

/// The value of `a=ptime` or `a=maxptime`: whole milliseconds; a fraction is cut off, zero says nothing.
pub(super) fn milliseconds(text: &[u8]) -> Option<u16> {
    number(text.split(|byte| *byte == b'.').next()?).filter(|milliseconds| *milliseconds != 0)
}

fn split_first_word(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = value.trim_ascii_start();
    let end = value.iter().position(u8::is_ascii_whitespace)?;
    Some(value.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &[u8]) -> (u32, SdpErrorKind) {
        let error = SessionDescription::parse(text).unwrap_err();
        (error.line, error.kind)
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number() {
        assert_eq!(error(b""), (1, SdpErrorKind::NoVersion));
        assert_eq!(error(b"\r\n\r\n"), (2, SdpErrorKind::NoVersion));
        assert_eq!(error(b"o=- 1 1 IN IP4 192.0.2.1\r\n"), (1, SdpErrorKind::NoVersion));
        assert_eq!(error(b"v=1\r\n"), (1, SdpErrorKind::Version));
        assert_eq!(error(b"v=0\no=- 1 IN IP4 a\n"), (2, SdpErrorKind::Origin));
        assert_eq!(error(b"v=0\r\ns=-\r\nc=IN IP4\r\n"), (3, SdpErrorKind::Connection));
        assert_eq!(error(b"v=0\r\n\r\nhello\r\n"), (3, SdpErrorKind::NotALine));
        assert_eq!(error(b"v=0\ns=a\rb\n"), (2, SdpErrorKind::ControlCharacter));
        assert_eq!(error(b"v=0\ns=a\0b\n"), (2, SdpErrorKind::ControlCharacter));
        for media in [
            "audio",
            "audio 1",
            "audio 1 RTP/AVP",
            "audio 1 RTP/AVP ",
            "audio 65536 RTP/AVP 0",
            "audio x y 0",
        ] {
            assert_eq!(error(format!("v=0\nm={media}\n").as_bytes()), (2, SdpErrorKind::Media), "{media}");
        }
    }

    #[test]
    fn limits_bound_bytes_lines_and_media() {
        let limits = Limits { bytes: 200, lines: 6, media: 2 };
        let media_read = |text: String| {
            let session = SessionDescription::parse_within(text.as_bytes(), &limits);
            session.map(|session| session.media.len()).map_err(|error| error.kind)
        };
        let media = "m=audio 1 RTP/AVP 0\n";
        assert_eq!(media_read(format!("v=0\n{}", media.repeat(2))), Ok(2));
        assert_eq!(media_read(format!("v=0\n{}", media.repeat(3))), Err(SdpErrorKind::TooLarge));
        assert_eq!(media_read(format!("v=0\n{}", "a=x\n".repeat(5))), Ok(0));
        assert_eq!(media_read(format!("v=0\n{}", "a=x\n".repeat(6))), Err(SdpErrorKind::TooLarge));
        assert_eq!(media_read(format!("v=0\ns={}\n", "x".repeat(200))), Err(SdpErrorKind::TooLarge));
    }

    #[test]
    fn connection_and_direction_of_a_media_come_before_those_of_the_session() {
        let text = b"v=0\nc=IN IP4 192.0.2.1\na=recvonly\nm=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n\
                     c=IN IP6 2001:db8::2\na=inactive\n";
        let session = SessionDescription::parse(text).unwrap();
        let [first, second] = &session.media[..] else { panic!() };
        assert_eq!(session.connection_of(first).unwrap().address, b"192.0.2.1");
        assert_eq!(session.direction_of(first), Direction::RecvOnly);
        assert_eq!(session.connection_of(second).unwrap().address, b"2001:db8::2");
        assert_eq!(session.direction_of(second), Direction::Inactive);
    }

    #[test]
    fn unknown_lines_stay_in_their_place_and_latin_1_stays_as_it_is() {
        let text = b"v=0\r\ns=caf\xe9\r\nx=\xfftra\r\na=tool:z\r\nm=audio 1 RTP/AVP 0\r\ny=1\r\na=\xe4\r\nm=image 0 udptl t38\r\nz=2";
        let session = SessionDescription::parse(text).unwrap();
        assert_eq!(session.name, Some(&b"caf\xe9"[..]));
        let kinds = |section: &Section<'_>| section.lines().map(|line| line.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&session.section), b"sxa");
        assert_eq!(kinds(&session.media[0].section), b"ya");
        assert_eq!(session.media[0].section.attributes().next().unwrap().name, b"\xe4");
        assert_eq!(session.media[1].section.lines().next(), Some(Line { kind: b'z', value: b"2" }));
    }

    #[test]
    fn a_port_count_is_left_off_and_ptime_is_whole_milliseconds() {
        let text = b"v=0\nm=audio 4000/2 RTP/AVP  8 0 junk 200 0\na=ptime:20.5\na=maxptime:0\n";
        let session = SessionDescription::parse(text).unwrap();
        let audio = &session.media[0];
        assert_eq!(audio.port, 4000);
        assert_eq!(audio.payload_types().collect::<Vec<_>>(), [8, 0, 0]);
        assert_eq!((audio.ptime_ms(), audio.maxptime_ms()), (Some(20), None));
    }

    /// A session of plausible lines in a random mix.
    fn plausible() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            Just("m=audio 4000 RTP/AVP 0 8 101\r\n".to_owned()),
            Just("c=IN IP4 192.0.2.1\r\n".to_owned()),
            Just("a=rtpmap:101 telephone-event/8000\r\n".to_owned()),
            "[a-z]=[ -~]{0,30}\r?\n",
            "[ -~]{0,10}\n",
        ];
        proptest::collection::vec(line, 0..20)
            .prop_map(|lines| format!("v=0\r\n{}", lines.concat()).into_bytes())
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = SessionDescription::parse(&text);
        }

        #[test]
        fn sections_hold_every_line_once_and_in_order(text in plausible()) {
            let Ok(session) = SessionDescription::parse(&text) else { return Ok(()) };
            let mut seen = Vec::new();
            seen.extend(session.section.lines());
            for media in &session.media {
                let _ = (media.payload_types().count(), media.rtpmap(101), media.fmtp(101), media.ptime_ms());
                seen.push(Line { kind: b'm', value: b"" });
                seen.extend(media.section.lines());
            }
            let all: Vec<Line<'_>> = Lines::new(&text).skip(1).collect();
            prop_assert_eq!(seen.len(), all.len());
            for (seen, line) in seen.iter().zip(&all) {
                prop_assert!(seen == line || (seen.kind, line.kind) == (b'm', b'm'));
            }
        }
    }
}
