//! The members of a group, in the order in which they ring.

use super::decide::{Caller, Decider, Last, Presence};
use super::plan::{After, Diversion, Outcomes, Refused, Stage, Target, Who};
use crate::config::{Group, Member, Strategy};
use smallvec::{SmallVec, smallvec};

/// Adds the stages of a group.
pub(super) fn ring<'a>(
    decider: &mut Decider<'a, '_>,
    id: &'a str,
    group: &'a Group,
    after: Option<After>,
    diversions: &[Diversion<'a>],
) -> Result<Last, Refused> {
    let acting = decider.question.caller;
    let members = in_order(decider, id, group);
    let mut targets: SmallVec<[Target<'a>; 1]> = SmallVec::new();
    for member in members {
        let Some(who) = reach(decider, member, group, acting) else { continue };
        let (delay_s, ring_s) = (member.delay_s, member.ring_s);
        targets.push(Target { who, delay_s, ring_s });
    }
    if targets.is_empty() {
        return Err(Refused::Nobody);
    }
    if group.strategy == Strategy::All {
        let diversions = diversions.to_vec();
        return decider.push(Stage { after, targets, service: None, ring_s: group.ring_s, diversions });
    }
    let (mut after, mut last) = (after, 0);
    for target in targets {
        let ring_s = target.ring_s.unwrap_or(group.ring_s);
        let targets = smallvec![Target { delay_s: 0, ring_s: None, ..target }];
        let diversions = diversions.to_vec();
        last = decider.push(Stage { after, targets, service: None, ring_s, diversions })?;
        after = Some(After { stage: last, on: Outcomes::ALL });
    }
    Ok(last)
}

/// Who a member is, if it may be called now.
fn reach<'a>(
    decider: &mut Decider<'a, '_>,
    member: &'a Member,
    group: &'a Group,
    acting: Caller<'a>,
) -> Option<Who<'a>> {
    let who = decider.reach(&member.number, acting)?;
    if let Who::User { id, .. } = who {
        if group.skip_busy && decider.presence.is_busy(id) {
            decider.note(|| format!("{id} is busy"));
            return None;
        }
        decider.note(|| format!("member {id}"));
    }
    Some(who)
}

fn in_order<'a>(decider: &mut Decider<'a, '_>, id: &'a str, group: &'a Group) -> SmallVec<[&'a Member; 4]> {
    let mut members: SmallVec<[&'a Member; 4]> = group.members.iter().collect();
    let (state, domain) = (decider.state, decider.question.id);
    match group.strategy {
        Strategy::All | Strategy::InOrder => {}
        Strategy::RoundRobin => {
            let turn = state.turn(domain, id) % (members.len() as u64).max(1);
            members.rotate_left(usize::try_from(turn).unwrap_or(0));
            decider.turns.push(id);
        }
        Strategy::Random => shuffle(&mut members, decider.presence),
        Strategy::LongestIdle => {
            // Who never had a call comes first; the order of the file decides among alike.
            members.sort_by_key(|member| {
                let user = decider.question.domain.user_of(member.number.as_bytes()).map_or("", |(id, _)| id);
                state.idle_since(domain, user)
            });
        }
    }
    members
}

/// Fisher and Yates.
fn shuffle<T>(row: &mut [T], presence: &mut dyn Presence) {
    for end in (1..row.len()).rev() {
        let chosen = presence.lot() % (end as u64 + 1);
        row.swap(end, usize::try_from(chosen).unwrap_or(0));
    }
}
