//! All subscriptions: found by subject and by dialog, ended by time.

use super::bodies::Sheets;
use super::subject::Subject;
use super::watcher::Watcher;
use crate::call::subject_key;
use crate::config::{DomainId, Mailbox};
use crate::core::command::{SubscriptionView, UserRef};
use crate::core::environment::Environment;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::dialog::Dialog;
use sip_stack::event::{Change, Package};
use sip_stack::table::{Id, KeyIndex, Table};
use sip_stack::transaction::{KeyHasher, TimerQueue};
use sip_stack::transport::Flow;
use std::collections::{BTreeMap, BTreeSet};

/// All subscriptions, and what is published.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Subscriptions {
    pub(crate) watchers: Table<Watcher>,
    pub(crate) subjects: Table<Subject>,
    #[serde(skip)]
    index: KeyIndex<Subject>,
    timers: TimerQueue<Watcher>,
    /// What peers have told of the mailboxes that they have for users.
    pub(super) relayed: BTreeMap<(DomainId, Box<str>), Mailbox>,
    /// Subscriptions of each user.
    #[serde(skip)]
    counts: BTreeMap<(DomainId, Box<str>), u32>,
    /// When the first of what is published for a subject ends.
    #[serde(skip)]
    expiries: BTreeSet<(Time, Id<Subject>)>,
    /// Whose watchers nothing but their connections lead to.
    #[serde(skip)]
    connections: BTreeSet<(Flow, Id<Watcher>)>,
}

impl Subscriptions {
    /// The subscriptions as they are listed, each with its place.
    pub(crate) fn views(&self, env: &Environment) -> impl Iterator<Item = (u64, SubscriptionView)> {
        self.watchers.iter().filter_map(|(id, watcher)| {
            let (domain, subject) = (env.domain(watcher.domain)?, self.subjects.get(watcher.subject)?);
            let named = |name: &str| UserRef { name: name.into(), domain: domain.name.clone() };
            let view = SubscriptionView {
                watcher: named(&watcher.user),
                subject: named(&subject.name),
                package: watcher.notifier.package().name().into(),
            };
            Some((id.as_u64() & u64::from(u32::MAX), view))
        })
    }

    /// Subscriptions of one user.
    pub(super) fn count_of(&self, domain: DomainId, user: &str) -> u32 {
        self.counts.get(&(domain, user.into())).copied().unwrap_or(0)
    }

    /// The subject of that key, if anybody watches it or it publishes.
    pub(super) fn subject(&self, key: u128) -> Option<Id<Subject>> {
        self.index.get(key)
    }

    /// The subject of that name, from now on there.
    pub(super) fn subject_of(&mut self, env: &Environment, domain: DomainId, name: &str) -> Id<Subject> {
        let key = subject_key(env.endpoint.hasher(), domain, name);
        self.index.get(key).unwrap_or_else(|| {
            let id = self.subjects.insert(Subject::new(domain, name));
            self.index.insert(key, id);
            id
        })
    }

    /// Takes a watcher in; it is the next one of the table.
    pub(super) fn insert(&mut self, watcher: Watcher) -> Id<Watcher> {
        let (subject, package) = (watcher.subject, watcher.notifier.package());
        *self.counts.entry((watcher.domain, watcher.user.clone())).or_default() += 1;
        let id = self.watchers.insert(watcher);
        if let Some(topic) = self.subjects.get_mut(subject).and_then(|subject| subject.topic_mut(package)) {
            topic.watchers.insert(id);
        }
        id
    }

    /// A subscription is over.
    pub(super) fn forget(&mut self, env: &mut Environment, id: Id<Watcher>) {
        let Some(watcher) = self.watchers.remove(id) else { return };
        env.endpoint.end_dialog(watcher.dialog);
        if let Some(flow) = watcher.connection {
            self.connections.remove(&(flow, id));
        }
        let owner = (watcher.domain, watcher.user);
        if let Some(count) = self.counts.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&owner);
            }
        }
        let package = watcher.notifier.package();
        if let Some(subject) = self.subjects.get_mut(watcher.subject) {
            if let Some(topic) = subject.topic_mut(package) {
                topic.watchers.remove(&id);
            }
            subject.topics.retain(|topic| !topic.watchers.is_empty());
        }
        self.drop_if_idle(env, watcher.subject);
    }

    /// Notes over which connection a watcher was heard last: requests in its dialog leave over that one alone.
    pub(super) fn follow(&mut self, env: &Environment, id: Id<Watcher>) {
        let Some(watcher) = self.watchers.get_mut(id) else { return };
        let flow = env.endpoint.dialog(watcher.dialog).map(Dialog::flow);
        let now = flow.filter(|flow| flow.transport.is_reliable());
        let before = core::mem::replace(&mut watcher.connection, now);
        if before != now {
            if let Some(flow) = before {
                self.connections.remove(&(flow, id));
            }
            self.connections.extend(now.map(|flow| (flow, id)));
        }
    }

    /// A connection is lost, and with it the subscriptions over it: their phones subscribe anew.
    pub(crate) fn flow_lost(&mut self, env: &mut Environment, flow: &Flow) {
        let all = (*flow, Id::from_u64(0))..=(*flow, Id::from_u64(u64::MAX));
        let lost: Vec<Id<Watcher>> = self.connections.range(all).map(|(_, id)| *id).collect();
        for id in lost {
            self.forget(env, id);
        }
    }

    /// Forgets a subject that nobody watches and that publishes nothing.
    pub(super) fn drop_if_idle(&mut self, env: &Environment, id: Id<Subject>) {
        let idle = |subject: &&Subject| subject.topics.is_empty() && subject.published.is_empty();
        if let Some(subject) = self.subjects.get(id).filter(idle) {
            let key = subject_key(env.endpoint.hasher(), subject.domain, &subject.name);
            self.index.remove(key, id);
            self.subjects.remove(id);
        }
    }

    /// Tells the watchers of a topic that it has changed.
    pub(super) fn tell(&mut self, env: &mut Environment, id: Id<Subject>, package: Package) {
        let subject = self.subjects.get_mut(id);
        let domain = subject.as_ref().map(|subject| subject.domain);
        let Some(topic) = subject.and_then(|subject| subject.topic_mut(package)) else { return };
        topic.look_at_discretion(domain.and_then(|domain| env.domain(domain)));
        let watchers: Vec<Id<Watcher>> = topic.watchers.iter().copied().collect();
        let mut sheets = Sheets::default();
        for watcher in watchers {
            self.change(env, watcher, Change::State, &mut sheets);
        }
    }

    /// Notes when the first of what is published for a subject ends.
    pub(super) fn arm_expiry(&mut self, id: Id<Subject>) {
        let Some(subject) = self.subjects.get(id) else { return };
        let (before, after) = (subject.expires_at, subject.published.poll_timeout());
        if before != after {
            self.expiries.extend(after.map(|at| (at, id)));
            if let Some(at) = before {
                self.expiries.remove(&(at, id));
            }
            if let Some(subject) = self.subjects.get_mut(id) {
                subject.expires_at = after;
            }
        }
    }

    /// Arms the timer of a watcher.
    pub(super) fn arm(&mut self, id: Id<Watcher>) {
        let Some(watcher) = self.watchers.get(id) else { return };
        let Some(due) = watcher.notifier.poll_timeout() else { return };
        // An earlier entry stays, whatever is put off by each refresh: it finds nothing to do and arms anew.
        if watcher.armed.is_none_or(|armed| armed.at > due) {
            let armed = self.timers.arm(due, id);
            if let Some(watcher) = self.watchers.get_mut(id) {
                watcher.armed = Some(armed);
            }
        }
    }

    /// Sends what had to wait, and ends what is not refreshed.
    pub(crate) fn handle_timeout(&mut self, env: &mut Environment) {
        let mut sheets = BTreeMap::new();
        while let Some((armed, id)) = self.timers.pop_due(env.now) {
            let Some(watcher) = self.watchers.get_mut(id).filter(|watcher| watcher.armed == Some(armed))
            else {
                continue;
            };
            watcher.armed = None;
            if watcher.notifier.poll_timeout().is_none_or(|due| due > env.now) {
                self.arm(id);
                continue;
            }
            let topic = (watcher.subject, watcher.notifier.package());
            let action = watcher.notifier.handle_timeout(env.now);
            self.perform(env, id, action, sheets.entry(topic).or_default());
        }
        while let Some((at, id)) = self.expiries.first().copied().filter(|(at, _)| *at <= env.now) {
            self.expiries.remove(&(at, id));
            let Some(subject) = self.subjects.get_mut(id) else { continue };
            subject.expires_at = None;
            let changed = subject.published.expire(env.now);
            self.arm_expiry(id);
            if changed {
                self.tell(env, id, Package::Presence);
            }
            self.drop_if_idle(env, id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let expires = self.expiries.first().map(|(at, _)| *at);
        self.timers.poll_timeout().into_iter().chain(expires).min()
    }

    /// Rebuilds what is derived from the tables.
    pub(crate) fn rebuild(&mut self, hasher: &KeyHasher) {
        for (id, subject) in self.subjects.iter() {
            self.index.insert(subject_key(hasher, subject.domain, &subject.name), id);
            self.expiries.extend(subject.expires_at.map(|at| (at, id)));
        }
        let mut seats = Vec::with_capacity(self.watchers.len());
        for (id, watcher) in self.watchers.iter() {
            *self.counts.entry((watcher.domain, watcher.user.clone())).or_default() += 1;
            if let Some(armed) = watcher.armed {
                self.timers.restore(armed, id);
            }
            self.connections.extend(watcher.connection.map(|flow| (flow, id)));
            seats.push((id, watcher.subject, watcher.notifier.package()));
        }
        for (id, subject, package) in seats {
            if let Some(topic) = self.subjects.get_mut(subject).and_then(|subject| subject.topic_mut(package))
            {
                topic.watchers.insert(id);
            }
        }
    }
}
