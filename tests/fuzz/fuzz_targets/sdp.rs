//! Fuzz target `sdp`; what it does and asserts is said in `tests/src/fuzz/sdp.rs`.

#![no_main]

#[allow(dead_code, unused_imports, reason = "each target runs one of the bodies")]
#[path = "../../src/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::sdp(data));
