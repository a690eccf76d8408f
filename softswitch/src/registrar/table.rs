//! All bindings: found by address of record and by connection, ended by time, kept over a restart.

use super::gruu::GruuKey;
use super::user_agents::UserAgents;
use super::{AddressOfRecord, Binding};
use crate::config::{Config, DomainId};
use crate::core::environment::Environment;
use crate::core::{Event, Unbound};
use crate::store::{StoreOp, StoredBinding};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::random::Random;
use sip_stack::table::{Id, KeyIndex, Table};
use sip_stack::transaction::{KeyHasher, TimerQueue};
use sip_stack::transport::{Flow, ListenerId};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All bindings.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Registrar {
    pub(crate) table: Table<AddressOfRecord>,
    #[serde(skip)]
    index: KeyIndex<AddressOfRecord>,
    timers: TimerQueue<AddressOfRecord>,
    /// Who is registered over which connection.
    #[serde(skip)]
    connections: BTreeSet<(Flow, Id<AddressOfRecord>)>,
    #[serde(skip)]
    pub(super) user_agents: UserAgents,
    /// Somebody wants to hear whose bindings change.
    is_watched: bool,
    /// Whose bindings have changed since it was asked last.
    #[serde(skip)]
    news: Vec<(DomainId, Arc<str>)>,
    pub(super) gruu_key: GruuKey,
}

impl Registrar {
    /// Nobody is registered.
    pub(crate) fn new(random: &mut Random) -> Registrar {
        Registrar {
            table: Table::default(),
            index: KeyIndex::default(),
            timers: TimerQueue::default(),
            connections: BTreeSet::new(),
            user_agents: UserAgents::default(),
            is_watched: false,
            news: Vec::new(),
            gruu_key: GruuKey::new(random),
        }
    }

    /// Connections with bindings, once for each address of record.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The address of record of a user, if it was ever bound.
    pub(crate) fn find(&self, env: &Environment, domain: DomainId, user: &str) -> Option<&AddressOfRecord> {
        self.table.get(self.id_of(env, domain, user)?)
    }

    pub(super) fn id_of(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
    ) -> Option<Id<AddressOfRecord>> {
        self.index.get(key(env.endpoint.hasher(), domain, user))
    }

    /// An address of record for a user who has none.
    pub(super) fn insert(&mut self, env: &Environment, domain: DomainId, user: &str) -> Id<AddressOfRecord> {
        let aor = AddressOfRecord { domain, user: user.into(), bindings: SmallVec::new(), armed: None };
        let id = self.table.insert(aor);
        self.index.insert(key(env.endpoint.hasher(), domain, user), id);
        id
    }

    /// Whether anybody wants to hear whose bindings change.
    pub(crate) fn set_watched(&mut self, watched: bool) {
        self.is_watched = watched;
    }

    /// Whose bindings have changed since it was asked last.
    pub(crate) fn take_news(&mut self) -> Vec<(DomainId, Arc<str>)> {
        core::mem::take(&mut self.news)
    }

    fn note(&mut self, id: Id<AddressOfRecord>) {
        if self.is_watched
            && let Some(aor) = self.table.get(id)
        {
            self.news.push((aor.domain, aor.user.clone()));
        }
    }

    /// Puts a binding at the end of its address of record.
    pub(super) fn bind(&mut self, id: Id<AddressOfRecord>, binding: Binding) {
        if binding.connected {
            self.connections.insert((binding.flow, id));
        }
        if let Some(aor) = self.table.get_mut(id) {
            aor.bindings.push(binding);
        }
        self.note(id);
    }

    /// Takes the first such binding out of its address of record.
    pub(super) fn unbind(
        &mut self,
        id: Id<AddressOfRecord>,
        is_meant: impl Fn(&Binding) -> bool,
    ) -> Option<Binding> {
        let at = self.table.get(id)?.bindings.iter().position(is_meant)?;
        let aor = self.table.get_mut(id)?;
        let old = aor.bindings.remove(at);
        if old.connected && !aor.bindings.iter().any(|other| other.is_over(&old.flow)) {
            self.connections.remove(&(old.flow, id));
        }
        self.note(id);
        Some(old)
    }

    /// Says that a binding is gone.
    pub(super) fn forget(
        &self,
        env: &mut Environment,
        id: Id<AddressOfRecord>,
        binding: &Binding,
        reason: Unbound,
    ) {
        if let Some(aor) = self.table.get(id) {
            let domain = domain_name(&env.config, aor.domain);
            forget(env, &domain, &aor.user, binding, reason);
        }
    }

    /// Arms for the first binding to end. An earlier entry stays: it finds nothing to do and arms anew, which is
    /// cheaper than an entry for every refresh.
    pub(super) fn arm(&mut self, id: Id<AddressOfRecord>) {
        let Some(aor) = self.table.get(id) else { return };
        let Some(due) = aor.bindings.iter().map(|binding| binding.expires_at).min() else { return };
        if aor.armed.is_none_or(|armed| armed.at > due) {
            let armed = self.timers.arm(due, id);
            if let Some(aor) = self.table.get_mut(id) {
                aor.armed = Some(armed);
            }
        }
    }

    /// Ends the bindings whose time is up.
    pub(crate) fn handle_timeout(&mut self, env: &mut Environment) {
        while let Some((armed, id)) = self.timers.pop_due(env.now) {
            if self.table.get(id).is_none_or(|aor| aor.armed != Some(armed)) {
                continue;
            }
            if let Some(aor) = self.table.get_mut(id) {
                aor.armed = None;
            }
            let now = env.now;
            while let Some(old) = self.unbind(id, |binding| binding.expires_at <= now) {
                self.forget(env, id, &old, Unbound::Expired);
            }
            self.arm(id);
            self.drop_if_empty(env, id);
        }
    }

    /// Frees an address of record that has nothing any more. One that is armed waits for its timer: a phone that comes
    /// and goes without end would leave an entry in the queue each time.
    pub(super) fn drop_if_empty(&mut self, env: &Environment, id: Id<AddressOfRecord>) {
        if let Some(aor) = self.table.get(id).filter(|aor| aor.bindings.is_empty() && aor.armed.is_none()) {
            let key = key(env.endpoint.hasher(), aor.domain, &aor.user);
            self.index.remove(key, id);
            self.table.remove(id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.poll_timeout()
    }

    /// A connection has ended (RFC 5626 §7): the bindings that nothing else leads to end, the others will be reached over
    /// a new one.
    pub(crate) fn flow_lost(&mut self, env: &mut Environment, flow: &Flow) {
        let all = (*flow, Id::from_u64(0))..=(*flow, Id::from_u64(u64::MAX));
        let ids: Vec<Id<AddressOfRecord>> = self.connections.range(all).map(|(_, id)| *id).collect();
        for id in ids {
            while let Some(old) =
                self.unbind(id, |binding| binding.is_over(flow) && binding.needs_its_connection())
            {
                self.forget(env, id, &old, Unbound::ConnectionLost);
            }
            self.connections.remove(&(*flow, id));
            let left = self.table.get_mut(id).into_iter().flat_map(|aor| &mut aor.bindings);
            for binding in left.filter(|binding| binding.is_over(flow)) {
                binding.forget_connection(env);
            }
            self.drop_if_empty(env, id);
        }
    }

    /// The store has nothing: it is given every binding.
    pub(crate) fn keep_all(&self, env: &mut Environment) {
        for (_, aor) in self.table.iter() {
            let domain = domain_name(&env.config, aor.domain);
            for binding in &aor.bindings {
                let expires_at_unix_ms = env.unix_ms(binding.expires_at);
                env.store(StoreOp::from(binding.stored(&domain, &aor.user, expires_at_unix_ms)));
            }
        }
    }

    /// Takes back what the store kept. Bindings of users or domains that no longer exist, those that ended while the
    /// switch was down, and those that only a connection led to are forgotten.
    pub(crate) fn restore(&mut self, env: &mut Environment, mut stored: Vec<StoredBinding>) {
        // The order among the bindings of a user is that of their last refresh.
        stored.sort_by_key(|binding| binding.expires_at_unix_ms);
        for stored in stored {
            let expires_at = env.time_of(stored.expires_at_unix_ms);
            let domain = env.config.domain_named(&stored.key.domain);
            let known = domain.filter(|id| {
                expires_at > env.now
                    && env.domain(*id).is_some_and(|domain| domain.users.contains_key(&*stored.key.user))
            });
            let revived = listener_of(env, &stored)
                .map(|listener| self.revived(&stored, listener, expires_at))
                .filter(|binding| !binding.needs_its_connection());
            match (known, revived) {
                (Some(domain), Some(mut binding)) => {
                    if binding.flow.transport.is_reliable() {
                        binding.forget_connection(env);
                    } else if let Some(local) = env.local_for(&binding.flow) {
                        binding.flow.local = local;
                    }
                    let user = &*stored.key.user;
                    let id = self.id_of(env, domain, user).unwrap_or_else(|| self.insert(env, domain, user));
                    self.bind(id, binding);
                    self.arm(id);
                }
                (Some(_), None) | (None, _) => env.store(StoreOp::RemoveBinding(stored.key)),
            }
        }
    }

    fn revived(&mut self, stored: &StoredBinding, listener: ListenerId, expires_at: Time) -> Binding {
        let StoredBinding { transport, source, local, .. } = *stored;
        Binding {
            contact: stored.key.contact.clone(),
            q: stored.q,
            expires_at,
            call_id: stored.call_id.clone(),
            cseq: stored.cseq,
            identity: 0,
            flow: Flow { listener, transport, local, peer: source },
            connected: false,
            instance: stored.instance.clone(),
            reg_id: stored.key.flow.as_ref().map(|flow| flow.reg_id),
            path: stored.path.clone().into_boxed_slice(),
            user_agent: self.user_agents.share(&stored.user_agent),
        }
    }

    /// Forgets the bindings of users that the new configuration no longer has. `before` knows the names of domains
    /// that are gone altogether.
    pub(crate) fn reconfigure(&mut self, env: &mut Environment, before: &Config) {
        let gone: Vec<Id<AddressOfRecord>> = self
            .table
            .iter()
            .filter(|(_, aor)| {
                env.domain(aor.domain).is_none_or(|domain| !domain.users.contains_key(&*aor.user))
            })
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            let Some(aor) = self.table.get(id) else { continue };
            let (domain, user) = (domain_name(before, aor.domain), aor.user.clone());
            while let Some(old) = self.unbind(id, |_| true) {
                forget(env, &domain, &user, &old, Unbound::Removed);
            }
            if let Some(aor) = self.table.get_mut(id) {
                aor.armed = None;
            }
            self.drop_if_empty(env, id);
        }
    }

    /// The machine's addresses changed: a binding that came in on one that is gone is reached from the one that faces
    /// the phone now.
    pub(crate) fn readdress(&mut self, env: &Environment) {
        // A connection has the addresses it was opened with, or is about to be closed.
        let moves = |binding: &Binding| {
            if binding.connected { None } else { env.local_for(&binding.flow) }
        };
        let moved: Vec<Id<AddressOfRecord>> = self
            .table
            .iter()
            .filter(|(_, aor)| aor.bindings.iter().any(|binding| moves(binding).is_some()))
            .map(|(id, _)| id)
            .collect();
        for id in moved {
            for binding in self.table.get_mut(id).into_iter().flat_map(|aor| &mut aor.bindings) {
                if let Some(local) = moves(binding) {
                    binding.flow.local = local;
                }
            }
        }
    }

    /// Rebuilds what is derived from the table.
    pub(crate) fn rebuild(&mut self, hasher: &KeyHasher) {
        for (id, aor) in self.table.iter() {
            self.index.insert(key(hasher, aor.domain, &aor.user), id);
            if let Some(armed) = aor.armed {
                self.timers.restore(armed, id);
            }
            let connected = aor.bindings.iter().filter(|binding| binding.connected);
            self.connections.extend(connected.map(|binding| (binding.flow, id)));
        }
    }
}

fn key(hasher: &KeyHasher, domain: DomainId, user: &str) -> u128 {
    hasher.hash(&[b"aor", &domain.0.to_be_bytes(), user.as_bytes()])
}

/// The name of a domain, shared.
pub(super) fn domain_name(config: &Config, id: DomainId) -> Arc<str> {
    config.domains.get(&id).map_or_else(Arc::default, |domain| domain.name.clone())
}

fn forget(env: &mut Environment, domain: &Arc<str>, user: &Arc<str>, binding: &Binding, reason: Unbound) {
    env.store(StoreOp::RemoveBinding(binding.key(domain, user)));
    let contact = binding.contact.clone();
    env.event(Event::Unregistered { domain: domain.clone(), user: user.clone(), contact, reason });
}

/// The listener that the binding came in on, if it is still there.
fn listener_of(env: &Environment, binding: &StoredBinding) -> Option<ListenerId> {
    let at = env.config.listeners.iter().position(|listener| {
        listener.transport == binding.transport
            && (listener.address == binding.local
                || (listener.address.ip().is_unspecified()
                    && listener.address.port() == binding.local.port()))
    })?;
    u16::try_from(at).ok().map(ListenerId)
}
