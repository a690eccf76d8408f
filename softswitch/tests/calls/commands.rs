//! Commands to the pure switch: what they do to calls, who may give them, and what they are answered with.

use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{THIRD, THIRD_USER, code, related, talking};
use media::Command as Media;
use media::mix::Audience;
use media::mix::{MemberId, Role};
use sip_stack::message::Method;
use softswitch::config::Recording;
use softswitch::core::command::{
    Actor, Answer, CallState, Command, CommandId, Done, Errand, Field, LegRef, LegSide, Range, Refused,
};
use softswitch::core::{Event, Input, Output, Told};

const OPERATOR: Actor = Actor::Operator;

fn user(name: &str, domain: &str) -> Actor {
    Actor::User(format!("{name}@{domain}").parse().expect("a user"))
}

/// Gives a command; what it is answered with.
pub(crate) fn give(stage: &mut Stage, actor: &Actor, command: Command) -> Result<Done, Refused> {
    let id = CommandId(stage.switch.run().id(7));
    stage.input(Input::Command { id, actor: actor.clone(), command: Box::new(command) });
    let answers = stage.outputs.iter().filter_map(|output| match output {
        Output::Answer(answer) => Some((**answer).clone()),
        _ => None,
    });
    match &answers.collect::<Vec<_>>()[..] {
        [Answer { command, result }] if *command == id => result.clone(),
        answers => panic!("one answer, not {answers:?}"),
    }
}

fn told(stage: &Stage) -> Vec<&Told> {
    let mut told = Vec::new();
    for output in &stage.outputs {
        if let Output::Event(event) = output {
            told.push(event);
        }
    }
    told
}

fn leg(stage: &Stage, call: u64, side: LegSide) -> LegRef {
    LegRef { call: stage.call(call), side }
}

#[test]
fn a_call_is_listed_and_ended_and_its_end_names_the_command() {
    let (mut stage, ..) = talking();
    let Ok(Done::Calls(page)) = give(&mut stage, &OPERATOR, Command::Calls(Range::default())) else {
        panic!()
    };
    let [view] = &page.rows[..] else { panic!("{page:?}") };
    assert_eq!((view.call, view.state, page.next), (stage.call(1), CallState::Talking, None));
    assert_eq!((&view.caller.user[..], &view.callee.user[..]), (&b"1000"[..], &b"1001"[..]));
    let call = view.call;
    assert_eq!(give(&mut stage, &OPERATOR, Command::HangUp { call, side: None }), Ok(Done::Accepted));
    stage.sent_to(CALLER, Method::Bye);
    stage.sent_to(CALLEE, Method::Bye);
    let ended = told(&stage);
    let [Told { command: Some(command), event: Event::CallEnded { call: named, status: 200, .. }, .. }] =
        &ended[..]
    else {
        panic!("{ended:?}")
    };
    assert_eq!((*command, *named), (CommandId(stage.switch.run().id(7)), call));
    stage.close_media();
    assert_eq!(give(&mut stage, &OPERATOR, Command::HangUp { call, side: None }), Err(Refused::UnknownCall));
    stage.pass(70);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn events_are_numbered_without_gaps_from_one() {
    let (mut stage, ..) = talking();
    let mut before = None;
    for number in 0..3 {
        give(&mut stage, &OPERATOR, Command::Reload).expect("accepted");
        stage.input(Input::NotConfigured { reason: format!("{number}").into() });
        let [told] = &told(&stage)[..] else { panic!() };
        assert!(before.is_none_or(|before: u64| told.number == before + 1));
        before = Some(told.number);
        assert_eq!((told.command.is_some(), told.unix_ms / 1_000), (true, 1_800_000_000));
    }
    // Two registrations more than the two of the stage, the call and its answer came before.
    assert!(before > Some(5));
}

#[test]
fn a_call_that_rings_is_refused_to_its_caller() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp("m=audio 4000 RTP/AVP 0\r\n"));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "180 Ringing", "");
    let call = stage.call(1);
    let callee = Some(LegSide::Callee);
    assert_eq!(give(&mut stage, &OPERATOR, Command::HangUp { call, side: callee }), Err(Refused::WrongState));
    assert_eq!(give(&mut stage, &OPERATOR, Command::HangUp { call, side: None }), Ok(Done::Accepted));
    stage.sent_to(CALLEE, Method::Cancel);
    stage.response_to_caller(480);
}

#[test]
fn a_party_that_is_sent_away_ends_the_call_for_both() {
    let (mut stage, ..) = talking();
    let call = stage.call(1);
    let side = Some(LegSide::Caller);
    assert_eq!(give(&mut stage, &OPERATOR, Command::HangUp { call, side }), Ok(Done::Accepted));
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 1);
    assert_eq!(stage.all_sent_to(CALLEE, Method::Bye).len(), 1);
}

#[test]
fn a_blind_transfer_by_command_goes_as_one_by_refer() {
    let (mut stage, _, legs) = talking();
    let by = leg(&stage, 1, LegSide::Caller);
    let wrong = Command::Transfer { leg: by, number: "4711".into() };
    assert_eq!(give(&mut stage, &OPERATOR, wrong), Err(Refused::UnknownNumber));
    let transfer = Command::Transfer { leg: by, number: "1002".into() };
    let Ok(Done::Call(new)) = give(&mut stage, &OPERATOR, transfer.clone()) else { panic!() };
    assert_eq!(new, stage.call(2));
    assert_eq!(give(&mut stage, &OPERATOR, transfer), Err(Refused::Pending));
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4020 RTP/AVP 0\r\n"));
    stage.sent_to(CALLER, Method::Bye);
    assert_eq!(related(&stage), [[legs[1], stage.media_leg(0)]]);
    let id = Some(CommandId(stage.switch.run().id(7)));
    let progress: Vec<_> = told(&stage).into_iter().filter(|told| told.command == id).collect();
    let done = |told: &&Told| matches!(told.event, Event::TransferProgressed { status: 200, .. });
    assert!(progress.iter().any(done), "{progress:?}");
    let answered = |told: &&Told| matches!(told.event, Event::CallAnswered { call, .. } if call == new);
    assert!(progress.iter().any(answered), "{progress:?}");
}

#[test]
fn who_hears_a_prompt_is_said_and_the_relay_comes_back_after_it() {
    let (mut stage, _, legs) = talking();
    let call = stage.call(1);
    let say = |prompt: &str, to| Command::Say { call, prompt: prompt.into(), to };
    assert_eq!(give(&mut stage, &OPERATOR, say("call/tea", None)), Err(Refused::UnknownPrompt));
    assert_eq!(
        give(&mut stage, &OPERATOR, say("call/please-hold", Some(LegSide::Callee))),
        Ok(Done::Accepted)
    );
    let told = stage.mixing();
    let played = told.iter().find_map(|command| match command {
        Media::Play { room, member, role, .. } => Some((*room, *member, *role)),
        _ => None,
    });
    let Some((room, member, role)) = played else { panic!("{told:?}") };
    assert_eq!(role, Role::Announce { to: Audience::One(MemberId(legs[1].0)) });
    stage.input(Input::Media(media::Report::Played { room, member }));
    assert_eq!(related(&stage), [legs]);
    assert!(stage.mixing().contains(&Media::CloseRoom { room }));
}

#[test]
fn recordings_keys_and_files_by_command() {
    let (mut stage, _, legs) = talking();
    let call = stage.call(1);
    let record = |on| Command::Record { call, on, form: Recording::default() };
    assert_eq!(give(&mut stage, &OPERATOR, record(true)), Ok(Done::Accepted));
    assert!(stage.mixing().iter().any(|command| matches!(command, Media::Record { .. })));
    assert_eq!(give(&mut stage, &OPERATOR, record(false)), Ok(Done::Accepted));
    assert_eq!(related(&stage), [legs]);
    let keys = |digits: &str| Command::SendDigits {
        leg: LegRef { call, side: LegSide::Callee },
        digits: digits.into(),
    };
    assert_eq!(give(&mut stage, &OPERATOR, keys("1#")), Ok(Done::Accepted));
    let dialled = |output: &Output| matches!(output.media(), Some(Media::Dial { leg, digits }) if *leg == legs[1] && digits.len() == 2);
    assert!(stage.outputs.iter().any(dialled), "{:?}", stage.outputs);
    for wrong in ["", "1x", "!", &"1".repeat(33)] {
        assert_eq!(give(&mut stage, &OPERATOR, keys(wrong)), Err(Refused::Senseless(Field::Digits)));
    }
    let play = |file: &str| Command::Play { call, file: file.into(), to: None };
    assert_eq!(give(&mut stage, &OPERATOR, play("a.wav")), Err(Refused::Senseless(Field::File)));
    assert_eq!(give(&mut stage, &OPERATOR, play("/a.wav")), Ok(Done::Accepted));
}

#[test]
fn users_see_and_command_what_their_rights_say() {
    let (mut stage, ..) = talking();
    let domain = "default";
    let call = stage.call(1);
    let list = Command::Calls(Range::default());
    for (actor, seen) in [(user("1000", domain), 1), (user("1001", domain), 1), (user("1002", domain), 0)] {
        let Ok(Done::Calls(page)) = give(&mut stage, &actor, list.clone()) else { panic!() };
        assert_eq!(page.rows.len(), seen, "{actor:?}");
        let Ok(Done::Registrations(page)) =
            give(&mut stage, &actor, Command::Registrations(Range::default()))
        else {
            panic!()
        };
        assert_eq!(page.rows.len(), 1, "its own: {actor:?}");
    }
    let hang_up = Command::HangUp { call, side: None };
    assert_eq!(give(&mut stage, &user("1002", domain), hang_up.clone()), Err(Refused::UnknownCall));
    for command in [Command::Reload, Command::ShutDown, Command::Trace { on: true }] {
        assert_eq!(give(&mut stage, &user("1000", domain), command), Err(Refused::NotAllowed));
    }
    assert_eq!(give(&mut stage, &user("1001", domain), hang_up), Ok(Done::Accepted));
}

#[test]
fn a_user_commands_its_own_leg_and_not_that_of_its_partner() {
    let (mut stage, ..) = talking();
    let actor = user("1001", "default");
    let (own, other) = (leg(&stage, 1, LegSide::Callee), leg(&stage, 1, LegSide::Caller));
    for command in [
        Command::Transfer { leg: other, number: "1002".into() },
        Command::Park { leg: other, slot: None },
        Command::Connect { leg: own, with: other },
        Command::Record { call: own.call, on: true, form: Recording::default() },
    ] {
        assert_eq!(give(&mut stage, &actor, command.clone()), Err(Refused::NotAllowed), "{command:?}");
    }
    let park = Command::Park { leg: own, slot: None };
    assert_eq!(give(&mut stage, &actor, park), Ok(Done::Slot(701)));
}

#[test]
fn the_number_of_who_calls_from_a_trunk_is_no_user() {
    // The trunk is where the caller of the stage is.
    let trunk = format!(
        "{THIRD_USER}[[peer]]\nid = \"in\"\naddress = \"127.0.0.1:{CALLER}\"\ntransport = \"udp\"\ninbound = true\n"
    );
    let mut stage = Stage::with(&trunk, "1001", 1);
    stage.user = "1002".into();
    stage.talk();
    let (call, stranger) = (stage.call(1), user("1002", "default"));
    let Ok(Done::Calls(page)) = give(&mut stage, &stranger, Command::Calls(Range::default())) else {
        panic!()
    };
    assert_eq!(page.rows, []);
    let hang_up = Command::HangUp { call, side: None };
    assert_eq!(give(&mut stage, &stranger, hang_up), Err(Refused::UnknownCall));
    let park = Command::Park { leg: leg(&stage, 1, LegSide::Caller), slot: None };
    assert_eq!(give(&mut stage, &user("1001", "default"), park), Err(Refused::NotAllowed));
}

#[test]
fn a_user_ends_no_recording_that_has_to_be() {
    for (keys, may_end) in
        [("record = true\nrecord_on_request = true\n", false), ("record_on_request = true\n", true)]
    {
        let mut stage = Stage::with(keys, "1001", 1);
        stage.talk();
        let (actor, call) = (user("1000", "default"), stage.call(1));
        let record = |on| Command::Record { call, on, form: Recording::default() };
        assert_eq!(give(&mut stage, &actor, record(true)), Ok(Done::Accepted), "{keys}");
        let ended = if may_end { Ok(Done::Accepted) } else { Err(Refused::NotAllowed) };
        assert_eq!(give(&mut stage, &actor, record(false)), ended, "{keys}");
        assert_eq!(give(&mut stage, &OPERATOR, record(false)), Ok(Done::Accepted));
    }
}

#[test]
fn what_only_the_world_outside_can_do_leaves_as_an_errand() {
    let mut stage = Stage::new(1);
    let errands = |stage: &Stage| -> Vec<Errand> {
        let errand =
            |output: &Output| if let Output::Errand(errand) = output { Some(errand.clone()) } else { None };
        stage.outputs.iter().filter_map(errand).collect()
    };
    give(&mut stage, &OPERATOR, Command::Trace { on: true }).expect("accepted");
    assert_eq!(errands(&stage), [Errand::Trace { on: true }]);
    give(&mut stage, &OPERATOR, Command::Reload).expect("accepted");
    assert_eq!(errands(&stage), [Errand::Reload]);
    stage.reload("");
    let [told] = &told(&stage)[..] else { panic!() };
    assert!(told.command.is_some() && matches!(told.event, Event::Configured { users: 2 }), "{told:?}");
    let set = |user: &str| Command::SetMailbox {
        user: user.parse().expect("a user"),
        mailbox: softswitch::config::Mailbox { new: 2, ..Default::default() },
    };
    assert_eq!(give(&mut stage, &OPERATOR, set("4711")), Err(Refused::UnknownUser));
    assert_eq!(give(&mut stage, &OPERATOR, set("1001")), Ok(Done::Accepted));
    let [Errand::SetMailbox { user, mailbox }] = &errands(&stage)[..] else { panic!() };
    assert_eq!((&*user.name, mailbox.new), ("1001", 2));
    assert_eq!(code(&stage.caller_asks("OPTIONS", "", "")), 200, "calls go on as ever");
}

#[test]
fn a_setting_of_a_user_is_changed_by_command_as_by_code() {
    let mut stage = Stage::new(1);
    let read = |setting: &str| -> Command {
        serde_json::from_str(&format!("{{\"change_setting\":{{\"user\":\"1001\",\"setting\":{setting}}}}}"))
            .expect("a command")
    };
    let forward = |number: &str| {
        read(&format!("{{\"forward\":{{\"kind\":\"always\",\"forward\":{{\"number\":\"{number}\"}}}}}}"))
    };
    assert_eq!(give(&mut stage, &OPERATOR, read("{\"do_not_disturb\":true}")), Ok(Done::Accepted));
    let is_kept = stage.outputs.iter().any(|output| {
        matches!(output, Output::Store(softswitch::store::StoreOp::PutProfile(kept)) if kept.profile.do_not_disturb)
    });
    assert!(is_kept);
    assert!(told(&stage).iter().any(|told| matches!(told.event, Event::SettingChanged { .. })));
    stage.dial(&sdp("m=audio 4000 RTP/AVP 0\r\n"));
    stage.response_to_caller(486);
    assert_eq!(give(&mut stage, &OPERATOR, forward("1999")), Err(Refused::UnknownNumber));
    assert_eq!(give(&mut stage, &OPERATOR, forward("1001")), Err(Refused::Senseless(Field::Number)));
    assert_eq!(give(&mut stage, &user("1001", "default"), forward("1000")), Ok(Done::Accepted));
    assert_eq!(
        give(&mut stage, &user("1000", "default"), read("\"forward_none\"")),
        Err(Refused::UnknownUser)
    );
}
