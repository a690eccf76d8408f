//! Nonces without state (RFC 7616 §3.3 `nonce`): each carries its time of issue and a serial number under a keyed hash.
//!
//! A server recognises a nonce it issued, and its age, by recomputing the hash; issuing leaves nothing behind, so a
//! flood of unauthenticated requests costs no memory. Not bound to an address: requests of one user may come by
//! different proxies (RFC 7616 §3.3).
//!
//! A nonce is short on purpose: with a `cnonce` of up to 16 characters the text of an MD5 response fits into two blocks,
//! and hashing blocks is what a REGISTER costs. 64 bits of hash are enough for what cannot be tried offline; whoever
//! guessed one would still need the password.

use crate::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;
use std::fmt;

/// The bits of a time that make room for the serial number: a nonce's age is known to 1.024 µs.
const SERIAL_MASK: u64 = (1 << 10) - 1;
/// 64 bits in base64url (RFC 4648 §5), the most significant first.
const HALF: usize = 11;
/// The stamp (time of issue and serial number), and its SipHash-2-4.
const CHARACTERS: usize = 2 * HALF;

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

    /// A nonce that no other call returns, unless there are 1,024 within a microsecond; then two clients share one, and
    /// the second is challenged again.
    pub fn issue(&mut self, now: Time) -> NonceText {
        self.serial = self.serial.wrapping_add(1);
        let stamp = now.0 & !SERIAL_MASK | self.serial & SERIAL_MASK;
        let mut text = [0; CHARACTERS];
        let (first, second) = text.split_at_mut(HALF);
        first.copy_from_slice(&encode(stamp));
        second.copy_from_slice(&encode(self.tag(stamp)));
        NonceText(text)
    }

    /// Whether `nonce` was issued with this key, and not too long ago.
    pub fn check(&self, nonce: &[u8], now: Time) -> NonceCheck {
        let Some((stamp, id)) = decode_both(nonce) else { return NonceCheck::Forged };
        if self.tag(stamp) != id {
            return NonceCheck::Forged;
        }
        let issued = Time(stamp & !SERIAL_MASK);
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

    fn tag(&self, stamp: u64) -> u64 {
        SipHasher24::new_with_key(&self.key).hash(&stamp.to_be_bytes())
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

/// A nonce as it stands in a challenge: 22 characters that need no quoting.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceText([u8; CHARACTERS]);

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
    pub(super) id: u64,
}

impl Fresh {
    /// When the nonce was issued, at most 1.024 µs too early.
    pub const fn issued(&self) -> Time {
        self.issued
    }

    /// The nonce's keyed hash: evenly spread, and not to be chosen by a peer.
    pub const fn id(&self) -> u64 {
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

fn encode(mut value: u64) -> [u8; HALF] {
    let mut text = [0; HALF];
    for character in text.iter_mut().rev() {
        *character = ALPHABET[(value & 63) as usize];
        value >>= 6;
    }
    text
}

fn decode_both(text: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = text.split_at_checked(HALF)?;
    Some((decode(first.try_into().ok()?)?, decode(second.try_into().ok()?)?))
}

fn decode(text: &[u8; HALF]) -> Option<u64> {
    let (mut value, mut seen) = (0, 0);
    for character in text {
        let digit = VALUES[usize::from(*character)];
        seen |= digit;
        value = value << 6 | u64::from(digit & 63);
    }
    // The first character has the four bits that are left: more would be a second spelling.
    let one_spelling = VALUES[usize::from(text[0])] < 16;
    (seen < 64 && one_spelling).then_some(value)
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
        for age in [Duration::ZERO, LIFETIME - Duration::from_nanos(1_024)] {
            let NonceCheck::Fresh(fresh) = nonces.check(nonce.as_bytes(), NOW + age) else {
                panic!("{age:?}")
            };
            assert!(NOW.since(fresh.issued()) < Duration::from_nanos(1_024));
        }
        assert_eq!(nonces.check(nonce.as_bytes(), NOW + LIFETIME), NonceCheck::Expired);
        assert_eq!(nonces.check(nonce.as_bytes(), Time(0)), NonceCheck::Expired);
    }

    #[test]
    fn nonces_issued_in_the_same_instant_differ() {
        let mut nonces = nonces();
        let issued: BTreeSet<Vec<u8>> = (0..1_024).map(|_| nonces.issue(NOW).as_bytes().to_vec()).collect();
        assert_eq!(issued.len(), 1_024);
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
        assert_eq!(nonces.check(&nonce.as_bytes()[..CHARACTERS - 1], NOW), NonceCheck::Forged);
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
        fn a_value_has_one_spelling(value in any::<u64>(), first in any::<u8>()) {
            let mut text = encode(value);
            prop_assert_eq!(decode(&text), Some(value));
            let changed = core::mem::replace(&mut text[0], first) != first;
            prop_assert!(!changed || decode(&text) != Some(value));
        }
    }
}
