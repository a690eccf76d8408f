//! What the switch has put out, kept as books are: events by their numbers, calls with their ends, records, and who is in which call as the
//! store has it.

use super::mischief::Imp;
use sip_stack::Time;
use softswitch::core::command::Run;
use softswitch::core::{Event, Output, Told};
use softswitch::records::OpenCall;
use softswitch::store::{CallRecord, StoreOp};
use std::collections::{BTreeMap, BTreeSet};

/// A call: the run of the switch, counted, and its number in it.
pub type CallNumber = (usize, u64);

/// The books.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Who falsifies what comes to them.
    pub imp: Option<Imp>,
    /// What is wrong with them.
    pub complaints: Vec<(Time, String)>,
    /// Calls that are up, as the store has them.
    pub open: BTreeMap<u64, OpenCall>,
    /// Records of calls that had begun.
    pub records: BTreeMap<CallNumber, CallRecord>,
    /// Commands that were answered.
    pub answers: usize,
    /// Which run of the switch it is, and what its ids begin with.
    runs: usize,
    run: Run,
    told: u64,
    begun: BTreeSet<CallNumber>,
    ended: BTreeMap<CallNumber, (u16, u64)>,
    /// Calls that a run was killed in.
    killed: BTreeSet<CallNumber>,
    ids: BTreeSet<String>,
}

impl Ledger {
    /// The books of a switch whose ids are of that run.
    #[must_use]
    pub fn new(run: Run, imp: Option<Imp>) -> Ledger {
        Ledger { run, imp, ..Ledger::default() }
    }

    /// The switch is about to be killed.
    pub fn killed(&mut self) {
        let open = self.begun.iter().filter(|call| !self.records.contains_key(call)).copied();
        self.killed.extend(open.collect::<Vec<_>>());
        self.open.clear();
        (self.runs, self.told) = (self.runs + 1, 0);
    }

    /// It runs again.
    pub fn runs_again(&mut self, run: Run) {
        self.run = run;
    }

    fn complain(&mut self, now: Time, what: String) {
        self.complaints.push((now, what));
    }

    /// Takes what the switch has put out; what really comes out.
    pub fn pass(&mut self, now: Time, outputs: Vec<Output>) -> Vec<Output> {
        let outputs: Vec<Output> = match &mut self.imp {
            Some(imp) => outputs.into_iter().flat_map(|output| imp.alter(output)).collect(),
            None => outputs,
        };
        for output in &outputs {
            match output {
                Output::Event(told) => self.note_event(now, told),
                Output::Store(StoreOp::PutOpenCall(call)) => {
                    self.open.insert(call.record.number, (**call).clone());
                }
                Output::Store(StoreOp::PutCallRecord(record)) => self.note_record(now, record),
                Output::Answer(_) => self.answers += 1,
                Output::Store(_)
                | Output::Transmit(_)
                | Output::Identify { .. }
                | Output::Resolve(_)
                | Output::Media(_)
                | Output::Errand(_) => {}
            }
        }
        outputs
    }

    fn note_event(&mut self, now: Time, told: &Told) {
        self.told += 1;
        if told.number != self.told {
            self.complain(now, format!("a gap: event {} after {}", told.number, self.told - 1));
            self.told = told.number;
        }
        match &told.event {
            Event::CallStarted { call, .. } => {
                self.begun.insert((self.runs, self.run.number(call.0)));
            }
            Event::CallEnded { call, status, talked_ms } => {
                let call = (self.runs, self.run.number(call.0));
                if self.ended.insert(call, (*status, *talked_ms)).is_some() {
                    self.complain(now, format!("a second end of call {call:?}"));
                }
            }
            _ => {}
        }
    }

    fn note_record(&mut self, now: Time, record: &CallRecord) {
        self.open.remove(&record.number);
        if !self.ids.insert(record.id.to_string()) {
            self.complain(now, format!("a second record with id {}", record.id));
        }
        let call = (self.runs, record.number);
        if record.number == 0 {
            return;
        }
        match self.ended.get(&call).copied() {
            None => self.complain(now, format!("an end untold, of call {call:?}")),
            Some((status, talked_ms)) => {
                let talked = record.answered_unix_ms.map_or(0, |at| record.ended_unix_ms.saturating_sub(at));
                if status != record.status || talked.abs_diff(talked_ms) > 1 {
                    let told = format!("{status} after {talked_ms} ms");
                    self.complain(now, format!("call {call:?} has ended otherwise ({told}): {record:?}"));
                }
            }
        }
        if self.records.insert(call, record.clone()).is_some() {
            self.complain(now, format!("a second record of call {call:?}"));
        }
    }

    /// Everything is over: every call has ended and has a record, but those that the switch was killed in.
    pub fn close(&mut self, now: Time) {
        let calls: BTreeSet<CallNumber> = self.begun.iter().chain(self.ended.keys()).copied().collect();
        for call in calls.difference(&self.killed.clone()) {
            if !self.ended.contains_key(call) {
                self.complain(now, format!("an end untold, of call {call:?}"));
            }
            if !self.records.contains_key(call) {
                self.complain(now, format!("no record of call {call:?}"));
            }
        }
        if !self.open.is_empty() {
            let numbers: Vec<u64> = self.open.keys().copied().collect();
            self.complain(now, format!("open calls are left in the store: {numbers:?}"));
        }
    }

    /// Whether the switch was ever killed.
    #[must_use]
    pub const fn was_killed(&self) -> bool {
        self.runs > 0
    }
}
