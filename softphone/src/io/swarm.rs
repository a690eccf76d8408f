//! A swarm with real sockets, in real time: a few threads, each with a machine, its phones and their sockets.
//!
//! Each phone has a UDP socket for SIP, and two for the sound of its call. What is due is sent within a millisecond (the
//! system's timer), in the order it is due; what comes is taken when the system tells. The sockets of RTCP are drained only for
//! the whole voice; the cheap one has no RTCP, and the system throws away what comes there. Bound: nothing is queued here, what
//! is not taken in time waits in the buffers of the system, which drops beyond; that shows as loss, and the report says how late
//! the swarm itself was.

use super::rtp_ports::RtpPorts;
use super::udp::listen;
use super::{UdpError, now};
use crate::phone::{Account, AccountError, CallId, Password};
use crate::swarm::{Output, Plan, Progress, Report, Swarm, SwarmConfig, Tally};
use crate::voice::Port;
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use sip_stack::Time;
use sip_stack::message::MAX_MESSAGE;
use sip_stack::transport::ListenerId;
use std::io;
use std::ops::RangeInclusive;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Sockets that are reported at a time.
const EVENTS: usize = 1_024;
/// Datagrams taken from one socket before others have their turn.
const BATCH: usize = 16;
/// The longest wait; everything that is due has a time.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often threads tell how far they are.
const TELL: Duration = Duration::from_secs(1);
/// Tellings that may wait; further ones are not sent, the next one says the same and more.
const TELLINGS: usize = 64;
/// The lifetime that registrations ask for.
const EXPIRES_S: u32 = 600;
/// Sockets of a phone: SIP, RTP, RTCP.
const SOCKETS: usize = 3;
/// Files that the process has open besides.
const OTHER_FILES: usize = 64;

/// Against whom a swarm works, and from where.
#[derive(Clone, Debug)]
pub struct SwarmTarget {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The SIP domain, where it is not the host.
    pub domain: Option<String>,
    /// The password of every phone.
    pub password: Password,
    /// Where RTP is received.
    pub rtp_ports: RangeInclusive<u16>,
    /// Threads.
    pub threads: usize,
    /// Random: decides tags, Call-IDs and SSRCs.
    pub seed: [u8; 32],
}

/// Why a swarm could not work.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// An account cannot be written.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no way to the server, or no socket.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The system refused.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    /// A phone needs two ports for sound.
    #[error("{needed} phones need {} ports for sound, and there are {ports}: give more --rtp-ports", 2 * needed)]
    Ports {
        /// Phones.
        needed: usize,
        /// Ports.
        ports: usize,
    },
    /// The system lets no more sockets be open.
    #[error("{needed} files must be open, and the system allows {allowed}: raise it (ulimit -n)")]
    Files {
        /// Files.
        needed: usize,
        /// That are allowed.
        allowed: usize,
    },
}

/// Carries out a plan from beginning to end; `tell` is told about once a second how far it is.
///
/// # Errors
/// [`SwarmError`]: it could not begin, or the system failed.
pub fn run_swarm(
    plan: &Plan,
    target: &SwarmTarget,
    mut tell: impl FnMut(Duration, Progress),
) -> Result<Report, SwarmError> {
    let (began, processor) = (now(), processor_time());
    allow_files(plan.users.len() * SOCKETS + OTHER_FILES)?;
    let shares = plan.share(target.threads);
    let ports = share_ports(&target.rtp_ports, &shares)?;
    let mut workers = Vec::new();
    let mut first = 0u16;
    for (at, (share, ports)) in (0u8..).zip(shares.into_iter().zip(ports)) {
        let phones = share.users.len() as u16;
        let mut seed = target.seed;
        seed[31] ^= at;
        workers.push(Worker::new(share, target, ports, first, seed)?);
        first = first.wrapping_add(phones);
    }
    let (sender, receiver) = mpsc::sync_channel(TELLINGS);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .enumerate()
            .map(|(at, worker)| {
                let sender = sender.clone();
                scope.spawn(move || worker.work(at, &sender))
            })
            .collect();
        drop(sender);
        let mut progress = vec![Progress::default(); threads.len()];
        let mut told = began;
        // The channel closes with the last thread.
        loop {
            match receiver.recv_timeout(TELL) {
                Ok((at, news)) => {
                    if let Some(progress) = progress.get_mut(at) {
                        *progress = news;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let time = now();
            if time.since(told) >= TELL {
                told = time;
                tell(time.since(began), progress.iter().copied().fold(Progress::default(), Progress::plus));
            }
        }
        for thread in threads {
            match thread.join() {
                Ok(counted) => tally.merge(&counted?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<(), SwarmError>(())
    })?;
    let took = now().since(began);
    // Phones that no thread needs, the last of an odd number, are none of the swarm.
    let processor = processor.and_then(|before| Some(processor_time()?.saturating_sub(before)));
    Ok(Report::new(plan, tally, took, processor))
}

/// One thread's part.
struct Worker {
    swarm: Swarm,
    poll: Poll,
    events: Events,
    phones: Vec<Sockets>,
    ports: RtpPorts,
    buffer: Vec<u8>,
    /// Sockets that may have more than was taken.
    full: Vec<usize>,
    /// RTCP is listened to.
    whole: bool,
}

/// The sockets of a phone.
struct Sockets {
    sip: UdpSocket,
    /// RTP and RTCP of a call.
    media: Option<(CallId, UdpSocket, UdpSocket)>,
}

impl Worker {
    fn new(
        plan: Plan,
        target: &SwarmTarget,
        ports: RangeInclusive<u16>,
        first: u16,
        seed: [u8; 32],
    ) -> Result<Worker, SwarmError> {
        let poll = Poll::new()?;
        let (mut phones, mut accounts) = (Vec::new(), Vec::new());
        for (at, user) in plan.users.iter().enumerate() {
            let (mut sip, flow) = listen(&target.host, target.port, ListenerId(0))?;
            poll.registry().register(&mut sip, Token(at * SOCKETS), Interest::READABLE)?;
            phones.push(Sockets { sip, media: None });
            accounts.push(Account {
                user: user.clone(),
                domain: target.domain.as_deref().unwrap_or(&target.host).into(),
                display_name: None,
                password: target.password.clone(),
                server: flow,
                expires_s: EXPIRES_S,
            });
        }
        let draw = u64::from_be_bytes(*seed.first_chunk().unwrap_or(&[0; 8]));
        let whole = plan.whole;
        Ok(Worker {
            swarm: Swarm::new(now(), SwarmConfig { plan, accounts, first, seed })?,
            poll,
            events: Events::with_capacity(EVENTS),
            phones,
            ports: RtpPorts::new(ports, draw),
            buffer: vec![0; MAX_MESSAGE],
            full: Vec::new(),
            whole,
        })
    }

    fn work(mut self, at: usize, sender: &SyncSender<(usize, Progress)>) -> Result<Tally, SwarmError> {
        let mut told = now();
        loop {
            self.obey();
            if let Some(tally) = self.swarm.tally() {
                return Ok(tally.clone());
            }
            let time = now();
            if time.since(told) >= TELL {
                told = time;
                match sender.try_send((at, self.swarm.progress())) {
                    Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
                }
            }
            self.wait(time)?;
            self.receive();
            self.obey();
            self.fire();
        }
    }

    fn wait(&mut self, time: Time) -> io::Result<()> {
        let due = self.swarm.poll_timeout().map_or(PATIENCE, |due| due.since(time).min(PATIENCE));
        let patience = if self.full.is_empty() { due } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn fire(&mut self) {
        let phones = &self.phones;
        self.swarm.handle_timeout(now(), |phone, port, to, bytes| {
            let media = phones.get(phone).and_then(|sockets| sockets.media.as_ref());
            if let Some((_, rtp, rtcp)) = media {
                let socket = match port {
                    Port::Rtp => rtp,
                    Port::Rtcp => rtcp,
                };
                // A packet that the system does not take is lost as any other.
                let _sent = socket.send_to(bytes, to);
            }
        });
    }

    fn obey(&mut self) {
        while let Some(output) = self.swarm.poll_output() {
            match output {
                Output::Transmit { phone, to, bytes } => {
                    // SIP sends again what is lost.
                    let _sent = self.phones.get(phone).map(|sockets| sockets.sip.send_to(&bytes, to));
                }
                Output::Open { phone, call } => self.open(phone, call),
                Output::Close { phone, call } => {
                    if let Some(sockets) = self.phones.get_mut(phone) {
                        sockets.media.take_if(|(open, ..)| *open == call);
                    }
                }
            }
        }
    }

    fn open(&mut self, phone: usize, call: CallId) {
        let (ports, poll, whole) = (&mut self.ports, &self.poll, self.whole);
        let opened = self.phones.get_mut(phone).and_then(|sockets| {
            let ip = sockets.sip.local_addr().ok()?.ip();
            let (mut rtp, mut rtcp) = ports.bind(ip).ok()?;
            let token = phone * SOCKETS;
            poll.registry().register(&mut rtp, Token(token + 1), Interest::READABLE).ok()?;
            if whole {
                poll.registry().register(&mut rtcp, Token(token + 2), Interest::READABLE).ok()?;
            }
            let address = rtp.local_addr().ok()?;
            sockets.media = Some((call, rtp, rtcp));
            Some(address)
        });
        self.swarm.handle_opened(now(), phone, call, opened);
    }

    /// Takes what came; a socket with a batch or more is asked again.
    fn receive(&mut self) {
        let mut ready = core::mem::take(&mut self.full);
        ready.extend(self.events.iter().map(|event| event.token().0));
        ready.sort_unstable();
        ready.dedup();
        for token in &ready {
            if self.receive_at(*token) {
                self.full.push(*token);
            }
        }
    }

    /// Takes what came at one socket; whether there may be more.
    fn receive_at(&mut self, token: usize) -> bool {
        let phone = token / SOCKETS;
        let Some(sockets) = self.phones.get(phone) else { return false };
        let (socket, port) = match (token % SOCKETS, &sockets.media) {
            (0, _) => (&sockets.sip, None),
            (1, Some((_, rtp, _))) => (rtp, Some(Port::Rtp)),
            (_, Some((_, _, rtcp))) => (rtcp, Some(Port::Rtcp)),
            // The call is over.
            (_, None) => return false,
        };
        for _ in 0..BATCH {
            match socket.recv_from(&mut self.buffer) {
                Ok((length, from)) => {
                    let from = std::net::SocketAddr::new(from.ip().to_canonical(), from.port());
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    match port {
                        Some(port) => self.swarm.handle_media(now(), phone, port, from, bytes),
                        None => self.swarm.handle_sip(now(), phone, from, Bytes::copy_from_slice(bytes)),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // That a port of the server is closed says nothing that its silence does not.
                Err(_) => {}
            }
        }
        true
    }
}

/// Even shares of the ports, by the phones of each.
fn share_ports(ports: &RangeInclusive<u16>, shares: &[Plan]) -> Result<Vec<RangeInclusive<u16>>, SwarmError> {
    let first = usize::from(*ports.start()).next_multiple_of(2);
    let count = (usize::from(*ports.end()) + 1).saturating_sub(first);
    let needed: usize = shares.iter().map(|share| share.users.len()).sum();
    if count < 2 * needed {
        return Err(SwarmError::Ports { needed, ports: count });
    }
    let mut next = first;
    let share = |share: &Plan| {
        let from = next;
        next += (count * share.users.len() / needed.max(1)) & !1;
        // Within the range that was given, which is one of ports.
        from as u16..=(next - 1) as u16
    };
    Ok(shares.iter().map(share).collect())
}

/// Asks the system for so many open files.
#[cfg(target_os = "linux")]
fn allow_files(needed: usize) -> Result<(), SwarmError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed as u64);
    if enough(limits.current) {
        return Ok(());
    }
    let allowed = limits.maximum.map_or(usize::MAX, |maximum| usize::try_from(maximum).unwrap_or(usize::MAX));
    if !enough(limits.maximum) {
        return Err(SwarmError::Files { needed, allowed });
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed as u64), maximum: limits.maximum })
        .map_err(|error| SwarmError::System(error.into()))
}

/// Elsewhere the system says it when there are too many.
#[cfg(not(target_os = "linux"))]
fn allow_files(_needed: usize) -> Result<(), SwarmError> {
    Ok(())
}

/// Processor time of this process.
#[cfg(target_os = "linux")]
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<Duration> {
    None
}
