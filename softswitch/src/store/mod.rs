//! The durable store: bindings, call records, and users, rooms and mailboxes made by command, in one SQLite database.
//!
//! The records are values of the pure core ([`record`]); the database lives on a thread of its own ([`thread`]), off the
//! path of every message. A full disk or a locked or lost database never stops a call: changes are kept, coalesced and
//! bounded, and tried again. The command line works on the same database ([`commands`]).

pub mod commands;
mod database;
pub mod error;
mod mailboxes;
mod open_calls;
mod pending;
mod profiles;
pub mod record;
mod rooms;
mod rows;
#[cfg(test)]
mod samples;
mod schema;
mod spoiled;
#[cfg(test)]
mod tests;
pub mod thread;

pub use commands::{
    InvalidUser, UserSettings, Wanted, calls_list, calls_wanted, users_add, users_list, users_remove,
};
pub use database::DATABASE;
pub use error::{StoreError, StoreEvent, StoreFault};
pub use mailboxes::{StoredMailbox, mailboxes_list, mailboxes_set};
pub use profiles::{StoredProfile, profiles_list};
pub use record::*;
pub use rooms::{StoredRoom, rooms_list, rooms_remove, rooms_set};
pub use thread::{Loaded, StoreFigures, StoreHandle, open};
