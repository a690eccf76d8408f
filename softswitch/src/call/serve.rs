//! Calls that the switch answers itself: conferences, echo, test tone, and files that are played.
//!
//! Recordings of conferences begin with the first who enters, or with each; their files are named by time and call alone. Who may enter a
//! conference and what is done there is decided by its meeting ([`crate::rooms`], `meetings`).

use super::agreement::{Agreement, Path};
use super::call::{Call, CallId, Phase, Side};
use super::formats::{Formats, PTIME_MS, decoded};
use super::recording::{Announced, Recordings, Take};
use super::speech::About;
use crate::config::{Conference, Layout, Recording, Service};
use crate::core::Unrecorded;
use crate::core::environment::Environment;
use crate::prompts::{Counted, What};
use crate::rooms::{Arrival, Meeting, Place, Rules, Who};
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use media::dsp::Conditioning;
use media::mix::{Audience, MemberId, Role};
use media::source::Source;
use media::tap::Tapped;
use media::{AudioFormat, Command, PayloadMap, RoomId};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of a caller between two looks at them; more are left out.
pub(super) const KEYS: usize = 16;
/// The member that plays into a room; legs have the numbers of calls, which do not come so far.
pub(super) const PLAYER: MemberId = MemberId(u64::MAX);

/// What a caller is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Served {
    service: Service,
    /// Where it is mixed; an echo is not.
    room: Option<RoomId>,
    /// As what, where it is no conference.
    role: Role,
    /// How it has joined.
    format: Option<AudioFormat>,
    /// The caller has acknowledged our answer: before, it may not hear us yet.
    acknowledged: bool,
    /// It has been given what begins then.
    attended: bool,
    /// It is being recorded, if its conference is.
    recorded: bool,
    /// When the call is over by itself: all has been played.
    pub(super) ends_at: Option<Time>,
    /// The conference that it has called, whether it is in it yet or not.
    pub(super) attendance: Option<Attendance>,
}

/// A caller of a conference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attendance {
    pub(super) conference: RoomId,
    /// Its number, which the caller may not have dialled.
    pub(super) number: Bytes,
    /// It is in the conference; else in its lobby, alone.
    pub(super) inside: bool,
    /// How it is in there.
    pub(super) role: Role,
    /// What it has pressed since the conference was asked.
    pub(super) keys: SmallVec<[char; KEYS]>,
    /// When the conference wants to be asked.
    pub(super) until: Option<Time>,
    /// It hears music when what is said is over.
    pub(super) music: bool,
}

impl Served {
    /// Whether what begins with the caller is to begin now.
    const fn is_due(&self) -> bool {
        self.acknowledged && !self.attended && self.format.is_some()
    }

    /// The room in which the caller hears us.
    pub(super) fn joined_in(&self) -> Option<RoomId> {
        self.room.filter(|_| self.attended)
    }

    /// Whether what the caller says is heard, and it hears.
    pub(super) const fn is_up(&self) -> bool {
        self.acknowledged && self.format.is_some()
    }

    /// Where the caller is mixed.
    pub(super) const fn room(&self) -> Option<RoomId> {
        self.room
    }

    /// The conference that the caller is in.
    pub(super) fn inside(&self) -> Option<&Attendance> {
        self.attendance.as_ref().filter(|attendance| attendance.inside)
    }

    /// What it hears and who hears it.
    fn role(&self) -> Role {
        self.inside().map_or(self.role, |attendance| attendance.role)
    }

    /// The caller goes into another conference; how it is to join there, if it had joined.
    pub(super) fn change_to(&mut self, service: Service) -> Option<AudioFormat> {
        (self.service, self.recorded, self.attendance) = (service, false, None);
        self.format
    }

    /// Whether the caller is mixed already.
    pub(super) const fn has_joined(&self) -> bool {
        self.format.is_some()
    }

    /// The caller is somewhere else from now on; how it is to join there, if it had joined.
    pub(super) fn go_to(&mut self, room: RoomId) -> Option<AudioFormat> {
        self.room = Some(room);
        self.format
    }

    /// Whether we understand what a party speaks who is not asked for anything else.
    pub(super) fn understands(&self, spoken: &Formats) -> bool {
        self.room.is_none() || spoken.first().is_some_and(|codec| decoded(codec).is_some())
    }

    /// A guest of a call between two others, in the room of which it is.
    pub(super) fn guest(room: RoomId) -> Served {
        Served { room: Some(room), ..Served::new(Service::Conference(Conference::default())) }
    }

    /// What the caller is given.
    pub(super) const fn service(&self) -> &Service {
        &self.service
    }

    /// Before the caller has entered anywhere.
    pub(super) const fn new(service: Service) -> Served {
        Served {
            service,
            room: None,
            role: Role::Participant,
            format: None,
            acknowledged: false,
            attended: false,
            recorded: false,
            ends_at: None,
            attendance: None,
        }
    }
}

/// What was played last is still in the network, and in the buffer of the phone, when it has left.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(300);

/// The rooms that calls are in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rooms {
    /// So far.
    opened: u64,
    /// Conferences by domain and the number that was dialled. By the name of the domain, which outlives its number in the
    /// configuration.
    numbers: BTreeMap<(Arc<str>, Bytes), RoomId>,
    open: BTreeMap<RoomId, OpenRoom>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OpenRoom {
    /// Calls that have entered and not left.
    calls: u64,
    number: Option<(Arc<str>, Bytes)>,
    /// The one call that a room is for in which something is played.
    listener: Option<CallId>,
    /// The file that it is recorded into as a whole.
    recorded: Option<Arc<str>>,
    /// Who has called it, if it is a conference.
    meeting: Option<Box<Meeting>>,
}

impl Rooms {
    /// The conferences that are open.
    pub(super) fn conferences(&self) -> impl Iterator<Item = (RoomId, &Arc<str>, &Bytes, Option<Arc<str>>)> {
        self.numbers.iter().map(|((domain, number), room)| {
            (*room, domain, number, self.open.get(room).and_then(|open| open.recorded.clone()))
        })
    }

    /// Rooms that are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The call `id` to `number` of a domain enters; a conference is opened by whoever comes first.
    pub(super) fn enter(
        &mut self,
        env: &mut Environment,
        (domain, number): (Arc<str>, Bytes),
        (id, who, arrival): (CallId, Who, Arrival),
        served: Served,
    ) -> Served {
        let rules = match &served.service {
            Service::Echo => return served,
            Service::Milliwatt | Service::Answer { .. } | Service::Play { .. } | Service::Music { .. } => {
                let room = self.open(env, None, Some(id), None);
                self.count(room);
                return Served { room: Some(room), ..served };
            }
            Service::Paging => {
                let room = self.open(env, None, None, None);
                self.count(room);
                return Served { room: Some(room), ..served };
            }
            Service::Conference(conference) => conference.rules.clone(),
        };
        let conference = self.conference_of(env, (domain, number.clone()), rules);
        self.count(conference);
        let meeting = self.meeting(conference);
        let place = meeting.map_or(Place::Lobby, |meeting| meeting.handle_arrival(env.now, who, arrival));
        let (room, inside, role) = match place {
            Place::Room(role) => (conference, true, role),
            Place::Lobby => {
                let lobby = self.open(env, None, Some(id), None);
                self.count(lobby);
                (lobby, false, Role::Participant)
            }
        };
        let (keys, until, music) = (SmallVec::new(), None, false);
        let attendance = Attendance { conference, number, inside, role, keys, until, music };
        Served { room: Some(room), attendance: Some(attendance), ..served }
    }

    /// The same for somebody who has joined already and comes from another conference; the meeting is told that it hears us by the
    /// caller.
    pub(super) fn enter_brought(
        &mut self,
        env: &mut Environment,
        key: (Arc<str>, Bytes),
        (id, who): (CallId, Who),
        served: Served,
    ) -> Served {
        self.enter(env, key, (id, who, Arrival::Brought), served)
    }

    /// What of one member alone is recorded in a conference ends: the member leaves.
    pub(super) fn stop_alone(&self, env: &mut Environment, room: RoomId, call: &Call, service: &Service) {
        let alone = |form: Recording| form.layout == Layout::Members;
        if service.recording().is_some_and(alone) {
            for recording in call.recorded.running() {
                env.media(Command::StopRecording { room, recording: *recording });
            }
        }
    }

    fn conference_of(&mut self, env: &mut Environment, key: (Arc<str>, Bytes), rules: Arc<Rules>) -> RoomId {
        let known = self.numbers.get(&key).copied();
        known.unwrap_or_else(|| self.open(env, Some(key), None, Some(rules)))
    }

    fn count(&mut self, room: RoomId) {
        if let Some(open) = self.open.get_mut(&room) {
            open.calls += 1;
        }
    }

    /// Whoever has called a conference.
    pub(super) fn meeting(&mut self, room: RoomId) -> Option<&mut Meeting> {
        self.open.get_mut(&room)?.meeting.as_deref_mut()
    }

    /// The same, to look at.
    pub(super) fn meeting_in(&self, room: RoomId) -> Option<&Meeting> {
        self.open.get(&room)?.meeting.as_deref()
    }

    /// The conference that is open under a number of a domain.
    pub(super) fn conference(&self, domain: &Arc<str>, number: &Bytes) -> Option<RoomId> {
        self.numbers.get(&(domain.clone(), number.clone())).copied()
    }

    /// The domain and the number of a conference.
    pub(super) fn name_of(&self, room: RoomId) -> Option<&(Arc<str>, Bytes)> {
        self.open.get(&room)?.number.as_ref()
    }

    /// One more comes into a room of a paging group.
    pub(super) fn let_in(&mut self, room: RoomId, role: Role) -> Option<Served> {
        self.open.get_mut(&room)?.calls += 1;
        Some(Served { room: Some(room), role, ..Served::new(Service::Paging) })
    }

    fn open(
        &mut self,
        env: &mut Environment,
        number: Option<(Arc<str>, Bytes)>,
        listener: Option<CallId>,
        rules: Option<Arc<Rules>>,
    ) -> RoomId {
        self.opened += 1;
        let room = RoomId(self.opened);
        if let Some(number) = number.clone() {
            self.numbers.insert(number, room);
        }
        let meeting = rules.map(|rules| Box::new(Meeting::new(rules)));
        self.open.insert(room, OpenRoom { calls: 0, number, listener, recorded: None, meeting });
        env.media(Command::OpenRoom { room });
        room
    }

    /// Gives a caller that has joined and acknowledged what its service has for it.
    pub(super) fn attend(&mut self, env: &mut Environment, call: &mut Call) {
        let who = call.number();
        let Some(served) = call.destination.service.as_mut().filter(|served| served.is_due()) else { return };
        let Some(room) = served.room else { return };
        served.attended = true;
        let source = match &served.service {
            Service::Conference(_) => {
                let conference = served.attendance.as_ref().map(|attendance| attendance.conference);
                if let Some(meeting) = conference.and_then(|conference| self.meeting(conference)) {
                    meeting.handle_present(env.now, who);
                }
                return;
            }
            Service::Echo | Service::Paging => return,
            Service::Answer { for_s } => {
                served.ends_at = Some(env.now + Duration::from_secs(u64::from(*for_s)));
                return;
            }
            Service::Milliwatt => Source::Milliwatt,
            Service::Play { sound } => Source::Files { files: sound.files.clone(), loops: false },
            Service::Music { folder } => Source::Files { files: folder.files.clone(), loops: true },
        };
        let role = Role::Announce { to: Audience::All };
        env.media(Command::Play { room, member: PLAYER, source, role });
    }

    /// Begins to record a conference with the first who has come, or each who comes by itself. The records of all who were
    /// in it name its file.
    pub(super) fn record(&mut self, env: &mut Environment, recordings: &mut Recordings, call: &mut Call) {
        let served = call.destination.service.as_ref().filter(|served| served.attended && !served.recorded);
        let served = served.filter(|served| served.inside().is_some());
        let Some(form) = served.and_then(|served| served.service.recording()) else { return };
        let Some(room) = served.and_then(|served| served.room) else { return };
        if call.ending.is_some() {
            return;
        }
        let announced = call.announce_recording(env);
        if matches!(announced, Announced::No | Announced::Saying) {
            return;
        }
        if let Some(served) = &mut call.destination.service {
            served.recorded = true;
        }
        let running = self.open.get(&room).and_then(|open| open.recorded.clone());
        if announced == Announced::Failed {
            call.tell_unrecorded(env, Unrecorded::NotAnnounced);
            // What others have begun does not end therefore.
            return running.into_iter().for_each(|file| call.recorded.note(file));
        }
        let member = MemberId(call.media(Side::Caller).id.0);
        let take = |what| Take { room, what, form, suffix: "" };
        let whole = match form.layout {
            Layout::Members => return recordings.begin(env, call, take(Tapped::Member(member))),
            Layout::Mix => Tapped::Mix,
            Layout::Stereo => Tapped::Parties { left: member },
        };
        let Some(open) = self.open.get_mut(&room) else { return };
        match running {
            Some(file) => call.recorded.note(file),
            None => {
                recordings.begin(env, call, take(whole));
                open.recorded = call.recorded.files().last().cloned();
            }
        }
    }

    /// The recording of a room into this file has failed; whether it was one of a conference as a whole. That begins anew with the next
    /// who comes.
    pub(super) fn handle_recording_failed(&mut self, room: RoomId, file: &Arc<str>) -> bool {
        let recorded = self.open.get_mut(&room).map(|open| &mut open.recorded);
        recorded.is_some_and(|recorded| recorded.take_if(|known| known == file).is_some())
    }

    /// The call for which something was played in a room.
    pub(super) fn listener(&self, room: RoomId) -> Option<CallId> {
        self.open.get(&room)?.listener
    }

    /// A call that goes on leaves the room in which something was played for it.
    pub(super) fn vacate(&mut self, env: &mut Environment, served: &Served) {
        if let Some(room) = served.room {
            self.release(env, room);
        }
    }

    /// A call is over; the last one closes its room.
    pub(super) fn leave(&mut self, env: &mut Environment, call: &Call) {
        let Some(served) = &call.destination.service else { return };
        let Some(room) = served.room else { return };
        self.stop_alone(env, room, call, &served.service);
        if let Some(member) = call.speech.speaker() {
            env.media(Command::Leave { room, member });
        }
        self.release(env, room);
        if let Some(attendance) = served.attendance.as_ref().filter(|attendance| !attendance.inside) {
            self.release(env, attendance.conference);
        }
    }

    /// A call is no longer in a room, or no longer waits for it.
    pub(super) fn release(&mut self, env: &mut Environment, room: RoomId) {
        let Some(open) = self.open.get_mut(&room) else { return };
        open.calls -= 1;
        if open.calls == 0 {
            if let Some(number) = self.open.remove(&room).and_then(|open| open.number) {
                self.numbers.remove(&number);
            }
            env.media(Command::CloseRoom { room });
        }
    }
}

impl Call {
    /// The port is there: the caller is answered.
    pub(super) fn serve(&mut self, env: &mut Environment) {
        self.caller_leg.session.port = self.media(Side::Caller).port;
        self.phase = Phase::Served;
        let message = self.invitation.request.message.clone();
        let offer = self.caller_leg.session.remote.take();
        match self.serve_anew(env, &message, offer) {
            Some(body) => self.send_answer(env, &body),
            None => self.refuse_caller(env, Status::NOT_ACCEPTABLE_HERE, EndedBy::Switch),
        }
    }

    /// A party that has come from another call is served, in what it speaks already; whether we understand that.
    pub(super) fn serve_moved(&mut self, env: &mut Environment) -> bool {
        self.phase = Phase::Served;
        let session = &self.caller_leg.session;
        let (Some(mut remote), Some(agreed)) = (session.remote.clone(), session.agreed.as_ref()) else {
            return false;
        };
        let spoken = agreed.first().map(|codec| codec.payload_type);
        remote.codecs.retain(|codec| Some(codec.payload_type) == spoken);
        self.handle_acknowledged();
        self.serve_with(env, remote).is_some()
    }

    /// Our description for the 2xx of an INVITE: the answer to its offer, or our offer when it makes none. `None` when
    /// there is no codec that we both know, and then everything stays as it was.
    pub(super) fn serve_anew(
        &mut self,
        env: &mut Environment,
        message: &Message,
        offer: Option<AudioOffer>,
    ) -> Option<Bytes> {
        let Some(offer) = offer else {
            self.caller_leg.awaiting_answer = true;
            let session = &self.caller_leg.session;
            // Whatever we decode can be served, and what is spoken already.
            let ours = Formats::telephone().offered_onward(true, &Formats::default());
            let offered = session.agreed.clone().unwrap_or(ours);
            return Some(self.caller_leg.session.offer(&offered, Some(PTIME_MS)));
        };
        let ptime_ms = offer.ptime_ms;
        let told = self.serve_with(env, offer)?;
        Some(self.caller_leg.session.answer(message, &told, ptime_ms))
    }

    /// The answer to an offer of ours. Whether there is a codec in it.
    pub(super) fn serve_offered(&mut self, env: &mut Environment, answer: AudioOffer) -> bool {
        self.serve_with(env, answer).is_some()
    }

    /// The room that it is in has been opened anew.
    pub(super) fn enter_again(&mut self, env: &mut Environment) {
        let leg = self.media(Side::Caller).id;
        let served = self.destination.service.as_ref();
        let role = served.map_or(Role::Participant, Served::role);
        if let Some((room, format)) = served.and_then(|served| served.room.zip(served.format)) {
            env.media(Command::Join { room, leg, format, role });
        }
    }

    /// Tells a caller how many there are in the conference that it is in, itself included.
    pub(super) fn welcome(&mut self, env: &Environment, members: u32) {
        let files = match members {
            0 | 1 => self.prompt(env, "conf/alone"),
            members => self.words(env, What::Count(Counted::Participants, members)),
        };
        // One that is not said is missed by nobody.
        self.speech.add(About::Conference, files);
    }

    /// The caller has acknowledged our answer (RFC 3261 §13.2.2.4).
    pub(super) fn handle_acknowledged(&mut self) {
        if let Some(served) = &mut self.destination.service {
            served.acknowledged = true;
        }
    }

    /// All has been played: the call ends when it was heard.
    pub(super) fn handle_played(&mut self, env: &Environment) {
        if let Some(served) = &mut self.destination.service {
            served.ends_at.get_or_insert(env.now + LAST_WORDS);
        }
    }

    /// Takes a description of the caller and has it served; what it is told of codecs.
    fn serve_with(&mut self, env: &mut Environment, remote: AudioOffer) -> Option<Formats> {
        let Served { room, format: joined, .. } = *self.destination.service.as_ref()?;
        let known = Formats::from(&remote);
        let (told, way) = match room {
            None => {
                let echoed = Agreement::between(&known, &known, [None, None], false)?;
                (echoed.caller, Err(echoed.path))
            }
            Some(room) => {
                let (told, format) = Agreement::with_us(&known, Some(&remote))?;
                (told, Ok((room, format)))
            }
        };
        let leg = self.media(Side::Caller).id;
        self.media_mut(Side::Caller).silent = false;
        let session = &mut self.caller_leg.session;
        (session.remote, session.agreed) = (Some(remote), Some(told.clone()));
        self.configure(env, Side::Caller);
        match way {
            // It keeps its seat.
            Ok((_, format)) if joined == Some(format) => {}
            Ok((room, format)) => {
                let service = self.destination.service.as_ref();
                let role = service.map_or(Role::Participant, Served::role);
                let conditioning = service.map(|served| served.service.conditioning()).unwrap_or_default();
                if conditioning != Conditioning::default() {
                    env.media(Command::Condition { leg, conditioning });
                }
                env.media(Command::Join { room, leg, format, role });
                if let Some(served) = &mut self.destination.service {
                    served.format = Some(format);
                }
            }
            Err(path) => env.media(Command::Echo { leg, map: forward(path) }),
        }
        Some(told)
    }
}

/// What is sent back to whom it came from.
fn forward(path: Path) -> PayloadMap {
    match path {
        Path::Relay { forward, .. } => forward,
        Path::Room(_) => PayloadMap::default(),
    }
}
