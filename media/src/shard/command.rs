//! What the owner of the calls tells a shard.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::leg::{LegId, PayloadMap, StreamParams};

/// Legs to open, each with the local address to bind.
pub type LegAddresses = SmallVec<[(LegId, IpAddr); 2]>;

/// An order to a shard. Orders are obeyed in the order they are given.
///
/// One that names a leg which is not open changes nothing and is counted
/// ([`Shard::ignored_commands`](crate::Shard::ignored_commands)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Reserve a port pair for each leg, on its address: all or none. Answered by
    /// [`Report::Opened`](crate::Report::Opened) or [`Report::Refused`](crate::Report::Refused).
    Open {
        /// The legs, with the local address of each.
        legs: LegAddresses,
    },
    /// The negotiated parameters of one leg; may be repeated. Latching starts anew when the SDP address, the signalling
    /// address or the policy changes, and stays as it is otherwise (hold and resume).
    Configure {
        /// The leg.
        leg: LegId,
        /// Its parameters, whole.
        params: StreamParams,
    },
    /// Relay between the two, in both directions. A leg that had another partner leaves it.
    Relay {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
        /// Payload types from `a` to `b`.
        forward: PayloadMap,
        /// Payload types from `b` to `a`.
        backward: PayloadMap,
    },
    /// Stop relaying between the two; the legs stay open. Nothing happens when they are not partners.
    Part {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Close the leg and give its ports back. Answered by [`Report::Closed`](crate::Report::Closed).
    Close {
        /// The leg.
        leg: LegId,
    },
}
