//! `softswitch records`: what became of calls, from the database; a running switch goes on.

use super::arguments::{RecordsAction, RecordsArguments, RecordsForm};
use super::{CliError, place};
use crate::io::unix_ms;
use crate::records::text;
use crate::store::{self, CallRecord, Wanted};
use std::io::Write as _;
use std::path::PathBuf;

const DAY_MS: u64 = 86_400_000;

/// Prints records.
pub(super) fn records(arguments: &RecordsArguments) -> Result<(), CliError> {
    match &arguments.action {
        RecordsAction::List { place, form, since, user, missed, limit } => {
            let since_unix_ms = match since {
                Some(said) => time(said, unix_ms()).ok_or_else(|| CliError::NoSince(said.clone()))?,
                None => 0,
            };
            let (user, missed, limit) = (user.as_deref(), *missed, *limit);
            let wanted = Wanted { since_unix_ms, user, id: None, missed, limit };
            let data = place::data_directory(place.data.as_deref())?;
            let found = store::calls_wanted(&data, &wanted)?;
            // Beside what programs read.
            if found.is_empty() && !form.json && !form.csv {
                eprintln!("no such records");
            }
            print(&found, *form, text::line)
        }
        RecordsAction::Show { id, place, form } => {
            let data = place::data_directory(place.data.as_deref())?;
            let wanted = Wanted { since_unix_ms: 0, user: None, id: Some(id), missed: false, limit: 9 };
            let found = store::calls_wanted(&data, &wanted)?;
            if found.is_empty() {
                return Err(CliError::NoSuchRecord(id.clone()));
            }
            print(&found, *form, text::page)
        }
    }
}

/// Unix milliseconds of what is said: a while ago (`30m`, `12h`, `7d`), or the beginning of a day (UTC).
fn time(said: &str, now_unix_ms: u64) -> Option<u64> {
    if let Some((number, unit)) = said.char_indices().last().map(|(at, unit)| (said.get(..at), unit)) {
        let unit_ms: u64 = match unit {
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => DAY_MS,
            _ => 0,
        };
        if unit_ms != 0 {
            let number: u64 = number?.parse().ok()?;
            return Some(now_unix_ms.saturating_sub(number.saturating_mul(unit_ms)));
        }
    }
    let mut parts = said.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| u64::try_from(days(year, month, day)).unwrap_or(0) * DAY_MS)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: years are counted from March, so that the leap day is the last of one.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn print(
    records: &[CallRecord],
    form: RecordsForm,
    for_people: impl Fn(&CallRecord) -> String,
) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    let mut write = |text: &str| out.write_all(text.as_bytes());
    let written = (|| {
        if form.csv {
            write(text::CSV_HEADER)?;
        }
        for record in records {
            match form {
                RecordsForm { json: true, .. } => write(&(text::json(record) + "\n"))?,
                RecordsForm { csv: true, .. } => write(&text::csv(record))?,
                RecordsForm { .. } => write(&for_people(record))?,
            }
        }
        Ok(())
    })();
    match written {
        // Whoever reads has seen enough.
        Err(error) if matches!(std::io::Error::kind(&error), std::io::ErrorKind::BrokenPipe) => Ok(()),
        Err(source) => Err(CliError::File { path: PathBuf::from("standard output"), source }),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_while_ago_or_a_day() {
        let now = 1_800_000_000_000;
        assert_eq!(time("30m", now), Some(now - 1_800_000));
        assert_eq!(time("12h", now), Some(now - 43_200_000));
        assert_eq!(time("7d", now), Some(now - 7 * DAY_MS));
        assert_eq!(time("1970-01-02", now), Some(DAY_MS));
        assert_eq!(time("2024-02-29", now), Some(1_709_164_800_000));
        assert_eq!(time("2027-01-15", now), Some(1_799_971_200_000));
        for said in ["", "m", "7", "yesterday", "2026-13-01", "2026-11", "-3d", "1970-01-ы"] {
            assert_eq!(time(said, now), None, "{said}");
        }
    }
}
