//! The journal of a call: what happened in it, one typed entry after the other.
//!
//! Bound: [`LIMIT`] entries for each call. Beyond it the oldest stay, because they say how the call came about; the others are counted.

use super::lossy;
use crate::store::EndedBy;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Entries of one call.
pub const LIMIT: usize = 100;

/// One thing that happened in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in Unix milliseconds.
    pub at_unix_ms: u64,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// The INVITE came.
    Began,
    /// A phone or peer was asked.
    Asked {
        /// Its place among the attempts.
        attempt: u16,
    },
    /// It said something before the answer: 180 is that it rings.
    Progress {
        /// Its place among the attempts.
        attempt: u16,
        /// The status.
        status: u16,
    },
    /// It answered in the negative, or not at all (408), or could not be reached (503).
    Failed {
        /// Its place among the attempts.
        attempt: u16,
        /// The status.
        status: u16,
    },
    /// A phone answered.
    Answered {
        /// Its place among the attempts.
        attempt: u16,
    },
    /// The switch itself answered.
    Served,
    /// Somebody put the other one on hold.
    Held {
        /// Who.
        by: EndedBy,
    },
    /// And took it back.
    Resumed {
        /// Who.
        by: EndedBy,
    },
    /// Somebody else took the place of a party: a transfer, or a call that was picked up.
    Replaced {
        /// Whose place.
        side: EndedBy,
        /// Who sits there now.
        #[serde(with = "lossy")]
        user: Bytes,
    },
    /// A party went over to another call.
    Transferred {
        /// The id of its record.
        into: Arc<str>,
    },
    /// A file of it was begun.
    Recorded {
        /// The file.
        file: Arc<str>,
    },
    /// It ended.
    Ended {
        /// 200, or the final status of a call that was not answered.
        status: u16,
    },
    /// The switch was interrupted at some time after this, at the latest.
    Interrupted,
}

/// The entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// At most [`LIMIT`].
    pub entries: Vec<Entry>,
    /// Those that found no room.
    pub left_out: u32,
}

impl Journal {
    /// Adds an entry, or counts it.
    pub fn note(&mut self, at_unix_ms: u64, what: Happening) {
        if self.entries.len() < LIMIT {
            self.entries.push(Entry { at_unix_ms, what });
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// The end of a call is always there.
    pub(super) fn note_last(&mut self, at_unix_ms: u64, what: Happening) {
        if self.entries.len() >= LIMIT {
            self.entries.pop();
            self.left_out = self.left_out.saturating_add(1);
        }
        self.entries.push(Entry { at_unix_ms, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_the_oldest_stay_the_end_is_there_and_the_others_are_counted() {
        let mut journal = Journal::default();
        for at in 0..LIMIT as u64 + 5 {
            journal.note(at, Happening::Served);
        }
        journal.note_last(1_000, Happening::Ended { status: 200 });
        assert_eq!((journal.entries.len(), journal.left_out), (LIMIT, 6));
        assert_eq!(journal.entries[0].at_unix_ms, 0);
        assert_eq!(journal.entries[LIMIT - 1].what, Happening::Ended { status: 200 });
    }
}
