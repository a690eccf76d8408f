//! Kamailio before the switch: two baresip phones register through it and call each other, and the sound that arrives.
//!
//! The proxy's address is that of a peer, so the switch takes its Path from phones that know nothing of Path (RFC 3327
//! §5.3). It stays in the way of their calls (Record-Route), beside a switch that is a party to them and beside one that is a proxy
//! itself. Speech is judged by listening (`tests::compare`). Skipped, loudly, only where a program cannot be installed.

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
        Self::before(Switch::start(), caller_s, callee_s)
    }

    fn before(mut switch: Switch, caller_s: u32, callee_s: u32) -> Self {
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

/// Each end's requests within the call name the proxy in their Route, and ours do: the hold is heard of at both ends.
#[test]
fn hold_resume_and_bye_take_the_route_that_the_proxy_has_recorded() {
    if skipped("hold_resume_and_bye_take_the_route_that_the_proxy_has_recorded") {
        return;
    }
    let mut lab = Lab::open(30, 30);
    lab.establish();
    lab.phones.caller.hold();
    lab.switch.expect("a=sendonly");
    lab.phones.caller.resume();
    lab.switch.expect("a=sendrecv");
    lab.phones.callee.hold();
    lab.switch.expect("a=sendonly");
    lab.phones.callee.resume();
    lab.switch.expect("a=sendrecv");
    lab.phones.callee.hang_up();
    lab.switch.expect(&format!("Route: <sip:{};", lab.proxy.address()));
    lab.phones.caller.was_hung_up();
    lab.phones.quit();
    lab.proxy.stop();
    lab.switch.stop();
}

/// Two proxies in a row: each has recorded its route, and the INVITE has passed Kamailio twice.
#[test]
fn phones_behind_a_proxy_talk_through_a_switch_that_is_a_proxy_too() {
    if skipped("phones_behind_a_proxy_talk_through_a_switch_that_is_a_proxy_too") {
        return;
    }
    for callee_ends in [true, false] {
        let (caller_s, callee_s) = if callee_ends { (12, 8) } else { (8, 12) };
        let mut lab = Lab::before(Switch::start_as_proxy(), caller_s, callee_s);
        lab.establish();
        let (ends, other) = match callee_ends {
            true => (&lab.phones.callee, &lab.phones.caller),
            false => (&lab.phones.caller, &lab.phones.callee),
        };
        ends.has_said_all();
        other.was_hung_up();
        lab.switch.expect("call ended");
        lab.listen();
    }
}
