//! What a leg counted (RFC 3550 §6.4.1 for the meaning of packet and octet counts).
//!
//! Left out on purpose: history. Whoever wants a curve reads the figures now and then.

use serde::{Deserialize, Serialize};

use crate::rtcp::RtcpFigures;

/// The counters of one leg, from opening to closing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegFigures {
    /// RTP packets accepted from the peer's source, whatever became of them.
    pub packets_in: u64,
    /// Their payload octets, without header and padding.
    pub octets_in: u64,
    /// RTP packets handed to the socket for the peer.
    pub packets_out: u64,
    /// Their payload octets, without header and padding.
    pub octets_out: u64,
    /// Datagrams of RTCP that arrived on either port, believed or not.
    pub rtcp_in: u64,
    /// Packets that arrived for this leg and were not relayed, by reason.
    pub dropped: Dropped,
    /// Keys of the peer that were left out because no hand presses so fast.
    pub keys_skipped: u64,
    /// Packets for the peer that the socket refused.
    pub unsent: u64,
    /// Loss, jitter, delay and quality, by our own measuring and by the reports of the peer.
    pub rtcp: RtcpFigures,
}

/// Why packets that arrived were not relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Not RTP: header checks failed (RFC 3550 §A.1), or another protocol.
    pub malformed: u64,
    /// Larger than the receive buffer.
    pub oversized: u64,
    /// From a source that is not the leg's peer.
    pub foreign: u64,
    /// From a peer that may not send (RFC 3264 §5.1).
    pub not_sending: u64,
    /// For a partner that may not receive.
    pub not_receiving: u64,
    /// No relay partner.
    pub unrelayed: u64,
    /// The partner's address is not known yet.
    pub no_destination: u64,
    /// A payload type that was not negotiated.
    pub payload_type: u64,
    /// Sound that gave way to digits.
    pub displaced: u64,
    /// Late beyond use: from before a change of source, or the first of a sequence that jumped (RFC 3550 §A.1).
    pub stale: u64,
}

impl Dropped {
    /// All reasons together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.malformed
            + self.oversized
            + self.foreign
            + self.not_sending
            + self.not_receiving
            + self.unrelayed
            + self.no_destination
            + self.payload_type
            + self.displaced
            + self.stale
    }
}
