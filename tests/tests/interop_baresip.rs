//! Two baresip phones, the switch between them: registration, calls, and the sound that arrives.
//!
//! The phones are real programs on loopback sockets; speech is judged by listening (`tests::compare`), not by
//! counting packets. Skipped, loudly, only where baresip or the makers of speech cannot be installed.

use tests::baresip::{Phone, Settings, Transport};
use tests::pair::{self, CALLEE, CALLER, Line, Pair};
use tests::skip;
use tests::switch::Switch;

const ABSENT: &str = "1002";

fn skipped(test: &str) -> bool {
    skip::missing(&format!("interop_baresip::{test}"), &pair::programs())
}

/// A switch with two registered phones.
struct Lab {
    phones: Pair,
    switch: Switch,
}

/// How the two phones speak to the switch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Udp,
    Tcp,
    Tls,
}

impl Lab {
    /// The files they play are `caller_s` and `callee_s` seconds long.
    fn open(codec: &str, caller_s: u32, callee_s: u32) -> Self {
        Self::over((Over::Udp, Over::Udp), codec, caller_s, callee_s)
    }

    /// The caller's transport, then the callee's.
    fn over(over: (Over, Over), codec: &str, caller_s: u32, callee_s: u32) -> Self {
        Self::between(over, [codec; 2], caller_s, callee_s)
    }

    /// The caller's codec, then the callee's.
    fn between(over: (Over, Over), codecs: [&str; 2], caller_s: u32, callee_s: u32) -> Self {
        let mut switch = Switch::start();
        let (address, tls, folder) = (switch.address(), switch.tls(), switch.folder().to_owned());
        let certificates = switch.certificates().clone();
        let line = |over, seconds| {
            let (server, transport) = match over {
                Over::Udp => (address, Transport::Udp),
                Over::Tcp => (address, Transport::Tcp),
                Over::Tls => (tls, Transport::Tls(&certificates)),
            };
            Line { server, transport, seconds }
        };
        let (caller, callee) = (line(over.0, caller_s), line(over.1, callee_s));
        let phones = Pair::register_each(&folder, &mut switch.ports, codecs, caller, callee);
        Self { phones, switch }
    }

    /// Judges both recordings after the call.
    fn listen(self) {
        self.phones.listen();
        self.switch.stop();
    }

    fn close(mut self) {
        self.phones.quit();
        self.switch.stop();
    }
}

#[test]
fn speech_arrives_both_ways_until_the_callee_hangs_up() {
    if skipped("speech_arrives_both_ways_until_the_callee_hangs_up") {
        return;
    }
    // the shorter file ends the call; both speeches are over by then
    let mut lab = Lab::open("PCMU", 12, 8);
    lab.phones.establish();
    lab.phones.callee.has_said_all();
    lab.phones.caller.was_hung_up();
    lab.listen();
}

#[test]
fn speech_arrives_both_ways_until_the_caller_hangs_up() {
    if skipped("speech_arrives_both_ways_until_the_caller_hangs_up") {
        return;
    }
    let mut lab = Lab::open("PCMA", 8, 12);
    lab.phones.establish();
    lab.phones.caller.has_said_all();
    lab.phones.callee.was_hung_up();
    lab.listen();
}

#[test]
fn phones_without_a_common_codec_talk_to_each_other() {
    if skipped("phones_without_a_common_codec_talk_to_each_other") {
        return;
    }
    for codecs in [["G722", "PCMU"], ["PCMA", "G722"]] {
        let mut lab = Lab::between((Over::Udp, Over::Udp), codecs, 12, 8);
        lab.phones.establish();
        lab.phones.callee.has_said_all();
        lab.phones.caller.was_hung_up();
        lab.listen();
    }
}

#[test]
fn phones_on_tcp_and_on_tls_talk_to_each_other() {
    if skipped("phones_on_tcp_and_on_tls_talk_to_each_other") {
        return;
    }
    let mut lab = Lab::over((Over::Tcp, Over::Tls), "PCMU", 12, 8);
    lab.phones.establish();
    lab.phones.callee.has_said_all();
    lab.phones.caller.was_hung_up();
    lab.listen();
}

#[test]
fn a_phone_on_tls_calls_one_on_udp() {
    if skipped("a_phone_on_tls_calls_one_on_udp") {
        return;
    }
    let mut lab = Lab::over((Over::Tls, Over::Udp), "PCMA", 8, 12);
    lab.phones.establish();
    lab.phones.caller.has_said_all();
    lab.phones.callee.was_hung_up();
    lab.listen();
}

#[test]
fn a_refused_call_is_busy_for_the_caller() {
    if skipped("a_refused_call_is_busy_for_the_caller") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.phones.caller.dial(CALLEE);
    lab.phones.callee.rings(CALLER);
    lab.phones.callee.hang_up();
    lab.phones.caller.closed_with("486");
    assert!(!lab.phones.caller.was_established());
    lab.close();
}

#[test]
fn a_cancelled_call_stops_ringing() {
    if skipped("a_cancelled_call_stops_ringing") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.phones.caller.dial(CALLEE);
    lab.phones.callee.rings(CALLER);
    lab.phones.caller.hears_ringing();
    lab.phones.caller.hang_up();
    lab.phones.callee.closed_with("Connection reset by peer");
    assert!(!lab.phones.callee.was_established());
    lab.close();
}

#[test]
fn a_call_to_a_user_without_a_phone_is_temporarily_unavailable() {
    if skipped("a_call_to_a_user_without_a_phone_is_temporarily_unavailable") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.phones.caller.dial(ABSENT);
    lab.phones.caller.closed_with("480");
    lab.close();
}

#[test]
fn a_call_to_a_number_nobody_has_is_not_found() {
    if skipped("a_call_to_a_number_nobody_has_is_not_found") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.phones.caller.dial("7777");
    lab.phones.caller.closed_with("404");
    lab.close();
}

#[test]
fn a_phone_that_has_left_is_temporarily_unavailable() {
    if skipped("a_phone_that_has_left_is_temporarily_unavailable") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.phones.callee.quit();
    lab.phones.caller.dial(CALLEE);
    lab.phones.caller.closed_with("480");
    lab.phones.caller.quit();
    lab.switch.stop();
}

#[test]
fn a_second_call_follows_the_first() {
    if skipped("a_second_call_follows_the_first") {
        return;
    }
    let mut lab = Lab::open("PCMU", 10, 10);
    lab.phones.establish();
    lab.phones.caller.hang_up();
    lab.phones.callee.was_hung_up();
    lab.phones.callee.forget();
    lab.phones.establish();
    lab.phones.callee.hang_up();
    lab.phones.caller.was_hung_up();
    lab.close();
}

#[test]
fn a_wrong_password_does_not_register() {
    if skipped("a_wrong_password_does_not_register") {
        return;
    }
    let mut switch = Switch::start();
    let microphone = switch.folder().join("nothing.wav");
    let (server, folder) = (switch.address(), switch.folder().to_owned());
    let settings = Settings {
        user: CALLER,
        password: "wrong",
        server,
        transport: Transport::Udp,
        codec: "PCMU",
        microphone: &microphone,
    };
    let mut phone = Phone::start(&folder, &mut switch.ports, settings);
    phone.is_refused();
    phone.quit();
    switch.stop();
}
