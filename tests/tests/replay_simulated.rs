//! The scenario log of a lossy simulated run replays with the same outputs byte for byte, from any of its segments.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::phone::{AutoAnswer, Command};
use softswitch::log::{self, Bounds};
use std::io::Cursor;
use std::time::Duration;
use tests::sim::log::KEY;
use tests::sim::scene::{self, CONFIG, await_connected, dial, registered};
use tests::sim::{Faults, World};

fn lossy_run(bounds: Bounds) -> (World, Vec<Vec<u8>>) {
    let mut world = scene::world(11, Faults::lossy(15));
    world.keep_log(bounds);
    let caller = registered(&mut world, "1001", AutoAnswer::Never);
    registered(&mut world, "1002", AutoAnswer::Always);
    registered(&mut world, "1003", AutoAnswer::Never);
    let plan = [("1002", 3_000), ("1003", 700), ("1999", 500), ("1002", 9_000)];
    for (number, patience_ms) in plan.into_iter().cycle().take(20) {
        let call = dial(&mut world, caller, number);
        if number == "1002" {
            await_connected(&mut world, caller, call);
            world.speak(caller, call, 20);
        }
        world.run_for(Duration::from_millis(patience_ms));
        let _ = world.command(caller, Command::HangUp { call });
        assert!(world.run_to_rest(scene::LONG));
    }
    world.reload(CONFIG);
    world.run_for(Duration::from_secs(700));
    let segments = world.finish_log();
    (world, segments)
}

#[test]
fn a_lossy_run_replays_byte_for_byte() {
    let (world, segments) = lossy_run(Bounds::default());
    let [segment] = &segments[..] else { panic!("{} segments", segments.len()) };
    let replayed = log::replay_from(Cursor::new(segment), &KEY).unwrap();
    assert!(replayed.inputs > 100 && replayed.outputs > 100, "{replayed}");
    assert!(world.trace.count("CANCEL") > 0 && world.trace.count("BYE") > 0);
}

#[test]
fn every_segment_replays_alone() {
    let small = Bounds { segment: 1_024, slots: 2, ..Bounds::default() };
    let (_, segments) = lossy_run(small);
    assert!(segments.len() > 3, "{} segments", segments.len());
    for segment in &segments {
        log::replay_from(Cursor::new(segment), &KEY).unwrap();
    }
}
