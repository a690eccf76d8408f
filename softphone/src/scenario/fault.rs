//! What can be wrong with a scenario file: one variant per fault, each with what it needs to say where and what to do.

use core::fmt;
use thiserror::Error;

/// Faults that are shown at a time.
const LISTED: usize = 20;
/// Characters of a text from the file that are shown.
const SHOWN: usize = 60;

/// All faults of one file, in the order of their lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioErrors {
    file: Box<str>,
    errors: Vec<ScenarioError>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The fault and its remedy.
    pub fault: Fault,
}

impl ScenarioErrors {
    pub(super) fn new(file: &str, mut errors: Vec<ScenarioError>) -> ScenarioErrors {
        errors.sort_by_key(|error| error.line);
        ScenarioErrors { file: file.into(), errors }
    }

    /// The faults, in the order of their lines.
    pub fn errors(&self) -> &[ScenarioError] {
        &self.errors
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().take(LISTED).enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{}:{}: {}", self.file.escape_debug(), error.line, error.fault)?;
        }
        match self.errors.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more errors", self.file.escape_debug()),
        }
    }
}

impl std::error::Error for ScenarioErrors {}

/// A text of the file, as it may be shown: escaped, and cut where it is long.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(pub(super) Box<str>);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            _ if self.0.is_empty() => f.write_str("the end of the line"),
            None => write!(f, "{:?}", self.0),
            Some((cut, _)) => write!(f, "{:?}…", self.0.split_at(cut).0),
        }
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The first line that says something is no title.
    #[error("a scenario begins with what it is about; write first: scenario Alice calls Bob")]
    NoTitle,
    /// Nothing happens.
    #[error("nothing happens here; write steps below the phones, for example: alice calls bob")]
    NoSteps,
    /// The set-up goes on after the first step.
    #[error("{0} belongs above the first step; move this line up")]
    TooLate(Quoted),
    /// A line is indented that nothing is above to hold it.
    #[error("this line is indented, but only what follows `phone` and `switch` is; begin it at the margin")]
    Indented,
    /// A step begins with somebody or something that was not introduced.
    #[error("nobody here is called {word}; {}", Advice { nearest: nearest.as_deref(), known, add: "a line like: phone alice 1001" })]
    Unknown {
        /// The word.
        word: Quoted,
        /// The name that looks most like it.
        nearest: Option<Box<str>>,
        /// Every name.
        known: Vec<Box<str>>,
    },
    /// A name is given twice.
    #[error("{name} is already the name of what is in line {line}; choose another one")]
    Twice {
        /// The name.
        name: Quoted,
        /// Where it was given first.
        line: u32,
    },
    /// A name that is a word of the format, or no word at all.
    #[error("{0} cannot be a name; take a word of small letters and digits that means nothing else here")]
    BadName(Quoted),
    /// No sentence goes on like that.
    #[error("{subject} cannot {found}; {}", Advice { nearest: *nearest, known, add: "nothing: the README of the scenarios tells what each means" })]
    NoSuchSentence {
        /// Who does it: "a phone", "the network", "the switch".
        subject: &'static str,
        /// What stands there.
        found: Quoted,
        /// The sentence that looks most like it.
        nearest: Option<&'static str>,
        /// How sentences go on.
        known: Vec<&'static str>,
    },
    /// Something else should stand there.
    #[error("here should stand {expected}, not {found}; for example: {example}")]
    Expected {
        /// What.
        expected: &'static str,
        /// What stands there.
        found: Quoted,
        /// A line that is right.
        example: &'static str,
    },
    /// The sentence was complete before its end.
    #[error("the sentence is complete before {0}; take that away, or write it as a step of its own")]
    More(Quoted),
}

/// "did you mean X?", or the list of everything known.
struct Advice<'a, T> {
    nearest: Option<&'a str>,
    known: &'a [T],
    add: &'static str,
}

impl<T: AsRef<str>> fmt::Display for Advice<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = self.nearest {
            return write!(f, "did you mean \"{nearest}\"?");
        }
        if self.known.is_empty() {
            return write!(f, "add {}", self.add);
        }
        f.write_str("known are ")?;
        for (index, known) in self.known.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}\"{}\"", known.as_ref())?;
        }
        Ok(())
    }
}

/// The known word or phrase that looks most like what was written, if one does.
pub(super) fn nearest<'a, T: AsRef<str>>(found: &str, known: &'a [T]) -> Option<&'a str> {
    let scored = known.iter().map(|known| (strsim::jaro_winkler(found, known.as_ref()), known.as_ref()));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score > 0.8).map(|(_, known)| known)
}
