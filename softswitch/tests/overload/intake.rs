//! What is refused when there is too much work, and what never is.

use crate::world::{CONFIG, PHONE, PLAIN, TRUNK, World, code, key, retry_after};
use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::overload::DelayClass;
use sip_stack::transport::Transport;
use softswitch::core::{Event, Input, Output, OverloadCause};
use softswitch::log::{Ending, replay_from};
use std::collections::{BTreeSet, VecDeque};
use std::io::Cursor;

/// What a message costs in this world: 1,000 a second can be carried out, 50,000 refused.
const ADMITTED: u64 = 1_000_000;
const REFUSED: u64 = 20_000;
/// Messages that the socket keeps.
const SOCKET: usize = 400;

const STRANGER: &str = "203.0.113.99:5060";

/// A switch that has been too slow for a second, with this many strangers refused on the way.
fn overloaded(config: &str) -> World {
    let mut world = World::new(config);
    world.register(1001, PHONE, PHONE, "");
    press(&mut world);
    world
}

/// Messages wait long, and strangers bring more.
fn press(world: &mut World) {
    world.input(Input::Backlog { delay_us: 600_000 });
    for _ in 0..1_000 {
        world.now.0 += 1_000_000;
        world.request(STRANGER, "OPTIONS", "", "");
    }
}

/// The answers to requests like this one, until `count` of them were refusals.
fn refusals(world: &mut World, peer: &str, method: &str, vias: &str, count: usize) -> Vec<Message> {
    let mut refusals = Vec::new();
    for _ in 0..count * 4 {
        world.now.0 += 1_000_000;
        let answer = world.request(peer, method, vias, "");
        if code(&answer) == 503 && refusals.len() < count {
            refusals.push(answer);
        }
    }
    assert_eq!(refusals.len(), count, "enough are refused");
    refusals
}

/// What a simulated server went through in one phase.
#[derive(Default)]
struct Phase {
    admitted: u64,
    refused: u64,
    refreshes_refused: u64,
    /// From arrival to answer, of what was admitted, in milliseconds.
    latencies_ms: Vec<u64>,
}

/// One server with a socket queue: hands the switch what arrives, at `per_s`, taking the time it takes.
struct Server {
    world: World,
    class: DelayClass,
    /// When the queue was empty for the last time.
    drained_at: Time,
    queue: VecDeque<(Time, bool)>,
    arrivals: u64,
    next_arrival: Time,
}

impl Server {
    fn run(&mut self, per_s: u64, seconds: u64) -> Phase {
        let mut phase = Phase::default();
        let until = Time(self.next_arrival.0 + seconds * 1_000_000_000);
        while self.next_arrival < until || !self.queue.is_empty() {
            while self.next_arrival <= self.world.now && self.next_arrival < until {
                self.arrive(per_s);
            }
            let Some((arrived, is_refresh)) = self.queue.pop_front() else {
                self.world.now = self.next_arrival.max(self.world.now);
                self.drained_at = self.world.now;
                self.tell();
                if self.next_arrival >= until {
                    break;
                }
                continue;
            };
            self.tell();
            self.serve(arrived, is_refresh, &mut phase);
        }
        phase
    }

    fn arrive(&mut self, per_s: u64) {
        self.arrivals += 1;
        if self.queue.len() < SOCKET {
            self.queue.push_back((self.next_arrival, self.arrivals.is_multiple_of(50)));
        }
        self.next_arrival.0 += 1_000_000_000 / per_s;
    }

    fn tell(&mut self) {
        let delay_us =
            u32::try_from(self.world.now.since(self.drained_at).as_micros()).expect("within an hour");
        if DelayClass::of(delay_us) != self.class {
            self.class = DelayClass::of(delay_us);
            self.world.input(Input::Backlog { delay_us });
        }
    }

    fn serve(&mut self, arrived: Time, is_refresh: bool, phase: &mut Phase) {
        let answer = if is_refresh {
            self.world.send_register(1001, PHONE, PHONE, "")
        } else {
            self.world.request(STRANGER, "OPTIONS", "", "")
        };
        let refused = code(&answer) == 503;
        self.world.now.0 += if refused { REFUSED } else { ADMITTED };
        match (is_refresh, refused) {
            (true, refused) => phase.refreshes_refused += u64::from(refused),
            (false, true) => phase.refused += 1,
            (false, false) => {
                phase.admitted += 1;
                phase.latencies_ms.push(self.world.now.since(arrived).as_millis().try_into().expect("few"));
            }
        }
    }
}

#[test]
fn in_a_flood_of_ten_times_the_capacity_what_is_admitted_is_prompt_and_refreshes_pass() {
    let mut world = World::new(CONFIG);
    world.register(1001, PHONE, PHONE, "");
    let next_arrival = world.now;
    let mut server = Server {
        world,
        class: DelayClass::Prompt,
        drained_at: next_arrival,
        queue: VecDeque::new(),
        arrivals: 0,
        next_arrival,
    };

    let calm = server.run(500, 1);
    assert_eq!(calm.refused, 0);

    server.run(10_000, 2);
    let mut flood = server.run(10_000, 3);
    flood.latencies_ms.sort_unstable();
    let p99 = flood.latencies_ms[flood.latencies_ms.len() * 99 / 100];
    assert!(p99 <= 50, "99 of 100 wait {p99} ms at most");
    assert!(flood.admitted >= 800, "refusing leaves room for work: {}", flood.admitted);
    assert_eq!(flood.refreshes_refused, 0);
    assert!(flood.refused > 20_000);

    server.run(500, 5);
    let after = server.run(500, 1);
    assert_eq!((after.refused, after.admitted), (0, 490));
}

#[test]
fn new_work_is_refused_with_503_before_its_credentials_are_looked_at_and_without_state() {
    let mut world = overloaded(CONFIG);
    let before = world.switch.holdings();
    for method in ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"] {
        let refusal = refusals(&mut world, STRANGER, method, "", 1).remove(0);
        assert!(retry_after(&refusal).is_some(), "{method}");
        assert!(refusal.header(HeaderName::WwwAuthenticate).is_none());
        assert!(refusal.to().unwrap().tag().is_some());
    }
    assert_eq!(world.switch.holdings(), before);
}

#[test]
fn a_refusal_goes_back_over_the_transport_of_its_request() {
    let mut world = overloaded(CONFIG);
    let before = world.switch.holdings();
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        let name = transport.name();
        let refused = (0..100).find_map(|n| {
            world.now.0 += 1_000_000;
            world.feed_over(transport, STRANGER, format!(
                "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{name} 203.0.113.99:5060;branch=z9hG4bK{name}{n}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: {name}{n}\r\n\
                 CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            ));
            let [Output::Transmit(transmit)] = &world.outputs[..] else { panic!("{:?}", world.outputs) };
            let answer = Message::parse(transmit.bytes.clone()).unwrap();
            (code(&answer) == 503).then_some((transmit.flow.transport, transmit.transaction, answer))
        });
        let (over, transaction, answer) = refused.expect("one of a hundred is refused");
        assert_eq!((over, transaction), (transport, None));
        assert!(retry_after(&answer).is_some());
    }
    assert_eq!(world.switch.holdings(), before);
}

#[test]
fn a_copy_of_a_refused_request_is_refused_with_the_same_tag() {
    let mut world = overloaded(CONFIG);
    let text = "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.99:5060;branch=z9hG4bKc\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\
        Content-Length: 0\r\n\r\n";
    let mut tags = BTreeSet::new();
    for _ in 0..10 {
        world.now.0 += 1_000_000;
        world.feed(STRANGER, text);
        let answer = world.sent_to(STRANGER).remove(0);
        assert_eq!(code(&answer), 503);
        tags.insert(answer.to().unwrap().tag().unwrap().to_vec());
    }
    assert_eq!(tags.len(), 1);
}

#[test]
fn a_phone_waits_5_to_30_seconds_and_not_all_the_same() {
    let mut world = overloaded(CONFIG);
    let answers = refusals(&mut world, STRANGER, "INVITE", "", 400);
    let waits: BTreeSet<u32> = answers.iter().map(|answer| retry_after(answer).unwrap()).collect();
    assert!(waits.iter().all(|wait| (5..=30).contains(wait)), "{waits:?}");
    assert_eq!(waits.len(), 26, "every second of them is used");
}

#[test]
fn a_proxy_or_trunk_waits_2_seconds_at_most() {
    let mut world = overloaded(CONFIG);
    let behind = "\r\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKx";
    for (peer, vias) in [(STRANGER, behind), (TRUNK, ""), (PLAIN, ""), ("198.51.100.9:40000", "")] {
        let answers = refusals(&mut world, peer, "INVITE", vias, 30);
        let waits: BTreeSet<u32> = answers.iter().map(|answer| retry_after(answer).unwrap()).collect();
        assert_eq!(waits, BTreeSet::from([1, 2]), "{peer}");
    }
}

#[test]
fn a_refresh_passes_by_its_call_id_or_its_contact_and_a_new_binding_does_not() {
    let mut world = overloaded(CONFIG);
    for _ in 0..50 {
        world.now.0 += 1_000_000;
        // The same Call-ID, and the same contact.
        assert_eq!(code(&world.send_register(1001, PHONE, "192.0.2.8:5060", "")), 401);
    }
    let mut refused = 0;
    for _ in 0..50 {
        world.now.0 += 1_000_000;
        refused += u32::from(code(&world.send_register(1002, PHONE, PHONE, "")) == 503);
    }
    assert!(refused > 30, "{refused}");
    let uri = "sip:192.0.2.1";
    for _ in 0..50 {
        world.now.0 += 1_000_000;
        world.feed(PHONE, format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKn{}\r\nMax-Forwards: 70\r\n\
             From: <sip:1001@192.0.2.1>;tag=n\r\nTo: <sip:1001@192.0.2.1>\r\nCall-ID: restarted\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:1001@{PHONE}>\r\nContent-Length: 0\r\n\r\n", world.now.0
        ));
        assert_eq!(code(&world.sent_to(PHONE)[0]), 401);
    }
}

#[test]
fn a_call_that_is_up_can_be_changed_and_ended() {
    let mut world = World::new(CONFIG);
    world.dial("9001");
    let invite = world.sent_to(PLAIN).remove(0);
    world.reply(PLAIN, &invite, "200 OK", "");
    assert_eq!(world.switch.calls(), 1);
    press(&mut world);
    let header = |name| String::from_utf8_lossy(invite.header(name).unwrap()).into_owned();
    let contact = invite.contact().unwrap().unwrap();
    let uri = String::from_utf8_lossy(contact.uri.text).into_owned();
    world.feed(PLAIN, format!(
        "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {PLAIN};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\nFrom: {};tag=b\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: 7 BYE\r\nContent-Length: 0\r\n\r\n",
        header(HeaderName::To), header(HeaderName::From), header(HeaderName::CallId),
    ));
    let sent = world.sent_to(PLAIN);
    assert_eq!(code(&sent[0]), 200, "the BYE of a call that is up");
}

#[test]
fn with_all_transactions_in_use_new_work_is_refused_and_refreshes_pass() {
    let mut world = World::new(&format!("{CONFIG}[limits]\ntransactions = 2\n"));
    world.register(1001, PHONE, PHONE, "");
    world.dial("9001");
    assert_eq!(world.switch.holdings().transactions, 2, "the INVITEs linger");
    assert_eq!(code(&world.request(STRANGER, "INVITE", "", "")), 503);
    assert!(matches!(world.events()[..], [Event::Overloaded { cause: OverloadCause::Transactions }]));
    assert_eq!(code(&world.send_register(1002, PHONE, PHONE, "")), 503);
    assert_eq!(code(&world.send_register(1001, PHONE, PHONE, "")), 401);
}

#[test]
fn with_all_calls_in_use_only_invites_are_refused() {
    let mut world = World::new(&format!("{CONFIG}[limits]\ncalls = 1\n"));
    world.dial("9001");
    let refusal = world.request(STRANGER, "INVITE", "", "");
    assert_eq!(code(&refusal), 503);
    assert!(matches!(world.events()[..], [Event::Overloaded { cause: OverloadCause::Calls }]));
    assert_eq!(code(&world.send_register(1002, PHONE, PHONE, "")), 401);
    assert_eq!(code(&world.request(STRANGER, "OPTIONS", "", "")), 200);
}

#[test]
fn an_overload_is_told_once_and_so_is_its_end() {
    let mut world = World::new(&format!("{CONFIG}[limits]\ncalls = 1\n"));
    world.dial("9001");
    let mut told = 0;
    for _ in 0..10 {
        world.request(STRANGER, "INVITE", "", "");
        told += world.events().len();
    }
    assert_eq!(told, 1);
    world.pass(4_900);
    assert!(world.events().is_empty());
    world.pass(200);
    assert!(matches!(world.events()[..], [Event::OverloadEnded { refused: 10 }]));
}

#[test]
fn an_overload_replays_byte_for_byte() {
    let mut world = World::new(CONFIG);
    world.record();
    world.register(1001, "203.0.113.5:40123", "10.0.0.7:5060", "");
    world.input(Input::Backlog { delay_us: 600_000 });
    let mut refused = 0;
    for _ in 0..500 {
        world.now.0 += 1_000_000;
        refused += u32::from(code(&world.request(TRUNK, "INVITE", ";oc;oc-algo=\"loss\"", "")) == 503);
    }
    assert!(refused > 0);
    world.input(Input::Backlog { delay_us: 0 });
    let sent = world.pass(60_000);
    let is_options = |bytes: &bytes::Bytes| {
        Message::parse(bytes.clone()).is_ok_and(|message| message.method() == Some(Method::Options))
    };
    assert!(sent.iter().any(|(_, transmit)| is_options(&transmit.bytes)), "the phone is kept reachable");
    let replayed = replay_from(Cursor::new(world.segment()), &key()).unwrap();
    assert_eq!(replayed.ending, Ending::Closed);
    assert!(replayed.inputs > 500 && replayed.timeouts > 0);
}
