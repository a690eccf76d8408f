//! Keys of those who are in a room: `*` and a digit within five seconds.
//!
//! | keys | who | what |
//! |---|---|---|
//! | `*1` | everybody | mutes oneself, or no longer |
//! | `*2` | moderators | locks the room, or unlocks it |
//! | `*3` | moderators | sends away who came last |
//! | `*5` | moderators | mutes everybody but the moderators, or lets them speak |
//! | `*6` | everybody | says how many there are |
//! | `*7`, `*9` | everybody | makes oneself quieter, louder for the others |

use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;

/// From the star to the digit at most.
const PAUSE: Duration = Duration::from_secs(5);

/// What somebody has pressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Menu {
    /// When the star was.
    star: Option<Time>,
}

/// What two keys ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Mute,
    Lock,
    SendLastAway,
    MuteAll,
    Count,
    Quieter,
    Louder,
}

impl Menu {
    pub(super) fn handle_key(&mut self, now: Time, key: char) -> Option<Wish> {
        let is_open = self.star.take().is_some_and(|star| star + PAUSE > now);
        match key {
            '*' => {
                self.star = Some(now);
                None
            }
            '1' if is_open => Some(Wish::Mute),
            '2' if is_open => Some(Wish::Lock),
            '3' if is_open => Some(Wish::SendLastAway),
            '5' if is_open => Some(Wish::MuteAll),
            '6' if is_open => Some(Wish::Count),
            '7' if is_open => Some(Wish::Quieter),
            '9' if is_open => Some(Wish::Louder),
            _ => None,
        }
    }
}
