//! A proxy (RFC 3261 §16): requests of others are sent on to one or several targets, and one answer comes back.
//!
//! It is a user of an [`Endpoint`], as a user agent is: the endpoint has the transactions, [`Proxy`] the response contexts
//! (§16.6). The user decides whom a request goes to and hands the endpoint's events in ([`Proxy::handle_event`]); what became of the
//! request is told by [`Proxy::poll_event`]. What is within a dialog passes without state ([`pass`]).
//!
//! | file | concept |
//! |---|---|
//! | `validate` | §16.3, RFC 5393: may it be forwarded |
//! | `route` | §16.4, §16.6 steps 4 and 6, RFC 5658: Route and Record-Route |
//! | `target` | §16.5: the target set and its order |
//! | `forward` | §16.6: one request to one target |
//! | `context` | §16.6, §16.7: what is known of one request until all of it is over |
//! | `best` | §16.7: the answer that the caller hears |
//! | `branch`, `token` | §16.6 step 8, §16.11, RFC 5393: what our Via and Record-Route remember for us |
//! | `pass` | §16.11: what is sent on without state |
//!
//! Left out on purpose: recursion on 3xx; CANCEL of an INVITE that we do not know (§16.10 sends it on; we forward no initial
//! INVITE without state, so there is nothing to cancel: 481); Record-Route in requests within a dialog (§16.6 step 4 would like it
//! for ends that have lost their dialog); our load in responses that pass (RFC 7339 §5.2); rewriting responses (RFC 5658 does not
//! need it).

mod best;
mod branch;
mod context;
mod forward;
mod pass;
mod route;
mod target;
mod token;
mod validate;

pub use context::Context;
pub use forward::Forwarding;
pub use pass::{Passing, pass, refuse};
pub(crate) use pass::{passing_request, passing_response};
pub use route::own_routes;
pub use target::{Hop, MAX_TARGETS, Target};
pub use validate::Refusal;

use crate::endpoint::{self, Endpoint, Request};
use crate::header::reason;
use crate::message::{Message, Status};
use crate::table::{Id, LoadError, Table};
use crate::time::Time;
use crate::transaction::{FORWARDING, TimerQueue, TransactionId};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Every request that is being forwarded. No bound of its own: each has a server transaction, and those the user bounds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Proxy {
    contexts: Table<Context>,
    timers: TimerQueue<Context>,
    #[serde(skip)]
    events: VecDeque<Event>,
}

/// What became of a request. `owner` is the number that its user gave it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A provisional response with a tag went to the caller: somebody has been asked.
    Rings {
        /// The owner of the request.
        owner: u64,
    },
    /// A 2xx went to the caller. Of an INVITE there may be several, from several parties, and each comes again until its ACK.
    Answered {
        /// The owner of the request.
        owner: u64,
        /// The 2xx as it came to us.
        response: Box<Message>,
    },
    /// A final failure went to the caller; of another request than INVITE that nobody answered nothing went (RFC 4320 §4.2).
    Failed {
        /// The owner of the request.
        owner: u64,
        /// The status.
        status: Status,
    },
}

impl Proxy {
    /// Requests that are not over yet.
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Whether the request may be forwarded (§16.3): to be asked before [`Proxy::forward`].
    ///
    /// # Errors
    /// What it is to be answered with.
    pub fn check(endpoint: &Endpoint, request: &Request) -> Result<(), Refusal> {
        validate::check(endpoint.hasher(), &request.message)
    }

    /// Forwards a request to the first of its targets. The answer to the caller follows by itself: also when there is no target, or
    /// none that can be reached.
    pub fn forward(
        &mut self,
        now: Time,
        endpoint: &mut Endpoint,
        request: Box<Request>,
        forwarding: Forwarding,
    ) {
        let owner = owner_of(self.contexts.next_id());
        let server = endpoint.accept(now, &request, owner);
        let id = self.contexts.insert(Context::new(now, server, request, forwarding));
        self.with(now, endpoint, id, |context, work| context.start(work));
    }

    /// Takes an event of the endpoint. Returns whether it was about a request that is being forwarded.
    pub fn handle_event(&mut self, now: Time, endpoint: &mut Endpoint, event: &endpoint::Event) -> bool {
        use endpoint::Event as E;
        let (owner, what) = match event {
            E::Response { transaction, owner, response, .. } => {
                (*owner, What::Response(*transaction, response))
            }
            E::TimedOut { transaction, owner } => {
                (*owner, What::Failed(*transaction, Status::REQUEST_TIMEOUT))
            }
            E::TransportFailed { transaction, owner } => {
                (*owner, What::Failed(*transaction, Status::SERVICE_UNAVAILABLE))
            }
            E::Cancelled { owner, cancel, .. } => (*owner, What::Cancelled(cancel)),
            E::Request(_) | E::Passing(_) | E::Acknowledged { .. } | E::Unacknowledged { .. } => {
                return false;
            }
        };
        if owner & FORWARDING == 0 {
            return false;
        }
        self.with(now, endpoint, Id::from_u64(owner & !FORWARDING), |context, work| match what {
            What::Response(transaction, response) => context.on_response(work, transaction, response),
            What::Failed(transaction, status) => context.on_lost(work, transaction, status),
            What::Cancelled(cancel) => context.cancel(work, &reason::all_of(cancel)),
        });
        true
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time, endpoint: &mut Endpoint) {
        while let Some((armed, id)) = self.timers.pop_due(now) {
            if self.contexts.get(id).is_some_and(|context| context.armed == Some(armed)) {
                self.with(now, endpoint, id, |context, work| {
                    context.armed = None;
                    context.on_timeout(work);
                });
            }
        }
    }

    /// When [`Proxy::handle_timeout`] wants to be called; possibly for a timer that no longer counts.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.poll_timeout()
    }

    /// What became of a request, in the order it came about.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Gives up every request that nobody has answered, as its caller would.
    pub fn cancel_all(&mut self, now: Time, endpoint: &mut Endpoint) {
        let all: Vec<_> = self.contexts.iter().map(|(id, _)| id).collect();
        for id in all {
            self.with(now, endpoint, id, |context, work| context.cancel(work, b""));
        }
    }

    /// Gives up the requests of one owner.
    pub fn cancel(&mut self, now: Time, endpoint: &mut Endpoint, owner: u64) {
        let of_owner = self.contexts.iter().find(|(_, context)| context.owner == owner).map(|(id, _)| id);
        if let Some(id) = of_owner {
            self.with(now, endpoint, id, |context, work| context.cancel(work, b""));
        }
    }

    /// Lets a context work, and forgets it once it is over.
    fn with(
        &mut self,
        now: Time,
        endpoint: &mut Endpoint,
        id: Id<Context>,
        step: impl FnOnce(&mut Context, &mut Work<'_>),
    ) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        let mut work = Work { now, endpoint, owner: owner_of(id), events: &mut self.events };
        step(context, &mut work);
        if context.is_over(now) {
            self.contexts.remove(id);
            return;
        }
        let due = context.poll_timeout();
        if context.armed.map(|armed| armed.at) != due {
            context.armed = due.map(|at| self.timers.arm(at, id));
        }
    }

    /// Begins a snapshot of this moment (see [`Table::snapshot`]); events must have been drained.
    pub fn snapshot(&mut self) {
        self.contexts.snapshot();
    }

    /// As [`Table::slice`].
    pub fn slice(&mut self, slots: usize, out: &mut Vec<u8>) -> bool {
        self.contexts.slice(slots, out)
    }

    /// As [`Table::load`].
    ///
    /// # Errors
    /// The same.
    pub fn load(&mut self, slice: &[u8]) -> Result<(), LoadError> {
        self.contexts.load(slice)
    }

    /// Rebuilds what is derived from the table, after the last [`Proxy::load`].
    pub fn rebuild(&mut self) {
        for (id, context) in self.contexts.iter() {
            if let Some(armed) = context.armed {
                self.timers.restore(armed, id);
            }
        }
    }
}

/// What happened to a context.
enum What<'a> {
    Response(TransactionId, &'a Message),
    Failed(TransactionId, Status),
    Cancelled(&'a Message),
}

/// What a context works with.
struct Work<'a> {
    now: Time,
    endpoint: &'a mut Endpoint,
    /// The owner of the context's transactions.
    owner: u64,
    events: &'a mut VecDeque<Event>,
}

fn owner_of(id: Id<Context>) -> u64 {
    id.as_u64() | FORWARDING
}
