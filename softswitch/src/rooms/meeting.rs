//! One room with everybody who has called it.

use super::entrance::{Entrance, Verdict};
use super::menu::{Menu, Wish};
use super::order::{NotDone, Order};
use super::output::{News, Output, Words};
use super::person::{MOST_GAIN_DB, Person, PersonView, Stage, Standing, Who};
use super::rules::{Rules, Signal};
use media::mix::{Gain, Role};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// By how much `*7` and `*9` change a voice, in decibels.
const STEP_DB: i8 = 3;

/// How somebody arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It has called the room.
    Calls,
    /// It has, and is named as a moderator.
    CallsAsModerator,
    /// Who may do so has brought it here: no code is asked for, and no lock holds.
    Brought,
}

/// Where somebody is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the room, in this role.
    Room(Role),
    /// Alone.
    Lobby,
}

/// A room that somebody has called.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Meeting {
    rules: Arc<Rules>,
    people: BTreeMap<Who, Person>,
    /// How many have come in so far.
    came: u64,
    is_locked: bool,
    all_muted: bool,
    speaker: Option<Who>,
    /// Drained after each input, so it needs no bound.
    outputs: VecDeque<Output>,
}

impl Meeting {
    pub(crate) fn new(rules: Arc<Rules>) -> Meeting {
        Meeting {
            rules,
            people: BTreeMap::new(),
            came: 0,
            is_locked: false,
            all_muted: false,
            speaker: None,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) const fn is_locked(&self) -> bool {
        self.is_locked
    }

    pub(crate) const fn is_all_muted(&self) -> bool {
        self.all_muted
    }

    pub(crate) const fn speaker(&self) -> Option<Who> {
        self.speaker
    }

    /// Whether somebody may give orders here.
    pub(crate) fn is_moderator(&self, who: Who) -> bool {
        self.people.get(&who).is_some_and(|person| person.is_inside() && person.is_moderator())
    }

    /// Everybody who is in or waits, in the order in which they came.
    pub(crate) fn people(&self) -> Vec<PersonView> {
        let seen = self.people.iter().filter(|(_, person)| match person.stage {
            Stage::Asked(_) | Stage::Waits | Stage::Inside => true,
            Stage::Leaves(_) => false,
        });
        let mut seen: Vec<(u64, PersonView)> =
            seen.map(|(who, person)| (person.came, view(*who, person))).collect();
        seen.sort_by_key(|(came, view)| (view.waits, *came));
        seen.into_iter().map(|(_, view)| view).collect()
    }

    /// Somebody has called, or is brought; where it is to be. What it is told comes when it hears us.
    pub(crate) fn handle_arrival(&mut self, now: Time, who: Who, arrival: Arrival) -> Place {
        let standing = match arrival {
            Arrival::CallsAsModerator => Standing::Moderator,
            Arrival::Calls | Arrival::Brought => Standing::Member,
        };
        let stage = match arrival {
            Arrival::Calls if self.rules.asks() => Stage::Asked(Entrance::new(now)),
            Arrival::Calls | Arrival::CallsAsModerator => self.stage_for(standing == Standing::Moderator),
            Arrival::Brought if self.is_full() => Stage::Leaves(Words::Full),
            Arrival::Brought => Stage::Inside,
        };
        self.came += 1;
        let person = Person {
            stage,
            standing,
            came: self.came,
            is_present: false,
            mutes_itself: self.rules.mute_on_entry && standing != Standing::Moderator,
            is_muted: self.all_muted && standing != Standing::Moderator,
            talks: false,
            gain_db: 0,
            menu: Menu::default(),
        };
        let place = if person.is_inside() { Place::Room(person.role()) } else { Place::Lobby };
        self.people.insert(who, person);
        place
    }

    /// Somebody who has arrived hears us now.
    pub(crate) fn handle_present(&mut self, now: Time, who: Who) {
        let Some(person) = self.people.get_mut(&who).filter(|person| !person.is_present) else { return };
        person.is_present = true;
        match &mut person.stage {
            Stage::Asked(entrance) => {
                entrance.ask(now);
                self.outputs.push_back(Output::Say(who, Words::EnterPin));
            }
            Stage::Waits => self.hold(who),
            Stage::Inside => self.greet(who),
            Stage::Leaves(words) => {
                let words = *words;
                self.turn_away(who, words);
            }
        }
    }

    /// Somebody has pressed a key.
    pub(crate) fn handle_key(&mut self, now: Time, who: Who, key: char) {
        let Some(person) = self.people.get_mut(&who) else { return };
        match &mut person.stage {
            Stage::Asked(entrance) => {
                let verdict = entrance.handle_key(now, &self.rules, key);
                self.judge(who, verdict);
            }
            Stage::Inside => {
                let wish = person.menu.handle_key(now, key);
                if let Some(wish) = wish {
                    self.obey_key(who, wish);
                }
            }
            Stage::Waits | Stage::Leaves(_) => {}
        }
    }

    /// When [`Self::handle_timeout`] wants to be called for somebody.
    pub(crate) fn deadline(&self, who: Who) -> Option<Time> {
        match &self.people.get(&who)?.stage {
            Stage::Asked(entrance) => Some(entrance.deadline()),
            Stage::Waits | Stage::Inside | Stage::Leaves(_) => None,
        }
    }

    /// The time of somebody is up.
    pub(crate) fn handle_timeout(&mut self, now: Time, who: Who) {
        let Some(person) = self.people.get_mut(&who) else { return };
        if let Stage::Asked(entrance) = &mut person.stage {
            let verdict = entrance.handle_timeout(now, &self.rules);
            self.judge(who, verdict);
        }
    }

    /// Somebody has hung up, or is somewhere else now.
    pub(crate) fn handle_departure(&mut self, who: Who) {
        let Some(gone) = self.people.remove(&who) else { return };
        if !gone.is_inside() {
            return;
        }
        if self.speaker == Some(who) {
            self.speaker = None;
        }
        if gone.is_present {
            self.tell(News::Left(who));
            self.signal(false);
        }
        if gone.is_moderator() {
            self.lose_moderator();
        }
    }

    /// Somebody has begun or ceased to talk.
    pub(crate) fn handle_talk(&mut self, who: Who, talks: bool) {
        let Some(person) = self.people.get_mut(&who).filter(|person| person.is_inside()) else { return };
        let talks = talks && !person.is_silenced();
        if person.talks != talks {
            person.talks = talks;
            self.tell(News::Talks(who, talks));
        }
    }

    /// Somebody else is the one who speaks.
    pub(crate) fn handle_speaker(&mut self, speaker: Option<Who>) {
        let speaker = speaker.filter(|who| self.people.get(who).is_some_and(Person::is_inside));
        if speaker != self.speaker {
            self.speaker = speaker;
            self.tell(News::Speaker(speaker));
        }
    }

    /// An order of who may give it.
    ///
    /// # Errors
    /// [`NotDone`]: whom it names is not in the room; nothing has changed.
    pub(crate) fn handle_order(&mut self, order: Order) -> Result<(), NotDone> {
        match order {
            Order::Lock(locked) => self.lock(locked),
            Order::MuteAll(muted) => self.mute_all(muted),
            Order::End => self.end(),
            Order::Mute(who, muted) => {
                let person = self.inside(who)?;
                (person.is_muted, person.mutes_itself) = (muted, person.mutes_itself && muted);
                self.changed(who, Some(if muted { Words::Muted } else { Words::Unmuted }));
            }
            Order::Kick(who) => {
                // Who waits or is asked is sent away as well.
                self.people
                    .get(&who)
                    .filter(|person| !matches!(person.stage, Stage::Leaves(_)))
                    .ok_or(NotDone)?;
                self.remove(who, Words::Removed);
            }
            Order::Stand(who, standing) => {
                let person = self.inside(who)?;
                let was_moderator = person.is_moderator();
                person.standing = standing;
                if standing == Standing::Moderator {
                    person.is_muted = false;
                }
                self.tell(News::Stands(who, standing));
                self.changed(who, None);
                if standing == Standing::Moderator {
                    self.let_in();
                } else if was_moderator {
                    self.lose_moderator();
                }
            }
            Order::Gain(who, gain_db) => {
                let person = self.inside(who)?;
                person.gain_db = gain_db.clamp(-MOST_GAIN_DB, MOST_GAIN_DB);
                let gain = person.gain();
                self.outputs.push_back(Output::Amplify(who, gain));
            }
        }
        Ok(())
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

/// What follows from what.
impl Meeting {
    fn tell(&mut self, news: News) {
        self.outputs.push_back(Output::Tell(news));
    }

    fn signal(&mut self, comes: bool) {
        if self.rules.signal != Signal::None && self.people.values().any(Person::is_inside) {
            self.outputs.push_back(Output::Signal { comes });
        }
    }

    fn inside(&mut self, who: Who) -> Result<&mut Person, NotDone> {
        self.people.get_mut(&who).filter(|person| person.is_inside()).ok_or(NotDone)
    }

    /// Those who are in or will be when a moderator comes.
    pub(crate) fn is_full(&self) -> bool {
        let taken = self.people.values().filter(|person| match person.stage {
            Stage::Waits | Stage::Inside => true,
            Stage::Asked(_) | Stage::Leaves(_) => false,
        });
        taken.count() >= self.rules.most as usize
    }

    fn has_moderator(&self) -> bool {
        self.people.values().any(|person| person.is_inside() && person.is_moderator())
    }

    /// How far somebody comes who has the right code, or needs none.
    fn stage_for(&self, is_moderator: bool) -> Stage {
        if self.is_locked && !is_moderator {
            Stage::Leaves(Words::Locked)
        } else if self.is_full() {
            Stage::Leaves(Words::Full)
        } else if self.rules.wait_for_moderator && !is_moderator && !self.has_moderator() {
            Stage::Waits
        } else {
            Stage::Inside
        }
    }

    fn judge(&mut self, who: Who, verdict: Verdict) {
        match verdict {
            Verdict::Open => {}
            Verdict::Wrong => self.outputs.push_back(Output::Say(who, Words::WrongPin)),
            Verdict::Refused => self.turn_away(who, Words::WrongPin),
            Verdict::Right { is_moderator } => self.pass(who, is_moderator),
        }
    }

    /// The code was right.
    fn pass(&mut self, who: Who, is_moderator: bool) {
        let stage = self.stage_for(is_moderator);
        let Some(person) = self.people.get_mut(&who) else { return };
        if is_moderator {
            (person.standing, person.mutes_itself, person.is_muted) = (Standing::Moderator, false, false);
        }
        match stage {
            Stage::Leaves(words) => self.turn_away(who, words),
            Stage::Waits => {
                person.stage = Stage::Waits;
                self.hold(who);
            }
            Stage::Inside | Stage::Asked(_) => self.enter(who),
        }
    }

    fn hold(&mut self, who: Who) {
        self.outputs.push_back(Output::Hold(who));
        self.tell(News::Waits(who));
    }

    /// Somebody comes in from its lobby.
    fn enter(&mut self, who: Who) {
        self.came += 1;
        let (came, all_muted) = (self.came, self.all_muted);
        let Some(person) = self.people.get_mut(&who) else { return };
        (person.stage, person.came) = (Stage::Inside, came);
        person.is_muted |= all_muted && !person.is_moderator();
        let (role, is_present) = (person.role(), person.is_present);
        self.outputs.push_back(Output::Enter(who, role));
        if is_present {
            self.greet(who);
        }
    }

    /// Somebody who is in hears us.
    fn greet(&mut self, who: Who) {
        self.tell(News::Joined(who));
        self.signal(true);
        if self.rules.announce {
            self.count_for(who);
        }
        if self.rules.is_ad_hoc && !self.has_moderator() {
            self.find_moderator();
        }
        let Some(person) = self.people.get(&who) else { return };
        let (is_moderator, is_silenced) = (person.is_moderator(), person.is_silenced());
        if is_silenced {
            self.outputs.push_back(Output::Say(who, Words::Muted));
            self.tell(News::Muted(who, true));
        }
        if is_moderator {
            self.let_in();
        }
    }

    fn count_for(&mut self, who: Who) {
        let count = self.people.values().filter(|person| person.is_inside()).count();
        self.outputs.push_back(Output::Count(who, u32::try_from(count).unwrap_or(u32::MAX)));
    }

    /// There is a moderator: those who wait for one come in.
    fn let_in(&mut self) {
        let waiting = self.people.iter().filter(|(_, person)| person.stage == Stage::Waits);
        let waiting: Vec<Who> = waiting.map(|(who, _)| *who).collect();
        for who in waiting {
            self.enter(who);
        }
    }

    /// A moderator has gone, or is none any more.
    fn lose_moderator(&mut self) {
        if self.has_moderator() {
            return;
        }
        if self.rules.is_ad_hoc {
            self.find_moderator();
        } else if self.rules.end_with_moderator {
            self.end();
        }
    }

    /// In a room that was made by being dialled, who is there longest is the moderator.
    fn find_moderator(&mut self) {
        let inside = self.people.iter_mut().filter(|(_, person)| person.is_inside());
        let eldest = inside.filter(|(_, person)| person.standing == Standing::Member);
        let Some((who, person)) = eldest.min_by_key(|(_, person)| person.came) else { return };
        person.standing = Standing::Moderator;
        let (who, was_muted) = (*who, core::mem::take(&mut person.is_muted));
        self.tell(News::Stands(who, Standing::Moderator));
        // Moderators alone could let it speak, and there is no other one.
        if was_muted {
            self.changed(who, Some(Words::Unmuted));
        }
    }

    fn end(&mut self) {
        self.tell(News::Ended);
        let all: Vec<Who> = self.people.keys().copied().collect();
        for who in all {
            if self.people.get(&who).is_some_and(|person| !matches!(person.stage, Stage::Leaves(_))) {
                self.remove(who, Words::Ended);
            }
        }
    }

    /// Somebody goes, whether it was in or not; nobody hears it any more.
    fn remove(&mut self, who: Who, words: Words) {
        let Some(person) = self.people.get_mut(&who) else { return };
        let (was_inside, was_moderator) = (person.is_inside(), person.is_moderator());
        person.stage = Stage::Leaves(words);
        if was_inside {
            self.outputs.push_back(Output::Assign(who, Role::Muted));
            if self.speaker == Some(who) {
                self.speaker = None;
            }
            self.tell(News::Left(who));
            if words != Words::Ended {
                self.signal(false);
            }
        }
        self.turn_away(who, words);
        if was_inside && was_moderator && words != Words::Ended {
            self.lose_moderator();
        }
    }

    fn turn_away(&mut self, who: Who, words: Words) {
        if let Some(person) = self.people.get_mut(&who) {
            person.stage = Stage::Leaves(words);
        }
        self.tell(News::TurnedAway(who));
        self.outputs.push_back(Output::SendAway(who, words));
    }

    fn lock(&mut self, locked: bool) {
        if self.is_locked != locked {
            self.is_locked = locked;
            self.tell(News::Locked(locked));
        }
    }

    fn mute_all(&mut self, muted: bool) {
        self.all_muted = muted;
        let all = self.people.iter_mut().filter(|(_, person)| !person.is_moderator());
        let mut changed = Vec::new();
        for (who, person) in all {
            let was = person.is_silenced();
            person.is_muted = muted;
            // Who may speak again does, whoever had muted it.
            person.mutes_itself &= muted;
            if person.is_inside() && person.is_silenced() != was {
                changed.push(*who);
            }
        }
        for who in changed {
            self.changed(who, Some(if muted { Words::Muted } else { Words::Unmuted }));
        }
    }

    /// What somebody hears, or who hears it, has changed.
    fn changed(&mut self, who: Who, words: Option<Words>) {
        let Some(person) = self.people.get_mut(&who) else { return };
        let (role, is_silenced) = (person.role(), person.is_silenced());
        let ceases = person.talks && is_silenced;
        person.talks &= !is_silenced;
        self.outputs.push_back(Output::Assign(who, role));
        self.tell(News::Muted(who, is_silenced));
        if ceases {
            self.tell(News::Talks(who, false));
        }
        if let Some(words) = words {
            self.outputs.push_back(Output::Say(who, words));
        }
    }

    fn obey_key(&mut self, who: Who, wish: Wish) {
        let is_moderator = self.is_moderator(who);
        let words = match wish {
            Wish::Mute => return self.mute_itself(who),
            Wish::Count => return self.count_for(who),
            Wish::Quieter => return self.step(who, -STEP_DB),
            Wish::Louder => return self.step(who, STEP_DB),
            Wish::Lock | Wish::SendLastAway | Wish::MuteAll if !is_moderator => Words::ModeratorsOnly,
            Wish::Lock => {
                self.lock(!self.is_locked);
                if self.is_locked { Words::Locked } else { Words::Unlocked }
            }
            Wish::MuteAll => {
                self.mute_all(!self.all_muted);
                if self.all_muted { Words::AllMuted } else { Words::AllUnmuted }
            }
            Wish::SendLastAway => {
                let others =
                    self.people.iter().filter(|(other, person)| **other != who && person.is_inside());
                let last = others.max_by_key(|(_, person)| person.came).map(|(last, _)| *last);
                if let Some(last) = last {
                    self.remove(last, Words::Removed);
                }
                return;
            }
        };
        self.outputs.push_back(Output::Say(who, words));
    }

    fn mute_itself(&mut self, who: Who) {
        let Some(person) = self.people.get_mut(&who) else { return };
        if person.is_muted || person.standing == Standing::Listener {
            return self.outputs.push_back(Output::Say(who, Words::ModeratorsOnly));
        }
        person.mutes_itself = !person.mutes_itself;
        let words = if person.mutes_itself { Words::Muted } else { Words::Unmuted };
        self.changed(who, Some(words));
    }

    fn step(&mut self, who: Who, by: i8) {
        let Some(person) = self.people.get_mut(&who) else { return };
        person.gain_db = (person.gain_db + by).clamp(-MOST_GAIN_DB, MOST_GAIN_DB);
        let gain: Gain = person.gain();
        self.outputs.push_back(Output::Amplify(who, gain));
    }
}

fn view(who: Who, person: &Person) -> PersonView {
    PersonView {
        who,
        standing: person.standing,
        waits: !person.is_inside(),
        muted: person.is_silenced(),
        talks: person.talks,
        gain_db: person.gain_db,
    }
}
