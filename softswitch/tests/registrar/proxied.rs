//! Calls that pass through the switch as through a proxy (RFC 3261 §16): who is let through, and what ends the record of a call.

use crate::phone::{CONFIG, Phone, flow};
use crate::stored;
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, Transport};
use softswitch::core::{Input, Output};
use softswitch::store::{CallRecord, EndedBy, StoreOp};

const CALLEE: &str = "192.0.2.7:5070";
const CALLER: &str = "192.0.2.66:5060";
const STRANGER: &str = "192.0.2.99:5060";

/// A switch that is a proxy, 1001 registered, and 1002 about to call it.
fn ready() -> Phone {
    let config = CONFIG.replace("default = true", "default = true\nmode = \"proxy\"");
    let mut phone = Phone::of(&config, "1001", "secret");
    phone.register("Contact: <sip:1001@192.0.2.7:5070>\r\n");
    phone
}

fn code(answer: &Message) -> u16 {
    answer.status().map_or(0, |status| status.code())
}

fn at(peer: &str) -> Flow {
    flow(Transport::Udp, peer)
}

/// What the switch sends when `text` comes from `peer`: to whom, and what.
fn receive(phone: &mut Phone, peer: &str, text: String) -> Vec<(String, Message)> {
    phone.input(Input::Received { flow: at(peer), bytes: text.into() });
    let sent = phone.outputs.iter().filter_map(Output::transmit);
    sent.map(|sent| (sent.flow.peer.to_string(), Message::parse(sent.bytes.clone()).unwrap())).collect()
}

/// A 1002 that talks with 1001.
struct Talk {
    phone: Phone,
    routes: [String; 2],
    cseq: u32,
}

fn talk_with(headers: &str) -> Talk {
    let mut phone = ready();
    phone.asked_for("sip:1001@a.example");
    let [invite] = &phone.invites()[..] else { panic!("one phone is asked") };
    let invite = Message::parse(invite.bytes.clone()).unwrap();
    let routes: Vec<_> = invite
        .list(HeaderName::RecordRoute)
        .map(|route| String::from_utf8_lossy(route).into_owned())
        .collect();
    let answer = respond(&invite, "200 OK", headers)
        .replace("To: <sip:1001@a.example>\r\n", "To: <sip:1001@a.example>;tag=b\r\n");
    let sent = receive(&mut phone, CALLEE, answer);
    assert_eq!((sent[0].0.as_str(), code(&sent[0].1)), (CALLER, 200));
    Talk { phone, routes: [routes[0].clone(), routes[1].clone()], cseq: 10 }
}

fn talk() -> Talk {
    talk_with("")
}

/// A response to what the switch has sent on.
fn respond(request: &Message, status: &str, headers: &str) -> String {
    let lines: String =
        [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
            .into_iter()
            .flat_map(|name| request.headers(name).map(move |value| (name, value)))
            .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value)))
            .collect();
    format!(
        "SIP/2.0 {status}\r\n{lines}Contact: <sip:1001@192.0.2.7:5070>\r\n{headers}Content-Length: 0\r\n\r\n"
    )
}

impl Talk {
    /// A request within the call as the caller (or the callee) writes it.
    fn within(&mut self, of_caller: bool, method: &str) -> String {
        self.cseq += 1;
        let [callee, caller] = ["<sip:1001@a.example>;tag=b", "<sip:1002@a.example>;tag=2"];
        let [down, up] = &self.routes;
        let (from, to, uri, routes) = match of_caller {
            true => (caller, callee, "sip:1001@192.0.2.7:5070", format!("{up}, {down}")),
            false => (callee, caller, "sip:1002@192.0.2.66:5060", format!("{down}, {up}")),
        };
        let cseq = self.cseq;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.200;rport;branch=z9hG4bKw{cseq}\r\nRoute: {routes}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    fn receive(&mut self, peer: &str, text: String) -> Vec<(String, Message)> {
        receive(&mut self.phone, peer, text)
    }

    /// A request of that side that passes; as it arrives.
    fn passes(&mut self, of_caller: bool, method: &str) -> Message {
        let text = self.within(of_caller, method);
        let (from, to) = if of_caller { (CALLER, CALLEE) } else { (CALLEE, CALLER) };
        let sent = self.receive(from, text);
        let [(peer, message)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((peer.as_str(), message.method().unwrap().to_string().as_str()), (to, method));
        message.clone()
    }

    /// The status with which a request is refused to its sender.
    fn refused(&mut self, peer: &str, text: String) -> Option<u16> {
        let sent = self.receive(peer, text);
        assert!(sent.iter().all(|(to, message)| to == peer && !message.is_request()), "{sent:?}");
        sent.first().map(|(_, answer)| code(answer))
    }

    /// The record of the call, if the last step has written it.
    fn record(&self) -> Option<CallRecord> {
        stored(&self.phone.outputs).into_iter().find_map(|op| {
            if let StoreOp::PutCallRecord(record) = op { Some((**record).clone()) } else { None }
        })
    }

    fn is_up(&self) -> bool {
        self.phone.switch.calls() == 1
    }
}

#[test]
fn a_route_that_is_not_ours_is_forbidden_and_our_own_is_not() {
    let mut phone = ready();
    for route in
        ["<sip:203.0.113.9;lr>", "<sip:192.0.2.1;lr>, <sip:1001@203.0.113.9;lr>", "<sip:192.0.2.7:5070>"]
    {
        phone.invite_headers = format!("Route: {route}\r\n");
        assert_eq!(code(&phone.asked_for("sip:1001@a.example")), 403, "{route}");
        assert!(phone.invites().is_empty());
    }
    phone.invite_headers = "Route: <sip:192.0.2.1;lr>\r\n".into();
    phone.asked_for("sip:1001@a.example");
    assert_eq!(phone.invites().len(), 1);
}

#[test]
fn a_request_passes_until_64_t1_after_the_end_of_its_call() {
    let mut talk = talk();
    let bye = talk.within(true, "BYE");
    let sent = talk.receive(CALLER, bye.clone());
    let answer = respond(&sent[0].1, "200 OK", "");
    talk.receive(CALLEE, answer);
    assert!(!talk.is_up());
    talk.phone.pass(31);
    assert_eq!(talk.receive(CALLER, bye.clone())[0].0, CALLEE, "it comes again");
    talk.passes(true, "ACK");
    talk.passes(false, "NOTIFY");
    let info = talk.within(false, "INFO");
    assert_eq!(talk.refused(CALLEE, info), Some(481));
    talk.phone.pass(2);
    assert_eq!(talk.refused(CALLER, bye), Some(481));
    let ack = talk.within(true, "ACK");
    assert_eq!(talk.refused(CALLER, ack), None);
}

#[test]
fn the_record_ends_when_the_other_side_has_answered_the_bye() {
    for (status, ends) in
        [("200 OK", true), ("481 No", true), ("408 No", true), ("420 No", false), ("500 No", false)]
    {
        for by_caller in [true, false] {
            let mut talk = talk();
            let bye = talk.passes(by_caller, "BYE");
            assert!(talk.is_up(), "nobody has answered yet");
            let other = if by_caller { CALLEE } else { CALLER };
            talk.receive(other, respond(&bye, status, ""));
            let ended_by = if by_caller { EndedBy::Caller } else { EndedBy::Callee };
            assert_eq!(talk.record().map(|record| record.ended_by), ends.then_some(ended_by), "{status}");
            talk.phone.pass(60);
            assert_eq!(talk.is_up(), !ends, "{status}");
        }
    }
}

#[test]
fn a_bye_that_nobody_answers_ends_the_record_after_64_t1() {
    let mut talk = talk();
    talk.passes(true, "BYE");
    talk.phone.pass(31);
    assert!(talk.is_up());
    talk.phone.pass(2);
    assert_eq!(talk.record().map(|record| record.ended_by), Some(EndedBy::Caller));
}

#[test]
fn a_party_cannot_end_the_record_of_a_call_that_goes_on() {
    let mut talk = talk();
    // To itself.
    let [down, up] = talk.routes.clone();
    let bye = talk.within(true, "BYE").replace(&format!("{up}, {down}"), &up);
    assert_eq!(talk.refused(CALLER, bye), Some(481));
    // In the name of the other.
    let bye = talk.within(false, "BYE");
    assert_eq!(talk.refused(CALLER, bye), Some(481));
    // The same from another address, and it answers itself.
    let bye = talk.within(false, "BYE");
    let sent = talk.receive(STRANGER, bye);
    talk.receive(CALLER, respond(&sent[0].1, "200 OK", ""));
    // To a port where nobody listens.
    let bye = talk.within(true, "BYE").replace("192.0.2.7:5070 ", "192.0.2.7:9 ");
    assert_eq!(talk.receive(CALLER, bye)[0].0, "192.0.2.7:9");
    // In no dialog that there is.
    let bye = talk.within(true, "BYE").replace(";tag=b", ";tag=c");
    let sent = talk.receive(CALLER, bye);
    talk.receive(CALLEE, respond(&sent[0].1, "481 No", ""));
    talk.phone.pass(60);
    assert!(talk.is_up());
}

#[test]
fn a_session_timer_counts_from_the_other_side_alone_and_within_bounds() {
    let mut talk = talk_with("Session-Expires: 1\r\n");
    talk.phone.pass(88);
    assert!(talk.is_up(), "90 seconds at least");
    let update = talk.passes(true, "UPDATE");
    talk.receive(CALLER, respond(&update, "200 OK", "Session-Expires: 4000000000\r\n"));
    talk.phone.pass(3);
    assert!(!talk.is_up());
    let mut talk = talk_with("Session-Expires: 90\r\n");
    let update = talk.passes(true, "UPDATE");
    talk.receive(CALLEE, respond(&update, "200 OK", "Session-Expires: 4000000000\r\n"));
    talk.phone.pass(12 * 3_600 - 1);
    assert!(talk.is_up());
    talk.phone.pass(2);
    assert!(!talk.is_up(), "12 hours at most");
}

#[test]
fn credentials_for_the_switch_are_good_for_whom_they_name_alone() {
    for (digest_uri, calls) in
        [("sip:a.example", 1), ("sip:1002@a.example", 0), ("sip:1001@192.0.2.1:5060", 1)]
    {
        let mut phone = ready();
        phone.digest_uri(Some(digest_uri));
        let answer = phone.asked_for("sip:1001@a.example");
        assert_eq!(phone.invites().len(), calls, "{digest_uri}");
        assert_eq!(code(&answer) == 407, calls == 0, "{digest_uri}");
    }
}

#[test]
fn credentials_do_not_pass_within_the_call() {
    let mut talk = talk();
    let credentials = "Proxy-Authorization: Digest username=\"1002\", realm=\"a.example\", nonce=\"n\", uri=\"sip:b@h\", \
                       response=\"00000000000000000000000000000000\"\r\n";
    let ack = talk.within(true, "ACK").replace("Max-Forwards", &format!("{credentials}Max-Forwards"));
    let sent = talk.receive(CALLER, ack);
    assert_eq!(sent[0].0, CALLEE);
    assert_eq!(sent[0].1.header(HeaderName::ProxyAuthorization), None);
}

#[test]
fn a_second_call_of_the_same_name_is_refused_while_the_first_lives() {
    let mut talk = talk();
    assert_eq!(code(&talk.phone.asked_for("sip:1001@a.example")), 482);
    talk.phone.over(Transport::Udp, CALLER);
    let bye = talk.passes(true, "BYE");
    talk.receive(CALLEE, respond(&bye, "200 OK", ""));
    talk.phone.asked_for("sip:1001@a.example");
    assert_eq!(talk.phone.invites().len(), 1);
}

#[test]
fn a_user_has_64_calls_at_once_and_no_more() {
    let mut phone = ready();
    for call in 0..64 {
        phone.call_id(&format!("call{call}"));
        phone.asked_for("sip:1001@a.example");
        assert_eq!(phone.invites().len(), 1);
    }
    phone.call_id("one-more");
    let refused = phone.asked_for("sip:1001@a.example");
    assert_eq!(code(&refused), 486);
    assert!(refused.header(HeaderName::Warning).is_some());
    // They ring until their time is over.
    phone.pass(200);
    phone.call_id("later");
    phone.asked_for("sip:1001@a.example");
    assert_eq!(phone.invites().len(), 1);
}

#[test]
fn limits_of_the_caller_hold_for_calls_that_pass_through_and_one_that_ends_makes_room() {
    let limited = "id = \"1002\"\npassword = \"secret\"\nmax_calls = 1";
    let config = CONFIG.replace("default = true", "default = true\nmode = \"proxy\"").replacen(
        "id = \"1002\"\npassword = \"secret\"",
        limited,
        1,
    );
    let mut phone = Phone::of(&config, "1001", "secret");
    phone.register("Contact: <sip:1001@192.0.2.7:5070>\r\n");
    phone.call_id("first");
    phone.asked_for("sip:1001@a.example");
    let [invite] = &phone.invites()[..] else { panic!("one phone is asked") };
    let invite = Message::parse(invite.bytes.clone()).unwrap();
    phone.call_id("second");
    assert_eq!(code(&phone.asked_for("sip:1001@a.example")), 486);
    assert!(phone.invites().is_empty());
    receive(&mut phone, CALLEE, respond(&invite, "603 Decline", ""));
    phone.call_id("third");
    phone.asked_for("sip:1001@a.example");
    assert_eq!(phone.invites().len(), 1);
}

#[test]
fn limits_of_a_peer_and_what_may_be_called_hold_for_calls_that_pass_through() {
    let more = "[[peer]]\nid = \"trunk\"\naddress = \"192.0.2.50:5060\"\ntransport = \"udp\"\nmax_calls = 1\nmay_call = [\"8XXX\"]\n\
        [[route]]\npattern = \"8.\"\npeer = \"trunk\"\nmode = \"proxy\"\n";
    let mut phone = Phone::of(&format!("{CONFIG}{more}"), "1001", "secret");
    phone.call_id("first");
    assert_eq!(code(&phone.asked_for("sip:80001@a.example")), 403);
    phone.call_id("second");
    phone.asked_for("sip:8000@a.example");
    assert_eq!(phone.invites().len(), 1);
    phone.call_id("third");
    assert_eq!(code(&phone.asked_for("sip:8001@a.example")), 486);
}
