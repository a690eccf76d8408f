//! Phones that answer by themselves: intercom and paging groups.

use crate::stage::{CALLEE, CALLER, Stage, sdp};
use media::mix::Role;
use media::source::Source;
use media::{Command, RoomId};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use softswitch::core::Holdings;

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";

fn stage(group: &str, number: &str) -> Stage {
    let more = format!(
        "[[user]]\nid = \"pager\"\npassword = \"secret\"\nmay_page = true\n\
         [[paging]]\nid = \"hall\"\nnumbers = [\"650\"]\nmembers = [\"pager\", \"1001\"]\n{group}\n"
    );
    let mut stage = Stage::with(&more, number, 1);
    stage.register("pager", CALLER);
    stage.user = "pager".into();
    stage
}

fn asks(invite: &Message) -> [Option<String>; 3] {
    [HeaderName::CallInfo, HeaderName::AlertInfo, HeaderName::AnswerMode]
        .map(|name| invite.header(name).map(|value| String::from_utf8_lossy(value).into_owned()))
}

/// The INVITE to the one member, once the caller can be heard.
fn page(stage: &mut Stage) -> Message {
    stage.invite(&sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    stage.open_media();
    stage.sent_to(CALLEE, Method::Invite)
}

fn joins(stage: &Stage) -> Vec<(RoomId, Role)> {
    let joins = stage.told.iter().filter_map(|told| match told {
        Command::Join { room, role, .. } => Some((*room, *role)),
        _ => None,
    });
    joins.collect()
}

fn has_chimed(stage: &Stage) -> bool {
    stage.told.iter().any(|told| matches!(told, Command::Play { source: Source::Chime(_), .. }))
}

fn nothing_is_left(stage: &mut Stage) {
    stage.close_media();
    stage.pass(64);
    let Holdings { calls, rooms, locations, byes, .. } = stage.switch.holdings();
    assert_eq!((calls, rooms, locations, byes), (0, 0, 0, 0));
}

#[test]
fn a_phone_is_asked_to_answer_by_itself_in_three_ways() {
    let mut stage = stage("", "*801001");
    stage.invite(&sdp(PCMU));
    let [call_info, alert_info, mode] = asks(&stage.sent_to(CALLEE, Method::Invite)).map(Option::unwrap);
    assert!(call_info.ends_with(">;answer-after=0"), "{call_info}");
    assert!(alert_info.ends_with(">;info=alert-autoanswer;delay=0"), "{alert_info}");
    assert_eq!(mode, "Auto");

    let mut plain = Stage::new(1);
    plain.invite(&sdp(PCMU));
    assert_eq!(asks(&plain.sent_to(CALLEE, Method::Invite)), [None, None, None]);
}

#[test]
fn only_who_may_speaks_through_phones_of_others() {
    for number in ["*801001", "650"] {
        let mut stage = stage("", number);
        stage.register("1000", CALLER);
        stage.user = "1000".into();
        stage.dial(&sdp(PCMU));
        stage.response_to_caller(403);
    }
}

#[test]
fn who_answers_hears_the_caller_and_is_heard_only_where_both_ways_are_asked_for() {
    for (group, role) in [("", Role::Muted), ("two_way = true\ntone = false", Role::Participant)] {
        let mut stage = stage(group, "650");
        let invite = page(&mut stage);
        assert!(asks(&invite).iter().all(Option::is_some));
        assert!(!has_chimed(&stage), "the phone may answer yet");
        stage.reply(&invite, "200 OK", &sdp(PCMU));
        assert!(stage.is_sent_to(CALLEE, Method::Ack));
        let all = joins(&stage);
        let [(speaker, Role::Participant), (listener, listens)] = all[..] else {
            panic!("two join: {all:?}")
        };
        assert_eq!((speaker, role), (listener, listens));
        assert_eq!(has_chimed(&stage), group.is_empty());
        stage.bye();
        assert!(stage.is_sent_to(CALLEE, Method::Bye), "with the caller all go");
        nothing_is_left(&mut stage);
    }
}

#[test]
fn the_caller_is_hung_up_on_when_nobody_listens_any_more() {
    let mut stage = stage("", "650");
    let invite = page(&mut stage);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.callee_sends(&invite, "BYE", "");
    assert!(stage.is_sent_to(CALLER, Method::Bye));
    nothing_is_left(&mut stage);
}

#[test]
fn a_phone_that_does_not_answer_by_itself_is_called_no_more_after_a_while() {
    let mut stage = stage("wait_s = 3", "650");
    let invite = page(&mut stage);
    stage.reply(&invite, "180 Ringing", "");
    let (cancel, seconds) = stage.wait_for_sent(CALLEE, Method::Cancel);
    assert!((2..=3).contains(&seconds), "{seconds}");
    assert!(stage.is_sent_to(CALLER, Method::Bye), "nobody is left to speak to");
    stage.close_media();
    stage.reply(&cancel, "200 OK", "");
    stage.reply(&invite, "487 Request Terminated", "");
    assert!(!has_chimed(&stage));
    nothing_is_left(&mut stage);
}

#[test]
fn a_caller_that_gives_up_before_anybody_answers_stops_the_ringing() {
    let mut stage = stage("", "650");
    let invite = page(&mut stage);
    stage.reply(&invite, "180 Ringing", "");
    stage.bye();
    let cancel = stage.sent_to(CALLEE, Method::Cancel);
    stage.close_media();
    stage.reply(&cancel, "200 OK", "");
    // It has answered all the same: the two have crossed.
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert!(stage.is_sent_to(CALLEE, Method::Ack) && stage.is_sent_to(CALLEE, Method::Bye));
    nothing_is_left(&mut stage);
}
