//! Properties of parser and writer: what is written reads back the same, and no input whatever makes anything panic.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sip_stack::header::HeaderName;
use sip_stack::message::{Escaped, Message, Method, Status, Uri, Writer, quoted, response};

/// Calls everything that reads a message.
fn read_everything(message: &Message) {
    let _ = (message.method(), message.status(), message.reason().len(), message.start_line_error());
    let _ = message.uri().map(|uri| (uri.user_unescaped(), uri.ip(), uri.equivalent(&uri)));
    for via in message.vias().flatten() {
        let _ = (via.is_rfc3261_branch(), via.sent_by_ip(), via.received_ip(), via.same_sent_by(&via));
    }
    for address in [message.from(), message.to()].into_iter().flatten() {
        let _ = (address.tag(), address.display_unquoted(), address.params.iter().count(), address.uri.ip());
    }
    let _ = message.contacts().map(|contacts| contacts.as_slice().len());
    let _ = (message.contact().is_ok(), message.call_id().is_ok(), message.cseq().is_ok());
    let _ = (message.max_forwards(), message.expires(), message.min_expires(), message.content_length());
    let _ = (message.content_type().is_ok(), message.date());
    let _ = (message.route().count(), message.record_route().count(), message.body_bytes());
    let _ = (message.require().count(), message.proxy_require().count(), message.supported().count());
    let _ = (message.allow().count(), message.authorization().count(), message.proxy_authorization().count());
    let _ = (message.rack(), message.rseq(), message.session_expires(), message.min_se(), message.replaces());
    let _ = (message.join(), message.refer_sub(), message.privacy().hides_caller(), message.entity_tag());
    let _ =
        message.refer_to().map(|target| (target.request_uri(), target.replaces().map(|value| value.len())));
    message.reasons().for_each(|reason| _ = (reason.cause(), reason.text()));
    let _ = (message.asserted_identities().is_ok(), message.preferred_identities().is_ok());
    let _ = (message.history().count(), message.diversions().count(), message.event().is_ok());
    let _ = (message.subscription_state(), message.if_match(), message.referred_by().is_ok());
    let _ = (message.extension(b"x").count(), message.fields().count(), message.validate());
    let _ = (format!("{message:?}"), Escaped(message.body()).to_string());
    let source = "[2001:db8::1]:5060".parse().unwrap();
    for status in [Status::TRYING, Status::OK] {
        let answer = response(message, status, None, Some(b"tag"), source).finish();
        let Ok(answer) = Message::parse(answer) else { continue };
        assert_eq!(answer.status(), Some(status));
    }
}

const INVITE: &str = "INVITE sip:bob@example.com;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKx\r\n\
    v: SIP / 2.0 / UDP first.example.com: 4000;ttl=16\r\n ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1\r\n\
    Max-Forwards: 70\r\n\
    From: \"A \\\"B\\\", C\" <sip:alice@example.com>;tag=9fxced76sl\r\n\
    t: Bob <sips:bob:pw@example.com?x=y&z=%41>;tag=8321\r\n\
    Call-ID: 3848276298220188511@example.com\r\n\
    CSeq: 2 INVITE\r\n\
    m: <sip:alice@192.0.2.1:5060;ob>;q=0.7;expires=60, tel:+1-201-555-0123\r\n\
    Route: <sip:p1.example.com;lr>,\r\n <sip:p2.example.com;lr>\r\n\
    Record-Route: <sip:p1.example.com;lr>\r\n\
    Date: Thu, 21 Feb 2002 13:02:03 GMT\r\n\
    Supported: 100rel, timer\r\n\
    RAck: 776656 1 INVITE\r\n\
    RSeq: 776656\r\n\
    x: 4000;refresher=uac\r\n\
    Min-SE: 90\r\n\
    Replaces: a@b;to-tag=1;from-tag=2;early-only\r\n\
    r: <sip:c@h;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&X=y>\r\n\
    b: <sip:r@h>;cid=\"a@b\"\r\n\
    Refer-Sub: false\r\n\
    Reason: SIP;cause=200;text=\"done; \\\"so\\\"\", Q.850;cause=16\r\n\
    P-Asserted-Identity: \"A\" <sip:a@h>, tel:+1\r\n\
    Privacy: id;user\r\n\
    History-Info: <sip:b@h?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@h>;index=1.1;mp=1\r\n\
    Diversion: <sip:b@h>;reason=no-answer;counter=1\r\n\
    o: refer;id=2\r\n\
    Subscription-State: active;expires=60\r\n\
    SIP-ETag: dx200xyz\r\n\
    Content-Type: application/sdp\r\n\
    l: 5\r\n\r\nv=0\r\n";

/// One change to a message: position as a fraction, what is cut, what is put in.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let structural = prop::sample::select(b"\r\n \t:;,<>\"\\=@?[]%/*\0\xff0".to_vec());
    (any::<prop::sample::Index>(), 0..4usize, vec(prop_oneof![structural, any::<u8>()], 0..4))
}

fn mutate(text: &[u8], mutations: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for (position, cut, insert) in mutations {
        let begin = position.index(bytes.len() + 1);
        let end = (begin + cut).min(bytes.len());
        bytes.splice(begin..end, insert.iter().copied());
    }
    bytes
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,20}"
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..2000)) {
        if let Ok(message) = Message::parse(Bytes::from(bytes)) {
            read_everything(&message);
        }
    }

    #[test]
    fn arbitrary_text_with_a_via_never_panics(
        start in "\\PC{0,60}", via in "\\PC{0,60}", rest in "(\\PC{0,20}(:|;|,|\r\n ?)){0,20}",
    ) {
        let text = format!("{start}\r\nVia: {via}\r\n{rest}");
        if let Ok(message) = Message::parse(Bytes::from(text)) {
            read_everything(&message);
        }
    }

    #[test]
    fn mutated_messages_never_panic(mutations in vec(mutation(), 1..12)) {
        if let Ok(message) = Message::parse(Bytes::from(mutate(INVITE.as_bytes(), &mutations))) {
            read_everything(&message);
        }
    }

    #[test]
    fn a_mutated_uri_never_panics_and_equals_itself(mutations in vec(mutation(), 0..4)) {
        let bytes = mutate(b"sip:a%41;p:pw@[2001:db8::1]:5060;lr;maddr=h?x=y&z=%20", &mutations);
        if let Ok(uri) = Uri::parse(&bytes) {
            prop_assert!(uri.equivalent(&uri));
            prop_assert_eq!(Uri::parse(uri.text).map(|again| again.user), Ok(uri.user));
        }
    }

    #[test]
    fn what_is_written_is_read_the_same(
        method in token(), user in token(), tag in token(), branch in token(), display in "\\PC{0,30}",
        call_id in token(), number in 0u32..1 << 31, subject in "[!-~]([ -~]{0,40}[!-~])?",
        body in vec(any::<u8>(), 0..300),
    ) {
        let user = user.replace('%', "%25");
        let method = Method::new(method.as_bytes());
        let mut writer = Writer::request(method, format!("sip:{user}@example.com").as_bytes());
        writer
            .header(HeaderName::Via, format!("SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport").as_bytes())
            .header_parts(HeaderName::From, &[&quoted(display.as_bytes()), b" <sip:a@example.com>;tag=", tag.as_bytes()])
            .header(HeaderName::To, b"<sip:b@example.com>")
            .header(HeaderName::CallId, call_id.as_bytes())
            .cseq(number, method)
            .number(HeaderName::MaxForwards, 70)
            .header(HeaderName::Subject, subject.as_bytes())
            .extension(b"X-Own", subject.as_bytes())
            .body(b"application/octet-stream", &body);
        let message = Message::parse(writer.finish()).unwrap();
        prop_assert_eq!(message.validate().map(drop), Ok(()));
        prop_assert_eq!(message.method(), Some(method));
        let uri = message.uri().unwrap();
        prop_assert_eq!(uri.user, Some(user.as_bytes()));
        prop_assert_eq!(message.via().unwrap().branch, Some(branch.as_bytes()));
        let from = message.from().unwrap();
        prop_assert_eq!(from.tag(), Some(tag.as_bytes()));
        let name = from.display_unquoted().unwrap();
        prop_assert_eq!(name.as_ref(), display.as_bytes());
        prop_assert_eq!(message.call_id(), Ok(call_id.as_bytes()));
        prop_assert_eq!(message.cseq().unwrap().number, number);
        prop_assert_eq!(message.header(HeaderName::Subject), Some(subject.as_bytes()));
        prop_assert_eq!(message.extension(b"x-own").next(), Some(subject.as_bytes()));
        prop_assert_eq!(message.body(), &body[..]);
        prop_assert_eq!(message.fields().last().unwrap().0, Some(HeaderName::ContentLength));
    }

    #[test]
    fn no_value_opens_a_header_of_its_own(value in vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b' '), any::<u8>()], 0..60)) {
        let text = String::from_utf8_lossy(&value).into_owned();
        let mut writer = Writer::request(Method::Other(&value), &value);
        writer
            .header(HeaderName::Via, b"SIP/2.0/UDP h")
            .header(HeaderName::Subject, &value)
            .header(HeaderName::Subject, format!("a{text}b").as_bytes())
            .header_parts(HeaderName::Subject, &[&value, &value])
            .header(HeaderName::From, &quoted(&value))
            .extension(&value, &value)
            .extension(b"X-Own", &value);
        let message = Message::parse(writer.finish()).unwrap();
        let names: Vec<_> = message.fields().filter_map(|(name, _, _)| name).collect();
        prop_assert_eq!(names, [
            HeaderName::Via, HeaderName::Subject, HeaderName::Subject, HeaderName::Subject, HeaderName::From,
            HeaderName::ContentLength,
        ]);
        prop_assert!(message.extension(b"X-Own").count() >= 1);
        prop_assert_eq!(message.body(), b"");
    }

    #[test]
    fn a_copied_header_reads_the_same(mutations in vec(mutation(), 0..6)) {
        let Ok(original) = Message::parse(Bytes::from(mutate(INVITE.as_bytes(), &mutations))) else { return Ok(()) };
        let mut writer = Writer::status(Status::OK, b"OK");
        let names = [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::Route, HeaderName::CSeq, HeaderName::Contact];
        for name in names {
            writer.copy(name, &original);
        }
        let copy = Message::parse(writer.finish()).unwrap();
        for name in names {
            prop_assert_eq!(copy.headers(name).count(), original.headers(name).count());
        }
        prop_assert_eq!(copy.cseq(), original.cseq());
        prop_assert_eq!(copy.route().count(), original.route().count());
        let tag = |message: &Message| message.from().map(|from| from.tag().map(<[u8]>::to_vec));
        prop_assert_eq!(tag(&copy), tag(&original));
    }

    #[test]
    fn a_message_survives_serialisation(mutations in vec(mutation(), 0..6)) {
        let Ok(original) = Message::parse(Bytes::from(mutate(INVITE.as_bytes(), &mutations))) else { return Ok(()) };
        let bytes = postcard::to_allocvec(&original).unwrap();
        let again: Message = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again, original);
    }
}

#[test]
fn the_message_the_mutations_start_from_is_valid() {
    assert_eq!(Message::parse(Bytes::from_static(INVITE.as_bytes())).unwrap().validate().map(drop), Ok(()));
}

#[test]
fn a_shared_part_points_into_the_datagram() {
    let message = Message::parse(Bytes::from_static(INVITE.as_bytes())).unwrap();
    let call_id = message.share(message.call_id().unwrap());
    assert_eq!(call_id.as_ptr(), message.call_id().unwrap().as_ptr());
    assert_eq!(message.share(b"foreign"), b"foreign"[..]);
    assert_eq!(message.share(b""), b""[..]);
}
