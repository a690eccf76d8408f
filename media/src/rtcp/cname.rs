//! The canonical name of an endpoint: given, or random for the life of a session (RFC 3550 §6.5.1, RFC 7022 §4.2).
//!
//! A random name is 96 bits in base64, which tells nobody who or where we are. All legs of one endpoint that are to be
//! played in step share one name.
//!
//! Left out on purpose: names made of a user and a host, which tell.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use thiserror::Error;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A canonical name: 1 to 255 octets of UTF-8 without NUL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SmallVec<[u8; 16]>", into = "SmallVec<[u8; 16]>")]
pub struct Cname(SmallVec<[u8; 16]>);

/// Not a canonical name: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a canonical name has 1 to 255 octets of UTF-8 without NUL")]
pub struct InvalidCname;

impl Cname {
    /// The name that 96 random bits make: 16 characters of base64.
    #[must_use]
    pub fn random(bits: [u8; 12]) -> Self {
        let (groups, _) = bits.as_chunks::<3>();
        Self(groups.iter().flat_map(base64).collect())
    }

    /// A name of the caller's.
    ///
    /// # Errors
    /// [`InvalidCname`] when it is empty, longer than 255 octets or holds a NUL.
    pub fn given(name: &str) -> Result<Self, InvalidCname> {
        SmallVec::from_slice(name.as_bytes()).try_into()
    }

    /// Its octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many there are, 1 to 255.
    pub(super) fn length(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }
}

impl TryFrom<SmallVec<[u8; 16]>> for Cname {
    type Error = InvalidCname;

    fn try_from(octets: SmallVec<[u8; 16]>) -> Result<Self, InvalidCname> {
        let fits = (1..=255).contains(&octets.len()) && !octets.contains(&0);
        if fits && core::str::from_utf8(&octets).is_ok() { Ok(Self(octets)) } else { Err(InvalidCname) }
    }
}

impl From<Cname> for SmallVec<[u8; 16]> {
    fn from(name: Cname) -> Self {
        name.0
    }
}

/// Four characters for three octets (RFC 4648 §4).
fn base64(group: &[u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
    [18, 12, 6, 0].map(|shift| BASE64[(bits >> shift & 0x3f) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_name_is_sixteen_characters_of_base64() {
        let bits = [0x14, 0xfb, 0x9c, 0x03, 0xd9, 0x7e, 0xff, 0xff, 0xff, 0, 0, 0];
        assert_eq!(Cname::random(bits).as_bytes(), b"FPucA9l+////AAAA");
    }

    #[test]
    fn a_given_name_has_1_to_255_octets_without_nul() {
        assert_eq!(Cname::given("pbx").unwrap().as_bytes(), b"pbx");
        assert_eq!(Cname::given(&"x".repeat(255)).unwrap().length(), 255);
        assert_eq!(Cname::given(&"x".repeat(256)), Err(InvalidCname));
        assert_eq!(Cname::given(""), Err(InvalidCname));
        assert_eq!(Cname::given("a\0b"), Err(InvalidCname));
    }

    #[test]
    fn a_stored_name_is_checked_again() {
        let stored = postcard::to_allocvec(&Cname::random([7; 12])).unwrap();
        assert_eq!(postcard::from_bytes::<Cname>(&stored).unwrap(), Cname::random([7; 12]));
        let empty: SmallVec<[u8; 16]> = SmallVec::new();
        assert!(postcard::from_bytes::<Cname>(&postcard::to_allocvec(&empty).unwrap()).is_err());
    }
}
