//! Registration (RFC 3261 §10.2): sends what [`sip_stack::registration`] asks for, over the one flow of the account.

use super::machine::{ALLOW, REGISTRATION};
use super::{Event, Phone, Reason};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject};
use sip_stack::endpoint::Heading;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::{self, Failure, FlowId, Input, Loss, Output, Ticket};
use sip_stack::transaction::TransactionId;

/// The registration of an account.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    machine: registration::Registration,
    from: Bytes,
    asking: Option<Asking>,
}

/// The REGISTER that is out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Asking {
    transaction: TransactionId,
    ticket: Ticket,
    attempt: Attempt,
}

impl Registration {
    pub(super) fn new(machine: registration::Registration, from: Bytes) -> Registration {
        Registration { machine, from, asking: None }
    }

    /// Whether no request is out and none is waited for but a refresh.
    pub(super) fn is_settled(&self) -> bool {
        self.machine.is_settled()
    }

    pub(super) fn is_bound(&self) -> bool {
        self.machine.is_registered()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    /// The Route values that a request outside a dialog starts with (RFC 3608 §6.1).
    pub(super) fn service_route(&self) -> &[Bytes] {
        self.machine.service_route(FlowId::FIRST)
    }
}

impl Phone {
    /// The user wants to be registered, or not.
    pub(super) fn want_registration(&mut self, now: Time, wanted: bool) {
        self.feed_registration(now, Input::Wanted(wanted), Attempt::default());
    }

    pub(super) fn on_registration_timeout(&mut self, now: Time) {
        self.registration.machine.handle_timeout(now);
        self.drain_registration(now, None, Attempt::default());
    }

    pub(super) fn on_register_response(&mut self, now: Time, transaction: TransactionId, response: &Message) {
        let Some(Asking { ticket, mut attempt, .. }) = self.asking(transaction) else { return };
        let Some(status) = response.status().filter(|status| status.is_final()) else { return };
        let input = match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                let (logins, random) = ([self.account.login()], self.endpoint.random());
                let verdict = self.digest.handle_challenge(response, &logins, random, &mut attempt);
                Input::Challenged { ticket, verdict }
            }
            status if status.is_success() && !self.is_registrar(response, &attempt) => {
                Input::Lost { ticket, loss: Loss::Unproven }
            }
            _ => Input::Response { ticket, response },
        };
        self.feed_registration(now, input, attempt);
    }

    /// No final response came, or the network did not take the request.
    pub(super) fn on_register_lost(&mut self, now: Time, transaction: TransactionId, loss: Loss) {
        if let Some(Asking { ticket, attempt, .. }) = self.asking(transaction) {
            self.feed_registration(now, Input::Lost { ticket, loss }, attempt);
        }
    }

    fn asking(&self, transaction: TransactionId) -> Option<Asking> {
        self.registration.asking.filter(|asking| asking.transaction == transaction)
    }

    /// Hands an input to the machine; what it sends then goes on with the proofs of `attempt`.
    fn feed_registration(&mut self, now: Time, input: Input<'_>, attempt: Attempt) {
        let response = match input {
            Input::Response { response, .. } => Some(response),
            Input::Wanted(_)
            | Input::Challenged { .. }
            | Input::Lost { .. }
            | Input::KeptAlive(_)
            | Input::FlowFailed(_) => None,
        };
        self.registration.machine.handle_input(now, input, self.endpoint.random());
        self.drain_registration(now, response, attempt);
    }

    fn drain_registration(&mut self, now: Time, response: Option<&Message>, mut attempt: Attempt) {
        while let Some(output) = self.registration.machine.poll_output() {
            match output {
                Output::Register(ticket) => self.send_register(now, ticket, core::mem::take(&mut attempt)),
                Output::Event(registration::Event::Registered { expires_s, .. }) => {
                    // Whatever follows is another request.
                    attempt = Attempt::default();
                    self.tell(Event::Registered { expires_s });
                }
                Output::Event(registration::Event::Unregistered) => self.tell(Event::Unregistered),
                Output::Event(registration::Event::Failed { failure, retry, .. }) => {
                    attempt = Attempt::default();
                    self.tell(Event::RegistrationFailed { reason: reason(failure, response), retry });
                }
            }
        }
    }

    fn send_register(&mut self, now: Time, ticket: Ticket, mut attempt: Attempt) {
        let uri = self.account.registrar();
        let to = [b"<", &self.account.address_of_record()[..], b">"].concat();
        let heading = Heading {
            method: Method::Register,
            uri: &uri,
            from: &self.registration.from,
            to: &to,
            sent_by: &self.account.sent_by(),
            sequence: Some(self.registration.machine.sequence(ticket)),
            max_forwards: 70,
        };
        let mut draft = self.endpoint.draft(heading, self.account.server);
        self.registration.machine.write(ticket, &mut draft.writer);
        draft.writer.header(HeaderName::Allow, ALLOW);
        draft.writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        self.digest.authorize(&subject, &[self.account.login()], &mut attempt, &mut draft.writer);
        let transaction = self.endpoint.request(now, draft, REGISTRATION);
        self.registration.asking = Some(Asking { transaction, ticket, attempt });
    }

    /// Whether the registrar proves to know the password, if it says anything of itself (RFC 7616 §3.5).
    fn is_registrar(&mut self, response: &Message, attempt: &Attempt) -> bool {
        let uri = self.account.registrar();
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        self.digest.handle_success(response, &subject, &[self.account.login()], attempt).is_ok()
    }
}

/// A failure in the user's words; `response` is there when it is one.
fn reason(failure: Failure, response: Option<&Message>) -> Reason {
    match (failure, response) {
        (Failure::Refused(status), Some(response)) => Reason::of_registration(status, response),
        (Failure::WrongCredentials, _) => Reason::WrongPassword,
        (Failure::UnknownAuthentication, _) => Reason::UnknownAuthentication,
        (Failure::TimedOut, _) => Reason::NoAnswer,
        (Failure::TransportFailed | Failure::FlowFailed, _) => Reason::Unreachable,
        (Failure::Nonsense | Failure::Refused(_), _) => Reason::Nonsense,
    }
}
