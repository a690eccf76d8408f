//! The one way for a test to say that it did not run: loudly.
//!
//! A live test may be skipped for one reason only: a program it talks to cannot be installed here. It then
//! prints `SKIP <test>: <reason>` and adds the line to the file named by `SKIPS` (default: `skips` in the
//! target folder), which `.ci/run` compares with `docs/interop.md`. Everything else that is missing is a failure.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

/// Where a program of this name would be started from, if it is in `PATH`.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// True, and the skip is reported, when one of `programs` is not installed. `test` is `file::function`.
///
/// # Panics
/// When the skip cannot be written down: a silent skip is worse than a failure.
#[must_use]
pub fn missing(test: &str, programs: &[&str]) -> bool {
    let absent: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if absent.is_empty() {
        return false;
    }
    report(test, &format!("not installed: {}", absent.join(", ")));
    true
}

/// As [`missing`], for what is no program: a package in a folder of its own.
///
/// # Panics
/// As [`missing`].
#[must_use]
pub fn missing_files(test: &str, files: &[PathBuf]) -> bool {
    let absent = files.iter().filter(|file| !file.exists()).filter_map(|file| file.file_name());
    let absent: Vec<_> = absent.map(|name| name.to_string_lossy()).collect();
    if absent.is_empty() {
        return false;
    }
    report(test, &format!("not installed: {}", absent.join(", ")));
    true
}

fn report(test: &str, reason: &str) {
    println!("SKIP {test}: {reason}");
    let file = std::env::var_os("SKIPS").map_or_else(|| crate::target().join("skips"), PathBuf::from);
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("a skip is written down");
    // one write: tests in other processes append to the same file
    file.write_all(format!("SKIP {test}: {reason}\n").as_bytes()).expect("a skip is written down");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name_alone() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }

    #[test]
    fn nothing_is_skipped_when_every_program_is_there() {
        assert!(!missing("skip::tests", &["sh", "cat"]));
    }
}
