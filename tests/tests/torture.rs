//! RFC 4475 against the switch: its fifty messages as datagrams and over streams, and what comes back.
//!
//! Columns `our_response` and `our_response_tcp` of `tests/corpora/rfc4475/index.tsv` say what we answer: a status, or
//! `none`. They differ where a message says too much or too little about its length, which delimits it on a stream
//! (RFC 3261 §18.3): a datagram may lack it, a stream may not, and what follows it is the next message. The switch has
//! the domain `example.com`, which also stands for the other domains of the messages, and no users; so a request that is
//! in order ends with 401 where somebody has to prove who he is. Responses are sought by the Call-ID of each message,
//! because many ask for their answer elsewhere than where it can be received.

use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::stream::{Connection, Limits, Output as StreamOutput, Side};
use sip_stack::transport::{Flow, ListenerId, Transport};
use softswitch::config;
use softswitch::core::{Input, Output, Switch};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// The domains that the Request-URIs of the messages name.
const DOMAIN: &str = r#"
[[domain]]
name = "example.com"
aliases = ["example.net", "example.org", "company.com", "chair-dnrc.example.com", "atlanta.com", "biloxi.com"]
default = true
"#;

struct Case {
    file: String,
    expected: String,
    bytes: Vec<u8>,
}

/// The messages, with what the column says that we answer.
fn corpus(column: &str) -> Vec<Case> {
    let folder = tests::root().join("tests/corpora/rfc4475");
    let index = fs::read_to_string(folder.join("index.tsv")).expect("the index of the corpus");
    let mut lines = index.lines();
    let columns: Vec<&str> = lines.next().expect("a line of column names").split('\t').collect();
    let response = columns.iter().position(|name| *name == column).expect("the column of answers");
    let cases: Vec<Case> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let bytes = fs::read(folder.join(fields[0])).expect("a message of the corpus");
            Case { file: fields[0].into(), expected: fields[response].into(), bytes }
        })
        .collect();
    assert_eq!(cases.len(), 50);
    cases
}

impl Case {
    fn check(self, answers: &[String], wrong: &mut BTreeMap<String, String>) {
        let got = if answers.is_empty() { "none".into() } else { answers.join(" ") };
        if got != self.expected {
            wrong.insert(self.file, format!("{got}, not {}", self.expected));
        }
    }
}

fn status_of(message: &Message) -> String {
    message.status().map_or_else(|| "a request".into(), |status| status.code().to_string())
}

#[test]
fn every_torture_message_gets_the_answer_written_down_for_it() {
    let mut wrong = BTreeMap::new();
    for case in corpus("our_response") {
        let mut switch = switch();
        let answers = answers(&mut switch, flow(Transport::Udp), case.bytes.clone());
        case.check(&answers, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_torture_message_on_a_stream_gets_the_answer_written_down_for_it() {
    let mut wrong = BTreeMap::new();
    for case in corpus("our_response_tcp") {
        let mut switch = switch();
        let flow = flow(Transport::Tcp);
        let mut connection = Connection::sip(Time(1), Side::Accepted, Limits::default());
        connection.handle_bytes(Time(1), &case.bytes);
        let mut replies = Vec::new();
        let mut is_closed = false;
        loop {
            while let Some(output) = connection.poll_output() {
                match output {
                    StreamOutput::Message(bytes) => {
                        replies.extend(answers(&mut switch, flow, bytes.to_vec()));
                    }
                    StreamOutput::Defective(defective) => {
                        let answer = defective.answer(b"t", flow.peer);
                        replies.extend(answer.map(|bytes| status_of(&Message::parse(bytes).unwrap())));
                    }
                    StreamOutput::Close(_) => is_closed = true,
                    StreamOutput::Upgrade(_)
                    | StreamOutput::Established
                    | StreamOutput::Pong
                    | StreamOutput::Write(_) => {}
                }
            }
            let Some(due) = connection.poll_timeout() else { break };
            connection.handle_timeout(due);
        }
        assert!(is_closed, "{}: the connection stays for ever", case.file);
        case.check(&replies, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn switch() -> Switch {
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:5060\"\n\
         [[listener]]\naddress = \"127.0.0.1:5060\"\ntransport = \"tcp\"\n{DOMAIN}"
    );
    Switch::new([4; 32], config::parse("torture.toml", &text).expect("the configuration is in order"))
}

fn flow(transport: Transport) -> Flow {
    Flow {
        listener: ListenerId(u16::from(transport.is_reliable())),
        transport,
        local: SocketAddr::from(([127, 0, 0, 1], 5060)),
        peer: SocketAddr::from(([127, 0, 0, 1], 5070)),
    }
}

/// What the switch sends when it is handed a message; nothing of it goes to strangers.
fn answers(switch: &mut Switch, flow: Flow, bytes: Vec<u8>) -> Vec<String> {
    switch.handle_input(Time(1), Input::Received { flow, bytes: bytes.into() });
    let mut answers = Vec::new();
    while let Some(output) = switch.poll_output() {
        if let Output::Transmit(transmit) = output {
            assert!(transmit.flow.peer.ip().is_loopback(), "we are sent to {}", transmit.flow.peer);
            assert_eq!(transmit.flow.transport, flow.transport);
            answers.push(status_of(&parsed(&transmit.bytes)));
        }
    }
    answers
}

/// Responses go to the port in the Via of the request, on the address it came from: so the messages are sent from an
/// address of the loopback network that no other test has, where every one of those ports can be had.
#[cfg(target_os = "linux")]
#[test]
fn the_running_switch_answers_every_torture_message_and_lives() {
    let switch = tests::switch::Switch::start_with(DOMAIN);
    let corpus = corpus("our_response");
    let ports: BTreeSet<u16> = corpus.iter().map(|case| via_port(&case.bytes)).chain([5060]).collect();
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, b | 64, c, d.clamp(1, 254));
    let bind = |port: u16| (port, UdpSocket::bind((address, port)).expect("a port of our own address"));
    let sockets: BTreeMap<u16, UdpSocket> = ports.into_iter().map(bind).collect();
    let main = &sockets[&5060];
    main.set_read_timeout(Some(Duration::from_secs(20))).unwrap();

    let mut wrong = BTreeMap::new();
    for (number, case) in corpus.into_iter().enumerate() {
        main.send_to(&case.bytes, switch.address()).unwrap();
        // The switch answers in order: when the answer to this OPTIONS is there, so is that to the message.
        let marker = format!("marker{number}");
        let options = format!(
            "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{marker}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:t@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: {marker}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        main.send_to(options.as_bytes(), switch.address()).unwrap();
        let mut answers = answers_before(main, marker.as_bytes());
        for (_, socket) in sockets.iter().filter(|(port, _)| **port != 5060) {
            socket.set_nonblocking(true).unwrap();
            let mut buffer = vec![0; 65_535];
            while let Ok(length) = socket.recv(&mut buffer) {
                answers.push(status_of(&parsed(&buffer[..length])));
            }
        }
        case.check(&answers, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    switch.stop_and_replay();
}

/// What is answered depends on whether the end of the stream or of the message is seen first; that the switch lives and
/// lets go of every connection does not.
#[test]
fn the_running_switch_survives_every_torture_message_on_a_stream_of_its_own() {
    let switch = tests::switch::Switch::start_with(DOMAIN);
    let connect = || {
        let stream = TcpStream::connect(switch.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    for case in corpus("our_response_tcp") {
        let mut stream = connect();
        stream.write_all(&case.bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok(), "{}: {ended:?}", case.file);
        assert!(answer.is_empty() || answer.starts_with(b"SIP/2.0 "), "{}", case.file);
    }
    let mut stream = connect();
    let options = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKlast\r\n\
                   Max-Forwards: 70\r\nFrom: <sip:t@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: last\r\n\
                   CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(options.as_bytes()).unwrap();
    let mut answer = [0; 11];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"SIP/2.0 200");
    drop(stream);
    switch.stop_and_replay();
}

/// Where the answer to a message goes that asks for no `rport`.
fn via_port(bytes: &[u8]) -> u16 {
    let message = Message::parse(bytes.to_vec().into()).ok();
    message.and_then(|message| message.via().ok().and_then(|via| via.port)).unwrap_or(5060)
}

fn parsed(bytes: &[u8]) -> Message {
    Message::parse(bytes.to_vec().into()).expect("the switch writes SIP")
}

/// What arrives before the answer to the marker.
fn answers_before(socket: &UdpSocket, marker: &[u8]) -> Vec<String> {
    let mut buffer = vec![0; 65_535];
    let mut answers = Vec::new();
    loop {
        let length = socket.recv(&mut buffer).expect("the switch answers OPTIONS");
        let message = parsed(&buffer[..length]);
        if message.header(HeaderName::CallId) == Some(marker) {
            assert_eq!(status_of(&message), "200");
            return answers;
        }
        answers.push(status_of(&message));
    }
}
