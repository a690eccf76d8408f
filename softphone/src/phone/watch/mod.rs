//! What an account watches: the calls and the presence of others (busy lamps, RFC 4235; RFC 3856), its mailbox (RFC 3842), and its own
//! presence, which is published (RFC 3903).
//!
//! `seen` is what the user is told, `subscriber` the subscription to one of these, `publisher` the own presence. They begin when the
//! account is registered, begin anew when its way to the server has changed or its registration was lost, and end before it is
//! removed. A number that is watched has two subscriptions; where the server has one of the packages alone, the user is told of the
//! other and the one works.
//!
//! Bound: [`MAX_WATCHED`] numbers of an account. Left out on purpose: NOTIFYs that nobody subscribed to (481), lists of a server
//! (RFC 4662), and who watches us.

mod publisher;
mod seen;
mod subscriber;

pub use seen::{Availability, Lamp, Mailbox, WatchEvent, WatchOverview, Watched};

pub(super) use publisher::Publisher;
pub(super) use subscriber::Watch;

use super::{AccountId, CommandError, Phone};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::event::Package;
use std::collections::BTreeMap;

/// Numbers that one account watches.
pub const MAX_WATCHED: usize = 128;

/// Everything that is watched.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Watches {
    pub(super) all: BTreeMap<WatchId, Watch>,
    pub(super) publishers: BTreeMap<AccountId, Publisher>,
    last: u32,
}

/// Names a subscription of ours within the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct WatchId(u32);

/// Whose a transaction or dialog of the endpoint is, if it has to do with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A subscription's.
    Watch(WatchId),
    /// The own presence's.
    Publisher(AccountId),
}

/// Owners of subscriptions begin here; calls, which count from 1, do not get so far.
const WATCHES: u64 = 1 << 62;
const PUBLISHERS: u64 = 1 << 61;

impl Owner {
    /// As the endpoint keeps it.
    pub(super) const fn number(self) -> u64 {
        match self {
            Owner::Watch(WatchId(id)) => WATCHES | id as u64,
            Owner::Publisher(AccountId(account)) => PUBLISHERS | account as u64,
        }
    }

    /// Reads it back; `None` for anybody else's.
    pub(super) const fn of(number: u64) -> Option<Owner> {
        match number {
            number if number >> 32 == WATCHES >> 32 => Some(Owner::Watch(WatchId(number as u32))),
            number if number >> 16 == PUBLISHERS >> 16 => Some(Owner::Publisher(AccountId(number as u16))),
            _ => None,
        }
    }
}

impl Watches {
    /// Whether nothing is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.all.values().all(Watch::is_settled) && self.publishers.values().all(Publisher::is_settled)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let watches = self.all.values().filter_map(Watch::poll_timeout);
        watches.chain(self.publishers.values().filter_map(Publisher::poll_timeout)).min()
    }

    fn of_account(&self, account: AccountId) -> Vec<WatchId> {
        self.all.iter().filter(|(_, watch)| watch.account == account).map(|(id, _)| *id).collect()
    }

    fn find(&self, account: AccountId, what: &Watched) -> Option<WatchId> {
        let is_it = |watch: &Watch| watch.account == account && watch.what == *what;
        self.all.iter().find(|(_, watch)| is_it(watch)).map(|(id, _)| *id)
    }
}

impl Phone {
    /// What is known of the numbers that are watched, in the order they were named.
    pub fn watched(&self) -> Vec<WatchOverview> {
        let mut rows: Vec<WatchOverview> = Vec::new();
        for watch in self.watches.all.values() {
            watch.show(&mut rows);
        }
        rows
    }

    /// The mailbox of an account; `None` when it is not watched, or nothing is known of it.
    pub fn mailbox(&self, account: AccountId) -> Option<Mailbox> {
        let id = self.watches.find(account, &Watched::Mailbox)?;
        self.watches.all.get(&id)?.mailbox()
    }

    /// Watches a number or address.
    pub(super) fn watch(
        &mut self,
        now: Time,
        account: AccountId,
        target: &str,
        wanted: bool,
    ) -> Result<(), CommandError> {
        let identity =
            self.identities.get(usize::from(account.0)).ok_or(CommandError::NoSuchAccount(account))?;
        let uri = identity.account.resolve(target).ok_or_else(|| CommandError::BadTarget(target.into()))?;
        let watched = self.watches.of_account(account).len() / 2;
        let is_new = self.watches.find(account, &Watched::Calls(target.into())).is_none();
        if wanted && is_new && watched >= MAX_WATCHED {
            return Err(CommandError::TooManyWatched(MAX_WATCHED));
        }
        for (package, what) in [
            (Package::Dialog, Watched::Calls(target.into())),
            (Package::Presence, Watched::Presence(target.into())),
        ] {
            self.want_watch(now, account, package, what, &uri, wanted);
        }
        Ok(())
    }

    /// Watches the mailbox of an account, or no longer.
    pub(super) fn watch_mailbox(
        &mut self,
        now: Time,
        account: AccountId,
        wanted: bool,
    ) -> Result<(), CommandError> {
        let identity =
            self.identities.get(usize::from(account.0)).ok_or(CommandError::NoSuchAccount(account))?;
        let uri = identity.account.address_of_record();
        self.want_watch(now, account, Package::MessageSummary, Watched::Mailbox, &uri, wanted);
        Ok(())
    }

    fn want_watch(
        &mut self,
        now: Time,
        account: AccountId,
        package: Package,
        what: Watched,
        uri: &[u8],
        wanted: bool,
    ) {
        let watches = match (self.identity(account).watching, wanted) {
            (watching, true) => watching,
            (_, false) => false,
        };
        let id = match (self.watches.find(account, &what), wanted) {
            (Some(id), _) => id,
            (None, false) => return,
            (None, true) => {
                self.watches.last += 1;
                let id = WatchId(self.watches.last);
                let settings = &self.identity(account).account;
                let contact = settings.contact().into();
                let watch =
                    Watch::new(account, what, uri.to_vec().into(), package, contact, settings.expires_s);
                self.watches.all.insert(id, watch);
                id
            }
        };
        if let Some(watch) = self.watches.all.get_mut(&id) {
            watch.is_kept = wanted;
        }
        if watches || !wanted {
            self.subscribe(now, id, watches);
        }
    }

    /// The account is registered: what it watches begins, unless it goes on, or the user wants to leave already.
    pub(super) fn begin_watching(&mut self, now: Time, account: AccountId) {
        if !self.identity(account).registration.is_wanted() {
            return;
        }
        if core::mem::replace(&mut self.identity_mut(account).0.watching, true) {
            return;
        }
        for id in self.watches.of_account(account) {
            if self.watches.all.get(&id).is_some_and(|watch| watch.is_kept) {
                self.subscribe(now, id, true);
            }
        }
        self.publish_again(now, account);
    }

    /// The account is to be registered no longer: what it watches ends, and what it has published is removed.
    pub(super) fn end_watching(&mut self, now: Time, account: AccountId) {
        // Also while it is paused: a subscription goes on then.
        self.pause_watching(account);
        for id in self.watches.of_account(account) {
            self.subscribe(now, id, false);
        }
        self.publish_changes(now);
    }

    /// The registration was lost, or is made anew on the user's wish: what is watched is looked after when it is there again.
    pub(super) fn pause_watching(&mut self, account: AccountId) {
        self.identity_mut(account).0.watching = false;
    }

    /// The way to the server is another one: subscriptions of the old one lead nowhere.
    pub(super) fn move_watching(&mut self, account: AccountId) {
        self.pause_watching(account);
        for id in self.watches.of_account(account) {
            self.begin_anew(id);
        }
    }

    pub(super) fn on_watch_timeouts(&mut self, now: Time) {
        if self.watches.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        self.on_subscription_timeouts(now);
        self.on_publisher_timeouts(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told_from_calls_and_from_nobody() {
        for owner in [
            Owner::Watch(WatchId(0)),
            Owner::Watch(WatchId(u32::MAX)),
            Owner::Publisher(AccountId(0)),
            Owner::Publisher(AccountId(u16::MAX)),
        ] {
            assert_eq!(Owner::of(owner.number()), Some(owner));
        }
        for other in [0, 1, u64::from(u32::MAX), 1 << 40, u64::MAX, super::super::machine::NOBODY] {
            assert_eq!(Owner::of(other), None, "{other}");
        }
    }
}
