//! Sound that is made and not received.
//!
//! Left out on purpose: files, which a thread of their own reads.

mod oscillator;

pub use oscillator::{Oscillator, amplitude, sine};
