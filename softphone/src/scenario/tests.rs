//! Reading scenarios: what is understood, and what is said of faults.

use super::script::{Deed, Fact, Sight, StepKind};
use super::{read, read_with};
use crate::phone::{Availability, Lamp};

const CAST: &str = "scenario A\nphone alice 1001\nphone bob 1002\nnumber room 3001\n";

/// The faults of a file whose fifth line is this.
fn faults(line: &str) -> String {
    read("a.scenario", &format!("{CAST}{line}\n")).unwrap_err().to_string()
}

fn step(line: &str) -> StepKind {
    let scenario = read("a.scenario", &format!("{CAST}{line}\n")).unwrap_or_else(|errors| panic!("{errors}"));
    scenario.steps.into_iter().next().unwrap().kind
}

fn facts(line: &str) -> Vec<Fact> {
    match step(line) {
        StepKind::Claim(claim) => claim.facts,
        other @ (StepKind::Deed(..)
        | StepKind::Network(_)
        | StepKind::Restart
        | StepKind::Mailbox(..)
        | StepKind::Order(_)
        | StepKind::RoomOrder(_)
        | StepKind::Wait(_)) => {
            panic!("{line}: {other:?}")
        }
    }
}

#[test]
fn names_stand_for_numbers_and_numbers_for_themselves() {
    for (line, number) in [
        ("alice calls bob", "1002"),
        ("alice calls room", "3001"),
        ("alice calls *21#", "*21#"),
        ("alice calls sip:bob@b.example:5070", "sip:bob@b.example:5070"),
    ] {
        assert_eq!(step(line), StepKind::Deed(vec![0], Deed::Call(number.into())), "{line}");
    }
}

#[test]
fn what_is_watched_and_seen_is_read_and_may_be_introduced_later() {
    let text = "scenario A\nphone alice 1001\n    watches bob, 1003\n    watches its mailbox\nphone bob 1002\n    shows its presence\n\
        alice sees bob ringing\nalice does not see bob on the phone\nalice has 2 new messages\nalice has no new messages\n\
        alice sees nothing of 1003\nbob goes away\nalice stops watching bob\nalice has no call waiting\n\
        switch keeps 2 new messages for bob\nswitch keeps no new messages for bob\n";
    let scenario = read("a.scenario", text).unwrap_or_else(|errors| panic!("{errors}"));
    let alice = &scenario.phones[0];
    assert_eq!(
        (&alice.watches[..], alice.mailbox, alice.publishes),
        (&["1002".into(), "1003".into()][..], true, false)
    );
    assert!(scenario.phones[1].publishes);
    let facts = |at: usize| match &scenario.steps[at].kind {
        StepKind::Claim(claim) => (claim.facts.clone(), claim.wanted),
        other @ (StepKind::Deed(..)
        | StepKind::Network(_)
        | StepKind::Restart
        | StepKind::Mailbox(..)
        | StepKind::Order(_)
        | StepKind::RoomOrder(_)
        | StepKind::Wait(_)) => {
            panic!("{other:?}")
        }
    };
    let bob = || "1002".into();
    assert_eq!(facts(0), (vec![Fact::Sees(0, bob(), Sight::Calls(Lamp::Ringing))], true));
    assert_eq!(facts(1), (vec![Fact::Sees(0, bob(), Sight::Presence(Availability::OnThePhone))], false));
    assert_eq!(facts(2), (vec![Fact::Messages(0, 2)], true));
    assert_eq!(facts(3), (vec![Fact::Messages(0, 0)], true));
    assert_eq!(facts(4), (vec![Fact::Sees(0, "1003".into(), Sight::Nothing)], true));
    assert_eq!(scenario.steps[5].kind, StepKind::Deed(vec![1], Deed::Away(true)));
    assert_eq!(scenario.steps[6].kind, StepKind::Deed(vec![0], Deed::Watch(bob(), false)));
    assert_eq!(facts(7), (vec![Fact::Waiting(0, None)], false));
    assert_eq!(scenario.steps[8].kind, StepKind::Mailbox(bob(), 2));
    assert_eq!(scenario.steps[9].kind, StepKind::Mailbox(bob(), 0));
    assert!(scenario.needs_the_switch());
}

#[test]
fn two_phones_are_connected_with_each_other() {
    let expected = [Fact::Connected(0, Some("1002".into())), Fact::Connected(1, Some("1001".into()))];
    assert_eq!(facts("alice and bob are connected"), expected);
    assert_eq!(facts("alice is connected"), [Fact::Connected(0, None)]);
    assert_eq!(
        facts("alice, bob are connected to room").first(),
        Some(&Fact::Connected(0, Some("3001".into())))
    );
}

#[test]
fn who_hears_each_other_hears_everybody_else_and_not_themselves() {
    assert_eq!(facts("alice and bob hear each other"), [Fact::Hears(0, 800), Fact::Hears(1, 450)]);
    assert_eq!(facts("alice hears only bob and 1004 Hz"), [Fact::HearsOnly(0, vec![800, 1_004])]);
}

#[test]
fn a_phone_is_heard_by_the_tone_it_names_and_called_by_the_number_it_is_given() {
    let text = "scenario A\nphone alice 1001\n    tone 1000 Hz\nalice hears alice\nalice calls alice\n";
    let scenario = read_with("a.scenario", text, &[("alice", "2001")]).unwrap();
    let StepKind::Claim(claim) = &scenario.steps[0].kind else { panic!("{scenario:?}") };
    assert_eq!(claim.facts, [Fact::Hears(0, 1_000)]);
    assert_eq!(scenario.steps[1].kind, StepKind::Deed(vec![0], Deed::Call("2001".into())));
}

#[test]
fn what_is_denied_of_signalling_has_to_hold_at_once() {
    for (line, wanted, within_ms, lasting_ms) in [
        ("bob rings", true, 2_000, 0),
        ("bob does not ring for 2 s", false, 0, 2_000),
        ("alice and bob do not ring", false, 0, 0),
        ("bob is no longer on hold within 1 s", false, 1_000, 0),
        ("bob has no call waiting", false, 0, 0),
        ("bob does not hear alice for 500 ms", false, 1_000, 500),
    ] {
        let StepKind::Claim(claim) = step(line) else { panic!("{line}") };
        let times = (claim.within.as_millis(), claim.lasting.as_millis());
        assert_eq!((claim.wanted, times), (wanted, (within_ms, lasting_ms)), "{line}");
    }
}

#[test]
fn a_fault_names_its_line_and_a_remedy() {
    for (line, said) in [
        ("alice cals bob", "a.scenario:5: a phone cannot \"cals bob\"; did you mean \"calls\"?"),
        ("alicia calls bob", "a.scenario:5: nobody here is called \"alicia\"; did you mean \"alice\"?"),
        ("alice calls zoe", "nobody here is called \"zoe\"; known are \"alice\", \"bob\", \"room\""),
        ("wait 2", "here should stand a time in ms, s or min, not \"2\"; for example: wait 2 s"),
        ("bob rings loudly", "the sentence is complete before \"loudly\""),
        ("bob does not answer", "here should stand something that can be true or not"),
        ("alice's call fails: bussy", "did you mean \"busy\"?"),
        ("    alice calls bob", "a.scenario:5: this line is indented"),
        ("phone bob 1003", "\"bob\" is already the name of what is in line 3"),
        ("phone Bob 1003", "\"Bob\" cannot be a name"),
        ("network loses 101 %", "a share of 0 to 100 %"),
        (
            "alice calls bob\nphone carol 1003",
            "a.scenario:6: \"phone carol 1003\" belongs above the first step",
        ),
        ("# nothing", "nothing happens here"),
        ("alice hears", "nobody here is called the end of the line"),
    ] {
        let faults = faults(line);
        assert!(faults.contains(said), "{line}: {faults}");
    }
}

#[test]
fn all_faults_are_told_at_once_and_the_title_is_missed_once() {
    let errors = read("b.scenario", "phone alice\n    colour red\nalice sings\n").unwrap_err().to_string();
    let lines: Vec<&str> = errors.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["b.scenario:1:", "b.scenario:2:", "b.scenario:3:"], "{errors}");
    assert!(errors.contains("write first: scenario Alice calls Bob"));
}

#[test]
fn the_configuration_of_the_switch_keeps_its_line() {
    let text = format!("{CAST}switch\n    [[route]]\n\n    pattern = \"X\" # any\n\nalice calls bob\n");
    let scenario = read("a.scenario", &text).unwrap();
    let (config, line) = scenario.switch.unwrap();
    assert_eq!((&*config, line), ("    [[route]]\n\n    pattern = \"X\" # any\n\n", 6));
}
