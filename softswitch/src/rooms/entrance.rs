//! The code that a caller is asked for: three tries, each ended by the last digit, by `#`, or by a pause.
//!
//! A right code is taken with its last digit. Where there is a code of moderators alone, who dials nothing comes in as a member.

use super::rules::{Code, LONGEST_CODE, Rules};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;

/// So often a caller may dial a wrong code.
const TRIES: u8 = 3;
/// How long the first digit is waited for, counted from the question.
const FIRST: Duration = Duration::from_secs(15);
/// Between two digits at most.
const BETWEEN: Duration = Duration::from_secs(5);

/// A caller who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entrance {
    dialled: String,
    failed: u8,
    until: Time,
}

/// What a code has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// More is to come.
    Open,
    /// It is right; as a moderator?
    Right { is_moderator: bool },
    /// It is wrong, and may be dialled once more.
    Wrong,
    /// It was wrong too often.
    Refused,
}

impl Entrance {
    pub(super) fn new(now: Time) -> Entrance {
        Entrance { dialled: String::new(), failed: 0, until: now + FIRST }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub(super) const fn deadline(&self) -> Time {
        self.until
    }

    /// The caller has heard the question, or the answer, only now.
    pub(super) fn ask(&mut self, now: Time) {
        self.until = now + FIRST;
    }

    pub(super) fn handle_key(&mut self, now: Time, rules: &Rules, key: char) -> Verdict {
        if key == '#' {
            return self.judge(now, rules);
        }
        if !key.is_ascii_digit() {
            return Verdict::Open;
        }
        self.dialled.push(key);
        self.until = now + BETWEEN;
        if let Some(is_moderator) = self.right(rules) {
            return Verdict::Right { is_moderator };
        }
        let codes = [&rules.pin, &rules.moderator_pin].into_iter().flatten();
        let longest = codes.map(|code| code.digits().len()).max().unwrap_or(LONGEST_CODE);
        if self.dialled.len() >= longest { self.judge(now, rules) } else { Verdict::Open }
    }

    /// No key came in time.
    pub(super) fn handle_timeout(&mut self, now: Time, rules: &Rules) -> Verdict {
        if self.until > now { Verdict::Open } else { self.judge(now, rules) }
    }

    fn right(&self, rules: &Rules) -> Option<bool> {
        let is = |code: &Option<Code>| code.as_ref().is_some_and(|code| code.digits() == self.dialled);
        if is(&rules.moderator_pin) {
            return Some(true);
        }
        is(&rules.pin).then_some(false)
    }

    fn judge(&mut self, now: Time, rules: &Rules) -> Verdict {
        if let Some(is_moderator) = self.right(rules) {
            return Verdict::Right { is_moderator };
        }
        if self.dialled.is_empty() && rules.pin.is_none() {
            return Verdict::Right { is_moderator: false };
        }
        self.dialled.clear();
        self.failed += 1;
        self.until = now + FIRST;
        if self.failed >= TRIES { Verdict::Refused } else { Verdict::Wrong }
    }
}
