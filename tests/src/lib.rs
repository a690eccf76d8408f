//! What the tests share: programs and how to run them, phones, speech, and the judge of a recording.
//!
//! The tests themselves are in `tests/tests`, one behaviour or one peer a file. Nothing here sleeps: whoever
//! waits, waits for an event (a line of output, the end of a process, a bound socket) with a deadline.

pub mod asterisk;
pub mod audio;
pub mod baresip;
pub mod certificates;
pub mod compare;
pub mod dnsmasq;
pub mod freshness;
pub mod fuzz;
pub mod gaps;
pub mod kamailio;
pub mod linphone;
pub mod model;
pub mod office;
pub mod pair;
pub mod ports;
pub mod process;
pub mod sim;
pub mod sipp;
pub mod skip;
pub mod softphone;
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

/// The inputs in a folder of `tests/corpora`, in the order of their names.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = root().join("tests/corpora").join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}

/// The folder cargo builds into: `CARGO_TARGET_DIR`, or `target` in the root.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A program of ours, as `./dev test` builds it: with the checks of the dev profile, or, where `LIVE_PROFILE` is `release`, as users have it.
///
/// # Panics
/// When it is missing or older than its sources: a test of it would prove nothing.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let profile = std::env::var("LIVE_PROFILE").unwrap_or_else(|_| "debug".to_owned());
    let binary = target().join(profile).join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    freshness::check(&binary).unwrap_or_else(|stale| panic!("{stale}"));
    binary
}
