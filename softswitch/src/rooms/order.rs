//! What moderators and commands ask of a room. Whether they may is decided where they come from.

use super::person::{Standing, Who};

/// An order to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nobody else comes in, or everybody again. Moderators come in in any case.
    Lock(bool),
    /// All but the moderators are muted, those who come later, too; or nobody is.
    MuteAll(bool),
    /// One is muted, or speaks.
    Mute(Who, bool),
    /// One is sent away.
    Kick(Who),
    /// One is something else from now on.
    Stand(Who, Standing),
    /// One is louder or quieter for the others by so many decibels.
    Gain(Who, i8),
    /// Everybody is sent away.
    End,
}

/// An order that was not carried out: whom it names is not in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDone;
