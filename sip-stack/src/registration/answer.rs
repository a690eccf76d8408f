//! What a 2xx to a REGISTER says (RFC 3261 §10.2.4, RFC 3608 §6.1, RFC 5626 §4.2.1).

use super::flow::Flow;
use crate::header::{Contacts, HeaderName, number::delta_seconds};
use crate::message::{Message, Uri};
use bytes::Bytes;
use core::time::Duration;
use smallvec::SmallVec;

/// A refresh leaves so much time for Timer F and another attempt, when the lifetime is long enough.
const AHEAD: Duration = Duration::from_secs(70);
/// A lifetime of nothing would have us ask without end.
const MIN_LIFETIME_S: u32 = 10;
/// Routes of a Service-Route, at most.
const MAX_ROUTES: usize = 16;

/// Seconds the contact is bound for: its `expires` in the answer, else Expires, else what was asked for.
pub(super) fn granted(flow: &Flow, reg_id: u32, instance: Option<&Bytes>, response: &Message) -> u32 {
    let contacts = response.contacts();
    let list = contacts.as_ref().map(Contacts::as_slice).unwrap_or_default();
    let same_flow = |id: &[u8], of: &[u8]| {
        delta_seconds(id) == Some(reg_id) && instance.is_some_and(|instance| instance == of)
    };
    let ours = Uri::parse(&flow.contact).ok();
    let by_flow = list.iter().find(|contact| {
        let params = contact.address.params;
        let both = params.value(b"reg-id").zip(params.value(b"+sip.instance"));
        flow.outbound && both.is_some_and(|(id, of)| same_flow(id, of))
    });
    let by_uri =
        || list.iter().find(|contact| ours.is_some_and(|ours| ours.equivalent(&contact.address.uri)));
    let listed = by_flow.or_else(by_uri).and_then(|contact| contact.expires);
    listed.or(response.expires().ok().flatten()).unwrap_or(flow.expires_s).max(MIN_LIFETIME_S)
}

/// When to refresh a binding that lasts so many seconds.
pub(super) fn refresh_after(expires_s: u32) -> Duration {
    let lifetime = Duration::from_secs(u64::from(expires_s));
    lifetime.checked_sub(AHEAD).filter(|left| *left > AHEAD).unwrap_or(lifetime / 2)
}

/// The Service-Route, in order; none when it cannot be read, or when it could never be a route.
pub(super) fn service_route(response: &Message) -> SmallVec<[Bytes; 1]> {
    let usable = response.addresses(HeaderName::ServiceRoute).all(|route| route.is_ok());
    let routes = response.list(HeaderName::ServiceRoute);
    let routes: SmallVec<[Bytes; 1]> = routes.take(MAX_ROUTES + 1).map(Bytes::copy_from_slice).collect();
    if usable && routes.len() <= MAX_ROUTES { routes } else { SmallVec::new() }
}

/// Whether the registrar keeps the flow (RFC 5626 §4.2.1).
pub(super) fn is_outbound(response: &Message) -> bool {
    response.require().any(|tag| tag.eq_ignore_ascii_case(b"outbound"))
}

/// How often the registrar wants a keep-alive (RFC 5626 §4.4), in seconds.
pub(super) fn flow_timer_s(response: &Message) -> Option<u32> {
    delta_seconds(response.header(HeaderName::FlowTimer)?)
}
