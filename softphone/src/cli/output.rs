//! Standard output as a place that never makes a call wait: lines are written by a thread of its own.
//!
//! Bound: [`LINES`] wait; one more is lost and counted, and `lost lines=N` says so when there is room again. When nobody reads
//! any more, the phone leaves.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that may wait.
const LINES: usize = 1_024;
/// How long the last lines may take at the end.
const LAST: Duration = Duration::from_secs(1);

/// Standard output.
pub(super) struct Output {
    sender: Option<SyncSender<String>>,
    done: Receiver<()>,
    lost: u64,
    closed: bool,
}

impl Output {
    #[expect(clippy::disallowed_methods, reason = "the edge of the program: writing to a pipe may wait")]
    pub(super) fn start() -> Output {
        let (sender, lines) = sync_channel::<String>(LINES);
        let (finished, done) = sync_channel(1);
        std::thread::spawn(move || {
            let mut output = std::io::stdout().lock();
            for line in lines {
                if writeln!(output, "{line}").and_then(|()| output.flush()).is_err() {
                    break;
                }
            }
            // Nobody waits any more when the process is over already.
            let _told = finished.send(());
        });
        Output { sender: Some(sender), done, lost: 0, closed: false }
    }

    /// Writes a line, now or soon.
    pub(super) fn say(&mut self, line: String) {
        if self.lost > 0 && self.send(format!("lost lines={}", self.lost)) {
            self.lost = 0;
        }
        if self.lost > 0 || !self.send(line) {
            self.lost += 1;
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    fn send(&mut self, line: String) -> bool {
        let sent = self.sender.as_ref().map(|sender| sender.try_send(line));
        self.closed |= matches!(sent, Some(Err(TrySendError::Disconnected(_))));
        matches!(sent, Some(Ok(())))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.sender = None;
        let _written = self.done.recv_timeout(LAST);
    }
}

/// Writes to standard error. Whoever reads no more does not end the call.
pub(super) fn say(text: &str) {
    let _unread = writeln!(std::io::stderr(), "{text}");
}
