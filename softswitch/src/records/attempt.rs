//! An attempt: one INVITE of ours, to one phone or server of a peer, and what became of it.

use super::lossy;
use crate::store::EndedBy;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One phone, or one server of a peer, that a call went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The user, or the number at the peer.
    #[serde(with = "lossy")]
    pub user: Bytes,
    /// The URI that was asked.
    #[serde(with = "lossy")]
    pub contact: Bytes,
    /// Where it went to.
    pub address: SocketAddr,
    /// When it was asked, in Unix milliseconds.
    pub asked_unix_ms: u64,
    /// When it said that it rings.
    pub rang_unix_ms: Option<u64>,
    /// When it answered.
    pub answered_unix_ms: Option<u64>,
    /// When it was over.
    pub ended_unix_ms: Option<u64>,
    /// Its final status; `None` when it gave none.
    pub status: Option<u16>,
    /// What became of it.
    pub outcome: Outcome,
    /// Whose act ended it.
    pub ended_by: Option<EndedBy>,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has not been decided.
    Asked,
    /// It answered, and the call was its.
    Answered,
    /// Another phone answered.
    Elsewhere,
    /// The caller gave up.
    GivenUp,
    /// It rang to the end.
    NoAnswer,
    /// It refused; the status says how.
    Refused,
    /// It gave no answer at all, or could not be reached.
    Unreachable,
    /// The switch was interrupted.
    Interrupted,
}

impl Outcome {
    /// Its word in listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Asked => "asked",
            Outcome::Answered => "answered",
            Outcome::Elsewhere => "elsewhere",
            Outcome::GivenUp => "given_up",
            Outcome::NoAnswer => "no_answer",
            Outcome::Refused => "refused",
            Outcome::Unreachable => "unreachable",
            Outcome::Interrupted => "interrupted",
        }
    }
}

impl Attempt {
    /// Whether it may still ring.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended_unix_ms.is_none()
    }

    /// The switch was interrupted while it was open, if it was.
    pub(crate) fn interrupt(&mut self, at_unix_ms: u64) {
        self.end(at_unix_ms, Outcome::Interrupted, EndedBy::Switch);
    }

    /// It is over, if it was not before.
    pub(super) fn end(&mut self, at_unix_ms: u64, outcome: Outcome, by: EndedBy) {
        if self.is_open() {
            self.ended_unix_ms = Some(at_unix_ms);
            self.ended_by = Some(by);
            if self.outcome == Outcome::Asked {
                self.outcome = outcome;
            }
        }
    }
}
