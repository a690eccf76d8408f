//! Transfers (RFC 3515, RFC 3891, RFC 3892): the other side of a call is sent to somebody else, or sends us.
//!
//! *Ours*: one REFER, with the other call named by Replaces when it is attended; the call ends with the news that it worked, and
//! goes on when it did not. *Theirs*: a call in our name to whom the other side says, which hears by NOTIFY what comes of it,
//! and ends its own call then. An INVITE with Replaces takes the place of a call of ours without asking the user, who is in it.
//!
//! The other call may ring yet, at the other end of a call of ours: then whoever is sent gets it when it is answered. In the same way
//! an INVITE may take the place of a call of ours that is not answered yet (RFC 3891 §3).
//!
//! Two calls become one of three when the other side of the second is sent into the first by Join (RFC 3911), which our switch does.
//!
//! Whether and where we may be sent is a setting ([`Transfers`]).
//!
//! Left out on purpose: joining calls of ours when others ask for it; asking the user whether to be sent, and replacing calls that ring here (481, as §3 says).

use super::call::{Call, Phase};
use super::identity::Identity;
use super::{AccountId, CallId, CommandError, Event, Phone, Reason, Transfers, Unreached};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::refer_to::{refer_to, refer_to_join};
use sip_stack::header::{HeaderName, Join, ReferTo, Replaces};
use sip_stack::message::{Message, Method, Status};
use sip_stack::session::{News, Referral};
use sip_stack::transaction::TransactionId;

/// A REFER of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Transfer {
    asked: Option<TransactionId>,
    /// When news of it are waited for no more, so that another one may be asked for.
    until: Time,
    refer_to: Bytes,
    attempt: Attempt,
    /// The call of ours that the other side is to come into.
    pub(super) into: Option<CallId>,
}

/// How long the other side may take to say what has become of a REFER: longer than anybody rings.
const PATIENCE: Duration = Duration::from_secs(200);

/// Whoever has sent us to make a call, and wants to hear of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Referrer {
    dialog: DialogId,
    account: AccountId,
    referral: Referral,
    last: Option<Status>,
}

/// What the INVITE of a call says that somebody has sent us to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) replaces: Option<Bytes>,
    pub(super) referred_by: Option<Bytes>,
}

impl Phone {
    /// Sends the other side of a call to a number or address.
    pub(super) fn transfer(&mut self, now: Time, id: CallId, target: &str) -> Result<(), CommandError> {
        let account = self.transferable(now, id)?;
        let uri = self.identity(account).account.resolve(target);
        let uri = uri.ok_or_else(|| CommandError::BadTarget(target.into()))?;
        self.begin_transfer(now, id, refer_to(&uri, None).into(), None);
        Ok(())
    }

    /// Brings the other sides of two calls together.
    pub(super) fn bring_together(
        &mut self,
        now: Time,
        id: CallId,
        other: CallId,
    ) -> Result<(), CommandError> {
        self.transferable(now, id)?;
        let second = self.calls.get(&other).ok_or(CommandError::NoSuchCall(other))?;
        let dialog = second.named_dialog().and_then(|dialog| self.endpoint.dialog(dialog));
        let Some(dialog) = dialog.filter(|_| id != other) else {
            return Err(CommandError::NotConnected(other));
        };
        // As its peer sees it (RFC 3891 §3): the peer's tag is the to-tag.
        let replaces = Replaces {
            call_id: dialog.call_id(),
            to_tag: dialog.remote_tag(),
            from_tag: dialog.local_tag(),
            early_only: false,
        };
        let refer_to = refer_to(dialog.remote_target(), Some(&replaces)).into();
        if let Some(Call { phase: Phase::Calling(calling), .. }) = self.calls.get_mut(&other) {
            calling.handed_over = true;
        }
        self.begin_transfer(now, id, refer_to, None);
        Ok(())
    }

    /// Takes the other side of the second call into the first one (RFC 3911); the second call ends.
    pub(super) fn merge(&mut self, now: Time, id: CallId, other: CallId) -> Result<(), CommandError> {
        self.connected(id)?;
        self.transferable(now, other)?;
        let dialog = self.calls.get(&id).and_then(Call::dialog);
        let Some(dialog) = dialog.and_then(|dialog| self.endpoint.dialog(dialog)).filter(|_| id != other)
        else {
            return Err(CommandError::NotConnected(id));
        };
        let join = Join {
            call_id: dialog.call_id(),
            to_tag: dialog.remote_tag(),
            from_tag: dialog.local_tag(),
            early_only: false,
        };
        let refer_to = refer_to_join(dialog.remote_target(), &join).into();
        self.begin_transfer(now, other, refer_to, Some(id));
        Ok(())
    }

    /// A call of ours was terminated; whether because somebody else has it now.
    pub(super) fn was_handed_over(&mut self, now: Time, id: CallId) -> bool {
        let Some(Call { phase: Phase::Calling(calling), .. }) = self.calls.get(&id) else { return false };
        if !calling.handed_over || calling.cancelled {
            return false;
        }
        for dialog in calling.early.clone() {
            self.endpoint.end_dialog(dialog);
        }
        self.calls.remove(&id);
        self.end(now, id, super::Ending::Ours);
        true
    }

    fn connected(&self, id: CallId) -> Result<AccountId, CommandError> {
        let call = self.calls.get(&id).ok_or(CommandError::NoSuchCall(id))?;
        call.dialog().map(|_| call.account).ok_or(CommandError::NotConnected(id))
    }

    /// The account of a call whose other side can be sent: it is up, and not on its way already.
    fn transferable(&self, now: Time, id: CallId) -> Result<AccountId, CommandError> {
        let account = self.connected(id)?;
        let transfer = self.calls.get(&id).and_then(|call| call.transfer.as_deref());
        match transfer {
            Some(transfer) if now < transfer.until => Err(CommandError::Transferring(id)),
            Some(_) | None => Ok(account),
        }
    }

    fn begin_transfer(&mut self, now: Time, id: CallId, refer_to: Bytes, into: Option<CallId>) {
        let transfer =
            Transfer { asked: None, until: now + PATIENCE, refer_to, attempt: Attempt::default(), into };
        self.send_refer(now, id, transfer);
    }

    fn send_refer(&mut self, now: Time, id: CallId, mut transfer: Transfer) {
        let Some(call) = self.calls.get(&id) else { return };
        let (account, Some(dialog)) = (call.account, call.dialog()) else { return };
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, digest, .. }, endpoint) = self.identity_mut(account);
        let Some(target) = endpoint.dialog(dialog).map(|dialog| dialog.remote_target().clone()) else {
            return;
        };
        let Some(mut draft) = endpoint.draft_in_dialog(dialog, Method::Refer, &account.sent_by()) else {
            return;
        };
        draft.writer.header(HeaderName::ReferTo, &transfer.refer_to);
        draft.writer.header(HeaderName::ReferredBy, &account.from());
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject = Subject { method: Method::Refer, uri: &target, body: b"" };
        digest.authorize(&subject, &[account.login()], &mut transfer.attempt, &mut draft.writer);
        transfer.asked = Some(endpoint.request(now, draft, id.0));
        if let Some(call) = self.calls.get_mut(&id) {
            call.transfer = Some(Box::new(transfer));
        }
    }

    /// Whether the response was to a REFER of ours.
    pub(super) fn on_refer_response(
        &mut self,
        now: Time,
        id: CallId,
        transaction: TransactionId,
        response: &Message,
    ) -> bool {
        let transfer = self.calls.get(&id).and_then(|call| call.transfer.as_deref());
        let Some(mut transfer) = transfer.filter(|transfer| transfer.asked == Some(transaction)).cloned()
        else {
            return false;
        };
        let Some(status) = response.status().filter(|status| status.is_final()) else { return true };
        let account = self.calls.get(&id).map_or(AccountId::FIRST, |call| call.account);
        match status {
            // The rest comes by NOTIFY.
            status if status.is_success() => {}
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
                if self.on_challenge(account, response, &mut transfer.attempt) == Verdict::Again =>
            {
                self.send_refer(now, id, transfer);
            }
            status => self.transfer_failed(id, Reason::of_call(status, response)),
        }
        true
    }

    /// Whether it was a REFER of ours that found no answer.
    pub(super) fn on_refer_lost(&mut self, id: CallId, transaction: TransactionId) -> bool {
        let transfer = self.calls.get(&id).and_then(|call| call.transfer.as_deref());
        let is_it = transfer.is_some_and(|transfer| transfer.asked == Some(transaction));
        if is_it {
            self.transfer_failed(id, Reason::Unreached(Unreached::NoAnswer));
        }
        is_it
    }

    fn transfer_failed(&mut self, id: CallId, reason: Reason) {
        if let Some(call) = self.calls.get_mut(&id)
            && call.transfer.take().is_some()
        {
            self.tell(Event::TransferFailed { call: id, reason });
        }
    }

    /// News of a REFER of ours (RFC 3515 §2.4.5).
    pub(super) fn on_notify(&mut self, now: Time, request: &Request, id: CallId) {
        let news = match News::of(&request.message) {
            Ok(news) if self.calls.get(&id).is_some_and(|call| call.transfer.is_some()) => news,
            Ok(_) => return self.refuse(now, request, Status::CALL_DOES_NOT_EXIST, |_| {}),
            Err(status) => return self.refuse(now, request, status, |_| {}),
        };
        let transaction = self.endpoint.accept(now, request, id.0);
        let ok = self.endpoint.response(request, Status::OK, None).finish();
        self.endpoint.respond(now, transaction, Status::OK, ok);
        match news.status.filter(|status| status.is_final()) {
            Some(status) if status.is_success() => {
                let transfer = self.calls.get_mut(&id).and_then(|call| call.transfer.take());
                self.tell(Event::Transferred { call: id });
                // It is connected, so it can be ended, and the other one, if it still is, resumed.
                let _ended = self.hang_up(now, id);
                if let Some(into) = transfer.and_then(|transfer| transfer.into) {
                    let _resumed = self.hold(now, into, false);
                }
            }
            Some(status) => self.transfer_failed(id, Reason::of_call(status, &request.message)),
            None if news.is_last => self.transfer_failed(id, Reason::Unreached(Unreached::NoAnswer)),
            None => {}
        }
    }

    /// The other side sends us to somebody else.
    pub(super) fn on_refer(&mut self, now: Time, request: &Request, dialog: DialogId, id: CallId) {
        let Some(account) = self.calls.get(&id).filter(|call| call.is_up_in(dialog)).map(|call| call.account)
        else {
            return self.refuse(now, request, Status::CALL_DOES_NOT_EXIST, |_| {});
        };
        let (referral, target) = match Referral::of(now, &request.message) {
            Ok(read) => read,
            Err(status) => return self.refuse(now, request, status, |_| {}),
        };
        if self.calls() >= usize::from(self.settings.lines) || !self.may_be_sent(account, &target) {
            return self.refuse(now, request, Status::DECLINE, |_| {});
        }
        let sent = Sent {
            replaces: target.replaces().map(|replaces| Bytes::copy_from_slice(&replaces)),
            referred_by: request.message.header(HeaderName::ReferredBy).map(Bytes::copy_from_slice),
        };
        let transaction = self.endpoint.accept(now, request, id.0);
        let mut accepted = self.dialog_response(account, request, Status::ACCEPTED, b"");
        referral.write_accepted(&mut accepted);
        self.endpoint.respond(now, transaction, Status::ACCEPTED, accepted.finish());
        let new = self.call_uri(now, account, target.request_uri().into(), sent);
        self.referrers.insert(new, Referrer { dialog, account, referral, last: None });
        self.tell_referrer(now, new, Status::TRYING);
    }

    /// Whether the user lets others send us there.
    fn may_be_sent(&self, account: AccountId, target: &ReferTo<'_>) -> bool {
        let account = &self.identity(account).account;
        match self.settings.transfers {
            Transfers::Anywhere => true,
            Transfers::Never => false,
            Transfers::Domain => {
                let host = target.address.uri.host;
                let server = account.server.peer.ip();
                host.eq_ignore_ascii_case(account.domain.as_bytes())
                    || core::str::from_utf8(host)
                        .is_ok_and(|host| host.trim_matches(['[', ']']).parse() == Ok(server))
            }
        }
    }

    /// Tells whoever has sent us what the call has come to.
    pub(super) fn tell_referrer(&mut self, now: Time, id: CallId, status: Status) {
        let Some(referrer) = self.referrers.get_mut(&id) else { return };
        let is_news = referrer.last != Some(status) && referrer.referral.is_told();
        referrer.last = Some(status);
        let Referrer { dialog, account, referral, .. } = *referrer;
        if status.is_final() {
            self.referrers.remove(&id);
        }
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, digest, .. }, endpoint) = self.identity_mut(account);
        let Some(target) = endpoint.dialog(dialog).map(|dialog| dialog.remote_target().clone()) else {
            return;
        };
        if !is_news {
            return;
        }
        let Some(mut draft) = endpoint.draft_in_dialog(dialog, Method::Notify, &account.sent_by()) else {
            return;
        };
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        referral.write_notify(now, status, &mut draft.writer);
        let subject = Subject { method: Method::Notify, uri: &target, body: b"" };
        digest.authorize(&subject, &[account.login()], &mut Attempt::default(), &mut draft.writer);
        // Nobody waits for its answer.
        endpoint.request(now, draft, super::machine::NOBODY);
    }

    /// The call of ours whose dialog an INVITE replaces: 400, 481 and 486 as RFC 3891 §3 says.
    pub(super) fn replaced_by(&self, invite: &Message) -> Result<Option<CallId>, Status> {
        let Some(named) = invite.replaces().map_err(|_| Status::BAD_REQUEST)? else { return Ok(None) };
        let dialog = self.endpoint.dialog_named(&named).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        let is_it = |call: &Call| match &call.phase {
            Phase::Up { dialog: ours } => *ours == dialog,
            Phase::Calling(calling) => !calling.cancelled && calling.early.contains(&dialog),
            Phase::Opening { .. } | Phase::Ringing(_) => false,
        };
        match self.calls.iter().find(|(_, call)| is_it(call)) {
            Some((_, call)) if named.early_only && call.dialog().is_some() => Err(Status::BUSY_HERE),
            Some((id, _)) => Ok(Some(*id)),
            None => Err(Status::CALL_DOES_NOT_EXIST),
        }
    }

    /// A call that has taken the place of another one is up: that one ends.
    pub(super) fn end_replaced(&mut self, now: Time, replaced: CallId) {
        let Some(call) = self.calls.get(&replaced) else { return };
        let account = call.account;
        match call.phase {
            Phase::Up { dialog } => {
                self.calls.remove(&replaced);
                self.say_goodbye(now, account, dialog);
                self.end(now, replaced, super::Ending::Theirs);
            }
            Phase::Calling(_) => self.give_up(now, replaced, super::Ending::Theirs),
            Phase::Opening { .. } | Phase::Ringing(_) => {}
        }
    }
}
