//! Many rooms on a shard, and rooms and legs that go from shard to shard: no ear hears a room that is not its own.
//!
//! Each member but one says one value for ever, that of its room, so whatever it hears is a small multiple of it, sample by sample.
//! The one who is silent hears what others might share with it.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[allow(dead_code, reason = "the relay has helpers of its own")]
mod scene;

use std::time::Duration;

use media::codec::{Channels, Codec, g711};
use media::dsp::SampleRate;
use media::mix::{MemberId, Role, Seating, guests};
use media::{AudioFormat, Command, LegId, Party, Port, RoomId, webs};
use scene::{Rtp, Scene, at, params};

const LEGS: u64 = 4;
/// Rooms begin their ticks so far apart.
const STEP: Duration = Duration::from_millis(4);

/// One party.
struct Member {
    leg: LegId,
    room: RoomId,
    sdp: String,
    shard: usize,
    talks: bool,
    /// Frames in which it heard all others of its room.
    full: usize,
}

impl Member {
    fn new(room: u64, seat: u64, shard: usize) -> Member {
        let leg = LEGS * room + seat + 1;
        let sdp = format!("198.51.{}.{}:4000", leg / 200, leg % 200 + 1);
        Member { leg: LegId(leg), room: RoomId(room), sdp, shard, talks: seat > 0, full: 0 }
    }

    /// Codecs of which several ears get the same payload, and one in which each sample is exact.
    fn format(&self) -> AudioFormat {
        let (codec, payload_type) = match self.room.0 % 3 {
            0 => (Codec::Pcmu, 0),
            1 => (Codec::Pcma, 8),
            _ => (Codec::L16 { rate: SampleRate::Hz8000, channels: Channels::Mono }, 97),
        };
        AudioFormat { codec, payload_type, ptime_ms: 20 }
    }

    fn encoded(&self, sample: i16) -> Vec<u8> {
        match self.format().codec {
            Codec::Pcmu => vec![g711::encode_ulaw(sample)],
            Codec::Pcma => vec![g711::encode_alaw(sample)],
            _ => sample.to_be_bytes().into(),
        }
    }

    /// What everybody in its room says.
    fn said(&self) -> i16 {
        let sample = 2_000 + 9 * self.room.0 as i16;
        match self.format().codec {
            Codec::Pcmu => g711::decode_ulaw(g711::encode_ulaw(sample)),
            Codec::Pcma => g711::decode_alaw(g711::encode_alaw(sample)),
            _ => sample,
        }
    }

    fn packet(&self, index: u16) -> Rtp {
        let payload = self.encoded(if self.talks { self.said() } else { 0 }).repeat(160);
        Rtp { payload_type: self.format().payload_type, payload, ..Rtp::audio(self.leg.0 as u32, index) }
    }

    /// A frame is made of none or `most` of the others of its room.
    fn hear(&mut self, payload: &[u8], most: i16) {
        let heard: Vec<Vec<u8>> = (0..=most).map(|count| self.encoded(count * self.said())).collect();
        let frame = |sample: &[u8]| payload == sample.repeat(160);
        let others = LEGS as usize - if self.talks { 2 } else { 1 };
        if frame(&heard[others]) {
            self.full += 1;
            return;
        }
        for sample in payload.chunks(heard[0].len()) {
            let known = heard.iter().any(|known| known == sample);
            assert!(known, "{:?} in {:?} hears {sample:?}, not some of {heard:?}", self.leg, self.room);
        }
    }
}

struct World {
    scenes: Vec<Scene>,
    members: Vec<Member>,
    /// Voices that are heard at once at most.
    most: i16,
}

impl World {
    /// So many rooms with four members each, room after room on one shard after the other.
    fn new(shards: usize, rooms: u64) -> World {
        let scenes = (0..shards).map(|_| Scene::empty()).collect();
        let mut world = World { scenes, members: Vec::new(), most: LEGS as i16 - 1 };
        for room in 0..rooms {
            let shard = room as usize % shards;
            world.scenes[shard].command(Command::OpenRoom { room: RoomId(room) });
            for seat in 0..LEGS {
                let member = Member::new(room, seat, shard);
                let leg = member.leg;
                world.scenes[shard].open(leg);
                world.scenes[shard].command(Command::Configure { leg, params: params(&member.sdp) });
                world.members.push(member);
                world.join(leg);
            }
        }
        world
    }

    fn place(&self, leg: LegId) -> usize {
        leg.0 as usize - 1
    }

    fn join(&mut self, leg: LegId) {
        let member = &self.members[self.place(leg)];
        let (room, format) = (member.room, member.format());
        let reports =
            self.scenes[member.shard].command(Command::Join { room, leg, format, role: Role::Participant });
        assert_eq!(reports, []);
    }

    /// A party goes to another shard.
    fn transfer(&mut self, party: Party, from: usize, to: usize) {
        let departed = self.scenes[from].shard.depart(party);
        let legs: Vec<LegId> = departed.legs().collect();
        let now = self.scenes[to].now;
        assert!(self.scenes[to].shard.arrive(now, departed).iter().all(Option::is_some));
        for leg in legs {
            let place = self.place(leg);
            self.members[place].shard = to;
        }
    }

    /// Joins the segments of a room on all shards where it has members.
    fn connect(&mut self, room: RoomId) {
        let of_room = || self.members.iter().filter(|member| member.room == room);
        let mut segments: Vec<usize> = of_room().map(|member| member.shard).collect();
        segments.sort_unstable();
        segments.dedup();
        let number = |shard| segments.iter().position(|segment| *segment == shard).unwrap();
        let seating: Seating = of_room()
            .map(|member| (MemberId(member.leg.0), (number(member.shard), Role::Participant)))
            .collect();
        let guests = guests(&seating, &[]);
        let webs = webs(segments.len(), SampleRate::Hz8000, &seating, guests.iter());
        for (shard, web) in segments.into_iter().zip(webs) {
            self.scenes[shard].shard.connect(room, web);
        }
    }

    /// Everybody says the `index`th packet, and hears what leaves in the 20 ms after it.
    fn talk(&mut self, index: u16) {
        for member in &self.members {
            let passed = self.scenes[member.shard].arrive(member.leg, &member.sdp, &member.packet(index));
            assert_eq!(passed, None);
        }
        for _ in 0..5 {
            for at in 0..self.scenes.len() {
                self.scenes[at].pass(STEP);
                let now = self.scenes[at].now;
                self.scenes[at].shard.tick(now);
                self.hear(at);
                self.scenes[at].reports();
            }
        }
    }

    /// What leaves a shard goes to its legs alone, each at its own address.
    fn hear(&mut self, shard: usize) {
        let scene = &mut self.scenes[shard];
        let here = self.members.iter_mut().filter(|member| member.shard == shard);
        let mut ears: Vec<_> = here.map(|member| (scene.shard.key(member.leg).unwrap(), member)).collect();
        ears.sort_by_key(|(key, _)| *key);
        while let Some((forward, octets)) = scene.shard.poll_transmit() {
            if forward.port == Port::Rtcp {
                continue;
            }
            let place = ears.binary_search_by_key(&forward.leg, |(key, _)| *key).unwrap();
            let member = &mut ears[place].1;
            assert_eq!(forward.destination, at(&member.sdp));
            member.hear(&Rtp::read(octets).payload, self.most);
        }
    }

    /// Everybody heard everybody else of its room in so many ticks at least.
    fn assert_heard(&self, ticks: usize) {
        for member in &self.members {
            assert!(member.full >= ticks, "{:?} in {:?}: {}", member.leg, member.room, member.full);
        }
    }
}

#[test]
fn no_ear_of_many_rooms_on_a_shard_hears_another_room() {
    let mut world = World::new(1, 250);
    for index in 0..120 {
        world.talk(index);
    }
    world.assert_heard(100);
}

#[test]
fn no_ear_hears_another_room_when_rooms_go_from_shard_to_shard() {
    let mut world = World::new(4, 40);
    for index in 0..300 {
        // One room after the other goes to the next shard, two in a tick.
        for room in [u64::from(index) % 40, (u64::from(index) + 7) % 40] {
            let from = world.members[(LEGS * room) as usize].shard;
            world.transfer(Party::Room(RoomId(room)), from, (from + 1) % 4);
        }
        world.talk(index);
    }
    world.assert_heard(250);
}

#[test]
fn no_ear_hears_another_room_when_legs_go_to_segments_on_other_shards() {
    let mut world = World::new(4, 40);
    // A leg that has gone still comes in the frame that its segment of before had sent.
    world.most = LEGS as i16;
    for room in 0..40 {
        for shard in 0..4 {
            world.scenes[shard].command(Command::OpenRoom { room: RoomId(room) });
        }
    }
    for index in 0..300u16 {
        // A leg of one room goes to the next shard, and its segments are joined anew.
        let leg = LegId(u64::from(index) * 7 % (40 * LEGS) + 1);
        let (room, from) = (world.members[world.place(leg)].room, world.members[world.place(leg)].shard);
        world.transfer(Party::Leg(leg), from, (from + 1) % 4);
        world.join(leg);
        world.connect(room);
        world.talk(index);
    }
    world.assert_heard(150);
}
