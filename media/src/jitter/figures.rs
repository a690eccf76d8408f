//! What a jitter buffer counts, and what one tick did.
//!
//! Left out on purpose: report blocks (RFC 3550 §6.4.1, RFC 3611), which RTCP builds from these.

use serde::{Deserialize, Serialize};

/// The figures of one leg's jitter buffer since it was made. Sums of samples are at its sample rate, delays in
/// microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JitterFigures {
    /// Packets put into the buffer, of whatever use.
    pub received: u64,
    /// Packets whose number was passed over and that have not come since.
    pub lost: u64,
    /// Packets that came after their number was passed over.
    pub late: u64,
    /// Packets that were there already, or had been.
    pub duplicate: u64,
    /// Packets thrown away unplayed: for want of room, of a former stream, undecodable, or to catch up.
    pub discarded: u64,
    /// Times the stream began anew (source, sequence or timestamp jumped).
    pub restarts: u64,
    /// Samples made up in place of packets that were lost or late.
    pub concealed: u64,
    /// Samples played while the sender paused: comfort noise or silence.
    pub paused: u64,
    /// Samples inserted so that the delay grows.
    pub inserted: u64,
    /// Samples removed so that the delay shrinks.
    pub removed: u64,
    /// Samples handed out.
    pub played: u64,
    /// From the arrival of a packet that was not held up to its first sample being handed out.
    pub delay_us: u32,
    /// The longest delay so far.
    pub max_delay_us: u32,
    /// How much later than the fastest packets a packet may come and still be played.
    pub target_us: u32,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter_us: u32,
    /// How much faster (positive) or slower the sender's clock runs than ours, in parts per million; settles in a minute.
    pub drift_ppm: i32,
}

/// What one tick added to what is to be heard, in samples. Whole packets are decoded, so some of it may be heard at the next
/// tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// Decoded in this tick, or recovered by the codec's redundancy.
    pub decoded: u32,
    /// Made up in place of packets that are missing.
    pub concealed: u32,
    /// Comfort noise or silence: there is no stream, or the sender paused.
    pub paused: u32,
    /// Inserted so that the delay grows.
    pub inserted: u32,
    /// Removed so that the delay shrinks.
    pub removed: u32,
}
