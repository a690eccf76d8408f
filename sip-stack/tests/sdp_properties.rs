//! Properties of SDP: every offer gets an answer that RFC 3264 allows, what is written is read back the same, and no
//! input whatever makes anything panic.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod sdp;

use proptest::collection::vec;
use proptest::prelude::*;
use sdp::bodies::{CHROME, FIREFOX, POLYCOM, SRTP_PHONE, T38_GATEWAY, VIDEO_PHONE};
use sdp::{ORIGIN, audio_answer};
use sip_stack::sdp::{
    AudioCodec, AudioOffer, Crypto, Direction, LocalFax, LocalMedia, LocalSession, MediaTransport,
    PassedMedia, SdpWriter, SessionDescription, T38Attributes, TelephoneEvent, TransportAttributes,
    check_answer, check_next_offer, intersect, intersect_events, write_media_answer, write_media_offer,
};

const TRANSPORTS: &[MediaTransport] =
    &[MediaTransport::RtpAvp, MediaTransport::RtpAvpf, MediaTransport::UdpTlsRtpSavpf];

/// What we decide on one line of an offer.
enum Decision {
    Audio(AudioOffer, Vec<AudioCodec>, Vec<TelephoneEvent>),
    Fax(T38Attributes),
    Pass,
    Reject,
}

fn supported() -> Vec<AudioCodec> {
    let opus = AudioCodec { channels: 2, ..AudioCodec::new(96, "opus", 48_000) };
    [Some(opus), AudioCodec::from_static(8), AudioCodec::from_static(13)].into_iter().flatten().collect()
}

fn decide(offer: &SessionDescription<'_>, index: usize, rejects: bool) -> Decision {
    let media = &offer.media[index];
    if rejects {
        return Decision::Reject;
    }
    if let Some(fax) = T38Attributes::of(media) {
        return Decision::Fax(fax.answer(&T38Attributes::default()));
    }
    match AudioOffer::at(offer, index, TRANSPORTS) {
        Ok(audio) => {
            let codecs = intersect(&audio.codecs, &supported());
            let events = intersect_events(&audio.telephone_events, &codecs, "0-15");
            Decision::Audio(audio, codecs, events)
        }
        Err(_) if media.media == b"video" => Decision::Pass,
        Err(_) => Decision::Reject,
    }
}

fn answer(
    offer: &SessionDescription<'_>,
    wanted: Direction,
    rejects: &[bool],
    attributes: &TransportAttributes,
) -> Vec<u8> {
    let decisions: Vec<Decision> = (0..offer.media.len())
        .map(|index| decide(offer, index, rejects.get(index).copied().unwrap_or(false)))
        .collect();
    let local = |(index, decision): (usize, &'_ Decision)| match decision {
        Decision::Reject => LocalMedia::Rejected,
        Decision::Fax(attributes) => {
            LocalMedia::Fax(LocalFax { address: ORIGIN.address, port: 50_000, attributes: *attributes })
        }
        Decision::Pass => LocalMedia::Passed(PassedMedia {
            media: &offer.media[index],
            address: ORIGIN.address,
            port: 50_002,
            protocol: b"unused",
            direction: Some(offer.direction_of(&offer.media[index]).answer(wanted)),
            attributes: Some(attributes),
        }),
        Decision::Audio(..) => LocalMedia::Rejected,
    };
    let mut media: Vec<LocalMedia<'_>> = decisions.iter().enumerate().map(local).collect();
    for (media, decision) in media.iter_mut().zip(&decisions) {
        if let Decision::Audio(audio, codecs, events) = decision {
            let mut ours = audio_answer(audio, codecs, events);
            ours.direction = audio.direction.answer(wanted);
            *media = LocalMedia::Audio(ours, Some(attributes));
        }
    }
    let mut out = Vec::new();
    write_media_answer(&mut out, &LocalSession { origin: ORIGIN, passed: None }, offer, &media);
    out
}

/// RFC 3264 §6.1.
fn is_allowed(offered: Direction, answered: Direction) -> bool {
    (offered.receives() || !answered.sends()) && (offered.sends() || !answered.receives())
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ])
}

/// A media of plausible lines in a random mix.
fn media() -> impl Strategy<Value = String> {
    let head = (
        prop::sample::select(vec!["audio", "video", "image", "application", "x-y"]),
        prop::sample::select(vec![0_u16, 9, 4_000, 65_535]),
        prop::sample::select(vec!["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "UDP/TLS/RTP/SAVPF", "udptl", "udp"]),
        prop::sample::select(vec!["0 8 101", "111 8 13 110", "96", "t38", "8", "0", "x", "13"]),
    );
    let line = prop::sample::select(vec![
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:101 0-16",
        "c=IN IP4 192.0.2.1",
        "c=IN IP4 0.0.0.0",
        "c=IN IP6 2001:db8::1",
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=mid:a",
        "a=mid:b",
        "a=bundle-only",
        "a=rtcp-mux",
        "a=ptime:30",
        "b=AS:64",
        "i=x",
        "a=unknown:y",
        "z=?",
    ]);
    (head, vec(line, 0..8)).prop_map(|((media, port, protocol, formats), lines)| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("m={media} {port} {protocol} {formats}\r\n{lines}")
    })
}

fn offer() -> impl Strategy<Value = String> {
    let session = vec(
        prop::sample::select(vec![
            "c=IN IP4 192.0.2.1",
            "t=1 2",
            "a=group:BUNDLE a b",
            "a=sendonly",
            "a=inactive",
            "a=ice-lite",
            "b=CT:1",
        ]),
        0..5,
    );
    (session, vec(media(), 0..6)).prop_map(|(session, media)| {
        let session: String = session.iter().map(|line| format!("{line}\r\n")).collect();
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n{session}{}", media.concat())
    })
}

/// One change to a text: position as a fraction, what is cut, what is put in.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let structural = prop::sample::select(b"\r\n =:/;| 019.-amc\0\xff".to_vec());
    (any::<prop::sample::Index>(), 0..6usize, vec(prop_oneof![structural, any::<u8>()], 0..6))
}

fn read_everything(text: &[u8]) {
    let Ok(session) = SessionDescription::parse(text) else { return };
    let _ =
        (session.groups().count(), check_answer(&session, &session), check_next_offer(&session, &session));
    for (index, media) in session.media.iter().enumerate() {
        let _ = (session.bundle_of(media), media.is_bundle_only(), T38Attributes::of(media));
        let _ = AudioOffer::at(&session, session.transport_index(index), TRANSPORTS)
            .map(|audio| (intersect(&audio.codecs, &audio.codecs), audio.destination()));
        let Some(transport) = TransportAttributes::of(&session, index) else { continue };
        let _ = MediaTransport::from_protocol(media.protocol).map(|profile| transport.keying(profile));
        let _ = transport.rtcp.destination(std::net::SocketAddr::new(ORIGIN.address, media.port), false);
        // What is written is read back the same, the session's lines apart.
        let mut lines = Vec::new();
        let mut writer = SdpWriter::new(&mut lines);
        if transport.ice.as_ref().is_some_and(|ice| ice.lite) {
            writer.line(b'a', b"ice-lite");
        }
        writer.media(b"audio", 9, b"RTP/AVP", [b"0"]);
        transport.write(&mut writer);
        let again = SessionDescription::parse(&lines).unwrap();
        assert_eq!(TransportAttributes::of(&again, 0), Some(transport), "{}", lines.escape_ascii());
    }
    let rejects = [false; 64];
    let answered = answer(&session, Direction::SendRecv, &rejects, &TransportAttributes::default());
    let answered = SessionDescription::parse(&answered).unwrap();
    assert_eq!(check_answer(&session, &answered), Ok(()));
}

proptest! {
    #[test]
    fn every_offer_gets_an_answer_that_rfc_3264_allows(
        text in offer(),
        wanted in direction(),
        rejects in vec(any::<bool>(), 0..6),
        mux in any::<bool>(),
    ) {
        let offer = SessionDescription::parse(text.as_bytes()).unwrap();
        let mut attributes = TransportAttributes::default();
        attributes.rtcp.mux = mux;
        let written = answer(&offer, wanted, &rejects, &attributes);
        let answer = SessionDescription::parse(&written).unwrap();
        prop_assert_eq!(check_answer(&offer, &answer), Ok(()));
        prop_assert_eq!(answer.media.len(), offer.media.len());
        prop_assert_eq!(answer.time, Some(offer.time.unwrap_or(b"0 0")));
        for (ours, theirs) in answer.media.iter().zip(&offer.media) {
            prop_assert_eq!((ours.media, ours.protocol, ours.mid()), (theirs.media, theirs.protocol, theirs.mid()));
            for format in ours.formats() {
                prop_assert!(theirs.formats().any(|offered| offered == format));
            }
            if ours.port == 0 {
                continue;
            }
            prop_assert_ne!(theirs.port, 0);
            prop_assert!(answer.connection_of(ours).is_some());
            prop_assert!(is_allowed(offer.direction_of(theirs), answer.direction_of(ours)) || theirs.media == b"image");
        }
        for group in answer.groups() {
            let members: Vec<_> = group.mids().map(|mid| answer.index_of_mid(mid)).collect();
            prop_assert!(matches!(members[..], [Some(index)] if answer.media[index].port != 0));
        }
    }

    #[test]
    fn a_description_passed_on_is_a_fixpoint(text in offer()) {
        let pass = |text: &[u8]| {
            let session = SessionDescription::parse(text).unwrap();
            let media: Vec<LocalMedia<'_>> = session
                .media
                .iter()
                .map(|media| LocalMedia::Passed(PassedMedia {
                    media,
                    address: ORIGIN.address,
                    port: 40_000,
                    protocol: media.protocol,
                    direction: Some(session.direction_of(media)),
                    attributes: None,
                }))
                .collect();
            let mut out = Vec::new();
            let local = LocalSession { origin: ORIGIN, passed: Some(&session) };
            write_media_offer(&mut out, &local, Some(&session), &media);
            out
        };
        let once = pass(text.as_bytes());
        prop_assert_eq!(pass(&once), once);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..500)) {
        read_everything(&bytes);
        read_everything(&[b"v=0\nm=audio 9 RTP/AVP 0\na=", bytes.as_slice()].concat());
        let _ = (Crypto::read(&bytes), sip_stack::sdp::IceCandidate::read(&bytes));
    }

    #[test]
    fn mutated_descriptions_never_panic_and_are_answered(
        body in prop::sample::select(vec![CHROME, FIREFOX, POLYCOM, SRTP_PHONE, T38_GATEWAY, VIDEO_PHONE]),
        mutations in vec(mutation(), 0..6),
    ) {
        let mut bytes = body.as_bytes().to_vec();
        for (position, cut, insert) in &mutations {
            let begin = position.index(bytes.len() + 1);
            let end = (begin + cut).min(bytes.len());
            bytes.splice(begin..end, insert.iter().copied());
        }
        read_everything(&bytes);
    }
}
