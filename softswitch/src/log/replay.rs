//! Does again what a segment tells, and compares every output byte for byte.

use super::reader::{Item, ReadError, Reader};
use super::record::{FORMAT, Header, Kind, MAGIC, encode_output, split_time};
use super::seal::Key;
use crate::core::{Input, Output, RestoreError, SnapshotPart, Switch};
use core::fmt;
use sip_stack::Time;
use sip_stack::message::Escaped;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

/// What was done again, without a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs, without timeouts.
    pub inputs: u64,
    /// Calls of `handle_timeout`.
    pub timeouts: u64,
    /// Outputs that were compared.
    pub outputs: u64,
    /// How the segment ends.
    pub ending: Ending,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was closed in order.
    Closed,
    /// Its process was killed, or gave the segment up; the last record may be cut.
    Torn,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replayed {} inputs, {} outputs: identical", self.inputs, self.outputs)?;
        match self.ending {
            Ending::Closed => Ok(()),
            Ending::Torn => {
                f.write_str(" (the log breaks off: the process was killed or gave the segment up)")
            }
        }
    }
}

/// Why a segment was not replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A record cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is something else.
    #[error("this is not a scenario log")]
    NotALog,
    /// Another format.
    #[error("the log has format {found}, this program reads format {FORMAT}")]
    Format {
        /// The log's.
        found: u16,
    },
    /// Another version wrote it.
    #[error("version {found} of the program wrote the log; replay it with that version")]
    Version {
        /// The log's.
        found: Box<str>,
    },
    /// A sealed record does not open.
    #[error("record {number} does not open: the key is another one, or the record was changed")]
    Sealed {
        /// The record, counted from 1.
        number: u64,
    },
    /// The log breaks off before its snapshot is complete.
    #[error("the log breaks off before its snapshot is complete: there is no state to start from")]
    NoSnapshot,
    /// A record does not decode, or stands where it cannot.
    #[error("record {number} does not decode, or is out of place")]
    Malformed {
        /// The record, counted from 1.
        number: u64,
    },
    /// The snapshot does not fit this program.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// An output is not the recorded one.
    #[error("{0}")]
    Differs(Box<Difference>),
}

impl From<io::Error> for ReplayError {
    fn from(error: io::Error) -> ReplayError {
        ReplayError::Read(error.into())
    }
}

/// The first output that is not the recorded one.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The record it was found at, counted from 1.
    pub record: u64,
    /// The time that was handed in last.
    pub time: Time,
    /// The record of what led to it, counted from 1.
    pub cause_record: u64,
    /// The input that led to it; `None` when it was a timeout.
    pub cause: Option<Input>,
    /// What the log has; `None` when it has no further output there, or one that does not decode.
    pub expected: Option<Output>,
    /// What the switch did; `None` when it did nothing.
    pub got: Option<Output>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "difference at record {}, time {} ns", self.record, self.time.0)?;
        writeln!(f, "after record {}:", self.cause_record)?;
        match &self.cause {
            None => writeln!(f, "timeout")?,
            Some(Input::Received { flow, bytes }) => writeln!(f, "received {flow}\n{}", Lines(bytes))?,
            Some(other) => writeln!(f, "{other:?}")?,
        }
        writeln!(f, "expected:\n{}", Shown(self.expected.as_ref()))?;
        write!(f, "got:\n{}", Shown(self.got.as_ref()))
    }
}

struct Shown<'a>(Option<&'a Output>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("nothing (or what does not decode)"),
            Some(Output::Transmit(transmit)) => {
                write!(f, "transmit {} for transaction ", transmit.flow)?;
                match transmit.transaction {
                    Some(transaction) => writeln!(f, "{transaction}")?,
                    None => writeln!(f, "none")?,
                }
                write!(f, "{}", Lines(&transmit.bytes))
            }
            Some(other) => write!(f, "{other:?}"),
        }
    }
}

/// A SIP message line by line, everything else escaped.
pub(crate) struct Lines<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\r\n") {
                Some(line) => writeln!(f, "    {}", Escaped(line))?,
                None => writeln!(f, "    {}", Escaped(line))?,
            }
        }
        Ok(())
    }
}

/// Replays the segment in `path`.
///
/// # Errors
/// [`ReplayError::Differs`] at the first difference; the others when there is nothing to compare.
pub fn replay(path: &Path, key: &Key) -> Result<Replayed, ReplayError> {
    replay_from(File::open(path)?, key)
}

/// As [`replay`], from anything that can be read twice.
///
/// # Errors
/// As [`replay`].
pub fn replay_from<R: Read + Seek>(mut input: R, key: &Key) -> Result<Replayed, ReplayError> {
    let switch = restore(Reader::new(BufReader::new(&mut input)), key)?;
    input.rewind()?;
    let replayed = Replayed { inputs: 0, timeouts: 0, outputs: 0, ending: Ending::Torn };
    let run = Run { switch, key, replayed, time: Time(0), cause: None, cause_record: 0 };
    run.through(Reader::new(BufReader::new(input)))
}

/// Reads as far as the snapshot goes; its slices stand between what happened meanwhile.
fn restore<R: Read>(mut reader: Reader<R>, key: &Key) -> Result<Switch, ReplayError> {
    check_header(&mut reader)?;
    let mut head = None;
    let mut slices: Vec<SnapshotPart> = Vec::new();
    while let Item::Record { number, kind, payload } = reader.next_item()? {
        match kind {
            Kind::Head => {
                head = Some(key.open(kind.byte(), payload).ok_or(ReplayError::Sealed { number })?);
            }
            Kind::Slice => {
                slices.push(postcard::from_bytes(payload).map_err(|_| ReplayError::Malformed { number })?);
            }
            Kind::SnapshotDone => {
                let head = head.ok_or(ReplayError::Malformed { number })?;
                return Ok(Switch::restore(&head, slices)?);
            }
            Kind::Header => return Err(ReplayError::Malformed { number }),
            Kind::Input
            | Kind::SealedInput
            | Kind::Timeout
            | Kind::Output
            | Kind::SealedOutput
            | Kind::End => {}
        }
    }
    Err(ReplayError::NoSnapshot)
}

fn check_header<R: Read>(reader: &mut Reader<R>) -> Result<(), ReplayError> {
    let Ok(Item::Record { kind: Kind::Header, payload, .. }) = reader.next_item() else {
        return Err(ReplayError::NotALog);
    };
    let header: Header = postcard::from_bytes(payload).map_err(|_| ReplayError::NotALog)?;
    if header.magic != MAGIC {
        return Err(ReplayError::NotALog);
    }
    if header.format != FORMAT {
        return Err(ReplayError::Format { found: header.format });
    }
    if header.program != Header::ours().program {
        return Err(ReplayError::Version { found: header.program });
    }
    Ok(())
}

struct Run<'a> {
    switch: Switch,
    key: &'a Key,
    replayed: Replayed,
    time: Time,
    cause: Option<Input>,
    cause_record: u64,
}

impl Run<'_> {
    fn through<R: Read>(mut self, mut reader: Reader<R>) -> Result<Replayed, ReplayError> {
        while let Item::Record { number, kind, payload } = reader.next_item()? {
            match kind {
                Kind::Header | Kind::Head | Kind::Slice | Kind::SnapshotDone => {}
                Kind::Input => self.input(number, payload)?,
                Kind::SealedInput => {
                    let payload = self.open(number, kind, payload)?;
                    self.input(number, &payload)?;
                }
                Kind::Timeout => {
                    let (now, _) = split_time(payload).ok_or(ReplayError::Malformed { number })?;
                    self.expect_nothing_more(number)?;
                    (self.time, self.cause, self.cause_record) = (now, None, number);
                    self.replayed.timeouts += 1;
                    self.switch.handle_timeout(now);
                }
                Kind::Output => self.output(number, payload)?,
                Kind::SealedOutput => {
                    let payload = self.open(number, kind, payload)?;
                    self.output(number, &payload)?;
                }
                Kind::End => {
                    self.expect_nothing_more(number)?;
                    self.replayed.ending = Ending::Closed;
                    break;
                }
            }
        }
        Ok(self.replayed)
    }

    fn open(&self, number: u64, kind: Kind, payload: &[u8]) -> Result<Vec<u8>, ReplayError> {
        self.key.open(kind.byte(), payload).ok_or(ReplayError::Sealed { number })
    }

    fn input(&mut self, number: u64, payload: &[u8]) -> Result<(), ReplayError> {
        self.expect_nothing_more(number)?;
        let malformed = ReplayError::Malformed { number };
        let Some((now, payload)) = split_time(payload) else { return Err(malformed) };
        let Ok(input) = postcard::from_bytes::<Input>(payload) else { return Err(malformed) };
        (self.time, self.cause, self.cause_record) = (now, Some(input.clone()), number);
        self.replayed.inputs += 1;
        self.switch.handle_input(now, input);
        Ok(())
    }

    fn output(&mut self, number: u64, expected: &[u8]) -> Result<(), ReplayError> {
        let got = self.switch.poll_output();
        if got.as_ref().is_some_and(|got| encode_output(got) == expected) {
            self.replayed.outputs += 1;
            return Ok(());
        }
        Err(self.difference(number, postcard::from_bytes(expected).ok(), got))
    }

    fn expect_nothing_more(&mut self, number: u64) -> Result<(), ReplayError> {
        match self.switch.poll_output() {
            None => Ok(()),
            Some(got) => Err(self.difference(number, None, Some(got))),
        }
    }

    fn difference(&self, record: u64, expected: Option<Output>, got: Option<Output>) -> ReplayError {
        ReplayError::Differs(Box::new(Difference {
            record,
            time: self.time,
            cause_record: self.cause_record,
            cause: self.cause.clone(),
            expected,
            got,
        }))
    }
}
