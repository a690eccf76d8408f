//! RTP legs, codecs and the media shards of the engine.
//!
//! The crate is a pure core with an edge. [`Shard`] is a state machine: packets and commands in, rewritten packets and
//! reports out, time handed in as [`Time`]; it has no socket, clock, thread or global random number. [`io`] owns those: it
//! binds the ports, receives and sends, and runs one shard on one thread.
//!
//! What is here: plain RTP (RFC 3550), relayed between two legs when a packet arrives, with latching behind NAT, payload
//! type mapping and µ-law/A-law conversion; rooms whose members are mixed on a tick ([`mix`]), each behind a jitter buffer
//! ([`jitter`]) and a codec ([`codec`]). Each leg has its RTCP ([`rtcp`]) and its digits ([`dtmf`]), which are converted where two legs
//! do them differently. What is not: SRTP.

pub mod codec;
pub mod dsp;
pub mod dtmf;
pub mod io;
pub mod jitter;
pub mod leg;
pub mod mix;
pub mod rtcp;
pub mod rtp;
pub mod shard;
pub mod source;
pub mod tap;
mod time;

pub use leg::{
    AudioFormat, DigitOutlet, DigitParams, DigitWay, Dropped, EventFormat, FormatError, Ghosts, Latching,
    LegFigures, LegId, Network, PayloadMap, PayloadRule, PrefixTooLong, RtcpPort, StreamParams,
};
pub use shard::{
    Average, CodecKind, Command, Costs, Departed, Forward, Lateness, LegAddresses, LegKey, LegPorts, NoWatch,
    Output, Party, Port, Recorded, RefusalReason, Report, RoomId, Shard, ShardConfig, Stopwatch, Wanted,
    Watch, Web, webs,
};
pub use time::Time;
