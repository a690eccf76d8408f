//! The one place of the crate where clocks are read.
//!
//! The kernel stamps datagrams with the time of day, which may be set while they wait; [`Stamps`] brings that to the
//! monotonic time of everything else. Between two readings the clocks must keep step, or the stamps in between mean nothing.

use std::time::Duration;

use super::batch::TimeOfDay;
use crate::time::Time;

/// How far the clocks may come apart from one reading to the next: far more than any slewing, far less than matters.
const STEP: Duration = Duration::from_micros(500);
/// Stamps older than this are not believed: the thread never leaves a socket alone that long.
const OLDEST: Duration = Duration::from_secs(2);
/// How long reading one clock after the other may take, and how often to try.
const APART: Duration = Duration::from_micros(20);
const TRIES: u32 = 3;

/// Brings arrival times of the kernel to our clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamps {
    now: Time,
    /// The time of day at the origin of our clock.
    origin: Option<i64>,
    kept_step: bool,
}

impl Stamps {
    /// Reads both clocks. Stamps of datagrams that are received from now on until the next reading are compared with these.
    pub(super) fn read(&mut self) -> Time {
        let (mut now, mut of_day) = (self.now, None);
        for _ in 0..TRIES {
            (now, of_day) = now_and_of_day();
            if self::now().since(now) < APART {
                break;
            }
        }
        self.compare(now, of_day)
    }

    fn compare(&mut self, now: Time, of_day: Option<TimeOfDay>) -> Time {
        let origin = of_day.map(|of_day| of_day.0.wrapping_sub(now.0 as i64));
        let apart = origin.zip(self.origin).map(|(new, old)| new.abs_diff(old));
        self.kept_step = apart.is_some_and(|apart| u128::from(apart) < STEP.as_nanos());
        (self.now, self.origin) = (now, origin);
        now
    }

    /// When a datagram with this stamp arrived; by the last reading when nothing is known or to be believed.
    pub(super) fn arrival(&self, stamp: Option<TimeOfDay>) -> Time {
        let (Some(stamp), Some(origin), true) = (stamp, self.origin, self.kept_step) else { return self.now };
        let arrived = Time(u64::try_from(stamp.0.wrapping_sub(origin)).unwrap_or(0));
        if self.now.since(arrived) > OLDEST { self.now } else { arrived.min(self.now) }
    }
}

/// How long the calling thread has had a core so far.
#[cfg(target_os = "linux")]
pub(super) fn used() -> Option<Duration> {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

/// The system is not asked.
#[cfg(not(target_os = "linux"))]
pub(super) const fn used() -> Option<Duration> {
    None
}

#[cfg(target_os = "linux")]
fn now_and_of_day() -> (Time, Option<TimeOfDay>) {
    use nix::time::{ClockId, clock_gettime};
    let now = now();
    let of_day = clock_gettime(ClockId::CLOCK_REALTIME).ok();
    (now, of_day.map(|of_day| TimeOfDay(of_day.tv_sec() * 1_000_000_000 + of_day.tv_nsec())))
}

/// Nothing is stamped.
#[cfg(not(target_os = "linux"))]
fn now_and_of_day() -> (Time, Option<TimeOfDay>) {
    (now(), None)
}

/// Monotonic time that goes on while the machine is suspended.
#[cfg(target_os = "linux")]
pub(super) fn now() -> Time {
    use nix::time::{ClockId, clock_gettime};
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux since 2.6.39 has this clock");
    Time(std::time::Duration::from(since_boot).as_nanos() as u64)
}

/// Monotonic time since the first call. Whether it goes on while the machine is suspended is up to the system.
#[cfg(not(target_os = "linux"))]
pub(super) fn now() -> Time {
    use std::sync::OnceLock;
    use std::time::Instant;
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the core")]
    let now = Instant::now();
    Time(now.saturating_duration_since(*ORIGIN.get_or_init(|| now)).as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 1_800_000_000_000_000_000;

    /// Both clocks at this time of ours, the time of day ahead by `ahead`.
    fn read(stamps: &mut Stamps, now: u64, ahead: i64) {
        stamps.compare(Time(now), Some(TimeOfDay(DAY + now as i64 + ahead)));
    }

    #[test]
    fn a_stamp_becomes_the_time_of_our_clock() {
        let mut stamps = Stamps::default();
        read(&mut stamps, 1_000_000_000, 0);
        read(&mut stamps, 1_020_000_000, 100);
        assert_eq!(stamps.arrival(Some(TimeOfDay(DAY + 1_007_000_100))), Time(1_007_000_000));
        assert_eq!(stamps.arrival(None), Time(1_020_000_000));
    }

    #[test]
    fn stamps_from_before_the_time_of_day_was_set_are_not_believed() {
        let mut stamps = Stamps::default();
        read(&mut stamps, 1_000_000_000, 0);
        for ahead in [-3_600_000_000_000, 10_000_000] {
            read(&mut stamps, 1_020_000_000, ahead);
            assert_eq!(stamps.arrival(Some(TimeOfDay(DAY + 1_007_000_000))), Time(1_020_000_000));
            read(&mut stamps, 1_040_000_000, ahead);
            let stamp = TimeOfDay(DAY + ahead + 1_030_000_000);
            assert_eq!(stamps.arrival(Some(stamp)), Time(1_030_000_000));
        }
    }

    #[test]
    fn nothing_arrives_in_the_future_or_long_ago() {
        let mut stamps = Stamps::default();
        read(&mut stamps, 9_000_000_000, 0);
        read(&mut stamps, 9_020_000_000, 0);
        for stamp in [DAY + 9_020_000_001, DAY + 7_019_999_999, DAY - 1, i64::MIN, i64::MAX] {
            assert_eq!(stamps.arrival(Some(TimeOfDay(stamp))), Time(9_020_000_000), "{stamp}");
        }
    }
}
