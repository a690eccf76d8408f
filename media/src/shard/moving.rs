//! Legs and rooms that go from one shard to another, by ownership: whoever sends them has them no more.
//!
//! A leg that goes alone leaves its partner or its room; its jitter buffer and its codec go on in the room that it comes to. Legs that are relayed to each other, and a room with all its legs and
//! sources, go together and notice nothing: streams, jitter buffers, codecs, recordings go on. Their keys are others
//! afterwards.
//!
//! Left out on purpose: the sockets of the legs, which whoever drives the shards sends along.

use smallvec::SmallVec;

use super::arena::LegKey;
use super::rooms::{Conference, RoomId, Seat, TICK_MS};
use super::shard::{Output, Shard, Watch, ask};
use crate::leg::{Leg, LegId};
use crate::time::Time;

/// Who goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// One leg, which leaves its partner or room.
    Leg(LegId),
    /// Two that are relayed to each other, or one that is echoed, named twice.
    Pair(LegId, LegId),
    /// A room that is not joined with others, and its legs.
    Room(RoomId),
}

/// Legs between two shards, each with the key that it had, and their room.
#[derive(Debug, Default)]
pub struct Departed {
    legs: SmallVec<[(LegKey, Leg); 2]>,
    conference: Option<Box<Conference>>,
}

impl Departed {
    /// The keys that the legs had, in their order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = LegKey> + '_ {
        self.legs.iter().map(|(key, _)| *key)
    }

    /// The legs, in the same order.
    pub fn legs(&self) -> impl ExactSizeIterator<Item = LegId> + '_ {
        self.legs.iter().map(|(_, leg)| leg.id)
    }
}

impl Shard {
    /// Lets legs go to another shard; the keys they had are stale from now on. Nothing is reported. Those that are not here are
    /// not in it.
    pub fn depart(&mut self, party: Party) -> Departed {
        let mut departed = Departed::default();
        match party {
            Party::Leg(leg) => {
                if let Some(key) = self.key(leg) {
                    self.unpair(key);
                    self.carry(key);
                    self.take_out(key, &mut departed);
                }
            }
            Party::Pair(a, b) => {
                let keys = [self.key(a), self.key(b)];
                for key in keys.into_iter().flatten() {
                    if !keys.contains(&self.partner(key)) {
                        self.unpair(key);
                    }
                    self.vacate(key);
                }
                keys.into_iter().flatten().for_each(|key| self.take_out(key, &mut departed));
            }
            Party::Room(room) => {
                let conference = self.rooms.remove(&room);
                for seat in conference.iter().flat_map(Conference::seats) {
                    if let Seat::Leg(key) = seat {
                        self.take_out(*key, &mut departed);
                    }
                }
                departed.conference = conference.map(Box::new);
            }
        }
        departed
    }

    /// A leg goes with all it has.
    fn take_out(&mut self, key: LegKey, departed: &mut Departed) {
        let Some(leg) = self.legs.remove(key) else { return };
        self.keys.remove(&leg.id);
        if let Some(mixed) = &leg.mixed {
            self.desk.outgoing.give_back(mixed.at_most(TICK_MS));
        }
        departed.legs.push((key, leg));
    }

    /// Takes in what comes from another shard; the keys of the legs here, in their order. `None` for one whose number is open
    /// here already.
    pub fn arrive(&mut self, now: Time, departed: Departed) -> SmallVec<[Option<LegKey>; 2]> {
        let Departed { legs, conference } = departed;
        let mut keys: SmallVec<[(LegKey, Option<LegKey>); 2]> = SmallVec::new();
        for (old, leg) in legs {
            let new = (!self.keys.contains_key(&leg.id)).then(|| self.settle(now, leg));
            self.ignored_commands += u64::from(new.is_none());
            keys.push((old, new));
        }
        let renamed = |old| keys.iter().find(|(key, _)| *key == old).and_then(|(_, new)| *new);
        for key in keys.iter().filter_map(|(_, new)| *new) {
            if let Some(leg) = self.legs.get_mut(key) {
                leg.rename(renamed);
                leg.news.arrive();
                if let Some(mixed) = &leg.mixed {
                    self.desk.outgoing.make_room(mixed.at_most(TICK_MS));
                    self.outbox.push(Output::Watch { key, watch: Watch::Tick });
                }
            }
            self.set_alarms(now, key);
        }
        if let Some(mut conference) = conference {
            conference.arrive(renamed);
            ask(&mut conference, &mut self.outbox);
            self.rooms.insert(conference.id(), *conference);
        }
        keys.into_iter().map(|(_, new)| new).collect()
    }
}

impl Leg {
    /// Legs have other keys from now on; those that have none are elsewhere.
    fn rename(&mut self, renamed: impl Fn(LegKey) -> Option<LegKey>) {
        self.egress.rename(&renamed);
        self.relay = self.relay.take().and_then(|mut relay| {
            relay.partner = renamed(relay.partner)?;
            Some(relay)
        });
    }
}
