//! Datagrams that are no RTP between two legs: fax (UDPTL), and what is unknown.

#[expect(dead_code, reason = "time does not pass here")]
mod scene;

use media::{Command, StreamParams};
use scene::{A, A_SDP, B, B_SDP, Rtp, Scene, at, params, plain};
use std::net::SocketAddr;
use std::time::Duration;

/// A packet of T.38: a sequence number, the primary part, no redundancy. The last two read as RTP and as RTCP do.
const PACKETS: [&[u8]; 4] =
    [b"\x00\x01\x01\x06\x00\x00", b"", &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[0x80, 200, 0, 1]];

fn passing() -> Scene {
    let mut scene = Scene::relayed();
    scene.command(Command::Pass { a: A, b: B });
    scene
}

/// What leaves for a datagram, and from which leg to where.
fn pass(
    scene: &mut Scene,
    leg: media::LegId,
    from: SocketAddr,
    datagram: &[u8],
) -> Option<(media::LegKey, SocketAddr, Vec<u8>)> {
    let mut octets = datagram.to_vec();
    let key = scene.key(leg);
    let forward = scene.shard.receive(scene.now, key, from, &mut octets)?;
    Some((forward.leg, forward.destination, octets))
}

#[test]
fn a_datagram_goes_on_as_it_is_whatever_it_looks_like() {
    let mut scene = passing();
    for packet in PACKETS {
        let there = pass(&mut scene, A, at(A_SDP), packet);
        assert_eq!(there, Some((scene.key(B), at(B_SDP), packet.to_vec())));
        let back = pass(&mut scene, B, at(B_SDP), packet);
        assert_eq!(back, Some((scene.key(A), at(A_SDP), packet.to_vec())));
    }
    let figures = scene.shard.figures(scene.key(A)).unwrap();
    assert_eq!((figures.packets_in, figures.packets_out, figures.octets_in), (4, 4, 22));
}

#[test]
fn a_third_party_neither_sends_nor_receives() {
    let mut scene = passing();
    assert_eq!(pass(&mut scene, A, at("203.0.113.66:7"), PACKETS[0]), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.foreign, 1);
    let (_, to, _) = pass(&mut scene, B, at(B_SDP), PACKETS[0]).unwrap();
    assert_eq!(to, at(A_SDP));
}

#[test]
fn the_port_that_a_nat_has_chosen_is_learnt() {
    let mut scene = passing();
    let mapped = SocketAddr::new(at(A_SDP).ip(), 999);
    assert!(pass(&mut scene, A, mapped, PACKETS[0]).is_some());
    let (_, to, _) = pass(&mut scene, B, at(B_SDP), PACKETS[0]).unwrap();
    assert_eq!(to, mapped);
}

#[test]
fn directions_hold_for_datagrams_too() {
    let mut scene = passing();
    scene.command(Command::Configure { leg: A, params: StreamParams { send: false, ..params(A_SDP) } });
    assert_eq!(pass(&mut scene, A, at(A_SDP), PACKETS[0]), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.not_sending, 1);
    scene.command(Command::Configure { leg: A, params: StreamParams { receive: false, ..params(A_SDP) } });
    assert_eq!(pass(&mut scene, B, at(B_SDP), PACKETS[0]), None);
    assert_eq!(scene.shard.figures(scene.key(B)).unwrap().dropped.not_receiving, 1);
}

#[test]
fn a_leg_goes_from_sound_to_datagrams_and_back() {
    let mut scene = passing();
    assert!(pass(&mut scene, A, at(A_SDP), PACKETS[0]).is_some());
    scene.relay(A, B, plain(), plain());
    assert_eq!(pass(&mut scene, A, at(A_SDP), PACKETS[0]), None, "no RTP");
    assert!(scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).is_some());
    scene.command(Command::Part { a: A, b: B });
    assert_eq!(pass(&mut scene, A, at(A_SDP), PACKETS[0]), None);
}

#[test]
fn nobody_passes_datagrams_to_itself() {
    let mut scene = passing();
    scene.command(Command::Pass { a: A, b: A });
    assert_eq!(scene.shard.ignored_commands(), 1);
    assert!(pass(&mut scene, A, at(A_SDP), PACKETS[0]).is_some());
}

#[test]
fn nobody_who_speaks_no_rtp_is_sent_reports_or_a_farewell() {
    let mut scene = passing();
    for _ in 0..60 {
        scene.now = scene.now + Duration::from_secs(1);
        assert!(pass(&mut scene, A, at(A_SDP), PACKETS[0]).is_some());
        scene.shard.tick(scene.now);
        assert!(scene.shard.poll_transmit().is_none());
    }
    scene.command(Command::Close { leg: A });
    assert!(scene.shard.poll_transmit().is_none());
}
