//! The core's way to the thread of the stream sockets: TCP, TLS and WebSocket (RFC 3261 §18, RFC 7118).
//!
//! Overflow: when the thread takes no more, a message counts as not sent, which its transaction hears of.

use crate::config::{ClientCertificates, Config};
use crate::core::Input;
use core::time::Duration;
use sip_stack::io::{
    ClientAuth, Command, Credentials, Listening, Reach, Report, StartError, Streams, StreamsConfig, Tls,
    TlsConfig, TlsError, Trust,
};
use sip_stack::transport::stream::Limits;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use tracing::{debug, error};

/// How much longer a silent connection stays than the longest registration over it.
const GRACE: Duration = Duration::from_secs(60);

/// How many names of servers are kept.
const NAMES: usize = 4_096;

/// The handle; there is no thread where nothing listens for streams.
pub(super) struct Connections {
    streams: Option<Streams>,
    /// Those that are up.
    open: BTreeSet<Flow>,
    /// What certificates of servers have to name, where they were looked up by name. At most [`NAMES`].
    names: BTreeMap<Flow, Box<str>>,
    unannounced: bool,
}

impl Connections {
    /// Binds the listeners of the configuration that are not UDP's.
    pub(super) fn start(
        config: &Config,
        tls: Option<Tls>,
        seed: [u8; 32],
        on_report: impl Fn() + Send + 'static,
    ) -> Result<Connections, StartError> {
        let listeners = listeners_of(config);
        if listeners.is_empty() {
            return Ok(Connections {
                streams: None,
                open: BTreeSet::new(),
                names: BTreeMap::new(),
                unannounced: false,
            });
        }
        let lifetimes = config.domains.values().map(|domain| domain.registration.max_expires_s);
        let longest = Duration::from_secs(lifetimes.max().unwrap_or_default().into());
        let config = StreamsConfig {
            listeners,
            tls,
            origins: None,
            limits: Limits { idle: longest + GRACE, ..Limits::default() },
            bounds: sip_stack::io::Bounds::default(),
        };
        let streams = sip_stack::io::start(config, seed, super::clock::now, on_report)?;
        Ok(Connections {
            streams: Some(streams),
            open: BTreeSet::new(),
            names: BTreeMap::new(),
            unannounced: false,
        })
    }

    /// What is listened on.
    pub(super) fn addresses(&self) -> Vec<(Transport, SocketAddr)> {
        let listening = self.streams.as_ref().map(Streams::listening).unwrap_or_default();
        listening.iter().map(|listening| (listening.transport, listening.address)).collect()
    }

    /// Hands a message over; `false` when it cannot be sent.
    pub(super) fn send(&mut self, transmit: &Transmit) -> bool {
        let Transmit { flow, transaction, .. } = *transmit;
        // RFC 3261 §18.2.2: a response goes back over the connection of its request. A phone is reached over the one
        // that it has opened (RFC 5626 §5.3), and shows no certificate for that.
        let is_response = transmit.bytes.starts_with(b"SIP/");
        let is_up = self.open.contains(&flow);
        let reach = if is_response || is_up {
            Reach::Flow
        } else {
            Reach::Peer { name: self.names.get(&flow).cloned() }
        };
        self.command(Command::Send { flow, bytes: transmit.bytes.clone(), transaction, reach })
    }

    /// The server at the other end of `flow` has to show a certificate of this name.
    pub(super) fn identify(&mut self, flow: Flow, name: Box<str>) {
        if self.names.len() >= NAMES && !self.names.contains_key(&flow) {
            // It is told again before the next call goes there.
            self.names.clear();
        }
        self.names.insert(flow, name);
    }

    /// Uses other certificates for the connections that come.
    pub(super) fn use_tls(&mut self, tls: Tls) {
        if !self.command(Command::UseTls(tls)) {
            error!("the certificates stay as they are: too much waits for the connections");
        }
    }

    fn command(&mut self, command: Command) -> bool {
        let Some(streams) = &mut self.streams else { return false };
        self.unannounced = true;
        streams.send(command).is_ok()
    }

    /// Wakes the thread if there is something for it, once per turn of the loop.
    pub(super) fn wake(&mut self) {
        if core::mem::take(&mut self.unannounced)
            && let Some(streams) = &self.streams
        {
            streams.wake();
        }
    }

    /// The next thing that the core has to know.
    pub(super) fn poll_input(&mut self) -> Option<Input> {
        loop {
            match self.streams.as_mut()?.poll_report()? {
                Report::Received { flow, bytes } => return Some(Input::Received { flow, bytes }),
                Report::Unsent { transaction } => return Some(Input::Unsent { transaction }),
                Report::Closed { flow, reason } => {
                    debug!(%flow, %reason, "connection closed");
                    self.open.remove(&flow);
                    return Some(Input::Disconnected { flow });
                }
                Report::Opened { flow, .. } => {
                    debug!(%flow, "connection open");
                    self.open.insert(flow);
                }
            }
        }
    }

    /// Whether the thread is alive, or there is none.
    pub(super) fn is_running(&self) -> bool {
        self.streams.as_ref().is_none_or(Streams::is_running)
    }
}

fn listeners_of(config: &Config) -> Vec<Listening> {
    let numbered = (0..).map(ListenerId).zip(&config.listeners);
    let streams = numbered.filter(|(_, listener)| listener.transport.is_reliable());
    streams
        .map(|(id, listener)| Listening { id, transport: listener.transport, address: listener.address })
        .collect()
}

/// Loads the certificates that the configuration names, relative names from beside its file.
///
/// # Errors
/// [`TlsError`] names the file that cannot be used.
pub fn load_tls(config: &Config) -> Result<Option<Tls>, TlsError> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let beside = Path::new(&*config.file).parent().unwrap_or(Path::new(""));
    let file = |name: &str| beside.join(name);
    let credentials = Credentials { chain: file(&tls.certificate), key: file(&tls.key) };
    let loaded = Tls::load(&TlsConfig {
        server: Some(credentials.clone()),
        client_auth: match &tls.client_certificates {
            ClientCertificates::None => ClientAuth::None,
            ClientCertificates::Request { roots } => ClientAuth::Request(file(roots)),
            ClientCertificates::Require { roots } => ClientAuth::Require(file(roots)),
        },
        client: Some(credentials),
        trust: tls.server_roots.as_deref().map_or(Trust::System, |roots| Trust::File(file(roots))),
    });
    loaded.map(Some)
}
