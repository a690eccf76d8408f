//! What has happened to calls, bindings and the configuration, for those who watch.

use super::bodies::Sheets;
use super::contacts;
use super::lines::Line;
use super::subject::{Matter, Subject, bindings, counts, known};
use super::table::Subscriptions;
use super::watcher::Watcher;
use crate::call::{Calls, Place, SeatNews, subject_key};
use crate::config::{Domain, Service, Target};
use crate::core::environment::Environment;
use crate::registrar::Registrar;
use sip_stack::event::{Change, Package, Reason};
use sip_stack::table::Id;
use std::collections::BTreeSet;

/// Topics to be told of.
type Changed = BTreeSet<(Id<Subject>, Package)>;

impl Subscriptions {
    /// Takes the news of calls and bindings. Returns whether anybody was told.
    pub(crate) fn attend(
        &mut self,
        env: &mut Environment,
        calls: &mut Calls,
        registrar: &mut Registrar,
    ) -> bool {
        let (seats, bound) = (calls.take_news(), registrar.take_news());
        let is_watched = !self.subjects.is_empty();
        calls.set_watched(is_watched);
        registrar.set_watched(is_watched);
        let mut changed = Changed::new();
        for news in seats {
            self.take_seat_news(env, (calls, registrar), &news, &mut changed);
        }
        for (domain, user) in bound {
            let Some(id) = self.subject(subject_key(env.endpoint.hasher(), domain, &user)) else { continue };
            let now = bindings(env, registrar, domain, &user);
            let subject = self.subjects.get_mut(id);
            let topic = subject.and_then(|subject| subject.topic_mut(Package::Registration));
            if let Some(Matter::Contacts(contacts)) = topic.map(|topic| &mut topic.matter)
                && contacts::update(contacts, env, now)
            {
                changed.insert((id, Package::Registration));
            }
            self.look_at_presence(env, (calls, registrar), id, &mut changed);
        }
        let told = !changed.is_empty();
        for (id, package) in changed {
            self.tell(env, id, package);
        }
        told
    }

    fn take_seat_news(
        &mut self,
        env: &Environment,
        (calls, registrar): (&Calls, &Registrar),
        news: &SeatNews,
        changed: &mut Changed,
    ) {
        let SeatNews { subject: key, call, number, place, over } = *news;
        let Some(id) = self.subject(key) else { return };
        let seen = calls.seen_at(env, key, call, place);
        let package = if place == Place::Member { Package::Conference } else { Package::Dialog };
        let topic = self.subjects.get_mut(id).and_then(|subject| subject.topic_mut(package));
        let news = match (topic.map(|topic| &mut topic.matter), seen) {
            (Some(Matter::Lines(lines)), Some(seen)) => lines.put(number, Line::new(seen)),
            (Some(Matter::Lines(lines)), None) => lines.end(number, |line| line.end(over)),
            (Some(Matter::Roster(members)), Some(seen)) => members.put(number, seen),
            (Some(Matter::Roster(members)), None) => members.end(number, |_| ()),
            (Some(Matter::Presence(_) | Matter::Mailbox(_) | Matter::Contacts(_)) | None, _) => false,
        };
        if news {
            changed.insert((id, package));
        }
        self.look_at_presence(env, (calls, registrar), id, changed);
    }

    fn look_at_presence(
        &mut self,
        env: &Environment,
        sources: (&Calls, &Registrar),
        id: Id<Subject>,
        changed: &mut Changed,
    ) {
        let Some(subject) = self.subjects.get(id) else { return };
        let Some(Matter::Presence(before)) = subject.topic(Package::Presence).map(|topic| &topic.matter)
        else {
            return;
        };
        let key = subject_key(env.endpoint.hasher(), subject.domain, &subject.name);
        let now = known(env, sources, key, (subject.domain, &subject.name));
        if now != *before
            && let Some(topic) =
                self.subjects.get_mut(id).and_then(|subject| subject.topic_mut(Package::Presence))
        {
            topic.matter = Matter::Presence(now);
            changed.insert((id, Package::Presence));
        }
    }

    /// Another configuration is in force: ends subscriptions of and to those who are gone or may not watch any more, and tells of
    /// mailboxes.
    pub(crate) fn reconfigure(&mut self, env: &mut Environment) {
        let mut ends = Vec::new();
        let mut gone = Vec::new();
        let mut counted = Vec::new();
        for (id, subject) in self.subjects.iter() {
            let domain = env.domain(subject.domain);
            if domain.is_none_or(|domain| !domain.users.contains_key(&subject.name)) {
                gone.push(id);
            }
            for topic in &subject.topics {
                let package = topic.package();
                let is_there = domain.is_some_and(|domain| exists(domain, package, &subject.name));
                let may_watch = |watcher: &Watcher| {
                    watcher.domain == subject.domain
                        && domain
                            .is_some_and(|domain| may_watch(domain, package, &subject.name, &watcher.user))
                };
                for watcher in &topic.watchers {
                    if !is_there {
                        ends.push((*watcher, Reason::NoResource));
                    } else if self.watchers.get(*watcher).is_none_or(|watcher| !may_watch(watcher)) {
                        ends.push((*watcher, Reason::Rejected));
                    }
                }
                let now = counts(env, subject.domain, &subject.name);
                if let Matter::Mailbox(before) = topic.matter
                    && before != now
                {
                    counted.push((id, now));
                }
            }
        }
        for (watcher, reason) in ends {
            let ended = Change::Ended { reason, retry_after_s: None };
            self.change(env, watcher, ended, &mut Sheets::default());
        }
        for (id, now) in counted {
            let subject = self.subjects.get_mut(id);
            if let Some(topic) = subject.and_then(|subject| subject.topic_mut(Package::MessageSummary)) {
                topic.matter = Matter::Mailbox(now);
                self.tell(env, id, Package::MessageSummary);
            }
        }
        for id in gone {
            if let Some(subject) = self.subjects.get_mut(id) {
                subject.published = Default::default();
                self.arm_expiry(id);
            }
            self.drop_if_idle(env, id);
        }
    }
}

/// Whether there is such a subject.
pub(super) fn exists(domain: &Domain, package: Package, name: &str) -> bool {
    match package {
        Package::Dialog | Package::Presence | Package::MessageSummary | Package::Registration => {
            domain.users.contains_key(name)
        }
        Package::Conference => match domain.route(name.as_bytes()) {
            Some(Target::Service(Service::Conference(_))) => true,
            Some(Target::Service(_) | Target::User { .. } | Target::Peer { .. } | Target::Planned) | None => {
                false
            }
        },
    }
}

/// Whether a user of the domain may watch a subject of it.
pub(super) fn may_watch(domain: &Domain, package: Package, name: &str, watcher: &str) -> bool {
    if !domain.users.contains_key(watcher) {
        return false;
    }
    match package {
        Package::Dialog | Package::Presence => {
            name == watcher || domain.users.get(name).is_some_and(|user| user.watched_by.allows(watcher))
        }
        Package::MessageSummary | Package::Registration => name == watcher,
        Package::Conference => true,
    }
}
