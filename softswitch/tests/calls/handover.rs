//! Transfers while the target rings (RFC 3891 of a call that is not answered), what becomes of the one who waits, and what the
//! records and recordings of transferred calls say.

use crate::stage::{CALLEE, CALLER, Stage, body, sdp};
use crate::transfers::{
    OTHER, PCMU, THIRD, THIRD_USER, brings_together, code, consults, line, news, refer, related, talking,
};
use media::{Command, LegId, RefusalReason, Report};
use sip_stack::message::{Message, Method};
use softswitch::core::{Input, Output};
use softswitch::store::{CallRecord, StoreOp};

/// What nobody here decodes.
const G729: &str = "m=audio 4020 RTP/AVP 18\r\n";

/// 1000 talks with 1001 and calls 1002, who rings; the REFER is sent. The INVITEs to both.
fn handed_over() -> (Stage, [Message; 2], [LegId; 2]) {
    let (mut stage, first, legs) = talking();
    let to = stage.to.clone();
    stage.number = "1002".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&second, "180 Ringing", "");
    stage.response_to_caller(180);
    let tag = stage.our_tag();
    stage.to = to;
    let named = format!("call%3Bto-tag%3D{tag}%3Bfrom-tag%3Da%3Bearly-only");
    let target = format!("Refer-To: <sip:1002@127.0.0.1:5060?Replaces={named}>\r\n");
    assert_eq!(code(&stage.caller_asks("REFER", &target, "")), 202);
    let ports = [legs[1], stage.media_leg(1)];
    (stage, [first, second], ports)
}

/// The shard closes what it was told to; the records that follow.
fn close(stage: &mut Stage) -> Vec<CallRecord> {
    let closing: Vec<LegId> = stage
        .outputs
        .iter()
        .filter_map(Output::media)
        .filter_map(|command| if let Command::Close { leg } = command { Some(*leg) } else { None })
        .collect();
    let mut records = Vec::new();
    for leg in closing {
        stage.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
        records.extend(stage.outputs.iter().filter_map(|output| match output {
            Output::Store(StoreOp::PutCallRecord(record)) => Some(CallRecord::clone(record)),
            _ => None,
        }));
    }
    records
}

/// Nothing is left of any call.
fn leaves_nothing(mut stage: Stage) {
    close(&mut stage);
    stage.pass(100);
    let held = stage.switch.holdings();
    assert_eq!((held.calls, held.dialogs, held.byes, held.transactions), (0, 0, 0, 0));
}

#[test]
fn a_partner_is_sent_to_whom_the_phone_calls_and_gets_the_call_when_it_is_answered() {
    let (mut stage, [first, second], ports) = handed_over();
    assert_eq!(news(&stage), line("180 Ringing", false));
    assert!(stage.responses_to(CALLER).iter().any(|answer| code(answer) == 487), "its own INVITE");
    assert!(!stage.is_sent_to(THIRD, Method::Cancel), "it rings on");
    close(&mut stage);
    stage.reply(&second, "200 OK", &sdp(OTHER));
    assert_eq!(news(&stage), line("200 OK", true));
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 1);
    assert_eq!(related(&stage), [ports]);
    close(&mut stage);
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(THIRD, Method::Bye);
    let records = close(&mut stage);
    let [record] = &records[..] else { panic!("one record, not {records:?}") };
    assert_eq!((&*record.caller, &*record.callee), ("1001", "1002"));
    assert_eq!(record.referred_by.as_deref(), Some("1000"));
    leaves_nothing(stage);
}

#[test]
fn a_target_that_rings_and_refuses_leaves_the_phone_its_first_call() {
    let (mut stage, [first, second], _) = handed_over();
    close(&mut stage);
    stage.reply(&second, "486 Busy Here", "");
    assert_eq!(news(&stage), line("486 Busy Here", true));
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLEE, Method::Bye));
    close(&mut stage);
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
    leaves_nothing(stage);
}

#[test]
fn a_phone_that_hangs_up_while_the_target_rings_is_called_back_when_nobody_answers() {
    let (mut stage, [_, second], ports) = handed_over();
    close(&mut stage);
    stage.bye();
    close(&mut stage);
    stage.reply(&second, "603 Decline", "");
    let back = stage.sent_to(CALLER, Method::Invite);
    assert_eq!(back.from().unwrap().uri.user, Some(&b"1001"[..]));
    stage.reply(&back, "200 OK", &sdp(PCMU));
    assert_eq!(related(&stage), [ports]);
    stage.bye();
}

#[test]
fn a_partner_that_hangs_up_while_the_target_rings_ends_everything() {
    for phone_has_left in [false, true] {
        let (mut stage, [first, second], _) = handed_over();
        close(&mut stage);
        if phone_has_left {
            stage.bye();
            close(&mut stage);
        }
        stage.callee_sends(&first, "BYE", "");
        stage.sent_to(THIRD, Method::Cancel);
        close(&mut stage);
        stage.reply(&second, "487 Request Terminated", "");
        leaves_nothing(stage);
    }
}

#[test]
fn a_cancel_of_the_phone_that_crosses_its_refer_changes_nothing() {
    let (mut stage, [_, second], _) = handed_over();
    stage.cancel_invite();
    assert!(!stage.is_sent_to(THIRD, Method::Cancel));
    stage.reply(&second, "200 OK", &sdp(OTHER));
    assert_eq!(news(&stage), line("200 OK", true));
}

#[test]
fn only_a_call_that_rings_is_named_by_early_only() {
    let (mut stage, _, _) = talking();
    let to = stage.to.clone();
    stage.number = "1002".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&second, "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    let tag = stage.our_tag();
    stage.to = to;
    let named = format!("call%3Bto-tag%3D{tag}%3Bfrom-tag%3Da%3Bearly-only");
    stage.caller_asks("REFER", &format!("Refer-To: <sip:1002@127.0.0.1?Replaces={named}>\r\n"), "");
    assert_eq!(news(&stage), line("486 Busy Here", true));
    assert_eq!(stage.switch.calls(), 2);
}

#[test]
fn who_answers_in_nothing_that_the_partner_understands_is_hung_up_on_and_the_call_goes_on() {
    let (mut stage, first, _) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(G729));
    assert!(stage.sent_to(THIRD, Method::Bye).reasons().any(|reason| reason.is_sip(488)));
    assert_eq!(news(&stage), line("488 Not Acceptable Here", true));
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLEE, Method::Bye));
    close(&mut stage);
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
    leaves_nothing(stage);
}

#[test]
fn the_phone_is_called_back_when_who_answers_is_not_understood() {
    let (mut stage, first, legs) = talking();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    let third = stage.media_leg(0);
    stage.bye();
    close(&mut stage);
    stage.reply(&invite, "200 OK", &sdp(G729));
    stage.sent_to(THIRD, Method::Bye);
    let back = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&back, "200 OK", &sdp(PCMU));
    assert_eq!(related(&stage), [[legs[1], third]]);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
    leaves_nothing(stage);
}

/// No port can be had for the legs that were asked for last.
fn refuse_media(stage: &mut Stage) {
    let legs = stage.opening();
    stage.input(Input::Media(Report::Refused {
        legs: legs.into_iter().collect(),
        reason: RefusalReason::NoFreePort,
    }));
}

#[test]
fn a_port_for_calling_the_phone_back_is_asked_for_again_until_there_is_one() {
    let (mut stage, _, legs) = talking();
    refer(&mut stage, "");
    let third = stage.media_leg(0);
    stage.bye();
    close(&mut stage);
    refuse_media(&mut stage);
    assert_eq!(news(&stage), line("500 Server Internal Error", true));
    for _ in 0..3 {
        refuse_media(&mut stage);
        assert!(!stage.is_sent_to(CALLEE, Method::Bye));
        stage.pass(1);
    }
    stage.open_media();
    let back = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&back, "200 OK", &sdp(PCMU));
    assert_eq!(related(&stage), [[legs[1], third]]);
}

#[test]
fn a_partner_for_whom_no_port_can_be_had_at_all_hears_why() {
    let (mut stage, first, _) = talking();
    refer(&mut stage, "");
    stage.bye();
    close(&mut stage);
    refuse_media(&mut stage);
    for _ in 0..10 {
        refuse_media(&mut stage);
        assert!(!stage.is_sent_to(CALLEE, Method::Bye));
        stage.pass(1);
    }
    refuse_media(&mut stage);
    assert!(stage.sent_to(CALLEE, Method::Bye).reasons().any(|reason| reason.is_sip(500)));
    leaves_nothing(stage);
    // Who hangs up while a port is waited for is gone at once.
    let (mut stage, second, _) = talking();
    refer(&mut stage, "");
    stage.bye();
    close(&mut stage);
    refuse_media(&mut stage);
    refuse_media(&mut stage);
    assert_eq!(first.method(), second.method());
    stage.callee_sends(&second, "BYE", "");
    leaves_nothing(stage);
}

/// 1001, whose session the switch refreshes, waits while 1002 rings for long: 1000 has sent it there and hung up.
fn waiting(timer: &str) -> (Stage, Message) {
    let third = "[[user]]\nid = \"1002\"\npassword = \"secret\"\nring_s = 600\n";
    let mut stage = Stage::with(third, "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_with(&invite, "b", "200 OK", timer, &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    stage.ack("");
    refer(&mut stage, "");
    stage.open_media();
    let third = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&third, "180 Ringing", "");
    stage.bye();
    close(&mut stage);
    (stage, invite)
}

#[test]
fn the_session_of_who_waits_is_refreshed_while_the_target_rings() {
    let timer = "Require: timer\r\nSession-Expires: 120;refresher=uac\r\nAllow: INVITE, BYE, UPDATE\r\n";
    let (mut stage, _) = waiting(timer);
    for _ in 0..3 {
        let (update, passed) = stage.wait_for_sent(CALLEE, Method::Update);
        assert!((58..=60).contains(&passed), "{passed}");
        stage.reply_with(&update, "b", "200 OK", timer, "");
    }
    let (update, _) = stage.wait_for_sent(CALLEE, Method::Update);
    stage.reply(&update, "481 Gone", "");
    stage.sent_to(THIRD, Method::Cancel);
    assert!(!stage.is_sent_to(CALLER, Method::Invite), "nobody is called back");
}

#[test]
fn who_waits_may_change_its_session_and_is_connected_as_it_is_then() {
    let (mut stage, invite) = waiting("");
    let moved = sdp("m=audio 4777 RTP/AVP 0\r\n");
    stage.callee_asks(&invite, "INVITE", "Contact: <sip:1001@127.0.0.1:7001>\r\n", &moved);
    let answer = stage.response_to(CALLEE);
    assert_eq!(code(&answer), 200);
    assert!(body(&answer).contains("m=audio"), "{}", body(&answer));
    assert!(stage.told.iter().any(|command| matches!(command,
        Command::Configure { params, .. } if params.remote == Some("127.0.0.1:4777".parse().unwrap()))));
}

#[test]
fn what_either_call_was_to_be_recorded_as_the_new_one_is() {
    let keys = "record_on_request = true\n";
    for recorded in [0, 1] {
        let third = format!("{keys}[recording]\nfolder = \"/calls\"\n{THIRD_USER}{keys}");
        let mut stage = Stage::with(&third, "1001", 1);
        stage.register("1002", THIRD);
        stage.register("1000", CALLER);
        stage.talk();
        let to = stage.to.clone();
        let key = |stage: &mut Stage, call: i32| {
            if call == recorded {
                assert_eq!(code(&stage.info("Record: on\r\n", "")), 200);
            }
        };
        key(&mut stage, 0);
        consults(&mut stage);
        key(&mut stage, 1);
        brings_together(&mut stage, to);
        assert_eq!(news(&stage), line("200 OK", true));
        let begins = |command: &Command| matches!(command, Command::Record { .. });
        assert_eq!(stage.mixing().iter().filter(|command| begins(command)).count(), 1, "{recorded}");
    }
}

#[test]
fn a_peer_may_not_transfer_after_it_was_transferred_itself() {
    let peer = "[[peer]]\nid = \"p\"\naddress = \"127.0.0.1:7001\"\ntransport = \"udp\"\n\
                [[route]]\npattern = \"8.\"\npeer = \"p\"\n";
    let mut stage = Stage::with(&format!("{THIRD_USER}{peer}"), "81", 0);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let first = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&first, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    stage.ack("");
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    assert_eq!(news(&stage), line("200 OK", true));
    stage.callee_sends(&first, "REFER", "Refer-To: <sip:1000@127.0.0.1>\r\n");
    assert_eq!(code(&stage.response_to(CALLEE)), 403);
}

/// 1000 calls 1001, who rings; 1002 sends an INVITE with this offer that names that phone's dialog. The INVITE to 1001.
fn picked_up(offer: &str, tag: &str) -> (Stage, Message, [LegId; 2]) {
    picked_up_of("", offer, tag)
}

/// The same with further keys of 1000 and 1001.
fn picked_up_of(keys: &str, offer: &str, tag: &str) -> (Stage, Message, [LegId; 2]) {
    let mut stage = Stage::with(&format!("{keys}{THIRD_USER}"), "1001", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    let legs = [stage.media_leg(0), stage.media_leg(1)];
    stage.register("1002", THIRD);
    stage.user = "1002".into();
    let call_id = String::from_utf8_lossy(invite.call_id().expect("a Call-ID")).into_owned();
    let from = invite.from().expect("From");
    let ours = String::from_utf8_lossy(from.tag().expect("our tag")).into_owned();
    stage.headers = format!("Replaces: {call_id};to-tag={ours};from-tag={tag};early-only\r\n");
    stage.dial_again(&sdp(offer));
    (stage, invite, legs)
}

#[test]
fn who_names_the_dialog_of_a_phone_that_rings_has_its_call() {
    let (mut stage, invite, legs) = picked_up(OTHER, "b");
    stage.open_media();
    let answers: Vec<Message> =
        stage.responses_to(CALLER).into_iter().filter(|answer| code(answer) == 200).collect();
    assert_eq!(answers.len(), 2, "who picks it up, and who has called");
    assert!(answers.iter().all(|answer| body(answer).contains("RTP/AVP 0")));
    let cancel = stage.sent_to(CALLEE, Method::Cancel);
    assert!(cancel.reasons().any(|reason| reason.is_sip(200)), "completed elsewhere");
    assert_eq!(related(&stage), [[legs[0], stage.media_leg(0)]]);
    assert!(stage.told.iter().any(|command| *command == Command::Close { leg: legs[1] }));
    close(&mut stage);
    stage.reply(&invite, "487 Request Terminated", "");
    assert_eq!(stage.switch.calls(), 1);
    for answer in &answers {
        stage.ack_of(answer);
    }
    stage.bye_of(&answers[0]);
    stage.sent_to(CALLER, Method::Bye);
    let records = close(&mut stage);
    let [record] = &records[..] else { panic!("one record, not {records:?}") };
    assert_eq!((&*record.caller, &*record.callee, record.status), ("1000", "1002", 200));
}

#[test]
fn a_phone_that_rings_on_is_not_disturbed_by_who_could_not_pick_the_call_up() {
    let (mut stage, invite, _) = picked_up(G729, "b");
    stage.open_media();
    stage.response_to_caller(488);
    assert!(!stage.is_sent_to(CALLEE, Method::Cancel));
    close(&mut stage);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    let (mut stage, _, _) = picked_up(OTHER, "x");
    stage.response_to_caller(481);
}

#[test]
fn who_may_not_watch_a_user_does_not_pick_its_calls_up() {
    let (mut stage, invite, _) = picked_up_of("watched_by = [\"1003\"]\n", OTHER, "b");
    stage.response_to_caller(403);
    assert!(!stage.is_sent_to(CALLEE, Method::Cancel));
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    let (mut stage, ..) = picked_up_of("watched_by = [\"1002\"]\n", OTHER, "b");
    stage.open_media();
    stage.sent_to(CALLEE, Method::Cancel);
}
