//! What leaves the switch.

use super::Event;
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
    Event(Event),
}
