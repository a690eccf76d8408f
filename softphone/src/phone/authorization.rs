//! Our side of digest authentication (RFC 3261 §22.2, §22.3): which challenge to answer, and how often.
//!
//! A challenge is kept and answered again with the next count, so that only the first request costs a round trip.

use super::Account;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer};
use sip_stack::random::Random;

/// How many challenges one request may meet: a user agent's, a proxy's, and one for a nonce that is too old.
const MAX_CHALLENGES: u8 = 3;

/// The challenges of the server and of the proxy before it that were answered last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Authorization {
    server: Option<Known>,
    proxy: Option<Known>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    /// The header field value of the challenge.
    challenge: Bytes,
    /// Requests sent with its nonce.
    count: u32,
}

/// The challenges one request has met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Met {
    server: bool,
    proxy: bool,
    challenges: u8,
}

/// What credentials are computed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) method: Method<'a>,
    /// The Request-URI.
    pub(super) uri: &'a [u8],
    pub(super) body: &'a [u8],
}

/// What a challenge means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send the request again.
    Again,
    /// Our credentials were seen and not accepted.
    Refused,
    /// None of the challenges can be answered.
    Unanswerable,
}

impl Authorization {
    /// Reads a 401 or 407. `met` belongs to the request, over all its repetitions.
    pub(super) fn handle_challenge(
        &mut self,
        response: &Message,
        account: &Account,
        met: &mut Met,
    ) -> Verdict {
        let proxy = response.status() == Some(Status::PROXY_AUTHENTICATION_REQUIRED);
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        let secret = Secret::Password(account.password.0.as_bytes());
        let values = || response.headers(name);
        let Some(challenge) = Challenge::strongest(values(), &secret) else { return Verdict::Unanswerable };
        // A kept nonce may have gone stale without the server saying so: the first challenge of a request is answered
        // in any case.
        let answered = core::mem::replace(if proxy { &mut met.proxy } else { &mut met.server }, true);
        met.challenges += 1;
        if (answered && !challenge.stale) || met.challenges > MAX_CHALLENGES {
            return Verdict::Refused;
        }
        let value = values().find(|value| Challenge::parse(value) == Ok(challenge));
        let Some(value) = value else { return Verdict::Unanswerable };
        let known = Some(Known { challenge: Bytes::copy_from_slice(value), count: 0 });
        *(if proxy { &mut self.proxy } else { &mut self.server }) = known;
        Verdict::Again
    }

    /// Adds credentials for every challenge we know to a request.
    pub(super) fn write(
        &mut self,
        subject: Subject<'_>,
        account: &Account,
        random: &mut Random,
        writer: &mut Writer,
    ) {
        let slots = [
            (HeaderName::Authorization, &mut self.server),
            (HeaderName::ProxyAuthorization, &mut self.proxy),
        ];
        for (name, slot) in slots {
            let Some(known) = slot else { continue };
            let Ok(challenge) = Challenge::parse(&known.challenge) else { continue };
            known.count = known.count.saturating_add(1);
            let mut value = Vec::new();
            let answer = Answer {
                method: subject.method.as_bytes(),
                uri: subject.uri,
                user: account.user.as_bytes(),
                secret: Secret::Password(account.password.0.as_bytes()),
                cnonce: &random.token::<16>(),
                nc: known.count,
                body: subject.body,
            };
            if challenge.answer(&answer, &mut value).is_ok() {
                writer.header(name, &value);
            }
        }
    }
}
