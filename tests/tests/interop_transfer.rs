//! Real phones that transfer and hold: baresip blind, linphonec attended, and who hears whom afterwards.
//!
//! What a phone heard after a transfer is a part of what the other one said from the beginning of its call on: each piece of the
//! recording is looked for in the file that was played. Skipped, loudly, only where a phone or the makers of speech cannot be
//! installed.

use std::path::Path;
use tests::audio::Audio;
use tests::baresip::{self, Phone, Settings, Transport};
use tests::compare::Comparison;
use tests::linphone::{self, Linphone};
use tests::skip;
use tests::speech;
use tests::switch::{PASSWORD, Switch};

/// Long enough to be in the middle of it when the call has changed hands.
const LONG: &str = "The quick brown fox jumps over the lazy dog. She sells sea shells by the sea shore. Peter Piper \
    picked a peck of pickled peppers. How much wood would a woodchuck chuck, if a woodchuck could chuck wood? Around the \
    rugged rocks the ragged rascal ran. Round and round the garden, like a teddy bear, one step, two step, and so on it goes.";
const SHORT: &str = "A third phone speaks now, and every single word of it has to arrive.";

fn skipped(test: &str, programs: &[&str]) -> bool {
    skip::missing(&format!("interop_transfer::{test}"), programs)
}

fn programs() -> Vec<&'static str> {
    [&baresip::PROGRAMS[..], &linphone::PROGRAMS[..], &speech::PROGRAMS[..]].concat()
}

fn settings<'a>(switch: &Switch, user: &'a str, microphone: &'a Path) -> Settings<'a> {
    let (server, transport) = (switch.address(), Transport::Udp);
    Settings { user, password: PASSWORD, server, transport, codec: "PCMU", microphone }
}

/// A baresip that is registered, and what it says.
fn baresip(switch: &mut Switch, user: &str, text: &str, seconds: u32) -> (Phone, Audio) {
    let folder = switch.folder().to_owned();
    let (file, said) = speech::said(&folder, &format!("said-by-{user}"), text, seconds);
    let settings = settings(switch, user, &file);
    let phone = Phone::start(&folder, &mut switch.ports, settings);
    phone.registered();
    (phone, said)
}

/// All that a phone heard is of what was said.
#[track_caller]
fn hears_a_part(who: &str, heard: &Audio, said: &Audio) {
    let comparison = Comparison::of(heard, said);
    println!("{who}: {comparison}");
    assert!(comparison.segments.len() >= 4, "{who} hears something: {comparison}");
    assert!(comparison.heard(0.85) >= 0.8, "{who} hears that and nothing else: {comparison}");
}

/// All that was said is in what a phone heard, which may have heard others before.
#[track_caller]
fn hears_all(who: &str, heard: &Audio, said: &Audio) {
    let comparison = Comparison::of(said, heard);
    println!("{who}: {comparison}");
    assert!(comparison.heard(0.85) >= 0.8, "{who} hears all of it: {comparison}");
}

#[test]
fn baresip_transfers_its_partner_to_a_third_phone() {
    let programs = [&baresip::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skipped("baresip_transfers_its_partner_to_a_third_phone", &programs) {
        return;
    }
    let mut switch = Switch::start();
    let (mut alice, _) = baresip(&mut switch, "1000", LONG, 60);
    let (mut bob, said_by_bob) = baresip(&mut switch, "1001", LONG, 60);
    // Its file is the shortest, and ends the call.
    let (mut carol, said_by_carol) = baresip(&mut switch, "1002", SHORT, 7);
    alice.dial("1001");
    bob.rings("1000");
    bob.accept();
    bob.talks();
    alice.talks();
    alice.transfer("1002");
    carol.rings("1001");
    carol.accept();
    switch.expect("call transferred");
    carol.talks();
    carol.has_said_all();
    bob.was_hung_up();
    alice.quit();
    hears_a_part("carol", &carol.heard(), &said_by_bob);
    hears_all("bob", &bob.heard(), &said_by_carol);
    switch.stop();
}

#[test]
fn baresip_hears_that_whom_it_transfers_to_refuses() {
    let programs = [&baresip::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skipped("baresip_hears_that_whom_it_transfers_to_refuses", &programs) {
        return;
    }
    let mut switch = Switch::start();
    let (mut alice, _) = baresip(&mut switch, "1000", LONG, 60);
    let (mut bob, _) = baresip(&mut switch, "1001", LONG, 60);
    let (mut carol, _) = baresip(&mut switch, "1002", SHORT, 60);
    alice.dial("1001");
    bob.rings("1000");
    bob.accept();
    bob.talks();
    alice.talks();
    alice.transfer("1002");
    carol.rings("1001");
    carol.hang_up();
    alice.has_not_transferred();
    // It hangs up by itself then.
    bob.was_hung_up();
    alice.quit();
    bob.quit();
    carol.quit();
    switch.stop();
}

#[test]
fn linphone_brings_its_two_partners_together() {
    if skipped("linphone_brings_its_two_partners_together", &programs()) {
        return;
    }
    let mut switch = Switch::start();
    let folder = switch.folder().to_owned();
    let (file, _) = speech::said(&folder, "said-by-1000", LONG, 60);
    let settings = settings(&switch, "1000", &file);
    let mut alice = Linphone::start(&folder, &mut switch.ports, settings);
    alice.registered();
    let (mut bob, said_by_bob) = baresip(&mut switch, "1001", LONG, 60);
    let (mut carol, said_by_carol) = baresip(&mut switch, "1002", SHORT, 20);
    alice.dial("1001");
    bob.rings("1000");
    bob.accept();
    alice.talks();
    bob.talks();
    alice.holds();
    alice.dial("1002");
    carol.rings("1000");
    carol.accept();
    carol.talks();
    alice.transfers(1, 2);
    switch.expect("Replaces=");
    carol.has_said_all();
    bob.was_hung_up();
    alice.quit();
    // Before, it heard linphonec, which says the same as bob.
    hears_a_part("carol", &carol.heard(), &said_by_bob);
    hears_all("bob", &bob.heard(), &said_by_carol);
    switch.stop();
}

#[test]
fn linphone_holds_baresip_and_takes_it_back() {
    if skipped("linphone_holds_baresip_and_takes_it_back", &programs()) {
        return;
    }
    let mut switch = Switch::start();
    let folder = switch.folder().to_owned();
    let (file, said_by_alice) = speech::said(&folder, "said-by-1000", LONG, 60);
    let settings = settings(&switch, "1000", &file);
    let mut alice = Linphone::start(&folder, &mut switch.ports, settings);
    alice.registered();
    let (mut bob, _) = baresip(&mut switch, "1001", LONG, 12);
    alice.dial("1001");
    bob.rings("1000");
    bob.accept();
    alice.talks();
    bob.talks();
    alice.holds();
    alice.resumes();
    bob.has_said_all();
    alice.was_hung_up();
    alice.quit();
    hears_a_part("bob", &bob.heard(), &said_by_alice);
    switch.stop();
}
