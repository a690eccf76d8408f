//! Monotonic time as the crate knows it: a number that is handed in.
//!
//! Left out on purpose: reading a clock. `io` does that, in one place, so that the core runs in virtual time.

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds of monotonic time since an origin that only the caller knows.
///
/// Two values compare only when they come from the same clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The time that has passed since `earlier`; zero when `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// A later time; saturates at the end of the clock, some 584 years after its origin.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_since_a_later_time_is_zero() {
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(9).since(Time(5)), Duration::from_nanos(4));
    }

    #[test]
    fn adding_saturates_at_the_end_of_the_clock() {
        assert_eq!(Time(u64::MAX - 1) + Duration::MAX, Time(u64::MAX));
        assert_eq!(Time(1) + Duration::from_nanos(2), Time(3));
    }
}
