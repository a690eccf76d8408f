//! A conference over four shards, at the level of packets.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[allow(dead_code, reason = "the relay has helpers of its own")]
mod scene;

use std::collections::BTreeSet;

use allocation_counter::measure;
use media::codec::{Codec, g711};
use media::dsp::SampleRate;
use media::mix::{MemberId, Role, Seating, guests, hears};
use media::{AudioFormat, Command, LegId, RoomId, webs};
use scene::{PTIME, Rtp, Scene, params};

const ROOM: RoomId = RoomId(7);
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
/// Legs on each shard.
const LEGS: u64 = 2;

fn sdp(leg: u64) -> String {
    format!("198.51.100.{leg}:4000")
}

/// Four shards with two legs each, numbered from 1, in one conference with these roles.
fn conference(roles: &[Role; 8]) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = (0..4).map(|_| Scene::empty()).collect();
    let mut seating = Seating::new();
    for ((leg, role), segment) in (1..).zip(roles).zip((0..4).flat_map(|segment| [segment; LEGS as usize])) {
        let scene = &mut scenes[segment];
        seating.insert(MemberId(leg), (segment, *role));
        scene.open(LegId(leg));
        scene.command(Command::Configure { leg: LegId(leg), params: params(&sdp(leg)) });
        scene.command(Command::OpenRoom { room: ROOM });
        scene.command(Command::Join { room: ROOM, leg: LegId(leg), format: PCMU, role: *role });
    }
    let guests = guests(&seating, &[]);
    for (scene, web) in scenes.iter_mut().zip(webs(4, SampleRate::Hz8000, &seating, guests.iter())) {
        scene.shard.connect(ROOM, web);
    }
    scenes
}

/// A packet of constant sound, or of silence.
fn packet(leg: u64, index: u16, loud: bool) -> Rtp {
    let payload = vec![if loud { g711::encode_ulaw(8_000) } else { 0xff }; 160];
    Rtp { payload, ..Rtp::audio(leg as u32, index) }
}

/// The packets of one tick of all shards: the leg, and whether there is sound in it.
fn tick(scenes: &mut [Scene]) -> Vec<(u64, bool)> {
    let mut sent = Vec::new();
    for scene in scenes {
        scene.pass(PTIME);
        scene.shard.tick(scene.now);
        let keys: Vec<_> = (1..=8).filter_map(|leg| Some((leg, scene.shard.key(LegId(leg))?))).collect();
        while let Some((forward, octets)) = scene.shard.poll_transmit() {
            let leg = keys.iter().find(|(_, key)| *key == forward.leg).map(|(leg, _)| *leg);
            if forward.port == media::Port::Rtp {
                sent.push((leg.unwrap(), octets[12..].iter().any(|octet| g711::decode_ulaw(*octet) > 4_000)));
            }
        }
        scene.reports();
    }
    sent
}

#[test]
fn who_hears_whom_is_what_the_roles_say_on_whichever_shard_they_are() {
    let roles = [
        Role::Participant,
        Role::Muted,
        Role::Whisper { to: MemberId(1) },
        Role::Held { source: Some(MemberId(6)) },
        Role::Whisper { to: MemberId(8) },
        Role::Participant,
        Role::Monitor,
        Role::Barge,
    ];
    for talker in 1..=8 {
        let mut scenes = conference(&roles);
        let mut heard = BTreeSet::new();
        for index in 0..20 {
            for leg in 1..=8 {
                let scene = &mut scenes[(leg as usize - 1) / LEGS as usize];
                scene.arrive(LegId(leg), &sdp(leg), &packet(leg, index, leg == talker));
            }
            let sent = tick(&mut scenes);
            assert_eq!(sent.len(), if index == 0 { sent.len() } else { 8 }, "{sent:?}");
            heard.extend(sent.into_iter().filter(|(_, loud)| *loud).map(|(leg, _)| leg));
        }
        let named = |leg: u64| (MemberId(leg), roles[leg as usize - 1]);
        let expected: BTreeSet<u64> = (1..=8).filter(|leg| hears(named(*leg), named(talker))).collect();
        assert_eq!(heard, expected, "{talker} talks");
    }
}

#[test]
fn the_ticks_of_a_conference_over_shards_allocate_nothing() {
    let mut roles = [Role::Participant; 8];
    roles[3] = Role::Whisper { to: MemberId(7) };
    let mut scenes = conference(&roles);
    for index in 0..50 {
        for leg in 1..=8 {
            let scene = &mut scenes[(leg as usize - 1) / LEGS as usize];
            scene.arrive(LegId(leg), &sdp(leg), &packet(leg, index, true));
        }
        for scene in &mut scenes {
            scene.pass(PTIME);
            let allocated = measure(|| {
                scene.shard.tick(scene.now);
                while scene.shard.poll_transmit().is_some() {}
            });
            assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0), "tick {index}");
            while scene.shard.poll_output().is_some() {}
        }
    }
    assert_eq!(scenes.iter().map(|scene| scene.shard.lost_frames()).sum::<u64>(), 0);
}
