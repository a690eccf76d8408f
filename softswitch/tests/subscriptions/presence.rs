//! Presence, from registrations, calls and what devices publish (RFC 3856, RFC 3903).

use crate::world::{World, body, port_of, text};
use sip_stack::event::body::presence::{Activity, Basic, Presence};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;

/// A document as a device publishes it.
pub(crate) fn pidf(basic: &str, priority: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:1001@127.0.0.1\"><tuple id=\"a\">\
         <status><basic>{basic}</basic></status><contact priority=\"{priority}\">sip:1001@127.0.0.1</contact></tuple></presence>"
    )
}

fn presence(notify: &Message) -> Presence {
    Presence::parse(notify.body()).unwrap_or_else(|error| panic!("{error}: {}", body(notify)))
}

fn tag(answer: &Message) -> String {
    assert_eq!(answer.status().unwrap().code(), 200);
    text(answer, HeaderName::SipEtag)
}

/// 1000 watches 1001.
fn watched(registered: &[&str]) -> (World, Presence) {
    let mut world = World::new("", registered);
    let (_, first) = world.watch("1000", "1001", "presence");
    world.pass(6_000);
    let presence = presence(&first);
    (world, presence)
}

#[test]
fn a_registration_opens_and_its_end_closes() {
    let (mut world, first) = watched(&["1000"]);
    assert_eq!((first.basic(), &*first.entity), (Some(Basic::Closed), "sip:1001@127.0.0.1:5060"));
    world.register("1001", 7_001, 60);
    assert_eq!(presence(&world.notified("1000")).basic(), Some(Basic::Open));
    world.pass(6_000);
    world.register("1001", 7_101, 60);
    world.register("1001", 7_001, 60);
    assert!(world.is_quiet(), "a second phone or a refresh changes nothing");
    world.pass(70_000);
    assert_eq!(presence(&world.notified("1000")).basic(), Some(Basic::Closed));
}

#[test]
fn who_talks_is_on_the_phone() {
    let (mut world, first) = watched(&["1000", "1001", "1002"]);
    assert!(!first.is_doing(Activity::OnThePhone));
    let caller = world.call(port_of("1002"), "1001", "");
    assert!(world.is_quiet(), "ringing is not talking");
    let (caller, _) = world.answer(7_001, caller);
    let told = presence(&world.notified("1000"));
    assert!(told.is_doing(Activity::OnThePhone) && told.basic() == Some(Basic::Open));
    world.pass(6_000);
    world.send(&caller, "BYE", "");
    assert!(!presence(&world.notified("1000")).is_doing(Activity::OnThePhone));
}

#[test]
fn what_is_published_is_told_until_it_is_removed_or_ends() {
    let (mut world, _) = watched(&["1000", "1001"]);
    let published = world.publish("1001", "Expires: 600\r\n", &pidf("closed", "0.8"));
    assert_eq!(published.expires(), Ok(Some(600)));
    assert_eq!(presence(&world.notified("1000")).basic(), Some(Basic::Closed));
    world.pass(6_000);
    let modified =
        world.publish("1001", &format!("SIP-If-Match: {}\r\n", tag(&published)), &pidf("open", "1"));
    assert_ne!(tag(&modified), tag(&published));
    assert_eq!(presence(&world.notified("1000")).basic(), Some(Basic::Open));
    world.pass(6_000);
    let refreshed =
        world.publish("1001", &format!("SIP-If-Match: {}\r\nExpires: 60\r\n", tag(&modified)), "");
    tag(&refreshed);
    assert!(world.is_quiet(), "a refresh is no news");
    world.pass(61_000);
    assert_eq!(presence(&world.notified("1000")).tuples[0].id.as_ref(), "switch");
    let late = world.publish("1001", &format!("SIP-If-Match: {}\r\n", tag(&refreshed)), "");
    assert_eq!(late.status().unwrap().code(), 412);
}

#[test]
fn what_ends_in_the_moment_of_another_publish_is_told() {
    let (mut world, _) = watched(&["1000", "1001"]);
    tag(&world.publish("1001", "Expires: 60\r\n", &pidf("closed", "0.8")));
    assert_eq!(presence(&world.notified("1000")).basic(), Some(Basic::Closed));
    world.pass(59_900);
    // The PUBLISH comes before the timer.
    world.now.0 += 200_000_000;
    let late = world.publish("1001", "SIP-If-Match: gone\r\n", &pidf("closed", "1"));
    assert_eq!(late.status().unwrap().code(), 412);
    assert_eq!(presence(&world.notified("1000")).tuples[0].id.as_ref(), "switch");
}

#[test]
fn the_device_with_the_highest_priority_is_believed() {
    let (mut world, _) = watched(&["1000", "1001"]);
    world.publish("1001", "", &pidf("closed", "0.9"));
    world.notified("1000");
    world.pass(6_000);
    world.publish("1001", "", &pidf("open", "0.1"));
    let told = presence(&world.notified("1000"));
    assert_eq!((told.basic(), told.tuples.len()), (Some(Basic::Closed), 2));
}

#[test]
fn who_is_not_registered_is_closed_whatever_it_publishes() {
    let (mut world, _) = watched(&["1000", "1001"]);
    world.publish("1001", "", &pidf("open", "1"));
    world.notified("1000");
    world.pass(6_000);
    world.register("1001", 7_001, 0);
    assert_eq!(presence(&world.notified("1000")).basic(), Some(Basic::Closed));
}

#[test]
fn a_device_that_does_not_know_says_nothing() {
    let (mut world, _) = watched(&["1000", "1001"]);
    world.publish("1001", "", &pidf("unknown", "1"));
    let told = presence(&world.notified("1000"));
    assert_eq!(told.basic(), Some(Basic::Open), "{told:?}");
}

#[test]
fn publications_are_there_before_anybody_watches() {
    let mut world = World::new("", &["1000", "1001"]);
    world.publish("1001", "Expires: 600\r\n", &pidf("closed", "1"));
    assert_eq!((world.switch.holdings().subjects, world.switch.holdings().transactions > 0), (1, true));
    let (_, first) = world.watch("1000", "1001", "presence");
    assert_eq!(presence(&first).basic(), Some(Basic::Closed));
    world.pass(3_700_000);
    assert_eq!((world.switch.holdings().subjects, world.switch.holdings().subscriptions), (0, 0));
}

#[test]
fn a_publish_is_refused_for_others_for_other_packages_and_for_nonsense() {
    let mut world = World::new("", &["1001"]);
    let status = |world: &mut World, whom: &str, fields: &str, content: &str| {
        let uri = format!("sip:{whom}@127.0.0.1:5060");
        let answer = world.ask(7_001, "PUBLISH", &uri, None, fields, content);
        (answer.status().unwrap().code(), text(&answer, HeaderName::AllowEvents))
    };
    const XML: &str = "Event: presence\r\nContent-Type: application/pidf+xml\r\n";
    assert_eq!(status(&mut world, "1000", XML, &pidf("open", "1")).0, 403);
    let other = status(&mut world, "1001", "Event: dialog\r\n", "");
    assert_eq!(other, (489, "presence".to_owned()));
    assert_eq!(status(&mut world, "1001", XML, "nonsense").0, 400);
    assert_eq!(status(&mut world, "1001", &format!("{XML}Expires: 5\r\n"), &pidf("open", "1")).0, 423);
    let html = "Event: presence\r\nContent-Type: text/html\r\n";
    assert_eq!(status(&mut world, "1001", html, "x").0, 415);
    let large = pidf("open", "1") + &" ".repeat(5_000);
    assert_eq!(status(&mut world, "1001", XML, &large).0, 413);
    assert_eq!(status(&mut world, "1001", "Event: presence\r\n", "").0, 400);
    assert_eq!((world.switch.holdings().subjects, world.is_quiet()), (0, true));
}
