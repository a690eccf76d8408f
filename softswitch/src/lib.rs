//! The PBX: a registrar, a back-to-back user agent with anchored media, and a proxy.
//!
//! [`core::Switch`] is the whole switch as one pure machine; everything that touches the outside world lies at the edge.

pub mod call;
pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod io;
pub mod log;
pub mod messages;
pub mod nat;
pub mod prompts;
pub mod proxied;
pub mod records;
pub mod registrar;
pub mod rooms;
pub mod routing;
pub mod store;
pub mod subscriptions;
pub mod trunks;
