//! What the switch keeps over a restart: bindings (RFC 3261 §10.3), call records, users made by command.
//!
//! These are outputs of the pure core and stand in the scenario log: values, without any handle to a database. Times
//! are wall-clock milliseconds since the Unix epoch. Text that came from the network is kept as bytes, as it came.

use super::profiles::StoredProfile;
use crate::config::{Dtmf, Latching, UserRecording};
use crate::records::{Attempt, Cause, Journal, OpenCall};
use bytes::Bytes;
use core::num::NonZeroU32;
use serde::{Deserialize, Serialize};
use sip_stack::auth::Ha1;
use sip_stack::transport::Transport;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// One change for the database. Changes of the same object take effect in the order of submission.
///
/// Values are boxed: this is part of [`crate::core::Output`], of which several move for every message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreOp {
    /// Keeps a binding, in place of the one with the same key.
    PutBinding(Box<StoredBinding>),
    /// Forgets a binding; nothing happens when there is none.
    RemoveBinding(BindingKey),
    /// Keeps the record of a call that is over, in place of the one with the same domain and id; the call is not open any more.
    PutCallRecord(Box<CallRecord>),
    /// Keeps what a user has set, in place of what it had set before.
    PutProfile(Box<StoredProfile>),
    /// Keeps a user made by command, in place of the one with the same domain and id.
    PutUser(Box<StoredUser>),
    /// Forgets a user made by command.
    RemoveUser {
        /// Name of the domain.
        domain: Box<str>,
        /// The user.
        id: Box<str>,
    },
    /// Keeps what is known of a call that is up, in place of what was known of the one with the same number.
    PutOpenCall(Box<OpenCall>),
    /// The parties of a call that the switch was interrupted in have been told, or cannot be.
    ForgetInterrupted {
        /// The run of the switch that it was in.
        run: i64,
        /// Its number then.
        number: u64,
    },
}

impl From<OpenCall> for StoreOp {
    fn from(call: OpenCall) -> StoreOp {
        StoreOp::PutOpenCall(Box::new(call))
    }
}

impl From<StoredBinding> for StoreOp {
    fn from(binding: StoredBinding) -> StoreOp {
        StoreOp::PutBinding(Box::new(binding))
    }
}

impl From<CallRecord> for StoreOp {
    fn from(record: CallRecord) -> StoreOp {
        StoreOp::PutCallRecord(Box::new(record))
    }
}

impl From<StoredProfile> for StoreOp {
    fn from(profile: StoredProfile) -> StoreOp {
        StoreOp::PutProfile(Box::new(profile))
    }
}

impl From<StoredUser> for StoreOp {
    fn from(user: StoredUser) -> StoreOp {
        StoreOp::PutUser(Box::new(user))
    }
}

/// What tells bindings apart.
///
/// The contact is compared byte by byte. A binding that is refreshed with an equivalent URI (§19.1.4) spelled otherwise
/// has another key: the core removes the old one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BindingKey {
    /// Name of the domain.
    pub domain: Arc<str>,
    /// User part of the address of record.
    pub user: Arc<str>,
    /// The contact URI.
    pub contact: Bytes,
    /// The phone's flow, where that tells bindings apart: several may have the same contact.
    pub flow: Option<FlowKey>,
}

/// One of the flows of a phone (RFC 5626 §6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// `+sip.instance`, with its quotes.
    pub instance: Bytes,
    /// `reg-id`.
    pub reg_id: NonZeroU32,
}

/// One contact of an address of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBinding {
    /// Domain, user, contact and flow.
    pub key: BindingKey,
    /// `+sip.instance` (RFC 5626 §4.1), with its quotes.
    pub instance: Option<Bytes>,
    /// Call-ID of the last REGISTER.
    pub call_id: Bytes,
    /// CSeq number of the last REGISTER.
    pub cseq: u32,
    /// Preference in thousandths, 0–1000.
    pub q: u16,
    /// When the binding ends, in Unix milliseconds.
    pub expires_at_unix_ms: u64,
    /// Over what the REGISTER came.
    pub transport: Transport,
    /// Where the REGISTER came from.
    pub source: SocketAddr,
    /// The listener it came in on.
    pub local: SocketAddr,
    /// User-Agent of the last REGISTER; empty when it had none.
    pub user_agent: Bytes,
    /// Path values (RFC 3327), topmost first.
    pub path: Vec<Bytes>,
}

/// A user made by command; one made in the configuration file never comes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredUser {
    /// Name of the domain.
    pub domain: Box<str>,
    /// User part of the address of record.
    pub id: Box<str>,
    /// What digests are checked against.
    pub credentials: Ha1,
    /// Shown to those who are called.
    pub display_name: Option<Box<str>>,
    /// A call that nobody answers for so long is given up.
    pub ring_s: u32,
    /// From where the user's media may come.
    pub latching: Latching,
    /// How the user's phones press keys.
    pub dtmf: Dtmf,
    /// The language it is spoken to in; `None`: that of the switch.
    pub language: Option<Box<str>>,
    /// Which of the user's calls are recorded.
    pub recording: UserRecording,
}

/// One call, written when it has ended, answered or not: one that was refused at once, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Id of the call, unique in its domain for ever.
    pub id: Arc<str>,
    /// The number that events, log lines and files of recordings have for it, counted from 1 in each run of the switch; 0 for one
    /// that was refused at once.
    pub number: u64,
    /// Name of the domain.
    pub domain: Arc<str>,
    /// Who called: user part of the address of record.
    pub caller: Box<str>,
    /// Who was called: the number dialled.
    pub callee: Box<str>,
    /// When the INVITE came, in Unix milliseconds.
    pub started_unix_ms: u64,
    /// When the call was answered, in Unix milliseconds.
    pub answered_unix_ms: Option<u64>,
    /// When the call ended, in Unix milliseconds.
    pub ended_unix_ms: u64,
    /// The final status the caller was sent: 200 for an answered call.
    pub status: u16,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// Why it ended.
    pub cause: Cause,
    /// Nobody answered it, though there was a user of ours whom it was for.
    pub missed: bool,
    /// Where the dial plan led.
    pub route: Option<Box<str>>,
    /// What the caller sent and got last: encoding and clock rate.
    pub caller_codec: Option<Box<str>>,
    /// The same of the callee.
    pub callee_codec: Option<Box<str>>,
    /// Media from and to the caller.
    pub caller_media: MediaFigures,
    /// Media from and to the callee.
    pub callee_media: MediaFigures,
    /// The files into which it was recorded, or the conference that it was in.
    pub recordings: Vec<Arc<str>>,
    /// The user whose transfer (RFC 3515) made the call, or brought its two parties together.
    pub referred_by: Option<Box<str>>,
    /// The record of the call that a party went over to.
    pub transferred_into: Option<Arc<str>>,
    /// Phones and peers that were asked, in order. The media figures of the one that answered are the callee's.
    pub attempts: Vec<Attempt>,
    /// What happened.
    pub journal: Journal,
    /// What the program that has begun the call wants to be kept with it.
    pub variables: BTreeMap<Box<str>, Box<str>>,
}

impl CallRecord {
    /// The record of a call of which no more is known than who called whom, when.
    #[must_use]
    pub fn bare(
        id: Arc<str>,
        domain: Arc<str>,
        caller: Box<str>,
        callee: Box<str>,
        started_unix_ms: u64,
    ) -> CallRecord {
        CallRecord {
            id,
            number: 0,
            domain,
            caller,
            callee,
            started_unix_ms,
            answered_unix_ms: None,
            ended_unix_ms: started_unix_ms,
            status: 0,
            ended_by: EndedBy::Switch,
            cause: Cause::Failed,
            missed: false,
            route: None,
            caller_codec: None,
            callee_codec: None,
            caller_media: MediaFigures::default(),
            callee_media: MediaFigures::default(),
            recordings: Vec::new(),
            referred_by: None,
            transferred_into: None,
            attempts: Vec::new(),
            journal: Journal::default(),
            variables: BTreeMap::new(),
        }
    }
}

/// Whose act ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// CANCEL or BYE of the caller.
    Caller,
    /// BYE or a refusal of the callee.
    Callee,
    /// The switch: no answer, nobody registered, silence, a limit, shutdown.
    Switch,
}

/// Media between one party and the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaFigures {
    /// RTP packets that came from it.
    pub packets: u64,
    /// Their payload octets.
    pub octets: u64,
    /// Packets missing in the sequence (RFC 3550 §6.4.1, cumulative).
    pub lost: u64,
    /// Packets refused because of their source.
    pub refused: u64,
    /// Interarrival jitter at the end (RFC 3550 §6.4.1), in microseconds.
    pub jitter_us: u32,
    /// Packets that came and were not played: late, or for want of room. Zero where sound was passed on undecoded.
    pub discarded: u64,
    /// Milliseconds of sound made up in place of packets that were lost or late.
    pub concealed_ms: u64,
    /// The delay of the jitter buffer at the end, in microseconds; `None` where there was none.
    pub delay_us: Option<u32>,
    /// The last round-trip time between the party and the switch, in microseconds; `None` when it sent no report.
    pub round_trip_us: Option<u32>,
    /// The quality of what came; `None` when nothing did.
    pub quality: Option<QualityFigures>,
    /// RTP packets that went to it.
    pub sent: u64,
    /// What the party reported of those; `None` when it sent no report.
    pub reported: Option<ReportedFigures>,
}

/// The quality of one direction by the E-model (ITU-T G.107), from loss and delay as far as they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityFigures {
    /// The R factor, 0 to 100.
    pub r_factor: u8,
    /// The mean opinion score of conversation in tenths, 10 to 45.
    pub mos_tenths: u8,
}

/// What a party said about the packets it got (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFigures {
    /// Packets that it missed.
    pub lost: u64,
    /// The jitter that it saw, in microseconds.
    pub jitter_us: u32,
    /// Its own figures where it sends any (RFC 3611 §4.7.5), else what its loss and jitter come to.
    pub quality: QualityFigures,
}
