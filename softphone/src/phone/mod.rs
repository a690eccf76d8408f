//! A SIP phone as a pure machine: several accounts, several calls (RFC 3261 §8, §10, §13, §14; RFC 3264).
//!
//! Four verbs: [`Phone::handle_input`], [`Phone::handle_timeout`], [`Phone::poll_output`], [`Phone::poll_timeout`].
//! Signalling is done here; of audio the phone says only what a sound card and an RTP socket need to know
//! ([`MediaCommand`]). One concept, one file: `account` (who we are and what proves it) and `identity` (an account at
//! work), `registration`, `incoming` and `outgoing` calls, `answering` (which calls are taken without the user), `dialog`
//! (requests of the other side within a call), `change` (ours: hold and resume), `digits`, `session` and `codecs` (SDP), `log`
//! (past calls), `overview` (a call as it is shown), `settings`, `reason` (failures in words), `way` (to the
//! server), `watch` (busy lamps, presence, the mailbox).
//!
//! A request within a call that is not known here ends in `on_other_request` of `machine`. `transfer` is REFER and Replaces, `update` is UPDATE, PRACK and
//! session timers.
//!
//! Left out on purpose: redirection is not followed (a 3xx ends the call and says so); names in SDP are not resolved.

mod account;
mod answering;
mod call;
mod change;
mod codecs;
mod dialog;
mod digits;
mod identity;
mod incoming;
mod input;
mod log;
mod machine;
mod message;
mod outgoing;
mod output;
mod outside;
mod overview;
mod reason;
mod registration;
mod session;
mod settings;
mod transfer;
mod update;
mod watch;
mod way;

#[cfg(test)]
pub(crate) mod tests;

pub use account::{Account, AccountError, AccountId, MAX_ACCOUNTS, Password};
pub use call::CallId;
pub use codecs::{Codec, EventFormat, TELEPHONE_EVENT};
pub use digits::check_digits;
pub use input::{AutoAnswer, Command, CommandError, DigitWay, Input, MediaReport, Rejection};
pub use log::{CALLS, CallDirection, LoggedCall};
pub use machine::{Phone, RestoreError};
pub use output::{Ending, Event, MediaCommand, Output, Tones};
pub use overview::{CallOverview, CallStage};
pub use reason::{Reason, Unreached};
pub use registration::Standing;
pub use session::Stream;
pub use settings::{Settings, Transfers};
pub use watch::{Availability, Lamp, MAX_WATCHED, Mailbox, WatchEvent, WatchOverview, Watched};
