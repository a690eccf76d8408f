//! A swarm of phones in virtual time against the simulated switch: every one of its expectations, and how each can fail.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::phone::Codec;
use softphone::swarm::{Bye, Limits, Plan, Report, users};
use std::time::Duration;
use tests::sim::{Faults, hive};

fn plan(text: &str) -> Plan {
    Plan {
        users: users(text).unwrap(),
        rooms: Vec::new(),
        participants: 0,
        talkers: 0,
        calls: Some(8),
        rate: 4.0,
        concurrency: 10,
        talk: Duration::from_secs(3),
        hold: Duration::ZERO,
        ring: Duration::ZERO,
        lamps: false,
        bye: Bye::Mixed,
        duration: Duration::from_secs(5),
        codec: Codec::Pcmu,
        other_codec: None,
        whole: false,
        register_rate: 100.0,
        limits: Limits {
            loss_percent: 0.0,
            setup: Some(Duration::from_millis(500)),
            one_way: Some(Duration::from_millis(50)),
            mouth_to_ear: Some(Duration::from_millis(200)),
        },
    }
}

fn failed(report: &Report) -> Vec<&'static str> {
    report.expectations.iter().filter(|expected| !expected.passed).map(|expected| expected.name).collect()
}

#[test]
fn pairs_call_in_turns_hear_each_other_and_measure_the_way_of_every_packet() {
    let report = hive::play(&plan("1000..1005"), 1, Faults::NONE);
    assert!(report.passed, "{report}");
    assert_eq!((report.calls, report.calls_completed, report.ears_right), (8, 8, 16), "{report}");
    // A millisecond to the switch and one from it, and nothing else in this world; 20 more fill a packet.
    assert_eq!((report.one_way_ms.p50, report.one_way_ms.max), (2.0, 2.0), "{report}");
    assert!((21.5..24.0).contains(&report.mouth_to_ear_ms.p50), "{report}");
    assert!(report.stamped > 8 * 2 * 140 && report.lost == 0, "{report}");
}

#[test]
fn lamps_of_others_show_every_call_and_how_long_that_takes_is_measured() {
    let plan = Plan { lamps: true, talk: Duration::from_secs(6), ..plan("1000..1005") };
    let report = hive::play(&plan, 3, Faults::NONE);
    assert!(report.passed, "{report}");
    assert_eq!((report.lamps, report.lamps_right), (16, 16), "{report}");
    // At once, or a second after the last change.
    assert!(report.lamp_ms.count == 16 && report.lamp_ms.max <= 1_010.0, "{report}");
}

#[test]
fn a_lamp_that_does_not_show_a_call_fails_the_expectation() {
    // Who is watched does not allow it.
    let plan = Plan { lamps: true, talk: Duration::from_secs(6), calls: Some(2), ..plan("1000..1003") };
    let closed = hive::domains(&plan).replace("\"secret\"\n", "\"secret\"\nwatched_by = \"nobody\"\n");
    let report = hive::play_with(&plan, &closed, 4, Faults::NONE);
    assert_eq!(failed(&report), ["lamps show who talks"], "{report}");
}

#[test]
fn whoever_is_on_hold_in_between_is_heard_again() {
    let plan = Plan {
        talk: Duration::from_secs(8),
        hold: Duration::from_secs(3),
        codec: Codec::Pcma,
        calls: Some(2),
        ..plan("1000..1001")
    };
    let report = hive::play(&plan, 2, Faults::NONE);
    assert!(report.passed, "{report}");
    assert_eq!(report.ears_right, 4, "{report}");
    assert!(report.sent < 4 * 6 * 50, "who is on hold says nothing: {report}");
}

#[test]
fn in_rooms_everybody_hears_those_who_talk_and_no_other_room() {
    let plan = Plan {
        rooms: vec![3_000, 3_001],
        participants: 4,
        talkers: 2,
        calls: None,
        limits: Limits { one_way: None, ..plan("1").limits },
        ..plan("1000..1009")
    };
    let report = hive::play(&plan, 3, Faults::NONE);
    assert!(report.passed, "{report}");
    assert_eq!((report.joined, report.left), (8, 8), "{report}");
    assert!(report.ears_right > 8 && report.mouth_to_ear_ms.count > 8, "{report}");
}

#[test]
fn the_whole_voice_gives_the_same_verdict() {
    let plan = Plan {
        rooms: vec![3_000],
        participants: 3,
        talkers: 2,
        whole: true,
        codec: Codec::G722,
        calls: Some(2),
        limits: Limits { one_way: None, ..plan("1").limits },
        ..plan("1000..1004")
    };
    let report = hive::play(&plan, 4, Faults::NONE);
    assert!(report.passed, "{report}");
    assert_eq!((report.stamped, report.ears_right), (0, 7), "{report}");
}

#[test]
fn what_the_network_loses_is_counted_and_fails_the_expectation() {
    let faults = Faults { loss_percent: 2, ..Faults::NONE };
    let report = hive::play(&plan("1000..1005"), 5, faults);
    assert!(failed(&report).contains(&"loss"), "{report}");
    assert!((2.0..7.0).contains(&report.lost_percent), "two hops with two of a hundred each: {report}");
}

#[test]
fn phones_that_cannot_register_call_nobody_and_say_why() {
    let rooms = Plan { rooms: vec![3_000], participants: 3, talkers: 2, ..plan("1000..1004") };
    let unknown = Plan { users: users("1000,1001,1002,1003,9").unwrap(), ..rooms.clone() };
    let report = hive::play_with(&unknown, &hive::domains(&rooms), 8, Faults::NONE);
    assert_eq!((report.registered, report.calls), (4, 0), "{report}");
    assert!(report.registration_failures.keys().any(|why| why.contains("user")), "{report}");
    assert_eq!((report.joined, report.left, report.ears_right), (3, 3, 3), "{report}");
    assert_eq!(failed(&report), ["registered", "calls connected", "calls ended as planned", "one-way delay"]);
}

#[test]
fn where_nobody_can_register_it_is_over_at_once() {
    let report = hive::play_with(&plan("1000..1005"), &hive::domains(&plan("2000")), 9, Faults::NONE);
    assert_eq!((report.registered, report.sent), (0, 0), "{report}");
    assert!(report.took_s < 1.0 && !report.passed, "{report}");
}

#[test]
fn a_limit_that_is_not_kept_fails_and_says_what_was_seen() {
    let limits = Limits { one_way: Some(Duration::from_micros(1_500)), ..plan("1").limits };
    let report = hive::play(&Plan { limits, ..plan("1000..1001") }, 6, Faults::NONE);
    assert_eq!(failed(&report), ["one-way delay"], "{report}");
    assert!(report.to_string().contains("one-way delay: 2.0 ms"), "{report}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let [one, other] = [7, 7].map(|seed| hive::play(&plan("1000..1003"), seed, Faults::lossy(5)));
    assert_eq!(one, other);
}
