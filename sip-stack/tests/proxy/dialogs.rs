//! What is within a dialog passes by our Record-Route, without state (§16.11, §16.12, RFC 5658).

use super::stage::{CALLER, Stage, answer_to, invited, name, only, target, to};
use sip_stack::Message;
use sip_stack::header::HeaderName;

/// A call between the caller and the phone at 11, and the 2xx that the caller got.
fn established() -> (Stage, Message) {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let sent = stage.answer(only(&sent, 11, "INVITE"), 200, "bob", "Contact: <sip:phone@192.0.2.11>");
    let (_, answer) = only(&sent, CALLER, "200");
    (stage, answer.clone())
}

/// A request within the call: of the caller (whose route set is the Record-Route of the 2xx in reverse), or of the callee.
fn within(answer: &Message, of_caller: bool, method: &str, branch: &str, headers: &str) -> String {
    let mut routes: Vec<_> = answer
        .list(HeaderName::RecordRoute)
        .map(|route| String::from_utf8_lossy(route).into_owned())
        .collect();
    let (mut from, mut to) = ("<sip:bob@example.com>;tag=bob", "<sip:alice@example.com>;tag=alice");
    let (mut uri, mut host) = ("sip:alice@192.0.2.7", "192.0.2.11");
    if of_caller {
        routes.reverse();
        (from, to) = (to, from);
        (uri, host) = ("sip:phone@192.0.2.11", "192.0.2.7");
    }
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK{branch}\r\nRoute: {}\r\nMax-Forwards: 70\r\n{headers}\
         From: {from}\r\nTo: {to}\r\nCall-ID: call@192.0.2.7\r\nCSeq: 2 {method}\r\nContent-Length: 3\r\n\r\nabc",
        routes.join(", ")
    )
}

#[test]
fn the_ack_of_a_success_goes_by_the_route_and_has_no_answer() {
    let (mut stage, answer) = established();
    let sent = stage.receive(CALLER, within(&answer, true, "ACK", "a", ""));
    let [(11, ack)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((name(ack), ack.request_uri()), ("ACK".to_owned(), &b"sip:phone@192.0.2.11"[..]));
    assert_eq!((ack.list(HeaderName::Route).count(), ack.body()), (0, &b"abc"[..]));
    assert_eq!(ack.max_forwards(), Ok(Some(69)));
    let last = within(&answer, true, "ACK", "a", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert!(stage.receive(CALLER, last).is_empty());
    assert_eq!(stage.refused.len(), 1);
    stage.rest();
}

#[test]
fn requests_of_either_side_reach_the_other_and_their_answers_come_back() {
    let (mut stage, answer) = established();
    for (of_caller, from, other) in [(true, CALLER, 11), (false, 11, CALLER)] {
        let before = stage.endpoint.transactions();
        let sent = stage.receive(from, within(&answer, of_caller, "INFO", "i", ""));
        let (_, info) = only(&sent, other, "INFO");
        assert_eq!(info.list(HeaderName::Via).count(), 2);
        let back = stage.receive(other, answer_to(info, 200, "", ""));
        let [(peer, ok)] = &back[..] else { panic!("{back:?}") };
        assert_eq!((*peer, name(ok), ok.list(HeaderName::Via).count()), (from, "200".to_owned(), 1));
        assert_eq!(stage.endpoint.transactions(), before, "nothing is kept");
    }
    stage.rest();
}

#[test]
fn a_copy_a_cancel_and_an_ack_have_the_branch_of_their_request() {
    let (mut stage, answer) = established();
    let mut branch = |method: &str, branch: &str| {
        let sent = stage.receive(CALLER, within(&answer, true, method, branch, ""));
        sent[0].1.via().unwrap().branch.unwrap().to_vec()
    };
    let invite = branch("INVITE", "again");
    assert_eq!(invite, branch("INVITE", "again"));
    assert_eq!(invite, branch("CANCEL", "again"));
    assert_eq!(invite, branch("ACK", "again"));
    assert_ne!(invite, branch("INVITE", "other"));
}

#[test]
fn a_response_passes_only_back_to_whoever_asked() {
    let (mut stage, answer) = established();
    let sent = stage.receive(CALLER, within(&answer, true, "INFO", "i", ""));
    let (_, info) = only(&sent, 11, "INFO");
    let text = String::from_utf8(answer_to(info, 200, "", "").to_vec()).unwrap();
    // Our branch over somebody else's Via, and the other way round.
    for forged in [
        text.replace("branch=z9hG4bKi", "branch=z9hG4bKj"),
        text.replace("call@192.0.2.7", "other@192.0.2.7"),
    ] {
        assert!(stage.receive(11, forged).is_empty());
    }
    assert_eq!(to(&stage.receive(11, text), CALLER), ["200"]);
}

#[test]
fn a_route_of_another_call_leads_nowhere() {
    let (mut stage, answer) = established();
    let other = within(&answer, true, "BYE", "b", "").replace("Call-ID: call@", "Call-ID: other@");
    assert_eq!(to(&stage.receive(CALLER, other), CALLER), ["481"]);
}

#[test]
fn an_extension_that_proxies_must_know_is_refused_within_a_dialog_too() {
    let (mut stage, answer) = established();
    let sent = stage.receive(CALLER, within(&answer, true, "INFO", "i", "Proxy-Require: tea\r\n"));
    let (_, refusal) = only(&sent, CALLER, "420");
    assert_eq!(refusal.header(HeaderName::Unsupported), Some(&b"tea"[..]));
}

#[test]
fn a_strict_router_before_us_is_understood() {
    let (mut stage, answer) = established();
    let recorded: Vec<_> = answer
        .list(HeaderName::RecordRoute)
        .map(|route| String::from_utf8_lossy(route).into_owned())
        .collect();
    let text = within(&answer, true, "BYE", "s", "");
    let route = text.lines().find(|line| line.starts_with("Route")).unwrap().to_owned();
    let strict = text
        .replacen("sip:phone@192.0.2.11 ", &format!("{} ", recorded[1].trim_matches(['<', '>'])), 1)
        .replace(&route, &format!("Route: {}, <sip:phone@192.0.2.11>", recorded[0]));
    let sent = stage.receive(CALLER, strict);
    let (_, bye) = only(&sent, 11, "BYE");
    assert_eq!((bye.request_uri(), bye.list(HeaderName::Route).count()), (&b"sip:phone@192.0.2.11"[..], 0));
}

#[test]
fn a_callee_that_has_moved_to_another_port_of_its_host_is_found() {
    let (mut stage, answer) = established();
    let moved =
        within(&answer, true, "BYE", "m", "").replace("sip:phone@192.0.2.11 ", "sip:phone@192.0.2.11:5080 ");
    let flow = stage.receive(CALLER, moved);
    assert_eq!(to(&flow, 11), ["BYE"]);
}

fn credentials(name: &str, realm: &str) -> String {
    format!(
        "{name}: Digest username=\"a\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:b@h\", \
         response=\"00000000000000000000000000000000\"\r\n"
    )
}

#[test]
fn credentials_for_us_do_not_pass_in_any_request() {
    let (mut stage, answer) = established();
    let mut headers = String::new();
    for name in ["Proxy-Authorization", "Authorization"] {
        headers += &credentials(name, "example.com");
        headers += &credentials(name, "other");
    }
    for method in ["ACK", "BYE", "INVITE", "CANCEL"] {
        let sent = stage.receive(CALLER, within(&answer, true, method, method, &headers));
        let (_, passed) = only(&sent, 11, method);
        for name in [HeaderName::ProxyAuthorization, HeaderName::Authorization] {
            let left: Vec<_> = passed.headers(name).map(String::from_utf8_lossy).collect();
            assert!(left.len() == 1 && left[0].contains("\"other\""), "{method} {left:?}");
        }
    }
}

const IDENTITIES: &str = "P-Asserted-Identity: <sip:boss@h>\r\nP-Preferred-Identity: <sip:boss@h>\r\n\
                          Remote-Party-ID: <sip:boss@h>;party=calling\r\n";

#[test]
fn what_a_phone_says_of_who_it_is_passes_neither_in_requests_nor_in_responses() {
    let (mut stage, answer) = established();
    let sent = stage.receive(CALLER, within(&answer, true, "UPDATE", "u", IDENTITIES));
    let (_, update) = only(&sent, 11, "UPDATE");
    let back = stage.receive(11, answer_to(update, 200, "", IDENTITIES));
    let (mut ringing, sent) = invited(vec![target(11, 1000)]);
    let invite = only(&sent, 11, "INVITE").clone();
    let progress = ringing.answer(&invite, 183, "bob", IDENTITIES);
    let failure = ringing.answer(&invite, 486, "bob", IDENTITIES);
    for message in [
        update,
        &only(&back, CALLER, "200").1,
        &only(&progress, CALLER, "183").1,
        &only(&failure, CALLER, "486").1,
    ] {
        assert!(!String::from_utf8_lossy(message.bytes()).contains("boss"), "{message:?}");
    }
}

#[test]
fn nobody_reaches_itself_by_the_route_of_its_call() {
    let (mut stage, answer) = established();
    let text = within(&answer, true, "BYE", "b", "");
    let routes: Vec<_> = answer.list(HeaderName::RecordRoute).map(String::from_utf8_lossy).collect();
    let forged = text.replace(&format!("{}, {}", routes[1], routes[0]), &routes[1]);
    assert_ne!(forged, text);
    assert_eq!(to(&stage.receive(CALLER, forged), CALLER), ["481"]);
}
