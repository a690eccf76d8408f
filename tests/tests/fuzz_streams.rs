//! The bodies of the fuzz targets for streams for a moment, on inputs that are the same in every run.
//!
//! The long runs are `./dev fuzz stream_framing` and `./dev fuzz web_socket`; what they find is added to the seeds.

use tests::corpus;
use tests::fuzz::{self, Generator};

/// The seeds, mutations of them, and bytes without sense.
fn run(body: fn(&[u8]), seeds: &[Vec<u8>], mut generator: Generator) {
    assert!(seeds.len() > 10, "the seeds are there");
    for seed in seeds {
        body(seed);
        for _ in 0..300 {
            body(&generator.mutated(seed));
        }
    }
    for _ in 0..1000 {
        let length = generator.below(300);
        body(&generator.bytes(length));
    }
}

#[test]
fn no_stream_breaks_the_framing() {
    run(fuzz::stream_framing, &corpus("stream_framing"), Generator(3261));
}

#[test]
fn messages_one_after_another_are_framed_however_they_are_mutated() {
    let mut generator = Generator(18);
    let seeds = corpus("stream_framing");
    for _ in 0..2000 {
        let one = &seeds[generator.below(seeds.len())];
        let two = &seeds[generator.below(seeds.len())];
        fuzz::stream_framing(&generator.mutated(&[&one[..], two].concat()));
    }
}

#[test]
fn no_stream_breaks_the_web_socket() {
    run(fuzz::web_socket, &corpus("web_socket"), Generator(6455));
}
