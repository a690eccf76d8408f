//! The rooms of a shard: on each tick the members' frames are gathered, mixed, and sent.
//!
//! A room ticks every [`TICK`]. Few rooms tick together, as a wake of the thread costs more than a member; many begin their
//! ticks at different times, so that the work of a shard is spread. A tick that is late does not move those after it. The tick allocates nothing: room for what it sends is made when members join.
//!
//! Left out on purpose: the arithmetic (`mix`), the packets of one leg (`leg/mixed`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arena::{Arena, LegKey};
use super::cost::{self, Costs, Stopwatch};
use super::report::Report;
use super::segment::{self, Links, Web};
use super::shard::{Forward, Output, Port, Wanted};
use super::taps::{Bench, Recordings};
use crate::codec::Codec;
use crate::dsp::SampleRate;
use crate::leg::{Departure, Leg, MAX_FRAME, Mixed};
use crate::mix::{Hearing, MemberId, News, Role, Room};
use crate::source::{Player, Playlist, Sound, Source};
use crate::tap::{RecordingId, Tapped};
use crate::time::Time;

/// How often a room is mixed.
pub(super) const TICK: Duration = Duration::from_millis(TICK_MS as u64);
pub(crate) const TICK_MS: u32 = 20;
/// Rooms begin at so many different times within a tick.
pub(super) const PHASES: usize = 5;
/// From one of them to the next.
pub(super) const APART: u64 = TICK.as_nanos() as u64 / PHASES as u64;
/// Seats that tick at one time before another time is used: some half a millisecond of work.
const TOGETHER: usize = 64;
/// Seats that a room counts as having when it has fewer: its members may be about to come.
const LEAST_SEATS: usize = 8;
/// Ticks that are made up for when the thread was held up; those before are left out.
const CATCH_UP: u32 = 3;
/// The longest payload: 10 ms of L16 in stereo at 48 kHz take 1920 octets.
const MAX_PAYLOAD: usize = 2_048;

/// Names a room. The owner of the calls chooses it; it is unique for the life of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RoomId(pub u64);

/// A room and who sits in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Conference {
    id: RoomId,
    room: Room,
    /// In the order of the room's members.
    seats: Vec<Seat>,
    next_tick: Time,
    /// A restored room is not recorded any more, and not joined with other segments.
    #[serde(skip)]
    pub(super) recordings: Recordings,
    #[serde(skip)]
    links: Links,
}

/// Where the sound of a member comes from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Seat {
    Leg(LegKey),
    Source(Box<Playing>),
    /// Another segment of the conference.
    Elsewhere,
}

/// A source that plays.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Playing {
    member: MemberId,
    source: Source,
    player: Player,
    /// Its end has been told.
    told: bool,
}

impl Conference {
    /// An empty room of telephone quality beside `others`. It begins at the first time within a tick at which there are few
    /// seats, or else at the one with the fewest.
    pub(super) fn new<'a>(now: Time, id: RoomId, others: impl Iterator<Item = &'a Self>) -> Self {
        let mut seats = [0; PHASES];
        for other in others {
            if let Some(seats) = seats.get_mut((other.next_tick.0 % TICK.as_nanos() as u64 / APART) as usize)
            {
                *seats += other.seats.len().max(LEAST_SEATS);
            }
        }
        let few = seats.iter().position(|seats| *seats < TOGETHER);
        let fewest = || seats.iter().zip(0..).min().map_or(0, |(_, phase)| phase);
        let phase = few.unwrap_or_else(fewest) as u64 * APART;
        let tick = TICK.as_nanos() as u64;
        let begun = now.0.saturating_sub(phase) / tick + 1;
        Self {
            id,
            room: Room::new(8_000, TICK),
            seats: Vec::new(),
            next_tick: Time(begun * tick + phase),
            recordings: Recordings::default(),
            links: Links::default(),
        }
    }

    pub(super) const fn id(&self) -> RoomId {
        self.id
    }

    /// The room is on another shard now: its legs have other keys, and what its sources asked for is answered elsewhere. A leg
    /// that has not come along is no member any more.
    pub(super) fn arrive(&mut self, renamed: impl Fn(LegKey) -> Option<LegKey>) {
        let mut lost = Vec::new();
        for (seat, (id, _)) in self.seats.iter_mut().zip(self.room.members()) {
            match seat {
                Seat::Leg(key) => match renamed(*key) {
                    Some(new) => *key = new,
                    None => lost.push(id),
                },
                Seat::Source(playing) => {
                    if let Some(playlist) = playing.player.playlist() {
                        playlist.ask_again();
                    }
                }
                Seat::Elsewhere => {}
            }
        }
        for id in lost {
            self.leave(id);
        }
    }

    pub(super) const fn next_tick(&self) -> Time {
        self.next_tick
    }

    pub(super) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    pub(super) fn room_mut(&mut self) -> &mut Room {
        &mut self.room
    }

    /// The legs that sit here.
    pub(super) fn legs(&self) -> impl Iterator<Item = LegKey> {
        self.seats.iter().filter_map(|seat| match seat {
            Seat::Leg(leg) => Some(*leg),
            Seat::Source(_) | Seat::Elsewhere => None,
        })
    }

    /// A leg that sits here.
    pub(super) fn any_leg(&self) -> Option<LegKey> {
        self.legs().next()
    }

    /// The one other leg, where there are two and nobody elsewhere.
    pub(super) fn counterpart(&self, key: LegKey) -> Option<LegKey> {
        if self.links.is_linked() {
            return None;
        }
        let mut others = self.legs().filter(|leg| *leg != key);
        others.next().filter(|_| others.next().is_none())
    }

    /// Begins a recording that is not there yet.
    pub(super) fn record(&mut self, id: RecordingId, what: Tapped, whispers: bool) {
        self.recordings.begin(id, what, whispers, &self.room);
    }

    /// Takes in a leg that is not there yet. Whether there was a place for it.
    pub(super) fn join(&mut self, id: MemberId, role: Role, key: LegKey) -> bool {
        self.forget_guest(id);
        let joined = self.room.join(id, role).is_ok();
        if joined {
            self.seats.push(Seat::Leg(key));
            self.find_places();
        }
        joined
    }

    /// Joins this room with the other segments of its conference in place of those it was joined with; `legs` are brought to the
    /// rate of all. Allocates.
    pub(super) fn connect(&mut self, web: Web, legs: &mut Arena<Leg>) {
        for (guest, _) in self.links.guests().to_vec() {
            self.forget_guest(guest);
        }
        self.links.replace(web);
        if self.links.is_linked() {
            self.next_tick = segment::aligned(self.next_tick, self.id);
        }
        for (guest, role) in self.links.guests() {
            // Whoever has come here by itself meanwhile is no guest.
            if self.room.invite(*guest, *role).is_ok() {
                self.seats.push(Seat::Elsewhere);
            }
        }
        let (leads, others) = self.links.place();
        self.room.lead(leads, others);
        self.find_places();
        self.tune(legs);
    }

    /// A member of another segment is no guest here any more.
    fn forget_guest(&mut self, id: MemberId) {
        if self.room.place(id).is_some_and(|place| self.room.is_guest(place)) {
            self.leave(id);
        }
    }

    /// Members have come or gone.
    fn find_places(&mut self) {
        self.recordings.find_places(&self.room);
        self.links.find_places(&self.room);
    }

    /// Takes in a source that is not there yet. Whether there was a place for it.
    pub(super) fn play(&mut self, id: MemberId, role: Role, source: Source) -> bool {
        self.forget_guest(id);
        let joined = self.room.join(id, role).is_ok();
        if joined {
            let player = Player::new(&source, self.rate());
            self.seats.push(Seat::Source(Box::new(Playing { member: id, source, player, told: false })));
            self.find_places();
        }
        joined
    }

    /// Adds files to those that a source plays. Whether there is such a source.
    pub(super) fn enqueue(&mut self, member: MemberId, files: Vec<Arc<str>>) -> Option<()> {
        let playing = self.playing().find(|playing| playing.member == member)?;
        playing.player.playlist()?.enqueue(files);
        playing.told = false;
        Some(())
    }

    /// Hands a sound to whoever waits for it.
    pub(super) fn supply(
        &mut self,
        member: MemberId,
        file: &str,
        rate: SampleRate,
        sound: Option<&Arc<Sound>>,
    ) {
        if let Some(playing) = self.playing().find(|playing| playing.member == member) {
            playing.player.supply(file, rate, sound);
        }
    }

    /// Tells what the sources want, and which have come to their end, as long as there is room for so many words.
    pub(super) fn ask(&mut self, mut room_for: usize, mut tell: impl FnMut(Output)) {
        let room = self.id;
        for playing in self.playing() {
            let member = playing.member;
            while room_for > 0
                && let Some((file, rate)) = playing.player.playlist().and_then(Playlist::poll_wanted)
            {
                room_for -= 1;
                tell(Output::Load(Wanted { room, member, file, rate }));
            }
            if room_for > 0 && !playing.told && playing.player.is_ended() {
                room_for -= 1;
                playing.told = true;
                tell(Output::Report(Report::Played { room, member }));
            }
        }
    }

    fn playing(&mut self) -> impl Iterator<Item = &mut Playing> {
        self.seats.iter_mut().filter_map(|seat| match seat {
            Seat::Leg(_) | Seat::Elsewhere => None,
            Seat::Source(playing) => Some(&mut **playing),
        })
    }

    fn rate(&self) -> SampleRate {
        SampleRate::from_hertz(self.room.rate()).unwrap_or(SampleRate::Hz8000)
    }

    /// Brings the room to the rate of its best member, and everybody to that of the room. Allocates.
    pub(super) fn tune(&mut self, legs: &mut Arena<Leg>) {
        let rates = self.seats.iter().filter_map(|seat| match seat {
            Seat::Leg(key) => legs.get(*key)?.mixed.as_ref().map(|mixed| mixed.rate()),
            Seat::Source(_) | Seat::Elsewhere => None,
        });
        let rate = rates.chain(self.links.rate()).max().unwrap_or(SampleRate::Hz8000);
        if rate.hertz() != self.room.rate() {
            self.room.retune(rate.hertz());
            for seat in &mut self.seats {
                if let Seat::Source(playing) = seat {
                    playing.player.retune(&playing.source, rate);
                }
            }
        }
        for seat in &self.seats {
            if let Seat::Leg(key) = seat
                && let Some(mixed) = legs.get_mut(*key).and_then(|leg| leg.mixed.as_mut())
            {
                mixed.tune(rate);
            }
        }
    }

    /// Lets a member go.
    pub(super) fn leave(&mut self, id: MemberId) -> Option<Seat> {
        let place = self.room.place(id)?;
        self.room.leave(id).ok()?;
        let seat = self.seats.swap_remove(place);
        self.find_places();
        Some(seat)
    }

    /// Does the ticks that are due.
    pub(super) fn tick(
        &mut self,
        now: Time,
        legs: &mut Arena<Leg>,
        desk: &mut Desk,
        watch: &mut impl Stopwatch,
        mut tell: impl FnMut(Report),
    ) {
        for _ in 0..CATCH_UP {
            if now < self.next_tick {
                return;
            }
            desk.late(now.since(self.next_tick));
            let due = self.next_tick;
            self.next_tick = due + TICK;
            self.gather(due, legs, desk, watch);
            self.mix(due, desk, watch);
            self.hand_out(due, legs, desk, watch);
            self.recordings.take(&self.room, &mut desk.bench);
            let room = self.id;
            self.room.end_tick(|news| {
                let report = match news {
                    News::Talk(member, talk) => Report::Talk { room, member, talk },
                    News::ActiveSpeaker(member) => Report::Speaker { room, member },
                };
                tell(report);
            });
        }
        if self.next_tick <= now {
            self.leave_out(now, legs, desk);
        }
    }

    /// The ticks that are due are too late: nobody is sent anything for them, but their time passes.
    fn leave_out(&mut self, now: Time, legs: &mut Arena<Leg>, desk: &mut Desk) {
        let ticks = now.since(self.next_tick).as_nanos() / TICK.as_nanos() + 1;
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        self.next_tick = self.next_tick + TICK.saturating_mul(ticks);
        desk.ticks_left_out += u64::from(ticks);
        self.recordings.leave_out(ticks);
        for seat in &self.seats {
            if let Seat::Leg(key) = seat
                && let Some(mixed) = legs.get_mut(*key).and_then(|leg| leg.mixed.as_mut())
            {
                mixed.leave_out(ticks.wrapping_mul(TICK_MS));
            }
        }
    }

    fn mix(&mut self, due: Time, desk: &mut Desk, watch: &mut impl Stopwatch) {
        let begun = cost::is_sampled(self.id.0 as usize, number(due)).then(|| watch.read());
        self.room.sum_up();
        desk.lost_frames += self.links.exchange(due, &mut self.room);
        self.room.saturate();
        if let Some(begun) = begun {
            desk.costs.mix.note(begun, watch.read(), self.seats.len());
        }
    }

    fn gather(&mut self, now: Time, legs: &mut Arena<Leg>, desk: &mut Desk, watch: &mut impl Stopwatch) {
        let Desk { frame: scratch, costs, .. } = desk;
        for (place, seat) in self.seats.iter_mut().enumerate() {
            match seat {
                Seat::Leg(key) => {
                    let Some(mixed) = legs.get_mut(*key).and_then(|leg| leg.mixed.as_mut()) else { continue };
                    let begun = cost::is_sampled(place, number(now)).then(|| watch.read());
                    self.room.say(place, |frame| mixed.say(now, frame, scratch));
                    if let Some(begun) = begun {
                        costs.say[mixed.kind().index()].note(begun, watch.read(), 1);
                    }
                }
                Seat::Source(playing) => self.room.say(place, |frame| playing.player.fill(frame)),
                Seat::Elsewhere => {}
            }
        }
    }

    fn hand_out(&mut self, now: Time, legs: &mut Arena<Leg>, desk: &mut Desk, watch: &mut impl Stopwatch) {
        desk.forget_shared();
        for (place, seat) in self.seats.iter().enumerate() {
            let Seat::Leg(key) = seat else { continue };
            let Some(leg) = legs.get_mut(*key) else { continue };
            let begun = cost::is_sampled(place, number(now)).then(|| watch.read());
            desk.hand(now, &self.room, place, (*key, leg));
            if let (Some(begun), Some(mixed)) = (begun, &leg.mixed) {
                desk.costs.hear[mixed.kind().index()].note(begun, watch.read(), 1);
            }
        }
    }
}

/// The number of a tick, counted from the origin of the clock.
pub(super) const fn number(due: Time) -> u64 {
    due.0 / TICK.as_nanos() as u64
}

/// What the ticks of a shard work with and leave behind.
#[derive(Debug)]
pub(super) struct Desk {
    frame: Vec<i16>,
    /// A frame at the rate of a member.
    converted: Vec<i16>,
    shared: Shared,
    bench: Bench,
    pub(super) outgoing: Outgoing,
    pub(super) costs: Costs,
    pub(super) lateness: Lateness,
    /// Times that rooms were mixed.
    pub(super) ticks: u64,
    /// Ticks that were so late that they were left out.
    pub(super) ticks_left_out: u64,
    /// Frames that were lost between the segments of conferences.
    pub(super) lost_frames: u64,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            frame: vec![0; MAX_FRAME],
            converted: vec![0; MAX_FRAME],
            shared: Shared::default(),
            bench: Bench::default(),
            outgoing: Outgoing::default(),
            costs: Costs::default(),
            lateness: Lateness::default(),
            ticks: 0,
            ticks_left_out: 0,
            lost_frames: 0,
        }
    }
}

impl Desk {
    fn late(&mut self, by: Duration) {
        self.lateness.count(by);
    }

    /// Makes the packets of one leg, which sits at `place`.
    fn hand(&mut self, now: Time, room: &Room, place: usize, (key, leg): (LegKey, &mut Leg)) {
        let Self { frame: own, converted, shared, outgoing, .. } = self;
        let Some(own) = own.get_mut(..room.frame()) else { return };
        let heard = room.hear(place, own);
        let frame = match heard {
            Hearing::Common => room.common(),
            Hearing::Silence | Hearing::Own => own,
        };
        let dials = leg.dialling;
        if dials && let Some((departure, event)) = leg.dial_event(now) {
            if let Some(departure) = departure {
                outgoing.put(key, &departure, &event.payload);
            }
            return;
        }
        let Some(mixed) = leg.mixed.as_mut() else { return };
        if mixed.shares(TICK_MS) && !dials {
            let payload = match heard {
                Hearing::Own => shared.encode_own(mixed, frame),
                Hearing::Common | Hearing::Silence => shared.encode(heard, mixed, frame),
            };
            outgoing.send(now, key, leg, payload);
        } else {
            mixed.hear(frame, converted);
            if dials {
                leg.dial_tones();
            }
            while let Some(payload) = leg.mixed.as_mut().and_then(|mixed| shared.encode_pending(mixed)) {
                outgoing.send(now, key, leg, payload);
            }
        }
    }

    fn forget_shared(&mut self) {
        for payload in &mut self.shared.payloads {
            payload.of = None;
        }
    }
}

/// How late ticks were: counts by powers of two of microseconds, from less than one up to more than half a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    counts: [u64; 20],
}

impl Lateness {
    fn count(&mut self, by: Duration) {
        let bits = u128::BITS - by.as_micros().leading_zeros();
        if let Some(count) = self.counts.get_mut((bits as usize).min(19)) {
            *count += 1;
        }
    }

    /// The counts as they were.
    #[must_use]
    pub const fn from_counts(counts: [u64; 20]) -> Self {
        Self { counts }
    }

    /// The power of two of microseconds that so many thousandths of all ticks were less late than; zero without ticks.
    #[must_use]
    pub fn not_above(&self, thousandths: u64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let mut counted = 0;
        for (count, bound) in self.counts.iter().zip((0..).map(|bits| 1u64 << bits)) {
            counted += count;
            if all > 0 && counted * 1_000 >= all * thousandths {
                return bound;
            }
        }
        0
    }

    /// How many ticks were late by less than 2^n microseconds, but not by less than half of that, for each n.
    #[must_use]
    pub const fn counts(&self) -> &[u64; 20] {
        &self.counts
    }
}

/// Payloads that several members of a room get in one tick.
#[derive(Debug)]
struct Shared {
    payloads: [Payload; 4],
    own: Vec<u8>,
}

#[derive(Debug)]
struct Payload {
    /// What was encoded, and by which codec; `None`: nothing yet.
    of: Option<(Hearing, Codec)>,
    octets: Vec<u8>,
    length: usize,
}

impl Default for Shared {
    fn default() -> Self {
        let payload = || Payload { of: None, octets: vec![0; MAX_PAYLOAD], length: 0 };
        Self { payloads: std::array::from_fn(|_| payload()), own: vec![0; MAX_PAYLOAD] }
    }
}

impl Shared {
    /// Encodes what this member alone hears.
    fn encode_own(&mut self, mixed: &mut Mixed, frame: &[i16]) -> &[u8] {
        let length = mixed.encode(frame, &mut self.own);
        self.own.get(..length).unwrap_or_default()
    }

    /// Encodes what others hear, too, unless it has been encoded in this tick.
    fn encode(&mut self, heard: Hearing, mixed: &mut Mixed, frame: &[i16]) -> &[u8] {
        let wanted = Some((heard, mixed.format().codec));
        let place = self.payloads.iter().position(|payload| payload.of.is_none() || payload.of == wanted);
        let Some(payload) = place.and_then(|place| self.payloads.get_mut(place)) else {
            let length = mixed.encode(frame, &mut self.own);
            return self.own.get(..length).unwrap_or_default();
        };
        if payload.of.is_none() {
            payload.of = wanted;
            payload.length = mixed.encode(frame, &mut payload.octets);
        }
        payload.octets.get(..payload.length).unwrap_or_default()
    }

    /// Encodes the next packet that has gathered in `mixed`, if it is full.
    fn encode_pending(&mut self, mixed: &mut Mixed) -> Option<&[u8]> {
        let length = mixed.encode_pending(&mut self.own)?;
        self.own.get(..length)
    }
}

/// Packets that a tick made, until the driver has sent them.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    octets: Vec<u8>,
    packets: Vec<Packet>,
    /// Packets that were sent, and their octets.
    sent: (usize, usize),
    /// What all members together may need in one tick.
    room: (usize, usize),
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    leg: LegKey,
    destination: SocketAddr,
    /// It follows the one before it.
    length: u16,
}

impl Outgoing {
    /// Makes room for the packets of one more member, as many and as long as one tick may make. Allocates.
    pub(super) fn make_room(&mut self, (packets, octets): (usize, usize)) {
        self.room = (self.room.0 + packets, self.room.1 + octets);
        self.packets.reserve((CATCH_UP as usize * self.room.0).saturating_sub(self.packets.len()));
        self.octets.reserve((CATCH_UP as usize * self.room.1).saturating_sub(self.octets.len()));
    }

    /// A member has gone; the room it needed serves the next one.
    pub(super) fn give_back(&mut self, (packets, octets): (usize, usize)) {
        self.room = (self.room.0.saturating_sub(packets), self.room.1.saturating_sub(octets));
    }

    fn send(&mut self, now: Time, key: LegKey, leg: &mut Leg, payload: &[u8]) {
        if let Some(departure) = leg.depart(now, payload.len()) {
            self.put(key, &departure, payload);
        }
    }

    fn put(&mut self, key: LegKey, departure: &Departure, payload: &[u8]) {
        let needed = departure.header.len() + payload.len();
        let Ok(length) = u16::try_from(needed) else { return };
        // Cannot be full while room was made for every member.
        let room = self.octets.capacity() - self.octets.len();
        if self.packets.len() == self.packets.capacity() || room < needed {
            return;
        }
        self.octets.extend_from_slice(&departure.header);
        self.octets.extend_from_slice(payload);
        self.packets.push(Packet { leg: key, destination: departure.destination, length });
    }

    /// Whether nothing is left to be sent. What was sent is forgotten then.
    pub(super) fn is_empty(&mut self) -> bool {
        let done = self.sent.0 == self.packets.len();
        if done {
            self.forget();
        }
        done
    }

    fn forget(&mut self) {
        self.packets.clear();
        self.octets.clear();
        self.sent = (0, 0);
    }

    /// The next packet to be sent.
    pub(super) fn poll(&mut self) -> Option<(Forward, &mut [u8])> {
        let (packets, begin) = self.sent;
        let Some(packet) = self.packets.get(packets).copied() else {
            self.forget();
            return None;
        };
        let end = begin + usize::from(packet.length);
        self.sent = (packets + 1, end);
        let octets = self.octets.get_mut(begin..end)?;
        let forward = Forward { leg: packet.leg, port: Port::Rtp, destination: packet.destination };
        Some((forward, octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When within a tick, in milliseconds, rooms begin that are opened one after the other and have so many sources each.
    fn beginnings(rooms: u64, sources: u64) -> Vec<u64> {
        let mut open: Vec<Conference> = Vec::new();
        for id in 0..rooms {
            let mut room = Conference::new(Time(77), RoomId(id), open.iter());
            for member in 0..sources {
                let source = Source::Milliwatt;
                assert!(room.play(MemberId(member), Role::Participant, source));
            }
            open.push(room);
        }
        open.iter().map(|room| room.next_tick.0 / 1_000_000 % 20).collect()
    }

    #[test]
    fn lateness_is_told_as_the_bound_that_most_ticks_keep() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.not_above(999), 0);
        for _ in 0..999 {
            lateness.count(Duration::from_micros(60));
        }
        lateness.count(Duration::from_micros(5_000));
        assert_eq!((lateness.not_above(999), lateness.not_above(1_000)), (64, 8_192));
    }

    #[test]
    fn few_rooms_tick_together_and_many_apart() {
        assert_eq!(beginnings(4, 10), [0, 0, 0, 0]);
        assert_eq!(beginnings(4, 100), [0, 4, 8, 12]);
        let many = beginnings(250, 4);
        for phase in [0, 4, 8, 12, 16] {
            assert_eq!(many.iter().filter(|beginning| **beginning == phase).count(), 50);
        }
    }
}
