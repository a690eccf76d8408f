//! What calls that pass through look like to those who watch their users: as those of `call/seats.rs` do, whose words these are.
//!
//! A call has the caller's seat from its INVITE on, and the callee's, if that is a user, from the first phone that rings. What the two
//! do within their dialog (a transfer, a hold) passes the switch by: the seats stay as they are until the call is over.

use super::Proxied;
use super::call::Call;
use crate::call::{
    Named, Over, Place, Seat, SeatNews, SeatedIn, Seen, Stage, number_of, shown_as, subject_key,
};
use crate::core::environment::{Environment, brief};
use sip_stack::table::Id;
use smallvec::SmallVec;

impl Call {
    /// Its seats as they are now.
    fn seats_now(&self, env: &Environment) -> SmallVec<[Seat; 2]> {
        let mut seats = SmallVec::new();
        let Some(id) = env.config.domain_named(&self.domain).filter(|_| self.is_live()) else { return seats };
        let Some(domain) = env.domain(id) else { return seats };
        let stage = match (self.answered, self.rings) {
            (Some(_), _) => Stage::Confirmed,
            (None, true) => Stage::Early,
            (None, false) => Stage::Trying,
        };
        let mut sit = |name: &str, place, other: &[u8]| {
            let subject = subject_key(env.endpoint.hasher(), id, name);
            seats.push(Seat { subject, place, stage, other: shown_as(env, other, self.is_anonymous) });
        };
        sit(&self.caller, Place::Caller, &self.callee);
        if let Some((user, _)) = domain.user(&self.callee).filter(|_| stage != Stage::Trying) {
            sit(user, Place::Callee, self.caller.as_bytes());
        }
        seats
    }

    fn seen(&self, env: &Environment, seat: Seat) -> Seen {
        let user = match seat.place {
            Place::Caller => String::from_utf8_lossy(&self.callee).into(),
            Place::Callee | Place::Member => self.caller.clone(),
        };
        let domain = env.config.domain_named(&self.domain).and_then(|id| env.domain(id));
        let display = domain.and_then(|domain| domain.users.get(&user)?.display_name.clone());
        let display = display.map(|name| brief(&name).into());
        let party = if self.is_anonymous {
            Named { user: None, display: None }
        } else {
            Named { user: Some(user), display }
        };
        Seen::new(env, self.number, seat, party, self.answered.unwrap_or(self.started))
    }

    fn news(&self, id: Id<Call>, seat: &Seat) -> SeatNews {
        let over = self
            .end
            .as_ref()
            .map(|end| Over::with_the_call(seat.place, self.answered.is_some(), end.status, end.by));
        SeatNews {
            subject: seat.subject,
            call: SeatedIn::Passing(id.as_u64()),
            number: number_of(self.number, seat.place),
            place: seat.place,
            over,
        }
    }
}

impl Proxied {
    /// Compares the seats of a call with what they were.
    pub(super) fn attend_seats(&mut self, env: &Environment, id: Id<Call>) {
        let Some(call) = self.calls.get(id) else { return };
        let seats = call.seats_now(env);
        if seats == call.seats {
            return;
        }
        let is_new = |seat: &&Seat| !call.seats.contains(seat);
        let is_gone =
            |old: &&Seat| !seats.iter().any(|seat| (seat.subject, seat.place) == (old.subject, old.place));
        for old in call.seats.iter().filter(is_gone) {
            self.seats.remove(&(old.subject, id, old.place));
        }
        self.seats.extend(seats.iter().map(|seat| (seat.subject, id, seat.place)));
        if self.is_watched {
            let changed = call.seats.iter().filter(is_gone).chain(seats.iter().filter(is_new));
            self.news.extend(changed.map(|seat| call.news(id, seat)));
        }
        if let Some(call) = self.calls.get_mut(id) {
            call.seats = seats;
        }
    }

    fn seats_of(&self, subject: u128) -> impl Iterator<Item = (&Call, &Seat)> {
        let all =
            (subject, Id::from_u64(0), Place::Caller)..=(subject, Id::from_u64(u64::MAX), Place::Member);
        self.seats.range(all).filter_map(|(subject, id, place)| self.seat_at(*subject, *id, *place))
    }

    fn seat_at(&self, subject: u128, id: Id<Call>, place: Place) -> Option<(&Call, &Seat)> {
        let call = self.calls.get(id)?;
        let seat = call.seats.iter().find(|seat| seat.subject == subject && seat.place == place)?;
        Some((call, seat))
    }

    /// The seats of a subject.
    pub(crate) fn seen(&self, env: &Environment, subject: u128) -> impl Iterator<Item = Seen> {
        self.seats_of(subject).map(|(call, seat)| call.seen(env, *seat))
    }

    /// One seat of a subject, if it is still so.
    pub(crate) fn seen_at(&self, env: &Environment, subject: u128, call: u64, place: Place) -> Option<Seen> {
        self.seat_at(subject, Id::from_u64(call), place).map(|(call, seat)| call.seen(env, *seat))
    }

    /// Whether a user talks with somebody.
    pub(crate) fn is_talking(&self, subject: u128) -> bool {
        self.seats_of(subject).any(|(_, seat)| seat.stage == Stage::Confirmed)
    }

    /// Whether anybody wants to hear news of seats.
    pub(crate) const fn set_watched(&mut self, watched: bool) {
        self.is_watched = watched;
    }

    /// The news since they were taken last.
    pub(crate) fn take_news(&mut self) -> Vec<SeatNews> {
        core::mem::take(&mut self.news)
    }

    /// Rebuilds the index of seats.
    pub(super) fn rebuild_seats(&mut self) {
        for (id, call) in self.calls.iter() {
            self.seats.extend(call.seats.iter().map(|seat| (seat.subject, id, seat.place)));
        }
    }
}
