//! Changes while the call is up: re-INVITE (RFC 3261 §14.2), the answer in an ACK (§13.2.1), media that fell silent.
//!
//! A re-INVITE is answered here, by us: hold, resume and a new address concern one leg, and its media parameters carry
//! them. What concerns the other side as well is passed on (`passing`); those of our own are in `refresh` and `renewal`.

use super::agreement::Agreement;
use super::bridge::transcodes;
use super::call::{Call, Phase, Side};
use super::formats::Formats;
use super::refresh::Refresh;
use super::session::{SDP, SdpFault, read};
use crate::core::environment::{Environment, sign_response};
use bytes::Bytes;
use media::LegId;
use sip_stack::endpoint::Request;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::{AudioOffer, SessionDescription};
use sip_stack::session::SessionTimer;

impl Call {
    /// A re-INVITE of one side.
    pub(super) fn handle_reinvite(&mut self, env: &mut Environment, side: Side, request: &Request) {
        let transaction = env.endpoint.accept(env.now, request, self.owner());
        let Some(leg) = self.leg_mut(side) else { return };
        let dialog = leg.dialog;
        if let Err(too_small) = leg.session.timer.check(&request.message) {
            let status = Status::SESSION_INTERVAL_TOO_SMALL;
            let mut response = env.endpoint.response(request, status, None);
            SessionTimer::write_too_small(too_small, &mut response);
            sign_response(&mut response);
            return env.endpoint.respond(env.now, transaction, status, response.finish());
        }
        if self.pass_reinvite(env, side, request, transaction) {
            return;
        }
        match self.renegotiate(env, side, request) {
            Ok(body) => {
                let mut response = self.renewed(env, side, request, dialog);
                response.body(SDP, &body);
                env.endpoint.answer_invite(env.now, transaction, dialog, Status::OK, response.finish());
            }
            Err(status) => self.refuse_change(env, request, transaction, status),
        }
    }

    /// Our description for the 2xx. On failure the session stays as it was (§14.1).
    pub(super) fn renegotiate(
        &mut self,
        env: &mut Environment,
        side: Side,
        request: &Request,
    ) -> Result<Bytes, Status> {
        let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        // §14.2: not before the INVITE that came first is answered, and its offer too.
        let pending = leg.awaiting_answer;
        // §14.2: we have an offer out ourselves.
        if matches!(leg.refresh, Some(Refresh::Asked { by_invite: true, .. })) {
            return Err(Status::REQUEST_PENDING);
        }
        match self.passing_of() {
            Some(asking) if asking == side => return Err(Status::SERVER_INTERNAL_ERROR),
            Some(_) => return Err(Status::REQUEST_PENDING),
            // One of ours is under way.
            None if self.is_renewed() => return Err(Status::REQUEST_PENDING),
            None => {}
        }
        let waits = self.has_waiting_caller();
        if pending || (!waits && !matches!(self.phase, Phase::Talking { .. } | Phase::Served)) {
            return Err(Status::SERVER_INTERNAL_ERROR);
        }
        let offer = read(&request.message).map_err(|fault| match fault {
            SdpFault::Malformed => Status::BAD_REQUEST,
            SdpFault::NotAcceptable(_) => Status::NOT_ACCEPTABLE_HERE,
        })?;
        if waits {
            let body = self.renegotiate_waiting(env, &request.message, offer)?;
            self.caller_leg.flow.peer = request.flow.peer;
            return Ok(body);
        }
        if matches!(self.phase, Phase::Served) {
            let body = self.serve_anew(env, &request.message, offer).ok_or(Status::NOT_ACCEPTABLE_HERE)?;
            self.caller_leg.flow.peer = request.flow.peer;
            return Ok(body);
        }
        let Some(offer) = offer else {
            return self.offer_anew(env, side).ok_or(Status::NOT_ACCEPTABLE_HERE);
        };
        let offer = self.taken(side, offer);
        let ptime_ms = offer.ptime_ms;
        let told = self.adopt(env, side, offer).ok_or(Status::NOT_ACCEPTABLE_HERE)?;
        let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        leg.flow.peer = request.flow.peer;
        if self.streams.is_none() {
            let leg = self.leg_mut(side).ok_or(Status::CALL_DOES_NOT_EXIST)?;
            return Ok(leg.session.answer(&request.message, &told, ptime_ms));
        }
        if let Some(leg) = self.leg_mut(side) {
            leg.session.keep(&request.message, true);
        }
        let behind = self.leg_mut(side.other()).map(|leg| leg.session.theirs.clone()).unwrap_or_default();
        let body = self.answer_with_streams(side, &request.message, Some(&told), &behind);
        self.rejoin_streams(env);
        Ok(body)
    }

    /// §14.2: an INVITE without an offer asks for ours: what is spoken now, and what else could be, in both directions.
    fn offer_anew(&mut self, env: &Environment, side: Side) -> Option<Bytes> {
        let transcode = transcodes(env) && self.agreed(side.other())?.first_decoded().is_some();
        let ptime_ms = self.wish(side.other())?.ptime_ms;
        let leg = self.leg_mut(side)?;
        let used = Formats::from(leg.session.remote.as_ref()?);
        let offered = leg.session.agreed.as_ref()?.offered_onward(transcode, &used);
        leg.awaiting_answer = true;
        if self.streams.is_none() {
            return Some(self.leg_mut(side)?.session.offer(&offered, ptime_ms));
        }
        let behind = self.leg_mut(side.other())?.session.theirs.clone();
        let behind = SessionDescription::parse(&behind).ok();
        let streams = self.streams.take();
        let offer = self.leg_mut(side).and_then(|leg| {
            let lines = streams.as_ref()?.said(side, leg.session.address, behind.as_ref());
            Some(leg.session.offer_lines(&offered, ptime_ms, &lines))
        });
        self.streams = streams;
        offer
    }

    /// The last description of a side.
    pub(super) fn wish(&self, side: Side) -> Option<&AudioOffer> {
        match (side, &self.phase) {
            (Side::Caller, _) => self.caller_leg.session.remote.as_ref(),
            (Side::Callee, Phase::Talking { callee }) => callee.session.remote.as_ref(),
            (
                Side::Callee,
                Phase::Locating
                | Phase::Reserving
                | Phase::Ringing(_)
                | Phase::Refusing { .. }
                | Phase::Served
                | Phase::Ended,
            ) => None,
        }
    }

    /// Takes a new description of one side and tells the shard; what that side is told. The other one is told nothing and
    /// goes on as it is, so `None` when it would not be understood any more.
    pub(super) fn adopt(
        &mut self,
        env: &mut Environment,
        side: Side,
        description: AudioOffer,
    ) -> Option<Formats> {
        let (new, other) = (Formats::from(&description), self.agreed(side.other())?);
        let wishes = match side {
            Side::Caller => [Some(&description), self.wish(Side::Callee)],
            Side::Callee => [self.wish(Side::Caller), Some(&description)],
        };
        let [caller, callee] = match side {
            Side::Caller => [&new, other],
            Side::Callee => [other, &new],
        };
        let is_first = self.wish(side).is_none();
        let agreement = if is_first {
            Agreement::between(caller, callee, wishes, transcodes(env))?
        } else {
            Agreement::renewed(side, caller, callee, wishes, transcodes(env))?
        };
        let told = agreement.told(side).clone();
        if is_first && let Some(other) = self.leg_mut(side.other()) {
            other.session.agreed = Some(agreement.told(side.other()).clone());
        }
        self.media_mut(side).silent = false;
        let session = &mut self.leg_mut(side)?.session;
        (session.remote, session.agreed) = (Some(description), Some(told.clone()));
        self.configure(env, side);
        self.join(env, agreement.path);
        Some(told)
    }

    /// The same of an answer that changes nothing but perhaps where the party is; a party that would be understood no more is left
    /// as it was.
    pub(super) fn readopt(&mut self, env: &mut Environment, side: Side, answer: AudioOffer) {
        let _told = self.adopt(env, side, answer);
    }

    /// The ACK of a 2xx of ours; it carries the answer when the 2xx carried our offer (§13.2.1). Returns whether the
    /// call can go on.
    pub(super) fn handle_ack(&mut self, env: &mut Environment, side: Side, ack: &Message) -> bool {
        self.handle_acknowledged();
        let Some(leg) = self.leg_mut(side) else { return true };
        if !core::mem::take(&mut leg.awaiting_answer) {
            return true;
        }
        let is_first = leg.session.remote.is_none();
        let Ok(Some(answer)) = read(ack) else { return false };
        if self.has_waiting_caller() {
            return self.take_waiting(env, answer).is_some();
        }
        if matches!(self.phase, Phase::Served) {
            return self.serve_offered(env, answer);
        }
        let answer = self.taken(side, answer);
        if self.adopt(env, side, answer).is_none() {
            return false;
        }
        if self.streams.is_some() {
            if let Some(leg) = self.leg_mut(side) {
                leg.session.keep(ack, true);
            }
            self.rejoin_streams(env);
        }
        if is_first {
            // The callee's leg was not told its parameters while it had no partner.
            self.configure(env, Side::Callee);
        }
        true
    }

    /// A media leg heard nothing for the configured time, or something again. Returns whether the call is dead: nobody says
    /// anything. That is asked of its sound; where that is put off, of the streams in its place.
    pub(super) fn handle_silence(&mut self, leg: LegId, silent: bool) -> bool {
        match (self.media.iter_mut().find(|sound| sound.id == leg), &mut self.streams) {
            (Some(sound), _) => sound.silent = silent,
            (None, Some(streams)) => streams.hush(leg, silent),
            (None, None) => {}
        }
        // Who is parked, listens to something or sits in a conference may say nothing for long; phones that are gone are found by
        // their session timers.
        let is_up = matches!(self.phase, Phase::Talking { .. });
        let are_silent = match &self.streams {
            Some(streams) if streams.replace_sound() => streams.are_silent(),
            Some(_) | None => self.media.iter().filter(|leg| leg.port != 0).all(|leg| leg.silent),
        };
        // So may who is on hold.
        let holds = |side| self.wish(side).is_some_and(|wish| !wish.direction.receives());
        let is_on_hold = self.held().is_some() || [Side::Caller, Side::Callee].into_iter().any(holds);
        is_up && silent && are_silent && !is_on_hold
    }
}
