//! What every part of the switch works with: time, configuration, the SIP endpoint, and the outputs.

use super::alarms::Alarms;
use super::command::{CallRef, CommandId, RecordingRef, Run};
use super::overload::Overload;
use super::{Event, Interfaces, Output, Told};
use crate::config::{Config, Domain, DomainId, Listener};
use crate::prompts::Library;
use crate::routing;
use crate::store::{StoreOp, StoredProfile};
use crate::subscriptions::ALLOW_EVENTS;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::decimal::put_socket_address;
use sip_stack::header::HeaderName;
use sip_stack::message::Writer;
use sip_stack::random::Random;
use sip_stack::resolve::{Families, Resolver, Settings};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Endpoint, Time};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The methods we serve (RFC 3261 §20.5).
pub(crate) const ALLOW: &[u8] =
    b"INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, PRACK, UPDATE, REFER, MESSAGE, SUBSCRIBE, PUBLISH";
/// The extensions of sessions that we know (RFC 3261 §20.37).
pub(crate) const SUPPORTED: &[u8] = b"100rel, timer, replaces, join, norefersub";
/// User-Agent and Server (RFC 3261 §20.35, §20.41).
const PRODUCT: &[u8] = concat!("softswitch/", env!("CARGO_PKG_VERSION")).as_bytes();

/// Shared by the registrar and the calls; lives in the switch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Environment {
    /// The moment being handled.
    pub(crate) now: Time,
    /// Unix milliseconds at the origin of `now`, from the last time of day that came in.
    epoch_unix_ms: i64,
    pub(crate) config: Arc<Config>,
    pub(crate) endpoint: Endpoint,
    /// Where peers are.
    pub(crate) resolver: Resolver,
    pub(crate) interfaces: Interfaces,
    pub(crate) overload: Overload,
    pub(super) alarms: Alarms,
    /// What routing remembers from call to call.
    pub(crate) routing: routing::State,
    /// What can be said, as the configuration has it.
    #[serde(skip)]
    pub(crate) library: Arc<Library>,
    /// No new calls: the switch is about to stop.
    pub(crate) stopping: bool,
    /// The run that ids are of; `None` before the first time of day.
    run: Option<Run>,
    /// Events so far.
    told: u64,
    /// The command that is being obeyed.
    pub(super) obeying: Option<CommandId>,
    /// The command that has asked for the configuration to be read.
    pub(super) reloading: Option<CommandId>,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

impl Environment {
    pub(crate) fn new(seed: [u8; 32], config: Config) -> Environment {
        let mut endpoint = Endpoint::new(seed);
        let mut lots = [0; 32];
        for part in lots.chunks_exact_mut(8) {
            part.copy_from_slice(&endpoint.random().next_u64().to_le_bytes());
        }
        let lots = Random::new(lots);
        let settings = Settings { families: families(&config), ..Settings::default() };
        let library = Library::of(&config.prompts.own);
        let mut env = Environment {
            library,
            now: Time::default(),
            epoch_unix_ms: 0,
            config: Arc::new(config),
            endpoint,
            resolver: Resolver::new(settings, lots),
            interfaces: Interfaces::default(),
            overload: Overload::default(),
            routing: routing::State::default(),
            alarms: Alarms::default(),
            stopping: false,
            run: None,
            told: 0,
            obeying: None,
            reloading: None,
            outputs: VecDeque::new(),
        };
        env.meet_neighbours();
        env
    }

    /// Another configuration is in force, or the switch is restored.
    pub(crate) fn reread_prompts(&mut self) {
        self.library = Library::of(&self.config.prompts.own);
    }

    /// The files of the music on hold; none where there is to be none.
    pub(crate) fn music(&self) -> Vec<Arc<str>> {
        match &self.config.call_features.music_folder {
            _ if !self.config.call_features.hold_music => Vec::new(),
            Some(folder) => folder.files.clone(),
            None => self.library.music_file().into_iter().collect(),
        }
    }

    /// Takes up what users had set.
    pub(crate) fn restore_profiles(&mut self, kept: Vec<StoredProfile>) {
        let config = self.config.clone();
        self.routing.profiles.restore(|name| config.domain_named(name), kept);
    }

    /// Another configuration is in force.
    pub(crate) fn reconfigure_routing(&mut self) {
        let config = self.config.clone();
        self.routing.reconfigure(&config);
    }

    pub(crate) fn set_wall_clock(&mut self, unix_ms: u64) {
        self.epoch_unix_ms = unix_ms.cast_signed().saturating_sub((self.now.0 / 1_000_000).cast_signed());
        self.run.get_or_insert(Run::began_at(unix_ms));
    }

    /// What the numbers of this run stand for outside.
    pub(crate) fn run(&self) -> Run {
        self.run.unwrap_or_default()
    }

    /// The id of the call of this number.
    pub(crate) fn call_ref(&self, number: u64) -> CallRef {
        CallRef(self.run().id(number))
    }

    /// The id of the recording of this number.
    pub(crate) fn recording_ref(&self, number: u64) -> RecordingRef {
        RecordingRef(self.run().id(number))
    }

    /// Unix milliseconds at `time`.
    pub(crate) fn unix_ms(&self, time: Time) -> u64 {
        self.epoch_unix_ms.saturating_add((time.0 / 1_000_000).cast_signed()).max(0).cast_unsigned()
    }

    /// The monotonic time of a moment given in Unix milliseconds; the origin for moments before it.
    pub(crate) fn time_of(&self, unix_ms: u64) -> Time {
        Time::from_millis(unix_ms.cast_signed().saturating_sub(self.epoch_unix_ms).max(0).cast_unsigned())
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Tells an event; it came of the command that is being obeyed, if one is.
    pub(crate) fn event(&mut self, event: Event) {
        self.event_of(self.obeying, event);
    }

    /// Tells an event that came of a command.
    pub(crate) fn event_of(&mut self, command: Option<CommandId>, event: Event) {
        let failed = if let Event::RecordingFailed { fault, .. } = &event { Some(*fault) } else { None };
        let ended = if let Event::RecordingEnded { figures, .. } = &event { Some(*figures) } else { None };
        self.told += 1;
        let unix_ms = self.unix_ms(self.now);
        self.outputs.push_back(Output::Event(Told { number: self.told, unix_ms, command, event }));
        if let Some(fault) = failed {
            self.note_recording_failed(fault);
        }
        if let Some(figures) = ended {
            self.note_recording_ended(figures);
        }
    }

    /// The command that is being obeyed.
    pub(crate) const fn command(&self) -> Option<CommandId> {
        self.obeying
    }

    pub(crate) fn store(&mut self, op: StoreOp) {
        self.outputs.push_back(Output::Store(op));
    }

    pub(crate) fn media(&mut self, command: media::Command) {
        self.outputs.push_back(Output::Media(command));
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.outputs.is_empty()
    }

    pub(crate) fn domain(&self, id: DomainId) -> Option<&Domain> {
        self.config.domains.get(&id)
    }

    /// How the peer of `flow` reaches us: the sent-by of our Via, the host of our Contact.
    pub(crate) fn sent_by(&self, flow: &Flow) -> Vec<u8> {
        let listener = self.config.listeners.get(usize::from(flow.listener.0));
        // A connection that we opened has a port of its own; peers come to that of the listener.
        let bound = listener.map_or(flow.local.port(), |listener| listener.address.port());
        match listener.and_then(|listener| listener.advertised_to(flow.peer.ip().to_canonical())) {
            Some(advertise) => {
                let port = advertise.port.unwrap_or(bound);
                if advertise.host.contains(':') {
                    format!("[{}]:{port}", advertise.host).into_bytes()
                } else {
                    format!("{}:{port}", advertise.host).into_bytes()
                }
            }
            None => {
                let mut text = Vec::with_capacity(24);
                put_socket_address(&mut text, SocketAddr::new(flow.local.ip().to_canonical(), bound));
                text
            }
        }
    }

    /// Our Contact for the peer of `flow`: what it sends within a dialog goes to `user` over the same transport
    /// (RFC 3261 §12.1.1, §19.1.1).
    pub(crate) fn contact(&self, user: &[u8], flow: &Flow) -> Bytes {
        let transport: &[u8] = match flow.transport {
            Transport::Udp => b"",
            Transport::Tcp => b";transport=tcp",
            Transport::Tls => b";transport=tls",
            Transport::Ws => b";transport=ws",
            Transport::Wss => b";transport=wss",
        };
        let user = escape_user(user);
        [b"<sip:", user.as_slice(), b"@", &self.sent_by(flow), transport, b">"].concat().into()
    }

    /// The host part of our users' addresses as the peer of `flow` should see them: the domain if it is a name that
    /// DNS can know, else our address.
    pub(crate) fn uri_host(&self, domain: DomainId, flow: &Flow) -> Vec<u8> {
        match self.domain(domain) {
            Some(domain) if domain.name.contains('.') => domain.name.as_bytes().to_vec(),
            Some(_) | None => self.sent_by(flow),
        }
    }

    /// The address in SDP for the peer of `flow`.
    pub(crate) fn media_address(&self, flow: &Flow) -> IpAddr {
        let peer = flow.peer.ip().to_canonical();
        self.config.media.advertised_to(peer).unwrap_or(flow.local.ip().to_canonical())
    }

    /// Our address for a flow whose own is no address of this machine any more, on a listener that is bound to all;
    /// `None` when the flow is in order or nothing better is known.
    pub(crate) fn local_for(&self, flow: &Flow) -> Option<SocketAddr> {
        let listener = self.config.listeners.get(usize::from(flow.listener.0))?;
        let ours = flow.local.ip().to_canonical();
        let known = self.interfaces.interfaces.iter().any(|interface| interface.address == ours);
        if known || !listener.address.ip().is_unspecified() {
            return None;
        }
        let facing = self.interfaces.facing(flow.peer.ip()).filter(|facing| *facing != ours)?;
        Some(SocketAddr::new(facing, flow.local.port()))
    }

    /// The flow to an address that has not come to us: from the first listener of the transport and family, at the
    /// address of ours that faces it.
    pub(crate) fn flow_to(&self, transport: Transport, peer: SocketAddr) -> Option<Flow> {
        let serves = |listener: &Listener| {
            listener.transport == transport && listener.address.is_ipv4() == peer.is_ipv4()
        };
        let index = self.config.listeners.iter().position(serves)?;
        let listener = self.config.listeners.get(index)?;
        let ip = match listener.address.ip() {
            ip if ip.is_unspecified() => self.interfaces.facing(peer.ip())?,
            ip => ip,
        };
        Some(Flow {
            listener: ListenerId(u16::try_from(index).ok()?),
            transport,
            local: SocketAddr::new(ip, listener.address.port()),
            peer,
        })
    }
}

/// The families of addresses that we send from.
fn families(config: &Config) -> Families {
    let has = |ipv4: bool| config.listeners.iter().any(|listener| listener.address.is_ipv4() == ipv4);
    match (has(true), has(false)) {
        (_, false) => Families::Ipv4,
        (false, true) => Families::Ipv6,
        (true, true) => Families::Ipv4First,
    }
}

/// Adds what every final answer about our abilities carries.
pub(crate) fn sign_response(writer: &mut Writer) {
    writer.header(HeaderName::Server, PRODUCT);
}

/// Adds what the messages that open or change a session say of our abilities: Allow, Allow-Events (RFC 6665 §4.4.4) and
/// Supported.
pub(crate) fn write_abilities(writer: &mut Writer) {
    writer.header(HeaderName::Allow, ALLOW);
    writer.header(HeaderName::AllowEvents, ALLOW_EVENTS);
    writer.header(HeaderName::Supported, SUPPORTED);
}

/// Whether a session may need this extension of us.
pub(crate) fn understands(tag: &[u8]) -> bool {
    SUPPORTED.split(|byte| *byte == b',').any(|known| known.trim_ascii().eq_ignore_ascii_case(tag))
}

/// Adds what every request of ours carries.
pub(crate) fn sign_request(writer: &mut Writer) {
    writer.header(HeaderName::UserAgent, PRODUCT);
}

/// The first 64 characters of a text that others are shown.
pub(crate) fn brief(text: &str) -> &str {
    text.char_indices().nth(64).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// Caller-supplied text in the user part of a URI: everything outside `unreserved` (RFC 3261 §25.1) is escaped.
pub(crate) fn escape_user(user: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = Vec::with_capacity(user.len());
    for byte in user {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => escaped.push(*byte),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b'+' | b'$' | b'&' | b'=' => {
                escaped.push(*byte);
            }
            _ => escaped.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    escaped
}
