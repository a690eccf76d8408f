//! Two bare endpoints over a bad network: any sequence of operations, and who acknowledges a 2xx.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use proptest::prelude::*;
use sip_stack::endpoint::{Event, Heading, Input, Output};
use sip_stack::message::{Method, Status};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Message, Time};
use softphone::scenario::network::Datagram;
use std::time::Duration;
use tests::model::town::Town;
use tests::model::user::{Deed, User};
use tests::sim::Faults;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_sequence_of_operations_leaves_anything_behind(
        operations in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        tests::fuzz::endpoint(&operations);
    }

    #[test]
    fn no_endpoint_acknowledges_a_2xx_by_itself(
        statuses in proptest::collection::vec(100_u16..700, 1..12),
        waits_ms in proptest::collection::vec(0_u64..5_000, 12),
    ) {
        let acknowledged = acknowledgements(&statuses, &waits_ms);
        let first_final = statuses.iter().find(|status| **status >= 200);
        let failed = first_final.is_some_and(|status| *status >= 300);
        prop_assert_eq!(!acknowledged.is_empty(), failed, "{:?}", statuses);
    }
}

/// A call over a good network between two users, the first of whom forgets a dialog with its BYE.
fn call() -> Town {
    let mut town = Town::new(1, 2, Faults::NONE);
    for place in 0..2_u8 {
        let address = town.users[usize::from(place)].address();
        town.users[usize::from(place)] = User::new([place; 32], address, false, false);
    }
    let callee = town.users[1].address();
    town.act(0, Deed::Call(callee));
    town.run_for(Duration::from_secs(1));
    town
}

/// How many datagrams that begin so have arrived.
fn arrived(town: &Town, start: &str) -> usize {
    town.story.iter().filter(|line| line.contains(" -> ") && line.contains(&format!(": {start}"))).count()
}

#[test]
fn a_2xx_that_comes_again_after_the_bye_gets_the_same_ack_and_no_second_bye() {
    let mut town = call();
    let callee = town.users[1].address();
    town.network.lose(b"ACK", callee, 2);
    town.network.lose(b"BYE", callee, 3);
    town.act(1, Deed::Answer);
    town.run_for(Duration::from_millis(100));
    town.act(0, Deed::HangUp);
    town.run_for(Duration::from_secs(10));
    town.finish();
    assert_eq!(town.model.report(), "", "{}", town.story());
    assert_eq!((arrived(&town, "ACK"), arrived(&town, "BYE")), (1, 1), "{}", town.story());
}

#[test]
fn a_2xx_that_comes_again_after_that_of_the_next_re_invite_gets_its_own_ack() {
    let mut town = call();
    let callee = town.users[1].address();
    town.act(1, Deed::Answer);
    town.run_for(Duration::from_secs(1));
    for _ in 0..2 {
        town.act(0, Deed::Change);
        town.run_for(Duration::from_millis(100));
    }
    let is_first = |sent: &&Datagram| {
        let text = String::from_utf8_lossy(&sent.bytes);
        text.starts_with("SIP/2.0 200") && text.contains("CSeq: 2 INVITE")
    };
    let copy = town.left.iter().find(is_first).unwrap().clone();
    town.network.send(town.now, &copy);
    town.run_for(Duration::from_secs(5));
    assert_eq!(town.model.dialogs(callee), 1, "{}", town.story());
    town.finish();
    assert_eq!(town.model.report(), "", "{}", town.story());
    assert_eq!(arrived(&town, "ACK"), 4, "{}", town.story());
}

#[test]
fn who_hangs_up_during_a_re_invite_acknowledges_its_2xx_and_says_goodbye_once() {
    let mut town = call();
    town.act(1, Deed::Answer);
    town.run_for(Duration::from_secs(1));
    town.act(0, Deed::Change);
    town.act(0, Deed::HangUp);
    town.run_for(Duration::from_secs(10));
    town.finish();
    assert_eq!(town.model.report(), "", "{}", town.story());
    assert_eq!((arrived(&town, "ACK"), arrived(&town, "BYE")), (2, 1), "{}", town.story());
}

#[test]
fn an_early_dialog_that_was_left_goes_on_counting_when_its_2xx_comes_after_all() {
    let mut town = Town::new(1, 3, Faults::NONE);
    for place in 1..3_u8 {
        let address = town.users[usize::from(place)].address();
        town.users[usize::from(place)] = User::new([place; 32], address, true, false);
    }
    let fork = town.fork(&[1, 2]);
    town.act(0, Deed::Call(fork));
    town.run_for(Duration::from_secs(1));
    town.act(1, Deed::Answer);
    town.act(2, Deed::Answer);
    town.finish();
    assert_eq!(town.model.report(), "", "{}", town.story());
    // The PRACK had the number 2.
    assert_eq!(arrived(&town, "BYE sip:user@10.0.8.3:5060 SIP/2.0 [CSeq: 3"), 1, "{}", town.story());
}

/// The ACKs that leave an endpoint whose user never acknowledges, when its INVITE is answered like that.
fn acknowledgements(statuses: &[u16], waits_ms: &[u64]) -> Vec<Bytes> {
    let mut endpoint = Endpoint::new([1; 32]);
    let mut now = Time::from_millis(1);
    let invite = invite(&mut endpoint, now);
    let mut acks = Vec::new();
    for (status, wait_ms) in statuses.iter().zip(waits_ms) {
        let status = Status::new(*status).unwrap();
        let mut response = sip_stack::message::response(&invite, status, None, Some(b"them"), flow().peer);
        response.header(sip_stack::header::HeaderName::Contact, b"<sip:b@192.0.2.2>");
        endpoint.handle_input(now, Input::Received { flow: flow(), bytes: response.finish() });
        drain(&mut endpoint, &mut acks);
        now = now + Duration::from_millis(*wait_ms);
        endpoint.handle_timeout(now);
        drain(&mut endpoint, &mut acks);
    }
    acks
}

fn invite(endpoint: &mut Endpoint, now: Time) -> Message {
    let heading = Heading {
        method: Method::Invite,
        uri: b"sip:b@192.0.2.2",
        from: b"<sip:a@192.0.2.1>",
        to: b"<sip:b@192.0.2.2>",
        sent_by: b"192.0.2.1:5060",
        max_forwards: 70,
        sequence: None,
    };
    let draft = endpoint.draft(heading, flow());
    endpoint.request(now, draft, 1);
    match endpoint.poll_output().unwrap() {
        Output::Transmit(transmit) => Message::parse(transmit.bytes).unwrap(),
        Output::Event(event) => panic!("{event:?}"),
    }
}

fn drain(endpoint: &mut Endpoint, acks: &mut Vec<Bytes>) {
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit(transmit) if transmit.bytes.starts_with(b"ACK") => acks.push(transmit.bytes),
            Output::Transmit(_) => {}
            Output::Event(event) => {
                assert!(matches!(event, Event::Response { .. } | Event::TimedOut { .. }), "{event:?}")
            }
        }
    }
}

fn flow() -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: ([192, 0, 2, 1], 5060).into(),
        peer: ([192, 0, 2, 2], 5060).into(),
    }
}
