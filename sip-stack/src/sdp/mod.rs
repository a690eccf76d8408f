//! SDP (RFC 8866) and its offer/answer model (RFC 3264), as far as audio calls need it.
//!
//! [`SessionDescription`] reads a body without copying it, [`SdpWriter`] writes one, and [`AudioOffer`],
//! [`write_offer`] and [`write_answer`] hold the rules of negotiation. All of it is pure: session ids and versions,
//! and the state of an offer/answer exchange, belong to the caller.
//!
//! Left out on purpose: multicast, time zones and repeat times (kept as lines), and the keys of SRTP and DTLS (their
//! attributes are there to be read, none is interpreted).

mod attribute;
mod codec;
mod description;
mod fields;
mod line;
mod negotiate;
mod offer;
mod writer;

#[cfg(test)]
mod phones;

pub use attribute::{Attribute, Direction, RtpMap};
pub use codec::{AudioCodec, SdpText, TelephoneEvent};
pub use description::{MediaDescription, Section, SessionDescription};
pub use fields::{Connection, Origin};
pub use line::{Limits, Line, SdpError, SdpErrorKind};
pub use negotiate::{LocalAudio, LocalOrigin, intersect, intersect_events, write_answer, write_offer};
pub use offer::{AudioOffer, MediaAddress, MediaTransport, NegotiationError};
pub use writer::SdpWriter;
