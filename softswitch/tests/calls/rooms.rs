//! Conferences with rules: who is asked for a code, who waits, what moderators do by key and programs by command, and who
//! is invited.

use crate::commands::give;
use crate::stage::{self, CALLEE, CALLER, Stage, sdp};
use crate::transfers::code;
use core::time::Duration;
use media::dtmf::{Digit, EventCode, Heard};
use media::mix::{Audience, MemberId, Role};
use media::source::Source;
use media::{Command as Media, DigitOutlet, DigitWay, Report, RoomId};
use sip_stack::header::HeaderName;
use sip_stack::message::Method;
use softswitch::core::command::{Actor, Command, Done, Range, Refused, RoomOrder, RoomRef, RoomView};
use softswitch::core::{Event, Input, Output, RoomChange};
use softswitch::rooms::Standing;

const PCMU: &str = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const CODED: &str = "[[room]]\nextension = \"3100\"\npin = \"2580\"\nmoderator_pin = \"4711\"\n";

fn room(number: &str) -> RoomRef {
    format!("{number}@default").parse().expect("a room")
}

/// The caller has called a room and is answered.
fn called(config: &str, number: &str) -> Stage {
    let mut stage = Stage::with(config, number, 0);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    stage
}

fn press(stage: &mut Stage, keys: &str) {
    for key in keys.chars() {
        let (code, leg) = (EventCode::from_char(key).expect("a key"), stage.media_leg(0));
        let heard = Heard::Ended(Digit { code, duration: Duration::from_millis(100) });
        stage.input(Input::Media(Report::Digit { leg, heard, way: DigitWay::Event }));
    }
}

/// What was said in the last step, and in which room.
fn said(stage: &Stage) -> Vec<(RoomId, String)> {
    let said = |command: &Media| match command {
        Media::Play { room, source: Source::Files { files, .. }, role: Role::Announce { to }, .. } => {
            assert_ne!(*to, Audience::Held);
            Some((*room, files.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    };
    stage.mixing().iter().filter_map(said).collect()
}

fn joined(stage: &Stage) -> Vec<(RoomId, Role)> {
    let join = |command: &Media| match command {
        Media::Join { room, role, .. } => Some((*room, *role)),
        _ => None,
    };
    stage.told.iter().filter_map(join).collect()
}

fn changes(stage: &Stage) -> Vec<RoomChange> {
    let told = stage.outputs.iter().filter_map(|output| match output {
        Output::Event(told) => Some(&told.event),
        _ => None,
    });
    told.filter_map(|event| match event {
        Event::Conference { change, .. } => Some(*change),
        _ => None,
    })
    .collect()
}

/// What is playing in the call is over.
fn played(stage: &mut Stage) {
    let last = stage.told.iter().rev().find_map(|command| match command {
        Media::Play { room, member, .. } => Some((*room, *member)),
        _ => None,
    });
    let (room, member) = last.expect("something plays");
    stage.input(Input::Media(Report::Played { room, member }));
}

fn rooms(stage: &mut Stage, actor: &Actor) -> Vec<RoomView> {
    match give(stage, actor, Command::Rooms(Range::default())) {
        Ok(Done::Rooms(page)) => page.rows,
        other => panic!("{other:?}"),
    }
}

fn order(stage: &mut Stage, number: &str, order: RoomOrder) -> Result<Done, Refused> {
    give(stage, &Actor::Operator, Command::Room { room: room(number), order })
}

fn user(name: &str) -> Actor {
    Actor::User(format!("{name}@default").parse().expect("a user"))
}

#[test]
fn who_has_to_dial_a_code_is_answered_at_once_and_is_alone_until_it_is_right() {
    let mut stage = called(CODED, "3100");
    let [(lobby, Role::Participant)] = joined(&stage)[..] else { panic!("{:?}", stage.told) };
    assert_eq!(said(&stage), [(lobby, "prompt:en/conf/enter-pin".to_owned())]);
    let [view] = &rooms(&mut stage, &Actor::Operator)[..] else { panic!() };
    assert_eq!((view.members.len(), view.calls.len(), view.members[0].waits), (1, 0, true));
    press(&mut stage, "258");
    assert_eq!(joined(&stage).len(), 1);
    press(&mut stage, "0");
    let [_, (conference, Role::Participant)] = joined(&stage)[..] else { panic!("{:?}", stage.told) };
    assert_ne!(conference, lobby);
    assert!(stage.mixing().contains(&Media::CloseRoom { room: lobby }));
    assert_eq!(changes(&stage), [RoomChange::Joined { call: stage.call(1) }]);
    stage.bye();
    assert_eq!(changes(&stage), [RoomChange::Left { call: stage.call(1) }]);
    stage.close_media();
    assert!(stage.mixing().contains(&Media::CloseRoom { room: conference }));
    stage.pass(40);
    let holdings = stage.switch.holdings();
    assert_eq!((holdings.calls, holdings.rooms, holdings.dialogs), (0, 0, 0));
}

#[test]
fn the_focus_says_in_its_contact_that_it_is_one() {
    let mut stage = Stage::with(CODED, "3100", 0);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    let answer = stage.response_to_caller(200);
    let contact =
        String::from_utf8_lossy(answer.header(HeaderName::Contact).unwrap_or_default()).into_owned();
    assert!(contact.ends_with(">;isfocus"), "{contact}");
}

#[test]
fn three_wrong_codes_end_the_call_after_saying_so() {
    let mut stage = called(CODED, "3100");
    for _ in 0..2 {
        press(&mut stage, "1111");
        assert_eq!(said(&stage)[0].1, "prompt:en/conf/wrong-pin");
    }
    press(&mut stage, "1111");
    assert_eq!(said(&stage)[0].1, "prompt:en/conf/wrong-pin");
    assert_eq!(changes(&stage), [RoomChange::TurnedAway { call: stage.call(1) }]);
    press(&mut stage, "2580");
    assert!(!stage.is_sent_to(CALLER, Method::Bye), "it hears it to the end");
    played(&mut stage);
    stage.wait_for_request(Method::Bye);
}

#[test]
fn a_caller_that_says_nothing_and_a_prompt_whose_end_is_never_told_end_all_the_same() {
    let mut stage = called(CODED, "3100");
    stage.wait_for_request(Method::Bye);
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn who_waits_for_a_moderator_hears_why_and_then_music() {
    let config = "[[room]]\nextension = \"3100\"\nmoderators = [\"1001\"]\nwait_for_moderator = true\n";
    let mut stage = called(config, "3100");
    assert_eq!(said(&stage)[0].1, "prompt:en/conf/waiting");
    assert_eq!(changes(&stage), [RoomChange::Waiting { call: stage.call(1) }]);
    played(&mut stage);
    let music = said(&stage);
    assert!(music[0].1.contains("music"), "{music:?}");
    let call = stage.call(1);
    assert_eq!(
        order(&mut stage, "3100", RoomOrder::SetRole { call, role: Standing::Moderator }),
        Err(Refused::UnknownCall),
        "who is not in is nothing"
    );
}

#[test]
fn the_language_of_a_room_is_for_those_who_have_none() {
    let stage = called(&format!("{CODED}language = \"ru\"\n"), "3100");
    assert_eq!(said(&stage)[0].1, "prompt:ru/conf/enter-pin");
}

#[test]
fn keys_mute_and_tell_so() {
    let mut stage = called("[[room]]\nextension = \"3100\"\n", "3100");
    let member = MemberId(stage.media_leg(0).0);
    let [(room, _)] = joined(&stage)[..] else { panic!() };
    press(&mut stage, "*1");
    assert!(stage.mixing().contains(&Media::Assign { room, roles: vec![(member, Role::Muted)] }));
    assert_eq!(said(&stage), [(room, "prompt:en/conf/muted".to_owned())]);
    assert_eq!(changes(&stage), [RoomChange::Muted { call: stage.call(1), on: true }]);
    press(&mut stage, "*2");
    assert_eq!(said(&stage)[0].1, "prompt:en/conf/moderators-only");
    // A phone that changes its codec stays muted.
    let answer = stage.re_invite(&sdp("m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
    assert!(stage::body(&answer).contains("RTP/AVP 8"));
    assert_eq!(joined(&stage).last(), Some(&(room, Role::Muted)));
}

#[test]
fn keys_of_a_phone_that_has_no_other_way_are_listened_for() {
    let mut stage = Stage::with("[[room]]\nextension = \"3100\"\n", "3100", 0);
    stage.dial(&sdp("m=audio 4000 RTP/AVP 0\r\n"));
    stage.open_media();
    let digits = stage.configured_caller().digits;
    assert!(digits.listen.is_some());
    assert_eq!(digits.outlet, DigitOutlet::Nowhere, "keys of the others are not for it");
}

#[test]
fn a_program_orders_what_a_moderator_could_and_sees_who_hears_whom() {
    let mut stage = called(CODED, "3100");
    press(&mut stage, "2580");
    let (call, member) = (stage.call(1), MemberId(stage.media_leg(0).0));
    let [_, (conference, _)] = joined(&stage)[..] else { panic!() };
    assert_eq!(order(&mut stage, "3100", RoomOrder::Mute { call }), Ok(Done::Accepted));
    assert!(stage.mixing().contains(&Media::Assign { room: conference, roles: vec![(member, Role::Muted)] }));
    let [view] = &rooms(&mut stage, &Actor::Operator)[..] else { panic!() };
    assert_eq!((&view.calls[..], &view.heard[..], view.members[0].muted), (&[call][..], &[][..], true));
    assert_eq!(order(&mut stage, "3100", RoomOrder::Unmute { call }), Ok(Done::Accepted));
    assert_eq!(order(&mut stage, "3100", RoomOrder::Gain { call, decibels: 6 }), Ok(Done::Accepted));
    assert!(stage.mixing().iter().any(|command| matches!(command, Media::Amplify { .. })));
    let listener = RoomOrder::SetRole { call, role: Standing::Listener };
    assert_eq!(order(&mut stage, "3100", listener), Ok(Done::Accepted));
    assert!(changes(&stage).contains(&RoomChange::Role { call, role: Standing::Listener }));
    assert_eq!(order(&mut stage, "3100", RoomOrder::Lock), Ok(Done::Accepted));
    assert_eq!(changes(&stage), [RoomChange::Locked { on: true }]);
    let [view] = &rooms(&mut stage, &Actor::Operator)[..] else { panic!() };
    assert!(view.locked && view.heard.is_empty() && view.members[0].role == Standing::Listener);
    assert_eq!(order(&mut stage, "3100", RoomOrder::Kick { call }), Ok(Done::Accepted));
    assert_eq!(said(&stage).last().map(|(_, said)| &**said), Some("prompt:en/conf/removed"));
    assert!(rooms(&mut stage, &Actor::Operator)[0].members.is_empty());
    played(&mut stage);
    stage.wait_for_request(Method::Bye);
}

#[test]
fn only_moderators_the_operator_and_who_has_all_rights_may_order() {
    let mut stage = called("[[room]]\nextension = \"3100\"\nmoderators = [\"1001\"]\n", "3100");
    let lock = || Command::Room { room: room("3100"), order: RoomOrder::Lock };
    assert_eq!(give(&mut stage, &user("1000"), lock()), Err(Refused::NotAllowed), "a member");
    assert_eq!(give(&mut stage, &user("1001"), lock()), Ok(Done::Accepted), "named as a moderator");
    let call = stage.call(1);
    let role = RoomOrder::SetRole { call, role: Standing::Moderator };
    assert_eq!(order(&mut stage, "3100", role), Ok(Done::Accepted));
    assert_eq!(give(&mut stage, &user("1000"), lock()), Ok(Done::Accepted), "a moderator by now");
    assert_eq!(order(&mut stage, "3199", RoomOrder::Lock), Err(Refused::UnknownRoom));
    assert_eq!(
        order(&mut stage, "3100", RoomOrder::Gain { call, decibels: 40 }),
        Err(Refused::Senseless(softswitch::core::command::Field::Decibels))
    );
}

#[test]
fn a_room_that_is_not_listed_is_there_for_those_alone_who_are_in_it_or_command_it() {
    let unlisted = "[[room]]\nextension = \"3100\"\nlisted = false\n";
    let mut stage = called(unlisted, "3100");
    assert_eq!(rooms(&mut stage, &user("1000")).len(), 1, "it is in it");
    assert_eq!(rooms(&mut stage, &user("1001")).len(), 0);
    let lock = Command::Room { room: room("3100"), order: RoomOrder::Lock };
    assert_eq!(give(&mut stage, &user("1001"), lock), Err(Refused::UnknownRoom));
}

#[test]
fn a_member_is_moved_and_keeps_its_stream() {
    let two = "[[room]]\nextension = \"3100\"\n[[room]]\nextension = \"3200\"\npin = \"1\"\n";
    let mut stage = called(two, "3100");
    let (call, leg) = (stage.call(1), stage.media_leg(0));
    let [(first, _)] = joined(&stage)[..] else { panic!() };
    assert_eq!(order(&mut stage, "3100", RoomOrder::Move { call, to: room("3200") }), Ok(Done::Accepted));
    let [_, (second, Role::Participant)] = joined(&stage)[..] else { panic!("{:?}", stage.told) };
    assert_ne!(first, second);
    assert!(stage.mixing().contains(&Media::CloseRoom { room: first }), "the last one has left it");
    assert!(
        !stage.told.iter().any(|command| matches!(command, Media::Close { leg: closed } if *closed == leg))
    );
    assert_eq!(changes(&stage), [RoomChange::Left { call }, RoomChange::Joined { call }]);
    let [view] = &rooms(&mut stage, &Actor::Operator)[..] else { panic!() };
    assert_eq!((&*view.room.name, view.calls.len()), ("3200", 1));
    assert_eq!(
        order(&mut stage, "3200", RoomOrder::Move { call, to: room("3299") }),
        Err(Refused::UnknownRoom)
    );
    stage.bye();
    stage.close_media();
    assert!(stage.mixing().contains(&Media::CloseRoom { room: second }));
}

#[test]
fn an_end_sends_everybody_away() {
    let mut stage = called("[[room]]\nextension = \"3100\"\n", "3100");
    assert_eq!(order(&mut stage, "3100", RoomOrder::End), Ok(Done::Accepted));
    assert_eq!(said(&stage)[0].1, "prompt:en/conf/ended");
    assert!(changes(&stage).contains(&RoomChange::Ended));
    played(&mut stage);
    stage.wait_for_request(Method::Bye);
}

/// The status that a NOTIFY of the last step tells.
fn told_by_notify(stage: &Stage) -> String {
    stage::body(&stage.sent_to(CALLER, Method::Notify)).trim_end().to_owned()
}

#[test]
fn a_refer_to_the_focus_calls_somebody_who_is_in_after_answering() {
    let mut stage = Stage::with(CODED, "3100", 1);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    press(&mut stage, "2580");
    let (conference, _) = joined(&stage)[1];
    let answer = stage.caller_asks("REFER", "Refer-To: <sip:1001@127.0.0.1:5060>\r\n", "");
    assert_eq!(code(&answer), 202);
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(String::from_utf8_lossy(invite.header(HeaderName::From).unwrap_or_default()).contains("1000"));
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    let ack = stage.sent_to(CALLEE, Method::Ack);
    assert_eq!(told_by_notify(&stage), "SIP/2.0 200 OK");
    assert_eq!(joined(&stage).last(), Some(&(conference, Role::Participant)), "it needs no code");
    let heard = said(&stage);
    assert!(
        heard[0].1.starts_with("prompt:en/conf/invited prompt:en/digits/1 prompt:en/digits/0"),
        "{heard:?}"
    );
    assert!(!stage.is_sent_to(CALLER, Method::Bye), "who asks goes nowhere");
    let [view] = &rooms(&mut stage, &Actor::Operator)[..] else { panic!() };
    let members: Vec<&[u8]> = view.members.iter().map(|member| &member.user[..]).collect();
    assert_eq!(members, [b"1000", b"1001"]);
    // Either of them may go.
    stage.bye();
    assert!(!stage.is_sent_to(CALLEE, Method::Bye));
    stage.callee_hangs_up(&ack);
    assert_eq!(changes(&stage), [RoomChange::Left { call: stage.call(2) }]);
}

#[test]
fn who_is_invited_and_does_not_want_to_come_is_told_of_and_nothing_else_happens() {
    let mut stage = Stage::with("[[room]]\nextension = \"3100\"\n", "3100", 1);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    let invited = order(&mut stage, "3100", RoomOrder::Invite { number: "1001".into() });
    let call = stage.call(2);
    assert_eq!(invited, Ok(Done::Call(call)));
    let again = order(&mut stage, "3100", RoomOrder::Invite { number: "1001".into() });
    assert_eq!(again, Err(Refused::WrongState), "nobody else is there in whose name it could be called");
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "486 Busy Here", "");
    assert!(!stage.is_sent_to(CALLER, Method::Bye));
    stage.close_media();
    assert_eq!(rooms(&mut stage, &Actor::Operator)[0].calls.len(), 1);
    assert_eq!(
        order(&mut stage, "3100", RoomOrder::Invite { number: "4711".into() }),
        Err(Refused::UnknownNumber)
    );
}

#[test]
fn an_invitation_is_given_up_with_the_member_in_whose_name_it_is() {
    let mut stage = Stage::with("[[room]]\nextension = \"3100\"\n", "3100", 1);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    order(&mut stage, "3100", RoomOrder::Invite { number: "1001".into() }).expect("it rings");
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    stage.bye();
    stage.sent_to(CALLEE, Method::Cancel);
}

#[test]
fn a_refer_with_bye_sends_somebody_away_if_a_moderator_asks() {
    let bye = |user: &str| format!("Refer-To: <sip:{user}@127.0.0.1:5060;method=BYE>\r\n");
    let mut stage = called("[[room]]\nextension = \"3100\"\n", "3100");
    assert_eq!(code(&stage.caller_asks("REFER", &bye("1001"), "")), 202);
    assert_eq!(told_by_notify(&stage), "SIP/2.0 403 Forbidden");
    let mut stage = called("[[room]]\nextension = \"3100\"\nmoderators = [\"1000\"]\n", "3100");
    assert_eq!(code(&stage.caller_asks("REFER", &bye("1001"), "")), 202);
    assert_eq!(told_by_notify(&stage), "SIP/2.0 404 Not Found");
    assert_eq!(code(&stage.caller_asks("REFER", &bye("1000"), "")), 202);
    assert_eq!(told_by_notify(&stage), "SIP/2.0 200 OK");
    assert_eq!(said(&stage)[0].1, "prompt:en/conf/removed");
}
