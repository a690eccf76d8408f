//! A swarm: thousands of phones in one process that call each other and meet in rooms by a plan, listen, and are judged.
//!
//! [`Swarm`] is one pure machine of many [`crate::phone::Phone`]s. It knows nothing of sockets, clock or threads: whoever drives
//! it carries its datagrams (`src/io/swarm.rs` over real sockets; tests in virtual time). [`Plan`] says what is done, [`Report`]
//! how it went, each of its expectations with what was wanted and what was seen.
//!
//! Cheap on purpose: a phone says a tone of one precomputed frame of G.711 (`tone`) and listens with Goertzel's filter on the
//! packets as they come (`ear`): no jitter buffer, no RTCP, no learning of where the peer's packets come from. With
//! [`Plan::whole`] each call has the whole [`crate::voice::Voice`] instead, and any codec.
//!
//! What is measured: `line` says how. In calls of two every packet carries when it was sent (`stamp`), which a server that
//! relays leaves as it is; where it mixes or transcodes, mouth to ear is still measured by the beginnings of tones.

mod ear;
mod figures;
mod group;
mod lamps;
mod line;
mod member;
mod plan;
mod report;
mod stamp;
#[expect(clippy::module_inception, reason = "the file is named for the type it defines")]
mod swarm;
mod tone;

pub use figures::{Progress, Spread, Tally};
pub use plan::{Bye, Limits, Plan, PlanError, users};
pub use report::{Expectation, Report, SpreadMs};
pub use swarm::{Output, Swarm, SwarmConfig};
