//! The world itself: who there is, and how time passes.

use super::database::Database;
use super::handset::{Ear, Handset, PhoneId};
use super::log::{self, Pages};
use super::media_plane::MediaPlane;
use super::network::{Datagram, Faults, Network};
use super::shadow::{Deed, Shadow};
use super::trace::Trace;
use crate::model::Model;
use crate::model::sabotage::Saboteur;
use crate::model::tape::Moment;
use crate::office::ledger::Ledger;
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use softphone::phone::{
    Account, CallId, Command, CommandError, Input as PhoneInput, MediaCommand, MediaReport,
    Output as PhoneOutput, Password, Phone, Settings,
};
use softswitch::config::{Config, Mailbox};
use softswitch::core::command::Answer;
use softswitch::core::{Event, Input, Interface, Interfaces, Output, Switch, Told};
use softswitch::log::{Bounds, Recorder, Sealer};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where the switch listens.
pub const SWITCH: SocketAddr = SocketAddr::new(SWITCH_IP, 5060);
const SWITCH_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// The wall clock when the world begins.
pub const EPOCH_UNIX_MS: u64 = 1_800_000_000_000;
/// The key of routes outlives a restart of the switch.
const ROUTE_KEY: [u8; 16] = [9; 16];
const MINUTE: Duration = Duration::from_secs(60);
/// Milliseconds of speech in a packet.
const PACKET: Duration = Duration::from_millis(20);

/// What time passes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something happened.
    Done,
    /// Nothing will happen before the given time.
    Idle,
}

/// Phones, a network and a switch.
#[derive(Debug)]
pub struct World {
    /// Virtual time.
    pub now: Time,
    /// The switch under test.
    pub switch: Switch,
    /// The phones.
    pub phones: Vec<Handset>,
    /// What lies between them.
    pub network: Network,
    /// What outlives a restart of the switch.
    pub database: Database,
    /// What the switch told.
    pub events: Vec<Event>,
    /// What commands were answered with.
    pub answers: Vec<Answer>,
    /// What happened.
    pub trace: Trace,
    /// The scenario log of the switch, when it is wanted.
    pub log: Option<Recorder<Pages>>,
    /// A second switch that follows the first.
    pub shadow: Option<Shadow>,
    /// Datagrams for addresses that nobody in the world has, where somebody beside it takes them.
    pub visitors: Option<Vec<Datagram>>,
    /// What leaves and arrives, when it is to be kept.
    pub tape: Option<Vec<Moment>>,
    /// The reference model, when it is to look on.
    pub model: Option<Model>,
    /// A fault, if one is planted.
    pub saboteur: Option<Saboteur>,
    /// Who keeps the books of what the switch puts out, when somebody is to.
    pub ledger: Option<Ledger>,
    /// SIP datagrams that have arrived.
    pub arrived: usize,
    media: MediaPlane,
    random: Random,
    config: Config,
    speech: BTreeMap<(Time, u64), (PhoneId, CallId)>,
    spoken: u64,
    wall_clock_at: Time,
}

impl World {
    /// A world whose switch has `config`, in TOML. One seed decides everything.
    ///
    /// # Panics
    /// When the configuration is wrong.
    pub fn new(seed: u64, config: &str, faults: Faults) -> World {
        let mut random = Random::new(seed_of(seed));
        let mut next_seed = || seed_of(random.next_u64());
        let config = parse(config);
        let network = Network::new(next_seed(), faults);
        let media = MediaPlane::new(next_seed(), SWITCH_IP);
        let mut switch = Switch::new(next_seed(), config.clone());
        switch.keep_routes(ROUTE_KEY);
        let mut world = World {
            now: Time::from_millis(1_000),
            switch,
            phones: Vec::new(),
            network,
            database: Database::default(),
            events: Vec::new(),
            answers: Vec::new(),
            trace: Trace::default(),
            log: None,
            shadow: None,
            visitors: None,
            tape: None,
            model: None,
            saboteur: None,
            ledger: None,
            arrived: 0,
            media,
            random,
            config,
            speech: BTreeMap::new(),
            spoken: 0,
            wall_clock_at: Time::default(),
        };
        world.tell_surroundings();
        world
    }

    /// Adds a phone of `user@domain`; it does nothing yet.
    ///
    /// # Panics
    /// When user or domain cannot be written.
    pub fn add_phone(&mut self, user: &str, domain: &str, password: &str, settings: Settings) -> PhoneId {
        let id = PhoneId(self.phones.len());
        let handset = self.handset(id, user, domain, (password, settings));
        self.phones.push(handset);
        id
    }

    /// A phone loses its power and comes back: it knows of nothing, and nobody was told.
    ///
    /// # Panics
    /// As [`World::add_phone`], and when there is none of that number.
    pub fn restart_phone(&mut self, id: PhoneId, user: &str, domain: &str, password: &str) {
        let line = format!("phone {} is restarted", id.0);
        self.trace.note(self.now, line, &[]);
        let settings = self.phones[id.0].phone.settings().clone();
        self.phones[id.0] = self.handset(id, user, domain, (password, settings));
        if let Some(model) = &mut self.model {
            model.forget();
        }
    }

    fn handset(
        &mut self,
        id: PhoneId,
        user: &str,
        domain: &str,
        (password, settings): (&str, Settings),
    ) -> Handset {
        let address = SocketAddr::from(([10, 0, 1, 1 + u8::try_from(id.0).expect("few phones")], 5060));
        let account = Account {
            user: user.into(),
            domain: domain.into(),
            display_name: None,
            password: Password(password.into()),
            server: Flow { listener: ListenerId(0), transport: Transport::Udp, local: address, peer: SWITCH },
            expires_s: 600,
        };
        let phone = Phone::new(seed_of(self.random.next_u64()), account, settings).expect("a good account");
        Handset { phone, address, events: Vec::new(), ears: BTreeMap::new(), due: None }
    }

    /// A phone of the world.
    ///
    /// # Panics
    /// When there is none of that number.
    pub fn phone(&self, id: PhoneId) -> &Handset {
        &self.phones[id.0]
    }

    /// The user of a phone wants something.
    ///
    /// # Errors
    /// As the phone says.
    pub fn command(&mut self, id: PhoneId, command: Command) -> Result<(), CommandError> {
        let line = format!("user of phone {}: {command:?}", id.0);
        self.trace.note(self.now, line, &[]);
        self.phones[id.0].phone.handle_input(self.now, PhoneInput::Command(command))?;
        self.drain_phone(id);
        Ok(())
    }

    /// A phone says so many packets of 20 ms in a call, from now on.
    pub fn speak(&mut self, id: PhoneId, call: CallId, packets: u32) {
        for packet in 0..packets {
            self.spoken += 1;
            self.speech.insert((self.now + PACKET * packet, self.spoken), (id, call));
        }
    }

    /// Gives the switch an input.
    pub fn feed(&mut self, input: Input) {
        self.perform(Some(input));
    }

    /// Media legs that are open on the switch.
    pub fn media_legs(&self) -> usize {
        self.media.legs()
    }

    /// Another configuration for the switch, in TOML, as a reload brings it.
    ///
    /// # Panics
    /// When the configuration is wrong.
    pub fn reload(&mut self, config: &str) {
        let mut config = parse(config);
        config.keep_ids_of(&self.config);
        self.config = config.clone();
        self.feed(Input::Configure(Box::new(config)));
    }

    /// The operator keeps so many new messages for a user, which the switch is told by a reload.
    pub fn keep_messages(&mut self, user: &str, new: u32) {
        for domain in self.config.domains.values_mut() {
            domain.mailboxes.insert(user.into(), Mailbox { new, ..Mailbox::default() });
        }
        self.feed(Input::Configure(Box::new(self.config.clone())));
    }

    /// The switch is killed and started again with what its database has: calls are gone, nobody is told.
    pub fn restart_switch(&mut self) {
        self.trace.note(self.now, "the switch is restarted".to_owned(), &[]);
        self.switch = Switch::new(seed_of(self.random.next_u64()), self.config.clone());
        self.switch.keep_routes(ROUTE_KEY);
        self.media = MediaPlane::new(seed_of(self.random.next_u64()), SWITCH_IP);
        self.shadow = None;
        if let Some(model) = &mut self.model {
            model.forget();
        }
        self.tell_surroundings();
        let profiles = self.database.profiles.values().cloned().collect();
        self.feed(Input::Profiles(profiles));
        let bindings = self.database.bindings.values().cloned().collect();
        self.feed(Input::Restored(bindings));
        let interrupted = self.database.restart();
        self.feed(Input::Interrupted(interrupted));
    }

    /// Begins the scenario log of the switch, as `softswitch run` keeps it.
    pub fn keep_log(&mut self, bounds: Bounds) {
        let mut log = Recorder::new(Pages::default(), Sealer::new(&log::KEY, [0; 8]), bounds);
        log.maintain(self.now, &mut self.switch);
        self.log = Some(log);
    }

    /// Ends the log; its segments.
    pub fn finish_log(&mut self) -> Vec<Vec<u8>> {
        let log = self.log.take();
        log.map_or_else(Vec::new, |log| log.finish(self.now, &mut self.switch).segments)
    }

    /// Begins a snapshot of the switch; once it is complete, a second switch follows the first.
    pub fn cast_shadow(&mut self, slots: usize) {
        self.shadow = Some(Shadow::begin(&mut self.switch, slots));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) == Step::Done {}
    }

    /// Lets time pass until `done`, for so long at most; whether it came to that.
    pub fn run_until(&mut self, at_most: Duration, done: impl Fn(&World) -> bool) -> bool {
        let until = self.now + at_most;
        while !done(self) {
            if self.step(until) == Step::Idle {
                return done(self);
            }
        }
        true
    }

    /// Lets time pass until nothing is left to do but to keep registrations, for so long at most; whether it came to
    /// that.
    pub fn run_to_rest(&mut self, at_most: Duration) -> bool {
        self.run_until(at_most, World::is_at_rest)
    }

    /// Whether nothing is left to do but to keep registrations.
    pub fn is_at_rest(&self) -> bool {
        let held = self.switch.holdings();
        self.network.is_empty()
            && self.speech.is_empty()
            && self.media.reports.is_empty()
            && self.switch.is_idle()
            && self.switch.calls() == 0
            && (held.transactions, held.dialogs, held.locations) == (0, 0, 0)
            && self.phones.iter().all(|handset| handset.phone.is_idle())
    }

    /// Does what comes next, if it comes before `until`; else it is that time.
    pub fn step(&mut self, until: Time) -> Step {
        let phones = self.phones.iter().filter_map(|handset| handset.due).min();
        let next = [
            self.network.poll_timeout(),
            self.switch.poll_timeout(),
            self.media.poll_timeout(),
            self.speech.keys().next().map(|(at, _)| *at),
            phones,
            Some(self.wall_clock_at),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(until);
        if next > until {
            self.now = until;
            return Step::Idle;
        }
        self.now = self.now.max(next);
        if self.wall_clock_at <= self.now {
            self.tell_time();
        }
        while let Some(datagram) = self.network.poll_delivery(self.now) {
            self.deliver(datagram);
        }
        self.fire_timers();
        self.say_what_is_due();
        Step::Done
    }

    fn fire_timers(&mut self) {
        let now = self.now;
        let due = |time: Option<Time>| time.is_some_and(|time| time <= now);
        if due(self.switch.poll_timeout()) {
            self.perform(None);
        }
        if due(self.media.poll_timeout()) {
            for (from, to, bytes) in self.media.handle_timeout(now) {
                self.send(&Datagram { from, to, bytes });
            }
            self.pass_reports();
        }
        for index in 0..self.phones.len() {
            if due(self.phones[index].due) {
                self.phones[index].phone.handle_timeout(now);
                self.drain_phone(PhoneId(index));
            }
        }
    }

    fn say_what_is_due(&mut self) {
        while let Some(entry) = self.speech.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (id, call) = entry.remove();
            let Some(ear) = self.phones[id.0].ears.get_mut(&call) else { continue };
            if let Some((to, bytes)) = ear.speak(id) {
                let datagram = Datagram { from: ear.address, to, bytes };
                self.send(&datagram);
            }
        }
    }

    /// A datagram leaves.
    pub fn send(&mut self, datagram: &Datagram) {
        let really = match &mut self.saboteur {
            Some(saboteur) => saboteur.send(datagram),
            None => vec![datagram.clone()],
        };
        really.iter().for_each(|datagram| self.leave(datagram));
    }

    fn leave(&mut self, datagram: &Datagram) {
        if let Some(tape) = &mut self.tape {
            tape.push(Moment { at: self.now, arrives: false, datagram: datagram.clone() });
        }
        if let Some(model) = &mut self.model {
            model.sent(self.now, datagram);
        }
        self.network.send(self.now, datagram);
    }

    /// A datagram has arrived: whether its receiver hears it.
    fn arrive(&mut self, datagram: &Datagram) -> bool {
        self.arrived += usize::from(datagram.bytes.first().is_some_and(u8::is_ascii_uppercase));
        if let Some(tape) = &mut self.tape {
            tape.push(Moment { at: self.now, arrives: true, datagram: datagram.clone() });
        }
        if let Some(model) = &mut self.model {
            model.delivered(self.now, datagram);
        }
        let (heard, besides) = match &mut self.saboteur {
            Some(saboteur) => saboteur.hear(datagram),
            None => (true, Vec::new()),
        };
        besides.iter().for_each(|datagram| self.leave(datagram));
        heard
    }

    fn deliver(&mut self, datagram: Datagram) {
        if !self.arrive(&datagram) {
            return;
        }
        let Datagram { from, to, bytes } = datagram;
        if to == SWITCH {
            let line = format!("{from} -> switch: {}", first_line(&bytes));
            self.trace.note(self.now, line, &bytes);
            let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, local: to, peer: from };
            self.feed(Input::Received { flow, bytes });
        } else if to.ip() == SWITCH_IP {
            self.trace.note(self.now, format!("{from} -> {to}: RTP"), &bytes);
            let forward = self.media.receive(self.now, from, to, &bytes);
            self.pass_reports();
            if let Some((from, to, bytes)) = forward {
                self.send(&Datagram { from, to, bytes });
            }
        } else if let Some(index) = self.phones.iter().position(|handset| handset.address == to) {
            let line = format!("{from} -> phone {index}: {}", first_line(&bytes));
            self.trace.note(self.now, line, &bytes);
            let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, local: to, peer: from };
            let received = PhoneInput::Received { flow, bytes };
            self.phones[index].phone.handle_input(self.now, received).expect("only commands are refused");
            self.drain_phone(PhoneId(index));
        } else {
            self.hear(from, to, &bytes);
        }
    }

    fn hear(&mut self, from: SocketAddr, to: SocketAddr, bytes: &bytes::Bytes) {
        let mut ears = self.phones.iter_mut().flat_map(|handset| handset.ears.values_mut());
        if let Some(ear) = ears.find(|ear| ear.address == to && !ear.closed) {
            ear.hear(from, bytes);
        } else if let Some(visitors) = &mut self.visitors {
            visitors.push(Datagram { from, to, bytes: bytes.clone() });
        }
        self.trace.note(self.now, format!("{from} -> {to}: RTP"), bytes);
    }

    fn drain_phone(&mut self, id: PhoneId) {
        let now = self.now;
        while let Some(output) = self.phones[id.0].phone.poll_output() {
            let handset = &mut self.phones[id.0];
            match output {
                PhoneOutput::Transmit(Transmit { flow, bytes, .. }) => {
                    let from = handset.address;
                    self.send(&Datagram { from, to: flow.peer, bytes });
                }
                PhoneOutput::Event(event) => {
                    let line = format!("phone {}: {event:?}", id.0);
                    self.trace.note(now, line, &[]);
                    handset.events.push((now, event));
                }
                PhoneOutput::Media(MediaCommand::Open { call }) => {
                    let port = 20_000 + 2 * u16::try_from(call.0 % 10_000).expect("below ten thousand");
                    let address = SocketAddr::new(handset.address.ip(), port);
                    handset.ears.insert(call, Ear::new(address));
                    let opened = PhoneInput::Media(MediaReport::Opened { call, address });
                    handset.phone.handle_input(now, opened).expect("only commands are refused");
                }
                PhoneOutput::Media(MediaCommand::Start { call, stream }) => {
                    handset.ears.entry(call).and_modify(|ear| ear.stream = Some(stream));
                }
                // Ears say and hear whole packets: keys and muting are of no consequence here.
                PhoneOutput::Media(MediaCommand::Mute { .. } | MediaCommand::Dial { .. }) => {}
                PhoneOutput::Media(MediaCommand::Close { call }) => {
                    handset.ears.entry(call).and_modify(|ear| ear.closed = true);
                }
                // Its account was made with its flow.
                PhoneOutput::Locate { .. } => {}
            }
        }
        self.phones[id.0].due = self.phones[id.0].phone.poll_timeout();
    }

    fn perform(&mut self, input: Option<Input>) {
        match (&mut self.log, &input) {
            (Some(log), Some(input)) => log.input(self.now, input),
            (Some(log), None) => log.timeout(self.now),
            (None, _) => {}
        }
        let (deed, outputs) = Deed::perform(&mut self.switch, self.now, input);
        if let Some(shadow) = &mut self.shadow {
            shadow.follow(&mut self.switch, &deed);
        }
        if let Some(log) = &mut self.log {
            outputs.iter().for_each(|output| log.output(self.now, output));
            let abandoned = log.maintain(self.now, &mut self.switch);
            assert!(abandoned.is_none(), "memory is never behind: {abandoned:?}");
        }
        let outputs = match &mut self.ledger {
            Some(ledger) => ledger.pass(self.now, outputs),
            None => outputs,
        };
        for output in outputs {
            match output {
                Output::Transmit(Transmit { flow, bytes, .. }) => {
                    self.send(&Datagram { from: flow.local, to: flow.peer, bytes });
                }
                Output::Identify { .. } => {}
                Output::Resolve(query) => panic!("nobody in this world has a name: {query:?}"),
                Output::Media(command) => {
                    for (from, to, bytes) in self.media.obey(self.now, command) {
                        self.send(&Datagram { from, to, bytes });
                    }
                }
                Output::Store(op) => self.database.apply(op),
                Output::Answer(answer) => self.answers.push(*answer),
                Output::Errand(errand) => panic!("nobody can run errands in this world: {errand:?}"),
                Output::Event(Told { event, .. }) => {
                    self.trace.note(self.now, format!("switch: {event:?}"), &[]);
                    self.events.push(event);
                }
            }
        }
        self.pass_reports();
    }

    fn pass_reports(&mut self) {
        while let Some(report) = self.media.reports.pop_front() {
            self.perform(Some(Input::Media(report)));
        }
    }

    fn tell_surroundings(&mut self) {
        self.tell_time();
        self.feed(Input::Interfaces(Interfaces {
            interfaces: vec![Interface { address: SWITCH_IP, prefix: 16 }],
            default: vec![SWITCH_IP],
        }));
    }

    fn tell_time(&mut self) {
        self.wall_clock_at = self.now + MINUTE;
        self.feed(Input::WallClock { unix_ms: EPOCH_UNIX_MS + self.now.0 / 1_000_000 });
    }
}

fn parse(config: &str) -> Config {
    match softswitch::config::parse("simulated.toml", config) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

/// 32 bytes that a number stands for.
pub(super) fn seed_of(number: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let cseq = bytes.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"CSeq:")).unwrap_or_default();
    format!("{} [{}]", line.escape_ascii(), cseq.trim_ascii().escape_ascii())
}
