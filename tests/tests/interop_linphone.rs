//! linphonec and baresip, the switch between them: registration over UDP, TCP and TLS, and the sound that arrives.
//!
//! Speech is judged by listening (`tests::compare`). Skipped, loudly, only where a phone or the makers of speech cannot
//! be installed.

use tests::audio::Audio;
use tests::baresip::{self, Phone, Settings, Transport};
use tests::compare::{Comparison, Limits};
use tests::linphone::{self, Linphone};
use tests::skip;
use tests::speech::{self, Speech};
use tests::switch::{PASSWORD, Switch};

/// As for two baresip phones.
const AT_BARESIP: Limits =
    Limits { level_db: 1.0, band_db: 3.0, correlation: 0.9, heard: 1.0, delay_spread_ms: 60.0 };

/// linphonec follows the sender's clock by leaving out or repeating 10 ms now and then, more often on a busy machine: a
/// half second with such a place in it correlates badly with its source.
const AT_LINPHONE: Limits =
    Limits { level_db: 1.0, band_db: 3.0, correlation: 0.8, heard: 0.5, delay_spread_ms: 250.0 };

const LINPHONE: &str = "1000";
const BARESIP: &str = "1001";

#[derive(Clone, Copy)]
enum Over {
    Udp,
    Tcp,
    Tls,
}

/// Registers both phones, has `caller` call the other, and judges what each heard.
fn talk(test: &str, over: Over, caller: &str) {
    let programs = [&baresip::PROGRAMS[..], &linphone::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skip::missing(&format!("interop_linphone::{test}"), &programs) {
        return;
    }
    let mut switch = Switch::start();
    let say = |name, voice, text, seconds| {
        let file = speech::make(switch.folder(), name, Speech { voice, text, seconds });
        (Audio::read(&file).expect("speech is a 16-bit WAV file"), file)
    };
    // baresip ends the call when its file is over
    let (said_by_linphone, linphone_file) =
        say("linphone", "en", "The quick brown fox jumps over the lazy dog, and the switch listens.", 12);
    let (said_by_baresip, baresip_file) =
        say("baresip", "en+f3", "She sells sea shells by the sea shore, and every word has to come back.", 9);
    let (address, tls, folder) = (switch.address(), switch.tls(), switch.folder().to_owned());
    let certificates = switch.certificates().clone();
    let (server, transport) = match over {
        Over::Udp => (address, Transport::Udp),
        Over::Tcp => (address, Transport::Tcp),
        Over::Tls => (tls, Transport::Tls(&certificates)),
    };
    let settings = |user, server, transport, microphone| Settings {
        user,
        password: PASSWORD,
        server,
        transport,
        codec: "PCMU",
        microphone,
    };
    let first = settings(LINPHONE, server, transport, &linphone_file);
    let mut linphone = Linphone::start(&folder, &mut switch.ports, first);
    let second = settings(BARESIP, address, Transport::Udp, &baresip_file);
    let mut baresip = Phone::start(&folder, &mut switch.ports, second);
    linphone.registered();
    baresip.registered();
    if caller == LINPHONE {
        linphone.dial(BARESIP);
        baresip.rings(LINPHONE);
        baresip.accept();
    } else {
        baresip.dial(LINPHONE);
        linphone.accepts(BARESIP);
    }
    linphone.talks();
    baresip.talks();
    baresip.has_said_all();
    linphone.was_hung_up();
    let at_baresip = Comparison::of(&said_by_linphone, &baresip.heard());
    let at_linphone = Comparison::of(&said_by_baresip, &linphone.heard());
    println!("baresip hears: {at_baresip}linphonec hears: {at_linphone}");
    assert!(at_baresip.within(&AT_BARESIP), "what baresip heard is not what linphonec said: {at_baresip}");
    assert!(at_linphone.within(&AT_LINPHONE), "what linphonec heard is not what baresip said: {at_linphone}");
    switch.stop();
}

#[test]
fn linphone_calls_over_udp() {
    talk("linphone_calls_over_udp", Over::Udp, LINPHONE);
}

#[test]
fn linphone_on_tcp_is_called() {
    talk("linphone_on_tcp_is_called", Over::Tcp, BARESIP);
}

#[test]
fn linphone_on_tls_is_called() {
    talk("linphone_on_tls_is_called", Over::Tls, BARESIP);
}

#[test]
fn linphone_leaves_it_to_its_user_to_answer_the_intercom() {
    let programs = [&baresip::PROGRAMS[..], &linphone::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if skip::missing("interop_linphone::linphone_leaves_it_to_its_user_to_answer_the_intercom", &programs) {
        return;
    }
    let user = |id: &str, more: &str| format!("[[user]]\nid = \"{id}\"\npassword = \"{PASSWORD}\"\n{more}");
    let mut switch = Switch::start_with(&(user(LINPHONE, "") + &user(BARESIP, "may_page = true\n")));
    let text = "The meeting begins in five minutes.";
    let microphone = speech::make(switch.folder(), "said", Speech { voice: "en", text, seconds: 8 });
    let (server, folder) = (switch.address(), switch.folder().to_owned());
    let settings = |user| Settings {
        user,
        password: PASSWORD,
        server,
        transport: Transport::Udp,
        codec: "PCMU",
        microphone: &microphone,
    };
    let mut linphone = Linphone::start(&folder, &mut switch.ports, settings(LINPHONE));
    let mut baresip = Phone::start(&folder, &mut switch.ports, settings(BARESIP));
    linphone.registered();
    baresip.registered();
    baresip.dial(&format!("*80{LINPHONE}"));
    // What it is asked for it does not do, and nothing else comes of it.
    linphone.accepts(BARESIP);
    linphone.talks();
    baresip.talks();
    baresip.has_said_all();
    linphone.was_hung_up();
    switch.stop();
}
