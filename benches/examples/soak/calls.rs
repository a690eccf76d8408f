//! Rooms and relayed calls on the media thread, added until it is as busy as is wished.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use media::codec::Codec;
use media::io::{MediaConfig, MediaHandle, ThreadLoad, start};
use media::mix::Role;
use media::{
    AudioFormat, Command, DigitParams, Latching, LegFigures, LegId, PayloadMap, PayloadRule, RefusalReason,
    Report, RoomId, RtcpPort, StreamParams,
};

use super::phones::{Phone, address};

/// Legs of a room and of a relayed call together.
const GROUP: u32 = 6;
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const PATIENCE: Duration = Duration::from_secs(10);

/// The media thread and what is on it.
pub(super) struct Calls {
    handle: MediaHandle,
    signal: Receiver<()>,
    begin: Sender<Phone>,
    phones: Vec<std::net::SocketAddr>,
    pub(super) groups: u32,
}

impl Calls {
    pub(super) fn start(sockets: &[UdpSocket], begin: Sender<Phone>) -> Calls {
        let (sender, signal) = channel();
        let on_report = move |_| {
            let _over = sender.send(());
        };
        let handle = start(MediaConfig::new(20_000..=59_999), [1; 32], on_report).expect("a media thread");
        let phones = (0..sockets.len() as u32).map(|number| address(sockets, number)).collect();
        Calls { handle, signal, begin, phones, groups: 0 }
    }

    /// How the thread does. To be asked about once a second.
    pub(super) fn load(&mut self) -> ThreadLoad {
        self.handle.balance();
        while self.handle.poll_report().is_some() {}
        // They would heap up, and pass for memory that the media thread takes.
        while self.signal.try_recv().is_ok() {}
        self.handle.loads().next().unwrap_or_default()
    }

    fn send(&mut self, command: Command) -> Option<Report> {
        self.handle.send(command).expect("a few commands fit the ring")
    }

    fn wait(&mut self, answer: impl Fn(&Report) -> bool) -> Report {
        self.handle.wake();
        loop {
            while let Some(report) = self.handle.poll_report() {
                if answer(&report) {
                    return report;
                }
            }
            self.signal.recv_timeout(PATIENCE).expect("the media thread answers");
        }
    }

    /// One room of four and one relayed call more; whether the thread takes them.
    pub(super) fn add(&mut self) -> bool {
        let first = self.groups * GROUP;
        let legs: Vec<LegId> = (first..first + GROUP).map(|number| LegId(number.into())).collect();
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let open = Command::Open { legs: legs.iter().map(|leg| (*leg, local)).collect() };
        let is_answer = |report: &Report| matches!(report, Report::Opened { .. } | Report::Refused { .. });
        let report = match self.send(open) {
            Some(report) => report,
            None => self.wait(is_answer),
        };
        let opened = match report {
            Report::Opened { legs } => legs,
            Report::Refused { reason: RefusalReason::Overloaded, .. } => return false,
            report => panic!("the thread refuses: {report:?}"),
        };
        for (leg, _) in &opened {
            let remote = self.phones[leg.0 as usize % self.phones.len()];
            let params = StreamParams {
                remote: Some(remote),
                signalling: local,
                latching: Latching::Symmetric,
                clock_rate: 8_000,
                send: true,
                receive: true,
                rtcp: RtcpPort::Muxed,
                digits: DigitParams::default(),
            };
            self.send(Command::Configure { leg: *leg, params });
        }
        let room = RoomId(self.groups.into());
        self.send(Command::OpenRoom { room });
        for leg in &legs[..4] {
            self.send(Command::Join { room, leg: *leg, format: PCMU, role: Role::Participant });
        }
        let pass = || PayloadMap::new(&[(0, PayloadRule::Pass(0))]);
        self.send(Command::Relay { a: legs[4], b: legs[5], forward: pass(), backward: pass() });
        self.handle.wake();
        for (leg, port) in opened {
            let number = leg.0 as u32;
            let talks = number - first > 0;
            self.begin.send(Phone { number, port, talks }).expect("the phones listen");
        }
        self.groups += 1;
        true
    }

    /// Ends all calls; what their legs have counted.
    pub(super) fn close(&mut self) -> Vec<LegFigures> {
        let mut figures = Vec::new();
        for number in 0..self.groups * GROUP {
            let leg = LegId(number.into());
            self.send(Command::Close { leg });
            let report =
                self.wait(|report| matches!(report, Report::Closed { leg: closed, .. } if *closed == leg));
            if let Report::Closed { figures: counted, .. } = report {
                figures.push(*counted);
            }
        }
        figures
    }
}
