//! Nothing is left: whatever the world outside did, whatever was lost or doubled on the way, once the last timer has run
//! out the switch holds nothing, and transactions have ended within the times of RFC 3261 and RFC 6026.

mod outside;
mod world;

use proptest::prelude::*;
use world::World;

/// Deeds of the outside in a run.
const DEEDS: usize = 100;

#[test]
fn nothing_is_left_in_the_runs_that_are_always_the_same() {
    for seed in 0..40 {
        World::run(seed, DEEDS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_of_anything_when_the_last_timer_has_run_out(seed in any::<u64>(), deeds in 1..DEEDS) {
        World::run(seed, deeds);
    }
}
