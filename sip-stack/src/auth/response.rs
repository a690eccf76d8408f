//! The computation of `response` and `rspauth` (RFC 7616 §3.4.1 to §3.4.3 and §3.5, RFC 8760 §2.6 point 7), the same for
//! client and server.

use super::algorithm::{Algorithm, Ha1};
use super::hex::{DigestHex, eight_digits};
use super::params::QuotedText;
use md5::Md5;
use sha2::digest::{Digest, Output};
use sha2::{Sha256, Sha512_256};

/// Everything but the secret that goes into `response` (RFC 7616 §3.4.1).
pub(super) struct ResponseInput<'a> {
    /// Empty for `rspauth` (§3.5).
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
        let secret = ha1.digest(algorithm)?;
        Some(match algorithm {
            Algorithm::Md5 => self.response_with::<Md5>(secret),
            Algorithm::Sha256 => self.response_with::<Sha256>(secret),
            Algorithm::Sha512_256 => self.response_with::<Sha512_256>(secret),
        })
    }

    fn response_with<D: Digest>(&self, secret: &[u8]) -> DigestHex {
        let mut text = Text::<D>::new();
        text.push_hex(secret);
        text.push_array(b":");
        text.push_text(self.nonce);
        text.push_array(b":");
        if let Some(protection) = &self.protection {
            text.push(protection.nc);
            text.push_array(b":");
            text.push_text(protection.cnonce);
            match protection.body {
                None => text.push_array(b":auth:"),
                Some(_) => text.push_array(b":auth-int:"),
            }
        }
        text.push_hex(&self.hash_of_a2::<D>());
        DigestHex::of(&text.hash())
    }

    /// A2 = method ":" uri, and ":" H(body) with `auth-int` (RFC 7616 §3.4.3).
    fn hash_of_a2<D: Digest>(&self) -> Output<D> {
        let mut text = Text::<D>::new();
        text.push(self.method);
        text.push_array(b":");
        text.push_text(self.uri);
        if let Some(body) = self.protection.as_ref().and_then(|protection| protection.body) {
            text.push_array(b":");
            text.push_hex(&D::digest(body));
        }
        text.hash()
    }
}

/// Text to be hashed, gathered so that the usual one is hashed in one go: a hash is slow at taking small pieces.
struct Text<D> {
    gathered: [u8; 256],
    length: usize,
    /// What did not fit is hashed already.
    before: Option<D>,
}

impl<D: Digest> Text<D> {
    fn new() -> Text<D> {
        Text { gathered: [0; 256], length: 0, before: None }
    }

    fn push(&mut self, piece: &[u8]) {
        match self.gathered.get_mut(self.length..).and_then(|free| free.get_mut(..piece.len())) {
            Some(place) => {
                place.copy_from_slice(piece);
                self.length += piece.len();
            }
            None => self.overflow(piece),
        }
    }

    /// As [`Text::push`], for a length that the compiler knows: no copy routine is called.
    fn push_array<const N: usize>(&mut self, piece: &[u8; N]) {
        match self.gathered.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut) {
            Some(place) => {
                *place = *piece;
                self.length += N;
            }
            None => self.overflow(piece),
        }
    }

    fn push_text(&mut self, text: QuotedText<'_>) {
        text.pieces().for_each(|piece| self.push(piece));
    }

    fn push_hex(&mut self, digest: &[u8]) {
        for group in digest.as_chunks().0 {
            self.push_array(&eight_digits(u32::from_be_bytes(*group)));
        }
    }

    #[cold]
    fn overflow(&mut self, piece: &[u8]) {
        let hash = self.before.get_or_insert_with(D::new);
        hash.update(&self.gathered[..self.length]);
        hash.update(piece);
        self.length = 0;
    }

    fn hash(&mut self) -> Output<D> {
        let gathered = &self.gathered[..self.length];
        match self.before.take() {
            None => D::digest(gathered),
            Some(hash) => hash.chain_update(gathered).finalize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_of_any_length_are_hashed_as_one_text(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
        ) {
            let mut text = Text::<Sha256>::new();
            pieces.iter().for_each(|piece| text.push(piece));
            prop_assert_eq!(text.hash(), Sha256::digest(pieces.concat()));
        }
    }
}
