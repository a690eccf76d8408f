//! One side of the fuzz target `endpoint`: an endpoint and a transaction user that does what a script says.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::{Draft, Endpoint, Event, Heading, Input, Output, Request};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::transaction::TransactionId;
use sip_stack::transport::{Flow, ListenerId, Transport};

use super::script::Script;

/// An endpoint and what its transaction user knows.
pub(super) struct Side {
    pub(super) endpoint: Endpoint,
    pub(super) flow: Flow,
    /// Requests nobody has answered yet.
    pub(super) requests: Vec<Request>,
    /// Server transactions without a final response.
    pub(super) servers: Vec<(TransactionId, Request)>,
    pub(super) clients: Vec<TransactionId>,
    pub(super) dialogs: BTreeSet<DialogId>,
    /// 2xx responses to INVITE that wait for their ACK.
    answers: Vec<(DialogId, Message)>,
    /// Client transactions that had a failure response.
    refused: BTreeSet<u64>,
    /// Client transactions that have timed out or failed to send.
    ended: BTreeSet<u64>,
}

const SENT_BY: [&[u8]; 2] = [b"127.0.0.1:5060", b"127.0.0.2:5060"];

impl Side {
    pub(super) fn new(index: usize, transport: Transport) -> Self {
        let address = |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 5060));
        let (local, peer) = if index == 0 { (address(1), address(2)) } else { (address(2), address(1)) };
        let seed = [u8::try_from(index).unwrap_or_default(); 32];
        Self {
            endpoint: Endpoint::new(seed),
            flow: Flow { listener: ListenerId(0), transport, local, peer },
            requests: Vec::new(),
            servers: Vec::new(),
            clients: Vec::new(),
            dialogs: BTreeSet::new(),
            answers: Vec::new(),
            refused: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    fn contact(&self) -> Vec<u8> {
        format!("<sip:user@{}>", self.flow.local).into_bytes()
    }

    /// Takes what the endpoint has to say; returns what it sends.
    pub(super) fn drain(&mut self) -> Vec<Bytes> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    let parsed = Message::parse(transmit.bytes.clone());
                    assert!(parsed.is_ok(), "{parsed:?}: {}", transmit.bytes.escape_ascii());
                    sent.push(transmit.bytes);
                }
                Output::Event(event) => self.on_event(event),
            }
        }
        sent
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Request(request) => {
                let method = request.message.method();
                assert!(
                    method != Some(Method::Ack) && method != Some(Method::Cancel),
                    "{method:?} reached the user"
                );
                self.requests.push(*request);
            }
            Event::Response { transaction, dialog, response, .. } => {
                self.on_response(transaction, dialog, *response)
            }
            Event::TimedOut { transaction, .. } => {
                assert!(
                    !self.refused.contains(&transaction.as_u64()),
                    "{transaction:?} timed out after its end"
                );
                self.end(transaction);
            }
            Event::TransportFailed { transaction, .. } => self.end(transaction),
            Event::Acknowledged { dialog, .. } | Event::Unacknowledged { dialog, .. } => {
                assert!(self.endpoint.dialog(dialog).is_some(), "an event names a dialog that is there");
            }
            // Nobody forwards anything here.
            Event::Cancelled { .. } | Event::Passing(_) => {}
        }
    }

    fn on_response(&mut self, transaction: TransactionId, dialog: Option<DialogId>, response: Message) {
        let number = transaction.as_u64();
        let over = self.ended.contains(&number) || self.refused.contains(&number);
        assert!(!over, "a response after the end of {transaction:?}");
        self.dialogs.extend(dialog);
        let status = response.status().expect("a response has a status");
        let invite = response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        match dialog {
            Some(dialog) if status.is_success() && invite => self.answers.push((dialog, response)),
            Some(_) | None if status.code() >= 300 => drop(self.refused.insert(number)),
            Some(_) | None => {}
        }
    }

    /// A server transaction may time out as well (Timer H); those are not among the clients.
    fn end(&mut self, transaction: TransactionId) {
        if self.clients.contains(&transaction) {
            assert!(self.ended.insert(transaction.as_u64()), "{transaction:?} ended twice");
        }
    }

    pub(super) fn request(&mut self, now: Time, script: &mut Script<'_>) {
        const METHODS: [Method<'static>; 5] =
            [Method::Invite, Method::Options, Method::Register, Method::Info, Method::Bye];
        let method = METHODS[script.index(METHODS.len()).unwrap_or_default()];
        let heading = Heading {
            method,
            uri: b"sip:user@192.0.2.1",
            from: b"<sip:1000@lab>",
            to: b"<sip:1001@lab>",
            sent_by: self.sent_by(),
            max_forwards: 70,
            sequence: None,
        };
        let draft = self.endpoint.draft(heading, self.flow);
        self.send(now, draft);
    }

    pub(super) fn request_in_dialog(&mut self, now: Time, script: &mut Script<'_>) {
        const METHODS: [Method<'static>; 4] = [Method::Bye, Method::Invite, Method::Info, Method::Update];
        let Some(index) = script.index(self.dialogs.len()) else { return };
        let Some(dialog) = self.dialogs.iter().nth(index).copied() else { return };
        let method = METHODS[script.index(METHODS.len()).unwrap_or_default()];
        let sent_by = self.sent_by();
        if let Some(draft) = self.endpoint.draft_in_dialog(dialog, method, sent_by) {
            let transaction = self.endpoint.request(now, draft, 1);
            self.clients.push(transaction);
        }
        if method == Method::Bye {
            self.end_dialog(dialog);
        }
    }

    fn send(&mut self, now: Time, mut draft: Draft<'_>) {
        draft.writer.header(HeaderName::Contact, &self.contact());
        let transaction = self.endpoint.request(now, draft, 1);
        self.clients.push(transaction);
    }

    fn sent_by(&self) -> &'static [u8] {
        SENT_BY[usize::from(self.flow.local.to_string().as_bytes() != SENT_BY[0])]
    }

    /// Opens a server transaction for a request that waits, or answers it without one.
    pub(super) fn take_request(&mut self, now: Time, script: &mut Script<'_>) {
        let Some(index) = script.index(self.requests.len()) else { return };
        let request = self.requests.swap_remove(index);
        if script.byte() & 1 == 0 {
            let transaction = self.endpoint.accept(now, &request, 2);
            self.servers.push((transaction, request));
        } else {
            let response = self.endpoint.response(&request, Status::BUSY_HERE, None).finish();
            self.endpoint.reply(&request, response);
        }
    }

    pub(super) fn respond(&mut self, now: Time, script: &mut Script<'_>) {
        const STATUSES: [Status; 6] = [
            Status::TRYING,
            Status::RINGING,
            Status::OK,
            Status::BUSY_HERE,
            Status::MOVED_TEMPORARILY,
            Status::DECLINE,
        ];
        let Some(index) = script.index(self.servers.len()) else { return };
        let status = STATUSES[script.index(STATUSES.len()).unwrap_or_default()];
        let (transaction, request) = self.servers[index].clone();
        if request.message.method() == Some(Method::Invite) && status.is_success() {
            self.answer_invite(now, transaction, &request, status);
        } else {
            let response = self.endpoint.response(&request, status, None).finish();
            self.endpoint.respond(now, transaction, status, response);
        }
        if status.code() >= 200 {
            self.servers.swap_remove(index);
        }
    }

    fn answer_invite(&mut self, now: Time, transaction: TransactionId, request: &Request, status: Status) {
        let contact = self.contact();
        let tag = Bytes::copy_from_slice(format!("t{}", transaction.as_u64()).as_bytes());
        let dialog = match request.dialog {
            Some(dialog) => Ok(dialog),
            None => self.endpoint.create_dialog(request, tag.clone(), contact.clone().into(), 3),
        };
        let mut writer = self.endpoint.response(request, status, Some(&tag));
        writer.header(HeaderName::Contact, &contact);
        let response = writer.finish();
        match dialog {
            Ok(dialog) => {
                self.dialogs.insert(dialog);
                self.endpoint.answer_invite(now, transaction, dialog, status, response);
            }
            Err(_) => {
                let refusal = self.endpoint.response(request, Status::BAD_REQUEST, None).finish();
                self.endpoint.respond(now, transaction, Status::BAD_REQUEST, refusal);
            }
        }
    }

    pub(super) fn acknowledge(&mut self, script: &mut Script<'_>) {
        let Some(index) = script.index(self.answers.len()) else { return };
        let (dialog, response) = self.answers.swap_remove(index);
        let sent_by = self.sent_by();
        self.endpoint.acknowledge(dialog, &response, sent_by);
    }

    pub(super) fn cancel(&mut self, now: Time, script: &mut Script<'_>) {
        if let Some(index) = script.index(self.clients.len()) {
            self.endpoint.cancel(now, self.clients[index]);
        }
    }

    fn end_dialog(&mut self, dialog: DialogId) {
        self.endpoint.end_dialog(dialog);
        self.dialogs.remove(&dialog);
    }

    pub(super) fn fail_transport(&mut self, now: Time, script: &mut Script<'_>) {
        let known: Vec<_> =
            self.clients.iter().chain(self.servers.iter().map(|(id, _)| id)).copied().collect();
        if let Some(index) = script.index(known.len()) {
            self.endpoint.handle_input(now, Input::Unsent { transaction: known[index].as_u64() });
        }
    }

    /// Replaces the endpoint by one restored from its snapshot.
    pub(super) fn restore(&mut self) {
        let written = write(&mut self.endpoint);
        let (head, transactions, dialogs) = &written;
        let mut restored: Endpoint = postcard::from_bytes(head).expect("the head of a snapshot decodes");
        restored.load(transactions, dialogs).expect("the slices of a snapshot load");
        restored.rebuild();
        assert!(write(&mut restored) == written, "a restored endpoint writes the same snapshot");
        self.endpoint = restored;
    }
}

/// Head, transactions and dialogs of a snapshot, in slices of three slots.
fn write(endpoint: &mut Endpoint) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    endpoint.snapshot();
    let head = postcard::to_allocvec(&*endpoint).expect("an endpoint serialises into memory");
    let (mut transactions, mut dialogs) = (Vec::new(), Vec::new());
    while endpoint.slice(3, &mut transactions, &mut dialogs) {}
    (head, transactions, dialogs)
}
