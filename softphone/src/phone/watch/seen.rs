//! What the user sees of what is watched, made of the documents that came.

use crate::phone::{AccountId, Reason};
use core::fmt;
use serde::{Deserialize, Serialize};
use sip_stack::event::body::dialog_info::{Dialog, DialogState, Direction};
use sip_stack::event::body::message_summary::{MessageClass, MessageSummary};
use sip_stack::event::body::presence::{Activity, Basic, Presence};
use std::time::Duration;

/// The calls of somebody, as a busy lamp shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lamp {
    /// None.
    Idle,
    /// They are calling somebody.
    Calling,
    /// Somebody calls them.
    Ringing,
    /// They are in a call.
    Talking,
}

/// Whether somebody can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// They can.
    Available,
    /// They are not there.
    Away,
    /// They do not want to be.
    DoNotDisturb,
    /// They are talking.
    OnThePhone,
    /// They cannot.
    Offline,
}

/// Messages that wait for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Whether any wait; a mailbox may say so and not count them.
    pub waiting: bool,
    /// Spoken messages that were not heard yet.
    pub new: u32,
    /// Those that were.
    pub old: u32,
}

/// What can be watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watched {
    /// The calls of a number or address.
    Calls(Box<str>),
    /// The presence of a number or address.
    Presence(Box<str>),
    /// The mailbox of the account.
    Mailbox,
    /// The account's own presence, for others.
    OwnPresence,
}

/// News of what is watched. What is `None` is not known, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchEvent {
    /// The calls of somebody.
    Calls {
        /// Whose, as the user named them.
        target: Box<str>,
        /// How it is with them.
        lamp: Option<Lamp>,
        /// Name or URI of the other side, where that is told; text of a peer.
        peer: Option<Box<str>>,
    },
    /// The presence of somebody.
    Presence {
        /// Whose, as the user named them.
        target: Box<str>,
        /// How it is with them.
        availability: Option<Availability>,
        /// What they say to it; text of a peer.
        note: Option<Box<str>>,
    },
    /// The mailbox of the account.
    Mailbox(Option<Mailbox>),
    /// The server shows others that the account is so; `None`: it shows nothing any more.
    Published(Option<Availability>),
    /// It cannot be watched, or published.
    Failed {
        /// What.
        what: Watched,
        /// Why.
        reason: Reason,
        /// When it is tried again; `None`: not before the user asks for it or registers anew.
        retry: Option<Duration>,
    },
}

/// A number that is watched, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchOverview {
    /// The account that watches.
    pub account: AccountId,
    /// The number or address, as the user named it.
    pub target: Box<str>,
    /// Its calls.
    pub lamp: Option<Lamp>,
    /// Name or URI of the other side of its call; text of a peer.
    pub peer: Option<Box<str>>,
    /// Its presence.
    pub availability: Option<Availability>,
    /// What they say to it; text of a peer.
    pub note: Option<Box<str>>,
    /// Why nothing is known, if that is not for a moment.
    pub fault: Option<Reason>,
}

impl Lamp {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Lamp::Idle => "idle",
            Lamp::Calling => "calling",
            Lamp::Ringing => "ringing",
            Lamp::Talking => "talking",
        }
    }

    fn of(dialog: &Dialog) -> Lamp {
        match (dialog.state, dialog.direction) {
            (DialogState::Terminated, _) => Lamp::Idle,
            (DialogState::Confirmed, _) => Lamp::Talking,
            (DialogState::Early, Some(Direction::Recipient) | None) => Lamp::Ringing,
            (DialogState::Trying | DialogState::Proceeding, Some(Direction::Recipient)) => Lamp::Ringing,
            (DialogState::Trying | DialogState::Proceeding | DialogState::Early, _) => Lamp::Calling,
        }
    }

    /// Of all calls of somebody, the furthest, with its other side.
    pub(super) fn of_all<'a>(dialogs: impl Iterator<Item = &'a Dialog>) -> (Lamp, Option<Box<str>>) {
        let furthest = dialogs.map(|dialog| (Lamp::of(dialog), dialog)).max_by_key(|(lamp, _)| *lamp);
        let Some((lamp, dialog)) = furthest else { return (Lamp::Idle, None) };
        let identity = dialog.remote.identity.as_ref().filter(|_| lamp != Lamp::Idle);
        (lamp, identity.map(|identity| identity.display.as_ref().unwrap_or(&identity.uri).clone()))
    }
}

impl Availability {
    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Availability::Available => "available",
            Availability::Away => "away",
            Availability::DoNotDisturb => "not to be disturbed",
            Availability::OnThePhone => "on the phone",
            Availability::Offline => "offline",
        }
    }

    /// What a document says; `None` when it says nothing.
    pub(super) fn of(presence: &Presence) -> Option<Availability> {
        let doing = |activities: &[Activity]| activities.iter().any(|activity| presence.is_doing(*activity));
        match presence.basic() {
            Some(Basic::Closed) => Some(Availability::Offline),
            _ if doing(&[Activity::OnThePhone]) => Some(Availability::OnThePhone),
            _ if doing(&[Activity::Busy]) => Some(Availability::DoNotDisturb),
            _ if doing(&[Activity::Away, Activity::Vacation, Activity::PermanentAbsence]) => {
                Some(Availability::Away)
            }
            Some(Basic::Open) => Some(Availability::Available),
            None => None,
        }
    }
}

impl Mailbox {
    pub(super) fn of(summary: &MessageSummary) -> Mailbox {
        let voice = summary.of(MessageClass::Voice);
        Mailbox { waiting: summary.waiting, new: voice.new, old: voice.old }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.waiting, self.new) {
            (false, _) => f.write_str("no new messages"),
            (true, 0) => f.write_str("new messages"),
            (true, 1) => f.write_str("1 new message"),
            (true, new) => write!(f, "{new} new messages"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::event::body::dialog_info::{Identity, Participant};

    #[test]
    fn of_several_calls_the_lamp_shows_the_furthest() {
        let dialog = |state, direction| Dialog { direction: Some(direction), ..Dialog::new("1", state) };
        let talking = Dialog {
            remote: Participant {
                identity: Some(Identity { uri: "sip:1003@h".into(), display: None }),
                target: None,
            },
            ..dialog(DialogState::Confirmed, Direction::Initiator)
        };
        let rings = dialog(DialogState::Early, Direction::Recipient);
        let calls = dialog(DialogState::Early, Direction::Initiator);
        let tries = dialog(DialogState::Trying, Direction::Initiator);
        assert_eq!(Lamp::of_all([].into_iter()), (Lamp::Idle, None));
        assert_eq!(Lamp::of_all([&tries].into_iter()).0, Lamp::Calling);
        assert_eq!(Lamp::of_all([&rings, &calls].into_iter()).0, Lamp::Ringing);
        assert_eq!(
            Lamp::of_all([&rings, &talking, &calls].into_iter()),
            (Lamp::Talking, Some("sip:1003@h".into()))
        );
    }

    #[test]
    fn a_mailbox_may_say_that_something_waits_without_counting() {
        let mailbox = |waiting, new| Mailbox { waiting, new, old: 7 }.to_string();
        assert_eq!(mailbox(false, 0), "no new messages");
        assert_eq!(mailbox(true, 0), "new messages");
        assert_eq!(mailbox(true, 1), "1 new message");
        assert_eq!(mailbox(true, 12), "12 new messages");
    }
}
