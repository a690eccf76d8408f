//! Call back: who has found somebody busy, or has had no answer, dials a code, and is called when that one's line becomes free; who answers then
//! calls it (completion of calls to a busy subscriber and on no reply, ETSI ETS 300 357 and 301 134, in their plain form).
//!
//! A wish waits until the other one is in no call, which it was in since the wish began, or when the call came to nothing because it was
//! busy; and until its own user is in no call. Then the user's phones ring once ([`RINGS`]), with the other one's name and number and
//! `Alert-Info: <urn:alert:service:recall:callback>` (RFC 7462 §9.2). If it is not taken the wish waits for the next time. It ends when it is
//! taken back, after [`LASTS`], or with the switch: wishes are not stored.
//!
//! Bounds: [`OF_ONE`] wishes of a user and [`OF_ALL`] together, more are refused; the last call that came to nothing is known of [`OF_ALL`]
//! users, the oldest is forgotten. Left out on purpose: numbers behind peers, whose lines nobody sees, and calls that pass through as by a
//! proxy. Who is `hidden` is nobody's to be told that it is free.

use super::call::{Call, CallId, Destination, Ending};
use super::calls::Calls;
use super::led::{self, count};
use super::originate::Beginning;
use super::program::Phones;
use super::seats::subject_key;
use super::serve::Served;
use super::setup;
use crate::config::{DomainId, Service, Sounds};
use crate::core::command::{CommandId, Refused};
use crate::core::environment::Environment;
use crate::core::{CallingBack, Event, Refusal};
use crate::registrar::Registrar;
use crate::routing::Caller;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::Status;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a wish lasts.
const LASTS: Duration = Duration::from_secs(45 * 60);
/// How long a call that came to nothing can be named by the code.
const KNOWN: Duration = Duration::from_secs(10 * 60);
/// After the line has become free: its user may want to make a call.
const REST: Duration = Duration::from_secs(2);
/// How long the user's phones ring, in seconds.
const RINGS: u32 = 20;
/// Wishes of one user.
const OF_ONE: usize = 5;
/// Of all.
const OF_ALL: usize = 4_096;

/// A user and another one whom it wants to talk with.
type Pair = (DomainId, Box<str>, Box<str>);

/// All wishes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CallBacks {
    wishes: BTreeMap<Pair, Wish>,
    /// The last call of a user that came to nothing.
    failed: BTreeMap<(DomainId, Box<str>), Failed>,
    /// Somebody may be free: it is looked at then.
    look: Option<Time>,
}

/// A wish.
#[derive(Debug, Serialize, Deserialize)]
struct Wish {
    until: Time,
    /// Who is waited for, and for whom, by [`subject_key`].
    of: u128,
    by: u128,
    /// The line has become free since the user was called last.
    is_free: bool,
    /// The call in which the user's phones ring.
    rings: Option<CallId>,
    command: Option<CommandId>,
}

/// A call that came to nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    number: Box<str>,
    at: Time,
    was_busy: bool,
}

/// What the codes ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    On,
    Off,
}

fn code_of(env: &Environment, domain: DomainId, number: &[u8]) -> Option<Code> {
    let features = &env.config.call_features;
    let is = |code: &str| !code.is_empty() && number == code.as_bytes();
    let is_free = env.domain(domain).is_some_and(|domain| !domain.knows(number));
    match () {
        () if !is_free => None,
        () if is(&features.call_back) => Some(Code::On),
        () if is(&features.call_back_off) => Some(Code::Off),
        () => None,
    }
}

impl Call {
    /// A call that ends without an answer, by whom it was for: the number, and whether that one was busy.
    fn came_to_nothing(&self, env: &Environment) -> Option<(Box<str>, bool)> {
        // Once: its ports are closed later, and the code may have been dialled meanwhile.
        let ends_now = |ending: &Ending| ending.at == env.now && self.answered.is_none();
        let ending = self.ending.filter(|ending| ends_now(ending) && !self.caller_leg.is_peer)?;
        let is_known = env.domain(self.domain)?.user(&self.callee).is_some_and(|(_, user)| !user.hidden);
        let was_busy = matches!(ending.status, Status::BUSY_HERE | Status::BUSY_EVERYWHERE);
        let rang = matches!(
            ending.status,
            Status::TEMPORARILY_UNAVAILABLE | Status::REQUEST_TIMEOUT | Status::REQUEST_TERMINATED
        );
        let counts = is_known && self.destination.peer.is_none() && !self.is_summoning();
        (counts && (was_busy || rang)).then(|| (String::from_utf8_lossy(&self.callee).into(), was_busy))
    }
}

impl CallBacks {
    fn of_user(&self, domain: DomainId, user: &str) -> usize {
        self.wishes.keys().filter(|(id, by, _)| *id == domain && **by == *user).count()
    }

    /// When something has to be done.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.wishes.values().map(|wish| wish.until).chain(self.look).min()
    }

    /// A subject is in no call any more.
    pub(super) fn note_free(&mut self, subject: u128, now: Time) {
        for wish in self.wishes.values_mut().filter(|wish| wish.of == subject || wish.by == subject) {
            wish.is_free |= wish.of == subject && wish.rings.is_none();
            self.look = Some(now + REST);
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }
}

impl Calls {
    /// The codes that begin and end a wish: what the caller hears.
    pub(super) fn call_back_dialled(
        &self,
        env: &Environment,
        (domain, user): (DomainId, &str),
        number: &Bytes,
    ) -> Result<Option<Destination>, setup::Refused> {
        let Some(code) = code_of(env, domain, number) else { return Ok(None) };
        let is_there = match code {
            Code::On => self.failed_of(env, domain, user).is_some(),
            Code::Off => self.call_backs.of_user(domain, user) > 0,
        };
        if !is_there {
            return Err(setup::Refused::told(Status::NOT_FOUND, Refusal::NothingToCallBack));
        }
        if code == Code::On && !self.may_wish(domain, user) {
            return Err(setup::Refused::told(Status::BUSY_HERE, Refusal::TooManyCalls));
        }
        let language = led::language(env, domain, user);
        let languages = [&*language, &*env.config.prompts.language, "en"];
        let prompts: &[&str] =
            if code == Code::On { &["ivr/thank-you", "ivr/goodbye"] } else { &["ivr/goodbye"] };
        let file = |prompt: &&str| languages.iter().find_map(|language| env.library.file(language, prompt));
        let files: Vec<Arc<str>> = prompts.iter().filter_map(file).collect();
        let service = match files.is_empty() {
            true => Service::Milliwatt,
            false => Service::Play { sound: Sounds { path: "".into(), files, line: 0 } },
        };
        Ok(Some(Destination { service: Some(Served::new(service)), ..Destination::nobody(number) }))
    }

    /// A call to a code was accepted.
    pub(super) fn carry_out_call_back(
        &mut self,
        env: &mut Environment,
        (domain, user): (DomainId, &str),
        number: &[u8],
    ) {
        match code_of(env, domain, number) {
            Some(Code::On) => {
                let failed =
                    self.failed_of(env, domain, user).map(|failed| (failed.number.clone(), failed.was_busy));
                if let Some((of, was_busy)) = failed {
                    self.call_backs.failed.remove(&(domain, user.into()));
                    self.wish(env, (domain, user, &of), was_busy);
                }
            }
            Some(Code::Off) => {
                let own = |(id, by, _): &&Pair| *id == domain && **by == *user;
                let pairs: Vec<Pair> = self.call_backs.wishes.keys().filter(own).cloned().collect();
                pairs.iter().for_each(|pair| self.end_wish(env, pair, CallingBack::Cancelled));
            }
            None => {}
        }
    }

    /// A command begins or ends a wish.
    pub(crate) fn call_back(
        &mut self,
        env: &mut Environment,
        (domain, user): (DomainId, &str),
        of: &str,
        on: bool,
    ) -> Result<(), Refused> {
        let known = env.domain(domain).and_then(|domain| domain.user_of(of.as_bytes()));
        let (name, _) = known.filter(|(_, user)| !user.hidden).ok_or(Refused::UnknownNumber)?;
        let name: Box<str> = (*name).into();
        let pair = (domain, user.into(), name.clone());
        if !on {
            self.call_backs.wishes.contains_key(&pair).then_some(()).ok_or(Refused::WrongState)?;
            self.end_wish(env, &pair, CallingBack::Cancelled);
            return Ok(());
        }
        if *name == *user {
            return Err(Refused::WrongState);
        }
        if !self.may_wish(domain, user) {
            return Err(Refused::TooMany);
        }
        self.wish(env, (domain, user, &name), true);
        Ok(())
    }

    fn may_wish(&self, domain: DomainId, user: &str) -> bool {
        self.call_backs.of_user(domain, user) < OF_ONE && self.call_backs.wishes.len() < OF_ALL
    }

    fn failed_of(&self, env: &Environment, domain: DomainId, user: &str) -> Option<&Failed> {
        let failed = self.call_backs.failed.get(&(domain, user.into()))?;
        Some(failed).filter(|failed| failed.at + KNOWN > env.now)
    }

    fn wish(&mut self, env: &mut Environment, (domain, user, of): (DomainId, &str, &str), was_busy: bool) {
        // By its name: it may have been called by another number of its own.
        let name = env
            .domain(domain)
            .and_then(|domain| domain.user_of(of.as_bytes()))
            .map(|(name, _)| (*name).into());
        let name: Box<str> = name.unwrap_or_else(|| of.into());
        // Its phones may ring for it already.
        if let Some(known) = self.call_backs.wishes.get_mut(&(domain, user.into(), name.clone())) {
            known.until = env.now + LASTS;
            return;
        }
        let key = |name: &str| subject_key(env.endpoint.hasher(), domain, name);
        let wish = Wish {
            until: env.now + LASTS,
            of: key(&name),
            by: key(user),
            is_free: was_busy && !self.is_seated(key(&name)),
            rings: None,
            command: env.command(),
        };
        let pair = (domain, user.into(), name);
        tell(env, &pair, wish.command, CallingBack::Wanted);
        self.call_backs.look = Some(env.now + REST);
        self.call_backs.wishes.insert(pair, wish);
    }

    fn end_wish(&mut self, env: &mut Environment, pair: &Pair, how: CallingBack) {
        let Some(wish) = self.call_backs.wishes.remove(pair) else { return };
        tell(env, pair, wish.command, how);
        if let Some(call) = wish.rings.filter(|_| how == CallingBack::Cancelled) {
            self.end(env, call, Status::REQUEST_TERMINATED);
        }
    }

    /// Looks whose line has become free.
    pub(super) fn attend_call_backs(&mut self, env: &mut Environment, registrar: &Registrar) {
        let now = env.now;
        let late =
            self.call_backs.wishes.iter().filter(|(_, wish)| wish.until <= now && wish.rings.is_none());
        let late: Vec<Pair> = late.map(|(pair, _)| pair.clone()).collect();
        late.iter().for_each(|pair| self.end_wish(env, pair, CallingBack::Expired));
        // One whose phones ring has the time until they are done.
        for wish in self.call_backs.wishes.values_mut().filter(|wish| wish.until <= now) {
            wish.until = now + Duration::from_secs(RINGS.into());
        }
        if self.call_backs.look.is_none_or(|look| look > now) {
            return;
        }
        self.call_backs.look = None;
        if env.stopping {
            return;
        }
        let ready = |wish: &Wish| {
            wish.is_free && wish.rings.is_none() && !self.is_seated(wish.of) && !self.is_seated(wish.by)
        };
        let due: Vec<Pair> = self
            .call_backs
            .wishes
            .iter()
            .filter(|(_, wish)| ready(wish))
            .map(|(pair, _)| pair.clone())
            .collect();
        let mut asked = Vec::new();
        for pair in due {
            // One line that is free is for one of those who wait, and one phone rings for one wish.
            if asked.contains(&pair.1) || asked.contains(&pair.2) {
                continue;
            }
            let rings = self.ring_for(env, registrar, &pair);
            if let Some(wish) = self.call_backs.wishes.get_mut(&pair) {
                (wish.is_free, wish.rings) = (false, rings);
                let command = wish.command;
                if rings.is_some() {
                    tell(env, &pair, command, CallingBack::Rings);
                    asked.extend([pair.1, pair.2]);
                }
            }
        }
    }

    fn ring_for(&mut self, env: &mut Environment, registrar: &Registrar, pair: &Pair) -> Option<CallId> {
        let (domain, user, of) = pair;
        if self.table.len() >= env.config.limits.calls as usize {
            return None;
        }
        let number = Bytes::copy_from_slice(of.as_bytes());
        let phones = Phones { domain: *domain, user, device: None, answer: false };
        let found = phones.find(env, registrar, None).ok()?;
        let next = self.lead_as(env, registrar, *domain, user, &number).ok()?;
        let counted = count(env, *domain, Caller::User(user), &next).ok()?;
        let first = led::Led::uncounted(Destination { ring_s: RINGS, ..found });
        let beginning = Beginning {
            domain: *domain,
            user: user.clone(),
            first,
            number,
            next,
            counted: counted.into_iter().collect(),
            caller_id: None,
            variables: Default::default(),
            recalls: true,
        };
        self.begin_here(env, beginning)
    }

    /// Sees to wishes after something has happened to a call.
    pub(super) fn attend_wish(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get(id) else { return };
        let is_over = call.ending.is_some();
        if let (true, Some((number, was_busy))) = (is_over, call.came_to_nothing(env)) {
            let at = env.now;
            let key = (call.domain, call.caller.clone());
            let failed = &mut self.call_backs.failed;
            if failed.len() >= OF_ALL && !failed.contains_key(&key) {
                let oldest = failed.iter().min_by_key(|(_, failed)| failed.at).map(|(key, _)| key.clone());
                oldest.map(|key| failed.remove(&key));
            }
            failed.insert(key, Failed { number, at, was_busy });
        }
        if self.call_backs.is_empty() || !call.program.is_originated() {
            return;
        }
        let is_taken = !call.is_summoning();
        let rings = self.call_backs.wishes.iter_mut().find(|(_, wish)| wish.rings == Some(id));
        let Some((pair, wish)) = rings else { return };
        if is_taken {
            let pair = pair.clone();
            wish.rings = None;
            self.end_wish(env, &pair, CallingBack::Taken);
        } else if is_over {
            // It waits until the line becomes free again; others who wait for it have their turn.
            wish.rings = None;
            self.call_backs.look = Some(env.now + REST);
        }
    }
}

fn tell(env: &mut Environment, (domain, user, of): &Pair, command: Option<CommandId>, how: CallingBack) {
    let Some(domain) = env.domain(*domain).map(|domain| domain.name.clone()) else { return };
    let event = Event::CallBack { domain, user: user.clone(), of: of.clone(), how };
    env.event_of(env.command().or(command), event);
}
