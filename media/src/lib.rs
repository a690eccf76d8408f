//! RTP legs, codecs and the media shards of the engine.
//!
//! The crate is a pure core with an edge. [`Shard`] is a state machine: packets and commands in, rewritten packets and
//! reports out, time handed in as [`Time`]; it has no socket, clock, thread or global random number. [`io`] owns those: it
//! binds the ports, receives and sends, and runs one shard on one thread.
//!
//! What is here: plain RTP (RFC 3550), relayed between two legs when a packet arrives, with latching behind NAT, payload
//! type mapping and µ-law/A-law conversion; and, for legs that will be decoded, codecs ([`codec`]) and conversion of sample rates
//! ([`dsp`]). What is not: RTCP is received and counted, not interpreted; there is no jitter buffer, mixer or SRTP.
//! type mapping and µ-law/A-law conversion; RTCP of a leg as a machine of its own ([`rtcp::Session`]), which the shard does
//! not drive yet; digits as events, tones and SIP INFO ([`dtmf`]). What is not: a jitter buffer, a mixer, SRTP.
//! type mapping and µ-law/A-law conversion; and [`jitter`], which turns the packets of a leg into samples, for a mixer to come.
//! What is not: RTCP is received and counted, not interpreted; there is no mixer or SRTP.

pub mod codec;
pub mod dsp;
pub mod dtmf;
pub mod io;
pub mod jitter;
pub mod leg;
pub mod rtcp;
pub mod mix;
pub mod rtp;
pub mod shard;
pub mod source;
mod time;

pub use leg::{
    Dropped, Latching, LegFigures, LegId, Network, PayloadMap, PayloadRule, PrefixTooLong, StreamParams,
};
pub use shard::{
    Command, Forward, LegAddresses, LegKey, LegPorts, Output, RefusalReason, Report, Shard, ShardConfig,
};
pub use time::Time;
