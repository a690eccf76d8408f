//! RTCP: what it looks like, what it measures, when it is sent (RFC 3550 §6, RFC 3611, RFC 4585, RFC 5104, RFC 5506).
//!
//! [`Compound`] reads a datagram without copying, [`Writer`] writes one into a buffer of the caller. [`Reception`] keeps the
//! figures of the source that is heard, [`Interval`] says when to report. [`Session`] puts them together for one leg: the
//! peer's reports end here and ours begin here, while feedback on pictures and rates goes on to the partner
//! ([`FeedbackMap`]).
//!
//! Left out on purpose: early feedback of our own (RFC 4585 §3.5), as we ask for nothing ourselves; mixers and translators
//! with contributing sources; application packets, which are read over.

mod bursts;
mod cname;
mod compound;
mod config;
mod feedback;
mod figures;
mod interval;
mod ntp;
mod quality;
mod reception;
mod report;
mod sdes;
mod sending;
mod session;
mod writer;
mod xr;

pub use bursts::{BurstFigures, Bursts, GMIN};
pub use cname::{Cname, InvalidCname};
pub use compound::{Compound, Goodbye, Packet, Packets, ParseError};
pub use config::SessionConfig;
pub use feedback::{Feedback, FeedbackKind, FeedbackMap, Lost, NotForUs, lost_packets};
pub use figures::{PlayoutFigures, RemoteFigures, RtcpFigures};
pub use interval::{Interval, Population};
pub use ntp::{NtpTime, WallClock};
pub use quality::{Impairment, Quality};
pub use reception::Reception;
pub use report::{ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use sdes::{Chunk, Chunks, Item, Items, SourceDescription};
pub use session::{Conflict, Handled, RtpArrival, Session};
pub use writer::{NoRoom, Writer};
pub use xr::{ExtendedReport, VoipMetrics};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
mod packet_type {
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SOURCE_DESCRIPTION: u8 = 202;
    pub(super) const GOODBYE: u8 = 203;
    pub(super) const APPLICATION: u8 = 204;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
    pub(super) const EXTENDED_REPORT: u8 = 207;
}

/// The 32 bits at the start of `bytes`; `None` when there are fewer.
fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_be_bytes(*word))
}
