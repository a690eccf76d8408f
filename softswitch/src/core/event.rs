//! What the switch reports about itself: the source of the log, later of every control interface.
//!
//! Text in an event is what peers sent; whoever prints it escapes it ([`sip_stack::message::Escaped`]).

use crate::routing::Setting;
use crate::store::MediaFigures;
use bytes::Bytes;
use media::source::SoundFault;
use media::tap::{RecordingFault, RecordingFigures};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A contact was bound to a user for the first time, or again after it had gone.
    Registered {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The contact URI.
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
        contact: Bytes,
        /// Why.
        reason: Unbound,
    },
    /// Credentials were wrong. Not told for requests without any.
    AuthenticationFailed {
        /// The SIP domain.
        domain: Arc<str>,
        /// The user name that was claimed.
        user: Bytes,
        /// Where the request came from.
        source: SocketAddr,
    },
    /// An INVITE became a call; its phones ring as soon as the media ports are there.
    CallStarted {
        /// The number of the call, counted from 1 since the switch began.
        call: u64,
        /// The SIP domain.
        domain: Arc<str>,
        /// Who calls.
        caller: Bytes,
        /// What was dialled.
        callee: Bytes,
    },
    /// The callee answered.
    CallAnswered {
        /// The call.
        call: u64,
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// A party of the call went over to another call; this one ends.
    CallTransferred {
        /// The call.
        call: u64,
        /// The other call.
        into: u64,
    },
    /// The call is over.
    CallEnded {
        /// The call.
        call: u64,
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
        callee: Bytes,
        /// Why.
        reason: Refusal,
    },
    /// The recording of a call, or of the conference that it has opened, has begun a file.
    RecordingBegan {
        /// The call.
        call: u64,
        /// The file.
        file: Arc<str>,
    },
    /// Part of a recording is silence: the disk did not keep up.
    RecordingLost {
        /// The call.
        call: u64,
        /// How much, since this was told last.
        lost_ms: u64,
    },
    /// A recording is complete.
    RecordingEnded {
        /// The call.
        call: u64,
        /// What it has come to.
        figures: RecordingFigures,
    },
    /// A recording did not begin, or ended before its time; the call goes on.
    RecordingFailed {
        /// The call.
        call: u64,
        /// Why.
        fault: RecordingFault,
        /// What it has come to.
        figures: RecordingFigures,
    },
    /// A call was to be recorded and is not; the call goes on. Once for each reason.
    NotRecorded {
        /// The call.
        call: u64,
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
        contact: Bytes,
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
        call: u64,
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
    /// A new configuration is in force.
    Configured {
        /// Users in it, of all domains.
        users: u64,
    },
}

/// Why a contact is no longer bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The switch is stopping.
    Stopping,
    /// No media port could be had.
    NoMedia,
    /// Nothing in the offer that can be relayed.
    NoCommonCodec,
}
