//! Calls that go to another thread as a whole, with real sockets.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use smallvec::smallvec;

use super::super::budget::Uneven;
use super::*;
use crate::leg::{DigitParams, Latching, LegId, PayloadMap, PayloadRule, RtcpPort, StreamParams};
use crate::rtp::Header;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[expect(clippy::disallowed_methods, reason = "the peers of a loopback test are real sockets")]
fn peer() -> UdpSocket {
    let socket: UdpSocket = UdpSocket::bind((LOCAL, 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// How long a test waits for a thread.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for the ports of two legs that are opened.
#[expect(clippy::disallowed_methods, reason = "a deadline that ends a test which would wait for ever")]
fn ports(handle: &mut MediaHandle, answer: Option<Report>) -> [u16; 2] {
    let begun = std::time::Instant::now();
    let mut answer = answer;
    while begun.elapsed() < DEADLINE {
        match answer.take() {
            Some(Report::Opened { legs }) => return [legs[0].1, legs[1].1],
            Some(refused @ Report::Refused { .. }) => panic!("{refused:?}"),
            _ => {}
        }
        answer = handle.poll_report();
        std::thread::yield_now();
    }
    panic!("the legs were not opened in {DEADLINE:?}");
}

#[test]
fn no_packet_is_lost_when_threads_are_evened_out() {
    let threads = NonZeroUsize::new(2).unwrap();
    let config = MediaConfig { threads, ..MediaConfig::new(14_400..=14_499) };
    let mut handle = start(config, [3; 32], |_| {}).unwrap();
    let (speaker, listener) = (peer(), peer());
    let [a, b] = [LegId(1), LegId(2)];
    let answer = handle.send(Command::Open { legs: smallvec![(a, LOCAL), (b, LOCAL)] }).unwrap();
    handle.wake();
    let [port, from] = ports(&mut handle, answer);
    for (leg, socket) in [(a, &speaker), (b, &listener)] {
        let params = StreamParams {
            remote: Some(socket.local_addr().unwrap()),
            signalling: LOCAL,
            latching: Latching::Symmetric,
            clock_rate: 8_000,
            send: true,
            receive: true,
            rtcp: RtcpPort::Above,
            digits: DigitParams::default(),
        };
        handle.send(Command::Configure { leg, params }).unwrap();
    }
    let pass = || PayloadMap::new(&[(0, PayloadRule::Pass(0))]);
    handle.send(Command::Relay { a, b, forward: pass(), backward: pass() }).unwrap();
    handle.wake();
    let mut first = None;
    for number in 0..300u16 {
        if number % 100 == 50 {
            let from = usize::from((150..250).contains(&number));
            let orders = handle.routes.relieve(Uneven { from, to: 1 - from, most: 1_000 });
            assert!(!orders.is_empty());
            handle.give(orders);
            handle.wake();
        }
        let mut packet = vec![0x80, 0];
        packet.extend(number.to_be_bytes());
        packet.extend((160 * u32::from(number)).to_be_bytes());
        packet.extend([1, 2, 3, 4, number as u8]);
        speaker.send_to(&packet, (LOCAL, port)).unwrap();
        let mut buffer = [0; 100];
        // What is sent before the relay is there is lost: the next one is not.
        if number == 0 {
            listener.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        }
        let Ok((length, source)) = listener.recv_from(&mut buffer) else {
            assert!(first.is_none(), "packet {number} is lost");
            continue;
        };
        assert_eq!(source.port(), from);
        let header = Header::parse(&buffer[..length]).unwrap();
        assert_eq!(buffer[12], number as u8);
        let place = (
            header.ssrc(),
            header.sequence().wrapping_sub(number),
            header.timestamp().wrapping_sub(160 * u32::from(number)),
        );
        assert_eq!(*first.get_or_insert(place), place, "the stream is one");
    }
}
