//! The files of `scenarios/` live: our phones with real sockets against the switch as a program.
//!
//! Each has a switch of its own with the configuration of the file. A claim may take five times as long as it says, because
//! other tests keep the machine busy; what is told is what the phones saw and heard.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use sha2::{Digest, Sha256};
use softphone::io::{LiveConfig, play_live};
use softphone::scenario::network::Faults;
use softphone::scenario::{Report, Scenario, read};
use std::fs;
use tests::root;
use tests::sim::stage;
use tests::switch::Switch;

/// RTP ports of our phones for each test.
const RTP_PORTS: u16 = 40;

fn scenario(file: &str) -> Scenario {
    let text = fs::read_to_string(root().join(file)).unwrap();
    read(file, &text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn play(name: &str, faults: Faults) -> Report {
    let file = format!("scenarios/{name}.scenario");
    let scenario = scenario(&file);
    let mut switch = Switch::start_with(&stage::domains(&scenario));
    let rtp = switch.ports.udp(RTP_PORTS);
    let report = play_with(&switch, rtp, &scenario, faults);
    assert!(report.failure.is_none(), "{report}");
    switch.stop();
    report
}

fn play_with(switch: &Switch, first: u16, scenario: &Scenario, faults: Faults) -> Report {
    let name = &scenario.file;
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
    play_live(scenario, &config).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The flows of an RFC one after the other with one switch, which has the users of all of them.
fn play_flows(folder: &str) {
    let mut users: String =
        (1001..=1005).map(|user| format!("[[user]]\nid = \"{user}\"\npassword = \"secret\"\n")).collect();
    users += "[[route]]\npattern = \"30XX\"\nservice = \"conference\"\n";
    let mut switch =
        Switch::start_with(&format!("[[domain]]\nname = \"{}\"\ndefault = true\n{users}", stage::DOMAIN));
    let rtp = switch.ports.udp(RTP_PORTS);
    let mut files: Vec<_> =
        fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let scenario = scenario(file.strip_prefix(root()).unwrap().to_str().unwrap());
        let report = play_with(&switch, rtp, &scenario, Faults::NONE);
        assert!(report.failure.is_none(), "{report}");
    }
    switch.stop();
}

#[test]
fn the_flows_of_rfc_3665_go_as_they_say() {
    play_flows("scenarios/rfc3665");
}

#[test]
fn the_flows_of_rfc_5359_go_as_they_say() {
    play_flows("scenarios/rfc5359");
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
    anonymous
    blf
    busy
    call_back
    call_ended_by_the_callee
    call_ended_by_the_caller
    call_waiting
    codecs
    cancel
    conference
    devices
    dialplan
    digits
    do_not_disturb
    follow_me
    forwarding
    forwarding_no_answer
    glare
    hold
    hot_desk
    hot_desk_moves
    intercom
    keys
    keys_as_tones
    keys_consult
    keys_consult_fails
    keys_consult_partner
    keys_consult_three
    lossy_network
    merge
    message
    no_answer
    paging
    paging_two_way
    park
    park_returns
    pickup
    presence
    proxied
    ring_group
    ring_group_in_order
    room_code
    room_full
    room_invite
    room_lock
    room_moderator
    room_mute
    services
    shown_number
    take_over
    transfer_attended
    transfer_blind
    transfer_by_callee
    transfer_fails
    transfer_ringing
    transfer_to_conference
    two_devices
    unknown_number
}

/// They take minutes; virtual time shows the same.
const LONG: [&str; 3] = ["session_timer", "session_timer_lost", "silence"];

#[test]
fn every_scenario_is_played_that_needs_nothing_of_the_inside() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "scenario") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let scenario = scenario(&format!("scenarios/{name}.scenario"));
        let elsewhere = scenario.needs_the_switch() || LONG.contains(&name);
        wrong.extend((elsewhere == PLAYED.contains(&name)).then(|| name.to_owned()));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_phone_that_loses_a_fifth_of_its_packets_calls_and_is_told_what_only_the_inside_shows() {
    let report = play("call_ended_by_the_caller", Faults::lossy(20));
    assert_eq!(report.skipped.len(), 2, "{report}");
}
