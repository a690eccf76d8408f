//! The phone at work: sockets, clock, sound and the machine, on one thread.
//!
//! A turn waits until something comes or is due, hands it to the machines and carries out what they want. While there is a
//! call it ticks every [`FRAME_MS`]: a frame of the microphone goes to every call that is talked in, what they are heard to
//! say is added up and played. Without a call nothing ticks and the microphone is not listened to.
//!
//! How the servers are reached is in `servers`. Left out on purpose: SRTP.

use super::call_media::CallMedia;
use super::lines::{Signals, Tones};
use super::now;
use super::rtp_ports::RtpPorts;
use super::servers::{News, Servers};
use super::sound::Frames;
use crate::audio::{Audio, FRAME_MS};
use crate::phone::{
    Account, AccountError, AccountId, CallId, Command, CommandError, Event, Input, MediaCommand, MediaReport,
    Output, Password, Phone, Settings,
};
use crate::voice::{Port, Voice, VoiceConfig, VoiceFigures};
use bytes::Bytes;
use media::codec::opus;
use media::source::Country;
use mio::{Events, Interest, Poll, Token, Waker};
use sip_stack::Time;
use sip_stack::io::Trust;
use sip_stack::message::MAX_MESSAGE;
use sip_stack::resolve::{Destination, Host};
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// How long leaving takes at most: for BYE and the removal of registrations to be answered.
const LEAVING: Duration = Duration::from_secs(3);
/// Datagrams of one socket that are taken in a turn. More are a flood, whose next datagram brings another turn.
const BATCH: usize = 1_024;
/// The same for the sound of a call, in batches.
const MEDIA_BATCHES: usize = 16;
const WAKE: Token = Token(usize::MAX - 1);
/// Tokens below are sockets of SIP (`servers`); above them each call has two.
const FIRST_CALL: usize = 1 << 10;

/// An account and where its server is.
#[derive(Clone, Debug)]
pub struct Server {
    /// Name or address of the server.
    pub host: String,
    /// Its port; without one the DNS says where the servers of the name are (RFC 3263 §4.2), else the transport's.
    pub port: Option<u16>,
    /// How it is reached: UDP, TCP or TLS; without one as the DNS says, else UDP (RFC 3263 §4.1).
    pub transport: Option<Transport>,
    /// The SIP domain, where it is not the host.
    pub domain: Option<String>,
    /// The user name.
    pub user: String,
    /// Shown to those we call.
    pub display_name: Option<String>,
    /// Its password.
    pub password: Password,
}

/// What an engine is made of.
pub struct EngineConfig {
    /// At least one account.
    pub servers: Vec<Server>,
    /// What the user has set.
    pub settings: Settings,
    /// Where sound comes from and goes to.
    pub audio: Box<dyn Audio>,
    /// The ports of RTP and RTCP.
    pub ports: RangeInclusive<u16>,
    /// Whose tones are heard.
    pub country: &'static Country,
    /// How Opus is encoded.
    pub opus: opus::Settings,
    /// The lifetime to ask registrars for, in seconds.
    pub expires_s: u32,
    /// Who may vouch for servers that are reached over TLS.
    pub trust: Trust,
    /// From the system: decides every tag, nonce and SSRC.
    pub seed: [u8; 32],
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no account.
    #[error("there is no account")]
    NoAccount,
    /// An account cannot be written.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// What is said to be a server is no name and no address.
    #[error("\"{}\" is neither a name nor an address", .0.escape_default())]
    BadServer(String),
    /// The system refused something.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

/// A phone with sockets and sound.
pub struct Engine {
    pub(super) phone: Phone,
    poll: Poll,
    ready: Events,
    waker: Arc<Waker>,
    servers: Servers,
    buffer: Vec<u8>,
    pub(super) calls: BTreeMap<CallId, CallMedia>,
    ports: RtpPorts,
    pub(super) audio: Box<dyn Audio>,
    pub(super) talking: bool,
    pub(super) tones: Tones,
    pub(super) signals: BTreeMap<CallId, Signals>,
    pub(super) next_frame: Option<Time>,
    pub(super) frames: Frames,
    events: VecDeque<Event>,
    opus: opus::Settings,
    draws: u64,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("phone", &self.phone).finish_non_exhaustive()
    }
}

impl Engine {
    /// Nothing is opened or sent before a command.
    ///
    /// # Errors
    /// [`EngineError`]
    pub fn new(config: EngineConfig) -> Result<Engine, EngineError> {
        let EngineConfig { servers, settings, audio, ports, country, opus, expires_s, trust, seed } = config;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (mut phone, mut settings): (Option<Phone>, _) = (None, Some(settings));
        let mut draw = [0; 32];
        draw.iter_mut().zip(seed).for_each(|(drawn, seed)| *drawn = seed.rotate_left(3));
        let registry = poll.registry().try_clone()?;
        let mut ways = Servers::new(trust, expires_s, draw, registry, Arc::clone(&waker));
        for server in servers {
            ways.add(destination(&server)?);
            let account = account(server, expires_s);
            match &mut phone {
                Some(phone) => {
                    phone.add_account(account)?;
                }
                None => phone = Some(Phone::new(seed, account, settings.take().unwrap_or_default())?),
            }
        }
        let mut phone = phone.ok_or(EngineError::NoAccount)?;
        let ids: Vec<AccountId> = phone.accounts().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|account| phone.find_server(account));
        let draw = u64::from_be_bytes(seed[..8].try_into().unwrap_or_default());
        let (rate, length) = (audio.rate(), audio.rate().samples(FRAME_MS));
        Ok(Engine {
            phone,
            poll,
            ready: Events::with_capacity(64),
            waker,
            servers: ways,
            buffer: vec![0; MAX_MESSAGE],
            calls: BTreeMap::new(),
            ports: RtpPorts::new(ports, draw >> 7),
            talking: false,
            tones: Tones::new(country, rate),
            signals: BTreeMap::new(),
            next_frame: None,
            frames: Frames::new(length),
            audio,
            events: VecDeque::new(),
            opus,
            draws: draw,
        })
    }

    /// The machine.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// Wakes [`Engine::turn`] from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Where sound comes from and goes to.
    pub fn audio(&self) -> &dyn Audio {
        &*self.audio
    }

    /// What is known of the sound of a call.
    pub fn figures(&self, call: CallId) -> Option<VoiceFigures> {
        self.calls.get(&call).map(|media| media.voice.figures())
    }

    /// The user wants something.
    ///
    /// # Errors
    /// [`CommandError`]
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.phone.handle_input(now(), Input::Command(command))?;
        self.drain();
        Ok(())
    }

    /// The next thing to tell the user.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Waits at most so long for something to happen, and does what follows from it.
    ///
    /// # Errors
    /// The system cannot wait.
    pub fn turn(&mut self, patience: Duration) -> io::Result<()> {
        let before = now();
        let due =
            [self.phone.poll_timeout(), self.next_frame, self.servers.poll_timeout()].into_iter().flatten();
        let reports = self.calls.values().filter_map(|media| media.voice.poll_timeout());
        let wait = due.chain(reports).min().map_or(patience, |due| due.since(before).min(patience));
        match self.poll.poll(&mut self.ready, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let now = now();
        let ready: Vec<Token> =
            self.ready.iter().map(|event| event.token()).filter(|token| *token != WAKE).collect();
        for Token(token) in ready {
            match token.checked_sub(FIRST_CALL) {
                None if self.servers.on_probe(token) => {}
                None => self.receive_sip(now, token),
                Some(place) => self.receive_media(now, place),
            }
        }
        if self.servers.poll_timeout().is_some_and(|due| due <= now) {
            self.servers.handle_timeout(now);
        }
        if self.phone.poll_timeout().is_some_and(|due| due <= now) {
            self.phone.handle_timeout(now);
        }
        for media in self.calls.values_mut() {
            if media.voice.poll_timeout().is_some_and(|due| due <= now) {
                media.handle_timeout(now);
            }
        }
        self.drain();
        self.tick_if_due(now);
        Ok(())
    }

    /// Ends every call, removes the registrations if that is wanted, and waits up to three seconds for the answers.
    ///
    /// # Errors
    /// As [`Engine::turn`].
    pub fn leave(&mut self, unregister: bool) -> io::Result<()> {
        for call in self.phone.call_ids() {
            // One that ended just now need not be ended.
            let _ended = self.command(Command::HangUp { call });
        }
        if unregister {
            let _always_possible = self.command(Command::Unregister);
        }
        let begun = now();
        while !self.phone.is_settled() && now().since(begun) < LEAVING {
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Gives back the audio, to complete what it wrote.
    pub fn into_audio(self) -> Box<dyn Audio> {
        self.audio
    }

    fn receive_sip(&mut self, now: Time, at: usize) {
        for _ in 0..BATCH {
            let Some((socket, flow)) = self.servers.udp(at) else { return };
            match socket.recv_from(&mut self.buffer) {
                Ok((length, peer)) => {
                    let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                    let flow = Flow { peer, ..flow };
                    self.phone
                        .handle_input(now, Input::Received { flow, bytes })
                        .expect("only commands are refused");
                    self.drain();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    fn receive_media(&mut self, now: Time, place: usize) {
        let id = CallId(place as u64 / 2);
        let port = if place.is_multiple_of(2) { Port::Rtp } else { Port::Rtcp };
        let Some(media) = self.calls.get_mut(&id) else { return };
        for _ in 0..MEDIA_BATCHES {
            if !media.receive(now, port) {
                break;
            }
        }
        while let Some(digit) = media.voice.poll_key() {
            let report = Input::Media(MediaReport::Digit { call: id, digit });
            self.phone.handle_input(now, report).expect("only commands are refused");
        }
    }

    /// Does what the phone wants, and tells it what came of that and from its servers, until there is nothing more.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.phone.poll_output() {
                match output {
                    Output::Transmit(transmit) => self.send(&transmit),
                    Output::Media(command) => self.obey(command),
                    Output::Event(event) => {
                        self.on_news(&event);
                        self.events.push_back(event);
                    }
                    Output::Locate { account, failed } => self.servers.locate(now(), account, failed),
                }
            }
            let input = match self.servers.poll_news(now()) {
                Some(News::Received(flow, bytes)) => Input::Received { flow, bytes },
                Some(News::Unsent(transaction)) => Input::Unsent { transaction },
                Some(News::Way(account, way)) => Input::Way { account, way },
                Some(News::Lost(account)) => Input::WayLost { account },
                None => return,
            };
            self.phone.handle_input(now(), input).expect("only commands are refused");
        }
    }

    fn send(&mut self, transmit: &Transmit) {
        if let (false, Some(transaction)) = (self.servers.send(transmit), transmit.transaction) {
            self.phone.handle_input(now(), Input::Unsent { transaction }).expect("only commands are refused");
        }
    }

    fn obey(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Open { call } => self.open(call),
            MediaCommand::Start { call, stream } => {
                if let Some(media) = self.calls.get_mut(&call) {
                    // Our settings are within what every codec takes; if not, the call stays as it was.
                    let _configured = media.voice.configure(&stream);
                    self.next_frame.get_or_insert_with(now);
                }
            }
            MediaCommand::Mute { call, muted } => {
                if let Some(media) = self.calls.get_mut(&call) {
                    media.voice.mute(muted);
                }
            }
            MediaCommand::Dial { call, digits, tones } => {
                if let Some(media) = self.calls.get_mut(&call) {
                    // What finds no room is not pressed; the user hears or sees it from the other side.
                    let _dialled = media.voice.dial(&digits, tones);
                }
            }
            MediaCommand::Close { call } => {
                if let Some(mut media) = self.calls.remove(&call) {
                    let registry = self.poll.registry();
                    let _gone = registry.deregister(&mut media.rtp).and(registry.deregister(&mut media.rtcp));
                    media.close(now());
                }
                self.talk_or_not();
            }
        }
    }

    fn open(&mut self, call: CallId) {
        let account = self.phone.account_of_call(call).unwrap_or(AccountId::FIRST);
        let server = self.phone.accounts().nth(usize::from(account.0)).map(|(_, account)| account.server);
        let report = match server.map(|server| self.bind(call, server)) {
            Some(Ok(address)) => MediaReport::Opened { call, address },
            Some(Err(_)) | None => MediaReport::Refused { call },
        };
        self.phone.handle_input(now(), Input::Media(report)).expect("only commands are refused");
    }

    fn bind(&mut self, call: CallId, server: Flow) -> io::Result<SocketAddr> {
        let (mut rtp, mut rtcp) = self.ports.bind(server.local.ip())?;
        let registry = self.poll.registry();
        let token = FIRST_CALL + 2 * usize::try_from(call.0).unwrap_or(0);
        registry.register(&mut rtp, Token(token), Interest::READABLE)?;
        registry.register(&mut rtcp, Token(token + 1), Interest::READABLE)?;
        let address = rtp.local_addr()?;
        self.draws = self.draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(call.0 | 1);
        let host: IpAddr = server.peer.ip();
        let config = VoiceConfig { rate: self.audio.rate(), opus: self.opus, server: host, seed: self.draws };
        let voice = Voice::new(now(), config);
        self.calls.insert(call, CallMedia { rtp, rtcp, voice, connected: false });
        Ok(address)
    }
}

fn account(server: Server, expires_s: u32) -> Account {
    // What stands here until the way is found.
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, local: nowhere, peer: nowhere };
    Account {
        user: server.user.into(),
        domain: server.domain.unwrap_or(server.host).into(),
        display_name: server.display_name.map(Into::into),
        password: server.password,
        server: flow,
        expires_s,
    }
}

/// Where the server of an account is looked for.
fn destination(server: &Server) -> Result<Destination, EngineError> {
    let host =
        Host::new(server.host.as_bytes()).ok_or_else(|| EngineError::BadServer(server.host.clone()))?;
    let secure = server.transport == Some(Transport::Tls);
    let (port, transport) = (server.port, server.transport);
    Ok(Destination { target: host.clone(), identity: host, port, transport, secure, first: None })
}
