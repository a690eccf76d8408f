//! The timers of one connection.

use crate::Time;

/// What runs out when a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Timer {
    /// The time for the first message, or the handshake.
    FirstMessage,
    /// The time for the rest of a message.
    Message,
    /// The time without a byte.
    Idle,
    /// The interval to the next keep-alive.
    Ping,
    /// The time for its answer.
    Pong,
    /// The time in which the peer has to take bytes.
    Write,
    /// The time in which the peer has to end what we have ended.
    Part,
}

const ALL: [Timer; 7] =
    [Timer::FirstMessage, Timer::Message, Timer::Idle, Timer::Ping, Timer::Pong, Timer::Write, Timer::Part];

/// When each timer fires, if it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers([Option<Time>; ALL.len()]);

impl Timers {
    fn slot(&mut self, timer: Timer) -> &mut Option<Time> {
        &mut self.0[timer as usize]
    }

    pub(super) fn at(&self, timer: Timer) -> Option<Time> {
        self.0[timer as usize]
    }

    pub(super) fn start(&mut self, timer: Timer, at: Time) {
        *self.slot(timer) = Some(at);
    }

    /// Starts the timer unless it runs.
    pub(super) fn start_once(&mut self, timer: Timer, at: Time) {
        self.slot(timer).get_or_insert(at);
    }

    /// Stops the timer; whether it ran.
    pub(super) fn stop(&mut self, timer: Timer) -> bool {
        self.slot(timer).take().is_some()
    }

    /// Stops all timers but that one.
    pub(super) fn stop_all_but(&mut self, timer: Timer) {
        let kept = self.at(timer);
        *self = Timers::default();
        *self.slot(timer) = kept;
    }

    /// The earliest timer.
    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().flatten().min().copied()
    }

    /// Stops a timer that has fired by `now` and names it.
    pub(super) fn expired(&mut self, now: Time) -> Option<Timer> {
        ALL.into_iter().find(|&timer| self.at(timer).is_some_and(|at| at <= now) && self.stop(timer))
    }
}
