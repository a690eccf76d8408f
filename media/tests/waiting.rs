//! The flag between a media thread and those who wake it, in every order in which its steps can be seen (loom).
//!
//! Modelled: one thread that takes messages until it has all, and waits in the poll or parked when there are none; two others
//! that leave one message each and then wake it. A poll is woken by a token that stays until it is taken, as an eventfd is, and
//! the pause by one that stays until the next pause, as a park is. There are no time-outs, sockets or alarms here that would
//! end a wait some time later: a lost wake shows as a thread that waits for ever, which loom finds. The ring itself is a count;
//! ringbuf publishes with release and looks with acquire, and so does the count. A wait may also end for nothing once.

#![allow(clippy::disallowed_methods, reason = "the threads are those of the model")]

#[allow(dead_code, reason = "the model takes what it needs of the module")]
#[path = "../src/io/waiting.rs"]
mod waiting;

use std::sync::Arc;

use loom::sync::Notify;
use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use loom::thread;
use waiting::{Flag, Wait, Waiting};

#[derive(Default)]
struct Modelled(AtomicU8);

impl Flag for Modelled {
    fn swap(&self, value: u8) -> u8 {
        self.0.swap(value, Ordering::AcqRel)
    }
}

struct World {
    waiting: Waiting<Modelled>,
    messages: AtomicUsize,
    /// Each stays until it is taken.
    poll: Notify,
    pause: Notify,
}

impl World {
    fn send(&self) {
        self.messages.fetch_add(1, Ordering::Release);
        match self.waiting.wake() {
            Some(Wait::Poll) => self.poll.notify(),
            Some(Wait::Pause) => self.pause.notify(),
            None => {}
        }
    }

    /// Takes `all` messages, waiting like this for them.
    fn receive(&self, all: usize, waits: [Wait; 2]) {
        let mut waits = waits.into_iter().cycle();
        let mut taken = 0;
        while taken < all {
            let wait = waits.next().expect("it cycles");
            self.waiting.begin(wait);
            if self.messages.load(Ordering::Acquire) == taken {
                match wait {
                    Wait::Poll => self.poll.wait(),
                    Wait::Pause => self.pause.wait(),
                }
            }
            self.waiting.end();
            taken = self.messages.load(Ordering::Acquire);
        }
    }
}

fn no_wake_is_lost(senders: usize, waits: [Wait; 2]) {
    let mut model = loom::model::Builder::new();
    // More often than that no bug of two or three threads needs to be interrupted.
    model.preemption_bound = Some(2);
    model.check(move || {
        let world = Arc::new(World {
            waiting: Waiting::default(),
            messages: AtomicUsize::new(0),
            poll: Notify::new(),
            pause: Notify::new(),
        });
        let others: Vec<_> = (0..senders)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.send())
            })
            .collect();
        world.receive(senders, waits);
        others.into_iter().for_each(|other| other.join().expect("senders do not panic"));
    });
}

#[test]
fn a_thread_that_polls_sees_what_is_left_for_it() {
    no_wake_is_lost(1, [Wait::Poll; 2]);
    no_wake_is_lost(2, [Wait::Poll; 2]);
}

#[test]
fn a_thread_that_pauses_sees_what_is_left_for_it() {
    no_wake_is_lost(1, [Wait::Pause; 2]);
    no_wake_is_lost(2, [Wait::Pause; 2]);
}

#[test]
fn a_thread_that_pauses_and_polls_in_turn_sees_what_is_left_for_it() {
    no_wake_is_lost(2, [Wait::Pause, Wait::Poll]);
    no_wake_is_lost(2, [Wait::Poll, Wait::Pause]);
}
