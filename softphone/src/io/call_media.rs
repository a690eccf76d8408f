//! The sound of one call at the edge: its sockets and its voice.

use crate::voice::{Port, Voice};
use mio::net::UdpSocket;
use sip_stack::Time;
use std::io;
use std::net::SocketAddr;

/// The longest datagram that is looked at.
const DATAGRAM: usize = 2_048;
/// Datagrams of one call that are taken in one go; the rest waits for the next turn.
const BATCH: usize = 64;

/// Sockets and voice of a call.
#[derive(Debug)]
pub(super) struct CallMedia {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) voice: Voice,
    /// Both sides are connected: the user may be heard.
    pub(super) connected: bool,
}

impl CallMedia {
    /// Takes what came at one of the ports. Returns whether there may be more.
    pub(super) fn receive(&mut self, now: Time, port: Port) -> bool {
        let socket = match port {
            Port::Rtp => &self.rtp,
            Port::Rtcp => &self.rtcp,
        };
        let mut datagram = [0; DATAGRAM];
        for _ in 0..BATCH {
            match socket.recv_from(&mut datagram) {
                Ok((length, from)) => {
                    let datagram = datagram.get(..length).unwrap_or_default();
                    self.voice.handle_datagram(now, port, unmapped(from), datagram);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // That a port of the peer is closed says nothing that its silence does not.
                Err(_) => {}
            }
        }
        true
    }

    /// Says a frame.
    pub(super) fn capture(&mut self, now: Time, frame: &mut [i16]) {
        let rtp = &self.rtp;
        self.voice.capture(now, frame, |to, packet| {
            // A packet that the system does not take is lost as any other.
            let _sent = rtp.send_to(packet, to);
        });
    }

    /// Sends the report that is due.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        let rtcp = &self.rtcp;
        self.voice.handle_timeout(now, |to, report| {
            let _sent = rtcp.send_to(report, to);
        });
    }

    /// Says goodbye.
    pub(super) fn close(mut self, now: Time) {
        let rtcp = &self.rtcp;
        self.voice.close(now, |to, goodbye| {
            let _sent = rtcp.send_to(goodbye, to);
        });
    }
}

/// An IPv4 address as itself, however the socket names it.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
