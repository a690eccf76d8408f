//! Two legs on a shard in virtual time, and packets for them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use media::rtp::Header;
use media::tap::{self, RecordingId, TapReader};
use media::{
    Command, DigitParams, Latching, LegId, LegKey, Output, PayloadMap, PayloadRule, Recorded, Report,
    RtcpPort, Shard, ShardConfig, StreamParams, Time, Wanted,
};
use smallvec::smallvec;

pub(crate) const A: LegId = LegId(1);
pub(crate) const B: LegId = LegId(2);
/// Where the peers say they are.
pub(crate) const A_SDP: &str = "198.51.100.1:4000";
pub(crate) const B_SDP: &str = "198.51.100.2:5000";
/// One packet of 20 ms.
pub(crate) const PTIME: Duration = Duration::from_millis(20);

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().expect("tests write addresses correctly")
}

pub(crate) fn params(sdp: &str) -> StreamParams {
    let remote = at(sdp);
    StreamParams {
        remote: Some(remote),
        signalling: remote.ip(),
        latching: Latching::Symmetric,
        clock_rate: 8000,
        send: true,
        receive: true,
        rtcp: RtcpPort::Above,
        digits: DigitParams::default(),
    }
}

/// PCMU, PCMA and events pass under their own numbers.
pub(crate) fn plain() -> PayloadMap {
    PayloadMap::new(&[(0, PayloadRule::Pass(0)), (8, PayloadRule::Pass(8)), (101, PayloadRule::Pass(101))])
}

/// The fields of a packet that a relay looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rtp {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

impl Rtp {
    /// The `index`th packet of a PCMU stream of 20 ms packets.
    pub(crate) fn audio(ssrc: u32, index: u16) -> Self {
        let timestamp = 160 * u32::from(index);
        Self { marker: false, payload_type: 0, sequence: index, timestamp, ssrc, payload: vec![0x55; 160] }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, self.payload_type | if self.marker { 0x80 } else { 0 }];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let header = Header::parse(bytes).expect("what is relayed stays RTP");
        Self {
            marker: header.marker(),
            payload_type: header.payload_type(),
            sequence: header.sequence(),
            timestamp: header.timestamp(),
            ssrc: header.ssrc().0,
            payload: bytes[header.payload()].to_vec(),
        }
    }
}

/// A packet that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) from: LegKey,
    pub(crate) to: SocketAddr,
    pub(crate) rtp: Rtp,
}

pub(crate) struct Scene {
    pub(crate) shard: Shard,
    pub(crate) now: Time,
    /// The readers' ends of what is recorded.
    pub(crate) taps: Vec<(RecordingId, TapReader)>,
    /// The sounds that are waited for.
    pub(crate) wanted: Vec<Wanted>,
    next_port: u16,
}

impl Scene {
    /// A shard without legs.
    pub(crate) fn empty() -> Self {
        let config = ShardConfig { silence: Duration::from_secs(30) };
        Self {
            shard: Shard::new(config, [7; 32]),
            now: Time(1_000_000_000),
            taps: Vec::new(),
            wanted: Vec::new(),
            next_port: 40_000,
        }
    }

    /// Legs A and B, configured and relayed with [`plain`] maps.
    pub(crate) fn relayed() -> Self {
        let mut scene = Self::empty();
        for (leg, sdp) in [(A, A_SDP), (B, B_SDP)] {
            scene.open(leg);
            scene.command(Command::Configure { leg, params: params(sdp) });
        }
        scene.relay(A, B, plain(), plain());
        scene
    }

    pub(crate) fn relay(&mut self, a: LegId, b: LegId, forward: PayloadMap, backward: PayloadMap) {
        self.command(Command::Relay { a, b, forward, backward });
    }

    pub(crate) fn open(&mut self, leg: LegId) {
        let local: IpAddr = [192, 0, 2, 1].into();
        let reports = self.command(Command::Open { legs: smallvec![(leg, local)] });
        assert!(matches!(reports.as_slice(), [.., Report::Opened { .. }]), "{reports:?}");
    }

    /// Gives a command, binds what it wants bound, and collects the reports.
    pub(crate) fn command(&mut self, command: Command) -> Vec<Report> {
        self.shard.handle_command(self.now, command);
        self.reports()
    }

    pub(crate) fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Bind { legs } => {
                    let ports = legs.iter().map(|(leg, _)| {
                        self.next_port += 2;
                        (*leg, self.next_port)
                    });
                    let ports = ports.collect();
                    self.shard.handle_bound(self.now, ports);
                }
                Output::Load(wanted) => self.wanted.push(wanted),
                Output::Record(Recorded { recording, channels, .. }) => {
                    let (tap, reader) = tap::ring(channels);
                    self.shard.attach(recording, tap);
                    self.taps.push((recording, reader));
                }
                Output::Release { .. } | Output::Watch { .. } => {}
                Output::Report(report) => reports.push(report),
            }
        }
        reports
    }

    pub(crate) fn key(&self, leg: LegId) -> LegKey {
        self.shard.key(leg).expect("the leg was opened")
    }

    /// A packet arrives on a leg.
    pub(crate) fn arrive(&mut self, leg: LegId, source: &str, rtp: &Rtp) -> Option<Sent> {
        self.arrive_bytes(leg, source, &mut rtp.bytes())
    }

    pub(crate) fn arrive_bytes(&mut self, leg: LegId, source: &str, bytes: &mut [u8]) -> Option<Sent> {
        let forward = self.shard.receive(self.now, self.key(leg), at(source), bytes)?;
        Some(Sent { from: forward.leg, to: forward.destination, rtp: Rtp::read(bytes) })
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }
}
