//! GRUUs: what the registrar gives to phones, and whom a call to one reaches (RFC 5627).

use crate::phone::{Phone, contacts};
use sip_stack::message::Message;
use sip_stack::transport::Transmit;

const SUPPORTED: &str = "Supported: gruu\r\n";

fn contact(phone: u8) -> String {
    format!("Contact: <sip:1001@192.0.2.{phone}:5070>;+sip.instance=\"<urn:uuid:0{phone}>\"\r\n{SUPPORTED}")
}

/// Two phones of 1001; the answer to each.
fn two_phones(config: Option<&str>) -> (Phone, [Message; 2]) {
    let mut phone = match config {
        Some(config) => Phone::of(config, "1001", "secret"),
        None => Phone::new("1001", "secret"),
    };
    let answers = [7, 8].map(|number| {
        phone.over(sip_stack::transport::Transport::Udp, &format!("192.0.2.{number}:5070"));
        phone.register(&contact(number))
    });
    (phone, answers)
}

/// A GRUU of the contact of this phone in the answer to its REGISTER.
fn gruu(answer: &Message, phone: u8, parameter: &str) -> String {
    let contacts = contacts(answer);
    let own = contacts.iter().find(|contact| contact.contains(&format!("@192.0.2.{phone}:"))).unwrap();
    let (_, value) = own.split_once(&format!(";{parameter}=\"")).unwrap_or_else(|| panic!("{own}"));
    value.split('"').next().unwrap().to_owned()
}

fn status(answer: &Message) -> u16 {
    answer.status().unwrap().code()
}

fn reached(invites: &[Transmit]) -> Vec<String> {
    invites.iter().map(|invite| invite.flow.peer.to_string()).collect()
}

#[test]
fn a_phone_that_announces_gruu_gets_a_public_and_a_temporary_one_with_each_registration() {
    let (mut phone, [first, second]) = two_phones(None);
    assert_eq!(gruu(&first, 7, "pub-gruu"), "sip:1001@a.example;gr=urn:uuid:07");
    assert_eq!(gruu(&second, 8, "pub-gruu"), "sip:1001@a.example;gr=urn:uuid:08");
    let temporary = gruu(&second, 8, "temp-gruu");
    assert!(temporary.starts_with("sip:tgruu.") && temporary.ends_with("@a.example;gr"), "{temporary}");
    assert!(!temporary.contains("1001"));
    let again = phone.register(&contact(8));
    assert_ne!(gruu(&again, 8, "temp-gruu"), temporary);
    let without = phone.register(&contact(8).replace(SUPPORTED, ""));
    assert!(contacts(&without).iter().all(|contact| !contact.contains("gruu")));
}

#[test]
fn a_phone_without_an_instance_gets_none() {
    let mut phone = Phone::new("1001", "secret");
    let answer = phone.register(&format!("Contact: <sip:1001@192.0.2.7:5070>\r\n{SUPPORTED}"));
    assert!(!contacts(&answer)[0].contains("gruu"));
}

#[test]
fn a_phone_may_require_it() {
    let mut phone = Phone::new("1001", "secret");
    let answer = phone.register(&contact(7).replace("Supported", "Require"));
    assert_eq!(status(&answer), 200);
}

#[test]
fn a_call_to_a_gruu_reaches_that_phone_alone() {
    for parameter in ["pub-gruu", "temp-gruu"] {
        let (mut phone, [first, _]) = two_phones(None);
        assert_eq!(status(&phone.asked_for(&gruu(&first, 7, parameter))), 100);
        phone.ports_are_there();
        assert_eq!(reached(&phone.invites()), ["192.0.2.7:5070"], "{parameter}");
        let invite = Message::parse(phone.invites()[0].bytes.clone()).unwrap();
        assert_eq!(invite.request_uri(), b"sip:1001@192.0.2.7:5070");
    }
    let (mut phone, _) = two_phones(None);
    assert_eq!(phone.is_called().len(), 2, "the number is that of both");
}

#[test]
fn a_proxied_call_to_a_gruu_reaches_that_phone_alone() {
    let config = crate::phone::CONFIG.replace("default = true", "default = true\nmode = \"proxy\"");
    for parameter in ["pub-gruu", "temp-gruu"] {
        let (mut phone, [first, _]) = two_phones(Some(&config));
        phone.asked_for(&gruu(&first, 7, parameter));
        assert_eq!(reached(&phone.invites()), ["192.0.2.7:5070"], "{parameter}");
    }
}

#[test]
fn a_public_gruu_of_a_phone_that_is_gone_is_480_and_a_temporary_one_404() {
    let (mut phone, [first, _]) = two_phones(None);
    let [public, temporary] = ["pub-gruu", "temp-gruu"].map(|parameter| gruu(&first, 7, parameter));
    phone.over(sip_stack::transport::Transport::Udp, "192.0.2.7:5070");
    phone.register(&contact(7).replacen("\"\r\n", "\";expires=0\r\n", 1));
    assert_eq!(status(&phone.asked_for(&public)), 480);
    assert_eq!(status(&phone.asked_for(&temporary)), 404);
    assert_eq!(status(&phone.asked_for("sip:1009@a.example;gr=urn:uuid:07")), 404);
    assert_eq!(status(&phone.asked_for("sip:tgruu.AAAA@a.example;gr")), 404);
}

#[test]
fn temporary_gruus_are_valid_until_the_phone_registers_with_another_call_id() {
    let mut phone = Phone::new("1001", "secret");
    phone.call_id("one");
    let first = phone.register(&contact(7));
    let old = gruu(&first, 7, "temp-gruu");
    phone.register(&contact(7));
    assert_eq!(status(&phone.asked_for(&old)), 100, "all of them are");
    phone.user("1001");
    phone.over(sip_stack::transport::Transport::Udp, "192.0.2.7:5070");
    phone.call_id("two");
    phone.register(&contact(7));
    assert_eq!(status(&phone.asked_for(&old)), 404);
}

#[test]
fn a_contact_that_leads_back_to_its_user_is_403() {
    for contact in ["sip:1001@a.example", "sip:tgruu.x@a.example;gr", "sip:1001@a.example;gr=urn:uuid:07"] {
        let mut phone = Phone::new("1001", "secret");
        assert_eq!(status(&phone.register(&format!("Contact: <{contact}>\r\n"))), 403, "{contact}");
    }
}
