//! The state of a dialog (RFC 3261 §12), how it is created (§12.1), and what it does to the requests in it (§12.2).

use super::resumption::{BEYOND, Resumption};
use super::route_set::{Route, RouteSet};
use super::{InviteUsage, UsageAction};
use crate::header::{HeaderError, HeaderName, NameAddr, Replaces};
use crate::message::{Mandatory, Message, Method, Offence, Uri, Writer};
use crate::table::Id;
use crate::time::Time;
use crate::transaction::{Armed, KeyHasher, TransactionId};
use crate::transport::{Flow, next_hop};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Refers to one dialog; it may have ended.
pub type DialogId = Id<Dialog>;

/// Early until the final response (§12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogState {
    /// Created by a provisional response.
    Early,
    /// Created or confirmed by a 2xx.
    Confirmed,
}

/// A request whose CSeq number is lower than one that came before (§12.2.2): 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CSeq {got} after {expected}")]
pub struct SequenceError {
    /// The number in the request.
    pub got: u32,
    /// The highest number so far.
    pub expected: u32,
}

/// A dialog, as seen from our side.
#[derive(Debug, Serialize, Deserialize)]
pub struct Dialog {
    state: DialogState,
    call_id: Bytes,
    local_tag: Bytes,
    remote_tag: Bytes,
    /// From of our requests: name-addr with our tag.
    local: Bytes,
    /// To of our requests: name-addr with the peer's tag, if it has one.
    remote: Bytes,
    /// Our Contact value.
    contact: Bytes,
    remote_target: Bytes,
    route_set: RouteSet,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    flow: Flow,
    owner: u64,
    pub(crate) usage: InviteUsage,
    /// Our BYE, which waits for the ACK of our 2xx (§15).
    pub(crate) held_bye: Option<TransactionId>,
    /// The user has ended the dialog; it is kept for the BYE, or for a 2xx, alone.
    pub(crate) ended: bool,
    /// Until when it is kept though it is over: a 2xx to an INVITE of ours may come, maybe again (RFC 6026 §7.2).
    pub(crate) invited_until: Option<Time>,
    pub(crate) armed: Option<Armed>,
}

/// Who and where a new dialog belongs to.
pub(crate) struct Origin {
    pub(crate) contact: Bytes,
    pub(crate) flow: Flow,
    pub(crate) owner: u64,
}

impl Dialog {
    /// The dialog that our response with `local_tag` creates (§12.1.1); that to an INVITE or a SUBSCRIBE.
    ///
    /// # Errors
    /// From, To, CSeq, Call-ID or Contact of the request does not parse.
    pub(crate) fn of_server(
        request: &Message,
        local_tag: Bytes,
        origin: Origin,
    ) -> Result<Dialog, HeaderError> {
        let from = request.header(HeaderName::From).unwrap_or_default();
        let to = request.header(HeaderName::To).unwrap_or_default();
        let tag = request.from()?.tag().unwrap_or_default();
        Ok(Dialog {
            // A SUBSCRIBE makes no early one (RFC 6665 §4.2.1.1).
            state: match request.method() {
                Some(Method::Subscribe | Method::Notify) => DialogState::Confirmed,
                Some(_) | None => DialogState::Early,
            },
            call_id: Bytes::copy_from_slice(request.call_id()?),
            remote_tag: Bytes::copy_from_slice(tag),
            local: with_tag(to, &local_tag),
            local_tag,
            remote: Bytes::copy_from_slice(from),
            contact: origin.contact,
            // §8.1.1.8, §12.1.1: without it nothing could ever be sent to the peer.
            remote_target: contact_uri(request)?
                .ok_or(HeaderError::new(HeaderName::Contact, Offence::Missing))?,
            route_set: RouteSet::of_request(request),
            // §12.1.1 leaves it empty; §8.1.1.5 asks for less than 2^31.
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
            flow: origin.flow,
            owner: origin.owner,
            usage: InviteUsage::default(),
            held_bye: None,
            ended: false,
            invited_until: None,
            armed: None,
        })
    }

    /// The dialog that a NOTIFY creates on the side of the subscriber, whose SUBSCRIBE had the number `cseq` (RFC 6665 §4.4.1).
    ///
    /// # Errors
    /// As [`Dialog::of_server`].
    pub(crate) fn of_notify(
        notify: &Message,
        local_tag: Bytes,
        cseq: u32,
        origin: Origin,
    ) -> Result<Dialog, HeaderError> {
        let dialog = Dialog::of_server(notify, local_tag, origin)?;
        // The request itself is taken like any other in the dialog.
        Ok(Dialog { local_cseq: cseq, remote_cseq: None, ..dialog })
    }

    /// The dialog that `response` creates on the side of the client that sent `request` (§12.1.2).
    ///
    /// # Errors
    /// From, To, CSeq, Call-ID or Contact does not parse.
    pub(crate) fn of_client(
        request: &Message,
        response: &Message,
        origin: Origin,
    ) -> Result<Dialog, HeaderError> {
        Ok(Dialog {
            state: DialogState::Early,
            call_id: Bytes::copy_from_slice(request.call_id()?),
            local_tag: Bytes::copy_from_slice(request.from()?.tag().unwrap_or_default()),
            remote_tag: Bytes::copy_from_slice(response.to()?.tag().unwrap_or_default()),
            local: Bytes::copy_from_slice(request.header(HeaderName::From).unwrap_or_default()),
            remote: Bytes::copy_from_slice(response.header(HeaderName::To).unwrap_or_default()),
            contact: origin.contact,
            remote_target: contact_uri(response)?
                .unwrap_or_else(|| Bytes::copy_from_slice(request.request_uri())),
            route_set: RouteSet::of_response(response),
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
            flow: origin.flow,
            owner: origin.owner,
            usage: InviteUsage::default(),
            held_bye: None,
            ended: false,
            invited_until: None,
            armed: None,
        })
    }

    /// The dialog of a call from before a restart.
    pub(crate) fn resumed(kept: Resumption, origin: Origin) -> Dialog {
        Dialog {
            state: DialogState::Confirmed,
            call_id: kept.call_id,
            local_tag: kept.local_tag,
            remote_tag: kept.remote_tag,
            local: kept.local,
            remote: kept.remote,
            contact: origin.contact,
            remote_target: kept.remote_target,
            route_set: kept.route_set,
            local_cseq: kept.local_cseq.wrapping_add(BEYOND) & 0x7fff_ffff,
            remote_cseq: None,
            flow: origin.flow,
            owner: origin.owner,
            usage: InviteUsage::default(),
            held_bye: None,
            ended: false,
            invited_until: None,
            armed: None,
        }
    }

    /// What has to be kept so that it can be ended after a restart.
    pub fn resumption(&self) -> Resumption {
        Resumption {
            call_id: self.call_id.clone(),
            local_tag: self.local_tag.clone(),
            remote_tag: self.remote_tag.clone(),
            local: self.local.clone(),
            remote: self.remote.clone(),
            remote_target: self.remote_target.clone(),
            route_set: self.route_set.clone(),
            local_cseq: self.local_cseq,
        }
    }

    /// The key of the dialog that a received request belongs to: its To tag is ours (§12).
    pub(crate) fn key_of_request(hasher: &KeyHasher, fields: &Mandatory<'_>) -> Option<u128> {
        let local = fields.to.tag()?;
        Some(key(hasher, fields.call_id, local, fields.from.tag().unwrap_or_default()))
    }

    /// The key of the dialog that a received response belongs to: its From tag is ours.
    pub(crate) fn key_of_response(
        hasher: &KeyHasher,
        response: &Message,
    ) -> Result<Option<u128>, HeaderError> {
        let to = response.to()?;
        let Some(remote) = to.tag() else { return Ok(None) };
        let local = response.from()?;
        Ok(Some(key(hasher, response.call_id()?, local.tag().unwrap_or_default(), remote)))
    }

    /// The key of a dialog that somebody names by its Call-ID and tags (RFC 3891 §3, RFC 3911 §4).
    pub(crate) fn key_of_named(hasher: &KeyHasher, named: &Replaces<'_>) -> u128 {
        key(hasher, named.call_id, named.to_tag, named.from_tag)
    }

    pub(crate) fn key(&self, hasher: &KeyHasher) -> u128 {
        key(hasher, &self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// Early or confirmed.
    pub fn state(&self) -> DialogState {
        self.state
    }

    /// The number the transaction user gave it.
    pub fn owner(&self) -> u64 {
        self.owner
    }

    /// The flow on which the peer was heard last.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &Bytes {
        &self.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &Bytes {
        &self.local_tag
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> &Bytes {
        &self.remote_tag
    }

    /// Gives the dialog to another owner: its call has become part of another one.
    pub(crate) fn set_owner(&mut self, owner: u64) {
        self.owner = owner;
    }

    /// Our Contact value.
    pub fn contact(&self) -> &Bytes {
        &self.contact
    }

    /// Where the peer wants its requests (§12.1).
    pub fn remote_target(&self) -> &Bytes {
        &self.remote_target
    }

    /// A 2xx was sent or received: the dialog is confirmed, and takes target and routes from the 2xx (§13.2.2.4).
    pub(crate) fn confirm(&mut self, response: Option<&Message>) {
        if let Some(response) = response {
            if self.state == DialogState::Early {
                // The user has left the early dialog; now there is something to be ended.
                self.ended = false;
                self.route_set = RouteSet::of_response(response);
            }
            self.refresh_target(response);
        }
        self.state = DialogState::Confirmed;
    }

    /// Checks and takes the CSeq of a request of the peer (§12.2.2); an ACK has the number of its INVITE.
    ///
    /// # Errors
    /// The number is not higher than that of the last request.
    pub(crate) fn handle_request(&mut self, request: &Message, flow: Flow) -> Result<(), SequenceError> {
        let Ok(cseq) = request.cseq() else { return Ok(()) };
        match self.remote_cseq {
            Some(expected) if cseq.number < expected => {
                return Err(SequenceError { got: cseq.number, expected });
            }
            Some(_) | None => self.remote_cseq = Some(cseq.number),
        }
        // The peer is where it was heard last (RFC 3581 §4 for requests: a NAT may have bound it anew).
        self.flow = Flow { peer: flow.peer, ..self.flow };
        // §12.2.2: INVITE is a target refresh request; UPDATE is one too (RFC 3311 §5.2), and SUBSCRIBE and NOTIFY (RFC 6665 §3).
        if matches!(cseq.method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify) {
            self.refresh_target(request);
        }
        Ok(())
    }

    fn refresh_target(&mut self, message: &Message) {
        if let Ok(Some(target)) = contact_uri(message) {
            self.remote_target = target;
        }
    }

    /// Begins a request within the dialog (§12.2.1.1): next CSeq number, route set, tags, Contact. Returns the
    /// writer, the flow that leads to the next hop, and the CSeq number.
    pub(crate) fn request(&mut self, method: Method<'_>, via: &[u8]) -> (Writer, Flow, u32) {
        self.local_cseq = self.local_cseq.wrapping_add(1) & 0x7fff_ffff;
        let (writer, flow) = self.write(method, via, self.local_cseq);
        (writer, flow, self.local_cseq)
    }

    /// The ACK of the 2xx to our INVITE `cseq` (§13.2.2.4).
    pub(crate) fn ack(&self, via: &[u8], cseq: u32) -> (Writer, Flow) {
        self.write(Method::Ack, via, cseq)
    }

    fn write(&self, method: Method<'_>, via: &[u8], cseq: u32) -> (Writer, Flow) {
        let routed = self.route_set.apply(&self.remote_target);
        let mut writer = Writer::request(method, routed.uri);
        writer.header(HeaderName::Via, via);
        for route in &routed.routes {
            match route {
                Route::Stored(route) => writer.header(HeaderName::Route, route),
                Route::RemoteTarget(uri) => writer.header(HeaderName::Route, &[b"<", *uri, b">"].concat()),
            };
        }
        writer.header(HeaderName::MaxForwards, b"70");
        writer.header(HeaderName::From, &self.local);
        writer.header(HeaderName::To, &self.remote);
        writer.header(HeaderName::CallId, &self.call_id);
        writer.cseq(cseq, method);
        // RFC 3261 §20.1 table 2, RFC 3262 §6, RFC 6086 §4.2.4, RFC 3428 §9: it means nothing in these.
        if !matches!(method, Method::Bye | Method::Prack | Method::Info | Method::Message) {
            writer.header(HeaderName::Contact, &self.contact);
        }
        let flow = match Uri::parse(routed.next_hop) {
            Ok(uri) => next_hop(self.flow, &uri),
            Err(_) => self.flow,
        };
        (writer, flow)
    }

    /// Whether it is over for the user, and kept for a 2xx that may come.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.held_bye.is_none()
    }

    /// The user has ended it: whether it is kept, because a 2xx may come whose ACK (§13.2.2.4), or next CSeq number, only it
    /// knows. `until`: how long it is kept, if it is an early one.
    pub(crate) fn linger(&mut self, now: Time, until: Time) -> bool {
        if self.state == DialogState::Early && self.invited_until.is_some() {
            self.invited_until = Some(until);
        }
        let lingers = self.invited_until.is_some_and(|until| now < until);
        if lingers {
            self.ended = true;
            self.usage.keep_acknowledgements();
        }
        lingers
    }

    pub(crate) fn handle_timeout(&mut self, now: Time, timing: crate::transaction::Timing) -> UsageAction {
        self.usage.handle_timeout(now, timing)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        if self.is_over() { self.invited_until } else { self.usage.poll_timeout() }
    }
}

fn key(hasher: &KeyHasher, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> u128 {
    hasher.hash(&[b"dialog", call_id, local_tag, remote_tag])
}

fn with_tag(value: &[u8], tag: &[u8]) -> Bytes {
    match NameAddr::parse(value) {
        Ok(address) if address.tag().is_some() => Bytes::copy_from_slice(value),
        Ok(_) | Err(_) => [value, b";tag=", tag].concat().into(),
    }
}

fn contact_uri(message: &Message) -> Result<Option<Bytes>, HeaderError> {
    let Some(contact) = message.list(HeaderName::Contact).next() else { return Ok(None) };
    let contact =
        NameAddr::parse(contact).map_err(|offence| HeaderError::new(HeaderName::Contact, offence))?;
    Ok(Some(Bytes::copy_from_slice(contact.uri.text)))
}
