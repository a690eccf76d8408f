//! The media shard of the simulated world: the real one, with ports given out by the world.

use bytes::{Bytes, BytesMut};
use media::{Forward, LegId, LegKey, Output, Report, Shard, ShardConfig};
use sip_stack::Time;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a leg may say nothing before the switch is told.
const SILENCE: Duration = Duration::from_secs(30);
const FIRST_PORT: u16 = 40_000;

/// A shard with its sockets.
#[derive(Debug)]
pub(super) struct MediaPlane {
    shard: Shard,
    ip: IpAddr,
    sockets: BTreeMap<u16, LegId>,
    next_port: u16,
    /// News for the switch.
    pub(super) reports: VecDeque<Report>,
}

impl MediaPlane {
    pub(super) fn new(seed: [u8; 32], ip: IpAddr) -> MediaPlane {
        MediaPlane {
            shard: Shard::new(ShardConfig { silence: SILENCE }, seed),
            ip,
            sockets: BTreeMap::new(),
            next_port: FIRST_PORT,
            reports: VecDeque::new(),
        }
    }

    /// Legs that are open.
    pub(super) fn legs(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn obey(&mut self, now: Time, command: media::Command) {
        self.shard.handle_command(media::Time(now.0), command);
        self.drain(now);
    }

    /// A datagram at one of our ports; what goes on, from where and to where.
    pub(super) fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Bytes,
    ) -> Option<(SocketAddr, SocketAddr, Bytes)> {
        let key = self.shard.key(*self.sockets.get(&(to.port() & !1))?)?;
        if to.port() & 1 == 1 {
            self.shard.receive_rtcp(key);
            return None;
        }
        let mut packet = BytesMut::from(&bytes[..]);
        let forward = self.shard.receive(media::Time(now.0), key, from, &mut packet);
        self.drain(now);
        let forward = forward?;
        Some((self.address_of(forward.leg), forward.destination, packet.freeze()))
    }

    /// Where the packets of a leg leave.
    fn address_of(&self, leg: LegKey) -> SocketAddr {
        let leaving = self.sockets.iter().find(|(_, open)| self.shard.key(**open) == Some(leg));
        let (port, _) = leaving.expect("a packet leaves by a leg that is open");
        SocketAddr::new(self.ip, *port)
    }

    /// Mixes what is due; what leaves, from where and to where.
    pub(super) fn handle_timeout(&mut self, now: Time) -> Vec<(SocketAddr, SocketAddr, Bytes)> {
        self.shard.tick(media::Time(now.0));
        self.drain(now);
        let mut leaving = Vec::new();
        while let Some((Forward { leg, destination }, octets)) = self.shard.poll_transmit() {
            leaving.push((leg, destination, Bytes::copy_from_slice(octets)));
        }
        leaving.into_iter().map(|(leg, to, bytes)| (self.address_of(leg), to, bytes)).collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.shard.poll_timeout().map(|time| Time(time.0))
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Bind { legs } => {
                    let bound = legs.iter().map(|(leg, _)| (*leg, self.bind(*leg))).collect();
                    self.shard.handle_bound(media::Time(now.0), bound);
                }
                Output::Release { leg, .. } => self.sockets.retain(|_, open| *open != leg),
                Output::Report(report) => self.reports.push_back(report),
                // In virtual time every packet is handed in when it arrives.
                Output::Watch { .. } => {}
            }
        }
    }

    /// Even ports in rotation.
    fn bind(&mut self, leg: LegId) -> u16 {
        while self.sockets.contains_key(&self.next_port) {
            self.next_port = next_after(self.next_port);
        }
        let port = self.next_port;
        self.next_port = next_after(port);
        self.sockets.insert(port, leg);
        port
    }
}

const fn next_after(port: u16) -> u16 {
    if port >= 59_998 { FIRST_PORT } else { port + 2 }
}
