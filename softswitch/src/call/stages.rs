//! The stages of a call ([`crate::routing`]): who rings first, who after that, and what makes one stage give way to the next.
//!
//! A stage is a [`Destination`] of its own. What it takes to reach who rings in it was looked up when the call came: who registers while the
//! call rings is not called. The media leg of the callee is the same in all stages, on all our addresses if there are several stages, and
//! of one family; who could be reached only over the other one is not reached. The caller keeps the description that it was told
//! early, and hears that its call is forwarded by 181.
//!
//! Left out on purpose: servers of a peer given by name, where it rings together with others (RFC 3263): such a one is left out there.

use super::account::AtPeer;
use super::call::{Call, CallId, Destination, Phase, Side, Target};
use super::calls::Calls;
use super::locate::Located;
use super::serve::Served;
use crate::config::{self, DomainId, Dtmf, Latching, Recording};
use crate::core::environment::{Environment, escape_user};
use crate::registrar::{Device, Registrar, Way};
use crate::routing::{self, After, Counted, Outcome, Stage, Who, Why};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status, Writer};
use sip_stack::resolve::Host;
use sip_stack::transport::Transport;
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// One of several who ring together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Member {
    /// The user part of To.
    pub(super) user: Bytes,
    pub(super) latching: Latching,
    pub(super) dtmf: Dtmf,
    pub(super) record: Option<Recording>,
    /// Its phones are asked to answer by themselves.
    pub(super) answers_itself: bool,
    /// It is behind a peer.
    pub(super) is_peer: bool,
    /// That peer may know who calls in any case.
    pub(super) is_trusted: bool,
    /// It may ask us to send less (RFC 7339).
    pub(super) overload_control: bool,
    /// What the caller shows to it.
    pub(super) caller_id: Option<Box<str>>,
    /// The limits of its peer, under which the call is counted while it rings or talks there.
    pub(super) counted: Option<Box<(Counted, config::CallLimits)>>,
    /// It begins to ring so much later.
    pub(super) delay_s: u32,
    /// It stops earlier than the others.
    pub(super) ring_s: Option<u32>,
}

/// What comes after the stage that a call is in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Later {
    current: u8,
    ended: SmallVec<[(u8, Outcome); 4]>,
    rest: VecDeque<Next>,
    /// What the caller was told while an earlier stage rang.
    pub(super) early: Option<Bytes>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Next {
    place: u8,
    after: Option<After>,
    destination: Destination,
}

/// A user who has sent the call on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Diverted {
    pub(super) user: Box<str>,
    why: Why,
}

impl Target {
    /// A phone that is reached in these ways.
    pub(super) const fn of(ways: SmallVec<[Way; 1]>) -> Target {
        Target { ways, member: None, at_peer: None }
    }
}

impl Destination {
    /// Nobody yet, under a number.
    pub(super) fn nobody(number: &Bytes) -> Destination {
        Destination {
            targets: SmallVec::new(),
            peer: None,
            service: None,
            refusal: None,
            replaces: None,
            joins: None,
            user: number.clone(),
            latching: Latching::default(),
            dtmf: Dtmf::default(),
            ring_s: 0,
            record: None,
            caller_id: None,
            counted: None,
            diverted: Vec::new(),
            enters: false,
            answers_itself: false,
            page: None,
            later: None,
        }
    }

    /// Whether there is anything to be tried.
    fn is_reachable(&self) -> bool {
        !self.targets.is_empty() || self.peer.is_some() || self.service.is_some()
    }

    /// Where the stages of a plan lead; `None` when nobody of all of them can be reached.
    pub(super) fn of_stages(
        env: &Environment,
        registrar: &Registrar,
        domain: DomainId,
        stages: routing::Stages<'_>,
        number: &Bytes,
        device: Option<&Device>,
    ) -> Option<Destination> {
        if let [only] = &stages[..] {
            let destination = of_stage(env, registrar, domain, only, number, device);
            return Some(destination).filter(Destination::is_reachable);
        }
        let all = stages.iter().enumerate().map(|(place, stage)| Next {
            place: u8::try_from(place).unwrap_or(u8::MAX),
            after: stage.after,
            destination: of_stage(env, registrar, domain, stage, number, device),
        });
        let mut later = Later { current: 0, ended: SmallVec::new(), rest: all.collect(), early: None };
        let first = later.next()?;
        Some(Destination { later: Some(Box::new(later)), ..first })
    }
}

impl Later {
    /// The stage that begins when the present one has ended so.
    fn after(&mut self, outcome: Outcome) -> Option<Destination> {
        self.ended.push((self.current, outcome));
        self.next()
    }

    fn next(&mut self) -> Option<Destination> {
        while let Some(Next { place, after, destination }) = self.rest.pop_front() {
            let ended = |after: After| {
                self.ended.iter().any(|(stage, outcome)| *stage == after.stage && after.on.has(*outcome))
            };
            if !after.is_none_or(ended) {
                continue;
            }
            if destination.is_reachable() {
                self.current = place;
                return Some(destination);
            }
            self.ended.push((place, Outcome::Offline));
        }
        None
    }
}

/// Where one stage leads.
fn of_stage(
    env: &Environment,
    registrar: &Registrar,
    domain: DomainId,
    stage: &Stage<'_>,
    number: &Bytes,
    device: Option<&Device>,
) -> Destination {
    let diverted = stage.diversions.iter();
    let diverted = diverted.map(|by| Diverted { user: by.user.into(), why: by.why }).collect();
    let base = Destination { ring_s: stage.ring_s, diverted, ..Destination::nobody(number) };
    if let Some(service) = stage.service {
        let enters = stage.after.is_some();
        return Destination { service: Some(Served::new(service.clone())), enters, ..base };
    }
    match &stage.targets[..] {
        [only] if only.delay_s == 0 => match &only.who {
            Who::User { id, user } => {
                let phones = registrar.phones(env, domain, id, device);
                Destination {
                    targets: phones.into_iter().map(Target::of).collect(),
                    user: if **id == *number {
                        number.clone()
                    } else {
                        Bytes::copy_from_slice(id.as_bytes())
                    },
                    latching: user.latching.clone(),
                    dtmf: user.dtmf,
                    record: user.recording.always.then_some(user.recording.form),
                    ..base
                }
            }
            Who::Peer(outside) => Destination {
                peer: Some(Box::new(Located::new(outside.id, outside.peer, &outside.number))),
                user: outside.number.clone(),
                latching: outside.peer.latching.clone(),
                dtmf: outside.peer.dtmf,
                record: outside.record,
                caller_id: outside.caller_id.clone(),
                counted: counted(domain, outside),
                ..base
            },
        },
        several => {
            let targets = several.iter().flat_map(|target| members(env, registrar, domain, target));
            Destination { targets: targets.collect(), ..base }
        }
    }
}

/// What is counted of a call over a peer, if anything is.
fn counted(domain: DomainId, outside: &routing::Outside<'_>) -> Option<Box<(Counted, config::CallLimits)>> {
    let limits = &outside.peer.numbers.limits;
    let counts = limits.counts() && !outside.is_emergency;
    counts.then(|| Box::new((Counted::Peer(domain, outside.id.into()), limits.clone())))
}

/// The phones of one of several, or the one server of a peer.
fn members(
    env: &Environment,
    registrar: &Registrar,
    domain: DomainId,
    target: &routing::Target<'_>,
) -> SmallVec<[Target; 1]> {
    let (delay_s, ring_s) = (target.delay_s, target.ring_s);
    match &target.who {
        Who::User { id, user } => {
            let member = Arc::new(Member {
                user: Bytes::copy_from_slice(id.as_bytes()),
                latching: user.latching.clone(),
                dtmf: user.dtmf,
                record: user.recording.always.then_some(user.recording.form),
                answers_itself: false,
                is_peer: false,
                is_trusted: false,
                overload_control: false,
                caller_id: None,
                counted: None,
                delay_s,
                ring_s,
            });
            let phones = registrar.phones(env, domain, id, None);
            phones
                .into_iter()
                .map(|ways| Target { member: Some(member.clone()), ..Target::of(ways) })
                .collect()
        }
        Who::Peer(outside) => {
            let Some(way) = way_to(env, outside) else { return SmallVec::new() };
            let member = Member {
                user: outside.number.clone(),
                latching: outside.peer.latching.clone(),
                dtmf: outside.peer.dtmf,
                record: outside.record,
                answers_itself: false,
                is_peer: true,
                is_trusted: outside.peer.trusted,
                overload_control: outside.peer.overload_control,
                caller_id: outside.caller_id.clone(),
                counted: counted(domain, outside),
                delay_s,
                ring_s,
            };
            let at_peer = AtPeer::of(&outside.peer.client);
            smallvec![Target { ways: smallvec![way], member: Some(Arc::new(member)), at_peer }]
        }
    }
}

/// The way to a peer that has an IP address, or is behind a proxy that has one.
fn way_to(env: &Environment, outside: &routing::Outside<'_>) -> Option<Way> {
    let hop = outside.peer.first_hop();
    let Host::Ip(ip) = hop.target else { return None };
    let transport = hop.transport.unwrap_or(Transport::Udp);
    let port = hop.port.unwrap_or(transport.default_port());
    let flow = env.flow_to(transport, SocketAddr::new(ip, port))?;
    let number = escape_user(&outside.number);
    let uri = [b"sip:", number.as_slice(), b"@", outside.peer.authority().as_bytes()].concat();
    let path = outside.peer.route().into_iter().map(Bytes::from).collect();
    Some(Way { uri: uri.into(), flow, path })
}

impl Call {
    /// Nobody has answered in this stage, and `status` says how it has ended: whether another one has begun.
    pub(super) fn next_stage(&mut self, env: &mut Environment, status: Status) -> bool {
        let Some(mut later) = self.destination.later.take() else { return false };
        let outcome = Outcome::of(status, self.destination.peer.is_some());
        let Some(next) = later.after(outcome) else { return false };
        self.abandon_location(env);
        if let Phase::Ringing(ring) = &mut self.phase {
            ring.give_up(env);
            later.early = ring.take_early().or(later.early);
        }
        self.chronicle.pass_on(env.unix_ms(env.now));
        self.uncount_stage(env);
        let was_diverted = self.destination.diverted.len();
        self.destination = Destination { later: Some(later), ..next };
        if self.destination.diverted.len() > was_diverted {
            self.tell_forwarded(env);
        }
        self.begin_stage(env);
        true
    }

    /// RFC 3261 §21.1.3
    fn tell_forwarded(&self, env: &mut Environment) {
        let is_told = self.destination.later.as_ref().is_some_and(|later| later.early.is_some());
        if self.referred.is_some() || is_told || self.invite().requires(sip_stack::session::prack::REL100) {
            return;
        }
        let response = self.response(env, Status::CALL_IS_BEING_FORWARDED);
        self.respond(env, Status::CALL_IS_BEING_FORWARDED, response);
    }

    /// Who is the destination now is called.
    pub(super) fn begin_stage(&mut self, env: &mut Environment) {
        if let Err(status) = self.count_stage(env) {
            if !self.next_stage(env, status) {
                // It waits for no ports.
                self.phase = Phase::Locating;
                self.refuse_caller(env, Status::BUSY_HERE, crate::store::EndedBy::Switch);
            }
            return;
        }
        if let Some(peer) = &mut self.destination.peer {
            peer.since = env.now;
            self.chronicle.route = Some(peer.name());
            self.phase = Phase::Locating;
            return self.locate(env);
        }
        if self.destination.service.is_some() {
            self.chronicle.route = Some("service".into());
            // The calls see to it when it enters late.
            self.phase = Phase::Reserving;
            if !self.destination.enters {
                self.reserve(env);
            }
            return;
        }
        self.call_targets(env);
    }

    /// The ways to who is called are known: it rings, or the media ports are asked for.
    pub(super) fn call_targets(&mut self, env: &mut Environment) {
        if self.media(Side::Callee).port != 0 {
            return self.ring(env);
        }
        self.phase = Phase::Reserving;
        self.reserve(env);
    }

    /// When a target stops to ring before the others do.
    pub(super) fn stops_at(&self, now: Time, target: usize) -> Option<Time> {
        let ring_s = self.member(target)?.ring_s?;
        Some(now + Duration::from_secs(u64::from(ring_s)))
    }

    /// When a target begins to ring after the others do.
    pub(super) fn begins_at(&self, now: Time, target: usize) -> Option<Time> {
        let delay_s = self.member(target)?.delay_s;
        (delay_s > 0).then(|| now + Duration::from_secs(u64::from(delay_s)))
    }

    /// Who a target is, where several ring together.
    pub(super) fn member(&self, target: usize) -> Option<&Member> {
        self.destination.targets.get(target)?.member.as_deref()
    }

    /// A phone of one of several has answered: the call is with that one.
    pub(super) fn settle_on(&mut self, env: &mut Environment, target: usize) {
        let member = self.destination.targets.get(target).and_then(|target| target.member.clone());
        let Some(member) = member else { return };
        self.uncount_others(env, target);
        self.destination.user = member.user.clone();
        self.destination.latching = member.latching.clone();
        self.destination.dtmf = member.dtmf;
        self.destination.record = member.record;
        self.recorded.want_too((member.record, member.record.is_some()));
    }

    /// Writes who has sent the call on (RFC 5806, RFC 7044 §4), unless the caller does not want to be known. Peers are told what users of
    /// ours have done if they are trusted.
    pub(super) fn write_diversions(&self, host: &[u8], is_told: bool, writer: &mut Writer) {
        let diverted = &self.destination.diverted;
        if diverted.is_empty() || !is_told || self.anonymous {
            return;
        }
        // The last one stands first.
        for by in diverted.iter().rev() {
            let user = escape_user(by.user.as_bytes());
            let value =
                [b"<sip:", &user[..], b"@", host, b">;reason=", by.why.word(), b";counter=1"].concat();
            writer.header(HeaderName::Diversion, &value);
        }
        if !has_history(self.invite()) {
            let mut index = String::new();
            for by in diverted {
                index.push_str(if index.is_empty() { "1" } else { ".1" });
                let user = escape_user(by.user.as_bytes());
                let value = [b"<sip:", &user[..], b"@", host, b">;index=", index.as_bytes()].concat();
                writer.header(HeaderName::HistoryInfo, &value);
            }
        }
    }
}

fn has_history(invite: &Message) -> bool {
    invite.header(HeaderName::HistoryInfo).is_some()
}

/// How often an INVITE has been sent on before it came.
pub(super) fn diversions_of(invite: &Message) -> usize {
    let diversions = invite.list(HeaderName::Diversion).count();
    // The first entry is whom it was for.
    let history = invite.list(HeaderName::HistoryInfo).count().saturating_sub(1);
    diversions.max(history)
}

impl Calls {
    /// A stage in which we serve the caller ourselves begins after others: the caller enters now.
    pub(super) fn enter_late(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        if !call.destination.enters || call.ending.is_some() || !matches!(call.phase, Phase::Reserving) {
            return;
        }
        call.destination.enters = false;
        let Some(served) = call.destination.service.take() else { return };
        let number = call.callee.clone();
        let served = self.enter(env, id, number, served);
        let Some(call) = self.table.get_mut(id) else { return };
        call.destination.service = Some(served);
        if call.is_joined() {
            call.part(env);
        }
        let has_port = call.media(Side::Caller).port != 0;
        match &mut call.referred {
            Some(referred) => referred.is_answered = true,
            None if has_port => call.serve_after_ringing(env),
            None => call.reserve(env),
        }
    }
}

impl Call {
    /// The caller may have been told a description while somebody rang: it is served in what it speaks by that.
    fn serve_after_ringing(&mut self, env: &mut Environment) {
        let told = self.destination.later.as_mut().and_then(|later| later.early.take());
        let spoken = self.caller_leg.session.agreed.as_ref().and_then(|agreed| agreed.first());
        if let (Some(_), Some(spoken)) = (&told, spoken.map(|codec| codec.payload_type))
            && let Some(remote) = &mut self.caller_leg.session.remote
        {
            remote.codecs.retain(|codec| codec.payload_type == spoken);
        }
        self.serve(env);
    }
}
