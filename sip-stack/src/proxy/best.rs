//! Which of several failures the caller hears (RFC 3261 §16.7 steps 4, 6 and 7).
//!
//! Left out on purpose: recursing on the contacts of a 3xx (step 4 permits it): they are the caller's to follow.

use crate::header::HeaderName;
use crate::message::{Message, Status};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Challenges that are kept for the caller.
const MAX_CHALLENGES: usize = 16;

/// The failures of one request so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Failures {
    best: Option<(Status, Option<Box<Message>>)>,
    challenges: SmallVec<[(HeaderName, Bytes); 0]>,
}

/// What the caller is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Best {
    /// This response, with the challenges of others.
    Forward(Status, Bytes),
    /// One of our own.
    Own(Status),
}

impl Failures {
    /// A failure (300 to 699); without a message one that stands for no answer (408) or no transport (503).
    pub(super) fn add(&mut self, status: Status, message: Option<&Message>) {
        if let Some(message) = message
            && is_challenge(status)
        {
            self.keep_challenges(message);
        }
        if self.best.as_ref().is_none_or(|(best, _)| rank(status) < rank(*best)) {
            self.best = Some((status, message.map(|message| Box::new(message.clone()))));
        }
    }

    fn keep_challenges(&mut self, message: &Message) {
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for value in message.headers(name) {
                if self.challenges.len() < MAX_CHALLENGES {
                    self.challenges.push((name, message.share(value)));
                }
            }
        }
    }

    /// The best one: a 6xx, else of the lowest class. Nobody answered: 408.
    pub(super) fn best(&self) -> Best {
        let Some((status, message)) = &self.best else { return Best::Own(Status::REQUEST_TIMEOUT) };
        if *status == Status::SERVICE_UNAVAILABLE {
            // It would tell the caller that we can serve nobody (§16.7 step 6).
            return Best::Own(Status::SERVER_INTERNAL_ERROR);
        }
        let forwarded = message.as_ref().and_then(|message| {
            let shown =
                |(name, value): &&(HeaderName, Bytes)| message.headers(*name).all(|other| other != value);
            let others: Vec<_> = match is_challenge(*status) {
                true => self.challenges.iter().filter(shown).cloned().collect(),
                false => Vec::new(),
            };
            message.without_top_via(&others)
        });
        forwarded.map_or(Best::Own(*status), |bytes| Best::Forward(*status, bytes))
    }
}

fn is_challenge(status: Status) -> bool {
    matches!(status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
}

/// The lower, the better: 6xx, then the classes; within 4xx what tells the caller how to ask again, last what tells nothing.
fn rank(status: Status) -> (u16, u16) {
    let within = match status.code() {
        401 | 407 | 415 | 420 | 484 => 0,
        408 | 487 => 2,
        503 => 3,
        _ => 1,
    };
    match status.code() / 100 {
        6 => (0, within),
        class => (class, within),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Status {
        Status::new(code).unwrap()
    }

    fn response(code: u16, headers: &str) -> Message {
        let text = format!(
            "SIP/2.0 {code} Sorry\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{headers}\
             Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn best(codes: &[u16]) -> Option<u16> {
        let mut failures = Failures::default();
        codes.iter().for_each(|code| failures.add(status(*code), Some(&response(*code, ""))));
        failures.best.map(|(status, _)| status.code())
    }

    #[test]
    fn a_6xx_is_chosen_then_the_lowest_class_then_what_helps_to_ask_again() {
        assert_eq!(best(&[486, 603, 404]), Some(603));
        assert_eq!(best(&[500, 486, 503]), Some(486));
        assert_eq!(best(&[404, 302, 500]), Some(302));
        assert_eq!(best(&[503, 407, 501, 404]), Some(407));
        assert_eq!(best(&[404, 484]), Some(484));
        assert_eq!(best(&[408, 487, 480]), Some(480));
        assert_eq!(best(&[503, 500]), Some(500));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn without_any_answer_it_is_408() {
        assert_eq!(Failures::default().best(), Best::Own(Status::REQUEST_TIMEOUT));
    }

    #[test]
    fn a_503_becomes_500() {
        let mut failures = Failures::default();
        failures.add(status(503), Some(&response(503, "Retry-After: 3600\r\n")));
        assert_eq!(failures.best(), Best::Own(Status::SERVER_INTERNAL_ERROR));
    }

    #[test]
    fn challenges_of_all_branches_reach_the_caller() {
        let mut failures = Failures::default();
        failures.add(status(404), Some(&response(404, "")));
        failures.add(status(407), Some(&response(407, "Proxy-Authenticate: Digest realm=\"a\"\r\n")));
        failures.add(status(401), Some(&response(401, "WWW-Authenticate: Digest realm=\"b\"\r\n")));
        let Best::Forward(best, bytes) = failures.best() else { panic!("{:?}", failures.best()) };
        let message = Message::parse(bytes).unwrap();
        assert_eq!(best.code(), 407);
        assert_eq!(message.headers(HeaderName::ProxyAuthenticate).count(), 1);
        assert_eq!(message.header(HeaderName::WwwAuthenticate), Some(&b"Digest realm=\"b\""[..]));
        assert_eq!(message.list(HeaderName::Via).count(), 1);
    }
}
