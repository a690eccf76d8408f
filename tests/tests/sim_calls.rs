//! Calls in the simulated world over a good network: two phones, the switch, real media shards, virtual time.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::phone::{AutoAnswer, CallId, Command, Ending, Event, Reason, Rejection};
use softswitch::core::Input;
use softswitch::store::EndedBy;
use std::time::Duration;
use tests::sim::scene::{self, await_connected, await_ringing, dial, registered, registered_at};
use tests::sim::{Faults, PhoneId, SWITCH, World};

fn world() -> World {
    scene::world(1, Faults::NONE)
}

/// Two registered phones in a call.
fn talking(world: &mut World) -> [(PhoneId, CallId); 2] {
    let caller = registered(world, "1001", AutoAnswer::Never);
    let callee = registered(world, "1002", AutoAnswer::Always);
    let call = dial(world, caller, "1002");
    assert!(await_connected(world, caller, call), "{}", world.trace.story());
    [(caller, call), (callee, world.phone(callee).last_call().unwrap())]
}

fn ending(world: &World, phone: PhoneId, call: CallId) -> Ending {
    let endings = world.phone(phone).endings(call);
    assert_eq!(endings.len(), 1, "{}", world.trace.story());
    endings[0].clone()
}

fn failed(world: &mut World, caller: PhoneId, target: &str) -> Reason {
    let call = dial(world, caller, target);
    scene::await_event(
        world,
        caller,
        |event| matches!(event, Event::Ended { call: ended, .. } if *ended == call),
    );
    match ending(world, caller, call) {
        Ending::Failed(reason) => reason,
        other @ (Ending::Ours | Ending::Theirs | Ending::Elsewhere) => {
            panic!("{other:?}\n{}", world.trace.story())
        }
    }
}

#[test]
fn two_registered_phones_talk_both_ways_through_the_switch() {
    let mut world = world();
    let [(caller, call), (callee, theirs)] = talking(&mut world);
    world.speak(caller, call, 100);
    world.speak(callee, theirs, 100);
    world.run_for(Duration::from_secs(3));
    for (listener, its_call, speaker) in [(callee, theirs, caller), (caller, call, callee)] {
        let ear = &world.phone(listener).ears[&its_call];
        assert_eq!(ear.understood(speaker), 100, "{}", world.trace.story());
        assert!(ear.heard.iter().all(|heard| heard.from.ip() == SWITCH.ip()), "media is anchored");
        let numbers: Vec<u16> = ear.heard.iter().map(|heard| heard.sequence).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
    }
    world.command(caller, Command::HangUp { call }).unwrap();
    scene::assert_all_over(&mut world);
    let record = &world.database.records[0];
    assert_eq!((record.caller_media.packets, record.callee_media.packets), (100, 100));
}

#[test]
fn a_bye_of_either_end_ends_the_call_for_both() {
    for (by_caller, ended_by) in [(true, EndedBy::Caller), (false, EndedBy::Callee)] {
        let mut world = world();
        let [first, second] = talking(&mut world);
        world.run_for(Duration::from_secs(5));
        let (who, other) = if by_caller { (first, second) } else { (second, first) };
        world.command(who.0, Command::HangUp { call: who.1 }).unwrap();
        scene::assert_all_over(&mut world);
        assert_eq!(ending(&world, who.0, who.1), Ending::Ours);
        assert_eq!(ending(&world, other.0, other.1), Ending::Theirs);
        let [record] = &world.database.records[..] else { panic!("{:?}", world.database.records) };
        assert_eq!((record.status, record.ended_by), (200, ended_by));
        assert_eq!((&*record.caller, &*record.callee), ("1001", "1002"));
        assert!(record.answered_unix_ms.is_some());
    }
}

#[test]
fn a_bye_at_the_moment_of_the_answer_ends_the_call_for_both() {
    for latency_ms in [1, 60, 700] {
        let faults = Faults { latency: Duration::from_millis(latency_ms), ..Faults::NONE };
        let mut world = scene::world(2, faults);
        let caller = registered(&mut world, "1001", AutoAnswer::Never);
        let callee = registered(&mut world, "1002", AutoAnswer::Never);
        let call = dial(&mut world, caller, "1002");
        let theirs = await_ringing(&mut world, callee).unwrap();
        world.command(callee, Command::Answer { call: theirs }).unwrap();
        world.command(callee, Command::HangUp { call: theirs }).unwrap();
        scene::assert_all_over(&mut world);
        assert_eq!(ending(&world, callee, theirs), Ending::Ours);
        assert_eq!(ending(&world, caller, call), Ending::Theirs);
    }
}

#[test]
fn everybody_in_a_conference_gets_one_continuous_stream_until_it_is_over() {
    let mut world = world();
    let calls = ["1001", "1002", "1003"].map(|user| {
        let phone = registered(&mut world, user, AutoAnswer::Never);
        let call = dial(&mut world, phone, "3001");
        assert!(await_connected(&mut world, phone, call), "{}", world.trace.story());
        (phone, call)
    });
    let speaks = |world: &mut World, (phone, call): (PhoneId, CallId)| world.speak(phone, call, 100);
    calls.into_iter().take(2).for_each(|speaker| speaks(&mut world, speaker));
    world.run_for(Duration::from_secs(3));
    for (phone, call) in calls {
        let ear = &world.phone(phone).ears[&call];
        assert!(ear.heard.len() >= 150, "{}", ear.heard.len());
        let numbers: Vec<u16> = ear.heard.iter().map(|heard| heard.sequence).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
        world.command(phone, Command::HangUp { call }).unwrap();
    }
    scene::assert_all_over(&mut world);
    assert_eq!(world.database.records.len(), 3);
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Never);
    let call = dial(&mut world, caller, "1002");
    let theirs = await_ringing(&mut world, callee).unwrap();
    scene::await_event(&mut world, caller, |event| matches!(event, Event::Ringing { .. }));
    world.command(caller, Command::HangUp { call }).unwrap();
    scene::assert_all_over(&mut world);
    assert_eq!(ending(&world, caller, call), Ending::Ours);
    assert_eq!(ending(&world, callee, theirs), Ending::Theirs);
    let [record] = &world.database.records[..] else { panic!("{:?}", world.database.records) };
    assert_eq!((record.status, record.ended_by), (487, EndedBy::Caller));
    assert_eq!(record.answered_unix_ms, None);
}

#[test]
fn a_cancel_that_crosses_the_answer_leaves_nobody_connected() {
    for after_ms in 0..8 {
        let mut world = world();
        let caller = registered(&mut world, "1001", AutoAnswer::Never);
        let callee = registered(&mut world, "1002", AutoAnswer::After(Duration::from_millis(5)));
        let call = dial(&mut world, caller, "1002");
        await_ringing(&mut world, callee).unwrap();
        world.run_for(Duration::from_millis(after_ms));
        world.command(caller, Command::HangUp { call }).unwrap();
        scene::assert_all_over(&mut world);
        assert_eq!(ending(&world, caller, call), Ending::Ours);
    }
}

#[test]
fn a_callee_on_another_call_is_busy() {
    let mut world = world();
    let [first, second] = talking(&mut world);
    let third = registered(&mut world, "1003", AutoAnswer::Never);
    assert_eq!(failed(&mut world, third, "1002"), Reason::Busy);
    world.command(first.0, Command::HangUp { call: first.1 }).unwrap();
    scene::assert_all_over(&mut world);
    assert_eq!(ending(&world, second.0, second.1), Ending::Theirs);
    let statuses: Vec<u16> = world.database.records.iter().map(|record| record.status).collect();
    assert_eq!(statuses, [486, 200]);
}

#[test]
fn a_callee_who_refuses_is_busy_or_declines() {
    for (rejection, reason) in [(Rejection::Busy, Reason::Busy), (Rejection::Decline, Reason::Declined)] {
        let mut world = world();
        let caller = registered(&mut world, "1001", AutoAnswer::Never);
        let callee = registered(&mut world, "1002", AutoAnswer::Never);
        let call = dial(&mut world, caller, "1002");
        let theirs = await_ringing(&mut world, callee).unwrap();
        world.command(callee, Command::Reject { call: theirs, rejection }).unwrap();
        scene::assert_all_over(&mut world);
        assert_eq!(ending(&world, callee, theirs), Ending::Ours);
        assert_eq!(ending(&world, caller, call), Ending::Failed(reason));
    }
}

#[test]
fn nobody_answers_and_the_caller_is_told_after_the_ring_time() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1004", AutoAnswer::Never);
    let begin = world.now;
    let reason = failed(&mut world, caller, "1004");
    assert_eq!(reason, Reason::Unavailable);
    let rang = world.now.since(begin);
    assert!((14_900..16_000).contains(&rang.as_millis()), "{rang:?}");
    let theirs = world.phone(callee).last_call().unwrap();
    scene::assert_all_over(&mut world);
    assert_eq!(ending(&world, callee, theirs), Ending::Theirs);
    let [record] = &world.database.records[..] else { panic!("{:?}", world.database.records) };
    assert_eq!((record.status, record.ended_by), (480, EndedBy::Switch));
}

#[test]
fn a_user_without_a_phone_is_unavailable() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    assert_eq!(failed(&mut world, caller, "1002"), Reason::Unavailable);
    scene::assert_all_over(&mut world);
}

#[test]
fn a_number_that_nobody_has_is_unknown() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    assert_eq!(failed(&mut world, caller, "1999"), Reason::UnknownNumber);
    scene::assert_all_over(&mut world);
}

#[test]
fn the_same_number_in_two_domains_is_two_users() {
    let mut world = world();
    let caller = registered_at(&mut world, "1001", "a.example", AutoAnswer::Never);
    let caller_b = registered_at(&mut world, "1001", "b.example", AutoAnswer::Never);
    let callee = registered_at(&mut world, "1002", "a.example", AutoAnswer::Always);
    let callee_b = registered_at(&mut world, "1002", "b.example", AutoAnswer::Always);
    for (caller, callee, other) in [(caller, callee, callee_b), (caller_b, callee_b, callee)] {
        let others = world.phone(other).events.len();
        let call = dial(&mut world, caller, "1002");
        assert!(await_connected(&mut world, caller, call), "{}", world.trace.story());
        assert_eq!(world.phone(other).events.len(), others, "the other domain's phone noticed");
        assert!(world.phone(callee).last_call().is_some());
        world.command(caller, Command::HangUp { call }).unwrap();
        scene::assert_all_over(&mut world);
    }
    let domains: Vec<&str> = world.database.records.iter().map(|record| &*record.domain).collect();
    assert_eq!(domains, ["a.example", "b.example"]);
}

#[test]
fn a_call_into_another_domain_is_refused() {
    let mut world = world();
    let caller = registered_at(&mut world, "1001", "a.example", AutoAnswer::Never);
    let callee = registered_at(&mut world, "1002", "b.example", AutoAnswer::Always);
    assert_eq!(failed(&mut world, caller, "1002@b.example"), Reason::UnknownNumber);
    assert_eq!(world.phone(callee).last_call(), None);
    scene::assert_all_over(&mut world);
}

#[test]
fn shutdown_ends_calls_with_bye_and_writes_their_records() {
    let mut world = world();
    let [first, second] = talking(&mut world);
    let ringing = registered(&mut world, "1003", AutoAnswer::Never);
    let waiting = registered(&mut world, "1004", AutoAnswer::Never);
    let call = dial(&mut world, waiting, "1003");
    await_ringing(&mut world, ringing).unwrap();
    world.feed(Input::Shutdown);
    assert!(world.run_until(Duration::from_secs(5), |world| world.switch.is_idle()));
    scene::assert_all_over(&mut world);
    assert_eq!(ending(&world, first.0, first.1), Ending::Theirs);
    assert_eq!(ending(&world, second.0, second.1), Ending::Theirs);
    assert_eq!(ending(&world, waiting, call), Ending::Failed(Reason::ServerBusy));
    assert_eq!(world.database.records.len(), 2);
    assert!(world.database.records.iter().all(|record| record.ended_by == EndedBy::Switch));
    assert_eq!(failed(&mut world, first.0, "1002"), Reason::ServerBusy);
}

#[test]
fn a_call_that_both_sides_fell_silent_in_is_ended() {
    let mut world = world();
    let [first, second] = talking(&mut world);
    world.speak(first.0, first.1, 50);
    world.speak(second.0, second.1, 50);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.switch.calls(), 1);
    world.run_for(Duration::from_secs(40));
    scene::assert_all_over(&mut world);
    assert_eq!(ending(&world, first.0, first.1), Ending::Theirs);
    assert_eq!(ending(&world, second.0, second.1), Ending::Theirs);
}
