//! Under whose limits a call is counted (`routing/usage.rs`), and because of whom in it: what is counted goes where that one goes.
//!
//! Who has made a call is counted as long as it is in it, and where it has called somebody behind a peer, as long as that one goes on with
//! anybody. So is a user who has transferred somebody. A peer is counted for who is behind it, a user who has sent a call on for
//! who is called instead.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use crate::core::environment::Environment;
use crate::routing::Counted;
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;

/// Under whom a call is counted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Count {
    pub(super) who: Counted,
    pub(super) because: Because,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Because {
    /// It has made the call, or has had it made for its partner.
    Made,
    /// Of the party on that side.
    Party(Side),
    /// It has sent the call on to who rings or has answered.
    Diverted,
    /// It is the peer of the stage.
    Stage,
    /// It is the peer of one of several.
    Target(usize),
}

impl Because {
    /// Whether it is because of who is on that side.
    fn is_of(self, side: Side) -> bool {
        match self {
            Because::Made => side == Side::Caller,
            Because::Party(own) => side == own,
            Because::Diverted | Because::Stage | Because::Target(_) => side == Side::Callee,
        }
    }
}

impl Call {
    /// Counts the call under who has sent it on last and over the peer of this stage; 503 where one of them has enough.
    pub(super) fn count_stage(&mut self, env: &mut Environment) -> Result<(), Status> {
        self.count_diverting(env)?;
        let Some(counted) = &self.destination.counted else { return Ok(()) };
        let (who, limits) = &**counted;
        if env.routing.usage.begin(who, limits, env.now).is_err() {
            return Err(Status::SERVICE_UNAVAILABLE);
        }
        self.counted.push(Count { who: who.clone(), because: Because::Stage });
        Ok(())
    }

    /// Stages that the same user has sent the call on to are one call of it.
    fn count_diverting(&mut self, env: &mut Environment) -> Result<(), Status> {
        let by = self.destination.diverted.last().filter(|_| !self.destination.is_served());
        let who = by.map(|by| Counted::User(self.domain, by.user.clone()));
        let is_other = |count: &Count| count.because == Because::Diverted && Some(&count.who) != who.as_ref();
        self.uncount_if(env, is_other);
        let (Some(who), Some(by)) = (who, self.destination.diverted.last()) else { return Ok(()) };
        let known = env.config.domains.get(&self.domain).and_then(|domain| domain.users.get(&by.user));
        let known = known.filter(|known| known.numbers.limits.counts());
        let is_counted = self.counted.iter().any(|count| count.because == Because::Diverted);
        let Some(known) = known.filter(|_| !is_counted) else { return Ok(()) };
        if env.routing.usage.begin(&who, &known.numbers.limits, env.now).is_err() {
            return Err(Status::SERVICE_UNAVAILABLE);
        }
        self.counted.push(Count { who, because: Because::Diverted });
        Ok(())
    }

    /// Counts the call over the peer of one of several; whether it may ring there.
    pub(super) fn count_member(&mut self, env: &mut Environment, target: usize) -> bool {
        let Some(counted) = self.member(target).and_then(|member| member.counted.as_deref()) else {
            return true;
        };
        let (who, limits) = counted;
        let may = env.routing.usage.begin(who, limits, env.now).is_ok();
        let who = who.clone();
        if may {
            self.counted.push(Count { who, because: Because::Target(target) });
        }
        may
    }

    fn uncount_if(&mut self, env: &mut Environment, is_over: impl Fn(&Count) -> bool) {
        self.counted.retain(|count| {
            let is_over = is_over(count);
            if is_over {
                env.routing.usage.end(&count.who);
            }
            !is_over
        });
    }

    /// The stage is over: the call is counted no more over its peers.
    pub(super) fn uncount_stage(&mut self, env: &mut Environment) {
        self.uncount_if(env, |count| matches!(count.because, Because::Stage | Because::Target(_)));
    }

    /// One of several has answered: the call is counted no more over the peers of the others.
    pub(super) fn uncount_others(&mut self, env: &mut Environment, target: usize) {
        self.uncount_if(env, |count| matches!(count.because, Because::Target(other) if other != target));
    }

    /// Who has sent its partner away is called back: only the partner counts.
    pub(super) fn uncount_but_caller(&mut self, env: &mut Environment) {
        self.uncount_if(env, |count| count.because != Because::Party(Side::Caller));
    }

    /// The caller has taken the place of another one and is counted for that: who has called the callee before is not any more.
    pub(super) fn uncount_earlier(&mut self, env: &mut Environment) {
        let callee = self.destination.user.clone();
        self.uncount_if(env, |count| {
            let is_other = matches!(&count.who, Counted::User(_, user) if user.as_bytes() != &callee[..]);
            is_other && count.because == Because::Party(Side::Callee)
        });
    }

    /// Who has made the call is not in it any more.
    pub(super) fn uncount_maker(&mut self, env: &mut Environment) {
        if self.leg_mut(Side::Callee).is_some_and(|leg| leg.is_peer) {
            let made = self.counted.iter_mut().filter(|count| count.because == Because::Made);
            made.for_each(|count| count.because = Because::Party(Side::Callee));
        } else {
            self.uncount_if(env, |count| count.because == Because::Made);
        }
    }

    /// Who has made the call leaves it for another one: what it is counted for stays with its partner, if that is behind a peer.
    pub(super) fn leave_counts(&mut self, stays: Side) {
        if self.leg_mut(stays).is_some_and(|leg| leg.is_peer) {
            let made = self.counted.iter_mut().filter(|count| count.because == Because::Made);
            made.for_each(|count| count.because = Because::Party(stays));
        }
    }

    /// Whoever was rung first is the caller now, and the peer that it is behind is counted for it.
    pub(super) fn count_as_caller(&mut self) {
        for count in &mut self.counted {
            if count.because != Because::Made && count.because.is_of(Side::Callee) {
                count.because = Because::Party(Side::Caller);
            }
        }
    }

    /// What is counted because of a party that leaves for another call.
    fn take_counts(&mut self, side: Side) -> Vec<Count> {
        let is_outside = side == Side::Callee && self.leg_mut(side).is_some_and(|leg| leg.is_peer);
        let goes =
            |count: &Count| count.because.is_of(side) || (is_outside && count.because == Because::Made);
        let (gone, left) = core::mem::take(&mut self.counted).into_iter().partition(goes);
        self.counted = left;
        gone
    }
}

impl Calls {
    /// A party was moved to another call, where it has the place of somebody who is not there any more.
    pub(super) fn move_counts(
        &mut self,
        env: &mut Environment,
        (from, side): (CallId, Side),
        (into, seat): (CallId, Side),
    ) {
        let Some(call) = self.table.get_mut(from) else { return };
        let moved = call.take_counts(side);
        let Some(call) = self.table.get_mut(into) else { return };
        call.uncount_if(env, |count| count.because != Because::Made && count.because.is_of(seat));
        // While it rings, whether somebody behind a peer will answer is not known.
        if seat == Side::Caller && matches!(call.phase, Phase::Talking { .. }) {
            call.uncount_maker(env);
        }
        let because = Because::Party(seat);
        call.counted.extend(moved.into_iter().map(|Count { who, .. }| Count { who, because }));
    }
}
