//! Waking the thread at a time, exactly.
//!
//! The poll waits for whole milliseconds, rounded up, which a tick would be late by. On Linux a timer (timerfd_create(2)) in
//! the poll wakes at the time itself; elsewhere the poll's own timeout has to do.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

use super::clock;
use crate::time::Time;

/// How much later than asked the system may end a pause of this thread; by default it takes 50 µs.
#[cfg(target_os = "linux")]
const SLACK_NS: u64 = 5_000;

/// The alarm of one thread.
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: timer::Timer,
}

impl Alarm {
    /// An alarm that wakes the poll of `registry` under `token`.
    ///
    /// # Errors
    /// What the system says when it gives no timer.
    #[cfg(target_os = "linux")]
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self { timer: timer::Timer::new(registry, token)? })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Sets the alarm to `due`. How long the poll is to wait besides it; `None` for as long as nothing comes.
    pub(super) fn set(&mut self, due: Option<Time>) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        if self.timer.set(due) {
            return None;
        }
        due.map(|due| due.since(clock::now()))
    }
}

/// Lets pauses of this thread end when they are to.
#[cfg(target_os = "linux")]
pub(super) fn make_punctual() {
    if let Err(error) = nix::sys::prctl::set_timerslack(SLACK_NS) {
        tracing::debug!(%error, "media thread keeps its timer slack");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn make_punctual() {}

#[cfg(target_os = "linux")]
mod timer {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    use crate::time::Time;

    /// Edge-triggered: each expiry wakes once, so nobody has to read the timer.
    pub(super) struct Timer {
        timer: TimerFd,
        due: Option<Time>,
    }

    impl Timer {
        pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
            registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { timer, due: None })
        }

        /// Whether it will wake at `due`. A time that has been set is not set again.
        pub(super) fn set(&mut self, due: Option<Time>) -> bool {
            if self.due == due {
                return true;
            }
            let set = match due {
                Some(due) => {
                    // Zero would unset it.
                    let at = TimeSpec::from_duration(Duration::from_nanos(due.0.max(1)));
                    self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
                }
                None => self.timer.unset(),
            };
            self.due = due.filter(|_| set.is_ok());
            set.is_ok()
        }
    }
}
