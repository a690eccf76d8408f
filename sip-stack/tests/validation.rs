//! What makes a message unusable (RFC 3261 §8.1.1, §8.2, §16.3, §18.3), beyond the messages of RFC 4475.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::message::{MAX_HEADERS, MAX_MESSAGE, Message, Offence, ParseError, Status};

const HEADERS: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
    From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: x@y\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n";

fn parse(text: String) -> Message {
    Message::parse(Bytes::from(text)).unwrap()
}

fn options(extra: &str) -> Message {
    parse(format!("OPTIONS sip:b@example.com SIP/2.0\r\n{HEADERS}{extra}\r\n"))
}

fn rejection(extra: &str) -> (u16, &'static str) {
    let rejection = options(extra).validate().unwrap_err();
    (rejection.status.code(), rejection.reason)
}

#[test]
fn a_plain_request_passes() {
    assert_eq!(options("").validate().map(drop), Ok(()));
}

#[test]
fn fields_that_stand_once_must_not_be_repeated() {
    assert_eq!(rejection("f: <sip:c@example.com>\r\n"), (400, "Repeated From"));
    assert_eq!(rejection("t: <sip:c@example.com>\r\n"), (400, "Repeated To"));
    assert_eq!(rejection("i: z\r\n"), (400, "Repeated Call-ID"));
    assert_eq!(rejection("CSeq: 1 OPTIONS\r\n"), (400, "Repeated CSeq"));
    assert_eq!(rejection("Max-Forwards: 70\r\n"), (400, "Repeated Max-Forwards"));
    assert_eq!(rejection("Expires: 1\r\nExpires: 1\r\n"), (400, "Repeated Header Field"));
}

#[test]
fn mandatory_fields_must_be_there() {
    for (line, reason) in [
        ("From: <sip:a@example.com>;tag=1\r\n", "Missing From"),
        ("To: <sip:b@example.com>\r\n", "Missing To"),
        ("Call-ID: x@y\r\n", "Missing Call-ID"),
        ("CSeq: 1 OPTIONS\r\n", "Missing CSeq"),
    ] {
        let text = format!("OPTIONS sip:b@example.com SIP/2.0\r\n{}\r\n", HEADERS.replace(line, ""));
        assert_eq!(parse(text).validate().unwrap_err().reason, reason);
    }
}

#[test]
fn equal_content_lengths_do_no_harm_and_different_ones_do() {
    assert_eq!(options("Content-Length: 0\r\nl: 00\r\n").validate().map(drop), Ok(()));
    assert_eq!(rejection("Content-Length: 0\r\nl: 1\r\n"), (400, "Conflicting Content-Length"));
    assert_eq!(rejection("l: 99999999999999999999999\r\n"), (400, "Content-Length Exceeds the Body"));
    assert_eq!(rejection("l: 1x\r\n"), (400, "Malformed Content-Length"));
}

#[test]
fn a_line_without_a_colon_makes_the_message_malformed() {
    assert_eq!(rejection("Foobar roobar\r\n"), (400, "Malformed Header Line"));
    assert_eq!(rejection(": nameless\r\n"), (400, "Malformed Header Line"));
    assert_eq!(rejection("Sub ject: x\r\n"), (400, "Malformed Header Line"));
}

#[test]
fn a_call_id_has_no_white_space() {
    let text = format!("OPTIONS sip:b@example.com SIP/2.0\r\n{}\r\n", HEADERS.replace("x@y", "x y"));
    assert_eq!(parse(text).validate().unwrap_err().reason, "Malformed Call-ID");
}

#[test]
fn more_headers_than_the_limit_are_too_large_a_message() {
    let fill = |count: usize| "X-Fill: 1\r\n".repeat(count - HEADERS.lines().count());
    assert_eq!(options(&fill(MAX_HEADERS)).validate().map(drop), Ok(()));
    assert_eq!(rejection(&fill(MAX_HEADERS + 1)), (513, "Too Many Header Fields"));
}

#[test]
fn a_larger_datagram_than_udp_carries_is_no_message() {
    let size = MAX_MESSAGE + 1;
    assert_eq!(Message::parse(Bytes::from(vec![b'a'; size])).unwrap_err(), ParseError::TooLarge(size));
    let head = format!("OPTIONS sip:b@example.com SIP/2.0\r\n{HEADERS}\r\n");
    let full = head.clone() + &"x".repeat(MAX_MESSAGE - head.len());
    assert_eq!(parse(full).body().len(), MAX_MESSAGE - head.len());
}

#[test]
fn keep_alives_and_garbage_are_told_apart() {
    let error = |bytes: &'static [u8]| Message::parse(Bytes::from_static(bytes)).unwrap_err();
    assert_eq!(error(b""), ParseError::KeepAlive);
    assert_eq!(error(b"\r\n\r\n"), ParseError::KeepAlive);
    assert_eq!(error(b"\0\0\0\0"), ParseError::NoVia);
    assert_eq!(error(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ParseError::NoVia);
}

#[test]
fn line_ends_before_the_start_line_are_skipped() {
    let message = parse(format!("\r\n\r\nOPTIONS sip:b@example.com SIP/2.0\r\n{HEADERS}\r\nbody"));
    assert_eq!(message.validate().map(drop), Ok(()));
    assert_eq!(message.body(), b"body");
}

#[test]
fn a_line_feed_alone_ends_a_line() {
    let message =
        parse(format!("OPTIONS sip:b@example.com SIP/2.0\r\n{HEADERS}\r\nbody").replace("\r\n", "\n"));
    assert_eq!(message.validate().map(drop), Ok(()));
    assert_eq!(message.body(), b"body");
}

#[test]
fn a_response_that_fails_is_recognised_as_a_response() {
    for line in [
        "SIP/2.0 99 X",
        "SIP/2.0 700 X",
        "SIP/2.0 20 X",
        "SIP/2.0 0200 X",
        "SIP/3.0 200 OK",
        "SIP/2.0",
        "SIP/ 200 OK",
    ] {
        let message = parse(format!("{line}\r\n{HEADERS}\r\n"));
        assert!(!message.is_request() && message.method().is_none() && message.status().is_none(), "{line}");
        assert!(message.validate().is_err(), "{line}");
    }
}

#[test]
fn a_malformed_request_line_keeps_its_method() {
    let message = parse(format!("ACK  sip:b@example.com SIP/2.0\r\n{HEADERS}\r\n"));
    assert_eq!(message.method().map(|method| method.as_bytes()), Some(&b"ACK"[..]));
    assert_eq!(message.validate().unwrap_err().status, Status::BAD_REQUEST);
}

#[test]
fn a_contact_star_stands_alone() {
    let offence = options("Contact: *\r\nContact: <sip:a@h>\r\n").validate().unwrap_err().offence;
    assert_eq!(offence.offence, Offence::StarAmongOthers);
}

#[test]
fn a_retry_after_is_read_without_what_follows_its_seconds() {
    let wait =
        |value: &str| options(&format!("Retry-After: {value}\r\n")).retry_after().map(|wait| wait.as_secs());
    assert_eq!(wait("7200 (tea);duration=1"), Some(7_200));
    assert_eq!(wait("99999999999999999999"), Some(u64::from(u32::MAX)));
    assert_eq!((wait("soon"), wait("")), (None, None));
}

#[test]
fn a_response_is_not_lost_for_a_field_its_reader_can_do_without() {
    let extra = "Contact: <sip:a@h>;;\r\nDate: yesterday\r\n";
    assert_eq!(parse(format!("SIP/2.0 200 OK\r\n{HEADERS}{extra}\r\n")).validate().map(drop), Ok(()));
    assert_eq!(rejection(extra), (400, "Malformed Contact"));
}
