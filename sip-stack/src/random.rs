//! The one source of randomness of a core: ChaCha20 seeded once, so that a run can be replayed.
//!
//! Branches, tags, Call-IDs, nonces and hash keys come from here. Keys of SRTP, DTLS and TLS do not: they enter a
//! core as inputs.

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A seeded ChaCha20 generator; its position is part of every snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Random(ChaCha20Rng);

impl Random {
    /// Starts from 32 bytes of the operating system's randomness (or of a test).
    pub fn new(seed: [u8; 32]) -> Random {
        Random(ChaCha20Rng::from_seed(seed))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Sixteen bytes, as the key of a SipHash.
    pub fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        self.0.fill_bytes(&mut key);
        key
    }

    /// A token of `N` characters of five bits each (RFC 3261 §25.1 `token`; §19.3 asks a tag for 32 bits at least).
    pub fn token<const N: usize>(&mut self) -> [u8; N] {
        let mut token = [0u8; N];
        for chunk in token.chunks_mut(12) {
            let mut bits = self.0.next_u64();
            for character in chunk {
                *character = ALPHABET[(bits & 31) as usize];
                bits >>= 5;
            }
        }
        token
    }

    /// A dialog tag of 80 bits (RFC 3261 §19.3).
    pub fn tag(&mut self) -> Bytes {
        Bytes::copy_from_slice(&self.token::<16>())
    }
}
