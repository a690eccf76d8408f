//! The call log: who called whom, when, and how it ended.
//!
//! Bound: [`CALLS`] calls are kept, the oldest are forgotten first. Times are the machine's; whoever shows them knows what
//! o'clock that was.

use super::{AccountId, CallId, Ending};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use std::collections::VecDeque;

/// Calls that are kept.
pub const CALLS: usize = 500;

/// Who began a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallDirection {
    /// We called.
    Outgoing,
    /// We were called.
    Incoming,
}

/// One call of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedCall {
    /// Its number; `None` for a call that was refused without ringing (all lines in use, do not disturb).
    pub call: Option<CallId>,
    /// The account.
    pub account: AccountId,
    /// Who began it.
    pub direction: CallDirection,
    /// The URI of the other side, as it named itself or as we called it.
    pub peer: Bytes,
    /// When it began.
    pub began: Time,
    /// When both sides were connected.
    pub connected: Option<Time>,
    /// When it was over, and how; `None` while it goes on.
    pub ended: Option<(Time, Ending)>,
}

impl LoggedCall {
    /// Whether somebody called and nobody talked to them, here or, as far as we were told, elsewhere.
    pub fn is_missed(&self) -> bool {
        let unanswered = self.direction == CallDirection::Incoming && self.connected.is_none();
        unanswered
            && match &self.ended {
                Some((_, Ending::Theirs | Ending::Failed(_))) => true,
                Some((_, Ending::Ours | Ending::Elsewhere)) | None => false,
            }
    }
}

/// The calls, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CallLog(VecDeque<LoggedCall>);

impl CallLog {
    pub(super) fn begin(&mut self, call: LoggedCall) {
        if self.0.len() == CALLS {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(super) fn connect(&mut self, now: Time, call: CallId) {
        if let Some(entry) = self.find(call) {
            entry.connected.get_or_insert(now);
        }
    }

    pub(super) fn end(&mut self, now: Time, call: CallId, ending: &Ending) {
        if let Some(entry) = self.find(call) {
            entry.ended.get_or_insert_with(|| (now, ending.clone()));
        }
    }

    pub(super) fn calls(&self) -> impl DoubleEndedIterator<Item = &LoggedCall> {
        self.0.iter()
    }

    pub(super) fn direction(&self, call: CallId) -> Option<CallDirection> {
        self.0.iter().rev().find(|entry| entry.call == Some(call)).map(|entry| entry.direction)
    }

    fn find(&mut self, call: CallId) -> Option<&mut LoggedCall> {
        self.0.iter_mut().rev().find(|entry| entry.call == Some(call))
    }
}
