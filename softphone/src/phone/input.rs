//! What enters the phone: messages, the user's commands, and answers of the audio side.

use super::CallId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::transport::Flow;
use std::net::SocketAddr;
use std::time::Duration;

/// One thing that happened outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A SIP message arrived.
    Received {
        /// From where, and at which of our addresses.
        flow: Flow,
        /// The message as it came.
        bytes: Bytes,
    },
    /// A message could not be handed to the network.
    Unsent {
        /// The transaction that the [`sip_stack::transport::Transmit`] named.
        transaction: u64,
    },
    /// The user wants something.
    Command(Command),
    /// The answer to [`super::MediaCommand::Open`].
    Media(MediaReport),
}

/// What the user can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Register, and stay registered.
    Register,
    /// Remove our registration, and stay away.
    Unregister,
    /// Call a number of our own domain, or a SIP URI.
    Call {
        /// `1002`, `bob@example.com` or `sip:bob@example.com`.
        target: Box<str>,
    },
    /// Take a call that rings.
    Answer {
        /// Which.
        call: CallId,
    },
    /// Refuse a call that rings.
    Reject {
        /// Which.
        call: CallId,
        /// What the caller is told.
        rejection: Rejection,
    },
    /// End a call in whatever state it is: cancel, decline or say goodbye.
    HangUp {
        /// Which.
        call: CallId,
    },
    /// What to do with calls that come in from now on.
    AutoAnswer(AutoAnswer),
}

/// What a caller is told who is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// 486 Busy Here: another phone of ours may still take it.
    Busy,
    /// 603 Decline: we do not want this call, on no phone.
    Decline,
}

/// Whether calls that come in are taken without the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutoAnswer {
    /// The user answers.
    #[default]
    Never,
    /// At once.
    Always,
    /// After it has rung for so long.
    After(Duration),
}

/// A command that cannot be obeyed as things are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such call, or no longer.
    #[error("there is no call {0}")]
    NoSuchCall(CallId),
    /// The call does not ring here.
    #[error("call {0} is not ringing")]
    NotRinging(CallId),
    /// The target of a call is neither a number nor a SIP address.
    #[error("\"{}\" is neither a number nor a SIP address", .0.escape_default())]
    BadTarget(Box<str>),
    /// All lines are in use.
    #[error("all {0} lines are in use")]
    NoFreeLine(u16),
}

/// Answers to [`super::MediaCommand::Open`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaReport {
    /// RTP of the call is received here.
    Opened {
        /// The call.
        call: CallId,
        /// Address and port as the peer can reach them.
        address: SocketAddr,
    },
    /// No port could be had.
    Refused {
        /// The call.
        call: CallId,
    },
}
