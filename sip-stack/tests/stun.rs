//! STUN for the keep-alive of UDP flows (RFC 5626 §4.4.2, §8; RFC 8489).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use core::net::SocketAddr;
use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::transport::stream::Interval;
use sip_stack::transport::stun::{
    Binding, FlowFailure, KeepAlive, KeepAliveOutput, StunError, TransactionId, answer, is_stun, request,
};

const COOKIE: &[u8] = &[0x21, 0x12, 0xa4, 0x42];
/// The transaction of the samples in RFC 5769.
const ID: &[u8] = &[0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap();
    [&kind.to_be_bytes(), &length.to_be_bytes(), COOKIE, ID, attributes].concat()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn random() -> Random {
    Random::new([3; 32])
}

fn mapped(datagram: &[u8]) -> Result<SocketAddr, StunError> {
    match Binding::parse(datagram)? {
        Binding::Success { mapped, .. } => Ok(mapped),
        other => panic!("{other:?}"),
    }
}

#[test]
fn stun_is_told_from_sip_by_its_first_bits_and_the_cookie() {
    assert!(is_stun(&request(TransactionId::new(&mut random()))));
    assert!(!is_stun(b"OPTIONS sip:a SIP/2.0\r\n\r\n"));
    assert!(!is_stun(b"\r\n\r\n"));
    assert!(!is_stun(&message(1, b"")[..19]));
    let mut other = message(1, b"");
    other[0] |= 0x40;
    assert!(!is_stun(&other));
    other = message(1, b"");
    other[7] = 0;
    assert!(!is_stun(&other), "a client of RFC 3489");
}

#[test]
fn the_mapped_addresses_of_the_samples_are_read() {
    // RFC 5769 §2.2, §2.3, without their integrity.
    let software = b"\x80\x22\x00\x0btest vector ";
    let v4 = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    assert_eq!(mapped(&message(0x0101, &[&software[..], v4].concat())), Ok(address("192.0.2.1:32853")));
    let v6 =
        b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";
    let expected = address("[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    assert_eq!(mapped(&message(0x0101, &[&v6[..], software].concat())), Ok(expected));
}

#[test]
fn a_binding_request_is_answered_with_the_address_it_came_from() {
    for source in ["192.0.2.1:32853", "[2001:db8::7]:5060"] {
        let id = TransactionId::new(&mut random());
        let response = answer(&request(id), address(source)).unwrap();
        let mapped = address(source);
        assert_eq!(Binding::parse(&response), Ok(Binding::Success { id, mapped }));
    }
    let response = answer(&message(1, b""), address("[::ffff:192.0.2.1]:32853")).unwrap();
    assert_eq!(mapped(&response), Ok(address("192.0.2.1:32853")), "as the client knows it");
}

#[test]
fn a_request_with_an_unknown_attribute_that_must_be_understood_is_420() {
    // CHANGE-REQUEST, and an optional attribute that nobody knows.
    let datagram = message(1, b"\x00\x03\x00\x04\0\0\0\0\xff\xff\x00\x00");
    let response = answer(&datagram, address("192.0.2.1:1")).unwrap();
    let Ok(Binding::Error { code, .. }) = Binding::parse(&response) else { panic!("{response:?}") };
    assert_eq!(code, 420);
    assert!(response.ends_with(b"\x00\x0a\x00\x02\x00\x03\x00\x00"), "{response:?}");
}

#[test]
fn nothing_but_a_request_is_answered() {
    let source = address("192.0.2.1:1");
    for datagram in [message(0x0101, b""), message(0x0111, b""), message(0x0011, b""), message(3, b"")] {
        assert_eq!(answer(&datagram, source), None);
    }
    let mut long = message(1, b"");
    long.push(0);
    assert_eq!(answer(&long, source), None, "the length does not match");
    assert_eq!(answer(&message(1, b"\x00\x06\x00\x08abcd"), source), None, "an attribute does not fit");
}

#[test]
fn a_response_is_refused_without_its_attribute_or_with_an_unknown_one() {
    assert_eq!(Binding::parse(&message(0x0101, b"")), Err(StunError::Missing));
    assert_eq!(Binding::parse(&message(0x0111, b"")), Err(StunError::Missing));
    let unknown = message(0x0101, b"\x7f\xff\x00\x00");
    assert_eq!(Binding::parse(&unknown), Err(StunError::UnknownAttribute(0x7fff)));
    for code in [b"\0\0\x02\0", b"\0\0\x07\0", b"\0\0\x04\x64"] {
        let datagram = message(0x0111, &[b"\x00\x09\x00\x04", &code[..]].concat());
        assert_eq!(Binding::parse(&datagram), Err(StunError::Malformed));
    }
}

/// A keep-alive and its random numbers in virtual time.
struct Flow {
    keep_alive: KeepAlive,
    random: Random,
    now: Time,
}

impl Flow {
    fn new() -> Flow {
        let mut random = random();
        let keep_alive = KeepAlive::new(Time(0), Interval::DATAGRAM, &mut random);
        Flow { keep_alive, random, now: Time(0) }
    }

    /// Lets time run to the next timer.
    fn wait(&mut self) -> Vec<KeepAliveOutput> {
        self.now = self.keep_alive.poll_timeout().unwrap();
        self.keep_alive.handle_timeout(self.now, &mut self.random);
        self.outputs()
    }

    /// Lets time run to the next request.
    fn wait_for_request(&mut self) -> Bytes {
        match &self.wait()[..] {
            [KeepAliveOutput::Transmit(request)] => request.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn receive(&mut self, datagram: &[u8]) -> Vec<KeepAliveOutput> {
        self.keep_alive.handle_datagram(self.now, datagram, &mut self.random);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<KeepAliveOutput> {
        core::iter::from_fn(|| self.keep_alive.poll_output()).collect()
    }
}

#[test]
fn a_request_leaves_every_24_to_29_seconds_and_the_mapped_address_is_told_once() {
    let (mut flow, here) = (Flow::new(), address("192.0.2.1:1024"));
    for round in 0..5 {
        let before = flow.now;
        let request = flow.wait_for_request();
        assert!((24..29).contains(&flow.now.since(before).as_secs()));
        let told = flow.receive(&answer(&request, here).unwrap());
        assert_eq!(told, if round == 0 { vec![KeepAliveOutput::Mapped(here)] } else { vec![] });
    }
}

#[test]
fn a_changed_mapped_address_is_a_failed_flow() {
    let (mut flow, from, to) = (Flow::new(), address("192.0.2.1:1024"), address("192.0.2.1:1025"));
    let request = flow.wait_for_request();
    flow.receive(&answer(&request, from).unwrap());
    let request = flow.wait_for_request();
    let failure = FlowFailure::AddressChanged { from, to };
    assert_eq!(flow.receive(&answer(&request, to).unwrap()), [KeepAliveOutput::Failed(failure)]);
    assert_eq!(flow.keep_alive.poll_timeout(), None);
}

#[test]
fn a_request_is_sent_seven_times_and_has_failed_after_79_rto() {
    let mut flow = Flow::new();
    let first = flow.wait_for_request();
    let begin = flow.now;
    let mut at = Vec::new();
    for _ in 0..6 {
        assert_eq!(flow.wait_for_request(), first, "the same transaction");
        at.push(flow.now.since(begin).as_millis());
    }
    assert_eq!(at, [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(flow.wait(), [KeepAliveOutput::Failed(FlowFailure::NoAnswer)]);
    assert_eq!(flow.now.since(begin).as_millis(), 39_500);
}

#[test]
fn an_error_response_is_a_failed_flow() {
    let mut flow = Flow::new();
    let request = flow.wait_for_request();
    let mut error = message(0x0111, b"\x00\x09\x00\x04\0\0\x05\0");
    error[8..20].copy_from_slice(&request[8..20]);
    assert_eq!(flow.receive(&error), [KeepAliveOutput::Failed(FlowFailure::Refused(500))]);
}

#[test]
fn a_response_to_another_request_means_nothing() {
    let mut flow = Flow::new();
    flow.wait_for_request();
    let other = answer(&message(1, b""), address("192.0.2.1:1")).unwrap();
    assert_eq!(flow.receive(&other), []);
    assert_eq!(flow.receive(b"no STUN"), []);
}

proptest! {
    #[test]
    fn mapped_addresses_survive_writing_and_reading(source: SocketAddr) {
        let response = answer(&message(1, b""), source).unwrap();
        let expected = SocketAddr::new(source.ip().to_canonical(), source.port());
        prop_assert_eq!(mapped(&response), Ok(expected));
    }

    #[test]
    fn no_attributes_break_the_parser(kind in prop_oneof![Just(1), Just(0x101), Just(0x111)],
                                      attributes in prop::collection::vec(any::<u8>(), 0..100)) {
        let whole = attributes.len() / 4 * 4;
        let datagram = message(kind, &attributes[..whole]);
        let answered = answer(&datagram, address("192.0.2.1:1"));
        prop_assert_eq!(answered.is_some(), kind == 1 && Binding::parse(&datagram).is_ok());
        prop_assert!(answered.is_none_or(|bytes| bytes.len() <= datagram.len() + 28));
    }
}
