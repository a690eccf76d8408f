//! What a room wants done.

use super::person::{Standing, Who};
use media::mix::{Gain, Role};

/// Something to be done.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Output {
    /// Bring somebody from its lobby into the room, in this role.
    Enter(Who, Role),
    /// Give somebody in the room another role.
    Assign(Who, Role),
    /// Amplify what somebody in the room says.
    Amplify(Who, Gain),
    /// Tell somebody something.
    Say(Who, Words),
    /// Tell somebody how many there are, itself included.
    Count(Who, u32),
    /// Tell somebody that the room has no moderator yet, and let it hear music then.
    Hold(Who),
    /// Let all in the room know that somebody comes, or goes.
    Signal { comes: bool },
    /// Tell somebody why, and end its call.
    SendAway(Who, Words),
    /// Tell those who follow what happens.
    Tell(News),
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Words {
    EnterPin,
    WrongPin,
    Locked,
    Unlocked,
    Full,
    Muted,
    Unmuted,
    AllMuted,
    AllUnmuted,
    ModeratorsOnly,
    Removed,
    Ended,
}

impl Words {
    /// The prompt.
    pub(crate) const fn prompt(self) -> &'static str {
        match self {
            Words::EnterPin => "conf/enter-pin",
            Words::WrongPin => "conf/wrong-pin",
            Words::Locked => "conf/locked",
            Words::Unlocked => "conf/unlocked",
            Words::Full => "conf/full",
            Words::Muted => "conf/muted",
            Words::Unmuted => "conf/unmuted",
            Words::AllMuted => "conf/all-muted",
            Words::AllUnmuted => "conf/all-unmuted",
            Words::ModeratorsOnly => "conf/moderators-only",
            Words::Removed => "conf/removed",
            Words::Ended => "conf/ended",
        }
    }
}

/// What has happened in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum News {
    /// Somebody is in.
    Joined(Who),
    /// Somebody waits for a moderator.
    Waits(Who),
    /// Somebody was not let in, or was sent away.
    TurnedAway(Who),
    /// Somebody is no longer in.
    Left(Who),
    /// Somebody is muted, or no longer.
    Muted(Who, bool),
    /// Somebody talks, or no longer.
    Talks(Who, bool),
    /// Somebody is something else.
    Stands(Who, Standing),
    /// The one who speaks.
    Speaker(Option<Who>),
    /// The room is locked, or no longer.
    Locked(bool),
    /// It was ended.
    Ended,
}
