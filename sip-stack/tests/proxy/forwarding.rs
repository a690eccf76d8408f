//! What is forwarded, and how (§16.3, §16.4, §16.6).

use super::stage::{CALLER, Stage, answer_to, hop, invited, only, request, target, to};
use bytes::Bytes;
use sip_stack::header::HeaderName;
use sip_stack::proxy::Target;

fn refused(headers: &str) -> (String, Option<Vec<u8>>) {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let sent = stage.receive(CALLER, request("INVITE", "1", headers));
    let [(CALLER, answer)] = &sent[..] else { panic!("{sent:?}") };
    (to(&sent, CALLER)[0].clone(), answer.header(HeaderName::Unsupported).map(<[u8]>::to_vec))
}

#[test]
fn a_request_at_its_last_hop_is_answered_483() {
    assert_eq!(refused("Max-Forwards: 0\r\n").0, "483");
}

#[test]
fn an_extension_that_proxies_must_know_is_answered_420_with_its_name() {
    assert_eq!(refused("Proxy-Require: tea, cake\r\n"), ("420".to_owned(), Some(b"tea, cake".to_vec())));
}

#[test]
fn a_request_that_may_have_no_branch_is_answered_440() {
    assert_eq!(refused("Max-Breadth: 0\r\n").0, "440");
}

#[test]
fn a_uri_of_another_scheme_is_answered_416() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let text = request("INVITE", "1", "").replacen("sip:bob@example.com", "tel:+15550100", 1);
    assert_eq!(to(&stage.receive(CALLER, text), CALLER), ["416"]);
}

#[test]
fn a_request_that_comes_back_unchanged_is_a_loop() {
    let mut phone = hop(11);
    // The target leads back to us under the name it came with.
    phone.uri = Bytes::from_static(b"sip:bob@example.com");
    let mut stage = Stage::new(vec![Target { ways: [phone].into_iter().collect(), q: 1000 }]);
    let sent = stage.receive(CALLER, request("INVITE", "1", ""));
    let (_, forwarded) = only(&sent, 11, "INVITE");
    let sent = stage.receive(11, forwarded.bytes().clone());
    assert_eq!(to(&sent, 11), ["482"]);
    assert_eq!(to(&sent, CALLER), [""; 0]);
}

#[test]
fn a_request_that_comes_back_for_somebody_else_goes_on() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let sent = stage.receive(CALLER, request("INVITE", "1", ""));
    let (_, forwarded) = only(&sent, 11, "INVITE");
    let sent = stage.receive(11, forwarded.bytes().clone());
    assert_eq!(to(&sent, 11), ["INVITE"]);
    let (_, spiral) = only(&sent, 11, "INVITE");
    assert_eq!(spiral.list(HeaderName::Via).count(), 3);
    assert_eq!(spiral.list(HeaderName::RecordRoute).count(), 4);
}

#[test]
fn a_copy_that_comes_on_another_path_is_forwarded_too() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    stage.receive(CALLER, request("INVITE", "1", ""));
    assert_eq!(to(&stage.receive(8, request("INVITE", "2", "")), 11), ["INVITE"]);
}

#[test]
fn what_is_forwarded_has_our_via_on_top_one_hop_less_and_our_routes() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let routes = "Record-Route: <sip:before;lr>\r\nX-Odd:  kept as it is \r\nMax-Forwards: 12\r\n";
    let sent = stage.receive(CALLER, request("INVITE", "1", routes));
    let (_, invite) = only(&sent, 11, "INVITE");
    assert_eq!(invite.request_uri(), b"sip:phone@192.0.2.11");
    assert_eq!(invite.max_forwards(), Ok(Some(11)));
    let vias: Vec<_> = invite.vias().map(Result::unwrap).collect();
    assert_eq!((vias[0].host, vias[0].port), (&b"192.0.2.1"[..], Some(5060)));
    assert!(vias[0].is_rfc3261_branch() && vias[1].host == b"192.0.2.7");
    let recorded: Vec<_> = invite.record_route().map(Result::unwrap).collect();
    assert_eq!(recorded.len(), 3);
    assert!(
        recorded[..2].iter().all(|route| route.uri.host == b"192.0.2.1" && route.uri.params.contains(b"lr"))
    );
    assert_eq!(recorded[2].uri.host, b"before");
    assert_eq!(invite.body(), b"body");
    assert!(String::from_utf8_lossy(invite.bytes()).contains("\r\nX-Odd:  kept as it is \r\n"));
}

#[test]
fn a_method_that_nobody_knows_is_forwarded() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let sent = stage.receive(CALLER, request("DANCE", "1", ""));
    let sent = stage.answer(only(&sent, 11, "DANCE"), 200, "b", "");
    assert_eq!(to(&sent, CALLER), ["200"]);
    stage.rest();
}

#[test]
fn a_path_goes_before_the_routes_of_the_request_and_our_own_route_is_taken_out() {
    let mut phone = hop(11);
    phone.routes = [Bytes::from_static(b"<sip:edge;lr>")].into_iter().collect();
    let mut stage = Stage::new(vec![Target { ways: [phone].into_iter().collect(), q: 1000 }]);
    let sent = stage.receive(CALLER, request("INVITE", "1", "Route: <sip:192.0.2.1;lr>, <sip:next;lr>\r\n"));
    let (_, invite) = only(&sent, 11, "INVITE");
    let routes: Vec<_> = invite.list(HeaderName::Route).collect();
    assert_eq!(routes, [&b"<sip:edge;lr>"[..], b"<sip:next;lr>"]);
    assert_eq!(invite.request_uri(), b"sip:phone@192.0.2.11");
}

#[test]
fn credentials_for_us_and_identities_that_are_not_believed_go_no_further() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let credentials = |realm: &str| {
        format!(
            "Proxy-Authorization: Digest username=\"a\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:b@h\", \
             response=\"00000000000000000000000000000000\"\r\n"
        )
    };
    let headers = [
        credentials("example.com"),
        credentials("other"),
        "P-Asserted-Identity: <sip:boss@h>\r\n".to_owned(),
    ];
    let sent = stage.receive(CALLER, request("INVITE", "1", &headers.concat()));
    let (_, invite) = only(&sent, 11, "INVITE");
    let left: Vec<_> = invite.proxy_authorization().collect();
    assert!(left.len() == 1 && String::from_utf8_lossy(left[0]).contains("\"other\""));
    assert_eq!(invite.header(HeaderName::PAssertedIdentity), None);
}

#[test]
fn a_repeated_request_is_not_forwarded_again() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    assert_eq!(to(&sent, 11), ["INVITE"]);
    assert_eq!(to(&stage.receive(CALLER, request("INVITE", "1", "Max-Forwards: 70\r\n")), 11), [""; 0]);
}

#[test]
fn a_response_to_nothing_that_we_sent_is_dropped() {
    let (mut stage, sent) = invited(vec![target(11, 1000)]);
    let (_, invite) = only(&sent, 11, "INVITE");
    let forged = String::from_utf8(answer_to(invite, 200, "b", "").to_vec()).unwrap();
    let branch = String::from_utf8(invite.via().unwrap().branch.unwrap().to_vec()).unwrap();
    let sent = stage.receive(11, forged.replace(&branch, "z9hG4bKother"));
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(stage.endpoint.counters().stray_responses, 1);
}
