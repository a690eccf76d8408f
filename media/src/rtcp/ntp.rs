//! NTP timestamps (RFC 3550 §4): seconds since 1900 with 32 bits of fraction, and their middle 32 bits.
//!
//! The time of day comes in as a reading of both clocks at one moment. Without one, timestamps count the monotonic time,
//! which §6.4.1 allows: round-trip times need no time of day, only lip synchronisation with other hosts does.
//!
//! Left out on purpose: leap seconds, which Unix time does not show either.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Seconds from 1900 to 1970: 70 years with 17 leap days.
const UNIX_EPOCH: u64 = 2_208_988_800;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds since 1 January 1900, 32 bits of them with 32 bits of fraction; the era wraps in 2036.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The timestamp of a Unix time in nanoseconds.
    #[must_use]
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        let (seconds, rest) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
        // Seconds lose their high half on purpose: that is the era.
        Self((seconds.wrapping_add(UNIX_EPOCH) << 32) | ((rest << 32) / NANOS_PER_SECOND))
    }

    /// The middle 32 bits, as the LSR field has them: units of 1/65536 s, wrapping after 18 hours.
    #[must_use]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What both clocks showed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallClock {
    /// The monotonic clock.
    pub at: Time,
    /// The time of day: Unix time in nanoseconds.
    pub unix_nanos: u64,
}

impl WallClock {
    /// The time of day of another moment.
    #[must_use]
    pub const fn ntp(&self, now: Time) -> NtpTime {
        let unix = self.unix_nanos.wrapping_add(now.0).wrapping_sub(self.at.0);
        NtpTime::from_unix_nanos(unix)
    }
}

/// A duration in units of 1/65536 s, as the DLSR field has it; saturates after 18 hours.
pub(super) fn to_dlsr(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() << 16) / u128::from(NANOS_PER_SECOND)).unwrap_or(u32::MAX)
}

/// A DLSR field as a duration.
pub(super) const fn from_dlsr(units: u32) -> Duration {
    Duration::from_nanos((units as u64 * NANOS_PER_SECOND) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_epoch_is_2208988800_seconds_into_the_first_era() {
        assert_eq!(NtpTime::from_unix_nanos(0).0, 2_208_988_800 << 32);
        assert_eq!(NtpTime::from_unix_nanos(1_500_000_000).0, (2_208_988_801 << 32) | 1 << 31);
    }

    #[test]
    fn the_era_wraps_in_2036() {
        let wrap = (1u64 << 32) - UNIX_EPOCH;
        assert_eq!(NtpTime::from_unix_nanos(wrap * NANOS_PER_SECOND).0, 0);
    }

    #[test]
    fn the_middle_is_seconds_and_their_65536ths() {
        assert_eq!(NtpTime(0x1234_5678_9abc_def0).middle(), 0x5678_9abc);
    }

    #[test]
    fn a_moment_before_the_reading_has_its_time_of_day() {
        let clock = WallClock { at: Time(10 * NANOS_PER_SECOND), unix_nanos: 100 * NANOS_PER_SECOND };
        assert_eq!(clock.ntp(Time(0)), NtpTime::from_unix_nanos(90 * NANOS_PER_SECOND));
        assert_eq!(clock.ntp(Time(15 * NANOS_PER_SECOND)), NtpTime::from_unix_nanos(105 * NANOS_PER_SECOND));
    }

    #[test]
    fn delays_keep_their_65536ths() {
        assert_eq!(to_dlsr(Duration::from_millis(1500)), 98_304);
        assert_eq!(from_dlsr(98_304), Duration::from_millis(1500));
        assert_eq!(to_dlsr(Duration::MAX), u32::MAX);
    }
}
