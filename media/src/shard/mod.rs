//! A media shard: the legs of one thread, the commands it obeys and the reports it gives.
//!
//! `command` and `report` are what crosses between threads; `arena` holds the legs; `rooms` mixes, `segment` and `link` join rooms
//! of several shards,
//! `moving` lets legs and rooms go to another shard, `control` and `mail` are its RTCP, `digits` its keys, `cost` measures; `shard` is the machine itself.

mod arena;
mod command;
mod control;
mod cost;
mod digits;
mod link;
mod mail;
mod moving;
mod outbox;
mod report;
mod rooms;
mod segment;
#[expect(clippy::module_inception, reason = "the file is named for the type it defines")]
mod shard;
mod taps;

pub use arena::LegKey;
pub use command::{Command, LegAddresses};
pub use cost::{Average, CodecKind, Costs, NoWatch, Stopwatch};
pub use moving::{Departed, Party};
pub use report::{LegPorts, RefusalReason, Report};
pub(crate) use rooms::TICK_MS;
pub use rooms::{Lateness, RoomId};
pub use segment::{Web, webs};
pub use shard::{Forward, Output, Port, Recorded, Shard, ShardConfig, Wanted, Watch};
