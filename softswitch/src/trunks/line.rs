//! A peer with its registration and its health: who of the two is meant, and when either has something to do.

use super::health::Health;
use super::registering::Registering;
use super::{Kind, LineId};
use crate::config::{DomainId, Peer};
use crate::core::Event;
use crate::core::environment::Environment;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Writer};
use sip_stack::registration::Loss;
use sip_stack::resolve::Target;
use sip_stack::transaction::TransactionId;
use std::net::IpAddr;
use std::sync::Arc;

/// One peer of the configuration.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) domain: DomainId,
    domain_name: Arc<str>,
    pub(super) peer: Box<str>,
    /// As they were when it began.
    pub(super) settings: Peer,
    registering: Option<Registering>,
    health: Option<Health>,
    /// It is no longer in the configuration, or the switch stops.
    pub(super) is_leaving: bool,
}

impl Line {
    pub(super) fn new(
        env: &mut Environment,
        domain: DomainId,
        domain_name: &Arc<str>,
        name: &str,
        peer: &Peer,
    ) -> Line {
        let registering = peer.client.registration.as_ref();
        Line {
            domain,
            domain_name: domain_name.clone(),
            peer: name.into(),
            registering: registering.map(|settings| Registering::new(env, settings)),
            health: (peer.client.health_s > 0).then(Health::default),
            settings: peer.clone(),
            is_leaving: false,
        }
    }

    /// Whether a reload leaves it as it is: what of the peer it works with is the same.
    pub(super) fn is_of(&self, peer: &Peer) -> bool {
        let ours = &self.settings;
        peer.client == ours.client
            && (&peer.host, peer.port, peer.transport) == (&ours.host, ours.port, ours.transport)
    }

    /// The first REGISTER and the first OPTIONS.
    pub(super) fn begin(&mut self, env: &mut Environment, id: LineId) {
        self.with_registering(env, id, |registering, work| registering.want(work, true));
        self.with_health(env, id, |health, work| health.ask(work));
    }

    /// Takes the registration back and asks no more.
    pub(super) fn leave(&mut self, env: &mut Environment, id: LineId) {
        self.is_leaving = true;
        super::errand::abandon(env, id, Kind::Health);
        self.health = None;
        env.routing.dead.remove(self.domain, &self.peer);
        env.routing.registered.remove(self.domain, &self.peer);
        self.with_registering(env, id, |registering, work| registering.want(work, false));
    }

    /// Whether nothing is left of a line that leaves.
    pub(super) fn is_gone(&self) -> bool {
        self.is_leaving && self.registering.as_ref().is_none_or(Registering::is_over)
    }

    pub(super) fn kind_of(&self, transaction: TransactionId) -> Option<Kind> {
        if self.registering.as_ref().is_some_and(|registering| registering.errand.is_of(transaction)) {
            return Some(Kind::Registration);
        }
        self.health.as_ref().is_some_and(|health| health.errand.is_of(transaction)).then_some(Kind::Health)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let registering = self.registering.as_ref().and_then(Registering::poll_timeout);
        registering.into_iter().chain(self.health.as_ref().and_then(Health::poll_timeout)).min()
    }

    pub(super) fn handle_timeout(&mut self, env: &mut Environment, id: LineId) {
        self.with_registering(env, id, |registering, work| registering.handle_timeout(work));
        self.with_health(env, id, |health, work| health.handle_timeout(work));
    }

    pub(super) fn handle_target(&mut self, env: &mut Environment, id: LineId, kind: Kind, target: &Target) {
        if !self.is_leaving {
            env.routing.note_found(self.domain, &self.peer, target.address.ip());
        }
        match kind {
            Kind::Registration => {
                self.with_registering(env, id, |registering, work| registering.handle_target(work, target));
            }
            Kind::Health => self.with_health(env, id, |health, work| health.handle_target(work, target)),
        }
    }

    pub(super) fn handle_exhausted(&mut self, env: &mut Environment, id: LineId, kind: Kind) {
        match kind {
            Kind::Registration => {
                self.with_registering(env, id, |registering, work| registering.handle_exhausted(work));
            }
            Kind::Health => self.with_health(env, id, |health, work| health.handle_miss(work)),
        }
    }

    pub(super) fn handle_response(
        &mut self,
        env: &mut Environment,
        id: LineId,
        kind: Kind,
        response: &Message,
    ) {
        match kind {
            Kind::Registration => {
                self.with_registering(env, id, |registering, work| {
                    registering.handle_response(work, response)
                });
            }
            Kind::Health => self.with_health(env, id, |health, work| health.handle_response(work, response)),
        }
    }

    pub(super) fn handle_loss(&mut self, env: &mut Environment, id: LineId, kind: Kind, loss: Loss) {
        match kind {
            Kind::Registration => {
                self.with_registering(env, id, |registering, work| registering.handle_loss(work, loss));
            }
            Kind::Health => self.with_health(env, id, |health, work| health.handle_loss(work, loss)),
        }
    }

    fn with_registering(
        &mut self,
        env: &mut Environment,
        id: LineId,
        act: impl FnOnce(&mut Registering, &mut Work<'_>),
    ) {
        let Line { domain, domain_name, peer, settings, registering, .. } = self;
        if let Some(registering) = registering {
            act(registering, &mut Work { env, id, domain_id: *domain, domain: domain_name, peer, settings });
        }
    }

    fn with_health(
        &mut self,
        env: &mut Environment,
        id: LineId,
        act: impl FnOnce(&mut Health, &mut Work<'_>),
    ) {
        let Line { domain, domain_name, peer, settings, health, .. } = self;
        if let Some(health) = health {
            act(health, &mut Work { env, id, domain_id: *domain, domain: domain_name, peer, settings });
        }
    }
}

/// What an errand works with.
pub(super) struct Work<'w> {
    pub(super) env: &'w mut Environment,
    pub(super) id: LineId,
    domain_id: DomainId,
    domain: &'w Arc<str>,
    peer: &'w str,
    pub(super) settings: &'w Peer,
}

impl Work<'_> {
    /// The domain of the peer, as it is asked for in URIs.
    pub(super) fn realm(&self) -> Vec<u8> {
        match &self.settings.client.from_domain {
            Some(domain) => domain.as_bytes().to_vec(),
            None => self.settings.authority().into_bytes(),
        }
    }

    /// Adds the way by the outbound proxy (RFC 3261 §8.1.2).
    pub(super) fn write_route(&self, writer: &mut Writer) {
        if let Some(route) = self.settings.route() {
            writer.header(HeaderName::Route, &route);
        }
    }

    /// The server that has our registration: calls come from there.
    pub(super) fn note_registrar(&mut self, server: Option<IpAddr>) {
        let registered = &mut self.env.routing.registered;
        match server {
            Some(server) => registered.insert(self.domain_id, self.peer, server.to_canonical()),
            None => registered.remove(self.domain_id, self.peer),
        }
    }

    pub(super) fn tell(&mut self, news: News) {
        let (domain, peer) = (self.domain.clone(), Arc::from(self.peer));
        match news {
            News::Down => self.env.routing.dead.insert(self.domain_id, self.peer, ()),
            News::Up => self.env.routing.dead.remove(self.domain_id, self.peer),
            News::Registered { .. } | News::Unregistered | News::Failed { .. } => {}
        }
        let event = match news {
            News::Registered { expires_s } => Event::PeerRegistered { domain, peer, expires_s },
            News::Unregistered => Event::PeerUnregistered { domain, peer },
            News::Failed { failure, retry_s } => {
                Event::PeerRegistrationFailed { domain, peer, failure, retry_s }
            }
            News::Down => Event::PeerDown { domain, peer },
            News::Up => Event::PeerUp { domain, peer },
        };
        self.env.event(event);
    }
}

/// What is told of a peer.
pub(super) enum News {
    Registered { expires_s: u32 },
    Unregistered,
    Failed { failure: sip_stack::registration::Failure, retry_s: Option<u64> },
    Down,
    Up,
}
