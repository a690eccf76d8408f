//! Processing of REGISTER (RFC 3261 §10.3).

use super::{AddressOfRecord, Binding};
use crate::config::{Config, DomainId, Registration};
use crate::core::Event;
use crate::core::environment::{Environment, sign_response};
use crate::store::{StoreOp, StoredBinding};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint::Request;
use sip_stack::header::{Contact, Contacts, HeaderName};
use sip_stack::message::{Status, Uri, Writer};
use sip_stack::table::{Id, KeyIndex, Table};
use sip_stack::transaction::{KeyHasher, TimerQueue};
use sip_stack::transport::{Flow, ListenerId, Transport};
use smallvec::SmallVec;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// All bindings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Registrar {
    pub(crate) table: Table<AddressOfRecord>,
    #[serde(skip)]
    index: KeyIndex<AddressOfRecord>,
    timers: TimerQueue<AddressOfRecord>,
}

/// Why a REGISTER fails after authentication.
enum Refusal {
    /// A contact wants to be bound for too short a time: 423 with Min-Expires (§10.3 step 7).
    TooBrief { min_expires_s: u32 },
    /// Malformed contacts, or `*` with an expiry (§10.3 step 6): 400.
    Malformed,
    /// CSeq not higher than that of the last REGISTER of this Call-ID (§10.3 step 7): 500.
    OutOfOrder,
}

/// What a REGISTER asks for, contact by contact. A lifetime of zero removes.
type Wishes = SmallVec<[(Binding, u32); 1]>;

impl Registrar {
    /// Carries out a REGISTER whose sender proved to be `user`.
    pub(crate) fn register(
        &mut self,
        env: &mut Environment,
        request: &Request,
        domain: DomainId,
        user: &str,
    ) {
        let transaction = env.endpoint.accept(env.now, request, 0);
        let (status, response) = match self.process(env, request, domain, user) {
            Ok(()) => {
                let mut response = env.endpoint.response(request, Status::OK, None);
                self.write_contacts(env, domain, user, &mut response);
                (Status::OK, response)
            }
            Err(refusal) => refuse(env, request, &refusal),
        };
        let mut response = response;
        sign_response(&mut response);
        env.endpoint.respond(env.now, transaction, status, response.finish());
    }

    fn process(
        &mut self,
        env: &mut Environment,
        request: &Request,
        domain: DomainId,
        user: &str,
    ) -> Result<(), Refusal> {
        let Some(limits) = env.domain(domain).map(|domain| domain.registration) else { return Ok(()) };
        let contacts = request.message.contacts().map_err(|_| Refusal::Malformed)?;
        let expires = request.message.expires().ok().flatten();
        let wishes = match contacts {
            Contacts::Star if expires == Some(0) => self.everything(env, request, domain, user),
            Contacts::Star => return Err(Refusal::Malformed),
            Contacts::List(list) if list.is_empty() => return Ok(()),
            Contacts::List(list) => {
                let known = self.find(env, domain, user);
                let wish = |contact| wish(env.now, request, contact, expires, &limits, known);
                list.iter().map(wish).collect::<Result<Wishes, Refusal>>()?
            }
        };
        let id = self.find_or_insert(env, domain, user);
        // §10.3 step 7: all or nothing, so every wish is checked before any takes effect.
        if let Some(aor) = self.table.get(id)
            && wishes.iter().any(|(wish, _)| is_out_of_order(aor, wish))
        {
            return Err(Refusal::OutOfOrder);
        }
        for (binding, lifetime_s) in wishes {
            self.apply(env, id, binding, lifetime_s, limits.max_contacts);
        }
        self.arm(id);
        self.drop_if_empty(env, id);
        Ok(())
    }

    /// `Contact: *` with Expires 0: every binding, removed (§10.2.2).
    fn everything(&self, env: &Environment, request: &Request, domain: DomainId, user: &str) -> Wishes {
        let Some(aor) = self.find(env, domain, user) else { return Wishes::new() };
        let (call_id, cseq) = sequence(request);
        let call_id = Bytes::copy_from_slice(call_id);
        let removed = |binding: &Binding| Binding { call_id: call_id.clone(), cseq, ..binding.clone() };
        aor.bindings.iter().map(|binding| (removed(binding), 0)).collect()
    }

    fn apply(
        &mut self,
        env: &mut Environment,
        id: Id<AddressOfRecord>,
        binding: Binding,
        lifetime_s: u32,
        max_contacts: u32,
    ) {
        let Some(aor) = self.table.get_mut(id) else { return };
        let domain =
            env.config.domains.get(&aor.domain).map_or_else(Arc::default, |domain| domain.name.clone());
        let known = aor.bindings.iter().position(|known| known.is_replaced_by(&binding));
        if let Some(at) = known
            && (lifetime_s == 0 || aor.bindings[at].contact != binding.contact)
        {
            let old = aor.bindings.remove(at);
            forget(env, &domain, &aor.user, &old, false);
            if lifetime_s == 0 {
                return;
            }
        }
        if lifetime_s == 0 {
            return;
        }
        let expires_at_unix_ms = env.unix_ms(binding.expires_at);
        env.store(StoreOp::PutBinding(binding.stored(&domain, &aor.user, expires_at_unix_ms)));
        match aor.bindings.iter_mut().find(|known| known.contact == binding.contact) {
            Some(known) => *known = binding,
            None => {
                env.event(Event::Registered {
                    domain: domain.clone(),
                    user: aor.user.clone(),
                    contact: binding.contact.clone(),
                    source: binding.flow.peer,
                    expires_s: lifetime_s,
                });
                aor.bindings.push(binding);
            }
        }
        // A phone that comes back under ever new addresses must not be locked out: the binding that would end first
        // makes room.
        if aor.bindings.len() > max_contacts as usize
            && let Some(at) = (0..aor.bindings.len() - 1).min_by_key(|at| aor.bindings[*at].expires_at)
        {
            let old = aor.bindings.remove(at);
            forget(env, &domain, &aor.user, &old, false);
        }
    }

    fn write_contacts(&self, env: &Environment, domain: DomainId, user: &str, response: &mut Writer) {
        let Some(aor) = self.find(env, domain, user) else { return };
        for binding in &aor.bindings {
            let left_s = binding.expires_at.since(env.now).as_millis().div_ceil(1_000);
            let mut value = Vec::with_capacity(binding.contact.len() + 64);
            value.push(b'<');
            value.extend_from_slice(&binding.contact);
            // Writing into memory does not fail.
            let _ = write!(value, ">;expires={left_s}");
            if binding.q != 1_000 {
                let _ = write!(value, ";q=0.{:03}", binding.q);
            }
            if let Some(instance) = &binding.instance {
                value.extend_from_slice(b";+sip.instance=");
                value.extend_from_slice(instance);
            }
            response.header(HeaderName::Contact, &value);
        }
    }

    /// The address of record of a user, if it was ever bound.
    pub(crate) fn find(&self, env: &Environment, domain: DomainId, user: &str) -> Option<&AddressOfRecord> {
        self.table.get(self.index.get(key(env.endpoint.hasher(), domain, user))?)
    }

    fn find_or_insert(&mut self, env: &Environment, domain: DomainId, user: &str) -> Id<AddressOfRecord> {
        let key = key(env.endpoint.hasher(), domain, user);
        if let Some(id) = self.index.get(key) {
            return id;
        }
        let aor = AddressOfRecord { domain, user: user.into(), bindings: SmallVec::new(), armed: None };
        let id = self.table.insert(aor);
        self.index.insert(key, id);
        id
    }

    /// Arms for the first binding to end. An earlier entry stays: it finds nothing to do and arms anew, which is
    /// cheaper than an entry for every refresh.
    fn arm(&mut self, id: Id<AddressOfRecord>) {
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
            let Some(aor) = self.table.get_mut(id) else { continue };
            aor.armed = None;
            let domain =
                env.config.domains.get(&aor.domain).map_or_else(Arc::default, |domain| domain.name.clone());
            while let Some(at) = aor.bindings.iter().position(|binding| binding.expires_at <= env.now) {
                let old = aor.bindings.remove(at);
                forget(env, &domain, &aor.user, &old, true);
            }
            self.arm(id);
            self.drop_if_empty(env, id);
        }
    }

    fn drop_if_empty(&mut self, env: &Environment, id: Id<AddressOfRecord>) {
        if let Some(aor) = self.table.get(id).filter(|aor| aor.bindings.is_empty()) {
            let key = key(env.endpoint.hasher(), aor.domain, &aor.user);
            self.index.remove(key, id);
            self.table.remove(id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.poll_timeout()
    }

    /// Takes back what the store kept. Bindings of users or domains that no longer exist, and those that ended while
    /// the switch was down, are forgotten.
    pub(crate) fn restore(&mut self, env: &mut Environment, stored: Vec<StoredBinding>) {
        for binding in stored {
            let expires_at = env.time_of(binding.expires_at_unix_ms);
            let domain = env.config.domain_named(&binding.key.domain);
            let known = domain.filter(|id| {
                expires_at > env.now
                    && env.domain(*id).is_some_and(|domain| domain.users.contains_key(&*binding.key.user))
            });
            match (known, listener_of(env, &binding)) {
                (Some(domain), Some(listener)) => {
                    let id = self.find_or_insert(env, domain, &binding.key.user);
                    if let Some(aor) = self.table.get_mut(id) {
                        let mut binding = revived(binding, listener, expires_at);
                        if let Some(local) = env.local_for(&binding.flow) {
                            binding.flow.local = local;
                        }
                        aor.bindings.push(binding);
                    }
                    self.arm(id);
                }
                (Some(_), None) | (None, _) => env.store(StoreOp::RemoveBinding(binding.key)),
            }
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
            let Some(aor) = self.table.get_mut(id) else { continue };
            let domain =
                before.domains.get(&aor.domain).map_or_else(Arc::default, |domain| domain.name.clone());
            for old in core::mem::take(&mut aor.bindings) {
                forget(env, &domain, &aor.user, &old, false);
            }
            self.drop_if_empty(env, id);
        }
    }

    /// The machine's addresses changed: a binding that came in on one that is gone is reached from the one that faces
    /// the phone now.
    pub(crate) fn readdress(&mut self, env: &Environment) {
        let moved: Vec<Id<AddressOfRecord>> = self
            .table
            .iter()
            .filter(|(_, aor)| aor.bindings.iter().any(|binding| env.local_for(&binding.flow).is_some()))
            .map(|(id, _)| id)
            .collect();
        for id in moved {
            for binding in self.table.get_mut(id).into_iter().flat_map(|aor| &mut aor.bindings) {
                if let Some(local) = env.local_for(&binding.flow) {
                    binding.flow.local = local;
                }
            }
        }
    }

    /// A connection has ended. A phone that can be connected to is from now on reached at its contact; any other is
    /// not bound any more, until it comes back.
    pub(crate) fn flow_lost(&mut self, env: &mut Environment, flow: &Flow) {
        let lost: Vec<Id<AddressOfRecord>> = self
            .table
            .iter()
            .filter(|(_, aor)| aor.bindings.iter().any(|binding| binding.flow == *flow))
            .map(|(id, _)| id)
            .collect();
        for id in lost {
            let Some(aor) = self.table.get_mut(id) else { continue };
            let domain =
                env.config.domains.get(&aor.domain).map_or_else(Arc::default, |domain| domain.name.clone());
            while let Some(at) = aor.bindings.iter().position(|binding| binding.flow == *flow) {
                match listening_at(&aor.bindings[at]) {
                    Some(peer) => aor.bindings[at].flow.peer = peer,
                    None => {
                        let old = aor.bindings.remove(at);
                        forget(env, &domain, &aor.user, &old, false);
                    }
                }
            }
            self.drop_if_empty(env, id);
        }
    }

    /// Rebuilds what is derived from the table.
    pub(crate) fn rebuild(&mut self, hasher: &KeyHasher) {
        for (id, aor) in self.table.iter() {
            self.index.insert(key(hasher, aor.domain, &aor.user), id);
            if let Some(armed) = aor.armed {
                self.timers.restore(armed, id);
            }
        }
    }
}

fn key(hasher: &KeyHasher, domain: DomainId, user: &str) -> u128 {
    hasher.hash(&[b"aor", &domain.0.to_be_bytes(), user.as_bytes()])
}

fn sequence(request: &Request) -> (&[u8], u32) {
    (request.message.call_id().unwrap_or_default(), request.message.cseq().map_or(0, |cseq| cseq.number))
}

/// `text`, shared with the binding that is refreshed where that has the same, else copied: a binding outlives the
/// datagram by far.
fn kept(known: Option<&Bytes>, text: &[u8]) -> Bytes {
    match known {
        Some(known) if known == text => known.clone(),
        Some(_) | None => Bytes::copy_from_slice(text),
    }
}

/// What one Contact value asks for: its lifetime from its parameter, else from Expires, else the usual one.
fn wish(
    now: Time,
    request: &Request,
    contact: &Contact<'_>,
    expires: Option<u32>,
    limits: &Registration,
    known: Option<&AddressOfRecord>,
) -> Result<(Binding, u32), Refusal> {
    let wanted_s = contact.expires.or(expires).unwrap_or(limits.default_expires_s);
    if wanted_s > 0 && wanted_s < limits.min_expires_s {
        return Err(Refusal::TooBrief { min_expires_s: limits.min_expires_s });
    }
    if !contact.address.uri.is_sip() {
        return Err(Refusal::Malformed);
    }
    let lifetime_s = wanted_s.min(limits.max_expires_s);
    let (call_id, cseq) = sequence(request);
    let user_agent = request.message.header(HeaderName::UserAgent).unwrap_or_default();
    let uri = contact.address.uri_text;
    let known = known.and_then(|aor| aor.bindings.iter().find(|binding| binding.contact == uri));
    let binding = Binding {
        contact: kept(known.map(|known| &known.contact), uri),
        q: contact.q.unwrap_or(1_000),
        expires_at: now + Duration::from_secs(u64::from(lifetime_s)),
        call_id: kept(known.map(|known| &known.call_id), call_id),
        cseq,
        flow: request.flow,
        instance: contact
            .address
            .params
            .value(b"+sip.instance")
            .map(|instance| kept(known.and_then(|known| known.instance.as_ref()), instance)),
        user_agent: kept(known.map(|known| &known.user_agent), user_agent),
    };
    Ok((binding, lifetime_s))
}

/// §10.3 step 7: a REGISTER of the same Call-ID with a CSeq that is not higher came too late.
fn is_out_of_order(aor: &AddressOfRecord, wish: &Binding) -> bool {
    aor.bindings
        .iter()
        .any(|known| known.is_replaced_by(wish) && known.call_id == wish.call_id && known.cseq >= wish.cseq)
}

fn refuse(env: &Environment, request: &Request, refusal: &Refusal) -> (Status, Writer) {
    let status = match refusal {
        Refusal::TooBrief { .. } => Status::INTERVAL_TOO_BRIEF,
        Refusal::Malformed => Status::BAD_REQUEST,
        Refusal::OutOfOrder => Status::SERVER_INTERNAL_ERROR,
    };
    let mut response = env.endpoint.response(request, status, None);
    if let Refusal::TooBrief { min_expires_s } = refusal {
        response.number(HeaderName::MinExpires, u64::from(*min_expires_s));
    }
    (status, response)
}

/// Where a phone whose connection is gone can be connected to: at its contact, if that is its real address and not the
/// end of the connection.
fn listening_at(binding: &Binding) -> Option<SocketAddr> {
    let uri = Uri::parse(&binding.contact).ok()?;
    let (peer, port) = (binding.flow.peer, uri.port.unwrap_or(binding.flow.transport.default_port()));
    let is_real = uri.ip()?.to_canonical() == peer.ip().to_canonical() && port != peer.port();
    match binding.flow.transport {
        Transport::Tcp | Transport::Tls if is_real => Some(SocketAddr::new(peer.ip(), port)),
        Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => None,
    }
}

fn forget(env: &mut Environment, domain: &Arc<str>, user: &Arc<str>, binding: &Binding, expired: bool) {
    env.store(StoreOp::RemoveBinding(binding.key(domain, user)));
    let contact = binding.contact.clone();
    env.event(Event::Unregistered { domain: domain.clone(), user: user.clone(), contact, expired });
}

/// The listener that the binding came in on, if it is still there.
fn listener_of(env: &Environment, binding: &StoredBinding) -> Option<ListenerId> {
    let at = env.config.listeners.iter().position(|listener| {
        listener.address == binding.local
            || (listener.address.ip().is_unspecified() && listener.address.port() == binding.local.port())
    })?;
    u16::try_from(at).ok().map(ListenerId)
}

fn revived(stored: StoredBinding, listener: ListenerId, expires_at: Time) -> Binding {
    Binding {
        contact: stored.key.contact,
        q: stored.q,
        expires_at,
        call_id: stored.call_id,
        cseq: stored.cseq,
        flow: Flow { listener, transport: Transport::Udp, local: stored.local, peer: stored.source },
        instance: stored.instance,
        user_agent: stored.user_agent,
    }
}
