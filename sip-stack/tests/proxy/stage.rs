//! The proxy under test, and the messages that others would send it.

use bytes::Bytes;
use sip_stack::endpoint::{Event, Input, Output};
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status, response};
use sip_stack::proxy::{self, Forwarding, Hop, Proxy, Refusal, Target, own_routes, pass};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Message, Time};
use std::net::SocketAddr;
use std::time::Duration;

/// Who calls.
pub(crate) const CALLER: u8 = 7;
/// How others reach the proxy.
pub(crate) const HOST: &[u8] = b"192.0.2.1:5060";

pub(crate) fn flow(peer: u8) -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: ([192, 0, 2, 1], 5060).into(),
        peer: address(peer),
    }
}

pub(crate) fn address(peer: u8) -> SocketAddr {
    ([192, 0, 2, peer], 5060).into()
}

/// A target at that address.
pub(crate) fn target(peer: u8, q: u16) -> Target {
    Target { ways: [hop(peer)].into_iter().collect(), q }
}

pub(crate) fn hop(peer: u8) -> Hop {
    let uri = Bytes::from(format!("sip:phone@192.0.2.{peer}"));
    Hop { uri, routes: Box::default(), flow: flow(peer), sent_by: Bytes::from_static(HOST) }
}

/// A request of the caller with further header lines.
pub(crate) fn request(method: &str, branch: &str, headers: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{branch}\r\n{headers}\
         From: <sip:alice@example.com>;tag=alice\r\nTo: <sip:bob@example.com>\r\nCall-ID: call@192.0.2.7\r\n\
         CSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.7>\r\nContent-Length: 4\r\n\r\nbody"
    )
}

/// The proxy.
pub(crate) struct Stage {
    pub(crate) now: Time,
    pub(crate) endpoint: Endpoint,
    pub(crate) proxy: Proxy,
    /// To whom requests outside of dialogs go.
    pub(crate) targets: Vec<Target>,
    pub(crate) each: Duration,
    pub(crate) all: Duration,
    /// What became of requests.
    pub(crate) told: Vec<proxy::Event>,
    pub(crate) refused: Vec<Refusal>,
}

/// What the proxy sent: to whom, and what.
pub(crate) type Sent = (u8, Message);

impl Stage {
    pub(crate) fn new(targets: Vec<Target>) -> Stage {
        Stage {
            now: Time::from_millis(1),
            endpoint: Endpoint::new([9; 32]),
            proxy: Proxy::default(),
            targets,
            each: Duration::from_secs(20),
            all: Duration::from_secs(600),
            told: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// A message comes from `peer`; what leaves.
    pub(crate) fn receive(&mut self, peer: u8, bytes: impl Into<Bytes>) -> Vec<Sent> {
        let input = Input::Received { flow: flow(peer), bytes: bytes.into() };
        self.endpoint.handle_input(self.now, input);
        self.drain()
    }

    /// The callee at the other end of `sent` answers with `status`, `tag` and further header lines.
    pub(crate) fn answer(&mut self, sent: &Sent, code: u16, tag: &str, headers: &str) -> Vec<Sent> {
        let (peer, request) = sent;
        let answer = answer_to(request, code, tag, headers);
        self.receive(*peer, answer)
    }

    pub(crate) fn pass_time(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some(due) = self.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
            sent.extend(self.drain());
            self.proxy.handle_timeout(self.now, &mut self.endpoint);
            sent.extend(self.drain());
        }
        self.now = end;
        sent
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        [self.endpoint.poll_timeout(), self.proxy.poll_timeout()].into_iter().flatten().min()
    }

    /// Lets all the time pass that anything waits for; nothing is left then.
    pub(crate) fn rest(mut self) {
        for _ in 0..10_000 {
            let Some(due) = self.poll_timeout() else {
                assert_eq!((self.endpoint.transactions(), self.endpoint.dialogs()), (0, 0));
                return assert_eq!(self.proxy.contexts(), 0);
            };
            let left = if due > self.now { due.since(self.now) } else { Duration::ZERO };
            self.pass_time(left);
        }
        panic!("the timers never come to rest");
    }

    pub(crate) fn drain(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let [.., peer] = match transmit.flow.peer.ip() {
                        std::net::IpAddr::V4(ip) => ip.octets(),
                        std::net::IpAddr::V6(_) => panic!("{}", transmit.flow),
                    };
                    let message = Message::parse(transmit.bytes).unwrap();
                    assert!(message.validate().is_ok(), "{message:?}");
                    sent.push((peer, message));
                }
                Output::Event(event) => self.on_event(event),
            }
        }
        while let Some(event) = self.proxy.poll_event() {
            self.told.push(event);
        }
        sent
    }

    fn on_event(&mut self, event: Event) {
        if self.proxy.handle_event(self.now, &mut self.endpoint, &event) {
            return;
        }
        match event {
            Event::Request(request) => {
                if let Err(refusal) = Proxy::check(&self.endpoint, &request) {
                    let mut answer = self.endpoint.response(&request, refusal.status, None);
                    if let Some((name, value)) = &refusal.header {
                        answer.header(*name, value);
                    }
                    self.endpoint.reply(&request, answer.finish());
                    return;
                }
                let forwarding = Forwarding {
                    owner: 5,
                    targets: self.targets.clone(),
                    record_route: Some(Bytes::from_static(HOST)),
                    stamp: None,
                    own_routes: own_routes(&request.message, |uri| uri.host == b"192.0.2.1"),
                    each: self.each,
                    all: self.all,
                    realm: Bytes::from_static(b"example.com"),
                    is_trusted: false,
                };
                self.proxy.forward(self.now, &mut self.endpoint, request, forwarding);
            }
            Event::Passing(passing) => {
                if let Err(refusal) =
                    pass(&mut self.endpoint, &passing, HOST, |realm| realm == b"example.com")
                {
                    self.refused.push(refusal);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The answer of a callee that repeats Record-Route, as every user agent does.
pub(crate) fn answer_to(request: &Message, code: u16, tag: &str, headers: &str) -> Bytes {
    let status = Status::new(code).unwrap();
    let mut answer = response(request, status, None, Some(tag.as_bytes()), address(1));
    answer.copy(HeaderName::RecordRoute, request);
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        answer.header(HeaderName::lookup(name.as_bytes()).unwrap(), value.as_bytes());
    }
    answer.finish()
}

/// What somebody was sent: methods and statuses, in order.
pub(crate) fn to(sent: &[Sent], peer: u8) -> Vec<String> {
    let of_peer = sent.iter().filter(|(to, _)| *to == peer);
    of_peer.map(|(_, message)| name(message)).collect()
}

pub(crate) fn name(message: &Message) -> String {
    match (message.method(), message.status()) {
        (Some(method), _) => method.to_string(),
        (None, Some(status)) => status.code().to_string(),
        (None, None) => panic!("{message:?}"),
    }
}

/// The only message of that name to that peer.
pub(crate) fn only<'a>(sent: &'a [Sent], peer: u8, what: &str) -> &'a Sent {
    let mut found = sent.iter().filter(|(to, message)| *to == peer && name(message) == what);
    match (found.next(), found.next()) {
        (Some(found), None) => found,
        _ => panic!("{what} to {peer} is not once among {sent:?}"),
    }
}

/// The INVITE of the caller, and what left for it.
pub(crate) fn invited(targets: Vec<Target>) -> (Stage, Vec<Sent>) {
    let mut stage = Stage::new(targets);
    let sent = stage.receive(CALLER, request("INVITE", "1", "Max-Forwards: 70\r\n"));
    (stage, sent)
}

/// The ACK of a failure, or the CANCEL, that the caller would send.
pub(crate) fn of_invite(method: Method<'_>) -> String {
    request(&method.to_string(), "1", "Max-Forwards: 70\r\n")
}
