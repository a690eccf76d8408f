//! A world of bare endpoints: users, the network between them, and addresses behind which several of them are (a forking
//! proxy that stays on no path). The model looks on.

use super::sabotage::Saboteur;
use super::user::{Deed, User};
use super::{Complaint, Model};
use bytes::Bytes;
use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::random::Random;
use softphone::scenario::network::{Datagram, Faults, Network};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Firings at one moment that are a loop.
const FIRINGS: usize = 10_000;

/// Users and what lies between them.
#[derive(Debug)]
pub struct Town {
    /// Virtual time.
    pub now: Time,
    /// The users.
    pub users: Vec<User>,
    /// The network.
    pub network: Network,
    /// The model.
    pub model: Model,
    /// A fault, if one is planted.
    pub saboteur: Option<Saboteur>,
    /// What happened.
    pub story: Vec<String>,
    /// What has left.
    pub left: Vec<Datagram>,
    /// SIP datagrams that have arrived.
    pub arrived: usize,
    forks: Vec<(SocketAddr, Vec<usize>)>,
    /// INVITEs that were forked, by their branch.
    forked: BTreeMap<Bytes, Forked>,
}

/// What a proxy knows of an INVITE that it has sent to several.
#[derive(Clone, Debug)]
struct Forked {
    invite: Bytes,
    branches: usize,
    failed: BTreeSet<SocketAddr>,
    accepted: bool,
}

impl Town {
    /// A town of so many users, some of whom send reliable provisional responses, and some of whom forget a dialog with
    /// their BYE.
    pub fn new(seed: u64, users: usize, faults: Faults) -> Town {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = Random::new(bytes);
        let mut lots = || {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&random.next_u64().to_le_bytes());
            seed
        };
        let users = (0..users).map(|place| {
            let lots = lots();
            User::new(lots, address(place), lots[0] & 1 == 1, lots[0] & 2 == 2)
        });
        let users = users.collect();
        Town {
            now: Time::from_millis(1),
            users,
            network: Network::new(lots(), faults),
            model: Model::default(),
            saboteur: None,
            story: Vec::new(),
            left: Vec::new(),
            arrived: 0,
            forks: Vec::new(),
            forked: BTreeMap::new(),
        }
    }

    /// An address behind which these users are all called at once.
    pub fn fork(&mut self, users: &[usize]) -> SocketAddr {
        let address = SocketAddr::from(([10, 0, 9, 1 + self.forks.len() as u8], 5060));
        self.forks.push((address, users.to_vec()));
        address
    }

    /// A user does something.
    pub fn act(&mut self, user: usize, deed: Deed) {
        let now = self.now;
        self.story.push(format!("{:>12.3} ms  user {user}: {deed:?}", now.0 as f64 / 1e6));
        if let Some(user) = self.users.get_mut(user) {
            user.act(now, deed);
        }
        self.drain();
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets time pass until so many datagrams have arrived, or nothing is left to do within a minute.
    pub fn run_to_arrival(&mut self, arrivals: usize) {
        let (wanted, until) = (self.arrived + arrivals, self.now + Duration::from_secs(60));
        while self.arrived < wanted && self.step_once(until) {}
    }

    /// Everybody refuses, gives up and hangs up; then time runs until nothing is left to do. What the model says.
    ///
    /// # Panics
    /// When the timers never come to rest, or something is left in an endpoint.
    pub fn finish(&mut self) -> &[Complaint] {
        // Whoever is called by a copy that was late is told so as well.
        for _ in 0..40 {
            for user in 0..self.users.len() {
                while self.users.get(user).is_some_and(|user| user.calls() > 0) {
                    let before = self.users.get(user).map(User::calls);
                    self.act(user, Deed::Refuse);
                    self.act(user, Deed::HangUp);
                    if self.users.get(user).map(User::calls) == before {
                        break;
                    }
                }
                self.act(user, Deed::Cancel);
            }
            self.run_for(Duration::from_secs(5));
        }
        let mut firings = 0;
        while self.step(Time(u64::MAX)) {
            firings += 1;
            assert!(firings < FIRINGS, "the timers never come to rest\n{}", self.story());
        }
        self.model.end(self.now);
        if self.saboteur.is_none() {
            for (place, user) in self.users.iter().enumerate() {
                let left = (user.endpoint.transactions(), user.endpoint.dialogs(), user.calls());
                assert!(user.is_idle(), "user {place} has left {left:?}\n{}", self.story());
            }
        }
        self.model.complaints()
    }

    /// What happened, and what the model says of it.
    pub fn story(&self) -> String {
        format!("{}\n{}", self.story.join("\n"), self.model.report())
    }

    /// Does all that comes next; whether anything did before `until`.
    fn step(&mut self, until: Time) -> bool {
        let begun = self.now;
        let mut done = false;
        while self.step_once(until) {
            done = true;
            if self.now > begun {
                break;
            }
        }
        done
    }

    /// Does one thing; whether there was anything to do before `until`.
    fn step_once(&mut self, until: Time) -> bool {
        let timers = self.users.iter().filter_map(|user| user.endpoint.poll_timeout()).min();
        let next = timers.into_iter().chain(self.network.poll_timeout()).min();
        let Some(next) = next.filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        if let Some(datagram) = self.network.poll_delivery(now) {
            self.deliver(datagram);
        } else if let Some(user) =
            self.users.iter_mut().find(|user| user.endpoint.poll_timeout().is_some_and(|due| due <= now))
        {
            user.endpoint.handle_timeout(now);
        }
        self.drain();
        true
    }

    fn deliver(&mut self, datagram: Datagram) {
        let behind = self.forks.iter().find(|(address, _)| *address == datagram.to).map(|(_, users)| users);
        let wanted = if behind.is_some() { target(&datagram).unwrap_or(datagram.to) } else { datagram.to };
        let one = self.users.iter().position(|user| user.address() == wanted);
        let receivers = match (one, behind) {
            (Some(one), _) => vec![one],
            (None, Some(users)) => users.clone(),
            (None, None) => Vec::new(),
        };
        if receivers.len() > 1 {
            self.remember_fork(&datagram, receivers.len());
        }
        for place in receivers {
            let Some(to) = self.users.get(place).map(User::address) else { continue };
            self.arrive(place, Datagram { to, ..datagram.clone() });
            self.drain();
        }
    }

    fn arrive(&mut self, place: usize, datagram: Datagram) {
        self.note("->", &datagram);
        self.arrived += 1;
        self.model.delivered(self.now, &datagram);
        let (heard, besides) = match &mut self.saboteur {
            Some(saboteur) => saboteur.hear(&datagram),
            None => (true, Vec::new()),
        };
        if let Some(user) = self.users.get_mut(place).filter(|_| heard) {
            user.receive(self.now, datagram.from, datagram.bytes);
        }
        besides.iter().for_each(|datagram| self.leave(datagram));
    }

    fn remember_fork(&mut self, datagram: &Datagram, branches: usize) {
        let Ok(message) = Message::parse(datagram.bytes.clone()) else { return };
        if let (Some(Method::Invite), Some(branch)) = (message.method(), branch(&message)) {
            let invite = datagram.bytes.clone();
            let forked = Forked { invite, branches, failed: BTreeSet::new(), accepted: false };
            self.forked.entry(branch).or_insert(forked);
        }
    }

    /// Of the failures of an INVITE that was forked, the caller hears the last alone, and none beside a 2xx (§16.7); the proxy
    /// acknowledges the others. Whether the proxy keeps this response.
    fn keeps(&mut self, datagram: &Datagram) -> bool {
        let Ok(message) = Message::parse(datagram.bytes.clone()) else { return false };
        let is_of_invite = message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        let (Some(status), Some(branch)) = (message.status(), branch(&message).filter(|_| is_of_invite))
        else {
            return false;
        };
        let Some(forked) = self.forked.get_mut(&branch) else { return false };
        forked.accepted |= status.is_success();
        if status.code() < 300 {
            return false;
        }
        forked.failed.insert(datagram.from);
        if !forked.accepted && forked.failed.len() == forked.branches {
            return false;
        }
        let to = message.header(HeaderName::To).unwrap_or_default();
        let ack = acknowledged(&forked.invite, &String::from_utf8_lossy(to));
        let Some(place) = self.users.iter().position(|user| user.address() == datagram.from) else {
            return true;
        };
        self.arrive(place, Datagram { from: datagram.to, to: datagram.from, bytes: ack });
        true
    }

    fn drain(&mut self) {
        let now = self.now;
        let leaving: Vec<Datagram> = self.users.iter_mut().flat_map(|user| user.drain(now)).collect();
        for datagram in leaving {
            let really = match &mut self.saboteur {
                Some(saboteur) => saboteur.send(&datagram),
                None => vec![datagram],
            };
            really.iter().for_each(|datagram| self.leave(datagram));
        }
    }

    fn leave(&mut self, datagram: &Datagram) {
        self.note("sends", datagram);
        self.model.sent(self.now, datagram);
        self.left.push(datagram.clone());
        if !self.keeps(datagram) {
            self.network.send(self.now, datagram);
        }
    }

    fn note(&mut self, what: &str, datagram: &Datagram) {
        let Datagram { from, to, bytes } = datagram;
        self.story.push(format!(
            "{:>12.3} ms  {from} {what} {to}: {}",
            self.now.0 as f64 / 1e6,
            super::line(bytes)
        ));
    }
}

fn branch(message: &Message) -> Option<Bytes> {
    message.via().ok()?.branch.map(Bytes::copy_from_slice)
}

/// The ACK of a failure (§17.1.1.3).
fn acknowledged(invite: &Bytes, to: &str) -> Bytes {
    let invite = String::from_utf8_lossy(invite);
    let (head, _) = invite.split_once("\r\n\r\n").unwrap_or_default();
    let kept = ["Via:", "From:", "Call-ID:", "Max-Forwards:"];
    let fields = head.lines().skip(1).filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let first = head.lines().next().unwrap_or_default().replace("INVITE", "ACK");
    let fields: String = fields.map(|line| format!("{line}\r\n")).collect();
    format!("{first}\r\n{fields}To: {to}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n").into()
}

/// The address in the Request-URI: a proxy sends what is in a dialog there.
fn target(datagram: &Datagram) -> Option<SocketAddr> {
    let message = Message::parse(datagram.bytes.clone()).ok()?;
    let uri = message.uri().ok()?;
    Some(SocketAddr::new(uri.ip()?, uri.port.unwrap_or(5060)))
}

fn address(place: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 8, 1 + place as u8], 5060))
}
