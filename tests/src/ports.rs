//! Ports for a live test: a block of three hundred that no other test has.
//!
//! Tests run in parallel and in several processes, and the programs they start bind their own sockets, so a port
//! that was free a moment ago is not enough. A block is claimed by listening (TCP) on its first port for as long
//! as the test runs, unless somebody has one of its UDP ports; those are handed out after binding them once. Blocks
//! lie below the range the kernel picks ephemeral ports from (32768 up on Linux).

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

const FIRST: u16 = 20_000;
const BLOCK: u16 = 300;
const BLOCKS: u16 = 42;

/// Three hundred ports on 127.0.0.1, given out one by one.
#[derive(Debug)]
pub struct Ports {
    _claim: TcpListener,
    next: u16,
    end: u16,
}

impl Ports {
    /// Claims a block.
    ///
    /// # Panics
    /// When all blocks are taken.
    #[must_use]
    pub fn claim() -> Self {
        // processes that start together begin at different blocks
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("a remainder below 42");
        (0..BLOCKS)
            .map(|step| FIRST + (start + step) % BLOCKS * BLOCK)
            .find_map(|base| {
                let claim = TcpListener::bind((Ipv4Addr::LOCALHOST, base)).ok()?;
                // Of a program that is not one of ours, or not any more.
                let is_free = (base..base + BLOCK).all(is_free);
                is_free.then_some(Self { _claim: claim, next: base + 2, end: base + BLOCK })
            })
            .expect("one of 42 blocks of ports is free")
    }

    /// The next even UDP port such that it and the following `count - 1` are free.
    ///
    /// # Panics
    /// When the block is used up.
    pub fn udp(&mut self, count: u16) -> u16 {
        while self.next + count <= self.end {
            let first = self.next;
            self.next += count.next_multiple_of(2);
            if (first..first + count).all(is_free) {
                return first;
            }
        }
        panic!("the block of ports is used up")
    }
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether somebody holds this UDP port of 127.0.0.1 or of the wildcard address, without touching it.
///
/// Reads the kernel's table (Linux), because binding the port to find out could be in the way of its owner.
#[must_use]
pub fn is_bound(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let suffix = format!(":{port:04X}");
    table.lines().filter_map(|line| line.split_whitespace().nth(1)).any(|local| local.ends_with(&suffix))
}

/// Whether somebody listens at this TCP port of 127.0.0.1 or of the wildcard address, by the kernel's table (Linux).
#[must_use]
pub fn listens(port: u16) -> bool {
    const LISTEN: &str = "0A";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let suffix = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut columns = line.split_whitespace();
        let local = columns.nth(1);
        let state = columns.nth(1);
        local.is_some_and(|local| local.ends_with(&suffix)) && state == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_share_no_port() {
        let (mut one, mut other) = (Ports::claim(), Ports::claim());
        assert!(one.udp(1).abs_diff(other.udp(1)) >= BLOCK / 2);
        assert_ne!(one.end, other.end);
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let mut ports = Ports::claim();
        let _holder = UdpSocket::bind((Ipv4Addr::LOCALHOST, ports.next)).unwrap();
        let taken = ports.next;
        assert!(ports.udp(1) > taken);
    }

    #[test]
    fn a_port_that_is_listened_at_is_seen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(port));
        drop(listener);
        assert!(!listens(port));
    }

    #[test]
    fn a_bound_port_is_seen() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(is_bound(port));
        drop(socket);
    }
}
