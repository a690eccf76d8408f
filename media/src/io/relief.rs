//! What goes from a thread past its share to an idle one: calls and whole rooms, which notice nothing, and where there is nothing
//! but one large room, some of its legs, which go on in a segment there.
//!
//! The largest that fit go first, so that few move. Bounds: [`PARTIES`] at one look, and no more than the budget says.

use super::budget::Uneven;
use super::routes::{LaneId, Orders, Place, Routes, Task};
use super::spread::Spread;
use super::thread::Order;
use crate::leg::LegId;
use crate::mix::MemberId;
use crate::shard::{Party, RoomId};

/// What moves at one look.
const PARTIES: usize = 16;
/// Orders for one thread that come of it: for each leg of a room a segment, its arrival, its seat and its gain, and then the links.
pub(super) const ORDERS_AT_MOST: usize = 4 * PARTIES + 4;

impl Routes {
    /// Evens out two threads; what is to be told to whom, nothing if nothing fits.
    pub(super) fn relieve(&mut self, uneven: Uneven) -> Orders {
        let Uneven { from, to, most } = uneven;
        let mut orders = Orders::new();
        let mut left = most as f64;
        let mut parties = self.parties(from);
        parties.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        for (party, price) in parties.into_iter().filter(|(_, price)| *price > 0.0) {
            if price <= left && orders.len() < 2 * PARTIES {
                left -= price;
                self.transfer(party, from, to, &mut orders);
            }
        }
        if orders.is_empty() {
            self.divide(uneven, &mut orders);
        }
        orders
    }

    /// Calls and rooms that are on one thread alone, and what they cost there.
    fn parties(&self, lane: LaneId) -> Vec<(Party, f64)> {
        let pairs = self.legs.iter().filter(|(_, place)| place.lane == lane).filter_map(|(leg, place)| {
            let Task::Relayed(partner) = place.task else { return None };
            let other = self.legs.get(&partner).filter(|other| other.lane == lane && partner >= *leg)?;
            let legs = if partner == *leg { 1.0 } else { 2.0 };
            Some((Party::Pair(*leg, partner), legs * self.budget.price(lane, other.task.class())))
        });
        let whole = self.rooms.iter().filter(|(_, spread)| spread.segments() == [lane]);
        let rooms = whole.map(|(room, spread)| {
            (Party::Room(*room), spread.members().map(|member| self.price(lane, member)).sum())
        });
        pairs.chain(rooms).collect()
    }

    fn price(&self, lane: LaneId, member: MemberId) -> f64 {
        let task = self.task(LegId(member.0));
        task.map_or(0.0, |task| self.budget.price(lane, task.class()))
    }

    fn transfer(&mut self, party: Party, from: LaneId, to: LaneId, orders: &mut Orders) {
        orders.push((to, Order::Arrive { from }));
        orders.push((from, Order::Depart { party, to }));
        let legs: Vec<LegId> = match party {
            Party::Leg(leg) => vec![leg],
            Party::Pair(a, b) => vec![a, b],
            Party::Room(room) => {
                let Some(spread) = self.rooms.get_mut(&room) else { return };
                spread.move_to(to);
                spread.members().map(|member| LegId(member.0)).collect()
            }
        };
        for leg in legs {
            // A source of a room may have the number of a leg that is elsewhere.
            if let Some(place) = self.legs.get(&leg).copied().filter(|place| place.lane == from) {
                self.place(leg, Place { lane: to, ..place });
            }
        }
    }

    /// Some legs of the largest room go on in a segment on the other thread.
    fn divide(&mut self, uneven: Uneven, orders: &mut Orders) {
        let Uneven { from, to, most } = uneven;
        let sizes = self.rooms.iter().map(|(room, spread)| (spread.members_on(from), *room));
        let Some((_, room)) = sizes.filter(|(size, _)| *size >= 2 * PARTIES).max() else { return };
        let mut left = most as f64;
        let mut leaving = Vec::new();
        for member in self.rooms.get(&room).into_iter().flat_map(|spread| spread.legs_on(from)) {
            left -= self.price(from, member);
            if left < 0.0 || leaving.len() == PARTIES {
                break;
            }
            leaving.push(member);
        }
        for member in leaving {
            self.send_over(room, member, to, orders);
        }
        self.settle(room, orders);
    }

    /// The legs of a spread room that has become small go to where it leads.
    pub(super) fn bring_home(&mut self, room: RoomId, orders: &mut Orders) {
        let Some((home, strays)) = self.rooms.get(&room).and_then(Spread::strays) else { return };
        for member in strays {
            self.send_over(room, member, home, orders);
        }
    }

    fn send_over(&mut self, room: RoomId, member: MemberId, to: LaneId, orders: &mut Orders) {
        let leg = LegId(member.0);
        let Some(spread) = self.rooms.get_mut(&room) else { return };
        let Some((join, amplify)) = spread.rejoin(room, member, to) else { return };
        spread.open(room, to, orders);
        self.bring(leg, to, join, orders);
        orders.extend(amplify.map(|amplify| (to, Order::Command(amplify))));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use smallvec::smallvec;

    use super::*;
    use crate::codec::Codec;
    use crate::leg::{AudioFormat, PayloadMap};
    use crate::mix::{Gain, Role};
    use crate::shard::Command;

    const ROOM: RoomId = RoomId(1);
    const UNEVEN: Uneven = Uneven { from: 0, to: 1, most: 10 };
    const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };

    /// Legs 1 to n on the first of two threads.
    fn legs(count: u64) -> Routes {
        let mut routes = Routes::new(2, 64);
        for leg in 1..=count {
            let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
            routes.handle(Command::Open { legs: smallvec![(LegId(leg), local)] }, 0);
        }
        routes
    }

    fn relay(routes: &mut Routes, a: u64, b: u64) {
        let [forward, backward] = [(); 2].map(|()| PayloadMap::new(&[]));
        routes.handle(Command::Relay { a: LegId(a), b: LegId(b), forward, backward }, 0);
    }

    fn room(routes: &mut Routes, legs: impl Iterator<Item = u64>) {
        routes.handle(Command::OpenRoom { room: ROOM }, 0);
        for leg in legs {
            let role = Role::Participant;
            routes.handle(Command::Join { room: ROOM, leg: LegId(leg), format: PCMU, role }, 0);
        }
    }

    fn departing(orders: &Orders) -> Vec<Party> {
        let departs = |(lane, order): &(LaneId, Order)| match order {
            Order::Depart { party, to: 1 } if *lane == 0 => Some(*party),
            _ => None,
        };
        orders.iter().filter_map(departs).collect()
    }

    #[test]
    fn calls_and_rooms_go_whole_the_largest_first_and_no_more_than_fits() {
        let mut routes = legs(20);
        room(&mut routes, 1..=4);
        (5..20).step_by(2).for_each(|leg| relay(&mut routes, leg, leg + 1));
        let most = 4;
        let parties = departing(&routes.relieve(Uneven { most, ..UNEVEN }));
        assert_eq!(parties[0], Party::Room(ROOM));
        assert!(parties.len() > 1 && parties[1..].iter().all(|party| matches!(party, Party::Pair(..))));
        let load = routes.budget.forecast(1);
        assert!((3.0..=4.0).contains(&load), "{load}");
        let join = Command::Join { room: ROOM, leg: LegId(1), format: PCMU, role: Role::Participant };
        assert_eq!(routes.handle(join, 0).first().map(|(lane, _)| *lane), Some(1), "it is there now");
    }

    #[test]
    fn what_is_relayed_to_another_thread_or_does_nothing_stays() {
        let mut routes = legs(3);
        assert!(routes.relieve(UNEVEN).is_empty());
        routes.handle(Command::Echo { leg: LegId(3), map: PayloadMap::new(&[]) }, 0);
        assert_eq!(departing(&routes.relieve(UNEVEN)), [Party::Pair(LegId(3), LegId(3))]);
    }

    #[test]
    fn a_room_that_is_too_large_to_move_is_divided() {
        let mut routes = legs(60);
        room(&mut routes, 1..=60);
        let amplify = Command::Amplify { room: ROOM, member: MemberId(1), gain: Gain::MAX };
        routes.handle(amplify.clone(), 0);
        let orders = routes.relieve(UNEVEN);
        let parties = departing(&orders);
        assert_eq!(parties.len(), PARTIES);
        assert_eq!(parties[0], Party::Leg(LegId(1)));
        let is_amplified = |(lane, order): &(LaneId, Order)| {
            *lane == 1 && matches!(order, Order::Command(command) if *command == amplify)
        };
        assert!(orders.iter().any(is_amplified), "it stays as loud as it was");
        let joined = orders.iter().filter(|(_, order)| matches!(order, Order::Connect { .. })).count();
        assert_eq!(joined, 2, "the segments are joined once, when all have moved");
        assert!(orders.iter().filter(|(lane, _)| *lane == 1).count() <= ORDERS_AT_MOST);
    }
}
