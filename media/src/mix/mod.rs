//! Mixing: who hears whom in a room, and the sums that make it so.
//!
//! All members of a [`Room`] are on one shard; a conference over several shards is as many rooms, its segments, that exchange
//! one mixed frame per tick. Nothing here knows packets or codecs: samples in, samples out.

mod accumulate;
mod guests;
mod level;
mod plan;
mod role;
mod room;
mod speaker;

pub use accumulate::Gain;
pub use guests::{Guest, Listening, Seating, SegmentId, guests};
pub use level::{Loudness, Talk, Voice};
pub use plan::Plan;
pub use role::{Audience, MemberId, Role, hears};
pub use room::{Hearing, News, Room, RoomError, TALKERS};
pub use speaker::Talker;
