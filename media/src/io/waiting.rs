//! What a thread is doing, told to those who have something for it: so that nobody makes a system call to wake a thread that
//! runs, and nobody's message waits while the thread sleeps.
//!
//! The thread says that it is about to wait, and then looks whether there is something to do; the others leave their message,
//! and then ask whether it waits. Saying and asking are swaps of one octet, which all threads see in one order: either the
//! others ask after it was said, and wake the thread, or the thread says it after they asked, and sees their message. Whoever
//! asks first while the thread waits has to wake it, the next need not.
//!
//! The protocol is written over [`Flag`] so that `media/tests/waiting.rs` can try every order in which its steps can be seen.

use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const POLLING: u8 = 1;
const PAUSED: u8 = 2;

/// How a thread waits, and so how it is woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// In the poll.
    Poll,
    /// Parked for a moment.
    Pause,
}

/// An atomic octet that is swapped and nothing else.
pub(super) trait Flag: Default {
    /// Sets it, and tells what it was: acquires and releases.
    fn swap(&self, value: u8) -> u8;
}

impl Flag for AtomicU8 {
    fn swap(&self, value: u8) -> u8 {
        self.swap(value, Ordering::AcqRel)
    }
}

/// Whether a thread waits.
#[derive(Debug, Default)]
pub(super) struct Waiting<F>(F);

impl<F: Flag> Waiting<F> {
    /// The thread is about to wait. It must look for work after this, and not wait if there is any.
    pub(super) fn begin(&self, wait: Wait) {
        self.0.swap(match wait {
            Wait::Poll => POLLING,
            Wait::Pause => PAUSED,
        });
    }

    /// The thread waits no more.
    pub(super) fn end(&self) {
        self.0.swap(AWAKE);
    }

    /// Somebody has left work for the thread; how it has to be woken, if it has to.
    pub(super) fn wake(&self) -> Option<Wait> {
        match self.0.swap(AWAKE) {
            POLLING => Some(Wait::Poll),
            PAUSED => Some(Wait::Pause),
            _ => None,
        }
    }
}
