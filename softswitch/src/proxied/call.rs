//! What the switch knows of a call that passes through it, and when it takes it for over.
//!
//! | the call | ends |
//! |---|---|
//! | rings | with its final failure; nobody rings for longer than `ring_s` of who is called, and Timer C (RFC 3261 §16.8) |
//! | was answered | when the BYE of its last dialog is answered by the other side (2xx, 481, 408), or by nobody for 64·T1 |
//! | was answered, and its session timer (RFC 4028 §9), seen in the 2xx of INVITE and UPDATE, runs out | then, with 408 |
//! | was answered without a session timer | when nothing of it has passed for 12 hours, with 408 |
//!
//! What one party alone can send moves nothing: a BYE that never reaches the other side, or that it sends in the other's name,
//! or a response of its own. Which side a message is of its tags say; that it is of that side, its address. A party whose address
//! changes within a call is believed when its user is registered there: what is for it goes there from then on. A trunk that hangs up
//! from another address than it was called at is not believed: then the call ends by its timer.
//!
//! For 64·T1 after its end a call is still known, so that ACK and BYE that come again find their way.

use super::{caller_key, key};
use crate::call::{Seat, Side};
use crate::core::Event;
use crate::core::command::{CallState, CallView, PartyView};
use crate::core::environment::Environment;
use crate::records::{Cause, Happening, Journal, OpenCall};
use crate::routing::Counted;
use crate::store::{CallRecord, EndedBy, StoreOp};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::{Message, Method, Status};
use sip_stack::transaction::{Armed, KeyHasher};
use sip_stack::transport::Flow;
use smallvec::SmallVec;
use std::sync::Arc;

/// How long a call without a session timer may be silent: longer than people talk without any of their phones ever sending a
/// message, and short enough that what is left behind does not fill the table.
const SILENCE: Duration = Duration::from_secs(12 * 3_600);

/// The bounds of what a session timer is believed to say.
const SHORTEST: Duration = Duration::from_secs(90);

/// Answers of one call, from several phones, whose BYE is waited for; and BYEs of one side that are waited on for an answer.
const DIALOGS: usize = 16;

/// One call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) domain: Arc<str>,
    pub(super) caller: Box<str>,
    pub(super) callee: Bytes,
    pub(super) call_id: Bytes,
    pub(super) caller_tag: Bytes,
    /// Whom it is for would have missed it.
    pub(super) can_be_missed: bool,
    pub(super) started: Time,
    pub(super) answered: Option<Time>,
    /// To tags of the phones that have answered.
    pub(super) dialogs: SmallVec<[Bytes; 1]>,
    /// When it is taken for over.
    pub(super) silent_at: Option<Time>,
    /// The session has a timer.
    pub(super) has_timer: bool,
    /// Under whose limits it is counted.
    pub(super) counted: SmallVec<[Counted; 0]>,
    /// How the caller is reached.
    pub(super) caller_flow: Flow,
    /// How those are reached who were asked.
    pub(super) callee_flows: Box<[Flow]>,
    /// Where caller and callee have moved to since.
    pub(super) moved: [Option<Flow>; 2],
    /// BYEs that nobody has answered yet.
    pub(super) byes: SmallVec<[Bye; 0]>,
    /// A phone has said that it rings.
    pub(super) rings: bool,
    /// One of the two does not want to be known (RFC 3323).
    pub(super) is_anonymous: bool,
    /// Who takes part, for those who watch it.
    pub(super) seats: SmallVec<[Seat; 2]>,
    /// How it has ended, if it has.
    pub(super) end: Option<End>,
    /// It is over, and is forgotten then.
    pub(super) forget_at: Option<Time>,
    pub(super) armed: Option<Armed>,
}

/// A BYE on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bye {
    by: Side,
    number: u32,
    /// The callee's tag.
    dialog: Bytes,
    /// When it is over without an answer; `None` if the BYE did not go where the other side is known to be.
    due: Option<Time>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) status: Status,
    pub(super) by: EndedBy,
}

impl Call {
    pub(super) fn key(&self, hasher: &KeyHasher) -> u128 {
        key(hasher, &self.call_id, &self.caller_tag)
    }

    pub(super) fn caller_key(&self, hasher: &KeyHasher) -> u128 {
        caller_key(hasher, &self.domain, &self.caller)
    }

    /// How it looks. Of holding nothing is known here, nor which of the two does not want to be known.
    pub(super) fn view(&self, env: &Environment) -> CallView {
        let party = |user, peer| PartyView { user, anonymous: self.is_anonymous, peer, holds: false };
        let domain = env.config.domain_named(&self.domain).and_then(|id| env.domain(id));
        let callee = domain.and_then(|domain| domain.user_of(&self.callee));
        let callee = callee.map(|(user, _)| Bytes::copy_from_slice(user.as_bytes()));
        let is_peer = callee.is_none();
        CallView {
            call: env.call_ref(self.number),
            domain: self.domain.clone(),
            dialled: self.callee.clone(),
            caller: party(Bytes::copy_from_slice(self.caller.as_bytes()), false),
            callee: party(callee.unwrap_or_else(|| self.callee.clone()), is_peer),
            state: if self.answered.is_some() { CallState::Talking } else { CallState::Ringing },
            started_unix_ms: env.unix_ms(self.started),
            answered_unix_ms: self.answered.map(|answered| env.unix_ms(answered)),
            recorded: false,
            guests: Vec::new(),
            proxied: true,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.forget_at.is_none()
    }

    fn flows(&self, side: Side) -> &[Flow] {
        match side {
            Side::Caller => core::slice::from_ref(&self.caller_flow),
            Side::Callee => &self.callee_flows,
        }
    }

    pub(super) fn is_at(&self, side: Side, flow: &Flow) -> bool {
        self.flows(side).iter().chain(self.moved_to(side)).any(|own| own.peer == flow.peer)
    }

    const fn moved_to(&self, side: Side) -> Option<&Flow> {
        let [caller, callee] = &self.moved;
        match side {
            Side::Caller => caller.as_ref(),
            Side::Callee => callee.as_ref(),
        }
    }

    /// The party on that side is reached there from now on.
    pub(super) const fn move_to(&mut self, side: Side, flow: Flow) {
        let [caller, callee] = &mut self.moved;
        match side {
            Side::Caller => *caller = Some(flow),
            Side::Callee => *callee = Some(flow),
        }
    }

    /// Where a request of that side goes whose route leads to `to`.
    pub(super) fn leads_to(&self, side: Side, to: Flow) -> Flow {
        self.moved_to(side.other()).copied().unwrap_or(to)
    }

    /// Whether a request of that side may go from one flow to another: to the other side, and not from there. Phones behind one proxy
    /// have one flow.
    pub(super) fn may_pass(&self, side: Side, from: &Flow, to: &Flow) -> bool {
        self.flows(side.other()).contains(to) && (self.is_at(side, from) || !self.is_at(side.other(), from))
    }

    /// Whether the address says that a message is of that side: its host, and where both sides are at one host the port too.
    fn is_from(&self, side: Side, from: &Flow) -> bool {
        let is_host_of = |side| self.flows(side).iter().any(|flow| flow.peer.ip() == from.peer.ip());
        self.is_at(side, from) || (is_host_of(side) && !is_host_of(side.other()))
    }

    /// A 2xx to the INVITE went to the caller, or went again.
    pub(super) fn on_answer(&mut self, now: Time, response: &Message) {
        self.answered.get_or_insert(now);
        self.is_anonymous |= response.privacy().hides_caller();
        if let Some(tag) = response.to().ok().and_then(|to| to.tag())
            && !self.dialogs.iter().any(|known| known == tag)
            && self.dialogs.len() < DIALOGS
        {
            self.dialogs.push(Bytes::copy_from_slice(tag));
        }
        self.refresh(now, response);
    }

    /// A request within a dialog.
    pub(super) fn on_request(&mut self, now: Time, _request: &Message) {
        if self.answered.is_some() && !self.has_timer {
            self.silent_at = Some(now + SILENCE);
        }
    }

    /// A response to a request of `side`: a 2xx to INVITE and UPDATE says for how long the session goes on (RFC 4028 §7.2), one to
    /// BYE whether its dialog is over. Returns whether that was the last of the call.
    pub(super) fn on_response(&mut self, now: Time, response: &Message, side: Side, from: &Flow) -> bool {
        let (Some(status), Ok(cseq)) = (response.status(), response.cseq()) else { return false };
        if self.answered.is_none() || !self.is_from(side.other(), from) {
            return false;
        }
        match cseq.method {
            Method::Invite | Method::Update if status.is_success() => self.refresh(now, response),
            Method::Bye if !status.is_provisional() => {
                let dialog = callee_tag(response, side).unwrap_or_default();
                return self.on_bye_answered(side, cseq.number, dialog, status);
            }
            _ => {}
        }
        false
    }

    fn on_bye_answered(&mut self, side: Side, number: u32, dialog: &[u8], status: Status) -> bool {
        let is_it = |bye: &Bye| bye.by == side && bye.number == number && bye.dialog == dialog;
        let Some(index) = self.byes.iter().position(is_it) else { return false };
        let bye = self.byes.remove(index);
        // §15.1.1. After anything else the dialog goes on: the other side has not taken it for over.
        let ends =
            status.is_success() || matches!(status, Status::CALL_DOES_NOT_EXIST | Status::REQUEST_TIMEOUT);
        ends && self.end_dialog(&bye.dialog)
    }

    fn end_dialog(&mut self, tag: &[u8]) -> bool {
        self.dialogs.retain(|known| known != tag);
        self.byes.retain(|bye| bye.dialog != tag);
        self.dialogs.is_empty()
    }

    /// The side whose BYE nobody has answered for so long that its dialog is over, if that was the last.
    pub(super) fn expire_bye(&mut self, now: Time) -> Option<Side> {
        let is_due = |bye: &Bye| bye.due.is_some_and(|due| due <= now);
        while let Some(index) = self.byes.iter().position(is_due) {
            let Bye { by, dialog, .. } = self.byes.remove(index);
            if self.end_dialog(&dialog) {
                return Some(by);
            }
        }
        None
    }

    fn refresh(&mut self, now: Time, response: &Message) {
        let expires = response.session_expires().ok().flatten();
        self.has_timer = expires.is_some();
        let lasts = expires.map_or(SILENCE, |expires| {
            Duration::from_secs(u64::from(expires.seconds)).clamp(SHORTEST, SILENCE)
        });
        self.silent_at = Some(now + lasts);
    }

    /// A BYE of that side came from one flow and went on to another; `due` is when it has got no answer.
    pub(super) fn on_bye(&mut self, bye: &Message, side: Side, [from, to]: [&Flow; 2], due: Time) {
        let (Some(tag), Ok(cseq)) = (callee_tag(bye, side), bye.cseq()) else { return };
        let is_again = |known: &Bye| known.by == side && known.number == cseq.number && known.dialog == tag;
        if !self.is_from(side, from)
            || !self.dialogs.iter().any(|known| known == tag)
            || self.byes.iter().any(is_again)
        {
            return;
        }
        // Beyond the bound the first of that side makes room: nobody takes it from the other.
        let of_side = |known: &Bye| known.by == side;
        if self.byes.iter().filter(|known| of_side(known)).count() >= DIALOGS
            && let Some(first) = self.byes.iter().position(of_side)
        {
            self.byes.remove(first);
        }
        let arrives =
            self.flows(side.other()).iter().chain(self.moved_to(side.other())).any(|flow| flow == to);
        self.byes.push(Bye {
            by: side,
            number: cseq.number,
            dialog: Bytes::copy_from_slice(tag),
            due: arrives.then_some(due),
        });
    }

    /// Nothing has been heard of it for as long as that may be.
    pub(super) fn is_silent(&self, now: Time) -> bool {
        self.silent_at.is_some_and(|silent_at| silent_at <= now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        if self.forget_at.is_some() {
            return self.forget_at;
        }
        self.byes.iter().filter_map(|bye| bye.due).chain(self.silent_at).min()
    }

    pub(super) fn write_record(&self, env: &mut Environment, end: End) {
        let talked = self.answered.map_or(0, |answered| env.now.since(answered).as_millis());
        let talked_ms = u64::try_from(talked).unwrap_or(u64::MAX);
        let status = end.status.code();
        env.event(Event::CallEnded { call: env.call_ref(self.number), status, talked_ms });
        let ended = env.unix_ms(env.now);
        let cause = match (self.answered, end.status) {
            (Some(_), Status::REQUEST_TIMEOUT) => Cause::Lost,
            (Some(_), _) => Cause::Completed,
            (None, _) => Cause::of_failure(status, end.by),
        };
        let mut record = self.record_so_far(env);
        record.journal.note(ended, Happening::Ended { status });
        let missed = self.answered.is_none() && self.can_be_missed;
        env.store(StoreOp::from(CallRecord {
            ended_unix_ms: ended,
            status,
            ended_by: end.by,
            cause,
            missed,
            ..record
        }));
    }

    /// Keeps what is known of it while it is up. Nobody is told when the switch was interrupted: the dialog is the parties' own.
    pub(super) fn keep(&self, env: &mut Environment) {
        let record = self.record_so_far(env);
        env.store(StoreOp::from(OpenCall { record, parties: Vec::new() }));
    }

    fn record_so_far(&self, env: &Environment) -> CallRecord {
        let started = env.unix_ms(self.started);
        // Call-ID and tags are the phones' own and may come again; the number is ours, the start tells runs apart.
        let id = format!("{started:x}-proxied-{}", self.number).into();
        let (domain, caller) = (self.domain.clone(), self.caller.clone());
        let answered_unix_ms = self.answered.map(|answered| env.unix_ms(answered));
        let mut journal = Journal::default();
        journal.note(started, Happening::Began);
        if let Some(at) = answered_unix_ms {
            journal.note(at, Happening::Answered { attempt: 0 });
        }
        let callee = String::from_utf8_lossy(&self.callee).into();
        CallRecord {
            number: self.number,
            answered_unix_ms,
            missed: self.answered.is_none() && self.can_be_missed,
            route: Some("proxy".into()),
            journal,
            ..CallRecord::bare(id, domain, caller, callee, started)
        }
    }
}

/// The callee's tag in a message of the dialog: in a request of `side`, or in a response to one.
fn callee_tag(message: &Message, side: Side) -> Option<&[u8]> {
    let address = match side {
        Side::Caller => message.to(),
        Side::Callee => message.from(),
    };
    address.ok()?.tag()
}
