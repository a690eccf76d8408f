//! What a subscriber knows of registrations, brought together from full and partial documents (RFC 3680 §5.2).

use super::reg_info::{Contact, ContactState, RegInfo, Registration, RegistrationState};
use super::version::{DocumentState, Order, Version};
use super::{BodyError, MAX_ROWS};
use serde::{Deserialize, Serialize};

/// Addresses of record with the contacts that are bound to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationTable {
    version: Version,
    registrations: Vec<Registration>,
    left_out: u64,
}

impl RegistrationTable {
    /// The addresses of record, in the order they were told of; contacts that are no longer bound are gone.
    pub fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// Registrations and contacts that found no room, of [`MAX_ROWS`].
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Reads a body and takes it.
    ///
    /// # Errors
    /// [`BodyError`]; nothing has changed then.
    pub fn read(&mut self, body: &[u8]) -> Result<Order, BodyError> {
        RegInfo::parse(body).map(|document| self.take(document))
    }

    /// Takes a document. After a gap what it says is taken nevertheless, and the subscriber asks for everything.
    pub fn take(&mut self, document: RegInfo) -> Order {
        let order = self.version.order(document.version, document.state);
        match order {
            Order::Stale => return order,
            Order::Next | Order::Gap => self.version.set(document.version),
        }
        if document.state == DocumentState::Full {
            self.registrations.clear();
        }
        for registration in document.registrations {
            self.take_registration(registration);
        }
        order
    }

    fn take_registration(&mut self, told: Registration) {
        let mut rows: usize = self.registrations.iter().map(|known| known.contacts.len()).sum();
        let at = match self.registrations.iter().position(|known| known.id == told.id) {
            Some(at) => at,
            None if self.registrations.len() >= MAX_ROWS => {
                self.left_out += 1;
                return;
            }
            None => {
                self.registrations.push(Registration { contacts: Vec::new(), ..told.clone() });
                self.registrations.len() - 1
            }
        };
        let known = &mut self.registrations[at];
        (known.aor, known.state) = (told.aor, told.state);
        if known.state != RegistrationState::Active {
            known.contacts.clear();
        }
        for contact in told.contacts {
            match known.contacts.iter().position(|known: &Contact| known.id == contact.id) {
                _ if contact.state == ContactState::Terminated => {
                    known.contacts.retain(|known| known.id != contact.id);
                }
                Some(at) => known.contacts[at] = contact,
                None if rows >= MAX_ROWS => self.left_out += 1,
                None => {
                    known.contacts.push(contact);
                    rows += 1;
                }
            }
        }
    }
}
