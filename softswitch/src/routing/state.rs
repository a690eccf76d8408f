//! What routing remembers from call to call: settings of users, whose turn it is in groups, who has been idle how long, and how many
//! calls those have whose calls are counted. All but the settings begins anew with the process.

use super::profile::Profiles;
use super::usage::Usage;
use crate::config::{Config, DomainId, Strategy};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) profiles: Profiles,
    pub(crate) usage: Usage,
    /// Peers that do not answer OPTIONS.
    pub(crate) dead: BTreeSet<(DomainId, Box<str>)>,
    /// The peers that have a registration of ours, and the address of the server that took it.
    pub(crate) registered: BTreeMap<(DomainId, Box<str>), IpAddr>,
    /// Calls so far of groups whose members take turns.
    turns: BTreeMap<(DomainId, Box<str>), u64>,
    /// When members of groups had their last call.
    idle: BTreeMap<(DomainId, Box<str>), Time>,
}

impl State {
    /// Calls that a group has had.
    pub(super) fn turn(&self, domain: DomainId, group: &str) -> u64 {
        self.turns.get(&(domain, group.into())).copied().unwrap_or(0)
    }

    /// One more.
    pub(crate) fn take_turn(&mut self, domain: DomainId, group: &str) {
        let turn = self.turns.entry((domain, group.into())).or_default();
        *turn = turn.wrapping_add(1);
    }

    /// When a user had its last call; the origin of time when there was none.
    pub(super) fn idle_since(&self, domain: DomainId, user: &str) -> Time {
        self.idle.get(&(domain, user.into())).copied().unwrap_or_default()
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
            self.idle.insert((domain, user.into()), now);
        }
    }

    /// Another configuration is in force.
    pub(crate) fn reconfigure(&mut self, config: &Config) {
        let domain = |id: DomainId| config.domains.get(&id);
        self.profiles.retain(|id, user| domain(id).is_some_and(|domain| domain.users.contains_key(user)));
        self.turns.retain(|(id, group), _| {
            domain(*id).is_some_and(|domain| domain.numbering.groups.contains_key(group))
        });
        self.idle.retain(|(id, user), _| domain(*id).is_some_and(|domain| domain.users.contains_key(user)));
        self.usage.reconfigure(config);
    }
}
