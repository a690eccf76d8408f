//! How a scenario went.

use core::fmt;
use std::time::Duration;

/// How a scenario went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is about.
    pub title: Box<str>,
    /// Its file.
    pub file: Box<str>,
    /// How long it took, in its own time.
    pub took: Duration,
    /// When each step was done or came true, in order: its line, and the time since the beginning.
    pub moments: Vec<(u32, Duration)>,
    /// Steps that could not be looked at from outside of the switch.
    pub skipped: Vec<Skipped>,
    /// The first thing that was not as it should be; nothing after it was looked at.
    pub failure: Option<Failure>,
}

/// A step that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its line in the file.
    pub line: u32,
    /// The sentence.
    pub text: Box<str>,
}

/// Something was not as the scenario says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The line in the file.
    pub line: u32,
    /// The sentence.
    pub text: Box<str>,
    /// What is wrong with it.
    pub what: Box<str>,
    /// What was true instead, phone by phone.
    pub instead: Box<str>,
    /// What happened last, oldest first.
    pub story: Vec<Box<str>>,
}

impl fmt::Display for Report {
    /// A line when it went well, and the failure at length when it did not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.escape_debug();
        let verdict = if self.failure.is_some() { "FAILED" } else { "passed" };
        let title = self.title.escape_debug();
        write!(f, "{verdict}  {file}: {title} ({:.1} s)", self.took.as_secs_f64())?;
        for Skipped { line, text } in &self.skipped {
            write!(
                f,
                "\n  skipped {file}:{line}: {} (seen inside of the switch alone)",
                text.escape_debug()
            )?;
        }
        let Some(Failure { line, text, what, instead, story }) = &self.failure else { return Ok(()) };
        writeln!(f, "\n{file}:{line}: \"{}\": {what}. Instead:", text.escape_debug())?;
        f.write_str(instead)?;
        writeln!(f, "What happened last:")?;
        story.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
