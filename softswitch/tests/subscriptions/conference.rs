//! Who is in a conference (RFC 4575).

use crate::world::{World, body, port_of};
use sip_stack::event::body::conference_info::{ConferenceInfo, EndpointStatus, MediaStatus, PartState};
use sip_stack::message::Message;
use softswitch::core::Input;
use softswitch::core::command::{Actor, Command, CommandId, RoomOrder};

const ROOMS: &str = "[[route]]\npattern = \"30XX\"\nservice = \"conference\"\n";

fn roster(notify: &Message) -> ConferenceInfo {
    ConferenceInfo::parse(notify.body()).unwrap_or_else(|error| panic!("{error}: {}", body(notify)))
}

fn users(info: &ConferenceInfo) -> Vec<(&str, PartState, usize)> {
    let users = info.users.iter().flat_map(|users| &users.users);
    users.map(|user| (&*user.entity, user.state, user.endpoints.len())).collect()
}

fn enter(world: &mut World, port: u16, fields: &str) -> crate::world::Dialog {
    let mut dialog = world.call(port, "3000", fields);
    world.acknowledge(&mut dialog);
    dialog
}

#[test]
fn members_come_and_go() {
    let mut world = World::new(ROOMS, &["1000", "1001", "1002"]);
    let (_, first) = world.watch("1002", "3000", "conference");
    let empty = roster(&first);
    assert_eq!((&*empty.entity, users(&empty).len()), ("sip:3000@127.0.0.1:5060", 0));
    assert_eq!(empty.conference_state.unwrap().user_count, Some(0));
    world.pass(6_000);
    let alice = enter(&mut world, port_of("1000"), "");
    let told = roster(&world.notified("1002"));
    assert_eq!(users(&told), [("sip:1000@127.0.0.1:5060", PartState::Full, 1)]);
    world.pass(6_000);
    enter(&mut world, 7_100, "");
    let told = roster(&world.notified("1002"));
    assert_eq!(users(&told), [("sip:1000@127.0.0.1:5060", PartState::Full, 2)], "two devices, one user");
    world.pass(6_000);
    enter(&mut world, port_of("1001"), "Privacy: id\r\n");
    let told = roster(&world.notified("1002"));
    assert_eq!(told.conference_state.unwrap().user_count, Some(3));
    assert!(users(&told).iter().any(|(entity, ..)| entity.ends_with("@anonymous.invalid")), "{told:?}");
    world.pass(6_000);
    world.send(&alice, "BYE", "");
    let told = roster(&world.notified("1002"));
    assert!(users(&told).contains(&("sip:1000@127.0.0.1:5060", PartState::Full, 1)), "{told:?}");
    let (_, other) = world.watch("1003", "3001", "conference");
    assert_eq!(users(&roster(&other)).len(), 0, "another room");
}

#[test]
fn a_large_conference_is_told_in_part() {
    let mut world = World::new(ROOMS, &["1000"]);
    world.watch("1000", "3000", "conference");
    let mut members = Vec::new();
    for user in ["1001", "1002", "1003", "1004", "1005", "1006"] {
        world.pass(6_000);
        members.push(enter(&mut world, port_of(user), ""));
    }
    let told: Vec<ConferenceInfo> = (0..6).map(|_| roster(&world.notified("1000"))).collect();
    let states: Vec<PartState> = told.iter().map(|info| info.state).collect();
    assert_eq!(states[..4], [PartState::Full; 4]);
    assert_eq!(states[4..], [PartState::Partial; 2]);
    assert_eq!(users(&told[5]), [("sip:1006@127.0.0.1:5060", PartState::Full, 1)]);
    world.pass(6_000);
    world.send(&members[0], "BYE", "");
    let told = roster(&world.notified("1000"));
    assert_eq!(users(&told), [("sip:1001@127.0.0.1:5060", PartState::Deleted, 0)]);
    assert_eq!(told.conference_state.unwrap().user_count, Some(5));
}

#[test]
fn a_member_is_busy_too() {
    let mut world = World::new(ROOMS, &["1000", "1001"]);
    world.watch("1001", "1000", "dialog");
    world.pass(2_000);
    enter(&mut world, port_of("1000"), "");
    world.pass(2_000);
    let last = world.notifies.iter().filter(|(port, _)| *port == port_of("1001")).last().unwrap();
    assert!(body(&last.1).contains("confirmed") && body(&last.1).contains("sip:3000@"), "{}", body(&last.1));
}

#[test]
fn members_are_named_to_those_alone_who_may_watch_them() {
    let more = format!(
        "{ROOMS}[[user]]\nid = \"1010\"\npassword = \"secret\"\ndisplay_name = \"Ten\"\nwatched_by = [\"1002\"]\n"
    );
    let mut world = World::new(&more, &["1000", "1001", "1002", "1010"]);
    for watcher in ["1001", "1002", "1010"] {
        world.watch(watcher, "3000", "conference");
    }
    world.pass(6_000);
    enter(&mut world, port_of("1010"), "");
    for (watcher, is_named) in [("1001", false), ("1002", true), ("1010", true)] {
        let notify = world.notified(watcher);
        let told = roster(&notify);
        assert_eq!(users(&told).len(), 1);
        assert_eq!(users(&told)[0].0 == "sip:1010@127.0.0.1:5060", is_named, "{watcher}");
        assert_eq!(body(&notify).contains("1010") || body(&notify).contains("Ten"), is_named, "{watcher}");
    }
}

#[test]
fn who_found_no_row_in_a_full_roster_has_one_when_somebody_leaves() {
    let limits = "[limits]\ncalls = 400\n";
    let mut world = World::new(&format!("{ROOMS}{limits}"), &["1000", "1001"]);
    let members: Vec<_> = (0..130).map(|_| enter(&mut world, port_of("1000"), "")).collect();
    let (_, first) = world.watch("1001", "3000", "conference");
    let full = roster(&first);
    assert_eq!(users(&full), [("sip:1000@127.0.0.1:5060", PartState::Full, 128)]);
    assert_eq!(full.conference_state.unwrap().user_count, Some(130));
    for (member, left) in [(&members[0], 129), (&members[1], 128), (&members[2], 127)] {
        world.pass(6_000);
        world.send(member, "BYE", "");
        let told = roster(&world.notified("1001"));
        let rows = usize::try_from(left).unwrap().min(128);
        assert_eq!(users(&told), [("sip:1000@127.0.0.1:5060", PartState::Full, rows)]);
        assert_eq!(told.conference_state.unwrap().user_count, Some(left));
    }
}

#[test]
fn who_is_muted_is_told_and_who_is_hidden_is_not_there() {
    let room = "[[room]]\nextension = \"3100\"\nmute_on_entry = true\n[[user]]\nid = \"1050\"\npassword = \"secret\"\nhidden = true\n";
    let mut world = World::new(room, &["1000"]);
    world.watch("1000", "3100", "conference");
    world.pass(6_000);
    let mut hidden = world.call(port_of("1050"), "3100", "");
    world.acknowledge(&mut hidden);
    world.pass(6_000);
    let mut member = world.call(port_of("1001"), "3100", "");
    world.acknowledge(&mut member);
    let told = roster(&world.notified("1000"));
    assert_eq!(users(&told), [("sip:1001@127.0.0.1:5060", PartState::Full, 1)]);
    let device = &told.users.unwrap().users[0].endpoints[0];
    assert_eq!(device.status, Some(EndpointStatus::MutedViaFocus));
    assert_eq!(device.media[0].status, Some(MediaStatus::RecvOnly));
    let order = RoomOrder::UnmuteAll;
    let command = Box::new(Command::Room { room: "3100".parse().unwrap(), order });
    world.pass(6_000);
    world.input(Input::Command { id: CommandId(1), actor: Actor::Operator, command });
    let told = roster(&world.notified("1000"));
    let device = &told.users.unwrap().users[0].endpoints[0];
    assert_eq!(
        (device.status, device.media[0].status),
        (Some(EndpointStatus::Connected), Some(MediaStatus::SendRecv))
    );
}
