//! One phone of a scenario: the machine, the sound of its calls, and what its user has seen and heard.

use super::meter::{FRAME, Meter, RATE, TALK_DBM0};
use super::network::Datagram;
use super::runner::Output;
use super::script::{Peer, PhoneSetup, Wire};
use crate::phone::{
    Account, AccountError, CallId, Command, CommandError, Ending, Event, Input as PhoneInput, MediaCommand,
    MediaReport, Output as PhoneOutput, Phone, Reason, Settings, Stream,
};
use crate::voice::{Port, Voice, VoiceConfig};
use bytes::Bytes;
use media::codec::opus;
use media::dsp::SampleRate;
use media::source::{Oscillator, amplitude};
use sip_stack::Time;
use sip_stack::message::{Message, Uri};
use sip_stack::transport::{Flow, Transmit};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// How often sound is taken and played.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// SIP messages that are remembered of the time since the last deed; older ones are forgotten.
const REMEMBERED: usize = 256;

/// A phone at work.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) name: Box<str>,
    pub(super) phone: Phone,
    /// Its place among the phones.
    place: usize,
    flow: Flow,
    voices: BTreeMap<CallId, Line>,
    next_tick: Time,
    tone: Oscillator,
    pub(super) talks: bool,
    pub(super) online: bool,
    seed: u64,
    /// What its user knows.
    pub(super) calls: Vec<View>,
    pub(super) meter: Meter,
    pub(super) received: VecDeque<Wire>,
    pub(super) turned_away: Vec<Box<str>>,
    /// Why the other side of a call could not be sent elsewhere, since the last deed.
    pub(super) untransferred: Option<Reason>,
    /// Why a text was not taken, since the last deed.
    pub(super) unwritten: Option<Reason>,
    /// Texts of others, with who sent them, since the last deed.
    pub(super) texts: Vec<(Box<str>, Box<str>)>,
    pub(super) trouble: Option<Reason>,
}

/// The sound of a call.
#[derive(Debug)]
struct Line {
    address: SocketAddr,
    voice: Voice,
}

/// A call as the user sees it.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) call: CallId,
    /// The number of the other side.
    pub(super) peer: Box<str>,
    pub(super) state: State,
    pub(super) waiting: bool,
    pub(super) holding: bool,
    pub(super) on_hold: bool,
    /// Keys of the other side since the last deed.
    pub(super) digits: String,
    /// How often its end was told; once, if all is well.
    pub(super) endings: usize,
}

/// How far a call has come for its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Calling,
    /// Ours, and it rings there.
    HearsRinging,
    /// Theirs, and it rings here.
    Rings,
    Up,
    Over(Ending),
}

impl View {
    /// Whether it is with that number, or any number will do.
    pub(super) fn is_with(&self, peer: &Peer) -> bool {
        peer.as_ref().is_none_or(|peer| {
            let user = peer.split_once('@').map_or(&**peer, |(user, _)| user);
            *self.peer == *user.trim_start_matches("sip:")
        })
    }

    /// Whether it goes on.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.state, State::Over(_))
    }
}

impl Actor {
    /// # Errors
    /// [`AccountError`]
    pub(super) fn new(
        place: usize,
        setup: &PhoneSetup,
        account: Account,
        tones: Vec<u32>,
        seed: u64,
    ) -> Result<Actor, AccountError> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let settings = Settings {
            auto_answer: setup.auto_answer.clone(),
            answer_when_asked: setup.answer_when_asked,
            lines: setup.lines,
            hold_others: setup.hold_others,
            codecs: setup.codecs.clone(),
            ..Settings::default()
        };
        let flow = account.server;
        Ok(Actor {
            name: setup.name.clone(),
            phone: Phone::new(bytes, account, settings)?,
            place,
            flow,
            voices: BTreeMap::new(),
            next_tick: Time::default(),
            tone: Oscillator::new(setup.tone_hz as f32, RATE),
            talks: setup.talks,
            online: true,
            seed,
            calls: Vec::new(),
            meter: Meter::new(tones),
            received: VecDeque::new(),
            turned_away: Vec::new(),
            untransferred: None,
            unwritten: None,
            texts: Vec::new(),
            trouble: None,
        })
    }

    /// What happened before the last deed counts no more.
    pub(super) fn forget(&mut self) {
        self.received.clear();
        self.turned_away.clear();
        self.untransferred = None;
        self.unwritten = None;
        self.texts.clear();
        self.calls.iter_mut().for_each(|view| view.digits.clear());
    }

    /// Takes a datagram, if it is for this phone.
    pub(super) fn handle_datagram(&mut self, now: Time, datagram: &Datagram) -> bool {
        let Datagram { from, to, bytes } = datagram;
        let line = self.voices.values_mut().find_map(|line| {
            let port = port_of(line.address, *to)?;
            Some((port, &mut line.voice))
        });
        if let Some((port, voice)) = line {
            if self.online {
                voice.handle_datagram(now, port, *from, bytes);
            }
            return true;
        }
        if *to != self.flow.local {
            return false;
        }
        if self.online {
            self.remember(bytes);
            let flow = Flow { peer: *from, ..self.flow };
            self.give(now, PhoneInput::Received { flow, bytes: bytes.clone() });
        }
        true
    }

    /// The sockets of a call are there, or cannot be had.
    pub(super) fn handle_opened(&mut self, now: Time, call: CallId, address: Option<SocketAddr>) {
        let Some(address) = address else {
            return self.give(now, PhoneInput::Media(MediaReport::Refused { call }));
        };
        let config = VoiceConfig {
            rate: SampleRate::Hz8000,
            opus: opus::Settings::default(),
            server: self.flow.peer.ip(),
            seed: self.seed ^ call.0.rotate_left(32),
        };
        if self.voices.is_empty() {
            // Phones do not tick together.
            let phase = Duration::from_micros(self.place as u64 * 3_700 % 20_000);
            self.next_tick = now.round_up(TICK) + phase;
        }
        self.voices.insert(call, Line { address, voice: Voice::new(now, config) });
        self.give(now, PhoneInput::Media(MediaReport::Opened { call, address }));
    }

    /// # Errors
    /// As the phone says.
    pub(super) fn command(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        self.phone.handle_input(now, PhoneInput::Command(command))
    }

    fn give(&mut self, now: Time, input: PhoneInput) {
        self.phone.handle_input(now, input).expect("only commands are refused");
    }

    fn remember(&mut self, bytes: &Bytes) {
        let Ok(message) = Message::parse(bytes.clone()) else { return };
        let invite = message.cseq().is_ok_and(|cseq| cseq.method == sip_stack::message::Method::Invite);
        let wire = match (message.status(), message.method()) {
            (Some(status), _) if invite => Wire::Status(status.code()),
            (None, Some(method)) => Wire::Method(String::from_utf8_lossy(method.as_bytes()).into()),
            (Some(_) | None, _) => return,
        };
        if self.received.len() == REMEMBERED {
            self.received.pop_front();
        }
        self.received.push_back(wire);
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let tick = (!self.voices.is_empty()).then_some(self.next_tick);
        self.phone.poll_timeout().into_iter().chain(tick).min()
    }

    /// Fires what is due; `out` gets what leaves.
    pub(super) fn handle_timeout(&mut self, now: Time, out: &mut VecDeque<Output>) {
        if self.phone.poll_timeout().is_some_and(|at| at <= now) {
            self.phone.handle_timeout(now);
        }
        self.meter.forget(now);
        while !self.voices.is_empty() && self.next_tick <= now {
            let at = self.next_tick;
            self.next_tick = at + TICK;
            self.tick(at, out);
        }
    }

    /// 20 ms of sound, both ways. What is heard is all calls together, as the user hears it.
    fn tick(&mut self, now: Time, out: &mut VecDeque<Output>) {
        let peak = if self.talks { amplitude(TALK_DBM0) } else { 0.0 };
        let mut said = [0i16; FRAME];
        said.iter_mut().for_each(|sample| *sample = (self.tone.sample() * peak) as i16);
        let mut heard = [0i16; FRAME];
        for Line { address, voice } in self.voices.values_mut() {
            let (mut frame, mut played) = (said, [0i16; FRAME]);
            let rtcp = SocketAddr::new(address.ip(), address.port() + 1);
            let online = self.online;
            let mut send = |from, to, bytes: &[u8]| {
                if online {
                    let bytes = Bytes::copy_from_slice(bytes);
                    out.push_back(Output::Transmit(Datagram { from, to, bytes }));
                }
            };
            voice.capture(now, &mut frame, |to, bytes| send(*address, to, bytes));
            if voice.poll_timeout().is_some_and(|at| at <= now) {
                voice.handle_timeout(now, |to, bytes| send(rtcp, to, bytes));
            }
            voice.play(now, &mut played);
            heard.iter_mut().zip(played).for_each(|(sum, sample)| *sum = sum.saturating_add(sample));
        }
        self.meter.handle_frame(now, &heard);
        self.pass_keys(now);
    }

    /// Keys that were heard go to the phone, which tells its user.
    fn pass_keys(&mut self, now: Time) {
        let mut pressed = Vec::new();
        for (call, line) in &mut self.voices {
            pressed.extend(std::iter::from_fn(|| line.voice.poll_key()).map(|key| (*call, key)));
        }
        for (call, digit) in pressed {
            self.give(now, PhoneInput::Media(MediaReport::Digit { call, digit }));
        }
    }

    /// Takes what the phone has to say; `tell` gets what its user is told.
    pub(super) fn drain(&mut self, now: Time, out: &mut VecDeque<Output>, mut tell: impl FnMut(&Event)) {
        while let Some(output) = self.phone.poll_output() {
            match output {
                PhoneOutput::Transmit(Transmit { flow, bytes, .. }) => {
                    if self.online {
                        let (from, to) = (self.flow.local, flow.peer);
                        out.push_back(Output::Transmit(Datagram { from, to, bytes }));
                    }
                }
                PhoneOutput::Media(command) => self.obey(now, command, out),
                // Its account was made with its flow.
                PhoneOutput::Locate { .. } => {}
                PhoneOutput::Event(event) => {
                    tell(&event);
                    self.see(event);
                }
            }
        }
    }

    fn obey(&mut self, now: Time, command: MediaCommand, out: &mut VecDeque<Output>) {
        match command {
            MediaCommand::Open { call } => out.push_back(Output::Open { phone: self.place, call }),
            MediaCommand::Start { call, stream } => self.start(call, &stream),
            MediaCommand::Mute { call, muted } => {
                if let Some(line) = self.voices.get_mut(&call) {
                    line.voice.mute(muted);
                }
            }
            MediaCommand::Dial { call, digits, tones } => {
                if let Some(line) = self.voices.get_mut(&call) {
                    // A scenario that presses more keys than wait misses them at the other side.
                    let _full = line.voice.dial(&digits, tones);
                }
            }
            MediaCommand::Close { call } => {
                let Some(mut line) = self.voices.remove(&call) else { return };
                let from = SocketAddr::new(line.address.ip(), line.address.port() + 1);
                line.voice.close(now, |to, bytes| {
                    let bytes = Bytes::copy_from_slice(bytes);
                    out.push_back(Output::Transmit(Datagram { from, to, bytes }));
                });
                out.push_back(Output::Close { address: line.address });
            }
        }
    }

    fn start(&mut self, call: CallId, stream: &Stream) {
        if let Some(line) = self.voices.get_mut(&call) {
            // Every codec that a phone agrees on takes these settings.
            let _kept = line.voice.configure(stream);
        }
    }

    /// What the user is told changes what the user knows.
    fn see(&mut self, event: Event) {
        match event {
            Event::Registered { .. } | Event::Unregistered { .. } => self.trouble = None,
            Event::RegistrationFailed { reason, .. } => self.trouble = Some(reason),
            Event::Calling { call, target } => self.begin(call, &target, State::Calling, false),
            Event::Incoming { call, uri, waiting, .. } => self.begin(call, &uri, State::Rings, waiting),
            Event::TurnedAway { uri, .. } => self.turned_away.push(user_of(&uri)),
            Event::Ringing { call } => self.change(call, |view| view.state = State::HearsRinging),
            Event::Connected { call } => self.change(call, |view| view.state = State::Up),
            Event::Held { call, held } => self.change(call, |view| view.holding = held),
            Event::HeldByPeer { call, held } => self.change(call, |view| view.on_hold = held),
            Event::Digit { call, digit } => self.change(call, |view| view.digits.push(digit)),
            Event::Message { uri, text, .. } => {
                self.texts.push((user_of(&uri), String::from_utf8_lossy(&text).into()));
            }
            Event::MessageFailed { reason, .. } => self.unwritten = Some(reason),
            // What is watched the phone knows itself.
            Event::Watch { .. } | Event::MessageTaken { .. } => {}
            Event::TransferFailed { reason, .. } => self.untransferred = Some(reason),
            Event::HoldFailed { .. } | Event::Muted { .. } | Event::Transferred { .. } => {}
            Event::Ended { call, ending } => self.change(call, |view| {
                view.state = State::Over(ending);
                view.endings += 1;
            }),
        }
    }

    fn begin(&mut self, call: CallId, uri: &[u8], state: State, waiting: bool) {
        self.calls.push(View {
            call,
            peer: user_of(uri),
            state,
            waiting,
            holding: false,
            on_hold: false,
            digits: String::new(),
            endings: 0,
        });
    }

    fn change(&mut self, call: CallId, change: impl FnOnce(&mut View)) {
        if let Some(view) = self.calls.iter_mut().find(|view| view.call == call) {
            change(view);
        }
    }

    /// Whether a call of it goes on.
    pub(super) fn has_calls(&self) -> bool {
        self.calls.iter().any(View::is_live)
    }
}

/// Which port of a call an address is.
fn port_of(rtp: SocketAddr, to: SocketAddr) -> Option<Port> {
    if to == rtp {
        return Some(Port::Rtp);
    }
    (to.ip() == rtp.ip() && to.port() == rtp.port() + 1).then_some(Port::Rtcp)
}

/// The user of a URI, as one dials it.
fn user_of(uri: &[u8]) -> Box<str> {
    let uri = Uri::parse(uri).ok();
    let user = uri.as_ref().and_then(Uri::user_unescaped).unwrap_or_default();
    String::from_utf8_lossy(&user).into()
}
