//! Offers in the manner of browsers, phones and gateways: what is read from each, and how each is answered.
//!
//! All addresses are documentation addresses (RFC 5737, RFC 3849); keys and fingerprints are made up.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod sdp;

use sdp::bodies::{
    CHROME, FIREFOX, G729_GATEWAY, GROUPED_PHONE, POLYCOM, SRTP_PHONE, T38_GATEWAY, VIDEO_PHONE,
};
use sdp::{ORIGIN, audio_answer, parse, written};
use sip_stack::sdp::{
    AudioCodec, AudioOffer, CandidateKind, CandidateTransport, Crypto, CryptoSuite, Direction,
    DtlsAttributes, DtlsRole, Fingerprint, InlineKey, Keying, LocalFax, LocalMedia, LocalSession,
    MediaTransport, NegotiationError, RtcpAttributes, SessionDescription, Setup, T38Attributes,
    T38ErrorCorrection, TransportAttributes, check_answer, intersect, intersect_events, write_media_answer,
};

const ANY: &[MediaTransport] = &[
    MediaTransport::RtpAvp,
    MediaTransport::RtpAvpf,
    MediaTransport::RtpSavp,
    MediaTransport::RtpSavpf,
    MediaTransport::UdpTlsRtpSavpf,
];

fn names(codecs: &[AudioCodec]) -> Vec<(u8, String)> {
    let name = |codec: &AudioCodec| {
        (codec.payload_type, String::from_utf8_lossy(codec.encoding.as_bytes()).to_ascii_lowercase())
    };
    codecs.iter().map(name).collect()
}

fn fingerprint() -> Fingerprint {
    Fingerprint::read(format!("sha-256 {}", ["5C"; 32].join(":")).as_bytes()).unwrap()
}

#[test]
fn a_chrome_offer_is_read_in_full() {
    let session = parse(CHROME);
    let audio = AudioOffer::find(&session, ANY).unwrap();
    assert_eq!((audio.media_index, audio.transport), (0, MediaTransport::UdpTlsRtpSavpf));
    assert_eq!(names(&audio.codecs)[..3], [(111, "opus".into()), (63, "red".into()), (9, "g722".into())]);
    let events: Vec<_> =
        audio.telephone_events.iter().map(|event| (event.payload_type, event.clock_rate)).collect();
    assert_eq!(events, [(110, 48_000), (126, 8_000)]);
    assert_eq!(audio.codecs[0].parameter("useinbandfec"), Some(&b"1"[..]));
    let transport = TransportAttributes::of(&session, 0).unwrap();
    assert_eq!(transport.keying(audio.transport), Some(Keying::Dtls));
    let ice = transport.ice.unwrap();
    assert!(ice.has_option("trickle") && !ice.lite && !ice.end_of_candidates);
    assert_eq!(ice.candidates.len(), 2, "a .local name is ignored");
    assert_eq!(ice.candidates[0].kind, CandidateKind::ServerReflexive);
    assert_eq!(ice.candidates[1].transport, CandidateTransport::Tcp);
    assert!(ice.matches_default("0.0.0.0:9".parse().unwrap()));
    assert_eq!(transport.dtls.unwrap().offered_setup(), Setup::ActPass);
    assert!(transport.rtcp.mux && transport.rtcp.reduced_size && !transport.rtcp.mux_only);
    let bundle = session.bundle_of(&session.media[1]).unwrap();
    assert_eq!(bundle.mids().collect::<Vec<_>>(), [b"0", b"1", b"2"]);
    assert_eq!([0, 1, 2].map(|index| session.transport_index(index)), [0, 0, 0]);
}

#[test]
fn the_placeholder_address_of_a_trickling_browser_is_no_hold() {
    let direction = |text: &str| AudioOffer::find(&parse(text), ANY).unwrap().direction;
    assert_eq!(direction(CHROME), Direction::SendRecv);
    assert_eq!(direction(&CHROME.replace("a=ice-pwd", "a=x-pwd")), Direction::SendOnly);
}

#[test]
fn a_chrome_offer_is_answered_with_opus_and_events_at_48000_in_a_bundle_of_one() {
    let offer = parse(CHROME);
    let audio = AudioOffer::find(&offer, ANY).unwrap();
    let opus = AudioCodec { channels: 2, ..AudioCodec::new(96, "opus", 48_000) };
    let codecs = intersect(&audio.codecs, &[opus]);
    let events = intersect_events(&audio.telephone_events, &codecs, "0-15");
    let transport = TransportAttributes {
        dtls: Some(DtlsAttributes {
            fingerprints: vec![fingerprint()],
            setup: Some(Setup::ActPass.answer(DtlsRole::Client)),
            tls_id: None,
        }),
        rtcp: RtcpAttributes { mux: true, ..RtcpAttributes::default() },
        ..TransportAttributes::default()
    };
    let media = [LocalMedia::Audio(audio_answer(&audio, &codecs, &events), Some(&transport))];
    let text = written(|out| {
        write_media_answer(out, &LocalSession { origin: ORIGIN, passed: None }, &offer, &media)
    });
    let expected = format!(
        "v=0\r\no=- 1 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 40000 UDP/TLS/RTP/SAVPF 111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n\
         a=fmtp:110 0-15\r\na=ptime:20\r\na=sendrecv\r\na=mid:0\r\na=rtcp-mux\r\na=fingerprint:sha-256 {}\r\n\
         a=setup:active\r\nm=video 0 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\n\
         m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n",
        ["5C"; 32].join(":")
    );
    assert_eq!(text, expected);
    assert_eq!(check_answer(&offer, &parse(&text)), Ok(()));
}

#[test]
fn a_firefox_offer_has_its_fingerprint_and_options_in_the_session() {
    let session = parse(FIREFOX);
    let transport = TransportAttributes::of(&session, 0).unwrap();
    let dtls = transport.dtls.unwrap();
    assert_eq!((dtls.fingerprints[0].digest.len(), dtls.setup), (32, Some(Setup::ActPass)));
    let ice = transport.ice.unwrap();
    assert!(ice.has_option("trickle") && ice.end_of_candidates);
    assert_eq!(ice.candidates[1].related, Some("198.51.100.20:45001".parse().unwrap()));
    let destination = transport.rtcp.destination("203.0.113.20:61000".parse().unwrap(), false);
    assert_eq!(destination, Some("203.0.113.20:61001".parse().unwrap()));
    let audio = AudioOffer::find(&session, ANY).unwrap();
    assert_eq!(audio.direction, Direction::SendRecv, "the direction of the media, not of the session");
}

#[test]
fn a_phone_with_srtp_is_answered_with_its_tag_and_suite_and_our_key() {
    let offer = parse(SRTP_PHONE);
    let audio = AudioOffer::find(&offer, ANY).unwrap();
    let transport = TransportAttributes::of(&offer, 0).unwrap();
    assert_eq!(transport.keying(audio.transport), Some(Keying::Sdes));
    assert_eq!(transport.crypto.len(), 2, "a suite that nobody knows is left out");
    let chosen = Crypto::choose(&transport.crypto, &[CryptoSuite::AesCm128HmacSha1_80]).unwrap();
    let ours = TransportAttributes {
        crypto: vec![chosen.answer(InlineKey::new(&[0; 30]))],
        ..TransportAttributes::default()
    };
    let codecs = intersect(&audio.codecs, &[AudioCodec::from_static(8).unwrap()]);
    let media = [LocalMedia::Audio(audio_answer(&audio, &codecs, &[]), Some(&ours))];
    let text = written(|out| {
        write_media_answer(out, &LocalSession { origin: ORIGIN, passed: None }, &offer, &media)
    });
    assert!(text.contains("m=audio 40000 RTP/SAVP 8\r\n"), "{text}");
    let key = "A".repeat(40);
    assert!(text.contains(&format!("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")), "{text}");
    let answer = TransportAttributes::of(&parse(&text), 0).unwrap();
    assert!(answer.crypto[0].accepted_of(&transport.crypto).is_some());
}

#[test]
fn a_polycom_offer_has_g722_at_8000_and_g7221_in_two_bit_rates() {
    let audio = AudioOffer::find(&parse(POLYCOM), ANY).unwrap();
    let mut g7221 = AudioCodec::new(100, "G7221", 16_000);
    g7221.parameters = "bitrate=24000".into();
    let g722 = AudioCodec::from_static(9).unwrap();
    assert_eq!(
        names(&intersect(&audio.codecs, &[g722, g7221])),
        [(115, "g7221".to_owned()), (9, "g722".to_owned())]
    );
}

#[test]
fn g722_and_opus_with_the_wrong_clock_or_channels_are_taken_for_what_they_are() {
    let audio = AudioOffer::find(&parse(GROUPED_PHONE), ANY).unwrap();
    let read: Vec<_> = audio.codecs.iter().map(|codec| (codec.clock_rate, codec.channels)).collect();
    assert_eq!(read, [(48_000, 2), (8_000, 1), (8_000, 1)]);
}

#[test]
fn g729_without_annex_b_is_answered_without() {
    let audio = AudioOffer::find(&parse(G729_GATEWAY), ANY).unwrap();
    let common = intersect(&audio.codecs, &[AudioCodec::from_static(18).unwrap()]);
    assert_eq!(common[0].parameters.as_bytes(), b"annexb=no");
    assert_eq!(audio.maxptime_ms, Some(40));
}

#[test]
fn a_video_phone_has_its_audio_answered_and_its_video_rejected_in_place() {
    let offer = parse(VIDEO_PHONE);
    let audio = AudioOffer::find(&offer, ANY).unwrap();
    assert_eq!((audio.media_index, audio.transport), (1, MediaTransport::RtpAvpf));
    let codecs = intersect(&audio.codecs, &[AudioCodec::from_static(0).unwrap()]);
    let media = [LocalMedia::Rejected, LocalMedia::Audio(audio_answer(&audio, &codecs, &[]), None)];
    let text = written(|out| {
        write_media_answer(out, &LocalSession { origin: ORIGIN, passed: None }, &offer, &media)
    });
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVPF 96 97", "m=audio 40000 RTP/AVPF 0", "m=x-whiteboard 0 udp wb"]);
}

#[test]
fn a_fax_offer_is_answered_or_rejected_as_told() {
    let offer = parse(T38_GATEWAY);
    assert_eq!(AudioOffer::find(&offer, ANY), Err(NegotiationError::Rejected));
    let offered = T38Attributes::of(&offer.media[1]).unwrap();
    let ours = T38Attributes {
        version: 0,
        max_bit_rate: Some(14_400),
        max_datagram: Some(400),
        error_correction: Some(T38ErrorCorrection::Redundancy),
        ..T38Attributes::default()
    };
    let fax = LocalFax { address: ORIGIN.address, port: 40_002, attributes: offered.answer(&ours) };
    let session = LocalSession { origin: ORIGIN, passed: None };
    let answer = |media: &[LocalMedia<'_>]| written(|out| write_media_answer(out, &session, &offer, media));
    let accepted = answer(&[LocalMedia::Rejected, LocalMedia::Fax(fax)]);
    let expected = "m=audio 0 RTP/AVP 0\r\nm=image 40002 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\n\
        a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";
    assert!(accepted.ends_with(expected), "{accepted}");
    let rejected = answer(&[]);
    assert!(rejected.ends_with("m=audio 0 RTP/AVP 0\r\nm=image 0 udptl t38\r\n"), "{rejected}");
}

#[test]
fn a_member_of_a_bundle_alone_is_no_bundle_without_rtcp_mux() {
    let offer = parse(CHROME);
    let audio = AudioOffer::find(&offer, ANY).unwrap();
    let media = [LocalMedia::Audio(audio_answer(&audio, &audio.codecs, &[]), None)];
    let text = written(|out| {
        write_media_answer(out, &LocalSession { origin: ORIGIN, passed: None }, &offer, &media)
    });
    assert!(!text.contains("group") && text.contains("a=mid:0\r\n"), "{text}");
}

#[test]
fn a_snapshot_keeps_what_was_read_of_the_transport() {
    for text in [CHROME, FIREFOX, SRTP_PHONE] {
        let session: SessionDescription<'_> = parse(text);
        let transport = TransportAttributes::of(&session, 0).unwrap();
        let bytes = postcard::to_allocvec(&transport).unwrap();
        assert_eq!(postcard::from_bytes::<TransportAttributes>(&bytes).unwrap(), transport);
    }
}
