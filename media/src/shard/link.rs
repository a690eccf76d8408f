//! What crosses from one segment of a conference to another in each tick: the sum of its members, who talks, and the voices
//! that are needed by themselves.
//!
//! A link is two rings with one producer and one consumer each, without a lock: full parcels one way, empty ones back. All memory is there
//! from the beginning, and no parcel is freed in a tick. A parcel is for one tick, by its number; the other segment takes it in
//! the tick after that, so that both may be nearly a tick late before anything is missing.
//!
//! Bounds: [`PARCELS`] for each link. When none is empty, because the other segment has not ticked for as long, the sound of the
//! tick is not sent there. What is not sent, and what is not there in time, is counted by [`Shard::lost_frames`](super::Shard::lost_frames).

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::mix::{Gain, MemberId, Room, TALKERS, Talker};

/// What is on its way at most: ticks that are made up for together, the one before, and one that is held.
const PARCELS: usize = 6;

/// What a segment says in one tick.
#[derive(Debug)]
struct Parcel {
    /// The tick, counted from the origin of the clock.
    tick: u64,
    /// The sum of its members, when they are not silent.
    sounding: bool,
    sum: Vec<i32>,
    talkers: [Option<Talker>; TALKERS],
    /// In the order of the outlet's exports; those that are silent are not filled.
    voices: Vec<Voice>,
}

#[derive(Debug)]
struct Voice {
    sounding: bool,
    gain: Gain,
    said: Vec<i16>,
}

/// The sending end.
pub(super) struct Outlet {
    full: HeapProd<Box<Parcel>>,
    empty: HeapCons<Box<Parcel>>,
    frame: usize,
    /// Whose voices are sent beside the sum.
    exports: Vec<MemberId>,
}

/// The receiving end.
pub(super) struct Inlet {
    full: HeapCons<Box<Parcel>>,
    empty: HeapProd<Box<Parcel>>,
    /// Whose voices come, and where these guests are in the room.
    guests: Vec<(MemberId, Option<usize>)>,
    /// Something has come before.
    begun: bool,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("exports", &self.exports).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Inlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inlet").field("guests", &self.guests).finish_non_exhaustive()
    }
}

/// Both ends of a link for frames of so many samples and the voices of these members. Allocates six frames for the sum and for
/// each voice.
pub(super) fn link(frame: usize, exports: Vec<MemberId>) -> (Outlet, Inlet) {
    let (full, arriving) = HeapRb::new(PARCELS).split();
    let (mut returning, empty) = HeapRb::new(PARCELS).split();
    for _ in 0..PARCELS {
        let voice = || Voice { sounding: false, gain: Gain::UNITY, said: vec![0; frame] };
        let parcel = Parcel {
            tick: 0,
            sounding: false,
            sum: vec![0; frame],
            talkers: [None; TALKERS],
            voices: exports.iter().map(|_| voice()).collect(),
        };
        // There is room for all of them.
        let _ = returning.try_push(Box::new(parcel));
    }
    let guests = exports.iter().map(|member| (*member, None)).collect();
    let inlet = Inlet { full: arriving, empty: returning, guests, begun: false };
    (Outlet { full, empty, frame, exports }, inlet)
}

impl Outlet {
    /// Sends what the members of a room said in a tick: after [`Room::sum_up`], before anything is added. Whether it found
    /// an empty parcel. Allocates nothing.
    pub(super) fn send(&mut self, tick: u64, room: &Room) -> bool {
        if room.frame() != self.frame {
            return false;
        }
        let Some(mut parcel) = self.empty.try_pop() else { return false };
        parcel.tick = tick;
        let sum = room.own_sum();
        parcel.sounding = sum.is_some();
        if let Some(sum) = sum {
            parcel.sum.copy_from_slice(sum);
        }
        room.talkers(&mut parcel.talkers);
        for (voice, member) in parcel.voices.iter_mut().zip(&self.exports) {
            let said = room.place(*member).and_then(|place| room.own_voice(place));
            voice.sounding = said.is_some();
            if let Some((said, gain)) = said {
                voice.said.copy_from_slice(said);
                voice.gain = gain;
            }
        }
        // There are no more parcels than there are places.
        self.full.try_push(parcel).is_ok()
    }
}

impl Inlet {
    /// Finds the guests in the room again: members have come or gone.
    pub(super) fn find_places(&mut self, room: &Room) {
        for (member, place) in &mut self.guests {
            *place = room.place(*member).filter(|place| room.is_guest(*place));
        }
    }

    /// Adds to a room what came for this tick. What is for earlier ones is let go. False when something should have come and
    /// did not. Allocates nothing.
    pub(super) fn receive(&mut self, tick: u64, room: &mut Room) -> bool {
        while self.full.try_peek().is_some_and(|parcel| parcel.tick <= tick) {
            let Some(parcel) = self.full.try_pop() else { return false };
            let ours = parcel.tick == tick && parcel.sum.len() == room.frame();
            if ours {
                self.take_in(&parcel, room);
            }
            // There are no more parcels than there are places.
            let _ = self.empty.try_push(parcel);
            self.begun = true;
            if ours {
                return true;
            }
        }
        !self.begun
    }

    /// Whether something is still to be taken, or may come: the other segment has not let go of its end.
    pub(super) fn may_bring(&self) -> bool {
        !self.full.is_empty() || self.full.write_is_held()
    }

    /// Frames that are still to be taken.
    pub(super) fn waiting(&self) -> u64 {
        self.full.occupied_len() as u64
    }

    fn take_in(&self, parcel: &Parcel, room: &mut Room) {
        if parcel.sounding {
            room.add_segment(&parcel.sum);
        }
        room.talk_elsewhere(&parcel.talkers);
        for (voice, (_, place)) in parcel.voices.iter().zip(&self.guests) {
            if let Some(place) = place.filter(|_| voice.sounding) {
                room.say_guest(place, &voice.said, voice.gain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mix::Role;

    fn room(member: u64) -> Room {
        let mut room = Room::new(8_000, Duration::from_millis(20));
        room.join(MemberId(member), Role::Participant).unwrap();
        room
    }

    /// What a segment with one silent member hears in a tick, one sample for the frame.
    fn heard(inlet: &mut Inlet, tick: u64) -> i16 {
        let mut room = room(9);
        room.sum_up();
        inlet.receive(tick, &mut room);
        room.saturate();
        room.common()[0]
    }

    #[test]
    fn a_parcel_is_heard_in_its_tick_and_in_no_other() {
        let (mut outlet, mut inlet) = link(160, Vec::new());
        for tick in [10, 11, 13] {
            let mut room = room(1);
            room.say(0, |frame| {
                frame.fill(tick as i16);
                true
            });
            room.sum_up();
            outlet.send(tick, &room);
        }
        let heard: Vec<i16> = [9, 11, 12, 13, 14].map(|tick| heard(&mut inlet, tick)).into();
        assert_eq!(heard, [0, 11, 0, 13, 0]);
    }

    #[test]
    fn what_nobody_takes_is_not_sent_and_what_comes_after_it_is_heard() {
        let (mut outlet, mut inlet) = link(160, Vec::new());
        let mut room = room(1);
        for tick in 0..10 {
            room.say(0, |frame| {
                frame.fill(100 + tick as i16);
                true
            });
            room.sum_up();
            assert_eq!(outlet.send(tick, &room), tick < PARCELS as u64);
        }
        assert_eq!(heard(&mut inlet, 9), 0, "it was not sent");
        room.say(0, |frame| {
            frame.fill(7);
            true
        });
        room.sum_up();
        outlet.send(10, &room);
        assert_eq!(heard(&mut inlet, 10), 7);
    }
}
