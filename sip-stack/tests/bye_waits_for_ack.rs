//! A BYE of the side that answered waits for the ACK of its 2xx (RFC 3261 §15).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::{Event, Input, Output, Request};
use sip_stack::message::{Method, Status};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Message, Time};

const INVITE: &str = "INVITE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1\r\n\
    Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.1>;tag=us\r\nTo: <sip:b@192.0.2.2>\r\nCall-ID: c\r\n\
    CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";

fn flow() -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: ([192, 0, 2, 2], 5060).into(),
        peer: ([192, 0, 2, 1], 5060).into(),
    }
}

fn receive(endpoint: &mut Endpoint, now: Time, text: &str) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    endpoint.handle_input(now, Input::Received { flow: flow(), bytes });
}

/// A request of the caller within the dialog.
fn within(method: &str, cseq: u32, branch: &str) -> String {
    format!(
        "{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.1>;tag=us\r\nTo: <sip:b@192.0.2.2>;tag=them\r\nCall-ID: c\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Start lines of what is sent, and what is told.
fn drain(endpoint: &mut Endpoint) -> (Vec<String>, Vec<Event>) {
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit(transmit) => {
                let message = Message::parse(transmit.bytes).unwrap();
                sent.push(match (message.method(), message.status()) {
                    (Some(method), _) => method.to_string(),
                    (None, status) => status.unwrap().code().to_string(),
                });
            }
            Output::Event(event) => told.push(event),
        }
    }
    (sent, told)
}

fn request(told: Vec<Event>) -> Request {
    match told.into_iter().next() {
        Some(Event::Request(request)) => *request,
        other => panic!("{other:?}"),
    }
}

/// An endpoint that answered the INVITE, hung up at once, and forgot the dialog.
fn hung_up_before_the_ack() -> (Endpoint, DialogId) {
    let mut endpoint = Endpoint::new([0; 32]);
    let now = Time::from_millis(0);
    receive(&mut endpoint, now, INVITE);
    let request = request(drain(&mut endpoint).1);
    let dialog = endpoint
        .create_dialog(&request, Bytes::from_static(b"them"), Bytes::from_static(b"<sip:b@192.0.2.2>"), 7)
        .unwrap();
    let transaction = endpoint.accept(now, &request, 7);
    let ok = endpoint.response(&request, Status::OK, Some(b"them")).finish();
    endpoint.answer_invite(now, transaction, dialog, Status::OK, ok);
    let bye = endpoint.draft_in_dialog(dialog, Method::Bye, b"192.0.2.2:5060").unwrap();
    endpoint.request(now, bye, 7);
    endpoint.end_dialog(dialog);
    assert_eq!(drain(&mut endpoint).0, ["200"]);
    (endpoint, dialog)
}

#[test]
fn the_bye_leaves_with_the_ack_and_the_2xx_is_sent_until_then() {
    let (mut endpoint, dialog) = hung_up_before_the_ack();
    endpoint.handle_timeout(Time::from_millis(500));
    assert_eq!(drain(&mut endpoint).0, ["200"]);
    receive(&mut endpoint, Time::from_millis(600), &within("ACK", 1, "2"));
    let (sent, told) = drain(&mut endpoint);
    assert_eq!((sent.as_slice(), told.len()), (&["BYE".to_owned()][..], 0));
    assert!(endpoint.dialog(dialog).is_none());
}

#[test]
fn the_bye_leaves_when_no_ack_came_within_64_t1() {
    let (mut endpoint, _) = hung_up_before_the_ack();
    let mut sent = Vec::new();
    while let Some(now) = endpoint.poll_timeout().filter(|now| *now <= Time::from_millis(32_000)) {
        endpoint.handle_timeout(now);
        let (more, told) = drain(&mut endpoint);
        sent.extend(more);
        assert!(told.is_empty());
    }
    assert_eq!(sent.iter().filter(|sent| *sent == "200").count(), 10);
    assert_eq!(sent.last().map(String::as_str), Some("BYE"));
    assert_eq!(endpoint.dialogs(), 0);
}

#[test]
fn the_bye_of_a_peer_that_hangs_up_without_an_ack_releases_ours() {
    let (mut endpoint, dialog) = hung_up_before_the_ack();
    receive(&mut endpoint, Time::from_millis(100), &within("BYE", 2, "3"));
    let (sent, told) = drain(&mut endpoint);
    assert_eq!(sent, ["BYE"]);
    assert_eq!(request(told).dialog, Some(dialog));
    assert_eq!(endpoint.dialogs(), 0);
}
