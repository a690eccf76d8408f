//! Lines of text on their way to a file that may be slow to take them: the log on standard error.
//!
//! Whoever writes a line never waits for its reader: a terminal that was stopped or a full pipe would otherwise stop
//! every call. A thread writes what has gathered, at most [`PACE`] after it came. Overflow: beyond [`ROOM`] octets lines
//! are dropped, and their number is written when there is room again.

use core::time::Duration;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How long lines gather: a write for every line of a busy switch would cost more than the line.
const PACE: Duration = Duration::from_millis(50);
/// Octets that may wait.
const ROOM: usize = 1 << 20;

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_closed(&self, out: &mut impl Write) {
        let mut text = Vec::new();
        let mut closed = false;
        while !closed {
            let waiting = self.lock();
            let idle = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.closed;
            let waiting = self.changed.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
            let open = |waiting: &mut Waiting| !waiting.closed;
            let gathered = self.changed.wait_timeout_while(waiting, PACE, open);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            core::mem::swap(&mut text, &mut waiting.text);
            let dropped = core::mem::take(&mut waiting.dropped);
            closed = waiting.closed;
            drop(waiting);
            // When nobody reads any more there is nobody to tell.
            let _ = out.write_all(&text);
            if dropped > 0 {
                let told = format!("{dropped} lines of the log were dropped: it is not read fast enough\n");
                let _ = out.write_all(told.as_bytes());
            }
            text.clear();
        }
    }
}

/// Takes lines. A clone writes to the same place.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

/// What is written through it counts as one line, kept or dropped as a whole.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.text.len() + line.len() > ROOM {
            waiting.dropped += 1;
        } else {
            waiting.text.extend_from_slice(line);
            if waiting.text.len() == line.len() {
                self.0.changed.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread behind [`Lines`]. Dropping it writes what waits.
pub struct LinesThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl LinesThread {
    /// Starts the thread, named `log-lines`.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(mut out: impl Write + Send + 'static) -> io::Result<LinesThread> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let write = move || theirs.write_until_closed(&mut out);
        let thread = std::thread::Builder::new().name("log-lines".to_owned()).spawn(write)?;
        Ok(LinesThread { shared, thread: Some(thread) })
    }

    /// Where lines go in.
    pub fn lines(&self) -> Lines {
        Lines(Arc::clone(&self.shared))
    }
}

impl Drop for LinesThread {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics only if writing does; then there is nothing left to write to.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// A file that takes nothing until it is told to.
    struct Slow {
        began: SyncSender<()>,
        go: Receiver<()>,
        took: SyncSender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.began.send(()).map_err(io::Error::other)?;
            self.go.recv().map_err(io::Error::other)?;
            self.took.send(text.to_vec()).map_err(io::Error::other)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_never_time() {
        let ((began, beginning), (let_go, go), (took, taken)) =
            (sync_channel(8), sync_channel(8), sync_channel(8));
        let thread = LinesThread::start(Slow { began, go, took }).unwrap();
        let mut lines = thread.lines();
        lines.write_all(b"first\n").unwrap();
        beginning.recv().unwrap();
        // The thread is stuck with the first line: as much as there is room for waits, the rest is counted.
        let line = [b'x'; 1_000];
        let kept = ROOM / line.len();
        for _ in 0..kept + 3 {
            lines.write_all(&line).unwrap();
        }
        for _ in 0..4 {
            let_go.send(()).unwrap();
        }
        drop(thread);
        let written: Vec<u8> = taken.try_iter().flatten().collect();
        assert!(written.starts_with(b"first\n"));
        assert_eq!(written.iter().filter(|octet| **octet == b'x').count(), kept * line.len());
        assert!(written.ends_with(b"3 lines of the log were dropped: it is not read fast enough\n"));
    }

    #[test]
    fn the_last_lines_are_written_before_the_end() {
        let ((began, _beginning), (let_go, go), (took, taken)) =
            (sync_channel(8), sync_channel(8), sync_channel(8));
        let_go.send(()).unwrap();
        let thread = LinesThread::start(Slow { began, go, took }).unwrap();
        thread.lines().write_all(b"last\n").unwrap();
        drop(thread);
        assert_eq!(taken.recv().unwrap(), b"last\n");
    }
}
