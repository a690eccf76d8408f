//! The scene most tests play in: two domains, a few users, phones that register; and what must hold when it is over.

use super::{Faults, PhoneId, World};
use softphone::phone::{AccountId, AutoAnswer, CallId, Command, Event, Settings};
use std::time::Duration;

/// Two domains with users 1001 to 1004 each, password `secret`; 1004@a rings for 15 s; conferences in domain a.
pub const CONFIG: &str = r#"
[[listener]]
address = "10.0.0.1:5060"

[media]
ports = "40000-59999"

[[domain]]
name = "a.example"
default = true

[[domain]]
name = "b.example"

[[users]]
domain = "a.example"
from = 1001
to = 1003
password = "secret"

[[user]]
domain = "a.example"
id = "1004"
password = "secret"
ring_s = 15

[[users]]
domain = "b.example"
from = 1001
to = 1004
password = "secret"

[[route]]
domain = "a.example"
pattern = "30XX"
service = "conference"
"#;

/// Longer than any transaction, dialog or ringing takes to end by itself.
pub const LONG: Duration = Duration::from_secs(600);

/// A world with [`CONFIG`].
pub fn world(seed: u64, faults: Faults) -> World {
    World::new(seed, CONFIG, faults)
}

/// Settings with one line that answer as told.
pub fn answering(auto_answer: AutoAnswer) -> Settings {
    Settings { auto_answer, lines: 1, ..Settings::default() }
}

/// Adds a phone of domain a and has it registered.
///
/// # Panics
/// When that does not work.
pub fn registered(world: &mut World, user: &str, auto_answer: AutoAnswer) -> PhoneId {
    registered_at(world, user, "a.example", auto_answer)
}

/// Adds a phone and has it registered, however often it has to try.
///
/// # Panics
/// When that does not work.
pub fn registered_at(world: &mut World, user: &str, domain: &str, auto_answer: AutoAnswer) -> PhoneId {
    let phone = world.add_phone(user, domain, "secret", answering(auto_answer));
    world.command(phone, Command::Register).expect("a phone can always register");
    let done = world.run_until(LONG, |world| world.phone(phone).phone.is_registered());
    assert!(done, "{user}@{domain} did not register\n{}", world.trace.story());
    phone
}

/// A phone dials; the call it begins.
///
/// # Panics
/// When it refuses to.
pub fn dial(world: &mut World, phone: PhoneId, target: &str) -> CallId {
    world
        .command(phone, Command::Call { account: AccountId::FIRST, target: target.into() })
        .expect("a free line");
    world.phone(phone).last_call().expect("the call just begun")
}

/// Time passes until a phone tells an event; whether it came to that.
pub fn await_event(world: &mut World, phone: PhoneId, event: impl Fn(&Event) -> bool) -> bool {
    world.run_until(LONG, |world| world.phone(phone).events.iter().any(|(_, told)| event(told)))
}

/// Time passes until a call is connected at a phone; whether it came to that.
pub fn await_connected(world: &mut World, phone: PhoneId, call: CallId) -> bool {
    await_event(world, phone, |event| *event == Event::Connected { call })
}

/// Time passes until a phone rings; the call that rings there.
pub fn await_ringing(world: &mut World, phone: PhoneId) -> Option<CallId> {
    await_event(world, phone, |event| matches!(event, Event::Incoming { .. }));
    world.phone(phone).last_call()
}

/// What must hold when everybody has hung up and time has passed: nothing is left anywhere, every call has ended once
/// for each phone that knew of it, every ear is closed, and every call that became one has one record.
///
/// # Panics
/// When something of it does not hold.
pub fn assert_all_over(world: &mut World) {
    let rested = world.run_to_rest(LONG);
    let left = (world.switch.holdings(), world.media_legs());
    let phones: Vec<_> = world
        .phones
        .iter()
        .map(|handset| (handset.phone.calls(), handset.phone.transactions(), handset.phone.dialogs()))
        .collect();
    assert!(rested, "something is left: switch, legs {left:?}; phones {phones:?}\n{}", world.trace.story());
    assert_eq!(world.media_legs(), 0, "media legs are left\n{}", world.trace.story());
    for handset in &world.phones {
        for (call, ear) in &handset.ears {
            assert!(ear.closed, "an ear is open\n{}", world.trace.story());
            assert_eq!(handset.endings(*call).len(), 1, "call {call}\n{}", world.trace.story());
        }
    }
    let started = world
        .events
        .iter()
        .filter(|event| matches!(event, softswitch::core::Event::CallStarted { .. }))
        .count();
    let ended = world
        .events
        .iter()
        .filter(|event| matches!(event, softswitch::core::Event::CallEnded { .. }))
        .count();
    assert_eq!(ended, world.database.of_begun(), "one record for each call\n{}", world.trace.story());
    assert!(started <= ended, "a call that began has not ended\n{}", world.trace.story());
}
