//! SDP (RFC 8866) and its offer/answer model (RFC 3264), as far as calls need it.
//!
//! [`SessionDescription`] reads a body without copying it, [`SdpWriter`] writes one. [`AudioOffer`], [`T38Attributes`] and
//! [`TransportAttributes`] are what a call has to decide on, read for keeps; [`intersect`], [`Direction::answer`],
//! [`Setup::answer`] and [`Crypto::choose`] decide; [`write_media_offer`] and [`write_media_answer`] say it, with every
//! line in its place, and [`LocalDescription`] counts the versions. What is not decided on passes as text
//! ([`PassedMedia`]). All of it is pure.
//!
//! Left out on purpose: multicast, time zones and repeat times (kept as lines), capability negotiation (RFC 5939),
//! several streams over one transport, and the work that ICE, DTLS and SRTP do on the media path.

mod attribute;
mod candidate;
mod codec;
mod compose;
mod description;
mod dtls;
mod exchange;
mod fields;
mod format;
mod group;
mod ice;
mod line;
mod negotiate;
mod offer;
mod passed;
mod rtcp;
mod sdes;
mod t38;
mod transport;
mod version;
mod writer;

#[cfg(test)]
mod phones;
#[cfg(test)]
mod sdes_tests;

pub use attribute::{Attribute, Direction, RtpMap};
pub use candidate::{CandidateKind, CandidateTransport, IceCandidate, RemoteCandidate};
pub use codec::{AudioCodec, SdpText, TelephoneEvent};
pub use compose::{LocalMedia, LocalSession, write_media_answer, write_media_offer};
pub use description::{MediaDescription, Section, SessionDescription};
pub use dtls::{DtlsAttributes, DtlsRole, Fingerprint, HashFunction, Setup};
pub use exchange::{ExchangeError, check_answer, check_next_offer};
pub use fields::{Connection, Origin};
pub use group::Group;
pub use ice::IceAttributes;
pub use line::{Limits, Line, SdpError, SdpErrorKind};
pub use negotiate::{LocalAudio, LocalOrigin, intersect, intersect_events, write_answer, write_offer};
pub use offer::{AudioOffer, MediaAddress, NegotiationError};
pub use passed::PassedMedia;
pub use rtcp::RtcpAttributes;
pub use sdes::{Crypto, CryptoSession, CryptoSuite, InlineKey, Mki};
pub use t38::{LocalFax, T38Attributes, T38ErrorCorrection, T38RateManagement};
pub use transport::{Keying, MediaTransport, TransportAttributes};
pub use version::LocalDescription;
pub use writer::SdpWriter;
