//! Phones behind address translators: how the way there is kept open (RFC 4787 §4.3). Where calls to them go is in
//! `registrar/reach.rs`.
//!
//! Left out on purpose: keep-alives over streams, of phones with outbound (RFC 5626 §4.4), which ping by themselves,
//! and of phones behind a proxy (Path), which keeps the way to them open.

mod keep_alive;

pub(crate) use keep_alive::KeepAlives;

use sip_stack::message::Uri;
use sip_stack::transport::Flow;

/// Whether the phone that registered `contact` over `flow` is behind a translator: its Contact names another host than
/// the one it was heard from. A name counts as another host.
fn is_translated(flow: Flow, contact: &[u8]) -> bool {
    let host = Uri::parse(contact).ok().and_then(|uri| uri.ip());
    host.is_none_or(|host| host.to_canonical() != flow.peer.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::transport::{ListenerId, Transport};

    const CONTACT: &[u8] = b"sip:1001@10.0.0.7:5062";

    fn flow(transport: Transport, peer: &str) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { listener: ListenerId(0), transport, local, peer: peer.parse().unwrap() }
    }

    #[test]
    fn a_phone_is_translated_when_its_contact_names_another_host() {
        assert!(is_translated(flow(Transport::Udp, "203.0.113.5:40123"), CONTACT));
        assert!(is_translated(flow(Transport::Udp, "10.0.0.7:5062"), b"sip:1001@phone.invalid"));
        assert!(!is_translated(flow(Transport::Udp, "10.0.0.7:40000"), CONTACT));
        assert!(!is_translated(flow(Transport::Udp, "[::ffff:10.0.0.7]:5062"), CONTACT));
    }
}
