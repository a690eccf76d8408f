//! Whose voices have to cross from one segment of a conference to another by themselves.
//!
//! Members of a segment hear those of the others as one sum. What that cannot give them is a voice that some hear and others do
//! not: a coach, an announcement to one, music for one on hold, a party that is recorded alone.

use std::collections::{BTreeMap, BTreeSet};

use super::role::{MemberId, Role};

/// A segment, by its number in the conference.
pub type SegmentId = usize;

/// Members of a conference, each with its segment and role.
pub type Seating = BTreeMap<MemberId, (SegmentId, Role)>;

/// A recording of a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The segment it is taken in.
    pub segment: SegmentId,
    /// The one member that it is about.
    pub member: Option<MemberId>,
    /// Whether whispers are in it.
    pub whispers: bool,
}

/// A member that is needed in a segment which is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guest {
    /// Where it is needed.
    pub to: SegmentId,
    /// Which member.
    pub member: MemberId,
    /// Its own segment.
    pub from: SegmentId,
}

/// All guests of a conference, in order. The cost is one look at each member, and one for each recording of whispers.
#[must_use]
pub fn guests(seating: &Seating, listening: &[Listening]) -> BTreeSet<Guest> {
    let mut guests = BTreeSet::new();
    let mut invite = |member: MemberId, to: SegmentId| {
        if let Some((from, _)) = seating.get(&member).copied().filter(|(from, _)| *from != to) {
            guests.insert(Guest { to, member, from });
        }
    };
    for (member, (segment, role)) in seating {
        if let Some((to, _)) = role.speaks_to().and_then(|to| seating.get(&to)) {
            invite(*member, *to);
        }
        if let Role::Held { source: Some(source) } = role {
            invite(*source, *segment);
        }
    }
    for Listening { segment, member, whispers } in listening.iter().copied() {
        if let Some(member) = member {
            invite(member, segment);
        }
        let coaches =
            seating.iter().filter(|(_, (_, role))| whispers && matches!(role, Role::Whisper { .. }));
        coaches.for_each(|(coach, _)| invite(*coach, segment));
    }
    guests
}
