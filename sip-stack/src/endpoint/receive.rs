//! What arrives: validation (RFC 3261 §8.2), matching (§17.1.3, §17.2.3), dialogs (§12.2.2), CANCEL (§9.2).

use super::{Endpoint, Event, Output, Request};
use crate::dialog::{Dialog, DialogId};
use crate::message::{Mandatory, Message, Method, Status, response_of};
use crate::proxy::{passing_request, passing_response};
use crate::time::Time;
use crate::transaction::{FORWARDING, Matched, StatusClass, TransactionId, TransactionKey};
use crate::transport::{Flow, Transmit, response_flow};
use bytes::Bytes;

impl Endpoint {
    pub(super) fn receive(&mut self, now: Time, flow: Flow, bytes: Bytes) {
        let Ok(message) = Message::parse(bytes) else {
            self.counters.garbage += 1;
            return;
        };
        if message.is_request() {
            self.receive_request(now, flow, message)
        } else {
            self.receive_response(now, flow, message)
        }
    }

    fn receive_response(&mut self, now: Time, flow: Flow, message: Message) {
        // §18.1.2: a response that does not parse is dropped, as is one for nobody.
        match message.status().zip(message.validate().ok()) {
            Some((status, fields)) if self.transactions.handle_response(now, &message, &fields, status) => {
                // RFC 7339 §5.4
                if self.downstream.is_announced_to(flow.peer)
                    && let Some(feedback) = fields.via.feedback()
                {
                    self.downstream.handle_feedback(now, flow.peer, feedback);
                }
                let before = self.outputs.len();
                self.collect(Some(&message));
                self.counters.absorbed += u64::from(self.outputs.len() == before);
            }
            Some(_) => match passing_response(&self.hasher, &message, flow) {
                Some(passing) => self.outputs.push_back(Output::Event(passing)),
                None => self.counters.stray_responses += 1,
            },
            None => self.counters.stray_responses += 1,
        }
    }

    fn receive_request(&mut self, now: Time, flow: Flow, message: Message) {
        let fields = match message.validate() {
            Ok(fields) => fields,
            Err(rejection) => {
                self.counters.rejected += 1;
                if message.method() != Some(Method::Ack) {
                    self.reject(&message, flow, rejection.status, Some(rejection.reason));
                }
                return;
            }
        };
        if let Some(passing) = passing_request(&self.route_hasher, &message, &fields, flow) {
            return self.outputs.push_back(Output::Event(passing));
        }
        let reply_to = response_flow(flow, &fields.via);
        match self.transactions.handle_request(now, &message, &fields) {
            Matched::Absorbed => {
                self.counters.absorbed += 1;
                self.collect(None);
            }
            Matched::Ack => {
                let key = Dialog::key_of_request(&self.hasher, &fields);
                let number = fields.cseq.number;
                self.on_ack(now, key, number, message);
            }
            Matched::Merged => self.reject(&message, flow, Status::LOOP_DETECTED, Some("Merged Request")),
            Matched::New(key) if fields.cseq.method == Method::Cancel => {
                self.on_cancel(now, key, flow, &message, &fields);
            }
            Matched::New(key) => {
                let dialog_key = Dialog::key_of_request(&self.hasher, &fields);
                let request = Box::new(Request { message, flow, dialog: None, reply_to, key });
                self.on_request(now, request, dialog_key);
            }
        }
    }

    /// Answers without keeping state (§8.2.7).
    fn reject(&mut self, request: &Message, flow: Flow, status: Status, reason: Option<&str>) {
        let reply_to = request.via().map_or(flow, |via| response_flow(flow, &via));
        let tag = self.stateless_tag(request);
        let bytes =
            response_of(request, status, reason, Some(&tag), flow.peer, Some(&self.upstream)).finish();
        self.outputs.push_back(Output::Transmit(Transmit { flow: reply_to, bytes, transaction: None }));
    }

    fn on_request(&mut self, now: Time, mut request: Box<Request>, dialog_key: Option<u128>) {
        if let Some(key) = dialog_key {
            let alive = |id: &DialogId| self.dialogs.get(*id).is_some_and(|dialog| !dialog.is_over());
            let dialog = self.dialog_keys.get(key).filter(alive);
            request.dialog = dialog.or_else(|| self.dialog_of_notify(&request));
            // A REGISTER is never in a dialog; some clients repeat the tag of the last answer all the same.
            if request.dialog.is_none() && request.message.method() != Some(Method::Register) {
                // Anybody can send this, so it is answered without state (§8.2.7).
                self.reject(&request.message, request.flow, Status::CALL_DOES_NOT_EXIST, None);
                return;
            }
        }
        if let Some(dialog) = request.dialog.and_then(|id| self.dialogs.get_mut(id))
            && dialog.handle_request(&request.message, request.flow).is_err()
        {
            // §12.2.2: out of order.
            self.answer(now, &request, Status::SERVER_INTERNAL_ERROR);
            return;
        }
        if let (Some(id), Some(Method::Prack)) = (request.dialog, request.message.method())
            && !self.on_prack(now, id, &request)
        {
            return;
        }
        // A peer that hangs up sends no ACK any more.
        if let (Some(id), Some(Method::Bye)) = (request.dialog, request.message.method()) {
            self.release_bye(now, id);
        }
        self.outputs.push_back(Output::Event(Event::Request(request)));
    }

    /// A PRACK (RFC 3262 §3): whether it is for a response that waits for one; otherwise it is refused.
    fn on_prack(&mut self, now: Time, id: DialogId, request: &Request) -> bool {
        let timing = self.transactions.timing();
        let next = request.message.rack().map_err(|_| Status::BAD_REQUEST).and_then(|rack| {
            let dialog = self.dialogs.get_mut(id);
            dialog
                .and_then(|dialog| dialog.usage.handle_prack(now, &rack, timing))
                .ok_or(Status::CALL_DOES_NOT_EXIST)
        });
        let next = match next {
            Ok(next) => next,
            Err(status) => {
                self.answer(now, request, status);
                return false;
            }
        };
        if let Some((flow, bytes)) = next {
            self.outputs.push_back(Output::Transmit(Transmit { flow, bytes, transaction: None }));
        }
        if let Some(answer) = self.dialogs.get_mut(id).and_then(|dialog| dialog.usage.release_answer()) {
            self.send_answer(now, id, answer);
        }
        self.arm_dialog(id);
        true
    }

    /// A final response that the user need not know of, in a transaction.
    fn answer(&mut self, now: Time, request: &Request, status: Status) {
        let transaction = self.accept(now, request, 0);
        let bytes = self.response(request, status, None).finish();
        self.respond(now, transaction, status, bytes);
    }

    fn on_cancel(
        &mut self,
        now: Time,
        key: TransactionKey,
        flow: Flow,
        cancel: &Message,
        fields: &Mandatory<'_>,
    ) {
        let Some((invite, owner)) = self.transactions.cancelled_by(cancel, fields) else {
            return self.reject(cancel, flow, Status::CALL_DOES_NOT_EXIST, None);
        };
        let tag = self.stateless_tag(cancel);
        let bytes =
            response_of(cancel, Status::OK, None, Some(&tag), flow.peer, Some(&self.upstream)).finish();
        let reply_to = response_flow(flow, &fields.via);
        let transaction = self.transactions.open_server(now, key, cancel, reply_to, 0);
        self.respond(now, transaction, Status::OK, bytes);
        let cancel = Box::new(cancel.clone());
        self.outputs.push_back(Output::Event(Event::Cancelled { transaction: invite, owner, cancel }));
    }

    fn on_ack(&mut self, now: Time, key: Option<u128>, number: u32, ack: Message) {
        let Some(id) = key.and_then(|key| self.dialog_keys.get(key)) else {
            self.counters.stray_acks += 1;
            return;
        };
        let Some(dialog) = self.dialogs.get_mut(id) else { return };
        let owner = dialog.owner();
        if dialog.usage.handle_ack(number) {
            self.arm_dialog(id);
            if !self.release_bye(now, id) {
                let ack = Box::new(ack);
                self.outputs.push_back(Output::Event(Event::Acknowledged { dialog: id, owner, ack }));
            }
        } else {
            self.counters.absorbed += 1;
        }
    }

    /// A response that its transaction passed up: finds or creates the dialog (§12.1.2), absorbs a 2xx that we
    /// acknowledged before (§13.2.2.4).
    pub(super) fn on_response(&mut self, transaction: TransactionId, owner: u64, response: &Message) {
        let (Some(status), Ok(cseq)) = (response.status(), response.cseq()) else { return };
        let mut dialog = None;
        match cseq.method {
            // The layer's own CANCEL; the INVITE will end with 487 or not at all.
            Method::Cancel => return,
            // The dialog is between others.
            Method::Invite if owner & FORWARDING != 0 => {}
            Method::Invite => {
                dialog = self.dialog_of(transaction, owner, response, status);
                let sent = dialog.and_then(|id| self.dialogs.get(id)?.usage.acknowledgement(cseq.number));
                if let (StatusClass::Success, Some((flow, bytes))) = (StatusClass::of(status), sent) {
                    self.outputs.push_back(Output::Transmit(Transmit { flow, bytes, transaction: None }));
                    return;
                }
                let usage = dialog.and_then(|id| self.dialogs.get(id)).map(|dialog| &dialog.usage);
                if status.is_success() && usage.is_some_and(|usage| usage.is_forgotten(cseq.number)) {
                    return;
                }
                // RFC 3262 §4: what is out of order, or comes again, is not looked at.
                if status.is_provisional()
                    && let Ok(Some(rseq)) = response.rseq()
                    && let Some(dialog) = dialog.and_then(|id| self.dialogs.get_mut(id))
                    && !dialog.usage.take_provisional(cseq.number, rseq)
                {
                    return;
                }
            }
            _ => {}
        }
        let response = Box::new(response.clone());
        self.outputs.push_back(Output::Event(Event::Response { transaction, owner, dialog, response }));
    }

    fn dialog_of(
        &mut self,
        transaction: TransactionId,
        owner: u64,
        response: &Message,
        status: Status,
    ) -> Option<DialogId> {
        let key = Dialog::key_of_response(&self.hasher, response).ok()??;
        let known = self.dialog_keys.get(key);
        let id = match (known, StatusClass::of(status)) {
            (Some(id), _) => id,
            (None, StatusClass::Failure) => return None,
            (None, StatusClass::Provisional) if status == Status::TRYING => return None,
            (None, StatusClass::Provisional | StatusClass::Success) => {
                let dialog = self.transactions.client_dialog(transaction, owner, response)?;
                let id = self.dialogs.insert(dialog);
                self.dialog_keys.insert(key, id);
                id
            }
        };
        if status.is_success() {
            self.dialogs.get_mut(id)?.confirm(Some(response));
            self.arm_dialog(id);
        }
        Some(id)
    }
}
