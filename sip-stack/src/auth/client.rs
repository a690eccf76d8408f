//! A client's side of digest authentication: which challenges to answer, with which credentials, and how often (RFC 3261
//! §22.2, §22.3, RFC 7616 §3.6, RFC 8760 §2.4), and what the server says of itself (Authentication-Info, RFC 7616 §3.5).
//!
//! Challenges are kept and answered again with the next count, so that only the first request costs a round trip.
//! Left out on purpose: Proxy-Authentication-Info (RFC 3261 does not know it), and choosing realms by destination: a
//! client serves one next hop, and its requests carry credentials for every realm met there.

use super::challenge::{Answer, Challenge, QopOffer, Secret};
use super::error::{AuthError, Parameter};
use super::hex::eight_digits;
use super::params::{Parameters, QuotedText};
use super::response::{A2Memo, ProtectionInput, ResponseInput};
use super::{Algorithm, Qop};
use crate::header::HeaderName;
use crate::message::{Message, Method, Writer};
use crate::random::Random;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How many realms are known at a time; the one met first makes room. Also how many one request answers.
const MAX_REALMS: usize = 4;
/// How often one request answers the challenges of one realm: once, and again for nonces that are too old.
const MAX_ANSWERS: u8 = 3;
/// Longer challenges are not answered: the answer would have to carry them.
const MAX_CHALLENGE: usize = 2_048;
/// How many challenges of a response are looked at.
const MAX_CHALLENGES: usize = 16;

/// The realms in which a client has been challenged, each with its nonce and count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DigestClient {
    sessions: Vec<Session>,
    last: u32,
}

/// What a user has for one realm, or for all.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The realm that is meant, unquoted; `None` for every realm that no other login names.
    pub realm: Option<&'a [u8]>,
    /// The user's name.
    pub user: &'a [u8],
    /// The password, or its digest.
    pub secret: Secret<'a>,
}

/// The request that credentials are computed over.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its method.
    pub method: Method<'a>,
    /// Its Request-URI, as it stands in the request line.
    pub uri: &'a [u8],
    /// Its body; it counts with `auth-int` alone.
    pub body: &'a [u8],
}

/// The proofs that one request has given, over all its repetitions. Begins empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt([Option<Proof>; MAX_REALMS]);

/// What a 401 or 407 means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the request again, with the next CSeq and credentials by [`DigestClient::authorize`].
    Again,
    /// The server has seen our credentials and does not accept them.
    Refused,
    /// No challenge can be answered: an unknown scheme or algorithm, or a realm that there is no login for.
    Unanswerable,
}

/// Who asks. A user agent and a proxy of the same realm keep nonces of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Asker {
    Server,
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SessionId(u32);

/// What one request has shown to one realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    session: SessionId,
    /// The count of the last repetition.
    nc: u32,
    /// Challenges answered by this request; none when it carried credentials from the start.
    answers: u8,
}

/// An authentication session (RFC 7616 §3.6). Texts are kept as they stood between their quotes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    id: SessionId,
    asker: Asker,
    realm: Bytes,
    nonce: Bytes,
    opaque: Option<Bytes>,
    algorithm: Algorithm,
    qop: QopOffer,
    cnonce: [u8; 16],
    /// Requests sent with the nonce.
    count: u32,
}

impl DigestClient {
    /// Reads a 401 or 407. Of each realm the topmost challenge that can be answered counts (RFC 8760 §2.4). Both kinds
    /// of challenge are read whatever the status, because a forking proxy collects them (RFC 3261 §16.7 point 7).
    pub fn handle_challenge(
        &mut self,
        response: &Message,
        logins: &[Login<'_>],
        random: &mut Random,
        attempt: &mut Attempt,
    ) -> Verdict {
        let mut verdict = Verdict::Unanswerable;
        for asker in [Asker::Server, Asker::Proxy] {
            let challenges = || {
                let values = response.headers(asker.challenge()).take(MAX_CHALLENGES);
                values.filter_map(Challenge::parse_bounded)
            };
            for (position, challenge) in challenges().enumerate() {
                let answerable = |other: &Challenge<'_>| {
                    other.realm == challenge.realm
                        && login(logins, other.realm)
                            .is_some_and(|login| login.secret.serves(other.algorithm))
                };
                let first = challenges().position(|other| answerable(&other));
                if first != Some(position) {
                    continue;
                }
                match self.answer(asker, &challenge, random, attempt) {
                    Verdict::Again => verdict = Verdict::Again,
                    Verdict::Refused => return Verdict::Refused,
                    Verdict::Unanswerable => {}
                }
            }
        }
        verdict
    }

    /// Takes a challenge up, unless this request has answered the realm before and the answer was wrong.
    fn answer(
        &mut self,
        asker: Asker,
        challenge: &Challenge<'_>,
        random: &mut Random,
        attempt: &mut Attempt,
    ) -> Verdict {
        let is_same = |session: &Session| {
            session.asker == asker && QuotedText::from_raw(&session.realm) == challenge.realm
        };
        let place = self.sessions.iter().position(is_same);
        let known = place.and_then(|place| self.sessions.get(place)).map(|session| session.id);
        let id = known.unwrap_or(SessionId(self.last.wrapping_add(1)));
        let Some(proof) = attempt.proof(id) else { return Verdict::Unanswerable };
        // A kept nonce may have gone stale without the server saying so: the first challenge is answered in any case.
        let wrong = proof.answers > 0 && !challenge.stale;
        if wrong || proof.answers >= MAX_ANSWERS {
            self.sessions.retain(|session| session.id != id);
            return Verdict::Refused;
        }
        proof.answers += 1;
        let session = Session::new(id, asker, challenge, random);
        match place.and_then(|place| self.sessions.get_mut(place)) {
            Some(place) => *place = session,
            None => self.begin(session),
        }
        Verdict::Again
    }

    fn begin(&mut self, session: Session) {
        if self.sessions.len() >= MAX_REALMS {
            self.sessions.remove(0);
        }
        self.last = session.id.0;
        self.sessions.push(session);
    }

    /// Adds credentials for every known realm to a request, and notes them in its `attempt`.
    pub fn authorize(
        &mut self,
        subject: &Subject<'_>,
        logins: &[Login<'_>],
        attempt: &mut Attempt,
        writer: &mut Writer,
    ) {
        for session in &mut self.sessions {
            let challenge = session.challenge();
            let Some(login) = login(logins, challenge.realm) else { continue };
            let nc = session.count.saturating_add(1);
            let answer = Answer {
                method: subject.method.as_bytes(),
                uri: subject.uri,
                user: login.user,
                secret: login.secret,
                cnonce: &session.cnonce,
                nc,
                body: subject.body,
            };
            let mut value = Vec::with_capacity(320);
            if challenge.answer(&answer, &mut value).is_ok() {
                writer.header(session.asker.credentials(), &value);
                session.count = nc;
                if let Some(proof) = attempt.proof(session.id) {
                    proof.nc = nc;
                }
            }
        }
    }

    /// Reads the Authentication-Info of a 2xx to the request `subject`, if there is one: `nextnonce` is used from the next
    /// request on, `rspauth` must be right (RFC 7616 §3.5).
    ///
    /// # Errors
    /// [`AuthError::WrongResponse`]: whoever sent the response does not know the password; nothing has changed then.
    /// [`AuthError::Malformed`] and its like for a field that cannot be read.
    pub fn handle_success(
        &mut self,
        response: &Message,
        subject: &Subject<'_>,
        logins: &[Login<'_>],
        attempt: &Attempt,
    ) -> Result<(), AuthError> {
        let Some(value) = response.header(HeaderName::AuthenticationInfo) else { return Ok(()) };
        let info = AuthenticationInfo::parse(value)?;
        let shown = |session: &&mut Session| {
            session.asker == Asker::Server
                && attempt.nc(session.id).is_some()
                && info.cnonce.is_none_or(|cnonce| cnonce == session.cnonce[..])
        };
        let Some(session) = self.sessions.iter_mut().find(shown) else { return Ok(()) };
        if let (Some(rspauth), Some(nc)) = (info.rspauth, attempt.nc(session.id)) {
            session.verify(rspauth, info.qop, nc, subject.uri, response.body(), logins)?;
        }
        if let Some(nextnonce) = info.nextnonce.filter(|nonce| nonce.raw().len() <= MAX_CHALLENGE) {
            session.nonce = Bytes::copy_from_slice(nextnonce.raw());
            session.count = 0;
        }
        Ok(())
    }
}

/// The login that names the realm, else the one for all.
fn login<'a>(logins: &[Login<'a>], realm: QuotedText<'_>) -> Option<Login<'a>> {
    let named = logins.iter().find(|login| login.realm.is_some_and(|named| realm == *named));
    named.or_else(|| logins.iter().find(|login| login.realm.is_none())).copied()
}

impl Asker {
    const fn challenge(self) -> HeaderName {
        match self {
            Asker::Server => HeaderName::WwwAuthenticate,
            Asker::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    const fn credentials(self) -> HeaderName {
        match self {
            Asker::Server => HeaderName::Authorization,
            Asker::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

impl Attempt {
    /// The proof given to a realm, begun if there is room for another.
    fn proof(&mut self, session: SessionId) -> Option<&mut Proof> {
        let is_same = |proof: &Option<Proof>| proof.is_some_and(|proof| proof.session == session);
        let place = self.0.iter().position(is_same).or_else(|| self.0.iter().position(Option::is_none))?;
        let slot = self.0.get_mut(place)?;
        Some(slot.get_or_insert(Proof { session, nc: 0, answers: 0 }))
    }

    /// The count that was sent to a realm; `None` if there was none.
    fn nc(&self, session: SessionId) -> Option<u32> {
        self.0.iter().flatten().find(|proof| proof.session == session && proof.nc > 0).map(|proof| proof.nc)
    }
}

impl<'a> Challenge<'a> {
    fn parse_bounded(value: &'a [u8]) -> Option<Challenge<'a>> {
        if value.len() > MAX_CHALLENGE { None } else { Challenge::parse(value).ok() }
    }
}

impl Session {
    fn new(id: SessionId, asker: Asker, challenge: &Challenge<'_>, random: &mut Random) -> Session {
        Session {
            id,
            asker,
            realm: Bytes::copy_from_slice(challenge.realm.raw()),
            nonce: Bytes::copy_from_slice(challenge.nonce.raw()),
            opaque: challenge.opaque.map(|opaque| Bytes::copy_from_slice(opaque.raw())),
            algorithm: challenge.algorithm,
            qop: challenge.qop,
            cnonce: random.token(),
            count: 0,
        }
    }

    fn challenge(&self) -> Challenge<'_> {
        Challenge {
            realm: QuotedText::from_raw(&self.realm),
            nonce: QuotedText::from_raw(&self.nonce),
            opaque: self.opaque.as_deref().map(QuotedText::from_raw),
            algorithm: self.algorithm,
            stale: false,
            qop: self.qop,
        }
    }

    /// `rspauth` is a `response` over A2 without a method and, with `auth-int`, over the response's body (§3.5).
    fn verify(
        &self,
        rspauth: QuotedText<'_>,
        qop: Option<Qop>,
        nc: u32,
        uri: &[u8],
        body: &[u8],
        logins: &[Login<'_>],
    ) -> Result<(), AuthError> {
        let realm = QuotedText::from_raw(&self.realm);
        let login = login(logins, realm).ok_or(AuthError::NoHa1(self.algorithm))?;
        let nc = eight_digits(nc);
        let protection = self.qop.chosen().map(|chosen| ProtectionInput {
            nc: &nc,
            cnonce: QuotedText::plain(&self.cnonce),
            body: match qop.unwrap_or(chosen) {
                Qop::Auth => None,
                Qop::AuthInt => Some(body),
            },
        });
        let nonce = QuotedText::from_raw(&self.nonce);
        let input = ResponseInput { method: b"", uri: QuotedText::plain(uri), nonce, protection };
        let expected = input
            .response(
                self.algorithm,
                &login.secret.ha1(self.algorithm, login.user, realm),
                &mut A2Memo::default(),
            )
            .ok_or(AuthError::NoHa1(self.algorithm))?;
        let right = expected.is_equal_in_constant_time(rspauth.raw());
        if right { Ok(()) } else { Err(AuthError::WrongResponse) }
    }
}

/// The value of an Authentication-Info header field (RFC 7616 §3.5).
struct AuthenticationInfo<'a> {
    nextnonce: Option<QuotedText<'a>>,
    rspauth: Option<QuotedText<'a>>,
    cnonce: Option<QuotedText<'a>>,
    qop: Option<Qop>,
}

impl<'a> AuthenticationInfo<'a> {
    fn parse(value: &'a [u8]) -> Result<AuthenticationInfo<'a>, AuthError> {
        let parameters = Parameters::parse_without_scheme(value)?;
        Ok(AuthenticationInfo {
            nextnonce: parameters.find(Parameter::Nextnonce),
            rspauth: parameters.find(Parameter::Rspauth),
            cnonce: parameters.find(Parameter::Cnonce),
            qop: parameters.find(Parameter::Qop).map(|qop| Qop::from_token(qop.raw())).transpose()?,
        })
    }
}
