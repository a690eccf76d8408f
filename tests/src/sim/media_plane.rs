//! The media shard of the simulated world: the real one, with ports given out by the world.

use bytes::{Bytes, BytesMut};
use media::io::{BuiltIn, MEMORY, Sounds};
use media::source::SoundFault;
use media::{Forward, LegKey, LegPorts, Output, Port, Report, Shard, ShardConfig};
use sip_stack::Time;
use softswitch::prompts::built_in_sound;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// How long a leg may say nothing before the switch is told.
const SILENCE: Duration = Duration::from_secs(30);
const FIRST_PORT: u16 = 40_000;

/// A shard with its sockets.
#[derive(Debug)]
pub(super) struct MediaPlane {
    shard: Shard,
    ip: IpAddr,
    sockets: BTreeMap<u16, LegKey>,
    next_port: u16,
    /// Packets on their way out: from where, to where.
    leaving: Vec<(SocketAddr, SocketAddr, Bytes)>,
    /// News for the switch.
    pub(super) reports: VecDeque<Report>,
}

/// The sounds of all worlds: to decode them anew in each took half of the time of all simulations.
static SOUNDS: LazyLock<Mutex<Sounds>> =
    LazyLock::new(|| Mutex::new(Sounds::new(MEMORY).with_built_in(BuiltIn(built_in_sound))));

impl MediaPlane {
    pub(super) fn new(seed: [u8; 32], ip: IpAddr) -> MediaPlane {
        MediaPlane {
            shard: Shard::new(ShardConfig { silence: SILENCE }, seed),
            ip,
            sockets: BTreeMap::new(),
            next_port: FIRST_PORT,
            leaving: Vec::new(),
            reports: VecDeque::new(),
        }
    }

    /// Legs that are open.
    pub(super) fn legs(&self) -> usize {
        self.sockets.len()
    }

    /// Obeys a command; what leaves at once, from where and to where.
    pub(super) fn obey(
        &mut self,
        now: Time,
        command: media::Command,
    ) -> Vec<(SocketAddr, SocketAddr, Bytes)> {
        self.shard.handle_command(media::Time(now.0), command);
        self.drain(now);
        core::mem::take(&mut self.leaving)
    }

    /// A datagram at one of our ports; what goes on, from where and to where.
    pub(super) fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Bytes,
    ) -> Option<(SocketAddr, SocketAddr, Bytes)> {
        let key = *self.sockets.get(&(to.port() & !1))?;
        if to.port() & 1 == 1 {
            self.shard.receive_rtcp(media::Time(now.0), key, from, bytes);
            return None;
        }
        let mut packet = BytesMut::from(&bytes[..]);
        let forward = self.shard.receive(media::Time(now.0), key, from, &mut packet);
        self.drain(now);
        let forward = forward?;
        Some((self.address_of(forward), forward.destination, packet.freeze()))
    }

    /// Where a packet leaves.
    fn address_of(&self, Forward { leg, port, .. }: Forward) -> SocketAddr {
        let leaving = self.sockets.iter().find(|(_, open)| **open == leg);
        let (rtp, _) = leaving.expect("a packet leaves by a leg that is open");
        let above = match port {
            Port::Rtp => 0,
            Port::Rtcp => 1,
        };
        SocketAddr::new(self.ip, rtp + above)
    }

    /// Takes what the shard has made.
    fn collect(&mut self) {
        let mut made = Vec::new();
        while let Some((forward, octets)) = self.shard.poll_transmit() {
            made.push((forward, Bytes::copy_from_slice(octets)));
        }
        for (forward, octets) in made {
            self.leaving.push((self.address_of(forward), forward.destination, octets));
        }
    }

    /// Mixes what is due; what leaves, from where and to where.
    pub(super) fn handle_timeout(&mut self, now: Time) -> Vec<(SocketAddr, SocketAddr, Bytes)> {
        self.shard.tick(media::Time(now.0));
        self.collect();
        self.drain(now);
        core::mem::take(&mut self.leaving)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.shard.poll_timeout().map(|time| Time(time.0))
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Bind { legs } => {
                    let bound: LegPorts = legs.iter().map(|(leg, _)| (*leg, self.free_port())).collect();
                    self.shard.handle_bound(media::Time(now.0), bound.clone());
                    for (leg, port) in bound {
                        let key = self.shard.key(leg).expect("a leg that is bound is open");
                        self.sockets.insert(port, key);
                    }
                }
                Output::Release { key, .. } => {
                    self.collect();
                    self.sockets.retain(|_, open| *open != key);
                }
                // No disk is in this world: no file is there, but what is in the program, and the rings of recordings end.
                Output::Load(wanted) => {
                    let sound = match built_in_sound(&wanted.file) {
                        Some(_) => {
                            let mut sounds = SOUNDS.lock().unwrap_or_else(PoisonError::into_inner);
                            sounds.load(&wanted.file, wanted.rate)
                        }
                        None => Err(SoundFault::NotFound),
                    };
                    self.shard.handle_sound(&wanted, sound);
                }
                Output::Record(recorded) => self.shard.handle_unrecorded(recorded.recording),
                Output::Report(report) => self.reports.push_back(report),
                // In virtual time every packet is handed in when it arrives.
                Output::Watch { .. } => {}
            }
        }
    }

    /// Even ports in rotation.
    fn free_port(&mut self) -> u16 {
        while self.sockets.contains_key(&self.next_port) {
            self.next_port = next_after(self.next_port);
        }
        let port = self.next_port;
        self.next_port = next_after(port);
        port
    }
}

const fn next_after(port: u16) -> u16 {
    if port >= 59_998 { FIRST_PORT } else { port + 2 }
}
