//! A reference model of transactions and dialogs (RFC 3261 §9, §12–§15, §17; RFC 3262; RFC 6026), which knows nothing of the
//! machines: it is told each datagram that leaves a party and each that arrives at one, and complains ([`Offence`]) of whatever
//! a party must not do after what it has sent and heard.
//!
//! It is not told what a user wants: silence is a fault only where a rule asks for an answer. A dialog that a proxy
//! recorded itself in is judged by its Route fields. Offers and answers (RFC 3264) are judged in `offers`, subscriptions (RFC 6665) in
//! `events`. Left out on purpose: authentication, streams.
//!
//! [`sabotage`] plants faults, [`town`] is a world of bare endpoints, [`tape`] keeps what has happened to judge it again with faults.

mod dialog;
mod events;
mod offence;
mod offers;
pub mod sabotage;
pub mod tape;
pub mod town;
mod transaction;
pub mod user;

pub use offence::{Complaint, Offence};

use bytes::Bytes;
use dialog::{Ack, Dialog, DialogKey, Side};
use events::is_of_subscription;
use sip_stack::Time;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use softphone::scenario::network::Datagram;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use transaction::{Client, Sent, Server, TransactionKey};

/// What has happened on the wire, and what was wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    clients: BTreeMap<TransactionKey, Client>,
    /// By who has to answer.
    servers: BTreeMap<(SocketAddr, TransactionKey), Server>,
    dialogs: BTreeMap<DialogKey, Dialog>,
    subscriptions: events::Subscriptions,
    offers: offers::Offers,
    /// What has left and what has arrived, so that copies are told from the first.
    left: BTreeSet<(SocketAddr, Bytes)>,
    arrived: BTreeSet<(SocketAddr, Bytes)>,
    complaints: Vec<Complaint>,
    /// Call-IDs that were seen, and those that nothing is asked of any more.
    seen: BTreeSet<Bytes>,
    excused: BTreeSet<Bytes>,
    /// When it was last looked for what had to be done at once.
    checked: Time,
}

/// The parts of a message that the rules are about.
struct Parts {
    message: Message,
    method: Bytes,
    branch: Bytes,
    call_id: Bytes,
    from_tag: Bytes,
    to_tag: Bytes,
    cseq: u32,
}

impl Parts {
    fn of(bytes: &Bytes) -> Option<Parts> {
        let message = Message::parse(bytes.clone()).ok()?;
        let (from, to, via, cseq) =
            (message.from().ok()?, message.to().ok()?, message.via().ok()?, message.cseq().ok()?);
        let copy = Bytes::copy_from_slice;
        Some(Parts {
            method: copy(cseq.method.as_bytes()),
            branch: copy(via.branch?),
            call_id: copy(message.call_id().ok()?),
            from_tag: copy(from.tag().unwrap_or_default()),
            to_tag: copy(to.tag().unwrap_or_default()),
            cseq: cseq.number,
            message,
        })
    }

    fn is(&self, method: Method<'_>) -> bool {
        *self.method == *method.as_bytes()
    }

    fn key(&self, client: SocketAddr) -> TransactionKey {
        (client, self.branch.clone(), self.method.clone())
    }

    fn invite_key(&self, client: SocketAddr) -> TransactionKey {
        (client, self.branch.clone(), Bytes::from_static(b"INVITE"))
    }

    fn routes(&self, name: HeaderName) -> Vec<Bytes> {
        self.message.list(name).map(Bytes::copy_from_slice).collect()
    }

    fn contact(&self) -> Option<Bytes> {
        let contact = self.message.contact().ok()??;
        Some(Bytes::copy_from_slice(contact.uri.text))
    }

    fn rseq(&self) -> Option<u32> {
        self.message.rseq().ok()?.filter(|_| self.message.requires("100rel"))
    }
}

/// The first line of a message and its CSeq.
fn line(bytes: &[u8]) -> String {
    let first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let cseq = bytes.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"CSeq:")).unwrap_or_default();
    format!("{} [{}]", first.escape_ascii(), cseq.trim_ascii().escape_ascii())
}

/// Whether it is SIP: its messages begin with a letter, RTP does not.
fn is_sip(datagram: &Datagram) -> bool {
    datagram.bytes.first().is_some_and(u8::is_ascii_uppercase)
}

impl Model {
    /// What was wrong, in its order.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// What was wrong, for the message of a failed test; empty when nothing was.
    pub fn report(&self) -> String {
        self.complaints.iter().map(|complaint| format!("{complaint}\n")).collect()
    }

    /// A datagram leaves its sender.
    pub fn sent(&mut self, now: Time, datagram: &Datagram) {
        if !is_sip(datagram) {
            return;
        }
        self.check(now);
        let party = datagram.from;
        let Some(parts) = Parts::of(&datagram.bytes) else {
            return self.complain(now, party, Offence::Unreadable, &datagram.bytes);
        };
        if self.is_excused(&parts) {
            return;
        }
        let offence = match parts.message.status() {
            Some(status) => self.response_sent(now, datagram, &parts, status.code()),
            None if parts.is(Method::Ack) => self.ack_sent(datagram, &parts),
            None => self.request_sent(now, datagram, &parts),
        };
        let mut offences: Vec<Offence> = offence.into_iter().collect();
        if self.left.insert((party, datagram.bytes.clone())) {
            let status = parts.message.status().map(sip_stack::message::Status::code);
            offences.extend(self.subscriptions.sent(datagram, &parts, status));
            offences.extend(self.offers.sent(now, party, &parts, status));
        }
        for offence in offences {
            self.complain(now, party, offence, &datagram.bytes);
        }
    }

    /// A datagram arrives at its receiver.
    pub fn delivered(&mut self, now: Time, datagram: &Datagram) {
        if !is_sip(datagram) {
            return;
        }
        self.check(now);
        let Some(parts) = Parts::of(&datagram.bytes).filter(|parts| !self.is_excused(parts)) else { return };
        let status = parts.message.status().map(sip_stack::message::Status::code);
        if self.arrived.insert((datagram.to, datagram.bytes.clone())) {
            self.offers.came(now, datagram.to, &parts, status);
            if let Some(status) = status {
                self.subscriptions.response_came(&parts, status);
            }
        }
        match parts.message.status() {
            Some(status) => self.response_came(now, datagram, &parts, status.code()),
            None if parts.is(Method::Ack) => self.ack_came(datagram, &parts),
            None => self.request_came(now, datagram, &parts),
        }
    }

    /// Somebody was killed and began anew: nothing is asked of anybody in what there was before.
    pub fn forget(&mut self) {
        self.clients.clear();
        self.servers.clear();
        self.dialogs.clear();
        self.subscriptions.forget();
        self.offers.forget();
        self.excused.append(&mut self.seen);
    }

    fn is_excused(&mut self, parts: &Parts) -> bool {
        self.seen.insert(parts.call_id.clone());
        self.excused.contains(&parts.call_id)
    }

    /// Dialogs that go on for a party, as far as the wire tells.
    pub fn dialogs(&self, party: SocketAddr) -> usize {
        let sides = self.dialogs.values().flat_map(|dialog| &dialog.sides);
        sides.filter(|side| side.party == party && side.confirmed && !side.is_over()).count()
    }

    /// Everybody has hung up, and time has run until nothing was left to do: what is owed now will never come.
    pub fn end(&mut self, now: Time) {
        self.check(now + core::time::Duration::from_nanos(1));
        let mut owed = Vec::new();
        for ((server, _), asked) in &self.servers {
            if asked.finally.is_none() {
                owed.push((*server, Offence::NeverAnswered, asked.line.clone()));
            }
        }
        for (key, dialog) in &self.dialogs {
            let about = || format!("dialog {}", key.0.escape_ascii());
            for side in &dialog.sides {
                if side.acks.values().any(|ack| ack.sent.is_none()) {
                    owed.push((side.party, Offence::NeverAcknowledged, about()));
                }
                if side.confirmed && !side.is_over() {
                    owed.push((side.party, Offence::NeverEnded, about()));
                }
            }
            let [caller, _] = &dialog.sides;
            if caller.reliable.values().any(|acknowledged| !acknowledged) {
                owed.push((caller.party, Offence::NeverPracked, about()));
            }
        }
        owed.extend(self.subscriptions.owed());
        let complaints = owed.into_iter();
        self.complaints.extend(complaints.map(|(party, offence, about)| Complaint {
            at: now,
            party,
            offence,
            about,
        }));
    }

    fn complain(&mut self, at: Time, party: SocketAddr, offence: Offence, bytes: &[u8]) {
        self.complaints.push(Complaint { at, party, offence, about: line(bytes) });
    }

    /// What had to be done at once, at a time that is over.
    fn check(&mut self, now: Time) {
        if now <= self.checked {
            return;
        }
        self.checked = now;
        let mut late = Vec::new();
        for (key, dialog) in &mut self.dialogs {
            for side in &mut dialog.sides {
                let party = side.party;
                let unanswered = |ack: &&mut Ack| ack.sent.is_some() && ack.due > 0 && ack.asked < now;
                for ack in side.acks.values_mut().filter(unanswered) {
                    ack.due = 0;
                    late.push((ack.asked, party, format!("dialog {}", key.0.escape_ascii())));
                }
            }
        }
        for ((party, ..), client) in &mut self.clients {
            if client.acks_due > 0 && client.asked < now {
                client.acks_due = 0;
                late.push((client.asked, *party, client.line.clone()));
            }
        }
        let late = late.into_iter();
        self.complaints.extend(late.map(|(at, party, about)| Complaint {
            at,
            party,
            offence: Offence::AckNotRepeated,
            about,
        }));
    }

    /// The dialog of a request that `party` sends (`ours`) or receives, and its place in it.
    fn dialog_of(&self, parts: &Parts, party: SocketAddr) -> Option<(DialogKey, usize)> {
        let keys = [(&parts.from_tag, &parts.to_tag), (&parts.to_tag, &parts.from_tag)];
        keys.into_iter().find_map(|(caller, callee)| {
            let key = (parts.call_id.clone(), caller.clone(), callee.clone());
            let sides = &self.dialogs.get(&key)?.sides;
            let place = sides.iter().position(|side| side.party == party)?;
            // The tag in From is that of the sender.
            Some((key, place))
        })
    }

    fn side(&mut self, at: &(DialogKey, usize)) -> Option<&mut Side> {
        self.dialogs.get_mut(&at.0)?.sides.get_mut(at.1)
    }

    fn request_sent(&mut self, now: Time, datagram: &Datagram, parts: &Parts) -> Option<Offence> {
        let key = parts.key(datagram.from);
        if let Some(client) = self.clients.get_mut(&key) {
            return client.on_again(now, &datagram.bytes);
        }
        let is_invite = parts.is(Method::Invite);
        let mut client = Client::new(now, &datagram.bytes, is_invite, parts.cseq);
        let mut offence = None;
        if parts.is(Method::Cancel) {
            let invite = self.clients.get_mut(&parts.invite_key(datagram.from));
            let pending = invite.is_some_and(|invite| {
                invite.cancelled = Some(now);
                invite.cseq == parts.cseq && invite.provisional && invite.finally.is_none()
            });
            offence = (!pending).then_some(Offence::StrangeCancel);
        } else if !parts.to_tag.is_empty() && !parts.is(Method::Register) && !is_of_subscription(parts) {
            let at = self.dialog_of(parts, datagram.from).filter(|(key, place)| {
                let ours = if *place == 0 { &key.1 } else { &key.2 };
                *ours == parts.from_tag
            });
            let Some(at) = at.filter(|at| self.side(at).is_some_and(|side| side.knows)) else {
                self.clients.insert(key, client);
                return Some(Offence::StrangeDialog);
            };
            client.dialog = Some(at.0.clone());
            let busy = is_invite && self.is_inviting(&at);
            offence = self.side(&at).and_then(|side| request_in_dialog(side, parts, busy));
        }
        self.clients.insert(key, client);
        offence
    }

    /// Whether an INVITE is in progress in a dialog, as that side knows (§14.1).
    fn is_inviting(&self, (key, place): &(DialogKey, usize)) -> bool {
        let Some(party) = self.dialogs.get(key).and_then(|dialog| dialog.sides.get(*place)) else {
            return false;
        };
        let ours = self.clients.iter().any(|((client, ..), sent)| {
            *client == party.party
                && sent.is_invite
                && sent.finally.is_none()
                && sent.dialog.as_ref() == Some(key)
        });
        let theirs = self.servers.iter().any(|((server, _), asked)| {
            *server == party.party
                && asked.is_invite
                && asked.finally.is_none()
                && asked.dialog.as_ref() == Some(key)
        });
        ours || theirs
    }

    fn ack_sent(&mut self, datagram: &Datagram, parts: &Parts) -> Option<Offence> {
        let key = parts.invite_key(datagram.from);
        if let Some(client) =
            self.clients.get_mut(&key).filter(|client| client.finally.is_some_and(|status| status >= 300))
        {
            return client.on_ack(&datagram.bytes);
        }
        let Some(at) = self.dialog_of(parts, datagram.from) else { return Some(Offence::StrangeAck) };
        let side = self.side(&at)?;
        if *side.target != *parts.message.request_uri() && side.routes.is_empty() {
            return Some(Offence::WrongTarget);
        }
        side.on_ack(parts.cseq, &datagram.bytes)
    }

    fn response_sent(
        &mut self,
        now: Time,
        datagram: &Datagram,
        parts: &Parts,
        status: u16,
    ) -> Option<Offence> {
        let key = parts.key(datagram.to);
        let Some(server) = self.servers.get_mut(&(datagram.from, key)) else { return Some(Offence::Unasked) };
        let repeated = server.copy == now;
        let first = server.finally.is_none();
        let offence = server.on_response(now, status, &datagram.bytes);
        let (dialog, came) = (server.dialog.clone(), server.came);
        // To a NOTIFY it says that the subscription is gone (RFC 6665 §4.1.3).
        let denied = first && status == 481 && !parts.is(Method::Notify);
        if let Some(dialog) = dialog.filter(|_| denied) {
            let sides = self.dialogs.get(&dialog).map(|dialog| &dialog.sides);
            let alive = sides
                .into_iter()
                .flatten()
                .any(|side| side.party == datagram.from && side.confirmed && !side.is_over() && came <= now);
            // Who has hung up meanwhile lets its BYE wait for the ACK (§15).
            if alive && !self.awaits_ack(datagram.from, &dialog) {
                return Some(Offence::DialogForgotten);
            }
        }
        let creates = parts.is(Method::Invite) && (101..300).contains(&status) && !parts.to_tag.is_empty();
        if creates {
            self.invite_answered(datagram, parts, status);
            if let (Some(rseq), Some(at)) = (parts.rseq(), self.dialog_of(parts, datagram.from)) {
                let side = self.side(&at)?;
                return offence.or(side.on_reliable_sent(parts.cseq, rseq, repeated));
            }
        }
        offence
    }

    /// Whether a 2xx of a party in a dialog has not been acknowledged.
    fn awaits_ack(&self, party: SocketAddr, (call_id, caller, callee): &DialogKey) -> bool {
        self.servers.iter().any(|((server, _), asked)| {
            let answer = asked.finally.as_ref().filter(|(status, _)| *status < 300);
            let is_open = *server == party && asked.is_invite && !asked.acknowledged;
            is_open
                && answer.and_then(|(_, bytes)| Parts::of(bytes)).is_some_and(|answer| {
                    let tags = (&answer.from_tag, &answer.to_tag);
                    answer.call_id == *call_id && (tags == (caller, callee) || tags == (callee, caller))
                })
        })
    }

    /// The callee's side of a dialog is there, or goes on.
    fn invite_answered(&mut self, datagram: &Datagram, parts: &Parts, status: u16) {
        if self.dialog_of(parts, datagram.from).is_none() {
            let key = (parts.call_id.clone(), parts.from_tag.clone(), parts.to_tag.clone());
            let client = self.clients.get(&parts.invite_key(datagram.to));
            let invite = client.and_then(|client| Parts::of(&client.bytes));
            let target = invite.as_ref().and_then(Parts::contact).unwrap_or_default();
            let caller = Side::new(datagram.to, parts.cseq, Bytes::new());
            let callee = Side::new(datagram.from, 0, target);
            self.dialogs.insert(key, Dialog { sides: [caller, callee] });
        }
        let Some(at) = self.dialog_of(parts, datagram.from) else { return };
        let routes = parts.routes(HeaderName::RecordRoute);
        let Some(side) = self.side(&at) else { return };
        side.knows = true;
        side.confirmed |= status >= 200;
        if at.1 == 1 {
            side.routes = routes;
        }
    }

    fn request_came(&mut self, now: Time, datagram: &Datagram, parts: &Parts) {
        let key = (datagram.to, parts.key(datagram.from));
        if let Some(server) = self.servers.get_mut(&key) {
            server.copy = now;
            return;
        }
        let in_dialog = !parts.to_tag.is_empty() && !parts.is(Method::Cancel);
        let at = if in_dialog { self.dialog_of(parts, datagram.to) } else { None };
        let mut dialog = None;
        if let Some(side) = at.as_ref().and_then(|at| self.side(at)) {
            // Once it is over, it may be forgotten.
            let alive = side.knows && !side.is_over();
            if alive && (parts.is(Method::Invite) || parts.is(Method::Update)) {
                side.target = parts.contact().unwrap_or_else(|| side.target.clone());
            }
            side.heard_bye |= parts.is(Method::Bye);
            if let (true, Ok(rack)) = (parts.is(Method::Prack), parts.message.rack())
                && let Some(acknowledged) = side.reliable.get_mut(&(rack.cseq, rack.rseq))
            {
                *acknowledged = true;
            }
            dialog = at.filter(|_| alive && !parts.is(Method::Prack)).map(|at| at.0);
        }
        let server = Server {
            line: line(&datagram.bytes),
            is_invite: parts.is(Method::Invite),
            came: now,
            copy: now,
            finally: None,
            sent: Sent::default(),
            acknowledged: false,
            dialog,
        };
        self.servers.insert(key, server);
    }

    fn ack_came(&mut self, datagram: &Datagram, parts: &Parts) {
        // That of a failure has the branch of its INVITE, that of a 2xx the number.
        let of_failure = (datagram.to, parts.invite_key(datagram.from));
        if let Some(server) = self.servers.get_mut(&of_failure) {
            server.acknowledged = true;
            return;
        }
        let acknowledged = |server: &&mut Server| {
            server
                .finally
                .as_ref()
                .and_then(|(status, bytes)| Some((*status, Parts::of(bytes)?)))
                .is_some_and(|(status, answer)| {
                    status < 300
                        && answer.call_id == parts.call_id
                        && answer.cseq == parts.cseq
                        && (&answer.from_tag, &answer.to_tag) == (&parts.from_tag, &parts.to_tag)
                })
        };
        let servers =
            self.servers.iter_mut().filter(|((server, _), asked)| *server == datagram.to && asked.is_invite);
        servers.map(|(_, server)| server).filter(acknowledged).for_each(|server| server.acknowledged = true);
    }

    fn response_came(&mut self, now: Time, datagram: &Datagram, parts: &Parts, status: u16) {
        let client = self.clients.get_mut(&parts.key(datagram.to)).filter(|client| !client.is_past(now));
        let Some(client) = client else { return };
        let given_up = client.finally.is_some();
        client.on_response(now, status);
        let taken = client.finally.is_none_or(|first| first < 300);
        if !parts.is(Method::Invite) || !(101..300).contains(&status) || !taken {
            return;
        }
        let Some(at) = self.dialog_of(parts, datagram.to) else { return };
        let (contact, rseq) = (parts.contact(), parts.rseq());
        let mut routes = parts.routes(HeaderName::RecordRoute);
        routes.reverse();
        let Some(side) = self.side(&at) else { return };
        if !side.confirmed && at.1 == 0 && !(status < 200 && given_up) {
            side.routes = routes;
        }
        side.knows |= status >= 200 || !given_up;
        match (status, rseq) {
            (200.., _) => {
                side.target = contact.unwrap_or_else(|| side.target.clone());
                side.confirmed = true;
                side.on_success(now, parts.cseq);
            }
            (_, rseq) if !given_up => {
                if side.target.is_empty() {
                    side.target = contact.unwrap_or_default();
                }
                if let Some(rseq) = rseq {
                    side.on_reliable(parts.cseq, rseq);
                }
            }
            (_, _) => {}
        }
    }
}

/// A new request in a dialog.
fn request_in_dialog(side: &mut Side, parts: &Parts, inviting: bool) -> Option<Offence> {
    let mut offences = Vec::new();
    if parts.cseq <= side.cseq {
        offences.push(Offence::CseqOrder);
    }
    side.cseq = side.cseq.max(parts.cseq);
    if parts.is(Method::Bye) {
        offences.extend(side.sent_bye.then_some(Offence::SecondBye));
        side.sent_bye = true;
    } else if side.is_over() && !parts.is(Method::Notify) {
        offences.push(Offence::AfterBye);
    }
    offences.extend(inviting.then_some(Offence::InviteDuringInvite));
    let routes = parts.routes(HeaderName::Route);
    if routes != side.routes {
        offences.push(Offence::WrongRoute);
    }
    if *side.target != *parts.message.request_uri() {
        offences.push(Offence::WrongTarget);
    }
    if let (true, Ok(rack)) = (parts.is(Method::Prack), parts.message.rack()) {
        match side.reliable.get_mut(&(rack.cseq, rack.rseq)) {
            Some(acknowledged @ false) => *acknowledged = true,
            Some(true) | None => offences.push(Offence::StrangePrack),
        }
    }
    offences.into_iter().next()
}
