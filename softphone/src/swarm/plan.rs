//! What a swarm does: who calls whom how often and for how long, who meets in which room, and what is expected of it.

use super::lamps::LONG_ENOUGH;
use crate::phone::Codec;
use std::time::Duration;

/// Tones that can be told from each other; as many may talk in a room.
pub(super) const MAX_TALKERS: usize = crate::scenario::meter::TONES.len();
/// Users of a swarm.
const MAX_USERS: usize = 20_000;

/// Who hangs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bye {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
    /// The two in turn, call by call.
    Mixed,
}

/// The worst that is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Lost packets of a hundred.
    pub loss_percent: f64,
    /// 95 of 100 calls are connected within this, from dialling to the answer.
    pub setup: Option<Duration>,
    /// 99 of 100 packets arrive within this; measured in calls of two whose packets the server relays as they are.
    pub one_way: Option<Duration>,
    /// 95 of 100 beginnings of a tone are heard within this.
    pub mouth_to_ear: Option<Duration>,
}

/// What a swarm does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The phones. The first `rooms × participants` go into rooms, the rest call each other in pairs.
    pub users: Vec<Box<str>>,
    /// The numbers of the rooms.
    pub rooms: Vec<u64>,
    /// Phones in each room.
    pub participants: usize,
    /// How many of them talk, the others listen and are silent; at most [`Plan::check`] says.
    pub talkers: usize,
    /// Calls of two in all; `None`: as many as begin within [`Plan::duration`].
    pub calls: Option<u64>,
    /// Calls that begin in a second, those into rooms included.
    pub rate: f64,
    /// Calls of two at a time.
    pub concurrency: usize,
    /// How long two talk.
    pub talk: Duration,
    /// For how long the caller holds the other in the middle of it; zero: not at all.
    pub hold: Duration,
    /// How long it rings.
    pub ring: Duration,
    /// Everybody in a pair is watched by somebody of another one (busy lamps).
    pub lamps: bool,
    /// Who hangs up.
    pub bye: Bye,
    /// How long rooms stay, and new calls begin, counted from when all are registered.
    pub duration: Duration,
    /// What is offered and taken.
    pub codec: Codec,
    /// What the second of each two offers and takes instead, so that the server has to transcode.
    pub other_codec: Option<Codec>,
    /// The whole voice with jitter buffer and RTCP for each call, not tones of G.711.
    pub whole: bool,
    /// Registrations that begin in a second.
    pub register_rate: f64,
    /// The worst that is accepted.
    pub limits: Limits,
}

/// A plan that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is not understood who the users are.
    #[error("--users \"{}\": give numbers and ranges, as in 1000..1999,2005; a range ends not before it begins", .0.escape_default())]
    Users(Box<str>),
    /// More than a swarm can have.
    #[error("a swarm has at most {MAX_USERS} users")]
    TooManyUsers,
    /// Not enough users for the rooms.
    #[error(
        "the rooms need {needed} users, and there are {users}: give more --users, or less --rooms or --participants"
    )]
    TooFewUsers {
        /// For all rooms.
        needed: usize,
        /// That there are.
        users: usize,
    },
    /// Nobody does anything.
    #[error("nobody has anything to do: give at least two users for calls, or --rooms")]
    Nothing,
    /// A room of one, or with more talkers than members or tones.
    #[error("a room needs 2 participants or more and 1 to {MAX_TALKERS} talkers among them")]
    Room,
    /// Only the whole voice speaks it.
    #[error("--codec {0} needs --whole: the tones of a swarm are G.711")]
    Codec(&'static str),
    /// A rate of nothing.
    #[error("--rate and --register-rate must be above 0")]
    Rate,
    /// Nobody calls for long enough to be seen.
    #[error("--lamps needs pairs that call each other, with a --talk of {} s or more", LONG_ENOUGH.as_secs())]
    Lamps,
    /// The hold does not fit into the call.
    #[error("--hold {hold_s} s needs a --talk of {needed_s} s or more")]
    Hold {
        /// The hold, in seconds.
        hold_s: u64,
        /// The talk time that it needs, in seconds.
        needed_s: u64,
    },
}

/// The users that a text such as `1000..1999,2005` means; both ends of a range belong to it, and its numbers have as many
/// digits as its beginning.
///
/// # Errors
/// [`PlanError::Users`], [`PlanError::TooManyUsers`]
pub fn users(text: &str) -> Result<Vec<Box<str>>, PlanError> {
    let wrong = || PlanError::Users(text.into());
    let mut users: Vec<Box<str>> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let Some((first, last)) = part.split_once("..") else {
            if part.is_empty() {
                return Err(wrong());
            }
            users.push(part.into());
            continue;
        };
        let (from, to): (u64, u64) =
            (first.parse().map_err(|_| wrong())?, last.trim_start_matches('=').parse().map_err(|_| wrong())?);
        if to < from {
            return Err(wrong());
        }
        if to - from >= MAX_USERS as u64 {
            return Err(PlanError::TooManyUsers);
        }
        users.extend((from..=to).map(|number| format!("{number:0width$}", width = first.len()).into()));
    }
    if users.len() > MAX_USERS { Err(PlanError::TooManyUsers) } else { Ok(users) }
}

impl Plan {
    /// Whether it can be carried out.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn check(&self) -> Result<(), PlanError> {
        let needed = self.rooms.len().saturating_mul(self.participants);
        if self.users.len() > MAX_USERS {
            return Err(PlanError::TooManyUsers);
        }
        if self.users.len() < needed {
            return Err(PlanError::TooFewUsers { needed, users: self.users.len() });
        }
        let talkers = 1..=self.participants.min(MAX_TALKERS);
        if !self.rooms.is_empty() && (self.participants < 2 || !talkers.contains(&self.talkers)) {
            return Err(PlanError::Room);
        }
        if self.rooms.is_empty() && (self.pairs() == 0 || self.calls == Some(0)) {
            return Err(PlanError::Nothing);
        }
        let is_cheap = |codec: &Codec| matches!(codec, Codec::Pcmu | Codec::Pcma);
        let dear = [Some(self.codec), self.other_codec].into_iter().flatten().find(|codec| !is_cheap(codec));
        if let (false, Some(codec)) = (self.whole, dear) {
            return Err(PlanError::Codec(codec.name()));
        }
        if !(self.rate > 0.0 && self.register_rate > 0.0) {
            return Err(PlanError::Rate);
        }
        if self.lamps && (self.pairs() == 0 || self.talk < LONG_ENOUGH) {
            return Err(PlanError::Lamps);
        }
        // Before, and after it, a second to hear each other in.
        let needed = self.hold + Duration::from_secs(4);
        if !self.hold.is_zero() && self.talk < needed {
            return Err(PlanError::Hold { hold_s: self.hold.as_secs(), needed_s: needed.as_secs() });
        }
        Ok(())
    }

    /// Phones in rooms.
    pub(super) fn in_rooms(&self) -> usize {
        (self.rooms.len() * self.participants).min(self.users.len())
    }

    /// Pairs that call each other.
    pub fn pairs(&self) -> usize {
        (self.users.len() - self.in_rooms()) / 2
    }

    /// The same plan for so many threads: rooms and pairs stay whole, rates are divided. Threads that would have nothing to do
    /// get no plan.
    pub fn share(&self, threads: usize) -> Vec<Plan> {
        let threads = threads.max(1);
        let (in_rooms, in_pairs) = self.users.split_at(self.in_rooms());
        let rooms: Vec<_> = self.rooms.iter().zip(in_rooms.chunks(self.participants.max(1))).collect();
        let pairs: Vec<_> = in_pairs.chunks_exact(2).collect();
        let part = |all: usize, at: usize| all * at / threads..all * (at + 1) / threads;
        let shares = (0..threads).map(|at| {
            let rooms = rooms.get(part(rooms.len(), at)).unwrap_or_default();
            let pairs = pairs.get(part(pairs.len(), at)).unwrap_or_default();
            let of_rooms = rooms.iter().flat_map(|(_, users)| users.iter());
            let of_pairs = pairs.iter().flat_map(|users| users.iter());
            let (at, all) = (at as u64, threads as u64);
            let concurrency = part(self.concurrency, at as usize).len();
            Plan {
                users: of_rooms.chain(of_pairs).cloned().collect(),
                rooms: rooms.iter().map(|(number, _)| **number).collect(),
                calls: self.calls.map(|calls| calls * (at + 1) / all - calls * at / all),
                rate: self.rate / threads as f64,
                register_rate: self.register_rate / threads as f64,
                concurrency: concurrency.max(1).min(pairs.len()),
                ..self.clone()
            }
        });
        shares.filter(|share| share.users.len() >= 2).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::swarm) fn plan(users: &str) -> Plan {
        Plan {
            users: super::users(users).unwrap(),
            rooms: Vec::new(),
            participants: 0,
            talkers: 0,
            calls: None,
            rate: 10.0,
            concurrency: 100,
            talk: Duration::from_secs(5),
            hold: Duration::ZERO,
            ring: Duration::ZERO,
            lamps: false,
            bye: Bye::Mixed,
            duration: Duration::from_secs(20),
            codec: Codec::Pcmu,
            other_codec: None,
            whole: false,
            register_rate: 100.0,
            limits: Limits { loss_percent: 0.1, setup: None, one_way: None, mouth_to_ear: None },
        }
    }

    #[test]
    fn users_are_numbers_and_ranges_with_both_ends() {
        let named = |text| users(text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(named("1000..1002"), ["1000", "1001", "1002"]);
        assert_eq!(named("099..100, bob"), ["099", "100", "bob"]);
        for wrong in ["", "1,,2", "5..3", "a..b", ".."] {
            assert!(matches!(users(wrong), Err(PlanError::Users(_))), "{wrong}");
        }
        assert_eq!(users("0..18446744073709551615"), Err(PlanError::TooManyUsers));
    }

    #[test]
    fn a_plan_that_cannot_be_carried_out_says_what_is_missing() {
        assert_eq!(plan("1").check(), Err(PlanError::Nothing));
        assert_eq!(plan("1..2").check(), Ok(()));
        let room = Plan { rooms: vec![3_000], participants: 3, talkers: 1, ..plan("1..3") };
        assert_eq!(room.check(), Ok(()));
        assert_eq!(Plan { talkers: 4, ..room.clone() }.check(), Err(PlanError::Room));
        let two = Plan { rooms: vec![3_000, 3_001], ..room };
        assert_eq!(two.check(), Err(PlanError::TooFewUsers { needed: 6, users: 3 }));
        assert_eq!(Plan { codec: Codec::Opus, ..plan("1..2") }.check(), Err(PlanError::Codec("opus")));
        assert_eq!(Plan { codec: Codec::Opus, whole: true, ..plan("1..2") }.check(), Ok(()));
        let other = Plan { other_codec: Some(Codec::Opus), ..plan("1..2") };
        assert_eq!(other.check(), Err(PlanError::Codec("opus")));
        assert_eq!(Plan { whole: true, ..other }.check(), Ok(()));
        let lamps = Plan { lamps: true, ..plan("1..2") };
        assert_eq!(lamps.check(), Ok(()));
        assert_eq!(Plan { talk: Duration::from_secs(3), ..lamps }.check(), Err(PlanError::Lamps));
        let hold = Plan { hold: Duration::from_secs(2), ..plan("1..2") };
        assert_eq!(hold.check(), Err(PlanError::Hold { hold_s: 2, needed_s: 6 }));
    }

    #[test]
    fn threads_share_a_plan_without_losing_anything_of_it() {
        let whole = Plan {
            rooms: vec![1, 2, 3],
            participants: 4,
            talkers: 1,
            calls: Some(101),
            ..plan("1000..1050")
        };
        for threads in 1..20 {
            let shares = whole.share(threads);
            assert_eq!(shares.iter().map(|share| share.rooms.len()).sum::<usize>(), 3);
            assert_eq!(shares.iter().map(Plan::pairs).sum::<usize>(), whole.pairs());
            assert!(shares.iter().all(|share| share.users.len() >= 2));
        }
        assert_eq!(whole.share(2).iter().filter_map(|share| share.calls).sum::<u64>(), 101);
    }
}
