//! A room: members, what each of them says and hears in the course of one tick.
//!
//! A tick is: [`Room::say`] for whoever has sound, [`Room::mix`] once, then [`Room::hear`] for each member. Those
//! that hear the same are told so, so that it is encoded once for all of them. None of the three allocates.
//!
//! The sum of a room is kept with 32 bits and saturated once for each ear. Members whose sound is all zero take no part in
//! it, which changes no sample and saves most of the work: in a conference nearly everybody is silent.
//!
//! A large conference is several of these, its segments (`room/segment.rs`).

use core::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::accumulate::{Gain, add, saturate, saturate_without};
use super::level::{Loudness, Talk, Voice};
use super::plan::Plan;
use super::role::{MemberId, Role};
use super::speaker::{Choice, Talker};

/// Members of a room at most: their sum stays within 32 bits whatever their gains.
const MAX_MEMBERS: usize = 8_191;

/// What a member of a room hears in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hearing {
    /// Nothing; the frame was filled with zeros.
    Silence,
    /// What [`Room::common`] is; the frame was not written.
    Common,
    /// Something of its own, which was written into the frame.
    Own,
}

/// What a tick brought to light, for the owner of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// A member began or ceased to talk.
    Talk(MemberId, Talk),
    /// Somebody else is the one who speaks now; `None` when everybody is silent.
    ActiveSpeaker(Option<MemberId>),
}

/// Why a room refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RoomError {
    /// The room has a member of this id.
    #[error("the room has such a member already")]
    Taken,
    /// The room has no member of this id.
    #[error("the room has no such member")]
    Unknown,
    /// The room has as many members as it may have.
    #[error("the room is full: {MAX_MEMBERS} members")]
    Full,
}

/// Members who hear each other as their roles say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Samples per second, of all members.
    rate: u32,
    /// Samples per tick.
    frame: usize,
    members: Vec<Member>,
    plan: Plan,
    /// What the members said, one frame each, in their order. Valid where a member is sounding.
    said: Vec<i16>,
    sum: Vec<i32>,
    common: Vec<i16>,
    /// Whether anything was added to the sum.
    sounding: bool,
    speaker: Option<MemberId>,
    /// Whether it tells who speaks: one segment of a conference does.
    leads: bool,
    /// Who talks in other segments.
    elsewhere: Vec<Talker>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    id: MemberId,
    role: Role,
    gain: Gain,
    voice: Voice,
    /// How loud it is in this tick; `None` when all samples are zero, or when it said nothing.
    loudness: Option<Loudness>,
    /// It is a member of another segment, and in the sum that comes from there.
    guest: bool,
}

impl Member {
    const fn is_sounding(&self) -> bool {
        self.loudness.is_some()
    }

    /// Whom it coaches.
    const fn whispers_to(&self) -> Option<MemberId> {
        match self.role {
            Role::Whisper { to } => Some(to),
            Role::Participant
            | Role::Muted
            | Role::Held { .. }
            | Role::Monitor
            | Role::Barge
            | Role::Announce { .. } => None,
        }
    }
}

impl Room {
    /// An empty room whose members all have `rate` samples per second, mixed once in each `tick`.
    #[must_use]
    pub fn new(rate: u32, tick: Duration) -> Room {
        let frame = (u64::from(rate) * tick.as_micros() as u64 / 1_000_000) as usize;
        Room {
            rate,
            frame,
            members: Vec::new(),
            plan: Plan::default(),
            said: Vec::new(),
            sum: vec![0; frame],
            common: vec![0; frame],
            sounding: false,
            speaker: None,
            leads: true,
            elsewhere: Vec::new(),
        }
    }

    /// Samples per second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples per tick.
    #[must_use]
    pub const fn frame(&self) -> usize {
        self.frame
    }

    /// Gives all members another rate. What was said in this tick is lost. Allocates.
    pub fn retune(&mut self, rate: u32) {
        let tick = Duration::from_micros(self.frame as u64 * 1_000_000 / u64::from(self.rate.max(1)));
        let Room { frame, sum, common, .. } = Room::new(rate, tick);
        (self.rate, self.frame, self.sum, self.common) = (rate, frame, sum, common);
        self.said.clear();
        self.said.resize(self.members.len() * frame, 0);
        self.members.iter_mut().for_each(|member| member.loudness = None);
    }

    /// The members in order, each with its role.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (MemberId, Role)> {
        self.members.iter().map(|member| (member.id, member.role))
    }

    /// The place of a member, which [`Room::say`] and [`Room::hear`] go by. It changes when members leave.
    #[must_use]
    pub fn place(&self, id: MemberId) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    /// Takes in a member, last in order.
    ///
    /// # Errors
    /// [`RoomError::Taken`], [`RoomError::Full`].
    pub fn join(&mut self, id: MemberId, role: Role) -> Result<(), RoomError> {
        self.take_in(id, role, false)
    }

    fn take_in(&mut self, id: MemberId, role: Role, guest: bool) -> Result<(), RoomError> {
        if self.place(id).is_some() {
            return Err(RoomError::Taken);
        }
        if self.members.len() == MAX_MEMBERS {
            return Err(RoomError::Full);
        }
        let (gain, voice) = (Gain::UNITY, Voice::default());
        self.members.push(Member { id, role, gain, voice, loudness: None, guest });
        self.said.resize(self.members.len() * self.frame, 0);
        self.replan();
        Ok(())
    }

    /// Lets a member go; the last one takes its place.
    ///
    /// # Errors
    /// [`RoomError::Unknown`].
    pub fn leave(&mut self, id: MemberId) -> Result<(), RoomError> {
        let place = self.place(id).ok_or(RoomError::Unknown)?;
        self.members.swap_remove(place);
        let last = self.members.len() * self.frame;
        self.said.copy_within(last.., place * self.frame);
        self.said.truncate(last);
        self.replan();
        Ok(())
    }

    /// Gives members new roles, all at once: between two ticks nobody hears half of a change.
    ///
    /// # Errors
    /// [`RoomError::Unknown`], and then nobody has a new role.
    pub fn assign(&mut self, roles: &[(MemberId, Role)]) -> Result<(), RoomError> {
        if roles.iter().any(|(id, _)| self.place(*id).is_none()) {
            return Err(RoomError::Unknown);
        }
        for (id, role) in roles {
            if let Some(member) = self.members.iter_mut().find(|member| member.id == *id) {
                member.role = *role;
            }
        }
        self.replan();
        Ok(())
    }

    /// Amplifies what a member says.
    ///
    /// # Errors
    /// [`RoomError::Unknown`].
    pub fn amplify(&mut self, id: MemberId, gain: Gain) -> Result<(), RoomError> {
        let member = self.members.iter_mut().find(|member| member.id == id).ok_or(RoomError::Unknown)?;
        member.gain = gain;
        Ok(())
    }

    fn replan(&mut self) {
        let members: Vec<(MemberId, Role)> = self.members().collect();
        self.plan = Plan::compile(&members);
    }

    /// Takes what the member at `place` says in this tick: `fill` writes one frame and says whether there was any
    /// sound. A member that is not asked for has been silent.
    pub fn say(&mut self, place: usize, fill: impl FnOnce(&mut [i16]) -> bool) {
        let begin = place * self.frame;
        let frame = self.said.get_mut(begin..begin + self.frame);
        let (Some(frame), Some(member)) = (frame, self.members.get_mut(place)) else { return };
        member.loudness = if fill(frame) { Loudness::of(frame) } else { None };
    }

    /// Sums up what everybody has said.
    pub fn mix(&mut self) {
        self.sum_up();
        self.saturate();
    }

    /// The first half of [`Self::mix`]: the sum of the members here.
    pub fn sum_up(&mut self) {
        self.sum.fill(0);
        self.sounding = false;
        let frames = self.said.chunks_exact(self.frame.max(1));
        for ((member, place), frame) in self.members.iter().zip(self.plan.places()).zip(frames) {
            if member.is_sounding() && place.in_sum && !member.guest {
                add(&mut self.sum, frame, member.gain);
                self.sounding = true;
            }
        }
    }

    /// The second half: what is heard of the sum.
    pub fn saturate(&mut self) {
        saturate(&self.sum, &mut self.common);
    }

    /// The frame that those hear who are not in it themselves.
    #[must_use]
    pub fn common(&self) -> &[i16] {
        &self.common
    }

    /// What the member at `place` hears in this tick. `out` is one frame.
    pub fn hear(&self, place: usize, out: &mut [i16]) -> Hearing {
        let (Some(member), Some(hearing)) = (self.members.get(place), self.plan.places().get(place)) else {
            out.fill(0);
            return Hearing::Silence;
        };
        let is_sounding =
            |besides: &&u32| self.members.get(**besides as usize).is_some_and(|member| member.is_sounding());
        let hears_sum = hearing.hears_sum && self.sounding;
        let mut besides = hearing.besides.iter().filter(is_sounding).peekable();
        if besides.peek().is_some() {
            self.hear_besides(place, hears_sum, besides, out);
            return Hearing::Own;
        }
        if !hears_sum {
            out.fill(0);
            return Hearing::Silence;
        }
        if !(hearing.in_sum && member.is_sounding()) {
            return Hearing::Common;
        }
        saturate_without(&self.sum, self.said_by(place), member.gain, out);
        Hearing::Own
    }

    /// The exceptions: a few samples at a time, so that the sum fits on the stack.
    fn hear_besides<'a>(
        &self,
        place: usize,
        hears_sum: bool,
        besides: impl Iterator<Item = &'a u32> + Clone,
        out: &mut [i16],
    ) {
        const PART: usize = 80;
        let own = self.members.get(place).zip(self.plan.places().get(place));
        let own =
            own.filter(|(member, place)| member.is_sounding() && place.in_sum).map(|(member, _)| member.gain);
        for (part, out) in out.chunks_mut(PART).enumerate() {
            let range = part * PART..part * PART + out.len();
            let mut sum = [0; PART];
            let sum = &mut sum[..out.len()];
            if let Some(common) = self.sum.get(range.clone()).filter(|_| hears_sum) {
                sum.copy_from_slice(common);
            }
            for place in besides.clone() {
                let place = *place as usize;
                let gain = self.members.get(place).map_or(Gain::UNITY, |member| member.gain);
                add(sum, self.said_by(place).get(range.clone()).unwrap_or_default(), gain);
            }
            match own.filter(|_| hears_sum) {
                Some(gain) => {
                    saturate_without(sum, self.said_by(place).get(range).unwrap_or_default(), gain, out);
                }
                None => saturate(sum, out),
            }
        }
    }

    fn said_by(&self, place: usize) -> &[i16] {
        self.said.get(place * self.frame..(place + 1) * self.frame).unwrap_or_default()
    }

    /// Forgets what was said in this tick, and tells what changed in it.
    pub fn end_tick(&mut self, mut tell: impl FnMut(News)) {
        let mut choice = Choice::after(self.speaker);
        for (member, place) in self.members.iter_mut().zip(self.plan.places()) {
            let loudness = member.loudness.take();
            if member.guest {
                continue;
            }
            if let Some(talk) = member.voice.handle_frame(loudness) {
                tell(News::Talk(member.id, talk));
            }
            if member.voice.is_talking() && place.in_sum {
                let power = member.voice.loudness().power();
                choice.consider(Talker { member: member.id, power });
            }
        }
        self.elsewhere.drain(..).for_each(|talker| choice.consider(talker));
        let speaker = choice.made();
        if speaker != self.speaker {
            self.speaker = speaker;
            if self.leads {
                tell(News::ActiveSpeaker(speaker));
            }
        }
    }
}

pub use segment::TALKERS;

mod segment;
mod taps;
#[cfg(test)]
mod tests;
