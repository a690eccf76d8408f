//! Calls at a time and calls in a minute of users and peers that have such limits, against toll fraud. Who has none is not counted.

use super::names::PerName;
use crate::config::{CallLimits, Config, DomainId, Peer};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use std::collections::VecDeque;

/// The time in which calls are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// The highest `calls_per_minute`: so many times are remembered.
pub(crate) const MOST_PER_MINUTE: u32 = 6_000;

/// Whose calls are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Counted {
    User(DomainId, Box<str>),
    Peer(DomainId, Box<str>),
}

/// Why one more call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    AtOnce,
    PerMinute,
}

/// The calls of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Calls {
    up: u32,
    /// When the last ones began, no more than the limit of a minute.
    begun: VecDeque<Time>,
}

/// The calls of all whose calls are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    users: PerName<Calls>,
    peers: PerName<Calls>,
}

impl Usage {
    /// One more call begins, if it may.
    ///
    /// # Errors
    /// Which limit is reached; nothing is counted then.
    pub(crate) fn begin(&mut self, who: &Counted, limits: &CallLimits, now: Time) -> Result<(), TooMany> {
        let calls = match who {
            Counted::User(domain, user) => self.users.of(*domain, user),
            Counted::Peer(domain, peer) => self.peers.of(*domain, peer),
        };
        if limits.at_once.is_some_and(|most| calls.up >= most) {
            return Err(TooMany::AtOnce);
        }
        if let Some(most) = limits.per_minute {
            while calls.begun.front().is_some_and(|begun| now.since(*begun) >= MINUTE) {
                calls.begun.pop_front();
            }
            if calls.begun.len() >= most as usize {
                return Err(TooMany::PerMinute);
            }
            calls.begun.push_back(now);
        }
        calls.up += 1;
        Ok(())
    }

    /// A call that was counted is over.
    pub(crate) fn end(&mut self, who: &Counted) {
        let (table, domain, name) = match who {
            Counted::User(domain, user) => (&mut self.users, *domain, user),
            Counted::Peer(domain, peer) => (&mut self.peers, *domain, peer),
        };
        if let Some(calls) = table.get_mut(domain, name) {
            calls.up = calls.up.saturating_sub(1);
            if calls.up == 0 && calls.begun.is_empty() {
                table.remove(domain, name);
            }
        }
    }

    /// Whether a peer has as many calls as it may have, at a time or in a minute.
    pub(super) fn is_full(&self, domain: DomainId, id: &str, peer: &Peer, now: Time) -> bool {
        let limits = &peer.numbers.limits;
        if !limits.counts() {
            return false;
        }
        let Some(calls) = self.peers.get(domain, id) else { return false };
        let past = calls.begun.partition_point(|begun| now.since(*begun) >= MINUTE);
        let begun = calls.begun.len() - past;
        limits.at_once.is_some_and(|most| calls.up >= most)
            || limits.per_minute.is_some_and(|most| begun >= most as usize)
    }

    /// Forgets the minutes of those that there are no more. Calls that are up are counted to their end.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        let domain = |id| config.domains.get(&id);
        let is_user = |id, user: &str| domain(id).is_some_and(|domain| domain.users.contains_key(user));
        let is_peer = |id, peer: &str| domain(id).is_some_and(|domain| domain.peers.contains_key(peer));
        self.users.retain(|id, user, calls| calls.up > 0 || is_user(id, user));
        self.peers.retain(|id, peer, calls| calls.up > 0 || is_peer(id, peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(at_once: Option<u32>, per_minute: Option<u32>) -> CallLimits {
        CallLimits { at_once, per_minute, numbers: Vec::new() }
    }

    fn who() -> Counted {
        Counted::User(DomainId(0), "1001".into())
    }

    #[test]
    fn calls_at_a_time_are_as_many_as_may_be_and_one_that_ends_makes_room() {
        let (mut usage, limits) = (Usage::default(), limits(Some(2), None));
        assert_eq!(
            [(); 3].map(|()| usage.begin(&who(), &limits, Time(0))),
            [Ok(()), Ok(()), Err(TooMany::AtOnce)]
        );
        usage.end(&who());
        assert_eq!(usage.begin(&who(), &limits, Time(0)), Ok(()));
    }

    #[test]
    fn within_any_sixty_seconds_there_are_no_more_calls_than_the_limit() {
        let (mut usage, limits) = (Usage::default(), limits(None, Some(2)));
        let mut begin = |second: u64| {
            let begun = usage.begin(&who(), &limits, Time(second * 1_000_000_000));
            usage.end(&who());
            begun.is_ok()
        };
        let taken = [0, 30, 59, 60, 61, 89, 90].map(&mut begin);
        assert_eq!(taken, [true, true, false, true, false, false, true]);
    }
}
