//! What the switch reports about itself: the one stream that the log and every control interface take their news from.
//!
//! Text in an event is what peers sent; whoever prints it escapes it ([`sip_stack::message::Escaped`]). As JSON an event is
//! `{"call_ended": {"call": "…", …}}`: the names here in snake case (`docs/control.md`).

use super::Alarm;
use super::command::{CallRef, CommandId, LegRef, RecordingRef, RoomRef};
use super::text;
use crate::rooms::Standing;
use crate::routing::Setting;
use crate::store::MediaFigures;
use bytes::Bytes;
use media::source::SoundFault;
use media::tap::{RecordingFault, RecordingFigures};
use serde::{Deserialize, Serialize};
use sip_stack::registration::Failure;
use std::net::SocketAddr;
use std::sync::Arc;

/// An event in the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its number in this run of the switch: from 1 on, without gaps.
    pub number: u64,
    /// When, in Unix milliseconds.
    pub unix_ms: u64,
    /// The command that it came of.
    pub command: Option<CommandId>,
    /// What.
    pub event: Event,
}

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A contact was bound to a user for the first time, or again after it had gone.
    Registered {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The contact URI.
        #[serde(with = "text")]
        contact: Bytes,
        /// Where the REGISTER came from.
        source: SocketAddr,
        /// For how long.
        expires_s: u32,
    },
    /// A contact is no longer bound.
    Unregistered {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The contact URI.
        #[serde(with = "text")]
        contact: Bytes,
        /// Why.
        reason: Unbound,
    },
    /// Credentials were wrong. Not told for requests without any.
    AuthenticationFailed {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user name that was claimed.
        #[serde(with = "text")]
        user: Bytes,
        /// Where the request came from.
        source: SocketAddr,
    },
    /// An INVITE became a call; its phones ring as soon as the media ports are there.
    CallStarted {
        /// The call.
        call: CallRef,
        /// The SIP domain.
        domain: Arc<str>,
        /// Who calls.
        #[serde(with = "text")]
        caller: Bytes,
        /// What was dialled.
        #[serde(with = "text")]
        callee: Bytes,
    },
    /// Whoever was rung first in a call that a command began has answered; the number is called now.
    CallerAnswered {
        /// The call.
        call: CallRef,
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// A party holds the other one by command, or does no more.
    HoldChanged {
        /// Who holds.
        leg: LegRef,
        /// Whether.
        on: bool,
    },
    /// The callee answered.
    CallAnswered {
        /// The call.
        call: CallRef,
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// A party of the call went over to another call; this one ends.
    CallTransferred {
        /// The call.
        call: CallRef,
        /// The other call.
        into: CallRef,
    },
    /// How far the transfer of a party of the call has come: what a phone that transfers hears by NOTIFY (RFC 3515 §2.4.5). A final
    /// status is the last.
    TransferProgressed {
        /// The call.
        call: CallRef,
        /// 100, 180, or how it ended.
        status: u16,
    },
    /// Something has become of a user's wish to be called back when somebody is free.
    CallBack {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Box<str>,
        /// The other one.
        of: Box<str>,
        /// What.
        how: CallingBack,
    },
    /// Something has become of a party that waits in a slot.
    Parked {
        /// The call in which it waits.
        call: CallRef,
        /// The slot.
        slot: u32,
        /// Who parked it.
        #[serde(with = "text")]
        by: Bytes,
        /// What.
        how: Parking,
    },
    /// Something has happened in a conference.
    Conference {
        /// The conference.
        room: RoomRef,
        /// What.
        change: RoomChange,
    },
    /// The switch ends a call that goes on.
    CallCut {
        /// The call.
        call: CallRef,
        /// Why.
        cause: Cut,
    },
    /// The call is over.
    CallEnded {
        /// The call.
        call: CallRef,
        /// 200, or the final status of a call that was not answered.
        status: u16,
        /// Milliseconds between answer and end; zero when it was not answered.
        talked_ms: u64,
    },
    /// A call was not accepted at all.
    CallRefused {
        /// Who sent the INVITE.
        source: SocketAddr,
        /// What was dialled.
        #[serde(with = "text")]
        callee: Bytes,
        /// Why.
        reason: Refusal,
    },
    /// The recording of a call, or of the conference that it has opened, has begun a file.
    RecordingBegan {
        /// The call.
        call: CallRef,
        /// The recording.
        recording: RecordingRef,
        /// The file.
        file: Arc<str>,
    },
    /// Part of a recording is silence: the disk did not keep up.
    RecordingLost {
        /// The call.
        call: CallRef,
        /// The recording.
        recording: RecordingRef,
        /// How much, since this was told last.
        lost_ms: u64,
    },
    /// A recording is complete.
    RecordingEnded {
        /// The call.
        call: CallRef,
        /// The recording.
        recording: RecordingRef,
        /// What it has come to.
        figures: RecordingFigures,
    },
    /// A recording did not begin, or ended before its time; the call goes on.
    RecordingFailed {
        /// The call.
        call: CallRef,
        /// The recording.
        recording: RecordingRef,
        /// Why.
        fault: RecordingFault,
        /// What it has come to.
        figures: RecordingFigures,
    },
    /// A call was to be recorded and is not; the call goes on. Once for each reason.
    NotRecorded {
        /// The call.
        call: CallRef,
        /// Why.
        reason: Unrecorded,
    },
    /// A file could not be played and was left out.
    NotPlayed {
        /// The file.
        file: Arc<str>,
        /// Why.
        fault: SoundFault,
    },
    /// New work is being refused.
    Overloaded {
        /// Why the first of it was.
        cause: OverloadCause,
    },
    /// No new work was refused for five seconds.
    OverloadEnded {
        /// Requests that were refused since it began.
        refused: u64,
    },
    /// A phone behind a translator no longer answers.
    Unreachable {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The contact URI.
        #[serde(with = "text")]
        contact: Bytes,
    },
    /// A peer has taken our registration, for the first time or after it had failed.
    PeerRegistered {
        /// The SIP domain.
        domain: Arc<str>,
        /// The peer.
        peer: Arc<str>,
        /// For how long; it is refreshed before.
        expires_s: u32,
    },
    /// We are no longer registered at a peer, as we wished.
    PeerUnregistered {
        /// The SIP domain.
        domain: Arc<str>,
        /// The peer.
        peer: Arc<str>,
    },
    /// A peer did not take our registration, or could not be asked.
    PeerRegistrationFailed {
        /// The SIP domain.
        domain: Arc<str>,
        /// The peer.
        peer: Arc<str>,
        /// Why.
        failure: Failure,
        /// When it is tried again; `None`: not before the configuration changes.
        retry_s: Option<u64>,
    },
    /// A peer does not answer any more.
    PeerDown {
        /// The SIP domain.
        domain: Arc<str>,
        /// The peer.
        peer: Arc<str>,
    },
    /// A peer answers again.
    PeerUp {
        /// The SIP domain.
        domain: Arc<str>,
        /// The peer.
        peer: Arc<str>,
    },
    /// A user has as many subscriptions as one may have, and wanted another one.
    SubscriptionRefused {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Arc<str>,
    },
    /// What was measured of the media of an answered call that is over; with its record, a moment after its end.
    CallMeasured {
        /// The call.
        call: CallRef,
        /// Between the caller and us.
        caller: Box<MediaFigures>,
        /// Between the callee and us; all zero when we served the call ourselves.
        callee: Box<MediaFigures>,
    },
    /// A user has changed a setting of its own.
    SettingChanged {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Box<str>,
        /// The change.
        setting: Setting,
    },
    /// The switch was interrupted in a call when it ran last; its record says so.
    CallInterrupted {
        /// The id of its record.
        id: Box<str>,
        /// Parties that are sent a BYE.
        told: u8,
        /// Parties to whom no way leads: their connections are gone.
        untold: u8,
    },
    /// Something that the switch needs does not work; calls go on.
    AlarmRaised {
        /// What.
        alarm: Alarm,
    },
    /// It works again.
    AlarmCleared {
        /// What, as it was raised.
        alarm: Alarm,
        /// After so many milliseconds.
        lasted_ms: u64,
    },
    /// The database was damaged: it was set aside under another name, and a new one has what could be read of it.
    DatabaseSetAside,
    /// A new configuration is in force.
    Configured {
        /// Users in it, of all domains.
        users: u64,
    },
    /// The configuration was to be read again and cannot be used; the old one is in force.
    NotConfigured {
        /// Why, for the operator.
        reason: Box<str>,
    },
    /// The switch ends its calls and stops.
    Stopping,
}

/// What becomes of a wish to be called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallingBack {
    /// It waits until the other one is free.
    Wanted,
    /// The other one is free, and the user's phones ring.
    Rings,
    /// The user has answered, and the other one is called.
    Taken,
    /// It was taken back.
    Cancelled,
    /// It has waited for too long.
    Expired,
}

/// What becomes of a party that waits in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parking {
    /// It waits.
    Parked,
    /// It has waited long: who parked it is called.
    Returning,
    /// A command has somebody called for it.
    Called,
    /// Somebody has it.
    Retrieved,
    /// It has hung up, or nobody wanted it.
    GivenUp,
}

/// What has happened in a conference; members are named by their calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomChange {
    /// Somebody is in.
    Joined {
        /// Who.
        call: CallRef,
    },
    /// Somebody waits for a moderator.
    Waiting {
        /// Who.
        call: CallRef,
    },
    /// Somebody was not let in, or was sent away.
    TurnedAway {
        /// Who.
        call: CallRef,
    },
    /// Somebody is no longer in.
    Left {
        /// Who.
        call: CallRef,
    },
    /// Somebody is muted, or no longer.
    Muted {
        /// Who.
        call: CallRef,
        /// Whether it is.
        on: bool,
    },
    /// Somebody talks, or no longer.
    Talking {
        /// Who.
        call: CallRef,
        /// Whether it does.
        on: bool,
    },
    /// Somebody is a moderator, a member or a listener from now on.
    Role {
        /// Who.
        call: CallRef,
        /// What.
        role: Standing,
    },
    /// Somebody else is the one who speaks.
    Speaker {
        /// Who; `None`: everybody is silent.
        call: Option<CallRef>,
    },
    /// Nobody else comes in, or everybody again.
    Locked {
        /// Whether it is locked.
        on: bool,
    },
    /// It was ended for all.
    Ended,
}

/// Why the switch ends a call that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// It has lasted as long as calls may.
    TooLong,
    /// Neither party sends anything.
    Silent,
    /// A party does not answer the refresh of its session (RFC 4028).
    NotRefreshed,
}

/// Why a contact is no longer bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unbound {
    /// Nobody refreshed it.
    Expired,
    /// The phone or the operator removed it, or another contact took its place.
    Removed,
    /// The connection that alone led to it was closed (RFC 5626 §7).
    ConnectionLost,
}

/// Why new work is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverloadCause {
    /// Messages wait too long before they are read.
    Delay,
    /// The limit of simultaneous transactions is reached.
    Transactions,
    /// The limit of simultaneous calls is reached.
    Calls,
    /// The limit of simultaneous subscriptions is reached.
    Subscriptions,
}

/// Why a call is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrecorded {
    /// Its sound is of a kind that is not decoded.
    NotDecoded,
    /// The same, and a phone did not take to another codec when it was asked.
    Refused,
    /// Those who are recorded are to be told so first, and the announcement could not be played.
    NotAnnounced,
    /// Its recording was begun and ended too often.
    TooOften,
}

/// Why a call was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The domain is none of ours.
    UnknownDomain,
    /// No such user, and no route that matches.
    UnknownNumber,
    /// The user exists but no phone is registered.
    NotRegistered,
    /// The caller, or the trunks, may not call this number.
    NotAllowed,
    /// The caller, or the trunks, have as many calls as they may have.
    TooManyCalls,
    /// The caller has begun as many calls within a minute as it may.
    TooOften,
    /// The call was forwarded in a circle, or too often.
    Loop,
    /// The user wants no calls.
    DoNotDisturb,
    /// A route says so.
    Rejected,
    /// A setting that was dialled cannot be so.
    BadSetting,
    /// The peer's name leads to no server that we can send to.
    PeerNotFound,
    /// The peer does not answer OPTIONS.
    PeerDead,
    /// The switch is stopping.
    Stopping,
    /// No media port could be had.
    NoMedia,
    /// Nothing in the offer that can be relayed.
    NoCommonCodec,
    /// Nothing rings that the caller may pick up.
    NothingToPickUp,
    /// The user is in a call, and its phone is not to answer by itself.
    Busy,
    /// The user takes no anonymous calls.
    Anonymous,
    /// The PIN was wrong of who wanted to log in at a phone.
    WrongPin,
    /// A code to be called back, and nobody was busy.
    NothingToCallBack,
}
