//! Two parties that speak to the pure switch in hand-written messages.

use media::tap::RecordingId;
use media::{Command, LegId, Report, StreamParams};
use sip_stack::Time;
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::resolve::Query;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use softswitch::config;
use softswitch::core::command::{CallRef, RecordingRef};
use softswitch::core::{Input, Output, Switch};
use std::net::SocketAddr;

pub(crate) const CALLER: u16 = 7000;
/// The first phone of the callee; further ones follow.
pub(crate) const CALLEE: u16 = 7001;

const CONFIG: &str =
    "[[listener]]\naddress = \"127.0.0.1:5060\"\n[[users]]\nfrom = 1000\nto = 1001\npassword = \"secret\"\n";

pub(crate) struct Stage {
    pub(crate) switch: Switch,
    now: Time,
    /// What the switch wanted done in the last step.
    pub(crate) outputs: Vec<Output>,
    /// What it told the shard so far.
    pub(crate) told: Vec<Command>,
    challenge: Vec<u8>,
    count: u32,
    cseq: u32,
    /// The number of the caller's last INVITE.
    invited: u32,
    /// The branch of the caller's last INVITE.
    branch: String,
    /// The media legs that the switch asked for last.
    legs: Vec<LegId>,
    /// Who the caller says that it is.
    pub(crate) user: String,
    /// Whom the caller calls.
    pub(crate) number: String,
    /// To of the caller's dialog, once the switch has answered.
    pub(crate) to: String,
    /// Further header lines of the caller's INVITEs.
    pub(crate) headers: String,
}

pub(crate) fn sdp(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}")
}

pub(crate) fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

fn text(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

impl Stage {
    /// The id of the call of this number.
    pub(crate) fn call(&self, number: u64) -> CallRef {
        CallRef(self.switch.run().id(number))
    }

    /// The id of a recording.
    pub(crate) fn recording(&self, recording: RecordingId) -> RecordingRef {
        RecordingRef(self.switch.run().id(recording.0))
    }

    /// 1000 and 1001 are registered, the latter with this many phones.
    pub(crate) fn new(phones: u16) -> Stage {
        Stage::with("", "1001", phones)
    }

    /// The same with more configuration; the caller calls `number`.
    pub(crate) fn with(more: &str, number: &str, phones: u16) -> Stage {
        let text = format!("{CONFIG}{more}");
        let config = config::parse("calls.toml", &text).expect("the configuration is valid");
        let mut stage = Stage {
            switch: Switch::new([5; 32], config),
            now: Time(1),
            outputs: Vec::new(),
            told: Vec::new(),
            challenge: Vec::new(),
            count: 0,
            cseq: 0,
            invited: 0,
            branch: String::new(),
            legs: Vec::new(),
            user: "1000".into(),
            number: number.into(),
            to: format!("<sip:{number}@127.0.0.1:5060>"),
            headers: String::new(),
        };
        stage.input(Input::WallClock { unix_ms: 1_800_000_000_000 });
        for phone in 0..phones {
            stage.register("1001", CALLEE + phone);
        }
        stage.register("1000", CALLER);
        stage
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.now.0 += 1_000_000;
        self.switch.handle_input(self.now, input);
        self.collect();
    }

    fn collect(&mut self) {
        self.outputs = std::iter::from_fn(|| self.switch.poll_output()).collect();
        self.told.extend(self.outputs.iter().filter_map(Output::media).cloned());
        let opened = self
            .commands()
            .find_map(|command| if let Command::Open { legs } = command { Some(legs.clone()) } else { None });
        if let Some(legs) = opened {
            self.legs = legs.into_iter().map(|(leg, _)| leg).collect();
        }
    }

    /// The next timer fires.
    pub(crate) fn fire(&mut self) {
        self.now = self.switch.poll_timeout().expect("something is to happen").max(self.now);
        self.switch.handle_timeout(self.now);
        self.collect();
    }

    /// Lets so many seconds pass.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = Time(self.now.0 + seconds * 1_000_000_000);
        while self.switch.poll_timeout().is_some_and(|due| due <= until) {
            self.fire();
        }
        self.now = until;
    }

    /// Lets so many seconds pass, or less: until this is so of a step, which is told.
    pub(crate) fn pass_until(&mut self, seconds: u64, happened: impl Fn(&Stage) -> bool) -> bool {
        let until = Time(self.now.0 + seconds * 1_000_000_000);
        while self.switch.poll_timeout().is_some_and(|due| due <= until) {
            self.fire();
            // What asks for ports goes on when they are there.
            if self.commands().any(|command| matches!(command, Command::Open { .. })) {
                self.open_media();
            }
            if happened(self) {
                return true;
            }
        }
        self.now = until;
        false
    }

    /// The operator reloads the switch with this instead of what it was started with beyond the users.
    pub(crate) fn reload(&mut self, more: &str) {
        let config =
            config::parse("calls.toml", &format!("{CONFIG}{more}")).expect("the configuration is valid");
        self.input(Input::Configure(Box::new(config)));
    }

    fn feed(&mut self, port: u16, text: String) {
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: SocketAddr::from(([127, 0, 0, 1], 5060)),
            peer: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        self.input(Input::Received { flow, bytes: text.into() });
    }

    fn transmits(&self) -> impl Iterator<Item = &Transmit> {
        self.outputs.iter().filter_map(Output::transmit)
    }

    fn messages_to(&self, ports: core::ops::RangeInclusive<u16>) -> Vec<Message> {
        let to = self.transmits().filter(|transmit| ports.contains(&transmit.flow.peer.port()));
        to.map(|transmit| Message::parse(transmit.bytes.clone()).expect("the switch writes SIP")).collect()
    }

    /// The request that the last step sent to `port`.
    pub(crate) fn sent_to(&self, port: u16, method: Method<'_>) -> Message {
        let sent = self.messages_to(port..=port).into_iter().find(|message| message.method() == Some(method));
        sent.unwrap_or_else(|| panic!("{method} to {port} among {:?}", self.outputs))
    }

    pub(crate) fn all_sent_to_callee(&self, method: Method<'_>) -> Vec<Message> {
        let sent = self.messages_to(CALLEE..=CALLEE + 9).into_iter();
        sent.filter(|message| message.method() == Some(method)).collect()
    }

    /// The response of this status that the last step sent to the caller.
    pub(crate) fn response_to_caller(&mut self, status: u16) -> Message {
        let sent = self.messages_to(CALLER..=CALLER).into_iter();
        let response =
            sent.into_iter().find(|message| message.status().is_some_and(|code| code.code() == status));
        let response = response.unwrap_or_else(|| panic!("{status} among {:?}", self.outputs));
        self.to = text(&response, HeaderName::To);
        response
    }

    fn credentials(&mut self, method: &str, user: &str, uri: &str) -> String {
        if self.challenge.is_empty() {
            return String::new();
        }
        self.count += 1;
        let challenge = Challenge::parse(&self.challenge).expect("our own challenge parses");
        let mut value = Vec::new();
        let answer = Answer {
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            user: user.as_bytes(),
            secret: Secret::Password(b"secret"),
            cnonce: b"c",
            nc: self.count,
            body: b"",
        };
        challenge.answer(&answer, &mut value).expect("it can be answered");
        format!("Authorization: {}\r\n", String::from_utf8_lossy(&value))
    }

    pub(crate) fn register(&mut self, user: &str, port: u16) {
        (self.challenge, self.count) = (Vec::new(), 0);
        for _ in 0..2 {
            self.cseq += 1;
            let (n, uri) = (self.cseq, "sip:127.0.0.1:5060");
            let credentials = self.credentials("REGISTER", user, uri);
            self.feed(port, format!(
                "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKr{n}\r\nMax-Forwards: 70\r\n\
                 From: <sip:{user}@127.0.0.1>;tag=r\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: r{n}\r\n\
                 CSeq: {n} REGISTER\r\nContact: <sip:{user}@127.0.0.1:{port}>\r\n{credentials}Content-Length: 0\r\n\r\n"
            ));
            if let Some(challenge) = self
                .messages_to(port..=port)
                .iter()
                .find_map(|response| response.header(HeaderName::WwwAuthenticate).map(<[u8]>::to_vec))
            {
                self.challenge = challenge;
            }
        }
    }

    fn caller_sends(&mut self, method: &str, cseq: u32, to: &str, body: &str) {
        let uri = &format!("sip:{}@127.0.0.1:5060", self.number);
        let user = self.user.clone();
        let credentials =
            if method == "INVITE" { self.credentials(method, &user, uri) } else { String::new() };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let branch = format!("z9hG4bK{method}{}", self.now.0);
        let more = if method == "INVITE" { self.headers.clone() } else { String::new() };
        if method == "INVITE" {
            self.branch.clone_from(&branch);
            self.invited = cseq;
        }
        self.feed(CALLER, format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{CALLER};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@127.0.0.1:5060>;tag=a\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:1000@127.0.0.1:{CALLER}>\r\n{credentials}{more}{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ));
    }

    /// The caller's INVITE; the media ports are there at once.
    pub(crate) fn invite(&mut self, body: &str) {
        self.dial(body);
        self.open_media();
    }

    /// The caller's INVITE.
    pub(crate) fn dial(&mut self, body: &str) {
        self.cseq = 1;
        let to = self.to.clone();
        self.caller_sends("INVITE", 1, &to, body);
    }

    /// The caller calls once more, beside its call that is up.
    pub(crate) fn dial_again(&mut self, body: &str) {
        self.to = format!("<sip:{}@127.0.0.1:5060>", self.number);
        self.cseq += 100;
        let (to, cseq) = (self.to.clone(), self.cseq);
        self.caller_sends("INVITE", cseq, &to, body);
    }

    /// The caller gives up.
    pub(crate) fn cancel(&mut self) {
        self.cancel_with("");
    }

    /// The same with further header lines.
    pub(crate) fn cancel_with(&mut self, headers: &str) {
        self.send_cancel(&format!("<sip:{}@127.0.0.1:5060>", self.number), 1, headers);
    }

    /// The caller gives up its last INVITE within the dialog.
    pub(crate) fn cancel_last(&mut self) {
        let (to, cseq) = (self.to.clone(), self.cseq);
        self.send_cancel(&to, cseq, "");
    }

    /// The caller gives up its last INVITE, whether or not it has been answered.
    pub(crate) fn cancel_invite(&mut self) {
        let (to, cseq) = (format!("<sip:{}@127.0.0.1:5060>", self.number), self.invited);
        self.send_cancel(&to, cseq, "");
    }

    fn send_cancel(&mut self, to: &str, cseq: u32, headers: &str) {
        self.feed(
            CALLER,
            format!(
                "CANCEL sip:{}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{CALLER};branch={}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1000@127.0.0.1:5060>;tag=a\r\nTo: {to}\r\n\
             Call-ID: call\r\nCSeq: {cseq} CANCEL\r\n{headers}Content-Length: 0\r\n\r\n",
                self.number, self.branch,
            ),
        );
    }

    /// What the last step asked the DNS.
    pub(crate) fn questions(&self) -> Vec<Query> {
        self.outputs
            .iter()
            .filter_map(|output| if let Output::Resolve(query) = output { Some(query.clone()) } else { None })
            .collect()
    }

    /// The names that certificates must have, of the last step.
    pub(crate) fn identified(&self) -> Vec<String> {
        self.outputs
            .iter()
            .filter_map(|output| {
                if let Output::Identify { name, .. } = output { Some(name.to_string()) } else { None }
            })
            .collect()
    }

    /// The INVITEs of the last step, with where they went.
    pub(crate) fn invites(&self) -> Vec<(Transport, SocketAddr, Message)> {
        self.transmits()
            .map(|transmit| {
                let message = Message::parse(transmit.bytes.clone()).expect("the switch writes SIP");
                (transmit.flow.transport, transmit.flow.peer, message)
            })
            .filter(|(_, _, message)| message.method() == Some(Method::Invite))
            .collect()
    }

    /// An INVITE of the last step could not be sent.
    pub(crate) fn invite_is_not_sent(&mut self) {
        let transaction = self.transmits().find_map(|transmit| transmit.transaction);
        self.input(Input::Unsent { transaction: transaction.expect("a request") });
    }

    /// Lets time pass until the caller gets this response.
    pub(crate) fn wait_for_response(&mut self, status: u16) {
        let is_it = |message: &Message| message.status().is_some_and(|code| code.code() == status);
        while !self.messages_to(CALLER..=CALLER).iter().any(is_it) {
            self.fire();
        }
    }

    /// Lets time pass until the caller gets this request.
    pub(crate) fn wait_for_request(&mut self, method: Method<'_>) {
        while !self.messages_to(CALLER..=CALLER).iter().any(|message| message.method() == Some(method)) {
            self.fire();
        }
    }

    /// Lets time pass until the switch asks the DNS.
    pub(crate) fn wait_for_questions(&mut self) {
        while self.questions().is_empty() {
            self.fire();
        }
    }

    /// The media legs that the switch asked for last.
    pub(crate) fn opening(&self) -> Vec<LegId> {
        self.legs.clone()
    }

    /// The media ports that the call asked for are there.
    pub(crate) fn open_media(&mut self) {
        let opened = self.legs.clone();
        assert!(!opened.is_empty(), "the call asks for its ports: {:?}", self.outputs);
        self.input(Input::Media(Report::Opened {
            legs: opened.into_iter().zip((40_000..).step_by(2)).collect(),
        }));
    }

    /// A phone of the callee answers our request.
    pub(crate) fn reply(&mut self, request: &Message, status: &str, body: &str) {
        self.reply_as(request, "b", status, body);
    }

    /// The same, with a To tag of its own.
    pub(crate) fn reply_as(&mut self, request: &Message, tag: &str, status: &str, body: &str) {
        self.reply_with(request, tag, status, "", body);
    }

    /// The same, with further header lines.
    pub(crate) fn reply_with(
        &mut self,
        request: &Message,
        tag: &str,
        status: &str,
        headers: &str,
        body: &str,
    ) {
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let [via, from, to, call_id, cseq] =
            [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
                .map(|name| text(request, name));
        let to = if to.contains(";tag=") { to } else { format!("{to};tag={tag}") };
        let phone = request.uri().ok().and_then(|uri| uri.port).unwrap_or(CALLEE);
        self.feed(phone, format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Contact: <sip:1001@127.0.0.1:{phone}>\r\n{headers}{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ));
    }

    /// The caller answers a request of ours within the dialog.
    pub(crate) fn caller_replies(&mut self, request: &Message, status: &str, body: &str) {
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let [via, from, to, call_id, cseq] =
            [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
                .map(|name| text(request, name));
        self.feed(CALLER, format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Contact: <sip:1000@127.0.0.1:{CALLER}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ));
    }

    /// The callee, who got this request of ours, hangs up.
    pub(crate) fn callee_hangs_up(&mut self, request: &Message) {
        let [from, to, call_id] =
            [HeaderName::To, HeaderName::From, HeaderName::CallId].map(|name| text(request, name));
        self.feed(CALLEE, format!(
            "BYE sip:1001@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{CALLEE};branch=z9hG4bKbye\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: 1 BYE\r\n\
             Content-Length: 0\r\n\r\n"
        ));
    }

    /// The caller acknowledges the last 2xx.
    pub(crate) fn ack(&mut self, body: &str) {
        let (to, cseq) = (self.to.clone(), self.cseq);
        self.caller_sends("ACK", cseq, &to, body);
    }

    /// The caller acknowledges this 2xx.
    pub(crate) fn ack_of(&mut self, answer: &Message) {
        let (to, cseq) = (text(answer, HeaderName::To), answer.cseq().expect("a number").number);
        self.caller_sends("ACK", cseq, &to, "");
    }

    /// The caller hangs up in the dialog of this 2xx.
    pub(crate) fn bye_of(&mut self, answer: &Message) {
        self.to = text(answer, HeaderName::To);
        self.bye();
    }

    /// The caller's INVITE within the dialog, which may be answered later.
    pub(crate) fn ask(&mut self, body: &str) {
        self.cseq += 1;
        let (to, cseq) = (self.to.clone(), self.cseq);
        self.caller_sends("INVITE", cseq, &to, body);
    }

    /// The caller's INVITE within the dialog, and what it is answered.
    pub(crate) fn re_invite(&mut self, body: &str) -> Message {
        self.ask(body);
        let answer = self.messages_to(CALLER..=CALLER).into_iter().find(|message| message.status().is_some());
        answer.expect("the re-INVITE is answered")
    }

    /// The caller's INFO within the dialog, with further header lines, and what it is answered.
    pub(crate) fn info(&mut self, headers: &str, body: &str) -> Message {
        self.ask_info(headers, body).expect("the INFO is answered")
    }

    /// The same, which may be answered later.
    pub(crate) fn ask_info(&mut self, headers: &str, body: &str) -> Option<Message> {
        self.cseq += 1;
        let (to, cseq, number) = (self.to.clone(), self.cseq, self.number.clone());
        self.feed(CALLER, format!(
            "INFO sip:{number}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{CALLER};branch=z9hG4bKinfo{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1000@127.0.0.1:5060>;tag=a\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: {cseq} INFO\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ));
        self.responses_to(CALLER).into_iter().next()
    }

    /// The responses that the last step sent to a party.
    pub(crate) fn responses_to(&self, port: u16) -> Vec<Message> {
        self.messages_to(port..=port).into_iter().filter(|message| message.status().is_some()).collect()
    }

    /// The first of them.
    pub(crate) fn response_to(&self, port: u16) -> Message {
        self.responses_to(port).into_iter().next().expect("it is answered")
    }

    /// A request of the caller within its dialog, with further header lines, and what it is answered.
    pub(crate) fn caller_asks(&mut self, method: &str, headers: &str, body: &str) -> Message {
        self.cseq += 1;
        let (to, cseq, number) = (self.to.clone(), self.cseq, self.number.clone());
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.feed(CALLER, format!(
            "{method} sip:{number}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{CALLER};branch=z9hG4bKm{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1000@127.0.0.1:5060>;tag=a\r\nTo: {to}\r\nCall-ID: call\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:1000@127.0.0.1:{CALLER}>\r\n{headers}{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ));
        let answers = self.messages_to(CALLER..=CALLER).into_iter();
        let is_it = |message: &Message| {
            message.status().is_some() && message.cseq().is_ok_and(|known| known.number == cseq)
        };
        answers.into_iter().find(is_it).unwrap_or_else(|| panic!("{method} is answered: {:?}", self.outputs))
    }

    /// A request of a callee within the dialog of an INVITE that it has answered.
    pub(crate) fn callee_sends(&mut self, invite: &Message, method: &str, headers: &str) {
        self.callee_asks(invite, method, headers, "");
    }

    /// The same of another phone than the first, at the port of its INVITE.
    pub(crate) fn third_sends(&mut self, invite: &Message, method: &str) {
        let port = invite.uri().ok().and_then(|uri| uri.port).unwrap_or(CALLEE);
        self.asks(port, invite, method, "", "");
    }

    /// The same with a description.
    pub(crate) fn callee_asks(&mut self, invite: &Message, method: &str, headers: &str, body: &str) {
        self.asks(CALLEE, invite, method, headers, body);
    }

    fn asks(&mut self, port: u16, invite: &Message, method: &str, headers: &str, body: &str) {
        self.cseq += 1;
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let [from, to, call_id] =
            [HeaderName::From, HeaderName::To, HeaderName::CallId].map(|name| text(invite, name));
        let cseq = self.cseq;
        self.feed(port, format!(
            "{method} sip:x@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKc{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: {to};tag=b\r\nTo: {from}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             {headers}{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        ));
    }

    /// The tag that the switch has in the caller's dialog.
    pub(crate) fn our_tag(&self) -> String {
        self.to.rsplit_once(";tag=").map(|(_, tag)| tag.to_owned()).expect("the switch has answered")
    }

    /// The requests of a kind that the last step sent to a party.
    pub(crate) fn all_sent_to(&self, port: u16, method: Method<'_>) -> Vec<Message> {
        let sent = self.messages_to(port..=port).into_iter();
        sent.filter(|message| message.method() == Some(method)).collect()
    }

    /// Whether the last step sent such a request to a party.
    pub(crate) fn is_sent_to(&self, port: u16, method: Method<'_>) -> bool {
        self.messages_to(port..=port).iter().any(|message| message.method() == Some(method))
    }

    /// Lets time pass until a party gets this request, and returns it with the seconds that have passed.
    pub(crate) fn wait_for_sent(&mut self, port: u16, method: Method<'_>) -> (Message, u64) {
        let began = self.now;
        while !self.is_sent_to(port, method) {
            self.fire();
        }
        (self.sent_to(port, method), (self.now.0 - began.0) / 1_000_000_000)
    }

    /// A call that is up, in PCMU.
    pub(crate) fn talk(&mut self) {
        self.invite(&sdp("m=audio 4000 RTP/AVP 0\r\n"));
        let invite = self.sent_to(CALLEE, Method::Invite);
        self.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
        self.response_to_caller(200);
        self.ack("");
    }

    /// The caller hangs up.
    pub(crate) fn bye(&mut self) {
        self.cseq += 1;
        let (to, cseq) = (self.to.clone(), self.cseq);
        self.caller_sends("BYE", cseq, &to, "");
    }

    /// What the last step told the shard, but for ports and parameters.
    pub(crate) fn mixing(&self) -> Vec<Command> {
        let plain = |command: &&Command| {
            !matches!(command, Command::Open { .. } | Command::Configure { .. } | Command::Close { .. })
        };
        self.commands().filter(plain).cloned().collect()
    }

    fn commands(&self) -> impl Iterator<Item = &Command> {
        self.outputs.iter().filter_map(Output::media)
    }

    /// What the last step told the shard to relay.
    pub(crate) fn relays(&self) -> Vec<Command> {
        self.commands().filter(|command| matches!(command, Command::Relay { .. })).cloned().collect()
    }

    /// What the last step told the shard about the caller.
    pub(crate) fn configured_caller(&self) -> StreamParams {
        self.configured(0)
    }

    /// What the last step told the shard about the caller (0) or the callee (1).
    pub(crate) fn configured(&self, side: usize) -> StreamParams {
        let configured = self.commands().find_map(|command| match command {
            Command::Configure { leg, params } if Some(leg) == self.legs.get(side) => Some(params.clone()),
            _ => None,
        });
        configured.expect("the leg is configured")
    }

    /// The media leg of the caller (0) or the callee (1).
    pub(crate) fn media_leg(&self, side: usize) -> LegId {
        self.legs[side]
    }

    /// The last message to the caller could not be sent.
    pub(crate) fn caller_is_unreachable(&mut self) {
        let lost = self.transmits().filter(|transmit| transmit.flow.peer.port() == CALLER);
        let transaction =
            lost.filter_map(|transmit| transmit.transaction).last().expect("a message in a transaction");
        self.input(Input::Unsent { transaction });
    }

    /// The shard closes what it was told to.
    pub(crate) fn close_media(&mut self) {
        let closing: Vec<LegId> = self
            .commands()
            .filter_map(|command| match command {
                Command::Close { leg } => Some(*leg),
                _ => None,
            })
            .collect();
        for leg in closing {
            self.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
        }
    }
}
