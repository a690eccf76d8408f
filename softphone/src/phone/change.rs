//! Changing what was agreed in a call that is up: hold and resume by re-INVITE (RFC 3261 §14.1, RFC 3264 §8.4); refreshing it
//! without a change, by UPDATE where the other side takes that (RFC 4028 §7.4).
//!
//! One change at a time; what the user wants meanwhile follows it. When both sides ask at once (491), the side that made the
//! Call-ID waits longer (§14.1). A refusal leaves the call as it was, a 408, 481 or no answer at all ends it (§12.2.1.2).

use super::identity::Identity;
use super::machine::{ALLOW, SUPPORTED};
use super::session::{SDP, description};
use super::{CallId, CommandError, Event, Phone, Reason};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::dialog::DialogId;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::session::glare;
use sip_stack::transaction::{StatusClass, TransactionId};

/// A re-INVITE of ours.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    state: ChangeState,
    attempt: Attempt,
    /// Whether we held the other side before.
    before: bool,
    /// It is an UPDATE that only refreshes the session.
    by_update: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ChangeState {
    /// It is out.
    Asked(TransactionId),
    /// The other side asked at the same time: again then.
    Waiting(Time),
}

impl Change {
    /// Whether the offer that is open is that of the re-INVITE.
    pub(super) fn is_asked(&self) -> bool {
        match self.state {
            ChangeState::Asked(_) => !self.by_update,
            ChangeState::Waiting(_) => false,
        }
    }

    /// Whether we held the other side before.
    pub(super) fn before(&self) -> bool {
        self.before
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            ChangeState::Asked(_) => None,
            ChangeState::Waiting(until) => Some(until),
        }
    }
}

impl Phone {
    /// The user wants to hold a call, or to talk in it again.
    pub(super) fn hold(&mut self, now: Time, id: CallId, wanted: bool) -> Result<(), CommandError> {
        let call = self.calls.get_mut(&id).ok_or(CommandError::NoSuchCall(id))?;
        if call.dialog().is_none() {
            return Err(CommandError::NotConnected(id));
        }
        call.hold_wanted = wanted;
        if !wanted {
            self.hold_others(now, id);
        }
        self.change_if_needed(now, id);
        Ok(())
    }

    /// Asks for what the user wants, unless it is so, or an offer is open already.
    pub(super) fn change_if_needed(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (Some(dialog), Some(session)) = (call.dialog(), call.session.as_mut()) else { return };
        let is_so = session.is_holding() == call.hold_wanted && !call.refresh_wanted;
        if call.change.is_some() || session.is_offering() || is_so {
            return;
        }
        let before = session.is_holding();
        self.send_change(now, id, dialog, Attempt::default(), before);
    }

    fn send_change(&mut self, now: Time, id: CallId, dialog: DialogId, mut attempt: Attempt, before: bool) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (account, wanted) = (call.account, call.hold_wanted);
        call.refresh_wanted = false;
        let timer = call.timer;
        let Some(session) = call.session.as_mut() else { return };
        let by_update = session.is_holding() == wanted && timer.refreshes_by_update();
        let (method, offer) = if by_update {
            (Method::Update, Bytes::new())
        } else {
            (Method::Invite, session.offer_hold(wanted))
        };
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, digest, .. }, endpoint) = self.identity_mut(account);
        let Some(target) = endpoint.dialog(dialog).map(|dialog| dialog.remote_target().clone()) else {
            return;
        };
        let Some(mut draft) = endpoint.draft_in_dialog(dialog, method, &account.sent_by()) else {
            return;
        };
        draft.writer.header(HeaderName::Allow, ALLOW);
        draft.writer.header(HeaderName::Supported, SUPPORTED);
        timer.write_request(&mut draft.writer);
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject = Subject { method, uri: &target, body: &offer };
        digest.authorize(&subject, &[account.login()], &mut attempt, &mut draft.writer);
        if !by_update {
            draft.writer.body(SDP, &offer);
        }
        let transaction = endpoint.request(now, draft, id.0);
        if let Some(call) = self.calls.get_mut(&id) {
            call.change = Some(Change { state: ChangeState::Asked(transaction), attempt, before, by_update });
        }
    }

    fn change_of(&self, id: CallId, transaction: TransactionId) -> Option<(Change, DialogId)> {
        let call = self.calls.get(&id)?;
        let change = call.change.filter(|change| change.state == ChangeState::Asked(transaction))?;
        Some((change, call.dialog()?))
    }

    /// Whether the response was to a re-INVITE of ours.
    pub(super) fn on_change_response(
        &mut self,
        now: Time,
        id: CallId,
        transaction: TransactionId,
        response: &Message,
    ) -> bool {
        let Some((change, dialog)) = self.change_of(id, transaction) else { return false };
        let Some(status) = response.status() else { return true };
        match StatusClass::of(status) {
            StatusClass::Provisional => {}
            StatusClass::Success if change.by_update => self.on_refreshed(now, id, response),
            StatusClass::Success => self.on_changed(now, id, dialog, response),
            StatusClass::Failure => self.on_change_refused(now, id, dialog, change, status, response),
        }
        true
    }

    fn on_refreshed(&mut self, now: Time, id: CallId, response: &Message) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.change = None;
        call.timer.handle_success(now, response);
        self.change_if_needed(now, id);
    }

    fn on_changed(&mut self, now: Time, id: CallId, dialog: DialogId, response: &Message) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let before = call.change.take().is_some_and(|change| change.before);
        call.timer.handle_success(now, response);
        let account = call.account;
        let accepted = match (description(response), call.session.as_mut()) {
            (Ok(Some(answer)), Some(session)) => session.accept_answer(&answer, true),
            (Ok(_), _) => Err(Reason::Nonsense),
            (Err(reason), _) => Err(reason),
        };
        let sent_by = self.identity(account).account.sent_by();
        self.endpoint.acknowledge(dialog, response, &sent_by);
        if let Err(reason) = accepted {
            return self.break_off(now, id, dialog, reason);
        }
        let holding = self
            .calls
            .get(&id)
            .and_then(|call| call.session.as_ref())
            .is_some_and(|session| session.is_holding());
        self.announce(id);
        if before != holding {
            self.tell(Event::Held { call: id, held: holding });
        }
        self.change_if_needed(now, id);
    }

    fn on_change_refused(
        &mut self,
        now: Time,
        id: CallId,
        dialog: DialogId,
        mut change: Change,
        status: Status,
        response: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let account = call.account;
        if let Some(session) = call.session.as_mut().filter(|_| !change.by_update) {
            session.withdraw(change.before);
        }
        let is_longer = status == Status::SESSION_INTERVAL_TOO_SMALL && call.timer.handle_too_small(response);
        // A refresh that failed is the timer's business; nothing was wanted of it.
        let refreshes = change.by_update || call.hold_wanted == change.before;
        match status {
            Status::REQUEST_PENDING => {
                let made_the_call_id = self.log.direction(id) != Some(super::CallDirection::Incoming);
                let delay = glare::delay(self.endpoint.random(), made_the_call_id);
                if let Some(call) = self.calls.get_mut(&id) {
                    call.refresh_wanted |= refreshes;
                    call.change = Some(Change { state: ChangeState::Waiting(now + delay), ..change });
                }
            }
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
                if self.on_challenge(account, response, &mut change.attempt) == Verdict::Again =>
            {
                self.send_change(now, id, dialog, change.attempt, change.before);
            }
            _ if is_longer => self.send_change(now, id, dialog, change.attempt, change.before),
            Status::REQUEST_TIMEOUT | Status::CALL_DOES_NOT_EXIST => {
                self.break_off(now, id, dialog, Reason::Lost);
            }
            _ if refreshes => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.change = None;
                }
            }
            status => {
                if let Some(call) = self.calls.get_mut(&id) {
                    (call.change, call.hold_wanted) = (None, change.before);
                }
                let reason = Reason::of_call(status, response);
                self.tell(Event::HoldFailed { call: id, reason });
            }
        }
    }

    /// The wait after a glare may be over.
    pub(super) fn on_change_timeout(&mut self, now: Time, id: CallId) {
        if let Some(call) = self.calls.get_mut(&id)
            && call.change.as_ref().and_then(Change::poll_timeout).is_some_and(|until| until <= now)
        {
            call.change = None;
            self.change_if_needed(now, id);
        }
    }

    /// Whether it was a re-INVITE of ours that found no answer; the dialog is over then (§12.2.1.2).
    pub(super) fn on_change_lost(&mut self, now: Time, id: CallId, transaction: TransactionId) -> bool {
        let lost = self.change_of(id, transaction);
        if let Some((_, dialog)) = lost {
            self.break_off(now, id, dialog, Reason::Lost);
        }
        lost.is_some()
    }
}
