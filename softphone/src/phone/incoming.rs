//! Calls of others: ringing, answering, refusing, and CANCEL (RFC 3261 §13.3, §9.2, §12.1.1).

use super::call::{Call, Phase, Ringing};
use super::machine::{ALLOW, RINGING_LIMIT};
use super::session::{SDP, Session, description, write_accept};
use super::{
    AutoAnswer, CallId, CommandError, Ending, Event, MediaCommand, Output, Phone, Reason, Rejection,
};
use bytes::Bytes;
use sip_stack::Time;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Status, Writer};
use sip_stack::transaction::TransactionId;

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
        if let Err(refusal) = self.judge(&request) {
            return self.refuse(now, &request, refusal.status, refusal.explain);
        }
        let tag = self.endpoint.random().tag();
        let id = self.next_call();
        let contact = Bytes::from(self.account.contact());
        let Ok(dialog) = self.endpoint.create_dialog(&request, tag.clone(), contact, id.0) else {
            return self.refuse(now, &request, Status::BAD_REQUEST, |_| {});
        };
        let transaction = self.endpoint.accept(now, &request, id.0);
        let ringing = self.dialog_response(&request, Status::RINGING, &tag).finish();
        self.endpoint.respond(now, transaction, Status::RINGING, ringing);
        let (accepted, answer_at) = match self.settings.auto_answer {
            AutoAnswer::Never => (false, None),
            AutoAnswer::Always => (true, None),
            AutoAnswer::After(delay) => (false, Some(now + delay)),
        };
        let from = caller(&request);
        let give_up_at = now + RINGING_LIMIT;
        let ringing = Ringing { request, transaction, dialog, tag, accepted, answer_at, give_up_at };
        self.calls.insert(id, Call::new(Phase::Ringing(Box::new(ringing))));
        self.tell(Event::Incoming { call: id, from });
        self.outputs.push_back(Output::Media(MediaCommand::Open { call: id }));
    }

    /// Whether a call can be taken at all (§8.2, §13.3.1).
    fn judge(&self, request: &Request) -> Result<(), Refusal> {
        let message = &request.message;
        if message.require().next().is_some() {
            return Err(Refusal::of(Status::BAD_EXTENSION));
        }
        if !matches!(message.contact(), Ok(Some(_))) {
            return Err(Refusal::of(Status::BAD_REQUEST));
        }
        match description(message) {
            Err(_) => return Err(Refusal { status: Status::UNSUPPORTED_MEDIA_TYPE, explain: write_accept }),
            Ok(Some(offer)) if Session::check_offer(&offer).is_err() => {
                return Err(Refusal::of(Status::NOT_ACCEPTABLE_HERE));
            }
            Ok(Some(_) | None) => {}
        }
        if self.calls() >= usize::from(self.settings.lines) {
            return Err(Refusal::of(Status::BUSY_HERE));
        }
        Ok(())
    }

    /// A final refusal in a transaction, with what it has to explain.
    pub(super) fn refuse(&mut self, now: Time, request: &Request, status: Status, explain: fn(&mut Writer)) {
        let transaction = self.endpoint.accept(now, request, 0);
        let mut writer = self.endpoint.response(request, status, None);
        explain(&mut writer);
        if status == Status::BAD_EXTENSION {
            // §8.2.2.3: we know no extension at all.
            for extension in request.message.require() {
                writer.header(HeaderName::Unsupported, extension);
            }
        }
        self.endpoint.respond(now, transaction, status, writer.finish());
    }

    /// A response that creates or confirms a dialog (§12.1.1).
    pub(super) fn dialog_response(&self, request: &Request, status: Status, tag: &[u8]) -> Writer {
        let mut writer = self.endpoint.response(request, status, Some(tag));
        writer.copy(HeaderName::RecordRoute, &request.message);
        writer.header(HeaderName::Contact, &self.account.contact());
        writer.header(HeaderName::Allow, ALLOW);
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
        self.answer_if_ready(now, id);
        Ok(())
    }

    /// Sends the 2xx, once the call is accepted and RTP has its port (§13.3.1.4).
    pub(super) fn answer_if_ready(&mut self, now: Time, id: CallId) {
        let Some(Call { phase: Phase::Ringing(ringing), session: Some(session), .. }) =
            self.calls.get_mut(&id)
        else {
            return;
        };
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
                let mut ok = self.dialog_response(&ringing.request, Status::OK, &ringing.tag);
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
                self.tell(Event::Connected { call: id });
                self.announce(id);
            }
            Err(reason) => {
                self.finish_ringing(now, id, Status::NOT_ACCEPTABLE_HERE);
                self.end(id, Ending::Failed(reason));
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
                self.end(id, Ending::Ours);
                Ok(())
            }
            Some(Phase::Opening { .. } | Phase::Calling(_) | Phase::Up { .. }) => {
                Err(CommandError::NotRinging(id))
            }
            None => Err(CommandError::NoSuchCall(id)),
        }
    }

    /// The caller gave up (§9.2).
    pub(super) fn on_cancelled(&mut self, now: Time, id: CallId, transaction: TransactionId) {
        if let Some(Call { phase: Phase::Ringing(ringing), .. }) = self.calls.get(&id)
            && ringing.transaction == transaction
        {
            self.finish_ringing(now, id, Status::REQUEST_TERMINATED);
            self.end(id, Ending::Theirs);
        }
    }

    /// It has rung for as long as anybody waits, and the caller's CANCEL never came.
    pub(super) fn stop_ringing(&mut self, now: Time, id: CallId) {
        self.finish_ringing(now, id, Status::TEMPORARILY_UNAVAILABLE);
        self.end(id, Ending::Failed(Reason::NotAnswered));
    }

    /// The final response of a call that is not taken.
    pub(super) fn finish_ringing(&mut self, now: Time, id: CallId, status: Status) {
        let Some(Call { phase: Phase::Ringing(ringing), .. }) = self.calls.remove(&id) else { return };
        let response = self.endpoint.response(&ringing.request, status, Some(&ringing.tag)).finish();
        self.endpoint.respond(now, ringing.transaction, status, response);
        self.endpoint.end_dialog(ringing.dialog);
    }
}

/// The display name of who calls, or else the URI.
fn caller(request: &Request) -> Bytes {
    match request.message.from() {
        Ok(from) => match from.display_unquoted().filter(|name| !name.is_empty()) {
            Some(name) => Bytes::copy_from_slice(&name),
            None => Bytes::copy_from_slice(from.uri.text),
        },
        Err(_) => Bytes::new(),
    }
}
