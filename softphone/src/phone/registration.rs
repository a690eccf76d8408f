//! Registration (RFC 3261 §10.2): sends what [`sip_stack::registration`] asks for, over the one flow of
//! its account.

use super::identity::Identity;
use super::machine::{ALLOW, REGISTRATION};
use super::{AccountId, Event, Phone, Reason, Unreached};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject, Verdict};
use sip_stack::endpoint::Heading;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::{self, Failure, FlowId, Input, Loss, Output, Ticket};
use sip_stack::resolve;
use sip_stack::transaction::TransactionId;

/// How an account stands with its registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not registered, and is not to be.
    Away,
    /// An answer is waited for, and nothing is registered so far.
    Asking,
    /// The registrar has our contact; it is refreshed before its time is over.
    Registered,
    /// It did not work.
    Failed {
        /// Why.
        reason: Reason,
        /// When it is tried again; `None`: not before the user asks for it.
        retry_at: Option<Time>,
    },
}

/// The registration of an account.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    machine: registration::Registration,
    from: Bytes,
    asking: Option<Asking>,
    /// The REGISTER that waits for a way to the server, with the 503 to the one before it.
    waiting: Option<(Ticket, Attempt, Option<Box<Message>>)>,
    /// What the user is told of the failure that is handed to the machine.
    blame: Option<Reason>,
    /// What the user was told last, if it was a failure, and when it is tried again.
    failure: Option<(Reason, Option<Time>)>,
    /// Whether the user wants to be registered.
    wanted: bool,
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
        Registration { machine, from, asking: None, waiting: None, blame: None, failure: None, wanted: false }
    }

    fn standing(&self) -> Standing {
        match &self.failure {
            _ if self.is_bound() => Standing::Registered,
            Some((reason, retry_at)) => Standing::Failed { reason: reason.clone(), retry_at: *retry_at },
            None if self.is_settled() => Standing::Away,
            None => Standing::Asking,
        }
    }

    /// Whether no request is out and none is waited for but a refresh.
    pub(super) fn is_settled(&self) -> bool {
        self.machine.is_settled()
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
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
    /// How an account stands with its registrar.
    pub fn standing(&self, account: AccountId) -> Standing {
        self.identity(account).registration.standing()
    }

    /// The user wants every account to be registered, or none.
    pub(super) fn want_registrations(&mut self, now: Time, wanted: bool) {
        for account in self.account_ids() {
            self.want_registration(now, account, wanted);
        }
    }

    /// The user wants an account to be registered, or not.
    pub(super) fn want_registration(&mut self, now: Time, account: AccountId, wanted: bool) {
        let registration = &mut self.identity_mut(account).0.registration;
        (registration.failure, registration.wanted) = (None, wanted);
        if wanted {
            self.pause_watching(account);
        } else {
            self.end_watching(now, account);
        }
        self.feed_registration(now, account, Input::Wanted(wanted), Attempt::default());
    }

    pub(super) fn on_registration_timeouts(&mut self, now: Time) {
        for account in self.account_ids() {
            self.identity_mut(account).0.registration.machine.handle_timeout(now);
            self.drain_registration(now, account, None, Attempt::default());
        }
    }

    pub(super) fn on_register_response(&mut self, now: Time, transaction: TransactionId, response: &Message) {
        let Some((account, Asking { ticket, mut attempt, .. })) = self.asking(transaction) else { return };
        let Some(status) = response.status().filter(|status| status.is_final()) else { return };
        self.identity_mut(account).0.registration.asking = None;
        let input = match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                let verdict = self.on_challenge(account, response, &mut attempt);
                Input::Challenged { ticket, verdict }
            }
            Status::SERVICE_UNAVAILABLE
                if self.looks_on(
                    account,
                    resolve::Failure::Unavailable { retry_after: response.retry_after() },
                    Reason::ServerBusy,
                ) =>
            {
                return self.register_later(account, ticket, Attempt::default(), Some(response));
            }
            status if status.is_success() && !self.is_registrar(account, response, &attempt) => {
                Input::Lost { ticket, loss: Loss::Unproven }
            }
            _ => Input::Response { ticket, response },
        };
        self.feed_registration(now, account, input, attempt);
    }

    /// Reads a challenge with the logins of an account.
    pub(super) fn on_challenge(
        &mut self,
        account: AccountId,
        response: &Message,
        attempt: &mut Attempt,
    ) -> Verdict {
        let (Identity { account, digest, .. }, endpoint) = self.identity_mut(account);
        digest.handle_challenge(response, &[account.login()], endpoint.random(), attempt)
    }

    /// No final response came, or the network did not take the request.
    pub(super) fn on_register_lost(&mut self, now: Time, transaction: TransactionId, loss: Loss) {
        if let Some((account, Asking { ticket, attempt, .. })) = self.asking(transaction) {
            self.identity_mut(account).0.registration.asking = None;
            let looks_on = match loss {
                Loss::TimedOut => {
                    self.looks_on(account, resolve::Failure::Timeout, Reason::Unreached(Unreached::NoAnswer))
                }
                Loss::TransportFailed => self.looks_on(
                    account,
                    resolve::Failure::Transport,
                    Reason::Unreached(Unreached::Unreachable),
                ),
                Loss::Unproven => false,
            };
            if looks_on {
                return self.register_later(account, ticket, Attempt::default(), None);
            }
            self.feed_registration(now, account, Input::Lost { ticket, loss }, attempt);
        }
    }

    /// The REGISTER waits for a way to the server.
    fn register_later(
        &mut self,
        account: AccountId,
        ticket: Ticket,
        attempt: Attempt,
        busy: Option<&Message>,
    ) {
        let registration = &mut self.identity_mut(account).0.registration;
        registration.waiting = Some((ticket, attempt, busy.cloned().map(Box::new)));
    }

    /// There is a way: what waits for it is sent. What was registered over another one is registered anew.
    pub(super) fn register_over(&mut self, now: Time, account: AccountId, moved: bool) {
        let Identity { account: settings, registration, .. } = self.identity_mut(account).0;
        registration.machine.set_contact(FlowId::FIRST, settings.contact_uri().into());
        match registration.waiting.take() {
            Some((ticket, attempt, _)) => self.send_register(now, account, ticket, attempt),
            None if moved && registration.is_bound() && registration.is_settled() => {
                self.want_registration(now, account, true);
            }
            None => {}
        }
    }

    /// There is no way.
    pub(super) fn register_nowhere(&mut self, now: Time, account: AccountId, reason: &Reason) {
        let registration = &mut self.identity_mut(account).0.registration;
        match registration.waiting.take() {
            Some((ticket, _, Some(response))) => {
                self.feed_registration(
                    now,
                    account,
                    Input::Response { ticket, response: &response },
                    Attempt::default(),
                );
            }
            Some((ticket, _, None)) => {
                registration.blame = Some(reason.clone());
                let input = Input::Lost { ticket, loss: Loss::TransportFailed };
                self.feed_registration(now, account, input, Attempt::default());
            }
            None => {}
        }
    }

    /// The way was lost: what was registered over it has to be registered anew (RFC 5626 §4.5), what was asked is asked again.
    pub(super) fn register_again(&mut self, now: Time, account: AccountId) {
        let registration = &mut self.identity_mut(account).0.registration;
        match registration.asking.take() {
            Some(Asking { ticket, .. }) => self.send_register(now, account, ticket, Attempt::default()),
            None => {
                let input = Input::FlowFailed(FlowId::FIRST);
                self.feed_registration(now, account, input, Attempt::default());
            }
        }
    }

    fn asking(&self, transaction: TransactionId) -> Option<(AccountId, Asking)> {
        self.account_ids().find_map(|id| {
            let asking = self.identity(id).registration.asking?;
            (asking.transaction == transaction).then_some((id, asking))
        })
    }

    /// Hands an input to the machine; what it sends then goes on with the proofs of `attempt`.
    fn feed_registration(&mut self, now: Time, account: AccountId, input: Input<'_>, attempt: Attempt) {
        let response = match input {
            Input::Response { response, .. } => Some(response),
            Input::Wanted(_)
            | Input::Challenged { .. }
            | Input::Lost { .. }
            | Input::KeptAlive(_)
            | Input::FlowFailed(_) => None,
        };
        let (identity, endpoint) = self.identity_mut(account);
        identity.registration.machine.handle_input(now, input, endpoint.random());
        self.drain_registration(now, account, response, attempt);
    }

    fn drain_registration(
        &mut self,
        now: Time,
        account: AccountId,
        response: Option<&Message>,
        mut attempt: Attempt,
    ) {
        while let Some(output) = self.identity_mut(account).0.registration.machine.poll_output() {
            match output {
                Output::Register(ticket) => {
                    self.send_register(now, account, ticket, core::mem::take(&mut attempt))
                }
                Output::Event(registration::Event::Registered { expires_s, .. }) => {
                    // Whatever follows is another request.
                    attempt = Attempt::default();
                    self.identity_mut(account).0.registration.failure = None;
                    self.tell(Event::Registered { account, expires_s });
                    self.begin_watching(now, account);
                }
                Output::Event(registration::Event::Unregistered) => {
                    self.identity_mut(account).0.registration.failure = None;
                    self.tell(Event::Unregistered { account });
                }
                Output::Event(registration::Event::Failed { failure, retry, .. }) => {
                    attempt = Attempt::default();
                    let blame = self.identity_mut(account).0.registration.blame.take();
                    let reason = blame.unwrap_or_else(|| reason(failure, response));
                    let retry_at = retry.map(|retry| now + retry);
                    self.identity_mut(account).0.registration.failure = Some((reason.clone(), retry_at));
                    self.tell(Event::RegistrationFailed { account, reason, retry });
                    self.pause_watching(account);
                }
            }
        }
    }

    fn send_register(&mut self, now: Time, id: AccountId, ticket: Ticket, mut attempt: Attempt) {
        if !self.has_way(id) {
            return self.register_later(id, ticket, attempt, None);
        }
        let user_agent = self.settings.user_agent.clone();
        let (Identity { account, registration, digest, .. }, endpoint) = self.identity_mut(id);
        let uri = account.registrar();
        let to = [b"<", &account.address_of_record()[..], b">"].concat();
        let heading = Heading {
            method: Method::Register,
            uri: &uri,
            from: &registration.from,
            to: &to,
            sent_by: &account.sent_by(),
            sequence: Some(registration.machine.sequence(ticket)),
            max_forwards: 70,
        };
        let mut draft = endpoint.draft(heading, account.server);
        registration.machine.write(ticket, &mut draft.writer);
        draft.writer.header(HeaderName::Allow, ALLOW);
        draft.writer.header(HeaderName::UserAgent, user_agent.as_bytes());
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        digest.authorize(&subject, &[account.login()], &mut attempt, &mut draft.writer);
        let transaction = endpoint.request(now, draft, REGISTRATION);
        registration.asking = Some(Asking { transaction, ticket, attempt });
    }

    /// Whether the registrar proves to know the password, if it says anything of itself (RFC 7616 §3.5).
    fn is_registrar(&mut self, id: AccountId, response: &Message, attempt: &Attempt) -> bool {
        let (Identity { account, digest, .. }, _) = self.identity_mut(id);
        let uri = account.registrar();
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        digest.handle_success(response, &subject, &[account.login()], attempt).is_ok()
    }
}

/// A failure in the user's words; `response` is there when it is one.
fn reason(failure: Failure, response: Option<&Message>) -> Reason {
    match (failure, response) {
        (Failure::Refused(status), Some(response)) => Reason::of_registration(status, response),
        (Failure::WrongCredentials, _) => Reason::WrongPassword,
        (Failure::UnknownAuthentication, _) => Reason::UnknownAuthentication,
        (Failure::TimedOut, _) => Reason::Unreached(Unreached::NoAnswer),
        (Failure::TransportFailed | Failure::FlowFailed, _) => Reason::Unreached(Unreached::Unreachable),
        (Failure::Nonsense | Failure::Refused(_), _) => Reason::Nonsense,
    }
}
