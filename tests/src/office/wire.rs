//! What has passed on the wire that calls and records are judged by: who has sent BYE or CANCEL in which dialog, and whom the switch has asked.

use crate::model::tape::Moment;
use crate::sim::SWITCH;
use bytes::Bytes;
use sip_stack::Time;
use sip_stack::message::{Message, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What has passed.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// The Call-ID of the dialog in which the switch has this tag as the callee of a caller.
    callers: BTreeMap<Bytes, Bytes>,
    /// When the first BYE or CANCEL of a phone came to the switch, by Call-ID.
    pub(super) given_up: BTreeMap<Bytes, Time>,
    /// INVITEs of the switch that begin something: to whom.
    pub(super) asked: BTreeMap<(Bytes, Bytes), SocketAddr>,
    seen: BTreeSet<(SocketAddr, Bytes)>,
}

/// A dialog that a phone begins, or that reaches it.
#[derive(Debug)]
pub(super) struct New {
    /// Where the phone is.
    pub(super) phone: SocketAddr,
    /// The phone begins it.
    pub(super) begun: bool,
    /// Its Call-ID.
    pub(super) call_id: Bytes,
}

impl Wire {
    /// Takes what has left or arrived; the dialog that begins with it.
    pub(super) fn take(&mut self, moment: &Moment) -> Option<New> {
        let datagram = &moment.datagram;
        if !datagram.bytes.first().is_some_and(u8::is_ascii_uppercase) {
            return None;
        }
        let message = Message::parse(datagram.bytes.clone()).ok()?;
        let cseq = message.cseq().ok()?;
        let call_id = Bytes::copy_from_slice(message.call_id().ok()?);
        let tag = message.to().ok()?.tag().map(Bytes::copy_from_slice);
        let is_invite = *cseq.method.as_bytes() == *Method::Invite.as_bytes();
        match message.status() {
            Some(_) if is_invite && !moment.arrives && datagram.from == SWITCH => {
                if let Some(tag) = tag {
                    self.callers.insert(tag, call_id);
                }
                None
            }
            Some(_) => None,
            None if is_invite && tag.is_none() => {
                let ours = datagram.from == SWITCH;
                if ours && !moment.arrives {
                    let branch = Bytes::copy_from_slice(message.via().ok()?.branch?);
                    self.asked.insert((call_id.clone(), branch), datagram.to);
                }
                // What a phone begins is known when it leaves, what reaches it when it arrives.
                let (phone, is_now) =
                    if ours { (datagram.to, moment.arrives) } else { (datagram.from, !moment.arrives) };
                let is_new = is_now && self.seen.insert((phone, call_id.clone()));
                is_new.then_some(New { phone, begun: !ours, call_id })
            }
            None => {
                let gives_up = [Method::Bye, Method::Cancel]
                    .iter()
                    .any(|method| *cseq.method.as_bytes() == *method.as_bytes());
                if gives_up && moment.arrives && datagram.to == SWITCH {
                    self.given_up.entry(call_id).or_insert(moment.at);
                }
                None
            }
        }
    }

    /// The dialog of the caller of the record with this id, which ends with the tag of the switch in it.
    #[must_use]
    pub(super) fn caller_of(&self, record: &str) -> Option<&Bytes> {
        let (_, tag) = record.split_once('-')?;
        self.callers.get(tag.as_bytes())
    }
}
