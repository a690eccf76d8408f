//! Asterisk 22 from Debian sid's packages (`tests/asterisk/install`), as a server for our phone and as the far end of a trunk.
//!
//! Facts about Asterisk 22.10 that shape this file:
//! - Without `qualify` and with `endpoint_identifier_order=username,ip` a user name in From finds the phone, and whoever else comes
//!   from the switch's address is the trunk.
//! - `moh_passthrough` makes a hold of its phone a re-INVITE of the trunk; without it the other side hears music.
//! - The socket that commands come in at lies in `astrundir`, and its path has the length of a UNIX socket's at most.
//! - Modules that nobody configured complain; those that are not needed are not loaded.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::audio::Audio;
use crate::compare::{Comparison, Limits};
use crate::ports::Ports;
use crate::process::Program;
use crate::skip;

/// Ports of sound: every call has two legs here at most.
const MEDIA_PORTS: u16 = 24;

/// Numbers that answer by themselves.
pub mod number {
    /// Says what [`super::Settings::says`] names, and keeps what it hears meanwhile.
    pub const SPEAKS: &str = "9100";
    /// Says it before the call is answered, and is busy then.
    pub const SPEAKS_EARLY: &str = "9101";
    /// Reads four keys and writes them into its log.
    pub const READS_KEYS: &str = "9102";
    /// Is busy.
    pub const BUSY: &str = "9103";
    /// Rings for a minute.
    pub const RINGS: &str = "9104";
}

/// How the two ends of a trunk know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trunk {
    /// Asterisk is the user 1500 of the switch, registers as such and calls as such.
    User,
    /// The switch is 4000 here, registers as such and calls as such.
    Account,
    /// By their addresses.
    Address,
}

/// The switch at the other end of a trunk.
#[derive(Debug, Clone, Copy)]
pub struct FarEnd<'a> {
    /// What Asterisk knows of it.
    pub trunk: Trunk,
    /// Where it listens.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'a str,
}

/// Sound passes the jitter buffers and the resamplers of two or three programs, which a busy machine makes work.
const LIMITS: Limits =
    Limits { level_db: 1.5, band_db: 4.0, correlation: 0.8, heard: 0.7, delay_spread_ms: 120.0 };

/// Somebody has heard what was said.
///
/// # Panics
/// When not.
#[track_caller]
pub fn is_heard(who: &str, said: &Audio, heard: Audio) {
    let comparison = Comparison::of(said, &heard.at_8_khz());
    println!("{who} hears: {comparison}");
    assert!(comparison.within(&LIMITS), "what {who} heard is not what was said: {comparison}");
}

/// What a test wants of Asterisk.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Codecs in their order, in Asterisk's words: `ulaw,alaw`.
    pub codecs: &'a str,
    /// A WAV file of 8 kHz that it says.
    pub says: &'a Path,
    /// The other end of a trunk, where there is one.
    pub switch: Option<FarEnd<'a>>,
}

/// A running Asterisk. Its phones are 3000 to 3003 with the password of all tests; 3002 sends and hears keys as INFO, 3003 as tones.
pub struct Asterisk {
    program: Option<Program>,
    folder: PathBuf,
    address: SocketAddr,
}

/// True, and the skip is reported, when Asterisk is not installed. `test` is `file::function`.
#[must_use]
pub fn is_missing(test: &str) -> bool {
    skip::missing_files(test, &[program()])
}

impl Asterisk {
    /// An address for it, so that the switch can be told before Asterisk starts.
    pub fn address_for(ports: &mut Ports) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, ports.udp(1)))
    }

    /// Starts it, with its files below `folder`, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, ports: &mut Ports, address: SocketAddr, settings: Settings<'_>) -> Self {
        let folder = folder.join("asterisk");
        ["etc", "lib", "spool", "run", "log", "cache"].iter().for_each(|name| {
            fs::create_dir_all(folder.join(name)).expect("the folder of the test is writable");
        });
        configure(&folder, address, ports.udp(MEDIA_PORTS), settings);
        let mut command = asterisk(&folder);
        command.arg("-f").current_dir(&folder);
        let program = Program::start("asterisk", &mut command);
        let this = Self { program: Some(program), folder, address };
        this.until("is ready", || this.ask("core waitfullybooted").contains("fully booted"));
        this
    }

    /// Where phones register and the switch sends calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The answer to a command of its console; empty while it cannot be asked.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        let output = asterisk(&self.folder).args(["-rx", command]).output().expect("asterisk can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until `done`.
    ///
    /// # Panics
    /// When that does not happen.
    #[track_caller]
    pub fn until(&self, what: &str, done: impl FnMut() -> bool) {
        if let Some(program) = &self.program {
            program.until(what, done);
        }
    }

    /// Waits for a line of its log with `text`.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn logs(&self, text: &str) {
        self.until(&format!("logs {text:?}"), || self.log().contains(text));
    }

    /// What [`number::SPEAKS`] heard.
    ///
    /// # Panics
    /// When there is no recording that can be read.
    #[must_use]
    pub fn heard(&self) -> Audio {
        let file = self.folder.join("heard.wav");
        // it is written when the channel is gone
        self.until("keeps what it heard", || {
            !self.ask("core show channels concise").contains('!') && file.exists()
        });
        Audio::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Ends it.
    ///
    /// # Panics
    /// When it does not end in order, or its log has a warning or an error.
    pub fn stop(mut self) {
        let complaints: Vec<_> =
            self.log().lines().filter(|line| complains(line)).map(str::to_owned).collect();
        if let Some(mut program) = self.program.take() {
            program.terminate();
            assert!(program.has_ended(), "asterisk does not end");
        }
        assert!(complaints.is_empty(), "asterisk complains:\n{}", complaints.join("\n"));
    }

    fn log(&self) -> String {
        fs::read(self.folder.join("log/messages"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }
}

/// Who is told of a module while the first message comes in warns of it: that a phone or the switch was quick is no fault of theirs.
fn complains(line: &str) -> bool {
    let is_told = line.contains("] WARNING[") || line.contains("] ERROR[");
    is_told && !line.contains("registered during operation")
}

/// What `tests/asterisk/install` made.
fn program() -> PathBuf {
    crate::target().join("asterisk/asterisk")
}

fn asterisk(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("-C").arg(folder.join("etc/asterisk.conf"));
    command
}

/// The folder of the modules, whatever this machine's architecture is called.
fn modules() -> PathBuf {
    let libraries = crate::target().join("asterisk/root/usr/lib");
    let entries = fs::read_dir(&libraries).expect("the libraries came along");
    let mut folders = entries.flatten().map(|entry| entry.path().join("asterisk/modules"));
    folders.find(|folder| folder.is_dir()).expect("asterisk has modules")
}

fn configure(folder: &Path, address: SocketAddr, media: u16, settings: Settings<'_>) {
    let etc = folder.join("etc");
    let shown = |path: &Path| path.display().to_string();
    let far = settings.switch;
    let places = [
        ("@FOLDER@", shown(folder)),
        ("@MODULES@", shown(&modules())),
        ("@DATA@", shown(&crate::target().join("asterisk/root/usr/share/asterisk"))),
        ("@ADDRESS@", address.to_string()),
        ("@CODECS@", settings.codecs.to_owned()),
        ("@SAID@", shown(&settings.says.with_extension(""))),
        ("@RTP_FIRST@", media.to_string()),
        ("@RTP_LAST@", (media + MEDIA_PORTS - 1).to_string()),
        ("@SWITCH@", far.map(|far| far.address.to_string()).unwrap_or_default()),
        ("@TRANSPORT@", far.map(|far| far.transport.to_owned()).unwrap_or_default()),
    ];
    let write = |name: &str, text: &str| {
        let text = places.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value));
        fs::write(etc.join(name), text).expect("the folder of the test is writable");
    };
    let trunk = far.map_or("", |far| match far.trunk {
        Trunk::User => include_str!("../asterisk/trunk.conf"),
        Trunk::Account => include_str!("../asterisk/trunk_account.conf"),
        Trunk::Address => include_str!("../asterisk/trunk_address.conf"),
    });
    write("asterisk.conf", include_str!("../asterisk/asterisk.conf"));
    write("modules.conf", include_str!("../asterisk/modules.conf"));
    write("pjsip.conf", &[include_str!("../asterisk/pjsip.conf"), trunk].concat());
    write("extensions.conf", include_str!("../asterisk/extensions.conf"));
    write("rtp.conf", include_str!("../asterisk/rtp.conf"));
    write("logger.conf", include_str!("../asterisk/logger.conf"));
    for (name, switch) in [("cdr", "enable"), ("cel", "enable"), ("manager", "enabled"), ("http", "enabled")]
    {
        write(&format!("{name}.conf"), &format!("[general]\n{switch}=no\n"));
    }
    write("indications.conf", include_str!("../asterisk/indications.conf"));
    for name in ["features", "codecs", "stasis", "udptl", "ccss", "acl", "pjproject", "sorcery", "dnsmgr"] {
        write(&format!("{name}.conf"), "");
    }
}
