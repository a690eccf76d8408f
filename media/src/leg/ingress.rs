//! What arrives on a leg: is it RTP, is it from the peer, and where in the peer's stream does it stand (RFC 3550 §5.1,
//! §A.1; RFC 5761 §4).
//!
//! A **stream** is a run of packets whose sequence numbers and timestamps belong together. A new one begins with a new
//! SSRC, with a sequence that restarted, and after packets were withheld on purpose (hold). RFC 4733 events are packets like
//! any other here: all packets of one event keep one timestamp because all packets of one stream are shifted by the same.
//!
//! Left out on purpose: what becomes of the packet, which `relay` decides.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ghosts::Ghosts;
use super::latch::{Continuity, Latch, Verdict, is_sdp_address};
use super::params::StreamParams;
use crate::rtcp::RtpArrival;
use crate::rtp::{Header, PacketKind, SequenceTracker, Sequenced, Ssrc, is_ahead};
use crate::time::Time;

/// The receiving half of a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ingress {
    latch: Latch,
    /// Streams of calls before, on the same port, where there were any.
    ghosts: Option<Box<Ghosts>>,
    source: Option<Source>,
    previous: Option<Previous>,
    stream: u32,
    heard: Option<Time>,
}

/// The synchronisation source that is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    ssrc: Ssrc,
    tracker: SequenceTracker,
}

/// The one before it, to tell its late packets from its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Previous {
    ssrc: Ssrc,
    highest: u16,
}

/// An RTP packet of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Counts the streams of this leg.
    pub(crate) stream: u32,
    pub(crate) ssrc: Ssrc,
    /// The extended sequence number within the stream.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) payload: Range<usize>,
    /// The packet made its source the one that is followed.
    pub(crate) latched: bool,
}

/// Why a datagram is not an RTP packet of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    Foreign,
    /// Accepted from the peer, but without a place in its stream.
    Stale {
        latched: bool,
        packet: RtpArrival,
    },
}

impl Arrival {
    /// What RTCP counts of it.
    #[inline]
    pub(crate) fn counted(&self) -> RtpArrival {
        let (sequence, octets) = (self.sequence as u16, self.payload.len() as u32);
        RtpArrival { ssrc: self.ssrc, sequence, timestamp: self.timestamp, octets }
    }
}

impl Ingress {
    /// Judges one datagram.
    #[inline]
    pub(crate) fn handle_datagram(
        &mut self,
        now: Time,
        params: &StreamParams,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Arrival, Refusal> {
        match PacketKind::of(datagram) {
            PacketKind::Rtp => {}
            // RTCP was told from it before (`Shard::receive`).
            PacketKind::Rtcp | PacketKind::Other => return Err(Refusal::Malformed),
        }
        let header = Header::parse(datagram).map_err(|_| Refusal::Malformed)?;
        if self.is_ghost(now, params, from, header.ssrc()) {
            return Err(Refusal::Foreign);
        }
        let (source, heard) = (self.source, self.heard);
        let continuity = || Continuity {
            same_stream: source.is_some_and(|source| source.continues_with(&header)),
            silence: heard.map_or_else(Default::default, |heard| now.since(heard)),
        };
        let latched = match self.latch.handle_packet(now, &params.whereabouts(), from, continuity) {
            Verdict::Accepted => false,
            Verdict::NewSource => true,
            Verdict::Foreign => return Err(Refusal::Foreign),
        };
        self.heard = Some(now);
        let Some(sequence) = self.place(&header) else {
            let (ssrc, sequence, timestamp) = (header.ssrc(), header.sequence(), header.timestamp());
            let packet = RtpArrival { ssrc, sequence, timestamp, octets: header.payload().len() as u32 };
            return Err(Refusal::Stale { latched, packet });
        };
        Ok(Arrival {
            stream: self.stream,
            ssrc: header.ssrc(),
            sequence,
            timestamp: header.timestamp(),
            marker: header.marker(),
            payload_type: header.payload_type(),
            payload: header.payload(),
            latched,
        })
    }

    /// Judges the source of a datagram that need not be RTP; whether the source is followed from now on.
    pub(crate) fn handle_raw(
        &mut self,
        now: Time,
        params: &StreamParams,
        from: SocketAddr,
    ) -> Result<bool, Refusal> {
        // Nothing in it says that it carries on what came from elsewhere.
        let unknown = || Continuity { same_stream: false, silence: Duration::ZERO };
        let latched = match self.latch.handle_packet(now, &params.whereabouts(), from, unknown) {
            Verdict::Accepted => false,
            Verdict::NewSource => true,
            Verdict::Foreign => return Err(Refusal::Foreign),
        };
        self.heard = Some(now);
        Ok(latched)
    }

    /// Where media for the peer goes.
    #[inline]
    pub(crate) fn destination<'a>(&'a self, params: &'a StreamParams) -> Option<&'a SocketAddr> {
        self.latch.destination(&params.whereabouts())
    }

    /// Judges the source of RTCP on the port of RTP (RFC 5761), said to be of `ssrc`, as if it were RTP.
    pub(crate) fn handle_muxed(
        &mut self,
        now: Time,
        params: &StreamParams,
        from: SocketAddr,
        ssrc: Option<Ssrc>,
    ) -> Verdict {
        if ssrc.is_some_and(|ssrc| self.is_ghost(now, params, from, ssrc)) {
            return Verdict::Foreign;
        }
        let (source, heard) = (self.ssrc(), self.heard);
        self.latch.handle_packet(now, &params.whereabouts(), from, || Continuity {
            same_stream: source.is_some() && ssrc == source,
            silence: heard.map_or_else(Default::default, |heard| now.since(heard)),
        })
    }

    /// Whether a packet is of a call before.
    #[inline]
    fn is_ghost(&mut self, now: Time, params: &StreamParams, from: SocketAddr, ssrc: Ssrc) -> bool {
        let Some(ghosts) = &mut self.ghosts else { return false };
        !self.latch.follows(from)
            && ghosts.recognise(now, from, ssrc)
            && !is_sdp_address(&params.whereabouts(), from)
    }

    /// The streams of calls before on this port.
    pub(crate) fn beware(&mut self, ghosts: Ghosts) {
        self.ghosts = ghosts.are_any().then(|| Box::new(ghosts));
    }

    /// The streams of calls so far on this port, for the next one.
    pub(crate) fn ghosts(&self, now: Time) -> Ghosts {
        let before = self.ghosts.as_deref().copied().unwrap_or_default();
        before.handed_on(now, self.latch.followed().zip(self.ssrc()))
    }

    /// The source that is heard.
    pub(crate) fn ssrc(&self) -> Option<Ssrc> {
        self.source.map(|source| source.ssrc)
    }

    /// When the last packet was accepted from the peer.
    pub(crate) const fn heard(&self) -> Option<Time> {
        self.heard
    }

    /// Begins learning anew: the peer said where it is now.
    pub(crate) fn relearn(&mut self) {
        self.latch = Latch::Unheard;
    }

    /// Ends the stream: packets are being withheld, and the ones after them must not look like loss.
    pub(crate) fn interrupt(&mut self) {
        self.stream = self.stream.wrapping_add(1);
    }

    /// The extended sequence number of a packet; `None` when it has no place in the stream.
    #[inline]
    fn place(&mut self, header: &Header<'_>) -> Option<u64> {
        let (ssrc, sequence) = (header.ssrc(), header.sequence());
        match &mut self.source {
            Some(source) if source.ssrc == ssrc => match source.tracker.update(sequence) {
                Sequenced::Valid(extended) => Some(extended),
                Sequenced::Restarted(extended) => {
                    self.stream = self.stream.wrapping_add(1);
                    Some(extended)
                }
                Sequenced::Invalid => None,
            },
            Some(_) if self.previous.is_some_and(|previous| previous.is_late(header)) => None,
            source => {
                self.previous =
                    source.map(|old| Previous { ssrc: old.ssrc, highest: old.tracker.highest_sequence() });
                let tracker = SequenceTracker::new(sequence);
                self.source = Some(Source { ssrc, tracker });
                self.stream = self.stream.wrapping_add(1);
                Some(tracker.highest())
            }
        }
    }
}

impl Source {
    fn continues_with(&self, header: &Header<'_>) -> bool {
        self.ssrc == header.ssrc() && is_ahead(header.sequence(), self.tracker.highest_sequence())
    }
}

impl Previous {
    fn is_late(&self, header: &Header<'_>) -> bool {
        self.ssrc == header.ssrc() && !is_ahead(header.sequence(), self.highest)
    }
}
