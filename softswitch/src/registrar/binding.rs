//! A binding of an address of record to a contact (RFC 3261 §10.3), or to a flow of a phone (RFC 5626 §6).

use crate::config::DomainId;
use crate::store::{BindingKey, FlowKey, StoredBinding};
use bytes::Bytes;
use core::num::NonZeroU32;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::Uri;
use sip_stack::transaction::Armed;
use sip_stack::transport::Flow;
use smallvec::SmallVec;
use std::sync::Arc;

/// A user with at least one contact, or with none for the moment.
#[derive(Debug, Serialize, Deserialize)]
pub struct AddressOfRecord {
    /// The tenant.
    pub domain: DomainId,
    /// The user.
    pub user: Arc<str>,
    /// The contacts; the one registered or refreshed last stands last.
    pub bindings: SmallVec<[Binding; 1]>,
    pub(crate) armed: Option<Armed>,
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The contact URI, as it was registered.
    pub contact: Bytes,
    /// Preference in thousandths.
    pub q: u16,
    /// When it ends.
    pub expires_at: Time,
    /// Call-ID of the last REGISTER.
    pub call_id: Bytes,
    /// CSeq number of the last REGISTER.
    pub cseq: u32,
    /// What tells the last REGISTER from others with its CSeq number; zero after a restart.
    pub identity: u64,
    /// Where the REGISTER came from and in; once its connection is gone, where another can be opened to.
    pub flow: Flow,
    /// Whether the flow is a connection that the phone has opened, and that has not ended.
    pub connected: bool,
    /// `+sip.instance` (RFC 5626 §4.1), with its quotes.
    pub instance: Option<Bytes>,
    /// `reg-id` (RFC 5626 §4.2.1), where outbound processing applied; there is an instance then.
    pub reg_id: Option<NonZeroU32>,
    /// Path values (RFC 3327), topmost first, each with its angle brackets.
    pub path: Box<[Bytes]>,
    /// User-Agent of the last REGISTER.
    pub user_agent: Bytes,
}

impl Binding {
    /// Whether a REGISTER that asks for `other` means this binding.
    ///
    /// With `reg-id` the flow of the phone counts and nothing else (RFC 5626 §6); without, the contact, compared by
    /// RFC 3261 §19.1.4 (§10.3); between the two kinds, the contact too, unless the phones are known to differ.
    pub fn is_same_as(&self, other: &Binding) -> bool {
        match (self.reg_id, other.reg_id) {
            (Some(ours), Some(theirs)) => ours == theirs && self.instance == other.instance,
            (None, None) => self.is_for(&other.contact),
            (Some(_), None) | (None, Some(_)) => {
                let differ = self.instance.is_some() && other.instance.is_some();
                self.is_for(&other.contact) && (!differ || self.instance == other.instance)
            }
        }
    }

    /// Whether a REGISTER for `other` shows that the phone has moved on: the same instance, without `reg-id`, at another
    /// contact.
    ///
    /// Deviation: RFC 5626 §6 leaves an instance without `reg-id` to the comparison of contacts. Phones that send an
    /// instance alone would leave a dead contact behind at each restart. Contacts of one REGISTER never replace each other
    /// in this way.
    pub fn is_left_behind_by(&self, other: &Binding) -> bool {
        self.reg_id.is_none()
            && other.reg_id.is_none()
            && self.instance.is_some()
            && self.instance == other.instance
    }

    /// Whether `contact` is its URI.
    pub fn is_for(&self, contact: &[u8]) -> bool {
        self.contact == contact
            || matches!((Uri::parse(&self.contact), Uri::parse(contact)), (Ok(a), Ok(b)) if a.equivalent(&b))
    }

    /// Whether the store keeps `other` in place of this one.
    pub(super) fn has_key_of(&self, other: &Binding) -> bool {
        self.contact == other.contact
            && self.reg_id == other.reg_id
            && (self.reg_id.is_none() || self.instance == other.instance)
    }

    pub(super) fn stored(
        &self,
        domain: &Arc<str>,
        user: &Arc<str>,
        expires_at_unix_ms: u64,
    ) -> StoredBinding {
        StoredBinding {
            key: self.key(domain, user),
            instance: self.instance.clone(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            q: self.q,
            expires_at_unix_ms,
            transport: self.flow.transport,
            source: self.flow.peer,
            local: self.flow.local,
            user_agent: self.user_agent.clone(),
            path: self.path.to_vec(),
        }
    }

    pub(super) fn key(&self, domain: &Arc<str>, user: &Arc<str>) -> BindingKey {
        let instance = self.instance.as_ref();
        let flow = self
            .reg_id
            .zip(instance)
            .map(|(reg_id, instance)| FlowKey { instance: instance.clone(), reg_id });
        BindingKey { domain: domain.clone(), user: user.clone(), contact: self.contact.clone(), flow }
    }
}
