//! One request to a peer on its way: its servers are located and tried one after the other, until one gives a final response other
//! than 503 (RFC 3263 §4.3).

use super::{Kind, LineId};
use crate::config::Peer;
use crate::core::Output;
use crate::core::environment::Environment;
use core::mem;
use serde::{Deserialize, Serialize};
use sip_stack::registration::Loss;
use sip_stack::resolve::{self, Failure, Host, Target, TransportSet};
use sip_stack::transaction::TransactionId;
use sip_stack::transport::{Flow, Transport};

/// Where an errand with the request `R` stands.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) enum Errand<R> {
    /// There is none.
    #[default]
    None,
    /// It waits for a server.
    Locating(R),
    /// It has been sent.
    Asking { request: R, transaction: TransactionId, flow: Flow },
}

impl<R> Errand<R> {
    pub(super) fn is_of(&self, transaction: TransactionId) -> bool {
        matches!(self, Errand::Asking { transaction: asked, .. } if *asked == transaction)
    }

    /// What waits for a server.
    pub(super) fn take_locating(&mut self) -> Option<R> {
        match mem::take(self) {
            Errand::Locating(request) => Some(request),
            other => {
                *self = other;
                None
            }
        }
    }

    /// What was sent, and over which flow.
    pub(super) fn take_asking(&mut self) -> Option<(R, Flow)> {
        match mem::take(self) {
            Errand::Asking { request, flow, .. } => Some((request, flow)),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// Looks for the servers of a peer; `false` when that cannot be.
pub(super) fn locate(env: &mut Environment, id: LineId, kind: Kind, peer: &Peer) -> bool {
    let ours = env.config.listeners.iter().map(|listener| listener.transport);
    let transports = TransportSet::from_iter(ours).without(Transport::Ws).without(Transport::Wss);
    let locate = resolve::Input::Locate { id: id.location(kind), destination: peer.first_hop(), transports };
    env.resolver.handle_input(env.now, locate).is_ok()
}

/// The flow to a server that was found; `None`: nothing of ours leads there.
pub(super) fn flow_to(env: &mut Environment, target: &Target) -> Option<Flow> {
    let flow = env.flow_to(target.transport, target.address)?;
    if let (Transport::Tls, Host::Name(name)) = (flow.transport, &target.identity) {
        env.push(Output::Identify { flow, name: name.as_str().into() });
    }
    env.endpoint.upstream().add_neighbour(target.address.ip());
    Some(flow)
}

/// The server tried last has failed: the next one comes, or the end of them. `false`: there is no such location any more.
pub(super) fn fail(env: &mut Environment, id: LineId, kind: Kind, failure: Failure) -> bool {
    let failed = resolve::Input::Failed { id: id.location(kind), failure };
    env.resolver.handle_input(env.now, failed).is_ok()
}

/// The server tried last has answered.
pub(super) fn reach(env: &mut Environment, id: LineId, kind: Kind) {
    // It is over already after a challenge.
    let _over = env.resolver.handle_input(env.now, resolve::Input::Reached(id.location(kind)));
}

/// No server is wanted any more.
pub(super) fn abandon(env: &mut Environment, id: LineId, kind: Kind) {
    let _over = env.resolver.handle_input(env.now, resolve::Input::Abandon(id.location(kind)));
}

/// What a lost request says of its server.
pub(super) const fn failure(loss: Loss) -> Failure {
    match loss {
        Loss::TimedOut => Failure::Timeout,
        Loss::TransportFailed | Loss::Unproven => Failure::Transport,
    }
}
