//! The scenario log: what is written replays alone and byte for byte, whatever was going on while it was written.

mod driver;

use driver::{Driver, Memory, config, key};
use proptest::prelude::*;
use softswitch::core::{Input, Output};
use softswitch::log::record::Kind;
use softswitch::log::{Bounds, Ending, Key, ReplayError, Replayed, replay_from};
use std::cell::Cell;
use std::io::Cursor;
use std::rc::Rc;

fn replay(segment: &[u8]) -> Result<Replayed, ReplayError> {
    replay_from(Cursor::new(segment), &key())
}

/// Small enough that buffers, slices and segments change all the time.
fn tight() -> Bounds {
    Bounds { segment: 40_000, slots: 3, buffer: 700, ..Bounds::default() }
}

/// Two rounds of registrations: challenged, then accepted; the last answer of each is told.
fn storm(driver: &mut Driver, users: usize) -> usize {
    let mut accepted = 0;
    for round in 0..4 {
        for user in 0..users {
            accepted += usize::from(driver.register(user));
            driver.maintain();
        }
        driver.pass(20 * round);
    }
    accepted
}

fn one_segment() -> Vec<u8> {
    let mut driver = Driver::new(Bounds::default(), Memory::default());
    assert!(storm(&mut driver, 5) >= 15);
    let mut segments = driver.finish();
    assert_eq!(segments.len(), 1);
    segments.remove(0)
}

/// Where each record begins, and its kind.
fn records(segment: &[u8]) -> Vec<(usize, Kind)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < segment.len() {
        found.push((at, Kind::from_byte(segment[at + 4]).expect("a known kind")));
        let length = segment[at..].first_chunk::<4>().expect("a record has a length");
        at += 4 + u32::from_le_bytes(*length) as usize;
    }
    found
}

#[test]
fn commands_and_their_answers_replay_byte_for_byte() {
    use softswitch::core::command::{Actor, Command, CommandId, Range};
    let mut driver = Driver::new(tight(), Memory::default());
    let commands = [
        Command::Registrations(Range { from: 0, limit: 3 }),
        Command::Calls(Range::default()),
        Command::Reload,
        Command::HangUp { call: "0123456789abcdef".parse().unwrap(), side: None },
    ];
    for (command, number) in commands.iter().cycle().zip(1..40) {
        driver.register(number % 9);
        let actor = [Actor::Operator, Actor::User("1003@default".parse().unwrap())][number % 2].clone();
        let (id, command) = (CommandId(number as u64), Box::new(command.clone()));
        driver.feed(Input::Command { id, actor, command });
        driver.feed(Input::NotConfigured { reason: "\n".into() });
        driver.maintain();
    }
    for segment in driver.finish() {
        assert_eq!(replay(&segment).unwrap().ending, Ending::Closed);
    }
}

#[test]
fn a_segment_replays_byte_for_byte() {
    let replayed = replay(&one_segment()).unwrap();
    assert_eq!(replayed.ending, Ending::Closed);
    assert!(replayed.inputs > 20 && replayed.outputs >= replayed.inputs - 1 && replayed.timeouts > 0);
}

#[test]
fn every_segment_replays_alone_though_its_snapshot_was_written_during_traffic() {
    let mut driver = Driver::new(tight(), Memory::default());
    storm(&mut driver, 100);
    assert_eq!(driver.abandoned, 0);
    let segments = driver.finish();
    assert!(segments.len() > 3, "{} segments", segments.len());
    let mut interleaved = 0;
    for (number, segment) in segments.iter().enumerate() {
        let replayed = replay(segment).unwrap_or_else(|error| panic!("segment {number}: {error}"));
        assert_eq!(replayed.ending, Ending::Closed);
        let kinds: Vec<Kind> = records(segment).iter().map(|(_, kind)| *kind).collect();
        let last_slice = kinds.iter().rposition(|kind| *kind == Kind::Slice).unwrap_or(0);
        interleaved += kinds[..last_slice].iter().filter(|kind| **kind == Kind::Input).count();
    }
    assert!(interleaved > 10, "only {interleaved} inputs came between slices");
}

#[test]
fn a_log_that_breaks_off_anywhere_replays_up_to_there() {
    let segment = one_segment();
    let (mut cut, mut last) = (0, 0);
    for length in (0..segment.len()).step_by(37) {
        match replay(&segment[..length]) {
            Ok(replayed) => {
                assert_eq!(replayed.ending, Ending::Torn);
                assert!(replayed.inputs >= last);
                (cut, last) = (cut + 1, replayed.inputs);
            }
            Err(ReplayError::NoSnapshot | ReplayError::NotALog) => assert_eq!(cut, 0),
            Err(error) => panic!("cut at {length}: {error}"),
        }
    }
    assert!(cut > 100);
}

#[test]
fn zeros_in_place_of_a_tail_are_a_tail_that_was_never_written() {
    let mut segment = one_segment();
    let cut = records(&segment).iter().rev().nth(3).unwrap().0;
    segment[cut..].fill(0);
    assert_eq!(replay(&segment).unwrap().ending, Ending::Torn);
}

#[test]
fn a_changed_byte_of_any_output_is_found_and_told_with_what_led_to_it() {
    let segment = one_segment();
    let outputs: Vec<_> = records(&segment).into_iter().filter(|(_, kind)| *kind == Kind::Output).collect();
    for (at, _) in outputs.into_iter().step_by(3) {
        let length = u32::from_le_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
        for offset in (5..4 + length).step_by(41) {
            let mut changed = segment.clone();
            changed[at + offset] ^= 0x20;
            let Err(ReplayError::Differs(difference)) = replay(&changed) else {
                panic!("at {at} + {offset}")
            };
            assert!(difference.got.is_some());
            assert_ne!(difference.expected, difference.got);
        }
    }
}

#[test]
fn a_difference_is_told_as_readable_sip() {
    let mut segment = one_segment();
    let at = segment.windows(11).position(|window| window == b"SIP/2.0 401").unwrap();
    segment[at + 10] = b'2';
    let told = replay(&segment).unwrap_err().to_string();
    for part in [
        "received UDP 192.0.2.1:5060",
        "    REGISTER sip:192.0.2.1 SIP/2.0\n",
        "    SIP/2.0 402",
        "    SIP/2.0 401",
    ] {
        assert!(told.contains(part), "{part:?} is missing in:\n{told}");
    }
}

#[test]
fn a_changed_input_leads_to_another_output() {
    let mut segment = one_segment();
    let at = segment.windows(13).position(|window| window == b"CSeq: 1 REGIS").unwrap();
    segment[at + 6] = b'9';
    assert!(matches!(replay(&segment), Err(ReplayError::Differs(_))));
}

#[test]
fn an_output_that_is_missing_or_too_many_is_found() {
    let segment = one_segment();
    let records = records(&segment);
    let output = records.iter().position(|(_, kind)| *kind == Kind::Output).unwrap();
    let (start, end) = (records[output].0, records[output + 1].0);
    let mut missing = segment[..start].to_vec();
    missing.extend(&segment[end..]);
    let Err(ReplayError::Differs(difference)) = replay(&missing) else { panic!("a missing output is found") };
    assert!(difference.got.is_some());
    let mut twice = segment[..end].to_vec();
    twice.extend(&segment[start..]);
    let Err(ReplayError::Differs(difference)) = replay(&twice) else { panic!("an output too many is found") };
    assert!(matches!(difference.expected, Some(Output::Transmit(_))));
}

#[test]
fn another_key_opens_nothing() {
    let segment = one_segment();
    let error = replay_from(Cursor::new(&segment), &Key::new([4; 32])).unwrap_err();
    assert!(matches!(error, ReplayError::Sealed { number: 2 }));
}

#[test]
fn keys_stand_in_the_log_sealed_alone_also_after_a_reload() {
    let mut driver = Driver::new(Bounds::default(), Memory::default());
    driver.feed(Input::Configure(Box::new(config())));
    storm(&mut driver, 3);
    let ha1s: Vec<_> = config()
        .domains
        .values()
        .flat_map(|domain| domain.users.values().map(|user| user.credentials.clone()))
        .collect();
    let segment = driver.finish().remove(0);
    assert!(records(&segment).iter().any(|(_, kind)| *kind == Kind::SealedInput));
    assert_eq!(ha1s.len(), 100);
    for ha1 in ha1s {
        // A tag, then the sixteen bytes of MD5.
        let plain = postcard::to_allocvec(&ha1).unwrap();
        assert_eq!(plain[0], 1);
        assert!(!segment.windows(16).any(|window| window == &plain[1..17]));
    }
    replay(&segment).unwrap();
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    for bytes in [&b""[..], b"x", b"SIP/2.0 200 OK\r\n\r\n", &[0; 64]] {
        assert!(matches!(replay(bytes), Err(ReplayError::NotALog)));
    }
}

#[test]
fn a_log_of_another_version_is_refused_by_name() {
    let mut segment = one_segment();
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let at = segment.windows(version.len()).position(|window| window == version).unwrap();
    segment[at] = b'9';
    assert!(matches!(replay(&segment), Err(ReplayError::Version { found }) if found.starts_with('9')));
}

#[test]
fn when_the_sink_is_behind_the_segment_is_given_up_and_a_later_one_replays() {
    let room = Rc::new(Cell::new(6));
    let memory = Memory { room: Some(Rc::clone(&room)), ..Memory::default() };
    let mut driver = Driver::new(Bounds { buffer: 700, ..Bounds::default() }, memory);
    while driver.abandoned == 0 {
        driver.register(1);
        driver.maintain();
    }
    driver.now.0 += 4_900_000_000;
    room.set(usize::MAX);
    assert!(driver.register(1), "calls go on");
    driver.maintain();
    driver.now.0 += 200_000_000;
    driver.maintain();
    assert!(driver.register(1));
    assert_eq!(driver.abandoned, 1, "told once");
    let segments = driver.finish();
    assert_eq!(segments.len(), 2, "none was begun before its time");
    assert_eq!(replay(&segments[0]).unwrap().ending, Ending::Torn);
    let second = replay(&segments[1]).unwrap();
    assert_eq!((second.inputs, second.ending), (1, Ending::Closed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_anywhere_is_an_error_or_harmless_and_never_a_panic(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut segment = one_segment();
        let at = at.index(segment.len());
        segment[at] ^= 1 << bit;
        let _ = replay(&segment);
    }

    #[test]
    fn segments_replay_whatever_their_bounds(
        segment in 500..60_000u64, slots in 1..40usize, buffer in 1..5_000usize, users in 1..60usize,
    ) {
        let mut driver = Driver::new(Bounds { segment, slots, buffer, ..Bounds::default() }, Memory::default());
        storm(&mut driver, users);
        for segment in driver.finish() {
            prop_assert_eq!(replay(&segment).unwrap().ending, Ending::Closed);
        }
    }
}
