//! Two baresip phones, the switch between them: registration, calls, and the sound that arrives.
//!
//! The phones are real programs on loopback sockets; speech is judged by listening (`tests::compare`), not by
//! counting packets. Skipped, loudly, only where baresip or the makers of speech cannot be installed.

use tests::audio::Audio;
use tests::baresip::{self, Phone, Settings, Transport};
use tests::compare::{Comparison, Limits};
use tests::skip;
use tests::speech::{self, Speech};
use tests::switch::{PASSWORD, Switch};

const CALLER: &str = "1000";
const CALLEE: &str = "1001";
const ABSENT: &str = "1002";

/// G.711 costs less than 0.1 dB and leaves correlations above 0.99; the rest is room for a phone that starts
/// its jitter buffer anew. Speech that was cut, swapped or repeated by the switch is far outside.
const LIMITS: Limits =
    Limits { level_db: 1.0, band_db: 3.0, correlation: 0.9, heard: 1.0, delay_spread_ms: 60.0 };

const CALLER_SAYS: &str = "The quick brown fox jumps over the lazy dog. Two phones talk through the switch.";
const CALLEE_SAYS: &str = "She sells sea shells by the sea shore, and every single word has to come back.";

fn skipped(test: &str) -> bool {
    let programs = [&baresip::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    skip::missing(&format!("interop_baresip::{test}"), &programs)
}

/// A switch with two registered phones; the files they play are `caller_s` and `callee_s` seconds long.
struct Lab {
    caller: Phone,
    callee: Phone,
    said_by_caller: Audio,
    said_by_callee: Audio,
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
    fn open(codec: &str, caller_s: u32, callee_s: u32) -> Self {
        Self::over((Over::Udp, Over::Udp), codec, caller_s, callee_s)
    }

    /// The caller's transport, then the callee's.
    fn over(over: (Over, Over), codec: &str, caller_s: u32, callee_s: u32) -> Self {
        let mut switch = Switch::start();
        let say = |name, voice, text, seconds| {
            let file = speech::make(switch.folder(), name, Speech { voice, text, seconds });
            (Audio::read(&file).expect("speech is a 16-bit WAV file"), file)
        };
        let (said_by_caller, caller_file) = say("caller", "en", CALLER_SAYS, caller_s);
        let (said_by_callee, callee_file) = say("callee", "en+f3", CALLEE_SAYS, callee_s);
        let (address, tls, folder) = (switch.address(), switch.tls(), switch.folder().to_owned());
        let certificates = switch.certificates().clone();
        let mut phone = |user, microphone, over| {
            let (server, transport) = match over {
                Over::Udp => (address, Transport::Udp),
                Over::Tcp => (address, Transport::Tcp),
                Over::Tls => (tls, Transport::Tls(&certificates)),
            };
            let settings = Settings { user, password: PASSWORD, server, transport, codec, microphone };
            Phone::start(&folder, &mut switch.ports, settings)
        };
        let caller = phone(CALLER, &caller_file, over.0);
        let callee = phone(CALLEE, &callee_file, over.1);
        caller.registered();
        callee.registered();
        Self { caller, callee, said_by_caller, said_by_callee, switch }
    }

    fn establish(&mut self) {
        self.caller.dial(CALLEE);
        self.callee.rings(CALLER);
        self.caller.hears_ringing();
        self.callee.accept();
        self.callee.talks();
        self.caller.talks();
    }

    /// Judges both recordings after the call.
    fn listen(self) {
        let Self { caller, callee, said_by_caller, said_by_callee, switch } = self;
        let at_callee = Comparison::of(&said_by_caller, &callee.heard());
        let at_caller = Comparison::of(&said_by_callee, &caller.heard());
        println!("callee hears: {at_callee}caller hears: {at_caller}");
        assert!(at_callee.within(&LIMITS), "what the callee heard is not what the caller said: {at_callee}");
        assert!(at_caller.within(&LIMITS), "what the caller heard is not what the callee said: {at_caller}");
        switch.stop();
    }

    fn close(mut self) {
        self.caller.quit();
        self.callee.quit();
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
    lab.establish();
    lab.callee.has_said_all();
    lab.caller.was_hung_up();
    lab.listen();
}

#[test]
fn speech_arrives_both_ways_until_the_caller_hangs_up() {
    if skipped("speech_arrives_both_ways_until_the_caller_hangs_up") {
        return;
    }
    let mut lab = Lab::open("PCMA", 8, 12);
    lab.establish();
    lab.caller.has_said_all();
    lab.callee.was_hung_up();
    lab.listen();
}

#[test]
fn phones_on_tcp_and_on_tls_talk_to_each_other() {
    if skipped("phones_on_tcp_and_on_tls_talk_to_each_other") {
        return;
    }
    let mut lab = Lab::over((Over::Tcp, Over::Tls), "PCMU", 12, 8);
    lab.establish();
    lab.callee.has_said_all();
    lab.caller.was_hung_up();
    lab.listen();
}

#[test]
fn a_phone_on_tls_calls_one_on_udp() {
    if skipped("a_phone_on_tls_calls_one_on_udp") {
        return;
    }
    let mut lab = Lab::over((Over::Tls, Over::Udp), "PCMA", 8, 12);
    lab.establish();
    lab.caller.has_said_all();
    lab.callee.was_hung_up();
    lab.listen();
}

#[test]
fn a_refused_call_is_busy_for_the_caller() {
    if skipped("a_refused_call_is_busy_for_the_caller") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.caller.dial(CALLEE);
    lab.callee.rings(CALLER);
    lab.callee.hang_up();
    lab.caller.closed_with("486");
    assert!(!lab.caller.was_established());
    lab.close();
}

#[test]
fn a_cancelled_call_stops_ringing() {
    if skipped("a_cancelled_call_stops_ringing") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.caller.dial(CALLEE);
    lab.callee.rings(CALLER);
    lab.caller.hears_ringing();
    lab.caller.hang_up();
    lab.callee.closed_with("Connection reset by peer");
    assert!(!lab.callee.was_established());
    lab.close();
}

#[test]
fn a_call_to_a_user_without_a_phone_is_temporarily_unavailable() {
    if skipped("a_call_to_a_user_without_a_phone_is_temporarily_unavailable") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.caller.dial(ABSENT);
    lab.caller.closed_with("480");
    lab.close();
}

#[test]
fn a_call_to_a_number_nobody_has_is_not_found() {
    if skipped("a_call_to_a_number_nobody_has_is_not_found") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.caller.dial("7777");
    lab.caller.closed_with("404");
    lab.close();
}

#[test]
fn a_phone_that_has_left_is_temporarily_unavailable() {
    if skipped("a_phone_that_has_left_is_temporarily_unavailable") {
        return;
    }
    let mut lab = Lab::open("PCMU", 5, 5);
    lab.callee.quit();
    lab.caller.dial(CALLEE);
    lab.caller.closed_with("480");
    lab.caller.quit();
    lab.switch.stop();
}

#[test]
fn a_second_call_follows_the_first() {
    if skipped("a_second_call_follows_the_first") {
        return;
    }
    let mut lab = Lab::open("PCMU", 10, 10);
    lab.establish();
    lab.caller.hang_up();
    lab.callee.was_hung_up();
    lab.callee.forget();
    lab.establish();
    lab.callee.hang_up();
    lab.caller.was_hung_up();
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
