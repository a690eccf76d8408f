//! Challenges: written by a server, read and answered by a client (RFC 7616 §3.3, §3.4, RFC 8760 §2.3 and §2.4).
//!
//! A client that sends several requests with one nonce keeps the header field value and answers it again with the next
//! count. Left out on purpose: `domain`, `charset` and `userhash`, which a client may ignore.

use super::algorithm::{Algorithm, DigestHex, Ha1, ProtectionInput, ResponseInput};
use super::error::{AuthError, Parameter};
use super::params::{Parameters, QuotedText, is_control};
use bytes::BufMut;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QopOffer {
    /// No `qop`: a server of RFC 2069's time.
    Absent,
    /// `auth`, perhaps among others.
    Auth,
    /// `auth-int` and no `auth`.
    AuthIntOnly,
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
    fn serves(&self, algorithm: Algorithm) -> bool {
        match self {
            Secret::Password(_) => true,
            Secret::Ha1(ha1) => ha1.has(algorithm),
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

    /// The strongest of several challenges that can be read and answered with `secret`; among equals the first.
    ///
    /// Deviation: RFC 8760 §2.4 prefers the topmost, and leaves room for a policy of the client's own. This is the policy:
    /// it resists a server, or somebody on the way, that puts the weakest first.
    pub fn strongest(
        values: impl IntoIterator<Item = &'a [u8]>,
        secret: &Secret<'_>,
    ) -> Option<Challenge<'a>> {
        values
            .into_iter()
            .filter_map(|value| Challenge::parse(value).ok())
            .filter(|challenge| secret.serves(challenge.algorithm))
            .reduce(|best, next| if next.algorithm > best.algorithm { next } else { best })
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
        let nc = CountText::of(answer.nc);
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
        if let Some(qop) = self.qop.token() {
            out.put_slice(b", cnonce=");
            put_quoted(out, answer.cnonce);
            out.put_slice(b", qop=");
            out.put_slice(qop);
            out.put_slice(b", nc=");
            out.put_slice(&nc.0);
        }
        if let Some(opaque) = self.opaque {
            put_parameter(out, b"opaque", opaque.raw());
        }
        Ok(())
    }

    fn response(&self, answer: &Answer<'_>, nc: &CountText) -> Option<DigestHex> {
        let cnonce = QuotedText::plain(answer.cnonce);
        let protection = match self.qop {
            QopOffer::Absent => None,
            QopOffer::Auth => Some(ProtectionInput { nc: &nc.0, cnonce, body: None }),
            QopOffer::AuthIntOnly => Some(ProtectionInput { nc: &nc.0, cnonce, body: Some(answer.body) }),
        };
        let input = ResponseInput {
            method: answer.method,
            uri: QuotedText::plain(answer.uri),
            nonce: self.nonce,
            protection,
        };
        match answer.secret {
            Secret::Ha1(ha1) => input.response(self.algorithm, ha1),
            Secret::Password(password) => {
                let realm = self.realm.unquoted();
                input
                    .response(self.algorithm, &Ha1::compute(&[self.algorithm], answer.user, &realm, password))
            }
        }
    }
}

impl QopOffer {
    /// Reads the comma-separated list; unknown options are ignored (RFC 7616 §3.3), but not if there is no other.
    fn read(options: Option<QuotedText<'_>>) -> Result<QopOffer, AuthError> {
        let Some(options) = options else { return Ok(QopOffer::Absent) };
        let mut tokens = options.raw().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).peekable();
        if tokens.clone().all(<[u8]>::is_empty) {
            return Ok(QopOffer::Absent);
        }
        if tokens.clone().any(|token| token.eq_ignore_ascii_case(b"auth")) {
            return Ok(QopOffer::Auth);
        }
        if tokens.any(|token| token.eq_ignore_ascii_case(b"auth-int")) {
            return Ok(QopOffer::AuthIntOnly);
        }
        Err(AuthError::UnsupportedQop)
    }

    const fn token(self) -> Option<&'static [u8]> {
        match self {
            QopOffer::Absent => None,
            QopOffer::Auth => Some(b"auth"),
            QopOffer::AuthIntOnly => Some(b"auth-int"),
        }
    }
}

/// `nc` as eight hexadecimal digits.
struct CountText([u8; 8]);

impl CountText {
    fn of(count: u32) -> CountText {
        let mut text = *b"00000000";
        for (place, digit) in text.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(count >> (4 * place) & 15) as usize];
        }
        CountText(text)
    }
}

/// Appends the value of a WWW-Authenticate or Proxy-Authenticate header field: qop is always `auth` (RFC 8760 §2.6).
///
/// With several algorithms, one header field each, the strongest first ([`Algorithm::ALL`]). `stale` says that nothing
/// but the nonce was too old. A control character in `realm` is written as a space.
pub fn write_challenge(out: &mut impl BufMut, realm: &[u8], nonce: &[u8], algorithm: Algorithm, stale: bool) {
    out.put_slice(b"Digest realm=");
    put_quoted(out, realm);
    out.put_slice(b", nonce=");
    put_quoted(out, nonce);
    out.put_slice(b", algorithm=");
    out.put_slice(algorithm.token().as_bytes());
    out.put_slice(b", qop=\"auth\"");
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
