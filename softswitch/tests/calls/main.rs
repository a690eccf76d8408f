//! What a call does beyond the plain one, against the pure switch in virtual time: late offers, early media, forking,
//! hold (RFC 3261 §13.2.1, §14.2; RFC 3264 §8.4; RFC 3960).

mod callback;
mod commands;
mod consult;
mod desk;
mod digits;
mod handover;
mod hold;
mod join;
mod limits;
mod paging;
mod park;
mod peers;
mod plan;
mod programs;
mod recording;
mod records;
mod rooms;
mod services;
mod sessions;
mod sound;
mod speech;
mod stage;
mod streams;
mod transcoding;
mod transfers;

use media::{Command, PayloadRule, RtcpPort};
use sip_stack::message::Method;
use stage::{CALLEE, CALLER, Stage, sdp};

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
const PCMA: &str = "m=audio 4002 RTP/AVP 8\r\n";
const BOTH: &str = "m=audio 4004 RTP/AVP 0 8\r\n";

#[test]
fn a_caller_without_an_offer_gets_ours_and_its_ack_connects_the_media() {
    let mut stage = Stage::new(1);
    stage.invite("");
    let offer = stage.sent_to(CALLEE, Method::Invite);
    assert!(stage::body(&offer).contains("RTP/AVP 0 8 9 96 101"));
    stage.reply(&offer, "200 OK", &sdp(PCMA));
    let answer = stage.response_to_caller(200);
    assert!(stage::body(&answer).contains("RTP/AVP 8"), "the 2xx offers what the callee took");
    assert!(stage.relays().is_empty(), "nothing is connected before the caller's answer");
    stage.ack(&sdp(PCMA));
    let relays = stage.relays();
    let [Command::Relay { forward, .. }] = &relays[..] else { panic!("one relay, not {relays:?}") };
    assert_eq!(forward.rule(8), PayloadRule::Pass(8));
}

#[test]
fn a_caller_that_never_answers_our_offer_is_hung_up_on() {
    let mut stage = Stage::new(1);
    stage.invite("");
    let offer = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&offer, "200 OK", &sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    stage.sent_to(CALLER, Method::Bye);
    stage.sent_to(CALLEE, Method::Bye);
}

#[test]
fn early_media_reach_the_caller_with_183_and_the_answer_repeats_their_description() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(BOTH));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", &sdp(PCMU));
    let progress = stage.response_to_caller(183);
    assert_eq!(stage.relays().len(), 1);
    stage.reply(&invite, "200 OK", "");
    let answer = stage.response_to_caller(200);
    assert_eq!(stage::body(&answer), stage::body(&progress));
}

#[test]
fn what_the_caller_was_told_early_is_converted_for_the_phone_that_answers() {
    let mut stage = Stage::new(2);
    stage.invite(&sdp(BOTH));
    let invites = stage.all_sent_to_callee(Method::Invite);
    let [first, second] = &invites[..] else { panic!("two phones ring, not {}", invites.len()) };
    stage.reply(first, "183 Session Progress", &sdp(PCMU));
    stage.response_to_caller(183);
    stage.reply(second, "200 OK", &sdp(PCMA));
    let relays = stage.relays();
    let Some(Command::Relay { forward, backward, .. }) = relays.last() else { panic!("no relay") };
    assert_eq!(forward.rule(0), PayloadRule::UlawToAlaw(8), "the caller was told PCMU and sends it");
    assert_eq!(backward.rule(8), PayloadRule::AlawToUlaw(0));
}

#[test]
fn hold_is_answered_for_its_leg_and_an_offerless_re_invite_resumes() {
    let mut stage = Stage::new(1);
    stage.talk();
    let held = format!("{PCMU}a=sendonly\r\n");
    let answer = stage.re_invite(&sdp(&held));
    assert_eq!(answer.status().map(|status| status.code()), Some(200));
    assert!(stage::body(&answer).contains("a=recvonly"));
    stage.ack("");
    let answer = stage.re_invite("");
    assert!(stage::body(&answer).contains("a=sendrecv"), "we offer both directions again");
    stage.ack(&sdp(PCMU));
    let params = stage.configured_caller();
    assert!(params.send && params.receive);
}

#[test]
fn a_re_invite_that_drops_what_the_other_side_sends_is_refused_and_changes_nothing() {
    let mut stage = Stage::new(1);
    stage.talk();
    let answer = stage.re_invite(&sdp("m=audio 4000 RTP/AVP 18\r\n"));
    assert_eq!(answer.status().map(|status| status.code()), Some(488));
    assert!(stage.relays().is_empty());
}

#[test]
fn a_second_fork_that_answers_gets_ack_and_bye_once() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.ack("");
    stage.reply_as(&invite, "other", "200 OK", &sdp(PCMU));
    stage.sent_to(CALLEE, Method::Ack);
    stage.sent_to(CALLEE, Method::Bye);
    stage.reply_as(&invite, "other", "200 OK", &sdp(PCMU));
    assert_eq!(stage.all_sent_to_callee(Method::Ack).len(), 1, "the ACK again");
    assert!(stage.all_sent_to_callee(Method::Bye).is_empty(), "and no second BYE");
}

#[test]
fn an_invite_that_cannot_be_answered_ends_the_ringing() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.caller_is_unreachable();
    stage.sent_to(CALLEE, Method::Cancel);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn one_port_for_rtp_and_rtcp_is_agreed_to_where_it_is_offered() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp("m=audio 4000 RTP/AVP 0\r\na=rtcp:4009\r\na=rtcp-mux\r\n"));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(!stage::body(&invite).contains("rtcp"), "what carries a stream is between neighbours");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert_eq!(stage.configured_caller().rtcp, RtcpPort::Muxed);
    let answer = stage.response_to_caller(200);
    assert!(stage::body(&answer).contains("\r\na=rtcp-mux\r\n"), "{}", stage::body(&answer));
    stage.ack("");
    let answer = stage.re_invite(&sdp("m=audio 4000 RTP/AVP 0\r\na=rtcp:4009\r\n"));
    assert!(!stage::body(&answer).contains("rtcp"));
    assert_eq!(stage.configured_caller().rtcp, RtcpPort::At("127.0.0.1:4009".parse().unwrap()));
    // Without an offer it is offered again what it has.
    stage.re_invite(&sdp("m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n"));
    stage.ack("");
    let offer = stage.re_invite("");
    assert!(stage::body(&offer).contains("\r\na=rtcp-mux\r\n"));
}
