//! Transfers by REFER (RFC 3515, RFC 3891, RFC 3892, RFC 4488), and INVITEs that replace a dialog.

use crate::stage::{CALLEE, CALLER, Stage, body, sdp};
use media::{Command, LegId};
use sip_stack::message::{Message, Method};

pub(crate) const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
pub(crate) const OTHER: &str = "m=audio 4020 RTP/AVP 0\r\n";
/// A third user, whose phone is at this port.
pub(crate) const THIRD: u16 = 7005;
pub(crate) const THIRD_USER: &str = "[[users]]\nfrom = 1002\nto = 1002\npassword = \"secret\"\n";

/// 1000 talks with 1001; 1002 is registered.
pub(crate) fn talking() -> (Stage, Message, [LegId; 2]) {
    talking_of("", "")
}

/// The same with further keys of 1000 and 1001, and of 1002.
fn talking_of(keys: &str, of_third: &str) -> (Stage, Message, [LegId; 2]) {
    let mut stage = Stage::with(&format!("{keys}{THIRD_USER}{of_third}"), "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    stage.ack("");
    let legs = [stage.media_leg(0), stage.media_leg(1)];
    (stage, invite, legs)
}

pub(crate) fn code(message: &Message) -> u16 {
    message.status().map_or(0, |status| status.code())
}

/// The status lines of the news that the last step sent to the caller.
pub(crate) fn news(stage: &Stage) -> Vec<(String, bool)> {
    let read = |notify: &Message| {
        assert!(notify.event().expect("of a package").is("refer"));
        let state = notify.subscription_state().expect("a state");
        (body(notify).trim_end().to_owned(), state.is_terminated())
    };
    stage.all_sent_to(CALLER, Method::Notify).iter().map(read).collect()
}

pub(crate) fn line(status: &str, is_last: bool) -> Vec<(String, bool)> {
    vec![(format!("SIP/2.0 {status}"), is_last)]
}

pub(crate) fn related(stage: &Stage) -> Vec<[LegId; 2]> {
    let legs = |command: &Command| match command {
        Command::Relay { a, b, .. } => [*a, *b],
        other => panic!("{other:?}"),
    };
    stage.relays().iter().map(legs).collect()
}

pub(crate) fn refer(stage: &mut Stage, headers: &str) -> Message {
    stage.caller_asks("REFER", &format!("Refer-To: <sip:1002@127.0.0.1:5060>\r\n{headers}"), "")
}

/// The caller calls 1002 as well, who answers. The INVITE to 1002.
pub(crate) fn consults(stage: &mut Stage) -> Message {
    stage.number = "1002".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&second, "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    second
}

/// The caller sends the other side of the call with this To into its last one. The answer to its REFER.
pub(crate) fn brings_together(stage: &mut Stage, to: String) -> Message {
    let named = format!("call%3Bto-tag%3D{}%3Bfrom-tag%3Da", stage.our_tag());
    stage.to = to;
    stage.caller_asks("REFER", &format!("Refer-To: <sip:1002@127.0.0.1:5060?Replaces={named}>\r\n"), "")
}

#[test]
fn an_attended_transfer_brings_the_two_others_together_and_lets_the_phone_go() {
    let (mut stage, first, legs) = talking();
    let to = stage.to.clone();
    consults(&mut stage);
    let others = [stage.media_leg(0), stage.media_leg(1)];
    assert_eq!(code(&brings_together(&mut stage, to)), 202);
    assert_eq!(news(&stage), line("200 OK", true));
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 2, "both of its calls are over");
    assert_eq!(related(&stage), [[legs[1], others[1]]], "the two keep their ports");
    assert!(!stage.is_sent_to(CALLEE, Method::Bye) && !stage.is_sent_to(THIRD, Method::Bye));
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(THIRD, Method::Bye);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
    stage.pass(100);
    assert_eq!(stage.switch.holdings().dialogs, 0);
}

#[test]
fn a_blind_transfer_calls_in_the_partners_name_and_tells_how_it_goes() {
    let (mut stage, first, legs) = talking();
    assert_eq!(code(&refer(&mut stage, "")), 202);
    assert_eq!(news(&stage), line("100 Trying", false));
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    assert_eq!(invite.from().unwrap().uri.user, Some(&b"1001"[..]));
    assert_eq!(invite.referred_by().unwrap().unwrap().uri.user, Some(&b"1000"[..]));
    let third = stage.media_leg(0);
    stage.reply(&invite, "180 Ringing", "");
    assert_eq!(news(&stage), line("180 Ringing", false));
    stage.reply(&invite, "180 Ringing", "");
    assert!(news(&stage).is_empty(), "told once");
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    stage.sent_to(THIRD, Method::Ack);
    assert_eq!(news(&stage), line("200 OK", true));
    stage.sent_to(CALLER, Method::Bye);
    assert_eq!(related(&stage), [[legs[1], third]]);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(THIRD, Method::Bye);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn a_transfer_that_fails_leaves_the_phone_its_call() {
    let (mut stage, first, _) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "486 Busy Here", "");
    assert_eq!(news(&stage), line("486 Busy Here", true));
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLEE, Method::Bye));
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    assert_eq!(code(&refer(&mut stage, "")), 202, "it may try again");
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
}

#[test]
fn the_partner_of_a_phone_that_hangs_up_waits_and_is_connected() {
    let (mut stage, first, legs) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    let third = stage.media_leg(0);
    stage.bye();
    assert!(!stage.is_sent_to(CALLEE, Method::Bye));
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    assert_eq!(news(&stage), line("200 OK", true), "the subscription outlives the BYE");
    assert_eq!(related(&stage), [[legs[1], third]]);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(THIRD, Method::Bye);
    stage.close_media();
    stage.pass(100);
    assert_eq!((stage.switch.calls(), stage.switch.holdings().dialogs), (0, 0));
}

#[test]
fn the_phone_is_called_back_when_it_has_hung_up_and_nobody_else_answers() {
    let (mut stage, _, legs) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    let third = stage.media_leg(0);
    stage.bye();
    stage.reply(&invite, "603 Decline", "");
    assert_eq!(news(&stage), line("603 Decline", true));
    let back = stage.sent_to(CALLER, Method::Invite);
    assert_eq!(back.from().unwrap().uri.user, Some(&b"1001"[..]));
    stage.reply(&back, "200 OK", &sdp(PCMU));
    assert_eq!(related(&stage), [[legs[1], third]]);
    assert_eq!(stage.switch.calls(), 2, "the media of the first call are not closed yet");
}

#[test]
fn nobody_is_left_to_wait_when_the_phone_does_not_answer_either() {
    let (mut stage, _, _) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.bye();
    stage.close_media();
    stage.reply(&invite, "486 Busy Here", "");
    let back = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&back, "486 Busy Here", "");
    stage.sent_to(CALLEE, Method::Bye);
    stage.close_media();
    stage.pass(100);
    assert_eq!((stage.switch.calls(), stage.switch.holdings().dialogs), (0, 0));
}

#[test]
fn a_partner_that_hangs_up_meanwhile_ends_everything() {
    for phone_has_left in [false, true] {
        let (mut stage, first, _) = talking();
        refer(&mut stage, "");
        stage.open_media();
        let invite = stage.sent_to(THIRD, Method::Invite);
        stage.reply(&invite, "180 Ringing", "");
        if phone_has_left {
            stage.bye();
            stage.close_media();
        }
        stage.callee_sends(&first, "BYE", "");
        stage.sent_to(THIRD, Method::Cancel);
        assert_eq!(stage.is_sent_to(CALLER, Method::Bye), !phone_has_left);
        assert!(!stage.is_sent_to(CALLER, Method::Invite), "nobody is called back");
        stage.close_media();
        stage.reply(&invite, "487 Request Terminated", "");
        stage.pass(100);
        let held = stage.switch.holdings();
        assert_eq!((held.calls, held.dialogs, held.byes), (0, 0, 0), "left: {phone_has_left}");
    }
}

#[test]
fn a_phone_that_wants_no_news_gets_none() {
    let (mut stage, _, _) = talking();
    let accepted = refer(&mut stage, "Refer-Sub: false\r\nSupported: norefersub\r\n");
    assert_eq!((code(&accepted), accepted.refer_sub()), (202, Ok(false)));
    assert!(news(&stage).is_empty());
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    assert!(news(&stage).is_empty());
    stage.sent_to(CALLER, Method::Bye);
}

#[test]
fn the_callee_may_transfer_the_caller_as_well() {
    let (mut stage, first, legs) = talking();
    stage.callee_sends(
        &first,
        "REFER",
        "Contact: <sip:1001@127.0.0.1:7001>\r\nRefer-To: <sip:1002@127.0.0.1>\r\n",
    );
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    assert_eq!(invite.from().unwrap().uri.user, Some(&b"1000"[..]));
    let third = stage.media_leg(0);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    stage.sent_to(CALLEE, Method::Bye);
    assert_eq!(related(&stage), [[legs[0], third]]);
}

#[test]
fn a_target_that_there_is_not_is_told_as_news_so_that_the_call_lives() {
    let (mut stage, _, _) = talking();
    for (target, told) in [
        ("<sip:9999@127.0.0.1>", "404 Not Found"),
        ("<sip:1002@elsewhere.example.com>", "404 Not Found"),
        (
            "<sip:1002@127.0.0.1?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            "481 Call/Transaction Does Not Exist",
        ),
    ] {
        assert_eq!(code(&stage.caller_asks("REFER", &format!("Refer-To: {target}\r\n"), "")), 202);
        assert_eq!(news(&stage), line(told, true));
    }
    assert_eq!(code(&stage.caller_asks("REFER", "", "")), 400);
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn a_second_transfer_of_a_call_waits_for_the_first() {
    let (mut stage, _, _) = talking();
    assert_eq!(code(&refer(&mut stage, "")), 202);
    assert_eq!(code(&refer(&mut stage, "")), 491);
}

#[test]
fn a_transfer_to_a_service_of_ours_seats_the_partner_there() {
    let conference = format!("{THIRD_USER}[[route]]\npattern = \"8000\"\nservice = \"conference\"\n");
    let mut stage = Stage::with(&conference, "1001", 1);
    stage.talk();
    let partner = stage.media_leg(1);
    assert_eq!(code(&stage.caller_asks("REFER", "Refer-To: <sip:8000@127.0.0.1>\r\n", "")), 202);
    let told: Vec<String> = news(&stage).into_iter().map(|(line, _)| line).collect();
    assert_eq!(told, ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    let joins = |command: &Command| matches!(command, Command::Join { leg, .. } if *leg == partner);
    assert!(stage.mixing().iter().any(joins), "{:?}", stage.mixing());
    stage.sent_to(CALLER, Method::Bye);
}

#[test]
fn an_invite_takes_the_place_of_the_dialog_that_it_names() {
    let (mut stage, first, legs) = talking();
    let tag = stage.our_tag();
    stage.headers = format!("Replaces: call;to-tag={tag};from-tag=a\r\n");
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    let answer = stage.response_to_caller(200);
    assert!(body(&answer).contains("RTP/AVP 0"));
    stage.sent_to(CALLER, Method::Bye);
    assert_eq!(related(&stage), [[stage.media_leg(0), legs[1]]]);
    assert!(!stage.is_sent_to(CALLEE, Method::Invite) && !stage.is_sent_to(CALLEE, Method::Bye));
    stage.close_media();
    stage.ack("");
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
}

#[test]
fn a_dialog_that_there_is_not_or_that_is_answered_already_is_not_replaced() {
    let (mut stage, _, _) = talking();
    let tag = stage.our_tag();
    for (replaces, status) in [
        (format!("call;to-tag={tag};from-tag=other"), 481),
        (format!("call;to-tag={tag};from-tag=a;early-only"), 486),
        (format!("call;to-tag={tag}"), 400),
    ] {
        stage.headers = format!("Replaces: {replaces}\r\n");
        stage.dial_again(&sdp(OTHER));
        stage.response_to_caller(status);
    }
    assert_eq!(stage.switch.calls(), 1);
}

const NOBODY: &str = "watched_by = \"nobody\"\n";

/// 1002 calls 1001 as well, who answers; what names its dialog.
fn second_call(stage: &mut Stage) -> String {
    stage.register("1002", CALLER);
    stage.user = "1002".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_as(&second, "second", "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    format!("call;to-tag={};from-tag=a", stage.our_tag())
}

#[test]
fn only_who_may_watch_a_user_takes_its_place_in_a_call() {
    for (keys, status) in [("", 200), (NOBODY, 403), ("hidden = true\n", 403)] {
        let (mut stage, ..) = talking_of("", keys);
        let named = second_call(&mut stage);
        stage.register("1000", CALLER);
        stage.user = "1000".into();
        stage.headers = format!("Replaces: {named}\r\n");
        stage.dial_again(&sdp(OTHER));
        if status == 200 {
            stage.open_media();
        }
        stage.response_to_caller(status);
    }
}

#[test]
fn a_refer_moves_only_calls_of_users_who_may_be_watched() {
    for (keys, told) in [("", "200 OK"), (NOBODY, "403 Forbidden")] {
        let (mut stage, ..) = talking_of("", keys);
        let to = stage.to.clone();
        let named = second_call(&mut stage).replace(';', "%3B").replace('=', "%3D");
        (stage.user, stage.to) = ("1000".into(), to);
        let target = format!("Refer-To: <sip:1001@127.0.0.1:5060?Replaces={named}>\r\n");
        assert_eq!(code(&stage.caller_asks("REFER", &target, "")), 202);
        assert_eq!(news(&stage), line(told, true));
    }
}

#[test]
fn whom_a_user_talks_with_may_take_the_place_that_it_was_sent_to() {
    // 1002 talks with 1000, who talks with 1001 too, and sends 1002 there by a REFER that the switch has not seen.
    let (mut stage, first, _) = talking_of(NOBODY, "");
    let tag = stage.our_tag();
    stage.register("1002", CALLER);
    stage.user = "1002".into();
    stage.headers = format!("Replaces: call;to-tag={tag};from-tag=a\r\n");
    stage.dial_again(&sdp(OTHER));
    stage.response_to_caller(403);
    stage.headers.clear();
    stage.number = "1000".into();
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    let invite = stage.sent_to(CALLER, Method::Invite);
    stage.reply_as(&invite, "c", "200 OK", &sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    stage.headers = format!("Replaces: call;to-tag={tag};from-tag=a\r\n");
    stage.number = "1001".into();
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    stage.response_to_caller(200);
    stage.callee_sends(&first, "BYE", "");
}
