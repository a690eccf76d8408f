//! Who of those in a document is not to be known to whom reads it: parties of a call that is watched, and members of a conference, decide
//! for themselves who may watch them (`watched_by`), whoever they are with; who is `hidden` is watched by nobody.
//!
//! That a call, or a member, is there is told all the same; who it is is told as of one who does not want to be known (RFC 3323).

use super::ledger::Ledger;
use super::lines::Line;
use super::subject::{Matter, Topic};
use crate::call::Seen;
use crate::config::{Domain, WatchedBy};
use serde::{Deserialize, Serialize};

/// The parties in the rows of a topic who may not be watched by everybody, with those who may watch them; in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Discretion(Vec<(Box<str>, Vec<Box<str>>)>);

/// Users who are not to be known to a reader, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hidden(Vec<Box<str>>);

impl Discretion {
    fn of<'a>(domain: &Domain, parties: impl Iterator<Item = &'a Seen>) -> Discretion {
        let guarded = parties.filter_map(|seen| {
            let name = seen.party.user.as_deref()?;
            let user = domain.users.get(name)?;
            if user.hidden {
                return Some((name.into(), Vec::new()));
            }
            match &user.watched_by {
                WatchedBy::Domain => None,
                WatchedBy::Users(users) => Some((name.into(), users.clone())),
            }
        });
        let mut guarded: Vec<_> = guarded.collect();
        guarded.sort_unstable();
        guarded.dedup();
        Discretion(guarded)
    }

    /// Who is not to be known to this user, who knows itself.
    pub(super) fn hidden_from(&self, reader: &str) -> Hidden {
        let is_hidden = |(name, known_to): &&(Box<str>, Vec<Box<str>>)| {
            **name != *reader && !known_to.iter().any(|user| **user == *reader)
        };
        Hidden(self.0.iter().filter(is_hidden).map(|(name, _)| name.clone()).collect())
    }
}

impl Hidden {
    /// The user, unless it is not to be known.
    pub(super) fn known<'a>(&self, seen: &'a Seen) -> Option<&'a str> {
        let user = seen.party.user.as_deref()?;
        self.0.binary_search_by(|hidden| (**hidden).cmp(user)).is_err().then_some(user)
    }

    /// The name shown, unless the user is not to be known.
    pub(super) fn display(&self, seen: &Seen) -> Option<Box<str>> {
        seen.party.display.clone().filter(|_| seen.party.user.is_none() || self.known(seen).is_some())
    }
}

impl Topic {
    /// Looks at who may know whom.
    pub(super) fn look_at_discretion(&mut self, domain: Option<&Domain>) {
        self.discretion = self.discretion_now(domain);
    }

    /// Whether others may be known than when it was looked at last, or to others.
    pub(super) fn shows_others_now(&self, domain: Option<&Domain>) -> bool {
        self.discretion != self.discretion_now(domain)
    }

    fn discretion_now(&self, domain: Option<&Domain>) -> Discretion {
        match (&self.matter, domain) {
            (Matter::Lines(lines), Some(domain)) => Discretion::of(domain, lines.all().map(Line::seen)),
            (Matter::Roster(members), Some(domain)) => Discretion::of(domain, members.all()),
            (Matter::Presence(_) | Matter::Mailbox(_) | Matter::Contacts(_), _)
            | (Matter::Lines(_) | Matter::Roster(_), None) => Discretion::default(),
        }
    }

    /// Everything is told anew, because others are to be known, or to others.
    pub(super) fn begin_anew(&mut self) {
        match &mut self.matter {
            Matter::Lines(lines) => Ledger::begin_anew(lines),
            Matter::Roster(members) => Ledger::begin_anew(members),
            Matter::Presence(_) | Matter::Mailbox(_) | Matter::Contacts(_) => {}
        }
    }

    /// Who in its document is not to be known to a user who watches `name`. Whoever is watched knows with whom it talks.
    pub(super) fn hidden_from(&self, name: &str, reader: &str) -> Hidden {
        match self.matter {
            Matter::Lines(_) if name == reader => Hidden::default(),
            Matter::Lines(_)
            | Matter::Roster(_)
            | Matter::Presence(_)
            | Matter::Mailbox(_)
            | Matter::Contacts(_) => self.discretion.hidden_from(reader),
        }
    }
}
