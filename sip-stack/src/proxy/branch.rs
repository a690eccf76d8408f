//! The branch of a request on its way through us (RFC 3261 §16.6 step 8 as RFC 5393 §4.2 has it; §16.11 without state).
//!
//! | sent | branch |
//! |---|---|
//! | with state | cookie, 16 random characters, `.`, 16 digits of the hash by which a loop is seen |
//! | without state | cookie, 16 digits of the hash of the branch that came, `.`, the flow that the response goes back on |

use super::token::{self, Place};
use crate::header::{HeaderName, MAGIC_COOKIE, Via};
use crate::message::Message;
use crate::transaction::KeyHasher;
use crate::transport::Flow;
use smallvec::{SmallVec, smallvec};

/// What everything depends on that decides where a request goes (RFC 5393 §4.2.1), and Call-ID, so that a collision does not
/// last. The method is no part of it: CANCEL and ACK have the branch of their INVITE.
///
/// The hash is keyed and therefore ours alone: which Vias are our own (§4.2.2) is seen by it, whatever our addresses were.
pub(super) fn loop_hash(hasher: &KeyHasher, request: &Message) -> [u8; 16] {
    let [call_id, from] =
        [HeaderName::CallId, HeaderName::From].map(|name| request.header(name).unwrap_or_default());
    let mut parts: SmallVec<[&[u8]; 12]> = smallvec![&b"loop"[..], request.request_uri(), call_id, from];
    for name in [
        HeaderName::Route,
        HeaderName::ProxyRequire,
        HeaderName::ProxyAuthorization,
        HeaderName::Authorization,
        HeaderName::Replaces,
    ] {
        parts.push(name.as_bytes());
        parts.extend(request.headers(name));
    }
    digits(hasher.hash(&parts))
}

/// Whether the request has passed us before just as it is now (RFC 5393 §4.2.2).
pub(super) fn has_looped(request: &Message, hash: &[u8; 16]) -> bool {
    let is_ours = |via: Via<'_>| {
        let branch = via.branch.and_then(|branch| branch.strip_prefix(MAGIC_COOKIE));
        branch.and_then(|branch| branch.strip_suffix(hash)).is_some_and(|rest| rest.ends_with(b"."))
    };
    // Vias of others are not taken apart further than they have to be (§4.2.4).
    request.vias().flatten().any(is_ours)
}

/// A branch of a request that is sent with state.
pub(super) fn with_state(random: &[u8; 16], loop_hash: &[u8; 16]) -> Vec<u8> {
    [MAGIC_COOKIE, random, b".", loop_hash].concat()
}

/// The branch of a request that is sent without state: the same for each copy of it, and for its ACK and CANCEL.
pub(super) fn without_state(hasher: &KeyHasher, request: &Message, back: &Flow) -> Option<Vec<u8>> {
    let hash = came_with(hasher, request, 0)?;
    let token = token::seal(hasher, Place::Via, [&hash, b""], (back, None));
    Some([MAGIC_COOKIE, &hash, b".", token.as_bytes()].concat())
}

/// Where a response goes back to whose request we have sent without state; `None` for any other.
pub(super) fn way_back(hasher: &KeyHasher, response: &Message) -> Option<Flow> {
    let branch = response.via().ok()?.branch?.strip_prefix(MAGIC_COOKIE)?;
    let (hash, rest) = branch.split_at_checked(16)?;
    let token = rest.strip_prefix(b".")?;
    // §16.11: it equals the one that the next Via leads to.
    (came_with(hasher, response, 1)? == *hash).then_some(())?;
    token::open(hasher, Place::Via, [hash, b""], token).map(|(flow, _)| flow)
}

/// The hash of what tells the transactions of the hop before us apart: the branch in the Via at that place, and where that is no
/// such branch what §16.11 lists.
fn came_with(hasher: &KeyHasher, message: &Message, place: usize) -> Option<[u8; 16]> {
    let via = message.vias().nth(place)?.ok()?;
    let branch = via.branch.unwrap_or_default();
    let call_id = message.call_id().ok()?;
    if via.is_rfc3261_branch() {
        return Some(digits(hasher.hash(&[b"came with", branch, via.host, call_id])));
    }
    let from = message.from().ok()?;
    let number = message.cseq().ok()?.number.to_be_bytes();
    let from_tag = from.tag().unwrap_or_default();
    Some(digits(hasher.hash(&[b"came with 2543", branch, via.host, from_tag, call_id, &number])))
}

/// The upper half of a hash in hexadecimal digits.
fn digits(hash: u128) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(hash >> (64 + 4 * place)) as usize & 15];
    }
    digits
}
