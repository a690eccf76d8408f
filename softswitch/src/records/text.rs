//! Records as text: lines of JSON, CSV (RFC 4180), and lines for people.
//!
//! What peers sent is escaped in each: JSON has escapes of its own; in CSV, control characters are left out and a value that a
//! spreadsheet would take for a formula gets an apostrophe; for people, [`Escaped`].

use super::{Attempt, Entry};
use crate::core::Timestamp;
use crate::store::{CallRecord, EndedBy, MediaFigures};
use core::fmt::Write as _;
use sip_stack::message::Escaped;

/// A record as one line of JSON. The names are those of the fields of [`CallRecord`].
#[must_use]
pub fn json(record: &CallRecord) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

/// The names of the columns of [`csv`], with the line end.
pub const CSV_HEADER: &str = "id,domain,caller,callee,started,answered,ended,talked_s,status,cause,ended_by,missed,route,\
answered_by,caller_codec,callee_codec,caller_lost,callee_lost,caller_mos,callee_mos,recordings,referred_by,transferred_into\r\n";

/// A record as one line of CSV, with its line end.
#[must_use]
pub fn csv(record: &CallRecord) -> String {
    let time =
        |unix_ms: Option<u64>| unix_ms.map(|unix_ms| Timestamp(unix_ms).to_string()).unwrap_or_default();
    let of_answered = record.answered_unix_ms.is_some();
    let lost = |media: &MediaFigures| if of_answered { media.lost.to_string() } else { String::new() };
    let fields = [
        record.id.to_string(),
        record.domain.to_string(),
        record.caller.to_string(),
        record.callee.to_string(),
        time(Some(record.started_unix_ms)),
        time(record.answered_unix_ms),
        time(Some(record.ended_unix_ms)),
        (talked_ms(record) / 1_000).to_string(),
        record.status.to_string(),
        record.cause.word().to_owned(),
        by(record.ended_by).to_owned(),
        u8::from(record.missed).to_string(),
        record.route.as_deref().unwrap_or_default().to_owned(),
        answered_by(record).unwrap_or_default(),
        record.caller_codec.as_deref().unwrap_or_default().to_owned(),
        record.callee_codec.as_deref().unwrap_or_default().to_owned(),
        lost(&record.caller_media),
        lost(&record.callee_media),
        mos(&record.caller_media),
        mos(&record.callee_media),
        record.recordings.join(" "),
        record.referred_by.as_deref().unwrap_or_default().to_owned(),
        record.transferred_into.as_deref().unwrap_or_default().to_owned(),
    ];
    fields.iter().map(|field| csv_field(field)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A value of RFC 4180 §2: in quotes, its own doubled.
fn csv_field(text: &str) -> String {
    let plain: String = text.chars().filter(|character| !character.is_control()).collect();
    let is_formula = plain.starts_with(['=', '+', '-', '@']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", plain.replace('"', "\"\""))
}

/// A record as one line of a list for people, with its line end.
#[must_use]
pub fn line(record: &CallRecord) -> String {
    let (caller, callee) = (Escaped(record.caller.as_bytes()), Escaped(record.callee.as_bytes()));
    let missed = if record.missed { ", missed" } else { "" };
    format!(
        "{}  {}  {caller} > {callee}  {}  {}{missed}\n",
        record.id,
        Timestamp(record.started_unix_ms),
        seconds(talked_ms(record)),
        record.cause.word(),
    )
}

/// All of a record, for people.
#[must_use]
pub fn page(record: &CallRecord) -> String {
    let mut text = line(record);
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _infallible = writeln!(text, "  {name:<17}{}", Escaped(value.as_bytes()));
        }
    };
    row("domain", &record.domain);
    row("answered", &record.answered_unix_ms.map(|at| Timestamp(at).to_string()).unwrap_or_default());
    row(
        "ended",
        &format!("{} by {}, status {}", Timestamp(record.ended_unix_ms), by(record.ended_by), record.status),
    );
    row("route", record.route.as_deref().unwrap_or_default());
    row("caller's sound", &sound(record.caller_codec.as_deref(), &record.caller_media));
    row("callee's sound", &sound(record.callee_codec.as_deref(), &record.callee_media));
    row("referred by", record.referred_by.as_deref().unwrap_or_default());
    row("went over to", record.transferred_into.as_deref().unwrap_or_default());
    for (name, word) in &record.variables {
        row("variable", &format!("{name}={word}"));
    }
    for file in &record.recordings {
        row("recording", file);
    }
    for attempt in &record.attempts {
        row("asked", &tried(attempt, record.started_unix_ms));
    }
    for Entry { at_unix_ms, what } in &record.journal.entries {
        let what = serde_json::to_string(what).unwrap_or_default();
        row(&after(*at_unix_ms, record.started_unix_ms), &what);
    }
    if record.journal.left_out > 0 {
        row("", &format!("and {} more", record.journal.left_out));
    }
    text
}

fn tried(attempt: &Attempt, started_unix_ms: u64) -> String {
    let user = String::from_utf8_lossy(&attempt.user);
    let mut text = format!("{user} at {}, {}", attempt.address, attempt.outcome.word());
    if let Some(status) = attempt.status {
        let _infallible = write!(text, " ({status})");
    }
    let times = [
        ("rang", attempt.rang_unix_ms),
        ("answered", attempt.answered_unix_ms),
        ("ended", attempt.ended_unix_ms),
    ];
    for (what, at) in times {
        if let Some(at) = at {
            let _infallible = write!(text, ", {what} {}", after(at, started_unix_ms));
        }
    }
    text
}

fn sound(codec: Option<&str>, media: &MediaFigures) -> String {
    let Some(codec) = codec else { return String::new() };
    let (packets, lost, jitter) = (media.packets, media.lost, media.jitter_us / 1_000);
    let mos = mos(media);
    let quality = if mos.is_empty() { String::new() } else { format!(", MOS {mos}") };
    format!("{codec}, {packets} packets, {lost} lost, jitter {jitter} ms{quality}")
}

fn mos(media: &MediaFigures) -> String {
    let tenths = media.quality.map(|quality| quality.mos_tenths);
    tenths.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10)).unwrap_or_default()
}

/// The user who answered.
fn answered_by(record: &CallRecord) -> Option<String> {
    let attempt = record.attempts.iter().find(|attempt| attempt.answered_unix_ms.is_some())?;
    Some(String::from_utf8_lossy(&attempt.user).into_owned())
}

fn talked_ms(record: &CallRecord) -> u64 {
    record.answered_unix_ms.map_or(0, |answered| record.ended_unix_ms.saturating_sub(answered))
}

fn seconds(ms: u64) -> String {
    format!("{}.{}s", ms / 1_000, ms % 1_000 / 100)
}

fn after(at_unix_ms: u64, started_unix_ms: u64) -> String {
    format!("+{}", seconds(at_unix_ms.saturating_sub(started_unix_ms)))
}

const fn by(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Caller => "caller",
        EndedBy::Callee => "callee",
        EndedBy::Switch => "switch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CallRecord {
        let (id, domain) = ("18c-x".into(), "a.example".into());
        CallRecord::bare(id, domain, "=cmd|'\r\nx".into(), "say \"1002\"".into(), 1_800_000_000_000)
    }

    #[test]
    fn no_value_ends_a_line_of_csv_or_is_a_formula() {
        let line = csv(&record());
        assert!(line.contains("\"'=cmd|'x\",\"say \"\"1002\"\"\""), "{line}");
        assert_eq!(line.matches("\r\n").count(), 1);
        assert_eq!(line.matches("\",\"").count() + 1, CSV_HEADER.split(',').count());
    }

    #[test]
    fn no_value_ends_a_line_for_people_or_of_json() {
        let record = record();
        assert_eq!(line(&record).lines().count(), 1);
        assert_eq!(json(&record).lines().count(), 1);
        let read: CallRecord = serde_json::from_str(&json(&record)).unwrap();
        assert_eq!(read, record);
    }
}
