//! What should be: the ends of calls at the phones, and which of them may be connected.
//!
//! The rules are those that a user knows, not those of the switch. Ends are of one *family* when something that a user or a program has done
//! explains that they are connected: who calls and whose phone rings with the caller's name; the partners of somebody who transfers,
//! parks or joins two calls, and whoever rings by that; who dials a code and those whom it can be meant for. Nobody may ever hear anybody
//! of another family. Of a family with two ends that are up, and no place where calls wait, each has to hear the other.

use super::act::{Number, PHONES, user_name, user_of};
use sip_stack::Time;
use softphone::phone::CallId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// More calls than a phone has.
const LIVES: u64 = 1_000_000;
/// An INVITE is sent again for so long.
const LATE: Duration = Duration::from_secs(33);

/// An end of a call: at a phone.
pub type End = (usize, CallId);

/// What is known of an end.
#[derive(Clone, Debug)]
pub struct Known {
    /// It was begun by its phone, which dialled this.
    pub dialled: Option<String>,
    /// It was connected.
    pub up: bool,
    /// It is over.
    pub over: bool,
    /// Since when.
    over_at: Time,
    /// It, or its partner, is on the way to somebody else.
    pub loose: bool,
    /// Its dialog, as the wire has it.
    pub call_id: Option<Box<[u8]>>,
    family: usize,
}

impl Known {
    /// Whether nothing can come of it any more: messages may have been lost a few times.
    fn is_past(&self, now: Time) -> bool {
        self.over && self.over_at + LATE < now
    }
}

/// The ends, and their families.
#[derive(Debug, Default)]
pub struct Book {
    /// Every end there was.
    pub ends: BTreeMap<End, Known>,
    /// What was dialled in a family: where else its ends may be.
    aims: BTreeMap<usize, BTreeSet<String>>,
    families: usize,
}

impl Book {
    fn add(&mut self, end: End, dialled: Option<String>) {
        self.families += 1;
        let family = self.families;
        if let Some(number) = &dialled {
            self.aims.entry(family).or_default().insert(number.clone());
        }
        let known = Known {
            dialled,
            up: false,
            over: false,
            over_at: Time::default(),
            loose: false,
            call_id: None,
            family,
        };
        self.ends.insert(end, known);
    }

    /// Two ends are of one family from now on.
    fn unite(&mut self, one: End, other: End) {
        let (Some(one), Some(other)) = (self.family(one), self.family(other)) else { return };
        if one == other {
            return;
        }
        for known in self.ends.values_mut().filter(|known| known.family == other) {
            known.family = one;
        }
        let aims = self.aims.remove(&other).unwrap_or_default();
        self.aims.entry(one).or_default().extend(aims);
    }

    fn unite_all(&mut self, end: End, others: Vec<End>) {
        others.into_iter().for_each(|other| self.unite(end, other));
    }

    /// The family of an end.
    #[must_use]
    pub fn family(&self, end: End) -> Option<usize> {
        self.ends.get(&end).map(|known| known.family)
    }

    fn select(&self, wanted: impl Fn(&End, &Known) -> bool) -> Vec<End> {
        self.ends.iter().filter(|(end, known)| wanted(end, known)).map(|(end, _)| *end).collect()
    }

    /// A phone has dialled.
    pub fn dialled(&mut self, now: Time, end: End, number: &str) {
        self.add(end, Some(number.to_owned()));
        self.meant(now, end, number);
    }

    /// Whoever a code can be meant for is of the family of who dials it. What rings may have its INVITE on the way yet, so this is asked
    /// when the code is dialled, and when it is answered.
    fn meant(&mut self, now: Time, end: End, number: &str) {
        let user = user_of(end.0);
        let rings_at = |called: &dyn Fn(usize) -> bool| {
            self.select(|other, known| {
                let rings = known.dialled.is_none() && !known.up && called(user_of(other.0));
                let calls = known.dialled.as_ref().is_some_and(|dialled| {
                    *dialled == Number::Group.dialled()
                        || (0..super::act::USERS).any(|user| called(user) && *dialled == user_name(user))
                });
                *other != end && !known.is_past(now) && (rings || calls)
            })
        };
        let others = if let Some(called) = number.strip_prefix("**") {
            rings_at(&|user| user_name(user) == called)
        } else if number == Number::PickupGroup.dialled() {
            rings_at(&|other| (other < 24) == (user < 24))
        } else if number == Number::TakeOver.dialled() {
            self.select(|other, known| user_of(other.0) == user && known.up && !known.is_past(now))
        } else if number.starts_with("70") {
            self.select(|_, known| known.loose && !known.is_past(now))
        } else {
            Vec::new()
        };
        self.unite_all(end, others);
    }

    /// A phone rings with this name; whether anybody of that name can be why.
    pub fn rings(&mut self, now: Time, end: End, from: &str) -> bool {
        self.add(end, None);
        let callers = self.select(|other, known| {
            let calls = known.dialled.is_some() && !known.up;
            *other != end
                && user_name(user_of(other.0)) == from
                && !known.is_past(now)
                && (calls || known.loose)
        });
        let is_explained = !callers.is_empty();
        self.unite_all(end, callers);
        is_explained
    }

    /// It is connected.
    pub fn connected(&mut self, now: Time, end: End) {
        let dialled = self.ends.get(&end).and_then(|known| known.dialled.clone());
        if let Some(number) = dialled {
            self.meant(now, end, &number);
        }
        self.ends.entry(end).and_modify(|known| known.up = true);
    }

    /// It is over.
    pub fn over(&mut self, now: Time, end: End) {
        self.ends.entry(end).and_modify(|known| (known.over, known.over_at) = (true, now));
    }

    /// The partner of an end is sent to a number: whoever is of the family may ring anew, or wait there.
    pub fn sent(&mut self, end: End, number: &str) {
        let Some(family) = self.family(end) else { return };
        self.aims.entry(family).or_default().insert(number.to_owned());
        for known in self.ends.values_mut().filter(|known| known.family == family) {
            known.loose = true;
        }
    }

    /// The partners of two ends are brought together.
    pub fn joined(&mut self, one: End, other: End) {
        self.unite(one, other);
        self.sent(one, "");
    }

    /// A phone has lost its power: its ends are no more, and it counts its calls anew.
    pub fn vanished(&mut self, now: Time, phone: usize) {
        for (owner, call) in self.select(|(owner, call), _| *owner == phone && call.0 < LIVES) {
            let Some(known) = self.ends.remove(&(owner, call)) else { continue };
            self.families += 1;
            let before = (owner, CallId(call.0 + LIVES * self.families as u64));
            self.ends.insert(before, Known { over: true, over_at: now, ..known });
        }
    }

    /// Ends of a family that are up.
    #[must_use]
    pub fn up_in(&self, family: usize) -> Vec<End> {
        self.select(|_, known| known.family == family && known.up && !known.over)
    }

    /// Whether one of this family may be there.
    #[must_use]
    pub fn aims_at(&self, end: End, number: &str) -> bool {
        self.family(end).and_then(|family| self.aims.get(&family)).is_some_and(|aims| aims.contains(number))
    }

    /// Whether the family has a place where a single end may be up.
    #[must_use]
    pub fn may_wait(&self, end: End) -> bool {
        let aims = self.family(end).and_then(|family| self.aims.get(&family));
        let is_place = |aim: &String| {
            [Number::Service.dialled(), Number::Park.dialled()].contains(aim)
                || aim.starts_with("300")
                || aim.starts_with("70")
                || aim.starts_with(['*', '#'])
        };
        aims.is_some_and(|aims| aims.iter().any(is_place))
    }

    /// The end of that dialog.
    #[must_use]
    pub fn named(&self, call_id: &[u8]) -> Option<End> {
        let mut ends = self.ends.iter();
        ends.find(|(_, known)| known.call_id.as_deref() == Some(call_id)).map(|(end, _)| *end)
    }

    /// The end that a new dialog of a phone is of: the latest without one that it has begun, or that has begun by ringing.
    pub fn name(&mut self, phone: usize, begun: bool, call_id: &[u8]) {
        let new = self.ends.range_mut((phone, CallId(0))..).take_while(|((owner, _), _)| *owner == phone);
        let mut new = new.filter(|(_, known)| known.dialled.is_some() == begun && known.call_id.is_none());
        if let Some((_, known)) = new.next() {
            known.call_id = Some(call_id.into());
        }
    }

    /// Whether a user is up in a call and on the way to somebody else.
    #[must_use]
    pub fn is_loose(&self, user: usize) -> bool {
        self.ends
            .iter()
            .any(|((phone, _), known)| user_of(*phone) == user && known.up && !known.over && known.loose)
    }

    /// What a lamp of each user should show: the furthest of its calls, as [`softphone::phone::Lamp`] orders them.
    #[must_use]
    pub fn lamps(&self) -> BTreeMap<usize, usize> {
        let mut lamps: BTreeMap<usize, usize> = (0..PHONES).map(|phone| (user_of(phone), 0)).collect();
        for ((phone, _), known) in self.ends.iter().filter(|(_, known)| !known.over) {
            let stage = match (known.up, known.dialled.is_some()) {
                (true, _) => 3,
                (false, true) => 1,
                (false, false) => 2,
            };
            lamps.entry(user_of(*phone)).and_modify(|lamp| *lamp = stage.max(*lamp));
        }
        lamps
    }
}
