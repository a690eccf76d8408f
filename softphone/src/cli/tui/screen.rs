//! The terminal as a screen: it is taken over as a whole, written by a thread of its own, and given back as it was, also when the
//! program panics.
//!
//! Bound: one screen is under way, of at most [`SHEETS`] pieces; the next is drawn when it is written.

use super::stderr::Stderr;
use crate::tui::{View, draw};
use anyhow::{Context, Result};
use mio::Waker;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Pieces that may wait: a screen is a handful.
const SHEETS: usize = 64;
/// How long the last piece may take.
const LAST: Duration = Duration::from_secs(1);

/// What the phone shows itself on.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Sheet>>,
    shared: Arc<Shared>,
    stderr: Arc<Stderr>,
}

/// Text for the terminal, handed to its thread at each flush.
struct Sheet {
    text: Vec<u8>,
    shared: Arc<Shared>,
}

/// What the screen, its thread and the panic hook share.
struct Shared {
    sender: SyncSender<Vec<u8>>,
    /// Pieces that are not written yet.
    waiting: Mutex<usize>,
    written: Condvar,
    /// The terminal is gone, or given back.
    closed: AtomicBool,
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a piece to the thread; gives it back when too many wait.
    fn send(&self, text: Vec<u8>) -> Result<(), Vec<u8>> {
        *self.waiting() += 1;
        self.sender.try_send(text).map_err(|error| {
            *self.waiting() -= 1;
            match error {
                TrySendError::Full(text) | TrySendError::Disconnected(text) => text,
            }
        })
    }

    /// Gives the terminal back, once. Whether everything was written.
    fn restore(&self, stderr: &Stderr) -> bool {
        if self.closed.swap(true, Ordering::SeqCst) {
            return false;
        }
        let mut text = Vec::new();
        // Memory takes everything.
        let _written = queue!(text, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let sent = self.send(text).is_ok();
        let waiting = self.waiting();
        let waited = self.written.wait_timeout_while(waiting, LAST, |waiting| *waiting > 0);
        let written = waited.is_ok_and(|(_, timeout)| !timeout.timed_out());
        // If it fails there is no terminal any more.
        let _cooked = disable_raw_mode();
        stderr.restore();
        sent && written
    }
}

impl Write for Sheet {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.text.is_empty()
            && let Err(text) = self.shared.send(std::mem::take(&mut self.text))
        {
            self.text = text;
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program: writing to a terminal may wait")]
fn start_writer(receiver: Receiver<Vec<u8>>, shared: Arc<Shared>, waker: Arc<Waker>) {
    std::thread::spawn(move || {
        let mut output = io::stdout();
        for text in receiver {
            if output.write_all(&text).and_then(|()| output.flush()).is_err() {
                shared.closed.store(true, Ordering::SeqCst);
            }
            *shared.waiting() -= 1;
            shared.written.notify_all();
            // A screen that was due meanwhile can be drawn.
            let _woken = waker.wake();
        }
    });
}

impl Screen {
    /// Takes the terminal over. `waker` is woken when there is something to tell or room to draw.
    pub(super) fn open(waker: Arc<Waker>) -> Result<Screen> {
        let (sender, receiver) = sync_channel(SHEETS);
        let shared = Arc::new(Shared {
            sender,
            waiting: Mutex::new(0),
            written: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let stderr = Arc::new(Stderr::catch(Arc::clone(&waker)).context("standard error cannot be caught")?);
        start_writer(receiver, Arc::clone(&shared), waker);
        let previous = std::panic::take_hook();
        let (hook, catcher) = (Arc::clone(&shared), Arc::clone(&stderr));
        std::panic::set_hook(Box::new(move |panic| {
            hook.restore(&catcher);
            previous(panic);
        }));
        enable_raw_mode().context("the terminal cannot be taken over")?;
        let mut sheet = Sheet { text: Vec::new(), shared: Arc::clone(&shared) };
        queue!(sheet, EnterAlternateScreen, EnableBracketedPaste)?;
        let terminal = Terminal::new(CrosstermBackend::new(sheet)).context("the terminal has no size")?;
        Ok(Screen { terminal, shared, stderr })
    }

    /// Whether there is a terminal.
    pub(super) fn is_open(&self) -> bool {
        !self.shared.closed.load(Ordering::SeqCst)
    }

    /// Whether the last screen is written, so that another can be drawn.
    pub(super) fn is_ready(&self) -> bool {
        *self.shared.waiting() == 0
    }

    /// Draws.
    pub(super) fn draw(&mut self, view: &View) -> io::Result<()> {
        self.terminal.draw(|frame| draw(view, frame)).map(|_| ())
    }

    /// Forgets what is on the terminal, so that everything is drawn anew.
    pub(super) fn redraw(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// What was written on standard error, in lines.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// Gives the terminal back. Whether it was there to the end.
    pub(super) fn close(self) -> bool {
        self.shared.restore(&self.stderr)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.restore(&self.stderr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::Command;

    fn ansi(command: impl Command) -> String {
        let mut text = String::new();
        command.write_ansi(&mut text).unwrap();
        text
    }

    #[test]
    fn a_terminal_that_takes_nothing_is_waited_for_and_nothing_is_lost() {
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::new(Shared {
            sender,
            waiting: Mutex::new(0),
            written: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let mut sheet = Sheet { text: Vec::new(), shared: Arc::clone(&shared) };
        queue!(sheet, EnterAlternateScreen).unwrap();
        sheet.flush().unwrap();
        queue!(sheet, Show).unwrap();
        sheet.flush().unwrap();
        assert_eq!(*shared.waiting(), 1);
        assert_eq!(receiver.recv().unwrap(), ansi(EnterAlternateScreen).into_bytes());
        sheet.flush().unwrap();
        assert_eq!(receiver.recv().unwrap(), ansi(Show).into_bytes());
    }
}
