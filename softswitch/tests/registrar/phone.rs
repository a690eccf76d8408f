//! A phone of few words: it writes REGISTER by hand and answers challenges.

use bytes::Bytes;
use sip_stack::Time;
use sip_stack::auth::{Algorithm, Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, ListenerId, Transport};
use softswitch::config;
use softswitch::core::{Input, Output, Switch};
use std::net::SocketAddr;

const CONFIG: &str = r#"
[[listener]]
address = "192.0.2.1:5060"
[[domain]]
name = "a.example"
default = true
digest = ["SHA-256", "MD5"]
[[domain]]
name = "b.example"
[[user]]
id = "1001"
password = "secret"
[[user]]
id = "1002"
password = "secret"
[[user]]
id = "1001"
domain = "b.example"
password = "other"
"#;

/// The phone, and the switch it talks to.
pub(crate) struct Phone {
    pub(crate) switch: Switch,
    /// What the switch wanted done in the last step.
    pub(crate) outputs: Vec<Output>,
    now: Time,
    user: String,
    aor: String,
    domain: String,
    password: String,
    challenge: Option<Vec<u8>>,
    count: u32,
    cseq: u32,
    branch: u32,
    call_id: Option<String>,
    digest_uri: Option<String>,
    last: Bytes,
}

impl Phone {
    pub(crate) fn new(user: &str, password: &str) -> Phone {
        let config = config::parse("test.toml", CONFIG).expect("the configuration is valid");
        let mut phone = Phone {
            switch: Switch::new([1; 32], config),
            outputs: Vec::new(),
            now: Time::from_millis(1_000),
            user: user.into(),
            aor: user.into(),
            domain: "a.example".into(),
            password: password.into(),
            challenge: None,
            count: 0,
            cseq: 0,
            branch: 0,
            call_id: None,
            digest_uri: None,
            last: Bytes::new(),
        };
        phone.input(Input::WallClock { unix_ms: 1_800_000_000_000 });
        phone
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.switch.handle_input(self.now, input);
        self.outputs = std::iter::from_fn(|| self.switch.poll_output()).collect();
    }

    /// The operator reloads the switch with another configuration.
    pub(crate) fn reload(&mut self, text: &str) {
        let mut config = config::parse("test.toml", text).expect("the configuration is valid");
        config.keep_ids_of(&config::parse("test.toml", CONFIG).expect("the configuration is valid"));
        self.input(Input::Configure(Box::new(config)));
    }

    /// Goes to another domain, with another password.
    pub(crate) fn domain(&mut self, domain: &str, password: &str) {
        self.domain = domain.into();
        self.password = password.into();
        self.challenge = None;
    }

    /// Registers for another user than the one it authenticates as.
    pub(crate) fn address_of_record(&mut self, aor: &str) {
        self.aor = aor.into();
    }

    pub(crate) fn call_id(&mut self, call_id: &str) {
        self.call_id = Some(call_id.into());
    }

    /// Computes its digests over this URI instead of the Request-URI.
    pub(crate) fn digest_uri(&mut self, uri: Option<&str>) {
        self.digest_uri = uri.map(str::to_owned);
    }

    pub(crate) fn rewind_cseq(&mut self) {
        self.cseq = 0;
    }

    pub(crate) fn reuse_count(&mut self) {
        self.count -= 1;
    }

    /// Lets time pass, firing timers on the way; keeps everything the switch wanted done.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = Time(self.now.0 + seconds * 1_000_000_000);
        self.outputs.clear();
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.switch.handle_timeout(self.now);
            self.outputs.extend(std::iter::from_fn(|| self.switch.poll_output()));
        }
        self.now = until;
    }

    /// A REGISTER without credentials; the answer to it.
    pub(crate) fn send_plain(&mut self, headers: &str) -> Message {
        self.send(headers, "")
    }

    /// A REGISTER with credentials, after a challenge if none is known; the answer to the last one.
    pub(crate) fn register(&mut self, headers: &str) -> Message {
        if self.challenge.is_none() {
            let response = self.send_plain(headers);
            return self.answer(&response, headers);
        }
        let credentials = self.credentials();
        self.send(headers, &credentials)
    }

    /// Answers the challenge in `response`.
    pub(crate) fn answer(&mut self, response: &Message, headers: &str) -> Message {
        let md5 = response.headers(HeaderName::WwwAuthenticate).find(|value| {
            Challenge::parse(value).is_ok_and(|challenge| challenge.algorithm == Algorithm::Md5)
        });
        self.challenge = Some(md5.expect("an MD5 challenge").to_vec());
        self.count = 0;
        self.register(headers)
    }

    /// The last datagram once more.
    pub(crate) fn repeat(&mut self) -> Message {
        let last = self.last.clone();
        self.deliver(last)
    }

    fn credentials(&mut self) -> String {
        self.count += 1;
        let challenge = self.challenge.clone().expect("a challenge is known");
        let uri = self.digest_uri.clone().unwrap_or(format!("sip:{}", self.domain));
        let mut value = Vec::new();
        let answer = Answer {
            method: b"REGISTER",
            uri: uri.as_bytes(),
            user: self.user.as_bytes(),
            secret: Secret::Password(self.password.as_bytes()),
            cnonce: b"0a4f113b",
            nc: self.count,
            body: b"",
        };
        let challenge = Challenge::parse(&challenge).expect("our own challenge parses");
        challenge.answer(&answer, &mut value).expect("it can be answered");
        format!("Authorization: {}\r\n", String::from_utf8(value).expect("ASCII"))
    }

    fn send(&mut self, headers: &str, credentials: &str) -> Message {
        self.cseq += 1;
        self.branch += 1;
        let Phone { aor, domain, cseq, branch, .. } = &*self;
        let call_id = self.call_id.clone().unwrap_or(format!("{branch}@192.0.2.7"));
        let text = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{aor}@{domain}>;tag=1\r\nTo: <sip:{aor}@{domain}>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{headers}{credentials}Content-Length: 0\r\n\r\n"
        );
        self.deliver(text.into())
    }

    fn deliver(&mut self, bytes: Bytes) -> Message {
        self.last = bytes.clone();
        self.now.0 += 1_000_000;
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: SocketAddr::from(([192, 0, 2, 1], 5060)),
            peer: SocketAddr::from(([192, 0, 2, 7], 5070)),
        };
        self.input(Input::Received { flow, bytes });
        let sent = self.outputs.iter().find_map(|output| match output {
            Output::Transmit(transmit) => Some(transmit.bytes.clone()),
            Output::Media(_) | Output::Store(_) | Output::Event(_) => None,
        });
        Message::parse(sent.expect("an answer")).expect("it parses")
    }
}

pub(crate) fn challenges(response: &Message) -> Vec<Challenge<'_>> {
    let values = response.headers(HeaderName::WwwAuthenticate);
    values.map(|value| Challenge::parse(value).expect("our own challenge parses")).collect()
}

pub(crate) fn contacts(response: &Message) -> Vec<String> {
    assert_eq!(response.status().map(|status| status.code()), Some(200));
    response.list(HeaderName::Contact).map(|contact| String::from_utf8_lossy(contact).into_owned()).collect()
}
