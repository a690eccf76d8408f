//! Offers and answers of our own (RFC 3264 §5, §6, §8), and what two sides have in common.
//!
//! Pure rules, the same for a phone and for either leg of a B2BUA. The caller keeps the origin: a session id for each
//! dialog, and a version that grows by one with each change (§8).

use super::attribute::Direction;
use super::codec::{AudioCodec, TelephoneEvent};
use super::compose::{LocalMedia, LocalSession, write_media_answer, write_media_offer};
use super::description::SessionDescription;
use super::transport::MediaTransport;
use super::writer::SdpWriter;
use bytes::BufMut;
use std::net::IpAddr;

/// Our `o=` line.
#[derive(Clone, Copy, Debug)]
pub struct LocalOrigin<'a> {
    /// Our name; empty for `-`.
    pub username: &'a [u8],
    /// The same for the whole dialog.
    pub session_id: u64,
    /// One more than last time when anything else differs from last time.
    pub version: u64,
    /// An address of ours.
    pub address: IpAddr,
}

/// Our audio stream.
#[derive(Clone, Copy, Debug)]
pub struct LocalAudio<'a> {
    /// Where we receive.
    pub address: IpAddr,
    /// Where we receive.
    pub port: u16,
    /// The profile to offer; an answer keeps that of the offer.
    pub transport: MediaTransport,
    /// In our order of preference, or for an answer in the offerer's ([`intersect`]).
    pub codecs: &'a [AudioCodec],
    /// The payload types of RFC 4733.
    pub telephone_events: &'a [TelephoneEvent],
    /// As we see it; for an answer see [`Direction::answer`].
    pub direction: Direction,
    /// Milliseconds in a packet that we would like to receive.
    pub ptime_ms: Option<u16>,
}

/// The codecs both sides know, in the offerer's order and under its payload types (RFC 3264 §6.1), with the answerer's
/// own parameters, or those of the offer where both must be alike ([`AudioCodec::is_compatible`]). Comfort noise alone is nothing in common.
pub fn intersect(offered: &[AudioCodec], supported: &[AudioCodec]) -> Vec<AudioCodec> {
    let common = |offer: &AudioCodec| {
        let ours = supported.iter().find(|ours| ours.is_compatible(offer))?;
        Some(AudioCodec { parameters: offer.answer_parameters(ours), ..offer.clone() })
    };
    let codecs: Vec<AudioCodec> = offered.iter().filter_map(common).collect();
    if codecs.iter().all(AudioCodec::is_comfort_noise) { Vec::new() } else { codecs }
}

/// The offered telephone events that go with one of `codecs`: those of the same clock rate (RFC 4733 §2.2), with the
/// events that we `understand`, such as `0-15`.
///
/// Deviation: events at 8000 Hz are taken next to a codec of another rate too, when no others are offered: many phones
/// offer nothing else with Opus.
pub fn intersect_events(
    offered: &[TelephoneEvent],
    codecs: &[AudioCodec],
    understood: &str,
) -> Vec<TelephoneEvent> {
    let ours = |event: &TelephoneEvent| TelephoneEvent { events: understood.into(), ..event.clone() };
    let goes_along = |event: &&TelephoneEvent| {
        codecs.iter().any(|codec| !codec.is_comfort_noise() && codec.clock_rate == event.clock_rate)
    };
    let matching: Vec<TelephoneEvent> = offered.iter().filter(goes_along).map(ours).collect();
    if !matching.is_empty() || codecs.is_empty() {
        return matching;
    }
    offered.iter().filter(|event| event.clock_rate == 8_000).map(ours).collect()
}

/// Appends an offer with one audio stream (RFC 3264 §5). `audio` has at least one codec: a media line without a format is
/// malformed.
pub fn write_offer(out: &mut impl BufMut, origin: &LocalOrigin<'_>, audio: &LocalAudio<'_>) {
    let session = LocalSession { origin: *origin, passed: None };
    write_media_offer(out, &session, None, &[LocalMedia::Audio(*audio, None)]);
}

/// Appends an answer: every `m=` line of the offer in its place, that of `audio` accepted, all others rejected with
/// port 0 (RFC 3264 §6). `None`, no codec, or an index that names nothing rejects them all.
///
/// Also writes our next offer in a session whose `m=` lines an earlier exchange has set (§8): `offer` is then the
/// description that the peer sent last.
pub fn write_answer(
    out: &mut impl BufMut,
    origin: &LocalOrigin<'_>,
    offer: &SessionDescription<'_>,
    audio: Option<(usize, &LocalAudio<'_>)>,
) {
    let session = LocalSession { origin: *origin, passed: None };
    let in_place = |index| match audio {
        Some((accepted, audio)) if accepted == index => LocalMedia::Audio(*audio, None),
        Some(_) | None => LocalMedia::Rejected,
    };
    let media: Vec<LocalMedia<'_>> = (0..offer.media.len()).map(in_place).collect();
    write_media_answer(out, &session, offer, &media);
}

impl LocalAudio<'_> {
    /// Writes `m=`.
    pub(super) fn write_line<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>, media: &[u8], protocol: &[u8]) {
        let codecs = self.codecs.iter().map(|codec| codec.payload_type);
        let events = self.telephone_events.iter().map(|event| event.payload_type);
        writer.media(media, self.port, protocol, codecs.chain(events).map(|number| number.to_string()));
    }

    /// Writes the lines that follow `m=` and `c=`.
    pub(super) fn write_lines<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        for codec in self.codecs {
            writer.rtpmap(&codec.rtpmap());
            if !codec.parameters.as_bytes().is_empty() {
                writer.fmtp(codec.payload_type, codec.parameters.as_bytes());
            }
        }
        for event in self.telephone_events {
            writer.rtpmap(&event.rtpmap());
            if !event.events.as_bytes().is_empty() {
                writer.fmtp(event.payload_type, event.events.as_bytes());
            }
        }
        if let Some(ptime_ms) = self.ptime_ms {
            writer.number("ptime", u32::from(ptime_ms));
        }
        writer.direction(self.direction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::{AudioOffer, SdpText};
    use proptest::prelude::*;

    const PLAIN: &[MediaTransport] = &[MediaTransport::RtpAvp];

    fn origin() -> LocalOrigin<'static> {
        LocalOrigin { username: b"a b", session_id: 7, version: 8, address: "203.0.113.9".parse().unwrap() }
    }

    fn local<'a>(codecs: &'a [AudioCodec], telephone_events: &'a [TelephoneEvent]) -> LocalAudio<'a> {
        LocalAudio {
            address: "203.0.113.9".parse().unwrap(),
            port: 40_000,
            transport: MediaTransport::RtpAvp,
            codecs,
            telephone_events,
            direction: Direction::SendRecv,
            ptime_ms: Some(20),
        }
    }

    fn pcma() -> AudioCodec {
        AudioCodec::from_static(8).unwrap()
    }

    fn event(payload_type: u8, clock_rate: u32) -> TelephoneEvent {
        TelephoneEvent { payload_type, clock_rate, events: "0-16".into() }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_offer_describes_our_address_codecs_events_and_direction() {
        let opus = AudioCodec {
            channels: 2,
            parameters: "useinbandfec=1".into(),
            ..AudioCodec::new(96, "opus", 48_000)
        };
        let (codecs, events) = ([opus, pcma()], [event(101, 8_000)]);
        let written = text(|out| write_offer(out, &origin(), &local(&codecs, &events)));
        let expected = "v=0\r\no=a_b 7 8 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n\
            m=audio 40000 RTP/AVP 96 8 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
            a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn an_ipv6_address_is_named_as_such() {
        let codecs = [pcma()];
        let audio = LocalAudio { address: "2001:db8::9".parse().unwrap(), ..local(&codecs, &[]) };
        let origin = LocalOrigin { username: b"", address: audio.address, ..origin() };
        let written = text(|out| write_offer(out, &origin, &audio));
        assert!(
            written.contains("o=- 7 8 IN IP6 2001:db8::9\r\n")
                && written.contains("c=IN IP6 2001:db8::9\r\n")
        );
    }

    const THREE_STREAMS: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=100 200\r\n\
        m=video 4000 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\nm=audio 4002 RTP/AVP 0 8 101\r\n\
        a=rtpmap:101 telephone-event/8000\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

    #[test]
    fn an_answer_keeps_every_media_line_and_the_time_and_rejects_what_is_not_accepted() {
        let session = SessionDescription::parse(THREE_STREAMS.as_bytes()).unwrap();
        let codecs = [pcma()];
        let written = text(|out| write_answer(out, &origin(), &session, Some((1, &local(&codecs, &[])))));
        let media: Vec<&str> = written.lines().filter(|line| line.starts_with("m=")).collect();
        let expected = [
            "m=video 0 RTP/AVP 96 97",
            "m=audio 40000 RTP/AVP 8",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        ];
        assert_eq!(media, expected);
        assert!(written.contains("\r\nt=100 200\r\n"), "{written}");
    }

    #[test]
    fn an_answer_without_audio_rejects_every_line() {
        let session = SessionDescription::parse(THREE_STREAMS.as_bytes()).unwrap();
        let (codecs, nothing) = ([pcma()], local(&[], &[]));
        for audio in [None, Some((1, &nothing)), Some((9, &local(&codecs, &[])))] {
            let written = text(|out| write_answer(out, &origin(), &session, audio));
            let answer = SessionDescription::parse(written.as_bytes()).unwrap();
            assert_eq!(answer.media.iter().map(|media| media.port).collect::<Vec<_>>(), [0, 0, 0]);
        }
    }

    #[test]
    fn an_answer_to_an_offer_without_streams_has_none() {
        let session =
            SessionDescription::parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n").unwrap();
        let codecs = [pcma()];
        let written = text(|out| write_answer(out, &origin(), &session, Some((0, &local(&codecs, &[])))));
        assert!(!written.contains("m="));
    }

    #[test]
    fn common_codecs_keep_the_offerers_order_and_payload_types_and_our_parameters() {
        let offered = [
            AudioCodec { parameters: "theirs".into(), ..AudioCodec::new(110, "OPUS", 48_000) },
            AudioCodec::new(0, "pcmu", 8_000),
            AudioCodec::new(97, "speex", 16_000),
            AudioCodec::new(13, "CN", 8_000),
            AudioCodec::new(8, "PCMA", 8_000),
        ];
        let supported = [
            AudioCodec::new(13, "CN", 8_000),
            pcma(),
            AudioCodec::from_static(0).unwrap(),
            AudioCodec::new(97, "speex", 8_000),
            AudioCodec { parameters: "ours".into(), ..AudioCodec::new(96, "opus", 48_000) },
        ];
        let common = intersect(&offered, &supported);
        let numbers: Vec<u8> = common.iter().map(|codec| codec.payload_type).collect();
        assert_eq!(numbers, [110, 0, 13, 8]);
        assert_eq!(common[0].parameters.as_bytes(), b"ours");
        assert_eq!(intersect(&offered[3..4], &supported), [], "comfort noise is no codec");
    }

    #[test]
    fn events_go_with_a_codec_of_their_rate_or_else_with_any_at_8000() {
        let offered = [event(101, 48_000), event(99, 8_000)];
        let opus = [AudioCodec::new(96, "opus", 48_000)];
        let numbers = |offered: &[TelephoneEvent], codecs: &[AudioCodec]| {
            let events = intersect_events(offered, codecs, "0-15");
            events.iter().map(|event| event.payload_type).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&offered, &opus), [101]);
        assert_eq!(numbers(&offered, &[pcma()]), [99]);
        assert_eq!(numbers(&offered, &[pcma(), opus[0].clone()]), [101, 99]);
        assert_eq!(numbers(&offered[1..], &opus), [99]);
        assert_eq!(numbers(&offered, &[]), [] as [u8; 0]);
        assert_eq!(intersect_events(&offered, &opus, "0-15")[0].events.as_bytes(), b"0-15");
    }

    fn codec() -> impl Strategy<Value = AudioCodec> {
        (0_u8..96, "[A-Za-z][A-Za-z0-9-]{0,30}", 1_u32..200_000, 1_u8..3, "([!-~]([ -~]{0,40}[!-~])?)?")
            .prop_filter_map(
                "events are no codec, comfort noise is none by itself",
                |(payload_type, encoding, clock_rate, channels, parameters)| {
                    let parameters = SdpText::from(parameters.as_str());
                    let codec = AudioCodec {
                        channels,
                        parameters,
                        ..AudioCodec::new(payload_type, &encoding, clock_rate)
                    };
                    (!codec.is_comfort_noise()).then_some(codec)
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(
            codecs in proptest::collection::vec(codec(), 1..6),
            event_types in proptest::collection::btree_set(96_u8..128, 0..3),
            port in 1_u16..,
            address in any::<std::net::IpAddr>(),
            ptime_ms in proptest::option::of(1_u16..),
            wanted in 0_usize..4,
        ) {
            let ip_is_usable = !address.is_unspecified() && !address.is_multicast();
            prop_assume!(ip_is_usable);
            let mut codecs = codecs;
            codecs.sort_by_key(|codec| codec.payload_type);
            codecs.dedup_by_key(|codec| codec.payload_type);
            let events: Vec<TelephoneEvent> = event_types.into_iter().map(|number| event(number, 8_000)).collect();
            let direction =
                [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive][wanted];
            let audio = LocalAudio { address, port, direction, ptime_ms, ..local(&codecs, &events) };
            let written = text(|out| write_offer(out, &origin(), &audio));
            let session = SessionDescription::parse(written.as_bytes()).unwrap();
            let read = AudioOffer::find(&session, PLAIN).unwrap();
            prop_assert_eq!(&read.codecs, &codecs);
            prop_assert_eq!(&read.telephone_events, &events);
            prop_assert_eq!(read.destination(), Some(std::net::SocketAddr::new(address, port)));
            prop_assert_eq!((read.ptime_ms, read.direction), (ptime_ms, direction));
            prop_assert_eq!(session.origin.unwrap().version(), Some(8));
        }

        #[test]
        fn an_answer_to_any_offer_that_can_be_read_can_be_read_and_has_its_lines(
            lines in proptest::collection::vec("(m=[a-z]{1,5} [0-9]{1,5} [A-Z/]{1,8} [ -~]{1,12}|[a-z]=[ -~\u{80}-\u{ff}]{0,20})\r?\n", 0..12),
        ) {
            let offer = format!("v=0\r\n{}", lines.concat());
            let Ok(session) = SessionDescription::parse(offer.as_bytes()) else { return Ok(()) };
            let codecs = [pcma()];
            let mut written = Vec::new();
            write_answer(&mut written, &origin(), &session, Some((0, &local(&codecs, &[]))));
            let answer = SessionDescription::parse(&written).unwrap();
            prop_assert_eq!(answer.media.len(), session.media.len());
            for (index, (ours, theirs)) in answer.media.iter().zip(&session.media).enumerate() {
                prop_assert_eq!(ours.media, theirs.media);
                prop_assert_eq!(ours.protocol, theirs.protocol);
                prop_assert_eq!(ours.port, if index == 0 && theirs.port != 0 { 40_000 } else { 0 });
            }
        }
    }
}
