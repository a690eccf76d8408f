//! A question before a transfer, by keys: which seat everybody has, and what becomes of limits and of those who hang up.

use crate::commands::give;
use crate::park::press;
use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, THIRD_USER};
use media::{Command as Media, LegId};
use sip_stack::message::{Message, Method};
use softswitch::core::command::{Actor, Command, Done, LegRef, LegSide, Range, Refused};

/// 1000 talks with 1001. The INVITE to 1001, and the legs of the call.
fn talking(features: &str) -> (Stage, Message, [LegId; 2]) {
    let more = format!("[features]\nkeys = true\n{features}{THIRD_USER}");
    let mut stage = Stage::with(&more, "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let first = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&first, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    stage.ack("");
    let legs = [stage.media_leg(0), stage.media_leg(1)];
    (stage, first, legs)
}

/// 1000 talks with 1001 and has dialled `*2` and 1002. The INVITEs to 1001 and 1002, and the legs of the first call.
fn asking(features: &str) -> (Stage, Message, Message, [LegId; 2]) {
    let (mut stage, first, legs) = talking(features);
    press(&mut stage, legs[0], "*21002#");
    stage.fire();
    stage.open_media();
    let second = stage.sent_to(THIRD, Method::Invite);
    (stage, first, second, legs)
}

fn answered() -> (Stage, Message, Message, [LegId; 2]) {
    let (mut stage, first, second, legs) = asking("");
    stage.reply(&second, "200 OK", &sdp(OTHER));
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLEE, Method::Bye));
    (stage, first, second, legs)
}

fn calls(stage: &mut Stage) -> Vec<(String, String)> {
    let Ok(Done::Calls(page)) = give(stage, &Actor::Operator, Command::Calls(Range::default())) else {
        panic!()
    };
    let text = |user: &[u8]| String::from_utf8_lossy(user).into_owned();
    page.rows.iter().map(|row| (text(&row.caller.user), text(&row.callee.user))).collect()
}

#[test]
fn who_asks_talks_with_whom_it_asks_and_its_partner_waits_in_a_call_of_its_own() {
    let (mut stage, _, _, legs) = answered();
    let music = |command: &Media| matches!(command, Media::Play { .. });
    assert!(stage.told.iter().any(music));
    let relayed = stage.relays();
    let asks = |command: &Media| matches!(command, Media::Relay { a, .. } if *a == legs[0]);
    assert!(relayed.iter().any(asks), "{relayed:?}");
    stage.close_media();
    let up = calls(&mut stage);
    assert!(up.contains(&("1000".into(), "1002".into())), "{up:?}");
    assert!(up.iter().any(|(caller, _)| caller == "1001"), "who waits is the caller of its call: {up:?}");
    // Nobody does anything else with it meanwhile.
    let call = stage.call(2);
    let hold = Command::Hold { leg: LegRef { call, side: LegSide::Caller } };
    assert_eq!(give(&mut stage, &Actor::Operator, hold), Err(Refused::Pending));
}

#[test]
fn when_who_has_asked_hangs_up_the_two_others_talk() {
    let (mut stage, first, _, legs) = answered();
    stage.close_media();
    stage.bye();
    assert!(!stage.is_sent_to(CALLEE, Method::Bye) && !stage.is_sent_to(THIRD, Method::Bye));
    let meet = |command: &Media| matches!(command, Media::Relay { a, .. } if *a == legs[1]);
    assert!(stage.relays().iter().any(meet), "{:?}", stage.mixing());
    stage.close_media();
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(THIRD, Method::Bye);
    stage.close_media();
    stage.pass(100);
    let held = stage.switch.holdings();
    assert_eq!((held.calls, held.rooms, held.dialogs), (0, 0, 0));
}

#[test]
fn a_key_or_the_end_of_who_is_asked_brings_the_partner_back() {
    for by_key in [true, false] {
        let (mut stage, _, second, legs) = answered();
        stage.close_media();
        if by_key {
            press(&mut stage, legs[0], "*1");
            stage.fire();
            stage.sent_to(THIRD, Method::Bye);
        } else {
            stage.third_sends(&second, "BYE");
        }
        assert_eq!(stage.relays().len(), 1, "{:?}", stage.mixing());
        assert!(!stage.is_sent_to(CALLEE, Method::Bye) && !stage.is_sent_to(CALLER, Method::Bye));
        stage.close_media();
        assert_eq!(calls(&mut stage), [("1000".into(), "1001".into())]);
    }
}

#[test]
fn another_key_makes_it_a_call_of_three() {
    let (mut stage, _, _, legs) = answered();
    stage.close_media();
    press(&mut stage, legs[0], "*3");
    stage.fire();
    let seated = |command: &Media| matches!(command, Media::Join { .. });
    let seats = stage.mixing().into_iter().filter(seated).count();
    assert_eq!(seats, 3, "{:?}", stage.mixing());
    stage.bye();
    assert!(!stage.is_sent_to(CALLEE, Method::Bye) && !stage.is_sent_to(THIRD, Method::Bye), "two go on");
}

#[test]
fn who_is_busy_or_there_is_not_leaves_the_two_as_they_were() {
    let (mut stage, _, second, legs) = asking("");
    stage.reply(&second, "486 Busy Here", "");
    let words = |command: &Media| matches!(command, Media::Play { .. });
    assert!(stage.mixing().iter().any(words), "the user is told: {:?}", stage.mixing());
    stage.close_media();
    assert_eq!(calls(&mut stage), [("1000".into(), "1001".into())]);
    press(&mut stage, legs[0], "*24711#");
    stage.fire();
    assert_eq!(calls(&mut stage), [("1000".into(), "1001".into())]);
}

#[test]
fn who_asks_and_hangs_up_while_it_rings_has_transferred_its_partner() {
    let (mut stage, _, second, legs) = asking("");
    stage.bye();
    assert!(!stage.is_sent_to(CALLEE, Method::Bye) && !stage.is_sent_to(THIRD, Method::Cancel));
    stage.close_media();
    stage.reply(&second, "200 OK", &sdp(OTHER));
    let meet = |command: &Media| matches!(command, Media::Relay { a, .. } if *a == legs[1]);
    assert!(stage.relays().iter().any(meet), "{:?}", stage.mixing());
}

#[test]
fn the_keys_are_those_of_the_configuration() {
    let more = format!("[features]\nkeys = true\nkey_consult = \"#2\"\nkey_transfer = \"\"\n{THIRD_USER}");
    let mut stage = Stage::with(&more, "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.talk();
    let leg = stage.media_leg(0);
    press(&mut stage, leg, "*2");
    assert!(stage.mixing().is_empty(), "{:?}", stage.mixing());
    press(&mut stage, leg, "#21002#");
    stage.fire();
    stage.open_media();
    stage.sent_to(THIRD, Method::Invite);
}

#[test]
fn what_the_switch_serves_cannot_be_asked_and_the_partner_stays() {
    let (mut stage, _, legs) = talking("[[route]]\npattern = \"9000\"\nservice = \"echo\"\n");
    press(&mut stage, legs[0], "*29000#");
    stage.fire();
    assert_eq!(calls(&mut stage), [("1000".to_owned(), "1001".to_owned())]);
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLEE, Method::Bye));
}
