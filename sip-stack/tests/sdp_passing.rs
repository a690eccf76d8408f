//! A stream passed from one session to another keeps its lines and gets our address (RFC 3264 §6; RFC 8859).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod sdp;

use sdp::bodies::{CHROME, T38_GATEWAY, VIDEO_PHONE};
use sdp::{ORIGIN, parse, written};
use sip_stack::sdp::{
    Direction, LocalMedia, LocalSession, PassedMedia, RtcpAttributes, SessionDescription,
    TransportAttributes, check_answer, check_next_offer, write_media_answer, write_media_offer,
};

/// Every stream of `session`, under addresses of ours.
fn all<'a>(
    session: &'a SessionDescription<'a>,
    attributes: Option<&'a TransportAttributes>,
) -> Vec<LocalMedia<'a>> {
    let pass = |(port, media)| PassedMedia {
        media,
        address: ORIGIN.address,
        port,
        protocol: media.protocol,
        direction: Some(session.direction_of(media)),
        attributes,
    };
    (40_000..)
        .step_by(2)
        .zip(&session.media)
        .map(|(port, media)| LocalMedia::Passed(pass((port, media))))
        .collect()
}

fn passed_on(session: &SessionDescription<'_>) -> String {
    let local = LocalSession { origin: ORIGIN, passed: Some(session) };
    written(|out| write_media_offer(out, &local, None, &all(session, None)))
}

#[test]
fn video_keeps_its_lines_in_their_order_and_loses_what_belongs_to_the_neighbour() {
    let text = passed_on(&parse(VIDEO_PHONE));
    let expected = "v=0\r\no=- 1 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nb=AS:1024\r\nt=0 0\r\n\
        a=rtcp-xr:rcvr-rtt=all:10000\r\na=x-call:7\r\n\
        m=video 40000 RTP/AVPF 96 97\r\ni=the camera\r\nb=TIAS:900000\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 profile-level-id=42801F;packetization-mode=1\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n\
        a=rtpmap:97 VP8/90000\r\na=x-unknown:kept as it is\r\ny=an unknown line\r\na=ssrc:77 cname:camera\r\n\
        a=msid:s t\r\na=sendonly\r\n\
        m=audio 40002 RTP/AVPF 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-fb:* trr-int 1000\r\na=sendrecv\r\n\
        m=x-whiteboard 40004 udp wb\r\na=colour:blue\r\na=sendrecv\r\n";
    assert_eq!(text, expected);
}

#[test]
fn passing_again_changes_nothing() {
    for body in [CHROME, VIDEO_PHONE, T38_GATEWAY] {
        let once = passed_on(&parse(body));
        assert_eq!(passed_on(&parse(&once)), once);
    }
}

#[test]
fn nothing_of_a_browsers_transport_reaches_the_other_side_unless_we_say_so() {
    let text = passed_on(&parse(CHROME));
    for name in ["candidate", "ice-", "fingerprint", "setup", "mid:", "group", "rtcp:", "rtcp-mux", "BUNDLE"]
    {
        assert!(!text.contains(&format!("a={name}")), "{name}: {text}");
    }
    assert!(text.contains("a=ssrc-group:FID 101 102\r\n") && text.contains("a=msid:stream1 track2\r\n"));
    let session = parse(CHROME);
    let ours = TransportAttributes {
        rtcp: RtcpAttributes { mux: true, ..RtcpAttributes::default() },
        ..TransportAttributes::default()
    };
    let local = LocalSession { origin: ORIGIN, passed: None };
    let text = written(|out| write_media_offer(out, &local, None, &all(&session, Some(&ours))));
    assert_eq!(text.matches("a=rtcp-mux\r\n").count(), 3);
}

#[test]
fn an_answer_passed_back_has_the_protocols_and_places_of_the_offer() {
    let offer = parse(VIDEO_PHONE);
    let callee = VIDEO_PHONE
        .replace("RTP/AVPF", "RTP/AVP")
        .replace("m=x-whiteboard 7000", "m=x-whiteboard 0")
        .replace("a=sendonly", "a=recvonly");
    let answered = parse(&callee);
    let local = LocalSession { origin: ORIGIN, passed: Some(&answered) };
    let text = written(|out| write_media_answer(out, &local, &offer, &all(&answered, None)));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        ["m=video 40000 RTP/AVPF 96 97", "m=audio 40002 RTP/AVPF 0 101", "m=x-whiteboard 0 udp wb"]
    );
    assert_eq!(check_answer(&offer, &parse(&text)), Ok(()));
    assert_eq!(parse(&text).direction_of(&parse(&text).media[0]), Direction::RecvOnly);
}

#[test]
fn what_was_not_offered_is_rejected_whatever_we_would_like() {
    let offer = parse(T38_GATEWAY);
    let text = written(|out| {
        write_media_answer(out, &LocalSession { origin: ORIGIN, passed: None }, &offer, &all(&offer, None));
    });
    assert!(
        text.contains("m=audio 0 RTP/AVP 0\r\n") && text.contains("m=image 40002 udptl t38\r\n"),
        "{text}"
    );
}

#[test]
fn a_later_offer_keeps_every_line_and_closes_those_it_does_not_name() {
    let earlier = parse(VIDEO_PHONE);
    let streams = all(&earlier, None);
    let local = LocalSession { origin: ORIGIN, passed: None };
    let text = written(|out| write_media_offer(out, &local, Some(&earlier), &streams[..1]));
    let later = parse(&text);
    assert_eq!(later.media.iter().map(|media| media.port).collect::<Vec<_>>(), [40_000, 0, 0]);
    assert_eq!(check_next_offer(&earlier, &later), Ok(()));
    assert!(text.ends_with("m=audio 0 RTP/AVPF 0 101\r\nm=x-whiteboard 0 udp wb\r\n"), "{text}");
    let more = [streams.as_slice(), &streams[..1]].concat();
    let text = written(|out| write_media_offer(out, &local, Some(&earlier), &more));
    assert_eq!(parse(&text).media.len(), 4);
}

#[test]
fn the_tag_of_a_media_stays_that_of_the_offer() {
    let offer = parse(CHROME);
    let streams = all(&offer, None);
    let local = LocalSession { origin: ORIGIN, passed: None };
    let text = written(|out| write_media_answer(out, &local, &offer, &streams));
    let answer = parse(&text);
    for (ours, theirs) in answer.media.iter().zip(&offer.media) {
        assert_eq!(ours.mid(), theirs.mid());
    }
    assert_eq!(answer.groups().count(), 0, "three streams over three transports are no bundle");
}

#[test]
fn a_stream_at_another_address_says_so_itself() {
    let session = parse(VIDEO_PHONE);
    let mut streams = all(&session, None);
    if let LocalMedia::Passed(passed) = &mut streams[1] {
        passed.address = "2001:db8::9".parse().unwrap();
    }
    let local = LocalSession { origin: ORIGIN, passed: None };
    let text = written(|out| write_media_offer(out, &local, None, &streams));
    assert!(text.contains("m=audio 40002 RTP/AVPF 0 101\r\nc=IN IP6 2001:db8::9\r\n"), "{text}");
    assert_eq!(text.matches("c=").count(), 2);
}
