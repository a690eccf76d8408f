//! Phones behind translators: they are asked whether they are there, and called where the policy says.

use crate::world::{CONFIG, World};
use sip_stack::Time;
use sip_stack::message::{Message, Method};
use sip_stack::transport::Transmit;
use softswitch::core::{Event, Holdings};
use std::collections::BTreeMap;

const SOURCE: &str = "203.0.113.5:40123";
const INSIDE: &str = "10.0.0.7:5062";

fn options(sent: &[(Time, Transmit)]) -> Vec<(Time, Transmit)> {
    let is_options = |transmit: &Transmit| {
        Message::parse(transmit.bytes.clone()).is_ok_and(|message| message.method() == Some(Method::Options))
    };
    sent.iter().filter(|(_, transmit)| is_options(transmit)).cloned().collect()
}

/// Lets `seconds` pass, answering every OPTIONS; how many there were, by phone.
fn answered(world: &mut World, seconds: u64) -> BTreeMap<String, u32> {
    let mut asked = BTreeMap::new();
    for _ in 0..seconds * 10 {
        let sent = options(&world.pass(100));
        assert!(world.events().is_empty(), "{:?}", world.events());
        for (_, transmit) in sent {
            let peer = transmit.flow.peer.to_string();
            let request = Message::parse(transmit.bytes).expect("SIP");
            world.reply(&peer, &request, "405 Method Not Allowed", "");
            *asked.entry(peer).or_default() += 1;
        }
    }
    asked
}

#[test]
fn a_phone_behind_a_translator_is_asked_at_its_source_twice_a_minute_and_more() {
    let mut world = World::new(CONFIG);
    world.register(1001, SOURCE, INSIDE, "");
    let asked = answered(&mut world, 300);
    let times = asked[SOURCE];
    assert!((9..=13).contains(&times), "{times} times in 300 s, every 24 to 30 s");
}

#[test]
fn a_phone_that_names_its_own_address_is_left_alone() {
    let mut world = World::new(CONFIG);
    world.register(1001, "192.0.2.7:40000", "192.0.2.7:5060", "");
    assert!(options(&world.pass(100_000)).is_empty());
}

#[test]
fn nat_off_asks_nobody() {
    let mut world = World::new(&format!("{CONFIG}[[domain]]\nname = \"192.0.2.1\"\nnat = \"off\"\n"));
    world.register(1001, SOURCE, INSIDE, "");
    assert!(options(&world.pass(100_000)).is_empty());
}

#[test]
fn phones_behind_a_proxy_and_phones_with_outbound_are_not_asked() {
    let outbound = format!("{INSIDE}>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"");
    for (contact, headers) in [
        (INSIDE, "Path: <sip:203.0.113.5;lr>\r\nSupported: path\r\n"),
        (&*outbound, "Supported: outbound\r\n"),
    ] {
        let mut world = World::new(CONFIG);
        world.register(1001, SOURCE, contact, headers);
        assert!(options(&world.pass(100_000)).is_empty(), "{headers}");
    }
}

#[test]
fn a_phone_that_misses_three_questions_is_told_once() {
    let mut world = World::new(CONFIG);
    world.register(1001, SOURCE, INSIDE, "");
    world.pass(300_000);
    let told: Vec<_> =
        world.events().into_iter().filter(|event| matches!(event, Event::Unreachable { .. })).collect();
    assert!(matches!(told[..], [Event::Unreachable { user, .. }] if &**user == "1001"), "{told:?}");
}

#[test]
fn an_answer_of_any_status_counts_and_wipes_earlier_misses_out() {
    let mut world = World::new(CONFIG);
    world.register(1001, SOURCE, INSIDE, "");
    for _ in 0..3 {
        world.pass(100_000);
        assert!(world.events().is_empty(), "two were missed at most: {:?}", world.events());
        assert!(!answered(&mut world, 40).is_empty());
    }
}

#[test]
fn questions_to_many_phones_are_spread_over_the_round() {
    let mut world = World::new(CONFIG);
    for user in 1_000..1_300 {
        world.register(user, &format!("203.0.113.5:{}", 10_000 + user), INSIDE, "");
    }
    let sent = options(&world.pass(30_000));
    let mut phones = BTreeMap::new();
    for (at, transmit) in &sent {
        // The first time; what is not answered is sent again.
        phones.entry(transmit.flow.peer).or_insert(at.0 / 1_000_000_000);
    }
    assert_eq!(phones.len(), 300, "each is asked within the round");
    let mut per_second: BTreeMap<u64, u32> = BTreeMap::new();
    for second in phones.values() {
        *per_second.entry(*second).or_default() += 1;
    }
    assert!(per_second.values().all(|count| *count <= 25), "{per_second:?}");
}

#[test]
fn when_the_last_binding_has_ended_nothing_is_left_to_do() {
    let mut world = World::new(CONFIG);
    world.register(1001, SOURCE, INSIDE, "Expires: 60\r\n");
    world.pass(200_000);
    assert_eq!(world.switch.poll_timeout(), None);
    assert_eq!(world.switch.holdings(), Holdings::default());
}

#[test]
fn a_call_goes_where_the_policy_of_the_domain_says() {
    for (policy, peer) in [("auto", SOURCE), ("source", SOURCE), ("as-sent", INSIDE)] {
        let domain = format!("[[domain]]\nname = \"192.0.2.1\"\ncontact = \"{policy}\"\n");
        let mut world = World::new(&format!("{CONFIG}{domain}"));
        world.register(1001, SOURCE, INSIDE, "");
        world.dial("1001");
        let invites = world.sent_to(peer);
        assert_eq!(invites.len(), 1, "{policy}");
        assert_eq!(invites[0].request_uri(), b"sip:1001@10.0.0.7:5062");
    }
}
