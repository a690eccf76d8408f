//! What is known of calls afterwards: why each ended ([`Cause`]), which phones were tried ([`Attempt`]), and what happened in
//! between ([`Entry`]); what is kept of a call while it is up ([`OpenCall`]), so that its record survives the switch.
//!
//! These are values of the pure core and rows of the store. Who fills them while a call lives is in `call/record.rs`; the
//! record itself is [`crate::store::CallRecord`]. As text, for operators, they are in [`text`].

pub mod attempt;
pub mod cause;
mod chronicle;
pub mod journal;
mod lossy;
pub mod open;
pub mod text;

pub use attempt::{Attempt, Outcome};
pub use cause::Cause;
pub(crate) use chronicle::Chronicle;
pub use journal::{Entry, Happening, Journal};
pub use open::{Interrupted, OpenCall, OpenParty};
