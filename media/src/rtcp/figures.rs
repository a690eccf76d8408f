//! What RTCP knows about one leg (RFC 3550 §6.4, RFC 3611 §4.7).
//!
//! Left out on purpose: history. Whoever wants a curve reads the figures now and then.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::quality::Quality;

/// The figures of one leg, both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtcpFigures {
    /// RTP packets that came from the peer.
    pub packets_in: u64,
    /// Their payload octets.
    pub octets_in: u64,
    /// RTP packets that went to the peer.
    pub packets_out: u64,
    /// Their payload octets.
    pub octets_out: u64,
    /// Packets from the peer that should have come, by their sequence numbers.
    pub expected: u64,
    /// Those that did not come; negative when duplicates outnumber them.
    pub lost: i64,
    /// The interarrival jitter of the peer's packets in microseconds.
    pub jitter_us: u32,
    /// The quality of what comes from the peer; `None` before the first packet.
    pub quality: Option<Quality>,
    /// The last round-trip time between us and the peer.
    pub round_trip: Option<Duration>,
    /// The longest round-trip time so far.
    pub round_trip_max: Option<Duration>,
    /// What the jitter buffer did with what came; `None` where there was none.
    pub playout: Option<PlayoutFigures>,
    /// What the peer says about our packets; `None` while it has said nothing.
    pub remote: Option<RemoteFigures>,
    /// Compound packets that came.
    pub reports_in: u64,
    /// Compound packets of ours that were written.
    pub reports_out: u64,
    /// Feedback packets that came for the partner's stream.
    pub feedback_in: u64,
    /// Feedback packets of the partner's peer that were written.
    pub feedback_out: u64,
    /// Datagrams that were no RTCP.
    pub malformed: u64,
    /// Packets that came under our own SSRC.
    pub conflicts: u64,
}

/// What a jitter buffer did with the packets of a leg (RFC 3611 §4.7.1, §4.7.7). A leg that is relayed has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayoutFigures {
    /// Packets that came and were not played: late, doubled, or for want of room.
    pub discarded: u64,
    /// Milliseconds of sound handed out.
    pub played_ms: u64,
    /// Milliseconds of it made up in place of packets that were lost or late.
    pub concealed_ms: u64,
    /// The delay at the end.
    pub delay: Duration,
    /// The longest delay.
    pub delay_max: Duration,
    /// The longest delay that there can be.
    pub delay_limit: Duration,
}

/// What the peer says about the packets we send (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFigures {
    /// Loss in the peer's last interval, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning.
    pub lost: i32,
    /// The jitter the peer sees, in microseconds.
    pub jitter_us: u32,
    /// The quality of what the peer hears.
    pub quality: Quality,
    /// The R factor that the peer reports itself (RFC 3611 §4.7.5).
    pub r_factor: Option<u8>,
    /// The conversational quality that the peer reports itself, in tenths of the mean opinion score.
    pub mos_conversational: Option<u8>,
}
