//! Dialogs that a NOTIFY makes, between two endpoints (RFC 6665 §4.4.1).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::endpoint::{Event, Heading, Input, Output, Request};
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Message, Time};

const NOW: Time = Time(0);
const WATCHER: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];
const CONTACT: &[u8] = b"<sip:a@192.0.2.1>";

fn flow(local: [u8; 4], peer: [u8; 4]) -> Flow {
    let (local, peer) = ((local, 5060).into(), (peer, 5060).into());
    Flow { listener: ListenerId(0), transport: Transport::Udp, local, peer }
}

fn sent(endpoint: &mut Endpoint) -> (Vec<Bytes>, Vec<Event>) {
    let (mut messages, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit(transmit) => messages.push(transmit.bytes),
            Output::Event(event) => events.push(event),
        }
    }
    (messages, events)
}

fn deliver(to: &mut Endpoint, flow: Flow, bytes: Bytes) -> (Vec<Bytes>, Vec<Event>) {
    to.handle_input(NOW, Input::Received { flow, bytes });
    sent(to)
}

fn request_of(events: Vec<Event>) -> Request {
    match events.into_iter().next() {
        Some(Event::Request(request)) => *request,
        other => panic!("{other:?}"),
    }
}

/// A watcher that has sent a SUBSCRIBE, and a server that has it.
fn subscribed() -> (Endpoint, Endpoint, Request) {
    let (mut watcher, mut server) = (Endpoint::new([1; 32]), Endpoint::new([2; 32]));
    let heading = Heading {
        method: Method::Subscribe,
        uri: b"sip:b@192.0.2.2",
        from: b"<sip:a@192.0.2.1>;tag=watcher",
        to: b"<sip:b@192.0.2.2>",
        sent_by: b"192.0.2.1",
        max_forwards: 70,
        sequence: Some((b"call", 7)),
    };
    watcher.expect_notify(b"call", b"watcher", 7, Bytes::from_static(CONTACT), 42);
    let mut draft = watcher.draft(heading, flow(WATCHER, SERVER));
    draft.writer.header(HeaderName::Contact, CONTACT).header(HeaderName::Event, b"dialog");
    watcher.request(NOW, draft, 42);
    let (mut messages, _) = sent(&mut watcher);
    let (_, events) = deliver(&mut server, flow(SERVER, WATCHER), messages.remove(0));
    (watcher, server, request_of(events))
}

/// A NOTIFY of one of the servers that the SUBSCRIBE forked to.
fn notify(server: &mut Endpoint, request: &Request, tag: &'static [u8]) -> Bytes {
    let contact = Bytes::from_static(b"<sip:b@192.0.2.2>");
    let dialog = server.create_dialog(request, Bytes::from_static(tag), contact, 1).unwrap();
    let mut draft = server.draft_in_dialog(dialog, Method::Notify, b"192.0.2.2").unwrap();
    draft.writer.header(HeaderName::Event, b"dialog").header(HeaderName::SubscriptionState, b"active");
    server.request(NOW, draft, 1);
    sent(server).0.remove(0)
}

#[test]
fn each_notify_of_a_fork_makes_a_dialog_in_which_the_refresh_goes() {
    let (mut watcher, mut server, request) = subscribed();
    let mut dialogs = Vec::new();
    let tags: [&'static [u8]; 2] = [b"one", b"two"];
    for tag in tags {
        let bytes = notify(&mut server, &request, tag);
        let (answers, events) = deliver(&mut watcher, flow(WATCHER, SERVER), bytes);
        let notify = request_of(events);
        assert!(answers.is_empty(), "it is the user's to answer");
        let dialog = notify.dialog.unwrap();
        assert_eq!(watcher.dialog(dialog).unwrap().owner(), 42);
        let draft = watcher.draft_in_dialog(dialog, Method::Subscribe, b"192.0.2.1").unwrap();
        let refresh = Message::parse(draft.writer.finish()).unwrap();
        assert_eq!(refresh.cseq().unwrap().number, 8, "the sequence of the SUBSCRIBE goes on");
        assert_eq!(refresh.to().unwrap().tag(), Some(tag));
        assert_eq!(refresh.from().unwrap().tag(), Some(&b"watcher"[..]));
        assert_eq!(refresh.header(HeaderName::Contact), Some(CONTACT));
        dialogs.push(dialog);
    }
    assert_ne!(dialogs[0], dialogs[1]);
    assert_eq!(watcher.dialogs(), 2);
}

#[test]
fn a_notify_that_nobody_waits_for_is_481() {
    let (mut watcher, mut server, request) = subscribed();
    watcher.expect_no_notify(b"call", b"watcher");
    let bytes = notify(&mut server, &request, b"one");
    let (answers, events) = deliver(&mut watcher, flow(WATCHER, SERVER), bytes);
    assert!(events.is_empty());
    let answer = Message::parse(answers[0].clone()).unwrap();
    assert_eq!(answer.status(), Some(Status::CALL_DOES_NOT_EXIST));
    assert_eq!(watcher.dialogs(), 0);
}

#[test]
fn a_notify_without_a_contact_makes_no_dialog() {
    let (mut watcher, mut server, request) = subscribed();
    let bytes = notify(&mut server, &request, b"one");
    let text = String::from_utf8_lossy(&bytes).replace("Contact: <sip:b@192.0.2.2>\r\n", "");
    let (answers, events) = deliver(&mut watcher, flow(WATCHER, SERVER), Bytes::from(text));
    assert!(events.is_empty() && answers.len() == 1);
    assert_eq!(watcher.dialogs(), 0);
}

#[test]
fn a_notify_from_elsewhere_moves_the_target_of_the_dialog() {
    let (mut watcher, mut server, request) = subscribed();
    let first = notify(&mut server, &request, b"one");
    let (_, events) = deliver(&mut watcher, flow(WATCHER, SERVER), first.clone());
    let dialog = request_of(events).dialog.unwrap();
    let text = String::from_utf8_lossy(&first)
        .replace("Contact: <sip:b@192.0.2.2>", "Contact: <sip:b@192.0.2.9>")
        .replace("CSeq: 1 ", "CSeq: 2 ")
        .replace("branch=z9hG4bK", "branch=z9hG4bKx");
    deliver(&mut watcher, flow(WATCHER, SERVER), Bytes::from(text));
    assert_eq!(watcher.dialog(dialog).unwrap().remote_target(), &b"sip:b@192.0.2.9"[..]);
}
