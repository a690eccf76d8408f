//! Numbers and routing: from what was dialled to who rings, as a pure function of the configuration, of what users have set, of the
//! time of day, the caller and the number (`decide`).
//!
//! What comes out is a row of stages (`plan`), by which `call/` goes on. Left out on purpose: anything of a call that rings.

mod decide;
mod explain;
mod group;
mod names;
mod number;
mod page;
mod plan;
mod profile;
mod schedule;
mod state;
#[cfg(test)]
mod tests;
mod trunks;
mod usage;
mod users;

pub(crate) use decide::{Caller, Presence, Question, decide, may_set};
pub use explain::{Asked, explain};
pub use number::{Country, NumberForm};
pub(crate) use plan::{
    After, Outcome, Outside, Page, Plan, Refused as Refusal, Stage, Stages, Target, Who, Why,
};
pub use profile::{Dialled, Forward, ForwardKind, Profile, Refused, Setting};
pub use schedule::{Days, Period, Schedule, Zone};
pub(crate) use state::State;
pub(crate) use trunks::is_allowed;
pub(crate) use usage::{Counted, MOST_PER_MINUTE, TooMany};
