//! Who may take the place of a party of a call by naming its dialog (RFC 3891 §3, §9), in an INVITE or in the Refer-To of a REFER.
//!
//! | a user of the domain may | because |
//! |---|---|
//! | if the party is the same user | it takes its own call with another phone |
//! | if the party's user lets itself be watched by it (`watched_by`), and is not `hidden` | so a lamp is picked up; for a party behind a peer the other party counts, whose call it is |
//! | if it has another call with the party's user | that one sends it, by a REFER that did not pass through us |
//!
//! Anybody else is refused (403), whatever it knows of the dialog. Left out on purpose: Referred-By as a reason of its own (§3): whoever
//! could write the one could write the other.

use super::call::{Call, CallId, Side};
use super::calls::Calls;
use super::seats::{Place, subject_key};
use crate::config::Domain;
use crate::core::environment::Environment;

impl Call {
    /// The user of ours on that side, if one is: the number of a party behind a peer is nobody's name.
    pub(super) fn user_on<'a>(&'a self, domain: &'a Domain, side: Side) -> Option<&'a str> {
        let (name, is_user) = match side {
            Side::Caller => (self.caller.as_bytes(), !self.caller_leg.is_peer),
            Side::Callee => (&*self.destination.user, self.calls_user()),
        };
        domain.user(name).filter(|_| is_user).map(|(user, _)| user)
    }
}

impl Calls {
    /// Whether a user may take the place of the party on that side of a call.
    pub(super) fn may_replace(&self, env: &Environment, user: &str, (id, side): (CallId, Side)) -> bool {
        let Some(call) = self.table.get(id) else { return false };
        let Some(domain) = env.domain(call.domain).filter(|domain| domain.users.contains_key(user)) else {
            return false;
        };
        let party = call.user_on(domain, side);
        if party == Some(user) {
            return true;
        }
        let whose = party.or_else(|| call.user_on(domain, side.other()));
        let whose = whose.and_then(|whose| domain.users.get(whose));
        whose.is_some_and(|whose| whose.is_watched_by(user))
            || party.is_some_and(|party| {
                let key = subject_key(env.endpoint.hasher(), call.domain, party);
                self.partners_of(key).any(|(with, place)| {
                    let other = if place == Place::Callee { Side::Caller } else { Side::Callee };
                    with.id != Some(id) && with.user_on(domain, other) == Some(user)
                })
            })
    }
}
