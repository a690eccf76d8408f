//! Registrations a second over TCP and TLS, and what each costs the switch.
//!
//!     cargo build --release --bins && cargo run --release -p benches --example register_streams
//!
//! Starts `softswitch` of the same build on the loopback interface, with a certificate made for the run (P-256), the
//! scenario log and the store as they are by default. Phones run on a few threads of this process; each phone waits for
//! its answer before it sends again. CPU is user and system time of the whole switch (`/proc/PID/stat`, Linux). The
//! arguments are the rounds of each measurement (3), and connections (1000).
//!
//! - `established`: connections that stay, digest with the nonce used again (RFC 7616 §3.3).
//! - `new`: connect, handshake without resumption, REGISTER, 401, REGISTER, 200, close.
//! - `resumed`: the same, with TLS sessions resumed (RFC 8446 §2.2).

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// Threads of phones.
const THREADS: usize = 4;
/// Registrations over each connection that stays.
const EACH: usize = 60;
/// Connections opened in one measurement.
const OPENED: usize = 6_000;
const FIRST_USER: usize = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut next = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (rounds, connections) = (next(3), next(1_000));
    let switch = Switch::start();
    println!("{:<32} {:>8} {:>10} {:>14}", "what", "number", "a second", "CPU each, µs");
    for _ in 0..rounds {
        for (name, line) in [("TCP", &switch.tcp), ("TLS", &switch.tls)] {
            switch.measure(&format!("{name}, established"), || established(line, connections));
        }
        for (name, line) in
            [("TCP, new", &switch.tcp), ("TLS, new", &switch.tls), ("TLS, resumed", &switch.resumed)]
        {
            switch.measure(name, || opened(line));
        }
    }
}

/// A switch that was started for the run.
struct Switch {
    child: Child,
    tcp: Line,
    tls: Line,
    resumed: Line,
    _folder: tempfile::TempDir,
}

/// How phones reach it.
#[derive(Clone)]
struct Line {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    resumes: bool,
}

impl Switch {
    fn start() -> Switch {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificate = certificate(folder.path());
        let [tcp, tls] = free_addresses();
        let config = folder.path().join("softswitch.toml");
        std::fs::write(&config, configuration(tcp, tls)).expect("the configuration is written");
        let mut command = Command::new(binary());
        command.arg("run").arg("--config").arg(&config).arg("--data").arg(folder.path().join("data"));
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the switch starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("ready"))), "the switch is ready");
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        std::thread::spawn(move || lines.count());
        std::thread::spawn(move || errors.lines().count());
        let line = |resumption, resumes| {
            let client = client(&certificate, resumption);
            Line { address: tls, tls: Some(client), resumes }
        };
        Switch {
            child,
            tcp: Line { address: tcp, tls: None, resumes: false },
            tls: line(Resumption::disabled(), false),
            resumed: line(Resumption::in_memory_sessions(256), true),
            _folder: folder,
        }
    }

    /// Prints how often the phones registered, how fast, and the CPU it cost. What `prepare` does is not measured.
    fn measure(&self, name: &str, prepare: impl FnOnce() -> Vec<Phones>) {
        let phones = prepare();
        let before = self.cpu_us();
        let started = Instant::now();
        let threads: Vec<_> = phones.into_iter().map(std::thread::spawn).collect();
        let number: usize = threads.into_iter().map(|thread| thread.join().expect("phones go on")).sum();
        let took = started.elapsed().as_secs_f64();
        let cpu = (self.cpu_us() - before) as f64 / number as f64;
        println!("{name:<32} {number:>8} {:>10.0} {cpu:>14.1}", number as f64 / took);
    }

    /// User and system time of all its threads.
    fn cpu_us(&self) -> u64 {
        const TICK_US: u64 = 10_000;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = after_name.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK_US
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn configuration(tcp: SocketAddr, tls: SocketAddr) -> String {
    format!(
        "[[listener]]\naddress = \"{tcp}\"\ntransport = \"tcp\"\n\
         [[listener]]\naddress = \"{tls}\"\ntransport = \"tls\"\n\
         [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
         [[users]]\nfrom = {FIRST_USER}\nto = {}\npassword = \"secret\"\n",
        FIRST_USER + 9_999
    )
}

/// The switch of the build that this program is of.
fn binary() -> PathBuf {
    let program = std::env::current_exe().expect("the program knows its file");
    let folder = program.parent().and_then(Path::parent).expect("examples lie in a folder of the build");
    folder.join("softswitch")
}

fn free_addresses() -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("a bound socket has an address"))
}

/// Writes a certificate for 127.0.0.1 that vouches for itself, and its key.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("server.pem"), certificate.pem()).expect("it is written");
    std::fs::write(folder.join("server.key"), key.serialize_pem()).expect("it is written");
    certificate.der().clone()
}

fn client(certificate: &CertificateDer<'static>, resumption: Resumption) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("the certificate is one");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = resumption;
    Arc::new(config)
}

/// Phones of one thread; tell how often they registered.
type Phones = Box<dyn FnOnce() -> usize + Send>;

/// Phones whose connections are up, and that are registered.
fn established(line: &Line, connections: usize) -> Vec<Phones> {
    let share = connections / THREADS;
    let phones = |thread: usize| -> Phones {
        let first = FIRST_USER + thread * share;
        let mut phones: Vec<Phone> = (first..first + share).map(|user| Phone::connect(line, user)).collect();
        for phone in &mut phones {
            phone.register();
        }
        Box::new(move || {
            for _ in 0..EACH {
                phones.iter_mut().for_each(Phone::send);
                for phone in &mut phones {
                    assert!(phone.receive().starts_with(b"SIP/2.0 200"), "the nonce is good");
                }
            }
            phones.len() * EACH
        })
    };
    (0..THREADS).map(phones).collect()
}

/// Phones that connect, register and leave.
fn opened(line: &Line) -> Vec<Phones> {
    let phones = |thread: usize| -> Phones {
        let (line, share) = (line.clone(), OPENED / THREADS);
        Box::new(move || {
            for number in 0..share {
                let mut phone = Phone::connect(&line, FIRST_USER + thread * share + number);
                phone.register();
                // The first ones may find nothing to resume.
                assert!(
                    number < 10 || phone.stream.is_resumed() == line.resumes,
                    "TLS is resumed as it is told"
                );
            }
            share
        })
    };
    (0..THREADS).map(phones).collect()
}

trait Stream: Read + Write + Send {
    /// Whether its TLS session was resumed; known after the first octets.
    fn is_resumed(&self) -> bool;
}

impl Stream for TcpStream {
    fn is_resumed(&self) -> bool {
        false
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn is_resumed(&self) -> bool {
        self.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// One phone with one connection.
struct Phone {
    stream: Box<dyn Stream>,
    transport: &'static str,
    server: SocketAddr,
    user: String,
    challenge: Option<Vec<u8>>,
    sequence: u32,
    /// Answers to the challenge so far.
    count: u32,
    received: Vec<u8>,
}

impl Phone {
    fn connect(line: &Line, user: usize) -> Phone {
        let server = line.address;
        let stream = TcpStream::connect(server).expect("the switch takes connections");
        stream.set_nodelay(true).expect("an option of TCP");
        let (stream, transport): (Box<dyn Stream>, _) = match &line.tls {
            None => (Box::new(stream), "TCP"),
            Some(config) => {
                let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
                let session = ClientConnection::new(config.clone(), name).expect("a good name");
                (Box::new(StreamOwned::new(session, stream)), "TLS")
            }
        };
        let (user, received) = (user.to_string(), Vec::new());
        Phone { stream, transport, server, user, challenge: None, sequence: 0, count: 0, received }
    }

    /// Registers, through a challenge.
    fn register(&mut self) {
        self.send();
        let response = Message::parse(self.receive().into()).expect("a response");
        self.challenge = response.header(HeaderName::WwwAuthenticate).map(<[u8]>::to_vec);
        assert!(self.challenge.is_some(), "the first REGISTER is challenged");
        self.send();
        let response = self.receive();
        assert!(response.starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&response));
    }

    fn send(&mut self) {
        self.sequence += 1;
        let credentials = self.credentials();
        let Phone { transport, server, user, sequence: n, .. } = self;
        // A host that cannot be connected to: the registration ends with its connection.
        let request = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/{transport} phone.invalid;rport;branch=z9hG4bK{user}-{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=f{user}\r\nTo: <sip:{user}@{server}>\r\n\
             Call-ID: {user}@phone.invalid\r\nCSeq: {n} REGISTER\r\n\
             Contact: <sip:{user}@phone.invalid;transport={transport}>\r\n\
             Expires: 3600\r\n{credentials}Content-Length: 0\r\n\r\n"
        );
        self.stream
            .write_all(request.as_bytes())
            .and_then(|()| self.stream.flush())
            .expect("the connection is up");
    }

    fn credentials(&mut self) -> String {
        let Some(challenge) = &self.challenge else { return String::new() };
        self.count += 1;
        let challenge = Challenge::parse(challenge).expect("a challenge");
        let uri = format!("sip:{}", self.server);
        let answer = Answer {
            method: b"REGISTER",
            uri: uri.as_bytes(),
            user: self.user.as_bytes(),
            secret: Secret::Password(b"secret"),
            cnonce: b"0a4f113b",
            nc: self.count,
            body: b"",
        };
        let mut value = Vec::new();
        challenge.answer(&answer, &mut value).expect("it can be answered");
        format!("Authorization: {}\r\n", String::from_utf8_lossy(&value))
    }

    /// The next response; those to a REGISTER have no body.
    fn receive(&mut self) -> Vec<u8> {
        let mut piece = [0; 2_048];
        loop {
            if let Some(at) = self.received.windows(4).position(|octets| octets == b"\r\n\r\n") {
                let rest = self.received.split_off(at + 4);
                return std::mem::replace(&mut self.received, rest);
            }
            let length = self.stream.read(&mut piece).expect("the connection is up");
            assert!(length > 0, "the switch keeps the connection");
            self.received.extend_from_slice(&piece[..length]);
        }
    }
}
