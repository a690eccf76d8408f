//! The switch as a client of its peers: it registers where `[[peer]]` says so (RFC 3261 §10.2) and asks peers whether they live
//! (OPTIONS, §11).
//!
//! Each peer has a `Line` with up to two errands, a registration and a question; each errand locates the peer's servers anew
//! (RFC 3263) and goes from one to the next while they fail. A reload ends the registrations of peers that are gone or changed, and begins
//! those that are new. Bounds: two errands for each peer of the configuration, and those of peers that left and are being taken back.
//!
//! Left out on purpose: outbound flows (RFC 5626), which the address of a switch does not need; the Service-Route of a registrar
//! (RFC 3608): requests to a peer go where the configuration says.

mod errand;
mod health;
mod line;
mod registering;

use crate::config::{Config, Peer};
use crate::core::environment::Environment;
use line::Line;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint;
use sip_stack::message::Status;
use sip_stack::registration::Loss;
use sip_stack::resolve::{LocationId, Target};
use sip_stack::transaction::TransactionId;
use std::collections::BTreeMap;

/// Registrations at peers and what is known of their health.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trunks {
    lines: BTreeMap<LineId, Line>,
    last: u32,
    /// It knows the addresses of the machine, and has begun.
    begun: bool,
    /// A line has gone for which another one may have waited.
    has_room: bool,
    /// When the first line has something to do.
    due: Option<Time>,
}

/// A line, by a number that no other one ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct LineId(u32);

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Registration,
    Health,
}

impl LineId {
    /// The number of an errand for the resolver: far from those of calls, whose lower half is a place in a table.
    const fn location(self, kind: Kind) -> LocationId {
        LocationId(u64::MAX - 2 * self.0 as u64 - kind as u64)
    }

    const fn of_location(id: LocationId) -> Option<(LineId, Kind)> {
        let number = u64::MAX - id.0;
        // There are no two thousand million calls at a time.
        if number >= 1 << 31 {
            return None;
        }
        let kind = if number % 2 == Kind::Health as u64 { Kind::Health } else { Kind::Registration };
        Some((LineId((number / 2) as u32), kind))
    }
}

impl Trunks {
    /// Begins as soon as it is known from where the switch sends; and what waited until another registration was taken back.
    pub(crate) fn schedule(&mut self, env: &mut Environment) {
        let wildcard = env.config.listeners.iter().any(|listener| listener.address.ip().is_unspecified());
        let is_news = !self.begun || self.has_room;
        if !is_news || env.stopping || (wildcard && env.interfaces.interfaces.is_empty()) {
            return;
        }
        (self.begun, self.has_room) = (true, false);
        self.reconfigure(env);
    }

    /// Another configuration is in force.
    pub(crate) fn reconfigure(&mut self, env: &mut Environment) {
        if !self.begun {
            return;
        }
        let config = env.config.clone();
        let stays = |line: &Line| peer_of(&config, line).is_some_and(|peer| line.is_of(peer));
        for (id, line) in self.lines.iter_mut().filter(|(_, line)| !line.is_leaving && !stays(line)) {
            line.leave(env, *id);
        }
        for (domain_id, domain) in &config.domains {
            for (name, peer) in &domain.peers {
                // One after the other: a binding that is taken back last would take the new one with it.
                let is_known = |line: &Line| line.domain == *domain_id && line.peer == *name;
                let is_trunk = peer.client.registration.is_some() || peer.client.health_s > 0;
                if is_trunk && !self.lines.values().any(is_known) {
                    self.last += 1;
                    let id = LineId(self.last);
                    let mut line = Line::new(env, *domain_id, &domain.name, name, peer);
                    line.begin(env, id);
                    self.lines.insert(id, line);
                }
            }
        }
        self.settle();
    }

    /// Takes every registration back: the switch is about to stop.
    pub(crate) fn shut_down(&mut self, env: &mut Environment) {
        for (id, line) in self.lines.iter_mut().filter(|(_, line)| !line.is_leaving) {
            line.leave(env, *id);
        }
        self.settle();
    }

    /// Whether nothing is being taken back.
    pub(crate) fn is_idle(&self) -> bool {
        self.lines.values().all(|line| !line.is_leaving)
    }

    /// Registrations and questions that are not settled.
    pub(crate) fn lines(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn handle_timeout(&mut self, env: &mut Environment) {
        if self.due.is_none_or(|due| due > env.now) {
            return;
        }
        for (id, line) in &mut self.lines {
            line.handle_timeout(env, *id);
        }
        self.settle();
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// A server to try; whether it is one of ours that asked.
    pub(crate) fn handle_target(&mut self, env: &mut Environment, id: LocationId, target: &Target) -> bool {
        let Some((id, kind)) = LineId::of_location(id) else { return false };
        if let Some(line) = self.lines.get_mut(&id) {
            line.handle_target(env, id, kind, target);
        }
        self.settle();
        true
    }

    /// There is no further server; whether it is one of ours that asked.
    pub(crate) fn handle_exhausted(&mut self, env: &mut Environment, id: LocationId) -> bool {
        let Some((id, kind)) = LineId::of_location(id) else { return false };
        if let Some(line) = self.lines.get_mut(&id) {
            line.handle_exhausted(env, id, kind);
        }
        self.settle();
        true
    }

    /// Takes what happened to a request of ours; whether it was one.
    pub(crate) fn handle_event(&mut self, env: &mut Environment, event: &endpoint::Event) -> bool {
        let (transaction, what) = match event {
            endpoint::Event::Response { transaction, response, .. } => (transaction, Ok(&**response)),
            endpoint::Event::TimedOut { transaction, .. } => (transaction, Err(Loss::TimedOut)),
            endpoint::Event::TransportFailed { transaction, .. } => (transaction, Err(Loss::TransportFailed)),
            endpoint::Event::Request(_)
            | endpoint::Event::Passing(_)
            | endpoint::Event::Cancelled { .. }
            | endpoint::Event::Acknowledged { .. }
            | endpoint::Event::Unacknowledged { .. } => return false,
        };
        let Some((id, kind)) = self.asking(*transaction) else { return false };
        if let Some(line) = self.lines.get_mut(&id) {
            match what {
                Ok(response) if !response.status().is_some_and(Status::is_final) => {}
                Ok(response) => line.handle_response(env, id, kind, response),
                Err(loss) => line.handle_loss(env, id, kind, loss),
            }
        }
        self.settle();
        true
    }

    fn asking(&self, transaction: TransactionId) -> Option<(LineId, Kind)> {
        self.lines.iter().find_map(|(id, line)| Some((*id, line.kind_of(transaction)?)))
    }

    /// Forgets who has left, and looks when there is something to do.
    fn settle(&mut self) {
        let before = self.lines.len();
        self.lines.retain(|_, line| !line.is_gone());
        self.has_room |= self.lines.len() < before;
        self.due = self.lines.values().filter_map(Line::poll_timeout).min();
    }
}

fn peer_of<'c>(config: &'c Config, line: &Line) -> Option<&'c Peer> {
    config.domains.get(&line.domain)?.peers.get(&line.peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_the_resolver_name_line_and_errand_and_no_call() {
        for number in [0, 1, 7, (1 << 30) - 1] {
            for kind in [Kind::Registration, Kind::Health] {
                assert_eq!(LineId::of_location(LineId(number).location(kind)), Some((LineId(number), kind)));
            }
        }
        assert_eq!(LineId::of_location(LocationId(u64::from(u32::MAX) << 32)), None);
        assert_eq!(LineId::of_location(LocationId(0)), None);
    }
}
