//! Reports on their way to the owner: a ring, and what did not fit into it.

use super::streams::Report;
use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};
use std::collections::VecDeque;

/// How many reports may be written before nothing more is read in this turn.
const FULL: usize = 1_024;

/// The reports of a turn. What is written here is never dropped: while the ring is full nothing is read and no command
/// is obeyed, so that what follows is at most one end, and the news of the messages that wait, of each connection.
pub(super) struct Outbox {
    waiting: VecDeque<Report>,
    ring: HeapProd<Report>,
}

impl Outbox {
    pub(super) fn new(ring: HeapProd<Report>) -> Outbox {
        Outbox { waiting: VecDeque::new(), ring }
    }

    pub(super) fn push(&mut self, report: Report) {
        self.waiting.push_back(report);
    }

    /// Whether this turn has said enough.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= FULL
    }

    /// Whether the ring had no room for all.
    pub(super) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Moves what fits into the ring; whether anything did.
    pub(super) fn flush(&mut self) -> bool {
        let fits = self.waiting.len().min(self.ring.vacant_len());
        self.ring.push_iter(self.waiting.drain(..fits)) > 0
    }
}
