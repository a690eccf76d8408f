//! Callers of conferences: what happens to them is told their meeting ([`crate::rooms`]), and what the meeting wants is done.
//!
//! A caller that is asked for a code, or waits for a moderator, is answered at once and is alone in a media room of its own, its
//! lobby; when it may come in its leg joins the room of the conference and keeps its stream. All of it happens in [`Calls::settle`]:
//! keys, the end of a call and times that are up are looked at there, and whoever else a meeting has something for is settled after it.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::serve::{KEYS, LAST_WORDS, PLAYER, Served};
use super::speech::About;
use crate::config::Service;
use crate::core::command::RoomRef;
use crate::core::environment::Environment;
use crate::core::{Event, RoomChange};
use crate::rooms::{Arrival, Meeting, News, Output, Rules, Signal, Who, Words};
use bytes::Bytes;
use core::time::Duration;
use media::mix::{Audience, MemberId, Role, Talk};
use media::source::{Chime, Source};
use media::{Command, LegId, RoomId};
use sip_stack::Time;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest farewell, should word of its end not come.
const LONGEST: Duration = Duration::from_secs(15);

impl Calls {
    /// A call to `number` enters what it is served with.
    pub(super) fn enter(
        &mut self,
        env: &mut Environment,
        id: CallId,
        number: Bytes,
        served: Served,
    ) -> Served {
        self.enter_as(env, id, number, served, None)
    }

    /// The same; `as_what` it arrives at a conference.
    pub(super) fn enter_as(
        &mut self,
        env: &mut Environment,
        id: CallId,
        number: Bytes,
        served: Served,
        as_what: Option<Arrival>,
    ) -> Served {
        let Some(call) = self.table.get_mut(id) else { return served };
        let (mut number, mut arrival) = (number, as_what.unwrap_or(Arrival::Calls));
        if let Service::Conference(conference) = served.service() {
            if let Some(own) = &conference.number {
                number = Bytes::copy_from_slice(own.as_bytes());
            }
            let is_user = !call.caller_leg.is_peer;
            if as_what.is_none() && is_user && conference.rules.names_moderator(&call.caller) {
                arrival = Arrival::CallsAsModerator;
            }
            call.speak_as(env, &conference.rules);
        }
        let (key, who) = ((call.domain_name.clone(), number), (id, call.number, arrival));
        self.rooms.enter(env, key, who, served)
    }

    /// Sees to the meeting that a call has to do with after something has happened to it.
    pub(super) fn attend_meeting(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        let (who, has_ended) = (call.number, call.ending.is_some());
        let Some(attendance) =
            call.destination.service.as_mut().and_then(|served| served.attendance.as_mut())
        else {
            return;
        };
        let conference = attendance.conference;
        let (keys, until) = (core::mem::take(&mut attendance.keys), attendance.until.take());
        let Some(meeting) = self.rooms.meeting(conference) else { return };
        if has_ended {
            meeting.handle_departure(who);
        } else {
            keys.into_iter().for_each(|key| meeting.handle_key(env.now, who, key));
            if until.is_some_and(|until| until <= env.now) {
                meeting.handle_timeout(env.now, who);
            }
        }
        self.work(env, conference, Some(who));
        let until = self.rooms.meeting(conference).and_then(|meeting| meeting.deadline(who));
        if let Some(attendance) = self.attendance_mut(id) {
            attendance.until = until;
        }
        self.attend_seats(env, id);
    }

    /// Does what a meeting wants. Whoever else than `settled` it concerns is settled.
    pub(super) fn work(&mut self, env: &mut Environment, conference: RoomId, settled: Option<Who>) {
        let (mut concerned, mut roles) = (BTreeSet::new(), Vec::new());
        while let Some(output) = self.rooms.meeting(conference).and_then(|meeting| meeting.poll_output()) {
            concerned.extend(self.carry_out(env, conference, output, &mut roles));
        }
        if !roles.is_empty() {
            env.media(Command::Assign { room: conference, roles });
        }
        for who in concerned.into_iter().filter(|who| Some(*who) != settled) {
            let id = self.numbers.get(&who).copied();
            self.settle(env, id);
        }
    }

    /// Does one thing; whom it concerns.
    fn carry_out(
        &mut self,
        env: &mut Environment,
        conference: RoomId,
        output: Output,
        roles: &mut Vec<(MemberId, Role)>,
    ) -> Option<Who> {
        match output {
            Output::Signal { comes } => {
                self.signal(env, conference, comes);
                None
            }
            Output::Tell(news) => self.tell_news(env, conference, news),
            Output::Enter(who, role) => {
                self.bring_in(env, who, conference, role);
                Some(who)
            }
            Output::Assign(who, role) => {
                let call = self.called(who)?;
                let leg = call.media(Side::Caller).id;
                if call.take_role(role) {
                    roles.push((MemberId(leg.0), role));
                }
                None
            }
            Output::Amplify(who, gain) => {
                let member = MemberId(self.called(who)?.media(Side::Caller).id.0);
                env.media(Command::Amplify { room: conference, member, gain });
                None
            }
            Output::Say(who, words) => {
                self.called(who)?.say_in_conference(env, words);
                Some(who)
            }
            Output::Count(who, count) => {
                self.called(who)?.welcome(env, count);
                Some(who)
            }
            Output::Hold(who) => {
                self.called(who)?.wait_for_moderator(env);
                Some(who)
            }
            Output::SendAway(who, words) => {
                self.called(who)?.say_farewell(env, words);
                Some(who)
            }
        }
    }

    /// The call of somebody in a meeting.
    fn called(&mut self, who: Who) -> Option<&mut Call> {
        let id = self.numbers.get(&who)?;
        self.table.get_mut(*id)
    }

    fn attendance_mut(&mut self, id: CallId) -> Option<&mut super::serve::Attendance> {
        self.table.get_mut(id)?.destination.service.as_mut()?.attendance.as_mut()
    }

    /// Somebody goes from where it is into the room of its conference.
    fn bring_in(&mut self, env: &mut Environment, who: Who, conference: RoomId, role: Role) {
        let Some(call) = self.called(who) else { return };
        let leg = call.media(Side::Caller).id;
        let is_up = call.ending.is_none();
        // Who spoke to it goes with the lobby.
        call.speech.handle_room_closed();
        let Some(served) = call.destination.service.as_mut() else { return };
        let Some(attendance) = served.attendance.as_mut() else { return };
        let was_inside = core::mem::replace(&mut attendance.inside, true);
        (attendance.role, attendance.music) = (role, false);
        let before = served.room();
        let format = served.go_to(conference);
        if let Some(format) = format.filter(|_| is_up) {
            env.media(Command::Join { room: conference, leg, format, role });
        }
        if let Some(lobby) = before.filter(|before| !was_inside && *before != conference) {
            self.rooms.release(env, lobby);
        }
    }

    fn signal(&mut self, env: &mut Environment, conference: RoomId, comes: bool) {
        let Some(rules) = self.rooms.meeting_in(conference).map(Meeting::rules) else { return };
        match rules.signal {
            Signal::None => {}
            Signal::Tones => {
                let chime = if comes { Chime::Rising } else { Chime::Falling };
                self.speakers.chime(env, conference, chime);
            }
            Signal::Words => {
                let prompt = if comes { "conf/joined" } else { "conf/left" };
                let own = rules.language.as_deref();
                let languages = own.into_iter().chain([&*env.config.prompts.language, "en"]);
                let file = languages.filter_map(|language| env.library.file(language, prompt)).next();
                if let Some(file) = file {
                    self.speakers.announce(env, conference, vec![file]);
                }
            }
        }
    }

    /// Tells an event; whose seats may look otherwise now.
    fn tell_news(&mut self, env: &mut Environment, conference: RoomId, news: News) -> Option<Who> {
        let (domain, number) = self.rooms.name_of(conference)?.clone();
        let room = RoomRef { name: String::from_utf8_lossy(&number).into(), domain };
        let (change, who) = match news {
            News::Joined(who) => (RoomChange::Joined { call: env.call_ref(who) }, Some(who)),
            News::Waits(who) => (RoomChange::Waiting { call: env.call_ref(who) }, None),
            News::TurnedAway(who) => (RoomChange::TurnedAway { call: env.call_ref(who) }, Some(who)),
            News::Left(who) => (RoomChange::Left { call: env.call_ref(who) }, Some(who)),
            News::Muted(who, on) => (RoomChange::Muted { call: env.call_ref(who), on }, Some(who)),
            News::Talks(who, on) => (RoomChange::Talking { call: env.call_ref(who), on }, None),
            News::Stands(who, role) => (RoomChange::Role { call: env.call_ref(who), role }, Some(who)),
            News::Speaker(who) => (RoomChange::Speaker { call: who.map(|who| env.call_ref(who)) }, None),
            News::Locked(on) => (RoomChange::Locked { on }, None),
            News::Ended => (RoomChange::Ended, None),
        };
        env.event(Event::Conference { room, change });
        who
    }

    /// The mixer tells that a member begins or ceases to talk.
    pub(super) fn handle_talk(&mut self, env: &mut Environment, room: RoomId, member: MemberId, talk: Talk) {
        if self.rooms.meeting_in(room).is_none() {
            return;
        }
        let Some(who) = self.who_is(member) else { return };
        if let Some(meeting) = self.rooms.meeting(room) {
            meeting.handle_talk(who, talk == Talk::Started);
        }
        self.work(env, room, None);
    }

    /// The mixer tells who speaks.
    pub(super) fn handle_speaker(&mut self, env: &mut Environment, room: RoomId, member: Option<MemberId>) {
        if self.rooms.meeting_in(room).is_none() {
            return;
        }
        let who = member.and_then(|member| self.who_is(member));
        if let Some(meeting) = self.rooms.meeting(room) {
            meeting.handle_speaker(who);
        }
        self.work(env, room, None);
    }

    /// The caller that is this member; players are nobody.
    fn who_is(&self, member: MemberId) -> Option<Who> {
        self.caller_of(LegId(member.0)).and_then(|id| self.table.get(id)).map(|call| call.number)
    }
}

impl Call {
    /// The language of a room is for those who have none of their own.
    fn speak_as(&mut self, env: &Environment, rules: &Rules) {
        let own = env.domain(self.domain).and_then(|domain| domain.users.get(&self.caller));
        let has_own = !self.caller_leg.is_peer && own.is_some_and(|user| user.language.is_some());
        if let Some(language) = rules.language.as_ref().filter(|_| !has_own) {
            self.language = language.clone();
        }
    }

    /// Our Contact tells who calls a conference that we are its focus (RFC 4579 §5.2).
    pub(super) fn show_focus(&mut self, service: &Service) {
        if matches!(service, Service::Conference(_)) {
            self.invitation.contact = [&self.invitation.contact[..], b";isfocus"].concat().into();
        }
    }

    /// The caller of a conference has pressed a key. Whether it was one.
    pub(super) fn press_in_conference(&mut self, key: char) -> bool {
        let is_served = matches!(self.phase, Phase::Served);
        let served = self.destination.service.as_mut().filter(|_| is_served);
        let Some(attendance) = served.and_then(|served| served.attendance.as_mut()) else { return false };
        if attendance.keys.len() < KEYS {
            attendance.keys.push(key);
        }
        true
    }

    /// When its conference wants to look at it.
    pub(super) fn meeting_deadline(&self) -> Option<Time> {
        self.destination.service.as_ref()?.attendance.as_ref()?.until
    }

    /// Notes what it is in its conference; whether the mixer has to be told: before it has joined, it joins so.
    fn take_role(&mut self, role: Role) -> bool {
        let is_up = self.ending.is_none();
        let Some(served) = self.destination.service.as_mut() else { return false };
        let has_joined = served.has_joined();
        let Some(attendance) = served.attendance.as_mut().filter(|attendance| attendance.inside) else {
            return false;
        };
        attendance.role = role;
        has_joined && is_up
    }

    fn say_in_conference(&mut self, env: &Environment, words: Words) {
        let files = self.prompt(env, words.prompt());
        // One that is not said is missed by nobody.
        self.speech.add(About::Conference, files);
    }

    fn wait_for_moderator(&mut self, env: &mut Environment) {
        if let Some(attendance) =
            self.destination.service.as_mut().and_then(|served| served.attendance.as_mut())
        {
            attendance.music = true;
        }
        let files = self.prompt(env, "conf/waiting");
        if !self.speech.add(About::Conference, files) {
            self.play_in_lobby(env);
        }
    }

    /// Who waits has heard why: music, if it is to hear some.
    pub(super) fn play_in_lobby(&mut self, env: &mut Environment) {
        if self.speech.is_wanted() {
            return;
        }
        let Some(served) = self.destination.service.as_mut() else { return };
        let room = served.room();
        let Some(attendance) = served.attendance.as_mut() else { return };
        let wanted = core::mem::take(&mut attendance.music) && !attendance.inside;
        let files = env.music();
        if let Some(room) = room.filter(|_| wanted && !files.is_empty()) {
            let (source, role) = (Source::Files { files, loops: true }, Role::Announce { to: Audience::All });
            env.media(Command::Play { room, member: PLAYER, source, role });
        }
    }

    /// Tells the caller why it is sent away; the call is over then.
    fn say_farewell(&mut self, env: &mut Environment, words: Words) {
        self.interrupt_speech(env);
        let files: Vec<Arc<str>> = self.prompt(env, words.prompt());
        let is_said = self.speech.add(About::Farewell, files);
        let until = if is_said { env.now + LONGEST } else { env.now };
        if let Some(served) = &mut self.destination.service {
            served.ends_at = Some(until);
        }
    }

    /// The farewell has been said: the call is over when it was heard.
    pub(super) fn handle_farewell_said(&mut self, env: &Environment) {
        if let Some(served) = &mut self.destination.service {
            served.ends_at = Some(env.now + LAST_WORDS);
        }
    }
}
