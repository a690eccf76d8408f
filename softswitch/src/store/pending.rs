//! Changes that wait for the next transaction, coalesced by what they change.
//!
//! However often a binding is refreshed between two transactions, it is written once; memory is bounded by the number of
//! distinct objects, and beyond a limit of those by refusal.

use super::profiles::StoredProfile;
use super::record::{BindingKey, CallRecord, StoreOp, StoredBinding, StoredUser};
use crate::records::OpenCall;
use std::collections::{BTreeMap, VecDeque};

/// Distinct bindings, users, users with settings, and calls that are up, that may wait. Beyond it a change of one more is refused and counted: a new
/// binding is then lost in a restart until its refresh, a removed one comes back until it expires.
pub(super) const OBJECTS_LIMIT: usize = 250_000;

/// Call records that may wait. Beyond it the newest are refused and counted.
pub(super) const RECORDS_LIMIT: usize = 50_000;

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change<T> {
    Put(Box<T>),
    Remove,
}

/// Domain and id of a user.
pub(super) type UserKey = (Box<str>, Box<str>);

/// A call that was or is up: the run of the switch, and its number in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpenKey {
    /// `None`: this run.
    pub(super) run: Option<i64>,
    pub(super) number: u64,
}

/// The changes, at most one for each object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) bindings: BTreeMap<BindingKey, Change<StoredBinding>>,
    pub(super) users: BTreeMap<UserKey, Change<StoredUser>>,
    pub(super) profiles: BTreeMap<UserKey, Change<StoredProfile>>,
    pub(super) open: BTreeMap<OpenKey, Change<OpenCall>>,
    pub(super) records: VecDeque<CallRecord>,
    /// Changes that found no room.
    pub(super) refused: u64,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.bindings.len() + self.users.len() + self.profiles.len() + self.open.len() + self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes later changes up.
    pub(super) fn absorb(&mut self, ops: impl IntoIterator<Item = StoreOp>) {
        for op in ops {
            self.absorb_one(op);
        }
    }

    fn absorb_one(&mut self, op: StoreOp) {
        match op {
            StoreOp::PutBinding(binding) => match self.bindings.get_mut(&binding.key) {
                // The common case, a refresh of what waits already, copies no key.
                Some(waiting) => *waiting = Change::Put(binding),
                None => {
                    let key = binding.key.clone();
                    self.refused += replace(&mut self.bindings, key, Change::Put(binding));
                }
            },
            StoreOp::RemoveBinding(key) => {
                self.refused += replace(&mut self.bindings, key, Change::Remove);
            }
            StoreOp::PutUser(user) => {
                let key = (user.domain.clone(), user.id.clone());
                self.refused += replace(&mut self.users, key, Change::Put(user));
            }
            StoreOp::PutProfile(profile) => {
                let key = (profile.domain.clone(), profile.user.clone());
                self.refused += replace(&mut self.profiles, key, Change::Put(profile));
            }
            StoreOp::RemoveUser { domain, id } => {
                self.refused += replace(&mut self.users, (domain, id), Change::Remove);
            }
            StoreOp::PutCallRecord(record) => {
                if record.number != 0 {
                    let key = OpenKey { run: None, number: record.number };
                    self.refused += replace(&mut self.open, key, Change::Remove);
                }
                self.absorb_record(*record);
            }
            StoreOp::PutOpenCall(call) => {
                let key = OpenKey { run: None, number: call.record.number };
                self.refused += replace(&mut self.open, key, Change::Put(call));
            }
            StoreOp::ForgetInterrupted { run, number } => {
                let key = OpenKey { run: Some(run), number };
                self.refused += replace(&mut self.open, key, Change::Remove);
            }
        }
    }

    fn absorb_record(&mut self, record: CallRecord) {
        if self.records.len() < RECORDS_LIMIT {
            self.records.push_back(record);
        } else {
            self.refused += 1;
        }
    }

    /// Takes later changes up that are coalesced already.
    pub(super) fn absorb_pending(&mut self, later: Pending) {
        for (key, change) in later.bindings {
            self.refused += replace(&mut self.bindings, key, change);
        }
        for (key, change) in later.users {
            self.refused += replace(&mut self.users, key, change);
        }
        for (key, change) in later.profiles {
            self.refused += replace(&mut self.profiles, key, change);
        }
        for (key, change) in later.open {
            self.refused += replace(&mut self.open, key, change);
        }
        for record in later.records {
            self.absorb_record(record);
        }
        self.refused += later.refused;
    }
}

/// Puts a change in place of the one that waits for the same object; answers how many were refused.
fn replace<K: Ord, T>(waiting: &mut BTreeMap<K, Change<T>>, key: K, change: Change<T>) -> u64 {
    if waiting.len() >= OBJECTS_LIMIT && !waiting.contains_key(&key) {
        return 1;
    }
    waiting.insert(key, change);
    0
}

#[cfg(test)]
mod tests {
    use super::super::samples::{binding, record, user};
    use super::*;

    #[test]
    fn the_last_change_of_a_binding_is_the_one_that_waits() {
        let mut pending = Pending::default();
        pending.absorb((1..=1_000).map(|cseq| StoreOp::from(binding("1001", cseq))));
        let key = binding("1001", 0).key;
        assert_eq!(pending.bindings[&key], Change::Put(Box::new(binding("1001", 1_000))));
        pending.absorb([StoreOp::RemoveBinding(key.clone())]);
        assert_eq!(pending.bindings[&key], Change::Remove);
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn bindings_of_other_domains_users_and_contacts_wait_side_by_side() {
        let mut pending = Pending::default();
        let mut other_domain = binding("1001", 1);
        other_domain.key.domain = "b.example".into();
        let mut other_contact = binding("1001", 1);
        other_contact.key.contact = b"sip:1001@192.0.2.99".as_slice().into();
        let all = [binding("1001", 1), binding("1002", 1), other_domain, other_contact];
        pending.absorb(all.map(StoreOp::from));
        assert_eq!(pending.bindings.len(), 4);
    }

    #[test]
    fn what_failed_comes_before_what_came_since() {
        let (mut failed, mut since) = (Pending::default(), Pending::default());
        failed.absorb([StoreOp::from(binding("1001", 1)), StoreOp::from(user("1001"))]);
        failed.absorb([StoreOp::from(record("first"))]);
        since.absorb([StoreOp::from(binding("1001", 2)), StoreOp::from(record("second"))]);
        failed.absorb_pending(since);
        assert_eq!(failed.bindings[&binding("1001", 0).key], Change::Put(Box::new(binding("1001", 2))));
        assert_eq!(failed.users.len(), 1);
        assert_eq!(failed.records, [record("first"), record("second")]);
    }

    #[test]
    fn beyond_the_limits_new_objects_are_refused_and_counted_and_waiting_ones_still_change() {
        let mut pending = Pending::default();
        let name = |number: usize| number.to_string();
        pending.absorb((0..OBJECTS_LIMIT + 3).map(|number| StoreOp::from(binding(&name(number), 1))));
        pending.absorb((0..RECORDS_LIMIT + 2).map(|number| StoreOp::from(record(&name(number)))));
        pending.absorb([StoreOp::from(binding("0", 2)), StoreOp::RemoveBinding(binding("1", 0).key)]);
        // And the number of the one call that all of the records are of is not open any more.
        assert_eq!(pending.len(), OBJECTS_LIMIT + RECORDS_LIMIT + 1);
        assert_eq!(pending.refused, 5);
        assert_eq!(pending.bindings[&binding("0", 0).key], Change::Put(Box::new(binding("0", 2))));
        assert_eq!(pending.bindings[&binding("1", 0).key], Change::Remove);
    }
}
