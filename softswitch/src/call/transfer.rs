//! Transfers: a phone sends its partner to somebody else by REFER (RFC 3515), and we, who have both dialogs, do it.
//!
//! *Attended*: Refer-To names with Replaces (RFC 3891) the phone's other call. Their other parties are brought together at once. *Blind*:
//! a new call is made in the partner's name, with Referred-By (RFC 3892). Whoever answers it takes the place of the phone;
//! until then the partner stays where it is, or, when the phone hangs up, waits in the new call. When nobody answers, the phone
//! has its partner still, or is called back.
//!
//! The call that Refer-To names may ring yet (`handover`). Who answers must be understood by the partner; else it is as if nobody had
//! answered. The phone hears of it by NOTIFY in its dialog (§2.4.4), unless it does not want to (RFC 4488), also after its BYE. Only users
//! may transfer, not peers: 403. Left out on purpose: REFER to what is not an INVITE, to other domains, and of
//! calls that we serve but conferences (`inviting`).

use super::call::{Call, CallId, Destination, Invitation, MediaLeg, Phase, Side, call_of};
use super::calls::{Calls, answer};
use super::counting::Count;
use super::inviting::Invited;
use super::led::{Led, carry_out, count, phones};
use super::reason;
use super::recall::Recalling;
use super::setup;
use super::takeover::Party;
use crate::core::Event;
use crate::core::command::{CallRef, CommandId};
use crate::core::environment::{Environment, escape_user, sign_request, sign_response};
use crate::records::Chronicle;
use crate::registrar::Registrar;
use crate::routing::Caller;
use crate::store::EndedBy;
use bytes::Bytes;
use media::LegId;
use serde::{Deserialize, Serialize};
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::{HeaderName, Join, ReferTo, Replaces};
use sip_stack::message::{Method, Status, Uri};
use sip_stack::session::Referral;
use sip_stack::transaction::TransactionId;
use sip_stack::transport::Flow;
use smallvec::SmallVec;

/// What a call that a REFER asked for has to know of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Referred {
    pub(super) news: News,
    /// Where the one is who will be the caller, and on which side, until somebody has answered or the phone has hung up.
    holder: Option<(CallId, Side)>,
    /// The phone, which is called back when nobody else answers.
    recall: Option<Box<Destination>>,
    /// Referred-By for who is called.
    pub(super) by: Bytes,
    /// Somebody has answered.
    pub(super) is_answered: bool,
    /// The one who was to be the caller has hung up.
    pub(super) is_given_up: bool,
    /// Our BYE to that one.
    bye: Option<TransactionId>,
    /// The phone is being called back.
    pub(super) recalling: Option<Recalling>,
    /// Who answers comes into this conference, and nobody is transferred (`inviting`).
    pub(super) invited: Option<Box<Invited>>,
}

/// The phone that wants to hear what became of its REFER.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct News {
    /// `None`: nobody has asked for them by REFER.
    referral: Option<Referral>,
    dialog: Option<DialogId>,
    flow: Flow,
    /// The call that somebody is transferred from.
    call: CallRef,
    /// The command that has asked for it.
    command: Option<CommandId>,
    last: Option<Status>,
    /// It has hung up: the dialog lives for the news alone (RFC 5057 §4).
    has_left: bool,
    /// It is no transfer: nothing is told of it.
    is_quiet: bool,
}

/// The call that a Refer-To names.
pub(super) enum Other {
    /// It is up, and the phone is on that side.
    Up(CallId, Side),
    /// It rings, and the phone is its caller.
    Rings(CallId),
}

impl Referred {
    /// For a call in the name of a partner, who is with `phone` yet.
    pub(super) fn of(
        env: &Environment,
        registrar: Option<&Registrar>,
        (domain, phone): (crate::config::DomainId, &Party),
        holder: (CallId, Side),
        news: News,
    ) -> Referred {
        let own = env.uri_host(domain, &phone.leg.flow);
        let own = [b"sip:", escape_user(&phone.user).as_slice(), b"@", &own].concat();
        let recall = Uri::parse(&own).ok().and_then(|uri| {
            // The phone itself is called back, wherever its user's calls are sent on to.
            let user = uri.user_unescaped()?.into_owned().into();
            phones(env, registrar?, domain, &user, None).map(Box::new)
        });
        // RFC 3323 §4.1.1.3
        let anonymous = &b"sip:anonymous@anonymous.invalid"[..];
        let by = [&b"<"[..], if phone.is_anonymous { anonymous } else { &own[..] }, b">"].concat().into();
        Referred {
            news,
            holder: Some(holder),
            recall,
            by,
            is_answered: false,
            is_given_up: false,
            bye: None,
            recalling: None,
            invited: None,
        }
    }
}

impl Referred {
    /// For a call in the name of somebody who stays where it is, whoever answers.
    pub(super) fn in_the_name_of(holder: (CallId, Side), news: News) -> Referred {
        Referred { holder: Some(holder), ..Referred::returning(news) }
    }

    /// Where the one is who was to be the caller, who is no longer to be that.
    pub(super) const fn take_holder(&mut self) -> Option<(CallId, Side)> {
        self.holder.take()
    }

    /// For a party that waits in this call already.
    pub(super) fn returning(news: News) -> Referred {
        Referred {
            news,
            holder: None,
            recall: None,
            by: Bytes::new(),
            is_answered: false,
            is_given_up: false,
            bye: None,
            recalling: None,
            invited: None,
        }
    }
}

impl News {
    pub(super) const fn of(referral: Referral, dialog: Option<DialogId>, flow: Flow, call: CallRef) -> News {
        News {
            referral: Some(referral),
            dialog,
            flow,
            call,
            command: None,
            last: None,
            has_left: false,
            is_quiet: false,
        }
    }

    /// For a transfer of a party of that call that no phone has asked for.
    pub(super) fn silent(env: &Environment, call: &Call) -> News {
        News {
            referral: None,
            dialog: None,
            flow: call.caller_leg.flow,
            call: env.call_ref(call.number),
            command: env.command(),
            last: None,
            has_left: false,
            is_quiet: false,
        }
    }

    /// For a call that is no transfer: nobody is told anything.
    pub(super) fn quiet(env: &Environment, call: &Call) -> News {
        News { is_quiet: true, ..News::silent(env, call) }
    }

    fn is_told(&self) -> bool {
        self.dialog.is_some() && self.referral.as_ref().is_some_and(Referral::is_told)
    }

    /// Tells what the call has come to (RFC 3515 §2.4.5).
    pub(super) fn tell(&mut self, env: &mut Environment, status: Status) {
        if self.last.is_some_and(|last| last.is_final() || last == status) {
            return;
        }
        let (call, code) = (self.call, status.code());
        if !self.is_quiet {
            env.event_of(self.command.or(env.command()), Event::TransferProgressed { call, status: code });
        }
        self.last = Some(status);
        let Some(dialog) = self.dialog else { return };
        if let Some(referral) = self.referral.as_mut().filter(|referral| referral.is_told()) {
            let sent_by = env.sent_by(&self.flow);
            if let Some(mut draft) = env.endpoint.draft_in_dialog(dialog, Method::Notify, &sent_by) {
                sign_request(&mut draft.writer);
                referral.write_notify(env.now, status, &mut draft.writer);
                env.endpoint.request(env.now, draft, 0);
            }
        }
        if status.is_final() {
            self.dialog = None;
            if self.has_left {
                env.endpoint.end_dialog(dialog);
            }
        }
    }
}

impl Call {
    /// Whether the one on that side is behind a peer.
    fn is_peer(&mut self, side: Side) -> bool {
        self.leg_mut(side).is_some_and(|leg| leg.is_peer)
    }

    /// Whether a party of it is being transferred, or parked, or waits for the other one who asks somebody.
    pub(super) const fn is_leaving(&self) -> bool {
        self.referring.is_some() || self.parking.is_some() || self.consult.is_some()
    }

    /// The call that a REFER asked for comes to nothing.
    pub(super) fn fail_referral(&mut self, env: &mut Environment, status: Status, by: EndedBy) {
        let Some(referred) = &mut self.referred else { return };
        referred.news.tell(env, status);
        if referred.holder.is_some() || referred.is_given_up {
            if referred.is_given_up {
                env.endpoint.end_dialog(self.caller_leg.dialog);
            }
            return self.finish(env, status, by);
        }
        let recall = referred.recall.take();
        if self.waits_on() {
            return;
        }
        let Some(referred) = &mut self.referred else { return };
        if let Some(recall) = recall {
            referred.recalling = Some(Recalling::default());
            return self.recall(env, *recall);
        }
        let bye = self.hang_up_because(env, Side::Caller, &reason::of(status));
        if let Some(referred) = &mut self.referred {
            referred.bye = bye;
        }
        self.finish(env, status, by);
    }

    /// Who is to be its caller is in it.
    pub(super) fn waits_here(&mut self) {
        if let Some(referred) = &mut self.referred {
            referred.holder = None;
        }
    }

    /// Whether who is to be its caller is in another call yet.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        self.referred.as_ref().is_some_and(|referred| referred.holder.is_some())
    }

    /// The switch ends it: nobody is called back.
    pub(super) fn forget_recall(&mut self) {
        self.forget_park();
        if let Some(referred) = &mut self.referred {
            referred.recall = None;
        }
    }

    /// Whether the caller is somebody who waits in this call already, until another one answers.
    pub(super) fn has_waiting_caller(&self) -> bool {
        let waits = self.referred.as_ref().is_some_and(|referred| referred.holder.is_none());
        waits && matches!(self.phase, Phase::Locating | Phase::Reserving | Phase::Ringing(_))
    }

    /// The one who was to be the caller has hung up.
    pub(super) fn give_up_referral(&mut self) {
        if let Some(referred) = &mut self.referred {
            referred.is_given_up = true;
        }
    }
}

impl Calls {
    /// A REFER of the party on a side of a call.
    pub(super) fn handle_refer(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        request: &Request,
    ) {
        if side == Side::Caller && self.table.get(id).is_some_and(|call| call.conference().is_some()) {
            return self.handle_refer_to_focus(env, registrar, id, request);
        }
        let (referral, target) = match Referral::of(env.now, &request.message) {
            Ok(read) => read,
            Err(status) => return answer(env, request, status),
        };
        let Some(call) = self.table.get_mut(id) else { return };
        if !matches!(call.phase, Phase::Talking { .. }) || call.is_peer(side) {
            return answer(env, request, Status::FORBIDDEN);
        }
        if call.is_leaving() || call.is_changing() {
            return answer(env, request, Status::REQUEST_PENDING);
        }
        let Some(leg) = call.leg_mut(side) else { return };
        let (dialog, flow) = (Some(leg.dialog), leg.flow);
        let mut news = News::of(referral, dialog, flow, env.call_ref(call.number));
        let transaction = accept(env, request, &referral);
        match target.replaces() {
            Some(named) => match Replaces::parse(&named) {
                Ok(named) => match self.find_other(env, (id, side), &named) {
                    Ok(Other::Up(second, seat)) => {
                        self.bring_together(env, (id, side), (second, seat), &mut news);
                    }
                    Ok(Other::Rings(second)) => {
                        self.hand_over(env, registrar, (id, side), second, (request, transaction), news);
                    }
                    Err(status) => news.tell(env, status),
                },
                Err(_) => news.tell(env, Status::BAD_REQUEST),
            },
            None => {
                if let Some(slot) = self.parked_by(env, id, &target) {
                    return match slot {
                        Some(slot) => self.park_at(env, (id, side), slot, news),
                        None => news.tell(env, Status::BUSY_HERE),
                    };
                }
                let destination = self.destination_of(env, registrar, (id, side), &target);
                self.call_for(env, Some(registrar), (id, side), (request, transaction), destination, news);
            }
        }
    }

    /// The other call of the phone that a Refer-To names.
    fn find_other(
        &mut self,
        env: &Environment,
        (id, side): (CallId, Side),
        named: &Replaces<'_>,
    ) -> Result<Other, Status> {
        let dialog = env.endpoint.dialog_named(named);
        let owner = dialog.and_then(|dialog| call_of(env.endpoint.dialog(dialog)?.owner()));
        let (Some(dialog), Some(second)) = (dialog, owner.filter(|second| *second != id)) else {
            return Err(Status::CALL_DOES_NOT_EXIST);
        };
        self.other_call(env, (id, side), (second, dialog), named.early_only)
    }

    /// The same by the dialog in which the phone is there.
    pub(super) fn other_call(
        &mut self,
        env: &Environment,
        (id, side): (CallId, Side),
        (second, dialog): (CallId, DialogId),
        early_only: bool,
    ) -> Result<Other, Status> {
        let first = self.table.get(id);
        let domain = first.map(|call| call.domain);
        let phone = first.and_then(|call| call.party(side)).map(|phone| phone.user);
        let other = self.table.get(second).filter(|other| Some(other.domain) == domain);
        let seat = other.and_then(|other| other.side_of(dialog)).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        let phone = phone.as_deref().and_then(|phone| core::str::from_utf8(phone).ok());
        if !phone.is_some_and(|phone| self.may_replace(env, phone, (second, seat))) {
            return Err(Status::FORBIDDEN);
        }
        let Some(other) = self.table.get_mut(second) else { return Err(Status::CALL_DOES_NOT_EXIST) };
        match other.phase {
            // RFC 3891 §3
            Phase::Talking { .. } if early_only => return Err(Status::BUSY_HERE),
            Phase::Talking { .. } => {}
            Phase::Ringing(_) | Phase::Locating if other.referred.is_none() => {
                // What is offered beside the sound is the phone's own.
                let is_plain = other.streams.is_none();
                return if is_plain { Ok(Other::Rings(second)) } else { Err(Status::NOT_ACCEPTABLE_HERE) };
            }
            Phase::Ringing(_)
            | Phase::Locating
            | Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => return Err(Status::TEMPORARILY_UNAVAILABLE),
        }
        if other.is_changing() || other.is_leaving() {
            return Err(Status::REQUEST_PENDING);
        }
        if !self.understand(env, (id, side.other()), (second, seat.other())) {
            return Err(Status::NOT_ACCEPTABLE_HERE);
        }
        Ok(Other::Up(second, seat))
    }

    /// An attended transfer. What either call was to be recorded as, the new one is.
    pub(super) fn bring_together(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        (second, seat): (CallId, Side),
        news: &mut News,
    ) {
        news.tell(env, Status::OK);
        let first = self.table.get(id);
        let by = first.and_then(|call| call.party(side)).map(|phone| phone.user);
        let wanted = first.map(|call| call.recorded.passed_on()).unwrap_or_default();
        // Whoever sat there is the phone itself, in its other call.
        if let Some(other) = self.table.get_mut(second) {
            let left = other.media(seat).id;
            let bye = other.hang_up(env, seat);
            self.remember_byes(bye);
            self.move_party(env, (id, side.other()), (second, seat));
            if let Some(other) = self.table.get_mut(second) {
                other.referred_by = by.map(|user| String::from_utf8_lossy(&user).into());
                other.recorded.want_too(wanted);
                other.join_unchanged(env);
            }
            self.adopted.remove(&left);
            env.media(media::Command::Close { leg: left });
        }
        self.leave_behind(env, id, side.other(), true);
        self.settle(env, Some(second));
    }

    /// Whether two parties of two calls would understand each other as they speak now.
    pub(super) fn understand(&self, env: &Environment, one: (CallId, Side), other: (CallId, Side)) -> bool {
        let agreed = |(id, side)| self.table.get(id)?.agreed(side);
        let (Some(one), Some(other)) = (agreed(one), agreed(other)) else { return false };
        let transcode = super::bridge::transcodes(env);
        super::agreement::Agreement::unchanged(one, other, [None, None], transcode).is_some()
    }

    /// The slot that a Refer-To parks under, if it is a number of that kind; the inner `None`: all are taken.
    fn parked_by(&self, env: &Environment, id: CallId, target: &ReferTo<'_>) -> Option<Option<u32>> {
        let domain = self.table.get(id)?.domain;
        let uri = target.request_uri();
        let dialled = Uri::parse(&uri).ok()?;
        if target.join().is_some() || env.config.domain_of_host(dialled.host) != Some(domain) {
            return None;
        }
        self.parks(env, domain, &dialled.user_unescaped()?)
    }

    /// Whom a Refer-To names: the number and what it leads to. With a Join it is a call that goes on (RFC 3911).
    fn destination_of(
        &self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        target: &ReferTo<'_>,
    ) -> Result<(Bytes, Led), Status> {
        let call = self.table.get(id).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        let uri = target.request_uri();
        let dialled = Uri::parse(&uri).ok();
        let number = dialled
            .and_then(|uri| uri.user_unescaped())
            .map_or_else(Bytes::new, |user| Bytes::copy_from_slice(&user));
        if let Some(named) = target.join() {
            let named = Join::parse(&named).map_err(|_| Status::BAD_REQUEST)?;
            let user = call.party(side).ok_or(Status::CALL_DOES_NOT_EXIST)?.user;
            let user = core::str::from_utf8(&user).map_err(|_| Status::FORBIDDEN)?;
            let host = self.named_host(env, call.domain, user, &named)?;
            // Nobody joins the call that it is in.
            let host = Some(host).filter(|host| *host != id).ok_or(Status::CALL_DOES_NOT_EXIST)?;
            return Ok((number.clone(), Led::to(Destination::joining(host, &number))));
        }
        let user = call.party(side).ok_or(Status::CALL_DOES_NOT_EXIST)?.user;
        let caller = Caller::User(core::str::from_utf8(&user).map_err(|_| Status::FORBIDDEN)?);
        let (domain, invite) = (call.domain, call.invite());
        let led = self.lead(env, registrar, domain, caller, invite, dialled.as_ref());
        led.map(|led| (number, led)).map_err(|refused| refused.status)
    }

    /// A blind transfer: somebody is called in the name of the phone's partner. The call that is made, if one is.
    pub(super) fn call_for(
        &mut self,
        env: &mut Environment,
        registrar: Option<&Registrar>,
        (id, side): (CallId, Side),
        (request, transaction): (&Request, TransactionId),
        wanted: Result<(Bytes, Led), Status>,
        mut news: News,
    ) -> Option<CallId> {
        if self.table.len() >= env.config.limits.calls as usize {
            news.tell(env, Status::SERVICE_UNAVAILABLE);
            return None;
        }
        let call = self.table.get(id)?;
        let domain = call.domain;
        let (party, phone) = (call.party(side.other())?, call.party(side)?);
        // What is dialled there would have a PIN in it, and stand in records.
        let wanted =
            wanted.and_then(
                |(number, led)| {
                    if led.is_of_desk() { Err(Status::FORBIDDEN) } else { Ok((number, led)) }
                },
            );
        let counted = wanted.and_then(|(number, led)| {
            let counted = count_sender(env, domain, &phone, &led)?;
            Ok((number, led, counted))
        });
        let (number, led, counted) = match counted {
            Ok(counted) => counted,
            Err(status) => {
                news.tell(env, status);
                return None;
            }
        };
        carry_out(env, domain, led.setting);
        news.tell(env, Status::TRYING);
        let holder = (id, side.other());
        let referred = Referred::of(env, registrar, (domain, &phone), holder, news);
        let new = self.open_referred(
            env,
            domain,
            party,
            (request, transaction),
            (number, led.destination),
            (referred, &phone),
        );
        if let Some(call) = self.table.get_mut(new) {
            call.counted.extend(counted);
        }
        if let Some(call) = self.table.get_mut(id) {
            call.referring = Some((new, side));
        }
        self.begin_referred(env, new);
        Some(new)
    }

    pub(super) fn open_referred(
        &mut self,
        env: &mut Environment,
        domain: crate::config::DomainId,
        party: Party,
        (request, transaction): (&Request, TransactionId),
        (callee, mut destination): (Bytes, Destination),
        (referred, phone): (Referred, &Party),
    ) -> CallId {
        let caller: Box<str> = String::from_utf8_lossy(&party.user).into();
        let holder = referred.holder.and_then(|(holder, _)| self.table.get(holder));
        let language = holder.map(|call| call.language.clone()).unwrap_or_default();
        let name = env.domain(domain).map_or_else(Default::default, |domain| domain.name.clone());
        let recorded = setup::recorded(env, domain, &caller, &destination);
        let service = destination.service.take_if(|_| !destination.enters);
        let tag = env.endpoint.random().tag();
        let invitation =
            Invitation { request: Box::new(request.clone()), transaction, tag, contact: Bytes::new() };
        let number = callee.clone();
        let id = self.insert(Call {
            id: None,
            number: 0,
            anonymous: party.is_anonymous,
            callee_anonymous: false,
            domain,
            domain_name: name,
            caller,
            counted: Vec::new(),
            caller_name: party.name,
            callee,
            invitation,
            caller_leg: party.leg,
            destination,
            phase: Phase::Reserving,
            media: [Side::Caller, Side::Callee].map(|_| MediaLeg {
                id: LegId(0),
                port: 0,
                silent: false,
                figures: None,
            }),
            bridge: Default::default(),
            streams: None,
            passing: None,
            renewal: None,
            referred: Some(Box::new(referred)),
            guests: Default::default(),
            infos: Vec::new(),
            referring: None,
            referred_by: Some(String::from_utf8_lossy(&phone.user).into()),
            recorded,
            speech: Default::default(),
            keys: None,
            parked: None,
            parking: None,
            ends_by: None,
            music: None,
            language,
            started: env.now,
            answered: None,
            ending: None,
            seats: SmallVec::new(),
            chronicle: Chronicle::default(),
            kept: None,
            armed: None,
            command: env.command(),
            program: Default::default(),
            consult: None,
        });
        let service = service.map(|served| self.enter(env, id, number, served));
        if let Some(call) = self.table.get_mut(id)
            && service.is_some()
        {
            call.destination.service = service;
        }
        id
    }

    pub(super) fn begin_referred(&mut self, env: &mut Environment, id: CallId) {
        let host = self.table.get(id).and_then(|call| call.destination.joins);
        let joined = host.map(|host| self.open_to(env, host, id));
        if let Some(call) = self.table.get_mut(id) {
            call.announce(env);
            match joined {
                Some(Ok(served)) => call.destination.service = Some(served),
                Some(Err(status)) => {
                    call.phase = Phase::Ended;
                    call.fail_referral(env, status, EndedBy::Switch);
                    return self.settle(env, Some(id));
                }
                None => {}
            }
            if call.destination.service.is_some() && !call.destination.enters {
                if let Some(referred) = &mut call.referred {
                    referred.is_answered = true;
                }
            } else {
                call.begin_stage(env);
            }
        }
        self.settle(env, host);
        self.settle(env, Some(id));
    }

    /// The phone hangs up while somebody is called for its partner, who waits in the new call from now on. Whether it is so.
    pub(super) fn leave_to_referral(&mut self, env: &mut Environment, id: CallId, side: Side) -> bool {
        let referring = self.table.get(id).and_then(|call| call.referring);
        let Some((new, _)) = referring.filter(|(_, phone)| *phone == side) else { return false };
        let gone = self.table.get_mut(id).and_then(|call| call.leg_mut(side)).map(|leg| leg.dialog);
        if !self.move_party(env, (id, side.other()), (new, Side::Caller)) {
            return false;
        }
        if let Some(call) = self.table.get_mut(new) {
            // Whoever asked is gone; who answers talks with its partner.
            call.become_transfer();
        }
        let keeps = self.table.get_mut(new).and_then(|call| call.referred.as_mut()).is_some_and(|referred| {
            referred.holder = None;
            referred.news.has_left = true;
            referred.news.is_told()
        });
        if let (Some(gone), false) = (gone, keeps) {
            env.endpoint.end_dialog(gone);
        }
        self.leave_behind(env, id, side.other(), false);
        self.settle(env, Some(new));
        true
    }

    /// Sees to a call that a REFER asked for after something has happened to it.
    pub(super) fn attend_referral(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        let is_over = call.ending.is_some();
        // A call that has ended has nobody to be transferred any more.
        if let Some((new, _)) = call.referring.filter(|_| is_over) {
            call.referring = None;
            if let Some(new) = self.table.get_mut(new) {
                new.forget_recall();
                new.drop_ring(env);
                new.fail_referral(env, Status::REQUEST_TERMINATED, EndedBy::Caller);
            }
            return self.settle(env, Some(new));
        }
        let Some(referred) = call.referred.as_mut() else { return };
        if is_over {
            let (holder, bye) = (referred.holder.take(), referred.bye.take());
            self.remember_byes(bye);
            if let Some(call) = holder.and_then(|(holder, _)| self.table.get_mut(holder)) {
                call.referring = None;
                if call.consult.is_some() {
                    self.settle(env, holder.map(|(holder, _)| holder));
                }
            }
        } else if core::mem::take(&mut referred.is_answered) {
            match referred.invited.take() {
                Some(invited) => self.complete_invitation(env, id, *invited),
                None => self.complete_referral(env, id),
            }
        }
    }

    /// Somebody has answered: the phone's partner is the caller now, and the phone is out of it. Who answers in nothing that
    /// the partner understands is hung up on, as if it had refused.
    fn complete_referral(&mut self, env: &mut Environment, id: CallId) {
        if self.listen(env, id) {
            return;
        }
        if self.table.get(id).is_some_and(Call::is_summoning) {
            return self.seat_summoned(env, id);
        }
        let holder = self.table.get(id).and_then(|call| call.referred.as_ref()?.holder);
        let partner = holder.unwrap_or((id, Side::Caller));
        let spoken = self.table.get(partner.0).and_then(|call| call.agreed(partner.1)).cloned();
        let Some(call) = self.table.get_mut(id) else { return };
        if !spoken.is_some_and(|spoken| call.is_understood_by(env, &spoken)) {
            return self.refuse_answered(env, id);
        }
        if let Some(referred) = &mut call.referred {
            referred.holder = None;
        }
        if let Some(holder) = holder
            && self.take_asked(env, id, holder)
        {
            return;
        }
        if let Some(holder) = holder
            && !self.move_party(env, holder, (id, Side::Caller))
        {
            return self.end(env, id, Status::SERVER_INTERNAL_ERROR);
        }
        let Some(call) = self.table.get_mut(id) else { return };
        if holder.is_none() {
            // Music is over for who has waited.
            call.leave_bridge(env);
        }
        let understood =
            if call.destination.service.is_some() { call.serve_moved(env) } else { call.join_answered(env) };
        if !call.program.is_originated() {
            call.uncount_maker(env);
        }
        call.note_answer(env);
        let status = if understood { Status::OK } else { Status::NOT_ACCEPTABLE_HERE };
        if let Some(mut referred) = call.referred.take() {
            referred.news.tell(env, status);
        }
        if let Some((holder, side)) = holder {
            self.leave_behind(env, holder, side, true);
        }
        if !understood {
            self.end(env, id, status);
        }
    }

    /// Who has answered cannot be understood: the partner stays where it is, or the phone is called back.
    pub(super) fn refuse_answered(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        let status = Status::NOT_ACCEPTABLE_HERE;
        let bye = call.hang_up_because(env, Side::Callee, &reason::of(status));
        if call.destination.service.is_some() {
            // Its room is left with the call.
            call.forget_recall();
        }
        call.phase = Phase::Ended;
        call.fail_referral(env, status, EndedBy::Switch);
        self.remember_byes(bye);
        self.settle(env, Some(id));
    }
}

/// Counts a call that a phone sends its partner to under its user, but for what the switch does itself.
pub(super) fn count_sender(
    env: &mut Environment,
    domain: crate::config::DomainId,
    phone: &Party,
    led: &Led,
) -> Result<Option<Count>, Status> {
    let user = core::str::from_utf8(&phone.user).ok();
    let Some(user) = user.filter(|_| !phone.leg.is_peer && !led.destination.is_served()) else {
        return Ok(None);
    };
    count(env, domain, Caller::User(user), led).map_err(|refused| refused.status)
}

/// §2.4.2: 202, whatever will come of it.
pub(super) fn accept(env: &mut Environment, request: &Request, referral: &Referral) -> TransactionId {
    let transaction = env.endpoint.accept(env.now, request, 0);
    let mut response = env.endpoint.response(request, Status::ACCEPTED, None);
    referral.write_accepted(&mut response);
    let dialog = request.dialog.and_then(|dialog| env.endpoint.dialog(dialog));
    if let Some(contact) = dialog.map(|dialog| dialog.contact().clone()) {
        response.header(HeaderName::Contact, &contact);
    }
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, Status::ACCEPTED, response.finish());
    transaction
}
