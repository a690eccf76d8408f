//! The servers: where their programs are, how one is started and ended, and what it costs.

use crate::work::Work;
use crate::{asterisk, kamailio, softswitch};
use anyhow::{Context, Result, bail};
use benches::cpu;
use clap::ValueEnum;
use serde::Serialize;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The users of every server, all with the password `secret`.
pub(crate) const USERS: std::ops::RangeInclusive<usize> = 1_000..=1_999;
/// Where calls to 8XXX go: SIPp.
pub(crate) const ANSWERING: u16 = 15_080;
/// UDP ports of sound of every server.
pub(crate) const SOUND: std::ops::RangeInclusive<u16> = 40_000..=59_999;

/// A make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub(crate) enum Kind {
    /// Ours.
    Softswitch,
    /// Asterisk 22.
    Asterisk,
    /// Kamailio as a registrar and proxy, with rtpengine for sound.
    Kamailio,
}

impl Kind {
    /// As in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Softswitch => "softswitch",
            Kind::Asterisk => "Asterisk",
            Kind::Kamailio => "Kamailio",
        }
    }

    /// Where it listens over UDP and TCP.
    pub(crate) fn address(self) -> SocketAddr {
        let port = match self {
            Kind::Softswitch => 5_090,
            Kind::Asterisk => 5_070,
            Kind::Kamailio => 5_080,
        };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// Where it listens over TLS.
    pub(crate) fn tls_address(self) -> SocketAddr {
        let SocketAddr::V4(address) = self.address() else { unreachable!("it is IPv4") };
        SocketAddr::from((*address.ip(), address.port() + 1))
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The switch and the softphone of this build.
    pub(crate) softswitch: PathBuf,
    pub(crate) softphone: PathBuf,
    /// The folder of Asterisk, if it is there.
    pub(crate) asterisk: Option<PathBuf>,
    pub(crate) kamailio: Option<PathBuf>,
    /// The folder of its modules.
    pub(crate) modules: Option<PathBuf>,
    pub(crate) rtpengine: Option<PathBuf>,
}

impl Programs {
    /// Looks for them.
    pub(crate) fn find(asterisk: &Path) -> Result<Programs> {
        let here = std::env::current_exe().context("a program knows where it is")?;
        let beside = |name: &str| -> Result<PathBuf> {
            let program = here.with_file_name(name);
            if !program.exists() {
                bail!("{} is not built: cargo build --release --bins", program.display());
            }
            Ok(program)
        };
        let modules = kamailio::modules();
        let asterisk = std::path::absolute(asterisk)?;
        Ok(Programs {
            softswitch: beside("softswitch")?,
            softphone: beside("softphone")?,
            asterisk: Some(asterisk).filter(|folder| folder.join("asterisk").exists()),
            kamailio: in_path("kamailio").filter(|_| modules.is_some()),
            modules,
            rtpengine: in_path("rtpengine"),
        })
    }

    /// Why a server does not do a piece of work.
    pub(crate) fn cannot(&self, kind: Kind, work: Work) -> Option<&'static str> {
        let has_module = |name: &str| self.modules.as_ref().is_some_and(|folder| folder.join(name).exists());
        match kind {
            Kind::Softswitch => None,
            Kind::Asterisk if self.asterisk.is_none() => {
                Some("it is not installed (tests/asterisk/install target/asterisk)")
            }
            Kind::Asterisk => None,
            Kind::Kamailio if self.kamailio.is_none() => {
                Some("it is not installed (Debian package kamailio)")
            }
            Kind::Kamailio => match work {
                Work::RegisterUdp | Work::RegisterTcp | Work::Signalling => None,
                Work::RegisterTls if has_module("tls.so") => None,
                Work::RegisterTls => {
                    Some("its module tls is not installed (Debian package kamailio-tls-modules)")
                }
                Work::Relay if self.rtpengine.is_none() => {
                    Some("rtpengine is not installed (Debian package rtpengine-daemon)")
                }
                Work::Relay => None,
                Work::Transcode
                | Work::Room
                | Work::RoomsOfTen
                | Work::RoomsOfFour
                | Work::Record
                | Work::Mixed => Some("it has no sound of its own"),
            },
        }
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(usual);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A server at work. It is ended when this goes.
pub(crate) struct Running {
    pub(crate) kind: Kind,
    processes: Vec<Child>,
    /// Its files.
    folder: tempfile::TempDir,
    /// How it was started.
    pub(crate) commands: Vec<String>,
}

impl Running {
    /// Starts a fresh one, set up for that work.
    pub(crate) fn start(kind: Kind, work: Work, programs: &Programs) -> Result<Running> {
        let folder = tempfile::Builder::new().prefix("capacity-").tempdir()?;
        Running::start_in(folder, kind, work, programs)
    }

    /// The same with `server.pem` and `server.key` in its folder (`write_certificate`), which is told before it starts.
    pub(crate) fn start_certified<T>(
        kind: Kind,
        work: Work,
        programs: &Programs,
        certify: impl FnOnce(&Path) -> std::io::Result<T>,
    ) -> Result<(Running, T)> {
        let folder = tempfile::Builder::new().prefix("capacity-").tempdir()?;
        let certificate = certify(folder.path())?;
        Ok((Running::start_in(folder, kind, work, programs)?, certificate))
    }

    fn start_in(folder: tempfile::TempDir, kind: Kind, work: Work, programs: &Programs) -> Result<Running> {
        let mut running = Running { kind, processes: Vec::new(), folder, commands: Vec::new() };
        let commands = match kind {
            Kind::Softswitch => softswitch::prepare(running.folder.path(), work, programs)?,
            Kind::Asterisk => asterisk::prepare(running.folder.path(), work, programs)?,
            Kind::Kamailio => kamailio::prepare(running.folder.path(), work, programs)?,
        };
        for command in commands {
            running.begin(command)?;
        }
        running.wait_until_ready(work)?;
        Ok(running)
    }

    fn begin(&mut self, mut command: Command) -> Result<()> {
        let log = File::create(self.folder.path().join(format!("{}.log", self.processes.len())))?;
        self.commands.push(shown(&command));
        // A group of its own, by which all its processes are found.
        command.process_group(0).stdout(log.try_clone()?).stderr(log).stdin(std::process::Stdio::null());
        let child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
        self.processes.push(child);
        Ok(())
    }

    /// All of them listen over TCP, the switch and Asterisk from when they are ready on.
    fn wait_until_ready(&mut self, work: Work) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let address = if work == Work::RegisterTls { self.kind.tls_address() } else { self.kind.address() };
        while TcpStream::connect(address).is_err() {
            if self.processes.iter_mut().any(|process| matches!(process.try_wait(), Ok(Some(_)))) {
                bail!("{} has ended: {}", self.kind.name(), self.log());
            }
            if Instant::now() > deadline {
                bail!("{} does not listen at {address}: {}", self.kind.name(), self.log());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // Modules of Asterisk may still be loading.
        std::thread::sleep(Duration::from_secs(if self.kind == Kind::Asterisk { 3 } else { 1 }));
        Ok(())
    }

    /// The last lines of its log.
    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("0.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join(" | ")
    }

    /// The time that it has spent.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(|process| cpu::of_group(process.id())).sum()
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let group = rustix::process::Pid::from_child(process);
            // It may be gone already; then there is nothing to be ended.
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
            let deadline = Instant::now() + PATIENCE;
            while matches!(process.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _gone = process.wait();
        }
    }
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = core::iter::once(name).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let folder = std::env::temp_dir();
    words.join(" ").replace(&*folder.to_string_lossy(), "TEMP")
}
