//! Standard error while the terminal is a screen: what libraries write there (ALSA does) would garble it, so it goes into a
//! pipe, and its lines are shown as notices.
//!
//! Standard error that is no terminal is left alone. Bounds: [`LINES`] wait, more are lost; a line has up to [`LINE`] octets.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

/// Lines that may wait.
const LINES: usize = 64;
/// The longest line that is shown whole.
const LINE: usize = 1_024;

/// Standard error, caught.
pub(super) struct Stderr {
    lines: Mutex<Receiver<String>>,
    #[cfg(unix)]
    before: Option<std::os::fd::OwnedFd>,
}

impl Stderr {
    /// From now on lines come here.
    #[cfg(unix)]
    #[expect(clippy::disallowed_methods, reason = "the edge of the program: reading a pipe waits")]
    pub(super) fn catch(waker: Arc<mio::Waker>) -> io::Result<Stderr> {
        use std::io::{BufRead, IsTerminal};
        let (sender, lines) = sync_channel(LINES);
        let lines = Mutex::new(lines);
        if !io::stderr().is_terminal() {
            return Ok(Stderr { lines, before: None });
        }
        let before = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
        let (reader, writer) = io::pipe()?;
        rustix::stdio::dup2_stderr(&writer)?;
        std::thread::spawn(move || {
            let mut reader = io::BufReader::new(reader);
            let mut line = Vec::new();
            loop {
                line.clear();
                let limited = &mut io::Read::take(&mut reader, LINE as u64);
                match limited.read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                if !text.is_empty() && sender.try_send(text).is_ok() {
                    let _woken = waker.wake();
                }
            }
        });
        Ok(Stderr { lines, before: Some(before) })
    }

    /// Left alone: there is no pipe for it on this system.
    #[cfg(not(unix))]
    pub(super) fn catch(_waker: Arc<mio::Waker>) -> io::Result<Stderr> {
        let (_, lines) = sync_channel(LINES);
        Ok(Stderr { lines: Mutex::new(lines) })
    }

    /// The lines that came since last time.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().map(|lines| lines.try_iter().collect()).unwrap_or_default()
    }

    /// What is written from now on goes where it went before.
    pub(super) fn restore(&self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            // If it fails nobody can be told.
            let _restored = rustix::stdio::dup2_stderr(before);
        }
    }
}
