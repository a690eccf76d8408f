//! The reference model of the switch looks on while fifty phones do whatever the lots say: every call has its ends, its record and its
//! hearers. And it finds each fault that is planted.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use tests::model::sabotage::Fault;
use tests::office::mischief::Mischief;
use tests::office::{self, Office, Planted, act};

/// Seeds that are tried: more by `OFFICE_RUNS`, others by `OFFICE_FIRST`. The example `office` tries as many as one likes.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let first = number("OFFICE_FIRST").unwrap_or(1);
    first..first + number("OFFICE_RUNS").unwrap_or(6)
}

#[test]
fn whatever_fifty_phones_do_the_switch_does_what_the_model_says_and_nothing_is_left() {
    let mut all = office::Report::default();
    let mut complaints = Vec::new();
    for seed in seeds() {
        let report = office::run(seed, office::DEEDS, None);
        all.add(&report);
        complaints.extend(report.complaint);
    }
    assert!(complaints.is_empty(), "{} runs\n{}", complaints.len(), complaints.join("\n\n"));
    let runs = seeds().count();
    assert!(all.done > 100 * runs && all.ends > 20 * runs && all.calls > 20 * runs, "{all:?}");
}

/// A fault is planted; the model complains of it in the first run in which it can, for the right reason.
fn assert_caught(planted: Planted, reasons: &[&str]) {
    let mut said = String::new();
    for seed in 1..6 {
        let office = Office::live(seed, &act::draw(seed, 120), Some(planted));
        let complaints = office.complaints();
        if reasons.iter().any(|reason| complaints.contains(reason)) {
            return;
        }
        said += &complaints;
    }
    panic!("{planted:?} is not found; what was said: {said}");
}

macro_rules! planted {
    ($($name:ident $mischief:ident)*) => {
        const PLANTED: &[Mischief] = &[$(Mischief::$mischief),*];
        $(#[test]
        fn $name() {
            let found = Mischief::ALL.into_iter().find(|(mischief, _)| *mischief == Mischief::$mischief);
            let (mischief, reasons) = found.unwrap();
            assert_caught(Planted::Mischief(mischief), reasons);
        })*
    };
}

planted! {
    a_record_that_is_written_twice_is_caught RecordDoubled
    a_call_without_a_record_is_caught RecordMissing
    a_record_that_says_another_one_hung_up_is_caught OtherHungUp
    a_record_without_one_of_its_attempts_is_caught AttemptMissing
    an_event_that_is_lost_is_caught EventLost
    a_call_whose_end_is_not_told_is_caught EndUntold
    a_port_that_is_not_given_back_is_caught PortLeaked
    a_leg_that_outlives_its_call_is_caught LegLeft
    a_lamp_that_stays_on_is_caught LampStuck
    parties_that_hear_another_call_are_caught WrongPartner
    a_party_on_hold_that_hears_the_other_is_caught HoldLeaks
}

#[test]
fn every_mischief_there_is_is_planted() {
    assert_eq!(PLANTED, Mischief::ALL.map(|(mischief, _)| mischief));
}

#[test]
fn an_ack_that_never_leaves_is_caught() {
    assert_caught(Planted::Fault(Fault::AckNever), &["NeverAcknowledged"]);
}

#[test]
fn a_2xx_that_is_repeated_and_not_acknowledged_again_is_caught() {
    assert_caught(Planted::Fault(Fault::AckOnce), &["AckNotRepeated"]);
}
