//! Calls that begin here: phones of a user ring, or a number, and when somebody answers there, another number is called for it, as if it had
//! dialled that.
//!
//! It is one call from the beginning to the end, with one record. As long as its first party rings, that one is its callee, and nobody is the
//! caller (*summons*); who answers takes the caller's seat, hears the tone of a phone that rings, and waits as somebody does who has been
//! transferred (`transfer`). There is no INVITE that it came of, so one is written that stands for it and is sent to nobody.
//!
//! What both numbers lead to is looked up, and counted, when the call is asked for. Left out on purpose: early media of the second party, and
//! numbers that are codes.

use super::call::{Call, CallId, Destination, Invitation, Leg, MediaLeg, Phase, Side};
use super::calls::Calls;
use super::command::{NUMBER, refused_by};
use super::counting::Count;
use super::formats::Formats;
use super::led::{self, Before, Led, count};
use super::program::{Phones, Program, Variables};
use super::session::Session;
use super::setup;
use super::transfer::{News, Referred};
use crate::config::{DomainId, Dtmf, Latching};
use crate::core::Event;
use crate::core::command::{Field, Originate, Refused};
use crate::core::environment::{Environment, escape_user};
use crate::records::Chronicle;
use crate::registrar::{Named, Registrar};
use crate::routing::Caller;
use bytes::Bytes;
use media::LegId;
use media::source::{CallTone, Source};
use serde::{Deserialize, Serialize};
use sip_stack::endpoint::{Heading, Request};
use sip_stack::message::{Message, Method, quoted};
use sip_stack::session::SessionTimer;
use sip_stack::table::Id;
use sip_stack::transport::{Flow, Transport};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Variables of one call at most, and octets of a name and of a word.
const VARIABLES: (usize, usize, usize) = (16, 32, 256);
/// Where tones are known of no country.
const COUNTRY: &str = "us";

/// The caller of a call is rung yet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Summons {
    /// Whom it will call.
    next: Destination,
    /// The name of that one, quoted, or empty.
    name: Bytes,
    is_anonymous: bool,
    /// It is called back as it has wished.
    recalls: bool,
}

/// What a call is begun with.
pub(super) struct Beginning {
    pub(super) domain: DomainId,
    /// Who will be its caller.
    pub(super) user: Box<str>,
    /// Who rings first.
    pub(super) first: Led,
    /// Whom that one calls.
    pub(super) number: Bytes,
    pub(super) next: Led,
    pub(super) counted: Vec<Count>,
    pub(super) caller_id: Option<Box<str>>,
    pub(super) variables: Variables,
    /// It is called back as it has wished.
    pub(super) recalls: bool,
}

impl Calls {
    /// Begins a call of a user.
    pub(crate) fn originate(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (domain, user): (DomainId, Box<str>),
        wanted: &Originate,
    ) -> Result<CallId, Refused> {
        check(wanted)?;
        let caller = Caller::User(&user);
        let mut lead = |calls: &Calls, number: &str, field| {
            if number.is_empty() || number.len() > NUMBER {
                return Err(Refused::Senseless(field));
            }
            let named = Named::number(Bytes::copy_from_slice(number.as_bytes()));
            let led = calls.lead_to(env, registrar, domain, caller, Before::default(), &named);
            let led = led.map_err(|refused| refused_by(refused.status))?;
            // A code is for who has a phone in its hand.
            if led.setting.is_some() { Err(Refused::Senseless(field)) } else { Ok(led) }
        };
        let next = lead(self, &wanted.number, Field::Number)?;
        let first = match &wanted.from {
            Some(number) => Some(lead(self, number, Field::From)?),
            None => None,
        };
        let is_outside = first.is_some();
        let mut first = match first {
            Some(led) if led.destination.is_served() => return Err(Refused::Senseless(Field::From)),
            Some(led) => led,
            None => {
                let answer = wanted.auto_answer;
                let phones = Phones { domain, user: &user, device: wanted.device.as_ref(), answer };
                Led::uncounted(phones.find(env, registrar, None)?)
            }
        };
        first.destination.answers_itself = wanted.auto_answer;
        if let Some(seconds) = wanted.timeout_s {
            first.destination.ring_s = seconds;
        }
        let mut counted = Vec::new();
        let legs = core::iter::once(&next).chain(Some(&first).filter(|_| is_outside));
        for led in legs {
            match count(env, domain, caller, led) {
                Ok(count) => counted.extend(count),
                Err(_) => {
                    counted.iter().for_each(|count| env.routing.usage.end(&count.who));
                    return Err(Refused::TooMany);
                }
            }
        }
        let number = Bytes::copy_from_slice(wanted.number.as_bytes());
        let (caller_id, variables) = (wanted.caller_id.clone(), wanted.variables.clone());
        let beginning =
            Beginning { domain, user, first, number, next, counted, caller_id, variables, recalls: false };
        self.begin_here(env, beginning).ok_or(Refused::WrongState)
    }

    /// Begins a call: who is to be its caller rings.
    pub(super) fn begin_here(&mut self, env: &mut Environment, beginning: Beginning) -> Option<CallId> {
        let Beginning { domain, user, first, number, next, counted, caller_id, variables, recalls } =
            beginning;
        let flow = flow_of(env, &first);
        let request = flow.and_then(|flow| Some((flow, stand_in(env, domain, (&user, &number), flow)?)));
        let Some((flow, request)) = request else {
            counted.iter().for_each(|count| env.routing.usage.end(&count.who));
            return None;
        };
        let caller_name = name_of(env, domain, user.as_bytes());
        let name = name_of(env, domain, &number);
        let summons =
            Summons { next: next.destination, name, is_anonymous: next.anonymity == Some(true), recalls };
        let recorded = setup::recorded(env, domain, &user, &summons.next);
        let program = Program::beginning(summons, caller_id, variables);
        let tag = env.endpoint.random().tag();
        let domain_name = env.domain(domain).map_or_else(Arc::default, |domain| domain.name.clone());
        let id = self.insert(Call {
            id: None,
            number: 0,
            anonymous: false,
            callee_anonymous: false,
            domain,
            domain_name,
            caller_name,
            language: led::language(env, domain, &user),
            caller: user,
            counted,
            callee: number,
            invitation: Invitation {
                request: Box::new(request),
                transaction: Id::from_u64(u64::MAX),
                tag,
                contact: Bytes::new(),
            },
            caller_leg: nobody(env, flow),
            destination: first.destination,
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
            guests: Default::default(),
            infos: Vec::new(),
            referred: None,
            referring: None,
            referred_by: None,
            renewal: None,
            recorded,
            speech: Default::default(),
            keys: None,
            parked: None,
            parking: None,
            ends_by: None,
            music: None,
            started: env.now,
            answered: None,
            ending: None,
            seats: Default::default(),
            chronicle: Chronicle::default(),
            kept: None,
            armed: None,
            command: env.command(),
            program,
            consult: None,
        });
        if let Some(call) = self.table.get_mut(id) {
            let news = News::quiet(env, call);
            call.referred = Some(Box::new(Referred::returning(news)));
            call.announce(env);
            call.begin_stage(env);
        }
        self.settle(env, Some(id));
        Some(id)
    }

    /// Who was rung first has answered: it is the caller now, and calls.
    pub(super) fn seat_summoned(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        if !call.take_summoned(env) {
            return self.refuse_answered(env, id);
        }
        for side in [Side::Caller, Side::Callee] {
            self.adopted.insert(call.media(side).id, (id, side));
        }
        let after_ms = u64::try_from(env.now.since(call.started).as_millis()).unwrap_or(u64::MAX);
        let named = env.call_ref(call.number);
        call.tell(env, Event::CallerAnswered { call: named, after_ms });
        call.begin_stage(env);
        self.settle(env, Some(id));
    }
}

impl Call {
    /// Whether its caller is rung yet.
    pub(super) const fn is_summoning(&self) -> bool {
        self.program.summons.is_some()
    }

    /// The party that has answered takes the caller's seat, and speaks what it has answered with. Whether that is anything.
    fn take_summoned(&mut self, env: &mut Environment) -> bool {
        let known = match &self.phase {
            Phase::Talking { callee } => callee.session.remote.as_ref().map(Formats::from),
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => None,
        };
        let agreed = known.and_then(|known| {
            let between = super::agreement::Agreement::between(&known, &known, [None, None], false);
            between.map(|agreement| agreement.caller)
        });
        let Some(agreed) = agreed else { return false };
        let Some(summons) = self.program.summons.take() else { return false };
        if let Phase::Talking { callee } = core::mem::replace(&mut self.phase, Phase::Reserving) {
            self.caller_leg = callee;
        }
        self.caller_leg.session.agreed = Some(agreed);
        self.media.swap(0, 1);
        self.configure(env, Side::Caller);
        self.count_as_caller();
        let Summons { next, is_anonymous, .. } = *summons;
        self.destination = next;
        self.anonymous = is_anonymous;
        self.chronicle.can_be_missed = !self.destination.is_served() && self.destination.peer.is_none();
        // A service of ours is entered as one after others have rung.
        self.destination.enters = self.destination.service.is_some();
        true
    }

    /// Why the phone of who is rung first rings (RFC 7462 §9.2), where that is not usual.
    pub(super) fn alert(&self) -> Option<&'static [u8]> {
        let summons = self.program.summons.as_ref().filter(|summons| summons.recalls);
        summons.map(|_| &b"<urn:alert:service:recall:callback>"[..])
    }

    /// The number that who is called sees, where a program has a say in it; `is_peer`: that one is behind a peer.
    pub(super) fn shown_by_program(&self, is_peer: bool) -> Option<&str> {
        match &self.program.summons {
            // To a peer it is a call of the user like any other.
            Some(_) if is_peer => None,
            Some(_) => core::str::from_utf8(&self.callee).ok(),
            None => self.program.caller_id.as_deref(),
        }
    }

    /// The same of the name.
    pub(super) fn name_by_program(&self) -> Option<&[u8]> {
        let is_peer = self.destination.peer.is_some();
        self.program.summons.as_ref().filter(|_| !is_peer).map(|summons| &*summons.name)
    }

    /// The tone that a caller hears while a phone rings.
    pub(super) fn ring_back(&self, env: &Environment) -> Source {
        let country = env.domain(self.domain).and_then(|domain| domain.numbering.country);
        let country = country.map_or_else(|| COUNTRY.into(), |country| country.code().into());
        Source::Tone { country, tone: CallTone::RingBack }
    }
}

/// The name of a user as it is shown, quoted, or empty.
fn name_of(env: &Environment, domain: DomainId, user: &[u8]) -> Bytes {
    let known = env.domain(domain).and_then(|domain| domain.user(user));
    let name = known.and_then(|(_, user)| user.display_name.as_deref());
    name.map_or_else(Bytes::new, |name| quoted(name.as_bytes()).into())
}

/// What makes no sense in itself.
fn check(wanted: &Originate) -> Result<(), Refused> {
    let (most, name, word) = VARIABLES;
    let is_name = |text: &str| {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
        !text.is_empty() && text.len() <= name && text.bytes().all(is_plain)
    };
    let fits = wanted.variables.iter().all(|(own, text)| is_name(own) && text.len() <= word);
    if wanted.variables.len() > most || !fits {
        return Err(Refused::Senseless(Field::Variables));
    }
    if wanted.timeout_s.is_some_and(|seconds| !(1..=300).contains(&seconds)) {
        return Err(Refused::Senseless(Field::Timeout));
    }
    let is_number = |text: &str| {
        let is_plain = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'+' | b'*' | b'#');
        !text.is_empty() && text.len() <= 32 && text.bytes().all(is_plain)
    };
    if wanted.caller_id.as_deref().is_some_and(|shown| !is_number(shown)) {
        return Err(Refused::Senseless(Field::CallerId));
    }
    Ok(())
}

/// A way for what is never sent: that to the first who rings.
fn flow_of(env: &Environment, first: &Led) -> Option<Flow> {
    let way = first.destination.targets.iter().flat_map(|target| &target.ways).next();
    way.map(|way| way.flow).or_else(|| {
        let port = Transport::Udp.default_port();
        let nobody =
            [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find_map(|transport| nobody.into_iter().find_map(|nobody| env.flow_to(transport, nobody)))
    })
}

/// The INVITE that stands for the one that nobody has sent.
fn stand_in(
    env: &mut Environment,
    domain: DomainId,
    (user, number): (&str, &[u8]),
    flow: Flow,
) -> Option<Request> {
    let (host, sent_by) = (env.uri_host(domain, &flow), env.sent_by(&flow));
    let uri = [b"sip:", escape_user(number).as_slice(), b"@", &host].concat();
    let to = [b"<", &uri[..], b">"].concat();
    let from = [b"<sip:", escape_user(user.as_bytes()).as_slice(), b"@", &host, b">"].concat();
    let heading = Heading {
        method: Method::Invite,
        uri: &uri,
        from: &from,
        to: &to,
        sent_by: &sent_by,
        max_forwards: 70,
        sequence: None,
    };
    let draft = env.endpoint.draft(heading, flow);
    let message = Message::parse(draft.writer.finish()).ok()?;
    Some(Request::stand_in(message, flow))
}

/// A seat that nobody is on.
pub(super) fn nobody(env: &mut Environment, flow: Flow) -> Leg {
    let (id, timer) = (env.endpoint.random().next_u64(), SessionTimer::new(env.config.session_timer));
    Leg {
        dialog: Id::from_u64(u64::MAX),
        flow,
        latching: Latching::default(),
        session: Session::new(id, env.media_address(&flow), Dtmf::default(), timer),
        refresh: None,
        is_peer: false,
        awaiting_answer: false,
    }
}
