//! linphonec as a phone: no sound card, a file as the microphone, one recording of what it hears.
//!
//! Facts about Debian 12's linphonec 5.1 that shape this file:
//! - Without `.local/share/linphone` below its home its database does not open, and it does nothing without a word.
//! - The states of registrations are in its trace alone.
//! - It takes no IP address for the name in a certificate, so over TLS the registrar is `localhost`.
//! - The file's end does not end the call.
//! - The lengths in the header of its recording are not those of the sound, which is complete when it has ended.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::audio::Audio;
use crate::baresip::{Settings, Transport};
use crate::ports::Ports;
use crate::process::Program;

/// The programs a [`Linphone`] needs.
pub const PROGRAMS: [&str; 3] = ["linphonec", "sox", "stdbuf"];

/// The codecs of its build that are on by default; all but the one asked for are switched off.
const CODECS: [(&str, u32, u8); 8] = [
    ("PCMU", 8000, 1),
    ("PCMA", 8000, 1),
    ("opus", 48_000, 2),
    ("speex", 16_000, 1),
    ("speex", 8000, 1),
    ("GSM", 8000, 1),
    ("G722", 8000, 1),
    ("L16", 44_100, 2),
];

/// A running phone.
pub struct Linphone {
    program: Program,
    registrar: String,
    trace: PathBuf,
    recording: PathBuf,
}

impl Linphone {
    /// Starts a phone in `folder`/user; it registers by itself.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, ports: &mut Ports, settings: Settings<'_>) -> Self {
        Self::launch(folder, ports, settings, None)
    }

    /// The same for a phone that publishes its presence, and watches that of a number as a friend.
    ///
    /// # Panics
    /// As [`Linphone::start`].
    #[must_use]
    pub fn start_watching(folder: &Path, ports: &mut Ports, settings: Settings<'_>, number: &str) -> Self {
        Self::launch(folder, ports, settings, Some(number))
    }

    fn launch(folder: &Path, ports: &mut Ports, settings: Settings<'_>, watches: Option<&str>) -> Self {
        let home = folder.join(settings.user);
        fs::create_dir_all(home.join(".local/share/linphone")).expect("the phone's folder is made");
        let (rc, trace, recording) = (home.join("rc"), home.join("trace"), home.join("heard.wav"));
        let registrar = registrar(&settings);
        let mut text = configuration(ports, &settings, &registrar);
        if let Some(number) = watches {
            text = text.replace("publish=0", "publish=1");
            let uri = format!("sip:{number}@{registrar}");
            text += &format!("[friend_0]\nurl=\"Watched\" <{uri}>\npol=accept\nsubscribe=1\n");
        }
        fs::write(&rc, text).expect("the phone is configured");
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "linphonec", "-S", "-d", "6", "-c"]).arg(rc).arg("-l").arg(&trace);
        command.env("HOME", &home).current_dir(&home);
        let mut program = Program::start(&format!("linphonec {}", settings.user), &mut command);
        program.tell("soundcard use files");
        program.tell(&format!("play {}", settings.microphone.display()));
        program.tell(&format!("record {}", recording.display()));
        Self { program, registrar, trace, recording }
    }

    /// Waits until the registrar has accepted the phone.
    #[track_caller]
    pub fn registered(&self) {
        self.program.until("registered", || {
            fs::read(&self.trace)
                .is_ok_and(|trace| String::from_utf8_lossy(&trace).contains("to [LinphoneRegistrationOk]"))
        });
    }

    /// Calls a number of the registrar's.
    pub fn dial(&mut self, number: &str) {
        self.program.tell(&format!("call sip:{number}@{}", self.registrar));
    }

    /// Waits for an incoming call, and answers it.
    #[track_caller]
    pub fn accepts(&mut self, number: &str) {
        let line = self.program.expect("Receiving new incoming call from");
        assert!(line.contains(&format!("sip:{number}@")), "the caller's number is shown: {line}");
        self.program.tell("answer");
    }

    /// Waits until the call is established.
    #[track_caller]
    pub fn talks(&self) {
        self.program.expect("connected.");
    }

    /// Holds the call, and waits until that is agreed.
    #[track_caller]
    pub fn holds(&mut self) {
        self.program.tell("pause");
        self.program.expect("is now paused.");
    }

    /// Goes on with the call that it holds, and waits until that is agreed.
    #[track_caller]
    pub fn resumes(&mut self) {
        self.program.mark();
        self.program.tell("resume");
        self.program.expect("Media streams established");
    }

    /// Waits until the friend is shown so: `Online`, `Offline`, `On the phone`.
    #[track_caller]
    pub fn sees(&self, presence: &str) {
        self.program.until(presence, || {
            let lines = self.program.lines();
            lines
                .iter()
                .rfind(|line| line.contains("Friend \"Watched\""))
                .is_some_and(|line| line.ends_with(presence))
        });
    }

    /// Brings the other sides of two calls together.
    pub fn transfers(&mut self, call: u32, other: u32) {
        self.program.tell(&format!("transfer {call} --to-call {other}"));
    }

    /// Ends the phone, which unregisters it.
    #[track_caller]
    pub fn quit(&mut self) {
        self.program.tell("quit");
        self.program.finish();
    }

    /// Waits until the far end has hung up.
    #[track_caller]
    pub fn was_hung_up(&self) {
        self.program.expect("ended");
    }

    /// Ends the phone, which unregisters it, and gives back what it heard.
    ///
    /// # Panics
    /// When it does not end, or heard nothing.
    #[track_caller]
    #[must_use]
    pub fn heard(mut self) -> Audio {
        self.program.tell("quit");
        self.program.finish();
        let mended = self.recording.with_extension("mended.wav");
        let mut sox = Command::new("sox");
        sox.arg("--ignore-length").arg(&self.recording).args(["-c", "1", "-b", "16"]).arg(&mended);
        assert!(Program::start("sox", &mut sox).finish().success(), "sox reads the recording");
        Audio::read(&mended).unwrap_or_else(|error| panic!("{}: {error}", mended.display()))
    }
}

fn registrar(settings: &Settings<'_>) -> String {
    let server: SocketAddr = settings.server;
    match settings.transport {
        Transport::Udp | Transport::Tcp => server.to_string(),
        Transport::Tls(_) => format!("localhost:{}", server.port()),
    }
}

fn configuration(ports: &mut Ports, settings: &Settings<'_>, registrar: &str) -> String {
    let Settings { user, password, codec, .. } = settings;
    let (sip, rtp) = (ports.udp(1), ports.udp(2));
    let (mut udp, mut tcp, mut tls) = (0, 0, 0);
    let (transport, authority) = match settings.transport {
        Transport::Udp => {
            udp = sip;
            ("udp", None)
        }
        Transport::Tcp => {
            tcp = sip;
            ("tcp", None)
        }
        Transport::Tls(certificates) => {
            tls = sip;
            ("tls", Some(&certificates.authority))
        }
    };
    let check = u8::from(authority.is_some());
    let authority = authority.map_or_else(String::new, |file| file.display().to_string());
    let codecs: String = CODECS
        .iter()
        .enumerate()
        .map(|(index, (name, rate, channels))| {
            let enabled = u8::from(name == codec);
            format!(
                "[audio_codec_{index}]\nmime={name}\nrate={rate}\nchannels={channels}\nenabled={enabled}\n"
            )
        })
        .collect();
    format!(
        "[net]
enable_ipv6=0
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
use_ipv6=0
guess_hostname=1
default_proxy=0
media_encryption=none
verify_server_certs={check}
verify_server_cn={check}
root_ca={authority}
[proxy_0]
reg_proxy=<sip:{registrar};transport={transport}>
reg_route=<sip:{registrar};transport={transport};lr>
reg_identity=sip:{user}@{registrar}
reg_expires=3600
reg_sendregister=1
publish=0
[auth_info_0]
username={user}
passwd={password}
[rtp]
audio_rtp_port={rtp}
video_rtp_port=0
text_rtp_port=0
[sound]
echocancellation=0
agc=0
[video]
enabled=0
{codecs}"
    )
}
