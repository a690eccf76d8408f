//! The phones.

use super::text::{self, Head};
use super::{FIRST, Plan};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);
/// How long a step of all phones may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that wait for their answers at once: a socket's buffer has to hold the answers.
const AT_ONCE: usize = 20;

/// Phones that share two sockets.
pub struct Crowd {
    sip: UdpSocket,
    rtp: UdpSocket,
    ours: SocketAddr,
    server: SocketAddr,
    phones: usize,
    /// Tells rounds apart, in Call-IDs and tags.
    round: u32,
    sequence: u32,
    /// Where the sound of each leg goes, by its SSRC.
    legs: Vec<Leg>,
    /// Dialogs of calls that are up, by Call-ID: which call each is of.
    dialogs: BTreeMap<String, usize>,
}

struct Leg {
    to: SocketAddr,
    packet: [u8; 172],
}

/// What BYEs were heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Byes {
    /// Parties that heard one.
    pub heard: usize,
    /// Those in which a Reason stands.
    pub with_reason: usize,
}

impl Crowd {
    /// Phones of the plan's users, which are not registered yet.
    ///
    /// # Panics
    /// The system has no sockets.
    #[must_use]
    pub fn new(plan: &Plan) -> Crowd {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (sip, rtp) = (bind(), bind());
        rtp.set_nonblocking(true).expect("no socket refuses that");
        let ours = sip.local_addr().expect("it is bound");
        let (server, phones) = (plan.address(), plan.phones);
        Crowd {
            sip,
            rtp,
            ours,
            server,
            phones,
            round: 0,
            sequence: 0,
            legs: Vec::new(),
            dialogs: BTreeMap::new(),
        }
    }

    /// Registers all of them for an hour.
    ///
    /// # Panics
    /// One is refused.
    pub fn register_all(&mut self) {
        let contact =
            |user: usize, ours: SocketAddr| format!("Contact: <sip:{user}@{ours}>\r\nExpires: 3600\r\n");
        let registered = self.ask_all("REGISTER", self.phones, |user, _, ours| contact(user, ours));
        assert_eq!(registered.len(), self.phones, "every phone is registered");
    }

    /// Whether the switch has a user: it takes a REGISTER of it.
    ///
    /// # Panics
    /// The switch does not answer.
    pub fn has_user(&mut self, user: usize) -> bool {
        let uri = format!("sip:{}", self.server);
        let mut credentials = String::new();
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "the switch does not answer");
            let (call_id, text) =
                self.request_of("REGISTER", &uri, user, |_, _, _| String::new(), &credentials);
            self.send(&text);
            let is_answer = |message: &Message| text::field(message, HeaderName::CallId) == call_id;
            let Some(answer) = self.receive(Duration::from_millis(500)).filter(is_answer) else { continue };
            match answer.status().map(|status| status.code()) {
                Some(200) => return true,
                Some(401) if credentials.is_empty() => {
                    let line = text::credentials(&answer, "REGISTER", &uri, &user.to_string(), 1);
                    credentials = line.expect("MD5 is offered");
                }
                Some(_) | None => return false,
            }
        }
    }

    /// How many of them the switch says are registered.
    pub fn count_registered(&mut self) -> usize {
        let told = self.ask_all("REGISTER", self.phones, |_, _, _| String::new());
        let is_there = |(user, answer): &(&usize, &Message)| {
            let contact = format!("sip:{user}@");
            answer.list(HeaderName::Contact).any(|value| String::from_utf8_lossy(value).contains(&contact))
        };
        told.iter().filter(is_there).count()
    }

    /// Puts a request of each of the first phones, with credentials once it is challenged; the 200s.
    fn ask_all(
        &mut self,
        method: &str,
        phones: usize,
        further: impl Fn(usize, u32, SocketAddr) -> String,
    ) -> BTreeMap<usize, Message> {
        let uri = format!("sip:{}", self.server);
        let mut answers = BTreeMap::new();
        for group in (FIRST..FIRST + phones).collect::<Vec<_>>().chunks(AT_ONCE) {
            let mut waiting: BTreeMap<String, (usize, String, Instant)> = BTreeMap::new();
            for user in group {
                let text = self.request_of(method, &uri, *user, &further, "");
                self.send(&text.1);
                waiting.insert(text.0, (*user, text.1, Instant::now()));
            }
            let until = Instant::now() + PATIENCE;
            while !waiting.is_empty() {
                assert!(Instant::now() < until, "{method}: {} phones got no answer", waiting.len());
                let Some(message) = self.receive(Duration::from_millis(50)) else {
                    for (_, text, sent) in
                        waiting.values_mut().filter(|(_, _, sent)| sent.elapsed() > FRAME * 25)
                    {
                        *sent = Instant::now();
                        let _lost = self.sip.send_to(text.as_bytes(), self.server);
                    }
                    continue;
                };
                let Some((user, ..)) = waiting.remove(&text::field(&message, HeaderName::CallId)) else {
                    continue;
                };
                match message.status().map(|status| status.code()) {
                    Some(401) => {
                        let line = text::credentials(&message, method, &uri, &user.to_string(), 1);
                        let line = line.expect("MD5 is offered");
                        let again = self.request_of(method, &uri, user, &further, &line);
                        self.send(&again.1);
                        waiting.insert(again.0, (user, again.1, Instant::now()));
                    }
                    Some(200) => {
                        answers.insert(user, message);
                    }
                    status => panic!("{user}: {method} is answered with {status:?}"),
                }
            }
        }
        answers
    }

    /// Call-ID and text of a request outside a dialog.
    fn request_of(
        &mut self,
        method: &str,
        uri: &str,
        user: usize,
        further: impl Fn(usize, u32, SocketAddr) -> String,
        credentials: &str,
    ) -> (String, String) {
        self.sequence += 1;
        let (cseq, ours) = (self.sequence, self.ours);
        let call_id = format!("{method}{cseq}@crowd");
        let from = format!("<sip:{user}@{}>;tag=t{cseq}", self.server);
        let to = format!("<sip:{user}@{}>", self.server);
        let branch = format!("r{cseq}");
        let head = Head { method, uri, ours, branch: &branch, from: &from, to: &to, call_id: &call_id, cseq };
        let further = further(user, cseq, ours) + credentials;
        let text = text::request(&head, &further, "");
        (call_id, text)
    }

    /// Calls in pairs: the first phone the second, and so on, until all talk.
    ///
    /// # Panics
    /// A call does not come about.
    pub fn call_all(&mut self, calls: usize) {
        self.round += 1;
        self.legs.clear();
        self.dialogs.clear();
        for first in (0..calls).step_by(AT_ONCE) {
            self.call_some(first..calls.min(first + AT_ONCE));
        }
        assert_eq!(self.legs.len(), 2 * calls, "every party of every call has sound");
    }

    fn call_some(&mut self, calls: std::ops::Range<usize>) {
        let mut up = BTreeSet::new();
        for call in calls.clone() {
            self.invite(call, 1, "");
        }
        let until = Instant::now() + PATIENCE;
        let mut said = 0;
        while up.len() < calls.len() {
            assert!(Instant::now() < until, "{} of {} calls are up", up.len(), calls.len());
            if said == 0 {
                self.say();
            }
            said = (said + 1) % 16;
            let Some(message) = self.receive(Duration::from_millis(5)) else { continue };
            match (message.method(), message.status().map(|status| status.code())) {
                (Some(Method::Invite), _) => self.answer(&message),
                (Some(_), _) | (None, None | Some(..200)) => {}
                (None, Some(401)) => {
                    let Some(call) = self.call_of(&message) else { continue };
                    self.acknowledge(call, &message, 1);
                    let (caller, uri) = (FIRST + 2 * call, self.callee_uri(call));
                    let line = text::credentials(&message, "INVITE", &uri, &caller.to_string(), 1);
                    self.invite(call, 2, &line.expect("MD5 is offered"));
                }
                (None, Some(200)) => {
                    let Some(call) = self.call_of(&message) else { continue };
                    self.acknowledge(call, &message, 2);
                    if up.insert(call) {
                        self.begin_to_talk(2 * call, message.body());
                    }
                }
                (None, Some(status)) => panic!("an INVITE is answered with {status}"),
            }
        }
    }

    fn callee_uri(&self, call: usize) -> String {
        format!("sip:{}@{}", FIRST + 2 * call + 1, self.server)
    }

    fn call_id(&self, call: usize) -> String {
        format!("call{call}-{}@crowd", self.round)
    }

    /// The call of a response to an INVITE.
    fn call_of(&self, response: &Message) -> Option<usize> {
        let call_id = text::field(response, HeaderName::CallId);
        let (call, round) = call_id.strip_prefix("call")?.strip_suffix("@crowd")?.split_once('-')?;
        if round.parse() != Ok(self.round) { None } else { call.parse().ok() }
    }

    fn invite(&mut self, call: usize, cseq: u32, credentials: &str) {
        let (uri, ours) = (self.callee_uri(call), self.ours);
        let caller = FIRST + 2 * call;
        let (from, to) = (format!("<sip:{caller}@{}>;tag=a{call}", self.server), format!("<{uri}>"));
        let (branch, call_id) = (format!("i{call}-{cseq}-{}", self.round), self.call_id(call));
        let head = Head {
            method: "INVITE",
            uri: &uri,
            ours,
            branch: &branch,
            from: &from,
            to: &to,
            call_id: &call_id,
            cseq,
        };
        let further = format!("Contact: <sip:{caller}@{ours}>\r\n{credentials}");
        let rtp = self.rtp.local_addr().expect("it is bound").port();
        self.send(&text::request(&head, &further, &text::description(rtp)));
        self.dialogs.insert(call_id, call);
    }

    /// ACK: of a failure in its transaction, of a 2xx in one of its own (RFC 3261 §17.1.1.3, §13.2.2.4).
    fn acknowledge(&self, call: usize, response: &Message, cseq: u32) {
        let is_success = response.status().is_some_and(|status| status.is_success());
        let contact = text::field(response, HeaderName::Contact);
        let target = contact.split(['<', '>']).nth(1).map(str::to_owned);
        let uri = if is_success { target } else { None }.unwrap_or_else(|| self.callee_uri(call));
        let kind = if is_success { 'k' } else { 'i' };
        let branch = format!("{kind}{call}-{cseq}-{}", self.round);
        let (from, to) = (text::field(response, HeaderName::From), text::field(response, HeaderName::To));
        let (ours, call_id) = (self.ours, self.call_id(call));
        let head = Head {
            method: "ACK",
            uri: &uri,
            ours,
            branch: &branch,
            from: &from,
            to: &to,
            call_id: &call_id,
            cseq,
        };
        self.send(&text::request(&head, "", ""));
    }

    /// A callee answers at once.
    fn answer(&mut self, invite: &Message) {
        let call_id = text::field(invite, HeaderName::CallId);
        let user: Option<usize> = core::str::from_utf8(invite.request_uri())
            .ok()
            .and_then(|uri| uri.strip_prefix("sip:")?.split('@').next()?.parse().ok());
        let Some(user) = user else { return };
        let (rtp, ours) = (self.rtp.local_addr().expect("it is bound").port(), self.ours);
        let contact = format!("Contact: <sip:{user}@{ours}>\r\n");
        let tag = format!("b{user}-{}", self.round);
        self.send(&text::response(invite, "200 OK", &tag, &contact, &text::description(rtp)));
        // A copy of the INVITE gets the same answer.
        if self.dialogs.insert(call_id, (user - FIRST) / 2).is_none() {
            self.begin_to_talk(user - FIRST, invite.body());
        }
    }

    fn begin_to_talk(&mut self, leg: usize, description: &[u8]) {
        let port = text::sound_port(description).expect("the switch says where its port is");
        let mut packet = [0xff; 172];
        packet[..8].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0]);
        packet[8..12].copy_from_slice(&(self.round * 10_000 + leg as u32 + 1).to_be_bytes());
        for (at, octet) in packet[12..].iter_mut().enumerate() {
            *octet = if at % 20 < 10 { 0x20 } else { 0xa0 };
        }
        self.legs.push(Leg { to: (Ipv4Addr::LOCALHOST, port).into(), packet });
    }

    /// A packet of each party; what comes is thrown away.
    fn say(&mut self) {
        let mut buffer = [0; 256];
        while self.rtp.recv_from(&mut buffer).is_ok() {}
        for leg in &mut self.legs {
            let _lost = self.rtp.send_to(&leg.packet, leg.to);
            let sequence = u16::from_be_bytes([leg.packet[2], leg.packet[3]]).wrapping_add(1);
            let time = u32::from_be_bytes([leg.packet[4], leg.packet[5], leg.packet[6], leg.packet[7]]);
            leg.packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            leg.packet[4..8].copy_from_slice(&time.wrapping_add(160).to_be_bytes());
        }
    }

    /// All talk for so long.
    pub fn talk(&mut self, time: Duration) {
        let begun = Instant::now();
        let mut next = begun;
        while begun.elapsed() < time {
            if Instant::now() >= next {
                self.say();
                next += FRAME;
            }
            let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_micros(100));
            if let Some(message) = self.receive(wait)
                && message.method() == Some(Method::Invite)
            {
                self.answer(&message);
            }
        }
    }

    /// Answers BYEs until every party has heard one, or the time is over.
    pub fn hear_byes(&mut self, time: Duration) -> Byes {
        let until = Instant::now() + time;
        let parties = self.dialogs.len();
        let mut heard = BTreeSet::new();
        let mut with_reason = 0;
        while heard.len() < parties && Instant::now() < until {
            let Some(message) = self.receive(Duration::from_millis(10)) else { continue };
            if message.method() != Some(Method::Bye) {
                continue;
            }
            let call_id = text::field(&message, HeaderName::CallId);
            let is_known = self.dialogs.contains_key(&call_id);
            let status = if is_known { "200 OK" } else { "481 Call/Transaction Does Not Exist" };
            self.send(&text::response(&message, status, "x", "", ""));
            if is_known && heard.insert(call_id) {
                with_reason += usize::from(message.header(HeaderName::Reason).is_some());
            }
        }
        self.dialogs.clear();
        self.legs.clear();
        Byes { heard: heard.len(), with_reason }
    }

    fn send(&self, text: &str) {
        // The switch may be gone; what is lost is asked for again.
        let _lost = self.sip.send_to(text.as_bytes(), self.server);
    }

    fn receive(&self, wait: Duration) -> Option<Message> {
        self.sip.set_read_timeout(Some(wait)).expect("no socket refuses that");
        let mut buffer = [0; 8_192];
        let (length, _) = self.sip.recv_from(&mut buffer).ok()?;
        Message::parse(buffer[..length].to_vec().into()).ok()
    }
}
