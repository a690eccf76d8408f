//! Scenarios: call flows as data, played by phones of ours against a server, and judged by what they see and hear.
//!
//! [`read()`] makes a [`Scenario`] of a file (`scenarios/README.md` teaches the format); [`Runner`] plays it, whoever the server
//! is: the simulated world of the tests in virtual time, or a real one over real sockets. `read`, `sentence`, `phrase`,
//! `clause`, `words` and `fault` are the format, `script` is its meaning as data, `actor` a phone with its sound, `deeds` what
//! it does, `meter` its ears, `judge` says whether something is true, `network` what happens to datagrams, `order` what a program tells the switch.
//!
//! What a scenario cannot say yet comes in as further phrases (`phrase`), deeds and facts (`script`): transfers,
//! subscriptions, roles in rooms.

mod actor;
mod clause;
mod deeds;
mod fault;
mod judge;
pub(crate) mod meter;
pub mod network;
pub mod order;
mod phrase;
mod read;
mod report;
pub mod room_order;
mod runner;
pub mod script;
mod sentence;
mod words;

#[cfg(test)]
mod tests;

pub use fault::{Fault, ScenarioError, ScenarioErrors};
pub use read::{read, read_with};
pub use report::{Failure, Report, Skipped};
pub use runner::{Input, Inside, Output, Record, Runner, RunnerConfig};
pub use script::Scenario;
