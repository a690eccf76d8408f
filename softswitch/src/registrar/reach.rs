//! Where a request to a binding goes (RFC 3327 §5.4, RFC 5626 §7), and which bindings are of one phone.
//!
//! | binding | reached |
//! |---|---|
//! | with a Path | at the proxy that the REGISTER came from, by the Path: at the port and over the transport of the topmost hop where that names the proxy's address, else over the flow of the REGISTER |
//! | registered with `reg-id` | over the flow of the REGISTER (RFC 5626 §7) |
//! | registered over a stream | over that connection, whatever transport the contact names |
//! | registered over UDP | by the `contact` of the domain; where it says `auto`, at the port of the contact, if its host is the address that the REGISTER came from, over the transport that the contact names if there is a listener of it; else where the REGISTER came from |
//!
//! Left out on purpose: names. A hop with a host name is taken for the proxy that the REGISTER came from.

use super::{Binding, Device, table::Registrar};
use crate::config::{ContactPolicy, DomainId};
use crate::core::environment::Environment;
use bytes::Bytes;
use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};
use serde::{Deserialize, Serialize};
use sip_stack::header::NameAddr;
use sip_stack::message::{Scheme, Uri};
use sip_stack::transport::{Flow, Transport};
use smallvec::SmallVec;

/// One way to a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// The Request-URI.
    pub(crate) uri: Bytes,
    /// The flow to the first hop.
    pub(crate) flow: Flow,
    /// The Route values of the request (RFC 3327 §5.4).
    pub(crate) path: Box<[Bytes]>,
}

impl Registrar {
    /// The phones of a user, or the one device that is named, the most preferred first; of each the ways to it, in the order in which they are to be tried.
    ///
    /// Bindings of one instance are ways to one phone (RFC 5626 §7: never more than one at a time), the one registered last
    /// before the others unless `q` says otherwise.
    pub(crate) fn phones(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
        device: Option<&Device>,
    ) -> SmallVec<[SmallVec<[Way; 1]>; 1]> {
        self.ranked_phones(env, domain, user, device).into_iter().map(|(_, ways)| ways).collect()
    }

    /// What leads to a user: its own bindings, unless somebody else has logged in at its phones, and those of the user at whose phones it has
    /// logged in. A phone that is named is one of its own in any case.
    fn bindings_of(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
        is_named: bool,
    ) -> impl Iterator<Item = &Binding> {
        let profiles = &env.routing.profiles;
        let is_own = is_named || profiles.guest_at(domain, user).is_none();
        let desk = profiles.desk_of(domain, user).filter(|_| !is_named);
        let aors = [Some(user).filter(|_| is_own), desk].into_iter().flatten();
        let found = aors.filter_map(|user| self.find(env, domain, user).map(|aor| &aor.bindings[..]));
        let found: SmallVec<[&[Binding]; 2]> = found.collect();
        found.into_iter().flatten()
    }

    /// The phone of a user that is called so: by its instance, with or without quotes and brackets, or by its contact URI.
    pub(crate) fn phones_named(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
        name: &str,
    ) -> SmallVec<[SmallVec<[Way; 1]>; 1]> {
        let bare = |text: &str| text.trim_matches(['"', '<', '>']).to_ascii_lowercase();
        let is_it = |binding: &Binding| {
            let instance = binding.instance.as_deref().and_then(|own| core::str::from_utf8(own).ok());
            instance.is_some_and(|own| bare(own) == bare(name)) || binding.contact == name.as_bytes()
        };
        let bindings = self.bindings_of(env, domain, user, true).filter(|binding| is_it(binding));
        phones_of(env, domain, bindings).into_iter().map(|(_, ways)| ways).collect()
    }

    /// The same, each with its preference in thousandths.
    pub(crate) fn ranked_phones(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
        device: Option<&Device>,
    ) -> SmallVec<[(u16, SmallVec<[Way; 1]>); 1]> {
        let hasher = env.endpoint.hasher();
        let bindings = self.bindings_of(env, domain, user, device.is_some());
        let meant = bindings.filter(|binding| device.is_none_or(|named| named.has(hasher, binding)));
        phones_of(env, domain, meant)
    }
}

/// Phones, each with its preference in thousandths and its ways, from what leads to them.
fn phones_of<'a>(
    env: &Environment,
    domain: DomainId,
    bindings: impl Iterator<Item = &'a Binding>,
) -> SmallVec<[(u16, SmallVec<[Way; 1]>); 1]> {
    let mut phones: SmallVec<[SmallVec<[&Binding; 2]>; 2]> = SmallVec::new();
    for binding in bindings {
        let same_phone = |phone: &&mut SmallVec<[&Binding; 2]>| {
            binding.instance.is_some()
                && phone.first().is_some_and(|other| other.instance == binding.instance)
        };
        match phones.iter_mut().find(same_phone) {
            Some(phone) => phone.insert(0, binding),
            None => phones.push(SmallVec::from_slice(&[binding])),
        }
    }
    for phone in &mut phones {
        phone.sort_by_key(|binding| Reverse(binding.q));
    }
    phones.sort_by_key(|phone| phone.first().map(|binding| Reverse(binding.q)));
    let policy = env.domain(domain).map_or_else(Default::default, |domain| domain.contact);
    let way = |binding: &Binding| binding.way(env, policy);
    let q = |phone: &[&Binding]| phone.first().map_or(0, |binding| binding.q);
    phones.into_iter().map(|phone| (q(&phone), phone.into_iter().map(way).collect())).collect()
}

impl Binding {
    fn way(&self, env: &Environment, policy: ContactPolicy) -> Way {
        let flow = self.flow_to_first_hop(env, policy);
        Way { uri: self.contact.clone(), flow, path: self.path.clone() }
    }

    fn flow_to_first_hop(&self, env: &Environment, policy: ContactPolicy) -> Flow {
        let flow = self.flow;
        let streams = flow.transport.is_reliable();
        match (self.first_hop(), self.reg_id) {
            // A hop elsewhere would let every phone aim our requests at any host.
            (Some(hop), _) => match hop.ip() {
                Some(ip) if !streams && same_host(ip, &flow) => towards(flow, &hop, ip, env),
                Some(_) | None => flow,
            },
            (None, Some(_)) => flow,
            (None, None) => match Uri::parse(&self.contact) {
                Ok(contact) if !streams => flow_to_contact(policy, flow, &contact, env),
                Ok(_) | Err(_) => flow,
            },
        }
    }

    /// The topmost hop of the Path.
    fn first_hop(&self) -> Option<Uri<'_>> {
        NameAddr::parse(self.path.first()?).ok().map(|hop| hop.uri)
    }

    /// Whether it is reached over this connection of the phone's.
    pub(super) fn is_over(&self, connection: &Flow) -> bool {
        self.connected && self.flow == *connection
    }

    /// Whether nothing but the connection of the REGISTER leads to it: a browser, a phone that asked for outbound, a
    /// contact behind a translator or at the phone's end of the connection, where nobody listens, a proxy known by name
    /// alone.
    pub(super) fn needs_its_connection(&self) -> bool {
        match (self.flow.transport, self.first_hop()) {
            (Transport::Udp, _) => false,
            (Transport::Ws | Transport::Wss, _) => true,
            (Transport::Tcp | Transport::Tls, Some(hop)) => hop.ip().is_none(),
            (Transport::Tcp | Transport::Tls, None) => {
                let listens = Uri::parse(&self.contact).is_ok_and(|contact| {
                    let port = contact.port.unwrap_or(self.flow.transport.default_port());
                    contact.ip().is_some_and(|ip| same_host(ip, &self.flow)) && port != self.flow.peer.port()
                });
                self.reg_id.is_some() || !listens
            }
        }
    }

    /// Its connection is gone: a new one will have to be opened to the port in its URI.
    pub(super) fn forget_connection(&mut self, env: &Environment) {
        self.connected = false;
        let uri = self.first_hop().or_else(|| Uri::parse(&self.contact).ok());
        if let Some((ip, port)) = uri.and_then(|uri| Some((uri.ip()?, uri.port))) {
            self.flow.peer = SocketAddr::new(ip, port.unwrap_or(self.flow.transport.default_port()));
        }
        if let Some(local) = env.local_for(&self.flow) {
            self.flow.local = local;
        }
    }
}

/// The flow to the phone that registered `contact` over UDP, by the policy of its domain.
fn flow_to_contact(policy: ContactPolicy, flow: Flow, contact: &Uri<'_>, env: &Environment) -> Flow {
    match (policy, contact.ip()) {
        (ContactPolicy::Source, _) | (_, None) => flow,
        (ContactPolicy::Auto, Some(ip)) if !same_host(ip, &flow) => flow,
        (ContactPolicy::Auto, Some(ip)) => towards(flow, contact, ip, env),
        (ContactPolicy::AsSent, Some(ip)) if same_host(ip, &flow) => towards(flow, contact, ip, env),
        (ContactPolicy::AsSent, Some(ip)) => {
            let transport = transport_of(contact);
            let port = contact.port.unwrap_or(transport.default_port());
            env.flow_to(transport, SocketAddr::new(ip, port)).unwrap_or(flow)
        }
    }
}

/// The flow to `ip`, over the transport and to the port of `uri`; the registered one when no listener of ours serves.
fn towards(flow: Flow, uri: &Uri<'_>, ip: IpAddr, env: &Environment) -> Flow {
    let transport = transport_of(uri);
    let port = uri.port.unwrap_or(transport.default_port());
    if transport == flow.transport && same_host(ip, &flow) {
        return Flow { peer: SocketAddr::new(flow.peer.ip(), port), ..flow };
    }
    match transport {
        Transport::Udp | Transport::Tcp | Transport::Tls => {
            env.flow_to(transport, SocketAddr::new(ip, port)).unwrap_or(flow)
        }
        // Only the browser opens a WebSocket (RFC 7118 §4).
        Transport::Ws | Transport::Wss => flow,
    }
}

/// The transport that a URI names (RFC 3261 §19.1.1, §26.2.2; RFC 7118 §5.3); UDP for a name that nobody knows.
fn transport_of(uri: &Uri<'_>) -> Transport {
    let secure = uri.scheme == Scheme::Sips;
    let named = uri.params.value(b"transport").unwrap_or(if secure { b"tls" } else { b"udp" });
    let is = |name: &[u8]| named.eq_ignore_ascii_case(name);
    match secure {
        true if is(b"ws") || is(b"wss") => Transport::Wss,
        true => Transport::Tls,
        false if is(b"tcp") => Transport::Tcp,
        false if is(b"tls") => Transport::Tls,
        false if is(b"ws") => Transport::Ws,
        false if is(b"wss") => Transport::Wss,
        false => Transport::Udp,
    }
}

fn same_host(ip: IpAddr, flow: &Flow) -> bool {
    ip.to_canonical() == flow.peer.ip().to_canonical()
}
