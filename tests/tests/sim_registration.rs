//! Registration in the simulated world: digest, refresh, removal, restart and reload of the switch.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::phone::{AutoAnswer, Command, Ending, Event, Reason, Settings, Unreached};
use std::time::Duration;
use tests::sim::scene::{self, CONFIG, await_connected, await_event, dial, registered};
use tests::sim::{Faults, PhoneId, World};

fn world() -> World {
    scene::world(3, Faults::NONE)
}

fn failure(world: &World, phone: PhoneId) -> Option<Reason> {
    world.phone(phone).events.iter().rev().find_map(|(_, event)| match event {
        Event::RegistrationFailed { reason, .. } => Some(reason.clone()),
        Event::Registered { .. }
        | Event::Unregistered { .. }
        | Event::TurnedAway { .. }
        | Event::Held { .. }
        | Event::HoldFailed { .. }
        | Event::HeldByPeer { .. }
        | Event::Transferred { .. }
        | Event::Message { .. }
        | Event::Watch { .. }
        | Event::MessageTaken { .. }
        | Event::MessageFailed { .. }
        | Event::TransferFailed { .. }
        | Event::Muted { .. }
        | Event::Digit { .. }
        | Event::Calling { .. }
        | Event::Ringing { .. }
        | Event::Incoming { .. }
        | Event::Connected { .. }
        | Event::Ended { .. } => None,
    })
}

fn try_to_register(world: &mut World, user: &str, domain: &str, password: &str) -> Option<Reason> {
    let phone = world.add_phone(user, domain, password, Settings::default());
    world.command(phone, Command::Register).unwrap();
    await_event(world, phone, |event| {
        matches!(event, Event::Registered { .. } | Event::RegistrationFailed { .. })
    });
    failure(world, phone)
}

#[test]
fn a_wrong_password_is_said_to_be_wrong() {
    let mut world = world();
    let reason = try_to_register(&mut world, "1001", "a.example", "sesame").unwrap();
    assert_eq!(reason, Reason::WrongPassword);
    assert_eq!(reason.to_string(), "The server did not accept the user name and password.");
    assert!(world.database.bindings.is_empty());
    scene::assert_all_over(&mut world);
}

#[test]
fn an_unknown_user_learns_no_more_than_one_with_a_wrong_password() {
    let mut world = world();
    assert_eq!(try_to_register(&mut world, "4711", "a.example", "secret"), Some(Reason::WrongPassword));
}

#[test]
fn a_registration_is_refreshed_before_it_expires_and_removed_on_request() {
    let mut world = world();
    let phone = registered(&mut world, "1001", AutoAnswer::Never);
    assert_eq!(world.database.bindings.len(), 1);
    let expiry = |world: &World| world.database.bindings.values().next().unwrap().expires_at_unix_ms;
    let first = expiry(&world);
    world.run_for(Duration::from_secs(3_600));
    assert!(expiry(&world) >= first + 3_000_000);
    assert_eq!(failure(&world, phone), None);
    world.command(phone, Command::Unregister).unwrap();
    assert!(await_event(&mut world, phone, |event| matches!(event, Event::Unregistered { .. })));
    assert!(world.database.bindings.is_empty());
    scene::assert_all_over(&mut world);
}

#[test]
fn a_phone_that_fell_silent_is_forgotten_when_its_registration_expires() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    registered(&mut world, "1002", AutoAnswer::Always);
    world.network.faults.loss_percent = 100;
    world.run_for(Duration::from_secs(700));
    assert!(world.database.bindings.is_empty());
    world.network.faults.loss_percent = 0;
    assert!(world.run_until(scene::LONG, |world| world.phone(caller).phone.is_registered()));
}

#[test]
fn a_switch_that_does_not_answer_is_tried_again_until_it_does() {
    let mut world = world();
    world.network.faults.loss_percent = 100;
    assert_eq!(
        try_to_register(&mut world, "1001", "a.example", "secret"),
        Some(Reason::Unreached(Unreached::NoAnswer))
    );
    world.network.faults.loss_percent = 0;
    assert!(world.run_until(Duration::from_secs(120), |world| world.phone(PhoneId(0)).phone.is_registered()));
}

#[test]
fn a_restart_of_the_switch_keeps_registrations() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Always);
    world.run_for(Duration::from_secs(30));
    world.restart_switch();
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call), "{}", world.trace.story());
    world.command(caller, Command::HangUp { call }).unwrap();
    scene::assert_all_over(&mut world);
    // They expire as they would have, and are refreshed as ever.
    world.run_for(Duration::from_secs(3_600));
    assert_eq!(world.database.bindings.len(), 2);
    assert_eq!((failure(&world, caller), failure(&world, callee)), (None, None));
}

#[test]
fn a_restart_in_a_call_leaves_phones_that_can_hang_up_and_call_again() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    let callee = registered(&mut world, "1002", AutoAnswer::Always);
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call));
    let theirs = world.phone(callee).last_call().unwrap();
    world.restart_switch();
    world.command(caller, Command::HangUp { call }).unwrap();
    world.command(callee, Command::HangUp { call: theirs }).unwrap();
    assert!(world.run_to_rest(scene::LONG), "{}", world.trace.story());
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call), "{}", world.trace.story());
}

#[test]
fn a_user_that_a_reload_removes_is_gone_and_can_neither_call_nor_be_called() {
    let mut world = world();
    let removed = registered(&mut world, "1003", AutoAnswer::Always);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    assert_eq!(world.database.bindings.len(), 2);
    world.reload(&CONFIG.replacen("to = 1003", "to = 1002", 1));
    assert_eq!(world.database.bindings.len(), 1);
    let call = dial(&mut world, caller, "1003");
    await_event(&mut world, caller, |event| matches!(event, Event::Ended { .. }));
    assert_eq!(world.phone(caller).endings(call), [&Ending::Failed(Reason::UnknownNumber)]);
    let call = dial(&mut world, removed, "1001");
    await_event(&mut world, removed, |event| matches!(event, Event::Ended { .. }));
    assert_eq!(world.phone(removed).endings(call), [&Ending::Failed(Reason::WrongPassword)]);
    scene::assert_all_over(&mut world);
}

#[test]
fn a_reload_does_not_disturb_a_call() {
    let mut world = world();
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    registered(&mut world, "1002", AutoAnswer::Always);
    let call = dial(&mut world, caller, "1002");
    assert!(await_connected(&mut world, caller, call));
    world.reload(CONFIG);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.switch.calls(), 1);
    world.command(caller, Command::HangUp { call }).unwrap();
    scene::assert_all_over(&mut world);
}
