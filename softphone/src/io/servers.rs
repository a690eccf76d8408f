//! The way of the phone to its servers: UDP sockets, connections, the DNS (RFC 3263, RFC 3261 §18).
//!
//! Which way is tried is decided by [`Ways`]; here it is opened. Each account has a way of its own. The threads for connections and
//! for the DNS are started when the first account needs them.
//!
//! Over UDP two octet pairs are sent to the server first, from a socket that is tied to it: the system tells that socket when
//! nobody listens there (ICMP), and the next server is tried at once instead of after half a minute. Servers ignore them (RFC
//! 3261 §7.5 lets empty lines come before a message).
//!
//! A connection is opened before the first message, because the Contact has to name our end of it; a server that is to reach us
//! over it finds it so.
//!
//! Left out on purpose: keep-alives (RFC 5626 §4.4), whose answer a server that was not asked need not give.

use super::{now, udp};
use crate::phone::{AccountId, Reason, Unreached};
use crate::ways::{self, Ways};
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token, Waker};
use sip_stack::Time;
use sip_stack::io::dns::{self, Dns};
use sip_stack::io::{
    Bounds, ClientAuth, Command, Ended, Reach, Report, Streams, StreamsConfig, Tls, TlsConfig, Trust,
};
use sip_stack::random::Random;
use sip_stack::resolve::{Answer, Destination, Failure, Families, Query, Settings, Target, TransportSet};
use sip_stack::transport::stream::Limits;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The tokens of the sockets that are tied to servers begin here, those of the others at 0.
const PROBES: usize = 1 << 8;
/// What is sent to learn whether anybody listens.
const EMPTY: &[u8] = b"\r\n\r\n";
/// How much longer a silent connection stays than a registration.
const GRACE: Duration = Duration::from_secs(60);
/// Connections: one for each account, and those that are opened anew for the end of a call.
const CONNECTIONS: usize = 256;

/// What happened.
#[derive(Debug)]
pub(super) enum News {
    /// A message came.
    Received(Flow, Bytes),
    /// A message was not sent.
    Unsent(u64),
    /// The search for a way has ended.
    Way(AccountId, Result<Flow, Option<Reason>>),
    /// A way is no more.
    Lost(AccountId),
}

/// How an account reaches its server.
#[derive(Debug)]
struct Path {
    /// What is being opened.
    opening: Option<Target>,
    /// What is open.
    flow: Option<Flow>,
    /// What the certificate has to name.
    name: Option<Box<str>>,
    udp: Option<(UdpSocket, UdpSocket)>,
}

/// The ways to the servers.
pub(super) struct Servers {
    ways: Ways,
    paths: Vec<Path>,
    dns: Option<Dns>,
    streams: Option<Streams>,
    trust: Trust,
    idle: Duration,
    seed: [u8; 32],
    registry: Registry,
    waker: Arc<Waker>,
    news: VecDeque<News>,
}

impl Servers {
    /// For no account yet. `expires_s` is the lifetime of registrations, which connections outlive.
    pub(super) fn new(
        trust: Trust,
        expires_s: u32,
        seed: [u8; 32],
        registry: Registry,
        waker: Arc<Waker>,
    ) -> Servers {
        let settings = Settings { families: families(), ..Settings::default() };
        Servers {
            ways: Ways::new(settings, Random::new(seed)),
            paths: Vec::new(),
            dns: None,
            streams: None,
            trust,
            idle: Duration::from_secs(expires_s.into()) + GRACE,
            seed,
            registry,
            waker,
            news: VecDeque::new(),
        }
    }

    /// Another account.
    pub(super) fn add(&mut self, destination: Destination) {
        let transports = TransportSet::from_iter([Transport::Udp, Transport::Tcp, Transport::Tls]);
        self.ways.add(destination, transports);
        self.paths.push(Path { opening: None, flow: None, name: None, udp: None });
    }

    /// The phone needs a way.
    pub(super) fn locate(&mut self, now: Time, account: AccountId, failed: Option<Failure>) {
        if let Some(path) = self.paths.get_mut(usize::from(account.0)) {
            path.opening = None;
            let silent = match failed {
                Some(Failure::Timeout | Failure::Transport) => true,
                // Who is busy may call us all the same.
                Some(Failure::Unavailable { .. }) | None => false,
            };
            // A connection over which nothing comes is not used again. A socket is kept as long as no other takes its place.
            if let Some(flow) = path.flow.filter(|flow| silent && flow.transport.is_reliable()) {
                path.flow = None;
                self.command(Command::Close(flow));
            }
        }
        self.feed(now, ways::Input::Locate { account, failed });
    }

    /// When [`Servers::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.ways.poll_timeout()
    }

    /// Gives up questions that were not answered.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.ways.handle_timeout(now);
        self.drain(now);
    }

    /// The next thing that happened.
    pub(super) fn poll_news(&mut self, now: Time) -> Option<News> {
        while let Some((query, answer)) = self.dns.as_mut().and_then(Dns::poll_answer) {
            self.feed(now, ways::Input::Answer { query, answer });
        }
        while self.news.is_empty()
            && let Some(report) = self.streams.as_mut().and_then(Streams::poll_report)
        {
            self.on_report(now, report);
        }
        self.news.pop_front()
    }

    /// The socket of an account, and the flow of what comes there.
    pub(super) fn udp(&self, token: usize) -> Option<(&UdpSocket, Flow)> {
        let path = self.paths.get(token)?;
        let ((socket, _), flow) = (path.udp.as_ref()?, path.flow?);
        (flow.transport == Transport::Udp).then_some((socket, flow))
    }

    /// Whether the token is of a socket that is tied to a server; that one tells when nobody listens.
    pub(super) fn on_probe(&mut self, token: usize) -> bool {
        let Some(at) = token.checked_sub(PROBES).filter(|at| *at < self.paths.len()) else { return false };
        let mut refused = false;
        if let Some((_, probe)) = self.paths.get(at).and_then(|path| path.udp.as_ref()) {
            let mut buffer = [0; 64];
            loop {
                match probe.recv(&mut buffer) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        refused = true;
                        break;
                    }
                }
            }
        }
        if refused && let Ok(account) = u16::try_from(at) {
            let account = AccountId(account);
            // What was found turns out to be no way: the next one is looked for, and the phone sends again over that.
            self.news.push_back(News::Lost(account));
            self.ways.reject(account, Reason::Unreached(Unreached::ConnectionRefused));
        }
        true
    }

    /// Sends a message; `false` when it cannot be sent.
    pub(super) fn send(&mut self, transmit: &Transmit) -> bool {
        let Transmit { flow, transaction, .. } = *transmit;
        if flow.transport == Transport::Udp {
            let path = self.paths.get(usize::from(flow.listener.0));
            let Some((socket, _)) = path.and_then(|path| path.udp.as_ref()) else { return false };
            return socket.send_to(&transmit.bytes, flow.peer).is_ok();
        }
        // RFC 3261 §18.2.2: a response goes back over the connection of its request; a request over any to the same server.
        let is_up = self.paths.iter().any(|path| path.flow == Some(flow));
        let reach = if is_up || transmit.bytes.starts_with(b"SIP/") {
            Reach::Flow
        } else {
            let path = self.paths.get(usize::from(flow.listener.0));
            Reach::Peer { name: path.and_then(|path| path.name.clone()) }
        };
        self.command(Command::Send { flow, bytes: transmit.bytes.clone(), transaction, reach })
    }

    fn command(&mut self, command: Command) -> bool {
        let Some(streams) = &mut self.streams else { return false };
        let sent = streams.send(command).is_ok();
        streams.wake();
        sent
    }

    fn feed(&mut self, now: Time, input: ways::Input) {
        self.ways.handle_input(now, input);
        self.drain(now);
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.ways.poll_output() {
            match output {
                ways::Output::Query(query) => {
                    if let Some(query) = self.ask(query) {
                        self.ways.handle_input(now, ways::Input::Answer { query, answer: Answer::Failed });
                    }
                }
                ways::Output::Open { account, target } => {
                    if let Err(reason) = self.open(account, &target) {
                        self.ways.handle_input(now, ways::Input::Failed { account, reason });
                    } else if let Some(Path { opening: None, flow: Some(flow), .. }) =
                        self.paths.get(usize::from(account.0))
                    {
                        let flow = *flow;
                        self.ways.handle_input(now, ways::Input::Opened { account, flow });
                    }
                }
                ways::Output::Way { account, way } => self.news.push_back(News::Way(account, way)),
            }
        }
    }

    /// Puts a question; gives it back when it cannot be put.
    fn ask(&mut self, query: Query) -> Option<Query> {
        if self.dns.is_none() {
            let waker = Arc::clone(&self.waker);
            let wake: dns::Wake = Arc::new(move || {
                let _woken = waker.wake();
            });
            self.dns = dns::start(&dns::Servers::System, wake).ok();
        }
        match &self.dns {
            Some(dns) => dns.ask(query).err(),
            None => Some(query),
        }
    }

    fn open(&mut self, account: AccountId, target: &Target) -> Result<(), Reason> {
        let at = usize::from(account.0);
        let Some(path) = self.paths.get(at) else { return Ok(()) };
        let leads = |flow: &Flow| (flow.transport, flow.peer) == (target.transport, target.address);
        match path.flow {
            Some(flow) if leads(&flow) => {
                if let Some((_, probe)) = &path.udp {
                    let _asked = probe.send(EMPTY);
                }
                return Ok(());
            }
            Some(flow) if flow.transport.is_reliable() => {
                self.command(Command::Close(flow));
            }
            Some(_) | None => self.close_udp(at),
        }
        match target.transport {
            Transport::Udp => {
                self.open_udp(account, target.address).map_err(|_| Reason::Unreached(Unreached::Unreachable))
            }
            Transport::Tcp | Transport::Tls => self.open_stream(account, target),
            Transport::Ws | Transport::Wss => Err(Reason::Unreached(Unreached::NoTransport)),
        }
    }

    fn open_udp(&mut self, account: AccountId, peer: SocketAddr) -> io::Result<()> {
        let at = usize::from(account.0);
        let (mut socket, mut probe, flow) = udp::pair(peer, ListenerId(account.0))?;
        self.registry.register(&mut socket, Token(at), Interest::READABLE)?;
        self.registry.register(&mut probe, Token(PROBES + at), Interest::READABLE)?;
        // That nobody listens is told when the answer is read.
        let _asked = probe.send(EMPTY);
        if let Some(path) = self.paths.get_mut(at) {
            (path.flow, path.udp) = (Some(flow), Some((socket, probe)));
        }
        Ok(())
    }

    fn close_udp(&mut self, at: usize) {
        if let Some((mut socket, mut probe)) = self.paths.get_mut(at).and_then(|path| path.udp.take()) {
            let _gone = self.registry.deregister(&mut socket).and(self.registry.deregister(&mut probe));
        }
    }

    fn open_stream(&mut self, account: AccountId, target: &Target) -> Result<(), Reason> {
        let local = udp::facing(target.address).map_err(|_| Reason::Unreached(Unreached::Unreachable))?;
        if self.streams.is_none() {
            self.streams = Some(self.start_streams().map_err(|_| Reason::Unreached(Unreached::Unreachable))?);
        }
        let name = match &target.identity {
            sip_stack::resolve::Host::Name(name) => Some(name.as_str().into()),
            sip_stack::resolve::Host::Ip(_) => None,
        };
        if let Some(path) = self.paths.get_mut(usize::from(account.0)) {
            (path.opening, path.flow, path.name) = (Some(target.clone()), None, name);
        }
        let flow = self.flow_of(account, target, local);
        let name = self.paths.get(usize::from(account.0)).and_then(|path| path.name.clone());
        if self.command(Command::Open { flow, name }) {
            Ok(())
        } else {
            Err(Reason::Unreached(Unreached::Unreachable))
        }
    }

    fn flow_of(&self, account: AccountId, target: &Target, local: IpAddr) -> Flow {
        let local = SocketAddr::new(local, 0);
        Flow { listener: ListenerId(account.0), transport: target.transport, local, peer: target.address }
    }

    fn start_streams(&self) -> io::Result<Streams> {
        let tls = TlsConfig {
            server: None,
            client_auth: ClientAuth::None,
            client: None,
            trust: self.trust.clone(),
        };
        let tls = Tls::load(&tls).map_err(io::Error::other)?;
        let config = StreamsConfig {
            listeners: Vec::new(),
            tls: Some(tls),
            origins: None,
            limits: Limits { idle: self.idle, ..Limits::default() },
            bounds: Bounds { connections: CONNECTIONS, ..Bounds::default() },
        };
        let waker = Arc::clone(&self.waker);
        let wake = move || {
            let _woken = waker.wake();
        };
        sip_stack::io::start(config, self.seed, now, wake).map_err(io::Error::other)
    }

    fn on_report(&mut self, now: Time, report: Report) {
        match report {
            Report::Received { flow, bytes } => self.news.push_back(News::Received(flow, bytes)),
            Report::Unsent { transaction } => self.news.push_back(News::Unsent(transaction)),
            Report::Opened { flow, .. } => {
                let account = AccountId(flow.listener.0);
                let Some(path) = self.opening(flow) else { return };
                (path.opening, path.flow) = (None, Some(flow));
                self.feed(now, ways::Input::Opened { account, flow });
            }
            Report::Closed { flow, reason } => {
                let account = AccountId(flow.listener.0);
                if let Some(path) = self.opening(flow) {
                    path.opening = None;
                    self.feed(now, ways::Input::Failed { account, reason: why(&reason) });
                } else if let Some(path) = self.paths.get_mut(usize::from(account.0))
                    && path.flow == Some(flow)
                {
                    path.flow = None;
                    self.news.push_back(News::Lost(account));
                }
            }
        }
    }

    /// The path that is being opened and leads where the flow does.
    fn opening(&mut self, flow: Flow) -> Option<&mut Path> {
        let path = self.paths.get_mut(usize::from(flow.listener.0))?;
        let leads = |target: &Target| (target.transport, target.address) == (flow.transport, flow.peer);
        path.opening.as_ref().is_some_and(leads).then_some(path)
    }
}

/// Why a connection could not be opened, in the user's words.
fn why(reason: &Ended) -> Reason {
    use rustls::{CertificateError, Error};
    match reason {
        Ended::Unreachable(io::ErrorKind::ConnectionRefused) => {
            Reason::Unreached(Unreached::ConnectionRefused)
        }
        Ended::ConnectTimeout | Ended::HandshakeTimeout => Reason::Unreached(Unreached::NoAnswer),
        Ended::Tls(Error::InvalidCertificate(fault)) => match fault {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Reason::Unreached(Unreached::UnknownIssuer)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Reason::Unreached(Unreached::WrongCertificate)
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Reason::Unreached(Unreached::ExpiredCertificate),
            _ => Reason::Unreached(Unreached::UnknownIssuer),
        },
        Ended::Tls(_) | Ended::NoTls => Reason::Unreached(Unreached::TlsFailed),
        Ended::Unreachable(_) | Ended::Socket(_) | Ended::Protocol(_) | Ended::TooMany => {
            Reason::Unreached(Unreached::Unreachable)
        }
    }
}

/// The families of addresses that lead out of this machine; the loopback interface has IPv4 at least.
fn families() -> Families {
    let far = |address: &str| address.parse().is_ok_and(|address| udp::facing(address).is_ok());
    // Addresses of documentation (RFC 5737 §3, RFC 3849 §2): looking up the route to them sends nothing.
    match (far("198.51.100.1:9"), far("[2001:db8::1]:9")) {
        (_, false) => Families::Ipv4,
        (true, true) => Families::Ipv4First,
        (false, true) => Families::Ipv6First,
    }
}
