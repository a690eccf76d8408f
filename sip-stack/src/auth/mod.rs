//! Digest access authentication as SIP uses it (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! A server reads [`Credentials`], verifies the response against the user's [`Ha1`], asks [`Nonces`] whether it issued
//! the nonce, and only then lets [`NonceCounts`] take note of the nonce count: a request that proves nothing leaves no
//! state behind. A count that was used, and a nonce that is spent, are answered with a fresh challenge and
//! `stale=true`, never with 403. A client hands 401 and 407 to a [`DigestClient`], which writes the credentials of the
//! repeated request and of those that follow; [`Challenge`] is what it reads.
//!
//! Left out on purpose: Basic (RFC 8760 §2.6 forbids it), the `-sess` algorithms, `userhash`, and Authentication-Info
//! from a server (a nonce count does what `nextnonce` would, and hardly a phone reads `rspauth`).

mod algorithm;
mod challenge;
mod client;
mod digest;
mod error;
mod hex;
mod nonce;
mod nonce_count;
mod params;
mod response;

#[cfg(test)]
mod vectors;

pub use algorithm::{Algorithm, Ha1};
pub use challenge::{Answer, Challenge, QopOffer, Secret, write_challenge};
pub use client::{Attempt, DigestClient, Login, Subject, Verdict};
pub use digest::{Credentials, Protection, Qop};
pub use error::{AuthError, Parameter};
pub use hex::DigestHex;
pub use nonce::{Fresh, NonceCheck, NonceText, Nonces};
pub use nonce_count::{CountError, NonceCounts};
pub use params::QuotedText;
pub use response::A2Memo;
