//! Events as bytes: the payload of RFC 4733 §2.3, and the codes of the keys (RFC 4733 §3.2, table 3).
//!
//! Left out on purpose: what the other codes mean; they are read and passed, and have no character.

use serde::{Deserialize, Serialize};

/// Octets of one event report.
const REPORT: usize = 4;
const END: u8 = 0x80;
const VOLUME: u8 = 0x3f;
/// The characters of the codes from zero on; the flash is an exclamation mark, as in dial strings of ITU-T V.250.
const CHARACTERS: &[u8; 17] = b"0123456789*#ABCD!";

/// The number of an event: 0 to 9 are the digits, 10 is `*`, 11 is `#`, 12 to 15 are A to D, 16 is the hook flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventCode(pub u8);

impl EventCode {
    /// The hook flash.
    pub const FLASH: Self = Self(16);

    /// The code of `0`–`9`, `*`, `#`, `A`–`D` in either case, or `!` for the flash.
    #[must_use]
    pub fn from_char(character: char) -> Option<Self> {
        let wanted = u8::try_from(character.to_ascii_uppercase()).ok()?;
        let code = CHARACTERS.iter().position(|character| *character == wanted)?;
        u8::try_from(code).ok().map(Self)
    }

    /// Its character; `None` above 16.
    #[must_use]
    pub fn to_char(self) -> Option<char> {
        CHARACTERS.get(usize::from(self.0)).map(|character| char::from(*character))
    }

    /// Whether it is one of the sixteen keys.
    #[must_use]
    pub const fn is_dtmf(self) -> bool {
        self.0 < 16
    }

    /// The row and column on the keypad of Q.23, each 0 to 3; `None` for the flash and above.
    #[must_use]
    pub const fn key(self) -> Option<(usize, usize)> {
        match self.0 {
            0 => Some((3, 1)),
            1..=9 => Some(((self.0 as usize - 1) / 3, (self.0 as usize - 1) % 3)),
            10 => Some((3, 0)),
            11 => Some((3, 2)),
            12..=15 => Some((self.0 as usize - 12, 3)),
            16..=u8::MAX => None,
        }
    }

    /// The key in a row and column, each 0 to 3.
    pub(super) const fn at(row: usize, column: usize) -> Self {
        const KEYS: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];
        Self(KEYS[row & 3][column & 3])
    }
}

/// One event report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which event.
    pub code: EventCode,
    /// Whether it is over.
    pub end: bool,
    /// Its level in −dBm0, 0 to 63; zero also for unknown.
    pub volume: u8,
    /// How long it has lasted in this segment, in ticks of the timestamp.
    pub duration: u16,
}

impl Event {
    /// Reads a report. The reserved bit is ignored (§2.3.3).
    #[must_use]
    pub const fn read(report: &[u8; REPORT]) -> Self {
        Self {
            code: EventCode(report[0]),
            end: report[1] & END != 0,
            volume: report[1] & VOLUME,
            duration: u16::from_be_bytes([report[2], report[3]]),
        }
    }

    /// Writes it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; REPORT] {
        let flags = (self.volume & VOLUME) | if self.end { END } else { 0 };
        let [high, low] = self.duration.to_be_bytes();
        [self.code.0, flags, high, low]
    }
}

/// The reports of a payload: one, or several that follow each other without a pause (§2.5.1.5). Octets that make no report
/// are left.
pub fn events(payload: &[u8]) -> impl Iterator<Item = Event> + '_ {
    payload.as_chunks().0.iter().map(Event::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_layout_of_section_2_3() {
        let event = Event { code: EventCode(11), end: true, volume: 10, duration: 1600 };
        assert_eq!(event.to_bytes(), [11, 0x8a, 0x06, 0x40]);
        assert_eq!(Event::read(&[11, 0xca, 0x06, 0x40]), event);
    }

    #[test]
    fn a_payload_may_hold_several_reports_and_a_rest() {
        let payload = [1, 0x80, 0, 160, 2, 0, 0, 80, 9, 9];
        let codes: Vec<_> = events(&payload).map(|event| (event.code.0, event.end)).collect();
        assert_eq!(codes, [(1, true), (2, false)]);
        assert_eq!(events(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn characters_and_codes_are_one_to_one() {
        for code in 0..17 {
            let character = EventCode(code).to_char().unwrap();
            assert_eq!(EventCode::from_char(character), Some(EventCode(code)));
        }
        assert_eq!(EventCode::from_char('d'), Some(EventCode(15)));
        assert_eq!(EventCode::from_char('x'), None);
        assert_eq!(EventCode::from_char('ß'), None);
        assert_eq!(EventCode(17).to_char(), None);
    }

    #[test]
    fn keys_stand_in_the_rows_and_columns_of_q_23() {
        for code in 0..16 {
            let (row, column) = EventCode(code).key().unwrap();
            assert_eq!(EventCode::at(row, column), EventCode(code));
        }
        assert_eq!(EventCode::from_char('#').unwrap().key(), Some((3, 2)));
        assert_eq!(EventCode::FLASH.key(), None);
    }
}
