//! An INVITE that opens a call: what it asks for, whether it may, and the call it becomes (RFC 3261 §13.3.1, §8.2).

use super::bridge::Bridge;
use super::call::{Call, Destination, Invitation, Leg, MediaLeg, Phase, Side};
use super::calls::Calls;
use super::desk;
use super::digits::takes_info;
use super::led::{Led, Party, carry_out, count, party};
use super::packages;
use super::record::{RefusedCall, write_refused};
use super::recording::Recorded;
use super::session::{SDP, SdpFault, Session, read};
use super::speech::Speech;
use super::streams::Streams;
use super::takeover::Replaced;
use crate::config::DomainId;
use crate::core::environment::{ALLOW, Environment, sign_response};
use crate::core::{Event, Refusal};
use crate::records::{Cause, Chronicle};
use crate::registrar::Registrar;
use crate::routing::{self, Caller};
use crate::store::EndedBy;
use bytes::Bytes;
use media::{Command, LegAddresses, LegId};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::{AudioOffer, SessionDescription};
use sip_stack::session::SessionTimer;
use smallvec::{SmallVec, smallvec};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Why an INVITE does not become a call.
pub(super) struct Refused {
    pub(super) status: Status,
    pub(super) event: Option<Refusal>,
    /// The cause of ITU-T Q.850 and the words for it.
    pub(super) cause: Option<(u8, &'static str)>,
}

impl Refused {
    pub(super) const fn told(status: Status, event: Refusal) -> Refused {
        Refused { status, event: Some(event), cause: None }
    }

    pub(super) fn by_plan(refused: routing::Refusal) -> Refused {
        let event = match refused {
            routing::Refusal::UnknownNumber => Refusal::UnknownNumber,
            routing::Refusal::NotAllowed => Refusal::NotAllowed,
            routing::Refusal::Full => Refusal::TooManyCalls,
            routing::Refusal::Dead => Refusal::PeerDead,
            routing::Refusal::Loop => Refusal::Loop,
            routing::Refusal::DoNotDisturb => Refusal::DoNotDisturb,
            routing::Refusal::Nobody => Refusal::NotRegistered,
            routing::Refusal::Rejected(_) => Refusal::Rejected,
            routing::Refusal::BadSetting => Refusal::BadSetting,
            routing::Refusal::Busy => Refusal::Busy,
            routing::Refusal::Anonymous => Refusal::Anonymous,
        };
        Refused { status: refused.status(), event: Some(event), cause: refused.cause() }
    }

    /// RFC 3326 §2
    fn reason(&self) -> Option<String> {
        let (cause, words) = self.cause?;
        Some(format!("Q.850;cause={cause};text=\"{words}\""))
    }

    pub(super) const fn silent(status: Status) -> Refused {
        Refused { status, event: None, cause: None }
    }

    /// Nobody to call, where the caller is told so in words first.
    fn in_words(
        &self,
        env: &mut Environment,
        sound: Option<&AudioOffer>,
        callee: &Bytes,
        request: &Request,
    ) -> Option<Destination> {
        let prompts = &env.config.prompts;
        let reason = self.event.filter(|reason| match reason {
            Refusal::UnknownNumber => prompts.unknown_number,
            Refusal::Anonymous => prompts.refused_anonymous,
            _ => false,
        })?;
        sound?;
        env.event(Event::CallRefused { source: request.flow.peer, callee: callee.clone(), reason });
        Some(Destination { refusal: Some(self.status), ..Destination::nobody(callee) })
    }
}

impl Destination {
    /// The place of a party of another call.
    fn replacing(replaced: Replaced, callee: &Bytes) -> Destination {
        Destination { replaces: Some(replaced), ..Destination::nobody(callee) }
    }
}

impl Calls {
    /// An initial INVITE of `caller`, who proved to be that user, or comes from that peer.
    pub(crate) fn invite(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        request: Box<Request>,
        domain: DomainId,
        caller: Caller<'_>,
    ) {
        let (callee, guest) =
            desk::called_from(env, domain, caller, dialled(env, registrar, domain, &request));
        let caller = guest.as_deref().map_or(caller, Caller::User);
        let prepared = admit(env).and_then(|()| {
            SessionTimer::new(env.config.session_timer)
                .check(&request.message)
                .map_err(|_| Refused::silent(Status::SESSION_INTERVAL_TOO_SMALL))?;
            let read = read(&request.message);
            let remote = match read {
                Err(SdpFault::NotAcceptable(_)) if Streams::are_all(&request.message) => None,
                Ok(_) | Err(_) => read.map_err(refused_for)?,
            };
            let uri = request.message.uri().ok();
            let led = match self.named_call(env, domain, caller, &request.message, &callee)? {
                Some(destination) => Led::to(destination),
                None => self.lead(env, registrar, domain, caller, &request.message, uri.as_ref()).or_else(
                    |refused| {
                        let told = refused.in_words(env, remote.as_ref(), &callee, &request);
                        told.map(Led::to).ok_or(refused)
                    },
                )?,
            };
            // What has no sound is for others: a service of ours has nothing for it.
            if led.destination.is_served() && remote.is_none() && !request.message.body().is_empty() {
                return Err(Refused::told(Status::NOT_ACCEPTABLE_HERE, Refusal::NoCommonCodec));
            }
            let counted = count(env, domain, caller, &led)?;
            Ok((remote, led, counted))
        });
        let (remote, led, counted) = match prepared {
            Ok(prepared) => prepared,
            Err(refused) => return refuse(env, &request, (domain, caller), callee, &refused),
        };
        let Led { mut destination, anonymity, setting, .. } = led;
        let number = callee.clone();
        let can_be_missed = !destination.is_served() && destination.peer.is_none();
        let service = destination.service.take_if(|_| !destination.enters);
        let recorded = match caller {
            Caller::User(user) => recorded(env, domain, user, &destination),
            Caller::Peer { .. } => Recorded::as_wanted(destination.record),
        };
        let Some(id) = self.open(env, request, domain, caller, callee, destination) else {
            return counted.iter().for_each(|count| env.routing.usage.end(&count.who));
        };
        carry_out(env, domain, setting);
        if let Caller::User(user) = caller {
            self.carry_out_call_back(env, (domain, user), &number);
        }
        let service = service.map(|served| self.enter(env, id, number, served));
        if let Some(call) = self.table.get_mut(id) {
            call.caller_leg.session.takes_info = takes_info(call.invite());
            call.caller_leg.session.packages = packages::taken_by(call.invite());
            if let Some(served) = &service {
                call.show_focus(served.service());
            }
            if service.is_some() {
                call.destination.service = service;
            }
            call.anonymous = anonymity.unwrap_or(call.anonymous);
            if guest.is_some() {
                call.caller_name = desk::name_of(env, domain, &call.caller);
            }
            call.counted.extend(counted);
            call.chronicle.can_be_missed = can_be_missed;
            call.recorded = recorded;
            call.find_streams(remote.as_ref());
            call.caller_leg.session.remote = remote.map(|remote| call.taken(Side::Caller, remote));
            call.announce(env);
            call.begin_stage(env);
        }
        self.settle(env, Some(id));
    }

    /// A call that the INVITE names, or the code that was dialled: it takes a place in it, or joins it.
    fn named_call(
        &self,
        env: &Environment,
        domain: DomainId,
        caller: Caller<'_>,
        invite: &Message,
        callee: &Bytes,
    ) -> Result<Option<Destination>, Refused> {
        let Caller::User(user) = caller else {
            let names = !matches!((invite.replaces(), invite.join()), (Ok(None), Ok(None)));
            return if names { Err(Refused::silent(Status::FORBIDDEN)) } else { Ok(None) };
        };
        let replaced = self.replaced_by(env, domain, user, invite).map_err(Refused::silent)?;
        let joined = self.joined_by(env, domain, user, invite).map_err(Refused::silent)?;
        Ok(match (replaced, joined) {
            (Some(replaced), _) => Some(Destination::replacing(replaced, callee)),
            (None, Some(host)) => Some(Destination::joining(host, callee)),
            (None, None) => {
                if let Some(told) = self.call_back_dialled(env, (domain, user), callee)? {
                    return Ok(Some(told));
                }
                let replaced = self.dialled_code(env, domain, user, callee)?;
                replaced.map(|replaced| Destination::replacing(replaced, callee))
            }
        })
    }

    /// Opens transaction, dialog and call, and tells the caller that we are at it.
    fn open(
        &mut self,
        env: &mut Environment,
        request: Box<Request>,
        domain: DomainId,
        caller: Caller<'_>,
        callee: Bytes,
        destination: Destination,
    ) -> Option<super::CallId> {
        let owner = super::call::owner_of(self.table.next_id());
        let transaction = env.endpoint.accept(env.now, &request, owner);
        let trying = env.endpoint.response(&request, Status::TRYING, None).finish();
        env.endpoint.respond(env.now, transaction, Status::TRYING, trying);

        let flow = request.flow;
        let tag = env.endpoint.random().tag();
        let contact = env.contact(&callee, &flow);
        let Ok(dialog) = env.endpoint.create_dialog(&request, tag.clone(), contact.clone(), owner) else {
            let response = env.endpoint.response(&request, Status::BAD_REQUEST, None).finish();
            env.endpoint.respond(env.now, transaction, Status::BAD_REQUEST, response);
            return None;
        };
        let Party { caller, name: caller_name, latching, dtmf, language, is_peer } =
            party(env, &request, domain, caller);
        let domain_name = env.domain(domain).map_or_else(Arc::default, |domain| domain.name.clone());
        let (random, timer) = (env.endpoint.random().next_u64(), SessionTimer::new(env.config.session_timer));
        let session = Session::new(random, env.media_address(&flow), dtmf, timer);
        let anonymous = request.message.privacy().hides_caller();
        let id = self.insert(Call {
            id: None,
            number: 0,
            anonymous,
            callee_anonymous: false,
            domain,
            domain_name,
            caller,
            counted: Vec::new(),
            caller_name,
            callee,
            invitation: Invitation { request, transaction, tag, contact },
            caller_leg: Leg {
                dialog,
                flow,
                latching,
                session,
                refresh: None,
                is_peer,
                awaiting_answer: false,
            },
            destination,
            phase: Phase::Reserving,
            media: [Side::Caller, Side::Callee].map(|_| MediaLeg {
                id: LegId(0),
                port: 0,
                silent: false,
                figures: None,
            }),
            bridge: Bridge::default(),
            streams: None,
            passing: None,
            referred: None,
            guests: SmallVec::new(),
            infos: Vec::new(),
            referring: None,
            referred_by: None,
            renewal: None,
            recorded: Recorded::default(),
            speech: Speech::default(),
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
        Some(id)
    }

    /// Takes a new call in, and numbers it and its media legs.
    pub(super) fn insert(&mut self, call: Call) -> super::CallId {
        self.opened += 1;
        let number = self.opened;
        let id = self.table.insert(Call { number, ..call });
        self.numbers.insert(number, id);
        if let Some(call) = self.table.get_mut(id) {
            call.id = Some(id);
            let first = id.as_u64().wrapping_mul(2);
            call.media_mut(Side::Caller).id = LegId(first);
            call.media_mut(Side::Callee).id = LegId(first.wrapping_add(1));
        }
        id
    }
}

impl Call {
    /// What the caller offers beside its sound.
    fn find_streams(&mut self, sound: Option<&AudioOffer>) {
        let message = &self.invitation.request.message;
        let has_others = SessionDescription::media_lines(message.body()) > usize::from(sound.is_some());
        if !has_others || self.destination.is_served() {
            return;
        }
        let Ok(offer) = SessionDescription::parse(message.body()) else { return };
        let sound = sound.map(|sound| sound.media_index);
        self.streams = Streams::find(&offer, sound, self.number).map(Box::new);
        if self.streams.is_some() {
            self.caller_leg.session.theirs = Bytes::copy_from_slice(message.body());
        }
    }

    pub(super) fn announce(&self, env: &mut Environment) {
        let domain = self.domain_name.clone();
        let caller = Bytes::copy_from_slice(self.caller.as_bytes());
        let call = env.call_ref(self.number);
        self.tell(env, Event::CallStarted { call, domain, caller, callee: self.callee.clone() });
    }

    /// Asks for the ports of both legs. The answer is a report; nothing waits for it.
    pub(super) fn reserve(&self, env: &mut Environment) {
        let caller = self.caller_leg.flow.local.ip().to_canonical();
        if self.destination.is_served() && self.media(Side::Callee).port == 0 {
            return env.media(Command::Open { legs: smallvec![(self.media(Side::Caller).id, caller)] });
        }
        let ways = self.destination.targets.iter().flat_map(|target| &target.ways);
        let mut locals = ways.map(|way| way.flow.local.ip().to_canonical());
        let first = locals.next().unwrap_or(caller);
        // Phones of one user, and the servers of a peer, may be reached through several of our addresses: then the port is
        // bound on all.
        let one = locals.all(|local| local == first)
            && self.destination.later.is_none()
            && self.destination.peer.as_ref().is_none_or(|peer| peer.has_one_address());
        let callee = if one { first } else { unspecified(first) };
        let mut legs: LegAddresses = smallvec![(self.media(Side::Callee).id, callee)];
        // Who is transferred has its port already.
        if self.referred.is_none() && self.media(Side::Caller).port == 0 {
            legs.insert(0, (self.media(Side::Caller).id, caller));
        }
        legs.extend(self.streams.iter().flat_map(|streams| streams.addresses(caller, callee)));
        env.media(Command::Open { legs });
    }
}

fn admit(env: &Environment) -> Result<(), Refused> {
    if env.stopping {
        return Err(Refused::told(Status::SERVICE_UNAVAILABLE, Refusal::Stopping));
    }
    Ok(())
}

fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The user part of the Request-URI, its escapes undone; of a GRUU the user that it stands for.
fn dialled(env: &Environment, registrar: &Registrar, domain: DomainId, request: &Request) -> Bytes {
    let Ok(uri) = request.message.uri() else { return Bytes::new() };
    let user = || uri.user_unescaped().map_or_else(Bytes::new, |user| Bytes::copy_from_slice(&user));
    registrar.named(env, domain, &uri).map_or_else(user, |named| named.user)
}

/// How a call is recorded: as the caller's are, else as those to whom it is for. What a service of ours records it sees to
/// itself.
pub(super) fn recorded(
    env: &Environment,
    domain: DomainId,
    caller: &str,
    destination: &Destination,
) -> Recorded {
    let own = env.domain(domain).and_then(|domain| domain.users.get(caller)).map(|user| user.recording);
    let own = own.filter(|recording| recording.always).map(|recording| recording.form);
    let is_served =
        destination.service.is_some() || destination.refusal.is_some() || destination.joins.is_some();
    Recorded::as_wanted(own.or(destination.record).filter(|_| !is_served))
}

fn refused_for(fault: SdpFault) -> Refused {
    match fault {
        SdpFault::Malformed => Refused::silent(Status::BAD_REQUEST),
        SdpFault::NotAcceptable(_) => Refused::told(Status::NOT_ACCEPTABLE_HERE, Refusal::NoCommonCodec),
    }
}

/// Answers an INVITE that becomes no call, in a transaction (its failure has to be acknowledged).
fn refuse(
    env: &mut Environment,
    request: &Request,
    (domain, caller): (DomainId, Caller<'_>),
    callee: Bytes,
    refused: &Refused,
) {
    let transaction = env.endpoint.accept(env.now, request, 0);
    let mut response = env.endpoint.response(request, refused.status, None);
    match refused.status {
        Status::NOT_ACCEPTABLE_HERE => {
            response.header(HeaderName::Accept, SDP);
        }
        // RFC 4028 §9
        Status::SESSION_INTERVAL_TOO_SMALL => {
            if let Err(too_small) = SessionTimer::new(env.config.session_timer).check(&request.message) {
                SessionTimer::write_too_small(too_small, &mut response);
            }
        }
        // RFC 3261 §21.5.4
        Status::SERVICE_UNAVAILABLE => {
            response.number(HeaderName::RetryAfter, env.retry_after_s(request));
        }
        _ => {}
    }
    if let Some(reason) = refused.reason() {
        response.header(HeaderName::Reason, reason.as_bytes());
    }
    response.header(HeaderName::Allow, ALLOW);
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, refused.status, response.finish());
    // A phone that is asked for another session interval asks again at once (RFC 4028 §7.3).
    if refused.status != Status::SESSION_INTERVAL_TOO_SMALL {
        let domain = env.domain(domain).map_or_else(Arc::default, |domain| domain.name.clone());
        let status = refused.status.code();
        let cause = refused.event.map_or(Cause::of_failure(status, EndedBy::Switch), Cause::from);
        let caller = match caller {
            Caller::User(user) => user.into(),
            Caller::Peer { number, .. } => String::from_utf8_lossy(number),
        };
        write_refused(env, RefusedCall { domain, caller: &caller, callee: &callee, status, cause });
    }
    if let Some(reason) = refused.event {
        env.event(Event::CallRefused { source: request.flow.peer, callee, reason });
    }
}
