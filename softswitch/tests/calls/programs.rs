//! What programs ask of calls: calls that begin by command, hold, pickup, retrieval, a move to another phone, and two calls made one.

use crate::commands::give;
use crate::stage::{CALLEE, CALLER, Stage, body, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, THIRD_USER, code, consults, related, talking};
use media::Command as Media;
use media::mix::{MemberId, Role};
use media::source::{CallTone, Source};
use sip_stack::header::HeaderName;
use sip_stack::message::Method;
use softswitch::core::command::{
    Actor, CallState, Command, DeviceRef, Done, Field, LegRef, LegSide, Originate, Range, Refused,
};
use softswitch::core::{Event, Output, Parking};
use softswitch::store::StoreOp;

const OPERATOR: Actor = Actor::Operator;

fn user(name: &str) -> Actor {
    Actor::User(format!("{name}@default").parse().expect("a user"))
}

fn wanted(from: &str, number: &str) -> Originate {
    Originate {
        user: from.parse().expect("a user"),
        number: number.into(),
        from: None,
        device: None,
        caller_id: None,
        timeout_s: None,
        auto_answer: false,
        variables: Default::default(),
    }
}

fn begin(stage: &mut Stage, actor: &Actor, wanted: Originate) -> Result<Done, Refused> {
    give(stage, actor, Command::Originate(Box::new(wanted)))
}

fn leg(stage: &Stage, call: u64, side: LegSide) -> LegRef {
    LegRef { call: stage.call(call), side }
}

/// 1000, 1001 and 1002 are registered, and nobody talks.
fn idle() -> Stage {
    let mut stage = Stage::with(THIRD_USER, "1001", 1);
    stage.register("1002", THIRD);
    stage
}

fn events(stage: &Stage) -> Vec<Event> {
    let told = stage.outputs.iter().filter_map(|output| match output {
        Output::Event(told) => Some(told.event.clone()),
        _ => None,
    });
    told.collect()
}

fn text(message: &sip_stack::message::Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

fn is_empty(mut stage: Stage) {
    stage.close_media();
    stage.pass(100);
    let held = stage.switch.holdings();
    assert_eq!((held.calls, held.rooms, held.dialogs, held.transactions), (0, 0, 0, 0));
}

/// The phone at this port has rung first, and has answered.
fn first_answered(stage: &mut Stage, wanted: Originate) {
    assert_eq!(begin(stage, &OPERATOR, wanted), Ok(Done::Call(stage.call(1))));
    assert_eq!(stage.opening().len(), 1, "one party has a port yet");
    stage.open_media();
    let invite = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    assert!(!stage.is_sent_to(CALLEE, Method::Invite));
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.sent_to(CALLER, Method::Ack);
    assert!(events(stage).iter().any(|event| matches!(event, Event::CallerAnswered { .. })));
}

#[test]
fn a_call_that_begins_by_command_rings_the_user_and_then_whom_it_calls() {
    let mut stage = idle();
    let variables = [("order".into(), "4711".into())].into();
    first_answered(&mut stage, Originate { variables, ..wanted("1000", "1001") });
    // Who waits hears that it rings.
    stage.open_media();
    let tone = |command: &Media| {
        let source = if let Media::Play { source, .. } = command { Some(source) } else { None };
        matches!(source, Some(Source::Tone { tone: CallTone::RingBack, .. }))
    };
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(text(&invite, HeaderName::From).contains("sip:1000@"), "in the name of the user");
    assert!(stage.told.iter().any(tone), "{:?}", stage.told);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    assert_eq!(related(&stage).len(), 1);
    assert!(events(&stage).iter().any(|event| matches!(event, Event::CallAnswered { .. })));
    let Ok(Done::Calls(page)) = give(&mut stage, &OPERATOR, Command::Calls(Range::default())) else {
        panic!()
    };
    let [view] = &page.rows[..] else { panic!("one call: {page:?}") };
    assert_eq!((&view.caller.user[..], &view.callee.user[..]), (&b"1000"[..], &b"1001"[..]));
    assert_eq!(view.state, CallState::Talking);
    stage.callee_sends(&invite, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
    stage.close_media();
    let record = stage.outputs.iter().find_map(|output| match output {
        Output::Store(StoreOp::PutCallRecord(record)) => Some(record.clone()),
        _ => None,
    });
    let record = record.expect("one record");
    assert_eq!((&*record.caller, &*record.callee, record.status), ("1000", "1001", 200));
    assert_eq!(record.attempts.len(), 2, "each phone was asked");
    assert_eq!(record.variables.get("order").map(|word| &**word), Some("4711"));
    is_empty(stage);
}

#[test]
fn the_first_phone_sees_whom_it_will_call_and_may_be_asked_to_answer_by_itself() {
    let mut stage = idle();
    let auto_answer = true;
    begin(&mut stage, &OPERATOR, Originate { auto_answer, ..wanted("1000", "1001") }).expect("accepted");
    stage.open_media();
    let invite = stage.sent_to(CALLER, Method::Invite);
    assert!(text(&invite, HeaderName::From).contains("sip:1001@"), "{}", text(&invite, HeaderName::From));
    assert!(text(&invite, HeaderName::CallInfo).ends_with(";answer-after=0"));
    assert!(text(&invite, HeaderName::AlertInfo).contains("info=alert-autoanswer"));
    assert_eq!(text(&invite, HeaderName::AnswerMode), "Auto");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(CALLEE, Method::Invite);
    assert!(second.header(HeaderName::AnswerMode).is_none(), "only who rings first is asked so");
}

#[test]
fn a_caller_id_is_shown_to_who_is_called_and_the_operator_alone_sets_it() {
    let mut stage = idle();
    let caller_id = Some("+4930123".into());
    let it = Originate { caller_id, ..wanted("1000", "1001") };
    assert_eq!(begin(&mut stage, &user("1000"), it.clone()), Err(Refused::NotAllowed));
    first_answered(&mut stage, it);
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(text(&invite, HeaderName::From).contains("sip:+4930123@"), "{}", text(&invite, HeaderName::From));
}

#[test]
fn a_first_who_does_not_answer_or_refuses_ends_it() {
    for status in ["486 Busy Here", "603 Decline"] {
        let mut stage = idle();
        begin(&mut stage, &OPERATOR, wanted("1000", "1001")).expect("accepted");
        stage.open_media();
        let invite = stage.sent_to(CALLER, Method::Invite);
        stage.reply(&invite, status, "");
        let ended = |event: &Event| matches!(event, Event::CallEnded { status, .. } if *status >= 486);
        assert!(events(&stage).iter().any(ended), "{:?}", events(&stage));
        is_empty(stage);
    }
    let mut stage = idle();
    begin(&mut stage, &OPERATOR, Originate { timeout_s: Some(5), ..wanted("1000", "1001") })
        .expect("accepted");
    stage.open_media();
    let invite = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    let (_, seconds) = stage.wait_for_sent(CALLER, Method::Cancel);
    assert!((4..=5).contains(&seconds), "{seconds} s");
    stage.close_media();
    stage.reply(&invite, "487 Request Terminated", "");
    is_empty(stage);
}

#[test]
fn a_second_who_refuses_ends_it_for_the_first_with_the_reason() {
    let mut stage = idle();
    first_answered(&mut stage, wanted("1000", "1001"));
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "486 Busy Here", "");
    let bye = stage.sent_to(CALLER, Method::Bye);
    assert!(text(&bye, HeaderName::Reason).contains("486"), "{}", text(&bye, HeaderName::Reason));
    stage.close_media();
    stage.caller_replies(&bye, "200 OK", "");
    is_empty(stage);
}

#[test]
fn a_first_who_hangs_up_while_the_second_rings_ends_it() {
    let mut stage = idle();
    begin(&mut stage, &OPERATOR, wanted("1000", "1001")).expect("accepted");
    stage.open_media();
    let first = stage.sent_to(CALLER, Method::Invite);
    stage.reply(&first, "200 OK", &sdp(PCMU));
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_as(&invite, "c", "180 Ringing", "");
    stage.third_sends(&first, "BYE");
    stage.sent_to(CALLEE, Method::Cancel);
    stage.close_media();
    stage.reply_as(&invite, "c", "487 Request Terminated", "");
    is_empty(stage);
}

#[test]
fn a_service_and_another_number_may_be_what_is_called_and_who_rings_first() {
    let more = "[[route]]\npattern = \"9000\"\nservice = \"echo\"\n";
    let mut stage = Stage::with(&format!("{THIRD_USER}{more}"), "1001", 1);
    stage.register("1002", THIRD);
    let from = Some("1002".into());
    begin(&mut stage, &OPERATOR, Originate { from, ..wanted("1000", "9000") }).expect("accepted");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    let Ok(Done::Calls(page)) = give(&mut stage, &OPERATOR, Command::Calls(Range::default())) else {
        panic!()
    };
    assert_eq!(page.rows.iter().map(|row| row.state).collect::<Vec<_>>(), [CallState::Served]);
    stage.third_sends(&invite, "BYE");
    is_empty(stage);
}

#[test]
fn what_cannot_begin_is_refused_with_the_reason() {
    let mut stage = idle();
    let numbers = |from: &str, number: &str| wanted(from, number);
    for (it, refused) in [
        (numbers("1000", "4711"), Refused::UnknownNumber),
        (numbers("1000", ""), Refused::Senseless(Field::Number)),
        (numbers("4711", "1001"), Refused::UnknownUser),
        (Originate { from: Some("".into()), ..wanted("1000", "1001") }, Refused::Senseless(Field::From)),
        (Originate { timeout_s: Some(0), ..wanted("1000", "1001") }, Refused::Senseless(Field::Timeout)),
        (
            Originate { caller_id: Some("a b".into()), ..wanted("1000", "1001") },
            Refused::Senseless(Field::CallerId),
        ),
        (
            Originate { variables: [("a b".into(), "".into())].into(), ..wanted("1000", "1001") },
            Refused::Senseless(Field::Variables),
        ),
        (
            Originate { device: Some(DeviceRef("sip:x@192.0.2.1".into())), ..wanted("1000", "1001") },
            Refused::NotRegistered,
        ),
    ] {
        assert_eq!(begin(&mut stage, &OPERATOR, it.clone()), Err(refused), "{it:?}");
    }
    assert_eq!(begin(&mut stage, &user("1001"), wanted("1000", "1001")), Err(Refused::UnknownUser));
    assert_eq!(stage.switch.calls(), 0);
    let mut nobody = Stage::with("[[users]]\nfrom = 1003\nto = 1003\npassword = \"secret\"\n", "1001", 1);
    assert_eq!(begin(&mut nobody, &OPERATOR, wanted("1003", "1001")), Err(Refused::NotRegistered));
}

#[test]
fn who_is_held_by_command_hears_music_and_is_heard_by_nobody_until_it_is_resumed() {
    let (mut stage, invite, legs) = talking();
    let by = leg(&stage, 1, LegSide::Caller);
    assert_eq!(give(&mut stage, &user("1001"), Command::Hold { leg: by }), Err(Refused::NotAllowed));
    assert_eq!(give(&mut stage, &user("1000"), Command::Hold { leg: by }), Ok(Done::Accepted));
    let held = MemberId(legs[1].0);
    let is_held = |command: &Media| match command {
        Media::Assign { roles, .. } => roles
            .iter()
            .any(|(member, role)| *member == held && matches!(role, Role::Held { source: Some(_) })),
        _ => false,
    };
    assert!(stage.mixing().iter().any(is_held), "{:?}", stage.mixing());
    assert!(events(&stage).contains(&Event::HoldChanged { leg: by, on: true }));
    assert!(!stage.is_sent_to(CALLER, Method::Invite) && !stage.is_sent_to(CALLEE, Method::Invite));
    let Ok(Done::Calls(page)) = give(&mut stage, &OPERATOR, Command::Calls(Range::default())) else {
        panic!()
    };
    assert!(page.rows[0].caller.holds && !page.rows[0].callee.holds);
    // Again is nothing new; the other one cannot hold as well.
    assert_eq!(give(&mut stage, &OPERATOR, Command::Hold { leg: by }), Ok(Done::Accepted));
    let other = leg(&stage, 1, LegSide::Callee);
    assert_eq!(give(&mut stage, &OPERATOR, Command::Hold { leg: other }), Err(Refused::WrongState));
    assert_eq!(give(&mut stage, &OPERATOR, Command::Resume { leg: by }), Ok(Done::Accepted));
    assert_eq!(related(&stage), [legs], "a relay as before");
    stage.callee_sends(&invite, "BYE", "");
    is_empty(stage);
}

#[test]
fn without_music_who_is_held_by_command_hears_nothing_and_is_not_heard_either() {
    let more = format!("{THIRD_USER}[features]\nhold_music = false\n");
    let mut stage = Stage::with(&more, "1001", 1);
    stage.talk();
    let by = leg(&stage, 1, LegSide::Caller);
    let held = MemberId(stage.media_leg(1).0);
    give(&mut stage, &OPERATOR, Command::Hold { leg: by }).expect("accepted");
    let is_held = |command: &Media| match command {
        Media::Assign { roles, .. } => roles.contains(&(held, Role::Held { source: None })),
        _ => false,
    };
    assert!(stage.mixing().iter().any(is_held), "{:?}", stage.mixing());
    give(&mut stage, &OPERATOR, Command::Resume { leg: by }).expect("accepted");
    assert_eq!(stage.relays().len(), 1);
}

#[test]
fn a_call_that_rings_or_is_not_decoded_is_not_held() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp("m=audio 4000 RTP/AVP 18\r\n"));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    let by = leg(&stage, 1, LegSide::Caller);
    assert_eq!(give(&mut stage, &OPERATOR, Command::Hold { leg: by }), Err(Refused::WrongState));
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 18\r\n"));
    assert_eq!(give(&mut stage, &OPERATOR, Command::Hold { leg: by }), Err(Refused::NoCommonCodec));
}

fn pick_up(of: &str, by: &str) -> Command {
    Command::PickUp {
        user: by.parse().expect("a user"),
        device: None,
        call: None,
        of: Some(of.parse().expect("a user")),
        auto_answer: true,
    }
}

#[test]
fn who_picks_up_by_command_rings_beside_the_others_and_has_the_call_when_it_answers_first() {
    let mut stage = idle();
    stage.invite(&sdp(PCMU));
    let first = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&first, "180 Ringing", "");
    assert_eq!(give(&mut stage, &OPERATOR, pick_up("1001", "1002")), Ok(Done::Accepted));
    let second = stage.sent_to(THIRD, Method::Invite);
    assert_eq!(text(&second, HeaderName::AnswerMode), "Auto");
    assert!(!stage.is_sent_to(CALLEE, Method::Cancel), "it rings there yet");
    stage.reply(&second, "200 OK", &sdp(OTHER));
    let cancel = stage.sent_to(CALLEE, Method::Cancel);
    assert!(text(&cancel, HeaderName::Reason).contains("completed elsewhere"));
    assert!(body(&stage.response_to_caller(200)).contains("RTP/AVP 0"));
    stage.ack("");
    let Ok(Done::Calls(page)) = give(&mut stage, &OPERATOR, Command::Calls(Range::default())) else {
        panic!()
    };
    assert_eq!(&page.rows[0].callee.user[..], b"1002");
    stage.reply(&first, "487 Request Terminated", "");
    stage.bye();
    let bye = stage.sent_to(THIRD, Method::Bye);
    stage.close_media();
    stage.reply(&bye, "200 OK", "");
    is_empty(stage);
}

#[test]
fn a_pickup_by_command_is_refused_where_there_is_nothing_to_pick_up_or_nobody_to_see() {
    let mut stage = idle();
    assert_eq!(give(&mut stage, &OPERATOR, pick_up("1001", "1002")), Err(Refused::UnknownCall));
    assert_eq!(give(&mut stage, &OPERATOR, pick_up("4711", "1002")), Err(Refused::UnknownUser));
    assert_eq!(give(&mut stage, &user("1000"), pick_up("1001", "1002")), Err(Refused::UnknownUser));
    let Command::PickUp { user: by, .. } = pick_up("1001", "1002") else { panic!() };
    let none = Command::PickUp { user: by.clone(), device: None, call: None, of: None, auto_answer: false };
    assert_eq!(give(&mut stage, &OPERATOR, none), Err(Refused::Senseless(Field::Call)));
    stage.talk();
    let up = Some(stage.call(1));
    let up = Command::PickUp { user: by, device: None, call: up, of: None, auto_answer: false };
    assert_eq!(give(&mut stage, &OPERATOR, up), Err(Refused::WrongState));
}

#[test]
fn a_parked_call_is_brought_to_a_phone_by_command_and_waits_on_when_nobody_answers() {
    let (mut stage, ..) = talking();
    let refer = "Refer-To: <sip:705@127.0.0.1:5060>\r\n";
    assert_eq!(code(&stage.caller_asks("REFER", refer, "")), 202);
    stage.close_media();
    let retrieve = |slot| Command::Retrieve {
        slot,
        user: "1002".parse().expect("a user"),
        device: None,
        auto_answer: false,
    };
    assert_eq!(give(&mut stage, &OPERATOR, retrieve(704)), Err(Refused::UnknownCall));
    assert_eq!(give(&mut stage, &user("1001"), retrieve(705)), Err(Refused::UnknownUser));
    for is_last in [false, true] {
        assert_eq!(give(&mut stage, &user("1002"), retrieve(705)), Ok(Done::Call(stage.call(2))));
        let called = |event: &Event| matches!(event, Event::Parked { how: Parking::Called, slot: 705, .. });
        assert!(events(&stage).iter().any(called));
        if !is_last {
            stage.open_media();
        }
        let invite = stage.sent_to(THIRD, Method::Invite);
        assert_eq!(give(&mut stage, &OPERATOR, retrieve(705)), Err(Refused::Pending));
        if is_last {
            stage.reply(&invite, "200 OK", &sdp(OTHER));
            let taken =
                |event: &Event| matches!(event, Event::Parked { how: Parking::Retrieved, slot: 705, .. });
            assert!(events(&stage).iter().any(taken), "{:?}", events(&stage));
            assert_eq!(stage.relays().len(), 1);
        } else {
            stage.reply(&invite, "486 Busy Here", "");
            let waits =
                |event: &Event| matches!(event, Event::Parked { how: Parking::Parked, slot: 705, .. });
            assert!(events(&stage).iter().any(waits), "{:?}", events(&stage));
        }
    }
}

#[test]
fn a_call_is_moved_by_command_to_the_other_phones_of_the_user_alone() {
    let (mut stage, ..) = talking();
    stage.register("1001", CALLEE + 1);
    let of = leg(&stage, 1, LegSide::Callee);
    let to = |device: Option<&str>| Command::Move {
        leg: of,
        device: device.map(|device| DeviceRef(device.into())),
        auto_answer: false,
    };
    let own = format!("sip:1001@127.0.0.1:{CALLEE}");
    assert_eq!(give(&mut stage, &OPERATOR, to(Some(&own))), Err(Refused::NotRegistered), "it is there");
    assert_eq!(give(&mut stage, &user("1000"), to(None)), Err(Refused::NotAllowed));
    assert_eq!(give(&mut stage, &user("1001"), to(None)), Ok(Done::Call(stage.call(2))));
    stage.open_media();
    let invite = stage.sent_to(CALLEE + 1, Method::Invite);
    assert!(!stage.is_sent_to(CALLEE, Method::Invite));
    assert_eq!(give(&mut stage, &OPERATOR, to(None)), Err(Refused::Pending));
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    stage.sent_to(CALLEE, Method::Bye);
    assert!(!stage.is_sent_to(CALLER, Method::Bye) && !stage.is_sent_to(CALLER, Method::Invite));
    assert_eq!(stage.relays().len(), 1, "the caller goes on with the other phone");
}

#[test]
fn a_user_with_one_phone_has_nowhere_to_move_to() {
    let (mut stage, ..) = talking();
    let of = leg(&stage, 1, LegSide::Callee);
    let to = Command::Move { leg: of, device: None, auto_answer: false };
    assert_eq!(give(&mut stage, &OPERATOR, to), Err(Refused::NotRegistered));
}

#[test]
fn two_calls_of_a_user_become_one_of_three_by_command() {
    let (mut stage, ..) = talking();
    consults(&mut stage);
    let (one, other) = (leg(&stage, 1, LegSide::Caller), leg(&stage, 2, LegSide::Caller));
    let join = |leg, with| Command::Join { leg, with };
    assert_eq!(give(&mut stage, &OPERATOR, join(one, one)), Err(Refused::Senseless(Field::Leg)));
    let wrong = leg(&stage, 2, LegSide::Callee);
    assert_eq!(give(&mut stage, &OPERATOR, join(one, wrong)), Err(Refused::Senseless(Field::Leg)));
    assert_eq!(give(&mut stage, &user("1000"), join(one, other)), Ok(Done::Accepted));
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 1, "one of the two dialogs ends");
    assert!(!stage.is_sent_to(CALLEE, Method::Bye) && !stage.is_sent_to(THIRD, Method::Bye));
    let joined = stage.told.iter().filter(|command| matches!(command, Media::Join { .. })).count();
    assert!(joined >= 3, "three are in one room");
    let Ok(Done::Calls(page)) = give(&mut stage, &OPERATOR, Command::Calls(Range::default())) else {
        panic!()
    };
    assert_eq!(page.rows.iter().map(|row| row.guests.len()).sum::<usize>(), 1);
}
