//! What the tests share: programs and how to run them, phones, speech, and the judge of a recording.
//!
//! The tests themselves are in `tests/tests`, one behaviour or one peer a file. Nothing here sleeps: whoever
//! waits, waits for an event (a line of output, the end of a process, a bound socket) with a deadline.

pub mod audio;
pub mod baresip;
pub mod certificates;
pub mod compare;
pub mod freshness;
pub mod fuzz;
pub mod linphone;
pub mod ports;
pub mod process;
pub mod sim;
pub mod sipp;
pub mod skip;
pub mod speech;
pub mod switch;
pub mod web_phone;

use std::path::{Path, PathBuf};

/// The root folder of the repository.
///
/// # Panics
/// Never: this crate lies directly below the root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the root")
}

/// The folder cargo builds into: `CARGO_TARGET_DIR`, or `target` in the root.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}
