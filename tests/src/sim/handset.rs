//! A phone in the simulated world: the machine, what it told its user, and its ears.

use bytes::Bytes;
use media::rtp::Header;
use sip_stack::Time;
use softphone::phone::{CallId, Ending, Event, Phone, Stream};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Octets in 20 ms of G.711.
pub const PAYLOAD: usize = 160;

/// Names a phone of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhoneId(pub usize);

/// A phone, its user's view and its ears.
#[derive(Debug)]
pub struct Handset {
    /// The machine.
    pub phone: Phone,
    /// Where its signalling is received.
    pub address: SocketAddr,
    /// What it told its user.
    pub events: Vec<(Time, Event)>,
    /// The RTP sockets it opened, by call.
    pub ears: BTreeMap<CallId, Ear>,
    /// When it wants to be called, as it said when something was done to it last.
    pub(super) due: Option<Time>,
}

/// The RTP socket of one call.
#[derive(Clone, Debug)]
pub struct Ear {
    /// Where it listens.
    pub address: SocketAddr,
    /// What was agreed.
    pub stream: Option<Stream>,
    /// Whether the call is over.
    pub closed: bool,
    /// The RTP packets that arrived, in their order.
    pub heard: Vec<Heard>,
    sequence: u16,
}

/// An RTP packet that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// From where.
    pub from: SocketAddr,
    /// Its payload type.
    pub payload_type: u8,
    /// Its sequence number.
    pub sequence: u16,
    /// What it carries.
    pub payload: Bytes,
}

impl Ear {
    /// An ear at `address`.
    pub fn new(address: SocketAddr) -> Ear {
        Ear { address, stream: None, closed: false, heard: Vec::new(), sequence: 0xfff0 }
    }

    /// The next 20 ms of speech as an RTP packet, and where it goes; `None` when we may not speak.
    pub fn speak(&mut self, speaker: PhoneId) -> Option<(SocketAddr, Bytes)> {
        let stream = self.stream.as_ref().filter(|stream| stream.send && !self.closed)?;
        let remote = stream.remote?;
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, stream.payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend((0xabcd_0000 + speaker.0 as u32).to_be_bytes());
        packet.extend(speech(speaker, self.sequence));
        Some((remote, packet.into()))
    }

    /// A datagram arrived.
    pub fn hear(&mut self, from: SocketAddr, datagram: &Bytes) {
        if let Ok(header) = Header::parse(datagram) {
            let payload = datagram.slice(header.payload());
            let (payload_type, sequence) = (header.payload_type(), header.sequence());
            self.heard.push(Heard { from, payload_type, sequence, payload });
        }
    }

    /// How many different packets of `speaker`'s were heard.
    pub fn understood(&self, speaker: PhoneId) -> usize {
        let ours = |heard: &&Heard| heard.payload.first() == Some(&(speaker.0 as u8));
        let mut payloads: Vec<&Bytes> = self.heard.iter().filter(ours).map(|heard| &heard.payload).collect();
        payloads.sort();
        payloads.dedup();
        payloads.len()
    }
}

/// What a phone says in a packet: never the same twice in 65,536 packets.
fn speech(speaker: PhoneId, sequence: u16) -> [u8; PAYLOAD] {
    let [high, low] = sequence.to_be_bytes();
    let mut payload = [0; PAYLOAD];
    for (at, octet) in payload.iter_mut().enumerate() {
        *octet = [speaker.0 as u8, high, low][at % 3];
    }
    payload
}

impl Handset {
    /// How often each call was said to be connected.
    pub fn connected(&self, call: CallId) -> usize {
        self.events.iter().filter(|(_, event)| *event == Event::Connected { call }).count()
    }

    /// The ends of a call that the user was told; there should be one.
    pub fn endings(&self, call: CallId) -> Vec<&Ending> {
        let endings = self.events.iter().filter_map(|(_, event)| match event {
            Event::Ended { call: ended, ending } => (*ended == call).then_some(ending),
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::TurnedAway { .. }
            | Event::Held { .. }
            | Event::HoldFailed { .. }
            | Event::HeldByPeer { .. }
            | Event::Transferred { .. }
            | Event::Message { .. }
            | Event::Watch { .. }
            | Event::MessageTaken { .. }
            | Event::MessageFailed { .. }
            | Event::TransferFailed { .. }
            | Event::Muted { .. }
            | Event::Digit { .. }
            | Event::RegistrationFailed { .. }
            | Event::Calling { .. }
            | Event::Ringing { .. }
            | Event::Incoming { .. }
            | Event::Connected { .. } => None,
        });
        endings.collect()
    }

    /// The call that the user was told of last, whoever began it.
    pub fn last_call(&self) -> Option<CallId> {
        self.events.iter().rev().find_map(|(_, event)| match event {
            Event::Calling { call, .. } | Event::Incoming { call, .. } => Some(*call),
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::TurnedAway { .. }
            | Event::Held { .. }
            | Event::HoldFailed { .. }
            | Event::HeldByPeer { .. }
            | Event::Transferred { .. }
            | Event::Message { .. }
            | Event::Watch { .. }
            | Event::MessageTaken { .. }
            | Event::MessageFailed { .. }
            | Event::TransferFailed { .. }
            | Event::Muted { .. }
            | Event::Digit { .. }
            | Event::RegistrationFailed { .. }
            | Event::Ringing { .. }
            | Event::Connected { .. }
            | Event::Ended { .. } => None,
        })
    }
}
