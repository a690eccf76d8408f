//! The machine: phones, timers, and the order of things: register, call and join by plan, hang up and go.

use super::ear::Bank;
use super::figures::{Progress, Tally};
use super::group::{ENDING, Group, Kind, State};
use super::line::{Line, Sound, TICK, Talker, WHOLE_RATE};
use super::member::{Member, settings};
use super::plan::{MAX_TALKERS, Plan};
use super::tone::Tones;
use crate::phone::{
    Account, AccountError, CallId, Command, Event, Input, MediaCommand, MediaReport, Output as PhoneOutput,
};
use crate::voice::{Port, Voice, VoiceConfig};
use bytes::Bytes;
use media::codec::opus;
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::transport::Flow;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// How often it is looked whether a phase is over.
const LOOK: Duration = Duration::from_millis(50);

/// What a swarm is made of.
#[derive(Debug)]
pub struct SwarmConfig {
    /// What it does; checked by [`Plan::check`].
    pub plan: Plan,
    /// Of each user of the plan, in that order, with the address its SIP comes from and that of the server.
    pub accounts: Vec<Account>,
    /// Names of phones in stamps begin here, so that those of several threads are told from each other.
    pub first: u16,
    /// Decides everything that is random.
    pub seed: [u8; 32],
}

/// One thing to do outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a SIP message of a phone.
    Transmit {
        /// The phone.
        phone: usize,
        /// To where.
        to: SocketAddr,
        /// The message.
        bytes: Bytes,
    },
    /// Open a port for RTP and the one above for RTCP; answered with [`Swarm::handle_opened`].
    Open {
        /// The phone.
        phone: usize,
        /// The call.
        call: CallId,
    },
    /// Close the ports of a call.
    Close {
        /// The phone.
        phone: usize,
        /// The call.
        call: CallId,
    },
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registering {
        /// When those that are not registered are given up.
        until: Time,
    },
    Running {
        /// No new calls begin after it, where the plan does not count them.
        until: Time,
    },
    Leaving {
        until: Time,
    },
    Over,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Phone(usize),
    Tick(usize),
    Group(usize),
    Pace,
}

/// Many phones.
#[derive(Debug)]
pub struct Swarm {
    pub(super) plan: Plan,
    pub(super) members: Vec<Member>,
    pub(super) groups: Vec<Group>,
    /// Pairs that could call.
    pub(super) idle: VecDeque<usize>,
    /// Calls of two that go on.
    pub(super) active: usize,
    pub(super) tally: Tally,
    sound: Sound,
    timers: BTreeSet<(Time, Task)>,
    outputs: VecDeque<Output>,
    phase: Phase,
    /// Phones that are to do the next thing of the phase: register, join, leave.
    queue: VecDeque<usize>,
    random: Random,
}

impl Swarm {
    /// A swarm that begins to register now.
    ///
    /// # Errors
    /// [`AccountError`]: an account cannot be written.
    pub fn new(now: Time, config: SwarmConfig) -> Result<Swarm, AccountError> {
        let SwarmConfig { plan, accounts, first, seed } = config;
        let mut random = Random::new(seed);
        let groups = groups(&plan);
        let mut owners = vec![None; accounts.len()];
        for (at, group) in groups.iter().enumerate() {
            group.members.iter().for_each(|member| {
                if let Some(owner) = owners.get_mut(*member) {
                    *owner = Some(at);
                }
            });
        }
        let mut members = Vec::with_capacity(accounts.len());
        for (place, account) in accounts.into_iter().enumerate() {
            let group = owners.get(place).copied().flatten();
            let talker = talker(&plan, &groups, group, place, first);
            let is_second = |group: &Group| {
                matches!(group.kind, Kind::Pair { .. }) && group.members.first() != Some(&place)
            };
            let is_other = group.and_then(|group| groups.get(group)).is_some_and(is_second);
            let codec = plan.other_codec.filter(|_| is_other).unwrap_or(plan.codec);
            let mut seed = [0; 32];
            seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.next_u64().to_be_bytes()));
            members.push(Member::new(seed, account, settings(codec, plan.ring), group, talker)?);
        }
        let pairs = groups.iter().enumerate().filter(|(_, group)| matches!(group.kind, Kind::Pair { .. }));
        let wait = Duration::from_secs_f64(members.len() as f64 / plan.register_rate) + ENDING;
        let mut swarm = Swarm {
            idle: pairs.map(|(place, _)| place).collect(),
            active: 0,
            tally: Tally { phones: members.len() as u64, ..Tally::default() },
            sound: Sound { tones: Tones::new(), bank: Bank::new() },
            timers: BTreeSet::from([(now, Task::Pace)]),
            outputs: VecDeque::new(),
            phase: Phase::Registering { until: now + wait },
            queue: (0..members.len()).collect(),
            random,
            plan,
            members,
            groups,
        };
        if swarm.plan.lamps {
            swarm.light_lamps(now);
        }
        Ok(swarm)
    }

    /// What was counted, once everything is over.
    pub fn tally(&self) -> Option<&Tally> {
        (self.phase == Phase::Over).then_some(&self.tally)
    }

    /// How far it is. Looks at every phone.
    pub fn progress(&self) -> Progress {
        let lines = self.members.iter().filter_map(|member| member.line.as_ref());
        Progress {
            registered: self.tally.registered,
            talking: self.members.iter().filter(|member| member.connected).count() as u64,
            calls: self.tally.calls + self.tally.joins,
            failed: self.tally.failures.values().sum(),
            received: self.tally.received
                + lines.clone().map(|line| line.ear.packets.numbers().received()).sum::<u64>(),
            lost: self.tally.lost + lines.map(lost).sum::<u64>(),
        }
    }

    /// A SIP message came to a phone.
    pub fn handle_sip(&mut self, now: Time, phone: usize, from: SocketAddr, bytes: Bytes) {
        if let Some(member) = self.members.get_mut(phone) {
            let flow = Flow { peer: from, ..member.flow };
            member.give(now, Input::Received { flow, bytes });
            self.settle(now, phone);
        }
    }

    /// A datagram came to a port of the call of a phone. Allocates nothing.
    pub fn handle_media(&mut self, now: Time, phone: usize, port: Port, from: SocketAddr, datagram: &[u8]) {
        let Some(member) = self.members.get_mut(phone) else { return };
        let Some(line) = &mut member.line else { return };
        let (group, talker) = (member.group, member.talker);
        let mut begun = Begun::default();
        let age =
            line.receive(now, &self.sound, talker, (port, from, datagram), |tone, at| begun.add(tone, at));
        if let Some(age) = age {
            self.tally.one_way.add_us(age);
        }
        self.hear(group, phone, begun);
    }

    /// The ports of a call are there, or cannot be had.
    pub fn handle_opened(&mut self, now: Time, phone: usize, call: CallId, address: Option<SocketAddr>) {
        let (seed, count) = (self.random.next_u64(), self.members.len().max(1) as u64);
        let Some(member) = self.members.get_mut(phone) else { return };
        let report = match address {
            Some(address) => {
                // Everybody has a moment of their own within the 20 ms.
                let phase = Duration::from_nanos(TICK.as_nanos() as u64 * phone as u64 / count);
                let next = now.round_up(TICK) + phase;
                let line = if self.plan.whole {
                    let opus = opus::Settings::default();
                    let config = VoiceConfig { rate: WHOLE_RATE, opus, server: member.flow.peer.ip(), seed };
                    Line::whole(call, next, Voice::new(now, config))
                } else {
                    Line::tone(call, next, seed)
                };
                self.timers.insert((line.next, Task::Tick(phone)));
                if let Some(old) = member.line.replace(line) {
                    count_line(&mut self.tally, &old);
                }
                MediaReport::Opened { call, address }
            }
            None => MediaReport::Refused { call },
        };
        if let Some(member) = self.members.get_mut(phone) {
            member.give(now, Input::Media(report));
        }
        self.settle(now, phone);
    }

    /// Fires every timer that is due; `send` is told what leaves the ports of calls.
    pub fn handle_timeout(&mut self, now: Time, mut send: impl FnMut(usize, Port, SocketAddr, &[u8])) {
        while self.timers.first().is_some_and(|(due, _)| *due <= now)
            && let Some((due, task)) = self.timers.pop_first()
        {
            match task {
                Task::Phone(phone) => {
                    let Some(member) = self.members.get_mut(phone).filter(|member| member.due == Some(due))
                    else {
                        continue;
                    };
                    member.due = None;
                    member.phone.handle_timeout(now);
                    self.settle(now, phone);
                }
                Task::Tick(phone) => self.tick(now, due, phone, &mut send),
                Task::Group(group) => self.act(now, group),
                Task::Pace => self.pace(now),
            }
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Swarm::handle_timeout`] wants to be called; `None` when it is over.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.phase == Phase::Over { None } else { self.timers.first().map(|(due, _)| *due) }
    }

    /// 20 ms of a phone's sound.
    fn tick(
        &mut self,
        now: Time,
        due: Time,
        phone: usize,
        send: &mut impl FnMut(usize, Port, SocketAddr, &[u8]),
    ) {
        let Some(member) = self.members.get_mut(phone) else { return };
        // A line that is gone, or another one's timer.
        let Some(line) = member.line.as_mut().filter(|line| line.next == due) else { return };
        let mut begun = Begun::default();
        let said = line.tick(
            now,
            &self.sound,
            member.talker,
            |tone, at| begun.add(tone, at),
            |port, to, bytes| send(phone, port, to, bytes),
        );
        self.timers.insert((line.next, Task::Tick(phone)));
        self.tally.late.add(now.since(due));
        self.tally.sent += said.packets;
        member.spoken += u64::from(said.loud);
        member.began = said.began.or(member.began);
        let group = member.group;
        self.hear(group, phone, begun);
    }

    /// Tones that began to be heard, against when they began to be said.
    fn hear(&mut self, group: Option<usize>, phone: usize, begun: Begun) {
        let Some(group) = group else { return };
        for (tone, at) in begun.tones.into_iter().flatten() {
            let talker = self.talker_of(group, tone).filter(|talker| *talker != phone);
            let began = talker.and_then(|talker| self.members.get(talker)?.began);
            // What began longer ago than a burst lasts was another beginning.
            if let Some(way) = began.map(|began| at.since(began)).filter(|way| *way < Duration::from_secs(1))
            {
                self.tally.mouth_to_ear.add(way);
            }
        }
    }

    /// Takes what a phone has to say, and sets its timer.
    pub(super) fn settle(&mut self, now: Time, phone: usize) {
        while let Some(output) = self.members.get_mut(phone).and_then(|member| member.phone.poll_output()) {
            match output {
                PhoneOutput::Transmit(transmit) => {
                    let (to, bytes) = (transmit.flow.peer, transmit.bytes);
                    self.outputs.push_back(Output::Transmit { phone, to, bytes });
                }
                PhoneOutput::Media(command) => self.obey(phone, command),
                PhoneOutput::Event(event) => self.see(now, phone, event),
                // Its account was made with its flow.
                PhoneOutput::Locate { .. } => {}
            }
        }
        let Some(member) = self.members.get_mut(phone) else { return };
        let due = member.phone.poll_timeout();
        if due != member.due {
            if let Some(old) = member.due {
                self.timers.remove(&(old, Task::Phone(phone)));
            }
            member.due = due;
            self.timers.extend(due.map(|due| (due, Task::Phone(phone))));
        }
    }

    fn obey(&mut self, phone: usize, command: MediaCommand) {
        let Some(member) = self.members.get_mut(phone) else { return };
        match command {
            MediaCommand::Open { call } => self.outputs.push_back(Output::Open { phone, call }),
            MediaCommand::Start { call, stream } => {
                if let Some(line) = member.line.as_mut().filter(|line| line.call == call) {
                    line.start(stream);
                }
            }
            MediaCommand::Close { call } => {
                if let Some(line) = member.line.take_if(|line| line.call == call) {
                    count_line(&mut self.tally, &line);
                }
                self.outputs.push_back(Output::Close { phone, call });
            }
            // A swarm neither mutes nor presses keys.
            MediaCommand::Mute { .. } | MediaCommand::Dial { .. } => {}
        }
    }

    fn see(&mut self, now: Time, phone: usize, event: Event) {
        let Some(member) = self.members.get_mut(phone) else { return };
        match event {
            Event::Registered { .. } => {
                if !core::mem::replace(&mut member.registered, true) {
                    self.tally.registered += 1;
                }
            }
            Event::RegistrationFailed { reason, .. } => self.tally.not_registered(&reason.to_string()),
            Event::Calling { call, .. } | Event::Incoming { call, .. } => member.call = Some(call),
            Event::Connected { .. } => self.on_connected(now, phone),
            Event::Ended { call, ending } => {
                if member.call.is_none_or(|own| own == call) {
                    self.on_ended(now, phone, &ending);
                }
            }
            Event::Watch { news, .. } => self.on_watched(now, phone, &news),
            Event::HoldFailed { reason, .. } => self.tally.fail(&reason.to_string()),
            Event::TurnedAway { .. } => self.tally.fail("A phone that was called was busy."),
            Event::Unregistered { .. }
            | Event::Ringing { .. }
            | Event::Held { .. }
            | Event::HeldByPeer { .. }
            | Event::Transferred { .. }
            | Event::Message { .. }
            | Event::MessageTaken { .. }
            | Event::MessageFailed { .. }
            | Event::TransferFailed { .. }
            | Event::Muted { .. }
            | Event::Digit { .. } => {}
        }
    }

    /// The next thing of the phase, and when the one after it is due.
    fn pace(&mut self, now: Time) {
        let every = |rate: f64| Duration::from_secs_f64(1.0 / rate);
        let next = match self.phase {
            Phase::Over => return,
            Phase::Registering { until } => match self.queue.pop_front() {
                Some(phone) => {
                    self.register(now, phone, Command::Register);
                    every(self.plan.register_rate)
                }
                None => {
                    let failures = self.tally.not_registered.values().sum::<u64>();
                    if self.tally.registered == 0 && failures >= self.tally.phones {
                        self.finish();
                    } else if self.tally.registered == self.tally.phones || now >= until {
                        self.run(now);
                    }
                    LOOK
                }
            },
            Phase::Running { until } => {
                if self.begin(now, until) {
                    every(self.plan.rate)
                } else {
                    LOOK.min(every(self.plan.rate))
                }
            }
            Phase::Leaving { until } => match self.queue.pop_front() {
                Some(phone) => {
                    self.hang_up(now, phone);
                    self.register(now, phone, Command::Unregister);
                    every(self.plan.register_rate)
                }
                None => {
                    let left = |member: &Member| member.phone.is_registered() || !member.phone.is_settled();
                    if now >= until || !self.members.iter().any(left) {
                        self.finish();
                    }
                    LOOK
                }
            },
        };
        self.timers.insert((now + next, Task::Pace));
    }

    fn register(&mut self, now: Time, phone: usize, command: Command) {
        if let Some(member) = self.members.get_mut(phone) {
            // A phone can always register, and say that it goes.
            let _done = member.phone.handle_input(now, Input::Command(command));
        }
        self.settle(now, phone);
    }

    fn run(&mut self, now: Time) {
        self.phase = Phase::Running { until: now + self.plan.duration };
        let rooms = self.groups.iter().filter(|group| matches!(group.kind, Kind::Room { .. }));
        let members = rooms.flat_map(|group| group.members.iter().copied());
        let registered = |member: &usize| self.members.get(*member).is_some_and(|member| member.registered);
        self.queue = members.filter(registered).collect();
    }

    /// Begins the next call or join, if one may begin; whether one did.
    fn begin(&mut self, now: Time, until: Time) -> bool {
        if let Some(member) = self.queue.pop_front() {
            self.join(now, member);
            return true;
        }
        let wanted = self.plan.calls.map_or(now < until, |calls| self.tally.calls < calls);
        if wanted && self.active < self.plan.concurrency {
            for _ in 0..self.idle.len() {
                let Some(place) = self.idle.pop_front() else { break };
                if self.is_ready(place) {
                    self.active += 1;
                    self.begin_pair(now, place);
                    return true;
                }
                self.idle.push_back(place);
            }
        }
        let pairs_done = !wanted || self.plan.pairs() == 0 || self.nobody_can_call();
        let busy = |group: &Group| matches!(group.state, State::Calling | State::Up | State::Ending);
        if pairs_done && !self.groups.iter().any(busy) {
            self.phase = Phase::Leaving { until: now + ENDING };
            // Whoever is not registered has nothing to take back.
            let registered = self.members.iter().enumerate().filter(|(_, member)| member.registered);
            self.queue = registered.map(|(place, _)| place).collect();
        }
        false
    }

    fn is_ready(&self, place: usize) -> bool {
        let members = self.groups.get(place).map_or(&[][..], |group| &group.members);
        members.iter().all(|member| self.members.get(*member).is_some_and(|member| member.registered))
    }

    fn nobody_can_call(&self) -> bool {
        self.active == 0 && !self.idle.iter().any(|place| self.is_ready(*place))
    }

    fn finish(&mut self) {
        for member in &mut self.members {
            if let Some(line) = member.line.take() {
                count_line(&mut self.tally, &line);
            }
        }
        self.phase = Phase::Over;
    }

    /// The timer of a group is that of its next step.
    pub(super) fn schedule(&mut self, place: usize) {
        let due = self.groups.get(place).and_then(|group| group.steps.front()).map(|(due, _)| *due);
        self.timers.extend(due.map(|due| (due, Task::Group(place))));
    }

    /// As [`Swarm::schedule`], for the group of a phone.
    pub(super) fn arm(&mut self, phone: usize) {
        if let Some(group) = self.members.get(phone).and_then(|member| member.group) {
            self.schedule(group);
        }
    }
}

/// Tones that began in a packet or a tick; as many as a phone can hear.
#[derive(Debug, Default)]
struct Begun {
    tones: [Option<(usize, Time)>; MAX_TALKERS],
}

impl Begun {
    fn add(&mut self, tone: usize, at: Time) {
        if let Some(place) = self.tones.get_mut(tone) {
            *place = Some((tone, at));
        }
    }
}

fn groups(plan: &Plan) -> Vec<Group> {
    let in_rooms = plan.in_rooms();
    let rooms = plan.rooms.iter().zip(0usize..).map(|(number, at)| {
        let first = at * plan.participants;
        Group::new(Kind::Room { number: *number }, (first..first + plan.participants).collect())
    });
    let pairs = (0..plan.pairs()).map(|at| {
        let first = in_rooms + 2 * at;
        Group::new(Kind::Pair { calls: 0 }, vec![first, first + 1])
    });
    rooms.chain(pairs).collect()
}

/// What a phone says. Neighbours have other tones, so that a crossed wire is heard.
fn talker(plan: &Plan, groups: &[Group], group: Option<usize>, place: usize, first: u16) -> Talker {
    let offset = 37 * place as u64;
    let silent = Talker { tone: None, stamps: None, offset };
    let Some((at, group)) = group.and_then(|at| Some((at, groups.get(at)?))) else { return silent };
    let seat = group.members.iter().position(|member| *member == place).unwrap_or_default();
    let name = |place: usize| first.wrapping_add(place as u16);
    match group.kind {
        Kind::Room { .. } if seat >= plan.talkers => silent,
        Kind::Room { .. } => Talker { tone: Some((at * plan.talkers + seat) % MAX_TALKERS), ..silent },
        Kind::Pair { .. } => {
            let peer = group.members.iter().find(|member| **member != place).copied().unwrap_or(place);
            let tone = Some((2 * at + seat) % MAX_TALKERS);
            Talker { tone, stamps: Some((name(place), name(peer))), offset }
        }
    }
}

/// Packets that a line is known to have lost.
fn lost(line: &Line) -> u64 {
    let ear = &line.ear;
    if ear.stamps.received() > 0 { ear.stamps.lost() } else { ear.packets.numbers().lost() }
}

fn count_line(tally: &mut Tally, line: &Line) {
    tally.received += line.ear.packets.numbers().received();
    tally.stamped += line.ear.stamps.received();
    tally.strange += line.ear.strange;
    tally.lost += lost(line);
}
