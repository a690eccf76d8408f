//! Somebody who has called a room.

use super::entrance::Entrance;
use super::menu::Menu;
use super::output::Words;
use media::mix::{Gain, Role};
use serde::{Deserialize, Serialize};

/// Names somebody: the number of its call.
pub(crate) type Who = u64;

/// The loudest and the softest that somebody can be made, in decibels.
pub(super) const MOST_GAIN_DB: i8 = 12;

/// What somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// May give orders, and is not muted by others.
    Moderator,
    /// Speaks and hears.
    Member,
    /// Hears alone.
    Listener,
}

impl core::str::FromStr for Standing {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Standing, &'static str> {
        match text {
            "moderator" => Ok(Standing::Moderator),
            "member" => Ok(Standing::Member),
            "listener" => Ok(Standing::Listener),
            _ => Err("moderator, member or listener is expected"),
        }
    }
}

/// Somebody who has called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) stage: Stage,
    pub(super) standing: Standing,
    /// In which order they came in.
    pub(super) came: u64,
    /// It hears us: before, its phone has not acknowledged our answer.
    pub(super) is_present: bool,
    /// It has asked to be muted itself.
    pub(super) mutes_itself: bool,
    /// A moderator has muted it.
    pub(super) is_muted: bool,
    pub(super) talks: bool,
    pub(super) gain_db: i8,
    pub(super) menu: Menu,
}

/// How far somebody has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// It is asked for a code.
    Asked(Entrance),
    /// It waits for a moderator.
    Waits,
    /// It is in.
    Inside,
    /// It is told why it is not in, and then its call is over.
    Leaves(Words),
}

impl Person {
    pub(super) fn is_inside(&self) -> bool {
        self.stage == Stage::Inside
    }

    pub(super) fn is_moderator(&self) -> bool {
        self.standing == Standing::Moderator
    }

    /// Whether the others do not hear it.
    pub(super) fn is_silenced(&self) -> bool {
        self.mutes_itself || self.is_muted || self.standing == Standing::Listener
    }

    /// What it hears and who hears it.
    pub(super) fn role(&self) -> Role {
        match self.standing {
            Standing::Listener => Role::Monitor,
            Standing::Moderator | Standing::Member if self.is_silenced() => Role::Muted,
            Standing::Moderator | Standing::Member => Role::Participant,
        }
    }

    pub(super) fn gain(&self) -> Gain {
        if self.gain_db == 0 { Gain::UNITY } else { Gain::decibels(f32::from(self.gain_db)) }
    }
}

/// How somebody in a room looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PersonView {
    pub(crate) who: Who,
    pub(crate) standing: Standing,
    /// It waits for a moderator, or is asked for a code.
    pub(crate) waits: bool,
    pub(crate) muted: bool,
    pub(crate) talks: bool,
    pub(crate) gain_db: i8,
}
