//! `application/reginfo+xml` (RFC 3680 §5): where a user is registered.
//!
//! Left out on purpose: parameters of a contact that RFC 3261 does not know, languages of display names.

pub use super::reg_table::RegistrationTable;

use super::composer::Composer;
use super::presence::{decimal, thousandths};
use super::version::DocumentState;
use super::word::words;
use super::xml::{Element, Space};
use super::{BodyError, MAX_ROWS};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:reginfo";

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegInfo {
    /// Its number within the subscription, from 0.
    pub version: u32,
    /// Whether it names every contact or those that have changed.
    pub state: DocumentState,
    /// Addresses of record.
    pub registrations: Vec<Registration>,
}

/// An address of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its URI.
    pub aor: Box<str>,
    /// Names it in the subscription.
    pub id: Box<str>,
    /// Whether anything is bound to it.
    pub state: RegistrationState,
    /// What is bound to it, or was.
    pub contacts: Vec<Contact>,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Names it in the subscription.
    pub id: Box<str>,
    /// Whether it is bound.
    pub state: ContactState,
    /// What has made it so.
    pub event: ContactEvent,
    /// The URI.
    pub uri: Box<str>,
    /// The display name.
    pub display_name: Option<Box<str>>,
    /// Seconds for which it is bound.
    pub expires_s: Option<u64>,
    /// Seconds after which its owner is expected to register again.
    pub retry_after_s: Option<u64>,
    /// Seconds for which it has been bound.
    pub duration_registered_s: Option<u64>,
    /// The preference in thousandths, 0 to 1000.
    pub q: Option<u16>,
    /// The Call-ID of the last REGISTER.
    pub call_id: Option<Box<str>>,
    /// The CSeq number of the last REGISTER.
    pub cseq: Option<u32>,
}

impl Contact {
    /// A contact of which no more is known.
    pub fn new(id: impl Into<Box<str>>, uri: impl Into<Box<str>>, event: ContactEvent) -> Contact {
        Contact {
            id: id.into(),
            state: event.state(),
            event,
            uri: uri.into(),
            display_name: None,
            expires_s: None,
            retry_after_s: None,
            duration_registered_s: None,
            q: None,
            call_id: None,
            cseq: None,
        }
    }
}

words! {
    /// How an address of record stands (§4.7.1).
    RegistrationState {
        /// Nothing was ever bound to it.
        Init = "init",
        /// Something is bound to it.
        Active = "active",
        /// Nothing is bound to it any longer.
        Terminated = "terminated",
    }
}

words! {
    /// How a contact stands.
    ContactState {
        /// It is bound.
        Active = "active",
        /// It no longer is.
        Terminated = "terminated",
    }
}

words! {
    /// What has happened to a contact (§4.7.1).
    ContactEvent {
        /// A REGISTER has bound it.
        Registered = "registered",
        /// An administrator has bound it.
        Created = "created",
        /// A REGISTER has prolonged it.
        Refreshed = "refreshed",
        /// The registrar has shortened its life.
        Shortened = "shortened",
        /// Its time is over.
        Expired = "expired",
        /// An administrator has removed it, and it may come back at once.
        Deactivated = "deactivated",
        /// An administrator has removed it, and it may come back later.
        Probation = "probation",
        /// A REGISTER has removed it.
        Unregistered = "unregistered",
        /// An administrator has removed it, and it is not to come back.
        Rejected = "rejected",
    }
}

impl ContactEvent {
    /// The state it leads to.
    pub const fn state(self) -> ContactState {
        match self {
            ContactEvent::Registered
            | ContactEvent::Created
            | ContactEvent::Refreshed
            | ContactEvent::Shortened => ContactState::Active,
            ContactEvent::Expired
            | ContactEvent::Deactivated
            | ContactEvent::Probation
            | ContactEvent::Unregistered
            | ContactEvent::Rejected => ContactState::Terminated,
        }
    }
}

impl RegInfo {
    /// The document as a body.
    pub fn compose(&self) -> Bytes {
        let mut to = Composer::new("reginfo", NAMESPACE);
        to.attribute("version", &self.version.to_string()).attribute("state", self.state.word());
        for registration in &self.registrations {
            to.open("registration")
                .attribute("aor", &registration.aor)
                .attribute("id", &registration.id)
                .attribute("state", registration.state.word());
            for contact in &registration.contacts {
                compose_contact(&mut to, contact);
            }
            to.close();
        }
        to.finish()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`]; [`BodyError::TooMany`] when there are more than [`MAX_ROWS`] registrations or contacts.
    pub fn parse(body: &[u8]) -> Result<RegInfo, BodyError> {
        let root = Element::parse(body, Space::RegInfo, "reginfo")?;
        let registrations: Vec<Registration> =
            root.all("registration").map(read_registration).collect::<Result<_, _>>()?;
        let contacts: usize = registrations.iter().map(|registration| registration.contacts.len()).sum();
        if registrations.len().max(contacts) > MAX_ROWS {
            return Err(BodyError::TooMany);
        }
        Ok(RegInfo {
            version: root.required_number("version")?,
            state: root.word("state", DocumentState::of_word)?,
            registrations,
        })
    }
}

fn compose_contact(to: &mut Composer, contact: &Contact) {
    to.open("contact")
        .attribute("id", &contact.id)
        .attribute("state", contact.state.word())
        .attribute("event", contact.event.word())
        .attribute_if("duration-registered", contact.duration_registered_s)
        .attribute_if("expires", contact.expires_s)
        .attribute_if("retry-after", contact.retry_after_s)
        .attribute_if("q", contact.q.map(decimal))
        .attribute_if("callid", contact.call_id.as_deref())
        .attribute_if("cseq", contact.cseq)
        .element("uri", &contact.uri)
        .element_if("display-name", contact.display_name.as_deref())
        .close();
}

fn read_registration(element: &Element) -> Result<Registration, BodyError> {
    Ok(Registration {
        aor: element.required("aor")?.into(),
        id: element.required("id")?.into(),
        state: element.word("state", RegistrationState::of_word)?,
        contacts: element.all("contact").map(read_contact).collect::<Result<_, _>>()?,
    })
}

fn read_contact(element: &Element) -> Result<Contact, BodyError> {
    Ok(Contact {
        id: element.required("id")?.into(),
        state: element.word("state", ContactState::of_word)?,
        event: element.word("event", ContactEvent::of_word)?,
        uri: element.one("uri").ok_or(BodyError::Missing("uri"))?.text().into(),
        display_name: element.text_of("display-name"),
        expires_s: element.number("expires"),
        retry_after_s: element.number("retry-after"),
        duration_registered_s: element.number("duration-registered"),
        q: element.attribute("q").and_then(thousandths),
        call_id: element.owned("callid"),
        cseq: element.number("cseq"),
    })
}
