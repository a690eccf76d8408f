//! What a REGISTER asks for (RFC 3261 §10.3 steps 6 and 7), with Path (RFC 3327 §5.3) and outbound (RFC 5626 §6).
//!
//! Which hop of a Path is the first: RFC 5626 §6 asks for `ob` in "the first URI". That is the proxy the phone itself
//! talks to, whose value stands last, because every proxy puts its own on top.

use super::{AddressOfRecord, Binding, OUTBOUND, PATH};
use crate::config::Registration;
use bytes::Bytes;
use core::num::NonZeroU32;
use core::time::Duration;
use sip_stack::Time;
use sip_stack::endpoint::Request;
use sip_stack::header::{Contact, HeaderName, NameAddr, number::delta_seconds};
use sip_stack::message::Message;
use smallvec::SmallVec;

/// Proxies between a phone and us, at most.
const MAX_HOPS: usize = 16;
/// A Contact URI, an instance, a Call-ID or a hop of a Path, in bytes: push parameters (RFC 8599) make long ones.
const MAX_TEXT: usize = 1_024;
/// RFC 3261 §10.3 step 7: a lifetime of an hour or more is never too brief.
const HOUR_S: u32 = 3_600;

/// Why a REGISTER fails after authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A contact wants to be bound for too short a time: 423 with Min-Expires (RFC 3261 §10.3 step 7).
    TooBrief { min_expires_s: u32 },
    /// Malformed contacts or Path, `*` with an expiry (§10.3 step 6), several contacts beside a `reg-id` (RFC 5626 §6):
    /// 400.
    Malformed,
    /// CSeq not higher than that of the last REGISTER of this Call-ID (§10.3 step 7): 500.
    OutOfOrder,
    /// A proxy wrote a Path that the phone does not know of: 420 (RFC 3327 §5.3).
    PathUnsupported,
    /// The phone wants outbound, the proxy before it cannot: 439 (RFC 5626 §6).
    FirstHopLacksOutbound,
    /// More contacts than a user may have, or a longer text than is kept: 513.
    TooLarge,
    /// A contact that leads back to the user: 403 (RFC 5627 §5.1).
    Loop,
}

/// What a REGISTER asks for, contact by contact. A lifetime of zero seconds removes.
pub(super) type Wishes = SmallVec<[(Binding, u32); 1]>;

/// What all contacts of a REGISTER have in common.
pub(super) struct Asking<'a> {
    pub(super) now: Time,
    pub(super) request: &'a Request,
    /// See [`Request::identity`].
    pub(super) identity: u64,
    pub(super) limits: Registration,
    /// The user's bindings so far.
    pub(super) known: Option<&'a AddressOfRecord>,
    pub(super) user_agent: Bytes,
    pub(super) path: Box<[Bytes]>,
    /// `reg-id` counts.
    pub(super) outbound: bool,
}

impl Asking<'_> {
    /// What the Contact values ask for.
    pub(super) fn wishes(&self, contacts: &[Contact<'_>]) -> Result<Wishes, Refusal> {
        // As many to go as to come.
        if contacts.len() > 2 * self.limits.max_contacts as usize {
            return Err(Refusal::TooLarge);
        }
        let expires = self.request.message.expires().ok().flatten();
        let wishes = contacts
            .iter()
            .map(|contact| self.wish(contact, expires))
            .collect::<Result<Wishes, Refusal>>()?;
        // RFC 5626 §6: a registration over a flow is for one contact; others may only be removed beside it.
        let mut bound = wishes.iter().filter(|(_, lifetime_s)| *lifetime_s > 0);
        if bound.clone().count() > 1 && bound.any(|(binding, _)| binding.reg_id.is_some()) {
            return Err(Refusal::Malformed);
        }
        Ok(wishes)
    }

    /// What one Contact value asks for: its lifetime from its parameter, else from Expires, else the usual one.
    fn wish(&self, contact: &Contact<'_>, expires: Option<u32>) -> Result<(Binding, u32), Refusal> {
        let limits = &self.limits;
        let wanted_s = contact.expires.or(expires).unwrap_or(limits.default_expires_s);
        if wanted_s > 0 && wanted_s < limits.min_expires_s.min(HOUR_S) {
            return Err(Refusal::TooBrief { min_expires_s: limits.min_expires_s });
        }
        if !contact.address.uri.is_sip() {
            return Err(Refusal::Malformed);
        }
        let lifetime_s = wanted_s.min(limits.max_expires_s);
        let (call_id, cseq) = sequence(self.request);
        let (uri, instance) = (contact.address.uri.text, instance(contact));
        if [uri, instance.unwrap_or_default(), call_id].iter().any(|text| text.len() > MAX_TEXT) {
            return Err(Refusal::TooLarge);
        }
        let known = self.known.and_then(|aor| aor.bindings.iter().find(|binding| binding.contact == uri));
        let binding = Binding {
            contact: kept(known.map(|known| &known.contact), uri),
            q: contact.q.unwrap_or(1_000),
            expires_at: self.now + Duration::from_secs(u64::from(lifetime_s)),
            call_id: kept(known.map(|known| &known.call_id), call_id),
            cseq,
            identity: self.identity,
            flow: self.request.flow,
            connected: self.request.flow.transport.is_reliable(),
            instance: instance
                .map(|instance| kept(known.and_then(|known| known.instance.as_ref()), instance)),
            reg_id: reg_id(contact).filter(|_| self.outbound),
            path: match known {
                Some(known) if known.path == self.path => known.path.clone(),
                Some(_) | None => self.path.clone(),
            },
            user_agent: self.user_agent.clone(),
        };
        Ok((binding, lifetime_s))
    }
}

/// Call-ID and CSeq number.
pub(super) fn sequence(request: &Request) -> (&[u8], u32) {
    (request.message.call_id().unwrap_or_default(), request.message.cseq().map_or(0, |cseq| cseq.number))
}

/// Whether the sender of a request says that it knows the extension `tag`.
pub(super) fn announces(message: &Message, tag: &[u8]) -> bool {
    message.supported().chain(message.require()).any(|announced| announced.eq_ignore_ascii_case(tag))
}

/// The proxies that want requests for the contact to pass through them (RFC 3327 §5.3), topmost first. `trusted` is whether
/// a configured peer sent the request.
pub(super) fn path(message: &Message, trusted: bool) -> Result<Box<[Bytes]>, Refusal> {
    let mut hops: SmallVec<[Bytes; 2]> = SmallVec::new();
    for value in message.list(HeaderName::Path) {
        // RFC 3327 §4: in the form of a Route, with `lr`.
        let hop = NameAddr::parse_bracketed(value).map_err(|_| Refusal::Malformed)?;
        if !hop.uri.is_sip() || !hop.uri.params.contains(b"lr") {
            return Err(Refusal::Malformed);
        }
        if hops.len() == MAX_HOPS || value.len() > MAX_TEXT {
            return Err(Refusal::TooLarge);
        }
        // It is kept for long, and in the database one to a line.
        hops.push(value.iter().map(|octet| if octet.is_ascii_control() { b' ' } else { *octet }).collect());
    }
    // The recommended policy: a phone that cannot read the Path in our answer would never learn who stands between. Few
    // phones announce it, so proxies that the operator knows are taken at their word.
    if !hops.is_empty() && !trusted && !announces(message, PATH) {
        return Err(Refusal::PathUnsupported);
    }
    Ok(hops.into_vec().into_boxed_slice())
}

/// Whether `reg-id` counts (RFC 5626 §6): there is one, and the phone talks to us or to a proxy that keeps its flow.
pub(super) fn outbound(message: &Message, contacts: &[Contact<'_>], path: &[Bytes]) -> Result<bool, Refusal> {
    if !contacts.iter().any(|contact| reg_id(contact).is_some()) {
        return Ok(false);
    }
    let keeps_flows =
        |hop: &Bytes| NameAddr::parse_bracketed(hop).is_ok_and(|hop| hop.uri.params.contains(b"ob"));
    match is_direct(message) || path.last().is_some_and(keeps_flows) {
        true => Ok(true),
        false if announces(message, OUTBOUND) => Err(Refusal::FirstHopLacksOutbound),
        false => Ok(false),
    }
}

/// Whether the REGISTER came from the phone itself.
pub(super) fn is_direct(message: &Message) -> bool {
    message.vias().count() == 1
}

/// A `reg-id` of 1 to 2³¹−1; without an instance it is ignored (RFC 5626 §6).
fn reg_id(contact: &Contact<'_>) -> Option<NonZeroU32> {
    instance(contact)?;
    let id = delta_seconds(contact.address.params.value(b"reg-id")?)?;
    NonZeroU32::new(id).filter(|id| id.get() < 1 << 31)
}

fn instance<'a>(contact: &Contact<'a>) -> Option<&'a [u8]> {
    contact.address.params.value(b"+sip.instance")
}

/// `text`, shared with the binding that is refreshed where that has the same, else copied: a binding outlives the
/// datagram by far.
fn kept(known: Option<&Bytes>, text: &[u8]) -> Bytes {
    match known {
        Some(known) if known == text => known.clone(),
        Some(_) | None => Bytes::copy_from_slice(text),
    }
}
