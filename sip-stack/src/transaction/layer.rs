//! The transaction layer: every transaction of a core, found by key, with its timer (RFC 3261 §17.1.3, §17.2.3).
//!
//! The layer decides what a message means (new, repeated, a response to ours) and never what to answer.

use super::{
    Action, Actions, Armed, FORWARDING, InviteClient, InviteServer, KeyHasher, NonInviteClient,
    NonInviteServer, StatusClass, TimerQueue, Timing, TransactionKey, related,
};
use crate::dialog::{Dialog, Origin};
use crate::header::HeaderName;
use crate::message::{Mandatory, Message, Method, Status, response};
use crate::table::{Id, KeyIndex, LoadError, Table};
use crate::time::Time;
use crate::transport::{Flow, Transmit};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Refers to one transaction; what it refers to may have ended.
pub type TransactionId = Id<Entry>;

/// One of the four machines. Those that come in millions stand in the slot itself, the large ones in a box.
#[derive(Debug, Serialize, Deserialize)]
enum Machine {
    InviteClient(Box<InviteClient>),
    InviteServer(Box<InviteServer>, Box<Invite>),
    NonInviteClient(Box<NonInviteClient>),
    NonInviteServer(NonInviteServer),
}

/// What the layer keeps of an INVITE that came in.
#[derive(Debug, Serialize, Deserialize)]
struct Invite {
    /// For the responses that are to be made; gone with the final one, because the transaction lingers for half a minute.
    request: Option<Box<Message>>,
    /// The key under which copies of it are recognised that come on other paths.
    merged: Option<u128>,
}

/// A transaction with what it is found by and where it sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    key: TransactionKey,
    machine: Machine,
    flow: Flow,
    owner: u64,
    /// Dialogs that responses to our INVITE have created.
    forks: u8,
    armed: Option<Armed>,
}

/// Dialogs that one INVITE of ours may create: a proxy that forks to more is not a phone system but a flood.
const FORKS: u8 = 16;

/// Transactions that merely linger end in groups, this far apart at most: each end alone would wake the core, and at a
/// hundred calls a second that costs more than the calls.
const GROUP: Duration = Duration::from_millis(100);

impl Entry {
    fn merged(&self) -> Option<u128> {
        match &self.machine {
            Machine::InviteServer(_, invite) => invite.merged,
            Machine::InviteClient(_) | Machine::NonInviteClient(_) | Machine::NonInviteServer(_) => None,
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        let (due, lingering) = match &self.machine {
            Machine::InviteClient(machine) => (machine.poll_timeout(), machine.is_lingering()),
            Machine::InviteServer(machine, _) => (machine.poll_timeout(), machine.is_lingering()),
            Machine::NonInviteClient(machine) => (machine.poll_timeout(), machine.is_lingering()),
            Machine::NonInviteServer(machine) => (machine.poll_timeout(), machine.is_lingering()),
        };
        if lingering { due.map(|due| due.round_up(GROUP)) } else { due }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            Machine::InviteClient(machine) => machine.is_terminated(),
            Machine::InviteServer(machine, _) => machine.is_terminated(),
            Machine::NonInviteClient(machine) => machine.is_terminated(),
            Machine::NonInviteServer(machine) => machine.is_terminated(),
        }
    }
}

/// What a request is to the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// No transaction has seen it. The key opens one.
    New(TransactionKey),
    /// It belongs to a transaction, which has dealt with it.
    Absorbed,
    /// An ACK that no transaction keeps to itself: it may confirm a 2xx (§13.3.1.4).
    Ack,
    /// An initial INVITE that arrived before on another path: 482 (§8.2.2.2).
    Merged,
}

/// What the layer tells the transaction user. `owner` is the number given when the transaction was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransactionEvent {
    /// A response to a request of ours.
    Response {
        /// The client transaction.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
    },
    /// No final response within Timer B or F, or no ACK within Timer H.
    TimedOut {
        /// The transaction, which has ended.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
    },
    /// The transport could not deliver.
    TransportFailed {
        /// The transaction.
        transaction: TransactionId,
        /// Its owner.
        owner: u64,
    },
}

/// Every transaction of a core.
#[derive(Debug, Serialize, Deserialize)]
pub struct Transactions {
    table: Table<Entry>,
    #[serde(skip)]
    keys: KeyIndex<Entry>,
    #[serde(skip)]
    merged: KeyIndex<Entry>,
    timers: TimerQueue<Entry>,
    hasher: KeyHasher,
    timing: Timing,
    #[serde(skip)]
    transmits: VecDeque<Transmit>,
    #[serde(skip)]
    events: VecDeque<TransactionEvent>,
}

impl Transactions {
    /// An empty layer whose keys are hashed with `hasher`.
    pub fn new(hasher: KeyHasher, timing: Timing) -> Transactions {
        Transactions {
            table: Table::default(),
            keys: KeyIndex::default(),
            merged: KeyIndex::default(),
            timers: TimerQueue::default(),
            hasher,
            timing,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Transactions that have not ended.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether every transaction has ended.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The timer values.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The slots, for snapshots.
    pub fn table_mut(&mut self) -> &mut Table<Entry> {
        &mut self.table
    }

    /// Rebuilds the indexes after the slots were loaded.
    pub fn rebuild(&mut self) {
        for (id, entry) in self.table.iter() {
            self.keys.insert(entry.key.0, id);
            if let Some(merged) = entry.merged() {
                self.merged.insert(merged, id);
            }
            if let Some(armed) = entry.armed {
                self.timers.restore(armed, id);
            }
        }
    }

    /// Loads slots that a snapshot of this table wrote.
    ///
    /// # Errors
    /// As [`Table::load`].
    pub fn load(&mut self, slice: &[u8]) -> Result<(), LoadError> {
        self.table.load(slice)
    }

    /// Matches a request that passed validation (§17.2.3) and lets its transaction deal with it.
    pub fn handle_request(&mut self, now: Time, request: &Message, fields: &Mandatory<'_>) -> Matched {
        let key = self.hasher.server(request, fields);
        let method = fields.cseq.method;
        let Some(id) = self.keys.get(key.0) else {
            return match method {
                Method::Ack => Matched::Ack,
                Method::Invite if fields.to.tag().is_none() && self.is_merged(fields) => Matched::Merged,
                _ => Matched::New(key),
            };
        };
        let mut out = Actions::new();
        if let Some(entry) = self.table.get_mut(id) {
            match &mut entry.machine {
                Machine::InviteServer(machine, _) if method == Method::Ack => {
                    machine.handle_ack(now, &mut out);
                }
                Machine::InviteServer(machine, _) => machine.handle_invite(&mut out),
                Machine::NonInviteServer(machine) => machine.handle_request(&mut out),
                Machine::InviteClient(_) | Machine::NonInviteClient(_) => {}
            }
        }
        let acknowledged = out.contains(&Action::Deliver);
        out.retain(|action| *action != Action::Deliver);
        self.settle(id, out);
        if acknowledged { Matched::Ack } else { Matched::Absorbed }
    }

    fn is_merged(&self, fields: &Mandatory<'_>) -> bool {
        let key = self.hasher.merged_of(&fields.from, fields.call_id, &fields.cseq);
        self.merged.get(key).is_some()
    }

    /// The INVITE server transaction that `cancel` asks to cancel (§9.2), and its owner.
    pub fn cancelled_by(&self, cancel: &Message, fields: &Mandatory<'_>) -> Option<(TransactionId, u64)> {
        let key = self.hasher.cancelled(cancel, fields);
        let id = self.keys.get(key.0)?;
        let entry = self.table.get(id)?;
        matches!(entry.machine, Machine::InviteServer(..)).then_some((id, entry.owner))
    }

    /// Matches a response (§17.1.3). An event follows when it is the user's business; a response that matches nothing
    /// is dropped, and `false` is returned.
    pub fn handle_response(
        &mut self,
        now: Time,
        message: &Message,
        fields: &Mandatory<'_>,
        status: Status,
    ) -> bool {
        let key = self.hasher.client(fields.via.branch.unwrap_or_default(), fields.cseq.method);
        let Some(id) = self.keys.get(key.0) else { return false };
        let Some(entry) = self.table.get_mut(id) else { return false };
        let mut out = Actions::new();
        match &mut entry.machine {
            Machine::InviteClient(machine) => {
                let invite = machine.request().clone();
                let ack =
                    || Message::parse(invite).map_or(Bytes::new(), |invite| related::ack(&invite, message));
                machine.handle_response(now, status, ack, &mut out);
            }
            Machine::NonInviteClient(machine) => machine.handle_response(now, status, &mut out),
            Machine::InviteServer(..) | Machine::NonInviteServer(_) => {}
        }
        self.perform(now, id, out);
        true
    }

    /// Opens the server transaction of a request that was [`Matched::New`] (§17.2.1, §17.2.2). Responses go to
    /// `flow`.
    pub fn open_server(
        &mut self,
        now: Time,
        key: TransactionKey,
        request: &Message,
        flow: Flow,
        owner: u64,
    ) -> TransactionId {
        let reliable = flow.transport.is_reliable();
        let machine = if request.method() == Some(Method::Invite) {
            let is_initial = owner & FORWARDING == 0 && request.to().is_ok_and(|to| to.tag().is_none());
            let merged = if is_initial { self.hasher.merged(request).ok() } else { None };
            let machine = InviteServer::new(now, reliable, self.timing);
            let invite = Invite { request: Some(Box::new(request.clone())), merged };
            Machine::InviteServer(Box::new(machine), Box::new(invite))
        } else {
            Machine::NonInviteServer(NonInviteServer::new(reliable, self.timing))
        };
        self.open(key, machine, flow, owner, Actions::new())
    }

    /// Opens a client transaction: `request` leaves on `flow` (§17.1). `branch` is the one in its top Via.
    pub fn open_client(
        &mut self,
        now: Time,
        method: Method<'_>,
        branch: &[u8],
        request: Bytes,
        flow: Flow,
        owner: u64,
    ) -> TransactionId {
        let key = self.hasher.client(branch, method);
        let (reliable, timing) = (flow.transport.is_reliable(), self.timing);
        let mut out = Actions::new();
        let machine = if method == Method::Invite {
            Machine::InviteClient(Box::new(InviteClient::new(now, request, reliable, timing, &mut out)))
        } else {
            let machine = NonInviteClient::new(now, request, reliable, timing, &mut out);
            Machine::NonInviteClient(Box::new(machine))
        };
        self.open(key, machine, flow, owner, out)
    }

    /// Opens a non-INVITE client transaction whose request waits for [`Transactions::release`].
    pub fn hold_client(
        &mut self,
        method: Method<'_>,
        branch: &[u8],
        request: Bytes,
        flow: Flow,
        owner: u64,
    ) -> TransactionId {
        let key = self.hasher.client(branch, method);
        let machine = NonInviteClient::held(request, flow.transport.is_reliable(), self.timing);
        self.open(key, Machine::NonInviteClient(Box::new(machine)), flow, owner, Actions::new())
    }

    /// Sends the request of a transaction that was held.
    pub fn release(&mut self, now: Time, id: TransactionId) {
        let mut out = Actions::new();
        if let Some(Entry { machine: Machine::NonInviteClient(machine), .. }) = self.table.get_mut(id) {
            machine.release(now, &mut out);
        }
        self.settle(id, out);
    }

    fn open(
        &mut self,
        key: TransactionKey,
        machine: Machine,
        flow: Flow,
        owner: u64,
        out: Actions,
    ) -> TransactionId {
        let entry = Entry { key, machine, flow, owner, forks: 0, armed: None };
        let merged = entry.merged();
        let id = self.table.insert(entry);
        self.keys.insert(key.0, id);
        if let Some(merged) = merged {
            self.merged.insert(merged, id);
        }
        self.settle(id, out);
        id
    }

    /// The owner of a transaction that has not ended.
    pub fn owner(&self, id: TransactionId) -> Option<u64> {
        self.table.get(id).map(|entry| entry.owner)
    }

    /// The flow of a transaction that has not ended.
    pub fn flow(&self, id: TransactionId) -> Option<Flow> {
        self.table.get(id).map(|entry| entry.flow)
    }

    /// The INVITE of a server transaction without a final response yet.
    pub fn invite(&self, id: TransactionId) -> Option<&Message> {
        match &self.table.get(id)?.machine {
            Machine::InviteServer(_, invite) => invite.request.as_deref(),
            Machine::InviteClient(_) | Machine::NonInviteClient(_) | Machine::NonInviteServer(_) => None,
        }
    }

    /// The dialog that `response` to our INVITE creates (RFC 3261 §12.1.2), with the Contact of that INVITE. `None`
    /// beyond sixteen of them; a 2xx finds room for sixteen more, for it has to be acknowledged whatever rang before it.
    pub(crate) fn client_dialog(
        &mut self,
        id: TransactionId,
        owner: u64,
        response: &Message,
    ) -> Option<Dialog> {
        let entry = self.table.get_mut(id)?;
        let is_success = response.status().is_some_and(|status| status.is_success());
        let bound = if is_success { 2 * FORKS } else { FORKS };
        if entry.forks >= bound {
            return None;
        }
        entry.forks += 1;
        let Machine::InviteClient(machine) = &entry.machine else { return None };
        let invite = Message::parse(machine.request().clone()).ok()?;
        let contact = Bytes::copy_from_slice(invite.header(HeaderName::Contact).unwrap_or_default());
        Dialog::of_client(&invite, response, Origin { contact, flow: entry.flow, owner }).ok()
    }

    /// Sends a response in a server transaction; nothing happens when it has ended or already has its final one.
    pub fn respond(&mut self, now: Time, id: TransactionId, status: Status, response: Bytes) {
        let mut out = Actions::new();
        if let Some(entry) = self.table.get_mut(id) {
            match &mut entry.machine {
                Machine::InviteServer(machine, invite) => {
                    machine.respond(now, status, response, &mut out);
                    if StatusClass::of(status) != StatusClass::Provisional {
                        invite.request = None;
                    }
                }
                Machine::NonInviteServer(machine) => machine.respond(now, status, response, &mut out),
                Machine::InviteClient(_) | Machine::NonInviteClient(_) => {}
            }
        }
        self.settle(id, out);
    }

    /// Forgets a server transaction whose request gets no final response.
    pub(crate) fn abandon(&mut self, id: TransactionId) {
        if let Some(entry) = self.table.remove(id) {
            self.keys.remove(entry.key.0, id);
            if let Some(merged) = entry.merged() {
                self.merged.remove(merged, id);
            }
        }
    }

    /// Cancels an INVITE client transaction: at once, or with its first provisional response (§9.1). `reason` is the value of
    /// the Reason of the CANCEL, empty for none.
    pub fn cancel(&mut self, now: Time, id: TransactionId, reason: &[u8]) {
        let mut out = Actions::new();
        if let Some(Entry { machine: Machine::InviteClient(machine), .. }) = self.table.get_mut(id) {
            machine.cancel(now, reason.into(), &mut out);
        }
        self.perform(now, id, out);
    }

    /// A message of this transaction could not be sent (§17.1.4, §17.2.4).
    pub fn handle_transport_error(&mut self, id: TransactionId) {
        let mut out = Actions::new();
        if let Some(entry) = self.table.get_mut(id) {
            match &mut entry.machine {
                Machine::InviteClient(machine) => machine.handle_transport_error(&mut out),
                Machine::InviteServer(machine, _) => machine.handle_transport_error(&mut out),
                Machine::NonInviteClient(machine) => machine.handle_transport_error(&mut out),
                Machine::NonInviteServer(machine) => machine.handle_transport_error(&mut out),
            }
        }
        self.settle(id, out);
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((armed, id)) = self.timers.pop_due(now) {
            if self.table.get(id).is_none_or(|entry| entry.armed != Some(armed)) {
                continue;
            }
            let Some(entry) = self.table.get_mut(id) else { continue };
            entry.armed = None;
            let mut out = Actions::new();
            match &mut entry.machine {
                Machine::InviteClient(machine) => machine.handle_timeout(now, &mut out),
                Machine::InviteServer(machine, _) => machine.handle_timeout(now, &mut out),
                Machine::NonInviteClient(machine) => machine.handle_timeout(now, &mut out),
                Machine::NonInviteServer(machine) => machine.handle_timeout(now),
            }
            self.perform(now, id, out);
        }
    }

    /// The next moment at which a timer may fire.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.poll_timeout()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event for the transaction user.
    pub fn poll_event(&mut self) -> Option<TransactionEvent> {
        self.events.pop_front()
    }

    /// Carries out the actions that need the layer (a CANCEL, a 100), then settles.
    fn perform(&mut self, now: Time, id: TransactionId, mut out: Actions) {
        let cancel = out.iter_mut().find_map(|action| match action {
            Action::Cancel(reason) => Some(core::mem::take(reason)),
            Action::Send(_)
            | Action::Deliver
            | Action::Trying
            | Action::TimedOut
            | Action::TransportFailed => None,
        });
        if out.contains(&Action::Trying)
            && let Some(entry) = self.table.get_mut(id)
            && let Machine::InviteServer(machine, invite) = &mut entry.machine
            && let Some(request) = &invite.request
        {
            let trying = response(request, Status::TRYING, None, None, entry.flow.peer).finish();
            machine.respond(now, Status::TRYING, trying, &mut out);
        }
        self.settle(id, out);
        if let Some(reason) = cancel {
            self.open_cancel(now, id, &reason);
        }
    }

    fn open_cancel(&mut self, now: Time, id: TransactionId, reason: &[u8]) {
        let Some(entry) = self.table.get(id) else { return };
        let Machine::InviteClient(machine) = &entry.machine else { return };
        let Ok(invite) = Message::parse(machine.request().clone()) else { return };
        let (flow, owner) = (entry.flow, entry.owner);
        let cancel = related::cancel(&invite, reason);
        let branch = invite.via().ok().and_then(|via| via.branch).unwrap_or_default();
        self.open_client(now, Method::Cancel, branch, cancel, flow, owner);
    }

    /// Queues what leaves, forgets the transaction when it has ended, else arms its timer.
    fn settle(&mut self, transaction: TransactionId, out: Actions) {
        let Some(entry) = self.table.get(transaction) else { return };
        let (flow, owner) = (entry.flow, entry.owner);
        for action in out {
            match action {
                Action::Send(bytes) => {
                    self.transmits.push_back(Transmit {
                        flow,
                        bytes,
                        transaction: Some(transaction.as_u64()),
                    });
                }
                Action::Deliver => {
                    self.events.push_back(TransactionEvent::Response { transaction, owner });
                }
                Action::TimedOut => self.events.push_back(TransactionEvent::TimedOut { transaction, owner }),
                Action::TransportFailed => {
                    self.events.push_back(TransactionEvent::TransportFailed { transaction, owner });
                }
                Action::Trying | Action::Cancel(_) => {}
            }
        }
        if entry.is_terminated() {
            let (key, merged) = (entry.key, entry.merged());
            self.keys.remove(key.0, transaction);
            if let Some(merged) = merged {
                self.merged.remove(merged, transaction);
            }
            self.table.remove(transaction);
            return;
        }
        let due = entry.poll_timeout();
        if entry.armed.map(|armed| armed.at) != due {
            let armed = due.map(|at| self.timers.arm(at, transaction));
            if let Some(entry) = self.table.get_mut(transaction) {
                entry.armed = armed;
            }
        }
    }
}
