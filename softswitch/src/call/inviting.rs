//! A conference calls a number: by command, or because a member asks the focus by REFER (RFC 4579 §5.5); and a REFER that asks it to send
//! somebody away (§5.11).
//!
//! The call rings in the name of a member, with its identity, as a transfer would (`transfer`), and is given up when that one goes.
//! Who answers becomes the caller of it, and is served in the conference: it hears who has invited it, and needs no code. One
//! invitation of a member at a time. Left out on purpose: REFER outside of a dialog; invitations in nobody's name, into a room in which
//! no user is.

use super::call::{CallId, Destination, Phase, Side};
use super::calls::{Calls, answer};
use super::led::Before;
use super::serve::Served;
use super::speech::About;
use super::transfer::{News, Referred, accept};
use crate::config::Service;
use crate::core::command::{Actor, Refused};
use crate::core::environment::Environment;
use crate::prompts::What;
use crate::registrar::{Named, Registrar};
use crate::rooms::{Arrival, Order, Who};
use crate::routing::Caller;
use bytes::Bytes;
use media::RoomId;
use serde::{Deserialize, Serialize};
use sip_stack::endpoint::Request;
use sip_stack::header::ReferTo;
use sip_stack::message::{Method, Status, Uri};
use sip_stack::session::Referral;

/// Octets of a number at most.
const NUMBER: usize = 128;

/// Where somebody is invited.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Invited {
    service: Service,
    number: Bytes,
}

impl Calls {
    /// A conference calls a number in the name of `member`, or of who is there longest of those for whom the actor may act; the call that
    /// is made.
    pub(crate) fn invite_into(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        actor: &Actor,
        (conference, member): (RoomId, Option<Who>),
        number: &str,
    ) -> Result<CallId, Refused> {
        if number.is_empty() || number.len() > NUMBER {
            return Err(Refused::Senseless(crate::core::command::Field::Number));
        }
        let inviting = match member {
            Some(who) => self.numbers.get(&who).copied(),
            None => self.host_of(env, actor, conference),
        };
        let id = inviting.ok_or(Refused::WrongState)?;
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        if call.is_leaving() {
            return Err(Refused::Pending);
        }
        let news = News::silent(env, call);
        self.ring_invited(env, registrar, id, number.as_bytes(), news).map_err(super::command::refused_by)
    }

    /// The user in whose name a conference calls: the actor itself, else the moderator who is there longest, else whoever is; nobody whom the
    /// rights of the actor do not cover.
    fn host_of(&self, env: &Environment, actor: &Actor, conference: RoomId) -> Option<CallId> {
        let meeting = self.rooms.meeting_in(conference)?;
        let mut people = meeting.people();
        people.retain(|person| !person.waits);
        people.sort_by_key(|person| !meeting.is_moderator(person.who));
        let free = |call: &super::Call| {
            let is_there = !call.caller_leg.is_peer && !call.is_leaving() && call.ending.is_none();
            is_there && env.domain(call.domain).is_some_and(|domain| actor.may(domain, &[&*call.caller]))
        };
        let calls = people.iter().filter_map(|person| self.numbers.get(&person.who).copied());
        let calls =
            calls.filter_map(|id| self.table.get(id).filter(|call| free(call)).map(|call| (id, call)));
        calls.min_by_key(|(_, call)| !actor.is(&call.caller)).map(|(id, _)| id)
    }

    /// Has a number ring for the conference that a call is in.
    fn ring_invited(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        id: CallId,
        number: &[u8],
        mut news: News,
    ) -> Result<CallId, Status> {
        let gone = Status::CALL_DOES_NOT_EXIST;
        let call = self.table.get(id).ok_or(gone)?;
        if self.table.len() >= env.config.limits.calls as usize {
            news.tell(env, Status::SERVICE_UNAVAILABLE);
            return Err(Status::SERVICE_UNAVAILABLE);
        }
        let served = call.destination.service.as_ref().ok_or(gone)?;
        let inside = served.inside().ok_or(gone)?;
        let invited = Invited { service: served.service().clone(), number: inside.number.clone() };
        let party = call.party(Side::Caller).ok_or(gone)?;
        let inviter = call.party(Side::Caller).ok_or(gone)?;
        let domain = call.domain;
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let number = Bytes::copy_from_slice(number);
        let user = call.caller.clone();
        if call.caller_leg.is_peer {
            news.tell(env, Status::FORBIDDEN);
            return Err(Status::FORBIDDEN);
        }
        let named = Named::number(number.clone());
        let led = self
            .lead_to(env, registrar, domain, Caller::User(&user), Before::default(), &named)
            .map_err(|refused| refused.status);
        // A service of ours is nobody who could come.
        let led =
            led.and_then(|led| if led.destination.is_served() { Err(Status::NOT_FOUND) } else { Ok(led) });
        let counted = led.and_then(|led| {
            let counted = super::transfer::count_sender(env, domain, &inviter, &led)?;
            Ok((led, counted))
        });
        let (led, counted) = match counted {
            Ok(counted) => counted,
            Err(status) => {
                news.tell(env, status);
                return Err(status);
            }
        };
        news.tell(env, Status::TRYING);
        let mut referred = Referred::of(env, None, (domain, &inviter), (id, Side::Caller), news);
        referred.invited = Some(Box::new(invited));
        let wanted = (number, led.destination);
        let new =
            self.open_referred(env, domain, party, (&request, transaction), wanted, (referred, &inviter));
        if let Some(call) = self.table.get_mut(new) {
            call.counted.extend(counted);
        }
        if let Some(call) = self.table.get_mut(id) {
            // The member itself goes nowhere.
            call.referring = Some((new, Side::Callee));
        }
        self.begin_referred(env, new);
        Ok(new)
    }

    /// Who was invited has answered, and is served in the conference from now on.
    pub(super) fn complete_invitation(&mut self, env: &mut Environment, id: CallId, invited: Invited) {
        let Some(call) = self.table.get_mut(id) else { return };
        let Some(mut referred) = call.referred.take() else { return };
        let inviter = Bytes::copy_from_slice(call.caller.as_bytes());
        let is_anonymous = call.anonymous;
        let (Some(party), Phase::Talking { callee }) = (call.party(Side::Callee), &call.phase) else {
            return;
        };
        let remote = callee.session.remote.clone();
        let (leg, unused) = (call.media(Side::Callee).id, call.media(Side::Caller).clone());
        call.seat(env, Side::Caller, party);
        // The port of the caller was never asked for: that one has its own.
        *call.media_mut(Side::Callee) = unused;
        (call.media_mut(Side::Callee).port, call.media_mut(Side::Callee).figures) = (0, None);
        call.phase = Phase::Served;
        call.callee = invited.number.clone();
        call.destination = Destination::nobody(&invited.number);
        call.note_answer(env);
        let holder = referred.take_holder();
        referred.news.tell(env, Status::OK);
        self.adopted.insert(leg, (id, Side::Caller));
        let served = Served::new(invited.service);
        let served = self.enter_as(env, id, invited.number, served, Some(Arrival::Brought));
        let Some(call) = self.table.get_mut(id) else { return };
        call.destination.service = Some(served);
        call.handle_acknowledged();
        call.say_who_invites(env, (!is_anonymous).then_some(&inviter));
        let is_understood = remote.is_some_and(|remote| call.serve_offered(env, remote));
        if let Some(holder) = holder.and_then(|(holder, _)| self.table.get_mut(holder)) {
            holder.referring = None;
        }
        if !is_understood {
            self.end(env, id, Status::NOT_ACCEPTABLE_HERE);
        }
    }

    /// A REFER of a member to the focus.
    pub(super) fn handle_refer_to_focus(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        id: CallId,
        request: &Request,
    ) {
        let (referral, target) = match Referral::to_focus(env.now, &request.message) {
            Ok(read) => read,
            Err(status) => return answer(env, request, status),
        };
        let Some(call) = self.table.get_mut(id) else { return };
        if call.caller_leg.is_peer || target.replaces().is_some() || target.join().is_some() {
            return answer(env, request, Status::FORBIDDEN);
        }
        if call.is_leaving() || call.is_changing() {
            return answer(env, request, Status::REQUEST_PENDING);
        }
        let (dialog, flow, domain) = (Some(call.caller_leg.dialog), call.caller_leg.flow, call.domain);
        let mut news = News::of(referral, dialog, flow, env.call_ref(call.number));
        accept(env, request, &referral);
        if Method::new(target.method()) == Method::Bye {
            let status = self.send_away_by_refer(env, id, &target);
            return news.tell(env, status);
        }
        match user_of(env, domain, &target) {
            // What becomes of it is told by NOTIFY.
            Some(number) => _ = self.ring_invited(env, registrar, id, &number, news),
            None => news.tell(env, Status::NOT_FOUND),
        }
    }

    /// Sends those away whom a REFER with the method BYE names: a moderator may, and everybody itself.
    fn send_away_by_refer(&mut self, env: &mut Environment, id: CallId, target: &ReferTo<'_>) -> Status {
        let Some(call) = self.table.get(id) else { return Status::CALL_DOES_NOT_EXIST };
        let Some(conference) = call.conference() else { return Status::CALL_DOES_NOT_EXIST };
        let Some(user) = user_of(env, call.domain, target) else { return Status::NOT_FOUND };
        let (own, sender) = (call.caller.as_bytes() == user && !call.caller_leg.is_peer, call.number);
        let Some(meeting) = self.rooms.meeting_in(conference) else { return Status::CALL_DOES_NOT_EXIST };
        if !own && !meeting.is_moderator(sender) {
            return Status::FORBIDDEN;
        }
        let is_meant = |who: &Who| {
            let call = self.numbers.get(who).and_then(|id| self.table.get(*id));
            call.is_some_and(|call| call.caller.as_bytes() == user)
        };
        let meant: Vec<Who> = meeting.people().iter().map(|person| person.who).filter(is_meant).collect();
        if meant.is_empty() {
            return Status::NOT_FOUND;
        }
        if let Some(meeting) = self.rooms.meeting(conference) {
            for who in meant {
                // Who has gone meanwhile need not be sent away.
                let _gone = meeting.handle_order(Order::Kick(who));
            }
        }
        self.work(env, conference, None);
        Status::OK
    }
}

impl super::Call {
    /// Tells who has answered that it is invited, and by whom.
    fn say_who_invites(&mut self, env: &Environment, inviter: Option<&Bytes>) {
        let number = inviter.and_then(|number| core::str::from_utf8(number).ok());
        let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+'));
        let spelled = number.map(|number| self.words(env, What::Digits(number))).unwrap_or_default();
        let files = [self.prompt(env, "conf/invited"), spelled].concat();
        self.speech.add(About::Conference, files);
    }
}

/// The user part of a Refer-To, if it is of the domain.
fn user_of(env: &Environment, domain: crate::config::DomainId, target: &ReferTo<'_>) -> Option<Vec<u8>> {
    let uri = target.request_uri();
    let uri = Uri::parse(&uri).ok()?;
    let is_ours = env.config.domain_of_host(uri.host) == Some(domain);
    Some(uri.user_unescaped()?.into_owned()).filter(|_| is_ours)
}
