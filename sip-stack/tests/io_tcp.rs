//! Messages over TCP: framing, reuse of connections, connecting on demand, closing (RFC 3261 §18, RFC 5923 §8).
#![cfg(feature = "io")]

mod io_kit;

use io_kit::*;
use sip_stack::io::{Command, Ended, Reach, StartError, start};
use sip_stack::transport::Transport;
use sip_stack::transport::stream::{CloseReason, Deadline, Defect};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

#[test]
fn a_message_is_answered_on_its_connection() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    phone.write_all(&message(1, 10)).unwrap();
    let (flow, _) = owner.opened();
    assert_eq!((flow.local, flow.peer), (owner.address(), phone.local_addr().unwrap()));
    assert_eq!(owner.received(), (flow, message(1, 10)));
    owner.reply(flow, message(2, 5));
    assert_eq!(read(&mut phone, message(2, 5).len()), message(2, 5));
}

#[test]
fn messages_in_one_segment_and_messages_in_pieces_arrive_whole_and_in_order() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    phone.set_nodelay(true).unwrap();
    let together = [message(1, 0), message(2, 300)].concat();
    phone.write_all(&together).unwrap();
    let (flow, _) = owner.opened();
    assert_eq!(owner.received(), (flow, message(1, 0)));
    assert_eq!(owner.received(), (flow, message(2, 300)));
    for piece in message(3, 60_000).chunks(7_001) {
        phone.write_all(piece).unwrap();
    }
    assert_eq!(owner.received(), (flow, message(3, 60_000)));
}

#[test]
fn a_connection_is_opened_on_demand_and_reused() {
    let peer = listen();
    let mut owner = Owner::start(no_listener());
    let flow = towards(Transport::Tcp, peer.local_addr().unwrap());
    owner.send(flow, message(1, 0), 1, anyhow());
    owner.send(flow, message(2, 0), 2, anyhow());
    let mut connection = accept(&peer);
    let both = [message(1, 0), message(2, 0)].concat();
    assert_eq!(read(&mut connection, both.len()), both);
    let (opened, _) = owner.opened();
    assert_eq!(
        opened.local,
        connection.peer_addr().unwrap(),
        "the flow tells the port that the system chose"
    );
    connection.write_all(&message(3, 0)).unwrap();
    assert_eq!(owner.received(), (opened, message(3, 0)));
    owner.send(flow, message(4, 0), 4, anyhow());
    assert_eq!(read(&mut connection, message(4, 0).len()), message(4, 0));
    assert_eq!(owner.streams.counters().opened, 1);
}

#[test]
fn a_request_to_the_source_of_an_accepted_connection_takes_it() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    let (flow, _) = owner.opened();
    owner.send(towards(Transport::Tcp, flow.peer), message(1, 0), 1, anyhow());
    assert_eq!(read(&mut phone, message(1, 0).len()), message(1, 0));
}

#[test]
fn a_refused_connection_leaves_its_messages_unsent() {
    let gone = listen().local_addr().unwrap();
    let mut owner = Owner::start(no_listener());
    owner.send(towards(Transport::Tcp, gone), message(1, 0), 11, anyhow());
    assert_eq!(owner.unsent(), 11);
    let (flow, reason) = owner.closed();
    assert_eq!((flow.peer, reason), (gone, Ended::Unreachable(ErrorKind::ConnectionRefused)));
}

#[test]
fn connecting_has_a_time_limit() {
    // A backlog that is full does not answer.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _first = connect(address);
    let mut owner = Owner::start(no_listener());
    owner.send(towards(Transport::Tcp, address), message(1, 0), 5, anyhow());
    owner.pass(Duration::from_secs(5));
    assert_eq!(owner.unsent(), 5);
    assert_eq!(owner.closed().1, Ended::ConnectTimeout);
}

#[test]
fn a_response_whose_connection_is_gone_is_unsent_and_opens_none() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let phone = connect(owner.address());
    let (flow, _) = owner.opened();
    drop(phone);
    assert_eq!(owner.closed(), (flow, Ended::Protocol(CloseReason::PeerClosed)));
    owner.send(flow, message(1, 0), 3, Reach::Flow);
    assert_eq!(owner.unsent(), 3);
    assert_eq!(owner.streams.counters().opened, 0);
}

#[test]
fn closing_writes_what_waits_first() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    let (flow, _) = owner.opened();
    owner.reply(flow, message(1, 50_000));
    owner.command(Command::Close(flow));
    let mut bytes = Vec::new();
    phone.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, message(1, 50_000));
    assert_eq!(owner.closed(), (flow, Ended::Protocol(CloseReason::Requested)));
}

#[test]
fn a_message_without_end_is_answered_with_400() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    let text = String::from_utf8(message(1, 0).to_vec()).unwrap();
    phone.write_all(text.replace("Content-Length: 0\r\n", "").as_bytes()).unwrap();
    let (flow, _) = owner.opened();
    let status = b"SIP/2.0 400 ";
    assert_eq!(read(&mut phone, status.len()), status);
    phone.shutdown(std::net::Shutdown::Write).unwrap();
    let reason = CloseReason::Defective(Defect::NoContentLength);
    assert_eq!(owner.closed(), (flow, Ended::Protocol(reason)));
}

#[test]
fn keep_alives_go_both_ways() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let mut phone = connect(owner.address());
    let (flow, _) = owner.opened();
    phone.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read(&mut phone, 2), b"\r\n");
    phone.write_all(&message(1, 0)).unwrap();
    owner.received();
    owner.command(Command::KeepAlive(flow, Some(Duration::from_secs(120))));
    owner.pass(Duration::from_secs(121));
    assert_eq!(read(&mut phone, 4), b"\r\n\r\n");
    owner.pass(Duration::from_secs(11));
    assert_eq!(owner.closed(), (flow, Ended::Protocol(CloseReason::TimedOut(Deadline::Pong))));
    assert!(is_ended(&mut phone));
}

#[test]
fn both_wildcards_can_be_listened_on_with_one_port() {
    let mut config = listening(Transport::Tcp);
    config.listeners[0].address = SocketAddr::new(IpAddr::from([0; 4]), 0);
    let v4 = Owner::start(config.clone());
    config.listeners[0].address = SocketAddr::new(IpAddr::from([0_u16; 8]), v4.address().port());
    let mut v6 = Owner::start(config);
    let phone = connect(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.address().port())));
    let (flow, _) = v6.opened();
    assert_eq!((flow.local, flow.peer), (phone.peer_addr().unwrap(), phone.local_addr().unwrap()));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let owner = Owner::start(listening(Transport::Tcp));
    let mut config = listening(Transport::Tcp);
    config.listeners[0].address = owner.address();
    match start(config, [0; 32], sip_stack::Time::default, || ()) {
        Err(StartError::Listen(error)) => {
            assert_eq!(error.listening.address, owner.address());
            assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two listeners on one port"),
    }
}
