//! Legs and rooms that change threads: a ring from each media thread to each other one.
//!
//! The core tells the thread that has a leg to let it go ([`Order::Depart`](super::thread::Order)), and the one that gets it to
//! wait for it ([`Order::Arrive`](super::thread::Order)); what is said about the leg afterwards is obeyed after that. The leg
//! crosses whole: latch, sequence, timestamps, counters, and its two sockets, in which packets wait meanwhile. So do the legs
//! of a call or a room together. Both orders
//! enter their rings together or not at all, and all such pairs stand in one order, so of the threads that wait for a leg
//! there is always one that need not wait for another.
//!
//! Bounds: a ring holds as many parties as a command ring holds orders to wait for one, so it is never full.

use std::sync::Arc;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::lane::Shared;
use super::routes::LaneId;
use super::sockets::Detached;
use super::thread::COMMANDS;
use crate::shard::Departed;

/// Legs on their way, each with its sockets; none when there were no such legs, so that nobody waits for them.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) departed: Departed,
    pub(super) sockets: Vec<Option<Detached>>,
}

/// A thread's ends of the rings.
pub(super) struct Exchange {
    /// By the other thread; none to itself.
    outward: Vec<Option<HeapProd<Box<Moving>>>>,
    inward: Vec<Option<HeapCons<Box<Moving>>>>,
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
    /// Sends a party to another thread and wakes it.
    pub(super) fn send(&mut self, to: LaneId, moving: Box<Moving>) {
        let pushed = self.outward.get_mut(to).and_then(Option::as_mut).map(|ring| ring.try_push(moving));
        debug_assert!(matches!(pushed, Some(Ok(()))), "a party waits for each order to take one at most");
        if let Some(other) = self.others.get(to) {
            other.wake();
        }
    }

    /// Whether the next party from another thread is there.
    pub(super) fn has_come(&self, from: LaneId) -> bool {
        self.inward.get(from).and_then(Option::as_ref).is_none_or(|ring| !ring.is_empty())
    }

    /// The next party from another thread.
    pub(super) fn receive(&mut self, from: LaneId) -> Option<Box<Moving>> {
        self.inward.get_mut(from)?.as_mut()?.try_pop()
    }
}
