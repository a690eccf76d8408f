//! A phone of few words: it writes REGISTER by hand and answers challenges.

use bytes::Bytes;
use media::{Command, Report};
use sip_stack::Time;
use sip_stack::auth::{Algorithm, Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use softswitch::config;
use softswitch::core::{Input, Output, Switch};
use std::net::SocketAddr;

pub(crate) const CONFIG: &str = r#"
[[listener]]
address = "192.0.2.1:5060"
[[listener]]
address = "192.0.2.1:5060"
transport = "tcp"
[[listener]]
address = "192.0.2.1:8080"
transport = "ws"
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
    /// Further lines of its INVITEs.
    pub(crate) invite_headers: String,
    /// Vias of proxies.
    vias: String,
    flow: Flow,
    /// The last datagram.
    pub(crate) last: Bytes,
}

impl Phone {
    pub(crate) fn new(user: &str, password: &str) -> Phone {
        Phone::of(CONFIG, user, password)
    }

    /// A phone of a switch that is configured so.
    pub(crate) fn of(config: &str, user: &str, password: &str) -> Phone {
        let config = config::parse("test.toml", config).expect("the configuration is valid");
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
            invite_headers: String::new(),
            vias: String::new(),
            flow: flow(Transport::Udp, "192.0.2.7:5070"),
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

    /// Becomes the phone of another user with the same password.
    pub(crate) fn user(&mut self, user: &str) {
        (self.user, self.aor) = (user.into(), user.into());
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

    /// Sends from another address, or over another transport.
    pub(crate) fn over(&mut self, transport: Transport, peer: &str) -> Flow {
        self.flow = flow(transport, peer);
        self.flow
    }

    /// Registers through a proxy from now on.
    pub(crate) fn behind_proxy(&mut self) {
        self.vias = "Via: SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bKproxy-N\r\n".into();
        self.flow = flow(Transport::Udp, "192.0.2.8:5060");
    }

    pub(crate) fn rewind_cseq(&mut self) {
        self.cseq = 0;
    }

    /// The next REGISTER has the number of the last one.
    pub(crate) fn reuse_cseq(&mut self) {
        self.cseq -= 1;
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
        let credentials = self.credentials("REGISTER", &format!("sip:{}", self.domain));
        self.send(headers, &credentials)
    }

    /// Answers the challenge in `response`.
    pub(crate) fn answer(&mut self, response: &Message, headers: &str) -> Message {
        self.take_challenge(response);
        self.register(headers)
    }

    fn take_challenge(&mut self, response: &Message) {
        let md5 = response.headers(HeaderName::WwwAuthenticate).find(|value| {
            Challenge::parse(value).is_ok_and(|challenge| challenge.algorithm == Algorithm::Md5)
        });
        self.challenge = Some(md5.expect("an MD5 challenge").to_vec());
        self.count = 0;
    }

    /// The last datagram once more.
    pub(crate) fn repeat(&mut self) -> Message {
        let last = self.last.clone();
        self.deliver(last)
    }

    fn credentials(&mut self, method: &str, uri: &str) -> String {
        self.count += 1;
        let challenge = self.challenge.clone().expect("a challenge is known");
        let uri = self.digest_uri.clone().unwrap_or(uri.into());
        let mut value = Vec::new();
        let answer = Answer {
            method: method.as_bytes(),
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
        let Phone { aor, domain, cseq, branch, vias, .. } = &*self;
        let vias = vias.replace("-N", &format!("-{branch}"));
        let call_id = self.call_id.clone().unwrap_or(format!("{branch}@192.0.2.7"));
        let text = format!(
            "REGISTER sip:{domain} SIP/2.0\r\n{vias}Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{aor}@{domain}>;tag=1\r\nTo: <sip:{aor}@{domain}>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{headers}{credentials}Content-Length: 0\r\n\r\n"
        );
        self.deliver(text.into())
    }

    /// 1002 calls 1001, and the media ports are there at once; the INVITEs that leave then.
    pub(crate) fn is_called(&mut self) -> Vec<Transmit> {
        self.asked_for("sip:1001@a.example");
        self.ports_are_there();
        self.invites()
    }

    /// 1002 calls a URI; the answer to that, with credentials.
    pub(crate) fn asked_for(&mut self, uri: &str) -> Message {
        self.user("1002");
        self.over(Transport::Udp, "192.0.2.66:5060");
        let challenged = self.invite(uri, "");
        let proxy = challenged.headers(HeaderName::ProxyAuthenticate).next().map(<[u8]>::to_vec);
        let is_proxy = proxy.is_some();
        match proxy {
            Some(challenge) => (self.challenge, self.count) = (Some(challenge), 0),
            None => self.take_challenge(&challenged),
        }
        let credentials = self.credentials("INVITE", uri);
        self.invite(uri, &if is_proxy { format!("Proxy-{credentials}") } else { credentials })
    }

    /// The media ports of the call are there.
    pub(crate) fn ports_are_there(&mut self) {
        let legs =
            self.outputs.iter().filter_map(Output::media).find_map(|command| {
                if let Command::Open { legs } = command { Some(legs.clone()) } else { None }
            });
        let legs = legs.expect("the call asks for ports").into_iter();
        let legs = legs.zip([40_000, 40_002]).map(|((leg, _), port)| (leg, port)).collect();
        self.input(Input::Media(Report::Opened { legs }));
    }

    fn invite(&mut self, uri: &str, credentials: &str) -> Message {
        self.branch += 1;
        let branch = self.branch;
        let call_id = self.call_id.as_deref().unwrap_or("call");
        let headers = &self.invite_headers;
        self.deliver(
            format!(
                "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK{branch}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:1002@a.example>;tag=2\r\nTo: <sip:1001@a.example>\r\n\
                 Call-ID: {call_id}\r\nCSeq: {branch} INVITE\r\nContact: <sip:1002@192.0.2.66:5060>\r\n{headers}{credentials}\
                 Content-Length: 0\r\n\r\n"
            )
            .into(),
        )
    }

    /// The INVITEs that the switch sent in the last step.
    pub(crate) fn invites(&self) -> Vec<Transmit> {
        let sent = self.outputs.iter().filter_map(Output::transmit);
        sent.filter(|transmit| transmit.bytes.starts_with(b"INVITE ")).cloned().collect()
    }

    /// Whoever got an INVITE answers it.
    pub(crate) fn replies(&mut self, invite: &Transmit, status: &str) {
        let request = Message::parse(invite.bytes.clone()).expect("the switch writes SIP");
        let field = |name| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
        let [via, from, to, call_id, cseq] =
            [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
                .map(field);
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=b\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\nContact: <sip:1001@192.0.2.7>\r\nContent-Length: 0\r\n\r\n"
        );
        self.now.0 += 1_000_000;
        self.input(Input::Received { flow: invite.flow, bytes: text.into() });
    }

    pub(crate) fn deliver(&mut self, bytes: Bytes) -> Message {
        self.last = bytes.clone();
        self.now.0 += 1_000_000;
        let flow = self.flow;
        self.input(Input::Received { flow, bytes });
        let sent = self.outputs.iter().find_map(|output| Some(output.transmit()?.bytes.clone()));
        Message::parse(sent.expect("an answer")).expect("it parses")
    }
}

pub(crate) fn flow(transport: Transport, peer: &str) -> Flow {
    let (listener, port) = match transport {
        Transport::Udp => (0, 5060),
        Transport::Tcp | Transport::Tls => (1, 5060),
        Transport::Ws | Transport::Wss => (2, 8080),
    };
    Flow {
        listener: ListenerId(listener),
        transport,
        local: SocketAddr::from(([192, 0, 2, 1], port)),
        peer: peer.parse().expect("an address"),
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
