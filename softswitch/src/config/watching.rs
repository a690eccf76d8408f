//! `watched_by`: who may see whether a user is there, and its calls; the counts of mailboxes.

use super::model::User;
use super::objects::parse_id;
use super::table::{Key, Section};
use serde::{Deserialize, Serialize};

const WATCHED_BY: Key = Key {
    name: "watched_by",
    expected: "\"domain\", \"nobody\" or a list of users' ids",
    example: "[\"1002\", \"1003\"]",
};

/// Who may watch a user: its presence and its calls. The user itself always may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchedBy {
    /// Every user of its domain.
    #[default]
    Domain,
    /// These users of its domain; nobody when there are none.
    Users(Vec<Box<str>>),
}

impl WatchedBy {
    /// Whether this user of the domain may.
    #[must_use]
    pub fn allows(&self, user: &str) -> bool {
        match self {
            WatchedBy::Domain => true,
            WatchedBy::Users(users) => users.iter().any(|allowed| **allowed == *user),
        }
    }
}

impl User {
    /// Whether another user of its domain may watch it: nobody watches who is hidden.
    #[must_use]
    pub fn is_watched_by(&self, watcher: &str) -> bool {
        !self.hidden && self.watched_by.allows(watcher)
    }
}

pub(super) fn resolve_watched_by(section: &mut Section<'_>) -> WatchedBy {
    let Some(words) = section.filled_list(WATCHED_BY, parse_id) else { return WatchedBy::default() };
    let users: Vec<Box<str>> = words.value.into_iter().map(|word| word.value).collect();
    match &users[..] {
        [only] if &**only == "domain" => WatchedBy::Domain,
        [only] if &**only == "nobody" => WatchedBy::Users(Vec::new()),
        _ => WatchedBy::Users(users),
    }
}

/// How many messages wait for a user (RFC 3842), as the operator has counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Not heard yet.
    pub new: u32,
    /// Heard.
    pub old: u32,
    /// Of the new ones, those that are urgent.
    pub urgent_new: u32,
    /// Of the old ones, those that are urgent.
    pub urgent_old: u32,
}
