//! A switch that is recorded as the run loop records it, and a phone that registers there.

use bytes::Bytes;
use sip_stack::Time;
use sip_stack::auth::{Algorithm, Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, ListenerId, Transport};
use softswitch::config::{self, Config};
use softswitch::core::{Input, Output, Switch};
use softswitch::log::{Bounds, Job, Key, Recorder, Sealer, Sink};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

const CONFIG: &str = "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[users]]\nfrom = 1000\nto = 1099\npassword = \"hush-hush\"\n";

pub(crate) fn config() -> Config {
    config::parse("test.toml", CONFIG).expect("the configuration is valid")
}

pub(crate) fn key() -> Key {
    Key::new([3; 32])
}

/// Keeps segments in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) segments: Vec<Vec<u8>>,
    /// Jobs that it will still take; `None` for any number.
    pub(crate) room: Option<Rc<Cell<usize>>>,
}

impl Sink for Memory {
    fn offer(&mut self, job: Job) -> bool {
        if let Some(room) = &self.room {
            let Some(left) = room.get().checked_sub(1) else { return false };
            room.set(left);
        }
        match job {
            Job::Begin => self.segments.push(Vec::new()),
            Job::Append(bytes) => self.segments.last_mut().expect("a segment was begun").extend(bytes),
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

/// A switch, its log, and the time.
pub(crate) struct Driver {
    pub(crate) switch: Switch,
    pub(crate) recorder: Recorder<Memory>,
    pub(crate) now: Time,
    /// Segments that were given up.
    pub(crate) abandoned: u32,
    challenges: Vec<Option<Vec<u8>>>,
    sent: u32,
}

impl Driver {
    pub(crate) fn new(bounds: Bounds, memory: Memory) -> Driver {
        let recorder = Recorder::new(memory, Sealer::new(&key(), [9; 8]), bounds);
        let switch = Switch::new([1; 32], config());
        let challenges = vec![None; 100];
        let now = Time::from_millis(10_000);
        let mut driver = Driver { switch, recorder, now, abandoned: 0, challenges, sent: 0 };
        driver.maintain();
        driver.feed(Input::WallClock { unix_ms: 1_800_000_000_000 });
        driver
    }

    pub(crate) fn maintain(&mut self) {
        self.abandoned += u32::from(self.recorder.maintain(self.now, &mut self.switch).is_some());
    }

    /// Hands in an input; returns what was sent.
    pub(crate) fn feed(&mut self, input: Input) -> Option<Bytes> {
        self.recorder.input(self.now, &input);
        self.switch.handle_input(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Option<Bytes> {
        let mut sent = None;
        while let Some(output) = self.switch.poll_output() {
            self.recorder.output(self.now, &output);
            if let Output::Transmit(transmit) = output {
                sent = Some(transmit.bytes);
            }
        }
        sent
    }

    /// Lets time pass, firing timers on the way.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = Time(self.now.0 + seconds * 1_000_000_000);
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.recorder.timeout(self.now);
            self.switch.handle_timeout(self.now);
            self.drain();
            self.maintain();
        }
        self.now = until;
    }

    /// User 1000 + `user` registers, with credentials as soon as it knows a challenge; `true` for a 200.
    pub(crate) fn register(&mut self, user: usize) -> bool {
        let number = (1000 + user).to_string();
        let credentials = self.challenges[user].as_deref().map(|challenge| {
            let answer = Answer {
                method: b"REGISTER",
                uri: b"sip:192.0.2.1",
                user: number.as_bytes(),
                secret: Secret::Password(b"hush-hush"),
                cnonce: b"0a4f113b",
                nc: self.sent + 1,
                body: b"",
            };
            let mut value = Vec::new();
            let challenge = Challenge::parse(challenge).expect("our own challenge parses");
            challenge.answer(&answer, &mut value).expect("it can be answered");
            format!("Authorization: {}\r\n", String::from_utf8(value).expect("ASCII"))
        });
        self.sent += 1;
        self.now.0 += 1_000_000;
        let (sent, credentials) = (self.sent, credentials.unwrap_or_default());
        let text = format!(
            "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{sent}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{number}@192.0.2.1>;tag=1\r\nTo: <sip:{number}@192.0.2.1>\r\n\
             Call-ID: {number}\r\nCSeq: {sent} REGISTER\r\nContact: <sip:{number}@192.0.2.7:5070>\r\n\
             {credentials}Content-Length: 0\r\n\r\n"
        );
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: SocketAddr::from(([192, 0, 2, 1], 5060)),
            peer: SocketAddr::from(([192, 0, 2, 7], 5070)),
        };
        let response = self.feed(Input::Received { flow, bytes: text.into() }).expect("an answer");
        let response = Message::parse(response).expect("it parses");
        let md5 = response.headers(HeaderName::WwwAuthenticate).find(|value| {
            Challenge::parse(value).is_ok_and(|challenge| challenge.algorithm == Algorithm::Md5)
        });
        if let Some(md5) = md5 {
            self.challenges[user] = Some(md5.to_vec());
        }
        response.status().is_some_and(|status| status.code() == 200)
    }

    /// Closes the log; its segments.
    pub(crate) fn finish(mut self) -> Vec<Vec<u8>> {
        self.recorder.finish(self.now, &mut self.switch).segments
    }
}
