//! Contact: where a user agent can be reached (RFC 3261 §20.10, §10.2).

use super::NameAddr;
use super::number::{delta_seconds, qvalue};
use crate::message::{Offence, list::Elements};
use smallvec::SmallVec;

/// All contacts of a message.
#[derive(Clone, Debug)]
pub enum Contacts<'a> {
    /// `*`: in a REGISTER, every binding (§10.2.2).
    Star,
    /// Addresses in order over all fields; empty when there is no Contact at all.
    List(SmallVec<[Contact<'a>; 1]>),
}

/// One contact.
#[derive(Clone, Copy, Debug)]
pub struct Contact<'a> {
    /// Address, display name and parameters.
    pub address: NameAddr<'a>,
    /// The preference in thousandths, 0 to 1000.
    pub q: Option<u16>,
    /// The lifetime in seconds; a malformed one counts as 3600, an overlarge one as 2³²−1 (§20.10).
    pub expires: Option<u32>,
}

impl<'a> Contact<'a> {
    /// Reads one contact.
    ///
    /// # Errors
    /// As [`NameAddr::parse`], and when `q` is malformed.
    pub fn parse(text: &'a [u8]) -> Result<Contact<'a>, Offence> {
        let address = NameAddr::parse(text)?;
        let q = match address.params.get(b"q") {
            Some(param) => Some(param.value.and_then(qvalue).ok_or(Offence::Parameters)?),
            None => None,
        };
        let expires =
            address.params.get(b"expires").map(|param| param.value.and_then(delta_seconds).unwrap_or(3600));
        Ok(Contact { address, q, expires })
    }
}

impl<'a> Contacts<'a> {
    /// Reads the values of all Contact fields.
    ///
    /// # Errors
    /// The first offence met; [`Offence::StarAmongOthers`] when `*` is not alone.
    pub fn parse(values: impl Iterator<Item = &'a [u8]>) -> Result<Contacts<'a>, Offence> {
        let mut list = SmallVec::new();
        let mut star = false;
        for element in values.flat_map(Elements::new) {
            if star || (element == b"*" && !list.is_empty()) {
                return Err(Offence::StarAmongOthers);
            }
            if element == b"*" {
                star = true;
            } else {
                list.push(Contact::parse(element)?);
            }
        }
        Ok(if star { Contacts::Star } else { Contacts::List(list) })
    }

    /// The addresses; none for `*`.
    pub fn as_slice(&self) -> &[Contact<'a>] {
        match self {
            Contacts::Star => &[],
            Contacts::List(list) => list,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &[u8]) -> Result<Contacts<'_>, Offence> {
        Contacts::parse(core::iter::once(value))
    }

    #[test]
    fn a_star_stands_alone() {
        assert!(matches!(parse(b" * "), Ok(Contacts::Star)));
        assert_eq!(parse(b"*, <sip:a@h>").unwrap_err(), Offence::StarAmongOthers);
        assert_eq!(parse(b"<sip:a@h>, *").unwrap_err(), Offence::StarAmongOthers);
    }

    #[test]
    fn preference_and_lifetime_are_read_from_the_header_parameters() {
        let contacts = parse(
            b"\"A, B\" <sip:a@h;q=1>;q=0.33;expires=60, sip:b@h;expires=x, sip:c@h;expires=99999999999",
        );
        let contacts = contacts.unwrap();
        let read: Vec<_> = contacts.as_slice().iter().map(|contact| (contact.q, contact.expires)).collect();
        assert_eq!(read, [(Some(330), Some(60)), (None, Some(3600)), (None, Some(u32::MAX))]);
    }

    #[test]
    fn malformed_contacts_are_refused() {
        assert!(parse(b"").is_err());
        assert!(parse(b"<sip:a@h>,").is_err());
        assert!(parse(b"\"Joe\" <sip:joe@example.org>;;;;").is_err());
        assert!(parse(b"<sip:a@h>;q=2").is_err());
    }
}
