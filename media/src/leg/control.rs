//! RTCP of one leg: which datagrams are believed, where ours go, and what both say about the leg (RFC 3550 §6, §8.2;
//! RFC 3605; RFC 5761 §5).
//!
//! On a port of its own RTCP is latched as RTP is, with its own candidates: the address of `a=rtcp` or the port above, its
//! host, and the host of the signalling. On the port of RTP both follow one source. RTCP is a sign of life: a peer on hold
//! that reports is not silent.
//!
//! Deviation: RFC 3550 §8.2 drops packets under our own SSRC. A peer that plays our packets back, as test programs do, is
//! heard here all the same; our SSRC changes once.
//!
//! Left out on purpose: when reports are due and the buffers they are written to, which are the shard's.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::figures::LegFigures;
use super::ingress::Ingress;
use super::latch::{Continuity, Latch, Verdict};
use super::leg::Leg;
use super::mixed::Mixed;
use super::params::{RtcpPort, StreamParams, Whereabouts};
use crate::rtcp::{Conflict, FeedbackMap, Handled, PlayoutFigures, RtpArrival, Session, SessionConfig};
use crate::rtp::Ssrc;
use crate::shard::{LegKey, Port};
use crate::time::Time;

/// The RTCP half of a leg. It is there from the first parameters on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Control {
    pub(crate) session: Session,
    /// Of the port of RTCP; where it shares that of RTP, `ingress` follows the source of both.
    latch: Latch,
    /// Who sent the last RTCP that was accepted, and when.
    heard: Option<(Option<Ssrc>, Time)>,
    /// Somebody else has our SSRC, and we have not taken another one yet.
    pub(crate) collided: bool,
    /// What the jitter buffers of stays in rooms that are over did.
    played: Option<PlayoutFigures>,
}

impl Control {
    pub(crate) fn new(now: Time, config: SessionConfig, seed: u64) -> Self {
        let session = Session::new(now, config, seed);
        Self { session, latch: Latch::Unheard, heard: None, collided: false, played: None }
    }

    /// Begins learning anew: the peer said where its RTCP is now.
    pub(crate) fn relearn(&mut self) {
        self.latch = Latch::Unheard;
    }

    /// When RTCP of the peer was accepted last.
    pub(crate) fn heard(&self) -> Option<Time> {
        self.heard.map(|(_, at)| at)
    }

    /// Counts an RTP packet of the peer.
    #[inline]
    pub(crate) fn handle_rtp_in(&mut self, now: Time, packet: &RtpArrival) {
        match self.session.handle_rtp_in(now, packet) {
            Some(Conflict::Collision) => self.collided = true,
            Some(Conflict::Loop) | None => {}
        }
    }

    /// Judges the source of a datagram on the port of RTCP.
    fn judge(
        &mut self,
        now: Time,
        params: &StreamParams,
        source: SocketAddr,
        said: Option<Ssrc>,
        ingress: &Ingress,
    ) -> Verdict {
        let sdp = params.rtcp_address();
        let peer = Whereabouts { sdp: sdp.as_ref(), ..params.whereabouts() };
        let before = self.heard;
        self.latch.handle_packet(now, &peer, source, || Continuity {
            same_stream: said.is_some()
                && (said == ingress.ssrc() || before.is_some_and(|(ssrc, _)| ssrc == said)),
            silence: before.map_or_else(Default::default, |(_, heard)| now.since(heard)),
        })
    }
}

impl Leg {
    /// Takes a datagram of RTCP that came on `port`. `None` when it is not the peer's.
    pub(crate) fn handle_rtcp(
        &mut self,
        now: Time,
        port: Port,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Option<Handled> {
        self.figures.rtcp_in += 1;
        let (params, control) = self.params.as_ref().zip(self.control.as_mut())?;
        let agreed = match params.rtcp {
            RtcpPort::Above | RtcpPort::At(_) => Port::Rtcp,
            RtcpPort::Muxed => Port::Rtp,
        };
        if port != agreed {
            return None;
        }
        let compound = control.session.parse(datagram).ok()?;
        let said = compound.sender();
        let verdict = match port {
            Port::Rtp => self.ingress.handle_muxed(now, params, source, said),
            Port::Rtcp => control.judge(now, params, source, said, &self.ingress),
        };
        match (verdict, port) {
            (Verdict::Foreign, _) => {
                self.figures.dropped.foreign += 1;
                return None;
            }
            (Verdict::NewSource, Port::Rtp) => self.news.latched = Some(source),
            (Verdict::NewSource, Port::Rtcp) | (Verdict::Accepted, _) => {}
        }
        control.heard = Some((said, now));
        self.news.heard |= core::mem::take(&mut self.news.silence_reported);
        let handled = control.session.handle_compound(now, &compound);
        control.collided |= handled.conflict == Some(Conflict::Collision);
        Some(handled)
    }

    /// From which port RTCP leaves, and where it goes; `None` when nothing says where.
    pub(crate) fn rtcp_route(&self) -> Option<(Port, SocketAddr)> {
        let params = self.params.as_ref()?;
        match params.rtcp {
            RtcpPort::Muxed => Some((Port::Rtp, *self.ingress.destination(params)?)),
            RtcpPort::Above | RtcpPort::At(_) => {
                let sdp = params.rtcp_address();
                let peer = Whereabouts { sdp: sdp.as_ref(), ..params.whereabouts() };
                Some((Port::Rtcp, *self.control.as_ref()?.latch.destination(&peer)?))
            }
        }
    }

    /// How feedback that came on this leg reads on `there`, to which it is relayed. `None` while nobody is heard there.
    pub(crate) fn feedback_map(&self, there: &Self, there_key: LegKey) -> Option<FeedbackMap> {
        Some(FeedbackMap {
            ours_here: self.egress.ssrc(),
            theirs_there: there.ingress.ssrc()?,
            theirs_here: self.ingress.ssrc().unwrap_or_default(),
            ours_there: there.egress.ssrc(),
            sequence_shift: self.egress.shift_from(there_key)?,
        })
    }

    /// Tells the session what the jitter buffer did, before it reports.
    pub(crate) fn refresh_playout(&mut self) {
        if let Some(playout) = self.playout()
            && let Some(control) = &mut self.control
        {
            control.session.set_playout(playout);
        }
    }

    /// The leg leaves a room: what its jitter buffer did is kept.
    pub(crate) fn keep_playout(&mut self) {
        let playout = self.playout();
        if let Some(control) = &mut self.control {
            control.played = playout;
        }
    }

    /// What the jitter buffers of all stays in rooms did; `None` when it was in none.
    fn playout(&self) -> Option<PlayoutFigures> {
        let before = self.control.as_ref().and_then(|control| control.played);
        match (before, self.playing().map(Mixed::playout)) {
            (Some(before), Some(now)) => Some(PlayoutFigures {
                discarded: before.discarded + now.discarded,
                played_ms: before.played_ms + now.played_ms,
                concealed_ms: before.concealed_ms + now.concealed_ms,
                delay_max: before.delay_max.max(now.delay_max),
                ..now
            }),
            (before, now) => before.or(now),
        }
    }

    /// What the leg has counted so far, and what RTCP knows of it.
    pub(crate) fn figures(&self) -> LegFigures {
        let rtcp = self.control.as_ref().map(|control| {
            let mut session = control.session.clone();
            if let Some(playout) = self.playout() {
                session.set_playout(playout);
            }
            session.figures()
        });
        LegFigures { rtcp: rtcp.unwrap_or_default(), ..self.figures }
    }
}
