//! A meeting on the mixer, in virtual time: whatever it is asked for, everybody hears whom the list of its members says, and nobody else.

use super::meeting::{Arrival, Meeting, Place};
use super::order::Order;
use super::output::Output;
use super::person::{Standing, Who};
use super::rules::Rules;
use core::time::Duration;
use media::mix::{Hearing, MemberId, Role, Room};
use sip_stack::Time;
use sip_stack::random::Random;
use std::sync::Arc;

const MEMBERS: u64 = 20;
const TICK: Duration = Duration::from_millis(20);
/// Each member has so many samples of a frame of 160 for itself.
const SLOT: usize = 160 / MEMBERS as usize;
const SAID: i16 = 1_000;

/// Everybody says something in its own part of the frame; who hears whom, as it sounds.
fn heard(room: &mut Room) -> Vec<(u64, Vec<u64>)> {
    let members: Vec<u64> = room.members().map(|(id, _)| id.0).collect();
    for (place, id) in members.iter().enumerate() {
        let own = *id as usize * SLOT..(*id as usize + 1) * SLOT;
        room.say(place, |frame| {
            frame.fill(0);
            frame[own].fill(SAID);
            true
        });
    }
    room.mix();
    let ears = members.iter().enumerate().map(|(place, id)| {
        let mut frame = [0; 160];
        if room.hear(place, &mut frame) == Hearing::Common {
            frame.copy_from_slice(room.common());
        }
        let slots = frame.chunks(SLOT).zip(0..).filter(|(slot, _)| slot.iter().all(|sample| *sample > 0));
        (*id, slots.map(|(_, who)| who).collect())
    });
    let mut ears: Vec<(u64, Vec<u64>)> = ears.collect();
    room.end_tick(|_| ());
    ears.sort();
    ears
}

/// The same as the list of members says it.
fn expected(meeting: &Meeting) -> Vec<(u64, Vec<u64>)> {
    let people = meeting.people();
    let mut inside: Vec<_> = people.iter().filter(|person| !person.waits).collect();
    inside.sort_by_key(|person| person.who);
    let ears = inside.iter().map(|ear| {
        let voices = inside.iter().filter(|voice| voice.who != ear.who && !voice.muted);
        (ear.who, voices.map(|voice| voice.who).collect())
    });
    ears.collect()
}

fn obey(meeting: &mut Meeting, room: &mut Room) {
    while let Some(output) = meeting.poll_output() {
        match output {
            Output::Enter(who, role) => room.join(MemberId(who), role).unwrap(),
            Output::Assign(who, role) => room.assign(&[(MemberId(who), role)]).unwrap(),
            Output::Amplify(who, gain) => room.amplify(MemberId(who), gain).unwrap(),
            // Its call ends.
            Output::SendAway(who, _) => {
                meeting.handle_departure(who);
                let _ = room.leave(MemberId(who));
            }
            Output::Say(..)
            | Output::Count(..)
            | Output::Hold(_)
            | Output::Signal { .. }
            | Output::Tell(_) => {}
        }
    }
}

fn arrive(meeting: &mut Meeting, room: &mut Room, who: Who, arrival: Arrival) {
    let place = meeting.handle_arrival(Time(0), who, arrival);
    if let Place::Room(role) = place {
        room.join(MemberId(who), role).unwrap();
    }
    meeting.handle_present(Time(0), who);
    obey(meeting, room);
}

#[test]
fn with_fifty_changes_a_second_in_a_room_of_twenty_everybody_hears_whom_the_list_says() {
    let mut random = Random::new([7; 32]);
    let rules = Rules { is_ad_hoc: false, ..Rules::default() };
    let (mut meeting, mut room) = (Meeting::new(Arc::new(rules)), Room::new(8_000, TICK));
    arrive(&mut meeting, &mut room, 0, Arrival::CallsAsModerator);
    for who in 1..MEMBERS {
        arrive(&mut meeting, &mut room, who, Arrival::Calls);
    }
    let mut heard_pairs = 0;
    // One change in each tick of 20 ms: a minute of it.
    for tick in 0..3_000_u64 {
        let now = Time(tick * TICK.as_nanos() as u64);
        let (who, on) = (random.next_u64() % MEMBERS, random.next_u64().is_multiple_of(2));
        let order = match random.next_u64() % 9 {
            0 | 1 => Order::Mute(who, on),
            2 => Order::MuteAll(on),
            3 => Order::Stand(who, Standing::Listener),
            4 => Order::Stand(who, Standing::Member),
            5 => Order::Stand(who, Standing::Moderator),
            6 if who != 0 => Order::Kick(who),
            7 => Order::Gain(who, (random.next_u64() % 13) as i8 - 6),
            _ => {
                for key in ['*', '1'] {
                    meeting.handle_key(now, who, key);
                }
                Order::Lock(on)
            }
        };
        // Who was sent away is not there to be changed.
        let _ = meeting.handle_order(order);
        obey(&mut meeting, &mut room);
        let known = expected(&meeting);
        assert_eq!(heard(&mut room), known, "tick {tick}, after {order:?}");
        heard_pairs += known.iter().map(|(_, voices)| voices.len()).sum::<usize>();
        // Whoever was sent away calls again.
        let gone: Vec<Who> =
            (0..MEMBERS).filter(|who| !meeting.people().iter().any(|person| person.who == *who)).collect();
        for who in gone {
            arrive(&mut meeting, &mut room, who, Arrival::Brought);
        }
    }
    assert!(heard_pairs > 100_000, "somebody is heard all the time: {heard_pairs}");
    assert!(room.members().all(|(_, role)| matches!(role, Role::Participant | Role::Muted | Role::Monitor)));
}
