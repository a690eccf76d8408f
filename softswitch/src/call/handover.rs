//! A transfer while the target rings: a phone sends its partner to somebody whom it has called and who has not answered yet. Its
//! Refer-To names that call by Replaces (RFC 3891), of which the switch has both ends; so the ringing goes on, in the partner's name.
//!
//! The phone's own INVITE is answered with 487: its dialog has been replaced. What follows is as in a blind transfer (`transfer`):
//! the partner stays where it is until somebody answers. Left out on purpose: a call with other streams than sound (488), and one
//! that waits for its ports yet (480).

use super::call::{Call, CallId, Invitation, MediaLeg, Phase, Side};
use super::calls::Calls;
use super::setup;
use super::takeover::Party;
use super::transfer::{News, Referred};
use crate::core::environment::{Environment, sign_response};
use crate::registrar::Registrar;
use bytes::Bytes;
use sip_stack::endpoint::Request;
use sip_stack::message::Status;
use sip_stack::transaction::TransactionId;

impl Calls {
    /// Gives the call `second`, in which the phone on a side of the call `id` waits for an answer, to the phone's partner.
    pub(super) fn hand_over(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        second: CallId,
        (request, transaction): (&Request, TransactionId),
        mut news: News,
    ) {
        let Some(call) = self.table.get(id) else { return };
        let (domain, language) = (call.domain, call.language.clone());
        let (Some(partner), Some(phone)) = (call.party(side.other()), call.party(side)) else { return };
        let Some(ringing) = self.table.get_mut(second) else { return };
        news.tell(env, if ringing.rings() { Status::RINGING } else { Status::TRYING });
        let tag = env.endpoint.random().tag();
        let invitation =
            Invitation { request: Box::new(request.clone()), transaction, tag, contact: Bytes::new() };
        ringing.referred_by = Some(String::from_utf8_lossy(&phone.user).into());
        ringing.language = language;
        ringing.change_caller(env, invitation, partner);
        ringing.referred =
            Some(Box::new(Referred::of(env, Some(registrar), (domain, &phone), (id, side.other()), news)));
        if let Some(call) = self.table.get_mut(id) {
            call.referring = Some((second, side));
        }
        self.settle(env, Some(second));
    }
}

impl Call {
    /// Whether somebody has said that it rings.
    fn rings(&self) -> bool {
        match &self.phase {
            Phase::Ringing(ring) => ring.branches.iter().any(|branch| !branch.dialogs.is_empty()),
            Phase::Locating
            | Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => false,
        }
    }

    /// The caller has its INVITE refused and its port closed; a party of another call, which it stays in yet, has its place.
    fn change_caller(&mut self, env: &mut Environment, invitation: Invitation, party: Party) {
        let status = Status::REQUEST_TERMINATED;
        let mut response =
            env.endpoint.response(&self.invitation.request, status, Some(&self.invitation.tag));
        sign_response(&mut response);
        self.respond(env, status, response);
        env.endpoint.end_dialog(self.caller_leg.dialog);
        self.leave_bridge(env);
        let leg = self.media_mut(Side::Caller);
        let (id, port) = (leg.id, leg.port);
        *leg = MediaLeg { id, port: 0, silent: false, figures: None };
        if port != 0 {
            env.media(media::Command::Close { leg: id });
        }
        self.invitation = invitation;
        self.caller_leg = party.leg;
        self.caller = String::from_utf8_lossy(&party.user).into();
        self.caller_name = party.name;
        self.anonymous = party.is_anonymous;
        self.recorded = setup::recorded(env, self.domain, &self.caller, &self.destination);
    }
}
