//! SIPp at the switch at a modest rate: it registers and calls; every call must go as its scenario says.
//!
//! Outcomes only: how long a call took, and whether a message had to be sent again, is for measurements on a
//! quiet machine. `scenarios/README.md` shows the same scenarios run by hand at full rate.

use tests::sipp::{self, Outcome, Run, Sipp};
use tests::skip;
use tests::switch::Switch;

const CALLS: u32 = 50;
const RATE: u32 = 10;
/// More than one call rings or talks at a time, fewer than the switch has media ports for.
const PAUSE_MS: u32 = 300;

fn skipped(test: &str) -> bool {
    skip::missing(&format!("interop_sipp::{test}"), &sipp::PROGRAMS)
}

/// A switch, and the port the far ends answer on.
struct Lab {
    switch: Switch,
    port: u16,
    /// Of the callers.
    transport: &'static str,
}

impl Lab {
    /// A switch with the users of the file `callees` registered from one port.
    fn with(callees: &str) -> Self {
        Self::of(Switch::start(), callees)
    }

    fn of(mut switch: Switch, callees: &str) -> Self {
        let port = switch.ports.udp(1);
        let mut lab = Self { switch, port, transport: "u1" };
        let register = Run {
            scenario: "register",
            users: Some(callees),
            calls: CALLS,
            rate: CALLS,
            pause_ms: 0,
            transport: "u1",
        };
        lab.run(port, register).finish().all_successful(CALLS);
        lab
    }

    fn run(&mut self, port: u16, run: Run<'_>) -> Sipp {
        let (folder, server) = (self.switch.folder().to_owned(), self.switch.address());
        Sipp::start(&folder, server, port, &mut self.switch.ports, run)
    }

    fn call(&mut self, scenario: &str, users: &str) -> Outcome {
        let port = self.switch.ports.udp(1);
        let users = Some(users);
        let transport = self.transport;
        self.run(port, Run { scenario, users, calls: CALLS, rate: RATE, pause_ms: PAUSE_MS, transport })
            .finish()
    }

    /// The scenario `caller` with the numbers of the file `users`, answered by the scenario `callee`.
    fn calls(&mut self, caller: &str, users: &str, callee: &str) {
        let answering = Run {
            scenario: callee,
            users: None,
            calls: CALLS,
            rate: RATE,
            pause_ms: PAUSE_MS,
            transport: "u1",
        };
        let answering = self.run(self.port, answering);
        let called = self.call(caller, users);
        let answered = answering.finish();
        called.all_successful(CALLS);
        answered.all_successful(CALLS);
    }
}

#[test]
fn every_call_is_answered_and_ended_by_the_caller() {
    if skipped("every_call_is_answered_and_ended_by_the_caller") {
        return;
    }
    let mut lab = Lab::with("callees");
    lab.calls("uac", "calls", "uas");
    lab.switch.stop();
}

#[test]
fn every_call_from_tcp_to_udp_is_answered_and_ended_by_the_caller() {
    if skipped("every_call_from_tcp_to_udp_is_answered_and_ended_by_the_caller") {
        return;
    }
    let mut lab = Lab { transport: "t1", ..Lab::with("callees") };
    lab.calls("uac", "calls", "uas");
    lab.switch.stop();
}

#[test]
fn every_call_is_answered_and_ended_by_the_callee() {
    if skipped("every_call_is_answered_and_ended_by_the_callee") {
        return;
    }
    let mut lab = Lab::with("callees");
    lab.calls("uac_wait_bye", "calls", "uas_bye");
    lab.switch.stop();
}

#[test]
fn every_cancelled_call_ends_with_487_on_both_sides() {
    if skipped("every_cancelled_call_ends_with_487_on_both_sides") {
        return;
    }
    let mut lab = Lab::with("callees");
    lab.calls("uac_cancel", "calls", "uas_no_answer");
    lab.switch.stop();
}

#[test]
fn every_busy_callee_is_busy_for_the_caller() {
    if skipped("every_busy_callee_is_busy_for_the_caller") {
        return;
    }
    let mut lab = Lab::with("callees");
    lab.calls("uac_busy", "calls", "uas_busy");
    lab.switch.stop();
}

#[test]
fn every_call_nobody_answers_ends_with_480_and_is_cancelled() {
    if skipped("every_call_nobody_answers_ends_with_480_and_is_cancelled") {
        return;
    }
    let mut lab = Lab::with("patient_callees");
    lab.calls("uac_unavailable", "patient_calls", "uas_no_answer");
    lab.switch.stop();
}

#[test]
fn every_call_to_a_user_without_a_phone_ends_with_480() {
    if skipped("every_call_to_a_user_without_a_phone_ends_with_480") {
        return;
    }
    let mut lab = Lab { switch: Switch::start(), port: 0, transport: "u1" };
    lab.call("uac_unavailable", "calls").all_successful(CALLS);
    lab.switch.stop();
}

#[test]
fn calls_reach_a_static_peer() {
    if skipped("calls_reach_a_static_peer") {
        return;
    }
    let switch = Switch::start();
    let port = switch.peer_port;
    let mut lab = Lab { switch, port, transport: "u1" };
    lab.calls("uac", "peer_calls", "uas");
    lab.switch.stop();
}

#[test]
fn what_happened_live_happens_again_in_a_replay() {
    if skipped("what_happened_live_happens_again_in_a_replay") {
        return;
    }
    let mut lab = Lab::with("callees");
    lab.calls("uac", "calls", "uas");
    lab.calls("uac_cancel", "calls", "uas_no_answer");
    lab.calls("uac_busy", "calls", "uas_busy");
    lab.switch.stop_and_replay();
}

/// The switch is the proxy of both: their own messages reach the other side, by its Record-Route.
#[test]
fn every_call_passes_through_a_switch_that_is_a_proxy() {
    if skipped("every_call_passes_through_a_switch_that_is_a_proxy") {
        return;
    }
    for (transport, caller, callee) in [
        ("u1", "uac", "uas"),
        ("t1", "uac", "uas"),
        ("u1", "uac_wait_bye", "uas_bye"),
        ("u1", "uac_cancel", "uas_no_answer"),
        ("u1", "uac_busy", "uas_busy"),
    ] {
        let mut lab = Lab { transport, ..Lab::of(Switch::start_as_proxy(), "callees") };
        lab.calls(caller, "calls", callee);
        lab.switch.stop_and_replay();
    }
}
