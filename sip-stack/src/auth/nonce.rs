//! Nonces without state (RFC 7616 §3.3 `nonce`): each carries its time of issue and a serial number under a keyed hash.
//!
//! A server recognises a nonce it issued, and its age, by recomputing the hash; issuing leaves nothing behind, so a
//! flood of unauthenticated requests costs no memory. Not bound to an address: requests of one user may come by
//! different proxies (RFC 7616 §3.3).

use crate::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use siphasher::sip128::SipHasher24;
use std::fmt;

/// Eight bytes of time, six of serial number, sixteen of SipHash-2-4-128.
const BYTES: usize = 30;
const STAMP: usize = 14;
/// The same in base64url (RFC 4648 §5): a whole number of groups, so there is one spelling and no padding.
const CHARACTERS: usize = BYTES / 3 * 4;
const SERIAL_MASK: u64 = (1 << 48) - 1;

/// Issues nonces and recognises them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Nonces {
    key: [u8; 16],
    serial: u64,
    lifetime: Duration,
}

impl Nonces {
    /// `key` comes from the core's seeded generator; nonces expire `lifetime` after their issue.
    pub const fn new(key: [u8; 16], lifetime: Duration) -> Nonces {
        Nonces { key, serial: 0, lifetime }
    }

    /// A nonce that no other call returned.
    pub fn issue(&mut self, now: Time) -> NonceText {
        self.serial = self.serial.wrapping_add(1) & SERIAL_MASK;
        let mut bytes = [0; BYTES];
        let (stamp, tag) = bytes.split_at_mut(STAMP);
        let (issued, serial) = stamp.split_at_mut(8);
        issued.copy_from_slice(&now.0.to_be_bytes());
        serial.copy_from_slice(&self.serial.to_be_bytes()[2..]);
        tag.copy_from_slice(&self.tag(stamp).to_be_bytes());
        NonceText(encode(&bytes))
    }

    /// Whether `nonce` was issued with this key, and not too long ago.
    pub fn check(&self, nonce: &[u8], now: Time) -> NonceCheck {
        let Some(bytes) = decode(nonce) else { return NonceCheck::Forged };
        let (stamp, tag) = bytes.split_at(STAMP);
        let id = self.tag(stamp);
        let claimed = tag.iter().fold(0, |tag: u128, byte| tag << 8 | u128::from(*byte));
        if id != claimed {
            return NonceCheck::Forged;
        }
        let issued = Time(stamp.iter().take(8).fold(0, |time: u64, byte| time << 8 | u64::from(*byte)));
        // A nonce from the future was issued before the origin of time moved: it is of no use either.
        if issued > now || now.since(issued) >= self.lifetime {
            return NonceCheck::Expired;
        }
        NonceCheck::Fresh(Fresh { issued, id })
    }

    /// How long a nonce lives.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn tag(&self, stamp: &[u8]) -> u128 {
        SipHasher24::new_with_key(&self.key).hash(stamp).as_u128()
    }
}

impl fmt::Debug for Nonces {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("serial", &self.serial)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// A nonce as it stands in a challenge: 40 characters that need no quoting.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceText(#[serde(with = "serde_text")] [u8; CHARACTERS]);

impl NonceText {
    /// The characters.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for NonceText {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for NonceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceText({})", self.0.escape_ascii())
    }
}

/// What [`Nonces::check`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceCheck {
    /// Issued here and young enough.
    Fresh(Fresh),
    /// Issued here, but too old: challenge again with `stale=true`.
    Expired,
    /// Not issued with this key (or before a restart): challenge again with `stale=true` if the response is right.
    Forged,
}

/// A nonce that was issued here and has not expired; only [`Nonces::check`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub(super) issued: Time,
    pub(super) id: u128,
}

impl Fresh {
    /// When the nonce was issued.
    pub const fn issued(&self) -> Time {
        self.issued
    }

    /// The nonce's keyed hash: evenly spread, and not to be chosen by a peer.
    pub const fn id(&self) -> u128 {
        self.id
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The value of each character, 0xff where there is none.
const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

fn encode(bytes: &[u8; BYTES]) -> [u8; CHARACTERS] {
    let mut text = [0; CHARACTERS];
    for (group, three) in text.chunks_exact_mut(4).zip(bytes.chunks_exact(3)) {
        let bits = three.iter().fold(0, |bits: u32, byte| bits << 8 | u32::from(*byte));
        for (place, character) in group.iter_mut().rev().enumerate() {
            *character = ALPHABET[(bits >> (6 * place) & 63) as usize];
        }
    }
    text
}

fn decode(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != CHARACTERS {
        return None;
    }
    let mut bytes = [0; BYTES];
    let mut unknown = 0;
    for (three, group) in bytes.chunks_exact_mut(3).zip(text.chunks_exact(4)) {
        let bits = group.iter().fold(0, |bits: u32, character| {
            let value = VALUES[usize::from(*character)];
            unknown |= value & 0x80;
            bits << 6 | u32::from(value & 63)
        });
        for (place, byte) in three.iter_mut().rev().enumerate() {
            *byte = (bits >> (8 * place) & 0xff) as u8;
        }
    }
    (unknown == 0).then_some(bytes)
}

/// serde reads arrays of up to 32 elements only.
mod serde_text {
    use super::CHARACTERS;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &[u8; CHARACTERS], to: S) -> Result<S::Ok, S::Error> {
        text.as_slice().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; CHARACTERS], D::Error> {
        let text = Vec::<u8>::deserialize(from)?;
        text.try_into().map_err(|text: Vec<u8>| D::Error::invalid_length(text.len(), &"40 characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LIFETIME: Duration = Duration::from_secs(300);
    const NOW: Time = Time::from_millis(5_000);

    fn nonces() -> Nonces {
        Nonces::new([7; 16], LIFETIME)
    }

    #[test]
    fn a_nonce_is_recognised_with_its_time_of_issue_until_its_lifetime_is_over() {
        let mut nonces = nonces();
        let nonce = nonces.issue(NOW);
        assert!(nonce.as_bytes().len() <= 48);
        for age in [Duration::ZERO, LIFETIME - Duration::from_nanos(1)] {
            let NonceCheck::Fresh(fresh) = nonces.check(nonce.as_bytes(), NOW + age) else {
                panic!("{age:?}")
            };
            assert_eq!(fresh.issued(), NOW);
        }
        assert_eq!(nonces.check(nonce.as_bytes(), NOW + LIFETIME), NonceCheck::Expired);
        assert_eq!(nonces.check(nonce.as_bytes(), Time(0)), NonceCheck::Expired);
    }

    #[test]
    fn nonces_issued_in_the_same_instant_differ() {
        let mut nonces = nonces();
        let issued: BTreeSet<Vec<u8>> = (0..100).map(|_| nonces.issue(NOW).as_bytes().to_vec()).collect();
        assert_eq!(issued.len(), 100);
    }

    #[test]
    fn any_changed_character_and_any_other_key_make_a_forgery() {
        let mut nonces = nonces();
        let nonce = nonces.issue(NOW);
        for at in 0..CHARACTERS {
            for other in [b'A', b'z', b'"', b'=', 0xff] {
                let mut forged = nonce.as_bytes().to_vec();
                if forged[at] != other {
                    forged[at] = other;
                    assert_eq!(nonces.check(&forged, NOW), NonceCheck::Forged);
                }
            }
        }
        assert_eq!(Nonces::new([8; 16], LIFETIME).check(nonce.as_bytes(), NOW), NonceCheck::Forged);
        assert_eq!(nonces.check(&nonce.as_bytes()[..39], NOW), NonceCheck::Forged);
        assert_eq!(nonces.check(b"", NOW), NonceCheck::Forged);
    }

    #[test]
    fn a_restored_snapshot_issues_the_same_next_nonce_and_knows_the_old_ones() {
        let mut nonces = nonces();
        let before = nonces.issue(NOW);
        let mut restored: Nonces = postcard::from_bytes(&postcard::to_allocvec(&nonces).unwrap()).unwrap();
        assert!(matches!(restored.check(before.as_bytes(), NOW), NonceCheck::Fresh(_)));
        assert_eq!(restored.issue(NOW), nonces.issue(NOW));
        let copy: NonceText = postcard::from_bytes(&postcard::to_allocvec(&before).unwrap()).unwrap();
        assert_eq!(copy, before);
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", nonces()), "Nonces { serial: 0, lifetime: 300s, .. }");
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_a_forgery(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(nonces().check(&text, NOW), NonceCheck::Forged);
        }

        #[test]
        fn base64url_comes_back(bytes in any::<[u8; BYTES]>()) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
