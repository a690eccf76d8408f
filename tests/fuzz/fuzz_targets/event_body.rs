//! Fuzz target `event_body`; what it does and asserts is said in `tests/src/fuzz/event_body.rs`.

#![no_main]

#[allow(dead_code, unused_imports, reason = "each target runs one of the bodies")]
#[path = "../../src/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::event_body(data));
