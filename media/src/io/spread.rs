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
use super::tally::{Counted, Tally};
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
    /// Of members and recordings, what the segments depend on.
    tally: Tally,
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

impl Seat {
    fn counted(&self) -> Counted {
        let rate = self.format.map(|format| format.codec.sample_rate());
        Counted { lane: self.lane, role: self.role, rate }
    }
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
        self.put(member, Seat { lane, role, format, gain: Gain::UNITY });
    }

    fn put(&mut self, member: MemberId, seat: Seat) {
        if let Some(before) = self.members.insert(member, seat) {
            self.tally.remove(member, before.counted());
        }
        self.tally.add(member, seat.counted());
    }

    /// Whether there is such a member.
    pub(super) fn has(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// Somebody leaves.
    pub(super) fn leave(&mut self, member: MemberId) {
        if let Some(seat) = self.members.remove(&member) {
            self.tally.remove(member, seat.counted());
        }
    }

    /// Members get new roles, if all of them are there. What each thread is told.
    pub(super) fn assign(&mut self, room: RoomId, roles: Vec<(MemberId, Role)>, orders: &mut Orders) {
        let known = roles.iter().all(|(member, _)| self.has(*member));
        let mut parts: BTreeMap<LaneId, Vec<(MemberId, Role)>> = BTreeMap::new();
        for (member, role) in roles {
            let lane = if known { self.lane_of(member) } else { self.home() };
            parts.entry(lane.unwrap_or(0)).or_default().push((member, role));
            if let Some(seat) = self.members.get(&member).copied().filter(|_| known) {
                self.put(member, Seat { role, ..seat });
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
        if self.recordings.contains_key(&recording) {
            return;
        }
        self.recordings.insert(recording, Recorded { lane, member, whispers });
        self.tally.begin_recording(lane, member);
    }

    /// A recording ends.
    pub(super) fn end_recording(&mut self, recording: RecordingId) {
        if let Some(recorded) = self.recordings.remove(&recording) {
            self.tally.end_recording(recorded.lane, recorded.member);
        }
    }

    /// The room, which is on one thread, is on another from now on.
    pub(super) fn move_to(&mut self, lane: LaneId) {
        self.segments = SmallVec::from_slice(&[lane]);
        let members: Vec<(MemberId, Seat)> = self.members.iter().map(|(id, seat)| (*id, *seat)).collect();
        members.into_iter().for_each(|(member, seat)| self.put(member, Seat { lane, ..seat }));
        for recorded in self.recordings.values_mut() {
            self.tally.end_recording(recorded.lane, recorded.member);
            recorded.lane = lane;
            self.tally.begin_recording(lane, recorded.member);
        }
    }

    /// How many members are on a thread.
    pub(super) fn members_on(&self, lane: LaneId) -> usize {
        self.tally.members_on(lane)
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
        let seat = self.members.get(&member).copied()?;
        self.put(member, Seat { lane: to, ..seat });
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

    /// Closes segments that nobody is in, and joins the others anew where that is needed. Costs a look at each segment, and where
    /// anything about them has changed, at each recording and each member whose role names another one.
    pub(super) fn settle(&mut self, room: RoomId, orders: &mut Orders) {
        let (home, tally) = (self.home(), &self.tally);
        self.segments.retain(|lane| {
            let stays = Some(*lane) == home || tally.is_used(*lane);
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
        let changed = self.tally.take_changed();
        let rate = self.tally.rate().unwrap_or(SampleRate::Hz8000);
        let is_as_before =
            |joined: &Shape| !changed && joined.rate == rate && joined.segments == self.segments;
        if self.joined.as_ref().is_some_and(is_as_before) {
            return;
        }
        let seating = self.seating();
        let shape = self.shape(&seating, rate);
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

    /// Those of whom some may have to cross by themselves.
    fn seating(&self) -> Seating {
        let seats = self.tally.special().filter_map(|id| Some((id, self.members.get(&id)?)));
        seats.map(|(id, seat)| (id, (self.number_of(seat.lane), seat.role))).collect()
    }

    fn shape(&self, seating: &Seating, rate: SampleRate) -> Shape {
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
        Shape { segments: self.segments.clone(), rate, guests, roles }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Channels, Codec};
    use crate::mix::Audience;

    const ROOM: RoomId = RoomId(1);

    /// Something that happens to a room.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Seat(MemberId, LaneId, Role, SampleRate),
        Assign(MemberId, Role),
        Leave(MemberId),
        Rejoin(MemberId, LaneId),
        Record(RecordingId, LaneId, Option<MemberId>, bool),
        Stop(RecordingId),
    }

    fn member() -> impl Strategy<Value = MemberId> {
        (0..6_u64).prop_map(MemberId)
    }

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![
            4 => Just(Role::Participant),
            1 => Just(Role::Muted),
            1 => Just(Role::Held { source: None }),
            1 => member().prop_map(|source| Role::Held { source: Some(source) }),
            1 => member().prop_map(|to| Role::Whisper { to }),
            1 => member().prop_map(|to| Role::Announce { to: Audience::One(to) }),
        ]
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let rate = prop_oneof![3 => Just(SampleRate::Hz8000), 1 => Just(SampleRate::Hz16000)];
        let recording = || (0..3_u64).prop_map(RecordingId);
        prop_oneof![
            4 => (member(), 0..3_usize, role(), rate).prop_map(|(m, l, r, s)| Happening::Seat(m, l, r, s)),
            1 => (member(), role()).prop_map(|(m, r)| Happening::Assign(m, r)),
            1 => member().prop_map(Happening::Leave),
            1 => (member(), 0..3_usize).prop_map(|(m, l)| Happening::Rejoin(m, l)),
            1 => (recording(), 0..3_usize, proptest::option::of(member()), any::<bool>())
                .prop_map(|(r, l, m, w)| Happening::Record(r, l, m, w)),
            1 => recording().prop_map(Happening::Stop),
        ]
    }

    fn happen(spread: &mut Spread, happening: Happening) {
        let mut orders = Orders::new();
        match happening {
            Happening::Seat(member, lane, role, rate) => {
                let codec = Codec::L16 { rate, channels: Channels::Mono };
                let format = AudioFormat { codec, payload_type: 96, ptime_ms: 20 };
                spread.open(ROOM, lane, &mut orders);
                spread.seat(member, lane, role, Some(format));
            }
            Happening::Assign(member, role) => spread.assign(ROOM, vec![(member, role)], &mut orders),
            Happening::Leave(member) => spread.leave(member),
            Happening::Rejoin(member, lane) => {
                if spread.rejoin(ROOM, member, lane).is_some() {
                    spread.open(ROOM, lane, &mut orders);
                }
            }
            Happening::Record(recording, lane, member, whispers) => {
                spread.open(ROOM, lane, &mut orders);
                spread.record(recording, lane, member, whispers);
            }
            Happening::Stop(recording) => spread.end_recording(recording),
        }
        spread.settle(ROOM, &mut orders);
    }

    /// What the links are to be, by a look at every member and recording.
    fn looked_up(spread: &Spread) -> Option<Shape> {
        if spread.segments.len() < 2 {
            return None;
        }
        let seats = spread.members.iter();
        let seating = seats.map(|(id, seat)| (*id, (spread.number_of(seat.lane), seat.role))).collect();
        let rates = spread.members.values().filter_map(|seat| Some(seat.format?.codec.sample_rate()));
        Some(spread.shape(&seating, rates.max().unwrap_or(SampleRate::Hz8000)))
    }

    proptest! {
        #[test]
        fn segments_are_joined_as_a_look_at_everybody_says_whatever_happens(
            happenings in proptest::collection::vec(happening(), 1..40)
        ) {
            let mut spread = Spread::default();
            for happening in happenings {
                happen(&mut spread, happening);
                let wanted = looked_up(&spread);
                prop_assert_eq!(&spread.joined, &wanted);
                let on = |lane| spread.members.values().filter(|seat| seat.lane == lane).count();
                prop_assert!((0..3).all(|lane| spread.members_on(lane) == on(lane)));
            }
        }
    }
}
