//! The database of the simulated world: what the switch asked to be kept, in memory.

use softswitch::records::{Cause, Interrupted, OpenCall};
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
    /// Calls that are up, by the run of the switch and their number in it.
    pub open: BTreeMap<(i64, u64), OpenCall>,
    /// The run.
    run: i64,
}

impl Database {
    /// Records of calls that had begun; one that was refused at once had not.
    #[must_use]
    pub fn of_begun(&self) -> usize {
        self.records.iter().filter(|record| record.number != 0).count()
    }

    /// The switch is started again: the calls that it was interrupted in, whose records are written now.
    pub fn restart(&mut self) -> Vec<Interrupted> {
        self.run += 1;
        let open = self.open.iter().filter(|((run, _), _)| *run < self.run);
        let open: Vec<_> = open.map(|(key, call)| (*key, call.clone())).collect();
        let of = |((run, number), OpenCall { record, parties }): ((i64, u64), OpenCall)| {
            let status = if record.answered_unix_ms.is_some() { 200 } else { 503 };
            self.records.push(CallRecord { cause: Cause::Interrupted, status, ..record.clone() });
            Interrupted { run, number, id: (&*record.id).into(), parties }
        };
        open.into_iter().map(of).collect()
    }

    /// Obeys the switch.
    pub fn apply(&mut self, op: StoreOp) {
        match op {
            StoreOp::PutBinding(binding) => {
                self.bindings.insert(binding.key.clone(), *binding);
            }
            StoreOp::RemoveBinding(key) => {
                self.bindings.remove(&key);
            }
            StoreOp::PutProfile(profile) => {
                self.profiles.insert((profile.domain.clone(), profile.user.clone()), *profile);
            }
            StoreOp::PutCallRecord(record) => {
                self.open.remove(&(self.run, record.number));
                self.records.push(*record);
            }
            StoreOp::PutOpenCall(call) => {
                self.open.insert((self.run, call.record.number), *call);
            }
            StoreOp::ForgetInterrupted { run, number } => {
                self.open.remove(&(run, number));
            }
            // Users made by command come and go by another program.
            StoreOp::PutUser(_) | StoreOp::RemoveUser { .. } => {}
        }
    }
}
