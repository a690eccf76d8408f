//! Calls that the switch was interrupted in: both parties hear that they are over, by a BYE (RFC 3261 §15.1.1) with Reason (RFC 3326).
//!
//! A phone over UDP is asked where it was heard last. A connection is gone with the process that had it: over TCP a new one is opened to the
//! remote target, where that is an address; whoever came over TLS or WebSocket cannot be called, and is told when its next request
//! in the dialog is answered with 481. Phones that do not answer are given up as with any other BYE.
//!
//! Bound: those that wait are those that the store had. They are told [`AT_ONCE`] at a time, so that the answers of all of them do
//! not come at once.
//!
//! Left out on purpose: phones that rang, which give up by themselves or when they answer; parties that have a name in place of an
//! address behind a connection.

use super::calls::Calls;
use crate::core::Event;
use crate::core::environment::{Environment, sign_request};
use crate::records::{Interrupted, OpenParty};
use crate::store::StoreOp;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::header::reason::sip_reason;
use sip_stack::message::{Method, Status, Uri};
use sip_stack::transport::{Flow, ListenerId, Transport};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Calls whose parties are told in one go.
const AT_ONCE: usize = 64;
/// Between two goes.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls whose parties have not been told yet.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    calls: VecDeque<Interrupted>,
    next: Option<Time>,
}

impl Waiting {
    pub(super) const fn poll_timeout(&self) -> Option<Time> {
        self.next
    }
}

impl Calls {
    /// The store had these when the switch started.
    pub(crate) fn end_interrupted(&mut self, env: &mut Environment, calls: Vec<Interrupted>) {
        self.waiting.calls.extend(calls);
        self.tell_interrupted(env);
    }

    /// Tells the next of them.
    pub(super) fn tell_interrupted(&mut self, env: &mut Environment) {
        for _ in 0..AT_ONCE {
            let Some(call) = self.waiting.calls.pop_front() else { break };
            let Interrupted { run, number, id, parties } = call;
            let (mut told, mut untold) = (0, 0);
            for party in parties {
                if self.say_bye(env, party) { told += 1 } else { untold += 1 }
            }
            env.event(Event::CallInterrupted { id, told, untold });
            env.store(StoreOp::ForgetInterrupted { run, number });
        }
        self.waiting.next = (!self.waiting.calls.is_empty()).then(|| env.now + PAUSE);
    }

    /// Sends a BYE to a party of before; whether there is a way to it.
    fn say_bye(&mut self, env: &mut Environment, party: OpenParty) -> bool {
        let Some(flow) = flow_to(env, &party) else { return false };
        let sent_by = env.sent_by(&flow);
        let dialog = env.endpoint.resume_dialog(party.dialog, flow, 0);
        let Some(mut draft) = env.endpoint.draft_in_dialog(dialog, Method::Bye, &sent_by) else {
            return false;
        };
        let reason = sip_reason(Status::SERVICE_UNAVAILABLE.code(), "The server was interrupted");
        draft.writer.header(HeaderName::Reason, &reason);
        sign_request(&mut draft.writer);
        let bye = env.endpoint.request(env.now, draft, 0);
        self.remember_last_bye(bye, dialog);
        true
    }
}

/// The way to a party.
fn flow_to(env: &Environment, party: &OpenParty) -> Option<Flow> {
    match party.transport {
        Transport::Udp => {
            let index = env.config.listeners.iter().position(|listener| {
                listener.transport == Transport::Udp
                    && listener.address.port() == party.local.port()
                    && (listener.address.ip().is_unspecified() || listener.address.ip() == party.local.ip())
            });
            let known = index.and_then(|index| {
                let listener = ListenerId(u16::try_from(index).ok()?);
                let flow = Flow { listener, transport: Transport::Udp, local: party.local, peer: party.peer };
                // Our address may be another one now.
                let local = env.local_for(&flow).unwrap_or(flow.local);
                Some(Flow { local, ..flow })
            });
            known.or_else(|| env.flow_to(Transport::Udp, party.peer))
        }
        Transport::Tcp => {
            let uri = Uri::parse(&party.dialog.remote_target).ok()?;
            let peer = SocketAddr::new(uri.ip()?, uri.port.unwrap_or(Transport::Tcp.default_port()));
            env.flow_to(Transport::Tcp, peer)
        }
        Transport::Tls | Transport::Ws | Transport::Wss => None,
    }
}
