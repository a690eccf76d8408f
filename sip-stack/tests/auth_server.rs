//! The server of digest authentication in virtual time: what a nonce and its counts are worth, request by request (RFC
//! 7616 §3.3, §3.4).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::auth::{
    Algorithm, Answer, Challenge, Credentials, Ha1, NonceCheck, NonceCounts, Nonces, QopOffer, Secret,
    write_challenge,
};
use std::collections::BTreeSet;
use std::time::Duration;

const LIFETIME: Duration = Duration::from_secs(300);
const START: Time = Time::from_millis(1_000);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// 401 with `stale=true`.
    Stale,
    /// 401 without.
    Refused,
}

/// A server as a registrar is one: the response first, then the nonce, then the count.
struct Server {
    nonces: Nonces,
    counts: NonceCounts,
    ha1: Ha1,
}

impl Server {
    fn new() -> Server {
        Server {
            nonces: Nonces::new([7; 16], LIFETIME),
            counts: NonceCounts::new(16, LIFETIME),
            ha1: Ha1::compute(&[Algorithm::Md5], b"alice", b"r", b"secret"),
        }
    }

    fn challenge(&mut self, now: Time) -> Vec<u8> {
        let mut value = Vec::new();
        let nonce = self.nonces.issue(now);
        write_challenge(&mut value, b"r", nonce.as_bytes(), Algorithm::Md5, QopOffer::Auth, false);
        value
    }

    fn judge(&mut self, value: &[u8], now: Time) -> Outcome {
        let credentials = Credentials::parse(value).unwrap();
        if credentials.verify(QopOffer::Auth, b"REGISTER", b"", &self.ha1).is_err() {
            return Outcome::Refused;
        }
        match self.nonces.check(credentials.nonce.raw(), now) {
            NonceCheck::Fresh(nonce) if self.counts.use_count(nonce, credentials.count(), 0, now).is_ok() => {
                Outcome::Accepted
            }
            NonceCheck::Fresh(_) | NonceCheck::Expired | NonceCheck::Forged => Outcome::Stale,
        }
    }
}

fn answer(challenge: &[u8], nc: u32, password: &[u8]) -> Vec<u8> {
    let answer = Answer {
        method: b"REGISTER",
        uri: b"sip:r",
        user: b"alice",
        secret: Secret::Password(password),
        cnonce: b"0a4f113b",
        nc,
        body: b"",
    };
    let mut value = Vec::new();
    Challenge::parse(challenge).unwrap().answer(&answer, &mut value).unwrap();
    value
}

#[test]
fn a_replayed_request_is_stale_and_the_next_count_is_not() {
    let mut server = Server::new();
    let challenge = server.challenge(START);
    let first = answer(&challenge, 1, b"secret");
    assert_eq!(server.judge(&first, START), Outcome::Accepted);
    assert_eq!(server.judge(&first, START), Outcome::Stale);
    assert_eq!(server.judge(&answer(&challenge, 2, b"secret"), START), Outcome::Accepted);
}

#[test]
fn a_nonce_is_stale_when_its_lifetime_is_over_and_when_another_server_issued_it() {
    let mut server = Server::new();
    let challenge = server.challenge(START);
    assert_eq!(server.judge(&answer(&challenge, 1, b"secret"), START + LIFETIME), Outcome::Stale);
    let mut other = Server { nonces: Nonces::new([8; 16], LIFETIME), ..Server::new() };
    assert_eq!(other.judge(&answer(&challenge, 1, b"secret"), START), Outcome::Stale);
}

#[test]
fn a_wrong_password_is_refused_whatever_the_nonce_and_leaves_no_state() {
    let mut server = Server::new();
    let challenge = server.challenge(START);
    let wrong = answer(&challenge, 1, b"guess");
    for now in [START, START + LIFETIME] {
        assert_eq!(server.judge(&wrong, now), Outcome::Refused);
    }
    assert!(server.counts.is_empty());
    assert_eq!(server.judge(&answer(&challenge, 1, b"secret"), START), Outcome::Accepted);
}

proptest! {
    /// Counts of one nonce as they arrive over a reordering, duplicating network.
    #[test]
    fn each_count_is_accepted_once_and_always_within_the_window(
        arrivals in proptest::collection::vec((1_u32..200, 0_u64..3), 1..120),
    ) {
        let mut server = Server::new();
        let challenge = server.challenge(START);
        let (mut used, mut highest, mut now) = (BTreeSet::new(), 0_u32, START);
        for (nc, pause_s) in arrivals {
            now = now + Duration::from_secs(pause_s);
            let is_new = !used.contains(&nc) && nc + 64 > highest;
            let outcome = server.judge(&answer(&challenge, nc, b"secret"), now);
            let expected = if is_new && now.since(START) < LIFETIME - Duration::from_millis(1) {
                Outcome::Accepted
            } else {
                Outcome::Stale
            };
            prop_assert_eq!(outcome, expected, "{}", nc);
            if outcome == Outcome::Accepted {
                used.insert(nc);
                highest = highest.max(nc);
            }
        }
    }
}
