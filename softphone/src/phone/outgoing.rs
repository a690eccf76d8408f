//! Calls of ours: INVITE, its responses, CANCEL (RFC 3261 §13.2, §9.1).

use super::call::{Call, Calling, Phase};
use super::digits::takes_info;
use super::identity::Identity;
use super::machine::{ALLOW, RINGING_LIMIT, SUPPORTED};
use super::outside::Outside;
use super::session::{SDP, Session, description};
use super::transfer::Sent;
use super::{
    AccountId, CallDirection, CallId, CommandError, Ending, Event, LoggedCall, MediaCommand, Output, Phone,
    Reason, Unreached,
};
use bytes::Bytes;
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::dialog::DialogId;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::resolve::Failure;
use sip_stack::transaction::{StatusClass, TransactionId};

impl Phone {
    pub(super) fn redial(&mut self, now: Time) -> Result<(), CommandError> {
        let (account, target) = self.dialled.clone().ok_or(CommandError::NothingDialled)?;
        self.call(now, account, &target)
    }

    pub(super) fn call(&mut self, now: Time, account: AccountId, target: &str) -> Result<(), CommandError> {
        if self.calls() >= usize::from(self.settings.lines) {
            return Err(CommandError::NoFreeLine(self.settings.lines));
        }
        let caller =
            self.identities.get(usize::from(account.0)).ok_or(CommandError::NoSuchAccount(account))?;
        let uri = caller.account.resolve(target).ok_or_else(|| CommandError::BadTarget(target.into()))?;
        self.dialled = Some((account, target.into()));
        self.call_uri(now, account, Bytes::from(uri), Sent::default());
        Ok(())
    }

    /// Calls an address.
    pub(super) fn call_uri(&mut self, now: Time, account: AccountId, target: Bytes, sent: Sent) -> CallId {
        let call = self.next_call();
        let asked = self.has_way(account);
        self.calls.insert(call, Call::new(account, Phase::Opening { target: target.clone(), sent, asked }));
        self.log.begin(LoggedCall {
            call: Some(call),
            account,
            direction: CallDirection::Outgoing,
            peer: target.clone(),
            began: now,
            connected: None,
            ended: None,
        });
        self.hold_others(now, call);
        self.tell(Event::Calling { call, target });
        if asked {
            self.outputs.push_back(Output::Media(MediaCommand::Open { call }));
        }
        call
    }

    /// The RTP port of a call is there: the INVITE may leave.
    pub(super) fn begin_calling(&mut self, now: Time, id: CallId, target: Bytes, sent: Sent) {
        let tag = self.endpoint.random().tag();
        let Some(account) = self.calls.get(&id).map(|call| &self.identity(call.account).account) else {
            return;
        };
        let from = [&account.from()[..], b";tag=", &tag].concat().into();
        let calling = Calling {
            invite: None,
            target,
            call_id: Bytes::copy_from_slice(&self.endpoint.random().token::<24>()),
            from,
            cseq: 0,
            attempt: Attempt::default(),
            sent,
            early: Vec::new(),
            heard: false,
            ringing: false,
            cancelled: false,
            handed_over: false,
            give_up_at: now + RINGING_LIMIT,
        };
        self.send_invite(now, id, Box::new(calling));
    }

    /// Sends the INVITE, again with credentials after a challenge (§22.2: same Call-ID and From, next CSeq).
    pub(super) fn send_invite(&mut self, now: Time, id: CallId, mut calling: Box<Calling>) {
        let Some(account) = self.calls.get(&id).map(|call| call.account) else { return };
        if !self.has_way(account) {
            return self.call_later(id, calling);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(offer) = call.session.as_mut().map(Session::offer) else { return };
        let timer = call.timer;
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, registration, digest, .. }, endpoint) = self.identity_mut(account);
        calling.cseq += 1;
        let outside = Outside {
            method: Method::Invite,
            uri: &calling.target,
            from: &calling.from,
            to: &calling.target,
            sequence: Some((&calling.call_id, calling.cseq)),
        };
        let mut draft = outside.draft(endpoint, account, registration);
        draft.writer.header(HeaderName::Contact, &account.contact());
        draft.writer.header(HeaderName::Allow, ALLOW);
        draft.writer.header(HeaderName::Supported, SUPPORTED);
        timer.write_request(&mut draft.writer);
        if let Some(replaces) = &calling.sent.replaces {
            draft.writer.header(HeaderName::Replaces, replaces);
        }
        if let Some(by) = &calling.sent.referred_by {
            draft.writer.header(HeaderName::ReferredBy, by);
        }
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject = Subject { method: Method::Invite, uri: &calling.target, body: &offer };
        digest.authorize(&subject, &[account.login()], &mut calling.attempt, &mut draft.writer);
        draft.writer.body(SDP, &offer);
        calling.invite = Some(endpoint.request(now, draft, id.0));
        if let Some(call) = self.calls.get_mut(&id) {
            call.phase = Phase::Calling(calling);
        }
    }

    /// The INVITE waits for a way to the server.
    fn call_later(&mut self, id: CallId, mut calling: Box<Calling>) {
        (calling.invite, calling.heard, calling.attempt) = (None, false, Attempt::default());
        if let Some(call) = self.calls.get_mut(&id) {
            call.phase = Phase::Calling(calling);
        }
    }

    /// The INVITE failed: whether it waits for another way to the server.
    fn waits(&mut self, id: CallId, failure: Failure, because: Reason) -> bool {
        let Some(Call { phase: Phase::Calling(calling), account, .. }) = self.calls.get(&id) else {
            return false;
        };
        let (account, mut calling) = (*account, calling.clone());
        if calling.cancelled || !self.looks_on(account, failure, because) {
            return false;
        }
        calling.early.drain(..).for_each(|dialog| self.endpoint.end_dialog(dialog));
        self.call_later(id, calling);
        true
    }

    /// A response to an INVITE, whichever call sent it, and whether that call is still there.
    pub(super) fn on_invite_response(
        &mut self,
        now: Time,
        id: CallId,
        transaction: TransactionId,
        dialog: Option<DialogId>,
        response: &Message,
    ) {
        let Some(status) = response.status() else { return };
        let account = self.account_of(id, dialog);
        let ours = match self.calls.get_mut(&id).map(|call| &mut call.phase) {
            Some(Phase::Calling(calling)) => calling.invite == Some(transaction),
            Some(Phase::Opening { .. } | Phase::Ringing(_) | Phase::Up { .. }) | None => false,
        };
        match (StatusClass::of(status), dialog) {
            (StatusClass::Provisional, dialog) if ours => self.on_progress(now, id, dialog, status, response),
            (StatusClass::Success, Some(dialog)) if ours => self.on_answered(now, id, dialog, response),
            // §13.2.2.4: a 2xx of another branch, or one that was too late.
            (StatusClass::Success, Some(dialog)) => {
                let sent_by = self.identity(account).account.sent_by();
                self.endpoint.acknowledge(dialog, response, &sent_by);
                // It may be that of a re-INVITE, which was under way when we hung up.
                let is_up = self.calls.get(&id).is_some_and(|call| call.is_up_in(dialog));
                if !is_up && !self.says_goodbye(dialog) {
                    self.say_goodbye(now, account, dialog);
                }
            }
            (StatusClass::Success, None) if ours => self.calling_failed(now, id, Reason::Nonsense),
            (StatusClass::Failure, _) if ours => self.on_failure(now, id, status, response),
            // Such dialogs are of no call.
            (StatusClass::Provisional, Some(dialog)) => self.endpoint.end_dialog(dialog),
            (StatusClass::Provisional | StatusClass::Success, None) | (StatusClass::Failure, _) => {}
        }
    }

    fn on_progress(
        &mut self,
        now: Time,
        id: CallId,
        dialog: Option<DialogId>,
        status: Status,
        response: &Message,
    ) {
        // What is acknowledged is as good as the answer in a final response (RFC 3262 §5).
        let settled = dialog.is_some_and(|dialog| self.send_prack(now, id, dialog, response));
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Phase::Calling(calling) = &mut call.phase else { return };
        calling.heard = true;
        if let Some(dialog) = dialog
            && !calling.early.contains(&dialog)
        {
            calling.early.push(dialog);
        }
        if status == Status::TRYING || calling.cancelled {
            return;
        }
        let first = !core::mem::replace(&mut calling.ringing, true);
        if let (Ok(Some(early_media)), Some(session)) = (description(response), &mut call.session) {
            // What cannot be used now is judged when the final response repeats it.
            let _ = session.accept_answer(&early_media, settled);
        }
        if first {
            self.tell(Event::Ringing { call: id });
        }
        self.tell_referrer(now, id, status);
        self.announce(id);
    }

    fn on_answered(&mut self, now: Time, id: CallId, dialog: DialogId, response: &Message) {
        let account = self.account_of(id, Some(dialog));
        let sent_by = self.identity(account).account.sent_by();
        self.endpoint.acknowledge(dialog, response, &sent_by);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.keys.peer_takes_info = takes_info(response);
        call.timer.forget_min_se();
        call.timer.handle_success(now, response);
        let cancelled = match &mut call.phase {
            Phase::Calling(calling) => {
                let others = core::mem::take(&mut calling.early);
                others
                    .into_iter()
                    .filter(|other| *other != dialog)
                    .for_each(|other| self.endpoint.end_dialog(other));
                calling.cancelled
            }
            Phase::Opening { .. } | Phase::Ringing(_) | Phase::Up { .. } => false,
        };
        if cancelled {
            self.calls.remove(&id);
            self.say_goodbye(now, account, dialog);
            return;
        }
        call.phase = Phase::Up { dialog };
        match (description(response), call.session.as_mut()) {
            (Ok(Some(answer)), Some(session)) => {
                if let Err(reason) = session.accept_answer(&answer, true) {
                    return self.break_off(now, id, dialog, reason);
                }
            }
            // The answer came with a provisional response, and was not repeated as it should have been.
            (Ok(None), Some(session)) if session.stream().is_some() => {}
            (Ok(_), _) => return self.break_off(now, id, dialog, Reason::Nonsense),
            (Err(reason), _) => return self.break_off(now, id, dialog, reason),
        }
        self.connect(now, id);
    }

    /// The account of a call; of a call that is gone, the one whose Contact its dialog has.
    fn account_of(&self, id: CallId, dialog: Option<DialogId>) -> AccountId {
        if let Some(call) = self.calls.get(&id) {
            return call.account;
        }
        let contact = dialog.and_then(|dialog| self.endpoint.dialog(dialog)).map(|dialog| dialog.contact());
        let ours = |id: &AccountId| {
            contact.is_some_and(|contact| **contact == *self.identity(*id).account.contact())
        };
        self.account_ids().find(ours).unwrap_or(AccountId::FIRST)
    }

    fn on_failure(&mut self, now: Time, id: CallId, status: Status, response: &Message) {
        if status == Status::SESSION_INTERVAL_TOO_SMALL && self.call_longer(now, id, response) {
            return;
        }
        if status == Status::REQUEST_TERMINATED && self.was_handed_over(now, id) {
            return;
        }
        let reason = match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                let Some(Call { phase: Phase::Calling(calling), account, .. }) = self.calls.get(&id) else {
                    return;
                };
                let (account, mut calling) = (*account, calling.clone());
                match self.on_challenge(account, response, &mut calling.attempt) {
                    Verdict::Again if !calling.cancelled => {
                        calling.early.drain(..).for_each(|dialog| self.endpoint.end_dialog(dialog));
                        return self.send_invite(now, id, calling);
                    }
                    Verdict::Again | Verdict::Refused => Reason::WrongPassword,
                    Verdict::Unanswerable => Reason::UnknownAuthentication,
                }
            }
            status => Reason::of_call(status, response),
        };
        let retry_after = response.retry_after();
        if status == Status::SERVICE_UNAVAILABLE
            && self.waits(id, Failure::Unavailable { retry_after }, reason.clone())
        {
            return;
        }
        self.tell_referrer(now, id, status);
        self.calling_failed(now, id, reason);
    }

    /// The other side wants the session to last longer without a refresh (RFC 4028 §7.3): whether it is called again so.
    fn call_longer(&mut self, now: Time, id: CallId, response: &Message) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return false };
        let Phase::Calling(calling) = &call.phase else { return false };
        let mut calling = calling.clone();
        if calling.cancelled || !call.timer.handle_too_small(response) {
            return false;
        }
        calling.early.drain(..).for_each(|dialog| self.endpoint.end_dialog(dialog));
        self.send_invite(now, id, calling);
        true
    }

    /// No final response came, or the network did not take the INVITE.
    pub(super) fn on_invite_lost(
        &mut self,
        now: Time,
        id: CallId,
        transaction: TransactionId,
        reason: Reason,
    ) {
        if let Some(Call { phase: Phase::Calling(calling), .. }) = self.calls.get(&id)
            && calling.invite == Some(transaction)
        {
            let failure = match reason {
                Reason::Unreached(Unreached::NoAnswer) => Failure::Timeout,
                _ => Failure::Transport,
            };
            if !self.waits(id, failure, reason.clone()) {
                self.calling_failed(now, id, reason);
            }
        }
    }

    pub(super) fn calling_failed(&mut self, now: Time, id: CallId, reason: Reason) {
        let Some(Call { phase: Phase::Calling(calling), .. }) = self.calls.remove(&id) else { return };
        for dialog in calling.early {
            self.endpoint.end_dialog(dialog);
        }
        if !calling.cancelled {
            self.end(now, id, Ending::Failed(reason));
        }
    }

    /// Cancels (§9.1). The user is told the end now; the call stays until its final response.
    pub(super) fn give_up(&mut self, now: Time, id: CallId, ending: Ending) {
        let Some(Call { phase: Phase::Calling(calling), .. }) = self.calls.get_mut(&id) else { return };
        calling.cancelled = true;
        match calling.invite {
            Some(invite) => self.endpoint.cancel(now, invite),
            None => {
                self.calls.remove(&id);
            }
        }
        self.end(now, id, ending);
    }
}
