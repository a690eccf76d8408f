//! Phones that belong together, a pair or a room: what they do next, and what their ears should hear.

use super::ear::{COUNT, Fault};
use super::plan::Bye;
use super::swarm::Swarm;
use crate::phone::{AccountId, Command, Ending};
use crate::scenario::meter::TONES;
use sip_stack::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// From the answer, or from the end of a hold, until ears are judged: the first packets find their way.
pub(super) const SETTLE: Duration = Duration::from_millis(500);
/// How long a call may take to end on both sides: longer than SIP repeats a request (64·T1).
pub(super) const ENDING: Duration = Duration::from_secs(40);
/// Who listened for less is not judged.
const LISTENED: Duration = Duration::from_secs(1);

/// A pair or a room.
#[derive(Debug)]
pub(super) struct Group {
    /// Places of the members; of a pair, who calls first.
    pub(super) members: Vec<usize>,
    pub(super) kind: Kind,
    pub(super) state: State,
    /// What is done next, the earliest first.
    pub(super) steps: VecDeque<(Time, Step)>,
    /// Nothing went wrong with this call so far.
    clean: bool,
}

/// What its members do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They call each other; so many calls so far.
    Pair { calls: u64 },
    /// They call a number.
    Room { number: u64 },
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Calling,
    Up,
    Ending,
    /// A call of it did not end: it is left alone.
    Broken,
}

/// One thing that is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Listen,
    Hold,
    Resume,
    HangUp,
    GiveUp,
}

impl Group {
    pub(super) fn new(kind: Kind, members: Vec<usize>) -> Group {
        Group { members, kind, state: State::Idle, steps: VecDeque::new(), clean: true }
    }

    /// Of a pair whose call this is, who called and who was called: they take turns.
    fn direction(&self) -> Option<(usize, usize)> {
        let Kind::Pair { calls } = self.kind else { return None };
        let (one, other) = (*self.members.first()?, *self.members.get(1)?);
        Some(if calls % 2 == 1 { (one, other) } else { (other, one) })
    }
}

impl Swarm {
    /// The next call of a pair.
    pub(super) fn begin_pair(&mut self, now: Time, place: usize) {
        let Some(group) = self.groups.get_mut(place) else { return };
        if let Kind::Pair { calls } = &mut group.kind {
            *calls += 1;
        }
        (group.state, group.clean) = (State::Calling, true);
        let Some((caller, callee)) = group.direction() else { return };
        let target = self.members.get(callee).map(|member| member.user.clone()).unwrap_or_default();
        self.tally.calls += 1;
        self.dial(now, caller, target);
    }

    /// A member of a room joins it.
    pub(super) fn join(&mut self, now: Time, member: usize) {
        let group = self.members.get(member).and_then(|member| member.group);
        let Some(group) = group.and_then(|group| self.groups.get_mut(group)) else { return };
        let Kind::Room { number } = group.kind else { return };
        if matches!(group.state, State::Idle | State::Calling) {
            group.state = State::Calling;
            // Counted anew with everyone who joins.
            group.steps = VecDeque::from([(now + ENDING, Step::GiveUp)]);
        }
        self.tally.joins += 1;
        self.arm(member);
        self.dial(now, member, number.to_string().into());
    }

    fn dial(&mut self, now: Time, member: usize, target: Box<str>) {
        let Some(calling) = self.members.get_mut(member) else { return };
        calling.dialled = Some(now);
        let command = Command::Call { account: AccountId::FIRST, target };
        if let Err(refusal) = calling.phone.handle_input(now, crate::phone::Input::Command(command)) {
            self.tally.fail(&refusal.to_string());
            self.on_ended(now, member, &Ending::Ours);
        }
        self.settle(now, member);
    }

    /// A phone is connected.
    pub(super) fn on_connected(&mut self, now: Time, member: usize) {
        let Some(connected) = self.members.get_mut(member) else { return };
        connected.connected = true;
        connected.talks_since = Some(now);
        let dialled = connected.dialled.take();
        let Some(place) = connected.group else { return };
        if let Some(dialled) = dialled {
            self.tally.setup.add(now.since(dialled));
        }
        let Some(group) = self.groups.get_mut(place) else { return };
        match group.kind {
            Kind::Pair { .. } => {
                if dialled.is_some() && group.state == State::Calling {
                    self.tally.connected += 1;
                    group.state = State::Up;
                    group.steps = steps_of_call(now, self.plan.talk, self.plan.hold);
                    self.schedule(place);
                }
            }
            Kind::Room { .. } => {
                self.tally.joined += 1;
                let all = group.members.iter();
                let complete =
                    all.filter_map(|member| self.members.get(*member)).all(|member| member.connected);
                if complete && group.state == State::Calling {
                    group.state = State::Up;
                    let until = now + SETTLE + self.plan.duration;
                    group.steps = VecDeque::from([(now + SETTLE, Step::Listen), (until, Step::HangUp)]);
                    self.schedule(place);
                }
            }
        }
    }

    /// A call of a phone is over.
    pub(super) fn on_ended(&mut self, now: Time, member: usize, ending: &Ending) {
        let Some(ended) = self.members.get_mut(member) else { return };
        (ended.call, ended.talks_since) = (None, None);
        let (was_calling, was_connected) =
            (ended.dialled.take().is_some(), core::mem::take(&mut ended.connected));
        let Some(place) = ended.group else { return };
        let Some(group) = self.groups.get_mut(place) else { return };
        let planned = group.state == State::Ending && !matches!(ending, Ending::Failed(_));
        let why = match ending {
            _ if planned => None,
            Ending::Failed(reason) => Some(reason.to_string()),
            Ending::Ours | Ending::Theirs | Ending::Elsewhere if was_connected => {
                Some("The call ended before its time.".to_owned())
            }
            Ending::Ours | Ending::Theirs | Ending::Elsewhere if was_calling => {
                Some("The call was given up.".to_owned())
            }
            // Whoever called tells why.
            Ending::Ours | Ending::Theirs | Ending::Elsewhere => None,
        };
        match group.kind {
            Kind::Pair { .. } => self.end_of_call(now, place, why),
            Kind::Room { .. } => {
                match why {
                    Some(why) => self.tally.fail(&why),
                    None if was_connected => self.tally.left += 1,
                    None => {}
                }
                self.settle_group(place);
            }
        }
    }

    fn end_of_call(&mut self, now: Time, place: usize, why: Option<String>) {
        let Some(group) = self.groups.get_mut(place) else { return };
        if let Some(why) = why {
            // One failure of a call is told once.
            if core::mem::replace(&mut group.clean, false) {
                self.tally.fail(&why);
            }
        }
        if matches!(group.state, State::Calling | State::Up) {
            group.state = State::Ending;
            group.steps = VecDeque::from([(now + ENDING, Step::GiveUp)]);
            let members = group.members.clone();
            self.schedule(place);
            members.into_iter().for_each(|member| self.hang_up(now, member));
        }
        self.settle_group(place);
    }

    /// Whether a group that ends has ended.
    fn settle_group(&mut self, place: usize) {
        let Some(group) = self.groups.get_mut(place) else { return };
        let mut members = group.members.iter().filter_map(|member| self.members.get(*member));
        if group.state != State::Ending || members.any(|member| member.call.is_some()) {
            return;
        }
        group.state = State::Idle;
        group.steps.clear();
        if matches!(group.kind, Kind::Pair { .. }) {
            self.active = self.active.saturating_sub(1);
            self.idle.push_back(place);
            if group.clean {
                self.tally.completed += 1;
            }
        }
    }

    /// Does what is due in a group.
    pub(super) fn act(&mut self, now: Time, place: usize) {
        while let Some(group) = self.groups.get_mut(place)
            && let Some((_, step)) = group.steps.pop_front_if(|(due, _)| *due <= now)
        {
            match step {
                Step::Listen => self.listen(now, place),
                Step::Hold => {
                    self.pause(now, place);
                    self.hush(place, true);
                    self.command_of_caller(now, place, |call| Command::Hold { call });
                }
                Step::Resume => {
                    self.command_of_caller(now, place, |call| Command::Resume { call });
                    self.hush(place, false);
                }
                Step::HangUp => self.leave(now, place),
                Step::GiveUp => self.give_up(now, place),
            }
        }
        self.schedule(place);
    }

    fn command_of_caller(
        &mut self,
        now: Time,
        place: usize,
        command: impl FnOnce(crate::phone::CallId) -> Command,
    ) {
        let Some((caller, _)) = self.groups.get(place).and_then(Group::direction) else { return };
        let Some(member) = self.members.get_mut(caller) else { return };
        let Some(call) = member.call else { return };
        if let Err(refusal) = member.phone.handle_input(now, crate::phone::Input::Command(command(call))) {
            self.tally.fail(&refusal.to_string());
        }
        self.settle(now, caller);
    }

    /// During a hold nobody says anything: who holds is not to be heard, and a server that answers the hold itself does not pass
    /// on what the other says, which would look like loss.
    fn hush(&mut self, place: usize, hushed: bool) {
        let members: Vec<usize> = self.members_of(place).collect();
        for member in members {
            if let Some(line) = self.members.get_mut(member).and_then(|member| member.line.as_mut()) {
                line.hushed = hushed;
            }
        }
    }

    /// It is time to go.
    fn leave(&mut self, now: Time, place: usize) {
        self.judge(now, place);
        if self.plan.lamps {
            self.judge_lamps(place);
        }
        let Some(group) = self.groups.get_mut(place) else { return };
        group.state = State::Ending;
        group.steps = VecDeque::from([(now + ENDING, Step::GiveUp)]);
        let first = match (group.direction(), group.kind, self.plan.bye) {
            (Some((caller, _)), _, Bye::Caller) => vec![caller],
            (Some((_, callee)), _, Bye::Callee) => vec![callee],
            // The direction turns with each call, so that who hangs up turns with every second one.
            (Some((caller, callee)), Kind::Pair { calls }, Bye::Mixed) => {
                vec![if ((calls + place as u64) / 2).is_multiple_of(2) { caller } else { callee }]
            }
            (None, _, _) | (Some(_), Kind::Room { .. }, Bye::Mixed) => group.members.clone(),
        };
        first.into_iter().for_each(|member| self.hang_up(now, member));
    }

    /// It took too long.
    fn give_up(&mut self, now: Time, place: usize) {
        let Some(group) = self.groups.get_mut(place) else { return };
        match (group.state, group.kind) {
            (State::Calling, Kind::Room { .. }) => {
                self.tally.fail("Not everybody came into the room.");
                self.listen(now, place);
                self.leave(now, place);
            }
            (State::Calling | State::Ending, _) => {
                let pair = matches!(group.kind, Kind::Pair { .. });
                group.state = State::Broken;
                self.active = self.active.saturating_sub(usize::from(pair));
                self.tally.fail("The call did not end.");
            }
            (State::Idle | State::Up | State::Broken, _) => {}
        }
    }

    pub(super) fn hang_up(&mut self, now: Time, member: usize) {
        let Some(ending) = self.members.get_mut(member) else { return };
        let Some(call) = ending.call else { return };
        // A call that ends already needs no second end.
        let _over = ending.phone.handle_input(now, crate::phone::Input::Command(Command::HangUp { call }));
        self.settle(now, member);
    }

    /// What those of a group have said so far, by tone.
    fn spoken(&self, place: usize) -> [u64; COUNT] {
        let mut spoken = [0; COUNT];
        for member in self.members_of(place).filter_map(|member| self.members.get(member)) {
            if let Some(sum) = member.talker.tone.and_then(|tone| spoken.get_mut(tone)) {
                *sum = member.spoken;
            }
        }
        spoken
    }

    fn listen(&mut self, now: Time, place: usize) {
        let spoken = self.spoken(place);
        self.each_ear(place, |ear| ear.listen(now, spoken));
    }

    fn pause(&mut self, now: Time, place: usize) {
        let spoken = self.spoken(place);
        self.each_ear(place, |ear| ear.pause(now, spoken));
    }

    fn each_ear(&mut self, place: usize, mut then: impl FnMut(&mut super::ear::Ear)) {
        let members: Vec<usize> = self.members_of(place).collect();
        for member in members {
            if let Some(line) = self.members.get_mut(member).and_then(|member| member.line.as_mut()) {
                then(&mut line.ear);
            }
        }
    }

    fn members_of(&self, place: usize) -> impl Iterator<Item = usize> {
        self.groups.get(place).into_iter().flat_map(|group| group.members.iter().copied())
    }

    /// Who has a tone in a group.
    pub(super) fn talker_of(&self, place: usize, tone: usize) -> Option<usize> {
        self.members_of(place)
            .find(|member| self.members.get(*member).is_some_and(|member| member.talker.tone == Some(tone)))
    }

    /// Everybody should have heard the others that talk, and nobody else.
    fn judge(&mut self, now: Time, place: usize) {
        self.pause(now, place);
        let members: Vec<usize> = self.members_of(place).collect();
        for member in members {
            let Some(listener) = self.members.get(member) else { continue };
            let Some(ear) = listener.line.as_ref().map(|line| &line.ear) else { continue };
            if ear.listened() < LISTENED {
                continue;
            }
            let wanted = |tone| listener.talker.tone != Some(tone) && self.talker_of(place, tone).is_some();
            let fault = match (ear.fault(wanted), ear.strange) {
                (Some(fault), _) => Some(self.told(place, &listener.user, fault)),
                (None, 0) => None,
                (None, strange) => Some(format!("{} got {strange} packets of strangers", listener.user)),
            };
            self.tally.judge(fault);
        }
    }

    fn told(&self, place: usize, listener: &str, fault: Fault) -> String {
        let name = |tone| {
            let talker = self.talker_of(place, tone).and_then(|member| self.members.get(member));
            let hertz = TONES.get(tone).copied().unwrap_or_default();
            talker.map_or(format!("a tone of {hertz} Hz"), |talker| talker.user.to_string())
        };
        match fault {
            Fault::Mute(tone) => format!("{} said nothing to {listener}", name(tone)),
            Fault::Deaf { place, heard, of } => {
                format!("{listener} heard {heard} of {of} frames of {}", name(place))
            }
            Fault::Stray { place, heard, of } => {
                format!("{listener} heard {} in {heard} of {of} frames", name(place))
            }
        }
    }
}

fn steps_of_call(now: Time, talk: Duration, hold: Duration) -> VecDeque<(Time, Step)> {
    let mut steps = VecDeque::from([(now + SETTLE, Step::Listen)]);
    if !hold.is_zero() {
        let from = now + talk.saturating_sub(hold) / 2;
        steps.extend([(from, Step::Hold), (from + hold, Step::Resume), (from + hold + SETTLE, Step::Listen)]);
    }
    steps.push_back((now + talk, Step::HangUp));
    steps
}
