//! Two bare endpoints over a bad network: any sequence of operations, and who acknowledges a 2xx.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use proptest::prelude::*;
use sip_stack::endpoint::{Event, Heading, Input, Output};
use sip_stack::message::{Method, Status};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Message, Time};
use std::time::Duration;

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
