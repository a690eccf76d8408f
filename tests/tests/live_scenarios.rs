//! The files of `scenarios/` live: our phones with real sockets against the release build of the switch.
//!
//! Each has a switch of its own with the configuration of the file. A claim may take five times as long as it says, because
//! other tests keep the machine busy; what is told is what the phones saw and heard.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sha2::{Digest, Sha256};
use softphone::io::{LiveConfig, play_live};
use softphone::scenario::network::Faults;
use softphone::scenario::{Report, read};
use std::fs;
use tests::root;
use tests::sim::stage;
use tests::switch::Switch;

/// RTP ports of our phones for each test.
const RTP_PORTS: u16 = 40;

fn play(name: &str, faults: Faults) -> Report {
    let file = format!("scenarios/{name}.scenario");
    let text = fs::read_to_string(root().join(&file)).unwrap();
    let scenario = read(&file, &text).unwrap_or_else(|errors| panic!("{errors}"));
    let mut switch = Switch::start_with(&stage::domains(&scenario));
    let first = switch.ports.udp(RTP_PORTS);
    let config = LiveConfig {
        host: switch.address().ip().to_string(),
        port: switch.address().port(),
        domain: Some(stage::DOMAIN.to_owned()),
        password: None,
        rtp_ports: first..=first + RTP_PORTS - 1,
        faults,
        stretch: 5,
        seed: once(&format!("{name} {faults:?}")),
        lots: [7; 32],
    };
    let report = play_live(&scenario, &config).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(report.failure.is_none(), "{report}");
    switch.stop();
    report
}

/// Bytes that no other test has, nor this one in another process: a server that runs on would take its calls for seen ones.
fn once(test: &str) -> [u8; 32] {
    Sha256::digest(format!("{test} {}", std::process::id())).into()
}

macro_rules! live {
    ($($name:ident)*) => {
        /// Those that are played here.
        const PLAYED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            play(stringify!($name), Faults::NONE);
        })*
    };
}

live! {
    announcement
    blf
    busy
    call_ended_by_the_callee
    call_ended_by_the_caller
    call_waiting
    codecs
    cancel
    conference
    digits
    glare
    hold
    keys_as_tones
    lossy_network
    message
    no_answer
    presence
    services
    transfer_attended
    transfer_blind
    transfer_by_callee
    transfer_fails
    transfer_to_conference
    two_devices
    unknown_number
}

/// They take minutes; virtual time shows the same.
const LONG: [&str; 2] = ["session_timer", "session_timer_lost"];

#[test]
fn every_scenario_is_played_that_needs_nothing_of_the_inside() {
    for entry in fs::read_dir(root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "scenario") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let scenario = read(name, &fs::read_to_string(&path).unwrap()).unwrap();
        let elsewhere = scenario.needs_the_switch() || LONG.contains(&name);
        assert_ne!(elsewhere, PLAYED.contains(&name), "{name}");
    }
}

#[test]
fn a_phone_that_loses_a_fifth_of_its_packets_calls_and_is_told_what_only_the_inside_shows() {
    let report = play("call_ended_by_the_caller", Faults::lossy(20));
    assert_eq!(report.skipped.len(), 2, "{report}");
}
