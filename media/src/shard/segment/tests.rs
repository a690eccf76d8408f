//! A conference over four segments, against the rule of roles and exact sums: who hears whom, what is recorded, who speaks.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::mix::{Audience, Gain, Hearing, Listening, News, guests, hears};

const SEGMENTS: usize = 4;
const FRAME: usize = 160;

/// A member: its role, its segment, and what it says in every tick at which gain.
type Part = (Role, usize, i16, u16);

struct Conference {
    rooms: Vec<Room>,
    links: Vec<Links>,
    seating: Seating,
    now: Time,
}

/// The members are numbered from zero.
fn conference(parts: &[Part], listening: &[Listening]) -> Conference {
    let numbered = || (0..).map(MemberId).zip(parts);
    let seating: Seating = numbered().map(|(id, (role, segment, ..))| (id, (*segment, *role))).collect();
    let guests = guests(&seating, listening);
    let webs = webs(SEGMENTS, SampleRate::Hz8000, &seating, guests.iter());
    let mut rooms: Vec<Room> = (0..SEGMENTS).map(|_| Room::new(8_000, Duration::from_millis(20))).collect();
    for (id, (role, segment, _, gain)) in numbered() {
        rooms[*segment].join(id, *role).unwrap();
        rooms[*segment].amplify(id, Gain::new(f32::from(*gain) / 4096.0)).unwrap();
    }
    let join = |(room, web): (&mut Room, Web)| {
        let mut links = Links::default();
        links.replace(web);
        let (leads, others) = links.place();
        room.lead(leads, others);
        for (guest, role) in links.guests() {
            room.invite(*guest, *role).unwrap();
        }
        links.find_places(room);
        links
    };
    let links = rooms.iter_mut().zip(webs).map(join).collect();
    Conference { rooms, links, seating, now: Time(1_000_000_000) }
}

fn say(room: &mut Room, id: MemberId, sample: i16) {
    let place = room.place(id).unwrap();
    room.say(place, |frame| {
        frame.fill(sample);
        true
    });
}

impl Conference {
    /// All segments tick once; in the order of their numbers or against it, which must not matter.
    fn tick(&mut self, voices: &[i16], reversed: bool) {
        let order: Vec<usize> =
            if reversed { (0..SEGMENTS).rev().collect() } else { (0..SEGMENTS).collect() };
        for segment in order {
            let (room, links) = (&mut self.rooms[segment], &mut self.links[segment]);
            for (id, (of, _)) in &self.seating {
                if *of == segment {
                    say(room, *id, voices[id.0 as usize]);
                }
            }
            room.sum_up();
            assert_eq!(links.exchange(self.now, room), 0);
            room.saturate();
        }
        self.now = self.now + TICK;
    }

    fn end_tick(&mut self, mut tell: impl FnMut(News)) {
        self.rooms.iter_mut().for_each(|room| room.end_tick(&mut tell));
    }

    /// What a member hears, one sample for the frame.
    fn heard(&self, id: MemberId) -> i16 {
        let room = &self.rooms[self.seating[&id].0];
        let mut out = [77; FRAME];
        let hearing = room.hear(room.place(id).unwrap(), &mut out);
        let frame = if hearing == Hearing::Common { room.common() } else { &out };
        assert!(frame.iter().all(|sample| *sample == frame[0]));
        frame[0]
    }
}

fn part(members: u64) -> impl Strategy<Value = Part> {
    let member = (0..members).prop_map(MemberId);
    let role = prop_oneof![
        4 => Just(Role::Participant),
        1 => Just(Role::Muted),
        1 => Just(Role::Monitor),
        1 => Just(Role::Barge),
        1 => proptest::option::of(member.clone()).prop_map(|source| Role::Held { source }),
        2 => member.clone().prop_map(|to| Role::Whisper { to }),
        1 => Just(Role::Announce { to: Audience::All }),
        1 => Just(Role::Announce { to: Audience::Held }),
        1 => member.prop_map(|to| Role::Announce { to: Audience::One(to) }),
    ];
    (role, 0..SEGMENTS, any::<i16>(), 0_u16..32_768)
}

fn amplified((_, _, sample, gain): Part) -> f64 {
    (f64::from(sample) * f64::from(gain) / 4096.0 + 0.5).floor()
}

fn saturated(sum: f64) -> i16 {
    sum.clamp(-32_768.0, 32_767.0) as i16
}

proptest! {
    #[test]
    fn every_ear_hears_the_exact_sum_of_those_it_hears_wherever_they_are(
        parts in proptest::collection::vec(part(14), 1..14),
        reversed in any::<bool>(),
    ) {
        let mut conference = conference(&parts, &[]);
        let voices: Vec<i16> = parts.iter().map(|part| part.2).collect();
        conference.tick(&voices, reversed);
        conference.end_tick(|_| {});
        conference.tick(&voices, reversed);
        let named = |place: usize| (MemberId(place as u64), parts[place].0);
        for ear in 0..parts.len() {
            let heard = (0..parts.len()).filter(|source| hears(named(ear), named(*source)));
            let exact: f64 = heard.map(|source| amplified(parts[source])).sum();
            prop_assert_eq!(conference.heard(MemberId(ear as u64)), saturated(exact), "{}", ear);
        }
    }

    #[test]
    fn a_recording_in_any_segment_is_the_one_of_the_whole_conference(
        parts in proptest::collection::vec(part(8), 1..8),
        segment in 0..SEGMENTS,
        left in 0_usize..8,
        whispers in any::<bool>(),
    ) {
        let left = left % parts.len();
        let id = MemberId(left as u64);
        let listening = [Listening { segment, member: Some(id), whispers }];
        // Soft, so that nothing saturates and channels can be added.
        let parts: Vec<Part> = parts.into_iter().map(|(role, of, sample, gain)| (role, of, sample / 64, gain / 16)).collect();
        let mut conference = conference(&parts, &listening);
        let voices: Vec<i16> = parts.iter().map(|part| part.2).collect();
        conference.tick(&voices, false);
        conference.end_tick(|_| {});
        conference.tick(&voices, false);
        let room = &conference.rooms[segment];
        let (mut mix, mut pair, mut scratch) = ([0; FRAME], [0; 2 * FRAME], [0; FRAME]);
        room.tap_mix(whispers, &mut mix);
        room.tap_parties(room.place(id), whispers, &mut scratch, &mut pair);
        let sum = |is_in: &dyn Fn(usize, Role) -> bool| {
            let of = parts.iter().enumerate().filter(|(place, part)| is_in(*place, part.0));
            saturated(of.map(|(_, part)| amplified(*part)).sum())
        };
        let whispered = |role: Role, to: Option<bool>| match role {
            Role::Whisper { to: whom } => whispers && to.is_none_or(|to| to == (whom == id)),
            _ => false,
        };
        prop_assert_eq!(mix[0], sum(&|_, role| role.is_heard_by_all() || whispered(role, None)));
        prop_assert_eq!(pair[0], sum(&|place, role| (place == left && role.is_heard_by_all()) || whispered(role, Some(true))));
        prop_assert_eq!(pair[1], sum(&|place, role| (place != left && role.is_heard_by_all()) || whispered(role, Some(false))));
        let mut alone = [0; FRAME];
        room.tap_member(room.place(id).unwrap(), whispers, &mut alone);
        prop_assert_eq!(alone[0], sum(&|place, role| place == left && (role.is_heard_by_all() || whispered(role, None))));
    }
}

#[test]
fn one_segment_tells_who_speaks_in_all_of_them_and_each_who_talks_in_it() {
    let part = |segment| (Role::Participant, segment, 0, 4096);
    let mut conference = conference(&[part(0), part(1), part(2), part(2)], &[]);
    let mut told = Vec::new();
    for tick in 0..60 {
        let (first, third) = if tick < 20 { (0, 2_000) } else { (8_000, 0) };
        conference.tick(&[first, 0, third, 0], false);
        conference.end_tick(|news| told.push(news));
    }
    let speaker = |member| News::ActiveSpeaker(Some(MemberId(member)));
    let speakers: Vec<News> =
        told.iter().filter(|news| matches!(news, News::ActiveSpeaker(_))).copied().collect();
    assert_eq!(speakers, [speaker(2), speaker(0)]);
    let talks = told.iter().filter(|news| matches!(news, News::Talk(..))).count();
    assert_eq!(talks, 3, "two began and one ceased: {told:?}");
}

impl Conference {
    fn join_anew(&mut self) {
        let anew = webs(SEGMENTS, SampleRate::Hz8000, &self.seating, [].iter());
        for (links, (web, room)) in self.links.iter_mut().zip(anew.into_iter().zip(&self.rooms)) {
            links.replace(web);
            links.find_places(room);
        }
    }
}

#[test]
fn what_was_on_its_way_is_heard_however_often_segments_are_joined_anew() {
    let parts = [(Role::Participant, 0, 1_000, 4096), (Role::Participant, 1, 0, 4096)];
    for times in 0..20 {
        let mut conference = conference(&parts, &[]);
        conference.tick(&[1_000, 0], false);
        conference.end_tick(|_| {});
        (0..times).for_each(|_| conference.join_anew());
        assert!(conference.links.iter().all(|links| links.before.len() <= BEFORE * (SEGMENTS - 1)));
        conference.tick(&[1_000, 0], false);
        assert_eq!(conference.heard(MemberId(1)), 1_000, "{times} times");
        conference.end_tick(|_| {});
        conference.tick(&[1_000, 0], false);
        assert_eq!(conference.heard(MemberId(1)), 1_000);
    }
}

#[test]
fn what_was_on_its_way_to_the_last_segment_is_heard() {
    let parts = [(Role::Participant, 0, 0, 4096), (Role::Participant, 1, 1_000, 4096)];
    let mut conference = conference(&parts, &[]);
    conference.tick(&[0, 1_000], false);
    conference.end_tick(|_| {});
    let (room, links) = (&mut conference.rooms[0], &mut conference.links[0]);
    links.replace(Web::default());
    say(room, MemberId(0), 0);
    room.sum_up();
    assert_eq!(links.exchange(conference.now, room), 0);
    room.saturate();
    assert_eq!(conference.heard(MemberId(0)), 1_000);
}

#[test]
fn segments_that_are_joined_anew_faster_than_they_tick_keep_few_links_and_count_what_is_lost() {
    let parts = [(Role::Participant, 0, 1_000, 4096), (Role::Participant, 1, 0, 4096)];
    let mut conference = conference(&parts, &[]);
    // One that sends on every link and never takes in, beside one that is joined anew.
    let mut sending = Vec::new();
    for _ in 0..20 {
        conference.rooms[0].sum_up();
        let (mut outlet, inlet) = link(FRAME, Vec::new());
        assert!(outlet.send(number(conference.now), &conference.rooms[0]));
        sending.push(outlet);
        let web = Web { rate: Some(SampleRate::Hz8000), inlets: vec![inlet], ..Web::default() };
        conference.links[1].replace(web);
        assert!(conference.links[1].before.len() <= BEFORE * (SEGMENTS - 1));
    }
    conference.rooms[1].sum_up();
    let lost = conference.links[1].exchange(conference.now, &mut conference.rooms[1]);
    assert_eq!(lost, 20 - 1 - BEFORE as u64);
}

#[test]
fn segments_tick_at_the_same_times_from_any_time_on() {
    for room in 0..10 {
        for time in (0..50_000_000).step_by(777_777) {
            let aligned = aligned(Time(time), RoomId(room));
            assert!(
                aligned.0 >= time && aligned.0 < time.max(room % 5 * 4_000_000) + 20_000_000,
                "{aligned:?}"
            );
            assert_eq!(aligned.0 % 20_000_000, room % 5 * 4_000_000);
        }
    }
}
