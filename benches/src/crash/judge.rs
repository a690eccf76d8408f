//! What was found after a kill, and the bars.

use super::crowd::Byes;
use softswitch::records::Cause;
use softswitch::store::{CallRecord, Wanted, calls_wanted};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What became of the calls and registrations of one kill.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// Calls that were up.
    pub calls: usize,
    /// Phones that were registered.
    pub phones: usize,
    /// From the start of the program to its first answer.
    pub answered: Duration,
    /// What the parties heard.
    pub byes: Byes,
    /// Phones that the switch still knew.
    pub registered: usize,
    /// Calls with exactly one record that says that they were interrupted.
    pub recorded: usize,
    /// The greatest difference between the kill and the end in a record, in milliseconds.
    pub end_off_ms: u64,
    /// Recordings that can be played.
    pub playable: usize,
    /// The most that is missing at the end of one, in milliseconds.
    pub missing_ms: u64,
}

impl Round {
    /// Reads the records of calls that began between the two times.
    pub(super) fn read(mut self, data: &Path, begun_unix_ms: u64, killed_unix_ms: u64) -> Round {
        let wanted =
            Wanted { since_unix_ms: begun_unix_ms, user: None, id: None, missed: false, limit: 1_000_000 };
        let found = calls_wanted(data, &wanted).unwrap_or_default();
        let of_round = |record: &&CallRecord| {
            (begun_unix_ms..=killed_unix_ms).contains(&record.started_unix_ms)
                && record.cause == Cause::Interrupted
        };
        let mut callers: Vec<&str> = Vec::new();
        for record in found.iter().filter(of_round) {
            callers.push(&record.caller);
            self.end_off_ms = self.end_off_ms.max(record.ended_unix_ms.abs_diff(killed_unix_ms));
            let talked = record.answered_unix_ms.map_or(0, |at| killed_unix_ms.saturating_sub(at));
            let longest = record.recordings.iter().filter_map(|file| wav_ms(Path::new(&**file))).max();
            if let Some(recorded) = longest {
                self.playable += 1;
                self.missing_ms = self.missing_ms.max(talked.saturating_sub(recorded));
            }
        }
        callers.sort_unstable();
        let all = callers.len();
        callers.dedup();
        // One that is there twice is as bad as one that is not there.
        self.recorded = callers.len().saturating_sub(all - callers.len());
        self
    }

    /// The bars that were not kept: `None` in place of a time: times are not judged.
    #[must_use]
    pub fn faults(&self, times: Option<Times>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut count = |what: &str, is: usize, wanted: usize| {
            if is != wanted {
                faults.push(format!("{what}: {is} of {wanted}"));
            }
        };
        count("records of interrupted calls", self.recorded, self.calls);
        count("playable recordings", self.playable, self.calls);
        count("registrations", self.registered, self.phones);
        count("parties that heard BYE", self.byes.heard, 2 * self.calls);
        count("BYEs with Reason", self.byes.with_reason, 2 * self.calls);
        if let Some(Times { answered, end_off_ms, missing_ms }) = times {
            if self.answered > answered {
                faults.push(format!("answered after {:?}, {answered:?} at most", self.answered));
            }
            if self.end_off_ms > end_off_ms {
                faults.push(format!("the end of a record is {} ms off", self.end_off_ms));
            }
            if self.missing_ms > missing_ms {
                faults.push(format!("{} ms of a recording are missing", self.missing_ms));
            }
        }
        faults
    }
}

/// The bars for times.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From the start of the program to its first answer.
    pub answered: Duration,
    /// How far the end in a record may be from the kill.
    pub end_off_ms: u64,
    /// How much of a recording may be missing.
    pub missing_ms: u64,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "answered {:4} ms  registrations {}/{}  records {}/{}, end off {:4} ms  recordings {}/{}, missing {:4} ms  BYE {}/{}, \
             with Reason {}",
            self.answered.as_millis(),
            self.registered,
            self.phones,
            self.recorded,
            self.calls,
            self.end_off_ms,
            self.playable,
            self.calls,
            self.missing_ms,
            self.byes.heard,
            2 * self.calls,
            self.byes.with_reason,
        )
    }
}

/// How long a WAV file plays by its own header, which must not promise more than there is.
fn wav_ms(path: &Path) -> Option<u64> {
    let octets = std::fs::read(path).ok()?;
    if octets.get(..4)? != b"RIFF" || octets.get(8..12)? != b"WAVE" {
        return None;
    }
    let number = |at: usize| {
        let four = octets.get(at..at + 4)?;
        Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize)
    };
    let (mut at, mut rate) = (12, None);
    loop {
        let (name, size) = (octets.get(at..at + 4)?, number(at + 4)?);
        match name {
            // Octets per second.
            b"fmt " => rate = number(at + 16),
            b"data" => {
                let there = octets.len().checked_sub(at + 8)?;
                return (size <= there)
                    .then_some(size as u64 * 1_000 / rate.filter(|rate| *rate > 0)? as u64);
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
}
