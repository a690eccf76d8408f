//! The machine of many locations at once: their common questions, the answers it keeps (by their time to live,
//! RFC 1035 §3.2.1; without records for a short time, RFC 2308 §5, §7), and the targets that failed.
//!
//! Left out on purpose: answers past their time (RFC 8767), and probes of dead targets: the first request after their
//! time is the probe.

use super::expiring::Expiring;
use super::location::{Exhausted, Location, Next, Target};
use super::plan::Families;
use super::record::{Answer, Query};
use super::{Destination, TransportSet};
use crate::random::Random;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Locations at a time; more are refused.
const MAX_LOCATIONS: usize = 16_384;
/// Questions under way; further ones fail.
const MAX_IN_FLIGHT: usize = 4_096;
/// Answers kept; the one that would end first makes room.
const MAX_ANSWERS: usize = 2_048;
/// Dead targets remembered; the one that would come back first makes room.
const MAX_DEAD: usize = 2_048;

/// Least time an answer is kept: a domain whose records live for 0 s is not asked for every request.
const TTL_MIN: Duration = Duration::from_secs(5);
/// Longest time an answer is kept.
const TTL_MAX: Duration = Duration::from_secs(3_600);
/// How long it is kept that there are no records.
const TTL_NEGATIVE: Duration = Duration::from_secs(30);
/// How long it is kept that the DNS failed.
const TTL_FAILURE: Duration = Duration::from_secs(5);
/// Longest Retry-After that is obeyed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What a [`Resolver`] is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The families of addresses that we have.
    pub families: Families,
    /// After this time without an answer a question has failed.
    pub query_timeout: Duration,
    /// How long a target that was silent or could not be reached is passed over.
    pub dead_for: Duration,
}

impl Default for Settings {
    /// IPv4, 4 s, and a minute.
    fn default() -> Settings {
        Settings {
            families: Families::default(),
            query_timeout: Duration::from_secs(4),
            dead_for: Duration::from_secs(60),
        }
    }
}

/// A location, as its caller numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocationId(pub u64);

/// How a target failed (RFC 3263 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Timer B or F fired and no response had come.
    Timeout,
    /// The transport reported an error.
    Transport,
    /// The answer was 503. Its Retry-After says for how long the target is passed over; without one it is not.
    Unavailable {
        /// Retry-After.
        retry_after: Option<Duration>,
    },
}

/// What a [`Resolver`] is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Find the servers of `destination`. [`Output::Target`] or [`Output::Exhausted`] follows, at once or after answers.
    Locate {
        /// A number not in use.
        id: LocationId,
        /// What to find.
        destination: Destination,
        /// What the request may be sent over.
        transports: TransportSet,
    },
    /// The DNS answered.
    Answer {
        /// The question as it was put.
        query: Query,
        /// The answer.
        answer: Answer,
    },
    /// The target handed out last failed. The next one follows, or [`Output::Exhausted`].
    Failed {
        /// The location.
        id: LocationId,
        /// How.
        failure: Failure,
    },
    /// The target handed out last gave a final response other than 503. It is alive, and the location is over.
    Reached(LocationId),
    /// The caller wants no more of this location. Nothing is learnt of its target.
    Abandon(LocationId),
}

/// What a [`Resolver`] wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Ask the DNS; an answer that cannot be had is [`Answer::Failed`].
    Query(Query),
    /// Send the request here, as a new transaction (RFC 3263 §4.3), and say what became of it.
    Target {
        /// The location.
        id: LocationId,
        /// Where.
        target: Target,
    },
    /// There is no further target. The location is over.
    Exhausted {
        /// The location.
        id: LocationId,
        /// Why.
        reason: Exhausted,
    },
}

/// A misuse of [`Resolver::handle_input`]; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The number belongs to a location already.
    #[error("location {} is in use", .0.0)]
    InUse(LocationId),
    /// There are too many locations.
    #[error("too many locations at a time")]
    TooMany,
    /// There is no such location.
    #[error("there is no location {}", .0.0)]
    Unknown(LocationId),
    /// The location has handed out no target.
    #[error("location {} has handed out no target", .0.0)]
    NotTrying(LocationId),
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Questions put to the DNS.
    pub queries: u64,
    /// Questions that an answer kept, or one under way, made needless.
    pub spared: u64,
    /// Questions without an answer in time.
    pub timed_out: u64,
    /// Questions failed because too many were under way.
    pub refused_queries: u64,
    /// Locations refused because there were too many.
    pub refused_locations: u64,
    /// Answers that made room for others before their time.
    pub evicted_answers: u64,
    /// Dead targets that made room for others before their time.
    pub evicted_dead: u64,
}

/// Locates servers for many requests at a time. Every map in it is bounded.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resolver {
    settings: Settings,
    random: Random,
    locations: BTreeMap<LocationId, Location>,
    in_flight: Expiring<Query, BTreeSet<LocationId>>,
    answers: Expiring<Query, Arc<Answer>>,
    dead: Expiring<Target, ()>,
    outputs: VecDeque<Output>,
    figures: Figures,
}

impl Resolver {
    /// A resolver that knows nothing yet; `random` draws the lots of RFC 2782.
    pub fn new(settings: Settings, random: Random) -> Resolver {
        Resolver {
            settings,
            random,
            locations: BTreeMap::new(),
            in_flight: Expiring::new(MAX_IN_FLIGHT),
            answers: Expiring::new(MAX_ANSWERS),
            dead: Expiring::new(MAX_DEAD),
            outputs: VecDeque::new(),
            figures: Figures::default(),
        }
    }

    /// Counters.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Locations in progress.
    pub fn locations(&self) -> usize {
        self.locations.len()
    }

    /// When `target` comes back, if it is dead.
    pub fn dead_until(&self, now: Time, target: &Target) -> Option<Time> {
        self.dead.get(now, target).map(|(_, until)| *until)
    }

    /// Takes an input. An answer to a question that is not under way changes nothing.
    ///
    /// # Errors
    /// [`InputError`], when the caller named a location that is not in the state for it, or there are too many.
    pub fn handle_input(&mut self, now: Time, input: Input) -> Result<(), InputError> {
        match input {
            Input::Locate { id, destination, transports } => self.locate(now, id, &destination, transports),
            Input::Answer { query, answer } => {
                if let Some(waiting) = self.in_flight.remove(&query) {
                    let answer = answer.checked(query.kind);
                    self.on_answer(now, query, waiting, answer);
                }
                Ok(())
            }
            Input::Failed { id, failure } => {
                let target = self.trying(id)?;
                self.on_failure(now, target, failure);
                self.proceed(now, id);
                Ok(())
            }
            Input::Reached(id) => {
                let target = self.trying(id)?;
                self.dead.remove(&target);
                self.locations.remove(&id);
                Ok(())
            }
            Input::Abandon(id) => self.locations.remove(&id).map(|_| ()).ok_or(InputError::Unknown(id)),
        }
    }

    /// Ends the questions, the answers and the deaths whose time has come.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((query, waiting)) = self.in_flight.pop_due(now) {
            self.figures.timed_out += 1;
            self.on_answer(now, query, waiting, Answer::TimedOut);
        }
        while self.answers.pop_due(now).is_some() {}
        while self.dead.pop_due(now).is_some() {}
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Resolver::handle_timeout`] is due. `None` when nothing is kept but what the caller holds: locations that
    /// have handed out a target.
    pub fn poll_timeout(&self) -> Option<Time> {
        let next = [self.in_flight.poll_timeout(), self.answers.poll_timeout(), self.dead.poll_timeout()];
        next.into_iter().flatten().min()
    }

    fn locate(
        &mut self,
        now: Time,
        id: LocationId,
        destination: &Destination,
        transports: TransportSet,
    ) -> Result<(), InputError> {
        if self.locations.contains_key(&id) {
            return Err(InputError::InUse(id));
        }
        if self.locations.len() >= MAX_LOCATIONS {
            self.figures.refused_locations += 1;
            return Err(InputError::TooMany);
        }
        self.locations.insert(id, Location::new(destination, transports, self.settings.families));
        self.proceed(now, id);
        Ok(())
    }

    fn trying(&self, id: LocationId) -> Result<Target, InputError> {
        let location = self.locations.get(&id).ok_or(InputError::Unknown(id))?;
        location.trying().cloned().ok_or(InputError::NotTrying(id))
    }

    /// Remembers that `target` failed.
    fn on_failure(&mut self, now: Time, target: Target, failure: Failure) {
        let time = match failure {
            Failure::Timeout | Failure::Transport => self.settings.dead_for,
            // Without Retry-After a 503 is like a 500, which says nothing of the next request (RFC 3261 §21.5.4).
            Failure::Unavailable { retry_after } => retry_after.unwrap_or_default().min(RETRY_AFTER_MAX),
        };
        if !time.is_zero() && self.dead.insert(target, (), now + time) {
            self.figures.evicted_dead += 1;
        }
    }

    /// Keeps `answer` to `query` and goes on with the locations that waited for it.
    fn on_answer(&mut self, now: Time, query: Query, waiting: BTreeSet<LocationId>, answer: Answer) {
        let time = match &answer {
            Answer::Records { ttl, .. } => (*ttl).clamp(TTL_MIN, TTL_MAX),
            Answer::NoSuchName => TTL_NEGATIVE,
            Answer::Failed | Answer::TimedOut => TTL_FAILURE,
        };
        let answer = Arc::new(answer);
        if self.answers.insert(query.clone(), Arc::clone(&answer), now + time) {
            self.figures.evicted_answers += 1;
        }
        for id in waiting {
            let Some(location) = self.locations.get_mut(&id) else { continue };
            location.on_answer(&query, &answer);
            if location.step(self.settings.families, &mut self.random) {
                self.proceed(now, id);
            }
        }
    }

    /// Leads a location on until it waits for an answer or for the caller, or ends.
    fn proceed(&mut self, now: Time, id: LocationId) {
        let Some(mut location) = self.locations.remove(&id) else { return };
        let families = self.settings.families;
        loop {
            match location.next(families) {
                Next::Answers(queries) => {
                    for query in queries {
                        if let Some(answer) = self.ask(now, id, &query) {
                            location.on_answer(&query, &answer);
                        }
                    }
                    if !location.step(families, &mut self.random) {
                        break;
                    }
                }
                Next::Consider(target) => match self.dead_until(now, &target) {
                    Some(until) => location.on_dead(until, target),
                    None => {
                        self.hand_out(id, &mut location, target);
                        break;
                    }
                },
                Next::End => match location.last_resort() {
                    // Deviation: RFC 3261 §21.5.4 would leave a server alone until its Retry-After is over. A request that
                    // has nowhere else to go is sent there, because it may well be back.
                    Some(target) => {
                        self.hand_out(id, &mut location, target);
                        break;
                    }
                    None => {
                        return self
                            .outputs
                            .push_back(Output::Exhausted { id, reason: location.exhausted() });
                    }
                },
            }
        }
        self.locations.insert(id, location);
    }

    fn hand_out(&mut self, id: LocationId, location: &mut Location, target: Target) {
        location.on_tried(&target);
        self.outputs.push_back(Output::Target { id, target });
    }

    /// The answer to `query` if it is known; else asks for it, or waits with those who have asked.
    fn ask(&mut self, now: Time, id: LocationId, query: &Query) -> Option<Arc<Answer>> {
        if let Some((answer, _)) = self.answers.get(now, query) {
            self.figures.spared += 1;
            return Some(Arc::clone(answer));
        }
        let full = self.in_flight.is_full();
        match self.in_flight.get_mut(query) {
            Some(waiting) if waiting.len() < MAX_LOCATIONS => {
                self.figures.spared += 1;
                waiting.insert(id);
                return None;
            }
            None if !full => {}
            Some(_) | None => {
                self.figures.refused_queries += 1;
                return Some(Arc::new(Answer::Failed));
            }
        }
        self.figures.queries += 1;
        self.in_flight.insert(query.clone(), BTreeSet::from([id]), now + self.settings.query_timeout);
        self.outputs.push_back(Output::Query(query.clone()));
        None
    }
}
