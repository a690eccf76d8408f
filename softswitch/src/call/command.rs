//! What commands do to calls (`core/command`). What is done is what phones come to by REFER, BYE and INFO; here is only what they
//! have no way to ask for, and how a call looks from outside.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::led::Before;
use super::recording::NotRecorded;
use super::speech::About;
use super::transfer::{News, Other};
use crate::config::DomainId;
use crate::core::command::{Actor, CallRef, CallState, CallView, Field, LegRef, PartyView, Refused};
use crate::core::environment::Environment;
use crate::registrar::{Named, Registrar};
use crate::routing::Caller;
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use media::dtmf::{Digit, EventCode};
use media::{Command, RoomId};
use sip_stack::message::Status;
use smallvec::SmallVec;
use std::sync::Arc;

/// Keys of one command.
const DIGITS: usize = 32;
/// How long each is pressed.
const PRESSED: Duration = Duration::from_millis(100);
/// Octets of a number at most.
pub(super) const NUMBER: usize = 128;

impl Call {
    /// Its number in this run.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Who has joined it.
    pub(crate) fn guests(&self) -> &[CallId] {
        &self.guests
    }

    /// The conference that its caller is in.
    pub(crate) fn conference(&self) -> Option<RoomId> {
        Some(self.destination.service.as_ref()?.inside()?.conference)
    }

    /// How it looks.
    pub(crate) fn view(&self, env: &Environment) -> CallView {
        let holds = |side| {
            let by_phone = self.wish(side).is_some_and(|wish| !wish.direction.receives());
            by_phone || self.program.holds() == Some(side)
        };
        let callee_is_peer = match &self.phase {
            Phase::Talking { callee } => callee.is_peer,
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => self.destination.peer.is_some(),
        };
        CallView {
            call: env.call_ref(self.number),
            domain: self.domain_name.clone(),
            dialled: self.callee.clone(),
            caller: PartyView {
                user: Bytes::copy_from_slice(self.caller.as_bytes()),
                anonymous: self.anonymous,
                peer: self.caller_leg.is_peer,
                holds: holds(Side::Caller),
            },
            callee: PartyView {
                user: if self.is_summoning() { self.callee.clone() } else { self.destination.user.clone() },
                anonymous: self.callee_anonymous,
                peer: callee_is_peer,
                holds: holds(Side::Callee),
            },
            state: self.state(),
            started_unix_ms: env.unix_ms(self.started),
            answered_unix_ms: self.answered.map(|answered| env.unix_ms(answered)),
            recorded: !self.recorded.running().is_empty(),
            guests: Vec::new(),
            proxied: false,
        }
    }

    const fn state(&self) -> CallState {
        match &self.phase {
            _ if self.ending.is_some() => CallState::Ended,
            Phase::Locating | Phase::Reserving => CallState::Trying,
            Phase::Ringing(_) | Phase::Refusing { .. } => CallState::Ringing,
            Phase::Talking { .. } => CallState::Talking,
            Phase::Served => CallState::Served,
            Phase::Ended => CallState::Ended,
        }
    }

    /// Whether the actor may have something done in the name of the party on that side.
    fn is_commanded_by(&self, env: &Environment, actor: &Actor, side: Side) -> bool {
        let domain = env.domain(self.domain);
        actor.is_operator()
            || domain.is_some_and(|domain| {
                self.user_on(domain, side).is_some_and(|user| actor.may(domain, &[user]))
            })
    }

    /// Has something said to one party or to both.
    fn speak(&mut self, files: Vec<Arc<str>>, to: Option<Side>) -> Result<(), Refused> {
        match &self.phase {
            Phase::Talking { .. } if !self.can_be_mixed() => return Err(Refused::NoCommonCodec),
            Phase::Talking { .. } => {}
            Phase::Served if to != Some(Side::Callee) && self.is_heard_by_caller() => {}
            Phase::Served
            | Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Ended => return Err(Refused::WrongState),
        }
        if self.speech.add_to(to, About::Command, files) { Ok(()) } else { Err(Refused::TooMany) }
    }

    fn is_heard_by_caller(&self) -> bool {
        self.destination.service.as_ref().is_some_and(|served| served.room().is_some())
    }
}

impl Calls {
    /// The call of this id that has not ended, if the actor sees it.
    pub(crate) fn named(&self, env: &Environment, actor: &Actor, call: CallRef) -> Result<CallId, Refused> {
        let id = self.numbers.get(&env.run().number(call.0)).copied();
        let (id, call) = id.and_then(|id| Some((id, self.table.get(id)?))).ok_or(Refused::UnknownCall)?;
        let may = match env.domain(call.domain) {
            Some(domain) => {
                let users = [Side::Caller, Side::Callee].map(|side| call.user_on(domain, side));
                actor.may(domain, &users.map(Option::unwrap_or_default))
            }
            None => actor.is_operator(),
        };
        if may && call.ending.is_none() { Ok(id) } else { Err(Refused::UnknownCall) }
    }

    /// The leg of this id, if the actor may have something done in the name of its party. A user may in its own and in that of whom
    /// its rights cover, not in that of who is behind a peer.
    pub(crate) fn named_leg(
        &self,
        env: &Environment,
        actor: &Actor,
        leg: LegRef,
    ) -> Result<(CallId, Side), Refused> {
        let (id, side) = (self.named(env, actor, leg.call)?, Side::from(leg.side));
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        if call.is_commanded_by(env, actor, side) { Ok((id, side)) } else { Err(Refused::NotAllowed) }
    }

    /// The user on a side of a call.
    pub(crate) fn user_of_leg(
        &self,
        env: &Environment,
        (id, side): (CallId, Side),
    ) -> Option<(DomainId, Box<str>)> {
        let call = self.table.get(id)?;
        let user = call.user_on(env.domain(call.domain)?, side)?;
        Some((call.domain, user.into()))
    }

    /// Whether the actor may begin or end the recording: a user where one of those whom it commands may with its key
    /// (`record_on_request`). What has to be recorded no user ends.
    pub(crate) fn may_record(
        &self,
        env: &Environment,
        actor: &Actor,
        id: CallId,
        on: bool,
    ) -> Result<(), Refused> {
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let may = [Side::Caller, Side::Callee]
            .into_iter()
            .any(|side| call.is_commanded_by(env, actor, side) && call.form_on_request(env, side).is_some());
        let may = may && (on || !call.recorded.is_compulsory());
        if may || actor.is_operator() { Ok(()) } else { Err(Refused::NotAllowed) }
    }

    /// Ends a call. A caller who has no answer yet is told that nobody can be reached.
    pub(crate) fn hang_up(&mut self, env: &mut Environment, id: CallId) {
        let is_up = self
            .table
            .get(id)
            .is_some_and(|call| matches!(call.phase, Phase::Talking { .. } | Phase::Served));
        self.end(env, id, if is_up { Status::OK } else { Status::TEMPORARILY_UNAVAILABLE });
    }

    /// Sends a party away, as if it had hung up itself.
    pub(crate) fn send_away(&mut self, env: &mut Environment, id: CallId, side: Side) -> Result<(), Refused> {
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        match (&call.phase, side) {
            (Phase::Talking { .. }, _) => {}
            (Phase::Served, Side::Caller) => {
                self.hang_up(env, id);
                return Ok(());
            }
            (Phase::Served, Side::Callee)
            | (
                Phase::Locating
                | Phase::Reserving
                | Phase::Ringing(_)
                | Phase::Refusing { .. }
                | Phase::Ended,
                _,
            ) => return Err(Refused::WrongState),
        }
        let bye = call.hang_up(env, side);
        self.remember_byes(bye);
        if self.leave_partner(env, id, side) {
            return Ok(());
        }
        if let Some(call) = self.table.get_mut(id) {
            let bye = call.hang_up(env, side.other());
            call.finish(env, Status::OK, EndedBy::Switch);
            self.remember_byes(bye);
        }
        self.settle(env, Some(id));
        Ok(())
    }

    /// Sends the partner of a party to a number; the call that is made for it.
    pub(crate) fn transfer(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        number: &str,
    ) -> Result<CallId, Refused> {
        self.can_transfer(id, side)?;
        if number.is_empty() || number.len() > NUMBER {
            return Err(Refused::Senseless(Field::Number));
        }
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let number = Bytes::copy_from_slice(number.as_bytes());
        let user = call.party(side).ok_or(Refused::WrongState)?.user;
        let caller = Caller::User(core::str::from_utf8(&user).map_err(|_| Refused::WrongState)?);
        let (domain, named) = (call.domain, Named::number(number.clone()));
        let led = self
            .lead_to(env, registrar, domain, caller, Before::default(), &named)
            .map_err(|refused| refused_by(refused.status))?;
        if led.is_of_desk() {
            return Err(Refused::NotAllowed);
        }
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let news = News::silent(env, call);
        let wanted = Ok((number, led));
        let new = self.call_for(env, Some(registrar), (id, side), (&request, transaction), wanted, news);
        new.ok_or(Refused::TooMany)
    }

    /// Brings the partners of a party in two calls together.
    pub(crate) fn connect_two(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        (second, seat): (CallId, Side),
    ) -> Result<(), Refused> {
        self.can_transfer(id, side)?;
        if id == second {
            return Err(Refused::Senseless(Field::Leg));
        }
        let dialog = self.table.get_mut(second).and_then(|call| call.leg_mut(seat)).map(|leg| leg.dialog);
        let dialog = dialog.ok_or(Refused::WrongState)?;
        let other = self.other_call(env, (id, side), (second, dialog), false).map_err(refused_by)?;
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let mut news = News::silent(env, call);
        match other {
            Other::Up(second, seat) => {
                self.bring_together(env, (id, side), (second, seat), &mut news);
            }
            Other::Rings(second) => {
                self.hand_over(env, registrar, (id, side), second, (&request, transaction), news);
            }
        }
        Ok(())
    }

    pub(super) fn can_transfer(&mut self, id: CallId, side: Side) -> Result<(), Refused> {
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        if !matches!(call.phase, Phase::Talking { .. }) || call.leg_mut(side).is_none() {
            return Err(Refused::WrongState);
        }
        if call.is_leaving() || call.is_changing() {
            return Err(Refused::Pending);
        }
        Ok(())
    }

    /// Says a prompt in a call.
    pub(crate) fn say(
        &mut self,
        env: &mut Environment,
        id: CallId,
        prompt: &str,
        to: Option<Side>,
    ) -> Result<(), Refused> {
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        let files = call.prompt(env, prompt);
        if files.is_empty() {
            return Err(Refused::UnknownPrompt);
        }
        call.speak(files, to)?;
        self.settle(env, Some(id));
        Ok(())
    }

    /// Plays a file in a call. What cannot be played is told by an event.
    pub(crate) fn play(
        &mut self,
        env: &mut Environment,
        id: CallId,
        file: &str,
        to: Option<Side>,
    ) -> Result<(), Refused> {
        if !std::path::Path::new(file).is_absolute() {
            return Err(Refused::Senseless(Field::File));
        }
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        call.speak(vec![file.into()], to)?;
        self.settle(env, Some(id));
        Ok(())
    }

    /// Presses keys for a party.
    pub(crate) fn send_digits(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        digits: &str,
    ) -> Result<(), Refused> {
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        if !matches!(call.phase, Phase::Talking { .. }) {
            return Err(Refused::WrongState);
        }
        let senseless = Refused::Senseless(Field::Digits);
        let press = |key| EventCode::from_char(key).filter(|code| code.is_dtmf());
        let codes: Option<SmallVec<[EventCode; 2]>> = digits.chars().map(press).collect();
        let codes = codes.filter(|codes| !codes.is_empty() && codes.len() <= DIGITS).ok_or(senseless)?;
        let digits = codes.into_iter().map(|code| Digit { code, duration: PRESSED }).collect();
        env.media(Command::Dial { leg: call.media(side).id, digits });
        Ok(())
    }

    /// The conferences that are open: room, domain, number, and the file of the whole.
    pub(crate) fn conferences(&self) -> impl Iterator<Item = (RoomId, &Arc<str>, &Bytes, Option<Arc<str>>)> {
        self.rooms.conferences()
    }
}

/// What a status means to who has given a command.
pub(super) fn refused_by(status: Status) -> Refused {
    match status {
        Status::NOT_FOUND => Refused::UnknownNumber,
        Status::CALL_DOES_NOT_EXIST => Refused::UnknownCall,
        Status::REQUEST_PENDING => Refused::Pending,
        Status::NOT_ACCEPTABLE_HERE => Refused::NoCommonCodec,
        Status::SERVICE_UNAVAILABLE => Refused::TooMany,
        Status::TEMPORARILY_UNAVAILABLE => Refused::NotRegistered,
        _ => Refused::WrongState,
    }
}

impl From<NotRecorded> for Refused {
    fn from(reason: NotRecorded) -> Refused {
        match reason {
            NotRecorded::NotTalking => Refused::WrongState,
            NotRecorded::NotDecoded => Refused::NoCommonCodec,
            NotRecorded::NotAnnounced => Refused::NotAnnounced,
            NotRecorded::TooOften => Refused::TooMany,
        }
    }
}
