//! A JsSIP phone over WebSocket, plain and in TLS (RFC 7118): registration with digest, OPTIONS, and its end.
//!
//! Calls with browsers need SRTP and ICE, which the switch does not speak yet.

use tests::baresip::{self, Phone, Settings, Transport};
use tests::skip;
use tests::speech::{self, Speech};
use tests::switch::{PASSWORD, Switch};
use tests::web_phone::{self, WebPhone};

fn registers_and_asks(test: &str, secure: bool) {
    if web_phone::missing(&format!("interop_web_phone::{test}")) {
        return;
    }
    let switch = Switch::start();
    let (url, authority) = if secure {
        (format!("wss://{}", switch.secure_web_socket()), Some(&switch.certificates().authority))
    } else {
        (format!("ws://{}", switch.web_socket()), None)
    };
    let mut phone = WebPhone::start(&url, "1000", authority);
    phone.has("options 1000", "options 200");
    phone.has("register", "registered 200");
    phone.has("unregister", "unregistered");
    phone.has("quit", "disconnected");
    switch.stop_and_replay();
}

#[test]
fn a_web_phone_registers_and_asks_over_web_socket() {
    registers_and_asks("a_web_phone_registers_and_asks_over_web_socket", false);
}

#[test]
fn a_web_phone_registers_and_asks_over_secure_web_socket() {
    registers_and_asks("a_web_phone_registers_and_asks_over_secure_web_socket", true);
}

#[test]
fn a_web_phone_that_vanished_is_offline_at_once() {
    let test = "interop_web_phone::a_web_phone_that_vanished_is_offline_at_once";
    let programs = [&baresip::PROGRAMS[..], &speech::PROGRAMS[..]].concat();
    if web_phone::missing(test) || skip::missing(test, &programs) {
        return;
    }
    let mut switch = Switch::start();
    let mut web = WebPhone::start(&format!("ws://{}", switch.web_socket()), "1001", None);
    web.has("register", "registered 200");
    web.vanish();
    switch.expect("unregistered user=1001");
    let speech = Speech { voice: "en", text: "Is anybody there?", seconds: 2 };
    let microphone = speech::make(switch.folder(), "caller", speech);
    let settings = Settings {
        user: "1000",
        password: PASSWORD,
        server: switch.address(),
        transport: Transport::Udp,
        codec: "PCMU",
        microphone: &microphone,
    };
    let folder = switch.folder().to_owned();
    let mut caller = Phone::start(&folder, &mut switch.ports, settings);
    caller.registered();
    caller.dial("1001");
    caller.closed_with("480");
    switch.stop_and_replay();
}
