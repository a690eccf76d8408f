//! The packet path and the tick allocate nothing, under a counting allocator.

#[expect(dead_code, reason = "the bytes that leave are compared in relay.rs")]
mod scene;

use std::time::Duration;

use allocation_counter::measure;
use media::{Command, PayloadMap, PayloadRule, Shard};
use scene::{A, A_SDP, B, B_SDP, PTIME, Rtp, Scene, at, params, plain};

/// Allocations while `packets` arrive on leg A, each from its source.
fn allocations(scene: &mut Scene, packets: &[(&str, Vec<u8>)]) -> u64 {
    let mut packets: Vec<_> = packets.iter().map(|(source, bytes)| (at(source), bytes.clone())).collect();
    let (key, start) = (scene.key(A), scene.now);
    let shard: &mut Shard = &mut scene.shard;
    let info = measure(|| {
        let mut now = start;
        for (source, bytes) in &mut packets {
            now = now + PTIME;
            shard.receive(now, key, *source, bytes);
            shard.receive_rtcp(now, key, *source, &[0x80, 201, 0, 1, 0, 0, 0, 9]);
            shard.handle_oversized(key);
            shard.handle_unsent(key);
            shard.tick(now);
        }
    });
    info.count_total
}

#[test]
fn relaying_allocates_nothing() {
    let mut scene = Scene::relayed();
    let packets: Vec<_> = (0..1000).map(|index| (A_SDP, Rtp::audio(1, index).bytes())).collect();
    assert_eq!(allocations(&mut scene, &packets), 0);
    assert_eq!(scene.shard.figures(scene.key(B)).unwrap().packets_out, 1000);
}

#[test]
fn converting_allocates_nothing() {
    let mut scene = Scene::relayed();
    scene.relay(A, B, PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8))]), plain());
    let packets: Vec<_> = (0..1000).map(|index| (A_SDP, Rtp::audio(1, index).bytes())).collect();
    assert_eq!(allocations(&mut scene, &packets), 0);
}

#[test]
fn passing_datagrams_allocates_nothing() {
    let mut scene = Scene::relayed();
    scene.command(Command::Pass { a: A, b: B });
    let packets: Vec<_> =
        (0..500).flat_map(|_| [(A_SDP, vec![7; 40]), ("203.0.113.66:1", vec![7])]).collect();
    assert_eq!(allocations(&mut scene, &packets), 0);
    assert_eq!(scene.shard.figures(scene.key(B)).unwrap().packets_out, 500);
}

#[test]
fn new_sources_third_parties_noise_and_drops_allocate_nothing() {
    let mut scene = Scene::relayed();
    let mut nat = params("192.168.1.5:4000");
    nat.signalling = at("203.0.113.9:0").ip();
    scene.command(Command::Configure { leg: A, params: nat });
    let mut packets = Vec::new();
    for index in 0..300u16 {
        packets.push(("203.0.113.9:61234", Rtp::audio(u32::from(index / 7), index).bytes()));
        packets.push(("203.0.113.9:61235", Rtp::audio(77, index).bytes()));
        packets.push(("203.0.113.66:4000", Rtp::audio(78, index).bytes()));
        packets.push(("203.0.113.9:61234", Rtp { payload_type: 13, ..Rtp::audio(1, index) }.bytes()));
        packets.push(("203.0.113.9:61234", vec![0x80, 200, 0, 0]));
        packets.push(("203.0.113.9:61234", vec![0x17; 40]));
    }
    assert_eq!(allocations(&mut scene, &packets), 0);
    scene.command(Command::Part { a: A, b: B });
    assert_eq!(allocations(&mut scene, &packets), 0);
}

#[test]
fn silent_legs_and_a_full_outbox_make_the_tick_allocate_nothing() {
    let mut scene = Scene::empty();
    for pair in 0..600 {
        let (a, b) = (media::LegId(2 * pair), media::LegId(2 * pair + 1));
        for (leg, sdp) in [(a, A_SDP), (b, B_SDP)] {
            scene.open(leg);
            scene.command(Command::Configure { leg, params: params(sdp) });
        }
        scene.relay(a, b, plain(), plain());
    }
    let now = scene.now + Duration::from_secs(60);
    let shard = &mut scene.shard;
    assert_eq!(measure(|| shard.tick(now)).count_total, 0);
    assert_eq!(shard.deferred_reports(), 1200 - 1024);
}

#[test]
fn a_restored_shard_relays_without_allocating() {
    let mut scene = Scene::relayed();
    let stored = postcard::to_allocvec(&scene.shard).unwrap();
    scene.shard = postcard::from_bytes(&stored).unwrap();
    let packets: Vec<_> = (0..100).map(|index| (A_SDP, Rtp::audio(1, index).bytes())).collect();
    assert_eq!(allocations(&mut scene, &packets), 0);
    assert_eq!(scene.shard.figures(scene.key(B)).unwrap().packets_out, 100);
}
