//! Provisional responses that are sent until they are acknowledged (RFC 3262 §3, §4), between two endpoints.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::{Event, Heading, Input, Output, Request};
use sip_stack::header::{HeaderName, Replaces};
use sip_stack::message::{Method, Status};
use sip_stack::transaction::TransactionId;
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Message, Time};

const CALLER: [u8; 4] = [192, 0, 2, 1];
const CALLEE: [u8; 4] = [192, 0, 2, 2];
const TAG: &[u8] = b"callee";

fn flow(local: [u8; 4], peer: [u8; 4]) -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: (local, 5060).into(),
        peer: (peer, 5060).into(),
    }
}

/// A caller and a callee, and what is on its way to each.
struct Pair {
    now: Time,
    caller: Endpoint,
    callee: Endpoint,
    to_caller: Vec<Bytes>,
    to_callee: Vec<Bytes>,
}

impl Pair {
    /// The callee has received the INVITE.
    fn called() -> (Pair, Request, TransactionId, DialogId) {
        let mut pair = Pair {
            now: Time(0),
            caller: Endpoint::new([1; 32]),
            callee: Endpoint::new([2; 32]),
            to_caller: Vec::new(),
            to_callee: Vec::new(),
        };
        let heading = Heading {
            method: Method::Invite,
            uri: b"sip:b@192.0.2.2",
            from: b"<sip:a@192.0.2.1>",
            to: b"<sip:b@192.0.2.2>",
            sent_by: b"192.0.2.1",
            max_forwards: 70,
            sequence: None,
        };
        let mut draft = pair.caller.draft(heading, flow(CALLER, CALLEE));
        draft
            .writer
            .header(HeaderName::Contact, b"<sip:a@192.0.2.1>")
            .header(HeaderName::Supported, b"100rel");
        pair.caller.request(pair.now, draft, 1);
        pair.collect();
        let request = match pair.deliver_to_callee().pop() {
            Some(Event::Request(request)) => *request,
            other => panic!("{other:?}"),
        };
        assert!(request.message.supports("100rel"));
        let transaction = pair.callee.accept(pair.now, &request, 2);
        let contact = Bytes::from_static(b"<sip:b@192.0.2.2>");
        let dialog = pair.callee.create_dialog(&request, Bytes::from_static(TAG), contact, 2).unwrap();
        (pair, request, transaction, dialog)
    }

    fn collect(&mut self) -> [Vec<Event>; 2] {
        let drain = |endpoint: &mut Endpoint, sent: &mut Vec<Bytes>| {
            let mut told = Vec::new();
            while let Some(output) = endpoint.poll_output() {
                match output {
                    Output::Transmit(transmit) => sent.push(transmit.bytes),
                    Output::Event(event) => told.push(event),
                }
            }
            told
        };
        let caller = drain(&mut self.caller, &mut self.to_callee);
        [caller, drain(&mut self.callee, &mut self.to_caller)]
    }

    fn deliver_to_callee(&mut self) -> Vec<Event> {
        for bytes in core::mem::take(&mut self.to_callee) {
            self.callee.handle_input(self.now, Input::Received { flow: flow(CALLEE, CALLER), bytes });
        }
        let [_, told] = self.collect();
        told
    }

    fn deliver_to_caller(&mut self) -> Vec<Event> {
        for bytes in core::mem::take(&mut self.to_caller) {
            self.caller.handle_input(self.now, Input::Received { flow: flow(CALLER, CALLEE), bytes });
        }
        let [told, _] = self.collect();
        told
    }

    fn progress(&mut self, request: &Request, transaction: TransactionId, dialog: DialogId, described: bool) {
        let mut response = self.callee.response(request, Status::RINGING, Some(TAG));
        response.header(HeaderName::Contact, b"<sip:b@192.0.2.2>");
        self.callee.respond_reliably(self.now, transaction, dialog, Status::RINGING, response, described);
        self.collect();
    }

    fn answer(&mut self, request: &Request, transaction: TransactionId, dialog: DialogId) {
        let mut ok = self.callee.response(request, Status::OK, Some(TAG));
        ok.header(HeaderName::Contact, b"<sip:b@192.0.2.2>");
        self.callee.answer_invite(self.now, transaction, dialog, Status::OK, ok.finish());
        self.collect();
    }

    /// The caller acknowledges what came.
    fn prack(&mut self, told: &[Event]) -> usize {
        let mut pracks = 0;
        for event in told {
            let Event::Response { dialog: Some(dialog), response, .. } = event else { continue };
            let Some(draft) = self.caller.draft_prack(*dialog, response, b"192.0.2.1") else { continue };
            self.caller.request(self.now, draft, 1);
            pracks += 1;
        }
        self.collect();
        pracks
    }

    fn waiting(&self) -> Vec<u16> {
        let status = |bytes: &Bytes| Message::parse(bytes.clone()).unwrap().status().map(Status::code);
        self.to_caller.iter().filter_map(status).collect()
    }
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack_and_told_once() {
    let (mut pair, request, transaction, dialog) = Pair::called();
    pair.progress(&request, transaction, dialog, false);
    assert_eq!(pair.waiting(), [180]);
    pair.now = Time::from_millis(500);
    pair.callee.handle_timeout(pair.now);
    pair.collect();
    assert_eq!(pair.waiting(), [180, 180], "no PRACK yet");
    let told = pair.deliver_to_caller();
    assert_eq!(told.len(), 1, "what comes again is not told again");
    assert_eq!(pair.prack(&told), 1);
    let told = pair.deliver_to_callee();
    assert!(matches!(&told[..], [Event::Request(prack)] if prack.message.method() == Some(Method::Prack)));
    pair.now = Time::from_millis(40_000);
    pair.callee.handle_timeout(pair.now);
    let [_, told] = pair.collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn without_a_prack_the_user_is_told_after_64_t1() {
    let (mut pair, request, transaction, dialog) = Pair::called();
    pair.progress(&request, transaction, dialog, false);
    let mut told = Vec::new();
    while pair.now < Time::from_millis(33_000) {
        pair.now = pair.callee.poll_timeout().unwrap();
        pair.callee.handle_timeout(pair.now);
        told.extend(pair.collect().into_iter().flatten());
        if !told.is_empty() {
            break;
        }
    }
    assert!(matches!(told[..], [Event::Unacknowledged { owner: 2, .. }]), "{told:?}");
    assert_eq!(pair.now, Time::from_millis(32_000));
}

#[test]
fn a_2xx_waits_for_the_prack_of_a_description() {
    let (mut pair, request, transaction, dialog) = Pair::called();
    pair.progress(&request, transaction, dialog, true);
    pair.answer(&request, transaction, dialog);
    assert_eq!(pair.waiting(), [180], "RFC 3262 §3");
    let told = pair.deliver_to_caller();
    pair.prack(&told);
    pair.deliver_to_callee();
    assert_eq!(pair.waiting(), [200]);
}

#[test]
fn a_2xx_does_not_wait_for_a_response_without_a_description() {
    let (mut pair, request, transaction, dialog) = Pair::called();
    pair.progress(&request, transaction, dialog, false);
    pair.answer(&request, transaction, dialog);
    assert_eq!(pair.waiting(), [180, 200]);
    let told = pair.deliver_to_caller();
    assert_eq!(pair.prack(&told), 1, "the 180 alone");
    let told = pair.deliver_to_callee();
    assert_eq!(told.len(), 1, "a late PRACK is known: {told:?}");
}

#[test]
fn a_prack_for_nothing_is_refused() {
    let (mut pair, request, transaction, dialog) = Pair::called();
    pair.progress(&request, transaction, dialog, false);
    let told = pair.deliver_to_caller();
    pair.prack(&told);
    pair.deliver_to_callee();
    assert_eq!(pair.prack(&told), 1);
    assert!(pair.deliver_to_callee().is_empty());
    assert_eq!(pair.waiting(), [481]);
}

#[test]
fn a_dialog_is_found_by_the_name_that_others_give_it() {
    let (pair, request, _, dialog) = Pair::called();
    let call_id = request.message.call_id().unwrap();
    let from = request.message.from().unwrap();
    let from_tag = from.tag().unwrap();
    let named = Replaces { call_id, to_tag: TAG, from_tag, early_only: false };
    assert_eq!(pair.callee.dialog_named(&named), Some(dialog));
    let turned = Replaces { to_tag: from_tag, from_tag: TAG, ..named };
    assert_eq!(pair.callee.dialog_named(&turned), None, "RFC 3891 §3: our tag is the to-tag");
}
