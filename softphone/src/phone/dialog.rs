//! Requests within a call: re-INVITE, ACK, BYE (RFC 3261 §12.2.2, §14.2, §15), and our own BYE.

use super::call::Phase;
use super::change::Change;
use super::identity::Identity;
use super::session::{SDP, Session, description, write_accept};
use super::watch::Owner;
use super::{AccountId, CallId, Ending, Phone, Reason};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::session::{Conflict, SessionTimer, TimerPolicy};
use sip_stack::transaction::TransactionId;

/// A BYE of ours without its response; the call it ends is gone already.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Farewell {
    account: AccountId,
    dialog: DialogId,
    attempt: Attempt,
}

impl Phone {
    /// Ends a dialog (§15.1.1). It is forgotten with the answer.
    pub(super) fn say_goodbye(&mut self, now: Time, account: AccountId, dialog: DialogId) {
        self.send_bye(now, Farewell { account, dialog, attempt: Attempt::default() });
    }

    /// Whether our BYE in a dialog has no answer yet.
    pub(super) fn says_goodbye(&self, dialog: DialogId) -> bool {
        self.farewells.values().any(|farewell| farewell.dialog == dialog)
    }

    fn send_bye(&mut self, now: Time, mut farewell: Farewell) {
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, digest, .. }, endpoint) = self.identity_mut(farewell.account);
        let Some(target) = endpoint.dialog(farewell.dialog).map(|dialog| dialog.remote_target().clone())
        else {
            return;
        };
        let sent_by = account.sent_by();
        let Some(mut draft) = endpoint.draft_in_dialog(farewell.dialog, Method::Bye, &sent_by) else {
            return;
        };
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject = Subject { method: Method::Bye, uri: &target, body: b"" };
        digest.authorize(&subject, &[account.login()], &mut farewell.attempt, &mut draft.writer);
        let transaction = endpoint.request(now, draft, 0);
        self.farewells.insert(transaction, farewell);
    }

    /// Whether the response was to a BYE of ours; then the dialog is over, whatever it says (§15.1.1).
    pub(super) fn on_bye_response(
        &mut self,
        now: Time,
        transaction: TransactionId,
        response: &Message,
    ) -> bool {
        let Some(mut farewell) = self.farewells.get(&transaction).copied() else { return false };
        let Some(status) = response.status().filter(|status| status.is_final()) else { return true };
        self.farewells.remove(&transaction);
        if matches!(status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
            && self.on_challenge(farewell.account, response, &mut farewell.attempt) == Verdict::Again
        {
            self.send_bye(now, farewell);
        } else {
            self.endpoint.end_dialog(farewell.dialog);
        }
        true
    }

    /// Whether it was a BYE of ours that found nobody; the dialog is over all the same.
    pub(super) fn on_bye_lost(&mut self, transaction: TransactionId) -> bool {
        let farewell = self.farewells.remove(&transaction);
        if let Some(farewell) = farewell {
            self.endpoint.end_dialog(farewell.dialog);
        }
        farewell.is_some()
    }

    pub(super) fn on_request_in_dialog(&mut self, now: Time, request: &Request, dialog: DialogId) {
        let owner = self.endpoint.dialog(dialog).map_or(0, |dialog| dialog.owner());
        if let Some(owner) = Owner::of(owner) {
            return match (owner, request.message.method()) {
                (Owner::Watch(id), Some(Method::Notify)) => self.on_watch_notify(now, request, dialog, id),
                (Owner::Watch(_) | Owner::Publisher(_), Some(Method::Options)) => {
                    self.on_other_request(request);
                }
                // A call has nothing to do in the dialog of a subscription (RFC 6665 §4.5.2).
                (Owner::Watch(_) | Owner::Publisher(_), Some(_) | None) => {
                    self.refuse(now, request, Status::METHOD_NOT_ALLOWED, |_| {});
                }
            };
        }
        match request.message.method() {
            Some(Method::Bye) => self.on_bye(now, request, dialog, CallId(owner)),
            Some(Method::Invite) => self.on_reinvite(now, request, dialog, CallId(owner)),
            Some(Method::Info) => self.on_info(now, request, dialog, CallId(owner)),
            Some(Method::Update) => self.on_update(now, request, dialog, CallId(owner)),
            Some(Method::Prack) => self.on_prack(now, request),
            Some(Method::Refer) => self.on_refer(now, request, dialog, CallId(owner)),
            Some(Method::Notify) => self.on_notify(now, request, CallId(owner)),
            Some(_) | None => self.on_other_request(request),
        }
    }

    fn on_bye(&mut self, now: Time, request: &Request, dialog: DialogId, id: CallId) {
        let transaction = self.endpoint.accept(now, request, id.0);
        let ok = self.endpoint.response(request, Status::OK, None).finish();
        self.endpoint.respond(now, transaction, Status::OK, ok);
        match self.calls.get_mut(&id).map(|call| &mut call.phase) {
            Some(Phase::Up { dialog: ours }) if *ours == dialog => {
                let into = self.calls.remove(&id).and_then(|call| call.transfer?.into);
                self.end(now, id, Ending::Theirs);
                if let Some(into) = into {
                    // The news may come later or be lost; the user talks in that call now, if it still is.
                    let _resumed = self.hold(now, into, false);
                }
            }
            // §15.1.2: the caller may end an early dialog so; the INVITE is answered 487.
            Some(Phase::Ringing(ringing)) if ringing.dialog == dialog => {
                self.finish_ringing(now, id, Status::REQUEST_TERMINATED);
                self.end(now, id, Ending::Theirs);
            }
            Some(Phase::Calling(calling)) => calling.early.retain(|early| *early != dialog),
            Some(Phase::Up { .. } | Phase::Ringing(_) | Phase::Opening { .. }) | None => {}
        }
        self.endpoint.end_dialog(dialog);
    }

    fn on_reinvite(&mut self, now: Time, request: &Request, dialog: DialogId, id: CallId) {
        let timer =
            self.calls.get(&id).map_or_else(|| SessionTimer::new(TimerPolicy::default()), |call| call.timer);
        let session = self.calls.get_mut(&id).and_then(|call| match &call.phase {
            Phase::Up { dialog: ours } if *ours == dialog => call.session.as_mut(),
            Phase::Up { .. } | Phase::Opening { .. } | Phase::Calling(_) | Phase::Ringing(_) => None,
        });
        let Some(session) = session else {
            if self.calls.get(&id).is_some_and(|call| matches!(call.phase, Phase::Ringing(_))) {
                // §14.2: the first INVITE is not answered yet.
                return self.conflict(now, request, Conflict::AnswerPending);
            }
            return self.refuse(now, request, Status::CALL_DOES_NOT_EXIST, |_| {});
        };
        // RFC 3264 §4: no new offer before the last one is answered.
        if session.is_offering() {
            return self.conflict(now, request, Conflict::OfferPending);
        }
        if let Err(too_small) = timer.check(&request.message) {
            let status = Status::SESSION_INTERVAL_TOO_SMALL;
            let mut response = self.endpoint.response(request, status, None);
            SessionTimer::write_too_small(too_small, &mut response);
            let transaction = self.endpoint.accept(now, request, id.0);
            return self.endpoint.respond(now, transaction, status, response.finish());
        }
        let described = match description(&request.message) {
            Err(_) => return self.refuse(now, request, Status::UNSUPPORTED_MEDIA_TYPE, write_accept),
            Ok(Some(offer)) => session.answer(&offer),
            Ok(None) => Ok(Session::offer(session)),
        };
        let Ok(body) = described else {
            return self.refuse(now, request, Status::NOT_ACCEPTABLE_HERE, |_| {});
        };
        let transaction = self.endpoint.accept(now, request, id.0);
        // To of a request within a dialog has our tag already.
        let account = self.calls.get(&id).map_or(AccountId::FIRST, |call| call.account);
        let mut ok = self.dialog_response(account, request, Status::OK, b"");
        if let Some(call) = self.calls.get_mut(&id) {
            call.timer.answer(now, &request.message, &mut ok);
        }
        ok.body(SDP, &body);
        self.endpoint.answer_invite(now, transaction, dialog, Status::OK, ok.finish());
        self.announce(id);
    }

    /// The ACK of our 2xx, with the answer when the 2xx had the offer (§13.2.2.4).
    pub(super) fn on_acknowledged(&mut self, now: Time, id: CallId, dialog: DialogId, ack: &Message) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.is_up_in(dialog)) else { return };
        // Our re-INVITE may have left before the ACK came: the answer to its offer is in its response.
        if call.change.as_ref().is_some_and(Change::is_asked) {
            return;
        }
        let Some(session) = call.session.as_mut().filter(|session| session.is_offering()) else { return };
        let accepted = match description(ack) {
            Ok(Some(answer)) => session.accept_answer(&answer, true),
            Ok(None) => Err(Reason::Nonsense),
            Err(reason) => Err(reason),
        };
        match accepted {
            Ok(()) => {
                self.announce(id);
                self.change_if_needed(now, id);
            }
            Err(reason) => self.break_off(now, id, dialog, reason),
        }
    }

    /// No ACK came for our 2xx (§13.3.1.4): the dialog is confirmed, the session ends.
    pub(super) fn on_unacknowledged(&mut self, now: Time, id: CallId, dialog: DialogId) {
        if self.calls.get(&id).is_some_and(|call| call.is_up_in(dialog)) {
            self.break_off(now, id, dialog, Reason::Lost);
        } else if let Some(Phase::Ringing(ringing)) = self.calls.get(&id).map(|call| &call.phase)
            && ringing.dialog == dialog
        {
            // RFC 3262 §3: a provisional response was not acknowledged.
            self.finish_ringing(now, id, Status::SERVER_INTERNAL_ERROR);
            self.end(now, id, Ending::Failed(Reason::Lost));
        }
    }
}
