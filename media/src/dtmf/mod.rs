//! DTMF digits and the hook flash on all three ways: RTP events, tones in the sound, SIP INFO; in and out.
//!
//! | way | in | out |
//! |---|---|---|
//! | events in RTP (RFC 4733) | [`Receiver`] | [`Sender`] |
//! | tones in the sound (ITU-T Q.23, Q.24) | [`Detector`] | [`ToneGenerator`] |
//! | SIP INFO (`application/dtmf-relay`) | [`info::parse`] | [`info::write`] |
//!
//! What comes in is always told as [`Heard`], and what goes out takes it, so a conversion between two legs is to hand the one
//! to the other: [`Sender::handle`], [`ToneGenerator::handle`]. A digit that comes at once and whole, from SIP INFO or a
//! program, is queued with its duration.
//!
//! Left out on purpose: the tones and events of modems and fax (RFC 4733 §3.2 has only 0 to 16, RFC 4734 the rest), and
//! redundancy by RFC 2198.

mod decimator;
mod detector;
mod event;
pub mod info;
mod queue;
mod receiver;
mod sender;
mod tone;
mod window;

pub use detector::{Detector, UnsupportedRate};
pub use event::{Event, EventCode, events};
pub use queue::{MAX_HELD, MIN_DURATION, MIN_PAUSE, QUEUE, QueueFull};
pub use receiver::{Receiver, SILENCE};
pub use sender::{ENDS, EventPacket, Sender};
pub use tone::{ToneGenerator, ToneLevels};

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One key press, over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digit {
    /// The key.
    pub code: EventCode,
    /// How long it was pressed.
    pub duration: Duration,
}

/// What is heard of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Heard {
    /// It went down.
    Started(EventCode),
    /// It went up. Every `Started` is followed by exactly one of these.
    Ended(Digit),
}
