//! What is written down of a call while it lives. Its record takes it over.
//!
//! Bound: [`ATTEMPTS`] of one call; those beyond are not written down, and ring all the same.

use super::{Attempt, Cause, Happening, Journal, Outcome};
use crate::store::EndedBy;
use serde::{Deserialize, Serialize};
use sip_stack::transaction::TransactionId;
use smallvec::SmallVec;
use std::sync::Arc;

/// Attempts of one call.
const ATTEMPTS: usize = 64;

/// What is written down of one call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Chronicle {
    /// The id of its record; empty until that is known.
    pub(crate) id: Arc<str>,
    /// Where the dial plan led.
    pub(crate) route: Option<Box<str>>,
    /// Whom it is for would have missed it.
    pub(crate) can_be_missed: bool,
    /// Why it ended, where the status alone does not say.
    pub(crate) cause: Option<Cause>,
    /// The record of the call that a party went over to.
    pub(crate) into: Option<Arc<str>>,
    /// What caller and callee spoke last.
    pub(crate) codecs: [Option<Box<str>>; 2],
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) journal: Journal,
    /// The INVITEs of the attempts.
    asked: SmallVec<[TransactionId; 1]>,
}

impl Chronicle {
    /// A phone is asked.
    pub(crate) fn ask(&mut self, transaction: TransactionId, attempt: Attempt) {
        if self.attempts.len() >= ATTEMPTS {
            return;
        }
        let index = self.attempts.len();
        self.journal.note(attempt.asked_unix_ms, Happening::Asked { attempt: number(index) });
        self.attempts.push(attempt);
        self.asked.push(transaction);
    }

    /// A response to an INVITE of ours, or the failure of it: `is_said` tells whether the status is the phone's own.
    pub(crate) fn hear(&mut self, at_unix_ms: u64, transaction: TransactionId, status: u16, is_said: bool) {
        let Some(index) = self.asked.iter().position(|asked| *asked == transaction) else { return };
        let Some(attempt) = self.attempts.get_mut(index).filter(|attempt| attempt.is_open()) else { return };
        let number = number(index);
        match status {
            ..=100 => {}
            101..=199 => {
                let is_first = attempt.rang_unix_ms.is_none();
                attempt.rang_unix_ms.get_or_insert(at_unix_ms);
                if is_first {
                    self.journal.note(at_unix_ms, Happening::Progress { attempt: number, status });
                }
            }
            200..=299 if attempt.answered_unix_ms.is_none() => {
                attempt.answered_unix_ms = Some(at_unix_ms);
                attempt.status = Some(status);
                attempt.outcome = Outcome::Answered;
                self.journal.note(at_unix_ms, Happening::Answered { attempt: number });
                for (other, attempt) in self.attempts.iter_mut().enumerate() {
                    // Who was rung first in a call that began here has answered before.
                    if other != index && attempt.answered_unix_ms.is_none() {
                        attempt.end(at_unix_ms, Outcome::Elsewhere, EndedBy::Switch);
                    }
                }
            }
            200..=299 => {}
            300.. => {
                attempt.status = is_said.then_some(status);
                let outcome = if is_said { Outcome::Refused } else { Outcome::Unreachable };
                attempt.end(at_unix_ms, outcome, EndedBy::Callee);
                self.journal.note(at_unix_ms, Happening::Failed { attempt: number, status });
            }
        }
    }

    /// The call goes on to somebody else: whoever still rings has not answered.
    pub(crate) fn pass_on(&mut self, at_unix_ms: u64) {
        for attempt in &mut self.attempts {
            attempt.end(at_unix_ms, Outcome::NoAnswer, EndedBy::Switch);
        }
    }

    /// The call is over.
    pub(crate) fn end(&mut self, at_unix_ms: u64, status: u16, cause: Cause, by: EndedBy) {
        let outcome = match cause {
            Cause::GaveUp => Outcome::GivenUp,
            Cause::NoAnswer | Cause::Shutdown => Outcome::NoAnswer,
            Cause::Interrupted => Outcome::Interrupted,
            Cause::Completed
            | Cause::Busy
            | Cause::Declined
            | Cause::Unregistered
            | Cause::UnknownNumber
            | Cause::NotAllowed
            | Cause::Unreachable
            | Cause::NotAcceptable
            | Cause::Lost
            | Cause::Transferred
            | Cause::Failed => Outcome::Unreachable,
        };
        for attempt in &mut self.attempts {
            attempt.end(at_unix_ms, outcome, by);
        }
        self.journal.note_last(at_unix_ms, Happening::Ended { status });
    }
}

/// The place of an attempt, as a number for the journal.
fn number(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::table::Id;

    fn attempt(user: &'static str) -> Attempt {
        Attempt {
            user: user.into(),
            contact: "sip:x@192.0.2.1".into(),
            address: ([192, 0, 2, 1], 5060).into(),
            asked_unix_ms: 1_000,
            rang_unix_ms: None,
            answered_unix_ms: None,
            ended_unix_ms: None,
            status: None,
            outcome: Outcome::Asked,
            ended_by: None,
        }
    }

    fn transaction(number: u64) -> TransactionId {
        Id::from_u64(number)
    }

    fn outcomes(chronicle: &Chronicle) -> Vec<(Outcome, Option<u16>, Option<EndedBy>)> {
        chronicle.attempts.iter().map(|it| (it.outcome, it.status, it.ended_by)).collect()
    }

    #[test]
    fn whoever_did_not_answer_first_was_answered_elsewhere_unless_it_had_refused() {
        let mut chronicle = Chronicle::default();
        for (number, user) in (1..).zip(["a", "b", "c"]) {
            chronicle.ask(transaction(number), attempt(user));
        }
        chronicle.hear(1_100, transaction(1), 180, true);
        chronicle.hear(1_200, transaction(1), 180, true);
        chronicle.hear(1_300, transaction(3), 486, true);
        chronicle.hear(1_400, transaction(2), 200, true);
        chronicle.hear(1_450, transaction(1), 487, true);
        chronicle.end(9_000, 200, Cause::Completed, EndedBy::Caller);
        assert_eq!(
            outcomes(&chronicle),
            [
                (Outcome::Elsewhere, None, Some(EndedBy::Switch)),
                (Outcome::Answered, Some(200), Some(EndedBy::Caller)),
                (Outcome::Refused, Some(486), Some(EndedBy::Callee)),
            ]
        );
        assert_eq!(chronicle.attempts[0].rang_unix_ms, Some(1_100));
        let kinds: Vec<Happening> =
            chronicle.journal.entries.into_iter().skip(3).map(|entry| entry.what).collect();
        assert_eq!(
            kinds,
            [
                Happening::Progress { attempt: 0, status: 180 },
                Happening::Failed { attempt: 2, status: 486 },
                Happening::Answered { attempt: 1 },
                Happening::Ended { status: 200 },
            ]
        );
    }

    #[test]
    fn what_rang_to_the_end_was_not_answered_and_what_was_given_up_was_given_up() {
        for (cause, outcome) in [(Cause::NoAnswer, Outcome::NoAnswer), (Cause::GaveUp, Outcome::GivenUp)] {
            let mut chronicle = Chronicle::default();
            chronicle.ask(transaction(1), attempt("a"));
            chronicle.ask(transaction(2), attempt("a"));
            chronicle.hear(1_050, transaction(2), 408, false);
            chronicle.end(2_000, 480, cause, EndedBy::Switch);
            let unreachable = (Outcome::Unreachable, None, Some(EndedBy::Callee));
            assert_eq!(outcomes(&chronicle), [(outcome, None, Some(EndedBy::Switch)), unreachable]);
        }
    }
}
