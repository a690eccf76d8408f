//! Monotonic time as every machine sees it: a number that is handed in, never read from a clock.

use core::ops::{Add, Sub};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Nanoseconds of monotonic time that counts suspend, since an arbitrary origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// `milliseconds` after the origin.
    pub const fn from_millis(milliseconds: u64) -> Time {
        Time(milliseconds * 1_000_000)
    }

    /// The next whole multiple of `step` after the origin, or this moment if it is one.
    pub fn round_up(self, step: Duration) -> Time {
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        Time(self.0.checked_next_multiple_of(step).unwrap_or(u64::MAX))
    }

    /// Time elapsed since `earlier`; zero when `earlier` lies ahead.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at the end of time (584 years), so that a deadline never wraps into the past.
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    /// Saturates at the origin.
    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}
