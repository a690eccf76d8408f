//! The deadlines of many machines in one queue.
//!
//! Most timers of SIP run for one of a few constant times (64·T1, T4, the lifetime of a binding), so each new one ends
//! after all earlier ones of its kind. Such deadlines stand in [`LANES`] queues in which the earliest is in front: O(1)
//! to arm and to fire, however many there are. A deadline that fits behind none, such as a doubling interval or one
//! with jitter, goes to a heap.
//!
//! A machine has at most one entry that counts; arming again leaves the old entry to be skipped when its time comes.
//! Entries of the same moment fire in the order they were armed, before and after a snapshot alike.

use crate::table::Id;
use crate::time::Time;
use core::cmp::Reverse;
use core::num::NonZeroU64;
use serde::{Deserialize, Serialize};
use std::collections::{BinaryHeap, VecDeque};

/// Queues of deadlines that come in order: more than there are constants among the timers.
const LANES: usize = 8;
/// Entries in one piece of a lane: a lane grows and shrinks by pieces and never moves what it holds.
const PIECE: usize = 512;

/// The entry of a machine that counts; kept with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Armed {
    /// When it fires.
    pub at: Time,
    order: NonZeroU64,
}

type Deadline<V> = (Armed, Id<V>);

/// Deadlines in ascending order.
#[derive(Debug)]
struct Lane<V> {
    pieces: VecDeque<VecDeque<Deadline<V>>>,
    last: Option<Armed>,
}

impl<V> Default for Lane<V> {
    fn default() -> Lane<V> {
        Lane { pieces: VecDeque::new(), last: None }
    }
}

impl<V> Lane<V> {
    fn front(&self) -> Option<Armed> {
        Some(self.pieces.front()?.front()?.0)
    }

    fn push(&mut self, deadline: Deadline<V>) {
        self.last = Some(deadline.0);
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE => piece.push_back(deadline),
            Some(_) | None => self.pieces.push_back(VecDeque::from([deadline])),
        }
    }

    fn pop(&mut self) -> Option<Deadline<V>> {
        let piece = self.pieces.front_mut()?;
        let deadline = piece.pop_front();
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() {
            self.last = None;
        }
        deadline
    }
}

/// Deadlines of the occupants of a `Table<V>`, earliest first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct TimerQueue<V> {
    armed: u64,
    #[serde(skip)]
    lanes: [Lane<V>; LANES],
    #[serde(skip)]
    heap: BinaryHeap<Reverse<Deadline<V>>>,
}

impl<V> Default for TimerQueue<V> {
    fn default() -> TimerQueue<V> {
        TimerQueue { armed: 0, lanes: Default::default(), heap: BinaryHeap::new() }
    }
}

impl<V> TimerQueue<V> {
    /// Makes `at` the deadline of `id`; the result goes into the machine's entry.
    pub fn arm(&mut self, at: Time, id: Id<V>) -> Armed {
        let armed = Armed { at, order: NonZeroU64::MIN.saturating_add(self.armed) };
        self.armed += 1;
        self.restore(armed, id);
        armed
    }

    /// Puts back a deadline that was loaded with its machine.
    pub fn restore(&mut self, armed: Armed, id: Id<V>) {
        // The lane that ends last before it leaves the others to shorter times.
        let lane = self.lanes.iter_mut().filter(|lane| lane.last <= Some(armed)).max_by_key(|lane| lane.last);
        match lane {
            Some(lane) => lane.push((armed, id)),
            None => self.heap.push(Reverse((armed, id))),
        }
    }

    /// The earliest deadline; it may be one that no longer counts.
    pub fn poll_timeout(&self) -> Option<Time> {
        let lanes = self.lanes.iter().filter_map(Lane::front).min();
        let heap = self.heap.peek().map(|Reverse((armed, _))| *armed);
        [lanes, heap].into_iter().flatten().min().map(|armed| armed.at)
    }

    /// Takes the next entry that is due. The machine compares it with the one it keeps.
    pub fn pop_due(&mut self, now: Time) -> Option<(Armed, Id<V>)> {
        let fronts = self.lanes.iter_mut().filter_map(|lane| Some((lane.front()?, lane)));
        let lane = fronts.min_by_key(|(armed, _)| *armed);
        let heap = self.heap.peek().map(|Reverse((armed, _))| *armed);
        match (lane, heap) {
            (Some((armed, lane)), heap) if heap.is_none_or(|heap| armed < heap) => {
                if armed.at <= now {
                    lane.pop()
                } else {
                    None
                }
            }
            (_, Some(armed)) if armed.at <= now => self.heap.pop().map(|Reverse(entry)| entry),
            (_, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drained(timers: &mut TimerQueue<()>, now: Time) -> Vec<Deadline<()>> {
        core::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    proptest! {
        #[test]
        fn deadlines_fire_in_order_before_and_after_a_snapshot(
            steps in proptest::collection::vec((0..40u64, prop_oneof![Just(5u64), Just(32), Just(900), 0..50u64]), 0..1_500),
        ) {
            let (mut timers, mut restored) = (TimerQueue::default(), TimerQueue::default());
            let (mut now, mut fired, mut armed) = (Time::default(), Vec::new(), Vec::new());
            for (index, (passed, after)) in steps.into_iter().enumerate() {
                let id = Id::from_u64(index as u64);
                armed.push((timers.arm(Time::from_millis(now.0 / 1_000_000 + after), id), id));
                now = now + core::time::Duration::from_millis(passed / 30);
                fired.extend(drained(&mut timers, now));
            }
            for (armed, id) in armed.iter().rev().filter(|entry| !fired.contains(entry)) {
                restored.restore(*armed, *id);
            }
            prop_assert_eq!(timers.poll_timeout(), restored.poll_timeout());
            let rest = drained(&mut timers, Time(u64::MAX));
            prop_assert_eq!(&rest, &drained(&mut restored, Time(u64::MAX)));
            fired.extend(rest);
            armed.sort_unstable_by_key(|entry| entry.0);
            fired.sort_by_key(|entry| entry.0.at);
            prop_assert_eq!(fired, armed);
            prop_assert_eq!((timers.poll_timeout(), restored.poll_timeout()), (None, None));
        }
    }

    #[test]
    fn a_deadline_fires_when_it_is_reached_and_not_before() {
        let mut timers: TimerQueue<()> = TimerQueue::default();
        let late = timers.arm(Time::from_millis(5), Id::from_u64(1));
        let early = timers.arm(Time::from_millis(3), Id::from_u64(2));
        assert_eq!(timers.pop_due(Time::from_millis(2)), None);
        assert_eq!(timers.pop_due(Time::from_millis(4)), Some((early, Id::from_u64(2))));
        assert_eq!(timers.pop_due(Time::from_millis(4)), None);
        assert_eq!(timers.pop_due(Time::from_millis(5)), Some((late, Id::from_u64(1))));
    }

    #[test]
    fn constant_times_never_reach_the_heap() {
        let mut timers: TimerQueue<()> = TimerQueue::default();
        for round in 0..2_000 {
            for constant in [32_000, 500, 5_000, 1_000, 200, 4_000] {
                timers.arm(Time::from_millis(round + constant), Id::from_u64(round));
            }
            drained(&mut timers, Time::from_millis(round));
        }
        assert!(timers.heap.is_empty());
    }
}
