//! The bodies of the fuzz targets for a moment, on inputs that are the same in every run.
//!
//! The long runs are `./dev fuzz message`, `./dev fuzz sdp` and `./dev fuzz endpoint`; what they find is added here.

use tests::corpus;
use tests::fuzz::{self, Generator};

/// What the fuzzer found in the target `message`, made short.
const FOUND_IN_MESSAGES: [&[u8]; 1] = [
    // a URI with the same parameter twice was not equal to itself
    b"sip:a;r=1;r=2",
];

#[test]
fn no_mutation_of_the_torture_messages_breaks_the_parser() {
    let seeds = corpus("rfc4475");
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
    let seeds = corpus("sdp");
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
fn no_mutation_of_a_document_of_an_event_package_breaks_its_parser() {
    let mut generator = Generator(6665);
    for document in fuzz::DOCUMENTS {
        fuzz::event_body(document.as_bytes());
        for _ in 0..400 {
            fuzz::event_body(&generator.mutated(document.as_bytes()));
        }
    }
}

/// Inputs that together reach what the long runs have reached.
#[test]
fn what_the_long_runs_have_kept_is_taken() {
    let run = |target: &str, body: fn(&[u8])| {
        let kept = corpus(&format!("{target}/kept"));
        assert!(kept.len() > 50, "{target}: {}", kept.len());
        kept.iter().for_each(|input| body(input));
    };
    run("sdp", fuzz::sdp);
    run("stream_framing", fuzz::stream_framing);
    run("web_socket", fuzz::web_socket);
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
