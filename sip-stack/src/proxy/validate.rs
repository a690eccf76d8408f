//! Whether a request may be forwarded at all (RFC 3261 §16.3, RFC 5393 §4.2.2, §5.3.3). Syntax was looked at when it came
//! (`message::validate`), credentials are the user's business.

use super::branch;
use crate::header::HeaderName;
use crate::message::{Message, Status};
use crate::transaction::KeyHasher;

/// Concurrent branches that a request may lead to where it says nothing, and at most (RFC 5393 §5.3.3).
pub(super) const MAX_BREADTH: u32 = 60;

/// Why a request is not forwarded: what a user agent server answers (§16.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: Status,
    /// A field that goes with it.
    pub header: Option<(HeaderName, Vec<u8>)>,
}

impl Refusal {
    pub(super) const fn of(status: Status) -> Refusal {
        Refusal { status, header: None }
    }
}

/// Max-Forwards of the request when it is forwarded (§16.6 step 3).
///
/// # Errors
/// 483 when it has arrived at zero (§16.3 item 3).
pub(super) fn hops_left(request: &Message) -> Result<u8, Refusal> {
    match request.max_forwards().ok().flatten() {
        None => Ok(70),
        Some(hops) => hops.checked_sub(1).ok_or(Refusal::of(Status::TOO_MANY_HOPS)),
    }
}

/// §16.3 item 5: we know no extension that a proxy could be required to know.
pub(super) fn check_extensions(request: &Message) -> Result<(), Refusal> {
    let unknown: Vec<&[u8]> = request.proxy_require().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let unsupported = (HeaderName::Unsupported, unknown.join(&b", "[..]));
    Err(Refusal { status: Status::BAD_EXTENSION, header: Some(unsupported) })
}

/// §16.3 items 2 to 5 of a request that is to be forwarded with state.
pub(super) fn check(hasher: &KeyHasher, request: &Message) -> Result<(), Refusal> {
    if !request.uri().is_ok_and(|uri| uri.is_sip()) {
        return Err(Refusal::of(Status::UNSUPPORTED_URI_SCHEME));
    }
    hops_left(request)?;
    if branch::has_looped(request, &branch::loop_hash(hasher, request)) {
        return Err(Refusal::of(Status::LOOP_DETECTED));
    }
    check_extensions(request)?;
    match max_breadth(request) {
        0 => Err(Refusal::of(Status::MAX_BREADTH_EXCEEDED)),
        _ => Ok(()),
    }
}

/// The incoming Max-Breadth (RFC 5393 §5.3.3); what cannot be read counts as missing.
pub(super) fn max_breadth(request: &Message) -> u32 {
    let value = request.header(HeaderName::MaxBreadth).and_then(crate::header::number::delta_seconds);
    value.map_or(MAX_BREADTH, |breadth| breadth.min(MAX_BREADTH))
}
