//! Where a peer is: its servers are located and tried one after the other, until one gives a final response other than 503
//! (RFC 3263 §4, §4.3).
//!
//! A request that is too large for a datagram goes over a stream where the configuration leaves that open (RFC 3261
//! §18.1.1): then the servers are located again without UDP; and when no stream leads anywhere, it goes over UDP after all.
//!
//! A location lives from [`Call::locate`] to the final response, or to the end of the call.

use super::account::AtPeer;
use super::call::{Call, CallId, Phase, Target};
use super::calls::Calls;
use crate::config::{Listener, Peer};
use crate::core::environment::{Environment, escape_user};
use crate::core::{Event, Output, Refusal};
use crate::registrar::Way;
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::Status;
use sip_stack::resolve::{self, Exhausted, Failure, Host, LocationId, TransportSet};
use sip_stack::table::Id;
use sip_stack::transport::Transport;
use smallvec::smallvec;

/// How long the first server of a peer may be looked for: as long as a transaction waits (RFC 3261 §17.1.1.2, Timer B).
pub(super) const LOCATING: Duration = Duration::from_secs(32);

/// Octets beyond which a request does not go over UDP (RFC 3261 §18.1.1: the path MTU is not known), less the
/// Content-Length that is still to come.
const LARGEST_DATAGRAM: usize = 1_300 - 26;

/// A peer that a call is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Located {
    /// Its id in the configuration.
    id: Box<str>,
    destination: resolve::Destination,
    /// The Request-URI, the same for every server of the peer.
    uri: Bytes,
    over: Over,
    /// Whether its servers may ask us to send less (RFC 7339).
    overload_control: bool,
    /// Whether it may know who calls in any case.
    trusted: bool,
    /// What we are to it, where that is something.
    at_peer: Option<Box<AtPeer>>,
    /// The Route of the outbound proxy on the way there.
    route: Option<Bytes>,
    /// What the server tried last failed with.
    failed: Status,
    /// Since when it is looked for.
    pub(super) since: Time,
}

impl Located {
    /// The name or the address of the peer.
    pub(super) fn name(&self) -> Box<str> {
        match &self.destination.target {
            Host::Ip(ip) => ip.to_string().into(),
            Host::Name(name) => name.to_string().into(),
        }
    }
}

/// What may be used on the way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Over {
    /// Whatever the peer offers.
    Any,
    /// Streams alone: the request is large.
    Streams,
    /// Whatever the peer offers, large or not.
    AnyAfterAll,
}

impl Located {
    /// Dials a number of a peer's.
    pub(super) fn new(id: &str, peer: &Peer, number: &[u8]) -> Located {
        Located {
            id: id.into(),
            destination: peer.first_hop(),
            uri: [b"sip:", escape_user(number).as_slice(), b"@", peer.authority().as_bytes()].concat().into(),
            over: Over::Any,
            overload_control: peer.overload_control,
            trusted: peer.trusted,
            at_peer: AtPeer::of(&peer.client),
            route: peer.route().map(Bytes::from),
            failed: Status::SERVER_INTERNAL_ERROR,
            since: Time::default(),
        }
    }

    pub(super) fn at_peer(&self) -> Option<&AtPeer> {
        self.at_peer.as_deref()
    }

    pub(super) fn at_peer_mut(&mut self) -> Option<&mut AtPeer> {
        self.at_peer.as_deref_mut()
    }

    /// Whether it is told who calls (RFC 3325 §5).
    pub(super) const fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether all its servers are behind one address of ours.
    pub(super) const fn has_one_address(&self) -> bool {
        matches!(self.destination.target, Host::Ip(_)) && self.destination.transport.is_some()
    }
}

impl Calls {
    /// A server that the resolver found for a call.
    pub(crate) fn handle_target(&mut self, env: &mut Environment, id: LocationId, target: &resolve::Target) {
        let id = call_at(id);
        if let Some(call) = self.table.get_mut(id) {
            call.handle_target(env, target);
        }
        self.settle(env, Some(id));
    }

    /// There is no further server for a call.
    pub(crate) fn handle_exhausted(&mut self, env: &mut Environment, id: LocationId, reason: Exhausted) {
        let id = call_at(id);
        if let Some(call) = self.table.get_mut(id) {
            call.handle_exhausted(env, reason);
        }
        self.settle(env, Some(id));
    }
}

impl Call {
    /// Looks for the servers of the peer; what is found comes by [`Call::handle_target`].
    pub(super) fn locate(&mut self, env: &mut Environment) {
        let Some((peer, id)) = self.destination.peer.as_ref().zip(self.location()) else { return };
        let ours = env.config.listeners.iter().map(|listener| listener.transport);
        let ours = TransportSet::from_iter(ours).without(Transport::Ws).without(Transport::Wss);
        let transports = match peer.over {
            Over::Any | Over::AnyAfterAll => ours,
            Over::Streams => ours.without(Transport::Udp),
        };
        let destination = peer.destination.clone();
        let locate = resolve::Input::Locate { id, destination, transports };
        if env.resolver.handle_input(env.now, locate).is_err() {
            self.handle_exhausted(env, Exhausted::Unresolved);
        }
    }

    /// A server of the peer to try.
    fn handle_target(&mut self, env: &mut Environment, target: &resolve::Target) {
        let Some(peer) = &self.destination.peer else { return };
        env.routing.note_found(self.domain, &peer.id, target.address.ip());
        let Some(flow) = env.flow_to(target.transport, target.address) else {
            self.fail_target(env, Failure::Transport, Status::SERVICE_UNAVAILABLE);
            return;
        };
        if let (Transport::Tls, Host::Name(name)) = (flow.transport, &target.identity) {
            env.push(Output::Identify { flow, name: name.as_str().into() });
        }
        env.endpoint.upstream().add_neighbour(target.address.ip());
        if peer.overload_control {
            env.endpoint.downstream().add_server(target.address);
        }
        let way = Way { uri: peer.uri.clone(), flow, path: peer.route.iter().cloned().collect() };
        match &self.phase {
            Phase::Locating => {
                self.destination.targets = smallvec![Target::of(smallvec![way])];
                self.call_targets(env);
            }
            Phase::Ringing(_) => {
                let Some(target) = self.destination.targets.first_mut() else { return };
                // The port of the callee's leg is of one family.
                if target.ways.first().is_some_and(|first| first.flow.local.is_ipv4() != flow.local.is_ipv4())
                {
                    let failure = Failure::Unavailable { retry_after: None };
                    self.fail_target(env, failure, Status::SERVICE_UNAVAILABLE);
                    return;
                }
                target.ways.push(way);
                self.ring_at_last_way(env);
            }
            Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => self.abandon_location(env),
        }
    }

    /// There is no further server.
    fn handle_exhausted(&mut self, env: &mut Environment, reason: Exhausted) {
        let Some(peer) = &mut self.destination.peer else { return };
        if peer.over == Over::Streams {
            peer.over = Over::AnyAfterAll;
            return self.locate(env);
        }
        let status = peer.failed;
        match &self.phase {
            Phase::Locating => {
                let (source, callee) = (self.caller_leg.flow.peer, self.callee.clone());
                env.event(Event::CallRefused { source, callee, reason: Refusal::PeerNotFound });
                // Not 503, which would turn a proxy in front of us away from us for everything (§21.5.4).
                let status = match reason {
                    Exhausted::Unresolved => Status::SERVER_TIME_OUT,
                    Exhausted::Unsupported | Exhausted::NotFound | Exhausted::Unreachable => {
                        Status::SERVER_INTERNAL_ERROR
                    }
                };
                if !self.next_stage(env, status) {
                    self.refuse_caller(env, status, EndedBy::Switch);
                }
            }
            Phase::Ringing(_) => self.handle_no_more_ways(env, status),
            Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => {}
        }
    }

    /// Whether an INVITE of this size should rather not go over UDP.
    pub(super) fn avoids_datagrams(&self, env: &Environment, octets: usize) -> bool {
        let streams = |listener: &Listener| matches!(listener.transport, Transport::Tcp | Transport::Tls);
        let open = |peer: &Located| peer.over == Over::Any && peer.destination.transport.is_none();
        octets > LARGEST_DATAGRAM
            && self.destination.peer.as_deref().is_some_and(open)
            && env.config.listeners.iter().any(streams)
    }

    /// Looks for the servers of the peer that take streams.
    pub(super) fn locate_streams(&mut self, env: &mut Environment) {
        self.abandon_location(env);
        if let Some(peer) = &mut self.destination.peer {
            peer.over = Over::Streams;
        }
        self.locate(env);
    }

    /// The server tried last has failed with `status`: the next one is on its way, or the end. False when there is no peer
    /// to locate.
    pub(super) fn fail_target(&mut self, env: &mut Environment, failure: Failure, status: Status) -> bool {
        let Some((peer, id)) = self.destination.peer.as_mut().zip(location(self.id)) else { return false };
        peer.failed = status;
        env.resolver.handle_input(env.now, resolve::Input::Failed { id, failure }).is_ok()
    }

    /// The server tried last gave a final response.
    pub(super) fn reach_target(&self, env: &mut Environment) {
        if let (Some(_), Some(id)) = (&self.destination.peer, self.location()) {
            // It is over already when this is the response to a CANCEL of ours.
            let _over = env.resolver.handle_input(env.now, resolve::Input::Reached(id));
        }
    }

    /// No more servers are wanted.
    pub(super) fn abandon_location(&self, env: &mut Environment) {
        if let (Some(_), Some(id)) = (&self.destination.peer, self.location()) {
            // It may be over already.
            let _over = env.resolver.handle_input(env.now, resolve::Input::Abandon(id));
        }
    }

    fn location(&self) -> Option<LocationId> {
        location(self.id)
    }
}

fn location(call: Option<CallId>) -> Option<LocationId> {
    call.map(|id| LocationId(id.as_u64()))
}

fn call_at(id: LocationId) -> CallId {
    Id::from_u64(id.0)
}
