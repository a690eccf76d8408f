//! What writes the log: encodes into a buffer, begins a segment with a snapshot, ends it when it is full.
//!
//! The [`Recorder`] costs the core a copy per message. Full buffers go to a [`Sink`], which never blocks. When the sink
//! cannot keep up, or its disk is full, the segment is abandoned as it is (it replays up to there), the calls go on, and
//! a new segment begins a while later.

use super::record::{self, Kind};
use super::seal::{Sealer, SealerSpent};
use crate::core::{Input, Output, Switch};
use core::time::Duration;
use sip_stack::Time;

/// Something for the thread that owns the files.
#[derive(Debug)]
pub enum Job {
    /// Close what is open and open the next segment.
    Begin,
    /// Append this to the open segment, if there is one.
    Append(Vec<u8>),
}

/// Takes what is to be written, without ever blocking.
pub trait Sink {
    /// Takes a job; `false` when the sink is behind and has not taken it.
    fn offer(&mut self, job: Job) -> bool;
    /// An empty buffer to be filled again, if one has come back.
    fn recycled(&mut self) -> Option<Vec<u8>>;
    /// Why the open segment could not be written, once per segment.
    fn poll_failure(&mut self) -> Option<std::io::Error>;
}

/// The bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of records after which a new segment begins; four times its snapshot if that is more.
    pub segment: u64,
    /// Slots of each table per slice of a snapshot: some microseconds each.
    pub slots: usize,
    /// Bytes after which a buffer is handed over.
    pub buffer: usize,
    /// Time after which it is handed over in any case.
    pub flush: Duration,
    /// Time after which a new segment is tried when one was abandoned.
    pub retry: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            segment: 128 << 20,
            slots: 256,
            buffer: 256 << 10,
            flush: Duration::from_millis(200),
            retry: Duration::from_secs(5),
        }
    }
}

/// Why a segment ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Abandoned {
    /// The sink takes no more.
    #[error("the disk is slower than what happens")]
    Behind,
    /// The file could not be written.
    #[error("{0}")]
    Failed(std::io::Error),
    /// No more records may be sealed.
    #[error(transparent)]
    Spent(#[from] SealerSpent),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No segment; the next is tried at this time.
    Waiting { until: Time },
    /// The snapshot has this many bytes so far.
    Snapshotting { snapshot: u64, due: Time },
    /// The segment ends when this many bytes were written.
    Recording { end: u64 },
}

/// The log of one switch.
#[derive(Debug)]
pub struct Recorder<S> {
    sink: S,
    sealer: Sealer,
    bounds: Bounds,
    state: State,
    buffer: Vec<u8>,
    /// Bytes of this segment that were handed over.
    written: u64,
    /// When what is in the buffer goes in any case.
    flush_at: Option<Time>,
    abandoned: Option<Abandoned>,
    /// When the last segment began.
    began: Time,
    /// It was told that the log is interrupted, and no segment has lasted since.
    told: bool,
}

impl<S: Sink> Recorder<S> {
    /// A log whose first segment begins at the first [`Recorder::maintain`].
    pub fn new(sink: S, sealer: Sealer, bounds: Bounds) -> Recorder<S> {
        let buffer = Vec::with_capacity(bounds.buffer + SLACK);
        let state = State::Waiting { until: Time(0) };
        Recorder {
            sink,
            sealer,
            bounds,
            state,
            buffer,
            written: 0,
            flush_at: None,
            abandoned: None,
            began: Time(0),
            told: false,
        }
    }

    /// Writes an input down; to be called before the switch takes it.
    pub fn input(&mut self, now: Time, input: &Input) {
        if self.is_open() {
            let written = record::write_input(&mut self.buffer, &mut self.sealer, now, input);
            self.after_record(now, written);
        }
    }

    /// Writes down that timers were fired; to be called before it is done.
    pub fn timeout(&mut self, now: Time) {
        if self.is_open() {
            record::write_timeout(&mut self.buffer, now);
            self.after_record(now, Ok(()));
        }
    }

    /// Writes an output down, in the order it came.
    pub fn output(&mut self, now: Time, output: &Output) {
        if self.is_open() {
            let written = record::write_output(&mut self.buffer, &mut self.sealer, output);
            self.after_record(now, written);
        }
    }

    /// Between two inputs: begins a segment, writes the next slice of its snapshot, hands over what has waited long.
    ///
    /// Tells when a segment had to be abandoned; not again while none lasts for a minute.
    pub fn maintain(&mut self, now: Time, switch: &mut Switch) -> Option<Abandoned> {
        if let Some(error) = self.sink.poll_failure()
            && self.is_open()
        {
            self.abandon(now, Abandoned::Failed(error));
        }
        match self.state {
            State::Waiting { until } if until > now => {}
            State::Waiting { .. } => self.begin(now, switch),
            State::Snapshotting { due, .. } if due > now => {}
            State::Snapshotting { snapshot, .. } => self.slice(now, snapshot, switch),
            State::Recording { end } if self.size() < end => {}
            State::Recording { .. } => {
                record::write_mark(&mut self.buffer, Kind::End);
                self.flush(now);
                if self.is_open() {
                    self.begin(now, switch);
                }
            }
        }
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush(now);
        }
        self.abandoned.take()
    }

    /// When [`Recorder::maintain`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Snapshotting { due, .. } => Some(due),
            State::Recording { .. } => self.flush_at,
        }
    }

    /// Ends the log in order and gives the sink back, which still has to write what it was given.
    pub fn finish(mut self, now: Time, switch: &mut Switch) -> S {
        while let State::Snapshotting { snapshot, .. } = self.state {
            self.slice(now, snapshot, switch);
        }
        if self.is_open() {
            record::write_mark(&mut self.buffer, Kind::End);
            self.flush(now);
        }
        self.sink
    }

    fn is_open(&self) -> bool {
        match self.state {
            State::Waiting { .. } => false,
            State::Snapshotting { .. } | State::Recording { .. } => true,
        }
    }

    fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn begin(&mut self, now: Time, switch: &mut Switch) {
        if !self.sink.offer(Job::Begin) {
            self.abandon(now, Abandoned::Behind);
            return;
        }
        self.buffer.clear();
        self.written = 0;
        self.began = now;
        record::write_header(&mut self.buffer);
        let written = record::write_head(&mut self.buffer, &mut self.sealer, &switch.snapshot().0);
        self.state = State::Snapshotting { snapshot: self.buffer.len() as u64, due: now };
        self.after_record(now, written);
    }

    fn slice(&mut self, now: Time, snapshot: u64, switch: &mut Switch) {
        let before = self.size();
        let slice = switch.slice(self.bounds.slots);
        match &slice {
            Some(part) => record::write_slice(&mut self.buffer, part),
            None => record::write_mark(&mut self.buffer, Kind::SnapshotDone),
        }
        let written = self.size() - before;
        let (snapshot, due) = (snapshot + written, now + PACE * u32::try_from(written).unwrap_or(u32::MAX));
        self.state = match slice {
            Some(_) => State::Snapshotting { snapshot, due },
            None => State::Recording { end: self.size() + self.bounds.segment.max(snapshot * 4) },
        };
        self.after_record(now, Ok(()));
    }

    fn after_record(&mut self, now: Time, written: Result<(), SealerSpent>) {
        if let Err(spent) = written {
            self.abandon(now, spent.into());
        } else if self.buffer.len() >= self.bounds.buffer {
            self.flush(now);
        } else if self.flush_at.is_none() {
            self.flush_at = Some(now + self.bounds.flush);
        }
    }

    fn flush(&mut self, now: Time) {
        self.flush_at = None;
        if self.buffer.is_empty() {
            return;
        }
        let fresh = || Vec::with_capacity(self.bounds.buffer + SLACK);
        let next = self.sink.recycled().unwrap_or_else(fresh);
        self.written += self.buffer.len() as u64;
        let full = core::mem::replace(&mut self.buffer, next);
        if !self.sink.offer(Job::Append(full)) {
            self.abandon(now, Abandoned::Behind);
        }
    }

    fn abandon(&mut self, now: Time, why: Abandoned) {
        self.buffer.clear();
        self.flush_at = None;
        self.state = State::Waiting { until: now + self.bounds.retry };
        if !self.told || now.since(self.began) >= LASTING {
            self.abandoned = Some(why);
        }
        self.told = true;
    }
}

/// A segment that goes on for so long shows that what was told is over.
/// Time per byte of a snapshot: 50 MB a second, which any disk takes, so that a large one never puts the sink behind.
const PACE: Duration = Duration::from_nanos(20);
const LASTING: Duration = Duration::from_secs(60);

/// What the last record may add to a full buffer without a new allocation.
const SLACK: usize = 16 << 10;
