//! One request to one target (RFC 3261 §16.6).

use super::Work;
use super::branch;
use super::route::{Way, record_route};
use super::target::{Hop, Target};
use super::validate::hops_left;
use crate::auth::Credentials;
use crate::endpoint::Request;
use crate::header::HeaderName;
use crate::message::onward::{Onward, is_identity};
use crate::message::{Method, Uri};
use crate::transaction::TransactionId;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How a request is forwarded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forwarding {
    /// The user's number for the request.
    pub owner: u64,
    /// Whom it goes to (§16.5), in any order.
    pub targets: Vec<Target>,
    /// How the caller's side reaches us, where later requests of the dialog are to come through us (§16.6 step 4).
    pub record_route: Option<Bytes>,
    /// What [`super::Passing::stamp`] is for requests of the dialog, such as the time.
    pub stamp: Option<u32>,
    /// How many Route values at the front mean us ([`super::own_routes`]).
    pub own_routes: usize,
    /// For how long the targets of one preference are asked before the next are.
    pub each: Duration,
    /// When nobody is asked any more.
    pub all: Duration,
    /// The realm whose credentials were for us and go no further (§22.3); empty: none.
    pub realm: Bytes,
    /// Whether the caller may assert who it is (RFC 3325 §5); otherwise what it says of that beside From is left out. What those
    /// say who answer is left out always.
    pub is_trusted: bool,
}

impl Forwarding {
    /// Whether a field was for us, or is not to be believed.
    fn consumes(&self, name: HeaderName, value: &[u8]) -> bool {
        match name {
            name if is_identity(name) => !self.is_trusted,
            name => !self.realm.is_empty() && is_for_realm(name, value, |realm| *realm == self.realm[..]),
        }
    }
}

/// Whether a field has credentials for one of those realms: whoever got them could use them (§22.3). Either field: phones
/// send those of their registration along.
pub(super) fn is_for_realm(name: HeaderName, value: &[u8], is_ours: impl Fn(&[u8]) -> bool) -> bool {
    matches!(name, HeaderName::ProxyAuthorization | HeaderName::Authorization)
        && Credentials::parse(value).is_ok_and(|sent| is_ours(&sent.realm.unquoted()))
}

impl Work<'_> {
    /// Sends the request to one hop with its share of Max-Breadth.
    pub(super) fn send(
        &mut self,
        request: &Request,
        forwarding: &Forwarding,
        hop: &Hop,
        breadth: u32,
    ) -> Option<TransactionId> {
        let message = &request.message;
        let method = message.method().unwrap_or(Method::Other(b""));
        let max_forwards = hops_left(message).ok()?;
        if self.endpoint.sheds(self.now, hop.flow.peer) {
            return None;
        }
        let random = self.endpoint.random().token::<16>();
        let hasher = self.endpoint.hasher();
        let branch = branch::with_state(&random, &branch::loop_hash(hasher, message));
        let (mut last, target) = (Vec::new(), without_headers(&hop.uri));
        let mut way = Way::of(self.endpoint.route_hasher(), message, forwarding.own_routes);
        way.uri = &target;
        way.routes.insert_many(0, hop.routes.iter().map(|route| &route[..]));
        way.postprocess(&mut last);
        let recorded = forwarding.record_route.as_ref().map(|up_host| {
            let sides = [(&request.flow, &up_host[..]), (&hop.flow, &hop.sent_by[..])];
            record_route(self.endpoint.route_hasher(), message, &target, sides, forwarding.stamp)
        });
        let via = self.endpoint.forwarding_via(&hop.sent_by, &hop.flow, &branch);
        let bytes = message.onward(&Onward {
            uri: way.uri,
            via: &via,
            source: request.flow.peer,
            record_route: recorded.as_ref().map_or(&[], |values| &values[..]),
            routes: &way.routes,
            max_forwards,
            max_breadth: breadth,
            consumed: &|name, value| forwarding.consumes(name, value),
        });
        Some(self.endpoint.forward(self.now, method, &branch, bytes, hop.flow, self.owner))
    }
}

/// A Request-URI has neither headers nor a method (§16.6 step 2, §19.1.1).
fn without_headers(uri: &[u8]) -> Vec<u8> {
    let uri = uri.split(|octet| *octet == b'?').next().unwrap_or_default();
    let Ok(parsed) = Uri::parse(uri) else { return uri.to_vec() };
    if !parsed.params.contains(b"method") {
        return uri.to_vec();
    }
    let before = uri.len() - parsed.params.raw().len();
    let mut kept = uri.get(..before).unwrap_or_default().to_vec();
    for param in parsed.params.iter().filter(|param| !param.name.eq_ignore_ascii_case(b"method")) {
        kept.push(b';');
        kept.extend_from_slice(param.name);
        if let Some(value) = param.value {
            kept.push(b'=');
            kept.extend_from_slice(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_method_of_a_target_are_no_part_of_the_request_uri() {
        for (target, uri) in [
            ("sip:b@h", "sip:b@h"),
            ("sip:b@h;transport=tcp;method=BYE;lr?Subject=x", "sip:b@h;transport=tcp;lr"),
            ("sip:b@h;ob?a=b", "sip:b@h;ob"),
        ] {
            assert_eq!(without_headers(target.as_bytes()), uri.as_bytes());
        }
    }
}
