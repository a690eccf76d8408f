//! Offers and answers before the call is answered (RFC 3262 §5, RFC 3311 §5): in PRACK and UPDATE of the caller, and in UPDATE of a
//! phone that rings.
//!
//! A caller that offered nothing and understands reliable provisional responses is offered something in the first that it gets
//! with a description, and in the very first when it insists on them; its answer comes with the PRACK. A caller or callee may change
//! what was answered reliably; one whose offer is not answered yet is told 500 and when to ask again (RFC 3311 §5.2).
//!
//! Left out on purpose: calls with other streams than sound, whose offers wait for the answer; a caller that insists and offers
//! nothing where the switch may not transcode and nobody has named a codec: it hears of the answer alone.

use super::agreement::Agreement;
use super::bridge::transcodes;
use super::call::{Call, Phase, Side};
use super::formats::Formats;
use super::ring::Ring;
use super::session::{SDP, SdpFault, read};
use crate::core::environment::{Environment, sign_response, write_abilities};
use bytes::Bytes;
use media::Command;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;
use sip_stack::session::prack::REL100;

/// The offer in a request.
fn offer_in(message: &Message) -> Result<AudioOffer, Status> {
    match read(message) {
        Ok(Some(offer)) => Ok(offer),
        Ok(None) | Err(SdpFault::Malformed) => Err(Status::BAD_REQUEST),
        Err(SdpFault::NotAcceptable(_)) => Err(Status::NOT_ACCEPTABLE_HERE),
    }
}

impl Call {
    /// The offer for a caller that made none, in a reliable provisional response; `None` when it is to have none, or has one.
    pub(super) fn early_offer(&mut self, env: &Environment, response: &Message) -> Option<Bytes> {
        let invite = self.invite();
        let (is_bound, insists) = (invite.supports(REL100), invite.requires(REL100));
        let is_due = invite.body().is_empty() && (is_bound || insists) && self.streams.is_none();
        if !is_due || self.caller_leg.awaiting_answer || self.caller_leg.session.remote.is_some() {
            return None;
        }
        let theirs = read(response).ok().flatten();
        let known = match &theirs {
            Some(theirs) => Formats::from(theirs),
            None if insists && transcodes(env) => Formats::telephone(),
            None => return None,
        };
        let ptime_ms = theirs.and_then(|theirs| theirs.ptime_ms);
        let offered = known.offered_onward(transcodes(env), &Formats::default());
        self.caller_leg.awaiting_answer = true;
        Some(self.caller_leg.session.offer(&offered, ptime_ms))
    }

    /// A PRACK of the caller; what it acknowledges the endpoint knows. Returns whether the call can go on.
    pub(super) fn handle_prack(&mut self, env: &mut Environment, side: Side, request: &Request) -> bool {
        let message = &request.message;
        if message.body().is_empty() {
            // RFC 3262 §5: an offer of ours in what it acknowledges has to be answered in it.
            let is_missing = side == Side::Caller && self.caller_leg.awaiting_answer;
            self.reply(env, request, Status::OK, None);
            return !is_missing || !matches!(self.phase, Phase::Ringing(_));
        }
        if side == Side::Caller && self.caller_leg.awaiting_answer {
            let goes_on = match (&self.phase, read(message)) {
                (Phase::Ringing(_), Ok(Some(answer))) => {
                    self.take_early_answer(answer);
                    true
                }
                (Phase::Talking { .. }, Ok(Some(_))) => self.handle_ack(env, side, message),
                (_, Ok(_) | Err(_)) => false,
            };
            self.reply(env, request, Status::OK, None);
            return goes_on;
        }
        let answered = match self.phase {
            Phase::Ringing(_) => self.renegotiate_early(env, message),
            Phase::Locating
            | Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => self.renegotiate(env, side, request),
        };
        match answered {
            Ok(body) => self.reply(env, request, Status::OK, Some(&body)),
            Err(status) => self.reply(env, request, status, None),
        }
        true
    }

    /// The caller's answer to our early offer.
    fn take_early_answer(&mut self, answer: AudioOffer) {
        self.caller_leg.awaiting_answer = false;
        let answer = self.taken(Side::Caller, answer);
        let session = &mut self.caller_leg.session;
        session.agreed = Some(Formats::from(&answer));
        session.remote = Some(answer);
    }

    /// Our answer to an offer of the caller before the call is answered, while it hears a phone that rings.
    pub(super) fn renegotiate_early(
        &mut self,
        env: &mut Environment,
        message: &Message,
    ) -> Result<Bytes, Status> {
        let pending = Status::SERVER_INTERNAL_ERROR;
        let is_settled = self.invite().supports(REL100) && self.streams.is_none();
        let offer = self.taken(Side::Caller, offer_in(message)?);
        let Phase::Ringing(ring) = &self.phase else { return Err(pending) };
        let playing = ring.playing().filter(|_| is_settled).ok_or(pending)?;
        let wishes = [Some(&offer), playing.remote.as_ref()];
        let staying = playing.agreed.as_ref().ok_or(pending)?;
        let known = Formats::from(&offer);
        let agreement = Agreement::renewed(Side::Caller, &known, staying, wishes, transcodes(env))
            .ok_or(Status::NOT_ACCEPTABLE_HERE)?;
        let (told, ptime_ms) = (agreement.caller.clone(), offer.ptime_ms);
        let session = &mut self.caller_leg.session;
        session.remote = Some(offer);
        let body = session.answer(message, &told, ptime_ms);
        self.configure(env, Side::Caller);
        self.join(env, agreement.path);
        if let Phase::Ringing(ring) = &mut self.phase {
            ring.tell_early(body.clone());
        }
        Ok(body)
    }

    /// An UPDATE of a phone that rings, within one of its early dialogs. Whether there is such a phone.
    pub(super) fn handle_early_update(
        &mut self,
        env: &mut Environment,
        dialog: DialogId,
        request: &Request,
    ) -> bool {
        let Phase::Ringing(ring) = &mut self.phase else { return false };
        let Some(index) = ring.branches.iter().position(|branch| branch.dialogs.contains(&dialog)) else {
            return false;
        };
        if request.message.body().is_empty() {
            self.reply(env, request, Status::OK, None);
            return true;
        }
        match self.answer_ringing(env, index, &request.message) {
            Ok(body) => self.reply(env, request, Status::OK, Some(&body)),
            Err(status) => self.reply(env, request, status, None),
        }
        true
    }

    fn answer_ringing(
        &mut self,
        env: &mut Environment,
        index: usize,
        message: &Message,
    ) -> Result<Bytes, Status> {
        let pending = Status::SERVER_INTERNAL_ERROR;
        let offer = super::digits::without_keys(self.destination.dtmf, offer_in(message)?);
        let speaks = self.caller_leg.session.agreed.clone().filter(|_| self.streams.is_none());
        let speaks = speaks.ok_or(pending)?;
        let leg = self.media(Side::Callee).id;
        let wanted = self.caller_leg.session.wants_keys();
        let wish = self.caller_leg.session.remote.clone();
        let Phase::Ringing(ring) = &mut self.phase else { return Err(pending) };
        let branch = ring.branches.get_mut(index).filter(|branch| branch.session.agreed.is_some());
        let branch = branch.ok_or(pending)?;
        let known = Formats::from(&offer);
        let wishes = [wish.as_ref(), Some(&offer)];
        let agreement = Agreement::renewed(Side::Callee, &speaks, &known, wishes, transcodes(env))
            .ok_or(Status::NOT_ACCEPTABLE_HERE)?;
        let (told, ptime_ms) = (agreement.callee.clone(), offer.ptime_ms);
        branch.session.remote = Some(offer);
        let body = branch.session.answer(message, &told, ptime_ms);
        let params = branch.session.params(&branch.flow, &self.destination.latching, wanted);
        env.media(Command::Configure { leg, params });
        self.join(env, agreement.path);
        Ok(body)
    }

    /// Answers a PRACK, or an UPDATE before the answer.
    fn reply(&self, env: &mut Environment, request: &Request, status: Status, body: Option<&[u8]>) {
        let transaction = env.endpoint.accept(env.now, request, self.owner());
        if !status.is_success() {
            return self.refuse_change(env, request, transaction, status);
        }
        let mut response = env.endpoint.response(request, status, None);
        if let Some(dialog) = request.dialog.and_then(|dialog| env.endpoint.dialog(dialog)) {
            response.header(HeaderName::Contact, dialog.contact());
        }
        write_abilities(&mut response);
        sign_response(&mut response);
        if let Some(body) = body {
            response.body(SDP, body);
        }
        env.endpoint.respond(env.now, transaction, status, response.finish());
    }
}

impl Ring {
    /// The phone that the caller hears while it rings.
    fn playing(&self) -> Option<&super::session::Session> {
        let is_heard = self.is_heard();
        let mut sessions = self.branches.iter().map(|branch| &branch.session);
        sessions.find(|session| is_heard && session.agreed.is_some())
    }
}
