//! Phones, trunks and strangers, who do what the lots say, rightly or wrongly.

use crate::world::below;
use bytes::Bytes;
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::random::Random;
use sip_stack::transport::{Flow, ListenerId, Transport};
use std::collections::BTreeMap;
use std::net::SocketAddr;

type Wire = Vec<(Flow, Bytes)>;

/// So many are remembered of everything.
const MOST: usize = 24;
const DOMAIN: &str = "a.example";
const UDP: [&str; 4] = ["192.0.2.7:5070", "203.0.113.44:40001", "198.51.100.9:5060", "192.0.2.8:5060"];
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";
const OTHER_SDP: &str = "v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 4000 RTP/AVP 18\r\n";
const VIDEO_SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
    m=video 4004 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
const FAX_SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=image 4006 udptl t38\r\n";

const PIDF: &str = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:1000@a.example\"><tuple id=\"1\"><status>\
    <basic>closed</basic></status></tuple></presence>";
const EVENTS: [&str; 6] = ["dialog", "dialog", "presence", "message-summary", "reg", "conference"];

/// A dialog, or an attempt at one.
#[derive(Clone, Debug)]
struct Party {
    flow: Flow,
    user: String,
    uri: String,
    from: String,
    to: String,
    call_id: String,
    cseq: u32,
    /// CSeq of its last INVITE.
    invite: u32,
}

/// A request that may be challenged.
#[derive(Clone, Debug)]
struct Draft {
    party: Party,
    method: &'static str,
    fields: String,
    body: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct Outside {
    parties: Vec<Party>,
    drafts: BTreeMap<String, Draft>,
    /// Requests of the switch that may be answered, also more than once.
    asked: Vec<(Flow, Message)>,
    connections: Vec<Flow>,
    /// Counts Call-IDs, tags and ports.
    count: u32,
    /// The last challenge, and how often it was answered.
    challenge: Vec<u8>,
    nonce_count: u32,
}

impl Outside {
    fn next(&mut self) -> u32 {
        self.count += 1;
        self.count
    }

    /// A way to the switch, an old or a new one.
    fn flow(&mut self, lots: &mut Random) -> Flow {
        let known = below(lots, 2 * self.connections.len() + 2);
        if let Some(flow) = self.connections.get(known) {
            return *flow;
        }
        let (listener, transport, port) = match below(lots, 8) {
            0 => (1, Transport::Tcp, 5060),
            1 => (2, Transport::Tls, 5061),
            2 => (3, Transport::Ws, 8080),
            _ => (0, Transport::Udp, 5060),
        };
        let peer = match transport {
            Transport::Udp => UDP[below(lots, UDP.len())].parse().expect("an address"),
            _ => {
                SocketAddr::from(([192, 0, 2, 7], 20_000 + u16::try_from(self.next() % 10_000).unwrap_or(0)))
            }
        };
        let flow =
            Flow { listener: ListenerId(listener), transport, local: ([192, 0, 2, 1], port).into(), peer };
        if transport != Transport::Udp {
            self.connections.push(flow);
        }
        flow
    }

    /// A connection ends; whether the switch hears of it is another matter.
    pub(crate) fn hang_up_a_connection(&mut self, lots: &mut Random) -> Option<Flow> {
        let index = below(lots, self.connections.len());
        let ended = (index < self.connections.len()).then(|| self.connections.swap_remove(index));
        ended.filter(|_| below(lots, 3) > 0)
    }

    fn party(&mut self, lots: &mut Random, uri: String) -> Party {
        let (flow, n) = (self.flow(lots), self.next());
        let user = ["1000", "1000", "1001", "1001", "1001", "1002", "1004", "1005"][below(lots, 8)];
        let from = format!("<sip:{user}@{DOMAIN}>;tag=f{n}");
        let to = format!("<{uri}>");
        Party { flow, user: user.into(), uri, from, to, call_id: format!("c{n}"), cseq: 1, invite: 0 }
    }

    pub(crate) fn register(&mut self, lots: &mut Random, wire: &mut Wire) {
        let mut party = self.party(lots, format!("sip:{DOMAIN}"));
        let (user, peer) = (party.user.clone(), party.flow.peer);
        party.to = format!("<sip:{user}@{DOMAIN}>");
        if below(lots, 2) == 0 {
            // the same phone again
            party.call_id = format!("r{user}");
            party.cseq = self.next();
        }
        let contacts = [
            format!("<sip:{user}@{peer}>"),
            format!("<sip:{user}@10.0.0.{}:5070>", below(lots, 3)),
            format!(
                "<sip:{user}@{peer};transport={}>;expires={}",
                party.flow.transport.name(),
                below(lots, 400)
            ),
            format!(
                "<sip:{user}@{peer}>;+sip.instance=\"<urn:uuid:{}>\";reg-id={}",
                below(lots, 2),
                below(lots, 3)
            ),
            format!("<sip:{user}@x.invalid>;q=0.5;+sip.instance=\"<urn:uuid:{}>\"", below(lots, 2)),
        ];
        let contact = match below(lots, 12) {
            0 => "*".into(),
            1 => format!("{},{}", contacts[0], contacts[1]),
            2 => String::new(),
            _ => contacts[below(lots, contacts.len())].clone(),
        };
        let contact = if contact.is_empty() { contact } else { format!("Contact: {contact}\r\n") };
        let expires = ["", "Expires: 0\r\n", "Expires: 30\r\n", "Expires: 3600\r\n", "Expires: 1\r\n"];
        let more = [
            "",
            "",
            "Supported: outbound, path\r\n",
            "Path: <sip:198.51.100.9;lr>\r\nSupported: path\r\n",
            "Path: <sip:p.example;lr;ob>\r\n",
        ];
        let fields =
            format!("{contact}{}{}", expires[below(lots, expires.len())], more[below(lots, more.len())]);
        self.send(lots, Draft { party, method: "REGISTER", fields, body: "" }, wire);
    }

    pub(crate) fn call(&mut self, lots: &mut Random, wire: &mut Wire) {
        let number =
            ["1000", "1000", "1001", "1001", "1004", "9001", "8001", "8001", "7001", "7001", "3001", "555"];
        let uri = format!("sip:{}@{DOMAIN}", number[below(lots, number.len())]);
        let mut party = self.party(lots, uri);
        party.invite = party.cseq;
        let body = [SDP, SDP, SDP, "", OTHER_SDP, VIDEO_SDP, FAX_SDP, "v=0\r\nm=nothing\r\n"][below(lots, 8)];
        let fields = contact(&party);
        self.send(lots, Draft { party, method: "INVITE", fields, body }, wire);
    }

    pub(crate) fn ask(&mut self, lots: &mut Random, wire: &mut Wire) {
        let method =
            ["OPTIONS", "MESSAGE", "SUBSCRIBE", "SUBSCRIBE", "SUBSCRIBE", "PUBLISH", "BYE"][below(lots, 7)];
        let whom = ["1000", "1000", "1001", "1001", "1004", "3001"][below(lots, 6)];
        let mut party = self.party(lots, format!("sip:{whom}@{DOMAIN}"));
        let (mut fields, mut body) = (String::new(), "");
        match method {
            "SUBSCRIBE" => fields = contact(&party) + &wish(lots),
            "PUBLISH" => {
                party.uri = format!("sip:{}@{DOMAIN}", party.user);
                body = [PIDF, PIDF, "", "nonsense"][below(lots, 4)];
                let tag = ["", "", "SIP-If-Match: x\r\n"][below(lots, 3)];
                fields = format!("Event: presence\r\nExpires: {}\r\n{tag}", 60 + below(lots, 400));
            }
            _ => {}
        }
        self.send(lots, Draft { party, method, fields, body }, wire);
    }

    /// Something within a dialog, or about an INVITE.
    pub(crate) fn go_on(&mut self, lots: &mut Random, wire: &mut Wire) {
        let index = below(lots, self.parties.len());
        let Some(party) = self.parties.get_mut(index) else { return };
        let sdp = [SDP, SDP, "", OTHER_SDP, VIDEO_SDP, FAX_SDP][below(lots, 6)];
        let (method, body, about_invite) = match below(lots, 10) {
            0..2 => ("CANCEL", "", true),
            2..5 => ("ACK", sdp, true),
            5..7 => ("BYE", "", false),
            7 => ("INVITE", sdp, false),
            8 => {
                (["OPTIONS", "INFO", "UPDATE", "PRACK", "SUBSCRIBE", "SUBSCRIBE"][below(lots, 6)], "", false)
            }
            _ => {
                self.parties.swap_remove(index);
                return;
            }
        };
        if about_invite {
            let mut party = party.clone();
            party.cseq = party.invite;
            let branch = if method == "CANCEL" { "INVITE" } else { "ACK" };
            wire.push((party.flow, write(&party, method, branch, "", body)));
            return;
        }
        party.cseq += 1;
        if method == "INVITE" {
            party.invite = party.cseq;
        }
        let party = party.clone();
        let mut fields = contact(&party);
        if method == "SUBSCRIBE" {
            fields += &wish(lots);
        }
        if method == "INFO" {
            fields += ["Record: on\r\n", "Record: off\r\n", ""][below(lots, 3)];
        }
        wire.push((party.flow, write(&party, method, method, &fields, body)));
    }

    /// Answers a request of the switch, for the first time or again.
    pub(crate) fn answer(&mut self, lots: &mut Random, wire: &mut Wire) {
        let newest = self.asked.len().saturating_sub(1);
        let index = if below(lots, 3) == 0 { below(lots, newest) } else { newest };
        let Some((flow, request)) = self.asked.get(index).cloned() else { return };
        if below(lots, 3) > 0 {
            self.asked.remove(index);
        }
        let is_invite = request.method() == Some(Method::Invite);
        let status = match (is_invite, below(lots, 20)) {
            (true, 0) => "100 Trying",
            (true, 1..4) => "180 Ringing",
            (true, 4) => "183 Session Progress",
            (_, 5) => "503 Service Unavailable\r\nRetry-After: 20",
            (_, 6) => "486 Busy Here",
            (_, 7) => "408 Request Timeout",
            (_, 8) => ["302 Moved", "401 Unauthorized", "430 Flow Failed", "603 Decline", "404 Not Found"]
                [below(lots, 5)],
            _ => "200 OK",
        };
        let body = match (is_invite, status) {
            (true, "200 OK" | "183 Session Progress") => {
                [SDP, SDP, SDP, OTHER_SDP, VIDEO_SDP, FAX_SDP, ""][below(lots, 7)]
            }
            (true | false, _) => "",
        };
        let field = |name| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
        let [via, from, to, call_id, cseq] =
            [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
                .map(field);
        // overload feedback of a trunk (RFC 7339)
        let feedback =
            [";oc=100;oc-algo=\"loss\";oc-validity=3000;oc-seq=1.1", ";oc;oc-algo=\"loss\""][below(lots, 2)];
        let via = via.replace(";oc;oc-algo=\"loss\"", feedback);
        // a phone that forks has several tags
        let to = if to.contains(";tag=") { to } else { format!("{to};tag=t{}", below(lots, 2)) };
        let peer = flow.peer;
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Contact: <sip:x@{peer}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        wire.push((flow, text.into()));
        if is_invite {
            let contact = field(HeaderName::Contact);
            let uri = contact.trim_matches(['<', '>']).to_owned();
            let user = String::new();
            self.remember(Party { flow, user, uri, from: to, to: from, call_id, cseq: 100, invite: 100 });
        }
    }

    /// Bytes that are no message, or one with a few of them changed.
    pub(crate) fn babble(&mut self, lots: &mut Random, wire: &mut Wire) {
        let flow = self.flow(lots);
        let mut bytes = match wire.get(below(lots, wire.len())) {
            Some((_, bytes)) => bytes.to_vec(),
            None => lots.token::<36>().to_vec(),
        };
        for _ in 0..=below(lots, 4) {
            let at = below(lots, bytes.len());
            bytes[at] = lots.next_u32().to_le_bytes()[0];
        }
        wire.push((flow, bytes.into()));
    }

    /// Takes a message of the switch.
    pub(crate) fn take(&mut self, lots: &mut Random, flow: Flow, message: Message, wire: &mut Wire) {
        let Some(status) = message.status() else {
            if message.method() != Some(Method::Ack) {
                self.asked.push((flow, message));
                let surplus = self.asked.len().saturating_sub(MOST);
                self.asked.drain(..surplus);
            }
            return;
        };
        let field = |name| String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned();
        let call_id = field(HeaderName::CallId);
        let Ok(cseq) = message.cseq() else { return };
        let is_invite = cseq.method == Method::Invite;
        if let Some(party) = self.parties.iter_mut().find(|party| party.call_id == call_id) {
            if is_invite && status.code() >= 300 && below(lots, 5) > 0 {
                let ack = Party { cseq: cseq.number, to: field(HeaderName::To), ..party.clone() };
                wire.push((flow, write(&ack, "ACK", "INVITE", "", "")));
            }
            if cseq.method == Method::Subscribe && status.is_success() {
                party.to = field(HeaderName::To);
            }
            if is_invite && (101..300).contains(&status.code()) {
                party.to = field(HeaderName::To);
            }
            if is_invite && status.is_success() && below(lots, 3) > 0 {
                let ack = Party { cseq: cseq.number, ..party.clone() };
                wire.push((flow, write(&ack, "ACK", "ACK", "", [SDP, ""][below(lots, 2)])));
            }
        }
        if status != Status::UNAUTHORIZED {
            return;
        }
        let challenge = message.header(HeaderName::WwwAuthenticate).unwrap_or_default();
        (self.challenge, self.nonce_count) = (challenge.to_vec(), 0);
        if let Some(mut draft) = self.drafts.remove(&call_id).filter(|_| below(lots, 10) > 0) {
            draft.party.cseq += 1;
            if draft.method == "INVITE" {
                draft.party.invite = draft.party.cseq;
            }
            if matches!(draft.method, "INVITE" | "SUBSCRIBE") {
                self.remember(draft.party.clone());
            }
            self.write_draft(lots, &draft, wire);
        }
    }

    fn write_draft(&mut self, lots: &mut Random, draft: &Draft, wire: &mut Wire) {
        let fields = draft.fields.clone() + &self.credentials(lots, draft);
        wire.push((draft.party.flow, write(&draft.party, draft.method, draft.method, &fields, draft.body)));
    }

    /// An answer to the last challenge.
    fn credentials(&mut self, lots: &mut Random, draft: &Draft) -> String {
        if self.challenge.is_empty() {
            return String::new();
        }
        self.nonce_count += 1;
        let password: &[u8] = if below(lots, 20) == 0 { b"sesame" } else { b"secret" };
        let answer = Answer {
            method: draft.method.as_bytes(),
            uri: draft.party.uri.as_bytes(),
            user: draft.party.user.as_bytes(),
            secret: Secret::Password(password),
            cnonce: b"c",
            nc: self.nonce_count,
            body: b"",
        };
        let mut value = Vec::new();
        let challenge = Challenge::parse(&self.challenge).expect("a challenge of the switch parses");
        challenge.answer(&answer, &mut value).expect("it can be answered");
        format!("Authorization: {}\r\n", String::from_utf8(value).expect("ASCII"))
    }

    fn send(&mut self, lots: &mut Random, draft: Draft, wire: &mut Wire) {
        self.write_draft(lots, &draft, wire);
        let party = &draft.party;
        if matches!(draft.method, "INVITE" | "SUBSCRIBE") {
            self.remember(party.clone());
        }
        if below(lots, 16) > 0 {
            self.drafts.insert(party.call_id.clone(), draft);
        }
        while self.drafts.len() > MOST {
            self.drafts.pop_first();
        }
    }

    /// One party for a dialog: the one with the latest CSeq.
    fn remember(&mut self, party: Party) {
        self.parties.retain(|known| (&known.call_id, &known.from) != (&party.call_id, &party.from));
        self.parties.push(party);
        let surplus = self.parties.len().saturating_sub(MOST);
        self.parties.drain(..surplus);
    }
}

/// What a SUBSCRIBE asks for.
fn wish(lots: &mut Random) -> String {
    let (event, expires_s) =
        (EVENTS[below(lots, EVENTS.len())], [0, 59, 60, 120, 300, 9_999][below(lots, 6)]);
    format!("Event: {event}\r\nExpires: {expires_s}\r\n")
}

fn contact(party: &Party) -> String {
    format!("Contact: <sip:{}@{}>\r\n", party.user, party.flow.peer)
}

/// A request; `branch` names the one whose branch it has.
fn write(party: &Party, method: &str, branch: &str, fields: &str, body: &str) -> Bytes {
    let Party { flow, uri, from, to, call_id, cseq, .. } = party;
    let (name, peer) = (flow.transport.name(), flow.peer);
    let content = match body {
        "" => "",
        PIDF | "nonsense" => "Content-Type: application/pidf+xml\r\n",
        _ => "Content-Type: application/sdp\r\n",
    };
    let length = body.len();
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{name} {peer};branch=z9hG4bK{call_id}.{cseq}.{branch}\r\n\
         Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
         {fields}{content}Content-Length: {length}\r\n\r\n{body}"
    )
    .into()
}
