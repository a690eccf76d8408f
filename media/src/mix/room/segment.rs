//! A room as one segment of a conference that is spread over several shards.
//!
//! Each segment has members of its own and sums them up ([`Room::sum_up`]). What it sends to each other segment is that sum
//! ([`Room::own_sum`]) and who talks in it ([`Room::talkers`]); what comes from there is added ([`Room::add_segment`]) before
//! the sum is saturated ([`Room::saturate`]), so that a sample is saturated once. A voice that is more to somebody elsewhere
//! than a part of the sum (a coach, music for one on hold, a party that is recorded alone) comes beside it, and its member
//! sits in the room there as a *guest*: it says what it says, hears nothing and is not added to the sum again.
//! [`guests`](super::super::guests) says who is a guest where.
//!
//! Left out on purpose: how frames cross from shard to shard (`shard/link.rs`).

use super::super::role::{MemberId, Role};
use super::super::speaker::Talker;
use super::{Room, RoomError};
use crate::mix::Gain;

/// Beyond this a sum is held: whatever is taken from it or added for one ear, it stays within 32 bits and beyond every sample.
const HELD: i32 = 1 << 30;

impl Room {
    /// Takes in a member of another segment.
    ///
    /// # Errors
    /// [`RoomError::Taken`], [`RoomError::Full`].
    pub fn invite(&mut self, id: MemberId, role: Role) -> Result<(), RoomError> {
        self.take_in(id, role, true)
    }

    /// Whether the member at `place` belongs to another segment.
    #[must_use]
    pub fn is_guest(&self, place: usize) -> bool {
        self.members.get(place).is_some_and(|member| member.guest)
    }

    /// Whether this segment tells who speaks in the conference, of which `others` are the segments beside it.
    pub fn lead(&mut self, leads: bool, others: usize) {
        self.leads = leads;
        self.elsewhere.clear();
        self.elsewhere.reserve(others * TALKERS);
    }

    /// What the guest at `place` says in this tick, and its gain.
    pub fn say_guest(&mut self, place: usize, said: &[i16], gain: Gain) {
        if let Some(member) = self.members.get_mut(place).filter(|member| member.guest) {
            member.gain = gain;
            self.say(place, |frame| {
                let fits = frame.len() == said.len();
                if fits {
                    frame.copy_from_slice(said);
                }
                fits
            });
        }
    }

    /// What the members here said, between [`Room::sum_up`] and [`Room::add_segment`]; `None` when that is silence.
    #[must_use]
    pub fn own_sum(&self) -> Option<&[i32]> {
        self.sounding.then_some(&self.sum)
    }

    /// What the member at `place` says in this tick, without its gain, and that gain; `None` when that is silence.
    #[must_use]
    pub fn own_voice(&self, place: usize) -> Option<(&[i16], Gain)> {
        let member = self.members.get(place).filter(|member| member.is_sounding() && !member.guest)?;
        Some((self.said_by(place), member.gain))
    }

    /// Adds what the members of another segment said, one frame.
    pub fn add_segment(&mut self, said: &[i32]) {
        for (sum, said) in self.sum.iter_mut().zip(said) {
            *sum = sum.saturating_add(*said).clamp(-HELD, HELD);
        }
        self.sounding = true;
    }

    /// The loudest of those who talk here and are heard by all, as of the tick before.
    pub fn talkers(&self, talkers: &mut [Option<Talker>; TALKERS]) {
        *talkers = [None; TALKERS];
        for (member, place) in self.members.iter().zip(self.plan.places()) {
            if member.guest || !place.in_sum || !member.voice.is_talking() {
                continue;
            }
            let power = member.voice.loudness().power();
            let weakest = talkers.iter_mut().min_by(|one, other| weight(one).total_cmp(&weight(other)));
            if let Some(weakest) = weakest.filter(|weakest| power > weight(weakest)) {
                *weakest = Some(Talker { member: member.id, power });
            }
        }
    }

    /// Who talks in another segment.
    pub fn talk_elsewhere(&mut self, talkers: &[Option<Talker>; TALKERS]) {
        for talker in talkers.iter().flatten() {
            // Room was made for all segments.
            if self.elsewhere.len() < self.elsewhere.capacity() {
                self.elsewhere.push(*talker);
            }
        }
    }
}

/// Talkers of a segment that the others hear of: whoever is not among so many is not the loudest.
pub const TALKERS: usize = 8;

fn weight(talker: &Option<Talker>) -> f32 {
    talker.map_or(-1.0, |talker| talker.power)
}
