//! io_uring: one multishot receive for each socket, buffers from a ring that the kernel picks from, and the sends of a round
//! submitted together.
#![allow(unsafe_code, reason = "the crate's queues are unsafe to fill; the buffers outlive the ring")]

use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::linux::{Relay, ipv4};

/// A power of two.
const BUFFERS: u16 = 4096;
const BUFFER: usize = 512;
const GROUP: u16 = 0;
/// Marks completions of sends; the rest of the number is the buffer.
const SENT: u64 = 1 << 32;
const ENTRIES: u32 = 4096;

/// The buffers, and the ring by which the kernel gets them.
struct Buffers {
    ring: Box<[Page]>,
    octets: Box<[[u8; BUFFER]]>,
    tail: u16,
}

/// The ring begins at a page.
#[repr(align(4096))]
#[derive(Clone)]
struct Page(#[expect(dead_code, reason = "written and read by address")] [u8; 4096]);

impl Buffers {
    fn new(ring: &IoUring) -> Buffers {
        let pages = (usize::from(BUFFERS) * size_of::<BufRingEntry>()).div_ceil(4096);
        let octets = vec![[0; BUFFER]; usize::from(BUFFERS)].into_boxed_slice();
        let mut buffers = Buffers { ring: vec![Page([0; 4096]); pages].into(), octets, tail: 0 };
        let entries = buffers.ring.as_mut_ptr() as u64;
        // SAFETY: the ring lives in a box for as long as the io_uring does (`relay`).
        unsafe { ring.submitter().register_buf_ring_with_flags(entries, BUFFERS, GROUP, 0) }
            .expect("Linux 5.19 or newer");
        for buffer in 0..BUFFERS {
            buffers.give(buffer);
        }
        buffers.publish();
        buffers
    }

    /// Lets the kernel have a buffer, once [`Buffers::publish`] tells it.
    fn give(&mut self, buffer: u16) {
        let slot = usize::from(self.tail % BUFFERS);
        let address = self.octets[usize::from(buffer)].as_mut_ptr() as u64;
        // SAFETY: the slot lies in the ring, whose memory is zeroed or written here; nobody else refers to it.
        let entry = unsafe { &mut *self.ring.as_mut_ptr().cast::<BufRingEntry>().add(slot) };
        entry.set_addr(address);
        entry.set_len(BUFFER as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        // SAFETY: the tail is a 16-bit word in the first entry of the ring; the kernel reads it atomically.
        let tail = unsafe { &*BufRingEntry::tail(self.ring.as_ptr().cast()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: what entries point to (addresses, headers, buffers) outlives the ring.
    while unsafe { ring.submission().push(entry) }.is_err() {
        ring.submit().expect("the kernel takes entries");
    }
}

/// Relays until it is told to stop, pausing after each round.
pub(super) fn relay(relay: &mut Relay, stop: &AtomicBool, pause: Duration) {
    let addresses: Vec<libc::sockaddr_in> = relay.phones.iter().map(|phone| sockaddr(ipv4(*phone))).collect();
    // SAFETY: zeroes are a valid header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(4 * ENTRIES)
        .build(ENTRIES)
        .expect("an io_uring of Linux 6.1 or newer");
    let mut buffers = Buffers::new(&ring);
    let receive = |index: usize, relay: &Relay| {
        let socket = Fd(relay.sockets[index].as_raw_fd());
        opcode::RecvMsgMulti::new(socket, &header, GROUP).build().user_data(index as u64)
    };
    for index in 0..relay.sockets.len() {
        push(&mut ring, &receive(index, relay));
    }
    let mut completions: Vec<(u64, i32, u32)> = Vec::new();
    let patience = Timespec::new().nsec(100_000_000);
    while !stop.load(Ordering::SeqCst) {
        let waiting = SubmitArgs::new().timespec(&patience);
        let _ = ring.submitter().submit_with_args(1, &waiting);
        completions.clear();
        completions.extend(ring.completion().map(|entry| (entry.user_data(), entry.result(), entry.flags())));
        for (number, result, flags) in completions.drain(..) {
            if number & SENT != 0 {
                buffers.give(number as u16);
                relay.moved += u64::from(result > 0);
                continue;
            }
            let index = number as usize;
            if !cqueue::more(flags) {
                push(&mut ring, &receive(index, relay));
            }
            if let (Some(buffer), true) = (cqueue::buffer_select(flags), result > 0) {
                let octets = &buffers.octets[usize::from(buffer)][..result as usize];
                let Ok(message) = RecvMsgOut::parse(octets, &header) else { continue };
                let to = Relay::other(index);
                let socket = Fd(relay.sockets[to].as_raw_fd());
                push(&mut ring, &send(socket, &addresses[to], message.payload_data(), buffer));
            }
        }
        buffers.publish();
        if !pause.is_zero() {
            let _ = ring.submit();
            std::thread::sleep(pause);
        }
    }
}

/// Sends what lies in a buffer.
fn send(socket: Fd, to: &libc::sockaddr_in, payload: &[u8], buffer: u16) -> squeue::Entry {
    opcode::Send::new(socket, payload.as_ptr(), payload.len() as u32)
        .dest_addr((&raw const *to).cast())
        .dest_addr_len(size_of::<libc::sockaddr_in>() as u32)
        .build()
        .user_data(SENT | u64::from(buffer))
}

fn sockaddr(address: std::net::SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}
