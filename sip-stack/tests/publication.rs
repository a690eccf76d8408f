//! Publishing, by a client and a compositor that speak with each other, and each alone (RFC 3903 §4, §6).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use core::time::Duration;
use sip_stack::Time;
use sip_stack::event::{
    Bounds, Failure, Package, Publication, PublicationEvent, PublicationInput, PublicationOutput,
    Publications, Refusal, Terms,
};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer};
use sip_stack::random::Random;
use sip_stack::registration::Loss;

const TERMS: Terms<'_> = Terms { packages: &[Package::Presence], min_expires_s: 60, max_expires_s: 3_600 };
const BOUNDS: Bounds = Bounds { publications: 2, octets: 100 };

/// A client and its compositor, for which the network is a call of a function.
struct Pair {
    now: Time,
    random: Random,
    client: Publication,
    compositor: Publications<String>,
    events: Vec<PublicationEvent>,
    /// SIP-If-Match and body of each PUBLISH.
    sent: Vec<(bool, String)>,
}

impl Pair {
    fn new(expires_s: u32) -> Pair {
        Pair {
            now: Time::from_millis(1_000),
            random: Random::new([5; 32]),
            client: Publication::new(Package::Presence, expires_s),
            compositor: Publications::default(),
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn publish(&mut self, state: Option<&str>) {
        let state = state.map(|state| Bytes::copy_from_slice(state.as_bytes()));
        self.client.handle_input(self.now, PublicationInput::State(state), &mut self.random);
        self.run();
    }

    fn run(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                PublicationOutput::Event(event) => self.events.push(event),
                PublicationOutput::Publish(number) => {
                    let answer = self.carry(number);
                    let input = PublicationInput::Response(number, &answer);
                    self.client.handle_input(self.now, input, &mut self.random);
                }
            }
        }
    }

    fn carry(&mut self, number: u32) -> Message {
        let mut writer = Writer::request(Method::Publish, b"sip:a@h");
        writer.header(HeaderName::Via, b"SIP/2.0/UDP h;branch=z9hG4bK1");
        self.client.write(number, &mut writer);
        let publish = Message::parse(writer.finish()).unwrap();
        let body = String::from_utf8_lossy(publish.body()).into_owned();
        self.sent.push((publish.if_match().unwrap().is_some(), body));
        let terms = (Package::Presence, TERMS, BOUNDS);
        let mut answer = match self.compositor.publish(self.now, &publish, terms, &mut self.random, text) {
            Ok(accepted) => {
                let mut writer = Writer::status(Status::OK, b"OK");
                accepted.write(&mut writer);
                writer
            }
            Err(refusal) => {
                let mut writer = Writer::status(refusal.status(), b"no");
                refusal.write(TERMS, &mut writer);
                writer
            }
        };
        answer.header(HeaderName::Via, b"SIP/2.0/UDP h;branch=z9hG4bK1");
        Message::parse(answer.finish()).unwrap()
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= until) {
            self.now = due;
            self.client.handle_timeout(self.now);
            self.run();
        }
        self.now = until;
        self.compositor.expire(self.now);
    }

    fn published(&self) -> Vec<&str> {
        self.compositor.iter().map(String::as_str).collect()
    }
}

fn text(body: &[u8]) -> Option<String> {
    core::str::from_utf8(body).ok().filter(|text| !text.contains("nonsense")).map(str::to_owned)
}

fn message(fields: &str, body: &str) -> Message {
    let text = format!(
        "PUBLISH sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Message::parse(Bytes::from(text)).unwrap()
}

const PIDF: &str = "Event: presence\r\nContent-Type: application/pidf+xml\r\n";

#[test]
fn state_is_published_refreshed_modified_and_removed_under_its_tag() {
    let mut pair = Pair::new(3_600);
    pair.publish(Some("open"));
    assert_eq!(pair.events, [PublicationEvent::Published { expires_s: 3_600 }]);
    pair.wait(3_600 * 3);
    assert_eq!(pair.published(), ["open"], "it has been refreshed");
    pair.publish(Some("closed"));
    assert_eq!(pair.published(), ["closed"]);
    pair.publish(None);
    assert_eq!((pair.published().len(), pair.events.last()), (0, Some(&PublicationEvent::Removed)));
    let with_tag: Vec<bool> = pair.sent.iter().map(|(tag, _)| *tag).collect();
    assert!(!with_tag[0] && with_tag[1..].iter().all(|tag| *tag));
    let bodies: Vec<&str> =
        pair.sent.iter().map(|(_, body)| body.as_str()).filter(|body| !body.is_empty()).collect();
    assert_eq!(bodies, ["open", "closed"], "a refresh and a removal have no body");
    assert_eq!(pair.client.poll_timeout(), None);
}

#[test]
fn a_compositor_that_has_forgotten_the_tag_gets_the_whole_state_anew() {
    let mut pair = Pair::new(3_600);
    pair.publish(Some("open"));
    pair.compositor = Publications::default();
    pair.client.handle_input(pair.now, PublicationInput::Refresh, &mut pair.random);
    pair.run();
    assert_eq!(pair.published(), ["open"]);
    assert_eq!(pair.sent.last(), Some(&(false, "open".to_owned())));
    // To remove what is not there is no failure.
    pair.compositor = Publications::default();
    pair.publish(None);
    assert_eq!(pair.events.last(), Some(&PublicationEvent::Removed));
}

#[test]
fn a_lifetime_that_is_too_brief_is_asked_for_as_long_as_is_wanted() {
    let mut pair = Pair::new(30);
    pair.publish(Some("open"));
    assert_eq!(pair.events, [PublicationEvent::Published { expires_s: 60 }]);
}

#[test]
fn what_changes_while_a_publish_is_out_is_sent_after_it() {
    let mut pair = Pair::new(3_600);
    let say = |pair: &mut Pair, state: &'static str| {
        let state = PublicationInput::State(Some(Bytes::from_static(state.as_bytes())));
        pair.client.handle_input(pair.now, state, &mut pair.random);
    };
    say(&mut pair, "one");
    say(&mut pair, "two");
    say(&mut pair, "three");
    pair.run();
    // The first PUBLISH is written when it leaves, so it has the latest already; the one after it says so once more.
    assert_eq!(pair.published(), ["three"]);
    assert!(pair.sent.len() <= 2);
}

#[test]
fn a_publish_that_fails_is_tried_again_where_that_may_help() {
    let mut pair = Pair::new(3_600);
    let state = PublicationInput::State(Some(Bytes::from_static(b"open")));
    pair.client.handle_input(pair.now, state, &mut pair.random);
    let Some(PublicationOutput::Publish(number)) = pair.client.poll_output() else { panic!() };
    pair.client.handle_input(pair.now, PublicationInput::Lost(number, Loss::TimedOut), &mut pair.random);
    pair.run();
    let Some(PublicationEvent::Failed { failure: Failure::TimedOut, retry: Some(retry) }) = pair.events.pop()
    else {
        panic!("{:?}", pair.events)
    };
    pair.wait(retry.as_secs() + 1);
    assert_eq!(pair.published(), ["open"]);

    let mut pair = Pair::new(3_600);
    pair.publish(Some("nonsense"));
    let refused = Failure::Refused(Status::BAD_REQUEST);
    assert_eq!(pair.events, [PublicationEvent::Failed { failure: refused, retry: None }]);
    pair.publish(Some("open"));
    assert_eq!(pair.published(), ["open"], "another state is tried at once");
}

#[test]
fn the_compositor_refuses_in_the_order_of_the_rfc() {
    let mut publications = Publications::default();
    let mut random = Random::new([1; 32]);
    let mut refusal = |fields: &str, body: &str| {
        let terms = (Package::Presence, TERMS, BOUNDS);
        publications.publish(Time(0), &message(fields, body), terms, &mut random, text).err()
    };
    let bad = Some(Refusal::Other(Status::BAD_REQUEST));
    assert_eq!(refusal("Content-Type: application/pidf+xml\r\n", "open"), Some(Refusal::BadEvent));
    assert_eq!(refusal("Event: dialog\r\nSIP-If-Match: x\r\n", ""), Some(Refusal::BadEvent));
    assert_eq!(refusal("Event: presence\r\nSIP-If-Match: x\r\n", "open"), Some(Refusal::ConditionFailed));
    assert_eq!(refusal("Event: presence\r\nSIP-If-Match: a, b\r\n", ""), bad);
    assert_eq!(refusal("Event: presence\r\nExpires: 5\r\n", "open"), Some(Refusal::TooBrief(60)));
    let html = "Event: presence\r\nContent-Type: text/html\r\n";
    assert_eq!(refusal(html, "open"), Some(Refusal::UnsupportedMediaType(Package::Presence)));
    assert_eq!(refusal("Event: presence\r\n", ""), bad);
    assert_eq!(refusal(PIDF, &"x".repeat(101)), Some(Refusal::TooLarge));
    assert_eq!(refusal(PIDF, "nonsense"), bad);
    assert!(publications.is_empty());
}

#[test]
fn every_success_has_another_tag_and_the_one_before_names_nothing() {
    let mut publications = Publications::default();
    let mut random = Random::new([1; 32]);
    let mut publish = |fields: &str, body: &str| {
        let terms = (Package::Presence, TERMS, BOUNDS);
        publications.publish(Time(0), &message(fields, body), terms, &mut random, text)
    };
    let mut tags = vec![publish(PIDF, "open").unwrap().tag];
    for _ in 0..3 {
        let fields = format!(
            "Event: presence\r\nSIP-If-Match: {}\r\n",
            String::from_utf8_lossy(&tags[tags.len() - 1])
        );
        let accepted = publish(&fields, "").unwrap();
        assert!(!accepted.is_changed && !tags.contains(&accepted.tag));
        assert_eq!(publish(&fields, "").err(), Some(Refusal::ConditionFailed));
        tags.push(accepted.tag);
    }
}

#[test]
fn publications_end_by_themselves_and_too_many_let_the_first_to_end_go() {
    let mut publications = Publications::default();
    let mut random = Random::new([1; 32]);
    for (expires_s, body) in [(600, "a"), (300, "b"), (900, "c")] {
        let fields = format!("{PIDF}Expires: {expires_s}\r\n");
        let terms = (Package::Presence, TERMS, BOUNDS);
        publications.publish(Time(0), &message(&fields, body), terms, &mut random, text).unwrap();
    }
    assert_eq!(publications.iter().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(publications.poll_timeout(), Some(Time::from_millis(600_000)));
    assert!(!publications.expire(Time::from_millis(599_999)));
    assert!(publications.expire(Time::from_millis(600_000)));
    assert_eq!(publications.iter().collect::<Vec<_>>(), ["c"]);
}
