//! The bounds of connections: slow peers, greedy sources, an owner that is behind.
#![cfg(feature = "io")]

mod io_kit;

use io_kit::*;
use sip_stack::io::{Command, Ended, Reach, Report};
use sip_stack::transport::Transport;
use sip_stack::transport::stream::{CloseReason, Deadline};
use std::io::Write;
use std::time::Duration;

#[test]
fn a_message_that_trickles_is_cut_off() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    phone.write_all(&message(1, 0)).unwrap();
    let (flow, _) = owner.opened();
    owner.received();
    // The second message is whole, the third is begun with it: once the one is here, so is the beginning of the other.
    phone.write_all(&[&message(2, 0), &message(3, 0)[..20]].concat()).unwrap();
    owner.received();
    owner.pass(Duration::from_secs(11));
    assert_eq!(owner.closed(), (flow, Ended::Protocol(CloseReason::TimedOut(Deadline::Message))));
    assert!(is_ended(&mut phone));
}

#[test]
fn a_connection_that_says_nothing_is_cut_off() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    let (flow, _) = owner.opened();
    owner.pass(Duration::from_secs(11));
    assert_eq!(owner.closed(), (flow, Ended::Protocol(CloseReason::TimedOut(Deadline::FirstMessage))));
    assert!(is_ended(&mut phone));
}

#[test]
fn a_peer_that_reads_nothing_is_cut_off_and_what_waits_for_it_is_unsent() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    phone.write_all(&message(1, 0)).unwrap();
    let (flow, _) = owner.opened();
    owner.received();
    // More than the buffers of two sockets and ours hold: at some point there is no room.
    let sent = 2_000;
    for number in 0..sent {
        owner.send(flow, message(1, 60_000), number, Reach::Flow);
    }
    let first = owner.unsent();
    assert!(first > 2, "the first ones found room: {first}");
    owner.pass(Duration::from_secs(11));
    let mut unsent = 1;
    let reason = loop {
        match owner.next() {
            Report::Unsent { .. } => unsent += 1,
            Report::Closed { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason, Ended::Protocol(CloseReason::TimedOut(Deadline::Write)));
    assert!(unsent < sent);
    // Those that were accepted and not written are told as well.
    owner.unsent();
}

#[test]
fn a_source_has_its_share_of_connections_and_gets_it_back() {
    let mut config = listening(Transport::Tcp);
    config.bounds.per_source = 2;
    let mut owner = Owner::start(config);
    let first = connect(owner.address());
    let _second = connect(owner.address());
    let (flow, _) = owner.opened();
    owner.opened();
    assert!(is_ended(&mut connect(owner.address())));
    assert_eq!(owner.streams.counters().refused, 1);
    assert_eq!(flow.peer, first.local_addr().unwrap());
    drop(first);
    assert_eq!(owner.closed().0, flow);
    let fourth = connect(owner.address());
    assert_eq!(owner.opened().0.peer, fourth.local_addr().unwrap());
}

#[test]
fn all_connections_together_are_bounded_also_those_we_open() {
    let mut config = listening(Transport::Tcp);
    config.bounds.connections = 1;
    let mut owner = Owner::start(config);
    let _phone = connect(owner.address());
    owner.opened();
    assert!(is_ended(&mut connect(owner.address())));
    let peer = listen();
    owner.send(towards(Transport::Tcp, peer.local_addr().unwrap()), message(1, 0), 8, anyhow());
    assert_eq!(owner.unsent(), 8);
    assert_eq!(owner.closed().1, Ended::TooMany);
}

#[test]
fn an_owner_that_is_behind_slows_its_peers_down_and_loses_nothing() {
    let mut config = listening(Transport::Tcp);
    config.bounds.reports = 2;
    let mut owner = Owner::start(config);
    let mut phone = connect(owner.address());
    let sent = 20_000;
    let writer = std::thread::Builder::new().spawn(move || {
        for number in 0..sent {
            phone.write_all(&message(number, 500)).unwrap();
        }
        phone
    });
    let writer = writer.unwrap();
    let (flow, _) = owner.opened();
    while owner.streams.counters().reports_blocked == 0 {
        std::thread::yield_now();
    }
    for number in 0..sent {
        assert_eq!(owner.received(), (flow, message(number, 500)));
    }
    drop(writer.join().unwrap());
    owner.closed();
}

#[test]
fn a_full_command_ring_gives_the_command_back() {
    let mut config = listening(Transport::Tcp);
    config.bounds.commands = 1;
    let mut owner = Owner::start(config);
    let flow = towards(Transport::Tcp, owner.address());
    while owner.streams.send(Command::Close(flow)).is_ok() {}
    assert_eq!(owner.streams.counters().commands_refused, 1);
}
