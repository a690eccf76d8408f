//! Which way a call takes: a function of the configuration, of what users have set, of the time of day, the caller and the number, and of
//! who is there.
//!
//! In this order: a number of emergency; a user by its id or one of its numbers; a code of `[features]`; a paging group or a group by its
//! number; a room; the routes, in the order of [`Route::precedence`](crate::config::Route). The first that matches decides. A number is compared as it was
//! dialled, and as E.164 where the domain has a country.
//!
//! Nothing is allocated for a plain call of one user to another, nor for a route that does not match. With a [`Trace`] each rule says why it was taken or not. Left out on purpose:
//! anything that waits; what is found busy later is a stage ([`super::plan`]).

use super::group;
use super::plan::{
    After, Diversion, MOST_STAGES, Outcomes, Outside, Plan, Refused, Stage, Stages, Target, Who,
};
use super::profile::Dialled;
use super::state::State;
use super::trunks;
use crate::config::{Domain, DomainId, Features, Route, RouteTo, Service, Trunks};
use core::cell::OnceCell;
use sip_stack::Time;
use smallvec::{SmallVec, smallvec};

/// How deep numbers may lead to numbers.
const DEEPEST: u8 = 8;
/// How long a peer may let a call ring: Timer C of a proxy (RFC 3261 §16.6 step 11) is above three minutes.
pub(crate) const PEER_RING_S: u32 = 185;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller<'a> {
    /// A user, who proved it.
    User(&'a str),
    /// Somebody behind a peer.
    Peer { id: &'a str, number: &'a [u8] },
}

/// What has to be decided.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) id: DomainId,
    pub(crate) domain: &'a Domain,
    pub(crate) features: &'a Features,
    pub(crate) caller: Caller<'a>,
    /// What was dialled, its escapes undone.
    pub(crate) number: &'a [u8],
    /// The time of day.
    pub(crate) unix_ms: u64,
    /// The time by which calls are counted.
    pub(crate) now: Time,
    /// How often others have sent the call on before it came.
    pub(crate) diverted: usize,
    /// The caller does not want to be known.
    pub(crate) is_anonymous: bool,
}

/// Who is there.
pub(crate) trait Presence {
    /// Whether the user takes part in a call.
    fn is_busy(&self, user: &str) -> bool;
    /// Random numbers, where something is chosen by lot.
    fn lot(&mut self) -> u64;
}

/// What was decided, in words, in the order in which it was.
#[derive(Debug, Default)]
pub(crate) struct Trace(pub(crate) Vec<String>);

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision<'a> {
    pub(crate) plan: Plan<'a>,
    /// Whether the call is anonymous, by its number or for its user; `None`: as its phone says.
    pub(crate) anonymity: Option<bool>,
    /// Groups whose turn it is, to be remembered.
    pub(crate) turns: SmallVec<[&'a str; 0]>,
    /// Nothing may refuse it.
    pub(crate) is_emergency: bool,
    /// The phone is asked to answer by itself.
    pub(crate) is_intercom: bool,
}

/// Decides.
///
/// # Errors
/// Nobody is called, and why.
pub(crate) fn decide<'a>(
    question: Question<'a>,
    state: &State,
    presence: &mut dyn Presence,
    trace: Option<&mut Trace>,
) -> Result<Decision<'a>, Refused> {
    let mut decider = Decider::new(question, state, presence, trace);
    let mut number = question.number;
    let is_user = matches!(question.caller, Caller::User(_));
    let mut anonymity = decider.is_always_anonymous().then_some(true);
    let is_named = is_user && question.domain.user_of(number).is_some();
    if is_user
        && !is_named
        && let Some(dialled) = question.features.read(number)
    {
        match dialled {
            Dialled::Anonymous(rest) => {
                decider.note(|| "the caller wants to be anonymous in this call".into());
                (number, anonymity) = (rest.as_bytes(), Some(true));
            }
            Dialled::Shown(rest) => {
                decider.note(|| "the caller wants to be known in this call".into());
                (number, anonymity) = (rest.as_bytes(), Some(false));
            }
            Dialled::LogIn { user, pin } => {
                let plan = decider.log_in(user, pin)?;
                return Ok(Decision::of(plan));
            }
            Dialled::LogOut => {
                decider.note(|| "the code to log out".into());
                return Ok(Decision::of(Plan::LogOut));
            }
            Dialled::Forward { .. }
            | Dialled::ForwardNone
            | Dialled::DoNotDisturb(_)
            | Dialled::RefuseAnonymous(_) => {
                decider.note(|| "a code of [features]: a setting of the caller".into());
                let plan = Plan::Setting(decider.setting(dialled)?);
                return Ok(Decision::of(plan));
            }
            Dialled::Intercom(rest) => {
                let plan = Plan::Stages(decider.intercom(rest)?);
                return Ok(Decision { anonymity, is_intercom: true, ..Decision::of(plan) });
            }
        }
    }
    if let Some(page) = decider.page(number)? {
        return Ok(Decision { anonymity, ..Decision::of(Plan::Page(page)) });
    }
    decider.is_anonymous = anonymity.unwrap_or(question.is_anonymous);
    decider.dial(number, question.caller, None, &[])?;
    let Decider { stages, turns, is_emergency, .. } = decider;
    if stages.is_empty() {
        return Err(Refused::Nobody);
    }
    // Who helps has to know who calls.
    let anonymity = if is_emergency { Some(false) } else { anonymity };
    Ok(Decision { anonymity, turns, is_emergency, ..Decision::of(Plan::Stages(stages)) })
}

impl<'a> Decision<'a> {
    fn of(plan: Plan<'a>) -> Decision<'a> {
        let turns = SmallVec::new();
        Decision { plan, anonymity: None, turns, is_emergency: false, is_intercom: false }
    }
}

/// Whether the user who asks may have this setting: its calls go to no number that it could not call itself.
///
/// # Errors
/// It may not, and why.
pub(crate) fn may_set(
    question: Question<'_>,
    state: &State,
    presence: &mut dyn Presence,
    setting: &super::Setting,
) -> Result<(), Refused> {
    if let super::Setting::Desk(Some(host)) = setting {
        let is_user = question.domain.users.contains_key(host);
        let is_own = matches!(question.caller, Caller::User(user) if *user == **host);
        return if is_user && !is_own { Ok(()) } else { Err(Refused::BadSetting) };
    }
    let super::Setting::Forward { kind, forward: Some(forward) } = setting else { return Ok(()) };
    let Caller::User(user) = question.caller else { return Err(Refused::NotAllowed) };
    if !forward.makes_sense(*kind, question.domain) {
        return Err(Refused::BadSetting);
    }
    Decider::new(question, state, presence, None).may_forward(user, &forward.number)
}

/// Why a route does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch<'r> {
    Number,
    /// It is for calls from this peer.
    From(&'r str),
    /// It leads from one peer to another one without saying so.
    ToPeer,
    Caller,
    Schedule {
        id: &'r str,
        is_open: bool,
    },
}

impl Mismatch<'_> {
    /// In words.
    fn shown(self, acting: Caller<'_>) -> String {
        match (self, acting) {
            (Mismatch::Number, _) => "the number does not match".into(),
            (Mismatch::From(from), _) => format!("it is for calls from {from}"),
            (Mismatch::ToPeer, Caller::User(id) | Caller::Peer { id, .. }) => {
                format!("from {id} it would lead to a peer, and it does not say from = \"{id}\"")
            }
            (Mismatch::Caller, _) => "the caller does not match".into(),
            (Mismatch::Schedule { id, is_open }, _) => {
                let now = if is_open { "open" } else { "closed" };
                format!("schedule {id} is {now}")
            }
        }
    }
}

/// A decision that is being made.
pub(super) struct Decider<'a, 't> {
    pub(super) question: Question<'a>,
    pub(super) state: &'t State,
    pub(super) presence: &'t mut dyn Presence,
    trace: Option<&'t mut Trace>,
    pub(super) stages: Stages<'a>,
    pub(super) turns: SmallVec<[&'a str; 0]>,
    depth: u8,
    is_emergency: bool,
    is_anonymous: bool,
    /// The number of who calls from a peer, in E.164.
    caller_e164: OnceCell<Option<String>>,
}

/// The place of the last stage that was added.
pub(super) type Last = u8;

impl<'a, 't> Decider<'a, 't> {
    fn new(
        question: Question<'a>,
        state: &'t State,
        presence: &'t mut dyn Presence,
        trace: Option<&'t mut Trace>,
    ) -> Decider<'a, 't> {
        let (stages, turns) = (SmallVec::new(), SmallVec::new());
        let is_anonymous = question.is_anonymous;
        let (depth, is_emergency, caller_e164) = (0, false, OnceCell::new());
        Decider {
            question,
            state,
            presence,
            trace,
            stages,
            turns,
            depth,
            is_emergency,
            is_anonymous,
            caller_e164,
        }
    }
}

impl<'a> Decider<'a, '_> {
    pub(super) fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.0.push(words());
        }
    }

    /// Whether the user who calls is to be unknown unless it says otherwise.
    fn is_always_anonymous(&self) -> bool {
        let Caller::User(id) = self.question.caller else { return false };
        self.question.domain.users.get(id).is_some_and(|user| user.anonymous)
    }

    /// Whether a user takes no call of who does not want to be known.
    pub(super) fn refuses_anonymous(&self, id: &str, user: &crate::config::User) -> bool {
        let own = || self.state.profiles.of(self.question.id, id)?.refuse_anonymous;
        self.is_anonymous && own().unwrap_or(user.refuse_anonymous)
    }

    /// The phone of the caller is to be another user's.
    fn log_in(&mut self, user: &str, pin: &str) -> Result<Plan<'a>, Refused> {
        self.note(|| "the code to log in".into());
        let known = self.question.domain.user_of(user.as_bytes());
        let (id, pin_of) =
            known.and_then(|(id, user)| Some((id, user.numbers.pin.as_ref()?))).ok_or(Refused::NotAllowed)?;
        if self.state.is_locked(self.question.id, id, self.question.now) {
            self.note(|| format!("{id} cannot log in for a while: too many wrong PINs"));
            return Err(Refused::NotAllowed);
        }
        Ok(Plan::LogIn { user: id, is_right: pin_of.is(pin) })
    }

    /// Follows a number, in the name of `acting`, who pays for it.
    pub(super) fn dial(
        &mut self,
        number: &[u8],
        acting: Caller<'a>,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        if self.depth >= DEEPEST {
            return Err(Refused::Loop);
        }
        self.depth += 1;
        let last = self.follow(number, acting, after, diversions);
        self.depth -= 1;
        last
    }

    fn follow(
        &mut self,
        number: &[u8],
        acting: Caller<'a>,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let domain = self.question.domain;
        let numbering = &domain.numbering;
        if matches!(acting, Caller::User(_))
            && numbering.emergency.numbers.iter().any(|known| known.as_bytes() == number)
            && let Some(last) = self.emergency(number, after, diversions)
        {
            return Ok(last);
        }
        if let Some((id, user)) = domain.user_of(number) {
            self.note(|| format!("user {id}"));
            return self.ring_user((id, user), after, diversions);
        }
        let text = core::str::from_utf8(number).unwrap_or_default();
        if let Some(id) = numbering.group_numbers.get(text) {
            return self.ring_group(id, after, diversions);
        }
        if let Some(room) = numbering.room(number) {
            self.note(|| format!("room {}", text.escape_debug()));
            return self.serve(&room.service, after, diversions);
        }
        let e164 = self.e164(text, acting);
        for route in &domain.routes {
            match self.mismatch(route, number, e164.as_deref(), acting) {
                Some(why) => self.note(|| {
                    let why = why.shown(acting);
                    format!("line {}, {}: no, {why}", route.line, route.pattern)
                }),
                None => {
                    self.note(|| format!("line {}, {}: yes", route.line, route.pattern));
                    let matched = if route.pattern.matches(number) {
                        number
                    } else {
                        e164.as_deref().unwrap_or("").as_bytes()
                    };
                    return self.take(route, matched, acting, after, diversions);
                }
            }
        }
        Err(Refused::UnknownNumber)
    }

    /// The number in E.164, if the domain has a country and its rules fit.
    pub(super) fn e164(&self, number: &str, acting: Caller<'_>) -> Option<String> {
        let numbering = &self.question.domain.numbering;
        let country = numbering.country?;
        match acting {
            Caller::User(_) => country.dialled(number, numbering.area.as_deref()),
            Caller::Peer { .. } => country.received(number),
        }
    }

    /// Why a route does not match; `None`: it does.
    pub(super) fn mismatch<'r>(
        &self,
        route: &'r Route,
        number: &[u8],
        e164: Option<&str>,
        acting: Caller<'_>,
    ) -> Option<Mismatch<'r>> {
        let matches = |pattern: &crate::config::Pattern, number: &[u8], e164: Option<&str>| {
            pattern.matches(number) || e164.is_some_and(|e164| pattern.matches(e164.as_bytes()))
        };
        if !matches(&route.pattern, number, e164) {
            return Some(Mismatch::Number);
        }
        let conditions = &route.conditions;
        match (&conditions.from, acting) {
            (Some(from), Caller::Peer { id, .. }) if **from == *id => {}
            (Some(from), _) => return Some(Mismatch::From(from)),
            (None, Caller::Peer { .. }) if matches!(route.to, RouteTo::Peers(_)) => {
                return Some(Mismatch::ToPeer);
            }
            (None, Caller::User(_) | Caller::Peer { .. }) => {}
        }
        if !conditions.callers.is_empty() {
            let (caller, e164) = match acting {
                Caller::User(id) => (id.as_bytes(), None),
                Caller::Peer { number, .. } => {
                    let text = core::str::from_utf8(number).unwrap_or_default();
                    // Once for all routes.
                    (number, self.caller_e164.get_or_init(|| self.e164(text, acting)).as_deref())
                }
            };
            if !conditions.callers.iter().any(|pattern| matches(pattern, caller, e164)) {
                return Some(Mismatch::Caller);
            }
        }
        let during = conditions.during.as_ref()?;
        let schedule = self.question.domain.numbering.schedules.get(&during.schedule);
        let is_open = schedule.is_some_and(|schedule| schedule.is_open(self.question.unix_ms));
        (is_open != during.inside).then_some(Mismatch::Schedule { id: &during.schedule, is_open })
    }

    /// The switch itself.
    fn serve(
        &mut self,
        service: &'a Service,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let (targets, diversions) = (SmallVec::new(), diversions.to_vec());
        self.push(Stage { after, targets, service: Some(service), ring_s: 0, diversions })
    }

    /// A route that matches.
    fn take(
        &mut self,
        route: &'a Route,
        number: &[u8],
        acting: Caller<'a>,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let domain = self.question.domain;
        match &route.to {
            RouteTo::Peers(peers) => {
                let number = route.rewrite.apply(number);
                self.ring_peers(route, peers, &number, acting, after, diversions)
            }
            RouteTo::Service(service) => {
                self.note(|| "a service of the switch".into());
                self.serve(service, after, diversions)
            }
            RouteTo::User(id) => match domain.users.get_key_value(id) {
                Some((id, user)) => {
                    self.note(|| format!("user {id}"));
                    self.ring_user((id, user), after, diversions)
                }
                None => Err(Refused::UnknownNumber),
            },
            RouteTo::Group(id) => self.ring_group(id, after, diversions),
            RouteTo::Reject(rejection) => Err(Refused::Rejected(*rejection)),
            RouteTo::Again => {
                let number = route.rewrite.apply(number);
                self.note(|| format!("dialled anew as {}", String::from_utf8_lossy(&number).escape_debug()));
                self.dial(&number, acting, after, diversions)
            }
        }
    }

    pub(super) fn push(&mut self, stage: Stage<'a>) -> Result<Last, Refused> {
        let last = u8::try_from(self.stages.len()).unwrap_or(u8::MAX);
        if self.stages.len() >= MOST_STAGES {
            return Err(Refused::Loop);
        }
        self.stages.push(stage);
        Ok(last)
    }

    fn ring_peers(
        &mut self,
        route: &'a Route,
        peers: &'a Trunks,
        number: &[u8],
        acting: Caller<'a>,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let outside = self.outside(route, peers, number, acting)?;
        self.ring_outside(outside, after, Outcomes::OFFLINE, diversions)
    }

    /// One peer after the other, as long as each comes to one of these ends.
    pub(super) fn ring_outside(
        &mut self,
        outside: SmallVec<[Outside<'a>; 1]>,
        after: Option<After>,
        on: Outcomes,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let (mut after, mut last) = (after, None);
        for outside in outside {
            self.note(|| format!("peer {}, as {}", outside.id, String::from_utf8_lossy(&outside.number)));
            let who = Who::Peer(Box::new(outside));
            let targets = smallvec![Target { who, delay_s: 0, ring_s: None }];
            let diversions = diversions.to_vec();
            let stage =
                self.push(Stage { after, targets, service: None, ring_s: PEER_RING_S, diversions })?;
            after = Some(After { stage, on });
            last = Some(stage);
        }
        last.ok_or(Refused::Nobody)
    }

    /// A number that nothing may block. `None`: the domain has no peer, and nobody to call.
    fn emergency(
        &mut self,
        number: &[u8],
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Option<Last> {
        let mut peers = trunks::for_emergency(self.question.domain, number);
        // Who does not answer is asked as well, at last.
        let (id, state) = (self.question.id, self.state);
        peers.sort_by_key(|(peer, _)| state.dead.has(id, peer));
        if peers.is_empty() {
            return None;
        }
        self.note(|| "a number of emergency: no limit, schedule or setting holds".into());
        // Where others ring as well, or have sent the call on, it is not what the caller has dialled.
        self.is_emergency = after.is_none() && diversions.is_empty() && self.stages.is_empty();
        let caller_id = trunks::caller_id(self.question.domain, self.question.caller, None);
        let outside = peers.into_iter().map(|(id, peer)| Outside {
            id,
            peer,
            number: bytes::Bytes::copy_from_slice(number),
            caller_id: caller_id.clone().or_else(|| peer.numbers.caller_id.clone()),
            record: None,
            is_emergency: true,
        });
        self.ring_outside(outside.collect(), after, Outcomes::ALL, &[]).ok()
    }

    fn ring_group(
        &mut self,
        id: &str,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let known = self.question.domain.numbering.groups.get_key_value(id);
        let (id, group) = known.ok_or(Refused::UnknownNumber)?;
        self.note(|| format!("group {id}"));
        let rang = group::ring(self, id, group, after, diversions);
        let Some(number) = &group.otherwise else { return rang };
        let after = match rang {
            Ok(stage) => Some(After { stage, on: Outcomes::ALL }),
            Err(_) => after,
        };
        self.note(|| format!("when nobody of {id} answers: {}", number.escape_debug()));
        let caller = self.question.caller;
        match (self.dial(number.as_bytes(), caller, after, diversions), rang) {
            (Ok(last), _) | (Err(_), Ok(last)) => Ok(last),
            (Err(refused), Err(_)) => Err(refused),
        }
    }

    /// The setting that was dialled, if the caller may set it so.
    fn setting(&mut self, dialled: Dialled<'a>) -> Result<super::Setting, Refused> {
        let Caller::User(caller) = self.question.caller else { return Err(Refused::NotAllowed) };
        if let Dialled::Forward { to, .. } = dialled
            && !to.is_empty()
        {
            self.may_forward(caller, to)?;
        }
        match dialled.setting(self.question.domain) {
            Ok(Some(setting)) => Ok(setting),
            Ok(None) | Err(_) => Err(Refused::BadSetting),
        }
    }

    /// Whether a user's calls may be sent on to a number: one that the user itself could call.
    fn may_forward(&mut self, user: &'a str, to: &str) -> Result<(), Refused> {
        if self.question.domain.user_of(to.as_bytes()).is_some_and(|(id, _)| id == user) {
            return Err(Refused::Loop);
        }
        let checked = self.dial(to.as_bytes(), Caller::User(user), None, &[]);
        self.stages.clear();
        self.turns.clear();
        match checked {
            Ok(_)
            | Err(
                Refused::DoNotDisturb
                | Refused::Nobody
                | Refused::Full
                | Refused::Dead
                | Refused::Rejected(_)
                | Refused::Busy
                | Refused::Anonymous,
            ) => Ok(()),
            Err(
                refused
                @ (Refused::UnknownNumber | Refused::NotAllowed | Refused::Loop | Refused::BadSetting),
            ) => Err(refused),
        }
    }
}
