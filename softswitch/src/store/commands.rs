//! What the command line does with the database, while the switch runs or not: users made by command, call records.
//!
//! Each function opens the database, does one thing and closes it; they block. A running switch hears of a changed user
//! at its next reload.

use super::database::Database;
use super::error::StoreError;
use super::record::{CallRecord, StoredUser};
use super::rows;
use crate::config::{
    DEFAULT_RING_S, Dtmf, Latching, Layout, Recording, UserRecording, ha1_of_password, parse_container,
    parse_display_name, parse_id, parse_language,
};
use core::time::Duration;
use sqlx::{Connection as _, SqliteConnection};
use std::path::Path;
use thiserror::Error;

/// How long a commit of the running switch is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// Why a user cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidUser {
    /// The id would have to be escaped in a URI, or is empty or too long.
    #[error("a user's id has letters, digits and - _ . ! ~ * ' ( ) +, at most 64 of them")]
    Id,
    /// Without a password anyone could be the user.
    #[error("a password has at least one character")]
    Password,
    /// The name is empty, too long, or has control characters.
    #[error("a display name has at most 128 characters, none of them control characters")]
    DisplayName,
    /// There is no such way to press keys.
    #[error("dtmf is auto, event, info or inband")]
    Dtmf,
    /// No language has such a name.
    #[error("a language has lower-case letters, digits and hyphens")]
    Language,
    /// There is no such kind of file.
    #[error("the format of a recording is wav or opus")]
    Format,
    /// There is no such layout.
    #[error("the layout of a recording is mix, stereo or members")]
    Layout,
}

/// What the command line says of a user, in the words of the file; what it does not say is as in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserSettings<'t> {
    /// `display_name`.
    pub display_name: Option<&'t str>,
    /// `dtmf`.
    pub dtmf: Option<&'t str>,
    /// `language`.
    pub language: Option<&'t str>,
    /// `record`.
    pub record: bool,
    /// `record_on_request`.
    pub record_on_request: bool,
    /// `format`.
    pub format: Option<&'t str>,
    /// `layout`.
    pub layout: Option<&'t str>,
}

impl UserSettings<'_> {
    fn recording(&self) -> Result<UserRecording, InvalidUser> {
        let default = Recording::default();
        let format = read(self.format, parse_container, InvalidUser::Format)?.unwrap_or(default.format);
        let layout = read(self.layout, Layout::parse, InvalidUser::Layout)?.unwrap_or(default.layout);
        let form = Recording { format, layout };
        Ok(UserRecording { form, always: self.record, on_request: self.record_on_request })
    }
}

/// A setting, where it is said.
fn read<T>(
    said: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    invalid: InvalidUser,
) -> Result<Option<T>, InvalidUser> {
    said.map(|said| parse(said).ok_or(invalid)).transpose()
}

impl StoredUser {
    /// A user as the command line makes it, with the defaults of the file. `domain` is the domain's name as it stands in
    /// the file: it is the realm of the digest.
    ///
    /// # Errors
    ///
    /// What the file would refuse too.
    pub fn of_password(
        domain: &str,
        id: &str,
        password: &str,
        settings: &UserSettings<'_>,
    ) -> Result<StoredUser, InvalidUser> {
        let id = parse_id(id).ok_or(InvalidUser::Id)?;
        if password.is_empty() {
            return Err(InvalidUser::Password);
        }
        Ok(StoredUser {
            domain: domain.into(),
            credentials: ha1_of_password(&id, domain, password),
            id,
            display_name: read(settings.display_name, parse_display_name, InvalidUser::DisplayName)?,
            ring_s: DEFAULT_RING_S,
            latching: Latching::default(),
            dtmf: read(settings.dtmf, Dtmf::parse, InvalidUser::Dtmf)?.unwrap_or_default(),
            language: read(settings.language, parse_language, InvalidUser::Language)?,
            recording: settings.recording()?,
        })
    }
}

/// Adds a user to the database in the data directory.
///
/// # Errors
///
/// [`StoreError::UserExists`], or the database refuses.
pub fn users_add(directory: &Path, user: &StoredUser) -> Result<(), StoreError> {
    run(directory, async |database| {
        let added = insert(database.connection(), user).await;
        if added.map_err(|source| database.refused(source))? {
            Ok(())
        } else {
            Err(StoreError::UserExists { domain: user.domain.clone(), id: user.id.clone() })
        }
    })
}

/// False when there is a user of this name.
async fn insert(connection: &mut SqliteConnection, user: &StoredUser) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let there = sqlx::query("SELECT 1 FROM users WHERE domain = ? AND id = ?")
        .bind(&*user.domain)
        .bind(&*user.id)
        .fetch_optional(&mut *transaction)
        .await?;
    if there.is_some() {
        return Ok(false);
    }
    rows::put(&mut transaction, &[user]).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Removes a user from the database in the data directory.
///
/// # Errors
///
/// [`StoreError::NoSuchUser`], or the database refuses.
pub fn users_remove(directory: &Path, domain: &str, id: &str) -> Result<(), StoreError> {
    run(directory, async |database| {
        let key = (domain.into(), id.into());
        let removed = rows::remove(database.connection(), &[&key]).await;
        match removed.map_err(|source| database.refused(source))? {
            0 => Err(StoreError::NoSuchUser { domain: domain.into(), id: id.into() }),
            _ => Ok(()),
        }
    })
}

/// All users made by command, by domain and id.
///
/// # Errors
///
/// The database refuses.
pub fn users_list(directory: &Path) -> Result<Vec<StoredUser>, StoreError> {
    run(directory, async |database| Ok(database.all().await?.0))
}

/// The call records that ended last, the newest first; at most `limit`.
///
/// # Errors
///
/// The database refuses.
pub fn calls_list(directory: &Path, limit: u32) -> Result<Vec<CallRecord>, StoreError> {
    run(directory, async |database| {
        let order = "ended_unix_ms DESC, domain, id";
        let found = rows::select(database.connection(), order, limit).await;
        found.map_err(|source| database.refused(source)).map(|(records, _)| records)
    })
}

/// Which call records are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Those that ended then or later, in Unix milliseconds.
    pub since_unix_ms: u64,
    /// Those of calls that the user made or got.
    pub user: Option<&'a str>,
    /// That of this id.
    pub id: Option<&'a str>,
    /// Those alone that were missed.
    pub missed: bool,
    /// So many at most.
    pub limit: u32,
}

/// The call records that are wanted, those that ended last first.
///
/// # Errors
///
/// The database refuses.
pub fn calls_wanted(directory: &Path, wanted: &Wanted<'_>) -> Result<Vec<CallRecord>, StoreError> {
    run(directory, async |database| {
        let found = rows::select_calls(database.connection(), wanted).await;
        found.map_err(|source| database.refused(source))
    })
}

pub(super) fn run<T>(
    directory: &Path,
    work: impl AsyncFnOnce(&mut Database) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|source| StoreError::File { path: directory.into(), source })?;
    runtime.block_on(async {
        let mut database = Database::open(directory, BUSY).await?;
        let result = work(&mut database).await;
        database.close().await;
        result
    })
}
