//! Phones behind address translators: where calls to them go, and how the way there is kept open (RFC 3261 §18,
//! RFC 3581, RFC 4787 §4.3).
//!
//! Left out on purpose: keep-alives over streams and of phones with outbound (RFC 5626 §4.4), which ping by themselves.

mod keep_alive;

pub(crate) use keep_alive::KeepAlives;

use crate::config::ContactPolicy;
use sip_stack::message::Uri;
use sip_stack::transport::{Flow, Transport, next_hop};
use std::net::{IpAddr, SocketAddr};

/// The flow of a request that opens a dialog with the phone that registered `contact` over `flow`.
///
/// Requests within a dialog go by [`next_hop`] whatever the policy. A stream is a connection of the phone: no policy
/// leaves it.
pub(crate) fn flow_to(policy: ContactPolicy, flow: Flow, contact: &[u8]) -> Flow {
    let Ok(uri) = Uri::parse(contact) else { return flow };
    match (policy, flow.transport, uri.ip()) {
        (ContactPolicy::AsSent, Transport::Udp, Some(ip)) if is_same_family(ip, flow.peer.ip()) => {
            Flow { peer: SocketAddr::new(ip, uri.port.unwrap_or(flow.transport.default_port())), ..flow }
        }
        (ContactPolicy::Source, _, _) => flow,
        (ContactPolicy::Auto | ContactPolicy::AsSent, _, _) => next_hop(flow, &uri),
    }
}

/// Whether the phone that registered `contact` over `flow` is behind a translator: its Contact names another host than
/// the one it was heard from. A name counts as another host.
fn is_translated(flow: Flow, contact: &[u8]) -> bool {
    let host = Uri::parse(contact).ok().and_then(|uri| uri.ip());
    host.is_none_or(|host| host.to_canonical() != flow.peer.ip().to_canonical())
}

fn is_same_family(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical().is_ipv4() == b.to_canonical().is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::transport::ListenerId;

    const CONTACT: &[u8] = b"sip:1001@10.0.0.7:5062";

    fn flow(transport: Transport, peer: &str) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { listener: ListenerId(0), transport, local, peer: peer.parse().unwrap() }
    }

    fn peer(policy: ContactPolicy, peer: &str, contact: &[u8]) -> String {
        flow_to(policy, flow(Transport::Udp, peer), contact).peer.to_string()
    }

    #[test]
    fn a_call_goes_to_the_source_or_to_the_contact_as_the_policy_says() {
        let translated = "203.0.113.5:40123";
        assert_eq!(peer(ContactPolicy::Auto, translated, CONTACT), translated);
        assert_eq!(peer(ContactPolicy::Source, translated, CONTACT), translated);
        assert_eq!(peer(ContactPolicy::AsSent, translated, CONTACT), "10.0.0.7:5062");
        let direct = "10.0.0.7:40000";
        assert_eq!(peer(ContactPolicy::Auto, direct, CONTACT), "10.0.0.7:5062");
        assert_eq!(peer(ContactPolicy::Source, direct, CONTACT), direct);
    }

    #[test]
    fn a_contact_that_cannot_be_reached_as_sent_is_reached_at_its_source() {
        let source = "203.0.113.5:40123";
        assert_eq!(peer(ContactPolicy::AsSent, source, b"sip:1001@phone.invalid"), source);
        assert_eq!(peer(ContactPolicy::AsSent, source, b"sip:1001@[2001:db8::7]"), source);
        let stream = flow(Transport::Tls, source);
        assert_eq!(flow_to(ContactPolicy::AsSent, stream, CONTACT), stream);
    }

    #[test]
    fn a_phone_is_translated_when_its_contact_names_another_host() {
        assert!(is_translated(flow(Transport::Udp, "203.0.113.5:40123"), CONTACT));
        assert!(is_translated(flow(Transport::Udp, "10.0.0.7:5062"), b"sip:1001@phone.invalid"));
        assert!(!is_translated(flow(Transport::Udp, "10.0.0.7:40000"), CONTACT));
        assert!(!is_translated(flow(Transport::Udp, "[::ffff:10.0.0.7]:5062"), CONTACT));
    }
}
