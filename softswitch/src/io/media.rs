//! The core's way to the media thread: commands that its ring has no room for wait here, bounded.
//!
//! Not every report of the thread wakes the core. What closed legs counted is looked for [`LOOK_AFTER`] the first of them
//! was closed, if nothing else wakes the core before; other news wait for the look once a second at the latest.
//!
//! Overflow: while commands wait, new legs are refused, so that nothing is added but what ends or changes legs that
//! are up. What is beyond [`WAITING`] even so is dropped and counted.

use crate::config;
use core::time::Duration;
use media::io::{MediaConfig, MediaHandle, Urgency};
use media::{Command, RefusalReason, Report};
use sip_stack::Time;
use std::collections::VecDeque;
use std::io;
use tracing::error;

/// Commands that may wait: some for each leg of as many calls as ports allow.
const WAITING: usize = 262_144;

/// When to look for the figures of closed legs.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// The handle and what waits for it.
pub(super) struct Media {
    handle: MediaHandle,
    waiting: VecDeque<Command>,
    dropped: u64,
    unannounced: bool,
    look_at: Option<Time>,
}

impl Media {
    /// Starts the media thread.
    pub(super) fn start(
        config: &config::Media,
        seed: [u8; 32],
        on_report: impl Fn(Urgency) + Send + 'static,
    ) -> io::Result<Media> {
        let silence = config.silence_s.map_or(Duration::MAX, |seconds| Duration::from_secs(seconds.into()));
        let ports = config.ports.first..=config.ports.last;
        let config = MediaConfig { silence, ..MediaConfig::new(ports) };
        let handle = ::media::io::start(config, seed, on_report)?;
        Ok(Media { handle, waiting: VecDeque::new(), dropped: 0, unannounced: false, look_at: None })
    }

    /// Takes a command; returns the answer if there is one at once.
    pub(super) fn send(&mut self, now: Time, command: Command) -> Option<Report> {
        if let Command::Close { .. } = command {
            self.look_at.get_or_insert(now + LOOK_AFTER);
        }
        let refused = if self.waiting.is_empty() {
            match self.handle.send(command) {
                Ok(answer) => {
                    self.unannounced |= answer.is_none();
                    return answer;
                }
                Err(full) => *full.0,
            }
        } else {
            command
        };
        if let Command::Open { legs } = refused {
            let legs = legs.iter().map(|(leg, _)| *leg).collect();
            // EAGAIN: come again later.
            return Some(Report::Refused { legs, reason: RefusalReason::Os { errno: 11 } });
        }
        if self.waiting.len() < WAITING {
            self.waiting.push_back(refused);
        } else {
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                error!(dropped = self.dropped, "media commands dropped: the media thread does not keep up");
            }
        }
        None
    }

    /// Moves on what waits and wakes the thread, once per turn of the loop.
    pub(super) fn wake(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            // Only commands without an answer wait.
            if let Err(full) = self.handle.send(command) {
                self.waiting.push_front(*full.0);
                break;
            }
        }
        if core::mem::take(&mut self.unannounced) || !self.waiting.is_empty() {
            self.handle.wake();
        }
    }

    /// Whether commands wait for room.
    pub(super) fn is_crowded(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When to look for reports that wake nobody.
    pub(super) const fn poll_timeout(&self) -> Option<Time> {
        self.look_at
    }

    /// Reports have been looked for.
    pub(super) fn handle_look(&mut self, now: Time) {
        self.look_at = self.look_at.filter(|at| *at > now);
    }

    /// The next report.
    pub(super) fn poll_report(&mut self) -> Option<Report> {
        self.handle.poll_report()
    }

    /// Whether the thread is alive.
    pub(super) fn is_running(&self) -> bool {
        self.handle.is_running()
    }

    /// Stops the thread and closes its ports.
    pub(super) fn stop(self) {
        self.handle.stop();
    }
}
