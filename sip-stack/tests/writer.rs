//! The writer keeps every text in its place (RFC 3261 §7, §25.1).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer, quoted};

fn text(writer: Writer) -> String {
    String::from_utf8(writer.finish().to_vec()).unwrap()
}

#[test]
fn a_request_is_start_line_headers_length_and_body() {
    let mut writer = Writer::request(Method::Message, b"sip:bob@example.com");
    writer
        .header(HeaderName::Via, b"SIP/2.0/UDP h")
        .cseq(2_147_483_647, Method::Message)
        .body(b"text/plain", b"hi");
    assert_eq!(
        text(writer),
        "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCSeq: 2147483647 MESSAGE\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    );
}

#[test]
fn a_status_line_may_have_no_reason() {
    assert_eq!(text(Writer::status(Status::RINGING, b"")), "SIP/2.0 180 \r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn numbers_of_any_length_are_written() {
    for number in [0, 9, 10, 4_294_967_295, u64::MAX] {
        let mut writer = Writer::status(Status::OK, b"OK");
        writer.number(HeaderName::Expires, number);
        assert!(text(writer).contains(&format!("\r\nExpires: {number}\r\n")));
    }
}

#[test]
fn a_request_uri_keeps_the_start_line_in_three_parts() {
    let writer = Writer::request(Method::Options, b"sip:a b@h\r\nVia: x<>\"\0");
    assert!(
        text(writer).starts_with("OPTIONS sip:a%20b@h%0D%0AVia:%20x%3C%3E%22%00 SIP/2.0\r\nContent-Length")
    );
}

#[test]
fn folding_becomes_one_space_and_a_lone_line_end_too() {
    let mut writer = Writer::status(Status::OK, b"OK");
    writer.header(HeaderName::Subject, b"a \r\n\t b\rc\nd\0e  f");
    assert!(text(writer).contains("\r\nSubject: a b c d e  f\r\n"));
}

#[test]
fn a_copy_is_unfolded_and_otherwise_verbatim() {
    let original = b"OPTIONS sip:a@h SIP/2.0\r\nv: SIP/2.0/UDP h\r\n ;branch=x\r\nFrom: \"\\\0 \xe9\" <sip:a@h>\r\nl: 0\r\nVia: SIP/2.0/UDP i\r\n\r\n";
    let original = Message::parse(Bytes::from_static(original)).unwrap();
    let mut writer = Writer::status(Status::OK, b"OK");
    writer
        .copy(HeaderName::Via, &original)
        .copy(HeaderName::From, &original)
        .copy(HeaderName::ContentLength, &original);
    assert_eq!(
        writer.finish(),
        &b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h ;branch=x\r\nVia: SIP/2.0/UDP i\r\nFrom: \"\\\0 \xe9\" <sip:a@h>\r\nContent-Length: 0\r\n\r\n"[..]
    );
}

#[test]
fn an_extension_with_a_known_or_impossible_name_is_dropped() {
    let mut writer = Writer::status(Status::OK, b"OK");
    writer.extension(b"l", b"7").extension(b"Bad Name", b"x").extension(b"", b"x").extension(b"X-Good", b"y");
    assert_eq!(text(writer), "SIP/2.0 200 OK\r\nX-Good: y\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn a_display_name_is_quoted_safely() {
    assert_eq!(quoted(b"a\"b\\c\r\n"), b"\"a\\\"b\\\\c  \"");
}
