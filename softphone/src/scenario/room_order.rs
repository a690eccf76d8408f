//! What the operator of the switch orders in a conference: `switch moves bob from room to other`. In simulation alone.
//!
//! Left out on purpose: who else may give such orders; members do it by keys.

use super::fault::Fault;
use super::sentence::Cast;
use super::words::Words;

/// An order; conferences and members by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomOrder {
    /// The conference.
    pub room: Box<str>,
    /// What is to be done.
    pub what: What,
}

/// What is to be done in a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody goes to another conference.
    Move {
        /// Who.
        who: Box<str>,
        /// Where.
        to: Box<str>,
    },
    /// Somebody is a moderator, a member or a listener.
    Make {
        /// Who.
        who: Box<str>,
        /// What.
        role: Role,
    },
    /// Somebody is muted, or no longer.
    Mute {
        /// Who.
        who: Box<str>,
        /// Whether it is.
        on: bool,
    },
    /// Somebody is sent away.
    Remove {
        /// Who.
        who: Box<str>,
    },
    /// A number is called.
    Invite {
        /// The number.
        number: Box<str>,
    },
    /// It is over.
    End,
}

/// What somebody is in a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gives orders.
    Moderator,
    /// Speaks and hears.
    Member,
    /// Hears alone.
    Listener,
}

const EXAMPLE: &str = "switch moves bob from room to other";

/// Reads what stands behind `switch`, if it is an order.
pub(super) fn order(cast: &Cast, words: &mut Words<'_>) -> Result<Option<RoomOrder>, Fault> {
    let behind = |words: &mut Words<'_>, word: &'static str| {
        if words.eat(word) { cast.target(words) } else { Err(words.expected(word, EXAMPLE)) }
    };
    let (room, what) = if words.eat("moves") {
        let (who, room) = (cast.target(words)?, behind(words, "from")?);
        (room, What::Move { who, to: behind(words, "to")? })
    } else if words.eat("makes") {
        let who = cast.target(words)?;
        let role = if words.eat("a moderator") {
            Role::Moderator
        } else if words.eat("a member") {
            Role::Member
        } else if words.eat("a listener") {
            Role::Listener
        } else {
            return Err(
                words.expected("a moderator, a member or a listener", "switch makes bob a listener in room")
            );
        };
        (behind(words, "in")?, What::Make { who, role })
    } else if words.eat("mutes") {
        let who = cast.target(words)?;
        (behind(words, "in")?, What::Mute { who, on: true })
    } else if words.eat("unmutes") {
        let who = cast.target(words)?;
        (behind(words, "in")?, What::Mute { who, on: false })
    } else if words.eat("removes") {
        let who = cast.target(words)?;
        (behind(words, "from")?, What::Remove { who })
    } else if words.eat("invites") {
        let number = cast.target(words)?;
        (behind(words, "to")?, What::Invite { number })
    } else if words.eat("ends") {
        (cast.target(words)?, What::End)
    } else {
        return Ok(None);
    };
    Ok(Some(RoomOrder { room, what }))
}
