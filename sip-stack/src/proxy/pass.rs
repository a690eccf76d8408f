//! What passes within a dialog of others: sent on without state, by the route that we have recorded (RFC 3261 §16.11, §16.6).
//! ACK, CANCEL and the responses go the same way.
//!
//! Nothing is sent again here: both ends do that. A response goes back by what stands in our Via, so that it must be one to a
//! request that we have passed (RFC 6026 §7.3 forbids others).

use super::branch;
use super::forward::is_for_realm;
use super::route::{Way, recorded_way};
use super::validate::{Refusal, check_extensions, hops_left, max_breadth};
use crate::Endpoint;
use crate::endpoint::Event;
use crate::header::NameAddr;
use crate::message::onward::{Onward, is_identity};
use crate::message::{Mandatory, Message, Method, Status, Uri};
use crate::transaction::KeyHasher;
use crate::transport::{Flow, next_hop, response_flow};

/// A message within a dialog of others; [`pass`] sends it on. Our routes do not end with their call: the user looks whether that
/// still lives, and [`refuse`]s the request if not.
#[derive(Clone, Debug)]
pub struct Passing {
    /// The message, as it came.
    pub message: Message,
    /// Where it came from.
    pub from: Flow,
    /// Where it goes.
    pub to: Flow,
    /// Of a request: what [`super::Forwarding::stamp`] was when its dialog began.
    pub stamp: Option<u32>,
}

/// A request that goes on by our route, whose key `hasher` has.
pub(crate) fn passing_request(
    hasher: &KeyHasher,
    message: &Message,
    fields: &Mandatory<'_>,
    from: Flow,
) -> Option<Event> {
    let (to, stamp) = recorded_way(hasher, message, fields)?;
    Some(Event::Passing(Box::new(Passing { message: message.clone(), from, to, stamp })))
}

/// A response that goes back by our Via.
pub(crate) fn passing_response(hasher: &KeyHasher, message: &Message, from: Flow) -> Option<Event> {
    let to = branch::way_back(hasher, message)?;
    Some(Event::Passing(Box::new(Passing { message: message.clone(), from, to, stamp: None })))
}

/// Answers a request with that status instead of sending it on; an ACK is dropped.
pub fn refuse(endpoint: &mut Endpoint, passing: &Passing, status: Status) {
    refuse_with(endpoint, passing, &Refusal::of(status));
}

fn refuse_with(endpoint: &mut Endpoint, passing: &Passing, refusal: &Refusal) {
    if passing.message.is_request() && passing.message.method() != Some(Method::Ack) {
        endpoint.refuse_passing(&passing.message, passing.from, refusal);
    }
}

/// Sends it on; where it went. `sent_by` is how the peer at [`Passing::to`] reaches us, `is_our_realm` whether credentials for that
/// realm are for us: they go no further (§22.3), and neither does what the sender says of who it is.
///
/// # Errors
/// 483 or 420 (§16.3), which has been answered, unless it was an ACK: that is dropped.
pub fn pass(
    endpoint: &mut Endpoint,
    passing: &Passing,
    sent_by: &[u8],
    is_our_realm: impl Fn(&[u8]) -> bool,
) -> Result<Flow, Refusal> {
    let Passing { message, from, to, .. } = passing;
    if !message.is_request() {
        if let Some(bytes) = message.without_top_via(&[]) {
            endpoint.send_on(*to, bytes);
        }
        return Ok(*to);
    }
    let checked = hops_left(message).and_then(|hops| check_extensions(message).map(|()| hops));
    let max_forwards = match checked {
        Ok(hops) => hops,
        Err(refusal) => {
            refuse_with(endpoint, passing, &refusal);
            return Err(refusal);
        }
    };
    let hasher = endpoint.hasher();
    let mut last = Vec::new();
    let mut way = Way::of(endpoint.route_hasher(), message, 0);
    let next = way.routes.first().and_then(|first| NameAddr::parse(first).ok()).map(|first| first.uri);
    let next = next.or_else(|| Uri::parse(way.uri).ok());
    let to = next.map_or(*to, |uri| next_hop(*to, &uri));
    way.postprocess(&mut last);
    let back = message.via().map_or(*from, |via| response_flow(*from, &via));
    let Some(branch) = branch::without_state(hasher, message, &back) else { return Ok(to) };
    let transport = to.transport.name().as_bytes();
    let via = [b"SIP/2.0/", transport, b" ", sent_by, b";rport;branch=", &branch].concat();
    let bytes = message.onward(&Onward {
        uri: way.uri,
        via: &via,
        source: from.peer,
        record_route: &[],
        routes: &way.routes,
        max_forwards,
        max_breadth: max_breadth(message).max(1),
        consumed: &|name, value| is_identity(name) || is_for_realm(name, value, &is_our_realm),
    });
    endpoint.send_on(to, bytes);
    Ok(to)
}
