//! What becomes of a packet between two legs: direction, payload type, place in the partner's stream (RFC 3264 §5.1 for the
//! direction, RFC 3551 §6 for payload types, RFC 4733 for events, which pass through).
//!
//! The packet is rewritten where it lies and its length stays the same. Nothing here allocates.
//!
//! Left out on purpose: decoding. What needs more than a table look-up per octet is mixed, not relayed.

use std::net::SocketAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::egress::Feed;
use super::leg::Leg;
use super::payload::{PayloadRule, PayloadTable};
use crate::codec::g711;
use crate::rtp::Rewrite;
use crate::shard::LegKey;
use crate::time::Time;

/// A leg's partner and how packets go to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) partner: LegKey,
    pub(crate) way: Way,
}

/// What becomes of what arrives.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every leg relays RTP, and looks up one entry per packet"
)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Way {
    /// RTP, under these payload types.
    Rtp(PayloadTable),
    /// Whatever it is goes on as it is (`datagram`).
    Datagrams,
}

impl Way {
    /// The rule for an incoming payload type.
    #[inline]
    pub(crate) fn rule(&self, payload_type: u8) -> PayloadRule {
        match self {
            Way::Rtp(table) => table.rule(payload_type),
            Way::Datagrams => PayloadRule::Drop,
        }
    }
}

/// A packet on its way from one leg to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passing {
    pub(crate) partner: LegKey,
    pub(crate) feed: Feed,
    pub(crate) rule: PayloadRule,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Range<usize>,
}

/// Why a packet that was on its way does not reach the partner's peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The peer may not receive, or it was never configured.
    NotReceiving,
    /// Nothing says where the peer is.
    NoDestination,
    /// The packet is from before a change of source.
    Stale,
    /// Digits are being sent in its place.
    Displaced,
}

impl Leg {
    /// Turns a passing packet into one of this leg's stream and says where it goes.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        now: Time,
        passing: &Passing,
        packet: &mut [u8],
    ) -> Result<SocketAddr, Undelivered> {
        let params = self.params.as_ref().filter(|params| params.receive).ok_or(Undelivered::NotReceiving)?;
        let destination = self.ingress.destination(params).ok_or(Undelivered::NoDestination)?;
        if self.dialling {
            return Err(Undelivered::Displaced);
        }
        let placed = self
            .egress
            .place(now, passing.feed, passing.sequence, passing.timestamp, params.clock_rate)
            .ok_or(Undelivered::Stale)?;
        let rewrite = Rewrite {
            marker: passing.marker || placed.first,
            payload_type: passing.payload_type,
            sequence: placed.sequence,
            timestamp: placed.timestamp,
            ssrc: placed.ssrc,
        };
        // The header was parsed on arrival, so it has the octets to write to.
        rewrite.apply(packet).map_err(|_| Undelivered::Stale)?;
        if let Some(payload) = packet.get_mut(passing.payload.clone()) {
            convert(passing.rule, payload);
        }
        let destination = *destination;
        self.count_sent(now, placed.timestamp, passing.payload.len());
        Ok(destination)
    }
}

fn convert(rule: PayloadRule, payload: &mut [u8]) {
    match rule {
        PayloadRule::Drop | PayloadRule::Pass(_) => {}
        PayloadRule::UlawToAlaw(_) => g711::convert_ulaw_to_alaw(payload),
        PayloadRule::AlawToUlaw(_) => g711::convert_alaw_to_ulaw(payload),
    }
}
