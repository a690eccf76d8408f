//! Offers and answers of several streams (RFC 3264 §5, §6, §8): ours, passed ones, fax, and the rejected ones in their
//! places.
//!
//! A line never leaves its place, and the lines never grow fewer. Left out on purpose: several streams over one
//! transport. An offered bundle (RFC 9143) is answered as one when a single member of it is accepted and has RTCP on its
//! port; else its members are answered apart, as §7.3.2 allows.

use super::description::{MediaDescription, SessionDescription};
use super::group::Group;
use super::negotiate::{LocalAudio, LocalOrigin};
use super::passed::{PassedMedia, write_session_lines};
use super::t38::{LocalFax, T38Attributes};
use super::transport::TransportAttributes;
use super::writer::SdpWriter;
use bytes::BufMut;
use std::net::IpAddr;

/// What stands before the media.
#[derive(Clone, Copy, Debug)]
pub struct LocalSession<'a> {
    /// Our `o=` line.
    pub origin: LocalOrigin<'a>,
    /// The description of the party behind us, whose `b=` and `a=` lines at the level of the session are passed on.
    pub passed: Option<&'a SessionDescription<'a>>,
}

/// What we say about one stream.
#[derive(Clone, Copy, Debug)]
pub enum LocalMedia<'a> {
    /// It is refused, or closed: port 0 (§6, §8.2).
    Rejected,
    /// Audio that we have a hand in. Without attributes: plain RTP, RTCP on the port above.
    Audio(LocalAudio<'a>, Option<&'a TransportAttributes>),
    /// The stream of another session.
    Passed(PassedMedia<'a>),
    /// Fax by T.38.
    Fax(LocalFax),
}

/// Appends an offer of `media` in this order (RFC 3264 §5, §8).
///
/// `lines` is the last description of the session, whichever side wrote it: a later offer has at least as many lines, and
/// those that `media` does not reach are closed. In a first offer it may be the description of another session whose
/// places are to be kept. A place that has neither is `audio` with port 0.
pub fn write_media_offer(
    out: &mut impl BufMut,
    session: &LocalSession<'_>,
    lines: Option<&SessionDescription<'_>>,
    media: &[LocalMedia<'_>],
) {
    let count = media.len().max(lines.map_or(0, |lines| lines.media.len()));
    let media = (0..count).map(|index| media.get(index).copied().unwrap_or(LocalMedia::Rejected));
    Composition { session, lines, is_answer: false, media: media.collect() }.write(out);
}

/// Appends an answer: the lines of the offer in their places, and what `media` says about each (RFC 3264 §6). A line that
/// `media` does not reach, or that the offer itself has with port 0, is rejected; what goes beyond the offer is left out.
pub fn write_media_answer(
    out: &mut impl BufMut,
    session: &LocalSession<'_>,
    offer: &SessionDescription<'_>,
    media: &[LocalMedia<'_>],
) {
    let answer = |(index, offered): (usize, &MediaDescription<'_>)| match media.get(index) {
        Some(media) if offered.port != 0 => *media,
        Some(_) | None => LocalMedia::Rejected,
    };
    let media = offer.media.iter().enumerate().map(answer).collect();
    Composition { session, lines: Some(offer), is_answer: true, media }.write(out);
}

/// A description to be written.
struct Composition<'a, 'm> {
    session: &'a LocalSession<'a>,
    lines: Option<&'a SessionDescription<'a>>,
    is_answer: bool,
    media: Vec<LocalMedia<'m>>,
}

impl LocalMedia<'_> {
    /// Our address, if there is a stream at all: it needs a port, and a format on its line.
    fn address(&self) -> Option<IpAddr> {
        match self {
            LocalMedia::Rejected => None,
            LocalMedia::Audio(audio, _) => {
                (audio.port != 0 && !audio.codecs.is_empty()).then_some(audio.address)
            }
            LocalMedia::Passed(passed) => {
                (passed.port != 0 && passed.media.port != 0).then_some(passed.address)
            }
            LocalMedia::Fax(fax) => (fax.port != 0).then_some(fax.address),
        }
    }

    fn attributes(&self) -> Option<&TransportAttributes> {
        match self {
            LocalMedia::Audio(_, attributes) => *attributes,
            LocalMedia::Passed(passed) => passed.attributes,
            LocalMedia::Rejected | LocalMedia::Fax(_) => None,
        }
    }

    fn protocol(&self) -> &[u8] {
        match self {
            LocalMedia::Audio(audio, _) => audio.transport.protocol().as_bytes(),
            LocalMedia::Passed(passed) => passed.protocol,
            LocalMedia::Fax(_) => T38Attributes::PROTOCOL,
            LocalMedia::Rejected => b"RTP/AVP",
        }
    }

    fn kind(&self) -> &[u8] {
        match self {
            LocalMedia::Audio(..) | LocalMedia::Rejected => b"audio",
            LocalMedia::Passed(passed) => passed.media.media,
            LocalMedia::Fax(_) => b"image",
        }
    }
}

impl Composition<'_, '_> {
    fn write(&self, out: &mut impl BufMut) {
        let origin = &self.session.origin;
        let address = self.media.iter().find_map(LocalMedia::address).unwrap_or(origin.address);
        let passed = self.session.passed.map(|passed| &passed.section);
        let mut writer = SdpWriter::new(out);
        writer.origin(origin.username, origin.session_id, origin.version, origin.address);
        writer.line(b's', b"-");
        writer.connection(address);
        if let Some(passed) = passed {
            write_session_lines(&mut writer, passed, b'b');
        }
        // The time of an answer equals that of the offer (RFC 3264 §6).
        writer.line(b't', self.lines.and_then(|lines| lines.time).unwrap_or(b"0 0"));
        if let Some(mid) = self.bundle_of_one() {
            writer.attribute("group", &[b"BUNDLE ", mid].concat());
        }
        if self.media.iter().any(|media| media.attributes().is_some_and(TransportAttributes::is_lite)) {
            writer.line(b'a', b"ice-lite");
        }
        if let Some(passed) = passed {
            write_session_lines(&mut writer, passed, b'a');
        }
        for (index, media) in self.media.iter().enumerate() {
            self.write_media(&mut writer, index, media, address);
        }
    }

    /// The identification tag of the one accepted stream of an offered bundle. RFC 9143 §9.3 wants `rtcp-mux` with it.
    fn bundle_of_one(&self) -> Option<&[u8]> {
        let lines = self.lines?;
        lines.groups().find(Group::is_bundle)?;
        let streams = lines.media.iter().zip(&self.media).filter(|(_, media)| media.address().is_some());
        let accepted: Vec<(&[u8], &LocalMedia<'_>)> =
            streams.filter_map(|(line, media)| Some((line.mid()?, media))).collect();
        lines.groups().filter(Group::is_bundle).find_map(|group| {
            let of_mid = |mid| accepted.iter().filter(move |(accepted, _)| *accepted == mid);
            let mut members = group.mids().flat_map(of_mid);
            let (mid, media) = members.next()?;
            let is_mux = media.attributes().is_some_and(|attributes| attributes.rtcp.mux);
            // RFC 5888 §4: a tag stands for one line.
            let is_unique = lines.media.iter().filter(|line| line.mid() == Some(*mid)).count() == 1;
            (is_mux && is_unique && members.next().is_none()).then_some(*mid)
        })
    }

    fn write_media<B: BufMut>(
        &self,
        writer: &mut SdpWriter<'_, B>,
        index: usize,
        media: &LocalMedia<'_>,
        session_address: IpAddr,
    ) {
        let line = self.lines.and_then(|lines| lines.media.get(index));
        let Some(address) = media.address() else {
            write_rejected(writer, line);
            return write_mid(writer, line);
        };
        let (kind, protocol) = match line {
            Some(line) if self.is_answer => (line.media, line.protocol),
            Some(_) | None => (media.kind(), media.protocol()),
        };
        match media {
            LocalMedia::Rejected => {}
            LocalMedia::Audio(audio, _) => audio.write_line(writer, kind, protocol),
            LocalMedia::Passed(passed) => {
                writer.media(kind, passed.port, protocol, passed.media.formats());
                passed.write_information(writer);
            }
            LocalMedia::Fax(fax) => writer.media(kind, fax.port, protocol, [T38Attributes::FORMAT]),
        }
        if address != session_address {
            writer.connection(address);
        }
        match media {
            LocalMedia::Rejected => {}
            LocalMedia::Audio(audio, _) => audio.write_lines(writer),
            LocalMedia::Passed(passed) => passed.write_lines(writer),
            LocalMedia::Fax(fax) => fax.attributes.write(writer),
        }
        write_mid(writer, line);
        if let Some(attributes) = media.attributes() {
            attributes.write(writer);
        }
    }
}

/// Port 0, and the formats that were there, since a media line has one at least (RFC 3264 §6).
fn write_rejected<B: BufMut>(writer: &mut SdpWriter<'_, B>, line: Option<&MediaDescription<'_>>) {
    match line {
        Some(line) => writer.media(line.media, 0, line.protocol, line.formats()),
        None => writer.media(b"audio", 0, b"RTP/AVP", [b"0"]),
    }
}

/// The tag of a media is that of the offer for good, and stays with a rejected one too (RFC 5888 §9.1, §9.2.1).
fn write_mid<B: BufMut>(writer: &mut SdpWriter<'_, B>, line: Option<&MediaDescription<'_>>) {
    if let Some(mid) = line.and_then(MediaDescription::mid) {
        writer.attribute("mid", mid);
    }
}
