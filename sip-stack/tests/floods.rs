//! What strangers can send in any number must leave nothing behind (RFC 3261 §8.2.7, §26.3.2.4).

use bytes::Bytes;
use sip_stack::endpoint::{Event, Heading, Input, Output};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Time};
use std::net::SocketAddr;

fn flow() -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: SocketAddr::from(([192, 0, 2, 1], 5060)),
        peer: SocketAddr::from(([192, 0, 2, 2], 5060)),
    }
}

/// Feeds a message; what was sent and what was told.
fn feed(endpoint: &mut Endpoint, text: &str) -> (Vec<Message>, Vec<Event>) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    endpoint.handle_input(Time(1), Input::Received { flow: flow(), bytes });
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit(transmit) => sent.push(Message::parse(transmit.bytes).expect("it parses")),
            Output::Event(event) => events.push(event),
        }
    }
    (sent, events)
}

fn request(method: &str, to_tag: &str, headers: &str) -> String {
    format!(
        "{method} sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@192.0.2.2>;tag=1\r\nTo: <sip:b@192.0.2.1>{to_tag}\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\
         {headers}Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_request_for_a_dialog_that_is_gone_is_answered_without_state() {
    let mut endpoint = Endpoint::new([1; 32]);
    for method in ["BYE", "INVITE", "OPTIONS"] {
        let (sent, events) =
            feed(&mut endpoint, &request(method, ";tag=gone", "Contact: <sip:a@192.0.2.2>\r\n"));
        assert_eq!(sent[0].status().unwrap().code(), 481, "{method}");
        assert!(events.is_empty());
    }
    assert_eq!((endpoint.transactions(), endpoint.dialogs(), endpoint.poll_timeout()), (0, 0, None));
}

#[test]
fn a_cancel_that_cancels_nothing_is_answered_without_state() {
    let mut endpoint = Endpoint::new([1; 32]);
    let (sent, events) = feed(&mut endpoint, &request("CANCEL", "", ""));
    assert_eq!(sent[0].status().unwrap().code(), 481);
    assert!(events.is_empty());
    assert_eq!((endpoint.transactions(), endpoint.poll_timeout()), (0, None));
}

#[test]
fn an_invite_without_contact_creates_no_dialog() {
    let mut endpoint = Endpoint::new([1; 32]);
    let (_, events) = feed(&mut endpoint, &request("INVITE", "", ""));
    let [Event::Request(request)] = &events[..] else { panic!("one request, not {events:?}") };
    let made = endpoint.create_dialog(request, Bytes::from_static(b"t"), Bytes::from_static(b"<sip:b@h>"), 1);
    assert_eq!(made.unwrap_err().header, Some(HeaderName::Contact));
    assert_eq!(endpoint.dialogs(), 0);
}

#[test]
fn an_invite_of_ours_creates_sixteen_dialogs_at_most_and_as_many_for_answers() {
    let mut endpoint = Endpoint::new([1; 32]);
    let heading = Heading {
        method: Method::Invite,
        uri: b"sip:b@192.0.2.2",
        from: b"<sip:a@192.0.2.1>",
        to: b"<sip:b@192.0.2.2>",
        sent_by: b"192.0.2.1",
        max_forwards: 70,
        sequence: None,
    };
    let mut draft = endpoint.draft(heading, flow());
    draft.writer.header(HeaderName::Contact, b"<sip:a@192.0.2.1>");
    endpoint.request(Time(1), draft, 1);
    let Some(Output::Transmit(invite)) = endpoint.poll_output() else { panic!("the INVITE leaves") };
    let invite = Message::parse(invite.bytes).unwrap();
    let field = |name| String::from_utf8_lossy(invite.header(name).unwrap()).into_owned();
    let answer = |status: &str, fork: u32| {
        format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag={fork}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:b@192.0.2.2>\r\nContent-Length: 0\r\n\r\n",
            field(HeaderName::Via),
            field(HeaderName::From),
            field(HeaderName::To),
            field(HeaderName::CallId),
            field(HeaderName::CSeq),
        )
    };
    for fork in 0..100 {
        feed(&mut endpoint, &answer("180 Ringing", fork));
    }
    assert_eq!(endpoint.dialogs(), 16);
    // Whoever answers in the end has to hear an ACK.
    let (_, events) = feed(&mut endpoint, &answer("200 OK", 100));
    assert!(matches!(&events[..], [Event::Response { dialog: Some(_), .. }]), "{events:?}");
    (101..200).for_each(|fork| _ = feed(&mut endpoint, &answer("200 OK", fork)));
    assert_eq!(endpoint.dialogs(), 32);
}
