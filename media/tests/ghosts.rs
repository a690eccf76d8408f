//! Phones that go on sending to the ports of calls that are over, from the very host that others call from: nobody hears them,
//! whoever has the ports next, whether that one speaks or not.

#[allow(dead_code, reason = "other tests have helpers of their own")]
mod live;

use std::num::NonZeroUsize;

use live::{LOCAL, Media, Peer, config, packet};
use media::codec::Codec;
use media::io::MediaConfig;
use media::mix::Role;
use media::{AudioFormat, Command, LegId, Report, RoomId};

const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
/// A loud sound and silence, in µ-law.
const LOUD: [u8; 160] = [0x80; 160];
const SILENT: [u8; 160] = [0xff; 160];

const ROUNDS: u64 = 8;
const ROOMS: u64 = 4;
const MEMBERS: u64 = 4;
/// Frames that everybody hears in each round.
const FRAMES: usize = 12;

/// A phone and the port of the switch that it was told.
struct Phone {
    peer: Peer,
    leg: LegId,
    port: u16,
    sent: u16,
    heard: usize,
}

impl Phone {
    fn say(&mut self, payload: &[u8; 160]) {
        self.peer.send(self.port, &packet(0, self.sent, payload));
        self.sent += 1;
    }

    /// Takes what has come; no sound may be in it.
    fn hear_nothing(&mut self, round: u64) {
        while let Some((_, bytes)) = self.peer.poll_now() {
            assert_eq!(bytes[12..], SILENT, "leg {:?} of round {round} hears somebody", self.leg);
            self.heard += 1;
        }
    }
}

/// Phones that were told of their ports and sit in rooms of four.
fn begin(media: &mut Media, round: u64) -> Vec<Phone> {
    let mut phones = Vec::new();
    for room in 0..ROOMS {
        let room = RoomId(round * ROOMS + room);
        media.send(Command::OpenRoom { room });
        for member in 0..MEMBERS {
            let leg = LegId(room.0 * MEMBERS + member);
            let peer = Peer::new("127.0.0.1:0");
            let Report::Opened { legs } = opened(media, leg) else { panic!("no ports for {leg}") };
            media.configure(leg, &peer);
            media.send(Command::Join { room, leg, format: PCMU, role: Role::Participant });
            phones.push(Phone { peer, leg, port: legs[0].1, sent: 0, heard: 0 });
        }
    }
    phones
}

/// The answer to the opening of a leg, whatever is reported before.
fn opened(media: &mut Media, leg: LegId) -> Report {
    let mut report = media.open(&[leg], LOCAL);
    while !matches!(report, Report::Opened { .. } | Report::Refused { .. }) {
        report = media.report();
    }
    report
}

#[test]
fn phones_that_go_on_sending_after_their_call_are_heard_by_nobody() {
    let threads = NonZeroUsize::new(2).expect("two");
    // Twice what one round takes, so that ports come again and again.
    let mut media = Media::start(MediaConfig { threads, ..config(13_800, 13_879) });
    let mut ghosts: Vec<Phone> = Vec::new();
    for round in 0..ROUNDS {
        let mut phones = begin(&mut media, round);
        while phones.iter().any(|phone| phone.heard < FRAMES) {
            ghosts.iter_mut().for_each(|ghost| ghost.say(&LOUD));
            // Every other one never says anything.
            phones.iter_mut().step_by(2).for_each(|phone| phone.say(&SILENT));
            phones.iter_mut().for_each(|phone| phone.hear_nothing(round));
        }
        for phone in phones {
            media.close(phone.leg);
            // Whoever was not heard in its call is a stranger after it.
            if phone.sent > 0 {
                ghosts.push(phone);
            }
        }
        for room in 0..ROOMS {
            media.send(Command::CloseRoom { room: RoomId(round * ROOMS + room) });
        }
    }
}
