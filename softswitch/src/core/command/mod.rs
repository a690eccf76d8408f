//! Commands: what programs, the operator and phones may ask of the switch, in one vocabulary.
//!
//! A command is one [`Input::Command`](super::Input::Command). It is answered at once by one [`Output::Answer`](super::Output::Answer),
//! accepted or refused; what comes of it later is told by events that carry its id. Who may do what is decided in one place
//! ([`Actor`]). What a phone asks for by signalling or by a feature code leads to the same functions.
//!
//! As JSON a command is `"reload"` or `{"hang_up": {"call": "…"}}`: the names here in snake case, ids as text (`docs/control.md`).
//! The names and fields of [`VERSION`] keep their meaning; what is new is added.

mod actor;
mod admin;
mod answer;
mod ids;
mod obey;
mod query;

pub use actor::{Actor, Rights};
pub use answer::{
    Answer, BindingView, CallState, CallView, Done, Field, MemberView, Page, PartyView, Refused, RoomView,
    SubscriptionView,
};
pub use ids::{
    CallRef, CommandId, DeviceRef, LegRef, LegSide, NoSuchName, PeerRef, RecordingRef, RoomRef, Run, UserRef,
};

use crate::config::{Mailbox, Recording};
use crate::rooms::Standing;
use crate::routing::Setting;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the vocabulary.
pub const VERSION: u32 = 1;

/// Rows of a page at most.
pub const LONGEST_PAGE: u16 = 500;

/// Something that is asked of the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// List the calls that are up or ring.
    Calls(Range),
    /// List who is registered.
    Registrations(Range),
    /// List the conferences that are open.
    Rooms(Range),
    /// List who watches whom.
    Subscriptions(Range),
    /// End a call; with a side, send that party away, which ends the call where it has no guest to take the place.
    HangUp {
        /// The call.
        call: CallRef,
        /// The party that is sent away; both without it.
        #[serde(default)]
        side: Option<LegSide>,
    },
    /// Send the partner of a party to a number: a blind transfer by that party.
    Transfer {
        /// The party that transfers, and leaves when somebody answers.
        leg: LegRef,
        /// The number that the partner is sent to.
        number: Box<str>,
    },
    /// Bring the partners of a party in two calls together: an attended transfer by that party.
    Connect {
        /// The party in one call.
        leg: LegRef,
        /// The same user in its other call.
        with: LegRef,
    },
    /// Park the partner of a party, which is told the slot in words and leaves then.
    Park {
        /// The party that parks.
        leg: LegRef,
        /// The slot; the first free one without it.
        #[serde(default)]
        slot: Option<u32>,
    },
    /// Ring a user's phones, or a number, and call another number for whoever answers.
    Originate(Box<Originate>),
    /// Put the partner of a party on music.
    Hold {
        /// The party that holds.
        leg: LegRef,
    },
    /// Let the two talk again.
    Resume {
        /// The party that has held.
        leg: LegRef,
    },
    /// Have a user's phones ring for a call that rings elsewhere.
    PickUp {
        /// Whose phones.
        user: UserRef,
        /// One of them; all without it.
        #[serde(default)]
        device: Option<DeviceRef>,
        /// The call that rings.
        #[serde(default)]
        call: Option<CallRef>,
        /// Instead of the call: the user at whose phones it rings; of several calls the one that rings longest.
        #[serde(default)]
        of: Option<UserRef>,
        /// Whether the phones are asked to answer by themselves.
        #[serde(default)]
        auto_answer: bool,
    },
    /// Have who is parked call a user.
    Retrieve {
        /// The slot.
        slot: u32,
        /// Whose phones.
        user: UserRef,
        /// One of them; all without it.
        #[serde(default)]
        device: Option<DeviceRef>,
        /// Whether the phones are asked to answer by themselves.
        #[serde(default)]
        auto_answer: bool,
    },
    /// Move a call of a user to another of the user's phones.
    Move {
        /// The user in the call.
        leg: LegRef,
        /// The phone; all of the user's others without it.
        #[serde(default)]
        device: Option<DeviceRef>,
        /// Whether the phones are asked to answer by themselves.
        #[serde(default)]
        auto_answer: bool,
    },
    /// Call a user back when another one is free, or no more.
    CallBack {
        /// The user.
        user: UserRef,
        /// The other one, by a number of its.
        of: Box<str>,
        /// Whether; `true` without it.
        #[serde(default = "yes")]
        on: bool,
    },
    /// Make one call of three out of two calls of a user.
    Join {
        /// The user in one call.
        leg: LegRef,
        /// The same user in its other call.
        with: LegRef,
    },
    /// Begin or end the recording of a call.
    Record {
        /// The call.
        call: CallRef,
        /// Whether it is to be recorded from now on.
        on: bool,
        /// How; as the switch does by default without it.
        #[serde(default)]
        form: Recording,
    },
    /// Say a prompt in a call.
    Say {
        /// The call.
        call: CallRef,
        /// The prompt, by its name (`call/please-hold`).
        prompt: Box<str>,
        /// Who hears it; both without it.
        #[serde(default)]
        to: Option<LegSide>,
    },
    /// Play a file in a call. For the operator alone.
    Play {
        /// The call.
        call: CallRef,
        /// The file.
        file: Box<str>,
        /// Who hears it; both without it.
        #[serde(default)]
        to: Option<LegSide>,
    },
    /// Press keys for a party: it hears them as its phone wants them.
    SendDigits {
        /// The party that hears them.
        leg: LegRef,
        /// `0`–`9`, `*`, `#`, `A`–`D`; at most 32.
        digits: Box<str>,
    },
    /// Give an order in a conference that is open. For its moderators, the operator, and users with the rights `all`.
    Room {
        /// The conference.
        room: RoomRef,
        /// What is to be done.
        order: RoomOrder,
    },
    /// Say how many messages wait for a user.
    SetMailbox {
        /// The user.
        user: UserRef,
        /// What is in its mailbox.
        mailbox: Mailbox,
    },
    /// Change what a user has set for itself: where its calls are forwarded to, and whether it wants any.
    ChangeSetting {
        /// The user.
        user: UserRef,
        /// The change.
        setting: Setting,
    },
    /// Read the configuration again.
    Reload,
    /// End all calls and stop.
    ShutDown,
    /// Print every SIP message to the log, or no more.
    Trace {
        /// Whether they are printed.
        on: bool,
    },
}

const fn yes() -> bool {
    true
}

/// A call that is to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Originate {
    /// The user whose call it is: what it may call decides, and its limits count.
    pub user: UserRef,
    /// The number that is called for who has answered.
    pub number: Box<str>,
    /// The number that rings first; without it the user's phones, whatever the user has set.
    #[serde(default)]
    pub from: Option<Box<str>>,
    /// One of the user's phones; all without it.
    #[serde(default)]
    pub device: Option<DeviceRef>,
    /// The number that who is called sees instead of the user's. For the operator alone.
    #[serde(default)]
    pub caller_id: Option<Box<str>>,
    /// How long the first rings, in seconds (1 to 300); without it as long as when it is called.
    #[serde(default)]
    pub timeout_s: Option<u32>,
    /// Whether the phones that ring first are asked to answer by themselves.
    #[serde(default)]
    pub auto_answer: bool,
    /// What the record of the call is to say beside: at most 16 words of 256 octets, with names of letters, digits and `_`.
    #[serde(default)]
    pub variables: BTreeMap<Box<str>, Box<str>>,
}

/// What is to be done in a conference. Members are named by their calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RoomOrder {
    /// Let nobody in but moderators.
    Lock,
    /// Let everybody in again.
    Unlock,
    /// Mute all but the moderators, and those who come later.
    MuteAll,
    /// Let everybody speak.
    UnmuteAll,
    /// Mute one.
    Mute {
        /// Who.
        call: CallRef,
    },
    /// Let one speak.
    Unmute {
        /// Who.
        call: CallRef,
    },
    /// Send one away.
    Kick {
        /// Who.
        call: CallRef,
    },
    /// Make one a moderator, a member or a listener.
    SetRole {
        /// Who.
        call: CallRef,
        /// What it is from now on.
        role: Standing,
    },
    /// Make one louder or quieter for the others.
    Gain {
        /// Who.
        call: CallRef,
        /// By so many decibels, -12 to 12, compared with how it speaks.
        decibels: i8,
    },
    /// Bring one into another conference.
    Move {
        /// Who.
        call: CallRef,
        /// The other conference, which is opened if it is not.
        to: RoomRef,
    },
    /// Call a number, in the name of a user who is in the conference; who answers is in.
    Invite {
        /// The number.
        number: Box<str>,
    },
    /// Send everybody away.
    End,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Range {
    /// Where to go on: `next` of the page before; 0 is the beginning.
    pub from: u64,
    /// Rows of the page, [`LONGEST_PAGE`] at most.
    pub limit: u16,
}

impl Default for Range {
    fn default() -> Range {
        Range { from: 0, limit: 100 }
    }
}

impl Range {
    fn limit(self) -> usize {
        usize::from(self.limit.clamp(1, LONGEST_PAGE))
    }
}

/// What only the world outside can do for a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// Read the configuration; [`Input::Configure`](super::Input::Configure) or
    /// [`Input::NotConfigured`](super::Input::NotConfigured) follows.
    Reload,
    /// Hand in [`Input::Shutdown`](super::Input::Shutdown), and stop.
    ShutDown,
    /// Keep what is in a mailbox; the switch knows it already.
    SetMailbox {
        /// The user.
        user: UserRef,
        /// What is in it.
        mailbox: Mailbox,
    },
    /// Print messages, or no more.
    Trace {
        /// Whether.
        on: bool,
    },
}
