//! Calls to bindings: over which flow, by which route, and to which flow of a phone next (RFC 3327 §5.4, RFC 5626 §7).

use crate::phone::Phone;
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Transmit, Transport};
use softswitch::core::Input;

const OUTBOUND: &str = "Supported: path, outbound\r\n";

fn flow(phone: u8, reg_id: u32) -> String {
    format!(
        "Contact: <sip:1001@10.0.0.7:5060;transport=tcp>;reg-id={reg_id};+sip.instance=\"<urn:uuid:{phone}>\"\r\n{OUTBOUND}"
    )
}

/// The address that the only INVITE went to.
fn reached(invites: &[Transmit]) -> (Transport, String) {
    let [invite] = invites else { panic!("one INVITE, not {invites:?}") };
    (invite.flow.transport, invite.flow.peer.to_string())
}

/// A phone with two flows over TCP, the one from port 40002 registered last.
fn with_two_flows() -> Phone {
    let mut phone = Phone::new("1001", "secret");
    for reg_id in [1, 2] {
        phone.over(Transport::Tcp, &format!("192.0.2.7:4000{reg_id}"));
        phone.register(&flow(1, reg_id));
    }
    phone
}

const FIRST: &str = "192.0.2.7:40001";
const SECOND: &str = "192.0.2.7:40002";

#[test]
fn a_phone_with_two_flows_is_called_over_the_one_registered_last() {
    let mut phone = with_two_flows();
    assert_eq!(reached(&phone.is_called()), (Transport::Tcp, SECOND.into()));
    let mut phone = with_two_flows();
    phone.over(Transport::Tcp, FIRST);
    phone.register(&flow(1, 1));
    assert_eq!(reached(&phone.is_called()).1, FIRST, "it was refreshed");
}

#[test]
fn two_phones_are_called_at_once_each_over_one_flow() {
    let mut phone = with_two_flows();
    phone.over(Transport::Tcp, "192.0.2.9:40001");
    phone.register(&flow(2, 1));
    let peers: Vec<_> = phone.is_called().iter().map(|invite| invite.flow.peer.to_string()).collect();
    assert_eq!(peers, [SECOND, "192.0.2.9:40001"]);
}

#[test]
fn the_next_flow_is_tried_when_one_has_failed() {
    for status in ["430 Flow Failed", "408 Request Timeout"] {
        let mut phone = with_two_flows();
        let invites = phone.is_called();
        phone.replies(&invites[0], status);
        let second = phone.invites();
        assert_eq!(reached(&second).1, FIRST, "{status}");
        phone.replies(&second[0], status);
        assert!(phone.invites().is_empty(), "there is no third");
    }
}

#[test]
fn the_next_flow_is_tried_when_the_connection_takes_nothing() {
    let mut phone = with_two_flows();
    let invites = phone.is_called();
    phone.input(Input::Unsent { transaction: invites[0].transaction.unwrap() });
    assert_eq!(reached(&phone.invites()).1, FIRST);
}

#[test]
fn what_the_phone_itself_answers_is_final_for_all_its_flows() {
    for status in ["486 Busy Here", "503 Service Unavailable", "404 Not Found"] {
        let mut phone = with_two_flows();
        let invites = phone.is_called();
        phone.replies(&invites[0], status);
        assert!(phone.invites().is_empty(), "{status}");
    }
}

#[test]
fn a_call_goes_through_the_path_in_its_order_to_the_topmost_hop() {
    let mut phone = Phone::new("1001", "secret");
    phone.behind_proxy();
    let path = "Path: <sip:192.0.2.8:5080;lr>, <sip:edge.example.com;lr>\r\nSupported: path\r\n";
    phone.register(&format!("Contact: <sip:1001@10.0.0.7:5070>\r\n{path}"));
    let invites = phone.is_called();
    assert_eq!(reached(&invites), (Transport::Udp, "192.0.2.8:5080".into()));
    let invite = Message::parse(invites[0].bytes.clone()).unwrap();
    let routes: Vec<_> = invite.list(HeaderName::Route).collect();
    assert_eq!(routes, [&b"<sip:192.0.2.8:5080;lr>"[..], b"<sip:edge.example.com;lr>"]);
    assert_eq!(invite.request_uri(), b"sip:1001@10.0.0.7:5070");
}

#[test]
fn a_path_leads_to_no_other_host_than_the_sender_of_the_register() {
    for (hop, expected) in [
        ("sip:192.0.2.8:5080;lr", (Transport::Udp, "192.0.2.8:5080")),
        ("sip:192.0.2.8;lr;transport=tcp", (Transport::Tcp, "192.0.2.8:5060")),
        ("sip:192.0.2.50;lr", (Transport::Udp, "192.0.2.8:5060")),
        ("sip:192.0.2.50;lr;transport=tcp", (Transport::Udp, "192.0.2.8:5060")),
        ("sip:proxy.example.com;lr", (Transport::Udp, "192.0.2.8:5060")),
    ] {
        let mut phone = Phone::new("1001", "secret");
        phone.behind_proxy();
        phone.register(&format!("Contact: <sip:1001@10.0.0.7>\r\nPath: <{hop}>\r\nSupported: path\r\n"));
        assert_eq!(reached(&phone.is_called()), (expected.0, expected.1.into()), "{hop}");
    }
}

#[test]
fn a_contact_is_reached_over_its_stream_else_over_the_transport_it_names() {
    let (udp, tcp) = (Transport::Udp, Transport::Tcp);
    for (registered, contact, expected) in [
        ((tcp, "192.0.2.7:40000"), "sip:1001@192.0.2.7:5070", (tcp, "192.0.2.7:40000")),
        ((udp, "192.0.2.7:5070"), "sip:1001@192.0.2.7:5071", (udp, "192.0.2.7:5071")),
        ((udp, "192.0.2.7:5070"), "sip:1001@10.0.0.7:5071", (udp, "192.0.2.7:5070")),
        ((udp, "192.0.2.7:5070"), "sip:1001@192.0.2.7:5071;transport=tcp", (tcp, "192.0.2.7:5071")),
        ((udp, "192.0.2.7:5070"), "sips:1001@192.0.2.7:5071", (udp, "192.0.2.7:5070")),
    ] {
        let mut phone = Phone::new("1001", "secret");
        phone.over(registered.0, registered.1);
        phone.register(&format!("Contact: <{contact}>\r\n"));
        assert_eq!(reached(&phone.is_called()), (expected.0, expected.1.into()), "{contact}");
    }
}

#[test]
fn a_phone_that_lost_its_connection_is_called_back_at_its_contact() {
    let mut phone = Phone::new("1001", "secret");
    let flow = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register("Contact: <sip:1001@192.0.2.7:5070;transport=tcp>\r\n");
    phone.input(Input::Disconnected { flow });
    assert_eq!(reached(&phone.is_called()), (Transport::Tcp, "192.0.2.7:5070".into()));
}
