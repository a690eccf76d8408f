//! The registration of one address of record, over one flow or several.

use super::flow::{Failure, Flow, FlowId, Purpose, State, Ticket};
use super::{answer, wait};
use crate::auth::Verdict;
use crate::header::HeaderName;
use crate::message::{Message, Status, Writer};
use crate::random::Random;
use crate::time::Time;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Flows of a registration, at most (RFC 5626 §4.2.1 asks for two, and up to four).
pub const MAX_FLOWS: usize = 4;
/// How many challenges and longer lifetimes one attempt goes along with.
const MAX_DEMANDS: u8 = 6;

/// What enters.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Whether the user wants to be registered. Saying it again tries anew what was given up.
    Wanted(bool),
    /// A response to a REGISTER that is no challenge; a 401 or 407 that comes in here counts as a refusal.
    Response {
        /// The request.
        ticket: Ticket,
        /// The response; a provisional one changes nothing.
        response: &'a Message,
    },
    /// A 401 or 407 to a REGISTER.
    Challenged {
        /// The request.
        ticket: Ticket,
        /// What the [`DigestClient`](crate::auth::DigestClient) says.
        verdict: Verdict,
    },
    /// There will be no response to a REGISTER that counts.
    Lost {
        /// The request.
        ticket: Ticket,
        /// Why.
        loss: Loss,
    },
    /// A keep-alive was answered (RFC 5626 §4.4).
    KeptAlive(FlowId),
    /// A connection was closed, or a keep-alive not answered (RFC 5626 §4.4).
    FlowFailed(FlowId),
}

/// Why there is no response that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// None came in time.
    TimedOut,
    /// The request could not be sent.
    TransportFailed,
    /// Whoever answered does not know the password (RFC 7616 §3.5).
    Unproven,
}

/// What leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Send a REGISTER over this flow, anew if it had failed: [`Registration::sequence`] has its Call-ID and CSeq,
    /// [`Registration::write`] the rest.
    Register(Ticket),
    /// Tell the user.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The registrar has our contact, again or for the first time.
    Registered {
        /// Over which flow.
        flow: FlowId,
        /// For so many seconds.
        expires_s: u32,
        /// The registrar keeps the flow: keep-alives are due (RFC 5626 §4.2.1).
        outbound: bool,
        /// Keep-alives no further apart than so many seconds (RFC 5626 §4.4).
        flow_timer_s: Option<u32>,
    },
    /// Nothing of us is registered, as far as we know.
    Unregistered,
    /// A REGISTER failed.
    Failed {
        /// Over which flow.
        flow: FlowId,
        /// Why.
        failure: Failure,
        /// When it will be tried again; `None`: not by itself.
        retry: Option<Duration>,
    },
}

/// The registration of one address of record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registration {
    wanted: bool,
    /// `+sip.instance`, with its quotes.
    instance: Option<Bytes>,
    flows: SmallVec<[Flow; 1]>,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

impl Registration {
    /// Of one contact URI, for `expires_s` seconds, as RFC 3261 §10.2 has it.
    pub fn plain(contact: Bytes, expires_s: u32, random: &mut Random) -> Registration {
        let flow = Flow::new(contact, expires_s, false, random);
        Registration {
            wanted: false,
            instance: None,
            flows: SmallVec::from_iter([flow]),
            outputs: VecDeque::new(),
        }
    }

    /// Of a phone with one contact URI for each of its flows (RFC 5626 §4.2.1); those beyond [`MAX_FLOWS`] are left out.
    /// `urn` is its instance-id (§4.1), `urn:uuid:…`, the same for ever.
    pub fn outbound(
        urn: &[u8],
        contacts: impl IntoIterator<Item = Bytes>,
        expires_s: u32,
        random: &mut Random,
    ) -> Registration {
        let contacts = contacts.into_iter().take(MAX_FLOWS);
        let flows = contacts.map(|contact| Flow::new(contact, expires_s, true, random)).collect();
        let instance = Some([b"\"<", urn, b">\""].concat().into());
        Registration { wanted: false, instance, flows, outputs: VecDeque::new() }
    }

    /// From the next REGISTER on the contact of a flow is another URI: its connection was opened anew. What was bound before is
    /// left to its time, or to a registrar that sees the connection end.
    pub fn set_contact(&mut self, flow: FlowId, contact: Bytes) {
        if let Some(flow) = self.flows.get_mut(flow.index()) {
            flow.contact = contact;
        }
    }

    /// Takes one input. Outputs follow from [`Registration::poll_output`] until it is `None`. An input about a request or
    /// a flow that no longer counts changes nothing.
    pub fn handle_input(&mut self, now: Time, input: Input<'_>, random: &mut Random) {
        match input {
            Input::Wanted(wanted) => self.on_wanted(wanted),
            Input::Response { ticket, response } => {
                if let (Some((purpose, demands)), Some(status)) = (self.asking(ticket), response.status()) {
                    self.on_response(now, ticket.flow, purpose, demands, (status, response), random);
                }
            }
            Input::Challenged { ticket, verdict } => {
                if let Some((purpose, demands)) = self.asking(ticket) {
                    match verdict {
                        Verdict::Again => self.ask_again(now, ticket.flow, purpose, demands, random),
                        Verdict::Refused => {
                            self.fail(now, ticket.flow, Failure::WrongCredentials, None, random)
                        }
                        Verdict::Unanswerable => {
                            self.fail(now, ticket.flow, Failure::UnknownAuthentication, None, random);
                        }
                    }
                }
            }
            Input::Lost { ticket, loss } => {
                let failure = match loss {
                    Loss::TimedOut => Failure::TimedOut,
                    Loss::TransportFailed => Failure::TransportFailed,
                    Loss::Unproven => Failure::Nonsense,
                };
                if self.asking(ticket).is_some() {
                    self.fail(now, ticket.flow, failure, None, random);
                }
            }
            Input::KeptAlive(flow) => {
                if let Some(flow) = self.flows.get_mut(flow.index()).filter(|flow| flow.registered) {
                    (flow.proven, flow.failures) = (true, 0);
                }
            }
            Input::FlowFailed(flow) => self.on_flow_failed(now, flow, random),
        }
    }

    /// Sends every REGISTER that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        for id in self.ids() {
            if self.flow(id).and_then(Flow::poll_timeout).is_some_and(|at| at <= now) {
                self.ask(id, Purpose::Bind, 0);
            }
        }
    }

    /// The next thing to do, in the order it came about.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Registration::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.flows.iter().filter_map(Flow::poll_timeout).min()
    }

    /// Whether the registrar has a contact of ours, as far as we know.
    pub fn is_registered(&self) -> bool {
        self.flows.iter().any(|flow| flow.registered)
    }

    /// Whether nothing is under way, nor will be before the next refresh.
    pub fn is_settled(&self) -> bool {
        self.flows.iter().all(|flow| match flow.state {
            State::Absent | State::Bound { .. } | State::GivenUp => true,
            State::Asking { .. } | State::Waiting { .. } => false,
        })
    }

    /// The Route values that a request outside a dialog starts with when it goes over this flow (RFC 3608 §6.1), topmost
    /// first; empty when the registrar named none.
    pub fn service_route(&self, flow: FlowId) -> &[Bytes] {
        self.flow(flow).map(|flow| &flow.service_route[..]).unwrap_or_default()
    }

    /// Call-ID and CSeq number of a REGISTER (RFC 3261 §10.2).
    pub fn sequence(&self, ticket: Ticket) -> (&[u8], u32) {
        (self.flow(ticket.flow).map(|flow| &flow.call_id[..]).unwrap_or_default(), ticket.cseq)
    }

    /// Adds Contact, Expires and Supported to a REGISTER.
    pub fn write(&self, ticket: Ticket, writer: &mut Writer) {
        let Some(flow) = self.flow(ticket.flow) else { return };
        let reg_id = ticket.flow.reg_id();
        let mut contact = [b"<", &flow.contact[..], b">"].concat();
        if let Some(instance) = &self.instance {
            contact.extend([b";+sip.instance=", &instance[..]].concat());
        }
        if flow.outbound {
            contact.extend(format!(";reg-id={reg_id}").bytes());
        }
        writer.header(HeaderName::Contact, &contact);
        let removes = matches!(flow.state, State::Asking { purpose: Purpose::Remove, .. });
        let expires_s = if removes { 0 } else { flow.expires_s };
        writer.number(HeaderName::Expires, u64::from(expires_s));
        // RFC 3327 §5.1, RFC 5626 §4.2.1
        writer.header(HeaderName::Supported, if flow.outbound { &b"path, outbound"[..] } else { b"path" });
    }

    fn ids(&self) -> impl Iterator<Item = FlowId> + use<> {
        (0..u8::try_from(self.flows.len()).unwrap_or(u8::MAX)).map(FlowId)
    }

    fn flow(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(id.index())
    }

    /// What the request of a ticket is for, if it is the one that is out.
    fn asking(&self, ticket: Ticket) -> Option<(Purpose, u8)> {
        match self.flow(ticket.flow).filter(|flow| flow.is_asking(ticket))?.state {
            State::Asking { purpose, demands } => Some((purpose, demands)),
            State::Absent | State::Bound { .. } | State::Waiting { .. } | State::GivenUp => None,
        }
    }

    fn on_wanted(&mut self, wanted: bool) {
        self.wanted = wanted;
        for id in self.ids() {
            let Some(flow) = self.flows.get_mut(id.index()) else { continue };
            flow.failures = 0;
            match (flow.state, wanted) {
                // Heeded when the answer is there (RFC 3261 §10.2: one REGISTER after the other).
                (State::Asking { .. }, _) | (State::Absent, false) => {}
                (State::Absent | State::Bound { .. } | State::Waiting { .. } | State::GivenUp, true) => {
                    self.ask(id, Purpose::Bind, 0);
                }
                // After a failure the registrar may have a binding all the same.
                (State::Bound { .. } | State::Waiting { .. } | State::GivenUp, false) => {
                    self.ask(id, Purpose::Remove, 0);
                }
            }
        }
        self.tell_if_absent();
    }

    fn ask(&mut self, id: FlowId, purpose: Purpose, demands: u8) {
        let Some(flow) = self.flows.get_mut(id.index()) else { return };
        flow.cseq = flow.cseq.wrapping_add(1) & 0x7fff_ffff;
        flow.state = State::Asking { purpose, demands };
        self.outputs.push_back(Output::Register(Ticket { flow: id, cseq: flow.cseq }));
    }

    /// The same with what the registrar demanded, within bounds.
    fn ask_again(&mut self, now: Time, id: FlowId, purpose: Purpose, demands: u8, random: &mut Random) {
        if demands < MAX_DEMANDS {
            self.ask(id, purpose, demands + 1);
        } else {
            self.fail(now, id, Failure::Nonsense, None, random);
        }
    }

    fn on_response(
        &mut self,
        now: Time,
        id: FlowId,
        purpose: Purpose,
        demands: u8,
        (status, response): (Status, &Message),
        random: &mut Random,
    ) {
        let Some(flow) = self.flows.get_mut(id.index()) else { return };
        match (status, purpose) {
            (status, _) if status.is_provisional() => {}
            (status, Purpose::Bind) if status.is_success() => self.on_bound(now, id, response),
            (status, Purpose::Remove) if status.is_success() => self.on_removed(id),
            // RFC 3261 §10.2.8
            (Status::INTERVAL_TOO_BRIEF, Purpose::Bind) => match response.min_expires() {
                Ok(Some(longer)) if longer > flow.expires_s => {
                    flow.expires_s = longer;
                    self.ask_again(now, id, purpose, demands, random);
                }
                Ok(Some(_) | None) | Err(_) => self.fail(now, id, Failure::Nonsense, None, random),
            },
            // RFC 5626 §4.2.1: one flow does without outbound, so that there is one contact of the phone and no more.
            (Status::FIRST_HOP_LACKS_OUTBOUND_SUPPORT, Purpose::Bind) if flow.outbound && id.index() == 0 => {
                flow.outbound = false;
                self.ask_again(now, id, purpose, demands, random);
            }
            (status, _) => {
                let after = response.retry_after();
                self.fail(now, id, Failure::Refused(status), after, random);
            }
        }
    }

    fn on_bound(&mut self, now: Time, id: FlowId, response: &Message) {
        let Some(flow) = self.flows.get_mut(id.index()) else { return };
        let expires_s = answer::granted(flow, id.reg_id(), self.instance.as_ref(), response);
        let outbound = flow.outbound && answer::is_outbound(response);
        flow.registered = true;
        if !outbound {
            // No keep-alives are in use that could prove it further.
            (flow.proven, flow.failures) = (true, 0);
        }
        flow.state = State::Bound { refresh_at: now + answer::refresh_after(expires_s) };
        flow.service_route = answer::service_route(response);
        let flow_timer_s = answer::flow_timer_s(response).filter(|_| outbound);
        let event = Event::Registered { flow: id, expires_s, outbound, flow_timer_s };
        self.outputs.push_back(Output::Event(event));
        if !self.wanted {
            self.ask(id, Purpose::Remove, 0);
        }
    }

    fn on_removed(&mut self, id: FlowId) {
        self.leave(id, State::Absent);
        if self.wanted {
            self.ask(id, Purpose::Bind, 0);
        }
        self.tell_if_absent();
    }

    /// The registrar has the flow no more, or has to be taken not to.
    fn leave(&mut self, id: FlowId, state: State) {
        let Some(flow) = self.flows.get_mut(id.index()) else { return };
        (flow.registered, flow.proven) = (false, false);
        // RFC 3608 §6.1
        flow.service_route.clear();
        flow.state = state;
    }

    fn on_flow_failed(&mut self, now: Time, id: FlowId, random: &mut Random) {
        let Some(flow) = self.flows.get_mut(id.index()) else { return };
        let proven = core::mem::take(&mut flow.proven);
        match flow.state {
            // RFC 5626 §4.5: a flow that worked is formed anew at once, one that never did after a while.
            State::Bound { .. } if proven => {
                flow.registered = false;
                self.ask(id, Purpose::Bind, 0);
            }
            State::Bound { .. } | State::Asking { .. } => {
                self.fail(now, id, Failure::FlowFailed, None, random);
            }
            State::Absent | State::Waiting { .. } | State::GivenUp => {}
        }
    }

    fn fail(
        &mut self,
        now: Time,
        id: FlowId,
        failure: Failure,
        retry_after: Option<Duration>,
        random: &mut Random,
    ) {
        let removing = matches!(
            self.flow(id).map(|flow| flow.state),
            Some(State::Asking { purpose: Purpose::Remove, .. })
        );
        self.leave(id, if removing { State::Absent } else { State::GivenUp });
        let others_work = self.is_registered();
        let passing = failure.is_passing() || retry_after.is_some();
        let Some(flow) = self.flows.get_mut(id.index()) else { return };
        flow.failures = flow.failures.saturating_add(1);
        let retry =
            (self.wanted && passing).then(|| wait::after(flow.failures, others_work, retry_after, random));
        if let Some(retry) = retry {
            flow.state = State::Waiting { retry_at: now + retry };
        }
        self.outputs.push_back(Output::Event(Event::Failed { flow: id, failure, retry }));
        match (self.wanted, removing) {
            // The wish changed while the request was out.
            (true, true) if retry.is_none() => self.ask(id, Purpose::Bind, 0),
            (false, false) => self.ask(id, Purpose::Remove, 0),
            (true, true | false) => {}
            (false, true) => self.tell_if_absent(),
        }
    }

    fn tell_if_absent(&mut self) {
        let absent = self.flows.iter().all(|flow| matches!(flow.state, State::Absent));
        if absent && !self.wanted {
            self.outputs.push_back(Output::Event(Event::Unregistered));
        }
    }
}
