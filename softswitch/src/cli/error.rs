//! Why a command did not do what it was told.

use crate::config::ConfigErrors;
use crate::io::random::NoRandomness;
use crate::io::{PromptsError, RunError};
use crate::log::ReplayError;
use crate::store::{InvalidUser, StoreError};
use sip_stack::io::TlsError;
use std::path::PathBuf;
use std::sync::Arc;

/// For the operator to read.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file or directory cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The configuration has faults.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// Keys have changed that a running switch cannot change.
    #[error("{}: a reload does not change {keys}: restart the switch, or take that back; nothing was changed", file.display())]
    NeedsRestart {
        /// The configuration.
        file: PathBuf,
        /// The keys.
        keys: String,
    },
    /// A sound that the configuration names cannot be played.
    #[error("{}:{line}: {} cannot be played: {source}; correct the path, or put the file there", file.escape_debug(), path.display())]
    Sound {
        /// The configuration.
        file: Box<str>,
        /// The line of the path.
        line: u32,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate cannot be used.
    #[error("[tls] {0}")]
    Tls(#[from] TlsError),
    /// The prompts cannot be used.
    #[error(transparent)]
    Prompts(#[from] PromptsError),
    /// The switch did not start, or had to stop.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The log does not replay.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A user cannot be made like that.
    #[error(transparent)]
    User(#[from] InvalidUser),
    /// The file has that user.
    #[error("user {id} of domain {domain} stands in line {line} of {}: change it there", file.escape_debug())]
    UserInFile {
        /// The user.
        id: String,
        /// Its domain.
        domain: Arc<str>,
        /// The configuration.
        file: Box<str>,
        /// Where.
        line: u32,
    },
    /// No room of that number was made by command.
    #[error("the database has no room {extension} of domain {domain}")]
    NoSuchRoom {
        /// The domain.
        domain: Arc<str>,
        /// The number.
        extension: String,
    },
    /// No domain of that name is configured.
    #[error("the configuration has no domain {0:?}")]
    NoSuchDomain(String),
    /// Not a moment.
    #[error("{0:?} is no time with its offset from UTC; for example 2026-12-31T18:00:00+03:00")]
    NoTime(String),
    /// Neither the file nor the database has such a user.
    #[error("there is no user {id:?} in domain {domain:?}")]
    NoSuchUser {
        /// The domain.
        domain: Arc<str>,
        /// The user.
        id: String,
    },
    /// The database has no such call record.
    #[error("there is no call record {0:?}: `softswitch records list` shows their ids")]
    NoSuchRecord(String),
    /// No time was said, or none that can be read.
    #[error("{0:?} is no time: say 30m, 12h, 7d, or a day like 2026-11-30 (UTC)")]
    NoSince(String),
    /// The configuration has no default domain.
    #[error("no domain is the default one: name one with --domain")]
    NoDefaultDomain,
    /// There is no configuration to check or to make users for.
    #[error("there is no configuration {} yet: start the switch once, or name one with --config", .0.display())]
    NoConfig(PathBuf),
    /// No directory for data is known.
    #[error("no home directory is known: name a directory with --data")]
    NoHome,
    /// No password, no key.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Nobody listens at the control socket.
    #[error("{}: {source}; is the switch running with this data directory? Name another one with --data", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The switch has hung up.
    #[error("the control socket: {0}")]
    Control(std::io::Error),
    /// A command that is none.
    #[error("this is no command: {0}")]
    Command(String),
    /// The switch has refused a command.
    #[error("{0}")]
    Refused(Box<str>),
    /// The log cannot be written.
    #[error("the system gives no thread for the log: {0}")]
    Log(std::io::Error),
    /// The log level makes no sense.
    #[error("{0:?} is no log level: take error, warn, info, debug or trace, or module=level,…")]
    LogLevel(String),
}
