//! The hash algorithms of digest authentication (RFC 7616 §3.3, RFC 8760 §2.1) and H(A1), the secret a server keeps.
//!
//! The `-sess` variants are left out on purpose: a server would have to keep the first `cnonce` of every session
//! (RFC 7616 §3.4.2), and no SIP phone needs them.

use super::error::AuthError;
use super::hex::{DigestHex, from_hex};
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};
use std::fmt;

/// A digest algorithm; the greater one is the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// `MD5`: what every phone knows, and the default where no algorithm is named.
    Md5,
    /// `SHA-256`
    Sha256,
    /// `SHA-512-256`
    Sha512_256,
}

impl Algorithm {
    /// From the strongest to the weakest: the order in which challenges are written (RFC 8760 §2.3).
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5];

    /// The token of RFC 8760 §2.7.
    pub const fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// Reads the token, in any case.
    pub fn from_token(token: &[u8]) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|known| known.token().as_bytes().eq_ignore_ascii_case(token))
    }
}

/// H(A1) of one user in one realm, for one or more algorithms: as good as the password, so it is never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ha1 {
    md5: Option<[u8; 16]>,
    sha256: Option<[u8; 32]>,
    sha512_256: Option<[u8; 32]>,
}

impl Ha1 {
    /// H(user ":" realm ":" password) for each of `algorithms` (RFC 7616 §3.4.2).
    pub fn compute(algorithms: &[Algorithm], user: &[u8], realm: &[u8], password: &[u8]) -> Ha1 {
        let mut ha1 = Ha1::default();
        for algorithm in algorithms {
            match algorithm {
                Algorithm::Md5 => ha1.md5 = Some(secret_of::<Md5>(user, realm, password).into()),
                Algorithm::Sha256 => ha1.sha256 = Some(secret_of::<Sha256>(user, realm, password).into()),
                Algorithm::Sha512_256 => {
                    ha1.sha512_256 = Some(secret_of::<Sha512_256>(user, realm, password).into());
                }
            }
        }
        ha1
    }

    /// Adds or replaces the digest of one algorithm, given in hexadecimal as password files hold it.
    ///
    /// # Errors
    /// [`AuthError::NotHex`] for a wrong length or another character.
    pub fn insert_hex(&mut self, algorithm: Algorithm, hex: &[u8]) -> Result<(), AuthError> {
        let wrong = AuthError::NotHex(algorithm);
        match algorithm {
            Algorithm::Md5 => self.md5 = Some(from_hex(hex).ok_or(wrong)?),
            Algorithm::Sha256 => self.sha256 = Some(from_hex(hex).ok_or(wrong)?),
            Algorithm::Sha512_256 => self.sha512_256 = Some(from_hex(hex).ok_or(wrong)?),
        }
        Ok(())
    }

    /// The digest in hexadecimal, for a password file or a database; `None` when there is none for `algorithm`.
    pub fn hex(&self, algorithm: Algorithm) -> Option<DigestHex> {
        self.digest(algorithm).map(DigestHex::of)
    }

    /// The digest itself.
    pub(super) fn digest(&self, algorithm: Algorithm) -> Option<&[u8]> {
        match algorithm {
            Algorithm::Md5 => self.md5.as_ref().map(<[u8; 16]>::as_slice),
            Algorithm::Sha256 => self.sha256.as_ref().map(<[u8; 32]>::as_slice),
            Algorithm::Sha512_256 => self.sha512_256.as_ref().map(<[u8; 32]>::as_slice),
        }
    }

    /// Whether there is a digest for `algorithm`.
    pub const fn has(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Md5 => self.md5.is_some(),
            Algorithm::Sha256 => self.sha256.is_some(),
            Algorithm::Sha512_256 => self.sha512_256.is_some(),
        }
    }
}

impl fmt::Debug for Ha1 {
    /// Says which algorithms there are, never the digests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1")?;
        f.debug_set().entries(Algorithm::ALL.into_iter().filter(|known| self.has(*known))).finish()
    }
}

fn secret_of<D: Digest>(user: &[u8], realm: &[u8], password: &[u8]) -> sha2::digest::Output<D> {
    D::new()
        .chain_update(user)
        .chain_update(b":")
        .chain_update(realm)
        .chain_update(b":")
        .chain_update(password)
        .finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_algorithm_is_the_greater_and_stands_first() {
        assert!(Algorithm::ALL.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn tokens_are_read_in_any_case_and_session_variants_are_unknown() {
        for known in Algorithm::ALL {
            assert_eq!(Algorithm::from_token(known.token().to_lowercase().as_bytes()), Some(known));
        }
        assert_eq!(Algorithm::from_token(b"MD5-sess"), None);
        assert_eq!(Algorithm::from_token(b""), None);
    }

    #[test]
    fn a_printed_ha1_shows_its_algorithms_and_no_digest() {
        let ha1 = Ha1::compute(&[Algorithm::Md5], b"u", b"r", b"p");
        assert_eq!(format!("{ha1:?}"), "Ha1{Md5}");
    }

    #[test]
    fn hexadecimal_text_comes_back_as_it_went_in() {
        let computed = Ha1::compute(&Algorithm::ALL, b"Mufasa", b"myhost@example.com", b"Circle Of Life");
        let mut copy = Ha1::default();
        for algorithm in Algorithm::ALL {
            let hex = computed.hex(algorithm).unwrap();
            copy.insert_hex(algorithm, &hex.as_bytes().to_ascii_uppercase()).unwrap();
        }
        assert_eq!(copy, computed);
        assert_eq!(copy.insert_hex(Algorithm::Md5, b"12"), Err(AuthError::NotHex(Algorithm::Md5)));
        assert_eq!(copy.insert_hex(Algorithm::Md5, &[b'g'; 32]), Err(AuthError::NotHex(Algorithm::Md5)));
    }

    #[test]
    fn a_snapshot_keeps_the_digests() {
        let ha1 = Ha1::compute(&Algorithm::ALL, b"u", b"r", b"p");
        let bytes = postcard::to_allocvec(&ha1).unwrap();
        assert_eq!(postcard::from_bytes::<Ha1>(&bytes).unwrap(), ha1);
    }
}
