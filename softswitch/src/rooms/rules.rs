//! What the operator has decided of a room.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Members of a room at most, whatever its rules say.
pub const MOST_MEMBERS: u32 = 10_000;
/// Digits of a code at most.
pub const LONGEST_CODE: usize = 16;

/// The rules of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// What it is called.
    pub name: Option<Box<str>>,
    /// Dialled by whoever comes in.
    pub pin: Option<Code>,
    /// Dialled instead by who comes in as a moderator.
    pub moderator_pin: Option<Code>,
    /// Users who come in as moderators, without any code.
    pub moderators: Vec<Box<str>>,
    /// Members at a time.
    pub most: u32,
    /// Whether users see it in lists, and may watch who is in it.
    pub listed: bool,
    /// How those in it learn that somebody comes or goes.
    pub signal: Signal,
    /// Whether who comes is told how many there are.
    pub announce: bool,
    /// Nobody comes in before a moderator does.
    pub wait_for_moderator: bool,
    /// Who comes is muted, and may change that.
    pub mute_on_entry: bool,
    /// It is over when the last moderator has left.
    pub end_with_moderator: bool,
    /// The language it speaks to callers who have none of their own.
    pub language: Option<Box<str>>,
    /// It was made by being dialled: who is there longest is its moderator.
    pub is_ad_hoc: bool,
}

/// How those in a room learn that somebody comes or goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Not at all.
    #[default]
    None,
    /// Two short tones, rising or falling.
    Tones,
    /// In words.
    Words,
}

impl Signal {
    /// The signal of this word of the configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Signal> {
        match word {
            "none" => Some(Signal::None),
            "tones" => Some(Signal::Tones),
            "words" => Some(Signal::Words),
            _ => None,
        }
    }
}

/// Those of a room that is made by being dialled.
impl Default for Rules {
    fn default() -> Rules {
        Rules {
            name: None,
            pin: None,
            moderator_pin: None,
            moderators: Vec::new(),
            most: MOST_MEMBERS,
            listed: true,
            signal: Signal::None,
            announce: false,
            wait_for_moderator: false,
            mute_on_entry: false,
            end_with_moderator: false,
            language: None,
            is_ad_hoc: true,
        }
    }
}

impl Rules {
    /// Whether a user comes in as a moderator without a code.
    #[must_use]
    pub fn names_moderator(&self, user: &str) -> bool {
        self.moderators.iter().any(|known| **known == *user)
    }

    /// Whether callers who are not named as moderators are asked for a code.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.pin.is_some() || self.moderator_pin.is_some()
    }
}

/// A code that is dialled; never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code(Box<str>);

impl Code {
    /// A code of 1 to [`LONGEST_CODE`] digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Code> {
        let is_code =
            (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then(|| Code(text.into()))
    }

    /// Its digits.
    pub(crate) fn digits(&self) -> &str {
        &self.0
    }

    /// Whether one of the two begins with the other: which one is meant could not be told while it is dialled.
    #[must_use]
    pub fn overlaps(&self, other: &Code) -> bool {
        self.0.starts_with(&*other.0) || other.0.starts_with(&*self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}
