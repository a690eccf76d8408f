//! The switch is killed with calls up, and started again: nothing that it has acknowledged is lost.
//!
//! How long anything takes is not judged: other tests keep the machine busy. `benches/examples/crash.rs` does it with more calls, and
//! with a clock.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use benches::crash::{Crowd, Plan};
use std::time::Duration;
use tests::ports::Ports;

const CALLS: usize = 20;

#[test]
fn a_switch_that_is_killed_keeps_registrations_records_and_recordings_and_tells_both_parties_of_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut ports = Ports::claim();
    let port = ports.udp(1);
    let wanted = 4 * CALLS as u16 + 40;
    let first = ports.udp(wanted);
    let plan = Plan {
        binary: tests::switch::binary(),
        folder: folder.path().to_owned(),
        port,
        media: (first, first + wanted - 1),
        calls: CALLS,
        phones: 50,
        // A registration or call of a second's age is kept, however busy the machine is with other tests.
        talk: Duration::from_secs(4),
    };
    plan.configure();
    let mut running = plan.start();
    let mut crowd = Crowd::new(&plan);
    crowd.register_all();
    for kill in 1..=3 {
        let round;
        (running, round) = plan.round(&mut crowd, running);
        assert_eq!(round.faults(None), Vec::<String>::new(), "kill {kill}: {round}");
    }
    running.stop();
}
