//! What has to be kept of a dialog so that it can be ended after a restart (RFC 3261 §12): everything that a request in it is made of.
//!
//! Left out on purpose: what an INVITE leaves running in it (2xx, ACKs, provisional responses). A dialog that is taken up again is there
//! for its BYE.

use super::RouteSet;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How far the CSeq number of a dialog that is taken up again lies beyond the one that was kept. Requests that were sent since have
/// numbers between: a BYE has to have a higher one than all of them (§12.2.1.1), and gaps are allowed.
pub(super) const BEYOND: u32 = 65_536;

/// The identifiers of a dialog, its route set and its remote target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// Call-ID.
    pub call_id: Bytes,
    /// Our tag.
    pub local_tag: Bytes,
    /// The peer's tag.
    pub remote_tag: Bytes,
    /// From of our requests.
    pub local: Bytes,
    /// To of our requests.
    pub remote: Bytes,
    /// The Request-URI, unless a strict router stands in between (§12.2.1.1).
    pub remote_target: Bytes,
    /// The Route values.
    pub route_set: RouteSet,
    /// The number of our last request.
    pub local_cseq: u32,
}
