//! Calls of others: ringing, answering, refusing, and CANCEL (RFC 3261 §13.3, §9.2, §12.1.1).

use super::answering;
use super::call::{Call, Phase, Ringing};
use super::digits::takes_info;
use super::machine::{ALLOW, RINGING_LIMIT, SUPPORTED};
use super::session::{SDP, Session, description, write_accept};
use super::{
    AccountId, CallDirection, CallId, CommandError, Ending, Event, LoggedCall, MediaCommand, Output, Phone,
    Reason, Rejection,
};
use bytes::Bytes;
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status, Writer};
use sip_stack::session::prack::REL100;
use sip_stack::session::{SessionTimer, TimerPolicy};
use sip_stack::transaction::TransactionId;
use std::time::Duration;

/// When a peer may come again that was turned down, in seconds: most transactions have ended by then.
const PAUSE_S: u64 = 32;

/// Why a call cannot be taken: the status, and what the response has to say besides.
struct Refusal {
    status: Status,
    explain: fn(&mut Writer),
}

impl Refusal {
    fn of(status: Status) -> Refusal {
        Refusal { status, explain: |_| {} }
    }
}

impl Phone {
    /// An INVITE outside a dialog.
    pub(super) fn on_call(&mut self, now: Time, request: Box<Request>) {
        let account = self.recipient(&request);
        let replaces = self.replaced_by(&request.message);
        let judged = self.judge(&request, matches!(replaces, Ok(Some(_))));
        let judged = judged.and_then(|()| replaces.map_err(Refusal::of));
        let replaces = replaces.ok().flatten();
        if let Err(refusal) = judged {
            if refusal.status == Status::BUSY_HERE {
                self.miss(now, account, &request);
            }
            return self.refuse(now, &request, refusal.status, refusal.explain);
        }
        let tag = self.endpoint.random().tag();
        let id = self.next_call();
        let contact = Bytes::from(self.identity(account).account.contact());
        let Ok(dialog) = self.endpoint.create_dialog(&request, tag.clone(), contact, id.0) else {
            return self.refuse(now, &request, Status::BAD_REQUEST, |_| {});
        };
        let transaction = self.endpoint.accept(now, &request, id.0);
        self.say_ringing(now, account, &request, (transaction, dialog), &tag);
        let waiting = self.calls() > 0;
        // The user is talking: a call is not taken over their head.
        let delay = answering::delay(&self.settings, &request.message).filter(|_| !waiting);
        let (accepted, answer_at) = match delay {
            None => (false, None),
            Some(Duration::ZERO) => (true, None),
            Some(delay) => (false, Some(now + delay)),
        };
        // Whom it replaces the user talks with already.
        let accepted = accepted || replaces.is_some();
        let (from, uri) = (caller(&request), caller_uri(&request));
        self.log.begin(logged(now, Some(id), account, uri.clone()));
        let give_up_at = now + RINGING_LIMIT;
        let takes_info = takes_info(&request.message);
        let ringing =
            Ringing { request, transaction, dialog, tag, accepted, answer_at, give_up_at, replaces };
        let mut call = Call::new(account, Phase::Ringing(Box::new(ringing)));
        call.keys.peer_takes_info = takes_info;
        self.calls.insert(id, call);
        self.tell(Event::Incoming { call: id, account, from, uri, waiting });
        self.outputs.push_back(Output::Media(MediaCommand::Open { call: id }));
    }

    /// Whether a request comes from the host of a server of ours.
    pub(super) fn knows(&self, request: &Request) -> bool {
        let host = request.flow.peer.ip();
        self.identities.iter().any(|identity| identity.account.server.peer.ip() == host)
    }

    /// Whether a call can be taken at all (§8.2, §13.3.1).
    fn judge(&self, request: &Request, replaces: bool) -> Result<(), Refusal> {
        let message = &request.message;
        if !self.knows(request) && !self.settings.accept_strangers {
            return Err(Refusal::of(Status::FORBIDDEN));
        }
        if message.require().any(|tag| !understands(tag)) {
            return Err(Refusal::of(Status::BAD_EXTENSION));
        }
        if !matches!(message.contact(), Ok(Some(_))) {
            return Err(Refusal::of(Status::BAD_REQUEST));
        }
        match description(message) {
            Err(_) => return Err(Refusal { status: Status::UNSUPPORTED_MEDIA_TYPE, explain: write_accept }),
            Ok(Some(offer)) if Session::check_offer(&offer, &self.settings.codecs).is_err() => {
                return Err(Refusal::of(Status::NOT_ACCEPTABLE_HERE));
            }
            Ok(Some(_) | None) => {}
        }
        if let Err(too_small) = SessionTimer::new(TimerPolicy::default()).check(message) {
            debug_assert_eq!(too_small.min_se_s, 90, "the policy is the usual one");
            let explain = |writer: &mut Writer| _ = writer.number(HeaderName::MinSe, 90);
            return Err(Refusal { status: Status::SESSION_INTERVAL_TOO_SMALL, explain });
        }
        if replaces {
            return Ok(());
        }
        if self.settings.do_not_disturb || self.calls() >= usize::from(self.settings.lines) {
            return Err(Refusal::of(Status::BUSY_HERE));
        }
        Ok(())
    }

    /// Somebody called and was told that we are busy.
    fn miss(&mut self, now: Time, account: AccountId, request: &Request) {
        let uri = caller_uri(request);
        let ended = Some((now, Ending::Failed(Reason::Busy)));
        self.log.begin(LoggedCall { ended, ..logged(now, None, account, uri.clone()) });
        self.tell(Event::TurnedAway { account, from: caller(request), uri });
    }

    /// 180, reliably where the caller insists (RFC 3262 §3). One that insists and offers nothing would have to be offered
    /// something with it (§5): it hears of the answer alone.
    fn say_ringing(
        &mut self,
        now: Time,
        account: AccountId,
        request: &Request,
        (transaction, dialog): (TransactionId, DialogId),
        tag: &[u8],
    ) {
        let status = Status::RINGING;
        let ringing = self.dialog_response(account, request, status, tag);
        if !request.message.requires(REL100) {
            self.endpoint.respond(now, transaction, status, ringing.finish());
        } else if !request.message.body().is_empty() {
            self.endpoint.respond_reliably(now, transaction, dialog, status, ringing, false);
        }
    }

    /// A final refusal, with what it has to explain. Outside of dialogs anybody can provoke one, so it is forgotten at once
    /// (§8.2.7): whoever asks again is told the same. That we are busy is kept, for the user hears of it once.
    pub(super) fn refuse(&mut self, now: Time, request: &Request, status: Status, explain: fn(&mut Writer)) {
        let mut writer = self.endpoint.response(request, status, None);
        explain(&mut writer);
        if status == Status::BAD_EXTENSION {
            // §8.2.2.3
            for extension in request.message.require().filter(|tag| !understands(tag)) {
                writer.header(HeaderName::Unsupported, extension);
            }
        }
        if request.dialog.is_none() && status != Status::BUSY_HERE {
            return self.endpoint.reply(request, writer.finish());
        }
        let transaction = self.endpoint.accept(now, request, 0);
        self.endpoint.respond(now, transaction, status, writer.finish());
    }

    /// There are as many transactions as there may be (§21.5.4).
    pub(super) fn turn_down(&mut self, request: &Request) {
        self.turned_down += 1;
        let mut writer = self.endpoint.response(request, Status::SERVICE_UNAVAILABLE, None);
        writer.number(HeaderName::RetryAfter, PAUSE_S);
        self.endpoint.reply(request, writer.finish());
    }

    /// A response that creates or confirms a dialog (§12.1.1).
    pub(super) fn dialog_response(
        &self,
        account: AccountId,
        request: &Request,
        status: Status,
        tag: &[u8],
    ) -> Writer {
        let mut writer = self.endpoint.response(request, status, Some(tag));
        writer.copy(HeaderName::RecordRoute, &request.message);
        writer.header(HeaderName::Contact, &self.identity(account).account.contact());
        writer.header(HeaderName::Allow, ALLOW);
        writer.header(HeaderName::Supported, SUPPORTED);
        writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        writer
    }

    pub(super) fn answer(&mut self, now: Time, id: CallId) -> Result<(), CommandError> {
        let call = self.calls.get_mut(&id).ok_or(CommandError::NoSuchCall(id))?;
        match &mut call.phase {
            Phase::Ringing(ringing) => ringing.accepted = true,
            Phase::Opening { .. } | Phase::Calling(_) | Phase::Up { .. } => {
                return Err(CommandError::NotRinging(id));
            }
        }
        self.hold_others(now, id);
        self.answer_if_ready(now, id);
        Ok(())
    }

    /// A call has rung for as long as the user wanted. It is not taken over the user's head, who may be in another one now.
    pub(super) fn answer_by_itself(&mut self, now: Time, id: CallId) {
        if self.calls() == 1
            && let Some(Call { phase: Phase::Ringing(ringing), .. }) = self.calls.get_mut(&id)
        {
            ringing.accepted = true;
            self.answer_if_ready(now, id);
        }
    }

    /// Sends the 2xx, once the call is accepted and RTP has its port (§13.3.1.4).
    pub(super) fn answer_if_ready(&mut self, now: Time, id: CallId) {
        let Some(Call { phase: Phase::Ringing(ringing), session: Some(session), account, .. }) =
            self.calls.get_mut(&id)
        else {
            return;
        };
        let account = *account;
        if !ringing.accepted {
            return;
        }
        let ringing = ringing.clone();
        let described = match description(&ringing.request.message) {
            Ok(Some(offer)) => session.answer(&offer),
            Ok(None) => Ok(session.offer()),
            Err(reason) => Err(reason),
        };
        match described {
            Ok(body) => {
                let mut ok = self.dialog_response(account, &ringing.request, Status::OK, &ringing.tag);
                if let Some(call) = self.calls.get_mut(&id) {
                    call.timer.answer(now, &ringing.request.message, &mut ok);
                }
                ok.body(SDP, &body);
                self.endpoint.answer_invite(
                    now,
                    ringing.transaction,
                    ringing.dialog,
                    Status::OK,
                    ok.finish(),
                );
                if let Some(call) = self.calls.get_mut(&id) {
                    call.phase = Phase::Up { dialog: ringing.dialog };
                }
                self.connect(now, id);
                if let Some(replaced) = ringing.replaces {
                    self.end_replaced(now, replaced);
                }
            }
            Err(reason) => {
                self.finish_ringing(now, id, Status::NOT_ACCEPTABLE_HERE);
                self.end(now, id, Ending::Failed(reason));
            }
        }
    }

    pub(super) fn reject(&mut self, now: Time, id: CallId, rejection: Rejection) -> Result<(), CommandError> {
        let status = match rejection {
            Rejection::Busy => Status::BUSY_HERE,
            Rejection::Decline => Status::DECLINE,
        };
        match self.calls.get(&id).map(|call| &call.phase) {
            Some(Phase::Ringing(_)) => {
                self.finish_ringing(now, id, status);
                self.end(now, id, Ending::Ours);
                Ok(())
            }
            Some(Phase::Opening { .. } | Phase::Calling(_) | Phase::Up { .. }) => {
                Err(CommandError::NotRinging(id))
            }
            None => Err(CommandError::NoSuchCall(id)),
        }
    }

    /// The caller gave up (§9.2), or another phone took the call, which the CANCEL says then (RFC 3326 §3.1).
    pub(super) fn on_cancelled(
        &mut self,
        now: Time,
        id: CallId,
        transaction: TransactionId,
        cancel: &Message,
    ) {
        if let Some(Call { phase: Phase::Ringing(ringing), .. }) = self.calls.get(&id)
            && ringing.transaction == transaction
        {
            self.finish_ringing(now, id, Status::REQUEST_TERMINATED);
            let is_taken = cancel.reasons().any(|reason| reason.is_sip(Status::OK.code()));
            self.end(now, id, if is_taken { Ending::Elsewhere } else { Ending::Theirs });
        }
    }

    /// It has rung for as long as anybody waits, and the caller's CANCEL never came.
    pub(super) fn stop_ringing(&mut self, now: Time, id: CallId) {
        self.finish_ringing(now, id, Status::TEMPORARILY_UNAVAILABLE);
        self.end(now, id, Ending::Failed(Reason::NotAnswered));
    }

    /// The final response of a call that is not taken.
    pub(super) fn finish_ringing(&mut self, now: Time, id: CallId, status: Status) {
        let Some(Call { phase: Phase::Ringing(ringing), .. }) = self.calls.remove(&id) else { return };
        let response = self.endpoint.response(&ringing.request, status, Some(&ringing.tag)).finish();
        self.endpoint.respond(now, ringing.transaction, status, response);
        self.endpoint.end_dialog(ringing.dialog);
    }
}

/// Whether a caller may need this extension of us.
fn understands(tag: &[u8]) -> bool {
    SUPPORTED.split(|byte| *byte == b',').any(|known| known.trim_ascii().eq_ignore_ascii_case(tag))
}

fn logged(now: Time, call: Option<CallId>, account: AccountId, peer: Bytes) -> LoggedCall {
    let direction = CallDirection::Incoming;
    LoggedCall { call, account, direction, peer, began: now, connected: None, ended: None }
}

/// The URI of who calls.
pub(super) fn caller_uri(request: &Request) -> Bytes {
    request.message.from().map(|from| Bytes::copy_from_slice(from.uri.text)).unwrap_or_default()
}

/// The display name of who calls, or else the URI.
pub(super) fn caller(request: &Request) -> Bytes {
    match request.message.from() {
        Ok(from) => match from.display_unquoted().filter(|name| !name.is_empty()) {
            Some(name) => Bytes::copy_from_slice(&name),
            None => Bytes::copy_from_slice(from.uri.text),
        },
        Err(_) => Bytes::new(),
    }
}
