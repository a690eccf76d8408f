//! Where messages on a stream end (RFC 3261 §18.3, §20.14), and the line ends between them (RFC 5626 §4.4.1).

use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use proptest::prelude::*;
use sip_stack::transport::stream::{
    CloseReason, Connection, Deadline, Defect, Defective, Limits, Output, Side,
};
use sip_stack::{Message, Time};

const START: Time = Time(0);

fn accepted() -> Connection {
    Connection::sip(START, Side::Accepted, Limits::default())
}

fn drain(connection: &mut Connection) -> Vec<Output> {
    core::iter::from_fn(|| connection.poll_output()).collect()
}

fn feed(connection: &mut Connection, bytes: &[u8]) -> Vec<Output> {
    connection.handle_bytes(START, bytes);
    drain(connection)
}

fn request(body: &[u8], length: &str) -> Vec<u8> {
    let head = format!(
        "MESSAGE sip:bob@example.com SIP/2.0\r\n\
         Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: 1@192.0.2.1\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\n{length}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    request(body, &format!("Content-Length: {}\r\n", body.len()))
}

fn whole(bytes: &[u8]) -> Output {
    Output::Message(Bytes::copy_from_slice(bytes))
}

fn defect(outputs: &[Output]) -> &Defective {
    match outputs {
        [Output::Defective(defective)] => defective,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_ends_where_content_length_says() {
    let text = message(b"hello\r\n\r\nworld");
    assert_eq!(feed(&mut accepted(), &text), [whole(&text)]);
}

#[test]
fn a_message_may_arrive_byte_by_byte() {
    let mut connection = accepted();
    let text = message(b"hello");
    let outputs: Vec<_> = text.iter().flat_map(|byte| feed(&mut connection, &[*byte])).collect();
    assert_eq!(outputs, [whole(&text)]);
}

#[test]
fn pipelined_messages_are_told_apart() {
    let (one, two, three) = (message(b"1"), message(b""), message(&[0; 3000]));
    let outputs = feed(&mut accepted(), &[&one[..], &two, &three].concat());
    assert_eq!(outputs, [whole(&one), whole(&two), whole(&three)]);
}

#[test]
fn a_message_holds_no_memory_but_its_own() {
    let text = message(b"1");
    let outputs = feed(&mut accepted(), &text.repeat(100));
    let mut starts: Vec<_> = outputs
        .iter()
        .map(|output| match output {
            Output::Message(bytes) => bytes.as_ptr() as usize,
            other => panic!("{other:?}"),
        })
        .collect();
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] != text.len()), "not slices of one read");
}

#[test]
fn line_ends_before_a_message_are_skipped() {
    let text = message(b"");
    for before in [&b"\r\n"[..], b"\n", b"\n\n\n", b"\r", b"\r\n\n"] {
        assert_eq!(feed(&mut accepted(), &[before, &text].concat()), [whole(&text)], "{before:?}");
    }
}

#[test]
fn the_length_may_be_compact_folded_repeated_and_spelt_in_any_case() {
    for field in [
        "l: 5\r\n",
        "L:5\r\n",
        "Content-Length:\r\n 5\r\n",
        "content-length :\t5 \r\n",
        "Content-Length: 0005\n",
        "Content-Length: 5\r\nl: 5\r\n",
    ] {
        let text = request(b"hello", field);
        assert_eq!(feed(&mut accepted(), &[&text[..], b"MESS"].concat()), [whole(&text)], "{field:?}");
    }
}

#[test]
fn a_line_that_only_continues_another_is_no_length() {
    let text = request(b"hello", "Subject: a\r\n Content-Length: 3\r\nContent-Length: 5\r\n");
    assert_eq!(feed(&mut accepted(), &text), [whole(&text)]);
}

#[test]
fn without_a_usable_length_the_head_is_handed_up_and_nothing_more_is_read() {
    for (field, expected) in [
        ("", Defect::NoContentLength),
        ("Content-Length: five\r\n", Defect::MalformedContentLength),
        ("Content-Length:\r\n", Defect::MalformedContentLength),
        ("Content-Length: 5, 5\r\n", Defect::MalformedContentLength),
        ("Content-Length: -1\r\n", Defect::MalformedContentLength),
        ("Content-Length: 5\r\nl: 6\r\n", Defect::ConflictingContentLength),
        ("Content-Length: 65535\r\n", Defect::MessageTooLong),
        ("Content-Length: 99999999999999999999999\r\n", Defect::MessageTooLong),
    ] {
        let mut connection = accepted();
        let outputs = feed(&mut connection, &request(b"", field));
        assert_eq!(defect(&outputs).defect, expected, "{field:?}");
        assert_eq!(defect(&outputs).head, request(b"", field), "{field:?}");
        assert_eq!(feed(&mut connection, &message(b"hello")), [], "{field:?}");
    }
}

#[test]
fn a_defective_request_is_answered_and_the_connection_lingers_until_the_peer_closes() {
    let source: SocketAddr = "192.0.2.1:40000".parse().unwrap();
    for (field, status) in [("", 400), ("Content-Length: 9999999\r\n", 513)] {
        let mut connection = accepted();
        let outputs = feed(&mut connection, &request(b"", field));
        let answer = defect(&outputs).answer(b"tag", source).unwrap();
        let parsed = Message::parse(answer.clone()).unwrap();
        assert_eq!(parsed.status().unwrap().code(), status);
        assert_eq!(parsed.content_length(), Ok(Some(0)));
        assert!(parsed.validate().is_ok());
        connection.send(START, answer.clone()).unwrap();
        assert_eq!(drain(&mut connection), [Output::Write(answer)]);
        connection.handle_end(START);
        let defect = defect(&outputs).defect;
        assert_eq!(drain(&mut connection), [Output::Close(CloseReason::Defective(defect))]);
    }
}

#[test]
fn a_defective_connection_that_stays_is_closed_after_the_message_gap() {
    let mut connection = accepted();
    feed(&mut connection, &request(b"", ""));
    assert_eq!(connection.poll_timeout(), Some(START + Duration::from_secs(10)));
    connection.handle_timeout(START + Duration::from_secs(10));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::Defective(Defect::NoContentLength))]);
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn responses_acks_and_other_protocols_are_not_answered() {
    let source: SocketAddr = "192.0.2.1:40000".parse().unwrap();
    let ack = String::from_utf8(request(b"", "")).unwrap().replace("MESSAGE", "ACK");
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\r\n";
    let http = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    for text in [ack.as_str(), response, http] {
        let outputs = feed(&mut accepted(), text.as_bytes());
        assert_eq!(defect(&outputs).answer(b"tag", source), None, "{text}");
    }
}

#[test]
fn a_header_section_beyond_its_limit_is_cut_at_a_whole_line() {
    let limits = Limits { headers: 400, ..Limits::default() };
    let mut connection = Connection::sip(START, Side::Accepted, limits);
    let text = request(&[], &format!("Subject: {}\r\nl: 0\r\n", "a".repeat(1000)));
    let outputs = feed(&mut connection, &text);
    let Defective { head, defect } = defect(&outputs);
    assert_eq!(*defect, Defect::HeadersTooLong);
    assert!(head.ends_with(b"Max-Forwards: 70\r\n"), "{head:?}");
    let endless = feed(&mut Connection::sip(START, Side::Accepted, limits), &[b'a'; 10_000]);
    assert!(matches!(&endless[..], [Output::Defective(Defective { head, .. })] if head.is_empty()));
}

#[test]
fn a_double_crlf_is_answered_with_one() {
    let pong = || Output::Write(Bytes::from_static(b"\r\n"));
    let mut connection = accepted();
    assert_eq!(feed(&mut connection, b"\r\n\r\n"), [pong()]);
    assert_eq!(feed(&mut connection, b"\r\n\r"), []);
    assert_eq!(feed(&mut connection, b"\n"), [pong()]);
    let text = message(b"");
    assert_eq!(feed(&mut connection, &[b"\r\n\r\n", &text[..]].concat()), [whole(&text), pong()]);
    assert_eq!(feed(&mut connection, &b"\r\n\r\n".repeat(1000)), [pong()], "a flood is answered once a read");
}

#[test]
fn single_line_ends_are_not_answered() {
    let mut connection = accepted();
    let text = message(b"");
    for piece in [&b"\r\n"[..], &text, b"\r\n", &text, b"\n\n\n\n", b"\r\r\r\r", &text] {
        let outputs = feed(&mut connection, piece);
        assert!(outputs.iter().all(|output| matches!(output, Output::Message(_))), "{outputs:?}");
    }
}

#[test]
fn a_message_that_trickles_is_cut_off() {
    let mut connection = accepted();
    let text = message(&[b'a'; 1000]);
    feed(&mut connection, &message(b""));
    for (second, byte) in text.iter().enumerate().take(10) {
        connection.handle_bytes(Time::from_millis(second as u64 * 1000), &[*byte]);
        assert_eq!(drain(&mut connection), []);
        assert_eq!(connection.poll_timeout(), Some(Time::from_millis(10_000)), "not put off");
    }
    connection.handle_timeout(Time::from_millis(10_000));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::TimedOut(Deadline::Message))]);
}

#[test]
fn the_gap_begins_anew_with_each_message() {
    let mut connection = accepted();
    let (text, later) = (message(b"hello"), Time::from_millis(9_000));
    feed(&mut connection, &text[..20]);
    connection.handle_bytes(later, &[&text[20..], &text[..20]].concat());
    assert_eq!(drain(&mut connection), [whole(&text)]);
    assert_eq!(connection.poll_timeout(), Some(later + Duration::from_secs(10)));
}

/// Bodies and what stands between the messages, with the places at which the stream is cut.
fn streams() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<usize>)> {
    let body = prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n')], 0..200);
    (prop::collection::vec(body, 0..8), prop::collection::vec(0..4000_usize, 0..40))
}

proptest! {
    #[test]
    fn any_split_of_any_sequence_yields_the_same_messages((bodies, mut cuts) in streams()) {
        let messages: Vec<_> = bodies.iter().map(|body| message(body)).collect();
        let stream = messages.join(&b"\r\n"[..]);
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut connection = accepted();
        let (mut outputs, mut start) = (Vec::new(), 0);
        for cut in cuts.into_iter().map(|cut| cut.min(stream.len())) {
            outputs.extend(feed(&mut connection, &stream[start..cut]));
            start = cut;
        }
        prop_assert_eq!(outputs, messages.iter().map(|text| whole(text)).collect::<Vec<_>>());
    }

    #[test]
    fn a_framed_message_parses_with_the_same_body(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let outputs = feed(&mut accepted(), &[&message(&body)[..], b"\r\nMESSAGE"].concat());
        let [Output::Message(bytes)] = &outputs[..] else { panic!("{outputs:?}") };
        let parsed = Message::parse(bytes.clone()).unwrap();
        prop_assert_eq!(parsed.body(), &body[..]);
    }
}
