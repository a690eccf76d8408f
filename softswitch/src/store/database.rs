//! The SQLite database `switch.db`: how it is opened, and the one transaction that writes what waits.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns, so that a registration or a call record
//! survives a power cut. Group commit makes that cheap: two commits a second, not one for each registration.

use super::error::{StoreError, StoreFault};
use super::open_calls;
use super::pending::{Change, Pending};
use super::profiles::StoredProfile;
use super::record::{BindingKey, CallRecord, StoredBinding, StoredUser};
use super::rows::{self, Table};
use super::schema;
use core::time::Duration;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the database in the data directory.
pub const DATABASE: &str = "switch.db";

/// Records that are removed in one transaction, when their time is over: few, so that nothing else waits long.
const SLICE: i32 = 256;

/// An open database.
pub(super) struct Database {
    connection: SqliteConnection,
    path: PathBuf,
    identity: Identity,
}

impl Database {
    /// Opens the database in `directory`, making both when they are not there, and brings it to this version.
    ///
    /// `busy` is how long another process's transaction is waited for.
    pub(super) async fn open(directory: &Path, busy: Duration) -> Result<Database, StoreError> {
        let path = directory.join(DATABASE);
        make_private(directory, &path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy)
            .disable_statement_logging();
        let refused =
            |source| StoreError::Database { path: path.clone(), fault: StoreFault::of(&source), source };
        let mut connection = options.connect().await.map_err(refused)?;
        schema::migrate(&mut connection, &path).await?;
        let identity =
            Identity::of(&path).map_err(|source| StoreError::File { path: path.clone(), source })?;
        Ok(Database { connection, path, identity })
    }

    /// Opens a database that is damaged, to read what can be read. Nothing is made or changed in it.
    pub(super) async fn open_to_read(path: &Path, busy: Duration) -> Result<SqliteConnection, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
        options.busy_timeout(busy).disable_statement_logging().connect().await
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) const fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Writes all changes in one transaction, and that the run of the switch is alive at `unix_ms`; whether calls are up.
    pub(super) async fn write(
        &mut self,
        run: i64,
        unix_ms: u64,
        changes: &Pending,
    ) -> Result<bool, StoreFault> {
        // SQLite would go on writing to a file that has been deleted.
        if Identity::of(&self.path).ok().as_ref() != Some(&self.identity) {
            return Err(StoreFault::Lost);
        }
        self.write_transaction(run, unix_ms, changes).await.map_err(|error| StoreFault::of(&error))
    }

    async fn write_transaction(
        &mut self,
        run: i64,
        unix_ms: u64,
        changes: &Pending,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let (put, removed) = split(&changes.bindings);
        rows::put::<StoredBinding>(&mut transaction, &put).await?;
        rows::remove::<BindingKey>(&mut transaction, &removed).await?;
        let (put, removed) = split(&changes.users);
        rows::put::<StoredUser>(&mut transaction, &put).await?;
        rows::remove(&mut transaction, &removed).await?;
        let (put, _never) = split(&changes.profiles);
        rows::put::<StoredProfile>(&mut transaction, &put).await?;
        let records: Vec<&CallRecord> = changes.records.iter().collect();
        rows::put::<CallRecord>(&mut transaction, &records).await?;
        open_calls::write(&mut transaction, run, &changes.open).await?;
        let calls_are_up = open_calls::note_alive(&mut transaction, run, unix_ms).await?;
        transaction.commit().await?;
        Ok(calls_are_up)
    }

    /// Removes call records that ended before `unix_ms`, a slice at most; whether there may be more.
    pub(super) async fn forget_records(&mut self, unix_ms: u64) -> Result<bool, StoreFault> {
        let removed = sqlx::query(
            "DELETE FROM calls WHERE (domain, id) IN
            (SELECT domain, id FROM calls WHERE ended_unix_ms < ? ORDER BY ended_unix_ms LIMIT ?)",
        )
        .bind(rows::integer(unix_ms))
        .bind(SLICE)
        .execute(&mut self.connection)
        .await
        .map_err(|error| StoreFault::of(&error))?;
        Ok(removed.rows_affected() >= u64::from(SLICE.unsigned_abs()))
    }

    /// All rows of a table; those that make no sense are counted.
    pub(super) async fn all<T: Table>(&mut self) -> Result<(Vec<T>, u32), StoreError> {
        let rows = rows::all::<T>(&mut self.connection).await;
        rows.map_err(|source| self.refused(source))
    }

    pub(super) fn refused(&self, source: sqlx::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), fault: StoreFault::of(&source), source }
    }

    pub(super) async fn close(self) {
        // The last connection folds the log into the database; a failure leaves the log to the next opening.
        let _left_to_the_next_opening = self.connection.close().await;
    }
}

fn split<K, T>(changes: &std::collections::BTreeMap<K, Change<T>>) -> (Vec<&T>, Vec<&K>) {
    let (mut put, mut removed) = (Vec::with_capacity(changes.len()), Vec::new());
    for (key, change) in changes {
        match change {
            Change::Put(object) => put.push(&**object),
            Change::Remove => removed.push(key),
        }
    }
    (put, removed)
}

/// Makes the directory (0700) and the database file (0600) when they are not there, and takes the rights of others away
/// from the file: it holds what is as good as passwords. The log files beside it get its mode from SQLite.
fn make_private(directory: &Path, path: &Path) -> Result<(), StoreError> {
    create_directory(directory).map_err(|source| StoreError::File { path: directory.into(), source })?;
    create_file(path).map_err(|source| StoreError::File { path: path.into(), source })
}

#[cfg(unix)]
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(unix)]
fn create_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn create_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path).map(drop)
}

/// Tells a file from another one that took its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Identity> {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).map(|metadata| Identity(metadata.dev(), metadata.ino()))
    }

    /// Elsewhere an open file cannot be deleted.
    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Identity> {
        std::fs::metadata(path).map(|_| Identity(0, 0))
    }
}
