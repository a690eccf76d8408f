//! The deadlines of many machines in one queue.
//!
//! A machine has at most one entry that counts; arming again leaves the old entry to be skipped when its time comes.
//! Entries of the same moment fire in the order they were armed, before and after a snapshot alike.

use crate::table::Id;
use crate::time::Time;
use core::cmp::Reverse;
use serde::{Deserialize, Serialize};
use std::collections::BinaryHeap;

/// The entry of a machine that counts; kept with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Armed {
    /// When it fires.
    pub at: Time,
    order: u64,
}

/// Deadlines of the occupants of a `Table<V>`, earliest first. O(log n) to arm, O(1) to look.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct TimerQueue<V> {
    armed: u64,
    #[serde(skip)]
    queue: BinaryHeap<Reverse<(Armed, Id<V>)>>,
}

impl<V> Default for TimerQueue<V> {
    fn default() -> TimerQueue<V> {
        TimerQueue { armed: 0, queue: BinaryHeap::new() }
    }
}

impl<V> TimerQueue<V> {
    /// Makes `at` the deadline of `id`; the result goes into the machine's entry.
    pub fn arm(&mut self, at: Time, id: Id<V>) -> Armed {
        self.armed += 1;
        let armed = Armed { at, order: self.armed };
        self.queue.push(Reverse((armed, id)));
        armed
    }

    /// Puts back a deadline that was loaded with its machine.
    pub fn restore(&mut self, armed: Armed, id: Id<V>) {
        self.queue.push(Reverse((armed, id)));
    }

    /// The earliest deadline; it may be one that no longer counts.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.queue.peek().map(|Reverse((armed, _))| armed.at)
    }

    /// Takes the next entry that is due. The machine compares it with the one it keeps.
    pub fn pop_due(&mut self, now: Time) -> Option<(Armed, Id<V>)> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_deadlines_fire_in_the_order_they_were_armed() {
        let mut timers: TimerQueue<()> = TimerQueue::default();
        let ids: Vec<Id<()>> = (0..3).rev().map(Id::from_u64).collect();
        let armed: Vec<Armed> = ids.iter().map(|id| timers.arm(Time::from_millis(5), *id)).collect();
        let mut restored: TimerQueue<()> = TimerQueue::default();
        for (armed, id) in armed.iter().zip(&ids).rev() {
            restored.restore(*armed, *id);
        }
        assert_eq!(timers.pop_due(Time::from_millis(4)), None);
        for id in ids {
            assert_eq!(timers.pop_due(Time::from_millis(5)).map(|entry| entry.1), Some(id));
            assert_eq!(restored.pop_due(Time::from_millis(5)).map(|entry| entry.1), Some(id));
        }
        assert_eq!((timers.poll_timeout(), restored.poll_timeout()), (None, None));
    }
}
