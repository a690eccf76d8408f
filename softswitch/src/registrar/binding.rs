//! A binding of an address of record to a contact (RFC 3261 §10.3).

use crate::config::DomainId;
use crate::store::{BindingKey, StoredBinding};
use bytes::Bytes;
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
    /// The contacts, in the order they were bound.
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
    /// Where the REGISTER came from and in.
    pub flow: Flow,
    /// `+sip.instance` (RFC 5626 §4.1).
    pub instance: Option<Bytes>,
    /// User-Agent of the last REGISTER.
    pub user_agent: Bytes,
}

impl Binding {
    /// Whether it is for the same contact (§10.3 compares URIs by §19.1.4), or for the same phone, which then has a new
    /// address.
    ///
    /// Deviation: RFC 5626 §6 replaces by instance and reg-id together. Phones that send an instance alone leave a dead
    /// contact behind at each restart. Contacts of one REGISTER never replace each other.
    pub fn is_replaced_by(&self, other: &Binding) -> bool {
        let same_request = self.cseq == other.cseq && self.call_id == other.call_id;
        self.is_for(&other.contact)
            || (!same_request && self.instance.is_some() && self.instance == other.instance)
    }

    /// Whether `contact` is its URI.
    pub fn is_for(&self, contact: &[u8]) -> bool {
        self.contact == contact
            || matches!((Uri::parse(&self.contact), Uri::parse(contact)), (Ok(a), Ok(b)) if a.equivalent(&b))
    }

    pub(crate) fn stored(
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
            source: self.flow.peer,
            local: self.flow.local,
            user_agent: self.user_agent.clone(),
            path: Vec::new(),
        }
    }

    pub(crate) fn key(&self, domain: &Arc<str>, user: &Arc<str>) -> BindingKey {
        BindingKey { domain: domain.clone(), user: user.clone(), contact: self.contact.clone() }
    }
}
