//! Planted faults: between the switch and those who look on, what it has put out is doubled, changed or lost.
//!
//! The product has no hooks for this. Faults of messages that any endpoint can make are those of [`crate::model::sabotage`].

use bytes::Bytes;
use media::mix::Role;
use media::{Command, LegId};
use softswitch::core::Output;
use softswitch::store::{EndedBy, StoreOp};
use std::collections::BTreeMap;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// A call record is written twice.
    RecordDoubled,
    /// A call has ended and has no record.
    RecordMissing,
    /// The record of a call says that the other party has hung up.
    OtherHungUp,
    /// A record knows of one attempt too few.
    AttemptMissing,
    /// An event is lost.
    EventLost,
    /// The end of a call is not told.
    EndUntold,
    /// A media leg is not closed.
    PortLeaked,
    /// One party of a call never hears that it is over.
    LegLeft,
    /// A lamp stays on.
    LampStuck,
    /// Two parties are connected with each other's partners.
    WrongPartner,
    /// Who is on hold hears the other party.
    HoldLeaks,
}

impl Mischief {
    /// All of them, each with what has to be complained of.
    pub const ALL: [(Mischief, &'static [&'static str]); 11] = [
        (Mischief::RecordDoubled, &["a second record"]),
        (Mischief::RecordMissing, &["no record", "a call without a leg"]),
        (Mischief::OtherHungUp, &["who hung up"]),
        (Mischief::AttemptMissing, &["attempts"]),
        (Mischief::EventLost, &["a gap"]),
        (Mischief::EndUntold, &["an end untold"]),
        (Mischief::PortLeaked, &["left", "a call without a leg"]),
        (Mischief::LegLeft, &["a leg without a call"]),
        (Mischief::LampStuck, &["a lamp"]),
        (Mischief::WrongPartner, &["hears"]),
        (Mischief::HoldLeaks, &["hears"]),
    ];
}

/// Commits one kind of mischief, now and then.
#[derive(Debug)]
pub struct Imp {
    mischief: Mischief,
    /// Times that it had an occasion, and that it did something.
    occasions: u32,
    /// How often it did.
    pub deeds: u32,
    relays: BTreeMap<LegId, Command>,
    deaf: Vec<Bytes>,
}

impl Imp {
    /// One that commits this.
    #[must_use]
    pub const fn new(mischief: Mischief) -> Imp {
        Imp { mischief, occasions: 0, deeds: 0, relays: BTreeMap::new(), deaf: Vec::new() }
    }

    /// Whether it does something on this occasion: on each third.
    fn strikes(&mut self) -> bool {
        self.occasions += 1;
        let strikes = self.occasions.is_multiple_of(3);
        self.deeds += u32::from(strikes);
        strikes
    }

    /// What really comes out.
    pub fn alter(&mut self, output: Output) -> Vec<Output> {
        match (self.mischief, output) {
            (Mischief::RecordDoubled, Output::Store(StoreOp::PutCallRecord(record))) if self.strikes() => {
                let again = Output::Store(StoreOp::PutCallRecord(record));
                vec![again.clone(), again]
            }
            (Mischief::RecordMissing, Output::Store(StoreOp::PutCallRecord(record)))
                if record.number != 0 && self.strikes() =>
            {
                vec![]
            }
            (Mischief::OtherHungUp, Output::Store(StoreOp::PutCallRecord(mut record)))
                if record.answered_unix_ms.is_some()
                    && record.ended_by == EndedBy::Caller
                    && self.strikes() =>
            {
                record.ended_by = EndedBy::Callee;
                vec![Output::Store(StoreOp::PutCallRecord(record))]
            }
            (Mischief::AttemptMissing, Output::Store(StoreOp::PutCallRecord(mut record)))
                if !record.attempts.is_empty() && self.strikes() =>
            {
                record.attempts.pop();
                vec![Output::Store(StoreOp::PutCallRecord(record))]
            }
            (Mischief::EventLost, Output::Event(_)) if self.strikes() => vec![],
            (Mischief::EndUntold, Output::Event(mut told)) if is_end(&told.event) && self.strikes() => {
                told.event = softswitch::core::Event::DatabaseSetAside;
                vec![Output::Event(told)]
            }
            (Mischief::PortLeaked, Output::Media(Command::Close { .. })) if self.strikes() => vec![],
            (Mischief::LegLeft | Mischief::LampStuck, Output::Transmit(transmit)) => self.mislead(transmit),
            (Mischief::WrongPartner, Output::Media(command)) => self.cross(command),
            (Mischief::HoldLeaks, Output::Media(command)) => vec![Output::Media(self.unhold(command))],
            (_, output) => vec![output],
        }
    }

    /// A message that leaves.
    fn mislead(&mut self, mut transmit: sip_stack::transport::Transmit) -> Vec<Output> {
        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
        if self.mischief == Mischief::LampStuck {
            let is_off = text.starts_with("NOTIFY") && text.contains(">terminated</state>");
            if is_off && self.strikes() {
                let body = text.replace(">terminated</state>", ">confirmed</state >");
                transmit.bytes = body.into();
            }
            return vec![Output::Transmit(transmit)];
        }
        let call_id = text.split("\r\n").find(|line| line.starts_with("Call-ID:")).unwrap_or_default();
        let call_id = Bytes::copy_from_slice(call_id.as_bytes());
        if !text.starts_with("BYE") {
            return vec![Output::Transmit(transmit)];
        }
        if self.deaf.contains(&call_id) {
            return vec![];
        }
        if self.strikes() {
            self.deaf.push(call_id);
            return vec![];
        }
        vec![Output::Transmit(transmit)]
    }

    /// Who is held hears everybody.
    fn unhold(&mut self, mut command: Command) -> Command {
        let roles: Vec<&mut Role> = match &mut command {
            Command::Assign { roles, .. } => roles.iter_mut().map(|(_, role)| role).collect(),
            Command::Join { role, .. } => vec![role],
            _ => vec![],
        };
        for role in roles.into_iter().filter(|role| matches!(role, Role::Held { .. })) {
            *role = Role::Participant;
            self.deeds += 1;
        }
        command
    }

    /// A relay: its partners change with those of the relay before.
    fn cross(&mut self, command: Command) -> Vec<Output> {
        let Command::Relay { a, b, forward, backward } = command.clone() else {
            return vec![Output::Media(command)];
        };
        let other = self.relays.values().next_back().cloned();
        self.relays.insert(a, command.clone());
        match other {
            Some(Command::Relay { a: c, b: d, .. }) if c != a && d != b && self.strikes() => {
                let cross = |a, b| {
                    let (forward, backward) = (forward.clone(), backward.clone());
                    Output::Media(Command::Relay { a, b, forward, backward })
                };
                vec![Output::Media(command), cross(a, d), cross(c, b)]
            }
            Some(_) | None => vec![Output::Media(command)],
        }
    }
}

const fn is_end(event: &softswitch::core::Event) -> bool {
    matches!(event, softswitch::core::Event::CallEnded { .. })
}
