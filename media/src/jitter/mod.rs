//! The receive side of a mixed leg: from RTP packets as they come to exactly as many samples as each tick asks for.
//!
//! [`JitterBuffer`] (`playout`) owns the parts and decides what is heard: `ring` keeps the packets in order; `delay` learns
//! from their arrivals how long they must wait, with the `histogram` of their lateness; `schedule` tells whose turn it is;
//! `plc` speaks in place of those that do not come; `stretch` leaves out or repeats a little sound so that the delay follows
//! its target; `pitch` finds where that is not heard; `samples` holds what is decoded and what was played last; `sizing`
//! says how large it has to be. Codecs stay outside, behind [`Decode`].
//!
//! RFC 3550 §6.4.1 and §A.8 (interarrival jitter), RFC 3389 (gaps that are silence, not loss), RFC 3551 §4.1 (marker and
//! talk spurts); the concealment is in the spirit of ITU-T G.711 Appendix I.
//!
//! Left out on purpose: validity of sequence numbers and who may send, which the ingress of a leg decides; the noise of
//! RFC 3389 itself, which is a codec; redundancy (RFC 2198).

mod decode;
mod delay;
mod figures;
mod histogram;
mod pitch;
mod playout;
mod plc;
mod ring;
mod samples;
mod schedule;
mod sizing;
mod stretch;

pub use decode::{Decode, PayloadKind};
pub use figures::{JitterFigures, Played};
pub use playout::{JitterBuffer, JitterConfig};
pub use ring::{Inserted, Packet};
