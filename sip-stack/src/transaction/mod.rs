//! The four transactions of RFC 3261 §17 with the corrections of RFC 6026, and the layer that matches messages to
//! them (§17.1.3, §17.2.3).
//!
//! A transaction writes what it wants done into [`Actions`], the buffer of its caller, instead of keeping a queue of
//! its own: there may be a million of them.

pub mod invite_client;
pub mod invite_server;
mod key;
mod layer;
pub mod non_invite_client;
pub mod non_invite_server;
mod related;
mod timers;
mod timing;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{KeyHasher, TransactionKey};
pub use layer::{Matched, TransactionEvent, TransactionId, Transactions};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use timers::{Armed, TimerQueue};
pub use timing::{Retransmission, Timing};

use crate::message::Status;
use bytes::Bytes;
use smallvec::SmallVec;

/// The bit in the owner of a transaction that says: of a proxy. Responses to it create no dialog here (RFC 3261 §12.1 speaks of
/// user agents), and requests that come again on another path are none of its business (§16.3). Nobody else's owner has it.
pub const FORWARDING: u64 = 1 << 63;

/// What a transaction wants done, in this order.
pub type Actions = SmallVec<[Action; 2]>;

/// One thing that a transaction wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hand this message to the transport.
    Send(Bytes),
    /// Pass the message that was just handled to the transaction user.
    Deliver,
    /// Send 100 Trying: the transaction user has said nothing for 200 ms (§17.2.1).
    Trying,
    /// Send the CANCEL that had to wait for a provisional response (§9.1), with this Reason (RFC 3326 §2), which may be empty.
    Cancel(Box<[u8]>),
    /// Tell the transaction user that no final response, or no ACK, came in time.
    TimedOut,
    /// Tell the transaction user that the transport failed.
    TransportFailed,
}

/// The three kinds of response that the state machines tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 300–699.
    Failure,
}

impl StatusClass {
    /// The class of `status`.
    pub const fn of(status: Status) -> StatusClass {
        match status.code() {
            ..200 => StatusClass::Provisional,
            200..300 => StatusClass::Success,
            300.. => StatusClass::Failure,
        }
    }
}
