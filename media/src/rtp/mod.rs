//! RTP as bytes: the header view, its rewriting and sequence numbers (RFC 3550 §5.1, §A.1).
//!
//! Left out on purpose: RTCP, which has a module of its own, and everything that needs more than one packet and is not
//! a sequence number.

mod header;
mod sequence;

pub(crate) use header::FIXED_HEADER;
pub use header::{Header, HeaderError, PacketKind, Rewrite};
pub use sequence::{MAX_DROPOUT, MAX_MISORDER, SequenceTracker, Sequenced, is_ahead};

use std::fmt;

use serde::{Deserialize, Serialize};

/// A synchronisation source identifier (RFC 3550 §3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
