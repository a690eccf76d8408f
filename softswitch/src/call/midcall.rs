//! Changes while the call is up: re-INVITE (RFC 3261 §14.2), the answer in an ACK (§13.2.1), media that fell silent.
//!
//! A re-INVITE is answered here, by us: hold, resume and a new address concern one leg, and its media parameters carry
//! them. Left out on purpose: passing a re-INVITE to the other side, and re-INVITEs of our own.

use super::agreement::{Agreement, Proposal};
use super::call::{Call, Leg, Phase, Side};
use super::session::{SDP, SdpFault, read};
use crate::core::environment::{ALLOW, Environment, sign_response};
use bytes::Bytes;
use media::{Command, PayloadRule};
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
                if status == Status::SERVER_INTERNAL_ERROR {
                    // §14.2: between 0 and 10 seconds, at random.
                    let seconds = u64::from(env.endpoint.random().next_u32() % 11);
                    response.number(HeaderName::RetryAfter, seconds);
                }
                sign_response(&mut response);
                env.endpoint.respond(env.now, transaction, status, response.finish());
            }
        }
    }

    /// Our description for the 2xx. On failure the session stays as it was (§14.1).
    fn renegotiate(&mut self, env: &mut Environment, side: Side, request: &Request) -> Result<Bytes, Status> {
        let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        // §14.2: not before the INVITE that came first is answered, and its offer too.
        let pending = leg.awaiting_answer;
        if pending || !matches!(self.phase, Phase::Talking { .. } | Phase::Served) {
            return Err(Status::SERVER_INTERNAL_ERROR);
        }
        let offer = read(&request.message).map_err(|fault| match fault {
            SdpFault::Malformed => Status::BAD_REQUEST,
            SdpFault::NotAcceptable(_) => Status::NOT_ACCEPTABLE_HERE,
        })?;
        if matches!(self.phase, Phase::Served) {
            let body = self.serve_anew(env, &request.message, offer).ok_or(Status::NOT_ACCEPTABLE_HERE)?;
            self.caller_leg.flow.peer = request.flow.peer;
            return Ok(body);
        }
        let Some(offer) = offer else { return self.offer_anew(side).ok_or(Status::NOT_ACCEPTABLE_HERE) };
        if self.would_silence(side, &offer) {
            return Err(Status::NOT_ACCEPTABLE_HERE);
        }
        let ptime_ms = offer.ptime_ms;
        let agreement = self.adopt(env, side, offer).ok_or(Status::NOT_ACCEPTABLE_HERE)?;
        let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        leg.flow.peer = request.flow.peer;
        Ok(leg.session.answer(&request.message, &agreement, ptime_ms))
    }

    /// §14.2: an INVITE without an offer asks for ours: what both sides share, in both directions.
    fn offer_anew(&mut self, side: Side) -> Option<Bytes> {
        let other = self.leg_mut(side.other())?.session.remote.clone()?;
        let leg = self.leg_mut(side)?;
        let shared = Agreement::between(leg.session.remote.as_ref()?, &other)?;
        leg.awaiting_answer = true;
        Some(leg.session.offer(&Proposal { codecs: shared.codecs, events: shared.events }, other.ptime_ms))
    }

    /// Whether the codec that the other side prefers, and most likely sends, would no longer reach this one: we do not
    /// tell the other side about a re-INVITE.
    fn would_silence(&mut self, side: Side, offer: &AudioOffer) -> bool {
        let known = |leg: Option<&mut Leg>| leg.and_then(|leg| leg.session.remote.clone());
        let (Some(this), Some(other)) = (known(self.leg_mut(side)), known(self.leg_mut(side.other()))) else {
            return false;
        };
        // The other side as the callee: its codecs in its own order and numbers.
        let sent = Agreement::between(&this, &other).and_then(|before| {
            other
                .codecs
                .iter()
                .map(|codec| codec.payload_type)
                .find(|sent| before.backward.rule(*sent) != PayloadRule::Drop)
        });
        let after = Agreement::between(offer, &other);
        sent.is_some_and(|sent| after.is_none_or(|after| after.backward.rule(sent) == PayloadRule::Drop))
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
        self.media_mut(side).silent = false;
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
        let Some(leg) = self.leg_mut(side) else { return true };
        if !core::mem::take(&mut leg.awaiting_answer) {
            return true;
        }
        let is_first = leg.session.remote.is_none();
        let Ok(Some(answer)) = read(ack) else { return false };
        if matches!(self.phase, Phase::Served) {
            return self.serve_offered(env, answer);
        }
        if self.adopt(env, side, answer).is_none() {
            return false;
        }
        if is_first {
            // The callee's leg was not told its parameters while it had no partner.
            self.configure_callee(env);
        }
        true
    }

    fn configure_callee(&mut self, env: &mut Environment) {
        let Phase::Talking { callee } = &self.phase else { return };
        let clock_rate = callee
            .session
            .remote
            .as_ref()
            .and_then(|remote| remote.codecs.first())
            .map(|codec| codec.clock_rate);
        let params = callee.session.params(&callee.flow, &callee.latching, clock_rate.unwrap_or(8_000));
        env.media(Command::Configure { leg: self.media(Side::Callee).id, params });
    }

    /// A media leg heard nothing for the configured time, or something again. Returns whether the call is dead: both
    /// sides are silent.
    pub(super) fn handle_silence(&mut self, side: Side, silent: bool) -> bool {
        self.media_mut(side).silent = silent;
        let is_up = matches!(self.phase, Phase::Talking { .. } | Phase::Served);
        is_up && self.media.iter().filter(|leg| leg.port != 0).all(|leg| leg.silent)
    }
}
