//! The switch under test, on ports of its own, with a configuration and a data folder of its own.
//!
//! Its users are 1000 to 1999 with the password `secret`; 1900 to 1999 ring for two seconds only; 8XXX goes to a
//! static peer. With `SWITCH_ADDRESS=host:port` in the environment the tests talk to a server that is already running
//! there, has the same users and its static peer at port 15080: the way to learn whether a failure is the switch's or
//! the test's.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::ports::Ports;
use crate::process::Program;
use rustix::process::Signal;

/// The password of every user.
pub const PASSWORD: &str = "secret";

/// Room for fifty calls of two legs, RTP and RTCP each.
const MEDIA_PORTS: u16 = 200;

/// A running switch, and the folder and the ports that belong to its test.
pub struct Switch {
    // in the order of their end: the program before its folder and its ports
    program: Option<Program>,
    folder: TempDir,
    /// Ports for the other programs of the test.
    pub ports: Ports,
    address: SocketAddr,
    /// Where it listens with TLS, with WebSocket, and with both.
    tls: SocketAddr,
    web_socket: SocketAddr,
    secure_web_socket: SocketAddr,
    certificates: Certificates,
    /// The port of 127.0.0.1 where the static peer behind 8XXX is expected.
    pub peer_port: u16,
}

impl Switch {
    /// Starts the switch and waits until it is ready.
    ///
    /// # Panics
    /// When the program is missing or older than its sources, or does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::launch(|_, _, peer| laboratory(peer))
    }

    /// Starts the switch with domains and users of the test's own, given as TOML.
    ///
    /// # Panics
    /// As [`Switch::start`].
    #[must_use]
    pub fn start_with(domains: &str) -> Self {
        Self::launch(|_, _, _| domains.to_owned())
    }

    /// Starts the switch as [`Switch::start`] does, but as a proxy of the calls between its users.
    ///
    /// # Panics
    /// As [`Switch::start`].
    #[must_use]
    pub fn start_as_proxy() -> Self {
        let as_proxy = |text: String| text.replace("default = true", "default = true\nmode = \"proxy\"");
        Self::launch(|_, _, peer| as_proxy(laboratory(peer)))
    }

    /// As [`Switch::start_with`], for a test that starts other programs before the switch: `prepare` has the folder and
    /// the ports of the test, and gives back the configuration.
    ///
    /// # Panics
    /// As [`Switch::start`].
    #[must_use]
    pub fn start_after(prepare: impl FnOnce(&Path, &mut Ports) -> String) -> Self {
        Self::launch(|folder, ports, _| prepare(folder, ports))
    }

    /// `domains` writes what follows listener and media, given the port of the static peer last.
    fn launch(domains: impl FnOnce(&Path, &mut Ports, u16) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut ports = Ports::claim();
        if let Ok(address) = std::env::var("SWITCH_ADDRESS") {
            let address = address.parse().expect("SWITCH_ADDRESS is an IP address and a port");
            let certificates = Certificates::make(folder.path());
            return Self {
                program: None,
                folder,
                ports,
                address,
                tls: address,
                web_socket: address,
                secure_web_socket: address,
                certificates,
                peer_port: 15_080,
            };
        }
        let peer_port = ports.udp(1);
        let mut address = || SocketAddr::from(([127, 0, 0, 1], ports.udp(1)));
        let (tls, web_socket, secure_web_socket, address) = (address(), address(), address(), address());
        let certificates = Certificates::make(folder.path());
        let media = ports.udp(MEDIA_PORTS);
        let config = folder.path().join("softswitch.toml");
        let listeners = [
            ("udp", address),
            ("tcp", address),
            ("tls", tls),
            ("ws", web_socket),
            ("wss", secure_web_socket),
        ];
        let domains = domains(folder.path(), &mut ports, peer_port);
        let text = configuration(&listeners, media) + &domains;
        fs::write(&config, text).expect("the configuration is written");
        let program = Program::start("softswitch", command(&binary(), &config, folder.path()).arg("--trace"));
        program.expect("ready");
        Self {
            program: Some(program),
            folder,
            ports,
            address,
            tls,
            web_socket,
            secure_web_socket,
            certificates,
            peer_port,
        }
    }

    /// Where it listens, over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens over TLS, with a certificate of [`Switch::certificates`].
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Where it listens for WebSocket.
    #[must_use]
    pub fn web_socket(&self) -> SocketAddr {
        self.web_socket
    }

    /// Where it listens for WebSocket in TLS.
    #[must_use]
    pub fn secure_web_socket(&self) -> SocketAddr {
        self.secure_web_socket
    }

    /// Waits until its log has a line with `text`; a server that was running before has none to show.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        if let Some(program) = &self.program {
            program.expect(text);
        }
    }

    /// Its certificates.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A folder for the files of this test, gone after it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The operator says how many messages wait for a user, and has the switch take it over.
    ///
    /// # Panics
    /// When the command fails.
    pub fn keeps_messages(&self, user: &str, new: u32) {
        let mut command = Command::new(binary());
        command.args(["mailbox", "set", user, "--new", &new.to_string()]);
        command.arg("--config").arg(self.folder().join("softswitch.toml"));
        command.arg("--data").arg(self.folder().join("data"));
        let mut set = Program::start("softswitch mailbox", &mut command);
        let status = set.finish();
        assert!(status.success(), "{}", set.lines().join("\n"));
        if let Some(program) = &self.program {
            program.signal(Signal::HUP);
        }
    }

    /// Asks the switch to end, and does not wait for that.
    pub fn says_goodbye(&self) {
        if let Some(program) = &self.program {
            program.signal(Signal::TERM);
        }
    }

    /// Ends the switch by SIGTERM, as an operator would, and expects it to say goodbye properly.
    ///
    /// # Panics
    /// When it does not end, or ends with an error.
    pub fn stop(mut self) {
        self.end();
    }

    /// Ends the switch; then another process has to do again what the scenario log tells, with the same outputs.
    ///
    /// # Panics
    /// When there is no log, or an output differs.
    pub fn stop_and_replay(mut self) {
        if self.program.is_none() {
            return;
        }
        self.end();
        let data = self.folder().join("data");
        let mut segments: Vec<_> = fs::read_dir(data.join("log"))
            .expect("the switch writes a scenario log")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "slog"))
            .collect();
        segments.sort();
        assert!(!segments.is_empty(), "the scenario log has a segment");
        for segment in segments {
            let mut command = Command::new(binary());
            command.arg("replay").arg(&segment).arg("--data").arg(&data);
            let mut replay = Program::start("softswitch replay", &mut command);
            let status = replay.finish();
            assert!(status.success(), "{}: {}", segment.display(), replay.lines().join("\n"));
            println!("{}", replay.lines().join("\n"));
        }
    }

    fn end(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.terminate();
            let status = program.finish();
            assert!(status.success(), "softswitch ended with {status}: {}", program.lines().join("\n"));
        }
    }
}

/// The switch.
///
/// # Panics
/// As [`crate::program`].
#[must_use]
pub fn binary() -> PathBuf {
    crate::program("softswitch")
}

fn command(binary: &Path, config: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(config);
    command.arg("--data").arg(folder.join("data")).current_dir(folder);
    command
}

fn configuration(listeners: &[(&str, SocketAddr)], media: u16) -> String {
    let media_end = media + MEDIA_PORTS - 1;
    let listener = |(transport, address): &(&str, SocketAddr)| {
        format!("[[listener]]\ntransport = \"{transport}\"\naddress = \"{address}\"\n\n")
    };
    let listeners: String = listeners.iter().map(listener).collect();
    format!(
        "{listeners}[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\n\
         [media]\nports = \"{media}-{media_end}\"\n"
    )
}

fn laboratory(peer: u16) -> String {
    format!(
        r#"
[[domain]]
name = "lab"
default = true

[[users]]
from = 1000
to = 1899
password = "{PASSWORD}"

[[users]]
from = 1900
to = 1999
password = "{PASSWORD}"
ring_s = 2

[[peer]]
id = "uas"
address = "127.0.0.1:{peer}"

[[route]]
pattern = "8XXX"
peer = "uas"
"#
    )
}
