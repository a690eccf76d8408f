//! Intercom and paging: phones that are asked to answer by themselves, and calls in which one speaks to many.
//!
//! How a phone is asked no RFC says but RFC 5373 (`Answer-Mode`), which few obey; so what phones of several makers take stands beside it:
//! `answer-after` in Call-Info, `info=alert-autoanswer` in Alert-Info.
//!
//! Who calls a paging group is answered, and sits in a room (`serve`). For each member there is a call of its own, made in the name of the
//! caller: it rings its phones, and who answers is served in that room, muted unless the group is `two_way`. When nobody is waited for
//! any more a signal says so. With the caller all others go, and with the last of them the caller.
//!
//! Bound: the members of a group (`config/groups.rs`). Each counts as a call (`limits.calls`); those for whom there is no room are left out.
//! Left out on purpose: phones that ring are not told from those that do not answer by themselves; recordings.

use super::call::{CallId, Destination, Phase, Side};
use super::calls::Calls;
use super::led::phones;
use super::serve::Served;
use super::transfer::{News, Referred};
use crate::config::{DomainId, Service};
use crate::core::environment::Environment;
use crate::registrar::Registrar;
use crate::routing;
use bytes::Bytes;
use media::RoomId;
use media::mix::Role;
use media::source::Chime;
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;

/// The part of a call in one to a paging group.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Page {
    /// Its caller speaks.
    Speaker(Speaker),
    /// Who is called in it listens to the caller of that one.
    Listener { speaker: CallId, role: Role },
}

/// What there is to do for who speaks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Speaker {
    /// Phones to be called once the caller can be heard.
    wanted: Vec<Destination>,
    /// Calls that ring, or listen.
    listeners: Vec<CallId>,
    /// As what they listen.
    role: Role,
    has_tone: bool,
    /// Nobody is waited for any more.
    is_open: bool,
}

/// What is next for who speaks.
enum Next {
    Call(Vec<Destination>, Role),
    /// All who can hear it are there.
    Open(Option<RoomId>),
    /// Nobody hears it.
    End,
}

impl Destination {
    /// The phones of a paging group; `None` when there are none.
    pub(super) fn paging(
        env: &Environment,
        registrar: &Registrar,
        id: DomainId,
        page: &routing::Page<'_>,
        number: &Bytes,
    ) -> Option<Destination> {
        let group = page.group;
        let of_user = |user: &&str| {
            let user = Bytes::copy_from_slice(user.as_bytes());
            let found = phones(env, registrar, id, &user, None)?;
            Some(Destination { answers_itself: true, ring_s: group.wait_s, ..found })
        };
        let wanted: Vec<Destination> = page.users.iter().filter_map(of_user).collect();
        if wanted.is_empty() {
            return None;
        }
        let role = if group.two_way { Role::Participant } else { Role::Muted };
        let speaker = Speaker { wanted, listeners: Vec::new(), role, has_tone: group.tone, is_open: false };
        let service = Some(Served::new(Service::Paging));
        let page = Some(Box::new(Page::Speaker(speaker)));
        Some(Destination { service, page, ..Destination::nobody(number) })
    }

    fn speaker(&mut self) -> Option<&mut Speaker> {
        match self.page.as_deref_mut() {
            Some(Page::Speaker(speaker)) => Some(speaker),
            Some(Page::Listener { .. }) | None => None,
        }
    }
}

impl Calls {
    /// Sees to a call of a paging group after something has happened to it.
    pub(super) fn attend_page(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get(id) else { return };
        match call.destination.page.as_deref() {
            None => {}
            Some(Page::Listener { speaker, .. }) => {
                let speaker = *speaker;
                if call.ending.is_some() {
                    self.forget_listener(env, speaker, id);
                }
            }
            Some(Page::Speaker(_)) if call.ending.is_some() => {
                let speaker = self.table.get_mut(id).and_then(|call| call.destination.speaker());
                let listeners = speaker.map(|speaker| core::mem::take(&mut speaker.listeners));
                for listener in listeners.into_iter().flatten() {
                    self.end(env, listener, Status::OK);
                }
            }
            Some(Page::Speaker(_)) => match self.next_of(id) {
                None => {}
                Some(Next::Call(wanted, role)) => self.call_listeners(env, id, wanted, role),
                Some(Next::Open(None)) => {}
                Some(Next::Open(Some(room))) => self.speakers.chime(env, room, Chime::Rising),
                Some(Next::End) => self.end(env, id, Status::TEMPORARILY_UNAVAILABLE),
            },
        }
    }

    fn next_of(&mut self, id: CallId) -> Option<Next> {
        let call = self.table.get_mut(id)?;
        let served = call.destination.service.as_ref().filter(|served| served.is_up())?;
        let room = served.room();
        let speaker = call.destination.speaker()?;
        if !speaker.wanted.is_empty() {
            return Some(Next::Call(core::mem::take(&mut speaker.wanted), speaker.role));
        }
        if speaker.listeners.is_empty() {
            return Some(Next::End);
        }
        let (listeners, is_open) = (speaker.listeners.clone(), speaker.is_open);
        let listens = |id: &CallId| self.table.get(*id).is_some_and(|it| matches!(it.phase, Phase::Served));
        if is_open || !listeners.iter().all(listens) {
            return None;
        }
        let speaker = self.table.get_mut(id)?.destination.speaker()?;
        speaker.is_open = true;
        Some(Next::Open(room.filter(|_| speaker.has_tone)))
    }

    fn call_listeners(&mut self, env: &mut Environment, id: CallId, wanted: Vec<Destination>, role: Role) {
        let listeners: Vec<CallId> = wanted
            .into_iter()
            .filter_map(|destination| self.open_listener(env, id, destination, role))
            .collect();
        if let Some(speaker) = self.table.get_mut(id).and_then(|call| call.destination.speaker()) {
            speaker.listeners.clone_from(&listeners);
        }
        for listener in listeners {
            if let Some(call) = self.table.get_mut(listener) {
                call.announce(env);
                call.begin_stage(env);
            }
            self.settle(env, Some(listener));
        }
        self.settle(env, Some(id));
    }

    /// A call to one member in the name of who speaks.
    fn open_listener(
        &mut self,
        env: &mut Environment,
        speaker: CallId,
        destination: Destination,
        role: Role,
    ) -> Option<CallId> {
        if self.table.len() >= env.config.limits.calls as usize {
            return None;
        }
        let call = self.table.get(speaker)?;
        let domain = call.domain;
        let (party, same) = (call.party(Side::Caller)?, call.party(Side::Caller)?);
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let referred = Referred::in_the_name_of((speaker, Side::Caller), News::quiet(env, call));
        let number = destination.user.clone();
        let page = Some(Box::new(Page::Listener { speaker, role }));
        let destination = Destination { page, ..destination };
        let id = self.open_referred(
            env,
            domain,
            party,
            (&request, transaction),
            (number, destination),
            (referred, &same),
        );
        if let Some(call) = self.table.get_mut(id) {
            call.recorded = Default::default();
        }
        Some(id)
    }

    /// Somebody who is called in a paging group has answered: it is served in the room of who speaks. Whether the call is one of those.
    pub(super) fn listen(&mut self, env: &mut Environment, id: CallId) -> bool {
        let page = self.table.get(id).and_then(|call| call.destination.page.as_deref());
        let Some(Page::Listener { speaker, role }) = page else { return false };
        let (speaker, role) = (*speaker, *role);
        let host = self.table.get(speaker).filter(|host| host.ending.is_none());
        let number = host.map(|host| host.callee.clone());
        let room = host.and_then(|host| host.destination.service.as_ref()?.room());
        let served = room.and_then(|room| self.rooms.let_in(room, role));
        let Some(call) = self.table.get_mut(id) else { return true };
        let (Some(served), Some(number)) = (served, number) else {
            self.end(env, id, Status::REQUEST_TERMINATED);
            return true;
        };
        let Phase::Talking { callee } = core::mem::replace(&mut call.phase, Phase::Served) else {
            return true;
        };
        call.referred = None;
        // Who has answered has the place of a caller that we serve.
        let remote = callee.session.remote.clone();
        call.caller_leg = callee;
        call.media.swap(0, 1);
        call.caller = String::from_utf8_lossy(&call.destination.user).into();
        (call.caller_name, call.anonymous) = (Bytes::new(), false);
        call.callee = number.clone();
        let page = call.destination.page.take();
        call.destination = Destination { service: Some(served), page, ..Destination::nobody(&number) };
        call.handle_acknowledged();
        let leg = call.media(Side::Caller).id;
        let is_understood = remote.is_some_and(|remote| call.serve_offered(env, remote));
        call.note_answer(env);
        self.adopted.insert(leg, (id, Side::Caller));
        if is_understood {
            self.settle(env, Some(speaker));
        } else {
            self.end(env, id, Status::NOT_ACCEPTABLE_HERE);
        }
        true
    }

    /// A call of a paging group is over.
    fn forget_listener(&mut self, env: &mut Environment, speaker: CallId, listener: CallId) {
        let Some(page) = self.table.get_mut(speaker).and_then(|call| call.destination.speaker()) else {
            return;
        };
        let before = page.listeners.len();
        page.listeners.retain(|known| *known != listener);
        if page.listeners.len() < before {
            self.settle(env, Some(speaker));
        }
    }
}
