//! Four media threads with real sockets: legs that move between them.

#[allow(dead_code, reason = "one thread has helpers of its own")]
mod live;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use live::{LOCAL, Media, Peer, config, packet, payload_type, sequence};
use media::codec::Codec;
use media::io::MediaConfig;
use media::mix::{MemberId, Role};
use media::rtp::Header;
use media::{AudioFormat, Command, LegId, PayloadMap, PayloadRule, Report, RoomId};

const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
/// A loud sound and silence, in µ-law.
const LOUD: [u8; 160] = [0x80; 160];
const SILENT: u8 = 0xff;

fn four(first: u16, last: u16) -> Media {
    Media::start(MediaConfig { threads: NonZeroUsize::new(4).expect("four"), ..config(first, last) })
}

fn pass() -> PayloadMap {
    PayloadMap::new(&[(0, PayloadRule::Pass(0))])
}

fn relay(media: &mut Media, a: LegId, b: LegId) {
    media.send(Command::Relay { a, b, forward: pass(), backward: pass() });
}

fn join(media: &mut Media, room: RoomId, leg: LegId) {
    media.send(Command::Join { room, leg, format: PCMU, role: Role::Participant });
}

/// A call whose legs have these numbers, each pointed at its peer; their ports. Calls in turn are on threads in turn.
fn call<const N: usize>(media: &mut Media, legs: [u64; N], peers: [&Peer; N]) -> [u16; N] {
    let legs = legs.map(LegId);
    let report = media.open(&legs, LOCAL);
    let Report::Opened { legs: opened } = report else { panic!("{report:?}") };
    for (leg, peer) in legs.iter().zip(peers) {
        media.configure(*leg, peer);
    }
    std::array::from_fn(|place| opened[place].1)
}

fn ssrc(bytes: &[u8]) -> u32 {
    Header::parse(bytes).expect("what is relayed stays RTP").ssrc().0
}

#[test]
fn no_packet_is_lost_while_a_leg_moves_to_another_thread() {
    let (speaker, listener) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = four(13_000, 13_199);
    // Whether its packets leave by leg 1 or 4, the same peer has them.
    let first = call(&mut media, [1, 2], [&listener, &listener]);
    let second = call(&mut media, [3, 4, 5], [&speaker, &listener, &listener]);
    relay(&mut media, LegId(3), LegId(4));
    // Of the same thread, which obeys in order.
    media.close(LegId(5));
    let mut ways = Vec::new();
    for number in 0..200 {
        speaker.send(second[0], &packet(0, number, &[number as u8; 160]));
        if number == 100 {
            relay(&mut media, LegId(1), LegId(3));
        }
        let (port, bytes) = listener.receive();
        assert_eq!(bytes[12..], [number as u8; 160]);
        ways.push((port, sequence(&bytes), ssrc(&bytes)));
    }
    let moved = ways.iter().position(|(port, ..)| *port == first[0]).expect("the leg moved");
    assert!(moved >= 100, "it moved before it was told to");
    for part in [&ways[..moved], &ways[moved..]] {
        assert!(part.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].2 == pair[1].2), "{ways:?}");
        assert!(part.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1)), "{ways:?}");
    }
}

#[test]
fn a_leg_that_moves_goes_on_with_its_own_stream() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = four(13_200, 13_399);
    let ports = call(&mut media, [1, 2], [&a, &a]);
    let others = call(&mut media, [3, 4], [&b, &b]);
    // Leg 1 hears leg 2, then moves to leg 4 and hears that one.
    relay(&mut media, LegId(2), LegId(1));
    let from = |speaker: &Peer, port: u16, first: u16| {
        for number in first..first + 2_000 {
            speaker.send(port, &packet(0, number, &[7; 16]));
            // What is sent before the relay is there is lost, so some more may be needed.
            if let Some((source, bytes)) = a.poll()
                && source == ports[0]
            {
                return bytes;
            }
        }
        panic!("nothing came");
    };
    let before = from(&a, ports[1], 0);
    relay(&mut media, LegId(4), LegId(1));
    // All that leg 2 was sent has left, or never will.
    while a.poll().is_some() {}
    let after = from(&b, others[1], 0);
    assert_eq!(ssrc(&before), ssrc(&after));
    let (before, after) = (sequence(&before), sequence(&after));
    assert!((1..2_000).contains(&after.wrapping_sub(before)), "{before} {after}");
}

#[test]
fn legs_of_four_threads_hear_each_other_in_one_room() {
    let peers: Vec<Peer> = (0..8).map(|_| Peer::new("127.0.0.1:0")).collect();
    let mut media = four(13_400, 13_599);
    let mut ports = Vec::new();
    for (pair, number) in peers.chunks(2).zip(0..) {
        ports.extend(call(&mut media, [2 * number, 2 * number + 1], [&pair[0], &pair[1]]));
    }
    let room = RoomId(1);
    media.send(Command::OpenRoom { room });
    for leg in 0..8 {
        join(&mut media, room, LegId(leg));
    }
    for (speaker, listener) in [(0, 7), (7, 0), (2, 5), (4, 1), (6, 3)] {
        let heard = (0..500).any(|number| {
            peers[speaker].send(ports[speaker], &packet(0, number, &LOUD));
            let (_, bytes) = peers[listener].receive();
            assert_eq!(payload_type(&bytes), 0);
            bytes[12..].iter().any(|octet| *octet != SILENT)
        });
        assert!(heard, "{listener} does not hear {speaker}");
    }
    for leg in 0..8 {
        media.close(LegId(leg));
    }
}

#[test]
fn a_large_room_is_on_all_threads_and_everybody_hears_who_talks() {
    const LEGS: u64 = 48;
    let peers: Vec<Peer> = (0..LEGS).map(|_| Peer::new("127.0.0.1:0")).collect();
    let threads = NonZeroUsize::new(4).expect("four");
    let mut media = Media::start(MediaConfig { threads, whole_rooms: 32, ..config(14_000, 14_399) });
    let mut ports = Vec::new();
    let room = RoomId(1);
    media.send(Command::OpenRoom { room });
    for (peer, leg) in peers.iter().zip(0..) {
        ports.extend(call(&mut media, [leg], [peer]));
        join(&mut media, room, LegId(leg));
    }
    media.obeyed();
    // The last four are on four threads.
    for (speaker, listener) in [(47, 0), (46, 47), (45, 46), (44, 45), (0, 44)] {
        let heard = (0..500).any(|number| {
            peers[speaker].send(ports[speaker], &packet(0, number, &LOUD));
            let (_, bytes) = peers[listener].receive();
            bytes[12..].iter().any(|octet| *octet != SILENT)
        });
        assert!(heard, "{listener} does not hear {speaker}");
    }
    assert!(media.handle.loads().all(|load| load.ticks > 0), "every thread mixes");
    media.send(Command::CloseRoom { room });
    for leg in 0..LEGS {
        media.close(LegId(leg));
    }
}

#[test]
fn legs_sent_about_in_any_order_are_all_closed_in_the_end() {
    const LEGS: u64 = 24;
    let peer = Peer::new("127.0.0.1:0");
    let mut media = four(13_600, 13_899);
    let mut random = 7u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % bound
    };
    for leg in (0..LEGS).step_by(2) {
        call(&mut media, [leg, leg + 1], [&peer, &peer]);
    }
    for room in 0..4 {
        media.send(Command::OpenRoom { room: RoomId(room) });
    }
    for _ in 0..1_000 {
        let (a, b, room) = (LegId(below(LEGS)), LegId(below(LEGS)), RoomId(below(4)));
        let command = match below(5) {
            0 => Command::Relay { a, b, forward: pass(), backward: pass() },
            1 => Command::Part { a, b },
            2 => Command::Echo { leg: a, map: pass() },
            3 => Command::Leave { room, member: MemberId(a.0) },
            _ => Command::Join { room, leg: a, format: PCMU, role: Role::Participant },
        };
        let mut command = Some(command);
        while let Some(next) = command.take() {
            match media.handle.send(next) {
                Ok(answer) => assert_eq!(answer, None),
                Err(full) => command = Some(*full.0),
            }
            media.handle.wake();
        }
    }
    for leg in 0..LEGS {
        media.send(Command::Close { leg: LegId(leg) });
    }
    let mut open: BTreeSet<LegId> = (0..LEGS).map(LegId).collect();
    while !open.is_empty() {
        if let Report::Closed { leg, .. } = media.report() {
            assert!(open.remove(&leg), "{leg} is closed twice");
        }
    }
    // Its ports are free again, whichever thread had them in the end.
    let report = media.open(&[LegId(100), LegId(101)], LOCAL);
    assert!(matches!(report, Report::Opened { .. }), "{report:?}");
    assert!(media.handle.is_running());
}

fn port(report: &Report) -> u16 {
    match report {
        Report::Opened { legs } => legs[0].1,
        other => panic!("{other:?}"),
    }
}

#[test]
fn threads_share_a_range_of_ports_and_use_all_of_it() {
    let mut media = four(13_900, 13_915);
    let mut ports = BTreeSet::new();
    for leg in 0..8 {
        let report = media.open(&[LegId(leg)], LOCAL);
        assert!(ports.insert(port(&report)), "{report:?}");
    }
    assert!(matches!(media.open(&[LegId(8)], LOCAL), Report::Refused { .. }));
    let loads: Vec<_> = media.handle.loads().collect();
    assert_eq!(loads.len(), 4);
    assert!(loads.iter().all(|load| load.ticks_left_out == 0));
}
