//! The switch: registrar, back-to-back user agent and proxy as one machine.

use super::authentication::Authenticator;
use super::command::Run;
use super::environment::Environment;
use super::{Event, Input, Output};
use crate::call::Calls;
use crate::config::Config;
use crate::messages::Messages;
use crate::nat::KeepAlives;
use crate::proxied::Proxied;
use crate::registrar::Registrar;
use crate::store::StoreEvent;
use crate::subscriptions::Subscriptions;
use crate::trunks::Trunks;
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;
use sip_stack::{Time, endpoint, resolve};
use std::sync::Arc;

/// The head of a snapshot: everything but the tables.
#[derive(Clone, Debug)]
pub struct Snapshot(pub Vec<u8>);

/// A slice of each table of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    #[serde(with = "serde_bytes")]
    transactions: Vec<u8>,
    #[serde(with = "serde_bytes")]
    dialogs: Vec<u8>,
    #[serde(with = "serde_bytes")]
    bindings: Vec<u8>,
    #[serde(with = "serde_bytes")]
    calls: Vec<u8>,
    #[serde(with = "serde_bytes")]
    watchers: Vec<u8>,
    #[serde(with = "serde_bytes")]
    subjects: Vec<u8>,
    #[serde(with = "serde_bytes")]
    contexts: Vec<u8>,
    #[serde(with = "serde_bytes")]
    proxied: Vec<u8>,
}

impl SnapshotPart {
    fn is_empty(&self) -> bool {
        let tables = [
            &self.transactions,
            &self.dialogs,
            &self.bindings,
            &self.calls,
            &self.watchers,
            &self.subjects,
            &self.contexts,
            &self.proxied,
        ];
        tables.iter().all(|table| table.is_empty())
    }
}

/// Why a snapshot could not be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The head does not decode: it is of another version, or damaged.
    #[error("the head of the snapshot does not decode")]
    Head,
    /// A slice does not fit.
    #[error(transparent)]
    Slice(#[from] sip_stack::table::LoadError),
}

/// How much the switch holds at a moment: nothing at all once every call, registration and timer is over. What answers
/// and failures of servers it remembers has a time, so [`Switch::poll_timeout`] tells of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Transactions that have not ended.
    pub transactions: usize,
    /// Dialogs that have not ended.
    pub dialogs: usize,
    /// Calls, ringing ones and those whose media are being closed included.
    pub calls: usize,
    /// Calls that pass through without their media.
    pub proxied: usize,
    /// Requests that are being forwarded for others, or were a moment ago.
    pub forwarded: usize,
    /// BYEs of ours that are not answered yet.
    pub byes: usize,
    /// Instant messages that are not answered yet.
    pub messages: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Whom they are to, and users whose devices publish.
    pub subjects: usize,
    /// Rooms that calls are in.
    pub rooms: usize,
    /// Users with a binding, or with a timer of one.
    pub registered: usize,
    /// Connections that bindings depend on, once for each user.
    pub connections: usize,
    /// Peers whose servers are being located or tried.
    pub locations: usize,
    /// Phones that are asked whether they live, or did not answer the last time.
    pub kept_alive: usize,
    /// Peers that the switch registers at, or asks whether they live.
    pub trunks: usize,
}

/// The PBX without its I/O.
#[derive(Debug, Serialize, Deserialize)]
pub struct Switch {
    pub(super) env: Environment,
    pub(super) authenticator: Authenticator,
    pub(super) registrar: Registrar,
    pub(super) calls: Calls,
    pub(super) messages: Messages,
    pub(super) subscriptions: Subscriptions,
    pub(super) proxied: Proxied,
    pub(super) trunks: Trunks,
    keep_alives: KeepAlives,
    /// A snapshot is being delivered.
    #[serde(skip)]
    slicing: bool,
}

impl Switch {
    /// A switch without calls or registrations. The seed decides every tag, branch, nonce and id.
    pub fn new(seed: [u8; 32], config: Config) -> Switch {
        let mut env = Environment::new(seed, config);
        let authenticator = Authenticator::new(&mut env);
        let registrar = Registrar::new(env.endpoint.random());
        Switch {
            env,
            authenticator,
            registrar,
            calls: Calls::default(),
            messages: Messages::default(),
            subscriptions: Subscriptions::default(),
            proxied: Proxied::default(),
            trunks: Trunks::default(),
            keep_alives: KeepAlives::default(),
            slicing: false,
        }
    }

    /// Gives the routes that are recorded in calls passing through a key that outlives this run: then requests of calls from before a
    /// restart still pass. To be called before the first input.
    pub fn keep_routes(&mut self, key: [u8; 16]) {
        self.env.endpoint.set_route_key(key);
    }

    /// Takes one input. Outputs follow from [`Switch::poll_output`] until it is `None`.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        self.env.now = now;
        match input {
            Input::Received { flow, bytes } => {
                self.env.endpoint.handle_input(now, endpoint::Input::Received { flow, bytes });
            }
            Input::Unsent { transaction } => {
                self.env.endpoint.handle_input(now, endpoint::Input::Unsent { transaction });
            }
            Input::Disconnected { flow } => {
                self.registrar.flow_lost(&mut self.env, &flow);
                self.subscriptions.flow_lost(&mut self.env, &flow);
            }
            Input::Backlog { delay_us } => self.env.handle_backlog(delay_us),
            Input::Resolved { query, answer } => {
                self.env.note_answer_of_names(&answer);
                let answer = resolve::Input::Answer { query, answer };
                // An answer names no location, so it cannot name a wrong one.
                let _taken = self.env.resolver.handle_input(now, answer);
            }
            Input::Media(report) => self.calls.handle_report(&mut self.env, report),
            Input::WallClock { unix_ms } => {
                self.env.set_wall_clock(unix_ms);
                self.proxied.begin(&self.env);
            }
            Input::Interfaces(interfaces) => {
                self.env.interfaces = interfaces;
                self.registrar.readdress(&self.env);
            }
            Input::Configure(config) => self.configure(*config),
            Input::NotConfigured { reason } => {
                let command = self.env.reloading.take();
                self.env.event_of(command, Event::NotConfigured { reason });
            }
            Input::Command { id, actor, command } => self.obey(id, &actor, *command),
            Input::Restored(bindings) => self.registrar.restore(&mut self.env, bindings),
            Input::Profiles(kept) => self.env.restore_profiles(kept),
            Input::Store(event) => self.handle_store(event),
            Input::Interrupted(calls) => self.calls.end_interrupted(&mut self.env, calls),
            Input::Shutdown => {
                self.env.stopping = true;
                self.env.event(Event::Stopping);
                self.env.endpoint.hold_no_more(now);
                self.calls.shut_down(&mut self.env);
                self.proxied.shut_down(&mut self.env);
                self.trunks.shut_down(&mut self.env);
            }
        }
        self.drain();
        self.keep_alives.schedule(&mut self.env, &self.registrar);
        self.trunks.schedule(&mut self.env);
        self.drain_locations();
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.env.now = now;
        self.env.endpoint.handle_timeout(now);
        self.drain();
        let silent_before = self.env.resolver.figures().timed_out;
        self.env.resolver.handle_timeout(now);
        let silent = self.env.resolver.figures().timed_out.wrapping_sub(silent_before);
        if silent > 0 {
            self.env.note_unanswered(u32::try_from(silent).unwrap_or(u32::MAX));
        }
        self.registrar.handle_timeout(&mut self.env);
        self.calls.handle_timeout(&mut self.env, &self.registrar);
        self.subscriptions.handle_timeout(&mut self.env);
        self.proxied.handle_timeout(&mut self.env);
        self.trunks.handle_timeout(&mut self.env);
        self.keep_alives.handle_timeout(&mut self.env, &self.registrar);
        self.env.handle_overload_timeout();
        self.drain();
    }

    /// The next thing to do, in the order it came about.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.env.poll()
    }

    /// When [`Switch::handle_timeout`] wants to be called; possibly for a timer that no longer counts.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadlines = [
            self.env.endpoint.poll_timeout(),
            self.env.resolver.poll_timeout(),
            self.env.overload.poll_timeout(),
            self.registrar.poll_timeout(),
            self.calls.poll_timeout(),
            self.subscriptions.poll_timeout(),
            self.proxied.poll_timeout(),
            self.trunks.poll_timeout(),
            self.keep_alives.poll_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Whether no call is up, no BYE unanswered and no registration of ours being taken back: after [`Input::Shutdown`], whether it may stop.
    pub fn is_idle(&self) -> bool {
        self.calls.is_idle() && self.proxied.calls() == 0 && self.trunks.is_idle()
    }

    /// Calls that are up, ringing ones included.
    pub fn calls(&self) -> usize {
        self.calls.table.len() + self.proxied.calls()
    }

    /// The run that ids of calls, commands and recordings are of.
    pub fn run(&self) -> Run {
        self.env.run()
    }

    /// How much there is of everything.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            transactions: self.env.endpoint.transactions(),
            dialogs: self.env.endpoint.dialogs(),
            calls: self.calls.table.len(),
            proxied: self.proxied.calls(),
            forwarded: self.proxied.contexts(),
            byes: self.calls.byes(),
            messages: self.messages.len(),
            subscriptions: self.subscriptions.watchers.len(),
            subjects: self.subscriptions.subjects.len(),
            rooms: self.calls.rooms(),
            registered: self.registrar.table.len(),
            connections: self.registrar.connections(),
            locations: self.env.resolver.locations(),
            kept_alive: self.keep_alives.phones(),
            trunks: self.trunks.lines(),
        }
    }

    /// News of the store. One that is empty gets what it should have.
    fn handle_store(&mut self, event: StoreEvent) {
        self.env.handle_store(event);
        if event == (StoreEvent::Recovered { emptied: true }) {
            self.registrar.keep_all(&mut self.env);
            self.calls.keep_all(&mut self.env);
            self.proxied.keep_all(&mut self.env);
        }
    }

    fn configure(&mut self, config: Config) {
        let users = config.domains.values().map(|domain| domain.users.len() as u64).sum();
        let before = core::mem::replace(&mut self.env.config, Arc::new(config));
        self.env.meet_neighbours();
        self.env.reread_prompts();
        self.env.reconfigure_routing();
        self.registrar.reconfigure(&mut self.env, &before);
        self.trunks.reconfigure(&mut self.env);
        self.subscriptions.reconfigure(&mut self.env);
        let command = self.env.reloading.take();
        self.env.event_of(command, Event::Configured { users });
    }

    /// Hands the news of endpoint and resolver to their owners until there are no more.
    fn drain(&mut self) {
        self.drain_endpoint();
        self.drain_locations();
        while self.subscriptions.attend(
            &mut self.env,
            &mut self.calls,
            &mut self.proxied,
            &mut self.registrar,
        ) {
            self.drain_endpoint();
        }
    }

    /// Hands what the resolver found to whoever asked.
    fn drain_locations(&mut self) {
        while let Some(output) = self.env.resolver.poll_output() {
            let (env, calls, trunks) = (&mut self.env, &mut self.calls, &mut self.trunks);
            match output {
                resolve::Output::Query(query) => env.push(Output::Resolve(query)),
                resolve::Output::Target { id, target } => {
                    if !trunks.handle_target(env, id, &target) {
                        calls.handle_target(env, id, &target);
                    }
                }
                resolve::Output::Exhausted { id, reason } => {
                    if !trunks.handle_exhausted(env, id) {
                        calls.handle_exhausted(env, id, reason);
                    }
                }
            }
            self.drain_endpoint();
        }
    }

    /// Hands the endpoint's events to their owners until it has no more.
    fn drain_endpoint(&mut self) {
        while let Some(output) = self.env.endpoint.poll_output() {
            match output {
                endpoint::Output::Transmit(transmit) => self.env.push(Output::Transmit(transmit)),
                endpoint::Output::Event(event) => self.handle_event(event),
            }
        }
    }

    fn handle_event(&mut self, event: endpoint::Event) {
        let (env, calls) = (&mut self.env, &mut self.calls);
        if self.keep_alives.handle_event(env, &event)
            || self.messages.handle_event(env, &event)
            || self.subscriptions.handle_event(env, &event)
            || self.proxied.handle_event(env, &self.registrar, &event)
            || self.trunks.handle_event(env, &event)
        {
            return;
        }
        match event {
            endpoint::Event::Request(request) => self.handle_request(request),
            // Taken above.
            endpoint::Event::Passing(_) => {}
            endpoint::Event::Response { transaction, owner, dialog, response } => {
                calls.handle_response(env, transaction, owner, dialog, &response);
            }
            endpoint::Event::Cancelled { transaction, owner, cancel } => {
                calls.handle_cancel(env, owner, transaction, &cancel);
            }
            endpoint::Event::Acknowledged { dialog, owner, ack } => {
                calls.handle_ack(env, owner, dialog, Some(&ack));
            }
            endpoint::Event::Unacknowledged { dialog, owner } => calls.handle_ack(env, owner, dialog, None),
            endpoint::Event::TimedOut { transaction, owner } => {
                calls.handle_failure(env, transaction, owner, Status::REQUEST_TIMEOUT);
            }
            endpoint::Event::TransportFailed { transaction, owner } => {
                calls.handle_failure(env, transaction, owner, Status::SERVICE_UNAVAILABLE);
            }
        }
    }

    /// Begins a snapshot of this moment, between inputs and after the outputs were drained; [`Switch::slice`] delivers
    /// the rest while the switch goes on.
    pub fn snapshot(&mut self) -> Snapshot {
        debug_assert!(self.env.is_drained(), "a snapshot is taken between inputs");
        self.env.endpoint.snapshot();
        self.registrar.table.snapshot();
        self.calls.table.snapshot();
        self.subscriptions.watchers.snapshot();
        self.subscriptions.subjects.snapshot();
        self.proxied.snapshot();
        self.slicing = true;
        Snapshot(postcard::to_allocvec(&*self).expect("the switch serialises into memory"))
    }

    /// Up to `slots` more slots of each table of the snapshot; `None` once everything was delivered.
    pub fn slice(&mut self, slots: usize) -> Option<SnapshotPart> {
        if !self.slicing {
            return None;
        }
        let mut part = SnapshotPart::default();
        let mut more = self.env.endpoint.slice(slots, &mut part.transactions, &mut part.dialogs);
        more |= self.registrar.table.slice(slots, &mut part.bindings);
        more |= self.calls.table.slice(slots, &mut part.calls);
        more |= self.subscriptions.watchers.slice(slots, &mut part.watchers);
        more |= self.subscriptions.subjects.slice(slots, &mut part.subjects);
        more |= self.proxied.slice(slots, &mut part.contexts, &mut part.proxied);
        self.slicing = more;
        (more || !part.is_empty()).then_some(part)
    }

    /// A switch as it was when the snapshot began.
    ///
    /// # Errors
    /// The bytes are damaged or of another version.
    pub fn restore(
        head: &[u8],
        parts: impl IntoIterator<Item = SnapshotPart>,
    ) -> Result<Switch, RestoreError> {
        let mut switch: Switch = postcard::from_bytes(head).map_err(|_| RestoreError::Head)?;
        for part in parts {
            switch.env.endpoint.load(&part.transactions, &part.dialogs)?;
            switch.registrar.table.load(&part.bindings)?;
            switch.calls.table.load(&part.calls)?;
            switch.subscriptions.watchers.load(&part.watchers)?;
            switch.subscriptions.subjects.load(&part.subjects)?;
            switch.proxied.load(&part.contexts, &part.proxied)?;
        }
        switch.env.reread_prompts();
        switch.env.endpoint.rebuild();
        switch.registrar.rebuild(switch.env.endpoint.hasher());
        switch.calls.rebuild();
        switch.subscriptions.rebuild(switch.env.endpoint.hasher());
        switch.proxied.rebuild(switch.env.endpoint.hasher());
        Ok(switch)
    }
}
