//! Legs that change threads: a ring from each media thread to each other one.
//!
//! The core tells the thread that has a leg to let it go ([`Order::Depart`](super::thread::Order)), and the one that gets it to
//! wait for it ([`Order::Arrive`](super::thread::Order)); what is said about the leg afterwards is obeyed after that. The leg
//! crosses whole: latch, sequence, timestamps, counters, and its two sockets, in which packets wait meanwhile. Both orders
//! enter their rings together or not at all, and all such pairs stand in one order, so of the threads that wait for a leg
//! there is always one that need not wait for another.
//!
//! Bounds: a ring holds as many legs as a command ring holds orders to wait for one, so it is never full.

use std::sync::Arc;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::lane::Shared;
use super::routes::LaneId;
use super::sockets::Detached;
use super::thread::COMMANDS;
use crate::shard::Departed;

/// A leg on its way with its sockets; `None` when there was no such leg, so that nobody waits for it.
pub(super) type Moving = Option<Box<(Departed, Detached)>>;

/// A thread's ends of the rings.
pub(super) struct Exchange {
    /// By the other thread; none to itself.
    outward: Vec<Option<HeapProd<Moving>>>,
    inward: Vec<Option<HeapCons<Moving>>>,
    others: Vec<Arc<Shared>>,
}

/// The ends of all threads, in their order.
pub(super) fn exchanges(threads: &[Arc<Shared>]) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = threads
        .iter()
        .map(|_| Exchange { outward: Vec::new(), inward: Vec::new(), others: threads.to_vec() })
        .collect();
    for from in 0..threads.len() {
        for to in 0..threads.len() {
            let (outward, inward) = (from != to).then(|| HeapRb::new(COMMANDS).split()).unzip();
            // In the order of `to` for the one and of `from` for the other.
            if let Some(exchange) = exchanges.get_mut(from) {
                exchange.outward.push(outward);
            }
            if let Some(exchange) = exchanges.get_mut(to) {
                exchange.inward.push(inward);
            }
        }
    }
    exchanges
}

impl Exchange {
    /// Sends a leg to another thread and wakes it.
    pub(super) fn send(&mut self, to: LaneId, moving: Moving) {
        let pushed = self.outward.get_mut(to).and_then(Option::as_mut).map(|ring| ring.try_push(moving));
        debug_assert!(matches!(pushed, Some(Ok(()))), "a leg waits for each order to take one at most");
        if let Some(other) = self.others.get(to) {
            other.wake();
        }
    }

    /// Whether the next leg from another thread is there.
    pub(super) fn has_come(&self, from: LaneId) -> bool {
        self.inward.get(from).and_then(Option::as_ref).is_none_or(|ring| !ring.is_empty())
    }

    /// The next leg from another thread.
    pub(super) fn receive(&mut self, from: LaneId) -> Moving {
        self.inward.get_mut(from)?.as_mut()?.try_pop()?
    }
}
