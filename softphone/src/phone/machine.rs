//! The machine: state, verbs, and the way of every event to the file that knows what it means.
//!
//! Bound: [`TRANSACTIONS`], each of which keeps its message for up to 32 seconds. A request beyond it is answered with 503,
//! counted ([`Phone::turned_down`]) and forgotten; only a BYE of a dialog is taken, for it makes room.

use super::call::{Call, Phase};
use super::dialog::Farewell;
use super::identity::Identity;
use super::log::CallLog;
use super::message::Written;
use super::session::{Session, write_accept};
use super::transfer::Referrer;
use super::watch::{Owner, Watches};
use super::{
    Account, AccountError, AccountId, CallId, Command, CommandError, Ending, Event, Input, LoggedCall,
    MediaReport, Output, Reason, Settings, Unreached,
};
use serde::{Deserialize, Serialize};
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::{self, Request};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::Loss;
use sip_stack::transaction::TransactionId;
use sip_stack::{Endpoint, Time};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The methods we understand (RFC 3261 §20.5).
pub(super) const ALLOW: &[u8] =
    b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, MESSAGE";
/// The extensions we understand (RFC 3261 §20.37).
pub(super) const SUPPORTED: &[u8] = b"100rel, timer, replaces, norefersub";
/// The owner of requests whose answers nobody waits for.
pub(super) const NOBODY: u64 = u64::MAX;
/// Transactions at a time: sixteen calls in a second, ended at once.
pub(super) const TRANSACTIONS: usize = 1_024;
/// The owner of REGISTER transactions; calls count from 1.
pub(super) const REGISTRATION: u64 = 0;
/// How long a call rings on either side before it is given up (the three minutes of Timer C, §16.6).
pub(super) const RINGING_LIMIT: Duration = Duration::from_secs(180);

/// A phone with its accounts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Phone {
    /// At least one.
    pub(super) identities: Vec<Identity>,
    pub(super) settings: Settings,
    pub(super) endpoint: Endpoint,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) farewells: BTreeMap<TransactionId, Farewell>,
    /// Messages of ours without an answer.
    pub(super) written: BTreeMap<TransactionId, Written>,
    /// Messages that wait for the way of their account.
    pub(super) unsent: Vec<Written>,
    /// Who has sent us to make a call, by the call.
    pub(super) referrers: BTreeMap<CallId, Referrer>,
    /// What was called last, and from which account.
    pub(super) dialled: Option<(AccountId, Box<str>)>,
    pub(super) log: CallLog,
    /// What the accounts watch, and what they publish.
    pub(super) watches: Watches,
    /// The user is not there.
    pub(super) away: bool,
    /// Requests that found too many transactions.
    pub(super) turned_down: u64,
    last_call: u64,
    #[serde(skip)]
    pub(super) outputs: VecDeque<Output>,
}

/// Bytes that are no snapshot of a phone, or one of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no snapshot of a phone of this version")]
pub struct RestoreError;

impl Phone {
    /// A phone with one account that does nothing yet. The seed decides every tag, branch and Call-ID.
    ///
    /// # Errors
    /// [`AccountError`]
    pub fn new(seed: [u8; 32], account: Account, settings: Settings) -> Result<Phone, AccountError> {
        let mut endpoint = Endpoint::new(seed);
        let identity = Identity::new(account, &mut endpoint)?;
        Ok(Phone {
            identities: vec![identity],
            settings,
            endpoint,
            calls: BTreeMap::new(),
            farewells: BTreeMap::new(),
            written: BTreeMap::new(),
            unsent: Vec::new(),
            referrers: BTreeMap::new(),
            dialled: None,
            log: CallLog::default(),
            watches: Watches::default(),
            away: false,
            turned_down: 0,
            last_call: 0,
            outputs: VecDeque::new(),
        })
    }

    /// What the user has set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Calls that the user knows of.
    pub fn calls(&self) -> usize {
        self.calls.values().filter(|call| call.occupies_a_line()).count()
    }

    /// Whether the registrar of every account has our contact.
    pub fn is_registered(&self) -> bool {
        self.identities.iter().all(|identity| identity.registration.is_bound())
    }

    /// Whether the registrar of an account has our contact.
    pub fn is_registered_at(&self, account: AccountId) -> bool {
        self.identity(account).registration.is_bound()
    }

    /// Past calls and those that go on, the oldest first.
    pub fn call_log(&self) -> impl DoubleEndedIterator<Item = &LoggedCall> {
        self.log.calls()
    }

    /// The calls that the user knows of, in the order they began.
    pub fn call_ids(&self) -> Vec<CallId> {
        self.calls.iter().filter(|(_, call)| call.occupies_a_line()).map(|(id, _)| *id).collect()
    }

    /// The account of a call that goes on.
    pub fn account_of_call(&self, call: CallId) -> Option<AccountId> {
        self.calls.get(&call).map(|call| call.account)
    }

    /// Whether no answer is waited for but those to a refresh: the phone may be switched off.
    pub fn is_settled(&self) -> bool {
        let settled = self.identities.iter().all(|identity| identity.registration.is_settled());
        self.calls.is_empty()
            && self.farewells.is_empty()
            && self.written.is_empty()
            && self.unsent.is_empty()
            && self.watches.is_settled()
            && settled
    }

    /// Transactions that have not ended.
    pub fn transactions(&self) -> usize {
        self.endpoint.transactions()
    }

    /// Dialogs that have not ended.
    pub fn dialogs(&self) -> usize {
        self.endpoint.dialogs()
    }

    /// What the endpoint dropped or answered by itself.
    pub fn counters(&self) -> endpoint::Counters {
        self.endpoint.counters()
    }

    /// Requests that were answered with 503, because there were as many transactions as there may be.
    pub fn turned_down(&self) -> u64 {
        self.turned_down
    }

    /// Whether nothing is left to do but to refresh the registration; subscriptions have dialogs.
    pub fn is_idle(&self) -> bool {
        self.is_settled() && self.transactions() == 0 && self.dialogs() == 0
    }

    /// Takes one input. Outputs follow from [`Phone::poll_output`] until it is `None`.
    ///
    /// # Errors
    /// [`CommandError`], for a command alone; nothing has changed then.
    pub fn handle_input(&mut self, now: Time, input: Input) -> Result<(), CommandError> {
        match input {
            Input::Received { flow, bytes } => {
                self.endpoint.handle_input(now, endpoint::Input::Received { flow, bytes });
            }
            Input::Unsent { transaction } => {
                self.endpoint.handle_input(now, endpoint::Input::Unsent { transaction });
            }
            Input::Command(command) => self.obey(now, command)?,
            Input::Media(report) => self.on_media(now, report),
            Input::Way { account, way } => self.on_way(now, account, way),
            Input::WayLost { account } => self.on_way_lost(now, account),
        }
        self.drain(now);
        self.publish_changes(now);
        self.drain(now);
        Ok(())
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
        self.on_registration_timeouts(now);
        self.on_call_timeouts(now);
        self.on_watch_timeouts(now);
        self.drain(now);
        self.publish_changes(now);
        self.drain(now);
    }

    /// The next thing to do, in the order it came about.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Phone::handle_timeout`] wants to be called; possibly for a timer that no longer counts.
    pub fn poll_timeout(&self) -> Option<Time> {
        let calls = self.calls.values().filter_map(Call::poll_timeout);
        let registrations =
            self.identities.iter().filter_map(|identity| identity.registration.poll_timeout());
        let watches = self.watches.poll_timeout();
        self.endpoint.poll_timeout().into_iter().chain(registrations).chain(calls).chain(watches).min()
    }

    /// The state, password included, as bytes. Outputs must have been drained.
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.endpoint.snapshot();
        let head = postcard::to_allocvec(&*self).expect("a phone serialises into memory");
        let (mut transactions, mut dialogs) = (Vec::new(), Vec::new());
        while self.endpoint.slice(usize::MAX, &mut transactions, &mut dialogs) {}
        postcard::to_allocvec(&(head, transactions, dialogs)).expect("bytes serialise into memory")
    }

    /// The phone of a snapshot.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub fn restore(snapshot: &[u8]) -> Result<Phone, RestoreError> {
        let (head, transactions, dialogs): (Vec<u8>, Vec<u8>, Vec<u8>) =
            postcard::from_bytes(snapshot).map_err(|_| RestoreError)?;
        let mut phone: Phone = postcard::from_bytes(&head).map_err(|_| RestoreError)?;
        phone.endpoint.load(&transactions, &dialogs).map_err(|_| RestoreError)?;
        phone.endpoint.rebuild();
        Ok(phone)
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn next_call(&mut self) -> CallId {
        self.last_call += 1;
        CallId(self.last_call)
    }

    fn obey(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Register => self.want_registrations(now, true),
            Command::Unregister => self.want_registrations(now, false),
            Command::Enable { account, enabled } => self.want_registration(now, account, enabled),
            Command::Call { account, target } => self.call(now, account, &target)?,
            Command::Redial => self.redial(now)?,
            Command::Answer { call } => self.answer(now, call)?,
            Command::Reject { call, rejection } => self.reject(now, call, rejection)?,
            Command::HangUp { call } => self.hang_up(now, call)?,
            Command::Hold { call } => self.hold(now, call, true)?,
            Command::Resume { call } => self.hold(now, call, false)?,
            Command::Mute { call, muted } => self.mute(call, muted)?,
            Command::Transfer { call, target } => self.transfer(now, call, &target)?,
            Command::Write { account, target, text } => self.write(now, account, &target, &text)?,
            Command::TransferTo { call, other } => self.bring_together(now, call, other)?,
            Command::Merge { call, other } => self.merge(now, call, other)?,
            Command::Dial { call, digits, way } => self.dial(now, call, &digits, way)?,
            Command::AutoAnswer(auto_answer) => self.settings.auto_answer = auto_answer,
            Command::DoNotDisturb(wanted) => self.settings.do_not_disturb = wanted,
            Command::Away(away) => self.away = away,
            Command::Watch { account, target, wanted } => self.watch(now, account, &target, wanted)?,
            Command::WatchMailbox { account, wanted } => self.watch_mailbox(now, account, wanted)?,
            Command::PublishPresence { account, wanted } => self.want_publishing(account, wanted)?,
        }
        Ok(())
    }

    fn on_media(&mut self, now: Time, report: MediaReport) {
        match report {
            MediaReport::Digit { call, digit } => self.on_digit(call, digit),
            MediaReport::Opened { call: id, address } => {
                let codecs = self.settings.codecs.clone();
                let session = Session::new(self.endpoint.random().next_u64(), address, codecs);
                let Some(call) = self.calls.get_mut(&id).filter(|call| call.session.is_none()) else {
                    return;
                };
                call.session = Some(session);
                match &call.phase {
                    Phase::Opening { target, sent, .. } => {
                        let (target, sent) = (target.clone(), sent.clone());
                        self.begin_calling(now, id, target, sent);
                    }
                    Phase::Ringing(_) => self.answer_if_ready(now, id),
                    Phase::Calling(_) | Phase::Up { .. } => {}
                }
            }
            MediaReport::Refused { call: id } => {
                let Some(call) = self.calls.get(&id).filter(|call| call.session.is_none()) else { return };
                if matches!(call.phase, Phase::Ringing(_)) {
                    self.finish_ringing(now, id, Status::SERVER_INTERNAL_ERROR);
                }
                self.calls.remove(&id);
                self.end(now, id, Ending::Failed(Reason::NoMediaPort));
            }
        }
    }

    /// Takes what the endpoint has to say, until it has nothing more.
    fn drain(&mut self, now: Time) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                endpoint::Output::Transmit(transmit) => self.outputs.push_back(Output::Transmit(transmit)),
                endpoint::Output::Event(event) => self.on_event(now, event),
            }
        }
    }

    fn on_event(&mut self, now: Time, event: endpoint::Event) {
        match event {
            endpoint::Event::Request(request) => self.on_request(now, request),
            // A phone forwards nothing.
            endpoint::Event::Passing(_) => {}
            endpoint::Event::Response { transaction, owner: REGISTRATION, response, .. } => {
                if !self.on_bye_response(now, transaction, &response) {
                    self.on_register_response(now, transaction, &response);
                }
            }
            endpoint::Event::Response { transaction, owner, dialog, response } => match Owner::of(owner) {
                Some(Owner::Watch(id)) => self.on_subscribe_response(now, id, transaction, &response),
                Some(Owner::Publisher(id)) => self.on_publish_response(now, id, transaction, &response),
                None => self.on_call_response(now, CallId(owner), transaction, dialog, &response),
            },
            endpoint::Event::Cancelled { transaction, owner, cancel } => {
                self.on_cancelled(now, CallId(owner), transaction, &cancel);
            }
            endpoint::Event::Acknowledged { dialog, owner, ack } => {
                self.on_acknowledged(now, CallId(owner), dialog, &ack);
            }
            endpoint::Event::Unacknowledged { dialog, owner } => {
                self.on_unacknowledged(now, CallId(owner), dialog);
            }
            endpoint::Event::TimedOut { transaction, owner } => {
                self.on_lost(now, transaction, owner, Loss::TimedOut, Reason::Unreached(Unreached::NoAnswer));
            }
            endpoint::Event::TransportFailed { transaction, owner } => {
                self.on_lost(
                    now,
                    transaction,
                    owner,
                    Loss::TransportFailed,
                    Reason::Unreached(Unreached::Unreachable),
                );
            }
        }
    }

    fn on_lost(&mut self, now: Time, transaction: TransactionId, owner: u64, loss: Loss, reason: Reason) {
        if let Some(owner) = Owner::of(owner) {
            match owner {
                Owner::Watch(id) => self.on_subscribe_lost(now, id, transaction, loss),
                Owner::Publisher(id) => self.on_publish_lost(now, id, transaction, loss),
            }
        } else if self.on_bye_lost(transaction) || self.on_message_lost(transaction, reason.clone()) {
        } else if owner == REGISTRATION {
            self.on_register_lost(now, transaction, loss);
        } else if self.on_info_done(now, CallId(owner), transaction)
            || self.on_change_lost(now, CallId(owner), transaction)
            || self.on_refer_lost(CallId(owner), transaction)
        {
        } else {
            self.on_invite_lost(now, CallId(owner), transaction, reason);
        }
    }

    /// A response to a request of a call.
    fn on_call_response(
        &mut self,
        now: Time,
        call: CallId,
        transaction: TransactionId,
        dialog: Option<DialogId>,
        response: &Message,
    ) {
        let is_final = response.status().is_some_and(Status::is_final);
        match response.cseq().map(|cseq| cseq.method) {
            Ok(Method::Invite | Method::Update)
                if self.on_change_response(now, call, transaction, response) => {}
            Ok(Method::Message) if self.on_message_response(now, transaction, response) => {}
            Ok(Method::Refer) if self.on_refer_response(now, call, transaction, response) => {}
            Ok(Method::Invite) => self.on_invite_response(now, call, transaction, dialog, response),
            Ok(_) if is_final => {
                self.on_info_done(now, call, transaction);
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn on_request(&mut self, now: Time, request: Box<Request>) {
        let ends = request.dialog.is_some() && request.message.method() == Some(Method::Bye);
        if self.endpoint.transactions() >= TRANSACTIONS && !ends {
            return self.turn_down(&request);
        }
        match (request.dialog, request.message.method()) {
            (Some(dialog), _) => self.on_request_in_dialog(now, &request, dialog),
            (None, Some(Method::Invite)) => self.on_call(now, request),
            (None, Some(Method::Message)) => self.on_message(now, &request),
            // RFC 6665 §4.1.3: of a subscription that we do not have.
            (None, Some(Method::Bye | Method::Notify)) => {
                self.refuse(now, &request, Status::CALL_DOES_NOT_EXIST, |_| {})
            }
            (None, _) => self.on_other_request(&request),
        }
    }

    /// OPTIONS (§11.2), and methods we do not understand (§8.2.1).
    pub(super) fn on_other_request(&mut self, request: &Request) {
        let known = request.message.method() == Some(Method::Options);
        let status = if known { Status::OK } else { Status::METHOD_NOT_ALLOWED };
        let mut writer = self.endpoint.response(request, status, None);
        writer.header(HeaderName::Allow, ALLOW);
        if known {
            write_accept(&mut writer);
            writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        }
        self.endpoint.reply(request, writer.finish());
    }
}
