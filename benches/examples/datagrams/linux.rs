//! The phones, the ways that need no ring, and the table.

use std::io::{ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg};
use rustix::time::{ClockId, clock_gettime};

use super::ring;

/// 20 ms of G.711 and an RTP header.
pub(super) const PACKET: usize = 172;
pub(super) const FRAME: Duration = Duration::from_millis(20);
/// For how long packets gather in the ways that pause.
pub(super) const PAUSE: Duration = Duration::from_micros(250);
/// What a call of `recvmmsg` takes at most.
const BATCH: usize = 16;
/// How long the relay looks for the end at most.
const PATIENCE: Duration = Duration::from_millis(100);

/// How packets of phones lie in the 20 ms.
#[derive(Clone, Copy, Debug)]
enum Pacing {
    Even,
    Burst,
}

/// A relay: its sockets and where each sends to.
pub(super) struct Relay {
    pub(super) sockets: Vec<UdpSocket>,
    pub(super) phones: Vec<SocketAddr>,
    /// Packets moved.
    pub(super) moved: u64,
}

type Way = (&'static str, fn(&mut Relay, &AtomicBool));

const EDGE: EpollFlags = EpollFlags::EPOLLET;
const LEVEL: EpollFlags = EpollFlags::empty();

const WAYS: [Way; 9] = [
    ("floor: every socket each 20 ms", drain),
    ("epoll, recvfrom once", |relay, stop| epoll(relay, stop, (LEVEL, Duration::ZERO), once)),
    ("epoll, recvfrom until drained", |relay, stop| epoll(relay, stop, (EDGE, Duration::ZERO), one_by_one)),
    ("epoll, recvmmsg", |relay, stop| epoll(relay, stop, (EDGE, Duration::ZERO), in_batches())),
    ("io_uring, multishot", |relay, stop| ring::relay(relay, stop, Duration::ZERO)),
    ("epoll, recvfrom once, pauses", |relay, stop| epoll(relay, stop, (LEVEL, PAUSE), once)),
    ("epoll, recvfrom until drained, pauses", |relay, stop| epoll(relay, stop, (EDGE, PAUSE), one_by_one)),
    ("epoll, recvmmsg, pauses", |relay, stop| epoll(relay, stop, (EDGE, PAUSE), in_batches())),
    ("io_uring, multishot, pauses", |relay, stop| ring::relay(relay, stop, PAUSE)),
];

pub(super) fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let (sockets, seconds) = (numbers.next().unwrap_or(400) & !1, numbers.next().unwrap_or(5));
    println!("{sockets} sockets, 50 packets a second each, {seconds} s");
    println!(
        "{:<38} {:>6} {:>10} {:>8} {:>8} {:>6}",
        "way", "pacing", "us/packet", "p50 ms", "p99 ms", "lost"
    );
    for pacing in [Pacing::Burst, Pacing::Even] {
        for (name, way) in WAYS {
            measure(name, way, pacing, sockets as usize, Duration::from_secs(seconds));
        }
    }
}

fn bound() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_nonblocking(true).expect("no socket refuses that");
    socket
}

fn addresses(sockets: &[UdpSocket]) -> Vec<SocketAddr> {
    sockets.iter().map(|socket| socket.local_addr().expect("it is bound")).collect()
}

fn measure(name: &str, way: fn(&mut Relay, &AtomicBool), pacing: Pacing, sockets: usize, time: Duration) {
    let phones: Vec<UdpSocket> = (0..sockets).map(|_| bound()).collect();
    let relayed: Vec<UdpSocket> = (0..sockets).map(|_| bound()).collect();
    let (to_phones, to_relay) = (addresses(&phones), addresses(&relayed));
    let stop = AtomicBool::new(false);
    let (moved, used, mut delays, sent) = std::thread::scope(|scope| {
        let relay = scope.spawn(|| {
            let mut relay = Relay { sockets: relayed, phones: to_phones, moved: 0 };
            way(&mut relay, &stop);
            (relay.moved, used())
        });
        let (delays, sent) = talk(&phones, &to_relay, pacing, time);
        stop.store(true, Ordering::SeqCst);
        // One more, so that a relay that waits looks.
        phones[0].send_to(&[0; PACKET], to_relay[0]).expect("loopback");
        let (moved, used) = relay.join().expect("the relay does not panic");
        (moved, used, delays, sent)
    });
    delays.sort_unstable();
    let part = |thousandths: usize| {
        delays.get(delays.len() * thousandths / 1000).map_or(f64::NAN, |delay| *delay as f64 / 1e6)
    };
    let each = used.as_secs_f64() * 1e6 / moved as f64;
    let (p50, p99, lost) = (part(500), part(990), sent - delays.len());
    println!("{name:<38} {pacing:>6?} {each:>10.2} {p50:>8.2} {p99:>8.2} {lost:>6}");
}

/// CPU time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sends and receives for all phones; the delay of each packet in nanoseconds, and how many were sent.
fn talk(phones: &[UdpSocket], relay: &[SocketAddr], pacing: Pacing, time: Duration) -> (Vec<u64>, usize) {
    let groups = match pacing {
        Pacing::Burst => 8,
        Pacing::Even => 80,
    };
    let begun = Instant::now();
    let (mut delays, mut sent) = (Vec::new(), 0);
    let mut packet = [0; PACKET];
    for group in 0.. {
        let due = FRAME * group / groups;
        if due >= time {
            break;
        }
        hear_until(phones, begun, begun + due, &mut delays);
        for index in (group % groups) as usize * phones.len() / groups as usize
            ..((group % groups) as usize + 1) * phones.len() / groups as usize
        {
            packet[..8].copy_from_slice(&(begun.elapsed().as_nanos() as u64).to_be_bytes());
            phones[index].send_to(&packet, relay[index]).expect("loopback");
            sent += 1;
        }
    }
    hear_until(phones, begun, Instant::now() + 2 * FRAME, &mut delays);
    (delays, sent)
}

/// Receives what comes until `end`, without a rest: the delays are to be the relay's.
fn hear_until(phones: &[UdpSocket], begun: Instant, end: Instant, delays: &mut Vec<u64>) {
    let mut packet = [0; PACKET];
    loop {
        for phone in phones {
            while let Ok((length, _)) = phone.recv_from(&mut packet) {
                let stamp = packet.first_chunk().filter(|_| length == PACKET);
                let sent = u64::from_be_bytes(*stamp.expect("the relay changes nothing"));
                delays.push((begun.elapsed().as_nanos() as u64).saturating_sub(sent));
            }
            if Instant::now() >= end {
                return;
            }
        }
    }
}

impl Relay {
    /// The socket that sends what this one receives.
    pub(super) const fn other(index: usize) -> usize {
        index ^ 1
    }

    fn send(&mut self, from: usize, octets: &[u8]) {
        let to = Self::other(from);
        self.moved += u64::from(self.sockets[to].send_to(octets, self.phones[to]).is_ok());
    }
}

fn drain(relay: &mut Relay, stop: &AtomicBool) {
    let mut due = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        due += FRAME;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for index in 0..relay.sockets.len() {
            one_by_one(relay, index);
        }
    }
}

fn one_by_one(relay: &mut Relay, index: usize) {
    let mut packet = [0; 2048];
    loop {
        match relay.sockets[index].recv_from(&mut packet) {
            Ok((length, _)) => relay.send(index, &packet[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Headers for a batch, made once as in the engine.
fn in_batches() -> impl FnMut(&mut Relay, usize) {
    let mut headers: MultiHeaders<SockaddrIn> = MultiHeaders::preallocate(BATCH, None);
    let mut buffers = Box::new([[0_u8; 2048]; BATCH]);
    move |relay, index| {
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let socket = relay.sockets[index].as_raw_fd();
        let Ok(messages) = recvmmsg(socket, &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)
        else {
            return;
        };
        let mut lengths = [0; BATCH];
        for (length, message) in lengths.iter_mut().zip(messages) {
            *length = message.bytes;
        }
        for (buffer, length) in buffers.iter().zip(lengths).take_while(|(_, length)| *length > 0) {
            relay.send(index, &buffer[..length]);
        }
    }
}

/// Once, and the poll tells if there is more.
fn once(relay: &mut Relay, index: usize) {
    let mut packet = [0; 2048];
    if let Ok((length, _)) = relay.sockets[index].recv_from(&mut packet) {
        relay.send(index, &packet[..length]);
    }
}

fn epoll(
    relay: &mut Relay,
    stop: &AtomicBool,
    (edge, pause): (EpollFlags, Duration),
    mut turn: impl FnMut(&mut Relay, usize),
) {
    let poll = Epoll::new(EpollCreateFlags::empty()).expect("a poll");
    for (index, socket) in relay.sockets.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN | edge, index as u64);
        poll.add(socket.as_fd(), event).expect("the socket is new to it");
    }
    let patience = EpollTimeout::try_from(PATIENCE).expect("a tenth of a second");
    let mut events = [EpollEvent::empty(); 512];
    while !stop.load(Ordering::SeqCst) {
        let count = poll.wait(&mut events, patience).unwrap_or(0);
        for event in events.iter().take(count) {
            turn(relay, event.data() as usize);
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// The address as the ring takes it.
pub(super) fn ipv4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("every socket is bound to 127.0.0.1"),
    }
}
