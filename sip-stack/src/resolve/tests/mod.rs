//! Tests of the location of servers in virtual time, against a zone of the DNS in memory.

mod answers;
mod failover;
mod properties;
mod selection;

use super::*;
use crate::message::Uri;
use crate::random::Random;
use crate::time::Time;
use crate::transport::Transport;
use core::time::Duration;
use std::collections::BTreeMap;

const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn query(text: &str, kind: Kind) -> Query {
    Query { name: name(text), kind }
}

fn naptr(order: u16, preference: u16, services: &str, replacement: &str) -> Naptr {
    Naptr {
        order,
        preference,
        flags: "s".into(),
        services: services.into(),
        has_regexp: false,
        replacement: Name::new(replacement.as_bytes()),
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: Name::new(target.as_bytes()) }
}

fn records(records: Records) -> Answer {
    Answer::Records { records, ttl: Duration::from_secs(300) }
}

/// A resolver, and a DNS that answers at once.
struct World {
    resolver: Resolver,
    zone: BTreeMap<Query, Answer>,
    asked: Vec<Query>,
    now: Time,
    transports: TransportSet,
}

impl World {
    fn new() -> World {
        World::with(Families::Ipv4)
    }

    fn with(families: Families) -> World {
        World {
            resolver: Resolver::new(Settings { families, ..Settings::default() }, Random::new([7; 32])),
            zone: BTreeMap::new(),
            asked: Vec::new(),
            now: Time::from_millis(1_000),
            transports: ALL.into_iter().collect(),
        }
    }

    fn having(mut self, transports: &[Transport]) -> World {
        self.transports = transports.iter().copied().collect();
        self
    }

    fn set(mut self, text: &str, answer: Records) -> World {
        let kind = match &answer {
            Records::Naptr(_) => Kind::Naptr,
            Records::Srv(_) => Kind::Srv,
            Records::A(_) => Kind::A,
            Records::Aaaa(_) => Kind::Aaaa,
        };
        self.zone.insert(query(text, kind), records(answer));
        self
    }

    fn naptr(self, text: &str, answer: &[Naptr]) -> World {
        self.set(text, Records::Naptr(answer.to_vec()))
    }

    fn srv(self, text: &str, answer: &[Srv]) -> World {
        self.set(text, Records::Srv(answer.to_vec()))
    }

    fn a(self, text: &str, addresses: &[&str]) -> World {
        self.set(text, Records::A(addresses.iter().map(|address| address.parse().unwrap()).collect()))
    }

    fn aaaa(self, text: &str, addresses: &[&str]) -> World {
        self.set(text, Records::Aaaa(addresses.iter().map(|address| address.parse().unwrap()).collect()))
    }

    fn input(&mut self, input: Input) {
        self.resolver.handle_input(self.now, input).unwrap();
    }

    fn locate(&mut self, id: u64, uri: &str) {
        let destination = Destination::of_uri(&Uri::parse(uri.as_bytes()).unwrap()).unwrap();
        self.input(Input::Locate { id: LocationId(id), destination, transports: self.transports });
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.resolver.handle_timeout(self.now);
    }

    /// The next output that is no question; questions are answered from the zone, or with no such name.
    fn output(&mut self) -> Option<Output> {
        loop {
            match self.resolver.poll_output()? {
                Output::Query(query) => {
                    let answer = self.zone.get(&query).cloned().unwrap_or(Answer::NoSuchName);
                    self.asked.push(query.clone());
                    self.input(Input::Answer { query, answer });
                }
                output @ (Output::Target { .. } | Output::Exhausted { .. }) => return Some(output),
            }
        }
    }

    /// The output as `UDP 192.0.2.1:5060`, or the reason why there is none.
    fn told(&mut self) -> String {
        match self.output() {
            Some(Output::Target { target, .. }) => format!("{} {}", target.transport.name(), target.address),
            Some(Output::Exhausted { reason, .. }) => format!("{reason:?}"),
            Some(Output::Query(_)) | None => "silence".to_owned(),
        }
    }

    /// Lets the target of location `id` fail; returns what is told next.
    fn fail(&mut self, id: u64, failure: Failure) -> String {
        self.input(Input::Failed { id: LocationId(id), failure });
        self.told()
    }

    /// Everything that one location yields when each target fails with a 503 that is forgotten at once.
    fn all(&mut self, uri: &str) -> Vec<String> {
        self.locate(u64::MAX, uri);
        let mut told = vec![self.told()];
        while self.resolver.locations() > 0 {
            told.push(self.fail(u64::MAX, Failure::Unavailable { retry_after: None }));
        }
        told
    }

    fn kinds_asked(&self) -> Vec<String> {
        self.asked.iter().map(Query::to_string).collect()
    }
}
