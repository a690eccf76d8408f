//! What a shard wants of its driver, until it is asked: answers to commands, and news.
//!
//! Bounds: [`OUTBOX`] entries for news, which waits with its leg when they are taken, and is counted. Answers always enter; the driver
//! drains them after each command.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::report::Report;
use super::shard::Output;
use crate::leg::Leg;

/// Entries of the outbox.
const OUTBOX: usize = 1024;

/// What waits for the driver. Its room is reserved at construction and after a restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "StoredOutbox")]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
    deferred: u64,
}

#[derive(Deserialize)]
struct StoredOutbox {
    queue: VecDeque<Output>,
    deferred: u64,
}

impl From<StoredOutbox> for Outbox {
    fn from(stored: StoredOutbox) -> Self {
        let StoredOutbox { mut queue, deferred } = stored;
        queue.reserve(OUTBOX);
        Self { queue, deferred }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { queue: VecDeque::with_capacity(OUTBOX), deferred: 0 }
    }
}

impl Outbox {
    /// Entries that news may still take.
    pub(super) fn room(&self) -> usize {
        OUTBOX.saturating_sub(self.queue.len())
    }

    /// How many times news had to wait.
    pub(super) const fn deferred(&self) -> u64 {
        self.deferred
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// The answer to a command.
    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    /// News that can wait; whether it was taken.
    pub(super) fn offer(&mut self, output: Output) -> bool {
        let room = self.queue.len() < OUTBOX;
        if room {
            self.queue.push_back(output);
        } else {
            self.deferred += 1;
        }
        room
    }

    /// What is still to be told of a leg; what finds no room stays with the leg.
    pub(super) fn offer_news(&mut self, leg: &mut Leg) {
        if leg.news.heard && self.offer(Output::Report(Report::Heard { leg: leg.id })) {
            leg.news.heard = false;
        }
        if let Some(source) = leg.news.latched
            && self.offer(Output::Report(Report::Latched { leg: leg.id, source }))
        {
            leg.news.latched = None;
        }
        if let Some(payload_type) = leg.news.unexpected
            && self.offer(Output::Report(Report::Unexpected { leg: leg.id, payload_type }))
        {
            leg.news.unexpected = None;
        }
    }
}
