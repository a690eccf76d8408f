//! Sealing of the records that hold keys: AES-256-GCM (NIST SP 800-38D), `nonce (12) | ciphertext | tag (16)`.
//!
//! A nonce is eight bytes that the operating system drew for this run and a counter of four. The kind of the record is
//! authenticated with it, so that a sealed record cannot stand in for one of another kind.

use core::fmt;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

/// The secret of one installation.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of 32 bytes from the operating system's randomness.
    pub const fn new(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    /// Another key of the installation, that tells nothing of this one: HMAC-SHA-256 of what it is for.
    pub fn derive(&self, purpose: &[u8]) -> [u8; 16] {
        let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), purpose);
        let mut key = [0; 16];
        key.iter_mut().zip(signed.as_ref()).for_each(|(octet, from)| *octet = *from);
        key
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.0).expect("AES-256 takes a key of 32 bytes");
        LessSafeKey::new(key)
    }

    /// What was sealed, or `None` when it was sealed with another key, as another kind, or was changed since.
    pub fn open(&self, kind: u8, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut ciphertext = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.cipher().open_in_place(nonce, Aad::from([kind]), &mut ciphertext).ok()?.len();
        ciphertext.truncate(length);
        Some(ciphertext)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Seals with one key during one run.
pub struct Sealer {
    cipher: LessSafeKey,
    run: [u8; 8],
    sealed: u32,
}

/// 2^32 records were sealed in this run: another one would repeat a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has sealed as many records as it may in one run")]
pub struct SealerSpent;

impl Sealer {
    /// `run` must be fresh randomness: two runs with the same key and the same `run` give their keys away.
    pub fn new(key: &Key, run: [u8; 8]) -> Sealer {
        Sealer { cipher: key.cipher(), run, sealed: 0 }
    }

    /// Seals `plain` as a record of this kind.
    ///
    /// # Errors
    /// [`SealerSpent`] after 2^32 records.
    pub fn seal(&mut self, kind: u8, plain: &[u8]) -> Result<Vec<u8>, SealerSpent> {
        let mut nonce = [0; NONCE_LEN];
        let (run, counter) = nonce.split_at_mut(8);
        run.copy_from_slice(&self.run);
        counter.copy_from_slice(&self.sealed.to_le_bytes());
        self.sealed = self.sealed.checked_add(1).ok_or(SealerSpent)?;
        let mut text = plain.to_vec();
        self.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from([kind]), &mut text)
            .map_err(|_| SealerSpent)?;
        let mut out = nonce.to_vec();
        out.append(&mut text);
        Ok(out)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} sealed)", self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_kind_alone() {
        let key = Key::new([7; 32]);
        let mut sealer = Sealer::new(&key, [1; 8]);
        let first = sealer.seal(2, b"secret").unwrap();
        assert_eq!(key.open(2, &first).as_deref(), Some(&b"secret"[..]));
        assert_eq!(key.open(3, &first), None);
        assert_eq!(Key::new([8; 32]).open(2, &first), None);
        assert_ne!(sealer.seal(2, b"secret").unwrap(), first);
        assert!(!first.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_changed_or_cut_record_does_not_open() {
        let key = Key::new([7; 32]);
        let sealed = Sealer::new(&key, [1; 8]).seal(2, b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(2, &changed), None, "byte {at}");
            assert_eq!(key.open(2, &sealed[..at]), None, "cut at {at}");
        }
    }
}
