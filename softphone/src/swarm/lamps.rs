//! Busy lamps of a swarm: everybody in a pair is watched by somebody of the next pair, whose lamp has to show the call (RFC 4235).
//!
//! Judged is what the lamp shows when the two are about to hang up, and measured how long after the answer it showed that first. A server
//! need not tell more often than once in a second, and may be asked again when a NOTIFY is lost, so calls have to last a while
//! ([`LONG_ENOUGH`]). Left out on purpose: that lamps go out, and presence.

use super::group::Kind;
use super::swarm::Swarm;
use crate::phone::{AccountId, Command, Input, Lamp, WatchEvent};
use sip_stack::Time;
use std::time::Duration;

/// A call of a plan with lamps lasts so long at least.
pub(super) const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// What a phone sees of the one that it watches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watching {
    /// Its place.
    pub(super) whom: usize,
    lamp: Option<Lamp>,
}

impl Swarm {
    /// Says who watches whom; before anybody registers.
    pub(super) fn light_lamps(&mut self, now: Time) {
        let is_pair = |kind| matches!(kind, Kind::Pair { .. });
        let pairs: Vec<[usize; 2]> = self
            .groups
            .iter()
            .filter(|group| is_pair(group.kind))
            .filter_map(|group| group.members.first_chunk().copied())
            .collect();
        for (place, [one, other]) in pairs.iter().enumerate() {
            let Some([first, second]) = pairs.get((place + 1) % pairs.len()) else { continue };
            self.watch(now, *first, *other);
            self.watch(now, *second, *one);
        }
    }

    fn watch(&mut self, now: Time, watcher: usize, whom: usize) {
        let target = self.members.get(whom).map(|member| member.user.clone()).unwrap_or_default();
        let Some(member) = self.members.get_mut(watcher) else { return };
        member.watching = Some(Watching { whom, lamp: None });
        let command = Command::Watch { account: AccountId::FIRST, target, wanted: true };
        if let Err(refusal) = member.phone.handle_input(now, Input::Command(command)) {
            self.tally.fail(&refusal.to_string());
        }
    }

    /// A phone has news of the one that it watches.
    pub(super) fn on_watched(&mut self, now: Time, watcher: usize, news: &WatchEvent) {
        let watching = self.members.get_mut(watcher).and_then(|member| member.watching.as_mut());
        let (Some(watching), WatchEvent::Calls { lamp, .. }) = (watching, news) else { return };
        let begins = *lamp == Some(Lamp::Talking) && watching.lamp != *lamp;
        watching.lamp = *lamp;
        let whom = watching.whom;
        let since = self.members.get(whom).and_then(|member| member.talks_since).filter(|_| begins);
        if let Some(since) = since {
            self.tally.lamp.add(now.since(since));
        }
    }

    /// The two of a pair are about to hang up: whoever watches them sees them talk.
    pub(super) fn judge_lamps(&mut self, place: usize) {
        let members = self.groups.get(place).map(|group| group.members.clone()).unwrap_or_default();
        for watching in self.members.iter().filter_map(|member| member.watching) {
            if members.contains(&watching.whom) {
                self.tally.lamps += 1;
                self.tally.lamps_right += u64::from(watching.lamp == Some(Lamp::Talking));
            }
        }
    }
}
