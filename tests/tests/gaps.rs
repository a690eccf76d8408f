//! The gap of a call that moves, in virtual time: how many packets nobody hears.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::time::Duration;
use tests::gaps::{Kind, of, scenario};
use tests::sim::{Faults, stage};

/// A packet.
const PACKET: Duration = Duration::from_millis(20);

#[test]
fn a_call_that_moves_is_heard_again_within_so_many_packets() {
    for kind in Kind::ALL {
        let (scenario, gaps) = scenario(kind, 5);
        for seed in 1..=3 {
            let report = stage::play(&scenario, seed, Faults::NONE).unwrap();
            assert!(report.failure.is_none(), "{report}");
            let found = of(&report, &gaps);
            assert_eq!(found.len(), 5, "{kind:?}");
            let longest = *found.last().unwrap();
            // Two ways through the network, the packet that is being collected, and the buffer against jitter.
            assert!(longest <= 7 * PACKET, "{kind:?}: {longest:?} of {found:?}");
        }
    }
}
