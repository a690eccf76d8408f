//! How a connection lives and ends: time limits, keep-alives, what waits to be written.

use bytes::Bytes;
use core::time::Duration;
use sip_stack::Time;
use sip_stack::transport::stream::{CloseReason, Connection, Deadline, Limits, Output, SendError, Side};

const MESSAGE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP b\r\nl: 0\r\n\r\n";

fn limits() -> Limits {
    Limits {
        first_message: Duration::from_secs(5),
        message_gap: Duration::from_secs(10),
        idle: Duration::from_secs(100),
        unsent: 100,
        ..Limits::default()
    }
}

fn accepted() -> Connection {
    Connection::sip(Time(0), Side::Accepted, limits())
}

fn opened() -> Connection {
    Connection::sip(Time(0), Side::Opened { host: "example.com".into() }, limits())
}

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn drain(connection: &mut Connection) -> Vec<Output> {
    core::iter::from_fn(|| connection.poll_output()).collect()
}

/// What comes out when nothing happens but time.
fn wait(connection: &mut Connection, until: Time) -> Vec<(Time, Output)> {
    let mut outputs = Vec::new();
    while let Some(now) = connection.poll_timeout().filter(|&now| now <= until) {
        connection.handle_timeout(now);
        outputs.extend(drain(connection).into_iter().map(|output| (now, output)));
    }
    outputs
}

fn timed_out(deadline: Deadline) -> Output {
    Output::Close(CloseReason::TimedOut(deadline))
}

fn write(bytes: &[u8]) -> Output {
    Output::Write(Bytes::copy_from_slice(bytes))
}

#[test]
fn a_peer_that_connects_and_says_nothing_is_closed() {
    let mut connection = accepted();
    assert_eq!(wait(&mut connection, at(1000)), [(at(5), timed_out(Deadline::FirstMessage))]);
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn keep_alives_are_no_first_message() {
    let mut connection = accepted();
    connection.handle_bytes(at(4), b"\r\n\r\n");
    assert_eq!(drain(&mut connection), [write(b"\r\n")]);
    assert_eq!(wait(&mut connection, at(1000)), [(at(5), timed_out(Deadline::FirstMessage))]);
}

#[test]
fn a_connection_of_ours_owes_no_first_message() {
    assert_eq!(wait(&mut opened(), at(1000)), [(at(100), timed_out(Deadline::Idle))]);
}

#[test]
fn bytes_in_either_direction_put_off_the_idle_time() {
    let mut connection = accepted();
    connection.handle_bytes(at(1), MESSAGE);
    connection.send(at(50), Bytes::from_static(MESSAGE)).unwrap();
    drain(&mut connection);
    assert_eq!(connection.poll_timeout(), Some(at(150)));
    connection.handle_bytes(at(149), b"\r\n");
    assert_eq!(wait(&mut connection, at(1000)), [(at(249), timed_out(Deadline::Idle))]);
}

#[test]
fn a_message_leaves_as_it_is() {
    let mut connection = accepted();
    let message = Bytes::from_static(MESSAGE);
    connection.send(at(0), message.clone()).unwrap();
    let Some(Output::Write(written)) = connection.poll_output() else { panic!("nothing to write") };
    assert_eq!(written.as_ptr(), message.as_ptr(), "not copied");
}

#[test]
fn what_waits_is_bounded_while_the_peer_takes_nothing() {
    let mut connection = accepted();
    connection.set_writable(at(0), false);
    let message = Bytes::from_static(&[b'a'; 60]);
    assert_eq!(connection.send(at(0), message.clone()), Ok(()));
    assert_eq!(connection.send(at(0), message.clone()), Err(SendError::Full));
    connection.handle_bytes(at(0), MESSAGE);
    assert_eq!(drain(&mut connection), [Output::Message(Bytes::from_static(MESSAGE))], "reading goes on");
    connection.set_writable(at(1), true);
    assert_eq!(drain(&mut connection), [Output::Write(message.clone())]);
    assert_eq!(connection.send(at(1), message), Ok(()));
}

#[test]
fn a_peer_that_takes_nothing_is_closed_and_what_waits_is_dropped() {
    let mut connection = opened();
    connection.send(at(0), Bytes::from_static(MESSAGE)).unwrap();
    connection.set_writable(at(1), false);
    connection.set_writable(at(3), false);
    assert_eq!(wait(&mut connection, at(50)), [(at(11), timed_out(Deadline::Write))]);
}

#[test]
fn closing_writes_what_waits() {
    let mut connection = opened();
    connection.send(at(0), Bytes::from_static(MESSAGE)).unwrap();
    connection.close(at(0));
    assert_eq!(connection.send(at(0), Bytes::from_static(MESSAGE)), Err(SendError::Closed));
    assert_eq!(drain(&mut connection), [write(MESSAGE), Output::Close(CloseReason::Requested)]);
    connection.handle_bytes(at(0), MESSAGE);
    connection.handle_end(at(0));
    connection.close(at(0));
    connection.set_writable(at(0), false);
    assert_eq!((drain(&mut connection), connection.poll_timeout()), (vec![], None), "nothing after the end");
}

#[test]
fn closing_does_not_wait_for_ever_for_a_peer_that_takes_nothing() {
    let mut connection = opened();
    connection.set_writable(at(0), false);
    connection.send(at(0), Bytes::from_static(MESSAGE)).unwrap();
    connection.close(at(5));
    assert_eq!(drain(&mut connection), []);
    assert_eq!(wait(&mut connection, at(50)), [(at(10), timed_out(Deadline::Write))]);
}

#[test]
fn the_peers_end_is_told_from_a_message_cut_short() {
    let mut connection = accepted();
    connection.handle_end(at(0));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::PeerClosed)]);
    let mut connection = accepted();
    connection.handle_bytes(at(0), &MESSAGE[..10]);
    connection.handle_end(at(0));
    assert_eq!(drain(&mut connection), [Output::Close(CloseReason::Truncated)]);
}

#[test]
fn a_keep_alive_is_sent_at_each_interval_and_its_answer_told() {
    let mut connection = opened();
    connection.set_keep_alive(at(0), Some(Duration::from_secs(30)));
    assert_eq!(wait(&mut connection, at(35)), [(at(30), write(b"\r\n\r\n"))]);
    connection.handle_bytes(at(35), b"\r\n");
    assert_eq!(drain(&mut connection), [Output::Pong]);
    connection.set_keep_alive(at(35), Some(Duration::from_secs(27)));
    assert_eq!(wait(&mut connection, at(65)), [(at(62), write(b"\r\n\r\n"))]);
}

#[test]
fn an_unanswered_keep_alive_ends_the_flow_after_ten_seconds() {
    let mut connection = opened();
    connection.set_keep_alive(at(0), Some(Duration::from_secs(30)));
    let outputs = wait(&mut connection, at(1000));
    assert_eq!(outputs, [(at(30), write(b"\r\n\r\n")), (at(40), timed_out(Deadline::Pong))]);
}

#[test]
fn a_message_being_received_may_end_before_the_missing_answer_counts() {
    let mut connection = opened();
    connection.set_keep_alive(at(0), Some(Duration::from_secs(30)));
    wait(&mut connection, at(38));
    connection.handle_bytes(at(38), &MESSAGE[..20]);
    assert_eq!(wait(&mut connection, at(45)), []);
    connection.handle_bytes(at(45), &[&MESSAGE[20..], b"\r\n"].concat());
    assert_eq!(drain(&mut connection), [Output::Message(Bytes::from_static(MESSAGE)), Output::Pong]);
}

#[test]
fn two_answers_are_not_a_keep_alive_of_the_peer() {
    let mut connection = opened();
    connection.set_keep_alive(at(0), Some(Duration::from_secs(30)));
    for ping in [30, 60, 90] {
        assert_eq!(wait(&mut connection, at(ping)), [(at(ping), write(b"\r\n\r\n"))]);
        connection.handle_bytes(at(ping), b"\r\n");
        assert_eq!(drain(&mut connection), [Output::Pong]);
    }
}

#[test]
fn the_first_limit_that_is_reached_is_the_reason_even_where_no_time_is_left() {
    let limits = Limits { message_gap: Duration::ZERO, ..limits() };
    let mut connection = Connection::sip(Time(0), Side::Accepted, limits);
    connection.set_writable(at(5), false);
    connection.handle_timeout(at(5));
    assert_eq!(drain(&mut connection), [timed_out(Deadline::FirstMessage)]);
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn without_an_interval_no_keep_alive_is_sent() {
    let mut connection = opened();
    connection.set_keep_alive(at(0), Some(Duration::from_secs(30)));
    connection.set_keep_alive(at(1), None);
    assert_eq!(wait(&mut connection, at(99)), []);
}
