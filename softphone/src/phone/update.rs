//! UPDATE and PRACK of the other side (RFC 3311 §5.2, RFC 3262 §3), and session timers (RFC 4028): when a session has to be
//! refreshed, and when it is over because nobody did.
//!
//! Left out on purpose: offers in a PRACK, and offers of ours in provisional responses.

use super::call::Phase;
use super::session::{SDP, description, write_accept};
use super::{AccountId, CallId, Phone, Reason};
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status};
use sip_stack::session::{Conflict, Due, SessionTimer};

impl Phone {
    /// An UPDATE: with an offer it changes the session, without one it refreshes it.
    pub(super) fn on_update(&mut self, now: Time, request: &Request, dialog: DialogId, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return self.refuse(now, request, Status::CALL_DOES_NOT_EXIST, |_| {});
        };
        if let Err(too_small) = call.timer.check(&request.message) {
            let status = Status::SESSION_INTERVAL_TOO_SMALL;
            let mut response = self.endpoint.response(request, status, None);
            SessionTimer::write_too_small(too_small, &mut response);
            let transaction = self.endpoint.accept(now, request, id.0);
            return self.endpoint.respond(now, transaction, status, response.finish());
        }
        let described = match description(&request.message) {
            Err(_) => return self.refuse(now, request, Status::UNSUPPORTED_MEDIA_TYPE, write_accept),
            Ok(None) => None,
            Ok(Some(offer)) => {
                let is_up = call.is_up_in(dialog);
                // RFC 3311 §5.2: before the answer, once a reliable response has answered our offer.
                let is_early =
                    matches!(&call.phase, Phase::Calling(calling) if calling.early.contains(&dialog));
                let session = call.session.as_mut();
                let session = session.filter(|session| is_up || (is_early && session.stream().is_some()));
                let Some(session) = session else {
                    return self.conflict(now, request, Conflict::AnswerPending);
                };
                if session.is_offering() {
                    return self.conflict(now, request, Conflict::OfferPending);
                }
                match session.answer(&offer) {
                    Ok(answer) => Some(answer),
                    Err(_) => return self.refuse(now, request, Status::NOT_ACCEPTABLE_HERE, |_| {}),
                }
            }
        };
        let transaction = self.endpoint.accept(now, request, id.0);
        let account = self.calls.get(&id).map_or(AccountId::FIRST, |call| call.account);
        let mut ok = self.dialog_response(account, request, Status::OK, b"");
        if let Some(call) = self.calls.get_mut(&id) {
            call.timer.answer(now, &request.message, &mut ok);
        }
        if let Some(body) = described {
            ok.body(SDP, &body);
        }
        self.endpoint.respond(now, transaction, Status::OK, ok.finish());
        self.announce(id);
    }

    /// Refuses a change that another one stands in the way of (RFC 3261 §14.2, RFC 3311 §5.2).
    pub(super) fn conflict(&mut self, now: Time, request: &Request, conflict: Conflict) {
        let status = conflict.status();
        let mut response = self.endpoint.response(request, status, None);
        conflict.write(self.endpoint.random(), &mut response);
        let transaction = self.endpoint.accept(now, request, 0);
        self.endpoint.respond(now, transaction, status, response.finish());
    }

    /// A PRACK; what it acknowledges the endpoint knows.
    pub(super) fn on_prack(&mut self, now: Time, request: &Request) {
        if !request.message.body().is_empty() {
            return self.refuse(now, request, Status::NOT_ACCEPTABLE_HERE, |_| {});
        }
        let transaction = self.endpoint.accept(now, request, 0);
        let ok = self.endpoint.response(request, Status::OK, None).finish();
        self.endpoint.respond(now, transaction, Status::OK, ok);
    }

    /// Acknowledges a provisional response that asks for it (RFC 3262 §4); whether it does.
    pub(super) fn send_prack(&mut self, now: Time, id: CallId, dialog: DialogId, response: &Message) -> bool {
        let Some(call) = self.calls.get(&id) else { return false };
        let account = &self.identity(call.account).account;
        let sent_by = account.sent_by();
        let Some(mut draft) = self.endpoint.draft_prack(dialog, response, &sent_by) else { return false };
        draft.writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        self.endpoint.request(now, draft, id.0);
        true
    }

    /// What the session timer of a call that is up asks for.
    pub(super) fn on_session_timeout(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match call.timer.handle_timeout(now) {
            Some(Due::Refresh) => {
                call.refresh_wanted = true;
                self.change_if_needed(now, id);
            }
            Some(Due::Expired) => {
                if let Phase::Up { dialog } = call.phase {
                    self.break_off(now, id, dialog, Reason::Lost);
                }
            }
            None => {}
        }
    }
}
