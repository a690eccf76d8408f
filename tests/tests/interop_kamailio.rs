//! Kamailio before the switch: two baresip phones register through it and call each other, and the sound that arrives.
//!
//! The proxy's address is that of a peer, so the switch takes its Path from phones that know nothing of Path (RFC 3327
//! §5.3). Speech is judged by listening (`tests::compare`). Skipped, loudly, only where a program cannot be installed.

use tests::baresip::Transport;
use tests::kamailio::{self, Kamailio};
use tests::pair::{self, Line, Pair};
use tests::skip;
use tests::switch::Switch;

fn skipped(test: &str) -> bool {
    let programs = [pair::programs(), kamailio::PROGRAMS.to_vec()].concat();
    skip::missing(&format!("interop_kamailio::{test}"), &programs)
}

/// A switch, the proxy before it, and two phones that know the proxy alone.
struct Lab {
    phones: Pair,
    proxy: Kamailio,
    switch: Switch,
}

impl Lab {
    /// The files the phones play are `caller_s` and `callee_s` seconds long.
    fn open(caller_s: u32, callee_s: u32) -> Self {
        let mut switch = Switch::start();
        let (folder, registrar) = (switch.folder().to_owned(), switch.address());
        let proxy = Kamailio::start(&folder, &mut switch.ports, registrar);
        let line = |seconds| Line { server: proxy.address(), transport: Transport::Udp, seconds };
        let (caller, callee) = (line(caller_s), line(callee_s));
        let phones = Pair::register(&folder, &mut switch.ports, "PCMU", caller, callee);
        switch.expect(&format!("Path: <sip:{};lr;received=", proxy.address()));
        Self { phones, proxy, switch }
    }

    /// A call, which has to take the way of the registration back (RFC 3327 §5.3).
    fn establish(&mut self) {
        self.phones.establish();
        self.switch.expect(&format!("Route: <sip:{};lr;received=", self.proxy.address()));
    }

    /// Judges both recordings after the call.
    fn listen(self) {
        self.phones.listen();
        self.proxy.stop();
        self.switch.stop();
    }
}

#[test]
fn phones_behind_a_proxy_talk_until_the_callee_hangs_up() {
    if skipped("phones_behind_a_proxy_talk_until_the_callee_hangs_up") {
        return;
    }
    let mut lab = Lab::open(12, 8);
    lab.establish();
    lab.phones.callee.has_said_all();
    lab.phones.caller.was_hung_up();
    lab.listen();
}

#[test]
fn phones_behind_a_proxy_talk_until_the_caller_hangs_up() {
    if skipped("phones_behind_a_proxy_talk_until_the_caller_hangs_up") {
        return;
    }
    let mut lab = Lab::open(8, 12);
    lab.establish();
    lab.phones.caller.has_said_all();
    lab.phones.callee.was_hung_up();
    lab.listen();
}
