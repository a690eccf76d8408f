//! A moment in the Gregorian calendar, in UTC, as it stands in the name of a file (ISO 8601-1, with hyphens for the colons
//! that some systems do not take).

use core::fmt;

const MONTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Milliseconds since 1970-01-01 00:00 UTC; shown to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub u64);

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000;
        let mut days = seconds / 86_400;
        // 146,097 days in four centuries; the rest is counted.
        let mut year = 1970 + 400 * (days / 146_097);
        days %= 146_097;
        let length = |year| if is_leap(year) { 366 } else { 365 };
        while days >= length(year) {
            days -= length(year);
            year += 1;
        }
        let mut month = 1;
        for (index, length) in MONTHS.into_iter().enumerate() {
            let length = if index == 1 && is_leap(year) { 29 } else { length };
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}-{minute:02}-{second:02}Z", days + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01T00-00-00Z"),
            (951_782_399, "2000-02-28T23-59-59Z"),
            (951_782_400, "2000-02-29T00-00-00Z"),
            (951_868_800, "2000-03-01T00-00-00Z"),
            (1_735_689_599, "2024-12-31T23-59-59Z"),
            (4_107_542_400, "2100-03-01T00-00-00Z"),
            (13_574_563_200, "2400-02-29T00-00-00Z"),
        ] {
            assert_eq!(Timestamp(seconds * 1_000 + 999).to_string(), shown);
        }
        // A number that no clock shows is none that stops us.
        assert!(Timestamp(u64::MAX).to_string().ends_with('Z'));
    }
}
