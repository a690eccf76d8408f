//! Conference rooms made by command: the keys of a `[[room]]`, as they would stand in the file. A running switch hears of a change at its
//! next reload, as of users.

use super::commands::run;
use super::error::StoreError;
use super::rows::{self, Columns, Key, Query, Table};
use std::path::Path;

/// A room.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRoom {
    /// Name of the domain.
    pub domain: Box<str>,
    /// What is dialled.
    pub extension: Box<str>,
    /// Its other keys, in TOML. May have codes in it.
    pub settings: Box<str>,
}

/// Without its codes.
impl core::fmt::Debug for StoredRoom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StoredRoom")
            .field("domain", &self.domain)
            .field("extension", &self.extension)
            .finish_non_exhaustive()
    }
}

impl Table for StoredRoom {
    const NAME: &'static str = "rooms";
    const KEYS: &'static [&'static str] = &["domain", "extension"];
    const VALUES: &'static [&'static str] = &["settings"];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(&*self.domain).bind(&*self.extension).bind(&*self.settings)
    }

    fn read(row: &Columns<'_>) -> Option<StoredRoom> {
        Some(StoredRoom {
            domain: row.text("domain")?,
            extension: row.text("extension")?,
            settings: row.text("settings")?,
        })
    }
}

/// The domain and the extension of a room.
struct RoomKey<'a>(&'a str, &'a str);

impl Key for RoomKey<'_> {
    type Of = StoredRoom;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.0).bind(self.1)
    }
}

/// Keeps a room, in the place of one of the same number.
///
/// # Errors
///
/// The database refuses.
pub fn rooms_set(directory: &Path, room: &StoredRoom) -> Result<(), StoreError> {
    run(directory, async |database| {
        let put = rows::put(database.connection(), &[room]).await;
        put.map_err(|source| database.refused(source))
    })
}

/// Removes a room; whether there was one.
///
/// # Errors
///
/// The database refuses.
pub fn rooms_remove(directory: &Path, domain: &str, extension: &str) -> Result<bool, StoreError> {
    run(directory, async |database| {
        let removed = rows::remove(database.connection(), &[&RoomKey(domain, extension)]).await;
        removed.map_err(|source| database.refused(source)).map(|removed| removed > 0)
    })
}

/// All rooms made by command, by domain and extension.
///
/// # Errors
///
/// The database refuses.
pub fn rooms_list(directory: &Path) -> Result<Vec<StoredRoom>, StoreError> {
    run(directory, async |database| Ok(database.all().await?.0))
}
