//! Configuration: one TOML file in, a validated [`Config`] out, or every fault of the file with line and remedy.
//!
//! [`parse`] is pure; reading the file is up to the caller. [`Config::merge_stored`] adds the users made by command.

mod addresses;
mod call_features;
mod client;
mod dialplan;
pub mod error;
mod features;
pub mod first;
mod groups;
mod latching;
pub mod model;
mod nearest;
pub mod network;
mod numbers;
mod objects;
pub mod pattern;
mod prompts;
mod recording;
pub mod resolve;
mod rights;
mod rooms;
mod routes;
mod stored;
mod table;
mod tenants;
#[cfg(test)]
mod tests;
mod tls;
mod watching;
mod words;

pub use call_features::{CallFeatures, Slots};
pub use client::{Account, Client, Registering};
pub use error::{ConfigError, ConfigErrors, Fault};
pub use features::Features;
pub use model::*;
pub use network::Network;
pub(crate) use objects::{DEFAULT_RING_S, ha1_of_password, parse_display_name, parse_id};
pub use pattern::Pattern;
pub(crate) use prompts::parse_language;
pub use resolve::parse;
pub(crate) use words::{container_word, parse_container};
