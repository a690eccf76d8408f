//! SIP over WebSocket: the handshake of both ends (RFC 6455 §4, RFC 7118 §4.1) and the rules of frames (RFC 6455 §5).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::transport::stream::{
    CloseReason, Connection, Deadline, HandshakeError, Limits, Output, Refusal, Side, Upgrade, Violation,
};

const START: Time = Time(0);
const SIP: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/WS b\r\n\r\n";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const REQUEST: &str = "GET /sip?x=1 HTTP/1.1\r\nHost: ws.example.com\r\nUpgrade: WebSocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: https://phone.example.com\r\nSec-WebSocket-Protocol: chat, sip\r\nSec-WebSocket-Version: 13\r\n\r\n";

const GRANTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

fn accepted() -> Connection {
    Connection::web_socket(START, Side::Accepted, Limits::default(), &mut Random::new([1; 32]))
}

fn opened() -> Connection {
    let side = Side::Opened { host: "ws.example.com".into() };
    Connection::web_socket(START, side, Limits::default(), &mut Random::new([2; 32]))
}

fn drain(connection: &mut Connection) -> Vec<Output> {
    core::iter::from_fn(|| connection.poll_output()).collect()
}

fn feed(connection: &mut Connection, bytes: &[u8]) -> Vec<Output> {
    connection.handle_bytes(START, bytes);
    drain(connection)
}

fn whole(bytes: &[u8]) -> Output {
    Output::Message(Bytes::copy_from_slice(bytes))
}

fn write(bytes: &[u8]) -> Output {
    Output::Write(Bytes::copy_from_slice(bytes))
}

/// A server's end after its handshake.
fn server() -> Connection {
    let mut connection = accepted();
    assert!(matches!(&feed(&mut connection, REQUEST.as_bytes())[..], [Output::Upgrade(_)]));
    connection.accept_upgrade();
    assert_eq!(drain(&mut connection), [Output::Established, write(GRANTED.as_bytes())]);
    connection
}

/// A client's end after its handshake; the server is another connection.
fn client() -> Connection {
    let mut client = opened();
    let mut server = accepted();
    for output in drain(&mut client) {
        let Output::Write(bytes) = output else { panic!("{output:?}") };
        feed(&mut server, &bytes);
    }
    server.accept_upgrade();
    for output in drain(&mut server) {
        if let Output::Write(bytes) = output {
            assert_eq!(feed(&mut client, &bytes), [Output::Established]);
        }
    }
    client
}

/// A frame as a client sends it: the first byte as it is, the payload masked.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A short frame as a server sends it.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, payload.len() as u8], payload].concat()
}

fn assert_failed(frames: &[u8], violation: Violation) {
    let outputs = feed(&mut server(), frames);
    let close = write(&plain(0x88, &violation.code().to_be_bytes()));
    assert_eq!(outputs, [close, Output::Close(CloseReason::Violation(violation))], "{frames:?}");
}

#[test]
fn a_request_in_order_is_handed_up_and_granted() {
    let mut connection = accepted();
    let upgrade = Upgrade {
        target: Bytes::from_static(b"/sip?x=1"),
        host: Bytes::from_static(b"ws.example.com"),
        origin: Some(Bytes::from_static(b"https://phone.example.com")),
    };
    assert_eq!(feed(&mut connection, REQUEST.as_bytes()), [Output::Upgrade(upgrade)]);
    connection.accept_upgrade();
    assert_eq!(drain(&mut connection), [Output::Established, write(GRANTED.as_bytes())]);
    connection.accept_upgrade();
    connection.refuse_upgrade(START, Refusal::Forbidden);
    assert_eq!(drain(&mut connection), [], "decided once");
}

#[test]
fn the_owner_may_refuse_with_403_or_404() {
    for (refusal, error, status) in [
        (Refusal::Forbidden, HandshakeError::Forbidden, "403 Forbidden"),
        (Refusal::NotFound, HandshakeError::NotFound, "404 Not Found"),
    ] {
        let mut connection = accepted();
        feed(&mut connection, REQUEST.as_bytes());
        connection.refuse_upgrade(START, refusal);
        assert_refused(&drain(&mut connection), error, status);
    }
}

fn assert_refused(outputs: &[Output], error: HandshakeError, status: &str) {
    let [Output::Write(answer), Output::Close(reason)] = outputs else { panic!("{outputs:?}") };
    assert_eq!(*reason, CloseReason::Handshake(error));
    let answer = String::from_utf8_lossy(answer);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(status.starts_with("426"), answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
}

#[test]
fn a_request_out_of_order_is_answered_with_what_is_wrong() {
    use HandshakeError::{Malformed, NoSip, NotWebSocket};
    for (from, to, error, status) in [
        ("GET", "POST", Malformed, "400 Bad Request"),
        ("HTTP/1.1", "HTTP/1.0", Malformed, "400 Bad Request"),
        (" /sip?x=1 ", " ", Malformed, "400 Bad Request"),
        ("Host: ws.example.com\r\n", "", Malformed, "400 Bad Request"),
        ("Host: ", "Host: other\r\nHost: ", Malformed, "400 Bad Request"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", Malformed, "400 Bad Request"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "*", Malformed, "400 Bad Request"),
        ("chat, sip", "chat", NoSip, "400 Bad Request"),
        ("Sec-WebSocket-Protocol: chat, sip\r\n", "", NoSip, "400 Bad Request"),
        ("Upgrade: WebSocket\r\n", "", NotWebSocket, "426 Upgrade Required"),
        ("keep-alive, Upgrade", "keep-alive", NotWebSocket, "426 Upgrade Required"),
        ("Version: 13", "Version: 8", NotWebSocket, "426 Upgrade Required"),
    ] {
        let outputs = feed(&mut accepted(), REQUEST.replacen(from, to, 1).as_bytes());
        assert_refused(&outputs, error, status);
    }
}

#[test]
fn a_request_may_offer_its_protocols_in_several_lines() {
    let split = REQUEST.replace("chat, sip", "chat\r\nSec-WebSocket-Protocol: SIP");
    assert!(matches!(&feed(&mut accepted(), split.as_bytes())[..], [Output::Upgrade(_)]));
}

#[test]
fn a_request_without_end_is_431() {
    let outputs = feed(&mut accepted(), REQUEST.replace("x=1", &"x".repeat(40_000)).as_bytes());
    assert_refused(&outputs, HandshakeError::TooLong, "431 Request Header Fields Too Large");
}

#[test]
fn a_client_that_does_not_wait_for_the_answer_is_refused() {
    let mut connection = accepted();
    let early = [REQUEST.as_bytes(), &masked(0x81, SIP)].concat();
    connection.handle_bytes(START, &early);
    assert!(matches!(connection.poll_output(), Some(Output::Upgrade(_))));
    assert_refused(&drain(&mut connection), HandshakeError::Early, "400 Bad Request");
    connection.accept_upgrade();
    assert_eq!(drain(&mut connection), []);
}

#[test]
fn a_handshake_that_trickles_is_cut_off() {
    let mut connection = accepted();
    feed(&mut connection, b"GET / HTTP/1.1\r\n");
    assert_eq!(connection.poll_timeout(), Some(START + Duration::from_secs(10)));
    connection.handle_timeout(START + Duration::from_secs(10));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::TimedOut(Deadline::FirstMessage))]);
}

#[test]
fn a_client_asks_for_sip_and_holds_messages_back_until_it_is_granted() {
    let mut client = opened();
    client.send(START, Bytes::from_static(SIP)).unwrap();
    let outputs = drain(&mut client);
    let [Output::Write(request)] = &outputs[..] else { panic!("{outputs:?}") };
    let text = String::from_utf8_lossy(request);
    assert!(text.starts_with("GET / HTTP/1.1\r\nHost: ws.example.com\r\n"), "{text}");
    assert!(text.contains("\r\nSec-WebSocket-Protocol: sip\r\n"), "{text}");
    let mut server = accepted();
    feed(&mut server, request);
    server.accept_upgrade();
    let granted = drain(&mut server);
    let [Output::Established, Output::Write(response)] = &granted[..] else { panic!("{granted:?}") };
    let outputs = feed(&mut client, response);
    let [Output::Established, Output::Write(frame)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(feed(&mut server, frame), [whole(SIP)]);
}

#[test]
fn a_client_checks_what_the_server_grants() {
    // The accept of another key.
    for (from, to, error) in [
        ("", "", HandshakeError::Accept),
        ("101 Switching Protocols", "404 Not Found", HandshakeError::Status(404)),
        ("HTTP/1.1", "HTTP/2", HandshakeError::Malformed),
        ("Upgrade: websocket\r\n", "", HandshakeError::NotWebSocket),
        ("Connection: Upgrade\r\n", "", HandshakeError::NotWebSocket),
    ] {
        assert_eq!(ungranted(&mut opened(), &GRANTED.replacen(from, to, 1)), error);
    }
}

#[test]
fn a_client_accepts_neither_an_extension_nor_another_protocol() {
    for (from, to, error) in [
        ("Connection:", "Sec-WebSocket-Extensions: x\r\nConnection:", HandshakeError::Extension),
        ("Sec-WebSocket-Protocol: sip\r\n", "", HandshakeError::NoSip),
        ("Protocol: sip", "Protocol: chat", HandshakeError::NoSip),
    ] {
        let mut client = opened();
        let [Output::Write(request)] = &drain(&mut client)[..] else { panic!("no request") };
        let mut server = accepted();
        feed(&mut server, request);
        server.accept_upgrade();
        let granted = drain(&mut server);
        let [Output::Established, Output::Write(response)] = &granted[..] else { panic!("{granted:?}") };
        let response = String::from_utf8_lossy(response).replacen(from, to, 1);
        assert_eq!(ungranted(&mut client, &response), error);
    }
}

/// Why the client does not go on; messages it held back are never written.
fn ungranted(client: &mut Connection, response: &str) -> HandshakeError {
    client.send(START, Bytes::from_static(SIP)).unwrap();
    drain(client);
    match feed(client, response.as_bytes())[..] {
        [Output::Close(CloseReason::Handshake(error))] => error,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn text_and_binary_messages_are_both_taken() {
    let mut connection = server();
    assert_eq!(feed(&mut connection, &masked(0x81, SIP)), [whole(SIP)]);
    assert_eq!(feed(&mut connection, &masked(0x82, b"\xff\0")), [whole(b"\xff\0")]);
    let mut connection = client();
    assert_eq!(feed(&mut connection, &plain(0x82, SIP)), [whole(SIP)]);
}

#[test]
fn a_message_leaves_as_text_or_if_it_is_not_utf_8_as_binary() {
    let mut connection = server();
    connection.send(START, Bytes::from_static(SIP)).unwrap();
    connection.send(START, Bytes::from_static(b"\xff")).unwrap();
    assert_eq!(drain(&mut connection), [write(&plain(0x81, SIP)), write(&plain(0x82, b"\xff"))]);
}

#[test]
fn every_frame_of_a_client_has_a_mask_of_its_own() {
    let mut connection = client();
    connection.send(START, Bytes::from_static(SIP)).unwrap();
    connection.send(START, Bytes::from_static(SIP)).unwrap();
    let frames = drain(&mut connection);
    let [Output::Write(one), Output::Write(two)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((one[1] & 0x80, two[1] & 0x80), (0x80, 0x80));
    assert_ne!(one[2..6], two[2..6]);
    assert_eq!(feed(&mut server(), &[&one[..], two].concat()), [whole(SIP), whole(SIP)]);
}

#[test]
fn fragments_are_put_together_and_control_frames_may_stand_between_them() {
    let frames = [
        masked(0x01, "é".as_bytes().get(..1).unwrap()),
        masked(0x89, b"hi"),
        masked(0x00, b""),
        masked(0x80, "é".as_bytes().get(1..).unwrap()),
    ]
    .concat();
    assert_eq!(feed(&mut server(), &frames), [whole("é".as_bytes()), write(&plain(0x8a, b"hi"))]);
}

#[test]
fn a_ping_is_answered_with_its_payload_the_last_of_a_read_for_all() {
    let pings = [masked(0x89, b"one"), masked(0x89, b"two")].concat();
    assert_eq!(feed(&mut server(), &pings), [write(&plain(0x8a, b"two"))]);
}

#[test]
fn a_crlf_keep_alive_may_travel_in_a_message() {
    let mut connection = server();
    assert_eq!(feed(&mut connection, &masked(0x81, b"\r\n\r\n")), [write(&plain(0x81, b"\r\n"))]);
    assert_eq!(feed(&mut connection, &masked(0x81, b"\r\n")), []);
    assert_eq!(feed(&mut connection, &masked(0x82, b"")), []);
}

#[test]
fn our_keep_alive_is_a_ping_frame() {
    let mut connection = server();
    feed(&mut connection, &masked(0x81, SIP));
    connection.set_keep_alive(START, Some(Duration::from_secs(30)));
    connection.handle_timeout(START + Duration::from_secs(30));
    assert_eq!(drain(&mut connection), [write(&plain(0x89, b""))]);
    assert_eq!(feed(&mut connection, &masked(0x8a, b"")), [Output::Pong]);
    assert_eq!(feed(&mut connection, &masked(0x8a, b"unasked")), []);
}

#[test]
fn a_close_is_answered_with_its_code() {
    for payload in [&b""[..], b"\x03\xe9", b"\x03\xe9going away"] {
        let answer = plain(0x88, payload.get(..2).unwrap_or_default());
        let outputs = feed(&mut server(), &masked(0x88, payload));
        assert_eq!(outputs, [write(&answer), Output::Close(CloseReason::PeerClosed)]);
    }
}

#[test]
fn closing_says_so_and_waits_for_the_peer_but_not_for_ever() {
    let farewell = plain(0x88, &1000_u16.to_be_bytes());
    let mut connection = server();
    connection.close(START);
    assert_eq!(drain(&mut connection), [write(&farewell)]);
    assert_eq!(feed(&mut connection, &masked(0x81, SIP)), [], "what comes late is of no interest");
    let outputs = feed(&mut connection, &masked(0x88, b"\x03\xe8"));
    assert_eq!(outputs, [Output::Close(CloseReason::Requested)], "there is one Close of each end");

    let mut connection = server();
    connection.close(START);
    drain(&mut connection);
    assert_eq!(connection.poll_timeout(), Some(START + Duration::from_secs(5)));
    connection.handle_timeout(START + Duration::from_secs(5));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::Requested)]);
}

#[test]
fn the_client_masks_and_the_server_does_not() {
    assert_failed(&plain(0x81, b"a"), Violation::Protocol);
    let outputs = feed(&mut client(), &masked(0x81, b"a"));
    assert_eq!(outputs.last(), Some(&Output::Close(CloseReason::Violation(Violation::Protocol))));
}

#[test]
fn a_breach_of_the_frame_rules_is_1002() {
    for frames in [
        masked(0xc1, b"reserved bit"),
        masked(0x83, b"reserved opcode"),
        masked(0x8b, b"reserved control opcode"),
        masked(0x09, b"ping in fragments"),
        masked(0x89, &[0; 126]),
        masked(0x80, b"continues nothing"),
        [masked(0x01, b"begun"), masked(0x81, b"another")].concat(),
        vec![0x81, 0x80 | 126, 0, 125],
        vec![0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        vec![0x81, 0x80 | 127, 0x80, 0, 0, 0, 0, 1, 0, 0],
        masked(0x88, b"\x03"),
        masked(0x88, b"\x03\xed"),
        masked(0x88, b"\x03\xe7"),
    ] {
        let mut whole_header = frames.clone();
        whole_header.extend([0; 4]);
        assert_failed(&whole_header, Violation::Protocol);
    }
}

#[test]
fn text_that_is_not_utf_8_is_1007() {
    assert_failed(&masked(0x81, b"a\xffb"), Violation::NotUtf8);
    assert_failed(&masked(0x88, b"\x03\xe8\xff"), Violation::NotUtf8);
}

#[test]
fn a_message_beyond_the_limit_is_1009_before_it_arrives() {
    assert_failed(&masked(0x82, &[b'a'; 65_536])[..14], Violation::TooLong);
    let fragments = [masked(0x02, &[b'a'; 65_535]), masked(0x80, b"b")].concat();
    assert_failed(&fragments, Violation::TooLong);
    let largest = masked(0x82, &[b'a'; 65_535]);
    assert_eq!(feed(&mut server(), &largest), [whole(&[b'a'; 65_535])]);
}

#[test]
fn fragments_that_trickle_are_cut_off() {
    let mut connection = server();
    feed(&mut connection, &masked(0x82, SIP));
    for second in 0..10 {
        let first = if second == 0 { 0x02 } else { 0x00 };
        let frames = [masked(first, b"a"), masked(0x89, b"")].concat();
        connection.handle_bytes(Time::from_millis(second * 1000), &frames);
        drain(&mut connection);
        assert_eq!(connection.poll_timeout(), Some(Time::from_millis(10_000)), "not put off");
    }
    connection.handle_timeout(Time::from_millis(10_000));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::TimedOut(Deadline::Message))]);
}

/// Messages with the sizes of their fragments, and where the stream is cut.
fn messages() -> impl Strategy<Value = (Vec<(Vec<u8>, usize)>, Vec<usize>)> {
    let body = prop_oneof![3 => prop::collection::vec(any::<u8>(), 1..300), 1 => Just(vec![7; 66_000 - 500])];
    (prop::collection::vec((body, 1..400_usize), 0..5), prop::collection::vec(0..3000_usize, 0..30))
}

proptest! {
    #[test]
    fn any_fragments_and_any_split_yield_the_same_messages((messages, mut cuts) in messages()) {
        let mut stream = Vec::new();
        for (message, size) in &messages {
            let pieces: Vec<_> = message.chunks(message.len().min(*size)).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let last = if index + 1 == pieces.len() { 0x80 } else { 0 };
                stream.extend(masked(last | if index == 0 { 2 } else { 0 }, piece));
            }
        }
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut connection = server();
        let (mut outputs, mut start) = (Vec::new(), 0);
        for cut in cuts.into_iter().map(|cut| cut.min(stream.len())) {
            outputs.extend(feed(&mut connection, &stream[start..cut]));
            start = cut;
        }
        let kept = messages.iter().filter(|(text, _)| !text.iter().all(|byte| b"\r\n".contains(byte)));
        prop_assert_eq!(outputs, kept.map(|(text, _)| whole(text)).collect::<Vec<_>>());
    }
}
