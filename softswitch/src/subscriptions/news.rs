//! What has happened to calls, bindings and the configuration, for those who watch.

use super::bodies::Sheets;
use super::contacts;
use super::lines::Line;
use super::subject::{Matter, Sources, Subject, bindings, known};
use super::table::Subscriptions;
use super::watcher::Watcher;
use crate::call::{Calls, Place, SeatNews, subject_key};
use crate::config::{Conference, Domain, DomainId, Service, Target};
use crate::core::environment::Environment;
use crate::proxied::Proxied;
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
        proxied: &mut Proxied,
        registrar: &mut Registrar,
    ) -> bool {
        let (mut seats, bound) = (calls.take_news(), registrar.take_news());
        seats.extend(proxied.take_news());
        let is_watched = !self.subjects.is_empty();
        calls.set_watched(is_watched);
        proxied.set_watched(is_watched);
        registrar.set_watched(is_watched);
        let sources = Sources { calls, proxied, registrar };
        let mut changed = Changed::new();
        for news in seats {
            self.take_seat_news(env, sources, &news, &mut changed);
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
            self.look_at_presence(env, sources, id, &mut changed);
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
        sources: Sources<'_>,
        news: &SeatNews,
        changed: &mut Changed,
    ) {
        let SeatNews { subject: key, number, place, over, .. } = *news;
        let Some(id) = self.subject(key) else { return };
        let seen = sources.seen_at(env, news);
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
        self.look_at_presence(env, sources, id, changed);
    }

    fn look_at_presence(
        &mut self,
        env: &Environment,
        sources: Sources<'_>,
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

    /// Another configuration is in force.
    pub(crate) fn reconfigure(&mut self, env: &mut Environment) {
        self.end_what_is_not_allowed(env);
        self.show_others(env);
        self.count_mailboxes(env);
        self.drop_published(env);
    }

    /// Ends subscriptions of and to those who are gone or may not watch any more.
    fn end_what_is_not_allowed(&mut self, env: &mut Environment) {
        let topics = self.subjects.iter().flat_map(|(_, subject)| {
            subject
                .topics
                .iter()
                .flat_map(move |topic| topic.watchers.iter().map(move |id| (subject, topic, *id)))
        });
        let ends: Vec<(Id<Watcher>, Reason)> = topics
            .filter_map(|(subject, topic, id)| {
                let (domain, package) = (env.domain(subject.domain), topic.package());
                let Some(domain) = domain.filter(|domain| exists(domain, package, &subject.name)) else {
                    return Some((id, Reason::NoResource));
                };
                let may_watch = self.watchers.get(id).is_some_and(|watcher| {
                    let peer = watcher.peer.as_ref().and_then(|peer| domain.peers.get(peer));
                    watcher.domain == subject.domain
                        && (may_watch(domain, package, &subject.name, &watcher.user)
                            || (package == Package::Registration && peer.is_some_and(|peer| peer.trusted)))
                });
                (!may_watch).then_some((id, Reason::Rejected))
            })
            .collect();
        for (watcher, reason) in ends {
            let ended = Change::Ended { reason, retry_after_s: None };
            self.change(env, watcher, ended, &mut Sheets::default());
        }
    }

    /// Tells anew where others may be known than before.
    fn show_others(&mut self, env: &mut Environment) {
        let topics = self.subjects.iter().flat_map(|(id, subject)| {
            let domain = env.domain(subject.domain);
            let others = subject.topics.iter().filter(move |topic| topic.shows_others_now(domain));
            others.map(move |topic| (id, topic.package()))
        });
        let shown: Changed = topics.collect();
        for (id, package) in shown {
            let subject = self.subjects.get_mut(id);
            if let Some(topic) = subject.and_then(|subject| subject.topic_mut(package)) {
                topic.begin_anew();
            }
            self.tell(env, id, package);
        }
    }

    /// Tells of the mailbox of a user, if it has changed.
    pub(super) fn count_mailbox(&mut self, env: &mut Environment, domain: DomainId, name: &str) {
        let now = self.messages_of(env, domain, name);
        let Some(id) = self.subject(subject_key(env.endpoint.hasher(), domain, name)) else { return };
        let subject = self.subjects.get_mut(id);
        if let Some(topic) = subject.and_then(|subject| subject.topic_mut(Package::MessageSummary))
            && let Matter::Mailbox(before) = &mut topic.matter
            && core::mem::replace(before, now) != now
        {
            self.tell(env, id, Package::MessageSummary);
        }
    }

    /// Tells of mailboxes that the operator has counted anew.
    fn count_mailboxes(&mut self, env: &mut Environment) {
        self.relayed.retain(|(domain, peer), _| {
            let peer = env.domain(*domain).and_then(|domain| domain.peers.get(peer));
            peer.is_some_and(|peer| peer.mailbox_of.is_some())
        });
        let counted = self.subjects.iter().filter_map(|(_, subject)| {
            let now = self.messages_of(env, subject.domain, &subject.name);
            match subject.topic(Package::MessageSummary)?.matter {
                Matter::Mailbox(before) if before != now => Some((subject.domain, subject.name.clone())),
                Matter::Mailbox(_)
                | Matter::Lines(_)
                | Matter::Presence(_)
                | Matter::Contacts(_)
                | Matter::Roster(_) => None,
            }
        });
        let counted: Vec<_> = counted.collect();
        for (domain, name) in counted {
            self.count_mailbox(env, domain, &name);
        }
    }

    /// Forgets what users have published who are gone.
    fn drop_published(&mut self, env: &Environment) {
        let is_gone = |subject: &Subject| {
            env.domain(subject.domain).is_none_or(|domain| !domain.users.contains_key(&subject.name))
        };
        let gone = self.subjects.iter().filter(|(_, subject)| is_gone(subject));
        let gone: Vec<Id<Subject>> = gone.map(|(id, _)| id).collect();
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
            name == watcher || domain.users.get(name).is_some_and(|user| user.is_watched_by(watcher))
        }
        Package::MessageSummary | Package::Registration => name == watcher,
        Package::Conference => match domain.route(name.as_bytes()) {
            Some(Target::Service(Service::Conference(Conference { rules, .. }))) => {
                rules.listed || rules.names_moderator(watcher)
            }
            Some(Target::Service(_) | Target::User { .. } | Target::Peer { .. } | Target::Planned) | None => {
                false
            }
        },
    }
}
