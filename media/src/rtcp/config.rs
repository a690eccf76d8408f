//! What the RTCP of a leg is set to by negotiation (RFC 3550 §6.2, RFC 3556, RFC 3611 §5, RFC 5506).
//!
//! Left out on purpose: SDP text. The owner of the call translates an answer into these values.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cname::Cname;
use super::interval::MINIMUM;
use super::quality::Impairment;
use crate::rtp::Ssrc;

/// What a session is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionConfig {
    /// The SSRC under which the leg sends.
    pub ssrc: Ssrc,
    /// The name of this endpoint, the same on all legs that are played in step.
    pub cname: Cname,
    /// Ticks of the RTP timestamp per second.
    pub clock_rate: u32,
    /// RTCP's bandwidth in bits per second, a twentieth of the session's by default; zero sends nothing (RFC 3556).
    pub bandwidth: u32,
    /// The least interval; five seconds unless something else was agreed.
    pub minimum: Duration,
    /// Whether the peer takes feedback without a report before it (RFC 5506).
    pub reduced_size: bool,
    /// Whether reports carry VoIP metrics (RFC 3611 §5).
    pub voip_metrics: bool,
    /// How the codec stands loss.
    pub impairment: Impairment,
}

impl SessionConfig {
    /// A plain audio session: reports every five seconds, in 4 kbit/s, VoIP metrics for G.711.
    #[must_use]
    pub const fn audio(ssrc: Ssrc, cname: Cname, clock_rate: u32) -> Self {
        Self {
            ssrc,
            cname,
            clock_rate,
            bandwidth: 4000,
            minimum: MINIMUM,
            reduced_size: false,
            voip_metrics: true,
            impairment: Impairment::G711,
        }
    }
}
