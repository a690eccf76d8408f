//! Digest credentials as a server reads and verifies them (RFC 7616 §3.4, RFC 8760 §2.6, RFC 3261 §22.4).
//!
//! Left to the caller: whether the nonce is fresh ([`super::Nonces`]), whether its count was used
//! ([`super::NonceCounts`]), and whether `uri` agrees with the Request-URI (RFC 8760 §2.6, point 6). Left out on
//! purpose: `userhash` and `username*` (a user's name in SIP is the user part of a URI and needs neither).

use super::algorithm::{Algorithm, Ha1};
use super::challenge::QopOffer;
use super::error::{AuthError, Parameter};
use super::params::{Parameters, QuotedText};
use super::response::{A2Memo, ProtectionInput, ResponseInput};
use std::fmt;

/// The value of an Authorization or Proxy-Authorization header field, borrowed from the message.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The user's name.
    pub username: QuotedText<'a>,
    /// The realm, as the challenge named it.
    pub realm: QuotedText<'a>,
    /// The server's nonce; see [`super::Nonces::check`].
    pub nonce: QuotedText<'a>,
    /// The digest-uri: a Request-URI (RFC 8760 §2.6).
    pub uri: QuotedText<'a>,
    /// The algorithm; MD5 when none was named.
    pub algorithm: Algorithm,
    /// The server's opaque text, returned.
    pub opaque: Option<QuotedText<'a>>,
    /// `qop`, `nc` and `cnonce`; `None` from a client of RFC 2069's time.
    pub protection: Option<Protection<'a>>,
    response: &'a [u8],
}

/// What a client sends along with `qop` (RFC 7616 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection<'a> {
    /// The quality of protection.
    pub qop: Qop,
    /// The client's nonce.
    pub cnonce: QuotedText<'a>,
    /// The nonce count.
    pub nc: u32,
    nc_text: &'a [u8],
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: method, URI and body.
    AuthInt,
}

impl Qop {
    /// The token of RFC 7616 §3.3.
    pub const fn token(self) -> &'static [u8] {
        match self {
            Qop::Auth => b"auth",
            Qop::AuthInt => b"auth-int",
        }
    }

    /// Reads the token, in any case.
    pub(super) fn from_token(token: &[u8]) -> Result<Qop, AuthError> {
        let known = [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| qop.token().eq_ignore_ascii_case(token));
        known.ok_or(AuthError::UnsupportedQop)
    }
}

impl<'a> Credentials<'a> {
    /// Reads the header field value. Copies and allocates nothing.
    ///
    /// # Errors
    /// [`AuthError::UnsupportedScheme`], [`AuthError::UnsupportedAlgorithm`] and [`AuthError::UnsupportedQop`] ask for
    /// a new challenge; the others say that the value is malformed.
    pub fn parse(value: &'a [u8]) -> Result<Credentials<'a>, AuthError> {
        let parameters = Parameters::parse(value)?;
        let algorithm = match parameters.find(Parameter::Algorithm) {
            None => Algorithm::Md5,
            Some(token) => Algorithm::from_token(token.raw()).ok_or(AuthError::UnsupportedAlgorithm)?,
        };
        // RFC 7616 §3.4: both spellings of the name in one header field are an error.
        if parameters.find(Parameter::Username).and(parameters.find(Parameter::UsernameExtended)).is_some() {
            return Err(AuthError::Duplicate(Parameter::Username));
        }
        Ok(Credentials {
            username: parameters.require(Parameter::Username)?,
            realm: parameters.require(Parameter::Realm)?,
            nonce: parameters.require(Parameter::Nonce)?,
            uri: parameters.require(Parameter::Uri)?,
            response: parameters.require(Parameter::Response)?.raw(),
            algorithm,
            opaque: parameters.find(Parameter::Opaque),
            protection: Protection::read(&parameters)?,
        })
    }

    /// Verifies the response to a challenge that offered `offer`, for a request with this method and body. The body counts
    /// with `auth-int` alone. Allocates nothing; the comparison takes the same time wherever a difference lies.
    ///
    /// # Errors
    /// [`AuthError::UnsupportedQop`] when the quality of protection was not on offer, [`AuthError::QopRequired`] when
    /// there is none, [`AuthError::NoHa1`], [`AuthError::WrongResponse`].
    pub fn verify(&self, offer: QopOffer, method: &[u8], body: &[u8], ha1: &Ha1) -> Result<(), AuthError> {
        if self.protection.is_none() {
            return Err(AuthError::QopRequired);
        }
        self.verify_rfc2069(offer, method, body, ha1, &mut A2Memo::default())
    }

    /// As [`Credentials::verify`], and accepts credentials without `qop` for peers that know RFC 2069 alone (RFC 8760
    /// §2.6 point 8). A `memo` that is kept between requests saves hashing what they have in common.
    ///
    /// # Errors
    /// [`AuthError::UnsupportedQop`], [`AuthError::NoHa1`], [`AuthError::WrongResponse`].
    pub fn verify_rfc2069(
        &self,
        offer: QopOffer,
        method: &[u8],
        body: &[u8],
        ha1: &Ha1,
        memo: &mut A2Memo,
    ) -> Result<(), AuthError> {
        let protection = match self.protection {
            None => None,
            Some(chosen) if !offer.includes(chosen.qop) => return Err(AuthError::UnsupportedQop),
            Some(chosen) => Some(ProtectionInput {
                nc: chosen.nc_text,
                cnonce: chosen.cnonce,
                body: match chosen.qop {
                    Qop::Auth => None,
                    Qop::AuthInt => Some(body),
                },
            }),
        };
        let input = ResponseInput { method, uri: self.uri, nonce: self.nonce, protection };
        let response = input.response(self.algorithm, ha1, memo).ok_or(AuthError::NoHa1(self.algorithm))?;
        if response.is_equal_in_constant_time(self.response) { Ok(()) } else { Err(AuthError::WrongResponse) }
    }

    /// The count to hand to [`super::NonceCounts::use_count`]: `nc`, or 1 without `qop`, so that a nonce serves a client
    /// without counts once.
    pub fn count(&self) -> u32 {
        self.protection.map_or(1, |protection| protection.nc)
    }
}

impl fmt::Debug for Credentials<'_> {
    /// Leaves the response out: digests are never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("uri", &self.uri)
            .field("algorithm", &self.algorithm)
            .field("nc", &self.protection.map(|protection| protection.nc))
            .finish_non_exhaustive()
    }
}

impl<'a> Protection<'a> {
    fn read(parameters: &Parameters<'a>) -> Result<Option<Protection<'a>>, AuthError> {
        let qop = match parameters.find(Parameter::Qop) {
            None => return Ok(None),
            Some(token) if token.raw().is_empty() => return Ok(None),
            Some(token) => Qop::from_token(token.raw())?,
        };
        let nc_text = parameters.require(Parameter::Nc)?.raw();
        let nc = read_count(nc_text).ok_or(AuthError::BadValue(Parameter::Nc))?;
        Ok(Some(Protection { qop, cnonce: parameters.require(Parameter::Cnonce)?, nc, nc_text }))
    }
}

/// Eight hexadecimal digits (RFC 7616 §3.4), or fewer, as some phones write them.
fn read_count(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    text.iter().try_fold(0, |count: u32, digit| Some(count << 4 | char::from(*digit).to_digit(16)?))
}
