//! The thread that writes recordings. It looks at the rings five times a second while something is recorded, and sleeps
//! otherwise; the shard never waits for it nor wakes it.
//!
//! One thread for all files: a disk that hangs makes the rings of all recordings run over, which costs samples and nothing
//! else. Bounds: [`BEGINNINGS`] recordings that are about to begin, [`RECORDINGS`] at a time, beyond which a recording is
//! refused; [`REPORTS`] that the media thread has not taken, beyond which they wait here (`recorder`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::debug;

use super::files::Disk;
use super::recorder::Recorder;
use crate::shard::{Recorded, Report};
use crate::tap::{self, RecordingFault, Tap, TapReader};

/// Recordings that are about to begin.
const BEGINNINGS: usize = 256;
/// Recordings at a time.
const RECORDINGS: usize = 4_096;
/// Reports on their way.
const REPORTS: usize = 1_024;
/// How often the rings are looked at.
const ROUND: Duration = Duration::from_millis(200);

/// The media thread's end. Dropping it completes all files.
pub(in crate::io) struct Scribe {
    beginnings: Option<SyncSender<(Recorded, TapReader)>>,
    reports: Receiver<Report>,
    running: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    /// Starts the thread, named `recorder`. `on_report` is called on it after there was something to report.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub(in crate::io) fn start(on_report: impl Fn() + Send + 'static) -> io::Result<Scribe> {
        let (beginnings, begun) = sync_channel(BEGINNINGS);
        let (told, reports) = sync_channel(REPORTS);
        let running = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&running);
        let run = move || write(&begun, &told, &theirs, on_report);
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(run)?;
        Ok(Scribe { beginnings: Some(beginnings), reports, running, thread: Some(thread) })
    }

    /// Has a recording written; its ring. Allocates.
    ///
    /// # Errors
    /// [`RecordingFault::TooMany`].
    pub(in crate::io) fn record(&self, recorded: Recorded) -> Result<Tap, RecordingFault> {
        let (tap, reader) = tap::ring(recorded.channels);
        let beginnings = self.beginnings.as_ref().ok_or(RecordingFault::TooMany)?;
        if self.running.load(Ordering::Relaxed) >= RECORDINGS {
            return Err(RecordingFault::TooMany);
        }
        beginnings.try_send((recorded, reader)).map_err(|_| RecordingFault::TooMany)?;
        Ok(tap)
    }

    /// The next report.
    pub(in crate::io) fn poll_report(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.beginnings = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            debug!("recorder thread had panicked");
        }
    }
}

fn write(
    begun: &Receiver<(Recorded, TapReader)>,
    told: &SyncSender<Report>,
    running: &AtomicUsize,
    on_report: impl Fn(),
) {
    let mut recorder = Recorder::new(Disk);
    let mut untold = None;
    let mut last = false;
    while !last {
        let idle = recorder.is_idle() && untold.is_none();
        let next = if idle {
            begun.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            begun.recv_timeout(ROUND)
        };
        match next {
            Ok((recorded, reader)) => recorder.begin(recorded, reader),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => last = true,
        }
        recorder.work(last);
        running.store(recorder.running(), Ordering::Relaxed);
        let mut any = false;
        while let Some(report) = untold.take().or_else(|| recorder.poll_report()) {
            match told.try_send(report) {
                Ok(()) => any = true,
                Err(TrySendError::Full(report)) => {
                    untold = Some(report);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        if any {
            on_report();
        }
    }
}
