//! IPv6 in messages (RFC 5118): references in URIs and Via, `received` with and without brackets, comparison by value.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status, Uri, response};

fn register(request_uri: &str, via: &str) -> Message {
    let text = format!(
        "REGISTER {request_uri} SIP/2.0\r\n\
         Via: {via}\r\n\
         From: <sip:user@example.com>;tag=81x2\r\n\
         To: <sip:user@example.com>\r\n\
         Call-ID: 9d1f8c5b@[2001:db8::9:1]\r\n\
         CSeq: 98176 REGISTER\r\n\
         Max-Forwards: 70\r\n\
         Contact: \"six\" <sip:caller@[2001:db8::1]>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

const VIA: &str = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";

#[test]
fn a_reference_in_brackets_is_a_host() {
    let message = register("sip:[2001:db8::10]", VIA);
    assert_eq!(message.validate().map(drop), Ok(()));
    let uri = message.uri().unwrap();
    assert_eq!((uri.host, uri.port), (&b"[2001:db8::10]"[..], None));
    assert_eq!(uri.ip(), "2001:db8::10".parse().ok());
    assert_eq!(message.contact().unwrap().unwrap().uri.ip(), "2001:db8::1".parse().ok());
}

#[test]
fn an_address_without_brackets_is_refused() {
    let rejection = register("sip:2001:db8::10", VIA).validate().unwrap_err();
    assert_eq!(rejection.status, Status::BAD_REQUEST);
    let rejection =
        register("sip:example.com", "SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bKas3").validate().unwrap_err();
    assert_eq!((rejection.status, rejection.reason), (Status::BAD_REQUEST, "Malformed Via"));
}

#[test]
fn a_port_stands_behind_the_bracket() {
    let message = register("sip:[2001:db8::10]:5070", VIA);
    assert_eq!(message.uri().unwrap().port, Some(5070));
    // Inside the brackets it is one more group of the address.
    let message = register("sip:[2001:db8::10:5070]", VIA);
    let uri = message.uri().unwrap();
    assert_eq!((uri.port, uri.ip()), (None, "2001:db8::10:5070".parse().ok()));
}

#[test]
fn received_is_understood_with_and_without_brackets() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let via = format!("{VIA};received={received}");
        let message = register("sip:example.com", &via);
        assert_eq!(message.validate().map(drop), Ok(()));
        assert_eq!(message.via().unwrap().received_ip(), "2001:db8::9:255".parse().ok());
    }
}

#[test]
fn addresses_are_compared_by_value() {
    let parse = |text: &'static str| Uri::parse(text.as_bytes()).unwrap();
    assert!(parse("sip:a@[2001:db8::1]").equivalent(&parse("sip:a@[2001:0DB8:0:0:0:0:0:1]")));
    assert!(!parse("sip:a@[2001:db8::1]").equivalent(&parse("sip:a@[2001:db8::1]:5060")));
    assert!(parse("sip:a@[::ffff:192.0.2.1]").ip().is_some());
}

#[test]
fn zone_identifiers_and_broken_references_are_refused() {
    for host in
        ["[fe80::1%eth0]", "[fe80::1%25eth0]", "[::1", "::1]", "[]", "[1.2.3.4]", "[2001:db8::g]", "[::1]x"]
    {
        assert!(Uri::parse(format!("sip:a@{host}").as_bytes()).is_err(), "{host}");
    }
}

#[test]
fn several_vias_of_both_families() {
    let via = "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111,\
               SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144,\
               SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200";
    let message = register("sip:example.com", via);
    let ips: Vec<Option<IpAddr>> = message.vias().map(|via| via.unwrap().sent_by_ip()).collect();
    assert_eq!(ips, ["2001:db8::9:1", "192.0.2.1", "2001:db8::9:255"].map(|ip| ip.parse().ok()));
}

fn top_via_of_response(via: &str, source: &str) -> String {
    let source: SocketAddr = source.parse().unwrap();
    let answer = response(&register("sip:example.com", via), Status::OK, None, Some(b"t"), source).finish();
    let answer = Message::parse(answer).unwrap();
    let value = answer.header(HeaderName::Via).unwrap();
    String::from_utf8(value.to_vec()).unwrap()
}

#[test]
fn received_is_written_without_brackets() {
    assert_eq!(
        top_via_of_response("SIP/2.0/UDP [2001:db8::1]:5062;rport;branch=z9hG4bKx", "[2001:db8::2]:40000"),
        "SIP/2.0/UDP [2001:db8::1]:5062;branch=z9hG4bKx;received=2001:db8::2;rport=40000"
    );
}

#[test]
fn the_same_address_in_another_spelling_needs_no_received() {
    let via = "SIP/2.0/UDP [2001:DB8:0:0::1];branch=z9hG4bKx";
    assert_eq!(top_via_of_response(via, "[2001:db8::1]:5060"), via);
    // A dual-stack socket reports an IPv4 peer as a mapped address.
    let via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx";
    assert_eq!(top_via_of_response(via, "[::ffff:192.0.2.1]:5060"), via);
}
