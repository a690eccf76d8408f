//! Calls of others: ringing, answering, re-INVITE, offers in the 2xx, and requests that are no calls (RFC 3261 §13.3,
//! §14.2, §11.2, §8.2).

use super::*;
use crate::phone::{AutoAnswer, Codec, Ending, EventFormat, Reason, Rejection, Stream};
use sip_stack::sdp::{AudioOffer, Direction, MediaTransport, SessionDescription};

fn rung() -> Rig {
    rung_with(Settings::default(), &sdp(4_000, "sendrecv"))
}

fn our_tag(rig: &Rig) -> Vec<u8> {
    rig.last().to().unwrap().tag().unwrap().to_vec()
}

fn stream(rig: &Rig) -> &Stream {
    match rig.media.last() {
        Some(MediaCommand::Start { stream, .. }) => stream,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_rings_until_the_user_answers() {
    let mut rig = rung();
    assert_eq!(status(&rig), 180);
    assert_eq!(rig.last().header(HeaderName::RecordRoute), Some(&b"<sip:192.0.2.9;lr>"[..]));
    let from = Bytes::from_static(b"Bob \"B\"");
    let (account, uri) = (AccountId::FIRST, Bytes::from_static(b"sip:1002@a.example"));
    assert_eq!(rig.events, [Event::Incoming { call: CALL, account, from, uri, waiting: false }]);
    rig.command(Command::Answer { call: CALL });
    assert_eq!(status(&rig), 200);
    let answer = rig.last();
    let answer = SessionDescription::parse(answer.body()).unwrap();
    assert_eq!(answer.media[0].payload_types().collect::<Vec<_>>(), [0, 96], "the offerer's numbers");
    let events = EventFormat { payload_type: 96, clock_rate: 8_000 };
    assert_eq!(stream(&rig).codec, Codec::Pcmu);
    assert_eq!(stream(&rig).receives_telephone_events, [events]);
}

#[test]
fn calls_are_answered_at_once_or_after_a_while_if_the_user_wants_that() {
    let settings = |auto_answer| Settings { auto_answer, ..Settings::default() };
    let rig = rung_with(settings(AutoAnswer::Always), &sdp(4_000, "sendrecv"));
    assert_eq!(rig.events.last(), Some(&Event::Connected { call: CALL }));
    let mut rig = rung_with(settings(AutoAnswer::After(Duration::from_secs(3))), &sdp(4_000, "sendrecv"));
    rig.wait(Duration::from_millis(2_999));
    assert_eq!(status(&rig), 180);
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.events.last(), Some(&Event::Connected { call: CALL }));
}

#[test]
fn a_refused_call_ends_with_486_or_603() {
    for (rejection, code) in [(Rejection::Busy, 486), (Rejection::Decline, 603)] {
        let mut rig = rung();
        rig.command(Command::Reject { call: CALL, rejection });
        assert_eq!(status(&rig), code);
        let tag = our_tag(&rig);
        let ack = request("ACK", 1, Some(&tag), b"").finish();
        let ack = String::from_utf8(ack.to_vec()).unwrap().replace("-ACK-1", "-INVITE-1");
        rig.receive(ack.into());
        assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Ours }));
        assert!(rig.is_over());
    }
}

#[test]
fn a_caller_who_cancels_ends_the_ringing_with_487() {
    let mut rig = rung();
    let cancel = String::from_utf8(request("CANCEL", 1, None, b"").finish().to_vec()).unwrap();
    rig.receive(cancel.replace("-CANCEL-1", "-INVITE-1").into());
    let codes: Vec<u16> = rig.sent[1..].iter().map(|sent| sent.status().unwrap().code()).collect();
    assert_eq!(codes, [200, 487]);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Theirs }));
    assert!(rig.is_over());
}

#[test]
fn a_cancel_that_says_so_tells_that_another_phone_has_the_call_and_it_was_not_missed() {
    for (reason, ending, missed) in [
        ("SIP;cause=200;text=\"Call completed elsewhere\"", Ending::Elsewhere, false),
        ("Q.850;cause=26, SIP ;cause=200", Ending::Elsewhere, false),
        ("Q.850;cause=200", Ending::Theirs, true),
        ("SIP;cause=600", Ending::Theirs, true),
    ] {
        let mut rig = rung();
        let mut cancel = request("CANCEL", 1, None, b"");
        cancel.header(HeaderName::Reason, reason.as_bytes());
        let cancel = String::from_utf8(cancel.finish().to_vec()).unwrap();
        rig.receive(cancel.replace("-CANCEL-1", "-INVITE-1").into());
        assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending }), "{reason}");
        assert_eq!(rig.phone.call_log().next().unwrap().is_missed(), missed, "{reason}");
    }
}

#[test]
fn an_info_with_a_package_is_refused_with_the_empty_list_of_those_we_take() {
    let (mut rig, tag) = called();
    let mut info = request("INFO", 2, Some(&tag), b"");
    info.header(HeaderName::InfoPackage, b"foo");
    rig.receive(info.finish());
    assert_eq!((status(&rig), rig.last().header(HeaderName::RecvInfo)), (469, Some(&b""[..])));
}

#[test]
fn a_caller_may_end_its_early_dialog_with_bye() {
    let mut rig = rung();
    let tag = our_tag(&rig);
    rig.receive(request("BYE", 2, Some(&tag), b"").finish());
    let codes: Vec<u16> = rig.sent[1..].iter().map(|sent| sent.status().unwrap().code()).collect();
    assert_eq!(codes, [200, 487]);
    assert!(rig.is_over());
}

#[test]
fn one_call_more_than_there_are_lines_is_busy() {
    let mut rig = rung_with(Settings { lines: 1, ..Settings::default() }, &sdp(4_000, "sendrecv"));
    let second = String::from_utf8(request("INVITE", 1, None, b"").finish().to_vec()).unwrap();
    let second = second.replace("Call-ID: theirs", "Call-ID: other").replace("-INVITE-1", "-other");
    rig.receive(second.into());
    assert_eq!(status(&rig), 486);
    assert!(matches!(&rig.events[1..], [Event::TurnedAway { .. }]));
}

#[test]
fn offers_that_cannot_be_taken_are_refused() {
    let video = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=video 4000 RTP/AVP 96\r\n";
    assert_eq!(status(&rung_with(Settings::default(), video)), 488);
    assert_eq!(status(&rung_with(Settings::default(), b"nothing of the kind")), 488);
    let mut rig = Rig::new();
    let mut writer = request("INVITE", 1, None, b"");
    writer.body(b"text/plain", b"hello");
    rig.receive(writer.finish());
    assert_eq!(status(&rig), 415);
    assert_eq!(rig.last().header(HeaderName::Accept), Some(&b"application/sdp"[..]));
    let mut rig = Rig::new();
    let mut writer = request("INVITE", 1, None, &sdp(4_000, "sendrecv"));
    writer.header(HeaderName::Require, b"100rel, gruu");
    rig.receive(writer.finish());
    assert_eq!(status(&rig), 420);
    assert_eq!(rig.last().headers(HeaderName::Unsupported).collect::<Vec<_>>(), [&b"gruu"[..]]);
}

#[test]
fn a_stream_with_feedback_is_answered_and_offered_again_in_its_own_profile() {
    let offer = String::from_utf8(sdp(4_000, "sendrecv")).unwrap().replace("RTP/AVP ", "RTP/AVPF ");
    let mut rig = rung_with(Settings::default(), offer.as_bytes());
    rig.command(Command::Answer { call: CALL });
    assert_eq!(status(&rig), 200);
    assert_eq!(stream(&rig).codec, Codec::Pcmu);
    let profile = |rig: &Rig| {
        let message = rig.last();
        let described = SessionDescription::parse(message.body()).unwrap();
        AudioOffer::find(&described, &[MediaTransport::RtpAvpf]).map(|audio| audio.transport)
    };
    assert_eq!(profile(&rig), Ok(MediaTransport::RtpAvpf));
    let tag = our_tag(&rig);
    rig.receive(request("ACK", 1, Some(&tag), b"").finish());
    rig.command(Command::Hold { call: CALL });
    assert_eq!(rig.last().method(), Some(Method::Invite));
    assert_eq!(profile(&rig), Ok(MediaTransport::RtpAvpf));
}

#[test]
fn hold_and_resume_are_answered_and_the_version_grows_with_each_change() {
    let (mut rig, tag) = called();
    let mut versions = Vec::new();
    for (cseq, offered, answered, sends) in [
        (2, "sendonly", Direction::RecvOnly, false),
        (3, "sendonly", Direction::RecvOnly, false),
        (4, "inactive", Direction::Inactive, false),
        (5, "sendrecv", Direction::SendRecv, true),
    ] {
        rig.receive(request("INVITE", cseq, Some(&tag), &sdp(4_000, offered)).finish());
        assert_eq!(status(&rig), 200);
        let answer = rig.last();
        let answer = SessionDescription::parse(answer.body()).unwrap();
        assert_eq!(answer.direction_of(&answer.media[0]), answered, "{offered}");
        versions.push(answer.origin.unwrap().version().unwrap());
        rig.receive(request("ACK", cseq, Some(&tag), b"").finish());
        assert_eq!(stream(&rig).send, sends);
    }
    assert_eq!(versions[0], versions[1]);
    assert!(versions[1] != versions[2] && versions[2] != versions[3]);
    assert_eq!(rig.media.iter().filter(|media| matches!(media, MediaCommand::Start { .. })).count(), 4);
}

#[test]
fn a_reinvite_that_cannot_be_taken_leaves_the_session_as_it_was() {
    let (mut rig, tag) = called();
    let media = rig.media.len();
    let strange = String::from_utf8(sdp(4_000, "sendrecv")).unwrap().replace("RTP/AVP 0", "RTP/AVP 18");
    rig.receive(request("INVITE", 2, Some(&tag), strange.as_bytes()).finish());
    assert_eq!(status(&rig), 488);
    assert_eq!((rig.media.len(), rig.phone.calls()), (media, 1));
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_the_ack_has_the_answer() {
    let mut rig = rung_with(Settings::default(), b"");
    rig.command(Command::Answer { call: CALL });
    let offer = rig.last();
    let offer = SessionDescription::parse(offer.body()).unwrap();
    assert_eq!(offer.media[0].payload_types().collect::<Vec<_>>(), [111, 9, 0, 8, 101, 110]);
    let tag = our_tag(&rig);
    rig.receive(request("INVITE", 2, Some(&tag), b"").finish());
    assert_eq!(status(&rig), 491, "an offer is open");
    rig.receive(request("ACK", 1, Some(&tag), &sdp(4_000, "sendrecv")).finish());
    assert_eq!(stream(&rig).remote, Some(([192, 0, 2, 9], 4_000).into()));
}

#[test]
fn an_ack_without_the_answer_it_owes_ends_the_call() {
    let mut rig = rung_with(Settings::default(), b"");
    rig.command(Command::Answer { call: CALL });
    let tag = our_tag(&rig);
    rig.receive(request("ACK", 1, Some(&tag), b"").finish());
    assert_eq!(rig.last().method(), Some(Method::Bye));
    let ending = Ending::Failed(Reason::Nonsense);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending }));
}

#[test]
fn an_answer_that_nobody_acknowledges_ends_in_a_bye() {
    let mut rig = rung();
    rig.command(Command::Answer { call: CALL });
    rig.wait(Duration::from_secs(32));
    assert_eq!(rig.last().method(), Some(Method::Bye));
    let ending = Ending::Failed(Reason::Lost);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending }));
    assert!(rig.is_over());
}

#[test]
fn a_bye_of_the_caller_ends_the_call() {
    let (mut rig, tag) = called();
    rig.receive(request("BYE", 2, Some(&tag), b"").finish());
    assert_eq!(status(&rig), 200);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Theirs }));
    assert_eq!(rig.media.last(), Some(&MediaCommand::Close { call: CALL }));
    assert!(rig.is_over());
}

#[test]
fn options_are_told_and_other_methods_refused() {
    let mut rig = Rig::new();
    rig.receive(request("OPTIONS", 1, None, b"").finish());
    assert_eq!(status(&rig), 200);
    for method in [Method::Invite, Method::Update, Method::Prack, Method::Refer, Method::Notify] {
        assert!(rig.last().allows(method), "{method}");
    }
    rig.receive(request("PUBLISH", 2, None, b"").finish());
    assert_eq!(status(&rig), 405);
    rig.receive(request("BYE", 3, None, b"").finish());
    assert_eq!(status(&rig), 481);
    assert!(rig.is_over());
}

#[test]
fn nobody_waits_for_a_caller_who_never_cancels() {
    let mut rig = rung();
    rig.wait(Duration::from_secs(180));
    assert_eq!(rig.sent[1].status().unwrap().code(), 480);
    let ending = Ending::Failed(Reason::NotAnswered);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending }));
    assert!(rig.is_over());
}
