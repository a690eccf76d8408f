//! Changes while the call is up: re-INVITE (RFC 3261 §14.2), the answer in an ACK (§13.2.1), media that fell silent.
//!
//! A re-INVITE is answered here, by us: hold, resume and a new address concern one leg, and its media parameters carry
//! them. Left out on purpose: passing a re-INVITE to the other side, and re-INVITEs of our own.

use super::agreement::Agreement;
use super::call::{Call, Phase, Side};
use super::session::{SDP, SdpFault, read};
use crate::core::environment::{ALLOW, Environment, sign_response};
use bytes::Bytes;
use media::Command;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;

impl Call {
    /// A re-INVITE of one side.
    pub(super) fn handle_reinvite(&mut self, env: &mut Environment, side: Side, request: &Request) {
        let transaction = env.endpoint.accept(env.now, request, self.owner());
        let (dialog, contact) = match self.leg_mut(side) {
            Some(leg) => (leg.dialog, env.endpoint.dialog(leg.dialog).map(|dialog| dialog.contact().clone())),
            None => return,
        };
        match self.renegotiate(env, side, request) {
            Ok(body) => {
                let mut response = env.endpoint.response(request, Status::OK, None);
                response.header(HeaderName::Contact, &contact.unwrap_or_default());
                response.header(HeaderName::Allow, ALLOW);
                sign_response(&mut response);
                response.body(SDP, &body);
                env.endpoint.answer_invite(env.now, transaction, dialog, Status::OK, response.finish());
            }
            Err(status) => {
                let mut response = env.endpoint.response(request, status, None);
                sign_response(&mut response);
                env.endpoint.respond(env.now, transaction, status, response.finish());
            }
        }
    }

    /// Our description for the 2xx. On failure the session stays as it was (§14.1).
    fn renegotiate(&mut self, env: &mut Environment, side: Side, request: &Request) -> Result<Bytes, Status> {
        if !matches!(self.phase, Phase::Talking { awaiting_answer: false, .. }) {
            return Err(Status::REQUEST_PENDING);
        }
        let offer = read(&request.message).map_err(|fault| match fault {
            SdpFault::Malformed => Status::BAD_REQUEST,
            SdpFault::NotAcceptable(_) => Status::NOT_ACCEPTABLE_HERE,
        })?;
        let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        leg.flow.peer = request.flow.peer;
        // §14.2: an INVITE without an offer asks for ours.
        let Some(offer) = offer else { return Ok(leg.session.local.clone()) };
        let ptime_ms = offer.ptime_ms;
        let agreement = self.adopt(env, side, offer).ok_or(Status::NOT_ACCEPTABLE_HERE)?;
        let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        Ok(leg.session.answer(&request.message, &agreement, ptime_ms))
    }

    /// Takes a new description of one side and tells the shard. `None` when the other side shares nothing with it.
    /// The agreement is as that side sees it.
    fn adopt(&mut self, env: &mut Environment, side: Side, description: AudioOffer) -> Option<Agreement> {
        let other = self.leg_mut(side.other())?.session.remote.clone()?;
        let (caller, callee) = match side {
            Side::Caller => (&description, &other),
            Side::Callee => (&other, &description),
        };
        let agreement = Agreement::between(caller, callee)?;
        let seen = match side {
            Side::Caller => agreement.clone(),
            Side::Callee => Agreement::between(&description, &other)?,
        };
        let leg = self.media(side).id;
        let party = self.leg_mut(side)?;
        party.session.remote = Some(description);
        let params = party.session.params(&party.flow, &party.latching, agreement.clock_rate);
        env.media(Command::Configure { leg, params });
        let (a, b) = (self.media(Side::Caller).id, self.media(Side::Callee).id);
        let (forward, backward) = (agreement.forward, agreement.backward);
        env.media(Command::Relay { a, b, forward, backward });
        Some(seen)
    }

    /// The ACK of a 2xx of ours; it carries the answer when the 2xx carried our offer (§13.2.1). Returns whether the
    /// call can go on.
    pub(super) fn handle_ack(&mut self, env: &mut Environment, side: Side, ack: &Message) -> bool {
        let answer = read(ack);
        match &mut self.phase {
            Phase::Talking { awaiting_answer, callee } if side == Side::Caller && *awaiting_answer => {
                *awaiting_answer = false;
                let Ok(Some(answer)) = answer else { return false };
                let Some(remote) = callee.session.remote.clone() else { return false };
                let Some(agreement) = Agreement::between(&answer, &remote) else { return false };
                let params = callee.session.params(&callee.flow, &callee.latching, agreement.clock_rate);
                self.caller_leg.session.remote = Some(answer);
                let leg = self.media(Side::Callee).id;
                env.media(Command::Configure { leg, params });
                self.connect(env, &agreement);
                true
            }
            // The answer to the offer in our 2xx to a re-INVITE without one.
            Phase::Talking { .. } => match answer {
                Ok(Some(answer)) => self.adopt(env, side, answer).is_some(),
                Ok(None) | Err(_) => true,
            },
            Phase::Reserving | Phase::Ringing(_) | Phase::Ended => true,
        }
    }

    /// A media leg heard nothing for the configured time, or something again. Returns whether the call is dead: both
    /// sides are silent.
    pub(super) fn handle_silence(&mut self, side: Side, silent: bool) -> bool {
        self.media_mut(side).silent = silent;
        matches!(self.phase, Phase::Talking { .. }) && self.media.iter().all(|leg| leg.silent)
    }
}
