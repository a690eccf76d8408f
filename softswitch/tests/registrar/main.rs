//! The registrar as a phone sees it: REGISTER against the pure switch, in virtual time (RFC 3261 §10.3, RFC 7616).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod calls;
mod flows;
mod gruu;
mod memory;
mod path;
mod phone;
mod proxied;

use phone::{Phone, contacts};
use sip_stack::transport::Transport;
use softswitch::core::{Event, Input, Output, Told, Unbound};
use softswitch::store::{StoreOp, StoredBinding};

const CONTACT: &str = "Contact: <sip:1001@192.0.2.7:5070>\r\n";

pub(crate) fn events(outputs: &[Output]) -> Vec<&Event> {
    let mut events = Vec::new();
    for output in outputs {
        if let Output::Event(Told { event, .. }) = output {
            events.push(event);
        }
    }
    events
}

pub(crate) fn stored(outputs: &[Output]) -> Vec<&StoreOp> {
    let mut ops = Vec::new();
    for output in outputs {
        if let Output::Store(op) = output {
            ops.push(op);
        }
    }
    ops
}

#[test]
fn a_register_without_credentials_is_challenged_and_leaves_no_state() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.send_plain(CONTACT);
    assert_eq!(response.status().unwrap().code(), 401);
    let held = phone.switch.holdings();
    assert_eq!((held.transactions, held.dialogs), (0, 0));
    assert!(stored(&phone.outputs).is_empty());
}

#[test]
fn the_challenge_offers_the_algorithms_of_the_domain_in_their_order() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.send_plain(CONTACT);
    let algorithms: Vec<_> =
        phone::challenges(&response).iter().map(|challenge| challenge.algorithm).collect();
    assert_eq!(algorithms, [sip_stack::auth::Algorithm::Sha256, sip_stack::auth::Algorithm::Md5]);
}

#[test]
fn a_register_with_the_right_password_is_bound_and_stored() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register("Contact: <sip:1001@192.0.2.7:5070>;q=0.5\r\nExpires: 600\r\n");
    assert_eq!(contacts(&response), ["<sip:1001@192.0.2.7:5070>;expires=600;q=0.500"]);
    assert!(matches!(stored(&phone.outputs)[..], [StoreOp::PutBinding(binding)] if binding.q == 500));
    assert!(matches!(events(&phone.outputs)[..], [Event::Registered { expires_s: 600, .. }]));
}

#[test]
fn a_refresh_is_stored_but_not_announced_again() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    phone.register(CONTACT);
    assert_eq!((stored(&phone.outputs).len(), events(&phone.outputs).len()), (1, 0));
}

#[test]
fn a_wrong_password_is_challenged_again_and_reported() {
    let mut phone = Phone::new("1001", "guess");
    let response = phone.register(CONTACT);
    assert_eq!(response.status().unwrap().code(), 401);
    assert!(!phone::challenges(&response)[0].stale);
    assert!(matches!(events(&phone.outputs)[..], [Event::AuthenticationFailed { .. }]));
}

#[test]
fn a_user_that_does_not_exist_is_answered_like_a_wrong_password() {
    let mut known = Phone::new("1001", "guess");
    let mut unknown = Phone::new("4711", "guess");
    let shape = |phone: &mut Phone| {
        let response = phone.register(CONTACT);
        let names: Vec<_> = response.fields().map(|(_, name, _)| name.to_vec()).collect();
        (response.status(), names, events(&phone.outputs).len())
    };
    assert_eq!(shape(&mut known), shape(&mut unknown));
}

#[test]
fn a_nonce_count_used_before_is_challenged_as_stale_and_never_forbidden() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    phone.reuse_count();
    let response = phone.register(CONTACT);
    assert_eq!(response.status().unwrap().code(), 401);
    assert!(phone::challenges(&response)[0].stale);
    assert_eq!(phone.answer(&response, CONTACT).status().unwrap().code(), 200);
}

#[test]
fn a_nonce_older_than_its_lifetime_is_stale() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    phone.pass(3_601);
    let response = phone.register(CONTACT);
    assert_eq!(response.status().unwrap().code(), 401);
    assert!(phone::challenges(&response)[0].stale);
}

#[test]
fn a_retransmission_is_answered_alike_and_changes_nothing() {
    let brief = "Contact: <sip:1001@192.0.2.7:5070>;expires=5\r\n";
    let removal = "Contact: <sip:1001@192.0.2.7:5070>;expires=0\r\n";
    let mut phone = Phone::new("1001", "secret");
    for (headers, code) in [(CONTACT, 200), (brief, 423), ("", 200), (removal, 200), (removal, 200)] {
        let first = phone.register(headers);
        assert_eq!(first.status().unwrap().code(), code);
        let again = phone.repeat();
        assert_eq!(first.bytes(), again.bytes());
        assert!(stored(&phone.outputs).is_empty() && events(&phone.outputs).is_empty());
    }
    assert_eq!(phone.switch.holdings().transactions, 0, "a REGISTER has no transaction");
}

#[test]
fn a_retransmission_that_another_register_overtook_is_challenged() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    let late = phone.last.clone();
    phone.register(CONTACT);
    let response = phone.deliver(late);
    assert_eq!(response.status().unwrap().code(), 401);
    assert!(phone::challenges(&response)[0].stale);
    assert!(stored(&phone.outputs).is_empty());
}

#[test]
fn a_register_replayed_from_another_address_is_challenged() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    phone.over(Transport::Udp, "192.0.2.66:5070");
    let response = phone.repeat();
    assert_eq!(response.status().unwrap().code(), 401);
    assert!(stored(&phone.outputs).is_empty());
}

#[test]
fn a_lifetime_below_the_minimum_is_refused_with_min_expires() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=5\r\n");
    assert_eq!(response.status().unwrap().code(), 423);
    assert_eq!(response.min_expires().unwrap(), Some(60));
}

#[test]
fn a_lifetime_of_an_hour_is_never_too_brief() {
    let mut phone = Phone::new("1001", "secret");
    phone.reload(
        "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[domain]]\nname = \"a.example\"\ndefault = true\n\
         digest = [\"MD5\"]\n[domain.registration]\nmin_expires_s = 7200\ndefault_expires_s = 7200\nmax_expires_s = 9000\n\
         [[user]]\nid = \"1001\"\npassword = \"secret\"\n",
    );
    let refused = phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=3599\r\n");
    assert_eq!(refused.status().unwrap().code(), 423);
    let bound = phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=3600\r\n");
    assert_eq!(contacts(&bound), ["<sip:1001@192.0.2.7:5070>;expires=3600"]);
}

#[test]
fn a_malformed_lifetime_counts_as_an_hour() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=soon\r\n");
    assert_eq!(contacts(&response), ["<sip:1001@192.0.2.7:5070>;expires=3600"]);
}

#[test]
fn a_star_beside_a_contact_is_malformed_and_removes_nothing() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    let response = phone.register("Contact: *, <sip:1001@192.0.2.7:5070>\r\nExpires: 0\r\n");
    assert_eq!(response.status().unwrap().code(), 400);
    assert_eq!(contacts(&phone.register("")).len(), 1);
}

#[test]
fn one_contact_too_brief_and_none_of_the_request_is_bound() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register("Contact: <sip:1001@192.0.2.7:1>, <sip:1001@192.0.2.7:2>;expires=5\r\n");
    assert_eq!(response.status().unwrap().code(), 423);
    assert!(contacts(&phone.register("")).is_empty());
}

#[test]
fn contacts_of_one_phone_in_one_register_stand_side_by_side_and_go_one_by_one() {
    let mut phone = Phone::new("1001", "secret");
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";
    let both = format!("Contact: <sip:1001@192.0.2.7:1>;{instance}, <sip:1001@192.0.2.7:2>;{instance}\r\n");
    assert_eq!(contacts(&phone.register(&both)).len(), 2);
    assert_eq!(contacts(&phone.register(&both)).len(), 2);
    assert!(events(&phone.outputs).is_empty(), "a refresh");
    let response = phone.register(&format!("Contact: <sip:1001@192.0.2.7:1>;{instance};expires=0\r\n"));
    assert_eq!(contacts(&response).len(), 1);
}

#[test]
fn a_lifetime_above_the_maximum_is_cut() {
    let mut phone = Phone::new("1001", "secret");
    let response = phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=999999\r\n");
    assert_eq!(contacts(&response), ["<sip:1001@192.0.2.7:5070>;expires=7200"]);
}

#[test]
fn expires_zero_removes_one_contact_and_a_star_all() {
    let mut phone = Phone::new("1001", "secret");
    phone.register("Contact: <sip:1001@192.0.2.7:1>, <sip:1001@192.0.2.7:2>, <sip:1001@192.0.2.7:3>\r\n");
    let response = phone.register("Contact: <sip:1001@192.0.2.7:2>;expires=0\r\n");
    assert_eq!(contacts(&response).len(), 2);
    assert!(matches!(stored(&phone.outputs)[..], [StoreOp::RemoveBinding(_)]));
    let response = phone.register("Contact: *\r\nExpires: 0\r\n");
    assert!(contacts(&response).is_empty());
    assert_eq!(stored(&phone.outputs).len(), 2);
}

#[test]
fn a_star_with_a_lifetime_is_malformed() {
    let mut phone = Phone::new("1001", "secret");
    assert_eq!(phone.register("Contact: *\r\nExpires: 60\r\n").status().unwrap().code(), 400);
}

#[test]
fn a_register_without_contact_lists_the_bindings() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    phone.pass(100);
    let response = phone.register("");
    assert_eq!(contacts(&response), ["<sip:1001@192.0.2.7:5070>;expires=3500"]);
    assert!(stored(&phone.outputs).is_empty());
}

#[test]
fn a_cseq_that_is_not_higher_within_one_call_id_changes_nothing() {
    let mut phone = Phone::new("1001", "secret");
    phone.call_id("fixed");
    phone.register(CONTACT);
    phone.rewind_cseq();
    let response = phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=0\r\n");
    assert_eq!(response.status().unwrap().code(), 500);
    assert!(stored(&phone.outputs).is_empty());
}

#[test]
fn a_copy_of_a_register_that_was_out_of_order_is_refused_like_it() {
    for headers in
        ["Contact: <sip:1001@192.0.2.7:5070>;expires=0\r\n", "Contact: *\r\nExpires: 0\r\n", CONTACT]
    {
        let mut phone = Phone::new("1001", "secret");
        phone.call_id("fixed");
        // The first one is challenged, so it has two numbers.
        phone.register(CONTACT);
        phone.reuse_cseq();
        let response = phone.register(headers);
        assert_eq!(response.status().unwrap().code(), 500, "{headers}");
        let again = phone.repeat();
        assert_eq!(response.bytes(), again.bytes(), "{headers}");
        assert!(stored(&phone.outputs).is_empty());
    }
}

#[test]
fn a_phone_that_comes_back_at_another_address_replaces_its_binding() {
    let mut phone = Phone::new("1001", "secret");
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";
    phone.register(&format!("Contact: <sip:1001@192.0.2.7:5070>;{instance}\r\n"));
    let response = phone.register(&format!("Contact: <sip:1001@192.0.2.8:5071>;{instance}\r\n"));
    assert_eq!(contacts(&response).len(), 1);
    assert!(contacts(&response)[0].starts_with("<sip:1001@192.0.2.8:5071>"));
    assert!(matches!(stored(&phone.outputs)[..], [StoreOp::RemoveBinding(_), StoreOp::PutBinding(_)]));
}

#[test]
fn beyond_the_limit_the_contact_that_ends_first_makes_room() {
    let mut phone = Phone::new("1001", "secret");
    for port in 1..=11 {
        phone.register(&format!("Contact: <sip:1001@192.0.2.7:{port}>;expires={}\r\n", 600 + port));
    }
    let response = phone.register("");
    assert_eq!(contacts(&response).len(), 10);
    assert!(!contacts(&response).iter().any(|contact| contact.contains(":1>")));
}

#[test]
fn texts_and_lists_longer_than_are_kept_are_too_large_and_bind_nothing() {
    let x = "x".repeat(1_024);
    let contacts: Vec<String> = (1..=21).map(|port| format!("<sip:1001@192.0.2.7:{port}>")).collect();
    for contact in [
        format!("<sip:{x}@192.0.2.7>"),
        format!("<sip:1001@192.0.2.7>;+sip.instance=\"<{x}>\""),
        contacts.join(", "),
    ] {
        let mut phone = Phone::new("1001", "secret");
        let response = phone.register(&format!("Contact: {contact}\r\n"));
        assert_eq!(response.status().unwrap().code(), 513, "{contact}");
        assert!(contacts_of(&mut phone).is_empty(), "{contact}");
    }
    let mut phone = Phone::new("1001", "secret");
    phone.call_id(&x.repeat(2));
    assert_eq!(phone.register(CONTACT).status().unwrap().code(), 513);
}

fn contacts_of(phone: &mut Phone) -> Vec<String> {
    contacts(&phone.register(""))
}

#[test]
fn a_binding_ends_when_its_time_is_up() {
    let mut phone = Phone::new("1001", "secret");
    phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=60\r\n");
    phone.pass(61);
    assert!(matches!(events(&phone.outputs)[..], [Event::Unregistered { reason: Unbound::Expired, .. }]));
    assert!(matches!(stored(&phone.outputs)[..], [StoreOp::RemoveBinding(_)]));
    assert!(contacts(&phone.register("")).is_empty());
}

#[test]
fn a_user_may_register_nobody_else() {
    let mut phone = Phone::new("1001", "secret");
    phone.address_of_record("1002");
    assert_eq!(phone.register(CONTACT).status().unwrap().code(), 403);
}

#[test]
fn the_same_number_in_two_domains_is_two_users() {
    let mut phone = Phone::new("1001", "secret");
    phone.domain("b.example", "other");
    phone.register("Contact: <sip:1001@192.0.2.9:5070>\r\n");
    phone.domain("a.example", "secret");
    assert!(contacts(&phone.register("")).is_empty());
    phone.domain("b.example", "secret");
    assert_eq!(phone.register("").status().unwrap().code(), 401, "the password of a is not good for b");
}

#[test]
fn a_domain_that_is_not_ours_is_not_found() {
    let mut phone = Phone::new("1001", "secret");
    phone.domain("elsewhere.example", "secret");
    assert_eq!(phone.send_plain(CONTACT).status().unwrap().code(), 404);
}

#[test]
fn stored_bindings_come_back_with_what_is_left_of_their_time() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    let kept: Vec<StoredBinding> = match &stored(&phone.outputs)[..] {
        [StoreOp::PutBinding(binding)] => vec![*binding.clone()],
        other => panic!("one binding is stored, not {other:?}"),
    };
    let mut restarted = Phone::new("1001", "secret");
    restarted.pass(600);
    restarted.input(Input::Restored(kept));
    let response = restarted.register("");
    assert_eq!(contacts(&response), ["<sip:1001@192.0.2.7:5070>;expires=3000"]);
}

#[test]
fn a_reload_without_a_user_or_a_domain_forgets_its_bindings() {
    let mut phone = Phone::new("1001", "secret");
    phone.register(CONTACT);
    phone.domain("b.example", "other");
    phone.register("Contact: <sip:1001@192.0.2.9:5070>\r\n");
    phone.reload(
        "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[domain]]\nname = \"a.example\"\ndefault = true\n",
    );
    let mut removed: Vec<_> = stored(&phone.outputs)
        .into_iter()
        .map(|op| match op {
            StoreOp::RemoveBinding(key) => (&*key.domain, &*key.user),
            other => panic!("bindings are removed, and nothing else happens: {other:?}"),
        })
        .collect();
    removed.sort_unstable();
    assert_eq!(removed, [("a.example", "1001"), ("b.example", "1001")]);
}

#[test]
fn a_digest_uri_elsewhere_in_the_domain_is_accepted_and_one_of_another_domain_is_not() {
    let mut phone = Phone::new("1001", "secret");
    phone.digest_uri(Some("sip:192.0.2.1:5060"));
    assert_eq!(phone.register(CONTACT).status().unwrap().code(), 200);
    phone.digest_uri(Some("sip:b.example"));
    assert_eq!(phone.register(CONTACT).status().unwrap().code(), 401);
}
