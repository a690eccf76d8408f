//! The shard as a pure machine: commands and packets in, rewritten packets and reports out.
//!
//! The packet path ([`Shard::receive`]) and [`Shard::tick`] never allocate, lock, log or block. Commands may allocate: they
//! come a few at a time, and the driver bounds how many it applies per wake.
//!
//! Bounds: the outbox holds 1,024 entries (`outbox`). The answers to commands always enter it, so the driver drains it after
//! each command; news of the packet path and the tick waits with its leg while the outbox is full, is counted
//! ([`Shard::deferred_reports`]) and is tried again at each tick. Who talks in a room is told once and then not again.
//!
//! Left out on purpose: sockets and ports, which the driver binds on [`Output::Bind`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::arena::{Arena, LegKey};
use super::command::{Command, LegAddresses};
use super::control::Alarms;
use super::cost::{Costs, NoWatch, Stopwatch};
use super::mail::Mail;
use super::outbox::Outbox;
use super::report::{LegPorts, RefusalReason, Report};
use super::rooms::{Conference, Desk, Lateness, RoomId, Seat, TICK_MS};
use super::segment::Web;
use crate::dsp::{Conditioning, SampleRate};
use crate::jitter::JitterFigures;
use crate::leg::{
    AudioFormat, Egress, Ghosts, HeardKeys, Leg, LegFigures, LegId, PayloadMap, Relay, StreamParams, Way,
};
use crate::mix::{Gain, MemberId, Role};
use crate::rtp::{PacketKind, Ssrc};
use crate::source::{Sound, SoundFault, Source};
use crate::tap::{RecordingFault, RecordingFigures, RecordingFormat, RecordingId, Tap};
use crate::time::Time;

/// How often legs are looked over for silence and waiting news.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// What a shard is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardConfig {
    /// After how long without RTP a leg is reported as silent.
    pub silence: Duration,
}

/// What a shard wants of its driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Bind a port pair for each leg, all or none, and answer with [`Shard::handle_bound`] or [`Shard::handle_refused`].
    Bind {
        /// The legs and their local addresses.
        legs: LegAddresses,
    },
    /// Decode a file and answer with [`Shard::handle_sound`].
    Load(Wanted),
    /// Write a recording: make a ring, and give one end to [`Shard::attach`]. What becomes of it is reported by whoever
    /// writes.
    Record(Recorded),
    /// The leg is gone; close its sockets.
    Release {
        /// The key the leg had.
        key: LegKey,
        /// Its id.
        leg: LegId,
        /// Who was heard on its port so far, for the next leg there ([`Shard::beware`]).
        ghosts: Ghosts,
    },
    /// Tell the owner of the calls.
    Report(Report),
    /// The packets of a leg are wanted at another time than before; a new leg's are wanted when they arrive.
    Watch {
        /// The leg's key.
        key: LegKey,
        /// When they are wanted.
        watch: Watch,
    },
}

/// When the packets of a leg are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watch {
    /// When they arrive, because they go on at once.
    Arrival,
    /// Before the next tick: until then they only wait. They are handed in with the time of their arrival.
    Tick,
}

/// A sound that is to be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The room of the member that plays it.
    pub room: RoomId,
    /// That member.
    pub member: MemberId,
    /// The file.
    pub file: Arc<str>,
    /// The rate it is wanted at.
    pub rate: SampleRate,
}

/// A recording that is to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Which.
    pub recording: RecordingId,
    /// Channels of its samples, 1 or 2.
    pub channels: usize,
    /// Its file.
    pub file: Arc<str>,
    /// The form of the file.
    pub format: RecordingFormat,
}

/// One of the two ports of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The even one, also for RTCP where both sides agreed to one port (RFC 5761).
    Rtp,
    /// The odd one above it.
    Rtcp,
}

/// A packet that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The leg from which it leaves.
    pub leg: LegKey,
    /// From which of its ports.
    pub port: Port,
    /// Where it goes.
    pub destination: SocketAddr,
}

/// The media of the legs of one thread.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shard {
    config: ShardConfig,
    pub(super) rng: ChaCha20Rng,
    pub(super) legs: Arena<Leg>,
    pub(super) keys: BTreeMap<LegId, LegKey>,
    opening: BTreeSet<LegId>,
    pub(super) rooms: BTreeMap<RoomId, Conference>,
    #[serde(skip)]
    pub(super) desk: Desk,
    /// When the legs report.
    pub(super) alarms: Alarms,
    #[serde(skip)]
    pub(super) mail: Mail,
    pub(super) outbox: Outbox,
    next_scan: Option<Time>,
    pub(super) ignored_commands: u64,
}

impl Shard {
    /// A shard without legs. SSRCs and first numbers are drawn from `seed`.
    #[must_use]
    pub fn new(config: ShardConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            rng: ChaCha20Rng::from_seed(seed),
            legs: Arena::new(),
            keys: BTreeMap::new(),
            opening: BTreeSet::new(),
            rooms: BTreeMap::new(),
            desk: Desk::default(),
            alarms: Alarms::default(),
            mail: Mail::default(),
            outbox: Outbox::default(),
            next_scan: None,
            ignored_commands: 0,
        }
    }

    /// The key of an open leg.
    #[must_use]
    pub fn key(&self, leg: LegId) -> Option<LegKey> {
        self.keys.get(&leg).copied()
    }

    /// What a leg has counted so far.
    #[must_use]
    pub fn figures(&self, leg: LegKey) -> Option<LegFigures> {
        self.legs.get(leg).map(Leg::figures)
    }

    /// How many commands named a leg that is not open, or one leg as its own partner.
    #[must_use]
    pub const fn ignored_commands(&self) -> u64 {
        self.ignored_commands
    }

    /// How many times news had to wait because the outbox was full.
    #[must_use]
    pub const fn deferred_reports(&self) -> u64 {
        self.outbox.deferred()
    }

    /// Obeys a command. May allocate. Drain [`Self::poll_output`] before the next one.
    pub fn handle_command(&mut self, now: Time, command: Command) {
        let obeyed = match command {
            Command::Open { legs } => self.open(legs),
            Command::Configure { leg, params } => self.configure(now, leg, params),
            Command::Relay { a, b, forward, backward } => self.relay(now, (a, forward), (b, backward)),
            Command::Pass { a, b } => self.pass(now, a, b),
            Command::Part { a, b } => self.part(a, b),
            Command::Echo { leg, map } => self.echo(now, leg, map),
            Command::OpenRoom { room } => self.open_room(now, room),
            Command::Join { room, leg, format, role } => self.join(now, room, leg, format, role),
            Command::Play { room, member, source, role } => self.play(room, member, source, role),
            Command::Enqueue { room, member, files } => self.enqueue(room, member, files),
            Command::Assign { room, roles } => self.assign(room, &roles),
            Command::Amplify { room, member, gain } => self.amplify(room, member, gain),
            Command::Condition { leg, conditioning } => self.condition(leg, conditioning),
            Command::Leave { room, member } => self.leave(room, member),
            Command::Record { recording, room, what, whispers, file, format } => {
                let recorded = Recorded { recording, channels: what.channels(), file, format };
                self.record(room, recorded, |conference| conference.record(recording, what, whispers))
            }
            Command::PauseRecording { room, recording, paused } => {
                self.pause_recording(room, recording, paused)
            }
            Command::StopRecording { room, recording } => self.stop_recording(room, recording),
            Command::CloseRoom { room } => self.close_room(room),
            Command::Dial { leg, digits } => self.dial(now, leg, &digits),
            Command::Close { leg } => self.close(now, leg),
        };
        if obeyed.is_none() {
            self.ignored_commands += 1;
        }
    }

    /// The driver has bound the ports of one [`Output::Bind`]. Legs that were not asked for are ignored.
    pub fn handle_bound(&mut self, now: Time, legs: LegPorts) {
        for (leg, _) in &legs {
            if self.opening.remove(leg) {
                self.insert(now, *leg);
            }
        }
        self.outbox.push(Output::Report(Report::Opened { legs }));
    }

    /// Opens a leg whose ports are bound already. Nothing is reported; a leg that is open, or about to be, is left alone
    /// and counted in [`Self::ignored_commands`].
    pub fn adopt(&mut self, now: Time, leg: LegId) -> Option<LegKey> {
        if self.keys.contains_key(&leg) || self.opening.contains(&leg) {
            self.ignored_commands += 1;
            return None;
        }
        Some(self.insert(now, leg))
    }

    /// Tells a leg that has just been opened whom legs before heard on its port, so that it does not. May allocate.
    pub fn beware(&mut self, leg: LegKey, ghosts: Ghosts) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.ingress.beware(ghosts);
        }
    }

    /// Joins a room with the other segments of its conference; `web` is its part of [`webs`](super::webs), and takes the place
    /// of the one before. Allocates.
    pub fn connect(&mut self, room: RoomId, web: Web) {
        match self.rooms.get_mut(&room) {
            Some(conference) => conference.connect(web, &mut self.legs),
            None => self.ignored_commands += 1,
        }
    }

    fn insert(&mut self, now: Time, leg: LegId) -> LegKey {
        let [ssrc, sequence, timestamp] = [(); 3].map(|()| self.rng.next_u32());
        let egress = Egress::new(Ssrc(ssrc), sequence as u16, timestamp);
        self.settle(now, Leg::new(leg, egress))
    }

    /// Gives a leg its place here.
    pub(super) fn settle(&mut self, now: Time, leg: Leg) -> LegKey {
        let id = leg.id;
        let key = self.legs.insert(leg);
        self.keys.insert(id, key);
        self.alarms.make_room(self.keys.len());
        self.next_scan.get_or_insert(now + SCAN_INTERVAL);
        key
    }

    /// The driver could not bind the ports of one [`Output::Bind`].
    pub fn handle_refused(&mut self, legs: &LegAddresses, reason: RefusalReason) {
        let legs = legs.iter().map(|(leg, _)| *leg).inspect(|leg| {
            self.opening.remove(leg);
        });
        let report = Report::Refused { legs: legs.collect(), reason };
        self.outbox.push(Output::Report(report));
    }

    /// A sound of [`Output::Load`] is decoded, or cannot be. Whoever decodes it keeps it as long as a shard has it, so that
    /// the last share of it is never dropped here.
    pub fn handle_sound(&mut self, wanted: &Wanted, sound: Result<Arc<Sound>, SoundFault>) {
        let Wanted { room, member, file, rate } = wanted;
        let Some(conference) = self.rooms.get_mut(room) else { return };
        conference.supply(*member, file, *rate, sound.as_ref().ok());
        if let Err(fault) = sound {
            let (room, member, file) = (*room, *member, Arc::clone(file));
            self.outbox.push(Output::Report(Report::NotPlayed { room, member, file, fault }));
        }
    }

    /// Gives a recording of [`Output::Record`] its ring. A ring for a recording that has ended meanwhile, or with another
    /// number of channels, is dropped, so that its reader ends.
    pub fn attach(&mut self, recording: RecordingId, tap: Tap) {
        let mut tap = Some(tap);
        for conference in self.rooms.values_mut().filter(|conference| conference.recordings.has(recording)) {
            if let Some(tap) = tap.take() {
                conference.recordings.attach(recording, tap);
            }
        }
    }

    /// The writer of a recording has given up, and has said so.
    pub fn handle_unrecorded(&mut self, recording: RecordingId) {
        // It may have ended by itself meanwhile; then it is in no room.
        self.rooms.values_mut().any(|conference| conference.recordings.end(recording));
    }

    /// Takes a datagram that arrived on a leg's RTP port. When it is to go on, it has been rewritten in place.
    ///
    /// Allocates nothing; `packet` is the whole datagram.
    pub fn receive(
        &mut self,
        now: Time,
        leg: LegKey,
        source: SocketAddr,
        packet: &mut [u8],
    ) -> Option<Forward> {
        let from = self.legs.get_mut(leg)?;
        if from.passes_datagrams() {
            return self.pass_datagram(now, leg, source, packet.len());
        }
        if PacketKind::of(packet) == PacketKind::Rtcp {
            self.handle_rtcp(now, leg, Port::Rtp, source, packet);
            return None;
        }
        let mut heard = HeardKeys::new();
        let passing = from.handle_datagram(now, leg, source, packet, &mut heard);
        if from.has_news() {
            self.tell(now, leg);
        }
        if !heard.is_empty() {
            self.pass_keys(now, leg, &heard);
        }
        let passing = passing?;
        let delivered = match self.legs.get_mut(passing.partner) {
            Some(partner) => partner.deliver(now, &passing, packet),
            None => return None,
        };
        match delivered {
            Ok(destination) => Some(Forward { leg: passing.partner, port: Port::Rtp, destination }),
            Err(reason) => {
                self.legs.get_mut(leg)?.handle_undelivered(reason);
                None
            }
        }
    }

    /// A datagram goes on as it is.
    fn pass_datagram(
        &mut self,
        now: Time,
        leg: LegKey,
        source: SocketAddr,
        octets: usize,
    ) -> Option<Forward> {
        let from = self.legs.get_mut(leg)?;
        let partner = from.handle_raw(now, source, octets);
        if from.has_news() {
            self.tell(now, leg);
        }
        let partner = partner?;
        match self.legs.get_mut(partner)?.deliver_raw(octets) {
            Ok(destination) => Some(Forward { leg: partner, port: Port::Rtp, destination }),
            Err(reason) => {
                self.legs.get_mut(leg)?.handle_undelivered(reason);
                None
            }
        }
    }

    /// Reports what a packet has brought to light about a leg.
    pub(super) fn tell(&mut self, now: Time, leg: LegKey) {
        let Some(from) = self.legs.get_mut(leg) else { return };
        self.outbox.offer_news(from);
        if from.control.as_ref().is_some_and(|control| control.collided) {
            self.settle_collision(now, leg);
        }
    }

    /// Counts a datagram on a leg's ports that was larger than the receive buffer.
    pub fn handle_oversized(&mut self, leg: LegKey) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.figures.dropped.oversized += 1;
        }
    }

    /// Counts a packet of [`Self::receive`] that the socket of `leg` refused.
    pub fn handle_unsent(&mut self, leg: LegKey) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.figures.unsent += 1;
        }
    }

    /// Does what time asks for: mixes the rooms whose tick is due, writes RTCP that is due, reports silent legs and news
    /// that waited. What is to be
    /// sent then follows from [`Self::poll_transmit`]. Allocates nothing.
    pub fn tick(&mut self, now: Time) {
        self.tick_watched(now, &mut NoWatch);
    }

    /// The same, and measures what it costs.
    pub fn tick_watched(&mut self, now: Time, watch: &mut impl Stopwatch) {
        let mut mixed = false;
        for room in self.rooms.values_mut() {
            mixed |= room.next_tick() <= now;
            room.tick(now, &mut self.legs, &mut self.desk, watch, |report| {
                self.outbox.offer(Output::Report(report));
            });
            ask(room, &mut self.outbox);
        }
        self.desk.ticks += u64::from(mixed);
        self.handle_alarms(now);
        if self.next_scan.is_none_or(|due| now < due) {
            return;
        }
        self.next_scan = if self.keys.is_empty() { None } else { Some(now + SCAN_INTERVAL) };
        let silence = self.config.silence;
        for leg in self.legs.iter_mut() {
            if leg.news.is_any() {
                self.outbox.offer_news(leg);
            }
            if leg.is_newly_silent(now, silence)
                && self.outbox.offer(Output::Report(Report::Silent { leg: leg.id }))
            {
                leg.news.handle_silence_reported();
            }
        }
    }

    /// After so long a leg of which nothing is heard is silent, from now on.
    pub const fn set_silence(&mut self, silence: Duration) {
        self.config.silence = silence;
    }

    /// The legs whose rooms [`Self::tick`] mixes at `now`: their packets are to be there before.
    pub fn due_legs(&self, now: Time) -> impl Iterator<Item = LegKey> {
        self.rooms.values().filter(move |room| room.next_tick() <= now).flat_map(Conference::legs)
    }

    /// When [`Self::tick`] has something to do; `None` without legs and rooms.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let rooms = self.rooms.values().map(Conference::next_tick);
        rooms.chain(self.next_scan).chain(self.alarms.first()).min()
    }

    /// The next packet that was not there to be rewritten, but made: sound of a room, RTCP. To be drained after each tick,
    /// and before the sockets of a leg are closed.
    pub fn poll_transmit(&mut self) -> Option<(Forward, &mut [u8])> {
        // Asked before, as a loan that is returned lasts to the end.
        if self.desk.outgoing.is_empty() {
            return self.mail.poll();
        }
        self.desk.outgoing.poll()
    }

    /// How many packets of feedback were dropped for want of room.
    #[must_use]
    pub const fn dropped_feedback(&self) -> u64 {
        self.mail.dropped
    }

    /// How many times rooms were mixed; those that tick together count once.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        self.desk.ticks
    }

    /// What members of rooms cost, as far as it was measured.
    #[must_use]
    pub const fn costs(&self) -> &Costs {
        &self.desk.costs
    }

    /// How late the ticks of rooms were.
    #[must_use]
    pub const fn lateness(&self) -> &Lateness {
        &self.desk.lateness
    }

    /// How many ticks of rooms were left out because they were too late.
    #[must_use]
    pub const fn ticks_left_out(&self) -> u64 {
        self.desk.ticks_left_out
    }

    /// How many frames were lost between segments of conferences, because one of them was late.
    #[must_use]
    pub const fn lost_frames(&self) -> u64 {
        self.desk.lost_frames
    }

    /// What the jitter buffer of a leg in a room has counted.
    #[must_use]
    pub fn jitter_figures(&self, leg: LegKey) -> Option<JitterFigures> {
        self.legs.get(leg)?.mixed.as_ref().map(|mixed| mixed.figures())
    }

    /// The next thing the shard wants of its driver.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn open(&mut self, legs: LegAddresses) -> Option<()> {
        let mut fresh = BTreeSet::new();
        let all_fresh = legs.iter().all(|(leg, _)| {
            !self.keys.contains_key(leg) && !self.opening.contains(leg) && fresh.insert(*leg)
        });
        if all_fresh {
            self.opening.append(&mut fresh);
            self.outbox.push(Output::Bind { legs });
        } else {
            let legs = legs.iter().map(|(leg, _)| *leg).collect();
            let reason = RefusalReason::AlreadyOpen;
            self.outbox.push(Output::Report(Report::Refused { legs, reason }));
        }
        Some(())
    }

    fn configure(&mut self, now: Time, leg: LegId, params: StreamParams) -> Option<()> {
        let key = self.key(leg)?;
        self.release_keys(key);
        self.legs.get_mut(key)?.configure(now, params);
        self.begin_control(now, key);
        Some(())
    }

    fn relay(&mut self, now: Time, a: (LegId, PayloadMap), b: (LegId, PayloadMap)) -> Option<()> {
        let (key_a, key_b) = (self.key(a.0)?, self.key(b.0)?);
        let [way_a, way_b] = [a.1, b.1].map(|map| Way::Rtp(map.into()));
        self.pair(now, (key_a, way_a), (key_b, way_b))
    }

    fn pass(&mut self, now: Time, a: LegId, b: LegId) -> Option<()> {
        let (key_a, key_b) = (self.key(a)?, self.key(b)?);
        self.pair(now, (key_a, Way::Datagrams), (key_b, Way::Datagrams))
    }

    fn pair(&mut self, now: Time, a: (LegKey, Way), b: (LegKey, Way)) -> Option<()> {
        if a.0 == b.0 {
            return None;
        }
        for (key, partner, way) in [(a.0, b.0, a.1), (b.0, a.0, b.1)] {
            self.release_keys(key);
            self.vacate(key);
            if self.partner(key).is_some_and(|old| old != partner) {
                self.unpair(key);
            }
            self.legs.get_mut(key)?.relay_to(now, Relay { partner, way });
            // Digits that a room had not sent yet.
            self.begin_dialling(now, key);
        }
        Some(())
    }

    fn part(&mut self, a: LegId, b: LegId) -> Option<()> {
        let (key_a, key_b) = (self.key(a)?, self.key(b)?);
        if self.partner(key_a) == Some(key_b) {
            self.unpair(key_a);
        }
        Some(())
    }

    fn echo(&mut self, now: Time, leg: LegId, map: PayloadMap) -> Option<()> {
        let key = self.key(leg)?;
        self.unpair(key);
        self.vacate(key);
        self.legs.get_mut(key)?.relay_to(now, Relay { partner: key, way: Way::Rtp(map.into()) });
        Some(())
    }

    fn open_room(&mut self, now: Time, room: RoomId) -> Option<()> {
        if self.rooms.contains_key(&room) {
            return None;
        }
        let conference = Conference::new(now, room, self.rooms.values());
        self.rooms.insert(room, conference);
        Some(())
    }

    fn join(&mut self, now: Time, room: RoomId, leg: LegId, format: AudioFormat, role: Role) -> Option<()> {
        let key = self.key(leg)?;
        self.unpair(key);
        self.carry(key);
        if let Some(seated) = self.rooms.get(&room).and_then(Conference::any_leg) {
            self.release_keys(seated);
        }
        let seat = self.rooms.get_mut(&room).zip(self.legs.get_mut(key));
        let joined = seat.and_then(|(conference, sitting)| {
            let mixed = sitting.enter(room, format).ok()?;
            conference.join(MemberId(leg.0), role, key).then_some(mixed)
        });
        let Some(mixed) = joined else {
            self.put_down(key);
            self.outbox.push(Output::Report(Report::NotJoined { room, leg }));
            return Some(());
        };
        self.desk.outgoing.make_room(mixed.at_most(TICK_MS));
        self.legs.get_mut(key)?.mix_in(now, mixed);
        self.outbox.push(Output::Watch { key, watch: Watch::Tick });
        self.rooms.get_mut(&room)?.tune(&mut self.legs);
        Some(())
    }

    fn play(&mut self, room: RoomId, member: MemberId, source: Source, role: Role) -> Option<()> {
        let conference = self.rooms.get_mut(&room)?;
        let joined = conference.play(member, role, source);
        ask(conference, &mut self.outbox);
        joined.then_some(())
    }

    fn enqueue(&mut self, room: RoomId, member: MemberId, files: Vec<Arc<str>>) -> Option<()> {
        let conference = self.rooms.get_mut(&room)?;
        let enqueued = conference.enqueue(member, files);
        ask(conference, &mut self.outbox);
        enqueued
    }

    fn assign(&mut self, room: RoomId, roles: &[(MemberId, Role)]) -> Option<()> {
        self.rooms.get_mut(&room)?.room_mut().assign(roles).ok()
    }

    fn amplify(&mut self, room: RoomId, member: MemberId, gain: Gain) -> Option<()> {
        self.rooms.get_mut(&room)?.room_mut().amplify(member, gain).ok()
    }

    fn condition(&mut self, leg: LegId, conditioning: Conditioning) -> Option<()> {
        let key = self.key(leg)?;
        let leg = self.legs.get_mut(key)?;
        leg.conditioning = conditioning;
        if let Some(mixed) = &mut leg.mixed {
            mixed.condition(conditioning);
        }
        Some(())
    }

    fn leave(&mut self, room: RoomId, member: MemberId) -> Option<()> {
        if let Some(key) = self.key(LegId(member.0)) {
            self.release_keys(key);
        }
        match self.rooms.get_mut(&room)?.leave(member)? {
            Seat::Leg(key) => {
                self.stand_up(key);
                self.put_down(key);
            }
            Seat::Source(_) | Seat::Elsewhere => {}
        }
        self.rooms.get_mut(&room)?.tune(&mut self.legs);
        Some(())
    }

    fn record(
        &mut self,
        room: RoomId,
        recorded: Recorded,
        begin: impl FnOnce(&mut Conference),
    ) -> Option<()> {
        let recording = recorded.recording;
        let running = self.rooms.values().any(|conference| conference.recordings.has(recording));
        let fault = match self.rooms.get_mut(&room) {
            _ if running => RecordingFault::AlreadyRunning,
            None => RecordingFault::NoRoom,
            Some(conference) => {
                begin(conference);
                self.outbox.push(Output::Record(recorded));
                return Some(());
            }
        };
        let figures = RecordingFigures::default();
        self.outbox.push(Output::Report(Report::RecordingFailed { recording, fault, figures }));
        Some(())
    }

    fn pause_recording(&mut self, room: RoomId, recording: RecordingId, paused: bool) -> Option<()> {
        self.rooms.get_mut(&room)?.recordings.pause(recording, paused).then_some(())
    }

    fn stop_recording(&mut self, room: RoomId, recording: RecordingId) -> Option<()> {
        self.rooms.get_mut(&room)?.recordings.end(recording).then_some(())
    }

    fn close_room(&mut self, room: RoomId) -> Option<()> {
        for seat in self.rooms.remove(&room)?.seats() {
            match seat {
                Seat::Leg(key) => {
                    self.release_keys(*key);
                    self.stand_up(*key);
                    self.put_down(*key);
                }
                Seat::Source(_) | Seat::Elsewhere => {}
            }
        }
        Some(())
    }

    /// A leg leaves the room it is in, if any, and what it had there is over.
    pub(super) fn vacate(&mut self, leg: LegKey) {
        self.carry(leg);
        self.put_down(leg);
    }

    fn put_down(&mut self, key: LegKey) {
        if let Some(leg) = self.legs.get_mut(key) {
            leg.put_down();
        }
    }

    /// A leg leaves the room it is in, if any, for another one.
    pub(super) fn carry(&mut self, leg: LegKey) {
        let Some((id, room)) = self.legs.get(leg).and_then(|leg| Some((leg.id, leg.mixed.as_ref()?.room)))
        else {
            return;
        };
        self.release_keys(leg);
        self.stand_up(leg);
        if let Some(conference) = self.rooms.get_mut(&room) {
            conference.leave(MemberId(id.0));
            conference.tune(&mut self.legs);
        }
    }

    /// A leg is in no room any more.
    fn stand_up(&mut self, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        if let Some(mixed) = &leg.mixed {
            self.desk.outgoing.give_back(mixed.at_most(TICK_MS));
            leg.carry();
            self.outbox.push(Output::Watch { key, watch: Watch::Arrival });
        }
    }

    fn close(&mut self, now: Time, id: LegId) -> Option<()> {
        let key = self.keys.remove(&id)?;
        self.unpair(key);
        self.vacate(key);
        let mut leg = self.legs.remove(key)?;
        if self.keys.is_empty() {
            self.alarms.clear();
        }
        self.say_goodbye(now, key, &mut leg);
        self.outbox.push(Output::Release { key, leg: id, ghosts: leg.ingress.ghosts(now) });
        self.outbox.push(Output::Report(Report::Closed { leg: id, figures: Box::new(leg.figures()) }));
        Some(())
    }

    pub(super) fn partner(&self, leg: LegKey) -> Option<LegKey> {
        self.legs.get(leg)?.relay.as_ref().map(|relay| relay.partner)
    }

    /// Ends the relay of a leg and of its partner.
    pub(super) fn unpair(&mut self, leg: LegKey) {
        let Some(partner) = self.partner(leg) else { return };
        self.release_keys(leg);
        for key in [leg, partner] {
            if let Some(leg) = self.legs.get_mut(key) {
                leg.relay = None;
            }
        }
    }
}

/// Lets the sources of a room say what they want, as far as the outbox has room.
pub(super) fn ask(conference: &mut Conference, outbox: &mut Outbox) {
    conference.ask(outbox.room(), |output| outbox.push(output));
}
