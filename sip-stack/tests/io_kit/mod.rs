//! An owner of the stream sockets for tests: real sockets on loopback, a clock that the test turns, and waits that end
//! with an event instead of a sleep.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use sip_stack::Time;
use sip_stack::io::{
    Bounds, ClientAuth, Command, Credentials, Identity, Listening, Reach, Report, Streams, StreamsConfig,
    Tls, TlsConfig, Trust, start,
};
use sip_stack::transport::stream::Limits;
use sip_stack::transport::{Flow, ListenerId, Transport};
use std::collections::VecDeque;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// How long a test waits before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Streams with their owner.
pub(crate) struct Owner {
    pub(crate) streams: Streams,
    woken: Receiver<()>,
    reports: VecDeque<Report>,
    clock: Arc<AtomicU64>,
}

/// A configuration with one listener on loopback.
pub(crate) fn listening(transport: Transport) -> StreamsConfig {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listening { id: ListenerId(0), transport, address };
    StreamsConfig { listeners: vec![listener], ..no_listener() }
}

/// A configuration that only connects.
pub(crate) fn no_listener() -> StreamsConfig {
    StreamsConfig {
        listeners: Vec::new(),
        tls: None,
        origins: None,
        limits: Limits::default(),
        bounds: Bounds::default(),
    }
}

impl Owner {
    pub(crate) fn start(config: StreamsConfig) -> Owner {
        let (wake, woken) = sync_channel(1);
        let clock = Arc::new(AtomicU64::new(Time::from_millis(1_000).0));
        let theirs = Arc::clone(&clock);
        let clock_of_thread = move || Time(theirs.load(Ordering::SeqCst));
        let on_report = move || {
            let _ = wake.try_send(());
        };
        let streams = start(config, [7; 32], clock_of_thread, on_report).unwrap();
        Owner { streams, woken, reports: VecDeque::new(), clock }
    }

    /// The address of the only listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.streams.listening()[0].address
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.streams.send(command).unwrap();
        self.streams.wake();
    }

    pub(crate) fn send(&mut self, flow: Flow, bytes: impl Into<Bytes>, transaction: u64, reach: Reach) {
        let bytes = bytes.into();
        self.command(Command::Send { flow, bytes, transaction: Some(transaction), reach });
    }

    /// Sends on the connection of the flow.
    pub(crate) fn reply(&mut self, flow: Flow, bytes: impl Into<Bytes>) {
        self.send(flow, bytes, 0, Reach::Flow);
    }

    /// Lets time pass for the thread once it has obeyed all commands so far, and has it look.
    pub(crate) fn pass(&mut self, time: Duration) {
        let nowhere = towards(Transport::Tcp, SocketAddr::from(([127, 0, 0, 1], 1)));
        self.send(nowhere, Bytes::new(), u64::MAX, Reach::Flow);
        loop {
            match self.await_report() {
                Report::Unsent { transaction: u64::MAX } => break,
                other => self.reports.push_back(other),
            }
        }
        self.clock.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
        self.command(Command::Close(nowhere));
    }

    pub(crate) fn next(&mut self) -> Report {
        match self.reports.pop_front() {
            Some(report) => report,
            None => self.await_report(),
        }
    }

    fn await_report(&mut self) -> Report {
        loop {
            if let Some(report) = self.streams.poll_report() {
                return report;
            }
            self.woken.recv_timeout(PATIENCE).expect("a report within the patience of a test");
        }
    }

    pub(crate) fn opened(&mut self) -> (Flow, Identity) {
        match self.next() {
            Report::Opened { flow, identity } => (flow, identity),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn received(&mut self) -> (Flow, Bytes) {
        match self.next() {
            Report::Received { flow, bytes } => (flow, bytes),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn closed(&mut self) -> (Flow, sip_stack::io::Ended) {
        match self.next() {
            Report::Closed { flow, reason } => (flow, reason),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn unsent(&mut self) -> u64 {
        match self.next() {
            Report::Unsent { transaction } => transaction,
            other => panic!("{other:?}"),
        }
    }
}

/// The flow of a message that needs a connection from loopback to `peer`.
pub(crate) fn towards(transport: Transport, peer: SocketAddr) -> Flow {
    Flow { listener: ListenerId(0), transport, local: SocketAddr::from(([127, 0, 0, 1], 5060)), peer }
}

/// Any connection to the peer, without a name.
pub(crate) fn anyhow() -> Reach {
    Reach::Peer { name: None }
}

/// Any connection to a peer with this name.
pub(crate) fn named(name: &str) -> Reach {
    Reach::Peer { name: Some(name.into()) }
}

/// An OPTIONS request with a body of `body` bytes.
pub(crate) fn message(number: usize, body: usize) -> Bytes {
    let text = format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP client.invalid;branch=z9hG4bK{number}\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: {number}\r\n\
         CSeq: {number} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: {body}\r\n\r\n{}",
        "b".repeat(body)
    );
    Bytes::from(text)
}

#[expect(clippy::disallowed_methods, reason = "the peer of a loopback test")]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[expect(clippy::disallowed_methods, reason = "the peer of a loopback test")]
pub(crate) fn listen() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

pub(crate) fn accept(listener: &std::net::TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Exactly as many bytes as are expected.
pub(crate) fn read(stream: &mut impl Read, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Whether the peer closes the connection, by FIN or by RST, whatever it still says.
pub(crate) fn is_ended(stream: &mut impl Read) -> bool {
    loop {
        match stream.read(&mut [0; 100]).map_err(|error| error.kind()) {
            Ok(0) | Err(std::io::ErrorKind::ConnectionReset) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// An authority, and the files of those it vouches for.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate that names `names`, DNS names or addresses.
    pub(crate) fn credentials(&self, names: &[&str]) -> Credentials {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let stem = names.join("_");
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = self.folder.path().join(format!("{stem}.pem"));
        let key_path = self.folder.path().join(format!("{stem}.key"));
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        Credentials { chain, key: key_path }
    }

    /// TLS that shows a certificate with these names and trusts this authority.
    pub(crate) fn config(&self, names: &[&str]) -> TlsConfig {
        TlsConfig {
            server: Some(self.credentials(names)),
            client_auth: ClientAuth::None,
            client: None,
            trust: Trust::File(self.path()),
        }
    }

    /// TLS that trusts this authority and shows nothing.
    pub(crate) fn trusting(&self) -> Tls {
        let config = TlsConfig { server: None, ..self.config(&["unused.example"]) };
        Tls::load(&config).unwrap()
    }
}
