//! Subscriptions, publications and what Replaces does, with real programs: baresip and linphonec watch each other, SIPp whatever there is.
//!
//! Each test looks at what the program itself says, or lets it judge what it gets. Skipped, loudly, only where a program cannot be
//! installed.

use std::fs;
use std::path::Path;
use tests::baresip::{self, Phone, Settings, Transport};
use tests::linphone::{self, Linphone};
use tests::sipp::{self, Particulars, Run, Sipp};
use tests::skip;
use tests::speech::{self, Speech};
use tests::switch::{PASSWORD, Switch};

fn skipped(test: &str, programs: &[&str]) -> bool {
    skip::missing(&format!("interop_events::{test}"), programs)
}

fn settings<'a>(switch: &Switch, user: &'a str, microphone: &'a Path) -> Settings<'a> {
    let (server, transport) = (switch.address(), Transport::Udp);
    Settings { user, password: PASSWORD, server, transport, codec: "PCMU", microphone }
}

#[test]
fn baresip_and_linphone_see_each_other_come_talk_and_go() {
    let programs = [&baresip::PROGRAMS[..], &linphone::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skipped("baresip_and_linphone_see_each_other_come_talk_and_go", &programs) {
        return;
    }
    let mut switch = Switch::start();
    let folder = switch.folder().to_owned();
    let says = Speech { voice: "en", text: "She is on the phone now.", seconds: 30 };
    let file = speech::make(&folder, "says", says);
    let alice = settings(&switch, "1000", &file);
    let mut alice = Linphone::start_watching(&folder, &mut switch.ports, alice, "1001");
    alice.registered();
    alice.sees("Offline");
    let bob = settings(&switch, "1001", &file);
    let mut bob = Phone::start_watching(&folder, &mut switch.ports, bob, "1000");
    bob.registered();
    bob.sees("Online");
    alice.sees("Online");
    bob.publishes(false);
    alice.sees("Offline");
    bob.publishes(true);
    alice.sees("Online");
    let carol = settings(&switch, "1002", &file);
    let mut carol = Phone::start(&folder, &mut switch.ports, carol);
    carol.registered();
    bob.dial("1002");
    carol.rings("1001");
    carol.accept();
    bob.talks();
    alice.sees("On the phone");
    bob.hang_up();
    carol.was_hung_up();
    alice.sees("Online");
    alice.quit();
    bob.sees("Offline");
    bob.quit();
    carol.quit();
    switch.stop_and_replay();
}

/// Runs a scenario once.
fn start(switch: &mut Switch, scenario: &str, users: Option<&str>, particulars: Particulars<'_>) -> Sipp {
    let port = switch.ports.udp(1);
    start_at(switch, port, (scenario, users), particulars)
}

fn start_at(
    switch: &mut Switch,
    port: u16,
    (scenario, users): (&str, Option<&str>),
    particulars: Particulars<'_>,
) -> Sipp {
    let run = Run { scenario, users, calls: 1, rate: 1, pause_ms: 300, transport: "u1" };
    let (folder, server) = (switch.folder().to_owned(), switch.address());
    Sipp::start_with(&folder, server, port, &mut switch.ports, (run, particulars))
}

#[test]
fn sipp_watches_calls_presence_messages_and_bindings() {
    if skipped("sipp_watches_calls_presence_messages_and_bindings", &sipp::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    for (package, kind, body, users) in [
        ("dialog", "application/dialog-info", "&lt;dialog-info", "watcher"),
        ("presence", "application/pidf", "&lt;basic&gt;closed&lt;/basic&gt;", "watcher"),
        ("message-summary", "application/simple-message-summary", "Messages-Waiting: no", "own"),
        ("reg", "application/reginfo", "&lt;reginfo", "own"),
    ] {
        let words = [("package", package), ("type", kind), ("body", body)];
        let particulars = Particulars { words: &words, keys: &[] };
        start(&mut switch, "subscribe", Some(users), particulars).finish().all_successful(1);
    }
    switch.keeps_messages("1000", 3);
    switch.expect("configuration in force");
    let words = [
        ("package", "message-summary"),
        ("type", "application/simple-message-summary"),
        ("body", "Voice-Message: 3/0"),
    ];
    let particulars = Particulars { words: &words, keys: &[] };
    start(&mut switch, "subscribe", Some("own"), particulars).finish().all_successful(1);
    switch.stop_and_replay();
}

#[test]
fn sipp_publishes_refreshes_and_removes_its_presence() {
    if skipped("sipp_publishes_refreshes_and_removes_its_presence", &sipp::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    start(&mut switch, "publish", Some("own"), Particulars::default()).finish().all_successful(1);
    switch.stop_and_replay();
}

/// What names the dialog of the run `uac_named`, and that run. `uas` answers at the port that is given back with its run.
fn named_call(switch: &mut Switch, users: &str, callees: &str) -> ([String; 3], Sipp, Sipp) {
    let port = switch.ports.udp(1);
    let registers = (("register"), Some(callees));
    start_at(switch, port, registers, Particulars::default()).finish().all_successful(1);
    let callee = start_at(switch, port, ("uas", None), Particulars::default());
    let caller = start(switch, "uac_named", Some(users), Particulars::default());
    let file = switch.folder().join("dialog");
    caller.until("names its dialog", || file.exists());
    let text = fs::read_to_string(&file).expect("the scenario writes it");
    let parts: Vec<String> = text.split('|').map(str::to_owned).collect();
    (parts.try_into().expect("Call-ID and two tags"), caller, callee)
}

#[test]
fn sipp_takes_the_place_of_a_phone_in_its_call() {
    if skipped("sipp_takes_the_place_of_a_phone_in_its_call", &sipp::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    let ([call_id, to_tag, from_tag], replaced, callee) = named_call(&mut switch, "calls", "callees");
    let replaces = format!("{call_id};to-tag={to_tag};from-tag={from_tag}");
    let keys = [("replaces", &*replaces)];
    let particulars = Particulars { words: &[], keys: &keys };
    start(&mut switch, "uac_replaces", Some("calls"), particulars).finish().all_successful(1);
    replaced.finish().all_successful(1);
    callee.finish().all_successful(1);
    switch.expect("call transferred");
    switch.stop_and_replay();
}

#[test]
fn sipp_brings_the_other_sides_of_two_calls_together() {
    if skipped("sipp_brings_the_other_sides_of_two_calls_together", &sipp::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    let ([call_id, to_tag, from_tag], second, carol) =
        named_call(&mut switch, "consulted", "consulted_callee");
    let port = switch.ports.udp(1);
    let registers = ("register", Some("callees"));
    start_at(&mut switch, port, registers, Particulars::default()).finish().all_successful(1);
    let bob = start_at(&mut switch, port, ("uas", None), Particulars::default());
    let replaces = format!("{call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}");
    let keys = [("replaces", &*replaces), ("target", "1501")];
    let particulars = Particulars { words: &[], keys: &keys };
    start(&mut switch, "uac_transfer", Some("calls"), particulars).finish().all_successful(1);
    second.finish().all_successful(1);
    switch.expect("call transferred");
    // Bob and Carol are in one call, which the end of the switch ends.
    switch.says_goodbye();
    bob.finish().all_successful(1);
    carol.finish().all_successful(1);
    switch.stop_and_replay();
}
