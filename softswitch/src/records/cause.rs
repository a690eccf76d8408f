//! Why a call ended, in words that outlive status codes.

use crate::core::Refusal;
use crate::store::EndedBy;
use serde::{Deserialize, Serialize};

/// Why a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was answered, and somebody hung up.
    Completed,
    /// The caller gave up before anybody answered.
    GaveUp,
    /// Nobody answered in time.
    NoAnswer,
    /// Every phone was busy.
    Busy,
    /// A phone declined it.
    Declined,
    /// Whom it was for had no phone registered.
    Unregistered,
    /// There is no such number or domain.
    UnknownNumber,
    /// The caller may not call there.
    NotAllowed,
    /// Phones or peers were silent, or there was no way to them.
    Unreachable,
    /// The parties had no codec in common.
    NotAcceptable,
    /// A party was lost: no media, a session that nobody refreshed, an answer that was never acknowledged.
    Lost,
    /// A party went over to another call.
    Transferred,
    /// The switch was stopped.
    Shutdown,
    /// The switch was interrupted: killed, or its machine lost power.
    Interrupted,
    /// Anything else; the status says more.
    #[default]
    Failed,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 15] = [
        Cause::Completed,
        Cause::GaveUp,
        Cause::NoAnswer,
        Cause::Busy,
        Cause::Declined,
        Cause::Unregistered,
        Cause::UnknownNumber,
        Cause::NotAllowed,
        Cause::Unreachable,
        Cause::NotAcceptable,
        Cause::Lost,
        Cause::Transferred,
        Cause::Shutdown,
        Cause::Interrupted,
        Cause::Failed,
    ];

    /// Its word in the database and in listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Cause::Completed => "completed",
            Cause::GaveUp => "gave_up",
            Cause::NoAnswer => "no_answer",
            Cause::Busy => "busy",
            Cause::Declined => "declined",
            Cause::Unregistered => "unregistered",
            Cause::UnknownNumber => "unknown_number",
            Cause::NotAllowed => "not_allowed",
            Cause::Unreachable => "unreachable",
            Cause::NotAcceptable => "not_acceptable",
            Cause::Lost => "lost",
            Cause::Transferred => "transferred",
            Cause::Shutdown => "shutdown",
            Cause::Interrupted => "interrupted",
            Cause::Failed => "failed",
        }
    }

    /// The cause of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.word() == word)
    }

    /// Of a call that came to nothing, by the final status that the caller got (RFC 3261 §21) and who it came from.
    #[must_use]
    pub const fn of_failure(status: u16, by: EndedBy) -> Cause {
        match (status, by) {
            (487, _) => Cause::GaveUp,
            (486 | 600, _) => Cause::Busy,
            (480, EndedBy::Switch) => Cause::NoAnswer,
            (480 | 403 | 603 | 607 | 608, EndedBy::Callee) | (433, _) => Cause::Declined,
            (401 | 403 | 407, _) => Cause::NotAllowed,
            (404 | 484 | 604, _) => Cause::UnknownNumber,
            (408 | 504, _) => Cause::Unreachable,
            (415 | 488 | 606, _) => Cause::NotAcceptable,
            (503, EndedBy::Switch) => Cause::Shutdown,
            (_, _) => Cause::Failed,
        }
    }

    /// Of an answered call that the switch ends, by the reason that it gives both parties.
    #[must_use]
    pub const fn of_termination(status: u16) -> Cause {
        match status {
            200..300 => Cause::Completed,
            408 => Cause::Lost,
            503 => Cause::Shutdown,
            _ => Cause::Failed,
        }
    }

    /// Of a record from before causes were kept.
    #[must_use]
    pub const fn of_old(is_answered: bool, status: u16, by: EndedBy) -> Cause {
        if is_answered { Cause::Completed } else { Cause::of_failure(status, by) }
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Cause {
        match refusal {
            Refusal::UnknownDomain
            | Refusal::UnknownNumber
            | Refusal::BadSetting
            | Refusal::NothingToPickUp
            | Refusal::NothingToCallBack => Cause::UnknownNumber,
            Refusal::NotAllowed
            | Refusal::TooManyCalls
            | Refusal::TooOften
            | Refusal::Rejected
            | Refusal::WrongPin => Cause::NotAllowed,
            Refusal::DoNotDisturb | Refusal::Anonymous => Cause::Declined,
            Refusal::Busy => Cause::Busy,
            Refusal::NotRegistered => Cause::Unregistered,
            Refusal::PeerNotFound | Refusal::PeerDead | Refusal::Loop => Cause::Unreachable,
            Refusal::Stopping => Cause::Shutdown,
            Refusal::NoMedia => Cause::Failed,
            Refusal::NoCommonCodec => Cause::NotAcceptable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_word_of_its_own() {
        for cause in Cause::ALL {
            assert_eq!(Cause::named(cause.word()), Some(cause));
        }
        assert_eq!(Cause::named("of another version"), None);
    }

    #[test]
    fn who_refuses_says_what_a_status_means() {
        assert_eq!(Cause::of_failure(480, EndedBy::Switch), Cause::NoAnswer);
        assert_eq!(Cause::of_failure(480, EndedBy::Callee), Cause::Declined);
        assert_eq!(Cause::of_failure(487, EndedBy::Caller), Cause::GaveUp);
        assert_eq!(Cause::of_failure(503, EndedBy::Callee), Cause::Failed);
        assert_eq!(Cause::of_termination(408), Cause::Lost);
    }
}
