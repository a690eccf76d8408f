//! A program under test: started in a folder of its own, its output collected, ended by its own id.
//!
//! Waiting is for a line of output or for the end, always with a deadline; there is no waiting for a moment.
//! What a failed test leaves behind is printed: the last lines of every program it had running.

use std::fmt;
use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a wait may last before the test fails: far above anything seen on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Lines of output shown for a program that was running when a test failed.
const SHOWN_ON_FAILURE: usize = 80;

/// What did not happen in time, or the program was gone before it did.
#[derive(Debug)]
pub struct NotSeen {
    /// The program's name in the test.
    pub program: String,
    /// The text that was waited for.
    pub text: String,
    /// Whether the program had closed its output.
    pub ended: bool,
    /// All it had printed since the mark.
    pub lines: Vec<String>,
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.ended { "ended without printing" } else { "did not print" };
        write!(f, "{} {how} {:?}; it printed:\n  {}", self.program, self.text, self.lines.join("\n  "))
    }
}

impl std::error::Error for NotSeen {}

#[derive(Default)]
struct Output {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    closed_streams: usize,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until `done` says so, both streams are closed, or the deadline passes.
    fn wait<T>(&self, within: Duration, mut done: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut seen = self.lock();
        loop {
            if let Some(found) = done(&seen) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            if seen.closed_streams == 2 {
                return None;
            }
            seen = self.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
    mark: usize,
}

impl Program {
    /// Starts `command` with pipes on all three streams. `name` is how failures speak of it.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {command:?} does not start: {error}"));
        let output = Arc::new(Output::default());
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let readers = vec![collect(stdout, &output), collect(stderr, &output)];
        let stdin = child.stdin.take();
        Self { name: name.to_owned(), child, stdin, output, readers, mark: 0 }
    }

    /// Writes one line to the program's standard input.
    ///
    /// # Panics
    /// When the program does not read any more.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open until the end");
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|error| panic!("{}: telling it {line:?}: {error}", self.name));
    }

    /// Forgets what was printed so far: waits look at later lines only.
    pub fn mark(&mut self) {
        self.mark = self.output.lock().lines.len();
    }

    /// The first line since the mark that contains `text`.
    ///
    /// # Errors
    /// [`NotSeen`] when the program ends or [`DEADLINE`] passes first.
    pub fn line(&self, text: &str) -> Result<String, NotSeen> {
        let found = self.output.wait(DEADLINE, |seen| {
            seen.lines.iter().skip(self.mark).find(|line| line.contains(text)).cloned()
        });
        found.ok_or_else(|| {
            let seen = self.output.lock();
            NotSeen {
                program: self.name.clone(),
                text: text.to_owned(),
                ended: seen.closed_streams == 2,
                lines: seen.lines.iter().skip(self.mark).cloned().collect(),
            }
        })
    }

    /// As [`Program::line`], for a test that cannot go on without it.
    ///
    /// # Panics
    /// When the line does not come.
    #[track_caller]
    pub fn expect(&self, text: &str) -> String {
        self.line(text).unwrap_or_else(|not_seen| panic!("{not_seen}"))
    }

    /// Whether a line since the mark contains `text`, without waiting.
    #[must_use]
    pub fn printed(&self, text: &str) -> bool {
        self.output.lock().lines.iter().skip(self.mark).any(|line| line.contains(text))
    }

    /// Everything printed so far, both streams, in the order of arrival.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.output.lock().lines.clone()
    }

    /// Waits until `done`, asked again whenever the program prints and at least 50 times a second.
    ///
    /// For events that are not lines: a socket that gets bound, a file that appears.
    ///
    /// # Panics
    /// When the program ends or [`DEADLINE`] passes first.
    #[track_caller]
    pub fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done() {
            let step = Duration::from_millis(20);
            let lines = self.output.lock().lines.len();
            self.output.wait(step, |seen| (seen.lines.len() != lines).then_some(()));
            assert!(self.output.lock().closed_streams < 2, "{} ended before it {what}", self.name);
            assert!(Instant::now() < deadline, "{} never {what}", self.name);
        }
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal to the program, by its id; one that has ended is left alone.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // the child is not reaped before `finish` or `drop`, so the id is still its own
            let _gone = kill_process(pid, signal);
        }
    }

    /// Waits until the program has closed its output, or [`DEADLINE`] passes; its input is closed first. Tells which.
    pub fn has_ended(&mut self) -> bool {
        self.stdin = None;
        self.output.wait(DEADLINE, |seen| (seen.closed_streams == 2).then_some(()));
        self.output.lock().closed_streams == 2
    }

    /// Waits for the end of the program; its input is closed first.
    ///
    /// # Panics
    /// When it does not end within [`DEADLINE`].
    #[track_caller]
    pub fn finish(&mut self) -> ExitStatus {
        assert!(self.has_ended(), "{} does not end; it printed:\n  {}", self.name, self.lines().join("\n  "));
        self.child.wait().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines();
            let from = lines.len().saturating_sub(SHOWN_ON_FAILURE);
            eprintln!("--- {} (last lines)", self.name);
            lines.iter().skip(from).for_each(|line| eprintln!("    {line}"));
        }
        // both fail only when the program has ended already
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        for reader in self.readers.drain(..) {
            let _joined = reader.join();
        }
    }
}

/// Reads a stream to its end. Lines end at LF or CR; colour and cursor sequences are taken out.
fn collect(mut stream: impl Read + Send + 'static, output: &Arc<Output>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut open = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(length) = stream.read(&mut chunk) {
            if length == 0 {
                break;
            }
            open.extend_from_slice(&chunk[..length]);
            while let Some(end) = open.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                push(&output, &open[..end]);
                open.drain(..=end);
            }
        }
        push(&output, &open);
        output.lock().closed_streams += 1;
        output.changed.notify_all();
    })
}

fn push(output: &Output, line: &[u8]) {
    let line = plain(&String::from_utf8_lossy(line));
    if !line.is_empty() {
        output.lock().lines.push(line);
        output.changed.notify_all();
    }
}

/// The text without ECMA-48 control sequences (`ESC [ … letter`) and control characters.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next() == Some('[') {
                let _letter = characters.find(char::is_ascii_alphabetic);
            }
        } else if !character.is_control() {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::start("shell", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_line_is_found_on_either_stream() {
        let program = shell("echo one; echo two >&2; read answer");
        assert_eq!(program.expect("on"), "one");
        assert_eq!(program.expect("tw"), "two");
    }

    #[test]
    fn lines_before_the_mark_do_not_count() {
        let mut program = shell("echo first; read answer; echo \"second $answer\"");
        program.expect("first");
        program.mark();
        assert!(!program.printed("first"));
        program.tell("time");
        assert_eq!(program.expect("second"), "second time");
    }

    #[test]
    fn the_end_is_noticed_before_the_deadline() {
        let program = shell("echo last words");
        let not_seen = program.line("never").unwrap_err();
        assert!(not_seen.ended);
        assert_eq!(not_seen.lines, ["last words"]);
    }

    #[test]
    fn the_exit_status_is_the_programs_own() {
        assert_eq!(shell("exit 7").finish().code(), Some(7));
    }

    #[test]
    fn a_terminated_program_has_ended_by_the_signal() {
        let mut program = shell("trap 'echo bye; exit 3' TERM; echo up; read end_of_input; exit 9");
        program.expect("up");
        // a shell that has not begun to read yet reads the end of its input, and runs the trap before the next command
        program.terminate();
        assert_eq!(program.finish().code(), Some(3));
    }

    #[test]
    fn colours_and_cursor_moves_are_not_text() {
        assert_eq!(plain("\u{1b}[32mAll 1 useragent\u{1b}[;m\u{8}"), "All 1 useragent");
    }
}
