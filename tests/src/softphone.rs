//! Our own phone as a program: `softphone`, headless or for one call.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::audio::Audio;
use crate::ports::Ports;
use crate::process::Program;
use crate::switch::PASSWORD;

/// Ports of sound that a phone may use: a call takes two.
const MEDIA_PORTS: u16 = 8;

/// What one command does.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Its number.
    pub user: &'a str,
    /// Where it registers and calls.
    pub server: SocketAddr,
    /// Its codecs, in their order.
    pub codecs: &'a str,
    /// What it says once it is connected.
    pub says: &'a Path,
    /// Options besides, such as `--duration 3`.
    pub options: &'a [&'a str],
}

/// A `softphone` that calls or waits for calls.
pub struct Softphone {
    program: Program,
    recording: PathBuf,
}

impl Softphone {
    /// Calls `number`.
    ///
    /// # Panics
    /// When the program is missing or older than its sources.
    #[must_use]
    pub fn call(folder: &Path, ports: &mut Ports, task: Task<'_>, number: &str) -> Self {
        Self::start(folder, ports, task, &["call", number])
    }

    /// Registers, and takes the next call.
    ///
    /// # Panics
    /// As [`Softphone::call`]; when it does not register.
    #[must_use]
    pub fn listen(folder: &Path, ports: &mut Ports, task: Task<'_>) -> Self {
        let phone = Self::start(folder, ports, task, &["listen", "--auto-answer", "--wait", "30"]);
        phone.program.expect("registered account=0");
        phone
    }

    fn start(folder: &Path, ports: &mut Ports, task: Task<'_>, what: &[&str]) -> Self {
        let recording = folder.join(format!("heard-by-{}.wav", task.user));
        let config = folder.join(format!("softphone-{}.toml", task.user));
        let first = ports.udp(MEDIA_PORTS);
        let text = format!("[phone]\nports = [{first}, {}]\n", first + MEDIA_PORTS - 1);
        fs::write(&config, text).expect("the folder of the test is writable");
        let server = task.server.to_string();
        let mut command = Command::new(crate::program("softphone"));
        command.env("SOFTPHONE_PASSWORD", PASSWORD).args(what).arg("--config").arg(config);
        command.args(["--server", &server, "--user", task.user, "--codecs", task.codecs]);
        command.arg("--play").arg(task.says).arg("--record").arg(&recording).args(task.options);
        let name = format!("softphone {}", task.user);
        Self { program: Program::start(&name, &mut command), recording }
    }

    /// Waits for a line of its events that contains `text`.
    #[track_caller]
    pub fn tells(&self, text: &str) {
        self.program.expect(text);
    }

    /// Waits until it has left with this exit code, and gives what it heard.
    ///
    /// # Panics
    /// When it leaves with another one, or its recording cannot be read.
    #[track_caller]
    #[must_use]
    pub fn heard(mut self, code: i32) -> Audio {
        self.leaves(code);
        Audio::read(&self.recording).unwrap_or_else(|error| panic!("{}: {error}", self.recording.display()))
    }

    /// Waits until it has left with this exit code.
    ///
    /// # Panics
    /// When it leaves with another one.
    #[track_caller]
    pub fn leaves(&mut self, code: i32) {
        assert_eq!(self.program.finish().code(), Some(code), "the exit code");
    }
}

/// A headless `softphone` that is told lines.
pub struct Headless {
    program: Program,
}

impl Headless {
    /// Starts one for `user`, which registers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(folder: &Path, ports: &mut Ports, user: &str, server: SocketAddr) -> Self {
        let config = folder.join(format!("headless-{user}.toml"));
        let first = ports.udp(MEDIA_PORTS);
        let text = format!("[phone]\nports = [{first}, {}]\n", first + MEDIA_PORTS - 1);
        fs::write(&config, text).expect("the folder of the test is writable");
        let mut command = Command::new(crate::program("softphone"));
        command.env("SOFTPHONE_PASSWORD", PASSWORD).arg("run").arg("--config").arg(config);
        command.args(["--server", &server.to_string(), "--user", user]);
        let program = Program::start(&format!("headless softphone {user}"), &mut command);
        program.expect("registered account=0");
        Self { program }
    }

    /// Tells it a line, and waits for a line of its events that contains `answer`.
    #[track_caller]
    pub fn tell(&mut self, line: &str, answer: &str) {
        self.program.mark();
        self.program.tell(line);
        self.program.expect(answer);
    }

    /// Waits for a line of its events.
    #[track_caller]
    pub fn tells(&self, text: &str) {
        self.program.expect(text);
    }

    /// Has it leave.
    ///
    /// # Panics
    /// When it does not leave in order.
    #[track_caller]
    pub fn quit(mut self) {
        self.program.tell("quit");
        assert!(self.program.finish().success(), "it left in order");
    }
}
