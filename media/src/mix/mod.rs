//! Mixing: who hears whom in a room, and the sums that make it so.
//!
//! All members of a [`Room`] are on one shard; a conference over several shards is a tree of rooms, joined by links that
//! carry one mixed frame per tick. Nothing here knows packets or codecs: samples in, samples out.

mod accumulate;
mod level;
mod plan;
mod role;
mod room;

pub use accumulate::Gain;
pub use level::{Loudness, Talk, Voice};
pub use plan::Plan;
pub use role::{Audience, MemberId, Role, hears};
pub use room::{Hearing, LinkId, News, Room, RoomError};
