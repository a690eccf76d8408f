//! Challenges: written by a server, read and answered by a client (RFC 7616 §3.3, §3.4, RFC 8760 §2.3 and §2.4).
//!
//! [`super::DigestClient`] keeps challenges and decides which to answer. Left out on purpose: `domain`, `charset` and
//! `userhash`, which a client may ignore.

use super::algorithm::{Algorithm, Ha1};
use super::digest::Qop;
use super::error::{AuthError, Parameter};
use super::hex::{DigestHex, eight_digits};
use super::params::{Parameters, QuotedText, is_control};
use super::response::{A2Memo, ProtectionInput, ResponseInput};
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The value of a WWW-Authenticate or Proxy-Authenticate header field, borrowed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The realm, which tells the user (or the configuration) which password is asked for.
    pub realm: QuotedText<'a>,
    /// The nonce to answer with.
    pub nonce: QuotedText<'a>,
    /// Text to return unchanged.
    pub opaque: Option<QuotedText<'a>>,
    /// The algorithm; MD5 when none is named.
    pub algorithm: Algorithm,
    /// Only the nonce was too old: answer again with the same password, without asking anybody.
    pub stale: bool,
    /// The qualities of protection on offer.
    pub qop: QopOffer,
}

/// The qualities of protection a challenge leaves to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QopOffer {
    /// No `qop`: a server of RFC 2069's time.
    Absent,
    /// `auth`, and no `auth-int`.
    Auth,
    /// `auth-int` and no `auth`.
    AuthInt,
    /// Both; a client takes `auth`, because bodies are changed on many a way.
    AuthOrAuthInt,
}

/// What a client knows.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// The password: any algorithm can be answered.
    Password(&'a [u8]),
    /// H(A1) for the challenge's realm: its algorithms alone can be answered.
    Ha1(&'a Ha1),
}

impl Secret<'_> {
    pub(super) fn serves(&self, algorithm: Algorithm) -> bool {
        match self {
            Secret::Password(_) => true,
            Secret::Ha1(ha1) => ha1.has(algorithm),
        }
    }
}

impl<'a> Secret<'a> {
    /// H(A1) for `algorithm`: computed from a password, or the one that is known.
    pub(super) fn ha1(&self, algorithm: Algorithm, user: &[u8], realm: QuotedText<'_>) -> Cow<'a, Ha1> {
        match self {
            Secret::Password(password) => {
                Cow::Owned(Ha1::compute(&[algorithm], user, &realm.unquoted(), password))
            }
            Secret::Ha1(ha1) => Cow::Borrowed(ha1),
        }
    }
}

impl fmt::Debug for Secret<'_> {
    /// Says which kind it is, never its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secret::Password(_) => "Password",
            Secret::Ha1(_) => "Ha1",
        })
    }
}

/// The request that answers a challenge.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The request's method.
    pub method: &'a [u8],
    /// The Request-URI as it stands in the request line.
    pub uri: &'a [u8],
    /// The user's name, unquoted.
    pub user: &'a [u8],
    /// The password or its digest.
    pub secret: Secret<'a>,
    /// A fresh token of the client's own.
    pub cnonce: &'a [u8],
    /// How many requests have been sent with this nonce, this one included: 1 for the first.
    pub nc: u32,
    /// The request's body; it counts with `auth-int` alone.
    pub body: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Reads the header field value. Copies and allocates nothing.
    ///
    /// # Errors
    /// [`AuthError`]; whatever it is, a client goes on to the next challenge (RFC 8760 §2.4).
    pub fn parse(value: &'a [u8]) -> Result<Challenge<'a>, AuthError> {
        let parameters = Parameters::parse(value)?;
        let algorithm = match parameters.find(Parameter::Algorithm) {
            None => Algorithm::Md5,
            Some(token) => Algorithm::from_token(token.raw()).ok_or(AuthError::UnsupportedAlgorithm)?,
        };
        Ok(Challenge {
            realm: parameters.require(Parameter::Realm)?,
            nonce: parameters.require(Parameter::Nonce)?,
            opaque: parameters.find(Parameter::Opaque),
            algorithm,
            stale: parameters
                .find(Parameter::Stale)
                .is_some_and(|flag| flag.raw().eq_ignore_ascii_case(b"true")),
            qop: QopOffer::read(parameters.find(Parameter::Qop))?,
        })
    }

    /// Appends the value of the (Proxy-)Authorization header field to `out`, a buffer that grows.
    ///
    /// # Errors
    /// [`AuthError::Unquotable`] for a control character in user, URI or cnonce, [`AuthError::NoHa1`] when the secret
    /// does not serve the algorithm; nothing is written then.
    pub fn answer(&self, answer: &Answer<'_>, out: &mut impl BufMut) -> Result<(), AuthError> {
        let quoted = [answer.user, answer.uri, answer.cnonce];
        if quoted.iter().any(|text| text.iter().any(|byte| is_control(*byte))) {
            return Err(AuthError::Unquotable);
        }
        let nc = eight_digits(answer.nc);
        let response = self.response(answer, &nc).ok_or(AuthError::NoHa1(self.algorithm))?;
        out.put_slice(b"Digest username=");
        put_quoted(out, answer.user);
        // Returned as they stood, between their quotes.
        put_parameter(out, b"realm", self.realm.raw());
        put_parameter(out, b"nonce", self.nonce.raw());
        out.put_slice(b", uri=");
        put_quoted(out, answer.uri);
        put_parameter(out, b"response", response.as_bytes());
        out.put_slice(b", algorithm=");
        out.put_slice(self.algorithm.token().as_bytes());
        if let Some(qop) = self.qop.chosen() {
            out.put_slice(b", cnonce=");
            put_quoted(out, answer.cnonce);
            out.put_slice(b", qop=");
            out.put_slice(qop.token());
            out.put_slice(b", nc=");
            out.put_slice(&nc);
        }
        if let Some(opaque) = self.opaque {
            put_parameter(out, b"opaque", opaque.raw());
        }
        Ok(())
    }

    fn response(&self, answer: &Answer<'_>, nc: &[u8]) -> Option<DigestHex> {
        let cnonce = QuotedText::plain(answer.cnonce);
        let protection = self.qop.chosen().map(|qop| ProtectionInput {
            nc,
            cnonce,
            body: match qop {
                Qop::Auth => None,
                Qop::AuthInt => Some(answer.body),
            },
        });
        let input = ResponseInput {
            method: answer.method,
            uri: QuotedText::plain(answer.uri),
            nonce: self.nonce,
            protection,
        };
        let ha1 = answer.secret.ha1(self.algorithm, answer.user, self.realm);
        input.response(self.algorithm, &ha1, &mut A2Memo::default())
    }
}

impl QopOffer {
    /// Reads the comma-separated list; unknown options are ignored (RFC 7616 §3.3), but not if there is no other.
    fn read(options: Option<QuotedText<'_>>) -> Result<QopOffer, AuthError> {
        let Some(options) = options else { return Ok(QopOffer::Absent) };
        let tokens = options.raw().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let has = |qop: Qop| tokens.clone().any(|token| token.eq_ignore_ascii_case(qop.token()));
        match (has(Qop::Auth), has(Qop::AuthInt)) {
            (true, true) => Ok(QopOffer::AuthOrAuthInt),
            (true, false) => Ok(QopOffer::Auth),
            (false, true) => Ok(QopOffer::AuthInt),
            (false, false) if tokens.clone().all(<[u8]>::is_empty) => Ok(QopOffer::Absent),
            (false, false) => Err(AuthError::UnsupportedQop),
        }
    }

    /// Whether `qop` may be used in answer to this offer.
    pub const fn includes(self, qop: Qop) -> bool {
        match (self, qop) {
            (QopOffer::Auth | QopOffer::AuthOrAuthInt, Qop::Auth)
            | (QopOffer::AuthInt | QopOffer::AuthOrAuthInt, Qop::AuthInt) => true,
            (QopOffer::Absent | QopOffer::AuthInt, Qop::Auth)
            | (QopOffer::Absent | QopOffer::Auth, Qop::AuthInt) => false,
        }
    }

    /// What a client takes: `auth-int` when there is nothing else.
    pub(super) const fn chosen(self) -> Option<Qop> {
        match self {
            QopOffer::Absent => None,
            QopOffer::Auth | QopOffer::AuthOrAuthInt => Some(Qop::Auth),
            QopOffer::AuthInt => Some(Qop::AuthInt),
        }
    }

    /// As a parameter of a challenge.
    const fn parameter(self) -> &'static [u8] {
        match self {
            QopOffer::Absent => b"",
            QopOffer::Auth => b", qop=\"auth\"",
            QopOffer::AuthInt => b", qop=\"auth-int\"",
            QopOffer::AuthOrAuthInt => b", qop=\"auth,auth-int\"",
        }
    }
}

/// Appends the value of a WWW-Authenticate or Proxy-Authenticate header field. A server always offers a `qop` (RFC 8760
/// §2.6 point 8).
///
/// With several algorithms, one header field each, the strongest first ([`Algorithm::ALL`]). `stale` says that nothing
/// but the nonce was too old. A control character in `realm` is written as a space.
pub fn write_challenge(
    out: &mut impl BufMut,
    realm: &[u8],
    nonce: &[u8],
    algorithm: Algorithm,
    qop: QopOffer,
    stale: bool,
) {
    out.put_slice(b"Digest realm=");
    put_quoted(out, realm);
    out.put_slice(b", nonce=");
    put_quoted(out, nonce);
    out.put_slice(b", algorithm=");
    out.put_slice(algorithm.token().as_bytes());
    out.put_slice(qop.parameter());
    if stale {
        out.put_slice(b", stale=true");
    }
}

fn put_parameter(out: &mut impl BufMut, name: &[u8], raw: &[u8]) {
    out.put_slice(b", ");
    out.put_slice(name);
    out.put_slice(b"=\"");
    out.put_slice(raw);
    out.put_u8(b'"');
}

/// A quoted string (RFC 3261 §25.1); what cannot be quoted becomes a space.
fn put_quoted(out: &mut impl BufMut, text: &[u8]) {
    out.put_u8(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', *byte]),
            control if is_control(*control) => out.put_u8(b' '),
            plain => out.put_u8(*plain),
        }
    }
    out.put_u8(b'"');
}
