//! The director of a scenario as a pure machine: phones, steps, and the judgement of each (`judge`).
//!
//! It knows nothing of sockets or of who the server is. Whoever drives it carries its datagrams over a [`super::network`] to a
//! server and back, opens ports when asked, and hands in the time: a simulated world in virtual time, or real sockets.
//!
//! Phones register first, then the steps are taken one after the other: a deed is done at once, a claim is waited for. After
//! the last step everybody hangs up and removes their registration, and nothing may be left of anything.

use super::actor::Actor;
use super::deeds::{live, perform};
use super::judge;
use super::network::{Datagram, Faults};
use super::order::Order;
use super::report::{Failure, Report, Skipped};
use super::room_order::RoomOrder;
use super::script::{Claim, Deed, RecordedEnd, Scenario, Step, StepKind};
use crate::phone::{Account, AccountError, AccountId, CallId, Command, Event, Standing};
use core::fmt;
use sip_stack::Time;
use sip_stack::random::Random;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// On a network that loses datagrams a claim about what comes true may take so long: longer than SIP sends anything again.
const PATIENCE: Duration = Duration::from_secs(100);
/// How long registering may take at the beginning.
const REGISTERING: Duration = Duration::from_secs(200);
/// How long it may take until nothing is left at the end; a transaction of SIP is over after 64 s at the latest.
const CLEARING: Duration = Duration::from_secs(300);
/// How long that may take after a failure.
const FAREWELL: Duration = Duration::from_secs(10);
/// Lines that are kept of what happened; older ones are forgotten.
const STORY: usize = 60;

/// One thing that comes from outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram arrived at a phone.
    Datagram(Datagram),
    /// The answer to [`Output::Open`].
    Opened {
        /// The phone.
        phone: usize,
        /// The call.
        call: CallId,
        /// Where RTP is received, RTCP at the port above; `None`: there are no ports.
        address: Option<SocketAddr>,
    },
    /// What is known of the switch, from somebody who sees into it. Where it never comes, claims about it are skipped.
    Inside(Inside),
}

/// One thing to do outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram of a phone.
    Transmit(Datagram),
    /// Open a port for RTP and the one above for RTCP.
    Open {
        /// The phone.
        phone: usize,
        /// The call.
        call: CallId,
    },
    /// Close the ports of a call.
    Close {
        /// Where RTP was received.
        address: SocketAddr,
    },
    /// From now on the network is like this.
    Network(Faults),
    /// Kill the switch, and start it again with what it stored.
    Restart,
    /// Keep so many new messages for a user of the switch.
    Mailbox {
        /// The user.
        number: Box<str>,
        /// How many.
        new: u32,
    },
    /// Order something in a conference of the switch.
    RoomOrder(RoomOrder),
    /// Tell the switch to do something.
    Order(Order),
}

/// What is known of the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Calls that go on.
    pub calls: usize,
    /// Whatever else is left: transactions, dialogs, legs, messages under way.
    pub left: usize,
    /// Calls that were accepted since the switch began, and records that were written.
    pub records: usize,
    /// Those of calls that were missed.
    pub missed: usize,
    /// The last record.
    pub record: Option<Record>,
}

/// What a call record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The status.
    pub status: u16,
    /// Who ended the call.
    pub ended_by: RecordedEnd,
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls, {} other things left, {} call records", self.calls, self.left, self.records)?;
        let Some(Record { status, ended_by }) = self.record else { return Ok(()) };
        let ended_by = match ended_by {
            RecordedEnd::Caller => "caller",
            RecordedEnd::Callee => "callee",
            RecordedEnd::Switch => "switch",
        };
        write!(f, ", the last with status {status}, ended by the {ended_by}")
    }
}

/// What a runner is told before it begins.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// Of the phones of the scenario, in their order, each with the address its SIP comes from and that of the server.
    pub accounts: Vec<Account>,
    /// The network before the first step.
    pub faults: Faults,
    /// What is known of the switch, if anybody sees into it.
    pub inside: Option<Inside>,
    /// How many times as long as it says a claim may take to come true: 1, or more on a machine that is busy with other things.
    pub stretch: u32,
    /// Decides everything that is random.
    pub seed: [u8; 32],
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registering {
        until: Time,
    },
    /// The step that is due, since when, and since when its claim holds.
    Playing {
        step: usize,
        since: Time,
        holds: Option<Time>,
    },
    Clearing {
        until: Time,
    },
    Over,
}

/// A scenario being played.
#[derive(Debug)]
pub struct Runner {
    scenario: Scenario,
    actors: Vec<Actor>,
    began: Time,
    phase: Phase,
    faults: Faults,
    inside: Option<Inside>,
    stretch: u32,
    outputs: VecDeque<Output>,
    story: VecDeque<Box<str>>,
    report: Report,
}

impl Runner {
    /// A scenario about to begin.
    ///
    /// # Errors
    /// [`AccountError`]: an account cannot be written.
    pub fn new(now: Time, scenario: Scenario, config: RunnerConfig) -> Result<Runner, AccountError> {
        let RunnerConfig { accounts, faults, inside, stretch, seed } = config;
        let mut random = Random::new(seed);
        let tones = scenario.tones();
        let setups = scenario.phones.iter().zip(accounts).enumerate();
        let actors = setups.map(|(place, (setup, account))| {
            Actor::new(place, setup, account, tones.clone(), random.next_u64())
        });
        let actors = actors.collect::<Result<_, _>>()?;
        let report = Report {
            title: scenario.title.clone(),
            file: scenario.file.clone(),
            took: Duration::ZERO,
            moments: Vec::new(),
            skipped: Vec::new(),
            failure: None,
        };
        let mut runner = Runner {
            scenario,
            actors,
            began: now,
            phase: Phase::Registering { until: now + REGISTERING },
            faults,
            inside,
            stretch: stretch.max(1),
            outputs: VecDeque::from([Output::Network(faults)]),
            story: VecDeque::new(),
            report,
        };
        for place in 0..runner.actors.len() {
            runner.watch(now, place);
            if runner.registers(place) {
                // A phone can always register.
                let _done = runner.actors.get_mut(place).map(|actor| actor.command(now, Command::Register));
            }
        }
        runner.settle(now);
        Ok(runner)
    }

    /// How it went, once it is over.
    pub fn report(&self) -> Option<&Report> {
        (self.phase == Phase::Over).then_some(&self.report)
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Datagram(datagram) => {
                self.tell_arrival(now, &datagram);
                // What is for nobody was for a call that is over.
                let _taken = self.actors.iter_mut().any(|actor| actor.handle_datagram(now, &datagram));
            }
            Input::Opened { phone, call, address } => {
                if let Some(actor) = self.actors.get_mut(phone) {
                    actor.handle_opened(now, call, address);
                }
            }
            Input::Inside(inside) => self.inside = Some(inside),
        }
        self.settle(now);
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        for actor in &mut self.actors {
            actor.handle_timeout(now, &mut self.outputs);
        }
        self.settle(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Runner::handle_timeout`] wants to be called; `None` when it is over.
    pub fn poll_timeout(&self) -> Option<Time> {
        let own = match self.phase {
            Phase::Over => return None,
            Phase::Registering { until } | Phase::Clearing { until } => until,
            Phase::Playing { step, since, holds } => {
                match self.scenario.steps.get(step).map(|step| &step.kind) {
                    Some(StepKind::Wait(time)) => since + *time,
                    Some(StepKind::Claim(claim)) => match holds {
                        Some(holds) => holds + claim.lasting,
                        None => since + self.limit(claim),
                    },
                    Some(
                        StepKind::Deed(..)
                        | StepKind::Network(_)
                        | StepKind::Restart
                        | StepKind::Mailbox(..)
                        | StepKind::Order(_)
                        | StepKind::RoomOrder(_),
                    )
                    | None => since,
                }
            }
        };
        self.actors.iter().filter_map(Actor::poll_timeout).chain([own]).min()
    }

    /// Takes what the phones have to say, then goes on as far as it can.
    fn settle(&mut self, now: Time) {
        self.drain(now);
        while self.advance(now) {
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Time) {
        let (outputs, story, began) = (&mut self.outputs, &mut self.story, self.began);
        for actor in &mut self.actors {
            let name = actor.name.clone();
            actor.drain(now, outputs, |event| {
                note(story, now.since(began), &format!("{name}: {}", told(event)))
            });
        }
    }

    fn tell_arrival(&mut self, now: Time, datagram: &Datagram) {
        let first = datagram.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        // SIP alone: its messages begin with a letter, RTP does not.
        if first.first().is_some_and(u8::is_ascii_uppercase) {
            let line = format!("{} <- {}: {}", datagram.to, datagram.from, first.escape_ascii());
            note(&mut self.story, now.since(self.began), &line);
        }
    }

    /// What a phone watches from the beginning begins when it is registered.
    fn watch(&mut self, now: Time, place: usize) {
        let (Some(setup), Some(actor)) = (self.scenario.phones.get(place), self.actors.get_mut(place)) else {
            return;
        };
        let account = AccountId::FIRST;
        let watches = setup.watches.iter();
        let watches = watches.map(|target| Command::Watch { account, target: target.clone(), wanted: true });
        let mailbox = setup.mailbox.then_some(Command::WatchMailbox { account, wanted: true });
        let presence = setup.publishes.then_some(Command::PublishPresence { account, wanted: true });
        for command in watches.chain(mailbox).chain(presence) {
            // A number that cannot be watched is never seen.
            let _done = actor.command(now, command);
        }
    }

    fn registers(&self, place: usize) -> bool {
        self.scenario.phones.get(place).is_some_and(|phone| phone.registers)
    }

    /// How long a claim may take to begin to hold, the network being what it is.
    fn limit(&self, claim: &Claim) -> Duration {
        let within = claim.within.saturating_mul(self.stretch);
        if self.faults.loss_percent > 0 && !within.is_zero() { within.max(PATIENCE) } else { within }
    }

    /// Does what is due now; whether there may be more.
    fn advance(&mut self, now: Time) -> bool {
        match self.phase {
            Phase::Over => false,
            Phase::Registering { until } => self.register(now, until),
            Phase::Playing { step, since, holds } => match self.scenario.steps.get(step).cloned() {
                Some(due) => self.play(now, step, &due, since, holds),
                None => {
                    self.clear(now, CLEARING);
                    true
                }
            },
            Phase::Clearing { until } => self.leave(now, until),
        }
    }

    fn register(&mut self, now: Time, until: Time) -> bool {
        let waiting = (0..self.actors.len()).find(|place| {
            self.registers(*place)
                && self.actors.get(*place).is_some_and(|actor| !actor.phone.is_registered())
        });
        let Some(place) = waiting else {
            self.phase = Phase::Playing { step: 0, since: now, holds: None };
            return true;
        };
        let trouble = self.actors.get(place).and_then(|actor| actor.trouble.clone());
        if now >= until || (trouble.is_some() && self.faults.loss_percent == 0) {
            let why = trouble.map_or_else(|| "no answer".to_owned(), |reason| reason.to_string());
            let (line, name) =
                self.scenario.phones.get(place).map_or((0, ""), |phone| (phone.line, &*phone.name));
            let text = format!("phone {name}");
            self.fail(now, line, &text, &format!("it does not register: {why}"));
            return true;
        }
        false
    }

    fn play(&mut self, now: Time, step: usize, due: &Step, since: Time, holds: Option<Time>) -> bool {
        let done = match &due.kind {
            StepKind::Deed(who, deed) => match self.act(now, due, who, deed) {
                true => true,
                // It has failed, and everybody goes.
                false => return true,
            },
            StepKind::Network(faults) => {
                self.faults = *faults;
                self.outputs.push_back(Output::Network(*faults));
                true
            }
            StepKind::Mailbox(number, new) => {
                self.outputs.push_back(Output::Mailbox { number: number.clone(), new: *new });
                true
            }
            StepKind::Order(order) => {
                self.outputs.push_back(Output::Order(order.clone()));
                true
            }
            StepKind::RoomOrder(order) => {
                self.outputs.push_back(Output::RoomOrder(order.clone()));
                true
            }
            StepKind::Restart => {
                self.outputs.push_back(Output::Restart);
                true
            }
            StepKind::Wait(time) => now >= since + *time,
            StepKind::Claim(claim) => return self.judge(now, step, due, claim, (since, holds)),
        };
        if done {
            self.pass(now, due);
            self.phase = Phase::Playing { step: step + 1, since: now, holds: None };
        }
        done
    }

    /// A step is behind us.
    fn pass(&mut self, now: Time, due: &Step) {
        let at = now.since(self.began);
        note(&mut self.story, at, &format!("--- {}: {}", due.line, due.text));
        self.report.moments.push((due.line, at));
    }

    /// Whether the claim is settled; it fails when it does not begin to hold in time.
    fn judge(
        &mut self,
        now: Time,
        step: usize,
        due: &Step,
        claim: &Claim,
        (since, holds): (Time, Option<Time>),
    ) -> bool {
        if self.inside.is_none() && claim.facts.iter().any(super::script::Fact::is_inside) {
            self.report.skipped.push(Skipped { line: due.line, text: due.text.clone() });
            self.phase = Phase::Playing { step: step + 1, since: now, holds: None };
            return true;
        }
        let deadline = since + self.limit(claim);
        let holds = judge::holds(claim, &self.actors, self.inside.as_ref())
            .then(|| holds.or((now <= deadline).then_some(now)))
            .flatten();
        match holds {
            Some(held) if now >= held + claim.lasting => {
                self.pass(now, due);
                self.phase = Phase::Playing { step: step + 1, since: now, holds: None };
                true
            }
            Some(_) => {
                self.phase = Phase::Playing { step, since, holds };
                false
            }
            None if now >= deadline => {
                let limit = self.limit(claim).as_secs_f64();
                let what = match claim.lasting.as_secs_f64() {
                    0.0 => format!("it did not come to that within {limit} s"),
                    lasting => format!("it was not so for {lasting} s, beginning within {limit} s"),
                };
                self.fail(now, due.line, &due.text, &what);
                true
            }
            None => {
                self.phase = Phase::Playing { step, since, holds: None };
                false
            }
        }
    }

    /// Phones do something; whether they could.
    fn act(&mut self, now: Time, due: &Step, who: &[usize], deed: &Deed) -> bool {
        self.actors.iter_mut().for_each(Actor::forget);
        for place in who {
            let Some(actor) = self.actors.get_mut(*place) else { continue };
            if let Err(refusal) = perform(now, actor, deed) {
                let what = format!("{} cannot: {refusal}", actor.name);
                self.fail(now, due.line, &due.text, &what);
                return false;
            }
        }
        true
    }

    /// Everybody hangs up and goes.
    fn clear(&mut self, now: Time, at_most: Duration) {
        self.phase = Phase::Clearing { until: now + at_most };
        for actor in &mut self.actors {
            actor.online = true;
            for call in live(actor, |_| true, &None) {
                // A call that is given up already cannot be given up again.
                let _over = actor.command(now, Command::HangUp { call });
            }
            // One that registers at this moment goes as well.
            if actor.phone.standing(AccountId::FIRST) != Standing::Away {
                let _gone = actor.command(now, Command::Unregister);
            }
        }
    }

    /// Whether everything is over; nothing may be left.
    fn leave(&mut self, now: Time, until: Time) -> bool {
        let busy = match self.inside {
            // What is left of a failure is no news.
            Some(_) if self.report.failure.is_some() => self.actors.iter().any(Actor::has_calls),
            // Whoever cannot see into the switch does not wait for the last timers either.
            None => self.actors.iter().any(|actor| !actor.phone.is_settled() || actor.phone.is_registered()),
            Some(inside) => {
                inside.left + inside.calls > 0 || self.actors.iter().any(|actor| !actor.phone.is_idle())
            }
        };
        if busy && now < until {
            return false;
        }
        let line = self.scenario.steps.last().map_or(0, |step| step.line);
        let twice = self.actors.iter().flat_map(|actor| &actor.calls).find(|view| view.endings != 1);
        let twice = twice.map(|view| format!("a user was told {} times that a call is over", view.endings));
        if busy {
            self.fail(now, line, "everybody hangs up", "something is left");
        } else if let Some(twice) = twice {
            self.fail(now, line, "everybody hangs up", &twice);
        } else {
            self.end(now);
        }
        false
    }

    /// The first failure is the one that is told; after it everybody goes, so that the server is as it was.
    fn fail(&mut self, now: Time, line: u32, text: &str, what: &str) {
        if self.report.failure.is_none() {
            self.report.failure = Some(Failure {
                line,
                text: text.into(),
                what: what.into(),
                instead: judge::describe(&self.actors, self.inside.as_ref()).into(),
                story: self.story.iter().cloned().collect(),
            });
            self.report.took = now.since(self.began);
        }
        match self.phase {
            Phase::Registering { .. } | Phase::Playing { .. } => self.clear(now, FAREWELL),
            Phase::Clearing { .. } | Phase::Over => self.phase = Phase::Over,
        }
    }

    fn end(&mut self, now: Time) {
        if self.report.failure.is_none() {
            self.report.took = now.since(self.began);
        }
        self.phase = Phase::Over;
    }
}

fn note(story: &mut VecDeque<Box<str>>, at: Duration, line: &str) {
    if story.len() == STORY {
        story.pop_front();
    }
    story.push_back(format!("{:>9.3} s  {line}", at.as_secs_f64()).into());
}

/// An event as a line; what the peer sent is escaped.
fn told(event: &Event) -> String {
    format!("{event:?}")
}
