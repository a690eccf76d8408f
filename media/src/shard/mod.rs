//! A media shard: the legs of one thread, the commands it obeys and the reports it gives.
//!
//! `command` and `report` are what crosses between threads; `arena` holds the legs; `shard` is the machine itself.

mod arena;
mod command;
mod report;
mod rooms;
#[expect(clippy::module_inception, reason = "the file is named for the type it defines")]
mod shard;

pub use arena::LegKey;
pub use command::{Command, LegAddresses};
pub use report::{LegPorts, RefusalReason, Report};
pub use rooms::{Lateness, RoomId};
pub use shard::{Departed, Forward, Output, Shard, ShardConfig, Watch};
