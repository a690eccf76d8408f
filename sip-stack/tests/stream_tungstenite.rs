//! Differential tests against tungstenite: its client with our server, its server with our client (RFC 6455).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::transport::stream::{CloseReason, Connection, Limits, Output, Side};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

const NOW: Time = Time(0);

/// What tungstenite takes for a socket: both directions in memory.
#[derive(Clone, Default)]
struct Pipe {
    incoming: Rc<RefCell<VecDeque<u8>>>,
    outgoing: Rc<RefCell<Vec<u8>>>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.incoming.borrow_mut().read(buffer)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.outgoing.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Our end, tungstenite's, and the socket between them.
struct Pair {
    ours: Connection,
    theirs: WebSocket<Pipe>,
    pipe: Pipe,
}

impl Pair {
    fn our_server() -> Pair {
        let (mut ours, pipe) = (connection(Side::Accepted), Pipe::default());
        let request = tungstenite::ClientRequestBuilder::new("ws://example.com/".parse().unwrap())
            .with_sub_protocol("sip");
        let Err(tungstenite::HandshakeError::Interrupted(waiting)) =
            tungstenite::client(request, pipe.clone())
        else {
            panic!("the client waits for an answer");
        };
        assert!(matches!(receive(&mut ours, &pipe)[..], [Output::Upgrade(_)]));
        ours.accept_upgrade();
        assert_eq!(write(&mut ours, &pipe), [Output::Established]);
        let (theirs, response) = waiting.handshake().unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
        Pair { ours, theirs, pipe }
    }

    fn our_client() -> Pair {
        let (mut ours, pipe) = (connection(Side::Opened { host: "example.com".into() }), Pipe::default());
        assert_eq!(write(&mut ours, &pipe), []);
        #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
        let theirs = tungstenite::accept_hdr(pipe.clone(), |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "sip");
            response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
            Ok(response)
        })
        .unwrap();
        assert_eq!(receive(&mut ours, &pipe), [Output::Established]);
        Pair { ours, theirs, pipe }
    }

    fn they_say(&mut self, message: Message) -> Vec<Output> {
        self.theirs.send(message).unwrap();
        receive(&mut self.ours, &self.pipe)
    }

    fn we_say(&mut self, message: &[u8]) -> Message {
        self.ours.send(NOW, Bytes::copy_from_slice(message)).unwrap();
        assert_eq!(write(&mut self.ours, &self.pipe), []);
        self.theirs.read().unwrap()
    }
}

fn connection(side: Side) -> Connection {
    Connection::web_socket(NOW, side, Limits::default(), &mut Random::new([9; 32]))
}

/// Moves what we write; returns the rest of what comes out.
fn write(ours: &mut Connection, pipe: &Pipe) -> Vec<Output> {
    let mut others = Vec::new();
    while let Some(output) = ours.poll_output() {
        match output {
            Output::Write(bytes) => pipe.incoming.borrow_mut().extend(&bytes),
            other => others.push(other),
        }
    }
    others
}

/// Moves what they wrote, and our answer to it.
fn receive(ours: &mut Connection, pipe: &Pipe) -> Vec<Output> {
    ours.handle_bytes(NOW, &pipe.outgoing.take());
    write(ours, pipe)
}

fn both() -> [Pair; 2] {
    [Pair::our_server(), Pair::our_client()]
}

#[test]
fn pings_are_answered_in_both_directions() {
    for mut pair in both() {
        assert_eq!(pair.they_say(Message::text("SIP")).len(), 1);
        assert_eq!(pair.they_say(Message::Ping("abc".into())), []);
        assert_eq!(pair.theirs.read().unwrap(), Message::Pong("abc".into()));
        pair.ours.set_keep_alive(NOW, Some(core::time::Duration::from_secs(20)));
        pair.ours.handle_timeout(Time::from_millis(20_000));
        assert_eq!(write(&mut pair.ours, &pair.pipe), []);
        assert_eq!(pair.theirs.read().unwrap(), Message::Ping(Default::default()));
        pair.theirs.flush().unwrap();
        assert_eq!(receive(&mut pair.ours, &pair.pipe), [Output::Pong]);
    }
}

#[test]
fn either_end_may_close() {
    for mut pair in both() {
        pair.theirs.close(None).unwrap();
        assert_eq!(receive(&mut pair.ours, &pair.pipe), [Output::Close(CloseReason::PeerClosed)]);
        assert!(pair.theirs.read().unwrap().is_close());
    }
    for mut pair in both() {
        pair.ours.close(NOW);
        assert_eq!(write(&mut pair.ours, &pair.pipe), []);
        let Message::Close(Some(frame)) = pair.theirs.read().unwrap() else { panic!("no Close") };
        assert_eq!(u16::from(frame.code), 1000);
        pair.theirs.flush().ok();
        assert_eq!(receive(&mut pair.ours, &pair.pipe), [Output::Close(CloseReason::Requested)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_of_any_size_arrive_in_both_directions(
        message in prop::collection::vec(any::<u8>(), 3..70_000_usize)
            .prop_filter("a message", |text| text.len() <= 65_535 && text.iter().any(|byte| *byte > b' ')),
        pieces in 1..5_usize,
    ) {
        for mut pair in both() {
            let whole = [Output::Message(Bytes::from(message.clone()))];
            prop_assert_eq!(&pair.they_say(Message::binary(message.clone()))[..], &whole);
            prop_assert_eq!(&pair.we_say(&message).into_data()[..], &message[..]);
            let chunks: Vec<_> = message.chunks(message.len().div_ceil(pieces)).collect();
            let mut outputs = Vec::new();
            for (index, chunk) in chunks.iter().enumerate() {
                let data = if index == 0 { Data::Binary } else { Data::Continue };
                let last = index + 1 == chunks.len();
                let frame = Frame::message(chunk.to_vec(), OpCode::Data(data), last);
                outputs.extend(pair.they_say(Message::Frame(frame)));
            }
            prop_assert_eq!(&outputs[..], &whole);
        }
    }

    #[test]
    fn text_arrives_as_text(text in "[a-zA-Zéß€😀\r\n ]{3,300}[a-z]") {
        for mut pair in both() {
            prop_assert_eq!(pair.we_say(text.as_bytes()), Message::text(text.clone()));
            let outputs = pair.they_say(Message::text(text.clone()));
            prop_assert_eq!(outputs, [Output::Message(Bytes::from(text.clone()))]);
        }
    }
}
