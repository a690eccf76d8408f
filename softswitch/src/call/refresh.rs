//! Session timers on both legs (RFC 4028): each party refreshes its session with us, or we refresh it, by UPDATE where the party
//! takes that (RFC 3311), else by a re-INVITE that says what was said last. A session that nobody refreshes ends the call.
//!
//! An UPDATE of a party is answered here, with an answer where it has an offer (RFC 3311 §5.2; before the call is answered:
//! `early`). Left out on purpose: other streams in an UPDATE, which
//! stay as they are, because asking the other side takes longer than an UPDATE may.

use super::call::{Call, Leg, Phase, Side};
use super::session::{SDP, read};
use crate::core::environment::{Environment, sign_request, sign_response, write_abilities};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::session::{Due, SessionTimer, glare};
use sip_stack::transaction::TransactionId;

/// A session refresh request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refresh {
    /// It is out.
    Asked { transaction: TransactionId, by_invite: bool },
    /// The party asked for something at the same time: again then (RFC 3261 §14.1).
    Again(Time),
}

/// What became of a session refresh request.
enum Outcome {
    Done,
    /// The dialog is gone (RFC 3261 §12.2.1.2, RFC 4028 §10).
    Gone,
}

impl Leg {
    fn refresh_deadline(&self) -> Option<Time> {
        let again = match self.refresh {
            Some(Refresh::Again(at)) => Some(at),
            Some(Refresh::Asked { .. }) | None => None,
        };
        again.into_iter().chain(self.session.timer.poll_timeout()).min()
    }

    fn asked(&self, transaction: TransactionId) -> Option<bool> {
        match self.refresh {
            Some(Refresh::Asked { transaction: asked, by_invite }) if asked == transaction => Some(by_invite),
            Some(Refresh::Asked { .. } | Refresh::Again(_)) | None => None,
        }
    }
}

impl Call {
    /// When a session has to be refreshed, or is over.
    pub(super) fn refresh_deadline(&self) -> Option<Time> {
        let callee = match &self.phase {
            Phase::Talking { callee } => callee.refresh_deadline(),
            Phase::Served => None,
            Phase::Locating | Phase::Reserving | Phase::Ringing(_) if self.has_waiting_caller() => None,
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Ended => {
                return None;
            }
        };
        self.caller_leg.refresh_deadline().into_iter().chain(callee).min()
    }

    /// Refreshes what is due; whether the call is over because nobody did.
    pub(super) fn handle_refresh_timeouts(&mut self, env: &mut Environment) -> bool {
        if !matches!(self.phase, Phase::Talking { .. } | Phase::Served) && !self.has_waiting_caller() {
            return false;
        }
        for side in [Side::Caller, Side::Callee] {
            let Some(leg) = self.leg_mut(side) else { continue };
            let again = matches!(leg.refresh, Some(Refresh::Again(at)) if at <= env.now);
            match leg.session.timer.handle_timeout(env.now) {
                Some(Due::Expired) => return true,
                Some(Due::Refresh) => self.refresh(env, side),
                None if again => self.refresh(env, side),
                None => {}
            }
        }
        false
    }

    /// Sends a session refresh request (RFC 4028 §7.4).
    fn refresh(&mut self, env: &mut Environment, side: Side) {
        let owner = self.owner();
        let is_busy = self.passing_of().is_some() || self.is_renewed();
        let Some(leg) = self.leg_mut(side) else { return };
        if is_busy || leg.awaiting_answer || matches!(leg.refresh, Some(Refresh::Asked { .. })) {
            // Another change is under way; when it comes to something it is a refresh itself.
            let delay = glare::delay(env.endpoint.random(), true);
            if !matches!(leg.refresh, Some(Refresh::Asked { .. })) {
                leg.refresh = Some(Refresh::Again(env.now + delay));
            }
            return;
        }
        let by_invite = !leg.session.timer.refreshes_by_update();
        let method = if by_invite { Method::Invite } else { Method::Update };
        let sent_by = env.sent_by(&leg.flow);
        let Some(mut draft) = env.endpoint.draft_in_dialog(leg.dialog, method, &sent_by) else { return };
        write_abilities(&mut draft.writer);
        leg.session.timer.write_request(&mut draft.writer);
        sign_request(&mut draft.writer);
        if by_invite {
            draft.writer.body(SDP, &leg.session.local);
        }
        let transaction = env.endpoint.request(env.now, draft, owner);
        leg.refresh = Some(Refresh::Asked { transaction, by_invite });
    }

    /// The call is over: no answer is waited for. An INVITE that got a provisional response would wait for ever.
    pub(super) fn abandon_refreshes(&mut self, env: &mut Environment) {
        for side in [Side::Caller, Side::Callee] {
            let refresh = self.leg_mut(side).and_then(|leg| leg.refresh.take());
            if let Some(Refresh::Asked { transaction, by_invite: true }) = refresh {
                env.endpoint.cancel(env.now, transaction);
            }
        }
    }

    /// A response; whether it was to a session refresh request of ours, and whether the call is over by it.
    pub(super) fn handle_refresh_response(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        response: &Message,
    ) -> Option<bool> {
        let side = self.refreshed_by(transaction)?;
        let status = response.status().filter(|status| status.is_final());
        let Some(status) = status else { return Some(false) };
        let outcome = self.on_refreshed(env, side, status, response);
        Some(matches!(outcome, Outcome::Gone))
    }

    /// No answer came at all; whether it was to a session refresh request of ours, which ends the call (RFC 4028 §10).
    pub(super) fn handle_refresh_failure(&mut self, transaction: TransactionId) -> bool {
        self.refreshed_by(transaction).is_some()
    }

    fn refreshed_by(&mut self, transaction: TransactionId) -> Option<Side> {
        let asked =
            |call: &mut Call, side| call.leg_mut(side).is_some_and(|leg| leg.asked(transaction).is_some());
        [Side::Caller, Side::Callee].into_iter().find(|side| asked(self, *side))
    }

    fn on_refreshed(
        &mut self,
        env: &mut Environment,
        side: Side,
        status: Status,
        response: &Message,
    ) -> Outcome {
        let made_the_call_id = side == Side::Callee;
        let Some(leg) = self.leg_mut(side) else { return Outcome::Done };
        let by_invite = matches!(leg.refresh.take(), Some(Refresh::Asked { by_invite: true, .. }));
        match status {
            status if status.is_success() => {
                leg.session.timer.handle_success(env.now, response);
                if by_invite {
                    let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
                    env.endpoint.acknowledge(dialog, response, &sent_by);
                    self.take_refreshed(env, side, response);
                }
                Outcome::Done
            }
            Status::REQUEST_TIMEOUT | Status::CALL_DOES_NOT_EXIST => Outcome::Gone,
            Status::REQUEST_PENDING => {
                let delay = glare::delay(env.endpoint.random(), made_the_call_id);
                leg.refresh = Some(Refresh::Again(env.now + delay));
                Outcome::Done
            }
            Status::SESSION_INTERVAL_TOO_SMALL if leg.session.timer.handle_too_small(response) => {
                self.refresh(env, side);
                Outcome::Done
            }
            // The timer ends the call unless the party refreshes it.
            _ => Outcome::Done,
        }
    }

    /// The answer to what was offered only to refresh: the party may have moved.
    fn take_refreshed(&mut self, env: &mut Environment, side: Side, response: &Message) {
        let Ok(Some(answer)) = read(response) else { return };
        match self.phase {
            Phase::Served => _ = self.serve_offered(env, answer),
            // With other streams an answer may say more than can be taken from it; nothing was asked of them.
            Phase::Talking { .. } if self.streams.is_none() => {
                let answer = self.taken(side, answer);
                self.readopt(env, side, answer);
            }
            Phase::Talking { .. }
            | Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Ended => {}
        }
    }

    /// An UPDATE of one side (RFC 3311 §5.2).
    pub(super) fn handle_update(&mut self, env: &mut Environment, side: Side, request: &Request) {
        let transaction = env.endpoint.accept(env.now, request, self.owner());
        let Some(leg) = self.leg_mut(side) else { return };
        let dialog = leg.dialog;
        let body = match leg.session.timer.check(&request.message) {
            Err(too_small) => {
                let status = Status::SESSION_INTERVAL_TOO_SMALL;
                let mut response = env.endpoint.response(request, status, None);
                SessionTimer::write_too_small(too_small, &mut response);
                sign_response(&mut response);
                return env.endpoint.respond(env.now, transaction, status, response.finish());
            }
            Ok(()) if request.message.body().is_empty() => Ok(None),
            Ok(())
                if side == Side::Caller
                    && matches!(self.phase, Phase::Ringing(_))
                    && !self.has_waiting_caller() =>
            {
                self.renegotiate_early(env, &request.message).map(Some)
            }
            Ok(()) => self.renegotiate(env, side, request).map(Some),
        };
        match body {
            Ok(body) => {
                let mut response = self.renewed(env, side, request, dialog);
                if let Some(body) = body {
                    response.body(SDP, &body);
                }
                env.endpoint.respond(env.now, transaction, Status::OK, response.finish());
            }
            Err(status) => self.refuse_change(env, request, transaction, status),
        }
    }

    /// Begins the 2xx to a session refresh request of one side.
    pub(super) fn renewed(
        &mut self,
        env: &mut Environment,
        side: Side,
        request: &Request,
        dialog: DialogId,
    ) -> sip_stack::message::Writer {
        let contact = env.endpoint.dialog(dialog).map(|dialog| dialog.contact().clone()).unwrap_or_default();
        let mut response = env.endpoint.response(request, Status::OK, None);
        response.header(HeaderName::Contact, &contact);
        write_abilities(&mut response);
        self.note_packages(side, &request.message);
        if let Some(leg) = self.leg_mut(side) {
            leg.session.timer.answer(env.now, &request.message, &mut response);
        }
        sign_response(&mut response);
        response
    }

    /// Refuses a re-INVITE or UPDATE; everything stays as it was.
    pub(super) fn refuse_change(
        &self,
        env: &mut Environment,
        request: &Request,
        transaction: TransactionId,
        status: Status,
    ) {
        let mut response = env.endpoint.response(request, status, None);
        if status == Status::SERVER_INTERNAL_ERROR {
            glare::write_retry_after(env.endpoint.random(), &mut response);
        }
        sign_response(&mut response);
        env.endpoint.respond(env.now, transaction, status, response.finish());
    }
}
