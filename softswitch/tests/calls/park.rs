//! Park, pickup by code, and the longest call, against the pure switch.

use crate::commands::give;
use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, code, line, news, talking};
use media::Command as Media;
use sip_stack::message::Method;
use softswitch::core::command::{Actor, Command, Done, LegRef, LegSide, Refused};
use softswitch::core::{Cut, Event, Output, Parking};

fn parking(stage: &Stage) -> Vec<(u32, Parking)> {
    let mut told = Vec::new();
    for output in &stage.outputs {
        if let Output::Event(event) = output
            && let Event::Parked { slot, how, .. } = event.event
        {
            told.push((slot, how));
        }
    }
    told
}

/// Fires timers until something has happened.
fn fire_until(stage: &mut Stage, happened: impl Fn(&Stage) -> bool) {
    let mut fired = 0;
    while !happened(stage) {
        stage.fire();
        fired += 1;
        assert!(fired < 100, "it does not happen");
    }
}

fn is_empty(stage: &mut Stage) -> bool {
    stage.pass(70);
    let held = stage.switch.holdings();
    (held.calls, held.rooms, held.dialogs) == (0, 0, 0)
}

/// 1000 has sent 1001 to this number.
fn parked(number: &str) -> Stage {
    let (mut stage, ..) = talking();
    let refer = format!("Refer-To: <sip:{number}@127.0.0.1:5060>\r\n");
    assert_eq!(code(&stage.caller_asks("REFER", &refer, "")), 202);
    stage
}

#[test]
fn a_transfer_to_the_park_number_parks_under_the_first_slot_and_dialling_it_retrieves() {
    let mut stage = parked("700");
    assert_eq!(news(&stage).last(), line("200 OK", true).last());
    assert_eq!(parking(&stage), [(701, Parking::Parked)]);
    stage.sent_to(CALLER, Method::Bye);
    assert!(stage.mixing().iter().any(|command| matches!(command, Media::Play { .. })), "music");
    stage.close_media();
    stage.number = "701".into();
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    assert_eq!(code(&stage.response_to_caller(200)), 200);
    assert_eq!(parking(&stage), [(701, Parking::Retrieved)]);
    assert_eq!(stage.relays().len(), 1, "{:?}", stage.mixing());
    stage.ack("");
    stage.bye();
    stage.sent_to(CALLEE, Method::Bye);
    stage.close_media();
    assert!(is_empty(&mut stage));
}

#[test]
fn a_slot_that_is_taken_is_busy_and_one_that_nobody_is_in_is_no_number() {
    let mut stage = parked("705");
    assert_eq!(parking(&stage), [(705, Parking::Parked)]);
    stage.number = "706".into();
    stage.dial_again(&sdp(OTHER));
    assert_eq!(code(&stage.response_to_caller(404)), 404);
}

#[test]
fn who_parked_a_call_is_called_when_nobody_comes_for_it() {
    let mut stage = parked("700");
    stage.close_media();
    stage.pass(59);
    fire_until(&mut stage, |stage| !parking(stage).is_empty());
    assert_eq!(parking(&stage), [(701, Parking::Returning)]);
    stage.open_media();
    let invite = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert_eq!(parking(&stage), [(701, Parking::Retrieved)]);
    assert_eq!(stage.relays().len(), 1, "{:?}", stage.mixing());
}

#[test]
fn a_parked_party_that_hangs_up_leaves_its_slot() {
    let mut stage = parked("700");
    stage.close_media();
    let (mut again, ..) = talking();
    // The same slot is the first free one for another call.
    assert_eq!(code(&again.caller_asks("REFER", "Refer-To: <sip:700@127.0.0.1:5060>\r\n", "")), 202);
    assert_eq!(parking(&again), [(701, Parking::Parked)]);
    let call = stage.call(2);
    let hang_up = Command::HangUp { call, side: None };
    assert_eq!(give(&mut stage, &Actor::Operator, hang_up), Ok(Done::Accepted));
    stage.sent_to(CALLEE, Method::Bye);
    assert_eq!(parking(&stage), [(701, Parking::GivenUp)], "nobody has taken it");
    stage.close_media();
    assert!(is_empty(&mut stage));
}

#[test]
fn who_parks_by_command_hears_the_slot_before_it_leaves() {
    let (mut stage, ..) = talking();
    let leg = LegRef { call: stage.call(1), side: LegSide::Caller };
    let park = |slot| Command::Park { leg, slot };
    assert_eq!(give(&mut stage, &Actor::Operator, park(Some(99))), Err(Refused::Taken));
    assert_eq!(give(&mut stage, &Actor::Operator, park(None)), Ok(Done::Slot(701)));
    let told = stage.mixing();
    let spoken = told.iter().find_map(|command| match command {
        Media::Play {
            room,
            member,
            role: media::mix::Role::Announce { to: media::mix::Audience::One(_) },
            ..
        } => Some((*room, *member)),
        _ => None,
    });
    let Some((room, member)) = spoken else { panic!("{told:?}") };
    assert_eq!(give(&mut stage, &Actor::Operator, park(None)), Err(Refused::Pending));
    let transfer = Command::Transfer { leg, number: "1002".into() };
    assert_eq!(give(&mut stage, &Actor::Operator, transfer), Err(Refused::Pending));
    let refer = "Refer-To: <sip:1002@127.0.0.1:5060>\r\n";
    assert_eq!(code(&stage.caller_asks("REFER", refer, "")), 491);
    stage.input(softswitch::core::Input::Media(media::Report::Played { room, member }));
    assert_eq!(parking(&stage), [(701, Parking::Parked)]);
    stage.sent_to(CALLER, Method::Bye);
}

#[test]
fn who_hangs_up_while_it_is_told_the_slot_has_parked_its_partner() {
    let (mut stage, ..) = talking();
    let leg = LegRef { call: stage.call(1), side: LegSide::Caller };
    let park = Command::Park { leg, slot: None };
    assert_eq!(give(&mut stage, &Actor::Operator, park), Ok(Done::Slot(701)));
    assert!(parking(&stage).is_empty(), "it is told first");
    stage.bye();
    assert_eq!(parking(&stage), [(701, Parking::Parked)]);
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLEE, Method::Bye));
    stage.close_media();
    stage.number = "701".into();
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    assert_eq!(code(&stage.response_to_caller(200)), 200);
    assert_eq!(parking(&stage), [(701, Parking::Retrieved)]);
}

#[test]
fn a_code_of_ones_settings_is_no_pickup() {
    for number in ["**21*1001", "**67*1001"] {
        let mut stage = Stage::with("", number, 1);
        stage.invite(&sdp(PCMU));
        assert_eq!(code(&stage.response_to_caller(200)), 200, "{number}");
    }
}

#[test]
fn the_number_of_a_group_and_one_of_emergency_are_no_slots_and_no_code() {
    let group = "[[group]]\nid = \"all\"\nnumbers = [\"700\", \"705\"]\nmembers = [\"1001\"]\n";
    for (more, number) in [(group, "700"), (group, "705"), ("[features]\npark = \"112\"\n", "112")] {
        let mut stage = Stage::with(more, "1001", 1);
        stage.talk();
        let refer = format!("Refer-To: <sip:{number}@127.0.0.1:5060>\r\n");
        assert_eq!(code(&stage.caller_asks("REFER", &refer, "")), 202);
        assert!(parking(&stage).is_empty(), "{number}");
    }
}

#[test]
fn what_rings_is_picked_up_by_the_extension_of_its_user() {
    let more = "[[user]]\nid = \"1002\"\npassword = \"secret\"\nnumbers = [\"201\"]\n";
    let mut stage = Stage::with(more, "1002", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.register("1001", CALLEE);
    (stage.user, stage.number) = ("1001".into(), "**201".into());
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    stage.sent_to(THIRD, Method::Cancel);
    assert_eq!(stage.relays().len(), 1, "{:?}", stage.mixing());
}

#[test]
fn what_rings_at_a_number_is_picked_up_by_its_code() {
    for (number, groups, picked) in
        [("**1001", "", true), ("*8", "groups = \"a\"\n", true), ("*8", "", false)]
    {
        let users = format!("{groups}[[user]]\nid = \"1002\"\npassword = \"secret\"\n{groups}");
        let mut stage = Stage::with(&users, "1001", 1);
        stage.invite(&sdp(PCMU));
        let invite = stage.sent_to(CALLEE, Method::Invite);
        stage.reply(&invite, "180 Ringing", "");
        stage.register("1002", THIRD);
        (stage.user, stage.number) = ("1002".into(), number.into());
        stage.dial_again(&sdp(OTHER));
        if !picked {
            assert_eq!(code(&stage.response_to_caller(404)), 404);
            continue;
        }
        stage.open_media();
        stage.sent_to(CALLEE, Method::Cancel);
        assert_eq!(stage.relays().len(), 1, "{number}: {:?}", stage.mixing());
    }
}

#[test]
fn a_call_that_has_lasted_as_long_as_it_may_is_ended() {
    let mut stage = Stage::with("[features]\nlongest_call_s = 60\n[session_timer]\nask = false\n", "1001", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    stage.pass(59);
    assert_eq!(stage.switch.holdings().calls, 1);
    let cut = |output: &Output| matches!(output, Output::Event(told) if matches!(told.event, Event::CallCut { cause: Cut::TooLong, .. }));
    fire_until(&mut stage, |stage| stage.outputs.iter().any(cut));
    stage.sent_to(CALLER, Method::Bye);
    stage.sent_to(CALLEE, Method::Bye);
}

/// A user presses these keys, and the switch sees to them.
pub(crate) fn press(stage: &mut Stage, leg: media::LegId, keys: &str) {
    for key in keys.chars() {
        let code = media::dtmf::EventCode::from_char(key).expect("a key");
        let digit = media::dtmf::Digit { code, duration: std::time::Duration::from_millis(100) };
        let heard = media::dtmf::Heard::Ended(digit);
        let way = media::DigitWay::Event;
        stage.input(softswitch::core::Input::Media(media::Report::Digit { leg, heard, way }));
    }
}

#[test]
fn keys_send_the_partner_to_a_number_and_let_the_user_go() {
    let mut stage = Stage::with(
        "[features]\nkeys = true\n[[users]]\nfrom = 1002\nto = 1002\npassword = \"secret\"\n",
        "1001",
        1,
    );
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    let legs = [stage.media_leg(0), stage.media_leg(1)];
    press(&mut stage, legs[0], "5#");
    stage.pass(3);
    press(&mut stage, legs[0], "#5#");
    assert!(!stage.mixing().iter().any(|command| matches!(command, Media::Play { .. })), "no code");
    press(&mut stage, legs[0], "#");
    let told = stage.mixing();
    let held = media::mix::Audience::Held;
    let music = |command: &Media| matches!(command, Media::Play { role: media::mix::Role::Announce { to }, .. } if *to == held);
    assert!(told.iter().any(music), "the partner is on hold: {told:?}");
    press(&mut stage, legs[0], "1002#");
    stage.fire();
    stage.sent_to(CALLER, Method::Bye);
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4020 RTP/AVP 0\r\n"));
    assert_eq!(stage.relays().len(), 1, "{:?}", stage.mixing());
}
