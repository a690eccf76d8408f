//! The media thread with real sockets on the loopback interface.

#[allow(dead_code, reason = "several threads have helpers of their own")]
mod live;

use live::{A, B, DEADLINE, LOCAL, Media, Peer, config, packet, payload_type, sequence};
use media::io::MediaConfig;
use media::rtcp::{Compound, Packet};
use media::{Command, LegId, RefusalReason, Report};
use smallvec::smallvec;
use std::time::Duration;
fn relays_both_ways(local: &str) {
    let (a, b) = (Peer::new(local), Peer::new(local));
    let mut media = Media::start(config(16_000, 16_199));
    let ports = media.relay(&a, &b);
    for port in ports {
        assert!(port.is_multiple_of(2) && (16_000..16_199).contains(&port));
    }
    for sequence in 0..100 {
        a.send(ports[0], &packet(0, sequence, &[0xff; 160]));
        let (port, bytes) = b.receive();
        assert_eq!((port, payload_type(&bytes), &bytes[12..]), (ports[1], 8, &[0xd5; 160][..]));
        b.send(ports[1], &packet(8, sequence, &[0xd5; 160]));
        let (port, bytes) = a.receive();
        assert_eq!((port, payload_type(&bytes), &bytes[12..]), (ports[0], 0, &[0xfe; 160][..]));
    }
    for leg in [A, B] {
        let figures = media.close(leg);
        assert_eq!((figures.packets_in, figures.packets_out), (100, 100));
        assert_eq!((figures.octets_in, figures.octets_out), (16_000, 16_000));
        assert_eq!((figures.dropped.total(), figures.unsent), (0, 0));
    }
    assert!(media.handle.is_running());
    media.handle.stop();
}

#[test]
fn two_sockets_talk_through_the_relay() {
    relays_both_ways("127.0.0.1:0");
}

#[test]
fn two_sockets_talk_through_the_relay_over_ipv6() {
    relays_both_ways("[::1]:0");
}

#[test]
fn a_burst_larger_than_a_turn_comes_through_whole() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(config(16_200, 16_399));
    let ports = media.relay(&a, &b);
    for sequence in 0..100 {
        a.send(ports[0], &packet(0, sequence, &[sequence as u8; 160]));
    }
    let sequences: Vec<u16> = (0..100).map(|_| sequence(&b.receive().1)).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{sequences:?}");
}

#[test]
fn rtcp_comes_and_goes_on_the_next_port() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(config(16_400, 16_599));
    let ports = media.relay(&a, &b);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    a.rtcp.send_to(&report, (LOCAL, ports[0] + 1)).expect("loopback takes every datagram");
    // The datagram is in its socket when the call returns, so the poll that finds the packet finds it, too.
    a.send(ports[0], &packet(0, 1, &[1]));
    b.receive();
    let figures = media.close(A);
    assert_eq!((figures.rtcp_in, figures.rtcp.reports_in), (1, 1));
    // B was sent a packet, so the end of its leg is told: SR, SDES, BYE.
    media.close(B);
    let mut farewell = [0; 1500];
    let (length, source) = b.rtcp.recv_from(&mut farewell).expect("it arrives before the deadline");
    let farewell = Compound::parse(&farewell[..length]).expect("what leaves is RTCP");
    let packets: Vec<_> = farewell.packets().collect();
    assert_eq!(source.port(), ports[1] + 1);
    assert!(matches!(packets[..], [Packet::SenderReport(_), .., Packet::Goodbye(_)]), "{packets:?}");
}

#[test]
fn an_oversized_datagram_is_counted_and_not_relayed() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(config(16_600, 16_799));
    let ports = media.relay(&a, &b);
    a.send(ports[0], &packet(0, 1, &[0; 3000]));
    a.send(ports[0], &packet(0, 2, &[7]));
    assert_eq!(b.receive().1.len(), 13);
    let figures = media.close(A);
    assert_eq!((figures.packets_in, figures.dropped.oversized), (1, 1));
}

/// A peer's socket on an even port whose next three ports are free, so that a range can be built on it.
fn even_peer() -> (Peer, u16) {
    loop {
        let socket = Peer::new("127.0.0.1:0");
        let port = socket.address().port();
        if port.is_multiple_of(2) && port < 65_000 {
            return (socket, port);
        }
    }
}

#[test]
fn a_taken_port_is_skipped_and_a_full_range_refused() {
    let (_taken, port) = even_peer();
    let mut media = Media::start(config(port, port + 3));
    let opened = Report::Opened { legs: smallvec![(A, port + 2)] };
    assert_eq!(media.open(&[A], LOCAL), opened);
    let refused = Report::Refused { legs: smallvec![B], reason: RefusalReason::NoFreePort };
    assert_eq!(media.open(&[B], LOCAL), refused);
    media.close(A);
    assert_eq!(media.open(&[B], LOCAL), Report::Opened { legs: smallvec![(B, port + 2)] });
}

#[test]
fn a_pair_whose_rtcp_port_is_taken_is_skipped() {
    let (taken, port) = even_peer();
    drop(taken);
    let _rtcp = Peer::new(&format!("127.0.0.1:{}", port + 1));
    let mut media = Media::start(config(port, port + 3));
    assert_eq!(media.open(&[A], LOCAL), Report::Opened { legs: smallvec![(A, port + 2)] });
}

#[test]
fn all_legs_of_a_command_are_opened_or_none() {
    let (_taken, port) = even_peer();
    let mut media = Media::start(config(port, port + 3));
    let refused = Report::Refused { legs: smallvec![A, B], reason: RefusalReason::NoFreePort };
    assert_eq!(media.open(&[A, B], LOCAL), refused);
    assert_eq!(media.open(&[B], LOCAL), Report::Opened { legs: smallvec![(B, port + 2)] });
}

#[test]
fn an_address_that_is_not_ours_is_refused_as_such() {
    let mut media = Media::start(config(16_800, 16_899));
    let refused = Report::Refused { legs: smallvec![A], reason: RefusalReason::AddressNotLocal };
    assert_eq!(media.open(&[A], "192.0.2.1".parse().unwrap()), refused);
}

#[test]
fn a_port_just_closed_is_not_given_out_at_once() {
    let mut media = Media::start(config(16_900, 16_999));
    let Report::Opened { legs: first } = media.open(&[A], LOCAL) else { panic!("not opened") };
    media.close(A);
    let Report::Opened { legs: second } = media.open(&[B], LOCAL) else { panic!("not opened") };
    assert!(second[0].1 > first[0].1);
}

#[test]
fn a_leg_is_opened_at_once_where_others_were_before() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(config(12_000, 12_199));
    media.open(&[LegId(8), LegId(9)], LOCAL);
    // The thread leases pairs before it obeys what comes on a later wake.
    media.close(LegId(8));
    media.close(LegId(9));
    let ports = media.relay(&a, &b);
    assert!(media.answers.is_empty());
    a.send(ports[0], &packet(0, 1, &[7]));
    let (source, bytes) = b.receive();
    assert_eq!((source, payload_type(&bytes)), (ports[1], 8));
    let command = Command::Open { legs: smallvec![(LegId(4), LOCAL), (LegId(5), LOCAL)] };
    let answer = media.handle.send(command).expect("the ring is empty");
    assert!(matches!(answer, Some(Report::Opened { .. })), "{answer:?}");
    assert!(media.close(LegId(4)).packets_in == 0);
}

#[test]
fn a_pair_that_packets_reach_after_its_leg_is_closed() {
    let peer = Peer::new("127.0.0.1:0");
    let mut media = Media::start(config(12_200, 12_299));
    let Report::Opened { legs } = media.open(&[A], LOCAL) else { panic!("not opened") };
    media.close(A);
    let port = legs[0].1;
    #[expect(clippy::disallowed_methods, reason = "only to see that the port is taken")]
    let bind = || std::net::UdpSocket::bind((LOCAL, port));
    assert!(bind().is_err(), "the pair rests");
    peer.send(port, &packet(0, 1, &[1]));
    // The wake that saw the packet is over once a command of a later wake is answered.
    for leg in [LegId(3), LegId(4)] {
        media.open(&[leg], LOCAL);
        media.close(leg);
    }
    assert!(bind().is_ok(), "the pair is closed");
}

#[test]
fn commands_and_the_end_do_not_wait_for_packets_to_gather() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(MediaConfig { gathering: 10 * DEADLINE, ..config(17_100, 17_199) });
    let ports = media.relay(&a, &b);
    for sequence in 0..50 {
        // Two packets of a few milliseconds are fast enough for a pause that long.
        a.send(ports[0], &packet(0, sequence, &[1]));
        media.open(&[LegId(3)], LOCAL);
        media.closed(LegId(3));
    }
    media.handle.stop();
}

#[test]
fn unread_reports_hold_commands_back_and_nothing_is_lost() {
    let mut media = Media::start(config(17_000, 17_003));
    // Refused, for it names a leg twice: one report for each command, and no socket.
    let command = Command::Open { legs: smallvec![(A, LOCAL), (A, LOCAL)] };
    let mut accepted = 0;
    let returned = loop {
        match media.handle.send(command.clone()) {
            Ok(answer) => {
                assert_eq!(answer, None);
                accepted += 1;
            }
            Err(full) => break full.0,
        }
        media.handle.wake();
        assert!(accepted < 20_000, "the rings have no bound");
    };
    assert_eq!(*returned, command);
    assert_eq!(media.handle.overflows().commands_refused, 1);
    for _ in 0..accepted {
        assert!(matches!(media.report(), Report::Refused { .. }));
    }
}

#[test]
fn legs_that_open_after_the_ports_were_changed_have_new_ones_and_those_that_are_open_keep_theirs() {
    let (a, b) = (Peer::new("127.0.0.1:0"), Peer::new("127.0.0.1:0"));
    let mut media = Media::start(config(19_600, 19_799));
    let ports = media.relay(&a, &b);
    let later = 19_700..=19_999;
    media.handle.tune(&later, Duration::from_secs(30)).expect("there is room");
    // What was leased before goes back unused, and what lies in both ranges is not taken twice.
    let mut seen = ports.to_vec();
    for leg in 100..140 {
        let Report::Opened { legs } = media.open(&[LegId(leg)], LOCAL) else { panic!("not opened") };
        let port = legs[0].1;
        assert!(later.contains(&port) && !seen.contains(&port), "{port} of {seen:?}");
        seen.push(port);
    }
    a.send(ports[0], &packet(0, 1, &[7]));
    assert_eq!(b.receive().0, ports[1], "the call goes on");
    assert_eq!(media.close(A).packets_in, 1);
}
