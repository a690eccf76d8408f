//! RFC 4475 against the running switch: its fifty messages as datagrams, and what comes back.
//!
//! Column `our_response` of `tests/corpora/rfc4475/index.tsv` says what we answer: a status, or `none`. The switch has
//! the domain `example.com`, which also stands for the other domains of the messages, and no users; so a request that is
//! in order ends with 401 where somebody has to prove who he is. Responses are sought by the Call-ID of each message,
//! because many ask for their answer elsewhere than where it can be received.

use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, ListenerId, Transport};
use softswitch::config;
use softswitch::core::{Input, Output, Switch};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
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

fn corpus() -> Vec<Case> {
    let folder = tests::root().join("tests/corpora/rfc4475");
    let index = fs::read_to_string(folder.join("index.tsv")).expect("the index of the corpus");
    let mut lines = index.lines();
    let columns: Vec<&str> = lines.next().expect("a line of column names").split('\t').collect();
    let response =
        columns.iter().position(|column| *column == "our_response").expect("the column our_response");
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

fn status_of(message: &Message) -> String {
    message.status().map_or_else(|| "a request".into(), |status| status.code().to_string())
}

#[test]
fn every_torture_message_gets_the_answer_written_down_for_it() {
    let text = format!("[[listener]]\naddress = \"127.0.0.1:5060\"\n{DOMAIN}");
    let mut wrong = BTreeMap::new();
    for case in corpus() {
        let mut switch = Switch::new([4; 32], config::parse("torture.toml", &text).unwrap());
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: SocketAddr::from(([127, 0, 0, 1], 5060)),
            peer: SocketAddr::from(([127, 0, 0, 1], 5070)),
        };
        switch.handle_input(Time(1), Input::Received { flow, bytes: case.bytes.into() });
        let mut answers = Vec::new();
        while let Some(output) = switch.poll_output() {
            if let Output::Transmit(transmit) = output {
                assert!(
                    transmit.flow.peer.ip().is_loopback(),
                    "{} sends us to {}",
                    case.file,
                    transmit.flow.peer
                );
                answers.push(status_of(&Message::parse(transmit.bytes).unwrap()));
            }
        }
        let got = if answers.is_empty() { "none".into() } else { answers.join(" ") };
        if got != case.expected {
            wrong.insert(case.file, format!("{got}, not {}", case.expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Responses go to the port in the Via of the request, on the address it came from: so the messages are sent from an
/// address of the loopback network that no other test has, where every one of those ports can be had.
#[cfg(target_os = "linux")]
#[test]
fn the_running_switch_answers_every_torture_message_and_lives() {
    let switch = tests::switch::Switch::start_with(DOMAIN);
    let corpus = corpus();
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
        let got = if answers.is_empty() { "none".into() } else { answers.join(" ") };
        if got != case.expected {
            wrong.insert(case.file, format!("{got}, not {}", case.expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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
