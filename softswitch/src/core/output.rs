//! What leaves the switch.

use super::Told;
use super::command::{Answer, Errand};
use crate::store::StoreOp;
use serde::{Deserialize, Serialize};
use sip_stack::resolve::Query;
use sip_stack::transport::{Flow, Transmit};

/// One thing that has to be done outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// Send a SIP message.
    Transmit(Transmit),
    /// A connection that is opened for this flow must lead to a server whose certificate has this name (RFC 5922 §7.3).
    Identify {
        /// The flow of messages that follow.
        flow: Flow,
        /// The name that was looked up.
        name: Box<str>,
    },
    /// Ask the DNS; the answer is [`super::Input::Resolved`].
    Resolve(Query),
    /// Tell a media shard.
    Media(media::Command),
    /// Write to the store.
    Store(StoreOp),
    /// Tell whoever listens.
    Event(Told),
    /// The answer to a command, at once.
    Answer(Box<Answer>),
    /// Do something outside, for a command.
    Errand(Errand),
}

impl Output {
    /// The SIP message to send, if it is one.
    #[must_use]
    pub const fn transmit(&self) -> Option<&Transmit> {
        if let Output::Transmit(transmit) = self { Some(transmit) } else { None }
    }

    /// What a media shard is told, if it is that.
    #[must_use]
    pub const fn media(&self) -> Option<&media::Command> {
        if let Output::Media(command) = self { Some(command) } else { None }
    }
}
