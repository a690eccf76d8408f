//! What passes within the dialog of a call, without state (RFC 3261 §16.11): it goes on while the call is known, and the record learns
//! what there is to learn.
//!
//! | request | passes |
//! |---|---|
//! | of a call that is up or rings | from either side to the other |
//! | of a call that ended less than 64·T1 ago | ACK and BYE, which may come again, and NOTIFY, whose subscription (of REFER) outlives the call (RFC 5057 §4.2) |
//! | of a call from before the last restart, that began less than 12 hours ago | what belongs to a session; nothing is known of the call, and it has no record |
//! | of any other | never: 481, and an ACK is dropped |
//!
//! When a call began its route says (`stamp`), under a key that outlives the run. That the dialog is over nobody knows then but the phone, which
//! answers 481; nothing but the dialog that it once had can be reached so.
//!
//! A response passes by our Via, which nobody can have who did not get the request.

use super::call::{Call, End};
use super::{Proxied, key, stamp};
use crate::call::Side;
use crate::core::environment::Environment;
use crate::registrar::{Binding, Registrar};
use sip_stack::message::{Message, Method, Status};
use sip_stack::proxy::{Passing, Refusal, pass, refuse};
use sip_stack::table::Id;
use sip_stack::transaction::KeyHasher;
use sip_stack::transport::Flow;

/// For so long requests of calls from before a restart pass, in seconds from the beginning of the call.
const LASTS_S: u32 = 12 * 3_600;

impl Proxied {
    /// A message within a dialog.
    pub(super) fn on_passing(&mut self, env: &mut Environment, registrar: &Registrar, passing: &Passing) {
        let message = &passing.message;
        let found = self.find(env.endpoint.hasher(), message);
        if message.is_request() {
            if let Some((id, side)) = found {
                self.look_whether_moved(env, registrar, &passing.from, (id, side));
            }
            if found.is_none() && self.is_from_before(env, passing) {
                let _refused = pass_on(env, passing);
                return;
            }
            let found = found.filter(|(id, side)| self.may_pass(*id, *side, passing));
            let Some((id, side)) = found else {
                return refuse(&mut env.endpoint, passing, Status::CALL_DOES_NOT_EXIST);
            };
            let to = self.calls.get(id).map_or(passing.to, |call| call.leads_to(side, passing.to));
            if to == passing.to {
                self.on_request(env, passing, id, side);
            } else {
                self.on_request(env, &Passing { to, ..passing.clone() }, id, side);
            }
        } else {
            let sent_by = env.sent_by(&passing.to);
            let passed = pass(&mut env.endpoint, passing, &sent_by, |_| false);
            if let (Ok(_), Some((id, side))) = (passed, found) {
                self.on_response(env, passing, id, side);
            }
        }
    }

    /// Whether a request is of a call that an earlier run of the switch has forwarded, and of what may pass then.
    fn is_from_before(&self, env: &Environment, passing: &Passing) -> bool {
        let belongs = |method| {
            matches!(
                method,
                Method::Ack
                    | Method::Bye
                    | Method::Cancel
                    | Method::Info
                    | Method::Invite
                    | Method::Notify
                    | Method::Options
                    | Method::Prack
                    | Method::Refer
                    | Method::Update
            )
        };
        let (Some(began), Some(stamped)) = (self.began, passing.stamp) else { return false };
        let is_young = stamp(env).saturating_sub(stamped) <= LASTS_S;
        stamped < began && is_young && passing.message.method().is_some_and(belongs)
    }

    fn may_pass(&self, id: Id<Call>, side: Side, passing: &Passing) -> bool {
        let outlives = |method| matches!(method, Method::Ack | Method::Bye | Method::Notify);
        self.calls.get(id).is_some_and(|call| {
            (call.is_live() || passing.message.method().is_some_and(outlives))
                && call.may_pass(side, &passing.from, &passing.to)
        })
    }

    /// A party that is heard from another address than before, and whose user is registered there, has moved.
    fn look_whether_moved(
        &mut self,
        env: &Environment,
        registrar: &Registrar,
        from: &Flow,
        (id, side): (Id<Call>, Side),
    ) {
        let is_elsewhere =
            |call: &&Call| !call.is_at(side, from) && !call.is_at(side.other(), from) && call.is_live();
        let Some(call) = self.calls.get(id).filter(is_elsewhere) else { return };
        let Some(domain) = env.config.domain_named(&call.domain) else { return };
        let user = match side {
            Side::Caller => Some(&*call.caller),
            Side::Callee => {
                env.domain(domain).and_then(|domain| domain.user(&call.callee)).map(|(user, _)| user)
            }
        };
        let aor = user.and_then(|user| registrar.find(env, domain, user));
        let is_there =
            |binding: &Binding| (binding.flow.transport, binding.flow.peer) == (from.transport, from.peer);
        if aor.is_some_and(|aor| aor.bindings.iter().any(is_there))
            && let Some(call) = self.calls.get_mut(id)
        {
            call.move_to(side, *from);
        }
    }

    fn on_request(&mut self, env: &mut Environment, passing: &Passing, id: Id<Call>, side: Side) {
        let Ok(went) = pass_on(env, passing) else { return };
        let due = env.now + env.endpoint.transaction_time();
        let Some(call) = self.calls.get_mut(id).filter(|call| call.is_live()) else { return };
        call.on_request(env.now, &passing.message);
        if passing.message.method() == Some(Method::Bye) {
            call.on_bye(&passing.message, side, [&passing.from, &went], due);
        }
        self.arm(id);
    }

    fn on_response(&mut self, env: &mut Environment, passing: &Passing, id: Id<Call>, side: Side) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.is_live()) else { return };
        if call.on_response(env.now, &passing.message, side, &passing.from) {
            self.end(env, id, End { status: Status::OK, by: side.ended_by() });
        } else {
            self.arm(id);
        }
    }

    /// The call that a message within a dialog is of, and who sent it: if a response, who sent its request.
    fn find(&self, hasher: &KeyHasher, message: &Message) -> Option<(Id<Call>, Side)> {
        let call_id = message.call_id().ok()?;
        let tag = |tag: Option<&[u8]>| self.index.get(key(hasher, call_id, tag.unwrap_or_default()));
        let caller = tag(message.from().ok()?.tag()).map(|id| (id, Side::Caller));
        caller.or_else(|| tag(message.to().ok()?.tag()).map(|id| (id, Side::Callee)))
    }
}

/// Sends a request on.
fn pass_on(env: &mut Environment, passing: &Passing) -> Result<Flow, Refusal> {
    let sent_by = env.sent_by(&passing.to);
    let config = env.config.clone();
    let is_ours = |realm: &[u8]| config.domain_of_host(realm).is_some();
    pass(&mut env.endpoint, passing, &sent_by, is_ours)
}
