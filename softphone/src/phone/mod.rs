//! A SIP phone as a pure machine: one account, any number of calls (RFC 3261 §8, §10, §13; RFC 3264).
//!
//! Four verbs: [`Phone::handle_input`], [`Phone::handle_timeout`], [`Phone::poll_output`], [`Phone::poll_timeout`].
//! Signalling is done here; of audio the phone says only what a sound card and an RTP socket need to know
//! ([`MediaCommand`]). One concept, one file: `account` (who we are and what proves it), `registration`, `incoming` and `outgoing` calls, `dialog` (requests within a call), `session` (SDP), `reason`
//! (failures in words).
//!
//! Left out on purpose: redirection is not followed (a 3xx ends the call and says so); reliable provisional responses
//! are neither offered nor asked for; names in SDP are not resolved.

mod account;
mod call;
mod dialog;
mod incoming;
mod input;
mod machine;
mod outgoing;
mod output;
mod reason;
mod registration;
mod session;

#[cfg(test)]
mod tests;

pub use account::{Account, AccountError, Password};
pub use call::CallId;
pub use input::{AutoAnswer, Command, CommandError, Input, MediaReport, Rejection};
pub use machine::{Phone, RestoreError, Settings};
pub use output::{Ending, Event, MediaCommand, Output};
pub use reason::Reason;
pub use session::{Codec, Stream, TELEPHONE_EVENT};
