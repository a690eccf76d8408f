//! Loss-based control (RFC 7339): what we tell the neighbours that ask, and how we obey those that answer.

use crate::world::{ANNOUNCED, CONFIG, PHONE, PLAIN, TRUNK, World, code, via};
use sip_stack::header::Via;
use sip_stack::message::{Message, Method};
use sip_stack::overload::Feedback;
use softswitch::core::Input;

fn feedback(response: &Message) -> Option<Feedback> {
    Via::parse(via(response).as_bytes()).expect("a Via").feedback()
}

/// The INVITEs that the last step sent to `peer`.
fn invites(world: &World, peer: &str) -> Vec<Message> {
    let sent = world.sent_to(peer).into_iter();
    sent.filter(|message| message.method() == Some(Method::Invite)).collect()
}

#[test]
fn a_neighbour_that_announces_oc_hears_that_there_is_no_overload() {
    let mut world = World::new(CONFIG);
    let answer = world.request(TRUNK, "OPTIONS", ANNOUNCED, "");
    assert_eq!(code(&answer), 200);
    let told = feedback(&answer).expect("feedback");
    assert_eq!((told.loss, told.validity_ms), (0, 0));
    assert!(via(&answer).contains(";oc-algo=\"loss\";oc-validity=0;oc-seq="), "{}", via(&answer));
}

#[test]
fn the_demand_follows_the_load_and_its_number_rises() {
    let mut world = World::new(CONFIG);
    world.input(Input::Backlog { delay_us: 600_000 });
    let mut numbers = Vec::new();
    for _ in 0..600 {
        world.now.0 += 1_000_000;
        let told = feedback(&world.request(TRUNK, "OPTIONS", ANNOUNCED, "")).expect("feedback");
        if told.loss > 0 {
            assert_eq!(told.validity_ms, 500);
            numbers.push(told.sequence.expect("a number"));
        }
    }
    assert!(numbers.is_sorted());
    numbers.dedup();
    assert!(numbers.len() >= 4, "renewed while it is needed: {}", numbers.len());
    world.input(Input::Backlog { delay_us: 0 });
    world.pass(6_000);
    let told = feedback(&world.request(TRUNK, "OPTIONS", ANNOUNCED, "")).expect("feedback");
    assert_eq!((told.loss, told.validity_ms), (0, 0));
    assert!(told.sequence > numbers.last().copied(), "the end has a number of its own");
}

#[test]
fn strangers_and_those_that_do_not_ask_hear_nothing() {
    let mut world = World::new(CONFIG);
    let stranger = world.request("203.0.113.99:5060", "OPTIONS", ANNOUNCED, "");
    assert_eq!(feedback(&stranger), None);
    for announced in ["", ";oc=20;oc-algo=\"loss\"", ";oc;oc-algo=\"rate\"", ";oc;oc-algo"] {
        let answer = world.request(TRUNK, "OPTIONS", announced, "");
        assert!(!via(&answer).contains("oc-seq"), "{}", via(&answer));
    }
}

#[test]
fn we_announce_oc_to_the_peers_that_are_configured_for_it_alone() {
    let mut world = World::new(CONFIG);
    world.dial("8001");
    assert!(via(&invites(&world, TRUNK)[0]).contains(ANNOUNCED));
    world.dial("9001");
    assert!(!via(&invites(&world, PLAIN)[0]).contains("oc"));
}

#[test]
fn what_a_server_asks_to_leave_out_is_not_sent_until_the_validity_ends() {
    let mut world = World::new(CONFIG);
    world.dial("8001");
    let invite = invites(&world, TRUNK).remove(0);
    world.reply(TRUNK, &invite, "180 Ringing", ";oc=100;oc-algo=\"loss\";oc-validity=700;oc-seq=5.0");
    world.now.0 += 600_000_000;
    world.dial("8002");
    assert!(invites(&world, TRUNK).is_empty());
    let refused = world.sent_to(PHONE).pop().expect("the caller is told");
    assert_eq!(code(&refused), 500, "a 503 would silence the caller's other calls");
    world.now.0 += 101_000_000;
    world.dial("8003");
    assert_eq!(invites(&world, TRUNK).len(), 1);
}

#[test]
fn a_call_to_a_phone_behind_a_server_that_asks_to_be_sent_less_is_refused() {
    let mut world = World::new(CONFIG);
    world.register(1001, TRUNK, TRUNK, "");
    world.dial("1001");
    let invite = invites(&world, TRUNK).remove(0);
    world.reply(TRUNK, &invite, "180 Ringing", ";oc=100;oc-algo=\"loss\";oc-validity=700;oc-seq=5.0");
    world.dial("1001");
    assert!(invites(&world, TRUNK).is_empty());
    let refused = world.sent_to(PHONE).pop().expect("the caller is told");
    assert_eq!(code(&refused), 500, "a 503 would silence the caller's other calls");
    world.now.0 += 701_000_000;
    world.dial("1001");
    assert_eq!(invites(&world, TRUNK).len(), 1);
}

#[test]
fn a_call_that_is_up_is_ended_whatever_the_server_asks() {
    let mut world = World::new(CONFIG);
    world.dial("8001");
    let invite = invites(&world, TRUNK).remove(0);
    world.reply(TRUNK, &invite, "200 OK", ";oc=100;oc-algo=\"loss\";oc-validity=60000;oc-seq=5.0");
    // Nobody acknowledges the 2xx at the caller's end: after half a minute both are hung up on.
    let sent = world.pass(33_000);
    let to_trunk =
        |message: &Message| message.method() == Some(Method::Bye) && via(message).contains(ANNOUNCED);
    assert!(sent.iter().any(|(_, transmit)| {
        transmit.flow.peer == TRUNK.parse().unwrap()
            && Message::parse(transmit.bytes.clone()).is_ok_and(|message| to_trunk(&message))
    }));
}

#[test]
fn malformed_and_stale_demands_change_nothing() {
    for demand in
        [";oc=101", ";oc=100x", ";oc=100;oc-algo=\"rate\"", ";oc=100;oc-validity=x", ";oc=100;oc-seq=a.b"]
    {
        let mut world = World::new(CONFIG);
        world.dial("8001");
        let invite = invites(&world, TRUNK).remove(0);
        world.reply(TRUNK, &invite, "180 Ringing", ";oc=0;oc-validity=5000;oc-seq=5.0");
        world.reply(TRUNK, &invite, "180 Ringing", demand);
        world.reply(TRUNK, &invite, "180 Ringing", ";oc=100;oc-seq=4.0");
        world.dial("8002");
        assert_eq!(invites(&world, TRUNK).len(), 1, "{demand}");
    }
}

#[test]
fn a_demand_from_elsewhere_changes_nothing() {
    let mut world = World::new(CONFIG);
    world.dial("8001");
    let invite = invites(&world, TRUNK).remove(0);
    world.reply("203.0.113.99:5060", &invite, "180 Ringing", ";oc=100;oc-seq=5.0");
    world.dial("8002");
    assert_eq!(invites(&world, TRUNK).len(), 1);
}
