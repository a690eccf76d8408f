//! What the calls of a user look like to those who watch it: the one place where a change of a call becomes news for them.
//!
//! A call has seats: the caller's, the callee's, and that in a conference, which hidden users have not. A seat is of a *subject*, the user or the number of the
//! conference, and has a stage (RFC 4235 §3.7.1). Whatever happens to a call, [`Calls::settle`] compares what its seats are with what
//! they were: so ringing, answer, end, and who takes whose place need no word of their own here. What a phone of several does
//! is not told apart: a user has one dialog for each of its calls.
//!
//! If either of two does not want to be known (RFC 3323), neither is told to those who watch the other one, nor can a watcher of both tell
//! that they are in one call, but by the moment: what names a seat in documents is hashed with a key of ours.
//!
//! Calls that the switch passes on as a proxy have seats, too (`proxied/seats.rs`); their numbers are of one row with those of calls here.
//! Left out on purpose: parties behind peers, who are no users; on whose account a call is on hold.

use super::call::{Call, CallId, Ending, Phase, Side};
use super::calls::Calls;
use crate::config::{Domain, DomainId};
use crate::core::environment::{Environment, brief};
use crate::store::EndedBy;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::event::body::dialog_info::StateEvent;
use sip_stack::message::Status;
use sip_stack::table::Id;
use sip_stack::transaction::KeyHasher;
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// How far a call is for one who takes part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// No phone has said that it rings.
    Trying,
    /// It rings.
    Early,
    /// It was answered.
    Confirmed,
}

/// As what somebody takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The user calls.
    Caller,
    /// The user is called.
    Callee,
    /// The caller is a member of the conference that is the subject.
    Member,
}

/// One seat of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    /// Whose, by [`subject_key`].
    pub(crate) subject: u128,
    pub(crate) place: Place,
    pub(crate) stage: Stage,
    /// Names the other party as it is shown: another one may take its place.
    pub(crate) other: u64,
}

/// Something has happened on a seat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeatNews {
    /// Whose.
    pub(crate) subject: u128,
    pub(crate) call: SeatedIn,
    /// What names the seat for ever.
    pub(crate) number: u64,
    pub(crate) place: Place,
    /// How it has ended, if it has.
    pub(crate) over: Option<Over>,
}

/// The call that a seat is in, by its number in the table that it is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeatedIn {
    /// One of ours.
    Anchored(CallId),
    /// One that passes through.
    Passing(u64),
}

/// How a seat has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Over {
    pub(crate) event: Option<StateEvent>,
    pub(crate) status: Option<Status>,
}

/// A seat with who is on it and who is on the other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// What names the seat for ever.
    pub(crate) number: u64,
    /// What names it in documents: tells nothing of its call.
    pub(crate) alias: u64,
    pub(crate) place: Place,
    pub(crate) stage: Stage,
    /// The other party; for a member, itself.
    pub(crate) party: Named,
    /// Since when, in Unix milliseconds; of the answer if there was one.
    pub(crate) since_unix_ms: u64,
    /// A member whom the others do not hear.
    pub(crate) is_muted: bool,
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// The user part; `None`: does not want to be known.
    pub(crate) user: Option<Box<str>>,
    pub(crate) display: Option<Box<str>>,
}

/// The seats of all calls by subject.
pub(super) type SeatIndex = BTreeSet<(u128, CallId, Place)>;

/// The number of a user, or of a conference, of a domain.
pub(crate) fn subject_key(hasher: &KeyHasher, domain: DomainId, name: &str) -> u128 {
    hasher.hash(&[b"subject", &domain.0.to_be_bytes(), name.as_bytes()])
}

impl Call {
    /// Its seats as they are now.
    fn seats_now(&self, env: &Environment) -> SmallVec<[Seat; 2]> {
        let mut seats = SmallVec::new();
        let Some(domain) = env.domain(self.domain).filter(|_| self.ending.is_none()) else { return seats };
        let mut sit = |name: &str, place, stage| {
            let subject = subject_key(env.endpoint.hasher(), self.domain, name);
            seats.push(Seat { subject, place, stage, other: self.shown_as(env, place) });
        };
        let [caller, callee] = self.stages();
        if let Some(stage) = caller.filter(|_| {
            // Whoever is rung to become the caller is a callee yet.
            !self.caller_leg.is_peer && !self.is_held_elsewhere() && !self.is_summoning()
        }) {
            sit(&self.caller, Place::Caller, stage);
        }
        for member in self.members_that_ring() {
            if let Some((user, _)) = domain.user(member) {
                sit(user, Place::Callee, Stage::Early);
            }
        }
        if let Some(stage) = callee.filter(|_| !self.rings_several())
            && let Some((user, _)) = domain.user(&self.destination.user).filter(|_| self.calls_user())
        {
            sit(user, Place::Callee, stage);
        }
        let inside = self.destination.service.as_ref().and_then(|served| served.inside());
        let inside = inside.filter(|_| !self.is_hidden(domain));
        if let (Some(Stage::Confirmed), Some(attendance)) = (caller, inside) {
            sit(&String::from_utf8_lossy(&attendance.number), Place::Member, Stage::Confirmed);
        }
        seats
    }

    /// How far it is for the caller and for the callee.
    fn stages(&self) -> [Option<Stage>; 2] {
        match &self.phase {
            Phase::Locating | Phase::Reserving => [Some(Stage::Trying), None],
            Phase::Ringing(ring) if ring.branches.iter().any(|branch| !branch.dialogs.is_empty()) => {
                [Some(Stage::Early); 2]
            }
            // A lamp blinks when the phone rings, and no NOTIFY has been spent on what came before.
            Phase::Ringing(_) => [Some(Stage::Trying), None],
            Phase::Refusing { .. } => [Some(Stage::Early), None],
            Phase::Talking { .. } => [Some(Stage::Confirmed); 2],
            Phase::Served => [Some(Stage::Confirmed), None],
            Phase::Ended => [None; 2],
        }
    }

    /// What the other party of a seat is shown as, in a number.
    fn shown_as(&self, env: &Environment, place: Place) -> u64 {
        let user = match place {
            Place::Caller => &*self.destination.user,
            Place::Callee | Place::Member => self.caller.as_bytes(),
        };
        let shown = shown_as(env, user, self.anonymous || self.callee_anonymous);
        if place == Place::Member && self.is_muted() { shown.wrapping_add(1) } else { shown }
    }

    /// Whether it is in a conference that does not hear it.
    fn is_muted(&self) -> bool {
        let inside = self.destination.service.as_ref().and_then(|served| served.inside());
        inside.is_some_and(|attendance| !attendance.role.is_heard_by_all())
    }

    /// Whether its caller is nobody's business.
    fn is_hidden(&self, domain: &Domain) -> bool {
        let caller = self.user_on(domain, Side::Caller).and_then(|user| domain.users.get(user));
        caller.is_some_and(|user| user.hidden)
    }

    /// Whether a user of ours is called, as far as it is not a peer or the switch itself.
    pub(super) fn calls_user(&self) -> bool {
        match &self.phase {
            Phase::Talking { callee } => !callee.is_peer,
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => self.destination.peer.is_none() && !self.destination.is_served(),
        }
    }

    fn seen(&self, env: &Environment, seat: Seat) -> Seen {
        let name_of = |user: &str| env.domain(self.domain)?.users.get(user)?.display_name.clone();
        let mut party = match seat.place {
            Place::Caller | Place::Callee | Place::Member if self.anonymous || self.callee_anonymous => {
                Named { user: None, display: None }
            }
            Place::Caller => {
                let user: Box<str> = String::from_utf8_lossy(&self.destination.user).into();
                Named { display: name_of(&user), user: Some(user) }
            }
            Place::Callee | Place::Member => Named {
                user: Some(self.caller.clone()),
                display: name_of(&self.caller).or_else(|| unquoted(&self.caller_name)),
            },
        };
        party.display = party.display.map(|name| brief(&name).into());
        let since: Time = self.answered.unwrap_or(self.started);
        let is_muted = seat.place == Place::Member && self.is_muted();
        Seen { is_muted, ..Seen::new(env, self.number, seat, party, since) }
    }

    /// How the seat has ended: with the call, or because somebody else sits there.
    fn over(&self, place: Place) -> Over {
        let Some(Ending { status, by, .. }) = self.ending else {
            return Over { event: Some(StateEvent::Replaced), status: None };
        };
        Over::with_the_call(place, self.answered.is_some(), status, by)
    }
}

impl Over {
    /// How a seat ends with its call.
    pub(crate) fn with_the_call(place: Place, was_answered: bool, status: Status, by: EndedBy) -> Over {
        let side = if place == Place::Callee { Side::Callee } else { Side::Caller };
        let event = match (was_answered, by) {
            (false, EndedBy::Caller) => StateEvent::Cancelled,
            (false, EndedBy::Switch) if status == Status::REQUEST_TIMEOUT => StateEvent::Timeout,
            (false, EndedBy::Callee | EndedBy::Switch) => StateEvent::Rejected,
            (true, EndedBy::Switch) => StateEvent::Error,
            (true, by) if by == side.ended_by() => StateEvent::LocalBye,
            (true, EndedBy::Caller | EndedBy::Callee) => StateEvent::RemoteBye,
        };
        Over { event: Some(event), status: Some(status).filter(|status| !status.is_success()) }
    }
}

impl Seen {
    /// A seat of the call of that number, with the party that is shown on it.
    pub(crate) fn new(env: &Environment, call: u64, seat: Seat, party: Named, since: Time) -> Seen {
        let number = number_of(call, seat.place);
        Seen {
            number,
            alias: env.endpoint.hasher().hash(&[b"seat", &number.to_be_bytes(), &seat.subject.to_be_bytes()])
                as u64,
            place: seat.place,
            stage: seat.stage,
            party,
            since_unix_ms: env.unix_ms(since),
            is_muted: false,
        }
    }
}

impl Calls {
    /// Compares the seats of a call with what they were.
    pub(super) fn attend_seats(&mut self, env: &Environment, id: CallId) {
        let Some(call) = self.table.get(id) else { return };
        let seats = call.seats_now(env);
        if seats == call.seats {
            return;
        }
        let same = |a: &Seat, b: &Seat| (a.subject, a.place) == (b.subject, b.place);
        for old in call.seats.iter().filter(|old| !seats.iter().any(|seat| same(seat, old))) {
            self.seats.remove(&(old.subject, id, old.place));
            if !self.call_backs.is_empty() && !self.is_seated(old.subject) {
                self.call_backs.note_free(old.subject, env.now);
            }
            if self.is_watched {
                self.news.push(news(id, call, old, Some(call.over(old.place))));
            }
        }
        for seat in seats.iter().filter(|seat| !call.seats.contains(seat)) {
            self.seats.insert((seat.subject, id, seat.place));
            if self.is_watched {
                self.news.push(news(id, call, seat, None));
            }
        }
        if let Some(call) = self.table.get_mut(id) {
            call.seats = seats;
        }
    }

    /// The seats of a subject.
    pub(crate) fn seen(&self, env: &Environment, subject: u128) -> impl Iterator<Item = Seen> {
        self.seats_of(subject).map(|(call, seat)| call.seen(env, *seat))
    }

    fn seats_of(&self, subject: u128) -> impl Iterator<Item = (&Call, &Seat)> {
        let all =
            (subject, Id::from_u64(0), Place::Caller)..=(subject, Id::from_u64(u64::MAX), Place::Member);
        self.seats.range(all).filter_map(|(subject, call, place)| self.seat_at(*subject, *call, *place))
    }

    /// The calls that a subject takes part in, and as what.
    pub(super) fn partners_of(&self, subject: u128) -> impl Iterator<Item = (&Call, Place)> {
        self.seats_of(subject).map(|(call, seat)| (call, seat.place))
    }

    /// The calls in which a subject has that place.
    pub(super) fn calls_of(&self, subject: u128, place: Place) -> impl Iterator<Item = (CallId, &Call)> {
        let all =
            (subject, Id::from_u64(0), Place::Caller)..=(subject, Id::from_u64(u64::MAX), Place::Member);
        let found = self.seats.range(all).filter(move |(_, _, at)| *at == place);
        found.filter_map(|(_, call, _)| Some((*call, self.table.get(*call)?)))
    }

    fn seat_at(&self, subject: u128, call: CallId, place: Place) -> Option<(&Call, &Seat)> {
        let call = self.table.get(call)?;
        let seat = call.seats.iter().find(|seat| seat.subject == subject && seat.place == place)?;
        Some((call, seat))
    }

    /// One seat of a subject, if it is still so.
    pub(crate) fn seen_at(
        &self,
        env: &Environment,
        subject: u128,
        call: CallId,
        place: Place,
    ) -> Option<Seen> {
        self.seat_at(subject, call, place).map(|(call, seat)| call.seen(env, *seat))
    }

    /// Whether a user is in any call, of whatever stage.
    pub(super) fn is_seated(&self, subject: u128) -> bool {
        let all =
            (subject, Id::from_u64(0), Place::Caller)..=(subject, Id::from_u64(u64::MAX), Place::Member);
        self.seats.range(all).next().is_some()
    }

    /// Whether a user talks with somebody.
    pub(crate) fn is_talking(&self, subject: u128) -> bool {
        self.seats_of(subject).any(|(_, seat)| seat.stage == Stage::Confirmed && seat.place != Place::Member)
    }

    /// Whether anybody wants to hear news of seats.
    pub(crate) fn set_watched(&mut self, watched: bool) {
        self.is_watched = watched;
    }

    /// The news since they were taken last.
    pub(crate) fn take_news(&mut self) -> Vec<SeatNews> {
        core::mem::take(&mut self.news)
    }

    /// Rebuilds the index of seats.
    pub(super) fn rebuild_seats(&mut self) {
        for (id, call) in self.table.iter() {
            self.seats.extend(call.seats.iter().map(|seat| (seat.subject, id, seat.place)));
        }
    }
}

fn news(call: CallId, of: &Call, seat: &Seat, over: Option<Over>) -> SeatNews {
    SeatNews {
        subject: seat.subject,
        call: SeatedIn::Anchored(call),
        number: number_of(of.number, seat.place),
        place: seat.place,
        over,
    }
}

/// What a party is shown as, in a number.
pub(crate) fn shown_as(env: &Environment, user: &[u8], is_hidden: bool) -> u64 {
    env.endpoint.hasher().hash(&[b"party", user, &[u8::from(is_hidden)]]) as u64
}

/// Names a seat for ever.
pub(crate) const fn number_of(call: u64, place: Place) -> u64 {
    call.wrapping_mul(4) + place as u64
}

/// A display name without its quotes.
fn unquoted(name: &[u8]) -> Option<Box<str>> {
    let name = name.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut plain = Vec::with_capacity(name.len());
    let mut octets = name.iter();
    while let Some(octet) = octets.next() {
        plain.push(if *octet == b'\\' { *octets.next()? } else { *octet });
    }
    (!plain.is_empty()).then(|| String::from_utf8_lossy(&plain).into())
}
