//! The phone on a terminal: it shows itself, and gives the terminal back however it ends.

#![cfg(all(unix, feature = "tui"))]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![expect(clippy::disallowed_methods, reason = "the server of this test has a socket and a thread")]

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use sip_stack::Message;
use sip_stack::header::HeaderName;
use sip_stack::message::{Status, response};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that registers everybody. It ends with the process of the test.
fn server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let Ok(request) = Message::parse(Bytes::copy_from_slice(&buffer[..length])) else { continue };
            let mut writer = response(&request, Status::OK, None, Some(b"server"), peer);
            writer.copy(HeaderName::Contact, &request);
            socket.send_to(&writer.finish(), peer).unwrap();
        }
    });
    address
}

/// The phone, and the other end of its terminal.
struct Terminal {
    child: Child,
    master: File,
    slave: File,
    seen: String,
}

impl Terminal {
    fn start() -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).to_owned();
        let slave = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
        let empty = std::env::temp_dir().join("there-is-no-configuration-here");
        command.args(["tui", "--server", &server(), "--user", "1001"]);
        command.env("SOFTPHONE_PASSWORD", "secret").env("XDG_CONFIG_HOME", empty).env("TERM", "xterm");
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let mut terminal = Terminal { child, master: master.into(), slave, seen: String::new() };
        terminal.until("registered");
        assert!(!terminal.echoes(), "keys are read one by one");
        terminal
    }

    /// Reads until it is seen.
    fn until(&mut self, wanted: &str) {
        let mut buffer = [0; 4_096];
        while !self.seen.contains(wanted) {
            let length = self.master.read(&mut buffer).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// The phone ends, and the terminal is as it was.
    fn ends(mut self) {
        assert!(self.child.wait().unwrap().success());
        self.until("\u{1b}[?1049l");
        assert!(self.echoes());
    }
}

#[test]
fn a_key_ends_it_and_the_terminal_is_as_it_was() {
    let mut terminal = Terminal::start();
    terminal.master.write_all(b"q").unwrap();
    terminal.ends();
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_as_it_was() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let terminal = Terminal::start();
        kill_process(Pid::from_child(&terminal.child), signal).unwrap();
        terminal.ends();
    }
}

#[test]
fn what_is_written_on_standard_error_is_shown_and_garbles_nothing() {
    let mut terminal = Terminal::start();
    terminal.master.write_all(b"c").unwrap();
    terminal.until("a number or an address");
    let error = Path::new("/proc").join(terminal.child.id().to_string()).join("fd/2");
    // Where there is no /proc nobody else can write there.
    if let Ok(mut error) = OpenOptions::new().write(true).open(error) {
        error.write_all(b"a library \x1b[2J complains\n").unwrap();
        terminal.until("complains");
        assert!(!terminal.seen.contains("library \u{1b}[2J"), "it is escaped");
    }
    terminal.master.write_all(b"\x03").unwrap();
    terminal.ends();
}
