//! Subscriptions and publications against the pure switch in virtual time (RFC 6665, RFC 3903, RFC 4235, RFC 3856, RFC 3842, RFC 3680,
//! RFC 4575).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod bounds;
mod conference;
mod contacts;
mod life;
mod lines;
mod mailbox;
mod presence;
mod world;
