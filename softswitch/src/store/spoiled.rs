//! A database that is damaged: it is set aside under another name, a new one is begun, and what can be read of the old one goes into it.
//!
//! `switch.db` becomes `switch.db.spoiled-TIME`, with its log beside it, and stays for whoever wants to look. After an interrupted run the
//! tables that the switch lives from are checked before anything is believed; of the call records, which may be many, pages are checked
//! when they are used.

use super::database::{DATABASE, Database};
use super::error::{StoreError, StoreFault};
use super::mailboxes::StoredMailbox;
use super::open_calls::{self, OpenRow};
use super::profiles::StoredProfile;
use super::record::{CallRecord, StoredBinding, StoredUser};
use super::rooms::StoredRoom;
use super::rows::{self, Table};
use core::time::Duration;
use sqlx::{Row as _, SqliteConnection};
use std::path::{Path, PathBuf};

/// Tables that are checked at a start.
const CHECKED: [&str; 6] = ["bindings", "users", "profiles", "mailboxes", "runs", "open_calls"];

/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Opens the database as [`Database::open`] does; a damaged one is set aside first, and its new name told.
pub(super) async fn open(
    directory: &Path,
    busy: Duration,
    unix_ms: u64,
) -> Result<(Database, Option<PathBuf>), StoreError> {
    let opened = match Database::open(directory, busy).await {
        Ok(mut database) => match check(database.connection()).await {
            Ok(()) => return Ok((database, None)),
            Err(error) => {
                let error = database.refused(error);
                database.close().await;
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    match opened {
        Err(StoreError::Database { fault: StoreFault::Corrupt, .. }) => {
            let aside = set_aside(directory, unix_ms)?;
            let mut database = Database::open(directory, busy).await?;
            salvage(&mut database, &aside, busy).await;
            Ok((database, Some(aside)))
        }
        other => other.map(|database| (database, None)),
    }
}

/// After an interrupted run, whether the tables that the switch lives from are sound.
async fn check(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if !open_calls::was_interrupted(connection).await? {
        return Ok(());
    }
    for table in CHECKED {
        // The names are constants.
        let sql = format!("PRAGMA quick_check({table})");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        if row.try_get::<String, _>(0)? != "ok" {
            return Err(sqlx::Error::Database(Box::new(Damaged)));
        }
    }
    Ok(())
}

/// Gives the database and what belongs to it another name, which is returned.
pub(super) fn set_aside(directory: &Path, unix_ms: u64) -> Result<PathBuf, StoreError> {
    let aside = directory.join(format!("{DATABASE}.spoiled-{unix_ms}"));
    let path = directory.join(DATABASE);
    std::fs::rename(&path, &aside).map_err(|source| StoreError::File { path, source })?;
    for suffix in BESIDE {
        let path = directory.join(format!("{DATABASE}{suffix}"));
        let beside = directory.join(format!("{DATABASE}.spoiled-{unix_ms}{suffix}"));
        match std::fs::rename(&path, beside) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::File { path, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside)
}

/// Takes over what can be read, table by table; what cannot is in the file that was set aside.
pub(super) async fn salvage(database: &mut Database, aside: &Path, busy: Duration) {
    let Ok(mut old) = Database::open_to_read(aside, busy).await else { return };
    let new = database.connection();
    take::<StoredUser>(&mut old, new).await;
    take::<StoredMailbox>(&mut old, new).await;
    take::<StoredRoom>(&mut old, new).await;
    take::<StoredProfile>(&mut old, new).await;
    take::<StoredBinding>(&mut old, new).await;
    take::<OpenRow>(&mut old, new).await;
    take::<CallRecord>(&mut old, new).await;
    let _read_alone = sqlx::Connection::close(old).await;
}

async fn take<T: Table>(old: &mut SqliteConnection, new: &mut SqliteConnection) {
    let Ok((found, _)) = rows::all::<T>(old).await else { return };
    // What the new one does not take is in the old one still.
    let _left_there = rows::put::<T>(new, &found.iter().collect::<Vec<_>>()).await;
}

/// What the check has found, in the form of an error of SQLite: SQLITE_CORRUPT.
#[derive(Debug, thiserror::Error)]
#[error("a table is damaged")]
struct Damaged;

impl sqlx::error::DatabaseError for Damaged {
    fn message(&self) -> &str {
        "a table is damaged"
    }

    fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some("11".into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> sqlx::error::ErrorKind {
        sqlx::error::ErrorKind::Other
    }
}
