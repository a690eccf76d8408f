//! Flows of a phone (RFC 5626 §6, §7): what binds, what replaces, what a lost connection ends.

use crate::phone::{Phone, contacts};
use crate::{events, stored};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, Transport};
use softswitch::core::{Event, Input, Switch, Unbound};
use softswitch::store::{StoreOp, StoredBinding};

const OUTBOUND: &str = "Supported: path, outbound\r\n";

fn contact(uri: &str, instance: u8, reg_id: u32) -> String {
    format!("Contact: <{uri}>;reg-id={reg_id};+sip.instance=\"<urn:uuid:0000000{instance}>\"\r\n")
}

fn status(response: &Message) -> u16 {
    response.status().expect("a response").code()
}

fn header(response: &Message, name: HeaderName) -> Option<&str> {
    response.header(name).map(|value| core::str::from_utf8(value).expect("ASCII"))
}

fn put(phone: &Phone) -> StoredBinding {
    let puts: Vec<_> = stored(&phone.outputs)
        .into_iter()
        .filter_map(|op| match op {
            StoreOp::PutBinding(binding) => Some(*binding.clone()),
            _ => None,
        })
        .collect();
    let [binding] = &puts[..] else { panic!("one binding is stored, not {puts:?}") };
    binding.clone()
}

fn lost(phone: &mut Phone, flow: Flow) -> Vec<Unbound> {
    phone.input(Input::Disconnected { flow });
    events(&phone.outputs)
        .into_iter()
        .map(|event| match event {
            Event::Unregistered { reason, .. } => *reason,
            event => panic!("contacts go, and nothing else happens: {event:?}"),
        })
        .collect()
}

const URI: &str = "sip:1001@192.0.2.7;transport=tcp";

#[test]
fn an_outbound_registration_requires_outbound_and_sets_the_flow_timer() {
    let mut phone = Phone::new("1001", "secret");
    phone.over(Transport::Tcp, "192.0.2.7:40000");
    let response = phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    assert_eq!(header(&response, HeaderName::Require), Some("outbound"));
    assert_eq!(header(&response, HeaderName::FlowTimer), Some("120"));
    assert!(contacts(&response)[0].ends_with(";+sip.instance=\"<urn:uuid:00000001>\";reg-id=1"));
}

#[test]
fn over_udp_the_flow_timer_is_shorter_and_behind_a_proxy_there_is_none() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    assert_eq!(header(&response, HeaderName::FlowTimer), Some("25"));
    phone.behind_proxy();
    let path = "Path: <sip:192.0.2.8;lr;ob>\r\n";
    let response = phone.register(&format!("{}{OUTBOUND}{path}", contact(URI, 1, 2)));
    assert_eq!(header(&response, HeaderName::Require), Some("outbound"));
    assert_eq!(header(&response, HeaderName::FlowTimer), None);
}

#[test]
fn without_reg_id_or_the_option_nothing_is_required() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register(&format!("Contact: <{URI}>\r\n{OUTBOUND}"));
    assert_eq!(header(&response, HeaderName::Require), None);
    let response = phone.register(&contact(URI, 1, 1));
    assert_eq!(header(&response, HeaderName::Require), None);
    assert_eq!(put(&phone).key.flow.unwrap().reg_id.get(), 1, "it is a flow all the same");
}

#[test]
fn flows_of_one_phone_are_told_apart_by_reg_id_even_with_one_contact() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    phone.over(Transport::Udp, "192.0.2.9:5060");
    let response = phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 2)));
    assert_eq!(contacts(&response).len(), 2);
    let response = phone.register(&format!("{}{OUTBOUND}", contact(URI, 2, 2)));
    assert_eq!(contacts(&response).len(), 3, "another phone");
}

#[test]
fn the_same_reg_id_replaces_its_flow_from_wherever_it_comes() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    let first = put(&phone).key;
    phone.over(Transport::Tcp, "192.0.2.99:40000");
    let response = phone.register(&format!("{}{OUTBOUND}", contact("sip:1001@192.0.2.99", 1, 1)));
    assert_eq!(contacts(&response).len(), 1);
    assert!(matches!(&stored(&phone.outputs)[0], StoreOp::RemoveBinding(key) if *key == first));
    assert_eq!(put(&phone).source.to_string(), "192.0.2.99:40000");
}

#[test]
fn a_reg_id_without_an_instance_or_out_of_range_is_ignored() {
    for contact in [
        format!("Contact: <{URI}>;reg-id=1\r\n"),
        contact(URI, 1, 0),
        contact(URI, 1, 1 << 31),
        contact(URI, 1, 1).replace("reg-id=1", "reg-id=x"),
    ] {
        let mut phone = Phone::new("1001", "secret");
        let response = phone.register(&format!("{contact}{OUTBOUND}"));
        assert_eq!(header(&response, HeaderName::Require), None, "{contact}");
        assert_eq!(put(&phone).key.flow, None, "{contact}");
    }
}

#[test]
fn several_lasting_contacts_beside_a_reg_id_are_malformed_and_removals_are_not() {
    let mut phone = Phone::new("1001", "secret");
    let first = contact(URI, 1, 1);
    let response = phone.register(&format!("{first}Contact: <sip:1001@192.0.2.7:9>\r\n{OUTBOUND}"));
    assert_eq!(status(&response), 400);
    let response = phone.register(&format!("{first}Contact: <sip:1001@192.0.2.7:9>;expires=0\r\n{OUTBOUND}"));
    assert_eq!(status(&response), 200);
}

#[test]
fn a_first_hop_without_outbound_is_439_where_the_phone_asked_for_it() {
    let mut phone = Phone::new("1001", "secret");
    phone.behind_proxy();
    let wish = contact(URI, 1, 1);
    let inner_alone = "Path: <sip:192.0.2.8;lr;ob>, <sip:203.0.113.5;lr>\r\n";
    for path in ["", "Path: <sip:192.0.2.8;lr>\r\n", inner_alone] {
        let response = phone.register(&format!("{wish}{path}{OUTBOUND}"));
        assert_eq!(status(&response), 439, "{path}");
        assert!(stored(&phone.outputs).is_empty());
    }
    let response = phone.register(&format!("{wish}Path: <sip:192.0.2.8;lr>\r\nSupported: path\r\n"));
    assert_eq!(status(&response), 200);
    assert_eq!(put(&phone).key.flow, None, "the reg-id is ignored");
    let edge = "Path: <sip:192.0.2.8;lr>, <sip:203.0.113.5;lr;ob>\r\n";
    assert_eq!(status(&phone.register(&format!("{wish}{edge}{OUTBOUND}"))), 200);
}

#[test]
fn a_flow_ends_with_its_connection_and_others_stay() {
    let mut phone = Phone::new("1001", "secret");
    let first = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    let second = phone.over(Transport::Tcp, "192.0.2.7:40001");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 2)));
    assert_eq!(lost(&mut phone, first), [Unbound::ConnectionLost]);
    assert!(matches!(stored(&phone.outputs)[..], [StoreOp::RemoveBinding(_)]));
    assert!(lost(&mut phone, first).is_empty(), "once");
    let left = contacts(&phone.register(""));
    assert!(left.len() == 1 && left[0].ends_with("reg-id=2"), "{left:?}");
    assert_eq!(lost(&mut phone, second), [Unbound::ConnectionLost]);
}

#[test]
fn the_connection_that_a_refresh_left_takes_nothing_with_it() {
    let mut phone = Phone::new("1001", "secret");
    let first = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    phone.over(Transport::Tcp, "192.0.2.7:40001");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    assert!(lost(&mut phone, first).is_empty());
    assert_eq!(contacts(&phone.register("")).len(), 1);
}

#[test]
fn a_browser_and_a_phone_behind_a_translator_end_with_their_connection() {
    for (transport, uri) in
        [(Transport::Ws, "sip:x@192.0.2.7;transport=ws"), (Transport::Tcp, "sip:1001@10.0.0.7:5060")]
    {
        let mut phone = Phone::new("1001", "secret");
        let flow = phone.over(transport, "192.0.2.7:40000");
        phone.register(&format!("Contact: <{uri}>\r\n"));
        assert_eq!(lost(&mut phone, flow), [Unbound::ConnectionLost], "{uri}");
    }
}

#[test]
fn a_browser_over_secure_websocket_ends_with_its_connection_and_another_stays() {
    let mut phone = Phone::new("1001", "secret");
    let first = phone.over(Transport::Wss, "192.0.2.7:40000");
    phone.register("Contact: <sip:a@df7jal23ls0d.invalid;transport=ws>\r\n");
    let second = phone.over(Transport::Wss, "192.0.2.7:40001");
    phone.register("Contact: <sip:b@df7jal23ls0d.invalid;transport=ws>\r\n");
    assert_eq!(lost(&mut phone, first), [Unbound::ConnectionLost]);
    let left = contacts(&phone.register(""));
    assert!(left.len() == 1 && left[0].starts_with("<sip:b@"), "{left:?}");
    assert_eq!(lost(&mut phone, second), [Unbound::ConnectionLost]);
}

#[test]
fn a_phone_that_can_be_called_back_stays_when_its_connection_is_lost() {
    let mut phone = Phone::new("1001", "secret");
    let flow = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register(&format!("Contact: <{URI}>\r\n"));
    assert!(lost(&mut phone, flow).is_empty());
    assert_eq!(contacts(&phone.register("")).len(), 1);
    assert!(lost(&mut phone, Flow { peer: "192.0.2.7:5060".parse().unwrap(), ..flow }).is_empty());
    assert_eq!(contacts(&phone.register("")).len(), 1, "a connection of ours to the phone has ended");
}

#[test]
fn a_phone_whose_contact_is_its_end_of_the_connection_ends_with_it() {
    let mut phone = Phone::new("1001", "secret");
    let flow = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register("Contact: <sip:1001@192.0.2.7:40000;transport=tcp>\r\n");
    assert_eq!(lost(&mut phone, flow), [Unbound::ConnectionLost]);
}

#[test]
fn a_connection_is_known_after_a_snapshot_too() {
    let mut phone = Phone::new("1001", "secret");
    let gone = phone.over(Transport::Tcp, "192.0.2.7:39999");
    phone.register(&format!("Contact: <{URI}>\r\n"));
    assert!(lost(&mut phone, gone).is_empty());
    let flow = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register("Contact: <sip:1001@10.0.0.7>\r\n");
    let head = phone.switch.snapshot();
    let parts: Vec<_> = core::iter::from_fn(|| phone.switch.slice(8)).collect();
    phone.switch = Switch::restore(&head.0, parts).expect("our own snapshot loads");
    assert!(lost(&mut phone, Flow { peer: "192.0.2.7:5060".parse().unwrap(), ..flow }).is_empty());
    assert_eq!(lost(&mut phone, flow), [Unbound::ConnectionLost]);
    assert_eq!(contacts(&phone.register("")).len(), 1);
}

#[test]
fn all_users_of_a_connection_lose_it_and_nobody_else() {
    let mut phone = Phone::new("1001", "secret");
    phone.over(Transport::Tcp, "192.0.2.7:39999");
    phone.register("Contact: <sip:other@10.0.0.7>\r\n");
    let flow = phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register("Contact: <sip:1001@10.0.0.7>\r\n");
    phone.user("1002");
    phone.register("Contact: <sip:1002@10.0.0.7>\r\n");
    assert_eq!(lost(&mut phone, flow), [Unbound::ConnectionLost, Unbound::ConnectionLost]);
    assert!(contacts(&phone.register("")).is_empty());
    phone.user("1001");
    assert_eq!(contacts(&phone.register("")).len(), 1);
}

#[test]
fn bindings_that_only_a_connection_led_to_do_not_outlive_a_restart() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(&format!("{}{OUTBOUND}", contact("sip:1001@192.0.2.7:5070", 1, 1)));
    let over_udp = put(&phone);
    phone.over(Transport::Tcp, "192.0.2.7:40000");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 2)));
    let over_tcp = put(&phone);
    phone.register(&format!("Contact: <{URI}>\r\n"));
    let can_be_called_back = put(&phone);
    let mut restarted = Phone::new("1001", "secret");
    restarted.input(Input::Restored(vec![over_udp, over_tcp.clone(), can_be_called_back]));
    assert!(matches!(stored(&restarted.outputs)[..], [StoreOp::RemoveBinding(key)] if *key == over_tcp.key));
    assert_eq!(contacts(&restarted.register("")).len(), 2);
}

#[test]
fn every_binding_goes_with_a_star_whatever_its_kind() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 1)));
    phone.register(&format!("{}{OUTBOUND}", contact(URI, 1, 2)));
    phone.register("Contact: <sip:1001@192.0.2.7:9>\r\n");
    assert!(contacts(&phone.register("Contact: *\r\nExpires: 0\r\n")).is_empty());
    assert_eq!(stored(&phone.outputs).len(), 3);
}
