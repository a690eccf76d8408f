//! A trunk between the switch and Asterisk 22, in both directions. Asterisk is the user 1500 of the switch, registers and calls as
//! such, and the switch knows it as a peer; or the switch has an account there, where it registers; or each knows the other one by its address.
//! Calls with the sound compared with its source, hold, keys and the end from either side,
//! early media, busy, given up, over UDP and TCP. Skipped, loudly, where Asterisk or the makers of speech cannot be installed.

use tests::asterisk::{self, Asterisk, FarEnd, Settings, Trunk, is_heard, number};
use tests::audio::Audio;
use tests::skip;
use tests::softphone::{Headless, Softphone, Task};
use tests::speech::{self, said as speech};
use tests::switch::{PASSWORD, Switch};

const OURS: &str = "The quick brown fox jumps over the lazy dog. Two phones talk over a trunk.";
const THEIRS: &str = "She sells sea shells by the sea shore, and every single word has to come back.";

/// The user of the switch that Asterisk is.
const ASTERISK: &str = "1500";

fn skipped(test: &str) -> bool {
    let test = format!("interop_asterisk_trunk::{test}");
    skip::missing(&test, &speech::PROGRAMS) || asterisk::is_missing(&test)
}

/// Both servers, joined by a trunk.
struct Lab {
    switch: Switch,
    asterisk: Asterisk,
    /// What [`number::SPEAKS`] says.
    said: Audio,
}

impl Lab {
    fn open(transport: &str, codecs: &str) -> Self {
        Self::joined(Trunk::User, transport, codecs)
    }

    fn joined(trunk: Trunk, transport: &str, codecs: &str) -> Self {
        let mut found = None;
        // Who calls the account from there reaches 1000; by address the number itself is called.
        let (keys, route) = match trunk {
            Trunk::User => ("", ""),
            Trunk::Account => (
                "username = \"4000\"\npassword = \"secret\"\nregister = true\nfrom_user = \"4000\"\n",
                "[[route]]\npattern = \"4000\"\nfrom = \"asterisk\"\nuser = \"1000\"\n\n",
            ),
            Trunk::Address => ("inbound = true\nhealth_s = 30\n", ""),
        };
        let mut switch = Switch::start_after(|_, ports| {
            let address = Asterisk::address_for(ports);
            found = Some(address);
            format!(
                "[[users]]\nfrom = 1000\nto = 1999\npassword = \"{PASSWORD}\"\n\n\
                 [[peer]]\nid = \"asterisk\"\naddress = \"{address}\"\ntransport = \"{transport}\"\n{keys}\n{route}\
                 [[route]]\npattern = \"3XXX\"\npeer = \"asterisk\"\n\n\
                 [[route]]\npattern = \"9XXX\"\npeer = \"asterisk\"\n"
            )
        });
        let address = found.expect("the switch was configured");
        let folder = switch.folder().to_owned();
        let (says, said) = speech(&folder, "asterisk-says", THEIRS, 8);
        let far = FarEnd { trunk, address: switch.address(), transport };
        let settings = Settings { codecs, says: &says, switch: Some(far) };
        let asterisk = Asterisk::start(&folder, &mut switch.ports, address, settings);
        let (question, answer) = match trunk {
            Trunk::User => ("pjsip show registrations", "Registered"),
            Trunk::Account => ("pjsip show contacts", "4000/sip:"),
            Trunk::Address => ("pjsip show endpoints", "switch"),
        };
        asterisk.until("knows the switch", || asterisk.ask(question).contains(answer));
        Self { switch, asterisk, said }
    }

    /// A phone of the switch.
    fn ours(&mut self, user: &str) -> Headless {
        let (folder, server) = (self.switch.folder().to_owned(), self.switch.address());
        Headless::start(&folder, &mut self.switch.ports, user, server)
    }

    /// A phone of Asterisk's.
    fn theirs(&mut self, user: &str) -> Headless {
        let (folder, server) = (self.switch.folder().to_owned(), self.asterisk.address());
        Headless::start(&folder, &mut self.switch.ports, user, server)
    }

    fn close(self) {
        self.asterisk.stop();
        self.switch.stop();
    }
}

/// A phone of the switch calls one of Asterisk's, or is called by it; both hear what the other says.
fn talk(trunk: Trunk, transport: &str, we_call: bool) {
    let mut lab = Lab::joined(trunk, transport, "alaw,ulaw");
    let folder = lab.switch.folder().to_owned();
    let (our_file, our_said) = speech(&folder, "ours", OURS, if we_call { 8 } else { 10 });
    let (their_file, their_said) = speech(&folder, "theirs", THEIRS, if we_call { 10 } else { 8 });
    let task = |user, server, says| Task { user, server, codecs: "opus,pcma", says, options: &[] };
    let ours = task("1000", lab.switch.address(), our_file.as_path());
    let theirs = task("3000", lab.asterisk.address(), their_file.as_path());
    let ports = &mut lab.switch.ports;
    let (callee, caller) = if we_call {
        (Softphone::listen(&folder, ports, theirs), Softphone::call(&folder, ports, ours, "3000"))
    } else {
        let number = if trunk == Trunk::Account { "4000" } else { "1000" };
        (Softphone::listen(&folder, ports, ours), Softphone::call(&folder, ports, theirs, number))
    };
    let at_caller = caller.heard(0);
    callee.tells("ended by=\"them\"");
    let at_callee = callee.heard(0);
    let (at_ours, at_theirs) = if we_call { (at_caller, at_callee) } else { (at_callee, at_caller) };
    is_heard("our phone", &their_said, at_ours);
    is_heard("Asterisk's phone", &our_said, at_theirs);
    lab.close();
}

#[test]
fn a_phone_of_ours_calls_one_of_asterisk() {
    if !skipped("a_phone_of_ours_calls_one_of_asterisk") {
        talk(Trunk::User, "udp", true);
    }
}

#[test]
fn a_phone_of_asterisk_calls_one_of_ours_over_tcp() {
    if !skipped("a_phone_of_asterisk_calls_one_of_ours_over_tcp") {
        talk(Trunk::User, "tcp", false);
    }
}

#[test]
fn the_switch_registers_at_asterisk_and_its_phones_call_through_a_challenge() {
    if !skipped("the_switch_registers_at_asterisk_and_its_phones_call_through_a_challenge") {
        talk(Trunk::Account, "udp", true);
    }
}

#[test]
fn a_phone_of_asterisk_calls_the_account_of_the_switch() {
    if !skipped("a_phone_of_asterisk_calls_the_account_of_the_switch") {
        talk(Trunk::Account, "udp", false);
    }
}

#[test]
fn asterisk_is_believed_by_its_address_alone_over_tcp() {
    if !skipped("asterisk_is_believed_by_its_address_alone_over_tcp") {
        talk(Trunk::Address, "tcp", false);
    }
}

/// The servers answer for a hold themselves; the keys reach the other phone.
#[track_caller]
fn holds_and_dials(holder: &mut Headless, other: &Headless, call: u32) {
    holder.tell("hold", &format!("held call={call} held=true"));
    holder.tell("resume", &format!("held call={call} held=false"));
    holder.tell("dial 5#", "ok");
    other.tells(&format!("digit call={call} digit=\"5\""));
    other.tells(&format!("digit call={call} digit=\"#\""));
}

#[test]
fn either_side_holds_presses_keys_and_hangs_up() {
    if skipped("either_side_holds_presses_keys_and_hangs_up") {
        return;
    }
    holds_keys_and_ends(Lab::open("udp", "ulaw"), &[(true, "3000"), (true, ASTERISK), (false, "1000")]);
}

#[test]
fn either_side_holds_presses_keys_and_hangs_up_in_calls_of_the_account() {
    if skipped("either_side_holds_presses_keys_and_hangs_up_in_calls_of_the_account") {
        return;
    }
    holds_keys_and_ends(Lab::joined(Trunk::Account, "udp", "ulaw"), &[(true, "3000"), (false, "4000")]);
}

/// Calls one after the other, of ours or theirs, to a number.
fn holds_keys_and_ends(mut lab: Lab, calls: &[(bool, &str)]) {
    let mut ours = lab.ours("1000");
    let mut theirs = lab.theirs("3000");
    for (call, (we_call, target)) in (1..).zip(calls.iter().copied()) {
        let (caller, callee) = if we_call { (&mut ours, &mut theirs) } else { (&mut theirs, &mut ours) };
        caller.tell(&format!("call {target}"), &format!("calling call={call}"));
        callee.tells(&format!("incoming account=0 call={call}"));
        callee.tell("answer", &format!("connected call={call}"));
        caller.tells(&format!("connected call={call}"));
        holds_and_dials(caller, callee, call);
        holds_and_dials(callee, caller, call);
        let (first, last) = if call == 2 { (callee, caller) } else { (caller, callee) };
        first.tell("hangup", &format!("ended by=\"us\" call={call}"));
        last.tells(&format!("ended by=\"them\" call={call}"));
    }
    ours.quit();
    theirs.quit();
    lab.close();
}

#[test]
fn what_asterisk_plays_is_heard_early_and_late_and_what_it_hears_is_what_was_said() {
    if skipped("what_asterisk_plays_is_heard_early_and_late_and_what_it_hears_is_what_was_said") {
        return;
    }
    let mut lab = Lab::open("udp", "g722,ulaw");
    let folder = lab.switch.folder().to_owned();
    let (file, said) = speech(&folder, "ours", OURS, 12);
    let server = lab.switch.address();
    let early = ["--record-early"];
    let task = Task { user: "1000", server, codecs: "opus,g722", says: &file, options: &early };
    let phone = Softphone::call(&folder, &mut lab.switch.ports, task, number::SPEAKS_EARLY);
    // The call ends as busy, which is 4.
    is_heard("our phone, early", &lab.said, phone.heard(4));
    let phone =
        Softphone::call(&folder, &mut lab.switch.ports, Task { options: &[], ..task }, number::SPEAKS);
    is_heard("our phone", &lab.said, phone.heard(0));
    is_heard("Asterisk", &said, lab.asterisk.heard());
    lab.close();
}

#[test]
fn keys_busy_and_given_up_pass_the_trunk() {
    if skipped("keys_busy_and_given_up_pass_the_trunk") {
        return;
    }
    let mut lab = Lab::open("udp", "ulaw");
    let mut phone = lab.ours("1000");
    phone.tell(&format!("call {}", number::READS_KEYS), "connected call=1");
    phone.tell("dial 159*", "ok");
    lab.asterisk.logs("keys 159*");
    phone.tells("ended by=\"them\" call=1");
    phone.tell(
        &format!("call {}", number::BUSY),
        "ended by=\"failure\" call=2 reason=\"The other side is busy.\"",
    );
    phone.tell("call 9999", "ended by=\"failure\" call=3 reason=\"Nobody has this number.\"");
    phone.tell(&format!("call {}", number::RINGS), "ringing call=4");
    phone.tell("hangup", "ended by=\"us\" call=4");
    lab.asterisk.until("has no channel left", || {
        lab.asterisk.ask("core show channels").contains("0 active channels")
    });
    phone.quit();
    lab.close();
}
