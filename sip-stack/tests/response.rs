//! Responses: what they copy (RFC 3261 §8.2.6), and received/rport in the topmost Via (§18.2.1, RFC 3581 §4).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status, response};

const SOURCE: &str = "192.0.2.7:40001";

fn request(vias: &str, to: &str) -> Message {
    let text = format!(
        "INVITE sip:bob@example.com SIP/2.0\r\n\
         {vias}\
         Max-Forwards: 70\r\n\
         From: \"Alice\"\r\n <sip:alice@example.com>;tag=88sja8x\r\n\
         To: {to}\r\n\
         Call-ID: 987asjd97y7atg\r\n\
         CSeq: 986759 INVITE\r\n\
         Timestamp: 54\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn answer(vias: &str, to: &str, status: Status) -> Message {
    let answer =
        response(&request(vias, to), status, None, Some(b"a6c85cf"), SOURCE.parse().unwrap()).finish();
    Message::parse(answer).unwrap()
}

fn via_of(vias: &str) -> String {
    let answer = answer(vias, "<sip:bob@example.com>", Status::OK);
    let values: Vec<_> =
        answer.headers(HeaderName::Via).map(|via| String::from_utf8_lossy(via).into_owned()).collect();
    values.join(" | ")
}

#[test]
fn received_is_added_when_sent_by_is_not_the_source() {
    assert_eq!(
        via_of("Via: SIP/2.0/UDP host.example.com:5060;branch=z9hG4bKx\r\n"),
        "SIP/2.0/UDP host.example.com:5060;branch=z9hG4bKx;received=192.0.2.7"
    );
}

#[test]
fn nothing_is_added_when_sent_by_is_the_source() {
    assert_eq!(
        via_of("Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx\r\n"),
        "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx"
    );
}

#[test]
fn rport_is_filled_in_and_brings_received() {
    assert_eq!(
        via_of("Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKx\r\n"),
        "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKx;received=192.0.2.7;rport=40001"
    );
}

#[test]
fn a_received_or_rport_from_the_client_is_replaced() {
    assert_eq!(
        via_of("Via: SIP/2.0/UDP 10.0.0.1;received=203.0.113.9;rport=1;branch=z9hG4bKx;x=\"a;b\"\r\n"),
        "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx;x=\"a;b\";received=192.0.2.7;rport=40001"
    );
}

#[test]
fn only_the_topmost_via_is_touched_also_on_a_shared_line() {
    assert_eq!(
        via_of(
            "Via: SIP/2.0/UDP a.example.com;rport;branch=z9hG4bK1 , SIP/2.0/UDP b;rport\r\nv: SIP/2.0/UDP c\r\n ;rport\r\n"
        ),
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1;received=192.0.2.7;rport=40001 , SIP/2.0/UDP b;rport | SIP/2.0/UDP c ;rport"
    );
}

#[test]
fn a_malformed_via_is_copied_as_it_stands() {
    assert_eq!(via_of("Via: SIP/2.0/UDP 192.0.2.15;;,;,,\r\n"), "SIP/2.0/UDP 192.0.2.15;;,;,,");
}

#[test]
fn to_gets_the_tag_unless_it_has_one_or_the_status_is_100() {
    let via = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\n";
    let tag = |to, status| answer(via, to, status).to().unwrap().tag().map(<[u8]>::to_vec);
    assert_eq!(tag("<sip:bob@example.com>", Status::RINGING), Some(b"a6c85cf".to_vec()));
    assert_eq!(tag("sip:bob@example.com", Status::OK), Some(b"a6c85cf".to_vec()));
    assert_eq!(tag("<sip:bob@example.com>;tag=mine", Status::OK), Some(b"mine".to_vec()));
    assert_eq!(tag("<sip:bob@example.com>", Status::TRYING), None);
}

#[test]
fn the_identifying_headers_are_copied_and_unfolded() {
    let answer = answer("Via: SIP/2.0/UDP h\r\n", "<sip:bob@example.com>", Status::BUSY_HERE);
    assert_eq!(answer.reason(), b"Busy Here");
    assert_eq!(answer.header(HeaderName::From), Some(&b"\"Alice\" <sip:alice@example.com>;tag=88sja8x"[..]));
    assert_eq!(answer.call_id(), Ok(&b"987asjd97y7atg"[..]));
    assert_eq!(answer.header(HeaderName::CSeq), Some(&b"986759 INVITE"[..]));
    assert_eq!(answer.header(HeaderName::Timestamp), None);
    assert_eq!(answer.header(HeaderName::MaxForwards), None);
    assert_eq!(answer.validate().map(drop), Ok(()));
}

#[test]
fn a_100_carries_the_timestamp() {
    let answer = answer("Via: SIP/2.0/UDP h\r\n", "<sip:bob@example.com>", Status::TRYING);
    assert_eq!(answer.header(HeaderName::Timestamp), Some(&b"54"[..]));
}
