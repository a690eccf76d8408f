//! The switch and everything around it: the network, the DNS, the media shard, the store, and the time.

use crate::outside::Outside;
use bytes::Bytes;
use core::time::Duration;
use media::mix::MemberId;
use media::tap::{RecordingFault, RecordingFigures, RecordingId};
use media::{Command, LegId, RefusalReason, Report, RoomId};
use sip_stack::Time;
use sip_stack::message::Message;
use sip_stack::random::Random;
use sip_stack::resolve::{Answer, Kind, Name, Naptr, Query, Records, Srv};
use sip_stack::transport::{Flow, Transmit};
use softswitch::config::{self, Config};
use softswitch::core::{Event, Holdings, Input, Interface, Interfaces, Output, Switch, Told};
use softswitch::store::{BindingKey, StoreOp};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Users 1000 to 1003 and 1004 who is gone after a reload, whom others watch; a trunk known by its address, and two peers known by name.
/// A call on hold that nobody refreshes ends after a day.
const BASE: &str = r#"
[[listener]]
address = "192.0.2.1:5060"
[[listener]]
address = "192.0.2.1:5060"
transport = "tcp"
[[listener]]
address = "192.0.2.1:5061"
transport = "tls"
[[listener]]
address = "192.0.2.1:8080"
transport = "ws"
[tls]
certificate = "server.pem"
key = "server.key"
[nat]
keep_alive_s = 60
[features]
longest_call_s = 86400
[limits]
transactions = 60
calls = 5
nonces = 20
subscriptions = 8
subscriptions_per_user = 4
[[domain]]
name = "a.example"
default = true
[domain.registration]
min_expires_s = 10
default_expires_s = 120
max_expires_s = 300
max_contacts = 3
[[users]]
from = 1000
to = 1003
password = "secret"
ring_s = 40
record_on_request = true
[[peer]]
id = "trunk"
address = "198.51.100.9:5060"
overload_control = true
[[route]]
pattern = "9XXX"
peer = "trunk"
record = true
layout = "members"
[[route]]
pattern = "30XX"
service = "conference"
record = true
announce = true
tones = true
[prompts]
unknown_number = true
[recording]
announce = true
"#;
const MORE: &str = r#"
[[user]]
id = "1004"
password = "secret"
[[peer]]
id = "carrier"
address = "carrier.example"
overload_control = true
[[peer]]
id = "other"
address = "other.example:5061"
transport = "tls"
[[route]]
pattern = "8XXX"
peer = "carrier"
[[route]]
pattern = "7XXX"
peer = "other"
"#;

/// 64·T1, after which every transaction that nothing happens to has ended, and the tenth of a second on which it does.
const LONGEST_TIMER: Duration = Duration::from_millis(32_100);
/// More firings than this at one moment are a loop.
const FIRINGS: usize = 10_000;

static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| {
    let text = [format!("{BASE}{MORE}"), BASE.to_owned()];
    text.map(|text| config::parse("rest.toml", &text).expect("the configuration is valid"))
});

/// Octets of the snapshot of a switch that nobody has spoken to.
static NEW: LazyLock<usize> = LazyLock::new(|| Switch::new([0; 32], CONFIGS[0].clone()).snapshot().0.len());
/// Octets that are left in it of what is not held, but bounded: counts of twenty nonces, and what is counted on for ever.
const REMEMBERED: usize = 600;

pub(crate) struct World {
    switch: Switch,
    seed: u64,
    now: Time,
    lots: Random,
    outside: Outside,
    /// Messages on their way to the switch.
    wire: Vec<(Flow, Bytes)>,
    /// Transactions of messages that were sent.
    sent: Vec<u64>,
    questions: Vec<Query>,
    opening: Vec<Vec<LegId>>,
    open: BTreeSet<LegId>,
    closing: Vec<LegId>,
    /// What plays in rooms, recordings that run, and those that have ended without word of it.
    playing: Vec<(RoomId, MemberId)>,
    recording: Vec<(RoomId, RecordingId)>,
    recorded: Vec<RecordingId>,
    stored: BTreeSet<BindingKey>,
    /// Calls that the store has as open.
    kept: BTreeSet<u64>,
    /// Calls that have begun, calls that have ended, and records.
    calls: [usize; 3],
    overloaded: bool,
    /// What has been sent, to tell what is sent again; and when something happened that was not a repetition.
    known: BTreeSet<Bytes>,
    happened: Time,
}

impl World {
    /// Does so many things, stops, and looks what is left.
    pub(crate) fn run(seed: u64, deeds: usize) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut world = World {
            switch: Switch::new(bytes, CONFIGS[0].clone()),
            seed,
            now: Time::from_millis(1_000),
            lots: Random::new(bytes),
            outside: Outside::default(),
            wire: Vec::new(),
            sent: Vec::new(),
            questions: Vec::new(),
            opening: Vec::new(),
            open: BTreeSet::new(),
            closing: Vec::new(),
            playing: Vec::new(),
            recording: Vec::new(),
            recorded: Vec::new(),
            stored: BTreeSet::new(),
            kept: BTreeSet::new(),
            calls: [0; 3],
            overloaded: false,
            known: BTreeSet::new(),
            happened: Time::default(),
        };
        world.input(Input::WallClock { unix_ms: 1_800_000_000_000 });
        let haste = [0, 3, 6, 12][world.below(4)];
        for _ in 0..deeds {
            world.do_something();
            let more = world.below(haste + 1);
            (0..more).for_each(|_| world.go_on());
        }
        world.settle();
    }

    fn below(&mut self, end: usize) -> usize {
        below(&mut self.lots, end)
    }

    /// One of a list, taken out or not.
    fn any<T: Clone>(lots: &mut Random, list: &mut Vec<T>) -> Option<T> {
        let index = below(lots, list.len());
        match below(lots, 4) {
            0 => list.get(index).cloned(),
            _ => (index < list.len()).then(|| list.remove(index)),
        }
    }

    fn do_something(&mut self) {
        let Self { outside, lots, wire, .. } = self;
        match below(lots, 40) {
            0..3 => outside.register(lots, wire),
            3..8 => outside.call(lots, wire),
            8..12 => outside.go_on(lots, wire),
            12..16 => outside.answer(lots, wire),
            16..18 => outside.ask(lots, wire),
            18 => outside.babble(lots, wire),
            19..27 => self.deliver(),
            27 => drop(Self::any(lots, wire)),
            28..30 => self.answer_question(),
            30..33 => self.report(),
            33 => self.input_some_backlog(),
            34 => {
                if let Some(flow) = outside.hang_up_a_connection(lots) {
                    self.input(Input::Disconnected { flow });
                }
            }
            35 => {
                if let Some(transaction) = Self::any(lots, &mut self.sent) {
                    self.input(Input::Unsent { transaction });
                }
            }
            36 => self.change_something(),
            _ => self.let_time_pass(),
        }
    }

    /// What is under way comes about.
    fn go_on(&mut self) {
        match self.below(8) {
            0 => self.answer_question(),
            1 => drop(self.open_next() || self.close_next()),
            2 => self.outside.answer(&mut self.lots, &mut self.wire),
            _ => self.deliver(),
        }
    }

    /// A message arrives, in whatever order; a copy of it may follow.
    fn deliver(&mut self) {
        let in_order = self.below(4) > 0 && !self.wire.is_empty();
        let first = in_order.then(|| self.wire.remove(0));
        if let Some((flow, bytes)) = first.or_else(|| Self::any(&mut self.lots, &mut self.wire)) {
            self.input(Input::Received { flow, bytes });
        }
    }

    fn input_some_backlog(&mut self) {
        let delay_us = [0, 60_000, 250_000, 600_000][self.below(4)];
        self.input(Input::Backlog { delay_us });
    }

    /// The operator reloads, an address changes, or another switch goes on from a snapshot.
    fn change_something(&mut self) {
        match self.below(4) {
            0 => self.input(Input::Configure(Box::new(CONFIGS[0].clone()))),
            1 => self.input(Input::Configure(Box::new(CONFIGS[1].clone()))),
            2 => {
                let address = [192, 0, 2, 1].into();
                let interfaces = vec![Interface { address, prefix: 24 }];
                self.input(Input::Interfaces(Interfaces { interfaces, default: vec![address] }));
            }
            _ => {
                let head = self.switch.snapshot();
                let parts: Vec<_> = core::iter::from_fn(|| self.switch.slice(16)).collect();
                self.switch = Switch::restore(&head.0, parts).expect("a snapshot of ours");
            }
        }
    }

    fn answer_question(&mut self) {
        let Some(query) = Self::any(&mut self.lots, &mut self.questions) else { return };
        let name = |text: &str| Name::new(text.as_bytes());
        let (priority, host) = (self.below(2), ["a.carrier.example", "b.carrier.example"][self.below(2)]);
        let address = [203, 0, 113, 1 + u8::try_from(self.below(3)).expect("it is below 3")];
        let naptr = |services: &str, replacement| Naptr {
            order: 1,
            preference: 1,
            flags: "s".into(),
            services: services.into(),
            has_regexp: false,
            replacement: name(replacement),
        };
        let srv = |priority, host| Srv { priority, weight: 1, port: 5070, target: name(host) };
        let records = match query.kind {
            Kind::Naptr => Records::Naptr(vec![
                naptr("SIP+D2U", "_sip._udp.carrier.example"),
                naptr("SIPS+D2T", "_sips._tcp.carrier.example"),
            ]),
            Kind::Srv => {
                let priority = u16::try_from(priority).expect("it is below 2");
                Records::Srv(vec![srv(priority, host), srv(1, "c.carrier.example")])
            }
            Kind::A => Records::A(vec![address.into()]),
            Kind::Aaaa => Records::Aaaa(vec![]),
        };
        let ttl = Duration::from_secs([0, 20, 300][self.below(3)]);
        let answer = match self.below(6) {
            0 => Answer::NoSuchName,
            1 => Answer::Failed,
            _ => Answer::Records { records, ttl },
        };
        self.input(Input::Resolved { query, answer });
    }

    /// News of the media shard.
    fn report(&mut self) {
        match self.below(11) {
            8 => {
                self.play_to_the_end();
            }
            9 => {
                self.end_recording();
            }
            10 => {
                if let Some((_, recording)) = self.recording.pop() {
                    let figures =
                        RecordingFigures { files: self.below(2) as u32, ..RecordingFigures::default() };
                    let fault = RecordingFault::DiskFull;
                    self.input(Input::Media(Report::RecordingFailed { recording, fault, figures }));
                }
            }
            0 => {
                let index = self.below(8);
                if let Some(leg) = self.open.iter().nth(index).copied() {
                    let silent = self.below(2) == 0;
                    self.input(Input::Media(if silent {
                        Report::Silent { leg }
                    } else {
                        Report::Heard { leg }
                    }));
                }
            }
            1 => {
                if !self.opening.is_empty() {
                    let legs = self.opening.remove(0).into();
                    self.input(Input::Media(Report::Refused { legs, reason: RefusalReason::NoFreePort }));
                }
            }
            2 => {
                self.close_next();
            }
            _ => {
                self.open_next();
            }
        }
    }

    fn open_next(&mut self) -> bool {
        if self.opening.is_empty() {
            return false;
        }
        let legs = self.opening.remove(0);
        self.open.extend(legs.iter().copied());
        let legs = legs.into_iter().zip((40_000..).step_by(2)).collect();
        self.input(Input::Media(Report::Opened { legs }));
        true
    }

    fn close_next(&mut self) -> bool {
        let Some(leg) = self.closing.pop() else { return false };
        assert!(self.open.remove(&leg), "seed {}: a leg is closed that is open", self.seed);
        self.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
        true
    }

    fn play_to_the_end(&mut self) -> bool {
        let Some((room, member)) = self.playing.pop() else { return false };
        self.input(Input::Media(Report::Played { room, member }));
        true
    }

    fn end_recording(&mut self) -> bool {
        let Some(recording) = self.recorded.pop() else { return false };
        let figures = RecordingFigures::default();
        self.input(Input::Media(Report::RecordingEnded { recording, figures }));
        true
    }

    /// What rooms, players and recordings are told.
    fn mix(&mut self, command: Command) {
        match command {
            Command::Play { room, member, .. } => self.playing.push((room, member)),
            Command::Leave { room, member } => self.playing.retain(|playing| *playing != (room, member)),
            Command::Record { recording, room, .. } => self.recording.push((room, recording)),
            Command::StopRecording { recording, .. } => {
                self.recorded.extend(
                    self.recording.extract_if(.., |(_, running)| *running == recording).map(|(_, id)| id),
                );
            }
            Command::CloseRoom { room } => {
                self.playing.retain(|(playing, _)| *playing != room);
                self.recorded.extend(self.recording.extract_if(.., |(at, _)| *at == room).map(|(_, id)| id));
            }
            _ => {}
        }
    }

    fn let_time_pass(&mut self) {
        let ms = [1, 1, 1, 20, 20, 20, 500, 500, 4_000, 4_000, 33_000, 130_000][self.below(12)];
        let until = self.now + Duration::from_millis(ms);
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= until) {
            self.fire(due);
        }
        self.now = until;
    }

    /// Everything that is due; virtual time has come so far.
    fn fire(&mut self, due: Time) {
        self.now = self.now.max(due);
        for _ in 0..FIRINGS {
            self.switch.handle_timeout(self.now);
            self.obey();
            if self.switch.poll_timeout().is_none_or(|due| due > self.now) {
                return;
            }
        }
        panic!("seed {}: a timer keeps firing at {:?}", self.seed, self.now);
    }

    fn input(&mut self, input: Input) {
        self.now.0 += 1_000_000;
        self.happened = self.now;
        self.switch.handle_input(self.now, input);
        self.obey();
    }

    /// Does what the switch wants done.
    fn obey(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmit(transmit),
                Output::Identify { .. } => {}
                Output::Resolve(query) => self.questions.push(query),
                Output::Media(Command::Open { legs }) => {
                    self.opening.push(legs.iter().map(|(leg, _)| *leg).collect());
                }
                Output::Media(Command::Close { leg }) => self.closing.push(leg),
                Output::Media(command) => self.mix(command),
                Output::Store(StoreOp::PutBinding(binding)) => drop(self.stored.insert(binding.key)),
                Output::Store(StoreOp::RemoveBinding(key)) => drop(self.stored.remove(&key)),
                // One that was refused at once has never begun.
                Output::Store(StoreOp::PutCallRecord(record)) if record.number == 0 => {}
                Output::Store(StoreOp::PutCallRecord(record)) => {
                    self.calls[2] += 1;
                    self.kept.remove(&record.number);
                }
                Output::Store(StoreOp::PutOpenCall(call)) => drop(self.kept.insert(call.record.number)),
                Output::Store(StoreOp::ForgetInterrupted { .. }) => {}
                Output::Store(StoreOp::PutUser(_) | StoreOp::PutProfile(_) | StoreOp::RemoveUser { .. }) => {
                    panic!("seed {}: nobody makes users here", self.seed)
                }
                Output::Event(Told { event: Event::CallStarted { .. }, .. }) => self.calls[0] += 1,
                Output::Event(Told { event: Event::CallEnded { .. }, .. }) => self.calls[1] += 1,
                Output::Event(Told { event: Event::Overloaded { .. }, .. }) => self.overloaded = true,
                Output::Event(Told { event: Event::OverloadEnded { .. }, .. }) => self.overloaded = false,
                Output::Event(_) => {}
                Output::Answer(_) | Output::Errand(_) => panic!("seed {}: nobody commands here", self.seed),
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Transmit { flow, bytes, transaction } = transmit;
        if self.known.insert(bytes.clone()) {
            self.happened = self.now;
        }
        let message = Message::parse(bytes).expect("the switch writes SIP");
        // an answer repeats what is wrong in its request
        let valid = !message.is_request() || message.validate().is_ok();
        assert!(valid, "seed {}: {}", self.seed, message.bytes().escape_ascii());
        self.sent.extend(transaction);
        self.outside.take(&mut self.lots, flow, message, &mut self.wire);
    }

    /// Nobody says anything any more but the media shard, which obeys and hears nobody; then every timer has its time.
    fn settle(&mut self) {
        if self.below(4) == 0 {
            self.input(Input::Shutdown);
        }
        loop {
            let reported =
                self.open_next() || self.close_next() || self.play_to_the_end() || self.end_recording();
            if reported {
                continue;
            }
            let Some(due) = self.switch.poll_timeout() else { break };
            self.fire(due);
            let held = self.switch.holdings();
            let quiet = self.now.since(self.happened) > LONGEST_TIMER;
            assert!(!quiet || held.calls > 0 || held.transactions == 0, "seed {}: {held:?}", self.seed);
        }
        for leg in core::mem::take(&mut self.open) {
            self.open.insert(leg);
            self.input(Input::Media(Report::Silent { leg }));
        }
        if self.switch.poll_timeout().is_some() || !self.closing.is_empty() {
            return self.settle();
        }
        let held = self.switch.holdings();
        assert_eq!(held, Holdings::default(), "seed {}", self.seed);
        assert!(self.kept.is_empty(), "seed {}: {:?}", self.seed, self.kept);
        assert!(self.switch.is_idle() && self.stored.is_empty(), "seed {}: {:?}", self.seed, self.stored);
        let [started, ended, records] = self.calls;
        assert_eq!((started, records), (ended, ended), "seed {}: every call ends, with a record", self.seed);
        assert!(self.recording.is_empty() && self.playing.is_empty(), "seed {}", self.seed);
        assert!(self.open.is_empty() && !self.overloaded, "seed {}: {:?}", self.seed, self.open);
        // Neighbours that were found by name stay until a reload.
        self.input(Input::Configure(Box::new(CONFIGS[0].clone())));
        let octets = self.switch.snapshot().0.len();
        assert!(octets < *NEW + REMEMBERED, "seed {}: {octets} octets of {}", self.seed, *NEW);
    }
}

pub(crate) fn below(lots: &mut Random, end: usize) -> usize {
    (lots.next_u32() as usize).checked_rem(end).unwrap_or_default()
}
