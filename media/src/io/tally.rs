//! What the segments of a room depend on, kept as members and recordings come and go, so that a command costs what it changes and
//! not a look at every member.
//!
//! Most members hear everybody and are heard by everybody: their sums cross, and whether one more of them is there changes
//! nothing. What counts beside the threads they are on and the best rate are those whose role names a member, and those who
//! are named, or recorded alone ([`guests`](crate::mix::guests)).
//!
//! Bounds: an entry for each thread and rate that is used, and for each member whose role names one.

use std::collections::BTreeMap;

use super::routes::LaneId;
use crate::dsp::SampleRate;
use crate::mix::{MemberId, Role};

/// A member as it counts here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) lane: LaneId,
    pub(super) role: Role,
    /// Of a leg; a source has whatever rate the room has.
    pub(super) rate: Option<SampleRate>,
}

/// The counts of a room.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Members on each thread.
    members: BTreeMap<LaneId, usize>,
    /// Recordings on each thread.
    recordings: BTreeMap<LaneId, usize>,
    rates: BTreeMap<SampleRate, usize>,
    /// Those whose role names a member.
    naming: BTreeMap<MemberId, Role>,
    /// Those who are named, by a role or a recording, and how often.
    named: BTreeMap<MemberId, usize>,
    /// Who has to cross by itself may be others than before.
    changed: bool,
}

impl Tally {
    /// A member comes.
    pub(super) fn add(&mut self, member: MemberId, counted: Counted) {
        let Counted { lane, role, rate } = counted;
        *self.members.entry(lane).or_default() += 1;
        if let Some(rate) = rate {
            *self.rates.entry(rate).or_default() += 1;
        }
        if let Some(other) = named_by(role) {
            self.naming.insert(member, role);
            *self.named.entry(other).or_default() += 1;
        }
        self.notice(member, role);
    }

    /// A member that was so goes.
    pub(super) fn remove(&mut self, member: MemberId, counted: Counted) {
        let Counted { lane, role, rate } = counted;
        take(&mut self.members, lane);
        if let Some(rate) = rate {
            take(&mut self.rates, rate);
        }
        if let Some(other) = named_by(role) {
            self.naming.remove(&member);
            take(&mut self.named, other);
        }
        self.notice(member, role);
    }

    fn notice(&mut self, member: MemberId, role: Role) {
        self.changed |= named_by(role).is_some() || self.named.contains_key(&member);
    }

    /// A recording begins on a thread, of one member alone or not.
    pub(super) fn begin_recording(&mut self, lane: LaneId, member: Option<MemberId>) {
        *self.recordings.entry(lane).or_default() += 1;
        if let Some(member) = member {
            *self.named.entry(member).or_default() += 1;
        }
        self.changed = true;
    }

    /// A recording on a thread ends.
    pub(super) fn end_recording(&mut self, lane: LaneId, member: Option<MemberId>) {
        take(&mut self.recordings, lane);
        if let Some(member) = member {
            take(&mut self.named, member);
        }
        self.changed = true;
    }

    /// How many members are on a thread.
    pub(super) fn members_on(&self, lane: LaneId) -> usize {
        self.members.get(&lane).copied().unwrap_or(0)
    }

    /// Whether anything is on a thread.
    pub(super) fn is_used(&self, lane: LaneId) -> bool {
        self.members.contains_key(&lane) || self.recordings.contains_key(&lane)
    }

    /// The best rate of a leg.
    pub(super) fn rate(&self) -> Option<SampleRate> {
        self.rates.last_key_value().map(|(rate, _)| *rate)
    }

    /// Those whose role names a member, and those who are named, whether they are members or not.
    pub(super) fn special(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.naming.keys().chain(self.named.keys()).copied()
    }

    /// Whether who has to cross by itself may be others than when this was asked last.
    pub(super) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }
}

/// The member that a role names.
fn named_by(role: Role) -> Option<MemberId> {
    match role {
        Role::Held { source } => source,
        Role::Participant
        | Role::Muted
        | Role::Monitor
        | Role::Whisper { .. }
        | Role::Barge
        | Role::Announce { .. } => role.speaks_to(),
    }
}

fn take<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
