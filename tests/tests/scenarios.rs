//! Every file of `scenarios/` in the simulated world: over a good network and over those it asks for, with several seeds.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use softphone::scenario::script::{Deed, Step, StepKind};
use softphone::scenario::{Report, Scenario, read};
use std::fs;
use tests::root;
use tests::sim::{Faults, stage};

const SEEDS: u64 = 3;

/// The examples of the README: blocks of code that begin with a title.
fn examples() -> Vec<Scenario> {
    let text = fs::read_to_string(root().join("scenarios/README.md")).unwrap();
    let mut examples: Vec<String> = Vec::new();
    let mut in_example = false;
    for line in text.lines() {
        let code = line.strip_prefix("    ");
        in_example = match code {
            Some(code) if code.starts_with("scenario ") => {
                examples.push(String::new());
                true
            }
            Some(_) => in_example,
            None => in_example && line.is_empty(),
        };
        if let Some(example) = examples.last_mut().filter(|_| in_example) {
            example.push_str(code.unwrap_or_default());
            example.push('\n');
        }
    }
    let read = |text: &String| read("scenarios/README.md", text).unwrap_or_else(|errors| panic!("{errors}"));
    examples.iter().map(read).collect()
}

/// The files of the folder itself, in the order of their names.
fn scenarios() -> Vec<Scenario> {
    scenarios_in("scenarios")
}

/// Those of a folder.
fn scenarios_in(folder: &str) -> Vec<Scenario> {
    let mut files: Vec<_> =
        fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "scenario"));
    files.sort();
    let read_one = |file: &std::path::PathBuf| {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
        read(name, &fs::read_to_string(file).unwrap()).unwrap_or_else(|errors| panic!("{errors}"))
    };
    files.iter().map(read_one).collect()
}

/// The flows of an RFC, over a network that loses nothing and over those that lose 5 and 20 %; each names its section.
fn assert_flows(folder: &str, rfc: &str) {
    let flows = scenarios_in(folder);
    let mut played = Vec::new();
    for flow in &flows {
        assert_eq!(flow.losses, [5, 20], "{}", flow.file);
        let text = fs::read_to_string(root().join(&*flow.file)).unwrap();
        let comment = text.lines().find(|line| line.starts_with('#')).unwrap_or_default();
        let section = flow.file.rsplit('/').next().unwrap();
        let number: Vec<&str> = section.split('_').take_while(|part| part.parse::<u8>().is_ok()).collect();
        let named = format!("# {rfc}, section {}.", number.join("."));
        assert!(comment.starts_with(&named), "{}: {comment}", flow.file);
        for (seed, loss) in (1..=SEEDS).flat_map(|seed| [0, 5, 20].map(|loss| (seed, loss))) {
            let faults = if loss == 0 { Faults::NONE } else { Faults::lossy(loss) };
            played.push((seed, loss, play(flow, seed, faults)));
        }
    }
    assert_passed(&played);
}

#[test]
fn every_flow_of_rfc_3665_that_there_is_goes_as_it_says_at_every_loss() {
    assert_flows("scenarios/rfc3665", "RFC 3665");
}

#[test]
fn every_flow_of_rfc_5359_that_there_is_goes_as_it_says_at_every_loss() {
    assert_flows("scenarios/rfc5359", "RFC 5359");
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
fn the_examples_of_the_readme_go_as_they_say() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    let played = examples.iter().flat_map(|scenario| {
        let losses = scenario.losses.iter().map(|loss| (*loss, Faults::lossy(*loss)));
        let networks = core::iter::once((0, Faults::NONE)).chain(losses);
        networks.map(move |(loss, faults)| (1, loss, play(scenario, 1, faults)))
    });
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

/// The scenario up to a step, and then a phone hangs up at that moment; in the end everybody does.
fn cut(scenario: &Scenario, steps: usize, who: Option<usize>) -> Scenario {
    let mut cut = scenario.clone();
    cut.steps.truncate(steps);
    cut.steps.extend(who.map(|who| Step {
        line: 0,
        text: "hangs up".into(),
        kind: StepKind::Deed(vec![who], Deed::HangUp(None)),
    }));
    cut
}

#[test]
fn whoever_hangs_up_after_whichever_step_nothing_is_left() {
    hang_up_in(0);
}

#[test]
fn whoever_hangs_up_after_whichever_step_of_the_other_half_nothing_is_left() {
    hang_up_in(1);
}

/// One half of the scenarios, every second one: two cores play them.
fn hang_up_in(half: usize) {
    let mut played = Vec::new();
    for scenario in scenarios().into_iter().skip(half).step_by(2) {
        // Sound and waiting change nothing of what could be left.
        let deeds =
            scenario.steps.iter().zip(1..).filter(|(step, _)| !matches!(step.kind, StepKind::Wait(_)));
        for (_, steps) in deeds.filter(|(step, _)| !step.text.contains("hear")) {
            for who in (0..scenario.phones.len()).map(Some).chain([None]) {
                let report = play(&cut(&scenario, steps, who), 1, Faults::NONE);
                // Who has no call cannot hang up.
                let idle = report.failure.as_ref().is_some_and(|failure| failure.what.contains("cannot"));
                if !idle {
                    played.push((1, 0, report));
                }
            }
        }
    }
    assert!(played.len() > 150, "{}", played.len());
    assert_passed(&played);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let scenario = scenarios().into_iter().find(|scenario| !scenario.losses.is_empty()).unwrap();
    let [one, other] = [1, 1].map(|seed| play(&scenario, seed, Faults::lossy(20)));
    assert_eq!(one, other);
    assert_ne!(one, play(&scenario, 2, Faults::lossy(20)));
}

#[test]
fn what_is_not_so_fails_at_its_line_and_says_what_is_so() {
    let talk = "alice calls bob\nbob rings\nbob answers\nalice and bob hear each other\n";
    for (steps, line, said) in [
        ("bob falls silent\nwait 1 s\nalice hears bob\n", 10, "hears nothing"),
        ("alice hears nothing\n", 8, "hears 800 Hz for 200 of the last 200 ms"),
        ("alice does not hear bob within 2 s\n", 8, "it did not come to that within 2 s"),
        (
            "alice hears bob for 2 s\nbob mutes\nalice hears bob for 2 s\n",
            10,
            "it was not so for 2 s, beginning within 1 s",
        ),
        ("alice presses 123\nwait 2 s\nbob gets digits 12\n", 10, "digits 123"),
        ("alice hangs up\nbob's call ends: hung up by bob\n", 9, "hung up by the other side"),
        ("alice is not connected\n", 8, "call with 1002: connected"),
        ("bob answers\n", 8, "bob cannot: there is no call that rings"),
        ("switch has 2 calls\n", 8, "switch: 1 calls"),
        ("bob receives CANCEL\n", 8, "it did not come to that within 2 s"),
    ] {
        let text = format!("scenario Wrong\nphone alice 1001\nphone bob 1002\n{talk}{steps}");
        let report = play(&read("wrong.scenario", &text).unwrap(), 1, Faults::NONE);
        let failure = report.failure.as_ref().unwrap_or_else(|| panic!("nothing failed: {steps}"));
        assert_eq!(failure.line, line, "{report}");
        assert!(report.to_string().contains(said), "{report}");
    }
}

#[test]
fn who_cannot_register_is_told_with_the_reason() {
    let switch = "switch\n    [[user]]\n    id = \"1001\"\n    password = \"another\"\n";
    let text = format!("scenario Wrong\nphone alice 1001\n{switch}wait 1 s\n");
    let report = play(&read("wrong.scenario", &text).unwrap(), 1, Faults::NONE);
    let failure = report.failure.unwrap();
    assert_eq!(failure.line, 2);
    assert!(failure.what.contains("did not accept the user name and password"), "{}", failure.what);
}

#[test]
fn a_fault_in_the_configuration_of_the_switch_has_its_line_in_the_file() {
    let text = "scenario Wrong\nphone alice 1001\nswitch\n    [[route]]\n    patern = \"30XX\"\nwait 1 s\n";
    let scenario = read("wrong.scenario", text).unwrap();
    let errors = stage::play(&scenario, 1, Faults::NONE).unwrap_err().to_string();
    assert!(errors.contains("wrong.scenario:5: unknown key \"patern\""), "{errors}");
}
