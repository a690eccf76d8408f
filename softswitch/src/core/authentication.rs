//! Digest authentication of requests (RFC 3261 §22.2, RFC 7616, RFC 8760 §2.3).
//!
//! As a user agent server we challenge with 401 and WWW-Authenticate, as a proxy with 407 and Proxy-Authenticate (§22.3). A request
//! that proves nothing leaves no state. Whoever claims a user that does not exist is challenged and refused exactly as with a wrong password.

use super::environment::Environment;
use super::{Event, environment::sign_response};
use crate::config::{Config, Domain, DomainId};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::auth::{
    A2Memo, Algorithm, CountError, Credentials, Ha1, NonceCheck, NonceCounts, Nonces, QopOffer,
    write_challenge,
};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Status, Uri};

/// No domain may let a nonce live longer; each has a lifetime of its own within this.
const LONGEST: Duration = Duration::from_secs(86_400);

/// `auth` alone: on the way to us, bodies are changed by routers that mean well.
const QOP: QopOffer = QopOffer::Auth;

/// Nonces and their counts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Authenticator {
    nonces: Nonces,
    counts: NonceCounts,
    /// Verified against when the user does not exist, so that the answer takes as long.
    decoy: Ha1,
    #[serde(skip)]
    a2: A2Memo,
}

/// What we are to whoever has to prove who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    UserAgent,
    Proxy,
}

impl Asking {
    const fn status(self) -> Status {
        match self {
            Asking::UserAgent => Status::UNAUTHORIZED,
            Asking::Proxy => Status::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    const fn challenge(self) -> HeaderName {
        match self {
            Asking::UserAgent => HeaderName::WwwAuthenticate,
            Asking::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    const fn credentials(self) -> HeaderName {
        match self {
            Asking::UserAgent => HeaderName::Authorization,
            Asking::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// Who a request comes from.
pub(crate) struct User {
    pub(crate) id: Box<str>,
    /// The request has been accepted before, and its answer was lost (RFC 3261 §8.2.7, §17.2.2).
    pub(crate) again: bool,
}

/// What the credentials in a request are worth.
enum Verdict {
    /// They prove this user.
    Proved(User),
    /// There are none for this realm, or of a kind that we do not know: challenge.
    Absent,
    /// They were right, but the nonce is spent: challenge with `stale`.
    Stale,
    /// They are wrong.
    Wrong(Bytes),
    /// They cannot be read (RFC 7616 §3.4): 400.
    Malformed,
}

impl Authenticator {
    pub(crate) fn new(env: &mut Environment) -> Authenticator {
        let key = env.endpoint.random().key();
        let password = env.endpoint.random().token::<24>();
        Authenticator {
            nonces: Nonces::new(key, LONGEST),
            counts: NonceCounts::new(env.config.limits.nonces, LONGEST),
            decoy: Ha1::compute(&Algorithm::ALL, b"", b"", &password),
            a2: A2Memo::default(),
        }
    }

    /// The user of `domain` that the request proves to come from; otherwise it has been answered. `repeatable` says that
    /// the answer is the same when it comes again, so that no transaction has to keep it.
    pub(crate) fn authenticate(
        &mut self,
        env: &mut Environment,
        request: &Request,
        id: DomainId,
        repeatable: bool,
    ) -> Option<User> {
        self.authenticate_as(Asking::UserAgent, env, request, id, repeatable)
    }

    /// The same as what we are to the sender.
    pub(crate) fn authenticate_as(
        &mut self,
        asking: Asking,
        env: &mut Environment,
        request: &Request,
        id: DomainId,
        repeatable: bool,
    ) -> Option<User> {
        let config = env.config.clone();
        let domain = config.domains.get(&id)?;
        let stale = match self.verdict(asking, env, &config, id, request) {
            Verdict::Proved(user) if repeatable || !user.again => return Some(user),
            Verdict::Proved(_) => true,
            Verdict::Absent => false,
            Verdict::Stale => true,
            Verdict::Wrong(user) => {
                let (domain, source) = (domain.name.clone(), request.flow.peer);
                env.event(Event::AuthenticationFailed { domain, user, source });
                false
            }
            Verdict::Malformed => {
                let response = env.endpoint.response(request, Status::BAD_REQUEST, None);
                env.endpoint.reply(request, response.finish());
                return None;
            }
        };
        self.challenge(asking, env, request, domain, stale);
        None
    }

    fn challenge(
        &mut self,
        asking: Asking,
        env: &mut Environment,
        request: &Request,
        domain: &Domain,
        stale: bool,
    ) {
        let nonce = self.nonces.issue(env.now);
        let mut response = env.endpoint.response(request, asking.status(), None);
        let mut value = Vec::with_capacity(192);
        for algorithm in &domain.digest {
            value.clear();
            write_challenge(&mut value, domain.name.as_bytes(), nonce.as_bytes(), *algorithm, QOP, stale);
            response.header(asking.challenge(), &value);
        }
        sign_response(&mut response);
        env.endpoint.reply(request, response.finish());
    }

    fn verdict(
        &mut self,
        asking: Asking,
        env: &Environment,
        config: &Config,
        id: DomainId,
        request: &Request,
    ) -> Verdict {
        let Some(domain) = config.domains.get(&id) else { return Verdict::Absent };
        for value in request.message.headers(asking.credentials()) {
            let credentials = match Credentials::parse(value) {
                Ok(credentials) => credentials,
                Err(error) if error.is_malformed() => return Verdict::Malformed,
                Err(_) => continue,
            };
            // RFC 8760 §2.7: some clients send empty values before they have been challenged.
            if credentials.realm == *domain.name.as_bytes()
                && domain.digest.contains(&credentials.algorithm)
                && !credentials.nonce.raw().is_empty()
            {
                let in_domain = is_of_domain(asking, config, id, request, &credentials.uri.unquoted());
                return if in_domain {
                    self.verify(env, domain, request, &credentials)
                } else {
                    Verdict::Absent
                };
            }
        }
        Verdict::Absent
    }

    fn verify(
        &mut self,
        env: &Environment,
        domain: &Domain,
        request: &Request,
        credentials: &Credentials<'_>,
    ) -> Verdict {
        let name = credentials.username.unquoted();
        let user = domain.credentials(&name);
        let known = user.map(|(_, credentials)| credentials).filter(|ha1| ha1.has(credentials.algorithm));
        let method = request.message.method().map_or(&b""[..], |method| method.as_bytes());
        let ha1 = known.unwrap_or(&self.decoy);
        let proved =
            credentials.verify_rfc2069(QOP, method, request.message.body(), ha1, &mut self.a2).is_ok();
        let right = proved && known.is_some();
        let Some((id, _)) = user.filter(|_| right) else {
            return Verdict::Wrong(Bytes::copy_from_slice(&name));
        };
        let NonceCheck::Fresh(nonce) = self.nonces.check(&credentials.nonce.unquoted(), env.now) else {
            return Verdict::Stale;
        };
        let lifetime = Duration::from_secs(u64::from(domain.nonce_lifetime_s));
        if env.now.since(nonce.issued()) >= lifetime {
            return Verdict::Stale;
        }
        let identity = request.identity(&env.endpoint);
        match self.counts.use_count(nonce, credentials.count(), identity, env.now) {
            Ok(()) => Verdict::Proved(User { id: id.into(), again: false }),
            Err(CountError::Repeated) => Verdict::Proved(User { id: id.into(), again: true }),
            Err(CountError::Replayed | CountError::Expired) => Verdict::Stale,
        }
    }
}

/// Whether the digest-uri names something in the domain. RFC 3261 §22.4 point 6: where it differs from the Request-URI,
/// which a proxy may have changed, that is not necessarily a failure; some clients always write the server here.
///
/// Where we are the proxy of a call it names who is called, if it names anybody: the credentials are for nobody else.
fn is_of_domain(asking: Asking, config: &Config, id: DomainId, request: &Request, digest_uri: &[u8]) -> bool {
    let message = &request.message;
    if digest_uri == message.request_uri() {
        return true;
    }
    let Ok(uri) = Uri::parse(digest_uri) else { return false };
    let is_who_is_meant = || {
        uri.user.is_none() || message.uri().is_ok_and(|meant| meant.user_unescaped() == uri.user_unescaped())
    };
    config.domain_of_host(uri.host) == Some(id)
        && match asking {
            Asking::UserAgent => true,
            Asking::Proxy => is_who_is_meant(),
        }
}
