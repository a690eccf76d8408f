//! Who hears whom in a room: one mechanism for hold, mute, listening, whispering, barging and announcements.
//!
//! [`hears`] is the rule, pair by pair; [`Plan`](super::Plan) is the same compiled for mixing.
//!
//! Left out on purpose: who may take which role, which the owner of the calls decides.

use serde::{Deserialize, Serialize};

/// Names a member of a room. The owner of the room chooses it; it is unique within the room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MemberId(pub u64);

/// What a member hears and who hears it. The talkers are the members with the role [`Participant`](Role::Participant) or
/// [`Barge`](Role::Barge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Hears all talkers, is heard by all who hear talkers.
    Participant,
    /// Hears all talkers, is heard by nobody.
    Muted,
    /// Hears one member alone, such as a player of music, or nothing; is heard by nobody.
    Held {
        /// The member it hears, whatever that one's role.
        source: Option<MemberId>,
    },
    /// Hears all talkers, is heard by nobody: a supervisor who listens.
    Monitor,
    /// Hears all talkers, is heard by one member alone: a coach.
    Whisper {
        /// The member it speaks to.
        to: MemberId,
    },
    /// As a participant: a supervisor who has joined in.
    Barge,
    /// Hears nothing; is heard as said: a player of prompts or music.
    Announce {
        /// By whom.
        to: Audience,
    },
}

/// Whom an announcement reaches; never those on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Nobody but those on hold who hear this member: music.
    Held,
    /// One member.
    One(MemberId),
    /// Every member that hears talkers.
    All,
}

impl Role {
    /// Whether a member of this role hears the talkers.
    #[must_use]
    pub const fn hears_talkers(self) -> bool {
        match self {
            Role::Participant | Role::Muted | Role::Monitor | Role::Whisper { .. } | Role::Barge => true,
            Role::Held { .. } | Role::Announce { .. } => false,
        }
    }

    /// Whether every member that hears talkers hears one of this role.
    #[must_use]
    pub const fn is_heard_by_all(self) -> bool {
        match self {
            Role::Participant | Role::Barge | Role::Announce { to: Audience::All } => true,
            Role::Muted
            | Role::Held { .. }
            | Role::Monitor
            | Role::Whisper { .. }
            | Role::Announce { to: Audience::Held | Audience::One(_) } => false,
        }
    }

    /// The one member that hears one of this role, where there is only one.
    #[must_use]
    pub const fn speaks_to(self) -> Option<MemberId> {
        match self {
            Role::Whisper { to } | Role::Announce { to: Audience::One(to) } => Some(to),
            Role::Participant
            | Role::Muted
            | Role::Held { .. }
            | Role::Monitor
            | Role::Barge
            | Role::Announce { to: Audience::Held | Audience::All } => None,
        }
    }
}

/// Whether the member `sink` hears the member `source`. Nobody hears themselves.
#[must_use]
pub fn hears(sink: (MemberId, Role), source: (MemberId, Role)) -> bool {
    if sink.0 == source.0 {
        return false;
    }
    match sink.1 {
        Role::Held { source: heard } => heard == Some(source.0),
        role if !role.hears_talkers() => false,
        _ => source.1.is_heard_by_all() || source.1.speaks_to() == Some(sink.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSTOMER: MemberId = MemberId(1);
    const AGENT: MemberId = MemberId(2);
    const COACH: MemberId = MemberId(3);
    const MUSIC: MemberId = MemberId(4);

    #[test]
    fn a_whisper_reaches_the_agent_and_never_the_customer() {
        let coach = (COACH, Role::Whisper { to: AGENT });
        assert!(hears((AGENT, Role::Participant), coach));
        assert!(!hears((CUSTOMER, Role::Participant), coach));
        assert!(hears(coach, (CUSTOMER, Role::Participant)));
        assert!(hears(coach, (AGENT, Role::Participant)));
    }

    #[test]
    fn whoever_is_held_hears_the_music_alone_and_is_heard_by_nobody() {
        let held = (CUSTOMER, Role::Held { source: Some(MUSIC) });
        let music = (MUSIC, Role::Announce { to: Audience::Held });
        assert!(hears(held, music));
        assert!(!hears((AGENT, Role::Participant), music));
        assert!(!hears(held, (AGENT, Role::Participant)));
        assert!(!hears(held, (COACH, Role::Whisper { to: CUSTOMER })));
        assert!(!hears((AGENT, Role::Participant), held));
        assert!(!hears((CUSTOMER, Role::Held { source: None }), music));
    }

    #[test]
    fn an_announcement_reaches_its_audience() {
        let to_agent = (MUSIC, Role::Announce { to: Audience::One(AGENT) });
        assert!(hears((AGENT, Role::Muted), to_agent));
        assert!(!hears((CUSTOMER, Role::Participant), to_agent));
        let to_all = (MUSIC, Role::Announce { to: Audience::All });
        for role in [Role::Participant, Role::Muted, Role::Monitor, Role::Barge] {
            assert!(hears((CUSTOMER, role), to_all), "{role:?}");
        }
        assert!(!hears((CUSTOMER, Role::Held { source: None }), to_all));
    }

    #[test]
    fn nobody_hears_themselves_and_nobody_hears_the_muted() {
        for role in [Role::Participant, Role::Barge, Role::Whisper { to: AGENT }] {
            assert!(!hears((AGENT, role), (AGENT, role)), "{role:?}");
        }
        for role in [Role::Muted, Role::Monitor] {
            assert!(!hears((CUSTOMER, Role::Participant), (AGENT, role)), "{role:?}");
            assert!(hears((AGENT, role), (CUSTOMER, Role::Participant)), "{role:?}");
        }
    }
}
