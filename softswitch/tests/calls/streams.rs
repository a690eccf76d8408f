//! Streams beside the sound: video in a call that begins, fax in the place of the sound by re-INVITE; what one side refuses is
//! refused to the other (RFC 3264 §6, §8; ITU-T T.38 §D.2.3).

use crate::stage::{self, CALLEE, Stage, sdp};
use media::{Command, LegId, PayloadRule, Report};
use sip_stack::message::Method;
use softswitch::core::Input;

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
const VIDEO: &str = "m=video 4004 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1\r\na=rtpmap:97 VP8/90000\r\n";
const FAX: &str = "m=image 4006 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n";

/// Both sides have called with the same lines, the caller's in this order.
fn invited(caller: &str) -> (Stage, sip_stack::message::Message) {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(caller));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    (stage, invite)
}

fn lines(body: &str) -> Vec<&str> {
    body.lines().filter(|line| line.starts_with("m=")).collect()
}

fn closed(commands: &[Command]) -> Vec<LegId> {
    let close = |command: &Command| if let Command::Close { leg } = command { Some(*leg) } else { None };
    commands.iter().filter_map(close).collect()
}

#[test]
fn video_is_offered_after_the_sound_and_relayed_as_it_is_when_the_callee_takes_it() {
    let (mut stage, invite) = invited(&format!("{VIDEO}a=sendonly\r\n{PCMU}m=message 9 TCP/MSRP *\r\n"));
    let offer = stage::body(&invite);
    assert_eq!(lines(&offer)[1..], ["m=video 40006 RTP/AVP 96 97"], "{offer}");
    assert!(lines(&offer)[0].starts_with("m=audio 40002 RTP/AVP 0 8 "), "{offer}");
    assert!(
        offer.contains("a=fmtp:96 packetization-mode=1\r\n") && offer.contains("a=sendonly\r\n"),
        "{offer}"
    );
    let video = "m=video 4008 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\na=recvonly\r\n";
    stage.reply(&invite, "200 OK", &sdp(&format!("{PCMU}{video}")));
    let answer = stage::body(&stage.response_to_caller(200));
    let expected = ["m=video 40004 RTP/AVP 97", "m=audio 40000 RTP/AVP 0", "m=message 0 TCP/MSRP *"];
    assert_eq!(lines(&answer), expected, "{answer}");
    assert!(answer.contains("a=recvonly\r\n"), "{answer}");
    let relays = stage.relays();
    let [_, Command::Relay { a, b, forward, backward }] = &relays[..] else {
        panic!("two relays: {relays:?}")
    };
    assert_eq!((forward.rule(97), backward.rule(96)), (PayloadRule::Pass(97), PayloadRule::Pass(96)));
    let configured = |leg: &LegId| {
        let params = stage.told.iter().rev().find_map(|command| match command {
            Command::Configure { leg: configured, params } if configured == leg => Some(params.clone()),
            _ => None,
        });
        params.expect("the leg is configured")
    };
    let (ours, theirs) = (configured(a), configured(b));
    assert_eq!((ours.remote.map(|at| at.port()), ours.clock_rate), (Some(4004), 90_000));
    assert_eq!((ours.send, ours.receive, theirs.send, theirs.receive), (true, false, false, true));
    assert_eq!(theirs.remote.map(|at| at.port()), Some(4008));
    stage.ack("");
    stage.bye();
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0, "every leg has been closed");
}

/// RFC 4585 §4.2: the attributes of feedback are between the parties; each line keeps the profile it was offered with.
#[test]
fn streams_with_feedback_keep_their_profile_and_what_is_asked_about() {
    let feedback = "a=rtcp-fb:96 nack pli\r\n";
    let video = format!("m=video 4004 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n{feedback}");
    let sound = "m=audio 4000 RTP/AVPF 0\r\na=rtcp-fb:* trr-int 1000\r\n";
    let (mut stage, invite) = invited(&format!("{sound}{video}"));
    let offer = stage::body(&invite);
    assert!(lines(&offer)[0].starts_with("m=audio 40002 RTP/AVP 0 8 "), "anybody takes that: {offer}");
    assert_eq!(lines(&offer)[1], "m=video 40006 RTP/AVPF 96");
    assert!(offer.contains(feedback) && !offer.contains("trr-int"), "{offer}");
    stage.reply(&invite, "200 OK", &sdp(&format!("{PCMU}{video}")));
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=audio 40000 RTP/AVPF 0", "m=video 40004 RTP/AVPF 96"]);
    assert!(answer.contains(feedback), "{answer}");
    stage.ack("");
    let offer = stage::body(&stage.re_invite(""));
    assert!(lines(&offer)[0].starts_with("m=audio 40000 RTP/AVPF 0 "), "{offer}");
    assert_eq!(lines(&offer)[1], "m=video 40004 RTP/AVPF 96");
}

#[test]
fn video_that_the_callee_refuses_is_refused_to_the_caller_and_its_ports_are_given_back() {
    let (mut stage, invite) = invited(&format!("{PCMU}{VIDEO}"));
    stage.reply(&invite, "200 OK", &sdp(&format!("{PCMU}m=video 0 RTP/AVP 96\r\n")));
    let told = stage.told.clone();
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=audio 40000 RTP/AVP 0", "m=video 0 RTP/AVP 96 97"]);
    assert_eq!(closed(&told).len(), 2);
    assert_eq!(stage.relays().len(), 1);
}

#[test]
fn a_secure_stream_is_not_passed_and_a_call_with_sound_alone_is_offered_sound_alone() {
    let (stage, invite) = invited(&format!("{PCMU}m=video 4004 RTP/SAVP 96\r\n"));
    assert_eq!(lines(&stage::body(&invite)).len(), 1);
    assert_eq!(stage.told.len(), 1, "two ports pairs alone are asked for: {:?}", stage.told);
}

#[test]
fn streams_that_hold_asks_nothing_new_of_are_answered_as_they_are() {
    let (mut stage, invite) = invited(&format!("{PCMU}{VIDEO}"));
    stage.reply(&invite, "200 OK", &sdp(&format!("{PCMU}{VIDEO}")));
    stage.response_to_caller(200);
    stage.ack("");
    let held = format!("{PCMU}a=sendonly\r\n{VIDEO}a=sendonly\r\n");
    let answer = stage::body(&stage.re_invite(&sdp(&held)));
    assert_eq!(lines(&answer), ["m=audio 40000 RTP/AVP 0", "m=video 40004 RTP/AVP 96 97"]);
    stage.ack("");
    let offer = stage::body(&stage.re_invite(""));
    assert_eq!(lines(&offer)[1], "m=video 40004 RTP/AVP 96 97", "an offer of ours has it too");
}

/// A call in PCMU whose caller has asked for fax instead; what the callee is asked.
fn fax() -> (Stage, sip_stack::message::Message) {
    let mut stage = Stage::new(1);
    stage.talk();
    stage.ask(&sdp(FAX));
    assert!(stage.all_sent_to_callee(Method::Invite).is_empty(), "the ports are on their way");
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    (stage, invite)
}

#[test]
fn fax_takes_the_place_of_the_sound_on_both_sides_and_gives_it_back() {
    let (mut stage, invite) = fax();
    let offer = stage::body(&invite);
    assert_eq!(lines(&offer), ["m=audio 0 RTP/AVP 0", "m=image 40002 udptl t38"], "no line leaves its place");
    assert!(offer.contains("a=T38MaxBitRate:14400\r\n"), "{offer}");
    stage.reply(&invite, "200 OK", &sdp("m=audio 0 RTP/AVP 0\r\nm=image 4010 udptl t38\r\n"));
    stage.sent_to(CALLEE, Method::Ack);
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=image 40000 udptl t38"]);
    let told = stage.mixing();
    assert!(matches!(told[..], [Command::Part { .. }, Command::Pass { .. }]), "{told:?}");
    stage.ack("");
    stage.ask(&sdp(FAX));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    let fax = "m=audio 0 RTP/AVP 0\r\nm=image 4010 udptl t38\r\n";
    stage.reply(&invite, "200 OK", &sdp(fax));
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=image 40000 udptl t38"], "asked again, it goes on");
    stage.ack("");
    stage.ask(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    let offer = stage::body(&invite);
    assert!(lines(&offer)[0].starts_with("m=audio 40002 RTP/AVP 0"), "{offer}");
    assert_eq!(lines(&offer)[1], "m=image 0 udptl t38");
    stage.reply(&invite, "200 OK", &sdp(&format!("{PCMU}m=image 0 udptl t38\r\n")));
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=audio 40000 RTP/AVP 0"]);
    assert_eq!(stage.relays().len(), 1);
    assert_eq!(closed(&stage.told).len(), 2, "the ports of the fax are given back");
    stage.close_media();
    stage.ack("");
    stage.bye();
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn fax_that_the_other_side_refuses_leaves_the_sound_as_it_was() {
    let (mut stage, invite) = fax();
    stage.reply(&invite, "488 Not Acceptable Here", "");
    stage.response_to_caller(488);
    assert_eq!(stage.mixing(), []);
    assert_eq!(closed(&stage.told).len(), 2);
    let answer = stage.re_invite(&sdp(&format!("{PCMU}a=sendonly\r\n")));
    assert_eq!(lines(&stage::body(&answer)), ["m=audio 40000 RTP/AVP 0"]);
}

#[test]
fn fax_for_which_there_are_no_ports_is_refused_for_a_while() {
    let mut stage = Stage::new(1);
    stage.talk();
    stage.ask(&sdp(FAX));
    let legs = stage.opening();
    stage.input(Input::Media(Report::Refused {
        legs: legs.into_iter().collect(),
        reason: media::RefusalReason::NoFreePort,
    }));
    stage.response_to_caller(500);
}

#[test]
fn a_call_that_ends_while_the_other_side_is_asked_leaves_nothing() {
    let (mut stage, _) = fax();
    stage.bye();
    stage.response_to_caller(487);
    stage.close_media();
    stage.pass(70);
    let holdings = stage.switch.holdings();
    assert_eq!((holdings.calls, holdings.dialogs), (0, 0));
}

#[test]
fn a_call_that_ends_while_the_other_side_takes_its_time_leaves_nothing() {
    let (mut stage, invite) = fax();
    stage.reply(&invite, "180 Ringing", "");
    stage.bye();
    stage.sent_to(CALLEE, Method::Cancel);
    stage.close_media();
    stage.pass(120);
    let holdings = stage.switch.holdings();
    assert_eq!((holdings.calls, holdings.dialogs, holdings.transactions), (0, 0, 0));
}

#[test]
fn a_cancel_of_who_asked_reaches_the_other_side() {
    let (mut stage, invite) = fax();
    stage.reply(&invite, "100 Trying", "");
    stage.cancel_last();
    let cancel = stage.sent_to(CALLEE, Method::Cancel);
    stage.reply(&cancel, "200 OK", "");
    stage.reply(&invite, "487 Request Terminated", "");
    stage.response_to_caller(487);
    assert_eq!(stage.mixing(), []);
}

#[test]
fn another_re_invite_waits_until_the_first_is_answered() {
    let (mut stage, _) = fax();
    let refused = stage.re_invite(&sdp(PCMU));
    assert_eq!(refused.status().map(|status| status.code()), Some(500));
}

#[test]
fn a_re_invite_that_is_given_up_before_its_ports_are_there_gives_them_back_as_they_come() {
    let mut stage = Stage::new(1);
    stage.talk();
    stage.ask(&sdp(FAX));
    let legs = stage.opening();
    stage.cancel_last();
    stage.response_to_caller(487);
    stage.open_media();
    assert!(stage.all_sent_to_callee(Method::Invite).is_empty(), "nobody is asked any more");
    assert_eq!(closed(&stage.told), legs);
    stage.close_media();
    // The next one has ports of its own.
    stage.ack("");
    stage.ask(&sdp(FAX));
    stage.open_media();
    stage.sent_to(CALLEE, Method::Invite);
}

#[test]
fn a_side_that_never_answers_a_re_invite_is_told_that_it_is_over_and_who_asked_too() {
    let (mut stage, invite) = fax();
    stage.reply(&invite, "100 Trying", "");
    stage.pass(59);
    assert!(stage.all_sent_to_callee(Method::Cancel).is_empty());
    stage.wait_for_response(500);
    stage.ack("");
    assert_eq!(closed(&stage.told).len(), 2, "the ports of the fax are given back");
    assert_eq!(stage.switch.holdings().calls, 1, "the call goes on");
}

#[test]
fn a_call_of_fax_alone_ends_when_both_sides_are_silent() {
    let (mut stage, invite) = fax();
    let legs = stage.opening();
    stage.reply(&invite, "200 OK", &sdp("m=audio 0 RTP/AVP 0\r\nm=image 4010 udptl t38\r\n"));
    stage.ack("");
    let silent = |stage: &mut Stage, leg| stage.input(Input::Media(Report::Silent { leg }));
    silent(&mut stage, legs[0]);
    silent(&mut stage, legs[0]);
    assert!(stage.all_sent_to_callee(Method::Bye).is_empty(), "the other side still sends");
    silent(&mut stage, legs[1]);
    stage.sent_to(CALLEE, Method::Bye);
}

#[test]
fn a_call_of_streams_alone_is_passed_to_who_may_take_them_and_can_have_sound_later() {
    let (mut stage, invite) = invited(VIDEO);
    let offer = stage::body(&invite);
    assert_eq!(lines(&offer), ["m=video 40006 RTP/AVP 96 97"], "{offer}");
    stage.reply(&invite, "200 OK", &sdp(VIDEO));
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=video 40004 RTP/AVP 96 97"], "{answer}");
    assert_eq!(stage.relays().len(), 1);
    stage.ack("");
    stage.ask(&sdp(&format!("{VIDEO}{PCMU}")));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    let offer = stage::body(&invite);
    assert_eq!(lines(&offer).len(), 2, "{offer}");
    assert!(lines(&offer)[1].starts_with("m=audio 40002 RTP/AVP 0 "), "{offer}");
    stage.reply(&invite, "200 OK", &sdp(&format!("{VIDEO}{PCMU}")));
    let answer = stage::body(&stage.response_to_caller(200));
    assert_eq!(lines(&answer), ["m=video 40004 RTP/AVP 96 97", "m=audio 40000 RTP/AVP 0"], "{answer}");
    assert_eq!(stage.relays().len(), 2, "{:?}", stage.mixing());
    stage.ack("");
    stage.bye();
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn fax_from_the_beginning_is_passed_and_ends_when_both_are_silent() {
    let (mut stage, invite) = invited(FAX);
    assert_eq!(lines(&stage::body(&invite)), ["m=image 40006 udptl t38"]);
    let legs = stage.opening();
    stage.reply(&invite, "200 OK", &sdp("m=image 4010 udptl t38\r\n"));
    assert!(matches!(stage.mixing()[..], [Command::Pass { .. }]), "{:?}", stage.mixing());
    stage.response_to_caller(200);
    stage.ack("");
    for leg in &legs[2..] {
        stage.input(Input::Media(Report::Silent { leg: *leg }));
    }
    stage.sent_to(CALLEE, Method::Bye);
}

#[test]
fn streams_alone_that_the_callee_takes_none_of_are_no_call() {
    let (mut stage, invite) = invited(VIDEO);
    stage.reply(&invite, "488 Not Acceptable Here", "");
    stage.response_to_caller(488);
    let (mut stage, invite) = invited(VIDEO);
    stage.reply(&invite, "200 OK", &sdp("m=video 0 RTP/AVP 96\r\n"));
    stage.sent_to(CALLEE, Method::Bye);
    stage.response_to_caller(488);
}

#[test]
fn what_we_cannot_pass_or_have_nothing_for_is_refused() {
    for media in ["m=video 4004 RTP/SAVP 96\r\n", &format!("{VIDEO}m=audio 4000 RTP/SAVP 0\r\n")] {
        let mut stage = Stage::new(1);
        stage.dial(&sdp(media));
        stage.response_to_caller(488);
    }
    let mut stage = Stage::with("[[route]]\npattern = \"9000\"\nservice = \"echo\"\n", "9000", 0);
    stage.dial(&sdp(VIDEO));
    stage.response_to_caller(488);
}
