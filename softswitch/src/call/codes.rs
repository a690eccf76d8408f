//! Numbers that are codes: the slot of a parked call, the pickup of what rings elsewhere, and taking one's own call over to another of
//! one's phones (`[features]`).
//!
//! Whoever dials one takes a place in a call that there is, as by an INVITE with Replaces (`takeover`, `pickup`). A user, a group
//! or a route of the domain with that number, a number of emergency, and a code of one's settings go before it.
//!
//! A user may pick up what rings at its own phones, at those of users in a group of its own, and by directed pickup at
//! those whose calls it may watch; calls to hidden users ring for them alone. Of several the call that rings longest is taken.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::seats::{Place, subject_key};
use super::setup::Refused;
use super::takeover::Replaced;
use crate::config::{Domain, DomainId, User};
use crate::core::Refusal;
use crate::core::environment::Environment;
use bytes::Bytes;
use sip_stack::message::Status;

impl Calls {
    /// The place that a caller takes by dialling a code, if the number is one.
    pub(super) fn dialled_code(
        &self,
        env: &Environment,
        id: DomainId,
        caller: &str,
        number: &Bytes,
    ) -> Result<Option<Replaced>, Refused> {
        let is_setting = env.config.features.read(number).is_some();
        let Some(domain) = env.domain(id).filter(|domain| !is_setting && !domain.knows(number)) else {
            return Ok(None);
        };
        if let Some(parked) = self.parked_under(env, id, number) {
            return Ok(Some(parked));
        }
        let features = &env.config.call_features;
        if !features.take_over.is_empty() && number == features.take_over.as_bytes() {
            let own = self.own_call(env, id, caller);
            return own.map(Some).ok_or(Refused::told(Status::NOT_FOUND, Refusal::NothingToPickUp));
        }
        let (group, directed) = (features.pickup_group.as_bytes(), features.pickup.as_bytes());
        let rings = if !group.is_empty() && number == group {
            self.rings_in_group(env, (id, domain), caller)
        } else if let Some(callee) = number.strip_prefix(directed).filter(|_| !directed.is_empty()) {
            let callee =
                domain.user_of(callee).filter(|(name, user)| may_pick_up(domain, caller, (name, user)));
            callee.and_then(|(name, _)| self.rings_at(env, id, name))
        } else {
            return Ok(None);
        };
        let call = rings.ok_or(Refused::told(Status::NOT_FOUND, Refusal::NothingToPickUp))?;
        Ok(Some(Replaced { call, side: Side::Callee }))
    }

    /// The place of a user in its call that is up; in the one that began last.
    fn own_call(&self, env: &Environment, domain: DomainId, user: &str) -> Option<Replaced> {
        let subject = subject_key(env.endpoint.hasher(), domain, user);
        let at = |place, side| self.calls_of(subject, place).map(move |(id, call)| (id, call, side));
        let own = at(Place::Caller, Side::Caller).chain(at(Place::Callee, Side::Callee));
        let up =
            own.filter(|(_, call, _)| matches!(call.phase, Phase::Talking { .. }) && call.ending.is_none());
        up.max_by_key(|(_, call, _)| call.started).map(|(call, _, side)| Replaced { call, side })
    }

    fn rings_in_group(
        &self,
        env: &Environment,
        (id, domain): (DomainId, &Domain),
        caller: &str,
    ) -> Option<CallId> {
        let own = domain.users.get(caller)?;
        let others = domain
            .users
            .iter()
            .filter(|(name, user)| ***name == *caller || (!user.hidden && own.shares_group_with(user)));
        let calls = others.filter_map(|(name, _)| self.rings_at(env, id, name));
        calls.min_by_key(|call| self.table.get(*call).map(|call| call.started))
    }

    /// The call that rings longest at a user.
    pub(super) fn rings_at(&self, env: &Environment, domain: DomainId, user: &str) -> Option<CallId> {
        let subject = subject_key(env.endpoint.hasher(), domain, user);
        let ringing = self.calls_of(subject, Place::Callee).filter(|(_, call)| {
            matches!(call.phase, Phase::Ringing(_)) && call.referred.is_none() && call.ending.is_none()
        });
        let seen = ringing.min_by_key(|(_, call)| call.started).map(|(id, _)| id);
        seen.or_else(|| self.calls_at(env, domain, user))
    }

    /// The same where no phone has said yet that it rings, or its word was lost.
    fn calls_at(&self, env: &Environment, id: DomainId, user: &str) -> Option<CallId> {
        let domain = env.domain(id)?;
        let is_for = |call: &Call| {
            let called = domain.user_of(&call.destination.user).is_some_and(|(name, _)| name == user);
            called && !call.destination.is_served() && call.destination.peer.is_none()
        };
        let calling = self.table.iter().filter(|(_, call)| {
            let rings = matches!(call.phase, Phase::Ringing(_)) && call.ending.is_none();
            rings && call.domain == id && call.referred.is_none() && is_for(call)
        });
        calling.min_by_key(|(_, call)| call.started).map(|(id, _)| id)
    }
}

pub(super) fn may_pick_up(domain: &Domain, caller: &str, (name, user): (&str, &User)) -> bool {
    let shares = domain.users.get(caller).is_some_and(|own| own.shares_group_with(user));
    name == caller || user.is_watched_by(caller) || (shares && !user.hidden)
}
