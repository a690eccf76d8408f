//! The registration at a peer (RFC 3261 §10.2): sends what [`sip_stack::registration`] asks for, with credentials
//! ([`DigestClient`]), to whichever of the peer's servers answers.

use super::Kind;
use super::errand::{self, Errand};
use super::line::{News, Work};
use crate::config;
use crate::core::environment::{ALLOW, Environment, sign_request};
use bytes::Bytes;
use core::mem;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, DigestClient, Login, Subject, Verdict};
use sip_stack::endpoint::Heading;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::{Event, FlowId, Input, Loss, Output, Registration, Ticket};
use sip_stack::resolve::{Failure, Target};
use sip_stack::transport::Flow;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Registering {
    machine: Registration,
    digest: DigestClient,
    pub(super) errand: Errand<Register>,
    /// What the server that was tried last failed with.
    loss: Option<Loss>,
    /// What was told last: each refresh is none of news.
    is_told: bool,
    wanted: bool,
}

/// One REGISTER.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Register {
    ticket: Ticket,
    attempt: Attempt,
}

impl Registering {
    pub(super) fn new(env: &mut Environment, settings: &config::Registering) -> Registering {
        // The contact follows from the flow, which is not known yet.
        let machine = Registration::plain(Bytes::new(), settings.expires_s, env.endpoint.random());
        Registering {
            machine,
            digest: DigestClient::default(),
            errand: Errand::None,
            loss: None,
            is_told: false,
            wanted: false,
        }
    }

    /// Whether it was taken back, or there was nothing to take back.
    pub(super) fn is_over(&self) -> bool {
        !self.wanted && self.machine.is_settled()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    pub(super) fn want(&mut self, work: &mut Work<'_>, wanted: bool) {
        self.wanted = wanted;
        self.feed(work, Input::Wanted(wanted), Attempt::default(), None);
    }

    pub(super) fn handle_timeout(&mut self, work: &mut Work<'_>) {
        self.machine.handle_timeout(work.env.now);
        self.drain(work, Attempt::default(), None);
    }

    pub(super) fn handle_target(&mut self, work: &mut Work<'_>, target: &Target) {
        let Some(register) = self.errand.take_locating() else {
            return errand::abandon(work.env, work.id, Kind::Registration);
        };
        match errand::flow_to(work.env, target) {
            Some(flow) => self.send(work, register, flow),
            None => self.try_next(work, register, Loss::TransportFailed, Failure::Transport),
        }
    }

    /// There is no further server.
    pub(super) fn handle_exhausted(&mut self, work: &mut Work<'_>) {
        let Some(register) = self.errand.take_locating() else { return };
        let loss = self.loss.take().unwrap_or(Loss::TransportFailed);
        self.feed(work, Input::Lost { ticket: register.ticket, loss }, Attempt::default(), None);
    }

    pub(super) fn handle_loss(&mut self, work: &mut Work<'_>, loss: Loss) {
        if let Some((register, _)) = self.errand.take_asking() {
            self.try_next(work, register, loss, errand::failure(loss));
        }
    }

    pub(super) fn handle_response(&mut self, work: &mut Work<'_>, response: &Message) {
        let Some((mut register, flow)) = self.errand.take_asking() else { return };
        let ticket = register.ticket;
        if response.status() == Some(Status::SERVICE_UNAVAILABLE) {
            let failure = Failure::Unavailable { retry_after: response.retry_after() };
            return self.try_next(work, register, Loss::TransportFailed, failure);
        }
        errand::reach(work.env, work.id, Kind::Registration);
        let logins = logins(work);
        let input = match response.status() {
            Some(Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED) => {
                let (random, attempt) = (work.env.endpoint.random(), &mut register.attempt);
                Input::Challenged {
                    ticket,
                    verdict: match &logins {
                        Some(login) => self.digest.handle_challenge(response, &[*login], random, attempt),
                        None => Verdict::Unanswerable,
                    },
                }
            }
            Some(status) if status.is_success() && !self.is_registrar(work, response, &register.attempt) => {
                Input::Lost { ticket, loss: Loss::Unproven }
            }
            Some(_) | None => Input::Response { ticket, response },
        };
        self.feed(work, input, register.attempt, Some(flow));
    }

    /// Hands an input to the machine. What it sends at once goes on with the proofs of `attempt`, over `flow` if there is one.
    fn feed(&mut self, work: &mut Work<'_>, input: Input<'_>, attempt: Attempt, flow: Option<Flow>) {
        self.machine.handle_input(work.env.now, input, work.env.endpoint.random());
        self.drain(work, attempt, flow);
    }

    fn drain(&mut self, work: &mut Work<'_>, mut attempt: Attempt, flow: Option<Flow>) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Register(ticket) => {
                    let register = Register { ticket, attempt: mem::take(&mut attempt) };
                    match flow {
                        Some(flow) => self.send(work, register, flow),
                        None => self.locate(work, register),
                    }
                }
                Output::Event(Event::Registered { expires_s, .. }) => {
                    work.note_registrar(flow.map(|flow| flow.peer.ip()));
                    if !mem::replace(&mut self.is_told, true) {
                        work.tell(News::Registered { expires_s });
                    }
                }
                Output::Event(Event::Unregistered) => {
                    work.note_registrar(None);
                    if mem::replace(&mut self.is_told, false) {
                        work.tell(News::Unregistered);
                    }
                }
                Output::Event(Event::Failed { failure, retry, .. }) => {
                    self.is_told = false;
                    if !self.machine.is_registered() {
                        work.note_registrar(None);
                    }
                    let retry_s = retry.map(|retry| retry.as_secs());
                    work.tell(News::Failed { failure, retry_s });
                }
            }
        }
    }

    fn locate(&mut self, work: &mut Work<'_>, register: Register) {
        errand::abandon(work.env, work.id, Kind::Registration);
        self.errand = Errand::Locating(register);
        self.loss = None;
        if !errand::locate(work.env, work.id, Kind::Registration, work.settings) {
            self.handle_exhausted(work);
        }
    }

    /// The next server, if there is one.
    fn try_next(&mut self, work: &mut Work<'_>, register: Register, loss: Loss, failure: Failure) {
        // Proofs are for the server that asked for them.
        self.errand = Errand::Locating(Register { attempt: Attempt::default(), ..register });
        self.loss = Some(loss);
        if !errand::fail(work.env, work.id, Kind::Registration, failure) {
            self.handle_exhausted(work);
        }
    }

    fn send(&mut self, work: &mut Work<'_>, mut register: Register, flow: Flow) {
        let Some(settings) = &work.settings.client.registration else { return };
        let contact = work.env.contact(settings.contact_user.as_bytes(), &flow);
        // Without its brackets: the machine adds what belongs to it.
        let contact = contact.slice(1..contact.len().saturating_sub(1));
        self.machine.set_contact(FlowId::FIRST, contact);
        let (uri, address) = (registrar(work), address_of_record(work, settings));
        let from = [b"<", &address[..], b">"].concat();
        let sent_by = work.env.sent_by(&flow);
        let heading = Heading {
            method: Method::Register,
            uri: &uri,
            from: &from,
            to: &from,
            sent_by: &sent_by,
            max_forwards: 70,
            sequence: Some(self.machine.sequence(register.ticket)),
        };
        let mut draft = work.env.endpoint.draft(heading, flow);
        work.write_route(&mut draft.writer);
        self.machine.write(register.ticket, &mut draft.writer);
        draft.writer.header(HeaderName::Allow, ALLOW);
        sign_request(&mut draft.writer);
        if let Some(login) = logins(work) {
            let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
            self.digest.authorize(&subject, &[login], &mut register.attempt, &mut draft.writer);
        }
        let transaction = work.env.endpoint.request(work.env.now, draft, 0);
        self.errand = Errand::Asking { request: register, transaction, flow };
    }

    /// Whether whoever answered proves to know the password, if it says anything of itself (RFC 7616 §3.5).
    fn is_registrar(&mut self, work: &Work<'_>, response: &Message, attempt: &Attempt) -> bool {
        let uri = registrar(work);
        let subject = Subject { method: Method::Register, uri: &uri, body: b"" };
        let logins = logins(work);
        self.digest.handle_success(response, &subject, logins.as_slice(), attempt).is_ok()
    }
}

fn logins<'w>(work: &Work<'w>) -> Option<Login<'w>> {
    work.settings.client.account.as_ref().map(config::Account::login)
}

/// The Request-URI: the domain (§10.2).
fn registrar(work: &Work<'_>) -> Vec<u8> {
    [b"sip:", &work.realm()[..]].concat()
}

fn address_of_record(work: &Work<'_>, settings: &config::Registering) -> Vec<u8> {
    let user = work.settings.client.from_user.as_ref().unwrap_or(&settings.contact_user);
    [b"sip:", user.as_bytes(), b"@", &work.realm()[..]].concat()
}
