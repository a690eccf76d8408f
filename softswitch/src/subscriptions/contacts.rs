//! The bindings of a user, for itself (RFC 3680). What has happened to a contact is what differs from the state before.

use super::bodies::{Document, fitting};
use super::ledger::Ledger;
use super::subject::uri;
use crate::core::environment::Environment;
use crate::registrar::Binding;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::event::body::DocumentState;
use sip_stack::event::body::reg_info::{Contact, ContactEvent, RegInfo, Registration, RegistrationState};

/// Up to so many contacts are told whole.
const FEW: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bound {
    uri: Box<str>,
    event: ContactEvent,
    expires_at: Time,
    q: u16,
    call_id: Box<str>,
    cseq: u32,
}

impl Bound {
    fn new(binding: &Binding, event: ContactEvent) -> Bound {
        Bound {
            uri: String::from_utf8_lossy(&binding.contact).into(),
            event,
            expires_at: binding.expires_at,
            q: binding.q,
            call_id: String::from_utf8_lossy(&binding.call_id).into(),
            cseq: binding.cseq,
        }
    }

    fn is_as(&self, other: &Bound) -> bool {
        let event = self.event;
        *self == Bound { event, ..other.clone() }
    }
}

/// Brings the rows to what is bound now; whether that changed anything.
pub(super) fn update(contacts: &mut Ledger<Bound>, env: &Environment, bindings: &[Binding]) -> bool {
    let name_of = |binding: &Binding| {
        let reg_id = binding.reg_id.map_or(0, core::num::NonZeroU32::get).to_be_bytes();
        let instance = binding.instance.as_deref().unwrap_or_default();
        env.endpoint.hasher().hash(&[b"contact", &binding.contact, instance, &reg_id]) as u64
    };
    let mut changed = false;
    let gone: Vec<(u64, bool)> = contacts
        .live()
        .filter(|(name, _)| !bindings.iter().any(|binding| name_of(binding) == *name))
        .map(|(name, bound)| (name, bound.expires_at <= env.now))
        .collect();
    for (name, is_expired) in gone {
        let event = if is_expired { ContactEvent::Expired } else { ContactEvent::Unregistered };
        changed |= contacts.end(name, |bound| bound.event = event);
    }
    for binding in bindings {
        let name = name_of(binding);
        let before = contacts.live().find(|(known, _)| *known == name).map(|(_, bound)| bound);
        let event = if before.is_some() { ContactEvent::Refreshed } else { ContactEvent::Registered };
        let bound = Bound::new(binding, event);
        if before.is_none_or(|before| !before.is_as(&bound)) {
            changed |= contacts.put(name, bound);
        }
    }
    changed
}

/// The document for those who heard the change `since` as the last.
pub(super) fn compose(
    contacts: &Ledger<Bound>,
    now: Time,
    user: &str,
    host: &str,
    (since, is_full): (u64, bool),
) -> Document {
    let (is_full, rows) = contacts.told(since, is_full, FEW);
    let contact_of = |(name, is_over, bound): &(u64, bool, &Bound)| {
        let mut contact = Contact::new(format!("{name:x}"), bound.uri.clone(), bound.event);
        contact.expires_s = (!*is_over).then(|| bound.expires_at.since(now).as_secs());
        contact.q = (bound.q != 1_000).then_some(bound.q);
        contact.call_id = Some(bound.call_id.clone());
        contact.cseq = Some(bound.cseq);
        contact
    };
    let state = match (contacts.live().next().is_some(), contacts.changes()) {
        (true, _) => RegistrationState::Active,
        (false, 0) => RegistrationState::Init,
        (false, _) => RegistrationState::Terminated,
    };
    let document_state = if is_full { DocumentState::Full } else { DocumentState::Partial };
    let body = fitting(rows.len(), |count| {
        let contacts = rows.iter().take(count).map(contact_of).collect();
        let aor = uri(Some(user), host).into();
        let registration = Registration { aor, id: "1".into(), state, contacts };
        RegInfo { version: 0, state: document_state, registrations: vec![registration] }.compose()
    });
    Document::versioned(body)
}
