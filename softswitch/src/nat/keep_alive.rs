//! Keeps the way to phones behind translators open: an OPTIONS to each, again and again (RFC 3261 §11).
//!
//! OPTIONS and not CRLF (RFC 5626 §4.4.1), because a translator need not count what comes from outside as a sign of
//! life (RFC 4787 REQ-6): only the phone's answer surely keeps the way open, and it tells that the phone lives.
//! Any final answer does, whatever its status.
//!
//! There is no timer per phone. A round takes `keep_alive_s`, less up to a fifth by draw, and goes over the registrar's
//! table in steps, a few slots each; how many is planned anew at each step, because the table grows meanwhile. Bounds:
//! [`PER_STEP`] slots a step and [`WAITING`] open questions; beyond the first a round takes longer, beyond the second
//! phones are passed over until the next round.
//!
//! Left out on purpose: ending a binding whose phone is silent. It may be reachable again before the binding expires.

use super::is_translated;
use crate::config::Nat;
use crate::core::Event;
use crate::core::environment::{Environment, sign_request};
use crate::registrar::{AddressOfRecord, Binding, Registrar};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint::{self, Heading};
use sip_stack::message::{Method, Status};
use sip_stack::transaction::TransactionId;
use sip_stack::transport::Transport;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A step while many slots are left, and while few are: a small switch need not wake ten times a second.
const STEP: Duration = Duration::from_millis(100);
const LONG_STEP: Duration = Duration::from_secs(1);
/// So many slots are few.
const FEW: usize = 50;
/// Slots of the registrar looked at in one step: 5,000 a second.
const PER_STEP: usize = 500;
/// Questions open at a time; a dead phone keeps one open for half a minute.
const WAITING: usize = 10_000;
/// So many unanswered questions in a row are an [`Event::Unreachable`].
const MISSES: u32 = 3;

/// The rounds over the registrar's table.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeepAlives {
    /// When the next step is due; `None` while nobody is registered.
    next: Option<Time>,
    /// Slots that the next step looks at, and where it begins.
    slots: usize,
    place: usize,
    round: u64,
    round_ends: Time,
    waiting: BTreeMap<TransactionId, Question>,
    /// Phones that are being asked, or did not answer the last time.
    phones: BTreeMap<u128, Phone>,
}

/// Whom an OPTIONS went to.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    phone: u128,
    domain: Arc<str>,
    user: Arc<str>,
    contact: Bytes,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Phone {
    asked: bool,
    misses: u32,
    /// The last round that came by.
    round: u64,
}

impl KeepAlives {
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    /// Phones that are being asked, or did not answer the last time.
    pub(crate) fn phones(&self) -> usize {
        self.phones.len().max(self.waiting.len())
    }

    /// Begins the rounds when the first phone has registered.
    pub(crate) fn schedule(&mut self, env: &mut Environment, registrar: &Registrar) {
        if self.next.is_none() && !env.stopping && !registrar.table.is_empty() {
            self.begin_round(env, registrar);
        }
    }

    /// Does the step that is due.
    pub(crate) fn handle_timeout(&mut self, env: &mut Environment, registrar: &Registrar) {
        if self.next.is_none_or(|next| next > env.now) {
            return;
        }
        if env.stopping || registrar.table.is_empty() {
            self.next = None;
            self.phones.retain(|_, phone| phone.asked);
            return;
        }
        let end = self.place.saturating_add(self.slots).min(registrar.table.slots());
        for place in self.place..end {
            let Some((_, aor)) = registrar.table.at(place) else { continue };
            for binding in &aor.bindings {
                self.visit(env, aor, binding);
            }
        }
        self.place = end;
        if end >= registrar.table.slots() && self.round_ends <= env.now {
            self.begin_round(env, registrar);
        } else {
            self.plan_step(env.now, registrar);
        }
    }

    /// What is left of the table, spread over what is left of the round.
    fn plan_step(&mut self, now: Time, registrar: &Registrar) {
        let slots = registrar.table.slots().saturating_sub(self.place);
        let step = if slots > FEW { STEP } else { LONG_STEP };
        let steps = self.round_ends.since(now).as_millis() / step.as_millis();
        self.slots = slots.div_ceil(usize::try_from(steps).unwrap_or(usize::MAX).max(1)).min(PER_STEP);
        self.next = Some(now + step);
    }

    fn begin_round(&mut self, env: &mut Environment, registrar: &Registrar) {
        self.round += 1;
        self.place = 0;
        // Whoever the last round did not meet is no longer registered.
        let round = self.round;
        self.phones.retain(|_, phone| phone.asked || phone.round + 1 >= round);
        let share = 80 + env.endpoint.random().next_u64() % 21;
        let period = Duration::from_millis(u64::from(env.config.keep_alive_s) * 10 * share);
        self.round_ends = env.now + period;
        self.plan_step(env.now, registrar);
    }

    fn visit(&mut self, env: &mut Environment, aor: &AddressOfRecord, binding: &Binding) {
        let Some(domain) = env.domain(aor.domain) else { return };
        let wanted = domain.nat == Nat::Auto
            && binding.flow.transport == Transport::Udp
            // A proxy keeps the way to its phones open, and a phone with outbound its own (RFC 5626 §4.4).
            && binding.path.is_empty()
            && binding.reg_id.is_none()
            && is_translated(binding.flow, &binding.contact);
        if !wanted {
            return;
        }
        let domain = domain.name.clone();
        let key = env.endpoint.hasher().hash(&[
            b"keep alive",
            &aor.domain.0.to_be_bytes(),
            aor.user.as_bytes(),
            &binding.contact,
        ]);
        let round = self.round;
        if let Some(phone) = self.phones.get_mut(&key) {
            phone.round = round;
            if phone.asked {
                return;
            }
        }
        if self.waiting.len() >= WAITING {
            return;
        }
        let transaction = ask(env, aor, binding);
        let phone = self.phones.entry(key).or_default();
        (phone.asked, phone.round) = (true, round);
        let (user, contact) = (aor.user.clone(), binding.contact.clone());
        self.waiting.insert(transaction, Question { phone: key, domain, user, contact });
    }

    /// Takes what happened to a question. Returns whether it was one of ours.
    pub(crate) fn handle_event(&mut self, env: &mut Environment, event: &endpoint::Event) -> bool {
        match event {
            endpoint::Event::Response { transaction, response, .. } => {
                if !self.waiting.contains_key(transaction) {
                    return false;
                }
                if response.status().is_some_and(Status::is_final)
                    && let Some(question) = self.waiting.remove(transaction)
                {
                    self.phones.remove(&question.phone);
                }
                true
            }
            endpoint::Event::TimedOut { transaction, .. }
            | endpoint::Event::TransportFailed { transaction, .. } => {
                let Some(question) = self.waiting.remove(transaction) else { return false };
                self.on_miss(env, question);
                true
            }
            endpoint::Event::Request(_)
            | endpoint::Event::Passing(_)
            | endpoint::Event::Cancelled { .. }
            | endpoint::Event::Acknowledged { .. }
            | endpoint::Event::Unacknowledged { .. } => false,
        }
    }

    fn on_miss(&mut self, env: &mut Environment, question: Question) {
        let Question { phone, domain, user, contact } = question;
        // Nobody is registered any more.
        if self.next.is_none() {
            self.phones.remove(&phone);
            return;
        }
        let phone = self.phones.entry(phone).or_default();
        phone.asked = false;
        phone.misses = phone.misses.saturating_add(1);
        if phone.misses == MISSES {
            env.event(Event::Unreachable { domain, user, contact });
        }
    }
}

/// Sends an OPTIONS on the flow that the REGISTER came in.
fn ask(env: &mut Environment, aor: &AddressOfRecord, binding: &Binding) -> TransactionId {
    let sent_by = env.sent_by(&binding.flow);
    let host = env.uri_host(aor.domain, &binding.flow);
    let heading = Heading {
        method: Method::Options,
        uri: &binding.contact,
        from: &[b"<sip:", &host[..], b">"].concat(),
        to: &[b"<", &binding.contact[..], b">"].concat(),
        sent_by: &sent_by,
        max_forwards: 70,
        sequence: None,
    };
    let mut draft = env.endpoint.draft(heading, binding.flow);
    sign_request(&mut draft.writer);
    env.endpoint.request(env.now, draft, 0)
}
