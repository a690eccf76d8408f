//! The ways to servers as a pure machine: which address and which transport each account tries next (RFC 3263 §4), until one
//! can be opened.
//!
//! Opening is the user's: [`Output::Open`] says what to try, [`Input::Opened`] and [`Input::Failed`] how that went. A way that
//! worked and is lost is looked for from the beginning; one that failed leads to the next, and is passed over for a minute.
//!
//! Left out on purpose: several ways of one account at a time (RFC 5626 §4.2.1); going back to a better server while
//! another one works.

use crate::phone::{AccountId, Reason, Unreached};
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::resolve::{
    self, Answer, Destination, Exhausted, Failure, LocationId, Query, Resolver, Settings, Target,
    TransportSet,
};
use sip_stack::transport::Flow;
use std::collections::VecDeque;

/// What enters.
#[derive(Debug)]
pub enum Input {
    /// The phone needs a way; `failed`: the last one is of no use.
    Locate {
        /// The account.
        account: AccountId,
        /// How the last one failed.
        failed: Option<Failure>,
    },
    /// The DNS answered.
    Answer {
        /// The question.
        query: Query,
        /// The answer.
        answer: Answer,
    },
    /// What was to be opened is open.
    Opened {
        /// The account.
        account: AccountId,
        /// The way.
        flow: Flow,
    },
    /// What was to be opened cannot be.
    Failed {
        /// The account.
        account: AccountId,
        /// Why, in words.
        reason: Reason,
    },
}

/// What leaves.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the DNS.
    Query(Query),
    /// Open this.
    Open {
        /// The account.
        account: AccountId,
        /// Where to.
        target: Target,
    },
    /// The search has ended; as [`crate::phone::Input::Way`].
    Way {
        /// The account.
        account: AccountId,
        /// The way, or why there is none.
        way: Result<Flow, Option<Reason>>,
    },
}

/// What one account looks for.
#[derive(Debug)]
struct Seeker {
    destination: Destination,
    transports: TransportSet,
    location: Option<LocationId>,
    /// A target is being opened.
    opening: bool,
    /// Why the first target that could not be opened could not: the others are its stand-ins.
    fault: Option<Reason>,
    /// What was found, and turned out to lead nowhere.
    rejected: Option<Reason>,
}

/// The ways of all accounts.
#[derive(Debug)]
pub struct Ways {
    resolver: Resolver,
    seekers: Vec<Seeker>,
    outputs: VecDeque<Output>,
    last: u64,
}

impl Ways {
    /// For no account yet.
    pub fn new(settings: Settings, random: Random) -> Ways {
        Ways {
            resolver: Resolver::new(settings, random),
            seekers: Vec::new(),
            outputs: VecDeque::new(),
            last: 0,
        }
    }

    /// Another account, in the order of the phone: where its server is, and what may be used to reach it.
    pub fn add(&mut self, destination: Destination, transports: TransportSet) {
        let seeker =
            Seeker { destination, transports, location: None, opening: false, fault: None, rejected: None };
        self.seekers.push(seeker);
    }

    /// Takes an input. One about an account that there is not, or that opens nothing, changes nothing.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Locate { account, failed } => self.locate(now, account, failed),
            Input::Answer { query, answer } => {
                let _known = self.resolver.handle_input(now, resolve::Input::Answer { query, answer });
            }
            Input::Opened { account, flow } => {
                if let Some(seeker) = self.opening(account) {
                    (seeker.opening, seeker.fault) = (false, None);
                    self.outputs.push_back(Output::Way { account, way: Ok(flow) });
                }
            }
            Input::Failed { account, reason } => {
                if let Some(seeker) = self.opening(account) {
                    seeker.opening = false;
                    seeker.fault.get_or_insert(reason);
                    self.fail(now, account, Failure::Transport);
                }
            }
        }
        self.drain();
    }

    /// Gives up questions that were not answered.
    pub fn handle_timeout(&mut self, now: Time) {
        self.resolver.handle_timeout(now);
        self.drain();
    }

    /// When [`Ways::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.resolver.poll_timeout()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What was found turns out to lead nowhere: the next search goes on behind it, and tells this if nothing else is found.
    pub fn reject(&mut self, account: AccountId, reason: Reason) {
        if let Some(seeker) = self.seeker(account) {
            seeker.rejected = Some(reason);
        }
    }

    fn seeker(&mut self, account: AccountId) -> Option<&mut Seeker> {
        self.seekers.get_mut(usize::from(account.0))
    }

    fn opening(&mut self, account: AccountId) -> Option<&mut Seeker> {
        self.seeker(account).filter(|seeker| seeker.opening)
    }

    fn locate(&mut self, now: Time, account: AccountId, failed: Option<Failure>) {
        let Some(seeker) = self.seeker(account) else { return };
        (seeker.opening, seeker.fault) = (false, seeker.rejected.take());
        let failed = failed.or(seeker.fault.is_some().then_some(Failure::Transport));
        match (seeker.location, failed) {
            (Some(_), Some(failure)) => self.fail(now, account, failure),
            (Some(id), None) => {
                // It worked until it was lost.
                let _over = self.resolver.handle_input(now, resolve::Input::Reached(id));
                self.begin(now, account);
            }
            (None, _) => self.begin(now, account),
        }
    }

    fn begin(&mut self, now: Time, account: AccountId) {
        self.last += 1;
        let id = LocationId(self.last);
        let Some(seeker) = self.seeker(account) else { return };
        seeker.location = Some(id);
        let (destination, transports) = (seeker.destination.clone(), seeker.transports);
        let locate = resolve::Input::Locate { id, destination, transports };
        // A phone has no more accounts than a resolver takes locations, and the number is new.
        let _begun = self.resolver.handle_input(now, locate);
    }

    fn fail(&mut self, now: Time, account: AccountId, failure: Failure) {
        let Some(id) = self.seeker(account).and_then(|seeker| seeker.location) else { return };
        let failed = resolve::Input::Failed { id, failure };
        if self.resolver.handle_input(now, failed).is_err() {
            self.begin(now, account);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.resolver.poll_output() {
            let of = |id: LocationId| {
                let at = self.seekers.iter().position(|seeker| seeker.location == Some(id))?;
                Some(AccountId(u16::try_from(at).ok()?))
            };
            match output {
                resolve::Output::Query(query) => self.outputs.push_back(Output::Query(query)),
                resolve::Output::Target { id, target } => {
                    let Some(account) = of(id) else { continue };
                    if let Some(seeker) = self.seeker(account) {
                        seeker.opening = true;
                    }
                    self.outputs.push_back(Output::Open { account, target });
                }
                resolve::Output::Exhausted { id, reason } => {
                    let Some(account) = of(id) else { continue };
                    let Some(seeker) = self.seeker(account) else { continue };
                    seeker.location = None;
                    let way = Err(why(reason, seeker.fault.take()));
                    self.outputs.push_back(Output::Way { account, way });
                }
            }
        }
    }
}

/// Why there is no way; `fault` is that of the target that was tried first.
fn why(reason: Exhausted, fault: Option<Reason>) -> Option<Reason> {
    match reason {
        Exhausted::Unsupported => Some(Reason::Unreached(Unreached::NoTransport)),
        Exhausted::NotFound => Some(Reason::Unreached(Unreached::ServerNotFound)),
        Exhausted::Unresolved => Some(Reason::Unreached(Unreached::NoNames)),
        Exhausted::Unreachable => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::resolve::{Host, Kind, Name, Records, Srv};
    use sip_stack::transport::{ListenerId, Transport};

    const ACCOUNT: AccountId = AccountId::FIRST;

    fn all() -> TransportSet {
        TransportSet::from_iter([Transport::Udp, Transport::Tcp, Transport::Tls])
    }

    fn seeking(host: &str, transport: Option<Transport>) -> Ways {
        let host = Host::new(host.as_bytes()).unwrap();
        let mut ways = Ways::new(Settings::default(), Random::new([1; 32]));
        let (target, identity) = (host.clone(), host);
        ways.add(Destination { target, identity, port: None, transport, secure: false, first: None }, all());
        ways
    }

    fn flow(target: &Target) -> Flow {
        let local = ([192, 0, 2, 1], 40_000).into();
        Flow { listener: ListenerId(0), transport: target.transport, local, peer: target.address }
    }

    /// Answers every question, with two servers over TCP of which .4 comes first; the next output that is none.
    fn next(ways: &mut Ways) -> Option<Output> {
        loop {
            let Output::Query(query) = ways.poll_output()? else { panic!("what was left is a question") };
            let server = |(priority, name): (u16, &[u8])| Srv {
                priority,
                weight: 0,
                port: 5_070,
                target: Name::new(name),
            };
            let records = match query.kind {
                Kind::Srv if query.name.as_str().starts_with("_sip._tcp") => {
                    Some(Records::Srv([(1, &b"a.test"[..]), (2, b"b.test")].map(server).to_vec()))
                }
                Kind::A if query.name.as_str() == "a.test" => Some(Records::A(vec![[192, 0, 2, 4].into()])),
                Kind::A if query.name.as_str() == "b.test" => Some(Records::A(vec![[192, 0, 2, 5].into()])),
                Kind::Srv | Kind::A | Kind::Naptr | Kind::Aaaa => None,
            };
            let ttl = std::time::Duration::from_secs(60);
            let answer = records.map_or(Answer::NoSuchName, |records| Answer::Records { records, ttl });
            ways.handle_input(Time::default(), Input::Answer { query, answer });
            match ways.outputs.front() {
                Some(Output::Query(_)) => {}
                Some(Output::Open { .. } | Output::Way { .. }) | None => return ways.poll_output(),
            }
        }
    }

    fn locate(ways: &mut Ways, failed: Option<Failure>) {
        ways.handle_input(Time::default(), Input::Locate { account: ACCOUNT, failed });
    }

    /// The last octet and the transport of what is to be opened.
    fn opened(output: Option<Output>) -> (Target, u8) {
        match output {
            Some(Output::Open { account: ACCOUNT, target }) => {
                let std::net::IpAddr::V4(ip) = target.address.ip() else { panic!("{target:?}") };
                (target, ip.octets()[3])
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_needs_no_directory_and_is_opened_over_udp() {
        let mut ways = seeking("192.0.2.9", None);
        locate(&mut ways, None);
        let (target, 9) = opened(ways.poll_output()) else { panic!("another host") };
        assert_eq!((target.transport, target.address.port()), (Transport::Udp, 5_060));
        let way = flow(&target);
        ways.handle_input(Time::default(), Input::Opened { account: ACCOUNT, flow: way });
        assert_eq!(ways.poll_output(), Some(Output::Way { account: ACCOUNT, way: Ok(way) }));
    }

    #[test]
    fn the_next_server_is_tried_when_one_cannot_be_opened_and_when_one_fails_later() {
        let mut ways = seeking("example.com", None);
        locate(&mut ways, None);
        let (target, 4) = opened(next(&mut ways)) else { panic!("the other one") };
        assert_eq!((target.transport, target.address.port()), (Transport::Tcp, 5_070));
        let reason = Reason::Unreached(Unreached::ConnectionRefused);
        ways.handle_input(Time::default(), Input::Failed { account: ACCOUNT, reason });
        let (target, 5) = opened(next(&mut ways)) else { panic!("the same one") };
        let way = flow(&target);
        ways.handle_input(Time::default(), Input::Opened { account: ACCOUNT, flow: way });
        assert_eq!(ways.poll_output(), Some(Output::Way { account: ACCOUNT, way: Ok(way) }));
        locate(&mut ways, Some(Failure::Timeout));
        assert_eq!(
            ways.poll_output(),
            Some(Output::Way { account: ACCOUNT, way: Err(None) }),
            "no third one"
        );
    }

    #[test]
    fn a_way_that_worked_and_was_lost_is_looked_for_from_the_beginning() {
        let mut ways = seeking("example.com", None);
        locate(&mut ways, None);
        let (target, 4) = opened(next(&mut ways)) else { panic!("the other one") };
        ways.handle_input(Time::default(), Input::Opened { account: ACCOUNT, flow: flow(&target) });
        let _way = ways.poll_output();
        locate(&mut ways, None);
        let (_, 4) = opened(ways.poll_output()) else { panic!("the other one") };
    }

    #[test]
    fn why_there_is_no_way_is_told() {
        let told = |ways: &mut Ways| match next(ways) {
            Some(Output::Way { way: Err(reason), .. }) => reason,
            other => panic!("{other:?}"),
        };
        let mut unknown = seeking("nowhere.test", Some(Transport::Udp));
        locate(&mut unknown, None);
        assert_eq!(told(&mut unknown), Some(Reason::Unreached(Unreached::ServerNotFound)));
        let mut refusing = seeking("192.0.2.9", Some(Transport::Tls));
        locate(&mut refusing, None);
        opened(refusing.poll_output());
        let reason = Reason::Unreached(Unreached::UnknownIssuer);
        refusing.handle_input(Time::default(), Input::Failed { account: ACCOUNT, reason: reason.clone() });
        let way = Err(Some(reason));
        assert_eq!(refusing.poll_output(), Some(Output::Way { account: ACCOUNT, way }));
    }
}
