//! Asterisk 22 as the server of our phone, and at the other end of a trunk of the switch: calls both ways with the sound compared
//! with its source, hold from either side, keys in three spellings, early media, busy, given up, and who hangs up.
//! Skipped, loudly, where Asterisk or the makers of speech cannot be installed.

use std::net::SocketAddr;

use tempfile::TempDir;
use tests::asterisk::{self, Asterisk, Settings, is_heard, number};
use tests::audio::Audio;
use tests::ports::Ports;
use tests::skip;
use tests::softphone::{Headless, Softphone, Task};
use tests::speech::{self, said as speech};

const OURS: &str = "The quick brown fox jumps over the lazy dog. Two phones talk through the switch.";
const THEIRS: &str = "She sells sea shells by the sea shore, and every single word has to come back.";

fn skipped(test: &str) -> bool {
    let test = format!("interop_asterisk::{test}");
    skip::missing(&test, &speech::PROGRAMS) || asterisk::is_missing(&test)
}

/// Asterisk alone: its phones are ours.
struct Server {
    asterisk: Asterisk,
    ports: Ports,
    folder: TempDir,
    said: Audio,
}

impl Server {
    fn start(codecs: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut ports = Ports::claim();
        let (says, said) = speech(folder.path(), "theirs", THEIRS, 8);
        let address = Asterisk::address_for(&mut ports);
        let settings = Settings { codecs, says: &says, switch: None };
        let asterisk = Asterisk::start(folder.path(), &mut ports, address, settings);
        Self { asterisk, ports, folder, said }
    }

    fn address(&self) -> SocketAddr {
        self.asterisk.address()
    }

    fn phone(&mut self, user: &str) -> Headless {
        Headless::start(self.folder.path(), &mut self.ports, user, self.asterisk.address())
    }

    fn stop(self) {
        self.asterisk.stop();
    }
}

#[test]
fn our_phone_and_asterisk_hear_each_other_in_every_codec_of_both() {
    if skipped("our_phone_and_asterisk_hear_each_other_in_every_codec_of_both") {
        return;
    }
    for (ours, theirs) in [("pcmu", "ulaw"), ("pcma", "alaw"), ("opus,g722", "g722")] {
        let mut server = Server::start(theirs);
        let (file, said) = speech(server.folder.path(), "ours", OURS, 12);
        let (address, folder) = (server.address(), server.folder.path().to_owned());
        let task = Task { user: "3000", server: address, codecs: ours, says: &file, options: &[] };
        let phone = Softphone::call(&folder, &mut server.ports, task, number::SPEAKS);
        // Asterisk has said all and hangs up.
        let heard = phone.heard(0);
        is_heard(&format!("our phone ({theirs})"), &server.said, heard);
        is_heard(&format!("Asterisk ({theirs})"), &said, server.asterisk.heard());
        server.stop();
    }
}

#[test]
fn two_of_our_phones_talk_through_asterisk() {
    if skipped("two_of_our_phones_talk_through_asterisk") {
        return;
    }
    let mut server = Server::start("alaw,ulaw");
    let (address, folder) = (server.address(), server.folder.path().to_owned());
    let (caller_file, caller_said) = speech(&folder, "caller", OURS, 8);
    let (callee_file, callee_said) = speech(&folder, "callee", THEIRS, 10);
    let task = |user, says| Task { user, server: address, codecs: "opus,pcma", says, options: &[] };
    let callee = Softphone::listen(&folder, &mut server.ports, task("3001", &callee_file));
    let caller = Softphone::call(&folder, &mut server.ports, task("3000", &caller_file), "3001");
    callee.tells("from=\"sip:3000@");
    let at_caller = caller.heard(0);
    callee.tells("ended by=\"them\"");
    is_heard("the callee", &caller_said, callee.heard(0));
    is_heard("the caller", &callee_said, at_caller);
    server.stop();
}

/// The other phone hears of the hold, of its end, and of the keys.
#[track_caller]
fn holds_and_dials(holder: &mut Headless, other: &Headless) {
    holder.tell("hold", "held call=1 held=true");
    other.tells("held_by_peer call=1 held=true");
    holder.tell("resume", "held call=1 held=false");
    other.tells("held_by_peer call=1 held=false");
    holder.tell("dial 5#", "ok");
    other.tells("digit call=1 digit=\"5\"");
    other.tells("digit call=1 digit=\"#\"");
}

#[test]
fn a_hold_passes_asterisk_and_keys_reach_the_other_phone() {
    if skipped("a_hold_passes_asterisk_and_keys_reach_the_other_phone") {
        return;
    }
    let mut server = Server::start("alaw,ulaw");
    let mut callee = server.phone("3001");
    let mut caller = server.phone("3000");
    caller.tell("call 3001", "calling call=1");
    callee.tells("incoming account=0 call=1");
    callee.tell("answer", "connected call=1");
    caller.tells("connected call=1");
    holds_and_dials(&mut caller, &callee);
    holds_and_dials(&mut callee, &caller);
    caller.tell("hangup", "ended by=\"us\" call=1");
    callee.tells("ended by=\"them\" call=1");
    caller.quit();
    callee.quit();
    server.stop();
}

#[test]
fn keys_of_our_phone_are_read_as_events_as_info_and_as_tones() {
    if skipped("keys_of_our_phone_are_read_as_events_as_info_and_as_tones") {
        return;
    }
    let mut server = Server::start("ulaw");
    // The endpoints of the three differ in what Asterisk listens for.
    for (user, keys) in [("3000", "159*"), ("3002", "26A0"), ("3003", "3480")] {
        let mut phone = server.phone(user);
        phone.tell(&format!("call {}", number::READS_KEYS), "connected call=1");
        let command = match user {
            "3002" => format!("dial {keys} as info"),
            "3003" => format!("dial {keys} as tones"),
            _ => format!("dial {keys} as events"),
        };
        phone.tell(&command, "ok");
        server.asterisk.logs(&format!("keys {keys}"));
        phone.tells("ended by=\"them\" call=1");
        phone.quit();
    }
    server.stop();
}

#[test]
fn what_asterisk_says_of_a_call_is_told_in_words() {
    if skipped("what_asterisk_says_of_a_call_is_told_in_words") {
        return;
    }
    let mut server = Server::start("ulaw");
    let mut phone = server.phone("3000");
    phone.tell(
        &format!("call {}", number::BUSY),
        "ended by=\"failure\" call=1 reason=\"The other side is busy.\"",
    );
    phone.tell("call 9999", "ended by=\"failure\" call=2 reason=\"Nobody has this number.\"");
    phone.tell(&format!("call {}", number::RINGS), "ringing call=3");
    phone.tell("hangup", "ended by=\"us\" call=3");
    server.asterisk.until("has no channel left", || {
        server.asterisk.ask("core show channels").contains("0 active channels")
    });
    phone.quit();
    server.stop();
}

#[test]
fn early_media_of_asterisk_is_heard_before_the_answer() {
    if skipped("early_media_of_asterisk_is_heard_before_the_answer") {
        return;
    }
    let mut server = Server::start("ulaw");
    let (file, _) = speech(server.folder.path(), "ours", OURS, 8);
    let (address, folder) = (server.address(), server.folder.path().to_owned());
    let task =
        Task { user: "3000", server: address, codecs: "pcmu", says: &file, options: &["--record-early"] };
    let phone = Softphone::call(&folder, &mut server.ports, task, number::SPEAKS_EARLY);
    // The call ends as busy, which is 4.
    let heard = phone.heard(4);
    is_heard("our phone", &server.said, heard);
    server.stop();
}
