//! What is kept of a call: its record when it is over, and what the store has of it while it is up (`records`).
//!
//! Whatever happens to a call ends in [`Calls::settle`], where it is compared with what was kept last, as its seats are
//! (`seats`): so answers, holds, recordings and parties that change need no word of their own here. Phones that are asked tell so
//! themselves (`ring`).
//!
//! A call that rings is kept once it does; one that waits for its ports yet is as good as refused by a crash, and its caller asks again.

use super::call::{Call, CallId, Ending, Leg, Phase, Side};
use super::calls::Calls;
use super::ring::Branch;
use crate::config::Service;
use crate::core::environment::Environment;
use crate::records::{Attempt, Cause, Happening, OpenCall, OpenParty, Outcome};
use crate::registrar::Way;
use crate::store::{CallRecord, EndedBy, StoreOp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::dialog::DialogId;
use sip_stack::sdp::Direction;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the store has of a call, as far as that can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    caller: Option<KeptParty>,
    callee: Option<KeptParty>,
    /// It was answered: by us, if there is no callee.
    is_answered: bool,
    files: usize,
    /// Who holds the other one.
    holds: [bool; 2],
}

/// How a party is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptParty {
    dialog: DialogId,
    peer: SocketAddr,
    target: Bytes,
}

impl Call {
    /// Gives the record its id: the Call-ID of the caller may be repeated, our tag in its dialog is not.
    fn name_record(&mut self, env: &Environment) {
        if self.chronicle.id.is_empty() {
            let tag = String::from_utf8_lossy(&self.invitation.tag);
            self.chronicle.id = format!("{:x}-{tag}", env.unix_ms(self.started)).into();
            self.chronicle.journal.note(env.unix_ms(self.started), Happening::Began);
        }
    }

    /// A phone is asked.
    pub(super) fn note_asked(&mut self, env: &Environment, branch: &Branch) {
        let Some(Way { uri, .. }) = self.way_of(branch) else { return };
        let member = self.member(branch.target).map(|member| member.user.clone());
        let attempt = Attempt {
            // Of several who ring together each is asked by its own name.
            user: member.unwrap_or_else(|| self.destination.user.clone()),
            contact: uri.clone(),
            address: branch.flow.peer,
            asked_unix_ms: env.unix_ms(env.now),
            rang_unix_ms: None,
            answered_unix_ms: None,
            ended_unix_ms: None,
            status: None,
            outcome: Outcome::Asked,
            ended_by: None,
        };
        self.chronicle.ask(branch.transaction, attempt);
    }

    /// The sides, if it was answered and has not ended.
    fn answered_legs(&self) -> [Option<&Leg>; 2] {
        match &self.phase {
            Phase::Talking { callee } => [Some(&self.caller_leg), Some(callee)],
            Phase::Served => [Some(&self.caller_leg), None],
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Ended => [None, None],
        }
    }

    /// Whether what was kept is what there is.
    fn is_kept(&self, env: &Environment, kept: &Kept) -> bool {
        let is_same = |leg: Option<&Leg>, kept: Option<&KeptParty>| match (leg, kept) {
            (Some(leg), Some(kept)) => {
                leg.dialog == kept.dialog
                    && env.endpoint.dialog(leg.dialog).is_none_or(|dialog| {
                        dialog.flow().peer == kept.peer && *dialog.remote_target() == kept.target
                    })
            }
            (leg, kept) => leg.is_none() == kept.is_none(),
        };
        let [caller, callee] = self.answered_legs();
        is_same(caller, kept.caller.as_ref())
            && is_same(callee, kept.callee.as_ref())
            && self.answered.is_some() == kept.is_answered
            && self.recorded.files().len() == kept.files
            && self.who_holds() == kept.holds
    }

    fn kept_now(&self, env: &Environment) -> Kept {
        let party = |leg: &Leg| {
            let dialog = env.endpoint.dialog(leg.dialog)?;
            let (peer, target) = (dialog.flow().peer, dialog.remote_target().clone());
            Some(KeptParty { dialog: leg.dialog, peer, target })
        };
        let [caller, callee] = self.answered_legs().map(|leg| leg.and_then(party));
        Kept {
            caller,
            callee,
            is_answered: self.answered.is_some(),
            files: self.recorded.files().len(),
            holds: self.who_holds(),
        }
    }

    /// Whether caller and callee hold the other one, with their phones or by command.
    fn who_holds(&self) -> [bool; 2] {
        let [caller, callee] = self.answered_legs().map(holds);
        let by_command = |side| self.program.holds() == Some(side);
        [caller || by_command(Side::Caller), callee || by_command(Side::Callee)]
    }

    /// What the store is to have of the call, if that is not what it has.
    fn keep(&mut self, env: &Environment) -> Option<OpenCall> {
        if matches!(self.phase, Phase::Reserving | Phase::Ended) || self.ending.is_some() {
            return None;
        }
        // Who is being transferred is in the call that it had before.
        if self.referred.is_some() || self.kept.as_ref().is_some_and(|kept| self.is_kept(env, kept)) {
            return None;
        }
        let now = self.kept_now(env);
        let before = self.kept.replace(now.clone());
        self.note_changes(env.unix_ms(env.now), before.as_ref(), &now);
        Some(self.open(env))
    }

    /// What the store has of a call that is up.
    fn open(&self, env: &Environment) -> OpenCall {
        let parties = self.answered_legs().into_iter().zip([EndedBy::Caller, EndedBy::Callee]);
        let parties = parties.filter_map(|(leg, side)| open_party(env, leg?, side)).collect();
        OpenCall { record: self.record_so_far(env), parties }
    }

    /// Writes into the journal what has changed.
    fn note_changes(&mut self, at: u64, before: Option<&Kept>, now: &Kept) {
        let journal = &mut self.chronicle.journal;
        let was_answered = before.is_some_and(|before| before.is_answered);
        if let (true, Phase::Talking { callee }) = (now.is_answered && !was_answered, &self.phase) {
            // Who picks a call up was not asked.
            let has_answered = |attempt: &Attempt| attempt.outcome == Outcome::Answered;
            if !self.chronicle.attempts.iter().any(has_answered) && !callee.is_peer {
                let user = self.callee.clone();
                journal.note(at, Happening::Replaced { side: EndedBy::Callee, user });
            }
        }
        if now.is_answered && !was_answered && matches!(self.phase, Phase::Served) {
            journal.note(at, Happening::Served);
        }
        let sides = [EndedBy::Caller, EndedBy::Callee];
        if let Some(before) = before.filter(|before| before.is_answered) {
            let parties = [(&before.caller, &now.caller), (&before.callee, &now.callee)];
            for (side, (before, now)) in sides.into_iter().zip(parties) {
                if let (Some(before), Some(now)) = (before, now)
                    && before.dialog != now.dialog
                {
                    let user = match side {
                        EndedBy::Caller => Bytes::copy_from_slice(self.caller.as_bytes()),
                        EndedBy::Callee | EndedBy::Switch => self.callee.clone(),
                    };
                    journal.note(at, Happening::Replaced { side, user });
                }
            }
        }
        let held = before.map_or([false; 2], |before| before.holds);
        for (by, (before, now)) in sides.into_iter().zip(held.into_iter().zip(now.holds)) {
            match (before, now) {
                (false, true) => journal.note(at, Happening::Held { by }),
                (true, false) => journal.note(at, Happening::Resumed { by }),
                (true, true) | (false, false) => {}
            }
        }
        for file in self.recorded.files().iter().skip(before.map_or(0, |before| before.files)) {
            journal.note(at, Happening::Recorded { file: Arc::clone(file) });
        }
    }

    /// The record as far as it is known.
    fn record_so_far(&self, env: &Environment) -> CallRecord {
        let (id, domain, caller) = (self.chronicle.id.clone(), self.domain_name.clone(), self.caller.clone());
        let callee = String::from_utf8_lossy(&self.callee).into();
        CallRecord {
            number: self.number,
            answered_unix_ms: self.answered.map(|answered| env.unix_ms(answered)),
            missed: self.answered.is_none() && self.chronicle.can_be_missed,
            route: self.chronicle.route.clone(),
            recordings: self.recorded.files().to_vec(),
            referred_by: self.referred_by.clone(),
            transferred_into: self.chronicle.into.clone(),
            attempts: self.chronicle.attempts.clone(),
            journal: self.chronicle.journal.clone(),
            variables: self.program.variables().clone(),
            ..CallRecord::bare(id, domain, caller, callee, env.unix_ms(self.started))
        }
    }

    /// The call ends: what will not be known any more when its record is written.
    pub(super) fn note_end(&mut self, env: &Environment, ending: Ending) {
        self.name_record(env);
        self.chronicle.codecs = [Side::Caller, Side::Callee].map(|side| self.agreed(side).and_then(codec));
        let cause = self.chronicle.cause.unwrap_or_else(|| match self.answered {
            Some(_) => Cause::Completed,
            None => Cause::of_failure(ending.status.code(), ending.by),
        });
        self.chronicle.cause = Some(cause);
        self.chronicle.end(env.unix_ms(ending.at), ending.status.code(), cause, ending.by);
    }

    /// The record of a call that is over. What was written down for it is taken out.
    pub(super) fn take_record(&mut self, env: &Environment, ending: Ending) -> CallRecord {
        let attempts = core::mem::take(&mut self.chronicle.attempts);
        let journal = core::mem::take(&mut self.chronicle.journal);
        let [caller_codec, callee_codec] = core::mem::take(&mut self.chronicle.codecs);
        let is_missed = self.answered.is_none() && self.chronicle.can_be_missed;
        CallRecord {
            ended_unix_ms: env.unix_ms(ending.at),
            status: ending.status.code(),
            ended_by: ending.by,
            cause: self.chronicle.cause.unwrap_or_default(),
            missed: is_missed || self.is_given_up_in_greeting(ending),
            caller_codec,
            callee_codec,
            attempts,
            journal,
            ..self.record_so_far(env)
        }
    }

    /// Whoever hangs up before an announcement has ended wanted somebody.
    fn is_given_up_in_greeting(&self, ending: Ending) -> bool {
        let service = self.destination.service.as_ref().map(|served| served.service());
        matches!(service, Some(Service::Play { .. })) && ending.by == EndedBy::Caller
    }

    /// The party on a side went over to another call, whose record has that id.
    pub(super) fn note_transferred(&mut self, env: &Environment, into: Arc<str>) {
        self.chronicle.cause = Some(Cause::Transferred);
        let at = env.unix_ms(env.now);
        self.chronicle.journal.note(at, Happening::Transferred { into: into.clone() });
        self.chronicle.into = Some(into);
    }
}

impl Calls {
    /// Keeps what has changed of a call.
    pub(super) fn keep(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        call.name_record(env);
        if let Some(open) = call.keep(env) {
            env.store(StoreOp::from(open));
        }
    }

    /// The store has nothing: it is given every call that it should have.
    pub(crate) fn keep_all(&self, env: &mut Environment) {
        for (_, call) in self.table.iter() {
            if call.kept.is_some() && call.ending.is_none() {
                env.store(StoreOp::from(call.open(env)));
            }
        }
    }

    /// The id of the record of a call.
    pub(super) fn record_id(&self, id: CallId) -> Arc<str> {
        self.table.get(id).map_or_else(Arc::default, |call| call.chronicle.id.clone())
    }
}

/// Whether a party has put the other one on hold (RFC 3264 §8.4).
fn holds(leg: Option<&Leg>) -> bool {
    leg.and_then(|leg| leg.session.remote.as_ref()).is_some_and(|remote| match remote.direction {
        Direction::SendOnly | Direction::Inactive => true,
        Direction::SendRecv | Direction::RecvOnly => false,
    })
}

fn open_party(env: &Environment, leg: &Leg, side: EndedBy) -> Option<OpenParty> {
    let dialog = env.endpoint.dialog(leg.dialog)?;
    let flow = dialog.flow();
    let (transport, local, peer) = (flow.transport, flow.local, flow.peer);
    Some(OpenParty { side, dialog: dialog.resumption(), transport, local, peer })
}

/// Encoding and clock rate of what a party speaks.
fn codec(formats: &super::formats::Formats) -> Option<Box<str>> {
    let codec = formats.first()?;
    let name = String::from_utf8_lossy(codec.encoding.as_bytes());
    Some(format!("{name}/{}", codec.clock_rate).into())
}

/// The record of a call that was refused at once.
pub(crate) fn write_refused(env: &mut Environment, call: RefusedCall<'_>) {
    let started = env.unix_ms(env.now);
    let tag = env.endpoint.random().tag();
    let id: Arc<str> = format!("{started:x}-{}", String::from_utf8_lossy(&tag)).into();
    let callee = String::from_utf8_lossy(call.callee).into();
    let bare = CallRecord::bare(id, call.domain, call.caller.into(), callee, started);
    let (status, cause) = (call.status, call.cause);
    env.store(StoreOp::from(CallRecord {
        status,
        cause,
        missed: matches!(cause, Cause::Unregistered | Cause::Declined),
        ..bare
    }));
}

/// A call that was refused at once.
pub(crate) struct RefusedCall<'a> {
    pub(crate) domain: Arc<str>,
    pub(crate) caller: &'a str,
    pub(crate) callee: &'a [u8],
    pub(crate) status: u16,
    pub(crate) cause: Cause,
}
