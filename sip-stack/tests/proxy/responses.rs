//! What the caller hears (§16.7–§16.10).

use super::stage::{CALLER, Stage, invited, of_invite, only, request, target, to};
use sip_stack::endpoint::Input;
use sip_stack::header::HeaderName;
use sip_stack::message::Method;
use sip_stack::proxy::Event;
use std::time::Duration;

#[test]
fn a_provisional_response_passes_at_once_and_100_does_not() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let invite = only(&sent, 11, "INVITE").clone();
    assert!(stage.answer(&invite, 100, "", "").is_empty());
    let sent = stage.answer(&invite, 183, "b", "RSeq: 5\nRequire: 100rel");
    let (_, progress) = only(&sent, CALLER, "183");
    assert_eq!(progress.list(HeaderName::Via).count(), 1);
    assert_eq!(progress.to().unwrap().tag(), Some(&b"b"[..]));
    assert_eq!(progress.header(HeaderName::RSeq), Some(&b"5"[..]));
}

#[test]
fn a_proxy_that_hears_nothing_says_trying_after_200_ms() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    assert_eq!(to(&sent, CALLER), [""; 0]);
    assert_eq!(to(&stage.pass_time(Duration::from_millis(200)), CALLER), ["100"]);
}

#[test]
fn a_success_passes_with_its_tag_body_and_routes_and_is_told() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let sent = stage.answer(only(&sent, 11, "INVITE"), 200, "b", "Contact: <sip:phone@192.0.2.11>");
    let (_, answer) = only(&sent, CALLER, "200");
    assert_eq!(answer.to().unwrap().tag(), Some(&b"b"[..]));
    assert_eq!(answer.list(HeaderName::RecordRoute).count(), 2);
    assert!(matches!(&stage.told[..], [Event::Answered { owner: 5, .. }]));
    stage.rest();
}

#[test]
fn a_6xx_cancels_the_others_and_passes_when_they_have_ended() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000), target(13, 500)]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    stage.answer(first, 180, "x", "");
    let refused = stage.answer(second, 603, "y", "");
    assert_eq!((to(&refused, 11), to(&refused, CALLER)), (vec!["CANCEL".to_owned()], vec![]));
    assert!(only(&refused, 11, "CANCEL").1.reasons().any(|reason| reason.is_sip(603)));
    let ended = stage.answer(first, 487, "x", "");
    assert_eq!((to(&ended, CALLER), to(&ended, 13)), (vec!["603".to_owned()], vec![]));
    stage.rest();
}

#[test]
fn a_phone_that_did_not_win_hears_that_another_one_has() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000)]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    stage.answer(first, 180, "x", "");
    let sent = stage.answer(second, 200, "y", "Contact: <sip:phone@192.0.2.12>");
    assert!(only(&sent, 11, "CANCEL").1.reasons().any(|reason| reason.is_sip(200)));
    stage.answer(first, 487, "x", "");
    stage.rest();
}

#[test]
fn a_success_after_a_6xx_is_what_the_caller_hears() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000)]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    stage.answer(first, 180, "x", "");
    stage.answer(second, 603, "y", "");
    assert_eq!(to(&stage.answer(first, 200, "x", ""), CALLER), ["200"]);
    stage.rest();
}

#[test]
fn the_failure_of_a_branch_is_acknowledged_by_us_and_the_last_one_decides() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000)]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    let failed = stage.answer(first, 500, "x", "");
    assert_eq!((to(&failed, 11), to(&failed, CALLER)), (vec!["ACK".to_owned()], vec![]));
    let failed = stage.answer(second, 486, "y", "Retry-After: 30");
    let (_, answer) = only(&failed, CALLER, "486");
    assert_eq!(answer.header(HeaderName::RetryAfter), Some(&b"30"[..]));
    assert!(matches!(&stage.told[..], [Event::Failed { owner: 5, status }] if status.code() == 486));
    // The ACK of the caller ends with us.
    assert!(stage.receive(CALLER, of_invite(Method::Ack)).is_empty());
    stage.rest();
}

#[test]
fn challenges_of_several_branches_come_together() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000)]);
    let challenge = |realm: &str| format!("Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n\"");
    stage.answer(only(&sent, 11, "INVITE"), 407, "x", &challenge("a"));
    let sent = stage.answer(only(&sent, 12, "INVITE"), 407, "y", &challenge("b"));
    assert_eq!(only(&sent, CALLER, "407").1.headers(HeaderName::ProxyAuthenticate).count(), 2);
}

#[test]
fn a_cancel_is_answered_and_cancels_all_who_have_answered_something() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000)]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    stage.answer(first, 180, "x", "");
    let cancelled = stage.receive(CALLER, of_invite(Method::Cancel));
    assert_eq!(to(&cancelled, CALLER), ["200"]);
    let (_, cancel) = only(&cancelled, 11, "CANCEL");
    assert_eq!(cancel.reasons().count(), 0);
    assert_eq!(cancel.via().unwrap().branch, first.1.via().unwrap().branch);
    // §9.1: the other one is told as soon as it has said anything.
    assert_eq!(to(&cancelled, 12), [""; 0]);
    assert_eq!(to(&stage.answer(second, 100, "", ""), 12), ["CANCEL"]);
    assert_eq!(to(&stage.answer(first, 487, "x", ""), CALLER), [""; 0]);
    assert_eq!(to(&stage.answer(second, 487, "y", ""), CALLER), ["487"]);
    stage.rest();
}

#[test]
fn a_success_that_crosses_the_cancel_reaches_the_caller() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let invite = only(&sent, 11, "INVITE");
    stage.answer(invite, 180, "x", "");
    stage.receive(CALLER, of_invite(Method::Cancel));
    assert_eq!(to(&stage.answer(invite, 200, "x", ""), CALLER), ["200"]);
    stage.rest();
}

#[test]
fn a_cancel_for_nothing_is_answered_481() {
    let mut stage = Stage::new(Vec::new());
    assert_eq!(to(&stage.receive(CALLER, of_invite(Method::Cancel)), CALLER), ["481"]);
}

#[test]
fn timer_c_cancels_whoever_rings_for_more_than_three_minutes_and_begins_anew_with_each_ringing() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let invite = only(&sent, 11, "INVITE");
    stage.answer(invite, 180, "x", "");
    assert_eq!(to(&stage.pass_time(Duration::from_secs(180)), 11), [""; 0]);
    stage.answer(invite, 180, "x", "");
    assert_eq!(to(&stage.pass_time(Duration::from_secs(180)), 11), [""; 0]);
    assert_eq!(to(&stage.pass_time(Duration::from_secs(1)), 11), ["CANCEL"]);
    assert_eq!(to(&stage.answer(invite, 487, "x", ""), CALLER), ["487"]);
    stage.rest();
}

#[test]
fn a_100_does_not_begin_timer_c_anew() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let invite = only(&sent, 11, "INVITE");
    stage.pass_time(Duration::from_secs(1));
    stage.answer(invite, 100, "", "");
    assert_eq!(to(&stage.pass_time(Duration::from_secs(180)), 11), ["CANCEL"]);
}

#[test]
fn nobody_who_answers_is_408_for_an_invite_and_silence_for_anything_else() {
    let (mut stage, _) = invited(vec![target(11, 1000)]);
    assert_eq!(to(&stage.pass_time(Duration::from_secs(32)), CALLER), ["100", "408"]);
    stage.rest();
    let mut stage = Stage::new(vec![target(11, 1000)]);
    stage.receive(CALLER, request("MESSAGE", "1", ""));
    assert_eq!(to(&stage.pass_time(Duration::from_secs(60)), CALLER), [""; 0]);
    stage.rest();
}

#[test]
fn a_message_that_could_not_be_sent_is_500() {
    let (mut stage, _) = invited(Vec::new());
    stage.targets = vec![target(11, 1000)];
    let text = request("INVITE", "2", "").replace("CSeq: 1", "CSeq: 2");
    stage
        .endpoint
        .handle_input(stage.now, Input::Received { flow: super::stage::flow(CALLER), bytes: text.into() });
    let mut transaction = None;
    while let Some(output) = stage.endpoint.poll_output() {
        match output {
            sip_stack::endpoint::Output::Event(sip_stack::endpoint::Event::Request(request)) => {
                let forwarding = sip_stack::proxy::Forwarding {
                    owner: 6,
                    targets: stage.targets.clone(),
                    record_route: None,
                    stamp: None,
                    own_routes: 0,
                    each: stage.each,
                    all: stage.all,
                    realm: bytes::Bytes::new(),
                    is_trusted: false,
                };
                stage.proxy.forward(stage.now, &mut stage.endpoint, request, forwarding);
            }
            sip_stack::endpoint::Output::Transmit(transmit) => transaction = transmit.transaction,
            other => panic!("{other:?}"),
        }
    }
    let transaction = transaction.unwrap();
    stage.endpoint.handle_input(stage.now, Input::Unsent { transaction });
    assert_eq!(to(&stage.drain(), CALLER), ["500"]);
    stage.rest();
}

#[test]
fn of_a_request_that_is_no_invite_the_first_success_counts_alone() {
    let mut stage = Stage::new(vec![target(11, 1000), target(12, 1000)]);
    let sent = stage.receive(CALLER, request("MESSAGE", "1", ""));
    let (first, second) = (only(&sent, 11, "MESSAGE"), only(&sent, 12, "MESSAGE"));
    assert_eq!(to(&stage.answer(first, 200, "x", ""), CALLER), ["200"]);
    assert!(stage.answer(second, 200, "y", "").is_empty());
    stage.rest();
}
