//! Calls that pass through the switch as through a proxy, in the simulated world: real phones, whose media go their own way.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::phone::{AutoAnswer, CallId, Command, Ending, Reason, Rejection};
use softphone::scenario::{Report, Scenario, read};
use softswitch::core::Input;
use softswitch::store::EndedBy;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tests::root;
use tests::sim::scene::{self, await_connected, await_event, await_ringing, dial, registered};
use tests::sim::{Faults, PhoneId, SWITCH, World, stage};

/// The domain of the other scenes, its calls passing through.
fn world_with(seed: u64, faults: Faults) -> World {
    let passing = "name = \"a.example\"\ndefault = true\nmode = \"proxy\"\n";
    World::new(seed, &scene::CONFIG.replace("name = \"a.example\"\ndefault = true\n", passing), faults)
}

fn world() -> World {
    world_with(1, Faults::NONE)
}

fn talking(world: &mut World) -> [(PhoneId, CallId); 2] {
    let caller = registered(world, "1001", AutoAnswer::Never);
    let callee = registered(world, "1002", AutoAnswer::Always);
    let call = dial(world, caller, "1002");
    assert!(await_connected(world, caller, call), "{}", world.trace.story());
    [(caller, call), (callee, world.phone(callee).last_call().unwrap())]
}

fn ended(world: &mut World, phone: PhoneId, call: CallId) -> Ending {
    use softphone::phone::Event;
    await_event(world, phone, |event| matches!(event, Event::Ended { call: ended, .. } if *ended == call));
    let endings = world.phone(phone).endings(call);
    assert_eq!(endings.len(), 1, "{}", world.trace.story());
    endings[0].clone()
}

#[test]
fn phones_talk_to_each_other_and_the_switch_opens_no_port() {
    let mut world = world();
    let [(caller, call), (callee, theirs)] = talking(&mut world);
    world.speak(caller, call, 100);
    world.speak(callee, theirs, 100);
    world.run_for(Duration::from_secs(3));
    for (listener, its_call, speaker) in [(callee, theirs, caller), (caller, call, callee)] {
        let ear = &world.phone(listener).ears[&its_call];
        assert_eq!(ear.understood(speaker), 100, "{}", world.trace.story());
        let address = world.phone(speaker).address.ip();
        assert!(ear.heard.iter().all(|heard| heard.from.ip() == address && address != SWITCH.ip()));
    }
    assert_eq!((world.media_legs(), world.switch.holdings().dialogs), (0, 0));
    world.command(caller, Command::HangUp { call }).unwrap();
    scene::assert_all_over(&mut world);
}

#[test]
fn the_record_of_a_call_tells_who_ended_it() {
    for (by_caller, ended_by) in [(true, EndedBy::Caller), (false, EndedBy::Callee)] {
        let mut world = world();
        let [first, second] = talking(&mut world);
        world.run_for(Duration::from_secs(5));
        let who = if by_caller { first } else { second };
        world.command(who.0, Command::HangUp { call: who.1 }).unwrap();
        scene::assert_all_over(&mut world);
        let [record] = &world.database.records[..] else { panic!("{:?}", world.database.records) };
        assert_eq!((record.status, record.ended_by), (200, ended_by));
        assert_eq!((&*record.caller, &*record.callee), ("1001", "1002"));
        let talked = record.ended_unix_ms - record.answered_unix_ms.unwrap();
        assert!((5_000..5_200).contains(&talked), "{talked}");
    }
}

#[test]
fn who_does_not_answer_is_told_of_and_recorded() {
    let failed = |world: &mut World, caller: PhoneId, call: CallId| match ended(world, caller, call) {
        Ending::Failed(reason) => reason,
        other @ (Ending::Ours | Ending::Theirs | Ending::Elsewhere) => panic!("{other:?}"),
    };
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let call = dial(&mut world, caller, "1003");
    assert_eq!(failed(&mut world, caller, call), Reason::Unavailable);
    let callee = registered(&mut world, "1004", AutoAnswer::Never);
    let call = dial(&mut world, caller, "1004");
    let theirs = await_ringing(&mut world, callee).unwrap();
    world.command(callee, Command::Reject { call: theirs, rejection: Rejection::Busy }).unwrap();
    assert_eq!(failed(&mut world, caller, call), Reason::Busy);
    // 1004 rings for 15 seconds.
    let call = dial(&mut world, caller, "1004");
    let begun = world.now;
    failed(&mut world, caller, call);
    assert!((15..17).contains(&world.now.since(begun).as_secs()));
    let call = dial(&mut world, caller, "1004");
    await_ringing(&mut world, callee);
    world.command(caller, Command::HangUp { call }).unwrap();
    scene::assert_all_over(&mut world);
    let records: Vec<_> =
        world.database.records.iter().map(|record| (record.status, record.ended_by)).collect();
    let (nobody, busy) = ((480, EndedBy::Switch), (486, EndedBy::Callee));
    assert_eq!(records, [nobody, busy, (408, EndedBy::Switch), (487, EndedBy::Caller)]);
}

#[test]
fn all_phones_of_a_user_ring_and_those_that_lose_are_cancelled() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let phones = [(); 3].map(|()| registered(&mut world, "1002", AutoAnswer::Never));
    let call = dial(&mut world, caller, "1002");
    let calls = phones.map(|phone| await_ringing(&mut world, phone).unwrap());
    world.command(phones[1], Command::Answer { call: calls[1] }).unwrap();
    assert!(await_connected(&mut world, caller, call));
    world.run_for(Duration::from_secs(2));
    for loser in [0, 2] {
        assert_eq!(world.phone(phones[loser]).endings(calls[loser]).len(), 1);
    }
    world.command(phones[1], Command::HangUp { call: calls[1] }).unwrap();
    scene::assert_all_over(&mut world);
    assert_eq!(world.database.records.len(), 1);
}

#[test]
fn a_dialog_whose_phones_vanish_ends_with_its_session_timer() {
    let mut world = World::new(
        3,
        &format!(
            "{}[session_timer]\ninterval_s = 90\n",
            scene::CONFIG.replace(
                "name = \"a.example\"\ndefault = true\n",
                "name = \"a.example\"\ndefault = true\nmode = \"proxy\"\n"
            )
        ),
        Faults::NONE,
    );
    talking(&mut world);
    world.network.faults = Faults::lossy(100);
    // The phones want 1,800 s of each other.
    world.run_for(Duration::from_secs(1_700));
    assert_eq!(world.switch.calls(), 1);
    world.run_for(Duration::from_secs(200));
    assert_eq!(world.switch.calls(), 0);
    let [record] = &world.database.records[..] else { panic!("{:?}", world.database.records) };
    assert_eq!((record.status, record.ended_by), (408, EndedBy::Switch));
}

#[test]
fn a_switch_that_stops_gives_up_what_rings_and_writes_a_record_of_each_call() {
    let mut world = world();
    let [(caller, call), _] = talking(&mut world);
    registered(&mut world, "1004", AutoAnswer::Never);
    let other = registered(&mut world, "1003", AutoAnswer::Never);
    let ringing = dial(&mut world, other, "1004");
    world.run_for(Duration::from_secs(2));
    world.feed(Input::Shutdown);
    assert!(matches!(ended(&mut world, other, ringing), Ending::Failed(_)));
    assert!(world.run_until(Duration::from_secs(60), |world| world.switch.is_idle()));
    assert_eq!(world.database.records.len(), 2);
    // The parties go on.
    assert!(world.phone(caller).endings(call).is_empty());
}

#[test]
fn a_restored_switch_goes_on_with_calls_that_pass_through_it() {
    for slots in [1, 64] {
        let mut world = world();
        let [first, _] = talking(&mut world);
        let other = registered(&mut world, "1003", AutoAnswer::Never);
        let callee = registered(&mut world, "1004", AutoAnswer::Never);
        let ringing = dial(&mut world, other, "1004");
        let theirs = await_ringing(&mut world, callee).unwrap();
        world.cast_shadow(slots);
        world.run_for(Duration::from_secs(1));
        world.command(callee, Command::Answer { call: theirs }).unwrap();
        assert!(await_connected(&mut world, other, ringing));
        world.command(first.0, Command::HangUp { call: first.1 }).unwrap();
        world.command(other, Command::HangUp { call: ringing }).unwrap();
        scene::assert_all_over(&mut world);
        assert_eq!(world.database.records.len(), 2);
        assert!(world.shadow.as_ref().is_some_and(|shadow| shadow.is_running()));
    }
}

#[test]
fn over_bad_networks_everybody_agrees_and_nothing_is_left() {
    for seed in 0..24 {
        let mut world = world_with(seed, Faults::lossy([5, 20][(seed % 2) as usize]));
        let caller = registered(&mut world, "1001", AutoAnswer::Never);
        let callee = registered(&mut world, "1002", AutoAnswer::After(Duration::from_millis(seed * 150)));
        let call = dial(&mut world, caller, "1002");
        world.run_for(Duration::from_millis(200 + seed * 130));
        let _ended_already = world.command(caller, Command::HangUp { call });
        world.run_for(Duration::from_secs(40));
        if let Some(theirs) = world.phone(callee).last_call() {
            let _ended_already = world.command(callee, Command::HangUp { call: theirs });
        }
        scene::assert_all_over(&mut world);
        let held = world.switch.holdings();
        assert_eq!((held.proxied, held.forwarded), (0, 0), "{held:?}\n{}", world.trace.story());
    }
}

/// The same scenario with calls that pass through.
fn proxied(name: &str) -> Scenario {
    let path = format!("scenarios/{name}.scenario");
    let text = fs::read_to_string(root().join(&path)).unwrap();
    let mut scenario = read(&path, &text).unwrap_or_else(|errors| panic!("{errors}"));
    let (switch, line) =
        scenario.switch.take().map_or((String::new(), 1), |(text, line)| (text.into(), line));
    let domain = format!("\n[[domain]]\nname = \"{}\"\ndefault = true\nmode = \"proxy\"\n", stage::DOMAIN);
    scenario.switch = Some(((switch + &domain).into(), line));
    scenario
}

/// What does not need the switch to be a party goes the same way when it is none.
#[test]
fn flows_between_two_phones_are_the_same_when_the_switch_is_their_proxy() {
    // Not `codecs`, which needs somebody to translate, nor `session_timer`, `hold` and `call_waiting`, which show the switch's own timer and music.
    const FLOWS: [&str; 11] = [
        "blf",
        "busy",
        "call_ended_by_the_callee",
        "call_ended_by_the_caller",
        "cancel",
        "digits",
        "glare",
        "lossy_network",
        "message",
        "presence",
        "two_devices",
    ];
    let mut failed = Vec::new();
    for name in FLOWS {
        let scenario = proxied(name);
        let losses = [0].into_iter().chain(scenario.losses.iter().copied());
        for loss in losses {
            let faults = if loss == 0 { Faults::NONE } else { Faults::lossy(loss) };
            let report: Report =
                stage::play(&scenario, 1, faults).unwrap_or_else(|errors| panic!("{errors}"));
            if report.failure.is_some() {
                failed.push(format!("{name}, {loss} % loss: {report}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// REFER passes between the phones like anything else. An attended transfer names the contact of the third phone, which is of
/// another domain for the softphone: it goes only where `transfers = "anywhere"`.
#[test]
fn phones_transfer_calls_among_themselves() {
    let report =
        stage::play(&proxied("transfer_blind"), 1, Faults::NONE).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(report.failure.is_none(), "{report}");
}

/// The phone is somewhere else from now on, and registers there, as behind a translator that has forgotten it.
fn moves(world: &mut World, phone: PhoneId) {
    world.run_for(Duration::from_secs(1));
    let to = SocketAddr::from(([10, 0, 9, 9], 5060));
    world.phones[phone.0].address = to;
    world.command(phone, Command::Register).unwrap();
    world.run_for(Duration::from_secs(2));
}

#[test]
fn a_party_that_has_moved_and_is_registered_there_ends_its_call() {
    for by_caller in [true, false] {
        let mut world = world();
        let sides = talking(&mut world);
        let (phone, call) = sides[usize::from(!by_caller)];
        moves(&mut world, phone);
        world.command(phone, Command::HangUp { call }).unwrap();
        world.run_for(Duration::from_secs(5));
        let [record] = &world.database.records[..] else { panic!("{}", world.trace.story()) };
        let ended_by = if by_caller { EndedBy::Caller } else { EndedBy::Callee };
        assert_eq!((record.status, record.ended_by), (200, ended_by));
    }
}

#[test]
fn who_has_moved_is_found_where_it_was_heard_last() {
    let mut world = world();
    let [(caller, call), (callee, theirs)] = talking(&mut world);
    moves(&mut world, callee);
    world.command(callee, Command::Hold { call: theirs }).unwrap();
    world.run_for(Duration::from_secs(2));
    world.command(caller, Command::HangUp { call }).unwrap();
    assert_eq!(ended(&mut world, callee, theirs), Ending::Theirs);
    scene::assert_all_over(&mut world);
    assert_eq!(world.database.records.len(), 1);
}

/// A call is up, the switch is killed and comes back; what follows in the dialog passes, for so many hours after the beginning.
fn after_a_restart(hours: u64) -> (World, [(PhoneId, CallId); 2]) {
    let mut world = world();
    let sides = talking(&mut world);
    world.run_for(Duration::from_secs(hours * 3_600 + 1));
    world.restart_switch();
    world.run_for(Duration::from_secs(1));
    (world, sides)
}

#[test]
fn calls_from_before_a_restart_go_on_and_end_for_both() {
    let (mut world, [(caller, call), (callee, theirs)]) = after_a_restart(0);
    world.command(callee, Command::Hold { call: theirs }).unwrap();
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.switch.calls(), 0, "nothing is known of it");
    world.command(caller, Command::HangUp { call }).unwrap();
    assert_eq!(ended(&mut world, callee, theirs), Ending::Theirs);
    assert!(world.run_to_rest(scene::LONG), "{}", world.trace.story());
    let records: Vec<_> = world.database.records.iter().map(|record| record.cause).collect();
    assert_eq!(records.len(), 1, "the one that was written at the start: {records:?}");
}

#[test]
fn routes_from_before_a_restart_lead_nowhere_after_twelve_hours() {
    let (mut world, [(caller, call), (callee, theirs)]) = after_a_restart(13);
    world.command(caller, Command::HangUp { call }).unwrap();
    world.run_for(Duration::from_secs(5));
    assert!(world.phone(callee).endings(theirs).is_empty(), "{}", world.trace.story());
}
