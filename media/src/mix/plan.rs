//! The roles of a room compiled for mixing: one sum of all whom everybody hears, and for each member the few exceptions.
//!
//! A pure function of the roles, made when a role changes and swapped whole; it may allocate, mixing by it does not.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::role::{MemberId, Role};

/// How a room is mixed. Members go by their place in the list that the plan was compiled from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    members: Vec<Place>,
}

/// What one member hears and gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Its sound is part of the common sum.
    pub(super) in_sum: bool,
    /// It hears the common sum, less its own part.
    pub(super) hears_sum: bool,
    /// Whom it hears besides.
    pub(super) besides: SmallVec<[u32; 1]>,
}

impl Plan {
    /// Compiles the roles. The cost is that of a sort of the members.
    #[must_use]
    pub fn compile(members: &[(MemberId, Role)]) -> Plan {
        let mut by_id: Vec<(MemberId, usize)> =
            members.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        by_id.sort_unstable();
        let place_of = |id: MemberId| {
            let at = by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            by_id.get(at).map(|(_, place)| *place)
        };
        let mut plan = Plan { members: members.iter().map(|(_, role)| Place::of(*role)).collect() };
        for (source, (id, role)) in members.iter().enumerate() {
            if let Some(sink) = role.speaks_to().filter(|to| to != id).and_then(place_of)
                && let Some(place) = plan.members.get_mut(sink).filter(|place| place.hears_sum)
            {
                place.besides.push(source as u32);
            }
            if let Role::Held { source: Some(heard) } = role
                && heard != id
                && let (Some(heard), Some(place)) = (place_of(*heard), plan.members.get_mut(source))
            {
                place.besides.push(heard as u32);
            }
        }
        plan
    }

    /// Whether the member at `sink` hears the one at `source`.
    #[must_use]
    pub fn hears(&self, sink: usize, source: usize) -> bool {
        let (Some(hearing), Some(heard)) = (self.members.get(sink), self.members.get(source)) else {
            return false;
        };
        let in_common = sink != source && hearing.hears_sum && heard.in_sum;
        in_common || hearing.besides.iter().any(|place| *place as usize == source)
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.members
    }
}

impl Place {
    fn of(role: Role) -> Place {
        Place { in_sum: role.is_heard_by_all(), hears_sum: role.hears_talkers(), besides: SmallVec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::role::{Audience, hears};
    use super::*;
    use proptest::prelude::*;

    /// Roles that name members of a room of `members`, and some that are not there.
    fn role(members: u64) -> impl Strategy<Value = Role> {
        let member = (0..members + 2).prop_map(MemberId);
        prop_oneof![
            Just(Role::Participant),
            Just(Role::Muted),
            Just(Role::Monitor),
            Just(Role::Barge),
            proptest::option::of(member.clone()).prop_map(|source| Role::Held { source }),
            member.clone().prop_map(|to| Role::Whisper { to }),
            Just(Role::Announce { to: Audience::All }),
            Just(Role::Announce { to: Audience::Held }),
            member.prop_map(|to| Role::Announce { to: Audience::One(to) }),
        ]
    }

    proptest! {
        #[test]
        fn the_plan_says_what_the_rule_says(
            roles in (0_u64..12).prop_flat_map(|members| proptest::collection::vec(role(members), members as usize)),
            reversed in any::<bool>(),
        ) {
            // ids in the order of places, or in the opposite one
            let last = roles.len() as u64;
            let id = |place: u64| MemberId(if reversed { last - place } else { place });
            let members: Vec<(MemberId, Role)> =
                roles.into_iter().zip(0..).map(|(role, place)| (id(place), role)).collect();
            let plan = Plan::compile(&members);
            for (sink, hearing) in members.iter().enumerate() {
                for (source, heard) in members.iter().enumerate() {
                    prop_assert_eq!(plan.hears(sink, source), hears(*hearing, *heard), "{:?} {:?}", hearing, heard);
                }
            }
        }
    }

    #[test]
    fn nobody_is_planned_twice_for_one_ear() {
        let members = [(MemberId(1), Role::Participant), (MemberId(2), Role::Whisper { to: MemberId(1) })];
        let plan = Plan::compile(&members);
        assert_eq!(plan.places()[0].besides.as_slice(), [1]);
        assert!(!plan.places()[1].in_sum);
    }
}
