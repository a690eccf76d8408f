//! Tests: descriptions in the manner of common phones and gateways, read as they should be and, where sdp-rs is known to
//! be right, as it reads them. All addresses are documentation addresses (RFC 5737, RFC 3849).

use super::*;
use sdp_rs::lines::{Attribute as OracleAttribute, media::MediaType};

const PLAIN: &[MediaTransport] = &[MediaTransport::RtpAvp, MediaTransport::RtpAvpf];

const BARESIP: &str = "v=0\r\no=- 3915112934 1707203112 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    a=tool:baresip 1.1.0\r\nm=audio 10234 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\n\
    a=fmtp:96 stereo=1;sprop-stereo=1\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:10235\r\na=sendrecv\r\na=label:1\r\n\
    a=rtcp-rsize\r\na=ptime:20\r\n";

const LINPHONE: &str = "v=0\r\no=1001 2210 1177 IN IP4 198.51.100.7\r\ns=Talk\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
    a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\na=record:off\r\n\
    m=audio 7078 RTP/AVPF 96 97 98 0 8 18 101 99\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
    a=rtpmap:97 speex/16000\r\na=fmtp:97 vbr=on\r\na=rtpmap:98 speex/8000\r\na=fmtp:98 vbr=on\r\n\
    a=fmtp:18 annexb=yes\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:99 telephone-event/8000\r\n\
    a=rtcp:7079\r\na=rtcp-fb:* trr-int 1000\r\n\
    m=video 9078 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42801F\r\na=rtcp-fb:96 nack pli\r\n";

const ASTERISK: &str = "v=0\r\no=- 1418402283 3 IN IP4 203.0.113.5\r\ns=Asterisk\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n\
    m=audio 15002 RTP/AVP 8 0 3 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:3 GSM/8000\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:140\r\n\
    a=sendrecv\r\n";

/// No rtpmap for the static types, nothing said about direction.
const ZOIPER: &str = "v=0\r\no=Zoiper 1693213 1 IN IP4 192.0.2.77\r\ns=Zoiper\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
    m=audio 52116 RTP/AVP 0 101 8 3 18\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\na=rtcp-mux\r\n";

/// Spaces in the user's name, LF alone, white space at line ends, no `s=` and no `t=`.
const OLD_GATEWAY: &str = "v=0\no=Cisco Systems SIP GW 4 4 IN IP4 gw.example.com\nc=IN IP4 192.0.2.200 \n\
    m=audio 18000 RTP/AVP 18 100 \na=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\na=rtpmap:100 X-NSE/8000\n\
    a=sendonly \n";

/// Secure and plain audio, IPv6, the connection for each media.
const TWO_AUDIO_LINES: &str = "v=0\r\no=snom 77 78 IN IP6 2001:db8::10\r\ns=call\r\nt=0 0\r\n\
    m=audio 60000 RTP/SAVP 9 0\r\nc=IN IP6 2001:db8::10\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n\
    m=audio 60002 RTP/AVP 9 0 101\r\nc=IN IP6 2001:db8::11\r\na=rtpmap:9 g722/8000\r\na=rtpmap:0 pcmu/8000\r\n\
    a=rtpmap:101 TELEPHONE-EVENT/8000\r\na=ptime:30\r\n";

fn offer(text: &str) -> AudioOffer {
    AudioOffer::find(&SessionDescription::parse(text.as_bytes()).unwrap(), PLAIN).unwrap()
}

/// `payload type name/rate/channels` for each codec.
fn names(codecs: &[AudioCodec]) -> Vec<String> {
    let name = |codec: &AudioCodec| {
        let encoding = String::from_utf8_lossy(codec.encoding.as_bytes()).into_owned();
        format!("{} {encoding}/{}/{}", codec.payload_type, codec.clock_rate, codec.channels)
    };
    codecs.iter().map(name).collect()
}

fn events(offer: &AudioOffer) -> Vec<(u8, u32)> {
    offer.telephone_events.iter().map(|event| (event.payload_type, event.clock_rate)).collect()
}

#[test]
fn baresip_offers_opus_with_parameters_and_events() {
    let offer = offer(BARESIP);
    assert_eq!(names(&offer.codecs), ["96 opus/48000/2", "8 PCMA/8000/1", "0 PCMU/8000/1"]);
    assert_eq!(offer.codecs[0].parameters.as_bytes(), b"stereo=1;sprop-stereo=1");
    assert_eq!(events(&offer), [(101, 8_000)]);
    assert_eq!(offer.telephone_events[0].events.as_bytes(), b"0-15");
    assert_eq!(offer.destination(), Some("192.0.2.10:10234".parse().unwrap()));
    assert_eq!((offer.ptime_ms, offer.direction), (Some(20), Direction::SendRecv));
}

#[test]
fn linphone_offers_audio_before_video_with_events_for_two_rates() {
    let offer = offer(LINPHONE);
    assert_eq!((offer.media_index, offer.transport), (0, MediaTransport::RtpAvpf));
    let codecs = ["96 opus/48000/2", "97 speex/16000/1", "98 speex/8000/1", "0 PCMU/8000/1", "8 PCMA/8000/1"];
    assert_eq!(names(&offer.codecs)[..5], codecs);
    assert_eq!(names(&offer.codecs)[5..], ["18 G729/8000/1"]);
    assert_eq!(offer.codecs[5].parameters.as_bytes(), b"annexb=yes", "a static type may have parameters");
    assert_eq!(events(&offer), [(101, 48_000), (99, 8_000)]);
}

#[test]
fn static_payload_types_need_no_rtpmap() {
    assert_eq!(
        names(&offer(ZOIPER).codecs),
        ["0 PCMU/8000/1", "8 PCMA/8000/1", "3 GSM/8000/1", "18 G729/8000/1"]
    );
    assert_eq!(events(&offer(ZOIPER)), [(101, 8_000)]);
    assert_eq!(offer(ASTERISK).maxptime_ms, Some(140));
}

#[test]
fn an_old_gateway_is_understood_in_spite_of_its_form() {
    let session = SessionDescription::parse(OLD_GATEWAY.as_bytes()).unwrap();
    let origin = session.origin.unwrap();
    assert_eq!(origin.username, b"Cisco Systems SIP GW");
    assert_eq!(origin.address, b"gw.example.com");
    assert_eq!((session.name, session.time), (None, None));
    let offer = offer(OLD_GATEWAY);
    assert_eq!(offer.direction, Direction::SendOnly);
    assert_eq!(names(&offer.codecs), ["18 G729/8000/1", "100 X-NSE/8000/1"]);
    assert_eq!(offer.codecs[0].parameters.as_bytes(), b"annexb=no");
}

#[test]
fn the_first_audio_line_with_a_usable_profile_is_taken() {
    let plain = offer(TWO_AUDIO_LINES);
    assert_eq!(plain.media_index, 1);
    assert_eq!(plain.destination(), Some("[2001:db8::11]:60002".parse().unwrap()));
    assert_eq!(events(&plain), [(101, 8_000)]);
    let session = SessionDescription::parse(TWO_AUDIO_LINES.as_bytes()).unwrap();
    let secure = AudioOffer::find(&session, &[MediaTransport::RtpSavp]).unwrap();
    assert_eq!((secure.media_index, names(&secure.codecs).len()), (0, 2));
    assert_eq!(AudioOffer::at(&session, 0, PLAIN), Err(NegotiationError::UnsupportedTransport));
}

#[test]
fn what_cannot_be_negotiated_is_named() {
    for (lines, error) in [
        ("", NegotiationError::NoAudio),
        ("m=video 4000 RTP/AVP 96\n", NegotiationError::NoAudio),
        ("c=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\n", NegotiationError::Rejected),
        ("m=audio 4000 RTP/AVP 0\n", NegotiationError::NoAddress),
        ("c=IN IP4 233.252.0.1/127\nm=audio 4000 RTP/AVP 0\n", NegotiationError::Multicast),
        ("c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 96 13 19\n", NegotiationError::NoCodec),
        ("c=IN IP4 192.0.2.1\nm=audio 4000 udp 0\n", NegotiationError::UnsupportedTransport),
    ] {
        let text = format!("v=0\n{lines}");
        let session = SessionDescription::parse(text.as_bytes()).unwrap();
        assert_eq!(AudioOffer::find(&session, PLAIN), Err(error), "{lines}");
    }
}

#[test]
fn hold_is_recognised_in_each_of_its_spellings() {
    let phone =
        "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    for (text, direction, destination) in [
        (phone.to_owned(), Direction::SendRecv, true),
        (format!("{phone}a=sendonly\r\n"), Direction::SendOnly, true),
        (format!("{phone}a=inactive\r\n"), Direction::Inactive, true),
        (format!("{phone}a=recvonly\r\n"), Direction::RecvOnly, true),
        (phone.replace("t=0 0", "t=0 0\r\na=sendonly"), Direction::SendOnly, true),
        (phone.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"), Direction::SendOnly, false),
        (phone.replace("c=IN IP4 192.0.2.1", "c=IN IP6 ::"), Direction::SendOnly, false),
        (
            phone.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0") + "a=recvonly\r\n",
            Direction::Inactive,
            false,
        ),
    ] {
        let offer = offer(&text);
        assert_eq!(offer.direction, direction, "{text}");
        assert_eq!(offer.destination().is_some(), destination, "{text}");
        assert_eq!(offer.direction.is_hold(), !direction.receives());
    }
}

#[test]
fn a_host_name_is_left_to_the_caller_and_a_snapshot_keeps_the_offer() {
    let named = offer(&ASTERISK.replace("c=IN IP4 203.0.113.5", "c=IN IP4 media.example.com"));
    assert_eq!(named.address, MediaAddress::Name("media.example.com".into()));
    assert_eq!(named.destination(), None);
    for offer in [named, offer(LINPHONE), offer(TWO_AUDIO_LINES)] {
        let bytes = postcard::to_allocvec(&offer).unwrap();
        assert_eq!(postcard::from_bytes::<AudioOffer>(&bytes).unwrap(), offer);
    }
}

/// sdp-rs is right on descriptions that are complete, in the RFC's order, and have addresses for names.
#[test]
fn sdp_rs_reads_well_formed_descriptions_the_same() {
    for text in [BARESIP, LINPHONE, ASTERISK, ZOIPER, TWO_AUDIO_LINES] {
        let ours = SessionDescription::parse(text.as_bytes()).unwrap();
        let oracle = sdp_rs::SessionDescription::try_from(text).unwrap();
        let origin = ours.origin.unwrap();
        assert_eq!(origin.username, oracle.origin.username.as_bytes());
        assert_eq!(origin.session_id_text, oracle.origin.sess_id.as_bytes());
        assert_eq!(origin.version_text, oracle.origin.sess_version.as_bytes());
        assert_eq!(origin.address, oracle.origin.unicast_address.to_string().as_bytes());
        assert_eq!(ours.name, Some(oracle.session_name.value().as_bytes()));
        let connection = oracle.connection.as_ref().map(|connection| connection.connection_address.base);
        assert_eq!(ours.connection.and_then(|connection| connection.ip()), connection);
        assert_eq!(ours.media.len(), oracle.media_descriptions.len());
        for (ours, oracle) in ours.media.iter().zip(&oracle.media_descriptions) {
            compare_media(ours, oracle);
        }
    }
}

fn compare_media(ours: &MediaDescription<'_>, oracle: &sdp_rs::MediaDescription) {
    assert_eq!(oracle.media.media == MediaType::Audio, ours.media == b"audio");
    assert_eq!(ours.port, oracle.media.port);
    assert_eq!(ours.protocol, oracle.media.proto.to_string().as_bytes());
    assert_eq!(ours.formats_text, oracle.media.fmt.trim().as_bytes());
    let connection = oracle.connections.first().map(|connection| connection.connection_address.base);
    assert_eq!(ours.connection.and_then(|connection| connection.ip()), connection);
    assert_eq!(ours.section.attributes().count(), oracle.attributes.len());
    for attribute in &oracle.attributes {
        match attribute {
            OracleAttribute::Rtpmap(map) => {
                let own = ours.rtpmap(u8::try_from(map.payload_type).unwrap()).unwrap();
                assert_eq!(own.encoding, map.encoding_name.as_bytes());
                assert_eq!(i64::from(own.clock_rate), i64::from(map.clock_rate));
                assert_eq!(i32::from(own.channels), map.encoding_params.unwrap_or(1));
            }
            OracleAttribute::Ptime(ptime) => assert_eq!(ours.ptime_ms().map(f32::from), Some(*ptime)),
            OracleAttribute::Maxptime(ptime) => assert_eq!(ours.maxptime_ms().map(f32::from), Some(*ptime)),
            OracleAttribute::Sendrecv => assert_eq!(ours.direction, Some(Direction::SendRecv)),
            OracleAttribute::Sendonly => assert_eq!(ours.direction, Some(Direction::SendOnly)),
            OracleAttribute::Recvonly => assert_eq!(ours.direction, Some(Direction::RecvOnly)),
            OracleAttribute::Inactive => assert_eq!(ours.direction, Some(Direction::Inactive)),
            _ => {}
        }
    }
}

/// Each of our descriptions is well-formed in the eyes of sdp-rs.
#[test]
fn sdp_rs_accepts_what_we_write() {
    let offered = offer(LINPHONE);
    let session = SessionDescription::parse(LINPHONE.as_bytes()).unwrap();
    let local = LocalAudio {
        address: "203.0.113.9".parse().unwrap(),
        port: 40_000,
        transport: MediaTransport::RtpAvp,
        codecs: &offered.codecs,
        telephone_events: &offered.telephone_events,
        direction: Direction::SendRecv,
        ptime_ms: Some(20),
    };
    let origin = LocalOrigin { username: b"", session_id: 1, version: 1, address: local.address };
    let (mut offer_text, mut answer_text) = (Vec::new(), Vec::new());
    write_offer(&mut offer_text, &origin, &local);
    write_answer(&mut answer_text, &origin, &session, Some((0, &local)));
    for (text, media) in [(offer_text, 1), (answer_text, 2)] {
        let oracle = sdp_rs::SessionDescription::try_from(std::str::from_utf8(&text).unwrap()).unwrap();
        assert_eq!(oracle.media_descriptions.len(), media);
        let ours = SessionDescription::parse(&text).unwrap();
        ours.media
            .iter()
            .zip(&oracle.media_descriptions)
            .for_each(|(ours, oracle)| compare_media(ours, oracle));
    }
}
