//! The target set of a request (RFC 3261 §16.5): whom it is forwarded to, and in which order (§16.6).

use crate::message::Uri;
use crate::transport::Flow;
use bytes::Bytes;
use core::cmp::Reverse;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Targets of one request; those beyond are left out.
pub const MAX_TARGETS: usize = 64;

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The ways to it, in the order in which they are tried (§16.6 step 7, RFC 5626 §7); at least one.
    pub ways: SmallVec<[Hop; 1]>,
    /// Preference in thousandths: the highest is tried first, equals at once.
    pub q: u16,
}

/// One way to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The Request-URI.
    pub uri: Bytes,
    /// Route values that go before those of the request (RFC 3327 §5.4); of loose routers.
    pub routes: Box<[Bytes]>,
    /// The flow to the next hop.
    pub flow: Flow,
    /// How the next hop reaches us: the sent-by of our Via, the host of our Record-Route.
    pub sent_by: Bytes,
}

impl Hop {
    /// §16.5: the same target is tried once. What registered behind two translators has two flows.
    fn is_same_as(&self, other: &Hop) -> bool {
        let equivalent = || {
            self.uri == other.uri
                || matches!((Uri::parse(&self.uri), Uri::parse(&other.uri)), (Ok(a), Ok(b)) if a.equivalent(&b))
        };
        self.flow == other.flow && self.routes == other.routes && equivalent()
    }
}

/// The set in the order of preference, without repetitions and targets that have no way.
pub(super) fn ordered(targets: impl IntoIterator<Item = Target>) -> VecDeque<Target> {
    let mut set: VecDeque<Target> = VecDeque::new();
    for target in targets {
        let Some(first) = target.ways.first() else { continue };
        let known = set.iter().any(|other| other.ways.first().is_some_and(|other| other.is_same_as(first)));
        if !known && set.len() < MAX_TARGETS {
            set.push_back(target);
        }
    }
    set.make_contiguous().sort_by_key(|target| Reverse(target.q));
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ListenerId, Transport};

    fn target(uri: &'static str, port: u16, q: u16) -> Target {
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 5060).into(),
            peer: ([192, 0, 2, 2], port).into(),
        };
        let (uri, sent_by) = (Bytes::from_static(uri.as_bytes()), Bytes::new());
        Target { ways: SmallVec::from_vec(vec![Hop { uri, routes: Box::default(), flow, sent_by }]), q }
    }

    #[test]
    fn targets_stand_in_the_order_of_preference_and_each_once() {
        let set = ordered([
            target("sip:b@h", 1, 500),
            target("sip:a@h", 1, 1000),
            target("SIP:b@H", 1, 700),
            target("sip:b@h", 2, 500),
            Target { ways: SmallVec::new(), q: 1000 },
        ]);
        let uris: Vec<_> = set.iter().map(|target| (&target.ways[0].uri[..], target.q)).collect();
        assert_eq!(uris, [(&b"sip:a@h"[..], 1000), (b"sip:b@h", 500), (b"sip:b@h", 500)]);
    }

    #[test]
    fn no_more_than_64_targets_are_tried() {
        assert_eq!(ordered((0..100).map(|port| target("sip:b@h", port, 1))).len(), MAX_TARGETS);
    }
}
