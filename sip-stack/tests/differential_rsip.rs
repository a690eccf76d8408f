//! The same messages read by rsip 0.4 and by this parser: method, status, branch, tags, Call-ID and CSeq agree.
//!
//! Only messages that rsip is known to read rightly: no folding, compact names, IPv6, joined Vias or unknown methods.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use rsip::headers::ToTypedHeader;
use rsip::message::HeadersExt;
use rsip::prelude::UntypedHeader;
use sip_stack::message::Message;

#[derive(Debug, PartialEq)]
struct Reading {
    method: Option<String>,
    status: Option<u16>,
    branch: Option<String>,
    from_tag: Option<String>,
    to_tag: Option<String>,
    call_id: String,
    cseq: (u32, String),
    body: Vec<u8>,
}

fn ours(text: &str) -> Reading {
    let message = Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
    assert_eq!(message.validate().map(drop), Ok(()), "{text}");
    let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let cseq = message.cseq().unwrap();
    Reading {
        method: message.method().map(|method| string(method.as_bytes())),
        status: message.status().map(|status| status.code()),
        branch: message.via().unwrap().branch.map(string),
        from_tag: message.from().unwrap().tag().map(string),
        to_tag: message.to().unwrap().tag().map(string),
        call_id: string(message.call_id().unwrap()),
        cseq: (cseq.number, string(cseq.method.as_bytes())),
        body: message.body().to_vec(),
    }
}

fn theirs(text: &str) -> Reading {
    let message = rsip::SipMessage::try_from(text).unwrap();
    let (method, status, body) = match &message {
        rsip::SipMessage::Request(request) => (Some(request.method.to_string()), None, request.body.clone()),
        rsip::SipMessage::Response(response) => {
            (None, Some(response.status_code.code()), response.body.clone())
        }
    };
    let cseq = message.cseq_header().unwrap().typed().unwrap();
    Reading {
        method,
        status,
        branch: message
            .via_header()
            .unwrap()
            .typed()
            .unwrap()
            .branch()
            .map(|branch| branch.value().to_owned()),
        from_tag: message.from_header().unwrap().tag().unwrap().map(|tag| tag.value().to_owned()),
        to_tag: message.to_header().unwrap().tag().unwrap().map(|tag| tag.value().to_owned()),
        call_id: message.call_id_header().unwrap().value().to_owned(),
        cseq: (cseq.seq, cseq.method.to_string()),
        body,
    }
}

fn message(start_line: &str, method: &str, to_tag: &str, body: &str) -> String {
    format!(
        "{start_line}\r\n\
         Via: SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bK776asdhds;rport\r\n\
         Via: SIP/2.0/TCP bigbox3.example.com;branch=z9hG4bK77ef4c2312983.1\r\n\
         Max-Forwards: 70\r\n\
         To: Bob <sip:bob@example.net>{to_tag}\r\n\
         From: \"Alice\" <sip:alice@example.com>;tag=1928301774\r\n\
         Call-ID: a84b4c76e66710@pc33.example.com\r\n\
         CSeq: 314159 {method}\r\n\
         Contact: <sip:alice@pc33.example.com>\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn requests_of_every_method_read_alike() {
    let methods = [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "PRACK",
        "SUBSCRIBE",
        "NOTIFY",
    ];
    for method in methods.into_iter().chain(["REFER", "MESSAGE", "PUBLISH"]) {
        let start_line = format!("{method} sip:bob@example.net SIP/2.0");
        for (to_tag, body) in [("", ""), (";tag=a6c85cf", "v=0\r\n")] {
            let text = message(&start_line, method, to_tag, body);
            assert_eq!(ours(&text), theirs(&text), "{text}");
        }
    }
}

#[test]
fn responses_of_every_class_read_alike() {
    let lines =
        ["100 Trying", "180 Ringing", "200 OK", "302 Moved Temporarily", "401 Unauthorized", "486 Busy Here"];
    for line in lines.into_iter().chain(["503 Service Unavailable", "603 Decline"]) {
        let text = message(&format!("SIP/2.0 {line}"), "INVITE", ";tag=8321234356", "");
        assert_eq!(ours(&text), theirs(&text), "{text}");
    }
}

#[test]
fn the_torture_messages_that_rsip_reads_rightly_read_alike() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpora/rfc4475");
    for name in ["escnull", "transports", "unreason", "zeromf", "cparam02", "regescrt", "invut", "bcast"] {
        let text = std::fs::read_to_string(format!("{corpus}/{name}.dat")).unwrap();
        // rsip does not know compact names.
        let text = text.replace("\r\nl: ", "\r\nContent-Length: ").replace("\r\nL:", "\r\nContent-Length: ");
        let (ours, theirs) = (ours(&text), theirs(&text));
        assert_eq!(ours, Reading { body: ours.body.clone(), ..theirs }, "{name}");
    }
}
