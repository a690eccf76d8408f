//! Conference rooms: who may come in, who hears whom, and who may change that (after RFC 4353 §3 and the roles of RFC 5239 §5).
//!
//! A `Meeting` is one room that somebody has called: a pure machine. Callers arrive, press keys and go, commands come, the
//! mixer tells who talks; what has to be done about it comes out. Who has not come in yet (it is asked for a code, or waits for a
//! moderator) is in its own *lobby*, where nobody of the room hears it. How callers reach the machine, and what is done with its
//! outputs, is in `call/meetings.rs`.
//!
//! | file | what |
//! |---|---|
//! | `rules` | what the operator has decided of a room |
//! | `entrance` | the code that is asked for |
//! | `menu` | keys of those who are in |
//! | `person` | what is known of one of them |
//! | `meeting` | the machine |
//! | `order` | what moderators and commands ask for |
//! | `output` | what comes out |
//!
//! Left out on purpose: booking rooms for a time; floor control (RFC 4582); a volume of one's own ears.

mod entrance;
#[cfg(test)]
mod matrix;
mod meeting;
mod menu;
mod order;
mod output;
mod person;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use meeting::{Arrival, Meeting, Place};
pub(crate) use order::Order;
pub(crate) use output::{News, Output, Words};
pub use person::Standing;
pub(crate) use person::Who;
pub use rules::{Code, LONGEST_CODE, MOST_MEMBERS, Rules, Signal};
