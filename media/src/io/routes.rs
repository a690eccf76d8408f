//! Which thread has which leg and room, as the core knows it.
//!
//! The core is the only one to say where something goes, so it always knows without asking. A leg moves when it is to be
//! relayed with one of another thread, or to join a room of another thread: the rest of its call follows by the commands that
//! name it. Rooms stay where they were opened.
//!
//! Bounds: an entry for each open leg, of which there are no more than ports, and for each open room.

use std::collections::BTreeMap;

use crate::leg::LegId;
use crate::shard::{Command, RoomId};

/// Names a thread.
pub(super) type LaneId = usize;

/// A leg that must change threads before a command is obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Move {
    pub(super) leg: LegId,
    pub(super) from: LaneId,
    pub(super) to: LaneId,
}

/// Who obeys a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    pub(super) lane: LaneId,
    pub(super) first: Option<Move>,
}

impl Route {
    const fn to(lane: LaneId) -> Self {
        Self { lane, first: None }
    }
}

/// Where legs and rooms are.
#[derive(Debug)]
pub(super) struct Routes {
    legs: BTreeMap<LegId, LaneId>,
    rooms: BTreeMap<RoomId, LaneId>,
    /// Legs of each thread.
    counts: Vec<usize>,
}

impl Routes {
    pub(super) fn new(lanes: usize) -> Self {
        Self { legs: BTreeMap::new(), rooms: BTreeMap::new(), counts: vec![0; lanes] }
    }

    /// The thread with the fewest legs among those that `has_time` says have time for more. One without legs always has:
    /// it may sleep, and not have said so.
    pub(super) fn idlest(&self, has_time: impl Fn(LaneId) -> bool) -> Option<LaneId> {
        let lanes = self.counts.iter().enumerate().filter(|(lane, count)| **count == 0 || has_time(*lane));
        lanes.min_by_key(|(_, count)| **count).map(|(lane, _)| lane)
    }

    /// Who obeys `command`; something new is placed on `new`. What is nowhere is the first thread's to ignore.
    pub(super) fn route(&self, command: &Command, new: LaneId) -> Route {
        match command {
            Command::Open { .. } => Route::to(new),
            Command::OpenRoom { room } => Route::to(self.rooms.get(room).copied().unwrap_or(new)),
            Command::Configure { leg, .. }
            | Command::Echo { leg, .. }
            | Command::Dial { leg, .. }
            | Command::Close { leg }
            | Command::Part { a: leg, .. } => Route::to(self.of_leg(*leg)),
            Command::Relay { a, b, .. } | Command::Pass { a, b } => self.bring(*b, self.of_leg(*a)),
            Command::Join { room, leg, .. } => match self.rooms.get(room) {
                Some(lane) => self.bring(*leg, *lane),
                None => Route::to(self.of_leg(*leg)),
            },
            Command::Play { room, .. }
            | Command::Enqueue { room, .. }
            | Command::Record { room, .. }
            | Command::PauseRecording { room, .. }
            | Command::StopRecording { room, .. }
            | Command::Assign { room, .. }
            | Command::Amplify { room, .. }
            | Command::Leave { room, .. }
            | Command::CloseRoom { room } => Route::to(self.rooms.get(room).copied().unwrap_or(0)),
        }
    }

    /// The command has gone where `route` says.
    pub(super) fn note(&mut self, command: &Command, route: Route) {
        if let Some(Move { leg, to, .. }) = route.first {
            self.place(leg, to);
        }
        match command {
            Command::Open { legs } => {
                for (leg, _) in legs {
                    if !self.legs.contains_key(leg) {
                        self.place(*leg, route.lane);
                    }
                }
            }
            Command::Close { leg } => self.forget(*leg),
            Command::OpenRoom { room } => {
                self.rooms.entry(*room).or_insert(route.lane);
            }
            Command::CloseRoom { room } => {
                self.rooms.remove(room);
            }
            Command::Configure { .. }
            | Command::Echo { .. }
            | Command::Part { .. }
            | Command::Relay { .. }
            | Command::Pass { .. }
            | Command::Dial { .. }
            | Command::Join { .. }
            | Command::Play { .. }
            | Command::Enqueue { .. }
            | Command::Record { .. }
            | Command::PauseRecording { .. }
            | Command::StopRecording { .. }
            | Command::Assign { .. }
            | Command::Amplify { .. }
            | Command::Leave { .. } => {}
        }
    }

    /// A leg is not there: it was closed, or could not be opened.
    pub(super) fn forget(&mut self, leg: LegId) {
        if let Some(lane) = self.legs.remove(&leg)
            && let Some(count) = self.counts.get_mut(lane)
        {
            *count -= 1;
        }
    }

    fn place(&mut self, leg: LegId, lane: LaneId) {
        self.forget(leg);
        self.legs.insert(leg, lane);
        if let Some(count) = self.counts.get_mut(lane) {
            *count += 1;
        }
    }

    fn of_leg(&self, leg: LegId) -> LaneId {
        self.legs.get(&leg).copied().unwrap_or(0)
    }

    /// A command for `lane` that names a leg which has to be there.
    fn bring(&self, leg: LegId, lane: LaneId) -> Route {
        let elsewhere = self.legs.get(&leg).copied().filter(|from| *from != lane);
        Route { lane, first: elsewhere.map(|from| Move { leg, from, to: lane }) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use smallvec::smallvec;

    use super::*;
    use crate::leg::PayloadMap;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ROOM: RoomId = RoomId(1);

    /// Sends a command on the way, something new to the idlest; the leg that moves first.
    fn send(routes: &mut Routes, command: &Command) -> (LaneId, Option<(u64, LaneId)>) {
        let new = routes.idlest(|_| true).unwrap();
        let route = routes.route(command, new);
        routes.note(command, route);
        (route.lane, route.first.map(|moving| (moving.leg.0, moving.from)))
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
        let mut routes = Routes::new(3);
        let lanes = [open(1, 2), open(3, 4), open(5, 6), open(7, 8)].map(|call| send(&mut routes, &call).0);
        assert_eq!(lanes, [0, 1, 2, 0]);
        assert_eq!(send(&mut routes, &relay(3, 4)), (1, None));
        assert_eq!(send(&mut routes, &Command::Close { leg: LegId(3) }), (1, None));
        assert_eq!(send(&mut routes, &open(9, 10)), (1, None));
    }

    #[test]
    fn the_second_leg_of_a_relay_moves_to_the_first_and_stays_there() {
        let mut routes = Routes::new(2);
        send(&mut routes, &open(1, 2));
        send(&mut routes, &open(3, 4));
        assert_eq!(send(&mut routes, &relay(1, 3)), (0, Some((3, 1))));
        assert_eq!(send(&mut routes, &relay(1, 3)), (0, None));
        assert_eq!(send(&mut routes, &relay(4, 3)), (1, Some((3, 0))));
    }

    #[test]
    fn a_leg_moves_to_the_room_it_joins() {
        let mut routes = Routes::new(2);
        send(&mut routes, &open(1, 2));
        assert_eq!(send(&mut routes, &Command::OpenRoom { room: ROOM }), (1, None));
        let format = crate::AudioFormat { codec: crate::codec::Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
        let role = crate::mix::Role::Participant;
        let join = |leg| Command::Join { room: ROOM, leg: LegId(leg), format, role };
        assert_eq!(send(&mut routes, &join(1)), (1, Some((1, 0))));
        assert_eq!(send(&mut routes, &join(1)), (1, None));
        assert_eq!(send(&mut routes, &Command::Close { leg: LegId(1) }), (1, None));
        assert_eq!(send(&mut routes, &join(1)), (1, None), "it is nowhere, so it cannot move");
        send(&mut routes, &Command::CloseRoom { room: ROOM });
        assert_eq!(send(&mut routes, &join(2)), (0, None));
    }

    #[test]
    fn nothing_new_goes_where_there_is_no_time() {
        let mut routes = Routes::new(2);
        send(&mut routes, &open(1, 2));
        assert_eq!(routes.idlest(|_| false), Some(1), "nobody is there yet");
        send(&mut routes, &open(3, 4));
        assert_eq!(routes.idlest(|lane| lane == 1), Some(1));
        assert_eq!(routes.idlest(|_| false), None);
    }
}
