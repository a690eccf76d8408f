//! What the thread counts, and how another one reads it.

use core::sync::atomic::{AtomicU64, Ordering};

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections closed again at once, because of [`super::Bounds::connections`] or [`super::Bounds::per_source`].
    pub refused: u64,
    /// Times that accepting paused, because the system had no descriptor or memory.
    pub accept_pauses: u64,
    /// Connections that could not be opened.
    pub unreachable: u64,
    /// TLS handshakes that failed or took too long, on either side.
    pub handshake_failures: u64,
    /// Messages that were not sent: no connection, or too much waits for it.
    pub unsent: u64,
    /// Turns in which nothing was read because the owner had not taken the reports.
    pub reports_blocked: u64,
    /// Commands that found the queue full.
    pub commands_refused: u64,
}

/// One counter, written by one thread.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The same numbers as they are kept.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: Count,
    pub(super) opened: Count,
    pub(super) refused: Count,
    pub(super) accept_pauses: Count,
    pub(super) unreachable: Count,
    pub(super) handshake_failures: Count,
    pub(super) unsent: Count,
    pub(super) reports_blocked: Count,
    pub(super) commands_refused: Count,
}

impl Counts {
    pub(super) fn read(&self) -> Counters {
        Counters {
            accepted: self.accepted.read(),
            opened: self.opened.read(),
            refused: self.refused.read(),
            accept_pauses: self.accept_pauses.read(),
            unreachable: self.unreachable.read(),
            handshake_failures: self.handshake_failures.read(),
            unsent: self.unsent.read(),
            reports_blocked: self.reports_blocked.read(),
            commands_refused: self.commands_refused.read(),
        }
    }
}
