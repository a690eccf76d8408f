//! Keys pressed in a call: as events in RTP (RFC 4733), as tones in the sound, or as INFO (`application/dtmf-relay`).
//!
//! Events and tones are the audio side's to send. INFO is sent here, one digit at a time, each after the answer to the one
//! before, so that their order is kept. Bound: [`WAITING`] digits wait; a command that brings more is refused.

use super::identity::Identity;
use super::{CallId, CommandError, DigitWay, Event, MediaCommand, Output, Phone, Tones};
use media::dtmf::{Digit, EventCode, info};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject};
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::transaction::TransactionId;
use std::collections::VecDeque;
use std::time::Duration;

/// Digits of a call that may wait for their INFO.
pub(super) const WAITING: usize = 32;
/// How long a key is pressed.
const PRESSED: Duration = Duration::from_millis(100);

/// The digits of a call that leave by INFO.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Keys {
    waiting: VecDeque<char>,
    asked: Option<TransactionId>,
    /// Whether the other side said that it takes INFO (RFC 3261 §20.5).
    pub(super) peer_takes_info: bool,
}

/// Whether a message says that its sender takes INFO.
pub(super) fn takes_info(message: &Message) -> bool {
    message.allow().any(|method| method == b"INFO")
}

/// Whether there is a key for each of them.
///
/// # Errors
/// [`CommandError::BadDigit`]
pub fn check_digits(digits: &str) -> Result<(), CommandError> {
    let unknown = digits.chars().find(|digit| EventCode::from_char(*digit).is_none());
    unknown.map_or(Ok(()), |unknown| Err(CommandError::BadDigit(unknown)))
}

impl Phone {
    /// The user presses keys.
    pub(super) fn dial(
        &mut self,
        now: Time,
        id: CallId,
        digits: &str,
        way: DigitWay,
    ) -> Result<(), CommandError> {
        let call = self.calls.get_mut(&id).ok_or(CommandError::NoSuchCall(id))?;
        if call.announced.is_none() {
            return Err(CommandError::NotConnected(id));
        }
        check_digits(digits)?;
        let events = call.announced.as_ref().is_some_and(|stream| stream.telephone_event.is_some());
        let by_info = match way {
            DigitWay::Best => !events && call.keys.peer_takes_info && call.dialog().is_some(),
            DigitWay::Info => true,
            DigitWay::Events | DigitWay::Tones => false,
        };
        if by_info {
            return self.dial_by_info(now, id, digits);
        }
        let tones = match way {
            DigitWay::Tones => Tones::InBand,
            DigitWay::Best | DigitWay::Events | DigitWay::Info if events => Tones::Events,
            DigitWay::Events => return Err(CommandError::NoEvents(id)),
            DigitWay::Best | DigitWay::Info => Tones::InBand,
        };
        let command = MediaCommand::Dial { call: id, digits: digits.to_ascii_uppercase().into(), tones };
        self.outputs.push_back(Output::Media(command));
        Ok(())
    }

    fn dial_by_info(&mut self, now: Time, id: CallId, digits: &str) -> Result<(), CommandError> {
        let call = self.calls.get_mut(&id).ok_or(CommandError::NoSuchCall(id))?;
        if call.dialog().is_none() {
            return Err(CommandError::NotConnected(id));
        }
        if call.keys.waiting.len() + digits.chars().count() > WAITING {
            return Err(CommandError::TooManyDigits(id));
        }
        call.keys.waiting.extend(digits.chars());
        self.send_next_digit(now, id);
        Ok(())
    }

    fn send_next_digit(&mut self, now: Time, id: CallId) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.keys.asked.is_none()) else { return };
        let Some(dialog) = call.dialog() else { return };
        let Some(code) = call.keys.waiting.pop_front().and_then(EventCode::from_char) else { return };
        let account = call.account;
        let mut body = [0; info::BODY];
        let length = info::write(&Digit { code, duration: PRESSED }, &mut body).unwrap_or(0);
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, digest, .. }, endpoint) = self.identity_mut(account);
        let Some(target) = endpoint.dialog(dialog).map(|dialog| dialog.remote_target().clone()) else {
            return;
        };
        let Some(mut draft) = endpoint.draft_in_dialog(dialog, Method::Info, &account.sent_by()) else {
            return;
        };
        let body = body.get(..length).unwrap_or_default();
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject = Subject { method: Method::Info, uri: &target, body };
        digest.authorize(&subject, &[account.login()], &mut Attempt::default(), &mut draft.writer);
        draft.writer.body(b"application/dtmf-relay", body);
        let transaction = endpoint.request(now, draft, id.0);
        if let Some(call) = self.calls.get_mut(&id) {
            call.keys.asked = Some(transaction);
        }
    }

    /// Whether it was an INFO of ours that has had its answer, or will have none; the next digit follows whatever it was.
    pub(super) fn on_info_done(&mut self, now: Time, id: CallId, transaction: TransactionId) -> bool {
        let ours = self.calls.get_mut(&id).filter(|call| call.keys.asked == Some(transaction));
        let Some(call) = ours else { return false };
        call.keys.asked = None;
        self.send_next_digit(now, id);
        true
    }

    /// The other side pressed a key.
    pub(super) fn on_digit(&mut self, id: CallId, digit: char) {
        if self.calls.contains_key(&id) {
            self.tell(Event::Digit { call: id, digit });
        }
    }

    /// An INFO in a dialog.
    pub(super) fn on_info(&mut self, now: Time, request: &Request, dialog: DialogId, id: CallId) {
        let is_digit = matches!(request.message.content_type(), Ok(Some(kind))
            if kind.is("application", "dtmf-relay") || kind.is("application", "dtmf"));
        let digit = info::parse(request.message.body()).and_then(|digit| digit.code.to_char());
        if !self.calls.get(&id).is_some_and(|call| call.is_up_in(dialog)) {
            return self.refuse(now, request, Status::CALL_DOES_NOT_EXIST, |_| {});
        }
        if request.message.header(HeaderName::InfoPackage).is_some() {
            // RFC 6086 §4.2.2: we take none.
            return self.refuse(now, request, Status::BAD_INFO_PACKAGE, |writer| {
                writer.header(HeaderName::RecvInfo, b"");
            });
        }
        match digit.filter(|_| is_digit) {
            Some(digit) => self.on_digit(id, digit),
            // RFC 6086 §4.2.2: one without a body is no more than a sign of life.
            None if request.message.body().is_empty() => {}
            None => {
                return self.refuse(now, request, Status::UNSUPPORTED_MEDIA_TYPE, |writer| {
                    writer.header(HeaderName::Accept, b"application/dtmf-relay, application/dtmf");
                });
            }
        }
        let transaction = self.endpoint.accept(now, request, id.0);
        let ok = self.endpoint.response(request, Status::OK, None).finish();
        self.endpoint.respond(now, transaction, Status::OK, ok);
    }
}
