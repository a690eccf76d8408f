//! Whom or what somebody watches, and a topic for each package.

use super::bodies::Document;
use super::contacts::{self, Bound};
use super::discretion::{Discretion, Hidden};
use super::ledger::Ledger;
use super::lines::{self, Line};
use super::presence::{self, Known};
use super::watcher::Watcher;
use super::{mailbox, roster};
use crate::call::{Calls, Place, SeatNews, SeatedIn, Seen, subject_key};
use crate::config::{DomainId, Mailbox};
use crate::core::environment::{Environment, escape_user};
use crate::proxied::Proxied;
use crate::registrar::{Binding, Registrar};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::event::body::presence::Presence;
use sip_stack::event::{Package, Publications};
use sip_stack::table::Id;
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// What the state of subjects comes from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Calls of ours.
    pub(crate) calls: &'a Calls,
    /// Calls that pass through.
    pub(crate) proxied: &'a Proxied,
    /// Bindings.
    pub(crate) registrar: &'a Registrar,
}

impl Sources<'_> {
    /// The seats of a subject.
    fn seen(&self, env: &Environment, subject: u128) -> impl Iterator<Item = Seen> {
        self.calls.seen(env, subject).chain(self.proxied.seen(env, subject))
    }

    /// The seat that news are of, if it is still there.
    pub(super) fn seen_at(&self, env: &Environment, news: &SeatNews) -> Option<Seen> {
        match news.call {
            SeatedIn::Anchored(call) => self.calls.seen_at(env, news.subject, call, news.place),
            SeatedIn::Passing(call) => self.proxied.seen_at(env, news.subject, call, news.place),
        }
    }
}

/// A user or a conference that is watched, or a user whose devices publish.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(super) domain: DomainId,
    /// The user, or the number of the conference.
    pub(super) name: Box<str>,
    pub(super) topics: SmallVec<[Topic; 1]>,
    pub(super) published: Publications<Presence>,
    /// When the first of what is published ends, as the queue of the subscriptions has it.
    pub(super) expires_at: Option<Time>,
}

/// What of a subject is watched.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) matter: Matter,
    pub(super) discretion: Discretion,
    /// Rebuilt from the watchers.
    #[serde(skip)]
    pub(super) watchers: BTreeSet<Id<Watcher>>,
}

/// The state of a topic.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Matter {
    Lines(Ledger<Line>),
    Presence(Known),
    Mailbox(Mailbox),
    Contacts(Ledger<Bound>),
    Roster(Ledger<Seen>),
}

impl Subject {
    pub(super) fn new(domain: DomainId, name: &str) -> Subject {
        Subject {
            domain,
            name: name.into(),
            topics: SmallVec::new(),
            published: Publications::default(),
            expires_at: None,
        }
    }

    pub(super) fn topic(&self, package: Package) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.package() == package)
    }

    pub(super) fn topic_mut(&mut self, package: Package) -> Option<&mut Topic> {
        self.topics.iter_mut().find(|topic| topic.package() == package)
    }

    /// The document about it for those who heard the change `since` as the last.
    pub(super) fn document(
        &self,
        package: Package,
        now: Time,
        host: &str,
        told: (u64, bool),
        hidden: &Hidden,
    ) -> Option<Document> {
        let name = &*self.name;
        Some(match &self.topic(package)?.matter {
            Matter::Lines(lines) => lines::compose(lines, name, host, told, hidden),
            Matter::Presence(known) => presence::compose(*known, self.published.iter(), name, host),
            Matter::Mailbox(counts) => mailbox::compose(*counts, name, host),
            Matter::Contacts(contacts) => contacts::compose(contacts, now, name, host, told),
            Matter::Roster(members) => roster::compose(members, name, host, told, hidden),
        })
    }
}

impl Topic {
    /// The state of `name` as it is now.
    pub(super) fn begin(
        env: &Environment,
        sources: Sources<'_>,
        package: Package,
        (domain, name): (DomainId, &str),
    ) -> Topic {
        let key = subject_key(env.endpoint.hasher(), domain, name);
        let matter = match package {
            Package::Dialog => {
                let mut lines = Ledger::default();
                let seats = sources.seen(env, key).filter(|seen| seen.place != Place::Member);
                seats.for_each(|seen| _ = lines.put(seen.number, Line::new(seen)));
                Matter::Lines(lines)
            }
            Package::Presence => Matter::Presence(known(env, sources, key, (domain, name))),
            Package::MessageSummary => Matter::Mailbox(counts(env, domain, name)),
            Package::Registration => {
                let mut contacts = Ledger::default();
                contacts::update(&mut contacts, env, bindings(env, sources.registrar, domain, name));
                Matter::Contacts(contacts)
            }
            Package::Conference => {
                let mut members = Ledger::default();
                let seats = sources.seen(env, key).filter(|seen| seen.place == Place::Member);
                seats.for_each(|seen| _ = members.put(seen.number, seen));
                Matter::Roster(members)
            }
        };
        let (discretion, watchers) = (Discretion::default(), BTreeSet::new());
        let mut topic = Topic { matter, discretion, watchers };
        topic.look_at_discretion(env.domain(domain));
        topic
    }

    pub(super) const fn package(&self) -> Package {
        match self.matter {
            Matter::Lines(_) => Package::Dialog,
            Matter::Presence(_) => Package::Presence,
            Matter::Mailbox(_) => Package::MessageSummary,
            Matter::Contacts(_) => Package::Registration,
            Matter::Roster(_) => Package::Conference,
        }
    }

    /// The number of its last change.
    pub(super) const fn changes(&self) -> u64 {
        match &self.matter {
            Matter::Lines(lines) => lines.changes(),
            Matter::Contacts(contacts) => contacts.changes(),
            Matter::Roster(members) => members.changes(),
            Matter::Presence(_) | Matter::Mailbox(_) => 0,
        }
    }
}

/// What the switch knows of the presence of a user.
pub(super) fn known(
    env: &Environment,
    sources: Sources<'_>,
    key: u128,
    (domain, name): (DomainId, &str),
) -> Known {
    Known {
        is_registered: !bindings(env, sources.registrar, domain, name).is_empty(),
        is_talking: sources.calls.is_talking(key) || sources.proxied.is_talking(key),
    }
}

/// The mailbox of a user.
pub(super) fn counts(env: &Environment, domain: DomainId, name: &str) -> Mailbox {
    env.domain(domain).and_then(|domain| domain.mailboxes.get(name)).copied().unwrap_or_default()
}

pub(super) fn bindings<'a>(
    env: &Environment,
    registrar: &'a Registrar,
    domain: DomainId,
    name: &str,
) -> &'a [Binding] {
    registrar.find(env, domain, name).map(|aor| &aor.bindings[..]).unwrap_or_default()
}

/// The URI of a user as its watcher calls us; nobody has that of one who does not want to be known (RFC 3323 §4.1.1.3).
pub(super) fn uri(user: Option<&str>, host: &str) -> String {
    match user {
        Some(user) => format!("sip:{}@{host}", String::from_utf8_lossy(&escape_user(user.as_bytes()))),
        None => "sip:anonymous@anonymous.invalid".to_owned(),
    }
}
