//! Instant messages outside of calls (RFC 3428): text to a number or address, and text of others.
//!
//! Bound: [`UNANSWERED`] messages wait for their answers; a further one is refused. Left out on purpose: other content than plain
//! text (415), and messages within calls.

use super::identity::Identity;
use super::outside::Outside;
use super::{AccountId, CommandError, Event, Phone, Reason};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::transaction::TransactionId;

/// Messages of ours without an answer.
const UNANSWERED: usize = 32;
/// The longest text in octets (§8: no more than a datagram carries for certain).
const LONGEST: usize = 1_000;
const TEXT: &[u8] = b"text/plain;charset=UTF-8";

/// A message of ours without its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    account: AccountId,
    target: Bytes,
    text: Box<str>,
    call_id: Bytes,
    from: Bytes,
    cseq: u32,
    attempt: Attempt,
}

impl Phone {
    /// Sends a text.
    pub(super) fn write(
        &mut self,
        now: Time,
        account: AccountId,
        target: &str,
        text: &str,
    ) -> Result<(), CommandError> {
        let writer =
            self.identities.get(usize::from(account.0)).ok_or(CommandError::NoSuchAccount(account))?;
        let target = writer.account.resolve(target).ok_or_else(|| CommandError::BadTarget(target.into()))?;
        let from = writer.account.from();
        if text.len() > LONGEST {
            return Err(CommandError::LongMessage(LONGEST));
        }
        if self.written.len() + self.unsent.len() >= UNANSWERED {
            return Err(CommandError::TooManyMessages);
        }
        let tag = self.endpoint.random().tag();
        let written = Written {
            account,
            target: target.into(),
            text: text.into(),
            call_id: Bytes::copy_from_slice(&self.endpoint.random().token::<24>()),
            from: [&from[..], b";tag=", &tag].concat().into(),
            cseq: 0,
            attempt: Attempt::default(),
        };
        self.send_message(now, written);
        Ok(())
    }

    fn send_message(&mut self, now: Time, mut written: Written) {
        if !self.has_way(written.account) {
            return self.unsent.push(written);
        }
        written.cseq += 1;
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, registration, digest, .. }, endpoint) = self.identity_mut(written.account);
        let outside = Outside {
            method: Method::Message,
            uri: &written.target,
            from: &written.from,
            to: &written.target,
            sequence: Some((&written.call_id, written.cseq)),
        };
        let mut draft = outside.draft(endpoint, account, registration);
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject =
            Subject { method: Method::Message, uri: &written.target, body: written.text.as_bytes() };
        digest.authorize(&subject, &[account.login()], &mut written.attempt, &mut draft.writer);
        draft.writer.body(TEXT, written.text.as_bytes());
        let transaction = endpoint.request(now, draft, super::machine::NOBODY);
        self.written.insert(transaction, written);
    }

    /// Whether the response was to a message of ours.
    pub(super) fn on_message_response(
        &mut self,
        now: Time,
        transaction: TransactionId,
        response: &Message,
    ) -> bool {
        if !self.written.contains_key(&transaction) {
            return false;
        }
        let Some(status) = response.status().filter(|status| status.is_final()) else { return true };
        let Some(mut written) = self.written.remove(&transaction) else { return true };
        let (account, target) = (written.account, written.target.clone());
        let reason = match status {
            status if status.is_success() => return self.told(Event::MessageTaken { account, target }),
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                match self.on_challenge(account, response, &mut written.attempt) {
                    Verdict::Again => {
                        self.send_message(now, written);
                        return true;
                    }
                    Verdict::Refused => Reason::WrongPassword,
                    Verdict::Unanswerable => Reason::UnknownAuthentication,
                }
            }
            status => Reason::of_call(status, response),
        };
        self.told(Event::MessageFailed { account, target, reason })
    }

    /// Whether it was a message of ours that found no answer.
    pub(super) fn on_message_lost(&mut self, transaction: TransactionId, reason: Reason) -> bool {
        let Some(Written { account, target, .. }) = self.written.remove(&transaction) else { return false };
        self.told(Event::MessageFailed { account, target, reason })
    }

    /// The search for the way of an account has ended: what waited for it leaves, or failed because of this.
    pub(super) fn on_way_of_messages(&mut self, now: Time, account: AccountId, failed: Option<&Reason>) {
        for written in self.unsent.extract_if(.., |written| written.account == account).collect::<Vec<_>>() {
            match failed {
                None => self.send_message(now, written),
                Some(reason) => {
                    let (target, reason) = (written.target, reason.clone());
                    self.tell(Event::MessageFailed { account, target, reason });
                }
            }
        }
    }

    fn told(&mut self, event: Event) -> bool {
        self.tell(event);
        true
    }

    /// A message of somebody else.
    pub(super) fn on_message(&mut self, now: Time, request: &Request) {
        if !self.settings.accept_strangers && !self.knows(request) {
            return self.refuse(now, request, Status::FORBIDDEN, |_| {});
        }
        let message = &request.message;
        let is_text = matches!(message.content_type(), Ok(Some(kind)) if kind.is("text", "plain"));
        let encoded = message.header(HeaderName::ContentEncoding).is_some();
        if !is_text || encoded {
            return self.refuse(now, request, Status::UNSUPPORTED_MEDIA_TYPE, |writer| {
                writer.header(HeaderName::Accept, b"text/plain");
            });
        }
        let account = self.recipient(request);
        let (from, uri) = (super::incoming::caller(request), super::incoming::caller_uri(request));
        let text = message.body_bytes();
        let transaction = self.endpoint.accept(now, request, 0);
        let ok = self.endpoint.response(request, Status::OK, None).finish();
        self.endpoint.respond(now, transaction, Status::OK, ok);
        self.tell(Event::Message { account, from, uri, text });
    }
}
