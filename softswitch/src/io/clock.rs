//! The one place of the program where clocks are read.
//!
//! Monotonic time counts suspend where the system offers such a clock (Linux: CLOCK_BOOTTIME). The time of day is
//! compared with it once a second, so that a step is noticed.

use core::time::Duration;
use sip_stack::Time;
use std::time::SystemTime;

/// Monotonic time that goes on while the machine is suspended.
#[cfg(target_os = "linux")]
pub(super) fn now() -> Time {
    use nix::time::{ClockId, clock_gettime};
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux since 2.6.39 has this clock");
    Time(0) + Duration::from(since_boot)
}

/// Monotonic time since the first call. Whether it goes on while the machine is suspended is up to the system.
#[cfg(not(target_os = "linux"))]
pub(super) fn now() -> Time {
    use std::sync::OnceLock;
    use std::time::Instant;
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the core")]
    let now = Instant::now();
    // One hour on, so that times before the first call can be told.
    Time(3_600_000_000_000) + now.saturating_duration_since(*ORIGIN.get_or_init(|| now))
}

/// Milliseconds since 1970-01-01 00:00 UTC; zero before.
pub(crate) fn unix_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the core")]
    let now = SystemTime::now();
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// How far the time of day may run off the monotonic clock before that is a step.
const STEP_MS: u64 = 1_000;
/// How often the time of day is told anyway.
const EVERY: Duration = Duration::from_secs(60);

/// Knows what the core was told about the time of day.
#[derive(Debug, Default)]
pub(super) struct WallClock {
    told: Option<(Time, u64)>,
}

impl WallClock {
    /// The time of day, if the core should hear it now.
    pub(super) fn poll(&mut self, now: Time) -> Option<u64> {
        self.judge(now, unix_ms())
    }

    fn judge(&mut self, now: Time, unix_ms: u64) -> Option<u64> {
        if let Some((at, told)) = self.told {
            let elapsed = now.since(at);
            let expected = told.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            if elapsed < EVERY && unix_ms.abs_diff(expected) <= STEP_MS {
                return None;
            }
        }
        self.told = Some((now, unix_ms));
        Some(unix_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_told_at_first_once_a_minute_and_after_a_step() {
        let mut wall = WallClock::default();
        let at = Time::from_millis;
        assert_eq!(wall.judge(at(0), 1_000_000), Some(1_000_000));
        assert_eq!(wall.judge(at(5_000), 1_005_900), None);
        assert_eq!(wall.judge(at(6_000), 1_007_100), Some(1_007_100), "a step ahead");
        assert_eq!(wall.judge(at(7_000), 1_007_000), Some(1_007_000), "a step back");
        assert_eq!(wall.judge(at(66_999), 1_066_999), None);
        assert_eq!(wall.judge(at(67_000), 1_067_000), Some(1_067_000), "a minute later");
    }
}
