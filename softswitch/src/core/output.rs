//! What leaves the switch.

use super::Event;
use crate::store::StoreOp;
use serde::{Deserialize, Serialize};
use sip_stack::transport::Transmit;

/// One thing that has to be done outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// Send a SIP message.
    Transmit(Transmit),
    /// Tell a media shard.
    Media(media::Command),
    /// Write to the store.
    Store(StoreOp),
    /// Tell whoever listens.
    Event(Event),
}
