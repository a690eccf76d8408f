//! Who is the active speaker of a room: the loudest who talks, but whoever speaks is not overtaken by a little.

use serde::{Deserialize, Serialize};

use super::role::MemberId;

/// How much louder somebody else has to be to become the active speaker.
const OVERTAKES: f32 = 1.5;

/// A member that talks and is heard by all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Talker {
    /// Which.
    pub member: MemberId,
    /// The mean square of what it said in the last 160 ms or so.
    pub power: f32,
}

/// The choice of a tick.
#[derive(Debug)]
pub(super) struct Choice {
    before: Option<MemberId>,
    loudest: Option<Talker>,
    /// How loud the one is that spoke before.
    speaking: Option<f32>,
}

impl Choice {
    /// After `before` spoke.
    pub(super) const fn after(before: Option<MemberId>) -> Self {
        Self { before, loudest: None, speaking: None }
    }

    /// Somebody talks.
    pub(super) fn consider(&mut self, talker: Talker) {
        if self.before == Some(talker.member) {
            self.speaking = Some(talker.power);
        }
        if self.loudest.is_none_or(|loudest| talker.power > loudest.power) {
            self.loudest = Some(talker);
        }
    }

    /// Who speaks now; `None` when everybody is silent.
    pub(super) fn made(self) -> Option<MemberId> {
        match (self.loudest, self.speaking) {
            (Some(loudest), Some(now)) if loudest.power > now * OVERTAKES => Some(loudest.member),
            (_, Some(_)) => self.before,
            (loudest, None) => loudest.map(|loudest| loudest.member),
        }
    }
}
