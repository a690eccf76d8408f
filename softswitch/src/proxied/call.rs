//! What the switch knows of a call that passes through it, and when it takes it for over.
//!
//! | the call | ends |
//! |---|---|
//! | rings | with its final failure; nobody rings for longer than `ring_s` of who is called, and Timer C (RFC 3261 §16.8) |
//! | was answered | with the BYE of its last dialog, whatever is answered to that |
//! | was answered, and its session timer (RFC 4028 §9), seen in the 2xx of INVITE and UPDATE, runs out | then, with 408 |
//! | was answered without a session timer | when nothing of it has passed for 12 hours, with 408 |

use super::key;
use crate::core::Event;
use crate::core::environment::Environment;
use crate::store::{CallRecord, EndedBy, MediaFigures, StoreOp};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::{Message, Method, Status};
use sip_stack::transaction::{Armed, KeyHasher};
use smallvec::SmallVec;
use std::sync::Arc;

/// How long a call without a session timer may be silent: longer than people talk without any of their phones ever sending a
/// message, and short enough that what is left behind does not fill the table.
const SILENCE: Duration = Duration::from_secs(12 * 3_600);

/// Answers of one call, from several phones, whose BYE is waited for.
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
    pub(super) started: Time,
    pub(super) answered: Option<Time>,
    /// To tags of the phones that have answered.
    pub(super) dialogs: SmallVec<[Bytes; 1]>,
    /// When it is taken for over.
    pub(super) silent_at: Option<Time>,
    /// The session has a timer.
    pub(super) has_timer: bool,
    pub(super) armed: Option<Armed>,
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(super) const fn ended_by(self) -> EndedBy {
        match self {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        }
    }
}

/// How a call ended.
pub(super) struct End {
    pub(super) status: Status,
    pub(super) by: EndedBy,
}

impl Call {
    pub(super) fn key(&self, hasher: &KeyHasher) -> u128 {
        key(hasher, &self.call_id, &self.caller_tag)
    }

    /// A 2xx to the INVITE went to the caller, or went again.
    pub(super) fn on_answer(&mut self, now: Time, response: &Message) {
        self.answered.get_or_insert(now);
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

    /// A response to one: a 2xx to INVITE and UPDATE says for how long the session goes on (RFC 4028 §7.2).
    pub(super) fn on_response(&mut self, now: Time, response: &Message) {
        let refreshes =
            response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite || cseq.method == Method::Update);
        if self.answered.is_some() && refreshes && response.status().is_some_and(Status::is_success) {
            self.refresh(now, response);
        }
    }

    fn refresh(&mut self, now: Time, response: &Message) {
        let expires = response.session_expires().ok().flatten();
        self.has_timer = expires.is_some();
        let lasts = expires.map_or(SILENCE, |expires| Duration::from_secs(u64::from(expires.seconds)));
        self.silent_at = Some(now + lasts);
    }

    /// A BYE of that side: whether it was the last dialog of the call.
    pub(super) fn on_bye(&mut self, bye: &Message, side: Side) -> bool {
        let address = match side {
            Side::Caller => bye.to(),
            Side::Callee => bye.from(),
        };
        let tag = address.ok().and_then(|address| address.tag());
        self.dialogs.retain(|known| Some(&known[..]) != tag);
        self.answered.is_some() && self.dialogs.is_empty()
    }

    /// Nothing has been heard of it for as long as that may be.
    pub(super) fn is_silent(&self, now: Time) -> bool {
        self.silent_at.is_some_and(|silent_at| silent_at <= now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.silent_at
    }

    pub(super) fn write_record(&self, env: &mut Environment, end: End) {
        let talked = self.answered.map_or(0, |answered| env.now.since(answered).as_millis());
        let talked_ms = u64::try_from(talked).unwrap_or(u64::MAX);
        let status = end.status.code();
        env.event(Event::CallEnded { call: self.number, status, talked_ms });
        let started = env.unix_ms(self.started);
        // Call-ID and tags are the phones' own and may come again; the number is ours, the start tells runs apart.
        env.store(StoreOp::from(CallRecord {
            id: format!("{started:x}-proxied-{}", self.number).into(),
            domain: self.domain.clone(),
            caller: self.caller.clone(),
            callee: String::from_utf8_lossy(&self.callee).into(),
            started_unix_ms: started,
            answered_unix_ms: self.answered.map(|answered| env.unix_ms(answered)),
            ended_unix_ms: env.unix_ms(env.now),
            status,
            ended_by: end.by,
            caller_media: MediaFigures::default(),
            callee_media: MediaFigures::default(),
            recordings: Vec::new(),
            referred_by: None,
        }));
    }
}
