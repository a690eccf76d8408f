//! A room that is one of several segments of a conference, each on a shard of its own.
//!
//! Every segment is joined with every other one by a link in each direction (`link`), so that what is said in one is heard in
//! all others one tick later, whichever they are. All segments of a conference tick at the same times, which follow from its
//! number. [`webs`] makes the links; whoever owns the shards hands each its part ([`Shard::connect`](super::Shard::connect))
//! whenever segments, guests or the rate change. What was on its way then is heard all the same where it can be.
//!
//! Left out on purpose: which member is in which segment, which the owner of the shards decides (`io/spread.rs`).

use super::link::{Inlet, Outlet, link};
use super::rooms::{APART, PHASES, RoomId, TICK, TICK_MS, number};
use crate::dsp::SampleRate;
use crate::mix::{Guest, MemberId, Role, Room, Seating, SegmentId};
use crate::time::Time;

/// A segment's part of a conference.
#[derive(Debug, Default)]
pub struct Web {
    /// The rate of all segments, if there are others.
    rate: Option<SampleRate>,
    outlets: Vec<Outlet>,
    inlets: Vec<Inlet>,
    /// Members of other segments that are needed here, each with its role.
    guests: Vec<(MemberId, Role)>,
    /// This segment tells who speaks.
    leads: bool,
}

/// Joins so many segments at one rate; the parts in their order, of which the first one leads. One segment needs no other, and
/// has an empty part.
#[must_use]
pub fn webs<'a>(
    segments: usize,
    rate: SampleRate,
    seating: &Seating,
    guests: impl Iterator<Item = &'a Guest> + Clone,
) -> Vec<Web> {
    let rate_of_all = (segments > 1).then_some(rate);
    let part = |segment: SegmentId| Web { rate: rate_of_all, leads: segment == 0, ..Web::default() };
    let mut webs: Vec<Web> = (0..segments).map(part).collect();
    for from in 0..segments {
        for to in (0..segments).filter(|to| *to != from) {
            let crossing = guests.clone().filter(|guest| guest.from == from && guest.to == to);
            let members: Vec<MemberId> = crossing.map(|guest| guest.member).collect();
            let roles = members.iter().filter_map(|member| Some((*member, seating.get(member)?.1)));
            let roles: Vec<(MemberId, Role)> = roles.collect();
            let (outlet, inlet) = link(rate.samples(TICK_MS), members);
            if let Some(web) = webs.get_mut(from) {
                web.outlets.push(outlet);
            }
            if let Some(web) = webs.get_mut(to) {
                web.inlets.push(inlet);
                web.guests.extend(roles);
            }
        }
    }
    webs
}

/// What joins a room with the other segments.
#[derive(Debug, Default)]
pub(super) struct Links {
    web: Web,
    /// Those before, the oldest first: what was sent before the last changes is taken from them. They are kept until the next one,
    /// as the tick frees nothing.
    before: Vec<Inlet>,
    /// Frames that were given up with links of before, until they are counted.
    given_up: u64,
}

/// Links of before that are kept, for each of those that there are: more changes between two ticks cost sound.
const BEFORE: usize = 4;

impl Links {
    /// Puts other links in the place of these.
    pub(super) fn replace(&mut self, web: Web) {
        let Web { inlets, .. } = std::mem::replace(&mut self.web, web);
        let most = BEFORE * inlets.len().max(self.web.inlets.len());
        self.before.extend(inlets);
        self.before.retain(Inlet::may_bring);
        let beyond = self.before.len().saturating_sub(most);
        self.given_up += self.before.drain(..beyond).map(|inlet| inlet.waiting()).sum::<u64>();
    }

    /// Whether there are other segments.
    pub(super) const fn is_linked(&self) -> bool {
        self.web.rate.is_some()
    }

    /// The least rate of the room.
    pub(super) const fn rate(&self) -> Option<SampleRate> {
        self.web.rate
    }

    /// Those of other segments who are needed here.
    pub(super) fn guests(&self) -> &[(MemberId, Role)] {
        &self.web.guests
    }

    /// Whether this segment tells who speaks, and how many others there are.
    pub(super) const fn place(&self) -> (bool, usize) {
        (self.web.leads || !self.is_linked(), self.web.inlets.len())
    }

    /// Members have come or gone.
    pub(super) fn find_places(&mut self, room: &Room) {
        for inlet in self.web.inlets.iter_mut().chain(&mut self.before) {
            inlet.find_places(room);
        }
    }

    /// Tells the others what was said in the tick that is due, and adds what they said in the one before; how many frames were
    /// lost either way. Allocates nothing.
    pub(super) fn exchange(&mut self, due: Time, room: &mut Room) -> u64 {
        let (tick, mut lost) = (number(due), std::mem::take(&mut self.given_up));
        for outlet in &mut self.web.outlets {
            lost += u64::from(!outlet.send(tick, room));
        }
        for inlet in &mut self.before {
            inlet.receive(tick.saturating_sub(1), room);
        }
        for inlet in &mut self.web.inlets {
            lost += u64::from(!inlet.receive(tick.saturating_sub(1), room));
        }
        lost
    }
}

/// The first time from `time` on at which the segments of a conference tick.
pub(super) const fn aligned(time: Time, room: RoomId) -> Time {
    let tick = TICK.as_nanos() as u64;
    let phase = room.0 % PHASES as u64 * APART;
    Time(time.0.saturating_sub(phase).div_ceil(tick) * tick + phase)
}

#[cfg(test)]
mod tests;
