//! The computation of `response` and `rspauth` (RFC 7616 §3.4.1 to §3.4.3 and §3.5, RFC 8760 §2.6 point 7), the same for
//! client and server.

use super::algorithm::{Algorithm, Ha1};
use super::hex::{DigestHex, eight_digits};
use super::params::QuotedText;
use md5::Md5;
use sha2::digest::{Digest, Output};
use sha2::{Sha256, Sha512_256};

/// The A2 that was hashed last, and its hash. Nearly every REGISTER of a domain has the same, and a block less to hash is
/// a tenth of a microsecond. There is nothing secret in it.
#[derive(Clone, Debug, Default)]
pub struct A2Memo {
    algorithm: Option<Algorithm>,
    text: Vec<u8>,
    hash: Vec<u8>,
}

impl A2Memo {
    fn hash<D: Digest>(&mut self, algorithm: Algorithm, text: &[u8]) -> &[u8] {
        if self.algorithm != Some(algorithm) || self.text != text {
            self.algorithm = Some(algorithm);
            self.text.clear();
            self.text.extend_from_slice(text);
            self.hash.clear();
            self.hash.extend_from_slice(&D::digest(text));
        }
        &self.hash
    }
}

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
    /// KD(H(A1), nonce … H(A2)), or `None` when `ha1` has no digest for `algorithm`. Allocates nothing, once the memo has
    /// room for the A2.
    pub(super) fn response(&self, algorithm: Algorithm, ha1: &Ha1, memo: &mut A2Memo) -> Option<DigestHex> {
        let secret = ha1.digest(algorithm)?;
        Some(match algorithm {
            Algorithm::Md5 => self.response_with::<Md5>(algorithm, secret, memo),
            Algorithm::Sha256 => self.response_with::<Sha256>(algorithm, secret, memo),
            Algorithm::Sha512_256 => self.response_with::<Sha512_256>(algorithm, secret, memo),
        })
    }

    fn response_with<D: Digest>(&self, algorithm: Algorithm, secret: &[u8], memo: &mut A2Memo) -> DigestHex {
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
        let mut a2 = self.a2::<D>();
        match a2.whole() {
            Some(a2) => text.push_hex(memo.hash::<D>(algorithm, a2)),
            None => text.push_hex(&a2.hash()),
        }
        DigestHex::of(&text.hash())
    }

    /// A2 = method ":" uri, and ":" H(body) with `auth-int` (RFC 7616 §3.4.3).
    fn a2<D: Digest>(&self) -> Text<D> {
        let mut text = Text::<D>::new();
        text.push(self.method);
        text.push_array(b":");
        text.push_text(self.uri);
        if let Some(body) = self.protection.as_ref().and_then(|protection| protection.body) {
            text.push_array(b":");
            text.push_hex(&D::digest(body));
        }
        text
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

    /// All of it, if it is all here still.
    fn whole(&self) -> Option<&[u8]> {
        self.before.is_none().then_some(&self.gathered[..self.length])
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
