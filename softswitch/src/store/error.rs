//! What can go wrong with the database, and which part of it mends itself.

use core::fmt;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use thiserror::Error;

/// An error that ends what was attempted. One in the running store does not end it: it is retried and told as a
/// [`StoreEvent`].
#[derive(Debug, Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be used.
    #[error(
        "{path:?} cannot be used: {source}; check that it exists and belongs to the user the switch runs as"
    )]
    File {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another switch runs on the same directory.
    #[error("{path:?} is in use by another switch; stop that one, or choose another directory")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The database refused.
    #[error("{path:?}: {fault} ({source})")]
    Database {
        /// The database.
        path: PathBuf,
        /// What kind of refusal.
        fault: StoreFault,
        /// In detail.
        source: sqlx::Error,
    },
    /// The database has a schema of the future.
    #[error(
        "{path:?} was written by a newer version (schema {found}, this one knows {known}); install that version"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// A user of this name is there already.
    #[error("user {id:?} exists in domain {domain:?}; remove it first, or choose another name")]
    UserExists {
        /// The domain.
        domain: Box<str>,
        /// The user.
        id: Box<str>,
    },
    /// There is no user of this name.
    #[error("there is no user {id:?} made by command in domain {domain:?}")]
    NoSuchUser {
        /// The domain.
        domain: Box<str>,
        /// The user.
        id: Box<str>,
    },
    /// The store was closed while the database refused.
    #[error("{changes} changes could not be written: {fault}")]
    Unwritten {
        /// How many.
        changes: usize,
        /// Why.
        fault: StoreFault,
    },
    /// The store's thread ended by a fault of its own.
    #[error("the store's thread ended unexpectedly")]
    ThreadEnded,
}

/// Why the database refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreFault {
    /// No room on the disk.
    Full,
    /// Another process holds the database.
    Locked,
    /// The file or its file system does not take writes.
    ReadOnly,
    /// The file is gone or another one.
    Lost,
    /// The file is not a sound database.
    Corrupt,
    /// The file system fails.
    InputOutput,
    /// Anything else.
    Other {
        /// SQLite's primary result code; 0 when it is none of SQLite's errors.
        code: i32,
    },
}

impl StoreFault {
    /// The kind of an error of the database library.
    pub(super) fn of(error: &sqlx::Error) -> StoreFault {
        let code = error.as_database_error().and_then(|error| error.code());
        let code: i32 = code.and_then(|code| code.parse().ok()).unwrap_or(0);
        // The low byte is the primary code (sqlite.org/rescode.html).
        match code & 0xff {
            5 | 6 => StoreFault::Locked,
            8 => StoreFault::ReadOnly,
            10 => StoreFault::InputOutput,
            11 | 26 => StoreFault::Corrupt,
            13 => StoreFault::Full,
            14 => StoreFault::Lost,
            code => StoreFault::Other { code },
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreFault::Full => "the disk is full; make room",
            StoreFault::Locked => "another process holds the database; end its transaction",
            StoreFault::ReadOnly => "the database takes no writes; mend its permissions or file system",
            StoreFault::Lost => "the database file is gone; restore its directory",
            StoreFault::Corrupt => "the file is no sound database; move it away or restore it",
            StoreFault::InputOutput => "the file system fails; check the disk",
            StoreFault::Other { code } => return write!(f, "the database fails with code {code}"),
        })
    }
}

/// What the running store reports, each when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreEvent {
    /// Writes fail; they are kept and tried again.
    Failing {
        /// Why.
        reason: StoreFault,
    },
    /// The database was damaged: it was set aside under another name, and a new one has what could be read of it.
    SetAside,
    /// All that was kept has been written.
    Recovered {
        /// The database had to be made anew: what was in it is gone. The core puts again what it wants kept.
        emptied: bool,
    },
}
