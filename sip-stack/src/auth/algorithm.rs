//! The hash algorithms of digest authentication (RFC 7616 §3.3, RFC 8760 §2.1) and H(A1), the secret a server keeps.
//!
//! The `-sess` variants are left out: no SIP phone needs them.

use super::error::AuthError;
use super::params::QuotedText;
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
        match algorithm {
            Algorithm::Md5 => self.md5.as_ref().map(|digest| DigestHex::of(digest)),
            Algorithm::Sha256 => self.sha256.as_ref().map(|digest| DigestHex::of(digest)),
            Algorithm::Sha512_256 => self.sha512_256.as_ref().map(|digest| DigestHex::of(digest)),
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

fn from_hex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let mut digest = [0; N];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(digest)
}

/// A digest as lower-case hexadecimal text on the stack (RFC 8760 §2.2); never printed by `Debug`.
#[derive(Clone, Copy)]
pub struct DigestHex {
    text: [u8; 64],
    length: usize,
}

impl DigestHex {
    fn of(digest: &[u8]) -> DigestHex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        DigestHex { text, length: (2 * digest.len()).min(64) }
    }

    /// The hexadecimal digits: 32 for MD5, 64 for the others.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// Compares with what a peer sent, in either case, in a time that does not depend on where they differ.
    pub(super) fn is_equal_in_constant_time(&self, received: &[u8]) -> bool {
        let ours = self.as_bytes();
        if ours.len() != received.len() {
            return false;
        }
        let difference = ours.iter().zip(received).fold(0, |difference, (our, their)| {
            // The barrier keeps the compiler from leaving the loop early.
            std::hint::black_box(difference | (our ^ their.to_ascii_lowercase()))
        });
        difference == 0
    }
}

impl fmt::Debug for DigestHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestHex({} digits)", self.length)
    }
}

/// Everything but the secret that goes into `response` (RFC 7616 §3.4.1).
pub(super) struct ResponseInput<'a> {
    pub(super) method: &'a [u8],
    pub(super) uri: QuotedText<'a>,
    pub(super) nonce: QuotedText<'a>,
    /// `nc`, `cnonce` and the body whose hash goes into A2 when the protection is `auth-int`.
    pub(super) protection: Option<ProtectionInput<'a>>,
}

/// The part of [`ResponseInput`] that is there when `qop` is.
pub(super) struct ProtectionInput<'a> {
    pub(super) nc: &'a [u8],
    pub(super) cnonce: QuotedText<'a>,
    /// `None` for `auth`; the body for `auth-int`.
    pub(super) body: Option<&'a [u8]>,
}

impl ResponseInput<'_> {
    /// KD(H(A1), nonce … H(A2)), or `None` when `ha1` has no digest for `algorithm`. Allocates nothing.
    pub(super) fn response(&self, algorithm: Algorithm, ha1: &Ha1) -> Option<DigestHex> {
        let secret = ha1.hex(algorithm)?;
        Some(match algorithm {
            Algorithm::Md5 => self.response_with::<Md5>(&secret),
            Algorithm::Sha256 => self.response_with::<Sha256>(&secret),
            Algorithm::Sha512_256 => self.response_with::<Sha512_256>(&secret),
        })
    }

    fn response_with<D: Digest>(&self, secret: &DigestHex) -> DigestHex {
        let a2 = self.hash_of_a2::<D>();
        let mut hash = D::new().chain_update(secret.as_bytes()).chain_update(b":");
        self.nonce.pieces().for_each(|piece| hash.update(piece));
        hash.update(b":");
        if let Some(protection) = &self.protection {
            hash.update(protection.nc);
            hash.update(b":");
            protection.cnonce.pieces().for_each(|piece| hash.update(piece));
            hash.update(if protection.body.is_some() { &b":auth-int:"[..] } else { b":auth:" });
        }
        DigestHex::of(&hash.chain_update(a2.as_bytes()).finalize())
    }

    /// A2 = method ":" uri, and ":" H(body) with `auth-int` (RFC 7616 §3.4.3).
    fn hash_of_a2<D: Digest>(&self) -> DigestHex {
        let mut hash = D::new().chain_update(self.method).chain_update(b":");
        self.uri.pieces().for_each(|piece| hash.update(piece));
        if let Some(body) = self.protection.as_ref().and_then(|protection| protection.body) {
            hash.update(b":");
            hash.update(DigestHex::of(&D::digest(body)).as_bytes());
        }
        DigestHex::of(&hash.finalize())
    }
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
        assert_eq!(format!("{:?}", ha1.hex(Algorithm::Md5).unwrap()), "DigestHex(32 digits)");
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

    #[test]
    fn comparison_accepts_either_case_and_nothing_else() {
        let hex = DigestHex::of(&[0xab; 16]);
        assert!(hex.is_equal_in_constant_time(&b"ab".repeat(16)));
        assert!(hex.is_equal_in_constant_time(&b"AB".repeat(16)));
        assert!(!hex.is_equal_in_constant_time(&b"ab".repeat(15)));
        assert!(!hex.is_equal_in_constant_time(b""));
        let mut other = b"ab".repeat(16);
        other[31] = b'c';
        assert!(!hex.is_equal_in_constant_time(&other));
    }
}
