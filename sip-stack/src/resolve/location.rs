//! One location in progress: what is left to try, and the question or the target it is at (RFC 3263 §4.3).

use super::plan::{self, Families, Step};
use super::record::{Answer, Query};
use super::{Destination, Host, TransportSet};
use crate::random::Random;
use crate::time::Time;
use crate::transport::Transport;
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Targets that one location hands out.
pub const MAX_TARGETS: usize = 16;
/// Questions of one location, so that a domain cannot make one request ask the DNS without end.
pub const MAX_QUESTIONS: usize = 40;
/// Steps that may wait in one location; those that would be taken last are dropped.
const MAX_STEPS: usize = 128;

/// Where to send a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The transport.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
    /// What the server's certificate must name: the host of the URI, whatever the DNS made of it (RFC 5922 §7.3).
    pub identity: Host,
}

/// Why there is no further target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exhausted {
    /// The destination asks for a transport or a family of addresses that we do not have.
    Unsupported,
    /// The DNS knows no server for it.
    NotFound,
    /// The DNS failed or was silent.
    Unresolved,
    /// Every target was tried and failed.
    Unreachable,
}

/// What a location wants next.
pub(super) enum Next {
    /// These questions answered; none of them twice.
    Answers(Vec<Query>),
    /// This target considered: tried or passed over.
    Consider(Target),
    /// Nothing; all has been considered.
    End,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// Between two steps.
    Stepping,
    /// `step` waits for answers; they stand beside their questions.
    Asking { step: Step, answers: Vec<(Query, Option<Arc<Answer>>)> },
    /// The caller tries this target.
    Trying(Target),
}

/// A location in progress.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Location {
    identity: Host,
    steps: VecDeque<Step>,
    state: State,
    tried: Vec<Target>,
    questions: usize,
    /// The dead target that comes back first.
    passed_over: Option<(Time, Target)>,
    /// Whether the DNS failed on the way.
    unresolved: bool,
    /// Whether there were no steps to begin with.
    unsupported: bool,
}

impl Location {
    pub(super) fn new(destination: &Destination, transports: TransportSet, families: Families) -> Location {
        let steps = plan::begin(destination, transports, families);
        Location {
            identity: destination.identity.clone(),
            unsupported: steps.is_empty(),
            steps: steps.into(),
            state: State::Stepping,
            tried: Vec::new(),
            questions: 0,
            passed_over: None,
            unresolved: false,
        }
    }

    /// Goes on to the next step.
    pub(super) fn next(&mut self, families: Families) -> Next {
        self.state = State::Stepping;
        while self.tried.len() < MAX_TARGETS
            && let Some(step) = self.steps.pop_front()
        {
            if let Step::Address { address, transport } = step {
                let target = Target { transport, address, identity: self.identity.clone() };
                if !self.tried.contains(&target) {
                    return Next::Consider(target);
                }
                continue;
            }
            let mut queries = step.queries(families);
            queries.sort();
            queries.dedup();
            self.questions = self.questions.saturating_add(queries.len());
            if self.questions > MAX_QUESTIONS {
                continue;
            }
            let answers = queries.iter().map(|query| (query.clone(), None)).collect();
            self.state = State::Asking { step, answers };
            return Next::Answers(queries);
        }
        Next::End
    }

    /// Takes an answer; one that was not asked for, or is there already, changes nothing.
    pub(super) fn on_answer(&mut self, query: &Query, answer: &Arc<Answer>) {
        let State::Asking { answers, .. } = &mut self.state else { return };
        if let Some((_, place @ None)) = answers.iter_mut().find(|(asked, _)| asked == query) {
            *place = Some(Arc::clone(answer));
            self.unresolved |= answer.is_failure();
        }
    }

    /// Takes the step whose questions are all answered; returns whether it was.
    pub(super) fn step(&mut self, families: Families, random: &mut Random) -> bool {
        let answered =
            |answers: &[(Query, Option<Arc<Answer>>)]| answers.iter().all(|(_, answer)| answer.is_some());
        match core::mem::replace(&mut self.state, State::Stepping) {
            State::Asking { step, answers } if answered(&answers) => {
                let of = |query: &Query| {
                    let (_, answer) = answers.iter().find(|(asked, _)| asked == query)?;
                    answer.as_deref()
                };
                let answers: Vec<&Answer> = step.queries(families).iter().filter_map(of).collect();
                for step in step.take(&answers, families, random).into_iter().rev() {
                    self.steps.push_front(step);
                }
                self.steps.truncate(MAX_STEPS);
                true
            }
            state @ (State::Stepping | State::Asking { .. } | State::Trying(_)) => {
                self.state = state;
                false
            }
        }
    }

    /// Hands `target` to the caller.
    pub(super) fn on_tried(&mut self, target: &Target) {
        self.tried.push(target.clone());
        self.state = State::Trying(target.clone());
    }

    /// Passes over a target that is dead until `until`.
    pub(super) fn on_dead(&mut self, until: Time, target: Target) {
        if self.passed_over.as_ref().is_none_or(|(first, _)| until < *first) {
            self.passed_over = Some((until, target));
        }
    }

    /// When all are dead: the one that comes back first, once.
    pub(super) fn last_resort(&mut self) -> Option<Target> {
        let (_, target) = self.passed_over.take()?;
        self.tried.is_empty().then_some(target)
    }

    /// The target that the caller tries.
    pub(super) fn trying(&self) -> Option<&Target> {
        match &self.state {
            State::Trying(target) => Some(target),
            State::Stepping | State::Asking { .. } => None,
        }
    }

    /// Why it ended.
    pub(super) fn exhausted(&self) -> Exhausted {
        match (self.unsupported, self.tried.is_empty(), self.unresolved) {
            (true, _, _) => Exhausted::Unsupported,
            (false, false, _) => Exhausted::Unreachable,
            (false, true, true) => Exhausted::Unresolved,
            (false, true, false) => Exhausted::NotFound,
        }
    }
}
