//! Fuzz target `endpoint`: two endpoints and the network between them, driven by a sequence of operations that the
//! bytes spell: requests, answers, cancellations, packets delivered, lost, doubled, swapped or damaged, time that
//! passes, snapshots restored.
//!
//! Asserted, besides that nothing panics:
//! - what leaves an endpoint parses;
//! - a client transaction ends once: nothing follows a time-out or a transport failure, and nothing but a transport
//!   failure of the ACK (RFC 3261 §17.1.1.2) a failure response;
//! - a timer that has fired does not ask to fire again at the same moment for ever;
//! - a restored endpoint writes the same snapshot again;
//! - when everybody has answered and hung up, no transaction and no dialog is left: nothing leaks.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sip_stack::Time;
use sip_stack::endpoint::Input;
use sip_stack::message::Status;
use sip_stack::transport::Transport;

use super::script::Script;
use super::side::Side;

/// Packets under way; the oldest is lost when there are more.
const WIRE: usize = 64;
/// More firings of timers than this at one moment are a loop.
const FIRINGS: usize = 10_000;

/// Runs the target once.
///
/// # Panics
/// When a property does not hold.
pub fn endpoint(data: &[u8]) {
    let mut script = Script(data);
    let transport = if script.byte() & 1 == 0 { Transport::Udp } else { Transport::Tcp };
    let mut world = World::new(transport);
    while !script.0.is_empty() {
        world.step(&mut script);
    }
    world.settle();
}

struct World {
    now: Time,
    sides: [Side; 2],
    /// Packets, each with the side that is to receive it.
    wire: VecDeque<(usize, Bytes)>,
}

impl World {
    fn new(transport: Transport) -> Self {
        let sides = [Side::new(0, transport), Side::new(1, transport)];
        Self { now: Time::from_millis(1), sides, wire: VecDeque::new() }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let operation = script.byte();
        let (index, now) = (usize::from(operation & 1), self.now);
        let side = &mut self.sides[index];
        match (operation >> 1) % 18 {
            0 => side.request(now, script),
            1 => side.request_in_dialog(now, script),
            2 => side.take_request(now, script),
            3 | 4 => side.respond(now, script),
            5 => side.acknowledge(script),
            6 => side.cancel(now, script),
            7 => side.fail_transport(now, script),
            8 => side.restore(),
            9 => self.pass(Duration::from_millis(u64::from(script.byte()) * 10)),
            10 => self.pass_to_next_timeout(),
            11..=13 => self.deliver(0),
            14 => {
                let index = script.index(self.wire.len());
                index.into_iter().for_each(|index| self.deliver(index));
            }
            15 => self.lose(script),
            16 => self.damage(script),
            _ => {
                let length = usize::from(script.byte());
                self.wire.push_back((index, Bytes::copy_from_slice(script.take(length))));
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        for (index, side) in self.sides.iter_mut().enumerate() {
            self.wire.extend(side.drain().into_iter().map(|bytes| (1 - index, bytes)));
        }
        while self.wire.len() > WIRE {
            self.wire.pop_front();
        }
    }

    fn deliver(&mut self, index: usize) {
        if let Some((to, bytes)) = self.wire.remove(index) {
            let side = &mut self.sides[to];
            side.endpoint.handle_input(self.now, Input::Received { flow: side.flow, bytes });
        }
    }

    /// Loses a packet, or has it arrive twice.
    fn lose(&mut self, script: &mut Script<'_>) {
        let Some(index) = script.index(self.wire.len()) else { return };
        if script.byte() & 1 == 0 {
            self.wire.remove(index);
        } else {
            let copy = self.wire[index].clone();
            self.wire.push_back(copy);
        }
    }

    /// Overwrites up to four bytes of a packet.
    fn damage(&mut self, script: &mut Script<'_>) {
        let Some(index) = script.index(self.wire.len()) else { return };
        let at = usize::from(script.byte()) * 256 + usize::from(script.byte());
        let (_, bytes) = &mut self.wire[index];
        let mut damaged = bytes.to_vec();
        let Some(at) = at.checked_rem(damaged.len()) else { return };
        damaged.iter_mut().skip(at).zip(script.take(4)).for_each(|(byte, new)| *byte = *new);
        *bytes = damaged.into();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.fire();
    }

    fn pass_to_next_timeout(&mut self) {
        let next = self.sides.iter().filter_map(|side| side.endpoint.poll_timeout()).min();
        self.now = self.now.max(next.unwrap_or(self.now));
        self.fire();
    }

    fn fire(&mut self) {
        for side in &mut self.sides {
            let mut firings = 0;
            while side.endpoint.poll_timeout().is_some_and(|due| due <= self.now) {
                side.endpoint.handle_timeout(self.now);
                firings += 1;
                assert!(firings < FIRINGS, "a timer keeps firing at {:?}", self.now);
            }
        }
    }

    /// Everybody answers, gives up and hangs up; the network is gone; then every timer has its time.
    fn settle(&mut self) {
        self.drain();
        let now = self.now;
        for side in &mut self.sides {
            side.requests.clear();
            for (transaction, request) in std::mem::take(&mut side.servers) {
                let response = side.endpoint.response(&request, Status::DECLINE, None).finish();
                side.endpoint.respond(now, transaction, Status::DECLINE, response);
            }
            for client in side.clients.clone() {
                side.endpoint.cancel(now, client);
            }
            side.drain();
            for dialog in std::mem::take(&mut side.dialogs) {
                side.endpoint.end_dialog(dialog);
            }
        }
        let mut firings = 0;
        while self.sides.iter().any(|side| side.endpoint.poll_timeout().is_some()) {
            self.pass_to_next_timeout();
            self.drain();
            firings += 1;
            assert!(firings < FIRINGS, "the timers never come to rest");
        }
        for side in &self.sides {
            assert_eq!(side.endpoint.transactions(), 0, "a transaction is left when everything is over");
            assert_eq!(side.endpoint.dialogs(), 0, "a dialog is left when everything is over");
        }
    }
}
