//! Calls that pass through the switch as through a proxy (RFC 3261 §16): one dialog between the parties, whose media go their own
//! way. Who may call, who is meant and where those phones are the switch decides as for other calls; what follows in the dialog passes
//! by the Record-Route of the first request, REFER and INVITE with Replaces included.
//!
//! The switch keeps a record of each call. It sees the 2xx, each request and each answer that passes, and so the BYE. Of a dialog that
//! ends unseen it knows by time alone: `call` says when. A request passes only while its call is known (`passing`).
//!
//! Left out on purpose: peers that are given by name or reached over TLS (the configuration refuses them), our own assertion of who
//! calls (RFC 3325 §5), the wishes of Request-Disposition (RFC 3841), records that outlive a restart (their dialogs do: `passing`).

mod admit;
mod call;
mod passing;
mod seats;

pub(crate) use admit::{Called, is_refused};
use call::{Call, End};

use crate::call::{Place, SeatNews};
use crate::core::Event;
use crate::core::command::CallView;
use crate::core::environment::Environment;
use crate::registrar::Registrar;
use crate::store::EndedBy;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint;
use sip_stack::message::{Message, Status};
use sip_stack::proxy::{self, Proxy};
use sip_stack::table::{Id, KeyIndex, LoadError, Table};
use sip_stack::transaction::{KeyHasher, TimerQueue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Calls of one user at once: more than phones have lines, and few enough that one account does not fill the switch.
const CALLS_OF_USER: u32 = 64;

/// Calls that are over and still known; those that end beyond are forgotten at once.
const ENDED: usize = 65_536;

/// Every such call. Their bound is that of all calls (`limits.calls`).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Proxied {
    proxy: Proxy,
    calls: Table<Call>,
    /// By Call-ID and the caller's tag: the answer may come from several phones.
    #[serde(skip)]
    index: KeyIndex<Call>,
    timers: TimerQueue<Call>,
    /// Calls that are over and still known.
    #[serde(skip)]
    ended: usize,
    /// How many of the others each caller has, by a key of its name.
    #[serde(skip)]
    of_callers: BTreeMap<u128, u32>,
    /// Who takes part in them, for those who watch it.
    #[serde(skip)]
    seats: BTreeSet<(u128, Id<Call>, Place)>,
    is_watched: bool,
    /// The stamp of the moment in which this run began.
    began: Option<u32>,
    #[serde(skip)]
    news: Vec<SeatNews>,
}

impl Proxied {
    /// It is known what time it is.
    pub(crate) fn begin(&mut self, env: &Environment) {
        self.began.get_or_insert(stamp(env));
    }

    /// The calls as they are listed, each with its place.
    pub(crate) fn views(&self, env: &Environment) -> impl Iterator<Item = (u64, CallView)> {
        let live = self.calls.iter().filter(|(_, call)| call.is_live());
        live.map(|(id, call)| (id.as_u64() & u64::from(u32::MAX), call.view(env)))
    }

    /// Calls that are up or ring.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len() - self.ended
    }

    /// Requests that are being forwarded, or were a moment ago.
    pub(crate) fn contexts(&self) -> usize {
        self.proxy.contexts()
    }

    /// Takes an event of the endpoint. Returns whether it was about a forwarded request.
    pub(crate) fn handle_event(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        event: &endpoint::Event,
    ) -> bool {
        if let endpoint::Event::Passing(passing) = event {
            self.on_passing(env, registrar, passing);
            return true;
        }
        let taken = self.proxy.handle_event(env.now, &mut env.endpoint, event);
        if taken {
            self.drain(env);
        }
        taken
    }

    /// Fires every timer that is due.
    pub(crate) fn handle_timeout(&mut self, env: &mut Environment) {
        self.proxy.handle_timeout(env.now, &mut env.endpoint);
        self.drain(env);
        while let Some((armed, id)) = self.timers.pop_due(env.now) {
            let Some(call) = self.calls.get_mut(id).filter(|call| call.armed == Some(armed)) else {
                continue;
            };
            call.armed = None;
            if !call.is_live() {
                if call.poll_timeout().is_some_and(|due| due <= env.now) {
                    self.forget(env, id);
                } else {
                    self.arm(id);
                }
            } else if let Some(side) = call.expire_bye(env.now) {
                self.end(env, id, End { status: Status::OK, by: side.ended_by() });
            } else if call.is_silent(env.now) {
                self.end(env, id, End { status: Status::REQUEST_TIMEOUT, by: EndedBy::Switch });
            } else {
                self.arm(id);
            }
        }
    }

    /// When [`Proxied::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        [self.proxy.poll_timeout(), self.timers.poll_timeout()].into_iter().flatten().min()
    }

    /// The store has nothing: it is given every call that is up.
    pub(crate) fn keep_all(&self, env: &mut Environment) {
        for (_, call) in self.calls.iter().filter(|(_, call)| call.is_live()) {
            call.keep(env);
        }
    }

    /// The switch stops: what rings is given up, and what is talked about goes on without a record of its end.
    pub(crate) fn shut_down(&mut self, env: &mut Environment) {
        self.proxy.cancel_all(env.now, &mut env.endpoint);
        self.drain(env);
        let answered = self.calls.iter().filter(|(_, call)| call.is_live() && call.answered.is_some());
        let answered: Vec<_> = answered.map(|(id, _)| id).collect();
        for id in answered {
            self.end(env, id, End { status: Status::OK, by: EndedBy::Switch });
        }
    }

    /// Hears what became of requests.
    fn drain(&mut self, env: &mut Environment) {
        while let Some(event) = self.proxy.poll_event() {
            match event {
                proxy::Event::Rings { owner } => {
                    let id = Id::from_u64(owner);
                    if let Some(call) = self.calls.get_mut(id).filter(|call| !call.rings) {
                        call.rings = true;
                        self.attend_seats(env, id);
                    }
                }
                proxy::Event::Answered { owner, response } => {
                    self.on_answer(env, Id::from_u64(owner), &response)
                }
                proxy::Event::Failed { owner, status } => {
                    let by = match status {
                        Status::REQUEST_TERMINATED => EndedBy::Caller,
                        Status::REQUEST_TIMEOUT => EndedBy::Switch,
                        _ => EndedBy::Callee,
                    };
                    let id = Id::from_u64(owner);
                    if self.calls.get(id).is_some_and(|call| call.is_live() && call.answered.is_none()) {
                        self.end(env, id, End { status, by });
                    }
                }
            }
        }
    }

    fn on_answer(&mut self, env: &mut Environment, id: Id<Call>, response: &Message) {
        let now = env.now;
        let Some(call) = self.calls.get_mut(id).filter(|call| call.is_live()) else { return };
        let is_first = call.answered.is_none();
        call.on_answer(now, response);
        if is_first {
            let after_ms = u64::try_from(now.since(call.started).as_millis()).unwrap_or(u64::MAX);
            let named = env.call_ref(call.number);
            env.event(Event::CallAnswered { call: named, after_ms });
            call.keep(env);
        }
        self.attend_seats(env, id);
        self.arm(id);
    }

    /// The call of that Call-ID and caller's tag, up or over.
    fn known(&self, hasher: &KeyHasher, call_id: &[u8], caller_tag: &[u8]) -> Option<Id<Call>> {
        self.index.get(key(hasher, call_id, caller_tag))
    }

    /// Whether a caller has as many calls as one may have.
    fn has_enough(&self, hasher: &KeyHasher, domain: &str, caller: &str) -> bool {
        self.of_callers.get(&caller_key(hasher, domain, caller)).is_some_and(|calls| *calls >= CALLS_OF_USER)
    }

    fn insert(&mut self, env: &mut Environment, call: Call) -> Id<Call> {
        let hasher = env.endpoint.hasher();
        let key = call.key(hasher);
        *self.of_callers.entry(call.caller_key(hasher)).or_default() += 1;
        // After a refusal the caller may ask again under the same names (RFC 3261 §8.1.3.5).
        if let Some(over) = self.index.get(key) {
            self.forget(env, over);
        }
        let (number, domain) = (call.number, call.domain.clone());
        let (caller, callee) = (Bytes::copy_from_slice(call.caller.as_bytes()), call.callee.clone());
        let named = env.call_ref(number);
        env.event(Event::CallStarted { call: named, domain, caller, callee });
        call.keep(env);
        let id = self.calls.insert(call);
        self.index.insert(key, id);
        self.attend_seats(env, id);
        id
    }

    /// The call is over, or given up for over: its record is written. It is known a while longer.
    fn end(&mut self, env: &mut Environment, id: Id<Call>, end: End) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.is_live()) else { return };
        call.forget_at = Some(env.now + env.endpoint.transaction_time());
        call.byes.clear();
        call.write_record(env, end);
        call.end = Some(end);
        for who in core::mem::take(&mut call.counted) {
            env.routing.usage.end(&who);
        }
        let caller = call.caller_key(env.endpoint.hasher());
        if let Some(calls) = self.of_callers.get_mut(&caller) {
            *calls -= 1;
            if *calls == 0 {
                self.of_callers.remove(&caller);
            }
        }
        self.attend_seats(env, id);
        self.ended += 1;
        if self.ended > ENDED {
            self.forget(env, id);
        } else {
            self.arm(id);
        }
    }

    /// Forgets a call that is over.
    fn forget(&mut self, env: &Environment, id: Id<Call>) {
        if let Some(call) = self.calls.remove(id) {
            self.index.remove(call.key(env.endpoint.hasher()), id);
            self.ended -= usize::from(!call.is_live());
        }
    }

    fn arm(&mut self, id: Id<Call>) {
        let Some(due) = self.calls.get(id).and_then(Call::poll_timeout) else { return };
        // An earlier entry stays: it finds nothing to do and arms anew.
        if self.calls.get(id).is_some_and(|call| call.armed.is_none_or(|armed| armed.at > due)) {
            let armed = self.timers.arm(due, id);
            if let Some(call) = self.calls.get_mut(id) {
                call.armed = Some(armed);
            }
        }
    }

    /// Begins a snapshot of this moment.
    pub(crate) fn snapshot(&mut self) {
        self.proxy.snapshot();
        self.calls.snapshot();
    }

    /// Appends up to `slots` slots of each table to its own buffer; returns whether any remain.
    pub(crate) fn slice(&mut self, slots: usize, contexts: &mut Vec<u8>, calls: &mut Vec<u8>) -> bool {
        let more = self.proxy.slice(slots, contexts);
        self.calls.slice(slots, calls) || more
    }

    pub(crate) fn load(&mut self, contexts: &[u8], calls: &[u8]) -> Result<(), LoadError> {
        self.proxy.load(contexts)?;
        self.calls.load(calls)
    }

    pub(crate) fn rebuild(&mut self, hasher: &KeyHasher) {
        self.proxy.rebuild();
        self.rebuild_seats();
        for (id, call) in self.calls.iter() {
            self.index.insert(call.key(hasher), id);
            if call.is_live() {
                *self.of_callers.entry(call.caller_key(hasher)).or_default() += 1;
            } else {
                self.ended += 1;
            }
            if let Some(armed) = call.armed {
                self.timers.restore(armed, id);
            }
        }
    }
}

/// The moment in Unix seconds, as routes carry it.
fn stamp(env: &Environment) -> u32 {
    u32::try_from(env.unix_ms(env.now) / 1_000).unwrap_or(u32::MAX)
}

fn key(hasher: &KeyHasher, call_id: &[u8], caller_tag: &[u8]) -> u128 {
    hasher.hash(&[b"proxied call", call_id, caller_tag])
}

fn caller_key(hasher: &KeyHasher, domain: &str, caller: &str) -> u128 {
    hasher.hash(&[b"caller of proxied calls", domain.as_bytes(), caller.as_bytes()])
}

/// The name of a domain, empty once it is gone.
fn domain_name(env: &Environment, id: crate::config::DomainId) -> Arc<str> {
    env.domain(id).map_or_else(Arc::default, |domain| domain.name.clone())
}
