//! What every member of a room hears, against the rule of roles and exact sums.

use super::super::role::{Audience, hears};
use super::*;
use proptest::prelude::*;

const TICK: Duration = Duration::from_millis(20);
const FRAME: usize = 160;

fn room() -> Room {
    Room::new(8_000, TICK)
}

/// A room of participants with the ids 1 to `members`.
fn conference(members: u64) -> Room {
    let mut room = room();
    for id in 1..=members {
        room.join(MemberId(id), Role::Participant).unwrap();
    }
    room
}

fn say(room: &mut Room, place: usize, sample: i16) {
    room.say(place, |frame| {
        frame.fill(sample);
        true
    });
}

/// What every member hears, in order; one sample stands for the frame.
fn heard(room: &mut Room) -> Vec<(Hearing, i16)> {
    room.mix();
    let heard = (0..room.members().len())
        .map(|place| {
            let mut out = [77; FRAME];
            let hearing = room.hear(place, &mut out);
            let frame = if hearing == Hearing::Common { room.common() } else { &out };
            assert!(frame.iter().all(|sample| *sample == frame[0]));
            (hearing, frame[0])
        })
        .collect();
    room.end_tick(|_| {});
    heard
}

#[test]
fn everybody_hears_the_others_and_listeners_share_one_frame() {
    let mut room = conference(3);
    say(&mut room, 0, 100);
    say(&mut room, 1, 20);
    assert_eq!(heard(&mut room), [(Hearing::Own, 20), (Hearing::Own, 100), (Hearing::Common, 120)]);
    assert_eq!(heard(&mut room), [(Hearing::Silence, 0); 3], "what was said is heard once");
}

#[test]
fn a_frame_of_zeros_is_silence() {
    let mut room = conference(2);
    say(&mut room, 0, 0);
    say(&mut room, 1, 5);
    assert_eq!(heard(&mut room), [(Hearing::Common, 5), (Hearing::Own, 0)]);
}

#[test]
fn a_member_that_leaves_takes_its_voice_along() {
    let mut room = conference(3);
    say(&mut room, 0, 1);
    say(&mut room, 1, 10);
    say(&mut room, 2, 100);
    room.leave(MemberId(1)).unwrap();
    let places: Vec<MemberId> = room.members().map(|(id, _)| id).collect();
    assert_eq!(places, [MemberId(3), MemberId(2)]);
    assert_eq!(heard(&mut room), [(Hearing::Own, 10), (Hearing::Own, 100)]);
}

#[test]
fn roles_change_all_at_once_or_not_at_all() {
    let mut room = conference(2);
    let unknown = [(MemberId(1), Role::Muted), (MemberId(9), Role::Muted)];
    assert_eq!(room.assign(&unknown), Err(RoomError::Unknown));
    assert!(room.members().all(|(_, role)| role == Role::Participant));
    assert_eq!(room.join(MemberId(2), Role::Muted), Err(RoomError::Taken));
    assert_eq!(room.leave(MemberId(3)), Err(RoomError::Unknown));
    assert_eq!(room.amplify(MemberId(3), Gain::UNITY), Err(RoomError::Unknown));
}

#[test]
fn the_coach_is_heard_beside_the_customer_by_the_agent_alone() {
    let mut room = conference(2);
    room.join(MemberId(3), Role::Whisper { to: MemberId(2) }).unwrap();
    say(&mut room, 0, 1);
    say(&mut room, 1, 10);
    say(&mut room, 2, 100);
    assert_eq!(heard(&mut room), [(Hearing::Own, 10), (Hearing::Own, 101), (Hearing::Common, 11)]);
}

#[test]
fn who_talks_and_who_speaks_is_told_once() {
    let mut room = conference(2);
    let mut told = Vec::new();
    for tick in 0..40 {
        if tick < 20 {
            say(&mut room, 0, 2_000);
        }
        if tick >= 10 {
            say(&mut room, 1, 8_000);
        }
        room.mix();
        room.end_tick(|news| told.push((tick, news)));
    }
    let (first, second) = (MemberId(1), MemberId(2));
    assert_eq!(
        told,
        [
            (1, News::Talk(first, Talk::Started)),
            (1, News::ActiveSpeaker(Some(first))),
            (11, News::Talk(second, Talk::Started)),
            (11, News::ActiveSpeaker(Some(second))),
            (34, News::Talk(first, Talk::Stopped)),
        ]
    );
}

fn role() -> impl Strategy<Value = Role> {
    let member = (0_u64..8).prop_map(MemberId);
    prop_oneof![
        Just(Role::Participant),
        Just(Role::Muted),
        Just(Role::Monitor),
        Just(Role::Barge),
        proptest::option::of(member.clone()).prop_map(|source| Role::Held { source }),
        member.clone().prop_map(|to| Role::Whisper { to }),
        Just(Role::Announce { to: Audience::All }),
        Just(Role::Announce { to: Audience::Held }),
        member.prop_map(|to| Role::Announce { to: Audience::One(to) }),
    ]
}

type Voices = Vec<(Role, f32, Option<Vec<i16>>)>;

proptest! {
    #[test]
    fn every_ear_hears_the_exact_sum_of_those_it_hears(
        members in proptest::collection::vec(
            (role(), 0.0_f32..9.0, proptest::option::of(proptest::collection::vec(any::<i16>(), FRAME))),
            1..8,
        )
    ) {
        let members: Voices = members;
        let mut room = room();
        for (id, (role, factor, _)) in members.iter().enumerate() {
            let id = MemberId(id as u64);
            room.join(id, *role).unwrap();
            room.amplify(id, Gain::new(*factor)).unwrap();
        }
        for (place, (_, _, voice)) in members.iter().enumerate() {
            if let Some(voice) = voice {
                room.say(place, |frame| { frame.copy_from_slice(voice); true });
            }
        }
        room.mix();
        for sink in 0..members.len() {
            let mut out = [0; FRAME];
            let hearing = room.hear(sink, &mut out);
            let frame = if hearing == Hearing::Common { room.common() } else { &out };
            let named = |place: usize| (MemberId(place as u64), members[place].0);
            for (at, sample) in frame.iter().enumerate() {
                let exact: f64 = (0..members.len())
                    .filter(|source| hears(named(sink), named(*source)))
                    .filter_map(|source| {
                        let (_, factor, voice) = &members[source];
                        let gain = f64::from((factor * 4096.0).round().min(32_767.0)) / 4096.0;
                        Some((f64::from(voice.as_ref()?[at]) * gain + 0.5).floor())
                    })
                    .sum();
                prop_assert_eq!(f64::from(*sample), exact.clamp(-32_768.0, 32_767.0), "{}", sink);
            }
        }
    }
}

/// What the taps of a room hear, one sample for a frame: the mix, then left and right of a party, then every member.
fn tapped(room: &Room, left: Option<usize>, whispers: bool) -> (i16, (i16, i16), Vec<i16>) {
    let (mut mix, mut pair, mut scratch) = ([0; FRAME], [0; 2 * FRAME], [0; FRAME]);
    room.tap_mix(whispers, &mut mix);
    room.tap_parties(left, whispers, &mut scratch, &mut pair);
    assert!(mix.iter().all(|sample| *sample == mix[0]));
    assert!(pair.chunks(2).all(|two| two == &pair[..2]));
    let member = |place| {
        let mut said = [0; FRAME];
        room.tap_member(place, whispers, &mut said);
        assert!(said.iter().all(|sample| *sample == said[0]));
        said[0]
    };
    (mix[0], (pair[0], pair[1]), (0..room.members().len()).map(member).collect())
}

fn any_role(members: u64) -> impl Strategy<Value = Role> {
    let member = (0..=members).prop_map(MemberId);
    prop_oneof![
        Just(Role::Participant),
        Just(Role::Muted),
        Just(Role::Barge),
        Just(Role::Held { source: None }),
        member.prop_map(|to| Role::Whisper { to }),
        Just(Role::Announce { to: Audience::All }),
        Just(Role::Announce { to: Audience::Held }),
    ]
}

proptest! {
    #[test]
    fn taps_sum_to_the_mix_and_whispers_are_in_them_by_policy_alone(
        members in proptest::collection::vec((any_role(6), -3_000_i16..3_000, 0_u16..8_192), 0..6),
        left in 0_usize..6,
        whispers in any::<bool>(),
    ) {
        let mut room = room();
        for (id, (role, sample, gain)) in members.iter().enumerate() {
            room.join(MemberId(id as u64), *role).unwrap();
            room.amplify(MemberId(id as u64), Gain::new(f32::from(*gain) / 4096.0)).unwrap();
            say(&mut room, id, *sample);
        }
        room.mix();
        let left = Some(left).filter(|left| *left < members.len());
        let (mix, (one, others), each) = tapped(&room, left, whispers);
        // Six members of less than 3,000 with gains of less than 2 stay within a sample.
        prop_assert_eq!(i32::from(mix), i32::from(one) + i32::from(others));
        prop_assert_eq!(i32::from(mix), each.iter().map(|said| i32::from(*said)).sum::<i32>());
        let amplified = |place: usize| {
            let (_, sample, gain) = members[place];
            Gain::new(f32::from(gain) / 4096.0).apply(sample) as i16
        };
        let coaches_of = |id: Option<usize>| {
            let to = |place: &usize| matches!(members[*place].0, Role::Whisper { to } if Some(to.0 as usize) == id);
            (0..members.len()).filter(to).map(|place| i32::from(amplified(place))).sum::<i32>()
        };
        // The channel of a party is what it says and, by policy, what is whispered to it: never what is whispered to others.
        let own = left.filter(|place| members[*place].0.is_heard_by_all()).map_or(0, |place| i32::from(amplified(place)));
        let coached = if whispers && left.is_some() { coaches_of(left) } else { 0 };
        prop_assert_eq!(i32::from(one), own + coached);
        for (place, said) in each.iter().enumerate() {
            let role = members[place].0;
            let is_taken = role.is_heard_by_all() || (whispers && matches!(role, Role::Whisper { .. }));
            prop_assert_eq!(*said, if is_taken { amplified(place) } else { 0 });
        }
    }
}
