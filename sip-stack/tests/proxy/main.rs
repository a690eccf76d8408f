//! A proxy between caller and callees, message by message and in virtual time (RFC 3261 §16, RFC 5393, RFC 5658).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod dialogs;
mod forking;
mod forwarding;
mod lossy;
mod responses;
mod stage;
