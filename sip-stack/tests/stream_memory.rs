//! What a peer can make a connection hold, under a counting allocator.

use allocation_counter::measure;
use bytes::Bytes;
use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::transport::stream::{Connection, Limits, Side};

const NOW: Time = Time(0);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: sip\r\n\r\n";

fn limits() -> Limits {
    Limits { message: 4000, headers: 2000, unsent: 1000, ..Limits::default() }
}

fn sip() -> Connection {
    Connection::sip(NOW, Side::Accepted, limits())
}

fn web_socket() -> Connection {
    let mut connection = Connection::web_socket(NOW, Side::Accepted, limits(), &mut Random::new([4; 32]));
    connection.handle_bytes(NOW, REQUEST);
    connection.accept_upgrade();
    drain(&mut connection);
    connection
}

fn drain(connection: &mut Connection) {
    while connection.poll_output().is_some() {}
}

/// The most bytes held at one time while a stream arrives in reads of that size, besides what was held before.
fn most_held(connection: &mut Connection, stream: &[u8], read: usize) -> u64 {
    let info = measure(|| {
        for bytes in stream.chunks(read) {
            connection.handle_bytes(NOW, bytes);
            drain(connection);
        }
    });
    info.bytes_max
}

/// A buffer that doubles holds the old and the new one for a moment; a read of 64 bytes has few messages in it.
const BOUND: u64 = 3 * 4000 + 2000;

#[test]
fn an_endless_header_section_and_an_endless_body_stay_within_the_limits() {
    let announced = b"A sip:a SIP/2.0\r\nl: 3900\r\n\r\n";
    for stream in
        [vec![b'a'; 1_000_000], b"a: b\r\n".repeat(100_000), [&announced[..], &[0; 1_000_000]].concat()]
    {
        let held = most_held(&mut sip(), &stream, 64);
        assert!(held < BOUND, "{held}");
    }
}

#[test]
fn endless_fragments_and_endless_pings_stay_within_the_limits() {
    let fragment = [0x00, 0x81, 0, 0, 0, 0, b'a'];
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    let mut fragments = vec![0x02, 0x81, 0, 0, 0, 0, b'a'];
    fragments.extend(fragment.repeat(100_000));
    for stream in [fragments, ping.repeat(100_000)] {
        let held = most_held(&mut web_socket(), &stream, 64);
        assert!(held < BOUND, "{held}");
    }
}

#[test]
fn a_peer_that_pings_and_takes_nothing_makes_nothing_grow() {
    for (mut connection, ping) in
        [(sip(), &b"\r\n\r\n"[..]), (web_socket(), &[0x89, 0x82, 0, 0, 0, 0, b'h', b'i'][..])]
    {
        connection.set_writable(NOW, false);
        let held = most_held(&mut connection, &ping.repeat(100_000), ping.len());
        assert!(held < BOUND, "{held}");
        assert!(connection.send(NOW, Bytes::from_static(&[b'a'; 900])).is_ok(), "messages go before pongs");
    }
}

#[test]
fn an_idle_connection_holds_nothing_on_the_heap() {
    let info = measure(|| {
        let mut connection = sip();
        connection.handle_bytes(NOW, b"\r\n\r\n\r\n");
        drain(&mut connection);
        let before = measure(|| drop(connection));
        assert!(before.bytes_current.abs() < 300, "{before:?}");
    });
    assert_eq!(info.bytes_current, 0);
}

/// Bytes that are more often than chance has it the beginning of something.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"A sip:a SIP/2.0\r\nl: 3\r\n\r\nabc".to_vec()),
        Just(b"l: 3900\r\n\r\n".to_vec()),
        Just(b"\x82\x81\0\0\0\0a".to_vec()),
        Just(b"\x02\x81\0\0\0\0a".to_vec()),
        Just(b"\x00\xfe\x01\x00\0\0\0\0".to_vec()),
        Just(b"\x89\x80\0\0\0\0".to_vec()),
    ];
    prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_stream_makes_a_connection_panic_or_hold_more_than_its_limits(stream in noise(), read in 1..200_usize) {
        for mut connection in [sip(), web_socket()] {
            let held = most_held(&mut connection, &stream, read);
            prop_assert!(held < BOUND + 64 * read as u64, "{held}");
        }
    }
}
