//! The switch, and whoever sends it hand-written messages from any address.

use bytes::Bytes;
use media::{Command, Report};
use sip_stack::Time;
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use softswitch::config;
use softswitch::core::{Event, Input, Output, Switch, Told};
use softswitch::log::{Bounds, Job, Key, Recorder, Sealer, Sink};

/// Users 1000 to 1299, a trunk that takes part in overload control by 8XXX, one that does not by 9XXX.
pub(crate) const CONFIG: &str = r#"
[[listener]]
address = "192.0.2.1:5060"
[[users]]
from = 1000
to = 1299
password = "secret"
[[peer]]
id = "trunk"
address = "198.51.100.9:5060"
overload_control = true
[[peer]]
id = "plain"
address = "198.51.100.10:5060"
[[route]]
pattern = "8XXX"
peer = "trunk"
[[route]]
pattern = "9XXX"
peer = "plain"
"#;

pub(crate) const TRUNK: &str = "198.51.100.9:5060";
pub(crate) const PLAIN: &str = "198.51.100.10:5060";
pub(crate) const PHONE: &str = "192.0.2.7:5070";
pub(crate) const ANNOUNCED: &str = ";oc;oc-algo=\"loss\"";

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// Keeps one segment in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory(pub(crate) Vec<u8>);

impl Sink for Memory {
    fn offer(&mut self, job: Job) -> bool {
        if let Job::Append(bytes) = job {
            self.0.extend(bytes);
        }
        true
    }

    fn recycled(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn poll_failure(&mut self) -> Option<std::io::Error> {
        None
    }
}

pub(crate) fn key() -> Key {
    Key::new([3; 32])
}

pub(crate) struct World {
    pub(crate) switch: Switch,
    pub(crate) now: Time,
    /// What the switch wanted done in the last step.
    pub(crate) outputs: Vec<Output>,
    recorder: Option<Recorder<Memory>>,
    n: u32,
}

impl World {
    pub(crate) fn new(config: &str) -> World {
        let config = config::parse("test.toml", config).expect("the configuration is valid");
        let switch = Switch::new([1; 32], config);
        let now = Time::from_millis(10_000);
        let mut world = World { switch, now, outputs: Vec::new(), recorder: None, n: 0 };
        world.input(Input::WallClock { unix_ms: 1_800_000_000_000 });
        world
    }

    pub(crate) fn record(&mut self) {
        let sealer = Sealer::new(&key(), [9; 8]);
        let mut recorder = Recorder::new(Memory::default(), sealer, Bounds::default());
        recorder.maintain(self.now, &mut self.switch);
        self.recorder = Some(recorder);
    }

    /// Ends the recording.
    pub(crate) fn segment(mut self) -> Vec<u8> {
        let recorder = self.recorder.take().expect("it was recorded");
        recorder.finish(self.now, &mut self.switch).0
    }

    pub(crate) fn input(&mut self, input: Input) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(self.now, &input);
        }
        self.switch.handle_input(self.now, input);
        self.outputs.clear();
        self.collect();
        if let Some(recorder) = &mut self.recorder {
            recorder.maintain(self.now, &mut self.switch);
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            if let Some(recorder) = &mut self.recorder {
                recorder.output(self.now, &output);
            }
            self.outputs.push(output);
        }
    }

    /// Lets time pass, firing timers on the way; keeps everything the switch wanted done, and when it sent what.
    pub(crate) fn pass(&mut self, ms: u64) -> Vec<(Time, Transmit)> {
        let until = Time(self.now.0 + ms * 1_000_000);
        self.outputs.clear();
        let mut sent = Vec::new();
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            if let Some(recorder) = &mut self.recorder {
                recorder.timeout(self.now);
            }
            let before = self.outputs.len();
            self.switch.handle_timeout(self.now);
            self.collect();
            for output in &self.outputs[before..] {
                if let Output::Transmit(transmit) = output {
                    sent.push((self.now, transmit.clone()));
                }
            }
        }
        self.now = until;
        sent
    }

    pub(crate) fn events(&self) -> Vec<&Event> {
        let mut events = Vec::new();
        for output in &self.outputs {
            if let Output::Event(Told { event, .. }) = output {
                events.push(event);
            }
        }
        events
    }

    pub(crate) fn feed(&mut self, peer: &str, bytes: impl Into<Bytes>) {
        self.feed_over(Transport::Udp, peer, bytes);
    }

    pub(crate) fn feed_over(&mut self, transport: Transport, peer: &str, bytes: impl Into<Bytes>) {
        let flow = Flow {
            listener: ListenerId(0),
            transport,
            local: "192.0.2.1:5060".parse().expect("an address"),
            peer: peer.parse().expect("an address"),
        };
        self.input(Input::Received { flow, bytes: bytes.into() });
    }

    /// What the last step sent to `peer`.
    pub(crate) fn sent_to(&self, peer: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        for output in &self.outputs {
            if let Output::Transmit(transmit) = output
                && transmit.flow.peer == peer.parse().expect("an address")
            {
                messages.push(Message::parse(transmit.bytes.clone()).expect("the switch writes SIP"));
            }
        }
        messages
    }

    /// A request outside a dialog; its answer. `vias` is what follows the branch of the top Via, and further fields.
    pub(crate) fn request(&mut self, peer: &str, method: &str, vias: &str, headers: &str) -> Message {
        self.feed_request(peer, method, "sip:1001@192.0.2.1", vias, headers, "");
        self.sent_to(peer).pop().expect("an answer")
    }

    pub(crate) fn feed_request(
        &mut self,
        peer: &str,
        method: &str,
        uri: &str,
        vias: &str,
        headers: &str,
        body: &str,
    ) {
        self.n += 1;
        let (n, length) = (self.n, body.len());
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.feed(peer, format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bKw{n}{vias}\r\nMax-Forwards: 70\r\n\
             From: <sip:1000@192.0.2.1>;tag=a\r\nTo: <{uri}>\r\nCall-ID: w{n}\r\nCSeq: {n} {method}\r\n\
             Contact: <sip:1000@{peer}>\r\n{headers}{content}Content-Length: {length}\r\n\r\n{body}"
        ));
    }

    /// A REGISTER of `user` from `peer` with this Contact and Call-ID; its answer.
    pub(crate) fn send_register(&mut self, user: u32, peer: &str, contact: &str, headers: &str) -> Message {
        self.n += 1;
        let n = self.n;
        // Parameters may follow after an angle bracket.
        let (contact, params) = contact.split_once('>').unwrap_or((contact, ""));
        self.feed(peer, format!(
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bKr{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@192.0.2.1>;tag=r\r\nTo: <sip:{user}@192.0.2.1>\r\nCall-ID: reg{user}\r\n\
             CSeq: {n} REGISTER\r\nContact: <sip:{user}@{contact}>{params}\r\n{headers}Content-Length: 0\r\n\r\n"
        ));
        self.sent_to(peer).pop().expect("an answer")
    }

    /// Registers `user` through a challenge.
    pub(crate) fn register(&mut self, user: u32, peer: &str, contact: &str, headers: &str) {
        let challenge = self.send_register(user, peer, contact, headers);
        let credentials = credentials(&challenge, "REGISTER", user, "sip:192.0.2.1");
        let response = self.send_register(user, peer, contact, &format!("{headers}{credentials}"));
        assert_eq!(code(&response), 200);
    }

    /// User 1000 dials, with credentials and the media ports there at once.
    pub(crate) fn dial(&mut self, number: &str) {
        let uri = format!("sip:{number}@192.0.2.1");
        self.feed_request(PHONE, "INVITE", &uri, "", "", SDP);
        let challenge = self.sent_to(PHONE).pop().expect("a challenge");
        let credentials = credentials(&challenge, "INVITE", 1000, &uri);
        self.feed_request(PHONE, "INVITE", &uri, "", &credentials, SDP);
        let legs: Vec<_> = self
            .outputs
            .iter()
            .filter_map(Output::media)
            .find_map(|command| {
                if let Command::Open { legs } = command {
                    Some(legs.iter().map(|(leg, _)| (*leg, 40_000)).collect())
                } else {
                    None
                }
            })
            .expect("the call asks for ports");
        self.input(Input::Media(Report::Opened { legs: legs.into_iter().collect() }));
    }

    /// `peer` answers `request`; `feedback` replaces what our Via announced.
    pub(crate) fn reply(&mut self, peer: &str, request: &Message, status: &str, feedback: &str) {
        let text = |name| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
        let via = text(HeaderName::Via).replace(ANNOUNCED, feedback);
        let body =
            if status.starts_with("200") && request.method() == Some(Method::Invite) { SDP } else { "" };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.feed(
            peer,
            format!(
                "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:x@{peer}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
                text(HeaderName::From),
                text(HeaderName::To),
                text(HeaderName::CallId),
                text(HeaderName::CSeq),
                body.len(),
            ),
        );
    }
}

pub(crate) fn code(message: &Message) -> u16 {
    message.status().expect("a response").code()
}

pub(crate) fn via(message: &Message) -> String {
    String::from_utf8_lossy(message.header(HeaderName::Via).expect("a Via")).into_owned()
}

pub(crate) fn retry_after(response: &Message) -> Option<u32> {
    core::str::from_utf8(response.header(HeaderName::RetryAfter)?).ok()?.parse().ok()
}

pub(crate) fn credentials(challenge: &Message, method: &str, user: u32, uri: &str) -> String {
    let value = challenge.header(HeaderName::WwwAuthenticate).expect("a challenge").to_vec();
    let challenge = Challenge::parse(&value).expect("our own challenge parses");
    let user = user.to_string();
    let answer = Answer {
        method: method.as_bytes(),
        uri: uri.as_bytes(),
        user: user.as_bytes(),
        secret: Secret::Password(b"secret"),
        cnonce: b"c",
        nc: 1,
        body: b"",
    };
    let mut credentials = Vec::new();
    challenge.answer(&answer, &mut credentials).expect("it can be answered");
    format!("Authorization: {}\r\n", String::from_utf8(credentials).expect("ASCII"))
}
