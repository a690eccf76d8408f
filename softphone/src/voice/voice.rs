//! A voice: both halves, RTCP, and the keys of one call.

use super::ear::Ear;
use super::figures::VoiceFigures;
use super::format::media_time;
use super::source::Source;
use super::speaker::Speaker;
use crate::phone::{Stream, Tones};
use core::fmt;
use media::codec::{CreateError, opus};
use media::dsp::SampleRate;
use media::dtmf::{Heard, QueueFull};
use media::mix::Loudness;
use media::rtcp::{Cname, PlayoutFigures, RtpArrival, Session, SessionConfig};
use media::rtp::{Header, PacketKind, Ssrc};
use sip_stack::Time;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Keys of the peer that may wait to be asked for; more are forgotten.
const KEYS: usize = 32;
/// Room for the longest report.
const REPORT: usize = 800;

/// What a voice is made for.
#[derive(Clone, Copy, Debug)]
pub struct VoiceConfig {
    /// The rate of the frames that are taken and given.
    pub rate: SampleRate,
    /// How Opus is encoded.
    pub opus: opus::Settings,
    /// The host of the server, from which sound is taken too.
    pub server: IpAddr,
    /// Decides SSRC, sequence number, timestamp and the name in RTCP (RFC 3550 §5.1, §8.1): random.
    pub seed: u64,
}

/// Which of the two ports of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The port of RTP.
    Rtp,
    /// The one above, of RTCP.
    Rtcp,
}

/// The sound of one call.
pub struct Voice {
    stream: Option<Stream>,
    server: IpAddr,
    muted: bool,
    ear: Ear,
    speaker: Speaker,
    source: Source,
    rtcp: Session,
    /// Where the peer's RTCP comes from.
    rtcp_source: Source,
    keys: VecDeque<char>,
    figures: VoiceFigures,
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Voice {
    /// A voice without an agreement: it is silent both ways. Allocates.
    pub fn new(now: Time, config: VoiceConfig) -> Voice {
        let VoiceConfig { rate, opus, server, seed } = config;
        // Three numbers that do not tell each other: multiplied by odd constants, upper halves.
        let draw = |salt: u64| {
            (seed ^ salt)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        let ssrc = Ssrc((draw(1) >> 32) as u32);
        let mut name = [0; 12];
        name[..8].copy_from_slice(&draw(2).to_be_bytes());
        let session = SessionConfig::audio(ssrc, Cname::random(name), 8_000);
        Voice {
            stream: None,
            server,
            muted: false,
            ear: Ear::new(rate),
            speaker: Speaker::new(rate, opus, ssrc, draw(3)),
            source: Source::default(),
            rtcp: Session::new(media_time(now), session, draw(4)),
            rtcp_source: Source::default(),
            keys: VecDeque::with_capacity(KEYS),
            figures: VoiceFigures::default(),
        }
    }

    /// From now on this is agreed. Allocates when the codec changes.
    ///
    /// # Errors
    /// [`CreateError`]: the codec does not take the settings; what was agreed before stays.
    pub fn configure(&mut self, stream: &Stream) -> Result<(), CreateError> {
        self.ear.configure(stream)?;
        self.speaker.configure(stream)?;
        self.rtcp.set_clock_rate(stream.codec.clock_rate());
        if self.stream.as_ref().is_none_or(|old| old.remote != stream.remote) {
            self.source.relearn();
            self.rtcp_source.relearn();
        }
        self.stream = Some(stream.clone());
        Ok(())
    }

    /// What is agreed.
    pub fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// Sends silence instead of what the microphone hears, or no longer.
    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Presses keys.
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait; the rest is not pressed.
    pub fn dial(&mut self, digits: &str, tones: Tones) -> Result<(), QueueFull> {
        self.speaker.dial(digits, tones)
    }

    /// The next key that the peer pressed.
    pub fn poll_key(&mut self) -> Option<char> {
        self.keys.pop_front()
    }

    /// Takes a datagram that came at a port of the call. Allocates only when the peer begins to send another codec.
    pub fn handle_datagram(&mut self, now: Time, port: Port, from: SocketAddr, datagram: &[u8]) {
        let taken = match (port, PacketKind::of(datagram)) {
            (Port::Rtp, PacketKind::Rtp) => self.handle_rtp(now, from, datagram),
            (Port::Rtcp, PacketKind::Rtcp) => self.handle_rtcp(now, from, datagram),
            (Port::Rtp | Port::Rtcp, PacketKind::Rtp | PacketKind::Rtcp | PacketKind::Other) => false,
        };
        self.figures.dropped += u64::from(!taken);
    }

    fn handle_rtp(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) -> bool {
        let (Some(stream), Ok(header)) = (&self.stream, Header::parse(datagram)) else { return false };
        let now = media_time(now);
        if !self.source.judge(now, from, stream.remote, self.server) {
            return false;
        }
        let payload = datagram.get(header.payload()).unwrap_or_default();
        let (ssrc, sequence, timestamp) = (header.ssrc(), header.sequence(), header.timestamp());
        let octets = payload.len() as u32;
        // A conflict of SSRCs costs reports alone: nobody mixes us.
        let _conflict = self.rtcp.handle_rtp_in(now, &RtpArrival { ssrc, sequence, timestamp, octets });
        self.figures.packets_in += 1;
        if !stream.receive {
            return true;
        }
        let keys = &mut self.keys;
        self.ear.handle_packet(now, stream, &header, payload, |heard| press(keys, heard))
    }

    fn handle_rtcp(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(stream) = &self.stream else { return false };
        let now = media_time(now);
        self.rtcp_source.judge(now, from, stream.remote_rtcp, self.server)
            && self.rtcp.handle_packet(now, datagram).is_ok()
    }

    /// Fills a frame, 10 or 20 ms at the rate of the configuration, with what is heard now.
    pub fn play(&mut self, now: Time, frame: &mut [i16]) {
        if self.stream.as_ref().is_some_and(|stream| stream.receive) {
            let keys = &mut self.keys;
            self.ear.play(media_time(now), frame, |heard| press(keys, heard));
        } else {
            frame.fill(0);
        }
        self.figures.heard = Loudness::of(frame);
    }

    /// Takes a frame of the microphone, which is muted in place when the user wants that. `send` gets what is to be sent from
    /// the port of RTP.
    pub fn capture(&mut self, now: Time, frame: &mut [i16], mut send: impl FnMut(SocketAddr, &[u8])) {
        if self.muted {
            frame.fill(0);
        }
        self.figures.spoken = Loudness::of(frame);
        let Some(stream) = &self.stream else { return };
        let destination = self.source.destination(stream.remote).filter(|_| stream.send);
        let (rtcp, figures) = (&mut self.rtcp, &mut self.figures);
        self.speaker.capture(frame, destination.is_some(), |packet, timestamp, octets| {
            if let Some(destination) = destination {
                figures.packets_out += 1;
                rtcp.handle_rtp_out(media_time(now), timestamp, octets as u32);
                send(destination, packet);
            }
        });
    }

    /// When [`Voice::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.stream.as_ref()?;
        self.rtcp.poll_timeout().map(|at| Time(at.0))
    }

    /// Sends the report that is due from the port of RTCP.
    pub fn handle_timeout(&mut self, now: Time, mut send: impl FnMut(SocketAddr, &[u8])) {
        if let Some(playout) = self.playout() {
            self.rtcp.set_playout(playout);
        }
        let mut report = [0; REPORT];
        let written = self.rtcp.handle_timeout(media_time(now), &mut report);
        let destination = self.rtcp_destination();
        if let (Some(length), Some(destination)) = (written, destination) {
            send(destination, report.get(..length).unwrap_or_default());
        }
    }

    /// The call is over: says so by RTCP (RFC 3550 §6.6).
    pub fn close(&mut self, now: Time, mut send: impl FnMut(SocketAddr, &[u8])) {
        let mut goodbye = [0; REPORT];
        let written = self.rtcp.write_bye(media_time(now), b"", &mut goodbye);
        if let (Some(length), Some(destination)) = (written, self.rtcp_destination()) {
            send(destination, goodbye.get(..length).unwrap_or_default());
        }
    }

    fn rtcp_destination(&self) -> Option<SocketAddr> {
        self.rtcp_source.destination(self.stream.as_ref().and_then(|stream| stream.remote_rtcp))
    }

    fn playout(&self) -> Option<PlayoutFigures> {
        let (figures, per_ms) = self.ear.jitter()?;
        let per_ms = u64::from(per_ms);
        Some(PlayoutFigures {
            discarded: figures.late + figures.discarded,
            played_ms: figures.played / per_ms,
            concealed_ms: figures.concealed / per_ms,
            delay: Duration::from_micros(figures.delay_us.into()),
            delay_max: Duration::from_micros(figures.max_delay_us.into()),
            delay_limit: Duration::from_millis(self.ear.max_delay_ms().into()),
        })
    }

    /// What is known of it. Costs some divisions.
    pub fn figures(&self) -> VoiceFigures {
        VoiceFigures {
            sending: self.stream.as_ref().map(|stream| stream.codec),
            hearing: self.ear.codec(),
            jitter: self.ear.jitter().map(|(figures, _)| figures).unwrap_or_default(),
            rtcp: Some(self.rtcp.figures()),
            ..self.figures
        }
    }
}

/// A key went down; one more than are kept is forgotten.
fn press(keys: &mut VecDeque<char>, heard: Heard) {
    match heard {
        Heard::Started(code) => {
            if let Some(key) = code.to_char()
                && keys.len() < KEYS
            {
                keys.push_back(key);
            }
        }
        Heard::Ended(_) => {}
    }
}
