//! Bounds of subscriptions: of one user, of all, and nothing that is left.

use crate::world::{Manners, World, port_of};
use softswitch::core::{Event, OverloadCause};

#[test]
fn a_user_with_too_many_is_refused_and_others_are_not() {
    let mut world = World::new("[limits]\nsubscriptions_per_user = 2\n", &["1000", "1001"]);
    world.watch("1000", "1001", "dialog");
    let (dialog, _) = world.watch("1000", "1002", "dialog");
    let (answer, _) = world.subscribe("1000", "1003", "dialog", 600);
    assert_eq!(answer.status().unwrap().code(), 403, "never 503 for one user");
    let refused =
        |event: &Event| matches!(event, Event::SubscriptionRefused { user, .. } if &**user == "1000");
    assert!(world.events.iter().any(refused));
    world.watch("1001", "1003", "dialog");
    world.refresh(&dialog, "dialog", 0);
    world.notified("1000");
    world.watch("1000", "1003", "dialog");
}

#[test]
fn too_many_of_all_are_refused_for_a_while_and_refreshes_pass() {
    let mut world = World::new("[limits]\nsubscriptions = 2\n", &["1000", "1001"]);
    let (dialog, _) = world.watch("1000", "1001", "dialog");
    world.watch("1001", "1000", "dialog");
    let (answer, _) = world.subscribe("1001", "1003", "dialog", 600);
    assert_eq!(answer.status().unwrap().code(), 503);
    assert!(answer.retry_after().is_some());
    let told = |event: &Event| matches!(event, Event::Overloaded { cause: OverloadCause::Subscriptions });
    assert!(world.events.iter().any(told));
    assert_eq!(world.refresh(&dialog, "dialog", 600), 200);
}

#[test]
fn nothing_is_left_when_all_is_over() {
    let mut world = World::new("", &["1000", "1001", "1002"]);
    for package in ["dialog", "presence"] {
        world.watch("1002", "1001", package);
        world.watch("1000", "1001", package);
    }
    for package in ["message-summary", "reg"] {
        world.watch("1001", "1001", package);
    }
    world.manners("1000", Manners::Silent);
    world.publish("1001", "", &crate::presence::pidf("open", "1"));
    let caller = world.call(port_of("1002"), "1001", "");
    let (caller, _) = world.answer(port_of("1001"), caller);
    world.send(&caller, "BYE", "");
    world.pass(8_000_000);
    let left = world.switch.holdings();
    assert_eq!((left.subscriptions, left.subjects, left.dialogs, left.calls), (0, 0, 0, 0));
    assert_eq!((left.transactions, left.registered), (0, 0));
    assert_eq!(world.switch.poll_timeout(), None);
}
