//! Date: wall time in Greenwich Mean Time and no other zone (RFC 3261 §20.17, §25.1 `SIP-date`).

use crate::message::{Offence, grammar};

const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A wall time as the Date header spells it; whether the weekday fits the day is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

impl Date {
    /// `wkday "," SP 2DIGIT SP month SP 4DIGIT SP 2DIGIT ":" 2DIGIT ":" 2DIGIT SP "GMT"`
    ///
    /// # Errors
    /// [`Offence::Malformed`], also for another time zone.
    pub fn parse(text: &[u8]) -> Result<Date, Offence> {
        Date::read(grammar::trim(text)).ok_or(Offence::Malformed)
    }

    fn read(text: &[u8]) -> Option<Date> {
        let mut words = text.split(|&byte| byte == b' ');
        let weekday = words.next()?.strip_suffix(b",")?;
        let day = number(words.next()?, 2, 1, 31)?;
        let month = words.next()?;
        let month = MONTHS.iter().position(|name| month.eq_ignore_ascii_case(name))? + 1;
        let year = number(words.next()?, 4, 0, 9999)?;
        let mut time = words.next()?.split(|&byte| byte == b':');
        let hour = number(time.next()?, 2, 0, 23)?;
        let minute = number(time.next()?, 2, 0, 59)?;
        let second = number(time.next()?, 2, 0, 60)?;
        let complete = time.next().is_none()
            && words.next()?.eq_ignore_ascii_case(b"GMT")
            && words.next().is_none()
            && WEEKDAYS.iter().any(|name| weekday.eq_ignore_ascii_case(name));
        let small = |value: u16| u8::try_from(value).ok();
        complete.then_some(Date {
            year,
            month: u8::try_from(month).ok()?,
            day: small(day)?,
            hour: small(hour)?,
            minute: small(minute)?,
            second: small(second)?,
        })
    }
}

fn number(text: &[u8], digits: usize, least: u16, most: u16) -> Option<u16> {
    let value = u16::try_from(grammar::digits(text)?).ok()?;
    (text.len() == digits && (least..=most).contains(&value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_in_greenwich_mean_time() {
        let date = Date { year: 2010, month: 11, day: 13, hour: 23, minute: 29, second: 0 };
        assert_eq!(Date::parse(b"Sat, 13 Nov 2010 23:29:00 GMT"), Ok(date));
        for text in [
            &b"Fri, 01 Jan 2010 16:00:00 EST"[..],
            b"",
            b"Sat, 13 Nov 2010 23:29:00",
            b"Sat 13 Nov 2010 23:29:00 GMT",
            b"Sat, 32 Nov 2010 23:29:00 GMT",
            b"Sat, 13 Nov 2010 24:29:00 GMT",
            b"Sat, 13 Nov 2010 23:29 GMT",
            b"Sat, 13 Nov 10 23:29:00 GMT",
            b"Xyz, 13 Nov 2010 23:29:00 GMT",
        ] {
            assert_eq!(Date::parse(text), Err(Offence::Malformed));
        }
    }
}
