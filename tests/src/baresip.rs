//! baresip as a phone: no sound card, a file as the microphone, recordings of both directions.
//!
//! Facts about Debian 12's baresip 1.0.0 that shape this file:
//! - `net_interface` takes an address; by name the loopback interface is refused.
//! - `aufile` does not resample, and when the file ends the phone hangs up: the file's length is the call's.
//! - `sndfile` records what was decoded (`…-dec.wav`) packet by packet as it comes, without a player.
//! - A pipe on standard input works as the keyboard; `/hangup` refuses a call that rings with 486.
//! - It transfers blind alone, and hangs up when that comes to nothing.
//! - Its module `mwi` subscribes again and again in some runs, without credentials though it was challenged; it is not loaded.
//! - Of the digest algorithms it knows MD5 only, and another one offered beside MD5 stops it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::audio::Audio;
use crate::certificates::Certificates;
use crate::ports::Ports;
use crate::process::Program;
use crate::skip;

/// The programs a [`Phone`] needs; stdbuf (coreutils) makes baresip write its lines as they come.
pub const PROGRAMS: [&str; 2] = ["baresip", "stdbuf"];

/// Folders the Debian package has had its modules in, by version and architecture.
const MODULE_FOLDERS: [&str; 4] = [
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/lib/aarch64-linux-gnu/baresip/modules",
    "/usr/local/lib/baresip/modules",
];

/// How a phone is set up.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The user's number.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// The registrar.
    pub server: SocketAddr,
    /// How the phone speaks to it.
    pub transport: Transport<'a>,
    /// The only codec offered: `PCMU`, `PCMA` or `G722`.
    pub codec: &'a str,
    /// What the phone says in a call: mono, 16 bit, at the rate of the codec ([`rate_of`]). Its end ends the call.
    pub microphone: &'a Path,
}

/// The rate at which a codec is spoken and recorded.
#[must_use]
pub fn rate_of(codec: &str) -> u32 {
    if codec == "G722" { 16_000 } else { 8_000 }
}

/// How a phone speaks to its registrar.
#[derive(Debug, Clone, Copy)]
pub enum Transport<'a> {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// An encrypted stream, with these certificates.
    Tls(&'a Certificates),
}

impl Transport<'_> {
    const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls(_) => "tls",
        }
    }

    /// Lines of the configuration.
    fn configuration(self) -> String {
        match self {
            Transport::Udp | Transport::Tcp => String::new(),
            Transport::Tls(certificates) => format!(
                "sip_certificate {}\nsip_cafile {}\n",
                certificates.phone.display(),
                certificates.authority.display()
            ),
        }
    }
}

/// A running phone.
pub struct Phone {
    program: Program,
    server: SocketAddr,
    recordings: PathBuf,
}

impl Phone {
    /// Starts a phone in `folder`/user; it registers by itself.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, ports: &mut Ports, settings: Settings<'_>) -> Self {
        Self::launch(folder, ports, settings, None)
    }

    /// The same for a phone that publishes its presence, and watches that of a number as a contact.
    ///
    /// # Panics
    /// As [`Phone::start`].
    #[must_use]
    pub fn start_watching(folder: &Path, ports: &mut Ports, settings: Settings<'_>, number: &str) -> Self {
        Self::launch(folder, ports, settings, Some(number))
    }

    fn launch(folder: &Path, ports: &mut Ports, settings: Settings<'_>, watches: Option<&str>) -> Self {
        let folder = folder.join(settings.user);
        let recordings = folder.join("recordings");
        fs::create_dir_all(&recordings).expect("the phone's folder is made");
        let write =
            |name: &str, text: &str| fs::write(folder.join(name), text).expect("the phone is configured");
        let watching = watches.map_or("", |_| WATCHING);
        write("config", &(config(ports, &settings, &recordings) + watching));
        let publishing = watches.map_or("", |_| ";pubint=600");
        write("accounts", &account(&settings, publishing));
        let server = settings.server;
        write("contacts", &watches.map_or_else(String::new, |number| contact(number, server)));
        let baresip = skip::find("baresip").expect("the test has asked whether baresip is there");
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "-eL"]).arg(baresip).arg("-f").arg(&folder).current_dir(&folder);
        let program = Program::start(&format!("baresip {}", settings.user), &mut command);
        program.expect("baresip is ready");
        Self { program, server: settings.server, recordings }
    }

    /// Waits until the registrar has accepted the phone.
    #[track_caller]
    pub fn registered(&self) {
        self.program.expect("registered successfully");
    }

    /// Waits until the registrar has refused the phone.
    #[track_caller]
    pub fn is_refused(&self) {
        let line = self.program.expect("reg: sip:");
        assert!(line.contains("401") || line.contains("403"), "refused for its password: {line}");
    }

    /// Forgets the call that is over: later waits are for the next one.
    pub fn forget(&mut self) {
        self.program.mark();
    }

    /// Calls a number of the registrar's.
    pub fn dial(&mut self, number: &str) {
        self.program.mark();
        self.program.tell(&format!("/dial sip:{number}@{}", self.server));
    }

    /// Waits until the far end rings.
    #[track_caller]
    pub fn hears_ringing(&self) {
        self.program.expect("180 Ringing");
    }

    /// Waits for an incoming call from `number`.
    #[track_caller]
    pub fn rings(&self, number: &str) {
        let line = self.program.expect("Incoming call from");
        assert!(line.contains(&format!("sip:{number}@")), "the caller's number is shown: {line}");
    }

    /// Answers the call that rings.
    pub fn accept(&mut self) {
        self.program.tell("/accept");
    }

    /// Ends the call, gives it up while it rings at the far end, or refuses it (486) while it rings here.
    pub fn hang_up(&mut self) {
        self.program.tell("/hangup");
    }

    /// Sends the other side of the call to a number of the registrar's.
    pub fn transfer(&mut self, number: &str) {
        self.program.tell(&format!("/transfer sip:{number}@{}", self.server));
    }

    /// Waits for the news that the transfer has come to nothing.
    #[track_caller]
    pub fn has_not_transferred(&self) {
        self.program.expect("transfer failure");
    }

    /// Waits until the contact is shown to be `Online` or `Offline`. It says by itself only what changes after the first news.
    #[track_caller]
    pub fn sees(&mut self, status: &str) {
        for _ in 0..100 {
            self.program.mark();
            self.program.tell("/contacts");
            if self.program.expect(" Watched <sip:").contains(status) {
                return;
            }
            let mut looks = 0;
            self.program.until("waits", || {
                looks += 1;
                looks > 10
            });
        }
        panic!("the contact never was {status}");
    }

    /// Publishes that the user is there or not.
    pub fn publishes(&mut self, there: bool) {
        self.program.tell(if there { "/presence_online" } else { "/presence_offline" });
    }

    /// Holds the call.
    pub fn hold(&mut self) {
        self.program.tell("/hold");
    }

    /// Talks again in the call that was held.
    pub fn resume(&mut self) {
        self.program.tell("/resume");
    }

    /// Waits until the call is established and sound comes in.
    #[track_caller]
    pub fn talks(&self) {
        self.program.expect("Call established");
        self.program.expect("incoming rtp for 'audio' established");
    }

    /// Waits until this phone's file is at its end and it has hung up.
    #[track_caller]
    pub fn has_said_all(&self) {
        self.program.expect("audio error (0,end of file)");
        self.program.expect("terminated (duration");
    }

    /// Waits until the far end has closed the established call.
    #[track_caller]
    pub fn was_hung_up(&self) {
        self.program.expect("session closed: Connection reset by peer");
    }

    /// Waits until a call that was not established is over, and asserts what for, such as `486`.
    #[track_caller]
    pub fn closed_with(&self, reason: &str) {
        let line = self.program.expect("session closed:");
        assert!(line.contains(&format!("session closed: {reason}")), "expected {reason}: {line}");
    }

    /// Whether the call of the last [`Phone::dial`] was ever established.
    #[must_use]
    pub fn was_established(&self) -> bool {
        self.program.printed("Call established")
    }

    /// Ends the phone, which unregisters it, and gives back what it heard in its call.
    ///
    /// # Panics
    /// When it does not end, or heard nothing.
    #[track_caller]
    #[must_use]
    pub fn heard(mut self) -> Audio {
        self.quit();
        let file = fs::read_dir(&self.recordings)
            .expect("the folder of recordings is there")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .expect("the phone has recorded its call");
        Audio::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Ends the phone, which unregisters it.
    pub fn quit(&mut self) {
        self.program.tell("/quit");
        self.program.finish();
    }
}

fn config(ports: &mut Ports, settings: &Settings<'_>, recordings: &Path) -> String {
    let modules = MODULE_FOLDERS.iter().find(|folder| Path::new(folder).is_dir());
    let modules = modules.expect("baresip's modules are in a folder known here");
    let (sip, rtp) = (ports.udp(1), ports.udp(6));
    let rtp_end = rtp + 5;
    let microphone = settings.microphone.display();
    let recordings = recordings.display();
    let (transport, certificates) = (settings.transport.name(), settings.transport.configuration());
    format!(
        "sip_listen 127.0.0.1:{sip}
sip_trans_def {transport}
{certificates}rtp_ports {rtp}-{rtp_end}
call_local_timeout 120
call_max_calls 4
audio_source aufile,{microphone}
audio_txmode thread
snd_path {recordings}
net_interface 127.0.0.1
ringback_disabled yes
module_path {modules}
module stdio.so
module g711.so
module g722.so
module aufile.so
module sndfile.so
module_app account.so
module_app menu.so
"
    )
}

/// Modules for the presence of others.
const WATCHING: &str = "module_tmp uuid.so
module_app contact.so
module_app presence.so
";

/// Somebody whose presence is watched.
fn contact(number: &str, server: SocketAddr) -> String {
    format!("\"Watched\" <sip:{number}@{server}>;presence=p2p\n")
}

fn account(settings: &Settings<'_>, more: &str) -> String {
    let Settings { user, password, server, codec, .. } = settings;
    let (transport, rate) = (settings.transport.name(), rate_of(codec));
    format!(
        "<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass={password};\
         answermode=manual;audio_codecs={codec}/{rate}/1;regint=3600{more}\n"
    )
}
