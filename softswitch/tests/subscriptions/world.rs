//! Phones of users 1000 to 1009 as far as a switch sees them: they register, watch, publish, call each other, and answer by themselves
//! what has only one answer. Those at ports from 7800 on speak TCP. Time is virtual, messages arrive at once.

use media::{Command, Report};
use sip_stack::Time;
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::transport::{Flow, ListenerId, Transport};
use softswitch::config;
use softswitch::core::{Event, Input, Output, Switch};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

const CONFIG: &str = "[[listener]]\naddress = \"127.0.0.1:5060\"\n";
const USERS: &str = "[[users]]\nfrom = 1000\nto = 1009\npassword = \"secret\"\n";
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// What a phone does with the NOTIFYs it gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// 200.
    Polite,
    /// Another final response.
    Refuses(u16),
    /// Nothing.
    Silent,
}

/// A dialog as the phone that began it sees it.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) port: u16,
    from: String,
    pub(crate) to: String,
    call_id: String,
    uri: String,
}

pub(crate) struct World {
    pub(crate) switch: Switch,
    pub(crate) now: Time,
    challenges: BTreeMap<u16, (Vec<u8>, u32)>,
    cseq: u32,
    manners: BTreeMap<u16, Manners>,
    /// NOTIFYs that were not looked at yet.
    pub(crate) notifies: VecDeque<(u16, Message)>,
    /// INVITEs that a phone has not answered.
    pub(crate) ringing: Vec<(u16, Message)>,
    responses: Vec<(u16, Message)>,
    pub(crate) events: Vec<Event>,
    /// Whether phones say that they ring.
    pub(crate) rings: bool,
}

pub(crate) fn text(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

pub(crate) fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

/// The port of a user's first phone.
pub(crate) fn port_of(user: &str) -> u16 {
    7_000 + user.parse::<u16>().unwrap() - 1_000
}

fn user_at(port: u16) -> String {
    (1_000 + (port - 7_000) % 100).to_string()
}

impl World {
    /// All users of the list are registered with a phone.
    pub(crate) fn new(more: &str, registered: &[&str]) -> World {
        let config = config::parse("events.toml", &format!("{CONFIG}{USERS}{more}")).unwrap();
        World::with(config, registered)
    }

    fn with(config: config::Config, registered: &[&str]) -> World {
        let mut world = World {
            switch: Switch::new([5; 32], config),
            now: Time::from_millis(1_000),
            challenges: BTreeMap::new(),
            cseq: 0,
            manners: BTreeMap::new(),
            notifies: VecDeque::new(),
            ringing: Vec::new(),
            responses: Vec::new(),
            events: Vec::new(),
            rings: true,
        };
        world.input(Input::WallClock { unix_ms: 1_800_000_000_000 });
        for user in registered {
            world.register(user, port_of(user), 3_600);
        }
        world
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.now.0 += 1_000_000;
        self.switch.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut answers = Vec::new();
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let message = Message::parse(transmit.bytes).unwrap();
                    answers.extend(self.take(transmit.flow.peer.port(), message));
                }
                Output::Media(Command::Open { legs }) => {
                    let ports = legs.into_iter().map(|(leg, _)| leg).zip((40_000..).step_by(2)).collect();
                    answers.push(Input::Media(Report::Opened { legs: ports }));
                }
                Output::Media(Command::Close { leg }) => {
                    answers.push(Input::Media(Report::Closed { leg, figures: Box::default() }));
                }
                Output::Event(told) => self.events.push(told.event),
                Output::Errand(_) => panic!("nobody runs errands here"),
                Output::Answer(_)
                | Output::Media(_)
                | Output::Store(_)
                | Output::Resolve(_)
                | Output::Identify { .. } => {}
            }
        }
        answers.into_iter().for_each(|answer| self.input(answer));
    }

    /// What a phone does by itself.
    fn take(&mut self, port: u16, message: Message) -> Option<Input> {
        match message.method() {
            Some(Method::Notify) => {
                let manners = self.manners.get(&port).copied().unwrap_or(Manners::Polite);
                let answer = match manners {
                    Manners::Polite => Some(response(port, &message, "200 OK", "")),
                    Manners::Refuses(code) => Some(response(port, &message, &format!("{code} No"), "")),
                    Manners::Silent => None,
                };
                self.notifies.push_back((port, message));
                answer
            }
            Some(Method::Invite) => {
                let rings = self.rings.then(|| response(port, &message, "180 Ringing", ""));
                self.ringing.push((port, message));
                rings
            }
            Some(Method::Cancel) => {
                let invite = self.ringing.iter().position(|(at, _)| *at == port);
                let (_, invite) = self.ringing.remove(invite?);
                self.input(response(port, &message, "200 OK", ""));
                Some(response(port, &invite, "487 Request Terminated", ""))
            }
            Some(Method::Ack) => None,
            Some(_) => Some(response(port, &message, "200 OK", "")),
            None => {
                self.responses.push((port, message));
                None
            }
        }
    }

    pub(crate) fn manners(&mut self, user: &str, manners: Manners) {
        self.manners.insert(port_of(user), manners);
    }

    /// Lets time pass, with every timer in it.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        let until = Time(self.now.0 + milliseconds * 1_000_000);
        while let Some(due) = self.switch.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.switch.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub(crate) fn reload(&mut self, more: &str) {
        let config = config::parse("events.toml", &format!("{CONFIG}{USERS}{more}")).unwrap();
        self.configure(config);
    }

    pub(crate) fn configure(&mut self, config: config::Config) {
        self.input(Input::Configure(Box::new(config)));
    }

    /// The configuration with more, for what no file says.
    pub(crate) fn config(more: &str) -> config::Config {
        config::parse("events.toml", &format!("{CONFIG}{more}")).unwrap()
    }

    pub(crate) fn feed(&mut self, port: u16, text: String) {
        self.input(Input::Received { flow: flow(port), bytes: text.into() });
    }

    /// The response to the last request of a phone, with credentials if they were asked for.
    pub(crate) fn ask(
        &mut self,
        port: u16,
        method: &str,
        uri: &str,
        dialog: Option<&Dialog>,
        more: &str,
        content: &str,
    ) -> Message {
        let user = user_at(port);
        let first = self.cseq + 1;
        for _ in 0..2 {
            self.cseq += 1;
            let n = self.cseq;
            let credentials = self.credentials(port, method, &user, uri);
            let own = Dialog {
                port,
                from: format!("<sip:{user}@127.0.0.1>;tag=f{first}"),
                to: format!("<{uri}>"),
                call_id: format!("call{first}"),
                uri: uri.to_owned(),
            };
            let Dialog { from, to, call_id, uri, .. } = dialog.unwrap_or(&own);
            self.responses.clear();
            self.feed(
                port,
                format!(
                    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{} 127.0.0.1:{port};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
                     From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {n} {method}\r\n\
                     Contact: <sip:{user}@127.0.0.1:{port}>\r\n{credentials}{more}Content-Length: {}\r\n\r\n{content}",
                    flow(port).transport.name(),
                    content.len()
                ),
            );
            let place = self
                .responses
                .iter()
                .position(|(to, response)| *to == port && response.cseq().is_ok_and(|cseq| cseq.number == n));
            let Some(place) = place else {
                panic!("{method} of {port} is not answered: {:?}", self.responses)
            };
            let (_, response) = self.responses.remove(place);
            match response.header(HeaderName::WwwAuthenticate) {
                Some(challenge) => self.challenges.insert(port, (challenge.to_vec(), 0)),
                None => return response,
            };
        }
        panic!("the credentials of {port} are not taken")
    }

    fn credentials(&mut self, port: u16, method: &str, user: &str, uri: &str) -> String {
        let Some((challenge, count)) = self.challenges.get_mut(&port) else { return String::new() };
        *count += 1;
        let answer = Answer {
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            user: user.as_bytes(),
            secret: Secret::Password(b"secret"),
            cnonce: b"c",
            nc: *count,
            body: b"",
        };
        let mut value = Vec::new();
        Challenge::parse(challenge).unwrap().answer(&answer, &mut value).unwrap();
        format!("Authorization: {}\r\n", String::from_utf8_lossy(&value))
    }

    pub(crate) fn register(&mut self, user: &str, port: u16, expires_s: u32) {
        let fields = format!("Expires: {expires_s}\r\n");
        let uri = format!("sip:{user}@127.0.0.1:5060");
        let answer = self.ask(port, "REGISTER", &uri, None, &fields, "");
        assert_eq!(answer.status().unwrap().code(), 200);
    }

    /// A SUBSCRIBE of a user's first phone, and its answer.
    pub(crate) fn subscribe(
        &mut self,
        user: &str,
        whom: &str,
        package: &str,
        expires_s: u32,
    ) -> (Message, Dialog) {
        let fields = format!("Event: {package}\r\nExpires: {expires_s}\r\n");
        self.subscribe_with(user, whom, &fields)
    }

    pub(crate) fn subscribe_with(&mut self, user: &str, whom: &str, fields: &str) -> (Message, Dialog) {
        self.subscribe_from(port_of(user), whom, fields)
    }

    pub(crate) fn subscribe_from(&mut self, port: u16, whom: &str, fields: &str) -> (Message, Dialog) {
        let uri = format!("sip:{whom}@127.0.0.1:5060");
        let answer = self.ask(port, "SUBSCRIBE", &uri, None, fields, "");
        let uri = answer.contact().ok().flatten().map(|contact| contact.uri.text.to_vec());
        let dialog = Dialog {
            port,
            from: text(&answer, HeaderName::From),
            to: text(&answer, HeaderName::To),
            call_id: text(&answer, HeaderName::CallId),
            uri: String::from_utf8(uri.unwrap_or_default()).unwrap(),
        };
        (answer, dialog)
    }

    /// Watches, which must be allowed; the first NOTIFY.
    pub(crate) fn watch(&mut self, user: &str, whom: &str, package: &str) -> (Dialog, Message) {
        let (answer, dialog) = self.subscribe(user, whom, package, 3_600);
        assert_eq!(answer.status().unwrap().code(), 200, "{user} watches {whom}");
        let notify = self.notified(user);
        (dialog, notify)
    }

    /// The same SUBSCRIBE again, in its dialog.
    pub(crate) fn refresh(&mut self, dialog: &Dialog, package: &str, expires_s: u32) -> u16 {
        let fields = format!("Event: {package}\r\nExpires: {expires_s}\r\n");
        let answer = self.ask(dialog.port, "SUBSCRIBE", "", Some(dialog), &fields, "");
        answer.status().unwrap().code()
    }

    /// The next NOTIFY that a user's phone was sent.
    pub(crate) fn notified(&mut self, user: &str) -> Message {
        let place = self.notifies.iter().position(|(port, _)| *port == port_of(user));
        place
            .and_then(|place| self.notifies.remove(place))
            .map(|(_, notify)| notify)
            .unwrap_or_else(|| panic!("{user} is notified"))
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.notifies.is_empty()
    }

    pub(crate) fn publish(&mut self, user: &str, fields: &str, content: &str) -> Message {
        let content_type = if content.is_empty() { "" } else { "Content-Type: application/pidf+xml\r\n" };
        let fields = format!("Event: presence\r\n{content_type}{fields}");
        let uri = format!("sip:{user}@127.0.0.1:5060");
        self.ask(port_of(user), "PUBLISH", &uri, None, &fields, content)
    }

    /// A phone calls; the last response so far, and the dialog as far as it is there.
    pub(crate) fn call(&mut self, port: u16, whom: &str, fields: &str) -> Dialog {
        let fields = format!("{fields}Content-Type: application/sdp\r\n");
        let uri = format!("sip:{whom}@127.0.0.1:5060");
        let trying = self.ask(port, "INVITE", &uri, None, &fields, SDP);
        Dialog {
            port,
            from: text(&trying, HeaderName::From),
            to: text(&trying, HeaderName::To),
            call_id: text(&trying, HeaderName::CallId),
            uri,
        }
    }

    /// A NOTIFY that nobody has subscribed to; the status of its answer.
    pub(crate) fn tells_of_mailbox(&mut self, port: u16, kind: &str, content: &str) -> u16 {
        self.cseq += 1;
        let n = self.cseq;
        self.responses.clear();
        self.feed(
            port,
            format!(
                "NOTIFY sip:anybody@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKn{n}\r\nMax-Forwards: 70\r\n\
                 From: <sip:mail@127.0.0.1>;tag=m\r\nTo: <sip:anybody@127.0.0.1>\r\nCall-ID: mail{n}\r\nCSeq: {n} NOTIFY\r\n\
                 Event: message-summary\r\nSubscription-State: active\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{content}",
                content.len()
            ),
        );
        self.responses.pop().and_then(|(_, response)| response.status()).map_or(0, |status| status.code())
    }

    /// The caller has heard that it rings: its dialog is there.
    pub(crate) fn hears_ringing(&mut self, caller: &mut Dialog) {
        let is_it = |(to, response): &(u16, Message)| {
            *to == caller.port && response.status().is_some_and(|status| status.code() == 180)
        };
        let place = self.responses.iter().position(is_it).expect("it rings");
        caller.to = text(&self.responses.remove(place).1, HeaderName::To);
    }

    /// A phone that rings answers; the caller acknowledges. The dialogs of both.
    pub(crate) fn answer(&mut self, port: u16, mut caller: Dialog) -> (Dialog, Dialog) {
        let place = self.ringing.iter().position(|(at, _)| *at == port).unwrap();
        let (_, invite) = self.ringing.remove(place);
        self.responses.clear();
        self.input(response(port, &invite, "200 OK", SDP));
        self.acknowledge(&mut caller);
        let to = text(&invite, HeaderName::To);
        let callee = Dialog {
            port,
            from: format!("{to};tag=t{port}"),
            to: text(&invite, HeaderName::From),
            call_id: text(&invite, HeaderName::CallId),
            uri: String::from_utf8(invite.contact().unwrap().unwrap().uri.text.to_vec()).unwrap(),
        };
        (caller, callee)
    }

    /// A phone that rings answers a call in which the caller is asked for nothing.
    pub(crate) fn take_over(&mut self, port: u16) {
        let place = self.ringing.iter().position(|(at, _)| *at == port).unwrap();
        let (_, invite) = self.ringing.remove(place);
        self.input(response(port, &invite, "200 OK", SDP));
    }

    /// The caller acknowledges the 2xx that it has got.
    pub(crate) fn acknowledge(&mut self, caller: &mut Dialog) {
        let is_answer = |(to, response): &(u16, Message)| {
            *to == caller.port
                && response.status().is_some_and(|status| status.is_success())
                && response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite)
        };
        let place = self.responses.iter().position(is_answer).expect("the caller is answered");
        let (_, answer) = self.responses.remove(place);
        caller.to = text(&answer, HeaderName::To);
        let number = answer.cseq().unwrap().number;
        let Dialog { port, from, to, call_id, uri } = caller.clone();
        self.feed(
            port,
            format!(
                "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKack{number}\r\nMax-Forwards: 70\r\n\
                 From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} ACK\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }

    /// The caller gives up, and has asked for nothing since its INVITE.
    pub(crate) fn cancel(&mut self, caller: &Dialog) {
        let Dialog { port, from, call_id, uri, .. } = caller.clone();
        let n = self.cseq;
        self.feed(
            port,
            format!(
                "CANCEL {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
                 From: {from}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: {n} CANCEL\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }

    /// A phone that rings refuses.
    pub(crate) fn refuse(&mut self, port: u16, status: &str) {
        let place = self.ringing.iter().position(|(at, _)| *at == port).unwrap();
        let (_, invite) = self.ringing.remove(place);
        self.input(response(port, &invite, status, ""));
    }

    /// A request in a dialog of a phone, with the status of its answer.
    pub(crate) fn send(&mut self, dialog: &Dialog, method: &str, fields: &str) -> u16 {
        self.ask(dialog.port, method, "", Some(dialog), fields, "").status().unwrap().code()
    }

    /// What names the dialog to others (RFC 3891): `to-tag` is the tag of the switch.
    pub(crate) fn replaces(dialog: &Dialog) -> String {
        let tag = |value: &str| value.split_once(";tag=").unwrap().1.to_owned();
        format!("{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}", dialog.call_id, tag(&dialog.to), tag(&dialog.from))
    }
}

pub(crate) fn flow(port: u16) -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: if port < 7_800 { Transport::Udp } else { Transport::Tcp },
        local: SocketAddr::from(([127, 0, 0, 1], 5060)),
        peer: SocketAddr::from(([127, 0, 0, 1], port)),
    }
}

fn response(port: u16, request: &Message, status: &str, content: &str) -> Input {
    let [via, from, to, call_id, cseq] =
        [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
            .map(|name| text(request, name));
    let to = if to.contains(";tag=") { to } else { format!("{to};tag=t{port}") };
    let kind = if content.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let user = user_at(port);
    let text = format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
         Contact: <sip:{user}@127.0.0.1:{port}>\r\n{kind}Content-Length: {}\r\n\r\n{content}",
        content.len()
    );
    Input::Received { flow: flow(port), bytes: text.into() }
}
