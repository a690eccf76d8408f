//! Rooms with real sockets: packets that wake nobody are heard all the same.

#[allow(dead_code, reason = "the relay has helpers of its own")]
mod live;

use live::{A, B, LOCAL, Media, Peer, config, packet, payload_type};
use media::codec::Codec;
use media::mix::{MemberId, Role};
use media::{AudioFormat, Command, LegId, PayloadMap, PayloadRule, Report, RoomId};

const ROOM: RoomId = RoomId(3);
const C: LegId = LegId(3);
const D: LegId = LegId(4);
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
/// A loud sound and silence, in µ-law.
const LOUD: [u8; 160] = [0x80; 160];
const SILENT: u8 = 0xff;

fn join(media: &mut Media, leg: LegId) {
    media.send(Command::Join { room: ROOM, leg, format: PCMU, role: Role::Participant });
}

/// Has `speaker` speak until `listener` hears it; the room's own packets keep the time. The number of the next packet.
fn is_heard(speaker: &Peer, port: u16, listener: &Peer, first: u16) -> u16 {
    for sequence in first..first + 500 {
        speaker.send(port, &packet(0, sequence, &LOUD));
        let (_, bytes) = listener.receive();
        if bytes[12..].iter().any(|octet| *octet != SILENT) {
            return sequence + 1;
        }
    }
    panic!("ten seconds of speech were not heard");
}

#[test]
fn legs_in_a_room_hear_each_other() {
    for (local, first) in [("127.0.0.1:0", 12_400), ("[::1]:0", 12_500)] {
        let (a, b) = (Peer::new(local), Peer::new(local));
        let mut media = Media::start(config(first, first + 99));
        let ports = media.relay(&a, &b);
        media.send(Command::OpenRoom { room: ROOM });
        join(&mut media, A);
        join(&mut media, B);
        media.obeyed();
        is_heard(&a, ports[0], &b, 0);
        is_heard(&b, ports[1], &a, 0);
        assert_eq!(media.close(A).dropped.total(), 0);
    }
}

#[test]
fn a_leg_that_leaves_its_room_is_relayed_when_its_packets_arrive() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(config(12_600, 12_699));
    let ports = media.relay(&a, &b);
    media.send(Command::OpenRoom { room: ROOM });
    join(&mut media, A);
    join(&mut media, B);
    media.obeyed();
    let next = is_heard(&a, ports[0], &b, 0);
    let map = || PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8))]);
    media.send(Command::Relay { a: A, b: B, forward: map(), backward: map() });
    media.send(Command::CloseRoom { room: ROOM });
    media.obeyed();
    // There is no tick any more that could move a packet.
    for sequence in next..next + 20 {
        a.send(ports[0], &packet(0, sequence, &LOUD));
        while payload_type(&b.receive().1) != 8 {}
    }
    assert_eq!(media.close(A).dropped.total(), 0);
}

#[test]
fn a_port_whose_leg_was_in_a_room_serves_the_next_leg() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    // Three pairs: of the legs, and of the one that shows that commands were obeyed.
    let mut media = Media::start(config(12_700, 12_705));
    let ports = media.relay(&a, &b);
    media.send(Command::OpenRoom { room: ROOM });
    join(&mut media, A);
    media.send(Command::Leave { room: ROOM, member: MemberId(A.0) });
    join(&mut media, A);
    media.close(A);
    let opened = media.open(&[C, D], LOCAL);
    let Report::Opened { legs } = opened else { panic!("{opened:?}") };
    assert_eq!(legs[1].1, ports[0]);
    media.configure(D, &a);
    media.send(Command::Echo { leg: D, map: PayloadMap::new(&[(0, PayloadRule::Pass(0))]) });
    // Refused, as all pairs are taken; what was said before is obeyed then.
    assert!(matches!(media.open(&[A], LOCAL), Report::Refused { .. }));
    a.send(ports[0], &packet(0, 1, &[1]));
    while a.receive().1[12..] != [1] {}
}
