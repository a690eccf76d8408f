//! What happened, line by line for a person, and as one number to compare runs by.

use sha2::{Digest, Sha256};
use sip_stack::Time;

/// The lines of a run, and the hash of every byte of it.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Vec<String>,
    hash: Sha256,
}

impl Trace {
    /// Notes that something happened: `line` is for people, `bytes` is what exactly it was.
    pub fn note(&mut self, now: Time, line: String, bytes: &[u8]) {
        self.hash.update(now.0.to_le_bytes());
        self.hash.update(line.as_bytes());
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
        self.lines.push(format!("{:>12.3} ms  {line}", now.0 as f64 / 1e6));
    }

    /// The hash of the run so far.
    pub fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// How many lines contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The run so far, for the message of a failed test.
    pub fn story(&self) -> String {
        self.lines.join("\n")
    }
}
