//! Calls that the switch answers itself: conferences, echo, test tone, and files that are played.
//!
//! Recordings of conferences begin with the first who enters, or with each; their files are named by time and call alone.
//!
//! Left out on purpose: who may enter a conference, and its moderator.

use super::agreement::{Agreement, Path};
use super::call::{Call, CallId, Phase, Side};
use super::formats::{Formats, PTIME_MS, decoded};
use super::recording::{Announced, Recordings, Take};
use super::speech::{About, Speakers};
use crate::config::{Conference, Layout, Recording, Service};
use crate::core::Unrecorded;
use crate::core::environment::Environment;
use crate::prompts::{Counted, What};
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use media::dsp::Conditioning;
use media::mix::{Audience, MemberId, Role};
use media::source::{Chime, Source};
use media::tap::Tapped;
use media::{AudioFormat, Command, PayloadMap, RoomId};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The member that plays into a room; legs have the numbers of calls, which do not come so far.
pub(super) const PLAYER: MemberId = MemberId(u64::MAX);

/// What a caller is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Served {
    service: Service,
    /// Where it is mixed; an echo is not.
    room: Option<RoomId>,
    /// As what.
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

    /// Whether we understand what a party speaks who is not asked for anything else.
    pub(super) fn understands(&self, spoken: &Formats) -> bool {
        self.room.is_none() || spoken.first().is_some_and(|codec| decoded(codec).is_some())
    }

    /// A guest of a call between two others, in the room of which it is.
    pub(super) fn guest(room: RoomId) -> Served {
        Served { room: Some(room), ..Served::new(Service::Conference(Conference::default())) }
    }

    /// Before the caller has entered anywhere.
    /// What the caller is given.
    pub(super) const fn service(&self) -> &Service {
        &self.service
    }

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
        }
    }
}

/// What was played last is still in the network, and in the buffer of the phone, when it has left.
const LAST_WORDS: Duration = Duration::from_millis(300);

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
        domain: Arc<str>,
        number: Bytes,
        id: CallId,
        served: Served,
    ) -> Served {
        let room = match served.service {
            Service::Echo => None,
            Service::Milliwatt | Service::Answer { .. } | Service::Play { .. } | Service::Music { .. } => {
                Some(self.open(env, None, Some(id)))
            }
            Service::Paging => Some(self.open(env, None, None)),
            Service::Conference(_) => {
                let number = (domain, number);
                let known = self.numbers.get(&number).copied();
                Some(known.unwrap_or_else(|| self.open(env, Some(number), None)))
            }
        };
        if let Some(open) = room.and_then(|room| self.open.get_mut(&room)) {
            open.calls += 1;
        }
        Served { room, ..served }
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
    ) -> RoomId {
        self.opened += 1;
        let room = RoomId(self.opened);
        if let Some(number) = number.clone() {
            self.numbers.insert(number, room);
        }
        self.open.insert(room, OpenRoom { calls: 0, number, listener, recorded: None });
        env.media(Command::OpenRoom { room });
        room
    }

    /// Gives a caller that has joined and acknowledged what its service has for it.
    pub(super) fn attend(&mut self, env: &mut Environment, speakers: &mut Speakers, call: &mut Call) {
        let Some(served) = call.destination.service.as_mut().filter(|served| served.is_due()) else { return };
        let Some(room) = served.room else { return };
        served.attended = true;
        let source = match &served.service {
            Service::Conference(conference) => {
                let Conference { announce, tones, .. } = *conference;
                if tones {
                    speakers.chime(env, room, Chime::Rising);
                }
                if announce {
                    let members = self.open.get(&room).map_or(0, |open| open.calls);
                    call.welcome(env, u32::try_from(members).unwrap_or(u32::MAX));
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
        let Some(room) = served.room else { return };
        let Some(open) = self.open.get_mut(&room) else { return };
        open.calls -= 1;
        if open.calls == 0 {
            self.open.remove(&room);
            env.media(Command::CloseRoom { room });
        }
    }

    /// A call is over; the last one closes its room.
    pub(super) fn leave(&mut self, env: &mut Environment, speakers: &mut Speakers, call: Call) {
        let Some(served) = call.destination.service else { return };
        let Some(room) = served.room else { return };
        let alone = |form: Recording| form.layout == Layout::Members;
        if served.service.recording().is_some_and(alone) {
            for recording in call.recorded.running() {
                env.media(Command::StopRecording { room, recording: *recording });
            }
        }
        if let Some(member) = call.speech.speaker() {
            env.media(Command::Leave { room, member });
        }
        let Some(open) = self.open.get_mut(&room) else { return };
        open.calls -= 1;
        if open.calls == 0 {
            if let Some(number) = self.open.remove(&room).and_then(|open| open.number) {
                self.numbers.remove(&number);
            }
            env.media(Command::CloseRoom { room });
        } else if served.attended && served.service.has_tones() {
            speakers.chime(env, room, Chime::Falling);
        }
    }
}

impl Call {
    /// What the caller is given, if we serve it.
    pub(super) fn served_with_what(&self) -> Option<&Service> {
        // A guest of a call is in no conference that has a number.
        let service = self.destination.service.as_ref().filter(|_| self.destination.joins.is_none());
        service.map(|served| &served.service)
    }

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
        let role = served.map_or(Role::Participant, |served| served.role);
        if let Some((room, format)) = served.and_then(|served| served.room.zip(served.format)) {
            env.media(Command::Join { room, leg, format, role });
        }
    }

    /// Tells a caller how many there are in the conference that it has come into, itself included.
    fn welcome(&mut self, env: &Environment, members: u32) {
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
        let Served { room, role, format: joined, .. } = *self.destination.service.as_ref()?;
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
                let service = self.destination.service.as_ref().map(|served| &served.service);
                let conditioning = service.map(Service::conditioning).unwrap_or_default();
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
