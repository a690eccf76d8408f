//! RTCP of one leg: the peer's reports end here and ours begin here (RFC 3550 §6.2 to §6.6, §8.2; RFC 3611 §4.7;
//! RFC 4585 §6.1; RFC 5506).
//!
//! The machine has no port: whether RTCP shares the one of RTP (RFC 5761) or has the next one up is known to whoever sends.
//! A reading of the wall clock makes our timestamps those of the day; without one they count the running time.
//!
//! Left out on purpose: more than one peer. Members are we and the one who is heard; a source that takes its place is the
//! same party under a new SSRC.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bursts::density;
use super::compound::{Compound, Packet, ParseError};
use super::config::SessionConfig;
use super::feedback::FeedbackMap;
use super::figures::{PlayoutFigures, RemoteFigures, RtcpFigures};
use super::interval::{Interval, Population};
use super::ntp::WallClock;
use super::quality::Quality;
use super::reception::Reception;
use super::report::{ReportBlock, SenderInfo};
use super::sending::Sending;
use super::writer::{NoRoom, Writer};
use super::xr::VoipMetrics;
use crate::rtcp::GMIN;
use crate::rtp::Ssrc;
use crate::time::Time;

/// After how many intervals without a word a party is no member any more (RFC 3550 §6.3.5).
const MEMBER_INTERVALS: u32 = 5;
/// After how many intervals without RTP it is no sender any more (RFC 3550 §6.3.8).
const SENDER_INTERVALS: u32 = 2;
/// How many intervals a conflict is remembered (RFC 3550 §8.2).
const CONFLICT_INTERVALS: u32 = 10;

/// The fields of an RTP packet that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpArrival {
    /// Its source.
    pub ssrc: Ssrc,
    /// Its sequence number as it stands in the packet.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// Octets of its payload.
    pub octets: u32,
}

/// Somebody uses our SSRC (RFC 3550 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// By chance: draw another and call [`Session::change_ssrc`].
    Collision,
    /// Our own packets come back, or those of somebody who follows our SSRC: leave it, and drop the packet.
    Loop,
}

/// What a compound packet asks of its receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// It came under our own SSRC.
    pub conflict: Option<Conflict>,
    /// It holds feedback, to be passed on with [`Session::forward_feedback`] of the partner's session.
    pub feedback: bool,
    /// The source that was heard says BYE.
    pub goodbye: bool,
}

/// RTCP of one leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    config: SessionConfig,
    clock: Option<WallClock>,
    interval: Interval,
    sending: Sending,
    reception: Option<Reception>,
    /// When the peer was heard last: RTP, and anything at all.
    heard_rtp: Option<Time>,
    heard: Option<Time>,
    /// The last sender report of the peer: its SSRC, the middle of its timestamp, its arrival.
    sender_report: Option<(Ssrc, u32, Time)>,
    /// Packets of the peer that stood in our last report.
    reported_packets: u64,
    /// The last conflict and the SSRC it was about.
    conflict: Option<(Time, Ssrc)>,
    ended: bool,
    playout: Option<PlayoutFigures>,
    /// Counters and what the peer said; the rest is worked out when asked for.
    figures: RtcpFigures,
}

impl Session {
    /// A session that begins now. `seed` decides when reports are sent.
    #[must_use]
    pub fn new(now: Time, config: SessionConfig, seed: u64) -> Self {
        Self {
            clock: None,
            interval: Interval::new(now, config.minimum, config.bandwidth, seed),
            sending: Sending::new(config.clock_rate),
            reception: None,
            heard_rtp: None,
            heard: None,
            sender_report: None,
            reported_packets: 0,
            conflict: None,
            ended: false,
            playout: None,
            figures: RtcpFigures::default(),
            config,
        }
    }

    /// Our SSRC.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.config.ssrc
    }

    /// Takes a reading of the wall clock: at the start, and when it was set.
    pub const fn set_wall_clock(&mut self, reading: WallClock) {
        self.clock = Some(reading);
    }

    /// Counts an RTP packet of the peer. A few additions and one multiplication; a new source costs more.
    #[inline]
    pub fn handle_rtp_in(&mut self, now: Time, arrival: &RtpArrival) -> Option<Conflict> {
        let &RtpArrival { ssrc, sequence, timestamp, octets } = arrival;
        if ssrc == self.config.ssrc {
            return Some(self.judge_conflict(now));
        }
        self.figures.packets_in += 1;
        self.figures.octets_in += u64::from(octets);
        self.heard_rtp = Some(now);
        match &mut self.reception {
            Some(reception) if reception.ssrc() == ssrc => reception.handle_rtp(now, sequence, timestamp),
            reception => {
                let rate = self.config.clock_rate;
                *reception = Some(match reception {
                    Some(old) => old.restarted(now, ssrc, sequence, timestamp, rate),
                    None => Reception::new(now, ssrc, sequence, timestamp, rate),
                });
            }
        }
        None
    }

    /// Counts an RTP packet of ours, with `octets` of payload. A few additions.
    #[inline]
    pub fn handle_rtp_out(&mut self, now: Time, timestamp: u32, octets: u32) {
        self.sending.handle_rtp(now, timestamp, octets);
    }

    /// Takes a datagram of RTCP from the peer. Believes all of it or nothing.
    ///
    /// # Errors
    /// [`ParseError`] when it is not valid RTCP; it is counted.
    pub fn handle_packet(&mut self, now: Time, datagram: &[u8]) -> Result<Handled, ParseError> {
        let compound = self.parse(datagram)?;
        Ok(self.handle_compound(now, &compound))
    }

    /// Reads a datagram of RTCP, before its source is judged.
    ///
    /// # Errors
    /// [`ParseError`] when it is not valid RTCP; it is counted.
    pub fn parse<'a>(&mut self, datagram: &'a [u8]) -> Result<Compound<'a>, ParseError> {
        Compound::parse(datagram).inspect_err(|_| self.figures.malformed += 1)
    }

    /// Takes what was read from a datagram of the peer.
    pub fn handle_compound(&mut self, now: Time, compound: &Compound<'_>) -> Handled {
        let mut handled = Handled::default();
        if compound.sender() == Some(self.config.ssrc) {
            handled.conflict = Some(self.judge_rtcp_conflict(now, compound));
            return handled;
        }
        self.figures.reports_in += 1;
        self.heard = Some(now);
        self.interval.handle_received(compound.length());
        for packet in compound.packets() {
            self.handle_one(now, packet, &mut handled);
        }
        handled
    }

    /// Another clock rate was agreed upon; totals go on.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        if self.config.clock_rate != clock_rate {
            self.config.clock_rate = clock_rate;
            self.sending.set_clock_rate(clock_rate);
            if let Some(reception) = &mut self.reception {
                reception.set_clock_rate(clock_rate);
            }
        }
    }

    /// What the jitter buffer behind the stream has done so far. Without one, a buffer of twice the jitter is assumed.
    pub const fn set_playout(&mut self, playout: PlayoutFigures) {
        self.playout = Some(playout);
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` when nothing is ever to be sent.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Time> {
        if self.ended { None } else { self.interval.poll_timeout() }
    }

    /// Writes a report when one is due: SR or RR, SDES, and VoIP metrics if they are agreed. Gives its octets; 500 are
    /// enough. A buffer without room loses this report.
    pub fn handle_timeout(&mut self, now: Time, out: &mut [u8]) -> Option<usize> {
        let population = self.population(now);
        if self.ended || !self.interval.handle_timeout(now, population) {
            return None;
        }
        let mut writer = Writer::new(out);
        let written = self.write_report(now, &mut writer);
        let length = writer.length();
        self.interval.handle_sent(now, population, length);
        written.ok().map(|()| length)
    }

    /// Writes the last report with BYE and ends the session; `reason` may be empty. `None` when nothing was ever sent
    /// (RFC 3550 §6.3.7), or the buffer is too small; 800 octets are enough.
    pub fn write_bye(&mut self, now: Time, reason: &[u8], out: &mut [u8]) -> Option<usize> {
        let silent = self.sending.packets == 0 && self.figures.reports_out == 0;
        let muted = self.ended || self.config.bandwidth == 0;
        self.ended = true;
        if silent || muted { None } else { self.write_goodbye(now, reason, out) }
    }

    /// Sends under another SSRC from now on, after a collision; writes BYE for the old one as [`Self::write_bye`] does.
    /// Packets of the new one that went out before this call are not counted for it.
    pub fn change_ssrc(&mut self, now: Time, ssrc: Ssrc, out: &mut [u8]) -> Option<usize> {
        let silent = self.sending.packets_of_ssrc() == 0 && self.figures.reports_out == 0;
        let length = if silent || self.ended || self.config.bandwidth == 0 {
            None
        } else {
            self.write_goodbye(now, b"", out)
        };
        self.config.ssrc = ssrc;
        self.sending.restart();
        length
    }

    /// Passes the feedback in a datagram of the partner's peer on to ours: one compound packet, rewritten, with an empty
    /// report before it unless the peer takes reduced sizes. `map.ours_there` is our SSRC here. `None` when nothing of it is
    /// for us.
    pub fn forward_feedback(&mut self, datagram: &[u8], map: &FeedbackMap, out: &mut [u8]) -> Option<usize> {
        let compound = Compound::parse(datagram).ok()?;
        let mut writer = Writer::new(out);
        if !self.config.reduced_size {
            writer.receiver_report(self.config.ssrc, &[]).ok()?;
            writer.description(self.config.ssrc, &self.config.cname).ok()?;
        }
        let mut passed = 0;
        for packet in compound.packets() {
            let Packet::Feedback(feedback) = packet else { continue };
            let before = writer.length();
            let Ok(place) = writer.copy(feedback.packet()) else { break };
            match map.rewrite(feedback.kind(), place) {
                Ok(()) => passed += 1,
                Err(_) => writer.cut(before),
            }
        }
        self.figures.feedback_out += passed;
        (passed != 0).then_some(writer.length())
    }

    /// What is known about the leg. Costs some divisions.
    #[must_use]
    pub fn figures(&self) -> RtcpFigures {
        let mut figures = self.figures;
        figures.packets_out = self.sending.packets;
        figures.octets_out = self.sending.octets;
        if let Some(reception) = &self.reception {
            figures.expected = reception.total_expected();
            figures.lost = figures.expected.cast_signed() - reception.total_received().cast_signed();
            figures.jitter_us = reception.jitter_us();
            figures.quality = Some(self.quality(reception));
        }
        figures.playout = self.playout;
        figures
    }

    fn handle_one(&mut self, now: Time, packet: Packet<'_>, handled: &mut Handled) {
        match packet {
            Packet::SenderReport(report) => {
                self.sender_report = Some((report.ssrc(), report.info().ntp.middle(), now));
                report.blocks().for_each(|block| self.handle_block(now, &block));
            }
            Packet::ReceiverReport(report) => {
                report.blocks().for_each(|block| self.handle_block(now, &block));
            }
            Packet::Goodbye(goodbye) => {
                let heard = self.reception.as_ref().map(Reception::ssrc);
                handled.goodbye |= goodbye.sources().any(|source| Some(source) == heard);
                if handled.goodbye {
                    (self.heard, self.heard_rtp) = (None, None);
                }
            }
            Packet::Feedback(_) => {
                self.figures.feedback_in += 1;
                handled.feedback = true;
            }
            Packet::ExtendedReport(report) => {
                let ours = |metrics: &VoipMetrics| metrics.ssrc == self.config.ssrc;
                if let (Some(metrics), Some(remote)) =
                    (report.voip_metrics().find(ours), &mut self.figures.remote)
                {
                    remote.r_factor = metrics.r_factor;
                    remote.mos_conversational = metrics.mos_conversational;
                }
            }
            Packet::SourceDescription(_) | Packet::Application(_) | Packet::Unknown(_) => {}
        }
    }

    /// What the peer says about our stream.
    fn handle_block(&mut self, now: Time, block: &ReportBlock) {
        if block.ssrc != self.config.ssrc {
            return;
        }
        if let Some(round_trip) = self.sending.round_trip(now, block) {
            self.figures.round_trip = Some(round_trip);
            self.figures.round_trip_max = self.figures.round_trip_max.max(Some(round_trip));
        }
        let jitter_us = u64::from(block.jitter) * 1_000_000 / u64::from(self.config.clock_rate.max(1));
        let jitter_us = u32::try_from(jitter_us).unwrap_or(u32::MAX);
        let lost = u64::try_from(block.lost).unwrap_or(0);
        let loss = density(lost, self.sending.packets_of_ssrc());
        let said = self.figures.remote;
        self.figures.remote = Some(RemoteFigures {
            fraction_lost: block.fraction_lost,
            lost: block.lost,
            jitter_us,
            quality: Quality::estimate(self.config.impairment, loss, self.one_way(jitter_us)),
            r_factor: said.and_then(|said| said.r_factor),
            mos_conversational: said.and_then(|said| said.mos_conversational),
        });
    }

    /// A packet under our SSRC came in.
    fn judge_conflict(&mut self, now: Time) -> Conflict {
        self.figures.conflicts += 1;
        let remembered = self.nominal_interval() * CONFLICT_INTERVALS;
        let earlier = self.conflict.filter(|(at, _)| now.since(*at) < remembered);
        match earlier {
            // We changed ours after the last conflict, and they followed.
            Some((_, ssrc)) if ssrc != self.config.ssrc => {
                self.conflict = Some((now, ssrc));
                Conflict::Loop
            }
            Some(_) | None => {
                self.conflict = Some((now, self.config.ssrc));
                Conflict::Collision
            }
        }
    }

    /// A compound packet of our own name is our own; one of another name is a collision.
    fn judge_rtcp_conflict(&mut self, now: Time, compound: &Compound<'_>) -> Conflict {
        let ours = compound.packets().any(|packet| match packet {
            Packet::SourceDescription(description) => description.chunks().any(|chunk| {
                chunk.ssrc() == self.config.ssrc && chunk.cname() == Some(self.config.cname.as_bytes())
            }),
            _ => false,
        });
        if ours {
            self.figures.conflicts += 1;
            Conflict::Loop
        } else {
            self.judge_conflict(now)
        }
    }

    fn write_goodbye(&mut self, now: Time, reason: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(out);
        self.write_report(now, &mut writer).ok()?;
        writer.goodbye(self.config.ssrc, reason).ok()?;
        Some(writer.length())
    }

    fn write_report(&mut self, now: Time, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        let ssrc = self.config.ssrc;
        let block = self.block(now);
        let blocks = block.as_slice();
        match self.sender_info(now) {
            Some(info) => writer.sender_report(ssrc, &info, blocks)?,
            None => writer.receiver_report(ssrc, blocks)?,
        }
        writer.description(ssrc, &self.config.cname)?;
        if let Some(reception) = self.reception.as_ref().filter(|_| self.config.voip_metrics) {
            writer.voip_metrics(ssrc, &self.voip_metrics(reception))?;
        }
        self.figures.reports_out += 1;
        Ok(())
    }

    /// The block about the peer, if it was heard since the last report (RFC 3550 §6.4).
    fn block(&mut self, now: Time) -> Option<ReportBlock> {
        let news = self.figures.packets_in != self.reported_packets;
        self.reported_packets = self.figures.packets_in;
        let reception = self.reception.as_mut().filter(|_| news)?;
        let of_source = self.sender_report.filter(|(ssrc, ..)| *ssrc == reception.ssrc());
        Some(reception.report(now, of_source.map(|(_, middle, arrived)| (middle, arrived))))
    }

    /// The sender information, if we sent lately.
    fn sender_info(&mut self, now: Time) -> Option<SenderInfo> {
        self.population(now).we_sent.then(|| self.sending.report(now, self.clock))
    }

    fn voip_metrics(&self, reception: &Reception) -> VoipMetrics {
        let (bursts, quality) = (reception.bursts(), self.quality(reception));
        let playout = self.playout.unwrap_or_default();
        let round_trip = self.figures.round_trip.unwrap_or_default();
        VoipMetrics {
            ssrc: reception.ssrc(),
            loss_rate: reception.loss_rate(),
            discard_rate: self.discard_rate(reception),
            burst_density: bursts.burst_density,
            gap_density: bursts.gap_density,
            burst_ms: reception.packets_to_ms(bursts.burst_length),
            gap_ms: reception.packets_to_ms(bursts.gap_length),
            round_trip_ms: whole_ms(round_trip),
            // Nothing of ours delays sound but the buffer.
            end_system_ms: whole_ms(playout.delay),
            signal_level: None,
            noise_level: None,
            echo_return_loss: None,
            gmin: GMIN,
            r_factor: Some(quality.r_factor),
            external_r_factor: None,
            mos_listening: Some(quality.mos_listening),
            mos_conversational: Some(quality.mos_conversational),
            receiver: 0,
            jitter_buffer_ms: whole_ms(playout.delay),
            jitter_buffer_max_ms: whole_ms(playout.delay_max),
            jitter_buffer_limit_ms: whole_ms(playout.delay_limit),
        }
    }

    fn quality(&self, reception: &Reception) -> Quality {
        let round_trip = self.figures.round_trip.unwrap_or_default();
        let one_way = match self.playout {
            Some(playout) => round_trip / 2 + playout.delay,
            None => self.one_way(reception.jitter_us()),
        };
        // What came too late to be played is as lost as what never came (G.107 §7.1).
        let missing = reception.loss_rate().saturating_add(self.discard_rate(reception));
        Quality::estimate(self.config.impairment, missing, one_way)
    }

    /// Packets that came and were not played, in 256ths of those expected.
    fn discard_rate(&self, reception: &Reception) -> u8 {
        density(self.playout.map_or(0, |playout| playout.discarded), reception.total_expected())
    }

    /// The delay from mouth to ear as far as it is known: half the round trip, and a buffer of twice the jitter.
    fn one_way(&self, jitter_us: u32) -> Duration {
        let buffer = Duration::from_micros(2 * u64::from(jitter_us));
        self.figures.round_trip.unwrap_or_default() / 2 + buffer
    }

    fn population(&self, now: Time) -> Population {
        let nominal = self.nominal_interval();
        let within = |heard: Option<Time>, count| heard.is_some_and(|at| now.since(at) < nominal * count);
        let (we_sent, they_sent) =
            (within(self.sending.sent, SENDER_INTERVALS), within(self.heard_rtp, SENDER_INTERVALS));
        let peer = within(self.heard_rtp.max(self.heard), MEMBER_INTERVALS);
        Population {
            members: 1 + u32::from(peer),
            senders: u32::from(we_sent) + u32::from(they_sent),
            we_sent,
        }
    }

    /// The interval of two senders, without chance.
    fn nominal_interval(&self) -> Duration {
        self.interval.deterministic(Population { members: 2, senders: 2, we_sent: true })
    }
}

/// Whole milliseconds; saturates.
fn whole_ms(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}
