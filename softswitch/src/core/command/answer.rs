//! What a command is answered with: what it came to, or why not.

use super::ids::{CallRef, CommandId, LegSide, RoomRef, UserRef};
use crate::core::text;
use crate::rooms::Standing;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The command.
    pub command: CommandId,
    /// What it came to.
    pub result: Result<Done, Refused>,
}

/// What an accepted command has come to so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It is done, or under way: events tell.
    #[serde(rename = "done")]
    Accepted,
    /// It has made this call.
    Call(CallRef),
    /// The slot in which somebody waits.
    Slot(u32),
    /// Calls.
    Calls(Page<CallView>),
    /// Bindings.
    Registrations(Page<BindingView>),
    /// Conferences.
    Rooms(Page<RoomView>),
    /// Subscriptions.
    Subscriptions(Page<SubscriptionView>),
}

/// Rows of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; `None`: this was the last one.
    pub next: Option<u64>,
}

/// Why a command is refused. Its text is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// Only the operator may, or the user in whose name it would be done.
    #[error("only the operator may do that, or the user itself")]
    NotAllowed,
    /// No such call, or none that the actor sees.
    #[error("there is no such call")]
    UnknownCall,
    /// No such user, or none that the actor sees.
    #[error("there is no such user")]
    UnknownUser,
    /// No such number: no user, and no route that matches.
    #[error("there is no such number")]
    UnknownNumber,
    /// No such conference is open, or none that the actor sees.
    #[error("there is no such conference")]
    UnknownRoom,
    /// No such prompt in the language of the call.
    #[error("there is no such prompt")]
    UnknownPrompt,
    /// No phone of the user is registered.
    #[error("no phone of the user is registered")]
    NotRegistered,
    /// The call rings, is served by the switch, or has nobody on that side.
    #[error("the call is not in a state in which that can be done")]
    WrongState,
    /// Something is asked of a party already.
    #[error("something else is being done to the call: try again")]
    Pending,
    /// Two parties would not understand each other, or the sound is not decoded.
    #[error("the parties have no common codec for that, or their sound is not decoded")]
    NoCommonCodec,
    /// A bound is reached.
    #[error("there are too many of these already")]
    TooMany,
    /// A field has a value that makes no sense.
    #[error("the {0:?} of the command makes no sense")]
    Senseless(Field),
    /// The slot is taken, or none.
    #[error("somebody waits in that slot already, or there is no such slot")]
    Taken,
    /// The switch is about to stop.
    #[error("the switch is stopping")]
    Stopping,
    /// A party cannot be told that it is recorded.
    #[error("the parties cannot be told that they are recorded")]
    NotAnnounced,
}

/// A field of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// `call` or `of`
    Call,
    /// `caller_id`
    CallerId,
    /// `decibels`
    Decibels,
    /// `digits`
    Digits,
    /// `file`
    File,
    /// `from`
    From,
    /// `leg` or `with`
    Leg,
    /// `number`
    Number,
    /// `room` or `to`
    Room,
    /// `setting`
    Setting,
    /// `timeout_s`
    Timeout,
    /// `variables`
    Variables,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Its phones are looked for, or its ports.
    Trying,
    /// It rings.
    Ringing,
    /// Both talk.
    Talking,
    /// The switch serves the caller: a conference, an announcement.
    Served,
    /// It is over, and its figures are waited for.
    Ended,
}

/// A party of a call as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyView {
    /// User part of its address, or the number.
    #[serde(with = "text")]
    pub user: Bytes,
    /// It does not want to be known (RFC 3323).
    pub anonymous: bool,
    /// It is behind a peer.
    pub peer: bool,
    /// It has put the other one on hold.
    pub holds: bool,
}

/// A call as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// The call.
    pub call: CallRef,
    /// Its domain.
    pub domain: Arc<str>,
    /// What was dialled.
    #[serde(with = "text")]
    pub dialled: Bytes,
    /// Who calls.
    pub caller: PartyView,
    /// Who is called; when it rings, the number.
    pub callee: PartyView,
    /// How far it is.
    pub state: CallState,
    /// When it began, in Unix milliseconds.
    pub started_unix_ms: u64,
    /// When it was answered, in Unix milliseconds.
    pub answered_unix_ms: Option<u64>,
    /// It is recorded.
    pub recorded: bool,
    /// Calls that have joined it.
    pub guests: Vec<CallRef>,
    /// It passes through without its sound.
    pub proxied: bool,
}

/// A contact of a user as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingView {
    /// The user.
    pub user: UserRef,
    /// The contact URI.
    #[serde(with = "text")]
    pub contact: Bytes,
    /// The phone, if it has said which it is (RFC 5626 §4.1).
    #[serde(with = "text::optional")]
    pub instance: Option<Bytes>,
    /// Where its REGISTER came from.
    pub source: SocketAddr,
    /// What it calls itself.
    #[serde(with = "text")]
    pub user_agent: Bytes,
    /// When the binding ends, in Unix milliseconds.
    pub expires_unix_ms: u64,
    /// Who has logged in there; the phone is not the user's meanwhile.
    #[serde(default)]
    pub guest: Option<Box<str>>,
}

/// A conference as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomView {
    /// The conference.
    pub room: RoomRef,
    /// What it is called.
    pub name: Option<Box<str>>,
    /// The calls that are in it.
    pub calls: Vec<CallRef>,
    /// Those who are in it or wait, in the order in which they came.
    pub members: Vec<MemberView>,
    /// Those whom everybody in it hears but themselves: neither muted nor listeners.
    pub heard: Vec<CallRef>,
    /// Who speaks.
    pub speaker: Option<CallRef>,
    /// Nobody else comes in.
    pub locked: bool,
    /// All but the moderators are muted.
    pub all_muted: bool,
    /// Its file, if it is recorded as a whole.
    pub recording: Option<Arc<str>>,
}

/// A member of a conference as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its call.
    pub call: CallRef,
    /// User part of its address, or the number.
    #[serde(with = "text")]
    pub user: Bytes,
    /// It does not want to be known (RFC 3323).
    pub anonymous: bool,
    /// What it is.
    pub role: Standing,
    /// It is not in yet: it is asked for a code, or waits for a moderator.
    pub waits: bool,
    /// The others do not hear it.
    pub muted: bool,
    /// It talks.
    pub talks: bool,
    /// By how much it is made louder for the others, in decibels.
    pub gain_db: i8,
}

/// A subscription as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// Who watches.
    pub watcher: UserRef,
    /// The user or the conference that is watched.
    pub subject: UserRef,
    /// The package (RFC 6665 §7.2).
    pub package: Box<str>,
}

impl From<crate::call::Side> for LegSide {
    fn from(side: crate::call::Side) -> LegSide {
        match side {
            crate::call::Side::Caller => LegSide::Caller,
            crate::call::Side::Callee => LegSide::Callee,
        }
    }
}

impl From<LegSide> for crate::call::Side {
    fn from(side: LegSide) -> crate::call::Side {
        match side {
            LegSide::Caller => crate::call::Side::Caller,
            LegSide::Callee => crate::call::Side::Callee,
        }
    }
}
