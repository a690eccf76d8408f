//! A small swarm live: real sockets of twenty phones against the switch as a program.
//!
//! How long anything takes is not judged: other tests keep the machine busy.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sha2::{Digest, Sha256};
use softphone::io::{SwarmTarget, run_swarm};
use softphone::phone::{Codec, Password};
use softphone::swarm::{Bye, Limits, Plan, users};
use std::time::Duration;
use tests::sim::hive;
use tests::switch::{PASSWORD, Switch};

/// RTP ports of our phones: two for each.
const RTP_PORTS: u16 = 40;

#[test]
fn twenty_phones_on_two_threads_call_and_meet_and_hear_whom_they_should() {
    let plan = Plan {
        users: users("1000..1019").unwrap(),
        rooms: vec![3_000, 3_001],
        participants: 4,
        talkers: 2,
        calls: Some(12),
        rate: 10.0,
        concurrency: 6,
        talk: Duration::from_secs(3),
        hold: Duration::ZERO,
        ring: Duration::ZERO,
        lamps: false,
        bye: Bye::Mixed,
        duration: Duration::from_secs(4),
        codec: Codec::Pcma,
        other_codec: None,
        whole: false,
        register_rate: 100.0,
        limits: Limits { loss_percent: 5.0, setup: None, one_way: None, mouth_to_ear: None },
    };
    let mut switch = Switch::start_with(&hive::domains(&plan));
    let first = switch.ports.udp(RTP_PORTS);
    let target = SwarmTarget {
        host: switch.address().ip().to_string(),
        port: switch.address().port(),
        domain: Some(hive::DOMAIN.to_owned()),
        password: Password(PASSWORD.into()),
        rtp_ports: first..=first + RTP_PORTS - 1,
        threads: 2,
        seed: Sha256::digest(std::process::id().to_be_bytes()).into(),
    };
    let report = run_swarm(&plan, &target, |_, _| {}).unwrap();
    let failed = report.expectations.iter().filter(|expected| !expected.passed);
    let failed: Vec<_> = failed.map(|expected| expected.name).collect();
    // That is the machine's pace, which other tests share.
    assert!(failed.iter().all(|name| *name == "the swarm kept its own pace"), "{report}");
    assert_eq!((report.calls_completed, report.left, report.ears), (12, 8, 32), "{report}");
    switch.stop();
}
