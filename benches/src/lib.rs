//! What the benches share: messages as a phone sends them, and a [`Driver`] that plays both phones against the pure
//! switch, in virtual time and without I/O.

pub mod cpu;
pub mod crash;
pub mod registrations;

use bytes::Bytes;
use sip_stack::Time;
use sip_stack::auth::{Algorithm, Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, ListenerId, Transport};
use softswitch::config;
use softswitch::core::{Event, Input, Output, Switch, Told};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Password of every user.
const PASSWORD: &[u8] = b"secret";
const CONFIG: &str = include_str!("../lab.toml");

/// The switch with the laboratory configuration, and two phones that answer it.
pub struct Driver {
    /// The switch.
    pub switch: Switch,
    now: Time,
    sequence: u64,
    challenge: Option<Vec<u8>>,
    count: u32,
    outputs: Vec<Output>,
    /// Time spent inside the switch, draining its outputs included; what the phones cost is not in it.
    pub spent: Duration,
}

impl Default for Driver {
    fn default() -> Driver {
        Driver::new()
    }
}

fn flow(port: u16) -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: SocketAddr::from(([127, 0, 0, 1], 5090)),
        peer: SocketAddr::from(([127, 0, 0, 1], port)),
    }
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

impl Driver {
    /// A switch that knows the time of day.
    pub fn new() -> Driver {
        Driver::with_config(CONFIG)
    }

    /// As [`Driver::new`], with a configuration of the bench's own.
    pub fn with_config(text: &str) -> Driver {
        let config = config::parse("bench.toml", text).expect("the configuration is valid");
        let mut switch = Switch::new([7; 32], config);
        switch.handle_input(Time(1), Input::WallClock { unix_ms: 1_800_000_000_000 });
        Driver {
            switch,
            now: Time(1),
            sequence: 0,
            challenge: None,
            count: 0,
            outputs: Vec::new(),
            spent: Duration::ZERO,
        }
    }

    /// Feeds one datagram from the phone at `port` and collects what the switch wants done.
    pub fn feed(&mut self, port: u16, text: String) -> &[Output] {
        self.feed_bytes(port, Bytes::from(text))
    }

    /// As [`Driver::feed`].
    pub fn feed_bytes(&mut self, port: u16, bytes: Bytes) -> &[Output] {
        self.now.0 += 1_000;
        self.input(Input::Received { flow: flow(port), bytes });
        &self.outputs
    }

    fn input(&mut self, input: Input) {
        let started = Instant::now();
        self.switch.handle_input(self.now, input);
        self.collect();
        self.spent += started.elapsed();
    }

    fn collect(&mut self) {
        self.outputs.clear();
        while let Some(output) = self.switch.poll_output() {
            self.outputs.push(output);
        }
    }

    /// Lets virtual time pass, so that what has ended is forgotten.
    pub fn pass(&mut self, seconds: u64) {
        let until = Time(self.now.0 + seconds * 1_000_000_000);
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.switch.handle_timeout(self.now);
            self.collect();
        }
        self.now = until;
    }

    /// Fires the timer that is due next, and tells how many bindings expired.
    pub fn fire(&mut self) -> usize {
        let Some(due) = self.switch.poll_timeout() else { return 0 };
        self.now = self.now.max(due);
        self.switch.handle_timeout(self.now);
        self.collect();
        let ended = |output: &&Output| {
            matches!(output, Output::Event(Told { event: Event::Unregistered { .. }, .. }))
        };
        self.outputs.iter().filter(ended).count()
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The messages that the switch sent in its last step.
    pub fn sent(&self) -> impl Iterator<Item = Message> {
        self.outputs.iter().filter_map(|output| Message::parse(output.transmit()?.bytes.clone()).ok())
    }

    fn credentials(&mut self, method: &str, user: &str, uri: &str) -> String {
        let Some(challenge) = self.challenge.clone() else { return String::new() };
        self.count += 1;
        let challenge = Challenge::parse(&challenge).expect("our own challenge parses");
        let mut value = Vec::new();
        let answer = Answer {
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            user: user.as_bytes(),
            secret: Secret::Password(PASSWORD),
            cnonce: b"0a4f113b",
            nc: self.count,
            body: b"",
        };
        challenge.answer(&answer, &mut value).expect("it can be answered");
        format!("Authorization: {}\r\n", String::from_utf8_lossy(&value))
    }

    fn learn_challenge(&mut self) {
        let response = self.sent().next().expect("a challenge");
        let md5 = response.headers(HeaderName::WwwAuthenticate).find(|value| {
            Challenge::parse(value).is_ok_and(|challenge| challenge.algorithm == Algorithm::Md5)
        });
        self.challenge = Some(md5.expect("MD5 is offered").to_vec());
        self.count = 0;
    }

    /// A REGISTER of `user` from `port`, with credentials once a challenge is known.
    pub fn register_text(&mut self, user: &str, port: u16) -> String {
        self.register_for(user, port, 3_600)
    }

    /// As [`Driver::register_text`], for so many seconds; 0 takes the binding back.
    pub fn register_for(&mut self, user: &str, port: u16, expires_s: u32) -> String {
        let n = self.next();
        let credentials = self.credentials("REGISTER", user, "sip:127.0.0.1:5090");
        format!(
            "REGISTER sip:127.0.0.1:5090 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bKr{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1:5090>;tag=f{n}\r\nTo: <sip:{user}@127.0.0.1:5090>\r\n\
             Call-ID: {n}@bench\r\nCSeq: {n} REGISTER\r\nContact: <sip:{user}@127.0.0.1:{port}>\r\n\
             {credentials}Expires: {expires_s}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// Registers `user` at `port`, through a challenge.
    pub fn register(&mut self, user: &str, port: u16) {
        self.challenge = None;
        let text = self.register_text(user, port);
        self.feed(port, text);
        self.learn_challenge();
        let text = self.register_text(user, port);
        self.feed(port, text);
        let status = self.sent().next().and_then(|response| response.status());
        assert_eq!(status.map(|status| status.code()), Some(200));
    }

    /// An INVITE of 1000 (port 7000) to 1001, with credentials once a challenge is known.
    pub fn invite_text(&mut self) -> String {
        let credentials = self.credentials("INVITE", "1000", "sip:1001@127.0.0.1:5090");
        self.invite_with(&credentials)
    }

    /// The same, always without.
    pub fn invite_text_without_credentials(&mut self) -> String {
        self.invite_with("")
    }

    fn invite_with(&mut self, credentials: &str) -> String {
        let n = self.next();
        format!(
            "INVITE sip:1001@127.0.0.1:5090 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:7000;rport;branch=z9hG4bKi{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1000@127.0.0.1:5090>;tag=c{n}\r\nTo: <sip:1001@127.0.0.1:5090>\r\n\
             Call-ID: c{n}@bench\r\nCSeq: 1 INVITE\r\nContact: <sip:1000@127.0.0.1:7000>\r\n{credentials}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len(),
        )
    }

    /// Tells the switch that messages wait long, and asks it for more for two seconds: it takes hardly anything new then.
    pub fn overload(&mut self, request: &Bytes) {
        self.input(Input::Backlog { delay_us: 500_000 });
        for _ in 0..200 {
            self.now.0 += 10_000_000;
            self.feed_bytes(7000, request.clone());
        }
    }

    /// One whole call of 1000 (port 7000) to 1001 (port 7001), INVITE to BYE: eleven messages in, and what they cause.
    /// `media` opens and closes the legs as a shard would.
    pub fn call(&mut self) {
        let n = self.next();
        let uri = "sip:1001@127.0.0.1:5090";
        let credentials = self.credentials("INVITE", "1000", uri);
        let head = |method: &str, branch: &str, to: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:7000;rport;branch=z9hG4bK{branch}{n}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:1000@127.0.0.1:5090>;tag=c{n}\r\nTo: {to}\r\nCall-ID: c{n}@bench\r\n"
            )
        };
        let contact = "Contact: <sip:1000@127.0.0.1:7000>\r\n";
        self.feed(7000, format!(
            "{}CSeq: 1 INVITE\r\n{contact}{credentials}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            head("INVITE", "i", "<sip:1001@127.0.0.1:5090>"), SDP.len(),
        ));
        let opened = self.outputs.iter().find_map(|output| {
            let Some(media::Command::Open { legs }) = output.media() else { return None };
            let port = |index: usize| 40_000 + 2 * index as u16;
            Some(legs.iter().enumerate().map(|(index, (leg, _))| (*leg, port(index))).collect())
        });
        let legs = opened.expect("the call asks for ports");
        self.report(media::Report::Opened { legs });
        let invite = self.sent().next().expect("the callee is invited");
        self.feed(7001, reply(&invite, "180 Ringing", n, ""));
        self.feed(7001, reply(&invite, "200 OK", n, SDP));
        let mut to_caller = self.sent().filter(|message| message.status().is_some());
        let answer = to_caller.next().expect("the caller is answered");
        let to = String::from_utf8_lossy(answer.header(HeaderName::To).unwrap_or_default()).into_owned();
        drop(to_caller);
        self.feed(7000, format!("{}CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", head("ACK", "a", &to)));
        self.feed(7000, format!("{}CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n", head("BYE", "b", &to)));
        let bye = self.sent().find(Message::is_request).expect("the callee hears BYE");
        let closed: Vec<_> = self
            .outputs
            .iter()
            .filter_map(|output| {
                if let Some(media::Command::Close { leg }) = output.media() { Some(*leg) } else { None }
            })
            .collect();
        self.feed(7001, reply(&bye, "200 OK", n, ""));
        assert_eq!(closed.len(), 2);
        for leg in closed {
            self.report(media::Report::Closed { leg, figures: Box::default() });
        }
        assert_eq!(self.switch.calls(), 0);
    }

    fn report(&mut self, report: media::Report) {
        self.input(Input::Media(report));
    }
}

/// A response of the phone at port 7001, with what its request says.
pub fn reply(request: &Message, status: &str, n: u64, body: &str) -> String {
    let text = |name| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
    let to = text(HeaderName::To);
    let tag = if to.contains(";tag=") { String::new() } else { format!(";tag=d{n}") };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:1001@127.0.0.1:7001>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        text(HeaderName::Via),
        text(HeaderName::From),
        text(HeaderName::CallId),
        text(HeaderName::CSeq),
        body.len(),
    )
}
