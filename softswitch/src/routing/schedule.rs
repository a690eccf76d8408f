//! When a rule holds: weekdays and hours in a time zone, holidays, and the days that are open though their weekday is not.
//!
//! Zones are those of the IANA database, compiled in (decision 52). Hours are those of the clock on the wall: where it is put
//! forward, the hour that is left out is in no period, and where it is put back, the hour that comes twice is in both. Left out on purpose:
//! holidays that move with the moon, which are written with their year.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time zone of the IANA database.
#[derive(Clone, Debug)]
pub struct Zone {
    name: Box<str>,
    zone: TimeZone,
}

impl Zone {
    /// The zone of this name, such as `Europe/Moscow`, in any case of letters; `None` when there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Zone> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        Some(Zone { name: zone.iana_name().unwrap_or(name).into(), zone })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
        let name = Box::<str>::deserialize(deserializer)?;
        Zone::named(&name).ok_or_else(|| de::Error::custom("there is no such time zone"))
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What users name it by when they dial, if they may.
    pub code: Option<Box<str>>,
    /// The zone of its hours.
    pub zone: Zone,
    /// When it is open, but on holidays.
    pub periods: Vec<Period>,
    /// Days on which it is not.
    pub holidays: Vec<Days>,
    /// Days on which it is open by [`Schedule::periods`] as on any weekday: they are taken for a Monday, holidays or not.
    pub workdays: Vec<Days>,
}

/// Hours of some weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Bit 0 is Monday.
    weekdays: u8,
    /// The minute of the day at which it begins.
    from: u16,
    /// The minute at which it is over; if that is not later than the first, on the next day.
    until: u16,
}

/// Days in a row, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    first: Day,
    last: Day,
}

/// A day, of one year or of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Day {
    year: Option<i16>,
    month: i8,
    day: i8,
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

impl Schedule {
    /// Whether it is open at a moment.
    #[must_use]
    pub fn is_open(&self, unix_ms: u64) -> bool {
        let Ok(moment) = Timestamp::from_millisecond(i64::try_from(unix_ms).unwrap_or(i64::MAX)) else {
            return false;
        };
        let local = moment.to_zoned_datetime(self.zone.zone.clone()).datetime();
        let minute =
            u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
        let today = local.date();
        let began_today = |period: &Period| {
            let over = if period.wraps() { DAY_MINUTES } else { period.until };
            minute >= period.from && minute < over
        };
        let began_yesterday = |period: &Period| period.wraps() && minute < period.until;
        let is_on = |day: jiff::civil::Date, holds: &dyn Fn(&Period) -> bool| {
            self.weekday(day).is_some_and(|weekday| {
                self.periods.iter().any(|period| period.weekdays & (1 << weekday) != 0 && holds(period))
            })
        };
        is_on(today, &began_today) || today.yesterday().is_ok_and(|day| is_on(day, &began_yesterday))
    }

    /// What weekday a day is taken for, from 0; `None` on a holiday.
    fn weekday(&self, day: jiff::civil::Date) -> Option<u8> {
        if self.workdays.iter().any(|days| days.contains(day)) {
            return Some(0);
        }
        if self.holidays.iter().any(|days| days.contains(day)) {
            return None;
        }
        Some(number_of(day.weekday()))
    }
}

impl Period {
    /// Reads `mon-fri 09:00-18:00`, `sat,sun 10:00-15:30`, `mon-sun 22:00-06:00`, or hours alone for every day; `24:00` is the end of the day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Period> {
        let (days, hours) = match text.trim().split_once(' ') {
            Some((days, hours)) => (weekdays(days)?, hours.trim()),
            None => (0b111_1111, text.trim()),
        };
        let (from, until) = hours.split_once('-')?;
        let (from, until) = (minute(from)?, minute(until)?);
        (from < DAY_MINUTES).then_some(Period { weekdays: days, from, until })
    }

    const fn wraps(&self) -> bool {
        self.until <= self.from
    }
}

impl Days {
    /// Reads `2026-01-01`, `05-09` (every year), and `2026-01-01/2026-01-08` (both ends included).
    #[must_use]
    pub fn parse(text: &str) -> Option<Days> {
        let (first, last) = text.split_once('/').unwrap_or((text, text));
        let (first, last) = (Day::parse(first.trim())?, Day::parse(last.trim())?);
        let in_order = match (first.year, last.year) {
            (Some(_), Some(_)) => first.key(0) <= last.key(0),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        in_order.then_some(Days { first, last })
    }

    fn contains(&self, day: jiff::civil::Date) -> bool {
        let day = (day.year(), day.month(), day.day());
        let (first, last) = (self.first.key(day.0), self.last.key(day.0));
        if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last }
    }
}

impl Day {
    fn parse(text: &str) -> Option<Day> {
        let number = |text: &str, digits: usize| {
            (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse().ok())?
        };
        let (year, rest) = match text.split_once('-')? {
            (year, rest) if year.len() == 4 => (Some(number(year, 4)?), rest),
            _ => (None, text),
        };
        let (month, day) = rest.split_once('-')?;
        let (month, day): (i16, i16) = (number(month, 2)?, number(day, 2)?);
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        // 29 February is there every year in which there is one.
        jiff::civil::Date::new(year.unwrap_or(2_000), month, day).ok()?;
        Some(Day { year, month, day })
    }

    fn key(&self, year: i16) -> (i16, i8, i8) {
        (self.year.unwrap_or(year), self.month, self.day)
    }
}

fn weekdays(text: &str) -> Option<u8> {
    let place = |name: &str| WEEKDAYS.iter().position(|known| known.eq_ignore_ascii_case(name));
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (place(first)?, place(last)?);
        loop {
            days |= 1 << at;
            if at == last {
                break;
            }
            at = (at + 1) % WEEKDAYS.len();
        }
    }
    Some(days)
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| -> Option<u16> {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MINUTES).then_some(total)
}

const fn number_of(weekday: Weekday) -> u8 {
    match weekday {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(zone: &str, periods: &[&str], holidays: &[&str], workdays: &[&str]) -> Schedule {
        Schedule {
            code: None,
            zone: Zone::named(zone).unwrap(),
            periods: periods.iter().map(|text| Period::parse(text).unwrap()).collect(),
            holidays: holidays.iter().map(|text| Days::parse(text).unwrap()).collect(),
            workdays: workdays.iter().map(|text| Days::parse(text).unwrap()).collect(),
        }
    }

    fn is_open(schedule: &Schedule, moment: &str) -> bool {
        let moment: Timestamp = moment.parse().unwrap();
        schedule.is_open(u64::try_from(moment.as_millisecond()).unwrap())
    }

    #[test]
    fn hours_are_those_of_the_zone_and_the_last_minute_is_not_in_them() {
        let office = schedule("Europe/Moscow", &["mon-fri 09:00-18:00"], &[], &[]);
        // 2026-11-30 is a Monday.
        for (moment, open) in [
            ("2026-11-30T05:59:59Z", false),
            ("2026-11-30T06:00:00Z", true),
            ("2026-11-30T14:59:59Z", true),
            ("2026-11-30T15:00:00Z", false),
            ("2026-11-29T10:00:00Z", false),
        ] {
            assert_eq!(is_open(&office, moment), open, "{moment}");
        }
    }

    #[test]
    fn a_zone_that_puts_its_clocks_forward_keeps_its_hours() {
        let office = schedule("Europe/Berlin", &["08:00-09:00"], &[], &[]);
        assert!(is_open(&office, "2026-01-15T07:30:00Z"));
        assert!(is_open(&office, "2026-07-15T06:30:00Z"));
        assert!(!is_open(&office, "2026-07-15T07:30:00Z"));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = schedule("UTC", &["fri 22:00-06:00"], &["2026-12-11"], &[]);
        // 2026-12-04 is a Friday.
        assert!(is_open(&night, "2026-12-04T23:00:00Z") && is_open(&night, "2026-12-05T05:59:00Z"));
        assert!(!is_open(&night, "2026-12-04T05:00:00Z") && !is_open(&night, "2026-12-05T06:00:00Z"));
        assert!(!is_open(&night, "2026-12-11T23:00:00Z") && !is_open(&night, "2026-12-12T05:00:00Z"));
    }

    #[test]
    fn holidays_are_closed_and_workdays_are_open_whatever_weekday_they_are() {
        let holidays = ["2026-01-01/2026-01-08", "05-09", "12-30/01-02"];
        let office = schedule("UTC", &["mon-fri 09:00-18:00"], &holidays, &["2026-11-07"]);
        for (day, open) in [
            ("2026-01-05", false),
            ("2026-01-09", true),
            ("2025-05-09", false),
            ("2026-12-31", false),
            ("2027-01-01", false),
            ("2026-11-07", true),
            ("2026-11-14", false),
        ] {
            assert_eq!(is_open(&office, &format!("{day}T12:00:00Z")), open, "{day}");
        }
    }

    #[test]
    fn what_is_no_period_day_or_zone_is_refused() {
        for text in [
            "",
            "mon",
            "mon 9:00-18:00",
            "mon 09:00",
            "xyz 09:00-10:00",
            "mon 09:60-10:00",
            "mon 24:00-01:00",
            "mon 09:00-24:01",
        ] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-13-01",
            "02-30",
            "2026-02-29",
            "2026-01-08/2026-01-01",
            "01-01/2026-01-02",
            "1-1",
        ] {
            assert_eq!(Days::parse(text), None, "{text}");
        }
        assert!(Period::parse("fri-mon 10:00-24:00").is_some() && Days::parse("02-29").is_some());
        assert!(Zone::named("Europe/Atlantis").is_none());
        assert_eq!(Zone::named("europe/moscow").unwrap().name(), "Europe/Moscow");
    }
}
