//! Mailboxes: how many messages wait for a user (RFC 3842), set by command. A running switch hears of a change at its next reload, as
//! of users.

use super::commands::run;
use super::error::StoreError;
use super::rows::{self, Columns, Query, Table};
use crate::config::Mailbox;
use std::path::Path;

/// The mailbox of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMailbox {
    /// Name of the domain.
    pub domain: Box<str>,
    /// The user.
    pub user: Box<str>,
    /// What is in it.
    pub mailbox: Mailbox,
}

impl Table for StoredMailbox {
    const NAME: &'static str = "mailboxes";
    const KEYS: &'static [&'static str] = &["domain", "user"];
    const VALUES: &'static [&'static str] = &["new", "old", "urgent_new", "urgent_old"];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let Mailbox { new, old, urgent_new, urgent_old } = self.mailbox;
        let counts = [new, old, urgent_new, urgent_old].map(i64::from);
        counts.into_iter().fold(query.bind(&*self.domain).bind(&*self.user), Query::bind)
    }

    fn read(row: &Columns<'_>) -> Option<StoredMailbox> {
        Some(StoredMailbox {
            domain: row.text("domain")?,
            user: row.text("user")?,
            mailbox: Mailbox {
                new: row.number("new")?,
                old: row.number("old")?,
                urgent_new: row.number("urgent_new")?,
                urgent_old: row.number("urgent_old")?,
            },
        })
    }
}

/// Sets what is in a mailbox.
///
/// # Errors
///
/// The database refuses.
pub fn mailboxes_set(directory: &Path, mailbox: &StoredMailbox) -> Result<(), StoreError> {
    run(directory, async |database| {
        let put = rows::put(database.connection(), &[mailbox]).await;
        put.map_err(|source| database.refused(source))
    })
}

/// All mailboxes that were set, by domain and user.
///
/// # Errors
///
/// The database refuses.
pub fn mailboxes_list(directory: &Path) -> Result<Vec<StoredMailbox>, StoreError> {
    run(directory, async |database| Ok(database.all().await?.0))
}
