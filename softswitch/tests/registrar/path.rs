//! Path (RFC 3327 §5.3), and the refusals around it.

use crate::phone::{Phone, contacts};
use crate::stored;
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use softswitch::core::Input;
use softswitch::store::StoreOp;

const CONTACT: &str = "Contact: <sip:1001@198.51.100.7:5070>\r\n";
const PATH: &str = "Path: <sip:inner@192.0.2.8;lr>\r\nPath: <sip:edge@203.0.113.5;lr;ob>\r\n";

fn status(response: &Message) -> u16 {
    response.status().expect("a response").code()
}

fn list(response: &Message, name: HeaderName) -> Vec<String> {
    response.list(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

#[test]
fn a_path_is_stored_with_its_binding_and_returned_in_its_order() {
    let mut phone = Phone::new("1001", "secret");
    phone.behind_proxy();
    let response = phone.register(&format!("{CONTACT}{PATH}Supported: path\r\n"));
    assert_eq!(contacts(&response).len(), 1);
    let path = ["<sip:inner@192.0.2.8;lr>", "<sip:edge@203.0.113.5;lr;ob>"];
    assert_eq!(list(&response, HeaderName::Path), path);
    let [StoreOp::PutBinding(binding)] = &stored(&phone.outputs)[..] else { panic!("one binding is stored") };
    assert_eq!(binding.path, path);
}

#[test]
fn a_refresh_without_the_path_forgets_it() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(&format!("{CONTACT}{PATH}Supported: path\r\n"));
    let response = phone.register(CONTACT);
    assert!(list(&response, HeaderName::Path).is_empty());
    assert!(matches!(&stored(&phone.outputs)[..], [StoreOp::PutBinding(binding)] if binding.path.is_empty()));
}

#[test]
fn a_path_that_the_phone_cannot_know_of_is_a_bad_extension() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register(&format!("{CONTACT}{PATH}"));
    assert_eq!(status(&response), 420);
    assert_eq!(list(&response, HeaderName::Unsupported), ["path"]);
    assert!(stored(&phone.outputs).is_empty());
}

#[test]
fn a_configured_peer_may_write_a_path_that_the_phone_says_nothing_of() {
    let config = "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[domain]]\nname = \"a.example\"\n\
                  [[users]]\nfrom = 1001\nto = 1002\npassword = \"secret\"\n\
                  [[peer]]\nid = \"edge\"\naddress = \"192.0.2.8\"\n";
    let mut phone = Phone::of(config, "1001", "secret");
    phone.behind_proxy();
    assert_eq!(status(&phone.register(&format!("{CONTACT}{PATH}"))), 200);
    assert_eq!(phone.is_called().len(), 1);
}

#[test]
fn require_path_is_understood_and_other_extensions_are_not() {
    let mut phone = Phone::new("1001", "secret");
    assert_eq!(status(&phone.register(&format!("{CONTACT}{PATH}Require: path\r\n"))), 200);
    let response = phone.register(&format!("{CONTACT}Require: path, 100rel\r\n"));
    assert_eq!(status(&response), 420);
    assert_eq!(list(&response, HeaderName::Unsupported), ["100rel"]);
}

#[test]
fn a_path_that_could_never_be_a_route_is_malformed() {
    for path in ["<sip:192.0.2.8>", "sip:192.0.2.8;lr", "<tel:+49>", "<sip:192.0.2.8;lr"] {
        let mut phone = Phone::new("1001", "secret");
        let response = phone.register(&format!("{CONTACT}Path: {path}\r\nSupported: path\r\n"));
        assert_eq!(status(&response), 400, "{path}");
        assert!(stored(&phone.outputs).is_empty(), "{path}");
    }
}

#[test]
fn a_path_with_more_or_longer_hops_than_are_kept_is_too_large() {
    let hops = "<sip:192.0.2.8;lr>, ".repeat(16) + "<sip:192.0.2.8;lr>";
    let long = format!("<sip:192.0.2.8;lr;x={}>", "x".repeat(1_024));
    for path in [hops, long] {
        let mut phone = Phone::new("1001", "secret");
        let response = phone.register(&format!("{CONTACT}Path: {path}\r\nSupported: path\r\n"));
        assert_eq!(status(&response), 513, "{path}");
        assert!(stored(&phone.outputs).is_empty(), "{path}");
    }
}

#[test]
fn a_path_outlives_a_restart() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(&format!("{CONTACT}{PATH}Supported: path\r\n"));
    let [StoreOp::PutBinding(kept)] = stored(&phone.outputs)[..] else { panic!("one binding is stored") };
    let kept = *kept.clone();
    let mut restarted = Phone::new("1001", "secret");
    restarted.input(Input::Restored(vec![kept.clone()]));
    assert!(stored(&restarted.outputs).is_empty(), "it is taken back");
    restarted.reload(
        "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[domain]]\nname = \"a.example\"\ndefault = true\n",
    );
    assert!(matches!(&stored(&restarted.outputs)[..], [StoreOp::RemoveBinding(key)] if *key == kept.key));
}
