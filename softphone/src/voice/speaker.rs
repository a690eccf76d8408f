//! The sending half of a voice: frames at one rate to packets of the agreed codec, keys in their place (RFC 3550 §5.1, RFC
//! 3551 §4.1, RFC 4733 §2.5.1).
//!
//! Time goes on whether packets leave or not: on hold the timestamp passes, the sequence number does not. The first packet
//! after a pause has the marker.

use super::format::media_codec;
use crate::phone::{EventFormat, Stream, Tones};
use media::codec::{Codec, CreateError, Encoder, opus};
use media::dsp::{Resampler, SampleRate};
use media::dtmf::{Digit, EventCode, QueueFull, Sender, ToneGenerator, ToneLevels};
use media::rtp::{Rewrite, Ssrc};
use std::time::Duration;

/// The longest frame taken: 20 ms at 48 kHz.
const MAX_FRAME: usize = 960;
const HEADER: usize = 12;
/// The longest packet made: a header, and a payload that an Opus encoder or 60 ms of G.711 may fill.
const MAX_PACKET: usize = 1_500;
/// How long a key is pressed.
const PRESSED: Duration = Duration::from_millis(100);
/// The level that events tell, in −dBm0.
const EVENT_LEVEL: u8 = 10;

/// What is said.
pub(super) struct Speaker {
    rate: SampleRate,
    opus: opus::Settings,
    tuned: Option<Tuned>,
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
    /// The next packet follows a pause.
    marker: bool,
    scratch: Box<[i16; MAX_FRAME]>,
    packet: Box<[u8; MAX_PACKET]>,
}

/// Everything that depends on the agreement.
struct Tuned {
    codec: Codec,
    payload_type: u8,
    ptime_ms: u32,
    encoder: Encoder,
    resampler: Resampler,
    /// Less than a packet, at the rate of the codec.
    pending: Vec<i16>,
    events: Option<(EventFormat, Sender)>,
    tones: ToneGenerator,
}

impl Speaker {
    /// Says nothing yet. `start` decides the first sequence number and timestamp (RFC 3550 §5.1: random).
    pub(super) fn new(rate: SampleRate, opus: opus::Settings, ssrc: Ssrc, start: u64) -> Speaker {
        Speaker {
            rate,
            opus,
            tuned: None,
            ssrc,
            sequence: (start & 0x7fff) as u16,
            timestamp: (start >> 32) as u32,
            marker: true,
            scratch: Box::new([0; MAX_FRAME]),
            packet: Box::new([0; MAX_PACKET]),
        }
    }

    pub(super) fn configure(&mut self, stream: &Stream) -> Result<(), CreateError> {
        let codec = media_codec(stream.codec, self.rate);
        let ptime_ms = codec.ptime_ms(u32::from(stream.ptime_ms));
        if let Some(tuned) = &mut self.tuned
            && (tuned.codec, tuned.ptime_ms) == (codec, ptime_ms)
        {
            tuned.payload_type = stream.payload_type;
            if tuned.events.as_ref().map(|(format, _)| *format) != stream.telephone_event {
                tuned.events = sender(stream);
            }
            return Ok(());
        }
        let rate = codec.sample_rate();
        self.tuned = Some(Tuned {
            codec,
            payload_type: stream.payload_type,
            ptime_ms,
            encoder: Encoder::new(codec, self.opus)?,
            resampler: Resampler::new(self.rate, rate),
            pending: Vec::with_capacity(rate.samples(ptime_ms) + MAX_FRAME),
            events: sender(stream),
            tones: ToneGenerator::new(rate.hertz(), ToneLevels::default()),
        });
        self.marker = true;
        Ok(())
    }

    /// Presses keys, one after the other; those that find no room are not pressed.
    ///
    /// # Errors
    /// [`QueueFull`]
    pub(super) fn dial(&mut self, digits: &str, way: Tones) -> Result<(), QueueFull> {
        let Some(tuned) = &mut self.tuned else { return Ok(()) };
        for code in digits.chars().filter_map(EventCode::from_char) {
            let digit = Digit { code, duration: PRESSED };
            match (way, &mut tuned.events) {
                (Tones::Events, Some((_, sender))) => sender.push(digit)?,
                (Tones::InBand, _) | (Tones::Events, None) => tuned.tones.push(digit)?,
            }
        }
        Ok(())
    }

    /// Takes a frame; `send` gets each packet that is full, with its timestamp and the octets of its payload. Without `may_send`
    /// its time passes alone.
    pub(super) fn capture(&mut self, frame: &[i16], may_send: bool, mut send: impl FnMut(&[u8], u32, usize)) {
        let Some(tuned) = &mut self.tuned else { return };
        let length = tuned.resampler.resample(frame, &mut self.scratch[..]);
        tuned.pending.extend_from_slice(self.scratch.get(..length).unwrap_or_default());
        let whole = tuned.codec.sample_rate().samples(tuned.ptime_ms);
        let step = tuned.codec.clock_ticks(whole);
        while let Some(samples) = tuned.pending.get_mut(..whole) {
            tuned.tones.fill(samples);
            let at = self.timestamp;
            let event = tuned.events.as_mut().and_then(|(format, sender)| {
                let step = format.clock_rate / 1_000 * tuned.ptime_ms;
                sender.tick(at, step).map(|event| (format.payload_type, event))
            });
            let (header, body) = self.packet.split_at_mut(HEADER);
            let (payload_type, marker, timestamp, octets) = match event {
                Some((payload_type, event)) => {
                    body[..event.payload.len()].copy_from_slice(&event.payload);
                    (payload_type, event.marker, event.timestamp, event.payload.len())
                }
                None => {
                    let octets = tuned.encoder.encode(samples, body).unwrap_or(0);
                    (tuned.payload_type, self.marker, at, octets)
                }
            };
            tuned.pending.drain(..whole);
            self.timestamp = at.wrapping_add(step);
            if !may_send || octets == 0 {
                self.marker = true;
                continue;
            }
            self.marker = event.is_some();
            let (sequence, ssrc) = (self.sequence, self.ssrc);
            self.sequence = sequence.wrapping_add(1);
            header.copy_from_slice(&Rewrite { marker, payload_type, sequence, timestamp, ssrc }.header());
            send(self.packet.get(..HEADER + octets).unwrap_or_default(), timestamp, octets);
        }
    }
}

fn sender(stream: &Stream) -> Option<(EventFormat, Sender)> {
    stream.telephone_event.map(|format| (format, Sender::new(format.clock_rate, EVENT_LEVEL)))
}
