//! What becomes of a call: a row of stages, of which each rings somebody or is served by the switch, and begins when the one that it
//! depends on has come to a certain end.

use crate::config::{self, Paging, Peer, Recording, Service, User};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;
use smallvec::SmallVec;

/// Stages at most; what would come after is left out.
pub(super) const MOST_STAGES: usize = 32;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan<'a> {
    /// By these stages; at least one.
    Stages(Stages<'a>),
    /// The caller changes a setting of its own.
    Setting(super::Setting),
    /// The caller speaks to a paging group.
    Page(Page<'a>),
    /// The caller's phone becomes this user's, if the PIN is right.
    LogIn { user: &'a str, is_right: bool },
    /// The caller's phone is nobody else's any more.
    LogOut,
}

/// Who of a paging group is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<'a> {
    pub(crate) group: &'a Paging,
    /// Those who want calls and are in none; at least one.
    pub(crate) users: Vec<&'a str>,
}

/// The stages of a call in the order in which they are looked at.
pub(crate) type Stages<'a> = SmallVec<[Stage<'a>; 1]>;

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage<'a> {
    /// What it depends on; nothing: it is the first.
    pub(crate) after: Option<After>,
    /// Who rings.
    pub(crate) targets: SmallVec<[Target<'a>; 1]>,
    /// The switch itself; then nobody rings.
    pub(crate) service: Option<&'a Service>,
    /// For how long.
    pub(crate) ring_s: u32,
    /// Who has sent the call on, the first one first.
    pub(crate) diversions: Vec<Diversion<'a>>,
}

/// Who rings in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) who: Who<'a>,
    /// It begins to ring so much later.
    pub(crate) delay_s: u32,
    /// It stops earlier than the stage.
    pub(crate) ring_s: Option<u32>,
}

/// Who rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who<'a> {
    /// The phones of a user.
    User { id: &'a str, user: &'a User },
    /// Somebody behind a peer.
    Peer(Box<Outside<'a>>),
}

/// A number behind a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outside<'a> {
    pub(crate) id: &'a str,
    pub(crate) peer: &'a Peer,
    /// As the peer is told.
    pub(crate) number: Bytes,
    /// What the caller shows instead of what it is.
    pub(crate) caller_id: Option<Box<str>>,
    pub(crate) record: Option<Recording>,
    /// No limit holds.
    pub(crate) is_emergency: bool,
}

/// A user who has sent the call on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Diversion<'a> {
    pub(crate) user: &'a str,
    pub(crate) why: Why,
}

/// Why a call was sent on (RFC 5806 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Why {
    Unconditional,
    UserBusy,
    DoNotDisturb,
    NoAnswer,
    Unavailable,
    FollowMe,
}

impl Why {
    /// The reason in Diversion.
    pub(crate) const fn word(self) -> &'static [u8] {
        match self {
            Why::Unconditional => b"unconditional",
            Why::UserBusy => b"user-busy",
            Why::DoNotDisturb => b"do-not-disturb",
            Why::NoAnswer => b"no-answer",
            Why::Unavailable => b"unavailable",
            Why::FollowMe => b"follow-me",
        }
    }
}

/// What a stage depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct After {
    /// The place of an earlier stage.
    pub(crate) stage: u8,
    /// The ends of it after which this one begins.
    pub(crate) on: Outcomes,
}

/// How a stage that nobody answered has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Who was called is busy.
    Busy,
    /// It rang, and nobody answered.
    NoAnswer,
    /// Nobody could be reached: no phone is registered, no server answers or has room.
    Offline,
    /// Anything else.
    Rejected,
}

/// A set of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcomes(u8);

impl Outcomes {
    pub(crate) const BUSY: Outcomes = Outcomes(1);
    pub(crate) const NO_ANSWER: Outcomes = Outcomes(2);
    pub(crate) const OFFLINE: Outcomes = Outcomes(4);
    pub(crate) const ALL: Outcomes = Outcomes(15);

    pub(crate) const fn has(self, outcome: Outcome) -> bool {
        let bit = match outcome {
            Outcome::Busy => 1,
            Outcome::NoAnswer => 2,
            Outcome::Offline => 4,
            Outcome::Rejected => 8,
        };
        self.0 & bit != 0
    }

    /// In words.
    pub(super) fn shown(self) -> String {
        let all = [
            (Outcome::Busy, "busy"),
            (Outcome::NoAnswer, "not answered"),
            (Outcome::Offline, "not reached"),
            (Outcome::Rejected, "refused"),
        ];
        let has: Vec<&str> =
            all.iter().filter(|(outcome, _)| self.has(*outcome)).map(|(_, word)| *word).collect();
        has.join(" or ")
    }
}

impl Outcome {
    /// What a final response, or the want of one, means. `is_peer`: of another server.
    pub(crate) const fn of(status: Status, is_peer: bool) -> Outcome {
        match status.code() {
            486 | 600 | 603 => Outcome::Busy,
            500..=599 | 430 => Outcome::Offline,
            // A server that says nothing at all is not there.
            408 if is_peer => Outcome::Offline,
            408 | 480 | 487 => Outcome::NoAnswer,
            _ => Outcome::Rejected,
        }
    }
}

/// Why a call is refused before anybody rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refused {
    /// No user, group or route has the number.
    UnknownNumber,
    /// The user, or the trunks, may not call it.
    NotAllowed,
    /// Everything that leads there is full.
    Full,
    /// Every peer that leads there is dead.
    Dead,
    /// It has been sent on in a circle, or too often.
    Loop,
    /// The user wants no calls.
    DoNotDisturb,
    /// Nobody of a group can be called.
    Nobody,
    /// A route says so.
    Rejected(config::Rejection),
    /// A setting cannot be so.
    BadSetting,
    /// The user is in a call.
    Busy,
    /// The user takes no anonymous calls.
    Anonymous,
}

impl Refused {
    /// What the caller is answered: never 503, which would turn a proxy away from us altogether (RFC 3261 §21.5.4).
    pub(crate) fn status(self) -> Status {
        match self {
            Refused::UnknownNumber => Status::NOT_FOUND,
            Refused::NotAllowed => Status::FORBIDDEN,
            Refused::Full | Refused::DoNotDisturb | Refused::Busy => Status::BUSY_HERE,
            Refused::Dead => Status::SERVER_TIME_OUT,
            Refused::Loop => Status::LOOP_DETECTED,
            Refused::Nobody => Status::TEMPORARILY_UNAVAILABLE,
            Refused::Rejected(rejection) => Status::new(rejection.status).unwrap_or(Status::FORBIDDEN),
            Refused::BadSetting => Status::NOT_ACCEPTABLE_HERE,
            // RFC 5079 §3
            Refused::Anonymous => Status::ANONYMITY_DISALLOWED,
        }
    }

    /// The cause of ITU-T Q.850, and the words for it; nothing where the status says it all.
    pub(crate) const fn cause(self) -> Option<(u8, &'static str)> {
        match self {
            Refused::UnknownNumber | Refused::Nobody | Refused::BadSetting | Refused::Anonymous => None,
            // Outgoing calls barred, no circuit, network out of order, user busy, exchange routing error.
            Refused::NotAllowed => Some((21, "this number may not be called")),
            Refused::Full => Some((34, "too many calls at once")),
            Refused::Dead => Some((38, "the peer does not answer")),
            Refused::Loop => Some((25, "forwarded in a circle")),
            Refused::DoNotDisturb => Some((17, "do not disturb")),
            Refused::Busy => Some((17, "in a call")),
            Refused::Rejected(rejection) => match rejection.cause {
                Some(cause) => Some((cause, "by the dial plan")),
                None => None,
            },
        }
    }

    /// In words.
    pub(super) fn shown(self) -> String {
        match self {
            Refused::UnknownNumber => "no user, group or route has this number".into(),
            Refused::NotAllowed => "the caller, or every peer of the route, may not call this number".into(),
            Refused::Full => "every peer of the route has as many calls as it may have".into(),
            Refused::Dead => "no peer of the route answers OPTIONS (health_s)".into(),
            Refused::Loop => "the call was forwarded in a circle, or too often".into(),
            Refused::DoNotDisturb => "the user wants no calls".into(),
            Refused::Nobody => "nobody of the group can be called".into(),
            Refused::Rejected(_) => "the route says so".into(),
            Refused::BadSetting => "the setting cannot be so".into(),
            Refused::Busy => "the user is in a call".into(),
            Refused::Anonymous => "the user takes no anonymous calls".into(),
        }
    }
}
