//! RFC 3263 §4.3: what happens when a target fails, and how long that is remembered.

use super::*;

const URI: &str = "sip:h;transport=udp";
const FIRST: &str = "UDP 192.0.2.1:5060";
const SECOND: &str = "UDP 192.0.2.2:5060";
const THIRD: &str = "UDP 192.0.2.3:5060";

fn three_servers() -> World {
    World::new()
        .srv("_sip._udp.h", &[srv(1, 0, 5060, "a.h"), srv(2, 0, 5060, "b.h"), srv(3, 0, 5060, "c.h")])
        .a("a.h", &["192.0.2.1"])
        .a("b.h", &["192.0.2.2"])
        .a("c.h", &["192.0.2.3"])
}

fn located(world: &mut World, id: u64) -> String {
    world.locate(id, URI);
    world.told()
}

#[test]
fn each_failure_leads_to_the_next_server_and_the_last_one_to_the_end() {
    let mut world = three_servers();
    assert_eq!(located(&mut world, 1), FIRST);
    assert_eq!(world.fail(1, Failure::Timeout), SECOND);
    assert_eq!(world.fail(1, Failure::Transport), THIRD);
    assert_eq!(world.fail(1, Failure::Unavailable { retry_after: None }), "Unreachable");
    assert_eq!(world.resolver.locations(), 0);
}

#[test]
fn servers_are_looked_up_only_when_they_are_needed() {
    let mut world = three_servers();
    located(&mut world, 1);
    assert_eq!(world.kinds_asked(), ["_sip._udp.h SRV", "a.h A"]);
    world.fail(1, Failure::Timeout);
    assert_eq!(world.kinds_asked()[2..], ["b.h A"]);
}

#[test]
fn a_target_that_failed_is_passed_over_until_its_time_is_up() {
    let mut world = three_servers();
    located(&mut world, 1);
    world.fail(1, Failure::Timeout);
    assert_eq!(located(&mut world, 2), SECOND);
    world.wait(Duration::from_secs(59));
    assert_eq!(located(&mut world, 3), SECOND);
    world.wait(Duration::from_secs(1));
    assert_eq!(located(&mut world, 4), FIRST);
}

#[test]
fn retry_after_says_how_long_and_a_503_without_it_leaves_no_memory() {
    let mut world = three_servers();
    located(&mut world, 1);
    world.fail(1, Failure::Unavailable { retry_after: Some(Duration::from_secs(7)) });
    assert_eq!(located(&mut world, 2), SECOND);
    world.wait(Duration::from_secs(7));
    assert_eq!(located(&mut world, 3), FIRST);
    world.fail(3, Failure::Unavailable { retry_after: None });
    assert_eq!(located(&mut world, 4), FIRST);
}

#[test]
fn an_absurd_retry_after_is_cut_to_an_hour() {
    let mut world = World::new();
    world.locate(1, "sip:192.0.2.1");
    let Some(Output::Target { target, .. }) = world.output() else { panic!("no target") };
    world.fail(1, Failure::Unavailable { retry_after: Some(Duration::MAX) });
    assert_eq!(world.resolver.dead_until(world.now, &target), Some(world.now + Duration::from_secs(3_600)));
}

#[test]
fn when_all_are_dead_the_one_that_comes_back_first_is_tried_once() {
    let mut world = three_servers();
    located(&mut world, 1);
    for seconds in [30, 10, 20] {
        world.fail(1, Failure::Unavailable { retry_after: Some(Duration::from_secs(seconds)) });
    }
    assert_eq!(located(&mut world, 2), SECOND);
    assert_eq!(world.fail(2, Failure::Timeout), "Unreachable");
    assert_eq!(located(&mut world, 3), THIRD, "the second is dead for a minute now");
}

#[test]
fn a_live_server_that_fails_is_not_followed_by_dead_ones() {
    let mut world = three_servers();
    located(&mut world, 1);
    world.fail(1, Failure::Timeout);
    world.fail(1, Failure::Timeout);
    assert_eq!(located(&mut world, 2), THIRD);
    assert_eq!(world.fail(2, Failure::Timeout), "Unreachable");
}

#[test]
fn success_clears_the_memory() {
    let mut world = three_servers();
    world.locate(1, "sip:192.0.2.1");
    world.told();
    world.fail(1, Failure::Timeout);
    world.locate(2, "sip:192.0.2.1");
    let Some(Output::Target { target, .. }) = world.output() else { panic!("tried although dead") };
    assert!(world.resolver.dead_until(world.now, &target).is_some());
    world.input(Input::Reached(LocationId(2)));
    assert_eq!(world.resolver.dead_until(world.now, &target), None);
    assert_eq!(world.resolver.locations(), 0);
}

#[test]
fn a_target_is_dead_for_its_own_domain_and_transport_alone() {
    let mut world =
        World::new().a("evil", &["192.0.2.1", "192.0.2.9"]).a("good", &["192.0.2.1", "192.0.2.2"]);
    world.locate(1, "sip:evil:5060");
    world.told();
    world.fail(1, Failure::Timeout);
    world.locate(2, "sip:good:5060");
    assert_eq!(world.told(), "UDP 192.0.2.1:5060");
    world.locate(3, "sip:evil:5060;transport=tcp");
    assert_eq!(world.told(), "TCP 192.0.2.1:5060");
}

#[test]
fn no_address_is_handed_out_twice() {
    let mut world = World::new()
        .srv("_sip._udp.h", &[srv(1, 0, 5060, "a.h"), srv(2, 0, 5060, "b.h"), srv(3, 0, 5060, "a.h")])
        .a("a.h", &["192.0.2.1", "192.0.2.1"])
        .a("b.h", &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(world.all(URI), [FIRST, SECOND, "Unreachable"]);
}

#[test]
fn a_location_hands_out_no_more_than_its_bound() {
    let addresses: Vec<String> = (1..=100).map(|last| format!("192.0.2.{last}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let told = World::new().a("h", &addresses).all("sip:h:5060");
    assert_eq!(told.len(), MAX_TARGETS + 1);
}

#[test]
fn an_abandoned_location_leaves_nothing_but_answers() {
    let mut world = three_servers();
    world.locate(1, URI);
    world.input(Input::Abandon(LocationId(1)));
    assert_eq!(world.told(), "silence");
    assert_eq!(world.resolver.locations(), 0);
    assert_eq!(located(&mut world, 2), FIRST);
}

#[test]
fn misuse_is_an_error_and_changes_nothing() {
    let mut world = three_servers();
    let mut refused = |input| world.resolver.handle_input(world.now, input).unwrap_err();
    let id = LocationId(1);
    assert_eq!(refused(Input::Reached(id)), InputError::Unknown(id));
    assert_eq!(refused(Input::Abandon(id)), InputError::Unknown(id));
    world.locate(1, URI);
    let mut refused = |input| world.resolver.handle_input(world.now, input).unwrap_err();
    assert_eq!(refused(Input::Failed { id, failure: Failure::Timeout }), InputError::NotTrying(id));
    let destination = Destination::of_uri(&Uri::parse(b"sip:192.0.2.5").unwrap()).unwrap();
    let again = Input::Locate { id, destination, transports: ALL.into_iter().collect() };
    assert_eq!(refused(again), InputError::InUse(id));
    assert_eq!(world.told(), FIRST);
}
