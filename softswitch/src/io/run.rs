//! The loop of the core thread: it owns the SIP sockets and the [`Switch`], reads the clock once per turn, and does what
//! the switch wants before it hands in the next input.
//!
//! A turn: wait; up to [`BATCHES`] batches of datagrams per socket; reports of the media thread; words of the operator;
//! timers; then what is cheaper once per turn: the store's batch, the wake-up of the media thread, the scenario log.

use super::batch::Batch;
use super::clock::{self, WallClock};
use super::connections::Connections;
use super::control::{self, Control, Errands, Loaded, Reload};
use super::control_socket::{ControlSocket, Given};
use super::lines::Lines;
use super::log_file::{LogFile, LogPlace};
use super::media::Media;
use super::names::Names;
use super::random::{self, NoRandomness};
use super::sip::SipSockets;
use super::trace::{self, Direction};
use super::{interfaces, tell};
use crate::config::Config;
use crate::core::command::Errand;
use crate::core::{Input, Interfaces, Output, Switch};
use crate::log::{Bounds, Key, Recorder, Sealer};
use crate::records::Interrupted;
use crate::store::{StoreHandle, StoreOp, StoredBinding, StoredMailbox, StoredProfile};
use bytes::Bytes;
use core::time::Duration;
use media::io::Urgency;
use mio::{Events, Interest, Poll, Token, Waker};
use sip_stack::Time;
use sip_stack::io::{ListenError, StartError, Tls};
use sip_stack::overload::DelayClass;
use sip_stack::transport::{ListenerId, Transmit, Transport, stun};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tracing::{error, info, warn};

/// Batches taken from one socket before timers and others have their turn.
const BATCHES: usize = 8;
/// Reports of each thread taken in one turn; what is left keeps the loop awake.
const REPORTS: usize = 1_024;
/// Commands taken in one turn.
const COMMANDS: usize = 4;
/// How often the time of day and the store are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often the addresses of the machine are read.
const READ_INTERFACES: Duration = Duration::from_secs(60);
/// How long calls may take to end after the first request to stop; the store and the log need the rest of 5 s.
const FAREWELL: Duration = Duration::from_millis(3_500);

const WAKER: Token = Token(usize::MAX);

/// Keeps what is in a mailbox; the error is for the operator.
pub type KeepMailbox = dyn Fn(&StoredMailbox) -> Result<(), String> + Send + Sync;

/// What the loop is given.
pub struct Setup {
    /// The configuration and the certificates.
    pub loaded: Loaded,
    /// The open store.
    pub store: StoreHandle,
    /// The registrations that it held.
    pub bindings: Vec<StoredBinding>,
    /// What users had set.
    pub profiles: Vec<StoredProfile>,
    /// The calls that the switch was interrupted in.
    pub interrupted: Vec<Interrupted>,
    /// Where the scenario log goes, and the key that seals it.
    pub log: Option<(LogPlace, Key)>,
    /// Authenticates the routes that are recorded in calls passing through.
    pub route_key: [u8; 16],
    /// Where every SIP message is printed, if anywhere.
    pub trace: Option<Lines>,
    /// Where they are printed when a command asks for it.
    pub lines: Lines,
    /// Reads the configuration again; the error is for the operator.
    pub reload: Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>,
    /// Keeps what is in a mailbox; the error is for the operator.
    pub keep_mailbox: Arc<KeepMailbox>,
    /// The data directory, in which the control socket is opened.
    pub data: PathBuf,
}

/// What is true once the switch answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The SIP sockets: UDP's, then the others'.
    pub listening: Vec<(Transport, SocketAddr)>,
    /// The addresses of the machine.
    pub interfaces: Interfaces,
}

/// Why the switch did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("cannot listen on {} {address}: {source}; {}", .transport.name().to_ascii_lowercase(), remedy(source))]
    Listen {
        /// What was to run over it.
        transport: Transport,
        /// The address of the listener.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system refused something the loop needs.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// No seed.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The media thread is gone.
    #[error("the media thread ended unexpectedly")]
    MediaEnded,
    /// No more TCP, TLS or WebSocket.
    #[error("the thread of the connections ended unexpectedly")]
    ConnectionsEnded,
    /// What the store could not write at the end.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses the port: stop it, or change `address` of the [[listener]] in the configuration"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address: change `address` of the [[listener]], 0.0.0.0 means all"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: take a port above",
        _ => "change `address` of the [[listener]] in the configuration",
    }
}

fn refused(what: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Runs the switch until it is told to stop. `on_ready` is called once, when it answers.
///
/// # Errors
/// [`RunError`], for the operator to read.
pub fn run(setup: Setup, on_ready: impl FnOnce(&Ready)) -> Result<(), RunError> {
    let (mut turns, ready) = Loop::start(setup)?;
    on_ready(&ready);
    let ended = turns.run();
    let closed = turns.core.close();
    ended.and(closed)
}

/// The switch and everything its outputs go to.
struct Core {
    switch: Switch,
    recorder: Option<Recorder<LogFile>>,
    sip: SipSockets,
    connections: Connections,
    names: Names,
    media: Media,
    store: StoreHandle,
    ops: Vec<StoreOp>,
    /// Inputs that outputs led to at once.
    echoes: Vec<Input>,
    interfaces: Interfaces,
    trace: Option<Lines>,
    /// Where messages are printed when a command asks for it.
    log_lines: Lines,
    socket: ControlSocket,
    errands: Errands,
    /// A command has asked the switch to stop.
    told_to_stop: bool,
}

impl Core {
    /// Hands in an input and does all that follows from it.
    fn feed(&mut self, now: Time, input: Input) {
        self.feed_one(now, input);
        while let Some(echo) = self.echoes.pop() {
            self.feed_one(now, echo);
        }
    }

    fn feed_one(&mut self, now: Time, input: Input) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input);
        }
        self.switch.handle_input(now, input);
        self.drain(now);
    }

    /// Hands in what came from the network.
    fn take(&mut self, now: Time, input: Input) {
        if let (Some(lines), Input::Received { flow, bytes }) = (&mut self.trace, &input) {
            trace::print(lines, now, Direction::In, flow, bytes);
        }
        self.feed(now, input);
    }

    /// Fires the timers that are due.
    fn fire(&mut self, now: Time) {
        if self.switch.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.timeout(now);
        }
        self.switch.handle_timeout(now);
        self.drain(now);
        while let Some(echo) = self.echoes.pop() {
            self.feed_one(now, echo);
        }
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.switch.poll_output() {
            if let Some(recorder) = &mut self.recorder {
                recorder.output(now, &output);
            }
            match output {
                Output::Transmit(transmit) => {
                    if let Some(lines) = &mut self.trace {
                        trace::print(lines, now, Direction::Out, &transmit.flow, &transmit.bytes);
                    }
                    let sent = match transmit.flow.transport {
                        Transport::Udp => self.sip.send(&transmit),
                        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                            self.connections.send(&transmit)
                        }
                    };
                    if !sent && let Some(transaction) = transmit.transaction {
                        self.echoes.push(Input::Unsent { transaction });
                    }
                }
                Output::Identify { flow, name } => self.connections.identify(flow, name),
                Output::Resolve(query) => self.echoes.extend(self.names.ask(query)),
                Output::Media(command) => self.echoes.extend(self.media.send(now, command).map(Input::Media)),
                Output::Store(op) => self.ops.push(op),
                Output::Event(told) => {
                    tell::event(&told);
                    self.socket.tell(told);
                }
                Output::Answer(answer) => self.socket.answer(*answer),
                Output::Errand(errand) => self.run_errand(errand),
            }
        }
    }

    /// Does what a command asks of the world outside.
    fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Reload if self.errands.reload() => {}
            Errand::Reload => {
                let reason = "it is being read already: try again".into();
                self.echoes.push(Input::NotConfigured { reason });
            }
            Errand::ShutDown => self.told_to_stop = true,
            Errand::SetMailbox { user, mailbox } => {
                let (domain, user) = ((*user.domain).into(), (*user.name).into());
                if !self.errands.keep(StoredMailbox { domain, user, mailbox }) {
                    error!("what is in a mailbox is not kept: too much is to be kept at once");
                }
            }
            Errand::Trace { on } => self.trace = on.then(|| self.log_lines.clone()),
        }
    }

    /// What is done once per turn. When it wants to be done again is [`Core::poll_timeout`].
    fn finish_turn(&mut self, now: Time) {
        if !self.ops.is_empty() {
            self.store.submit(self.ops.drain(..));
        }
        self.media.wake();
        self.connections.wake();
        self.socket.wake();
        if let Some(recorder) = &mut self.recorder
            && let Some(abandoned) = recorder.maintain(now, &mut self.switch)
        {
            warn!("scenario log interrupted, calls go on: {abandoned}");
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        let log = self.recorder.as_ref().and_then(Recorder::poll_timeout);
        [self.switch.poll_timeout(), self.media.poll_timeout(), log].into_iter().flatten().min()
    }

    /// Writes what is left to write.
    fn close(mut self) -> Result<(), RunError> {
        self.finish_turn(clock::now());
        self.media.stop();
        if let Some(recorder) = self.recorder
            && let Some(error) = recorder.finish(clock::now(), &mut self.switch).close()
        {
            warn!(%error, "the scenario log is not complete");
        }
        Ok(self.store.close()?)
    }
}

/// The loop and what it alone needs.
struct Loop {
    poll: Poll,
    batch: Batch,
    core: Core,
    control: Receiver<Control>,
    wall: WallClock,
    /// Sockets that may have more.
    undrained: Vec<bool>,
    /// Whether threads may have reports that nothing wakes the loop for any more.
    behind: bool,
    /// There may be more commands.
    commanded: bool,
    /// When nothing was left to read for the last time.
    drained_at: Time,
    /// What the switch was told last of how late we are.
    delay: DelayClass,
    look_at: Time,
    interfaces_at: Time,
    /// When stopping ends at the latest.
    stop_by: Option<Time>,
    /// Told to stop at once.
    stop_now: bool,
}

impl Loop {
    fn start(setup: Setup) -> Result<(Loop, Ready), RunError> {
        let Setup {
            loaded: Loaded { config, tls },
            store,
            bindings,
            interrupted,
            profiles,
            log,
            route_key,
            trace,
            lines,
            reload,
            keep_mailbox,
            data,
        } = setup;
        let poll = Poll::new().map_err(refused("a poll"))?;
        let sip = listen(&config, &poll)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(refused("a waker"))?);
        let connections = start_connections(&config, tls, Arc::clone(&waker))?;
        let names = Names::new(&config.name_servers, Arc::new(wake(Arc::clone(&waker))));
        let media = start_media(&config, Arc::clone(&waker))?;
        let (control, errands) = control::listen(reload as Arc<Reload>, keep_mailbox, Arc::clone(&waker))
            .map_err(refused("a thread for signals"))?;
        let recorder = log.map(start_log).transpose()?;
        store.keep_records_for(config.keep_records_days);
        let mut switch = Switch::new(random::bytes()?, config);
        switch.keep_routes(route_key);
        let now = clock::now();
        let datagrams = sip.addresses().into_iter().map(|address| (Transport::Udp, address));
        let listening: Vec<_> = datagrams.chain(connections.addresses()).collect();
        let undrained = vec![false; sip.addresses().len()];
        let interfaces = interfaces::read();
        let ready = Ready { listening, interfaces: interfaces.clone() };
        let mut turns = Loop {
            poll,
            batch: Batch::new(),
            undrained,
            behind: false,
            commanded: false,
            drained_at: now,
            delay: DelayClass::default(),
            core: Core {
                switch,
                recorder,
                sip,
                connections,
                names,
                media,
                store,
                ops: Vec::new(),
                echoes: Vec::new(),
                interfaces: interfaces.clone(),
                trace,
                log_lines: lines,
                socket: ControlSocket::new(),
                errands,
                told_to_stop: false,
            },
            control,
            wall: WallClock::default(),
            look_at: now,
            interfaces_at: now + READ_INTERFACES,
            stop_by: None,
            stop_now: false,
        };
        turns.first_inputs(now, interfaces, bindings, interrupted, profiles);
        turns.open_socket(&data, waker);
        Ok((turns, ready))
    }

    /// Lets programs give commands. The switch serves phones without it, too.
    fn open_socket(&mut self, data: &Path, waker: Arc<Waker>) {
        #[cfg(unix)]
        {
            let run = self.core.switch.run();
            if let Err(error) = self.core.socket.open(data, run, wake(waker)) {
                warn!(%error, "there is no control socket");
            }
        }
        #[cfg(not(unix))]
        let _nothing_to_open = (data, waker);
    }

    fn first_inputs(
        &mut self,
        now: Time,
        interfaces: Interfaces,
        bindings: Vec<StoredBinding>,
        interrupted: Vec<Interrupted>,
        profiles: Vec<StoredProfile>,
    ) {
        let core = &mut self.core;
        if let Some(recorder) = &mut core.recorder {
            // The log begins before the first input.
            recorder.maintain(now, &mut core.switch);
        }
        core.feed(now, Input::Interfaces(interfaces));
        if let Some(unix_ms) = self.wall.poll(now) {
            core.feed(now, Input::WallClock { unix_ms });
        }
        if !profiles.is_empty() {
            core.feed(now, Input::Profiles(profiles));
        }
        if !bindings.is_empty() {
            info!(count = bindings.len(), "registrations restored");
            core.feed(now, Input::Restored(bindings));
        }
        if !interrupted.is_empty() {
            warn!(calls = interrupted.len(), "the switch was interrupted when it ran last");
            core.feed(now, Input::Interrupted(interrupted));
        }
    }

    fn run(&mut self) -> Result<(), RunError> {
        let mut events = Events::with_capacity(64);
        let mut now = clock::now();
        while !self.is_over(now) {
            match self.poll.poll(&mut events, self.patience(now)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(refused("a poll")(error));
                }
                Ok(()) | Err(_) => {}
            }
            now = clock::now();
            self.tell_backlog(now);
            for event in &events {
                if let Some(undrained) = self.undrained.get_mut(event.token().0) {
                    *undrained = true;
                }
            }
            self.turn(now)?;
        }
        Ok(())
    }

    /// Tells the switch for how long messages have been waiting without a break, when that is of another class. What came
    /// while the poll waited has not: it is read in this turn.
    fn tell_backlog(&mut self, now: Time) {
        if !self.behind && !self.undrained.contains(&true) {
            self.drained_at = now;
        }
        let delay_us = u32::try_from(now.since(self.drained_at).as_micros()).unwrap_or(u32::MAX);
        let delay = DelayClass::of(delay_us);
        if delay != self.delay {
            self.delay = delay;
            self.core.feed(now, Input::Backlog { delay_us });
        }
    }

    fn is_over(&self, now: Time) -> bool {
        let stopped = self.stop_by.is_some_and(|by| by <= now || self.core.switch.is_idle());
        stopped || self.stop_now
    }

    /// How long the poll may wait.
    fn patience(&self, now: Time) -> Option<Duration> {
        if self.commanded {
            return Some(Duration::ZERO);
        }
        if self.behind || self.undrained.contains(&true) || self.core.media.is_crowded() {
            return Some(if self.core.media.is_crowded() {
                Duration::from_millis(1)
            } else {
                Duration::ZERO
            });
        }
        let at = [self.core.poll_timeout(), self.stop_by].into_iter().flatten().min();
        Some(at.unwrap_or(self.look_at).min(self.look_at).since(now))
    }

    fn turn(&mut self, now: Time) -> Result<(), RunError> {
        self.receive(now);
        self.behind = self.take_reports(now);
        self.core.media.handle_look(now);
        while let Ok(control) = self.control.try_recv() {
            self.obey(now, control);
        }
        self.take_commands(now);
        if self.look_at <= now {
            self.look_at = now + LOOK;
            self.look(now)?;
        }
        self.core.fire(now);
        self.core.finish_turn(now);
        Ok(())
    }

    /// Takes some commands; what is left keeps the loop awake.
    fn take_commands(&mut self, now: Time) {
        for _ in 0..COMMANDS {
            let Some(Given { id, actor, command }) = self.core.socket.poll_command() else {
                self.commanded = false;
                break;
            };
            self.commanded = true;
            self.core.feed(now, Input::Command { id, actor, command: Box::new(command) });
        }
        if core::mem::take(&mut self.core.told_to_stop) {
            self.obey(now, Control::Stop);
        }
    }

    /// Takes what the other threads report; tells whether they may have more.
    fn take_reports(&mut self, now: Time) -> bool {
        for _ in 0..REPORTS {
            let core = &mut self.core;
            let (input, report) = (core.connections.poll_input(), core.media.poll_report());
            let answer = core.names.poll_input();
            if input.is_none() && report.is_none() && answer.is_none() {
                return false;
            }
            if let Some(answer) = answer {
                self.core.feed(now, answer);
            }
            if let Some(input) = input {
                self.core.take(now, input);
            }
            if let Some(report) = report {
                self.core.feed(now, Input::Media(report));
            }
        }
        true
    }

    fn receive(&mut self, now: Time) {
        for index in 0..self.undrained.len() {
            for _ in 0..BATCHES {
                if !self.undrained.get(index).is_some_and(|undrained| *undrained) {
                    break;
                }
                let drained = self.receive_batch(now, index);
                if let Some(undrained) = self.undrained.get_mut(index) {
                    *undrained = !drained;
                }
            }
        }
    }

    /// Handles one batch; tells whether the socket has no more.
    fn receive_batch(&mut self, now: Time, index: usize) -> bool {
        let Some(listening) = self.core.sip.get(index) else { return true };
        let drained = self.batch.receive(listening);
        for datagram in self.batch.datagrams() {
            let Some(listening) = self.core.sip.get(index) else { break };
            let Some(flow) = listening.flow(datagram.peer, datagram.local, &self.core.interfaces) else {
                continue;
            };
            if is_keep_alive(datagram.octets) {
                continue;
            }
            if let Some(answer) = stun::answer(datagram.octets, flow.peer) {
                // RFC 5626 §8: whether it arrives is for the phone to see.
                self.core.sip.send(&Transmit { flow, bytes: answer, transaction: None });
                continue;
            }
            let bytes = Bytes::copy_from_slice(datagram.octets);
            self.core.take(now, Input::Received { flow, bytes });
        }
        drained
    }

    fn obey(&mut self, now: Time, control: Control) {
        match control {
            Control::Stop if self.stop_by.is_some() => self.stop_now = true,
            Control::Stop => {
                self.stop_by = Some(now + FAREWELL);
                self.core.feed(now, Input::Shutdown);
            }
            Control::NotConfigured(reason) => {
                self.core.feed(now, Input::NotConfigured { reason: reason.into() });
            }
            Control::Configure(loaded) => {
                if let Some(tls) = loaded.tls {
                    self.core.connections.use_tls(tls);
                }
                self.core.media.tune(&loaded.config.media);
                self.core.names.use_servers(&loaded.config.name_servers);
                self.core.store.keep_records_for(loaded.config.keep_records_days);
                self.core.feed(now, Input::Configure(Box::new(loaded.config)));
            }
        }
    }

    /// What is looked at once a second.
    fn look(&mut self, now: Time) -> Result<(), RunError> {
        if !self.core.media.is_running() {
            return Err(RunError::MediaEnded);
        }
        self.core.media.watch();
        if !self.core.connections.is_running() {
            return Err(RunError::ConnectionsEnded);
        }
        if let Some(unix_ms) = self.wall.poll(now) {
            self.core.feed(now, Input::WallClock { unix_ms });
        }
        if self.interfaces_at <= now {
            self.interfaces_at = now + READ_INTERFACES;
            let interfaces = interfaces::read();
            if interfaces != self.core.interfaces {
                self.core.interfaces = interfaces.clone();
                self.core.feed(now, Input::Interfaces(interfaces));
            }
        }
        while let Some(event) = self.core.store.poll_event() {
            self.core.feed(now, Input::Store(event));
        }
        Ok(())
    }
}

fn listen(config: &Config, poll: &Poll) -> Result<SipSockets, RunError> {
    let numbered = (0..).map(ListenerId).zip(&config.listeners);
    let datagrams = numbered.filter(|(_, listener)| listener.transport == Transport::Udp);
    let mut sip =
        SipSockets::bind(datagrams.map(|(id, listener)| (id, listener.address))).map_err(|refused| {
            RunError::Listen { transport: Transport::Udp, address: refused.address, source: refused.source }
        })?;
    for (index, listening) in sip.iter_mut().enumerate() {
        poll.registry()
            .register(&mut listening.socket, Token(index), Interest::READABLE)
            .map_err(refused("watching a socket"))?;
    }
    Ok(sip)
}

fn start_connections(config: &Config, tls: Option<Tls>, waker: Arc<Waker>) -> Result<Connections, RunError> {
    Connections::start(config, tls, random::bytes()?, wake(waker)).map_err(|error| match error {
        StartError::Listen(ListenError { listening, source }) => {
            RunError::Listen { transport: listening.transport, address: listening.address, source }
        }
        StartError::NoCertificate(listening) => RunError::Listen {
            transport: listening.transport,
            address: listening.address,
            source: io::Error::other("no certificate"),
        },
        StartError::System(source) => RunError::System { what: "a thread for connections", source },
    })
}

/// Wakes the loop.
fn wake(waker: Arc<Waker>) -> impl Fn() + Clone + Send + Sync + 'static {
    move || {
        if let Err(error) = waker.wake() {
            error!(%error, "core not woken");
        }
    }
}

/// What phones send through a router to keep it open: line ends (RFC 5626 §3.5.1), in the field also zeros.
fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.len() <= 4 && datagram.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

fn start_media(config: &Config, waker: Arc<Waker>) -> Result<Media, RunError> {
    let wake = wake(waker);
    let on_report = move |urgency| match urgency {
        Urgency::Now => wake(),
        Urgency::Later => {}
    };
    Media::start(&config.media, random::bytes()?, on_report).map_err(refused("a media thread"))
}

fn start_log((place, key): (LogPlace, Key)) -> Result<Recorder<LogFile>, RunError> {
    let file = LogFile::start(place).map_err(refused("the scenario log"))?;
    Ok(Recorder::new(file, Sealer::new(&key, random::bytes()?), Bounds::default()))
}
