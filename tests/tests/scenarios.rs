//! Every file of `scenarios/` in the simulated world: over a good network and over those it asks for, with several seeds.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::scenario::{Report, Scenario, read};
use std::fs;
use tests::root;
use tests::sim::{Faults, stage};

const SEEDS: u64 = 3;

/// The files, in the order of their names.
fn scenarios() -> Vec<Scenario> {
    let mut files: Vec<_> =
        fs::read_dir(root().join("scenarios")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "scenario"));
    files.sort();
    let read_one = |file: &std::path::PathBuf| {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
        read(name, &fs::read_to_string(file).unwrap()).unwrap_or_else(|errors| panic!("{errors}"))
    };
    files.iter().map(read_one).collect()
}

fn play(scenario: &Scenario, seed: u64, faults: Faults) -> Report {
    stage::play(scenario, seed, faults).unwrap_or_else(|errors| panic!("{errors}"))
}

fn assert_passed(reports: &[(u64, u32, Report)]) {
    let failed: Vec<String> = reports
        .iter()
        .filter(|(_, _, report)| report.failure.is_some())
        .map(|(seed, loss, report)| format!("seed {seed}, {loss} % loss: {report}"))
        .collect();
    assert!(failed.is_empty(), "{} of {} failed\n{}", failed.len(), reports.len(), failed.join("\n"));
}

#[test]
fn every_scenario_goes_as_it_says() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 12, "{} scenarios", scenarios.len());
    let played = scenarios
        .iter()
        .flat_map(|scenario| (1..=SEEDS).map(move |seed| (seed, 0, play(scenario, seed, Faults::NONE))));
    assert_passed(&played.collect::<Vec<_>>());
}

#[test]
fn every_scenario_that_says_so_goes_the_same_way_under_loss_and_reordering() {
    let scenarios = scenarios();
    let lossy =
        scenarios.iter().flat_map(|scenario| scenario.losses.iter().map(move |loss| (scenario, *loss)));
    let played = lossy.flat_map(|(scenario, loss)| {
        (1..=SEEDS).map(move |seed| (seed, loss, play(scenario, seed, Faults::lossy(loss))))
    });
    assert_passed(&played.collect::<Vec<_>>());
}

#[test]
fn the_same_seed_is_the_same_run() {
    let scenario = scenarios().into_iter().find(|scenario| !scenario.losses.is_empty()).unwrap();
    let [one, other] = [1, 1].map(|seed| play(&scenario, seed, Faults::lossy(20)));
    assert_eq!(one, other);
    assert_ne!(one, play(&scenario, 2, Faults::lossy(20)));
}
