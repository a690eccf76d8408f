//! User agents that call each other through the proxy over a network that loses, doubles and reorders.

use super::stage::{CALLER, HOST, address, flow, target};
use bytes::Bytes;
use proptest::prelude::*;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::{Event, Heading, Input, Output, Request};
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status};
use sip_stack::proxy::{Forwarding, Proxy, pass};
use sip_stack::transaction::TransactionId;
use sip_stack::transport::{Flow, Transmit};
use sip_stack::{Endpoint, Message, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The user agents; the first one calls.
const PARTIES: [u8; 3] = [CALLER, 11, 12];

/// What the lots say of one call.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    /// Of a hundred packets.
    lost: u64,
    /// The final answer of each callee; below 200: none.
    answers: [u16; 2],
    answer_after_ms: [u64; 2],
    cancel_after_ms: Option<u64>,
    /// One after the other, or both at once.
    serially: bool,
    hang_up_after_ms: u64,
    callee_hangs_up: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let answer = prop_oneof![Just(200_u16), Just(200), Just(486), Just(603), Just(302), Just(180)];
    (
        (any::<u64>(), 0_u64..30, [answer.clone(), answer], [0_u64..8_000, 0..8_000]),
        (proptest::option::of(0_u64..9_000), any::<bool>(), 0_u64..20_000, any::<bool>()),
    )
        .prop_map(
            |((seed, lost, answers, answer_after_ms), (cancel_after_ms, serially, hang_up, callee))| Plan {
                seed,
                lost,
                answers,
                answer_after_ms,
                cancel_after_ms,
                serially,
                hang_up_after_ms: hang_up,
                callee_hangs_up: callee,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_to_a_call_nothing_is_left_of_it(plan in plan()) {
        World::new(plan).run();
    }

    #[test]
    fn over_a_good_network_each_success_is_acknowledged_and_the_caller_hears_one_final_answer(plan in plan()) {
        let world = World::new(Plan { lost: 0, ..plan }).run();
        prop_assert_eq!(world.unacknowledged, 0);
        prop_assert_eq!(world.failures + usize::from(world.successes > 0), 1, "{:?}", plan);
    }
}

/// One user agent.
struct Party {
    endpoint: Endpoint,
    flow: Flow,
    ringing: BTreeMap<TransactionId, (Request, DialogId)>,
    early: BTreeSet<DialogId>,
    dialogs: BTreeSet<DialogId>,
    hung_up: BTreeSet<DialogId>,
}

enum What {
    Deliver { to: usize, flow: Flow, bytes: Bytes },
    Answer { party: usize, transaction: TransactionId },
    GiveUp { party: usize, transaction: TransactionId },
    Cancel,
    HangUp { party: usize, dialog: DialogId },
}

struct World {
    plan: Plan,
    now: Time,
    lots: u64,
    parties: Vec<Party>,
    endpoint: Endpoint,
    proxy: Proxy,
    agenda: BTreeMap<(Time, u64), What>,
    entries: u64,
    invite: Option<TransactionId>,
    unacknowledged: usize,
    failures: usize,
    successes: usize,
}

/// The place of the proxy among those who receive.
const PROXY: usize = PARTIES.len();

impl World {
    fn new(plan: Plan) -> World {
        let parties = PARTIES.map(|party| Party {
            endpoint: Endpoint::new([party; 32]),
            flow: Flow { local: address(party), peer: address(1), ..flow(party) },
            ringing: BTreeMap::new(),
            early: BTreeSet::new(),
            dialogs: BTreeSet::new(),
            hung_up: BTreeSet::new(),
        });
        World {
            plan,
            now: Time::from_millis(1),
            lots: plan.seed | 1,
            parties: parties.into(),
            endpoint: Endpoint::new([9; 32]),
            proxy: Proxy::default(),
            agenda: BTreeMap::new(),
            entries: 0,
            invite: None,
            unacknowledged: 0,
            failures: 0,
            successes: 0,
        }
    }

    fn run(mut self) -> World {
        self.call();
        if let Some(after) = self.plan.cancel_after_ms {
            self.at(after, What::Cancel);
        }
        for _ in 0..100_000 {
            self.drain();
            let Some(next) = self.next() else { break };
            self.now = self.now.max(next);
            self.fire();
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let what = entry.remove();
                self.happen(what);
                self.drain();
            }
        }
        assert_eq!(self.next(), None, "it never comes to rest");
        assert_eq!((self.endpoint.transactions(), self.endpoint.dialogs(), self.proxy.contexts()), (0, 0, 0));
        for party in &self.parties {
            assert_eq!((party.endpoint.transactions(), party.endpoint.dialogs()), (0, 0));
        }
        self
    }

    fn next(&self) -> Option<Time> {
        let parties = self.parties.iter().map(|party| party.endpoint.poll_timeout());
        let ours = [self.endpoint.poll_timeout(), self.proxy.poll_timeout()];
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        parties.chain(ours).chain([agenda]).flatten().min()
    }

    fn fire(&mut self) {
        for party in &mut self.parties {
            party.endpoint.handle_timeout(self.now);
        }
        self.endpoint.handle_timeout(self.now);
        self.drain();
        self.proxy.handle_timeout(self.now, &mut self.endpoint);
        self.drain();
    }

    fn lot(&mut self, below: u64) -> u64 {
        self.lots ^= self.lots << 13;
        self.lots ^= self.lots >> 7;
        self.lots ^= self.lots << 17;
        self.lots % below
    }

    fn at(&mut self, after_ms: u64, what: What) {
        self.entries += 1;
        self.agenda.insert((self.now + Duration::from_millis(after_ms), self.entries), what);
    }

    fn call(&mut self) {
        let heading = Heading {
            method: Method::Invite,
            uri: b"sip:bob@example.com",
            from: b"<sip:alice@example.com>",
            to: b"<sip:bob@example.com>",
            sent_by: b"192.0.2.7:5060",
            max_forwards: 70,
            sequence: None,
        };
        let caller = &mut self.parties[0];
        let mut draft = caller.endpoint.draft(heading, caller.flow);
        draft.writer.header(HeaderName::Contact, b"<sip:alice@192.0.2.7>");
        self.invite = Some(caller.endpoint.request(self.now, draft, 1));
    }

    fn happen(&mut self, what: What) {
        let now = self.now;
        match what {
            What::Deliver { to: PROXY, flow, bytes } => {
                self.endpoint.handle_input(now, Input::Received { flow, bytes });
            }
            What::Deliver { to, flow, bytes } => {
                self.parties[to].endpoint.handle_input(now, Input::Received { flow, bytes });
            }
            What::Answer { party, transaction } => self.answer(party, transaction),
            What::GiveUp { party, transaction } => {
                self.refuse(party, transaction, Status::TEMPORARILY_UNAVAILABLE);
            }
            What::Cancel => {
                if let Some(invite) = self.invite {
                    self.parties[0].endpoint.cancel(now, invite);
                }
            }
            What::HangUp { party, dialog } => self.hang_up(party, dialog),
        }
    }

    fn answer(&mut self, index: usize, transaction: TransactionId) {
        let (now, answer) = (self.now, self.plan.answers[index - 1]);
        let hang_up = self.plan.callee_hangs_up.then_some(self.plan.hang_up_after_ms);
        let party = &mut self.parties[index];
        let Some((request, dialog)) = party.ringing.remove(&transaction) else { return };
        let status = Status::new(answer).unwrap();
        if status.is_provisional() {
            // It rings until somebody gives up; when all it has said was lost, it has to be itself.
            party.ringing.insert(transaction, (request, dialog));
            return self.at(300_000, What::GiveUp { party: index, transaction });
        }
        let tag = party.endpoint.dialog(dialog).unwrap().local_tag().clone();
        let mut response = party.endpoint.response(&request, status, Some(&tag));
        if status.is_success() {
            response.copy(HeaderName::RecordRoute, &request.message);
            response
                .header(HeaderName::Contact, format!("<sip:phone@192.0.2.{}>", PARTIES[index]).as_bytes());
            party.endpoint.answer_invite(now, transaction, dialog, status, response.finish());
            party.dialogs.insert(dialog);
            if let Some(after) = hang_up {
                self.at(after, What::HangUp { party: index, dialog });
            }
        } else {
            party.endpoint.respond(now, transaction, status, response.finish());
            party.endpoint.end_dialog(dialog);
        }
    }

    fn refuse(&mut self, index: usize, transaction: TransactionId, status: Status) {
        let party = &mut self.parties[index];
        if let Some((request, dialog)) = party.ringing.remove(&transaction) {
            let answer = party.endpoint.response(&request, status, Some(b"gone")).finish();
            party.endpoint.respond(self.now, transaction, status, answer);
            party.endpoint.end_dialog(dialog);
        }
    }

    fn hang_up(&mut self, index: usize, dialog: DialogId) {
        let party = &mut self.parties[index];
        if !party.dialogs.remove(&dialog) {
            return;
        }
        party.hung_up.insert(dialog);
        let sent_by = party.flow.local.to_string();
        if let Some(draft) = party.endpoint.draft_in_dialog(dialog, Method::Bye, sent_by.as_bytes()) {
            party.endpoint.request(self.now, draft, 2);
        }
        // The dialog stays for copies of the 2xx until the BYE is answered.
    }

    fn drain(&mut self) {
        loop {
            let mut outputs = Vec::new();
            for (index, party) in self.parties.iter_mut().enumerate() {
                outputs.extend(
                    std::iter::from_fn(|| party.endpoint.poll_output()).map(|output| (index, output)),
                );
            }
            outputs.extend(std::iter::from_fn(|| self.endpoint.poll_output()).map(|output| (PROXY, output)));
            while self.proxy.poll_event().is_some() {}
            if outputs.is_empty() {
                return;
            }
            for (index, output) in outputs {
                match output {
                    Output::Transmit(transmit) => self.send(transmit),
                    Output::Event(event) if index == PROXY => self.on_proxy_event(event),
                    Output::Event(event) => self.on_event(index, event),
                }
            }
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let Transmit { flow, bytes, .. } = transmit;
        let place = |party: &u8| address(*party) == flow.peer;
        let to = PARTIES.iter().position(place).unwrap_or(PROXY);
        let flow = Flow { local: flow.peer, peer: flow.local, ..flow };
        let copies = match self.lot(100) {
            lot if lot < self.plan.lost => 0,
            lot if lot < self.plan.lost + 3 && self.plan.lost > 0 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay = 1 + self.lot(if self.plan.lost > 0 { 60 } else { 2 });
            self.at(delay, What::Deliver { to, flow, bytes: bytes.clone() });
        }
    }

    fn on_proxy_event(&mut self, event: Event) {
        if self.proxy.handle_event(self.now, &mut self.endpoint, &event) {
            return;
        }
        match event {
            Event::Request(request) => {
                assert!(Proxy::check(&self.endpoint, &request).is_ok());
                let q = if self.plan.serially { [1000, 500] } else { [1000, 1000] };
                let forwarding = Forwarding {
                    owner: 1,
                    targets: vec![target(PARTIES[1], q[0]), target(PARTIES[2], q[1])],
                    record_route: Some(Bytes::from_static(HOST)),
                    stamp: None,
                    own_routes: 0,
                    each: Duration::from_secs(3),
                    all: Duration::from_secs(40),
                    realm: Bytes::new(),
                    is_trusted: false,
                };
                self.proxy.forward(self.now, &mut self.endpoint, request, forwarding);
            }
            Event::Passing(passing) => {
                pass(&mut self.endpoint, &passing, HOST, |_| false).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    fn on_event(&mut self, index: usize, event: Event) {
        match event {
            Event::Request(request) => self.on_request(index, *request),
            Event::Response { transaction, dialog, response, .. } => {
                self.on_response(index, transaction, dialog, &response);
            }
            Event::Cancelled { transaction, .. } => {
                self.refuse(index, transaction, Status::REQUEST_TERMINATED);
            }
            Event::Unacknowledged { dialog, .. } => {
                self.unacknowledged += 1;
                self.hang_up(index, dialog);
            }
            Event::TimedOut { transaction, .. } => self.on_lost(index, transaction),
            Event::TransportFailed { .. } | Event::Passing(_) => panic!("{event:?}"),
            Event::Acknowledged { .. } => {}
        }
    }

    fn on_request(&mut self, index: usize, request: Request) {
        let now = self.now;
        let party = &mut self.parties[index];
        match request.message.method() {
            Some(Method::Invite) => {
                let transaction = party.endpoint.accept(now, &request, 3);
                let tag = party.endpoint.random().tag();
                let contact = Bytes::from(format!("<sip:phone@192.0.2.{}>", PARTIES[index]));
                let dialog = party.endpoint.create_dialog(&request, tag.clone(), contact, 3).unwrap();
                let mut ringing = party.endpoint.response(&request, Status::RINGING, Some(&tag));
                ringing.copy(HeaderName::RecordRoute, &request.message);
                party.endpoint.respond(now, transaction, Status::RINGING, ringing.finish());
                party.ringing.insert(transaction, (request, dialog));
                self.at(self.plan.answer_after_ms[index - 1], What::Answer { party: index, transaction });
            }
            Some(Method::Bye) => {
                let transaction = party.endpoint.accept(now, &request, 4);
                let ok = party.endpoint.response(&request, Status::OK, None).finish();
                party.endpoint.respond(now, transaction, Status::OK, ok);
                if let Some(dialog) = request.dialog {
                    party.dialogs.remove(&dialog);
                    party.endpoint.end_dialog(dialog);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn on_response(
        &mut self,
        index: usize,
        transaction: TransactionId,
        dialog: Option<DialogId>,
        response: &Message,
    ) {
        let Some(status) = response.status() else { return };
        if self.invite != Some(transaction) || index != 0 {
            // To a BYE.
            if status.is_final() {
                self.forget_hung_up(index);
            }
            return;
        }
        match (status.code(), dialog) {
            (..200, _) => self.parties[0].early.extend(dialog),
            (200..300, Some(dialog)) => {
                self.successes += 1;
                let after = if self.plan.callee_hangs_up { 40_000 } else { self.plan.hang_up_after_ms };
                let caller = &mut self.parties[0];
                caller.endpoint.acknowledge(dialog, response, b"192.0.2.7:5060");
                caller.dialogs.insert(dialog);
                caller.early.remove(&dialog);
                self.end_early_dialogs();
                self.at(after, What::HangUp { party: 0, dialog });
            }
            (200..300, None) => panic!("{response:?}"),
            (300.., _) => {
                self.failures += 1;
                self.end_early_dialogs();
            }
        }
    }

    fn on_lost(&mut self, index: usize, transaction: TransactionId) {
        if index == 0 && self.invite == Some(transaction) {
            self.end_early_dialogs();
        }
        self.forget_hung_up(index);
    }

    /// The INVITE is over (§13.2.2.4).
    fn end_early_dialogs(&mut self) {
        let caller = &mut self.parties[0];
        for dialog in std::mem::take(&mut caller.early) {
            caller.endpoint.end_dialog(dialog);
        }
    }

    fn forget_hung_up(&mut self, index: usize) {
        let party = &mut self.parties[index];
        for dialog in std::mem::take(&mut party.hung_up) {
            party.endpoint.end_dialog(dialog);
        }
    }
}
