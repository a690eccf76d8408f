//! Calls and rooms that go to another shard as a whole: on the wire nothing shows it.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[allow(dead_code, reason = "the relay has helpers of its own")]
mod scene;

use std::time::Duration;

use media::codec::{Codec, g711};
use media::dsp::SampleRate;
use media::mix::{Audience, MemberId, Role};
use media::source::Source;
use media::tap::{Container, RecordingFormat, RecordingId, Tapped};
use media::{AudioFormat, Command, LegId, Party, Port, Report, RoomId};
use scene::{A, A_SDP, B, B_SDP, PTIME, Rtp, Scene, Sent, params, plain};

const ROOM: RoomId = RoomId(7);
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const G722: AudioFormat = AudioFormat { codec: Codec::G722, payload_type: 9, ptime_ms: 20 };

/// Lets a party go from one shard to the other.
fn transfer(from: &mut Scene, to: &mut Scene, party: Party) {
    let departed = from.shard.depart(party);
    to.now = from.now;
    let legs: Vec<LegId> = departed.legs().collect();
    let keys = to.shard.arrive(to.now, departed);
    for (leg, key) in legs.into_iter().zip(keys) {
        assert_eq!(to.shard.key(leg), key, "{leg}");
        assert_eq!(from.shard.key(leg), None, "{leg}");
    }
}

/// Packets both ways through a relayed call, which moves before the fifth of them or not at all; a leg was open on the other shard
/// before, so that the keys are others there.
fn relayed(moves: bool) -> Vec<Option<(std::net::SocketAddr, Rtp)>> {
    let (mut one, mut two) = (Scene::relayed(), Scene::empty());
    two.open(LegId(9));
    let mut sent = Vec::new();
    for index in 0..10 {
        if moves && index == 5 {
            transfer(&mut one, &mut two, Party::Pair(A, B));
        }
        let scene = if moves && index >= 5 { &mut two } else { &mut one };
        for (leg, sdp, ssrc) in [(A, A_SDP, 11), (B, B_SDP, 22)] {
            let passed = scene.arrive(leg, sdp, &Rtp::audio(ssrc, index));
            sent.push(passed.map(|Sent { to, rtp, .. }| (to, rtp)));
        }
        scene.pass(PTIME);
    }
    sent
}

#[test]
fn a_relayed_call_that_moves_is_the_same_on_the_wire() {
    let stays = relayed(false);
    assert!(stays.iter().all(Option::is_some));
    assert_eq!(relayed(true), stays);
}

#[test]
fn the_new_shard_tells_again_whether_a_leg_is_heard() {
    let silent = |leg| Report::Silent { leg };
    let heard = |leg| Report::Heard { leg };
    let wait = |scene: &mut Scene| {
        scene.pass(Duration::from_secs(31));
        scene.shard.tick(scene.now);
        scene.reports()
    };
    let (mut one, mut two) = (Scene::relayed(), Scene::empty());
    assert_eq!(wait(&mut one), [silent(A), silent(B)]);
    transfer(&mut one, &mut two, Party::Pair(A, B));
    two.arrive(A, A_SDP, &Rtp::audio(1, 0));
    let told = wait(&mut two);
    let of = |wanted: LegId| {
        let is_of = |report: &&Report| **report == silent(wanted) || **report == heard(wanted);
        told.iter().filter(is_of).cloned().collect::<Vec<_>>()
    };
    assert_eq!((of(A).first(), of(B).last()), (Some(&heard(A)), Some(&silent(B))), "{told:?}");
    let (mut one, mut two) = (Scene::relayed(), Scene::empty());
    transfer(&mut one, &mut two, Party::Pair(A, B));
    two.pass(Duration::from_secs(2));
    two.shard.tick(two.now);
    assert_eq!(two.reports(), [], "of those that were never silent nothing is told");
}

#[test]
fn a_leg_that_is_echoed_moves_too() {
    let (mut one, mut two) = (Scene::relayed(), Scene::empty());
    one.command(Command::Echo { leg: A, map: plain() });
    transfer(&mut one, &mut two, Party::Pair(A, A));
    let echoed = two.arrive(A, A_SDP, &Rtp::audio(1, 0)).unwrap();
    assert_eq!(echoed.from, two.key(A));
    assert_eq!(one.arrive(B, B_SDP, &Rtp::audio(2, 0)), None, "its partner of before has none");
}

/// What leaves for the legs of a room in which somebody talks and a tone plays, and what is recorded of it; the room moves after
/// a fifth of the time, or not at all.
fn mixed(moves: bool) -> (Vec<(LegId, Rtp)>, usize) {
    let (mut one, mut two) = (Scene::empty(), Scene::empty());
    two.open(LegId(9));
    one.command(Command::OpenRoom { room: ROOM });
    for (leg, sdp, format) in [(A, A_SDP, PCMU), (B, B_SDP, G722)] {
        one.open(leg);
        one.command(Command::Configure { leg, params: params(sdp) });
        one.command(Command::Join { room: ROOM, leg, format, role: Role::Participant });
    }
    let role = Role::Announce { to: Audience::One(MemberId(B.0)) };
    one.command(Command::Play { room: ROOM, member: MemberId(99), source: Source::Milliwatt, role });
    let format = RecordingFormat { container: Container::Wav, rate: SampleRate::Hz16000 };
    let recording = RecordingId(1);
    let (what, file) = (Tapped::Mix, "a file".into());
    one.command(Command::Record { recording, room: ROOM, what, whispers: false, file, format });
    let mut reader = one.taps.pop().unwrap().1;
    let mut sent = Vec::new();
    for index in 0..50u16 {
        if moves && index == 10 {
            transfer(&mut one, &mut two, Party::Room(ROOM));
        }
        let scene = if moves && index >= 10 { &mut two } else { &mut one };
        let sample = |at: u16| g711::encode_ulaw(((index * 160 + at) % 50) as i16 * 200 - 5_000);
        let payload: Vec<u8> = (0..160).map(sample).collect();
        scene.arrive(A, A_SDP, &Rtp { payload, ..Rtp::audio(11, index) });
        scene.pass(PTIME);
        scene.shard.tick(scene.now);
        let keys = [A, B].map(|leg| (leg, scene.key(leg)));
        while let Some((forward, octets)) = scene.shard.poll_transmit() {
            if forward.port == Port::Rtp {
                let leg = keys.iter().find(|(_, key)| *key == forward.leg).unwrap().0;
                sent.push((leg, Rtp::read(octets)));
            }
        }
        scene.reports();
    }
    let mut samples = Vec::new();
    while reader.read(&mut samples).is_some() {}
    (sent, samples.len())
}

#[test]
fn a_room_that_moves_is_the_same_on_the_wire_and_its_recording_goes_on() {
    let (stays, recorded) = mixed(false);
    assert!(stays.len() > 90 && recorded > 40 * 320, "{} {recorded}", stays.len());
    let (moved, recorded_moved) = mixed(true);
    assert_eq!(recorded_moved, recorded);
    for (one, other) in moved.iter().zip(&stays) {
        assert_eq!(one, other);
    }
    assert_eq!(moved.len(), stays.len());
}

/// A leg that sits in the room.
fn seated(leg: LegId, format: AudioFormat) -> Scene {
    let mut scene = Scene::empty();
    scene.open(leg);
    scene.command(Command::Configure { leg, params: params(A_SDP) });
    join(&mut scene, leg, ROOM, format);
    scene
}

fn join(scene: &mut Scene, leg: LegId, room: RoomId, format: AudioFormat) {
    scene.command(Command::OpenRoom { room });
    scene.command(Command::Join { room, leg, format, role: Role::Participant });
}

/// Twenty packets of a leg, one in each tick.
fn talk(scene: &mut Scene, leg: LegId, begin: u16) {
    for index in begin..begin + 20 {
        scene.arrive(leg, A_SDP, &Rtp::audio(11, index));
        scene.pass(PTIME);
        scene.shard.tick(scene.now);
        while scene.shard.poll_transmit().is_some() {}
    }
}

#[test]
fn a_leg_that_goes_to_another_room_or_shard_keeps_its_jitter_buffer_unless_it_speaks_another_codec_there() {
    let other = RoomId(8);
    for (moves, format) in [(true, PCMU), (false, PCMU), (true, G722), (false, G722)] {
        let (mut one, mut two) = (seated(A, PCMU), Scene::empty());
        talk(&mut one, A, 0);
        let scene = if moves {
            transfer(&mut one, &mut two, Party::Leg(A));
            &mut two
        } else {
            &mut one
        };
        join(scene, A, other, format);
        talk(scene, A, 20);
        let figures = scene.shard.jitter_figures(scene.key(A)).unwrap();
        let goes_on = format == PCMU;
        assert_eq!(figures.received, if goes_on { 40 } else { 20 }, "{format:?}");
        if goes_on {
            assert_eq!((figures.restarts, figures.late, figures.discarded), (0, 0, 0));
            assert!(figures.concealed == 0 && figures.inserted == 0, "{figures:?}");
        }
    }
}

#[test]
fn what_a_leg_had_in_its_room_is_over_when_it_is_relayed_where_it_has_gone() {
    let (mut one, mut two) = (seated(A, PCMU), Scene::empty());
    talk(&mut one, A, 0);
    transfer(&mut one, &mut two, Party::Leg(A));
    two.open(B);
    two.command(Command::Configure { leg: B, params: params(B_SDP) });
    two.relay(A, B, plain(), plain());
    assert_eq!(two.shard.jitter_figures(two.key(A)), None);
    join(&mut two, A, RoomId(8), PCMU);
    talk(&mut two, A, 20);
    assert_eq!(two.shard.jitter_figures(two.key(A)).unwrap().received, 20, "it began anew");
}
