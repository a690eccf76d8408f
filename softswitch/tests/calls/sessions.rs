//! Session timers (RFC 4028), UPDATE (RFC 3311) and reliable provisional responses (RFC 3262) on both legs of a call.

use crate::stage::{self, CALLEE, CALLER, Stage, sdp};
use sip_stack::header::{HeaderName, Refresher};
use sip_stack::message::{Message, Method};

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";

/// A call whose callee answers with these header lines.
fn answered(callers: &str, callees: &str) -> (Stage, Message) {
    let mut stage = Stage::new(1);
    stage.headers = callers.into();
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_with(&invite, "b", "200 OK", callees, &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    let answer = stage.response_to_caller(200);
    stage.ack("");
    (stage, answer)
}

fn code(message: &Message) -> u16 {
    message.status().map_or(0, |status| status.code())
}

#[test]
fn a_caller_with_a_session_timer_refreshes_or_the_call_ends() {
    let (mut stage, answer) = answered("Supported: timer\r\nSession-Expires: 600\r\n", "");
    let expires = answer.session_expires().unwrap().unwrap();
    assert_eq!((expires.seconds, expires.refresher), (600, Some(Refresher::Uac)));
    assert!(answer.requires("timer"));
    stage.pass(500);
    let update =
        stage.caller_asks("UPDATE", "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "");
    assert_eq!((code(&update), update.session_expires().unwrap().unwrap().seconds), (200, 600));
    assert!(update.body().is_empty());
    let (_, passed) = stage.wait_for_sent(CALLER, Method::Bye);
    assert!((567..=568).contains(&passed), "a little before the session is over: {passed}");
    stage.sent_to(CALLEE, Method::Bye);
}

#[test]
fn a_caller_without_a_session_timer_is_left_alone() {
    let (mut stage, answer) = answered("", "");
    assert_eq!(answer.session_expires(), Ok(None));
    assert!(!answer.requires("timer"));
    stage.pass(4_000);
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn a_callee_that_wants_it_is_refreshed_by_update_and_a_dialog_that_is_gone_ends_the_call() {
    let timer = "Require: timer\r\nSession-Expires: 600;refresher=uac\r\nAllow: INVITE, BYE, UPDATE\r\n";
    let (mut stage, _) = answered("", timer);
    let (update, passed) = stage.wait_for_sent(CALLEE, Method::Update);
    assert!((299..=300).contains(&passed), "{passed}");
    assert!(update.body().is_empty());
    assert_eq!(update.session_expires().unwrap().unwrap().refresher, Some(Refresher::Uac));
    stage.reply_with(&update, "b", "200 OK", timer, "");
    let (update, passed) = stage.wait_for_sent(CALLEE, Method::Update);
    assert!((299..=300).contains(&passed), "counted anew: {passed}");
    stage.reply(&update, "481 Gone", "");
    stage.sent_to(CALLER, Method::Bye);
    stage.sent_to(CALLEE, Method::Bye);
}

#[test]
fn a_callee_without_update_is_refreshed_by_a_re_invite_that_says_what_was_said() {
    let timer = "Session-Expires: 90;refresher=uac\r\nAllow: INVITE, BYE\r\n";
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(invite.supports("timer") && invite.session_expires().unwrap().is_some());
    stage.reply_with(&invite, "b", "200 OK", timer, &sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    let (again, _) = stage.wait_for_sent(CALLEE, Method::Invite);
    assert_eq!(stage::body(&again), stage::body(&invite), "the version too (RFC 4028 §7.4)");
    stage.reply(&again, "491 Request Pending", "");
    let (again, passed) = stage.wait_for_sent(CALLEE, Method::Invite);
    assert!((1..=4).contains(&passed), "RFC 3261 §14.1: {passed}");
    stage.reply_with(&again, "b", "200 OK", timer, &sdp("m=audio 4010 RTP/AVP 0\r\n"));
    stage.sent_to(CALLEE, Method::Ack);
    let moved = "127.0.0.1:4010".parse().unwrap();
    assert_eq!(stage.configured(1).remote, Some(moved), "the party has moved");
}

#[test]
fn while_our_re_invite_is_out_the_partys_own_is_refused_with_491() {
    let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n";
    let (mut stage, _) = answered(timer, "");
    stage.wait_for_sent(CALLER, Method::Invite);
    let answer = stage.re_invite(&sdp(PCMU));
    assert_eq!(code(&answer), 491);
}

#[test]
fn an_interval_that_is_too_short_is_refused_with_422() {
    let mut stage = Stage::with("[session_timer]\nmin_se_s = 300\n", "1001", 1);
    stage.headers = "Supported: timer\r\nSession-Expires: 120\r\n".into();
    stage.dial(&sdp(PCMU));
    let refusal = stage.response_to_caller(422);
    assert_eq!(refusal.min_se(), Ok(Some(300)));
}

#[test]
fn a_callee_that_wants_a_longer_interval_is_asked_again_so() {
    let mut stage = Stage::with("[session_timer]\ninterval_s = 120\n", "1001", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_with(&invite, "b", "422 Session Interval Too Small", "Min-SE: 900\r\n", "");
    let again = stage.sent_to(CALLEE, Method::Invite);
    assert_eq!(again.min_se(), Ok(Some(900)));
    assert_eq!(again.session_expires().unwrap().unwrap().seconds, 900);
    stage.reply(&again, "200 OK", &sdp(PCMU));
    stage.response_to_caller(200);
}

#[test]
fn an_update_with_an_offer_is_answered_at_once() {
    let (mut stage, _) = answered("", "");
    let answer = stage.caller_asks("UPDATE", "", &sdp(&format!("{PCMU}a=sendonly\r\n")));
    assert_eq!(code(&answer), 200);
    assert!(stage::body(&answer).contains("a=recvonly"), "{}", stage::body(&answer));
    let refused = stage.caller_asks("UPDATE", "", &sdp("m=audio 4000 RTP/AVP 18\r\n"));
    assert_eq!(code(&refused), 488);
}

/// A phone that rings and plays, for a caller that acknowledges what it is told.
fn heard() -> (Stage, Message) {
    let mut stage = Stage::new(1);
    stage.headers = "Supported: 100rel\r\n".into();
    stage.invite(&sdp("m=audio 4000 RTP/AVP 0 8\r\n"));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "183 Session Progress", &sdp(PCMU));
    (stage, invite)
}

fn rseq(stage: &mut Stage, status: u16) -> u32 {
    stage.response_to_caller(status).rseq().ok().flatten().expect("it is reliable")
}

#[test]
fn an_offer_in_a_prack_is_answered_in_its_response() {
    let (mut stage, invite) = heard();
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
    let held = sdp("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n");
    let answer = stage.caller_asks("PRACK", &rack, &held);
    assert_eq!(code(&answer), 200);
    assert!(stage::body(&answer).contains("a=recvonly"), "{}", stage::body(&answer));
    assert!(!stage.configured_caller().receive);
    stage.reply(&invite, "200 OK", "");
    let ok = stage.response_to_caller(200);
    assert!(stage::body(&ok).contains("a=recvonly"), "what was said last: {}", stage::body(&ok));
    stage.ack("");
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn an_offer_in_a_prack_that_the_phone_would_not_understand_is_refused_and_changes_nothing() {
    let (mut stage, _) = heard();
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
    assert_eq!(code(&stage.caller_asks("PRACK", &rack, &sdp("m=audio 4000 RTP/AVP 18\r\n"))), 488);
    assert!(stage.relays().is_empty());
}

#[test]
fn a_caller_that_offers_nothing_answers_our_offer_with_its_prack() {
    for insists in [false, true] {
        let mut stage = Stage::new(1);
        let supported = if insists { "Require" } else { "Supported" };
        stage.headers = format!("{supported}: 100rel\r\n");
        stage.invite("");
        let invite = stage.sent_to(CALLEE, Method::Invite);
        // Who insists is offered something with the first response, others when the phone has named its codecs.
        let early = if insists { String::new() } else { sdp("m=audio 4002 RTP/AVP 8\r\n") };
        stage.reply(&invite, "183 Session Progress", &early);
        let progress = stage.response_to_caller(183);
        let offer = stage::body(&progress);
        assert!(offer.contains("m=audio"), "{offer}");
        let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
        stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 8\r\n"));
        let ours = sdp("m=audio 4000 RTP/AVP 8\r\n");
        assert_eq!(code(&stage.caller_asks("PRACK", &rack, &ours)), 200);
        assert_eq!(stage::body(&stage.response_to_caller(200)), offer, "the 2xx says what was said");
        assert_eq!(stage.relays().len(), 1, "insists: {insists}");
        stage.ack("");
        assert_eq!(stage.switch.calls(), 1);
        assert!(!stage.is_sent_to(CALLER, Method::Bye));
    }
}

#[test]
fn an_answer_that_came_with_a_prack_while_it_rang_connects_when_the_phone_answers() {
    let mut stage = Stage::new(1);
    stage.headers = "Require: 100rel\r\n".into();
    stage.invite("");
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
    stage.caller_asks("PRACK", &rack, &sdp(PCMU));
    assert!(stage.relays().is_empty());
    stage.reply(&invite, "183 Session Progress", &sdp(PCMU));
    assert_eq!(stage.relays().len(), 1, "it is heard now");
    assert_eq!(stage::body(&stage.response_to_caller(183)), "", "and told nothing more");
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
    stage.caller_asks("PRACK", &rack, "");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.response_to_caller(200);
    assert_eq!(stage.relays().len(), 1);
    stage.ack("");
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn a_prack_without_the_answer_that_it_owes_ends_the_call() {
    let mut stage = Stage::new(1);
    stage.headers = "Require: 100rel\r\n".into();
    stage.invite("");
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
    stage.caller_asks("PRACK", &rack, "");
    stage.response_to_caller(500);
    stage.sent_to(CALLEE, Method::Cancel);
}

#[test]
fn an_update_with_an_offer_before_the_answer_changes_what_was_answered_reliably() {
    let (mut stage, invite) = heard();
    let rack = format!("RAck: {} 1 INVITE\r\n", rseq(&mut stage, 183));
    stage.caller_asks("PRACK", &rack, "");
    let moved = sdp("m=audio 4444 RTP/AVP 0\r\n");
    let answer = stage.caller_asks("UPDATE", "", &moved);
    assert_eq!(code(&answer), 200);
    assert!(stage::body(&answer).contains("m=audio"));
    assert_eq!(stage.configured_caller().remote, Some("127.0.0.1:4444".parse().unwrap()));
    // The phone that rings may do the same.
    stage.callee_asks(&invite, "UPDATE", "", &sdp("m=audio 4555 RTP/AVP 0\r\n"));
    let answer = stage.response_to(CALLEE);
    assert_eq!(code(&answer), 200);
    assert!(stage::body(&answer).contains("m=audio"));
    assert_eq!(stage.configured(1).remote, Some("127.0.0.1:4555".parse().unwrap()));
    stage.reply(&invite, "200 OK", "");
    stage.response_to_caller(200);
    stage.ack("");
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn an_update_of_a_phone_that_rings_is_a_refresh_or_waits_for_the_answer() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.callee_asks(&invite, "UPDATE", "", "");
    assert_eq!(code(&stage.response_to(CALLEE)), 200);
    stage.callee_asks(&invite, "UPDATE", "", &sdp(PCMU));
    assert_eq!(code(&stage.response_to(CALLEE)), 500, "our offer is not answered");
}

#[test]
fn an_update_with_an_offer_before_the_answer_is_refused_for_a_while() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.response_to_caller(180);
    let answer = stage.caller_asks("UPDATE", "", &sdp(PCMU));
    assert_eq!(code(&answer), 500);
    assert!(answer.retry_after().is_some_and(|after| after.as_secs() <= 10));
    assert_eq!(code(&stage.caller_asks("UPDATE", "", "")), 200, "without one it is a refresh");
}

#[test]
fn a_reliable_provisional_response_of_a_callee_is_acknowledged_once() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(invite.supports("100rel"));
    let reliable = "Require: 100rel\r\nRSeq: 7\r\n";
    stage.reply_with(&invite, "b", "183 Session Progress", reliable, &sdp(PCMU));
    let prack = stage.sent_to(CALLEE, Method::Prack);
    let rack = prack.rack().unwrap();
    assert_eq!((rack.rseq, rack.cseq, rack.method), (7, 1, Method::Invite));
    stage.response_to_caller(183);
    stage.reply_with(&invite, "b", "183 Session Progress", reliable, &sdp(PCMU));
    assert!(!stage.is_sent_to(CALLEE, Method::Prack), "the PRACK itself is repeated until it is answered");
    stage.reply(&prack, "200 OK", "");
    stage.reply(&invite, "200 OK", "");
    stage.response_to_caller(200);
}

#[test]
fn early_media_reach_a_caller_that_can_acknowledge_them_reliably() {
    let mut stage = Stage::new(1);
    stage.headers = "Supported: 100rel\r\n".into();
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    assert_eq!(stage.response_to_caller(180).rseq(), Ok(None), "nothing is lost with it");
    stage.reply(&invite, "183 Session Progress", &sdp(PCMU));
    let progress = stage.response_to_caller(183);
    let rseq = progress.rseq().unwrap().unwrap();
    assert!(progress.requires("100rel"));
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    let prack = stage.caller_asks("PRACK", &format!("RAck: {rseq} 1 INVITE\r\n"), "");
    assert_eq!(code(&prack), 200);
    assert_eq!(stage.response_to_caller(200).status(), prack.status());
    let stray = stage.caller_asks("PRACK", &format!("RAck: {rseq} 1 INVITE\r\n"), "");
    assert_eq!(code(&stray), 481);
}

/// A call whose 2xx waits for a PRACK of the caller; the INVITE to the callee.
fn held_back() -> (Stage, Message) {
    let mut stage = Stage::new(1);
    stage.headers = "Supported: 100rel\r\n".into();
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "183 Session Progress", &sdp(PCMU));
    stage.response_to_caller(183);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert!(stage.all_sent_to(CALLER, Method::Bye).is_empty());
    (stage, invite)
}

/// Everything that was there for a call is gone in the end.
fn leaves_nothing(mut stage: Stage) {
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
    stage.pass(100);
    let left = stage.switch.holdings();
    assert_eq!((left.dialogs, left.transactions), (0, 0));
}

#[test]
fn a_caller_may_give_up_while_its_answer_waits_for_a_prack() {
    let (mut stage, _) = held_back();
    stage.cancel();
    stage.response_to_caller(487);
    stage.sent_to(CALLEE, Method::Bye);
    leaves_nothing(stage);
}

#[test]
fn a_callee_that_hangs_up_while_its_answer_waits_for_a_prack_ends_the_invite() {
    let (mut stage, invite) = held_back();
    stage.callee_sends(&invite, "BYE", "");
    stage.response_to_caller(487);
    assert!(!stage.is_sent_to(CALLER, Method::Bye), "no BYE within an early dialog");
    leaves_nothing(stage);
}

#[test]
fn an_answer_that_waits_for_a_prack_in_vain_becomes_a_failure() {
    let (mut stage, _) = held_back();
    stage.wait_for_response(500);
    stage.sent_to(CALLEE, Method::Bye);
    leaves_nothing(stage);
}

#[test]
fn a_caller_that_insists_gets_every_provisional_response_reliably_and_a_silent_one_no_call() {
    let mut stage = Stage::new(1);
    stage.headers = "Require: 100rel\r\n".into();
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    assert!(stage.response_to_caller(180).rseq().unwrap().is_some());
    stage.wait_for_response(500);
    stage.sent_to(CALLEE, Method::Cancel);
}

#[test]
fn a_caller_that_insists_and_offers_nothing_hears_of_the_answer_alone_where_nothing_is_transcoded() {
    let mut stage = Stage::with("[media]\ntranscode = false\n", "1001", 1);
    stage.headers = "Require: 100rel\r\n".into();
    stage.invite("");
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert!(!stage.response_to_caller(200).body().is_empty());
}

#[test]
fn where_a_call_was_aimed_before_is_passed_on_unless_the_caller_is_anonymous() {
    let history = "History-Info: <sip:1009@h>;index=1\r\nDiversion: <sip:1009@h>;reason=no-answer\r\n";
    for (more, passed) in [("", true), ("Privacy: user\r\n", false)] {
        let mut stage = Stage::new(1);
        stage.headers = format!("{history}{more}");
        stage.invite(&sdp(PCMU));
        let invite = stage.sent_to(CALLEE, Method::Invite);
        assert_eq!((invite.history().count() == 1, invite.diversions().count() == 1), (passed, passed));
    }
}

#[test]
fn the_reason_of_a_bye_reaches_the_other_side() {
    let (mut stage, _) = answered("", "");
    stage.caller_asks("BYE", "Reason: Q.850;cause=16;text=\"Terminated\"\r\n", "");
    let bye = stage.sent_to(CALLEE, Method::Bye);
    let reason = bye.reasons().next().expect("a reason");
    assert_eq!((reason.protocol, reason.cause()), (&b"Q.850"[..], Some(16)));
}

#[test]
fn phones_that_did_not_win_hear_that_another_one_has_answered() {
    let mut stage = Stage::new(2);
    stage.invite(&sdp(PCMU));
    let invites = stage.all_sent_to_callee(Method::Invite);
    for invite in &invites {
        stage.reply(invite, "180 Ringing", "");
    }
    stage.reply(&invites[0], "200 OK", &sdp(PCMU));
    let cancels = stage.all_sent_to_callee(Method::Cancel);
    let [cancel] = &cancels[..] else { panic!("one is cancelled, not {}", cancels.len()) };
    assert!(cancel.reasons().any(|reason| reason.is_sip(200)));
}

#[test]
fn the_reason_of_a_cancel_waits_for_a_provisional_response_with_it() {
    let mut stage = Stage::new(2);
    stage.invite(&sdp(PCMU));
    let invites = stage.all_sent_to_callee(Method::Invite);
    stage.reply(&invites[0], "200 OK", &sdp(PCMU));
    assert!(stage.all_sent_to_callee(Method::Cancel).is_empty(), "RFC 3261 §9.1");
    stage.reply(&invites[1], "180 Ringing", "");
    assert!(stage.all_sent_to_callee(Method::Cancel)[0].reasons().any(|reason| reason.is_sip(200)));
}

#[test]
fn the_reasons_of_a_caller_that_gives_up_reach_the_phones() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.cancel_with("Reason: SIP;cause=600;text=\"a, b\", Q.850;cause=17\r\n");
    let cancel = stage.sent_to(CALLEE, Method::Cancel);
    let causes: Vec<_> = cancel.reasons().map(|reason| reason.cause()).collect();
    assert_eq!(causes, [Some(600), Some(17)]);
    let mut stage = Stage::new(1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.cancel();
    assert_eq!(stage.sent_to(CALLEE, Method::Cancel).reasons().count(), 0, "it gave none");
}

#[test]
fn whom_the_switch_hangs_up_on_hears_why() {
    let (mut stage, _) = answered("Supported: timer\r\nSession-Expires: 600\r\n", "");
    let (bye, _) = stage.wait_for_sent(CALLER, Method::Bye);
    assert!(bye.reasons().any(|reason| reason.is_sip(408)), "nobody has refreshed the session");
    assert!(stage.sent_to(CALLEE, Method::Bye).reasons().any(|reason| reason.is_sip(408)));
}

#[test]
fn an_info_with_a_package_that_the_other_side_takes_is_passed_on_and_so_is_its_answer() {
    let (mut stage, answer) = answered("Recv-Info: foo\r\n", "Recv-Info: bar;x=1, baz\r\n");
    assert_eq!(answer.header(HeaderName::RecvInfo), Some(&b"bar;x=1, baz"[..]));
    let sent = stage.ask_info(
        "Info-Package: BAR\r\nContent-Type: text/x\r\nContent-Disposition: Info-Package\r\n",
        "hello",
    );
    assert_eq!(sent, None, "the answer is that of the other side");
    let info = stage.sent_to(CALLEE, Method::Info);
    assert_eq!(info.header(HeaderName::InfoPackage), Some(&b"BAR"[..]));
    assert_eq!(info.header(HeaderName::ContentDisposition), Some(&b"Info-Package"[..]));
    assert_eq!((info.header(HeaderName::ContentType), info.body()), (Some(&b"text/x"[..]), &b"hello"[..]));
    stage.reply_with(&info, "b", "469 Bad Info Package", "Recv-Info: other\r\n", "");
    let refusal = stage.response_to_caller(469);
    assert_eq!(refusal.header(HeaderName::RecvInfo), Some(&b"other"[..]));
}

#[test]
fn each_side_hears_which_packages_the_other_one_takes_and_no_other_is_passed_on() {
    let mut stage = Stage::new(1);
    stage.headers = "Recv-Info: foo\r\n".into();
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert_eq!(invite.header(HeaderName::RecvInfo), Some(&b"foo"[..]));
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    let answer = stage.response_to_caller(200);
    assert_eq!(answer.header(HeaderName::RecvInfo), None, "the phone knows nothing of packages");
    stage.ack("");
    let refused = stage.info("Info-Package: foo\r\n", "");
    assert_eq!(code(&refused), 469, "that is the caller's own");
    assert_eq!(refused.header(HeaderName::RecvInfo), Some(&b""[..]));
    stage.callee_asks(&invite, "INFO", "Info-Package: foo\r\n", "");
    stage.sent_to(CALLER, Method::Info);
}

#[test]
fn infos_that_nobody_answers_are_answered_when_the_call_ends_and_are_not_more_than_four() {
    let (mut stage, _) = answered("", "Recv-Info: bar\r\n");
    for _ in 0..4 {
        assert_eq!(stage.ask_info("Info-Package: bar\r\n", ""), None);
    }
    assert_eq!(code(&stage.info("Info-Package: bar\r\n", "")), 500);
    stage.bye();
    let ended = stage.responses_to(CALLER).iter().filter(|answer| code(answer) == 481).count();
    assert_eq!(ended, 4);
    leaves_nothing(stage);
}

#[test]
fn an_extension_that_we_do_not_know_is_refused_by_name() {
    let mut stage = Stage::new(1);
    stage.headers = "Require: timer, precondition\r\n".into();
    stage.dial(&sdp(PCMU));
    let refusal = stage.response_to_caller(420);
    assert_eq!(refusal.header(HeaderName::Unsupported), Some(&b"precondition"[..]));
}
