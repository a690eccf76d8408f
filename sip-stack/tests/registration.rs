//! Registration as a client in virtual time: refresh, challenges, 423, failures, several flows (RFC 3261 §10.2,
//! RFC 3608 §6.1, RFC 5626 §4.2 and §4.5).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use core::time::Duration;
use sip_stack::Time;
use sip_stack::auth::Verdict;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer};
use sip_stack::random::Random;
use sip_stack::registration::{Event, Failure, FlowId, Input, Loss, Output, Registration, Ticket};

const URN: &[u8] = b"urn:uuid:00000000-0000-1000-8000-000A95A0E128";
const OUTBOUND: &str = "Require: outbound\r\nFlow-Timer: 120\r\n";

struct Client {
    registration: Registration,
    random: Random,
    now: Time,
    events: Vec<Event>,
    sent: Vec<Ticket>,
}

impl Client {
    fn new(registration: impl FnOnce(&mut Random) -> Registration) -> Client {
        let mut random = Random::new([3; 32]);
        let registration = registration(&mut random);
        let mut client =
            Client { registration, random, now: Time::from_millis(1), events: Vec::new(), sent: Vec::new() };
        client.input(Input::Wanted(true));
        client
    }

    fn plain() -> Client {
        Client::new(|random| {
            Registration::plain(Bytes::from_static(b"sip:1001@192.0.2.7:5070"), 3_600, random)
        })
    }

    fn with_flows(flows: usize) -> Client {
        let contact = Bytes::from_static(b"sip:1001@192.0.2.7;transport=tcp");
        let contacts = core::iter::repeat_n(contact, flows);
        Client::new(|random| Registration::outbound(URN, contacts, 3_600, random))
    }

    fn input(&mut self, input: Input<'_>) {
        self.registration.handle_input(self.now, input, &mut self.random);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.registration.poll_output() {
            match output {
                Output::Register(ticket) => self.sent.push(ticket),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The one REGISTER that is to be sent.
    fn ticket(&mut self) -> Ticket {
        let sent = core::mem::take(&mut self.sent);
        let [ticket] = sent[..] else { panic!("one REGISTER, not {sent:?}") };
        ticket
    }

    fn register(&self, ticket: Ticket) -> Message {
        let mut writer = Writer::request(Method::Register, b"sip:example.com");
        let (call_id, cseq) = self.registration.sequence(ticket);
        writer.header(HeaderName::Via, b"SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK1");
        writer.header(HeaderName::From, b"<sip:1001@example.com>;tag=1");
        writer.header(HeaderName::To, b"<sip:1001@example.com>");
        writer.header(HeaderName::CallId, call_id).cseq(cseq, Method::Register);
        self.registration.write(ticket, &mut writer);
        Message::parse(writer.finish()).unwrap()
    }

    fn answer(&mut self, ticket: Ticket, status: &str, headers: &str) {
        let (call_id, cseq) = self.registration.sequence(ticket);
        let text = format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK1\r\n\
             From: <sip:1001@example.com>;tag=1\r\nTo: <sip:1001@example.com>;tag=2\r\nCall-ID: {}\r\n\
             CSeq: {cseq} REGISTER\r\n{headers}Content-Length: 0\r\n\r\n",
            String::from_utf8_lossy(call_id)
        );
        let response = Message::parse(text.into()).unwrap();
        self.input(Input::Response { ticket, response: &response });
    }

    /// Runs until a timer has made it send; answers how long that took.
    fn wait(&mut self) -> Duration {
        let due = self.registration.poll_timeout().expect("a timer runs");
        let waited = due.since(self.now);
        self.now = due;
        self.registration.handle_timeout(due);
        self.drain();
        waited
    }

    fn event(&mut self) -> Event {
        let events = core::mem::take(&mut self.events);
        let [event] = events[..] else { panic!("one event, not {events:?}") };
        event
    }

    fn failure(&mut self) -> (Failure, Option<Duration>) {
        match self.event() {
            Event::Failed { failure, retry, .. } => (failure, retry),
            event => panic!("a failure, not {event:?}"),
        }
    }
}

fn field(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap()).into_owned()
}

fn seconds(from: u64, to: u64) -> core::ops::RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

#[test]
fn a_binding_is_refreshed_before_it_ends_under_the_same_call_id_with_the_next_cseq() {
    let mut client = Client::plain();
    let first = client.ticket();
    let request = client.register(first);
    assert_eq!(field(&request, HeaderName::Contact), "<sip:1001@192.0.2.7:5070>");
    assert_eq!(field(&request, HeaderName::Expires), "3600");
    assert_eq!(field(&request, HeaderName::Supported), "path");
    client.answer(first, "200 OK", "Contact: <sip:1001@192.0.2.7:5070>;expires=600, <sip:x@h>;expires=1\r\n");
    assert!(matches!(client.event(), Event::Registered { expires_s: 600, outbound: false, .. }));
    assert_eq!(client.wait(), Duration::from_secs(530));
    let second = client.ticket();
    let again = client.register(second);
    assert_eq!(field(&again, HeaderName::CallId), field(&request, HeaderName::CallId));
    assert_eq!(second.cseq, first.cseq + 1);
}

#[test]
fn a_short_lifetime_is_refreshed_at_half_time_and_none_at_all_does_not_spin() {
    let mut client = Client::plain();
    let ticket = client.ticket();
    client.answer(ticket, "200 OK", "Expires: 60\r\n");
    assert_eq!(client.wait(), Duration::from_secs(30));
    let ticket = client.ticket();
    client.answer(ticket, "200 OK", "Expires: 0\r\n");
    assert_eq!(client.wait(), Duration::from_secs(5));
}

#[test]
fn a_challenge_is_answered_and_wrong_credentials_are_given_up() {
    let mut client = Client::plain();
    let ticket = client.ticket();
    client.input(Input::Challenged { ticket, verdict: Verdict::Again });
    let again = client.ticket();
    assert_eq!(again.cseq, ticket.cseq + 1);
    client.input(Input::Challenged { ticket: again, verdict: Verdict::Refused });
    assert_eq!(client.failure(), (Failure::WrongCredentials, None));
    assert_eq!(client.registration.poll_timeout(), None);
    client.input(Input::Wanted(true));
    client.ticket();
}

#[test]
fn a_registrar_that_demands_without_end_is_given_up() {
    let mut client = Client::plain();
    let mut asked = 0;
    while let Some(ticket) = client.sent.pop() {
        asked += 1;
        client.input(Input::Challenged { ticket, verdict: Verdict::Again });
    }
    assert_eq!((asked, client.failure()), (7, (Failure::Nonsense, None)));
}

#[test]
fn an_interval_too_brief_is_asked_for_again_as_long_as_the_registrar_wants() {
    let mut client = Client::plain();
    let ticket = client.ticket();
    client.answer(ticket, "423 Interval Too Brief", "Min-Expires: 7200\r\n");
    let ticket = client.ticket();
    assert_eq!(field(&client.register(ticket), HeaderName::Expires), "7200");
    client.answer(ticket, "423 Interval Too Brief", "Min-Expires: 7200\r\n");
    assert_eq!(client.failure(), (Failure::Nonsense, None));
}

#[test]
fn a_failure_that_may_pass_is_tried_again_after_30_to_60_seconds_doubling() {
    let mut client = Client::plain();
    for (least, most) in [(30, 60), (60, 120), (120, 240), (240, 480), (480, 960), (900, 1_800), (900, 1_800)]
    {
        let ticket = client.ticket();
        client.input(Input::Lost { ticket, loss: Loss::TimedOut });
        let (failure, retry) = client.failure();
        assert_eq!(failure, Failure::TimedOut);
        assert!(seconds(least, most).contains(&retry.unwrap()), "{retry:?}");
        assert_eq!(Some(client.wait()), retry);
    }
}

#[test]
fn a_failure_that_stays_is_not_tried_again() {
    for status in ["403 Forbidden", "404 Not Found", "501 Not Implemented", "600 Busy Everywhere"] {
        let mut client = Client::plain();
        let ticket = client.ticket();
        client.answer(ticket, status, "");
        assert_eq!(client.failure().1, None, "{status}");
    }
}

#[test]
fn retry_after_says_when_to_try_again() {
    let mut client = Client::plain();
    let ticket = client.ticket();
    client.answer(ticket, "503 Service Unavailable", "Retry-After: 300\r\n");
    assert_eq!(
        client.failure(),
        (Failure::Refused(Status::SERVICE_UNAVAILABLE), Some(Duration::from_secs(300)))
    );
    client.wait();
    let ticket = client.ticket();
    client.answer(ticket, "503 Service Unavailable", "Retry-After: 0\r\n");
    assert!(seconds(60, 120).contains(&client.failure().1.unwrap()), "zero may not make it spin");
}

#[test]
fn the_service_route_is_that_of_the_last_answer_and_goes_with_the_registration() {
    let mut client = Client::plain();
    let flow = client.sent[0].flow;
    let ticket = client.ticket();
    client.answer(
        ticket,
        "200 OK",
        "Service-Route: <sip:p2.example.com;lr>,\r\n <sip:hsp.example.com;lr>\r\n",
    );
    let routes = [&b"<sip:p2.example.com;lr>"[..], b"<sip:hsp.example.com;lr>"];
    assert_eq!(client.registration.service_route(flow), routes);
    client.wait();
    let ticket = client.ticket();
    client.answer(ticket, "200 OK", "");
    assert!(client.registration.service_route(flow).is_empty());
    client.wait();
    let ticket = client.ticket();
    client.answer(ticket, "200 OK", "Service-Route: <sip:p2.example.com;lr>\r\n");
    client.wait();
    let ticket = client.ticket();
    client.answer(ticket, "403 Forbidden", "");
    assert!(client.registration.service_route(flow).is_empty());
}

#[test]
fn a_registration_that_is_not_wanted_any_more_is_removed_after_the_answer() {
    let mut client = Client::plain();
    let ticket = client.ticket();
    client.input(Input::Wanted(false));
    assert!(client.sent.is_empty(), "one REGISTER after the other");
    client.answer(ticket, "200 OK", "Expires: 600\r\n");
    client.events.clear();
    let ticket = client.ticket();
    assert_eq!(field(&client.register(ticket), HeaderName::Expires), "0");
    client.answer(ticket, "200 OK", "");
    assert_eq!(client.event(), Event::Unregistered);
    assert_eq!(client.registration.poll_timeout(), None);
}

#[test]
fn an_answer_to_an_earlier_request_changes_nothing() {
    let mut client = Client::plain();
    let first = client.ticket();
    client.input(Input::Challenged { ticket: first, verdict: Verdict::Again });
    client.answer(first, "403 Forbidden", "");
    client.input(Input::Lost { ticket: first, loss: Loss::TimedOut });
    assert!(client.events.is_empty());
    let second = client.ticket();
    client.answer(second, "200 OK", "");
    assert!(client.registration.is_registered());
}

#[test]
fn every_flow_has_its_own_reg_id_and_call_id_and_the_same_instance() {
    let mut client = Client::with_flows(2);
    let sent = core::mem::take(&mut client.sent);
    let requests: Vec<Message> = sent.iter().map(|ticket| client.register(*ticket)).collect();
    let contact = "<sip:1001@192.0.2.7;transport=tcp>;+sip.instance=\
                   \"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=";
    let contacts: Vec<String> = requests.iter().map(|request| field(request, HeaderName::Contact)).collect();
    assert_eq!(contacts, [format!("{contact}1"), format!("{contact}2")]);
    assert_ne!(field(&requests[0], HeaderName::CallId), field(&requests[1], HeaderName::CallId));
    assert_eq!(field(&requests[0], HeaderName::Supported), "path, outbound");
}

#[test]
fn the_lifetime_of_a_flow_is_found_by_its_reg_id_where_both_have_one_contact() {
    let mut client = Client::with_flows(2);
    let sent = core::mem::take(&mut client.sent);
    let listed = "Contact: <sip:1001@192.0.2.7;transport=tcp>;expires=100;reg-id=1;\
                  +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\",\
                  <sip:1001@192.0.2.7;transport=tcp>;expires=200;reg-id=2;\
                  +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"\r\n";
    client.answer(sent[1], "200 OK", &format!("{listed}{OUTBOUND}"));
    let Event::Registered { flow, expires_s, outbound, flow_timer_s } = client.event() else { panic!() };
    assert_eq!((flow.reg_id(), expires_s, outbound, flow_timer_s), (2, 200, true, Some(120)));
}

/// Two flows that are registered.
fn two_flows() -> (Client, FlowId, FlowId) {
    let mut client = Client::with_flows(2);
    let sent = core::mem::take(&mut client.sent);
    for ticket in &sent {
        client.answer(*ticket, "200 OK", &format!("Expires: 3600\r\n{OUTBOUND}"));
    }
    client.events.clear();
    (client, sent[0].flow, sent[1].flow)
}

#[test]
fn a_flow_that_worked_is_formed_anew_at_once_when_it_fails() {
    let (mut client, first, _) = two_flows();
    client.input(Input::KeptAlive(first));
    client.input(Input::FlowFailed(first));
    assert_eq!(client.ticket().flow, first);
    assert!(client.events.is_empty());
}

#[test]
fn a_flow_that_never_answered_a_keep_alive_waits_before_it_is_formed_anew() {
    let (mut client, first, second) = two_flows();
    client.input(Input::FlowFailed(first));
    let (failure, retry) = client.failure();
    assert_eq!(failure, Failure::FlowFailed);
    assert!(seconds(90, 180).contains(&retry.unwrap()), "the other flow works: {retry:?}");
    assert!(client.registration.is_registered());
    client.input(Input::FlowFailed(second));
    assert!(seconds(30, 60).contains(&client.failure().1.unwrap()), "none is left");
    assert!(!client.registration.is_registered());
}

#[test]
fn success_without_a_keep_alive_does_not_shorten_the_next_wait() {
    let (mut client, first, _) = two_flows();
    client.input(Input::FlowFailed(first));
    client.wait();
    let ticket = client.ticket();
    client.answer(ticket, "200 OK", OUTBOUND);
    client.events.clear();
    client.input(Input::FlowFailed(first));
    assert!(seconds(180, 360).contains(&client.failure().1.unwrap()));
}

#[test]
fn a_first_hop_without_outbound_leaves_one_flow_without_reg_id() {
    let mut client = Client::with_flows(2);
    let sent = core::mem::take(&mut client.sent);
    client.answer(sent[1], "439 First Hop Lacks Outbound Support", "");
    assert!(matches!(client.event(), Event::Failed { retry: None, .. }));
    client.answer(sent[0], "439 First Hop Lacks Outbound Support", "");
    let ticket = client.ticket();
    let request = client.register(ticket);
    assert!(!field(&request, HeaderName::Contact).contains("reg-id"));
    assert_eq!(field(&request, HeaderName::Supported), "path");
    client.answer(ticket, "200 OK", "");
    assert!(matches!(client.event(), Event::Registered { outbound: false, .. }));
}

#[test]
fn every_flow_is_removed_before_the_phone_counts_as_unregistered() {
    let (mut client, ..) = two_flows();
    client.input(Input::Wanted(false));
    let sent = core::mem::take(&mut client.sent);
    client.answer(sent[0], "200 OK", "");
    assert!(client.events.is_empty());
    client.input(Input::Lost { ticket: sent[1], loss: Loss::TimedOut });
    assert!(matches!(client.events[..], [Event::Failed { retry: None, .. }, Event::Unregistered]));
    assert_eq!(client.registration.poll_timeout(), None);
}
