//! Registration (RFC 3261 §10.2): the REGISTER that binds, refreshes or removes our contact.
//!
//! A registration is wanted or not, and the requests follow from that one after the other; a wish that changes while a
//! request is under way is heeded when its answer is there (§10.2: no new REGISTER before the last one is answered).

use super::machine::{ALLOW, REGISTRATION};
use super::{Event, Output, Phone, Reason};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::endpoint::Heading;
use sip_stack::header::{Contacts, HeaderName, NameAddr, number::delta_seconds};
use sip_stack::message::{Message, Method, Status, Uri};
use sip_stack::transaction::TransactionId;
use std::time::Duration;

/// The first wait before a failed registration is tried again; doubled each time (after RFC 5626 §4.5).
const FIRST_RETRY: Duration = Duration::from_secs(30);
/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(1_800);
/// A refresh leaves so much time for Timer F and another attempt, when the lifetime is long enough.
const AHEAD: Duration = Duration::from_secs(70);

/// The registration of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    wanted: bool,
    state: State,
    call_id: Bytes,
    from: Bytes,
    cseq: u32,
    expires_s: u32,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// No request is out, and the registrar should know nothing of us.
    Absent,
    /// A REGISTER is out.
    Asking { transaction: TransactionId, purpose: Purpose, attempt: Attempt },
    /// The registrar has our contact.
    Bound { refresh_at: Time },
    /// It did not work.
    Failed { retry_at: Option<Time> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    Bind,
    Remove,
}

impl Registration {
    pub(super) fn new(call_id: Bytes, from: Bytes, expires_s: u32) -> Registration {
        Registration { wanted: false, state: State::Absent, call_id, from, cseq: 0, expires_s, failures: 0 }
    }

    /// Whether no request is out and none is waited for but a refresh.
    pub(super) fn is_settled(&self) -> bool {
        match self.state {
            State::Absent | State::Bound { .. } => true,
            State::Failed { retry_at } => retry_at.is_none(),
            State::Asking { .. } => false,
        }
    }

    pub(super) fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound { .. })
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Bound { refresh_at } => Some(refresh_at),
            State::Failed { retry_at } => retry_at,
            State::Absent | State::Asking { .. } => None,
        }
    }

    fn owns(&self, transaction: TransactionId) -> bool {
        matches!(self.state, State::Asking { transaction: ours, .. } if ours == transaction)
    }
}

impl Phone {
    /// The user wants to be registered, or not.
    pub(super) fn want_registration(&mut self, now: Time, wanted: bool) {
        self.registration.wanted = wanted;
        self.registration.failures = 0;
        match (self.registration.state, wanted) {
            (State::Asking { .. }, _) => {}
            (State::Absent, false) => self.tell(Event::Unregistered),
            (State::Absent | State::Bound { .. } | State::Failed { .. }, true) => {
                self.send_register(now, Purpose::Bind, Attempt::default());
            }
            // After a failure the registrar may have a binding all the same.
            (State::Bound { .. } | State::Failed { .. }, false) => {
                self.send_register(now, Purpose::Remove, Attempt::default());
            }
        }
    }

    pub(super) fn on_registration_timeout(&mut self, now: Time) {
        if self.registration.poll_timeout().is_some_and(|at| at <= now) {
            let purpose = if self.registration.wanted { Purpose::Bind } else { Purpose::Remove };
            self.send_register(now, purpose, Attempt::default());
        }
    }

    fn send_register(&mut self, now: Time, purpose: Purpose, mut attempt: Attempt) {
        let registration = &mut self.registration;
        registration.cseq += 1;
        let uri = self.account.registrar();
        let to = [b"<", &self.account.address_of_record()[..], b">"].concat();
        let heading = Heading {
            method: Method::Register,
            uri: &uri,
            from: &registration.from,
            to: &to,
            sent_by: &self.account.sent_by(),
            sequence: Some((&registration.call_id, registration.cseq)),
            max_forwards: 70,
        };
        let expires_s = match purpose {
            Purpose::Bind => registration.expires_s,
            Purpose::Remove => 0,
        };
        let mut draft = self.endpoint.draft(heading, self.account.server);
        draft.writer.header(HeaderName::Contact, &self.account.contact());
        draft.writer.number(HeaderName::Expires, u64::from(expires_s));
        draft.writer.header(HeaderName::Allow, ALLOW);
        draft.writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        self.digest.authorize(&subject, &[self.account.login()], &mut attempt, &mut draft.writer);
        let transaction = self.endpoint.request(now, draft, REGISTRATION);
        self.registration.state = State::Asking { transaction, purpose, attempt };
    }

    pub(super) fn on_register_response(&mut self, now: Time, transaction: TransactionId, response: &Message) {
        let State::Asking { transaction: ours, purpose, mut attempt } = self.registration.state else {
            return;
        };
        let Some(status) = response.status().filter(|status| ours == transaction && status.is_final()) else {
            return;
        };
        match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                let (logins, random) = ([self.account.login()], self.endpoint.random());
                match self.digest.handle_challenge(response, &logins, random, &mut attempt) {
                    Verdict::Again => self.send_register(now, purpose, attempt),
                    Verdict::Refused => self.registration_failed(now, Reason::WrongPassword, None),
                    Verdict::Unanswerable => {
                        self.registration_failed(now, Reason::UnknownAuthentication, None);
                    }
                }
            }
            // §10.2.8: once, with the lifetime the registrar asks for.
            Status::INTERVAL_TOO_BRIEF => match response.min_expires() {
                Ok(Some(longer)) if longer > self.registration.expires_s && purpose == Purpose::Bind => {
                    self.registration.expires_s = longer;
                    self.send_register(now, purpose, attempt);
                }
                Ok(Some(_) | None) | Err(_) => self.registration_failed(now, Reason::Nonsense, None),
            },
            status if status.is_success() => {
                if self.is_registrar(response, &attempt) {
                    self.on_registered(now, purpose, response);
                } else {
                    self.registration_failed(now, Reason::Nonsense, None);
                }
            }
            status => {
                let after = response.header(HeaderName::RetryAfter).and_then(retry_after);
                self.registration_failed(now, Reason::of_registration(status, response), after);
            }
        }
    }

    /// Whether the registrar proves to know the password, if it says anything of itself (RFC 7616 §3.5).
    fn is_registrar(&mut self, response: &Message, attempt: &Attempt) -> bool {
        let uri = self.account.registrar();
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        self.digest.handle_success(response, &subject, &[self.account.login()], attempt).is_ok()
    }

    fn on_registered(&mut self, now: Time, purpose: Purpose, response: &Message) {
        self.registration.failures = 0;
        match purpose {
            Purpose::Remove => {
                self.registration.state = State::Absent;
                if self.registration.wanted {
                    self.send_register(now, Purpose::Bind, Attempt::default());
                } else {
                    self.tell(Event::Unregistered);
                }
            }
            Purpose::Bind => {
                let expires_s = self.granted(response);
                let lifetime = Duration::from_secs(u64::from(expires_s));
                let refresh =
                    lifetime.checked_sub(AHEAD).filter(|left| *left > AHEAD).unwrap_or(lifetime / 2);
                self.registration.state = State::Bound { refresh_at: now + refresh };
                self.tell(Event::Registered { expires_s });
                if !self.registration.wanted {
                    self.send_register(now, Purpose::Remove, Attempt::default());
                }
            }
        }
    }

    /// The lifetime of our contact in the answer (§10.2.4): its `expires`, else Expires, else what we asked for.
    fn granted(&self, response: &Message) -> u32 {
        let contact = self.account.contact();
        let ours = NameAddr::parse(&contact).ok();
        let same = |uri: &Uri<'_>| ours.is_some_and(|ours| ours.uri.equivalent(uri));
        let listed = match response.contacts() {
            Ok(Contacts::List(contacts)) => {
                contacts.iter().find(|contact| same(&contact.address.uri)).and_then(|contact| contact.expires)
            }
            Ok(Contacts::Star) | Err(_) => None,
        };
        let granted = listed.or(response.expires().ok().flatten()).unwrap_or(self.registration.expires_s);
        // A lifetime of nothing would have us ask without end.
        granted.max(10)
    }

    /// No final response came, or the network did not take the request.
    pub(super) fn on_register_lost(&mut self, now: Time, transaction: TransactionId, reason: Reason) {
        if self.registration.owns(transaction) {
            self.registration_failed(now, reason, None);
        }
    }

    fn registration_failed(&mut self, now: Time, reason: Reason, after: Option<Duration>) {
        let registration = &mut self.registration;
        let passing = registration.wanted && (reason.is_passing() || after.is_some());
        let doubled =
            FIRST_RETRY.saturating_mul(1_u32.checked_shl(registration.failures).unwrap_or(u32::MAX));
        registration.failures += 1;
        let retry = passing.then(|| after.unwrap_or(doubled).clamp(Duration::from_secs(1), LAST_RETRY));
        registration.state = State::Failed { retry_at: retry.map(|retry| now + retry) };
        self.outputs.push_back(Output::Event(Event::RegistrationFailed { reason, retry }));
    }
}

/// Retry-After (§20.33): seconds, perhaps with a comment and parameters behind.
fn retry_after(value: &[u8]) -> Option<Duration> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let seconds = delta_seconds(value.get(..end)?)?;
    Some(Duration::from_secs(u64::from(seconds)))
}
