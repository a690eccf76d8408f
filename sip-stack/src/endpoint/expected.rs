//! Dialogs that a NOTIFY creates on the side of the subscriber (RFC 6665 §4.4.1).
//!
//! Bound: the user's own subscriptions. Left out on purpose: judging the NOTIFY; the user ends a dialog that it does not want.

use super::{Endpoint, Request};
use crate::dialog::{Dialog, DialogId, Origin};
use crate::message::Method;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What the dialogs of a SUBSCRIBE of ours begin with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Expected {
    contact: Bytes,
    cseq: u32,
    owner: u64,
}

impl Endpoint {
    /// From now on a NOTIFY with this Call-ID and tag of ours that is in no dialog creates one, which belongs to `owner`: tell
    /// it before the SUBSCRIBE is sent, and again when it is repeated with another CSeq number. `contact` is the value of our
    /// Contact in it. The NOTIFY comes as [`Event::Request`](super::Event::Request) in that dialog.
    pub fn expect_notify(&mut self, call_id: &[u8], tag: &[u8], cseq: u32, contact: Bytes, owner: u64) {
        let key = self.key_of_expected(call_id, tag);
        self.expected.insert(key, Expected { contact, cseq, owner });
    }

    /// No NOTIFY creates a dialog for this SUBSCRIBE any more; those that there are stay.
    pub fn expect_no_notify(&mut self, call_id: &[u8], tag: &[u8]) {
        let key = self.key_of_expected(call_id, tag);
        self.expected.remove(&key);
    }

    fn key_of_expected(&self, call_id: &[u8], tag: &[u8]) -> u128 {
        self.hasher.hash(&[b"notify", call_id, tag])
    }

    /// The dialog that a NOTIFY creates which we wait for.
    pub(super) fn dialog_of_notify(&mut self, request: &Request) -> Option<DialogId> {
        let message = &request.message;
        if self.expected.is_empty() || message.method() != Some(Method::Notify) {
            return None;
        }
        let to = message.to().ok()?;
        let tag = to.tag()?;
        let key = self.key_of_expected(message.call_id().ok()?, tag);
        let Expected { contact, cseq, owner } = self.expected.get(&key)?.clone();
        let origin = Origin { contact, flow: request.flow, owner };
        let dialog = Dialog::of_notify(message, Bytes::copy_from_slice(tag), cseq, origin).ok()?;
        let key = dialog.key(&self.hasher);
        let id = self.dialogs.insert(dialog);
        self.dialog_keys.insert(key, id);
        Some(id)
    }
}
