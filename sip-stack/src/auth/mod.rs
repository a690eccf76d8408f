//! Digest access authentication as SIP uses it (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! A server reads [`Credentials`], asks [`Nonces`] whether it issued the nonce, verifies the response against the
//! user's [`Ha1`], and only then lets [`NonceCounts`] take note of the nonce count: a request that proves nothing
//! leaves no state behind. A client reads a [`Challenge`] and writes its answer.
//!
//! Left out on purpose: Basic (RFC 8760 §2.6 forbids it), the `-sess` algorithms, `userhash`, `auth-int` on the
//! server side (it is never offered), and Authentication-Info.

mod algorithm;
mod challenge;
mod digest;
mod error;
mod nonce;
mod nonce_count;
mod params;

#[cfg(test)]
mod vectors;

pub use algorithm::{Algorithm, DigestHex, Ha1};
pub use challenge::{Answer, Challenge, QopOffer, Secret, write_challenge};
pub use digest::{Credentials, Protection, Qop};
pub use error::{AuthError, Parameter};
pub use nonce::{Fresh, NonceCheck, NonceText, Nonces};
pub use nonce_count::{CountError, NonceCounts};
pub use params::QuotedText;
