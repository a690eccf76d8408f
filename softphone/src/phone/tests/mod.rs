//! The phone against a scripted peer: what it sends is read as text, and answered by hand.

mod accounts;
mod answering;
mod digits;
mod hold;
mod incoming;
mod message;
mod outgoing;
mod registration;
mod sessions;
mod transfer;
mod watch;
mod way;

use super::{
    Account, AccountId, CallId, Command, Event, Input, MediaCommand, MediaReport, Output, Password, Phone,
    Settings,
};
use bytes::Bytes;
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status, Writer, response};
use sip_stack::transport::{Flow, ListenerId, Transport};
use sip_stack::{Message, Time};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) fn account() -> Account {
    Account {
        user: "1001".into(),
        domain: "a.example".into(),
        display_name: None,
        password: Password("secret".into()),
        server: flow(),
        expires_s: 600,
    }
}

fn flow() -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: ([192, 0, 2, 1], 5060).into(),
        peer: ([192, 0, 2, 9], 5060).into(),
    }
}

/// Where the RTP of a call is received.
fn ear(call: CallId) -> SocketAddr {
    ([192, 0, 2, 1], 20_000 + 2 * u16::try_from(call.0).unwrap()).into()
}

const CHALLENGE: &[u8] = b"Digest realm=\"a.example\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";
const CALL: CallId = CallId(1);

/// An answer or offer of the peer's, with PCMU.
fn sdp(port: u16, direction: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\na={direction}\r\n"
    )
    .into_bytes()
}

/// The phone, its peer and its audio side.
struct Rig {
    phone: Phone,
    now: Time,
    sent: Vec<Message>,
    events: Vec<Event>,
    media: Vec<MediaCommand>,
    /// The ways that were asked for.
    located: Vec<(AccountId, Option<sip_stack::resolve::Failure>)>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(Settings::default())
    }

    fn with(settings: Settings) -> Rig {
        let phone = Phone::new([3; 32], account(), settings).unwrap();
        let now = Time::from_millis(0);
        Rig { phone, now, sent: Vec::new(), events: Vec::new(), media: Vec::new(), located: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(output) = self.phone.poll_output() {
            match output {
                Output::Transmit(transmit) => self.sent.push(Message::parse(transmit.bytes).unwrap()),
                Output::Event(event) => self.events.push(event),
                Output::Media(command) => {
                    if let MediaCommand::Open { call } = command {
                        let address = ear(call);
                        let opened = Input::Media(MediaReport::Opened { call, address });
                        self.phone.handle_input(self.now, opened).unwrap();
                    }
                    self.media.push(command);
                }
                Output::Locate { account, failed } => self.located.push((account, failed)),
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.phone.handle_input(self.now, Input::Command(command)).unwrap();
        self.drain();
    }

    fn receive(&mut self, bytes: Bytes) {
        self.phone.handle_input(self.now, Input::Received { flow: flow(), bytes }).unwrap();
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.phone.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.phone.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// The last thing sent.
    fn last(&self) -> Message {
        self.sent.last().cloned().unwrap()
    }

    /// Answers the last request of that method.
    fn answer(&mut self, method: Method<'_>, status: u16, add: impl FnOnce(&mut Writer)) {
        let requests = self.sent.iter().rev();
        let request = requests.into_iter().find(|sent| sent.method() == Some(method)).cloned().unwrap();
        let status = Status::new(status).unwrap();
        let mut writer = response(&request, status, None, Some(b"peer"), flow().local);
        add(&mut writer);
        self.receive(writer.finish());
    }

    fn is_over(&mut self) -> bool {
        self.wait(Duration::from_secs(64));
        self.phone.is_idle()
    }
}

/// A request of the peer's; those within a dialog have our tag.
fn request(method: &str, cseq: u32, tag: Option<&[u8]>, body: &[u8]) -> Writer {
    let mut writer = Writer::request(Method::new(method.as_bytes()), b"sip:1001@192.0.2.1:5060");
    let branch = format!("SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-{method}-{cseq}");
    writer.header(HeaderName::Via, branch.as_bytes());
    writer.header(HeaderName::MaxForwards, b"70");
    writer.header(HeaderName::From, b"\"Bob \\\"B\\\"\" <sip:1002@a.example>;tag=peer");
    let tag = tag.map(|tag| [b";tag=", tag].concat()).unwrap_or_default();
    writer.header(HeaderName::To, &[b"<sip:1001@a.example>", &tag[..]].concat());
    writer.header(HeaderName::CallId, b"theirs");
    writer.cseq(cseq, Method::new(method.as_bytes()));
    writer.header(HeaderName::RecordRoute, b"<sip:192.0.2.9;lr>");
    contact(&mut writer);
    if !body.is_empty() {
        writer.body(b"application/sdp", body);
    }
    writer
}

fn rung_with(settings: Settings, body: &[u8]) -> Rig {
    let mut rig = Rig::with(settings);
    rig.receive(request("INVITE", 1, None, body).finish());
    rig
}

/// In a call of the peer's whose 2xx is acknowledged, with our tag.
fn called() -> (Rig, Vec<u8>) {
    let mut rig = rung_with(Settings::default(), &sdp(4_000, "sendrecv"));
    rig.command(Command::Answer { call: CALL });
    let tag = rig.last().to().unwrap().tag().unwrap().to_vec();
    rig.receive(request("ACK", 1, Some(&tag), b"").finish());
    (rig, tag)
}

/// In a call of ours.
fn calling() -> Rig {
    let mut rig = Rig::new();
    rig.command(Command::Call { account: AccountId::FIRST, target: "1002".into() });
    rig
}

/// The status of the last response.
fn status(rig: &Rig) -> u16 {
    rig.last().status().unwrap().code()
}

fn contact(writer: &mut Writer) {
    writer.header(HeaderName::Contact, b"<sip:1002@192.0.2.9>");
}

fn with_sdp(sdp: Vec<u8>) -> impl FnOnce(&mut Writer) {
    move |writer| {
        contact(writer);
        writer.body(b"application/sdp", &sdp);
    }
}

fn authorization(message: &Message) -> String {
    String::from_utf8(message.header(HeaderName::Authorization).unwrap_or_default().to_vec()).unwrap()
}
