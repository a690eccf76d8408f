//! Where a call leads: the question that [`crate::routing`] is asked, and what its answer is to a call. And who calls, as far as the
//! configuration knows.

use super::call::{Call, Destination, Side};
use super::calls::Calls;
use super::counting::{Because, Count};
use super::seats::subject_key;
use super::serve::Served;
use super::setup::Refused;
use super::stages::diversions_of;
use crate::config::{CallLimits, DomainId, Dtmf, Latching, Service, Sounds};
use crate::core::environment::Environment;
use crate::core::{Event, Refusal};
use crate::prompts::What;
use crate::registrar::{Named, Registrar};
use crate::routing::{
    self, Caller, Counted, ForwardKind, Plan, Presence, Question, Setting, TooMany, decide, may_set,
};
use crate::store::{StoreOp, StoredProfile};
use bytes::Bytes;
use sip_stack::endpoint::Request;
use sip_stack::message::{Message, Status, Uri, quoted};
use std::sync::Arc;

/// Where a call leads.
pub(super) struct Led {
    pub(super) destination: Destination,
    /// Whether the caller is to be unknown; `None`: as its phone says.
    pub(super) anonymity: Option<bool>,
    /// No limit holds.
    is_emergency: bool,
    /// What is set by it for whom, once it has been counted.
    pub(super) setting: Option<(Box<str>, Setting)>,
}

impl Led {
    pub(super) const fn to(destination: Destination) -> Led {
        Led { destination, anonymity: None, is_emergency: false, setting: None }
    }

    /// Whether somebody logs in or out by it, which only a call of its own can do.
    pub(super) const fn is_of_desk(&self) -> bool {
        matches!(self.setting, Some((_, Setting::Desk(_))))
    }

    /// One under no limit: a user's own phones.
    pub(super) const fn uncounted(destination: Destination) -> Led {
        Led { destination, anonymity: None, is_emergency: true, setting: None }
    }
}

/// Who is there, for the dial plan.
struct Present<'e> {
    env: &'e Environment,
    calls: &'e Calls,
    domain: DomainId,
    lots: u64,
}

impl Presence for Present<'_> {
    fn is_busy(&self, user: &str) -> bool {
        self.calls.is_talking(subject_key(self.env.endpoint.hasher(), self.domain, user))
    }

    fn lot(&mut self) -> u64 {
        self.lots += 1;
        let moment = [self.env.now.0, self.calls.opened, self.lots].map(u64::to_be_bytes);
        self.env.endpoint.hasher().hash(&[b"lot", &moment.concat()]) as u64
    }
}

impl Calls {
    /// Where a call of `caller` leads, when `uri` is of the domain.
    pub(super) fn lead(
        &self,
        env: &mut Environment,
        registrar: &Registrar,
        domain: DomainId,
        caller: Caller<'_>,
        invite: &Message,
        uri: Option<&Uri<'_>>,
    ) -> Result<Led, Refused> {
        let dialled_domain = uri.and_then(|uri| env.config.domain_of_host(uri.host));
        if dialled_domain != Some(domain) {
            return Err(Refused::told(Status::NOT_FOUND, Refusal::UnknownDomain));
        }
        // RFC 5627 §6.1: a GRUU that is not valid is 404.
        let named = uri.and_then(|uri| registrar.named(env, domain, uri));
        let named = named.ok_or(Refused::told(Status::NOT_FOUND, Refusal::UnknownNumber))?;
        let is_anonymous = is_anonymous(invite, caller);
        let before = Before { diverted: diversions_of(invite), is_anonymous };
        self.lead_to(env, registrar, domain, caller, before, &named)
    }

    /// Where a call of `caller` to a number of the domain leads.
    pub(super) fn lead_to(
        &self,
        env: &mut Environment,
        registrar: &Registrar,
        id: DomainId,
        caller: Caller<'_>,
        before: Before,
        named: &Named,
    ) -> Result<Led, Refused> {
        let config = env.config.clone();
        let domain =
            config.domains.get(&id).ok_or(Refused::told(Status::NOT_FOUND, Refusal::UnknownDomain))?;
        if let Some(device) = &named.device
            && domain.user_of(&named.user).is_some()
        {
            // One phone is meant, and no other.
            let phones = phones(env, registrar, id, &named.user, Some(device));
            return phones.map(Led::to).ok_or(not_registered());
        }
        let number = &named.user;
        let unix_ms = env.unix_ms(env.now);
        let (features, now) = (&config.features, env.now);
        let Before { diverted, is_anonymous } = before;
        let question =
            Question { id, domain, features, caller, number, unix_ms, now, diverted, is_anonymous };
        let mut present = Present { env, calls: self, domain: id, lots: 0 };
        let decision = decide(question, &env.routing, &mut present, None).map_err(Refused::by_plan)?;
        let destination = match decision.plan {
            Plan::Setting(setting) => {
                let Caller::User(user) = caller else { return Err(not_registered()) };
                let destination = confirm(env, id, user, &setting, number);
                return Ok(Led { setting: Some((user.into(), setting)), ..Led::to(destination) });
            }
            Plan::LogIn { user, is_right } => {
                let Caller::User(host) = caller else { return Err(not_registered()) };
                env.routing.note_pin(id, user, is_right, now);
                if !is_right {
                    return Err(Refused::told(Status::FORBIDDEN, Refusal::WrongPin));
                }
                let desk = Setting::Desk(Some(host.into()));
                // Not what was dialled, in which the PIN is.
                let number = Bytes::copy_from_slice(features.log_in.as_bytes());
                let destination = confirm(env, id, user, &Setting::Desk(Some(host.into())), &number);
                return Ok(Led { setting: Some((user.into(), desk)), ..Led::to(destination) });
            }
            Plan::LogOut => {
                let Caller::User(host) = caller else { return Err(not_registered()) };
                let profiles = &env.routing.profiles;
                let own = || profiles.desk_of(id, host).map(|_| host);
                let guest: Option<Box<str>> = profiles.guest_at(id, host).or_else(own).map(Into::into);
                let guest = guest.ok_or(Refused::by_plan(routing::Refusal::BadSetting))?;
                let destination = confirm(env, id, &guest, &Setting::Desk(None), number);
                return Ok(Led { setting: Some((guest, Setting::Desk(None))), ..Led::to(destination) });
            }
            Plan::Page(page) => Destination::paging(env, registrar, id, &page, number),
            Plan::Stages(stages) => Destination::of_stages(env, registrar, id, stages, number, None),
        };
        for group in decision.turns {
            env.routing.take_turn(id, group);
        }
        let (anonymity, is_emergency) = (decision.anonymity, decision.is_emergency);
        let destination = destination.ok_or(not_registered())?;
        let answers_itself = decision.is_intercom;
        let destination = Destination { answers_itself, ..destination };
        Ok(Led { destination, anonymity, is_emergency, setting: None })
    }
}

/// What has become of a call before it is led anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// So many have sent it on.
    diverted: usize,
    /// The caller does not want to be known.
    is_anonymous: bool,
}

/// Whether an INVITE says that nobody shall know who calls (RFC 3323 §4.1): by Privacy; of a peer also by From.
fn is_anonymous(invite: &Message, caller: Caller<'_>) -> bool {
    let by_from = || {
        let from = invite.from().map(|from| from.uri).ok();
        from.is_some_and(|uri| uri.host.eq_ignore_ascii_case(b"anonymous.invalid"))
    };
    let by_number = match caller {
        Caller::User(_) => false,
        Caller::Peer { number, .. } => number.is_empty() || number.eq_ignore_ascii_case(b"anonymous"),
    };
    invite.privacy().hides_caller() || by_number || (matches!(caller, Caller::Peer { .. }) && by_from())
}

const fn not_registered() -> Refused {
    Refused::told(Status::TEMPORARILY_UNAVAILABLE, Refusal::NotRegistered)
}

/// The phones of a user, whatever it has set; `None` when there are none.
pub(super) fn phones(
    env: &Environment,
    registrar: &Registrar,
    id: DomainId,
    user: &Bytes,
    device: Option<&crate::registrar::Device>,
) -> Option<Destination> {
    let (name, known) = env.domain(id)?.user_of(user)?;
    let who = routing::Who::User { id: name, user: known };
    let target = routing::Target { who, delay_s: 0, ring_s: None };
    let stage = routing::Stage {
        after: None,
        targets: smallvec::smallvec![target],
        service: None,
        ring_s: known.ring_s,
        diversions: Vec::new(),
    };
    Destination::of_stages(env, registrar, id, smallvec::smallvec![stage], user, device)
}

/// Changes a setting of a user: the one way for codes and commands. What is to be kept goes to the store.
pub(crate) fn set(env: &mut Environment, id: DomainId, user: &str, setting: Setting) {
    // A phone has one guest: the one before is out.
    if let Setting::Desk(Some(host)) = &setting
        && let Some(guest) = env.routing.profiles.guest_at(id, host).filter(|guest| *guest != user)
    {
        let guest: Box<str> = guest.into();
        set(env, id, &guest, Setting::Desk(None));
    }
    // Nobody is a guest at its own phones.
    let setting = match setting {
        Setting::Desk(Some(host)) if *host == *user => Setting::Desk(None),
        other => other,
    };
    let Some(domain) = env.domain(id).map(|domain| domain.name.clone()) else { return };
    let profile = env.routing.profiles.set(id, user, setting.clone());
    env.store(StoreOp::from(StoredProfile { domain: (*domain).into(), user: user.into(), profile }));
    env.event(Event::SettingChanged { domain, user: user.into(), setting });
}

/// Does what a caller has dialled a code for.
pub(super) fn carry_out(env: &mut Environment, id: DomainId, setting: Option<(Box<str>, Setting)>) {
    if let Some((user, setting)) = setting {
        set(env, id, &user, setting);
    }
}

/// The store has nothing: it is given every setting.
pub(crate) fn keep_all(env: &mut Environment) {
    let of = |(id, user, profile): (DomainId, &str, &crate::routing::Profile)| {
        let domain = env.domain(id)?.name.as_ref().into();
        Some(StoredProfile { domain, user: user.into(), profile: profile.clone() })
    };
    let kept: Vec<StoredProfile> = env.routing.profiles.iter().filter_map(of).collect();
    kept.into_iter().for_each(|profile| env.store(StoreOp::from(profile)));
}

impl Calls {
    /// Changes a setting of a user as a command asks for it, if the user itself could.
    pub(crate) fn change_setting(
        &self,
        env: &mut Environment,
        id: DomainId,
        user: &str,
        setting: Setting,
    ) -> Result<(), routing::Refusal> {
        let config = env.config.clone();
        let domain = config.domains.get(&id).ok_or(routing::Refusal::UnknownNumber)?;
        let (caller, unix_ms) = (Caller::User(user), env.unix_ms(env.now));
        let features = &config.features;
        let now = env.now;
        let Before { diverted, is_anonymous } = Before::default();
        let number = b"";
        let question =
            Question { id, domain, features, caller, number, unix_ms, now, diverted, is_anonymous };
        let mut present = Present { env, calls: self, domain: id, lots: 0 };
        may_set(question, &env.routing, &mut present, &setting)?;
        set(env, id, user, setting);
        Ok(())
    }
}

/// What a caller hears who changes a setting by code.
fn confirm(env: &Environment, id: DomainId, user: &str, setting: &Setting, number: &Bytes) -> Destination {
    let language = language(env, id, user);
    let languages = [&*language, &*env.config.prompts.language, "en"];
    let prompt = |prompt: &str| languages.into_iter().find_map(|language| env.library.file(language, prompt));
    let said: Option<Vec<Arc<str>>> = match setting {
        Setting::DoNotDisturb(true) => prompt("feature/dnd-on").map(|file| vec![file]),
        Setting::DoNotDisturb(false) => prompt("feature/dnd-off").map(|file| vec![file]),
        Setting::RefuseAnonymous(true) => prompt("feature/anonymous-refused").map(|file| vec![file]),
        Setting::RefuseAnonymous(false) => prompt("feature/anonymous-accepted").map(|file| vec![file]),
        Setting::Desk(Some(_)) => prompt("feature/logged-in").map(|file| vec![file]),
        Setting::Desk(None) => prompt("feature/logged-out").map(|file| vec![file]),
        Setting::ForwardNone | Setting::Forward { forward: None, .. } => {
            prompt("feature/forward-off").map(|file| vec![file])
        }
        Setting::Forward { forward: Some(forward), kind: ForwardKind::Always } => {
            // "Your calls are forwarded to", and the number digit by digit.
            let spelled = languages.into_iter().find_map(|language| {
                let begin = env.library.file(language, "feature/forward-to")?;
                let digits = env.library.grammar(language)?.say(What::Digits(&forward.number)).ok()?;
                let digits: Option<Vec<_>> =
                    digits.into_iter().map(|prompt| env.library.file(language, prompt)).collect();
                Some([vec![begin], digits?].concat())
            });
            spelled.or_else(|| prompt("feature/forward-on").map(|file| vec![file]))
        }
        Setting::Forward {
            forward: Some(_),
            kind: ForwardKind::Busy | ForwardKind::NoAnswer | ForwardKind::Offline,
        } => prompt("feature/forward-on").map(|file| vec![file]),
    };
    let service = match said {
        Some(files) => Service::Play { sound: Sounds { path: "".into(), files, line: 0 } },
        // Without prompts it is a tone, and the caller hangs up.
        None => Service::Milliwatt,
    };
    Destination { service: Some(Served::new(service)), ..Destination::nobody(number) }
}

/// Counts a call under its caller, where that has limits.
pub(super) fn count(
    env: &mut Environment,
    id: DomainId,
    caller: Caller<'_>,
    led: &Led,
) -> Result<Option<Count>, Refused> {
    let Some(domain) = env.config.domains.get(&id) else { return Ok(None) };
    let limits: Option<(&CallLimits, Count)> = match caller {
        Caller::User(user) => {
            let known = domain.users.get(user).filter(|user| user.numbers.limits.counts());
            let count = || Count { who: Counted::User(id, user.into()), because: Because::Made };
            known.map(|known| (&known.numbers.limits, count()))
        }
        Caller::Peer { id: peer, .. } => {
            let known = domain.peers.get(peer).filter(|peer| peer.numbers.limits.counts());
            let because = Because::Party(Side::Caller);
            let count = || Count { who: Counted::Peer(id, peer.into()), because };
            known.map(|known| (&known.numbers.limits, count()))
        }
    };
    let Some((limits, count)) = limits.filter(|_| !led.is_emergency) else { return Ok(None) };
    match env.routing.usage.begin(&count.who, limits, env.now) {
        Ok(()) => Ok(Some(count)),
        Err(too_many) => {
            let (event, words) = match too_many {
                TooMany::AtOnce => (Refusal::TooManyCalls, "too many calls at once"),
                TooMany::PerMinute => (Refusal::TooOften, "too many calls in a minute"),
            };
            // Q.850: switching equipment congestion.
            Err(Refused { status: Status::BUSY_HERE, event: Some(event), cause: Some((42, words)) })
        }
    }
}

/// A caller, as far as the configuration knows it.
pub(super) struct Party {
    pub(super) caller: Box<str>,
    pub(super) name: Bytes,
    pub(super) latching: Latching,
    pub(super) dtmf: Dtmf,
    pub(super) language: Box<str>,
    pub(super) is_peer: bool,
}

pub(super) fn party(env: &Environment, request: &Request, id: DomainId, caller: Caller<'_>) -> Party {
    let domain = env.domain(id);
    match caller {
        Caller::User(user) => {
            let known = domain.and_then(|domain| domain.users.get(user));
            Party {
                caller: user.into(),
                name: name_of(request, known.and_then(|known| known.display_name.as_deref())),
                latching: known.map_or_else(Default::default, |known| known.latching.clone()),
                dtmf: known.map_or_else(Default::default, |known| known.dtmf),
                language: language(env, id, user),
                is_peer: false,
            }
        }
        Caller::Peer { id: peer, number } => {
            let known = domain.and_then(|domain| domain.peers.get(peer));
            let number = String::from_utf8_lossy(number);
            let country = domain.and_then(|domain| domain.numbering.country);
            let number = country.and_then(|country| country.received(&number)).unwrap_or(number.into_owned());
            Party {
                caller: number.into(),
                name: name_of(request, None),
                latching: known.map_or_else(Default::default, |known| known.latching.clone()),
                dtmf: known.map_or_else(Default::default, |known| known.dtmf),
                language: env.config.prompts.language.clone(),
                is_peer: true,
            }
        }
    }
}

/// The language of a user.
pub(super) fn language(env: &Environment, domain: DomainId, user: &str) -> Box<str> {
    let own = env.domain(domain).and_then(|domain| domain.users.get(user)?.language.clone());
    own.unwrap_or_else(|| env.config.prompts.language.clone())
}

/// The name shown to the callee: the configured one, else the caller's own, quoted anew.
fn name_of(request: &Request, configured: Option<&str>) -> Bytes {
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

impl Call {
    /// It ends, and who is on which side is known yet: its users are idle since now.
    pub(super) fn note_idle(&self, env: &mut Environment) {
        let config = env.config.clone();
        let known = config.domains.get(&self.domain).filter(|_| self.answered.is_some());
        let Some(domain) = known else { return };
        for side in [Side::Caller, Side::Callee] {
            if let Some(user) = self.user_on(domain, side) {
                env.routing.note_idle(&config, self.domain, user, env.now);
            }
        }
    }
}
