//! Fuzz target `stream_framing`: any bytes as what a peer sends over TCP.
//!
//! Asserted, besides that nothing panics: however the bytes are cut, the same comes out; a message is a piece of the
//! stream, within the limits, and has the body that the parser finds in it; what a defective one is answered with is
//! a valid response.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_stack::message::Message;
use sip_stack::transport::stream::{Connection, Limits, Output, Side};

use super::pieces::{self, NOW};

/// Small, so that inputs of a fuzzer reach them.
const LIMITS: fn() -> Limits = || Limits { message: 1500, headers: 1000, ..Limits::default() };

/// Runs the target once.
///
/// # Panics
/// When a property does not hold.
pub fn stream_framing(data: &[u8]) {
    let mut connection = Connection::sip(NOW, Side::Accepted, LIMITS());
    let at_once = pieces::feed(&mut connection, data);
    check_messages(data, &at_once);
    let mut connection = Connection::sip(NOW, Side::Accepted, LIMITS());
    let in_pieces: Vec<_> =
        pieces::cut(data).flat_map(|piece| pieces::feed(&mut connection, piece)).collect();
    // Keep-alives are answered once a read, so their number depends on the cuts.
    let kept =
        |outputs: Vec<Output>| outputs.into_iter().filter(|output| !matches!(output, Output::Write(_)));
    assert!(kept(at_once).eq(kept(in_pieces)), "the cuts do not matter");
}

fn check_messages(stream: &[u8], outputs: &[Output]) {
    let mut rest = stream;
    for output in outputs {
        match output {
            Output::Message(message) => {
                let limits = LIMITS();
                assert!(message.len() <= limits.message, "a message is within its limit");
                let start = find(rest, message).expect("a message is a piece of the stream");
                rest = &rest[start + message.len()..];
                check_body(message);
            }
            Output::Defective(defective) => {
                assert!(defective.head.len() <= LIMITS().headers, "a header section is within its limit");
                let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
                if let Some(answer) = defective.answer(b"tag", source) {
                    let answer = Message::parse(answer).expect("a response of ours parses");
                    assert!(answer.status().is_some_and(|status| matches!(status.code(), 400 | 513)));
                }
            }
            Output::Write(pong) => assert_eq!(&**pong, b"\r\n", "nothing is written but pongs"),
            Output::Upgrade(_) | Output::Established | Output::Pong | Output::Close(_) => {
                panic!("{output:?}")
            }
        }
    }
}

fn find(stream: &[u8], piece: &[u8]) -> Option<usize> {
    stream.windows(piece.len()).position(|window| window == piece)
}

/// The framing and the parser see the same Content-Length, unless the header section is refused anyway.
fn check_body(bytes: &bytes::Bytes) {
    let Ok(message) = Message::parse(bytes.clone()) else { return };
    if let Ok(Some(length)) = message.content_length()
        && message.fields().count() < sip_stack::message::MAX_HEADERS
    {
        assert_eq!(u64::try_from(message.body().len()), Ok(length), "one body for all readers");
    }
}
