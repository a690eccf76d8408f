//! The media threads with real sockets, for tests: peers on the loopback interface and a handle that is waited for.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use media::io::{MediaConfig, MediaHandle, start};
use media::rtp::Header;
use media::{
    Command, DigitParams, Latching, LegFigures, LegId, PayloadMap, PayloadRule, Report, RtcpPort,
    StreamParams,
};

pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const A: LegId = LegId(1);
pub(crate) const B: LegId = LegId(2);
/// Far more than anything here takes; a test that meets it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A peer's sockets for RTP and RTCP, which fail rather than wait for ever.
pub(crate) struct Peer {
    rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "the peers of a loopback test are real sockets")]
    pub(crate) fn new(address: &str) -> Self {
        let rtp: UdpSocket = UdpSocket::bind(address).expect("the loopback interface has the address");
        let local = rtp.local_addr().expect("the socket is bound").ip();
        let rtcp = UdpSocket::bind((local, 0)).expect("the loopback interface has a free port");
        for socket in [&rtp, &rtcp] {
            socket.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        }
        Self { rtp, rtcp }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("the socket is bound")
    }

    pub(crate) fn send(&self, port: u16, bytes: &[u8]) {
        self.rtp.send_to(bytes, (self.address().ip(), port)).expect("loopback takes every datagram");
    }

    /// The next datagram and the port it came from.
    pub(crate) fn receive(&self) -> (u16, Vec<u8>) {
        let mut buffer = [0; 1500];
        let (length, source) =
            self.rtp.recv_from(&mut buffer).expect("something arrives before the deadline");
        assert_eq!(source.ip(), self.address().ip());
        (source.port(), buffer[..length].to_vec())
    }
}

impl Peer {
    /// A datagram and the port it came from, if one comes within a moment.
    pub(crate) fn poll(&self) -> Option<(u16, Vec<u8>)> {
        self.rtp.set_read_timeout(Some(Duration::from_millis(10))).expect("the time is not zero");
        let mut buffer = [0; 1500];
        let received = self.rtp.recv_from(&mut buffer).ok();
        self.rtp.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        received.map(|(length, source)| (source.port(), buffer[..length].to_vec()))
    }
}

impl Peer {
    /// A datagram and the port it came from, if one is there.
    pub(crate) fn poll_now(&self) -> Option<(u16, Vec<u8>)> {
        self.rtp.set_nonblocking(true).expect("a socket can be so");
        let mut buffer = [0; 1500];
        let received = self.rtp.recv_from(&mut buffer).ok();
        self.rtp.set_nonblocking(false).expect("a socket can be so");
        received.map(|(length, source)| (source.port(), buffer[..length].to_vec()))
    }
}

/// The media threads and the signal that it has reports.
pub(crate) struct Media {
    pub(crate) handle: MediaHandle,
    signal: Receiver<()>,
    /// Given at once and not read yet.
    pub(crate) answers: VecDeque<Report>,
}

impl Media {
    pub(crate) fn start(config: MediaConfig) -> Self {
        let (sender, signal) = channel();
        let on_report = move |_urgency| {
            // The receiver is gone when the test is over.
            let _ = sender.send(());
        };
        Self {
            handle: start(config, [3; 32], on_report).expect("the system gives a thread and a poll"),
            signal,
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn send(&mut self, command: Command) {
        self.answers.extend(self.handle.send(command).expect("a few commands fit the ring"));
        self.handle.wake();
    }

    pub(crate) fn report(&mut self) -> Report {
        loop {
            if let Some(report) = self.answers.pop_front().or_else(|| self.handle.poll_report()) {
                return report;
            }
            self.signal.recv_timeout(DEADLINE).expect("a report comes before the deadline");
        }
    }

    pub(crate) fn open(&mut self, legs: &[LegId], local: IpAddr) -> Report {
        self.send(Command::Open { legs: legs.iter().map(|leg| (*leg, local)).collect() });
        self.report()
    }

    /// Points a leg at its peer.
    pub(crate) fn configure(&mut self, leg: LegId, peer: &Peer) {
        let (remote, signalling) = (Some(peer.address()), peer.address().ip());
        let latching = Latching::Symmetric;
        let rtcp = RtcpPort::At(peer.rtcp.local_addr().expect("the socket is bound"));
        let params = StreamParams {
            remote,
            signalling,
            latching,
            clock_rate: 8000,
            send: true,
            receive: true,
            rtcp,
            digits: DigitParams::default(),
        };
        self.send(Command::Configure { leg, params });
    }

    /// Opens two legs, points them at their peers and relays them, PCMU to PCMA. The ports of the two.
    pub(crate) fn relay(&mut self, a: &Peer, b: &Peer) -> [u16; 2] {
        let local = a.address().ip();
        let report = self.open(&[A, B], local);
        let Report::Opened { legs } = report else { panic!("{report:?}") };
        for ((leg, _), peer) in legs.iter().zip([a, b]) {
            self.configure(*leg, peer);
        }
        let forward = PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8))]);
        let backward = PayloadMap::new(&[(8, PayloadRule::AlawToUlaw(0))]);
        self.send(Command::Relay { a: A, b: B, forward, backward });
        self.obeyed();
        [legs[0].1, legs[1].1]
    }

    /// Waits until everything said so far is obeyed: commands are obeyed in order, and another leg is opened and closed.
    pub(crate) fn obeyed(&mut self) {
        let other = LegId(1_000);
        let opened = self.open(&[other], LOCAL);
        if !matches!(opened, Report::Opened { .. }) {
            while !matches!(self.report(), Report::Opened { .. }) {}
        }
        self.close(other);
    }

    pub(crate) fn closed(&mut self, leg: LegId) -> Report {
        self.send(Command::Close { leg });
        self.report()
    }

    /// Closes a leg and hands out its figures, whatever was reported before.
    pub(crate) fn close(&mut self, leg: LegId) -> LegFigures {
        self.send(Command::Close { leg });
        loop {
            if let Report::Closed { leg: closed, figures } = self.report() {
                assert_eq!(closed, leg);
                return *figures;
            }
        }
    }
}

pub(crate) fn config(first: u16, last: u16) -> MediaConfig {
    MediaConfig::new(first..=last)
}

pub(crate) fn packet(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend((160 * u32::from(sequence)).to_be_bytes());
    bytes.extend([1, 2, 3, payload_type]);
    bytes.extend(payload);
    bytes
}

pub(crate) fn payload_type(bytes: &[u8]) -> u8 {
    Header::parse(bytes).expect("what is relayed stays RTP").payload_type()
}

pub(crate) fn sequence(bytes: &[u8]) -> u16 {
    Header::parse(bytes).expect("what is relayed stays RTP").sequence()
}
