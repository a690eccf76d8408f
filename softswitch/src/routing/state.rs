//! What routing remembers from call to call: settings of users, whose turn it is in groups, who has been idle how long, and how many
//! calls those have whose calls are counted. All but the settings begins anew with the process.

use super::names::PerName;
use super::profile::Profiles;
use super::usage::Usage;
use crate::config::{Config, DomainId, Strategy};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use smallvec::SmallVec;
use std::net::IpAddr;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) profiles: Profiles,
    pub(crate) usage: Usage,
    /// Peers that do not answer OPTIONS.
    pub(crate) dead: PerName<()>,
    /// The peers that have a registration of ours, and the address of the server that took it.
    pub(crate) registered: PerName<IpAddr>,
    /// Addresses at which servers of peers that have names were found, the newest last.
    found: PerName<SmallVec<[IpAddr; 2]>>,
    /// Calls so far of groups whose members take turns.
    turns: PerName<u64>,
    /// When members of groups had their last call.
    idle: PerName<Time>,
    /// Wrong PINs of users in a row, and when the last one was tried.
    tries: PerName<(u8, Time)>,
}

/// Addresses of one peer that are remembered; then the oldest is forgotten.
const MOST_ADDRESSES: usize = 16;

/// So many wrong PINs in a row, and the user cannot log in for a while.
const MOST_TRIES: u8 = 5;
const LOCKED: Duration = Duration::from_secs(300);

impl State {
    /// Calls that a group has had.
    pub(super) fn turn(&self, domain: DomainId, group: &str) -> u64 {
        self.turns.get(domain, group).copied().unwrap_or(0)
    }

    /// One more.
    pub(crate) fn take_turn(&mut self, domain: DomainId, group: &str) {
        let turn = self.turns.of(domain, group);
        *turn = turn.wrapping_add(1);
    }

    /// When a user had its last call; the origin of time when there was none.
    pub(super) fn idle_since(&self, domain: DomainId, user: &str) -> Time {
        self.idle.get(domain, user).copied().unwrap_or_default()
    }

    /// A server of a peer was found there.
    pub(crate) fn note_found(&mut self, domain: DomainId, peer: &str, address: IpAddr) {
        let (found, address) = (self.found.of(domain, peer), address.to_canonical());
        if found.contains(&address) {
            return;
        }
        if found.len() >= MOST_ADDRESSES {
            found.remove(0);
        }
        found.push(address);
    }

    /// Whether a server of a peer was found at this address.
    pub(crate) fn is_found_at(&self, domain: DomainId, peer: &str, address: IpAddr) -> bool {
        self.found.get(domain, peer).is_some_and(|found| found.contains(&address.to_canonical()))
    }

    /// Whether so many wrong PINs of a user were tried that none is looked at now.
    pub(crate) fn is_locked(&self, domain: DomainId, user: &str, now: Time) -> bool {
        let tried = self.tries.get(domain, user);
        tried.is_some_and(|(tries, last)| *tries >= MOST_TRIES && now.since(*last) < LOCKED)
    }

    /// A PIN of a user that there is was tried. Whether it is one in a row that locks it.
    pub(crate) fn note_pin(&mut self, domain: DomainId, user: &str, is_right: bool, now: Time) -> bool {
        if is_right {
            self.tries.remove(domain, user);
            return false;
        }
        let (tries, last) = self.tries.of(domain, user);
        if *tries >= MOST_TRIES {
            *tries = 0;
        }
        (*tries, *last) = (*tries + 1, now);
        *tries == MOST_TRIES
    }

    /// A call of a user is over, which matters if it is in a group that asks for it.
    pub(crate) fn note_idle(&mut self, config: &Config, domain: DomainId, user: &str, now: Time) {
        let matters = config.domains.get(&domain).is_some_and(|domain| {
            let is_it = |number: &str| domain.user_of(number.as_bytes()).is_some_and(|(id, _)| *id == *user);
            domain.numbering.groups.values().any(|group| {
                group.strategy == Strategy::LongestIdle
                    && group.members.iter().any(|member| is_it(&member.number))
            })
        });
        if matters {
            self.idle.insert(domain, user, now);
        }
    }

    /// Another configuration is in force.
    pub(crate) fn reconfigure(&mut self, config: &Config) {
        let domain = |id: DomainId| config.domains.get(&id);
        self.profiles.retain(|id, user| domain(id).is_some_and(|domain| domain.users.contains_key(user)));
        self.turns.retain(|id, group, _| {
            domain(id).is_some_and(|domain| domain.numbering.groups.contains_key(group))
        });
        let is_user = |id, user: &str| domain(id).is_some_and(|domain| domain.users.contains_key(user));
        self.idle.retain(|id, user, _| is_user(id, user));
        self.tries.retain(|id, user, _| is_user(id, user));
        self.found.retain(|id, peer, _| domain(id).is_some_and(|domain| domain.peers.contains_key(peer)));
        self.usage.reconfigure(config);
    }
}
