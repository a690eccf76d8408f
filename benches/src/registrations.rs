//! Phones that do nothing but register, over UDP, TCP or TLS: load for a registrar of any make (RFC 3261 §10, RFC 7616).
//!
//! A phone has a socket of its own and waits for its answer before it sends again. It keeps the nonce that it was given, and takes a new
//! one when it is challenged anew.

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads of phones.
const THREADS: usize = 4;
/// Phones of a thread that wait for their answers at once: the socket of the server has to hold their requests.
const AT_ONCE: usize = 20;

/// How phones reach a server.
#[derive(Clone, Debug)]
pub enum Line {
    /// Datagrams.
    Udp(SocketAddr),
    /// A connection for each phone.
    Tcp(SocketAddr),
    /// The same, encrypted.
    Tls(SocketAddr, Arc<ClientConfig>),
}

impl Line {
    const fn name(&self) -> &'static str {
        match self {
            Line::Udp(_) => "UDP",
            Line::Tcp(_) => "TCP",
            Line::Tls(..) => "TLS",
        }
    }

    const fn server(&self) -> SocketAddr {
        match self {
            Line::Udp(server) | Line::Tcp(server) | Line::Tls(server, _) => *server,
        }
    }
}

/// Writes a certificate for 127.0.0.1 that vouches for itself, and its key: `server.pem` and `server.key` in `folder`.
///
/// # Errors
/// They cannot be written.
pub fn write_certificate(folder: &Path) -> io::Result<CertificateDer<'static>> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    std::fs::write(folder.join("server.pem"), certificate.pem())?;
    std::fs::write(folder.join("server.key"), key.serialize_pem())?;
    Ok(certificate.der().clone())
}

/// A client that trusts that certificate.
///
/// # Errors
/// It is none.
pub fn trusting(
    certificate: &CertificateDer<'static>,
    resumption: Resumption,
) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = resumption;
    Ok(Arc::new(config))
}

enum Stream {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn open(line: &Line) -> io::Result<Stream> {
        if let Line::Udp(server) = line {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            return Ok(Stream::Udp(socket));
        }
        let stream = TcpStream::connect(line.server())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(match line {
            Line::Udp(_) | Line::Tcp(_) => Stream::Tcp(stream),
            Line::Tls(server, config) => {
                let name = ServerName::from(server.ip());
                let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        })
    }

    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Stream::Udp(socket) => socket.send(octets).map(drop),
            Stream::Tcp(stream) => stream.write_all(octets),
            Stream::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
        }
    }

    fn receive(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Udp(socket) => socket.recv(octets),
            Stream::Tcp(stream) => stream.read(octets),
            Stream::Tls(stream) => stream.read(octets),
        }
    }
}

/// One phone.
pub struct Phone {
    stream: Stream,
    transport: &'static str,
    server: SocketAddr,
    contact: String,
    user: usize,
    challenge: Option<Vec<u8>>,
    sequence: u32,
    /// Answers to the challenge so far.
    count: u32,
    received: Vec<u8>,
}

impl Phone {
    /// The phone of a user, which has not registered.
    ///
    /// # Errors
    /// There is no way to the server.
    pub fn new(line: &Line, user: usize) -> io::Result<Phone> {
        let stream = Stream::open(line)?;
        let contact = match &stream {
            Stream::Udp(socket) => socket.local_addr()?.to_string(),
            // A host that cannot be connected to: the registration ends with its connection.
            Stream::Tcp(_) | Stream::Tls(_) => format!("phone.invalid;transport={}", line.name()),
        };
        let (transport, server) = (line.name(), line.server());
        let (challenge, received) = (None, Vec::new());
        Ok(Phone { stream, transport, server, contact, user, challenge, sequence: 0, count: 0, received })
    }

    /// Whether the TLS session was resumed; known after the first answer.
    pub fn is_resumed(&self) -> bool {
        match &self.stream {
            Stream::Tls(stream) => stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
            Stream::Udp(_) | Stream::Tcp(_) => false,
        }
    }

    /// Registers, through a challenge if there is one.
    ///
    /// # Errors
    /// It is refused, or nobody answers.
    pub fn register(&mut self) -> io::Result<()> {
        self.send()?;
        self.finish()
    }

    /// Sends the REGISTER.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self) -> io::Result<()> {
        self.sequence += 1;
        let credentials = self.credentials()?;
        let Phone { transport, server, contact, user, sequence: n, .. } = self;
        let request = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/{transport} phone.invalid;rport;branch=z9hG4bK{user}-{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=f{user}\r\nTo: <sip:{user}@{server}>\r\n\
             Call-ID: {user}@phone.invalid\r\nCSeq: {n} REGISTER\r\nContact: <sip:{user}@{contact}>\r\n\
             Expires: 3600\r\n{credentials}Content-Length: 0\r\n\r\n"
        );
        self.stream.send(request.as_bytes())
    }

    /// Waits for the answer, and answers a challenge.
    ///
    /// # Errors
    /// As [`Phone::register`].
    pub fn finish(&mut self) -> io::Result<()> {
        let mut response = self.receive()?;
        if response.status() == Status::new(401) {
            self.challenge = response.header(HeaderName::WwwAuthenticate).map(<[u8]>::to_vec);
            self.count = 0;
            self.send()?;
            response = self.receive()?;
        }
        match response.status() {
            Some(status) if status.is_success() => Ok(()),
            status => Err(io::Error::other(format!("a REGISTER is answered with {status:?}"))),
        }
    }

    fn credentials(&mut self) -> io::Result<String> {
        let Some(challenge) = &self.challenge else { return Ok(String::new()) };
        self.count += 1;
        let challenge = Challenge::parse(challenge).map_err(io::Error::other)?;
        let uri = format!("sip:{}", self.server);
        let user = self.user.to_string();
        let answer = Answer {
            method: b"REGISTER",
            uri: uri.as_bytes(),
            user: user.as_bytes(),
            secret: Secret::Password(b"secret"),
            cnonce: b"0a4f113b",
            nc: self.count,
            body: b"",
        };
        let mut value = Vec::new();
        challenge.answer(&answer, &mut value).map_err(io::Error::other)?;
        Ok(format!("Authorization: {}\r\n", String::from_utf8_lossy(&value)))
    }

    /// The next response; those to a REGISTER have no body.
    fn receive(&mut self) -> io::Result<Message> {
        let mut piece = [0; 2_048];
        loop {
            // Line ends between messages keep a connection alive (RFC 5626 §3.5.1).
            let blank = self.received.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
            self.received.drain(..blank);
            if let Some(at) = self.received.windows(4).position(|octets| octets == b"\r\n\r\n") {
                let rest = self.received.split_off(at + 4);
                let response = std::mem::replace(&mut self.received, rest);
                return Message::parse(response.into()).map_err(io::Error::other);
            }
            let length = self.stream.receive(&mut piece)?;
            if length == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.received.extend_from_slice(piece.get(..length).unwrap_or_default());
        }
    }
}

/// Phones of a few threads, connected and registered.
pub struct Crowd(Vec<Vec<Phone>>);

impl Crowd {
    /// Phones of so many users from `first` on.
    ///
    /// # Errors
    /// One cannot register.
    pub fn register(line: &Line, first: usize, phones: usize) -> io::Result<Crowd> {
        let share = phones.div_ceil(THREADS);
        let users: Vec<usize> = (first..first + phones).collect();
        let thread = |users: &[usize]| -> io::Result<Vec<Phone>> {
            let mut phones =
                users.iter().map(|user| Phone::new(line, *user)).collect::<io::Result<Vec<_>>>()?;
            phones.iter_mut().try_for_each(Phone::register)?;
            Ok(phones)
        };
        users.chunks(share.max(1)).map(thread).collect::<io::Result<_>>().map(Crowd)
    }

    /// Each registers again so many times; tells how many registrations that were.
    ///
    /// # Errors
    /// One is refused, or not answered.
    pub fn refresh(&mut self, times: usize) -> io::Result<usize> {
        let again = |phones: &mut Vec<Phone>| -> io::Result<usize> {
            for _ in 0..times {
                for some in phones.chunks_mut(AT_ONCE) {
                    some.iter_mut().try_for_each(Phone::send)?;
                    some.iter_mut().try_for_each(Phone::finish)?;
                }
            }
            Ok(phones.len() * times)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                self.0.iter_mut().map(|phones| scope.spawn(move || again(phones))).collect();
            let lost = || Err(io::Error::other("a thread of phones has panicked"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).sum()
        })
    }
}
