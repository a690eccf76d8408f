//! A user agent on a bare [`Endpoint`] that keeps every rule: it calls, answers, asks for changes and hangs up when it is told to,
//! and reacts to what comes as RFC 3261, 3262 and 3311 want it.
//!
//! Left out on purpose: media; its descriptions are words that nobody reads.

use bytes::Bytes;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::{Event, Heading, Input, Output, Request};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::session::prack::REL100;
use sip_stack::transaction::TransactionId;
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Time};
use softphone::scenario::network::Datagram;
use std::net::SocketAddr;

/// What a user can be told to do; what cannot be done as things are is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Calls an address.
    Call(SocketAddr),
    /// Takes the call that rings longest.
    Answer,
    /// Says that it is busy.
    Refuse,
    /// Says once more that it rings.
    Ring,
    /// Gives up its last call that is not answered.
    Cancel,
    /// Ends its first call that is connected.
    HangUp,
    /// Changes the session (re-INVITE).
    Change,
    /// Asks for something else in the dialog.
    Ask(Method<'static>),
}

/// A user agent.
#[derive(Debug)]
pub struct User {
    /// Its machine.
    pub endpoint: Endpoint,
    address: SocketAddr,
    /// Provisional responses are sent reliably where the caller takes that.
    reliable: bool,
    /// Its dialogs are kept until a BYE of its own is answered; otherwise they are forgotten with it.
    patient: bool,
    calls: Vec<Call>,
    /// BYEs of its own.
    byes: Vec<(TransactionId, DialogId)>,
}

#[derive(Debug)]
enum Call {
    Calling { invite: TransactionId, cancelled: bool, early: Vec<DialogId> },
    Ringing { invite: TransactionId, request: Box<Request>, dialog: DialogId, tag: Bytes },
    Up { dialog: DialogId, changing: Option<TransactionId> },
}

impl User {
    /// A user at an address.
    pub fn new(seed: [u8; 32], address: SocketAddr, reliable: bool, patient: bool) -> User {
        let endpoint = Endpoint::new(seed);
        User { endpoint, address, reliable, patient, calls: Vec::new(), byes: Vec::new() }
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls in whatever state.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing at all is left.
    pub fn is_idle(&self) -> bool {
        let left = (self.endpoint.transactions(), self.endpoint.dialogs(), self.calls.len());
        left == (0, 0, 0) && self.endpoint.poll_timeout().is_none()
    }

    /// A datagram arrived.
    pub fn receive(&mut self, now: Time, from: SocketAddr, bytes: Bytes) {
        self.endpoint.handle_input(now, Input::Received { flow: self.flow(from), bytes });
    }

    /// What leaves; what its endpoint tells is dealt with.
    pub fn drain(&mut self, now: Time) -> Vec<Datagram> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let (to, bytes) = (transmit.flow.peer, transmit.bytes);
                    sent.push(Datagram { from: self.address, to, bytes });
                }
                Output::Event(event) => self.on_event(now, event),
            }
        }
        sent
    }

    /// Does something.
    pub fn act(&mut self, now: Time, deed: Deed) {
        match deed {
            Deed::Call(to) => self.call(now, to),
            Deed::Answer => self.answer(now, Status::OK),
            Deed::Refuse => self.answer(now, Status::BUSY_HERE),
            Deed::Ring => self.ring(now),
            Deed::Cancel => self.cancel(now),
            Deed::HangUp => self.hang_up(now),
            Deed::Change => self.change(now),
            Deed::Ask(method) => self.ask(now, method),
        }
    }

    fn flow(&self, peer: SocketAddr) -> Flow {
        Flow { listener: ListenerId(0), transport: Transport::Udp, local: self.address, peer }
    }

    fn sent_by(&self) -> Vec<u8> {
        self.address.to_string().into_bytes()
    }

    fn contact(&self) -> Bytes {
        format!("<sip:user@{}>", self.address).into()
    }

    fn call(&mut self, now: Time, to: SocketAddr) {
        let (uri, from) = (format!("sip:user@{to}"), format!("<sip:user@{}>", self.address));
        let callee = format!("<{uri}>");
        let heading = Heading {
            method: Method::Invite,
            uri: uri.as_bytes(),
            from: from.as_bytes(),
            to: callee.as_bytes(),
            sent_by: &self.sent_by(),
            max_forwards: 70,
            sequence: None,
        };
        let (flow, contact) = (self.flow(to), self.contact());
        let mut draft = self.endpoint.draft(heading, flow);
        draft.writer.header(HeaderName::Contact, &contact);
        draft.writer.header(HeaderName::Supported, REL100.as_bytes());
        draft.writer.body(b"application/sdp", b"an offer");
        let invite = self.endpoint.request(now, draft, 1);
        self.calls.push(Call::Calling { invite, cancelled: false, early: Vec::new() });
    }

    fn ring(&mut self, now: Time) {
        let ringing = self.calls.iter().find_map(|call| match call {
            Call::Ringing { invite, request, dialog, tag } => {
                Some((*invite, request.clone(), *dialog, tag.clone()))
            }
            Call::Calling { .. } | Call::Up { .. } => None,
        });
        if let Some((invite, request, dialog, tag)) = ringing {
            self.tell_ringing(now, invite, &request, dialog, &tag);
        }
    }

    fn tell_ringing(
        &mut self,
        now: Time,
        invite: TransactionId,
        request: &Request,
        dialog: DialogId,
        tag: &[u8],
    ) {
        let status = Status::RINGING;
        let mut response = self.endpoint.response(request, status, Some(tag));
        response.header(HeaderName::Contact, &self.contact());
        if self.reliable && request.message.supports(REL100) {
            self.endpoint.respond_reliably(now, invite, dialog, status, response, false);
        } else {
            self.endpoint.respond(now, invite, status, response.finish());
        }
    }

    fn answer(&mut self, now: Time, status: Status) {
        let rings = |call: &Call| matches!(call, Call::Ringing { .. });
        let Some(place) = self.calls.iter().position(rings) else { return };
        let Call::Ringing { invite, request, dialog, tag } = self.calls.remove(place) else { return };
        let mut response = self.endpoint.response(&request, status, Some(&tag));
        if status.is_success() {
            response.header(HeaderName::Contact, &self.contact());
            response.body(b"application/sdp", b"an answer");
            self.endpoint.answer_invite(now, invite, dialog, status, response.finish());
            self.calls.push(Call::Up { dialog, changing: None });
        } else {
            self.endpoint.respond(now, invite, status, response.finish());
            self.endpoint.end_dialog(dialog);
        }
    }

    fn cancel(&mut self, now: Time) {
        let calling = self.calls.iter_mut().rev().find_map(|call| match call {
            Call::Calling { invite, cancelled, .. } => Some((*invite, cancelled)),
            Call::Ringing { .. } | Call::Up { .. } => None,
        });
        if let Some((invite, cancelled)) = calling {
            *cancelled = true;
            self.endpoint.cancel(now, invite);
        }
    }

    fn up(&self) -> Option<(usize, DialogId)> {
        self.calls.iter().enumerate().find_map(|(place, call)| match call {
            Call::Up { dialog, .. } => Some((place, *dialog)),
            Call::Calling { .. } | Call::Ringing { .. } => None,
        })
    }

    fn hang_up(&mut self, now: Time) {
        if let Some((place, dialog)) = self.up() {
            self.calls.remove(place);
            self.say_goodbye(now, dialog);
        }
    }

    fn say_goodbye(&mut self, now: Time, dialog: DialogId) {
        let sent_by = self.sent_by();
        let Some(draft) = self.endpoint.draft_in_dialog(dialog, Method::Bye, &sent_by) else { return };
        let bye = self.endpoint.request(now, draft, 0);
        if self.patient {
            self.byes.push((bye, dialog));
        } else {
            self.endpoint.end_dialog(dialog);
        }
    }

    fn change(&mut self, now: Time) {
        let Some((place, dialog)) = self.up() else { return };
        let sent_by = self.sent_by();
        let Some(Call::Up { changing: changing @ None, .. }) = self.calls.get_mut(place) else { return };
        let Some(mut draft) = self.endpoint.draft_in_dialog(dialog, Method::Invite, &sent_by) else { return };
        draft.writer.body(b"application/sdp", b"another offer");
        *changing = Some(self.endpoint.request(now, draft, 1));
    }

    fn ask(&mut self, now: Time, method: Method<'static>) {
        let Some((_, dialog)) = self.up() else { return };
        let sent_by = self.sent_by();
        if let Some(draft) = self.endpoint.draft_in_dialog(dialog, method, &sent_by) {
            self.endpoint.request(now, draft, 1);
        }
    }

    fn on_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Request(request) => self.on_request(now, request),
            Event::Response { transaction, dialog, response, .. } => {
                self.on_response(now, transaction, dialog, &response);
            }
            Event::Cancelled { transaction, .. } => self.on_cancelled(now, transaction),
            // A user forwards nothing, so nothing passes.
            Event::Acknowledged { .. } | Event::Passing(_) => {}
            Event::Unacknowledged { dialog, .. } => self.break_off(now, dialog),
            Event::TimedOut { transaction, .. } | Event::TransportFailed { transaction, .. } => {
                self.on_lost(now, transaction);
            }
        }
    }

    fn on_request(&mut self, now: Time, request: Box<Request>) {
        match (request.message.method(), request.dialog) {
            (Some(Method::Invite), None) => self.on_invite(now, request),
            (Some(Method::Invite), Some(dialog)) => self.on_change(now, &request, dialog),
            (Some(Method::Bye), Some(dialog)) => self.on_bye(now, &request, dialog),
            (Some(_) | None, _) => self.respond(now, &request, Status::OK),
        }
    }

    fn respond(&mut self, now: Time, request: &Request, status: Status) {
        let transaction = self.endpoint.accept(now, request, 2);
        let response = self.endpoint.response(request, status, None).finish();
        self.endpoint.respond(now, transaction, status, response);
    }

    fn on_invite(&mut self, now: Time, request: Box<Request>) {
        let tag = Bytes::copy_from_slice(&self.endpoint.random().tag());
        let contact = self.contact();
        let Ok(dialog) = self.endpoint.create_dialog(&request, tag.clone(), contact, 3) else {
            return self.respond(now, &request, Status::BAD_REQUEST);
        };
        let invite = self.endpoint.accept(now, &request, 2);
        self.tell_ringing(now, invite, &request, dialog, &tag);
        self.calls.push(Call::Ringing { invite, request, dialog, tag });
    }

    fn on_change(&mut self, now: Time, request: &Request, dialog: DialogId) {
        let call = self.calls.iter().find_map(|call| match call {
            Call::Up { dialog: ours, changing } if *ours == dialog => Some(changing.is_some()),
            Call::Calling { .. } | Call::Ringing { .. } | Call::Up { .. } => None,
        });
        match call {
            // §14.2: two of them cross.
            Some(true) => self.respond(now, request, Status::REQUEST_PENDING),
            Some(false) => {
                let invite = self.endpoint.accept(now, request, 2);
                let mut response = self.endpoint.response(request, Status::OK, None);
                response.header(HeaderName::Contact, &self.contact());
                response.body(b"application/sdp", b"another answer");
                self.endpoint.answer_invite(now, invite, dialog, Status::OK, response.finish());
            }
            None => self.respond(now, request, Status::CALL_DOES_NOT_EXIST),
        }
    }

    fn on_bye(&mut self, now: Time, request: &Request, dialog: DialogId) {
        self.respond(now, request, Status::OK);
        let of_it = |call: &Call| match call {
            Call::Up { dialog: ours, .. } | Call::Ringing { dialog: ours, .. } => *ours == dialog,
            Call::Calling { .. } => false,
        };
        if let Some(place) = self.calls.iter().position(of_it) {
            // §15.1.2: the INVITE of an early dialog that ends so is answered with 487.
            if let Call::Ringing { invite, request, tag, .. } = self.calls.remove(place) {
                self.terminate(now, invite, &request, &tag);
            }
        }
        self.endpoint.end_dialog(dialog);
    }

    fn terminate(&mut self, now: Time, invite: TransactionId, request: &Request, tag: &[u8]) {
        let status = Status::REQUEST_TERMINATED;
        let response = self.endpoint.response(request, status, Some(tag)).finish();
        self.endpoint.respond(now, invite, status, response);
    }

    fn on_cancelled(&mut self, now: Time, transaction: TransactionId) {
        let of_it = |call: &Call| matches!(call, Call::Ringing { invite, .. } if *invite == transaction);
        let Some(place) = self.calls.iter().position(of_it) else { return };
        if let Call::Ringing { invite, request, dialog, tag } = self.calls.remove(place) {
            self.terminate(now, invite, &request, &tag);
            self.endpoint.end_dialog(dialog);
        }
    }

    fn on_response(
        &mut self,
        now: Time,
        transaction: TransactionId,
        dialog: Option<DialogId>,
        response: &Message,
    ) {
        let Some(status) = response.status() else { return };
        if status.is_final()
            && let Some(place) = self.byes.iter().position(|(bye, _)| *bye == transaction)
        {
            let (_, dialog) = self.byes.remove(place);
            return self.endpoint.end_dialog(dialog);
        }
        if !response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite) {
            return;
        }
        let place = self.calls.iter().position(|call| match call {
            Call::Calling { invite, .. } => *invite == transaction,
            Call::Up { changing, .. } => *changing == Some(transaction),
            Call::Ringing { .. } => false,
        });
        match (place, status.code(), dialog) {
            (Some(place), 100..200, Some(dialog)) => self.on_progress(now, place, dialog, response),
            (Some(place), 200..300, Some(dialog)) => self.on_success(now, place, dialog, response),
            (Some(place), 300.., _) => self.on_failure(now, place, dialog, status),
            // §13.2.2.4: of another branch, or too late.
            (None, 200..300, Some(dialog)) => {
                let sent_by = self.sent_by();
                self.endpoint.acknowledge(dialog, response, &sent_by);
                if !self.is_up_in(dialog) && self.byes.iter().all(|(_, ended)| *ended != dialog) {
                    self.say_goodbye(now, dialog);
                }
            }
            (None, 100..200, Some(dialog)) if !self.is_up_in(dialog) => self.endpoint.end_dialog(dialog),
            (_, _, _) => {}
        }
    }

    fn is_up_in(&self, dialog: DialogId) -> bool {
        self.calls.iter().any(|call| matches!(call, Call::Up { dialog: ours, .. } if *ours == dialog))
    }

    fn on_progress(&mut self, now: Time, place: usize, dialog: DialogId, response: &Message) {
        if let Some(Call::Calling { early, .. }) = self.calls.get_mut(place)
            && !early.contains(&dialog)
        {
            early.push(dialog);
        }
        let sent_by = self.sent_by();
        if let Some(draft) = self.endpoint.draft_prack(dialog, response, &sent_by) {
            self.endpoint.request(now, draft, 1);
        }
    }

    fn on_success(&mut self, now: Time, place: usize, dialog: DialogId, response: &Message) {
        let sent_by = self.sent_by();
        self.endpoint.acknowledge(dialog, response, &sent_by);
        match self.calls.get_mut(place) {
            Some(Call::Up { changing, .. }) => *changing = None,
            Some(Call::Calling { cancelled, early, .. }) => {
                let (cancelled, early) = (*cancelled, core::mem::take(early));
                early
                    .into_iter()
                    .filter(|early| *early != dialog)
                    .for_each(|early| self.endpoint.end_dialog(early));
                if cancelled {
                    self.calls.remove(place);
                    self.say_goodbye(now, dialog);
                } else if let Some(call) = self.calls.get_mut(place) {
                    *call = Call::Up { dialog, changing: None };
                }
            }
            Some(Call::Ringing { .. }) | None => {}
        }
    }

    fn on_failure(&mut self, now: Time, place: usize, dialog: Option<DialogId>, status: Status) {
        match self.calls.get_mut(place) {
            Some(Call::Up { changing, .. }) => {
                *changing = None;
                // §12.2.1.2: these end the dialog.
                if matches!(status, Status::CALL_DOES_NOT_EXIST | Status::REQUEST_TIMEOUT)
                    && let Some(dialog) = dialog
                {
                    self.break_off(now, dialog);
                }
            }
            Some(Call::Calling { early, .. }) => {
                core::mem::take(early).into_iter().for_each(|early| self.endpoint.end_dialog(early));
                self.calls.remove(place);
            }
            Some(Call::Ringing { .. }) | None => {}
        }
    }

    /// The dialog goes on no more.
    fn break_off(&mut self, now: Time, dialog: DialogId) {
        let of_it = |call: &Call| matches!(call, Call::Up { dialog: ours, .. } if *ours == dialog);
        if let Some(place) = self.calls.iter().position(of_it) {
            self.calls.remove(place);
            return self.say_goodbye(now, dialog);
        }
        // RFC 3262 §3: no PRACK came.
        let rings = |call: &Call| matches!(call, Call::Ringing { dialog: ours, .. } if *ours == dialog);
        let Some(place) = self.calls.iter().position(rings) else { return };
        if let Call::Ringing { invite, request, dialog, tag } = self.calls.remove(place) {
            let status = Status::SERVER_INTERNAL_ERROR;
            let response = self.endpoint.response(&request, status, Some(&tag)).finish();
            self.endpoint.respond(now, invite, status, response);
            self.endpoint.end_dialog(dialog);
        }
    }

    fn on_lost(&mut self, now: Time, transaction: TransactionId) {
        if let Some(place) = self.byes.iter().position(|(bye, _)| *bye == transaction) {
            let (_, dialog) = self.byes.remove(place);
            return self.endpoint.end_dialog(dialog);
        }
        let place = self.calls.iter().position(|call| match call {
            Call::Calling { invite, .. } => *invite == transaction,
            Call::Up { changing, .. } => *changing == Some(transaction),
            Call::Ringing { .. } => false,
        });
        match place.map(|place| self.calls.remove(place)) {
            Some(Call::Calling { early, .. }) => {
                early.into_iter().for_each(|early| self.endpoint.end_dialog(early));
            }
            Some(Call::Up { dialog, .. }) => self.say_goodbye(now, dialog),
            Some(Call::Ringing { .. }) | None => {}
        }
    }
}
