//! Scenarios with real sockets, in real time, against a server that is there: many phones in one thread.
//!
//! What [`Runner`] wants sent goes through the seeded network of the scenario, and what comes from the sockets too, so a server
//! can be tried on a network that loses packets while the real one loses none. Bound: what is under way in that network is what
//! came within its longest delay; what the sockets hold beyond a batch waits in the system's buffers.

use super::rtp_ports::RtpPorts;
use super::udp::listen;
use super::{UdpError, now};
use crate::phone::{Account, AccountError, CallId, Password};
use crate::scenario::network::{Datagram, Faults, Network};
use crate::scenario::{Input, Output, Report, Runner, RunnerConfig, Scenario};
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use sip_stack::Time;
use sip_stack::message::MAX_MESSAGE;
use sip_stack::transport::{Flow, ListenerId};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Datagrams taken from one socket in one go.
const BATCH: usize = 64;
/// Sockets that are reported at a time; more are reported the next time.
const EVENTS: usize = 256;
/// The longest wait; everything that is due has a time.
const PATIENCE: Duration = Duration::from_secs(1);
/// The lifetime that registrations ask for: over soon, should this process be killed.
const EXPIRES_S: u32 = 120;

/// Against whom a scenario is played, and how.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The SIP domain, where it is not the host.
    pub domain: Option<String>,
    /// The password of every phone, in place of those of the file.
    pub password: Option<Password>,
    /// Where RTP is received.
    pub rtp_ports: RangeInclusive<u16>,
    /// What the network is made to do.
    pub faults: Faults,
    /// How many times as long as it says a claim may take to come true.
    pub stretch: u32,
    /// Decides tags and Call-IDs: random, and never the same twice, or the server takes a call for one that it has seen (482).
    pub seed: [u8; 32],
    /// Decides what the network loses: random, or the same again.
    pub lots: [u8; 32],
}

/// Why a scenario could not be played.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// An account cannot be written.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no way to the server.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The system refused.
    #[error("the sockets failed: {0}")]
    Io(#[from] io::Error),
}

/// Plays a scenario from beginning to end; it takes as long as it says.
///
/// # Errors
/// [`LiveError`]: it could not even begin, or the system failed.
pub fn play_live(scenario: &Scenario, config: &LiveConfig) -> Result<Report, LiveError> {
    let mut sockets = Sockets::new()?;
    let mut accounts = Vec::new();
    for setup in &scenario.phones {
        let (socket, flow) = listen(&config.host, config.port, ListenerId(0))?;
        sockets.add(flow.local, socket)?;
        accounts.push(Account {
            user: setup.number.clone(),
            domain: config.domain.as_deref().unwrap_or(&config.host).into(),
            display_name: None,
            password: config.password.clone().unwrap_or_else(|| Password(setup.password.clone())),
            server: flow,
            expires_s: EXPIRES_S,
        });
    }
    let flows: Vec<Flow> = accounts.iter().map(|account| account.server).collect();
    let draw = u64::from_be_bytes(*config.seed.first_chunk().unwrap_or(&[0; 8]));
    let LiveConfig { faults, stretch, seed, .. } = *config;
    let rules = RunnerConfig { accounts, faults, inside: None, stretch, seed };
    let runner = Runner::new(now(), scenario.clone(), rules)?;
    let ports = RtpPorts::new(config.rtp_ports.clone(), draw);
    let outgoing = Network::new(config.lots, config.faults);
    let incoming = Network::new(config.lots.map(|byte| !byte), config.faults);
    Stage { runner, sockets, ports, outgoing, incoming, flows, closing: Vec::new() }.play()
}

/// A scenario at work.
struct Stage {
    runner: Runner,
    sockets: Sockets,
    ports: RtpPorts,
    outgoing: Network,
    incoming: Network,
    /// Of each phone.
    flows: Vec<Flow>,
    /// RTP of calls that are over; their last report may still be under way.
    closing: Vec<SocketAddr>,
}

impl Stage {
    fn play(mut self) -> Result<Report, LiveError> {
        loop {
            self.obey();
            self.carry();
            if let Some(report) = self.runner.report() {
                return Ok(report.clone());
            }
            let networks = [self.outgoing.poll_timeout(), self.incoming.poll_timeout()];
            let due = self.runner.poll_timeout().into_iter().chain(networks.into_iter().flatten()).min();
            let wait = due.map_or(PATIENCE, |due| due.since(now()).min(PATIENCE));
            self.sockets.wait(wait)?;
            let (time, incoming) = (now(), &mut self.incoming);
            self.sockets.receive(|datagram| incoming.send(time, &datagram));
            self.carry();
            let time = now();
            if self.runner.poll_timeout().is_some_and(|due| due <= time) {
                self.runner.handle_timeout(time);
            }
        }
    }

    /// What has come through the network goes to its phone, or out to the server.
    fn carry(&mut self) {
        while let Some(datagram) = self.incoming.poll_delivery(now()) {
            self.runner.handle_input(now(), Input::Datagram(datagram));
            self.obey();
        }
        while let Some(datagram) = self.outgoing.poll_delivery(now()) {
            self.sockets.send(&datagram);
        }
        if self.outgoing.is_empty() {
            self.closing.drain(..).for_each(|rtp| self.sockets.close(rtp));
        }
    }

    fn obey(&mut self) {
        while let Some(output) = self.runner.poll_output() {
            match output {
                Output::Transmit(datagram) => self.outgoing.send(now(), &datagram),
                Output::Open { phone, call } => self.open(now(), phone, call),
                Output::Close { address } => self.closing.push(address),
                Output::Network(faults) => {
                    // The real network has a delay of its own.
                    let latency = if faults == Faults::NONE { Duration::ZERO } else { faults.latency };
                    self.outgoing.faults = Faults { latency, ..faults };
                    self.incoming.faults = self.outgoing.faults;
                }
                // Whoever plays scenarios asks `needs_the_switch` first; this server goes on.
                Output::Restart | Output::Mailbox { .. } | Output::Order(_) | Output::RoomOrder(_) => {}
            }
        }
    }

    fn open(&mut self, time: Time, phone: usize, call: CallId) {
        let bound = self.flows.get(phone).and_then(|flow| {
            let (rtp, rtcp) = self.ports.bind(flow.local.ip()).ok()?;
            let address = rtp.local_addr().ok()?;
            self.sockets.add(address, rtp).ok()?;
            self.sockets.add(SocketAddr::new(address.ip(), address.port() + 1), rtcp).ok()?;
            Some(address)
        });
        self.runner.handle_input(time, Input::Opened { phone, call, address: bound });
    }
}

/// Every socket, by its address.
struct Sockets {
    poll: Poll,
    events: Events,
    open: BTreeMap<SocketAddr, UdpSocket>,
    tokens: BTreeMap<usize, SocketAddr>,
    next: usize,
    buffer: Vec<u8>,
    /// Those that may have more than was taken.
    full: Vec<SocketAddr>,
}

impl Sockets {
    fn new() -> io::Result<Sockets> {
        Ok(Sockets {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            open: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next: 0,
            buffer: vec![0; MAX_MESSAGE],
            full: Vec::new(),
        })
    }

    fn add(&mut self, address: SocketAddr, mut socket: UdpSocket) -> io::Result<()> {
        self.poll.registry().register(&mut socket, Token(self.next), Interest::READABLE)?;
        self.tokens.insert(self.next, address);
        self.next += 1;
        self.open.insert(address, socket);
        Ok(())
    }

    /// A datagram that the system does not take is lost as any other.
    fn send(&self, datagram: &Datagram) {
        let _sent = self.open.get(&datagram.from).map(|socket| socket.send_to(&datagram.bytes, datagram.to));
    }

    /// Closes RTP and RTCP of a call.
    fn close(&mut self, rtp: SocketAddr) {
        for address in [rtp, SocketAddr::new(rtp.ip(), rtp.port() + 1)] {
            self.open.remove(&address);
            self.tokens.retain(|_, open| *open != address);
        }
    }

    fn wait(&mut self, patience: Duration) -> io::Result<()> {
        let patience = if self.full.is_empty() { patience } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Takes what came; a socket with a batch or more is asked again the next time.
    fn receive(&mut self, mut take: impl FnMut(Datagram)) {
        let told = self.events.iter().filter_map(|event| self.tokens.get(&event.token().0).copied());
        let mut ready = core::mem::take(&mut self.full);
        ready.extend(told);
        ready.sort_unstable();
        ready.dedup();
        for to in ready {
            let Some(socket) = self.open.get(&to) else { continue };
            let mut taken = 0;
            while taken < BATCH {
                match socket.recv_from(&mut self.buffer) {
                    Ok((length, from)) => {
                        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                        let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                        take(Datagram { from, to, bytes });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // That a port of the peer is closed says nothing that its silence does not.
                    Err(_) => {}
                }
                taken += 1;
            }
            if taken == BATCH {
                self.full.push(to);
            }
        }
    }
}
