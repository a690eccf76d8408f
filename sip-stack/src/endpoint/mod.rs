//! A SIP endpoint: transactions and dialogs of one core behind four verbs.
//!
//! `handle_input`, `handle_timeout`, `poll_output`, `poll_timeout`; between an input and the draining of the outputs
//! the transaction user may call what begins with a verb of the RFC (`respond`, `acknowledge`, `cancel`, `request`).
//! The endpoint answers by itself only what every user agent answers alike: unusable requests (RFC 3261 §8.2),
//! CANCEL (§9.2), requests for dialogs that are gone (§12.2.2).
//!
//! Left out on purpose: what a request means. That is the user's.

mod expected;
mod forward;
mod receive;
mod send;

pub use send::{Draft, Heading};

use self::expected::Expected;
use crate::dialog::{Dialog, DialogId, UsageAction};
use crate::header::Replaces;
use crate::message::Message;
use crate::overload::{Downstream, Upstream};
use crate::proxy::Passing;
use crate::random::Random;
use crate::table::{KeyIndex, LoadError, Table};
use crate::time::Time;
use crate::transaction::{
    KeyHasher, TimerQueue, Timing, TransactionEvent, TransactionId, TransactionKey, Transactions,
};
use crate::transport::{Flow, Transmit};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What enters an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A message arrived.
    Received {
        /// From where, and at which of our addresses.
        flow: Flow,
        /// The message as it came.
        bytes: Bytes,
    },
    /// A [`Transmit`] could not be handed to the network.
    Unsent {
        /// The transaction it named.
        transaction: u64,
    },
}

/// What leaves an endpoint.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Tell the transaction user.
    Event(Event),
}

/// A request that the transaction user has to answer with [`Endpoint::accept`] and [`Endpoint::respond`], or with
/// [`Endpoint::reply`] alone, which keeps no state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The request; it passed [`Message::validate`].
    pub message: Message,
    /// Where it came from.
    pub flow: Flow,
    /// The dialog that it is in.
    pub dialog: Option<DialogId>,
    reply_to: Flow,
    key: TransactionKey,
}

impl Request {
    /// Stands for a request that nobody has sent, where what it would have said is needed. There is nobody to answer.
    #[must_use]
    pub const fn stand_in(message: Message, flow: Flow) -> Request {
        Request { message, flow, dialog: None, reply_to: flow, key: TransactionKey(0) }
    }

    /// A number that its sender cannot know, the same for every copy of the request that came from the same address.
    pub fn identity(&self, endpoint: &Endpoint) -> u64 {
        let peer = self.flow.peer;
        let address = match peer.ip().to_canonical() {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let fields: [&[u8]; 3] =
            [&self.key.0.to_be_bytes(), &address.to_be_bytes(), &peer.port().to_be_bytes()];
        endpoint.hasher.hash(&fields) as u64
    }

    /// A number that its sender cannot know, the same for every copy of the request.
    pub fn draw(&self) -> u64 {
        (self.key.0 >> 64) as u64
    }
}

/// What happened. `owner` is the number that the user gave the transaction or dialog.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request that no transaction has seen; never ACK or CANCEL. Boxed, as every message in an event: it passes through
    /// several hands, and a message with the index of its fields is some 400 bytes.
    Request(Box<Request>),
    /// A response to a request of ours; of a 2xx to INVITE, one for each dialog.
    Response {
        /// The client transaction.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
        /// The dialog that the response created or belongs to.
        dialog: Option<DialogId>,
        /// The response.
        response: Box<Message>,
    },
    /// A message within a dialog of others that came by a route of ours: [`crate::proxy::pass`] sends it on. Where nothing was ever
    /// forwarded there is none.
    Passing(Box<Passing>),
    /// The caller gave up (§9.2): answer the INVITE with 487 if it has no final response yet.
    Cancelled {
        /// The INVITE server transaction.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
        /// The CANCEL, which may say why (RFC 3326).
        cancel: Box<Message>,
    },
    /// The ACK of a 2xx of ours.
    Acknowledged {
        /// The dialog.
        dialog: DialogId,
        /// Its owner.
        owner: u64,
        /// The ACK, which may carry an answer.
        ack: Box<Message>,
    },
    /// No ACK came for a 2xx of ours within 64·T1 (§13.3.1.4): end the session.
    Unacknowledged {
        /// The dialog.
        dialog: DialogId,
        /// Its owner.
        owner: u64,
    },
    /// No final response came (§17.1): as if it had been 408 (§8.1.3.1).
    TimedOut {
        /// The transaction.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
    },
    /// The transport failed: as if the response had been 503 (§8.1.3.1).
    TransportFailed {
        /// The transaction.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
    },
}

/// What was dropped or answered without the user, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams that are no SIP message.
    pub garbage: u64,
    /// Requests answered with 400, 505 and the like.
    pub rejected: u64,
    /// Responses that do not parse or match no transaction.
    pub stray_responses: u64,
    /// Requests and responses that a transaction absorbed.
    pub absorbed: u64,
    /// ACKs that match no dialog.
    pub stray_acks: u64,
}

/// Transactions, dialogs, timers and randomness of one core.
#[derive(Debug, Serialize, Deserialize)]
pub struct Endpoint {
    random: Random,
    hasher: KeyHasher,
    /// Authenticates our Record-Route.
    route_hasher: KeyHasher,
    transactions: Transactions,
    dialogs: Table<Dialog>,
    #[serde(skip)]
    dialog_keys: KeyIndex<Dialog>,
    dialog_timers: TimerQueue<Dialog>,
    /// SUBSCRIBEs of ours whose NOTIFYs make dialogs.
    expected: BTreeMap<u128, Expected>,
    counters: Counters,
    upstream: Upstream,
    downstream: Downstream,
    /// BYEs leave at once, ACK or not.
    leaving: bool,
    /// When the last input or timer came.
    clock: Time,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

impl Endpoint {
    /// An endpoint with the usual timers. The seed decides every branch, tag and Call-ID.
    pub fn new(seed: [u8; 32]) -> Endpoint {
        Endpoint::with_timing(seed, Timing::default())
    }

    /// An endpoint with timers of its own.
    pub fn with_timing(seed: [u8; 32], timing: Timing) -> Endpoint {
        let mut random = Random::new(seed);
        let hasher = KeyHasher::new(random.key());
        Endpoint {
            transactions: Transactions::new(hasher.clone(), timing),
            random,
            route_hasher: hasher.clone(),
            hasher,
            dialogs: Table::default(),
            dialog_keys: KeyIndex::default(),
            dialog_timers: TimerQueue::default(),
            expected: BTreeMap::new(),
            counters: Counters::default(),
            upstream: Upstream::default(),
            downstream: Downstream::default(),
            leaving: false,
            clock: Time::default(),
            outputs: VecDeque::new(),
        }
    }

    /// The core's generator.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Gives what we write into Record-Route another key, such as one that outlives us: routes that were recorded under it are ours.
    pub fn set_route_key(&mut self, key: [u8; 16]) {
        self.route_hasher = KeyHasher::new(key);
    }

    /// The keyed hash of what we write into Record-Route.
    pub(crate) const fn route_hasher(&self) -> &KeyHasher {
        &self.route_hasher
    }

    /// The keyed hash of the core.
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The neighbours that hear in our responses how loaded we are.
    pub fn upstream(&mut self) -> &mut Upstream {
        &mut self.upstream
    }

    /// Whether a server that we know as one beside us has that address ([`Endpoint::upstream`]).
    pub fn is_neighbour(&self, address: core::net::IpAddr) -> bool {
        self.upstream.is_neighbour(address)
    }

    /// The servers to whose overload feedback we listen.
    pub fn downstream(&mut self) -> &mut Downstream {
        &mut self.downstream
    }

    /// Whether a new request must not be sent to this server, which has asked for fewer (RFC 7339 §5.5): as if it had
    /// answered 503.
    pub fn sheds(&mut self, now: Time, server: SocketAddr) -> bool {
        if !self.downstream.is_announced_to(server) {
            return false;
        }
        let draw = self.random.next_u32();
        self.downstream.sheds(now, server, draw)
    }

    /// What was dropped or answered without the user.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Transactions that have not ended.
    pub fn transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Dialogs that are kept: those that have not ended, and those of the last 64·T1 in which a 2xx may come again.
    pub fn dialogs(&self) -> usize {
        self.dialogs.len()
    }

    /// A dialog that is kept.
    pub fn dialog(&self, id: DialogId) -> Option<&Dialog> {
        self.dialogs.get(id)
    }

    /// Whether the 2xx that was to create this dialog waits for a PRACK (RFC 3262 §3): to the caller it is an early one yet.
    pub fn holds_answer(&self, id: DialogId) -> bool {
        self.dialogs.get(id).is_some_and(|dialog| dialog.usage.holds_answer())
    }

    /// The dialog that somebody names from outside of it: `to_tag` is our tag (RFC 3891 §3, RFC 3911 §4).
    pub fn dialog_named(&self, named: &Replaces<'_>) -> Option<DialogId> {
        let id = self.dialog_keys.get(Dialog::key_of_named(&self.hasher, named))?;
        self.dialogs.get(id).is_some_and(|dialog| !dialog.is_over()).then_some(id)
    }

    /// Gives a dialog to another owner, as when a call takes over a party of another one.
    pub fn set_owner(&mut self, id: DialogId, owner: u64) {
        if let Some(dialog) = self.dialogs.get_mut(id) {
            dialog.set_owner(owner);
        }
    }

    /// Takes one input. Outputs follow from [`Endpoint::poll_output`] until it is `None`.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        self.clock = now;
        match input {
            Input::Received { flow, bytes } => self.receive(now, flow, bytes),
            Input::Unsent { transaction } => {
                self.transactions.handle_transport_error(TransactionId::from_u64(transaction));
                self.collect(None);
            }
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.clock = now;
        self.transactions.handle_timeout(now);
        self.collect(None);
        let timing = self.transactions.timing();
        while let Some((armed, id)) = self.dialog_timers.pop_due(now) {
            let Some(dialog) = self.dialogs.get(id).filter(|dialog| dialog.armed == Some(armed)) else {
                continue;
            };
            let owner = dialog.owner();
            if dialog.is_over() {
                self.forget_dialog(id);
                continue;
            }
            let Some(dialog) = self.dialogs.get_mut(id) else { continue };
            dialog.armed = None;
            match dialog.handle_timeout(now, timing) {
                UsageAction::None => {}
                UsageAction::Send(flow, bytes) => {
                    self.outputs.push_back(Output::Transmit(Transmit { flow, bytes, transaction: None }));
                }
                UsageAction::Unacknowledged => {
                    if !self.release_bye(now, id) {
                        self.outputs.push_back(Output::Event(Event::Unacknowledged { dialog: id, owner }));
                    }
                }
            }
            self.arm_dialog(id);
        }
    }

    /// The next thing to send or to tell, in the order it came about.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] wants to be called; possibly for a timer that no longer counts.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadlines = [self.transactions.poll_timeout(), self.dialog_timers.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    fn arm_dialog(&mut self, id: DialogId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let due = dialog.poll_timeout();
        if dialog.armed.map(|armed| armed.at) != due {
            let armed = due.map(|at| self.dialog_timers.arm(at, id));
            if let Some(dialog) = self.dialogs.get_mut(id) {
                dialog.armed = armed;
            }
        }
    }

    /// Moves what the transaction layer produced into the outputs. `response` is the message being handled.
    fn collect(&mut self, response: Option<&Message>) {
        while let Some(transmit) = self.transactions.poll_transmit() {
            self.outputs.push_back(Output::Transmit(transmit));
        }
        while let Some(event) = self.transactions.poll_event() {
            match event {
                TransactionEvent::Response { transaction, owner } => {
                    if let Some(response) = response {
                        self.on_response(transaction, owner, response);
                    }
                }
                TransactionEvent::TimedOut { transaction, owner } => {
                    self.outputs.push_back(Output::Event(Event::TimedOut { transaction, owner }));
                }
                TransactionEvent::TransportFailed { transaction, owner } => {
                    self.outputs.push_back(Output::Event(Event::TransportFailed { transaction, owner }));
                }
            }
        }
    }

    /// Begins a snapshot of this moment: what [`Serialize`] writes now is its head, the slots follow from
    /// [`Endpoint::slice`]. Outputs must have been drained.
    pub fn snapshot(&mut self) {
        debug_assert!(self.outputs.is_empty(), "a snapshot is taken between inputs");
        self.transactions.table_mut().snapshot();
        self.dialogs.snapshot();
    }

    /// Appends up to `slots` slots of each table to its own buffer; returns whether any remain.
    pub fn slice(&mut self, slots: usize, transactions: &mut Vec<u8>, dialogs: &mut Vec<u8>) -> bool {
        let more = self.transactions.table_mut().slice(slots, transactions);
        self.dialogs.slice(slots, dialogs) || more
    }

    /// Fills the tables from what [`Endpoint::slice`] wrote.
    ///
    /// # Errors
    /// As [`Table::load`].
    pub fn load(&mut self, transactions: &[u8], dialogs: &[u8]) -> Result<(), LoadError> {
        self.transactions.load(transactions)?;
        self.dialogs.load(dialogs)
    }

    /// Rebuilds what is derived from the tables, after the last [`Endpoint::load`].
    pub fn rebuild(&mut self) {
        self.transactions.rebuild();
        for (id, dialog) in self.dialogs.iter() {
            self.dialog_keys.insert(dialog.key(&self.hasher), id);
            if let Some(armed) = dialog.armed {
                self.dialog_timers.restore(armed, id);
            }
        }
    }
}
