//! Which thread has which leg and room, as the core knows it, and what each thread is told for a command.
//!
//! The core is the only one to say where something goes, so it always knows without asking. A leg moves when it is to be
//! relayed with one of another thread, or to join a room that is on other threads (`spread` says when it is the room that comes to the leg
//! instead): the rest of its call follows by the commands that name it. A room is nowhere until somebody is in it.
//!
//! Bounds: an entry for each open leg, of which there are no more than ports, and for each open room, member and recording.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::budget::{Budget, Class};
use super::spread::{SMALL, Spread};
use super::thread::Order;
use crate::leg::LegId;
use crate::mix::MemberId;
use crate::shard::{CodecKind, Command, Party, RoomId};
use crate::tap::{RecordingId, Tapped};

/// Names a thread.
pub(super) type LaneId = usize;

/// What threads are told, in this order. One that is told to wait for a leg is told so before the other one is told to let it
/// go, so that what it is to do there is known when it arrives, and no packet finds it idle.
pub(super) type Orders = SmallVec<[(LaneId, Order); 4]>;

/// Orders that one command may give to one thread: a leg that comes, what it does, and two rooms that change, to which
/// all legs of a small one may come home, each with its arrival, its seat and its gain; and leases that go back.
pub(super) const ORDERS_AT_MOST: usize = 9 + 2 * 3 * SMALL;

/// What a leg does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Task {
    Idle,
    /// Relayed, to this partner; or to itself.
    Relayed(LegId),
    Seated(RoomId, CodecKind),
}

impl Task {
    /// What it counts for. One that does nothing yet is about to.
    pub(super) const fn class(self) -> Class {
        match self {
            Task::Idle | Task::Relayed(_) => Class::Relayed,
            Task::Seated(_, kind) => Class::Seated(kind),
        }
    }

    /// The room it sits in.
    fn room(self) -> Option<RoomId> {
        match self {
            Task::Seated(room, _) => Some(room),
            Task::Idle | Task::Relayed(_) => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) lane: LaneId,
    pub(super) task: Task,
}

/// Where legs and rooms are.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) legs: BTreeMap<LegId, Place>,
    pub(super) rooms: BTreeMap<RoomId, Spread>,
    /// The rooms of recordings.
    pub(super) recordings: BTreeMap<RecordingId, RoomId>,
    pub(super) budget: Budget,
    /// Rooms of fewer members are not spread while their thread has time.
    whole: usize,
}

impl Routes {
    pub(super) fn new(lanes: usize, whole: usize) -> Self {
        Self {
            legs: BTreeMap::new(),
            rooms: BTreeMap::new(),
            recordings: BTreeMap::new(),
            budget: Budget::new(lanes),
            whole,
        }
    }

    /// What is to be told to whom; something new is placed on `new`. What is nowhere is the first thread's to ignore.
    pub(super) fn handle(&mut self, command: Command, new: LaneId) -> Orders {
        let mut orders = Orders::new();
        match command {
            Command::Open { ref legs } => {
                for (leg, _) in legs {
                    if !self.legs.contains_key(leg) {
                        self.place(*leg, Place { lane: new, task: Task::Idle });
                    }
                }
                orders.push((new, Order::Command(command)));
            }
            Command::OpenRoom { room } => match self.rooms.get(&room).map(Spread::home) {
                Some(Some(home)) => orders.push((home, Order::Command(command))),
                Some(None) => {}
                None => _ = self.rooms.insert(room, Spread::default()),
            },
            Command::Configure { leg, .. } | Command::Condition { leg, .. } | Command::Dial { leg, .. } => {
                orders.push((self.of_leg(leg), Order::Command(command)));
            }
            Command::Echo { leg, .. } => {
                orders.push((self.of_leg(leg), Order::Command(command)));
                self.engage(leg, Task::Relayed(leg), &mut orders);
            }
            Command::Part { a, b } => {
                orders.push((self.of_leg(a), Order::Command(command)));
                if self.task(a) == Some(Task::Relayed(b)) {
                    self.engage(a, Task::Idle, &mut orders);
                }
            }
            Command::Relay { a, b, .. } | Command::Pass { a, b } => {
                self.bring(b, self.of_leg(a), command, &mut orders);
                self.engage(a, Task::Relayed(b), &mut orders);
                self.engage(b, Task::Relayed(a), &mut orders);
            }
            Command::Join { room, leg, .. } => self.join(command, room, leg, &mut orders),
            Command::Close { leg } => {
                orders.push((self.of_leg(leg), Order::Command(command)));
                self.engage(leg, Task::Idle, &mut orders);
                self.forget(leg);
            }
            Command::Leave { room, member } => {
                self.to_member(room, member, command, &mut orders);
                self.leave(room, member, &mut orders);
            }
            Command::Enqueue { room, member, .. } => self.to_member(room, member, command, &mut orders),
            Command::Amplify { room, member, gain } => {
                self.to_member(room, member, command, &mut orders);
                if let Some(spread) = self.rooms.get_mut(&room) {
                    spread.amplify(member, gain);
                }
            }
            Command::Play { .. }
            | Command::Record { .. }
            | Command::PauseRecording { .. }
            | Command::StopRecording { .. }
            | Command::Assign { .. }
            | Command::CloseRoom { .. } => self.handle_room(command, new, &mut orders),
        }
        orders
    }

    /// A command for a room as a whole, or for what is in it beside legs.
    fn handle_room(&mut self, command: Command, new: LaneId, orders: &mut Orders) {
        match command {
            Command::Play { room, member, role, .. } => {
                let home = self.opened(room, new, orders);
                // Beside the one it speaks to, so that no voice has to cross by itself.
                let of_ear = role.speaks_to().and_then(|ear| self.rooms.get(&room)?.lane_of(ear));
                let lane = of_ear.unwrap_or(home);
                orders.push((lane, Order::Command(command)));
                if let Some(spread) = self.rooms.get_mut(&room).filter(|spread| !spread.has(member)) {
                    spread.seat(member, lane, role, None);
                }
                self.settle(room, orders);
            }
            Command::Record { recording, room, what, whispers, .. } => {
                let member = match what {
                    Tapped::Mix => None,
                    Tapped::Parties { left: member } | Tapped::Member(member) => Some(member),
                };
                let home = self.opened(room, new, orders);
                let of_member = member.and_then(|member| self.rooms.get(&room)?.lane_of(member));
                let lane = of_member.unwrap_or(home);
                orders.push((lane, Order::Command(command)));
                if let Some(spread) = self.rooms.get_mut(&room)
                    && !self.recordings.contains_key(&recording)
                {
                    spread.record(recording, lane, member, whispers);
                    self.recordings.insert(recording, room);
                }
                self.settle(room, orders);
            }
            Command::PauseRecording { room, recording, .. } | Command::StopRecording { room, recording } => {
                let spread = self.rooms.get(&room);
                let lane = spread.and_then(|spread| spread.lane_of_recording(recording)).unwrap_or(0);
                let ends = matches!(command, Command::StopRecording { .. });
                orders.push((lane, Order::Command(command)));
                if ends {
                    self.end_recording(recording);
                    self.settle(room, orders);
                }
            }
            Command::Assign { room, roles } => {
                match self.rooms.get_mut(&room) {
                    Some(spread) => spread.assign(room, roles, orders),
                    None => orders.push((0, Order::Command(Command::Assign { room, roles }))),
                }
                self.settle(room, orders);
            }
            Command::CloseRoom { room } => self.close_room(room, orders),
            Command::Open { .. }
            | Command::Configure { .. }
            | Command::Relay { .. }
            | Command::Pass { .. }
            | Command::Part { .. }
            | Command::Echo { .. }
            | Command::OpenRoom { .. }
            | Command::Join { .. }
            | Command::Enqueue { .. }
            | Command::Amplify { .. }
            | Command::Condition { .. }
            | Command::Leave { .. }
            | Command::Dial { .. }
            | Command::Close { .. } => {}
        }
    }

    fn join(&mut self, command: Command, room: RoomId, leg: LegId, orders: &mut Orders) {
        let Command::Join { format, role, .. } = &command else { return };
        let (format, role) = (*format, *role);
        let kind = CodecKind::from(format.codec);
        let task = Task::Seated(room, kind);
        let (known, here) = (self.legs.contains_key(&leg), self.of_leg(leg));
        let Some(spread) = self.rooms.get_mut(&room) else {
            orders.push((here, Order::Command(command)));
            return self.engage(leg, Task::Idle, orders);
        };
        let has_time = |lane| self.budget.has_time(lane, Class::Seated(kind));
        let lane =
            if known { spread.place_for(here, self.whole, has_time) } else { spread.home().unwrap_or(0) };
        spread.open(room, lane, orders);
        self.bring(leg, lane, command, orders);
        if known {
            self.engage(leg, task, orders);
            if let Some(spread) = self.rooms.get_mut(&room) {
                spread.seat(MemberId(leg.0), lane, role, Some(format));
            }
        }
        self.settle(room, orders);
    }

    /// The thread that leads a room, which is opened on `new` if it is nowhere yet.
    fn opened(&mut self, room: RoomId, new: LaneId, orders: &mut Orders) -> LaneId {
        let Some(spread) = self.rooms.get_mut(&room) else { return 0 };
        let lane = spread.home().unwrap_or(new);
        spread.open(room, lane, orders);
        lane
    }

    fn to_member(&self, room: RoomId, member: MemberId, command: Command, orders: &mut Orders) {
        let lane = self.rooms.get(&room).and_then(|spread| spread.lane_of(member)).unwrap_or(0);
        orders.push((lane, Order::Command(command)));
    }

    /// A member leaves a room; if it is a leg, it does nothing from now on.
    fn leave(&mut self, room: RoomId, member: MemberId, orders: &mut Orders) {
        let leg = LegId(member.0);
        if self.task(leg).and_then(Task::room) == Some(room) {
            self.engage(leg, Task::Idle, orders);
        } else if let Some(spread) = self.rooms.get_mut(&room) {
            spread.leave(member);
            self.settle(room, orders);
        }
    }

    fn close_room(&mut self, room: RoomId, orders: &mut Orders) {
        let spread = self.rooms.remove(&room);
        let segments = spread.as_ref().map_or(&[0][..], Spread::segments);
        for lane in segments {
            orders.push((*lane, Order::Command(Command::CloseRoom { room })));
        }
        for member in spread.iter().flat_map(Spread::members) {
            let leg = LegId(member.0);
            if self.task(leg).and_then(Task::room) == Some(room) {
                self.set(leg, Task::Idle);
            }
        }
        for recording in spread.iter().flat_map(Spread::recordings) {
            self.recordings.remove(&recording);
        }
    }

    /// A leg does something else from now on: it leaves its partner or its room.
    fn engage(&mut self, leg: LegId, task: Task, orders: &mut Orders) {
        let Some(before) = self.set(leg, task) else { return };
        match before {
            Task::Relayed(partner) if task != Task::Relayed(partner) => {
                if self.task(partner) == Some(Task::Relayed(leg)) {
                    self.set(partner, Task::Idle);
                }
            }
            Task::Seated(room, _) if task.room() != Some(room) => {
                if let Some(spread) = self.rooms.get_mut(&room) {
                    spread.leave(MemberId(leg.0));
                    self.settle(room, orders);
                }
            }
            Task::Idle | Task::Relayed(_) | Task::Seated(..) => {}
        }
    }

    /// What a leg does from now on, and did before.
    fn set(&mut self, leg: LegId, task: Task) -> Option<Task> {
        let place = self.legs.get_mut(&leg)?;
        self.budget.remove(place.lane, place.task.class());
        self.budget.add(place.lane, task.class());
        Some(std::mem::replace(&mut place.task, task))
    }

    /// Members of a room have come, gone or changed: a small one comes home, and its segments are those that it needs.
    pub(super) fn settle(&mut self, room: RoomId, orders: &mut Orders) {
        self.bring_home(room, orders);
        if let Some(spread) = self.rooms.get_mut(&room) {
            spread.settle(room, orders);
        }
    }

    /// A leg could not be put into a room. The room is settled with the next command for it.
    pub(super) fn handle_not_joined(&mut self, room: RoomId, leg: LegId) {
        if self.task(leg).and_then(Task::room) == Some(room) {
            self.set(leg, Task::Idle);
            if let Some(spread) = self.rooms.get_mut(&room) {
                spread.leave(MemberId(leg.0));
            }
        }
    }

    /// A recording is over, whoever ended it.
    pub(super) fn end_recording(&mut self, recording: RecordingId) {
        if let Some(spread) = self.recordings.remove(&recording).and_then(|room| self.rooms.get_mut(&room)) {
            spread.end_recording(recording);
        }
    }

    /// A leg is not there: it was closed, or could not be opened.
    pub(super) fn forget(&mut self, leg: LegId) {
        if let Some(place) = self.legs.remove(&leg) {
            self.budget.remove(place.lane, place.task.class());
        }
    }

    pub(super) fn place(&mut self, leg: LegId, place: Place) {
        self.forget(leg);
        self.legs.insert(leg, place);
        self.budget.add(place.lane, place.task.class());
    }

    fn of_leg(&self, leg: LegId) -> LaneId {
        self.legs.get(&leg).map_or(0, |place| place.lane)
    }

    pub(super) fn task(&self, leg: LegId) -> Option<Task> {
        self.legs.get(&leg).map(|place| place.task)
    }

    /// A command for `lane` that names a leg which has to be there.
    pub(super) fn bring(&mut self, leg: LegId, lane: LaneId, command: Command, orders: &mut Orders) {
        let Some(place) = self.legs.get(&leg).copied().filter(|place| place.lane != lane) else {
            orders.push((lane, Order::Command(command)));
            return;
        };
        let from = place.lane;
        orders.push((lane, Order::Arrive { from }));
        orders.push((lane, Order::Command(command)));
        orders.push((from, Order::Depart { party: Party::Leg(leg), to: lane }));
        self.place(leg, Place { lane, ..place });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use smallvec::smallvec;

    use super::*;
    use crate::leg::PayloadMap;
    use crate::mix::Role;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ROOM: RoomId = RoomId(1);

    /// Sends a command on the way, something new to the idlest: what is told to whom, briefly.
    fn tell(routes: &mut Routes, command: Command) -> Vec<(LaneId, &'static str)> {
        let new = routes.budget.idlest().unwrap();
        let brief = |order: &Order| match order {
            Order::Command(Command::OpenRoom { .. }) => "open room",
            Order::Command(Command::CloseRoom { .. }) => "close room",
            Order::Command(_) => "command",
            Order::Adopt(_) => "adopt",
            Order::Depart { .. } => "depart",
            Order::Arrive { .. } => "arrive",
            Order::Connect { .. } => "connect",
            Order::Tune(_) => "tune",
            Order::Return(_) => "return",
        };
        let orders = routes.handle(command, new);
        orders.iter().map(|(lane, order)| (*lane, brief(order))).collect()
    }

    /// The same: who obeys it, and the leg that moves first.
    fn send(routes: &mut Routes, command: &Command) -> (LaneId, Option<(u64, LaneId)>) {
        let new = routes.budget.idlest().unwrap();
        let orders = routes.handle(command.clone(), new);
        let obeys = |(lane, order): &(LaneId, Order)| {
            matches!(order, Order::Command(given) if given == command).then_some(*lane)
        };
        let departs = |(from, order): &(LaneId, Order)| match order {
            Order::Depart { party: Party::Leg(leg), .. } => Some((leg.0, *from)),
            _ => None,
        };
        (orders.iter().find_map(obeys).unwrap(), orders.iter().find_map(departs))
    }

    /// Leg `leg` joins the room.
    fn join(leg: u64) -> Command {
        let format = crate::AudioFormat { codec: crate::codec::Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
        Command::Join { room: ROOM, leg: LegId(leg), format, role: crate::mix::Role::Participant }
    }

    /// Two threads, and a room on the first of them whose legs were all opened there: those of odd numbers.
    fn large_room(members: u64) -> Routes {
        let mut routes = Routes::new(2, 64);
        assert_eq!(tell(&mut routes, Command::OpenRoom { room: ROOM }), []);
        for call in 0..members {
            let leg = |number| (LegId(2 * call + number), LOCAL);
            routes.handle(Command::Open { legs: smallvec![leg(1)] }, 0);
            routes.handle(Command::Open { legs: smallvec![leg(2)] }, 1);
            tell(&mut routes, join(2 * call + 1));
        }
        routes
    }

    fn open(a: u64, b: u64) -> Command {
        Command::Open { legs: smallvec![(LegId(a), LOCAL), (LegId(b), LOCAL)] }
    }

    fn relay(a: u64, b: u64) -> Command {
        let [forward, backward] = [(); 2].map(|()| PayloadMap::new(&[]));
        Command::Relay { a: LegId(a), b: LegId(b), forward, backward }
    }

    #[test]
    fn the_legs_of_a_call_are_together_and_calls_spread() {
        let mut routes = Routes::new(3, 64);
        let lanes = [open(1, 2), open(3, 4), open(5, 6), open(7, 8)].map(|call| send(&mut routes, &call).0);
        assert_eq!(lanes, [0, 1, 2, 0]);
        assert_eq!(send(&mut routes, &relay(3, 4)), (1, None));
        assert_eq!(send(&mut routes, &Command::Close { leg: LegId(3) }), (1, None));
        assert_eq!(send(&mut routes, &open(9, 10)), (1, None));
    }

    #[test]
    fn the_second_leg_of_a_relay_moves_to_the_first_and_stays_there() {
        let mut routes = Routes::new(2, 64);
        send(&mut routes, &open(1, 2));
        send(&mut routes, &open(3, 4));
        assert_eq!(send(&mut routes, &relay(1, 3)), (0, Some((3, 1))));
        assert_eq!(send(&mut routes, &relay(1, 3)), (0, None));
        assert_eq!(send(&mut routes, &relay(4, 3)), (1, Some((3, 0))));
    }

    #[test]
    fn a_room_is_opened_where_its_first_member_is_and_legs_move_to_it() {
        let mut routes = Routes::new(2, 64);
        send(&mut routes, &open(1, 2));
        send(&mut routes, &open(3, 4));
        assert_eq!(tell(&mut routes, Command::OpenRoom { room: ROOM }), []);
        assert_eq!(tell(&mut routes, join(3)), [(1, "open room"), (1, "command")]);
        assert_eq!(tell(&mut routes, Command::OpenRoom { room: ROOM }), [(1, "open room")], "it is open");
        assert_eq!(send(&mut routes, &join(1)), (1, Some((1, 0))));
        assert_eq!(send(&mut routes, &join(1)), (1, None));
        assert_eq!(send(&mut routes, &Command::Close { leg: LegId(1) }), (1, None));
        assert_eq!(send(&mut routes, &join(1)), (1, None), "it is nowhere, so it cannot move");
        assert_eq!(tell(&mut routes, Command::CloseRoom { room: ROOM }), [(1, "close room")]);
        assert_eq!(send(&mut routes, &join(2)), (0, None));
    }

    #[test]
    fn a_room_that_is_large_gets_a_segment_where_its_legs_are() {
        let mut routes = large_room(63);
        let moving = [(0, "arrive"), (0, "command"), (1, "depart")];
        assert_eq!(tell(&mut routes, join(2)), moving, "it is small enough to be whole");
        let segment = [(1, "open room"), (1, "command"), (0, "connect"), (1, "connect")];
        assert_eq!(tell(&mut routes, join(4)), segment);
        assert_eq!(tell(&mut routes, join(6)), [(1, "command")], "the segments are joined already");
        let leave = |leg| Command::Leave { room: ROOM, member: MemberId(leg) };
        assert_eq!(tell(&mut routes, leave(4)), [(1, "command")]);
        let closing = [(1, "command"), (1, "close room"), (0, "connect")];
        assert_eq!(tell(&mut routes, leave(6)), closing, "nobody is left there");
    }

    #[test]
    fn who_speaks_to_one_member_alone_is_on_its_thread_and_needs_no_link() {
        let mut routes = large_room(64);
        tell(&mut routes, join(2));
        let play = |member, to| Command::Play {
            room: ROOM,
            member: MemberId(member),
            source: crate::source::Source::Milliwatt,
            role: Role::Announce { to },
        };
        use crate::mix::Audience;
        assert_eq!(tell(&mut routes, play(900, Audience::One(MemberId(2)))), [(1, "command")]);
        assert_eq!(tell(&mut routes, play(901, Audience::One(MemberId(1)))), [(0, "command")]);
        assert_eq!(tell(&mut routes, play(902, Audience::All)), [(0, "command")]);
        let leave = Command::Leave { room: ROOM, member: MemberId(900) };
        assert_eq!(tell(&mut routes, leave), [(1, "command")], "it is found there");
    }

    #[test]
    fn a_spread_room_that_has_become_small_comes_home() {
        let mut routes = large_room(64);
        for leg in [2, 4] {
            tell(&mut routes, join(leg));
        }
        let amplify = Command::Amplify { room: ROOM, member: MemberId(4), gain: crate::mix::Gain::MAX };
        tell(&mut routes, amplify);
        let leave = |leg| Command::Leave { room: ROOM, member: MemberId(leg) };
        // Of 66 eight are left: the legs 1 to 11 of odd numbers, and two elsewhere.
        for call in 6..64 {
            assert_eq!(tell(&mut routes, leave(2 * call + 1)), [(0, "command")]);
        }
        let home = [(0, "arrive"), (0, "command"), (1, "depart")];
        let louder = [(0, "arrive"), (0, "command"), (1, "depart"), (0, "command")];
        let whole = [(1, "close room"), (0, "connect")];
        let told = tell(&mut routes, leave(1));
        assert_eq!(told, [&[(0, "command")][..], &home, &louder, &whole].concat());
        assert_eq!(routes.rooms[&ROOM].segments(), [0]);
        assert_eq!(tell(&mut routes, leave(4)), [(0, "command")]);
    }

    #[test]
    fn a_small_room_stays_spread_while_a_member_is_recorded_or_spoken_to_elsewhere() {
        let mut routes = large_room(64);
        tell(&mut routes, join(2));
        let play = Command::Play {
            room: ROOM,
            member: MemberId(900),
            source: crate::source::Source::Milliwatt,
            role: Role::Whisper { to: MemberId(2) },
        };
        tell(&mut routes, play);
        let leave = |leg| Command::Leave { room: ROOM, member: MemberId(leg) };
        (6..64).for_each(|call| assert_eq!(tell(&mut routes, leave(2 * call + 1)), [(0, "command")]));
        assert_eq!(tell(&mut routes, leave(1)), [(0, "command")]);
        assert_eq!(routes.rooms[&ROOM].segments(), [0, 1]);
        tell(&mut routes, leave(900));
        assert_eq!(routes.rooms[&ROOM].segments(), [0]);
    }

    #[test]
    fn a_room_is_spread_when_its_thread_has_no_time() {
        let mut routes = large_room(8);
        let load = |load| super::super::load::ThreadLoad { load, ..Default::default() };
        routes.budget.learn(&[load(900), load(100)]);
        let orders = routes.handle(join(2), 1);
        assert!(orders.iter().any(|(lane, order)| *lane == 1 && matches!(order, Order::Connect { .. })));
        assert!(!orders.iter().any(|(_, order)| matches!(order, Order::Depart { .. })));
    }

    #[test]
    fn segments_are_joined_anew_when_a_voice_has_to_cross_by_itself_or_the_rate_changes() {
        let mut routes = large_room(64);
        tell(&mut routes, join(2));
        let assign = |roles: &[(u64, Role)]| {
            let roles = roles.iter().map(|(leg, role)| (MemberId(*leg), *role)).collect();
            Command::Assign { room: ROOM, roles }
        };
        assert_eq!(
            tell(&mut routes, assign(&[(1, Role::Muted), (2, Role::Muted)])),
            [(0, "command"), (1, "command")]
        );
        let coach = assign(&[(1, Role::Whisper { to: MemberId(2) })]);
        assert_eq!(tell(&mut routes, coach), [(0, "command"), (0, "connect"), (1, "connect")]);
        let unknown = assign(&[(2, Role::Barge), (999, Role::Muted)]);
        assert_eq!(tell(&mut routes, unknown), [(0, "command")], "for the shard to refuse");
        let Command::Join { room, leg, role, .. } = join(4) else { panic!() };
        let format = crate::AudioFormat { codec: crate::codec::Codec::G722, payload_type: 9, ptime_ms: 20 };
        let wide = Command::Join { room, leg, format, role };
        assert_eq!(tell(&mut routes, wide), [(1, "command"), (0, "connect"), (1, "connect")]);
    }

    #[test]
    fn a_recording_of_a_member_is_taken_where_it_is_and_one_of_the_room_where_that_is() {
        let mut routes = large_room(64);
        tell(&mut routes, join(2));
        let record = |recording, what| Command::Record {
            recording: RecordingId(recording),
            room: ROOM,
            what,
            whispers: false,
            file: "file".into(),
            format: crate::tap::RecordingFormat {
                container: crate::tap::Container::Wav,
                rate: crate::dsp::SampleRate::Hz8000,
            },
        };
        assert_eq!(tell(&mut routes, record(1, Tapped::Member(MemberId(2)))), [(1, "command")]);
        assert_eq!(tell(&mut routes, record(2, Tapped::Mix)), [(0, "command")]);
        let leave = Command::Leave { room: ROOM, member: MemberId(2) };
        assert_eq!(tell(&mut routes, leave), [(1, "command")], "the recording goes on there");
        let stop = Command::StopRecording { room: ROOM, recording: RecordingId(1) };
        assert_eq!(tell(&mut routes, stop), [(1, "command"), (1, "close room"), (0, "connect")]);
    }
}
