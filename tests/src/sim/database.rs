//! The database of the simulated world: what the switch asked to be kept, in memory.

use softswitch::store::{BindingKey, CallRecord, StoreOp, StoredBinding, StoredProfile};
use std::collections::BTreeMap;

/// What outlives a restart of the switch.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// Registrations.
    pub bindings: BTreeMap<BindingKey, StoredBinding>,
    /// What users have set.
    pub profiles: BTreeMap<(Box<str>, Box<str>), StoredProfile>,
    /// Call records in the order of their writing; a record that was written twice stands twice.
    pub records: Vec<CallRecord>,
}

impl Database {
    /// Obeys the switch.
    pub fn apply(&mut self, op: StoreOp) {
        match op {
            StoreOp::PutBinding(binding) => {
                self.bindings.insert(binding.key.clone(), *binding);
            }
            StoreOp::RemoveBinding(key) => {
                self.bindings.remove(&key);
            }
            StoreOp::PutCallRecord(record) => self.records.push(*record),
            StoreOp::PutProfile(profile) => {
                self.profiles.insert((profile.domain.clone(), profile.user.clone()), *profile);
            }
            // Users made by command come and go by another program.
            StoreOp::PutUser(_) | StoreOp::RemoveUser { .. } => {}
        }
    }
}
