//! The bindings of a user, for itself (RFC 3680).

use crate::world::{World, body};
use sip_stack::event::body::reg_info::{ContactEvent, RegInfo, Registration, RegistrationState};
use sip_stack::message::Message;

fn registration(notify: &Message) -> Registration {
    let info = RegInfo::parse(notify.body()).unwrap_or_else(|error| panic!("{error}: {}", body(notify)));
    info.registrations.into_iter().next().unwrap()
}

fn events(registration: &Registration) -> Vec<(&str, ContactEvent)> {
    registration.contacts.iter().map(|contact| (&*contact.uri, contact.event)).collect()
}

#[test]
fn a_phone_that_comes_refreshes_and_goes_is_told() {
    const FIRST: &str = "sip:1001@127.0.0.1:7001";
    const SECOND: &str = "sip:1001@127.0.0.1:7101";
    let mut world = World::new("", &[]);
    let (_, first) = world.watch("1001", "1001", "reg");
    assert_eq!(
        (registration(&first).state, events(&registration(&first)).len()),
        (RegistrationState::Init, 0)
    );
    world.pass(6_000);
    world.register("1001", 7_001, 600);
    let told = registration(&world.notified("1001"));
    assert_eq!((told.state, &*told.aor), (RegistrationState::Active, "sip:1001@127.0.0.1:5060"));
    assert_eq!(events(&told), [(FIRST, ContactEvent::Registered)]);
    assert_eq!(told.contacts[0].expires_s, Some(600));
    world.pass(6_000);
    world.register("1001", 7_101, 60);
    world.pass(6_000);
    world.register("1001", 7_001, 600);
    world.notified("1001");
    let told = registration(&world.notified("1001"));
    assert!(events(&told).contains(&(FIRST, ContactEvent::Refreshed)), "{told:?}");
    world.pass(70_000);
    let told = registration(&world.notified("1001"));
    assert!(events(&told).contains(&(SECOND, ContactEvent::Expired)), "{told:?}");
    world.register("1001", 7_001, 0);
    world.pass(6_000);
    let told = registration(&world.notified("1001"));
    assert_eq!(told.state, RegistrationState::Terminated);
    assert_eq!(events(&told), [(FIRST, ContactEvent::Unregistered)]);
}

#[test]
fn a_trusted_peer_may_watch_the_bindings_of_others() {
    let peer = |trusted| format!("[[peer]]\nid = \"p\"\naddress = \"127.0.0.1:7200\"\ntrusted = {trusted}\n");
    let mut world = World::new(&peer(false), &["1001", "1002"]);
    assert_eq!(world.subscribe("1002", "1001", "reg", 600).0.status().unwrap().code(), 403);
    let mut world = World::new(&peer(true), &["1001", "1002"]);
    let (_, first) = world.watch("1002", "1001", "reg");
    assert!(body(&first).contains("sip:1001@127.0.0.1:7001"), "{}", body(&first));
    assert_eq!(world.subscribe("1002", "1001", "message-summary", 600).0.status().unwrap().code(), 403);
    world.reload(&peer(false));
    assert!(world.notified("1002").subscription_state().unwrap().is_terminated(), "it is trusted no longer");
}
