//! The bodies of the fuzz targets for a moment, on inputs that are the same in every run.
//!
//! The long runs are `./dev fuzz message`, `./dev fuzz sdp` and `./dev fuzz endpoint`; what they find is added here.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::fs;

use tests::fuzz::{self, Generator};

/// What the fuzzer found in the target `message`, made short.
const FOUND_IN_MESSAGES: [&[u8]; 1] = [
    // a URI with the same parameter twice was not equal to itself
    b"sip:a;r=1;r=2",
];

/// What to start from: messages of RFC 4475, descriptions of sessions.
fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = tests::root().join("tests/corpora").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn no_mutation_of_the_torture_messages_breaks_the_parser() {
    let seeds = seeds("rfc4475");
    assert_eq!(seeds.len(), 50, "RFC 4475 has fifty messages");
    let mut generator = Generator(4475);
    for seed in &seeds {
        fuzz::message(seed);
        for _ in 0..200 {
            fuzz::message(&generator.mutated(seed));
        }
    }
}

#[test]
fn no_mutation_of_a_description_breaks_the_reading_and_the_answering_of_it() {
    let seeds = seeds("sdp");
    assert!(seeds.len() > 20, "the seeds are there");
    let mut generator = Generator(8866);
    for seed in &seeds {
        fuzz::sdp(seed);
        for _ in 0..200 {
            fuzz::sdp(&generator.mutated(seed));
        }
    }
}

#[test]
fn what_the_fuzzer_found_stays_mended() {
    for input in FOUND_IN_MESSAGES {
        fuzz::message(input);
    }
}

#[test]
fn no_bytes_at_all_break_the_parser() {
    let mut generator = Generator(1);
    for _ in 0..2000 {
        let length = generator.below(300);
        fuzz::message(&generator.bytes(length));
    }
}

#[test]
fn no_sequence_of_operations_breaks_an_endpoint() {
    let mut generator = Generator(3261);
    for _ in 0..600 {
        let length = generator.below(500);
        fuzz::endpoint(&generator.bytes(length));
    }
}
