//! The route set of a dialog (RFC 3261 §12.1.1, §12.1.2) and how it shapes a request (§12.2.1.1).

use crate::header::{HeaderName, NameAddr};
use crate::message::Message;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The URIs, each with its angle brackets and parameters, that a request of the dialog passes through, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSet(SmallVec<[Bytes; 1]>);

impl RouteSet {
    /// Of the user agent server: the Record-Route of the request, in order (§12.1.1).
    pub fn of_request(request: &Message) -> RouteSet {
        RouteSet(request.list(HeaderName::RecordRoute).map(Bytes::copy_from_slice).collect())
    }

    /// Of the user agent client: the Record-Route of the response, in reverse (§12.1.2).
    pub fn of_response(response: &Message) -> RouteSet {
        let mut routes = RouteSet::of_request(response);
        routes.0.reverse();
        routes
    }

    /// Request-URI and Route values of a request to `remote_target`, with the first hop that it goes to (§12.2.1.1).
    pub fn apply<'a>(&'a self, remote_target: &'a [u8]) -> Routed<'a> {
        let Some(first) = self.0.first() else {
            return Routed { uri: remote_target, routes: SmallVec::new(), next_hop: remote_target };
        };
        let (uri, loose) = match NameAddr::parse(first) {
            Ok(first) => (first.uri.text, first.uri.params.contains(b"lr")),
            Err(_) => (remote_target, true),
        };
        if loose {
            let routes = self.0.iter().map(|route| Route::Stored(route)).collect();
            return Routed { uri: remote_target, routes, next_hop: uri };
        }
        // A strict router (RFC 2543): it gets its own URI as Request-URI, the remote target goes last.
        let mut routes: SmallVec<[Route<'a>; 2]> =
            self.0.iter().skip(1).map(|route| Route::Stored(route)).collect();
        routes.push(Route::RemoteTarget(remote_target));
        Routed { uri, routes, next_hop: uri }
    }
}

/// What a route set makes of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed<'a> {
    /// The Request-URI.
    pub uri: &'a [u8],
    /// The Route header field values.
    pub routes: SmallVec<[Route<'a>; 2]>,
    /// The URI that the request is sent to (§8.1.2).
    pub next_hop: &'a [u8],
}

/// One Route value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// As it was recorded, with angle brackets.
    Stored(&'a [u8]),
    /// The remote target, to be put in angle brackets.
    RemoteTarget(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(routes: &[&'static str]) -> RouteSet {
        RouteSet(routes.iter().map(|route| Bytes::from_static(route.as_bytes())).collect())
    }

    #[test]
    fn without_routes_the_request_goes_to_the_remote_target() {
        let empty = RouteSet::default();
        let routed = empty.apply(b"sip:bob@192.0.2.4");
        assert_eq!((routed.uri, routed.next_hop), (&b"sip:bob@192.0.2.4"[..], &b"sip:bob@192.0.2.4"[..]));
        assert!(routed.routes.is_empty());
    }

    #[test]
    fn a_loose_router_keeps_the_remote_target_in_the_request_uri() {
        let routes = set(&["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]);
        let routed = routes.apply(b"sip:bob@192.0.2.4");
        assert_eq!(routed.uri, b"sip:bob@192.0.2.4");
        assert_eq!(routed.next_hop, b"sip:p1.example.com;lr");
        assert_eq!(
            routed.routes.as_slice(),
            [Route::Stored(b"<sip:p1.example.com;lr>"), Route::Stored(b"<sip:p2.example.com;lr>"),]
        );
    }

    #[test]
    fn a_strict_router_gets_its_own_uri_and_the_remote_target_goes_last() {
        let routes = set(&["<sip:p1.example.com>", "<sip:p2.example.com;lr>"]);
        let routed = routes.apply(b"sip:bob@192.0.2.4");
        assert_eq!((routed.uri, routed.next_hop), (&b"sip:p1.example.com"[..], &b"sip:p1.example.com"[..]));
        assert_eq!(
            routed.routes.as_slice(),
            [Route::Stored(b"<sip:p2.example.com;lr>"), Route::RemoteTarget(b"sip:bob@192.0.2.4"),]
        );
    }
}
