//! The phones: each sends a packet every 20 ms, and what they get is counted. They share sockets, as only the switch is measured.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use media::codec::g711;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

const FRAME: Duration = Duration::from_millis(20);
/// Moments within a frame at which phones send, each with a socket of its own.
pub(super) const SLOTS: usize = 20;
const BATCH: usize = 64;
const PACKET: usize = 172;

/// A phone that begins to send.
pub(super) struct Phone {
    pub(super) number: u32,
    pub(super) port: u16,
    pub(super) talks: bool,
}

/// What the phones have counted so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) heard: AtomicU64,
    /// The most that a slot was late, in microseconds, since this was read last.
    pub(super) late_us: AtomicU64,
    /// They are to fall silent, and to listen on.
    pub(super) stop: AtomicBool,
    /// The calls are over.
    pub(super) over: AtomicBool,
}

/// Those that send at one moment.
struct Slot {
    socket: UdpSocket,
    packets: Vec<[u8; PACKET]>,
    to: Vec<Option<SockaddrIn>>,
}

/// Sockets for all slots.
pub(super) fn sockets() -> Vec<UdpSocket> {
    let socket = |_| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_nonblocking(true).expect("no socket refuses that");
        socket
    };
    (0..SLOTS).map(socket).collect()
}

/// Where the phone of a number is.
pub(super) fn address(sockets: &[UdpSocket], number: u32) -> SocketAddr {
    sockets[number as usize % SLOTS].local_addr().expect("it is bound")
}

/// Sends and receives until it is to stop, and then what is still on its way.
pub(super) fn talk(sockets: Vec<UdpSocket>, begin: &Receiver<Phone>, counts: &Counts) {
    let slot = |socket| Slot { socket, packets: Vec::new(), to: Vec::new() };
    let mut slots: Vec<Slot> = sockets.into_iter().map(slot).collect();
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let mut buffers = vec![[0; 256]; BATCH];
    let begun = Instant::now();
    for step in 0_u32.. {
        if counts.over.load(Ordering::Relaxed) {
            break;
        }
        let due = begun + FRAME / SLOTS as u32 * step;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let late = due.elapsed().as_micros() as u64;
        counts.late_us.fetch_max(late, Ordering::Relaxed);
        for phone in begin.try_iter() {
            slots[phone.number as usize % SLOTS].add(&phone);
        }
        let place = step as usize % SLOTS;
        if !counts.stop.load(Ordering::Relaxed) {
            slots[place].send(&mut headers, counts);
        }
        for place in [place, (place + SLOTS / 2) % SLOTS] {
            slots[place].hear(&mut headers, &mut buffers, counts);
        }
    }
    std::thread::sleep(10 * FRAME);
    slots.iter().for_each(|slot| slot.hear(&mut headers, &mut buffers, counts));
}

impl Slot {
    fn add(&mut self, phone: &Phone) {
        let mut packet = [0xff; PACKET];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..8].fill(0);
        packet[8..12].copy_from_slice(&phone.number.to_be_bytes());
        if phone.talks {
            // A period that fits 20 ms, different for neighbours.
            let period = 20 << (phone.number % 3);
            for (at, octet) in packet[12..].iter_mut().enumerate() {
                *octet = g711::encode_ulaw((at % period) as i16 * 200 - 2_000);
            }
        }
        self.packets.push(packet);
        self.to.push(Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, phone.port).into()));
    }

    fn send(&mut self, headers: &mut MultiHeaders<SockaddrIn>, counts: &Counts) {
        for (packets, to) in self.packets.chunks(BATCH).zip(self.to.chunks(BATCH)) {
            let slices: Vec<[IoSlice<'_>; 1]> = packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
            let sent = sendmmsg(self.socket.as_raw_fd(), headers, &slices, to, [], MsgFlags::empty());
            let sent = sent.map_or(0, |results| results.count());
            assert_eq!(sent, packets.len(), "loopback takes every datagram");
            counts.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
        for packet in &mut self.packets {
            let sequence = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(1);
            let timestamp =
                u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]).wrapping_add(160);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        }
    }

    fn hear(&self, headers: &mut MultiHeaders<SockaddrIn>, buffers: &mut [[u8; 256]], counts: &Counts) {
        loop {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recvmmsg(self.socket.as_raw_fd(), headers, slices.iter_mut(), flags, None)
                .map_or(0, Iterator::count);
            // RTCP comes on the same port (RFC 5761 §4).
            let is_rtp = |buffer: &&[u8; 256]| !(192..=223).contains(&buffer[1]);
            let heard = buffers.iter().take(received).filter(is_rtp).count();
            counts.heard.fetch_add(heard as u64, Ordering::Relaxed);
            if received < BATCH {
                return;
            }
        }
    }
}
