//! Fuzz target `web_socket`: any bytes as a handshake or as frames, to a server or to a client.
//!
//! The first byte chooses which. Asserted, besides that nothing panics: however the bytes are cut, the same comes out;
//! a message is within its limit and arrives at the other end as it is when it is sent back.

use bytes::Bytes;
use sip_stack::random::Random;
use sip_stack::transport::stream::{CloseReason, Connection, Limits, Output, Side};

use super::pieces::{self, NOW};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: sip\r\n\r\n";

/// Runs the target once.
///
/// # Panics
/// When a property does not hold.
pub fn web_socket(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else { return };
    let make: fn() -> Connection = match choice % 4 {
        0 => asked,
        1 => server,
        2 => asking,
        _ => client,
    };
    let at_once = pieces::feed(&mut make(), stream);
    let mut connection = make();
    let in_pieces: Vec<_> =
        pieces::cut(stream).flat_map(|piece| pieces::feed(&mut connection, piece)).collect();
    assert!(kept(&at_once).eq(kept(&in_pieces)), "the cuts do not matter: {at_once:?} {in_pieces:?}");
    for output in &at_once {
        if let Output::Message(message) = output {
            send_back(message);
        }
    }
}

/// What may not depend on the cuts; pongs are sent once a read.
fn kept(outputs: &[Output]) -> impl Iterator<Item = &Output> {
    outputs.iter().filter(|output| !matches!(output, Output::Write(_)))
}

fn connection(side: Side) -> Connection {
    let limits = Limits { message: 1500, headers: 1000, ..Limits::default() };
    Connection::web_socket(NOW, side, limits, &mut Random::new([7; 32]))
}

/// A server that waits for a handshake.
fn asked() -> Connection {
    connection(Side::Accepted)
}

/// A client that waits for the answer to its handshake.
fn asking() -> Connection {
    let mut client = connection(Side::Opened { host: "a".into() });
    pieces::drain(&mut client);
    client
}

/// A server after its handshake.
fn server() -> Connection {
    let mut server = asked();
    pieces::feed(&mut server, REQUEST);
    server.accept_upgrade();
    assert_eq!(pieces::drain(&mut server).first(), Some(&Output::Established));
    server
}

/// A client after its handshake.
fn client() -> Connection {
    let mut client = connection(Side::Opened { host: "a".into() });
    let mut server = asked();
    written(&mut client).iter().for_each(|bytes| server.handle_bytes(NOW, bytes));
    server.accept_upgrade();
    written(&mut server).iter().for_each(|bytes| client.handle_bytes(NOW, bytes));
    assert_eq!(pieces::drain(&mut client), [Output::Established]);
    client
}

fn written(connection: &mut Connection) -> Vec<Bytes> {
    let write = |output| if let Output::Write(bytes) = output { Some(bytes) } else { None };
    pieces::drain(connection).into_iter().filter_map(write).collect()
}

/// From server to client and from client to server.
fn send_back(message: &Bytes) {
    for (mut from, mut to) in [(server(), client()), (client(), server())] {
        from.send(NOW, message.clone()).expect("nothing else waits");
        let outputs: Vec<_> =
            written(&mut from).iter().flat_map(|bytes| pieces::feed(&mut to, bytes)).collect();
        assert_eq!(outputs, [Output::Message(message.clone())], "a message arrives as it was sent");
        to.close(NOW);
        written(&mut to).iter().for_each(|bytes| from.handle_bytes(NOW, bytes));
        assert_eq!(pieces::drain(&mut from).last(), Some(&Output::Close(CloseReason::PeerClosed)));
    }
}
