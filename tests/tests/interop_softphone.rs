//! Our own phone with our switch, with SIPp, with baresip and with linphonec, over UDP, TCP and TLS: calls both ways, the sound compared
//! with its source, hold, keys, and exit codes that tell the outcome. Skipped, loudly, where the makers of speech or a phone
//! cannot be installed.

use std::path::{Path, PathBuf};

use tests::audio::Audio;
use tests::baresip::{self, Phone, Settings, Transport};
use tests::compare::{Comparison, Limits};
use tests::linphone::{self, Linphone};
use tests::sipp::{self, Run, Sipp};
use tests::skip;
use tests::softphone::{Headless, Softphone, Task};
use tests::speech::{self, Speech};
use tests::switch::{PASSWORD, Switch};

/// Opus is no copy of the wave; sound passes two resamplers and a jitter buffer, which a busy machine makes work.
const LIMITS: Limits =
    Limits { level_db: 1.5, band_db: 4.0, correlation: 0.8, heard: 0.7, delay_spread_ms: 120.0 };

/// linphonec leaves out or repeats 10 ms of what it hears now and then.
const AT_LINPHONE: Limits =
    Limits { level_db: 1.5, band_db: 4.0, correlation: 0.8, heard: 0.5, delay_spread_ms: 250.0 };

const CALLER_SAYS: &str = "The quick brown fox jumps over the lazy dog. Two phones talk through the switch.";
const CALLEE_SAYS: &str = "She sells sea shells by the sea shore, and every single word has to come back.";

fn skipped(test: &str, programs: &[&str]) -> bool {
    skip::missing(&format!("interop_softphone::{test}"), programs)
}

fn speech(folder: &Path, name: &str, text: &str, seconds: u32) -> (PathBuf, Audio) {
    let file = speech::make(folder, name, Speech { voice: "en", text, seconds });
    let said = Audio::read(&file).expect("speech is a 16-bit WAV file");
    (file, said)
}

#[track_caller]
fn is_heard(who: &str, said: &Audio, heard: Audio) {
    is_heard_within(who, said, heard, &LIMITS);
}

#[track_caller]
fn is_heard_within(who: &str, said: &Audio, heard: Audio, limits: &Limits) {
    let comparison = Comparison::of(said, &heard.at_8_khz());
    println!("{who} hears: {comparison}");
    assert!(comparison.within(limits), "what {who} heard is not what was said: {comparison}");
}

#[test]
fn two_softphones_hear_each_other_in_every_codec() {
    if skipped("two_softphones_hear_each_other_in_every_codec", &speech::PROGRAMS) {
        return;
    }
    for codec in ["opus", "g722", "pcma"] {
        let mut switch = Switch::start();
        let (server, folder) = (switch.address(), switch.folder().to_owned());
        let (caller_file, caller_said) = speech(&folder, "caller", CALLER_SAYS, 8);
        let (callee_file, callee_said) = speech(&folder, "callee", CALLEE_SAYS, 10);
        let task = |user, says| Task { user, server, codecs: codec, says, options: &[] };
        let callee = Softphone::listen(&folder, &mut switch.ports, task("1001", &callee_file));
        let caller = Softphone::call(&folder, &mut switch.ports, task("1000", &caller_file), "1001");
        callee.tells("from=\"sip:1000@");
        let at_caller = caller.heard(0);
        callee.tells("ended by=\"them\"");
        let at_callee = callee.heard(0);
        is_heard(&format!("the callee ({codec})"), &caller_said, at_callee);
        is_heard(&format!("the caller ({codec})"), &callee_said, at_caller);
        switch.stop();
    }
}

#[test]
fn a_softphone_and_baresip_call_each_other() {
    let programs = [&baresip::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skipped("a_softphone_and_baresip_call_each_other", &programs) {
        return;
    }
    for softphone_calls in [true, false] {
        let mut switch = Switch::start();
        let (server, folder) = (switch.address(), switch.folder().to_owned());
        let (ours, our_said) = speech(&folder, "ours", CALLER_SAYS, 8);
        let (theirs, their_said) = speech(&folder, "theirs", CALLEE_SAYS, 12);
        let settings = Settings {
            user: "1001",
            password: PASSWORD,
            server,
            transport: Transport::Udp,
            codec: "PCMU",
            microphone: &theirs,
        };
        let mut phone = Phone::start(&folder, &mut switch.ports, settings);
        phone.registered();
        let task = Task { user: "1000", server, codecs: "opus,g722,pcmu", says: &ours, options: &[] };
        let softphone = if softphone_calls {
            let softphone = Softphone::call(&folder, &mut switch.ports, task, "1001");
            phone.rings("1000");
            phone.accept();
            softphone
        } else {
            let softphone = Softphone::listen(&folder, &mut switch.ports, task);
            phone.dial("1000");
            softphone
        };
        phone.talks();
        // Its file is the shorter one, and ends the call.
        let at_softphone = softphone.heard(0);
        is_heard("baresip", &our_said, phone.heard());
        is_heard("the softphone", &their_said, at_softphone);
        switch.stop();
    }
}

#[test]
fn a_headless_phone_holds_resumes_and_presses_keys() {
    let mut switch = Switch::start();
    let (server, folder) = (switch.address(), switch.folder().to_owned());
    let mut callee = Headless::start(&folder, &mut switch.ports, "1001", server);
    let mut caller = Headless::start(&folder, &mut switch.ports, "1000", server);
    caller.tell("call 1001", "calling call=1");
    callee.tells("incoming account=0 call=1");
    callee.tell("answer", "connected call=1");
    caller.tells("connected call=1");
    caller.tell("hold", "held call=1 held=true");
    caller.tell("resume", "held call=1 held=false");
    caller.tell("dial 5#", "ok");
    callee.tells("digit call=1 digit=\"5\"");
    callee.tells("digit call=1 digit=\"#\"");
    callee.tell("hold", "held call=1 held=true");
    caller.tell("status", "\"registered\":true");
    caller.tell("hangup", "ended by=\"us\" call=1");
    callee.tells("ended by=\"them\" call=1");
    caller.tell("sing", "error \"\\\"sing\\\" is not understood\"");
    caller.quit();
    callee.quit();
    switch.stop();
}

#[test]
fn exit_codes_tell_the_outcome() {
    if skipped("exit_codes_tell_the_outcome", &speech::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    let (server, folder) = (switch.address(), switch.folder().to_owned());
    let (says, _) = speech(&folder, "said", "Hello.", 3);
    let mut code = |user, number: &str, code, options: &[&str]| {
        let task = Task { user, server, codecs: "pcmu", says: &says, options };
        Softphone::call(&folder, &mut switch.ports, task, number).leaves(code);
    };
    code("1000", "7777", 6, &[]);
    code("1000", "1002", 5, &[]);
    code("7000", "1002", 1, &[]);
    let mut busy = Headless::start(&folder, &mut switch.ports, "1001", server);
    busy.tell("dnd on", "ok");
    let task = Task { user: "1000", server, codecs: "pcmu", says: &says, options: &[] };
    Softphone::call(&folder, &mut switch.ports, task, "1001").leaves(4);
    busy.tells("turned_away account=0");
    busy.tell("dnd off", "ok");
    let options = ["--wait", "1"];
    Softphone::call(&folder, &mut switch.ports, Task { options: &options, ..task }, "1001").leaves(5);
    busy.quit();
    switch.stop();
}

#[test]
fn a_softphone_over_tcp_and_one_over_tls_hear_each_other() {
    if skipped("a_softphone_over_tcp_and_one_over_tls_hear_each_other", &speech::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    let (address, tls, folder) = (switch.address(), switch.tls(), switch.folder().to_owned());
    let authority = switch.certificates().authority.to_string_lossy().into_owned();
    let (caller_file, caller_said) = speech(&folder, "caller", CALLER_SAYS, 8);
    let (callee_file, callee_said) = speech(&folder, "callee", CALLEE_SAYS, 10);
    let task = |user, server, says, options| Task { user, server, codecs: "opus", says, options };
    let over_tls = ["--transport", "tls", "--tls-authorities", authority.as_str()];
    let callee = task("1001", tls, callee_file.as_path(), &over_tls[..]);
    let callee = Softphone::listen(&folder, &mut switch.ports, callee);
    let caller = task("1000", address, caller_file.as_path(), &["--transport", "tcp"][..]);
    let caller = Softphone::call(&folder, &mut switch.ports, caller, "1001");
    let at_caller = caller.heard(0);
    callee.tells("ended by=\"them\"");
    let at_callee = callee.heard(0);
    is_heard("the callee over TLS", &caller_said, at_callee);
    is_heard("the caller over TCP", &callee_said, at_caller);
    switch.stop();
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_in_words() {
    if skipped("a_certificate_that_nobody_vouches_for_is_refused_in_words", &speech::PROGRAMS) {
        return;
    }
    let mut switch = Switch::start();
    let (server, folder) = (switch.tls(), switch.folder().to_owned());
    let (says, _) = speech(&folder, "said", "Hello.", 3);
    let task = Task { user: "1000", server, codecs: "pcmu", says: &says, options: &["--transport", "tls"] };
    let mut caller = Softphone::call(&folder, &mut switch.ports, task, "1001");
    caller.leaves(3);
    caller.tells("issued by nobody who is trusted here");
    switch.stop();
}

#[test]
fn a_softphone_and_linphone_call_each_other() {
    let programs = [&linphone::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skipped("a_softphone_and_linphone_call_each_other", &programs) {
        return;
    }
    for softphone_calls in [true, false] {
        let mut switch = Switch::start();
        let (server, folder) = (switch.address(), switch.folder().to_owned());
        let (ours, our_said) = speech(&folder, "ours", CALLER_SAYS, 9);
        let (theirs, their_said) = speech(&folder, "theirs", CALLEE_SAYS, 12);
        let settings = Settings {
            user: "1001",
            password: PASSWORD,
            server,
            transport: Transport::Udp,
            codec: "PCMU",
            microphone: &theirs,
        };
        let mut phone = Linphone::start(&folder, &mut switch.ports, settings);
        phone.registered();
        let task = Task { user: "1000", server, codecs: "opus,g722,pcmu", says: &ours, options: &[] };
        let softphone = if softphone_calls {
            let softphone = Softphone::call(&folder, &mut switch.ports, task, "1001");
            phone.accepts("1000");
            softphone
        } else {
            let softphone = Softphone::listen(&folder, &mut switch.ports, task);
            phone.dial("1000");
            softphone
        };
        phone.talks();
        // Its file is the shorter one, and ends the call.
        let at_softphone = softphone.heard(0);
        phone.was_hung_up();
        is_heard_within("linphonec", &our_said, phone.heard(), &AT_LINPHONE);
        is_heard("the softphone", &their_said, at_softphone);
        switch.stop();
    }
}

#[test]
fn a_softphone_calls_sipp_and_is_called_by_it_and_hears_what_sipp_sends_back() {
    let test = "a_softphone_calls_sipp_and_is_called_by_it_and_hears_what_sipp_sends_back";
    if skipped(test, &[&sipp::PROGRAMS[..], &speech::PROGRAMS[..]].concat()) {
        return;
    }
    let mut switch = Switch::start();
    let (server, folder) = (switch.address(), switch.folder().to_owned());
    let (file, said) = speech(&folder, "said", CALLER_SAYS, 8);
    let task = |user| Task { user, server, codecs: "opus,pcmu", says: &file, options: &[] };
    // It hangs up before the file is at its end.
    let run = |scenario, users| Run { scenario, users, calls: 1, rate: 1, pause_ms: 7_000, transport: "u1" };
    let callee = Sipp::start(&folder, server, switch.peer_port, &mut switch.ports, run("uas", None));
    let caller = Softphone::call(&folder, &mut switch.ports, task("1000"), "8000");
    is_heard("the caller", &said, caller.heard(0));
    callee.finish().all_successful(1);
    let port = switch.ports.udp(1);
    let callee = Softphone::listen(&folder, &mut switch.ports, task("1500"));
    let caller = Sipp::start(&folder, server, port, &mut switch.ports, run("uac", Some("calls")));
    callee.tells("ended by=\"them\"");
    is_heard("the callee", &said, callee.heard(0));
    caller.finish().all_successful(1);
    switch.stop();
}
