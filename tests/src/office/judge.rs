//! What is compared: who is in which call by phones, store and book, who hears whom on the wire, lamps, and the books when all is over.

use super::act::{PHONES, user_name, user_of};
use super::book::End;
use super::{FORGOTTEN, Office, act};
use crate::sim::{Faults, PhoneId, Step};
use softphone::phone::{AccountId, CallStage, Command, Lamp};
use softswitch::core::Holdings;
use softswitch::records::{Cause, Happening};
use softswitch::store::{CallRecord, EndedBy};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// So long no message comes while things are settled: longer than the longest wait before one is sent again, but for INVITEs.
const SETTLED: Duration = Duration::from_millis(4_200);
/// It settles within that, or is not looked at.
const PATIENCE: Duration = Duration::from_secs(60);
/// Packets that are said before it is listened, and then.
const WARM_UP: usize = 20;
const LISTENED: usize = 20;

/// Where an end is, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    /// With this other one.
    With(End),
    /// Alone in a call to this number.
    Alone(String),
}

impl Office {
    /// Waits until nothing is under way, then looks at everything; whether it came to that.
    pub(super) fn look(&mut self) -> bool {
        let weather = core::mem::replace(&mut self.world.network.faults, Faults::NONE);
        let settled = self.settle();
        if settled {
            self.looked.0 += 1;
            let seats = self.seats();
            self.judge_seats(&seats);
            self.judge_lamps();
            self.listen(&seats);
        }
        self.world.network.faults = weather;
        settled
    }

    /// Whether there comes a time of quiet.
    fn settle(&mut self) -> bool {
        let until = self.world.now + PATIENCE;
        while self.world.now < until {
            let before = self.world.arrived;
            self.run_for(SETTLED);
            if self.world.arrived == before {
                return true;
            }
        }
        false
    }

    fn is_excused(&self, phone: usize) -> bool {
        self.excused[phone] > self.world.now
    }

    /// The ends that are up at the phones.
    fn up(&self) -> Vec<End> {
        let phones = self.world.phones.iter().enumerate();
        phones
            .flat_map(|(phone, handset)| {
                let up = handset.phone.overview().into_iter();
                up.filter(|call| matches!(call.stage, CallStage::Connected(_)))
                    .map(move |call| (phone, call.call))
            })
            .collect()
    }

    /// Where each end is by the store.
    fn seats(&mut self) -> BTreeMap<End, Seat> {
        let mut seats = BTreeMap::new();
        let open = self.world.ledger.as_ref().map(|ledger| ledger.open.clone()).unwrap_or_default();
        for (number, open) in open {
            let ends: Vec<Option<End>> =
                open.parties.iter().map(|party| self.book.named(&party.dialog.call_id)).collect();
            let seated = match ends.as_slice() {
                [] => vec![],
                [Some(end)] => vec![(*end, Seat::Alone(open.record.callee.to_string()))],
                [Some(one), Some(other)] => vec![(*one, Seat::With(*other)), (*other, Seat::With(*one))],
                _ => {
                    let text =
                        format!("call {number} has parties that no phone has begun: {:?}", open.parties);
                    self.complain(text);
                    vec![]
                }
            };
            for (end, seat) in seated {
                if let Some(other) = seats.insert(end, seat) {
                    self.complain(format!("{end:?} is in two calls, one of them {other:?}"));
                }
            }
        }
        seats
    }

    fn judge_seats(&mut self, seats: &BTreeMap<End, Seat>) {
        let up: BTreeSet<End> = self.up().into_iter().collect();
        for end in &up {
            let is_loose = self.book.ends.get(end).is_some_and(|known| known.loose);
            match seats.get(end) {
                // Who is being transferred is in no call of the store for a while.
                None if is_loose || self.is_excused(end.0) => {}
                None => self.complain(format!("a leg without a call: {end:?} is up at its phone")),
                Some(Seat::With(other)) => {
                    if self.book.family(*end) != self.book.family(*other) {
                        self.complain(format!("{end:?} and {other:?} are connected for no reason"));
                    }
                }
                Some(Seat::Alone(number)) => {
                    if !self.book.may_wait(*end) {
                        self.complain(format!("{end:?} is alone at {number} for no reason"));
                    }
                }
            }
        }
        for (end, seat) in seats {
            if !up.contains(end) && !self.is_excused(end.0) {
                self.complain(format!("a call without a leg: {end:?} is over at its phone, {seat:?}"));
            }
        }
        self.judge_pairs(&up, seats);
    }

    /// Two that are the last of their family talk with each other.
    fn judge_pairs(&mut self, up: &BTreeSet<End>, seats: &BTreeMap<End, Seat>) {
        for end in up {
            let family = self.book.family(*end).unwrap_or_default();
            let family = self.book.up_in(family);
            let (true, [one, other]) = (!self.book.may_wait(*end), family.as_slice()) else { continue };
            let is_excused = [one, other].iter().any(|end| self.is_excused(end.0) || !up.contains(end));
            let is_loose = self.book.ends.get(end).is_some_and(|known| known.loose);
            if !is_excused && !is_loose && seats.get(one) != Some(&Seat::With(*other)) {
                self.complain(format!("{one:?} and {other:?} are not connected: {:?}", seats.get(one)));
            }
        }
    }

    fn judge_lamps(&mut self) {
        // The switch has forgotten who watches; who refreshes a subscription hears so.
        if self.world.now < self.lamps_from {
            return;
        }
        let shown = self.book.lamps();
        let mut wrong = Vec::new();
        for (phone, handset) in self.world.phones.iter().enumerate() {
            if !handset.phone.is_registered() || self.is_excused(phone) {
                continue;
            }
            for watched in handset.phone.watched() {
                let user = (0..act::USERS).find(|user| *user_name(*user) == *watched.target);
                let (Some(user), Some(lamp)) = (user, watched.lamp) else { continue };
                let its = (0..PHONES).filter(|phone| user_of(*phone) == user);
                if its.into_iter().any(|phone| self.is_excused(phone)) {
                    continue;
                }
                let lit = match lamp {
                    Lamp::Idle => 0,
                    Lamp::Calling => 1,
                    Lamp::Ringing => 2,
                    Lamp::Talking => 3,
                };
                // Who is on the way to somebody else is calling as well as talking, and may be called meanwhile.
                let is_both = (1..3).contains(&lit) && self.book.is_loose(user);
                if shown.get(&user) != Some(&lit) && !is_both {
                    let is = shown.get(&user);
                    wrong.push(format!("a lamp of user {user} at phone {phone}: {lamp:?}, not {is:?}"));
                }
            }
        }
        wrong.into_iter().for_each(|what| self.complain(what));
    }

    /// Everybody says something, and who hears whom is compared with who should.
    fn listen(&mut self, seats: &BTreeMap<End, Seat>) {
        let before: BTreeSet<End> = self.up().into_iter().collect();
        for packet in 0..WARM_UP + LISTENED {
            if packet == WARM_UP {
                let ears = self.world.phones.iter_mut().flat_map(|handset| handset.ears.values_mut());
                ears.for_each(|ear| ear.heard.clear());
            }
            self.say();
            self.run_for(Duration::from_millis(20));
        }
        let up: Vec<End> = self.up().into_iter().filter(|end| before.contains(end)).collect();
        if self.seats() != *seats {
            return;
        }
        for end in &up {
            let heard = self.world.phones[end.0].ears.get(&end.1).map(|ear| self.tones.heard(&ear.heard));
            let should: Vec<usize> = self.should_hear(*end, &up, seats);
            let (heard, is_excused) = (heard.unwrap_or_default(), self.should_be_excused(*end, seats));
            self.looked.1 += 1;
            if heard != should && !is_excused {
                let seat = seats.get(end);
                self.complain(format!("{end:?} hears phones {heard:?}, not {should:?}: {seat:?}"));
            }
        }
        let ears = self.world.phones.iter_mut().flat_map(|handset| handset.ears.values_mut());
        ears.for_each(|ear| ear.heard = Vec::new());
    }

    fn should_be_excused(&self, end: End, seats: &BTreeMap<End, Seat>) -> bool {
        let other = match seats.get(&end) {
            Some(Seat::With(other)) => self.is_excused(other.0),
            Some(Seat::Alone(_)) => false,
            None => true,
        };
        self.is_excused(end.0) || other
    }

    /// Whether an end neither hears nor is heard: it holds, or is held.
    fn holds(&self, end: End) -> bool {
        let calls = self.world.phones[end.0].phone.overview();
        calls.iter().any(|call| call.call == end.1 && call.held)
    }

    fn should_hear(&self, end: End, up: &[End], seats: &BTreeMap<End, Seat>) -> Vec<usize> {
        let mut phones: Vec<usize> = match seats.get(&end) {
            Some(Seat::With(other)) if !self.holds(end) && !self.holds(*other) => vec![other.0],
            Some(Seat::Alone(number)) if number.starts_with("300") && !self.holds(end) => {
                // A member that holds wants to hear nobody, and is heard where it says something: its description has "sendonly".
                let there = |other: &&End| **other != end && seats.get(other) == seats.get(&end);
                up.iter().filter(there).map(|other| other.0).collect()
            }
            Some(Seat::With(_) | Seat::Alone(_)) | None => vec![],
        };
        phones.sort_unstable();
        phones.dedup();
        phones
    }

    /// Everybody hangs up, unregisters and goes; nothing may be left, and the books are closed.
    pub(super) fn close(&mut self) {
        self.look();
        if self.has_complaints() {
            return;
        }
        self.world.network.faults = Faults::NONE;
        for _ in 0..30 {
            for phone in 0..PHONES {
                for call in self.world.phones[phone].phone.call_ids() {
                    // One that is given up already cannot be given up again.
                    let _over = self.world.command(PhoneId(phone), Command::HangUp { call });
                }
            }
            self.run_for(Duration::from_secs(5));
            if self.world.phones.iter().all(|handset| handset.phone.calls() == 0) {
                break;
            }
        }
        self.run_for(FORGOTTEN[1]);
        self.judge_lamps();
        self.leave_all();
        let now = self.world.now;
        if let Some(model) = &mut self.world.model {
            model.end(now);
        }
        self.judge_records();
        if let Some(ledger) = &mut self.world.ledger {
            ledger.close(now);
        }
    }

    fn leave_all(&mut self) {
        let account = AccountId::FIRST;
        for phone in 0..PHONES {
            let watched = self.world.phones[phone].phone.watched();
            for target in watched.into_iter().map(|watched| watched.target) {
                // What is not watched any more need not be.
                let _done =
                    self.world.command(PhoneId(phone), Command::Watch { account, target, wanted: false });
            }
        }
        self.run_for(Duration::from_secs(40));
        for phone in 0..PHONES {
            // Who is not registered is not.
            let _done = self.world.command(PhoneId(phone), Command::Unregister);
        }
        self.run_for(Duration::from_secs(4_000));
        self.world.step(self.world.now);
        let (held, legs) = (self.world.switch.holdings(), self.world.media_legs());
        let ringing = self.world.switch.poll_timeout();
        if held != Holdings::default() || legs != 0 || ringing.is_some() {
            self.complain(format!("something is left: {legs} media legs, a timer at {ringing:?}, {held:?}"));
        }
        let _idle: Step = self.world.step(self.world.now);
    }

    fn judge_records(&mut self) {
        let Some(ledger) = &self.world.ledger else { return };
        let mut wrong = Vec::new();
        let mut attempts: BTreeMap<SocketAddr, i64> = BTreeMap::new();
        for (call, record) in &ledger.records {
            wrong.extend(
                self.misjudged(record).map(|what| format!("who hung up, call {call:?}: {what}: {record:?}")),
            );
            for attempt in &record.attempts {
                *attempts.entry(attempt.address).or_default() -= 1;
            }
        }
        for to in self.wire.asked.values() {
            *attempts.entry(*to).or_default() += 1;
        }
        let missing = attempts.iter().filter(|(_, more)| **more != 0);
        if !ledger.was_killed() {
            wrong.extend(missing.map(|(to, more)| format!("attempts: {more} more at {to} than in records")));
        }
        wrong.into_iter().for_each(|what| self.complain(what));
    }

    /// What the wire says against who has ended a call, where that can be told.
    fn misjudged(&self, record: &CallRecord) -> Option<&'static str> {
        let changed =
            |what: &Happening| matches!(what, Happening::Replaced { .. } | Happening::Transferred { .. });
        if record.journal.entries.iter().any(|entry| changed(&entry.what)) || record.referred_by.is_some() {
            return None;
        }
        let caller = self.wire.caller_of(&record.id)?;
        let gave_up = self.wire.given_up.get(caller).map(|at| self.unix_ms(*at));
        // Of two who hang up in the same millisecond either may have been the first.
        let was_first = gave_up.is_some_and(|at| at < record.ended_unix_ms);
        let gave_up = gave_up.is_some_and(|at| at <= record.ended_unix_ms);
        let is_told = record.answered_unix_ms.is_some() && record.cause == Cause::Completed;
        match record.ended_by {
            EndedBy::Caller if !gave_up => Some("the caller did not"),
            EndedBy::Callee | EndedBy::Switch if was_first && (is_told || record.status == 487) => {
                Some("the caller did")
            }
            EndedBy::Callee if is_told => {
                let others = self.wire.given_up.iter().filter(|(call_id, _)| *call_id != caller);
                let theirs = others.map(|(_, at)| self.unix_ms(*at).abs_diff(record.ended_unix_ms));
                (!theirs.into_iter().any(|apart| apart <= 1)).then_some("nobody did then")
            }
            EndedBy::Caller | EndedBy::Callee | EndedBy::Switch => None,
        }
    }

    fn unix_ms(&self, at: sip_stack::Time) -> u64 {
        crate::sim::EPOCH_UNIX_MS + at.0 / 1_000_000
    }
}
