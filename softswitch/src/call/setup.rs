//! An INVITE that opens a call: what it asks for, whether it may, and the call it becomes (RFC 3261 §13.3.1, §8.2).

use super::bridge::Bridge;
use super::call::{Call, Destination, Invitation, Leg, MediaLeg, Phase, Side, Target};
use super::calls::Calls;
use super::digits::takes_info;
use super::locate::Located;
use super::packages;
use super::recording::Recorded;
use super::serve::Served;
use super::session::{SDP, SdpFault, Session, read};
use super::speech::Speech;
use super::streams::Streams;
use super::takeover::Replaced;
use crate::config::{self, DomainId};
use crate::core::environment::{ALLOW, Environment, sign_response};
use crate::core::{Event, Refusal};
use crate::registrar::{Named, Registrar};
use bytes::Bytes;
use media::{Command, LegAddresses, LegId};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Status, Uri, quoted};
use sip_stack::sdp::{AudioOffer, SessionDescription};
use sip_stack::session::SessionTimer;
use smallvec::{SmallVec, smallvec};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Why an INVITE does not become a call.
pub(super) struct Refused {
    pub(super) status: Status,
    event: Option<Refusal>,
}

impl Refused {
    pub(super) const fn told(status: Status, event: Refusal) -> Refused {
        Refused { status, event: Some(event) }
    }

    const fn silent(status: Status) -> Refused {
        Refused { status, event: None }
    }

    /// Nobody to call, where the caller is told so in words first.
    fn in_words(
        &self,
        env: &mut Environment,
        sound: Option<&AudioOffer>,
        callee: &Bytes,
        request: &Request,
    ) -> Option<Destination> {
        let reason = self.event.filter(|reason| *reason == Refusal::UnknownNumber)?;
        if !env.config.prompts.unknown_number || sound.is_none() {
            return None;
        }
        env.event(Event::CallRefused { source: request.flow.peer, callee: callee.clone(), reason });
        Some(Destination {
            targets: SmallVec::new(),
            peer: None,
            service: None,
            refusal: Some(self.status),
            replaces: None,
            joins: None,
            user: callee.clone(),
            latching: config::Latching::default(),
            dtmf: config::Dtmf::default(),
            ring_s: 0,
            record: None,
        })
    }
}

impl Destination {
    /// The place of a party of another call.
    fn replacing(replaced: Replaced, callee: &Bytes) -> Destination {
        Destination {
            targets: SmallVec::new(),
            peer: None,
            service: None,
            refusal: None,
            replaces: Some(replaced),
            joins: None,
            user: callee.clone(),
            latching: config::Latching::default(),
            dtmf: config::Dtmf::default(),
            ring_s: 0,
            record: None,
        }
    }
}

impl Calls {
    /// An initial INVITE of `caller`, who proved to be that user.
    pub(crate) fn invite(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        request: Box<Request>,
        domain: DomainId,
        caller: &str,
    ) {
        let callee = dialled(env, registrar, domain, &request);
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
            let replaced =
                self.replaced_by(env, domain, caller, &request.message).map_err(Refused::silent)?;
            let joined = self.joined_by(env, domain, caller, &request.message).map_err(Refused::silent)?;
            let destination = match (replaced, joined) {
                (Some(replaced), _) => Destination::replacing(replaced, &callee),
                (None, Some(host)) => Destination::joining(host, &callee),
                (None, None) => match self.dialled_code(env, domain, caller, &callee)? {
                    Some(replaced) => Destination::replacing(replaced, &callee),
                    None => destination(env, registrar, domain, uri.as_ref()).or_else(|refused| {
                        refused.in_words(env, remote.as_ref(), &callee, &request).ok_or(refused)
                    })?,
                },
            };
            // What has no sound is for others: a service of ours has nothing for it.
            if destination.is_served() && remote.is_none() && !request.message.body().is_empty() {
                return Err(Refused::told(Status::NOT_ACCEPTABLE_HERE, Refusal::NoCommonCodec));
            }
            Ok((remote, destination))
        });
        let (remote, mut destination) = match prepared {
            Ok(prepared) => prepared,
            Err(refused) => return refuse(env, &request, callee, &refused),
        };
        let number = callee.clone();
        let service = destination.service.take();
        let recorded = recorded(env, domain, caller, &destination);
        let Some(id) = self.open(env, request, domain, caller, callee, destination) else { return };
        let name = env.domain(domain).map_or_else(Arc::default, |domain| domain.name.clone());
        let service = service.map(|served| self.rooms.enter(env, name, number, id, served));
        if let Some(call) = self.table.get_mut(id) {
            call.caller_leg.session.takes_info = takes_info(call.invite());
            call.caller_leg.session.packages = packages::taken_by(call.invite());
            call.destination.service = service;
            call.recorded = recorded;
            call.find_streams(remote.as_ref());
            call.caller_leg.session.remote = remote.map(|remote| call.taken(Side::Caller, remote));
            call.announce(env);
            if call.destination.peer.is_some() {
                call.phase = Phase::Locating;
                call.locate(env);
            } else {
                call.reserve(env);
            }
        }
        self.settle(env, Some(id));
    }

    /// Opens transaction, dialog and call, and tells the caller that we are at it.
    fn open(
        &mut self,
        env: &mut Environment,
        request: Box<Request>,
        domain: DomainId,
        caller: &str,
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
        let caller_name = caller_name(env, &request, domain, caller);
        let latching = env
            .domain(domain)
            .and_then(|domain| domain.users.get(caller))
            .map_or_else(Default::default, |user| user.latching.clone());
        let language = language(env, domain, caller);
        let domain_name = env.domain(domain).map_or_else(Arc::default, |domain| domain.name.clone());
        let user = env.domain(domain).and_then(|domain| domain.users.get(caller));
        let dtmf = user.map_or_else(Default::default, |user| user.dtmf);
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
            caller: caller.into(),
            caller_name,
            callee,
            invitation: Invitation { request, transaction, tag, contact },
            caller_leg: Leg {
                dialog,
                flow,
                latching,
                session,
                refresh: None,
                is_peer: false,
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
            armed: None,
            command: env.command(),
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
        if self.destination.is_served() {
            return env.media(Command::Open { legs: smallvec![(self.media(Side::Caller).id, caller)] });
        }
        let ways = self.destination.targets.iter().flat_map(|target| &target.ways);
        let mut locals = ways.map(|way| way.flow.local.ip().to_canonical());
        let first = locals.next().unwrap_or(caller);
        // Phones of one user, and the servers of a peer, may be reached through several of our addresses: then the port is
        // bound on all.
        let one = locals.all(|local| local == first)
            && self.destination.peer.as_ref().is_none_or(|peer| peer.has_one_address());
        let callee = if one { first } else { unspecified(first) };
        let mut legs: LegAddresses = smallvec![(self.media(Side::Callee).id, callee)];
        // Who is transferred has its port already.
        if self.referred.is_none() {
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

/// Whom a number of a domain is, when `uri` is of that domain.
pub(super) fn destination(
    env: &Environment,
    registrar: &Registrar,
    domain: DomainId,
    uri: Option<&Uri<'_>>,
) -> Result<Destination, Refused> {
    let dialled_domain = uri.and_then(|uri| env.config.domain_of_host(uri.host));
    if dialled_domain != Some(domain) {
        return Err(Refused::told(Status::NOT_FOUND, Refusal::UnknownDomain));
    }
    // RFC 5627 §6.1: a GRUU that is not valid is 404.
    let named = uri.and_then(|uri| registrar.named(env, domain, uri));
    route(env, registrar, domain, &named.ok_or(Refused::told(Status::NOT_FOUND, Refusal::UnknownNumber))?)
}

/// Whom a number of a domain is.
pub(super) fn route(
    env: &Environment,
    registrar: &Registrar,
    domain: DomainId,
    named: &Named,
) -> Result<Destination, Refused> {
    let Named { user: callee, device } = named;
    let target = env.domain(domain).and_then(|domain| domain.route(callee));
    match target.ok_or(Refused::told(Status::NOT_FOUND, Refusal::UnknownNumber))? {
        config::Target::User { id, user } => {
            let phones = registrar.phones(env, domain, id, device.as_ref());
            let targets: SmallVec<[Target; 1]> = phones.into_iter().map(|ways| Target { ways }).collect();
            if targets.is_empty() {
                return Err(Refused::told(Status::TEMPORARILY_UNAVAILABLE, Refusal::NotRegistered));
            }
            let (latching, dtmf, ring_s) = (user.latching.clone(), user.dtmf, user.ring_s);
            let record = user.recording.always.then_some(user.recording.form);
            let user = callee.clone();
            let (peer, service, refusal, replaces, joins) = (None, None, None, None, None);
            Ok(Destination {
                targets,
                peer,
                service,
                refusal,
                replaces,
                joins,
                user,
                latching,
                dtmf,
                ring_s,
                record,
            })
        }
        config::Target::Peer { id, .. } if env.dead_peers.contains(&(domain, id.into())) => {
            Err(Refused::told(Status::SERVER_TIME_OUT, Refusal::PeerDead))
        }
        config::Target::Peer { peer, record, .. } => Ok(Destination {
            targets: SmallVec::new(),
            peer: Some(Box::new(Located::new(peer, callee))),
            service: None,
            refusal: None,
            replaces: None,
            joins: None,
            user: callee.clone(),
            latching: peer.latching.clone(),
            dtmf: peer.dtmf,
            ring_s: PEER_RING_S,
            record,
        }),
        config::Target::Service(service) => Ok(Destination {
            targets: SmallVec::new(),
            peer: None,
            service: Some(Served::new(service.clone())),
            refusal: None,
            replaces: None,
            joins: None,
            user: callee.clone(),
            latching: config::Latching::default(),
            dtmf: config::Dtmf::default(),
            ring_s: 0,
            record: None,
        }),
    }
}

/// The language of a user.
fn language(env: &Environment, domain: DomainId, caller: &str) -> Box<str> {
    let own = env.domain(domain).and_then(|domain| domain.users.get(caller)?.language.clone());
    own.unwrap_or_else(|| env.config.prompts.language.clone())
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

/// How long a call to a static peer may ring: Timer C of a proxy (RFC 3261 §16.6 step 11) is above three minutes.
const PEER_RING_S: u32 = 185;

/// The name shown to the callee: the configured one, else the caller's own, quoted anew.
fn caller_name(env: &Environment, request: &Request, domain: DomainId, caller: &str) -> Bytes {
    let configured = env.domain(domain).and_then(|domain| domain.users.get(caller)?.display_name.clone());
    let name = match configured {
        Some(name) => name.as_bytes().to_vec(),
        None => request
            .message
            .from()
            .ok()
            .and_then(|from| from.display_unquoted())
            .unwrap_or_default()
            .into_owned(),
    };
    if name.is_empty() { Bytes::new() } else { quoted(&name).into() }
}

fn refused_for(fault: SdpFault) -> Refused {
    match fault {
        SdpFault::Malformed => Refused::silent(Status::BAD_REQUEST),
        SdpFault::NotAcceptable(_) => Refused::told(Status::NOT_ACCEPTABLE_HERE, Refusal::NoCommonCodec),
    }
}

/// Answers an INVITE that becomes no call, in a transaction (its failure has to be acknowledged).
fn refuse(env: &mut Environment, request: &Request, callee: Bytes, refused: &Refused) {
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
    response.header(HeaderName::Allow, ALLOW);
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, refused.status, response.finish());
    if let Some(reason) = refused.event {
        env.event(Event::CallRefused { source: request.flow.peer, callee, reason });
    }
}
