//! One room over several threads, as the core knows it: who is in which segment, and what the segments are to be told.
//!
//! A room is opened where its first member is. It stays whole while it is small, or while its thread has time: legs of other
//! threads move there. Beyond that a leg that joins stays on its thread, and the room gets a segment there. A
//! segment is closed when the last one has left it; the first one stays as long as the room, and when few are left they all
//! come there. Segments are joined anew
//! ([`Order::Connect`]) when there are others, when a voice has to cross by itself, or when the rate changes, and not
//! otherwise.
//!
//! Bounds: an entry for each member and recording of a room.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::routes::{LaneId, Orders};
use super::thread::Order;
use crate::dsp::SampleRate;
use crate::leg::{AudioFormat, LegId};
use crate::mix::{Gain, Guest, Listening, MemberId, Role, Seating, guests};
use crate::shard::{Command, RoomId, Web, webs};
use crate::tap::RecordingId;

/// A room of fewer members is never spread: digits pass between two, and a tick of delay would gain nothing.
pub(super) const SMALL: usize = 8;

/// A room and its segments.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// The threads it is on, the one that leads first; none before it is opened.
    segments: SmallVec<[LaneId; 2]>,
    members: BTreeMap<MemberId, Seat>,
    recordings: BTreeMap<RecordingId, Recorded>,
    /// What the segments were joined for last.
    joined: Option<Shape>,
}

/// A member.
#[derive(Clone, Copy, Debug)]
struct Seat {
    lane: LaneId,
    role: Role,
    /// How a leg is spoken to; a source has none.
    format: Option<AudioFormat>,
    gain: Gain,
}

/// A recording.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    lane: LaneId,
    member: Option<MemberId>,
    whispers: bool,
}

/// What the links between segments depend on.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    segments: SmallVec<[LaneId; 2]>,
    rate: SampleRate,
    guests: BTreeSet<Guest>,
    /// Of the guests, in order.
    roles: Vec<Role>,
}

impl Spread {
    /// The thread of the segment that leads.
    pub(super) fn home(&self) -> Option<LaneId> {
        self.segments.first().copied()
    }

    /// The threads it is on.
    pub(super) fn segments(&self) -> &[LaneId] {
        &self.segments
    }

    /// The thread of a member; that of the room where there is no such member.
    pub(super) fn lane_of(&self, member: MemberId) -> Option<LaneId> {
        self.members.get(&member).map(|seat| seat.lane).or(self.home())
    }

    /// The thread of a recording; that of the room where there is no such recording.
    pub(super) fn lane_of_recording(&self, recording: RecordingId) -> Option<LaneId> {
        self.recordings.get(&recording).map(|recorded| recorded.lane).or(self.home())
    }

    /// Its members.
    pub(super) fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.keys().copied()
    }

    /// Its recordings.
    pub(super) fn recordings(&self) -> impl Iterator<Item = RecordingId> + '_ {
        self.recordings.keys().copied()
    }

    /// The thread on which a leg of `here` is to join. With fewer members than `whole` the room is not spread while its thread
    /// has time for it.
    pub(super) fn place_for(&self, here: LaneId, whole: usize, has_time: impl Fn(LaneId) -> bool) -> LaneId {
        let Some(home) = self.home() else { return here };
        if self.segments.contains(&here) && (here == home || has_time(here)) {
            return here;
        }
        let size = self.members.len();
        if size < SMALL || (size < whole && has_time(home)) {
            return home;
        }
        if has_time(here) {
            return here;
        }
        // Where it is there is no time: any other segment is better.
        self.segments.iter().copied().find(|lane| has_time(*lane)).unwrap_or(here)
    }

    /// Opens the room, or a segment of it, on a thread where there is none.
    pub(super) fn open(&mut self, room: RoomId, lane: LaneId, orders: &mut Orders) {
        if !self.segments.contains(&lane) {
            self.segments.push(lane);
            orders.push((lane, Order::Command(Command::OpenRoom { room })));
        }
    }

    /// Somebody takes a seat. One that has one changes it.
    pub(super) fn seat(&mut self, member: MemberId, lane: LaneId, role: Role, format: Option<AudioFormat>) {
        self.members.insert(member, Seat { lane, role, format, gain: Gain::UNITY });
    }

    /// Whether there is such a member.
    pub(super) fn has(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// Somebody leaves.
    pub(super) fn leave(&mut self, member: MemberId) {
        self.members.remove(&member);
    }

    /// Members get new roles, if all of them are there. What each thread is told.
    pub(super) fn assign(&mut self, room: RoomId, roles: Vec<(MemberId, Role)>, orders: &mut Orders) {
        let known = roles.iter().all(|(member, _)| self.has(*member));
        let mut parts: BTreeMap<LaneId, Vec<(MemberId, Role)>> = BTreeMap::new();
        for (member, role) in roles {
            let lane = if known { self.lane_of(member) } else { self.home() };
            parts.entry(lane.unwrap_or(0)).or_default().push((member, role));
            if let Some(seat) = self.members.get_mut(&member).filter(|_| known) {
                seat.role = role;
            }
        }
        for (lane, roles) in parts {
            orders.push((lane, Order::Command(Command::Assign { room, roles })));
        }
    }

    /// A recording begins on a thread.
    pub(super) fn record(
        &mut self,
        recording: RecordingId,
        lane: LaneId,
        member: Option<MemberId>,
        whispers: bool,
    ) {
        self.recordings.entry(recording).or_insert(Recorded { lane, member, whispers });
    }

    /// A recording ends.
    pub(super) fn end_recording(&mut self, recording: RecordingId) {
        self.recordings.remove(&recording);
    }

    /// The room, which is on one thread, is on another from now on.
    pub(super) fn move_to(&mut self, lane: LaneId) {
        self.segments = SmallVec::from_slice(&[lane]);
        self.members.values_mut().for_each(|seat| seat.lane = lane);
        self.recordings.values_mut().for_each(|recorded| recorded.lane = lane);
    }

    /// How many members are on a thread.
    pub(super) fn members_on(&self, lane: LaneId) -> usize {
        self.members.values().filter(|seat| seat.lane == lane).count()
    }

    /// The legs that are on a thread.
    pub(super) fn legs_on(&self, lane: LaneId) -> impl Iterator<Item = MemberId> + '_ {
        let seats = self.members.iter().filter(move |(_, seat)| seat.lane == lane && seat.format.is_some());
        seats.map(|(member, _)| *member)
    }

    /// Where a room that is spread and has become small is to be whole, and the legs that are elsewhere. Not while a source or a
    /// recording, which do not move by themselves, is on another thread.
    pub(super) fn strays(&self) -> Option<(LaneId, SmallVec<[MemberId; SMALL]>)> {
        let home = self.home().filter(|_| self.segments.len() > 1 && self.members.len() < SMALL)?;
        let stays = self.members.values().filter(|seat| seat.format.is_none()).map(|seat| seat.lane);
        let mut stays = stays.chain(self.recordings.values().map(|recorded| recorded.lane));
        let strays = self.members.iter().filter(|(_, seat)| seat.lane != home).map(|(member, _)| *member);
        stays.all(|lane| lane == home).then(|| (home, strays.collect()))
    }

    /// A leg goes to another thread: the commands that seat it there as it is here.
    pub(super) fn rejoin(
        &mut self,
        room: RoomId,
        member: MemberId,
        to: LaneId,
    ) -> Option<(Command, Option<Command>)> {
        let seat = self.members.get_mut(&member)?;
        seat.lane = to;
        let (format, role, gain) = (seat.format?, seat.role, seat.gain);
        let amplify = (gain != Gain::UNITY).then_some(Command::Amplify { room, member, gain });
        Some((Command::Join { room, leg: LegId(member.0), format, role }, amplify))
    }

    /// A member is amplified.
    pub(super) fn amplify(&mut self, member: MemberId, gain: Gain) {
        if let Some(seat) = self.members.get_mut(&member) {
            seat.gain = gain;
        }
    }

    /// Closes segments that nobody is in, and joins the others anew where that is needed.
    pub(super) fn settle(&mut self, room: RoomId, orders: &mut Orders) {
        let used: BTreeSet<LaneId> = self.members.values().map(|seat| seat.lane).collect();
        let recorded: BTreeSet<LaneId> = self.recordings.values().map(|recorded| recorded.lane).collect();
        let home = self.home();
        self.segments.retain(|lane| {
            let stays = Some(*lane) == home || used.contains(lane) || recorded.contains(lane);
            if !stays {
                orders.push((*lane, Order::Command(Command::CloseRoom { room })));
            }
            stays
        });
        if self.segments.len() < 2 {
            if let (Some(_), Some(home)) = (self.joined.take(), home) {
                orders.push((home, Order::Connect { room, web: Box::new(Web::default()) }));
            }
            return;
        }
        let seating = self.seating();
        let shape = self.shape(&seating);
        if self.joined.as_ref() == Some(&shape) {
            return;
        }
        let webs = webs(self.segments.len(), shape.rate, &seating, shape.guests.iter());
        for (lane, web) in self.segments.iter().zip(webs) {
            orders.push((*lane, Order::Connect { room, web: Box::new(web) }));
        }
        self.joined = Some(shape);
    }

    fn number_of(&self, lane: LaneId) -> usize {
        self.segments.iter().position(|segment| *segment == lane).unwrap_or(0)
    }

    fn seating(&self) -> Seating {
        self.members.iter().map(|(id, seat)| (*id, (self.number_of(seat.lane), seat.role))).collect()
    }

    fn shape(&self, seating: &Seating) -> Shape {
        let listening: Vec<Listening> = self
            .recordings
            .values()
            .map(|Recorded { lane, member, whispers }| Listening {
                segment: self.number_of(*lane),
                member: *member,
                whispers: *whispers,
            })
            .collect();
        let guests = guests(seating, &listening);
        let roles = guests.iter().filter_map(|guest| Some(seating.get(&guest.member)?.1)).collect();
        let rate = self.members.values().filter_map(|seat| Some(seat.format?.codec.sample_rate())).max();
        Shape { segments: self.segments.clone(), rate: rate.unwrap_or(SampleRate::Hz8000), guests, roles }
    }
}
