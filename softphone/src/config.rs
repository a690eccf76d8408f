//! The configuration file: TOML, read strictly, so that a misspelt key is told and not ignored.
//!
//! An error names the file, the line and what can be done. Passwords stand here or in a file of their own.

use crate::phone::{AccountId, AutoAnswer, Codec, Command, MAX_WATCHED, Settings, Transfers};
use core::fmt;
use media::source::Country;
use serde::Deserialize;
use sip_stack::transport::Transport;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Accounts, the first of which calls unless another one is named.
    pub account: Vec<AccountEntry>,
    /// What the phone does.
    pub phone: PhoneEntry,
    /// Sound.
    pub audio: AudioEntry,
    /// Where programs can listen to events and give commands.
    pub control: ControlEntry,
    /// Whom servers over TLS are trusted by.
    pub tls: TlsEntry,
}

/// `[[account]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// The server: a name or an address, with a port if it is not 5060.
    pub server: String,
    /// `udp`, `tcp` or `tls`; without it the DNS says, or UDP is used.
    #[serde(default)]
    pub transport: Option<String>,
    /// The SIP domain, if it is not the server.
    #[serde(default)]
    pub domain: Option<String>,
    /// The user.
    pub user: String,
    /// Shown to those we call.
    #[serde(default)]
    pub display_name: Option<String>,
    /// The password itself.
    #[serde(default)]
    pub password: Option<String>,
    /// A file whose first line is the password; relative to the folder of this file.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A program and its arguments that print the password: the key ring's, or a password manager's.
    #[serde(default)]
    pub password_command: Option<Vec<String>>,
    /// Numbers and addresses whose calls and presence are watched.
    #[serde(default)]
    pub watch: Vec<String>,
    /// Whether its mailbox is watched.
    #[serde(default)]
    pub mailbox: bool,
    /// Whether others may see that the user is there, and talks.
    #[serde(default)]
    pub publish_presence: bool,
}

impl AccountEntry {
    fn ways_to_the_password(&self) -> usize {
        let given = [self.password.is_some(), self.password_file.is_some(), self.password_command.is_some()];
        given.iter().filter(|given| **given).count()
    }
}

/// `[phone]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneEntry {
    /// Calls at a time.
    pub lines: u16,
    /// Names of codecs in the order of preference.
    pub codecs: Vec<String>,
    /// `never`, `always`, or `numbers`.
    pub auto_answer: String,
    /// After how many seconds calls are answered automatically.
    pub answer_after_s: u16,
    /// Whose calls `numbers` answers.
    pub answer_numbers: Vec<String>,
    /// Whether a caller may ask to be answered at once.
    pub answer_when_asked: bool,
    /// Whether calls are taken that do not come from the host of a server.
    pub accept_strangers: bool,
    /// Where the other side of a call may send us: `domain`, `anywhere` or `never`.
    pub transfers: String,
    /// Whether callers are told that we are busy.
    pub do_not_disturb: bool,
    /// Whether a call holds the one that is going on.
    pub hold_others: bool,
    /// Whose tones are heard: two letters (ISO 3166).
    pub country: String,
    /// The ports of sound: the first and the last.
    pub ports: [u16; 2],
    /// For how many seconds registrations are asked for.
    pub expires_s: u32,
}

impl Default for PhoneEntry {
    fn default() -> PhoneEntry {
        PhoneEntry {
            lines: 2,
            codecs: Codec::ALL.map(|codec| codec.name().to_owned()).to_vec(),
            auto_answer: "never".to_owned(),
            answer_after_s: 0,
            answer_numbers: Vec::new(),
            answer_when_asked: false,
            accept_strangers: false,
            transfers: "domain".to_owned(),
            do_not_disturb: false,
            hold_others: true,
            country: "us".to_owned(),
            ports: [40_000, 40_999],
            expires_s: 600,
        }
    }
}

/// `[audio]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioEntry {
    /// Whether the sound card is used; otherwise nothing is heard or said but files.
    pub device: bool,
    /// The name of the microphone, as `softphone devices` shows it; the system's choice if empty.
    pub microphone: String,
    /// The name of the speaker.
    pub speaker: String,
    /// The name of the device that rings.
    pub ringer: String,
    /// Takes what the speaker plays out of the microphone.
    pub echo_cancellation: bool,
    /// Makes steady noise softer.
    pub noise_suppression: bool,
    /// Brings speech to one level.
    pub gain_control: bool,
}

impl Default for AudioEntry {
    fn default() -> AudioEntry {
        let name = String::new;
        AudioEntry {
            device: true,
            microphone: name(),
            speaker: name(),
            ringer: name(),
            echo_cancellation: true,
            noise_suppression: true,
            gain_control: true,
        }
    }
}

/// `[control]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlEntry {
    /// The path of a local socket that takes the lines of the headless phone and gives events as JSON.
    pub socket: Option<PathBuf>,
}

/// `[tls]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsEntry {
    /// A file with the certificates of the authorities that may vouch for servers, in PEM; those of the system without it. Relative
    /// to the folder of this file.
    pub authorities: Option<PathBuf>,
}

/// What is wrong with a configuration, where, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` when no line is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What can be done.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}. {}", self.problem.trim_end_matches('.'), self.remedy)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a configuration. `file` is named in errors.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let remedy = "See docs/softphone.md for the keys there are and their values.".to_owned();
            ConfigError { file: file.to_owned(), line, problem: error.message().to_owned(), remedy }
        })?;
        config.check(file, text)?;
        Ok(config)
    }

    fn check(&self, file: &Path, text: &str) -> Result<(), ConfigError> {
        let fault = |key: &str, problem: String, remedy: &str| {
            let line = text.lines().position(|line| line.trim_start().starts_with(key)).map(|at| at + 1);
            Err(ConfigError { file: file.to_owned(), line, problem, remedy: remedy.to_owned() })
        };
        let named = |account: &AccountEntry| account.transport.clone();
        if let Some(transport) = self.account.iter().filter_map(named).find(|name| transport(name).is_none())
        {
            let problem = format!("transport = \"{}\"", transport.escape_default());
            return fault("transport", problem, "It is \"udp\", \"tcp\" or \"tls\".");
        }
        if self.account.iter().any(|account| account.ways_to_the_password() > 1) {
            let problem = "an account has its password in several places".into();
            return fault("password", problem, "Leave one of password, password_file and password_command.");
        }
        if self.account.iter().any(|account| account.password_command.as_ref().is_some_and(Vec::is_empty)) {
            let problem = "password_command names no program".into();
            return fault("password_command", problem, "Give a program and its arguments, each in quotes.");
        }
        let phone = &self.phone;
        if let Some(codec) = phone.codecs.iter().find(|name| Codec::from_name(name).is_none()) {
            let problem = format!("there is no codec \"{}\"", codec.escape_default());
            return fault("codecs", problem, "Known are opus, g722, pcmu and pcma.");
        }
        if phone.codecs.is_empty() {
            return fault("codecs", "there is no codec".into(), "Name one of opus, g722, pcmu and pcma.");
        }
        if !["never", "always", "numbers"].contains(&phone.auto_answer.as_str()) {
            let problem = format!("auto_answer = \"{}\"", phone.auto_answer.escape_default());
            return fault("auto_answer", problem, "It is \"never\", \"always\" or \"numbers\".");
        }
        if transfers(&phone.transfers).is_none() {
            let problem = format!("transfers = \"{}\"", phone.transfers.escape_default());
            return fault("transfers", problem, "It is \"domain\", \"anywhere\" or \"never\".");
        }
        if self.account.iter().any(|account| account.watch.len() > MAX_WATCHED) {
            let problem = format!("an account watches more than {MAX_WATCHED} numbers");
            return fault("watch", problem, "Name fewer.");
        }
        if Country::of(&phone.country).is_none() {
            let problem = format!("no tones are known of the country \"{}\"", phone.country.escape_default());
            return fault("country", problem, "Give the two letters of ISO 3166, such as \"de\" or \"us\".");
        }
        let [first, last] = phone.ports;
        if first < 1_024 || last <= first {
            let problem = format!("ports = [{first}, {last}]");
            return fault(
                "ports",
                problem,
                "Give the first and the last of a range above 1023, such as [40000, 40999].",
            );
        }
        if phone.lines == 0 {
            return fault("lines", "there is no line to call with".into(), "Give at least 1.");
        }
        Ok(())
    }

    /// What its accounts watch and publish, as commands for a phone that has them in the same order.
    pub fn watching(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for (account, entry) in (0..).map(AccountId).zip(&self.account) {
            let watch =
                |target: &String| Command::Watch { account, target: target.as_str().into(), wanted: true };
            commands.extend(entry.watch.iter().map(watch));
            if entry.mailbox {
                commands.push(Command::WatchMailbox { account, wanted: true });
            }
            if entry.publish_presence {
                commands.push(Command::PublishPresence { account, wanted: true });
            }
        }
        commands
    }

    /// What the phone is told.
    pub fn settings(&self) -> Settings {
        let phone = &self.phone;
        let delay = Duration::from_secs(phone.answer_after_s.into());
        let auto_answer = match phone.auto_answer.as_str() {
            "always" if delay.is_zero() => AutoAnswer::Always,
            "always" => AutoAnswer::After(delay),
            "numbers" => {
                let numbers = phone.answer_numbers.iter().map(|number| number.as_str().into()).collect();
                AutoAnswer::Numbers { numbers, delay }
            }
            _ => AutoAnswer::Never,
        };
        Settings {
            auto_answer,
            answer_when_asked: phone.answer_when_asked,
            accept_strangers: phone.accept_strangers,
            transfers: transfers(&phone.transfers).unwrap_or_default(),
            do_not_disturb: phone.do_not_disturb,
            lines: phone.lines,
            hold_others: phone.hold_others,
            codecs: phone.codecs.iter().filter_map(|name| Codec::from_name(name)).collect(),
            ..Settings::default()
        }
    }
}

/// `domain`, `anywhere` or `never`.
fn transfers(name: &str) -> Option<Transfers> {
    match name {
        "domain" => Some(Transfers::Domain),
        "anywhere" => Some(Transfers::Anywhere),
        "never" => Some(Transfers::Never),
        _ => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// `udp`, `tcp` or `tls`.
pub fn transport(name: &str) -> Option<Transport> {
    [Transport::Udp, Transport::Tcp, Transport::Tls]
        .into_iter()
        .find(|known| name.eq_ignore_ascii_case(known.name()))
}

/// As [`host_and_port_if_any`], with 5060 where no port is given.
pub fn host_and_port(server: &str) -> Option<(String, u16)> {
    host_and_port_if_any(server).map(|(host, port)| (host, port.unwrap_or(5060)))
}

/// `name`, `name:port`, `[ipv6]` or `[ipv6]:port`; `None` when it is nothing of the kind.
pub fn host_and_port_if_any(server: &str) -> Option<(String, Option<u16>)> {
    let after_bracket = server.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match server.get(after_bracket..).unwrap_or_default().rfind(':') {
        None => (server, None),
        Some(colon) => {
            let (host, port) = server.split_at(after_bracket + colon);
            (host, Some(port.trim_start_matches(':').parse().ok()?))
        }
    };
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    (!host.is_empty() && !is_bare_ipv6).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> ConfigError {
        Config::parse(Path::new("phone.toml"), text).unwrap_err()
    }

    #[test]
    fn a_configuration_says_what_it_wants_and_leaves_the_rest() {
        let text = "[[account]]\nserver = \"pbx.example:5070\"\nuser = \"1001\"\npassword = \"x\"\n\n\
            [phone]\ncodecs = [\"PCMA\", \"opus\"]\nauto_answer = \"always\"\nanswer_after_s = 3\n";
        let config = Config::parse(Path::new("phone.toml"), text).unwrap();
        assert_eq!(host_and_port(&config.account[0].server), Some(("pbx.example".into(), 5070)));
        let settings = config.settings();
        assert_eq!(settings.codecs, [Codec::Pcma, Codec::Opus]);
        assert_eq!(settings.auto_answer, AutoAnswer::After(Duration::from_secs(3)));
        assert_eq!(settings.lines, 2);
        assert!(config.watching().is_empty());
    }

    #[test]
    fn what_an_account_watches_are_commands_for_it() {
        let account =
            |user: &str, more: &str| format!("[[account]]\nserver = \"x\"\nuser = \"{user}\"\n{more}\n");
        let text =
            account("1", "") + &account("2", "watch = [\"1002\"]\nmailbox = true\npublish_presence = true");
        let config = Config::parse(Path::new("phone.toml"), &text).unwrap();
        let account = AccountId(1);
        let commands = [
            Command::Watch { account, target: "1002".into(), wanted: true },
            Command::WatchMailbox { account, wanted: true },
            Command::PublishPresence { account, wanted: true },
        ];
        assert_eq!(config.watching(), commands);
    }

    #[test]
    fn errors_name_file_line_and_remedy() {
        let unknown = error("[phone]\nlines = 2\ncodex = []\n");
        assert_eq!(unknown.line, Some(3));
        assert!(unknown.to_string().starts_with("phone.toml, line 3: unknown field `codex`"), "{unknown}");
        for (text, line, remedy) in [
            ("[phone]\ncodecs = [\"g729\"]", 2, "Known are"),
            ("[phone]\n\nauto_answer = \"yes\"", 3, "\"numbers\""),
            ("[phone]\ntransfers = \"ask\"", 2, "\"domain\""),
            ("[phone]\ncountry = \"xx\"", 2, "ISO 3166"),
            ("[phone]\nports = [5000, 4000]", 2, "40000"),
            ("[phone]\nlines = 0", 2, "at least 1"),
            ("[[account]]\nserver = \"x\"\nuser = \"1\"\ntransport = \"sctp\"", 4, "\"tls\""),
            ("[phone]\nlines = \"two\"", 2, "docs/softphone.md"),
            ("[[account]]\nserver = \"x\"", 1, "docs/softphone.md"),
        ] {
            let error = error(text);
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.remedy.contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_server_is_a_name_or_an_address_with_or_without_a_port() {
        for (server, host, port) in [
            ("pbx.example", "pbx.example", 5060),
            ("pbx.example:5070", "pbx.example", 5070),
            ("192.0.2.1:5062", "192.0.2.1", 5062),
            ("[2001:db8::1]", "[2001:db8::1]", 5060),
            ("[2001:db8::1]:5062", "[2001:db8::1]", 5062),
        ] {
            assert_eq!(host_and_port(server), Some((host.to_owned(), port)));
        }
        for wrong in ["", ":5060", "pbx:", "pbx:x", "pbx:65536", "2001:db8::1"] {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }
}
