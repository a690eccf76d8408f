//! Recordings: of calls between two parties, and the numbers and files of all that the switch makes.
//!
//! A call that is recorded is not relayed. Its two sides meet in a room (`bridge`) from the answer on, or from when it is
//! asked for, and go back to the relay at the end. Hold, re-INVITEs and another codec change nothing; when the sound is put off
//! for fax, or comes in a codec that is not decoded, what comes after is a further take, in a file of its own. Where the
//! caller or the callee is to be recorded from the beginning, codecs that are not decoded are passed over if there are others
//! ([`Recorded::prefer_decoded`]).
//!
//! A phone may ask with its record key: `Record: on` or `off` in an INFO. No RFC has it; Snom made it, and others follow.
//!
//! Where a recording is asked for and the codec of a call is not decoded, both sides are asked for another one first (`renewal`).
//!
//! Left out on purpose: recording what is heard before the answer.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::formats::decoded;
use super::speech::About;
use crate::config::{Layout, Recording};
use crate::core::command::CommandId;
use crate::core::environment::{ALLOW, Environment, sign_response};
use crate::core::{Event, Timestamp, Unrecorded};
use media::dsp::SampleRate;
use media::mix::MemberId;
use media::tap::{RecordingFault, RecordingFigures, RecordingFormat, RecordingId, Tapped};
use media::{Command, RoomId};
use serde::{Deserialize, Serialize};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Samples per second of recordings: wide band.
const RECORDED: SampleRate = SampleRate::Hz16000;

/// How often the recording of one call may begin, by key or after a fax: each time is a file, or two.
const TAKES: u32 = 32;

/// Every recording that runs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recordings {
    /// So far.
    begun: u64,
    running: BTreeMap<RecordingId, Running>,
}

/// A recording that has not ended.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    /// The call that it is named by, and its number.
    call: CallId,
    number: u64,
    room: RoomId,
    file: Arc<str>,
    /// That has asked for it.
    command: Option<CommandId>,
}

/// What a recording is of, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Take<'a> {
    pub(super) room: RoomId,
    pub(super) what: Tapped,
    pub(super) form: Recording,
    /// What tells its file from others of the same call.
    pub(super) suffix: &'a str,
}

/// What is recorded of one call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// How it is to be recorded; `None`: it is not, or its conference sees to it.
    wanted: Option<Recording>,
    /// Because the configuration says so, and not because somebody has asked for it.
    is_compulsory: bool,
    running: SmallVec<[RecordingId; 2]>,
    /// So often it has begun, [`TAKES`] at most.
    takes: u32,
    /// What the record of the call names.
    files: Vec<Arc<str>>,
    /// Why it is not recorded, as far as that has been told: each reason once.
    told: SmallVec<[Unrecorded; 1]>,
    announced: Announced,
}

/// Whether those who are recorded know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Announced {
    #[default]
    No,
    /// They are being told.
    Saying,
    Said,
    /// They could not be told, and are not recorded therefore.
    Failed,
}

/// Why a call is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRecorded {
    /// It is none between two parties that talk.
    #[error("there is no such call between two parties")]
    NotTalking,
    /// What they speak is passed on undecoded, and there is no way around that.
    #[error("the sound of the call cannot be decoded")]
    NotDecoded,
    /// The parties have to be told of it and could not be.
    #[error("the parties cannot be told that they are recorded")]
    NotAnnounced,
    /// Its recording has begun too often.
    #[error("the recording of the call has begun {TAKES} times already")]
    TooOften,
}

impl Recordings {
    /// Begins to write a file, and notes it with the call.
    pub(super) fn begin(&mut self, env: &mut Environment, call: &mut Call, take: Take<'_>) {
        let Some(id) = call.id else { return };
        let Take { room, what, form: Recording { format: container, .. }, suffix } = take;
        self.begun += 1;
        let recording = RecordingId(self.begun);
        let folder = env.config.recordings.clone().unwrap_or_else(|| "recordings".into());
        let begun = Timestamp(env.unix_ms(env.now));
        let (number, extension, slash) = (call.number, container.extension(), std::path::MAIN_SEPARATOR);
        let file: Arc<str> = format!("{folder}{slash}{begun}-call-{number}{suffix}.{extension}").into();
        call.recorded.running.push(recording);
        call.recorded.files.push(Arc::clone(&file));
        let command = env.command();
        self.running.insert(recording, Running { call: id, number, room, file: Arc::clone(&file), command });
        let format = RecordingFormat { container, rate: RECORDED };
        env.media(Command::Record { recording, room, what, whispers: false, file, format });
    }

    /// Begins what is to be recorded of a call between two parties and is not yet.
    pub(super) fn attend(&mut self, env: &mut Environment, call: &mut Call) {
        let Some((form, room)) = call.recorded.wanted.zip(call.mixed_in()) else { return };
        if !call.recorded.running.is_empty() || !matches!(call.phase, Phase::Talking { .. }) {
            return;
        }
        if call.recorded.takes >= TAKES {
            return call.give_up_recording(env, Unrecorded::TooOften);
        }
        match call.announce_recording(env) {
            Announced::Said => {}
            Announced::No | Announced::Saying => return,
            Announced::Failed => return call.give_up_recording(env, Unrecorded::NotAnnounced),
        }
        call.recorded.takes += 1;
        let take = match call.recorded.takes {
            1 => String::new(),
            number => format!("-take-{number}"),
        };
        let [caller, callee] = [Side::Caller, Side::Callee].map(|side| MemberId(call.media(side).id.0));
        let files: &[(Tapped, &str)] = match form.layout {
            Layout::Mix => &[(Tapped::Mix, "")],
            Layout::Stereo => &[(Tapped::Parties { left: caller }, "")],
            Layout::Members => &[(Tapped::Member(caller), "-caller"), (Tapped::Member(callee), "-callee")],
        };
        for (what, whose) in files {
            let suffix = format!("{take}{whose}");
            self.begin(env, call, Take { room, what: *what, form, suffix: &suffix });
        }
    }

    /// The number of the call that a recording is named by.
    pub(super) fn number_of(&self, recording: RecordingId) -> Option<u64> {
        self.running.get(&recording).map(|running| running.number)
    }

    /// A recording is over, and known no more; the number of its call.
    pub(super) fn end(&mut self, recording: RecordingId) -> Option<u64> {
        self.running.remove(&recording).map(|running| running.number)
    }
}

impl Recorded {
    /// A call that is to be recorded so, if at all.
    pub(super) fn as_wanted(wanted: Option<Recording>) -> Recorded {
        Recorded { wanted, is_compulsory: wanted.is_some(), ..Recorded::default() }
    }

    /// How it is to be recorded, if it is.
    pub(super) const fn wish(&self) -> Option<Recording> {
        self.wanted
    }

    /// Whether it has to be recorded, whatever its parties want.
    pub(super) const fn is_compulsory(&self) -> bool {
        self.is_compulsory && self.wanted.is_some()
    }

    /// What goes over to another call with a party: how it is to be recorded, and whether it has to be.
    pub(super) const fn passed_on(&self) -> (Option<Recording>, bool) {
        (self.wanted, self.is_compulsory())
    }

    /// It is to be recorded, because a call whose party has come was.
    pub(super) fn want_too(&mut self, (wanted, is_compulsory): (Option<Recording>, bool)) {
        self.wanted = self.wanted.or(wanted);
        self.is_compulsory |= is_compulsory;
    }

    /// Whether it is to be recorded.
    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Those that run.
    pub(super) fn running(&self) -> &[RecordingId] {
        &self.running
    }

    /// A file of somebody else's has this call in it, too.
    pub(super) fn note(&mut self, file: Arc<str>) {
        self.files.push(file);
    }

    /// The files so far.
    pub(super) fn files(&self) -> &[Arc<str>] {
        &self.files
    }

    /// The room is closed, and what was recorded of it has ended.
    pub(super) fn handle_room_closed(&mut self) {
        self.running.clear();
        if self.announced == Announced::Saying {
            self.announced = Announced::No;
        }
    }

    /// Another party has come, who has not heard it.
    pub(super) fn announce_again(&mut self) {
        if self.announced == Announced::Said {
            self.announced = Announced::No;
        }
    }

    /// What they were told is over: they know it now, unless it could not be played.
    pub(super) fn handle_announced(&mut self) {
        if self.announced == Announced::Saying {
            self.announced = Announced::Said;
        }
    }

    /// What they were to be told cannot be played.
    pub(super) fn handle_unannounced(&mut self) {
        self.announced = Announced::Failed;
    }

    /// A file that was noted is not there.
    fn forget(&mut self, file: &Arc<str>) {
        self.files.retain(|known| known != file);
    }

    /// Leaves what cannot be recorded out of a description, if there is anything else.
    pub(super) fn prefer_decoded(&self, mut offer: AudioOffer) -> AudioOffer {
        if self.is_wanted() && offer.codecs.iter().any(|codec| decoded(codec).is_some()) {
            offer.codecs.retain(|codec| decoded(codec).is_some() || codec.is_comfort_noise());
        }
        offer
    }
}

impl Calls {
    /// Begins, changes or ends the recording of a call between two parties: what keys, codes and commands come to. One that is
    /// recorded in this way already goes on.
    ///
    /// # Errors
    /// [`NotRecorded`]; the call is as it was.
    pub(crate) fn record(
        &mut self,
        env: &mut Environment,
        id: CallId,
        wanted: Option<Recording>,
    ) -> Result<(), NotRecorded> {
        let call = self.table.get_mut(id).ok_or(NotRecorded::NotTalking)?;
        let recorded = call.record(env, wanted);
        self.settle(env, Some(id));
        recorded
    }

    /// A phone asks for the recording of its call to begin or to end.
    pub(super) fn handle_record_key(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        request: &Request,
        on: bool,
    ) {
        let form = self.table.get(id).and_then(|call| call.form_on_request(env, side));
        let status = match form.map(|form| self.record(env, id, on.then_some(form))) {
            Some(Ok(())) => Status::OK,
            Some(Err(
                NotRecorded::NotTalking
                | NotRecorded::NotDecoded
                | NotRecorded::NotAnnounced
                | NotRecorded::TooOften,
            )) => Status::NOT_ACCEPTABLE_HERE,
            None => Status::FORBIDDEN,
        };
        let transaction = env.endpoint.accept(env.now, request, 0);
        let mut response = env.endpoint.response(request, status, None);
        response.header(HeaderName::Allow, ALLOW);
        sign_response(&mut response);
        env.endpoint.respond(env.now, transaction, status, response.finish());
    }

    /// A file has been begun.
    pub(super) fn handle_recording_began(
        &mut self,
        env: &mut Environment,
        recording: RecordingId,
        file: Arc<str>,
    ) {
        let Some(running) = self.recordings.running.get(&recording) else { return };
        if let Some(call) = self.table.get_mut(running.call)
            && !call.recorded.files.contains(&file)
        {
            call.recorded.files.push(Arc::clone(&file));
        }
        let (call, recording) = (env.call_ref(running.number), env.recording_ref(recording.0));
        env.event_of(running.command, Event::RecordingBegan { call, recording, file });
    }

    /// A recording has not begun, or has ended before its time. The call goes on, undecoded where it can be.
    pub(super) fn handle_recording_failed(
        &mut self,
        env: &mut Environment,
        recording: RecordingId,
        fault: RecordingFault,
        figures: RecordingFigures,
    ) {
        let Some(running) = self.recordings.running.remove(&recording) else { return };
        let Running { call: id, number, room, file, command } = running;
        let (called, recorded) = (env.call_ref(number), env.recording_ref(recording.0));
        env.event_of(command, Event::RecordingFailed { call: called, recording: recorded, fault, figures });
        let of_conference = self.rooms.handle_recording_failed(room, &file);
        let is_missing = figures.files == 0;
        if of_conference && is_missing {
            // Whoever came into the conference has it in its record, too.
            let ids: Vec<CallId> = self.table.iter().map(|(id, _)| id).collect();
            for id in ids {
                if let Some(call) = self.table.get_mut(id) {
                    call.recorded.forget(&file);
                }
            }
        }
        if let Some(call) = self.table.get_mut(id) {
            call.handle_recording_failed(env, recording, is_missing.then_some(file));
        }
        self.settle(env, Some(id));
    }
}

impl Call {
    /// How the user on a side has its calls recorded when it asks for it, if it may.
    pub(super) fn form_on_request(&self, env: &Environment, side: Side) -> Option<Recording> {
        let domain = env.domain(self.domain)?;
        let recording = domain.users.get(self.user_on(domain, side)?)?.recording;
        recording.on_request.then_some(recording.form)
    }

    /// Begins, changes or ends the recording.
    ///
    /// # Errors
    /// [`NotRecorded`]; the call is as it was.
    pub(super) fn record(
        &mut self,
        env: &mut Environment,
        wanted: Option<Recording>,
    ) -> Result<(), NotRecorded> {
        if !matches!(self.phase, Phase::Talking { .. }) {
            return Err(NotRecorded::NotTalking);
        }
        if wanted.is_some() && self.recorded.announced == Announced::Failed {
            return Err(NotRecorded::NotAnnounced);
        }
        if self.is_renewed() {
            if wanted.is_none() {
                self.cancel_renewal(env);
            }
            return Ok(());
        }
        if let Some(form) = wanted.filter(|_| !self.can_be_mixed()) {
            return if self.renew(env, form) { Ok(()) } else { Err(NotRecorded::NotDecoded) };
        }
        if self.recorded.wanted != wanted {
            if wanted.is_some() && self.recorded.takes >= TAKES {
                self.tell_unrecorded(env, Unrecorded::TooOften);
                return Err(NotRecorded::TooOften);
            }
            self.stop_recording(env);
            self.recorded.wanted = wanted;
            self.connect(env);
        }
        Ok(())
    }

    /// Has those who are recorded told so, where they have to be and have not been yet; whether they know it.
    pub(super) fn announce_recording(&mut self, env: &Environment) -> Announced {
        if !env.config.announce_recordings {
            return Announced::Said;
        }
        if self.recorded.announced == Announced::No {
            let files = self.prompt(env, "call/recorded");
            let is_said = self.speech.add(About::Recording, files);
            self.recorded.announced = if is_said { Announced::Saying } else { Announced::Failed };
        }
        self.recorded.announced
    }

    /// The call is not recorded; each reason is told once.
    pub(super) fn tell_unrecorded(&mut self, env: &mut Environment, reason: Unrecorded) {
        if !self.recorded.told.contains(&reason) {
            self.recorded.told.push(reason);
            env.event(Event::NotRecorded { call: env.call_ref(self.number), reason });
        }
    }

    /// Gives up recording.
    pub(super) fn give_up_recording(&mut self, env: &mut Environment, reason: Unrecorded) {
        self.tell_unrecorded(env, reason);
        self.stop_recording(env);
        self.recorded.wanted = None;
        self.connect(env);
    }

    fn stop_recording(&mut self, env: &mut Environment) {
        let Some(room) = self.mixed_in() else { return };
        for recording in core::mem::take(&mut self.recorded.running) {
            env.media(Command::StopRecording { room, recording });
        }
    }

    fn handle_recording_failed(
        &mut self,
        env: &mut Environment,
        recording: RecordingId,
        file: Option<Arc<str>>,
    ) {
        self.recorded.files.retain(|known| Some(known) != file.as_ref());
        let before = self.recorded.running.len();
        self.recorded.running.retain(|known| *known != recording);
        if self.recorded.is_wanted() && self.recorded.running.is_empty() && before > 0 {
            self.recorded.wanted = None;
            self.connect(env);
        }
    }
}

/// What a phone asks with its record key, if the message is about that.
pub(super) fn asked(message: &Message) -> Option<bool> {
    let value = message.header(HeaderName::Record)?;
    if value.eq_ignore_ascii_case(b"on") {
        Some(true)
    } else if value.eq_ignore_ascii_case(b"off") {
        Some(false)
    } else {
        None
    }
}
