//! An INVITE that is to be forwarded: whom it means, whether it may, and to which phones it goes (RFC 3261 §16.3–§16.6).

use super::call::Call;
use super::{Proxied, domain_name, stamp};
use crate::call::record::{RefusedCall, write_refused};
use crate::config::{self, Domain, DomainId, Mode};
use crate::core::environment::{Environment, escape_user, sign_response};
use crate::core::{Event, Refusal};
use crate::records::Cause;
use crate::registrar::{Device, Named, Registrar, Way};
use crate::routing::{self, Counted, TooMany};
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Uri};
use sip_stack::proxy::{Forwarding, Hop, Proxy, Target, own_routes};
use sip_stack::resolve::Host;
use sip_stack::transaction::KeyHasher;
use sip_stack::transport::{Flow, Transport};
use smallvec::SmallVec;
use std::net::SocketAddr;

/// How long phones of one preference ring before those of the next do, where a user has phones of several.
const EACH: Duration = Duration::from_secs(20);

/// How long a call to a peer may ring: above Timer C of that peer, if it is a proxy.
const PEER_RING: Duration = Duration::from_secs(185);

/// Where anonymous calls say that they come from (RFC 3323 §4.1.1.3).
const ANONYMOUS: &[u8] = b"anonymous.invalid";

/// Whom an INVITE means that is to be forwarded.
pub(crate) struct Called {
    /// The domain of the number.
    pub(crate) domain: DomainId,
    /// What was dialled.
    callee: Bytes,
    /// The one phone that is meant, if one is (RFC 5627).
    device: Option<Device>,
}

impl Called {
    /// Whether a request outside of a dialog is to be forwarded: an INVITE for a number whose calls are carried so.
    pub(crate) fn of(env: &Environment, registrar: &Registrar, request: &Request) -> Option<Called> {
        let message = &request.message;
        if message.method() != Some(Method::Invite) || request.dialog.is_some() {
            return None;
        }
        let uri = message.uri().ok().filter(Uri::is_sip)?;
        let id = env.config.domain_of_host(uri.host)?;
        let Named { user: callee, device } = registrar.named(env, id, &uri)?;
        let is_passed = is_proxied(env.domain(id)?, &callee)
            && !is_planned(env, id, &callee)
            && !is_shown_otherwise(env, id, message);
        is_passed.then_some(Called { domain: id, callee, device })
    }
}

fn is_proxied(domain: &Domain, number: &[u8]) -> bool {
    match domain.route(number) {
        Some(config::Target::User { .. }) => domain.mode == Mode::Proxy,
        Some(config::Target::Peer { mode, .. }) => mode == Mode::Proxy,
        Some(config::Target::Service(_) | config::Target::Planned) | None => false,
    }
}

/// Whether more has to be decided than who has the number: a number of emergency or of a group, or a user whose calls are sent on, wants
/// none, or is looked for. Such a call goes through the switch.
fn is_planned(env: &Environment, id: DomainId, number: &[u8]) -> bool {
    let Some(domain) = env.domain(id) else { return false };
    let numbering = &domain.numbering;
    let text = core::str::from_utf8(number).unwrap_or_default();
    let is_group = numbering.group_numbers.contains_key(text) || numbering.paging_numbers.contains_key(text);
    let has_settings = domain.user_of(number).is_some_and(|(name, user)| {
        let has_own = !user.numbers.follow_me.is_empty() || user.refuse_anonymous;
        has_own || env.routing.profiles.of(id, name).is_some()
    });
    has_settings || is_group || numbering.emergency.numbers.iter().any(|known| **known == *text)
}

/// Whether who calls is to be another one than From says: somebody has logged in at the phone, or the user is always anonymous.
fn is_shown_otherwise(env: &Environment, id: DomainId, invite: &Message) -> bool {
    let from = invite.from().ok().and_then(|from| from.uri.user_unescaped());
    let known = from.as_deref().and_then(|user| env.domain(id)?.user_of(user));
    known.is_some_and(|(name, user)| user.anonymous || env.routing.profiles.guest_at(id, name).is_some())
}

/// To whom a request goes, and for how long.
struct Destination {
    targets: Vec<Target>,
    rings: Duration,
    is_trusted: bool,
    /// It is a user of ours.
    is_for_user: bool,
    /// Under whose limits the call is counted.
    counted: SmallVec<[Counted; 0]>,
}

impl Proxied {
    /// Forwards the INVITE of `caller`, who proved to be that user. `number` gives the call its number.
    pub(crate) fn invite(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        request: Box<Request>,
        called: Called,
        caller: &str,
        number: impl FnOnce() -> u64,
    ) {
        let own_routes = own_routes(&request.message, |uri| is_ours(env, &request, uri));
        let admitted = self.admit(env, registrar, &request, (&called, caller), own_routes);
        let destination = match admitted {
            Ok(destination) => destination,
            Err((status, reason)) => return refuse(env, &request, (&called, caller), status, reason),
        };
        let Called { domain, callee, .. } = called;
        let message = &request.message;
        let text = |part: Option<&[u8]>| Bytes::copy_from_slice(part.unwrap_or_default());
        let call = Call {
            number: number(),
            domain: domain_name(env, domain),
            caller: caller.into(),
            callee,
            call_id: text(message.call_id().ok()),
            caller_tag: text(message.from().ok().and_then(|from| from.tag())),
            can_be_missed: destination.is_for_user,
            started: env.now,
            answered: None,
            dialogs: SmallVec::new(),
            silent_at: None,
            has_timer: false,
            counted: destination.counted.clone(),
            caller_flow: request.flow,
            callee_flows: destination.flows(),
            moved: [None; 2],
            rings: false,
            is_anonymous: message.privacy().hides_caller() || is_anonymous(message),
            seats: SmallVec::new(),
            end: None,
            byes: SmallVec::new(),
            forget_at: None,
            armed: None,
        };
        let forwarding = Forwarding {
            owner: 0,
            targets: destination.targets,
            record_route: Some(env.sent_by(&request.flow).into()),
            stamp: Some(stamp(env)),
            own_routes,
            each: EACH,
            all: destination.rings,
            realm: Bytes::copy_from_slice(call.domain.as_bytes()),
            is_trusted: destination.is_trusted,
        };
        let owner = self.insert(env, call).as_u64();
        self.proxy.forward(env.now, &mut env.endpoint, request, Forwarding { owner, ..forwarding });
        self.drain(env);
    }

    fn admit(
        &self,
        env: &mut Environment,
        registrar: &Registrar,
        request: &Request,
        (called, caller): (&Called, &str),
        own_routes: usize,
    ) -> Result<Destination, (Status, Option<Refusal>)> {
        let Called { domain, callee, device } = called;
        let domain = *domain;
        if env.stopping {
            return Err((Status::SERVICE_UNAVAILABLE, Some(Refusal::Stopping)));
        }
        if !is_caller(env, &request.message, domain, caller) {
            return Err((Status::FORBIDDEN, None));
        }
        // Where a call goes the dial plan and the registrations say, and not whoever calls.
        if request.message.list(HeaderName::Route).count() > own_routes {
            return Err((Status::FORBIDDEN, None));
        }
        let hasher = env.endpoint.hasher();
        if self.is_up(hasher, &request.message) {
            // As §8.2.2.2 has it: two calls of one name could not be told apart.
            return Err((Status::LOOP_DETECTED, None));
        }
        if self.has_enough(hasher, &domain_name(env, domain), caller) {
            return Err((Status::BUSY_HERE, None));
        }
        let config = env.config.clone();
        let target = config.domains.get(&domain).and_then(|domain| domain.route(callee));
        match target.ok_or((Status::NOT_FOUND, Some(Refusal::UnknownNumber)))? {
            config::Target::User { id, user } => {
                let phones = registrar.ranked_phones(env, domain, id, device.as_ref());
                if phones.is_empty() {
                    return Err((Status::TEMPORARILY_UNAVAILABLE, Some(Refusal::NotRegistered)));
                }
                let hops = |ways: SmallVec<[Way; 1]>| ways.into_iter().map(|way| hop(env, way)).collect();
                let targets = phones.into_iter().map(|(q, ways)| Target { ways: hops(ways), q }).collect();
                let rings = Duration::from_secs(u64::from(user.ring_s));
                let counted = count(env, domain, caller, None)?;
                Ok(Destination { targets, rings, is_trusted: false, is_for_user: true, counted })
            }
            config::Target::Peer { id, peer, .. } => {
                if !may_call(env, domain, caller, (peer, callee)) {
                    return Err((Status::FORBIDDEN, Some(Refusal::NotAllowed)));
                }
                let peer_id: Box<str> = id.into();
                let hop = peer_hop(env, peer, callee);
                let hop = hop.ok_or((Status::TEMPORARILY_UNAVAILABLE, Some(Refusal::PeerNotFound)))?;
                let targets = vec![Target { ways: [hop].into_iter().collect(), q: 1_000 }];
                let counted = count(env, domain, caller, Some(peer_id))?;
                Ok(Destination { targets, rings: PEER_RING, is_trusted: false, is_for_user: false, counted })
            }
            // `Called` has looked.
            config::Target::Service(_) | config::Target::Planned => {
                Err((Status::NOT_FOUND, Some(Refusal::UnknownNumber)))
            }
        }
    }
}

/// Whether the caller may call a number behind a peer, and the peer may be asked for it (`may_call`).
fn may_call(env: &Environment, id: DomainId, caller: &str, (peer, number): (&config::Peer, &[u8])) -> bool {
    let Some(domain) = env.domain(id) else { return false };
    let user = domain.users.get(caller).map(|user| &user.numbers.limits.numbers);
    let fits = |patterns: &[config::Pattern]| routing::is_allowed(domain, patterns, number);
    user.is_none_or(|patterns| fits(patterns)) && fits(&peer.numbers.limits.numbers)
}

/// Counts a call under its caller and over its peer, where those have limits.
fn count(
    env: &mut Environment,
    id: DomainId,
    caller: &str,
    peer: Option<Box<str>>,
) -> Result<SmallVec<[Counted; 0]>, (Status, Option<Refusal>)> {
    let config = env.config.clone();
    let Some(domain) = config.domains.get(&id) else { return Ok(SmallVec::new()) };
    let user = domain.users.get(caller).map(|user| &user.numbers.limits);
    let user = user.map(|limits| (limits, Counted::User(id, caller.into())));
    let peer =
        peer.and_then(|peer| Some((&domain.peers.get(&peer)?.numbers.limits, Counted::Peer(id, peer))));
    let mut counted: SmallVec<[Counted; 0]> = SmallVec::new();
    for (limits, who) in user.into_iter().chain(peer).filter(|(limits, _)| limits.counts()) {
        if let Err(too_many) = env.routing.usage.begin(&who, limits, env.now) {
            counted.iter().for_each(|who| env.routing.usage.end(who));
            let reason = match too_many {
                TooMany::AtOnce => Refusal::TooManyCalls,
                TooMany::PerMinute => Refusal::TooOften,
            };
            return Err((Status::BUSY_HERE, Some(reason)));
        }
        counted.push(who);
    }
    Ok(counted)
}

impl Proxied {
    /// Whether there is a call of the INVITE's Call-ID and From tag that is not over.
    fn is_up(&self, hasher: &KeyHasher, invite: &Message) -> bool {
        let call_id = invite.call_id().unwrap_or_default();
        let tag = invite.from().ok().and_then(|from| from.tag()).unwrap_or_default();
        let known = self.known(hasher, call_id, tag);
        known.and_then(|id| self.calls.get(id)).is_some_and(Call::is_live)
    }
}

impl Destination {
    /// Every flow that it may be reached over.
    fn flows(&self) -> Box<[Flow]> {
        let mut flows: Vec<_> =
            self.targets.iter().flat_map(|target| target.ways.iter().map(|hop| hop.flow)).collect();
        flows.sort_unstable();
        flows.dedup();
        flows.into()
    }
}

/// Whether From says who the caller is, or that nobody shall know: nothing is written anew in it.
fn is_caller(env: &Environment, invite: &Message, domain: DomainId, caller: &str) -> bool {
    let Ok(from) = invite.from() else { return false };
    if is_anonymous(invite) {
        return true;
    }
    env.config.domain_of_host(from.uri.host) == Some(domain)
        && from.uri.user_unescaped().is_some_and(|user| *user == *caller.as_bytes())
}

/// Whether From says that nobody shall know who calls.
fn is_anonymous(invite: &Message) -> bool {
    invite.from().is_ok_and(|from| from.uri.host.eq_ignore_ascii_case(ANONYMOUS))
}

/// Whether a Route value means the switch: one of its domains, or the address at which the request came.
fn is_ours(env: &Environment, request: &Request, uri: &Uri<'_>) -> bool {
    match uri.ip() {
        Some(ip) => {
            let ours = request.flow.local;
            let port = uri.port.unwrap_or(request.flow.transport.default_port());
            ip.to_canonical() == ours.ip().to_canonical() && port == ours.port()
        }
        None => env.config.domain_of_host(uri.host).is_some(),
    }
}

fn hop(env: &Environment, way: Way) -> Hop {
    let sent_by = env.sent_by(&way.flow).into();
    Hop { uri: way.uri, routes: way.path, flow: way.flow, sent_by }
}

fn peer_hop(env: &Environment, peer: &config::Peer, number: &[u8]) -> Option<Hop> {
    let Host::Ip(ip) = peer.host else { return None };
    let transport = peer.transport.unwrap_or(Transport::Udp);
    let flow = env.flow_to(transport, SocketAddr::new(ip, peer.port.unwrap_or(transport.default_port())))?;
    let uri = [b"sip:", escape_user(number).as_slice(), b"@", peer.authority().as_bytes()].concat();
    Some(Hop { uri: uri.into(), routes: Box::default(), flow, sent_by: env.sent_by(&flow).into() })
}

/// What a proxy answers itself, before it forwards anything (§16.3): in a transaction, because a failure has to be acknowledged.
fn refuse(
    env: &mut Environment,
    request: &Request,
    (called, caller): (&Called, &str),
    status: Status,
    reason: Option<Refusal>,
) {
    let transaction = env.endpoint.accept(env.now, request, 0);
    let mut response = env.endpoint.response(request, status, None);
    if status == Status::SERVICE_UNAVAILABLE {
        response.number(HeaderName::RetryAfter, env.retry_after_s(request));
    }
    if status == Status::BUSY_HERE {
        response
            .header(HeaderName::Warning, b"399 softswitch \"too many calls of this user or over this peer\"");
    }
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, status, response.finish());
    let (domain, callee) = (domain_name(env, called.domain), called.callee.clone());
    let cause = reason.map_or(Cause::of_failure(status.code(), EndedBy::Switch), Cause::from);
    let status = status.code();
    write_refused(env, RefusedCall { domain, caller, callee: &callee, status, cause });
    if let Some(reason) = reason {
        env.event(Event::CallRefused { source: request.flow.peer, callee, reason });
    }
}

/// What §16.3 asks of a request, before anybody is asked who it is: whether it was refused.
pub(crate) fn is_refused(env: &mut Environment, request: &Request) -> bool {
    let Err(refusal) = Proxy::check(&env.endpoint, request) else { return false };
    let mut response = env.endpoint.response(request, refusal.status, None);
    if let Some((name, value)) = &refusal.header {
        response.header(*name, value);
    }
    sign_response(&mut response);
    env.endpoint.reply(request, response.finish());
    true
}
