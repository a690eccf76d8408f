//! A leg: one RTP port of ours and the peer that talks to it.
//!
//! `ingress` judges what arrives (RFC 3550 §5.1, §A.1), `latch` from whom it may arrive, `ghosts` who is of a call before, `egress` gives what leaves its
//! sequence, timestamp and SSRC, `control` is its RTCP, `digits` are its keys, `relay` says what becomes of a packet between
//! two legs, `datagram` what of one that is no RTP.

mod control;
mod datagram;
mod digits;
mod egress;
mod figures;
mod ghosts;
mod ingress;
mod latch;
#[expect(clippy::module_inception, reason = "the file is named for the type it defines")]
mod leg;
mod mixed;
mod params;
mod payload;
mod relay;

pub use digits::{DigitOutlet, DigitParams, DigitWay, EventFormat};
pub use figures::{Dropped, LegFigures};
pub use ghosts::Ghosts;
pub use latch::{LEARNING_WINDOW, REBINDING_SILENCE, RIVAL_PACKETS};
pub use mixed::{AudioFormat, FormatError};
pub use params::{Latching, LegId, Network, PrefixTooLong, RtcpPort, StreamParams};
pub use payload::{PayloadMap, PayloadRule};

pub(crate) use control::Control;
pub(crate) use digits::HeardKeys;
pub(crate) use egress::Egress;
pub(crate) use ghosts::MARKS;
pub(crate) use leg::Leg;
pub(crate) use mixed::{Departure, MAX_FRAME, Mixed};
pub(crate) use relay::{Relay, Way};
